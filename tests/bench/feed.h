/* A real node of one member under the benchmarks: its data folder, and records entering by the inbox as a peer's frames
   would. */
#ifndef BENCH_FEED_H
#define BENCH_FEED_H

#include "measure.h"
#include "node.h"
#include "records.h"

/* The network's keys and genesis are made once and kept in BUILD/bench-data/home, so that records signed for it stay
   good from run to run. */
void bench_home(struct cl_network_id *network, const struct bench_context *context);
/* Puts the keys and the genesis into an empty data folder. */
void bench_home_copy(const struct bench_context *context, const char *directory);
/* A copy of a data folder whose node is stopped: tables, which LevelDB never changes, as hard links, the rest as copies. */
void bench_clone(const char *directory, const char *from);
/* Where in a data folder the database is. */
void bench_store_path(char out[4096], const char *directory);

struct bench_node { struct node *node; uint64_t fed; };
void bench_node_open(struct bench_node *out, const char *directory);
void bench_node_close(struct bench_node *node);
/* Submits count records (all, where count is UINT64_MAX) in frames, waiting where the node is full. Returns: their bytes. */
uint64_t bench_node_submit(struct bench_node *node, struct bench_reader *reader, uint64_t count);
/* Submits count records (all, where count is UINT64_MAX) in frames, waiting where the node is full, until the last is
   final. Returns seconds from the first submission to that. A record that is not taken ends the benchmark. *bytes (may
   be NULL): what the records had. */
double bench_node_feed(struct bench_node *node, struct bench_reader *reader, uint64_t count, uint64_t *bytes);

#endif
