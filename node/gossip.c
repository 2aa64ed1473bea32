/* Gossip by leaf hash (gossip.h). Each leaf hash that means something here is one entry of a table and in at most one list,
   which says what it is:

     missing, not asked for    no list; its announcements stand in their peers' lists of what can be asked for
     asked of peer i           LIST_OPEN + i, in order of time limits
     in the pool, not told     LIST_FRESH
     in the pool, told         LIST_REPAIR + level, in order of when it is announced again
     came or went lately       LIST_GONE, the oldest first

   An announcement is used up when its peer is asked and does not deliver, so nobody makes us ask for ever. */
#include "gossip.h"

#include "keyed.h"

#include <assert.h>
#include <stdlib.h>

#define NONE UINT32_MAX
enum { LIST_FRESH, LIST_REPAIR, LIST_GONE = LIST_REPAIR + GOSSIP_REPAIR_LEVELS, LIST_OPEN, LISTS_MAX = LIST_OPEN + GOSSIP_PEERS_MAX, LIST_NONE };

struct link { uint32_t previous, next; };
struct list { uint32_t first, last; size_t count; };
struct known {
    struct cl_leaf_hash leaf;
    uint64_t due_ms;        /* asked: the time limit; told: announced again; gone: forgotten */
    uint32_t chain;         /* the next in its place of the table, or of the free ones */
    uint32_t announcement;  /* missing: the first of its announcements */
    uint32_t length;        /* in the pool: the record's */
    uint16_t list;
    bool checking;          /* gone: it arrived and has not been in the pool yet */
};
struct announcement {
    uint32_t known;
    uint32_t other;         /* the next announcement of the same leaf; or the next free one of the peer */
    bool waiting;           /* in its peer's list */
};
struct allowance { uint64_t left, since_ms; };
struct peer {
    struct list waiting;    /* its announcements of what nobody is asked for, the oldest first */
    uint32_t free;
    size_t announced, open_max;
    struct allowance serve;
    uint64_t dropped, fetched, delivered, overdue, unserved;
};
struct gossip {
    struct gossip_config config;
    size_t known_max, known_used, mask, held, fresh_bytes, missing, turn;
    uint32_t free;                      /* of those used once; NONE: the next is the one at known_used */
    uint32_t *table;
    struct known *known;
    struct link *known_links, *announcement_links;
    struct announcement *announcements; /* GOSSIP_ANNOUNCED_MAX for each peer */
    struct list lists[LISTS_MAX];
    struct peer *peers;
    struct allowance push;
    uint64_t told_ms, repaired_ms;
    bool told;
    struct gossip_report counted;
};

/* ---- lists */
static void list_remove(struct list *list, struct link *links, uint32_t item)
{
    struct link *link = &links[item];
    if (link->previous != NONE) links[link->previous].next = link->next;
    else list->first = link->next;
    if (link->next != NONE) links[link->next].previous = link->previous;
    else list->last = link->previous;
    list->count--;
}

static void list_append(struct list *list, struct link *links, uint32_t item)
{
    links[item] = (struct link){ list->last, NONE };
    if (list->last != NONE) links[list->last].next = item;
    else list->first = item;
    list->last = item;
    list->count++;
}

static void list_prepend(struct list *list, struct link *links, uint32_t item)
{
    links[item] = (struct link){ NONE, list->first };
    if (list->first != NONE) links[list->first].previous = item;
    else list->last = item;
    list->first = item;
    list->count++;
}

/* ---- allowances: so much at once, and so much more each millisecond */
static bool allowance_take(struct allowance *allowance, uint64_t amount, uint64_t most, uint64_t per_ms, uint64_t now_ms)
{
    uint64_t passed = now_ms - allowance->since_ms, missing = most - allowance->left;
    allowance->left = passed >= missing / per_ms + 1 ? most : allowance->left + passed * per_ms;
    if (allowance->left > most) allowance->left = most;
    allowance->since_ms = now_ms;
    if (allowance->left < amount) return false;
    allowance->left -= amount;
    return true;
}

