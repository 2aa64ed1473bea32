/* The log's verifiers against a tree that is computed naively by RFC 6962's own words: true paths hold, and a path that
   the input has bent holds only where it is the true one of what is claimed. */
#include "log.h"

#include "crypto.h"
#include "require.h"

#define LEAVES_MAX 96u

static struct cl_hash leaves[LEAVES_MAX];

/* RFC 6962 2.1: MTH */
static struct cl_hash tree_hash(size_t first, size_t count)
{
    struct cl_hash out, left, right;
    size_t split = 1;
    if (count == 0) {
        cl_sha256_once(out.bytes, "", 0);
        return out;
    }
    if (count == 1)
        return leaves[first];
    while (2 * split < count)
        split *= 2;
    left = tree_hash(first, split);
    right = tree_hash(first + split, count - split);
    cl_sha256_node(out.bytes, 1, left.bytes, right.bytes);
    return out;
}

/* 2.1.1: PATH(m, D[n]) */
static size_t path_of(struct cl_hash *path, size_t index, size_t first, size_t count)
{
    size_t split = 1, used;
    if (count <= 1)
        return 0;
    while (2 * split < count)
        split *= 2;
    if (index < split) {
        used = path_of(path, index, first, split);
        path[used] = tree_hash(first + split, count - split);
    } else {
        used = path_of(path, index - split, first + split, count - split);
        path[used] = tree_hash(first, split);
    }
    return used + 1;
}

/* 2.1.2: SUBPROOF(m, D[n], b) */
static size_t subproof(struct cl_hash *path, size_t m, size_t first, size_t count, bool whole)
{
    size_t split = 1, used;
    if (m == count) {
        if (whole)
            return 0;
        path[0] = tree_hash(first, count);
        return 1;
    }
    while (2 * split < count)
        split *= 2;
    if (m <= split) {
        used = subproof(path, m, first, split, whole);
        path[used] = tree_hash(first + split, count - split);
    } else {
        used = subproof(path, m - split, first + split, count - split, false);
        path[used] = tree_hash(first, split);
    }
    return used + 1;
}

static enum cl_status read_leaves(void *context, struct cl_hash *out, unsigned level, uint64_t first, unsigned count)
{
    (void)context;
    if (level != 0 || first + count > LEAVES_MAX)
        return CL_E_NOT_FOUND;
    memcpy(out, leaves + first, count * sizeof *out);
    return CL_OK;
}

struct bytes { const uint8_t *at, *end; };
static uint8_t next(struct bytes *bytes) { return bytes->at < bytes->end ? *bytes->at++ : 0; }

/* Each step bends the path: replaces, drops, doubles or swaps. */
static size_t bend(struct cl_hash *path, size_t count, struct bytes *bytes)
{
    while (bytes->at < bytes->end && count < CL_LOG_PATH_MAX) {
        uint8_t what = next(bytes), where = next(bytes), with = next(bytes);
        size_t at = count > 0 ? where % count : 0;
        if (what % 5 == 0 && count > 0) {
            path[at] = tree_hash(with % LEAVES_MAX, 1 + where % (LEAVES_MAX - with % LEAVES_MAX));
        } else if (what % 5 == 1 && count > 0) {
            memmove(path + at, path + at + 1, (count - at - 1) * sizeof *path);
            count--;
        } else if (what % 5 == 2) {
            memmove(path + at + 1, path + at, (count - at) * sizeof *path);
            path[at] = leaves[with % LEAVES_MAX];
            count++;
        } else if (what % 5 == 3 && count > 0) {
            struct cl_hash swap = path[at];
            path[at] = path[with % count];
            path[with % count] = swap;
        } else if (count > 0) {
            path[at].bytes[with % 32] ^= what;
        }
    }
    return count;
}

static void inclusion(size_t size, size_t index, struct bytes *bytes)
{
    struct cl_hash path[CL_LOG_PATH_MAX + 1], made[CL_LOG_PATH_MAX], root = tree_hash(0, size), other;
    struct cl_leaf_hash leaf;
    struct cl_log_source source = {NULL, read_leaves};
    size_t made_count, count = path_of(path, index, 0, size);
    require(cl_log_root(&other, &source, size) == CL_OK && memcmp(&other, &root, 32) == 0);
    require(cl_log_inclusion(made, &made_count, &source, index, size) == CL_OK && made_count == count);
    require(count == 0 || memcmp(made, path, count * sizeof *path) == 0);
    memcpy(leaf.bytes, leaves[index].bytes, 32);
    require(cl_log_check_inclusion(&root, size, index, &leaf, path, count) == CL_OK);
    uint64_t claimed_size = next(bytes), claimed_index = next(bytes);
    size_t claimed_leaf = next(bytes) % LEAVES_MAX;
    count = bend(path, count, bytes);
    memcpy(leaf.bytes, leaves[claimed_leaf].bytes, 32);
    if (cl_log_check_inclusion(&root, claimed_size, claimed_index, &leaf, path, count) == CL_OK) {
        /* a checkpoint ties size and root: here only the true size may be claimed for what is said to be true */
        require(claimed_index < claimed_size);
        require(claimed_size != size || claimed_index == claimed_leaf);
    }
}

static void consistency(size_t size1, size_t size2, struct bytes *bytes)
{
    struct cl_hash path[CL_LOG_PATH_MAX + 1], made[CL_LOG_PATH_MAX], root1 = tree_hash(0, size1), root2 = tree_hash(0, size2), lie = root1;
    struct cl_log_source source = {NULL, read_leaves};
    size_t made_count, count = size1 == 0 || size1 == size2 ? 0 : subproof(path, size1, 0, size2, true);
    require(cl_log_consistency(made, &made_count, &source, size1, size2) == CL_OK && made_count == count);
    require(count == 0 || memcmp(made, path, count * sizeof *path) == 0);
    require(cl_log_check_consistency(&root1, size1, &root2, size2, path, count) == CL_OK);
    size_t first = next(bytes) % LEAVES_MAX, width = 1 + next(bytes) % (LEAVES_MAX - first);
    lie = tree_hash(first, width);
    count = bend(path, count, bytes);
    if (size1 > 0 && cl_log_check_consistency(&lie, size1, &root2, size2, path, count) == CL_OK)
        require(memcmp(&lie, &root1, 32) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool made;
    struct bytes bytes = {data, data + size};
    if (size < 3)
        return 0;
    for (size_t i = 0; i < LEAVES_MAX && !made; i++)
        cl_sha256_once(leaves[i].bytes, &i, sizeof i);
    made = true;
    uint8_t what = next(&bytes);
    size_t one = next(&bytes) % (LEAVES_MAX + 1), two = next(&bytes) % (LEAVES_MAX + 1);
    size_t small = one < two ? one : two, large = one < two ? two : one;
    if (what % 2 == 0 && small < large)
        inclusion(large, small, &bytes);
    else if (what % 2 == 1)
        consistency(small, large, &bytes);
    return 0;
}
