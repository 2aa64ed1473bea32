/* Each room keeps, beside what every source uses, how much of that is beyond guarantees: one comparison decides. */
#include "shares.h"

#include <assert.h>
#include <string.h>

static void room_init(struct shares_room *room, size_t limit, size_t source_count)
{
    memset(room, 0, sizeof *room);
    room->guaranteed = (limit - limit / 4) / source_count;
    room->common = limit - room->guaranteed * source_count;
}

void shares_init(struct shares *shares, const struct shares_amount *limits, size_t source_count, size_t own)
{
    assert(own < source_count && source_count <= CL_MEMBERS_MAX);
    shares->source_count = source_count;
    shares->own = own;
    room_init(&shares->all.records, limits->records - limits->records / 16, source_count);
    room_init(&shares->all.bytes, limits->bytes - limits->bytes / 16, source_count);
    room_init(&shares->kept.records, limits->records / 16, source_count);
    room_init(&shares->kept.bytes, limits->bytes / 16, source_count);
}

static size_t beyond(const struct shares_room *room, size_t used) { return used > room->guaranteed ? used - room->guaranteed : 0; }

/* set_apart: so much of what is common is not to be had. */
static bool fits(const struct shares_room *room, size_t source, size_t more, size_t set_apart)
{
    if (more > room->guaranteed + room->common) return false;
    size_t added = beyond(room, room->used[source] + more) - beyond(room, room->used[source]);
    return added == 0 || room->beyond + added + set_apart <= room->common;
}

static void set_used(struct shares_room *room, size_t source, size_t used)
{
    room->beyond = room->beyond - beyond(room, room->used[source]) + beyond(room, used);
    room->total = room->total - room->used[source] + used;
    room->used[source] = used;
}

static bool part_take(struct shares_part *part, size_t source, struct shares_amount more, struct shares_amount set_apart)
{
    if (!fits(&part->records, source, more.records, set_apart.records) || !fits(&part->bytes, source, more.bytes, set_apart.bytes)) return false;
    set_used(&part->records, source, part->records.used[source] + more.records);
    set_used(&part->bytes, source, part->bytes.used[source] + more.bytes);
    return true;
}

static void part_give(struct shares_part *part, size_t source, struct shares_amount less)
{
    assert(part->records.used[source] >= less.records && part->bytes.used[source] >= less.bytes);
    set_used(&part->records, source, part->records.used[source] - less.records);
    set_used(&part->bytes, source, part->bytes.used[source] - less.bytes);
}

/* The guarantee, and one record more, so that the largest one finds room where guarantees are small. */
static bool own_enough(const struct shares_part *part, size_t own, struct shares_amount more)
{
    return part->records.used[own] + more.records > part->records.guaranteed + 1 ||
           part->bytes.used[own] + more.bytes > part->bytes.guaranteed + CL_RECORD_BYTES_MAX;
}

enum shares_account shares_take(struct shares *shares, size_t source, struct shares_amount amount, bool withdrawal)
{
    const struct shares_amount nothing = { 0, 0 }, kept = { shares->kept.records.total, shares->kept.bytes.total };
    assert(source < shares->source_count && amount.records <= SIZE_MAX / 2 && amount.bytes <= SIZE_MAX / 2);
    bool enough = source == shares->own && shares->source_count > 1 && own_enough(&shares->all, source, amount);
    if (!enough && part_take(&shares->all, source, amount, withdrawal ? nothing : kept)) return SHARES_ALL;
    return withdrawal && part_take(&shares->kept, source, amount, nothing) ? SHARES_KEPT : SHARES_NONE;
}

void shares_give(struct shares *shares, size_t source, enum shares_account account, struct shares_amount amount)
{
    assert(source < shares->source_count);
    switch (account) {
    case SHARES_NONE: return;
    case SHARES_ALL: part_give(&shares->all, source, amount); return;
    case SHARES_KEPT: part_give(&shares->kept, source, amount); return;
    }
}

struct shares_amount shares_used(const struct shares *shares, size_t source)
{
    assert(source < shares->source_count);
    return (struct shares_amount){ shares->all.records.used[source] + shares->kept.records.used[source],
                                   shares->all.bytes.used[source] + shares->kept.bytes.used[source] };
}
