/* Blocks that are not final, in a real node whose three fellow members are puppets: what it votes for, what it asks for, of
   whom, how often, and whom it does not believe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <pthread.h>

#include "logging.h"
#include "puppets.h"

static struct puppets puppets;

struct expected_vote { enum cl_vote_kind kind; uint64_t view; const struct cl_block_id *block; };

static bool has_voted(struct puppets *all, const void *argument)
{
    const struct expected_vote *vote = argument;
    return puppets_heard_vote(all, vote->kind, vote->view, vote->block);
}

static void wait_vote(enum cl_vote_kind kind, const struct puppet_block *block)
{
    const struct expected_vote vote = { kind, block->block.view, kind == CL_VOTE_NULLIFY ? NULL : &block->block.id };
    puppets_wait(&puppets, has_voted, &vote, "the node's vote");
}

static bool has_height(struct puppets *all, const void *argument) { return puppets_height(all) >= *(const uint64_t *)argument; }
static void wait_height(uint64_t height) { puppets_wait(&puppets, has_height, &height, "the block is final here"); }

/* A block of one record, on genesis, in the first view that a puppet leads; nullifications before it are in its proposal. */
static void one_block(struct puppet_block *block, struct cl_ledger_record **record)
{
    *record = puppets_grant(&puppets);
    puppets_make(&puppets, block, NULL, puppets_view(&puppets, 1), record, 1);
}

static void free_one(struct puppet_block *block, struct cl_ledger_record *record)
{
    puppet_block_free(block);
    cl_ledger_record_unref(record);
}

static void a_proposal_whose_records_are_missing_is_voted_for_once_they_come(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    puppets_open(&puppets, NULL);
    one_block(&block, &record);
    puppets_put_record(&puppets, 3, record);
    puppets_propose(&puppets, &block, NULL);
    wait_vote(CL_VOTE_NOTARIZE, &block);
    puppets_certify(&puppets, CL_VOTE_FINALIZE, block.block.view, &block.block.id);
    wait_height(1);
    free_one(&block, record);
    puppets_close(&puppets);
}

static bool pool_has_one(struct puppets *all, const void *argument)
{
    const struct cl_ledger_record *record = argument;
    static size_t answered;
    puppets_announce(all, 2, record);
    size_t fetched = puppets_heard(all, NEWS_FETCH, 2, record->record.leaf_hash.bytes);
    if (fetched > answered) puppets_send_record(all, 2, record);
    answered = fetched;
    puppets_pause(50);
    return atomic_load(&all->node->counters.pool_records) == 1;
}

static bool was_asked(struct puppets *all, const void *argument)
{
    (void)argument;
    struct puppet_heard heard;
    return puppets_first(all, &heard, NEWS_QUESTION);
}

/* Nothing else comes that could make the node look again at once. */
static void a_proposal_that_comes_after_its_certificate_is_looked_at_at_once(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    puppets_open_patient(&puppets, NULL, 5000);
    one_block(&block, &record);
    puppets_wait(&puppets, pool_has_one, record, "the record is in the pool");
    for (size_t i = 1; i < PUPPETS_MEMBERS; i++) puppets_silence(&puppets, i, true);
    puppets_certify(&puppets, CL_VOTE_FINALIZE, block.block.view, &block.block.id);
    puppets_wait(&puppets, was_asked, NULL, "the block is asked for");
    uint64_t began = node_monotonic_ms();
    puppets_propose(&puppets, &block, NULL);
    wait_height(1);
    assert_in_range(node_monotonic_ms() - began, 0, 500); /* a few ms; what looks again by itself does so after a second */
    free_one(&block, record);
    puppets_close(&puppets);
}

