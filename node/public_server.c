/* One turn: jobs are decided, pages of other nodes that are not at hand are asked for, old copies are wiped, and a part of what
   is kept is compared with the ledger. */
#include "public_server.h"

#include "files.h"
#include "frame.h"
#include "logging.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    JOBS_MAX = 256, GROUP_JOBS_MAX = 32,
    OPEN_MAX = 2,            /* questions of ours to one peer, so that most of its answers are left for what orders records */
    COPIES_MAX = 64,         /* pages of other nodes, each of PUBLIC_PAGE_BYTES_MAX and a little */
    QUESTIONS_PER_S = 50, QUESTIONS_BURST = 200,
    WAIT_MS = 10000, ANSWER_MS = 5000, SWEPT_PER_S = 1000,
    CLOCK_S = 5              /* by which a block's time may be behind this node's */
};
struct jobs { struct public_job *first, *last; };
/* A page of another node, as it was answered. asking: it is not here yet. */
struct copy { bool used, asking; uint64_t signed_by_owner; /* a bit for each body */ size_t peer; bool has_after; struct cl_object_id after; uint64_t since_ms; struct cl_buffer answer; struct public_server *server; };
static_assert(PUBLIC_PAGE_BODIES_MAX <= 64, "a bit for each body");

struct public_server {
    struct cl_ledger *ledger;
    struct cl_network_id network;
    uint64_t body_days;
    /* the thread's own */
    struct public_bodies *bodies;          /* NULL: none here */
    struct jobs waiting;                   /* for a page of another node */
    size_t peer_count, *open;
    uint64_t copy_ms, kept_house_ms, questions_left_milli, questions_since_ms;
    struct public_server_report now;       /* told once in each turn */
    bool running;
    _Atomic(struct transport *) transport; /* NULL: no links */
    pthread_t thread;
    pthread_mutex_t lock;                  /* all below */
    pthread_cond_t filled;
    struct jobs queue;
    size_t queued;                         /* in the queue or waiting */
    bool stopping;
    struct copy copies[COPIES_MAX];
    struct { struct copy *copy; bool good; } answered[COPIES_MAX];
    size_t answered_count;
    struct public_server_report report;
};

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

static void jobs_append(struct jobs *jobs, struct public_job *job)
{
    job->next = NULL;
    if (jobs->last != NULL) jobs->last->next = job;
    else jobs->first = job;
    jobs->last = job;
}

static struct public_job *jobs_take(struct jobs *jobs)
{
    struct public_job *job = jobs->first;
    if (job == NULL) return NULL;
    jobs->first = job->next;
    if (jobs->first == NULL) jobs->last = NULL;
    return job;
}

