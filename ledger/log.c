/* The append-only log's Merkle tree: frontier, roots, proofs and their verifiers. Pure. A proof needs the roots of a few
   perfect subtrees; each is computed from at most 128 hashes of one tile, and always lies wholly within the tree. */
#include "log.h"

#include <assert.h>

#include "crypto.h"

static void node_hash(struct cl_hash *out, const struct cl_hash *left, const struct cl_hash *right)
{
    cl_sha256_node(out->bytes, 0x01, left->bytes, right->bytes);
}

void cl_log_leaf_hash(struct cl_leaf_hash *out, const void *data, size_t length)
{
    static const uint8_t prefix = 0x00;
    struct cl_sha256 hash;
    cl_sha256_init(&hash);
    cl_sha256_update(&hash, &prefix, 1);
    if (length > 0) cl_sha256_update(&hash, data, length);
    cl_sha256_final(&hash, out->bytes);
}

void cl_log_frontier_init(struct cl_log_frontier *frontier)
{
    memset(frontier, 0, sizeof *frontier);
}

bool cl_log_frontier_append_tile(struct cl_log_frontier *frontier, const struct cl_leaf_hash *leaf, struct cl_hash *tile_root)
{
    struct cl_hash carry;
    unsigned level = 0;
    assert(frontier->size < CL_LOG_SIZE_MAX);
    memcpy(carry.bytes, leaf->bytes, sizeof carry.bytes);
    for (; (frontier->size >> level & 1) != 0; level++) {
        node_hash(&carry, &frontier->peaks[level], &carry);
        memset(&frontier->peaks[level], 0, sizeof frontier->peaks[level]);
        if (level + 1 == CL_TILE_HEIGHT) *tile_root = carry;
    }
    frontier->peaks[level] = carry;
    frontier->size++;
    return level >= CL_TILE_HEIGHT;
}

void cl_log_frontier_append(struct cl_log_frontier *frontier, const struct cl_leaf_hash *leaf)
{
    struct cl_hash tile_root;
    (void)cl_log_frontier_append_tile(frontier, leaf, &tile_root);
}

void cl_log_frontier_root(struct cl_hash *out, const struct cl_log_frontier *frontier)
{
    struct cl_hash root;
    bool have = false;
    if (frontier->size == 0) {
        cl_sha256_once(out->bytes, "", 0);
        return;
    }
    for (unsigned level = 0; level < CL_LOG_PATH_MAX; level++) {
        if ((frontier->size >> level & 1) == 0) continue;
        if (have) node_hash(&root, &frontier->peaks[level], &root);
        else root = frontier->peaks[level];
        have = true;
    }
    *out = root;
}

/* Root of the perfect subtree over leaves [index << level, (index + 1) << level). */
static enum cl_status perfect_root(struct cl_hash *out, const struct cl_log_source *source, unsigned level, uint64_t index)
{
    struct cl_hash hashes[CL_TILE_WIDTH / 2];
    unsigned within = level % CL_TILE_HEIGHT;
    unsigned count = 1u << within;
    enum cl_status status = (*source->read)(source->context, hashes, level / CL_TILE_HEIGHT, index << within, count);
    if (status != CL_OK) return status;
    for (; count > 1; count /= 2) {
        for (unsigned i = 0; i < count / 2; i++) node_hash(&hashes[i], &hashes[2 * i], &hashes[2 * i + 1]);
    }
    *out = hashes[0];
    return CL_OK;
}

/* The largest power of two below n, as its exponent; n >= 2. */
static unsigned split_level(uint64_t n)
{
    unsigned level = 0;
    assert(n >= 2);
    while (UINT64_C(1) << (level + 1) < n) level++;
    return level;
}

/* MTH of leaves [start, start + count), where start is a multiple of a power of two that is at least count: so every
   part is a perfect subtree of the whole tree. */
static enum cl_status range_root(struct cl_hash *out, const struct cl_log_source *source, uint64_t start, uint64_t count)
{
    struct cl_hash root, part;
    bool have = false;
    assert(count > 0);
    for (unsigned level = 0; level < CL_LOG_PATH_MAX; level++) {
        if ((count >> level & 1) == 0) continue;
        uint64_t first = start + (((count >> level) - 1) << level);
        enum cl_status status = perfect_root(&part, source, level, first >> level);
        if (status != CL_OK) return status;
        if (have) node_hash(&root, &part, &root);
        else root = part;
        have = true;
    }
    *out = root;
    return CL_OK;
}

static void reverse(struct cl_hash *path, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct cl_hash swap = path[i];
        path[i] = path[count - 1 - i];
        path[count - 1 - i] = swap;
    }
}

enum cl_status cl_log_inclusion(struct cl_hash path[CL_LOG_PATH_MAX], size_t *count, const struct cl_log_source *source,
                                uint64_t index, uint64_t size)
{
    uint64_t start = 0, width = size;
    size_t used = 0;
    if (size > CL_LOG_SIZE_MAX || index >= size) return CL_E_ARGUMENT;
    while (width > 1) {
        uint64_t half = UINT64_C(1) << split_level(width);
        bool right = index - start >= half;
        enum cl_status status = right ? range_root(&path[used], source, start, half)
                                      : range_root(&path[used], source, start + half, width - half);
        if (status != CL_OK) return status;
        used++;
        if (right) start += half;
        width = right ? width - half : half;
    }
    reverse(path, used);
    *count = used;
    return CL_OK;
}

/* RFC 6962 2.1.2, SUBPROOF unrolled: `whole` says that the old tree's part is still a whole subtree of the old tree, whose
   root the verifier has already. */