/* The hostile answer comes from the leader, who is asked first. */
static void lied_to_about(void (*change)(struct cl_proposal *proposal))
{
    struct puppet_block block;
    struct cl_ledger_record *record;
    struct cl_buffer lie = { 0 };
    puppets_open(&puppets, NULL);
    one_block(&block, &record);
    size_t leader = puppets_leader(&puppets, block.block.view);
    puppets_alter(&lie, &block.proposal, change);
    for (size_t i = 1; i < PUPPETS_MEMBERS; i++) {
        puppets_put_block(&puppets, i, &block, i == leader ? &lie : NULL);
        if (i != leader) puppets_put_record(&puppets, i, record);
    }
    puppets_certify(&puppets, CL_VOTE_FINALIZE, block.block.view, &block.block.id);
    wait_height(1);
    assert_true(puppets_heard(&puppets, NEWS_QUESTION, leader, block.block.id.bytes) > 0);
    cl_buffer_deinit(&lie);
    free_one(&block, record);
    puppets_close(&puppets);
}

static void change_view(struct cl_proposal *proposal) { proposal->view++; }
static void change_view_down(struct cl_proposal *proposal) { proposal->view = 0; }
static void change_view_far(struct cl_proposal *proposal) { proposal->view = UINT64_MAX; }
static void change_parent_view(struct cl_proposal *proposal) { proposal->parent_view = proposal->view - 1; }
static void change_parent(struct cl_proposal *proposal) { proposal->parent.bytes[0] ^= 1; }
static void change_time(struct cl_proposal *proposal) { proposal->time_ms++; }
static void change_leaf(struct cl_proposal *proposal)
{
    static struct cl_leaf_hash unknown = { { 1, 2, 3 } };
    proposal->leaves = &unknown;
}

static void whoever_answers_with_another_view_is_not_believed(void **state)
{
    (void)state;
    lied_to_about(change_view);
    lied_to_about(change_view_down);
    lied_to_about(change_view_far);
}

static void whoever_answers_with_another_parent_is_not_believed(void **state)
{
    (void)state;
    lied_to_about(change_parent);
    lied_to_about(change_parent_view);
}

static void whoever_answers_with_another_block_is_not_believed(void **state)
{
    (void)state;
    lied_to_about(change_time);
}

static void whoever_answers_with_records_that_nobody_has_is_not_waited_for(void **state)
{
    (void)state;
    lied_to_about(change_leaf);
}

/* The block is certified, and its leader goes on saying what it never was. */
static void a_leader_that_goes_on_lying_holds_up_nothing(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    struct cl_buffer lie = { 0 };
    puppets_open(&puppets, NULL);
    one_block(&block, &record);
    size_t leader = puppets_leader(&puppets, block.block.view), other = leader == 3 ? 2 : 3;
    puppets_alter(&lie, &block.proposal, change_leaf);
    puppets_put_block(&puppets, other, &block, NULL);
    puppets_put_record(&puppets, other, record);
    puppets_propose(&puppets, &block, &lie);
    puppets_certify(&puppets, CL_VOTE_FINALIZE, block.block.view, &block.block.id);
    for (size_t i = 0; i < 1000 && puppets_height(&puppets) == 0; i++) {
        puppets_propose(&puppets, &block, &lie);
        puppets_pause(10);
    }
    wait_height(1);
    cl_buffer_deinit(&lie);
    free_one(&block, record);
    puppets_close(&puppets);
}

/* ---- how often it asks */
static void one_certificate_after_the_other_causes_one_fetch_of_a_body(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    puppets_open(&puppets, NULL);
    one_block(&block, &record);
    for (size_t i = 1; i < PUPPETS_MEMBERS; i++) puppets_silence(&puppets, i, true); /* a question is open for two seconds */
    uint64_t began = node_monotonic_ms();
    for (size_t i = 0; i < 20; i++) {
        puppets_certify(&puppets, i % 2 == 0 ? CL_VOTE_NOTARIZE : CL_VOTE_FINALIZE, block.block.view, &block.block.id);
        puppets_pause(50);
    }
    puppets_wait(&puppets, was_asked, NULL, "the block is asked for");
    size_t asked = puppets_heard(&puppets, NEWS_QUESTION, SIZE_MAX, block.block.id.bytes);
    assert_in_range(asked, 1, 1 + (node_monotonic_ms() - began) / 2000);
    for (size_t i = 1; i < PUPPETS_MEMBERS; i++) {
        puppets_silence(&puppets, i, false);
        puppets_put_block(&puppets, i, &block, NULL);
        puppets_put_record(&puppets, i, record);
    }
    wait_height(1);
    free_one(&block, record);
    puppets_close(&puppets);
}

