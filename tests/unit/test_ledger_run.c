/* Several blocks in one candidate, as catching up on a quorum's word makes it: what is stored is what they leave one by
   one, and nothing but the state's roots in between is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

enum { BLOCKS = 7, RECORDS_MAX = 3 };

struct block {
    struct cl_ledger_record *records[RECORDS_MAX];
    size_t count;
    uint64_t time_ms;
    struct cl_candidate_summary made;
};

static void take(struct block *block, struct cl_ledger_record *record) { block->records[block->count++] = record; }

/* An empty block, one that withdraws, and later ones that build on earlier ones. */
static void make_records(struct block blocks[BLOCKS], const struct fixture *fixture)
{
    const struct fixture_network *network = &fixture->network;
    struct cl_object_id object;
    uint64_t now = fixture->now_ms;
    for (size_t i = 0; i < BLOCKS; i++) blocks[i] = (struct block){.time_ms = now + 1000 * (i + 1)};
    take(&blocks[0], fixture_grant(network, 1, 1, 2, now));
    take(&blocks[0], fixture_terms(network, 10, 1, 1, 100, now));
    take(&blocks[1], fixture_subscribe(network, 2, 1, 1, now));
    take(&blocks[1], fixture_subscribe_terms(network, 50, 1, 10, 1, now));
    take(&blocks[1], fixture_grant(network, 3, 1, 2, now));
    fixture_object(&object, 1, 1);
    take(&blocks[3], fixture_act(network, CL_REVOKE, 1, &object, NULL, now));
    take(&blocks[3], fixture_profile(network, 5, 1, now));
    for (size_t i = 4; i < BLOCKS; i++) take(&blocks[i], fixture_grant(network, 20 + i, 1, 2, now));
}

static void let_go(struct block blocks[BLOCKS])
{
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t j = 0; j < blocks[i].count; j++) cl_ledger_record_unref(blocks[i].records[j]);
}

static void add(struct cl_candidate *candidate, const struct block *block)
{
    for (size_t i = 0; i < block->count; i++) FIXTURE_OK(cl_candidate_add(candidate, block->records[i], NULL));
}

static void commit(struct fixture *fixture, struct cl_candidate *candidate, uint64_t view, const struct cl_block_id *certified)
{
    struct cl_buffer certificate = {0};
    if (certified != NULL) fixture_certificate(&certificate, &fixture->network, 0, view, certified);
    FIXTURE_OK(cl_ledger_commit(fixture->ledger, candidate, view, view - 1, certificate.data, certificate.length));
    cl_buffer_deinit(&certificate);
    cl_candidate_free(candidate);
}

static void one_by_one(struct fixture *fixture, struct block blocks[BLOCKS])
{
    for (size_t i = 0; i < BLOCKS; i++) {
        struct cl_candidate *candidate;
        FIXTURE_OK(cl_candidate_new(&candidate, fixture->ledger, NULL, blocks[i].time_ms));
        add(candidate, &blocks[i]);
        FIXTURE_OK(cl_candidate_seal(candidate, &blocks[i].made));
        commit(fixture, candidate, i + 1, i == BLOCKS - 1 ? &blocks[i].made.id : NULL);
    }
}

static struct cl_believed_block believed(const struct block blocks[BLOCKS], size_t i)
{
    return (struct cl_believed_block){.id = blocks[i].made.id, .state_root = blocks[i].made.state_root, .view = i + 1, .parent_view = i};
}

/* The blocks first to last, on the parent or the tip. */
static struct cl_candidate *together(struct fixture *fixture, struct cl_candidate *parent, const struct block blocks[BLOCKS], size_t first, size_t last)
{
    struct cl_candidate *candidate;
    struct cl_candidate_summary made;
    FIXTURE_OK(cl_candidate_new(&candidate, fixture->ledger, parent, blocks[first].time_ms));
    for (size_t i = first; i < last; i++) {
        const struct cl_believed_block block = believed(blocks, i);
        add(candidate, &blocks[i]);
        FIXTURE_OK(cl_candidate_next_block(candidate, &block, blocks[i + 1].time_ms));
    }
    add(candidate, &blocks[last]);
    FIXTURE_OK(cl_candidate_seal(candidate, &made));
    assert_memory_equal(&made.id, &blocks[last].made.id, sizeof made.id);
    assert_int_equal(made.height, last + 1);
    assert_int_equal(made.log_size, blocks[last].made.log_size);
    return candidate;
}

static void same_rows(const struct cl_store *a, const struct cl_store *b)
{
    const struct cl_store *stores[2] = {a, b};
    struct cl_store_iterator *rows[2];
    size_t count = 0;
    for (size_t i = 0; i < 2; i++) {
        rows[i] = stores[i]->iterator_new(stores[i]->context, NULL);
        stores[i]->iterator_seek(rows[i], (const uint8_t *)"", 0);
    }
    for (; a->iterator_valid(rows[0]) && b->iterator_valid(rows[1]); a->iterator_next(rows[0]), b->iterator_next(rows[1]), count++) {
        struct cl_view keys[2] = {a->iterator_key(rows[0]), b->iterator_key(rows[1])};
        assert_int_equal(keys[0].length, keys[1].length);
        assert_memory_equal(keys[0].data, keys[1].data, keys[0].length);
        struct cl_view values[2] = {a->iterator_value(rows[0]), b->iterator_value(rows[1])};
        assert_int_equal(values[0].length, values[1].length);
        if (values[0].length > 0) assert_memory_equal(values[0].data, values[1].data, values[0].length);
    }
    assert_true(!a->iterator_valid(rows[0]) && !b->iterator_valid(rows[1]) && count > 40);
    for (size_t i = 0; i < 2; i++) stores[i]->iterator_free(rows[i]);
}

