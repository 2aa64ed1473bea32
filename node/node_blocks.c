/* Blocks that are proposed and not final: built here, or another leader's, evaluated once their parent and all their
   records are at hand. What is missing is asked for: a proposal by its block's id, records by their leaf hashes. */
#include "node_private.h"

#include "crypto.h"
#include "logging.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREPARED_MS_MAX 1000u      /* a block that was made in advance is no older than this when it is proposed */
#define GRACE_MS 10u               /* a record that gossip may be bringing is not asked for before */
#define QUESTION_MS 2000u          /* then another member is asked */
#define LAP_MS 200u                /* after all were asked, and after each look at what is missing */
#define DOUBT_MS 2000u             /* what a certified block lacks has not come: another member is asked what the block is */
#define NOT_FINAL_BYTES_MAX (64u * 1024 * 1024) /* records of blocks not final; beyond, blocks have one at most: finality, which gives room back, must still come */
static_assert(VOTELOG_TRUNCATE_MB_MAX * 1024u * 1024u + NOT_FINAL_BYTES_MAX + 4u * CL_BLOCK_BYTES_MAX + NODE_PENDING_MAX * CL_RECORD_BYTES_MAX <= CL_BUFFER_BYTES_MAX,
              "a vote log that holds all of them, and grew once more, can be read again");
#define UNEVALUATED_MAX 32u        /* proposals that wait for something; the one of the oldest view goes */
#define AHEAD_MS_MAX 2000u         /* rule 3: a block's time against ours, when voting */
#define BEHIND_MS_MAX 60000u

struct pending_block *node_pending_find(struct node *node, const struct cl_block_id *id)
{
    for (size_t i = 0; i < node->pending_count; i++)
        if (memcmp(node->pending[i].block.id.bytes, id->bytes, 32) == 0) return &node->pending[i];
    return NULL;
}

void node_pending_deinit(struct pending_block *pending)
{
    cl_candidate_free(pending->candidate);
    cl_buffer_deinit(&pending->proposal);
    memset(pending, 0, sizeof *pending);
}

static void pending_remove(struct node *node, size_t at)
{
    node_pending_deinit(&node->pending[at]);
    node->pending_count--;
    memmove(&node->pending[at], &node->pending[at + 1], (node->pending_count - at) * sizeof node->pending[0]);
}

void node_pending_free(struct node *node)
{
    node_pending_deinit(&node->prepared);
    while (node->pending_count > 0) pending_remove(node, node->pending_count - 1);
}

/* Room for one more; what waits for something makes way for it: what nobody asked about first, and the oldest view's.
   NULL: all are evaluated. */
struct pending_block *node_pending_add(struct node *node, const struct order_block *block)
{
    size_t unevaluated = 0, least = SIZE_MAX;
    for (size_t i = 0; i < node->pending_count; i++) {
        const struct pending_block *each = &node->pending[i], *worst = &node->pending[least == SIZE_MAX ? i : least];
        bool asked = each->wanted || each->judged, worst_asked = worst->wanted || worst->judged;
        if (each->candidate != NULL) continue;
        unevaluated++;
        if (least == SIZE_MAX || asked < worst_asked || (asked == worst_asked && each->block.view < worst->block.view)) least = i;
    }
    if (unevaluated >= UNEVALUATED_MAX || (node->pending_count == NODE_PENDING_MAX && least != SIZE_MAX)) pending_remove(node, least);
    if (node->pending_count == NODE_PENDING_MAX) return NULL;
    struct pending_block *made = &node->pending[node->pending_count++];
    *made = (struct pending_block){ .block = *block, .asking = SIZE_MAX, .next_peer = consensus_leader(&node->genesis.core.network, node->epoch, block->view, node->genesis.core.value.member_count) };
    return made;
}

/* The candidate to build on: NULL for the last final block. */
bool node_find_parent(struct node *node, const struct cl_block_id *id, struct cl_candidate **parent, uint64_t *parent_time)
{
    struct cl_tip tip;
    cl_ledger_tip(node->ledger, &tip);
    *parent = NULL;
    *parent_time = tip.time_ms;
    if (memcmp(tip.block.bytes, id->bytes, 32) == 0) return true;
    struct pending_block *pending = node_pending_find(node, id);
    if (pending == NULL || pending->candidate == NULL || !cl_candidate_stands(pending->candidate)) return false;
    *parent = pending->candidate;
    *parent_time = pending->summary.time_ms;
    return true;
}

static size_t bytes_not_final(const struct node *node)
{
    size_t bytes = 0;
    for (size_t i = 0; i < node->pending_count; i++) bytes += node->pending[i].record_bytes;
    return bytes;
}