struct block_and_record { const struct cl_block_id *id; const struct cl_leaf_hash *leaf; };

static size_t asked_for_either(struct puppets *all, const struct block_and_record *either)
{
    return puppets_heard(all, NEWS_QUESTION, SIZE_MAX, either->leaf->bytes) + puppets_heard(all, NEWS_QUESTION, SIZE_MAX, either->id->bytes);
}

static bool was_asked_again(struct puppets *all, const void *argument) { return asked_for_either(all, argument) > PUPPETS_MEMBERS; }

/* Members are asked one after the other, and when all were asked there is a pause of 200 ms. */
static void nothing_is_asked_for_faster_than_the_pauses_allow(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    struct puppet_heard first;
    puppets_open(&puppets, NULL);
    one_block(&block, &record);
    uint64_t began = node_monotonic_ms();
    puppets_propose(&puppets, &block, NULL); /* nobody has its record */
    puppets_wait(&puppets, was_asked, NULL, "the record is asked for");
    assert_true(puppets_first(&puppets, &first, NEWS_QUESTION));
    assert_memory_equal(first.hash, record->record.leaf_hash.bytes, 32);
    assert_true(first.at_ms >= began + 10); /* gossip may have been bringing it */
    puppets_certify(&puppets, CL_VOTE_NOTARIZE, block.block.view, &block.block.id);
    struct block_and_record either = { &block.block.id, &record->record.leaf_hash };
    puppets_wait(&puppets, was_asked_again, &either, "all are asked, and then again");
    puppets_pause(1000);
    size_t asked = asked_for_either(&puppets, &either);
    uint64_t laps = (node_monotonic_ms() - began) / 200 + 1;
    assert_in_range(asked, 1, (PUPPETS_MEMBERS - 1) * laps);
    free_one(&block, record);
    puppets_close(&puppets);
}

/* ---- in the owner's thread */
struct owner_call { uint64_t (*read)(struct node *node); uint64_t value; atomic_bool done; };

static void call(void *owner, void *context)
{
    struct owner_call *asked = context;
    asked->value = asked->read(owner);
    atomic_store(&asked->done, true);
}

static uint64_t on_owner(uint64_t (*read)(struct node *node))
{
    struct owner_call asked = { .read = read };
    FIXTURE_OK(inbox_put(&puppets.node->inbox, INBOX_HTTP, call, &asked));
    while (!atomic_load(&asked.done)) puppets_pause(1);
    return asked.value;
}

static uint64_t is_armed(struct node *node) { return node->timers[CONSENSUS_TIMER_ADVANCE] != UINT64_MAX; }

static uint64_t forged_items(struct node *node)
{
    struct consensus_report report;
    consensus_report(node->consensus, &report);
    return report.forged;
}

/* ---- what it votes for */
/* Far enough from the last final view that no timer fires meanwhile. */
static void a_proposal_that_does_not_hold_is_nullified_at_once(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_buffer lie = { 0 };
    struct cl_ledger_record *record;
    puppets_open(&puppets, NULL);
    record = puppets_grant(&puppets);
    puppets_make(&puppets, &block, NULL, puppets_view(&puppets, 14), &record, 1);
    puppets_alter(&lie, &block.proposal, change_time);
    puppets_put_record(&puppets, 2, record);
    puppets_propose(&puppets, &block, &lie);
    wait_vote(CL_VOTE_NULLIFY, &block);
    assert_true(on_owner(is_armed)); /* the timer would have asked for it 15 s later, and would be gone */
    assert_false(puppets_heard_vote(&puppets, CL_VOTE_NOTARIZE, block.block.view, NULL));
    cl_buffer_deinit(&lie);
    free_one(&block, record);
    puppets_close(&puppets);
}

