/* State values that somebody is expected to act on, as they were left last: offers and requests until they are answered,
   TERMS, profiles. What came on the ledger last is what comes up next, and to find it in the store costs more than all the
   rest of an answer. A cache in front of the store and nothing more: for a key it holds what the store holds, or nothing;
   the oldest makes room. A ring of entries, and lists of them by the key's hash.

   It is the owner's alone. Others, who read ahead, may ask which keys need not be read: for them each key that is here
   leaves a mark of one byte in a table, in one of four places. Where more than four keys want these, or two have the same
   mark, a value is read although it is here, or is not read although it is not, which costs time and nothing else. */
#include "ledger_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "state_form.h"

#define LISTS (UINT32_C(1) << 17)
#define MARK_GROUPS (UINT32_C(1) << 19)  /* of four; so many that they are seldom full */
#define VALUE_BYTES_MAX 2048u            /* longer ones are rare, and would push out many */

/* One behind the other in the ring. Offsets are of ring bytes plus 1, so that 0 is none. length 0: in no list any more. */
struct recent_entry { uint32_t size, next, length; uint8_t key_hash[32], value[]; };
#define ENTRY_ALIGNMENT 16u              /* what a value may grow by where it lies */
#define ENTRY_BYTES_MAX ((sizeof(struct recent_entry) + VALUE_BYTES_MAX + ENTRY_ALIGNMENT - 1) / ENTRY_ALIGNMENT * ENTRY_ALIGNMENT)

struct cl_recent {
    uint64_t seed;
    uint8_t *ring;
    _Atomic uint32_t *marks;             /* four in each; 0: free */
    uint32_t size, count;                /* count: of entries in the ring, also those in no list */
    uint32_t oldest, end;                /* they fill [oldest, end), or, */
    uint32_t wrapped_at;                 /* where this is not 0, [oldest, wrapped_at) and then [0, end) */
    uint32_t lists[LISTS];
};

enum cl_status cl_recent_new(struct cl_recent **out, uint64_t seed, size_t size)
{
    assert(size % ENTRY_ALIGNMENT == 0 && size >= ENTRY_BYTES_MAX && size < UINT32_MAX / 2);
    *out = NULL;
    struct cl_recent *recent = calloc(1, sizeof *recent);
    if (recent == NULL)
        return CL_E_MEMORY;
    recent->seed = seed;
    recent->size = (uint32_t)size;
    recent->ring = calloc(1, size);
    recent->marks = calloc(MARK_GROUPS, sizeof *recent->marks);
    if (recent->ring == NULL || recent->marks == NULL) {
        cl_recent_free(recent);
        return CL_E_MEMORY;
    }
    *out = recent;
    return CL_OK;
}

void cl_recent_free(struct cl_recent *recent)
{
    if (recent == NULL)
        return;
    free(recent->ring);
    free(recent->marks);
    free(recent);
}

/* ---- marks */

static _Atomic uint32_t *marks_of(const struct cl_recent *recent, const uint8_t key_hash[32])
{
    return &recent->marks[cl_slot_of(key_hash, recent->seed, MARK_GROUPS)];
}

static uint32_t mark_of(const uint8_t key_hash[32])
{
    return key_hash[31] != 0 ? key_hash[31] : 1;
}

/* Which of four marks, from the lowest, is this one; 4: none. */
static unsigned place_of(uint32_t marks, uint32_t mark)
{
    unsigned place = 0;
    while (place < 4 && (marks >> 8 * place & 0xff) != mark)
        place++;
    return place;
}

void cl_recent_warm(const struct cl_recent *recent, const uint8_t key_hash[32])
{
    __builtin_prefetch(&recent->lists[cl_slot_of(key_hash, recent->seed, LISTS)]);
    __builtin_prefetch((const void *)marks_of(recent, key_hash));
}

void cl_recent_warm_entry(const struct cl_recent *recent, const uint8_t key_hash[32])
{
    uint32_t list = recent->lists[cl_slot_of(key_hash, recent->seed, LISTS)];
    if (list == 0 || !cl_recent_may_have(recent, key_hash))
        return;
    const uint8_t *entry = recent->ring + list - 1, *end = recent->ring + recent->size;
    for (size_t at = 0; at < 256 && at < (size_t)(end - entry); at += 64) /* most values end there */
        __builtin_prefetch(entry + at);
}

bool cl_recent_may_have(const struct cl_recent *recent, const uint8_t key_hash[32])
{
    return place_of(atomic_load_explicit(marks_of(recent, key_hash), memory_order_relaxed), mark_of(key_hash)) < 4;
}

static void set_mark(struct cl_recent *recent, const uint8_t key_hash[32])
{
    _Atomic uint32_t *marks = marks_of(recent, key_hash);
    uint32_t now = atomic_load_explicit(marks, memory_order_relaxed);
    unsigned place = place_of(now, 0) % 4; /* the first where none is free */
    now = (now & ~(UINT32_C(0xff) << 8 * place)) | mark_of(key_hash) << 8 * place;
    atomic_store_explicit(marks, now, memory_order_relaxed);
}

