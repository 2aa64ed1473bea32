/* Reading ahead: what a record names in the state is known before its turn comes, and reading it is most of what the
   owner waits for where many entries share one signature. So whoever has checked the signature reads it, on any thread,
   and the owner takes the value unless a commit has changed it since. It is a cache in front of the store and nothing
   more: what is not here, or may be old, is read as if nobody had looked. */
#include "ledger_internal.h"

#include "crypto.h"

#include <assert.h>
#include <stdlib.h>

/* All that waits together: twice the largest block of bulk records. Beyond it nothing is read ahead. */
#define AHEAD_BYTES_MAX ((size_t)12 * 1024 * 1024)
/* When each key changed last, by some bits of its hash: a power of two, many times what one block changes, so that two
   keys seldom share a place (and then the later change counts for both). */
#define CHANGED_SLOTS (UINT32_C(1) << 20)

struct ahead_value { const uint8_t *key; uint8_t key_hash[32]; uint32_t offset, length; }; /* key: in the record's bytes */
struct cl_ahead {
    uint32_t commits;             /* how many had happened when the reading began */
    uint32_t count, slot_count;
    size_t size;
    uint16_t *slots;              /* value number + 1, 0: free; by the key's first bytes */
    uint8_t *bytes;
    struct ahead_value values[];
};

/* Of the process, because records outlive the ledger that they were read for. */
static atomic_size_t waiting;

void cl_ahead_free(struct cl_ahead *ahead)
{
    if (ahead == NULL)
        return;
    atomic_fetch_sub_explicit(&waiting, ahead->size, memory_order_relaxed);
    free(ahead);
}

/* ---- what has changed since */

enum cl_status cl_changes_init(struct cl_changes *changes)
{
    atomic_init(&changes->commits, 0);
    changes->last = calloc(CHANGED_SLOTS, sizeof *changes->last);
    return changes->last != NULL ? CL_OK : CL_E_MEMORY;
}

void cl_changes_deinit(struct cl_changes *changes)
{
    free(changes->last);
    changes->last = NULL;
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

bool cl_ahead_find(const struct cl_ahead *ahead, const struct cl_changes *changes, const uint8_t key32[32],
                   const uint8_t **key_hash32, struct cl_view *value)
{
    if (ahead == NULL)
        return false;
    uint32_t number = ahead->slots[slot_of(ahead, key32)];
    if (number == 0)
        return false;
    const struct ahead_value *found = &ahead->values[number - 1];
    if (ahead->commits == UINT32_MAX || *last_change(changes, found->key_hash) > ahead->commits)
        return false;
    *key_hash32 = found->key_hash;
    *value = (struct cl_view){ahead->bytes + found->offset, found->length};
    return true;
}

/* ---- the reader's side */

/* The object that an entry is about, or for an opening the TERMS that it names; NULL where it names nothing. */
static const uint8_t *named_key(const struct cl_record *record, const struct cl_entry *entry)
{
    bool by_terms = record->type == CL_TERMS || record->type == CL_SUBSCRIBE;
    if (entry->object_length == 32)
        return entry->object;
    return by_terms && (entry->present & CL_HAS(8)) != 0 ? entry->ref : NULL;
}

static struct cl_ahead *ahead_new(uint32_t value_count, size_t byte_count)
{
    uint32_t slot_count = 2;
    while (slot_count < 2 * value_count)
        slot_count *= 2;
    size_t size = sizeof(struct cl_ahead) + value_count * sizeof(struct ahead_value) + slot_count * sizeof(uint16_t) + byte_count;
    if (size > AHEAD_BYTES_MAX)
        return NULL;
    if (atomic_fetch_add_explicit(&waiting, size, memory_order_relaxed) > AHEAD_BYTES_MAX - size) {
        atomic_fetch_sub_explicit(&waiting, size, memory_order_relaxed);
        return NULL;
    }
    struct cl_ahead *ahead = calloc(1, size);
    if (ahead == NULL) {
        atomic_fetch_sub_explicit(&waiting, size, memory_order_relaxed);
        return NULL;
    }
    ahead->size = size;
    ahead->slot_count = slot_count;
    ahead->slots = (uint16_t *)(ahead->values + value_count);
    ahead->bytes = (uint8_t *)(ahead->slots + slot_count);
    return ahead;
}

/* Reads each value once, into `values`; what is not there or cannot be read is left to the owner, who will find out. */
static uint32_t read_values(struct ahead_value *found, struct cl_buffer *values, const struct cl_ledger *ledger, const struct cl_record *record)
{
    struct cl_buffer value = {0};
    struct cl_table_key row;
    uint32_t count = 0;
    for (size_t i = 0; i < record->entry_count; i++) {
        struct ahead_value *next = &found[count];
        next->key = named_key(record, &record->entries[i]);
        if (next->key == NULL)
            continue;
        cl_sha256_once(next->key_hash, next->key, 32);
        cl_key_hash(&row, CL_TABLE_STATE, next->key_hash);
        if (cl_store_get_key(ledger->store, &value, NULL, &row) != CL_OK)
            continue;
        next->offset = (uint32_t)values->length;
        next->length = (uint32_t)value.length;
        if (values->length + value.length > AHEAD_BYTES_MAX || cl_buffer_append(values, value.data, value.length) != CL_OK)
            break;
        count++;
    }
    cl_buffer_deinit(&value);
    return count;
}

void cl_ledger_look_ahead(const struct cl_ledger *ledger, struct cl_ledger_record *record)
{
    struct cl_buffer values = {0};
    uint32_t commits = atomic_load_explicit(&ledger->changes.commits, memory_order_acquire); /* before anything is read */
    size_t entries = record->record.entry_count;
    assert(record->ahead == NULL && entries <= CL_RECORD_ENTRIES_MAX);
    if (entries == 0 || named_key(&record->record, &record->record.entries[0]) == NULL ||
        atomic_load_explicit(&waiting, memory_order_relaxed) > AHEAD_BYTES_MAX / 16 * 15)
        return;
    struct ahead_value *found = malloc(entries * sizeof *found);
    uint32_t count = found != NULL ? read_values(found, &values, ledger, &record->record) : 0;
    struct cl_ahead *ahead = count > 0 ? ahead_new(count, values.length) : NULL;
    if (ahead != NULL) {
        ahead->commits = commits;
        memcpy(ahead->bytes, values.data, values.length);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t slot = slot_of(ahead, found[i].key);
            if (ahead->slots[slot] != 0)
                continue; /* named twice */
            ahead->values[ahead->count++] = found[i];
            ahead->slots[slot] = (uint16_t)ahead->count;
        }
        record->ahead = ahead;
    }
    free(found);
    cl_buffer_deinit(&values);
}