static void finish(struct public_server *server, struct public_job *job, enum public_outcome outcome)
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
    else if (server->queued >= JOBS_MAX) status = CL_E_BOUND;
    if (status == CL_OK) {
        jobs_append(&server->queue, job);
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

struct looking { struct cl_ledger_view *view; uint64_t now_s, tip_s; };

static bool is_shown(void *context, const struct public_facts *facts)
{
    struct looking *looking = context;
    return public_facts_check(looking->view, facts, looking->now_s) == CL_OK;
}

/* A ledger that is catching up, older than the body, knows nothing of what that stands on. */
static bool is_stale(void *context, const struct public_facts *facts)
{
    struct looking *looking = context;
    enum cl_status status = public_facts_check(looking->view, facts, looking->now_s);
    if (status == CL_E_CLOSED || status == CL_E_EXPIRED) return true;
    return (status == CL_E_BODY || status == CL_E_PARTY || status == CL_E_NO_OBJECT || status == CL_E_OBJECT_KIND) && looking->tip_s + CLOCK_S >= facts->made_s;
}

static enum cl_status look(struct looking *looking, struct public_server *server, const struct public_time *now)
{
    struct cl_tip tip;
    *looking = (struct looking){ .now_s = now->wall_s };
    enum cl_status status = cl_ledger_view_new(&looking->view, server->ledger);
    if (status != CL_OK) return status;
    status = cl_view_tip(looking->view, &tip);
    if (status == CL_OK) looking->tip_s = tip.time_ms / 1000;
    else cl_ledger_view_free(looking->view);
    return status;
}

/* ---- bodies of this node */
/* Signed by its owner for this network, not long ago and not ahead of time. */
static enum cl_status check_signed(const struct public_server *server, const struct cl_public_body *body, uint64_t now_s)
{
    uint64_t made_s = body->made_ms / 1000;
    if (made_s > now_s + CL_RECORD_AHEAD_MS_MAX / 1000) return CL_E_TIME_AHEAD;
    if (made_s + server->body_days * 86400 < now_s) return CL_E_TIME_OLD;
    return cl_public_body_check(body, &server->network, body->signer.bytes);
}

static enum public_outcome put(struct public_server *server, struct public_job *job, struct looking *looking, const struct public_time *now)
{
    struct cl_public_body body;
    struct public_facts facts;
    job->why = cl_public_body_decode(&body, job->bytes.data, job->bytes.length);
    if (job->why == CL_OK && memcmp(body.body.object.bytes, job->object.bytes, 32) != 0) job->why = CL_E_BODY;
    if (job->why != CL_OK) return PUBLIC_REFUSED;
    public_facts_of(&facts, &body);
    job->why = public_facts_check(looking->view, &facts, looking->now_s);
    if (job->why == CL_OK) job->why = check_signed(server, &body, looking->now_s);
    if (job->why != CL_OK) return PUBLIC_REFUSED;
    errno = 0;
    enum public_outcome outcome = public_bodies_put(server->bodies, &body, job->bytes, now);
    if (outcome == PUBLIC_FAILED) log_line(LOG_LEVEL_ERROR, "public_body_not_kept", "reason=\"%s\"", strerror(errno));
    return outcome;
}

static void decide(struct public_server *server, struct public_job *job, struct looking *looking, const struct public_time *now)
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
    finish(server, job, outcome);
}

/* ---- bodies of other nodes */
static bool is_copy_of(const struct copy *copy, const struct public_job *job)
{
    return copy->used && copy->peer == job->peer && copy->has_after == job->has_after && (!job->has_after || memcmp(copy->after.bytes, job->object.bytes, 32) == 0);
}

static void copy_end(struct public_server *server, struct copy *copy)
{
    server->now.copied_bytes -= copy->answer.length;
    cl_buffer_wipe(&copy->answer);
    *copy = (struct copy){ 0 };
    server->now.copies--;
}

/* Out: of the answer what its owners signed (copy->signed_by_owner) and the ledger bears out. */
static enum public_outcome show(struct public_job *job, const struct copy *copy, struct looking *looking)
{
    struct frame_public_answer answer;
    struct public_page *page = &job->page;
    *page = (struct public_page){ 0 };
    if (frame_public_answer_decode(&answer, (struct cl_view){ copy->answer.data, copy->answer.length }) != CL_OK) return PUBLIC_NOT_NOW;
    for (size_t i = 0; i < answer.count; i++) {
        struct cl_public_body body;
        struct public_facts facts;
        if (cl_public_body_decode(&body, answer.bodies[i].data, answer.bodies[i].length) != CL_OK) return PUBLIC_NOT_NOW;
        public_facts_of(&facts, &body);
        job->last = facts.object;
        if ((copy->signed_by_owner >> i & 1) == 0 || public_facts_check(looking->view, &facts, looking->now_s) != CL_OK) continue;
        if (cl_buffer_append(&page->bytes, answer.bodies[i].data, answer.bodies[i].length) != CL_OK) return PUBLIC_NOT_NOW;
        page->items[page->count].object = facts.object;
        page->items[page->count++].length = (uint32_t)answer.bodies[i].length;
    }
    page->more = answer.more && page->count > 0; /* whoever makes up all of a page would go on without end */
    return PUBLIC_DONE;
}

