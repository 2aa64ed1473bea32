/* What outsiders and lying proposers may try on the ledger itself: cost, order, replay, half-done records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "crypto.h"
#include "fixture.h"
#include "ledger_internal.h"

/* ---- cost */

/* The longest walk that a look-up can take: a run of taken slots. */
static uint32_t longest_run(const struct cl_map *map)
{
    uint32_t run = 0, longest = 0;
    for (uint32_t i = 0; i < 2 * map->slot_count; i++) {
        run = map->slots[i % map->slot_count] != 0 ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

/* Ids are hashes of nonces of their maker's choice: a few chosen bits cost him seconds. */
static void chosen_ids_do_not_crowd_one_place(void **state)
{
    struct cl_map map = {.seed = 0x9e3779b97f4a7c15u};
    (void)state;
    for (uint64_t i = 0; i < 20000; i++) {
        uint8_t key[32];
        fixture_hash(key, "chosen", i);
        for (size_t k = 0; k < 4; k++)
            key[k] = 0; /* more than anybody would grind for each of 20,000 */
        assert_non_null(cl_map_insert(&map, key, key));
        assert_non_null(cl_map_find(&map, key));
    }
    assert_true(longest_run(&map) < 200);
    cl_map_deinit(&map);
}

static void each_opening_draws_its_own_seed(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_open(&fixture, 1);
    uint64_t seed = fixture.ledger->seed;
    fixture_reopen(&fixture);
    assert_true(seed != fixture.ledger->seed); /* by chance once in 2^64 */
    struct cl_candidate *candidate;
    FIXTURE_OK(cl_candidate_new(&candidate, fixture.ledger, NULL, fixture.now_ms + 1));
    assert_true(candidate->map.seed == fixture.ledger->seed);
    cl_candidate_free(candidate);
    fixture_close(&fixture);
}

/* ---- replay, branches, half-done records */

/* The same message with another signature of its signer: other bytes, another leaf, the same id. */
static struct cl_ledger_record *signed_again(const struct fixture *fixture, const struct cl_ledger_record *record)
{
    const struct cl_record *decoded = &record->record;
    struct cl_buffer bytes = {0};
    struct cl_ledger_record *again;
    FIXTURE_OK(cl_buffer_append(&bytes, decoded->bytes.data, decoded->bytes.length));
    bytes.data[bytes.length - 64] ^= 1; /* that it is not a good one makes no difference here: nodes check before */
    FIXTURE_OK(cl_ledger_record_new(&again, NULL, bytes.data, bytes.length, &fixture->network.genesis.network));
    assert_memory_equal(again->record.id.bytes, decoded->id.bytes, 32);
    assert_memory_not_equal(again->record.leaf_hash.bytes, decoded->leaf_hash.bytes, 32);
    cl_buffer_deinit(&bytes);
    return again;
}

static struct cl_ledger_record *statement(struct fixture *fixture, bool skip_refused, uint64_t key)
{
    struct cl_object_id object;
    static const uint8_t commitment[32] = {3};
    fixture_object(&object, key, 1);
    struct cl_entry entry = {.present = CL_HAS(1) | CL_HAS(3) | CL_HAS(4) | CL_HAS(5), .object_length = 32, .object = object.bytes,
                             .commitment = commitment, .not_before = 1, .not_after = 2};
    struct cl_draft draft = {.type = CL_STATEMENT, .skip_refused = skip_refused, .issued_at_ms = fixture->now_ms, .entries = &entry, .entry_count = 1};
    struct cl_signer signer;
    struct cl_buffer bytes = {0};
    struct cl_ledger_record *record;
    fixture_signer(&signer, key);
    FIXTURE_OK(cl_record_sign(&bytes, NULL, NULL, &draft, &signer, &fixture->network.genesis.network));
    FIXTURE_OK(cl_ledger_record_new(&record, NULL, bytes.data, bytes.length, &fixture->network.genesis.network));
    cl_buffer_deinit(&bytes);
    return record;
}

/* STATEMENT changes no state, so nothing but the ids stands in the way of a replay: within one block, on top of a block
   that is not final, in the final log; all or nothing or not; under the same signature or another. */
static void an_id_applies_once_wherever_it_was(void **state)
{
    (void)state;
    for (int lenient = 0; lenient < 2; lenient++) {
        struct fixture fixture;
        struct cl_candidate *below, *above;
        struct cl_candidate_summary summary;
        struct cl_buffer certificate = {0};
        fixture_open(&fixture, 1);
        fixture_block_of(&fixture, fixture_profile(&fixture.network, 5, 1, fixture.now_ms));
        struct cl_ledger_record *record = statement(&fixture, lenient != 0, 5), *again = signed_again(&fixture, record);
        FIXTURE_OK(cl_candidate_new(&below, fixture.ledger, NULL, fixture.now_ms + 1000));
        assert_int_equal(cl_candidate_add(below, record, NULL), CL_OK);
        assert_int_equal(cl_candidate_add(below, record, NULL), CL_E_REPLAY);
        assert_int_equal(cl_candidate_add(below, again, NULL), CL_E_REPLAY);
        assert_int_equal(cl_candidate_count(below), 1);
        FIXTURE_OK(cl_candidate_seal(below, &summary));
        FIXTURE_OK(cl_candidate_new(&above, fixture.ledger, below, fixture.now_ms + 2000));
        assert_int_equal(cl_candidate_add(above, again, NULL), CL_E_REPLAY);
        fixture_certificate(&certificate, &fixture.network, 0, 7, &summary.id);
        FIXTURE_OK(cl_ledger_commit(fixture.ledger, below, 7, 0, certificate.data, certificate.length));
        assert_int_equal(cl_candidate_add(above, record, NULL), CL_E_REPLAY);
        assert_int_equal(cl_ledger_try(fixture.ledger, &again->record, fixture.now_ms + 3000, NULL), CL_E_REPLAY);
        assert_int_equal(cl_candidate_count(above), 0);
        cl_candidate_free(above);
        cl_candidate_free(below);
        cl_ledger_record_unref(record);
        cl_ledger_record_unref(again);
        cl_buffer_deinit(&certificate);
        fixture_close(&fixture);
    }
}

/* Two blocks on one parent: neither sees the other's changes, and the order of trying leaves no trace in the roots. */
static void branches_do_not_see_each_other(void **state)
{
    struct fixture fixture;
    struct cl_candidate *left, *right, *twin;
    struct cl_candidate_summary left_summary, right_summary, twin_summary;
    struct cl_object_id object;
    (void)state;
    fixture_open(&fixture, 1);
    uint64_t issued = fixture.now_ms, at = fixture.now_ms + 1000;
    fixture_block_of(&fixture, fixture_grant(&fixture.network, 1, 1, 2, issued));
    at = fixture.now_ms + 1000;
    fixture_object(&object, 1, 1);
    struct cl_ledger_record *subscribe = fixture_subscribe(&fixture.network, 2, 1, 1, issued);
    struct cl_ledger_record *revoke = fixture_act(&fixture.network, CL_REVOKE, 1, &object, NULL, issued);
    struct cl_ledger_record *suspend = fixture_act(&fixture.network, CL_SUSPEND, 1, &object, NULL, issued);
    FIXTURE_OK(cl_candidate_new(&left, fixture.ledger, NULL, at));
    FIXTURE_OK(cl_candidate_new(&right, fixture.ledger, NULL, at));
    FIXTURE_OK(cl_candidate_new(&twin, fixture.ledger, NULL, at));
    assert_int_equal(cl_candidate_add(left, revoke, NULL), CL_OK);
    assert_int_equal(cl_candidate_add(left, subscribe, NULL), CL_E_FINAL);
    assert_int_equal(cl_candidate_add(right, suspend, NULL), CL_E_STATUS); /* an offer is not suspended */
    assert_int_equal(cl_candidate_add(right, subscribe, NULL), CL_OK);
    assert_int_equal(cl_candidate_add(right, subscribe, NULL), CL_E_REPLAY);
    assert_int_equal(cl_candidate_add(right, revoke, NULL), CL_E_BLOCK_ORDER);
    assert_int_equal(cl_candidate_add(twin, subscribe, NULL), CL_OK);
    FIXTURE_OK(cl_candidate_seal(left, &left_summary));
    FIXTURE_OK(cl_candidate_seal(right, &right_summary));
    FIXTURE_OK(cl_candidate_seal(twin, &twin_summary));
    assert_memory_equal(&right_summary, &twin_summary, sizeof twin_summary);
    assert_memory_not_equal(left_summary.state_root.bytes, right_summary.state_root.bytes, 32);
    cl_candidate_free(left);
    cl_candidate_free(right);
    cl_candidate_free(twin);
    cl_ledger_record_unref(subscribe);
    cl_ledger_record_unref(revoke);
    cl_ledger_record_unref(suspend);
    fixture_close(&fixture);
}

/* What was signed is never forgotten: a whole checkpoint of a log that is not in the store is no damage to be cleared. */
static void reindex_keeps_a_checkpoint_that_contradicts_the_blocks(void **state)
{
    struct fixture fixture, longer;
    struct cl_buffer note = {0}, value = {0}, after = {0};
    struct cl_table_key key;
    char detail[512];
    (void)state;
    fixture_open(&fixture, 1);
    fixture_open(&longer, 1);
    fixture_block_of(&longer, fixture_profile(&longer.network, 5, 1, longer.now_ms));
    fixture_checkpoint(&longer, &note, FIXTURE_START_MS / 1000 + 60);
    cl_key_meta(&key, "checkpoint");
    FIXTURE_OK(cl_store_get_key(&longer.store, &value, NULL, &key));
    struct cl_store_batch *batch = fixture.store.batch_new(fixture.store.context);
    cl_batch_put_key(&fixture.store, batch, &key, value.data, value.length);
    FIXTURE_OK(fixture.store.batch_write(fixture.store.context, batch, true));
    fixture.store.batch_free(batch);
    assert_int_equal(fixture_audit(&fixture.store, &fixture.network.genesis, false, detail, sizeof detail), CL_E_STORE_CORRUPT);
    assert_non_null(strstr(detail, "contradicts"));
    assert_int_equal(fixture_audit(&fixture.store, &fixture.network.genesis, true, detail, sizeof detail), CL_E_STORE_CORRUPT);
    FIXTURE_OK(cl_store_get_key(&fixture.store, &after, NULL, &key));
    assert_int_equal(after.length, value.length);
    assert_memory_equal(after.data, value.data, value.length);
    cl_buffer_deinit(&note);
    cl_buffer_deinit(&value);
    cl_buffer_deinit(&after);
    fixture_close(&fixture);
    fixture_close(&longer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_ids_do_not_crowd_one_place), cmocka_unit_test(each_opening_draws_its_own_seed),
        cmocka_unit_test(an_id_applies_once_wherever_it_was), cmocka_unit_test(branches_do_not_see_each_other),
        cmocka_unit_test(reindex_keeps_a_checkpoint_that_contradicts_the_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
