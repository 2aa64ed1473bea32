/* Blocks that are proposed and not final: held, evaluated once their parent and all their records are at hand, committed.
   node_build.c makes this node's own, node_fetch.c asks for what others' lack. */
#include "node_private.h"

#include "crypto.h"
#include "logging.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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

static bool is_parent(const struct node *node, const struct cl_block_id *id)
{
    for (size_t i = 0; i < node->pending_count; i++)
        if (memcmp(node->pending[i].block.parent.bytes, id->bytes, 32) == 0) return true;
    return false;
}

/* Where views are nullified one after the other, blocks that were evaluated stay behind in them: the oldest that nothing can
   need any more makes way. */
static void forget_one(struct node *node)
{
    for (size_t i = 0; i < node->pending_count && node->consensus != NULL; i++) {
        const struct pending_block *pending = &node->pending[i];
        if (pending->candidate == NULL || is_parent(node, &pending->block.id) || !consensus_forget(node->consensus, &pending->block)) continue;
        pending_remove(node, i);
        return;
    }
}

bool node_pending_room(struct node *node)
{
    if (node->pending_count == NODE_PENDING_MAX) forget_one(node);
    return node->pending_count < NODE_PENDING_MAX;
}

/* What waits for something makes way as well: what nobody asked about first, and the oldest view's. NULL: all are evaluated,
   and needed. */
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
    if (unevaluated >= UNEVALUATED_MAX) pending_remove(node, least);
    else if (!node_pending_room(node) && least != SIZE_MAX) pending_remove(node, least);
    if (node->pending_count == NODE_PENDING_MAX) return NULL;
    struct pending_block *made = &node->pending[node->pending_count++];
    *made = (struct pending_block){ .block = *block, .asking = SIZE_MAX, .next_peer = consensus_leader(&node->genesis.core.network, node->epoch, block->view, node->genesis.core.value.member_count) };
    return made;
}

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

bool node_blocks_full(const struct node *node) { return bytes_not_final(node) > NOT_FINAL_BYTES_MAX; }

size_t node_candidate_bytes(const struct cl_candidate *candidate)
{
    size_t bytes = 0;
    for (size_t i = 0; i < cl_candidate_count(candidate); i++) bytes += cl_candidate_record(candidate, i)->record.bytes.length;
    return bytes;
}

/* ---- evaluating */
struct cl_ledger_record *node_record_at_hand(struct node *node, const struct cl_leaf_hash *leaf)
{
    struct pool_entry *entry = pool_find_leaf(node->pool, leaf);
    if (entry == NULL) entry = pool_find_leaf(node->pinned, leaf);
    return entry != NULL ? entry->record : NULL;
}

size_t node_missing_records(struct node *node, const struct cl_proposal *proposal, struct cl_view *missing, size_t max, bool to_ask)
{
    size_t count = 0;
    for (size_t i = 0; i < proposal->leaf_count && count < max; i++) {
        const struct cl_leaf_hash *leaf = &proposal->leaves[i];
        if (node_record_at_hand(node, leaf) == NULL && !(to_ask && node_gossip_is_coming(node, leaf))) missing[count++] = (struct cl_view){ leaf->bytes, 32 };
    }
    return count;
}

/* On its parent, in its order. CL_E_BLOCK_INVALID: it breaks a rule, or says what does not come of it. */
static enum cl_status apply_proposal(struct node *node, struct pending_block *entry, const struct cl_proposal *proposal, struct cl_candidate *parent)
{
    enum cl_status status = cl_candidate_new(&entry->candidate, node->ledger, parent, proposal->time_ms);
    for (size_t i = 0; i < proposal->leaf_count && status == CL_OK; i++) {
        struct cl_ledger_record *record = node_record_at_hand(node, &proposal->leaves[i]);
        assert(record != NULL);
        status = cl_candidate_add(entry->candidate, record, NULL);
    }
    if (status == CL_OK) status = cl_candidate_seal(entry->candidate, &entry->summary);
    const struct cl_candidate_summary *made = &entry->summary;
    bool equal = status == CL_OK && memcmp(made->id.bytes, entry->block.id.bytes, 32) == 0 && made->height == proposal->height &&
                 made->log_size == proposal->log_size && memcmp(made->log_root.bytes, proposal->log_root.bytes, 32) == 0 &&
                 memcmp(made->state_root.bytes, proposal->state_root.bytes, 32) == 0;
    if (equal) {
        entry->record_bytes = node_candidate_bytes(entry->candidate);
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
    else if (node_missing_records(node, &proposal, &lacking, 1, false) > 0) status = CL_E_PENDING;
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

void node_doubt(struct pending_block *entry)
{
    if (entry->proposal.length > 0) entry->next_peer = entry->giver + 1;
    entry->doubted = true;
    entry->proposal.length = 0;
    entry->since_ms = 0;
}

bool node_take_answer(struct node *node, struct pending_block *entry, size_t peer, const struct cl_view *payload)
{
    struct cl_proposal proposal;
    struct cl_leaf_hash *leaves = NULL;
    if (cl_proposal_decode(&proposal, &leaves, payload->data, payload->length) != CL_OK) return false;
    bool taken = proposal_fits(node, &proposal, entry->block.view) && take_proposal(entry, peer, &proposal, payload) == CL_OK;
    free(leaves);
    return taken;
}

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
    if (entry == NULL || take_proposal(entry, vote->voter, proposal, payload) != CL_OK) return NULL;
    node->admitted++; /* perhaps it was certified before it came, and is waited for */
    return entry;
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

enum cl_status node_settle_block(struct node *node, struct pending_block *entry)
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
        node_doubt(entry);
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
    bool may = entry != NULL && entry->proposal.length > 0 && (entry->candidate != NULL || !node_blocks_full(node) || is_small(entry));
    if (may) {
        entry->judged = true;
        enum cl_status status = node_settle_block(node, entry);
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
        node_doubt(entry);
    }
    entry->wanted = true;
    return node_settle_block(node, entry);
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