static bool has_proposed(struct puppets *all, const void *argument)
{
    (void)argument;
    struct puppet_heard heard;
    return puppets_first(all, &heard, NEWS_PROPOSAL);
}

/* Many records wait, and many views have to be shown to be nullified. */
static void a_proposal_takes_what_there_is_and_fits_its_frame(void **state)
{
    (void)state;
    enum { RECORDS = 4200 };
    struct puppet_heard heard;
    uint64_t view = 60;
    puppets_open(&puppets, NULL);
    while (puppets_leader(&puppets, view) != 0) view++;
    for (uint64_t before = 2; before < view; before++) puppets_certify(&puppets, CL_VOTE_NULLIFY, before, NULL); /* 1 comes last */
    for (size_t i = 0; i < RECORDS; i++) {
        struct cl_ledger_record *record = puppets_grant(&puppets);
        FIXTURE_OK(node_submit_batch(puppets.node, &record->record.bytes, 1, 0));
        cl_ledger_record_unref(record);
    }
    while (atomic_load(&puppets.node->counters.pool_records) < RECORDS) puppets_pause(5);
    puppets_certify(&puppets, CL_VOTE_NULLIFY, 1, NULL);
    puppets_wait(&puppets, has_proposed, NULL, "the node's proposal");
    assert_true(puppets_first(&puppets, &heard, NEWS_PROPOSAL));
    assert_int_equal(heard.count, puppets.genesis.core.value.parameters.block_records_max);
    puppets_close(&puppets);
}

/* ---- records of blocks */
/* Otherwise all but one might lack it for ever, and be idle. */
static void a_record_of_a_block_that_failed_gets_into_the_pool_when_it_is_announced(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    puppets_open(&puppets, NULL);
    one_block(&block, &record);
    puppets_put_record(&puppets, 3, record);
    puppets_propose(&puppets, &block, NULL);
    wait_vote(CL_VOTE_NOTARIZE, &block);
    puppets_certify(&puppets, CL_VOTE_NULLIFY, block.block.view, NULL);
    puppets_wait(&puppets, pool_has_one, record, "the record is in the pool");
    free_one(&block, record);
    puppets_close(&puppets);
}

static void what_was_voted_for_is_handed_out_also_after_a_restart(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    puppets_open(&puppets, NULL);
    one_block(&block, &record);
    puppets_put_record(&puppets, 3, record);
    puppets_propose(&puppets, &block, NULL);
    wait_vote(CL_VOTE_NOTARIZE, &block);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(puppets_ask(&puppets, 1, block.block.id.bytes), FRAME_PROPOSAL);
        assert_int_equal(puppets_ask(&puppets, 1, record->record.leaf_hash.bytes), FRAME_RECORDS);
        if (i == 0) puppets_stop_node(&puppets);
        if (i == 0) puppets_start_node(&puppets);
    }
    free_one(&block, record);
    puppets_close(&puppets);
}

/* ---- the vote log */
static ino_t votelog_number(void)
{
    char folder[NODE_PATH_MAX], path[NODE_PATH_MAX + 16];
    struct stat found;
    homes_path(folder, &puppets.homes, 0);
    snprintf(path, sizeof path, "%s/vote.log", folder);
    assert_int_equal(stat(path, &found), 0);
    return found.st_ino;
}

