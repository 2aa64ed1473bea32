/* The state tree against a reference that recomputes everything from the sorted leaves, with keys that share long
   prefixes, overlays over overlays, branches, folds, and the trees before them; and its verifiers against proofs that were tampered with. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "buckets.h"
#include "crypto.h"
#include "smt.h"

/* ---- randomness that repeats */
static uint64_t seed;
static uint32_t draw(uint32_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 20) % bound;
}

/* ---- the reference: a sorted array of keys and value hashes */
struct entry { uint8_t key[32], value_hash[32]; };
struct model { struct entry *entries; size_t count, capacity; };

static int bit(const uint8_t *key, unsigned depth) { return key[depth / 8] >> (7 - depth % 8) & 1; }

static size_t model_place(const struct model *model, const uint8_t *key)
{
    size_t at = 0;
    while (at < model->count && memcmp(model->entries[at].key, key, 32) < 0) at++;
    return at;
}

static void model_put(struct model *model, const uint8_t *key, const uint8_t *value_hash)
{
    size_t at = model_place(model, key);
    if (at == model->count || memcmp(model->entries[at].key, key, 32) != 0) {
        if (model->count == model->capacity) {
            model->capacity = model->capacity * 2 + 8;
            model->entries = realloc(model->entries, model->capacity * sizeof *model->entries);
        }
        memmove(model->entries + at + 1, model->entries + at, (model->count - at) * sizeof *model->entries);
        model->count++;
        memcpy(model->entries[at].key, key, 32);
    }
    memcpy(model->entries[at].value_hash, value_hash, 32);
}

static struct model model_copy(const struct model *from)
{
    struct model copy = { malloc((from->count + 1) * sizeof *copy.entries), from->count, from->count + 1 };
    if (from->count > 0) memcpy(copy.entries, from->entries, from->count * sizeof *copy.entries);
    return copy;
}

static struct cl_hash reference_root(const struct entry *entries, size_t count, unsigned depth)
{
    struct cl_hash out = { { 0 } }, left, right;
    size_t split = 0;
    if (count == 0) return out;
    if (count == 1) {
        cl_sha256_node(out.bytes, 0, entries[0].key, entries[0].value_hash);
        return out;
    }
    while (split < count && bit(entries[split].key, depth) == 0) split++;
    left = reference_root(entries, split, depth + 1);
    right = reference_root(entries + split, count - split, depth + 1);
    cl_sha256_node(out.bytes, 1, left.bytes, right.bytes);
    return out;
}

static struct cl_hash model_root(const struct model *model) { return reference_root(model->entries, model->count, 0); }

/* A new key: random; or, to force deep trees, one that shares a long prefix with one that is there. */
static void draw_key(uint8_t key[32], const struct model *model, unsigned deep_percent)
{
    for (unsigned i = 0; i < 32; i++) key[i] = (uint8_t)draw(256);
    if (model->count == 0 || draw(100) >= deep_percent) return;
    const uint8_t *near = model->entries[draw((uint32_t)model->count)].key;
    unsigned bits = draw(10) == 0 ? 255 : draw(256);
    for (unsigned depth = 0; depth < bits; depth++) {
        uint8_t mask = (uint8_t)(0x80 >> depth % 8);
        key[depth / 8] = (uint8_t)((key[depth / 8] & ~mask) | (near[depth / 8] & mask));
    }
    if (bits == 255) key[31] = (uint8_t)((near[31] & 0xfe) | (~near[31] & 1));
}

static struct cl_smt_leaf leaf_of(const uint8_t *key, const uint8_t *value_hash)
{
    struct cl_smt_leaf leaf;
    memcpy(leaf.key_hash, key, 32);
    cl_sha256_node(leaf.leaf_hash, 0, key, value_hash);
    return leaf;
}

static void put_some(struct cl_smt_overlay *overlay, struct model *model, unsigned count, unsigned deep_percent)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t key[32], value_hash[32];
        if (model->count > 0 && draw(5) == 0) memcpy(key, model->entries[draw((uint32_t)model->count)].key, 32);
        else draw_key(key, model, deep_percent);
        for (unsigned j = 0; j < 32; j++) value_hash[j] = (uint8_t)draw(256);
        struct cl_smt_leaf leaf = leaf_of(key, value_hash);
        assert_int_equal(cl_smt_overlay_put(overlay, &leaf), CL_OK);
        model_put(model, key, value_hash);
    }
}

/* ---- parts of a root by several threads at once, and by one from the last to the first */
struct crew { void (*run)(void *argument, unsigned part); void *argument; unsigned count; atomic_uint next; };
static unsigned spread_parts; /* since it was set to 0 */

static void *take_parts(void *context)
{
    struct crew *crew = context;
    unsigned part;
    while ((part = atomic_fetch_add(&crew->next, 1)) < crew->count) crew->run(crew->argument, part);
    return NULL;
}

static void by_threads(void *context, void (*run)(void *argument, unsigned part), void *argument, unsigned count)
{
    struct crew crew = { .run = run, .argument = argument, .count = count };
    pthread_t threads[4];
    (void)context;
    for (unsigned i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, take_parts, &crew), 0);
    for (unsigned i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    spread_parts += count;
}

