/* Changes over the state tree that are not its own yet. An overlay's result is a copy of the paths that its changes touch;
   what they do not touch it shares with its parent's result, or with the tree. So the root of a block over another block
   that is not final costs its own changes only. Folding (smt_fold.c) writes the result into the tree, node over node, and points the
   results of the overlays above it to the tree: nothing is hashed twice. Pure.

   What must stay true: a result refers to results of its ancestors and to nodes of the tree that no ancestor touches. So a
   result is dropped when an ancestor's is, and when the tree changes by the fold of an overlay that is no ancestor. */
#include "smt_result.h"
#include "sort.h"

#include <assert.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES (64u * 1024u)
/* Beyond so many changes a result keeps no whole buckets: they would take more memory than the tree itself. They are read
   once more when they are needed. */
#define WHOLE_BUCKETS_MAX 8192u
#define SPARE_MAX 96u /* blocks: 6 MB, a block of some 4,000 leaves */

struct arena_block { struct arena_block *next; size_t used; _Alignas(16) uint8_t bytes[ARENA_BLOCK_BYTES]; };

/* A result of many changes is made in parts, by the key's first bits, which may be made at the same time: what stands
   above them is made of them afterwards. */
#define PART_BITS 4u
#define PARTS (1u << PART_BITS)
#define PARTED_MIN 16384u /* each part has memory of its own; with fewer changes they save too little for it */

/* While one result, or a part of it, is made: what it is made of, and what will be the overlay's. */
struct apply {
    struct cl_smt_overlay *overlay;
    const struct apply *parts;          /* whose roots stand at depth PART_BITS; NULL: none, or this is one */
    struct view_reference old, root;    /* of a part: what stood there, and what stands there now */
    const struct cl_smt_leaf *const *changes; /* of a part */
    size_t change_count;
    enum cl_status status;              /* of a part */
    bool warm;
    struct result_node *nodes, **nodes_end;
    struct arena_block *arena, *spare;
    size_t inner_count, bucket_count;
    uint64_t added;
    struct cl_smt_slot existing;
};

static struct cl_smt_overlay **list_of(struct cl_smt_overlay *overlay)
{
    return overlay->parent != NULL ? &overlay->parent->children : &overlay->tree->overlays;
}

/* The tree keeps some blocks for the next overlay: fresh pages from the system cost as much as the hashing. */
static void arena_give(struct cl_smt *tree, struct arena_block *block)
{
    if (tree->spare_count == SPARE_MAX) {
        free(block);
        return;
    }
    block->next = tree->spare;
    tree->spare = block;
    tree->spare_count++;
}

void smt_spare_free(struct cl_smt *tree)
{
    while (tree->spare != NULL) {
        struct arena_block *next = tree->spare->next;
        free(tree->spare);
        tree->spare = next;
    }
}

void smt_result_drop(struct cl_smt_overlay *overlay)
{
    while (overlay->arena != NULL) {
        struct arena_block *block = overlay->arena;
        overlay->arena = block->next;
        arena_give(overlay->tree, block);
    }
    free(overlay->sorted);
    overlay->sorted = NULL;
    free(overlay->before);
    overlay->before = NULL;
    overlay->before_count = 0;
    overlay->nodes = NULL;
    overlay->nodes_end = &overlay->nodes;
    overlay->has_result = false;
    overlay->added = 0;
    overlay->inner_count = overlay->bucket_count = 0;
}

struct cl_smt_overlay *smt_next_above(struct cl_smt_overlay *top, struct cl_smt_overlay *at)
{
    if (at->children != NULL) return at->children;
    while (at != top && at->sibling == NULL) at = at->parent;
    return at == top ? NULL : at->sibling;
}

void smt_result_drop_all(struct cl_smt_overlay *top)
{
    for (struct cl_smt_overlay *at = top; at != NULL; at = smt_next_above(top, at)) smt_result_drop(at);
}

