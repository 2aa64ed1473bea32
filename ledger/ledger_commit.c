/* Finality: all that a block changes, or several that were caught up together, in one synced batch; then the tree and the
   tip in memory. */
#include "ledger_internal.h"

#include "crypto.h"
#include "sort.h"

#include <assert.h>
#include <stdlib.h>

/* ---- leaves and tiles */

static void put_chunk(const struct cl_store *store, struct cl_store_batch *batch, uint64_t first, const struct cl_buffer *chunk)
{
    struct cl_table_key key;
    cl_key_number(&key, CL_TABLE_LEAVES, first);
    cl_batch_put_key(store, batch, &key, chunk->data, chunk->length);
}

static enum cl_status append_leaf(struct cl_buffer *chunk, const uint8_t *bytes, size_t length)
{
    uint8_t head[2] = {(uint8_t)(length >> 8), (uint8_t)length};
    assert(length <= CL_RECORD_BYTES_MAX);
    enum cl_status status = cl_buffer_append(chunk, head, sizeof head);
    return status == CL_OK ? cl_buffer_append(chunk, bytes, length) : status;
}

/* The candidate's leaves in the order of the log: each block's records, then its state leaf. */
struct leaf_walk { const struct cl_candidate *candidate; uint32_t record, part; };

static struct cl_view part_leaf(const struct cl_candidate *candidate, uint32_t part)
{
    const struct cl_buffer *leaf = part < candidate->part_count ? &candidate->parts[part].state_leaf : &candidate->state_leaf;
    return (struct cl_view){leaf->data, leaf->length};
}

static uint32_t part_end(const struct cl_candidate *candidate, uint32_t part)
{
    return part < candidate->part_count ? candidate->parts[part].end : candidate->count;
}

/* *record NULL: it is a state leaf. False: there are no more. */
static bool next_leaf(struct leaf_walk *walk, const struct cl_record **record, struct cl_view *bytes)
{
    const struct cl_candidate *candidate = walk->candidate;
    if (walk->part > candidate->part_count)
        return false;
    *record = walk->record < part_end(candidate, walk->part) ? &candidate->records[walk->record++]->record : NULL;
    *bytes = *record != NULL ? (*record)->bytes : part_leaf(candidate, walk->part++);
    return true;
}

/* A chunk holds leaves of one block. */
static enum cl_status put_leaves(struct cl_ledger *ledger, struct cl_store_batch *batch, const struct cl_candidate *candidate)
{
    struct cl_buffer *chunk = &ledger->scratch;
    struct leaf_walk walk = {.candidate = candidate};
    const struct cl_record *record = NULL;
    struct cl_view leaf;
    uint64_t first = candidate->first_index, index = first;
    enum cl_status status = CL_OK;
    chunk->length = 0;
    for (; status == CL_OK && next_leaf(&walk, &record, &leaf); index++) {
        if (chunk->length > 0 && chunk->length + 2 + leaf.length > CL_CHUNK_BYTES) {
            put_chunk(ledger->store, batch, first, chunk);
            chunk->length = 0;
        }
        if (chunk->length == 0)
            first = index;
        status = append_leaf(chunk, leaf.data, leaf.length);
        if (record == NULL && status == CL_OK) {
            put_chunk(ledger->store, batch, first, chunk);
            chunk->length = 0;
        }
    }
    return status;
}

static void tile_root(struct cl_hash *out, const struct cl_hash hashes[CL_TILE_WIDTH])
{
    struct cl_hash level[CL_TILE_WIDTH / 2];
    for (size_t i = 0; i < CL_TILE_WIDTH / 2; i++)
        cl_sha256_node(level[i].bytes, 1, hashes[2 * i].bytes, hashes[2 * i + 1].bytes);
    for (size_t width = CL_TILE_WIDTH / 4; width > 0; width /= 2)
        for (size_t i = 0; i < width; i++)
            cl_sha256_node(level[i].bytes, 1, level[2 * i].bytes, level[2 * i + 1].bytes);
    *out = level[0];
}

static void put_tile(struct cl_ledger *ledger, struct cl_store_batch *batch, unsigned level, uint64_t number, size_t width)
{
    struct cl_table_key key;
    cl_key_tile(&key, level, number);
    cl_batch_put_key(ledger->store, batch, &key, ledger->edge.hashes[level], width * 32);
}

