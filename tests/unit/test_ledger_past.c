/* Proofs at a checkpoint that the tip has left behind: what they say is what was final then, whatever has been made,
   changed and ended since; and where too much has happened since, they wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define AS_OF_S (FIXTURE_START_MS / 1000 + 100)
enum { PEOPLE = 24, HEIGHTS = 64 };

/* ---- randomness that repeats */
static uint64_t seed;
static uint32_t draw(uint32_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 20) % bound;
}

/* ---- lives of agreements: person i offers with key 100 + i and nonce 1; 2 accepts; then it is suspended, resumed, ended */

enum stage { NOTHING, OFFERED, ACTIVE, SUSPENDED, ENDED };
struct person { enum stage stage; uint64_t issued_ms; struct cl_object_id object; struct cl_record_id suspended; };
struct history {
    struct fixture fixture;
    struct person people[PEOPLE];
    struct cl_tip tips[HEIGHTS];
    struct cl_buffer values[HEIGHTS][PEOPLE]; /* what was final at each height; empty: no such object */
    unsigned height, kept;
    struct cl_policy *policy;
};

static void note_height(struct history *history)
{
    struct cl_ledger_view *view;
    struct cl_tip *tip = &history->tips[history->height];
    cl_ledger_tip(history->fixture.ledger, tip);
    assert_int_equal(tip->height, history->height);
    FIXTURE_OK(cl_ledger_view_new(&view, history->fixture.ledger));
    for (size_t i = 0; i < PEOPLE; i++) {
        enum cl_status status = cl_view_state(view, &history->values[history->height][i], history->people[i].object.bytes);
        assert_true(status == CL_OK || status == CL_E_NOT_FOUND);
    }
    cl_ledger_view_free(view);
}

static struct history *history_begin(size_t members, const struct cl_store *store)
{
    struct history *history = calloc(1, sizeof *history);
    struct cl_buffer text = {0};
    const struct cl_genesis *genesis = &history->fixture.network.genesis;
    size_t bad_line;
    if (store != NULL)
        fixture_open_in(&history->fixture, members, store);
    else
        fixture_open(&history->fixture, members);
    for (uint64_t i = 0; i < PEOPLE; i++)
        fixture_object(&history->people[i].object, 100 + i, 1);
    FIXTURE_OK(cl_policy_of_members(&text, genesis->origin, genesis->value.members, genesis->value.member_count));
    FIXTURE_OK(cl_policy_new(&history->policy, &bad_line, text.data, text.length));
    cl_buffer_deinit(&text);
    note_height(history);
    return history;
}

static void history_end(struct history *history)
{
    for (size_t height = 0; height < HEIGHTS; height++)
        for (size_t i = 0; i < PEOPLE; i++)
            cl_buffer_deinit(&history->values[height][i]);
    cl_policy_free(history->policy);
    fixture_close(&history->fixture);
    free(history);
}

/* The next record of a person's life, or NULL; withdrawals: only those, else all others. */
static struct cl_ledger_record *next_act(struct history *history, size_t number, bool withdrawals)
{
    const struct fixture_network *network = &history->fixture.network;
    struct person *person = &history->people[number];
    uint64_t key = 100 + number, now_ms = history->fixture.now_ms;
    bool ends = draw(4) == 0;
    struct cl_ledger_record *record;
    switch (person->stage) {
    case NOTHING:
        if (withdrawals)
            return NULL;
        person->stage = OFFERED;
        person->issued_ms = now_ms;
        return fixture_grant(network, key, 1, 2, now_ms);
    case OFFERED:
        if (withdrawals)
            return NULL;
        person->stage = ACTIVE;
        return fixture_subscribe(network, 2, key, 1, person->issued_ms);
    case ACTIVE:
        if (!withdrawals)
            return NULL;
        person->stage = ends ? ENDED : SUSPENDED;
        record = fixture_act(network, ends ? CL_REVOKE : CL_SUSPEND, key, &person->object, NULL, now_ms);
        person->suspended = record->record.id;
        return record;
    case SUSPENDED:
        if (withdrawals)
            return NULL;
        person->stage = ACTIVE;
        return fixture_act(network, CL_RESUME, key, &person->object, &person->suspended, now_ms);
    case ENDED:
        return NULL;
    }
    return NULL;
}

