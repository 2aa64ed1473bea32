/* Catching up by height on a virtual clock: a ledger that is ahead is served by peers of which some are slow, silent or
   hostile, and another ledger is brought to the same state by what the planner lets through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto.h"
#include "fixture.h"
#include "sync.h"

enum { PEERS_MAX = 8, HEIGHTS_MAX = 1200, OPEN_MAX = PEERS_MAX * SYNC_PEER_ASKED_MAX };
enum manner {
    HONEST, SLOW, SILENT, BOASTS,   /* BOASTS: claims to be far ahead and has nothing */
    BENDS_RECORD, BENDS_STATE_LEAF, BENDS_ROOT, BENDS_CERTIFICATE, OTHER_RECORDS, LEAVES_OUT, ONE_MORE, TOO_MANY, FORKS, OTHER_BODIES, OTHER_KIND, MANNERS
};

/* ---- the chain that peers have */
struct truth { struct fixture fixture; struct cl_ledger_view *view; uint64_t height, customer; };

static void truth_block(struct truth *truth, struct cl_ledger_record **records, size_t count, bool certified)
{
    struct fixture *fixture = &truth->fixture;
    struct cl_candidate_summary sealed;
    struct cl_candidate *candidate;
    struct cl_buffer certificate = { 0 };
    struct cl_tip tip;
    cl_ledger_tip(fixture->ledger, &tip);
    fixture->now_ms = tip.time_ms + 1000;
    FIXTURE_OK(cl_candidate_new(&candidate, fixture->ledger, NULL, fixture->now_ms));
    for (size_t i = 0; i < count; i++) {
        FIXTURE_OK(cl_candidate_add(candidate, records[i], NULL));
        cl_ledger_record_unref(records[i]);
    }
    FIXTURE_OK(cl_candidate_seal(candidate, &sealed));
    if (certified) fixture_certificate(&certificate, &fixture->network, tip.epoch, tip.view + 2, &sealed.id); /* views are left out */
    FIXTURE_OK(cl_ledger_commit(fixture->ledger, candidate, tip.view + 2, tip.view, certificate.data, certificate.length));
    cl_candidate_free(candidate);
    cl_buffer_deinit(&certificate);
    truth->height++;
}

static void truth_grants(struct truth *truth, size_t count, bool certified)
{
    struct cl_ledger_record *records[256];
    assert_true(count <= 256);
    for (size_t i = 0; i < count; i++) records[i] = fixture_grant(&truth->fixture.network, truth->customer++, 1, 2, truth->fixture.now_ms);
    truth_block(truth, records, count, certified);
}

static void truth_open(struct truth *truth)
{
    memset(truth, 0, sizeof *truth);
    fixture_open(&truth->fixture, 4);
    truth->customer = 100;
}

static void truth_look(struct truth *truth)
{
    cl_ledger_view_free(truth->view);
    FIXTURE_OK(cl_ledger_view_new(&truth->view, truth->fixture.ledger));
}

static void truth_close(struct truth *truth)
{
    cl_ledger_view_free(truth->view);
    fixture_close(&truth->fixture);
}

/* ---- whoever catches up */
struct body { struct cl_buffer bytes; size_t *lengths, count; };
struct world {
    struct truth *truth;
    struct truth *fork;           /* what FORKS serves, and OTHER_BODIES after honest headers */
    struct fixture own;
    struct sync *sync;
    struct body bodies[HEIGHTS_MAX];
    size_t peer_count;
    enum manner manners[PEERS_MAX];
    uint64_t due_ms[OPEN_MAX];    /* of the answer; 0: nothing asked. At place_of(question) */
    struct sync_question questions[OPEN_MAX];
    uint64_t now_ms, asked, refused;
    size_t held, held_most;       /* bytes of records */
    uint64_t seed;
};

static size_t place_of(const struct sync_question *question) { return question->peer * SYNC_PEER_ASKED_MAX + question->number; }

static uint64_t draw(struct world *world, uint64_t below)
{
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (world->seed >> 33) % below;
}

static void drop_body(struct world *world, uint64_t height)
{
    struct body *body = &world->bodies[height];
    world->held -= body->bytes.length;
    cl_buffer_deinit(&body->bytes);
    free(body->lengths);
    memset(body, 0, sizeof *body);
}

static void forget(void *context, uint64_t height) { drop_body(context, height); }

static void world_open(struct world *world, struct truth *truth, size_t peer_count, const enum manner *manners, bool observer)
{
    struct cl_tip tip;
    memset(world, 0, sizeof *world);
    world->truth = truth;
    world->peer_count = peer_count;
    memcpy(world->manners, manners, peer_count * sizeof *manners);
    world->now_ms = 1000000;
    truth_look(truth);
    fixture_open(&world->own, 4);
    cl_ledger_tip(world->own.ledger, &tip);
    struct sync_config config = { .network = &world->own.network.genesis.network, .members = world->own.network.genesis.value.members, .member_count = 4,
        .peer_count = peer_count + 1, .own = peer_count, .observer = observer, .block_bytes_max = CL_BLOCK_BYTES_MAX, .context = world, .forget = forget };
    FIXTURE_OK(sync_new(&world->sync, &config, &tip));
}

static void world_close(struct world *world)
{
    for (size_t i = 0; i < HEIGHTS_MAX; i++) drop_body(world, i);
    sync_free(world->sync);
    fixture_close(&world->own);
}

static void hear_all(struct world *world)
{
    for (size_t i = 0; i < world->peer_count; i++)
        sync_heard(world->sync, i, world->manners[i] == BOASTS ? UINT64_MAX : world->truth->height, world->now_ms);
}

/* ---- answers, honest and otherwise */
struct item { struct cl_buffer stored; struct cl_hash root; struct cl_buffer bytes; struct cl_view records[CL_BLOCK_RECORDS_MAX]; size_t count; };

