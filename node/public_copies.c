/* Pages of public bodies that other nodes keep: asked for when somebody waits for one, kept in memory for a while, shown as far as
   their owners' signatures and this node's ledger bear them out; and the pages that other nodes ask for. */
#include "public_private.h"

#include "frame.h"

#include <stdlib.h>

static bool is_copy_of(const struct public_copy *copy, const struct public_job *job)
{
    return copy->used && copy->peer == job->peer && copy->has_after == job->has_after && (!job->has_after || memcmp(copy->after.bytes, job->object.bytes, 32) == 0);
}

static void copy_end(struct public_server *server, struct public_copy *copy)
{
    server->now.copied_bytes -= copy->answer.length;
    cl_buffer_wipe(&copy->answer);
    *copy = (struct public_copy){ 0 };
    server->now.copies--;
}

/* Out: of the answer what its owners signed (copy->signed_by_owner) and the ledger bears out. */
static enum public_outcome show(struct public_job *job, const struct public_copy *copy, struct public_looking *looking)
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
static void look_at_signatures(struct public_server *server, struct public_copy *copy, struct public_looking *looking)
{
    struct frame_public_answer answer;
    if (frame_public_answer_decode(&answer, (struct cl_view){ copy->answer.data, copy->answer.length }) != CL_OK) return;
    for (size_t i = 0; i < answer.count; i++) {
        struct cl_public_body body;
        struct public_facts facts;
        enum cl_status status = cl_public_body_decode(&body, answer.bodies[i].data, answer.bodies[i].length);
        if (status == CL_OK) public_facts_of(&facts, &body);
        if (status == CL_OK) status = public_facts_check(looking->view, &facts, looking->now_s); /* a signature costs more */
        if (status == CL_OK) status = public_signed_check(server, &body, looking->now_s);
        if (status == CL_OK) copy->signed_by_owner |= 1ull << i;
        else if (status != CL_E_CLOSED && status != CL_E_EXPIRED) server->now.unfit++;
    }
}

/* A thread of the transport's. The copy is asking, so nobody else touches it. */
static void on_answer(void *context, size_t member, enum transport_outcome outcome, const struct frame *frame)
{
    struct public_copy *copy = context;
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
static struct public_copy *copy_place(struct public_server *server)
{
    struct public_copy *oldest = NULL;
    for (struct public_copy *at = server->copies; at < server->copies + PUBLIC_COPIES_MAX; at++) {
        if (!at->used) return at;
        if (!at->asking && (oldest == NULL || at->since_ms < oldest->since_ms)) oldest = at;
    }
    if (oldest != NULL) copy_end(server, oldest);
    return oldest;
}

static bool take_rate(struct public_server *server, uint64_t monotonic_ms)
{
    uint64_t full = (uint64_t)PUBLIC_QUESTIONS_BURST * 1000, passed = server->questions_since_ms == 0 ? full : monotonic_ms - server->questions_since_ms;
    server->questions_left_milli += (passed < full ? passed : full) * PUBLIC_QUESTIONS_PER_S;
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
    if (server->open[job->peer] >= PUBLIC_OPEN_MAX) return CL_E_BOUND;
    struct public_copy *copy = copy_place(server);
    if (copy == NULL || !take_rate(server, monotonic_ms)) return CL_E_BOUND;
    memcpy(question.after, job->object.bytes, 32);
    *copy = (struct public_copy){ .used = true, .asking = true, .peer = job->peer, .has_after = job->has_after, .after = job->object, .since_ms = monotonic_ms, .server = server };
    server->now.copies++;
    server->open[job->peer]++;
    enum cl_status status = frame_public_question_encode(&payload, &question);
    if (status == CL_OK) status = transport_ask(transport, job->peer, FRAME_PUBLIC_QUESTION, payload.data, payload.length, PUBLIC_ANSWER_MS, on_answer, copy);
    cl_buffer_deinit(&payload);
    if (status == CL_OK) {
        server->now.asked++;
        return CL_OK;
    }
    server->open[job->peer]--;
    copy_end(server, copy);
    return status;
}

static struct public_copy *find_copy(struct public_server *server, const struct public_job *job)
{
    for (struct public_copy *at = server->copies; at < server->copies + PUBLIC_COPIES_MAX; at++)
        if (is_copy_of(at, job)) return at;
    return NULL;
}

void public_serve_waiting(struct public_server *server, struct public_looking *looking, uint64_t monotonic_ms)
{
    struct public_jobs waiting = server->waiting;
    server->waiting = (struct public_jobs){ 0 };
    for (struct public_job *job; (job = public_jobs_take(&waiting)) != NULL;) {
        struct public_copy *copy = find_copy(server, job);
        if (copy != NULL && !copy->asking) {
            enum public_outcome outcome = show(job, copy, looking);
            public_finish(server, job, outcome);
            continue;
        }
        enum cl_status status = monotonic_ms >= job->deadline_ms ? CL_E_CANCELLED : copy != NULL ? CL_OK : ask(server, job, monotonic_ms);
        if (status == CL_OK || status == CL_E_BOUND) public_jobs_append(&server->waiting, job);
        else public_finish(server, job, PUBLIC_NOT_NOW);
    }
}

/* An answer that is no good ends the wait of all who asked for that page: the next one who does asks again. */
static void give_up(struct public_server *server, const struct public_copy *copy)
{
    struct public_jobs waiting = server->waiting;
    server->waiting = (struct public_jobs){ 0 };
    for (struct public_job *job; (job = public_jobs_take(&waiting)) != NULL;) {
        if (is_copy_of(copy, job)) public_finish(server, job, PUBLIC_NOT_NOW);
        else public_jobs_append(&server->waiting, job);
    }
}

void public_take_answers(struct public_server *server, struct public_looking *looking)
{
    for (;;) {
        pthread_mutex_lock(&server->lock);
        size_t count = server->answered_count;
        struct public_copy *copy = count > 0 ? server->answered[count - 1].copy : NULL;
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

void public_copies_expire(struct public_server *server, uint64_t monotonic_ms)
{
    for (struct public_copy *at = server->copies; at < server->copies + PUBLIC_COPIES_MAX; at++)
        if (at->used && !at->asking && monotonic_ms - at->since_ms >= server->copy_ms) copy_end(server, at);
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

