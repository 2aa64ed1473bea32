/* Connections over nng's TCP streams (link.h). The only file that knows nng.

   A link has one reading and one writing operation at a time. Closing a stream ends both; whichever ends last takes the
   connection down (settle), so nothing of it is in use then. A reading operation counts as under way until what it brought
   has been dealt with, so there is always one that is last. */
#include "link.h"

#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_BYTES (32u * 1024u)
#define PLAIN_BYTES (16u * 1024u) /* as much as one TLS record holds */
#define URL_BYTES_MAX 320u
#define BURST 64u   /* connections that are taken in one after the other; then one at a time, with a pause: */
#define PAUSE_MS 5  /* a stranger's handshake costs some 2 ms before it is known to be one */

struct link {
    const struct link_events *events;
    void *context;
    struct tls_identity *identity;
    nng_stream_dialer *dialer;                /* NULL: connections are taken in */
    nng_aio *dial, *read, *write, *attempt;
    pthread_mutex_t lock;
    uint32_t id;                              /* 0: no connection */
    bool dialling, reading, writing, open, closing;
    nng_stream *stream;
    struct tls_session *session;
    struct cl_buffer going;                   /* encrypted; from gone on still to be written */
    size_t gone;
    /* of the reading operation */
    uint8_t *chunk;
    struct cl_buffer coming;                  /* decrypted, the beginning of a message at most */
};
struct link_listener {
    const struct link_events *events;
    void *context;
    nng_stream_listener *listener;
    nng_aio *accept, *pause;
    pthread_mutex_t lock;
    bool accepting, stopping;                 /* accepting: or pausing before it */
    unsigned burst;                           /* that are left of it; as before whenever link_listener_go_on is called */
    size_t link_count;
    struct link links[];
};

static uint32_t next_id(void)
{
    static atomic_uint_fast32_t last;
    uint32_t id;
    do id = (uint32_t)(atomic_fetch_add(&last, 1) + 1);
    while (id == 0);
    return id;
}

/* ---- one connection's life (link->lock held) */

static void close_stream(struct link *link)
{
    link->closing = true;
    if (link->stream != NULL) nng_stream_close(link->stream);
}

/* Writes as far as the kernel takes it at once. Nearly always that is all, and nng's threads need not hear of it: an
   operation without a callback ends where it began. One that has to wait is taken back. */
static void write_at_once(struct link *link)
{
    while (!link->closing && link->gone < link->going.length) {
        nng_iov part = { .iov_buf = link->going.data + link->gone, .iov_len = link->going.length - link->gone };
        nng_aio_set_iov(link->attempt, 1, &part);
        nng_stream_send(link->stream, link->attempt);
        if (nng_aio_count(link->attempt) == 0) nng_aio_cancel(link->attempt);
        nng_aio_wait(link->attempt);
        if (nng_aio_result(link->attempt) == NNG_ECANCELED) return;
        if (nng_aio_result(link->attempt) != 0) close_stream(link);
        link->gone += nng_aio_count(link->attempt);
    }
}

static void write_on(struct link *link)
{
    nng_iov part = { .iov_buf = link->going.data + link->gone, .iov_len = link->going.length - link->gone };
    link->writing = true;
    nng_aio_set_iov(link->write, 1, &part);
    nng_stream_send(link->stream, link->write);
}

static void flush(struct link *link)
{
    struct cl_buffer *outgoing = tls_session_outgoing(link->session), emptied = link->going;
    if (link->writing || link->closing || outgoing->length == 0) return;
    emptied.length = 0;
    link->going = *outgoing;
    *outgoing = emptied;
    link->gone = 0;
    write_at_once(link);
    if (!link->closing && link->gone < link->going.length) write_on(link);
}

static void read_on(struct link *link)
{
    nng_iov part = { .iov_buf = link->chunk, .iov_len = CHUNK_BYTES };
    link->reading = true;
    nng_aio_set_iov(link->read, 1, &part);
    nng_stream_recv(link->stream, link->read);
}

static void take_down(struct link *link)
{
    if (link->stream != NULL) nng_stream_free(link->stream);
    tls_session_free(link->session);
    cl_buffer_deinit(&link->going);
    cl_buffer_deinit(&link->coming);
    free(link->chunk);
    link->stream = NULL;
    link->session = NULL;
    link->chunk = NULL;
    link->id = 0;
    link->open = link->closing = false;
}

/* Unlocks. The last one out takes the connection down. */
static void settle(struct link *link)
{
    uint32_t ended = 0;
    if (link->closing && !link->dialling && !link->reading && !link->writing) {
        ended = link->id;
        take_down(link);
    }
    pthread_mutex_unlock(&link->lock);
    if (ended != 0) link->events->ended(link->context, link, ended);
}

