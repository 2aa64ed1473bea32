/* Links over nng (transport.h). The only file that knows nng.

   Sockets: one REP that takes frames and one that takes questions, and for each peer two REQs with one dialer each. Frames
   are acknowledged by an empty answer: PUSH would do without, but in nng 1.5 it can hand a message to a pipe that was freed,
   when that went just as it had finished sending. All are made at start and closed at the end: nng 1.5 can use freed memory
   when dialers come and go.
   Threads: `links` decides on everything that goes out; nng's own only note that something has ended, or judge what came and
   hand it over. The lock is never held while nng is called, and a callback on a pipe does
   nothing but note it or close it.

   First on a pipe comes a hello. A frame that waited for a pipe would go out first on the next one, so frames are given to
   nng only while a pipe is there, one at a time, and are taken back when it goes. */
#include "transport.h"

#include "consent/record.h"
#include "crypto.h"
#include "pipes.h"

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TICK_MS 1000u
#define ANSWER_SEND_MS 10000
#define GREETING_MS 3000u     /* how long the answer to a hello may take */
#define GREET_AGAIN_MS 1000u  /* after one that failed */
#define QUIET_MS 200          /* at the end: what is on its way on a pipe arrives before that is closed */
#define ACKNOWLEDGED_MS 10000 /* then the next frame goes, acknowledged or not */
#define TAKERS 8u             /* frames that are judged and handed over at a time */
#define CLOSE_MS 5000u        /* how long the end of a transport waits for nng */
#define TRY_AFTER_MS 20000u   /* a peer is gone for so long: nng is tried, and again at such intervals */
#define TRY_MS 15000u         /* nng hangs when a socket of its own does not close in so long */
#define REQUEST_HEADER_BYTES 64u /* nng counts its own header of a question against the limit */
#define URL_BYTES_MAX 320u

/* One dialer and the pipe that it has at the moment. */
struct outward {
    struct transport *transport;
    nng_socket socket;
    nng_aio *aio;
    bool open, connected, greeted;         /* greeted: this pipe has had its hello */
    uint64_t lost_ms;                      /* when the last pipe went */
    nng_pipe pipe;
    bool busy, sending, cancelled;         /* the aio is in use; to send; and is being taken back */
    bool unacknowledged;                   /* something went, and what comes back has not been waited for */
    uint64_t connects, busy_connect;       /* how many pipes there were; the one that the aio was started on */
    int result;                            /* of the aio, when it is no longer busy */
    nng_msg *message;                      /* what it received */
    uint64_t connected_ms, used_ms;
    uint64_t hello_ms, hello_time_ms;      /* when the last hello went, and the time that it says */
    uint64_t greet_from_ms;                /* not before, after a greeting that failed */
};
enum asking { ASK_NOTHING, ASK_WAITING, ASK_HELLO_GOES, ASK_HELLO_COMES, ASK_QUESTION_GOES, ASK_ANSWER_COMES };
struct peer {
    struct outward push, ask;
    struct lanes lanes;
    struct transport_counters counters;
    uint64_t heard_ms;
    unsigned open_questions;
    enum asking asking;
    struct lane_bytes *question;
    uint64_t question_until_ms;
    transport_answered answered;
    void *answered_context;
};
/* Takes frames, one after the other. */
struct taker { struct transport *transport; nng_ctx context; nng_aio *aio; bool open, acknowledging; };
enum { QUESTION_COMES, QUESTION_ASKED, QUESTION_ANSWERED };
struct transport_question {
    struct transport *transport;
    nng_ctx context;
    nng_aio *aio;
    bool open;
    int state;
    size_t member; /* whose it is while it counts against that member, or PIPES_NOBODY */
};
struct inward { struct transport *transport; nng_socket socket; bool open; struct pipes pipes; };
/* nng before 1.6 can lose an operation when a pipe goes away in the middle of a message, and then its one thread that takes
   pipes down waits for it for ever: nothing is dialled anew, no socket closes. So, while a peer is gone, two sockets are
   opened and closed on the side. */
struct attempt { pthread_t thread; bool running, hung; atomic_bool done; uint64_t began_ms; };
struct transport {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
    struct pipes_config config;
    uint8_t vote_seed[32];
    uint64_t (*wall_ms)(void);
    void *context;
    void (*receive)(void *context, size_t sender, const struct frame *frame);
    void (*question)(void *context, size_t sender, const struct frame *frame, struct transport_question *question);
    struct inward frames, questions;
    struct transport_question contexts[TRANSPORT_QUESTIONS_MAX];
    struct taker takers[TAKERS];
    struct transport_strays strays;
    void (*hung)(void *context);
    struct attempt attempt;
    unsigned inside;       /* calls of receive and question that have not returned */
    bool closed, abandoned; /* at the end: nng let go of everything; nobody waits for that any more */
    pthread_t links;
    bool links_running;
    struct peer peers[];
};

