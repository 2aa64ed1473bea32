/* Gossip's hands: what the pool and the links tell goes into gossip.c, and what that decides goes out in frames. Owner
   thread, but for the counters. In a network of one there is none of it. */
#include "node_private.h"

#include "crypto.h"
#include "gossip.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

#define DECIDED_MS 2000u /* by then a block is final as a rule, and what came for it with it */

struct node_gossip {
    struct gossip *gossip;
    struct cl_leaf_hash leaves[FRAME_ANNOUNCED_MAX]; /* of one frame */
    struct cl_view items[FRAME_ANNOUNCED_MAX];
    pthread_mutex_t lock;
    struct gossip_report published;                  /* the one thing that other threads read */
};

enum cl_status node_gossip_start(struct node *node)
{
    if (node->peer_count < 2) return CL_OK;
    struct gossip_config config = { .peer_count = node->peer_count, .member_count = node->genesis.core.value.member_count,
                                    .records_max = (size_t)node->options.config.pool_records_max };
    struct node_gossip *made = calloc(1, sizeof *made);
    if (made == NULL) return CL_E_MEMORY;
    enum cl_status status = cl_random(config.key, sizeof config.key);
    if (status == CL_OK) status = gossip_new(&made->gossip, &config);
    if (status != CL_OK) {
        free(made);
        return status;
    }
    pthread_mutex_init(&made->lock, NULL);
    node->gossip = made;
    return CL_OK;
}

void node_gossip_free(struct node *node)
{
    if (node->gossip == NULL) return;
    gossip_free(node->gossip->gossip);
    pthread_mutex_destroy(&node->gossip->lock);
    free(node->gossip);
    node->gossip = NULL;
}

/* ---- the pool's news */
void node_gossip_have(struct node *node, const struct cl_ledger_record *record)
{
    if (node->gossip == NULL) return;
    gossip_have(node->gossip->gossip, &record->record.leaf_hash, record->record.bytes.length, record->first_heard_from == node->own, node_monotonic_ms());
}

void node_gossip_gone(struct node *node, const struct cl_leaf_hash *leaf)
{
    if (node->gossip != NULL) gossip_gone(node->gossip->gossip, leaf, node_monotonic_ms());
}

bool node_gossip_is_coming(struct node *node, const struct cl_leaf_hash *leaf)
{
    return node->gossip != NULL && gossip_is_coming(node->gossip->gossip, leaf, node_monotonic_ms());
}

/* ---- out */
/* What goes to all goes to members: observers take final blocks. What an observer's clients bring it sends like anybody. */
static void send_items(struct node *node, size_t peer, enum lane lane, enum frame_kind kind, size_t count)
{
    const struct cl_view *items = node->gossip->items;
    size_t members = node->genesis.core.value.member_count;
    if (peer != TRANSPORT_ALL || members == node->peer_count) {
        node_send_list(node, peer, lane, kind, items, count);
        return;
    }
    for (size_t member = 0; member < members; member++)
        if (member != node->own) node_send_list(node, member, lane, kind, items, count);
}

static void send_leaves(struct node *node, size_t peer, enum lane lane, enum frame_kind kind, size_t count)
{
    for (size_t i = 0; i < count; i++) node->gossip->items[i] = (struct cl_view){ node->gossip->leaves[i].bytes, 32 };
    send_items(node, peer, lane, kind, count);
}

/* Those of the leaves whose records are in the pool. */
static void send_records(struct node *node, size_t peer, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const struct pool_entry *entry = pool_find_leaf(node->pool, &node->gossip->leaves[i]);
        if (entry != NULL) node->gossip->items[found++] = entry->record->record.bytes;
    }
    if (found > 0) send_items(node, peer, LANE_RECORDS, FRAME_RECORDS, found);
}