static void bend_stored(struct item *item, enum manner manner)
{
    struct cl_stored_block block;
    struct cl_buffer leaf = { 0 }, certificate = { 0 }, again = { 0 };
    FIXTURE_OK(cl_stored_block_decode(&block, item->stored.data, item->stored.length));
    FIXTURE_OK(cl_buffer_append(&leaf, block.state_leaf.data, block.state_leaf.length));
    FIXTURE_OK(cl_buffer_append(&certificate, block.certificate.data, block.certificate.length));
    if (manner == BENDS_STATE_LEAF) leaf.data[leaf.length - 40] ^= 1; /* within the state's root */
    if (manner == BENDS_CERTIFICATE && certificate.length > 0) certificate.data[certificate.length - 1] ^= 1;
    if (manner == BENDS_ROOT) item->root.bytes[0] ^= 1;
    if (manner == ONE_MORE && item->count > 0) block.record_count++;
    block.state_leaf = (struct cl_view){ leaf.data, leaf.length };
    block.certificate = (struct cl_view){ certificate.data, certificate.length };
    FIXTURE_OK(cl_stored_block_encode(&again, &block));
    cl_buffer_deinit(&item->stored);
    cl_buffer_deinit(&leaf);
    cl_buffer_deinit(&certificate);
    item->stored = again;
}

/* Records of the wrong block, rightly made; a bent record; one record too few. */
static void bend_records(struct world *world, struct item *item, enum manner manner, const struct frame_range_request *request)
{
    if (item->count == 0) return;
    if (manner == BENDS_RECORD) item->bytes.data[item->bytes.length - 1] ^= 1;
    if (manner == ONE_MORE && item->count < CL_BLOCK_RECORDS_MAX) item->records[item->count] = item->records[0], item->count++;
    if (manner == LEAVES_OUT) item->count -= item->count > 1 ? 2 : 1;
    if (manner == OTHER_RECORDS) {
        struct cl_ledger_record *other = fixture_grant(&world->truth->fixture.network, 9000 + request->first_height, 1, 2, world->truth->fixture.now_ms);
        size_t length = other->record.bytes.length;
        if (length == item->records[0].length) memcpy(item->bytes.data, other->record.bytes.data, length);
        cl_ledger_record_unref(other);
    }
}

static void read_item(struct item *item, struct cl_view stored, const struct cl_hash *root, struct frame_items *records)
{
    size_t lengths[CL_BLOCK_RECORDS_MAX], at = 0;
    memset(item, 0, sizeof *item);
    FIXTURE_OK(cl_buffer_append(&item->stored, stored.data, stored.length));
    item->root = *root;
    for (struct cl_view record; frame_items_next(records, &record); item->count++) {
        FIXTURE_OK(cl_buffer_append(&item->bytes, record.data, record.length));
        lengths[item->count] = record.length;
    }
    for (size_t i = 0; i < item->count; at += lengths[i++]) item->records[i] = (struct cl_view){ item->bytes.data + at, lengths[i] };
}

/* The honest payload, made again with one thing changed in its first block that has it. */
static void bend(struct world *world, struct cl_buffer *payload, enum manner manner, const struct frame_range_request *request)
{
    struct frame frame = { FRAME_RANGE, { payload->data, payload->length } };
    struct frame_range_reader range;
    struct cl_view stored;
    struct cl_hash root;
    struct cl_buffer again = { 0 };
    struct item *item = malloc(sizeof *item);
    assert_non_null(item);
    frame_range_init(&range, &frame);
    FIXTURE_OK(frame_range_begin(&again, range.left + (manner == TOO_MANY)));
    while (frame_range_next(&range, &stored, &root)) {
        read_item(item, stored, &root, &range.records);
        bend_stored(item, manner);
        bend_records(world, item, manner, request);
        FIXTURE_OK(frame_range_add(&again, (struct cl_view){ item->stored.data, item->stored.length }, &item->root, item->records, item->count));
        if (manner == TOO_MANY && range.left == 0)
            FIXTURE_OK(frame_range_add(&again, (struct cl_view){ item->stored.data, item->stored.length }, &item->root, item->records, item->count));
        cl_buffer_deinit(&item->stored);
        cl_buffer_deinit(&item->bytes);
    }
    free(item);
    cl_buffer_deinit(payload);
    *payload = again;
}

/* True: an answer was made; it decodes as a frame does. */
static bool make_answer(struct world *world, struct cl_buffer *bytes, struct frame *frame, size_t place)
{
    const struct frame_range_request *request = &world->questions[place].request;
    enum manner manner = world->manners[world->questions[place].peer];
    struct cl_buffer payload = { 0 };
    enum frame_kind kind = FRAME_RANGE;
    if (manner == SILENT) return false;
    bool bodies = request->skip < CL_BLOCK_RECORDS_MAX;
    if (manner == FORKS || (manner == OTHER_BODIES && bodies)) FIXTURE_OK(sync_serve(&payload, world->fork->view, request));
    else if (manner == BOASTS) FIXTURE_OK(frame_range_begin(&payload, 0));
    else FIXTURE_OK(sync_serve(&payload, world->truth->view, request));
    if (manner >= BENDS_RECORD && manner <= TOO_MANY) bend(world, &payload, manner, request);
    if (manner == OTHER_KIND) {
        kind = FRAME_STATUS;
        payload.length = 0;
        FIXTURE_OK(frame_status_encode(&payload, &(struct frame_status){ 1, 2, 3 }));
    }
    FIXTURE_OK(frame_encode(bytes, &world->own.network.genesis.network, kind, payload.data, payload.length));
    cl_buffer_deinit(&payload);
    FIXTURE_OK(frame_decode(frame, &world->own.network.genesis.network, bytes->data, bytes->length));
    return true;
}