/* One block of up to `most` acts, each on another agreement. */
static void step(struct history *history, size_t most)
{
    struct cl_ledger_record *records[PEOPLE];
    bool acted[PEOPLE] = {false};
    size_t count = 0;
    for (unsigned round = 0; round < 2; round++) /* REVOKE and SUSPEND come before all else */
        for (size_t tries = 0; tries < most && count < most; tries++) {
            size_t number = draw(PEOPLE);
            struct cl_ledger_record *record = acted[number] ? NULL : next_act(history, number, round == 0);
            if (record == NULL)
                continue;
            acted[number] = true;
            records[count++] = record;
        }
    fixture_block(&history->fixture, records, count, NULL);
    history->height++;
    assert_true(history->height < HEIGHTS);
    note_height(history);
}

static enum cl_status keep(struct history *history, unsigned height)
{
    const struct cl_tip *tip = &history->tips[height];
    struct cl_buffer note = {0};
    fixture_note(&note, &history->fixture.network, tip->log_size, &tip->log_root, AS_OF_S);
    enum cl_status status = cl_ledger_checkpoint_keep(history->fixture.ledger, tip->log_size, &tip->log_root, note.data, note.length);
    if (status == CL_OK)
        history->kept = height;
    cl_buffer_deinit(&note);
    return status;
}

static bool holds(const struct cl_buffer *proof, const struct cl_buffer *value)
{
    return memmem(proof->data, proof->length, value->data, value->length) != NULL;
}

/* A tampered twin is refused, wherever a byte was changed behind the checkpoint: a quorum may do without one of its lines. */
static void tamper(struct history *history, struct cl_buffer *proof, const struct cl_object_id *object, bool exists)
{
    struct cl_verify_options options = {.now_ms = AS_OF_S * 1000};
    for (size_t i = proof->length / 2 + draw(13); i < proof->length; i += proof->length / 17 + 1) {
        struct cl_verify_report report;
        proof->data[i] ^= 1;
        enum cl_status status = cl_proof_verify(&report, proof->data, proof->length, history->policy, &options);
        if (!exists && status == CL_OK) /* another id near by is absent too, and the report says which */
            assert_memory_not_equal(&report.object, object, sizeof *object);
        else
            assert_int_not_equal(status, CL_OK);
        proof->data[i] ^= 1;
    }
}

/* What the kept checkpoint says of a person's agreement, as a stranger reads it. */
static void check_one(struct history *history, size_t number, bool tampered)
{
    const struct cl_tip *tip = &history->tips[history->kept];
    const struct cl_buffer *then = &history->values[history->kept][number], *now = &history->values[history->height][number];
    const struct person *person = &history->people[number];
    struct cl_verify_options options = {.now_ms = AS_OF_S * 1000, .max_age_ms = 1000};
    struct cl_verify_report report;
    struct cl_buffer proof = {0};
    FIXTURE_OK(cl_ledger_proof(history->fixture.ledger, &proof, person->object.bytes));
    FIXTURE_OK(cl_proof_verify(&report, proof.data, proof.length, history->policy, &options));
    assert_int_equal(report.log_size, tip->log_size);
    assert_int_equal(report.height, history->kept);
    assert_int_equal(report.exists, then->length > 0);
    if (report.exists) {
        struct cl_agreement agreement;
        FIXTURE_OK(cl_agreement_decode(&agreement, then->data, then->length));
        assert_true(holds(&proof, then));
        assert_int_equal(report.verdict, cl_agreement_check(&agreement, 0, options.now_ms));
        assert_true(report.record_count >= 1);
    }
    if (now->length > 0 && (now->length != then->length || memcmp(now->data, then->data, now->length) != 0))
        assert_false(holds(&proof, now));
    if (tampered)
        tamper(history, &proof, &person->object, report.exists);
    cl_buffer_deinit(&proof);
}

static void check_all(struct history *history)
{
    size_t tampered = draw(PEOPLE);
    for (size_t i = 0; i < PEOPLE; i++)
        check_one(history, i, i == tampered);
}

