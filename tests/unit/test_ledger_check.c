/* `check` notices one flipped byte, one lost and one added entry in every table, and `reindex` heals what is an index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

static char detail[512];

static enum cl_status check(struct fixture *fixture)
{
    return fixture_audit(&fixture->store, &fixture->network.genesis, false, detail, sizeof detail);
}

static enum cl_status reindex(struct fixture *fixture)
{
    return fixture_audit(&fixture->store, &fixture->network.genesis, true, detail, sizeof detail);
}

/* A ledger with something in every table, several tiles long. */
static void make(struct fixture *fixture)
{
    struct cl_object_id agreement;
    struct cl_buffer note = {0};
    fixture_open(fixture, 1);
    uint64_t issued = fixture->now_ms;
    fixture_block_of(fixture, fixture_terms(&fixture->network, 50, 1, 1, 10, issued));
    fixture_block_of(fixture, fixture_subscribe_terms(&fixture->network, 2, 9, 50, 1, issued));
    fixture_block_of(fixture, fixture_profile(&fixture->network, 5, 1, issued));
    fixture_object(&agreement, 1, 1);
    fixture_block_of(fixture, fixture_grant(&fixture->network, 1, 1, 2, issued));
    fixture_block_of(fixture, fixture_subscribe(&fixture->network, 2, 1, 1, issued));
    fixture_block_of(fixture, fixture_act(&fixture->network, CL_SUSPEND, 1, &agreement, NULL, issued));
    fixture_block_of(fixture, fixture_act(&fixture->network, CL_REVOKE, 1, &agreement, NULL, issued));
    struct cl_ledger_record *records[300];
    for (uint64_t i = 0; i < 300; i++)
        records[i] = fixture_grant(&fixture->network, 100 + i, 1, 2, issued);
    fixture_block(fixture, records, 300, NULL);
    fixture_object(&agreement, 100, 1);
    struct cl_ledger_record *promised = fixture_act(&fixture->network, CL_REVOKE, 100, &agreement, NULL, issued);
    FIXTURE_OK(cl_ledger_withdrawal_keep(fixture->ledger, promised));
    cl_ledger_record_unref(promised);
    fixture_checkpoint(fixture, &note, FIXTURE_START_MS / 1000 + 60);
    cl_buffer_deinit(&note);
}

static void write_entry(struct cl_store *store, const struct cl_buffer *key, const struct cl_buffer *value)
{
    struct cl_store_batch *batch = store->batch_new(store->context);
    if (value != NULL)
        store->batch_put(batch, key->data, key->length, value->length > 0 ? value->data : key->data, value->length);
    else
        store->batch_delete(batch, key->data, key->length);
    FIXTURE_OK(store->batch_write(store->context, batch, true));
    store->batch_free(batch);
}

/* The n-th entry of a table, counted from 0; false where there are fewer. */
static bool entry_at(struct cl_store *store, uint8_t table, size_t number, struct cl_buffer *key, struct cl_buffer *value)
{
    struct cl_store_iterator *iterator = store->iterator_new(store->context, NULL);
    bool found = false;
    for (store->iterator_seek(iterator, &table, 1); store->iterator_valid(iterator); store->iterator_next(iterator)) {
        struct cl_view at = store->iterator_key(iterator), bytes = store->iterator_value(iterator);
        if (at.data[0] != table)
            break;
        if (number-- > 0)
            continue;
        key->length = value->length = 0;
        FIXTURE_OK(cl_buffer_append(key, at.data, at.length));
        FIXTURE_OK(cl_buffer_append(value, bytes.data, bytes.length));
        found = true;
        break;
    }
    store->iterator_free(iterator);
    return found;
}

enum cure { HEALS, TELLS, DROPS }; /* what reindex does about it */

/* Damage that was noticed is healed, or told; then the entry is put back, and all is well again. */
static void expect_noticed(struct fixture *fixture, enum cure cure, const char *table, const struct cl_buffer *key, const struct cl_buffer *value)
{
    assert_int_equal(check(fixture), CL_E_STORE_CORRUPT);
    if (strstr(detail, table) == NULL)
        fail_msg("expected %s: %s", table, detail);
    if (cure == TELLS) {
        assert_int_equal(reindex(fixture), CL_E_STORE_CORRUPT);
        assert_true(strstr(detail, "peer") != NULL || strstr(detail, "backup") != NULL);
    } else {
        assert_int_equal(reindex(fixture), CL_OK);
        assert_true(strlen(detail) > 0);
        assert_int_equal(check(fixture), CL_OK);
    }
    if (cure != HEALS)
        write_entry(&fixture->store, key, value);
    assert_int_equal(check(fixture), CL_OK);
}