static void backwards(void *context, void (*run)(void *argument, unsigned part), void *argument, unsigned count)
{
    (void)context;
    for (unsigned part = count; part-- > 0;) run(argument, part);
    spread_parts += count;
}

static struct cl_smt_spread spread; /* of trees that are made; none at first */

static struct cl_smt *tree_new(struct cl_smt_buckets *buckets)
{
    struct cl_smt *tree = NULL;
    assert_int_equal(cl_buckets_memory_new(buckets), CL_OK);
    assert_int_equal(cl_smt_new(&tree, buckets), CL_OK);
    cl_smt_set_spread(tree, &spread);
    return tree;
}

static struct cl_smt *tree_of(struct cl_smt_buckets *buckets, const struct model *model)
{
    struct cl_smt *tree = tree_new(buckets);
    for (size_t i = 0; i < model->count; i++) {
        struct cl_smt_leaf leaf = leaf_of(model->entries[i].key, model->entries[i].value_hash);
        assert_int_equal(cl_smt_build_add(tree, &leaf), CL_OK);
    }
    assert_int_equal(cl_smt_build_finish(tree), CL_OK);
    return tree;
}

static void check_root(const struct cl_smt *tree, const struct model *model)
{
    struct cl_hash root, expected = model_root(model);
    cl_smt_root(&root, tree);
    assert_memory_equal(&root, &expected, sizeof root);
    assert_int_equal(cl_smt_count(tree), model->count);
}

static void check_overlay(struct cl_smt_overlay *overlay, const struct model *model)
{
    struct cl_hash root, expected = model_root(model);
    assert_int_equal(cl_smt_overlay_root(&root, overlay), CL_OK);
    assert_memory_equal(&root, &expected, sizeof root);
}

/* ---- proofs of one tree, or (past not NULL) of what it was */

static enum cl_status prove(struct cl_smt_path *path, struct cl_smt_leaf *leaf, struct cl_smt *tree, const struct cl_smt_past *past, const uint8_t *key)
{
    return past != NULL ? cl_smt_past_prove(path, leaf, past, key) : cl_smt_prove(path, leaf, tree, key);
}

static void check_leaf(struct cl_smt *tree, const struct cl_smt_past *past, const struct cl_hash *root, const struct entry *entry)
{
    static struct cl_smt_path path;
    struct cl_smt_leaf leaf, expected = leaf_of(entry->key, entry->value_hash);
    bool found = false;
    assert_int_equal(cl_smt_contains(&found, tree, entry->key), CL_OK);
    assert_true(found);
    assert_int_equal(prove(&path, &leaf, tree, past, entry->key), CL_OK);
    assert_memory_equal(&leaf, &expected, sizeof leaf);
    assert_int_equal(cl_smt_check_existence(root, entry->key, entry->value_hash, path.siblings, path.count), CL_OK);
    if (path.count > 0) {
        assert_int_equal(cl_smt_check_existence(root, entry->key, entry->value_hash, path.siblings, path.count - 1), CL_E_PROOF);
        assert_int_equal(cl_smt_check_existence(root, entry->key, entry->value_hash, path.siblings + 1, path.count - 1), CL_E_PROOF);
    }
}

/* Proof of a leaf, in the form that the verifier of absence takes. */
struct side { struct entry entry; struct cl_smt_path path; struct cl_smt_neighbour neighbour; };

static void side_make(struct side *side, struct cl_smt *tree, const struct cl_smt_past *past, const struct model *model, const uint8_t *key)
{
    struct cl_smt_leaf leaf;
    size_t at = model_place(model, key);
    assert_true(at < model->count && memcmp(model->entries[at].key, key, 32) == 0);
    side->entry = model->entries[at];
    assert_int_equal(prove(&side->path, &leaf, tree, past, key), CL_OK);
    side->neighbour = (struct cl_smt_neighbour){ side->entry.key, side->entry.value_hash, side->path.siblings, side->path.count };
}

