/* Evaluating a block: records apply one after the other on an overlay of the state, and sealing computes the roots.
   Nothing here writes to the store. */
#include "ledger_internal.h"

#include "crypto.h"
#include "sort.h"

#include <assert.h>
#include <stdlib.h>

#define ID_SLOTS_MIN 64u
#define LEAVES_SHARED 256u /* so many are hashed at a time by whoever is free: fewer would cost more than they save */

/* ---- the state, as this candidate and those below it left it */

static enum cl_status entry_view(const struct cl_map_entry *entry, struct cl_view *value)
{
    if (entry->state == CL_MAP_ABSENT)
        return CL_E_NOT_FOUND;
    value->data = entry->value;
    value->length = entry->length;
    return CL_OK;
}

const struct cl_candidate *cl_candidate_below(const struct cl_candidate *candidate)
{
    const struct cl_candidate *parent = candidate->parent;
    return parent != NULL && !parent->committed ? parent : NULL;
}

static const struct cl_map_entry *find_in_chain(const struct cl_candidate *candidate, const uint8_t key32[32])
{
    for (; candidate != NULL; candidate = cl_candidate_below(candidate)) {
        const struct cl_map_entry *entry = cl_map_find(&candidate->map, key32);
        if (entry != NULL)
            return entry;
    }
    return NULL;
}

/* The candidate's own entry for a key that nothing in the chain has looked at yet. */
static enum cl_status learn(struct cl_map_entry **out, struct cl_candidate *candidate, const uint8_t key32[32])
{
    uint8_t key_hash[32];
    bool exists;
    cl_sha256_once(key_hash, key32, 32);
    enum cl_status status = cl_smt_contains(&exists, candidate->ledger->tree, key_hash);
    if (status != CL_OK)
        return status;
    *out = cl_map_insert(&candidate->map, key32, key_hash);
    if (*out == NULL)
        return CL_E_MEMORY;
    (*out)->is_new = !exists;
    return CL_OK;
}

/* The tree in memory knows of nearly every new key that it is not there, which spares the look-up; where the store lacks
   what the tree may have, the tree is asked in earnest: a value that is gone is damage. */
static enum cl_status read_store(bool *exists, struct cl_ledger *ledger, const uint8_t *key_hash)
{
    struct cl_table_key row;
    enum cl_status status = cl_smt_may_contain(exists, ledger->tree, key_hash);
    if (status != CL_OK || !*exists)
        return status;
    cl_key_hash(&row, CL_TABLE_STATE, key_hash);
    status = cl_store_get_key(ledger->store, &ledger->value, NULL, &row);
    if (status != CL_E_NOT_FOUND)
        return status;
    status = cl_smt_contains(exists, ledger->tree, key_hash);
    return status == CL_OK && *exists ? CL_E_STORE_CORRUPT : status;
}

/* From what came last, else from the store. */
static enum cl_status fetch(struct cl_map_entry **out, struct cl_candidate *candidate, const uint8_t key32[32], const uint8_t *key_hash)
{
    struct cl_ledger *ledger = candidate->ledger;
    struct cl_view value = cl_recent_get(ledger->recent, key_hash);
    bool exists = value.data != NULL;
    if (!exists) {
        enum cl_status status = read_store(&exists, ledger, key_hash);
        if (status != CL_OK)
            return status;
        value = (struct cl_view){ledger->value.data, ledger->value.length};
    }
    *out = cl_map_insert(&candidate->map, key32, key_hash);
    if (*out == NULL)
        return CL_E_MEMORY;
    (*out)->is_new = !exists;
    return exists ? cl_map_set(&candidate->map, *out, CL_MAP_READ, value.data, value.length) : CL_OK;
}

