/* Reading what is final, from any thread: a view is a snapshot of the store, and needs nothing else of the ledger but
   what never changes. */
#include "ledger_internal.h"

#include "crypto.h"

#include <assert.h>
#include <stdlib.h>

enum cl_status cl_ledger_view_new(struct cl_ledger_view **out, struct cl_ledger *ledger)
{
    uint64_t state_leaves;
    *out = NULL;
    struct cl_ledger_view *view = calloc(1, sizeof *view);
    if (view == NULL)
        return CL_E_MEMORY;
    view->store = ledger->store;
    view->network = ledger->genesis.network;
    view->snapshot = view->store->snapshot_new(view->store->context);
    if (view->snapshot == NULL) {
        free(view);
        return CL_E_MEMORY;
    }
    enum cl_status status = cl_tip_load(view->store, view->snapshot, &view->tip, &state_leaves);
    if (status != CL_OK) {
        cl_ledger_view_free(view);
        return status;
    }
    *out = view;
    return CL_OK;
}

enum cl_status cl_view_new_at(struct cl_ledger_view **out, struct cl_ledger *ledger, const struct cl_tip *tip, struct cl_store_snapshot *snapshot)
{
    struct cl_ledger_view *view = calloc(1, sizeof *view);
    *out = view;
    if (view == NULL)
        return CL_E_MEMORY;
    view->store = ledger->store;
    view->network = ledger->genesis.network;
    view->snapshot = snapshot;
    view->snapshot_borrowed = true;
    view->tip = *tip;
    return CL_OK;
}

void cl_ledger_view_free(struct cl_ledger_view *view)
{
    if (view == NULL)
        return;
    if (view->iterator != NULL)
        view->store->iterator_free(view->iterator);
    if (!view->snapshot_borrowed)
        view->store->snapshot_free(view->store->context, view->snapshot);
    cl_buffer_deinit(&view->chunk);
    cl_buffer_deinit(&view->tile);
    cl_buffer_deinit(&view->value);
    free(view);
}

enum cl_status cl_view_tip(struct cl_ledger_view *view, struct cl_tip *out)
{
    *out = view->tip;
    return CL_OK;
}

enum cl_status cl_view_checkpoint(struct cl_ledger_view *view, struct cl_buffer *note)
{
    struct cl_kept_checkpoint kept;
    enum cl_status status = cl_kept_checkpoint_load(view->store, view->snapshot, &view->value, &kept);
    note->length = 0;
    return status == CL_OK ? cl_buffer_append(note, kept.note.data, kept.note.length) : status;
}

enum cl_status cl_view_state(struct cl_ledger_view *view, struct cl_buffer *value, const uint8_t key32[32])
{
    struct cl_table_key key;
    uint8_t key_hash[32];
    cl_sha256_once(key_hash, key32, 32);
    cl_key_hash(&key, CL_TABLE_STATE, key_hash);
    return cl_store_get_key(view->store, value, view->snapshot, &key);
}

enum cl_status cl_view_record_place(struct cl_ledger_view *view, uint64_t *log_index, const struct cl_record_id *id)
{
    struct cl_table_key key;
    cl_key_hash(&key, CL_TABLE_PLACE, id->bytes);
    enum cl_status status = cl_store_get_key(view->store, &view->value, view->snapshot, &key);
    if (status != CL_OK)
        return status;
    if (view->value.length != 8)
        return CL_E_STORE_CORRUPT;
    *log_index = cl_get_u64(view->value.data);
    return *log_index < view->tip.log_size ? CL_OK : CL_E_STORE_CORRUPT;
}

enum cl_status cl_view_block(struct cl_ledger_view *view, struct cl_buffer *stored_block, uint64_t height)
{
    struct cl_table_key key;
    cl_key_number(&key, CL_TABLE_BLOCK, height);
    enum cl_status status = cl_store_get_checked(view->store, stored_block, view->snapshot, &key);
    return height <= view->tip.height ? cl_must_exist(status) : status;
}