static void check_absent(struct cl_smt *tree, const struct cl_smt_past *past, const struct model *model, const struct cl_hash *root, const uint8_t *key)
{
    static struct side left, right, wrong;
    struct cl_smt_leaf left_leaf, right_leaf;
    size_t at = model_place(model, key);
    bool has_left, has_right, found = true;
    const struct cl_smt_neighbour *left_or_null, *right_or_null;
    if (at < model->count && memcmp(model->entries[at].key, key, 32) == 0) return;
    if (past == NULL) {
        assert_int_equal(cl_smt_contains(&found, tree, key), CL_OK);
        assert_false(found);
        assert_int_equal(cl_smt_neighbours(&has_left, &left_leaf, &has_right, &right_leaf, tree, key), CL_OK);
    } else {
        assert_int_equal(cl_smt_past_neighbours(&has_left, &left_leaf, &has_right, &right_leaf, past, key), CL_OK);
    }
    assert_int_equal(prove(&left.path, &(struct cl_smt_leaf){ { 0 }, { 0 } }, tree, past, key), CL_E_NOT_FOUND);
    assert_int_equal(has_left, at > 0);
    assert_int_equal(has_right, at < model->count);
    if (has_left) {
        assert_memory_equal(left_leaf.key_hash, model->entries[at - 1].key, 32);
        side_make(&left, tree, past, model, left_leaf.key_hash);
    }
    if (has_right) {
        assert_memory_equal(right_leaf.key_hash, model->entries[at].key, 32);
        side_make(&right, tree, past, model, right_leaf.key_hash);
    }
    left_or_null = has_left ? &left.neighbour : NULL;
    right_or_null = has_right ? &right.neighbour : NULL;
    assert_int_equal(cl_smt_check_absence(root, key, left_or_null, right_or_null), has_left || has_right ? CL_OK : CL_E_PROOF);
    /* A leaf further out is no neighbour, and neither is one side an edge that is none. */
    if (at > 1) {
        side_make(&wrong, tree, past, model, model->entries[draw((uint32_t)at - 1)].key);
        assert_int_equal(cl_smt_check_absence(root, key, &wrong.neighbour, right_or_null), CL_E_PROOF);
    }
    if (at + 1 < model->count) {
        side_make(&wrong, tree, past, model, model->entries[at + 1 + draw((uint32_t)(model->count - at - 1))].key);
        assert_int_equal(cl_smt_check_absence(root, key, left_or_null, &wrong.neighbour), CL_E_PROOF);
    }
    if (has_left && has_right) {
        assert_int_equal(cl_smt_check_absence(root, key, left_or_null, NULL), CL_E_PROOF);
        assert_int_equal(cl_smt_check_absence(root, key, NULL, right_or_null), CL_E_PROOF);
        assert_int_equal(cl_smt_check_absence(root, key, right_or_null, left_or_null), CL_E_PROOF);
        assert_int_equal(cl_smt_check_absence(root, left.entry.key, left_or_null, right_or_null), CL_E_PROOF);
        assert_int_equal(cl_smt_check_absence(root, right.entry.key, left_or_null, right_or_null), CL_E_PROOF);
    }
}

static void check_proofs_at(struct cl_smt *tree, const struct cl_smt_past *past, const struct model *model)
{
    struct cl_hash root = model_root(model);
    for (size_t i = 0; i < model->count; i++) check_leaf(tree, past, &root, &model->entries[i]);
    for (unsigned i = 0; i < 100; i++) {
        uint8_t key[32];
        draw_key(key, model, 50);
        check_absent(tree, past, model, &root, key);
    }
    /* right beside a leaf, on both sides */
    for (size_t i = 0; i < model->count; i += 1 + model->count / 50) {
        uint8_t key[32];
        memcpy(key, model->entries[i].key, 32);
        key[31] ^= 1;
        check_absent(tree, past, model, &root, key);
    }
}

static void check_proofs(struct cl_smt *tree, const struct model *model)
{
    check_proofs_at(tree, NULL, model);
}

/* ---- claims */

static void built_trees_have_the_reference_root_and_proofs(void **state)
{
    static const unsigned sizes[] = { 0, 1, 2, 3, 15, 16, 17, 18, 33, 100, 257, 700, 2000 };
    (void)state;
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (unsigned deep = 0; deep <= 100; deep += 50) {
            struct model model = { 0 };
            struct cl_smt_buckets buckets;
            uint8_t key[32], value_hash[32] = { 0 };
            seed = 1000 + i * 3 + deep;
            while (model.count < sizes[i]) {
                draw_key(key, &model, deep);
                value_hash[0]++;
                model_put(&model, key, value_hash);
            }
            struct cl_smt *tree = tree_of(&buckets, &model);
            check_root(tree, &model);
            check_proofs(tree, &model);
            cl_smt_free(tree);
            cl_buckets_free(&buckets);
            free(model.entries);
        }
    }
}

static void leaves_out_of_order_are_refused(void **state)
{
    struct cl_smt_buckets buckets;
    struct cl_smt *tree = tree_new(&buckets);
    struct cl_smt_leaf leaf = { { 5 }, { 1 } };
    (void)state;
    assert_int_equal(cl_smt_build_add(tree, &leaf), CL_OK);
    assert_int_equal(cl_smt_build_add(tree, &leaf), CL_E_FORMAT);
    leaf.key_hash[0] = 4;
    assert_int_equal(cl_smt_build_add(tree, &leaf), CL_E_FORMAT);
    leaf.key_hash[0] = 6;
    assert_int_equal(cl_smt_build_add(tree, &leaf), CL_OK);
    assert_int_equal(cl_smt_build_finish(tree), CL_OK);
    assert_int_equal(cl_smt_count(tree), 2);
    cl_smt_free(tree);
    cl_buckets_free(&buckets);
}

/* One chain of overlays over one tree, folded one after the other, with and without roots asked for in between. */
static void a_chain_of_overlays_folds_to_the_reference_root(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 40; round++) {
        struct model model = { 0 }, models[5];
        struct cl_smt_overlay *chain[5];
        struct cl_smt_buckets buckets;
        struct cl_smt *tree = tree_new(&buckets);
        unsigned deep = round % 3 * 40, length = 1 + round % 5;
        seed = 77 + round;
        for (unsigned turn = 0; turn < 6; turn++) {
            for (unsigned i = 0; i < length; i++) {
                assert_int_equal(cl_smt_overlay_new(&chain[i], tree, i == 0 ? NULL : chain[i - 1]), CL_OK);
                put_some(chain[i], &model, draw(round % 2 == 0 ? 12 : 120), deep);
                models[i] = model_copy(&model);
                if (draw(2) == 0) check_overlay(chain[i], &model);
            }
            if (draw(2) == 0) check_overlay(chain[length - 1], &model);
            for (unsigned i = 0; i < length; i++) {
                assert_int_equal(cl_smt_overlay_fold(chain[i]), CL_OK);
                check_root(tree, &models[i]);
                cl_smt_overlay_free(chain[i]);
                if (i + 1 < length && draw(2) == 0) check_overlay(chain[i + 1], &models[i + 1]);
                free(models[i].entries);
            }
        }
        check_proofs(tree, &model);
        cl_smt_free(tree);
        cl_buckets_free(&buckets);
        free(model.entries);
    }
}