static bool is_full(const struct node *node) { return bytes_not_final(node) > NOT_FINAL_BYTES_MAX; }

static size_t candidate_bytes(const struct cl_candidate *candidate)
{
    size_t bytes = 0;
    for (size_t i = 0; i < cl_candidate_count(candidate); i++) bytes += cl_candidate_record(candidate, i)->record.bytes.length;
    return bytes;
}

/* ---- building */
/* What is in a block below, not final, stays in the pool until that is; it is passed over here. */
static void mark_parents(struct node *node, const struct cl_block_id *parent, uint64_t generation)
{
    for (const struct pending_block *at = node_pending_find(node, parent); at != NULL && at->candidate != NULL; at = node_pending_find(node, &at->block.parent))
        for (size_t i = 0; i < cl_candidate_count(at->candidate); i++)
            pool_mark_leaf(node->pool, &cl_candidate_record(at->candidate, i)->record.leaf_hash, generation);
}

/* Takes what is there, withdrawals first, up to the network's limits, our own on entries, and what a proposal's frame
   holds; what does not apply leaves the pool, unless it is in a block below and leaves the pool with that, or what it
   builds on may still come (pool_put_off). A withdrawal of what another record in this block makes goes into the next
   block: it comes first in its own. A block of nothing but bulk records could hold 80,000 entries and take 250 MB while it
   is evaluated. */
static enum cl_status fill(struct node *node, struct cl_candidate *candidate, const struct cl_block_id *parent, size_t records_max)
{
    struct pool_walk walk;
    struct pool_entry *entry;
    uint64_t generation = ++node->fills, now = node_monotonic_ms();
    size_t entries = 0;
    bool parent_final = node->peer_count < 2 || node_pending_find(node, parent) == NULL; /* alone, what is proposed becomes final */
    mark_parents(node, parent, generation);
    pool_walk_begin(node->pool, &walk, generation);
    while (entries < NODE_BLOCK_ENTRIES && cl_candidate_count(candidate) < records_max && (entry = pool_walk_next(&walk)) != NULL) {
        uint32_t refused_entry = 0;
        enum cl_status status = cl_candidate_add(candidate, entry->record, &refused_entry);
        if (status == CL_E_BLOCK_SIZE) return CL_OK;
        if (status != CL_OK && status_is_fatal(status)) return status;
        if (status == CL_OK) {
            entries += entry->record->record.entry_count;
        } else if (status == CL_E_REPLAY || !pool_put_off(node->pool, entry, parent_final, now)) {
            node_settle_refused(node, entry, status, refused_entry);
            node->progress = true;
        }
    }
    return CL_OK;
}

static enum cl_status encode_proposal(struct node *node, struct pending_block *pending, const struct cl_view *justification)
{
    size_t count = cl_candidate_count(pending->candidate);
    struct cl_leaf_hash *leaves = calloc(count > 0 ? count : 1, sizeof *leaves);
    if (leaves == NULL) return CL_E_MEMORY;
    for (size_t i = 0; i < count; i++) leaves[i] = cl_candidate_record(pending->candidate, i)->record.leaf_hash;
    struct cl_proposal proposal = { .epoch = node->epoch, .view = pending->block.view, .parent_view = pending->block.parent_view,
        .height = pending->summary.height, .time_ms = pending->summary.time_ms, .log_size = pending->summary.log_size,
        .parent = pending->block.parent, .log_root = pending->summary.log_root, .state_root = pending->summary.state_root,
        .leaf_count = count, .leaves = leaves, .justification = *justification };
    enum cl_status status = cl_proposal_encode(&pending->proposal, &proposal);
    free(leaves);
    return status;
}

static enum cl_status fill_and_seal(struct node *node, struct pending_block *made, struct cl_candidate *parent, const struct cl_block_id *parent_id,
                                    uint64_t time_ms, size_t records_max)
{
    enum cl_status status = cl_candidate_new(&made->candidate, node->ledger, parent, time_ms);
    if (status == CL_OK && records_max > 0) status = fill(node, made->candidate, parent_id, records_max);
    if (status == CL_OK && (records_max == 0 || cl_candidate_count(made->candidate) > 0)) status = cl_candidate_seal(made->candidate, &made->summary);
    return status;
}

/* An observer proposes nothing; what a block on its tip would refuse leaves its pool all the same. */
void node_sweep_pool(struct node *node)
{
    struct cl_candidate *candidate = NULL;
    struct cl_tip tip;
    uint64_t now = node_now_ms();
    if (pool_count(node->pool) == 0) return;
    cl_ledger_tip(node->ledger, &tip);
    enum cl_status status = cl_candidate_new(&candidate, node->ledger, NULL, now > tip.time_ms ? now : tip.time_ms + 1);
    if (status == CL_OK) status = fill(node, candidate, &tip.block, SIZE_MAX);
    cl_candidate_free(candidate);
    if (status != CL_OK) node_fail(node, status, "Waiting records could not be looked at: %s", cl_status_sentence(status));
}