static void a_vote_log_that_is_long_because_nothing_becomes_final_is_not_written_anew_all_the_time(void **state)
{
    (void)state;
    enum { RECORDS = 30 }; /* 1.5 MB */
    struct puppet_block block;
    struct cl_ledger_record *records[RECORDS];
    struct node_config config;
    struct cl_vote vote;
    node_config_default(&config);
    config.votelog_truncate_mb = 1;
    puppets_open(&puppets, &config);
    for (size_t i = 0; i < RECORDS; i++) {
        records[i] = puppets_large(&puppets);
        puppets_put_record(&puppets, 3, records[i]);
    }
    puppets_make(&puppets, &block, NULL, puppets_view(&puppets, 1), records, RECORDS);
    puppets_propose(&puppets, &block, NULL);
    wait_vote(CL_VOTE_NOTARIZE, &block);
    ino_t before = votelog_number();
    size_t changes = 0;
    for (size_t i = 0; i < 20; i++) {
        puppets_vote(&puppets, &vote, 1, CL_VOTE_NULLIFY, block.block.view + i, NULL);
        puppets_send_vote(&puppets, 1, &vote, LANE_VOTES);
        puppets_pause(20);
        changes += votelog_number() != before;
        before = votelog_number();
    }
    assert_in_range(changes, 0, 1); /* once, because it is longer than the setting */
    for (size_t i = 0; i < RECORDS; i++) cl_ledger_record_unref(records[i]);
    puppet_block_free(&block);
    puppets_close(&puppets);
}

/* Otherwise nothing would ever become final again, and give the room back. */
static void beyond_the_room_for_blocks_not_final_small_ones_are_still_voted_for(void **state)
{
    (void)state;
    enum { RECORDS = 80, BLOCKS = 17 }; /* of 4 MB: more than 64 MiB */
    struct puppet_block block;
    struct cl_ledger_record *records[RECORDS];
    uint64_t view = 0;
    puppets_open(&puppets, NULL);
    for (size_t i = 0; i < RECORDS; i++) {
        records[i] = puppets_large(&puppets);
        puppets_put_record(&puppets, 3, records[i]);
    }
    for (size_t i = 0; i <= BLOCKS; i++) {
        view = puppets_view(&puppets, view + 1);
        puppets_make(&puppets, &block, NULL, view, records, i < BLOCKS ? RECORDS : 1);
        puppets_propose(&puppets, &block, NULL);
        wait_vote(CL_VOTE_NOTARIZE, &block);
        if (i < BLOCKS) puppets_certify(&puppets, CL_VOTE_NULLIFY, view, NULL);
        if (i < BLOCKS) puppet_block_free(&block);
    }
    puppets_certify(&puppets, CL_VOTE_FINALIZE, view, &block.block.id);
    wait_height(1);
    puppet_block_free(&block);
    for (size_t i = 0; i < RECORDS; i++) cl_ledger_record_unref(records[i]);
    puppets_close(&puppets);
}

/* Evaluated and not final: a member in whose views nothing becomes final, as while clocks are wrong, has more and more. */
static void nullified_blocks_make_way_and_no_other(void **state)
{
    (void)state;
    struct puppet_block certified, first, block;
    struct cl_ledger_record *record;
    struct node_config config;
    uint64_t view = 0;
    node_config_default(&config);
    config.votelog_truncate_mb = 1; /* what it starts anew with may not name what went */
    puppets_open(&puppets, &config);
    record = puppets_large(&puppets);
    puppets_put_record(&puppets, 3, record);
    for (size_t i = 0; i < NODE_PENDING_MAX + 10; i++) {
        struct puppet_block *made = i == 0 ? &certified : i == 1 ? &first : &block;
        view = puppets_view(&puppets, view + 1);
        puppets_make(&puppets, made, NULL, view, &record, 1);
        puppets_propose(&puppets, made, NULL);
        wait_vote(CL_VOTE_NOTARIZE, made);
        puppets_certify(&puppets, CL_VOTE_NULLIFY, view, NULL);
        if (i == 0) puppets_certify(&puppets, CL_VOTE_NOTARIZE, view, &made->block.id);
        if (i > 1) puppet_block_free(made);
    }
    assert_int_equal(puppets_ask(&puppets, 1, certified.block.id.bytes), FRAME_PROPOSAL);
    assert_int_equal(puppets_ask(&puppets, 1, first.block.id.bytes), FRAME_STATUS);
    puppets_stop_node(&puppets);
    puppets_start_node(&puppets);
    assert_int_equal(puppets_ask(&puppets, 1, certified.block.id.bytes), FRAME_PROPOSAL);
    view = puppets_view(&puppets, view + 1);
    puppets_make(&puppets, &block, &certified, view, NULL, 0);
    puppets_propose(&puppets, &block, NULL);
    wait_vote(CL_VOTE_NOTARIZE, &block);
    puppets_certify(&puppets, CL_VOTE_FINALIZE, view, &block.block.id);
    wait_height(2);
    puppet_block_free(&block);
    puppet_block_free(&first);
    puppet_block_free(&certified);
    cl_ledger_record_unref(record);
    puppets_close(&puppets);
}