/* What was read ahead is what the store would give; where only the key's hash was worked out, the store is asked. */
static enum cl_status look_up(struct cl_map_entry **out, struct cl_candidate *candidate, const uint8_t key32[32])
{
    uint8_t own_hash[32];
    struct cl_view value;
    const uint8_t *key_hash = cl_ahead_find(&value, candidate->ahead, &candidate->ledger->changes, key32);
    if (key_hash == NULL) {
        cl_sha256_once(own_hash, key32, 32);
        key_hash = own_hash;
    }
    if (value.length == 0)
        return fetch(out, candidate, key32, key_hash);
    *out = cl_map_insert(&candidate->map, key32, key_hash);
    return *out != NULL ? cl_map_set(&candidate->map, *out, CL_MAP_READ, value.data, value.length) : CL_E_MEMORY;
}

/* Rules ask for the same key several times in one record; what was found, or found absent, is remembered. */
static enum cl_status state_get(void *context, const uint8_t key32[32], struct cl_view *value)
{
    struct cl_candidate *candidate = context;
    struct cl_map_entry *entry = NULL;
    const struct cl_map_entry *known = find_in_chain(candidate, key32);
    if (known != NULL)
        return entry_view(known, value);
    enum cl_status status = look_up(&entry, candidate, key32);
    return status == CL_OK ? entry_view(entry, value) : status;
}

static enum cl_status state_put(void *context, const uint8_t key32[32], const uint8_t *value, size_t length)
{
    struct cl_candidate *candidate = context;
    struct cl_map_entry *entry = cl_map_find(&candidate->map, key32);
    if (entry == NULL) {
        const struct cl_map_entry *known = find_in_chain(cl_candidate_below(candidate), key32);
        if (known == NULL) {
            enum cl_status status = learn(&entry, candidate, key32);
            if (status != CL_OK)
                return status;
        } else {
            entry = cl_map_insert(&candidate->map, key32, known->key_hash);
            if (entry == NULL)
                return CL_E_MEMORY;
            entry->is_new = known->state == CL_MAP_ABSENT;
        }
    }
    return cl_map_set(&candidate->map, entry, CL_MAP_CHANGED, value, length);
}

static enum cl_status state_put_nowhere(void *context, const uint8_t key32[32], const uint8_t *value, size_t length)
{
    (void)context, (void)key32, (void)value, (void)length;
    return CL_OK;
}

/* ---- rows of the indexes that a record makes (tables.h: p, T, y) */

struct touch_context { struct cl_candidate *candidate; const struct cl_record *record; uint64_t log_index; enum cl_status status; };

static void add_row(struct touch_context *context, const struct cl_table_key *key, const uint8_t *value, uint8_t length)
{
    struct cl_buffer *index = &context->candidate->index;
    uint8_t row[2 + sizeof key->bytes + 32];
    if (context->status != CL_OK)
        return;
    row[0] = (uint8_t)key->length;
    memcpy(row + 1, key->bytes, key->length);
    row[1 + key->length] = length;
    if (length > 0)
        memcpy(row + 2 + key->length, value, length);
    context->status = cl_buffer_append(index, row, 2 + key->length + length);
}

static void add_party(struct touch_context *context, const uint8_t *party, size_t length, const uint8_t object32[32])
{
    struct cl_table_key key;
    cl_key_party(&key, party, length, object32);
    add_row(context, &key, NULL, 0);
}

static void on_touched(void *opaque, const struct cl_touched *touched)
{
    struct touch_context *context = opaque;
    const struct cl_record *record = context->record;
    const struct cl_entry *entry = &record->entries[touched->entry];
    struct cl_table_key key;
    bool has_prev = (entry->present & CL_HAS(2)) != 0;
    if (touched->customer.length > 0)
        add_party(context, touched->customer.bytes, touched->customer.length, touched->object);
    if (touched->organisation.length > 0)
        add_party(context, touched->organisation.bytes, touched->organisation.length, touched->object);
    if (touched->opened && touched->kind != CL_STATE_AGREEMENT)
        add_party(context, record->signer33, 33, touched->object);
    if (touched->opened && touched->kind == CL_STATE_TERMS) {
        cl_key_hash(&key, CL_TABLE_TERMS, touched->object);
        add_row(context, &key, NULL, 0);
    }
    if (record->type == CL_ROTATE) /* who holds the new key finds the object by it */
        add_party(context, entry->key, 33, touched->object);
    if (!touched->opened && !(has_prev && touched->moves_head)) {
        bool moved = touched->moves_head;
        cl_key_history(&key, touched->object, context->log_index);
        assert(!moved || touched->has_previous_head);
        add_row(context, &key, moved ? touched->previous_head : NULL, moved ? 32 : 0);
    }
}

