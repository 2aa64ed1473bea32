/* State values, state trees and logs against bytes that another implementation made from formats.cddl alone: every
   field that our reader finds is the one that its writer put there. Proofs are in test_vectors_proof.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "buckets.h"
#include "consent/state.h"
#include "crypto.h"
#include "fixture.h"
#include "log.h"
#include "vectors.h"

/* ---- one field of an array against one member of a struct */
static void same_number(uint64_t found, const json_t *array, size_t at)
{
    assert_int_equal(found, vectors_number(json_array_get(array, at)));
}
static void same_bytes(const uint8_t *found, size_t length, const json_t *array, size_t at)
{
    uint8_t expected[64];
    assert_true(length <= sizeof expected);
    vectors_fixed_of(expected, length, json_array_get(array, at));
    assert_memory_equal(found, expected, length);
}
static void same_time(const struct cl_optional_time *found, const json_t *array, size_t at)
{
    assert_int_equal(found->present, !json_is_null(json_array_get(array, at)));
    if (found->present)
        same_number(found->seconds, array, at);
}
static void same_hash(const struct cl_optional_hash *found, const json_t *array, size_t at)
{
    assert_int_equal(found->present, !json_is_null(json_array_get(array, at)));
    if (found->present)
        same_bytes(found->bytes, 32, array, at);
}
static void same_party(const struct cl_party *found, const json_t *array, size_t at)
{
    const char *text = json_string_value(json_array_get(array, at));
    assert_int_equal(found->length, text == NULL ? 0 : strlen(text) / 2);
    if (found->length != 0)
        same_bytes(found->bytes, found->length, array, at);
}
static void same_audience(const struct cl_audience *found, const json_t *array, size_t at)
{
    const json_t *audience = json_array_get(array, at);
    assert_int_equal(found->kind, json_is_null(audience) ? 0 : vectors_number(json_array_get(audience, 0)));
    if (found->kind != 0)
        same_bytes(found->bytes, found->kind == 1 ? 32 : 33, audience, 1);
}
static void same_delegations(const struct cl_delegation *found, size_t count, const json_t *array, size_t at)
{
    const json_t *list = json_array_get(array, at);
    assert_int_equal(count, json_array_size(list));
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_array_get(list, i);
        same_number(found[i].side, one, 0);
        same_bytes(found[i].key, 33, one, 1);
        same_number(found[i].powers, one, 2);
        same_number(found[i].until, one, 3);
    }
}

/* ---- whole values: decoded, compared field by field, written again */
static void agreement_is(struct cl_buffer *again, const struct cl_buffer *bytes, const json_t *value)
{
    struct cl_agreement found;
    FIXTURE_OK(cl_agreement_decode(&found, bytes->data, bytes->length));
    same_number(found.status, value, 2);
    same_number(found.turn, value, 3);
    same_party(&found.customer, value, 4);
    same_party(&found.organisation, value, 5);
    same_audience(&found.audience, value, 6);
    same_bytes(found.commitment, 32, value, 7);
    same_time(&found.not_before, value, 8);
    same_time(&found.not_after, value, 9);
    same_number(found.live, value, 10);
    same_number(found.due, value, 11);
    same_number(found.suspended, value, 12);
    same_number(found.flags, value, 13);
    const json_t *pending = json_array_get(value, 14);
    assert_int_equal(found.pending.present, !json_is_null(pending));
    if (found.pending.present) {
        same_bytes(found.pending.record_id, 32, pending, 0);
        same_number(found.pending.side, pending, 1);
        same_bytes(found.pending.commitment, 32, pending, 2);
        same_number(found.pending.slots, pending, 3);
        same_time(&found.pending.not_before, pending, 4);
        same_time(&found.pending.not_after, pending, 5);
    }
    same_hash(&found.terms, value, 15);
    same_hash(&found.recovery, value, 16);
    same_delegations(found.delegations, found.delegation_count, value, 17);
    same_bytes(found.head, 32, value, 18);
    same_number(found.last_index, value, 19);
    same_number(found.head_ms, value, 20);
    FIXTURE_OK(cl_agreement_encode(again, &found));
}

