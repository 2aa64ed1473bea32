/* What a real node does around its own votes, its three fellow members being puppets: nothing is said before it is on the
   disk, and what was said is known after a restart, whatever the power cut took. The disk is watched: fdatasync is wrapped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "files.h"
#include "logging.h"
#include "puppets.h"

#define SLOW_SYNC_MS 80u /* longer than a frame takes to arrive, so that what leaves too early arrives too early */
#define SYNCS_MAX 1024u
#define QUESTION_MS 2000u /* node_fetch.c: after that another member is asked */

static struct puppets puppets;

/* ---- the disk */
static struct { pthread_mutex_t lock; size_t count; struct { size_t length; uint64_t at_ms; } syncs[SYNCS_MAX]; } disk = { .lock = PTHREAD_MUTEX_INITIALIZER };

int __real_fdatasync(int file);
int __wrap_fdatasync(int file);
int __wrap_fdatasync(int file)
{
    char link[64], name[512];
    struct stat information;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, name, sizeof name - 1);
    bool watched = length > 9 && memcmp(name + length - 9, "/vote.log", 9) == 0 && fstat(file, &information) == 0;
    if (watched) puppets_pause(SLOW_SYNC_MS);
    int result = __real_fdatasync(file);
    if (!watched || result != 0) return result;
    pthread_mutex_lock(&disk.lock);
    if (disk.count < SYNCS_MAX) {
        disk.syncs[disk.count].length = (size_t)information.st_size;
        disk.syncs[disk.count++].at_ms = node_monotonic_ms();
    }
    pthread_mutex_unlock(&disk.lock);
    return result;
}

static void path_in(char out[NODE_PATH_MAX + 32], const char *name)
{
    char folder[NODE_PATH_MAX];
    homes_path(folder, &puppets.homes, 0);
    snprintf(out, NODE_PATH_MAX + 32, "%s/%s", folder, name);
}

static struct cl_buffer log_bytes(void)
{
    char path[NODE_PATH_MAX + 32];
    struct cl_buffer bytes = { 0 };
    path_in(path, "vote.log");
    FIXTURE_OK(file_read(&bytes, path, 1u << 24));
    return bytes;
}

/* ---- the vote log, entry by entry */
struct found { const struct cl_vote *vote; size_t at, vote_end, records, proposals; bool records_first; };

static enum cl_status look(void *context, enum votelog_type type, const uint8_t *payload, size_t length)
{
    struct found *found = context;
    struct cl_vote vote;
    found->at += 9 + length;
    if (found->vote_end > 0) return CL_OK;
    if (type == VOTELOG_RECORD) found->records++;
    if (type == VOTELOG_PROPOSAL) found->proposals++;
    if (type != VOTELOG_VOTE || cl_vote_decode(&vote, payload, length) != CL_OK) return CL_OK;
    if (memcmp(vote.signature, found->vote->signature, 64) == 0) found->vote_end = found->at;
    return CL_OK;
}

/* Where this vote ends in the log, and what stands before it. */
static struct found find_in_log(const struct cl_buffer *bytes, const struct cl_vote *vote)
{
    struct votelog_start start;
    size_t good = 0, first = 9 + (bytes->data[8] | (size_t)bytes->data[9] << 8);
    struct found found = { .vote = vote, .at = 8 + first };
    FIXTURE_OK(votelog_scan(&good, &start, bytes->data, bytes->length, NULL, look, &found));
    return found;
}

/* Every vote of the node that was heard so far was on the disk, with the proposal and the records it is about, by then. */
static size_t check_all_heard(void)
{
    struct cl_buffer bytes = log_bytes();
    size_t checked = 0;
    pthread_mutex_lock(&puppets.lock);
    pthread_mutex_lock(&disk.lock);
    for (size_t i = 0; i < puppets.heard_count; i++) {
        const struct puppet_heard *heard = &puppets.heard[i];
        if (heard->news != NEWS_VOTE) continue;
        struct found found = find_in_log(&bytes, &heard->vote);
        assert_true(found.vote_end > 0);
        if (heard->vote.kind == CL_VOTE_NOTARIZE || heard->vote.kind == CL_VOTE_PROPOSE) assert_true(found.records > 0 && found.proposals > 0);
        bool durable = false;
        for (size_t sync = 0; sync < disk.count; sync++) durable = durable || (disk.syncs[sync].length >= found.vote_end && disk.syncs[sync].at_ms <= heard->at_ms);
        assert_true(durable);
        checked++;
    }
    pthread_mutex_unlock(&disk.lock);
    pthread_mutex_unlock(&puppets.lock);
    cl_buffer_deinit(&bytes);
    return checked;
}

