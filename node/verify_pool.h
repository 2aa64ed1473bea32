/* Worker threads that decode records and check their signatures, the dearest thing that a node does, in batches. */
#ifndef NODE_VERIFY_POOL_H
#define NODE_VERIFY_POOL_H

#include "ledger.h"
#include "shares.h"

#define VERIFY_BATCH_MAX 64u

struct verify_item {
    struct cl_view bytes;             /* within the batch; used where record is NULL */
    struct cl_ledger_record *record;  /* in: decoded already, or NULL; out: a reference, also where the signature is bad */
    enum cl_status status;
    uint32_t refused_entry;
    void *submission;                 /* the node's */
    enum shares_account account;      /* the node's: where room was taken for it */
};
struct sync_part;
struct verify_batch {
    struct verify_batch *next;
    uint32_t source;
    struct sync_part *part;           /* of blocks that were caught up: node_sync_take gets it; NULL: other records */
    bool trusted;                     /* a quorum vouches for the signatures: they are only decoded */
    bool for_proposal;                /* asked for because a block needs them: node_take_proposal_records gets them */
    size_t count, byte_count;         /* byte_count: of all records, as the node counts them */
    struct verify_item items[VERIFY_BATCH_MAX];
    uint8_t arena[];
};

struct verify_pool;
/* done runs on a worker thread, or in verify_pool_check_or_put, and takes the batch. threads 0: one for each processor. */
typedef void (*verify_done_fn)(void *context, struct verify_batch *batch);
CL_MUST_USE enum cl_status verify_pool_new(struct verify_pool **out, unsigned threads, const struct cl_network_id *network,
                                           verify_done_fn done, void *context);
/* Finishes what was put, then ends the threads. */
void verify_pool_free(struct verify_pool *pool);
/* Takes the batch. The queue is bounded by whoever lets records in. */
void verify_pool_put(struct verify_pool *pool, struct verify_batch *batch);
/* The same for a caller that has nothing else to do: where the batch is a single record, and no other waits or is being checked,
   it is checked here and now, and done runs on this thread. That takes less than two changes of thread. */
void verify_pool_check_or_put(struct verify_pool *pool, struct verify_batch *batch);
struct verify_batch *verify_batch_new(size_t arena_size); /* NULL: out of memory */
void verify_batch_free(struct verify_batch *batch);       /* and the references in it */

#endif