/* Branches: of several overlays on one place one is folded; those above it go on, the others still answer, now over the
   changed tree. */
static void branches_answer_for_the_tree_they_stand_on(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        struct model model = { 0 }, left_model, right_model, top_model, other_model, other_changes = { 0 };
        struct cl_smt_overlay *base, *left, *right, *top, *other;
        struct cl_smt_buckets buckets;
        struct cl_smt *tree = tree_new(&buckets);
        seed = 500 + round;
        assert_int_equal(cl_smt_overlay_new(&base, tree, NULL), CL_OK);
        put_some(base, &model, 1 + draw(300), 30);
        assert_int_equal(cl_smt_overlay_fold(base), CL_OK);
        cl_smt_overlay_free(base);

        assert_int_equal(cl_smt_overlay_new(&base, tree, NULL), CL_OK);
        assert_int_equal(cl_smt_overlay_new(&other, tree, NULL), CL_OK);
        other_model = model_copy(&model);
        put_some(other, &other_model, 20, 30);
        check_overlay(other, &other_model);
        for (size_t i = 0; i < other_model.count; i++) { /* what other changed */
            size_t at = model_place(&model, other_model.entries[i].key);
            if (at < model.count && memcmp(&model.entries[at], &other_model.entries[i], sizeof model.entries[0]) == 0) continue;
            model_put(&other_changes, other_model.entries[i].key, other_model.entries[i].value_hash);
        }
        put_some(base, &model, draw(40), 30);
        assert_int_equal(cl_smt_overlay_new(&left, tree, base), CL_OK);
        assert_int_equal(cl_smt_overlay_new(&right, tree, base), CL_OK);
        left_model = model_copy(&model);
        right_model = model_copy(&model);
        put_some(left, &left_model, draw(40), 30);
        put_some(right, &right_model, draw(40), 30);
        check_overlay(left, &left_model);
        assert_int_equal(cl_smt_overlay_new(&top, tree, right), CL_OK);
        top_model = model_copy(&right_model);
        put_some(top, &top_model, draw(40), 30);
        check_overlay(top, &top_model);
        check_overlay(right, &right_model);
        check_overlay(base, &model);

        assert_int_equal(cl_smt_overlay_fold(base), CL_OK);
        check_root(tree, &model);
        cl_smt_overlay_free(base);
        check_overlay(top, &top_model);
        check_overlay(left, &left_model);
        /* `other` never had base's changes: it now stands on them */
        free(other_model.entries);
        other_model = model_copy(&model);
        for (size_t i = 0; i < other_changes.count; i++) model_put(&other_model, other_changes.entries[i].key, other_changes.entries[i].value_hash);
        check_overlay(other, &other_model);

        assert_int_equal(cl_smt_overlay_fold(right), CL_OK);
        cl_smt_overlay_free(right);
        cl_smt_overlay_free(left);
        check_root(tree, &right_model);
        check_overlay(top, &top_model);
        assert_int_equal(cl_smt_overlay_fold(top), CL_OK);
        cl_smt_overlay_free(top);
        cl_smt_overlay_free(other);
        check_root(tree, &top_model);
        check_proofs(tree, &top_model);
        cl_smt_free(tree);
        cl_buckets_free(&buckets);
        free(model.entries);
        free(left_model.entries);
        free(right_model.entries);
        free(top_model.entries);
        free(other_model.entries);
        free(other_changes.entries);
    }
}

static int entry_compare(const void *a, const void *b) { return memcmp(a, b, 32); }

/* Overlays of very many changes keep less, and read buckets again; small ones stand between them. Each tells what was
   before it. */