/* ---- waiting */
struct expected { enum cl_vote_kind kind; uint64_t view; const struct cl_block_id *block; };

static bool has_voted(struct puppets *all, const void *argument)
{
    const struct expected *vote = argument;
    return puppets_heard_vote(all, vote->kind, vote->view, vote->block);
}

static void wait_vote(enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block)
{
    const struct expected vote = { kind, view, block };
    puppets_wait(&puppets, has_voted, &vote, "the node's vote");
}

static bool has_height(struct puppets *all, const void *argument) { return puppets_height(all) >= *(const uint64_t *)argument; }
static void wait_height(uint64_t height) { puppets_wait(&puppets, has_height, &height, "the block is final here"); }

static void forget_heard(void)
{
    pthread_mutex_lock(&puppets.lock);
    puppets.heard_count = 0;
    pthread_mutex_unlock(&puppets.lock);
}

/* The first that was heard, and every one after it has its bytes. */
static struct cl_vote first_notarize(uint64_t view)
{
    struct cl_vote first = { .view = 0 };
    pthread_mutex_lock(&puppets.lock);
    for (size_t i = 0; i < puppets.heard_count; i++) {
        const struct cl_vote *vote = &puppets.heard[i].vote;
        if (puppets.heard[i].news != NEWS_VOTE || vote->kind != CL_VOTE_NOTARIZE || vote->view != view) continue;
        if (first.view == 0) first = *vote;
        assert_memory_equal(vote->signature, first.signature, 64);
    }
    pthread_mutex_unlock(&puppets.lock);
    assert_true(first.view == view);
    return first;
}

/* A block of one record that the node has notarized. */
static void notarized(struct puppet_block *block, struct cl_ledger_record **record)
{
    *record = puppets_grant(&puppets);
    puppets_make(&puppets, block, NULL, puppets_view(&puppets, 1), record, 1);
    puppets_put_record(&puppets, 1, *record);
    puppets_put_record(&puppets, 2, *record);
    puppets_put_record(&puppets, 3, *record);
    puppets_propose(&puppets, block, NULL);
    wait_vote(CL_VOTE_NOTARIZE, block->block.view, &block->block.id);
}

static void open_puppets(void)
{
    disk.count = 0;
    puppets_open_patient(&puppets, NULL, CONSENSUS_D_MS_MAX);
}

static void done(struct puppet_block *block, struct cl_ledger_record *record)
{
    puppet_block_free(block);
    cl_ledger_record_unref(record);
    puppets_close(&puppets);
}

/* ---- a vote visible to the network before it is on disk */
static void nobody_hears_a_vote_before_it_is_on_the_disk(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    uint64_t view = 1;
    open_puppets();
    notarized(&block, &record);
    puppets_certify(&puppets, CL_VOTE_NOTARIZE, block.block.view, &block.block.id);
    wait_vote(CL_VOTE_FINALIZE, block.block.view, &block.block.id);
    puppets_certify(&puppets, CL_VOTE_FINALIZE, block.block.view, &block.block.id);
    wait_height(1);
    for (view = block.block.view + 1; puppets_leader(&puppets, view) != 0; view++) puppets_certify(&puppets, CL_VOTE_NULLIFY, view, NULL);
    struct cl_ledger_record *own = puppets_grant(&puppets); /* and where the node proposes */
    struct cl_view bytes = { own->record.bytes.data, own->record.bytes.length };
    FIXTURE_OK(node_submit_batch(puppets.node, &bytes, 1, 0));
    wait_vote(CL_VOTE_PROPOSE, view, NULL);
    wait_vote(CL_VOTE_NOTARIZE, view, NULL);
    assert_true(check_all_heard() >= 4);
    cl_ledger_record_unref(own);
    done(&block, record);
}

/* ---- the body of a notarized block lost in a power cut */
struct asked { pthread_mutex_t lock; bool done; enum frame_kind kind; size_t length; };

static void on_asked(void *context, size_t member, enum transport_outcome outcome, const struct frame *frame)
{
    struct asked *asked = context;
    (void)member;
    (void)outcome;
    pthread_mutex_lock(&asked->lock);
    asked->kind = frame != NULL ? frame->kind : FRAME_HELLO;
    asked->length = frame != NULL ? frame->payload.length : 0;
    asked->done = true;
    pthread_mutex_unlock(&asked->lock);
}

