/* Carries out what ordering asks for, in its order: writes the vote log, sends, has blocks built, judged and committed; and
   hands it what the other members say. One step's effects are all carried out before the next event goes in, because
   effects borrow from the state. */
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

#define HEED_MS 50u
#define SMALL_BLOCK_BYTES (16u * 1024u) /* such a block is committed in a millisecond or two */

void node_push_event(struct node *node, const struct consensus_event *event)
{
    assert(node->event_count < NODE_EVENTS_MAX);
    node->events[node->event_count++] = *event;
}

/* ---- the vote log */
static enum cl_status append_proposal(struct node *node, const struct order_block *block)
{
    const struct pending_block *pending = node_pending_find(node, &block->id);
    assert(pending != NULL && pending->candidate != NULL);
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

static enum cl_status append_bar(struct node *node, uint64_t view)
{
    struct cl_buffer bytes = { 0 };
    enum cl_status status = votelog_bar_encode(&bytes, view);
    if (status == CL_OK) status = votelog_append(node->votelog, VOTELOG_BAR, bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
    return status;
}

static enum cl_status sync_votelog(struct node *node, uint64_t sequence)
{
    enum cl_status status = votelog_sync(node->votelog);
    if (status != CL_OK) return node_fail(node, status, "The vote log could not be written (%s). Check space and disk, then start again.", strerror(errno));
    node->synced = sequence;
    node_push_event(node, &(struct consensus_event){ .kind = CONSENSUS_SYNCED, .now_ms = node_monotonic_ms(), .sequence = sequence });
    return CL_OK;
}

/* ---- to the other members */
static void send_vote(struct node *node, const struct consensus_effect *effect, enum lane lane)
{
    struct cl_buffer bytes = { 0 };
    assert(effect->sequence <= node->synced); /* what must be durable is, before it leaves */
    if (cl_vote_encode(&bytes, &effect->vote) == CL_OK) {
        struct cl_view item = { bytes.data, bytes.length };
        node_send_list(node, TRANSPORT_ALL, lane, FRAME_VOTES, &item, 1);
    }
    cl_buffer_deinit(&bytes);
}

/* The leader's vote goes first, in the same lane: it says of which block the proposal is. */
static void send_proposal(struct node *node, const struct consensus_effect *effect)
{
    const struct pending_block *pending = node_pending_find(node, &effect->block.id);
    if (pending == NULL || pending->proposal.length == 0) return; /* from before a restart, on a parent that is not at hand */
    send_vote(node, effect, LANE_PROPOSALS);
    node_send(node, TRANSPORT_ALL, LANE_PROPOSALS, FRAME_PROPOSAL, &pending->proposal);
}

static void send_certificate(struct node *node, const struct consensus_effect *effect)
{
    struct cl_buffer bytes = { 0 };
    assert(effect->sequence <= node->synced);
    if (cl_certificate_encode(&bytes, effect->certificate) == CL_OK) {
        struct cl_view item = { bytes.data, bytes.length };
        node_send_list(node, TRANSPORT_ALL, LANE_CERTIFICATES, FRAME_CERTIFICATES, &item, 1);
    }
    cl_buffer_deinit(&bytes);
}

/* ---- from the other members */
/* Checking signatures is what costs: of a frame nothing more is looked at once one of them is bad. */
static bool is_forged(const struct node *node, uint64_t *forged)
{
    struct consensus_report report = { 0 };
    uint64_t before = *forged;
    if (node->consensus != NULL) consensus_report(node->consensus, &report);
    *forged = report.forged;
    return report.forged > before;
}

/* Each member says its own votes only. */
void node_on_votes(struct node *node, size_t peer, const struct frame *frame)
{
    uint64_t forged = UINT64_MAX;
    struct frame_items items;
    struct cl_view item;
    struct cl_vote vote;
    frame_items_init(&items, frame);
    while (!is_forged(node, &forged) && frame_items_next(&items, &item)) {
        if (cl_vote_decode(&vote, item.data, item.length) != CL_OK || vote.voter != peer) continue;
        if (vote.kind == CL_VOTE_PROPOSE) node->proposers[peer] = vote; /* its proposal comes next */
        if (node_drive(node, &(struct consensus_event){ .kind = CONSENSUS_VOTE, .now_ms = node_monotonic_ms(), .vote = &vote }) != CL_OK) return;
    }
}

void node_on_certificates(struct node *node, size_t peer, const struct frame *frame)
{
    struct frame_items items;
    struct cl_view item;
    uint64_t forged = UINT64_MAX;
    struct cl_certificate *certificate = malloc(sizeof *certificate);
    frame_items_init(&items, frame);
    while (certificate != NULL && !is_forged(node, &forged) && frame_items_next(&items, &item)) {
        if (cl_certificate_decode(certificate, item.data, item.length) != CL_OK) continue;
        if (node->consensus == NULL && certificate->kind == CL_VOTE_FINALIZE) node_sync_hint(node, peer, certificate->view); /* an observer's only news */
        if (node_drive(node, &(struct consensus_event){ .kind = CONSENSUS_CERTIFICATE, .now_ms = node_monotonic_ms(), .certificate = certificate }) != CL_OK) break;
    }
    free(certificate);
}

/* For a moment this member's proposals of views up to this one are not looked at. It leads a later one soon: views may take
   a few ms each. */
static void heed(struct node *node, size_t peer, uint64_t view, uint64_t now_ms)
{
    if (now_ms >= node->heeded_ms[peer] || view > node->heeded_views[peer]) node->heeded_views[peer] = view;
    node->heeded_ms[peer] = now_ms + HEED_MS;
}

/* From its leader's own link, right after the leader's vote for it. A leader repeats a proposal with its resends only, and
   an honest one's is never refused for what it says: after either nothing more is looked at for a moment. */
void node_on_proposal(struct node *node, size_t peer, const struct frame *frame)
{
    struct cl_proposal proposal;
    struct cl_leaf_hash *leaves = NULL;
    const struct cl_vote *vote = &node->proposers[peer];
    uint64_t now = node_monotonic_ms(), forged = UINT64_MAX;
    bool heeded = now < node->heeded_ms[peer] && vote->view <= node->heeded_views[peer];
    if (node->consensus == NULL || heeded || cl_proposal_decode(&proposal, &leaves, frame->payload.data, frame->payload.length) != CL_OK) return;
    struct consensus_report report;
    consensus_report(node->consensus, &report);
    bool fits = vote->kind == CL_VOTE_PROPOSE && vote->has_block && vote->view == proposal.view && vote->epoch == node->epoch && proposal.epoch == node->epoch &&
                proposal.view > report.final_view && proposal.view <= report.view + CONSENSUS_VIEWS_AHEAD_MAX &&
                consensus_leader(&node->genesis.core.network, node->epoch, proposal.view, node->genesis.core.value.member_count) == peer;
    const struct pending_block *known = fits ? node_pending_find(node, &vote->block) : NULL;
    bool again = known != NULL && known->proposal.length > 0;
    const struct pending_block *entry = fits ? node_hold_proposal(node, vote, &proposal, &frame->payload) : NULL;
    free(leaves);
    if (fits && (entry == NULL || again)) heed(node, peer, vote->view, now);
    if (entry == NULL) return; /* said again with the next resend */
    (void)is_forged(node, &forged);
    node_drive(node, &(struct consensus_event){ .kind = CONSENSUS_PROPOSAL, .now_ms = node_monotonic_ms(), .block = entry->block, .vote = vote,
                                                .justification = proposal.justification });
    if (is_forged(node, &forged)) heed(node, peer, vote->view, now);
}

/* ---- effects */
/* Then what has been said does not wait for it. A small block's certificate does: it goes out together with the cosignature
   that follows, which spares everybody a message for each block. */
static bool takes_time(struct node *node, const struct consensus_effect *effect)
{
    const struct pending_block *pending = effect->kind == CONSENSUS_COMMIT ? node_pending_find(node, &effect->block.id) : NULL;
    if (effect->kind == CONSENSUS_COMMIT) return pending == NULL || pending->record_bytes > SMALL_BLOCK_BYTES;
    return effect->kind == CONSENSUS_BUILD || effect->kind == CONSENSUS_SYNC || effect->kind == CONSENSUS_VALIDATE;
}

static enum cl_status carry_out(struct node *node, const struct consensus_effect *effect)
{
    enum cl_status status = CL_OK;
    if (takes_time(node, effect)) node_flush(node);
    switch (effect->kind) {
    case CONSENSUS_BUILD: return node_build(node, effect);
    case CONSENSUS_SYNC: return sync_votelog(node, effect->sequence);
    case CONSENSUS_COMMIT: return node_commit_pending(node, effect);
    case CONSENSUS_VALIDATE: return node_validate(node, effect);
    case CONSENSUS_FETCH: return node_want(node, &effect->block);
    case CONSENSUS_SEND_PROPOSAL: send_proposal(node, effect); return CL_OK;
    case CONSENSUS_SEND_VOTE: send_vote(node, effect, LANE_VOTES); return CL_OK;
    case CONSENSUS_SEND_CERTIFICATE: send_certificate(node, effect); return CL_OK;
    case CONSENSUS_ARM:
        node->timers[effect->timer] = effect->at_ms;
        return CL_OK;
    case CONSENSUS_CANCEL:
        node->timers[effect->timer] = UINT64_MAX;
        return CL_OK;
    case CONSENSUS_APPEND_PROPOSAL: status = append_proposal(node, &effect->block); break;
    case CONSENSUS_APPEND_VOTE: status = append_vote(node, &effect->vote); break;
    case CONSENSUS_APPEND_CERTIFICATE:
        if (effect->certificate->kind != CL_VOTE_NULLIFY) node_cosign_notarized(node, effect->certificate->view, node_now_ms()); /* q finalize: q saw it notarized */
        status = append_certificate(node, effect->certificate);
        break;
    case CONSENSUS_APPEND_BAR: status = append_bar(node, effect->view); break;
    }
    if (status != CL_OK) return node_fail(node, status, "The vote log could not take an entry: %s", cl_status_sentence(status));
    return CL_OK;
}

/* Above some megabytes the vote log starts anew, with what is above the last final view; again once it has grown by as
   much, since all that may still be in it. */
static enum cl_status truncate_votelog(struct node *node)
{
    struct cl_tip tip;
    struct consensus_report report;
    if (votelog_size(node->votelog) < node->options.config.votelog_truncate_mb * 1048576 + node->votelog_kept) return CL_OK;
    cl_ledger_tip(node->ledger, &tip);
    consensus_report(node->consensus, &report);
    if (tip.view != report.final_view) return CL_OK; /* a start would need what was signed since; what ordering knows is not at hand any more */
    for (size_t i = 0; i < node->pending_count; i++)
        if (node->pending[i].held) return CL_OK; /* ordering could not say that it has to stay */
    uint64_t from = 0;
    enum cl_status status = CL_OK;
    do {
        node->effects.count = 0;
        status = consensus_retained(node->consensus, &node->effects, &from);
        for (size_t i = 0; i < node->effects.count && status == CL_OK; i++) status = carry_out(node, &node->effects.items[i]);
    } while (status == CL_OK && node->effects.count > 0);
    if (status == CL_OK) status = votelog_restart(node->votelog);
    if (status != CL_OK) return node_fail(node, status, "The vote log could not be started anew (%s).", strerror(errno));
    node->votelog_kept = votelog_size(node->votelog);
    return CL_OK;
}

enum cl_status node_run_effects(struct node *node)
{
    for (size_t i = 0; i < node->effects.count; i++) {
        enum cl_status status = carry_out(node, &node->effects.items[i]);
        if (status != CL_OK) return status;
    }
    return CL_OK;
}

enum cl_status node_run_events(struct node *node)
{
    enum cl_status status = atomic_load(&node->failed) ? node->failure_status : CL_OK;
    if (node->consensus == NULL || status != CL_OK) node->event_count = 0; /* an observer orders nothing; whoever failed signs nothing more */
    while (node->event_count > 0 && status == CL_OK) {
        struct consensus_event event = node->events[0];
        node->event_count--;
        memmove(node->events, node->events + 1, node->event_count * sizeof node->events[0]);
        node->effects.count = 0;
        status = consensus_step(node->consensus, &node->effects, &event);
        if (status != CL_OK) return node_fail(node, status, "Ordering cannot go on: %s", cl_status_sentence(status));
        status = node_run_effects(node);
        if (atomic_load(&node->failed)) status = node->failure_status;
    }
    if (node->consensus != NULL) {
        struct consensus_report report;
        consensus_report(node->consensus, &report);
        node->current_view = report.view;
        if (status == CL_OK && report.evidence != node->evidence_kept) status = node_evidence_keep(node);
    }
    return status;
}

enum cl_status node_drive(struct node *node, const struct consensus_event *event)
{
    node_push_event(node, event);
    enum cl_status status = node_run_events(node);
    return status != CL_OK || node->votelog == NULL ? status : truncate_votelog(node);
}

enum cl_status node_order_final(struct node *node, const struct order_block *block, const struct cl_certificate *certificate)
{
    node_pending_settle(node);
    return node_drive(node, &(struct consensus_event){ .kind = CONSENSUS_FINAL, .now_ms = node_monotonic_ms(), .block = *block, .certificate = certificate });
}

uint64_t node_order_round(struct node *node, uint64_t now_ms)
{
    uint64_t wait = UINT64_MAX;
    for (size_t i = 0; i < CONSENSUS_TIMERS; i++) {
        if (node->timers[i] > now_ms) continue;
        node->timers[i] = UINT64_MAX;
        if (node_drive(node, &(struct consensus_event){ .kind = CONSENSUS_TIMER, .now_ms = now_ms, .timer = (enum consensus_timer)i }) != CL_OK) return 0;
    }
    now_ms = node_monotonic_ms(); /* a step may have waited for the disk */
    for (size_t i = 0; i < CONSENSUS_TIMERS; i++) {
        uint64_t left = node->timers[i] > now_ms ? node->timers[i] - now_ms : 0;
        if (node->timers[i] != UINT64_MAX && left < wait) wait = left;
    }
    return wait;
}