/* ---- floods */
/* The linker's --wrap: whose frames with votes the owner took, in order, and how many certificates of proposals it checked. */
enum { TAKEN_MAX = 1024 };
static size_t taken_from[TAKEN_MAX], taken;
static atomic_size_t certificates_checked;

void __real_node_on_votes(struct node *node, size_t peer, const struct frame *frame);
void __wrap_node_on_votes(struct node *node, size_t peer, const struct frame *frame);
bool __real_consensus_certificate_good(const struct consensus *consensus, const struct cl_certificate *certificate);
bool __wrap_consensus_certificate_good(const struct consensus *consensus, const struct cl_certificate *certificate);

void __wrap_node_on_votes(struct node *node, size_t peer, const struct frame *frame)
{
    if (taken < TAKEN_MAX) taken_from[taken++] = peer;
    __real_node_on_votes(node, peer, frame);
}

bool __wrap_consensus_certificate_good(const struct consensus *consensus, const struct cl_certificate *certificate)
{
    atomic_fetch_add(&certificates_checked, 1);
    return __real_consensus_certificate_good(consensus, certificate);
}

struct gate { atomic_bool reached, open; };

static void wait_at(void *owner, void *context)
{
    struct gate *gate = context;
    (void)owner;
    atomic_store(&gate->reached, true);
    while (!atomic_load(&gate->open)) puppets_pause(1);
}

static void send_votes(size_t member, size_t count)
{
    struct transport_counters before, now;
    struct cl_vote vote;
    transport_count(puppets.node->transport, member, &before);
    puppets_vote(&puppets, &vote, member, CL_VOTE_NULLIFY, 1, NULL);
    for (size_t i = 0; i < count; i++) puppets_send_vote(&puppets, member, &vote, LANE_VOTES);
    for (now = before; now.received_frames < before.received_frames + count; puppets_pause(1)) transport_count(puppets.node->transport, member, &now);
}

static uint64_t begin_to_note(struct node *node)
{
    (void)node;
    taken = 0;
    return 0;
}

static uint64_t how_many_were_taken(struct node *node)
{
    (void)node;
    return taken;
}

/* All are there before the owner looks. */
static void one_members_frames_are_taken_in_turn_with_anothers(void **state)
{
    (void)state;
    enum { FRAMES = 500 };
    struct gate gate = { false, false };
    size_t before = 0;
    puppets_open(&puppets, NULL);
    (void)on_owner(begin_to_note);
    FIXTURE_OK(inbox_put(&puppets.node->inbox, INBOX_HTTP, wait_at, &gate));
    while (!atomic_load(&gate.reached)) puppets_pause(1);
    send_votes(1, FRAMES);
    send_votes(2, 1);
    atomic_store(&gate.open, true);
    while (on_owner(how_many_were_taken) < FRAMES + 1) puppets_pause(1);
    while (before < FRAMES && taken_from[before] != 2) before++;
    assert_in_range(before, 0, FRAMES / 2); /* one, where the last frame's way from the socket to the inbox was over by then */
    puppets_close(&puppets);
}

struct flood { size_t member; uint64_t view; atomic_bool stopping; atomic_uint_fast64_t frames; struct cl_buffer proposal; };

