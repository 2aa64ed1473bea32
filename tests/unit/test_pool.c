/* The pool: order and fairness, bounds for each source with room for withdrawals, what becomes of what does not apply yet,
   look-ups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "pool.h"

static struct fixture_network network;

static struct pool *pool_of_sources(size_t records, size_t bytes, size_t sources, bool fair)
{
    struct pool *pool = NULL;
    const struct pool_options options = { .limits = { records, bytes }, .source_count = sources, .own = 0, .fair = fair };
    fixture_network_make(&network, 1);
    assert_int_equal(pool_new(&pool, &options), CL_OK);
    return pool;
}

static struct pool *pool_of(size_t records, size_t bytes) { return pool_of_sources(records, bytes, 1, true); }

static enum cl_status add_from(struct pool *pool, struct cl_ledger_record *record, size_t source)
{
    struct pool_entry *entry = NULL;
    enum cl_status status = pool_add(pool, &entry, record, source);
    cl_ledger_record_unref(record);
    return status;
}

static enum cl_status add(struct pool *pool, struct cl_ledger_record *record) { return add_from(pool, record, 0); }

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
    struct pool_walk walk;
    pool_walk_begin(pool, &walk, 0);
    for (struct pool_entry *entry; (entry = pool_walk_next(&walk)) != NULL; count++) {
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
    assert_int_equal(pool_add(pool, &entry, record, 0), CL_OK);
    assert_int_equal(pool_add(pool, &again, record, 0), CL_E_EXISTS);
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

/* The customers' numbers of what a walk gives, withdrawals as they are; 0 ends. */
static void assert_order(struct pool *pool, uint64_t generation, const uint64_t *expected)
{
    struct pool_walk walk;
    struct pool_entry *entry;
    struct cl_signer signer;
    pool_walk_begin(pool, &walk, generation);
    for (; (entry = pool_walk_next(&walk)) != NULL; expected++) {
        assert_int_not_equal(*expected, 0);
        fixture_signer(&signer, *expected);
        assert_memory_equal(entry->record->record.signer33, signer.key.bytes, 33);
    }
    assert_int_equal(*expected, 0);
}

static void fill_two_sources(struct pool *pool)
{
    for (uint64_t i = 1; i <= 4; i++) assert_int_equal(add_from(pool, grant(i), 1), CL_OK);
    assert_int_equal(add_from(pool, grant(5), 2), CL_OK);
    assert_int_equal(add_from(pool, revoke(6), 1), CL_OK);
    assert_int_equal(add_from(pool, revoke(7), 1), CL_OK);
    assert_int_equal(add_from(pool, revoke(8), 2), CL_OK);
    assert_int_equal(add_from(pool, grant(9), 2), CL_OK);
}

static void with_fairness_each_source_has_one_in_turn(void **state)
{
    (void)state;
    struct pool *pool = pool_of_sources(64, 1 << 20, 3, true);
    fill_two_sources(pool);
    assert_order(pool, 0, (const uint64_t[]){ 6, 8, 7, 1, 5, 2, 9, 3, 4, 0 });
    pool_free(pool);
}

static void without_fairness_what_came_first_comes_first(void **state)
{
    (void)state;
    struct pool *pool = pool_of_sources(64, 1 << 20, 3, false);
    fill_two_sources(pool);
    assert_order(pool, 0, (const uint64_t[]){ 6, 7, 8, 1, 2, 3, 4, 5, 9, 0 });
    pool_free(pool);
}

static void blocks_of_one_record_take_from_each_source_in_turn(void **state)
{
    (void)state;
    struct pool *pool = pool_of_sources(640, 1 << 20, 3, true);
    size_t taken[3] = { 0 };
    for (uint64_t i = 1; i <= 60; i++) assert_int_equal(add_from(pool, grant(i), i <= 40 ? 1 : i <= 50 ? 0 : 2), CL_OK);
    for (int block = 0; block < 30; block++) {
        struct pool_walk walk;
        pool_walk_begin(pool, &walk, 0);
        struct pool_entry *entry = pool_walk_next(&walk);
        taken[entry->source]++;
        pool_remove(pool, entry);
        assert_non_null(pool_walk_next(&walk)); /* for which the block has no room */
    }
    for (size_t i = 0; i < 3; i++) assert_int_equal(taken[i], 10);
    pool_free(pool);
}