enum cl_status cl_log_consistency(struct cl_hash path[CL_LOG_PATH_MAX], size_t *count, const struct cl_log_source *source,
                                  uint64_t size1, uint64_t size2)
{
    uint64_t start = 0, width = size2, old = size1;
    size_t used = 0;
    bool whole = true;
    enum cl_status status = CL_OK;
    if (size2 > CL_LOG_SIZE_MAX || size1 > size2) return CL_E_ARGUMENT;
    *count = 0;
    if (size1 == 0 || size1 == size2) return CL_OK;
    while (old != width) {
        uint64_t half = UINT64_C(1) << split_level(width);
        bool right = old > half;
        status = right ? range_root(&path[used], source, start, half)
                       : range_root(&path[used], source, start + half, width - half);
        if (status != CL_OK) return status;
        used++;
        if (right) {
            start += half;
            old -= half;
            width -= half;
            whole = false;
        } else {
            width = half;
        }
    }
    if (!whole) {
        status = range_root(&path[used], source, start, width);
        if (status != CL_OK) return status;
        used++;
    }
    reverse(path, used);
    *count = used;
    return CL_OK;
}

enum cl_status cl_log_root(struct cl_hash *out, const struct cl_log_source *source, uint64_t size)
{
    if (size > CL_LOG_SIZE_MAX) return CL_E_ARGUMENT;
    if (size == 0) {
        cl_sha256_once(out->bytes, "", 0);
        return CL_OK;
    }
    return range_root(out, source, 0, size);
}

enum cl_status cl_log_frontier_load(struct cl_log_frontier *out, const struct cl_log_source *source, uint64_t size)
{
    struct cl_log_frontier frontier;
    if (size > CL_LOG_SIZE_MAX) return CL_E_ARGUMENT;
    cl_log_frontier_init(&frontier);
    frontier.size = size;
    for (unsigned level = 0; level < CL_LOG_PATH_MAX; level++) {
        if ((size >> level & 1) == 0) continue;
        enum cl_status status = perfect_root(&frontier.peaks[level], source, level, (size >> level) - 1);
        if (status != CL_OK) return status;
    }
    *out = frontier;
    return CL_OK;
}

/* Climbs one step, as RFC 9162 2.1.3.2 and 2.1.4.2 do: `first` and `last` are the path's and the last node's index on this
   level. Returns whether the sibling stands on the left. */
static bool climb(uint64_t *first, uint64_t *last)
{
    bool left = (*first & 1) != 0 || *first == *last;
    if (left) {
        while ((*first & 1) == 0 && *first != 0) {
            *first >>= 1;
            *last >>= 1;
        }
    }
    *first >>= 1;
    *last >>= 1;
    return left;
}

enum cl_status cl_log_root_of_path(struct cl_hash *out, uint64_t size, uint64_t index, const struct cl_leaf_hash *leaf,
                                   const struct cl_hash *path, size_t count)
{
    struct cl_hash hash;
    uint64_t first = index, last;
    if (size > CL_LOG_SIZE_MAX || index >= size || count > CL_LOG_PATH_MAX) return CL_E_PROOF;
    last = size - 1;
    memcpy(hash.bytes, leaf->bytes, sizeof hash.bytes);
    for (size_t i = 0; i < count; i++) {
        if (last == 0) return CL_E_PROOF;
        if (climb(&first, &last)) node_hash(&hash, &path[i], &hash);
        else node_hash(&hash, &hash, &path[i]);
    }
    if (last != 0) return CL_E_PROOF;
    *out = hash;
    return CL_OK;
}

enum cl_status cl_log_check_inclusion(const struct cl_hash *root, uint64_t size, uint64_t index, const struct cl_leaf_hash *leaf,
                                      const struct cl_hash *path, size_t count)
{
    struct cl_hash found;
    enum cl_status status = cl_log_root_of_path(&found, size, index, leaf, path, count);
    if (status != CL_OK) return status;
    return memcmp(found.bytes, root->bytes, sizeof found.bytes) == 0 ? CL_OK : CL_E_PROOF;
}

enum cl_status cl_log_check_consistency(const struct cl_hash *root1, uint64_t size1, const struct cl_hash *root2, uint64_t size2,
                                        const struct cl_hash *path, size_t count)
{
    struct cl_hash empty, old, new;
    uint64_t first, last;
    size_t used = 0;
    if (size2 > CL_LOG_SIZE_MAX || size1 > size2 || count > CL_LOG_PATH_MAX) return CL_E_PROOF;
    if (size1 == 0) {
        cl_sha256_once(empty.bytes, "", 0);
        if (count != 0 || memcmp(&empty, root1, sizeof empty) != 0) return CL_E_PROOF;
        return size2 != 0 || memcmp(root1, root2, sizeof empty) == 0 ? CL_OK : CL_E_PROOF;
    }
    if (size1 == size2) return count == 0 && memcmp(root1, root2, sizeof *root1) == 0 ? CL_OK : CL_E_PROOF;
    first = size1 - 1;
    last = size2 - 1;
    for (; (first & 1) != 0; first >>= 1) last >>= 1;
    /* Where size1 is a power of two its root is the first node, and the path leaves it out. */
    if ((size1 & (size1 - 1)) == 0) old = *root1;
    else if (count > 0) old = path[used++];
    else return CL_E_PROOF;
    new = old;
    for (; used < count; used++) {
        if (last == 0) return CL_E_PROOF;
        if (climb(&first, &last)) {
            node_hash(&old, &path[used], &old);
            node_hash(&new, &path[used], &new);
        } else {
            node_hash(&new, &new, &path[used]);
        }
    }
    if (last != 0 || memcmp(&old, root1, sizeof old) != 0 || memcmp(&new, root2, sizeof new) != 0) return CL_E_PROOF;
    return CL_OK;
}