/* ---- record ids: an id applies once, ever */

static uint32_t id_slot(const struct cl_candidate *candidate, const struct cl_record_id *id)
{
    return cl_slot_of(id->bytes, candidate->map.seed, candidate->id_slot_count);
}

static bool id_known(const struct cl_candidate *candidate, const struct cl_record_id *id)
{
    if (candidate->id_slot_count == 0)
        return false;
    uint32_t mask = candidate->id_slot_count - 1;
    for (uint32_t slot = id_slot(candidate, id); candidate->id_slots[slot] != 0; slot = (slot + 1) & mask)
        if (memcmp(candidate->records[candidate->id_slots[slot] - 1]->record.id.bytes, id->bytes, 32) == 0)
            return true;
    return false;
}

static void id_insert(struct cl_candidate *candidate, uint32_t number)
{
    uint32_t mask = candidate->id_slot_count - 1;
    uint32_t slot = id_slot(candidate, &candidate->records[number]->record.id);
    while (candidate->id_slots[slot] != 0)
        slot = (slot + 1) & mask;
    candidate->id_slots[slot] = number + 1;
}

/* Room for one more record, so that nothing can fail once it has applied. */
static enum cl_status reserve(struct cl_candidate *candidate)
{
    if (candidate->count < candidate->capacity)
        return CL_OK;
    uint32_t capacity = candidate->capacity == 0 ? ID_SLOTS_MIN / 2 : candidate->capacity * 2;
    struct cl_ledger_record **records = realloc(candidate->records, capacity * sizeof *records);
    if (records == NULL)
        return CL_E_MEMORY;
    candidate->records = records;
    uint32_t *slots = calloc(capacity * 2, sizeof *slots);
    if (slots == NULL)
        return CL_E_MEMORY;
    free(candidate->id_slots);
    candidate->id_slots = slots;
    candidate->id_slot_count = capacity * 2;
    candidate->capacity = capacity;
    for (uint32_t i = 0; i < candidate->count; i++)
        id_insert(candidate, i);
    return CL_OK;
}

static enum cl_status replay_in_store(struct cl_ledger *ledger, const struct cl_record_id *id)
{
    struct cl_table_key key;
    cl_key_hash(&key, CL_TABLE_PLACE, id->bytes);
    enum cl_status status = cl_store_get_key(ledger->store, &ledger->value, NULL, &key);
    if (status == CL_OK)
        return CL_E_REPLAY;
    return status == CL_E_NOT_FOUND ? CL_OK : status;
}

enum cl_status cl_candidate_replay(struct cl_candidate *candidate, const struct cl_record_id *id)
{
    for (const struct cl_candidate *at = candidate; at != NULL; at = cl_candidate_below(at))
        if (id_known(at, id))
            return CL_E_REPLAY;
    return replay_in_store(candidate->ledger, id);
}

/* A record that opens objects, all or nothing, cannot apply twice, because its objects exist after the first time and
   ids never go: the look-up, a miss nearly always, is spared unless the rules refuse it. */
static bool opening_shows_replay(const struct cl_record *record)
{
    return !record->skip_refused && record->entry_count > 0 && record->entries[0].object_length == 16;
}