/* ---- what comes in goes to the ledger */
static void keep(struct world *world, const struct frame *frame, const struct sync_taken *taken)
{
    struct frame_range_reader range;
    struct cl_view stored, record;
    struct cl_hash root;
    frame_range_init(&range, frame);
    for (size_t i = 0; i < taken->blocks; i++) {
        assert_true(frame_range_next(&range, &stored, &root));
        struct body *body = &world->bodies[taken->first_height + i];
        if (body->lengths == NULL) body->lengths = calloc(CL_BLOCK_RECORDS_MAX, sizeof *body->lengths);
        assert_non_null(body->lengths);
        while (frame_items_next(&range.records, &record)) {
            assert_true(body->count < CL_BLOCK_RECORDS_MAX);
            FIXTURE_OK(cl_buffer_append(&body->bytes, record.data, record.length));
            body->lengths[body->count++] = record.length;
            world->held += record.length;
        }
        assert_true(body->count <= sync_records(world->sync, taken->first_height + i));
    }
    if (world->held > world->held_most) world->held_most = world->held;
}

/* CL_E_BLOCK_INVALID: its records do not give its id. */
static enum cl_status apply_block(struct world *world, const struct sync_block *block)
{
    const struct body *body = &world->bodies[block->height];
    struct cl_candidate *candidate;
    struct cl_candidate_summary sealed;
    size_t at = 0;
    assert_int_equal(body->count, block->records);
    FIXTURE_OK(cl_candidate_new(&candidate, world->own.ledger, NULL, block->time_ms));
    enum cl_status status = CL_OK;
    for (size_t i = 0; i < body->count && status == CL_OK; at += body->lengths[i++]) {
        struct cl_ledger_record *record;
        status = cl_ledger_record_new(&record, NULL, body->bytes.data + at, body->lengths[i], &world->own.network.genesis.network);
        if (status != CL_OK) break;
        status = cl_candidate_add(candidate, record, NULL);
        cl_ledger_record_unref(record);
    }
    if (status == CL_OK) status = cl_candidate_seal(candidate, &sealed);
    if (status == CL_OK && memcmp(sealed.id.bytes, block->id.bytes, 32) != 0) status = CL_E_BLOCK_INVALID;
    if (status == CL_OK) FIXTURE_OK(cl_ledger_commit(world->own.ledger, candidate, block->view, block->parent_view, block->certificate.data, block->certificate.length));
    cl_candidate_free(candidate);
    return status;
}

static void commit_ready(struct world *world)
{
    struct sync_block block;
    struct cl_tip tip;
    while (sync_block(world->sync, 0, &block)) {
        if (apply_block(world, &block) != CL_OK) {
            world->refused++;
            sync_refuse(world->sync, block.height, world->now_ms);
            assert_int_equal(world->bodies[block.height].count, 0);
            return;
        }
        drop_body(world, block.height);
        cl_ledger_tip(world->own.ledger, &tip);
        sync_moved(world->sync, &tip);
    }
}

static void ask_all(struct world *world)
{
    struct sync_question question;
    while (sync_next(world->sync, &question, world->now_ms)) {
        enum manner manner = world->manners[question.peer];
        assert_true(question.peer < world->peer_count && question.number < SYNC_PEER_ASKED_MAX);
        assert_int_equal(world->due_ms[place_of(&question)], 0);
        world->questions[place_of(&question)] = question;
        world->due_ms[place_of(&question)] = world->now_ms + (manner == SILENT ? SYNC_LIMIT_MS : manner == SLOW ? 2000 + draw(world, 2000) : 10 + draw(world, 80));
        world->asked++;
    }
    size_t open = 0;
    for (size_t i = 0; i < OPEN_MAX; i++) open += world->due_ms[i] != 0;
    assert_true(open <= SYNC_ASKED_MAX);
}

static void answer(struct world *world, size_t place)
{
    struct cl_buffer bytes = { 0 };
    struct frame frame;
    struct sync_taken taken;
    bool made = make_answer(world, &bytes, &frame, place);
    world->due_ms[place] = 0;
    FIXTURE_OK(sync_answered(world->sync, &taken, world->questions[place].peer, world->questions[place].number, made ? &frame : NULL, world->now_ms));
    if (made && taken.blocks > 0) keep(world, &frame, &taken);
    cl_buffer_deinit(&bytes);
    commit_ready(world);
}

/* Runs until nothing is open and nothing will come by itself within the time, or the own ledger is as high as the truth. */
static void run(struct world *world, uint64_t for_ms)
{
    uint64_t end = world->now_ms + for_ms;
    struct cl_tip tip;
    for (;;) {
        ask_all(world);
        uint64_t next = sync_wait_ms(world->sync, world->now_ms), at = next > end - world->now_ms ? end : world->now_ms + next;
        size_t who = SIZE_MAX;
        for (size_t i = 0; i < OPEN_MAX; i++)
            if (world->due_ms[i] != 0 && world->due_ms[i] <= at) at = world->due_ms[i], who = i;
        world->now_ms = at;
        if (who != SIZE_MAX) answer(world, who);
        cl_ledger_tip(world->own.ledger, &tip);
        if (tip.height == world->truth->height || at >= end) return;
    }
}

static void same_as_truth(struct world *world)
{
    struct cl_tip own, truth;
    char detail[512];
    cl_ledger_tip(world->own.ledger, &own);
    cl_ledger_tip(world->truth->fixture.ledger, &truth);
    assert_int_equal(own.height, truth.height);
    assert_memory_equal(own.block.bytes, truth.block.bytes, 32);
    assert_memory_equal(own.log_root.bytes, truth.log_root.bytes, 32);
    FIXTURE_OK(fixture_audit(&world->own.store, &world->own.network.genesis, false, detail, sizeof detail));
}

