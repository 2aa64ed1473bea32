/* The state tree itself: where its nodes live, its hashes, and the bulk build at start. Changes are in smt_overlay.c,
   proofs in smt_proof.c. Pure. */
#include "smt_tree.h"

#include <assert.h>
#include <stdlib.h>

#include "crypto.h"

static_assert(CL_SMT_BUCKET_MAX <= UINT8_MAX, "a bucket's count is one byte");

const struct cl_hash smt_empty_hash = { { 0 } };

void cl_smt_leaf_make(struct cl_smt_leaf *out, const uint8_t key_hash[32], const uint8_t *value, size_t length)
{
    uint8_t value_hash[32];
    cl_sha256_once(value_hash, value, length);
    memcpy(out->key_hash, key_hash, sizeof out->key_hash);
    cl_sha256_node(out->leaf_hash, 0x00, key_hash, value_hash);
}

void smt_node_hash(struct cl_hash *out, const struct cl_hash *left, const struct cl_hash *right)
{
    cl_sha256_node(out->bytes, 0x01, left->bytes, right->bytes);
}

const struct cl_hash *smt_hash_of(const struct cl_smt *tree, uint32_t reference)
{
    if (reference == SMT_EMPTY) return &smt_empty_hash;
    return smt_is_bucket(reference) ? &smt_bucket_at(tree, reference)->hash : &smt_inner_at(tree, reference)->hash;
}

unsigned smt_leaves_split(const struct cl_smt_leaf *leaves, unsigned count, unsigned depth)
{
    unsigned left = 0;
    while (left < count && smt_bit(leaves[left].key_hash, depth) == 0) left++;
    return left;
}

void smt_leaves_hash(struct cl_hash *out, const struct cl_smt_leaf *leaves, unsigned count, unsigned depth)
{
    struct cl_hash left, right;
    unsigned split;
    if (count == 0) {
        *out = smt_empty_hash;
        return;
    }
    if (count == 1) { /* a subtree of one leaf is that leaf's hash */
        memcpy(out->bytes, leaves[0].leaf_hash, sizeof out->bytes);
        return;
    }
    assert(depth < CL_SMT_DEPTH);
    split = smt_leaves_split(leaves, count, depth);
    smt_leaves_hash(&left, leaves, split, depth + 1);
    smt_leaves_hash(&right, leaves + split, count - split, depth + 1);
    smt_node_hash(out, &left, &right);
}

/* Two subtrees side by side; their leaves decide whether a node stands above them. */
static void join(struct cl_hash *out, const struct cl_hash *left, unsigned left_count, const struct cl_hash *right, unsigned right_count)
{
    if (left_count + right_count > 1) smt_node_hash(out, left, right);
    else *out = left_count == 1 ? *left : *right;
}

void smt_slot_hash(struct cl_hash *out, struct cl_smt_slot *slot, unsigned count, unsigned depth, unsigned changed)
{
    unsigned counts[CL_SMT_QUARTERS] = { 0 }, first = 0;
    struct cl_hash left, right;
    assert(count <= CL_SMT_BUCKET_MAX && depth + 2 <= CL_SMT_DEPTH); /* more than a bucket holds have less in common */
    for (unsigned i = 0; i < count; i++) counts[smt_quarter(slot->leaves[i].key_hash, depth)]++;
    for (unsigned i = 0; i < CL_SMT_QUARTERS; first += counts[i++])
        if ((changed >> i & 1) != 0) smt_leaves_hash(&slot->quarters[i], slot->leaves + first, counts[i], depth + 2);
    join(&left, &slot->quarters[0], counts[0], &slot->quarters[1], counts[1]);
    join(&right, &slot->quarters[2], counts[2], &slot->quarters[3], counts[3]);
    join(out, &left, counts[0] + counts[1], &right, counts[2] + counts[3]);
}

void smt_bucket_mark(struct smt_bucket *bucket, const struct cl_smt_leaf *leaves, unsigned count)
{
    assert(count <= CL_SMT_BUCKET_MAX);
    for (unsigned i = 0; i < count; i++) memcpy(bucket->marks[i], leaves[i].key_hash + 30, sizeof bucket->marks[i]);
    bucket->count = (uint8_t)count;
}

enum cl_status smt_slot_load(struct cl_smt_slot *out, unsigned *count, const struct cl_smt *tree, uint32_t reference)
{
    *count = smt_bucket_at(tree, reference)->count;
    assert(*count > 0 && *count <= CL_SMT_BUCKET_MAX);
    return tree->buckets.load(tree->buckets.context, out, reference & ~SMT_BUCKET, *count);
}

enum cl_status smt_bucket_load(struct cl_smt_leaf leaves[CL_SMT_BUCKET_MAX], unsigned *count, const struct cl_smt *tree, uint32_t reference)
{
    struct cl_smt_slot slot;
    enum cl_status status = smt_slot_load(&slot, count, tree, reference);
    if (status == CL_OK) memcpy(leaves, slot.leaves, *count * sizeof *leaves);
    return status;
}