static uint64_t steady_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* ---- pipes come and go (nng's threads) */

static void on_outward_pipe(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct outward *outward = context;
    struct transport *transport = outward->transport;
    pthread_mutex_lock(&transport->lock);
    if (event == NNG_PIPE_EV_ADD_POST) {
        outward->connected = true;
        outward->greeted = false;
        outward->pipe = pipe;
        outward->connects++;
        outward->connected_ms = steady_ms();
    } else if (nng_pipe_id(outward->pipe) == nng_pipe_id(pipe)) {
        outward->connected = outward->greeted = false;
        outward->lost_ms = steady_ms();
    }
    pthread_cond_signal(&transport->changed);
    pthread_mutex_unlock(&transport->lock);
}

static void on_inward_pipe(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct inward *inward = context;
    struct transport *transport = inward->transport;
    bool refused = false;
    pthread_mutex_lock(&transport->lock);
    if (event == NNG_PIPE_EV_ADD_PRE) {
        refused = !pipes_add(&inward->pipes, (uint32_t)nng_pipe_id(pipe), steady_ms());
        transport->strays.refused_pipes += refused;
    } else {
        pipes_remove(&inward->pipes, (uint32_t)nng_pipe_id(pipe));
    }
    pthread_mutex_unlock(&transport->lock);
    if (refused) nng_pipe_close(pipe);
}

/* Before and after each call of what the configuration names; false: the end has begun. */
static bool enter(struct transport *transport)
{
    pthread_mutex_lock(&transport->lock);
    bool open = !transport->stopping;
    transport->inside += open;
    pthread_mutex_unlock(&transport->lock);
    return open;
}

static void leave(struct transport *transport)
{
    pthread_mutex_lock(&transport->lock);
    transport->inside--;
    pthread_cond_broadcast(&transport->changed);
    pthread_mutex_unlock(&transport->lock);
}

static int notify_outward(struct outward *outward)
{
    int result = nng_pipe_notify(outward->socket, NNG_PIPE_EV_ADD_POST, on_outward_pipe, outward);
    return result != 0 ? result : nng_pipe_notify(outward->socket, NNG_PIPE_EV_REM_POST, on_outward_pipe, outward);
}

static int notify_inward(struct inward *inward)
{
    int result = nng_pipe_notify(inward->socket, NNG_PIPE_EV_ADD_PRE, on_inward_pipe, inward);
    return result != 0 ? result : nng_pipe_notify(inward->socket, NNG_PIPE_EV_REM_POST, on_inward_pipe, inward);
}

/* ---- messages and hellos */

static nng_msg *message_of(const uint8_t *data, size_t length)
{
    nng_msg *message;
    if (nng_msg_alloc(&message, length) != 0) return NULL;
    memcpy(nng_msg_body(message), data, length);
    return message;
}

static nng_msg *message_framed(const struct transport *transport, enum frame_kind kind, const uint8_t *payload, size_t length, enum cl_status *status)
{
    struct cl_buffer bytes = { 0 };
    nng_msg *message = NULL;
    *status = frame_encode(&bytes, &transport->config.network, kind, payload, length);
    if (*status == CL_OK && (message = message_of(bytes.data, bytes.length)) == NULL) *status = CL_E_MEMORY;
    cl_buffer_deinit(&bytes);
    return message;
}

/* NULL: no memory; the next tick tries again. */
static nng_msg *hello_message(const struct transport *transport, size_t member, uint64_t time_ms)
{
    struct frame_hello hello = { .network = transport->config.network, .time_ms = time_ms };
    struct cl_buffer payload = { 0 };
    nng_msg *message = NULL;
    memcpy(hello.sender, transport->config.members[transport->config.own].name, sizeof hello.sender);
    memcpy(hello.receiver, transport->config.members[member].name, sizeof hello.receiver);
    enum cl_status status = frame_hello_sign(&hello, transport->vote_seed);
    if (status == CL_OK) status = frame_hello_encode(&payload, &hello);
    if (status == CL_OK) message = message_framed(transport, FRAME_HELLO, payload.data, payload.length, &status);
    cl_buffer_deinit(&payload);
    return message;
}

/* Each hello on a dialer's pipes is later than the one before, whatever the clock did: an older one is a replay. */
static uint64_t next_hello_time(const struct transport *transport, struct outward *outward)
{
    uint64_t now_ms = transport->wall_ms();
    outward->hello_time_ms = now_ms > outward->hello_time_ms ? now_ms : outward->hello_time_ms + 1;
    return outward->hello_time_ms;
}

/* ---- the one operation at a time of a dialer's socket. Called and left with the lock held. */

static void on_outward_done(void *context)
{
    struct outward *outward = context;
    struct transport *transport = outward->transport;
    int result = nng_aio_result(outward->aio);
    nng_msg *message = nng_aio_get_msg(outward->aio);
    nng_aio_set_msg(outward->aio, NULL);
    if (outward->sending && result == 0) message = NULL; /* it is nng's */
    if (result != 0 && message != NULL) {
        nng_msg_free(message);
        message = NULL;
    }
    pthread_mutex_lock(&transport->lock);
    outward->busy = outward->cancelled = false;
    outward->result = result;
    outward->message = message;
    pthread_cond_signal(&transport->changed);
    pthread_mutex_unlock(&transport->lock);
}

static void begin(struct outward *outward, nng_msg *message_or_null, nng_duration limit_ms)
{
    struct transport *transport = outward->transport;
    assert(!outward->busy);
    outward->busy = true;
    outward->sending = outward->unacknowledged = message_or_null != NULL;
    outward->busy_connect = outward->connects;
    outward->used_ms = steady_ms();
    pthread_mutex_unlock(&transport->lock);
    nng_aio_set_timeout(outward->aio, limit_ms);
    if (message_or_null != NULL) {
        nng_aio_set_msg(outward->aio, message_or_null);
        nng_send_aio(outward->socket, outward->aio);
    } else {
        nng_recv_aio(outward->socket, outward->aio);
    }
    pthread_mutex_lock(&transport->lock);
}

/* Takes back what was begun on a pipe that is no more. */
static void take_back(struct outward *outward)
{
    struct transport *transport = outward->transport;
    outward->cancelled = true;
    pthread_mutex_unlock(&transport->lock);
    nng_aio_cancel(outward->aio);
    pthread_mutex_lock(&transport->lock);
}

static bool on_lost_pipe(const struct outward *outward)
{
    return outward->busy && !outward->cancelled && (!outward->connected || outward->connects != outward->busy_connect);
}

static void close_outward(struct outward *outward)
{
    struct transport *transport = outward->transport;
    nng_pipe pipe = outward->pipe;
    outward->connected = outward->greeted = false;
    pthread_mutex_unlock(&transport->lock);
    nng_pipe_close(pipe);
    pthread_mutex_lock(&transport->lock);
}

/* True where a hello is due and went, or could not. */
static bool greet(struct outward *outward, size_t member, uint64_t now_ms)
{
    struct transport *transport = outward->transport;
    bool quiet = now_ms - outward->used_ms >= TRANSPORT_QUIET_MS;
    if (outward->greeted && !quiet && now_ms - outward->hello_ms < TRANSPORT_HELLO_MS) return false;
    nng_msg *message = hello_message(transport, member, next_hello_time(transport, outward));
    if (message == NULL) return true;
    outward->greeted = true;
    outward->hello_ms = now_ms;
    begin(outward, message, NNG_DURATION_INFINITE);
    return true;
}

/* ---- frames to one peer (links thread, lock held) */

/* A frame went, on the pipe that is still there. */
static bool to_be_acknowledged(const struct outward *push)
{
    return !push->busy && push->unacknowledged && push->result == 0 && push->connected && push->connects == push->busy_connect;
}

static void serve_push(struct transport *transport, size_t member, uint64_t now_ms)
{
    struct peer *peer = &transport->peers[member];
    struct outward *push = &peer->push;
    if (on_lost_pipe(push)) take_back(push);
    if (push->connected) {
        /* TCP notices a peer that vanished only after minutes. Members dial each other, so silence is a sign. */
        uint64_t since_ms = peer->heard_ms > push->connected_ms ? peer->heard_ms : push->connected_ms;
        if (now_ms > since_ms && now_ms - since_ms > TRANSPORT_SILENCE_MS) close_outward(push);
    }
    if (push->busy || transport->stopping) return;
    if (push->message != NULL) nng_msg_free(push->message); /* an acknowledgement */
    push->message = NULL;
    if (to_be_acknowledged(push)) {
        begin(push, NULL, ACKNOWLEDGED_MS);
        return;
    }
    if (!push->connected || greet(push, member, now_ms)) return;
    struct lane_bytes *bytes = lanes_take(&peer->lanes);
    if (bytes == NULL) return;
    nng_msg *message = message_of(bytes->data, bytes->length);
    if (message != NULL) {
        peer->counters.sent_frames++;
        peer->counters.sent_bytes += bytes->length;
        begin(push, message, NNG_DURATION_INFINITE);
    }
    lane_bytes_release(bytes);
}

/* ---- the question to one peer (links thread, lock held) */

static void finish_question(struct transport *transport, size_t member, enum transport_outcome outcome, const struct frame *frame)
{
    struct peer *peer = &transport->peers[member];
    transport_answered answered = peer->answered;
    void *context = peer->answered_context;
    lane_bytes_release(peer->question);
    peer->question = NULL;
    peer->asking = ASK_NOTHING;
    peer->counters.answered += outcome == TRANSPORT_ANSWERED;
    pthread_mutex_unlock(&transport->lock);
    answered(context, member, outcome, frame);
    pthread_mutex_lock(&transport->lock);
}

/* The answering side proves its vote key too: TLS has shown its certificate only. */
static bool good_greeting(const struct transport *transport, size_t member, const struct frame *frame)
{
    struct frame_hello hello;
    return frame->kind == FRAME_HELLO && frame_hello_decode(&hello, frame->payload) == CL_OK &&
           pipes_hello_sender(&transport->config, &hello, transport->wall_ms()) == member;
}

static void greeting_ended(struct transport *transport, size_t member, const struct frame *frame, uint64_t now_ms)
{
    struct peer *peer = &transport->peers[member];
    peer->asking = peer->question != NULL ? ASK_WAITING : ASK_NOTHING;
    peer->ask.greeted = frame != NULL && good_greeting(transport, member, frame);
    if (!peer->ask.greeted) peer->ask.greet_from_ms = now_ms + GREET_AGAIN_MS;
}

static void answer_ended(struct transport *transport, size_t member, const struct frame *frame)
{
    struct peer *peer = &transport->peers[member];
    enum transport_outcome outcome = peer->ask.result == NNG_ETIMEDOUT ? TRANSPORT_TIMED_OUT : TRANSPORT_BROKEN;
    if (frame != NULL && frame->kind != FRAME_HELLO) outcome = TRANSPORT_ANSWERED;
    /* Without an answer the other side may have lost the hello, say by a restart: it gets another. */
    else peer->ask.greeted = false;
    finish_question(transport, member, outcome, outcome == TRANSPORT_ANSWERED ? frame : NULL);
}

/* An operation of a question, or of the greeting before it, has ended. */
static void question_went_on(struct transport *transport, size_t member, uint64_t now_ms)
{
    struct peer *peer = &transport->peers[member];
    bool greeting = peer->asking == ASK_HELLO_GOES || peer->asking == ASK_HELLO_COMES;
    if (peer->ask.result == 0 && peer->ask.message == NULL) { /* it went; now the answer */
        uint64_t left_ms = peer->question_until_ms > now_ms ? peer->question_until_ms - now_ms : 1;
        peer->asking = greeting ? ASK_HELLO_COMES : ASK_ANSWER_COMES;
        begin(&peer->ask, NULL, (nng_duration)(greeting ? GREETING_MS : left_ms));
        return;
    }
    nng_msg *message = peer->ask.message;
    struct frame frame;
    bool good = false;
    peer->ask.message = NULL;
    if (message != NULL) {
        enum cl_status status = frame_decode(&frame, &transport->config.network, nng_msg_body(message), nng_msg_len(message));
        good = status == CL_OK;
        peer->counters.received_bytes += nng_msg_len(message);
        peer->counters.unknown_kinds += status == CL_E_UNSUPPORTED;
        peer->counters.malformed += !good && status != CL_E_UNSUPPORTED && status != CL_E_MEMORY;
        if (good) peer->heard_ms = now_ms;
    }
    if (greeting) greeting_ended(transport, member, good ? &frame : NULL, now_ms);
    else answer_ended(transport, member, good ? &frame : NULL);
    if (message != NULL) nng_msg_free(message);
}

static bool exchanging(const struct peer *peer)
{
    return peer->asking != ASK_NOTHING && peer->asking != ASK_WAITING;
}

static void serve_question(struct transport *transport, size_t member, uint64_t now_ms)
{
    struct peer *peer = &transport->peers[member];
    struct outward *ask = &peer->ask;
    if (on_lost_pipe(ask)) take_back(ask);
    if (ask->busy) return;
    if (exchanging(peer)) question_went_on(transport, member, now_ms);
    if (exchanging(peer)) return; /* even if what was begun has ended by now: that comes next */
    if (peer->asking == ASK_WAITING && now_ms >= peer->question_until_ms) finish_question(transport, member, TRANSPORT_TIMED_OUT, NULL);
    if (!ask->connected || transport->stopping) return;
    if (!ask->greeted || (peer->asking == ASK_WAITING && now_ms - ask->hello_ms >= TRANSPORT_HELLO_MS)) {
        if (now_ms < ask->greet_from_ms) return;
        nng_msg *hello = hello_message(transport, member, next_hello_time(transport, ask));
        if (hello == NULL) return;
        peer->asking = ASK_HELLO_GOES;
        ask->hello_ms = now_ms;
        begin(ask, hello, GREETING_MS);
    } else if (peer->asking == ASK_WAITING) {
        nng_msg *message = message_of(peer->question->data, peer->question->length);
        if (message == NULL) return;
        peer->asking = ASK_QUESTION_GOES;
        begin(ask, message, (nng_duration)(peer->question_until_ms - now_ms));
    }
}

/* ---- the links thread */

static void close_overdue(struct inward *inward, uint64_t now_ms)
{
    struct transport *transport = inward->transport;
    uint32_t id;
    while ((id = pipes_overdue(&inward->pipes, now_ms)) != 0) {
        transport->strays.closed += !pipes_condemned(&inward->pipes, id, now_ms); /* whoever condemned it counted it */
        pipes_remove(&inward->pipes, id); /* so that it is closed once, and what still comes is dropped */
        pthread_mutex_unlock(&transport->lock);
        nng_pipe_close((nng_pipe){ .id = id });
        pthread_mutex_lock(&transport->lock);
    }
}

static void *attempt(void *context)
{
    struct attempt *attempt = context;
    nng_socket ends[2] = { NNG_SOCKET_INITIALIZER, NNG_SOCKET_INITIALIZER };
    char url[64];
    snprintf(url, sizeof url, "inproc://attempt-%p", context);
    bool open = nng_pair0_open(&ends[0]) == 0 && nng_pair0_open(&ends[1]) == 0;
    if (open && nng_listen(ends[0], url, NULL, 0) == 0) (void)nng_dial(ends[1], url, NULL, 0);
    for (int i = 0; i < 2; i++)
        if (nng_socket_id(ends[i]) > 0) nng_close(ends[i]);
    atomic_store(&attempt->done, true);
    return NULL;
}

static bool somebody_gone(const struct transport *transport, uint64_t now_ms)
{
    for (size_t member = 0; member < transport->config.member_count; member++) {
        const struct outward *both[] = { &transport->peers[member].push, &transport->peers[member].ask };
        for (size_t i = 0; i < 2; i++)
            if (!both[i]->connected && both[i]->connects > 0 && now_ms - both[i]->lost_ms > TRY_AFTER_MS) return true;
    }
    return false;
}

static void try_library(struct transport *transport, uint64_t now_ms)
{
    struct attempt *attempting = &transport->attempt;
    if (attempting->hung) return;
    if (!attempting->running) {
        if (now_ms - attempting->began_ms < TRY_AFTER_MS || !somebody_gone(transport, now_ms)) return;
        attempting->began_ms = now_ms;
        atomic_store(&attempting->done, false);
        attempting->running = pthread_create(&attempting->thread, NULL, attempt, attempting) == 0;
    } else if (atomic_load(&attempting->done)) {
        pthread_join(attempting->thread, NULL);
        attempting->running = false;
    } else if (now_ms - attempting->began_ms > TRY_MS) {
        attempting->hung = true;
        pthread_mutex_unlock(&transport->lock);
        transport->hung(transport->context);
        pthread_mutex_lock(&transport->lock);
    }
}

/* Is there something to do for this peer at once? */
static bool ready(const struct peer *peer, uint64_t now_ms)
{
    const struct outward *push = &peer->push, *ask = &peer->ask;
    if (on_lost_pipe(push) || on_lost_pipe(ask)) return true;
    if (to_be_acknowledged(push)) return true;
    if (!push->busy && push->connected && (!push->greeted || peer->lanes.frames > 0)) return true;
    if (ask->busy) return false;
    if (exchanging(peer)) return true;
    if (peer->asking == ASK_WAITING && now_ms >= peer->question_until_ms) return true;
    if (!ask->connected || now_ms < ask->greet_from_ms) return false;
    return !ask->greeted || peer->asking == ASK_WAITING;
}

static void wait_for_work(struct transport *transport)
{
    struct timespec until;
    uint64_t now_ms = steady_ms();
    for (size_t member = 0; member < transport->config.member_count; member++)
        if (member != transport->config.own && ready(&transport->peers[member], now_ms)) return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TICK_MS / 1000u;
    pthread_cond_timedwait(&transport->changed, &transport->lock, &until);
}

static void *run_links(void *context)
{
    struct transport *transport = context;
    pthread_mutex_lock(&transport->lock);
    while (!transport->stopping) {
        for (size_t member = 0; member < transport->config.member_count; member++) {
            if (member == transport->config.own) continue;
            serve_push(transport, member, steady_ms());
            serve_question(transport, member, steady_ms());
        }
        close_overdue(&transport->frames, steady_ms());
        close_overdue(&transport->questions, steady_ms());
        try_library(transport, steady_ms());
        if (!transport->stopping) wait_for_work(transport);
    }
    pthread_mutex_unlock(&transport->lock);
    return NULL;
}

/* ---- what comes in */

/* Judges what came on a pipe and counts it. PIPES_DELIVER of a hello: the pipe is the sender's now. *sender: whose it is. */
static enum pipes_verdict judge(struct inward *inward, nng_pipe pipe, nng_msg *message, struct frame *frame, size_t *sender)
{
    struct transport *transport = inward->transport;
    uint32_t id = (uint32_t)nng_pipe_id(pipe), replaced = 0;
    enum pipes_verdict verdict;
    struct frame_hello hello;
    *sender = PIPES_NOBODY;
    pthread_mutex_lock(&transport->lock);
    bool unread = pipes_condemned(&inward->pipes, id, steady_ms());
    pthread_mutex_unlock(&transport->lock);
    if (unread) return PIPES_DROP;
    enum cl_status status = frame_decode(frame, &transport->config.network, nng_msg_body(message), nng_msg_len(message));
    if (status == CL_OK && frame->kind == FRAME_HELLO) status = frame_hello_decode(&hello, frame->payload);
    bool is_hello = status == CL_OK && frame->kind == FRAME_HELLO;
    pthread_mutex_lock(&transport->lock);
    size_t before = pipes_member(&inward->pipes, id);
    verdict = is_hello ? pipes_hello(&inward->pipes, id, &hello, transport->wall_ms(), &replaced) : pipes_judge(&inward->pipes, id, status);
    *sender = pipes_member(&inward->pipes, id);
    if (*sender != PIPES_NOBODY) {
        struct peer *peer = &transport->peers[*sender];
        peer->counters.received_frames += verdict == PIPES_DELIVER;
        peer->counters.received_bytes += nng_msg_len(message);
        peer->counters.unknown_kinds += status == CL_E_UNSUPPORTED;
        peer->counters.malformed += verdict != PIPES_DELIVER && status != CL_E_UNSUPPORTED && status != CL_E_MEMORY;
        peer->counters.closed += verdict == PIPES_CLOSE;
        if (verdict == PIPES_DELIVER) peer->heard_ms = steady_ms();
        if (verdict == PIPES_DELIVER && is_hello) {
            peer->counters.clock_known = true;
            peer->counters.clock_ahead_ms = (int64_t)(hello.time_ms - transport->wall_ms());
        }
    } else {
        transport->strays.frames++;
        transport->strays.closed += verdict == PIPES_CLOSE;
    }
    transport->strays.bad_hellos += is_hello && verdict != PIPES_DELIVER && before == PIPES_NOBODY;
    if (verdict == PIPES_CLOSE) pipes_condemn(&inward->pipes, id, steady_ms());
    if (replaced != 0) pipes_condemn(&inward->pipes, replaced, steady_ms());
    pthread_mutex_unlock(&transport->lock);
    return verdict;
}

static void take_next(struct taker *taker)
{
    taker->acknowledging = false;
    nng_aio_set_timeout(taker->aio, NNG_DURATION_INFINITE);
    nng_ctx_recv(taker->context, taker->aio);
}

/* Whoever is not listened to any more gets no acknowledgement either. */
static void take_frame(struct taker *taker, nng_msg *message)
{
    struct transport *transport = taker->transport;
    struct frame frame;
    size_t sender;
    enum pipes_verdict verdict = judge(&transport->frames, nng_msg_get_pipe(message), message, &frame, &sender);
    if (verdict == PIPES_DELIVER && frame.kind != FRAME_HELLO && enter(transport)) {
        transport->receive(transport->context, sender, &frame);
        leave(transport);
    }
    if (verdict == PIPES_CLOSE || sender == PIPES_NOBODY) {
        nng_msg_free(message);
        take_next(taker);
        return;
    }
    nng_msg_clear(message);
    taker->acknowledging = true;
    nng_aio_set_timeout(taker->aio, ANSWER_SEND_MS);
    nng_aio_set_msg(taker->aio, message);
    nng_ctx_send(taker->context, taker->aio);
}

static bool stopping(struct transport *transport)
{
    pthread_mutex_lock(&transport->lock);
    bool is = transport->stopping;
    pthread_mutex_unlock(&transport->lock);
    return is;
}

static void on_taker_done(void *context)
{
    struct taker *taker = context;
    int result = nng_aio_result(taker->aio);
    nng_msg *message = nng_aio_get_msg(taker->aio);
    nng_aio_set_msg(taker->aio, NULL);
    if (taker->acknowledging && result == 0) message = NULL; /* it is nng's */
    bool end = result == NNG_ECLOSED || stopping(taker->transport);
    if (!end && !taker->acknowledging && result == 0) {
        take_frame(taker, message);
        return;
    }
    if (message != NULL) nng_msg_free(message);
    if (!end) take_next(taker);
}

/* ---- questions of others (nng's threads) */

static void next_question(struct transport_question *question)
{
    struct transport *transport = question->transport;
    pthread_mutex_lock(&transport->lock);
    if (question->member != PIPES_NOBODY) transport->peers[question->member].open_questions--;
    question->member = PIPES_NOBODY;
    question->state = QUESTION_COMES;
    pthread_mutex_unlock(&transport->lock);
    nng_aio_set_timeout(question->aio, NNG_DURATION_INFINITE);
    nng_ctx_recv(question->context, question->aio);
}

static void send_answer(struct transport_question *question, nng_msg *message)
{
    question->state = QUESTION_ANSWERED;
    nng_aio_set_timeout(question->aio, ANSWER_SEND_MS);
    nng_aio_set_msg(question->aio, message);
    nng_ctx_send(question->context, question->aio);
}

static void take_question(struct transport_question *question, nng_msg *message)
{
    struct transport *transport = question->transport;
    struct frame frame;
    size_t sender;
    enum pipes_verdict verdict = judge(&transport->questions, nng_msg_get_pipe(message), message, &frame, &sender);
    if (verdict == PIPES_DELIVER && frame.kind == FRAME_HELLO) {
        nng_msg *hello = hello_message(transport, sender, transport->wall_ms());
        nng_msg_free(message);
        if (hello != NULL) send_answer(question, hello);
        else next_question(question);
        return;
    }
    if (verdict == PIPES_DELIVER) {
        struct peer *peer = &transport->peers[sender];
        pthread_mutex_lock(&transport->lock);
        if (peer->open_questions < TRANSPORT_MEMBER_QUESTIONS_MAX) {
            peer->open_questions++;
            peer->counters.questions++;
            question->member = sender;
            question->state = QUESTION_ASKED;
        } else {
            peer->counters.questions_dropped++;
            verdict = PIPES_DROP;
        }
        pthread_mutex_unlock(&transport->lock);
    }
    if (verdict != PIPES_DELIVER) {
        next_question(question);
    } else if (enter(transport)) {
        transport->question(transport->context, sender, &frame, question);
        leave(transport);
    } /* else it is the end, and nobody answers */
    nng_msg_free(message);
}

static void on_question_done(void *context)
{
    struct transport_question *question = context;
    int result = nng_aio_result(question->aio);
    nng_msg *message = nng_aio_get_msg(question->aio);
    nng_aio_set_msg(question->aio, NULL);
    if (result == NNG_ECLOSED || stopping(question->transport)) { /* the end */
        if (message != NULL && result == 0 && question->state == QUESTION_ANSWERED) message = NULL;
        if (message != NULL) nng_msg_free(message);
    } else if (question->state == QUESTION_COMES && result == 0) {
        take_question(question, message);
    } else {
        if (result != 0 && message != NULL) nng_msg_free(message);
        next_question(question); /* also where the answer could not be sent */
    }
}

enum cl_status transport_answer(struct transport_question *question, enum frame_kind kind, const uint8_t *payload, size_t length)
{
    enum cl_status status;
    assert(question->state == QUESTION_ASKED);
    nng_msg *message = message_framed(question->transport, kind, payload, length, &status);
    if (message != NULL) send_answer(question, message);
    return status;
}

void transport_decline(struct transport_question *question)
{
    assert(question->state == QUESTION_ASKED);
    next_question(question);
}

/* ---- what callers ask for */

static void queue(struct peer *peer, enum lane lane, struct lane_bytes *bytes, enum cl_status *status)
{
    enum cl_status put = lanes_put(&peer->lanes, lane, bytes);
    if (put != CL_OK) *status = put;
}

enum cl_status transport_send(struct transport *transport, size_t member, enum lane lane, enum frame_kind kind, const uint8_t *payload, size_t length)
{
    struct cl_buffer frame = { 0 };
    struct lane_bytes *bytes = NULL;
    enum cl_status status = frame_encode(&frame, &transport->config.network, kind, payload, length);
    if (status == CL_OK && (bytes = lane_bytes_new(frame.data, frame.length)) == NULL) status = CL_E_MEMORY;
    cl_buffer_deinit(&frame);
    if (status != CL_OK) return status;
    pthread_mutex_lock(&transport->lock);
    if (member == TRANSPORT_ALL) {
        enum cl_status each = CL_OK;
        for (size_t i = 0; i < transport->config.member_count; i++)
            if (i != transport->config.own) queue(&transport->peers[i], lane, bytes, &each);
        if (each == CL_E_MEMORY) status = each;
    } else {
        assert(member < transport->config.member_count && member != transport->config.own);
        queue(&transport->peers[member], lane, bytes, &status);
    }
    pthread_cond_signal(&transport->changed);
    pthread_mutex_unlock(&transport->lock);
    lane_bytes_release(bytes);
    return status;
}

enum cl_status transport_ask(struct transport *transport, size_t member, enum frame_kind kind, const uint8_t *payload, size_t length,
                             uint32_t limit_ms, transport_answered answered, void *context)
{
    struct cl_buffer frame = { 0 };
    struct lane_bytes *bytes = NULL;
    assert(member < transport->config.member_count && member != transport->config.own && limit_ms <= TRANSPORT_QUESTION_MS_MAX);
    enum cl_status status = frame_encode(&frame, &transport->config.network, kind, payload, length);
    if (status == CL_OK && (bytes = lane_bytes_new(frame.data, frame.length)) == NULL) status = CL_E_MEMORY;
    cl_buffer_deinit(&frame);
    if (status != CL_OK) return status;
    struct peer *peer = &transport->peers[member];
    pthread_mutex_lock(&transport->lock);
    if (peer->question != NULL) {
        status = CL_E_EXISTS;
    } else {
        peer->question = bytes;
        bytes = NULL;
        peer->answered = answered;
        peer->answered_context = context;
        peer->question_until_ms = steady_ms() + limit_ms;
        peer->counters.asked++;
        if (peer->asking == ASK_NOTHING) peer->asking = ASK_WAITING; /* else its greeting is on the way */
        pthread_cond_signal(&transport->changed);
    }
    pthread_mutex_unlock(&transport->lock);
    lane_bytes_release(bytes);
    return status;
}

void transport_count(struct transport *transport, size_t member, struct transport_counters *out)
{
    assert(member < transport->config.member_count);
    pthread_mutex_lock(&transport->lock);
    const struct peer *peer = &transport->peers[member];
    *out = peer->counters;
    out->connected = peer->push.connected;
    out->ask_connected = peer->ask.connected;
    out->connects = peer->push.connects;
    out->waiting_frames = peer->lanes.frames;
    out->waiting_bytes = peer->lanes.bytes;
    memcpy(out->dropped, peer->lanes.dropped, sizeof out->dropped);
    out->heard_ms_ago = peer->heard_ms == 0 ? UINT64_MAX : steady_ms() - peer->heard_ms;
    pthread_mutex_unlock(&transport->lock);
}

void transport_count_strays(struct transport *transport, struct transport_strays *out)
{
    pthread_mutex_lock(&transport->lock);
    *out = transport->strays;
    pthread_mutex_unlock(&transport->lock);
}

/* ---- the end */

static void stop_operations(struct transport *transport)
{
    /* All operations end before any socket does: closing a socket over one has been seen to hang in nng. */
    for (size_t member = 0; member < transport->config.member_count; member++) {
        if (transport->peers[member].push.aio != NULL) nng_aio_stop(transport->peers[member].push.aio);
        if (transport->peers[member].ask.aio != NULL) nng_aio_stop(transport->peers[member].ask.aio);
    }
    for (size_t i = 0; i < TRANSPORT_QUESTIONS_MAX; i++)
        if (transport->contexts[i].aio != NULL) nng_aio_stop(transport->contexts[i].aio);
    for (size_t i = 0; i < TAKERS; i++)
        if (transport->takers[i].aio != NULL) nng_aio_stop(transport->takers[i].aio);
}

static void close_peer(struct transport *transport, size_t member)
{
    struct peer *peer = &transport->peers[member];
    if (peer->push.open) nng_close(peer->push.socket);
    if (peer->ask.open) nng_close(peer->ask.socket);
    nng_aio_free(peer->push.aio);
    nng_aio_free(peer->ask.aio);
    if (peer->push.message != NULL) nng_msg_free(peer->push.message);
    if (peer->ask.message != NULL) nng_msg_free(peer->ask.message);
    lanes_clear(&peer->lanes);
}

static void free_memory(struct transport *transport)
{
    pthread_cond_destroy(&transport->changed);
    pthread_mutex_destroy(&transport->lock);
    free(transport);
}

/* All that may hang in nng. Whoever began it may have gone by the time it ends. */
static void *close_all(void *context)
{
    struct transport *transport = context;
    stop_operations(transport);
    for (size_t i = 0; i < TRANSPORT_QUESTIONS_MAX; i++)
        if (transport->contexts[i].open) nng_ctx_close(transport->contexts[i].context);
    for (size_t i = 0; i < TAKERS; i++)
        if (transport->takers[i].open) nng_ctx_close(transport->takers[i].context);
    /* A pipe must not be closed between two parts of a message (pipes.h). Nobody takes messages any more, so each pipe
       takes at most one, and then keeps its peer waiting. */
    nanosleep(&(struct timespec){ 0, QUIET_MS * 1000000 }, NULL);
    if (transport->frames.open) nng_close(transport->frames.socket);
    if (transport->questions.open) nng_close(transport->questions.socket);
    for (size_t member = 0; member < transport->config.member_count; member++) close_peer(transport, member);
    for (size_t i = 0; i < TRANSPORT_QUESTIONS_MAX; i++) nng_aio_free(transport->contexts[i].aio);
    for (size_t i = 0; i < TAKERS; i++) nng_aio_free(transport->takers[i].aio);
    if (transport->attempt.running) pthread_join(transport->attempt.thread, NULL);
    pthread_mutex_lock(&transport->lock);
    transport->closed = true;
    bool abandoned = transport->abandoned;
    pthread_cond_broadcast(&transport->changed);
    pthread_mutex_unlock(&transport->lock);
    if (abandoned) free_memory(transport);
    return NULL;
}

/* Returns: whether nng let go of everything in time. */
static bool wait_until_closed(struct transport *transport)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += CLOSE_MS / 1000u;
    pthread_mutex_lock(&transport->lock);
    while (!transport->closed)
        if (pthread_cond_timedwait(&transport->changed, &transport->lock, &until) != 0) break;
    bool closed = transport->closed;
    transport->abandoned = !closed;
    pthread_mutex_unlock(&transport->lock);
    return closed;
}

