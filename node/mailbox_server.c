/* One turn: jobs are decided, one synced write makes what was decided durable, pages are read, and then all are told. */
#include "mailbox_private.h"

#include "files.h"
#include "logging.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static struct mailbox_time time_now(void)
{
    return (struct mailbox_time){ .wall_ms = clock_ms(CLOCK_REALTIME), .monotonic_ms = clock_ms(CLOCK_MONOTONIC) };
}

void mailbox_jobs_append(struct mailbox_jobs *jobs, struct mailbox_job *job)
{
    job->next = NULL;
    if (jobs->last != NULL) jobs->last->next = job;
    else jobs->first = job;
    jobs->last = job;
}

struct mailbox_job *mailbox_jobs_take(struct mailbox_jobs *jobs)
{
    struct mailbox_job *job = jobs->first;
    if (job == NULL) return NULL;
    jobs->first = job->next;
    if (jobs->first == NULL) jobs->last = NULL;
    return job;
}

void mailbox_finish(struct mailbox_job *job, enum mailbox_outcome outcome)
{
    job->outcome = outcome;
    job->done(job);
}

/* ---- jobs in */
enum cl_status mailbox_server_put(struct mailbox_server *server, struct mailbox_job *job)
{
    enum cl_status status = CL_OK;
    bool forward = job->peer != MAILBOX_HERE;
    job->server = server;
    pthread_mutex_lock(&server->lock);
    if (server->stopping) status = CL_E_CANCELLED;
    else if (server->queued_jobs >= QUEUED_JOBS_MAX || server->queued_bytes + job->bytes.length > QUEUED_BYTES_MAX) status = CL_E_BOUND;
    else if (forward && server->forwards >= FORWARDS_MAX) status = CL_E_BOUND;
    if (status == CL_OK) {
        mailbox_jobs_append(&server->queue, job);
        server->queued_jobs++;
        server->queued_bytes += job->bytes.length;
        if (forward) server->forwards++;
        pthread_cond_signal(&server->filled);
    }
    pthread_mutex_unlock(&server->lock);
    return status;
}

/* So many of those that wait as one write and a few reads take. */
static void take_group(struct mailbox_server *server, struct mailbox_jobs *group)
{
    size_t jobs = 0, bytes = 0, fetches = 0;
    while (server->queue.first != NULL && jobs < GROUP_JOBS_MAX && bytes < GROUP_BYTES_MAX && fetches < GROUP_FETCHES_MAX) {
        struct mailbox_job *job = mailbox_jobs_take(&server->queue);
        jobs++;
        bytes += job->bytes.length;
        fetches += job->kind == MAILBOX_JOB_FETCH;
        mailbox_jobs_append(group, job);
    }
    server->queued_jobs -= jobs;
    server->queued_bytes -= bytes;
}

/* ---- one turn */
static void decide(struct mailbox_server *server, struct mailbox_job *job, const struct mailbox_time *now)
{
    struct mailboxes *mailboxes = server->mailboxes;
    job->outcome = MAILBOX_UNKNOWN;
    if (mailboxes == NULL) return;
    switch (job->kind) {
    case MAILBOX_JOB_OPEN: job->outcome = mailbox_open(mailboxes, job->id, now); return;
    case MAILBOX_JOB_CLOSE: job->outcome = mailbox_close(mailboxes, &job->result, job->id, job->nonce, now); return;
    case MAILBOX_JOB_DEPOSIT: job->outcome = mailbox_deposit(mailboxes, &job->result, job->id, job->bytes, job->digest, now); return;
    case MAILBOX_JOB_FETCH: job->outcome = mailbox_enter(mailboxes, job->id, job->nonce, now); return;
    case MAILBOX_JOB_ACKNOWLEDGE: job->outcome = mailbox_acknowledge(mailboxes, &job->result, job->id, job->number, job->nonce, now); return;
    }
}

static void end_wait(struct mailbox_server *server, size_t at)
{
    struct mailbox_job *job = server->waiters[at];
    server->waiters[at] = server->waiters[--server->waiter_count];
    mailbox_finish(job, mailbox_page(server->mailboxes, &job->page, job->id, job->number, job->limit));
}

