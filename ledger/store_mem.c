/* The store in memory, for tests: sorted, with snapshots, and with failures on request. A treap whose nodes never change
   once others may see them: a write copies the path it touches, so a snapshot is one reference to a root, and a batch
   that fails halfway is simply let go. One spinning lock guards it all, since it holds nothing long. */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "consent/record.h"
#include "store.h"

struct pair { uint64_t references; size_t key_length, value_length; uint64_t priority; uint8_t bytes[]; };
struct node { uint64_t references; struct node *left, *right; struct pair *pair; };

struct memory_store {
    atomic_flag lock;
    struct node *root;
    uint64_t bytes;             /* of the keys and values that are in it now */
    uint64_t fail_in;           /* 0: never */
    enum cl_status fail_with, write_failure;
    const char *error;
};

struct operation { struct operation *next; struct pair *pair; bool is_delete; };
struct cl_store_batch { struct operation *first, **end; bool failed; };
struct cl_store_snapshot { struct node *root; };
struct cl_store_iterator { struct memory_store *store; struct node *root; const struct node *at; enum cl_status status; };

static void lock(struct memory_store *store)
{
    while (atomic_flag_test_and_set_explicit(&store->lock, memory_order_acquire)) continue;
}

static void unlock(struct memory_store *store)
{
    atomic_flag_clear_explicit(&store->lock, memory_order_release);
}

/* Called with the lock held. */
static enum cl_status injected(struct memory_store *store)
{
    if (store->fail_in == 0 || --store->fail_in > 0) return CL_OK;
    store->error = "a failure that a test asked for";
    return store->fail_with;
}

/* ---- pairs and nodes, counted */