void transport_free(struct transport *transport)
{
    pthread_t closer;
    if (transport == NULL) return;
    pthread_mutex_lock(&transport->lock);
    transport->stopping = true;
    pthread_cond_broadcast(&transport->changed);
    pthread_mutex_unlock(&transport->lock);
    if (transport->links_running) pthread_join(transport->links, NULL);
    pthread_mutex_lock(&transport->lock);
    while (transport->inside > 0) pthread_cond_wait(&transport->changed, &transport->lock);
    for (size_t member = 0; member < transport->config.member_count; member++)
        if (transport->peers[member].question != NULL) finish_question(transport, member, TRANSPORT_STOPPED, NULL);
    pthread_mutex_unlock(&transport->lock);
    cl_wipe(transport->vote_seed, sizeof transport->vote_seed);
    if (pthread_create(&closer, NULL, close_all, transport) != 0) {
        (void)close_all(transport);
        free_memory(transport);
    } else if (wait_until_closed(transport)) {
        pthread_join(closer, NULL);
        free_memory(transport);
    } else {
        pthread_detach(closer); /* what nng will not let go of stays; nothing of ours is called from it any more */
    }
}

/* ---- start */

static enum cl_status fail(struct transport_error *error, enum cl_status status, const char *what, const char *whose, int result)
{
    snprintf(error->sentence, sizeof error->sentence, "%s %s: %s.", what, whose, nng_strerror(result));
    return result == NNG_ENOMEM ? CL_E_MEMORY : status;
}

