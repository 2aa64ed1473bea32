/* What blocks that are not final lack is asked for: a proposal by its block's id, records by their leaf hashes, of one
   member after the other. And the same for others who ask. */
#include "node_private.h"

#include "logging.h"

#include <stdlib.h>
#include <string.h>

#define GRACE_MS 10u               /* a record that gossip may be bringing is not asked for before */
#define QUESTION_MS 2000u          /* then another member is asked */
#define LAP_MS 200u                /* after all were asked, and after each look at what is missing */
#define DOUBT_MS 2000u             /* what a certified block lacks has not come: another member is asked what the block is */

/* ---- asking others */
static struct pending_block *find_asking(struct node *node, size_t peer)
{
    for (size_t i = 0; i < node->pending_count; i++)
        if (node->pending[i].asking == peer) return &node->pending[i];
    return NULL;
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
    if (!node_take_answer(node, entry, peer, &frame->payload)) return;
    (void)node_settle_block(node, entry); /* a failure has stopped the node */
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
        size_t count = node_missing_records(node, &proposal, missing, FRAME_FETCHED_MAX, true);
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
    if (entry->wanted && entry->proposal.length > 0 && now_ms - entry->given_ms >= DOUBT_MS) node_doubt(entry);
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

uint64_t node_fetch_round(struct node *node, uint64_t now_ms)
{
    uint64_t wait = UINT64_MAX;
    bool came = node->evaluated_after != node->admitted;
    node->evaluated_after = node->admitted;
    for (size_t i = 0; i < node->pending_count; i++) {
        if (node->pending[i].candidate != NULL || (!node->pending[i].judged && !node->pending[i].wanted)) continue;
        if (came && node_settle_block(node, &node->pending[i]) != CL_OK) return wait;
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
        const struct cl_ledger_record *record = node_record_at_hand(node, &leaf);
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
