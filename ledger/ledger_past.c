/* The last final trees, for proofs at a checkpoint that the tip has left behind: with several members it has its quorum of
   cosignatures some blocks after its tree was final. Of each block since there is a snapshot of the store as it was before,
   which answers for values, records and histories, and what each leaf that it changed was before, which makes the tree.
   In memory only, and bounded: what is too old is forgotten, and proofs wait for a newer checkpoint. A consortium of one
   signs each tree before anything else happens, so it keeps nothing. */
#include "ledger_internal.h"

#include <assert.h>
#include <stdlib.h>

static void forget_tree(struct cl_past *past)
{
    cl_smt_past_free(past->tree);
    past->tree = NULL;
}

static void forget_oldest(struct cl_ledger *ledger, size_t count)
{
    struct cl_past *past = &ledger->past;
    assert(count <= past->count);
    for (size_t i = 0; i < count; i++) {
        struct cl_past_block *block = &past->blocks[i];
        ledger->store->snapshot_free(ledger->store->context, block->snapshot);
        free(block->before);
        past->bytes -= block->before_count * sizeof *block->before;
    }
    past->count -= count;
    memmove(past->blocks, past->blocks + count, past->count * sizeof past->blocks[0]);
}

void cl_past_deinit(struct cl_ledger *ledger)
{
    forget_tree(&ledger->past);
    forget_oldest(ledger, ledger->past.count);
}

void cl_past_start(struct cl_ledger *ledger)
{
    if (ledger->genesis.value.member_count < 2)
        return;
    ledger->past.started = true;
    cl_smt_remember(ledger->tree);
}

void cl_past_checkpoint(struct cl_ledger *ledger, uint64_t size)
{
    struct cl_past *past = &ledger->past;
    size_t below = 0;
    cl_past_start(ledger);
    while (below < past->count && past->blocks[below].tip.log_size < size)
        below++;
    forget_oldest(ledger, below);
    if (past->tree_size != size)
        forget_tree(past);
}

enum cl_status cl_past_snapshot(struct cl_store_snapshot **out, const struct cl_ledger *ledger)
{
    *out = NULL;
    if (!ledger->past.started)
        return CL_OK;
    *out = ledger->store->snapshot_new(ledger->store->context);
    return *out != NULL ? CL_OK : CL_E_MEMORY;
}

void cl_past_add(struct cl_ledger *ledger, struct cl_store_snapshot *snapshot, struct cl_smt_overlay *overlay)
{
    struct cl_past *past = &ledger->past;
    struct cl_past_block block = {.tip = ledger->tip, .snapshot = snapshot};
    if (snapshot == NULL)
        return;
    forget_tree(past); /* it hangs on the tree as that was */
    block.before = cl_smt_overlay_before_take(overlay, &block.before_count);
    assert(block.before != NULL);
    size_t bytes = block.before_count * sizeof *block.before;
    while (past->count > 0 && (past->count == CL_PAST_BLOCKS_MAX || past->bytes + bytes > CL_PAST_BYTES_MAX))
        forget_oldest(ledger, 1);
    past->blocks[past->count++] = block;
    past->bytes += bytes;
    if (past->bytes > CL_PAST_BYTES_MAX) /* this block alone */
        forget_oldest(ledger, 1);
}

/* All that was before, from the newest block to that one: of several to one leaf the oldest counts, which comes last. */
static enum cl_status make_tree(struct cl_ledger *ledger, size_t oldest)
{
    struct cl_past *past = &ledger->past;
    size_t total = 0, used = 0;
    for (size_t i = oldest; i < past->count; i++)
        total += past->blocks[i].before_count;
    struct cl_smt_leaf *before = malloc((total + 1) * sizeof *before);
    if (before == NULL)
        return CL_E_MEMORY;
    for (size_t i = past->count; i-- > oldest;) {
        memcpy(before + used, past->blocks[i].before, past->blocks[i].before_count * sizeof *before);
        used += past->blocks[i].before_count;
    }
    return cl_smt_past_take(&past->tree, ledger->tree, before, total);
}

enum cl_status cl_past_view(struct cl_ledger_view **view, const struct cl_smt_past **tree, struct cl_ledger *ledger, uint64_t size)
{
    struct cl_past *past = &ledger->past;
    size_t at = 0;
    while (at < past->count && past->blocks[at].tip.log_size != size)
        at++;
    if (at == past->count)
        return CL_E_PENDING;
    enum cl_status status = CL_OK;
    if (past->tree != NULL && past->tree_size != size)
        forget_tree(past);
    if (past->tree == NULL)
        status = make_tree(ledger, at);
    past->tree_size = size;
    *tree = past->tree;
    return status == CL_OK ? cl_view_new_at(view, ledger, &past->blocks[at].tip, past->blocks[at].snapshot) : status;
}