static uint64_t wrong_of(struct world *world, size_t peer)
{
    struct sync_peer_report report;
    sync_peer_report(world->sync, peer, &report, world->now_ms);
    return report.wrong;
}

/* ---- claims */
static struct truth shared; /* 100 blocks: some empty, some that only a later one's certificate proves */

static int make_shared(void **state)
{
    (void)state;
    truth_open(&shared);
    for (size_t i = 1; i <= 100; i++) truth_grants(&shared, i * 7 % 12, i == 100 || (i % 5 != 0 && (i < 40 || i > 60)));
    return 0;
}

static int close_shared(void **state)
{
    (void)state;
    truth_close(&shared);
    return 0;
}

static void one_honest_peer_is_enough(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, &shared, 1, (enum manner[]){ HONEST }, false);
    run(&world, 1000);
    assert_int_equal(world.asked, 0); /* nobody said anything */
    hear_all(&world);
    run(&world, 5000);
    same_as_truth(&world);
    assert_true(wrong_of(&world, 0) == 0 && world.refused == 0);
    world_close(&world);
}

static void a_member_waits_a_moment_and_an_observer_does_not(void **state)
{
    (void)state;
    struct world world;
    struct sync_question question;
    world_open(&world, &shared, 1, (enum manner[]){ HONEST }, false);
    sync_heard(world.sync, 0, 1, world.now_ms);
    assert_false(sync_next(world.sync, &question, world.now_ms + 100000)); /* one block: consensus brings it */
    assert_int_equal(sync_wait_ms(world.sync, world.now_ms), UINT64_MAX);
    sync_wanted(world.sync, 0, world.now_ms);
    assert_true(sync_next(world.sync, &question, world.now_ms)); /* unless it asked for it */
    assert_true(question.request.first_height == 1 && question.request.skip == CL_BLOCK_RECORDS_MAX);
    world_close(&world);
    world_open(&world, &shared, 1, (enum manner[]){ HONEST }, false);
    sync_heard(world.sync, 0, 2, world.now_ms);
    assert_false(sync_next(world.sync, &question, world.now_ms + SYNC_PATIENCE_MS - 1));
    assert_int_equal(sync_wait_ms(world.sync, world.now_ms), SYNC_PATIENCE_MS);
    sync_heard(world.sync, 0, 3, world.now_ms + SYNC_PATIENCE_MS - 1); /* still ahead: since the first time */
    assert_true(sync_next(world.sync, &question, world.now_ms + SYNC_PATIENCE_MS));
    world_close(&world);
    world_open(&world, &shared, 1, (enum manner[]){ HONEST }, true);
    sync_heard(world.sync, 0, 1, world.now_ms);
    assert_true(sync_next(world.sync, &question, world.now_ms));
    world_close(&world);
}

static void several_peers_are_asked_at_a_time_for_blocks_that_follow_each_other(void **state)
{
    (void)state;
    struct truth truth;
    struct world world;
    truth_open(&truth);
    for (size_t i = 0; i < 40; i++) truth_grants(&truth, 256, true);
    world_open(&world, &truth, 6, (enum manner[]){ HONEST, HONEST, HONEST, HONEST, HONEST, HONEST }, false);
    hear_all(&world);
    world.now_ms += SYNC_PATIENCE_MS;
    ask_all(&world);
    assert_int_equal(world.asked, 1); /* what is final, of one */
    for (size_t i = 0; i < OPEN_MAX; i++)
        if (world.due_ms[i] != 0) world.now_ms = world.due_ms[i], answer(&world, i);
    ask_all(&world);
    assert_int_equal(world.asked, 1 + 6 + 1); /* each, and one more of whom has answered */
    uint64_t heights = 0, first = UINT64_MAX;
    size_t most = 0;
    for (size_t i = 0, of_peer = 0; i < OPEN_MAX; i++) {
        of_peer = (i % SYNC_PEER_ASKED_MAX > 0 ? of_peer : 0) + (world.due_ms[i] != 0);
        if (of_peer > most) most = of_peer;
        if (world.due_ms[i] == 0) continue;
        heights += world.questions[i].request.count;
        if (world.questions[i].request.first_height < first) first = world.questions[i].request.first_height;
    }
    assert_int_equal(first, 1);
    assert_int_equal(most, 2);
    bool covered[64] = { false };
    for (size_t i = 0; i < OPEN_MAX; i++)
        for (uint64_t k = 0; world.due_ms[i] != 0 && k < world.questions[i].request.count; k++) {
            assert_false(covered[world.questions[i].request.first_height + k]); /* no block is asked of two */
            covered[world.questions[i].request.first_height + k] = true;
        }
    for (uint64_t k = 1; k <= heights; k++) assert_true(covered[k]);
    run(&world, 20000);
    same_as_truth(&world);
    world_close(&world);
    truth_close(&truth);
}

/* The most questions that were open to one peer, while a long chain was caught up from it. */
static size_t most_open(struct truth *truth, enum manner manner)
{
    struct world world;
    size_t most = 0;
    world_open(&world, truth, 1, (enum manner[]){ manner }, true);
    hear_all(&world);
    for (size_t turn = 0; turn < 2000; turn++) {
        size_t open = 0, next = SIZE_MAX;
        ask_all(&world);
        for (size_t i = 0; i < OPEN_MAX; i++) {
            if (world.due_ms[i] == 0) continue;
            open++;
            if (next == SIZE_MAX || world.due_ms[i] < world.due_ms[next]) next = i;
        }
        if (open > most) most = open;
        if (next == SIZE_MAX) break;
        if (world.due_ms[next] > world.now_ms) world.now_ms = world.due_ms[next];
        answer(&world, next);
    }
    same_as_truth(&world);
    world_close(&world);
    return most;
}

