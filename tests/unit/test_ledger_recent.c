/* What is kept of the values that came last is what the store holds or nothing, it makes room for what comes, and it
   spares the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consent/state.h"
#include "crypto.h"
#include "fixture.h"
#include "ledger_internal.h"

enum { KEYS = 3000, SIZE = 262144, STEPS = 60000 };

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static void key_of(uint8_t key_hash[32], uint32_t number)
{
    cl_sha256_once(key_hash, &number, sizeof number);
}

/* TERMS are waited for; an active agreement is not. What makes values of one kind differ is their length and content. */
static void value_of(struct cl_buffer *out, bool awaited, uint32_t version)
{
    struct cl_terms terms = {.owner = {2}, .answers = version, .delegation_count = (uint8_t)(version % 5), .open = 1};
    struct cl_agreement agreement = {.status = CL_ACTIVE, .last_index = version};
    for (uint32_t i = 0; i < version % 5; i++)
        terms.delegations[i] = (struct cl_delegation){.powers = 1, .key = {2, (uint8_t)(i + 1)}};
    out->length = 0;
    FIXTURE_OK(awaited ? cl_terms_encode(out, &terms) : cl_agreement_encode(out, &agreement));
}

/* Against a list of what was put last under each key. */
static void what_is_found_is_what_was_put_last(void **state)
{
    static uint32_t versions[KEYS]; /* 0: never put */
    struct cl_buffer value = {0};
    struct cl_recent *recent;
    uint8_t key_hash[32];
    size_t hits = 0, misses = 0, marked_well = 0;
    (void)state;
    random_state = 1;
    FIXTURE_OK(cl_recent_new(&recent, 99, SIZE));
    for (uint32_t step = 1; step <= STEPS; step++) {
        uint32_t number = draw(KEYS);
        key_of(key_hash, number);
        struct cl_view found = cl_recent_get(recent, key_hash);
        if (found.data != NULL) {
            assert_true(versions[number] % 4 != 3);
            value_of(&value, true, versions[number]);
            assert_int_equal(found.length, value.length);
            assert_memory_equal(found.data, value.data, value.length);
        }
        marked_well += cl_recent_may_have(recent, key_hash) == (found.data != NULL);
        if (versions[number] != 0 && versions[number] % 4 != 3) {
            hits += found.data != NULL;
            misses += found.data == NULL;
        }
        if (draw(2) == 0) continue;
        bool is_new = versions[number] == 0;
        versions[number] = step;
        value_of(&value, step % 4 != 3, step);
        cl_recent_put(recent, key_hash, is_new, value.data, value.length);
        value.data[value.length - 1] ^= 1; /* it has a copy of its own */
    }
    assert_true(hits > STEPS / 5); /* not all have room */
    assert_true(misses > STEPS / 50);
    assert_true(marked_well > STEPS - STEPS / 100);
    cl_recent_free(recent);
    cl_buffer_deinit(&value);
}

static void the_newest_stay_and_the_oldest_go(void **state)
{
    struct cl_buffer value = {0};
    struct cl_recent *recent;
    uint8_t key_hash[32];
    (void)state;
    FIXTURE_OK(cl_recent_new(&recent, 5, SIZE));
    value_of(&value, true, 5);
    uint32_t room = (uint32_t)(SIZE / (value.length + 60));
    for (uint32_t number = 0; number < 10 * room; number++) {
        key_of(key_hash, number);
        cl_recent_put(recent, key_hash, true, value.data, value.length);
    }
    for (uint32_t number = 0; number < 10 * room; number++) {
        key_of(key_hash, number);
        const uint8_t *found = cl_recent_get(recent, key_hash).data;
        if (number > 10 * room - room / 2) assert_non_null(found);
        if (number < 8 * room) assert_null(found);
    }
    cl_recent_free(recent);
    cl_buffer_deinit(&value);
}

static void what_changes_in_time_outlives_what_came_with_it(void **state)
{
    struct cl_buffer value = {0};
    struct cl_recent *recent;
    uint8_t key_hash[32];
    (void)state;
    FIXTURE_OK(cl_recent_new(&recent, 5, SIZE));
    value_of(&value, true, 5);
    uint32_t room = (uint32_t)(SIZE / (value.length + 60)), asked = 0, changing = 7;
    for (uint32_t number = 0; number < 20 * room; number++) {
        key_of(key_hash, number);
        cl_recent_put(recent, key_hash, true, value.data, value.length);
        if (number < changing || number % (room / 4) != 0) continue;
        key_of(key_hash, changing);
        assert_non_null(cl_recent_get(recent, key_hash).data);
        assert_true(cl_recent_may_have(recent, key_hash));
        cl_recent_put(recent, key_hash, false, value.data, value.length);
        asked++;
    }
    assert_true(asked > 70);
    key_of(key_hash, changing + 1);
    assert_null(cl_recent_get(recent, key_hash).data);
    cl_recent_free(recent);
    cl_buffer_deinit(&value);
}

static void what_is_too_long_is_not_kept_and_its_old_value_goes(void **state)
{
    struct cl_buffer value = {0};
    struct cl_recent *recent;
    uint8_t key_hash[32], zeros[4096] = {0};
    (void)state;
    FIXTURE_OK(cl_recent_new(&recent, 5, SIZE));
    key_of(key_hash, 1);
    value_of(&value, true, 1);
    cl_recent_put(recent, key_hash, true, value.data, value.length);
    assert_non_null(cl_recent_get(recent, key_hash).data);
    FIXTURE_OK(cl_buffer_append(&value, zeros, sizeof zeros));
    cl_recent_put(recent, key_hash, false, value.data, value.length);
    assert_null(cl_recent_get(recent, key_hash).data);
    cl_recent_free(recent);
    cl_buffer_deinit(&value);
}

/* An offer and its answer, without the store in between; after that the agreement is no longer waited for. */
static void an_offer_that_came_last_is_answered_without_the_store(void **state)
{
    (void)state;
    for (size_t reopened = 0; reopened < 2; reopened++) {
        struct fixture fixture;
        struct cl_candidate *candidate;
        fixture_open(&fixture, 1);
        fixture_block_of(&fixture, fixture_terms(&fixture.network, 1, 1, 1, 10, fixture.now_ms));
        if (reopened == 1) fixture_reopen(&fixture);
        struct cl_ledger_record *answer = fixture_subscribe_terms(&fixture.network, 2, 1, 1, 1, fixture.now_ms);
        FIXTURE_OK(cl_candidate_new(&candidate, fixture.ledger, NULL, fixture.now_ms + 1000));
        cl_store_mem_fail_at(&fixture.store, 1, CL_E_STORE_IO);
        assert_int_equal(cl_candidate_add(candidate, answer, NULL), reopened == 1 ? CL_E_STORE_IO : CL_OK);
        cl_store_mem_fail_at(&fixture.store, 0, CL_OK);
        cl_candidate_free(candidate);
        cl_ledger_record_unref(answer);
        fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_found_is_what_was_put_last),
        cmocka_unit_test(the_newest_stay_and_the_oldest_go),
        cmocka_unit_test(what_changes_in_time_outlives_what_came_with_it),
        cmocka_unit_test(what_is_too_long_is_not_kept_and_its_old_value_goes),
        cmocka_unit_test(an_offer_that_came_last_is_answered_without_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