static struct pair *pair_new(const uint8_t *key, size_t key_length, const uint8_t *value, size_t value_length)
{
    struct pair *pair = malloc(sizeof *pair + key_length + value_length);
    uint64_t priority = UINT64_C(0xcbf29ce484222325);
    if (pair == NULL) return NULL;
    if (key_length > 0) memcpy(pair->bytes, key, key_length);
    if (value_length > 0) memcpy(pair->bytes + key_length, value, value_length);
    for (size_t i = 0; i < key_length; i++) priority = (priority ^ key[i]) * UINT64_C(0x100000001b3);
    priority = (priority ^ priority >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    pair->references = 1;
    pair->key_length = key_length;
    pair->value_length = value_length;
    pair->priority = priority ^ priority >> 29;
    return pair;
}

static void pair_unref(struct pair *pair)
{
    if (--pair->references == 0) free(pair);
}

static int compare(const struct pair *pair, const uint8_t *key, size_t length)
{
    size_t shorter = pair->key_length < length ? pair->key_length : length;
    int order = shorter > 0 ? memcmp(key, pair->bytes, shorter) : 0;
    if (order != 0) return order;
    return length == pair->key_length ? 0 : length < pair->key_length ? -1 : 1;
}

static struct node *node_ref(struct node *node)
{
    if (node != NULL) node->references++;
    return node;
}

static void node_unref(struct node *node)
{
    while (node != NULL && --node->references == 0) {
        struct node *right = node->right;
        node_unref(node->left);
        pair_unref(node->pair);
        free(node);
        node = right;
    }
}

/* Takes the references to left and right; where memory is out, gives them back. */
static struct node *node_new(struct pair *pair, struct node *left, struct node *right, bool *failed)
{
    struct node *node = malloc(sizeof *node);
    if (node == NULL) {
        *failed = true;
        node_unref(left);
        node_unref(right);
        return NULL;
    }
    pair->references++;
    *node = (struct node){ .references = 1, .left = left, .right = right, .pair = pair };
    return node;
}

/* The tree with the pair in it; `tree` is left as it is. After *failed what comes back is only fit to be let go. */
static struct node *tree_put(const struct node *tree, struct pair *pair, bool *failed)
{
    struct node *node, *child;
    int order;
    if (tree == NULL) return node_new(pair, NULL, NULL, failed);
    order = compare(tree->pair, pair->bytes, pair->key_length);
    if (order == 0) return node_new(pair, node_ref(tree->left), node_ref(tree->right), failed);
    child = tree_put(order < 0 ? tree->left : tree->right, pair, failed);
    if (order < 0) node = node_new(tree->pair, child, node_ref(tree->right), failed);
    else node = node_new(tree->pair, node_ref(tree->left), child, failed);
    if (*failed || child->pair->priority <= node->pair->priority) return node;
    /* Both are new and nobody else's yet: turn them. */
    if (order < 0) {
        node->left = child->right;
        child->right = node;
    } else {
        node->right = child->left;
        child->left = node;
    }
    return child;
}

static struct node *tree_join(struct node *left, struct node *right, bool *failed)
{
    if (left == NULL || *failed) return node_ref(right);
    if (right == NULL) return node_ref(left);
    if (left->pair->priority >= right->pair->priority) {
        return node_new(left->pair, node_ref(left->left), tree_join(left->right, right, failed), failed);
    }
    return node_new(right->pair, tree_join(left, right->left, failed), node_ref(right->right), failed);
}

static struct node *tree_delete(struct node *tree, const uint8_t *key, size_t length, bool *failed)
{
    int order;
    if (tree == NULL) return NULL;
    order = compare(tree->pair, key, length);
    if (order == 0) return tree_join(tree->left, tree->right, failed);
    if (order < 0) return node_new(tree->pair, tree_delete(tree->left, key, length, failed), node_ref(tree->right), failed);
    return node_new(tree->pair, node_ref(tree->left), tree_delete(tree->right, key, length, failed), failed);
}

static const struct node *tree_find(const struct node *tree, const uint8_t *key, size_t length)
{
    while (tree != NULL) {
        int order = compare(tree->pair, key, length);
        if (order == 0) return tree;
        tree = order < 0 ? tree->left : tree->right;
    }
    return NULL;
}

/* The first node at or above the key; `above`: strictly above it. */
static const struct node *tree_seek(const struct node *tree, const uint8_t *key, size_t length, bool above)
{
    const struct node *best = NULL;
    while (tree != NULL) {
        int order = compare(tree->pair, key, length);
        if (order < 0 || (order == 0 && !above)) {
            best = tree;
            tree = tree->left;
        } else {
            tree = tree->right;
        }
    }
    return best;
}

/* The last node strictly below the key. */
static const struct node *tree_before(const struct node *tree, const uint8_t *key, size_t length)
{
    const struct node *best = NULL;
    while (tree != NULL) {
        if (compare(tree->pair, key, length) > 0) {
            best = tree;
            tree = tree->right;
        } else {
            tree = tree->left;
        }
    }
    return best;
}

/* ---- the table's functions */

static enum cl_status memory_get(void *context, struct cl_buffer *out, const struct cl_store_snapshot *snapshot, const uint8_t *key, size_t key_length)
{
    struct memory_store *store = context;
    enum cl_status status;
    out->length = 0;
    lock(store);
    status = injected(store);
    if (status == CL_OK) {
        const struct node *node = tree_find(snapshot != NULL ? snapshot->root : store->root, key, key_length);
        status = node == NULL ? CL_E_NOT_FOUND : cl_buffer_append(out, node->pair->bytes + node->pair->key_length, node->pair->value_length);
    }
    unlock(store);
    return status;
}

static struct cl_store_batch *memory_batch_new(void *context)
{
    struct cl_store_batch *batch = calloc(1, sizeof *batch);
    (void)context;
    if (batch != NULL) batch->end = &batch->first;
    return batch;
}

static void batch_add(struct cl_store_batch *batch, const uint8_t *key, size_t key_length, const uint8_t *value, size_t value_length, bool is_delete)
{
    struct operation *operation = malloc(sizeof *operation);
    struct pair *pair = pair_new(key, key_length, value, value_length);
    if (operation == NULL || pair == NULL) { /* told by batch_write */
        free(operation);
        free(pair);
        batch->failed = true;
        return;
    }
    *operation = (struct operation){ .pair = pair, .is_delete = is_delete };
    *batch->end = operation;
    batch->end = &operation->next;
}

static void memory_batch_put(struct cl_store_batch *batch, const uint8_t *key, size_t key_length, const uint8_t *value, size_t value_length)
{
    batch_add(batch, key, key_length, value, value_length, false);
}

static void memory_batch_delete(struct cl_store_batch *batch, const uint8_t *key, size_t key_length)
{
    batch_add(batch, key, key_length, NULL, 0, true);
}

static enum cl_status batch_apply(struct memory_store *store, const struct cl_store_batch *batch)
{
    struct node *root = node_ref(store->root);
    uint64_t bytes = store->bytes;
    bool failed = batch->failed;
    for (const struct operation *at = batch->first; at != NULL && !failed; at = at->next) {
        const struct pair *pair = at->pair;
        const struct node *old = tree_find(root, pair->bytes, pair->key_length);
        struct node *changed;
        if (old == NULL && at->is_delete) continue;
        if (old != NULL) bytes -= old->pair->key_length + old->pair->value_length;
        if (!at->is_delete) bytes += pair->key_length + pair->value_length;
        changed = at->is_delete ? tree_delete(root, pair->bytes, pair->key_length, &failed) : tree_put(root, at->pair, &failed);
        node_unref(root);
        root = changed;
    }
    if (failed) {
        node_unref(root);
        store->error = "out of memory";
        return CL_E_MEMORY;
    }
    node_unref(store->root);
    store->root = root;
    store->bytes = bytes;
    return CL_OK;
}

static enum cl_status memory_batch_write(void *context, struct cl_store_batch *batch, bool sync)
{
    struct memory_store *store = context;
    enum cl_status status;
    (void)sync; /* memory is as durable as it will be */
    lock(store);
    status = store->write_failure;
    if (status == CL_OK) {
        status = injected(store);
        if (status == CL_OK) status = batch_apply(store, batch);
        store->write_failure = status == CL_OK ? CL_OK : CL_E_STORE_IO;
    }
    unlock(store);
    return status;
}

static void memory_batch_free(struct cl_store_batch *batch)
{
    struct operation *at = batch != NULL ? batch->first : NULL;
    while (at != NULL) {
        struct operation *next = at->next;
        pair_unref(at->pair);
        free(at);
        at = next;
    }
    free(batch);
}

static struct cl_store_snapshot *memory_snapshot_new(void *context)
{
    struct memory_store *store = context;
    struct cl_store_snapshot *snapshot = malloc(sizeof *snapshot);
    if (snapshot == NULL) return NULL;
    lock(store);
    snapshot->root = node_ref(store->root);
    unlock(store);
    return snapshot;
}

static void memory_snapshot_free(void *context, struct cl_store_snapshot *snapshot)
{
    struct memory_store *store = context;
    if (snapshot == NULL) return;
    lock(store);
    node_unref(snapshot->root);
    unlock(store);
    free(snapshot);
}

static struct cl_store_iterator *memory_iterator_new(void *context, const struct cl_store_snapshot *snapshot)
{
    struct memory_store *store = context;
    struct cl_store_iterator *iterator = malloc(sizeof *iterator);
    if (iterator == NULL) return NULL;
    lock(store);
    *iterator = (struct cl_store_iterator){ .store = store, .root = node_ref(snapshot != NULL ? snapshot->root : store->root), .status = CL_OK };
    unlock(store);
    return iterator;
}

/* Nodes that the iterator's root holds never change: they are read without the lock. */
static bool may_step(struct cl_store_iterator *iterator)
{
    enum cl_status status;
    if (iterator->status != CL_OK) return false;
    lock(iterator->store);
    status = injected(iterator->store);
    unlock(iterator->store);
    iterator->status = status;
    if (status != CL_OK) iterator->at = NULL;
    return status == CL_OK;
}

static void memory_iterator_seek(struct cl_store_iterator *iterator, const uint8_t *key, size_t key_length)
{
    if (may_step(iterator)) iterator->at = tree_seek(iterator->root, key, key_length, false);
}

static void memory_iterator_next(struct cl_store_iterator *iterator)
{
    assert(iterator->at != NULL);
    if (may_step(iterator)) iterator->at = tree_seek(iterator->root, iterator->at->pair->bytes, iterator->at->pair->key_length, true);
}

static void memory_iterator_previous(struct cl_store_iterator *iterator)
{
    assert(iterator->at != NULL);
    if (may_step(iterator)) iterator->at = tree_before(iterator->root, iterator->at->pair->bytes, iterator->at->pair->key_length);
}

static bool memory_iterator_valid(const struct cl_store_iterator *iterator)
{
    return iterator->at != NULL;
}

static struct cl_view memory_iterator_key(const struct cl_store_iterator *iterator)
{
    const struct pair *pair = iterator->at->pair;
    return (struct cl_view){ pair->bytes, pair->key_length };
}

static struct cl_view memory_iterator_value(const struct cl_store_iterator *iterator)
{
    const struct pair *pair = iterator->at->pair;
    return (struct cl_view){ pair->bytes + pair->key_length, pair->value_length };
}

static enum cl_status memory_iterator_status(const struct cl_store_iterator *iterator)
{
    return iterator->status;
}

static void memory_iterator_free(struct cl_store_iterator *iterator)
{
    if (iterator == NULL) return;
    lock(iterator->store);
    node_unref(iterator->root);
    unlock(iterator->store);
    free(iterator);
}

static void memory_compact(void *context)
{
    (void)context;
}

static uint64_t memory_bytes(void *context)
{
    struct memory_store *store = context;
    uint64_t bytes;
    lock(store);
    bytes = store->bytes;
    unlock(store);
    return bytes;
}

static const char *memory_last_error(void *context)
{
    struct memory_store *store = context;
    const char *error;
    lock(store);
    error = store->error;
    unlock(store);
    return error;
}

static void memory_close(void *context)
{
    struct memory_store *store = context;
    node_unref(store->root);
    free(store);
}

enum cl_status cl_store_mem_open(struct cl_store *out)
{
    struct memory_store *store = calloc(1, sizeof *store);
    if (store == NULL) return CL_E_MEMORY;
    atomic_flag_clear(&store->lock);
    store->error = "";
    *out = (struct cl_store){
        .context = store,
        .get = memory_get,
        .batch_new = memory_batch_new,
        .batch_put = memory_batch_put,
        .batch_delete = memory_batch_delete,
        .batch_write = memory_batch_write,
        .batch_free = memory_batch_free,
        .snapshot_new = memory_snapshot_new,
        .snapshot_free = memory_snapshot_free,
        .iterator_new = memory_iterator_new,
        .iterator_seek = memory_iterator_seek,
        .iterator_next = memory_iterator_next,
        .iterator_previous = memory_iterator_previous,
        .iterator_valid = memory_iterator_valid,
        .iterator_key = memory_iterator_key,
        .iterator_value = memory_iterator_value,
        .iterator_status = memory_iterator_status,
        .iterator_free = memory_iterator_free,
        .compact = memory_compact,
        .bytes_on_disk = memory_bytes,
        .last_error = memory_last_error,
        .close = memory_close,
    };
    return CL_OK;
}

void cl_store_mem_fail_at(struct cl_store *store, uint64_t n, enum cl_status status)
{
    struct memory_store *memory = store->context;
    assert(n == 0 || status != CL_OK);
    lock(memory);
    memory->fail_in = n;
    memory->fail_with = status;
    memory->write_failure = CL_OK; /* as after closing and opening again */
    unlock(memory);
}