enum cl_status cl_smt_overlay_new(struct cl_smt_overlay **out, struct cl_smt *tree, struct cl_smt_overlay *parent)
{
    struct cl_smt_overlay *overlay, **list;
    assert(tree->builder == NULL && (parent == NULL || parent->tree == tree));
    overlay = calloc(1, sizeof *overlay);
    if (overlay == NULL) return CL_E_MEMORY;
    overlay->tree = tree;
    overlay->parent = parent != NULL && parent->folded ? NULL : parent;
    overlay->nodes_end = &overlay->nodes;
    list = list_of(overlay);
    overlay->sibling = *list;
    *list = overlay;
    *out = overlay;
    return CL_OK;
}

void smt_list_remove(struct cl_smt_overlay *overlay)
{
    struct cl_smt_overlay **at = list_of(overlay);
    while (*at != overlay) at = &(*at)->sibling;
    *at = overlay->sibling;
    overlay->sibling = NULL;
}

void cl_smt_overlay_free(struct cl_smt_overlay *overlay)
{
    if (overlay == NULL) return;
    assert(overlay->children == NULL); /* those above it are freed first, or it is folded */
    if (!overlay->folded) smt_list_remove(overlay);
    smt_result_drop(overlay);
    free(overlay->changes);
    free(overlay);
}

void cl_smt_remember(struct cl_smt *tree)
{
    if (tree->remembers) return;
    tree->remembers = true;
    for (struct cl_smt_overlay *overlay = tree->overlays; overlay != NULL; overlay = overlay->sibling) smt_result_drop_all(overlay);
}

struct cl_smt_leaf *cl_smt_overlay_before_take(struct cl_smt_overlay *overlay, size_t *count)
{
    struct cl_smt_leaf *before = overlay->before;
    assert(overlay->folded);
    *count = overlay->before_count;
    overlay->before = NULL;
    overlay->before_count = 0;
    return before;
}

enum cl_status cl_smt_overlay_put(struct cl_smt_overlay *overlay, const struct cl_smt_leaf *leaf)
{
    assert(!overlay->folded);
    if (overlay->has_result) smt_result_drop_all(overlay);
    if (overlay->change_count == overlay->change_capacity) {
        size_t capacity = overlay->change_capacity == 0 ? 64 : overlay->change_capacity * 2;
        struct cl_smt_leaf *grown = realloc(overlay->changes, capacity * sizeof *grown);
        if (grown == NULL) return CL_E_MEMORY;
        overlay->changes = grown;
        overlay->change_capacity = capacity;
    }
    overlay->changes[overlay->change_count++] = *leaf;
    return CL_OK;
}

/* ---- making a result */

static struct arena_block *arena_block_take(struct apply *apply)
{
    struct arena_block *block = apply->spare;
    if (block == NULL) return malloc(sizeof *block);
    apply->spare = block->next;
    return block;
}

static void *arena_take(struct apply *apply, size_t length)
{
    struct arena_block *block = apply->arena;
    void *taken;
    length = (length + 15) & ~(size_t)15;
    assert(length <= ARENA_BLOCK_BYTES);
    if (block == NULL || ARENA_BLOCK_BYTES - block->used < length) {
        block = arena_block_take(apply);
        if (block == NULL) return NULL;
        block->next = apply->arena;
        block->used = 0;
        apply->arena = block;
    }
    taken = block->bytes + block->used;
    block->used += length;
    return taken;
}

static struct result_node *node_new(struct apply *apply, struct view_reference old)
{
    struct result_node *node = arena_take(apply, sizeof *node);
    if (node == NULL) return NULL;
    node->next = NULL;
    node->owner = apply->overlay;
    node->old = old;
    node->placed = SMT_EMPTY;
    node->bucket_count = 0;
    node->is_thin = false;
    return node;
}

static bool view_is_inner(struct view_reference at)
{
    return at.node != NULL ? at.node->bucket_count == 0 : smt_is_inner(at.base);
}

static bool view_is_bucket(struct view_reference at)
{
    return at.node != NULL ? at.node->bucket_count > 0 : smt_is_bucket(at.base);
}

static struct view_reference node_add(struct apply *apply, struct result_node *node)
{
    if (node->bucket_count > 0) apply->bucket_count += view_is_bucket(node->old) ? 0 : 1;
    else apply->inner_count += view_is_inner(node->old) ? 0 : 1;
    *apply->nodes_end = node;
    apply->nodes_end = &node->next;
    return (struct view_reference){ .node = node, .base = SMT_EMPTY };
}

