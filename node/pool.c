/* Queues, each in order of arrival (of withdrawals and of others, with fairness for every source; of what is set aside, for
   every length of pause), and two hash tables (by leaf hash, by record id) of a fixed size. The tables' hash is keyed, so
   that nobody can grind records into one chain. */
#include "pool.h"

#include "crypto.h"
#include "keyed.h"

#include <assert.h>
#include <stdlib.h>

struct pool_queue { struct pool_entry *first, *last; };
struct node_of { struct pool_entry entry; struct node_of *by_leaf, *by_id; };
struct pool {
    struct pool_options options;
    struct shares shares;
    /* withdrawals, then the others: queue_count each; then what is set aside, by how often it was */
    struct pool_queue queues[2 * CL_MEMBERS_MAX + POOL_PAUSES], *withdrawals, *others, *aside, *end;
    size_t queue_count, turn[2];  /* where the next walk begins, in withdrawals and in others */
    struct node_of **leaves, **ids;
    size_t mask, count, bytes, aside_count;
    uint64_t key[2], arrivals, changes;
};

static const uint64_t pause_ms[POOL_PAUSES] = { 200, 400, 800, 1600, 2000 };

enum cl_status pool_new(struct pool **out, const struct pool_options *options)
{
    assert(options->limits.records > 0 && options->own < options->source_count);
    struct pool *pool = calloc(1, sizeof *pool);
    size_t size = 64;
    if (pool == NULL) return CL_E_MEMORY;
    while (size < options->limits.records) size *= 2;
    pool->options = *options;
    shares_init(&pool->shares, &options->limits, options->source_count, options->own);
    pool->queue_count = options->fair ? options->source_count : 1;
    pool->withdrawals = pool->queues;
    pool->others = pool->withdrawals + pool->queue_count;
    pool->aside = pool->others + pool->queue_count;
    pool->end = pool->aside + POOL_PAUSES;
    pool->mask = size - 1;
    pool->leaves = calloc(size, sizeof *pool->leaves);
    pool->ids = calloc(size, sizeof *pool->ids);
    enum cl_status status = pool->leaves != NULL && pool->ids != NULL ? cl_random(pool->key, sizeof pool->key) : CL_E_MEMORY;
    if (status != CL_OK) {
        pool_free(pool);
        return status;
    }
    *out = pool;
    return CL_OK;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL) return;
    for (struct pool_entry *entry = pool_next(pool, NULL), *next; entry != NULL; entry = next) {
        next = pool_next(pool, entry);
        cl_ledger_record_unref(entry->record);
        free(entry); /* the first member of its node */
    }
    free(pool->leaves);
    free(pool->ids);
    free(pool);
}

static size_t place(const struct pool *pool, const uint8_t hash[32])
{
    return (size_t)keyed_place(pool->key, hash) & pool->mask;
}

static void enqueue(struct pool_queue *queue, struct pool_entry *entry)
{
    entry->queue = queue;
    entry->next = NULL;
    entry->previous = queue->last;
    if (queue->last != NULL) queue->last->next = entry;
    else queue->first = entry;
    queue->last = entry;
}

static void enqueue_first(struct pool_queue *queue, struct pool_entry *entry)
{
    entry->queue = queue;
    entry->previous = NULL;
    entry->next = queue->first;
    if (queue->first != NULL) queue->first->previous = entry;
    else queue->last = entry;
    queue->first = entry;
}

static void dequeue(struct pool_entry *entry)
{
    if (entry->previous != NULL) entry->previous->next = entry->next;
    else entry->queue->first = entry->next;
    if (entry->next != NULL) entry->next->previous = entry->previous;
    else entry->queue->last = entry->previous;
}

static struct pool_queue *queue_of(struct pool *pool, const struct pool_entry *entry)
{
    return (entry->withdrawal ? pool->withdrawals : pool->others) + (pool->options.fair ? entry->source : 0);
}

enum cl_status pool_add(struct pool *pool, struct pool_entry **entry, struct cl_ledger_record *record, size_t source)
{
    const struct shares_amount amount = { 1, record->record.bytes.length };
    bool withdrawal = cl_rules_is_withdrawal(record->record.type);
    *entry = pool_find_leaf(pool, &record->record.leaf_hash);
    if (*entry != NULL) return CL_E_EXISTS;
    enum shares_account account = shares_take(&pool->shares, source, amount, withdrawal);
    if (account == SHARES_NONE) return CL_E_BOUND;
    struct node_of *made = calloc(1, sizeof *made);
    if (made == NULL) {
        shares_give(&pool->shares, source, account, amount);
        return CL_E_MEMORY;
    }
    cl_ledger_record_ref(record);
    made->entry.record = record;
    made->entry.source = source;
    made->entry.account = account;
    made->entry.withdrawal = withdrawal;
    made->entry.number = pool->arrivals++;
    size_t leaf_place = place(pool, record->record.leaf_hash.bytes), id_place = place(pool, record->record.id.bytes);
    made->by_leaf = pool->leaves[leaf_place];
    pool->leaves[leaf_place] = made;
    made->by_id = pool->ids[id_place];
    pool->ids[id_place] = made;
    enqueue(queue_of(pool, &made->entry), &made->entry);
    pool->count++;
    pool->changes++;
    pool->bytes += amount.bytes;
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
    if (entry->queue >= pool->aside) pool->aside_count--;
    dequeue(entry);
    shares_give(&pool->shares, entry->source, entry->account, (struct shares_amount){ 1, record->bytes.length });
    pool->count--;
    pool->changes++;
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
    if (entry != NULL && entry->next != NULL) return entry->next;
    for (struct pool_queue *queue = entry != NULL ? entry->queue + 1 : pool->queues; queue < pool->end; queue++)
        if (queue->first != NULL) return queue->first;
    return NULL;
}

