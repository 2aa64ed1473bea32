/* Asks the other members, again and again, how far this one may have voted, where its vote log says that it does not know;
   until then it follows and votes for nothing. And answers those that ask. vote_recovery.h judges the answers. */
#include "node_private.h"

#include "crypto.h"
#include "logging.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS 1000u
#define QUESTION_MS 2000u
#define SAY_MS 10000u

static uint64_t barred_view(struct node *node)
{
    struct consensus_report report;
    consensus_report(node->consensus, &report);
    atomic_store(&node->votes_barred, report.barred);
    return report.barred;
}

bool node_votes_awaited(const struct node *node) { return atomic_load(&node->votes_barred) == CONSENSUS_BAR_UNKNOWN; }

enum cl_status node_vote_recovery_begin(struct node *node)
{
    uint8_t nonce[32];
    if (barred_view(node) != CONSENSUS_BAR_UNKNOWN) return CL_OK;
    enum cl_status status = cl_random(nonce, sizeof nonce);
    if (status != CL_OK) return status;
    vote_recovery_begin(&node->vote_recovery, nonce);
    node->vote_recovery_said_ms = node_monotonic_ms() - SAY_MS + QUESTION_MS; /* the first time soon */
    log_line(LOG_LEVEL_WARNING, "votes_forgotten", "sentence=\"This node does not know what it has signed. It follows, and votes again once %zu other members "
             "have told it in which view they are.\"", vote_recovery_needed(node->genesis.core.value.member_count));
    return CL_OK;
}

/* Whose answers are awaited, for an operator. */
static void say(struct node *node, uint64_t now_ms)
{
    char names[400] = "";
    size_t length = 0;
    if (now_ms - node->vote_recovery_said_ms < SAY_MS) return;
    node->vote_recovery_said_ms = now_ms;
    for (size_t i = 0; i < node->genesis.core.value.member_count; i++) {
        const char *name = node->genesis.core.value.members[i].name;
        if (i == node->own || node->vote_recovery.answered[i] || length + strlen(name) + 2 > sizeof names) continue;
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", length > 0 ? "," : "", name);
    }
    log_line(LOG_LEVEL_WARNING, "votes_awaited", "heard=%zu needed=%zu not_heard=%s", node->vote_recovery.count,
             vote_recovery_needed(node->genesis.core.value.member_count), names);
}

/* What they proved brings ordering to where they are; then it learns from which view on it may vote. */
static void take_answer(struct node *node, size_t peer, const struct frame_recovery_answer *answer)
{
    bool has = false;
    uint64_t barred = 0;
    struct cl_certificate *certificate = malloc(sizeof *certificate);
    if (certificate == NULL) return; /* asked again */
    enum cl_status status = vote_recovery_take(&node->vote_recovery, node->consensus, peer, answer, certificate, &has);
    if (status != CL_OK) {
        log_line(LOG_LEVEL_WARNING, "recovery_answer_refused", "member=%s code=%s", node->genesis.core.value.members[peer].name, cl_status_code(status));
    } else {
        atomic_store(&node->vote_recovery_heard[peer], true);
        bool known = vote_recovery_bar(&node->vote_recovery, node->consensus, &barred);
        if (has) status = node_drive(node, &(struct consensus_event){ .kind = CONSENSUS_CERTIFICATE, .now_ms = node_monotonic_ms(), .certificate = certificate });
        if (known && status == CL_OK) {
            node_cosign_notarized(node, barred, 0);
            log_line(LOG_LEVEL_WARNING, "votes_resumed", "above_view=%llu", (unsigned long long)barred);
            (void)node_drive(node, &(struct consensus_event){ .kind = CONSENSUS_RECOVERED, .now_ms = node_monotonic_ms(), .view = barred });
            (void)barred_view(node);
        }
    }
    free(certificate);
}

static void on_answered(struct node *node, void *context, size_t peer, enum transport_outcome outcome, const struct frame *frame)
{
    struct frame_recovery_answer answer;
    (void)context;
    (void)outcome;
    if (frame == NULL || frame->kind != FRAME_RECOVERY_ANSWER || !node_votes_awaited(node)) return;
    if (frame_recovery_answer_decode(&answer, frame->payload) == CL_OK) take_answer(node, peer, &answer);
}

uint64_t node_vote_recovery_round(struct node *node, uint64_t now_ms)
{
    if (node->consensus == NULL || !node_votes_awaited(node)) return UINT64_MAX;
    say(node, now_ms);
    if (now_ms < node->vote_recovery_ask_ms) return node->vote_recovery_ask_ms - now_ms;
    struct frame_recovery_question question = { .member = (uint32_t)node->own };
    struct cl_buffer payload = { 0 };
    memcpy(question.nonce, node->vote_recovery.nonce, 32);
    if (frame_recovery_question_encode(&payload, &question) == CL_OK)
        for (size_t i = 0; i < node->genesis.core.value.member_count; i++)
            if (i != node->own && !node->vote_recovery.answered[i]) /* where another question is open, the next time */
                (void)!node_ask(node, i, FRAME_RECOVERY_QUESTION, &payload, QUESTION_MS, on_answered, NULL);
    cl_buffer_deinit(&payload);
    node->vote_recovery_ask_ms = now_ms + ASK_MS;
    return ASK_MS;
}

void node_on_recovery_question(struct node *node, size_t peer, const struct frame *frame, struct transport_question *question)
{
    struct frame_recovery_question asked;
    struct cl_buffer payload = { 0 };
    enum cl_status status = frame_recovery_question_decode(&asked, frame->payload);
    if (status == CL_OK && (node->consensus == NULL || asked.member != peer)) status = CL_E_MEMBER;
    if (status == CL_OK) status = vote_recovery_answer(&payload, node->consensus, asked.nonce);
    if (status == CL_OK) status = transport_answer(question, FRAME_RECOVERY_ANSWER, payload.data, payload.length);
    if (status != CL_OK) transport_decline(question); /* asked again; this node may know more by then */
    cl_buffer_deinit(&payload);
}

void node_vote_recovery(const struct node *node, struct node_vote_recovery *out)
{
    uint64_t barred = atomic_load(&node->votes_barred);
    *out = (struct node_vote_recovery){ .waiting = barred == CONSENSUS_BAR_UNKNOWN };
    if (!out->waiting) {
        out->barred_view = barred;
        return;
    }
    out->needed = vote_recovery_needed(node->genesis.core.value.member_count);
    for (size_t i = 0; i < node->genesis.core.value.member_count; i++) {
        out->heard_from[i] = atomic_load(&node->vote_recovery_heard[i]);
        out->heard += out->heard_from[i];
    }
}
