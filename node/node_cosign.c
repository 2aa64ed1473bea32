/* Checkpoints of the consortium: signs what became final, tells the others, takes in what they signed, and keeps the note
   that is served once a quorum's signatures are together (cosign.h judges; here are clocks, links and the disk). */
#include "node_private.h"

#include "condition.h"
#include "cosign.h"
#include "files.h"
#include "logging.h"

#include <stdlib.h>
#include <string.h>

#define SLOT_MS 20u            /* of blocks whose times are in one such slot only the first is signed, and the newest once it stays */
#define REPEAT_MS_MIN 1000u    /* a tree without a quorum is told of again after so long, */
#define REPEAT_MS_MAX 10000u   /* twice as long each time, up to this */
#define ANSWER_MS 1000u        /* one peer is told of the kept checkpoint at most so often */
#define REFRESH_MS 1000u       /* the kept checkpoint gets a later time at most so often */

struct cosigning {
    struct cosign *cosign;
    struct cl_tip tip;
    bool alone;                       /* own signature is the quorum: each block is signed and kept at once */
    bool tried;                       /* to sign the tip */
    bool grew;                        /* what is kept, so it may cover somebody who waits */
    struct cl_buffer own, kept;       /* notes: what this node signed last, what is served */
    uint64_t final_ms, signed_ms;     /* when the tip became final, when it was tried last */
    uint64_t repeat_ms, pause_ms;     /* when own is sent again */
    uint64_t refreshed_ms;
    uint64_t *answered_ms;            /* each peer */
    bool forks_told[CL_MEMBERS_MAX];
};

static bool is_observer(const struct node *node) { return node->own >= node->genesis.core.value.member_count; }

static void follow_tip(struct node *node)
{
    struct cosigning *cosigning = node->cosigning;
    cl_ledger_tip(node->ledger, &cosigning->tip);
    struct cosign_tree tree = { .size = cosigning->tip.log_size, .view = cosigning->tip.view, .root = cosigning->tip.log_root };
    cosign_final(cosigning->cosign, &tree);
    cosigning->final_ms = node_monotonic_ms();
    cosigning->tried = false;
}

static enum cl_status load_kept(struct node *node)
{
    struct cl_ledger_view *view = NULL;
    struct cl_buffer *kept = &node->cosigning->kept;
    enum cl_status status = cl_ledger_view_new(&view, node->ledger);
    if (status == CL_OK) status = cl_view_checkpoint(view, kept);
    cl_ledger_view_free(view);
    if (status == CL_E_NOT_FOUND) return CL_OK;
    return status == CL_OK ? cosign_kept(node->cosigning->cosign, kept->data, kept->length, false) : status;
}

enum cl_status node_cosign_new(struct node *node)
{
    const struct cl_genesis *genesis = &node->genesis.core;
    struct cosign_config config = { .origin = genesis->origin, .members = genesis->value.members, .member_count = genesis->value.member_count,
        .own = COSIGN_OBSERVER, .peer_count = node->peer_count };
    struct cosigning *cosigning = calloc(1, sizeof *cosigning);
    node->cosigning = cosigning;
    if (cosigning == NULL) return CL_E_MEMORY;
    if (!is_observer(node)) {
        config.own = node->own;
        config.log_seed32 = node->keys.log_seed;
        config.witness_seed32 = node->keys.witness_seed;
    }
    cosigning->alone = genesis->value.member_count == 1 && !is_observer(node);
    cosigning->pause_ms = REPEAT_MS_MIN;
    cosigning->answered_ms = calloc(node->peer_count, sizeof cosigning->answered_ms[0]);
    enum cl_status status = cosigning->answered_ms != NULL ? cosign_new(&cosigning->cosign, &config) : CL_E_MEMORY;
    if (status != CL_OK) return status;
    follow_tip(node);
    return load_kept(node);
}

void node_cosign_free(struct node *node)
{
    if (node->cosigning == NULL) return;
    cosign_free(node->cosigning->cosign);
    cl_buffer_deinit(&node->cosigning->own);
    cl_buffer_deinit(&node->cosigning->kept);
    free(node->cosigning->answered_ms);
    free(node->cosigning);
    node->cosigning = NULL;
}

uint64_t node_cosigned_size(const struct node *node) { return cosign_kept_size(node->cosigning->cosign); }

void node_cosign_notarized(struct node *node, uint64_t view, uint64_t wall_ms) { cosign_notarized(node->cosigning->cosign, view, wall_ms); }

void node_cosign_describe(const struct node *node, struct condition *out, uint64_t now_ms)
{
    const struct cosigning *cosigning = node->cosigning;
    uint64_t kept = cosign_kept_size(cosigning->cosign);
    out->unsigned_leaves = cosigning->tip.log_size - kept;
    out->unsigned_ms = out->unsigned_leaves > 0 ? now_ms - cosigning->final_ms : 0;
    memset(out->cosigned, 0, sizeof out->cosigned);
    for (size_t i = 0; i < out->member_count; i++) {
        const struct cosign_fork *fork = cosign_fork(cosigning->cosign, i);
        out->peers[i].fork_size = fork != NULL ? fork->size : 0;
        if (cosign_has(cosigning->cosign, i)) out->cosigned[i / 8] |= (uint8_t)(1u << i % 8);
    }
}