static const struct view_reference nothing = { .node = NULL, .base = SMT_EMPTY };

static const struct cl_hash *view_hash(const struct cl_smt *tree, struct view_reference at)
{
    return at.node != NULL ? &at.node->hash : smt_hash_of(tree, at.base);
}

static enum cl_status view_slot(struct cl_smt_slot *out, unsigned *count, const struct cl_smt *tree, struct view_reference at);

/* Existing leaves and changes, both sorted, into one; a change replaces the leaf with its key. */
static size_t merge(const struct cl_smt_leaf **out, const struct cl_smt_leaf *existing, unsigned existing_count,
                    const struct cl_smt_leaf *const *changes, size_t change_count)
{
    size_t used = 0, at = 0;
    for (unsigned i = 0; i < existing_count; i++) {
        int order = -1;
        while (at < change_count && (order = memcmp(changes[at]->key_hash, existing[i].key_hash, 32)) < 0) out[used++] = changes[at++];
        if (at < change_count && order == 0) out[used++] = changes[at++];
        else out[used++] = &existing[i];
    }
    while (at < change_count) out[used++] = changes[at++];
    return used;
}

enum cl_status smt_thin_slot(struct cl_smt_slot *out, const struct cl_smt *tree, const struct result_node *node)
{
    struct cl_smt_slot existing;
    const struct cl_smt_leaf *merged[CL_SMT_BUCKET_MAX];
    const struct cl_hash *changed = node->is.thin.quarters;
    unsigned existing_count;
    size_t count;
    enum cl_status status = view_slot(&existing, &existing_count, tree, node->old);
    if (status != CL_OK) return status;
    count = merge(merged, existing.leaves, existing_count, node->is.thin.changes, node->is.thin.change_count);
    assert(count == node->bucket_count);
    for (size_t i = 0; i < count; i++) out->leaves[i] = *merged[i];
    for (unsigned i = 0; i < CL_SMT_QUARTERS; i++) out->quarters[i] = (node->is.thin.changed >> i & 1) != 0 ? *changed++ : existing.quarters[i];
    return CL_OK;
}

static enum cl_status view_slot(struct cl_smt_slot *out, unsigned *count, const struct cl_smt *tree, struct view_reference at)
{
    *count = 0;
    if (at.node == NULL && at.base == SMT_EMPTY) return CL_OK;
    if (at.node == NULL) return smt_slot_load(out, count, tree, at.base);
    *count = at.node->bucket_count;
    if (at.node->is_thin) return smt_thin_slot(out, tree, at.node);
    memcpy(out, at.node->is.slot, cl_smt_slot_bytes(*count));
    return CL_OK;
}

/* The quarters that do not change are taken from `quarters`, which may be NULL where all do. */
static enum cl_status add_bucket(struct view_reference *out, struct apply *apply, struct view_reference old, unsigned depth,
                                 const struct cl_smt_leaf *const *leaves, size_t count, const struct cl_hash *quarters, unsigned changed)
{
    struct result_node *node = node_new(apply, old);
    struct cl_smt_slot *slot = arena_take(apply, cl_smt_slot_bytes((unsigned)count));
    assert(count > 0 && count <= CL_SMT_BUCKET_MAX);
    if (node == NULL || slot == NULL) return CL_E_MEMORY;
    if (quarters != NULL) memcpy(slot->quarters, quarters, sizeof slot->quarters);
    for (size_t i = 0; i < count; i++) slot->leaves[i] = *leaves[i];
    node->is.slot = slot;
    node->bucket_count = (uint8_t)count;
    smt_slot_hash(&node->hash, slot, (unsigned)count, depth, changed);
    *out = node_add(apply, node);
    return CL_OK;
}

