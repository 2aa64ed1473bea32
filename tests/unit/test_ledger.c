/* The ledger in memory: evaluating and committing blocks, opening again, and what is kept besides blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checkpoint.h"
#include "crypto.h"
#include "fixture.h"
#include "vectors.h"

#define SLOTS_BOTH 3u

static void genesis_is_one_state_leaf_over_the_network_entry(void **state)
{
    struct fixture fixture;
    struct cl_tip tip;
    struct cl_ledger_view *view;
    struct cl_buffer leaf = {0}, value = {0};
    struct cl_state_leaf decoded;
    struct cl_smt_leaf entry;
    struct cl_hash key, root;
    struct cl_leaf_hash leaf_hash;
    uint8_t key_hash[32];
    (void)state;
    fixture_open(&fixture, 3);
    cl_ledger_tip(fixture.ledger, &tip);
    assert_int_equal(tip.height, 0);
    assert_int_equal(tip.log_size, 1);
    FIXTURE_OK(cl_ledger_view_new(&view, fixture.ledger));
    FIXTURE_OK(cl_view_leaf(view, &leaf, 0));
    FIXTURE_OK(cl_state_leaf_decode(&decoded, leaf.data, leaf.length));
    assert_int_equal(decoded.record_count, 0);
    assert_int_equal(decoded.time_ms, FIXTURE_START_MS);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(decoded.previous.bytes[i], 0);
    cl_network_key(&key);
    FIXTURE_OK(cl_view_state(view, &value, key.bytes));
    cl_sha256_once(key_hash, key.bytes, 32);
    cl_smt_leaf_make(&entry, key_hash, value.data, value.length);
    assert_memory_equal(decoded.state_root.bytes, entry.leaf_hash, 32);
    FIXTURE_OK(cl_member_set_hash(&root, fixture.network.genesis.value.members, 3));
    assert_memory_equal(decoded.member_set.bytes, root.bytes, 32);
    cl_log_leaf_hash(&leaf_hash, leaf.data, leaf.length);
    assert_memory_equal(tip.log_root.bytes, leaf_hash.bytes, 32);
    cl_buffer_deinit(&leaf);
    cl_buffer_deinit(&value);
    cl_ledger_view_free(view);
    fixture_close(&fixture);
}

static void a_store_is_made_once_and_belongs_to_one_network(void **state)
{
    struct fixture fixture;
    struct fixture_network other;
    struct cl_ledger *ledger;
    struct cl_store empty;
    (void)state;
    fixture_open(&fixture, 1);
    fixture_network_make(&other, 2);
    assert_int_equal(cl_ledger_create(&fixture.store, &fixture.network.genesis), CL_E_EXISTS);
    assert_int_equal(cl_ledger_create(&fixture.store, &other.genesis), CL_E_EXISTS);
    assert_int_equal(cl_ledger_open(&ledger, &fixture.store, &fixture.buckets, &other.genesis, NULL, NULL), CL_E_STORE_OTHER);
    assert_null(ledger);
    FIXTURE_OK(cl_store_mem_open(&empty));
    assert_int_equal(cl_ledger_open(&ledger, &empty, &fixture.buckets, &other.genesis, NULL, NULL), CL_E_NOT_FOUND);
    empty.close(empty.context);
    fixture_close(&fixture);
}

static void put_format(struct cl_store *store, uint8_t version)
{
    uint8_t value[8] = {0, 0, 0, version};
    uint32_t crc = cl_crc32c('m', value, 4);
    for (unsigned i = 0; i < 4; i++)
        value[4 + i] = (uint8_t)(crc >> (24 - 8 * i));
    struct cl_store_batch *batch = store->batch_new(store->context);
    store->batch_put(batch, (const uint8_t *)"mformat", 7, value, sizeof value);
    FIXTURE_OK(store->batch_write(store->context, batch, true));
    store->batch_free(batch);
}

static void a_newer_format_is_refused(void **state)
{
    struct fixture fixture;
    struct cl_ledger *ledger;
    (void)state;
    fixture_open(&fixture, 1);
    put_format(&fixture.store, 2);
    assert_int_equal(cl_ledger_open(&ledger, &fixture.store, &fixture.buckets, &fixture.network.genesis, NULL, NULL), CL_E_STORE_NEWER);
    put_format(&fixture.store, 1);
    fixture_reopen(&fixture);
    fixture_close(&fixture);
}

static void an_agreement_becomes_active_and_is_withdrawn(void **state)
{
    struct fixture fixture;
    struct cl_object_id object;
    struct cl_agreement agreement;
    struct cl_tip tip;
    (void)state;
    fixture_open(&fixture, 1);
    fixture_agreement(&fixture, &object, 1);
    fixture_agreement_read(&fixture, &agreement, &object);
    assert_int_equal(agreement.status, CL_ACTIVE);
    assert_int_equal(agreement.last_index, 3);
    assert_int_equal(cl_agreement_check(&agreement, SLOTS_BOTH, fixture.now_ms), CL_OK);
    fixture_block_of(&fixture, fixture_act(&fixture.network, CL_REVOKE, 1, &object, NULL, fixture.now_ms));
    fixture_agreement_read(&fixture, &agreement, &object);
    assert_int_equal(agreement.status, CL_WITHDRAWN);
    cl_ledger_tip(fixture.ledger, &tip);
    assert_int_equal(tip.height, 3);
    assert_int_equal(tip.log_size, 7);
    fixture_close(&fixture);
}

static void a_record_applies_once(void **state)
{
    struct fixture fixture;
    struct cl_candidate *first, *second;
    struct cl_candidate_summary summary;
    uint32_t refused;
    (void)state;
    fixture_open(&fixture, 1);
    struct cl_ledger_record *grant = fixture_grant(&fixture.network, 1, 1, 2, fixture.now_ms);
    FIXTURE_OK(cl_candidate_new(&first, fixture.ledger, NULL, fixture.now_ms + 1));
    FIXTURE_OK(cl_candidate_add(first, grant, NULL));
    assert_int_equal(cl_candidate_add(first, grant, &refused), CL_E_REPLAY); /* in the block itself */
    FIXTURE_OK(cl_candidate_seal(first, &summary));
    FIXTURE_OK(cl_candidate_new(&second, fixture.ledger, first, fixture.now_ms + 2));
    assert_int_equal(cl_candidate_add(second, grant, &refused), CL_E_REPLAY); /* in its parent */
    cl_candidate_free(second);
    FIXTURE_OK(cl_ledger_commit(fixture.ledger, first, 1, 0, NULL, 0));
    cl_candidate_free(first);
    assert_int_equal(cl_ledger_try(fixture.ledger, &grant->record, fixture.now_ms + 3, &refused), CL_E_REPLAY); /* final */
    cl_ledger_record_unref(grant);
    fixture_close(&fixture);
}