/* Some entries of the table, each with some of its bytes flipped, one at a time. */
static void flip_in(struct fixture *fixture, uint8_t table, size_t first, const char *name, enum cure cure)
{
    struct cl_buffer key = {0}, value = {0};
    for (size_t number = first; entry_at(&fixture->store, table, number, &key, &value); number = number * 3 + 1) {
        for (size_t i = 0; i < value.length; i += value.length / 3 + 1) {
            value.data[i] ^= 0x10;
            write_entry(&fixture->store, &key, &value);
            value.data[i] ^= 0x10;
            expect_noticed(fixture, cure, name, &key, &value);
        }
    }
    cl_buffer_deinit(&key);
    cl_buffer_deinit(&value);
}

static void lose_in(struct fixture *fixture, uint8_t table, size_t number, const char *name, enum cure cure)
{
    struct cl_buffer key = {0}, value = {0};
    assert_true(entry_at(&fixture->store, table, number, &key, &value));
    write_entry(&fixture->store, &key, NULL);
    expect_noticed(fixture, cure, name, &key, &value);
    cl_buffer_deinit(&key);
    cl_buffer_deinit(&value);
}

static void add_to(struct fixture *fixture, uint8_t table, const char *name)
{
    struct cl_buffer key = {0}, value = {0};
    assert_true(entry_at(&fixture->store, table, 0, &key, &value));
    key.data[key.length - 1] ^= 0x80;
    write_entry(&fixture->store, &key, &value);
    assert_int_equal(check(fixture), CL_E_STORE_CORRUPT);
    assert_non_null(strstr(detail, name));
    assert_int_equal(reindex(fixture), CL_OK);
    assert_int_equal(check(fixture), CL_OK);
    cl_buffer_deinit(&key);
    cl_buffer_deinit(&value);
}

/* Beyond the last block, where nothing reads them. */
static void add_leaves_that_no_block_uses(struct fixture *fixture)
{
    struct cl_buffer key = {0}, value = {0};
    assert_true(entry_at(&fixture->store, 'r', 0, &key, &value));
    key.data[key.length - 4] = 0x7f;
    write_entry(&fixture->store, &key, &value);
    assert_int_equal(check(fixture), CL_E_STORE_CORRUPT);
    assert_non_null(strstr(detail, "chunks"));
    write_entry(&fixture->store, &key, NULL);
    assert_int_equal(check(fixture), CL_OK);
    cl_buffer_deinit(&key);
    cl_buffer_deinit(&value);
}

/* A whole record under its own hash, in the table of withdrawals, that withdraws nothing: it was never promised. */
static void only_withdrawals_are_kept_as_such(void **state)
{
    struct fixture fixture;
    struct cl_buffer key = {0}, value = {0};
    (void)state;
    make(&fixture);
    struct cl_ledger_record *grant = fixture_grant(&fixture.network, 7, 7, 2, fixture.now_ms);
    assert_int_equal(cl_buffer_append(&key, "w", 1), CL_OK);
    assert_int_equal(cl_buffer_append(&key, grant->record.leaf_hash.bytes, 32), CL_OK);
    assert_int_equal(cl_buffer_append(&value, grant->record.bytes.data, grant->record.bytes.length), CL_OK);
    write_entry(&fixture.store, &key, &value);
    assert_int_equal(check(&fixture), CL_E_STORE_CORRUPT);
    assert_non_null(strstr(detail, "table w"));
    assert_int_equal(reindex(&fixture), CL_OK);
    assert_int_equal(check(&fixture), CL_OK);
    cl_ledger_record_unref(grant);
    cl_buffer_deinit(&key);
    cl_buffer_deinit(&value);
    fixture_close(&fixture);
}

/* Block 0 comes from the genesis document, so it can be made again. */
static void flip_genesis_block(struct fixture *fixture)
{
    struct cl_buffer key = {0}, value = {0};
    assert_true(entry_at(&fixture->store, 'b', 0, &key, &value));
    value.data[value.length / 2] ^= 0x10;
    write_entry(&fixture->store, &key, &value);
    expect_noticed(fixture, HEALS, "(b)", &key, &value);
    cl_buffer_deinit(&key);
    cl_buffer_deinit(&value);
}

