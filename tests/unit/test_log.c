/* The log's tree against RFC 6962's own definition, written down naively, and against published roots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto.h"
#include "log.h"

/* ---- the definition: MTH, PATH and PROOF of RFC 6962 section 2.1, over an array of leaf hashes */

static uint64_t below(uint64_t n)
{
    uint64_t k = 1;
    while (k * 2 < n) k *= 2;
    return k;
}

static struct cl_hash mth(const struct cl_hash *leaves, uint64_t n)
{
    struct cl_hash out, left, right;
    if (n == 0) {
        cl_sha256_once(out.bytes, "", 0);
        return out;
    }
    if (n == 1) return leaves[0];
    left = mth(leaves, below(n));
    right = mth(leaves + below(n), n - below(n));
    cl_sha256_node(out.bytes, 1, left.bytes, right.bytes);
    return out;
}

static size_t reference_path(struct cl_hash *out, const struct cl_hash *leaves, uint64_t m, uint64_t n)
{
    size_t used;
    uint64_t k;
    if (n == 1) return 0;
    k = below(n);
    if (m < k) {
        used = reference_path(out, leaves, m, k);
        out[used] = mth(leaves + k, n - k);
    } else {
        used = reference_path(out, leaves + k, m - k, n - k);
        out[used] = mth(leaves, k);
    }
    return used + 1;
}

static size_t reference_proof(struct cl_hash *out, const struct cl_hash *leaves, uint64_t m, uint64_t n, bool whole)
{
    size_t used;
    uint64_t k;
    if (m == n) {
        if (whole) return 0;
        out[0] = mth(leaves, n);
        return 1;
    }
    k = below(n);
    if (m <= k) {
        used = reference_proof(out, leaves, m, k, whole);
        out[used] = mth(leaves + k, n - k);
    } else {
        used = reference_proof(out, leaves + k, m - k, n - k, false);
        out[used] = mth(leaves, k);
    }
    return used + 1;
}

/* ---- tiles of one tree, strict about what may be asked for */

#define LEVELS 4
struct tiles { uint64_t size; struct cl_hash *levels[LEVELS]; unsigned fail_in; };

static void tiles_new(struct tiles *tiles, uint64_t size)
{
    tiles->size = size;
    tiles->fail_in = 0;
    for (unsigned level = 0; level < LEVELS; level++) {
        uint64_t count = size >> 8 * level;
        tiles->levels[level] = malloc((count + 1) * sizeof(struct cl_hash));
        for (uint64_t i = 0; i < count; i++) {
            if (level == 0) cl_log_leaf_hash((struct cl_leaf_hash *)&tiles->levels[0][i], &i, sizeof i);
            else tiles->levels[level][i] = mth(tiles->levels[level - 1] + 256 * i, 256);
        }
    }
}

static void tiles_free(struct tiles *tiles)
{
    for (unsigned level = 0; level < LEVELS; level++) free(tiles->levels[level]);
}

static enum cl_status tiles_read(void *context, struct cl_hash *out, unsigned tile_level, uint64_t first, unsigned count)
{
    struct tiles *tiles = context;
    assert_true(tile_level < LEVELS && count > 0 && count <= 256);
    assert_true(first / 256 == (first + count - 1) / 256);
    assert_true(first + count <= tiles->size >> 8 * tile_level); /* complete subtrees only */
    if (tiles->fail_in > 0 && --tiles->fail_in == 0) return CL_E_STORE_IO;
    memcpy(out, tiles->levels[tile_level] + first, count * sizeof *out);
    return CL_OK;
}

