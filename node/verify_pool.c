/* Queues of batches behind one lock: taken once for up to 64 signatures. One for each source, served in turn by the number of
   records, so that a member that floods delays nobody else's for longer than a full batch of its own; what a proposal
   waits for goes before all. */
#include "verify_pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct queue {
    struct verify_batch *first, *last;
    struct queue *next;               /* with batches too */
    size_t served;                    /* records, in this turn */
};
struct verify_pool {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct queue urgent, sources[CL_MEMBERS_MAX];
    struct queue *turn, *last_turn;   /* those of the sources that have batches */
    bool stopping;
    unsigned busy;                    /* who checks a batch now */
    unsigned thread_count;
    pthread_t *threads;
    struct cl_network_id network;
    verify_done_fn done;
    void *context;
};

struct verify_batch *verify_batch_new(size_t arena_size)
{
    struct verify_batch *batch = malloc(sizeof *batch + arena_size);
    if (batch != NULL) memset(batch, 0, sizeof *batch);
    return batch;
}

void verify_batch_free(struct verify_batch *batch)
{
    if (batch == NULL) return;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i].record != NULL) cl_ledger_record_unref(batch->items[i].record);
    free(batch);
}

static void check_item(struct verify_item *item, const struct verify_batch *batch, const struct cl_network_id *network)
{
    if (item->record == NULL) {
        item->status = cl_ledger_record_new(&item->record, &item->refused_entry, item->bytes.data, item->bytes.length, network);
        if (item->status != CL_OK) {
            item->record = NULL;
            return;
        }
    }
    item->record->first_heard_from = batch->source;
    item->status = batch->trusted ? CL_OK : cl_record_check_signature(&item->record->record);
}

static void append(struct queue *queue, struct verify_batch *batch)
{
    batch->next = NULL;
    if (queue->first != NULL) queue->last->next = batch;
    else queue->first = batch;
    queue->last = batch;
}

static struct verify_batch *remove_first(struct queue *queue)
{
    struct verify_batch *batch = queue->first;
    if (batch != NULL) queue->first = batch->next;
    return batch;
}

static void line_up(struct verify_pool *pool, struct queue *queue)
{
    queue->next = NULL;
    queue->served = 0;
    if (pool->turn != NULL) pool->last_turn->next = queue;
    else pool->turn = queue;
    pool->last_turn = queue;
}

static struct verify_batch *take(struct verify_pool *pool)
{
    struct queue *queue = pool->turn;
    struct verify_batch *batch = remove_first(&pool->urgent);
    if (batch != NULL || queue == NULL) return batch;
    batch = remove_first(queue);
    queue->served += batch->count;
    if (queue->first != NULL && queue->served < VERIFY_BATCH_MAX) return batch;
    pool->turn = queue->next;
    if (queue->first != NULL) line_up(pool, queue);
    return batch;
}

static bool is_empty(const struct verify_pool *pool) { return pool->turn == NULL && pool->urgent.first == NULL; }

/* The batch counts as being checked until done is called; after that the pool may be gone, where this is no worker. */
static void check(struct verify_pool *pool, struct verify_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) check_item(&batch->items[i], batch, &pool->network);
    pthread_mutex_lock(&pool->lock);
    pool->busy--;
    pthread_mutex_unlock(&pool->lock);
    pool->done(pool->context, batch);
}

static void *work(void *context)
{
    struct verify_pool *pool = context;
    for (;;) {
        pthread_mutex_lock(&pool->lock);
        while (is_empty(pool) && !pool->stopping) pthread_cond_wait(&pool->filled, &pool->lock);
        struct verify_batch *batch = take(pool);
        pool->busy += batch != NULL;
        pthread_mutex_unlock(&pool->lock);
        if (batch == NULL) return NULL;
        check(pool, batch);
    }
}

enum cl_status verify_pool_new(struct verify_pool **out, unsigned threads, const struct cl_network_id *network, verify_done_fn done, void *context)
{
    struct verify_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) return CL_E_MEMORY;
    if (threads == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        threads = processors > 0 && processors < 64 ? (unsigned)processors : 2;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->filled, NULL);
    pool->network = *network;
    pool->done = done;
    pool->context = context;
    pool->threads = calloc(threads, sizeof *pool->threads);
    enum cl_status status = pool->threads != NULL ? CL_OK : CL_E_MEMORY;
    for (; status == CL_OK && pool->thread_count < threads; pool->thread_count++)
        if (pthread_create(&pool->threads[pool->thread_count], NULL, work, pool) != 0) {
            status = CL_E_MEMORY;
            break;
        }
    if (status != CL_OK) {
        verify_pool_free(pool);
        return status;
    }
    *out = pool;
    return CL_OK;
}

void verify_pool_free(struct verify_pool *pool)
{
    if (pool == NULL) return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->filled);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++) pthread_join(pool->threads[i], NULL);
    free(pool->threads);
    pthread_cond_destroy(&pool->filled);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void verify_pool_put(struct verify_pool *pool, struct verify_batch *batch)
{
    struct queue *queue = batch->for_proposal ? &pool->urgent : &pool->sources[batch->source];
    assert(batch->source < CL_MEMBERS_MAX && batch->count > 0);
    pthread_mutex_lock(&pool->lock);
    if (queue->first == NULL && !batch->for_proposal) line_up(pool, queue);
    append(queue, batch);
    pthread_cond_signal(&pool->filled);
    pthread_mutex_unlock(&pool->lock);
}

void verify_pool_check_or_put(struct verify_pool *pool, struct verify_batch *batch)
{
    pthread_mutex_lock(&pool->lock);
    bool here = batch->count == 1 && is_empty(pool) && pool->busy == 0;
    pool->busy += here;
    pthread_mutex_unlock(&pool->lock);
    if (here) check(pool, batch);
    else verify_pool_put(pool, batch);
}