enum cl_status cl_view_block_of(struct cl_ledger_view *view, uint64_t *height, uint64_t log_index)
{
    uint64_t low = 0, high = view->tip.height;
    if (log_index >= view->tip.log_size)
        return CL_E_NOT_FOUND;
    while (low < high) { /* the last block that begins at or before the leaf */
        uint64_t middle = low + (high - low + 1) / 2;
        struct cl_stored_block block;
        enum cl_status status = cl_view_block(view, &view->value, middle);
        if (status != CL_OK)
            return status;
        if (cl_stored_block_decode(&block, view->value.data, view->value.length) != CL_OK)
            return CL_E_STORE_CORRUPT;
        if (block.first_index <= log_index)
            low = middle;
        else
            high = middle - 1;
    }
    *height = low;
    return CL_OK;
}

/* ---- leaves, in chunks */

static enum cl_status need_iterator(struct cl_ledger_view *view)
{
    if (view->iterator == NULL)
        view->iterator = view->store->iterator_new(view->store->context, view->snapshot);
    return view->iterator != NULL ? CL_OK : CL_E_MEMORY;
}

/* Counts the leaves of the chunk at hand; each must end where the next begins. */
static enum cl_status count_leaves(struct cl_ledger_view *view)
{
    const struct cl_buffer *chunk = &view->chunk;
    size_t offset = 0;
    view->chunk_count = 0;
    while (offset < chunk->length) {
        if (chunk->length - offset < 2)
            return CL_E_STORE_CORRUPT;
        size_t length = (size_t)chunk->data[offset] << 8 | chunk->data[offset + 1];
        if (chunk->length - offset - 2 < length)
            return CL_E_STORE_CORRUPT;
        offset += 2 + length;
        view->chunk_count++;
    }
    view->cursor_index = view->chunk_first;
    view->cursor_offset = 0;
    return CL_OK;
}

static enum cl_status load_chunk(struct cl_ledger_view *view, uint64_t log_index)
{
    const struct cl_store *store = view->store;
    struct cl_table_key key;
    struct cl_view found = {0};
    view->chunk_count = 0;
    enum cl_status status = need_iterator(view);
    if (status != CL_OK)
        return status;
    cl_key_number(&key, CL_TABLE_LEAVES, log_index);
    store->iterator_seek(view->iterator, key.bytes, key.length);
    if (store->iterator_valid(view->iterator))
        found = store->iterator_key(view->iterator);
    if (found.data == NULL || found.length != key.length || memcmp(found.data, key.bytes, key.length) != 0) {
        /* The table of states sorts after this one and is never empty, so there is something to step back from. */
        if (store->iterator_valid(view->iterator))
            store->iterator_previous(view->iterator);
        if (!store->iterator_valid(view->iterator)) {
            status = store->iterator_status(view->iterator);
            return status != CL_OK ? status : CL_E_STORE_CORRUPT;
        }
        found = store->iterator_key(view->iterator);
    }
    if (found.length != 9 || found.data[0] != CL_TABLE_LEAVES)
        return CL_E_STORE_CORRUPT;
    view->chunk_first = cl_get_u64(found.data + 1);
    struct cl_view value = store->iterator_value(view->iterator);
    view->chunk.length = 0;
    status = cl_buffer_append(&view->chunk, value.data, value.length);
    if (status == CL_OK)
        status = store->iterator_status(view->iterator);
    if (status == CL_OK)
        status = count_leaves(view);
    if (status != CL_OK)
        view->chunk_count = 0;
    return status;
}

enum cl_status cl_view_leaf_borrow(struct cl_ledger_view *view, struct cl_view *bytes, uint64_t log_index)
{
    if (log_index >= view->tip.log_size)
        return CL_E_NOT_FOUND;
    if (log_index < view->chunk_first || log_index - view->chunk_first >= view->chunk_count) {
        enum cl_status status = load_chunk(view, log_index);
        if (status != CL_OK)
            return status;
        if (log_index < view->chunk_first || log_index - view->chunk_first >= view->chunk_count)
            return CL_E_STORE_CORRUPT;
    }
    if (log_index < view->cursor_index) {
        view->cursor_index = view->chunk_first;
        view->cursor_offset = 0;
    }
    for (;;) { /* count_leaves has checked every length */
        const uint8_t *at = view->chunk.data + view->cursor_offset;
        size_t length = (size_t)at[0] << 8 | at[1];
        if (view->cursor_index == log_index) {
            bytes->data = at + 2;
            bytes->length = length;
            return CL_OK;
        }
        view->cursor_offset += 2 + length;
        view->cursor_index++;
    }
}


/* ---- tiles */