static void overlays_of_very_many_changes_agree_with_the_reference(void **state)
{
    static const unsigned sizes[] = { 3000, 40000, 20, 20000, 17000 };
    struct model model = { malloc(90000 * sizeof(struct entry)), 0, 90000 };
    struct cl_smt_overlay *chain[5];
    struct cl_smt_buckets buckets;
    struct cl_smt *tree = tree_new(&buckets);
    struct cl_hash root, expected[5];
    (void)state;
    cl_smt_remember(tree);
    seed = 2024;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(cl_smt_overlay_new(&chain[i], tree, i == 0 ? NULL : chain[i - 1]), CL_OK);
        size_t before = model.count;
        for (unsigned j = 0; j < sizes[i]; j++) {
            struct entry *entry = before > 0 && j < before && draw(3) == 0 ? &model.entries[j] : &model.entries[model.count++];
            if (entry == &model.entries[model.count - 1]) draw_key(entry->key, &(struct model){ 0 }, 0);
            for (unsigned byte = 0; byte < 32; byte++) entry->value_hash[byte] = (uint8_t)draw(256);
            struct cl_smt_leaf leaf = leaf_of(entry->key, entry->value_hash);
            assert_int_equal(cl_smt_overlay_put(chain[i], &leaf), CL_OK);
        }
        qsort(model.entries, model.count, sizeof *model.entries, entry_compare);
        expected[i] = model_root(&model);
    }
    check_overlay(chain[4], &model);
    for (unsigned i = 0; i < 5; i++) {
        struct cl_smt_past *past;
        size_t before_count;
        assert_int_equal(cl_smt_overlay_fold(chain[i]), CL_OK);
        struct cl_smt_leaf *before = cl_smt_overlay_before_take(chain[i], &before_count);
        cl_smt_overlay_free(chain[i]);
        assert_int_equal(cl_smt_past_take(&past, tree, before, before_count), CL_OK);
        cl_smt_past_root(&root, past);
        assert_memory_equal(&root, i > 0 ? &expected[i - 1] : &(struct cl_hash){ { 0 } }, sizeof root);
        cl_smt_past_free(past);
        cl_smt_root(&root, tree);
        assert_memory_equal(&root, &expected[i], sizeof root);
        if (i < 4) check_overlay(chain[4], &model);
    }
    check_root(tree, &model);
    for (size_t i = 0; i < model.count; i += 97) check_leaf(tree, NULL, &expected[4], &model.entries[i]);
    cl_smt_free(tree);
    cl_buckets_free(&buckets);
    free(model.entries);
}

static void parts_of_a_root_may_be_made_by_several_threads_at_once(void **state)
{
    static void (*const ways[])(void *, void (*)(void *, unsigned), void *, unsigned) = { by_threads, backwards };
    for (unsigned i = 0; i < 2; i++) {
        spread = (struct cl_smt_spread){ .all = ways[i] };
        spread_parts = 0;
        overlays_of_very_many_changes_agree_with_the_reference(state);
        assert_int_equal(spread_parts, 3 * 16); /* the first has no tree below it, and the third is small */
    }
    spread = (struct cl_smt_spread){ .all = NULL };
}

/* A put below others takes their roots back as well. */
static void a_put_under_other_overlays_changes_their_roots(void **state)
{
    struct model model = { 0 };
    struct cl_smt_overlay *chain[3];
    struct cl_smt_buckets buckets;
    struct cl_smt *tree = tree_new(&buckets);
    uint8_t key[32] = { 0xaa }, value_hash[32] = { 1 };
    struct cl_smt_leaf leaf = leaf_of(key, value_hash);
    (void)state;
    seed = 5;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(cl_smt_overlay_new(&chain[i], tree, i == 0 ? NULL : chain[i - 1]), CL_OK);
        put_some(chain[i], &model, 50, 20);
    }
    check_overlay(chain[2], &model);
    assert_int_equal(cl_smt_overlay_put(chain[0], &leaf), CL_OK);
    model_put(&model, key, value_hash);
    check_overlay(chain[2], &model);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(cl_smt_overlay_fold(chain[i]), CL_OK);
        cl_smt_overlay_free(chain[i]);
    }
    check_root(tree, &model);
    cl_smt_free(tree);
    cl_buckets_free(&buckets);
    free(model.entries);
}

/* The shape, and so every proof, depends on the leaves alone. */
static void the_order_of_arrival_leaves_no_trace(void **state)
{
    struct model model = { 0 };
    struct cl_smt_buckets buckets, built_buckets;
    struct cl_smt *tree = NULL, *built;
    (void)state;
    seed = 31;
    assert_int_equal(cl_buckets_file_new(&buckets, "/tmp", 40), CL_OK);
    assert_int_equal(cl_smt_new(&tree, &buckets), CL_OK);
    for (unsigned i = 0; i < 60; i++) {
        struct cl_smt_overlay *overlay;
        assert_int_equal(cl_smt_overlay_new(&overlay, tree, NULL), CL_OK);
        put_some(overlay, &model, draw(50), 25);
        assert_int_equal(cl_smt_overlay_fold(overlay), CL_OK);
        cl_smt_overlay_free(overlay);
    }
    built = tree_of(&built_buckets, &model);
    check_root(tree, &model);
    check_root(built, &model);
    for (size_t i = 0; i < model.count; i++) {
        static struct cl_smt_path a, b;
        struct cl_smt_leaf leaf;
        assert_int_equal(cl_smt_prove(&a, &leaf, tree, model.entries[i].key), CL_OK);
        assert_int_equal(cl_smt_prove(&b, &leaf, built, model.entries[i].key), CL_OK);
        assert_int_equal(a.count, b.count);
        assert_memory_equal(a.siblings, b.siblings, a.count * sizeof a.siblings[0]);
    }
    cl_smt_free(tree);
    cl_smt_free(built);
    cl_buckets_free(&buckets);
    cl_buckets_free(&built_buckets);
    free(model.entries);
}