/* A bucket in place of the existing one, of which only what changes is kept. */
static enum cl_status add_thin_bucket(struct view_reference *out, struct apply *apply, struct view_reference old, unsigned depth,
                                      const struct cl_smt_leaf *const *merged, size_t count,
                                      const struct cl_smt_leaf *const *changes, size_t change_count, unsigned changed)
{
    struct cl_smt_slot slot;
    struct result_node *node = node_new(apply, old);
    struct cl_hash *quarters = arena_take(apply, (size_t)__builtin_popcount(changed) * sizeof *quarters);
    assert(count > 0 && count <= CL_SMT_BUCKET_MAX && change_count <= count);
    if (node == NULL || quarters == NULL) return CL_E_MEMORY;
    memcpy(slot.quarters, apply->existing.quarters, sizeof slot.quarters);
    for (size_t i = 0; i < count; i++) slot.leaves[i] = *merged[i];
    smt_slot_hash(&node->hash, &slot, (unsigned)count, depth, changed);
    node->is.thin.changes = changes;
    node->is.thin.change_count = (uint32_t)change_count;
    node->is.thin.changed = changed;
    node->is.thin.quarters = quarters;
    for (unsigned i = 0; i < CL_SMT_QUARTERS; i++)
        if ((changed >> i & 1) != 0) *quarters++ = slot.quarters[i];
    node->bucket_count = (uint8_t)count;
    node->is_thin = true;
    *out = node_add(apply, node);
    return CL_OK;
}

static enum cl_status add_inner(struct view_reference *out, struct apply *apply, struct view_reference old,
                                struct view_reference left, struct view_reference right)
{
    struct result_node *node = node_new(apply, old);
    if (node == NULL) return CL_E_MEMORY;
    node->is.inner.left = left;
    node->is.inner.right = right;
    smt_node_hash(&node->hash, view_hash(apply->overlay->tree, left), view_hash(apply->overlay->tree, right));
    *out = node_add(apply, node);
    return CL_OK;
}