static void check_size(const struct tiles *all, uint64_t size)
{
    struct tiles tiles = *all;
    struct cl_log_source source = { &tiles, tiles_read };
    struct cl_log_frontier frontier, loaded;
    struct cl_hash root, expected;
    tiles.size = size; /* a smaller tree's tiles are the first of a larger one's */
    expected = mth(all->levels[0], size);
    cl_log_frontier_init(&frontier);
    for (uint64_t i = 0; i < size; i++) cl_log_frontier_append(&frontier, (const struct cl_leaf_hash *)&all->levels[0][i]);
    cl_log_frontier_root(&root, &frontier);
    assert_memory_equal(&root, &expected, sizeof root);
    assert_int_equal(cl_log_root(&root, &source, size), CL_OK);
    assert_memory_equal(&root, &expected, sizeof root);
    assert_int_equal(cl_log_frontier_load(&loaded, &source, size), CL_OK);
    assert_memory_equal(&loaded, &frontier, sizeof loaded);
}

static void check_inclusion(const struct tiles *all, uint64_t index, uint64_t size)
{
    struct tiles tiles = *all;
    struct cl_log_source source = { &tiles, tiles_read };
    struct cl_hash path[CL_LOG_PATH_MAX], expected[CL_LOG_PATH_MAX], root = mth(all->levels[0], size);
    struct cl_leaf_hash leaf;
    size_t count = 99, expected_count = reference_path(expected, all->levels[0], index, size);
    tiles.size = size;
    memcpy(&leaf, &all->levels[0][index], sizeof leaf);
    assert_int_equal(cl_log_inclusion(path, &count, &source, index, size), CL_OK);
    assert_int_equal(count, expected_count);
    if (count > 0) assert_memory_equal(path, expected, count * sizeof *path);
    assert_int_equal(cl_log_check_inclusion(&root, size, index, &leaf, path, count), CL_OK);
    if (count > 0) {
        assert_int_equal(cl_log_check_inclusion(&root, size, index, &leaf, path, count - 1), CL_E_PROOF);
        path[(index + size) % count].bytes[size % 32] ^= 1;
        assert_int_equal(cl_log_check_inclusion(&root, size, index, &leaf, path, count), CL_E_PROOF);
        path[(index + size) % count].bytes[size % 32] ^= 1;
        path[count] = path[0];
        assert_int_equal(cl_log_check_inclusion(&root, size, index, &leaf, path, count + 1), CL_E_PROOF);
        assert_int_equal(cl_log_check_inclusion(&root, size, index ^ 1, &leaf, path, count), CL_E_PROOF);
    }
    leaf.bytes[7] ^= 1;
    assert_int_equal(cl_log_check_inclusion(&root, size, index, &leaf, path, count), CL_E_PROOF);
}

static void check_consistency(const struct tiles *all, uint64_t size1, uint64_t size2)
{
    struct tiles tiles = *all;
    struct cl_log_source source = { &tiles, tiles_read };
    struct cl_hash path[CL_LOG_PATH_MAX], expected[CL_LOG_PATH_MAX];
    struct cl_hash root1 = mth(all->levels[0], size1), root2 = mth(all->levels[0], size2);
    size_t count = 99, expected_count = size1 == 0 ? 0 : reference_proof(expected, all->levels[0], size1, size2, true);
    tiles.size = size2;
    assert_int_equal(cl_log_consistency(path, &count, &source, size1, size2), CL_OK);
    assert_int_equal(count, expected_count);
    if (count > 0) assert_memory_equal(path, expected, count * sizeof *path);
    assert_int_equal(cl_log_check_consistency(&root1, size1, &root2, size2, path, count), CL_OK);
    if (count > 0) {
        assert_int_equal(cl_log_check_consistency(&root1, size1, &root2, size2, path, count - 1), CL_E_PROOF);
        path[(size1 + size2) % count].bytes[size1 % 32] ^= 0x80;
        assert_int_equal(cl_log_check_consistency(&root1, size1, &root2, size2, path, count), CL_E_PROOF);
        path[(size1 + size2) % count].bytes[size1 % 32] ^= 0x80;
        path[count] = path[0];
        assert_int_equal(cl_log_check_consistency(&root1, size1, &root2, size2, path, count + 1), CL_E_PROOF);
    }
    root1.bytes[0] ^= 1;
    assert_int_equal(cl_log_check_consistency(&root1, size1, &root2, size2, path, count), CL_E_PROOF);
    root1.bytes[0] ^= 1;
    if (size1 > 0) {
        root2.bytes[31] ^= 1;
        assert_int_equal(cl_log_check_consistency(&root1, size1, &root2, size2, path, count), CL_E_PROOF);
    }
}