/* With as many questions open to it as may be, the peer changes its manner: what all of them come to is one fault. */
static uint64_t asked_again_after(struct truth *truth, enum manner manner)
{
    struct world world;
    struct sync_peer_report report;
    size_t open = 0, faults = 0;
    world_open(&world, truth, 1, (enum manner[]){ HONEST }, true);
    hear_all(&world);
    while (open < SYNC_PEER_ASKED_MAX) {
        ask_all(&world);
        open = 0;
        for (size_t i = 0; i < OPEN_MAX; i++) open += world.due_ms[i] != 0;
        if (open == SYNC_PEER_ASKED_MAX) break;
        for (size_t i = 0; i < OPEN_MAX; i++)
            if (world.due_ms[i] != 0) world.now_ms += 20, answer(&world, i);
    }
    world.manners[0] = manner;
    for (size_t i = 0; i < OPEN_MAX; i++)
        if (world.due_ms[i] != 0) answer(&world, i), faults++;
    sync_peer_report(world.sync, 0, &report, world.now_ms);
    assert_true(faults == SYNC_PEER_ASKED_MAX && report.wrong + report.unanswered >= faults / 2);
    world_close(&world);
    return report.asked_again_in_ms;
}

static void many_open_questions_that_fail_together_are_one_fault(void **state)
{
    (void)state;
    struct truth truth;
    truth_open(&truth);
    for (size_t i = 0; i < 80; i++) truth_grants(&truth, 256, true);
    truth_look(&truth);
    assert_int_equal(asked_again_after(&truth, SILENT), SYNC_PAUSE_MS);
    assert_int_equal(asked_again_after(&truth, OTHER_KIND), SYNC_BAN_MS);
    truth_close(&truth);
}

static void a_peer_has_as_many_questions_open_as_it_answers_in_time(void **state)
{
    (void)state;
    struct truth truth;
    truth_open(&truth);
    for (size_t i = 0; i < 80; i++) truth_grants(&truth, 256, true);
    truth_look(&truth);
    assert_int_equal(most_open(&truth, HONEST), SYNC_PEER_ASKED_MAX);
    assert_int_equal(most_open(&truth, SLOW), 1);
    truth_close(&truth);
}

static void blocks_larger_than_a_frame_come_in_parts_and_memory_stays_bounded(void **state)
{
    (void)state;
    struct truth truth;
    struct world world;
    static struct cl_entry entries[400];
    static uint8_t nonces[400][16], hashes[400][3][32];
    truth_open(&truth);
    for (size_t block = 0; block < 3; block++) { /* 4 MiB each */
        struct cl_ledger_record *records[80];
        for (size_t r = 0; r < 80; r++) {
            for (size_t i = 0; i < 400; i++) {
                fixture_hash(hashes[i][0], "test_sync", i);
                memcpy(nonces[i], hashes[i][0], 16);
                nonces[i][15] = (uint8_t)block;
                for (size_t h = 1; h < 3; h++) memcpy(hashes[i][h], hashes[i][0], 32);
                entries[i] = (struct cl_entry){ .present = CL_HAS(1) | CL_HAS(3) | CL_HAS(12) | CL_HAS(15), .object = nonces[i], .object_length = 16,
                    .commitment = hashes[i][0], .key = hashes[i][1], .key_length = 32, .recovery = hashes[i][2] };
            }
            records[r] = fixture_record(&truth.fixture.network, CL_PROFILE, 500 + r, entries, 400, truth.fixture.now_ms);
        }
        assert_true(80 * records[0]->record.bytes.length > 3u << 20);
        truth_block(&truth, records, 80, block != 1);
        truth_grants(&truth, 3, true);
    }
    world_open(&world, &truth, 3, (enum manner[]){ HONEST, SLOW, SILENT }, false);
    hear_all(&world);
    run(&world, 400000);
    same_as_truth(&world);
    assert_true(world.held_most > 4u << 20);
    assert_true(world.held_most <= SYNC_BODY_BYTES_MAX + CL_BLOCK_BYTES_MAX + SYNC_ASKED_MAX * CL_FRAME_BYTES_MAX);
    world_close(&world);
    truth_close(&truth);
}

/* Each hostile manner, beside one slow honest peer: the end is reached, the liar is counted, the honest one is not. */
static void whoever_lies_is_counted_and_left_alone(void **state)
{
    (void)state;
    static const enum manner liars[] = { BENDS_RECORD, BENDS_STATE_LEAF, BENDS_ROOT, BENDS_CERTIFICATE, OTHER_RECORDS, LEAVES_OUT, ONE_MORE, TOO_MANY, FORKS, OTHER_KIND };
    struct truth fork;
    truth_open(&fork);
    fork.customer = 5000;
    for (size_t i = 0; i < 100; i++) truth_grants(&fork, 3, false);
    truth_look(&fork);
    for (size_t i = 0; i < sizeof liars / sizeof *liars; i++) {
        struct world world;
        world_open(&world, &shared, 2, (enum manner[]){ liars[i], SLOW }, false);
        world.fork = &fork;
        sync_heard(world.sync, 0, shared.height, world.now_ms); /* the liar is first */
        run(&world, 2000);
        hear_all(&world);
        run(&world, 600000);
        same_as_truth(&world);
        if (liars[i] != FORKS) assert_true(wrong_of(&world, 0) > 0); /* a chain that nothing proves is no lie yet: it leads nowhere */
        assert_int_equal(wrong_of(&world, 1), 0);
        struct sync_peer_report report;
        sync_peer_report(world.sync, 0, &report, world.now_ms);
        assert_true(report.wrong + report.unanswered > 0);
        world_close(&world);
    }
    truth_close(&fork);
}

