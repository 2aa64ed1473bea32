/* One turn: jobs are decided, pages of other nodes that are not at hand are asked for, old copies are wiped, and a part of what
   is kept is compared with the ledger. */
#include "public_private.h"

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

static struct public_time time_now(void)
{
    return (struct public_time){ .wall_s = clock_ms(CLOCK_REALTIME) / 1000, .monotonic_ms = clock_ms(CLOCK_MONOTONIC) };
}

void public_jobs_append(struct public_jobs *jobs, struct public_job *job)
{
    job->next = NULL;
    if (jobs->last != NULL) jobs->last->next = job;
    else jobs->first = job;
    jobs->last = job;
}

struct public_job *public_jobs_take(struct public_jobs *jobs)
{
    struct public_job *job = jobs->first;
    if (job == NULL) return NULL;
    jobs->first = job->next;
    if (jobs->first == NULL) jobs->last = NULL;
    return job;
}

void public_finish(struct public_server *server, struct public_job *job, enum public_outcome outcome)
{
    pthread_mutex_lock(&server->lock);
    server->queued--;
    pthread_mutex_unlock(&server->lock);
    job->outcome = outcome;
    job->done(job);
}

enum cl_status public_server_put(struct public_server *server, struct public_job *job)
{
    enum cl_status status = CL_OK;
    pthread_mutex_lock(&server->lock);
    if (server->stopping) status = CL_E_CANCELLED;
    else if (server->queued >= PUBLIC_JOBS_MAX) status = CL_E_BOUND;
    if (status == CL_OK) {
        public_jobs_append(&server->queue, job);
        server->queued++;
        pthread_cond_signal(&server->filled);
    }
    pthread_mutex_unlock(&server->lock);
    return status;
}

/* ---- what the ledger says */
static enum cl_status check_terms(const struct cl_buffer *value, const struct public_facts *facts, uint64_t now_s)
{
    struct cl_terms terms;
    enum cl_status status = cl_terms_decode(&terms, value->data, value->length);
    if (status != CL_OK) return status;
    if (memcmp(terms.commitment, facts->commitment.bytes, 32) != 0) return CL_E_BODY;
    if (memcmp(terms.owner, facts->signer, 33) != 0) return CL_E_PARTY;
    if (terms.open == 0 || terms.successor.present) return CL_E_CLOSED;
    return terms.not_after.present && terms.not_after.seconds <= now_s ? CL_E_EXPIRED : CL_OK;
}

static enum cl_status check_profile(const struct cl_buffer *value, const struct public_facts *facts)
{
    struct cl_profile profile;
    enum cl_status status = cl_profile_decode(&profile, value->data, value->length);
    if (status != CL_OK) return status;
    if (memcmp(profile.commitment, facts->commitment.bytes, 32) != 0) return CL_E_BODY;
    return memcmp(profile.key, facts->signer, 33) == 0 ? CL_OK : CL_E_PARTY;
}

enum cl_status public_facts_check(struct cl_ledger_view *view, const struct public_facts *facts, uint64_t now_s)
{
    struct cl_buffer value = { 0 };
    enum cl_state_kind kind = CL_STATE_NETWORK;
    enum cl_status status = cl_view_state(view, &value, facts->object.bytes);
    if (status == CL_E_NOT_FOUND) status = CL_E_NO_OBJECT;
    if (status == CL_OK) status = cl_state_kind_of(&kind, value.data, value.length);
    if (status == CL_OK && kind == CL_STATE_TERMS) status = check_terms(&value, facts, now_s);
    else if (status == CL_OK && kind == CL_STATE_PROFILE) status = check_profile(&value, facts);
    else if (status == CL_OK) status = CL_E_OBJECT_KIND;
    cl_buffer_deinit(&value);
    return status;
}

static bool is_shown(void *context, const struct public_facts *facts)
{
    struct public_looking *looking = context;
    return public_facts_check(looking->view, facts, looking->now_s) == CL_OK;
}

/* A ledger that is catching up, older than the body, knows nothing of what that stands on. */
static bool is_stale(void *context, const struct public_facts *facts)
{
    struct public_looking *looking = context;
    enum cl_status status = public_facts_check(looking->view, facts, looking->now_s);
    if (status == CL_E_CLOSED || status == CL_E_EXPIRED) return true;
    return (status == CL_E_BODY || status == CL_E_PARTY || status == CL_E_NO_OBJECT || status == CL_E_OBJECT_KIND) && looking->tip_s + PUBLIC_CLOCK_S >= facts->made_s;
}