/* The hash belongs to the level's tile at *number. True: the tile is full, and *number and *hash are what it is on the level above. */
static bool append_hash(struct cl_ledger *ledger, struct cl_store_batch *batch, unsigned level, uint64_t *number, const struct cl_hash *hash)
{
    ledger->edge.hashes[level][*number % CL_TILE_WIDTH] = *hash;
    if (*number % CL_TILE_WIDTH != CL_TILE_WIDTH - 1)
        return false;
    *number /= CL_TILE_WIDTH;
    put_tile(ledger, batch, level, *number, CL_TILE_WIDTH);
    return true;
}

/* *used: how far the candidate's tile_roots are taken; the roots of the levels above are worked out here. *changed_levels:
   which have tiles that are not full and were not written. */
static void append_to_tiles(struct cl_ledger *ledger, struct cl_store_batch *batch, const struct cl_candidate *candidate, size_t *used, uint64_t number,
                            const struct cl_hash *leaf, unsigned *changed_levels)
{
    struct cl_hash hash = *leaf;
    for (unsigned level = 0; level < CL_TILE_LEVELS; level++) {
        *changed_levels |= 1u << level;
        if (!append_hash(ledger, batch, level, &number, &hash))
            return;
        *changed_levels &= ~(1u << level);
        if (level == 0) {
            memcpy(hash.bytes, candidate->tile_roots.data + *used, 32);
            *used += 32;
        } else {
            tile_root(&hash, ledger->edge.hashes[level]);
        }
    }
}

static void put_tiles(struct cl_ledger *ledger, struct cl_store_batch *batch, const struct cl_candidate *candidate)
{
    struct leaf_walk walk = {.candidate = candidate};
    const struct cl_record *record;
    struct cl_view leaf;
    struct cl_leaf_hash state_leaf;
    struct cl_hash hash;
    uint64_t size = candidate->first_index;
    size_t used = 0;
    unsigned changed_levels = 0;
    while (next_leaf(&walk, &record, &leaf)) {
        if (record == NULL)
            cl_log_leaf_hash(&state_leaf, leaf.data, leaf.length);
        memcpy(hash.bytes, record != NULL ? record->leaf_hash.bytes : state_leaf.bytes, 32);
        append_to_tiles(ledger, batch, candidate, &used, size++, &hash, &changed_levels);
    }
    assert(used == candidate->tile_roots.length);
    for (unsigned level = 1; level < CL_TILE_LEVELS; level++) {
        uint64_t hashes = size >> (CL_TILE_HEIGHT * level);
        if ((changed_levels >> level & 1) != 0 && hashes % CL_TILE_WIDTH != 0)
            put_tile(ledger, batch, level, hashes / CL_TILE_WIDTH, hashes % CL_TILE_WIDTH);
    }
}

/* ---- state and indexes */

/* In the order of the keys the entries lie anywhere in memory, and their values again: both are asked for some rows ahead. */
static void warm_entry(const struct cl_candidate *candidate, uint32_t at)
{
    enum { ENTRY_AHEAD = 12, VALUE_AHEAD = 6 };
    if (at + ENTRY_AHEAD < candidate->changed_count) {
        const struct cl_map_entry *entry = &candidate->map.entries[candidate->changed[at + ENTRY_AHEAD]];
        __builtin_prefetch(entry);
        __builtin_prefetch(&entry->value);
    }
    if (at + VALUE_AHEAD < candidate->changed_count) {
        const struct cl_map_entry *entry = &candidate->map.entries[candidate->changed[at + VALUE_AHEAD]];
        for (uint32_t byte = 0; byte < entry->length; byte += 64)
            __builtin_prefetch(entry->value + byte);
    }
}

/* LevelDB takes a batch into its table in memory row by row. The keys are hashes: in the order of their coming each row
   would look for its place through cold memory; in ascending order it finds the way that the one before it has warmed. */
static void put_state(const struct cl_store *store, struct cl_store_batch *batch, const struct cl_candidate *candidate)
{
    struct cl_table_key key;
    for (uint32_t i = 0; i < candidate->changed_count; i++) {
        const struct cl_map_entry *entry = &candidate->map.entries[candidate->changed[i]];
        warm_entry(candidate, i);
        cl_key_hash(&key, CL_TABLE_STATE, entry->key_hash);
        cl_batch_put_key(store, batch, &key, entry->value, entry->length);
    }
}