static void withdrawals_come_first_in_a_block(void **state)
{
    struct fixture fixture;
    struct cl_object_id object;
    struct cl_candidate *candidate;
    struct cl_candidate_summary summary;
    (void)state;
    fixture_open(&fixture, 1);
    fixture_agreement(&fixture, &object, 1);
    struct cl_ledger_record *revoke = fixture_act(&fixture.network, CL_REVOKE, 1, &object, NULL, fixture.now_ms);
    struct cl_ledger_record *grant = fixture_grant(&fixture.network, 3, 1, 2, fixture.now_ms);
    FIXTURE_OK(cl_candidate_new(&candidate, fixture.ledger, NULL, fixture.now_ms + 1));
    FIXTURE_OK(cl_candidate_add(candidate, grant, NULL));
    assert_int_equal(cl_candidate_add(candidate, revoke, NULL), CL_E_BLOCK_ORDER);
    assert_int_equal(cl_candidate_count(candidate), 1);
    cl_candidate_free(candidate);
    FIXTURE_OK(cl_candidate_new(&candidate, fixture.ledger, NULL, fixture.now_ms + 1));
    FIXTURE_OK(cl_candidate_add(candidate, revoke, NULL));
    FIXTURE_OK(cl_candidate_add(candidate, grant, NULL));
    FIXTURE_OK(cl_candidate_seal(candidate, &summary));
    assert_int_equal(cl_candidate_count(candidate), 2);
    assert_ptr_equal(cl_candidate_record(candidate, 1), grant);
    cl_candidate_free(candidate);
    cl_ledger_record_unref(revoke);
    cl_ledger_record_unref(grant);
    fixture_close(&fixture);
}