/* How many of the sorted leaves have bit 0 at depth, by halving: there may be many. */
static size_t split_of(const struct cl_smt_leaf *const *leaves, size_t count, unsigned depth)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (smt_bit(leaves[middle]->key_hash, depth) == 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* A subtree made of these leaves alone. */
static enum cl_status build_subtree(struct view_reference *out, struct apply *apply, struct view_reference old, unsigned depth,
                                    const struct cl_smt_leaf *const *leaves, size_t count)
{
    struct view_reference left, right;
    enum cl_status status;
    size_t split;
    *out = nothing;
    if (count == 0) return CL_OK;
    if (count <= CL_SMT_BUCKET_MAX) return add_bucket(out, apply, old, depth, leaves, count, NULL, SMT_QUARTERS_ALL);
    assert(depth < CL_SMT_DEPTH);
    split = split_of(leaves, count, depth);
    status = build_subtree(&left, apply, nothing, depth + 1, leaves, split);
    if (status == CL_OK) status = build_subtree(&right, apply, nothing, depth + 1, leaves + split, count - split);
    if (status == CL_OK) status = add_inner(out, apply, old, left, right);
    return status;
}

/* What these changes replace, among the leaves of the bucket that they come to. */
static void note_before(struct apply *apply, unsigned existing_count, const struct cl_smt_leaf *const *changes, size_t count)
{
    struct cl_smt_overlay *overlay = apply->overlay;
    struct cl_smt_leaf *before = overlay->before + (changes - (const struct cl_smt_leaf *const *)overlay->sorted);
    unsigned at = 0;
    for (size_t i = 0; i < count; i++) {
        int order = -1;
        memcpy(before[i].key_hash, changes[i]->key_hash, sizeof before[i].key_hash);
        memcpy(before[i].leaf_hash, &smt_empty_hash, sizeof before[i].leaf_hash);
        while (at < existing_count && (order = memcmp(apply->existing.leaves[at].key_hash, before[i].key_hash, 32)) < 0) at++;
        if (at < existing_count && order == 0) before[i] = apply->existing.leaves[at];
    }
}

static enum cl_status apply_to_bucket(struct apply *apply, struct view_reference *out, struct view_reference old, unsigned depth,
                                      const struct cl_smt_leaf *const *changes, size_t count)
{
    const struct cl_smt_leaf *few[4 * CL_SMT_BUCKET_MAX], **merged = few;
    unsigned existing, changed = 0;
    size_t total;
    enum cl_status status = view_slot(&apply->existing, &existing, apply->overlay->tree, old);
    if (status != CL_OK) return status;
    if (apply->overlay->before != NULL) note_before(apply, existing, changes, count);
    if (existing + count > sizeof few / sizeof few[0]) {
        merged = malloc((existing + count) * sizeof *merged);
        if (merged == NULL) return CL_E_MEMORY;
    }
    total = merge(merged, apply->existing.leaves, existing, changes, count);
    apply->added += total - existing;
    if (existing == 0) changed = SMT_QUARTERS_ALL;
    for (size_t i = 0; i < count; i++) changed |= 1u << smt_quarter(changes[i]->key_hash, depth);
    if (total <= CL_SMT_BUCKET_MAX && apply->overlay->sorted_count > WHOLE_BUCKETS_MAX) {
        status = add_thin_bucket(out, apply, old, depth, merged, total, changes, count, changed);
    } else if (total <= CL_SMT_BUCKET_MAX) {
        status = add_bucket(out, apply, old, depth, merged, total, apply->existing.quarters, changed);
    } else {
        status = build_subtree(out, apply, old, depth, merged, total);
    }
    if (merged != few) free(merged);
    return status;
}

/* Nearly all the time of a large tree goes into waiting for memory, one node after the other. So before a few paths are
   worked on, all are walked in step, and what the next step needs is asked for ahead. Changes nothing. */

static void warm(const struct cl_smt *tree, uint32_t top, unsigned depth, const struct cl_smt_leaf *const *changes, size_t count)
{
    uint32_t at[SMT_WARM_COUNT];
    bool more = smt_is_inner(top);
    for (size_t i = 0; i < count; i++) at[i] = top;
    for (; more; depth++) {
        more = false;
        for (size_t i = 0; i < count; i++) {
            const struct smt_inner *inner;
            if (!smt_is_inner(at[i])) continue;
            inner = smt_inner_at(tree, at[i]);
            smt_fetch_ahead(tree, inner->left);
            smt_fetch_ahead(tree, inner->right);
            at[i] = smt_bit(changes[i]->key_hash, depth) != 0 ? inner->right : inner->left;
            more = true;
        }
    }
    for (size_t i = 0; i < count; i++) smt_fetch_slot_ahead(tree, at[i]);
}

static unsigned part_of(const struct cl_smt_leaf *leaf)
{
    return leaf->key_hash[0] >> (8 - PART_BITS);
}

static struct view_reference view_child(const struct cl_smt *tree, struct view_reference at, unsigned bit)
{
    if (at.node != NULL) return bit != 0 ? at.node->is.inner.right : at.node->is.inner.left;
    const struct smt_inner *inner = smt_inner_at(tree, at.base);
    return (struct view_reference){ .base = bit != 0 ? inner->right : inner->left };
}

static enum cl_status apply_changes(struct apply *apply, struct view_reference *out, struct view_reference old, unsigned depth,
                                    const struct cl_smt_leaf *const *changes, size_t count)
{
    struct view_reference left, right;
    enum cl_status status;
    bool warmed = false;
    size_t split;
    if (count == 0) {
        *out = old;
        return CL_OK;
    }
    if (apply->parts != NULL && depth == PART_BITS) {
        *out = apply->parts[part_of(changes[0])].root;
        return CL_OK;
    }
    if (!view_is_inner(old)) return apply_to_bucket(apply, out, old, depth, changes, count);
    assert(depth < CL_SMT_DEPTH);
    if (old.node == NULL && count <= SMT_WARM_COUNT && !apply->warm) {
        warm(apply->overlay->tree, old.base, depth, changes, count);
        warmed = apply->warm = true;
    }
    left = view_child(apply->overlay->tree, old, 0);
    right = view_child(apply->overlay->tree, old, 1);
    split = split_of(changes, count, depth);
    status = apply_changes(apply, &left, left, depth + 1, changes, split);
    if (status == CL_OK) status = apply_changes(apply, &right, right, depth + 1, changes + split, count - split);
    if (status == CL_OK) status = add_inner(out, apply, old, left, right);
    if (warmed) apply->warm = false;
    return status;
}

/* Sorting compares eight bytes of the key first: the rest hardly ever decides.
   Orders what 64 bits of the hash leave equal: the same key several times, hardly ever two keys. */
static void sort_ties(const struct cl_smt_leaf **sorted, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const struct cl_smt_leaf *leaf = sorted[i];
        size_t at = i;
        for (; at > 0 && memcmp(sorted[at - 1]->key_hash, leaf->key_hash, 32) > 0; at--) sorted[at] = sorted[at - 1];
        sorted[at] = leaf;
    }
}