/* Every byte of a proof of existence and of absence counts. */
static void every_byte_of_a_proof_counts(void **state)
{
    struct model model = { 0 };
    struct cl_smt_buckets buckets;
    uint8_t value_hash[32] = { 9 }, key[32];
    static struct side left, right;
    struct cl_smt_leaf left_leaf, right_leaf;
    bool has_left, has_right;
    (void)state;
    seed = 99;
    while (model.count < 400) {
        draw_key(key, &model, 20);
        model_put(&model, key, value_hash);
    }
    struct cl_smt *tree = tree_of(&buckets, &model);
    struct cl_hash root = model_root(&model);
    for (unsigned round = 0; round < 12; round++) {
        do {
            draw_key(key, &model, round % 2 * 50);
        } while (cl_smt_neighbours(&has_left, &left_leaf, &has_right, &right_leaf, tree, key) != CL_OK || !has_left || !has_right);
        side_make(&left, tree, NULL, &model, left_leaf.key_hash);
        side_make(&right, tree, NULL, &model, right_leaf.key_hash);
        assert_int_equal(cl_smt_check_absence(&root, key, &left.neighbour, &right.neighbour), CL_OK);
        for (struct side *side = &left; side != NULL; side = side == &left ? &right : NULL) {
            struct { uint8_t *bytes; size_t length; } parts[3] = {
                { side->entry.key, 32 }, { side->entry.value_hash, 32 }, { side->path.siblings[0].bytes, side->path.count * 32 },
            };
            for (unsigned part = 0; part < 3; part++) {
                for (size_t at = 0; at < parts[part].length; at++) {
                    uint8_t flip = (uint8_t)(1u << draw(8));
                    parts[part].bytes[at] ^= flip;
                    assert_int_equal(cl_smt_check_absence(&root, key, &left.neighbour, &right.neighbour), CL_E_PROOF);
                    /* Bits of a key below its path's end do not steer the path, but are hashed with the leaf. */
                    assert_int_equal(cl_smt_check_existence(&root, side->entry.key, side->entry.value_hash, side->path.siblings, side->path.count), CL_E_PROOF);
                    parts[part].bytes[at] ^= flip;
                }
            }
            side->neighbour.count--;
            assert_int_equal(cl_smt_check_absence(&root, key, &left.neighbour, &right.neighbour), CL_E_PROOF);
            side->neighbour.count = 257;
            assert_int_equal(cl_smt_check_absence(&root, key, &left.neighbour, &right.neighbour), CL_E_PROOF);
            side->neighbour.count = side->path.count;
        }
        root.bytes[round] ^= 4;
        assert_int_equal(cl_smt_check_absence(&root, key, &left.neighbour, &right.neighbour), CL_E_PROOF);
        root.bytes[round] ^= 4;
    }
    cl_smt_free(tree);
    cl_buckets_free(&buckets);
    free(model.entries);
}

/* For a key that exists, no two true leaves prove its absence: every pair in a small tree is tried. */
static void no_pair_of_true_leaves_hides_one_between_them(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 6; round++) {
        struct model model = { 0 };
        struct cl_smt_buckets buckets;
        static struct side sides[24];
        uint8_t key[32], value_hash[32] = { 3 };
        seed = 4000 + round;
        while (model.count < 24) {
            draw_key(key, &model, round * 20);
            model_put(&model, key, value_hash);
        }
        struct cl_smt *tree = tree_of(&buckets, &model);
        struct cl_hash root = model_root(&model);
        for (size_t i = 0; i < 24; i++) side_make(&sides[i], tree, NULL, &model, model.entries[i].key);
        for (size_t hidden = 0; hidden < 24; hidden++) {
            for (size_t i = 0; i <= 24; i++) {
                for (size_t j = 0; j <= 24; j++) {
                    assert_int_equal(cl_smt_check_absence(&root, model.entries[hidden].key, i < 24 ? &sides[i].neighbour : NULL,
                                                          j < 24 ? &sides[j].neighbour : NULL), CL_E_PROOF);
                }
            }
        }
        cl_smt_free(tree);
        cl_buckets_free(&buckets);
        free(model.entries);
    }
}

/* ---- buckets that fail */

struct failing { struct cl_smt_buckets inner; unsigned load_in, save_in; };

static enum cl_status failing_load(void *context, struct cl_smt_slot *out, uint32_t slot, unsigned count)
{
    struct failing *failing = context;
    if (failing->load_in > 0 && --failing->load_in == 0) return CL_E_IO;
    return failing->inner.load(failing->inner.context, out, slot, count);
}

static enum cl_status failing_save(void *context, uint32_t slot, const struct cl_smt_slot *in, unsigned count)
{
    struct failing *failing = context;
    if (failing->save_in > 0 && --failing->save_in == 0) return CL_E_IO;
    return failing->inner.save(failing->inner.context, slot, in, count);
}