static uint64_t hashes_at(const struct cl_ledger_view *view, unsigned level)
{
    return level < CL_TILE_LEVELS ? view->tip.log_size >> (CL_TILE_HEIGHT * level) : 0;
}

/* Leaf hashes that no complete tile holds yet. */
static enum cl_status hash_leaves(struct cl_ledger_view *view, struct cl_hash *out, uint64_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct cl_view leaf;
        struct cl_leaf_hash hash;
        enum cl_status status = cl_view_leaf_borrow(view, &leaf, first + i);
        if (status != CL_OK)
            return status;
        cl_log_leaf_hash(&hash, leaf.data, leaf.length);
        memcpy(out[i].bytes, hash.bytes, 32);
    }
    return CL_OK;
}

static enum cl_status read_hashes(void *context, struct cl_hash *out, unsigned level, uint64_t first, unsigned count)
{
    struct cl_ledger_view *view = context;
    struct cl_table_key key;
    uint64_t present = hashes_at(view, level), number = first / CL_TILE_WIDTH;
    unsigned offset = (unsigned)(first % CL_TILE_WIDTH);
    if (count == 0)
        return CL_OK;
    if (first >= present || count > present - first || offset + count > CL_TILE_WIDTH)
        return CL_E_NOT_FOUND;
    if (level == 0 && number == present / CL_TILE_WIDTH)
        return hash_leaves(view, out, first, count);
    struct cl_buffer *tile = level == 0 ? &view->tile : &view->value;
    if (level > 0 || tile->length == 0 || view->tile_number != number) {
        cl_key_tile(&key, level, number);
        enum cl_status status = cl_must_exist(cl_store_get_key(view->store, tile, view->snapshot, &key));
        if (status != CL_OK)
            return status;
        if (level == 0)
            view->tile_number = number;
    }
    if (tile->length % 32 != 0 || tile->length / 32 < offset + count)
        return CL_E_STORE_CORRUPT;
    memcpy(out, tile->data + 32 * (size_t)offset, 32 * (size_t)count);
    return CL_OK;
}

/* What leaves this file is what the log's tiles commit to; behind the last complete tile there is nothing to compare. */
enum cl_status cl_view_leaf(struct cl_ledger_view *view, struct cl_buffer *bytes, uint64_t log_index)
{
    struct cl_view leaf;
    struct cl_hash expected;
    struct cl_leaf_hash hash;
    bytes->length = 0;
    enum cl_status status = cl_view_leaf_borrow(view, &leaf, log_index);
    if (status == CL_OK)
        status = cl_buffer_append(bytes, leaf.data, leaf.length);
    if (status != CL_OK || log_index / CL_TILE_WIDTH >= view->tip.log_size / CL_TILE_WIDTH)
        return status;
    status = read_hashes(view, &expected, 0, log_index, 1);
    if (status != CL_OK)
        return status;
    cl_log_leaf_hash(&hash, bytes->data, bytes->length);
    return memcmp(hash.bytes, expected.bytes, 32) == 0 ? CL_OK : CL_E_STORE_CORRUPT;
}

void cl_view_log_source(struct cl_log_source *out, struct cl_ledger_view *view)
{
    out->context = view;
    out->read = read_hashes;
}

enum cl_status cl_view_load_edge(struct cl_edge *edge, struct cl_ledger_view *view)
{
    enum cl_status status = CL_OK;
    for (unsigned level = 0; level < CL_TILE_LEVELS && status == CL_OK; level++) {
        uint64_t present = hashes_at(view, level);
        unsigned count = (unsigned)(present % CL_TILE_WIDTH);
        status = read_hashes(view, edge->hashes[level], level, present - count, count);
    }
    return status;
}

enum cl_status cl_view_inclusion(struct cl_ledger_view *view, struct cl_hash path[CL_LOG_PATH_MAX], size_t *count, uint64_t index, uint64_t size)
{
    struct cl_log_source source;
    if (size > view->tip.log_size || index >= size)
        return CL_E_NOT_FOUND;
    cl_view_log_source(&source, view);
    return cl_log_inclusion(path, count, &source, index, size);
}

enum cl_status cl_view_consistency(struct cl_ledger_view *view, struct cl_hash path[CL_LOG_PATH_MAX], size_t *count, uint64_t size1, uint64_t size2)
{
    struct cl_log_source source;
    if (size2 > view->tip.log_size || size1 > size2)
        return CL_E_NOT_FOUND;
    cl_view_log_source(&source, view);
    return cl_log_consistency(path, count, &source, size1, size2);
}