static void terms_are(struct cl_buffer *again, const struct cl_buffer *bytes, const json_t *value)
{
    struct cl_terms found;
    FIXTURE_OK(cl_terms_decode(&found, bytes->data, bytes->length));
    same_bytes(found.owner, 33, value, 2);
    same_bytes(found.commitment, 32, value, 3);
    same_time(&found.not_before, value, 4);
    same_time(&found.not_after, value, 5);
    same_number(found.slots, value, 6);
    same_number(found.mode, value, 7);
    same_number(found.limit, value, 8);
    same_number(found.answers, value, 9);
    same_audience(&found.audience, value, 10);
    same_hash(&found.successor, value, 11);
    same_number(found.open, value, 12);
    same_hash(&found.recovery, value, 13);
    same_delegations(found.delegations, found.delegation_count, value, 14);
    same_bytes(found.head, 32, value, 15);
    FIXTURE_OK(cl_terms_encode(again, &found));
}

static void profile_is(struct cl_buffer *again, const struct cl_buffer *bytes, const json_t *value)
{
    struct cl_profile found;
    FIXTURE_OK(cl_profile_decode(&found, bytes->data, bytes->length));
    same_bytes(found.key, 33, value, 2);
    same_bytes(found.delivery, 32, value, 3);
    same_bytes(found.commitment, 32, value, 4);
    same_bytes(found.recovery, 32, value, 5);
    same_delegations(found.delegations, found.delegation_count, value, 6);
    assert_int_equal(found.vouch_count, json_array_size(json_array_get(value, 7)));
    for (size_t i = 0; i < found.vouch_count; i++) {
        const json_t *vouch = json_array_get(json_array_get(value, 7), i);
        same_bytes(found.vouches[i].key, 33, vouch, 0);
        same_number(found.vouches[i].reason, vouch, 1);
        same_number(found.vouches[i].until, vouch, 2);
    }
    same_bytes(found.head, 32, value, 8);
    FIXTURE_OK(cl_profile_encode(again, &found));
}

static void answer_is(struct cl_buffer *again, const struct cl_buffer *bytes, const json_t *value)
{
    struct cl_object_id found;
    FIXTURE_OK(cl_answer_decode(&found, bytes->data, bytes->length));
    same_bytes(found.bytes, 32, value, 2);
    FIXTURE_OK(cl_answer_encode(again, &found));
}

static void network_is(struct cl_buffer *again, const struct cl_buffer *bytes, const json_t *value)
{
    struct cl_network *found = malloc(sizeof *found);
    assert_non_null(found);
    FIXTURE_OK(cl_network_decode(found, bytes->data, bytes->length));
    const uint64_t parameters[] = {found->parameters.epoch_length, found->parameters.block_records_max, found->parameters.block_bytes_max,
                                   found->parameters.d0_ms, found->parameters.fairness, found->parameters.open_reads};
    for (size_t i = 0; i < 6; i++)
        same_number(parameters[i], json_array_get(value, 2), i);
    assert_int_equal(found->member_count, json_array_size(json_array_get(value, 3)));
    for (size_t i = 0; i < found->member_count; i++) {
        const json_t *member = json_array_get(json_array_get(value, 3), i);
        assert_string_equal(found->members[i].name, json_string_value(json_array_get(member, 0)));
        same_bytes(found->members[i].vote, 32, member, 1);
        same_bytes(found->members[i].log, 32, member, 2);
        same_bytes(found->members[i].witness, 32, member, 3);
        same_bytes(found->members[i].party, 33, member, 4);
    }
    FIXTURE_OK(cl_network_encode(again, found));
    free(found);
}