static void failing_buckets_are_heard_and_a_broken_tree_says_nothing_more(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 6; n++) {
        struct failing failing = { .load_in = 0, .save_in = 0 };
        struct cl_smt_buckets buckets = { &failing, failing_load, failing_save, NULL };
        static struct cl_smt_path path;
        struct model model = { 0 };
        struct cl_smt_overlay *overlay;
        struct cl_smt_leaf leaf;
        struct cl_hash root;
        struct cl_smt *tree;
        bool found, other;
        seed = 800 + n;
        assert_int_equal(cl_buckets_memory_new(&failing.inner), CL_OK);
        assert_int_equal(cl_smt_new(&tree, &buckets), CL_OK);
        assert_int_equal(cl_smt_overlay_new(&overlay, tree, NULL), CL_OK);
        put_some(overlay, &model, 400, 10);
        assert_int_equal(cl_smt_overlay_fold(overlay), CL_OK);
        cl_smt_overlay_free(overlay);

        failing.load_in = 1;
        assert_int_equal(cl_smt_contains(&found, tree, model.entries[0].key), CL_E_IO);
        failing.load_in = 1;
        assert_int_equal(cl_smt_prove(&path, &leaf, tree, model.entries[0].key), CL_E_IO);
        failing.load_in = 1;
        uint8_t absent[32] = { 0 };
        assert_int_equal(cl_smt_neighbours(&found, &leaf, &other, &leaf, tree, absent), CL_E_IO);

        /* a failed read while hashing leaves everything as it was */
        assert_int_equal(cl_smt_overlay_new(&overlay, tree, NULL), CL_OK);
        put_some(overlay, &model, 60, 10);
        failing.load_in = n;
        assert_int_equal(cl_smt_overlay_root(&root, overlay), CL_E_IO);
        check_overlay(overlay, &model);
        /* a failed write while folding cannot be undone */
        failing.save_in = n;
        assert_int_equal(cl_smt_overlay_fold(overlay), CL_E_IO);
        assert_int_equal(cl_smt_overlay_root(&root, overlay), CL_E_IO);
        assert_int_equal(cl_smt_contains(&found, tree, model.entries[0].key), CL_E_IO);
        assert_int_equal(cl_smt_prove(&path, &leaf, tree, model.entries[0].key), CL_E_IO);
        cl_smt_overlay_free(overlay);
        cl_smt_free(tree);
        cl_buckets_free(&failing.inner);
        free(model.entries);
    }
}

/* ---- the past */

enum { PAST_MAX = 12 };
struct change { struct cl_smt_leaf *before; size_t count; };

/* The tree before the newest of the changes from `first` on, taken from the newest to the oldest. */
static struct cl_smt_past *past_of(struct cl_smt *tree, const struct change *changes, unsigned first, unsigned count)
{
    struct cl_smt_past *past;
    struct cl_smt_leaf *all;
    size_t total = 0, used = 0;
    for (unsigned i = first; i < count; i++) total += changes[i].count;
    all = malloc((total + 1) * sizeof *all);
    for (unsigned i = count; i-- > first;) {
        if (changes[i].count > 0) memcpy(all + used, changes[i].before, changes[i].count * sizeof *all);
        used += changes[i].count;
    }
    assert_int_equal(cl_smt_past_take(&past, tree, all, total), CL_OK);
    return past;
}

/* model: what the tree was then; now: what it is. */
static void check_past(struct cl_smt *tree, const struct change *changes, unsigned first, unsigned count, const struct model *model, const struct model *now)
{
    struct cl_smt_past *past = past_of(tree, changes, first, count);
    struct cl_hash root, expected = model_root(model);
    cl_smt_past_root(&root, past);
    assert_memory_equal(&root, &expected, sizeof root);
    check_proofs_at(tree, past, model);
    for (size_t i = 0; i < now->count; i++) check_absent(tree, past, model, &root, now->entries[i].key); /* what came since */
    cl_smt_past_free(past);
}

/* Trees of any size, from nothing; steps of a few changes and of many; after each, every earlier tree is there again. */
static void every_earlier_tree_is_proven_from_what_was_before(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 10; round++) {
        struct model model = { 0 }, models[PAST_MAX];
        struct change changes[PAST_MAX];
        struct cl_smt_buckets buckets;
        struct cl_smt *tree = tree_new(&buckets);
        unsigned deep = round % 3 * 45, steps;
        seed = 9000 + round;
        steps = 2 + draw(PAST_MAX - 2);
        cl_smt_remember(tree);
        for (unsigned i = 0; i < steps; i++) {
            struct cl_smt_overlay *overlay;
            models[i] = model_copy(&model);
            assert_int_equal(cl_smt_overlay_new(&overlay, tree, NULL), CL_OK);
            put_some(overlay, &model, draw(round % 5 == 0 ? 150 : round % 5 == 1 ? 2 : 25), deep);
            if (draw(2) == 0) check_overlay(overlay, &model);
            assert_int_equal(cl_smt_overlay_fold(overlay), CL_OK);
            changes[i].before = cl_smt_overlay_before_take(overlay, &changes[i].count);
            assert_non_null(changes[i].before);
            cl_smt_overlay_free(overlay);
        }
        for (unsigned i = 0; i < steps; i++) {
            check_past(tree, changes, i, steps, &models[i], &model);
            free(models[i].entries);
        }
        check_past(tree, changes, steps, steps, &model, &model); /* no change: the tree itself */
        for (unsigned i = 0; i < steps; i++) free(changes[i].before);
        cl_smt_free(tree);
        cl_buckets_free(&buckets);
        free(model.entries);
    }
}

