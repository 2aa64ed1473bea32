/* A node: one owner thread that holds consensus, pool and ledger, fed by one bounded inbox, with signature workers and an
   HTTP server around it. What the programs, tests and benches call. */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "config.h"
#include "genesis.h"
#include "ledger.h"

struct node;
struct node_options {
    struct node_config config;
    bool new_vote_log;            /* start a new vote log where there is none, or a damaged one: the operator vouches */
    void (*on_stop)(void *context); /* the node stopped by itself (an error); any thread; may be NULL */
    void *on_stop_context;
};

/* Opens the data directory, goes on where it was, serves. sentence (at least 512 bytes): why it did not. */
CL_MUST_USE enum cl_status node_start(struct node **out, const struct node_options *options, char *sentence, size_t sentence_size);
/* Clean stop: answers those who wait with 503, closes everything. Returns CL_OK, or why it had stopped by itself. */
enum cl_status node_stop(struct node *node);
/* "" without HTTP. */
const char *node_url(const struct node *node);

/* Records enter as a peer's frame would: decoded and checked by the workers, evaluated once, in the block. source: the
   member they come from. Blocks while the node is full. CL_OK, CL_E_CANCELLED (stopping or failed), CL_E_MEMORY,
   CL_E_RECORD_SIZE (one is too long: none is taken). */
CL_MUST_USE enum cl_status node_submit_batch(struct node *node, const struct cl_view *records, size_t count, uint32_t source);

/* How many other members and observers this node has a link to. Any thread. */
size_t node_links_up(const struct node *node);
struct node_traffic { uint64_t sent_frames, sent_bytes, received_frames, received_bytes; }; /* over all links */
void node_links_traffic(const struct node *node, struct node_traffic *out);

/* A member that lost its vote log votes for nothing until a quorum of others has told it how far it may have voted. */
struct node_vote_recovery {
    bool waiting;
    uint64_t barred_view;             /* it votes in no view up to this one; 0: it never lost its vote log; not set while waiting */
    size_t needed, heard;             /* while waiting: answers */
    bool heard_from[CL_MEMBERS_MAX];
};
void node_vote_recovery(const struct node *node, struct node_vote_recovery *out); /* any thread */

struct node_counters {
    uint64_t submitted, malformed, bad_signature, duplicates, refused, final_records, blocks, checkpoints, bounded, withdrawals_accepted;
    uint64_t pool_records, pool_bytes, height, log_size, view;
};
void node_counters(struct node *node, struct node_counters *out);
/* The same from a link: never waits, so any thread's. Takes what its source has room for (shares.h) and drops the rest,
   which is counted; so is, for the source, what turns out malformed or badly signed. Returns how many were taken. */
size_t node_offer_records(struct node *node, const struct cl_view *records, size_t count, uint32_t source);

/* Of what was first heard from one member; those of this node's clients are under its own index. */
struct node_source_counters {
    uint64_t taken, dropped;              /* for checking; for want of room */
    uint64_t malformed, bad_signature, duplicates, refused;
    uint64_t waiting_records, waiting_bytes; /* now: taken and not settled */
};
void node_count_source(struct node *node, size_t source, struct node_source_counters *out);
/* Waits until final + refused + malformed + bad + duplicate records since the start reach count. CL_OK, CL_E_CANCELLED (timeout or stop). */
CL_MUST_USE enum cl_status node_wait_settled(struct node *node, uint64_t count, uint64_t timeout_ms);

/* May these slots (0: the agreement as a whole) be used at now_ms? Any thread. As cl_agreement_check, and CL_E_NO_OBJECT,
   CL_E_OBJECT_KIND; accepted withdrawals count. Other statuses: the store. Out (each may be NULL): *accepted, it was one
   of these; *as_of, the final state that the answer is of, not set where the store fails. */
enum cl_status node_check(struct node *node, const uint8_t agreement32[32], uint64_t slots, uint64_t now_ms, bool *accepted, struct cl_tip *as_of);

#endif