/* The next block, begun while the one below it is being written: nobody hears of it before that is durable, because build
   hands it out only later. Whatever goes wrong here goes wrong again there, and is told there. In a network of one. */
void node_prepare(void *context)
{
    struct node *node = context;
    const struct pending_block *parent = node->committing;
    struct pending_block made = { 0 };
    if (node->sync != NULL) node_sync_prepare(node);
    if (node->peer_count > 1 || parent == NULL || pool_count(node->pool) <= cl_candidate_count(parent->candidate)) return;
    uint64_t now = node_now_ms();
    enum cl_status status = fill_and_seal(node, &made, parent->candidate, &parent->block.id, now > parent->summary.time_ms ? now : parent->summary.time_ms + 1, SIZE_MAX);
    made.block.parent = parent->summary.id;
    if (status == CL_OK && cl_candidate_count(made.candidate) > 0) node->prepared = made;
    else node_pending_deinit(&made);
}

/* Returns: whether there was one on this parent, and not of yesterday. */
static bool take_prepared(struct node *node, struct pending_block *made, const struct cl_block_id *parent, uint64_t now_ms)
{
    struct pending_block prepared = node->prepared;
    memset(&node->prepared, 0, sizeof node->prepared);
    if (prepared.candidate == NULL) return false;
    bool fits = memcmp(prepared.block.parent.bytes, parent->bytes, 32) == 0 && prepared.summary.time_ms + PREPARED_MS_MAX >= now_ms;
    if (!fits) {
        node_pending_deinit(&prepared);
        return false;
    }
    made->candidate = prepared.candidate;
    made->summary = prepared.summary;
    return true;
}

/* How many leaf hashes the frame of a proposal holds beside its justification. */
static size_t proposal_records_max(const struct node *node, const struct cl_view *justification)
{
    size_t around = justification->length + 512;
    if (node->peer_count < 2) return SIZE_MAX;
    return around < CL_FRAME_BYTES_MAX ? (CL_FRAME_BYTES_MAX - around) / 34 : 0;
}

enum cl_status node_build(struct node *node, const struct consensus_effect *effect)
{
    struct cl_candidate *parent = NULL;
    uint64_t parent_time = 0, now = node_now_ms();
    struct consensus_event answer = { .kind = CONSENSUS_NOTHING, .now_ms = node_monotonic_ms(), .view = effect->block.view };
    bool seen = memcmp(node->nothing_on.bytes, effect->block.parent.bytes, 32) == 0 && node->nothing_after == pool_changes(node->pool);
    uint64_t before = pool_changes(node->pool);
    size_t records_max = effect->empty ? 0 : proposal_records_max(node, &effect->justification);
    if (records_max > 1 && is_full(node)) records_max = 1;
    if (node->pending_count == NODE_PENDING_MAX || (!effect->empty && (seen || records_max == 0)) ||
        !node_find_parent(node, &effect->block.parent, &parent, &parent_time)) {
        node_push_event(node, &answer);
        return CL_OK;
    }
    struct pending_block made = { .block = effect->block, .asking = SIZE_MAX };
    enum cl_status status = CL_OK;
    if (effect->empty || !take_prepared(node, &made, &effect->block.parent, now))
        status = fill_and_seal(node, &made, parent, &effect->block.parent, now > parent_time ? now : parent_time + 1, records_max); /* rule 2 */
    if (status == CL_OK && (effect->empty || cl_candidate_count(made.candidate) > 0)) {
        made.block.id = made.summary.id;
        made.record_bytes = candidate_bytes(made.candidate);
        status = encode_proposal(node, &made, &effect->justification);
        if (status == CL_OK) {
            node->pending[node->pending_count++] = made;
            node_gossip_flush(node); /* so that its records are ahead of it */
            answer.kind = CONSENSUS_BUILT;
            answer.block = made.block;
            node_push_event(node, &answer);
            return CL_OK;
        }
    }
    node_pending_deinit(&made);
    if (status != CL_OK) return node_fail(node, status, "A block could not be built: %s", cl_status_sentence(status));
    if (pool_changes(node->pool) == before) { /* until something comes or goes, there is nothing for a block on this one */
        node->nothing_on = effect->block.parent;
        node->nothing_after = before;
    }
    node_push_event(node, &answer);
    return CL_OK;
}