static void a_refused_record_leaves_no_trace_in_the_block(void **state)
{
    struct fixture fixture;
    struct cl_candidate *clean, *tried;
    struct cl_candidate_summary expected, got;
    struct cl_object_id missing;
    (void)state;
    fixture_open(&fixture, 1);
    fixture_object(&missing, 7, 7);
    struct cl_ledger_record *grant = fixture_grant(&fixture.network, 1, 1, 2, fixture.now_ms);
    struct cl_ledger_record *early = fixture_subscribe(&fixture.network, 2, 9, 1, fixture.now_ms);
    FIXTURE_OK(cl_candidate_new(&clean, fixture.ledger, NULL, fixture.now_ms + 1));
    FIXTURE_OK(cl_candidate_add(clean, grant, NULL));
    FIXTURE_OK(cl_candidate_seal(clean, &expected));
    FIXTURE_OK(cl_candidate_new(&tried, fixture.ledger, NULL, fixture.now_ms + 1));
    assert_int_equal(cl_candidate_add(tried, early, NULL), CL_E_NO_OBJECT);
    FIXTURE_OK(cl_candidate_add(tried, grant, NULL));
    assert_int_equal(cl_candidate_add(tried, early, NULL), CL_E_NO_OBJECT);
    FIXTURE_OK(cl_candidate_seal(tried, &got));
    assert_memory_equal(&expected.id, &got.id, sizeof got.id);
    cl_candidate_free(clean);
    cl_candidate_free(tried);
    cl_ledger_record_unref(grant);
    cl_ledger_record_unref(early);
    fixture_close(&fixture);
}

static void the_networks_parameters_limit_a_block(void **state)
{
    struct fixture fixture;
    struct fixture_network network;
    struct cl_ledger *ledger;
    struct cl_store store;
    struct cl_smt_buckets buckets;
    struct cl_candidate *candidate;
    (void)state;
    fixture_open(&fixture, 1); /* for its people */
    network = fixture.network;
    network.genesis.value.parameters.block_records_max = 2;
    FIXTURE_OK(cl_store_mem_open(&store));
    FIXTURE_OK(cl_buckets_memory_new(&buckets));
    FIXTURE_OK(cl_ledger_create(&store, &network.genesis));
    FIXTURE_OK(cl_ledger_open(&ledger, &store, &buckets, &network.genesis, NULL, NULL));
    struct cl_ledger_record *records[3];
    for (uint64_t i = 0; i < 3; i++)
        records[i] = fixture_grant(&network, 1, i, 2, FIXTURE_START_MS);
    FIXTURE_OK(cl_candidate_new(&candidate, ledger, NULL, FIXTURE_START_MS + 1));
    FIXTURE_OK(cl_candidate_add(candidate, records[0], NULL));
    FIXTURE_OK(cl_candidate_add(candidate, records[1], NULL));
    assert_int_equal(cl_candidate_add(candidate, records[2], NULL), CL_E_BLOCK_SIZE);
    cl_candidate_free(candidate);
    cl_ledger_close(ledger);
    cl_buckets_free(&buckets);
    store.close(store.context);
    for (size_t i = 0; i < 3; i++)
        cl_ledger_record_unref(records[i]);
    fixture_close(&fixture);
}

static void a_blocks_time_is_after_its_parents(void **state)
{
    struct fixture fixture;
    struct cl_candidate *candidate;
    (void)state;
    fixture_open(&fixture, 1);
    assert_int_equal(cl_candidate_new(&candidate, fixture.ledger, NULL, FIXTURE_START_MS), CL_E_BLOCK_INVALID);
    assert_null(candidate);
    fixture_close(&fixture);
}