enum cl_status cl_view_log_root(struct cl_ledger_view *view, struct cl_hash *out, uint64_t size)
{
    struct cl_log_source source;
    if (size > view->tip.log_size)
        return CL_E_NOT_FOUND;
    cl_view_log_source(&source, view);
    return cl_log_root(out, &source, size);
}

/* Is there a tile of this number with this many hashes? A narrower one than there is is served too: mirrors ask for
   what the checkpoint at hand implies. */
static bool tile_exists(const struct cl_ledger_view *view, unsigned level, uint64_t number, unsigned width)
{
    uint64_t present = hashes_at(view, level);
    return width > 0 && width <= CL_TILE_WIDTH && number <= present / CL_TILE_WIDTH &&
           number * CL_TILE_WIDTH + width <= present;
}

enum cl_status cl_view_tile(struct cl_ledger_view *view, struct cl_buffer *out, unsigned level, uint64_t number, unsigned width)
{
    struct cl_hash hashes[CL_TILE_WIDTH];
    out->length = 0;
    if (!tile_exists(view, level, number, width))
        return CL_E_NOT_FOUND;
    enum cl_status status = read_hashes(view, hashes, level, number * CL_TILE_WIDTH, width);
    return status == CL_OK ? cl_buffer_append(out, hashes, 32 * (size_t)width) : status;
}

enum cl_status cl_view_tile_entries(struct cl_ledger_view *view, struct cl_buffer *out, uint64_t number, unsigned width)
{
    enum cl_status status = CL_OK;
    out->length = 0;
    if (!tile_exists(view, 0, number, width))
        return CL_E_NOT_FOUND;
    for (unsigned i = 0; i < width && status == CL_OK; i++) {
        struct cl_view leaf;
        status = cl_view_leaf_borrow(view, &leaf, number * CL_TILE_WIDTH + i);
        if (status == CL_OK) {
            uint8_t head[2] = {(uint8_t)(leaf.length >> 8), (uint8_t)leaf.length};
            status = cl_buffer_append(out, head, sizeof head);
        }
        if (status == CL_OK)
            status = cl_buffer_append(out, leaf.data, leaf.length);
    }
    return status;
}

/* ---- indexes by prefix: the object id ends the key */

static enum cl_status list_objects(struct cl_ledger_view *view, struct cl_object_id *out, size_t max, size_t *count,
                                   const struct cl_table_key *start, size_t prefix_length, bool skip_start)
{
    const struct cl_store *store = view->store;
    *count = 0;
    enum cl_status status = need_iterator(view);
    if (status != CL_OK)
        return status;
    for (store->iterator_seek(view->iterator, start->bytes, start->length); *count < max && store->iterator_valid(view->iterator); store->iterator_next(view->iterator)) {
        struct cl_view key = store->iterator_key(view->iterator);
        if (key.length != prefix_length + 32 || memcmp(key.data, start->bytes, prefix_length) != 0)
            break;
        if (skip_start && memcmp(key.data, start->bytes, start->length) == 0)
            continue;
        memcpy(out[(*count)++].bytes, key.data + prefix_length, 32);
    }
    return store->iterator_status(view->iterator);
}

enum cl_status cl_view_party_objects(struct cl_ledger_view *view, struct cl_object_id *out, size_t max, size_t *count,
                                     const struct cl_party *party, const struct cl_object_id *cursor)
{
    static const uint8_t lowest[32];
    struct cl_table_key key;
    *count = 0;
    if (party->length != 32 && party->length != 33)
        return CL_E_ARGUMENT;
    cl_key_party(&key, party->bytes, party->length, cursor != NULL ? cursor->bytes : lowest);
    return list_objects(view, out, max, count, &key, 2 + (size_t)party->length, cursor != NULL);
}

enum cl_status cl_view_terms(struct cl_ledger_view *view, struct cl_object_id *out, size_t max, size_t *count, const struct cl_object_id *cursor)
{
    static const uint8_t lowest[32];
    struct cl_table_key key;
    cl_key_hash(&key, CL_TABLE_TERMS, cursor != NULL ? cursor->bytes : lowest);
    return list_objects(view, out, max, count, &key, 1, cursor != NULL);
}