/* Signatures are looked at once, when the page has come; the ledger each time it is shown. */
static void look_at_signatures(struct public_server *server, struct copy *copy, struct looking *looking)
{
    struct frame_public_answer answer;
    if (frame_public_answer_decode(&answer, (struct cl_view){ copy->answer.data, copy->answer.length }) != CL_OK) return;
    for (size_t i = 0; i < answer.count; i++) {
        struct cl_public_body body;
        struct public_facts facts;
        enum cl_status status = cl_public_body_decode(&body, answer.bodies[i].data, answer.bodies[i].length);
        if (status == CL_OK) public_facts_of(&facts, &body);
        if (status == CL_OK) status = public_facts_check(looking->view, &facts, looking->now_s); /* a signature costs more */
        if (status == CL_OK) status = check_signed(server, &body, looking->now_s);
        if (status == CL_OK) copy->signed_by_owner |= 1ull << i;
        else if (status != CL_E_CLOSED && status != CL_E_EXPIRED) server->now.unfit++;
    }
}

/* A thread of the transport's. The copy is asking, so nobody else touches it. */
static void on_answer(void *context, size_t member, enum transport_outcome outcome, const struct frame *frame)
{
    struct copy *copy = context;
    struct public_server *server = copy->server;
    struct frame_public_answer answer;
    (void)member;
    bool good = outcome == TRANSPORT_ANSWERED && frame->kind == FRAME_PUBLIC_ANSWER && frame_public_answer_decode(&answer, frame->payload) == CL_OK;
    if (good && copy->has_after && answer.count > 0) { /* what lies behind is above it: the decoder has seen to that */
        struct cl_public_body body;
        good = cl_public_body_decode(&body, answer.bodies[0].data, answer.bodies[0].length) == CL_OK && memcmp(body.body.object.bytes, copy->after.bytes, 32) > 0;
    }
    if (good) good = cl_buffer_append(&copy->answer, frame->payload.data, frame->payload.length) == CL_OK;
    pthread_mutex_lock(&server->lock);
    server->answered[server->answered_count].copy = copy;
    server->answered[server->answered_count++].good = good;
    pthread_cond_signal(&server->filled);
    pthread_mutex_unlock(&server->lock);
}

/* A place for one more page: unused, or the oldest's. NULL: all are being asked for. */
static struct copy *copy_place(struct public_server *server)
{
    struct copy *oldest = NULL;
    for (struct copy *at = server->copies; at < server->copies + COPIES_MAX; at++) {
        if (!at->used) return at;
        if (!at->asking && (oldest == NULL || at->since_ms < oldest->since_ms)) oldest = at;
    }
    if (oldest != NULL) copy_end(server, oldest);
    return oldest;
}

static bool take_rate(struct public_server *server, uint64_t monotonic_ms)
{
    uint64_t full = (uint64_t)QUESTIONS_BURST * 1000, passed = server->questions_since_ms == 0 ? full : monotonic_ms - server->questions_since_ms;
    server->questions_left_milli += (passed < full ? passed : full) * QUESTIONS_PER_S;
    if (server->questions_left_milli > full) server->questions_left_milli = full;
    server->questions_since_ms = monotonic_ms > 0 ? monotonic_ms : 1;
    if (server->questions_left_milli < 1000) return false;
    server->questions_left_milli -= 1000;
    return true;
}