/* ---- the table */
static uint32_t *place(struct gossip *gossip, const struct cl_leaf_hash *leaf)
{
    return &gossip->table[keyed_place(gossip->config.key, leaf->bytes) & gossip->mask];
}

static uint32_t find(struct gossip *gossip, const struct cl_leaf_hash *leaf)
{
    uint32_t at = *place(gossip, leaf);
    while (at != NONE && memcmp(gossip->known[at].leaf.bytes, leaf->bytes, 32) != 0) at = gossip->known[at].chain;
    return at;
}

/* Entries suffice: the pool, what is remembered, and all announcements together are no more than there are. */
static uint32_t add(struct gossip *gossip, const struct cl_leaf_hash *leaf)
{
    uint32_t at = gossip->free, *head = place(gossip, leaf);
    if (at != NONE) gossip->free = gossip->known[at].chain;
    else at = (uint32_t)gossip->known_used++;
    assert(at < gossip->known_max);
    gossip->known[at] = (struct known){ .leaf = *leaf, .chain = *head, .announcement = NONE, .list = LIST_NONE };
    *head = at;
    gossip->missing++;
    return at;
}

static bool is_held(const struct known *known)
{
    return known->list < LIST_GONE;
}

static bool is_missing(const struct known *known)
{
    return known->list >= LIST_OPEN; /* asked for or not */
}

/* Takes it from where it is to another list (LIST_NONE: none), and counts. */
static void move(struct gossip *gossip, uint32_t at, unsigned list)
{
    struct known *known = &gossip->known[at];
    if (is_held(known)) gossip->held--;
    if (is_missing(known)) gossip->missing--;
    if (known->list == LIST_FRESH) gossip->fresh_bytes -= known->length;
    if (known->list != LIST_NONE) list_remove(&gossip->lists[known->list], gossip->known_links, at);
    known->list = (uint16_t)list;
    if (list != LIST_NONE) list_append(&gossip->lists[list], gossip->known_links, at);
    if (list == LIST_FRESH) gossip->fresh_bytes += known->length;
    if (is_missing(known)) gossip->missing++;
    if (is_held(known)) gossip->held++;
}

static void discard(struct gossip *gossip, uint32_t at)
{
    uint32_t *link = place(gossip, &gossip->known[at].leaf);
    assert(gossip->known[at].announcement == NONE);
    move(gossip, at, LIST_NONE);
    gossip->missing--;
    while (*link != at) link = &gossip->known[*link].chain;
    *link = gossip->known[at].chain;
    gossip->known[at].chain = gossip->free;
    gossip->free = at;
}

/* ---- announcements */
static size_t peer_of(uint32_t announcement)
{
    return announcement / GOSSIP_ANNOUNCED_MAX;
}

static void set_waiting(struct gossip *gossip, uint32_t announcement, bool waiting)
{
    struct announcement *it = &gossip->announcements[announcement];
    struct list *list = &gossip->peers[peer_of(announcement)].waiting;
    if (it->waiting == waiting) return;
    it->waiting = waiting;
    if (waiting) list_prepend(list, gossip->announcement_links, announcement); /* it waited before: among the oldest */
    else list_remove(list, gossip->announcement_links, announcement);
}

static void drop_announcement(struct gossip *gossip, uint32_t announcement)
{
    struct announcement *it = &gossip->announcements[announcement];
    struct peer *peer = &gossip->peers[peer_of(announcement)];
    uint32_t *link = &gossip->known[it->known].announcement;
    set_waiting(gossip, announcement, false);
    while (*link != announcement) link = &gossip->announcements[*link].other;
    *link = it->other;
    it->other = peer->free;
    peer->free = announcement;
    peer->announced--;
}

static void drop_announcements(struct gossip *gossip, uint32_t at)
{
    while (gossip->known[at].announcement != NONE) drop_announcement(gossip, gossip->known[at].announcement);
}

static bool has_announced(const struct gossip *gossip, uint32_t at, size_t peer)
{
    uint32_t announcement = gossip->known[at].announcement;
    while (announcement != NONE && peer_of(announcement) != peer) announcement = gossip->announcements[announcement].other;
    return announcement != NONE;
}