/* One more chunk at the end of an array of chunks. */
static enum cl_status add_chunk(void ***chunks, size_t *chunk_count, size_t node_bytes)
{
    void **grown = realloc(*chunks, (*chunk_count + 1) * sizeof *grown);
    if (grown == NULL) return CL_E_MEMORY;
    *chunks = grown;
    grown[*chunk_count] = smt_chunk_new(SMT_CHUNK_NODES * node_bytes);
    if (grown[*chunk_count] == NULL) return CL_E_MEMORY;
    (*chunk_count)++;
    return CL_OK;
}

enum cl_status smt_reserve(struct cl_smt *tree, size_t inner_count, size_t bucket_count)
{
    struct smt_inner_array *inner = &tree->inner;
    struct smt_bucket_array *bucket = &tree->bucket;
    if (inner_count > SMT_INDEX_MAX - inner->used || bucket_count > SMT_INDEX_MAX - bucket->used) return CL_E_BOUND;
    while (inner->chunk_count * SMT_CHUNK_NODES < inner->used + inner_count) {
        enum cl_status status = add_chunk(&inner->chunks, &inner->chunk_count, sizeof(struct smt_inner));
        if (status != CL_OK) return status;
    }
    while (bucket->chunk_count * SMT_CHUNK_NODES < bucket->used + bucket_count) {
        enum cl_status status = add_chunk(&bucket->chunks, &bucket->chunk_count, sizeof(struct smt_bucket));
        if (status != CL_OK) return status;
    }
    return CL_OK;
}

uint32_t smt_inner_take(struct cl_smt *tree)
{
    assert(tree->inner.used < tree->inner.chunk_count * SMT_CHUNK_NODES);
    return tree->inner.used++;
}

uint32_t smt_bucket_take(struct cl_smt *tree)
{
    struct smt_bucket_array *array = &tree->bucket;
    if (array->free_count > 0) {
        uint32_t reference = SMT_BUCKET | array->free_head;
        memcpy(&array->free_head, smt_bucket_at(tree, reference)->hash.bytes, sizeof array->free_head);
        array->free_count--;
        return reference;
    }
    assert(array->used < array->chunk_count * SMT_CHUNK_NODES);
    return SMT_BUCKET | array->used++;
}

void smt_bucket_give(struct cl_smt *tree, uint32_t reference)
{
    struct smt_bucket *bucket = smt_bucket_at(tree, reference);
    memcpy(bucket->hash.bytes, &tree->bucket.free_head, sizeof tree->bucket.free_head);
    bucket->count = 0;
    tree->bucket.free_head = reference & ~SMT_BUCKET;
    tree->bucket.free_count++;
}

enum cl_status cl_smt_new(struct cl_smt **out, const struct cl_smt_buckets *buckets)
{
    struct cl_smt *tree = calloc(1, sizeof *tree);
    if (tree == NULL) return CL_E_MEMORY;
    tree->buckets = *buckets;
    tree->root = SMT_EMPTY;
    *out = tree;
    return CL_OK;
}

void cl_smt_set_spread(struct cl_smt *tree, const struct cl_smt_spread *spread)
{
    tree->spread = *spread;
}

void cl_smt_free(struct cl_smt *tree)
{
    if (tree == NULL) return;
    assert(tree->overlays == NULL); /* overlays are freed before their tree */
    smt_builder_free(tree);
    smt_spare_free(tree);
    for (size_t i = 0; i < tree->inner.chunk_count; i++) smt_chunk_free(tree->inner.chunks[i]);
    for (size_t i = 0; i < tree->bucket.chunk_count; i++) smt_chunk_free(tree->bucket.chunks[i]);
    free(tree->inner.chunks);
    free(tree->bucket.chunks);
    free(tree);
}

void cl_smt_root(struct cl_hash *out, const struct cl_smt *tree)
{
    assert(tree->builder == NULL);
    *out = *smt_hash_of(tree, tree->root);
}

uint64_t cl_smt_count(const struct cl_smt *tree)
{
    return tree->count;
}

/* ---- bulk build. Leaves come in ascending order, so only the path to the newest leaf is open: open[d] is the inner node
   at depth d on it, for d < depth; `pending` are the leaves so far in the subtree at `depth`. */
struct smt_builder {
    struct { uint32_t left, right; } open[CL_SMT_DEPTH];
    unsigned depth, pending_count;
    struct cl_smt_leaf pending[CL_SMT_BUCKET_MAX];
    uint8_t last[32];
};

void smt_builder_free(struct cl_smt *tree)
{
    free(tree->builder);
    tree->builder = NULL;
}