static enum cl_status apply(struct cl_candidate *candidate, const struct cl_record *record, uint64_t time_ms,
                            bool keep, uint32_t *refused_entry)
{
    struct cl_ledger *ledger = candidate->ledger;
    struct cl_state_access access = {candidate, state_get, keep ? state_put : state_put_nowhere};
    struct cl_rules_input input = {&ledger->genesis.network, record, cl_candidate_place(candidate, candidate->count), time_ms,
                                    cl_ahead_ids(candidate->ahead)};
    struct touch_context touch = {candidate, record, input.log_index, CL_OK};
    uint32_t map_count = candidate->map.count;
    size_t index_length = candidate->index.length;
    bool spared = opening_shows_replay(record);
    enum cl_status status = spared ? CL_OK : cl_candidate_replay(candidate, &record->id);
    if (refused_entry != NULL)
        *refused_entry = 0;
    if (status == CL_OK)
        status = cl_rules_apply(&access, &input, refused_entry, NULL, keep ? on_touched : NULL, &touch);
    if (status == CL_OK && keep && touch.status != CL_OK)
        candidate->failed = status = touch.status;
    if (status == CL_OK)
        return CL_OK;
    if (status == CL_E_MEMORY || status == CL_E_IO || status == CL_E_STORE_IO || status == CL_E_STORE_CORRUPT) {
        if (keep)
            candidate->failed = status; /* some of the record's changes may be in */
        return status;
    }
    cl_map_truncate(&candidate->map, map_count);
    candidate->index.length = index_length;
    if (spared && status != CL_E_REPLAY) {
        enum cl_status replay = cl_candidate_replay(candidate, &record->id);
        if (replay != CL_OK)
            status = replay;
    }
    return status;
}

/* ---- candidates */

static struct cl_candidate *take(struct cl_candidate *candidate)
{
    if (candidate != NULL)
        candidate->references++;
    return candidate;
}

bool cl_candidate_stands(const struct cl_candidate *candidate)
{
    while (cl_candidate_below(candidate) != NULL)
        candidate = cl_candidate_below(candidate);
    return memcmp(candidate->base.bytes, candidate->ledger->tip.block.bytes, 32) == 0;
}

enum cl_status cl_candidate_new(struct cl_candidate **out, struct cl_ledger *ledger, struct cl_candidate *parent, uint64_t time_ms)
{
    *out = NULL;
    if (ledger->failed != CL_OK)
        return ledger->failed;
    assert(parent == NULL || parent->sealed);
    if (parent != NULL && parent->committed && memcmp(parent->summary.id.bytes, ledger->tip.block.bytes, 32) != 0)
        return CL_E_BLOCK_INVALID;
    if (parent != NULL && parent->committed)
        parent = NULL;
    if (parent != NULL && !cl_candidate_stands(parent))
        return CL_E_BLOCK_INVALID;
    if (time_ms <= (parent != NULL ? parent->summary.time_ms : ledger->tip.time_ms))
        return CL_E_BLOCK_INVALID; /* consensus rule 3: time after the parent's */
    struct cl_candidate *candidate = calloc(1, sizeof *candidate);
    if (candidate == NULL)
        return CL_E_MEMORY;
    candidate->ledger = ledger;
    candidate->map.seed = ledger->seed;
    candidate->references = 1;
    candidate->parent = take(parent);
    candidate->first_index = parent != NULL ? parent->summary.log_size : ledger->tip.log_size;
    candidate->frontier = parent != NULL ? parent->frontier : ledger->frontier;
    candidate->head.network = ledger->genesis.network;
    candidate->head.epoch = ledger->tip.epoch;
    candidate->head.height = (parent != NULL ? parent->summary.height : ledger->tip.height) + 1;
    candidate->base = candidate->head.previous = parent != NULL ? parent->summary.id : ledger->tip.block;
    candidate->head.member_set = ledger->member_set;
    candidate->head.time_ms = time_ms;
    enum cl_status status = cl_smt_overlay_new(&candidate->overlay, ledger->tree, parent != NULL ? parent->overlay : NULL);
    if (status != CL_OK) {
        cl_candidate_free(candidate);
        return status;
    }
    *out = candidate;
    return CL_OK;
}

