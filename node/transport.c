/* Links to the other members (transport.h), over single connections (link.h). For each peer two connections of our own: one
   for frames, one for questions; and two listeners for theirs.

   Who does what: transport_flush, or whoever learns that a connection has room, takes what waits in the lanes and sends it,
   one batch at a time for each peer; nng's threads judge what came and hand it over; the thread `links` minds the time:
   dials, greets, ends what takes too long. The lock may be held while a link's function is called; it is not while one of the
   configuration's is.

   First on a connection comes a hello, and again where nothing else went for a while. */
#include "transport.h"

#include "consent/record.h"
#include "crypto.h"
#include "link.h"
#include "pipes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TICK_MS 1000u
#define GREETING_MS 15000u          /* for a connection of our own to open, once TCP has it */
#define STEADY_MS 1000u             /* a connection that lasted so long was a good one: the next is dialled soon */
#define BATCH_BYTES (32u * 1024u)   /* frames go together up to here; a vote waits behind so much at most, or one frame */
#define AT_ONCE_BYTES (16u * 1024u) /* so much is sent by whoever flushes; what is more, by the thread */
#define STRANGERS_MAX 16u           /* connections taken in beside two for each member */
static_assert(LINK_WAITING_BYTES_MAX > (TRANSPORT_ASKED_MAX + 1) * LINK_MESSAGE_BYTES_MAX, "answers that a member asked for wait for it, where it reads slowly");

