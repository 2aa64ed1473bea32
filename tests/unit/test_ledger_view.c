/* What readers of the ledger see, on both stores: leaves, tiles, blocks, histories, parties, terms, and one tip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "ledger_internal.h"

/* ---- blocks, log and tiles */

/* Some blocks of several sizes, past two tiles; every leaf's path holds at the tip, and roots agree with a naive log. */
static void fill(struct fixture *fixture, size_t blocks)
{
    uint64_t customer = 100;
    for (size_t block = 0; block < blocks; block++) {
        struct cl_ledger_record *records[64];
        size_t count = block * 7 % 64 + 1;
        for (size_t i = 0; i < count; i++)
            records[i] = fixture_grant(&fixture->network, customer++, 1, 2, fixture->now_ms);
        fixture_block(fixture, records, count, NULL);
    }
}

static void check_log(struct fixture *fixture)
{
    struct cl_ledger_view *view;
    struct cl_log_frontier frontier;
    struct cl_tip tip;
    struct cl_hash path[CL_LOG_PATH_MAX], root;
    struct cl_buffer bytes = {0};
    size_t count;
    FIXTURE_OK(cl_ledger_view_new(&view, fixture->ledger));
    FIXTURE_OK(cl_view_tip(view, &tip));
    cl_log_frontier_init(&frontier);
    for (uint64_t i = 0; i < tip.log_size; i++) {
        struct cl_leaf_hash leaf;
        FIXTURE_OK(cl_view_leaf(view, &bytes, i));
        cl_log_leaf_hash(&leaf, bytes.data, bytes.length);
        cl_log_frontier_append(&frontier, &leaf);
        FIXTURE_OK(cl_view_inclusion(view, path, &count, i, tip.log_size));
        FIXTURE_OK(cl_log_check_inclusion(&tip.log_root, tip.log_size, i, &leaf, path, count));
        cl_log_frontier_root(&root, &frontier);
        struct cl_hash from_tiles;
        FIXTURE_OK(cl_view_log_root(view, &from_tiles, i + 1));
        assert_memory_equal(from_tiles.bytes, root.bytes, 32);
        FIXTURE_OK(cl_view_consistency(view, path, &count, i + 1, tip.log_size));
        FIXTURE_OK(cl_log_check_consistency(&root, i + 1, &tip.log_root, tip.log_size, path, count));
    }
    assert_memory_equal(root.bytes, tip.log_root.bytes, 32);
    assert_int_equal(cl_view_leaf(view, &bytes, tip.log_size), CL_E_NOT_FOUND);
    assert_int_equal(cl_view_inclusion(view, path, &count, 0, tip.log_size + 1), CL_E_NOT_FOUND);
    assert_int_equal(cl_view_log_root(view, &root, tip.log_size + 1), CL_E_NOT_FOUND);
    cl_buffer_deinit(&bytes);
    cl_ledger_view_free(view);
}

static void check_tiles(struct fixture *fixture)
{
    struct cl_ledger_view *view;
    struct cl_tip tip;
    struct cl_buffer tile = {0}, entries = {0}, leaf = {0};
    FIXTURE_OK(cl_ledger_view_new(&view, fixture->ledger));
    FIXTURE_OK(cl_view_tip(view, &tip));
    for (uint64_t number = 0; number <= tip.log_size / 256; number++) {
        unsigned width = number < tip.log_size / 256 ? 256 : (unsigned)(tip.log_size % 256);
        size_t at = 0;
        if (width == 0)
            break;
        FIXTURE_OK(cl_view_tile(view, &tile, 0, number, width));
        FIXTURE_OK(cl_view_tile_entries(view, &entries, number, width));
        assert_int_equal(tile.length, width * 32);
        for (unsigned i = 0; i < width; i++) {
            struct cl_leaf_hash hash;
            size_t length = (size_t)entries.data[at] << 8 | entries.data[at + 1];
            FIXTURE_OK(cl_view_leaf(view, &leaf, number * 256 + i));
            assert_int_equal(length, leaf.length);
            assert_memory_equal(entries.data + at + 2, leaf.data, length);
            cl_log_leaf_hash(&hash, leaf.data, leaf.length);
            assert_memory_equal(tile.data + 32 * i, hash.bytes, 32);
            at += 2 + length;
        }
        assert_int_equal(at, entries.length);
        if (width < 256)
            assert_int_equal(cl_view_tile(view, &tile, 0, number, width + 1), CL_E_NOT_FOUND);
    }
    FIXTURE_OK(cl_view_tile(view, &tile, 1, 0, (unsigned)(tip.log_size / 256)));
    assert_int_equal(cl_view_tile(view, &tile, 1, 0, (unsigned)(tip.log_size / 256) + 1), CL_E_NOT_FOUND);
    assert_int_equal(cl_view_tile(view, &tile, 1, 0, 0), CL_E_NOT_FOUND);
    assert_int_equal(cl_view_tile(view, &tile, 2, 0, 1), CL_E_NOT_FOUND);
    assert_int_equal(cl_view_tile(view, &tile, 63, UINT64_MAX, 1), CL_E_NOT_FOUND);
    cl_buffer_deinit(&tile);
    cl_buffer_deinit(&entries);
    cl_buffer_deinit(&leaf);
    cl_ledger_view_free(view);
}

