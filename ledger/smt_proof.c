/* Reading the state tree, and proofs on it or on its past: paths of leaves, neighbours of absent keys, and the two verifiers, which trust
   nothing but the root and the key. Pure. */
#include "smt_tree.h"

#include <assert.h>

#include "crypto.h"

/* Where a key's path ends: its bucket, or nothing; inner nodes above it are `depth` many. */
static struct smt_place descend(const struct cl_smt_past *past, unsigned *depth, const uint8_t key_hash[32], struct smt_place beside[CL_SMT_DEPTH])
{
    struct smt_place at = smt_place_root(past);
    *depth = 0;
    while (smt_is_inner(at.base)) {
        bool right = smt_bit(key_hash, *depth) != 0;
        beside[(*depth)++] = smt_place_child(past, at, !right);
        at = smt_place_child(past, at, right);
    }
    return at;
}

/* The first place in the sorted leaves whose key is not below key_hash; *equal: it is that key. */
static unsigned position(bool *equal, const struct cl_smt_leaf *leaves, unsigned count, const uint8_t key_hash[32])
{
    unsigned at = 0;
    int order = -1;
    while (at < count && (order = memcmp(leaves[at].key_hash, key_hash, 32)) < 0) at++;
    *equal = at < count && order == 0;
    return at;
}

/* The bucket that would hold the key, or SMT_EMPTY where none of its marks is the key's. */
static uint32_t candidate_bucket(const struct cl_smt *tree, const uint8_t key_hash[32])
{
    uint32_t at = tree->root;
    for (unsigned depth = 0; smt_is_inner(at); depth++) {
        const struct smt_inner *inner = smt_inner_at(tree, at);
        at = smt_bit(key_hash, depth) != 0 ? inner->right : inner->left;
    }
    if (at == SMT_EMPTY) return at;
    const struct smt_bucket *bucket = smt_bucket_at(tree, at);
    for (unsigned i = 0; i < bucket->count; i++)
        if (memcmp(bucket->marks[i], key_hash + 30, sizeof bucket->marks[i]) == 0) return at;
    return SMT_EMPTY;
}

void cl_smt_warm(const struct cl_smt *tree, const uint8_t (*key_hashes)[32], size_t count)
{
    enum { TOGETHER = 16 }; /* about as many as a processor waits for at once */
    if (tree->failure != CL_OK) return;
    for (; count > 0; key_hashes += TOGETHER) {
        uint32_t at[TOGETHER];
        size_t walked = count < TOGETHER ? count : TOGETHER;
        bool more = smt_is_inner(tree->root);
        for (size_t i = 0; i < walked; i++) at[i] = tree->root;
        for (unsigned depth = 0; more; depth++) {
            more = false;
            for (size_t i = 0; i < walked; i++) {
                if (!smt_is_inner(at[i])) continue;
                const struct smt_inner *inner = smt_inner_at(tree, at[i]);
                at[i] = smt_bit(key_hashes[i], depth) != 0 ? inner->right : inner->left;
                if (at[i] == SMT_EMPTY) continue;
                smt_fetch_ahead(tree, at[i]);
                more = true;
            }
        }
        count -= walked;
    }
}

enum cl_status cl_smt_may_contain(bool *found, struct cl_smt *tree, const uint8_t key_hash[32])
{
    assert(tree->builder == NULL);
    *found = false;
    if (tree->failure != CL_OK) return tree->failure;
    *found = candidate_bucket(tree, key_hash) != SMT_EMPTY;
    return CL_OK;
}

enum cl_status cl_smt_contains(bool *found, struct cl_smt *tree, const uint8_t key_hash[32])
{
    struct cl_smt_leaf leaves[CL_SMT_BUCKET_MAX];
    unsigned count;
    enum cl_status status = tree->failure;
    assert(tree->builder == NULL);
    *found = false;
    if (status != CL_OK) return status;
    uint32_t at = candidate_bucket(tree, key_hash);
    if (at == SMT_EMPTY) return CL_OK;
    status = smt_bucket_load(leaves, &count, tree, at);
    if (status == CL_OK) (void)position(found, leaves, count, key_hash);
    return status;
}

/* Siblings of leaves[target] within its bucket at depth, from above; returns how many. */
static size_t bucket_siblings(struct cl_hash *siblings, const struct cl_smt_leaf *leaves, unsigned count, unsigned target, unsigned depth)
{
    size_t used = 0;
    for (; count > 1; depth++) {
        unsigned split = smt_leaves_split(leaves, count, depth);
        if (target < split) {
            smt_leaves_hash(&siblings[used++], leaves + split, count - split, depth + 1);
            count = split;
        } else {
            smt_leaves_hash(&siblings[used++], leaves, split, depth + 1);
            leaves += split;
            count -= split;
            target -= split;
        }
    }
    return used;
}

