/* Two queues and two hash tables (by leaf hash, by record id) of a fixed size. The tables' hash is keyed, so that nobody
   can grind records into one chain. */
#include "pool.h"

#include "crypto.h"

#include <assert.h>
#include <stdlib.h>

struct queue { struct pool_entry *first, *last; };
struct node_of { struct pool_entry entry; struct node_of *by_leaf, *by_id; };
struct pool {
    struct pool_limits limits;
    struct queue withdrawals, others;
    struct node_of **leaves, **ids;
    size_t mask, count, bytes;
    uint64_t key[2], arrivals;
};

enum cl_status pool_new(struct pool **out, const struct pool_limits *limits)
{
    assert(limits->records_max > 0);
    struct pool *pool = calloc(1, sizeof *pool);
    size_t size = 64;
    if (pool == NULL) return CL_E_MEMORY;
    while (size < limits->records_max) size *= 2;
    pool->limits = *limits;
    pool->mask = size - 1;
    pool->leaves = calloc(size, sizeof *pool->leaves);
    pool->ids = calloc(size, sizeof *pool->ids);
    enum cl_status status = pool->leaves != NULL && pool->ids != NULL ? cl_random(pool->key, sizeof pool->key) : CL_E_MEMORY;
    if (status != CL_OK) {
        pool_free(pool);
        return status;
    }
    pool->key[0] |= 1;
    *out = pool;
    return CL_OK;
}

static void free_all(const struct queue *queue)
{
    for (struct pool_entry *entry = queue->first, *next; entry != NULL; entry = next) {
        next = entry->next;
        cl_ledger_record_unref(entry->record);
        free(entry); /* the first member of its node */
    }
}

void pool_free(struct pool *pool)
{
    if (pool == NULL) return;
    free_all(&pool->withdrawals);
    free_all(&pool->others);
    free(pool->leaves);
    free(pool->ids);
    free(pool);
}

static size_t place(const struct pool *pool, const uint8_t hash[32])
{
    uint64_t low, high;
    memcpy(&low, hash, 8);
    memcpy(&high, hash + 8, 8);
    uint64_t mixed = (low ^ pool->key[1]) * pool->key[0] + high;
    mixed ^= mixed >> 29;
    mixed *= 0xbf58476d1ce4e5b9ull;
    return (size_t)(mixed >> 20) & pool->mask;
}

static void enqueue(struct queue *queue, struct pool_entry *entry)
{
    entry->previous = queue->last;
    if (queue->last != NULL) queue->last->next = entry;
    else queue->first = entry;
    queue->last = entry;
}

static void dequeue(struct queue *queue, struct pool_entry *entry)
{
    if (entry->previous != NULL) entry->previous->next = entry->next;
    else queue->first = entry->next;
    if (entry->next != NULL) entry->next->previous = entry->previous;
    else queue->last = entry->previous;
}

static bool has_room(const struct pool *pool, size_t length, bool withdrawal)
{
    size_t records = pool->limits.records_max, bytes = pool->limits.bytes_max;
    if (!withdrawal) {
        records -= records / 16;
        bytes -= bytes / 16;
    }
    return pool->count < records && length <= bytes && pool->bytes <= bytes - length;
}

enum cl_status pool_add(struct pool *pool, struct pool_entry **entry, struct cl_ledger_record *record)
{
    bool withdrawal = cl_rules_is_withdrawal(record->record.type);
    *entry = pool_find_leaf(pool, &record->record.leaf_hash);
    if (*entry != NULL) return CL_E_EXISTS;
    if (!has_room(pool, record->record.bytes.length, withdrawal)) return CL_E_BOUND;
    struct node_of *made = calloc(1, sizeof *made);
    if (made == NULL) return CL_E_MEMORY;
    cl_ledger_record_ref(record);
    made->entry.record = record;
    made->entry.withdrawal = withdrawal;
    made->entry.number = pool->arrivals++;
    size_t leaf_place = place(pool, record->record.leaf_hash.bytes), id_place = place(pool, record->record.id.bytes);
    made->by_leaf = pool->leaves[leaf_place];
    pool->leaves[leaf_place] = made;
    made->by_id = pool->ids[id_place];
    pool->ids[id_place] = made;
    enqueue(withdrawal ? &pool->withdrawals : &pool->others, &made->entry);
    pool->count++;
    pool->bytes += record->record.bytes.length;
    *entry = &made->entry;
    return CL_OK;
}

void pool_remove(struct pool *pool, struct pool_entry *entry)
{
    struct node_of *node = (struct node_of *)entry; /* entry is its first member */
    const struct cl_record *record = &entry->record->record;
    assert(entry->waiters == NULL);
    struct node_of **link = &pool->leaves[place(pool, record->leaf_hash.bytes)];
    while (*link != node) link = &(*link)->by_leaf;
    *link = node->by_leaf;
    link = &pool->ids[place(pool, record->id.bytes)];
    while (*link != node) link = &(*link)->by_id;
    *link = node->by_id;
    dequeue(entry->withdrawal ? &pool->withdrawals : &pool->others, entry);
    pool->count--;
    pool->bytes -= record->bytes.length;
    cl_ledger_record_unref(entry->record);
    free(node);
}

struct pool_entry *pool_find_leaf(struct pool *pool, const struct cl_leaf_hash *leaf)
{
    for (struct node_of *node = pool->leaves[place(pool, leaf->bytes)]; node != NULL; node = node->by_leaf)
        if (memcmp(node->entry.record->record.leaf_hash.bytes, leaf->bytes, 32) == 0) return &node->entry;
    return NULL;
}

struct pool_entry *pool_find_id(struct pool *pool, const struct cl_record_id *id)
{
    for (struct node_of *node = pool->ids[place(pool, id->bytes)]; node != NULL; node = node->by_id)
        if (memcmp(node->entry.record->record.id.bytes, id->bytes, 32) == 0) return &node->entry;
    return NULL;
}

struct pool_entry *pool_next(struct pool *pool, struct pool_entry *entry)
{
    if (entry == NULL) return pool->withdrawals.first != NULL ? pool->withdrawals.first : pool->others.first;
    if (entry->next != NULL) return entry->next;
    return entry->withdrawal ? pool->others.first : NULL;
}

bool pool_waits_before(const struct pool *pool, const struct pool_entry *withdrawal)
{
    assert(withdrawal->withdrawal);
    return pool->others.first != NULL && pool->others.first->number < withdrawal->number;
}

size_t pool_count(const struct pool *pool)
{
    return pool->count;
}

size_t pool_bytes(const struct pool *pool)
{
    return pool->bytes;
}