static void check_blocks(struct fixture *fixture)
{
    struct cl_ledger_view *view;
    struct cl_tip tip;
    struct cl_buffer bytes = {0};
    struct cl_block_id previous = {{0}};
    uint64_t index = 0;
    FIXTURE_OK(cl_ledger_view_new(&view, fixture->ledger));
    FIXTURE_OK(cl_view_tip(view, &tip));
    for (uint64_t height = 0; height <= tip.height; height++) {
        struct cl_stored_block block;
        struct cl_state_leaf leaf;
        struct cl_certificate certificate;
        uint64_t found;
        FIXTURE_OK(cl_view_block(view, &bytes, height));
        FIXTURE_OK(cl_stored_block_decode(&block, bytes.data, bytes.length));
        FIXTURE_OK(cl_state_leaf_decode(&leaf, block.state_leaf.data, block.state_leaf.length));
        assert_int_equal(block.first_index, index);
        assert_memory_equal(&leaf.previous, &previous, sizeof previous);
        previous = block.id;
        if (height > 0) {
            FIXTURE_OK(cl_certificate_decode(&certificate, block.certificate.data, block.certificate.length));
            FIXTURE_OK(cl_certificate_check(&certificate, &fixture->network.genesis.network, fixture->network.genesis.value.members, 3));
        }
        for (uint64_t i = 0; i <= block.record_count; i++) {
            FIXTURE_OK(cl_view_block_of(view, &found, index + i));
            assert_int_equal(found, height);
        }
        index += block.record_count + 1;
        assert_int_equal(cl_view_block_of(view, &found, tip.log_size), CL_E_NOT_FOUND);
    }
    assert_int_equal(index, tip.log_size);
    assert_int_equal(cl_view_block(view, &bytes, tip.height + 1), CL_E_NOT_FOUND);
    cl_buffer_deinit(&bytes);
    cl_ledger_view_free(view);
}

static void check_everything_and_reopen(struct fixture *fixture)
{
    struct cl_tip before, after;
    fill(fixture, 25);
    check_log(fixture);
    check_tiles(fixture);
    check_blocks(fixture);
    cl_ledger_tip(fixture->ledger, &before);
    assert_true(before.log_size > 512);
    fixture_reopen(fixture);
    cl_ledger_tip(fixture->ledger, &after);
    assert_memory_equal(&before, &after, sizeof after);
    /* going on after a start gives what going on without one would */
    fixture_block_of(fixture, fixture_grant(&fixture->network, 5000, 1, 2, fixture->now_ms));
    check_log(fixture);
    fixture_reopen(fixture);
}

static void blocks_log_and_tiles_agree_in_memory(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_open(&fixture, 3);
    check_everything_and_reopen(&fixture);
    fixture_close(&fixture);
}

static void blocks_log_and_tiles_agree_on_leveldb(void **state)
{
    struct fixture fixture;
    struct cl_store store;
    struct cl_store_options options;
    char directory[] = "/tmp/test_ledger_XXXXXX", command[64], error[256];
    (void)state;
    assert_non_null(mkdtemp(directory));
    cl_store_options_default(&options);
    options.create = true;
    FIXTURE_OK(cl_store_leveldb_open(&store, directory, &options, error, sizeof error));
    fixture_open_in(&fixture, 3, &store);
    check_everything_and_reopen(&fixture);
    fixture_close(&fixture);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    assert_int_equal(system(command), 0);
}