/* Two branches over one tip; one wins; the other can no longer be used, and its memory is let go in any order. */
static void the_losing_branch_is_refused(void **state)
{
    struct fixture fixture;
    struct cl_candidate *left, *right, *child;
    struct cl_candidate_summary summary, child_summary;
    (void)state;
    fixture_open(&fixture, 1);
    uint64_t issued = fixture.now_ms;
    struct cl_ledger_record *grant = fixture_grant(&fixture.network, 1, 1, 2, issued);
    struct cl_ledger_record *other = fixture_grant(&fixture.network, 3, 1, 2, issued);
    struct cl_ledger_record *answer = fixture_subscribe(&fixture.network, 2, 1, 1, issued);
    FIXTURE_OK(cl_candidate_new(&left, fixture.ledger, NULL, issued + 1));
    FIXTURE_OK(cl_candidate_add(left, grant, NULL));
    FIXTURE_OK(cl_candidate_seal(left, &summary));
    FIXTURE_OK(cl_candidate_new(&right, fixture.ledger, NULL, issued + 1));
    FIXTURE_OK(cl_candidate_add(right, other, NULL));
    FIXTURE_OK(cl_candidate_seal(right, &summary));
    FIXTURE_OK(cl_candidate_new(&child, fixture.ledger, left, issued + 2));
    FIXTURE_OK(cl_candidate_add(child, answer, NULL)); /* on what the parent left */
    FIXTURE_OK(cl_candidate_seal(child, &child_summary));
    assert_int_equal(cl_ledger_commit(fixture.ledger, child, 2, 1, NULL, 0), CL_E_BLOCK_INVALID); /* parent first */
    FIXTURE_OK(cl_ledger_commit(fixture.ledger, left, 1, 0, NULL, 0));
    cl_candidate_free(left); /* the child still stands on it */
    assert_int_equal(cl_ledger_commit(fixture.ledger, right, 1, 0, NULL, 0), CL_E_BLOCK_INVALID);
    FIXTURE_OK(cl_ledger_commit(fixture.ledger, child, 2, 1, NULL, 0));
    cl_candidate_free(right);
    cl_candidate_free(child);
    cl_ledger_record_unref(grant);
    cl_ledger_record_unref(other);
    cl_ledger_record_unref(answer);
    fixture_reopen(&fixture);
    struct cl_tip tip;
    cl_ledger_tip(fixture.ledger, &tip);
    assert_memory_equal(&tip.block, &child_summary.id, sizeof tip.block);
    fixture_close(&fixture);
}

static void another_blocks_certificate_is_refused(void **state)
{
    struct fixture fixture;
    struct cl_candidate *candidate;
    struct cl_candidate_summary summary;
    struct cl_block_id other = {{1}};
    struct cl_certificate notarized;
    struct cl_buffer certificate = {0};
    (void)state;
    fixture_open(&fixture, 1);
    FIXTURE_OK(cl_candidate_new(&candidate, fixture.ledger, NULL, fixture.now_ms + 1));
    FIXTURE_OK(cl_candidate_seal(candidate, &summary));
    fixture_certificate(&certificate, &fixture.network, 0, 1, &other);
    assert_int_equal(cl_ledger_commit(fixture.ledger, candidate, 1, 0, certificate.data, certificate.length), CL_E_CERTIFICATE);
    certificate.length = 0;
    fixture_certificate(&certificate, &fixture.network, 1, 1, &summary.id); /* of another epoch */
    assert_int_equal(cl_ledger_commit(fixture.ledger, candidate, 1, 0, certificate.data, certificate.length), CL_E_CERTIFICATE);
    FIXTURE_OK(cl_certificate_decode(&notarized, certificate.data, certificate.length));
    notarized.epoch = 0;
    notarized.kind = CL_VOTE_NOTARIZE; /* not yet final */
    certificate.length = 0;
    FIXTURE_OK(cl_certificate_encode(&certificate, &notarized));
    assert_int_equal(cl_ledger_commit(fixture.ledger, candidate, 1, 0, certificate.data, certificate.length), CL_E_CERTIFICATE);
    certificate.length = 0;
    fixture_certificate(&certificate, &fixture.network, 0, 1, &summary.id);
    assert_int_equal(cl_ledger_commit(fixture.ledger, candidate, 2, 0, certificate.data, certificate.length), CL_E_CERTIFICATE);
    FIXTURE_OK(cl_ledger_commit(fixture.ledger, candidate, 1, 0, certificate.data, certificate.length));
    cl_candidate_free(candidate);
    cl_buffer_deinit(&certificate);
    fixture_close(&fixture);
}

