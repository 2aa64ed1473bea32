/* Reading ahead spares the store, and never lets a block be built on what has changed since. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

enum { OWNER = 1, FIRST = 2, SECOND = 3 };

/* TERMS for one answer, final; and two who want to be it. */
struct scene { struct fixture fixture; struct cl_ledger_record *first, *second; };

static void scene_open(struct scene *scene)
{
    fixture_open(&scene->fixture, 1);
    const struct fixture_network *network = &scene->fixture.network;
    fixture_block_of(&scene->fixture, fixture_terms(network, OWNER, 1, 1, 1, scene->fixture.now_ms));
    fixture_reopen(&scene->fixture); /* what came last is in memory anyway */
    scene->first = fixture_subscribe_terms(network, FIRST, 1, OWNER, 1, scene->fixture.now_ms);
    scene->second = fixture_subscribe_terms(network, SECOND, 1, OWNER, 1, scene->fixture.now_ms);
}

static void scene_close(struct scene *scene)
{
    cl_ledger_record_unref(scene->first);
    cl_ledger_record_unref(scene->second);
    fixture_close(&scene->fixture);
}

static struct cl_candidate *candidate_on(struct scene *scene, struct cl_candidate *parent, uint64_t later_ms)
{
    struct cl_candidate *candidate;
    FIXTURE_OK(cl_candidate_new(&candidate, scene->fixture.ledger, parent, scene->fixture.now_ms + later_ms));
    return candidate;
}

static void what_was_read_ahead_needs_no_store(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene);
    cl_ledger_look_ahead(scene.fixture.ledger, scene.first);
    struct cl_candidate *candidate = candidate_on(&scene, NULL, 1000);
    cl_store_mem_fail_at(&scene.fixture.store, 1, CL_E_STORE_IO);
    assert_int_equal(cl_candidate_add(candidate, scene.first, NULL), CL_OK);
    cl_store_mem_fail_at(&scene.fixture.store, 0, CL_OK);
    cl_candidate_free(candidate);

    /* the proof that the look-up is otherwise made, and fails */
    candidate = candidate_on(&scene, NULL, 1000);
    cl_store_mem_fail_at(&scene.fixture.store, 1, CL_E_STORE_IO);
    assert_int_equal(cl_candidate_add(candidate, scene.second, NULL), CL_E_STORE_IO);
    cl_store_mem_fail_at(&scene.fixture.store, 0, CL_OK);
    cl_candidate_free(candidate);
    scene_close(&scene);
}

static void what_a_commit_changed_since_is_read_again(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene);
    cl_ledger_look_ahead(scene.fixture.ledger, scene.second); /* the TERMS have room for one answer */
    cl_ledger_record_ref(scene.first);
    fixture_block_of(&scene.fixture, scene.first);
    struct cl_candidate *candidate = candidate_on(&scene, NULL, 1000);
    assert_int_equal(cl_candidate_add(candidate, scene.second, NULL), CL_E_LIMIT);
    cl_candidate_free(candidate);
    scene_close(&scene);
}

static void what_another_commit_left_alone_is_still_good(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene);
    cl_ledger_look_ahead(scene.fixture.ledger, scene.first);
    fixture_block_of(&scene.fixture, fixture_grant(&scene.fixture.network, 7, 1, 8, scene.fixture.now_ms));
    struct cl_candidate *candidate = candidate_on(&scene, NULL, 1000);
    cl_store_mem_fail_at(&scene.fixture.store, 1, CL_E_STORE_IO);
    assert_int_equal(cl_candidate_add(candidate, scene.first, NULL), CL_OK);
    cl_store_mem_fail_at(&scene.fixture.store, 0, CL_OK);
    cl_candidate_free(candidate);
    scene_close(&scene);
}

static void blocks_that_are_not_final_come_before_what_was_read_ahead(void **state)
{
    struct scene scene;
    struct cl_candidate_summary summary;
    (void)state;
    scene_open(&scene);
    cl_ledger_look_ahead(scene.fixture.ledger, scene.first);
    cl_ledger_look_ahead(scene.fixture.ledger, scene.second);
    struct cl_candidate *parent = candidate_on(&scene, NULL, 1000);
    assert_int_equal(cl_candidate_add(parent, scene.first, NULL), CL_OK);
    assert_int_equal(cl_candidate_seal(parent, &summary), CL_OK);
    struct cl_candidate *child = candidate_on(&scene, parent, 2000);
    assert_int_equal(cl_candidate_add(child, scene.second, NULL), CL_E_LIMIT);
    cl_candidate_free(child);
    cl_candidate_free(parent);
    scene_close(&scene);
}

/* Two ledgers, the same records, one of them looking ahead: the same block ids. */
static void reading_ahead_changes_no_block(void **state)
{
    struct fixture fixtures[2];
    struct cl_candidate_summary summaries[2];
    (void)state;
    for (size_t which = 0; which < 2; which++) {
        struct fixture *fixture = &fixtures[which];
        fixture_open(fixture, 1);
        for (uint64_t i = 0; i < 24; i++) {
            struct cl_ledger_record *record = i % 2 == 0 ? fixture_terms(&fixture->network, 10 + i / 4, i, 1, 100, fixture->now_ms)
                                                        : fixture_subscribe_terms(&fixture->network, 50 + i, i, 10 + i / 4, i - 1, fixture->now_ms);
            if (which == 1)
                cl_ledger_look_ahead(fixture->ledger, record);
            fixture_block(fixture, &record, 1, &summaries[which]);
        }
    }
    assert_memory_equal(summaries[0].id.bytes, summaries[1].id.bytes, 32);
    for (size_t which = 0; which < 2; which++)
        fixture_close(&fixtures[which]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_ahead_needs_no_store),
        cmocka_unit_test(what_a_commit_changed_since_is_read_again),
        cmocka_unit_test(what_another_commit_left_alone_is_still_good),
        cmocka_unit_test(blocks_that_are_not_final_come_before_what_was_read_ahead),
        cmocka_unit_test(reading_ahead_changes_no_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