/* ---- evaluating */
static struct cl_ledger_record *record_at_hand(struct node *node, const struct cl_leaf_hash *leaf)
{
    struct pool_entry *entry = pool_find_leaf(node->pool, leaf);
    if (entry == NULL) entry = pool_find_leaf(node->pinned, leaf);
    return entry != NULL ? entry->record : NULL;
}

/* to_ask: without those that came and are being checked. */
static size_t missing_records(struct node *node, const struct cl_proposal *proposal, struct cl_view *missing, size_t max, bool to_ask)
{
    size_t count = 0;
    for (size_t i = 0; i < proposal->leaf_count && count < max; i++) {
        const struct cl_leaf_hash *leaf = &proposal->leaves[i];
        if (record_at_hand(node, leaf) == NULL && !(to_ask && node_gossip_is_coming(node, leaf))) missing[count++] = (struct cl_view){ leaf->bytes, 32 };
    }
    return count;
}

/* On its parent, in its order. CL_E_BLOCK_INVALID: it breaks a rule, or says what does not come of it. */
static enum cl_status apply_proposal(struct node *node, struct pending_block *entry, const struct cl_proposal *proposal, struct cl_candidate *parent)
{
    enum cl_status status = cl_candidate_new(&entry->candidate, node->ledger, parent, proposal->time_ms);
    for (size_t i = 0; i < proposal->leaf_count && status == CL_OK; i++) {
        struct cl_ledger_record *record = record_at_hand(node, &proposal->leaves[i]);
        assert(record != NULL);
        status = cl_candidate_add(entry->candidate, record, NULL);
    }
    if (status == CL_OK) status = cl_candidate_seal(entry->candidate, &entry->summary);
    const struct cl_candidate_summary *made = &entry->summary;
    bool equal = status == CL_OK && memcmp(made->id.bytes, entry->block.id.bytes, 32) == 0 && made->height == proposal->height &&
                 made->log_size == proposal->log_size && memcmp(made->log_root.bytes, proposal->log_root.bytes, 32) == 0 &&
                 memcmp(made->state_root.bytes, proposal->state_root.bytes, 32) == 0;
    if (equal) {
        entry->record_bytes = candidate_bytes(entry->candidate);
        node->admitted++; /* blocks on it may be evaluated now */
        return CL_OK;
    }
    cl_candidate_free(entry->candidate);
    entry->candidate = NULL;
    return status != CL_OK && status_is_fatal(status) ? status : CL_E_BLOCK_INVALID;
}

enum cl_status node_evaluate(struct node *node, struct pending_block *entry)
{
    struct cl_candidate *parent = NULL;
    struct cl_proposal proposal;
    struct cl_leaf_hash *leaves = NULL;
    struct cl_view lacking;
    uint64_t parent_time = 0;
    if (entry->candidate != NULL) return CL_OK;
    if (entry->proposal.length == 0 || !node_find_parent(node, &entry->block.parent, &parent, &parent_time)) return CL_E_PENDING;
    enum cl_status status = cl_proposal_decode(&proposal, &leaves, entry->proposal.data, entry->proposal.length);
    if (status != CL_OK) return status == CL_E_MEMORY ? status : CL_E_BLOCK_INVALID;
    if (proposal.time_ms <= parent_time) status = CL_E_BLOCK_INVALID;
    else if (missing_records(node, &proposal, &lacking, 1, false) > 0) status = CL_E_PENDING;
    else status = apply_proposal(node, entry, &proposal, parent);
    free(leaves);
    return status;
}

/* ---- what proposals say */
/* A block's id covers neither its view nor its parent's, but both are kept for good: the parent is at hand, of that view,
   or the certificate that comes first in the justification is for it. */
static bool parent_is_proven(struct node *node, const struct cl_proposal *proposal)
{
    struct cl_tip tip;
    struct cl_cbor_reader reader;
    const struct pending_block *parent = node_pending_find(node, &proposal->parent);
    cl_ledger_tip(node->ledger, &tip);
    if (proposal->parent_view >= proposal->view) return false;
    if (tip.view == proposal->parent_view && memcmp(tip.block.bytes, proposal->parent.bytes, 32) == 0) return true;
    if (parent != NULL && parent->candidate != NULL && parent->block.view == proposal->parent_view) return true;
    cl_cbor_reader_init(&reader, proposal->justification.data, proposal->justification.length);
    if (cl_cbor_array(&reader) == 0) return false;
    struct cl_view item = cl_cbor_skip(&reader);
    struct cl_certificate *certificate = reader.status == CL_OK ? malloc(sizeof *certificate) : NULL;
    bool good = certificate != NULL && cl_certificate_decode(certificate, item.data, item.length) == CL_OK && certificate->has_block &&
                certificate->view == proposal->parent_view && memcmp(certificate->block.bytes, proposal->parent.bytes, 32) == 0 &&
                consensus_certificate_good(node->consensus, certificate);
    free(certificate);
    return good;
}