static bool has_room(const struct cl_candidate *candidate, size_t length)
{
    const struct cl_parameters *parameters = &candidate->ledger->genesis.value.parameters;
    uint64_t records = parameters->block_records_max < CL_BLOCK_RECORDS_MAX ? parameters->block_records_max : CL_BLOCK_RECORDS_MAX;
    uint64_t bytes = parameters->block_bytes_max < CL_BLOCK_BYTES_MAX ? parameters->block_bytes_max : CL_BLOCK_BYTES_MAX;
    return candidate->count - candidate->block_first < records && candidate->bytes + length <= bytes;
}

enum cl_status cl_candidate_add(struct cl_candidate *candidate, struct cl_ledger_record *record, uint32_t *refused_entry)
{
    const struct cl_record *decoded = &record->record;
    bool withdrawal = cl_rules_is_withdrawal(decoded->type);
    assert(!candidate->sealed);
    if (refused_entry != NULL)
        *refused_entry = 0;
    if (candidate->failed != CL_OK)
        return candidate->failed;
    if (!cl_candidate_stands(candidate))
        return CL_E_BLOCK_INVALID;
    /* records.md rule 4: in a block, REVOKE and SUSPEND come before all else */
    if (withdrawal && candidate->ordinary_seen)
        return CL_E_BLOCK_ORDER;
    if (!has_room(candidate, decoded->bytes.length))
        return CL_E_BLOCK_SIZE;
    enum cl_status status = reserve(candidate);
    candidate->ahead = record->ahead;
    cl_ahead_warm(record->ahead, candidate);
    if (status == CL_OK)
        status = apply(candidate, decoded, candidate->head.time_ms, true, refused_entry);
    candidate->ahead = NULL;
    if (status != CL_OK)
        return status;
    cl_ahead_free(record->ahead); /* the candidate has it now */
    record->ahead = NULL;
    cl_ledger_record_ref(record);
    candidate->records[candidate->count] = record;
    id_insert(candidate, candidate->count);
    candidate->count++;
    candidate->bytes += decoded->bytes.length;
    if (!withdrawal)
        candidate->ordinary_seen = true;
    return CL_OK;
}

size_t cl_candidate_count(const struct cl_candidate *candidate)
{
    return candidate->count;
}

struct cl_ledger_record *cl_candidate_record(const struct cl_candidate *candidate, size_t index)
{
    assert(index < candidate->count);
    return candidate->records[index];
}

/* Sorted once, for the tree and for the store. places: where each of the map's entries stands among the changed ones. */
static enum cl_status sort_changed(struct cl_candidate *candidate, uint32_t *places)
{
    const struct cl_map *map = &candidate->map;
    uint32_t count = 0;
    struct cl_sort_item *items = malloc((map->count + (size_t)1) * sizeof *items);
    candidate->changed = malloc((map->count + (size_t)1) * sizeof *candidate->changed);
    if (items == NULL || candidate->changed == NULL) {
        free(items);
        return CL_E_MEMORY;
    }
    for (uint32_t i = 0; i < map->count; i++)
        if (map->entries[i].state == CL_MAP_CHANGED)
            items[count++] = (struct cl_sort_item){cl_get_u64(map->entries[i].key_hash), i};
    enum cl_status status = cl_sort(items, count);
    for (uint32_t i = 0; i < count && status == CL_OK; i++) {
        candidate->changed[i] = (uint32_t)items[i].at;
        places[items[i].at] = i;
    }
    candidate->changed_count = count;
    free(items);
    return status;
}

struct leaves_job { const struct cl_map *map; const uint32_t *places; struct cl_smt_leaf *leaves; };

