/* Records that wait for a block: withdrawals before all else, bounded for each source (the member that a record was first
   heard from) so that none can take the others' room, with some kept for withdrawals. Belongs to the owner thread.

   In a block come the withdrawals, then the others; with fairness, in both one of each source in turn, in order of
   arrival within a source; without it, all in order of arrival. A record may therefore come before what it builds on, or
   be here before it: pool_put_off says what becomes of one that does not apply. */
#ifndef NODE_POOL_H
#define NODE_POOL_H

#include "ledger.h"
#include "shares.h"

#define POOL_PAUSES 5u       /* so often a record of another member is tried again, over 5 s in all */

struct pool;
struct pool_queue;
struct submission;
struct pool_options {
    struct shares_amount limits;
    size_t source_count, own;     /* members; which of them this node is */
    bool fair;                    /* the network's parameter */
};
struct pool_entry {
    struct cl_ledger_record *record;
    struct submission *waiters;   /* the node's: who waits for the outcome; NULL: nobody */
    struct pool_entry *previous, *next; /* in its queue */
    struct pool_queue *queue;
    size_t source;
    bool withdrawal;
    enum shares_account counted;  /* the node's: where it counts against the inbox's bound */
    bool kept;                    /* the node's: a withdrawal that is durable and was signed for */
    uint64_t number;              /* in order of arrival */
    uint64_t since_ms;            /* the node's: when it came for a block */
    /* the pool's */
    enum shares_account account;
    unsigned pauses;
    uint64_t aside_ms, mark;
};

CL_MUST_USE enum cl_status pool_new(struct pool **out, const struct pool_options *options);
void pool_free(struct pool *pool); /* waiters are the caller's: take entries out first where there are any */
/* Takes a reference. CL_E_EXISTS: it is there (entry says where); CL_E_BOUND: its source has no room; CL_E_MEMORY. */
CL_MUST_USE enum cl_status pool_add(struct pool *pool, struct pool_entry **entry, struct cl_ledger_record *record, size_t source);
/* Takes it out and drops the reference; waiters must be NULL by then. */
void pool_remove(struct pool *pool, struct pool_entry *entry);
struct pool_entry *pool_find_leaf(struct pool *pool, const struct cl_leaf_hash *leaf);
struct pool_entry *pool_find_id(struct pool *pool, const struct cl_record_id *id);
/* All that is here, in no promised order; NULL begins, NULL ends. */
struct pool_entry *pool_next(struct pool *pool, struct pool_entry *entry);

/* ---- for a block */
/* Marks what is in a block that is not final, so that a walk with this generation (not 0) passes over it. An entry has one
   mark, the last. Nothing where the leaf is not here. */
void pool_mark_leaf(struct pool *pool, const struct cl_leaf_hash *leaf, uint64_t generation);
/* In the order of a block, without what has this mark (0: with all) or was put aside. The entry that was returned last may
   be removed or put off; no other may, until the walk is over. Where one block ends, the next walk begins: nobody's turn
   is always the first. */
struct pool_walk {
    struct pool *pool;
    uint64_t generation;
    struct pool_queue *queues;    /* those of withdrawals, then the others' */
    size_t ring[CL_MEMBERS_MAX], ring_count, at; /* queues with something left; whose turn it is */
    struct pool_entry *next[CL_MEMBERS_MAX];
};
void pool_walk_begin(struct pool *pool, struct pool_walk *walk, uint64_t generation);
struct pool_entry *pool_walk_next(struct pool_walk *walk);
/* now_ms in these is of a clock that nobody sets.
   This entry does not apply to a block: does it stay? It does
   - where something waits in another queue that came before it: that may be what it builds on, and come after it in a block;
   - for some time, set aside between tries, where it came from another member: what it builds on may be on its way;
   - once, set aside, where it is ours but the block's parent is not final, so that a parent that comes to nothing refuses
     nothing.
   False: refuse it. All ends: what came before is settled some time, and pauses are counted. */
bool pool_put_off(struct pool *pool, struct pool_entry *entry, bool parent_final, uint64_t now_ms);
/* Ends the pauses that are over. Does anything wait that is not set aside? */
bool pool_ready(struct pool *pool, uint64_t now_ms);
/* How long until the next pause is over; UINT64_MAX: none. */
uint64_t pool_pause_left_ms(const struct pool *pool, uint64_t now_ms);

/* Counts all that comes, goes, is put aside or comes back: while it stands, a block on the same parent takes the same. */
uint64_t pool_changes(const struct pool *pool);
size_t pool_count(const struct pool *pool);
size_t pool_bytes(const struct pool *pool);

#endif