static void expect_pending(struct history *history)
{
    struct cl_buffer proof = {0};
    FIXTURE_OK(cl_buffer_append(&proof, "kept", 4));
    for (size_t i = 0; i < PEOPLE; i++)
        assert_int_equal(cl_ledger_proof(history->fixture.ledger, &proof, history->people[i].object.bytes), CL_E_PENDING);
    assert_int_equal(proof.length, 4);
    cl_buffer_deinit(&proof);
}

/* Blocks come, and some blocks later their checkpoints, not all of them. After each, all is asked for. */
static void run_history(struct history *history, unsigned steps)
{
    FIXTURE_OK(keep(history, 0));
    check_all(history);
    for (unsigned i = 0; i < steps; i++) {
        step(history, 1 + draw(6));
        if (draw(2) == 0)
            check_all(history);
        if (draw(3) == 0)
            FIXTURE_OK(keep(history, history->kept + draw(history->height - history->kept + 1)));
        if (draw(2) == 0)
            check_all(history);
    }
    check_all(history);
}

/* ---- claims */

static void what_was_final_is_proven_while_the_tip_goes_on(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 6; round++) {
        seed = 4000 + round;
        struct history *history = history_begin(round % 2 == 0 ? 4 : 2, NULL);
        run_history(history, 40);
        history_end(history);
    }
}

static void the_same_holds_on_leveldb(void **state)
{
    struct cl_store store;
    struct cl_store_options options;
    char directory[] = "/tmp/test_ledger_past_XXXXXX", command[64], error[256];
    (void)state;
    seed = 17;
    assert_non_null(mkdtemp(directory));
    cl_store_options_default(&options);
    options.create = true;
    FIXTURE_OK(cl_store_leveldb_open(&store, directory, &options, error, sizeof error));
    struct history *history = history_begin(4, &store);
    run_history(history, 20);
    store.compact(store.context); /* what snapshots hold stays */
    check_all(history);
    history_end(history);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    assert_int_equal(system(command), 0);
}

/* A helper that writes at once, and one that writes when it must: after the tree is folded. */
struct hands { bool eager; };
static void finish(void *context, struct cl_job *job)
{
    (void)context;
    if (job->state == 0)
        job->run(job->argument);
    job->state = 1;
}
static void begin(void *context, struct cl_job *job)
{
    struct hands *hands = context;
    job->state = 0;
    if (hands->eager)
        finish(context, job);
}

static void a_helper_changes_nothing(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        struct hands hands = {.eager = round == 1};
        const struct cl_helper helper = {.context = &hands, .begin = begin, .finish = finish};
        seed = 808;
        struct history *history = history_begin(4, NULL);
        cl_ledger_set_helper(history->fixture.ledger, &helper);
        run_history(history, 20);
        history_end(history);
    }
}

static void a_checkpoint_ends_with_a_block_and_never_goes_back(void **state)
{
    struct cl_ledger_view *view;
    struct cl_hash root;
    (void)state;
    seed = 5;
    struct history *history = history_begin(4, NULL);
    struct cl_ledger *ledger = history->fixture.ledger;
    step(history, 6);
    step(history, 6);
    const struct cl_tip *first = &history->tips[1];
    assert_true(first->log_size > 3);
    /* the log in the midst of a block has a root too */
    struct cl_buffer leaf = {0};
    struct cl_log_frontier frontier;
    struct cl_leaf_hash hash;
    cl_log_frontier_init(&frontier);
    FIXTURE_OK(cl_ledger_view_new(&view, ledger));
    for (uint64_t i = 0; i + 1 < first->log_size; i++) {
        FIXTURE_OK(cl_view_leaf(view, &leaf, i));
        cl_log_leaf_hash(&hash, leaf.data, leaf.length);
        cl_log_frontier_append(&frontier, &hash);
    }
    cl_log_frontier_root(&root, &frontier);
    cl_ledger_view_free(view);
    cl_buffer_deinit(&leaf);
    assert_int_equal(cl_ledger_checkpoint_keep(ledger, first->log_size - 1, &root, (const uint8_t *)"note", 4), CL_E_FORK);
    assert_int_equal(cl_ledger_checkpoint_keep(ledger, first->log_size, &root, (const uint8_t *)"note", 4), CL_E_FORK);
    FIXTURE_OK(keep(history, 1));
    FIXTURE_OK(keep(history, 1)); /* fresher cosignatures on the same tree */
    assert_int_equal(keep(history, 0), CL_E_FORK);
    FIXTURE_OK(keep(history, 2));
    assert_int_equal(keep(history, 1), CL_E_FORK);
    check_all(history);
    history_end(history);
}