/* At the bound the oldest that is not being fetched goes. False: all are. */
static bool make_room(struct gossip *gossip, struct peer *peer)
{
    if (peer->announced < GOSSIP_ANNOUNCED_MAX) return true;
    peer->dropped++;
    gossip->counted.dropped++;
    uint32_t oldest = peer->waiting.first;
    if (oldest == NONE) return false;
    uint32_t at = gossip->announcements[oldest].known;
    drop_announcement(gossip, oldest);
    if (gossip->known[at].announcement == NONE) discard(gossip, at);
    return true;
}

static bool is_forgotten(const struct known *known, uint64_t now_ms)
{
    return known->list == LIST_GONE && known->due_ms <= now_ms;
}

void gossip_announced(struct gossip *gossip, size_t peer, const struct cl_leaf_hash *leaf, uint64_t now_ms)
{
    struct peer *from = &gossip->peers[peer];
    uint32_t at = find(gossip, leaf);
    gossip->counted.heard++;
    if (at != NONE && is_forgotten(&gossip->known[at], now_ms)) {
        discard(gossip, at);
        at = NONE;
    }
    if (at != NONE && (!is_missing(&gossip->known[at]) || has_announced(gossip, at, peer))) {
        gossip->counted.heard_known++;
        return;
    }
    if (!make_room(gossip, from)) return;
    if (at == NONE) at = add(gossip, leaf);
    uint32_t made = from->free, *last = &gossip->known[at].announcement;
    from->free = gossip->announcements[made].other;
    from->announced++;
    while (*last != NONE) last = &gossip->announcements[*last].other;
    *last = made;
    gossip->announcements[made] = (struct announcement){ .known = at, .other = NONE, .waiting = gossip->known[at].list == LIST_NONE };
    if (gossip->announcements[made].waiting) list_append(&from->waiting, gossip->announcement_links, made);
}

/* ---- what is here, and what was */
static void remember(struct gossip *gossip, uint32_t at, uint64_t now_ms)
{
    struct list *gone = &gossip->lists[LIST_GONE];
    drop_announcements(gossip, at);
    move(gossip, at, LIST_GONE);
    gossip->known[at].checking = false;
    gossip->known[at].due_ms = now_ms + GOSSIP_REMEMBER_MS;
    if (gone->count > GOSSIP_REMEMBERED_MAX) discard(gossip, gone->first);
}

void gossip_have(struct gossip *gossip, const struct cl_leaf_hash *leaf, size_t length, bool first, uint64_t now_ms)
{
    uint32_t at = find(gossip, leaf);
    if (at == NONE) at = add(gossip, leaf);
    struct known *known = &gossip->known[at];
    if (is_held(known)) return;
    assert(gossip->held < gossip->config.records_max && length <= CL_RECORD_BYTES_MAX);
    drop_announcements(gossip, at);
    known->length = (uint32_t)length;
    unsigned level = GOSSIP_REPAIR_LEVEL_OTHERS;
    move(gossip, at, first ? LIST_FRESH : LIST_REPAIR + level);
    known->due_ms = now_ms + ((uint64_t)GOSSIP_REPAIR_MS << level);
}

void gossip_gone(struct gossip *gossip, const struct cl_leaf_hash *leaf, uint64_t now_ms)
{
    uint32_t at = find(gossip, leaf);
    remember(gossip, at != NONE ? at : add(gossip, leaf), now_ms);
}

void gossip_forget(struct gossip *gossip, const struct cl_leaf_hash *leaf)
{
    uint32_t at = find(gossip, leaf);
    if (at != NONE && gossip->known[at].list == LIST_GONE) discard(gossip, at);
}

bool gossip_arrived(struct gossip *gossip, size_t peer, const struct cl_leaf_hash *leaf, uint64_t now_ms)
{
    uint32_t at = find(gossip, leaf);
    gossip->counted.arrived++;
    if (at == NONE) at = add(gossip, leaf);
    struct known *known = &gossip->known[at];
    if (!is_missing(known) && !is_forgotten(known, now_ms)) {
        gossip->counted.duplicates++;
        return false;
    }
    if (known->list == LIST_OPEN + peer) {
        struct peer *asked = &gossip->peers[peer];
        asked->delivered++;
        gossip->counted.delivered++;
        if (asked->open_max < GOSSIP_OPEN_MAX) asked->open_max++;
    }
    remember(gossip, at, now_ms);
    known->checking = true;
    return true;
}

