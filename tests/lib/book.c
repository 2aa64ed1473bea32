#include "book.h"

#include <stdio.h>
#include <stdlib.h>

#include "block.h"
#include "checkpoint.h"
#include "consent/record.h"
#include "crypto.h"
#include "signing.h"

#define NEED(condition) do { if (!(condition)) { fprintf(stderr, "book.c:%d: %s\n", __LINE__, #condition); abort(); } } while (0)
#define ORIGIN "book.example/log"

static const uint8_t log_seed[32] = {1}, witness_seed[32] = {2};

static struct cl_member *member(void)
{
    static struct cl_member one;
    if (one.name[0] == '\0') {
        memcpy(one.name, "member", 7);
        one.vote[0] = 1;
        cl_ed25519_public(one.log, log_seed);
        cl_ed25519_public(one.witness, witness_seed);
        NEED(cl_public_key_of(one.party, log_seed) == CL_OK);
    }
    return &one;
}

struct cl_policy *book_policy(void)
{
    static struct cl_policy *policy;
    struct cl_buffer text = {0};
    if (policy != NULL)
        return policy;
    NEED(cl_policy_of_members(&text, ORIGIN, member(), 1) == CL_OK);
    NEED(cl_policy_new(&policy, NULL, text.data, text.length) == CL_OK);
    cl_buffer_deinit(&text);
    return policy;
}

void book_reset(struct book *book)
{
    book->leaf_count = book->state_count = 0;
    book->state_leaf.length = book->note.length = 0;
}

void book_add_leaf(struct book *book, const uint8_t *data, size_t length)
{
    NEED(book->leaf_count < BOOK_LEAVES_MAX);
    struct cl_buffer *leaf = &book->leaves[book->leaf_count];
    leaf->length = 0;
    NEED(cl_buffer_append(leaf, data, length) == CL_OK);
    cl_log_leaf_hash(&book->hashes[book->leaf_count++], data, length);
}

void book_add_state(struct book *book, const uint8_t key32[32], const uint8_t *value, size_t length)
{
    NEED(book->state_count < BOOK_STATES_MAX);
    struct book_state *state = &book->states[book->state_count++];
    memcpy(state->key, key32, 32);
    cl_sha256_once(state->key_hash, key32, 32);
    state->value = value;
    state->length = length;
}

static int by_key_hash(const void *a, const void *b)
{
    return memcmp(((const struct book_state *)a)->key_hash, ((const struct book_state *)b)->key_hash, 32);
}

/* The tree by its definition alone, so that the harness does not trust what it tests. */
struct cl_hash book_subtree(const struct book_state *states, size_t count, unsigned depth)
{
    struct cl_hash out = {{0}}, left, right;
    uint8_t value_hash[32];
    size_t split = 0;
    if (count == 0)
        return out;
    if (count == 1) {
        cl_sha256_once(value_hash, states->value, states->length);
        cl_sha256_node(out.bytes, 0, states->key_hash, value_hash);
        return out;
    }
    while (split < count && (states[split].key_hash[depth / 8] >> (7 - depth % 8) & 1) == 0)
        split++;
    left = book_subtree(states, split, depth + 1);
    right = book_subtree(states + split, count - split, depth + 1);
    cl_sha256_node(out.bytes, 1, left.bytes, right.bytes);
    return out;
}

size_t book_siblings(struct cl_hash siblings[CL_SMT_DEPTH], const struct book *book, size_t state)
{
    size_t first = 0, count = book->state_count, depth = 0;
    while (count > 1) { /* from the root down; turned round below */
        size_t split = 0;
        while (split < count && (book->states[first + split].key_hash[depth / 8] >> (7 - depth % 8) & 1) == 0)
            split++;
        bool left = state < first + split;
        siblings[depth] = left ? book_subtree(book->states + first + split, count - split, (unsigned)depth + 1)
                               : book_subtree(book->states + first, split, (unsigned)depth + 1);
        first += left ? 0 : split;
        count = left ? split : count - split;
        depth++;
    }
    for (size_t i = 0; i < depth / 2; i++) {
        struct cl_hash swap = siblings[i];
        siblings[i] = siblings[depth - 1 - i];
        siblings[depth - 1 - i] = swap;
    }
    return depth;
}

static enum cl_status read_hashes(void *context, struct cl_hash *out, unsigned tile_level, uint64_t first, unsigned count)
{
    const struct book *book = context;
    NEED(tile_level == 0 && first + count <= BOOK_LEAVES_MAX);
    for (unsigned i = 0; i < count; i++)
        memcpy(out[i].bytes, book->hashes[first + i].bytes, 32);
    return CL_OK;
}

void book_path(struct cl_path *out, struct cl_hash path[CL_LOG_PATH_MAX], const struct book *book, uint64_t index)
{
    struct cl_log_source source = {(void *)(uintptr_t)book, read_hashes};
    NEED(cl_log_inclusion(path, &out->count, &source, index, book->leaf_count) == CL_OK);
    out->hashes = path;
}

void book_close(struct book *book, const struct cl_network_id *network, const struct cl_hash *root)
{
    struct cl_state_leaf leaf = {.network = *network, .epoch = 1, .height = 1, .time_ms = BOOK_TIME_S * 1000, .record_count = book->leaf_count};
    struct cl_log_source source = {book, read_hashes};
    struct cl_buffer body = {0};
    struct cl_hash log_root;
    struct cl_path path;
    qsort(book->states, book->state_count, sizeof book->states[0], by_key_hash);
    book->state_root = root != NULL ? *root : book_subtree(book->states, book->state_count, 0);
    leaf.state_root = book->state_root;
    NEED(cl_member_set_hash(&leaf.member_set, member(), 1) == CL_OK && cl_state_leaf_encode(&book->state_leaf, &leaf) == CL_OK);
    book_add_leaf(book, book->state_leaf.data, book->state_leaf.length);
    book_path(&path, book->leaf_path, book, book->leaf_count - 1);
    book->leaf_path_count = path.count;
    NEED(cl_log_root(&log_root, &source, book->leaf_count) == CL_OK);
    NEED(cl_checkpoint_body(&body, ORIGIN, book->leaf_count, &log_root) == CL_OK);
    struct cl_view view = {body.data, body.length};
    NEED(cl_buffer_append(&book->note, body.data, body.length) == CL_OK && cl_buffer_append(&book->note, "\n", 1) == CL_OK);
    NEED(cl_checkpoint_sign_log(&book->note, &view, ORIGIN, signing_key(log_seed)) == CL_OK);
    NEED(cl_checkpoint_cosign(&book->note, &view, ORIGIN, member()->name, BOOK_TIME_S, signing_key(witness_seed)) == CL_OK);
    cl_buffer_deinit(&body);
}