/* For the block of this view. Whether it makes the block that it should is seen when it is evaluated. */
static bool proposal_fits(struct node *node, const struct cl_proposal *proposal, uint64_t view)
{
    return proposal->epoch == node->epoch && proposal->view == view && parent_is_proven(node, proposal);
}

static enum cl_status take_proposal(struct pending_block *entry, size_t giver, const struct cl_proposal *proposal, const struct cl_view *payload)
{
    entry->giver = giver;
    entry->block.parent = proposal->parent;
    entry->block.parent_view = proposal->parent_view;
    entry->given_ms = node_monotonic_ms();
    entry->proposal.length = 0;
    return cl_buffer_append(&entry->proposal, payload->data, payload->length);
}

/* Whoever gave it may have lied about what nobody has. From now on only answers are believed, each time the next member's,
   and no leader, who could go on. */
static void doubt(struct pending_block *entry)
{
    if (entry->proposal.length > 0) entry->next_peer = entry->giver + 1;
    entry->doubted = true;
    entry->proposal.length = 0;
    entry->since_ms = 0;
}

/* ---- what ordering asked for */
static void say_block(struct node *node, struct pending_block *entry)
{
    entry->wanted = false;
    node_push_event(node, &(struct consensus_event){ .kind = CONSENSUS_BLOCK, .now_ms = node_monotonic_ms(), .block = entry->block });
}

static void say_verdict(struct node *node, struct pending_block *entry, enum consensus_verdict verdict)
{
    entry->judged = verdict == CONSENSUS_PENDING;
    node_push_event(node, &(struct consensus_event){ .kind = CONSENSUS_VERDICT, .now_ms = node_monotonic_ms(), .block = entry->block, .verdict = verdict });
}

static enum consensus_verdict verdict_of(const struct pending_block *entry)
{
    uint64_t now = node_now_ms();
    if (entry->summary.time_ms > now + AHEAD_MS_MAX) return CONSENSUS_PENDING;
    return entry->summary.time_ms + BEHIND_MS_MAX < now ? CONSENSUS_INVALID : CONSENSUS_VALID;
}

/* Tells ordering what it asked about this block, as far as it can be told. */
static enum cl_status settle(struct node *node, struct pending_block *entry)
{
    enum cl_status status = node_evaluate(node, entry);
    if (status == CL_OK) {
        entry->asking = SIZE_MAX;
        if (entry->wanted) say_block(node, entry);
        if (entry->judged) say_verdict(node, entry, verdict_of(entry));
        return CL_OK;
    }
    if (status == CL_E_PENDING) return CL_OK;
    if (status != CL_E_BLOCK_INVALID) return node_fail(node, status, "A proposed block could not be evaluated: %s", cl_status_sentence(status));
    if (entry->judged) say_verdict(node, entry, CONSENSUS_INVALID);
    if (entry->wanted) { /* whoever gave it lied about what it is: somebody else has the one that was certified */
        log_line(LOG_LEVEL_WARNING, "block_does_not_hold", "view=%llu", (unsigned long long)entry->block.view);
        doubt(entry);
        entry->asking = SIZE_MAX;
    }
    return CL_OK;
}

static bool is_small(const struct pending_block *entry)
{
    struct cl_proposal proposal;
    struct cl_leaf_hash *leaves = NULL;
    bool small = cl_proposal_decode(&proposal, &leaves, entry->proposal.data, entry->proposal.length) == CL_OK && proposal.leaf_count <= 1;
    free(leaves);
    return small;
}

enum cl_status node_validate(struct node *node, const struct consensus_effect *effect)
{
    struct pending_block *entry = node_pending_find(node, &effect->block.id);
    struct consensus_event answer = { .kind = CONSENSUS_VERDICT, .now_ms = node_monotonic_ms(), .block = effect->block, .verdict = CONSENSUS_PENDING };
    bool may = entry != NULL && entry->proposal.length > 0 && (entry->candidate != NULL || !is_full(node) || is_small(entry));
    if (may) {
        entry->judged = true;
        enum cl_status status = settle(node, entry);
        if (status != CL_OK || !entry->judged || entry->candidate != NULL) return status;
        if (entry->since_ms == 0) entry->since_ms = node_monotonic_ms();
    }
    node_push_event(node, &answer); /* and again, by itself, once what is missing has come */
    return CL_OK;
}

enum cl_status node_want(struct node *node, const struct order_block *block)
{
    struct pending_block *entry = node_pending_find(node, &block->id);
    if (entry == NULL) entry = node_pending_add(node, block);
    if (entry == NULL) return CL_OK; /* asked again with the next resend */
    if (entry->candidate == NULL && entry->block.view != block->view) { /* a leader sent it as another view's */
        entry->block.view = block->view;
        doubt(entry);
    }
    entry->wanted = true;
    return settle(node, entry);
}

