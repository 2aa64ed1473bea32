/* Start of ordering: the vote log says what this node signed above the last final block, and ordering goes on from there. */
#include "node_private.h"

#include "crypto.h"
#include "files.h"
#include "logging.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The vote log's entries above the last final view. */
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
    if (!node_find_parent(node, &proposal->parent, &parent, &parent_time)) return CL_E_STORE_CORRUPT;
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

/* What was voted for is handed out to whoever lacks it, until a block of that height is final. What has no room others have. */
static enum cl_status pin_records(const struct recovery *recovery)
{
    struct pool_entry *entry;
    for (size_t i = 0; recovery->node->pinned != NULL && i < recovery->record_count; i++)
        if (pool_add(recovery->node->pinned, &entry, recovery->records[i], 0) == CL_E_MEMORY) return CL_E_MEMORY;
    return CL_OK;
}

/* Its parent was given by somebody else and is not in the log: what was signed is known by its votes, and its body waits
   here, with its records, until the parent is fetched again. The next vote of its view says which block it is. */
static enum cl_status hold(struct recovery *recovery, const struct cl_proposal *proposal, const uint8_t *payload, size_t length)
{
    struct node *node = recovery->node;
    struct order_block block = { .parent = proposal->parent, .view = proposal->view, .parent_view = proposal->parent_view };
    if (node->peer_count < 2) return CL_E_STORE_CORRUPT;
    struct pending_block *held = node_pending_add(node, &block);
    if (held == NULL) return CL_OK;
    held->held = true;
    return cl_buffer_append(&held->proposal, payload, length);
}

static void name_held(struct node *node, const struct cl_vote *vote)
{
    static const struct cl_block_id nameless;
    for (size_t i = 0; i < node->pending_count; i++) {
        struct pending_block *held = &node->pending[i];
        if (held->candidate == NULL && held->block.view == vote->view && vote->has_block && memcmp(held->block.id.bytes, nameless.bytes, 32) == 0) held->block.id = vote->block;
    }
}

static enum cl_status recover_proposal(struct recovery *recovery, const uint8_t *payload, size_t length)
{
    struct node *node = recovery->node;
    struct cl_proposal proposal;
    struct cl_leaf_hash *leaves = NULL;
    struct pending_block made = { 0 };
    enum cl_status status = cl_proposal_decode(&proposal, &leaves, payload, length);
    if (status != CL_OK) return CL_E_STORE_CORRUPT;
    struct cl_candidate *parent;
    uint64_t parent_time;
    bool above = proposal.view > recovery->final_view && node_pending_room(node);
    if (above) status = pin_records(recovery);
    if (status != CL_OK) {
        free(leaves);
        return status;
    }
    if (above && !node_find_parent(node, &proposal.parent, &parent, &parent_time)) {
        status = hold(recovery, &proposal, payload, length);
    } else if (above) {
        made.asking = SIZE_MAX;
        status = rebuild(recovery, &proposal, &made);
        if (status == CL_OK) status = cl_buffer_append(&made.proposal, payload, length);
        made.block = (struct order_block){ .id = made.summary.id, .parent = proposal.parent, .view = proposal.view, .parent_view = proposal.parent_view };
        if (status == CL_OK) status = consensus_restore_proposal(node->consensus, &made.block);
        if (status == CL_OK) node->pending[node->pending_count++] = made;
        else node_pending_deinit(&made);
    }
    free(leaves);
    drop_records(recovery);
    return status;
}