/* One of our own connections. */
struct outward {
    struct link *link;
    bool dialled, open, filling, sending;   /* somebody uses batch; what went last is still on its way */
    uint32_t id;                            /* of the connection; while it is open */
    uint64_t connects, dialled_ms, opened_ms, dial_from_ms, pause_ms, used_ms;
    uint64_t hello_ms, hello_time_ms;       /* when the last hello went, and the time that it says; 0: none on this one */
    struct cl_buffer batch;
};
struct transport_question {
    struct transport *transport;
    struct link *link;
    uint32_t id, number;
    size_t member;
    bool taken;
};
/* One of ours to a member. */
struct asked {
    struct lane_bytes *bytes;               /* NULL: none */
    bool sent;                              /* it went, on the connection that is there */
    uint32_t number;
    uint64_t until_ms;
    transport_answered answered;
    void *context;
};
struct peer {
    struct transport *transport;
    size_t member;
    struct outward push, ask;
    struct lanes lanes;
    struct transport_counters counters;
    uint64_t heard_ms;
    struct transport_question questions[TRANSPORT_MEMBER_QUESTIONS_MAX]; /* of this peer, to us */
    struct asked asked[TRANSPORT_ASKED_MAX];
    uint32_t number;                        /* of the last that was asked */
};
struct inward { struct transport *transport; struct link_listener *listener; struct pipes pipes; uint64_t went_on_ms; };
struct transport {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping, hurry;                   /* hurry: there is something to send */
    struct pipes_config config;
    uint8_t vote_seed[32];
    uint64_t (*wall_ms)(void);
    void *context;
    void (*receive)(void *context, size_t sender, const struct frame *frame);
    void (*question)(void *context, size_t sender, const struct frame *frame, struct transport_question *question);
    struct inward frames, questions;
    struct tls_identity *listening, *dialling[CL_MEMBERS_MAX];
    struct transport_strays strays;
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

/* Times are taken by several threads: one that is noted may be a little later than now. */
static uint64_t elapsed_ms(uint64_t since_ms, uint64_t now_ms)
{
    return now_ms > since_ms ? now_ms - since_ms : 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- messages */

static enum cl_status append_message(struct cl_buffer *out, uint32_t number, const uint8_t *data, size_t length)
{
    uint8_t head[LINK_HEAD_BYTES];
    link_put_head(head, length, number);
    enum cl_status status = cl_buffer_append(out, head, sizeof head);
    return status == CL_OK ? cl_buffer_append(out, data, length) : status;
}

/* Each hello on connections of one kind to a member is later than the one before, whatever the clock did: an older one is
   a replay. */
static uint64_t next_hello_time(const struct transport *transport, struct outward *outward)
{
    uint64_t now_ms = transport->wall_ms();
    outward->hello_time_ms = now_ms > outward->hello_time_ms ? now_ms : outward->hello_time_ms + 1;
    return outward->hello_time_ms;
}

static enum cl_status append_hello(struct cl_buffer *out, const struct transport *transport, size_t member, struct outward *outward)
{
    struct frame_hello hello = { .network = transport->config.network, .time_ms = next_hello_time(transport, outward) };
    struct cl_buffer payload = { 0 }, frame = { 0 };
    memcpy(hello.sender, transport->config.members[transport->config.own].name, sizeof hello.sender);
    memcpy(hello.receiver, transport->config.members[member].name, sizeof hello.receiver);
    enum cl_status status = frame_hello_sign(&hello, transport->vote_seed);
    if (status == CL_OK) status = frame_hello_encode(&payload, &hello);
    if (status == CL_OK) status = frame_encode(&frame, &transport->config.network, FRAME_HELLO, payload.data, payload.length);
    if (status == CL_OK) status = append_message(out, 0, frame.data, frame.length);
    cl_buffer_deinit(&payload);
    cl_buffer_deinit(&frame);
    outward->hello_ms = steady_ms();
    return status;
}

static bool hello_due(const struct outward *outward, uint64_t now_ms)
{
    return outward->hello_ms == 0 || elapsed_ms(outward->hello_ms, now_ms) >= TRANSPORT_HELLO_MS || elapsed_ms(outward->used_ms, now_ms) >= TRANSPORT_QUIET_MS;
}

/* ---- frames to one peer */

/* Fills the batch. Lock held. False: there is nothing to send, or not now. */
static bool gather(struct transport *transport, struct peer *peer, uint64_t now_ms)
{
    struct outward *push = &peer->push;
    bool greets = hello_due(push, now_ms);
    if (transport->stopping || !push->open || push->filling || push->sending || (peer->lanes.frames == 0 && !greets)) return false;
    push->batch.length = 0;
    enum cl_status status = greets ? append_hello(&push->batch, transport, peer->member, push) : CL_OK;
    while (status == CL_OK && push->batch.length < BATCH_BYTES && peer->lanes.frames > 0) {
        struct lane_bytes *bytes = lanes_take(&peer->lanes);
        status = append_message(&push->batch, 0, bytes->data, bytes->length);
        if (status == CL_OK) peer->counters.sent_frames++;
        if (status == CL_OK) peer->counters.sent_bytes += bytes->length;
        lane_bytes_release(bytes);
    }
    if (status != CL_OK) { /* no memory: what was to go is lost, as a frame may be, and the hello goes next time */
        push->hello_ms = 0;
        return false;
    }
    push->used_ms = now_ms;
    push->filling = true;
    return true;
}

/* Called without the lock. */
static void pump(struct transport *transport, struct peer *peer)
{
    struct outward *push = &peer->push;
    pthread_mutex_lock(&transport->lock);
    while (gather(transport, peer, steady_ms())) {
        uint32_t id = push->id;
        bool waits;
        push->sending = true; /* on_sent may come before link_send returns */
        pthread_mutex_unlock(&transport->lock);
        enum cl_status status = link_send(push->link, id, push->batch.data, push->batch.length, &waits);
        pthread_mutex_lock(&transport->lock);
        push->filling = false;
        if (status == CL_OK && !waits) push->sending = false; /* else on_sent, or the connection has ended, and says so */
    }
    pthread_mutex_unlock(&transport->lock);
}

void transport_flush(struct transport *transport)
{
    for (size_t member = 0; member < transport->config.member_count; member++) {
        struct peer *peer = &transport->peers[member];
        pthread_mutex_lock(&transport->lock);
        bool some = member != transport->config.own && peer->lanes.frames > 0, much = peer->lanes.bytes > AT_ONCE_BYTES;
        if (some && much) {
            transport->hurry = true;
            pthread_cond_signal(&transport->changed);
        }
        pthread_mutex_unlock(&transport->lock);
        if (some && !much) pump(transport, peer);
    }
}

/* ---- the questions to one peer (lock held) */

static void finish_question(struct peer *peer, struct asked *asked, enum transport_outcome outcome, const struct frame *frame)
{
    struct transport *transport = peer->transport;
    transport_answered answered = asked->answered;
    void *context = asked->context;
    lane_bytes_release(asked->bytes);
    asked->bytes = NULL;
    peer->counters.answered += outcome == TRANSPORT_ANSWERED;
    pthread_mutex_unlock(&transport->lock);
    answered(context, peer->member, outcome, frame);
    pthread_mutex_lock(&transport->lock);
}

static bool waits_to_be_sent(const struct asked *asked)
{
    return asked->bytes != NULL && !asked->sent;
}

/* Asks, or greets so that a question finds the way open. */
static void serve_questions(struct peer *peer, uint64_t now_ms)
{
    struct transport *transport = peer->transport;
    struct outward *ask = &peer->ask;
    bool asks = false, waits;
    for (struct asked *asked = peer->asked; asked < peer->asked + TRANSPORT_ASKED_MAX; asked++)
        if (asked->bytes != NULL && now_ms >= asked->until_ms) finish_question(peer, asked, TRANSPORT_TIMED_OUT, NULL);
    for (size_t i = 0; i < TRANSPORT_ASKED_MAX; i++) asks |= waits_to_be_sent(&peer->asked[i]);
    if (transport->stopping || !ask->open || (!asks && ask->hello_ms != 0)) return;
    ask->batch.length = 0;
    enum cl_status status = CL_OK;
    if (ask->hello_ms == 0 || elapsed_ms(ask->hello_ms, now_ms) >= TRANSPORT_HELLO_MS) status = append_hello(&ask->batch, transport, peer->member, ask);
    for (struct asked *asked = peer->asked; asked < peer->asked + TRANSPORT_ASKED_MAX && status == CL_OK; asked++) {
        if (!waits_to_be_sent(asked)) continue;
        asked->number = ++peer->number;
        status = append_message(&ask->batch, asked->number, asked->bytes->data, asked->bytes->length);
    }
    if (status == CL_OK) status = link_send(ask->link, ask->id, ask->batch.data, ask->batch.length, &waits);
    for (size_t i = 0; i < TRANSPORT_ASKED_MAX && status == CL_OK; i++) peer->asked[i].sent = peer->asked[i].bytes != NULL;
    if (status != CL_OK) ask->hello_ms = 0; /* again when there is memory; or the connection is gone, which ended says */
}

static void take_answer(struct peer *peer, uint32_t number, const uint8_t *data, size_t length)
{
    struct transport *transport = peer->transport;
    struct frame frame;
    enum cl_status status = frame_decode(&frame, &transport->config.network, data, length);
    bool good = status == CL_OK && frame.kind != FRAME_HELLO;
    pthread_mutex_lock(&transport->lock);
    peer->counters.received_bytes += length;
    peer->counters.unknown_kinds += status == CL_E_UNSUPPORTED;
    peer->counters.malformed += !good && status != CL_E_UNSUPPORTED && status != CL_E_MEMORY;
    if (good) peer->heard_ms = steady_ms();
    struct asked *asked = NULL;
    for (size_t i = 0; i < TRANSPORT_ASKED_MAX; i++)
        if (peer->asked[i].bytes != NULL && peer->asked[i].sent && peer->asked[i].number == number) asked = &peer->asked[i];
    if (asked != NULL) finish_question(peer, asked, good ? TRANSPORT_ANSWERED : TRANSPORT_BROKEN, good ? &frame : NULL); /* else it comes too late */
    pthread_mutex_unlock(&transport->lock);
}

/* ---- our own connections come and go */

static struct outward *outward_of(struct peer *peer, const struct link *link)
{
    return link == peer->push.link ? &peer->push : &peer->ask;
}

static void on_opened(void *context, struct link *link, uint32_t id, size_t member)
{
    struct peer *peer = context;
    struct outward *outward = outward_of(peer, link);
    (void)member;
    pthread_mutex_lock(&peer->transport->lock);
    outward->open = true;
    outward->sending = false;
    outward->id = id;
    outward->connects++;
    outward->opened_ms = steady_ms();
    outward->hello_ms = 0;
    if (outward == &peer->ask) serve_questions(peer, outward->opened_ms);
    pthread_mutex_unlock(&peer->transport->lock);
    if (outward == &peer->push) pump(peer->transport, peer);
}

static void on_ended(void *context, struct link *link, uint32_t id)
{
    struct peer *peer = context;
    struct outward *outward = outward_of(peer, link);
    uint64_t now_ms = steady_ms();
    (void)id;
    pthread_mutex_lock(&peer->transport->lock);
    bool was_good = outward->open && elapsed_ms(outward->opened_ms, now_ms) >= STEADY_MS;
    outward->pause_ms = was_good || outward->pause_ms == 0 ? TRANSPORT_RECONNECT_MS_MIN : earlier(2 * outward->pause_ms, TRANSPORT_RECONNECT_MS_MAX);
    outward->dial_from_ms = now_ms + outward->pause_ms;
    outward->open = outward->dialled = false;
    for (size_t i = 0; outward == &peer->ask && i < TRANSPORT_ASKED_MAX; i++)
        if (peer->asked[i].bytes != NULL && peer->asked[i].sent && !peer->transport->stopping) finish_question(peer, &peer->asked[i], TRANSPORT_BROKEN, NULL);
    pthread_cond_signal(&peer->transport->changed);
    pthread_mutex_unlock(&peer->transport->lock);
}

static void on_sent(void *context, struct link *link, uint32_t id)
{
    struct peer *peer = context;
    (void)id;
    if (link != peer->push.link) return;
    pthread_mutex_lock(&peer->transport->lock);
    peer->push.sending = false;
    pthread_mutex_unlock(&peer->transport->lock);
    pump(peer->transport, peer);
}

static void on_answer(void *context, struct link *link, uint32_t id, uint32_t number, const uint8_t *data, size_t length)
{
    struct peer *peer = context;
    if (link == peer->ask.link) take_answer(peer, number, data, length);
    else link_close(link, id); /* nobody answers frames */
}

/* ---- what comes in */

static bool on_taken(void *context, uint32_t id)
{
    struct inward *inward = context;
    struct transport *transport = inward->transport;
    pthread_mutex_lock(&transport->lock);
    bool taken = id != 0 && pipes_add(&inward->pipes, id, steady_ms());
    uint32_t oldest = taken ? 0 : pipes_oldest_stranger(&inward->pipes);
    transport->strays.refused_pipes += !taken;
    if (oldest != 0) link_listener_close(inward->listener, oldest); /* so that a member that comes again finds room */
    pthread_mutex_unlock(&transport->lock);
    return taken;
}

static void on_certified(void *context, struct link *link, uint32_t id, size_t member)
{
    struct inward *inward = context;
    (void)link;
    pthread_mutex_lock(&inward->transport->lock);
    pipes_certified(&inward->pipes, id, member);
    pthread_mutex_unlock(&inward->transport->lock);
}

static void on_left(void *context, struct link *link, uint32_t id)
{
    struct inward *inward = context;
    (void)link;
    pthread_mutex_lock(&inward->transport->lock);
    (void)pipes_remove(&inward->pipes, id);
    pthread_mutex_unlock(&inward->transport->lock);
}

static void nothing(void *context, struct link *link, uint32_t id)
{
    (void)context, (void)link, (void)id;
}

/* Lock held. What still comes on the pipe is not listened to. */
static void close_pipe(struct inward *inward, uint32_t id)
{
    if (pipes_remove(&inward->pipes, id)) link_listener_close(inward->listener, id);
}

/* Lock held. */
static void count(struct transport *transport, size_t sender, enum pipes_verdict verdict, enum cl_status status, const struct frame_hello *hello, size_t length)
{
    if (sender == PIPES_NOBODY) {
        transport->strays.frames++;
        transport->strays.closed += verdict == PIPES_CLOSE;
        transport->strays.bad_hellos += hello != NULL;
        return;
    }
    struct peer *peer = &transport->peers[sender];
    peer->counters.received_frames += verdict == PIPES_DELIVER;
    peer->counters.received_bytes += length;
    peer->counters.unknown_kinds += status == CL_E_UNSUPPORTED;
    peer->counters.malformed += verdict != PIPES_DELIVER && status != CL_E_UNSUPPORTED && status != CL_E_MEMORY;
    peer->counters.closed += verdict == PIPES_CLOSE;
    if (verdict != PIPES_DELIVER) return;
    peer->heard_ms = steady_ms();
    if (hello == NULL) return;
    peer->counters.clock_known = true;
    peer->counters.clock_ahead_ms = (int64_t)(hello->time_ms - transport->wall_ms());
}

/* A member that has dialled us is there: our own connections to it need not wait any longer. Lock held. */
static void dial_now(struct peer *peer)
{
    peer->push.dial_from_ms = peer->ask.dial_from_ms = 0;
    pthread_cond_signal(&peer->transport->changed);
}

/* Judges what came on a pipe and counts it. True: a good frame, no hello, for the caller to hand over. */
static bool judge(struct inward *inward, uint32_t id, const uint8_t *data, size_t length, struct frame *frame, size_t *sender)
{
    struct transport *transport = inward->transport;
    struct frame_hello hello;
    uint32_t replaced = 0;
    enum cl_status status = frame_decode(frame, &transport->config.network, data, length);
    if (status == CL_OK && frame->kind == FRAME_HELLO) status = frame_hello_decode(&hello, frame->payload);
    bool is_hello = status == CL_OK && frame->kind == FRAME_HELLO;
    pthread_mutex_lock(&transport->lock);
    enum pipes_verdict verdict = is_hello ? pipes_hello(&inward->pipes, id, &hello, transport->wall_ms(), &replaced) : pipes_judge(&inward->pipes, id, status);
    *sender = pipes_member(&inward->pipes, id);
    count(transport, *sender, verdict, status, is_hello ? &hello : NULL, length);
    if (verdict == PIPES_DELIVER && is_hello) dial_now(&transport->peers[*sender]);
    if (verdict == PIPES_CLOSE) close_pipe(inward, id);
    if (replaced != 0) close_pipe(inward, replaced);
    bool open = !transport->stopping;
    pthread_mutex_unlock(&transport->lock);
    return open && verdict == PIPES_DELIVER && !is_hello;
}

static void on_frame(void *context, struct link *link, uint32_t id, uint32_t number, const uint8_t *data, size_t length)
{
    struct inward *inward = context;
    struct frame frame;
    size_t sender;
    (void)link, (void)number;
    if (judge(inward, id, data, length, &frame, &sender)) inward->transport->receive(inward->transport->context, sender, &frame);
}

static struct transport_question *take_question(struct transport *transport, size_t sender, struct link *link, uint32_t id, uint32_t number)
{
    struct peer *peer = &transport->peers[sender];
    struct transport_question *found = NULL;
    pthread_mutex_lock(&transport->lock);
    for (size_t i = 0; i < TRANSPORT_MEMBER_QUESTIONS_MAX && found == NULL; i++)
        if (!peer->questions[i].taken) found = &peer->questions[i];
    if (found != NULL) *found = (struct transport_question){ transport, link, id, number, sender, true };
    peer->counters.questions += found != NULL;
    peer->counters.questions_dropped += found == NULL;
    pthread_mutex_unlock(&transport->lock);
    return found;
}

static void on_question(void *context, struct link *link, uint32_t id, uint32_t number, const uint8_t *data, size_t length)
{
    struct inward *inward = context;
    struct transport *transport = inward->transport;
    struct frame frame;
    size_t sender;
    if (!judge(inward, id, data, length, &frame, &sender)) return;
    struct transport_question *question = take_question(transport, sender, link, id, number);
    if (question != NULL) transport->question(transport->context, sender, &frame, question);
}

void transport_decline(struct transport_question *question)
{
    pthread_mutex_t *lock = &question->transport->lock;
    pthread_mutex_lock(lock);
    assert(question->taken);
    question->taken = false;
    pthread_mutex_unlock(lock);
}

enum cl_status transport_answer(struct transport_question *question, enum frame_kind kind, const uint8_t *payload, size_t length)
{
    struct cl_buffer frame = { 0 }, message = { 0 };
    bool waits;
    assert(question->taken);
    enum cl_status status = frame_encode(&frame, &question->transport->config.network, kind, payload, length);
    if (status == CL_OK) status = append_message(&message, question->number, frame.data, frame.length);
    if (status == CL_OK) status = link_send(question->link, question->id, message.data, message.length, &waits);
    if (status == CL_E_NOT_FOUND || status == CL_E_SIGNATURE) status = CL_OK; /* whoever asked is gone */
    cl_buffer_deinit(&frame);
    cl_buffer_deinit(&message);
    if (status == CL_OK) transport_decline(question);
    return status;
}

/* ---- the links thread (lock held) */

static void mind_connection(struct outward *outward, uint64_t heard_ms, uint64_t now_ms)
{
    if (!outward->dialled) {
        if (now_ms < outward->dial_from_ms) return;
        outward->dialled = true;
        outward->dialled_ms = now_ms;
        outward->id = link_dial(outward->link);
        return;
    }
    /* TCP notices a peer that vanished only after minutes. Members dial each other, so silence is a sign. */
    uint64_t since_ms = heard_ms > outward->opened_ms ? heard_ms : outward->opened_ms;
    bool silent = outward->open && elapsed_ms(since_ms, now_ms) > TRANSPORT_SILENCE_MS;
    bool slow = !outward->open && elapsed_ms(outward->dialled_ms, now_ms) > LINK_CONNECT_MS + GREETING_MS;
    if (silent || slow) link_close(outward->link, outward->id);
}

static void mind_pipes(struct inward *inward, uint64_t now_ms)
{
    uint32_t id;
    if (inward->went_on_ms == 0 || elapsed_ms(inward->went_on_ms, now_ms) >= TICK_MS) {
        inward->went_on_ms = now_ms;
        link_listener_go_on(inward->listener);
    }
    while ((id = pipes_overdue(&inward->pipes, now_ms)) != 0) {
        inward->transport->strays.closed++;
        close_pipe(inward, id);
    }
}

/* When this peer has to be looked at again. */
static uint64_t mind_peer(struct peer *peer, uint64_t now_ms)
{
    mind_connection(&peer->push, peer->heard_ms, now_ms);
    mind_connection(&peer->ask, peer->heard_ms, now_ms);
    serve_questions(peer, now_ms);
    pthread_mutex_unlock(&peer->transport->lock);
    pump(peer->transport, peer);
    pthread_mutex_lock(&peer->transport->lock);
    uint64_t next_ms = now_ms + TICK_MS;
    if (!peer->push.dialled) next_ms = earlier(next_ms, peer->push.dial_from_ms);
    if (!peer->ask.dialled) next_ms = earlier(next_ms, peer->ask.dial_from_ms);
    for (size_t i = 0; i < TRANSPORT_ASKED_MAX; i++)
        if (peer->asked[i].bytes != NULL) next_ms = earlier(next_ms, peer->asked[i].until_ms);
    return next_ms;
}

static void wait_until(struct transport *transport, uint64_t until_ms)
{
    struct timespec until = { .tv_sec = (time_t)(until_ms / 1000u), .tv_nsec = (long)(until_ms % 1000u) * 1000000 };
    if (!transport->hurry && !transport->stopping) pthread_cond_timedwait(&transport->changed, &transport->lock, &until);
    transport->hurry = false;
}

static void *run_links(void *context)
{
    struct transport *transport = context;
    pthread_mutex_lock(&transport->lock);
    while (!transport->stopping) {
        uint64_t now_ms = steady_ms(), next_ms = now_ms + TICK_MS;
        for (size_t member = 0; member < transport->config.member_count; member++)
            if (member != transport->config.own) next_ms = earlier(next_ms, mind_peer(&transport->peers[member], now_ms));
        mind_pipes(&transport->frames, now_ms);
        mind_pipes(&transport->questions, now_ms);
        wait_until(transport, next_ms);
    }
    pthread_mutex_unlock(&transport->lock);
    return NULL;
}

/* ---- what callers ask for */

static void queue(struct peer *peer, enum lane lane, struct lane_bytes *bytes, enum cl_status *status)
{
    enum cl_status put = lanes_put(&peer->lanes, lane, bytes);
    if (put != CL_OK) *status = put;
}

static enum cl_status framed(struct lane_bytes **out, const struct transport *transport, enum frame_kind kind, const uint8_t *payload, size_t length)
{
    struct cl_buffer frame = { 0 };
    enum cl_status status = frame_encode(&frame, &transport->config.network, kind, payload, length);
    if (status == CL_OK && (*out = lane_bytes_new(frame.data, frame.length)) == NULL) status = CL_E_MEMORY;
    cl_buffer_deinit(&frame);
    return status;
}

enum cl_status transport_send(struct transport *transport, size_t member, enum lane lane, enum frame_kind kind, const uint8_t *payload, size_t length)
{
    struct lane_bytes *bytes = NULL;
    enum cl_status status = framed(&bytes, transport, kind, payload, length);
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
    pthread_mutex_unlock(&transport->lock);
    lane_bytes_release(bytes);
    return status;
}

enum cl_status transport_ask(struct transport *transport, size_t member, enum frame_kind kind, const uint8_t *payload, size_t length,
                             uint32_t limit_ms, transport_answered answered, void *context)
{
    struct lane_bytes *bytes = NULL;
    assert(member < transport->config.member_count && member != transport->config.own && limit_ms <= TRANSPORT_QUESTION_MS_MAX);
    enum cl_status status = framed(&bytes, transport, kind, payload, length);
    if (status != CL_OK) return status;
    struct peer *peer = &transport->peers[member];
    pthread_mutex_lock(&transport->lock);
    struct asked *room = NULL;
    for (size_t i = 0; i < TRANSPORT_ASKED_MAX && room == NULL; i++)
        if (peer->asked[i].bytes == NULL) room = &peer->asked[i];
    if (room == NULL) {
        status = CL_E_BOUND;
    } else {
        *room = (struct asked){ .bytes = bytes, .until_ms = steady_ms() + limit_ms, .answered = answered, .context = context };
        bytes = NULL;
        peer->counters.asked++;
        serve_questions(peer, steady_ms());
        pthread_cond_signal(&transport->changed); /* its time limit is new */
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
    out->connected = peer->push.open;
    out->ask_connected = peer->ask.open;
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

void transport_free(struct transport *transport)
{
    if (transport == NULL) return;
    pthread_mutex_lock(&transport->lock);
    transport->stopping = true;
    pthread_cond_signal(&transport->changed);
    pthread_mutex_unlock(&transport->lock);
    if (transport->links_running) pthread_join(transport->links, NULL);
    link_listener_free(transport->frames.listener);
    link_listener_free(transport->questions.listener);
    for (size_t member = 0; member < transport->config.member_count; member++) {
        struct peer *peer = &transport->peers[member];
        link_dialer_free(peer->push.link);
        link_dialer_free(peer->ask.link);
        pthread_mutex_lock(&transport->lock);
        for (size_t i = 0; i < TRANSPORT_ASKED_MAX; i++)
            if (peer->asked[i].bytes != NULL) finish_question(peer, &peer->asked[i], TRANSPORT_STOPPED, NULL);
        pthread_mutex_unlock(&transport->lock);
        lanes_clear(&peer->lanes);
        cl_buffer_deinit(&peer->push.batch);
        cl_buffer_deinit(&peer->ask.batch);
        tls_identity_free(transport->dialling[member]);
    }
    tls_identity_free(transport->listening);
    cl_wipe(transport->vote_seed, sizeof transport->vote_seed);
    pthread_cond_destroy(&transport->changed);
    pthread_mutex_destroy(&transport->lock);
    free(transport);
}

/* ---- start */

static const struct link_events own_events = { .opened = on_opened, .came = on_answer, .sent = on_sent, .ended = on_ended };
static const struct link_events frame_events = { .taken = on_taken, .opened = on_certified, .came = on_frame, .sent = nothing, .ended = on_left };
static const struct link_events question_events = { .taken = on_taken, .opened = on_certified, .came = on_question, .sent = nothing, .ended = on_left };

static enum cl_status fail(struct transport_error *error, enum cl_status status, const char *what, const char *whose)
{
    snprintf(error->sentence, sizeof error->sentence, "%s %s cannot be used.", what, whose);
    return status;
}

static enum cl_status dial_peer(struct transport *transport, const struct transport_config *config, size_t member, struct transport_error *error)
{
    const struct transport_member *remote = &config->members[member];
    struct peer *peer = &transport->peers[member];
    struct link_error why = { "" };
    size_t bad;
    enum cl_status status = tls_identity_new(&transport->dialling[member], &bad, config->members[config->own].certificate, config->key, &remote->certificate, 1, remote->name);
    if (status != CL_OK) return fail(error, status, bad == 0 ? "The certificate of" : "The own certificate and key of", bad == 0 ? remote->name : config->members[config->own].name);
    status = link_dialer_new(&peer->push.link, &why, remote->address, transport->dialling[member], &own_events, peer);
    if (status == CL_OK) status = link_dialer_new(&peer->ask.link, &why, remote->ask_address, transport->dialling[member], &own_events, peer);
    if (status != CL_OK) snprintf(error->sentence, sizeof error->sentence, "%s (of %s)", why.sentence, remote->name);
    return status;
}

static enum cl_status listen_both(struct transport *transport, const struct transport_config *config, struct transport_error *error)
{
    const char *trusted[CL_MEMBERS_MAX];
    struct link_error why = { "" };
    size_t bad, links_max = 2 * config->member_count + STRANGERS_MAX;
    if (links_max > PIPES_MAX) links_max = PIPES_MAX;
    for (size_t member = 0; member < config->member_count; member++) trusted[member] = member != config->own ? config->members[member].certificate : NULL;
    enum cl_status status = tls_identity_new(&transport->listening, &bad, config->members[config->own].certificate, config->key, trusted, config->member_count, NULL);
    if (status != CL_OK && bad < config->member_count) return fail(error, status, "The certificate of", config->members[bad].name);
    if (status != CL_OK) return fail(error, status, "The own certificate and key of", config->members[config->own].name);
    status = link_listener_new(&transport->frames.listener, &why, config->listen, transport->listening, links_max, &frame_events, &transport->frames);
    if (status == CL_OK) status = link_listener_new(&transport->questions.listener, &why, config->listen_ask, transport->listening, links_max, &question_events, &transport->questions);
    if (status != CL_OK) snprintf(error->sentence, sizeof error->sentence, "%s", why.sentence);
    return status;
}

static enum cl_status copy_config(struct transport *transport, const struct transport_config *config, struct transport_error *error)
{
    struct pipes_config *own = &transport->config;
    own->network = config->network;
    own->member_count = config->member_count;
    own->own = config->own;
    for (size_t member = 0; member < config->member_count; member++) {
        const struct transport_member *from = &config->members[member];
        if (strlen(from->name) > CL_MEMBER_NAME_BYTES_MAX) return fail(error, CL_E_ARGUMENT, "The name", from->name);
        memcpy(own->members[member].name, from->name, strlen(from->name));
        memcpy(own->members[member].vote, from->vote32, 32);
        transport->peers[member].transport = transport;
        transport->peers[member].member = member;
    }
    memcpy(transport->vote_seed, config->vote_seed32, 32);
    transport->wall_ms = config->wall_ms;
    transport->context = config->context;
    transport->receive = config->receive;
    transport->question = config->question;
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
    if (transport == NULL) {
        snprintf(error->sentence, sizeof error->sentence, "There is not enough memory for links.");
        return CL_E_MEMORY;
    }
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
        if (!transport->links_running) {
            snprintf(error->sentence, sizeof error->sentence, "A thread for links cannot be started.");
            status = CL_E_MEMORY;
        }
    }
    if (status == CL_OK) *out = transport;
    else transport_free(transport);
    return status;
}
