/* Carries out what ordering asks for, in its order: builds candidates, writes the vote log, commits. One step's effects
   are all carried out before the next event goes in, because effects borrow from the state. */
#include "node_private.h"

#include "crypto.h"
#include "files.h"
#include "logging.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREPARED_MS_MAX 1000u /* a block that was made in advance is no older than this when it is proposed */

static void push_event(struct node *node, const struct consensus_event *event)
{
    assert(node->event_count < NODE_EVENTS_MAX);
    node->events[node->event_count++] = *event;
}

static struct pending_block *find_pending(struct node *node, const struct cl_block_id *id)
{
    for (size_t i = 0; i < node->pending_count; i++)
        if (memcmp(node->pending[i].block.id.bytes, id->bytes, 32) == 0) return &node->pending[i];
    return NULL;
}

static void pending_deinit(struct pending_block *pending)
{
    cl_candidate_free(pending->candidate);
    cl_buffer_deinit(&pending->proposal);
    memset(pending, 0, sizeof *pending);
}

void node_pending_free(struct node *node)
{
    pending_deinit(&node->prepared);
    while (node->pending_count > 0) pending_deinit(&node->pending[--node->pending_count]); /* children come after parents */
}

/* The candidate to build on: NULL for the last final block. */
static bool find_parent(struct node *node, const struct cl_block_id *id, struct cl_candidate **parent, uint64_t *parent_time)
{
    struct cl_tip tip;
    cl_ledger_tip(node->ledger, &tip);
    *parent = NULL;
    *parent_time = tip.time_ms;
    if (memcmp(tip.block.bytes, id->bytes, 32) == 0) return true;
    struct pending_block *pending = find_pending(node, id);
    if (pending == NULL) return false;
    *parent = pending->candidate;
    *parent_time = pending->summary.time_ms;
    return true;
}

/* ---- building */
/* Takes what is there, withdrawals first, up to the network's limits and our own on entries; what does not apply leaves
   the pool, unless it is in a parent that is being written and leaves the pool with that. A withdrawal of what another record in this block makes goes into the next block: it comes first in its own. A
   block of nothing but bulk records could hold 80,000 entries and take 250 MB while it is evaluated. */
static enum cl_status fill(struct node *node, struct cl_candidate *candidate)
{
    struct pool_entry *entry = pool_next(node->pool, NULL);
    size_t entries = 0;
    while (entry != NULL && entries < NODE_BLOCK_ENTRIES) {
        struct pool_entry *next = pool_next(node->pool, entry);
        uint32_t refused_entry = 0;
        enum cl_status status = cl_candidate_add(candidate, entry->record, &refused_entry);
        if (status == CL_E_BLOCK_SIZE) return CL_OK;
        if (status != CL_OK && status_is_fatal(status)) return status;
        if (status == CL_OK) {
            entries += entry->record->record.entry_count;
        } else if (status == CL_E_REPLAY && node->committing != NULL) {
            entry = next;
            continue;
        } else if (status == CL_E_REPLAY || !entry->withdrawal || !pool_waits_before(node->pool, entry)) {
            node_settle_refused(node, entry, status, refused_entry);
            node->progress = true;
        }
        entry = next;
    }
    return CL_OK;
}

static enum cl_status encode_proposal(struct node *node, struct pending_block *pending, const struct cl_view *justification)
{
    size_t count = cl_candidate_count(pending->candidate);
    struct cl_leaf_hash *leaves = calloc(count > 0 ? count : 1, sizeof *leaves);
    if (leaves == NULL) return CL_E_MEMORY;
    for (size_t i = 0; i < count; i++) leaves[i] = cl_candidate_record(pending->candidate, i)->record.leaf_hash;
    struct cl_tip tip;
    cl_ledger_tip(node->ledger, &tip);
    struct cl_proposal proposal = { .epoch = tip.epoch, .view = pending->block.view, .parent_view = pending->block.parent_view,
        .height = pending->summary.height, .time_ms = pending->summary.time_ms, .log_size = pending->summary.log_size,
        .parent = pending->block.parent, .log_root = pending->summary.log_root, .state_root = pending->summary.state_root,
        .leaf_count = count, .leaves = leaves, .justification = *justification };
    enum cl_status status = cl_proposal_encode(&pending->proposal, &proposal);
    free(leaves);
    return status;
}

