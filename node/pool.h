/* Records that wait for a block: in the order in which they came, withdrawals before all else, bounded by count and
   bytes with room kept for withdrawals. Belongs to the owner thread. */
#ifndef NODE_POOL_H
#define NODE_POOL_H

#include "ledger.h"

struct pool;
struct pool_limits { size_t records_max, bytes_max; }; /* a sixteenth of both is kept for withdrawals */
struct pool_entry {
    struct cl_ledger_record *record;
    void *waiters;                /* the node's: who waits for the outcome; NULL: nobody */
    struct pool_entry *previous, *next; /* in its queue */
    bool withdrawal;
    bool counted;                 /* the node's: it counts against the inbox's bound */
    bool kept;                    /* the node's: a withdrawal that is durable and was signed for */
    uint64_t number;              /* in order of arrival */
    uint64_t in_block;            /* the node's: when a block was last filled over one that has it */
};

CL_MUST_USE enum cl_status pool_new(struct pool **out, const struct pool_limits *limits);
void pool_free(struct pool *pool); /* waiters are the caller's: take entries out first where there are any */
/* Takes a reference. CL_E_EXISTS: it is there (entry says where); CL_E_BOUND; CL_E_MEMORY. */
CL_MUST_USE enum cl_status pool_add(struct pool *pool, struct pool_entry **entry, struct cl_ledger_record *record);
/* Takes it out and drops the reference; waiters must be NULL by then. */
void pool_remove(struct pool *pool, struct pool_entry *entry);
struct pool_entry *pool_find_leaf(struct pool *pool, const struct cl_leaf_hash *leaf);
struct pool_entry *pool_find_id(struct pool *pool, const struct cl_record_id *id);
/* The next in block order after entry (NULL: the first): withdrawals, then the others. NULL at the end. */
struct pool_entry *pool_next(struct pool *pool, struct pool_entry *entry);
/* Does anything but withdrawals wait that came before this withdrawal? What it builds on may be among that, but comes
   after it in a block. */
bool pool_waits_before(const struct pool *pool, const struct pool_entry *withdrawal);
size_t pool_count(const struct pool *pool);
size_t pool_bytes(const struct pool *pool);

#endif
