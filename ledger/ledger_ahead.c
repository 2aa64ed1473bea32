/* Reading ahead: what a record names in the state is known before its turn comes, and reading it is most of what the
   owner waits for where many entries share one signature. So whoever has checked the signature reads it, on any thread,
   and the owner takes the value unless a commit has changed it since. It is a cache in front of the store and nothing
   more: what is not here, or may be old, is read as if nobody had looked. */
#include "ledger_internal.h"

#include "crypto.h"
#include "rules.h"

#include <assert.h>
#include <stdlib.h>

/* All that waits for a ledger together: twice the largest block of bulk records. Beyond it nothing is read ahead. */
#define AHEAD_BYTES_MAX ((size_t)16 * 1024 * 1024)
/* When each key changed last, by some bits of its hash: a power of two, many times what one block changes, so that two
   keys seldom share a place (and then the later change counts for both). */
#define CHANGED_SLOTS (UINT32_C(1) << 20)

#define KEYS_OF_ENTRY_MAX 3u

/* length 0: only the hash was worked out, nothing was read (no state value is empty). */
struct ahead_value { uint8_t key[32]; uint32_t offset, length; };
struct cl_ahead {
    struct cl_waiting *waiting;   /* counted there */
    uint32_t commits;             /* how many had happened when the reading began */
    uint32_t count, slot_count;
    size_t size;
    struct cl_entry_ids *ids;     /* of each entry, or NULL: none opens */
    uint8_t (*key_hashes)[32];    /* of the values, in their order */
    uint16_t *slots;              /* value number + 1, 0: free; by the key's first bytes */
    uint8_t *bytes;
    struct ahead_value values[];
};

/* Records may outlive the ledger that they were read for. So the ledger counts for a byte, and whoever takes the last of
   them away frees the count as well. */
struct cl_waiting { atomic_size_t bytes; };

static bool wait_more(struct cl_waiting *waiting, size_t bytes)
{
    if (atomic_fetch_add(&waiting->bytes, bytes) <= AHEAD_BYTES_MAX - bytes)
        return true;
    atomic_fetch_sub(&waiting->bytes, bytes); /* the ledger is still there */
    return false;
}

static void wait_less(struct cl_waiting *waiting, size_t bytes)
{
    if (atomic_fetch_sub(&waiting->bytes, bytes) == bytes)
        free(waiting);
}

void cl_ahead_free(struct cl_ahead *ahead)
{
    if (ahead == NULL)
        return;
    wait_less(ahead->waiting, ahead->size);
    free(ahead);
}

/* ---- what has changed since */

enum cl_status cl_changes_init(struct cl_changes *changes)
{
    atomic_init(&changes->commits, 0);
    changes->last = calloc(CHANGED_SLOTS, sizeof *changes->last);
    changes->waiting = malloc(sizeof *changes->waiting);
    if (changes->waiting != NULL)
        atomic_init(&changes->waiting->bytes, 1);
    return changes->last != NULL && changes->waiting != NULL ? CL_OK : CL_E_MEMORY;
}

void cl_changes_deinit(struct cl_changes *changes)
{
    free(changes->last);
    changes->last = NULL;
    if (changes->waiting != NULL)
        wait_less(changes->waiting, 1);
    changes->waiting = NULL;
}

static uint32_t *last_change(const struct cl_changes *changes, const uint8_t key_hash[32])
{
    uint32_t bits;
    memcpy(&bits, key_hash + 4, sizeof bits);
    return &changes->last[bits & (CHANGED_SLOTS - 1)];
}

/* A reader takes the number of commits before it reads. So whatever a commit with a higher number changed may be old in
   its hands; all that lower ones changed was in the store. */
void cl_changes_commit(struct cl_changes *changes, const struct cl_map *map)
{
    uint32_t commits = atomic_load_explicit(&changes->commits, memory_order_relaxed);
    if (commits == UINT32_MAX)
        return; /* from here on nothing read ahead is taken */
    commits++;
    for (uint32_t i = 0; i < map->count; i++)
        if (map->entries[i].state == CL_MAP_CHANGED)
            *last_change(changes, map->entries[i].key_hash) = commits;
    atomic_store_explicit(&changes->commits, commits, memory_order_release);
}

/* ---- the owner's side */

static uint32_t slot_of(const struct cl_ahead *ahead, const uint8_t key32[32])
{
    uint32_t bits;
    memcpy(&bits, key32, sizeof bits);
    uint32_t slot = bits & (ahead->slot_count - 1);
    while (ahead->slots[slot] != 0 && memcmp(ahead->values[ahead->slots[slot] - 1].key, key32, 32) != 0)
        slot = (slot + 1) & (ahead->slot_count - 1);
    return slot;
}