static void clear_mark(struct cl_recent *recent, const uint8_t key_hash[32])
{
    _Atomic uint32_t *marks = marks_of(recent, key_hash);
    uint32_t now = atomic_load_explicit(marks, memory_order_relaxed);
    unsigned place = place_of(now, mark_of(key_hash));
    if (place < 4)
        atomic_store_explicit(marks, now & ~(UINT32_C(0xff) << 8 * place), memory_order_relaxed);
}

/* ---- lists and ring */

static struct recent_entry *entry_at(const struct cl_recent *recent, uint32_t offset)
{
    return (struct recent_entry *)(void *)(recent->ring + offset); /* sizes are multiples of its alignment */
}

static uint32_t *list_of(struct cl_recent *recent, const uint8_t key_hash[32])
{
    return &recent->lists[cl_slot_of(key_hash, recent->seed, LISTS)];
}

static struct recent_entry *find(const struct cl_recent *recent, uint32_t list, const uint8_t key_hash[32])
{
    while (list != 0) {
        struct recent_entry *entry = entry_at(recent, list - 1);
        if (memcmp(entry->key_hash, key_hash, 32) == 0)
            return entry;
        list = entry->next;
    }
    return NULL;
}

static void forget(struct cl_recent *recent, struct recent_entry *entry)
{
    uint32_t *link = list_of(recent, entry->key_hash);
    while (entry_at(recent, *link - 1) != entry)
        link = &entry_at(recent, *link - 1)->next;
    *link = entry->next;
    entry->length = 0;
    clear_mark(recent, entry->key_hash);
}

static void drop_oldest(struct cl_recent *recent)
{
    struct recent_entry *entry = entry_at(recent, recent->oldest);
    if (entry->length > 0)
        forget(recent, entry);
    recent->oldest += entry->size;
    recent->count--;
    if (recent->oldest == recent->wrapped_at)
        recent->oldest = recent->wrapped_at = 0;
}

/* Afterwards there are size bytes at end. */
static void make_room(struct cl_recent *recent, uint32_t size)
{
    for (;;) {
        if (recent->count == 0)
            recent->oldest = recent->end = recent->wrapped_at = 0;
        if (recent->wrapped_at != 0 ? recent->oldest - recent->end >= size : recent->size - recent->end >= size)
            return;
        if (recent->wrapped_at == 0) {
            recent->wrapped_at = recent->end;
            recent->end = 0;
        } else {
            drop_oldest(recent);
        }
    }
}

static void add(struct cl_recent *recent, const uint8_t key_hash[32], const uint8_t *value, uint32_t length)
{
    uint32_t size = (uint32_t)((sizeof(struct recent_entry) + length + ENTRY_ALIGNMENT - 1) / ENTRY_ALIGNMENT * ENTRY_ALIGNMENT);
    make_room(recent, size);
    uint32_t *list = list_of(recent, key_hash);
    struct recent_entry *entry = entry_at(recent, recent->end);
    entry->size = size;
    entry->next = *list;
    entry->length = length;
    memcpy(entry->key_hash, key_hash, 32);
    memcpy(entry->value, value, length);
    *list = recent->end + 1;
    recent->end += size;
    recent->count++;
    set_mark(recent, key_hash);
}

/* Among those that will make room next: half a ring has come since. */
static bool is_old(const struct cl_recent *recent, const struct recent_entry *entry)
{
    uint32_t at = (uint32_t)((const uint8_t *)entry - recent->ring);
    uint32_t since = at < recent->end ? recent->end - at : recent->wrapped_at - at + recent->end;
    return since > recent->size / 2;
}

/* What changes again and again, as TERMS that many answer, would go when those go that came when it did: so it is put down
   anew in time. */
void cl_recent_put(struct cl_recent *recent, const uint8_t key_hash[32], bool is_new, const uint8_t *value, size_t length)
{
    bool keep = length <= VALUE_BYTES_MAX && cl_state_is_awaited(value, length);
    struct recent_entry *entry = is_new ? NULL : find(recent, *list_of(recent, key_hash), key_hash);
    if (entry != NULL && keep && sizeof *entry + length <= entry->size && !is_old(recent, entry)) {
        memcpy(entry->value, value, length);
        entry->length = (uint32_t)length;
        return;
    }
    if (entry != NULL)
        forget(recent, entry);
    if (keep)
        add(recent, key_hash, value, (uint32_t)length);
}

/* Without its mark it is not here: most keys that are new are told so by a few bytes, not by a list. */
struct cl_view cl_recent_get(struct cl_recent *recent, const uint8_t key_hash[32])
{
    if (!cl_recent_may_have(recent, key_hash))
        return (struct cl_view){NULL, 0};
    const struct recent_entry *entry = find(recent, *list_of(recent, key_hash), key_hash);
    return entry != NULL ? (struct cl_view){entry->value, entry->length} : (struct cl_view){NULL, 0};
}