/* One waits for each mailbox: a newer one takes the place of the one before, which is answered with nothing. */
static void begin_wait(struct mailbox_server *server, struct mailbox_job *job, uint64_t monotonic_ms)
{
    for (size_t i = 0; i < server->waiter_count; i++)
        if (memcmp(server->waiters[i]->id, job->id, 32) == 0) {
            end_wait(server, i);
            break;
        }
    if (server->waiter_count == server->waits_max) {
        mailbox_finish(job, MAILBOX_TOO_FAST);
        return;
    }
    job->deadline_ms = monotonic_ms + job->wait_ms;
    server->waiters[server->waiter_count++] = job;
}

static void tell_waiters(struct mailbox_server *server, const uint8_t id32[32])
{
    for (size_t i = 0; i < server->waiter_count; i++)
        if (memcmp(server->waiters[i]->id, id32, 32) == 0) {
            end_wait(server, i);
            return;
        }
}

static void settle(struct mailbox_server *server, struct mailbox_job *job, enum cl_status written, const struct mailbox_time *now)
{
    uint8_t id[32];
    bool arrived = job->kind == MAILBOX_JOB_DEPOSIT && job->outcome == MAILBOX_DONE;
    memcpy(id, job->id, 32);
    if (written != CL_OK) {
        mailbox_finish(job, MAILBOX_FAILED);
        return;
    }
    if (job->kind != MAILBOX_JOB_FETCH || job->outcome != MAILBOX_DONE) {
        mailbox_finish(job, job->outcome);
        if (arrived) tell_waiters(server, id);
        return;
    }
    enum mailbox_outcome outcome = mailbox_page(server->mailboxes, &job->page, job->id, job->number, job->limit);
    if (outcome == MAILBOX_DONE && job->page.count == 0 && job->wait_ms > 0) begin_wait(server, job, now->monotonic_ms);
    else mailbox_finish(job, outcome);
}

static void tell_failure(struct mailbox_server *server, enum cl_status status)
{
    if (server->told_failure) return;
    server->told_failure = true;
    const char *words = server->store_open ? server->store.last_error(server->store.context) : NULL;
    log_line(LOG_LEVEL_ERROR, "mailboxes_failed", "code=%s sentence=\"Mailboxes take nothing more until the node is started again: %s\" reason=\"%s\"",
             cl_status_code(status), cl_status_sentence(status), words != NULL ? words : "");
}

static enum cl_status commit(struct mailbox_server *server)
{
    enum cl_status status = server->mailboxes != NULL ? mailboxes_commit(server->mailboxes) : CL_OK;
    if (status != CL_OK) tell_failure(server, status);
    return status;
}

static void run_group(struct mailbox_server *server, struct mailbox_jobs *group)
{
    struct mailbox_time now = time_now();
    struct mailbox_jobs here = { 0 };
    for (struct mailbox_job *job; (job = mailbox_jobs_take(group)) != NULL;) {
        if (job->peer != MAILBOX_HERE) {
            job->deadline_ms = now.monotonic_ms + FORWARD_MS;
            mailbox_jobs_append(&server->to_ask, job);
            continue;
        }
        decide(server, job, &now);
        mailbox_jobs_append(&here, job);
    }
    enum cl_status written = here.first != NULL ? commit(server) : CL_OK;
    for (struct mailbox_job *job; (job = mailbox_jobs_take(&here)) != NULL;) settle(server, job, written, &now);
}

/* ---- once a second */
static void expire_waiters(struct mailbox_server *server, uint64_t monotonic_ms)
{
    for (size_t i = server->waiter_count; i > 0; i--)
        if (server->waiters[i - 1]->deadline_ms <= monotonic_ms) end_wait(server, i - 1);
}

