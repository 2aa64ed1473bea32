/* Four real nodes in this process, with links over TLS on loopback and a data folder each. */
#ifndef BENCH_CLUSTER_H
#define BENCH_CLUSTER_H

#include "measure.h"
#include "node.h"
#include "records.h"

#define BENCH_CLUSTER_NODES 4u

struct bench_cluster { char directory[4096]; struct node *nodes[BENCH_CLUSTER_NODES]; uint64_t final_records; };
/* The network's keys and genesis, kept in BUILD/bench-data/cluster-home, and made anew where something listens on its ports:
   so another build folder's run disturbs nothing. */
void bench_cluster_home(struct cl_network_id *network, const struct bench_context *context);
/* Starts the nodes on new data folders, and waits until each can reach the others. */
void bench_cluster_open(struct bench_cluster *out, const struct bench_context *context);
void bench_cluster_close(struct bench_cluster *cluster); /* and removes the folders */
/* Submits count records, in frames to each node in turn, until all of them are final on all. Returns seconds. */
double bench_cluster_feed(struct bench_cluster *cluster, struct bench_reader *reader, uint64_t count);
/* Waits until every node has so many final records more than when it was last asked. */
void bench_cluster_wait(struct bench_cluster *cluster, uint64_t more);

#endif
