/* Signature workers: whose records are checked when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "verify_pool.h"

enum { SEEN_MAX = 64 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool held;
static size_t seen_count;
static uint32_t seen[SEEN_MAX]; /* sources, and 1000 + source for a proposal */

/* The one worker waits here while `held`, so that what is put meanwhile queues up. */
static void on_done(void *context, struct verify_batch *batch)
{
    (void)context;
    for (size_t i = 0; i < batch->count; i++) assert_int_not_equal(batch->items[i].status, CL_OK);
    pthread_mutex_lock(&lock);
    if (seen_count < SEEN_MAX) seen[seen_count++] = batch->source + (batch->for_proposal ? 1000 : 0);
    pthread_cond_broadcast(&changed);
    while (held) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    verify_batch_free(batch);
}

static void put(struct verify_pool *pool, uint32_t source, size_t count, bool for_proposal)
{
    struct verify_batch *batch = verify_batch_new(count);
    assert_non_null(batch);
    batch->source = source;
    batch->for_proposal = for_proposal;
    batch->count = batch->byte_count = count;
    for (size_t i = 0; i < count; i++) {
        batch->arena[i] = 0xff;
        batch->items[i].bytes = (struct cl_view){ batch->arena + i, 1 };
    }
    verify_pool_put(pool, batch);
}

static void sources_are_served_in_turn_by_records_and_proposals_first(void **state)
{
    (void)state;
    const struct cl_network_id network = { { 0 } };
    /* 3 has its 64; 0 has three of one and is through; 5 has two of 32; then 3 again, and so on. */
    const uint32_t expected[] = { 7, 1003, 3, 0, 0, 0, 5, 5, 3, 5, 3, 3 };
    struct verify_pool *pool = NULL;
    held = true;
    assert_int_equal(verify_pool_new(&pool, 1, &network, on_done, NULL), CL_OK);
    put(pool, 7, 1, false);
    pthread_mutex_lock(&lock);
    while (seen_count == 0) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 4; i++) put(pool, 3, VERIFY_BATCH_MAX, false);
    for (int i = 0; i < 3; i++) put(pool, 0, 1, false);
    for (int i = 0; i < 3; i++) put(pool, 5, VERIFY_BATCH_MAX / 2, false);
    put(pool, 3, 1, true);
    pthread_mutex_lock(&lock);
    held = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    verify_pool_free(pool); /* after all of them */
    assert_int_equal(seen_count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < seen_count; i++) assert_int_equal(seen[i], expected[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sources_are_served_in_turn_by_records_and_proposals_first) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
