/* The inside of the state tree, shared by smt.c (nodes, bulk build), smt_overlay.c and smt_fold.c (changes), smt_past.c (the tree
   as it was) and smt_proof.c (paths).
   A subtree of more than CL_SMT_BUCKET_MAX leaves is an inner node, one of fewer is a bucket, an empty one is nothing: so
   the shape depends on the set of leaves alone, not on the order in which they came. Leaves are never removed. */
#ifndef LEDGER_SMT_TREE_H
#define LEDGER_SMT_TREE_H

#include "smt.h"

/* A reference to a subtree: SMT_EMPTY, an index of an inner node, or SMT_BUCKET with an index of a bucket. A bucket's
   index is its slot. */
#define SMT_EMPTY UINT32_MAX
#define SMT_BUCKET UINT32_C(0x80000000)
#define SMT_INDEX_MAX UINT32_C(0x7ffffffe)

/* Nodes live in chunks, so that growing never copies them and pointers stay good. What of a chunk was never used takes
   addresses only. */
#define SMT_CHUNK_BITS 18u
#define SMT_CHUNK_NODES (1u << SMT_CHUNK_BITS)

struct smt_inner { struct cl_hash hash; uint32_t left, right; };
/* count 0: free, and the hash's first bytes are the next free index. marks: the last two bytes of each leaf's key_hash, so that
   a key that is not there is nearly always known without reading the bucket (with one byte, one in twenty was not, and
   its look-up in a large store cost more than all that was spared). */
struct smt_bucket { struct cl_hash hash; uint8_t count, marks[CL_SMT_BUCKET_MAX][2]; };

struct smt_inner_array { void **chunks; size_t chunk_count; uint32_t used; };
struct smt_bucket_array { void **chunks; size_t chunk_count; uint32_t used, free_head, free_count; };

struct smt_builder;
struct arena_block;

struct cl_smt {
    struct cl_smt_buckets buckets;
    struct smt_inner_array inner;
    struct smt_bucket_array bucket;
    uint32_t root;
    uint64_t count;
    struct smt_builder *builder;        /* while cl_smt_build_* runs */
    struct cl_smt_overlay *overlays;    /* those whose parent is the tree itself */
    struct cl_smt_spread spread;
    struct arena_block *spare;          /* smt_overlay.c's memory for results, kept between them */
    unsigned spare_count;
    bool remembers;                     /* overlays note what was before them */
    enum cl_status failure;             /* a fold stopped halfway: the tree is of no more use */
};

static inline unsigned smt_bit(const uint8_t key_hash[32], unsigned depth)
{
    return (unsigned)key_hash[depth / 8] >> (7 - depth % 8) & 1u;
}
static inline bool smt_is_bucket(uint32_t reference) { return reference != SMT_EMPTY && (reference & SMT_BUCKET) != 0; }
static inline bool smt_is_inner(uint32_t reference) { return (reference & SMT_BUCKET) == 0; }
static inline struct smt_inner *smt_inner_at(const struct cl_smt *tree, uint32_t reference)
{
    struct smt_inner *chunk = tree->inner.chunks[reference >> SMT_CHUNK_BITS];
    return &chunk[reference & (SMT_CHUNK_NODES - 1)];
}
static inline struct smt_bucket *smt_bucket_at(const struct cl_smt *tree, uint32_t reference)
{
    uint32_t index = reference & ~SMT_BUCKET;
    struct smt_bucket *chunk = tree->bucket.chunks[index >> SMT_CHUNK_BITS];
    return &chunk[index & (SMT_CHUNK_NODES - 1)];
}

/* Asks for a node's memory: it may lie across two cache lines. */
static inline void smt_fetch_ahead(const struct cl_smt *tree, uint32_t reference)
{
    if (reference == SMT_EMPTY) return;
    const uint8_t *node = smt_is_bucket(reference) ? (const uint8_t *)smt_bucket_at(tree, reference) : (const uint8_t *)smt_inner_at(tree, reference);
    __builtin_prefetch(node);
    __builtin_prefetch(node + (smt_is_bucket(reference) ? sizeof(struct smt_bucket) : sizeof(struct smt_inner)) - 1);
}
/* And for what a bucket holds, where that is in memory. */
static inline void smt_fetch_slot_ahead(const struct cl_smt *tree, uint32_t reference)
{
    if (smt_is_bucket(reference) && tree->buckets.fetch_ahead != NULL) tree->buckets.fetch_ahead(tree->buckets.context, reference & ~SMT_BUCKET);
}

