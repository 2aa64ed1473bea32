/* Deliveries for mailboxes of other nodes, and those that other nodes bring: one question for each part, one answer. */
#include "mailbox_private.h"

#include "crypto.h"
#include "frame.h"

#include "consent/record.h"

#include <stdlib.h>
#include <time.h>

/* ---- to other nodes */
static void forwarded(struct mailbox_server *server, struct mailbox_job *job, enum mailbox_outcome outcome)
{
    pthread_mutex_lock(&server->lock);
    server->forwards--;
    if (outcome == MAILBOX_DONE || outcome == MAILBOX_KNOWN) server->report.forwarded++;
    pthread_mutex_unlock(&server->lock);
    mailbox_finish(job, outcome);
}

/* A thread of the transport's. */
static void on_answer(void *context, size_t member, enum transport_outcome outcome, const struct frame *frame)
{
    struct mailbox_job *job = context;
    struct mailbox_server *server = job->server;
    struct frame_deposited deposited = { .outcome = MAILBOX_NOT_NOW };
    (void)member;
    if (outcome != TRANSPORT_ANSWERED || frame->kind != FRAME_DEPOSITED || frame_deposited_decode(&deposited, frame->payload) != CL_OK)
        deposited = (struct frame_deposited){ .outcome = MAILBOX_NOT_NOW };
    job->outcome = deposited.outcome;
    job->result = deposited.number;
    pthread_mutex_lock(&server->lock);
    bool stopped = server->stopped;
    if (!stopped) {
        mailbox_jobs_append(&server->answered, job);
        pthread_cond_signal(&server->filled);
    }
    pthread_mutex_unlock(&server->lock);
    if (stopped) forwarded(server, job, job->outcome == MAILBOX_MORE ? MAILBOX_NOT_NOW : job->outcome);
}

void mailbox_take_answers(struct mailbox_server *server, struct mailbox_jobs *answered)
{
    for (struct mailbox_job *job; (job = mailbox_jobs_take(answered)) != NULL;) {
        server->open[job->peer]--;
        job->offset += FRAME_DEPOSIT_PART_MAX;
        if (job->outcome == MAILBOX_MORE && job->offset < job->bytes.length) mailbox_jobs_append(&server->to_ask, job);
        else forwarded(server, job, job->outcome == MAILBOX_MORE ? MAILBOX_NOT_NOW : job->outcome);
    }
}

static enum cl_status ask(struct transport *transport, struct mailbox_job *job)
{
    struct cl_buffer payload = { 0 };
    size_t left = job->bytes.length - (size_t)job->offset;
    struct frame_deposit deposit = { .size = job->bytes.length, .offset = job->offset,
                                     .part = { job->bytes.data + job->offset, left < FRAME_DEPOSIT_PART_MAX ? left : FRAME_DEPOSIT_PART_MAX } };
    memcpy(deposit.mailbox, job->id, 32);
    memcpy(deposit.delivery, job->digest, 32);
    enum cl_status status = frame_deposit_encode(&payload, &deposit);
    if (status == CL_OK) status = transport_ask(transport, job->peer, FRAME_DEPOSIT, payload.data, payload.length, ANSWER_MS, on_answer, job);
    cl_buffer_deinit(&payload);
    return status;
}

void mailbox_forward(struct mailbox_server *server, uint64_t monotonic_ms)
{
    struct transport *transport = atomic_load(&server->transport);
    struct mailbox_jobs waiting = server->to_ask;
    server->to_ask = (struct mailbox_jobs){ 0 };
    for (struct mailbox_job *job; (job = mailbox_jobs_take(&waiting)) != NULL;) {
        struct transport_counters counters = { .ask_connected = false };
        if (transport != NULL) transport_count(transport, job->peer, &counters);
        enum cl_status status = counters.ask_connected && job->deadline_ms > monotonic_ms ? CL_E_BOUND : CL_E_CANCELLED;
        if (status == CL_E_BOUND && server->open[job->peer] < FORWARDS_OPEN_MAX) {
            server->open[job->peer]++; /* before it is asked: the answer may be there at once */
            status = ask(transport, job);
            if (status != CL_OK) server->open[job->peer]--;
        }
        if (status == CL_E_BOUND) mailbox_jobs_append(&server->to_ask, job); /* as soon as one of its questions is answered */
        else if (status != CL_OK) forwarded(server, job, MAILBOX_NOT_NOW);
    }
}

/* ---- from other nodes */
struct brought { struct mailbox_job job; struct transport_question *question; struct cl_buffer bytes; };

static bool answer(struct transport_question *question, enum mailbox_outcome outcome, uint64_t number)
{
    struct cl_buffer payload = { 0 };
    struct frame_deposited deposited = { .outcome = outcome, .number = outcome == MAILBOX_DONE || outcome == MAILBOX_KNOWN ? number : 0 };
    enum cl_status status = frame_deposited_encode(&payload, &deposited);
    if (status == CL_OK) status = transport_answer(question, FRAME_DEPOSITED, payload.data, payload.length);
    cl_buffer_deinit(&payload);
    return status == CL_OK;
}