bool gossip_is_coming(struct gossip *gossip, const struct cl_leaf_hash *leaf, uint64_t now_ms)
{
    uint32_t at = find(gossip, leaf);
    const struct known *known = &gossip->known[at != NONE ? at : 0];
    return at != NONE && known->list == LIST_GONE && known->checking && known->due_ms - GOSSIP_REMEMBER_MS + GOSSIP_CHECKED_MS > now_ms;
}

bool gossip_may_serve(struct gossip *gossip, size_t peer, size_t length, uint64_t now_ms)
{
    struct peer *asking = &gossip->peers[peer];
    uint64_t cost = length > 64 ? length : 64;
    if (allowance_take(&asking->serve, cost, GOSSIP_SERVE_BYTES, GOSSIP_SERVE_BYTES_PER_MS, now_ms)) return true;
    asking->unserved++;
    gossip->counted.unserved++;
    return false;
}

/* ---- what to say */
static bool fresh_is_due(const struct gossip *gossip, uint64_t now_ms)
{
    return !gossip->told || now_ms - gossip->told_ms >= GOSSIP_GATHER_MS || gossip->fresh_bytes >= GOSSIP_GATHER_BYTES;
}

static bool may_push(struct gossip *gossip, uint32_t at, uint64_t now_ms)
{
    return gossip->config.member_count <= GOSSIP_PUSH_MEMBERS_MAX &&
           allowance_take(&gossip->push, gossip->known[at].length, GOSSIP_PUSH_BYTES, GOSSIP_PUSH_BYTES_PER_MS, now_ms);
}

enum gossip_how gossip_take_fresh(struct gossip *gossip, struct cl_leaf_hash *leaves, size_t *count, size_t max, bool at_once, uint64_t now_ms)
{
    struct list *fresh = &gossip->lists[LIST_FRESH];
    *count = 0;
    if (fresh->count == 0 || (!at_once && !fresh_is_due(gossip, now_ms))) return GOSSIP_NOTHING;
    enum gossip_how how = may_push(gossip, fresh->first, now_ms) ? GOSSIP_PUSH : GOSSIP_ANNOUNCE;
    do {
        uint32_t at = fresh->first;
        leaves[(*count)++] = gossip->known[at].leaf;
        move(gossip, at, LIST_REPAIR);
        gossip->known[at].due_ms = now_ms + GOSSIP_REPAIR_MS;
    } while (*count < max && fresh->count > 0 && (how == GOSSIP_ANNOUNCE || may_push(gossip, fresh->first, now_ms)));
    if (how == GOSSIP_PUSH) gossip->counted.pushed += *count;
    else gossip->counted.announced += *count;
    gossip->told = true;
    gossip->told_ms = now_ms;
    return how;
}

size_t gossip_take_repairs(struct gossip *gossip, struct cl_leaf_hash *leaves, size_t max, uint64_t now_ms)
{
    size_t count = 0;
    if (now_ms - gossip->repaired_ms < GOSSIP_REPAIR_PAUSE_MS) return 0;
    if (max > GOSSIP_REPAIR_BATCH) max = GOSSIP_REPAIR_BATCH;
    for (unsigned level = 0; level < GOSSIP_REPAIR_LEVELS; level++) { /* what moves up is due later, so it is not met again */
        struct list *list = &gossip->lists[LIST_REPAIR + level];
        unsigned next = level + 1 < GOSSIP_REPAIR_LEVELS ? level + 1 : level;
        while (count < max && list->count > 0 && gossip->known[list->first].due_ms <= now_ms) {
            uint32_t at = list->first;
            leaves[count++] = gossip->known[at].leaf;
            move(gossip, at, LIST_REPAIR + next);
            gossip->known[at].due_ms = now_ms + ((uint64_t)GOSSIP_REPAIR_MS << next);
        }
    }
    if (count > 0) gossip->repaired_ms = now_ms;
    gossip->counted.repaired += count;
    return count;
}