/* ---- for a block */
void pool_mark_leaf(struct pool *pool, const struct cl_leaf_hash *leaf, uint64_t generation)
{
    struct pool_entry *entry = pool_find_leaf(pool, leaf);
    assert(generation != 0);
    if (entry != NULL) entry->mark = generation;
}

static void begin_queues(struct pool_walk *walk, struct pool_queue *queues)
{
    struct pool *pool = walk->pool;
    size_t turn = pool->turn[queues == pool->others];
    walk->queues = queues;
    walk->ring_count = walk->at = 0;
    for (size_t i = 0; i < pool->queue_count; i++) {
        size_t queue = (turn + i) % pool->queue_count;
        walk->next[queue] = queues[queue].first;
        if (walk->next[queue] != NULL) walk->ring[walk->ring_count++] = queue;
    }
}

void pool_walk_begin(struct pool *pool, struct pool_walk *walk, uint64_t generation)
{
    walk->pool = pool;
    walk->generation = generation;
    begin_queues(walk, pool->withdrawals);
}

struct pool_entry *pool_walk_next(struct pool_walk *walk)
{
    struct pool *pool = walk->pool;
    for (;;) {
        while (walk->ring_count > 0) {
            if (walk->at == walk->ring_count) walk->at = 0;
            size_t queue = walk->ring[walk->at];
            struct pool_entry *entry = walk->next[queue];
            while (entry != NULL && walk->generation != 0 && entry->mark == walk->generation) entry = entry->next;
            if (entry != NULL) {
                walk->next[queue] = entry->next;
                walk->at++;
                pool->turn[walk->queues == pool->others] = queue;
                return entry;
            }
            walk->ring_count--;
            memmove(walk->ring + walk->at, walk->ring + walk->at + 1, (walk->ring_count - walk->at) * sizeof walk->ring[0]);
        }
        if (walk->queues == pool->others) return NULL;
        begin_queues(walk, pool->others);
    }
}

/* Each queue's first is the oldest of it, or as good as: what comes back from a pause goes before what waits. */
static bool older_waits(const struct pool *pool, const struct pool_entry *entry)
{
    for (const struct pool_queue *queue = entry->withdrawal ? pool->withdrawals : pool->others; queue < pool->aside; queue++)
        if (queue != entry->queue && queue->first != NULL && queue->first->number < entry->number) return true;
    return false;
}

bool pool_put_off(struct pool *pool, struct pool_entry *entry, bool parent_final, uint64_t now_ms)
{
    assert(entry->queue < pool->aside);
    if (older_waits(pool, entry)) return true;
    unsigned pauses_max = entry->source != pool->options.own ? POOL_PAUSES : parent_final ? 0 : 1;
    if (entry->pauses >= pauses_max) return false;
    dequeue(entry);
    entry->aside_ms = now_ms;
    enqueue(&pool->aside[entry->pauses++], entry);
    pool->aside_count++;
    pool->changes++;
    return true;
}

static bool pause_over(const struct pool_entry *entry, uint64_t now_ms)
{
    return now_ms - entry->aside_ms >= pause_ms[entry->pauses - 1];
}

bool pool_ready(struct pool *pool, uint64_t now_ms)
{
    for (struct pool_queue *queue = pool->aside; queue < pool->end; queue++) {
        struct pool_entry *entry = NULL;
        for (struct pool_entry *next = queue->first; next != NULL && pause_over(next, now_ms); next = next->next) entry = next;
        while (entry != NULL) { /* the newest of them first, because each goes to the front of its queue */
            struct pool_entry *previous = entry->previous;
            dequeue(entry);
            enqueue_first(queue_of(pool, entry), entry);
            pool->aside_count--;
            pool->changes++;
            entry = previous;
        }
    }
    return pool->count > pool->aside_count;
}

uint64_t pool_pause_left_ms(const struct pool *pool, uint64_t now_ms)
{
    uint64_t left = UINT64_MAX;
    for (const struct pool_queue *queue = pool->aside; queue < pool->end; queue++) {
        if (queue->first == NULL) continue;
        uint64_t since = now_ms - queue->first->aside_ms, pause = pause_ms[queue->first->pauses - 1];
        uint64_t this_left = since >= pause ? 0 : pause - since;
        if (this_left < left) left = this_left;
    }
    return left;
}

uint64_t pool_changes(const struct pool *pool)
{
    return pool->changes;
}

size_t pool_count(const struct pool *pool)
{
    return pool->count;
}

size_t pool_bytes(const struct pool *pool)
{
    return pool->bytes;
}