static enum cl_status put_places(const struct cl_store *store, struct cl_store_batch *batch, const struct cl_candidate *candidate)
{
    struct cl_table_key key;
    uint8_t place[8];
    struct cl_sort_item *rows = malloc(((size_t)candidate->count + 1) * sizeof *rows);
    if (rows == NULL)
        return CL_E_MEMORY;
    for (uint32_t i = 0; i < candidate->count; i++)
        rows[i] = (struct cl_sort_item){cl_get_u64(candidate->records[i]->record.id.bytes), i};
    enum cl_status status = cl_sort(rows, candidate->count);
    for (uint32_t i = 0; i < candidate->count && status == CL_OK; i++) {
        const struct cl_record *record = &candidate->records[rows[i].at]->record;
        cl_key_hash(&key, CL_TABLE_PLACE, record->id.bytes);
        cl_put_u64(place, cl_candidate_place(candidate, (uint32_t)rows[i].at));
        cl_batch_put_key(store, batch, &key, place, sizeof place);
        if (cl_rules_is_withdrawal(record->type)) { /* kept since it was promised; now it is done */
            cl_key_hash(&key, CL_TABLE_WITHDRAWAL, record->leaf_hash.bytes);
            store->batch_delete(batch, key.bytes, key.length);
        }
    }
    free(rows);
    return status;
}

/* Near enough to the keys' order: table, then 24 bits of the party and 32 of the object; elsewhere the first 56 bits. */
static uint64_t index_order(const uint8_t *key, size_t length)
{
    uint64_t table = (uint64_t)key[0] << 56;
    if (key[0] != CL_TABLE_PARTY)
        return table | cl_get_u64(key + 1) >> 8;
    return table | cl_get_u64(key + 3) >> 40 << 32 | cl_get_u64(key + length - 32) >> 32;
}

static enum cl_status put_indexes(const struct cl_store *store, struct cl_store_batch *batch, const struct cl_candidate *candidate)
{
    const uint8_t *index = candidate->index.data;
    size_t length = candidate->index.length, count = 0;
    struct cl_sort_item *rows = malloc((length / 34 + 1) * sizeof *rows); /* no row is shorter */
    if (rows == NULL)
        return CL_E_MEMORY;
    for (size_t at = 0; at < length; at += 2u + index[at] + index[at + 1 + index[at]]) {
        assert(index[at] >= 33);
        rows[count++] = (struct cl_sort_item){index_order(index + at + 1, index[at]), at};
    }
    enum cl_status status = cl_sort(rows, count);
    for (size_t i = 0; i < count && status == CL_OK; i++) {
        const uint8_t *row = index + rows[i].at;
        size_t key_length = row[0];
        store->batch_put(batch, row + 1, key_length, row + 2 + key_length, row[1 + key_length]);
    }
    free(rows);
    return status;
}

static enum cl_status put_block(struct cl_ledger *ledger, struct cl_store_batch *batch, uint64_t height, const struct cl_stored_block *block)
{
    struct cl_buffer encoded = {0};
    struct cl_table_key key;
    enum cl_status status = cl_stored_block_encode(&encoded, block);
    cl_key_number(&key, CL_TABLE_BLOCK, height);
    if (status == CL_OK)
        status = cl_batch_put_checked(ledger->store, batch, &ledger->scratch, &key, encoded.data, encoded.length);
    cl_buffer_deinit(&encoded);
    return status;
}

static enum cl_status put_blocks(struct cl_ledger *ledger, struct cl_store_batch *batch, const struct cl_candidate *candidate,
                                 uint64_t view, uint64_t parent_view, struct cl_view certificate)
{
    enum cl_status status = CL_OK;
    for (uint32_t i = 0; i < candidate->part_count && status == CL_OK; i++) {
        const struct cl_candidate_part *part = &candidate->parts[i];
        struct cl_stored_block block = {
            .epoch = part->epoch, .view = part->view, .parent_view = part->parent_view, .first_index = candidate->first_index + part->first + i,
            .record_count = part->end - part->first, .id = part->id, .state_leaf = part_leaf(candidate, i), .log_root = part->log_root,
        };
        status = put_block(ledger, batch, part->height, &block);
    }
    struct cl_stored_block last = {
        .epoch = candidate->head.epoch, .view = view, .parent_view = parent_view, .first_index = candidate->first_index + candidate->block_first + candidate->part_count,
        .record_count = candidate->head.record_count, .id = candidate->summary.id, .state_leaf = part_leaf(candidate, candidate->part_count),
        .log_root = candidate->summary.log_root, .certificate = certificate,
    };
    return status == CL_OK ? put_block(ledger, batch, candidate->head.height, &last) : status;
}