static bool is_answered(struct puppets *all, const void *argument)
{
    struct asked *asked = *(struct asked *const *)argument;
    (void)all;
    pthread_mutex_lock(&asked->lock);
    bool answered = asked->done;
    pthread_mutex_unlock(&asked->lock);
    return answered;
}

/* What the node answers a puppet that asks for this hash. */
static enum frame_kind ask_node(const uint8_t hash[32])
{
    struct asked asked = { .lock = PTHREAD_MUTEX_INITIALIZER }, *where = &asked;
    struct cl_buffer payload = { 0 };
    struct cl_view item = { hash, 32 };
    FIXTURE_OK(frame_list_encode(&payload, FRAME_FETCH, &item, 1));
    FIXTURE_OK(transport_ask(puppets.puppets[1].transport, 0, FRAME_FETCH, payload.data, payload.length, 10000, on_asked, &asked));
    puppets_wait(&puppets, is_answered, &where, "the node's answer");
    cl_buffer_deinit(&payload);
    return asked.kind;
}

/* Nothing is left but what was synced when the vote was heard. */
static void cut_power(const struct puppet_block *block)
{
    char path[NODE_PATH_MAX + 32];
    size_t durable = SIZE_MAX;
    struct cl_buffer bytes = log_bytes();
    const struct cl_vote vote = first_notarize(block->block.view);
    struct found found = find_in_log(&bytes, &vote);
    pthread_mutex_lock(&disk.lock);
    for (size_t i = 0; i < disk.count; i++)
        if (disk.syncs[i].length >= found.vote_end && disk.syncs[i].length < durable) durable = disk.syncs[i].length;
    pthread_mutex_unlock(&disk.lock);
    assert_true(durable <= bytes.length);
    puppets_stop_node(&puppets);
    path_in(path, "vote.log");
    assert_int_equal(truncate(path, (off_t)durable), 0);
    cl_buffer_deinit(&bytes);
}

static void after_a_power_cut_the_body_of_a_notarized_block_is_there(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    open_puppets();
    notarized(&block, &record);
    cut_power(&block);
    for (size_t i = 1; i < PUPPETS_MEMBERS; i++) puppets_empty(&puppets, i);
    puppets_start_node(&puppets);
    assert_int_equal(ask_node(block.block.id.bytes), FRAME_PROPOSAL);
    assert_int_equal(ask_node(record->record.leaf_hash.bytes), FRAME_RECORDS);
    puppets_certify(&puppets, CL_VOTE_FINALIZE, block.block.view, &block.block.id); /* it needs nobody to make it final */
    wait_height(1);
    assert_int_equal(puppets_heard(&puppets, NEWS_QUESTION, SIZE_MAX, block.block.id.bytes), 0);
    done(&block, record);
}

/* ---- own vote missing from own tally after a restart */
static void after_a_restart_own_votes_count_and_are_the_same_bytes(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    struct cl_vote vote;
    open_puppets();
    notarized(&block, &record);
    const struct cl_vote before = first_notarize(block.block.view);
    puppets_stop_node(&puppets);
    forget_heard();
    puppets_start_node(&puppets);
    wait_vote(CL_VOTE_NOTARIZE, block.block.view, &block.block.id);
    for (size_t member = 1; member <= 2; member++) { /* with its own, a quorum */
        puppets_vote(&puppets, &vote, member, CL_VOTE_NOTARIZE, block.block.view, &block.block.id);
        puppets_send_vote(&puppets, member, &vote, LANE_VOTES);
    }
    wait_vote(CL_VOTE_FINALIZE, block.block.view, &block.block.id);
    const struct cl_vote after = first_notarize(block.block.view);
    assert_memory_equal(after.signature, before.signature, 64);
    done(&block, record);
}

/* ---- state ahead of the vote log, or behind it */
static void copy_store(const char *from, const char *to)
{
    char command[4 * NODE_PATH_MAX], source[NODE_PATH_MAX + 32], target[NODE_PATH_MAX + 32];
    path_in(source, from);
    path_in(target, to);
    snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s'", target, source, target);
    assert_int_equal(system(command), 0);
}