static enum cl_status fill_and_seal(struct node *node, struct pending_block *made, struct cl_candidate *parent, uint64_t time_ms, bool empty)
{
    enum cl_status status = cl_candidate_new(&made->candidate, node->ledger, parent, time_ms);
    if (status == CL_OK && !empty) status = fill(node, made->candidate);
    if (status == CL_OK && (empty || cl_candidate_count(made->candidate) > 0)) status = cl_candidate_seal(made->candidate, &made->summary);
    return status;
}

/* The next block, begun while the one below it is being written: nobody hears of it before that is durable, because build
   hands it out only later. Whatever goes wrong here goes wrong again there, and is told there. */
void node_prepare(void *context)
{
    struct node *node = context;
    const struct pending_block *parent = node->committing;
    struct pending_block made = { 0 };
    if (parent == NULL || pool_count(node->pool) <= cl_candidate_count(parent->candidate)) return;
    uint64_t now = node_now_ms();
    enum cl_status status = fill_and_seal(node, &made, parent->candidate, now > parent->summary.time_ms ? now : parent->summary.time_ms + 1, false);
    made.block.parent = parent->summary.id;
    if (status == CL_OK && cl_candidate_count(made.candidate) > 0) node->prepared = made;
    else pending_deinit(&made);
}

/* Returns: whether there was one on this parent, and not of yesterday. */
static bool take_prepared(struct node *node, struct pending_block *made, const struct cl_block_id *parent, uint64_t now_ms)
{
    struct pending_block prepared = node->prepared;
    memset(&node->prepared, 0, sizeof node->prepared);
    if (prepared.candidate == NULL) return false;
    bool fits = memcmp(prepared.block.parent.bytes, parent->bytes, 32) == 0 && prepared.summary.time_ms + PREPARED_MS_MAX >= now_ms;
    if (!fits) {
        pending_deinit(&prepared);
        return false;
    }
    made->candidate = prepared.candidate;
    made->summary = prepared.summary;
    return true;
}

static enum cl_status build(struct node *node, const struct consensus_effect *effect)
{
    struct cl_candidate *parent = NULL;
    uint64_t parent_time = 0, now = node_now_ms();
    struct consensus_event answer = { .kind = CONSENSUS_NOTHING, .now_ms = now, .view = effect->block.view };
    if (node->pending_count == CL_BLOCKS_NOT_FINAL_MAX || !find_parent(node, &effect->block.parent, &parent, &parent_time)) {
        push_event(node, &answer);
        return CL_OK;
    }
    struct pending_block made = { .block = effect->block };
    enum cl_status status = CL_OK;
    if (effect->empty || !take_prepared(node, &made, &effect->block.parent, now))
        status = fill_and_seal(node, &made, parent, now > parent_time ? now : parent_time + 1, effect->empty); /* rule 2 */
    if (status == CL_OK && (effect->empty || cl_candidate_count(made.candidate) > 0)) {
        made.block.id = made.summary.id;
        status = encode_proposal(node, &made, &effect->justification);
        if (status == CL_OK) {
            node->pending[node->pending_count++] = made;
            answer.kind = CONSENSUS_BUILT;
            answer.block = made.block;
            push_event(node, &answer);
            return CL_OK;
        }
    }
    pending_deinit(&made);
    if (status == CL_OK) push_event(node, &answer);
    else return node_fail(node, status, "A block could not be built: %s", cl_status_sentence(status));
    return CL_OK;
}

/* ---- the vote log */
static enum cl_status append_proposal(struct node *node, const struct order_block *block)
{
    const struct pending_block *pending = find_pending(node, &block->id);
    assert(pending != NULL);
    enum cl_status status = CL_OK;
    for (size_t i = 0; i < cl_candidate_count(pending->candidate) && status == CL_OK; i++) {
        const struct cl_record *record = &cl_candidate_record(pending->candidate, i)->record;
        status = votelog_append(node->votelog, VOTELOG_RECORD, record->bytes.data, record->bytes.length);
    }
    return status != CL_OK ? status : votelog_append(node->votelog, VOTELOG_PROPOSAL, pending->proposal.data, pending->proposal.length);
}

