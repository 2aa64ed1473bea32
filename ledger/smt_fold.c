/* Folding: a block's changes become the tree's. Its result is written into the tree, node over node, so that nothing is hashed
   twice, and the results of the overlays above it are pointed to the tree. Pure. */
#include "smt_result.h"

#include <assert.h>
#include <stdlib.h>

static uint32_t placed_of(struct view_reference at)
{
    return at.node != NULL ? at.node->placed : at.base;
}

static enum cl_status place_node(struct cl_smt *tree, struct result_node *node)
{
    assert(node->old.node == NULL); /* all ancestors are folded */
    if (node->bucket_count > 0) {
        struct cl_smt_slot thin;
        const struct cl_smt_slot *slot = node->is.slot;
        struct smt_bucket *bucket;
        if (node->is_thin) {
            enum cl_status status = smt_thin_slot(&thin, tree, node);
            if (status != CL_OK) return status;
            slot = &thin;
        }
        node->placed = smt_is_bucket(node->old.base) ? node->old.base : smt_bucket_take(tree);
        bucket = smt_bucket_at(tree, node->placed);
        bucket->hash = node->hash;
        smt_bucket_mark(bucket, slot->leaves, node->bucket_count);
        return tree->buckets.save(tree->buckets.context, node->placed & ~SMT_BUCKET, slot, node->bucket_count);
    }
    struct smt_inner *inner;
    if (smt_is_bucket(node->old.base)) smt_bucket_give(tree, node->old.base);
    node->placed = smt_is_inner(node->old.base) ? node->old.base : smt_inner_take(tree);
    inner = smt_inner_at(tree, node->placed);
    inner->hash = node->hash;
    inner->left = placed_of(node->is.inner.left);
    inner->right = placed_of(node->is.inner.right);
    return CL_OK;
}

/* What is to be written over is asked for some nodes ahead, as smt_overlay.c does. */
static enum cl_status place_nodes(struct cl_smt *tree, struct result_node *first)
{
    const struct result_node *ahead = first;
    enum cl_status status = CL_OK;
    for (unsigned i = 0; i < 2 * SMT_WARM_COUNT && ahead != NULL; i++) ahead = ahead->next;
    for (struct result_node *node = first; node != NULL && status == CL_OK; node = node->next) {
        if (ahead != NULL) {
            smt_fetch_ahead(tree, ahead->old.base);
            smt_fetch_slot_ahead(tree, ahead->old.base);
            ahead = ahead->next;
        }
        status = place_node(tree, node);
    }
    return status;
}

static void point_to_tree(struct view_reference *at, const struct cl_smt_overlay *folded)
{
    if (at->node == NULL || at->node->owner != folded) return;
    *at = (struct view_reference){ .base = at->node->placed };
}

/* The results that stand on the folded one keep their hashes; what they share with it is the tree's now. */
static void results_point_to_tree(struct cl_smt_overlay *folded)
{
    for (struct cl_smt_overlay *at = folded; at != NULL; at = smt_next_above(folded, at)) {
        if (at == folded) continue;
        point_to_tree(&at->root, folded);
        for (struct result_node *node = at->nodes; node != NULL; node = node->next) {
            point_to_tree(&node->old, folded);
            if (node->bucket_count > 0) continue;
            point_to_tree(&node->is.inner.left, folded);
            point_to_tree(&node->is.inner.right, folded);
        }
    }
}

/* Children become overlays on the tree; all others on it lose their results, because the tree under them changes. */
static void adopt_children(struct cl_smt_overlay *folded)
{
    struct cl_smt *tree = folded->tree;
    struct cl_smt_overlay *child;
    smt_list_remove(folded);
    for (struct cl_smt_overlay *other = tree->overlays; other != NULL; other = other->sibling) smt_result_drop_all(other);
    while ((child = folded->children) != NULL) {
        folded->children = child->sibling;
        child->parent = NULL;
        child->sibling = tree->overlays;
        tree->overlays = child;
    }
}

enum cl_status cl_smt_overlay_fold(struct cl_smt_overlay *overlay)
{
    struct cl_smt *tree = overlay->tree;
    struct cl_smt_leaf *before;
    size_t before_count;
    enum cl_status status = tree->failure;
    assert(!overlay->folded && overlay->parent == NULL);
    if (status == CL_OK) status = smt_result_ensure(overlay);
    if (status != CL_OK) return status;
    status = smt_reserve(tree, overlay->inner_count, overlay->bucket_count);
    if (status != CL_OK) return status;
    status = place_nodes(tree, overlay->nodes);
    if (status != CL_OK) { /* half of it is in the tree: nothing may be read from it any more */
        tree->failure = status;
        return status;
    }
    tree->root = placed_of(overlay->root);
    tree->count += overlay->added;
    results_point_to_tree(overlay);
    adopt_children(overlay);
    overlay->folded = true;
    before = overlay->before;
    before_count = overlay->before_count;
    overlay->before = NULL;
    smt_result_drop(overlay);
    overlay->before = before; /* it outlives the result: cl_smt_overlay_before_take */
    overlay->before_count = before_count;
    free(overlay->changes);
    overlay->changes = NULL;
    return CL_OK;
}