static void every_field_of_a_state_value_is_where_the_layout_says(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/state.json");
    void (*const judges[])(struct cl_buffer *, const struct cl_buffer *, const json_t *) = {NULL, agreement_is, terms_are, profile_is, answer_is, network_is};
    size_t seen[6] = {0};
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i), *value = json_object_get(item, "value");
        if (value == NULL)
            continue; /* a tree */
        struct cl_buffer bytes = vectors_bytes(item, "hex"), again = {0};
        enum cl_state_kind kind;
        FIXTURE_OK(cl_state_kind_of(&kind, bytes.data, bytes.length));
        same_number(1, value, 0);
        same_number(kind, value, 1);
        judges[kind](&again, &bytes, value);
        assert_int_equal(again.length, bytes.length);
        assert_memory_equal(again.data, bytes.data, bytes.length);
        seen[kind]++;
        cl_buffer_deinit(&bytes);
        cl_buffer_deinit(&again);
    }
    for (size_t kind = 1; kind < 6; kind++)
        assert_true(seen[kind] > 0);
    json_decref(items);
}

static void tree_leaves_bind_key_and_value(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/state.json");
    size_t checked = 0;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        uint8_t key[32], path[32], expected[32];
        if (json_object_get(item, "value") == NULL)
            continue;
        struct cl_buffer bytes = vectors_bytes(item, "hex");
        struct cl_smt_leaf leaf;
        vectors_fixed(key, 32, item, "key");
        cl_sha256_once(path, key, 32);
        vectors_fixed(expected, 32, item, "path");
        assert_memory_equal(path, expected, 32);
        cl_smt_leaf_make(&leaf, path, bytes.data, bytes.length);
        vectors_fixed(expected, 32, item, "leaf");
        assert_memory_equal(leaf.key_hash, path, 32);
        assert_memory_equal(leaf.leaf_hash, expected, 32);
        cl_buffer_deinit(&bytes);
        checked++;
    }
    assert_true(checked >= 10);
    json_decref(items);
}

/* ---- state trees */
static void tree_comes_out(const json_t *item)
{
    const json_t *keys = json_object_get(item, "keys"), *values = json_object_get(item, "values"), *siblings = json_object_get(item, "siblings_of_first");
    struct cl_smt_buckets buckets;
    struct cl_smt *tree = NULL;
    struct cl_smt_overlay *overlay = NULL;
    struct cl_smt_path *path = malloc(sizeof *path);
    struct cl_smt_leaf leaf, first = {0};
    struct cl_hash root;
    uint8_t expected[32], key[32], value_hash[32] = {0};
    assert_non_null(path);
    FIXTURE_OK(cl_buckets_memory_new(&buckets));
    FIXTURE_OK(cl_smt_new(&tree, &buckets));
    FIXTURE_OK(cl_smt_overlay_new(&overlay, tree, NULL));
    for (size_t i = 0; i < json_array_size(keys); i++) {
        struct cl_buffer value = vectors_bytes_of(json_array_get(values, i));
        vectors_fixed_of(expected, 32, json_array_get(keys, i));
        cl_sha256_once(key, expected, 32);
        cl_smt_leaf_make(&leaf, key, value.data, value.length);
        FIXTURE_OK(cl_smt_overlay_put(overlay, &leaf));
        if (i == 0) {
            first = leaf;
            cl_sha256_once(value_hash, value.data, value.length);
        }
        cl_buffer_deinit(&value);
    }
    vectors_fixed(expected, 32, item, "hex");
    FIXTURE_OK(cl_smt_overlay_root(&root, overlay));
    assert_memory_equal(root.bytes, expected, 32);
    FIXTURE_OK(cl_smt_overlay_fold(overlay));
    cl_smt_overlay_free(overlay);
    FIXTURE_OK(cl_smt_prove(path, &leaf, tree, first.key_hash));
    assert_int_equal(path->count, json_array_size(siblings));
    for (size_t i = 0; i < path->count; i++)
        same_bytes(path->siblings[i].bytes, 32, siblings, i);
    FIXTURE_OK(cl_smt_check_existence(&root, first.key_hash, value_hash, path->siblings, path->count));
    value_hash[0] ^= 1;
    assert_int_equal(cl_smt_check_existence(&root, first.key_hash, value_hash, path->siblings, path->count), CL_E_PROOF);
    cl_smt_free(tree);
    cl_buckets_free(&buckets);
    free(path);
}