const uint8_t *cl_ahead_find(struct cl_view *value, const struct cl_ahead *ahead, const struct cl_changes *changes, const uint8_t key32[32])
{
    *value = (struct cl_view){NULL, 0};
    if (ahead == NULL)
        return NULL;
    uint32_t number = ahead->slots[slot_of(ahead, key32)];
    if (number == 0)
        return NULL;
    const struct ahead_value *found = &ahead->values[number - 1];
    const uint8_t *key_hash = ahead->key_hashes[number - 1];
    if (ahead->commits != UINT32_MAX && *last_change(changes, key_hash) <= ahead->commits)
        *value = (struct cl_view){ahead->bytes + found->offset, found->length};
    return key_hash;
}

const struct cl_entry_ids *cl_ahead_ids(const struct cl_ahead *ahead)
{
    return ahead != NULL ? ahead->ids : NULL;
}

/* Of its values those of an entry or two are wanted at once: no time to ask for them. */
#define FEW_VALUES KEYS_OF_ENTRY_MAX

static void warm_value(const struct cl_ahead *ahead, uint32_t number, const struct cl_candidate *candidate)
{
    for (const struct cl_candidate *at = candidate; at != NULL; at = cl_candidate_below(at))
        cl_map_warm(&at->map, ahead->values[number].key);
    __builtin_prefetch(last_change(&candidate->ledger->changes, ahead->key_hashes[number]));
    cl_recent_warm(candidate->ledger->recent, ahead->key_hashes[number]);
}

void cl_ahead_warm(const struct cl_ahead *ahead, const struct cl_candidate *candidate)
{
    const struct cl_ledger *ledger = candidate->ledger;
    if (ahead == NULL || ahead->count <= FEW_VALUES)
        return;
    for (uint32_t i = 0; i < ahead->count; i++)
        warm_value(ahead, i, candidate);
    cl_smt_warm(ledger->tree, (const uint8_t (*)[32])ahead->key_hashes, ahead->count);
    for (uint32_t i = 0; i < ahead->count; i++) {
        for (const struct cl_candidate *at = candidate; at != NULL; at = cl_candidate_below(at))
            cl_map_warm_entry(&at->map, ahead->values[i].key);
        cl_recent_warm_entry(ledger->recent, ahead->key_hashes[i]);
    }
}

void cl_candidate_warm(const struct cl_candidate *candidate, struct cl_ledger_record *const *records, size_t count)
{
    uint8_t key_hashes[16][32];
    size_t used = 0, room = sizeof key_hashes / sizeof key_hashes[0];
    for (size_t i = 0; i < count; i++) {
        const struct cl_ahead *ahead = records[i]->ahead;
        for (uint32_t number = 0; ahead != NULL && ahead->count <= FEW_VALUES && number < ahead->count; number++) {
            warm_value(ahead, number, candidate);
            memcpy(key_hashes[used++], ahead->key_hashes[number], 32);
            if (used == room)
                cl_smt_warm(candidate->ledger->tree, (const uint8_t (*)[32])key_hashes, used);
            used %= room;
        }
    }
    cl_smt_warm(candidate->ledger->tree, (const uint8_t (*)[32])key_hashes, used);
}

/* ---- the reader's side */

/* Of an entry: which of the values, number + 1, have the keys that the rules would work out again; 0: none. */
struct entry_numbers { uint32_t object, answer; };

/* What is found before its size is known. */
struct reading {
    struct ahead_value *values;
    uint8_t (*key_hashes)[32];
    uint32_t count;
    struct entry_numbers *entries;
    bool opens;
    struct cl_buffer bytes, value;
};

/* What is not there or cannot be read is left to the owner, who will find out. */
static bool note_key(struct reading *reading, const uint8_t key32[32], const struct cl_ledger *read_from)
{
    struct cl_table_key row;
    struct ahead_value *next = &reading->values[reading->count];
    uint8_t *key_hash = reading->key_hashes[reading->count++];
    memcpy(next->key, key32, 32);
    next->offset = next->length = 0;
    cl_sha256_once(key_hash, key32, 32);
    if (read_from == NULL || cl_recent_may_have(read_from->recent, key_hash))
        return true;
    cl_key_hash(&row, CL_TABLE_STATE, key_hash);
    if (cl_store_get_key(read_from->store, &reading->value, NULL, &row) != CL_OK)
        return true;
    if (reading->bytes.length + reading->value.length > AHEAD_BYTES_MAX)
        return false;
    next->offset = (uint32_t)reading->bytes.length;
    next->length = (uint32_t)reading->value.length;
    if (cl_buffer_append(&reading->bytes, reading->value.data, reading->value.length) == CL_OK)
        return true;
    reading->count--;
    return false;
}

/* The object that an entry is about; for an opening the id that it makes, which is new, and the TERMS that it names with
   the place of its answer to them, which is new as well. Of what is new only the hash is wanted. */
