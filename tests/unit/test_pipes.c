/* Whose a pipe is: which hellos are believed, and when a pipe is closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "pipes.h"

#define NOW_MS FIXTURE_START_MS
enum { PIPE = 5, OTHER_PIPE = 6, OWN = 0, SENDER = 1 };

static struct fixture_network network;
static struct pipes_config config;
static struct pipes pipes;
static uint32_t replaced;

static int start(void **state)
{
    (void)state;
    fixture_network_make(&network, 4);
    memset(&config, 0, sizeof config);
    config.network = network.genesis.network;
    config.member_count = 4;
    config.own = OWN;
    for (size_t i = 0; i < 4; i++) {
        memcpy(config.members[i].name, network.genesis.value.members[i].name, strlen(network.genesis.value.members[i].name));
        memcpy(config.members[i].vote, network.genesis.value.members[i].vote, 32);
    }
    pipes_init(&pipes, &config);
    assert_true(pipes_add(&pipes, PIPE, 1000) && pipes_add(&pipes, OTHER_PIPE, 1000));
    pipes_certified(&pipes, PIPE, SENDER);
    pipes_certified(&pipes, OTHER_PIPE, SENDER);
    return 0;
}

static struct frame_hello hello_of(size_t sender, size_t receiver, uint64_t time_ms)
{
    struct frame_hello hello = { .network = config.network, .time_ms = time_ms };
    memcpy(hello.sender, config.members[sender].name, sizeof hello.sender);
    memcpy(hello.receiver, config.members[receiver].name, sizeof hello.receiver);
    FIXTURE_OK(frame_hello_sign(&hello, network.vote_seed[sender]));
    return hello;
}

static enum pipes_verdict greet(uint32_t pipe, const struct frame_hello *hello)
{
    return pipes_hello(&pipes, pipe, hello, NOW_MS, &replaced);
}

static void a_good_hello_makes_the_pipe_its_senders(void **state)
{
    (void)state;
    struct frame_hello hello = hello_of(SENDER, OWN, NOW_MS);
    assert_int_equal(pipes_judge(&pipes, PIPE, CL_OK), PIPES_DROP);
    assert_int_equal(greet(PIPE, &hello), PIPES_DELIVER);
    assert_int_equal(pipes_member(&pipes, PIPE), SENDER);
    assert_int_equal(pipes_member(&pipes, OTHER_PIPE), PIPES_NOBODY);
    assert_int_equal(pipes_judge(&pipes, PIPE, CL_OK), PIPES_DELIVER);
    assert_int_equal(pipes_judge(&pipes, OTHER_PIPE, CL_OK), PIPES_DROP);
}

static void refused(struct frame_hello hello)
{
    assert_int_equal(greet(PIPE, &hello), PIPES_DROP);
    assert_int_equal(pipes_member(&pipes, PIPE), PIPES_NOBODY);
}

static void hellos_that_say_anything_else_are_refused(void **state)
{
    (void)state;
    struct frame_hello hello = hello_of(SENDER, 2, NOW_MS);
    refused(hello);                                   /* meant for another member */
    hello = hello_of(SENDER, OWN, NOW_MS);
    memcpy(hello.receiver, config.members[2].name, sizeof hello.receiver);
    refused(hello);
    hello = hello_of(SENDER, OWN, NOW_MS);
    hello.signature[0] ^= 1;
    refused(hello);
    hello = hello_of(2, OWN, NOW_MS);                 /* signed by another than it names */
    memcpy(hello.sender, config.members[SENDER].name, sizeof hello.sender);
    refused(hello);
    refused(hello_of(OWN, OWN, NOW_MS));              /* our own, come back */
    hello = hello_of(SENDER, OWN, NOW_MS);
    hello.network.bytes[31] ^= 1;
    FIXTURE_OK(frame_hello_sign(&hello, network.vote_seed[SENDER]));
    refused(hello);
}

static void a_hello_of_another_time_is_refused(void **state)
{
    (void)state;
    refused(hello_of(SENDER, OWN, NOW_MS - PIPES_HELLO_CLOCK_MS - 1));
    refused(hello_of(SENDER, OWN, NOW_MS + PIPES_HELLO_CLOCK_MS + 1));
    refused(hello_of(SENDER, OWN, UINT64_MAX));
    struct frame_hello hello = hello_of(SENDER, OWN, NOW_MS - PIPES_HELLO_CLOCK_MS);
    assert_int_equal(greet(PIPE, &hello), PIPES_DELIVER);
}

static void a_hello_counts_once(void **state)
{
    (void)state;
    struct frame_hello hello = hello_of(SENDER, OWN, NOW_MS), older = hello_of(SENDER, OWN, NOW_MS - 1), newer = hello_of(SENDER, OWN, NOW_MS + 1);
    assert_int_equal(greet(PIPE, &hello), PIPES_DELIVER);
    assert_int_equal(greet(OTHER_PIPE, &hello), PIPES_DROP);
    assert_int_equal(greet(OTHER_PIPE, &older), PIPES_DROP);
    assert_int_equal(pipes_member(&pipes, OTHER_PIPE), PIPES_NOBODY);
    assert_int_equal(greet(PIPE, &newer), PIPES_DELIVER);
}

static void of_two_pipes_of_a_member_the_later_counts(void **state)
{
    (void)state;
    struct frame_hello first = hello_of(SENDER, OWN, NOW_MS), second = hello_of(SENDER, OWN, NOW_MS + 1);
    assert_int_equal(greet(PIPE, &first), PIPES_DELIVER);
    assert_int_equal(replaced, 0);
    assert_int_equal(greet(OTHER_PIPE, &second), PIPES_DELIVER);
    assert_int_equal(replaced, PIPE);
    assert_int_equal(pipes_member(&pipes, OTHER_PIPE), SENDER);
    assert_int_equal(pipes_judge(&pipes, PIPE, CL_OK), PIPES_CLOSE);
}