static void a_flooding_member_leaves_the_others_their_room_and_their_turn(void **state)
{
    (void)state;
    struct pool *pool = pool_of_sources(320, 1 << 20, 4, true);
    uint64_t number = 1;
    while (add_from(pool, grant(number), 3) == CL_OK) number++;
    assert_int_equal(number - 1, 300 - 3 * 56);
    for (size_t source = 0; source < 3; source++)
        for (int i = 0; i < 56; i++) assert_int_equal(add_from(pool, grant(number++), source), CL_OK);
    assert_int_equal(add_from(pool, grant(number++), 1), CL_E_BOUND);
    for (size_t source = 0; source < 4; source++) assert_int_equal(add_from(pool, revoke(source + 1), source), CL_OK);
    struct pool_walk walk;
    size_t seen[4] = { 0 };
    pool_walk_begin(pool, &walk, 0);
    for (int i = 0; i < 4 * 57; i++) seen[pool_walk_next(&walk)->source]++;
    for (size_t source = 0; source < 4; source++) assert_int_equal(seen[source], 57);
    pool_free(pool);
}

static void what_is_marked_for_a_block_below_is_passed_over(void **state)
{
    (void)state;
    struct pool *pool = pool_of_sources(64, 1 << 20, 3, true);
    struct cl_ledger_record *first = grant(1), *ninth = grant(9), *unknown = grant(10);
    fill_two_sources(pool);
    pool_mark_leaf(pool, &first->record.leaf_hash, 7);
    pool_mark_leaf(pool, &ninth->record.leaf_hash, 7);
    pool_mark_leaf(pool, &unknown->record.leaf_hash, 7);
    assert_order(pool, 7, (const uint64_t[]){ 6, 8, 7, 2, 5, 3, 4, 0 });
    assert_order(pool, 8, (const uint64_t[]){ 6, 8, 7, 1, 5, 2, 9, 3, 4, 0 });
    cl_ledger_record_unref(first);
    cl_ledger_record_unref(ninth);
    cl_ledger_record_unref(unknown);
    pool_free(pool);
}

static struct pool_entry *entry_of(struct pool *pool, struct cl_ledger_record *record)
{
    struct pool_entry *entry = pool_find_leaf(pool, &record->record.leaf_hash);
    cl_ledger_record_unref(record);
    assert_non_null(entry);
    return entry;
}

static void what_does_not_apply_stays_while_something_older_comes_after_it(void **state)
{
    (void)state;
    struct pool *pool = pool_of_sources(64, 1 << 20, 3, true);
    assert_int_equal(add_from(pool, grant(1), 2), CL_OK);
    assert_int_equal(add_from(pool, grant(2), 0), CL_OK);
    assert_int_equal(add_from(pool, revoke(3), 0), CL_OK);
    assert_true(pool_put_off(pool, entry_of(pool, revoke(3)), true, 1000)); /* 1 and 2 come after it */
    assert_true(pool_put_off(pool, entry_of(pool, grant(2)), true, 1000));  /* 1 may */
    assert_true(pool_ready(pool, 1000));
    pool_remove(pool, entry_of(pool, grant(1)));
    assert_false(pool_put_off(pool, entry_of(pool, grant(2)), true, 1000));
    pool_remove(pool, entry_of(pool, grant(2)));
    assert_false(pool_put_off(pool, entry_of(pool, revoke(3)), true, 1000));
    assert_order(pool, 0, (const uint64_t[]){ 3, 0 });
    pool_free(pool);
}