enum cl_status cl_smt_past_prove(struct cl_smt_path *out, struct cl_smt_leaf *leaf, const struct cl_smt_past *past, const uint8_t key_hash[32])
{
    struct cl_smt_leaf leaves[CL_SMT_BUCKET_MAX];
    struct smt_place beside[CL_SMT_DEPTH], at;
    unsigned depth, count, target;
    bool equal = false;
    enum cl_status status = past->tree->failure;
    assert(past->tree->builder == NULL);
    if (status != CL_OK) return status;
    at = descend(past, &depth, key_hash, beside);
    status = smt_place_leaves(leaves, &count, past, at);
    if (status != CL_OK) return status;
    target = position(&equal, leaves, count, key_hash);
    if (!equal) return CL_E_NOT_FOUND;
    /* a subtree of one leaf is that leaf: inner nodes above it came later */
    while (count == 1 && depth > 0 && smt_place_is_empty(past, beside[depth - 1])) depth--;
    for (unsigned i = 0; i < depth; i++) out->siblings[i] = *smt_place_hash(past, beside[i]);
    out->count = depth + bucket_siblings(out->siblings + depth, leaves, count, target, depth);
    for (size_t i = 0; i < out->count / 2; i++) { /* from the leaf up */
        struct cl_hash swap = out->siblings[i];
        out->siblings[i] = out->siblings[out->count - 1 - i];
        out->siblings[out->count - 1 - i] = swap;
    }
    *leaf = leaves[target];
    return CL_OK;
}

enum cl_status cl_smt_prove(struct cl_smt_path *out, struct cl_smt_leaf *leaf, const struct cl_smt *tree, const uint8_t key_hash[32])
{
    const struct cl_smt_past present = { .tree = tree };
    return cl_smt_past_prove(out, leaf, &present, key_hash);
}

/* The outermost leaf of a subtree that is not empty. */
static enum cl_status outermost(struct cl_smt_leaf *out, const struct cl_smt_past *past, struct smt_place at, bool rightmost)
{
    struct cl_smt_leaf leaves[CL_SMT_BUCKET_MAX];
    unsigned count;
    enum cl_status status;
    while (smt_is_inner(at.base)) {
        struct smt_place first = smt_place_child(past, at, rightmost);
        at = smt_place_is_empty(past, first) ? smt_place_child(past, at, !rightmost) : first;
    }
    status = smt_place_leaves(leaves, &count, past, at);
    if (status != CL_OK) return status;
    assert(count > 0);
    *out = leaves[rightmost ? count - 1 : 0];
    return CL_OK;
}

/* The outermost leaf, towards the key, of the lowest subtree beside its path on one side that is not empty. */
static enum cl_status nearest_beside(bool *found, struct cl_smt_leaf *out, const struct cl_smt_past *past, const struct smt_place *beside,
                                     unsigned depth, const uint8_t key_hash[32], bool left)
{
    *found = false;
    while (depth-- > 0) {
        if ((smt_bit(key_hash, depth) != 0) != left || smt_place_is_empty(past, beside[depth])) continue;
        *found = true;
        return outermost(out, past, beside[depth], left);
    }
    return CL_OK;
}

enum cl_status cl_smt_past_neighbours(bool *has_left, struct cl_smt_leaf *left, bool *has_right, struct cl_smt_leaf *right,
                                      const struct cl_smt_past *past, const uint8_t key_hash[32])
{
    struct cl_smt_leaf leaves[CL_SMT_BUCKET_MAX];
    struct smt_place beside[CL_SMT_DEPTH], at;
    unsigned depth, count, place;
    bool equal = false;
    enum cl_status status = past->tree->failure;
    assert(past->tree->builder == NULL);
    *has_left = *has_right = false;
    if (status != CL_OK) return status;
    at = descend(past, &depth, key_hash, beside);
    status = smt_place_leaves(leaves, &count, past, at);
    if (status != CL_OK) return status;
    place = position(&equal, leaves, count, key_hash);
    if (equal) return CL_E_EXISTS;
    if (place > 0) {
        *left = leaves[place - 1];
        *has_left = true;
    } else {
        status = nearest_beside(has_left, left, past, beside, depth, key_hash, true);
    }
    if (status != CL_OK) return status;
    if (place < count) {
        *right = leaves[place];
        *has_right = true;
    } else {
        status = nearest_beside(has_right, right, past, beside, depth, key_hash, false);
    }
    return status;
}

enum cl_status cl_smt_neighbours(bool *has_left, struct cl_smt_leaf *left, bool *has_right, struct cl_smt_leaf *right, const struct cl_smt *tree,
                                 const uint8_t key_hash[32])
{
    const struct cl_smt_past present = { .tree = tree };
    return cl_smt_past_neighbours(has_left, left, has_right, right, &present, key_hash);
}