/* A block's changes come sorted; only where their keys' first eight bytes are the same is there something left to do. */
static bool is_sorted(const struct cl_smt_leaf *changes, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (memcmp(changes[i - 1].key_hash, changes[i].key_hash, 8) > 0) return false;
    return true;
}

/* By the first eight bytes of their keys. */
static enum cl_status sort_prefixes(const struct cl_smt_leaf **sorted, const struct cl_smt_leaf *changes, size_t count)
{
    struct cl_sort_item *keys = malloc((count + 1) * sizeof *keys);
    if (keys == NULL) return CL_E_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *key = changes[i].key_hash;
        uint64_t prefix = 0;
        for (unsigned byte = 0; byte < 8; byte++) prefix = prefix << 8 | key[byte];
        keys[i] = (struct cl_sort_item){ .order = prefix, .at = i };
    }
    enum cl_status status = cl_sort(keys, count);
    for (size_t i = 0; i < count && status == CL_OK; i++) sorted[i] = &changes[keys[i].at];
    free(keys);
    return status;
}

enum cl_status smt_sort_changes(const struct cl_smt_leaf ***out, size_t *out_count, const struct cl_smt_leaf *changes, size_t count)
{
    size_t used = 0;
    const struct cl_smt_leaf **sorted = malloc((count + 1) * sizeof *sorted);
    enum cl_status status = sorted != NULL ? CL_OK : CL_E_MEMORY;
    if (status == CL_OK && is_sorted(changes, count)) {
        for (size_t i = 0; i < count; i++) sorted[i] = &changes[i];
    } else if (status == CL_OK) {
        status = sort_prefixes(sorted, changes, count);
    }
    if (status != CL_OK) {
        free(sorted);
        return status;
    }
    sort_ties(sorted, count);
    for (size_t i = 0; i < count; i++) {
        if (used > 0 && memcmp(sorted[used - 1]->key_hash, sorted[i]->key_hash, 32) == 0) used--;
        sorted[used++] = sorted[i];
    }
    *out = sorted;
    *out_count = used;
    return CL_OK;
}

static void make_part(void *argument, unsigned number)
{
    struct apply *part = &((struct apply *)argument)[number];
    part->status = apply_changes(part, &part->root, part->old, PART_BITS, part->changes, part->change_count);
}

/* Returns: whether the changes are many and the tree has inner nodes down to where the parts begin. */
static bool parts_find(struct apply *parts, const struct cl_smt_overlay *overlay, struct view_reference start)
{
    const struct cl_smt_leaf *const *changes = overlay->sorted;
    size_t left = overlay->sorted_count;
    if (left < PARTED_MIN || overlay->tree->spread.all == NULL) return false;
    for (unsigned number = 0; number < PARTS; number++) {
        struct apply *part = &parts[number];
        part->old = start;
        for (unsigned depth = 0; depth < PART_BITS; depth++) {
            if (!view_is_inner(part->old)) return false;
            part->old = view_child(overlay->tree, part->old, number >> (PART_BITS - 1 - depth) & 1u);
        }
        part->changes = changes;
        while (part->change_count < left && part_of(changes[part->change_count]) == number) part->change_count++;
        changes += part->change_count;
        left -= part->change_count;
    }
    return true;
}