static void a_members_record_that_does_not_apply_is_tried_again_for_five_seconds(void **state)
{
    (void)state;
    struct pool *pool = pool_of_sources(64, 1 << 20, 3, true);
    const uint64_t pauses[POOL_PAUSES] = { 200, 400, 800, 1600, 2000 };
    uint64_t now = 10000;
    assert_int_equal(add_from(pool, grant(1), 1), CL_OK);
    assert_int_equal(add_from(pool, grant(2), 1), CL_OK);
    for (size_t i = 0; i < POOL_PAUSES; i++) {
        assert_true(pool_put_off(pool, entry_of(pool, grant(1)), true, now));
        assert_order(pool, 0, (const uint64_t[]){ 2, 0 });
        assert_int_equal(pool_pause_left_ms(pool, now + 150), pauses[i] - 150);
        now += pauses[i];
        assert_true(pool_ready(pool, now - 1));
        assert_order(pool, 0, (const uint64_t[]){ 2, 0 });
        assert_true(pool_ready(pool, now));
        assert_order(pool, 0, (const uint64_t[]){ 1, 2, 0 });
    }
    assert_int_equal(now, 15000);
    assert_false(pool_put_off(pool, entry_of(pool, grant(1)), true, now));
    pool_free(pool);
}

static void an_own_record_is_tried_once_more_where_the_parent_is_not_final(void **state)
{
    (void)state;
    struct pool *pool = pool_of_sources(64, 1 << 20, 3, true);
    assert_int_equal(add_from(pool, grant(1), 0), CL_OK);
    assert_true(pool_put_off(pool, entry_of(pool, grant(1)), false, 1000));
    assert_false(pool_ready(pool, 1100)); /* nothing that a block could take */
    assert_int_equal(pool_count(pool), 1);
    uint64_t changes = pool_changes(pool);
    assert_true(pool_ready(pool, 1200));
    assert_int_not_equal(pool_changes(pool), changes);
    assert_int_equal(pool_pause_left_ms(pool, 1200), UINT64_MAX);
    assert_false(pool_put_off(pool, entry_of(pool, grant(1)), false, 1200));
    pool_remove(pool, entry_of(pool, grant(1)));
    assert_int_equal(add_from(pool, grant(1), 0), CL_OK);
    assert_false(pool_put_off(pool, entry_of(pool, grant(1)), true, 1000));
    pool_free(pool);
}

static void what_is_set_aside_counts_and_can_be_removed(void **state)
{
    (void)state;
    struct pool *pool = pool_of_sources(64, 1 << 20, 2, true);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(add_from(pool, grant(i), 1), CL_OK);
        assert_true(pool_put_off(pool, entry_of(pool, grant(i)), true, 1000 + i));
    }
    assert_int_equal(pool_count(pool), 3);
    assert_int_equal(pool_changes(pool), 6);
    pool_remove(pool, entry_of(pool, grant(2)));
    assert_false(pool_ready(pool, 1100));
    assert_true(pool_ready(pool, 1203));
    assert_order(pool, 0, (const uint64_t[]){ 1, 3, 0 });
    assert_int_equal(pool_count(pool), 2);
    pool_free(pool);
}

/* ---- against a model that keeps one list in order of arrival */
enum { MODEL_SOURCES = 4, MODEL_MAX = 400, MODEL_RECORDS = 200 };
struct model_item { uint64_t key; size_t source; bool withdrawal, marked; };
struct model { struct model_item items[MODEL_MAX]; size_t count; };
static struct cl_ledger_record *model_records[2][MODEL_RECORDS]; /* grants, revocations; their keys are the indexes plus 1 */

static struct model_item *model_next(struct model *model, bool withdrawal, size_t source, const bool *gone)
{
    for (size_t i = 0; i < model->count; i++)
        if (!gone[i] && model->items[i].withdrawal == withdrawal && model->items[i].source == source) return &model->items[i];
    return NULL;
}