/* own certificate and key, and who is believed: PEM texts. */
static int tls_config(nng_tls_config **out, nng_tls_mode mode, const struct transport_config *config, const char *trusted, const char *server_name)
{
    nng_tls_config *tls;
    int result = nng_tls_config_alloc(&tls, mode);
    if (result != 0) return result;
    result = nng_tls_config_auth_mode(tls, NNG_TLS_AUTH_MODE_REQUIRED);
    if (result == 0) result = nng_tls_config_own_cert(tls, config->members[config->own].certificate, config->key, NULL);
    if (result == 0) result = nng_tls_config_ca_chain(tls, trusted, NULL);
    if (result == 0 && server_name != NULL) result = nng_tls_config_server_name(tls, server_name);
    if (result == 0) *out = tls;
    else nng_tls_config_free(tls);
    return result;
}

static int bounds(nng_socket socket, size_t received_max)
{
    int result = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, received_max);
    if (result == 0) result = nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, TRANSPORT_RECONNECT_MS_MIN);
    if (result == 0) result = nng_socket_set_ms(socket, NNG_OPT_RECONNMAXT, TRANSPORT_RECONNECT_MS_MAX);
    return result;
}

static int dial(struct outward *outward, const char *address, nng_tls_config *tls)
{
    char url[URL_BYTES_MAX];
    nng_dialer dialer;
    if ((size_t)snprintf(url, sizeof url, "tls+tcp://%s", address) >= sizeof url) return NNG_EADDRINVAL;
    int result = nng_dialer_create(&dialer, outward->socket, url);
    if (result == 0) result = nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, tls);
    return result != 0 ? result : nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
}