static enum cl_status append_vote(struct node *node, const struct cl_vote *vote)
{
    struct cl_buffer bytes = { 0 };
    enum cl_status status = cl_vote_encode(&bytes, vote);
    if (status == CL_OK) status = votelog_append(node->votelog, VOTELOG_VOTE, bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
    return status;
}

static enum cl_status append_certificate(struct node *node, const struct cl_certificate *certificate)
{
    struct cl_buffer bytes = { 0 };
    enum cl_status status = cl_certificate_encode(&bytes, certificate);
    if (status == CL_OK) status = votelog_append(node->votelog, VOTELOG_CERTIFICATE, bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
    return status;
}

static enum cl_status sync_votelog(struct node *node, uint64_t sequence)
{
    enum cl_status status = votelog_sync(node->votelog);
    if (status != CL_OK) return node_fail(node, status, "The vote log could not be written (%s). Check space and disk, then start again.", strerror(errno));
    node->synced = sequence;
    push_event(node, &(struct consensus_event){ .kind = CONSENSUS_SYNCED, .now_ms = node_now_ms(), .sequence = sequence });
    return CL_OK;
}

/* ---- finality */
static enum cl_status commit(struct node *node, const struct consensus_effect *effect)
{
    struct pending_block *pending = find_pending(node, &effect->block.id);
    assert(pending != NULL);
    node_admit_waiting(node); /* for the block that is prepared meanwhile */
    pending_deinit(&node->prepared);
    node->committing = pending;
    enum cl_status status = node_commit(node, pending, effect->certificate);
    node->committing = NULL;
    if (status != CL_OK) return status;
    if (node->prepared.candidate != NULL) cl_candidate_drop_parent(node->prepared.candidate);
    size_t at = (size_t)(pending - node->pending);
    pending_deinit(pending);
    node->pending_count--;
    memmove(&node->pending[at], &node->pending[at + 1], (node->pending_count - at) * sizeof node->pending[0]);
    return CL_OK;
}

static enum cl_status carry_out(struct node *node, const struct consensus_effect *effect)
{
    enum cl_status status = CL_OK;
    switch (effect->kind) {
    case CONSENSUS_BUILD: return build(node, effect);
    case CONSENSUS_SYNC: return sync_votelog(node, effect->sequence);
    case CONSENSUS_COMMIT: return commit(node, effect);
    case CONSENSUS_SEND_PROPOSAL:
    case CONSENSUS_SEND_VOTE:
    case CONSENSUS_SEND_CERTIFICATE:
    case CONSENSUS_VALIDATE:
    case CONSENSUS_FETCH:
    case CONSENSUS_ARM:
    case CONSENSUS_CANCEL: /* all of these are about others; this version runs consortia of one (node_start sees to it) */
        assert(false && "ordering with one member asks for nothing that concerns others");
        return CL_E_BOUND;
    case CONSENSUS_APPEND_PROPOSAL: status = append_proposal(node, &effect->block); break;
    case CONSENSUS_APPEND_VOTE: status = append_vote(node, &effect->vote); break;
    case CONSENSUS_APPEND_CERTIFICATE: status = append_certificate(node, effect->certificate); break;
    }
    if (status != CL_OK) return node_fail(node, status, "The vote log could not take an entry: %s", cl_status_sentence(status));
    return CL_OK;
}

/* Above some megabytes the vote log starts anew, with what is above the last final view. */
static enum cl_status truncate_votelog(struct node *node)
{
    if (votelog_size(node->votelog) < node->options.config.votelog_truncate_mb * 1048576) return CL_OK;
    uint64_t after = 0;
    enum cl_status status = CL_OK;
    do {
        node->effects.count = 0;
        status = consensus_retained(node->consensus, &node->effects, &after);
        for (size_t i = 0; i < node->effects.count && status == CL_OK; i++) status = carry_out(node, &node->effects.items[i]);
    } while (status == CL_OK && node->effects.count > 0);
    if (status == CL_OK) status = votelog_restart(node->votelog);
    if (status != CL_OK) return node_fail(node, status, "The vote log could not be started anew (%s).", strerror(errno));
    return CL_OK;
}

static enum cl_status run_effects(struct node *node)
{
    for (size_t i = 0; i < node->effects.count; i++) {
        enum cl_status status = carry_out(node, &node->effects.items[i]);
        if (status != CL_OK) return status;
    }
    return CL_OK;
}

static enum cl_status run_events(struct node *node)
{
    enum cl_status status = CL_OK;
    while (node->event_count > 0 && status == CL_OK) {
        struct consensus_event event = node->events[0];
        node->event_count--;
        memmove(node->events, node->events + 1, node->event_count * sizeof node->events[0]);
        node->effects.count = 0;
        status = consensus_step(node->consensus, &node->effects, &event);
        if (status != CL_OK) return node_fail(node, status, "Ordering cannot go on: %s", cl_status_sentence(status));
        status = run_effects(node);
    }
    return status;
}

enum cl_status node_drive(struct node *node, const struct consensus_event *event)
{
    push_event(node, event);
    enum cl_status status = run_events(node);
    return status != CL_OK ? status : truncate_votelog(node);
}

/* ---- start: the vote log's entries above the last final view */
struct recovery {
    struct node *node;
    uint64_t final_view;
    struct cl_ledger_record **records; /* since the last proposal */
    size_t record_count, record_capacity;
};

static void drop_records(struct recovery *recovery)
{
    while (recovery->record_count > 0) cl_ledger_record_unref(recovery->records[--recovery->record_count]);
}

static enum cl_status recover_record(struct recovery *recovery, const uint8_t *payload, size_t length)
{
    if (recovery->record_count == recovery->record_capacity) {
        size_t capacity = recovery->record_capacity == 0 ? 64 : 2 * recovery->record_capacity;
        struct cl_ledger_record **grown = realloc(recovery->records, capacity * sizeof *grown);
        if (grown == NULL) return CL_E_MEMORY;
        recovery->records = grown;
        recovery->record_capacity = capacity;
    }
    struct cl_ledger_record *record = NULL;
    enum cl_status status = cl_ledger_record_new(&record, NULL, payload, length, &recovery->node->genesis.core.network);
    assert(status != CL_OK || record != NULL);
    if (status == CL_OK) recovery->records[recovery->record_count++] = record;
    return status == CL_OK || status == CL_E_MEMORY ? status : CL_E_STORE_CORRUPT;
}

static struct cl_ledger_record *find_record(const struct recovery *recovery, const struct cl_leaf_hash *leaf)
{
    for (size_t i = 0; i < recovery->record_count; i++) {
        struct cl_ledger_record *record = recovery->records[i];
        assert(record != NULL);
        if (memcmp(record->record.leaf_hash.bytes, leaf->bytes, 32) == 0) return record;
    }
    return NULL;
}

/* Builds the candidate of a logged proposal again: the same bytes on the same parent give the same block. */
static enum cl_status rebuild(struct recovery *recovery, const struct cl_proposal *proposal, struct pending_block *out)
{
    struct node *node = recovery->node;
    struct cl_candidate *parent = NULL;
    uint64_t parent_time = 0;
    if (!find_parent(node, &proposal->parent, &parent, &parent_time)) return CL_E_STORE_CORRUPT;
    enum cl_status status = cl_candidate_new(&out->candidate, node->ledger, parent, proposal->time_ms);
    /* Its records stand right before it, in its order; the search starts where they should be. */
    size_t first = recovery->record_count >= proposal->leaf_count ? recovery->record_count - proposal->leaf_count : 0;
    for (size_t i = 0; i < proposal->leaf_count && status == CL_OK; i++) {
        struct cl_ledger_record *record = first + i < recovery->record_count ? recovery->records[first + i] : NULL;
        if (record == NULL || memcmp(record->record.leaf_hash.bytes, proposal->leaves[i].bytes, 32) != 0) record = find_record(recovery, &proposal->leaves[i]);
        if (record == NULL) return CL_E_STORE_CORRUPT;
        status = cl_candidate_add(out->candidate, record, NULL);
        if (status != CL_OK && !status_is_fatal(status)) status = CL_E_STORE_CORRUPT;
    }
    if (status == CL_OK) status = cl_candidate_seal(out->candidate, &out->summary);
    if (status == CL_OK && (memcmp(out->summary.log_root.bytes, proposal->log_root.bytes, 32) != 0 ||
                            memcmp(out->summary.state_root.bytes, proposal->state_root.bytes, 32) != 0)) status = CL_E_STORE_CORRUPT;
    return status;
}

static enum cl_status recover_proposal(struct recovery *recovery, const uint8_t *payload, size_t length)
{
    struct node *node = recovery->node;
    struct cl_proposal proposal;
    struct cl_leaf_hash *leaves = NULL;
    struct pending_block made = { 0 };
    enum cl_status status = cl_proposal_decode(&proposal, &leaves, payload, length);
    if (status != CL_OK) return CL_E_STORE_CORRUPT;
    if (proposal.view > recovery->final_view && node->pending_count < CL_BLOCKS_NOT_FINAL_MAX) {
        status = rebuild(recovery, &proposal, &made);
        if (status == CL_OK) status = cl_buffer_append(&made.proposal, payload, length);
        made.block = (struct order_block){ .id = made.summary.id, .parent = proposal.parent, .view = proposal.view, .parent_view = proposal.parent_view };
        if (status == CL_OK) status = consensus_restore_proposal(node->consensus, &made.block);
        if (status == CL_OK) node->pending[node->pending_count++] = made;
        else pending_deinit(&made);
    }
    free(leaves);
    drop_records(recovery);
    return status;
}

static enum cl_status recover_entry(void *context, enum votelog_type type, const uint8_t *payload, size_t length)
{
    struct recovery *recovery = context;
    struct cl_vote vote;
    struct cl_certificate certificate;
    switch (type) {
    case VOTELOG_RECORD: return recover_record(recovery, payload, length);
    case VOTELOG_PROPOSAL: return recover_proposal(recovery, payload, length);
    case VOTELOG_VOTE:
        if (cl_vote_decode(&vote, payload, length) != CL_OK) return CL_E_STORE_CORRUPT;
        return consensus_restore_vote(recovery->node->consensus, &vote);
    case VOTELOG_CERTIFICATE:
        if (cl_certificate_decode(&certificate, payload, length) != CL_OK) return CL_E_STORE_CORRUPT;
        return consensus_restore_certificate(recovery->node->consensus, &certificate);
    case VOTELOG_START: return CL_E_STORE_CORRUPT;
    }
    return CL_E_STORE_CORRUPT;
}

static enum cl_status make_consensus(struct node *node, const struct cl_tip *tip)
{
    struct cl_ledger_view *view = NULL;
    struct cl_buffer block = { 0 };
    struct cl_stored_block stored = { 0 };
    enum cl_status status = cl_ledger_view_new(&view, node->ledger);
    if (status == CL_OK) status = cl_view_block(view, &block, tip->height);
    if (status == CL_OK) status = cl_stored_block_decode(&stored, block.data, block.length);
    struct consensus_config config = { .network = &node->genesis.core.network, .members = node->genesis.core.value.members,
        .member_count = node->genesis.core.value.member_count, .own = node->own, .d0_ms = node->genesis.core.value.parameters.d0_ms, .epoch = tip->epoch, .final_view = tip->view,
        .final_block = tip->block, .final_certificate = stored.certificate };
    memcpy(config.vote_seed, node->keys.vote_seed, 32);
    if (status == CL_OK) status = consensus_new(&node->consensus, &config);
    cl_wipe(config.vote_seed, sizeof config.vote_seed);
    cl_buffer_deinit(&block);
    cl_ledger_view_free(view);
    return status;
}

static enum cl_status open_votelog(struct node *node, struct recovery *recovery, const struct cl_tip *tip, char *sentence, size_t sentence_size)
{
    char path[1200];
    struct votelog_start start = { .network = node->genesis.core.network, .epoch = tip->epoch, .member = (uint32_t)node->own,
        .vote_key32 = node->genesis.core.value.members[node->own].vote };
    enum cl_status status = file_path(path, sizeof path, node->options.config.data, "vote.log");
    if (status != CL_OK) return status;
    status = votelog_open(&node->votelog, path, &start, recover_entry, recovery, sentence, sentence_size);
    if (status == CL_E_STORE_CORRUPT && node->options.new_vote_log) {
        log_line(LOG_LEVEL_WARNING, "vote_log_renewed", "reason=damaged");
        node_pending_free(node);
        consensus_free(node->consensus);
        node->consensus = NULL;
        status = make_consensus(node, tip);
        if (status == CL_OK && unlink(path) != 0) status = CL_E_STORE_IO;
        if (status == CL_OK) status = CL_E_NOT_FOUND;
    }
    if (status != CL_E_NOT_FOUND) return status;
    if (tip->height > 0 && !node->options.new_vote_log) {
        snprintf(sentence, sentence_size, "The vote log is missing, so this node no longer knows what it has signed. If %s is the newest state of this node and "
                 "not an old copy, start it once with --new-vote-log.", node->options.config.data);
        return CL_E_NOT_FOUND;
    }
    status = votelog_create(path, &start, sentence, sentence_size);
    if (status == CL_OK) status = votelog_open(&node->votelog, path, &start, NULL, NULL, sentence, sentence_size);
    return status;
}

enum cl_status node_recover(struct node *node, char *sentence, size_t sentence_size)
{
    struct cl_tip tip;
    cl_ledger_tip(node->ledger, &tip);
    struct recovery recovery = { .node = node, .final_view = tip.view };
    enum cl_status status = make_consensus(node, &tip);
    if (status == CL_OK) status = open_votelog(node, &recovery, &tip, sentence, sentence_size);
    drop_records(&recovery);
    free(recovery.records);
    if (status != CL_OK) return status;
    node->effects.count = 0;
    status = consensus_resume(node->consensus, &node->effects, node_now_ms());
    if (status == CL_OK) status = run_effects(node);
    if (status == CL_OK) status = run_events(node);
    if (node->failure[0] != '\0') snprintf(sentence, sentence_size, "%s", node->failure);
    return status;
}