static bool tell(struct node *node, bool at_once, uint64_t now_ms)
{
    size_t count = 0;
    switch (gossip_take_fresh(node->gossip->gossip, node->gossip->leaves, &count, FRAME_ANNOUNCED_MAX, at_once, now_ms)) {
    case GOSSIP_PUSH: send_records(node, TRANSPORT_ALL, count); return true;
    case GOSSIP_ANNOUNCE: send_leaves(node, TRANSPORT_ALL, LANE_ANNOUNCEMENTS, FRAME_ANNOUNCE, count); return true;
    case GOSSIP_NOTHING: break;
    }
    return false;
}

void node_gossip_flush(struct node *node)
{
    uint64_t now = node_monotonic_ms();
    while (node->gossip != NULL && tell(node, true, now)) continue;
}

uint64_t node_gossip_round(struct node *node, uint64_t now_ms)
{
    struct node_gossip *own = node->gossip;
    if (own == NULL) return UINT64_MAX;
    size_t peer, count, room = node_room_records(node);
    (void)tell(node, false, now_ms);
    count = gossip_take_repairs(own->gossip, own->leaves, FRAME_ANNOUNCED_MAX, now_ms);
    if (count > 0) send_leaves(node, TRANSPORT_ALL, LANE_ANNOUNCEMENTS, FRAME_ANNOUNCE, count);
    while (gossip_take_fetches(own->gossip, &peer, own->leaves, &count, room, now_ms)) {
        send_leaves(node, peer, LANE_RECORDS, FRAME_FETCH, count);
        room -= count;
    }
    pthread_mutex_lock(&own->lock);
    gossip_report(own->gossip, &own->published);
    pthread_mutex_unlock(&own->lock);
    return gossip_wait_ms(own->gossip, now_ms);
}

/* ---- in */
void node_on_announce(struct node *node, size_t peer, const struct frame *frame)
{
    struct frame_items items;
    struct cl_view item;
    uint64_t now = node_monotonic_ms();
    frame_items_init(&items, frame);
    while (frame_items_next(&items, &item)) {
        struct cl_leaf_hash leaf;
        memcpy(leaf.bytes, item.data, 32);
        const struct pool_entry *pinned = pool_find_leaf(node->pinned, &leaf);
        if (pinned == NULL || now - pinned->since_ms >= DECIDED_MS) gossip_announced(node->gossip->gossip, peer, &leaf, now);
    }
}

void node_on_fetch(struct node *node, size_t peer, const struct frame *frame)
{
    struct node_gossip *own = node->gossip;
    struct frame_items items;
    struct cl_view item;
    size_t count = 0;
    uint64_t now = node_monotonic_ms();
    frame_items_init(&items, frame);
    while (frame_items_next(&items, &item)) {
        memcpy(own->leaves[count].bytes, item.data, 32);
        const struct pool_entry *entry = pool_find_leaf(node->pool, &own->leaves[count]);
        if (!gossip_may_serve(own->gossip, peer, entry != NULL ? entry->record->record.bytes.length : 0, now)) break;
        if (entry != NULL) count++;
    }
    send_records(node, peer, count);
}

void node_on_records(struct node *node, size_t peer, const struct frame *frame)
{
    struct node_gossip *own = node->gossip;
    struct frame_items items;
    struct cl_view item;
    size_t count = 0;
    uint64_t now = node_monotonic_ms();
    frame_items_init(&items, frame);
    while (frame_items_next(&items, &item)) {
        struct cl_leaf_hash *leaf = &own->leaves[count];
        cl_log_leaf_hash(leaf, item.data, item.length);
        if (gossip_arrived(own->gossip, peer, leaf, now)) own->items[count++] = item;
    }
    if (count == 0 || node_offer_records(node, own->items, count, (uint32_t)peer) == count) return;
    for (size_t i = 0; i < count; i++) gossip_forget(own->gossip, &own->leaves[i]); /* some found no room: any may come again */
}

void node_gossip_counters(struct node *node, struct gossip_report *out)
{
    *out = (struct gossip_report){ 0 };
    if (node->gossip == NULL) return;
    pthread_mutex_lock(&node->gossip->lock);
    *out = node->gossip->published;
    pthread_mutex_unlock(&node->gossip->lock);
}