/* ---- fetching */
static void set_all_waiting(struct gossip *gossip, uint32_t at, bool waiting)
{
    for (uint32_t i = gossip->known[at].announcement; i != NONE; i = gossip->announcements[i].other) set_waiting(gossip, i, waiting);
}

/* What did not come in time: whoever was asked loses the announcement, others can be asked. */
static void expire(struct gossip *gossip, size_t peer, uint64_t now_ms)
{
    struct list *open = &gossip->lists[LIST_OPEN + peer];
    struct peer *asked = &gossip->peers[peer];
    uint64_t before = asked->overdue;
    while (open->count > 0 && gossip->known[open->first].due_ms <= now_ms) {
        uint32_t at = open->first, announcement = gossip->known[at].announcement;
        while (peer_of(announcement) != peer) announcement = gossip->announcements[announcement].other;
        asked->overdue++;
        drop_announcement(gossip, announcement);
        move(gossip, at, LIST_NONE);
        set_all_waiting(gossip, at, true);
        if (gossip->known[at].announcement == NONE) discard(gossip, at);
    }
    gossip->counted.overdue += asked->overdue - before;
    if (asked->overdue > before && asked->open_max > 1) asked->open_max /= 2;
}

static size_t can_be_asked(const struct gossip *gossip, size_t peer)
{
    const struct peer *asked = &gossip->peers[peer];
    size_t open = gossip->lists[LIST_OPEN + peer].count, room = asked->open_max > open ? asked->open_max - open : 0;
    return room < asked->waiting.count ? room : asked->waiting.count;
}

bool gossip_take_fetches(struct gossip *gossip, size_t *peer, struct cl_leaf_hash *leaves, size_t *count, size_t max, uint64_t now_ms)
{
    size_t peers = gossip->config.peer_count;
    for (size_t i = 0; i < peers; i++) expire(gossip, i, now_ms);
    size_t tried = 0;
    while (tried < peers && can_be_asked(gossip, (gossip->turn + tried) % peers) == 0) tried++;
    *count = 0;
    if (tried == peers || max == 0) return false;
    *peer = (gossip->turn + tried) % peers;
    gossip->turn = (*peer + 1) % peers;
    struct peer *asked = &gossip->peers[*peer];
    size_t wanted = can_be_asked(gossip, *peer);
    if (wanted > max) wanted = max;
    while (*count < wanted) {
        uint32_t at = gossip->announcements[asked->waiting.first].known;
        leaves[(*count)++] = gossip->known[at].leaf;
        set_all_waiting(gossip, at, false);
        move(gossip, at, (unsigned)(LIST_OPEN + *peer));
        gossip->known[at].due_ms = now_ms + GOSSIP_FETCH_MS;
    }
    asked->fetched += *count;
    gossip->counted.fetched += *count;
    return true;
}

static uint64_t sooner(uint64_t wait_ms, uint64_t due_ms, uint64_t now_ms)
{
    uint64_t until = due_ms > now_ms ? due_ms - now_ms : 0;
    return until < wait_ms ? until : wait_ms;
}

uint64_t gossip_wait_ms(const struct gossip *gossip, uint64_t now_ms)
{
    uint64_t wait = UINT64_MAX;
    if (gossip->lists[LIST_FRESH].count > 0) wait = fresh_is_due(gossip, now_ms) ? 0 : sooner(wait, gossip->told_ms + GOSSIP_GATHER_MS, now_ms);
    for (size_t level = 0; level < GOSSIP_REPAIR_LEVELS; level++) {
        const struct list *list = &gossip->lists[LIST_REPAIR + level];
        if (list->count == 0) continue;
        uint64_t due = gossip->known[list->first].due_ms, pause = gossip->repaired_ms + GOSSIP_REPAIR_PAUSE_MS;
        wait = sooner(wait, due > pause ? due : pause, now_ms);
    }
    for (size_t peer = 0; peer < gossip->config.peer_count; peer++) {
        const struct list *open = &gossip->lists[LIST_OPEN + peer];
        if (open->count > 0) wait = sooner(wait, gossip->known[open->first].due_ms, now_ms);
    }
    return wait;
}