static void what_is_stored_is_what_they_leave_one_by_one(void **state)
{
    struct fixture apart, joined, halves;
    struct block blocks[BLOCKS];
    char detail[256];
    (void)state;
    fixture_open(&apart, 1);
    fixture_open(&joined, 1);
    fixture_open(&halves, 1);
    make_records(blocks, &apart);
    one_by_one(&apart, blocks);
    commit(&joined, together(&joined, NULL, blocks, 0, BLOCKS - 1), BLOCKS, &blocks[BLOCKS - 1].made.id);
    same_rows(&apart.store, &joined.store);
    struct cl_candidate *below = together(&halves, NULL, blocks, 0, 2), *above = together(&halves, below, blocks, 3, BLOCKS - 1);
    commit(&halves, below, 3, NULL);
    cl_candidate_drop_parent(above);
    commit(&halves, above, BLOCKS, &blocks[BLOCKS - 1].made.id);
    same_rows(&apart.store, &halves.store);
    fixture_reopen(&joined); /* compares the tree with the last block */
    if (fixture_audit(&joined.store, &joined.network.genesis, false, detail, sizeof detail) != CL_OK) fail_msg("%s", detail);
    let_go(blocks);
    fixture_close(&apart);
    fixture_close(&joined);
    fixture_close(&halves);
}

static void only_what_its_id_commits_to_ends_a_block(void **state)
{
    struct fixture apart, fixture;
    struct block blocks[BLOCKS];
    (void)state;
    fixture_open(&apart, 1);
    fixture_open(&fixture, 1);
    make_records(blocks, &apart);
    one_by_one(&apart, blocks);
    for (unsigned wrong = 0; wrong < 5; wrong++) {
        struct cl_candidate *candidate;
        struct cl_candidate_summary made;
        struct cl_believed_block block = believed(blocks, 0);
        uint64_t first_ms = blocks[0].time_ms, next_ms = blocks[1].time_ms;
        if (wrong == 1) block.state_root.bytes[31] ^= 1;
        if (wrong == 2) first_ms++;
        if (wrong == 3) next_ms = first_ms;
        FIXTURE_OK(cl_candidate_new(&candidate, fixture.ledger, NULL, first_ms));
        for (size_t i = 0; i < blocks[0].count - (wrong == 4); i++) FIXTURE_OK(cl_candidate_add(candidate, blocks[0].records[i], NULL));
        assert_int_equal(cl_candidate_next_block(candidate, &block, next_ms), wrong == 0 ? CL_OK : CL_E_BLOCK_INVALID);
        if (wrong != 0 && wrong != 3) assert_int_equal(cl_candidate_seal(candidate, &made), CL_E_BLOCK_INVALID);
        cl_candidate_free(candidate);
    }
    let_go(blocks);
    fixture_close(&apart);
    fixture_close(&fixture);
}

/* Rules count from the block that a record is in: withdrawals come first in each, ids apply once in all. */
static void each_block_has_its_own_order_and_room(void **state)
{
    struct fixture apart, fixture;
    struct block blocks[BLOCKS];
    struct cl_candidate *candidate;
    struct cl_object_id object;
    (void)state;
    fixture_open(&apart, 1);
    fixture_open(&fixture, 1);
    make_records(blocks, &apart);
    one_by_one(&apart, blocks);
    fixture_object(&object, 3, 1);
    struct cl_ledger_record *withdrawal = fixture_act(&fixture.network, CL_REVOKE, 3, &object, NULL, fixture.now_ms);
    FIXTURE_OK(cl_candidate_new(&candidate, fixture.ledger, NULL, blocks[0].time_ms));
    for (size_t i = 0; i < 2; i++) {
        const struct cl_believed_block block = believed(blocks, i);
        add(candidate, &blocks[i]);
        assert_int_equal(cl_candidate_add(candidate, withdrawal, NULL), CL_E_BLOCK_ORDER);
        FIXTURE_OK(cl_candidate_next_block(candidate, &block, blocks[i + 1].time_ms));
        assert_int_equal(cl_candidate_add(candidate, blocks[0].records[0], NULL), CL_E_REPLAY);
    }
    FIXTURE_OK(cl_candidate_add(candidate, withdrawal, NULL));
    cl_ledger_record_unref(withdrawal);
    cl_candidate_free(candidate);
    let_go(blocks);
    fixture_close(&apart);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_stored_is_what_they_leave_one_by_one),
        cmocka_unit_test(only_what_its_id_commits_to_ends_a_block),
        cmocka_unit_test(each_block_has_its_own_order_and_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
