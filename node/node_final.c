/* What follows finality: the ledger's one synced write, then the checkpoint of the new tree, then everybody who waits. */
#include "node_private.h"

#include "checkpoint.h"
#include "logging.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* Own log line and own cosignature over the tip's tree, merged into what is served. */
static enum cl_status make_note(struct node *node, struct cl_buffer *note, const struct cl_tip *tip)
{
    const struct cl_genesis *genesis = &node->genesis.core;
    struct cl_buffer body = { 0 }, log_line_text = { 0 }, cosignature = { 0 };
    uint64_t now_s = node_now_ms() / 1000;
    enum cl_status status = cl_checkpoint_body(&body, genesis->origin, tip->log_size, &tip->log_root);
    struct cl_view body_view = { body.data, body.length };
    if (status == CL_OK) status = cl_checkpoint_sign_log(&log_line_text, &body_view, genesis->origin, node->keys.log_seed);
    if (status == CL_OK)
        status = cl_checkpoint_cosign(&cosignature, &body_view, genesis->origin, genesis->value.members[node->own].name, now_s, node->keys.witness_seed);
    if (status == CL_OK) {
        struct cl_view lines[2] = { { log_line_text.data, log_line_text.length }, { cosignature.data, cosignature.length } };
        status = cl_checkpoint_merge(note, &body_view, genesis->origin, lines, 2, genesis->value.members, genesis->value.member_count, node->own);
    }
    cl_buffer_deinit(&cosignature);
    cl_buffer_deinit(&log_line_text);
    cl_buffer_deinit(&body);
    return status;
}

enum cl_status node_checkpoint(struct node *node)
{
    struct cl_tip tip;
    struct cl_buffer note = { 0 };
    cl_ledger_tip(node->ledger, &tip);
    enum cl_status status = make_note(node, &note, &tip);
    if (status == CL_OK) status = cl_ledger_checkpoint_keep(node->ledger, tip.log_size, &tip.log_root, note.data, note.length);
    cl_buffer_deinit(&note);
    if (status == CL_E_QUORUM) return CL_OK;
    if (status != CL_OK) return node_fail(node, status, "The checkpoint could not be signed and kept: %s", cl_status_sentence(status));
    node->last_cosign_ms = node_now_ms();
    atomic_fetch_add(&node->counters.checkpoints, 1);
    return CL_OK;
}

enum cl_status node_checkpoint_ensure(struct node *node)
{
    struct cl_ledger_view *view = NULL;
    struct cl_buffer note = { 0 };
    struct cl_tip tip;
    cl_ledger_tip(node->ledger, &tip);
    struct cl_checkpoint *kept = malloc(sizeof *kept);
    enum cl_status status = kept != NULL ? cl_ledger_view_new(&view, node->ledger) : CL_E_MEMORY;
    if (status == CL_OK) status = cl_view_checkpoint(view, &note);
    if (status == CL_OK) status = cl_checkpoint_decode(kept, note.data, note.length);
    bool current = status == CL_OK && kept->size == tip.log_size;
    if (status == CL_E_NOT_FOUND) status = CL_OK;
    cl_ledger_view_free(view);
    cl_buffer_deinit(&note);
    free(kept);
    if (status != CL_OK || current) return status;
    return node_checkpoint(node);
}

static void publish_counters(struct node *node, size_t records)
{
    struct cl_tip tip;
    cl_ledger_tip(node->ledger, &tip);
    atomic_store(&node->counters.height, tip.height);
    atomic_store(&node->counters.log_size, tip.log_size);
    atomic_store(&node->counters.view, tip.view);
    atomic_fetch_add(&node->counters.blocks, 1);
    atomic_fetch_add(&node->counters.final_records, records);
}

static void answer_finished(struct node *node)
{
    while (node->finished != NULL) {
        struct submission *submission = node->finished;
        node->finished = submission->next;
        node_finish_submission(submission, OUTCOME_FINAL);
    }
}

enum cl_status node_commit(struct node *node, struct pending_block *pending, const struct cl_certificate *certificate)
{
    struct cl_buffer proof = { 0 };
    uint64_t began = microseconds();
    enum cl_status status = certificate != NULL ? cl_certificate_encode(&proof, certificate) : CL_OK;
    if (status == CL_OK)
        status = cl_ledger_commit(node->ledger, pending->candidate, pending->block.view, pending->block.parent_view, proof.data, proof.length);
    cl_buffer_deinit(&proof);
    if (status != CL_OK)
        return node_fail(node, status, "A final block could not be stored (%s): %s", node->store.last_error != NULL ? node->store.last_error(node->store.context) : "",
                         cl_status_sentence(status));
    size_t records = cl_candidate_count(pending->candidate);
    for (size_t i = 0; i < records; i++) node_settle_final(node, cl_candidate_record(pending->candidate, i));
    status = node_checkpoint(node); /* signed only after finality, and durable before anybody sees it */
    if (status != CL_OK) return status;
    node->progress = true;
    publish_counters(node, records);
    atomic_fetch_add(&node->counters.commit_us, microseconds() - began);
    answer_finished(node);
    if (node->http != NULL) http_streams_wake(node->http);
    pthread_mutex_lock(&node->room_lock);
    pthread_cond_broadcast(&node->room_changed); /* node_wait_settled */
    pthread_mutex_unlock(&node->room_lock);
    log_line(LOG_LEVEL_DEBUG, "block_final", "height=%llu records=%zu", (unsigned long long)pending->summary.height, records);
    return CL_OK;
}