/* CL_E_BOUND: later. Others: it comes to nothing. */
static enum cl_status ask(struct public_server *server, const struct public_job *job, uint64_t monotonic_ms)
{
    struct transport *transport = atomic_load(&server->transport);
    struct transport_counters counters = { .ask_connected = false };
    struct frame_public_question question = { .has_after = job->has_after };
    struct cl_buffer payload = { 0 };
    if (transport != NULL) transport_count(transport, job->peer, &counters);
    if (!counters.ask_connected) return CL_E_CANCELLED;
    if (server->open[job->peer] >= OPEN_MAX) return CL_E_BOUND;
    struct copy *copy = copy_place(server);
    if (copy == NULL || !take_rate(server, monotonic_ms)) return CL_E_BOUND;
    memcpy(question.after, job->object.bytes, 32);
    *copy = (struct copy){ .used = true, .asking = true, .peer = job->peer, .has_after = job->has_after, .after = job->object, .since_ms = monotonic_ms, .server = server };
    server->now.copies++;
    server->open[job->peer]++;
    enum cl_status status = frame_public_question_encode(&payload, &question);
    if (status == CL_OK) status = transport_ask(transport, job->peer, FRAME_PUBLIC_QUESTION, payload.data, payload.length, ANSWER_MS, on_answer, copy);
    cl_buffer_deinit(&payload);
    if (status == CL_OK) {
        server->now.asked++;
        return CL_OK;
    }
    server->open[job->peer]--;
    copy_end(server, copy);
    return status;
}

static struct copy *find_copy(struct public_server *server, const struct public_job *job)
{
    for (struct copy *at = server->copies; at < server->copies + COPIES_MAX; at++)
        if (is_copy_of(at, job)) return at;
    return NULL;
}

/* Every page that somebody waits for is shown, asked for, or given up. */
static void serve_waiting(struct public_server *server, struct looking *looking, uint64_t monotonic_ms)
{
    struct jobs waiting = server->waiting;
    server->waiting = (struct jobs){ 0 };
    for (struct public_job *job; (job = jobs_take(&waiting)) != NULL;) {
        struct copy *copy = find_copy(server, job);
        if (copy != NULL && !copy->asking) {
            enum public_outcome outcome = show(job, copy, looking);
            finish(server, job, outcome);
            continue;
        }
        enum cl_status status = monotonic_ms >= job->deadline_ms ? CL_E_CANCELLED : copy != NULL ? CL_OK : ask(server, job, monotonic_ms);
        if (status == CL_OK || status == CL_E_BOUND) jobs_append(&server->waiting, job);
        else finish(server, job, PUBLIC_NOT_NOW);
    }
}

/* An answer that is no good ends the wait of all who asked for that page: the next one who does asks again. */
static void give_up(struct public_server *server, const struct copy *copy)
{
    struct jobs waiting = server->waiting;
    server->waiting = (struct jobs){ 0 };
    for (struct public_job *job; (job = jobs_take(&waiting)) != NULL;) {
        if (is_copy_of(copy, job)) finish(server, job, PUBLIC_NOT_NOW);
        else jobs_append(&server->waiting, job);
    }
}

static void take_answers(struct public_server *server, struct looking *looking)
{
    for (;;) {
        pthread_mutex_lock(&server->lock);
        size_t count = server->answered_count;
        struct copy *copy = count > 0 ? server->answered[count - 1].copy : NULL;
        bool good = count > 0 && server->answered[count - 1].good;
        if (count > 0) server->answered_count--;
        pthread_mutex_unlock(&server->lock);
        if (copy == NULL) return;
        server->now.copied_bytes += copy->answer.length;
        copy->asking = false;
        server->open[copy->peer]--;
        if (good && looking != NULL) look_at_signatures(server, copy, looking);
        if (good) continue;
        give_up(server, copy);
        copy_end(server, copy);
    }
}

/* ---- questions of other nodes */
struct asked { struct public_job job; struct transport_question *question; };

static void on_asked(struct public_job *job)
{
    struct asked *asked = job->context;
    struct frame_public_answer answer = { .count = job->page.count, .more = job->page.more };
    struct cl_buffer payload = { 0 };
    size_t at = 0;
    for (size_t i = 0; i < answer.count; i++) {
        answer.bodies[i] = (struct cl_view){ job->page.bytes.data + at, job->page.items[i].length };
        at += job->page.items[i].length;
    }
    bool had = job->outcome == PUBLIC_DONE || job->outcome == PUBLIC_NOT_HERE; /* none is an answer too */
    enum cl_status status = had ? frame_public_answer_encode(&payload, &answer) : CL_E_CANCELLED;
    if (status == CL_OK) status = transport_answer(asked->question, FRAME_PUBLIC_ANSWER, payload.data, payload.length);
    if (status != CL_OK) transport_decline(asked->question);
    cl_buffer_deinit(&payload);
    cl_buffer_deinit(&job->page.bytes);
    free(asked);
}

