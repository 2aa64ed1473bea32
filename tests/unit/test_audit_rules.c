/* The auditor's copy of the ledger: what the rules made comes out again; what they would not make is refused, however well
   it is signed; and it goes on after being closed. */
#include "consent/audit.h"
#include "fixture.h"
#include "require.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct scene { struct fixture fixture; struct cl_audit_genesis genesis; char directory[64]; struct cl_audit_rules *rules; };

static void reopen(struct scene *scene)
{
    char sentence[400];
    cl_audit_rules_close(scene->rules);
    scene->rules = NULL;
    FIXTURE_OK(cl_audit_rules_open(&scene->rules, scene->directory, &scene->genesis, sentence, sizeof sentence));
}

static int set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    fixture_open(&scene->fixture, 1);
    const struct cl_genesis *genesis = &scene->fixture.network.genesis;
    scene->genesis.network = genesis->network;
    memcpy(scene->genesis.origin, genesis->origin, sizeof genesis->origin);
    scene->genesis.time_ms = genesis->time_ms;
    scene->genesis.value = genesis->value;
    snprintf(scene->directory, sizeof scene->directory, "/tmp/audit-rules-XXXXXX");
    assert_non_null(mkdtemp(scene->directory));
    reopen(scene);
    for (uint64_t nonce = 1; nonce <= 3; nonce++) {
        uint64_t issued_ms = scene->fixture.now_ms;
        fixture_block_of(&scene->fixture, fixture_grant(&scene->fixture.network, 1, nonce, 2, issued_ms));
        fixture_block_of(&scene->fixture, fixture_subscribe(&scene->fixture.network, 2, 1, nonce, issued_ms));
    }
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    char command[128];
    cl_audit_rules_close(scene->rules);
    fixture_close(&scene->fixture);
    snprintf(command, sizeof command, "rm -rf '%s'", scene->directory);
    assert_int_equal(system(command), 0);
    free(scene);
    return 0;
}

static uint64_t applied(struct scene *scene)
{
    uint64_t size;
    struct cl_hash root;
    cl_audit_rules_tip(&size, &root, scene->rules);
    return size;
}

static void leaf_of(struct scene *scene, struct cl_buffer *out, uint64_t index)
{
    struct cl_ledger_view *view = NULL;
    FIXTURE_OK(cl_ledger_view_new(&view, scene->fixture.ledger));
    FIXTURE_OK(cl_view_leaf(view, out, index));
    cl_ledger_view_free(view);
}

static enum cl_status feed(struct scene *scene, const struct cl_buffer *leaf, const char **sentence)
{
    return cl_audit_rules_leaf(scene->rules, sentence, leaf->data, leaf->length);
}

static void feed_to(struct scene *scene, uint64_t end)
{
    const char *sentence;
    for (uint64_t i = applied(scene); i < end; i++) {
        struct cl_buffer leaf = {0};
        leaf_of(scene, &leaf, i);
        FIXTURE_OK(feed(scene, &leaf, &sentence));
        cl_buffer_deinit(&leaf);
    }
}

static void what_the_rules_made_comes_out_again(void **state)
{
    struct scene *scene = *state;
    struct cl_tip tip;
    struct cl_hash root;
    uint64_t size;
    cl_ledger_tip(scene->fixture.ledger, &tip);
    feed_to(scene, tip.log_size);
    cl_audit_rules_tip(&size, &root, scene->rules);
    assert_int_equal(size, tip.log_size);
    assert_memory_equal(root.bytes, tip.log_root.bytes, 32);
}

static void it_goes_on_at_the_last_whole_block(void **state)
{
    struct scene *scene = *state;
    feed_to(scene, 5);
    feed_to(scene, 6); /* a record whose block is not whole */
    assert_int_equal(applied(scene), 5);
    reopen(scene);
    assert_int_equal(applied(scene), 5);
    what_the_rules_made_comes_out_again(state);
}

static void a_record_that_does_not_apply_is_refused(void **state)
{
    struct scene *scene = *state;
    const char *sentence = "";
    struct cl_buffer again = {0}, block = {0};
    feed_to(scene, 5);
    leaf_of(scene, &again, 1); /* signed well, and applied before */
    leaf_of(scene, &block, 6);
    assert_int_equal(feed(scene, &again, &sentence), CL_OK);
    assert_int_equal(feed(scene, &block, &sentence), CL_E_BLOCK_INVALID);
    assert_non_null(strstr(sentence, "does not apply by the rules"));
    assert_int_equal(applied(scene), 5);
    cl_buffer_deinit(&again);
    cl_buffer_deinit(&block);
}

static void another_state_root_or_count_is_refused(void **state)
{
    struct scene *scene = *state;
    const char *sentence = "";
    struct cl_buffer record = {0}, block = {0}, changed = {0};
    struct cl_state_leaf leaf;
    feed_to(scene, 5);
    leaf_of(scene, &record, 5);
    leaf_of(scene, &block, 6);
    FIXTURE_OK(cl_state_leaf_decode(&leaf, block.data, block.length));
    leaf.state_root.bytes[7] ^= 1;
    FIXTURE_OK(cl_state_leaf_encode(&changed, &leaf));
    assert_int_equal(feed(scene, &record, &sentence), CL_OK);
    assert_int_equal(feed(scene, &changed, &sentence), CL_E_BLOCK_INVALID);
    assert_non_null(strstr(sentence, "state root"));
    assert_int_equal(feed(scene, &block, &sentence), CL_E_BLOCK_INVALID); /* without its record */
    assert_int_equal(applied(scene), 5);
    what_the_rules_made_comes_out_again(state);
    cl_buffer_deinit(&record);
    cl_buffer_deinit(&block);
    cl_buffer_deinit(&changed);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(what_the_rules_made_comes_out_again), T(it_goes_on_at_the_last_whole_block),
        T(a_record_that_does_not_apply_is_refused), T(another_state_root_or_count_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
