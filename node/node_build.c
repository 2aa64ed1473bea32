/* Blocks that this node proposes: what they take from the pool, and the next one in advance. */
#include "node_private.h"

#include <stdlib.h>
#include <string.h>

#define PREPARED_MS_MAX 1000u      /* a block that was made in advance is no older than this when it is proposed */

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
    if (records_max > 1 && node_blocks_full(node)) records_max = 1;
    if (!node_pending_room(node) || (!effect->empty && (seen || records_max == 0)) ||
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
        made.record_bytes = node_candidate_bytes(made.candidate);
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