/* ---- asking others */
static struct pending_block *find_asking(struct node *node, size_t peer)
{
    for (size_t i = 0; i < node->pending_count; i++)
        if (node->pending[i].asking == peer) return &node->pending[i];
    return NULL;
}

/* A block that was asked for by its id. Returns: whether it was taken. */
static bool take_answer(struct node *node, struct pending_block *entry, size_t peer, const struct cl_view *payload)
{
    struct cl_proposal proposal;
    struct cl_leaf_hash *leaves = NULL;
    if (cl_proposal_decode(&proposal, &leaves, payload->data, payload->length) != CL_OK) return false;
    bool taken = proposal_fits(node, &proposal, entry->block.view) && take_proposal(entry, peer, &proposal, payload) == CL_OK;
    free(leaves);
    return taken;
}

static void on_asked(struct node *node, void *context, size_t peer, enum transport_outcome outcome, const struct frame *frame)
{
    struct pending_block *entry = find_asking(node, peer);
    (void)context;
    (void)outcome;
    if (entry != NULL) entry->asking = SIZE_MAX;
    if (frame == NULL) return;
    if (frame->kind == FRAME_STATUS) { /* it has not what was asked for any more, or not yet */
        node_on_status(node, peer, frame);
        if (entry != NULL && entry->wanted) node_sync_hint(node, peer, entry->block.view);
    }
    if (frame->kind == FRAME_RECORDS) node_offer_proposal_records(node, frame, peer);
    if (frame->kind != FRAME_PROPOSAL || entry == NULL || entry->proposal.length > 0) return;
    if (!take_answer(node, entry, peer, &frame->payload)) return;
    (void)settle(node, entry); /* a failure has stopped the node */
    node_run_events(node);
}

/* The next member that has no other question open. Once all were asked there is a pause: what nobody has may still come. */
static void ask_for(struct node *node, struct pending_block *entry, const struct cl_view *hashes, size_t count, uint64_t now_ms)
{
    struct cl_buffer payload = { 0 };
    bool listed = node_list_encode(&payload, FRAME_FETCH, hashes, count) > 0;
    for (size_t tries = 0; listed && tries < node->peer_count && entry->asking == SIZE_MAX && entry->ask_from_ms <= now_ms; tries++) {
        size_t peer = entry->next_peer % node->peer_count;
        entry->next_peer = peer + 1;
        if (++entry->asked % node->peer_count == 0) entry->ask_from_ms = now_ms + LAP_MS;
        if (peer != node->own && node_ask(node, peer, FRAME_FETCH, &payload, QUESTION_MS, on_asked, NULL) == CL_OK) entry->asking = peer;
    }
    cl_buffer_deinit(&payload);
}

static void ask_for_records(struct node *node, struct pending_block *entry, uint64_t now_ms)
{
    struct cl_proposal proposal;
    struct cl_leaf_hash *leaves = NULL;
    struct cl_view *missing = calloc(FRAME_FETCHED_MAX, sizeof *missing);
    if (missing != NULL && cl_proposal_decode(&proposal, &leaves, entry->proposal.data, entry->proposal.length) == CL_OK) {
        size_t count = missing_records(node, &proposal, missing, FRAME_FETCHED_MAX, true);
        if (count > 0) ask_for(node, entry, missing, count, now_ms);
    }
    free(missing);
    free(leaves);
}

/* Asks for what a block that ordering wants or judges still lacks. Returns: ms until it has to be seen to again. */
static uint64_t pursue(struct node *node, size_t at, uint64_t now_ms)
{
    struct pending_block *entry = &node->pending[at];
    struct cl_candidate *parent;
    uint64_t parent_time;
    if (entry->wanted && entry->proposal.length > 0 && now_ms - entry->given_ms >= DOUBT_MS) doubt(entry);
    if (entry->proposal.length == 0) {
        struct cl_view id = { entry->block.id.bytes, 32 };
        if (entry->wanted) ask_for(node, entry, &id, 1, now_ms);
        return LAP_MS;
    }
    if (!node_find_parent(node, &entry->block.parent, &parent, &parent_time)) {
        struct order_block below = { .id = entry->block.parent, .view = entry->block.parent_view };
        if (node_pending_find(node, &below.id) == NULL && entry->wanted && entry->block.parent_view > node->final_view) (void)node_want(node, &below);
        return LAP_MS;
    }
    if (entry->since_ms == 0) entry->since_ms = now_ms;
    if (now_ms - entry->since_ms < GRACE_MS) return GRACE_MS - (now_ms - entry->since_ms);
    if (node->proposal_batches == 0) ask_for_records(node, entry, now_ms);
    return LAP_MS;
}

