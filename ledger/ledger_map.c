/* A hash map from tree keys to state values, with values that stay where they are: what a candidate has read and what
   it has changed. Entries keep the order of their coming, so that those of a refused record can be taken back. */
#include "ledger_internal.h"

#include <assert.h>
#include <stdlib.h>

#define BLOCK_BYTES 65536u
#define SLOTS_MIN 64u

/* Values are cut from the newest block; a value that is too long for one gets its own. */
struct cl_map_block { struct cl_map_block *older; size_t used, capacity; uint8_t bytes[]; };

#define NUMBER_BITS 24u
/* A candidate has fewer than two of the largest blocks; an entry has 16 bytes or more, and the rules ask for fewer than eight
   keys because of it. */
static_assert(2 * CL_BLOCK_BYTES_MAX / 16 * 8 < UINT32_C(1) << NUMBER_BITS, "the entry's number fits beside the bits of its key");

static uint32_t slot_of(const struct cl_map *map, const uint8_t key32[32])
{
    return cl_slot_of(key32, map->seed, map->slot_count);
}

/* What a slot says of entry `number`: beside it some bits of the key, so that most others are told apart without a look at
   the entry, which lies anywhere in memory. */
static uint32_t tag_of(const uint8_t key32[32])
{
    return (uint32_t)key32[31] << NUMBER_BITS;
}

static struct cl_map_entry *entry_of(const struct cl_map *map, uint32_t slot)
{
    return &map->entries[(map->slots[slot] & ((UINT32_C(1) << NUMBER_BITS) - 1)) - 1];
}

static uint32_t free_slot(const struct cl_map *map, const uint8_t key32[32])
{
    uint32_t slot = slot_of(map, key32);
    while (map->slots[slot] != 0)
        slot = (slot + 1) & (map->slot_count - 1);
    return slot;
}

struct cl_map_entry *cl_map_find(const struct cl_map *map, const uint8_t key32[32])
{
    if (map->slot_count == 0)
        return NULL;
    uint32_t tag = tag_of(key32);
    for (uint32_t slot = slot_of(map, key32); map->slots[slot] != 0; slot = (slot + 1) & (map->slot_count - 1)) {
        if ((map->slots[slot] ^ tag) >> NUMBER_BITS != 0)
            continue;
        struct cl_map_entry *entry = entry_of(map, slot);
        if (memcmp(entry->key, key32, 32) == 0)
            return entry;
    }
    return NULL;
}

void cl_map_warm_entry(const struct cl_map *map, const uint8_t key32[32])
{
    if (map->slot_count == 0)
        return;
    uint32_t slot = slot_of(map, key32);
    if (map->slots[slot] == 0 || (map->slots[slot] ^ tag_of(key32)) >> NUMBER_BITS != 0)
        return;
    const struct cl_map_entry *entry = entry_of(map, slot);
    __builtin_prefetch(entry);
    __builtin_prefetch(&entry->state);
}

static bool grow_slots(struct cl_map *map)
{
    uint32_t count = map->slot_count == 0 ? SLOTS_MIN : map->slot_count * 2;
    uint32_t *slots = calloc(count, sizeof *slots);
    if (slots == NULL)
        return false;
    free(map->slots);
    map->slots = slots;
    map->slot_count = count;
    for (uint32_t i = 0; i < map->count; i++)
        map->slots[free_slot(map, map->entries[i].key)] = tag_of(map->entries[i].key) | (i + 1);
    return true;
}

static bool grow_entries(struct cl_map *map)
{
    uint32_t capacity = map->entries_capacity == 0 ? SLOTS_MIN / 2 : map->entries_capacity * 2;
    struct cl_map_entry *entries = realloc(map->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return false;
    map->entries = entries;
    map->entries_capacity = capacity;
    return true;
}

struct cl_map_entry *cl_map_insert(struct cl_map *map, const uint8_t key32[32], const uint8_t key_hash32[32])
{
    assert(map->count < (UINT32_C(1) << NUMBER_BITS) - 1);
    if (map->count == map->entries_capacity && !grow_entries(map))
        return NULL;
    if (map->count >= map->slot_count / 2 && !grow_slots(map))
        return NULL;
    struct cl_map_entry *entry = &map->entries[map->count];
    memset(entry, 0, sizeof *entry);
    memcpy(entry->key, key32, 32);
    memcpy(entry->key_hash, key_hash32, 32);
    entry->state = CL_MAP_ABSENT;
    map->count++;
    map->slots[free_slot(map, key32)] = tag_of(key32) | map->count;
    return entry;
}

static uint8_t *cut(struct cl_map *map, size_t length)
{
    struct cl_map_block *block = map->block;
    if (block == NULL || block->capacity - block->used < length) {
        size_t capacity = length > BLOCK_BYTES ? length : BLOCK_BYTES;
        block = malloc(sizeof *block + capacity);
        if (block == NULL)
            return NULL;
        block->older = map->block;
        block->used = 0;
        block->capacity = capacity;
        map->block = block;
    }
    uint8_t *bytes = block->bytes + block->used;
    block->used += length;
    return bytes;
}

enum cl_status cl_map_set(struct cl_map *map, struct cl_map_entry *entry, enum cl_map_state state,
                          const uint8_t *value, size_t length)
{
    assert(state != CL_MAP_ABSENT);
    if (length > CL_STATE_VALUE_BYTES_MAX)
        return CL_E_BOUND;
    if (entry->capacity < length) {
        size_t capacity = (length + 31) / 32 * 32; /* most changes lengthen a value by a little */
        uint8_t *bytes = cut(map, capacity);
        if (bytes == NULL)
            return CL_E_MEMORY;
        entry->value = bytes;
        entry->capacity = (uint32_t)capacity;
    }
    if (length > 0)
        memmove(entry->value, value, length); /* a rule may hand back what it was given */
    entry->length = (uint32_t)length;
    entry->state = state;
    return CL_OK;
}

/* Taking back in the reverse order of coming leaves every chain of slots whole: nothing that is left was placed later
   than what goes. */
void cl_map_truncate(struct cl_map *map, uint32_t count)
{
    while (map->count > count) {
        const struct cl_map_entry *entry = &map->entries[map->count - 1];
        assert(entry->state != CL_MAP_CHANGED);
        uint32_t slot = slot_of(map, entry->key);
        while (entry_of(map, slot) != entry)
            slot = (slot + 1) & (map->slot_count - 1);
        map->slots[slot] = 0;
        map->count--;
    }
}

void cl_map_clear(struct cl_map *map)
{
    if (map->slot_count > 0 && map->count > 0)
        memset(map->slots, 0, map->slot_count * sizeof *map->slots);
    map->count = 0;
    while (map->block != NULL && map->block->older != NULL) {
        struct cl_map_block *older = map->block->older;
        free(map->block);
        map->block = older;
    }
    if (map->block != NULL)
        map->block->used = 0;
}

void cl_map_deinit(struct cl_map *map)
{
    cl_map_clear(map);
    free(map->block);
    free(map->slots);
    free(map->entries);
    *map = (struct cl_map){.seed = map->seed};
}