bool public_server_question(struct public_server *server, const struct frame *frame, struct transport_question *question)
{
    struct frame_public_question wanted;
    struct asked *asked = calloc(1, sizeof *asked);
    if (asked == NULL || server == NULL || frame_public_question_decode(&wanted, frame->payload) != CL_OK) {
        free(asked);
        return false;
    }
    asked->question = question;
    asked->job = (struct public_job){ .kind = PUBLIC_JOB_PAGE, .has_after = wanted.has_after, .peer = PUBLIC_HERE, .done = on_asked, .context = asked };
    memcpy(asked->job.object.bytes, wanted.after, 32);
    if (public_server_put(server, &asked->job) == CL_OK) return true;
    free(asked);
    return false;
}

/* ---- one turn */
static void keep_house(struct public_server *server, struct looking *looking, const struct public_time *now)
{
    if (now->monotonic_ms - server->kept_house_ms < 1000) return;
    server->kept_house_ms = now->monotonic_ms;
    for (struct copy *at = server->copies; at < server->copies + COPIES_MAX; at++)
        if (at->used && !at->asking && now->monotonic_ms - at->since_ms >= server->copy_ms) copy_end(server, at);
    if (server->bodies != NULL) public_bodies_sweep(server->bodies, SWEPT_PER_S, now, is_stale, looking);
}

static void tell(struct public_server *server)
{
    if (server->bodies != NULL) public_bodies_report(server->bodies, &server->now.kept);
    pthread_mutex_lock(&server->lock);
    server->report = server->now;
    pthread_mutex_unlock(&server->lock);
}

static void turn(struct public_server *server, struct jobs *group)
{
    struct public_time now = time_now();
    struct looking looking = { 0 };
    enum cl_status status = look(&looking, server, &now);
    take_answers(server, status == CL_OK ? &looking : NULL);
    for (struct public_job *job; (job = jobs_take(group)) != NULL;) {
        if (status != CL_OK) {
            finish(server, job, PUBLIC_FAILED);
        } else if (job->peer != PUBLIC_HERE) {
            job->deadline_ms = now.monotonic_ms + WAIT_MS;
            jobs_append(&server->waiting, job);
        } else {
            decide(server, job, &looking, &now);
        }
    }
    if (status != CL_OK) return; /* the owner's thread stops the node */
    serve_waiting(server, &looking, now.monotonic_ms);
    keep_house(server, &looking, &now);
    tell(server);
    cl_ledger_view_free(looking.view);
}

static void *run(void *context)
{
    struct public_server *server = context;
    for (;;) {
        struct jobs group = { 0 };
        pthread_mutex_lock(&server->lock);
        if (server->queue.first == NULL && server->answered_count == 0 && !server->stopping) {
            struct timespec until;
            clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_sec++;
            pthread_cond_timedwait(&server->filled, &server->lock, &until);
        }
        for (size_t jobs = 0; server->queue.first != NULL && jobs < GROUP_JOBS_MAX; jobs++) jobs_append(&group, jobs_take(&server->queue));
        bool stopping = server->stopping;
        pthread_mutex_unlock(&server->lock);
        if (stopping) {
            for (struct public_job *job; (job = jobs_take(&group)) != NULL;) finish(server, job, PUBLIC_NOT_NOW);
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
    server->peer_count = peer_count;
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
    for (struct public_job *job; (job = jobs_take(&server->queue)) != NULL;) finish(server, job, PUBLIC_NOT_NOW);
    for (struct public_job *job; (job = jobs_take(&server->waiting)) != NULL;) finish(server, job, PUBLIC_NOT_NOW);
}

void public_server_free(struct public_server *server)
{
    if (server == NULL) return;
    for (struct copy *at = server->copies; at < server->copies + COPIES_MAX; at++) cl_buffer_wipe(&at->answer);
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