/* Each gets its share of the memory that the tree keeps, because none of them may ask the tree for it meanwhile. */
static void parts_make(struct apply *parts, struct cl_smt *tree)
{
    for (unsigned number = 0; tree->spare != NULL; number = (number + 1) % PARTS) {
        struct arena_block *block = tree->spare;
        tree->spare = block->next;
        block->next = parts[number].spare;
        parts[number].spare = block;
    }
    tree->spare_count = 0;
    tree->spread.all(tree->spread.context, make_part, parts, PARTS);
}

static void apply_init(struct apply *apply, struct cl_smt_overlay *overlay)
{
    apply->overlay = overlay;
    apply->nodes_end = &apply->nodes;
}

/* What was made, or begun, is the overlay's; what is left of the memory goes back. */
static void apply_finish(struct apply *apply)
{
    struct cl_smt_overlay *overlay = apply->overlay;
    struct arena_block *block;
    if (apply->nodes != NULL) {
        *overlay->nodes_end = apply->nodes;
        overlay->nodes_end = apply->nodes_end;
    }
    while ((block = apply->arena) != NULL) {
        apply->arena = block->next;
        block->next = overlay->arena;
        overlay->arena = block;
    }
    while ((block = apply->spare) != NULL) {
        apply->spare = block->next;
        arena_give(overlay->tree, block);
    }
    overlay->inner_count += apply->inner_count;
    overlay->bucket_count += apply->bucket_count;
    overlay->added += apply->added;
}

/* The parts, if there are any, and then the whole. */
static enum cl_status result_apply(struct apply applies[PARTS + 1], struct cl_smt_overlay *overlay, struct view_reference start)
{
    struct apply *whole = &applies[PARTS];
    enum cl_status status = CL_OK;
    for (unsigned i = 0; i <= PARTS; i++) apply_init(&applies[i], overlay);
    if (parts_find(applies, overlay, start)) {
        parts_make(applies, overlay->tree);
        whole->parts = applies;
        for (unsigned i = 0; i < PARTS; i++) {
            apply_finish(&applies[i]); /* a node's children stand before it */
            if (status == CL_OK) status = applies[i].status;
        }
    }
    whole->spare = overlay->tree->spare;
    overlay->tree->spare = NULL;
    overlay->tree->spare_count = 0;
    if (status == CL_OK) status = apply_changes(whole, &overlay->root, start, 0, overlay->sorted, overlay->sorted_count);
    apply_finish(whole);
    return status;
}

/* The parent, if there is one, has its result already. */
static enum cl_status result_make(struct cl_smt_overlay *overlay)
{
    struct view_reference start = { .base = overlay->tree->root };
    struct apply *applies = calloc(PARTS + 1, sizeof *applies);
    enum cl_status status;
    if (applies == NULL) return CL_E_MEMORY;
    status = smt_sort_changes(&overlay->sorted, &overlay->sorted_count, overlay->changes, overlay->change_count);
    if (status == CL_OK && overlay->tree->remembers) {
        overlay->before = malloc((overlay->sorted_count + 1) * sizeof *overlay->before);
        overlay->before_count = overlay->sorted_count;
        if (overlay->before == NULL) status = CL_E_MEMORY;
    }
    if (overlay->parent != NULL) start = overlay->parent->root;
    if (status == CL_OK) status = result_apply(applies, overlay, start);
    overlay->has_result = status == CL_OK;
    if (status != CL_OK) smt_result_drop(overlay);
    free(applies);
    return status;
}

enum cl_status smt_result_ensure(struct cl_smt_overlay *overlay)
{
    while (!overlay->has_result) {
        struct cl_smt_overlay *first = overlay;
        enum cl_status status;
        while (first->parent != NULL && !first->parent->has_result) first = first->parent;
        status = result_make(first);
        if (status != CL_OK) return status;
    }
    return CL_OK;
}

enum cl_status cl_smt_overlay_root(struct cl_hash *out, struct cl_smt_overlay *overlay)
{
    enum cl_status status = overlay->tree->failure;
    assert(!overlay->folded);
    if (status == CL_OK) status = smt_result_ensure(overlay);
    if (status != CL_OK) return status;
    *out = *view_hash(overlay->tree, overlay->root);
    return CL_OK;
}