uint64_t node_blocks_round(struct node *node, uint64_t now_ms)
{
    uint64_t wait = UINT64_MAX;
    bool came = node->evaluated_after != node->admitted;
    node->evaluated_after = node->admitted;
    for (size_t i = 0; i < node->pending_count; i++) {
        if (node->pending[i].candidate != NULL || (!node->pending[i].judged && !node->pending[i].wanted)) continue;
        if (came && settle(node, &node->pending[i]) != CL_OK) return wait;
        if (node->pending[i].candidate != NULL || (!node->pending[i].judged && !node->pending[i].wanted) || node->pending[i].asking != SIZE_MAX) continue;
        uint64_t due = pursue(node, i, now_ms);
        if (due < wait) wait = due;
    }
    node_run_events(node);
    return wait;
}

/* Records that were asked for, checked by the workers. They stand outside the pool's bounds: a block needs them. */
void node_take_proposal_records(struct node *node, struct verify_batch *batch)
{
    node->proposal_batches--;
    node->admitted++;
    for (size_t i = 0; i < batch->count; i++) {
        struct pool_entry *entry;
        struct verify_item *item = &batch->items[i];
        if (item->status != CL_OK) {
            node_count_bad(node, batch->source, item);
            continue;
        }
        enum cl_status status = pool_add(node->pinned, &entry, item->record, 0);
        if (status == CL_E_BOUND) { /* blocks hold what they need themselves */
            while ((entry = pool_next(node->pinned, NULL)) != NULL) pool_remove(node->pinned, entry);
            status = pool_add(node->pinned, &entry, item->record, 0);
        }
        if (status == CL_OK) entry->since_ms = node_monotonic_ms();
        if (status == CL_E_MEMORY) log_line(LOG_LEVEL_WARNING, "record_left_out", "reason=memory");
    }
}

/* ---- others ask */
void node_on_fetch_question(struct node *node, size_t peer, const struct frame *frame, struct transport_question *question)
{
    struct cl_buffer payload = { 0 };
    struct cl_view records[FRAME_FETCHED_MAX];
    struct frame_items items;
    struct cl_view item;
    struct cl_block_id id;
    size_t count = 0;
    enum cl_status status = CL_E_NOT_FOUND;
    (void)peer;
    frame_items_init(&items, frame);
    while (frame_items_next(&items, &item)) {
        struct cl_leaf_hash leaf;
        memcpy(leaf.bytes, item.data, 32);
        memcpy(id.bytes, item.data, 32);
        const struct cl_ledger_record *record = record_at_hand(node, &leaf);
        if (record != NULL) records[count++] = record->record.bytes;
    }
    const struct pending_block *block = count == 0 ? node_pending_find(node, &id) : NULL;
    if (block != NULL && block->proposal.length > 0) {
        status = transport_answer(question, FRAME_PROPOSAL, block->proposal.data, block->proposal.length);
    } else if (count > 0) {
        if (node_list_encode(&payload, FRAME_RECORDS, records, count) > 0) status = transport_answer(question, FRAME_RECORDS, payload.data, payload.length);
    } else {
        struct frame_status where = { .height = atomic_load(&node->counters.height), .view = node->current_view, .final_view = node->final_view };
        status = frame_status_encode(&payload, &where);
        if (status == CL_OK) status = transport_answer(question, FRAME_STATUS, payload.data, payload.length);
    }
    if (status != CL_OK) transport_decline(question);
    cl_buffer_deinit(&payload);
}

/* ---- another leader's proposal */
/* The id is what the leader signed: whether the proposal makes that block is seen when it is evaluated. One for a view:
   another one is not needed to know that its leader lies, because both votes are evidence. */
struct pending_block *node_hold_proposal(struct node *node, const struct cl_vote *vote, const struct cl_proposal *proposal, const struct cl_view *payload)
{
    struct pending_block *entry = node_pending_find(node, &vote->block);
    if (entry != NULL && entry->proposal.length > 0) return entry;
    if (entry != NULL && (entry->doubted || entry->block.view != vote->view)) return NULL;
    if (!proposal_fits(node, proposal, vote->view)) return NULL;
    for (size_t i = 0; i < node->pending_count && entry == NULL; i++)
        if (node->pending[i].block.view == vote->view && node->pending[i].proposal.length > 0) return NULL;
    struct order_block block = { .id = vote->block, .view = vote->view };
    if (entry == NULL) entry = node_pending_add(node, &block);
    return entry != NULL && take_proposal(entry, vote->voter, proposal, payload) == CL_OK ? entry : NULL;
}

