/* Gathers once a second, on the owner's thread, how this node is among the others, so that whoever asks is answered even
   while the owner waits for a disk. */
#include "condition.h"
#include "node_private.h"

#include <stdlib.h>
#include <string.h>

struct node_condition {
    pthread_mutex_t lock;                    /* newest and taken_ms */
    struct condition newest;
    uint64_t taken_ms;
    struct { bool there; uint64_t height, view; } reported[GENESIS_PEERS_MAX]; /* the owner's: newest status frames */
};

enum cl_status node_condition_new(struct node *node)
{
    struct genesis_peer peer;
    struct node_condition *made = calloc(1, sizeof *made);
    if (made == NULL) return CL_E_MEMORY;
    pthread_mutex_init(&made->lock, NULL);
    made->newest.member_count = node->genesis.core.value.member_count;
    made->newest.peer_count = node->peer_count;
    made->newest.own = node->own;
    made->newest.quorum = cl_quorum(made->newest.member_count);
    for (size_t i = 0; i < node->peer_count; i++) {
        node_genesis_peer(&peer, &node->genesis, i);
        made->newest.peers[i] = (struct condition_peer){ .name = peer.name, .observer = i >= made->newest.member_count, .heard_ms_ago = UINT64_MAX,
            .certificate_until_s = node_certificate_until(peer.info->certificate) };
    }
    node->condition = made;
    node_condition_take(node);
    return CL_OK;
}

void node_condition_free(struct node *node)
{
    if (node->condition == NULL) return;
    pthread_mutex_destroy(&node->condition->lock);
    free(node->condition);
    node->condition = NULL;
}

void node_condition_heard(struct node *node, size_t peer, const struct frame *frame)
{
    struct frame_status status;
    if (frame_status_decode(&status, frame->payload) != CL_OK) return; /* no memory: it was decoded before */
    node->condition->reported[peer].there = true;
    node->condition->reported[peer].height = status.height;
    node->condition->reported[peer].view = status.view;
}

static void take_peer(struct node *node, struct condition_peer *out, size_t peer)
{
    struct transport_counters counters;
    out->reported = node->condition->reported[peer].there;
    out->height = node->condition->reported[peer].height;
    out->view = node->condition->reported[peer].view;
    out->evidence = 0;
    if (node->transport == NULL || peer == node->own) return;
    transport_count(node->transport, peer, &counters);
    out->connected = counters.connected;
    out->ask_connected = counters.ask_connected;
    out->heard_ms_ago = counters.heard_ms_ago;
    out->clock_known = counters.clock_known;
    out->clock_ahead_ms = counters.clock_ahead_ms;
    out->sent_bytes = counters.sent_bytes;
    out->received_bytes = counters.received_bytes;
    out->waiting_bytes = counters.waiting_bytes;
    out->malformed_frames = counters.malformed;
    out->dropped_frames = node_link_drops(node, peer);
    for (size_t lane = 0; lane < LANE_COUNT; lane++) out->dropped_frames += counters.dropped[lane];
}

static void take_recovery(const struct node *node, struct condition *out)
{
    struct node_vote_recovery recovery;
    node_vote_recovery(node, &recovery);
    out->told_needed = recovery.needed;
    memset(out->told, 0, sizeof out->told);
    for (size_t i = 0; recovery.waiting && i < out->member_count; i++)
        if (recovery.heard_from[i]) out->told[i / 8] |= (uint8_t)(1u << i % 8);
}

void node_condition_take(struct node *node)
{
    struct node_condition *condition = node->condition;
    uint64_t now = node_monotonic_ms();
    pthread_mutex_lock(&condition->lock);
    struct condition *out = &condition->newest;
    condition->taken_ms = now;
    out->height = atomic_load(&node->counters.height);
    out->waiting_records = node->pool != NULL ? pool_count(node->pool) : 0;
    for (size_t i = 0; i < out->peer_count; i++) take_peer(node, &out->peers[i], i);
    node_cosign_describe(node, out, now);
    out->ordering = node->consensus != NULL;
    if (out->ordering) {
        struct consensus_report report;
        const struct consensus_evidence *evidence;
        consensus_report(node->consensus, &report);
        consensus_outlook(node->consensus, &out->outlook);
        out->idle = report.idle;
        out->barred = report.barred;
        take_recovery(node, out);
        out->view_ms = out->outlook.since_ms > 0 && now > out->outlook.since_ms ? now - out->outlook.since_ms : 0;
        for (size_t i = 0; (evidence = consensus_evidence(node->consensus, i)) != NULL; i++)
            if (evidence->first.voter < out->member_count) out->peers[evidence->first.voter].evidence++;
    }
    pthread_mutex_unlock(&condition->lock);
}

void node_condition_read(struct node *node, struct condition *out)
{
    struct node_condition *condition = node->condition;
    pthread_mutex_lock(&condition->lock);
    *out = condition->newest;
    uint64_t now = node_monotonic_ms();
    out->taken_ms_ago = now > condition->taken_ms ? now - condition->taken_ms : 0;
    pthread_mutex_unlock(&condition->lock);
    out->failure = atomic_load(&node->failed) ? node->failure : NULL;
}