/* Whole blocks, as many records as were asked for, but not of the block whose header was given: nothing of them is kept. */
static void another_blocks_body_is_refused_as_it_comes_and_the_next_peer_asked(void **state)
{
    (void)state;
    enum { BLOCKS = 40 };
    struct truth truth, fork;
    struct world world;
    truth_open(&truth);
    truth_open(&fork);
    fork.customer = 5000;
    for (size_t i = 0; i < BLOCKS; i++) {
        truth_grants(&truth, 3, true);
        truth_grants(&fork, 3, true);
    }
    truth_look(&fork);
    world_open(&world, &truth, 2, (enum manner[]){ OTHER_BODIES, HONEST }, false);
    world.fork = &fork;
    sync_heard(world.sync, 0, truth.height, world.now_ms);
    run(&world, 5000);
    assert_int_equal(wrong_of(&world, 0), 1);
    assert_int_equal(world.held_most, 0);
    hear_all(&world);
    run(&world, 600000);
    same_as_truth(&world);
    assert_int_equal(world.refused, 0);
    assert_int_equal(wrong_of(&world, 1), 0);
    world_close(&world);
    truth_close(&fork);
    truth_close(&truth);
}

static void a_certificate_of_too_few_proves_nothing(void **state)
{
    (void)state;
    struct truth fork;
    struct world world;
    struct sync_report report;
    truth_open(&fork);
    fork.customer = 5000;
    truth_grants(&fork, 3, false);
    struct cl_ledger_record *record = fixture_grant(&fork.fixture.network, 6000, 1, 2, fork.fixture.now_ms);
    struct fixture_network two = fork.fixture.network; /* the votes of two of four, for a block of theirs */
    two.genesis.value.member_count = 2;
    struct cl_candidate *candidate;
    struct cl_candidate_summary sealed;
    struct cl_buffer bytes = { 0 }, again = { 0 };
    struct cl_certificate *certificate = malloc(sizeof *certificate);
    assert_non_null(certificate);
    FIXTURE_OK(cl_candidate_new(&candidate, fork.fixture.ledger, NULL, fork.fixture.now_ms + 1000));
    FIXTURE_OK(cl_candidate_add(candidate, record, NULL));
    cl_ledger_record_unref(record);
    FIXTURE_OK(cl_candidate_seal(candidate, &sealed));
    fixture_certificate(&bytes, &two, 0, 9, &sealed.id);
    FIXTURE_OK(cl_certificate_decode(certificate, bytes.data, bytes.length));
    certificate->member_count = 4;
    FIXTURE_OK(cl_certificate_encode(&again, certificate));
    FIXTURE_OK(cl_ledger_commit(fork.fixture.ledger, candidate, 9, 2, again.data, again.length));
    cl_candidate_free(candidate);
    fork.height = 2;
    cl_buffer_deinit(&bytes);
    cl_buffer_deinit(&again);
    free(certificate);
    world_open(&world, &fork, 1, (enum manner[]){ HONEST }, true);
    hear_all(&world);
    run(&world, 5000);
    sync_report(world.sync, &report, world.now_ms);
    assert_true(report.height == 0 && !report.behind && report.wrong > 0);
    world_close(&world);
    truth_close(&fork);
}

/* One block's header as the ledger serves it; certificate and view are the test's. */
static void put_header(struct cl_buffer *out, const struct truth *from, uint64_t height, const struct cl_stored_block *proof)
{
    struct cl_buffer stored = { 0 }, again = { 0 };
    struct cl_stored_block block;
    struct cl_hash root;
    FIXTURE_OK(cl_view_block(from->view, &stored, height));
    FIXTURE_OK(cl_stored_block_decode(&block, stored.data, stored.length));
    FIXTURE_OK(cl_view_log_root(from->view, &root, block.first_index + block.record_count));
    if (proof != NULL) {
        block.certificate = proof->certificate;
        block.view = proof->view;
        block.parent_view = proof->parent_view;
    }
    FIXTURE_OK(cl_stored_block_encode(&again, &block));
    FIXTURE_OK(frame_range_add(out, (struct cl_view){ again.data, again.length }, &root, NULL, 0));
    cl_buffer_deinit(&stored);
    cl_buffer_deinit(&again);
}

/* Answers the first question for headers with these, and expects the peer to be at fault and nothing to be believed. */
static void headers_prove_nothing(struct truth *truth, const struct cl_buffer *payload)
{
    struct world world;
    struct sync_question question;
    struct sync_taken taken;
    struct sync_report report;
    struct frame frame = { FRAME_RANGE, { payload->data, payload->length } };
    world_open(&world, truth, 1, (enum manner[]){ HONEST }, true);
    hear_all(&world);
    assert_true(sync_next(world.sync, &question, world.now_ms));
    FIXTURE_OK(sync_answered(world.sync, &taken, 0, 0, &frame, world.now_ms));
    sync_report(world.sync, &report, world.now_ms);
    assert_true(!report.behind && report.proven == 0 && report.wrong == 1);
    world_close(&world);
}

static void a_certificate_proves_its_own_chain_and_no_other(void **state)
{
    (void)state;
    struct truth truth, fork;
    struct cl_buffer payload = { 0 }, stored = { 0 };
    struct cl_stored_block first, second;
    truth_open(&truth);
    truth_open(&fork);
    fork.customer = 5000;
    truth_grants(&truth, 3, true);
    truth_grants(&truth, 3, true);
    truth_grants(&fork, 3, false);
    truth_look(&truth);
    truth_look(&fork);
    FIXTURE_OK(cl_view_block(truth.view, &stored, 1));
    FIXTURE_OK(cl_stored_block_decode(&first, stored.data, stored.length));
    /* another first block, below a second one that is final */
    FIXTURE_OK(frame_range_begin(&payload, 2));
    put_header(&payload, &fork, 1, NULL);
    put_header(&payload, &truth, 2, NULL);
    headers_prove_nothing(&truth, &payload);
    /* another first block, with the certificate of the right one */
    payload.length = 0;
    FIXTURE_OK(frame_range_begin(&payload, 1));
    put_header(&payload, &fork, 1, &first);
    headers_prove_nothing(&truth, &payload);
    /* the right block, said to be of another view than its certificate's */
    payload.length = 0;
    second = first;
    second.view++;
    FIXTURE_OK(frame_range_begin(&payload, 1));
    put_header(&payload, &truth, 1, &second);
    headers_prove_nothing(&truth, &payload);
    /* a view that does not grow */
    payload.length = 0;
    second = (struct cl_stored_block){ .view = 9, .parent_view = 0 };
    FIXTURE_OK(frame_range_begin(&payload, 2));
    put_header(&payload, &truth, 1, &second);
    put_header(&payload, &truth, 2, NULL);
    headers_prove_nothing(&truth, &payload);
    cl_buffer_deinit(&payload);
    cl_buffer_deinit(&stored);
    truth_close(&truth);
    truth_close(&fork);
}