/* A member that is behind does not know what is newest; one that lost its vote log does not know above which trees it held
   a notarization, up to the view that it may have voted in. */
static bool may_sign(const struct node *node)
{
    struct consensus_report report = { 0 };
    if (is_observer(node) || node->catching_up) return false;
    if (node->consensus != NULL) consensus_report(node->consensus, &report);
    return node->cosigning->tip.view >= report.barred;
}

/* ---- out */
static void send_note(struct node *node, size_t peer, const struct cl_buffer *note)
{
    struct cl_view item = { note->data, note->length };
    if (note->length > 0) node_send_list(node, peer, LANE_VOTES, FRAME_COSIGNATURES, &item, 1);
}

static enum cl_status sign(struct node *node)
{
    struct cosigning *cosigning = node->cosigning;
    struct cl_buffer note = { 0 };
    if (!may_sign(node)) return CL_OK;
    cosigning->signed_ms = node_monotonic_ms();
    cosigning->tried = true;
    enum cl_status status = cosign_sign(cosigning->cosign, &note, node_now_ms());
    if (status == CL_E_EXISTS || status == CL_E_PENDING) return CL_OK; /* there is nothing newer to say */
    if (status != CL_OK) {
        cl_buffer_deinit(&note);
        return node_fail(node, status, "The checkpoint could not be signed: %s", cl_status_sentence(status));
    }
    cl_buffer_deinit(&cosigning->own);
    cosigning->own = note;
    cosigning->pause_ms = REPEAT_MS_MIN;
    cosigning->repeat_ms = cosigning->signed_ms + REPEAT_MS_MIN;
    atomic_fetch_add(&node->counters.checkpoints, 1);
    send_note(node, TRANSPORT_ALL, &cosigning->own);
    return CL_OK;
}

/* ---- keeping */
static enum cl_status keep(struct node *node, const struct cosign_tree *tree)
{
    struct cosigning *cosigning = node->cosigning;
    struct cl_buffer note = { 0 };
    enum cl_status status = cosign_merge(cosigning->cosign, &note, tree);
    if (status == CL_E_SIGNATURE && is_observer(node)) { /* no member's own note of this tree came yet */
        cl_buffer_deinit(&note);
        return CL_OK;
    }
    if (status == CL_OK) status = cl_ledger_checkpoint_keep(node->ledger, tree->size, &tree->root, note.data, note.length);
    if (status == CL_OK) status = cosign_kept(cosigning->cosign, note.data, note.length, true);
    if (status != CL_OK) {
        cl_buffer_deinit(&note);
        return node_fail(node, status, "The checkpoint could not be kept: %s", cl_status_sentence(status));
    }
    cl_buffer_deinit(&cosigning->kept);
    cosigning->kept = note;
    cosigning->grew = true;
    return CL_OK;
}

/* Keeps what is ready. Returns: ms until a later time for the kept tree may be kept; UINT64_MAX: nothing waits. */
static uint64_t keep_ready(struct node *node, uint64_t now_ms)
{
    struct cosigning *cosigning = node->cosigning;
    struct cosign_tree tree;
    enum cosign_readiness ready = cosign_ready(cosigning->cosign, &tree);
    if (ready == COSIGN_NOTHING) return UINT64_MAX;
    if (ready == COSIGN_FRESHER && !cosigning->alone) {
        if (now_ms - cosigning->refreshed_ms < REFRESH_MS) return REFRESH_MS - (now_ms - cosigning->refreshed_ms);
        cosigning->refreshed_ms = now_ms;
    }
    (void)keep(node, &tree);
    return UINT64_MAX;
}

/* ---- what calls for a signature */
enum cl_status node_cosign_committed(struct node *node)
{
    struct cosigning *cosigning = node->cosigning;
    uint64_t slot = cosigning->tip.time_ms / SLOT_MS;
    follow_tip(node);
    /* Blocks may come every few ms. Which of them are signed follows from their times alone, so all members choose the same. */
    if (cosigning->alone || cosigning->tip.time_ms / SLOT_MS != slot) (void)sign(node);
    if (!atomic_load(&node->failed)) (void)keep_ready(node, node_monotonic_ms());
    return node->failure_status;
}

enum cl_status node_cosign_ensure(struct node *node)
{
    const struct cosigning *cosigning = node->cosigning;
    if (!cosigning->alone || cosign_kept_size(cosigning->cosign) >= cosigning->tip.log_size) return CL_OK;
    (void)sign(node);
    if (!atomic_load(&node->failed)) (void)keep_ready(node, node_monotonic_ms());
    return node->failure_status;
}