/* Walks, and removes of what comes as chance has it, in the pool and in the model. */
static void walk_both(struct pool *pool, struct model *model, uint64_t generation)
{
    struct pool_walk walk;
    bool gone[MODEL_MAX] = { false }, removed[MODEL_MAX] = { false };
    for (size_t i = 0; i < model->count; i++) gone[i] = generation != 0 && model->items[i].marked;
    pool_walk_begin(pool, &walk, generation);
    for (int withdrawal = 1; withdrawal >= 0; withdrawal--) {
        size_t source = SIZE_MAX;
        for (;;) {
            struct model_item *expected = NULL;
            if (source == SIZE_MAX) { /* whose turn it is at first is the pool's to say */
                size_t any = 0;
                for (size_t i = 0; i < MODEL_SOURCES; i++) any += model_next(model, withdrawal, i, gone) != NULL;
                if (any == 0) break;
            } else {
                for (size_t i = 1; i <= MODEL_SOURCES && expected == NULL; i++) expected = model_next(model, withdrawal, (source + i) % MODEL_SOURCES, gone);
                if (expected == NULL) break;
            }
            struct pool_entry *entry = pool_walk_next(&walk);
            assert_non_null(entry);
            if (expected == NULL) expected = model_next(model, withdrawal, entry->source, gone);
            assert_non_null(expected);
            assert_ptr_equal(entry->record, model_records[withdrawal][expected->key]);
            assert_int_equal(entry->source, expected->source);
            source = entry->source;
            gone[expected - model->items] = true;
            if (rand() % 3 != 0) continue;
            removed[expected - model->items] = true;
            pool_remove(pool, entry);
        }
    }
    assert_null(pool_walk_next(&walk));
    size_t kept = 0;
    for (size_t i = 0; i < model->count; i++)
        if (!removed[i]) model->items[kept++] = model->items[i];
    model->count = kept;
}

static void walks_agree_with_a_simple_model(void **state)
{
    (void)state;
    static struct model model;
    struct pool *pool = pool_of_sources(256, 1 << 20, MODEL_SOURCES, true);
    srand(11);
    for (size_t i = 0; i < MODEL_RECORDS; i++) {
        model_records[0][i] = grant(i + 1);
        model_records[1][i] = revoke(i + 1);
    }
    for (uint64_t round = 1; round <= 3000; round++) {
        for (int i = rand() % 40; i > 0; i--) {
            struct pool_entry *entry = NULL;
            bool withdrawal = rand() % 4 == 0;
            struct model_item item = { .key = (uint64_t)rand() % MODEL_RECORDS, .source = (size_t)rand() % MODEL_SOURCES, .withdrawal = withdrawal };
            if (pool_add(pool, &entry, model_records[withdrawal][item.key], item.source) == CL_OK) model.items[model.count++] = item;
        }
        for (size_t i = 0; i < model.count; i++) {
            model.items[i].marked = rand() % 4 == 0;
            if (model.items[i].marked) pool_mark_leaf(pool, &model_records[model.items[i].withdrawal][model.items[i].key]->record.leaf_hash, round);
        }
        assert_int_equal(pool_count(pool), model.count);
        walk_both(pool, &model, rand() % 3 == 0 ? 0 : round);
    }
    pool_free(pool);
    for (size_t i = 0; i < MODEL_RECORDS; i++) {
        cl_ledger_record_unref(model_records[0][i]);
        cl_ledger_record_unref(model_records[1][i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(withdrawals_come_before_all_else_each_in_order),
        cmocka_unit_test(a_record_is_in_it_once_and_found_by_leaf_and_by_id),
        cmocka_unit_test(at_the_bound_withdrawals_still_find_room),
        cmocka_unit_test(bytes_are_bounded_too),
        cmocka_unit_test(thousands_come_and_go),
        cmocka_unit_test(with_fairness_each_source_has_one_in_turn),
        cmocka_unit_test(without_fairness_what_came_first_comes_first),
        cmocka_unit_test(blocks_of_one_record_take_from_each_source_in_turn),
        cmocka_unit_test(a_flooding_member_leaves_the_others_their_room_and_their_turn),
        cmocka_unit_test(what_is_marked_for_a_block_below_is_passed_over),
        cmocka_unit_test(what_does_not_apply_stays_while_something_older_comes_after_it),
        cmocka_unit_test(a_members_record_that_does_not_apply_is_tried_again_for_five_seconds),
        cmocka_unit_test(an_own_record_is_tried_once_more_where_the_parent_is_not_final),
        cmocka_unit_test(what_is_set_aside_counts_and_can_be_removed),
        cmocka_unit_test(walks_agree_with_a_simple_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