static enum cl_status look(struct public_looking *looking, struct public_server *server, const struct public_time *now)
{
    struct cl_tip tip;
    *looking = (struct public_looking){ .now_s = now->wall_s };
    enum cl_status status = cl_ledger_view_new(&looking->view, server->ledger);
    if (status != CL_OK) return status;
    status = cl_view_tip(looking->view, &tip);
    if (status == CL_OK) looking->tip_s = tip.time_ms / 1000;
    else cl_ledger_view_free(looking->view);
    return status;
}

/* ---- bodies of this node */
enum cl_status public_signed_check(const struct public_server *server, const struct cl_public_body *body, uint64_t now_s)
{
    uint64_t made_s = body->made_ms / 1000;
    if (made_s > now_s + CL_RECORD_AHEAD_MS_MAX / 1000) return CL_E_TIME_AHEAD;
    if (made_s + server->body_days * 86400 < now_s) return CL_E_TIME_OLD;
    return cl_public_body_check(body, &server->network, body->signer.bytes);
}

static enum public_outcome put(struct public_server *server, struct public_job *job, struct public_looking *looking, const struct public_time *now)
{
    struct cl_public_body body;
    struct public_facts facts;
    job->why = cl_public_body_decode(&body, job->bytes.data, job->bytes.length);
    if (job->why == CL_OK && memcmp(body.body.object.bytes, job->object.bytes, 32) != 0) job->why = CL_E_BODY;
    if (job->why != CL_OK) return PUBLIC_REFUSED;
    public_facts_of(&facts, &body);
    job->why = public_facts_check(looking->view, &facts, looking->now_s);
    if (job->why == CL_OK) job->why = public_signed_check(server, &body, looking->now_s);
    if (job->why != CL_OK) return PUBLIC_REFUSED;
    errno = 0;
    enum public_outcome outcome = public_bodies_put(server->bodies, &body, job->bytes, now);
    if (outcome == PUBLIC_FAILED) log_line(LOG_LEVEL_ERROR, "public_body_not_kept", "reason=\"%s\"", strerror(errno));
    return outcome;
}

static void decide(struct public_server *server, struct public_job *job, struct public_looking *looking, const struct public_time *now)
{
    enum public_outcome outcome = PUBLIC_NOT_HERE;
    if (server->bodies != NULL) {
        switch (job->kind) {
        case PUBLIC_JOB_PUT: outcome = put(server, job, looking, now); break;
        case PUBLIC_JOB_REMOVE: outcome = public_bodies_remove(server->bodies, &job->removed, &job->object); break;
        case PUBLIC_JOB_PAGE:
            public_bodies_page(server->bodies, &job->page, job->has_after ? &job->object : NULL, is_shown, looking);
            if (job->page.more) job->last = job->page.items[job->page.count - 1].object;
            outcome = PUBLIC_DONE;
            break;
        }
    }
    public_finish(server, job, outcome);
}

/* ---- one turn */
static void keep_house(struct public_server *server, struct public_looking *looking, const struct public_time *now)
{
    if (now->monotonic_ms - server->kept_house_ms < 1000) return;
    server->kept_house_ms = now->monotonic_ms;
    public_copies_expire(server, now->monotonic_ms);
    if (server->bodies != NULL) public_bodies_sweep(server->bodies, PUBLIC_SWEPT_PER_S, now, is_stale, looking);
}

static void tell(struct public_server *server)
{
    if (server->bodies != NULL) public_bodies_report(server->bodies, &server->now.kept);
    pthread_mutex_lock(&server->lock);
    server->report = server->now;
    pthread_mutex_unlock(&server->lock);
}

static void turn(struct public_server *server, struct public_jobs *group)
{
    struct public_time now = time_now();
    struct public_looking looking = { 0 };
    enum cl_status status = look(&looking, server, &now);
    public_take_answers(server, status == CL_OK ? &looking : NULL);
    for (struct public_job *job; (job = public_jobs_take(group)) != NULL;) {
        if (status != CL_OK) {
            public_finish(server, job, PUBLIC_FAILED);
        } else if (job->peer != PUBLIC_HERE) {
            job->deadline_ms = now.monotonic_ms + PUBLIC_WAIT_MS;
            public_jobs_append(&server->waiting, job);
        } else {
            decide(server, job, &looking, &now);
        }
    }
    if (status != CL_OK) return; /* the owner's thread stops the node */
    public_serve_waiting(server, &looking, now.monotonic_ms);
    keep_house(server, &looking, &now);
    tell(server);
    cl_ledger_view_free(looking.view);
}