/* ---- claims */

static void hex(char out[65], const struct cl_hash *hash)
{
    for (size_t i = 0; i < 32; i++) (void)snprintf(out + 2 * i, 3, "%02x", hash->bytes[i]);
}

/* The eight leaves and roots that Certificate Transparency's implementations test with. */
static void roots_are_those_that_certificate_transparency_publishes(void **state)
{
    static const struct { const char *data; size_t length; } leaves[8] = {
        { "", 0 }, { "\x00", 1 }, { "\x10", 1 }, { "\x20\x21", 2 }, { "\x30\x31", 2 }, { "\x40\x41\x42\x43", 4 },
        { "\x50\x51\x52\x53\x54\x55\x56\x57", 8 }, { "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16 },
    };
    static const char *const roots[9] = {
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    };
    struct cl_log_frontier frontier;
    struct cl_leaf_hash leaf;
    struct cl_hash root;
    char text[65];
    (void)state;
    cl_log_frontier_init(&frontier);
    for (size_t i = 0;; i++) {
        cl_log_frontier_root(&root, &frontier);
        hex(text, &root);
        assert_string_equal(text, roots[i]);
        if (i == 8) break;
        cl_log_leaf_hash(&leaf, leaves[i].data, leaves[i].length);
        cl_log_frontier_append(&frontier, &leaf);
    }
}

static void all_sizes_to_300_agree_with_the_definition(void **state)
{
    struct tiles tiles;
    (void)state;
    tiles_new(&tiles, 300);
    for (uint64_t size = 0; size <= 300; size++) {
        check_size(&tiles, size);
        for (uint64_t index = 0; index < size; index += size < 70 ? 1 : 1 + size / 23) check_inclusion(&tiles, index, size);
        for (uint64_t old = 0; old <= size; old += size < 70 ? 1 : 1 + size / 23) check_consistency(&tiles, old, size);
    }
    tiles_free(&tiles);
}

static void sizes_around_whole_tiles_and_random_ones_agree_with_the_definition(void **state)
{
    static const uint64_t sizes[] = { 511, 512, 513, 1023, 1025, 65535, 65536, 65537, 65792, 65793, 69999 };
    struct tiles tiles;
    uint64_t random = 42;
    (void)state;
    tiles_new(&tiles, 70000);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] + 12; i++) {
        uint64_t size, other;
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        size = i < sizeof sizes / sizeof sizes[0] ? sizes[i] : 1 + (random >> 33) % 70000;
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        other = (random >> 33) % size;
        check_size(&tiles, size);
        check_inclusion(&tiles, other, size);
        check_inclusion(&tiles, size - 1, size);
        check_consistency(&tiles, other, size);
        check_consistency(&tiles, other + 1, size);
    }
    tiles_free(&tiles);
}

static void a_source_that_fails_is_heard(void **state)
{
    struct tiles tiles;
    struct cl_log_source source = { &tiles, tiles_read };
    struct cl_hash path[CL_LOG_PATH_MAX], root;
    struct cl_log_frontier frontier;
    size_t count;
    (void)state;
    tiles_new(&tiles, 1000);
    for (unsigned n = 1; n <= 3; n++) {
        tiles.fail_in = n;
        assert_int_equal(cl_log_inclusion(path, &count, &source, 5, 1000), CL_E_STORE_IO);
        tiles.fail_in = n;
        assert_int_equal(cl_log_consistency(path, &count, &source, 5, 1000), CL_E_STORE_IO);
        tiles.fail_in = n;
        assert_int_equal(cl_log_root(&root, &source, 1000), CL_E_STORE_IO);
        tiles.fail_in = n;
        assert_int_equal(cl_log_frontier_load(&frontier, &source, 1000), CL_E_STORE_IO);
    }
    tiles.fail_in = 0;
    tiles_free(&tiles);
}