static void on_brought(struct mailbox_job *job)
{
    struct brought *brought = job->context;
    if (!answer(brought->question, job->outcome, job->result)) transport_decline(brought->question);
    cl_buffer_deinit(&brought->bytes);
    free(brought);
}

static void assembly_end(struct mailbox_assembly *assembly)
{
    cl_buffer_deinit(&assembly->bytes);
    *assembly = (struct mailbox_assembly){ 0 };
}

void mailbox_assemblies_expire(struct mailbox_server *server, uint64_t monotonic_ms)
{
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < ASSEMBLIES_MAX; i++)
        if (server->assemblies[i].used && (monotonic_ms == UINT64_MAX || monotonic_ms > server->assemblies[i].since_ms + ASSEMBLY_MS)) assembly_end(&server->assemblies[i]);
    pthread_mutex_unlock(&server->lock);
}

/* The place of this delivery's parts; else, for the first part, a new one, of which each peer has so many: the oldest goes. */
static struct mailbox_assembly *assembly_of(struct mailbox_server *server, size_t peer, const struct frame_deposit *part)
{
    struct mailbox_assembly *unused = NULL, *oldest = NULL, *own_oldest = NULL;
    size_t own = 0;
    for (struct mailbox_assembly *at = server->assemblies; at < server->assemblies + ASSEMBLIES_MAX; at++) {
        if (!at->used) {
            unused = at;
            continue;
        }
        if (at->peer == peer && memcmp(at->mailbox, part->mailbox, 32) == 0 && memcmp(at->delivery, part->delivery, 32) == 0) return at;
        if (oldest == NULL || at->since_ms < oldest->since_ms) oldest = at;
        if (at->peer != peer) continue;
        own++;
        if (own_oldest == NULL || at->since_ms < own_oldest->since_ms) own_oldest = at;
    }
    if (part->offset > 0) return NULL;
    if (own >= ASSEMBLIES_OF_PEER_MAX) unused = own_oldest;
    if (unused == NULL) unused = oldest;
    assembly_end(unused);
    unused->used = true;
    unused->peer = peer;
    memcpy(unused->mailbox, part->mailbox, 32);
    memcpy(unused->delivery, part->delivery, 32);
    return unused;
}

/* Out: all bytes, with MAILBOX_DONE. */
static enum mailbox_outcome assemble(struct mailbox_server *server, struct cl_buffer *bytes, size_t peer, const struct frame_deposit *part, uint64_t now_ms)
{
    enum mailbox_outcome outcome = MAILBOX_NOT_NOW;
    pthread_mutex_lock(&server->lock);
    struct mailbox_assembly *assembly = assembly_of(server, peer, part);
    if (assembly != NULL && part->offset == 0) {
        assembly->bytes.length = 0; /* perhaps once more from its beginning */
        assembly->since_ms = now_ms;
    }
    if (assembly != NULL && part->offset == assembly->bytes.length && cl_buffer_append(&assembly->bytes, part->part.data, part->part.length) == CL_OK)
        outcome = assembly->bytes.length == part->size ? MAILBOX_DONE : MAILBOX_MORE;
    if (outcome == MAILBOX_DONE) {
        *bytes = assembly->bytes;
        assembly->bytes = (struct cl_buffer){ 0 };
    }
    if (assembly != NULL && outcome != MAILBOX_MORE) assembly_end(assembly);
    pthread_mutex_unlock(&server->lock);
    return outcome;
}

bool mailbox_server_question(struct mailbox_server *server, size_t sender, const struct frame *frame, struct transport_question *question)
{
    struct frame_deposit part;
    struct timespec now;
    struct brought *brought = calloc(1, sizeof *brought);
    enum mailbox_outcome outcome = MAILBOX_NOT_NOW;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (brought == NULL || server == NULL || frame_deposit_decode(&part, frame->payload) != CL_OK) {
        free(brought);
        return false;
    }
    outcome = assemble(server, &brought->bytes, sender, &part, (uint64_t)now.tv_sec * 1000u);
    if (outcome == MAILBOX_DONE) {
        struct mailbox_job *job = &brought->job;
        *job = (struct mailbox_job){ .kind = MAILBOX_JOB_DEPOSIT, .bytes = { brought->bytes.data, brought->bytes.length }, .peer = MAILBOX_HERE,
                                     .done = on_brought, .context = brought };
        brought->question = question;
        memcpy(job->id, part.mailbox, 32);
        cl_sha256_once(job->digest, job->bytes.data, job->bytes.length);
        if (memcmp(job->digest, part.delivery, 32) == 0 && mailbox_server_put(server, job) == CL_OK) return true;
        outcome = MAILBOX_NOT_NOW;
    }
    cl_buffer_deinit(&brought->bytes);
    free(brought);
    return answer(question, outcome, 0);
}