/* Deleted bytes leave the files when there are many, or when the first of them has been there for long. */
static void consider_compaction(struct mailbox_server *server, uint64_t monotonic_ms)
{
    uint64_t deleted = mailboxes_deleted_bytes(server->mailboxes);
    struct mailbox_report report;
    mailboxes_report(server->mailboxes, &report);
    if (deleted > 0 && server->deleted_since_ms == 0) server->deleted_since_ms = monotonic_ms;
    bool many = deleted > COMPACT_BYTES_MIN && deleted > report.bytes / 4;
    bool long_ago = server->deleted_since_ms != 0 && monotonic_ms - server->deleted_since_ms >= server->compact_ms;
    if (!many && !long_ago) return;
    pthread_mutex_lock(&server->lock);
    if (!server->compact) {
        server->compact = true;
        server->deleted_since_ms = 0;
        pthread_cond_signal(&server->compact_wanted);
    }
    pthread_mutex_unlock(&server->lock);
}

static void keep_house(struct mailbox_server *server)
{
    struct mailbox_time now = time_now();
    struct mailbox_report report = { 0 };
    if (now.monotonic_ms - server->kept_house_ms < 1000) return;
    server->kept_house_ms = now.monotonic_ms;
    mailbox_assemblies_expire(server, now.monotonic_ms);
    if (server->mailboxes != NULL) {
        expire_waiters(server, now.monotonic_ms);
        if (server->sweep_more || now.monotonic_ms - server->swept_ms >= SWEEP_MS) {
            server->sweep_more = mailboxes_sweep(server->mailboxes, &now);
            server->swept_ms = now.monotonic_ms;
            (void)commit(server);
        }
        consider_compaction(server, now.monotonic_ms);
        mailboxes_report(server->mailboxes, &report);
    }
    pthread_mutex_lock(&server->lock);
    server->report.kept = report;
    server->report.waiting_fetches = server->waiter_count;
    pthread_mutex_unlock(&server->lock);
}

static void *run(void *context)
{
    struct mailbox_server *server = context;
    for (;;) {
        struct mailbox_jobs group = { 0 }, answered;
        pthread_mutex_lock(&server->lock);
        if (server->queue.first == NULL && server->answered.first == NULL && !server->stopping) {
            struct timespec until;
            clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_sec++;
            pthread_cond_timedwait(&server->filled, &server->lock, &until);
        }
        bool stopping = server->stopping;
        if (!stopping) take_group(server, &group);
        answered = server->answered;
        server->answered = (struct mailbox_jobs){ 0 };
        pthread_mutex_unlock(&server->lock);
        mailbox_take_answers(server, &answered);
        if (stopping) return NULL;
        run_group(server, &group);
        mailbox_forward(server, clock_ms(CLOCK_MONOTONIC));
        keep_house(server);
    }
}