static void empty_claims_are_asked_about_less_and_less_often(void **state)
{
    (void)state;
    struct world world;
    struct sync_report report;
    world_open(&world, &shared, 1, (enum manner[]){ BOASTS }, false);
    for (size_t i = 0; i < 600; i++) { /* ten minutes, a claim each second */
        hear_all(&world);
        run(&world, 1000);
    }
    assert_in_range(world.asked, 5, 30);
    sync_report(world.sync, &report, world.now_ms);
    assert_false(report.behind); /* a claim alone is no reason to stop doing anything else */
    world_close(&world);
}

static void bans_grow(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, &shared, 1, (enum manner[]){ BENDS_ROOT }, false);
    for (size_t i = 0; i < 3600; i++) {
        hear_all(&world);
        run(&world, 1000);
    }
    assert_in_range(wrong_of(&world, 0), 6, 10); /* after 10, 20, 40 … s */
    struct sync_report report;
    sync_report(world.sync, &report, world.now_ms);
    assert_int_equal(report.claimed, 0); /* what it says does not count meanwhile */
    world_close(&world);
}

static void what_the_ledger_got_elsewhere_is_planned_no_longer(void **state)
{
    (void)state;
    struct world world;
    struct cl_tip tip;
    world_open(&world, &shared, 2, (enum manner[]){ HONEST, HONEST }, false);
    hear_all(&world);
    run(&world, 700); /* somewhere on the way */
    cl_ledger_tip(shared.fixture.ledger, &tip);
    ask_all(&world);
    sync_moved(world.sync, &tip); /* as if consensus had committed all of it */
    struct sync_report report;
    sync_report(world.sync, &report, world.now_ms);
    assert_true(!report.behind && report.height == 100);
    assert_int_equal(world.held, 0);
    for (size_t i = 0; i < OPEN_MAX; i++) /* answers that come late are nobody's fault */
        if (world.due_ms[i] != 0) {
            struct cl_buffer bytes = { 0 };
            struct frame frame;
            struct sync_taken taken;
            assert_true(make_answer(&world, &bytes, &frame, i));
            FIXTURE_OK(sync_answered(world.sync, &taken, world.questions[i].peer, world.questions[i].number, &frame, world.now_ms));
            assert_true(taken.blocks == 0 && wrong_of(&world, world.questions[i].peer) == 0);
            cl_buffer_deinit(&bytes);
        }
    world_close(&world);
}

static void the_end_is_reached_while_the_others_go_on(void **state)
{
    (void)state;
    struct truth truth;
    struct world world;
    truth_open(&truth);
    for (size_t i = 0; i < 300; i++) truth_grants(&truth, 5, true);
    world_open(&world, &truth, 3, (enum manner[]){ HONEST, HONEST, SLOW }, false);
    for (size_t i = 0; i < 60; i++) { /* a block each second, of which all tell */
        truth_grants(&truth, 5, true);
        truth_look(&truth);
        hear_all(&world);
        run(&world, 1000);
    }
    struct cl_tip tip;
    cl_ledger_tip(world.own.ledger, &tip);
    assert_true(tip.height + 5 >= truth.height); /* the slow one takes four seconds for what nobody else is asked meanwhile */
    run(&world, 1000);
    world_close(&world);
    truth_close(&truth);
}

static void gaps_between_certificates_do_not_grow(void **state)
{
    (void)state;
    struct world world;
    struct cl_ledger_view *view;
    struct cl_buffer bytes = { 0 };
    size_t gap = 0, widest = 0, kept = 0;
    world_open(&world, &shared, 1, (enum manner[]){ HONEST }, false);
    hear_all(&world);
    run(&world, 60000);
    same_as_truth(&world);
    FIXTURE_OK(cl_ledger_view_new(&view, world.own.ledger));
    for (uint64_t height = 1; height <= shared.height; height++) {
        struct cl_stored_block block;
        FIXTURE_OK(cl_view_block(view, &bytes, height));
        FIXTURE_OK(cl_stored_block_decode(&block, bytes.data, bytes.length));
        kept += block.certificate.length > 0;
        gap = block.certificate.length > 0 ? 0 : gap + 1;
        if (gap > widest) widest = gap;
    }
    assert_true(widest < SYNC_CERTIFICATE_EVERY && kept < 20);
    cl_buffer_deinit(&bytes);
    cl_ledger_view_free(view);
    world_close(&world);
}