/* ---- start and end */
static bool allocate(struct gossip *gossip)
{
    size_t peers = gossip->config.peer_count, announcements = peers * GOSSIP_ANNOUNCED_MAX, places = 64;
    /* One more of those that are remembered, until the oldest has gone. */
    gossip->known_max = gossip->config.records_max + GOSSIP_REMEMBERED_MAX + 1 + announcements;
    while (places < gossip->known_max) places *= 2;
    gossip->mask = places - 1;
    gossip->table = malloc(places * sizeof *gossip->table);
    gossip->known = calloc(gossip->known_max, sizeof *gossip->known);
    gossip->known_links = calloc(gossip->known_max, sizeof *gossip->known_links);
    gossip->announcements = calloc(announcements, sizeof *gossip->announcements);
    gossip->announcement_links = calloc(announcements, sizeof *gossip->announcement_links);
    gossip->peers = calloc(peers, sizeof *gossip->peers);
    if (gossip->table == NULL || gossip->known == NULL || gossip->known_links == NULL || gossip->announcements == NULL ||
        gossip->announcement_links == NULL || gossip->peers == NULL) return false;
    memset(gossip->table, 0xff, places * sizeof *gossip->table); /* NONE */
    return true;
}

enum cl_status gossip_new(struct gossip **out, const struct gossip_config *config)
{
    assert(config->peer_count > 0 && config->peer_count <= GOSSIP_PEERS_MAX && config->member_count <= config->peer_count && config->records_max > 0);
    struct gossip *gossip = calloc(1, sizeof *gossip);
    if (gossip == NULL) return CL_E_MEMORY;
    gossip->config = *config;
    if (!allocate(gossip)) {
        gossip_free(gossip);
        return CL_E_MEMORY;
    }
    for (size_t i = 0; i < LISTS_MAX; i++) gossip->lists[i] = (struct list){ NONE, NONE, 0 };
    gossip->free = NONE;
    for (size_t peer = 0; peer < config->peer_count; peer++) {
        size_t first = peer * GOSSIP_ANNOUNCED_MAX, last = first + GOSSIP_ANNOUNCED_MAX - 1;
        for (size_t i = first; i <= last; i++) gossip->announcements[i].other = i < last ? (uint32_t)(i + 1) : NONE;
        gossip->peers[peer] = (struct peer){ .waiting = { NONE, NONE, 0 }, .free = (uint32_t)first, .open_max = GOSSIP_OPEN_FIRST,
                                             .serve = { .left = GOSSIP_SERVE_BYTES } };
    }
    gossip->push.left = GOSSIP_PUSH_BYTES;
    *out = gossip;
    return CL_OK;
}

void gossip_free(struct gossip *gossip)
{
    if (gossip == NULL) return;
    free(gossip->table);
    free(gossip->known);
    free(gossip->known_links);
    free(gossip->announcements);
    free(gossip->announcement_links);
    free(gossip->peers);
    free(gossip);
}

void gossip_report(const struct gossip *gossip, struct gossip_report *out)
{
    *out = gossip->counted;
    out->held = gossip->held;
    out->fresh = gossip->lists[LIST_FRESH].count;
    out->missing = gossip->missing;
    out->remembered = gossip->lists[LIST_GONE].count;
    for (size_t peer = 0; peer < gossip->config.peer_count; peer++) out->open += gossip->lists[LIST_OPEN + peer].count;
}

void gossip_report_peer(const struct gossip *gossip, size_t peer, struct gossip_peer_report *out)
{
    const struct peer *from = &gossip->peers[peer];
    *out = (struct gossip_peer_report){ .announced = from->announced, .open = gossip->lists[LIST_OPEN + peer].count, .open_max = from->open_max,
        .dropped = from->dropped, .fetched = from->fetched, .delivered = from->delivered, .overdue = from->overdue, .unserved = from->unserved };
}