/* An overlay that had its root before the tree began to remember, and one that stands on it, tell all the same. */
static void remembering_may_begin_at_any_time(void **state)
{
    struct model model = { 0 }, first;
    struct cl_smt_overlay *below, *above;
    struct cl_smt_buckets buckets;
    struct cl_smt *tree = tree_new(&buckets);
    size_t count = 1;
    (void)state;
    seed = 31;
    assert_int_equal(cl_smt_overlay_new(&below, tree, NULL), CL_OK);
    put_some(below, &model, 40, 20);
    assert_int_equal(cl_smt_overlay_fold(below), CL_OK);
    assert_null(cl_smt_overlay_before_take(below, &count));
    assert_int_equal(count, 0);
    cl_smt_overlay_free(below);
    first = model_copy(&model);
    assert_int_equal(cl_smt_overlay_new(&below, tree, NULL), CL_OK);
    put_some(below, &model, 30, 20);
    assert_int_equal(cl_smt_overlay_new(&above, tree, below), CL_OK);
    put_some(above, &model, 30, 20);
    check_overlay(above, &model);
    cl_smt_remember(tree);
    struct change changes[2];
    assert_int_equal(cl_smt_overlay_fold(below), CL_OK);
    changes[0].before = cl_smt_overlay_before_take(below, &changes[0].count);
    check_overlay(above, &model);
    assert_int_equal(cl_smt_overlay_fold(above), CL_OK);
    changes[1].before = cl_smt_overlay_before_take(above, &changes[1].count);
    check_root(tree, &model);
    check_past(tree, changes, 0, 2, &first, &model);
    cl_smt_overlay_free(below);
    cl_smt_overlay_free(above);
    for (unsigned i = 0; i < 2; i++) free(changes[i].before);
    cl_smt_free(tree);
    cl_buckets_free(&buckets);
    free(first.entries);
    free(model.entries);
}

static struct cl_smt_overlay *overlay_of_many(struct cl_smt *tree, unsigned number)
{
    struct cl_smt_overlay *overlay;
    seed = 900 + number;
    assert_int_equal(cl_smt_overlay_new(&overlay, tree, NULL), CL_OK);
    for (unsigned i = 0; i < 17000; i++) {
        struct cl_smt_leaf leaf;
        for (unsigned byte = 0; byte < 32; byte++) leaf.key_hash[byte] = leaf.leaf_hash[byte] = (uint8_t)draw(256);
        assert_int_equal(cl_smt_overlay_put(overlay, &leaf), CL_OK);
    }
    return overlay;
}

/* Whichever part it was that failed: nothing has changed, and the next try gives the root. */
static void a_part_that_fails_leaves_everything_as_it_was(void **state)
{
    struct failing failing = { .load_in = 0, .save_in = 0 };
    const struct cl_smt_buckets buckets = { &failing, failing_load, failing_save, NULL };
    const struct cl_smt_spread one_by_one = { .all = backwards };
    struct cl_smt_overlay *overlay;
    struct cl_hash root, expected;
    struct cl_smt *tree;
    (void)state;
    assert_int_equal(cl_buckets_memory_new(&failing.inner), CL_OK);
    assert_int_equal(cl_smt_new(&tree, &buckets), CL_OK);
    for (unsigned turn = 0; turn < 2; turn++) {
        cl_smt_set_spread(tree, &spread); /* none */
        overlay = overlay_of_many(tree, turn);
        assert_int_equal(cl_smt_overlay_root(&expected, overlay), CL_OK);
        cl_smt_overlay_free(overlay);
        cl_smt_set_spread(tree, &one_by_one);
        overlay = overlay_of_many(tree, turn);
        spread_parts = 0;
        for (unsigned n = 1; turn == 1 && n <= 1000; n += 166) {
            failing.load_in = n;
            assert_int_equal(cl_smt_overlay_root(&root, overlay), CL_E_IO);
            assert_int_equal(failing.load_in, 0);
        }
        assert_int_equal(cl_smt_overlay_root(&root, overlay), CL_OK);
        assert_memory_equal(&root, &expected, sizeof root);
        assert_int_equal(spread_parts, turn * 16 * 8); /* seven times in vain; the first turn has no tree below it */
        assert_int_equal(cl_smt_overlay_fold(overlay), CL_OK);
        cl_smt_overlay_free(overlay);
    }
    cl_smt_free(tree);
    cl_buckets_free(&failing.inner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_trees_have_the_reference_root_and_proofs),
        cmocka_unit_test(leaves_out_of_order_are_refused),
        cmocka_unit_test(a_chain_of_overlays_folds_to_the_reference_root),
        cmocka_unit_test(branches_answer_for_the_tree_they_stand_on),
        cmocka_unit_test(overlays_of_very_many_changes_agree_with_the_reference),
        cmocka_unit_test(parts_of_a_root_may_be_made_by_several_threads_at_once),
        cmocka_unit_test(a_put_under_other_overlays_changes_their_roots),
        cmocka_unit_test(the_order_of_arrival_leaves_no_trace),
        cmocka_unit_test(every_byte_of_a_proof_counts),
        cmocka_unit_test(no_pair_of_true_leaves_hides_one_between_them),
        cmocka_unit_test(every_earlier_tree_is_proven_from_what_was_before),
        cmocka_unit_test(remembering_may_begin_at_any_time),
        cmocka_unit_test(failing_buckets_are_heard_and_a_broken_tree_says_nothing_more),
        cmocka_unit_test(a_part_that_fails_leaves_everything_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