/* 64 blocks behind is far enough; the next one loses it, and a checkpoint within reach gives all back. */
static void too_many_blocks_behind_proofs_wait(void **state)
{
    (void)state;
    seed = 99;
    struct history *history = history_begin(4, NULL);
    FIXTURE_OK(keep(history, 0));
    step(history, 6);
    step(history, 6);
    FIXTURE_OK(keep(history, 1));
    step(history, 6);
    unsigned behind = 2;
    for (; behind < 64; behind++) {
        fixture_block_of(&history->fixture, fixture_grant(&history->fixture.network, 5000 + behind, 1, 2, history->fixture.now_ms));
        if (behind % 16 == 0)
            check_one(history, draw(PEOPLE), false);
    }
    check_all(history); /* 64 blocks since */
    fixture_block_of(&history->fixture, fixture_grant(&history->fixture.network, 6000, 1, 2, history->fixture.now_ms));
    expect_pending(history);
    FIXTURE_OK(keep(history, 2));
    check_all(history);
    history_end(history);
}

/* A block of 64 offers a record, as many records as it takes. */
static void big_block(struct history *history, uint64_t key, size_t record_count)
{
    struct cl_ledger_record *records[256];
    for (size_t i = 0; i < record_count; i++) {
        struct cl_entry entries[64];
        uint8_t nonces[64][16] = {{0}}, commitment[32] = {1}, audience[32] = {2};
        for (size_t j = 0; j < 64; j++) {
            nonces[j][0] = (uint8_t)i;
            nonces[j][1] = (uint8_t)j;
            entries[j] = (struct cl_entry){.present = CL_HAS(1) | CL_HAS(3) | CL_HAS(6) | CL_HAS(9), .object = nonces[j], .object_length = 16,
                                           .commitment = commitment, .audience_kind = CL_AUDIENCE_HASH, .audience = audience, .slots = 1};
        }
        records[i] = fixture_record(&history->fixture.network, CL_GRANT, key, entries, 64, history->fixture.now_ms);
    }
    fixture_block(&history->fixture, records, record_count, NULL);
}

/* A quarter of a million changed values are remembered, and no more. */
static void too_many_changes_behind_proofs_wait(void **state)
{
    (void)state;
    seed = 123;
    struct history *history = history_begin(2, NULL);
    FIXTURE_OK(keep(history, 0));
    step(history, 6);
    step(history, 6);
    FIXTURE_OK(keep(history, 1));
    for (uint64_t block = 0; block < 15; block++) /* with the steps' blocks, a little short of 16 times 16,384 */
        big_block(history, 10 + block, 256);
    check_one(history, 0, false);
    big_block(history, 40, 254);
    check_all(history);
    big_block(history, 41, 2);
    expect_pending(history);
    FIXTURE_OK(keep(history, 2));
    check_all(history);
    history_end(history);
}

/* What is remembered is in memory only. */
static void after_a_start_proofs_wait_for_a_tree_seen_since(void **state)
{
    (void)state;
    seed = 7;
    struct history *history = history_begin(4, NULL);
    FIXTURE_OK(keep(history, 0));
    for (unsigned i = 0; i < 4; i++)
        step(history, 6);
    FIXTURE_OK(keep(history, 2));
    check_all(history);
    fixture_reopen(&history->fixture);
    expect_pending(history); /* it is two blocks behind */
    step(history, 6);
    expect_pending(history);
    FIXTURE_OK(keep(history, 3));
    expect_pending(history); /* final before the start */
    FIXTURE_OK(keep(history, 4));
    check_all(history);      /* the tip at the start, one block ago */
    FIXTURE_OK(keep(history, 5));
    fixture_reopen(&history->fixture);
    check_all(history);      /* of the tip */
    step(history, 6);
    check_all(history);      /* and it is remembered from the start on */
    history_end(history);
}