static enum cl_status build_bucket(uint32_t *out, struct cl_smt *tree, const struct cl_smt_leaf *leaves, unsigned count, unsigned depth)
{
    struct smt_bucket *bucket;
    struct cl_smt_slot slot;
    enum cl_status status = CL_OK;
    *out = SMT_EMPTY;
    if (count == 0) return CL_OK;
    status = smt_reserve(tree, 0, 1);
    if (status != CL_OK) return status;
    *out = smt_bucket_take(tree);
    bucket = smt_bucket_at(tree, *out);
    smt_bucket_mark(bucket, leaves, count);
    memcpy(slot.leaves, leaves, count * sizeof *leaves);
    smt_slot_hash(&bucket->hash, &slot, count, depth, SMT_QUARTERS_ALL);
    return tree->buckets.save(tree->buckets.context, *out & ~SMT_BUCKET, &slot, count);
}

static void build_attach(struct smt_builder *builder, unsigned depth, uint32_t child)
{
    if (smt_bit(builder->last, depth) == 0) builder->open[depth].left = child;
    else builder->open[depth].right = child;
}

/* Closes the open path so that `depth` is what stays open; returns the subtree that was closed last. */
static enum cl_status build_close(uint32_t *out, struct cl_smt *tree, unsigned depth)
{
    struct smt_builder *builder = tree->builder;
    uint32_t closed = SMT_EMPTY;
    enum cl_status status = build_bucket(&closed, tree, builder->pending, builder->pending_count, builder->depth);
    if (status != CL_OK) return status;
    builder->pending_count = 0;
    while (builder->depth > depth) {
        unsigned parent = builder->depth - 1;
        struct smt_inner *inner;
        build_attach(builder, parent, closed);
        status = smt_reserve(tree, 1, 0);
        if (status != CL_OK) return status;
        closed = smt_inner_take(tree);
        inner = smt_inner_at(tree, closed);
        inner->left = builder->open[parent].left;
        inner->right = builder->open[parent].right;
        smt_node_hash(&inner->hash, smt_hash_of(tree, inner->left), smt_hash_of(tree, inner->right));
        builder->depth = parent;
    }
    *out = closed;
    return CL_OK;
}

/* The pending leaves and one more are too many for a bucket: opens inner nodes until the new leaf's side has room. */
static enum cl_status build_split(struct cl_smt *tree, const uint8_t key_hash[32])
{
    struct smt_builder *builder = tree->builder;
    while (builder->pending_count == CL_SMT_BUCKET_MAX) {
        unsigned depth = builder->depth, left;
        assert(depth < CL_SMT_DEPTH);
        builder->open[depth].left = builder->open[depth].right = SMT_EMPTY;
        builder->depth++;
        if (smt_bit(key_hash, depth) == 0) continue; /* so have all before it */
        left = smt_leaves_split(builder->pending, builder->pending_count, depth);
        enum cl_status status = build_bucket(&builder->open[depth].left, tree, builder->pending, left, depth + 1);
        if (status != CL_OK) return status;
        builder->pending_count -= left;
        memmove(builder->pending, builder->pending + left, builder->pending_count * sizeof builder->pending[0]);
    }
    return CL_OK;
}

static unsigned common_bits(const uint8_t a[32], const uint8_t b[32])
{
    unsigned depth = 0;
    while (depth < CL_SMT_DEPTH && a[depth / 8] == b[depth / 8]) depth += 8;
    while (depth < CL_SMT_DEPTH && smt_bit(a, depth) == smt_bit(b, depth)) depth++;
    return depth;
}

enum cl_status cl_smt_build_add(struct cl_smt *tree, const struct cl_smt_leaf *leaf)
{
    struct smt_builder *builder = tree->builder;
    enum cl_status status = CL_OK;
    if (builder == NULL) {
        assert(tree->count == 0 && tree->overlays == NULL);
        builder = tree->builder = calloc(1, sizeof *builder);
        if (builder == NULL) return CL_E_MEMORY;
    }
    if (tree->count > 0) {
        unsigned common = common_bits(builder->last, leaf->key_hash);
        if (memcmp(builder->last, leaf->key_hash, sizeof builder->last) >= 0) return CL_E_FORMAT;
        if (common < builder->depth) {
            uint32_t closed;
            status = build_close(&closed, tree, common + 1);
            if (status != CL_OK) return status;
            build_attach(builder, common, closed);
        } else {
            status = build_split(tree, leaf->key_hash);
            if (status != CL_OK) return status;
        }
    }
    builder->pending[builder->pending_count++] = *leaf;
    memcpy(builder->last, leaf->key_hash, sizeof builder->last);
    tree->count++;
    return CL_OK;
}

enum cl_status cl_smt_build_finish(struct cl_smt *tree)
{
    enum cl_status status = CL_OK;
    if (tree->builder == NULL) return CL_OK; /* nothing was added */
    status = build_close(&tree->root, tree, 0);
    if (status != CL_OK) return status;
    smt_builder_free(tree);
    return CL_OK;
}