static void *flood_votes(void *context)
{
    struct flood *flood = context;
    static struct cl_buffer bytes[FRAME_VOTES_MAX];
    struct cl_view items[FRAME_VOTES_MAX];
    struct cl_buffer payload = { 0 };
    for (size_t i = 0; i < FRAME_VOTES_MAX; i++) { /* for many views and blocks; the signature is one of another vote */
        struct cl_vote vote;
        struct cl_block_id id = { { (uint8_t)i, (uint8_t)(i >> 8) } };
        puppets_vote(&puppets, &vote, flood->member, CL_VOTE_NOTARIZE, flood->view + i % 10, &id);
        vote.block.bytes[31] ^= 1;
        FIXTURE_OK(cl_vote_encode(&bytes[i], &vote));
        items[i] = (struct cl_view){ bytes[i].data, bytes[i].length };
    }
    FIXTURE_OK(frame_list_encode(&payload, FRAME_VOTES, items, FRAME_VOTES_MAX));
    while (!atomic_load(&flood->stopping)) {
        struct transport_counters counters;
        transport_count(puppets.puppets[flood->member].transport, 0, &counters);
        if (counters.waiting_frames < 4 && transport_send(puppets.puppets[flood->member].transport, 0, LANE_VOTES, FRAME_VOTES, payload.data, payload.length) == CL_OK)
            atomic_fetch_add(&flood->frames, 1);
        else puppets_pause(1);
        transport_flush(puppets.puppets[flood->member].transport);
    }
    for (struct transport_counters heard = { 0 }; heard.received_frames < atomic_load(&flood->frames); puppets_pause(1))
        transport_count(puppets.node->transport, flood->member, &heard);
    for (size_t i = 0; i < FRAME_VOTES_MAX; i++) cl_buffer_deinit(&bytes[i]);
    cl_buffer_deinit(&payload);
    return NULL;
}

/* The last certificate of each has one bad signature after two good ones. */
static void *flood_proposals(void *context)
{
    struct flood *flood = context;
    struct transport *transport = puppets.puppets[flood->member].transport;
    struct cl_vote vote;
    const struct cl_block_id id = { { 9 } };
    puppets_vote(&puppets, &vote, flood->member, CL_VOTE_PROPOSE, flood->view, &id);
    puppets_send_vote(&puppets, flood->member, &vote, LANE_PROPOSALS);
    while (!atomic_load(&flood->stopping)) {
        struct transport_counters counters;
        transport_count(transport, 0, &counters);
        if (counters.waiting_frames < 64 && transport_send(transport, 0, LANE_PROPOSALS, FRAME_PROPOSAL, flood->proposal.data, flood->proposal.length) == CL_OK)
            atomic_fetch_add(&flood->frames, 1);
        else puppets_pause(1);
        transport_flush(transport);
    }
    for (struct transport_counters heard = { 0 }; heard.received_frames < atomic_load(&flood->frames); puppets_pause(1))
        transport_count(puppets.node->transport, flood->member, &heard);
    return NULL;
}

static void change_proof(struct cl_proposal *proposal)
{
    uint8_t *bytes = (uint8_t *)(uintptr_t)proposal->justification.data; /* the altered one borrows from a buffer of the test's */
    bytes[proposal->justification.length - 1] ^= 1;
}