static bool note_entry(struct reading *reading, const struct cl_ledger *ledger, const struct cl_record *record, size_t number)
{
    const struct cl_entry *entry = &record->entries[number];
    struct entry_numbers *numbers = &reading->entries[number];
    struct cl_object_id id;
    if (entry->object_length == 32)
        return note_key(reading, entry->object, ledger);
    cl_object_id_derive(&id, record->signer33, entry->object);
    if (!note_key(reading, id.bytes, NULL))
        return false;
    numbers->object = reading->count;
    reading->opens = true;
    if ((record->type != CL_TERMS && record->type != CL_SUBSCRIBE) || (entry->present & CL_HAS(8)) == 0)
        return true;
    if (!note_key(reading, entry->ref, ledger) || record->type == CL_TERMS)
        return record->type == CL_TERMS;
    struct cl_party party = {33, {0}};
    struct cl_hash answer;
    if ((entry->present & CL_HAS(13)) != 0) {
        party.length = 32;
        memcpy(party.bytes, entry->party, 32);
    } else {
        memcpy(party.bytes, record->signer33, 33);
    }
    cl_answer_key(&answer, entry->ref, &party);
    if (!note_key(reading, answer.bytes, NULL))
        return false;
    numbers->answer = reading->count;
    return true;
}

static struct cl_ahead *ahead_new(struct cl_waiting *waiting, uint32_t value_count, size_t id_count, size_t byte_count)
{
    uint32_t slot_count = 2;
    while (slot_count < 2 * value_count)
        slot_count *= 2;
    size_t each = sizeof(struct ahead_value) + 32;
    size_t size = sizeof(struct cl_ahead) + value_count * each + id_count * sizeof(struct cl_entry_ids) + slot_count * sizeof(uint16_t) + byte_count;
    if (size > AHEAD_BYTES_MAX || !wait_more(waiting, size))
        return NULL;
    struct cl_ahead *ahead = calloc(1, size);
    if (ahead == NULL) {
        wait_less(waiting, size);
        return NULL;
    }
    ahead->waiting = waiting;
    ahead->size = size;
    ahead->slot_count = slot_count;
    ahead->ids = (struct cl_entry_ids *)(void *)(ahead->values + value_count);
    ahead->key_hashes = (uint8_t (*)[32])(ahead->ids + id_count);
    if (id_count == 0)
        ahead->ids = NULL;
    ahead->slots = (uint16_t *)(ahead->key_hashes + value_count);
    ahead->bytes = (uint8_t *)(ahead->slots + slot_count);
    return ahead;
}

static struct cl_ahead *ahead_of(const struct reading *reading, struct cl_waiting *waiting, size_t entry_count, uint32_t commits)
{
    size_t id_count = reading->opens ? entry_count : 0;
    struct cl_ahead *ahead = ahead_new(waiting, reading->count, id_count, reading->bytes.length);
    if (ahead == NULL)
        return NULL;
    ahead->commits = commits;
    if (reading->bytes.length > 0)
        memcpy(ahead->bytes, reading->bytes.data, reading->bytes.length);
    ahead->count = reading->count;
    memcpy(ahead->key_hashes, reading->key_hashes, reading->count * sizeof *ahead->key_hashes);
    memcpy(ahead->values, reading->values, reading->count * sizeof *ahead->values);
    for (uint32_t i = 0; i < reading->count; i++) {
        uint32_t slot = slot_of(ahead, ahead->values[i].key);
        if (ahead->slots[slot] == 0) /* else named twice */
            ahead->slots[slot] = (uint16_t)(i + 1);
    }
    for (size_t i = 0; i < id_count; i++) {
        const struct entry_numbers *numbers = &reading->entries[i];
        ahead->ids[i].object = numbers->object != 0 ? ahead->values[numbers->object - 1].key : NULL;
        ahead->ids[i].answer = numbers->answer != 0 ? ahead->values[numbers->answer - 1].key : NULL;
    }
    return ahead;
}

void cl_ledger_look_ahead(const struct cl_ledger *ledger, struct cl_ledger_record *record)
{
    struct reading reading = {0};
    const struct cl_record *decoded = &record->record;
    uint32_t commits = atomic_load_explicit(&ledger->changes.commits, memory_order_acquire); /* before anything is read */
    assert(record->ahead == NULL && decoded->entry_count <= CL_RECORD_ENTRIES_MAX);
    if (decoded->entry_count == 0 || atomic_load_explicit(&ledger->changes.waiting->bytes, memory_order_relaxed) > AHEAD_BYTES_MAX / 16 * 15)
        return;
    reading.values = malloc(KEYS_OF_ENTRY_MAX * decoded->entry_count * sizeof *reading.values);
    reading.key_hashes = malloc(KEYS_OF_ENTRY_MAX * decoded->entry_count * sizeof *reading.key_hashes);
    reading.entries = calloc(decoded->entry_count, sizeof *reading.entries);
    bool more = reading.values != NULL && reading.key_hashes != NULL && reading.entries != NULL;
    for (size_t i = 0; i < decoded->entry_count && more; i++)
        more = note_entry(&reading, ledger, decoded, i);
    if (reading.count > 0)
        record->ahead = ahead_of(&reading, ledger->changes.waiting, decoded->entry_count, commits);
    free(reading.values);
    free(reading.key_hashes);
    free(reading.entries);
    cl_buffer_deinit(&reading.bytes);
    cl_buffer_deinit(&reading.value);
}