static void state_trees_have_the_roots_and_paths_of_the_vectors(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/state.json");
    size_t checked = 0;
    for (size_t i = 0; i < json_array_size(items); i++)
        if (vectors_is(json_array_get(items, i), "tree_of_")) {
            tree_comes_out(json_array_get(items, i));
            checked++;
        }
    assert_int_equal(checked, 5);
    json_decref(items);
}

/* ---- logs over the leaves H(00 || 00), H(00 || 01), … */
static enum cl_status read_leaves(void *context, struct cl_hash *out, unsigned tile_level, uint64_t first, unsigned count)
{
    (void)context;
    assert_int_equal(tile_level, 0);
    for (unsigned i = 0; i < count; i++) {
        uint8_t byte = (uint8_t)(first + i);
        struct cl_leaf_hash leaf;
        cl_log_leaf_hash(&leaf, &byte, 1);
        memcpy(out[i].bytes, leaf.bytes, 32);
    }
    return CL_OK;
}

static void same_path(const struct cl_hash *path, size_t count, const json_t *expected)
{
    assert_int_equal(count, json_array_size(expected));
    for (size_t i = 0; i < count; i++)
        same_bytes(path[i].bytes, 32, expected, i);
}

static void log_comes_out(const json_t *item)
{
    const struct cl_log_source source = {NULL, read_leaves};
    uint64_t size = vectors_number(json_object_get(item, "size"));
    const json_t *inclusion = json_object_get(item, "inclusion"), *consistency = json_object_get(item, "consistency");
    struct cl_hash root, older, path[CL_LOG_PATH_MAX];
    struct cl_leaf_hash leaf;
    size_t count;
    uint8_t expected[32];
    vectors_fixed(expected, 32, item, "hex");
    FIXTURE_OK(cl_log_root(&root, &source, size));
    assert_memory_equal(root.bytes, expected, 32);
    for (uint64_t index = 0; index < size; index++) {
        FIXTURE_OK(cl_log_inclusion(path, &count, &source, index, size));
        same_path(path, count, json_array_get(inclusion, index));
        cl_log_leaf_hash(&leaf, &(uint8_t){(uint8_t)index}, 1);
        FIXTURE_OK(cl_log_check_inclusion(&root, size, index, &leaf, path, count));
    }
    for (uint64_t size1 = 1; size1 <= size; size1++) {
        FIXTURE_OK(cl_log_consistency(path, &count, &source, size1, size));
        same_path(path, count, json_array_get(consistency, size1 - 1));
        FIXTURE_OK(cl_log_root(&older, &source, size1));
        FIXTURE_OK(cl_log_check_consistency(&older, size1, &root, size, path, count));
    }
}

static void logs_have_the_roots_and_paths_of_the_vectors(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/proofs.json");
    size_t checked = 0;
    for (size_t i = 0; i < json_array_size(items); i++)
        if (vectors_is(json_array_get(items, i), "log_of_")) {
            log_comes_out(json_array_get(items, i));
            checked++;
        }
    assert_int_equal(checked, 6);
    json_decref(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_a_state_value_is_where_the_layout_says),
        cmocka_unit_test(tree_leaves_bind_key_and_value),
        cmocka_unit_test(state_trees_have_the_roots_and_paths_of_the_vectors),
        cmocka_unit_test(logs_have_the_roots_and_paths_of_the_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