static void a_leader_that_floods_with_proposals_holds_up_no_other(void **state)
{
    (void)state;
    struct puppet_block block, parent, other;
    struct cl_ledger_record *record;
    pthread_t thread;
    puppets_open(&puppets, NULL);
    one_block(&block, &record);
    size_t leader = puppets_leader(&puppets, block.block.view);
    uint64_t view = block.block.view + 1;
    while (puppets_leader(&puppets, view) == leader || puppets_leader(&puppets, view) == 0) view++;
    struct flood flood = { .member = puppets_leader(&puppets, view), .view = view };
    puppets_make(&puppets, &parent, NULL, view - 1, NULL, 0);
    puppets_make(&puppets, &other, &parent, view, NULL, 0);
    puppets_alter(&flood.proposal, &other.proposal, change_proof);
    puppets_put_record(&puppets, leader, record);
    atomic_store(&certificates_checked, 0);
    uint64_t began = node_monotonic_ms();
    assert_int_equal(pthread_create(&thread, NULL, flood_proposals, &flood), 0);
    while (atomic_load(&flood.frames) < 10000) puppets_pause(10);
    puppets_propose(&puppets, &block, NULL);
    wait_vote(CL_VOTE_NOTARIZE, &block);
    atomic_store(&flood.stopping, true);
    pthread_join(thread, NULL);
    size_t checked = atomic_load(&certificates_checked); /* after a wrong one nothing more of that leader is looked at for 50 ms */
    assert_in_range(checked, 1, 1 + (node_monotonic_ms() - began) / 50);
    cl_buffer_deinit(&flood.proposal);
    puppet_block_free(&other);
    puppet_block_free(&parent);
    free_one(&block, record);
    puppets_close(&puppets);
}

/* Bad signatures cost as much as good ones. */
static void a_member_that_floods_with_votes_holds_up_no_other(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    pthread_t thread;
    puppets_open(&puppets, NULL);
    one_block(&block, &record);
    size_t leader = puppets_leader(&puppets, block.block.view);
    struct flood flood = { .member = leader == 3 ? 2 : 3, .view = block.block.view };
    puppets_put_record(&puppets, leader, record);
    assert_int_equal(pthread_create(&thread, NULL, flood_votes, &flood), 0);
    while (atomic_load(&flood.frames) < 300) puppets_pause(10);
    puppets_propose(&puppets, &block, NULL);
    wait_vote(CL_VOTE_NOTARIZE, &block);
    atomic_store(&flood.stopping, true);
    pthread_join(thread, NULL);
    assert_in_range(on_owner(forged_items), 1, atomic_load(&flood.frames)); /* one of each frame's votes was checked */
    free_one(&block, record);
    puppets_close(&puppets);
}

int main(int argc, char **argv)
{
    log_set_level(LOG_LEVEL_ERROR);
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proposal_whose_records_are_missing_is_voted_for_once_they_come),
        cmocka_unit_test(a_proposal_that_comes_after_its_certificate_is_looked_at_at_once),
        cmocka_unit_test(whoever_answers_with_another_view_is_not_believed),
        cmocka_unit_test(whoever_answers_with_another_parent_is_not_believed),
        cmocka_unit_test(whoever_answers_with_another_block_is_not_believed),
        cmocka_unit_test(whoever_answers_with_records_that_nobody_has_is_not_waited_for),
        cmocka_unit_test(a_leader_that_goes_on_lying_holds_up_nothing),
        cmocka_unit_test(one_members_frames_are_taken_in_turn_with_anothers),
        cmocka_unit_test(a_leader_that_floods_with_proposals_holds_up_no_other),
        cmocka_unit_test(a_member_that_floods_with_votes_holds_up_no_other),
        cmocka_unit_test(one_certificate_after_the_other_causes_one_fetch_of_a_body),
        cmocka_unit_test(nothing_is_asked_for_faster_than_the_pauses_allow),
        cmocka_unit_test(a_proposal_that_does_not_hold_is_nullified_at_once),
        cmocka_unit_test(a_proposal_takes_what_there_is_and_fits_its_frame),
        cmocka_unit_test(a_record_of_a_block_that_failed_gets_into_the_pool_when_it_is_announced),
        cmocka_unit_test(what_was_voted_for_is_handed_out_also_after_a_restart),
        cmocka_unit_test(beyond_the_room_for_blocks_not_final_small_ones_are_still_voted_for),
        cmocka_unit_test(nullified_blocks_make_way_and_no_other),
        cmocka_unit_test(a_vote_log_that_is_long_because_nothing_becomes_final_is_not_written_anew_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