static void make_leaves(void *argument, unsigned part)
{
    const struct leaves_job *job = argument;
    uint32_t first = part * LEAVES_SHARED, left = job->map->count - first;
    for (uint32_t i = first; i < first + (left < LEAVES_SHARED ? left : LEAVES_SHARED); i++) {
        const struct cl_map_entry *entry = &job->map->entries[i];
        if (entry->state == CL_MAP_CHANGED)
            cl_smt_leaf_make(&job->leaves[job->places[i]], entry->key_hash, entry->value, entry->length);
    }
}

static enum cl_status seal_state(struct cl_candidate *candidate)
{
    const struct cl_map *map = &candidate->map;
    uint32_t *places = malloc((map->count + (size_t)1) * sizeof *places);
    struct cl_smt_leaf *leaves = malloc((map->count + (size_t)1) * sizeof *leaves);
    enum cl_status status = places != NULL && leaves != NULL ? sort_changed(candidate, places) : CL_E_MEMORY;
    if (status == CL_OK) {
        struct leaves_job job = {map, places, leaves};
        cl_ledger_spread(candidate->ledger, make_leaves, &job, (map->count + LEAVES_SHARED - 1) / LEAVES_SHARED);
    }
    for (uint32_t i = 0; i < candidate->changed_count && status == CL_OK; i++)
        status = cl_smt_overlay_put(candidate->overlay, &leaves[i]);
    free(places);
    free(leaves);
    if (status != CL_OK)
        return status;
    cl_candidate_rows_begin(candidate);
    return cl_smt_overlay_root(&candidate->head.state_root, candidate->overlay);
}

/* The tiles' roots come out of it, and are kept for the write. */
static enum cl_status append_leaf(struct cl_candidate *candidate, const struct cl_leaf_hash *leaf)
{
    struct cl_hash tile_root;
    if (!cl_log_frontier_append_tile(&candidate->frontier, leaf, &tile_root))
        return CL_OK;
    return cl_buffer_append(&candidate->tile_roots, tile_root.bytes, sizeof tile_root.bytes);
}

/* The last block has its state root: what follows from it. id and log_root are its own. */
static enum cl_status end_block(struct cl_candidate *candidate, struct cl_block_id *id, struct cl_hash *log_root)
{
    struct cl_leaf_hash leaf;
    struct cl_hash root_before;
    candidate->head.record_count = candidate->count - candidate->block_first;
    enum cl_status status = cl_state_leaf_encode(&candidate->state_leaf, &candidate->head);
    if (status != CL_OK)
        return status;
    for (uint32_t i = candidate->block_first; i < candidate->count && status == CL_OK; i++)
        status = append_leaf(candidate, &candidate->records[i]->record.leaf_hash);
    if (status != CL_OK)
        return status;
    cl_log_frontier_root(&root_before, &candidate->frontier);
    cl_block_id_derive(id, candidate->frontier.size, &root_before, candidate->state_leaf.data, candidate->state_leaf.length);
    cl_log_leaf_hash(&leaf, candidate->state_leaf.data, candidate->state_leaf.length);
    status = append_leaf(candidate, &leaf);
    cl_log_frontier_root(log_root, &candidate->frontier);
    return status;
}

static struct cl_candidate_part *new_part(struct cl_candidate *candidate)
{
    if (candidate->part_count == candidate->parts_capacity) {
        uint32_t capacity = candidate->parts_capacity == 0 ? 8 : candidate->parts_capacity * 2;
        struct cl_candidate_part *parts = realloc(candidate->parts, capacity * sizeof *parts);
        if (parts == NULL)
            return NULL;
        candidate->parts = parts;
        candidate->parts_capacity = capacity;
    }
    return &candidate->parts[candidate->part_count];
}

