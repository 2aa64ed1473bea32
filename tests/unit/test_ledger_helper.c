/* What a helper does for the owner of a ledger, early or late, changes nothing but time; and what fails in its hands
   fails the ledger as before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

/* Two extremes of what a thread may do: the job at once, or when it is wanted and no sooner. */
struct hands { bool eager; unsigned done; void (*job)(void *argument); void *argument; };

static void finish(void *context)
{
    struct hands *hands = context;
    void (*job)(void *argument) = hands->job;
    hands->job = NULL;
    if (job == NULL)
        return;
    job(hands->argument);
    hands->done++;
}

static void begin(void *context, void (*job)(void *argument), void *argument)
{
    struct hands *hands = context;
    finish(context);
    hands->job = job;
    hands->argument = argument;
    if (hands->eager)
        finish(context);
}

static void give(struct fixture *fixture, struct hands *hands, bool eager)
{
    *hands = (struct hands){.eager = eager};
    const struct cl_helper helper = {hands, begin, finish};
    cl_ledger_set_helper(fixture->ledger, &helper);
}

static void fill(struct fixture *fixture, struct cl_candidate_summary *summary)
{
    for (uint64_t i = 0; i < 20; i++) {
        struct cl_ledger_record *records[2] = {
            fixture_terms(&fixture->network, 10 + i, i, 1, 100, fixture->now_ms),
            fixture_grant(&fixture->network, 100 + i, i, 7, fixture->now_ms),
        };
        fixture_block(fixture, records, 2, summary);
        fixture_block_of(fixture, fixture_subscribe_terms(&fixture->network, 50 + i, i, 10 + i, i, fixture->now_ms));
    }
}

static uint64_t digest_of(struct fixture *fixture)
{
    const struct cl_store *store = &fixture->store;
    struct cl_store_iterator *iterator = store->iterator_new(store->context, NULL);
    uint64_t digest = 0;
    assert_non_null(iterator);
    for (store->iterator_seek(iterator, (const uint8_t *)"", 0); store->iterator_valid(iterator); store->iterator_next(iterator)) {
        struct cl_view parts[2] = {store->iterator_key(iterator), store->iterator_value(iterator)};
        for (size_t part = 0; part < 2; part++)
            for (size_t i = 0; i < parts[part].length; i++)
                digest = (digest ^ parts[part].data[i]) * 0x100000001b3ull;
    }
    assert_int_equal(store->iterator_status(iterator), CL_OK);
    store->iterator_free(iterator);
    return digest;
}

static void the_store_is_the_same_with_and_without(void **state)
{
    uint64_t digests[3];
    (void)state;
    for (unsigned which = 0; which < 3; which++) {
        struct fixture fixture;
        struct cl_candidate_summary summary;
        struct hands hands = {0};
        fixture_open(&fixture, 1);
        if (which > 0)
            give(&fixture, &hands, which == 1);
        fill(&fixture, &summary);
        assert_int_equal(hands.done, which > 0 ? 80 : 0); /* rows and write of each block */
        digests[which] = digest_of(&fixture);
        fixture_reopen(&fixture); /* compares the tree with the last block */
        fixture_close(&fixture);
    }
    assert_true(digests[0] == digests[1] && digests[0] == digests[2]);
}

static void a_candidate_may_go_while_its_rows_are_made(void **state)
{
    struct fixture fixture;
    struct hands hands;
    struct cl_candidate *candidate;
    struct cl_candidate_summary summary;
    (void)state;
    fixture_open(&fixture, 1);
    give(&fixture, &hands, false);
    struct cl_ledger_record *record = fixture_grant(&fixture.network, 1, 1, 2, fixture.now_ms);
    FIXTURE_OK(cl_candidate_new(&candidate, fixture.ledger, NULL, fixture.now_ms + 1000));
    FIXTURE_OK(cl_candidate_add(candidate, record, NULL));
    FIXTURE_OK(cl_candidate_seal(candidate, &summary));
    cl_candidate_free(candidate);
    assert_null(hands.job);
    fixture_block_of(&fixture, record);
    fixture_close(&fixture);
}

/* The n-th store call of the commit fails, for n = 1, 2, … until none does. */
static void what_fails_in_its_hands_fails_the_ledger(void **state)
{
    (void)state;
    for (unsigned eager = 0; eager < 2; eager++) {
        enum cl_status status = CL_E_STORE_IO;
        for (uint64_t n = 1; status != CL_OK; n++) {
            struct fixture fixture;
            struct hands hands;
            struct cl_candidate *candidate;
            struct cl_candidate_summary summary;
            struct cl_tip tip;
            assert_true(n < 100);
            fixture_open(&fixture, 1);
            give(&fixture, &hands, eager == 1);
            struct cl_ledger_record *record = fixture_grant(&fixture.network, 1, 1, 2, fixture.now_ms);
            FIXTURE_OK(cl_candidate_new(&candidate, fixture.ledger, NULL, fixture.now_ms + 1000));
            FIXTURE_OK(cl_candidate_add(candidate, record, NULL));
            FIXTURE_OK(cl_candidate_seal(candidate, &summary));
            cl_store_mem_fail_at(&fixture.store, n, CL_E_STORE_IO);
            status = cl_ledger_commit(fixture.ledger, candidate, 1, 0, NULL, 0);
            assert_null(hands.job);
            cl_store_mem_fail_at(&fixture.store, 0, CL_OK);
            cl_ledger_tip(fixture.ledger, &tip);
            assert_int_equal(tip.height, status == CL_OK ? 1 : 0); /* nothing is told of what is not durable */
            if (status != CL_OK) {
                struct cl_candidate *other;
                assert_int_equal(cl_candidate_new(&other, fixture.ledger, NULL, fixture.now_ms + 1000), status);
            }
            cl_candidate_free(candidate);
            cl_ledger_record_unref(record);
            fixture_reopen(&fixture);
            cl_ledger_tip(fixture.ledger, &tip);
            assert_int_equal(tip.height, status == CL_OK ? 1 : 0);
            fixture_close(&fixture);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_store_is_the_same_with_and_without),
        cmocka_unit_test(a_candidate_may_go_while_its_rows_are_made),
        cmocka_unit_test(what_fails_in_its_hands_fails_the_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