static void a_flipped_byte_in_any_table_is_noticed(void **state)
{
    struct fixture fixture;
    (void)state;
    make(&fixture);
    assert_int_equal(check(&fixture), CL_OK);
    assert_string_equal(detail, "");
    flip_in(&fixture, 's', 0, "(s)", HEALS);
    flip_in(&fixture, 'i', 0, "(i)", HEALS);
    flip_in(&fixture, 'y', 0, "(y)", HEALS);
    flip_in(&fixture, 'h', 0, "(h)", HEALS);
    flip_in(&fixture, 'b', 1, "table b", TELLS);
    flip_in(&fixture, 'r', 0, "table r", TELLS);
    flip_genesis_block(&fixture);
    flip_in(&fixture, 'w', 0, "table w", DROPS);
    fixture_reopen(&fixture);
    fixture_close(&fixture);
}

static void the_entries_of_meta_are_watched_too(void **state)
{
    struct fixture fixture;
    struct cl_buffer key = {0}, value = {0};
    (void)state;
    make(&fixture);
    for (size_t number = 0; entry_at(&fixture.store, 'm', number, &key, &value); number++) {
        bool checkpoint = key.length == 11;
        for (size_t i = 0; i < value.length; i += 3) {
            value.data[i] ^= 0x01;
            write_entry(&fixture.store, &key, &value);
            value.data[i] ^= 0x01;
            expect_noticed(&fixture, checkpoint ? DROPS : HEALS, "m", &key, &value);
            i += value.length / 5;
        }
    }
    cl_buffer_deinit(&key);
    cl_buffer_deinit(&value);
    fixture_close(&fixture);
}

static void lost_and_added_entries_are_noticed(void **state)
{
    struct fixture fixture;
    (void)state;
    make(&fixture);
    const struct { uint8_t table; const char *name; } indexes[] = {{'s', "(s)"}, {'i', "(i)"}, {'p', "(p)"}, {'T', "(T)"}, {'y', "(y)"}, {'h', "(h)"}};
    for (size_t i = 0; i < sizeof indexes / sizeof indexes[0]; i++) {
        lose_in(&fixture, indexes[i].table, 0, indexes[i].name, HEALS);
        add_to(&fixture, indexes[i].table, indexes[i].name);
    }
    add_leaves_that_no_block_uses(&fixture);
    lose_in(&fixture, 'b', 0, "table b", TELLS);
    lose_in(&fixture, 'b', 3, "table b", TELLS);
    lose_in(&fixture, 'b', 8, "table b", TELLS); /* the last */
    lose_in(&fixture, 'r', 0, "table r", TELLS);
    lose_in(&fixture, 'r', 5, "table r", TELLS);
    fixture_close(&fixture);
}

/* The state table gone entirely, as after a bad repair by hand: everything in it comes back from the records. */
static void a_lost_state_table_is_rebuilt_from_the_records(void **state)
{
    struct fixture fixture;
    struct cl_buffer key = {0}, value = {0};
    struct cl_ledger *ledger;
    struct cl_tip before, after;
    (void)state;
    make(&fixture);
    cl_ledger_tip(fixture.ledger, &before);
    for (size_t i = 0; i < 100; i++)
        if (entry_at(&fixture.store, 's', 1, &key, &value))
            write_entry(&fixture.store, &key, NULL);
    assert_int_equal(cl_ledger_open(&ledger, &fixture.store, &fixture.buckets, &fixture.network.genesis, NULL, NULL), CL_E_STORE_CORRUPT);
    assert_int_equal(reindex(&fixture), CL_OK);
    fixture_reopen(&fixture);
    cl_ledger_tip(fixture.ledger, &after);
    assert_memory_equal(&before, &after, sizeof after);
    cl_buffer_deinit(&key);
    cl_buffer_deinit(&value);
    fixture_close(&fixture);
}

static void another_network_and_an_empty_store_are_not_damage(void **state)
{
    struct fixture fixture;
    struct fixture_network other;
    struct cl_store empty;
    (void)state;
    make(&fixture);
    fixture_network_make(&other, 3);
    assert_int_equal(fixture_audit(&fixture.store, &other.genesis, false, detail, sizeof detail), CL_E_STORE_OTHER);
    assert_int_equal(fixture_audit(&fixture.store, &other.genesis, true, detail, sizeof detail), CL_E_STORE_OTHER);
    FIXTURE_OK(cl_store_mem_open(&empty));
    assert_int_equal(fixture_audit(&empty, &other.genesis, false, detail, sizeof detail), CL_E_NOT_FOUND);
    empty.close(empty.context);
    assert_int_equal(check(&fixture), CL_OK);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_byte_in_any_table_is_noticed),
        cmocka_unit_test(the_entries_of_meta_are_watched_too),
        cmocka_unit_test(lost_and_added_entries_are_noticed),
        cmocka_unit_test(only_withdrawals_are_kept_as_such),
        cmocka_unit_test(a_lost_state_table_is_rebuilt_from_the_records),
        cmocka_unit_test(another_network_and_an_empty_store_are_not_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