static void what_lies_outside_the_tree_is_refused(void **state)
{
    struct tiles tiles;
    struct cl_log_source source = { &tiles, tiles_read };
    struct cl_hash path[CL_LOG_PATH_MAX] = { { { 0 } } }, root = { { 0 } };
    struct cl_leaf_hash leaf = { { 0 } };
    size_t count;
    (void)state;
    tiles_new(&tiles, 10);
    assert_int_equal(cl_log_inclusion(path, &count, &source, 10, 10), CL_E_ARGUMENT);
    assert_int_equal(cl_log_inclusion(path, &count, &source, 0, 0), CL_E_ARGUMENT);
    assert_int_equal(cl_log_inclusion(path, &count, &source, 0, UINT64_MAX), CL_E_ARGUMENT);
    assert_int_equal(cl_log_consistency(path, &count, &source, 11, 10), CL_E_ARGUMENT);
    assert_int_equal(cl_log_check_inclusion(&root, 10, 10, &leaf, path, 4), CL_E_PROOF);
    assert_int_equal(cl_log_check_inclusion(&root, UINT64_MAX, 1, &leaf, path, 64), CL_E_PROOF);
    assert_int_equal(cl_log_check_inclusion(&root, 10, 1, &leaf, path, 65), CL_E_PROOF);
    assert_int_equal(cl_log_check_consistency(&root, 11, &root, 10, path, 4), CL_E_PROOF);
    assert_int_equal(cl_log_check_consistency(&root, 3, &root, UINT64_MAX, path, 4), CL_E_PROOF);
    assert_int_equal(cl_log_check_consistency(&root, 3, &root, 10, path, 0), CL_E_PROOF);
    tiles_free(&tiles);
}

/* What leads to the root of a tree of two is no path in a larger tree, and to no leaf beside it. */
static void a_path_is_as_long_as_the_tree_is_high(void **state)
{
    struct cl_hash leaves[2] = { { { 1 } }, { { 2 } } }, root, empty;
    struct cl_leaf_hash leaf = { { 1 } };
    (void)state;
    cl_sha256_node(root.bytes, 1, leaves[0].bytes, leaves[1].bytes);
    cl_sha256_once(empty.bytes, "", 0);
    assert_int_equal(cl_log_check_inclusion(&root, 2, 0, &leaf, &leaves[1], 1), CL_OK);
    assert_int_equal(cl_log_check_consistency(&leaves[0], 1, &root, 2, &leaves[1], 1), CL_OK);
    for (uint64_t size = 3; size < 20; size++) {
        assert_int_equal(cl_log_check_inclusion(&root, size, 0, &leaf, &leaves[1], 1), CL_E_PROOF);
        assert_int_equal(cl_log_check_consistency(&leaves[0], 1, &root, size, &leaves[1], 1), CL_E_PROOF);
    }
    assert_int_equal(cl_log_check_inclusion(&leaves[0], 1, 0, &leaf, NULL, 0), CL_OK);
    assert_int_equal(cl_log_check_inclusion(&leaves[0], 1, 1, &leaf, NULL, 0), CL_E_PROOF);
    assert_int_equal(cl_log_check_consistency(&empty, 0, &root, 2, NULL, 0), CL_OK);
    assert_int_equal(cl_log_check_consistency(&empty, 0, &root, 2, &leaves[1], 1), CL_E_PROOF);
    assert_int_equal(cl_log_check_consistency(&root, 0, &root, 2, NULL, 0), CL_E_PROOF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_those_that_certificate_transparency_publishes),
        cmocka_unit_test(all_sizes_to_300_agree_with_the_definition),
        cmocka_unit_test(sizes_around_whole_tiles_and_random_ones_agree_with_the_definition),
        cmocka_unit_test(a_source_that_fails_is_heard),
        cmocka_unit_test(what_lies_outside_the_tree_is_refused),
        cmocka_unit_test(a_path_is_as_long_as_the_tree_is_high),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