/* ---- finality */
enum cl_status node_commit_pending(struct node *node, const struct consensus_effect *effect)
{
    struct pending_block *pending = node_pending_find(node, &effect->block.id);
    struct cl_tip tip;
    cl_ledger_tip(node->ledger, &tip);
    if (node_sync_committed(node, &effect->block.id)) return CL_OK; /* caught up by height in the meantime */
    if (node->sync != NULL && (pending == NULL || pending->candidate == NULL || memcmp(pending->block.parent.bytes, tip.block.bytes, 32) != 0)) {
        node_sync_lacks(node, effect->block.view); /* it is final, but what it stands on is not here: by height */
        return CL_OK;
    }
    assert(pending != NULL && pending->candidate != NULL);
    if (effect->certificate != NULL) pending->block.view = effect->certificate->view; /* two leaders may have proposed the same block */
    node_admit_waiting(node); /* for the block that is prepared meanwhile */
    node_pending_deinit(&node->prepared);
    node->committing = pending;
    enum cl_status status = node_commit(node, pending, effect->certificate);
    node->committing = NULL;
    if (status != CL_OK) return status;
    if (node->prepared.candidate != NULL) cl_candidate_drop_parent(node->prepared.candidate);
    for (size_t i = 0; node->pinned != NULL && i < cl_candidate_count(pending->candidate); i++) {
        struct pool_entry *entry = pool_find_leaf(node->pinned, &cl_candidate_record(pending->candidate, i)->record.leaf_hash);
        if (entry != NULL) pool_remove(node->pinned, entry);
    }
    pending_remove(node, (size_t)(pending - node->pending));
    node_pending_settle(node);
    return CL_OK;
}

/* The block below was committed from another candidate than this one's parent (catching up by height): the same records
   on what is there now give the same block. CL_E_PENDING: what is below it is not there. */
static enum cl_status evaluate_again(struct node *node, struct pending_block *entry)
{
    struct cl_candidate *parent = NULL, *made = NULL;
    struct cl_candidate_summary summary;
    uint64_t parent_time = 0;
    if (!node_find_parent(node, &entry->block.parent, &parent, &parent_time)) return CL_E_PENDING;
    enum cl_status status = cl_candidate_new(&made, node->ledger, parent, entry->summary.time_ms);
    for (size_t i = 0; i < cl_candidate_count(entry->candidate) && status == CL_OK; i++) status = cl_candidate_add(made, cl_candidate_record(entry->candidate, i), NULL);
    if (status == CL_OK) status = cl_candidate_seal(made, &summary);
    if (status == CL_OK && memcmp(summary.id.bytes, entry->block.id.bytes, 32) != 0) status = CL_E_BLOCK_INVALID;
    if (status == CL_OK) {
        struct cl_candidate *before = entry->candidate;
        entry->candidate = made;
        made = before;
    }
    cl_candidate_free(made);
    return status;
}

/* A block of a view that is to come is kept although it does not stand: what was voted for has to be at hand. */
void node_pending_settle(struct node *node)
{
    struct cl_tip tip;
    cl_ledger_tip(node->ledger, &tip);
    node->final_view = tip.view;
    node->admitted++;
    for (size_t i = node->pending_count; i-- > 0;) {
        const struct pending_block *pending = &node->pending[i];
        bool stands = pending->candidate != NULL && cl_candidate_stands(pending->candidate);
        if (!stands && pending->block.view <= tip.view) pending_remove(node, i);
        else if (stands && memcmp(pending->block.parent.bytes, tip.block.bytes, 32) == 0) cl_candidate_drop_parent(pending->candidate);
    }
    for (bool again = true; again;) { /* a block that was asked for by its id may come before its parent */
        again = false;
        for (size_t i = 0; i < node->pending_count; i++) {
            struct pending_block *pending = &node->pending[i];
            if (pending->candidate == NULL || cl_candidate_stands(pending->candidate)) continue;
            enum cl_status status = evaluate_again(node, pending);
            if (status != CL_OK && status_is_fatal(status)) node_fail(node, status, "A proposed block could not be evaluated: %s", cl_status_sentence(status));
            again = again || status == CL_OK;
        }
    }
}

bool node_order_adopt(struct node *node, const struct cl_block_id *id, struct cl_candidate **candidate, struct cl_candidate_summary *summary)
{
    struct pending_block *pending = node_pending_find(node, id);
    struct cl_tip tip;
    cl_ledger_tip(node->ledger, &tip);
    if (pending == NULL || pending->candidate == NULL || memcmp(pending->block.parent.bytes, tip.block.bytes, 32) != 0) return false;
    *candidate = pending->candidate;
    *summary = pending->summary;
    pending->candidate = NULL;
    return true;
}