enum cl_status cl_candidate_next_block(struct cl_candidate *candidate, const struct cl_believed_block *believed, uint64_t time_ms)
{
    struct cl_block_id id;
    struct cl_hash log_root;
    assert(!candidate->sealed);
    if (candidate->failed != CL_OK)
        return candidate->failed;
    if (!cl_candidate_stands(candidate) || time_ms <= candidate->head.time_ms)
        return CL_E_BLOCK_INVALID;
    struct cl_candidate_part *part = new_part(candidate);
    candidate->head.state_root = believed->state_root;
    enum cl_status status = part != NULL ? end_block(candidate, &id, &log_root) : CL_E_MEMORY;
    if (status == CL_OK && memcmp(id.bytes, believed->id.bytes, 32) != 0)
        status = CL_E_BLOCK_INVALID;
    if (status != CL_OK) {
        candidate->failed = status;
        return status;
    }
    *part = (struct cl_candidate_part){
        .state_leaf = candidate->state_leaf, .id = id, .log_root = log_root, .height = candidate->head.height, .epoch = candidate->head.epoch,
        .view = believed->view, .parent_view = believed->parent_view, .first = candidate->block_first, .end = candidate->count,
    };
    candidate->part_count++;
    candidate->state_leaf = (struct cl_buffer){0}; /* the part has it now */
    candidate->block_first = candidate->count;
    candidate->bytes = 0;
    candidate->ordinary_seen = false;
    candidate->head.previous = id;
    candidate->head.height++;
    candidate->head.time_ms = time_ms;
    return CL_OK;
}

enum cl_status cl_candidate_seal(struct cl_candidate *candidate, struct cl_candidate_summary *out)
{
    struct cl_candidate_summary *summary = &candidate->summary;
    assert(!candidate->sealed);
    if (candidate->failed != CL_OK)
        return candidate->failed;
    if (!cl_candidate_stands(candidate))
        return CL_E_BLOCK_INVALID;
    enum cl_status status = seal_state(candidate);
    if (status == CL_OK)
        status = end_block(candidate, &summary->id, &summary->log_root);
    if (status != CL_OK) {
        candidate->failed = status;
        return status;
    }
    summary->height = candidate->head.height;
    summary->time_ms = candidate->head.time_ms;
    summary->log_size = candidate->frontier.size;
    summary->state_root = candidate->head.state_root;
    candidate->sealed = true;
    *out = *summary;
    return CL_OK;
}

void cl_candidate_drop_parent(struct cl_candidate *candidate)
{
    struct cl_candidate *parent = candidate->parent;
    assert(parent == NULL || parent->committed);
    candidate->parent = NULL;
    cl_candidate_free(parent);
}

void cl_candidate_free(struct cl_candidate *candidate)
{
    while (candidate != NULL && --candidate->references == 0) {
        struct cl_candidate *parent = candidate->parent;
        cl_candidate_rows_free(candidate);
        for (uint32_t i = 0; i < candidate->count; i++)
            cl_ledger_record_unref(candidate->records[i]);
        free(candidate->records);
        free(candidate->id_slots);
        free(candidate->changed);
        cl_map_deinit(&candidate->map);
        if (candidate->overlay != NULL)
            cl_smt_overlay_free(candidate->overlay);
        cl_buffer_deinit(&candidate->index);
        cl_buffer_deinit(&candidate->tile_roots);
        cl_buffer_deinit(&candidate->state_leaf);
        for (uint32_t i = 0; i < candidate->part_count; i++)
            cl_buffer_deinit(&candidate->parts[i].state_leaf);
        free(candidate->parts);
        free(candidate);
        candidate = parent;
    }
}

enum cl_status cl_ledger_try(struct cl_ledger *ledger, const struct cl_record *record, uint64_t time_ms, uint32_t *refused_entry)
{
    struct cl_candidate *trial = ledger->trial;
    if (ledger->failed != CL_OK)
        return ledger->failed;
    trial->first_index = ledger->tip.log_size;
    trial->base = ledger->tip.block;
    enum cl_status status = apply(trial, record, time_ms, false, refused_entry);
    cl_map_clear(&trial->map);
    return status;
}