/* Another implementation's chain: its genesis, records and certificate give its roots, ids and stored bytes here. */
static void the_chain_of_the_vectors_comes_out_the_same(void **state)
{
    json_t *blocks = vectors_load("tests/vectors/blocks.json"), *agreement = vectors_load("tests/vectors/agreement.json");
    const json_t *chain = vectors_item(blocks, "chain"), *values = json_object_get(chain, "state");
    const json_t *records = json_object_get(chain, "records");
    struct cl_store store;
    struct cl_smt_buckets buckets;
    struct cl_ledger *ledger;
    struct cl_genesis genesis = {.origin = "ledger.example/consent"};
    struct cl_candidate *candidate;
    struct cl_candidate_summary summary;
    struct cl_ledger_view *view;
    struct cl_buffer read = {0};
    struct cl_hash network_key;
    struct cl_tip tip;
    uint8_t expected[32];
    (void)state;
    vectors_fixed(genesis.network.bytes, 32, chain, "network_id");
    genesis.time_ms = vectors_number(json_object_get(chain, "genesis_ms"));
    cl_network_key(&network_key);
    for (size_t i = 0; i < json_array_size(values); i++) {
        const json_t *entry = json_array_get(values, i);
        vectors_fixed(expected, 32, entry, "key");
        if (memcmp(expected, network_key.bytes, 32) != 0)
            continue;
        struct cl_buffer value = vectors_bytes(entry, "value");
        FIXTURE_OK(cl_network_decode(&genesis.value, value.data, value.length));
        cl_buffer_deinit(&value);
    }
    FIXTURE_OK(cl_store_mem_open(&store));
    FIXTURE_OK(cl_buckets_memory_new(&buckets));
    FIXTURE_OK(cl_ledger_create(&store, &genesis));
    FIXTURE_OK(cl_ledger_open(&ledger, &store, &buckets, &genesis, NULL, NULL));
    cl_ledger_tip(ledger, &tip);
    vectors_fixed(expected, 32, chain, "genesis_block_id");
    assert_memory_equal(tip.block.bytes, expected, 32);

    struct cl_state_leaf leaf;
    struct cl_buffer bytes = vectors_bytes(vectors_item(blocks, "state_leaf"), "hex");
    FIXTURE_OK(cl_state_leaf_decode(&leaf, bytes.data, bytes.length));
    cl_buffer_deinit(&bytes);
    FIXTURE_OK(cl_candidate_new(&candidate, ledger, NULL, leaf.time_ms));
    for (size_t i = 0; i < json_array_size(records); i++) {
        struct cl_ledger_record *record;
        bytes = vectors_bytes_of(json_array_get(records, i));
        FIXTURE_OK(cl_ledger_record_new(&record, NULL, bytes.data, bytes.length, &genesis.network));
        FIXTURE_OK(cl_candidate_add(candidate, record, NULL));
        cl_ledger_record_unref(record);
        cl_buffer_deinit(&bytes);
    }
    FIXTURE_OK(cl_candidate_seal(candidate, &summary));
    vectors_fixed(expected, 32, chain, "state_root");
    assert_memory_equal(summary.state_root.bytes, expected, 32);
    vectors_fixed(expected, 32, chain, "log_root");
    assert_memory_equal(summary.log_root.bytes, expected, 32);
    vectors_fixed(expected, 32, chain, "block_id");
    assert_memory_equal(summary.id.bytes, expected, 32);
    bytes = vectors_bytes(vectors_item(agreement, "certificate_finalize"), "hex");
    FIXTURE_OK(cl_ledger_commit(ledger, candidate, 2, 0, bytes.data, bytes.length));
    cl_buffer_deinit(&bytes);
    cl_candidate_free(candidate);

    FIXTURE_OK(cl_ledger_view_new(&view, ledger));
    const char *names[] = {"stored_block_genesis", "stored_block"};
    for (uint64_t height = 0; height < 2; height++) {
        bytes = vectors_bytes(vectors_item(blocks, names[height]), "hex");
        FIXTURE_OK(cl_view_block(view, &read, height));
        assert_int_equal(read.length, bytes.length);
        assert_memory_equal(read.data, bytes.data, bytes.length);
        cl_buffer_deinit(&bytes);
    }
    for (size_t i = 0; i < json_array_size(values); i++) {
        const json_t *entry = json_array_get(values, i);
        vectors_fixed(expected, 32, entry, "key");
        bytes = vectors_bytes(entry, "value");
        FIXTURE_OK(cl_view_state(view, &read, expected));
        assert_int_equal(read.length, bytes.length);
        assert_memory_equal(read.data, bytes.data, bytes.length);
        cl_buffer_deinit(&bytes);
    }
    cl_buffer_deinit(&read);
    cl_ledger_view_free(view);
    cl_ledger_close(ledger);
    cl_buckets_free(&buckets);
    store.close(store.context);
    json_decref(blocks);
    json_decref(agreement);
}

/* ---- what is kept besides blocks */

static enum cl_status count_one(void *context, const uint8_t *bytes, size_t length)
{
    (void)bytes;
    assert_true(length > 0);
    ++*(size_t *)context;
    return CL_OK;
}

static size_t withdrawals_kept(struct fixture *fixture)
{
    size_t count = 0;
    FIXTURE_OK(cl_ledger_withdrawals(fixture->ledger, count_one, &count));
    return count;
}

