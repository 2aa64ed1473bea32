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
static pthread_t tester;
static bool held;
static size_t seen_count;
static uint32_t seen[SEEN_MAX]; /* sources, and 1000 + source for a proposal */
static pthread_t seen_by[SEEN_MAX];

/* The one worker waits here while `held`, so that what is put meanwhile queues up. */
static void on_done(void *context, struct verify_batch *batch)
{
    (void)context;
    for (size_t i = 0; i < batch->count; i++) assert_int_not_equal(batch->items[i].status, CL_OK);
    pthread_mutex_lock(&lock);
    if (seen_count < SEEN_MAX) {
        seen_by[seen_count] = pthread_self();
        seen[seen_count++] = batch->source + (batch->for_proposal ? 1000 : 0);
    }
    pthread_cond_broadcast(&changed);
    while (held && !pthread_equal(pthread_self(), tester)) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    verify_batch_free(batch);
}

static struct verify_batch *batch_of(uint32_t source, size_t count, bool for_proposal)
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
    return batch;
}

static void put(struct verify_pool *pool, uint32_t source, size_t count, bool for_proposal)
{
    verify_pool_put(pool, batch_of(source, count, for_proposal));
}

static void wait_for(size_t count)
{
    pthread_mutex_lock(&lock);
    while (seen_count < count) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void let_go(bool hold)
{
    pthread_mutex_lock(&lock);
    held = hold;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void sources_are_served_in_turn_by_records_and_proposals_first(void **state)
{
    (void)state;
    const struct cl_network_id network = { { 0 } };
    /* 3 has its 64; 0 has three of one and is through; 5 has two of 32; then 3 again, and so on. */
    const uint32_t expected[] = { 7, 1003, 3, 0, 0, 0, 5, 5, 3, 5, 3, 3 };
    struct verify_pool *pool = NULL;
    seen_count = 0;
    held = true;
    assert_int_equal(verify_pool_new(&pool, 1, &network, on_done, NULL), CL_OK);
    put(pool, 7, 1, false);
    wait_for(1);
    for (int i = 0; i < 4; i++) put(pool, 3, VERIFY_BATCH_MAX, false);
    for (int i = 0; i < 3; i++) put(pool, 0, 1, false);
    for (int i = 0; i < 3; i++) put(pool, 5, VERIFY_BATCH_MAX / 2, false);
    put(pool, 3, 1, true);
    let_go(false);
    verify_pool_free(pool); /* after all of them */
    assert_int_equal(seen_count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < seen_count; i++) assert_int_equal(seen[i], expected[i]);
}

static void a_single_record_is_checked_by_whoever_brings_it_unless_another_one_waits(void **state)
{
    (void)state;
    const struct cl_network_id network = { { 0 } };
    struct verify_pool *pool = NULL;
    seen_count = 0;
    held = true;
    assert_int_equal(verify_pool_new(&pool, 1, &network, on_done, NULL), CL_OK);
    verify_pool_check_or_put(pool, batch_of(1, 1, false));
    assert_int_equal(seen_count, 1);
    assert_true(pthread_equal(seen_by[0], tester));
    verify_pool_check_or_put(pool, batch_of(2, 2, false)); /* more than one; the worker holds it */
    wait_for(2);
    put(pool, 3, 1, false);
    verify_pool_check_or_put(pool, batch_of(4, 1, false)); /* after 3, which waits */
    let_go(false);
    verify_pool_free(pool);
    const uint32_t expected[] = { 1, 2, 3, 4 };
    assert_int_equal(seen_count, 4);
    for (size_t i = 1; i < 4; i++) assert_true(seen[i] == expected[i] && !pthread_equal(seen_by[i], tester));
}

int main(void)
{
    tester = pthread_self();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_are_served_in_turn_by_records_and_proposals_first),
        cmocka_unit_test(a_single_record_is_checked_by_whoever_brings_it_unless_another_one_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