static void a_pipe_belongs_to_one_member(void **state)
{
    (void)state;
    struct frame_hello first = hello_of(SENDER, OWN, NOW_MS), second = hello_of(2, OWN, NOW_MS);
    assert_int_equal(greet(PIPE, &first), PIPES_DELIVER);
    assert_int_equal(greet(PIPE, &second), PIPES_DROP);
    assert_int_equal(pipes_member(&pipes, PIPE), SENDER);
}

static void too_many_malformed_frames_close_the_pipe(void **state)
{
    (void)state;
    struct frame_hello hello = hello_of(SENDER, OWN, NOW_MS);
    assert_int_equal(greet(PIPE, &hello), PIPES_DELIVER);
    for (unsigned i = 0; i < 1000; i++) assert_int_equal(pipes_judge(&pipes, PIPE, CL_E_UNSUPPORTED), PIPES_DROP);
    for (unsigned i = 0; i < PIPES_MALFORMED_MAX; i++) assert_int_equal(pipes_judge(&pipes, PIPE, CL_E_CBOR_TYPE), PIPES_DROP);
    assert_int_equal(pipes_judge(&pipes, PIPE, CL_OK), PIPES_DELIVER);
    assert_int_equal(pipes_judge(&pipes, PIPE, CL_E_NETWORK), PIPES_CLOSE);
}

static void a_pipe_without_a_hello_is_closed_by_count_and_by_time(void **state)
{
    (void)state;
    struct frame_hello hello = hello_of(SENDER, OWN, NOW_MS);
    for (unsigned i = 0; i < PIPES_EARLY_MAX; i++) assert_int_equal(pipes_judge(&pipes, PIPE, CL_OK), PIPES_DROP);
    assert_int_equal(pipes_judge(&pipes, PIPE, CL_OK), PIPES_CLOSE);
    assert_true(pipes_remove(&pipes, PIPE));
    assert_int_equal(pipes_judge(&pipes, PIPE, CL_OK), PIPES_CLOSE);
    assert_int_equal(pipes_overdue(&pipes, 999), 0); /* noted by a thread whose look at the clock was later */
    assert_int_equal(pipes_overdue(&pipes, 1000 + PIPES_HELLO_WAIT_MS), 0);
    assert_int_equal(pipes_overdue(&pipes, 1001 + PIPES_HELLO_WAIT_MS), OTHER_PIPE);
    assert_int_equal(greet(OTHER_PIPE, &hello), PIPES_DELIVER);
    assert_int_equal(pipes_overdue(&pipes, 1001 + PIPES_HELLO_WAIT_MS), 0);
}

static void there_are_at_most_so_many_pipes(void **state)
{
    (void)state;
    for (uint32_t id = 100; pipes.count < PIPES_MAX; id++) assert_true(pipes_add(&pipes, id, 1000));
    assert_false(pipes_add(&pipes, 99, 1000));
    assert_true(pipes_remove(&pipes, 100));
    assert_false(pipes_remove(&pipes, 100));
    assert_true(pipes_add(&pipes, 99, 1000));
}

static void a_hello_of_another_than_the_certificate_names_is_refused(void **state)
{
    (void)state;
    struct frame_hello hello = hello_of(SENDER, OWN, NOW_MS);
    pipes_certified(&pipes, PIPE, 2); /* member 2 shows what it heard from the sender */
    refused(hello);
    assert_true(pipes_add(&pipes, 77, 1000)); /* no handshake yet */
    assert_int_equal(greet(77, &hello), PIPES_DROP);
    assert_int_equal(greet(OTHER_PIPE, &hello), PIPES_DELIVER);
}

static void room_is_made_by_the_oldest_stranger(void **state)
{
    (void)state;
    struct frame_hello hello = hello_of(SENDER, OWN, NOW_MS);
    assert_true(pipes_add(&pipes, 100, 999));
    assert_int_equal(pipes_oldest_stranger(&pipes), 100);
    assert_true(pipes_remove(&pipes, 100));
    assert_int_equal(greet(PIPE, &hello), PIPES_DELIVER);
    assert_int_equal(pipes_oldest_stranger(&pipes), OTHER_PIPE);
    assert_true(pipes_remove(&pipes, OTHER_PIPE));
    assert_int_equal(pipes_oldest_stranger(&pipes), 0); /* members' pipes stay */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_good_hello_makes_the_pipe_its_senders, start),
        cmocka_unit_test_setup(hellos_that_say_anything_else_are_refused, start),
        cmocka_unit_test_setup(a_hello_of_another_time_is_refused, start),
        cmocka_unit_test_setup(a_hello_counts_once, start),
        cmocka_unit_test_setup(of_two_pipes_of_a_member_the_later_counts, start),
        cmocka_unit_test_setup(a_hello_of_another_than_the_certificate_names_is_refused, start),
        cmocka_unit_test_setup(room_is_made_by_the_oldest_stranger, start),
        cmocka_unit_test_setup(a_pipe_belongs_to_one_member, start),
        cmocka_unit_test_setup(too_many_malformed_frames_close_the_pipe, start),
        cmocka_unit_test_setup(a_pipe_without_a_hello_is_closed_by_count_and_by_time, start),
        cmocka_unit_test_setup(there_are_at_most_so_many_pipes, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