static enum cl_status dial_peer(struct transport *transport, const struct transport_config *config, size_t member, struct transport_error *error)
{
    const struct transport_member *remote = &config->members[member];
    struct peer *peer = &transport->peers[member];
    nng_tls_config *tls = NULL;
    int result = tls_config(&tls, NNG_TLS_MODE_CLIENT, config, remote->certificate, remote->name);
    if (result != 0) return fail(error, CL_E_ARGUMENT, "the certificate of", remote->name, result);
    peer->push.transport = peer->ask.transport = transport;
    result = nng_req0_open(&peer->push.socket);
    peer->push.open = result == 0;
    if (result == 0) result = nng_req0_open(&peer->ask.socket);
    peer->ask.open = peer->push.open && result == 0;
    if (result == 0) result = nng_aio_alloc(&peer->push.aio, on_outward_done, &peer->push);
    if (result == 0) result = nng_aio_alloc(&peer->ask.aio, on_outward_done, &peer->ask);
    if (result == 0) result = bounds(peer->push.socket, REQUEST_HEADER_BYTES); /* acknowledgements have no more */
    if (result == 0) result = bounds(peer->ask.socket, CL_FRAME_BYTES_MAX + REQUEST_HEADER_BYTES);
    /* Asked again is what the caller decides, not nng. */
    if (result == 0) result = nng_socket_set_ms(peer->ask.socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    if (result == 0) result = nng_socket_set_ms(peer->push.socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    if (result == 0) result = notify_outward(&peer->push);
    if (result == 0) result = notify_outward(&peer->ask);
    if (result == 0) result = dial(&peer->push, remote->address, tls);
    if (result == 0) result = dial(&peer->ask, remote->ask_address, tls);
    nng_tls_config_free(tls);
    return result == 0 ? CL_OK : fail(error, CL_E_IO, "dialling", remote->name, result);
}

static int listen_at(struct inward *inward, const char *address, nng_tls_config *tls, size_t received_max)
{
    char url[URL_BYTES_MAX];
    nng_listener listener;
    if ((size_t)snprintf(url, sizeof url, "tls+tcp://%s", address) >= sizeof url) return NNG_EADDRINVAL;
    int result = bounds(inward->socket, received_max);
    if (result == 0) result = notify_inward(inward);
    if (result == 0) result = nng_listener_create(&listener, inward->socket, url);
    if (result == 0) result = nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, tls);
    return result != 0 ? result : nng_listener_start(listener, 0);
}

/* The certificates of all other members, one after the other. */
static enum cl_status others(struct cl_buffer *out, const struct transport_config *config)
{
    enum cl_status status = CL_OK;
    for (size_t member = 0; member < config->member_count && status == CL_OK; member++) {
        const char *pem = config->members[member].certificate;
        if (member == config->own) continue;
        status = cl_buffer_append(out, pem, strlen(pem));
        if (status == CL_OK) status = cl_buffer_append(out, "\n", 1);
    }
    return status == CL_OK ? cl_buffer_append(out, "", 1) : status;
}

static enum cl_status listen_both(struct transport *transport, const struct transport_config *config, struct transport_error *error)
{
    struct cl_buffer trusted = { 0 };
    nng_tls_config *tls = NULL;
    struct inward *frames = &transport->frames, *questions = &transport->questions;
    const char *where = config->listen;
    if (others(&trusted, config) != CL_OK) {
        cl_buffer_deinit(&trusted);
        return fail(error, CL_E_MEMORY, "listening at", where, NNG_ENOMEM);
    }
    int result = tls_config(&tls, NNG_TLS_MODE_SERVER, config, (const char *)trusted.data, NULL);
    cl_buffer_deinit(&trusted);
    if (result != 0) return fail(error, CL_E_ARGUMENT, "own certificate and key of", config->members[config->own].name, result);
    result = nng_rep0_open(&frames->socket);
    frames->open = result == 0;
    if (result == 0) result = nng_rep0_open(&questions->socket);
    questions->open = frames->open && result == 0;
    if (result == 0) result = listen_at(frames, config->listen, tls, CL_FRAME_BYTES_MAX + REQUEST_HEADER_BYTES);
    if (result == 0) where = config->listen_ask;
    if (result == 0) result = listen_at(questions, config->listen_ask, tls, CL_FRAME_BYTES_MAX + REQUEST_HEADER_BYTES);
    for (size_t i = 0; i < TRANSPORT_QUESTIONS_MAX && result == 0; i++) {
        struct transport_question *question = &transport->contexts[i];
        *question = (struct transport_question){ .transport = transport, .member = PIPES_NOBODY };
        result = nng_ctx_open(&question->context, questions->socket);
        question->open = result == 0;
        if (result == 0) result = nng_aio_alloc(&question->aio, on_question_done, question);
        if (result == 0) next_question(question);
    }
    for (size_t i = 0; i < TAKERS && result == 0; i++) {
        struct taker *taker = &transport->takers[i];
        taker->transport = transport;
        result = nng_ctx_open(&taker->context, frames->socket);
        taker->open = result == 0;
        if (result == 0) result = nng_aio_alloc(&taker->aio, on_taker_done, taker);
        if (result == 0) take_next(taker);
    }
    nng_tls_config_free(tls);
    return result == 0 ? CL_OK : fail(error, CL_E_IO, "listening at", where, result);
}

static enum cl_status copy_config(struct transport *transport, const struct transport_config *config, struct transport_error *error)
{
    struct pipes_config *own = &transport->config;
    own->network = config->network;
    own->member_count = config->member_count;
    own->own = config->own;
    for (size_t member = 0; member < config->member_count; member++) {
        const struct transport_member *from = &config->members[member];
        if (strlen(from->name) > CL_MEMBER_NAME_BYTES_MAX) return fail(error, CL_E_ARGUMENT, "the name of", from->name, NNG_EINVAL);
        memcpy(own->members[member].name, from->name, strlen(from->name));
        memcpy(own->members[member].vote, from->vote32, 32);
    }
    memcpy(transport->vote_seed, config->vote_seed32, 32);
    transport->wall_ms = config->wall_ms;
    transport->context = config->context;
    transport->receive = config->receive;
    transport->question = config->question;
    transport->hung = config->hung;
    transport->frames.transport = transport->questions.transport = transport;
    pipes_init(&transport->frames.pipes, own);
    pipes_init(&transport->questions.pipes, own);
    return CL_OK;
}

enum cl_status transport_new(struct transport **out, struct transport_error *error, const struct transport_config *config)
{
    pthread_condattr_t steady;
    *out = NULL;
    error->sentence[0] = '\0';
    assert(config->member_count >= 2 && config->member_count <= CL_MEMBERS_MAX && config->own < config->member_count);
    struct transport *transport = calloc(1, sizeof *transport + config->member_count * sizeof transport->peers[0]);
    if (transport == NULL) return fail(error, CL_E_MEMORY, "starting", "links", NNG_ENOMEM);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&transport->lock, NULL);
    pthread_cond_init(&transport->changed, &steady);
    pthread_condattr_destroy(&steady);
    enum cl_status status = copy_config(transport, config, error);
    if (status == CL_OK) status = listen_both(transport, config, error);
    for (size_t member = 0; member < config->member_count && status == CL_OK; member++)
        if (member != config->own) status = dial_peer(transport, config, member, error);
    if (status == CL_OK) {
        transport->links_running = pthread_create(&transport->links, NULL, run_links, transport) == 0;
        if (!transport->links_running) status = fail(error, CL_E_MEMORY, "starting", "threads", NNG_ENOMEM);
    }
    if (status == CL_OK) *out = transport;
    else transport_free(transport);
    return status;
}