static void answer_covered(struct node *node)
{
    if (!node->cosigning->grew) return;
    node->cosigning->grew = false;
    node_answer_finished(node);
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Signs the tip that no longer moves, and the same one again at intervals, so that freshness needs no empty blocks. */
static uint64_t sign_when_due(struct node *node, uint64_t now_ms)
{
    const struct cosigning *cosigning = node->cosigning;
    bool empty = pool_count(node->pool) == 0;
    if (!may_sign(node) || (cosigning->tried && !empty)) return UINT64_MAX;
    uint64_t due = cosigning->tried ? cosigning->signed_ms + node->options.config.cosign_interval_s * 1000 : empty ? now_ms : cosigning->final_ms + SLOT_MS;
    if (due > now_ms) return due - now_ms;
    (void)sign(node);
    return node->options.config.cosign_interval_s * 1000;
}

/* Whoever lacks a quorum for its tip says again what it has: frames may be lost. Whoever has it then answers. */
static uint64_t repeat_when_due(struct node *node, uint64_t now_ms)
{
    struct cosigning *cosigning = node->cosigning;
    const struct cl_buffer *note = is_observer(node) ? &cosigning->kept : &cosigning->own;
    if (node->catching_up || note->length == 0 || cosign_kept_size(cosigning->cosign) >= cosigning->tip.log_size) return UINT64_MAX;
    if (!is_observer(node) && !cosign_signed(cosigning->cosign)) return UINT64_MAX;
    if (now_ms >= cosigning->repeat_ms) {
        send_note(node, TRANSPORT_ALL, note);
        cosigning->pause_ms = least(2 * cosigning->pause_ms, REPEAT_MS_MAX);
        cosigning->repeat_ms = now_ms + cosigning->pause_ms;
    }
    return cosigning->repeat_ms - now_ms;
}

uint64_t node_cosign_round(struct node *node, uint64_t now_ms)
{
    if (atomic_load(&node->failed)) return UINT64_MAX;
    uint64_t signs = sign_when_due(node, now_ms);
    uint64_t keeps = is_observer(node) || atomic_load(&node->failed) ? UINT64_MAX : keep_ready(node, now_ms);
    uint64_t repeats = repeat_when_due(node, now_ms);
    answer_covered(node);
    return least(signs, least(keeps, repeats));
}

/* ---- in */
static void tell_forks(struct node *node)
{
    for (size_t i = 0; i < node->genesis.core.value.member_count; i++) {
        const struct cosign_fork *fork = cosign_fork(node->cosigning->cosign, i);
        if (fork == NULL || node->cosigning->forks_told[i]) continue;
        char known[65], other[65];
        hex_encode(known, fork->known_root.bytes, 32);
        hex_encode(other, fork->signed_root.bytes, 32);
        log_line(LOG_LEVEL_ERROR, "fork", "member=%s size=%llu root_here=%s root_signed=%s sentence=\"This member's cosignature contradicts the log of this node: "
                 "one of the two shows different people different ledgers.\"", node->genesis.core.value.members[i].name, (unsigned long long)fork->size, known, other);
        node->cosigning->forks_told[i] = true;
    }
}

/* A peer that repeats itself, or is behind, lacks the quorum that is here. A note with a quorum is never answered, so two
   nodes do not go on answering each other. */
static void answer(struct node *node, size_t peer, const struct cosign_received *received, uint64_t now_ms)
{
    struct cosigning *cosigning = node->cosigning;
    bool lacks = received->verdict == COSIGN_OLD || (received->verdict == COSIGN_KNOWN && received->size == cosign_kept_size(cosigning->cosign) &&
                                                     received->cosignatures < cl_quorum(node->genesis.core.value.member_count));
    if (!lacks || now_ms - cosigning->answered_ms[peer] < ANSWER_MS) return;
    cosigning->answered_ms[peer] = now_ms;
    send_note(node, peer, &cosigning->kept);
}

void node_on_cosignatures(struct node *node, size_t peer, const struct frame *frame)
{
    struct cosign *cosign = node->cosigning->cosign;
    struct frame_items items;
    struct cl_view item;
    uint64_t now_ms = node_monotonic_ms(), forks = cosign_fork_count(cosign);
    frame_items_init(&items, frame);
    while (frame_items_next(&items, &item)) {
        struct cosign_received received;
        cosign_receive(cosign, &received, peer, item.data, item.length, node_now_ms());
        if (received.verdict == COSIGN_BAD || received.verdict == COSIGN_BOUNDED || received.verdict == COSIGN_AHEAD)
            atomic_fetch_add(&node->counters.cosignatures_dropped, 1);
        answer(node, peer, &received, now_ms);
    }
    if (cosign_fork_count(cosign) != forks) tell_forks(node);
    atomic_store(&node->counters.forks, cosign_fork_count(cosign));
    (void)keep_ready(node, now_ms);
    answer_covered(node);
}