static enum cl_status recover_entry(void *context, enum votelog_type type, const uint8_t *payload, size_t length)
{
    struct recovery *recovery = context;
    uint64_t barred = 0;
    struct cl_vote vote;
    struct cl_certificate certificate;
    switch (type) {
    case VOTELOG_RECORD: return recover_record(recovery, payload, length);
    case VOTELOG_PROPOSAL: return recover_proposal(recovery, payload, length);
    case VOTELOG_VOTE:
        if (cl_vote_decode(&vote, payload, length) != CL_OK) return CL_E_STORE_CORRUPT;
        name_held(recovery->node, &vote);
        return consensus_restore_vote(recovery->node->consensus, &vote);
    case VOTELOG_CERTIFICATE:
        if (cl_certificate_decode(&certificate, payload, length) != CL_OK) return CL_E_STORE_CORRUPT;
        if (certificate.kind != CL_VOTE_NULLIFY) node_cosign_notarized(recovery->node, certificate.view, 0);
        return consensus_restore_certificate(recovery->node->consensus, &certificate);
    case VOTELOG_BAR:
        if (votelog_bar_decode(&barred, payload, length) != CL_OK) return CL_E_STORE_CORRUPT;
        consensus_restore_bar(recovery->node->consensus, barred);
        if (barred != CONSENSUS_BAR_UNKNOWN) node_cosign_notarized(recovery->node, barred, 0); /* what it held before is not known either */
        return CL_OK;
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

/* What was read of a vote log that does not count is forgotten. */
static enum cl_status forget(struct recovery *recovery, const struct cl_tip *tip)
{
    struct node *node = recovery->node;
    drop_records(recovery);
    node_pending_free(node);
    consensus_free(node->consensus);
    node->consensus = NULL;
    votelog_close(node->votelog);
    node->votelog = NULL;
    return make_consensus(node, tip);
}

/* In a consortium the others know more than an operator can: this member begins with a vote log that forbids every vote, and
   asks them (node_vote_recovery.c). */
static enum cl_status replace_votelog(struct recovery *recovery, const struct cl_tip *tip, const char *path, const struct votelog_start *start, const char *reason,
                                      char *sentence, size_t sentence_size)
{
    struct node *node = recovery->node;
    size_t members = node->genesis.core.value.member_count;
    if (vote_recovery_needed(members) > members - 1) {
        snprintf(sentence, sentence_size, "The vote log is %s, so this node no longer knows what it has signed, and the others are too few to tell it (that takes a "
                 "consortium of four). Restore the newest vote.log, or let the members sign a new genesis document that names the last final block.", reason);
        return CL_E_STORE_CORRUPT;
    }
    log_line(LOG_LEVEL_WARNING, "vote_log_renewed", "reason=%s", reason);
    enum cl_status status = forget(recovery, tip);
    if (status == CL_OK) status = votelog_replace(path, start, sentence, sentence_size);
    return status == CL_OK ? votelog_open(&node->votelog, path, start, recover_entry, recovery, sentence, sentence_size) : status;
}

static enum cl_status open_votelog(struct node *node, struct recovery *recovery, const struct cl_tip *tip, char *sentence, size_t sentence_size)
{
    char path[1200];
    struct votelog_start start = { .network = node->genesis.core.network, .epoch = tip->epoch, .member = (uint32_t)node->own,
        .vote_key32 = node->genesis.core.value.members[node->own].vote };
    enum cl_status status = file_path(path, sizeof path, node->options.config.data, "vote.log");
    if (status != CL_OK) return status;
    bool alone = node->genesis.core.value.member_count == 1;
    status = votelog_open(&node->votelog, path, &start, recover_entry, recovery, sentence, sentence_size);
    bool missing = status == CL_E_NOT_FOUND, damaged = status == CL_E_STORE_CORRUPT, asked = node->options.new_vote_log;
    if (!alone && (damaged || (missing && tip->height > 0) || (asked && (missing || status == CL_OK))))
        return replace_votelog(recovery, tip, path, &start, damaged ? "damaged" : missing ? "missing" : "discarded", sentence, sentence_size);
    if (damaged && asked) {
        log_line(LOG_LEVEL_WARNING, "vote_log_renewed", "reason=damaged");
        status = forget(recovery, tip);
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
    node->epoch = tip.epoch;
    node->final_view = tip.view;
    for (size_t i = 0; i < CONSENSUS_TIMERS; i++) node->timers[i] = UINT64_MAX;
    if (node->own >= node->genesis.core.value.member_count) return CL_OK; /* an observer signs nothing */
    struct recovery recovery = { .node = node, .final_view = tip.view };
    enum cl_status status = make_consensus(node, &tip);
    if (status == CL_OK) status = open_votelog(node, &recovery, &tip, sentence, sentence_size);
    if (status == CL_OK) status = node_evidence_load(node);
    drop_records(&recovery);
    free(recovery.records);
    if (status != CL_OK) return status;
    status = node_vote_recovery_begin(node);
    if (status != CL_OK) return status;
    node->effects.count = 0;
    status = consensus_resume(node->consensus, &node->effects, node_monotonic_ms());
    if (status == CL_OK) status = node_run_effects(node);
    if (status == CL_OK) status = node_run_events(node);
    if (node->failure[0] != '\0') snprintf(sentence, sentence_size, "%s", node->failure);
    return status;
}