/* ---- history and indexes */

static void expect_history(struct fixture *fixture, const struct cl_object_id *object, const uint64_t *expected, size_t expected_count)
{
    struct cl_ledger_view *view;
    uint64_t indexes[32];
    size_t count;
    bool more;
    FIXTURE_OK(cl_ledger_view_new(&view, fixture->ledger));
    FIXTURE_OK(cl_view_history(view, indexes, 32, &count, &more, object->bytes, UINT64_MAX));
    assert_false(more);
    assert_int_equal(count, expected_count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(indexes[i], expected[i]);
    for (size_t max = 1; max < expected_count; max++) { /* fewer: the newest */
        FIXTURE_OK(cl_view_history(view, indexes, max, &count, &more, object->bytes, UINT64_MAX));
        assert_true(more);
        assert_int_equal(count, max);
        for (size_t i = 0; i < max; i++)
            assert_int_equal(indexes[i], expected[expected_count - max + i]);
        /* those before the oldest of that page */
        FIXTURE_OK(cl_view_history(view, indexes, 32, &count, &more, object->bytes, expected[expected_count - max]));
        assert_false(more);
        assert_int_equal(count, expected_count - max);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(indexes[i], expected[i]);
    }
    cl_ledger_view_free(view);
}

static uint64_t last_record_index(const struct fixture *fixture)
{
    struct cl_tip tip;
    cl_ledger_tip(fixture->ledger, &tip);
    return tip.log_size - 2;
}

static void history_lists_every_record_on_an_object(void **state)
{
    struct fixture fixture;
    struct cl_object_id object;
    struct cl_agreement agreement;
    struct cl_record_id head;
    uint64_t expected[8];
    size_t count = 0;
    uint8_t hash[32];
    (void)state;
    fixture_open(&fixture, 1);
    fixture_agreement(&fixture, &object, 1);
    expected[count++] = last_record_index(&fixture) - 2;
    expected[count++] = last_record_index(&fixture);
    /* a proposed AMEND has prev and does not move the head */
    fixture_agreement_read(&fixture, &agreement, &object);
    memcpy(head.bytes, agreement.head, 32);
    fixture_hash(hash, "another commitment", 1);
    struct cl_entry propose = {.present = CL_HAS(1) | CL_HAS(2) | CL_HAS(3) | CL_HAS(9), .object = object.bytes, .object_length = 32, .prev = head.bytes, .commitment = hash, .slots = 1};
    struct cl_ledger_record *record = fixture_record(&fixture.network, CL_AMEND, 2, &propose, 1, fixture.now_ms);
    struct cl_record_id proposal = record->record.id;
    fixture_block_of(&fixture, record);
    expected[count++] = last_record_index(&fixture);
    struct cl_entry accept = {.present = CL_HAS(1) | CL_HAS(2) | CL_HAS(8), .object = object.bytes, .object_length = 32, .prev = head.bytes, .ref = proposal.bytes};
    fixture_block_of(&fixture, fixture_record(&fixture.network, CL_AMEND, 1, &accept, 1, fixture.now_ms));
    expected[count++] = last_record_index(&fixture);
    /* SUSPEND moves the head without prev; RESUME goes on from there */
    record = fixture_act(&fixture.network, CL_SUSPEND, 1, &object, NULL, fixture.now_ms);
    struct cl_record_id suspended = record->record.id;
    fixture_block_of(&fixture, record);
    expected[count++] = last_record_index(&fixture);
    fixture_block_of(&fixture, fixture_act(&fixture.network, CL_RESUME, 1, &object, &suspended, fixture.now_ms));
    expected[count++] = last_record_index(&fixture);
    /* ACK neither has prev nor moves the head */
    struct cl_entry ack = {.present = CL_HAS(1) | CL_HAS(8) | CL_HAS(10), .object = object.bytes, .object_length = 32, .ref = suspended.bytes, .reason = 1};
    fixture_block_of(&fixture, fixture_record(&fixture.network, CL_ACK, 2, &ack, 1, fixture.now_ms));
    expected[count++] = last_record_index(&fixture);
    fixture_block_of(&fixture, fixture_act(&fixture.network, CL_REVOKE, 1, &object, NULL, fixture.now_ms));
    expected[count++] = last_record_index(&fixture);
    expect_history(&fixture, &object, expected, count);
    fixture_reopen(&fixture);
    expect_history(&fixture, &object, expected, count);
    fixture_close(&fixture);
}

static void parties_and_terms_are_listed_in_order_and_by_page(void **state)
{
    struct fixture fixture;
    struct cl_ledger_view *view;
    struct cl_object_id page[3], seen = {{0}};
    struct cl_signer organisation;
    struct cl_party party = {.length = 33};
    size_t count, total = 0;
    (void)state;
    fixture_open(&fixture, 1);
    fixture_block_of(&fixture, fixture_terms(&fixture.network, 50, 1, 1, 10, fixture.now_ms));
    fixture_block_of(&fixture, fixture_terms(&fixture.network, 51, 1, 0, 10, fixture.now_ms));
    for (uint64_t i = 0; i < 7; i++)
        fixture_block_of(&fixture, fixture_subscribe_terms(&fixture.network, 2, i, i < 1 ? 50 : 51, 1, fixture.now_ms));
    fixture_signer(&organisation, 2);
    memcpy(party.bytes, organisation.key.bytes, 33);
    FIXTURE_OK(cl_ledger_view_new(&view, fixture.ledger));
    for (bool first = true;; first = false) {
        FIXTURE_OK(cl_view_party_objects(view, page, 3, &count, &party, first ? NULL : &seen));
        for (size_t i = 0; i < count; i++) {
            assert_true(memcmp(page[i].bytes, seen.bytes, 32) > 0);
            seen = page[i];
        }
        total += count;
        if (count < 3)
            break;
    }
    assert_int_equal(total, 7);
    FIXTURE_OK(cl_view_terms(view, page, 3, &count, NULL));
    assert_int_equal(count, 2);
    seen = page[0];
    FIXTURE_OK(cl_view_terms(view, page, 3, &count, &seen));
    assert_int_equal(count, 1);
    party.length = 31;
    assert_int_equal(cl_view_party_objects(view, page, 3, &count, &party, NULL), CL_E_ARGUMENT);
    cl_ledger_view_free(view);
    fixture_close(&fixture);
}

/* How many objects the view lists under that key, the first two of them in found. */
static size_t objects_of(struct cl_ledger_view *view, struct cl_object_id found[2], uint64_t key)
{
    struct cl_signer signer;
    struct cl_party party = {.length = 33};
    size_t count;
    fixture_signer(&signer, key);
    memcpy(party.bytes, signer.key.bytes, 33);
    FIXTURE_OK(cl_view_party_objects(view, found, 2, &count, &party, NULL));
    return count;
}

static void who_opened_terms_or_a_profile_finds_them_before_and_after_a_rotation(void **state)
{
    struct fixture fixture;
    struct cl_ledger_view *view;
    struct cl_object_id opened[2], found[2];
    struct cl_signer next;
    (void)state;
    fixture_open(&fixture, 1);
    fixture_block_of(&fixture, fixture_terms(&fixture.network, 50, 1, 1, 10, fixture.now_ms));
    fixture_block_of(&fixture, fixture_profile(&fixture.network, 60, 1, fixture.now_ms));
    fixture_object(&opened[0], 50, 1);
    fixture_object(&opened[1], 60, 1);
    for (uint64_t i = 0; i < 2; i++) {
        fixture_signer(&next, 80 + i);
        struct cl_entry rotate = {.present = CL_HAS(1) | CL_HAS(12), .object = opened[i].bytes, .object_length = 32, .key = next.key.bytes, .key_length = 33};
        FIXTURE_OK(cl_ledger_view_new(&view, fixture.ledger));
        assert_int_equal(objects_of(view, found, 80 + i), 0);
        cl_ledger_view_free(view);
        fixture_block_of(&fixture, fixture_record(&fixture.network, CL_ROTATE, 50 + 10 * i, &rotate, 1, fixture.now_ms));
        FIXTURE_OK(cl_ledger_view_new(&view, fixture.ledger));
        assert_int_equal(objects_of(view, found, 50 + 10 * i), 1);
        assert_memory_equal(&found[0], &opened[i], sizeof opened[i]);
        assert_int_equal(objects_of(view, found, 80 + i), 1);
        assert_memory_equal(&found[0], &opened[i], sizeof opened[i]);
        cl_ledger_view_free(view);
    }
    fixture_close(&fixture);
}

/* The log's tiles commit to what is read: bytes that changed in the store since are not handed out. */
static void a_leaf_that_changed_in_the_store_is_not_served(void **state)
{
    struct fixture fixture;
    struct cl_ledger_view *view;
    struct cl_table_key key;
    struct cl_buffer chunk = {0}, leaf = {0};
    (void)state;
    fixture_open(&fixture, 1);
    fill(&fixture, 25);
    cl_key_number(&key, CL_TABLE_LEAVES, 1);
    FIXTURE_OK(cl_store_get_key(&fixture.store, &chunk, NULL, &key));
    chunk.data[chunk.length - 1] ^= 1; /* of a state leaf */
    struct cl_store_batch *batch = fixture.store.batch_new(fixture.store.context);
    cl_batch_put_key(&fixture.store, batch, &key, chunk.data, chunk.length);
    FIXTURE_OK(fixture.store.batch_write(fixture.store.context, batch, true));
    fixture.store.batch_free(batch);
    FIXTURE_OK(cl_ledger_view_new(&view, fixture.ledger));
    FIXTURE_OK(cl_view_leaf(view, &leaf, 1));
    assert_int_equal(cl_view_leaf(view, &leaf, 2), CL_E_STORE_CORRUPT);
    FIXTURE_OK(cl_view_leaf(view, &leaf, 3));
    cl_ledger_view_free(view);
    cl_buffer_deinit(&chunk);
    cl_buffer_deinit(&leaf);
    fixture_close(&fixture);
}

static void a_rotated_key_finds_its_objects(void **state)
{
    struct fixture fixture;
    struct cl_ledger_view *view;
    struct cl_object_id object, found[2];
    struct cl_signer next;
    (void)state;
    fixture_open(&fixture, 1);
    fixture_agreement(&fixture, &object, 1);
    fixture_signer(&next, 77);
    struct cl_entry rotate = {.present = CL_HAS(1) | CL_HAS(12), .object = object.bytes, .object_length = 32, .key = next.key.bytes, .key_length = 33};
    fixture_block_of(&fixture, fixture_record(&fixture.network, CL_ROTATE, 1, &rotate, 1, fixture.now_ms));
    FIXTURE_OK(cl_ledger_view_new(&view, fixture.ledger));
    assert_int_equal(objects_of(view, found, 77), 1);
    assert_memory_equal(&found[0], &object, sizeof object);
    cl_ledger_view_free(view);
    fixture_close(&fixture);
}

static void a_view_sees_one_tip_while_blocks_go_on(void **state)
{
    struct fixture fixture;
    struct cl_ledger_view *view;
    struct cl_tip before, seen;
    struct cl_object_id object;
    struct cl_buffer value = {0};
    (void)state;
    fixture_open(&fixture, 1);
    fixture_block_of(&fixture, fixture_grant(&fixture.network, 1, 1, 2, fixture.now_ms));
    cl_ledger_tip(fixture.ledger, &before);
    FIXTURE_OK(cl_ledger_view_new(&view, fixture.ledger));
    fixture_block_of(&fixture, fixture_grant(&fixture.network, 3, 1, 2, fixture.now_ms));
    FIXTURE_OK(cl_view_tip(view, &seen));
    assert_memory_equal(&before, &seen, sizeof seen);
    fixture_object(&object, 3, 1);
    assert_int_equal(cl_view_state(view, &value, object.bytes), CL_E_NOT_FOUND);
    assert_int_equal(cl_view_leaf(view, &value, before.log_size), CL_E_NOT_FOUND);
    cl_buffer_deinit(&value);
    cl_ledger_view_free(view);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_log_and_tiles_agree_in_memory),
        cmocka_unit_test(blocks_log_and_tiles_agree_on_leveldb),
        cmocka_unit_test(history_lists_every_record_on_an_object),
        cmocka_unit_test(parties_and_terms_are_listed_in_order_and_by_page),
        cmocka_unit_test(who_opened_terms_or_a_profile_finds_them_before_and_after_a_rotation),
        cmocka_unit_test(a_rotated_key_finds_its_objects),
        cmocka_unit_test(a_leaf_that_changed_in_the_store_is_not_served),
        cmocka_unit_test(a_view_sees_one_tip_while_blocks_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