/* ---- verifiers. A path of `count` siblings ends at depth count: the sibling at depth d (below the inner node of depth d)
   is siblings[count - 1 - d]. */

static void climb(struct cl_hash *hash, const uint8_t key_hash[32], const struct cl_hash *siblings, size_t count, size_t top)
{
    for (size_t depth = count; depth-- > top;) {
        const struct cl_hash *sibling = &siblings[count - 1 - depth];
        if (smt_bit(key_hash, (unsigned)depth) != 0) smt_node_hash(hash, sibling, hash);
        else smt_node_hash(hash, hash, sibling);
    }
}

enum cl_status cl_smt_check_existence(const struct cl_hash *root, const uint8_t key_hash[32], const uint8_t value_hash[32],
                                      const struct cl_hash *siblings, size_t count)
{
    struct cl_hash hash;
    if (count > CL_SMT_DEPTH) return CL_E_PROOF;
    cl_sha256_node(hash.bytes, 0x00, key_hash, value_hash);
    climb(&hash, key_hash, siblings, count, 0);
    return memcmp(hash.bytes, root->bytes, sizeof hash.bytes) == 0 ? CL_OK : CL_E_PROOF;
}

static bool is_empty(const struct cl_hash *hash)
{
    return memcmp(hash, &smt_empty_hash, sizeof *hash) == 0;
}

static const struct cl_hash *sibling_at(const struct cl_smt_neighbour *leaf, size_t depth)
{
    return &leaf->siblings[leaf->count - 1 - depth];
}

/* From depth `from` down, nothing stands on the given side of the leaf. */
static bool nothing_beside(const struct cl_smt_neighbour *leaf, size_t from, bool on_the_right)
{
    for (size_t depth = from; depth < leaf->count; depth++) {
        bool leaf_is_left = smt_bit(leaf->key_hash32, (unsigned)depth) == 0;
        if (leaf_is_left == on_the_right && !is_empty(sibling_at(leaf, depth))) return false;
    }
    return true;
}

/* Where the two paths part, each is the other's sibling; above they are one path; below, nothing stands between. */
static bool adjacent(const struct cl_smt_neighbour *left, const struct cl_smt_neighbour *right)
{
    struct cl_hash left_hash, right_hash;
    size_t parting = 0;
    while (smt_bit(left->key_hash32, (unsigned)parting) == smt_bit(right->key_hash32, (unsigned)parting)) parting++;
    if (parting >= left->count || parting >= right->count) return false;
    for (size_t depth = 0; depth < parting; depth++) {
        if (memcmp(sibling_at(left, depth), sibling_at(right, depth), sizeof(struct cl_hash)) != 0) return false;
    }
    cl_sha256_node(left_hash.bytes, 0x00, left->key_hash32, left->value_hash32);
    cl_sha256_node(right_hash.bytes, 0x00, right->key_hash32, right->value_hash32);
    climb(&left_hash, left->key_hash32, left->siblings, left->count, parting + 1);
    climb(&right_hash, right->key_hash32, right->siblings, right->count, parting + 1);
    if (memcmp(sibling_at(left, parting), &right_hash, sizeof right_hash) != 0) return false;
    if (memcmp(sibling_at(right, parting), &left_hash, sizeof left_hash) != 0) return false;
    return nothing_beside(left, parting + 1, true) && nothing_beside(right, parting + 1, false);
}

enum cl_status cl_smt_check_absence(const struct cl_hash *root, const uint8_t key_hash[32], const struct cl_smt_neighbour *left,
                                    const struct cl_smt_neighbour *right)
{
    if (left == NULL && right == NULL) return CL_E_PROOF; /* the tree is never empty: it holds the network's entry */
    if (left != NULL) {
        if (memcmp(left->key_hash32, key_hash, 32) >= 0) return CL_E_PROOF;
        if (cl_smt_check_existence(root, left->key_hash32, left->value_hash32, left->siblings, left->count) != CL_OK) return CL_E_PROOF;
    }
    if (right != NULL) {
        if (memcmp(right->key_hash32, key_hash, 32) <= 0) return CL_E_PROOF;
        if (cl_smt_check_existence(root, right->key_hash32, right->value_hash32, right->siblings, right->count) != CL_OK) return CL_E_PROOF;
    }
    if (right == NULL) return nothing_beside(left, 0, true) ? CL_OK : CL_E_PROOF;
    if (left == NULL) return nothing_beside(right, 0, false) ? CL_OK : CL_E_PROOF;
    return adjacent(left, right) ? CL_OK : CL_E_PROOF;
}
