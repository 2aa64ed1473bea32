/* The owner's inbox: whose frame is next, what comes first, and what happens at the bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "fixture.h"
#include "inbox.h"

enum { PEER_FRAMES = 4096 };
#define WAIT_MS UINT32_MAX /* weeks: whoever is not woken hangs */

static struct inbox inbox;
static char frames[CL_MEMBERS_MAX][PEER_FRAMES]; /* one address for each: whose, and which */

static int open_inbox(void **state)
{
    (void)state;
    inbox_init(&inbox);
    return 0;
}

static int close_inbox(void **state)
{
    (void)state;
    inbox_deinit(&inbox);
    return 0;
}

static void run(void *owner, void *context) { *(const void **)owner = context; }

static void put(size_t peer, size_t number) { FIXTURE_OK(inbox_put_frame(&inbox, peer, run, &frames[peer][number])); }

static void next_is(size_t peer, size_t number)
{
    struct inbox_message message;
    const void *seen = NULL;
    assert_true(inbox_take_frame(&inbox, &message));
    message.run(&seen, message.context);
    assert_ptr_equal(seen, &frames[peer][number]);
}

static void a_peer_at_its_bound_is_in_front_of_another_by_one_frame(void **state)
{
    (void)state;
    for (size_t i = 0; i < PEER_FRAMES; i++) put(1, i);
    put(2, 0);
    next_is(1, 0);
    next_is(2, 0);
    for (size_t i = 1; i < 100; i++) next_is(1, i);
    put(3, 0); /* while the owner is busy with those */
    put(0, 0);
    put(0, 1);
    size_t before = 0;
    struct inbox_message message;
    for (; inbox_take_frame(&inbox, &message) && message.context != &frames[3][0]; before++) continue;
    assert_in_range(before, 0, 2); /* one of each other peer */
    for (before = 0; inbox_take_frame(&inbox, &message) && message.context != &frames[0][1]; before++) continue;
    assert_in_range(before, 0, 3);
}

static void frames_of_one_peer_stay_in_order(void **state)
{
    (void)state;
    struct inbox_message message;
    size_t expected[4] = { 0 };
    for (size_t i = 0; i < 50; i++)
        for (size_t peer = 0; peer < 4; peer++)
            if (i % (peer + 1) == 0) put(peer, i / (peer + 1));
    while (inbox_take_frame(&inbox, &message)) {
        size_t peer = (size_t)((char *)message.context - frames[0]) / PEER_FRAMES;
        assert_ptr_equal(message.context, &frames[peer][expected[peer]++]);
    }
    for (size_t peer = 0; peer < 4; peer++) assert_int_equal(expected[peer], (50 + peer) / (peer + 1));
    put(2, 7); /* an emptied queue takes again */
    put(2, 8);
    next_is(2, 7);
    next_is(2, 8);
}

static void beyond_the_bounds_nothing_is_taken(void **state)
{
    (void)state;
    struct inbox_list lists[INBOX_LANES] = { 0 };
    struct inbox_message message;
    for (size_t i = 0; i < INBOX_FRAMES_MAX; i++) put(i % 16, i / 16);
    assert_int_equal(inbox_put_frame(&inbox, 20, run, NULL), CL_E_BOUND);
    assert_int_equal(inbox_take(&inbox, lists, WAIT_MS), INBOX_FRAMES_MAX);
    assert_true(inbox_take_frame(&inbox, &message));
    put(20, 0);
    for (size_t i = 0; i < 4096; i++) FIXTURE_OK(inbox_put(&inbox, INBOX_HTTP, run, NULL));
    assert_int_equal(inbox_put(&inbox, INBOX_HTTP, run, NULL), CL_E_BOUND);
    FIXTURE_OK(inbox_put(&inbox, INBOX_SIGNATURES, run, NULL)); /* another lane has its own */
    (void)inbox_take(&inbox, lists, WAIT_MS);
    assert_int_equal(lists[INBOX_HTTP].count, 4096);
    assert_int_equal(lists[INBOX_SIGNATURES].count, 1);
    for (size_t i = 0; i < INBOX_LANES; i++) free(lists[i].items);
}

static void *put_one(void *context)
{
    (void)context;
    put(5, 0);
    return NULL;
}

static void *nudge(void *context)
{
    (void)context;
    inbox_nudge(&inbox);
    return NULL;
}

static void whoever_waits_is_woken_by_a_frame_and_by_a_nudge(void **state)
{
    (void)state;
    struct inbox_list lists[INBOX_LANES] = { 0 };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, put_one, NULL), 0);
    assert_int_equal(inbox_take(&inbox, lists, WAIT_MS), 1);
    pthread_join(thread, NULL);
    next_is(5, 0);
    assert_int_equal(pthread_create(&thread, NULL, nudge, NULL), 0);
    assert_int_equal(inbox_take(&inbox, lists, WAIT_MS), 0);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < INBOX_LANES; i++) free(lists[i].items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_peer_at_its_bound_is_in_front_of_another_by_one_frame, open_inbox, close_inbox),
        cmocka_unit_test_setup_teardown(frames_of_one_peer_stay_in_order, open_inbox, close_inbox),
        cmocka_unit_test_setup_teardown(beyond_the_bounds_nothing_is_taken, open_inbox, close_inbox),
        cmocka_unit_test_setup_teardown(whoever_waits_is_woken_by_a_frame_and_by_a_nudge, open_inbox, close_inbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
