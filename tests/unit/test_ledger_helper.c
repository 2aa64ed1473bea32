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
struct hands { bool eager; unsigned done, waiting; };

static void do_job(struct hands *hands, struct cl_job *job)
{
    job->run(job->argument);
    job->state = 1;
    hands->done++;
}

static void finish(void *context, struct cl_job *job)
{
    struct hands *hands = context;
    if (job->state == 1)
        return;
    hands->waiting--;
    do_job(hands, job);
}

static void begin(void *context, struct cl_job *job)
{
    struct hands *hands = context;
    job->state = 0;
    if (hands->eager)
        do_job(hands, job);
    else
        hands->waiting++;
}

static void give(struct fixture *fixture, struct hands *hands, bool eager)
{
    *hands = (struct hands){.eager = eager};
    const struct cl_helper helper = {.context = hands, .begin = begin, .finish = finish};
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
    assert_int_equal(hands.waiting, 0);
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
            assert_int_equal(hands.waiting, 0);
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

/* ---- what is made while a block is being written */

struct meanwhile {
    struct fixture *fixture;
    struct cl_candidate *parent, *made;  /* parent: what is being committed */
    struct cl_ledger_record *record;
    struct cl_candidate_summary summary;
    struct cl_tip tip;                   /* as others see it then */
    unsigned calls;
};

static void make_child(void *context)
{
    struct meanwhile *meanwhile = context;
    meanwhile->calls++;
    cl_ledger_tip(meanwhile->fixture->ledger, &meanwhile->tip);
    FIXTURE_OK(cl_candidate_new(&meanwhile->made, meanwhile->fixture->ledger, meanwhile->parent, meanwhile->fixture->now_ms + 2000));
    assert_int_equal(cl_candidate_add(meanwhile->made, cl_candidate_record(meanwhile->parent, 0), NULL), CL_E_REPLAY);
    enum cl_status status = cl_candidate_add(meanwhile->made, meanwhile->record, NULL);
    if (status == CL_OK)
        status = cl_candidate_seal(meanwhile->made, &meanwhile->summary);
    if (status == CL_OK)
        return;
    assert_int_equal(status, CL_E_STORE_IO); /* where that is made to fail */
    cl_candidate_free(meanwhile->made);
    meanwhile->made = NULL;
}

/* TERMS in the block that is written, and a subscription to them in the one that is made meanwhile. */
static void begin_meanwhile(struct meanwhile *meanwhile, struct fixture *fixture)
{
    struct cl_candidate_summary summary;
    *meanwhile = (struct meanwhile){.fixture = fixture};
    struct cl_ledger_record *terms = fixture_terms(&fixture->network, 1, 1, 1, 10, fixture->now_ms);
    meanwhile->record = fixture_subscribe_terms(&fixture->network, 2, 1, 1, 1, fixture->now_ms);
    FIXTURE_OK(cl_candidate_new(&meanwhile->parent, fixture->ledger, NULL, fixture->now_ms + 1000));
    FIXTURE_OK(cl_candidate_add(meanwhile->parent, terms, NULL));
    FIXTURE_OK(cl_candidate_seal(meanwhile->parent, &summary));
    cl_ledger_record_unref(terms);
}

static void a_block_made_meanwhile_is_the_one_made_afterwards(void **state)
{
    struct cl_candidate_summary summaries[3];
    uint64_t digests[3];
    (void)state;
    for (unsigned which = 0; which < 3; which++) { /* made afterwards; meanwhile; meanwhile by slow hands */
        struct fixture fixture;
        struct meanwhile meanwhile;
        struct hands hands;
        fixture_open(&fixture, 1);
        give(&fixture, &hands, which == 1);
        if (which > 0)
            cl_ledger_set_meanwhile(fixture.ledger, make_child, &meanwhile);
        begin_meanwhile(&meanwhile, &fixture);
        FIXTURE_OK(cl_ledger_commit(fixture.ledger, meanwhile.parent, 1, 0, NULL, 0));
        assert_int_equal(meanwhile.calls, which > 0 ? 1 : 0);
        cl_ledger_set_meanwhile(fixture.ledger, NULL, NULL);
        if (which == 0) {
            FIXTURE_OK(cl_candidate_new(&meanwhile.made, fixture.ledger, NULL, fixture.now_ms + 2000));
            FIXTURE_OK(cl_candidate_add(meanwhile.made, meanwhile.record, NULL));
            FIXTURE_OK(cl_candidate_seal(meanwhile.made, &meanwhile.summary));
        } else {
            assert_int_equal(meanwhile.tip.height, 0); /* nobody has heard of the block by then */
            cl_candidate_drop_parent(meanwhile.made);
        }
        cl_candidate_free(meanwhile.parent);
        FIXTURE_OK(cl_ledger_commit(fixture.ledger, meanwhile.made, 2, 1, NULL, 0));
        cl_candidate_free(meanwhile.made);
        cl_ledger_record_unref(meanwhile.record);
        summaries[which] = meanwhile.summary;
        digests[which] = digest_of(&fixture);
        fixture_reopen(&fixture); /* compares the tree with the last block */
        fixture_close(&fixture);
        assert_memory_equal(&summaries[which].id, &summaries[0].id, sizeof summaries[0].id);
        assert_true(digests[which] == digests[0]);
    }
}

static void a_block_made_meanwhile_is_worth_nothing_when_the_write_fails(void **state)
{
    enum cl_status status = CL_E_STORE_IO;
    unsigned made_in_vain = 0;
    (void)state;
    for (uint64_t n = 1; status != CL_OK; n++) { /* the n-th store call fails, until none does */
        struct fixture fixture;
        struct meanwhile meanwhile;
        struct hands hands;
        struct cl_tip tip;
        assert_true(n < 100);
        fixture_open(&fixture, 1);
        give(&fixture, &hands, false);
        cl_ledger_set_meanwhile(fixture.ledger, make_child, &meanwhile);
        begin_meanwhile(&meanwhile, &fixture);
        cl_store_mem_fail_at(&fixture.store, n, CL_E_STORE_IO);
        status = cl_ledger_commit(fixture.ledger, meanwhile.parent, 1, 0, NULL, 0);
        cl_store_mem_fail_at(&fixture.store, 0, CL_OK);
        cl_ledger_set_meanwhile(fixture.ledger, NULL, NULL);
        if (meanwhile.made != NULL && status != CL_OK) {
            made_in_vain++;
            assert_int_equal(cl_ledger_commit(fixture.ledger, meanwhile.made, 2, 1, NULL, 0), status);
        }
        cl_candidate_free(meanwhile.made);
        cl_candidate_free(meanwhile.parent);
        cl_ledger_record_unref(meanwhile.record);
        assert_int_equal(hands.waiting, 0);
        for (unsigned again = 0; again < 2; again++) {
            cl_ledger_tip(fixture.ledger, &tip);
            assert_int_equal(tip.height, status == CL_OK ? 1 : 0);
            if (again == 0) fixture_reopen(&fixture);
        }
        fixture_close(&fixture);
    }
    assert_true(made_in_vain > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_store_is_the_same_with_and_without),
        cmocka_unit_test(a_candidate_may_go_while_its_rows_are_made),
        cmocka_unit_test(what_fails_in_its_hands_fails_the_ledger),
        cmocka_unit_test(a_block_made_meanwhile_is_the_one_made_afterwards),
        cmocka_unit_test(a_block_made_meanwhile_is_worth_nothing_when_the_write_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