/* The first checkpoint of a ledger's life may come between the sealing of a block and its commit. */
static void the_first_checkpoint_may_come_at_any_time(void **state)
{
    struct cl_candidate *candidate;
    struct cl_candidate_summary summary;
    (void)state;
    seed = 2;
    struct history *history = history_begin(4, NULL);
    struct cl_ledger *ledger = history->fixture.ledger;
    step(history, 6);
    struct cl_tip tip = history->tips[1];
    struct cl_ledger_record *record = fixture_grant(&history->fixture.network, 7000, 1, 2, tip.time_ms);
    FIXTURE_OK(cl_candidate_new(&candidate, ledger, NULL, tip.time_ms + 1));
    FIXTURE_OK(cl_candidate_add(candidate, record, NULL));
    FIXTURE_OK(cl_candidate_seal(candidate, &summary));
    FIXTURE_OK(keep(history, 1));
    FIXTURE_OK(cl_ledger_commit(ledger, candidate, tip.view + 1, tip.view, NULL, 0));
    cl_candidate_free(candidate);
    cl_ledger_record_unref(record);
    check_all(history);
    history_end(history);
}

/* Candidates stand on others that are not final: what was before each is what its parent left. */
static void chains_of_candidates_are_taken_back_block_by_block(void **state)
{
    struct cl_candidate *chain[3], *other;
    struct cl_candidate_summary summary;
    (void)state;
    seed = 3;
    struct history *history = history_begin(4, NULL);
    struct cl_ledger *ledger = history->fixture.ledger;
    struct person *person = &history->people[0];
    step(history, 2);
    FIXTURE_OK(keep(history, 1));
    struct cl_tip tip = history->tips[1];
    person->stage = NOTHING;
    struct cl_object_id object;
    fixture_object(&object, 8000, 1);
    struct cl_ledger_record *records[3] = {
        fixture_grant(&history->fixture.network, 8000, 1, 2, tip.time_ms), fixture_subscribe(&history->fixture.network, 2, 8000, 1, tip.time_ms),
        fixture_act(&history->fixture.network, CL_REVOKE, 8000, &object, NULL, tip.time_ms),
    };
    for (unsigned i = 0; i < 3; i++) {
        FIXTURE_OK(cl_candidate_new(&chain[i], ledger, i > 0 ? chain[i - 1] : NULL, tip.time_ms + 1 + i));
        FIXTURE_OK(cl_candidate_add(chain[i], records[i], NULL));
        FIXTURE_OK(cl_candidate_seal(chain[i], &summary));
    }
    FIXTURE_OK(cl_candidate_new(&other, ledger, NULL, tip.time_ms + 9)); /* a branch that comes to nothing */
    FIXTURE_OK(cl_candidate_seal(other, &summary));
    history->people[0].object = object;
    cl_buffer_deinit(&history->values[1][0]);
    for (unsigned i = 0; i < 3; i++) {
        FIXTURE_OK(cl_ledger_commit(ledger, chain[i], tip.view + 1 + i, tip.view + i, NULL, 0));
        history->height++;
        note_height(history);
        check_all(history);
    }
    for (unsigned height = 2; height <= 4; height++) {
        FIXTURE_OK(keep(history, height));
        check_all(history);
    }
    cl_candidate_free(other);
    for (unsigned i = 3; i-- > 0;)
        cl_candidate_free(chain[i]);
    for (unsigned i = 0; i < 3; i++)
        cl_ledger_record_unref(records[i]);
    history_end(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_final_is_proven_while_the_tip_goes_on),
        cmocka_unit_test(the_same_holds_on_leveldb),
        cmocka_unit_test(a_helper_changes_nothing),
        cmocka_unit_test(a_checkpoint_ends_with_a_block_and_never_goes_back),
        cmocka_unit_test(too_many_blocks_behind_proofs_wait),
        cmocka_unit_test(too_many_changes_behind_proofs_wait),
        cmocka_unit_test(after_a_start_proofs_wait_for_a_tree_seen_since),
        cmocka_unit_test(the_first_checkpoint_may_come_at_any_time),
        cmocka_unit_test(chains_of_candidates_are_taken_back_block_by_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
