/* What follows finality: the ledger's one synced write, then the cosignature of the new tree, then everybody whom a
   checkpoint covers. */
#include "node_private.h"

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

static void publish_counters(struct node *node, size_t records)
{
    struct cl_tip tip;
    cl_ledger_tip(node->ledger, &tip);
    atomic_fetch_add(&node->counters.blocks, tip.height - atomic_load(&node->counters.height)); /* caught up, several at once */
    atomic_store(&node->counters.height, tip.height);
    atomic_store(&node->counters.log_size, tip.log_size);
    atomic_store(&node->counters.view, tip.view);
    atomic_fetch_add(&node->counters.final_records, records);
}

void node_finish_final(struct node *node, struct submission *submission)
{
    struct cl_tip tip;
    cl_ledger_tip(node->ledger, &tip);
    submission->covering_size = tip.log_size;
    if (!submission->wait_final || node_cosigned_size(node) >= tip.log_size) {
        node_finish_submission(submission, OUTCOME_FINAL);
    } else if (atomic_load(&node->stopping) || atomic_load(&node->failed)) {
        node_finish_submission(submission, OUTCOME_STOPPED);
    } else {
        submission->next = node->finished;
        node->finished = submission;
    }
}

void node_answer_finished(struct node *node)
{
    uint64_t covered = node_cosigned_size(node);
    for (struct submission **list = &node->finished; *list != NULL;) {
        struct submission *submission = *list;
        if (submission->covering_size > covered) {
            list = &submission->next;
            continue;
        }
        *list = submission->next;
        node_finish_submission(submission, OUTCOME_FINAL);
    }
}

void node_expire_finished(struct node *node, uint64_t now_ms)
{
    node_answer_finished(node);
    node_expire_list(&node->finished, now_ms);
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
    node->progress = true;
    publish_counters(node, records);
    status = node_cosign_committed(node); /* signed only after finality */
    if (status != CL_OK) return status;
    atomic_fetch_add(&node->counters.commit_us, microseconds() - began);
    node_answer_finished(node);
    if (node->http != NULL) http_streams_wake(node->http);
    pthread_mutex_lock(&node->room_lock);
    pthread_cond_broadcast(&node->room_changed); /* node_wait_settled */
    pthread_mutex_unlock(&node->room_lock);
    log_line(LOG_LEVEL_DEBUG, "block_final", "height=%llu records=%zu", (unsigned long long)pending->summary.height, records);
    return CL_OK;
}
