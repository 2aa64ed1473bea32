/* The tree as it was before its newest changes, so that what a checkpoint signs can be proven while the tree has gone on.
   Leaves are changed and added, never removed: every place where the past had something still has something, and an inner
   node never becomes a bucket again. So the past needs nodes of its own only above what changed; each holds the hash that
   was there. Pure. */
#include "smt_tree.h"

#include <assert.h>
#include <stdlib.h>

struct smt_place smt_place_root(const struct cl_smt_past *past)
{
    return (struct smt_place){ past->tree->root, past->root };
}

static const struct smt_past_node *own_node(const struct cl_smt_past *past, struct smt_place at)
{
    return at.own == 0 ? NULL : &past->nodes[at.own - 1];
}

struct smt_place smt_place_child(const struct cl_smt_past *past, struct smt_place inner, bool right)
{
    const struct smt_inner *base = smt_inner_at(past->tree, inner.base);
    const struct smt_past_node *own = own_node(past, inner);
    struct smt_place child = { right ? base->right : base->left, 0 };
    if (own != NULL) child.own = right ? own->right : own->left;
    return child;
}

/* 0, 1, or 2 for more. */
static uint8_t place_size(const struct cl_smt_past *past, struct smt_place at)
{
    const struct smt_past_node *own = own_node(past, at);
    if (own != NULL) return own->leaves;
    if (at.base == SMT_EMPTY) return 0;
    return smt_is_bucket(at.base) && smt_bucket_at(past->tree, at.base)->count == 1 ? 1 : 2;
}

bool smt_place_is_empty(const struct cl_smt_past *past, struct smt_place at)
{
    return place_size(past, at) == 0;
}

const struct cl_hash *smt_place_hash(const struct cl_smt_past *past, struct smt_place at)
{
    const struct smt_past_node *own = own_node(past, at);
    return own != NULL ? &own->hash : smt_hash_of(past->tree, at.base);
}

/* A bucket's leaves with the changes taken back; each of these is to one of the leaves. */
static unsigned take_back(struct cl_smt_leaf *leaves, unsigned count, const struct cl_smt_leaf *const *changes, size_t change_count)
{
    unsigned kept = 0;
    size_t at = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct cl_smt_leaf *before = &leaves[i];
        if (at < change_count && memcmp(changes[at]->key_hash, leaves[i].key_hash, 32) == 0) before = changes[at++];
        if (memcmp(before->leaf_hash, &smt_empty_hash, sizeof before->leaf_hash) != 0) leaves[kept++] = *before;
    }
    assert(at == change_count);
    return kept;
}

enum cl_status smt_place_leaves(struct cl_smt_leaf leaves[CL_SMT_BUCKET_MAX], unsigned *count, const struct cl_smt_past *past, struct smt_place at)
{
    const struct smt_past_node *own = own_node(past, at);
    enum cl_status status;
    *count = 0;
    if (at.base == SMT_EMPTY) return CL_OK;
    status = smt_bucket_load(leaves, count, past->tree, at.base);
    if (status == CL_OK && own != NULL) *count = take_back(leaves, *count, past->sorted + own->left, own->right);
    return status;
}

/* ---- making it */

static enum cl_status node_add(uint32_t *own, struct cl_smt_past *past, const struct smt_past_node *node)
{
    if (past->node_count == past->node_capacity) {
        uint32_t capacity = past->node_capacity == 0 ? 64 : past->node_capacity * 2;
        struct smt_past_node *grown = realloc(past->nodes, capacity * sizeof *grown);
        if (grown == NULL) return CL_E_MEMORY;
        past->nodes = grown;
        past->node_capacity = capacity;
    }
    past->nodes[past->node_count++] = *node;
    *own = past->node_count;
    return CL_OK;
}

static void hash_inner(struct smt_past_node *node, const struct cl_smt_past *past, struct smt_place left, struct smt_place right)
{
    unsigned size_left = place_size(past, left), size_right = place_size(past, right);
    node->leaves = (uint8_t)(size_left + size_right > 1 ? 2 : size_left + size_right);
    if (node->leaves == 2) smt_node_hash(&node->hash, smt_place_hash(past, left), smt_place_hash(past, right));
    else node->hash = *smt_place_hash(past, size_left == 1 ? left : right); /* one leaf, or nothing */
}

static enum cl_status make_bucket(uint32_t *own, struct cl_smt_past *past, uint32_t base, unsigned depth, size_t first, size_t count)
{
    struct cl_smt_leaf leaves[CL_SMT_BUCKET_MAX];
    struct smt_past_node node = { .left = (uint32_t)first, .right = (uint32_t)count };
    unsigned left;
    enum cl_status status = smt_bucket_load(leaves, &left, past->tree, base);
    if (status != CL_OK) return status;
    left = take_back(leaves, left, past->sorted + first, count);
    smt_leaves_hash(&node.hash, leaves, left, depth);
    node.leaves = (uint8_t)(left > 1 ? 2 : left);
    return node_add(own, past, &node);
}

/* The subtree before the changes [first, first + count) of the sorted ones, which are all below it. */
static enum cl_status make(uint32_t *own, struct cl_smt_past *past, uint32_t base, unsigned depth, size_t first, size_t count)
{
    struct smt_past_node node = { .leaves = 0 };
    const struct smt_inner *inner;
    enum cl_status status;
    size_t split = 0;
    *own = 0;
    if (count == 0) return CL_OK;
    assert(base != SMT_EMPTY && depth < CL_SMT_DEPTH); /* what was changed is there */
    if (smt_is_bucket(base)) return make_bucket(own, past, base, depth, first, count);
    for (size_t high = count; split < high;) {
        size_t middle = split + (high - split) / 2;
        if (smt_bit(past->sorted[first + middle]->key_hash, depth) == 0) split = middle + 1;
        else high = middle;
    }
    inner = smt_inner_at(past->tree, base);
    status = make(&node.left, past, inner->left, depth + 1, first, split);
    if (status == CL_OK) status = make(&node.right, past, inner->right, depth + 1, first + split, count - split);
    if (status != CL_OK) return status;
    hash_inner(&node, past, (struct smt_place){ inner->left, node.left }, (struct smt_place){ inner->right, node.right });
    return node_add(own, past, &node);
}

enum cl_status cl_smt_past_take(struct cl_smt_past **out, const struct cl_smt *tree, struct cl_smt_leaf *before, size_t count)
{
    struct cl_smt_past *past = calloc(1, sizeof *past);
    enum cl_status status = tree->failure;
    assert(tree->builder == NULL && count < SMT_INDEX_MAX);
    *out = NULL;
    if (past == NULL) {
        free(before);
        return CL_E_MEMORY;
    }
    past->tree = tree;
    past->changes = before;
    if (status == CL_OK) status = smt_sort_changes(&past->sorted, &past->sorted_count, before, count);
    if (status == CL_OK) status = make(&past->root, past, tree->root, 0, 0, past->sorted_count);
    if (status != CL_OK) {
        cl_smt_past_free(past);
        return status;
    }
    *out = past;
    return CL_OK;
}

void cl_smt_past_free(struct cl_smt_past *past)
{
    if (past == NULL) return;
    free(past->nodes);
    free(past->sorted);
    free(past->changes);
    free(past);
}

void cl_smt_past_root(struct cl_hash *out, const struct cl_smt_past *past)
{
    *out = *smt_place_hash(past, smt_place_root(past));
}