/* Takes the stream over, whatever happens. */
static void begin(struct link *link, nng_stream *stream)
{
    link->stream = stream;
    link->chunk = malloc(CHUNK_BYTES);
    enum cl_status status = link->chunk != NULL ? tls_session_new(&link->session, link->identity) : CL_E_MEMORY;
    if (status == CL_OK && link->dialer != NULL && tls_session_greet(link->session) != CL_E_NOT_FOUND) status = CL_E_MEMORY;
    if (status != CL_OK || link->closing) {
        close_stream(link);
        return;
    }
    read_on(link);
    flush(link);
}

/* ---- what comes */

static uint32_t number_at(const uint8_t *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

static bool still_open(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    bool is = !link->closing;
    pthread_mutex_unlock(&link->lock);
    return is;
}

/* Hands over the whole messages in link->coming. False: one is too long. */
static bool hand_over(struct link *link, uint32_t id)
{
    struct cl_buffer *coming = &link->coming;
    size_t at = 0;
    bool good = true;
    while (good && coming->length - at >= LINK_HEAD_BYTES) {
        size_t length = number_at(coming->data + at);
        good = length <= LINK_MESSAGE_BYTES_MAX;
        if (!good || coming->length - at - LINK_HEAD_BYTES < length || !still_open(link)) break;
        link->events->came(link->context, link, id, number_at(coming->data + at + 4), coming->data + at + LINK_HEAD_BYTES, length);
        at += LINK_HEAD_BYTES + length;
    }
    if (at > 0) memmove(coming->data, coming->data + at, coming->length - at);
    coming->length -= at;
    return good;
}

/* Decrypts one piece of what came. CL_E_NOT_FOUND: that was all. *opened: the handshake has just been done. */
static enum cl_status decrypt(struct link *link, uint8_t plain[PLAIN_BYTES], bool *opened)
{
    size_t length = 0;
    pthread_mutex_lock(&link->lock);
    bool was_open = link->open;
    enum cl_status status = link->closing ? CL_E_CANCELLED : tls_session_greet(link->session);
    if (status == CL_OK) {
        link->open = true;
        status = tls_session_read(link->session, plain, PLAIN_BYTES, &length);
    }
    *opened = link->open && !was_open;
    flush(link);
    pthread_mutex_unlock(&link->lock);
    return status == CL_OK ? cl_buffer_append(&link->coming, plain, length) : status;
}

static void deal_with(struct link *link, size_t length)
{
    uint8_t plain[PLAIN_BYTES];
    uint32_t id = link->id;
    enum cl_status status = CL_OK;
    tls_session_put(link->session, link->chunk, length);
    while (status == CL_OK) {
        bool opened;
        status = decrypt(link, plain, &opened);
        if (opened) link->events->opened(link->context, link, id, tls_session_peer(link->session));
        if (status == CL_OK && !hand_over(link, id)) status = CL_E_BOUND;
    }
    pthread_mutex_lock(&link->lock);
    if (status != CL_E_NOT_FOUND) close_stream(link);
    link->reading = false;
    if (!link->closing) read_on(link);
    settle(link);
}

static void on_read(void *context)
{
    struct link *link = context;
    int result = nng_aio_result(link->read);
    if (result == 0) {
        deal_with(link, nng_aio_count(link->read));
        return;
    }
    pthread_mutex_lock(&link->lock);
    link->reading = false;
    close_stream(link);
    settle(link);
}

/* ---- what goes */

static void on_written(void *context)
{
    struct link *link = context;
    pthread_mutex_lock(&link->lock);
    link->writing = false;
    if (nng_aio_result(link->write) != 0) close_stream(link);
    else link->gone += nng_aio_count(link->write);
    if (!link->closing && link->gone < link->going.length) write_on(link);
    else flush(link);
    uint32_t idle = link->open && !link->closing && !link->writing ? link->id : 0;
    settle(link);
    if (idle != 0) link->events->sent(link->context, link, idle);
}

void link_put_head(uint8_t out[LINK_HEAD_BYTES], size_t length, uint32_t number)
{
    for (unsigned i = 0; i < 4; i++) {
        out[i] = (uint8_t)(length >> (24 - 8 * i));
        out[4 + i] = (uint8_t)(number >> (24 - 8 * i));
    }
}

enum cl_status link_send(struct link *link, uint32_t id, const uint8_t *messages, size_t length, bool *waits)
{
    enum cl_status status = CL_E_NOT_FOUND;
    *waits = false;
    pthread_mutex_lock(&link->lock);
    if (link->id == id && link->open && !link->closing) {
        bool room = tls_session_outgoing(link->session)->length + length <= LINK_WAITING_BYTES_MAX;
        status = room ? tls_session_write(link->session, messages, length) : CL_E_BOUND;
        if (room && status != CL_OK) close_stream(link); /* perhaps half a message went */
        flush(link);
        *waits = link->writing;
    }
    pthread_mutex_unlock(&link->lock); /* no need to settle: a reading operation is under way */
    return status;
}

void link_close(struct link *link, uint32_t id)
{
    pthread_mutex_lock(&link->lock);
    if (link->id == id && id != 0) {
        close_stream(link);
        if (link->dialling) nng_aio_cancel(link->dial);
    }
    pthread_mutex_unlock(&link->lock);
}

/* ---- a link that dials */

static int set_flags(int (*set)(void *object, const char *option, bool value), void *object)
{
    int result = set(object, NNG_OPT_TCP_NODELAY, true);
    return result != 0 ? result : set(object, NNG_OPT_TCP_KEEPALIVE, true);
}

static int set_dialer(void *dialer, const char *option, bool value)
{
    return nng_stream_dialer_set_bool(dialer, option, value);
}

static int set_listener(void *listener, const char *option, bool value)
{
    return nng_stream_listener_set_bool(listener, option, value);
}

static enum cl_status fail(struct link_error *error, const char *what, const char *address, int result)
{
    snprintf(error->sentence, sizeof error->sentence, "%s %.60s: %s.", what, address, nng_strerror(result));
    return result == NNG_ENOMEM ? CL_E_MEMORY : CL_E_IO;
}

static bool make_url(char url[URL_BYTES_MAX], const char *address)
{
    return (size_t)snprintf(url, URL_BYTES_MAX, "tcp://%s", address) < URL_BYTES_MAX;
}

static void on_dialled(void *context)
{
    struct link *link = context;
    pthread_mutex_lock(&link->lock);
    link->dialling = false;
    if (nng_aio_result(link->dial) == 0) begin(link, nng_aio_get_output(link->dial, 0));
    else link->closing = true;
    settle(link);
}

static int init(struct link *link, const struct link_events *events, void *context, struct tls_identity *identity)
{
    link->events = events;
    link->context = context;
    link->identity = identity;
    pthread_mutex_init(&link->lock, NULL);
    int result = nng_aio_alloc(&link->read, on_read, link);
    if (result == 0) result = nng_aio_alloc(&link->attempt, NULL, NULL);
    return result != 0 ? result : nng_aio_alloc(&link->write, on_written, link);
}

/* Ends what there is; no event is under way or follows. */
static void stop(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    bool any = link->id != 0;
    if (any) close_stream(link);
    pthread_mutex_unlock(&link->lock);
    if (link->dial != NULL) nng_aio_stop(link->dial);
    if (link->read != NULL) nng_aio_stop(link->read);
    if (link->write != NULL) nng_aio_stop(link->write);
    take_down(link);
    nng_aio_free(link->dial);
    nng_aio_free(link->read);
    nng_aio_free(link->write);
    nng_aio_free(link->attempt);
    pthread_mutex_destroy(&link->lock);
}

uint32_t link_dial(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    assert(link->id == 0 && link->dialer != NULL);
    uint32_t id = link->id = next_id();
    link->dialling = true;
    nng_aio_set_timeout(link->dial, LINK_CONNECT_MS);
    nng_stream_dialer_dial(link->dialer, link->dial);
    pthread_mutex_unlock(&link->lock);
    return id;
}

enum cl_status link_dialer_new(struct link **out, struct link_error *error, const char *address, struct tls_identity *identity,
                               const struct link_events *events, void *context)
{
    char url[URL_BYTES_MAX];
    struct link *link = calloc(1, sizeof *link);
    *out = NULL;
    int result = link != NULL ? init(link, events, context, identity) : NNG_ENOMEM;
    if (result == 0 && !make_url(url, address)) result = NNG_EADDRINVAL;
    if (result == 0) result = nng_aio_alloc(&link->dial, on_dialled, link);
    if (result == 0) result = nng_stream_dialer_alloc(&link->dialer, url);
    if (result == 0) result = set_flags(set_dialer, link->dialer);
    if (result == 0) *out = link;
    else link_dialer_free(link);
    return result == 0 ? CL_OK : fail(error, "dialling", address, result);
}

void link_dialer_free(struct link *link)
{
    if (link == NULL) return;
    stop(link);
    if (link->dialer != NULL) {
        nng_stream_dialer_close(link->dialer);
        nng_stream_dialer_free(link->dialer);
    }
    free(link);
}

/* ---- links that are taken in */

static void accept_next(struct link_listener *listener)
{
    listener->accepting = true;
    if (listener->burst > 0) {
        listener->burst--;
        nng_stream_listener_accept(listener->listener, listener->accept);
    } else {
        nng_sleep_aio(PAUSE_MS, listener->pause);
    }
}

static void on_paused(void *context)
{
    struct link_listener *listener = context;
    pthread_mutex_lock(&listener->lock);
    if (!listener->stopping) nng_stream_listener_accept(listener->listener, listener->accept);
    pthread_mutex_unlock(&listener->lock);
}

static struct link *reserve(struct link_listener *listener)
{
    for (size_t i = 0; i < listener->link_count; i++) {
        struct link *link = &listener->links[i];
        pthread_mutex_lock(&link->lock);
        bool is_free = link->id == 0;
        if (is_free) {
            link->id = next_id();
            link->reading = true; /* so that nobody takes it down meanwhile */
        }
        pthread_mutex_unlock(&link->lock);
        if (is_free) return link;
    }
    return NULL;
}

/* False: no link is free. */
static bool take_in(struct link_listener *listener, nng_stream *stream)
{
    struct link *link = reserve(listener);
    if (link == NULL) return false;
    bool wanted = listener->events->taken(listener->context, link->id);
    pthread_mutex_lock(&link->lock);
    link->reading = false;
    link->closing |= !wanted;
    begin(link, stream);
    settle(link);
    return true;
}

static void on_accepted(void *context)
{
    struct link_listener *listener = context;
    int result = nng_aio_result(listener->accept);
    nng_stream *stream = result == 0 ? nng_aio_get_output(listener->accept, 0) : NULL;
    if (stream != NULL && !take_in(listener, stream)) {
        (void)listener->events->taken(listener->context, 0);
        nng_stream_free(stream);
    }
    pthread_mutex_lock(&listener->lock);
    listener->accepting = false;
    if (result == 0 && !listener->stopping) accept_next(listener);
    pthread_mutex_unlock(&listener->lock);
}

void link_listener_go_on(struct link_listener *listener)
{
    pthread_mutex_lock(&listener->lock);
    listener->burst = BURST;
    if (!listener->accepting && !listener->stopping) accept_next(listener);
    pthread_mutex_unlock(&listener->lock);
}

void link_listener_close(struct link_listener *listener, uint32_t id)
{
    for (size_t i = 0; i < listener->link_count; i++) link_close(&listener->links[i], id);
}

enum cl_status link_listener_new(struct link_listener **out, struct link_error *error, const char *address, struct tls_identity *identity,
                                 size_t links_max, const struct link_events *events, void *context)
{
    char url[URL_BYTES_MAX];
    struct link_listener *listener = calloc(1, sizeof *listener + links_max * sizeof listener->links[0]);
    *out = NULL;
    if (listener == NULL) return fail(error, "listening at", address, NNG_ENOMEM);
    listener->events = events;
    listener->context = context;
    pthread_mutex_init(&listener->lock, NULL);
    int result = 0;
    while (result == 0 && listener->link_count < links_max) result = init(&listener->links[listener->link_count++], events, context, identity);
    if (result == 0 && !make_url(url, address)) result = NNG_EADDRINVAL;
    if (result == 0) result = nng_aio_alloc(&listener->accept, on_accepted, listener);
    if (result == 0) result = nng_aio_alloc(&listener->pause, on_paused, listener);
    if (result == 0) result = nng_stream_listener_alloc(&listener->listener, url);
    if (result == 0) result = set_flags(set_listener, listener->listener);
    if (result == 0) result = nng_stream_listener_listen(listener->listener);
    if (result == 0) *out = listener;
    else link_listener_free(listener);
    return result == 0 ? CL_OK : fail(error, "listening at", address, result);
}

void link_listener_free(struct link_listener *listener)
{
    if (listener == NULL) return;
    pthread_mutex_lock(&listener->lock);
    listener->stopping = true;
    pthread_mutex_unlock(&listener->lock);
    if (listener->listener != NULL) nng_stream_listener_close(listener->listener);
    if (listener->pause != NULL) nng_aio_stop(listener->pause);
    if (listener->accept != NULL) nng_aio_stop(listener->accept);
    for (size_t i = 0; i < listener->link_count; i++) stop(&listener->links[i]);
    if (listener->listener != NULL) nng_stream_listener_free(listener->listener);
    nng_aio_free(listener->pause);
    nng_aio_free(listener->accept);
    pthread_mutex_destroy(&listener->lock);
    free(listener);
}