static void a_promised_withdrawal_is_kept_until_it_is_final(void **state)
{
    struct fixture fixture;
    struct cl_object_id object, other;
    (void)state;
    fixture_open(&fixture, 1);
    fixture_agreement(&fixture, &object, 1);
    fixture_agreement(&fixture, &other, 3);
    struct cl_ledger_record *revoke = fixture_act(&fixture.network, CL_REVOKE, 1, &object, NULL, fixture.now_ms);
    struct cl_ledger_record *suspend = fixture_act(&fixture.network, CL_SUSPEND, 3, &other, NULL, fixture.now_ms);
    FIXTURE_OK(cl_ledger_withdrawal_keep(fixture.ledger, revoke));
    FIXTURE_OK(cl_ledger_withdrawal_keep(fixture.ledger, suspend));
    fixture_reopen(&fixture);
    assert_int_equal(withdrawals_kept(&fixture), 2);
    fixture_block_of(&fixture, revoke);
    assert_int_equal(withdrawals_kept(&fixture), 1);
    FIXTURE_OK(cl_ledger_withdrawal_drop(fixture.ledger, &suspend->record.leaf_hash));
    assert_int_equal(withdrawals_kept(&fixture), 0);
    cl_ledger_record_unref(suspend);
    fixture_close(&fixture);
}

static void a_checkpoint_that_contradicts_is_a_fork(void **state)
{
    struct fixture fixture;
    struct cl_ledger_view *view;
    struct cl_buffer note = {0}, read = {0};
    struct cl_tip first, tip;
    struct cl_hash wrong = {{1}};
    (void)state;
    fixture_open(&fixture, 3);
    fixture_block_of(&fixture, fixture_grant(&fixture.network, 1, 1, 2, fixture.now_ms));
    cl_ledger_tip(fixture.ledger, &first);
    fixture_block_of(&fixture, fixture_grant(&fixture.network, 3, 1, 2, fixture.now_ms));
    cl_ledger_tip(fixture.ledger, &tip);
    const uint8_t text[] = "note";
    assert_int_equal(cl_ledger_checkpoint_keep(fixture.ledger, tip.log_size, &wrong, text, 4), CL_E_FORK);
    assert_int_equal(cl_ledger_checkpoint_keep(fixture.ledger, tip.log_size + 1, &tip.log_root, text, 4), CL_E_FORK);
    assert_int_equal(cl_ledger_checkpoint_keep(fixture.ledger, first.log_size, &tip.log_root, text, 4), CL_E_FORK);
    FIXTURE_OK(cl_ledger_checkpoint_keep(fixture.ledger, first.log_size, &first.log_root, text, 4));
    fixture_checkpoint(&fixture, &note, FIXTURE_START_MS / 1000 + 10);
    assert_int_equal(cl_ledger_checkpoint_keep(fixture.ledger, first.log_size, &first.log_root, text, 4), CL_E_FORK);
    fixture_reopen(&fixture);
    assert_int_equal(cl_ledger_checkpoint_keep(fixture.ledger, first.log_size, &first.log_root, text, 4), CL_E_FORK);
    FIXTURE_OK(cl_ledger_view_new(&view, fixture.ledger));
    FIXTURE_OK(cl_view_checkpoint(view, &read));
    assert_int_equal(read.length, note.length);
    assert_memory_equal(read.data, note.data, note.length);
    cl_ledger_view_free(view);
    cl_buffer_deinit(&note);
    cl_buffer_deinit(&read);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(genesis_is_one_state_leaf_over_the_network_entry),
        cmocka_unit_test(a_store_is_made_once_and_belongs_to_one_network),
        cmocka_unit_test(a_newer_format_is_refused),
        cmocka_unit_test(an_agreement_becomes_active_and_is_withdrawn),
        cmocka_unit_test(a_record_applies_once),
        cmocka_unit_test(withdrawals_come_first_in_a_block),
        cmocka_unit_test(a_refused_record_leaves_no_trace_in_the_block),
        cmocka_unit_test(the_networks_parameters_limit_a_block),
        cmocka_unit_test(a_blocks_time_is_after_its_parents),
        cmocka_unit_test(the_losing_branch_is_refused),
        cmocka_unit_test(another_blocks_certificate_is_refused),
        cmocka_unit_test(the_chain_of_the_vectors_comes_out_the_same),
        cmocka_unit_test(a_promised_withdrawal_is_kept_until_it_is_final),
        cmocka_unit_test(a_checkpoint_that_contradicts_is_a_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
