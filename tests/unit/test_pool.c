/* The pool: order, bounds with room for withdrawals, look-ups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "pool.h"

static struct fixture_network network;

static struct pool *pool_of(size_t records, size_t bytes)
{
    struct pool *pool = NULL;
    const struct pool_limits limits = { records, bytes };
    fixture_network_make(&network, 1);
    assert_int_equal(pool_new(&pool, &limits), CL_OK);
    return pool;
}

static enum cl_status add(struct pool *pool, struct cl_ledger_record *record)
{
    struct pool_entry *entry = NULL;
    enum cl_status status = pool_add(pool, &entry, record);
    cl_ledger_record_unref(record);
    return status;
}

static struct cl_ledger_record *grant(uint64_t number) { return fixture_grant(&network, number, 1, 2, FIXTURE_START_MS); }

static struct cl_ledger_record *revoke(uint64_t number)
{
    struct cl_object_id object;
    fixture_object(&object, number, 1);
    return fixture_act(&network, CL_REVOKE, number, &object, NULL, FIXTURE_START_MS);
}

static void withdrawals_come_before_all_else_each_in_order(void **state)
{
    (void)state;
    struct pool *pool = pool_of(64, 1 << 20);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(add(pool, grant(i)), CL_OK);
        assert_int_equal(add(pool, revoke(i)), CL_OK);
    }
    const enum cl_record_type expected[] = { CL_REVOKE, CL_REVOKE, CL_REVOKE, CL_GRANT, CL_GRANT, CL_GRANT };
    size_t count = 0;
    struct cl_signer signer;
    for (struct pool_entry *entry = pool_next(pool, NULL); entry != NULL; entry = pool_next(pool, entry), count++) {
        assert_int_equal(entry->record->record.type, expected[count]);
        fixture_signer(&signer, count % 3 + 1);
        assert_memory_equal(entry->record->record.signer33, signer.key.bytes, 33);
    }
    assert_int_equal(count, 6);
    pool_free(pool);
}

static void a_record_is_in_it_once_and_found_by_leaf_and_by_id(void **state)
{
    (void)state;
    struct pool *pool = pool_of(64, 1 << 20);
    struct cl_ledger_record *record = grant(1);
    struct pool_entry *entry = NULL, *again = NULL;
    assert_int_equal(pool_add(pool, &entry, record), CL_OK);
    assert_int_equal(pool_add(pool, &again, record), CL_E_EXISTS);
    assert_ptr_equal(again, entry);
    assert_ptr_equal(pool_find_leaf(pool, &record->record.leaf_hash), entry);
    assert_ptr_equal(pool_find_id(pool, &record->record.id), entry);
    assert_int_equal(pool_count(pool), 1);
    assert_int_equal(pool_bytes(pool), record->record.bytes.length);
    pool_remove(pool, entry);
    assert_null(pool_find_leaf(pool, &record->record.leaf_hash));
    assert_null(pool_find_id(pool, &record->record.id));
    assert_int_equal(pool_bytes(pool), 0);
    cl_ledger_record_unref(record);
    pool_free(pool);
}

static void at_the_bound_withdrawals_still_find_room(void **state)
{
    (void)state;
    struct pool *pool = pool_of(32, 1 << 20);
    uint64_t number = 1;
    while (add(pool, grant(number)) == CL_OK) number++;
    assert_int_equal(number - 1, 30); /* a sixteenth is kept */
    assert_int_equal(add(pool, revoke(1)), CL_OK);
    assert_int_equal(add(pool, revoke(2)), CL_OK);
    assert_int_equal(add(pool, revoke(3)), CL_E_BOUND);
    pool_remove(pool, pool_next(pool, NULL));
    assert_int_equal(add(pool, revoke(3)), CL_OK);
    pool_free(pool);
}

static void bytes_are_bounded_too(void **state)
{
    (void)state;
    struct pool *pool = pool_of(1000, 4096);
    uint64_t number = 1;
    while (add(pool, grant(number)) == CL_OK) number++;
    assert_true(pool_bytes(pool) <= 4096 - 4096 / 16);
    assert_true(number < 100);
    assert_int_equal(add(pool, revoke(1)), CL_OK);
    pool_free(pool);
}

static void thousands_come_and_go(void **state)
{
    (void)state;
    struct pool *pool = pool_of(4096, 64 << 20);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 1; i <= 500; i++) assert_int_equal(add(pool, grant(i)), CL_OK);
        struct pool_entry *entry = pool_next(pool, NULL);
        for (size_t i = 0; entry != NULL; i++) {
            struct pool_entry *next = pool_next(pool, entry);
            if (i % 2 == 0 || round == 1) pool_remove(pool, entry);
            entry = next;
        }
        if (round == 0) {
            assert_int_equal(pool_count(pool), 250);
            for (entry = pool_next(pool, NULL); entry != NULL; entry = pool_next(pool, NULL)) pool_remove(pool, entry);
        }
        assert_int_equal(pool_count(pool), 0);
    }
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(withdrawals_come_before_all_else_each_in_order),
        cmocka_unit_test(a_record_is_in_it_once_and_found_by_leaf_and_by_id),
        cmocka_unit_test(at_the_bound_withdrawals_still_find_room),
        cmocka_unit_test(bytes_are_bounded_too),
        cmocka_unit_test(thousands_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