static void a_ledger_ahead_of_the_vote_log_goes_on(void **state)
{
    (void)state;
    struct puppet_block block, next;
    struct cl_ledger_record *record, *another;
    char path[NODE_PATH_MAX + 32];
    open_puppets();
    notarized(&block, &record);
    struct cl_buffer early = log_bytes(); /* nothing of the block's finality is in it */
    puppets_certify(&puppets, CL_VOTE_FINALIZE, block.block.view, &block.block.id);
    wait_height(1);
    puppets_stop_node(&puppets);
    path_in(path, "vote.log");
    FIXTURE_OK(file_write(path, early.data, early.length, 0600, false));
    cl_buffer_deinit(&early);
    forget_heard();
    puppets_start_node(&puppets);
    assert_int_equal(puppets_height(&puppets), 1);
    another = puppets_grant(&puppets);
    puppets_make(&puppets, &next, &block, puppets_view(&puppets, block.block.view + 1), &another, 1);
    puppets_put_record(&puppets, 1, another);
    puppets_put_record(&puppets, 2, another);
    puppets_put_record(&puppets, 3, another);
    for (uint64_t view = block.block.view + 1; view < next.block.view; view++) puppets_certify(&puppets, CL_VOTE_NULLIFY, view, NULL);
    puppets_propose(&puppets, &next, NULL);
    wait_vote(CL_VOTE_NOTARIZE, next.block.view, &next.block.id);
    puppet_block_free(&next);
    cl_ledger_record_unref(another);
    done(&block, record);
}

static void a_vote_log_ahead_of_the_ledger_makes_the_same_block_final(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    open_puppets();
    notarized(&block, &record);
    puppets_stop_node(&puppets);
    copy_store("store", "store.before");
    puppets_start_node(&puppets);
    puppets_certify(&puppets, CL_VOTE_NOTARIZE, block.block.view, &block.block.id);
    wait_vote(CL_VOTE_FINALIZE, block.block.view, &block.block.id);
    puppets_certify(&puppets, CL_VOTE_FINALIZE, block.block.view, &block.block.id);
    wait_height(1);
    puppets_stop_node(&puppets);
    copy_store("store.before", "store");
    for (size_t i = 1; i < PUPPETS_MEMBERS; i++) puppets_empty(&puppets, i);
    forget_heard();
    puppets_start_node(&puppets);
    assert_int_equal(puppets_height(&puppets), 0);
    wait_vote(CL_VOTE_FINALIZE, block.block.view, &block.block.id); /* said again, not another */
    puppets_certify(&puppets, CL_VOTE_FINALIZE, block.block.view, &block.block.id);
    wait_height(1);
    assert_int_equal(puppets_heard(&puppets, NEWS_QUESTION, SIZE_MAX, block.block.id.bytes), 0);
    done(&block, record);
}

/* ---- one certificate causing many fetches of the same body */
static bool is_asked_for(struct puppets *all, const void *argument)
{
    const struct cl_block_id *id = argument;
    return puppets_heard(all, NEWS_QUESTION, SIZE_MAX, id->bytes) > 0;
}

static void one_certificate_heard_often_is_one_question(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    open_puppets();
    record = puppets_grant(&puppets);
    puppets_make(&puppets, &block, NULL, puppets_view(&puppets, 1), &record, 1);
    for (size_t i = 1; i < PUPPETS_MEMBERS; i++) puppets.puppets[i].silent = true; /* so each question stays open for its time */
    uint64_t began = node_monotonic_ms();
    for (int i = 0; i < 40; i++) {
        puppets_certify(&puppets, i % 2 == 0 ? CL_VOTE_NOTARIZE : CL_VOTE_FINALIZE, block.block.view, &block.block.id);
        puppets_pause(20);
    }
    puppets_wait(&puppets, is_asked_for, &block.block.id, "the block is asked for");
    size_t asked = puppets_heard(&puppets, NEWS_QUESTION, SIZE_MAX, block.block.id.bytes);
    assert_true(asked <= 1 + (node_monotonic_ms() - began) / QUESTION_MS);
    done(&block, record);
}

/* A name as the only argument: that test alone (tests/sim/mutations.py). */
int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_hears_a_vote_before_it_is_on_the_disk),
        cmocka_unit_test(after_a_power_cut_the_body_of_a_notarized_block_is_there),
        cmocka_unit_test(after_a_restart_own_votes_count_and_are_the_same_bytes),
        cmocka_unit_test(a_ledger_ahead_of_the_vote_log_goes_on),
        cmocka_unit_test(a_vote_log_ahead_of_the_ledger_makes_the_same_block_final),
        cmocka_unit_test(one_certificate_heard_often_is_one_question),
    };
    log_set_level(LOG_LEVEL_ERROR);
    if (argument_count > 1) cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