static void a_peer_that_is_busy_is_asked_later_and_others_meanwhile(void **state)
{
    (void)state;
    struct world world;
    struct sync_question question, other;
    struct sync_peer_report report;
    world_open(&world, &shared, 2, (enum manner[]){ HONEST, HONEST }, true);
    hear_all(&world);
    assert_true(sync_next(world.sync, &question, world.now_ms));
    assert_false(sync_next(world.sync, &other, world.now_ms)); /* headers are asked of one at a time */
    sync_put_off(world.sync, question.peer, question.number, world.now_ms + 100);
    assert_true(sync_next(world.sync, &other, world.now_ms));
    assert_true(other.peer != question.peer && other.request.first_height == question.request.first_height);
    sync_put_off(world.sync, other.peer, other.number, world.now_ms + 100);
    assert_false(sync_next(world.sync, &other, world.now_ms));
    assert_int_equal(sync_wait_ms(world.sync, world.now_ms), 100);
    sync_peer_report(world.sync, question.peer, &report, world.now_ms);
    assert_true(report.wrong == 0 && report.unanswered == 0);
    run(&world, 60000);
    same_as_truth(&world);
    world_close(&world);
}

/* A chain of which only the first and the last block have a certificate; between them as many blocks as a correct node may
   leave, and one more. */
static void a_chain_without_proof_is_followed_as_far_as_a_correct_node_goes(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct truth truth;
        struct world world;
        struct sync_report report;
        truth_open(&truth);
        truth_grants(&truth, 1, true);
        for (size_t i = 0; i < SYNC_UNPROVEN_MAX + more; i++) truth_grants(&truth, i % 100 == 0, false);
        truth_grants(&truth, 1, true);
        world_open(&world, &truth, 1, (enum manner[]){ HONEST }, true);
        hear_all(&world);
        run(&world, 8000);
        sync_report(world.sync, &report, world.now_ms);
        if (more == 0) same_as_truth(&world);
        else assert_true(report.height == 1 && report.wrong > 0);
        world_close(&world);
        truth_close(&truth);
    }
}

/* Any mixture, as long as one honest peer is there: the same ledger in the end, and no honest peer is blamed. */
static void random_mixtures_end_well(void **state)
{
    (void)state;
    struct truth fork;
    truth_open(&fork);
    fork.customer = 5000;
    for (size_t i = 0; i < 100; i++) truth_grants(&fork, 2, false);
    truth_look(&fork);
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world world;
        enum manner manners[PEERS_MAX];
        uint64_t bits = seed * 0x9e3779b97f4a7c15u;
        size_t count = 1 + (size_t)(bits >> 60) % PEERS_MAX;
        for (size_t i = 0; i < count; i++) manners[i] = i == seed % count ? HONEST : (enum manner)((bits >> (6 * i)) % MANNERS);
        world_open(&world, &shared, count, manners, seed % 3 == 0);
        world.fork = &fork;
        world.seed = seed;
        for (size_t i = 0; i < 3000; i++) { /* statuses come now and then; fifty minutes at most */
            struct cl_tip tip;
            hear_all(&world);
            run(&world, 1000);
            cl_ledger_tip(world.own.ledger, &tip);
            if (tip.height == shared.height) break;
        }
        same_as_truth(&world);
        for (size_t i = 0; i < count; i++)
            if (manners[i] == HONEST || manners[i] == SLOW) assert_int_equal(wrong_of(&world, i), 0);
        world_close(&world);
    }
    truth_close(&fork);
}

static void the_server_answers_any_question_within_a_frame(void **state)
{
    (void)state;
    static const struct frame_range_request requests[] = {
        { 0, UINT64_MAX, 0 }, { 1, 0, 0 }, { UINT64_MAX, UINT64_MAX, UINT64_MAX }, { 100, 5, 3 }, { 101, 1, 0 }, { 1, 100, 7 }, { 1, 100, UINT64_MAX } };
    static const size_t blocks[] = { 101, 0, 0, 1, 0, 100, 100 };
    truth_look(&shared);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct cl_buffer payload = { 0 }, bytes = { 0 };
        struct frame frame;
        struct frame_range_reader range;
        FIXTURE_OK(sync_serve(&payload, shared.view, &requests[i]));
        FIXTURE_OK(frame_encode(&bytes, &shared.fixture.network.genesis.network, FRAME_RANGE, payload.data, payload.length));
        FIXTURE_OK(frame_decode(&frame, &shared.fixture.network.genesis.network, bytes.data, bytes.length));
        frame_range_init(&range, &frame);
        assert_int_equal(range.left, blocks[i]);
        cl_buffer_deinit(&payload);
        cl_buffer_deinit(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_honest_peer_is_enough),
        cmocka_unit_test(a_member_waits_a_moment_and_an_observer_does_not),
        cmocka_unit_test(several_peers_are_asked_at_a_time_for_blocks_that_follow_each_other),
        cmocka_unit_test(many_open_questions_that_fail_together_are_one_fault),
        cmocka_unit_test(a_peer_has_as_many_questions_open_as_it_answers_in_time),
        cmocka_unit_test(blocks_larger_than_a_frame_come_in_parts_and_memory_stays_bounded),
        cmocka_unit_test(whoever_lies_is_counted_and_left_alone),
        cmocka_unit_test(another_blocks_body_is_refused_as_it_comes_and_the_next_peer_asked),
        cmocka_unit_test(a_certificate_of_too_few_proves_nothing),
        cmocka_unit_test(a_certificate_proves_its_own_chain_and_no_other),
        cmocka_unit_test(empty_claims_are_asked_about_less_and_less_often),
        cmocka_unit_test(bans_grow),
        cmocka_unit_test(what_the_ledger_got_elsewhere_is_planned_no_longer),
        cmocka_unit_test(the_end_is_reached_while_the_others_go_on),
        cmocka_unit_test(gaps_between_certificates_do_not_grow),
        cmocka_unit_test(a_peer_that_is_busy_is_asked_later_and_others_meanwhile),
        cmocka_unit_test(a_chain_without_proof_is_followed_as_far_as_a_correct_node_goes),
        cmocka_unit_test(random_mixtures_end_well),
        cmocka_unit_test(the_server_answers_any_question_within_a_frame),
    };
    return cmocka_run_group_tests(tests, make_shared, close_shared);
}