static uint64_t new_state_leaves(const struct cl_candidate *candidate)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < candidate->map.count; i++)
        count += candidate->map.entries[i].state == CL_MAP_CHANGED && candidate->map.entries[i].is_new;
    return count;
}

static enum cl_status put_tip(struct cl_ledger *ledger, struct cl_store_batch *batch, const struct cl_tip *tip, uint64_t state_leaves)
{
    struct cl_buffer encoded = {0};
    struct cl_table_key key;
    enum cl_status status = cl_tip_encode(&encoded, tip, state_leaves);
    cl_key_meta(&key, "tip");
    if (status == CL_OK)
        status = cl_batch_put_checked(ledger->store, batch, &ledger->scratch, &key, encoded.data, encoded.length);
    cl_buffer_deinit(&encoded);
    return status;
}

/* The certificate must be this block's; whether its votes are good was for the node to check. */
static enum cl_status check_certificate(const struct cl_candidate *candidate, uint64_t view, struct cl_view bytes)
{
    struct cl_certificate certificate;
    if (bytes.length == 0)
        return CL_OK;
    enum cl_status status = cl_certificate_decode(&certificate, bytes.data, bytes.length);
    if (status != CL_OK)
        return status;
    bool fits = certificate.kind == CL_VOTE_FINALIZE && certificate.view == view && certificate.epoch == candidate->head.epoch &&
                memcmp(certificate.block.bytes, candidate->summary.id.bytes, 32) == 0;
    return fits ? CL_OK : CL_E_CERTIFICATE;
}

/* ---- the rows that are known before the roots are: nearly all of them */

static void make_rows(void *argument)
{
    struct cl_candidate *candidate = argument;
    const struct cl_store *store = candidate->ledger->store;
    put_state(store, candidate->batch, candidate);
    enum cl_status status = put_places(store, candidate->batch, candidate);
    if (status == CL_OK)
        status = put_indexes(store, candidate->batch, candidate);
    candidate->batch_status = status;
}

static enum cl_status rows_new(struct cl_candidate *candidate)
{
    const struct cl_store *store = candidate->ledger->store;
    assert(candidate->batch == NULL);
    candidate->batch = store->batch_new(store->context);
    return candidate->batch != NULL ? CL_OK : CL_E_MEMORY;
}

static bool is_shared(const struct cl_candidate *candidate)
{
    const struct cl_helper *helper = &candidate->ledger->helper;
    return helper->begin != NULL && candidate->map.count >= helper->worth;
}

void cl_candidate_rows_begin(struct cl_candidate *candidate)
{
    const struct cl_helper *helper = &candidate->ledger->helper;
    if (!is_shared(candidate) || rows_new(candidate) != CL_OK)
        return;
    candidate->rows = (struct cl_job){.run = make_rows, .argument = candidate};
    helper->begin(helper->context, &candidate->rows);
}

static void finish_rows(struct cl_candidate *candidate)
{
    const struct cl_helper *helper = &candidate->ledger->helper;
    if (candidate->rows.run != NULL)
        helper->finish(helper->context, &candidate->rows);
    candidate->rows.run = NULL;
}

static enum cl_status rows_finish(struct cl_candidate *candidate)
{
    if (candidate->batch != NULL) {
        finish_rows(candidate);
        return candidate->batch_status;
    }
    enum cl_status status = rows_new(candidate);
    if (status != CL_OK)
        return status;
    make_rows(candidate);
    return candidate->batch_status;
}

void cl_candidate_rows_free(struct cl_candidate *candidate)
{
    const struct cl_store *store = candidate->ledger->store;
    if (candidate->batch == NULL)
        return;
    finish_rows(candidate); /* somebody may be at it */
    store->batch_free(candidate->batch);
    candidate->batch = NULL;
}

/* The candidate's rows, with what only finality could tell, and all of them written. */
struct write_job {
    struct cl_ledger *ledger;
    struct cl_candidate *candidate;
    const struct cl_tip *tip;
    uint64_t state_leaves, parent_view;
    struct cl_view certificate;
    enum cl_status status;
};