extern const struct cl_hash smt_empty_hash;
const struct cl_hash *smt_hash_of(const struct cl_smt *tree, uint32_t reference);
void smt_node_hash(struct cl_hash *out, const struct cl_hash *left, const struct cl_hash *right);
/* Hash of the subtree at `depth` that holds exactly these leaves, sorted; count may be 0. */
void smt_leaves_hash(struct cl_hash *out, const struct cl_smt_leaf *leaves, unsigned count, unsigned depth);
/* How many of the sorted leaves have bit 0 at depth. */
unsigned smt_leaves_split(const struct cl_smt_leaf *leaves, unsigned count, unsigned depth);
/* Of a bucket at depth, from leaves and quarters; first the quarters whose bit is set in `changed` are hashed. */
#define SMT_QUARTERS_ALL ((1u << CL_SMT_QUARTERS) - 1)
void smt_slot_hash(struct cl_hash *out, struct cl_smt_slot *slot, unsigned count, unsigned depth, unsigned changed);
static inline unsigned smt_quarter(const uint8_t key_hash[32], unsigned depth)
{
    return smt_bit(key_hash, depth) << 1 | smt_bit(key_hash, depth + 1);
}
void smt_bucket_mark(struct smt_bucket *bucket, const struct cl_smt_leaf *leaves, unsigned count); /* sets count and marks */
CL_MUST_USE enum cl_status smt_slot_load(struct cl_smt_slot *out, unsigned *count, const struct cl_smt *tree, uint32_t reference);
CL_MUST_USE enum cl_status smt_bucket_load(struct cl_smt_leaf leaves[CL_SMT_BUCKET_MAX], unsigned *count, const struct cl_smt *tree, uint32_t reference);

/* Room for that many more nodes; after it the takes below cannot fail. CL_E_MEMORY, CL_E_BOUND. */
CL_MUST_USE enum cl_status smt_reserve(struct cl_smt *tree, size_t inner_count, size_t bucket_count);
uint32_t smt_inner_take(struct cl_smt *tree);
uint32_t smt_bucket_take(struct cl_smt *tree);
void smt_bucket_give(struct cl_smt *tree, uint32_t reference);

/* smt_overlay.c: pointers to the changes in ascending order of their keys, *out from malloc; of several to one key the last.
   CL_E_MEMORY. */
CL_MUST_USE enum cl_status smt_sort_changes(const struct cl_smt_leaf ***out, size_t *out_count, const struct cl_smt_leaf *changes, size_t count);

/* ---- smt_past.c: the tree before some changes. It has no leaf that the tree lacks, so it hangs on the tree's own nodes:
   where nothing changed it is the tree, elsewhere a node of its own says what stood in that place. */
struct smt_past_node {
    struct cl_hash hash;
    uint32_t left, right;   /* over an inner node: own nodes below, number + 1, 0: as in the tree; over a bucket: first change, count */
    uint8_t leaves;         /* of a subtree without any, 0, of one leaf, 1; else 2 */
};
struct cl_smt_past {
    const struct cl_smt *tree;
    struct cl_smt_leaf *changes;
    const struct cl_smt_leaf **sorted;
    size_t sorted_count;
    struct smt_past_node *nodes;
    uint32_t node_count, node_capacity, root; /* root: as left and right above */
};
/* A subtree of the past: the tree's in that place, and what is different, number + 1, or 0. */
struct smt_place { uint32_t base, own; };
struct smt_place smt_place_root(const struct cl_smt_past *past);
struct smt_place smt_place_child(const struct cl_smt_past *past, struct smt_place inner, bool right);
bool smt_place_is_empty(const struct cl_smt_past *past, struct smt_place at);
const struct cl_hash *smt_place_hash(const struct cl_smt_past *past, struct smt_place at);
/* Of a bucket, or of nothing at all. */
CL_MUST_USE enum cl_status smt_place_leaves(struct cl_smt_leaf leaves[CL_SMT_BUCKET_MAX], unsigned *count, const struct cl_smt_past *past, struct smt_place at);

/* smt_memory.c */
void *smt_chunk_new(size_t bytes);
void smt_chunk_free(void *chunk);

/* Frees what cl_smt_build_* holds. */
void smt_builder_free(struct cl_smt *tree);
/* Frees the memory that overlays left for the next. */
void smt_spare_free(struct cl_smt *tree);

#endif