static void *compact(void *context)
{
    struct mailbox_server *server = context;
    pthread_mutex_lock(&server->lock);
    while (!server->stopping) {
        if (!server->compact) {
            pthread_cond_wait(&server->compact_wanted, &server->lock);
            continue;
        }
        pthread_mutex_unlock(&server->lock);
        mailboxes_compact(server->mailboxes);
        pthread_mutex_lock(&server->lock);
        server->compact = false;
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* ---- start and stop */
static enum cl_status open_mailboxes(struct mailbox_server *server, const struct node_config *config, char *sentence, size_t sentence_size)
{
    char path[1200];
    struct cl_store_options options;
    const struct mailbox_limits limits = { .mailboxes_max = config->mailboxes_max, .bytes_max = config->mailboxes_bytes_max,
        .deliveries_max = config->mailboxes_deliveries_max, .mailbox_bytes_max = config->mailbox_bytes_max, .mailbox_deliveries_max = config->mailbox_deliveries_max,
        .deposits_per_s = config->mailbox_deposits_per_s, .bytes_per_s = config->mailboxes_bytes_per_s, .opens_per_s = config->mailboxes_opens_per_s,
        .delivery_days = config->mailbox_delivery_days, .unfetched_days = config->mailbox_unfetched_days };
    enum cl_status status = file_path(path, sizeof path, config->data, "mailboxes");
    if (status != CL_OK) return status;
    cl_store_options_default(&options);
    options.create = true;
    options.write_buffer_bytes = STORE_BUFFER_BYTES;
    options.cache_bytes = STORE_CACHE_BYTES;
    options.open_files = STORE_FILES;
    status = cl_store_leveldb_open(&server->store, path, &options, sentence, sentence_size);
    if (status != CL_OK) return status;
    server->store_open = true;
    status = mailboxes_new(&server->mailboxes, &server->store, &limits);
    if (status != CL_OK)
        snprintf(sentence, sentence_size, "The mailboxes in %.200s cannot be read: %s Without them the node starts with [mailbox] mailboxes_max = 0.", path, cl_status_sentence(status));
    return status;
}

enum cl_status mailbox_server_new(struct mailbox_server **out, const struct node_config *config, size_t peer_count, char *sentence, size_t sentence_size)
{
    struct mailbox_server *server = calloc(1, sizeof *server);
    if (server == NULL) return CL_E_MEMORY;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->filled, &monotonic);
    pthread_cond_init(&server->compact_wanted, &monotonic);
    pthread_condattr_destroy(&monotonic);
    server->peer_count = peer_count;
    server->waits_max = (size_t)config->mailbox_waits_max;
    server->compact_ms = config->mailbox_compact_s * 1000;
    server->deleted_since_ms = clock_ms(CLOCK_MONOTONIC); /* what was deleted before the start may be in the files */
    server->waiters = calloc(server->waits_max, sizeof(struct mailbox_job *));
    server->open = calloc(peer_count, sizeof *server->open);
    enum cl_status status = server->waiters != NULL && server->open != NULL ? CL_OK : CL_E_MEMORY;
    if (status == CL_OK && config->mailboxes_max > 0) status = open_mailboxes(server, config, sentence, sentence_size);
    if (status == CL_OK && pthread_create(&server->thread, NULL, run, server) != 0) status = CL_E_MEMORY;
    server->running = status == CL_OK;
    if (server->running && server->mailboxes != NULL) server->compacting = pthread_create(&server->compactor, NULL, compact, server) == 0;
    if (server->running && server->mailboxes != NULL && !server->compacting) status = CL_E_MEMORY;
    if (status != CL_OK) {
        mailbox_server_stop(server);
        mailbox_server_free(server);
        return status;
    }
    *out = server;
    return CL_OK;
}

void mailbox_server_connect(struct mailbox_server *server, struct transport *transport)
{
    atomic_store(&server->transport, transport);
}

static void cancel(struct mailbox_jobs *jobs)
{
    for (struct mailbox_job *job; (job = mailbox_jobs_take(jobs)) != NULL;) mailbox_finish(job, MAILBOX_NOT_NOW);
}

void mailbox_server_stop(struct mailbox_server *server)
{
    if (server == NULL) return;
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_cond_signal(&server->filled);
    pthread_cond_signal(&server->compact_wanted);
    pthread_mutex_unlock(&server->lock);
    if (server->running) pthread_join(server->thread, NULL);
    if (server->compacting) pthread_join(server->compactor, NULL);
    server->running = server->compacting = false;
    pthread_mutex_lock(&server->lock);
    server->stopped = true; /* from now on an answer ends its job itself */
    struct mailbox_jobs answered = server->answered;
    server->answered = (struct mailbox_jobs){ 0 };
    pthread_mutex_unlock(&server->lock);
    mailbox_take_answers(server, &answered);
    cancel(&server->queue);
    cancel(&server->to_ask);
    while (server->waiter_count > 0) mailbox_finish(server->waiters[--server->waiter_count], MAILBOX_NOT_NOW);
}

void mailbox_server_free(struct mailbox_server *server)
{
    if (server == NULL) return;
    mailbox_assemblies_expire(server, UINT64_MAX);
    mailboxes_free(server->mailboxes);
    if (server->store_open) server->store.close(server->store.context);
    pthread_cond_destroy(&server->compact_wanted);
    pthread_cond_destroy(&server->filled);
    pthread_mutex_destroy(&server->lock);
    free(server->open);
    free(server->waiters);
    free(server);
}

void mailbox_server_report(struct mailbox_server *server, struct mailbox_server_report *out)
{
    pthread_mutex_lock(&server->lock);
    *out = server->report;
    out->waiting_jobs = server->queued_jobs;
    pthread_mutex_unlock(&server->lock);
    if (server->store_open) out->disk_bytes = server->store.bytes_on_disk(server->store.context);
}