static void write_synced(void *argument)
{
    struct write_job *job = argument;
    struct cl_ledger *ledger = job->ledger;
    struct cl_candidate *candidate = job->candidate;
    enum cl_status status = rows_finish(candidate);
    if (status == CL_OK)
        status = put_blocks(ledger, candidate->batch, candidate, job->tip->view, job->parent_view, job->certificate);
    if (status == CL_OK)
        status = put_leaves(ledger, candidate->batch, candidate);
    if (status == CL_OK)
        status = put_tip(ledger, candidate->batch, job->tip, job->state_leaves);
    if (status == CL_OK) {
        put_tiles(ledger, candidate->batch, candidate);
        status = ledger->store->batch_write(ledger->store->context, candidate->batch, true);
    }
    job->status = status;
}

/* A value that was there before may lie anywhere in memory. */
static void warm_recent(const struct cl_ledger *ledger, const struct cl_map *map, uint32_t at)
{
    enum { LIST_AHEAD = 24, ENTRY_AHEAD = 12 };
    if (at + LIST_AHEAD < map->count && !map->entries[at + LIST_AHEAD].is_new)
        cl_recent_warm(ledger->recent, map->entries[at + LIST_AHEAD].key_hash);
    if (at + ENTRY_AHEAD < map->count && !map->entries[at + ENTRY_AHEAD].is_new)
        cl_recent_warm_entry(ledger->recent, map->entries[at + ENTRY_AHEAD].key_hash);
}

static void remember_changes(struct cl_ledger *ledger, const struct cl_map *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct cl_map_entry *entry = &map->entries[i];
        warm_recent(ledger, map, i);
        if (entry->state == CL_MAP_CHANGED)
            cl_recent_put(ledger->recent, entry->key_hash, entry->is_new, entry->value, entry->length);
    }
    cl_changes_commit(&ledger->changes, map);
}

/* The write and the fold need nothing of each other (edge and scratch of the ledger are the write's), and nothing is told
   before both are done. Where one fails the other does not matter any more: the ledger has failed. */
static enum cl_status write_and_fold(struct write_job *write)
{
    struct cl_ledger *ledger = write->ledger;
    struct cl_candidate *candidate = write->candidate;
    const struct cl_helper *helper = &ledger->helper;
    enum cl_status folded = CL_OK;
    if (!is_shared(candidate)) {
        write_synced(write);
        if (write->status == CL_OK)
            folded = cl_smt_overlay_fold(candidate->overlay);
    } else {
        struct cl_job job = {.run = write_synced, .argument = write};
        helper->begin(helper->context, &job);
        folded = cl_smt_overlay_fold(candidate->overlay);
        if (folded == CL_OK && ledger->meanwhile != NULL)
            ledger->meanwhile(ledger->meanwhile_context);
        helper->finish(helper->context, &job);
    }
    if (write->status == CL_OK)
        remember_changes(ledger, &candidate->map);
    return write->status != CL_OK ? write->status : folded;
}

enum cl_status cl_ledger_commit(struct cl_ledger *ledger, struct cl_candidate *candidate, uint64_t view,
                                uint64_t parent_view, const uint8_t *certificate, size_t certificate_length)
{
    struct cl_view certificate_bytes = {certificate, certificate_length};
    struct cl_store_snapshot *before = NULL;
    assert(candidate->ledger == ledger && candidate->sealed && !candidate->committed);
    if (ledger->failed != CL_OK)
        return ledger->failed;
    if (memcmp(candidate->base.bytes, ledger->tip.block.bytes, 32) != 0)
        return CL_E_BLOCK_INVALID;
    enum cl_status status = check_certificate(candidate, view, certificate_bytes);
    if (status != CL_OK)
        return status;
    struct cl_tip tip = {
        .height = candidate->summary.height, .time_ms = candidate->summary.time_ms, .log_size = candidate->summary.log_size,
        .epoch = candidate->head.epoch, .view = view, .block = candidate->summary.id,
        .log_root = candidate->summary.log_root, .state_root = candidate->summary.state_root,
    };
    struct write_job write = {ledger, candidate, &tip, cl_smt_count(ledger->tree) + new_state_leaves(candidate), parent_view, certificate_bytes, CL_OK};
    status = cl_past_snapshot(&before, ledger);
    if (status == CL_OK)
        status = write_and_fold(&write);
    cl_candidate_rows_free(candidate);
    if (status != CL_OK) {
        if (before != NULL)
            ledger->store->snapshot_free(ledger->store->context, before);
        ledger->failed = status; /* memory and store may differ now: only a new start knows */
        return status;
    }
    cl_past_add(ledger, before, candidate->overlay);
    ledger->frontier = candidate->frontier;
    ledger->tip = tip;
    candidate->committed = true;
    return CL_OK;
}