static void *run(void *context)
{
    struct public_server *server = context;
    for (;;) {
        struct public_jobs group = { 0 };
        pthread_mutex_lock(&server->lock);
        if (server->queue.first == NULL && server->answered_count == 0 && !server->stopping) {
            struct timespec until;
            clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_sec++;
            pthread_cond_timedwait(&server->filled, &server->lock, &until);
        }
        for (size_t jobs = 0; server->queue.first != NULL && jobs < PUBLIC_GROUP_JOBS_MAX; jobs++) public_jobs_append(&group, public_jobs_take(&server->queue));
        bool stopping = server->stopping;
        pthread_mutex_unlock(&server->lock);
        if (stopping) {
            for (struct public_job *job; (job = public_jobs_take(&group)) != NULL;) public_finish(server, job, PUBLIC_NOT_NOW);
            return NULL;
        }
        turn(server, &group);
    }
}

/* ---- start and stop */
static enum cl_status open_bodies(struct public_server *server, const struct node_config *config, char *sentence, size_t sentence_size)
{
    char path[1200];
    size_t unreadable = 0;
    const struct public_limits limits = { .bodies_max = config->public_bodies_max, .bytes_max = config->public_bytes_max, .puts_per_s = config->public_puts_per_s,
                                          .body_days = config->public_body_days };
    enum cl_status status = file_path(path, sizeof path, config->data, "public");
    if (status != CL_OK) return status;
    errno = 0;
    status = public_bodies_new(&server->bodies, path, &limits, &unreadable);
    if (status != CL_OK)
        snprintf(sentence, sentence_size, "The public bodies in %.200s cannot be read (%s). Without them the node starts with [public] bodies_max = 0.", path,
                 errno != 0 ? strerror(errno) : cl_status_sentence(status));
    else if (unreadable > 0)
        log_line(LOG_LEVEL_WARNING, "public_bodies_removed", "count=%zu sentence=\"They could not be read; their owners may put them again.\"", unreadable);
    return status;
}

enum cl_status public_server_new(struct public_server **out, const struct node_config *config, struct cl_ledger *ledger, const struct cl_network_id *network, size_t peer_count,
                                 char *sentence, size_t sentence_size)
{
    struct public_server *server = calloc(1, sizeof *server);
    if (server == NULL) return CL_E_MEMORY;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->filled, &monotonic);
    pthread_condattr_destroy(&monotonic);
    server->ledger = ledger;
    server->network = *network;
    server->body_days = config->public_body_days;
    server->copy_ms = config->public_copy_s * 1000;
    server->open = calloc(peer_count, sizeof *server->open);
    enum cl_status status = server->open != NULL ? CL_OK : CL_E_MEMORY;
    if (status == CL_OK && config->public_bodies_max > 0) status = open_bodies(server, config, sentence, sentence_size);
    if (status == CL_OK && pthread_create(&server->thread, NULL, run, server) != 0) status = CL_E_MEMORY;
    server->running = status == CL_OK;
    if (status != CL_OK) {
        public_server_free(server);
        return status;
    }
    *out = server;
    return CL_OK;
}

void public_server_connect(struct public_server *server, struct transport *transport)
{
    atomic_store(&server->transport, transport);
}

void public_server_stop(struct public_server *server)
{
    if (server == NULL) return;
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_cond_signal(&server->filled);
    pthread_mutex_unlock(&server->lock);
    if (server->running) pthread_join(server->thread, NULL);
    server->running = false;
    for (struct public_job *job; (job = public_jobs_take(&server->queue)) != NULL;) public_finish(server, job, PUBLIC_NOT_NOW);
    for (struct public_job *job; (job = public_jobs_take(&server->waiting)) != NULL;) public_finish(server, job, PUBLIC_NOT_NOW);
}

void public_server_free(struct public_server *server)
{
    if (server == NULL) return;
    for (struct public_copy *at = server->copies; at < server->copies + PUBLIC_COPIES_MAX; at++) cl_buffer_wipe(&at->answer);
    public_bodies_free(server->bodies);
    pthread_cond_destroy(&server->filled);
    pthread_mutex_destroy(&server->lock);
    free(server->open);
    free(server);
}

void public_server_report(struct public_server *server, struct public_server_report *out)
{
    pthread_mutex_lock(&server->lock);
    *out = server->report;
    out->waiting_jobs = server->queued;
    pthread_mutex_unlock(&server->lock);
}

