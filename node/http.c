/* The only file that knows libmicrohttpd. A request is in one of a few stages; its lock orders the handler's return
   against a wake from another thread, so that a connection is suspended and resumed exactly once for each wait.
   Client addresses are never looked at. */
#include "http.h"

#include "consent/record.h"
#include "consent/wallet.h"
#include "files.h"
#include "logging.h"
#include "route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEADERS_MAX = 8, HEADER_VALUE_MAX = 512, CONNECTION_MEMORY = 32 * 1024, STREAM_BLOCK = 16 * 1024, STREAM_SOCKET_BUFFER = 64 * 1024, LARGE_BYTES_MAX = 64 * 1024 * 1024 };

struct connection { struct connection *previous, *next; int socket; time_t reading_since; /* 0: being served */ };
/* Outlives its request: the library lets go of a response last. */
struct stream { struct http_server *server; struct MHD_Connection *connection; http_stream_fn read; void (*release)(void *); void *context; struct stream *next_waiting; bool waiting; };

struct http_server {
    struct MHD_Daemon *daemon;
    http_handler_fn handler;
    http_body_max_fn body_max_of;
    void *context;
    size_t body_max, streams_max;
    atomic_size_t large; /* bytes that large bodies and answers have reserved */
    time_t request_s;
    char url[128];
    char *tls_certificate, *tls_key;
    pthread_mutex_t lock; /* connections and streams */
    struct connection *connections;
    struct stream *waiting;
    uint64_t wakes;
    size_t stream_count;
    atomic_bool draining;
    atomic_uint_fast64_t requests, class_4xx, class_5xx, cut;
    atomic_size_t connection_count, active;
};

enum stage { STAGE_BODY, STAGE_HANDLING, STAGE_SUSPENDED, STAGE_WOKEN, STAGE_DONE };
struct http_request {
    struct http_server *server;
    struct MHD_Connection *connection;
    struct connection *slot;
    const char *method;
    char *path;
    struct cl_buffer body;
    size_t body_max, reserved;
    bool too_large, no_room, out_of_memory, active;
    pthread_mutex_t lock;
    enum stage stage;
    bool waits, woken; /* http_wait was called in this stage; http_wake came */
    http_handler_fn then;
    void *then_context;
    struct { const char *name; char value[HEADER_VALUE_MAX]; } headers[HEADERS_MAX];
    size_t header_count;
    struct MHD_Response *response;
    unsigned status;
};

static time_t seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1; /* never 0, which means "not reading" */
}

static void slot_reading(struct http_server *server, struct connection *slot, bool reading)
{
    if (slot == NULL) return;
    pthread_mutex_lock(&server->lock);
    slot->reading_since = reading ? seconds_now() : 0;
    pthread_mutex_unlock(&server->lock);
}

/* ---- connections: how long each has been taking over one request */
static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context, enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        struct connection *slot = calloc(1, sizeof *slot);
        if (slot == NULL || info == NULL) {
            free(slot);
            return; /* still bounded by the idle limit */
        }
        slot->socket = info->connect_fd;
        slot->reading_since = seconds_now();
        pthread_mutex_lock(&server->lock);
        slot->next = server->connections;
        if (slot->next != NULL) slot->next->previous = slot;
        server->connections = slot;
        pthread_mutex_unlock(&server->lock);
        atomic_fetch_add(&server->connection_count, 1);
        *socket_context = slot;
    } else if (*socket_context != NULL) {
        struct connection *slot = *socket_context;
        pthread_mutex_lock(&server->lock);
        if (slot->previous != NULL) slot->previous->next = slot->next;
        else server->connections = slot->next;
        if (slot->next != NULL) slot->next->previous = slot->previous;
        pthread_mutex_unlock(&server->lock);
        atomic_fetch_sub(&server->connection_count, 1);
        free(slot);
        *socket_context = NULL;
    }
}

void http_tick(struct http_server *server)
{
    time_t now = seconds_now();
    pthread_mutex_lock(&server->lock);
    for (struct connection *slot = server->connections; slot != NULL; slot = slot->next)
        if (slot->reading_since != 0 && now - slot->reading_since > server->request_s) {
            shutdown(slot->socket, SHUT_RDWR); /* the library notices and closes it */
            slot->reading_since = now;
            atomic_fetch_add(&server->cut, 1);
        }
    pthread_mutex_unlock(&server->lock);
}

/* ---- what handlers ask */
const char *http_method(const struct http_request *request) { return request->method; }
const char *http_path(const struct http_request *request) { return request->path; }

const char *http_query(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct query_each { const char *name; void (*each)(void *, const char *); void *context; };

static enum MHD_Result query_value(void *context, enum MHD_ValueKind kind, const char *key, const char *value)
{
    const struct query_each *query = context;
    (void)kind;
    if (strcmp(key, query->name) == 0) query->each(query->context, value != NULL ? value : "");
    return MHD_YES;
}

void http_query_each(const struct http_request *request, const char *name, void (*each)(void *context, const char *value), void *context)
{
    struct query_each query = { name, each, context };
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, query_value, &query);
}

static void count_value(void *context, const char *value)
{
    (void)value;
    *(size_t *)context += 1;
}

size_t http_query_count(const struct http_request *request, const char *name)
{
    size_t count = 0;
    http_query_each(request, name, count_value, &count);
    return count;
}

const char *http_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct cl_view http_body(const struct http_request *request)
{
    return (struct cl_view){ request->body.data, request->body.length };
}

bool http_body_too_large(const struct http_request *request) { return request->too_large; }
bool http_body_no_room(const struct http_request *request) { return request->no_room; }

bool http_reserve(struct http_request *request, size_t bytes)
{
    struct http_server *server = request->server;
    if (atomic_fetch_add(&server->large, bytes) + bytes <= LARGE_BYTES_MAX) {
        request->reserved += bytes;
        return true;
    }
    atomic_fetch_sub(&server->large, bytes);
    return false;
}

/* ---- answers */
void http_set_header(struct http_request *request, const char *name, const char *value)
{
    size_t at = 0;
    while (at < request->header_count && strcasecmp(request->headers[at].name, name) != 0) at++;
    if (at == HEADERS_MAX || strlen(value) >= HEADER_VALUE_MAX) {
        log_line(LOG_LEVEL_WARNING, "http_header_left_out", "name=%s", name);
        return;
    }
    request->headers[at].name = name;
    memcpy(request->headers[at].value, value, strlen(value) + 1);
    if (at == request->header_count) request->header_count++;
}

static void set_response(struct http_request *request, unsigned status, const char *content_type, struct MHD_Response *response)
{
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    for (size_t i = 0; i < request->header_count; i++) MHD_add_response_header(response, request->headers[i].name, request->headers[i].value);
    request->response = response;
    request->status = status;
    struct http_server *server = request->server;
    if (status >= 400) atomic_fetch_add(status < 500 ? &server->class_4xx : &server->class_5xx, 1);
}

void http_answer(struct http_request *request, unsigned status, const char *content_type, const void *body, size_t length)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(length, length > 0 ? (void *)(uintptr_t)body : (void *)(uintptr_t)"", MHD_RESPMEM_MUST_COPY);
    if (response != NULL) set_response(request, status, content_type, response);
}

void http_wait(struct http_request *request, http_handler_fn then, void *context)
{
    pthread_mutex_lock(&request->lock);
    request->waits = true;
    request->woken = false;
    request->then = then;
    request->then_context = context;
    pthread_mutex_unlock(&request->lock);
}

void http_wake(struct http_request *request)
{
    pthread_mutex_lock(&request->lock);
    request->woken = true;
    if (request->stage == STAGE_SUSPENDED) {
        request->stage = STAGE_WOKEN;
        MHD_resume_connection(request->connection);
    }
    pthread_mutex_unlock(&request->lock);
}

/* ---- streams */
static ssize_t stream_read(void *context, uint64_t position, char *out, size_t max)
{
    struct stream *stream = context;
    struct http_server *server = stream->server;
    (void)position;
    pthread_mutex_lock(&server->lock);
    uint64_t wakes = server->wakes;
    pthread_mutex_unlock(&server->lock);
    long got = stream->read(stream->context, out, max);
    if (got > 0) return got;
    if (got == HTTP_STREAM_BROKEN) return MHD_CONTENT_READER_END_WITH_ERROR;
    if (got == HTTP_STREAM_END || atomic_load(&server->draining)) return MHD_CONTENT_READER_END_OF_STREAM;
    pthread_mutex_lock(&server->lock);
    if (server->wakes == wakes) { /* else something came meanwhile: the library asks again */
        stream->waiting = true;
        stream->next_waiting = server->waiting;
        server->waiting = stream;
        MHD_suspend_connection(stream->connection);
    }
    pthread_mutex_unlock(&server->lock);
    return 0;
}

static void stream_free(void *context)
{
    struct stream *stream = context;
    struct http_server *server = stream->server;
    pthread_mutex_lock(&server->lock);
    server->stream_count--;
    struct stream **link = &server->waiting;
    while (*link != NULL && *link != stream) link = &(*link)->next_waiting;
    if (*link != NULL) *link = stream->next_waiting;
    pthread_mutex_unlock(&server->lock);
    stream->release(stream->context);
    free(stream);
}

enum cl_status http_stream(struct http_request *request, const char *content_type, http_stream_fn read, void (*release)(void *context), void *context)
{
    struct http_server *server = request->server;
    pthread_mutex_lock(&server->lock);
    bool room = server->stream_count < server->streams_max;
    if (room) server->stream_count++;
    pthread_mutex_unlock(&server->lock);
    if (!room) return CL_E_BOUND;
    struct stream *stream = calloc(1, sizeof *stream);
    struct MHD_Response *response = NULL;
    if (stream != NULL) {
        *stream = (struct stream){ .server = server, .connection = request->connection, .read = read, .release = release, .context = context };
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream_read, stream, stream_free);
    }
    if (response == NULL) {
        free(stream);
        pthread_mutex_lock(&server->lock);
        server->stream_count--;
        pthread_mutex_unlock(&server->lock);
        return CL_E_MEMORY;
    }
    /* What a reader does not take waits in the kernel: little of it, so that who reads nothing is soon idle, and cut. */
    int buffer = STREAM_SOCKET_BUFFER;
    if (request->slot != NULL) setsockopt(request->slot->socket, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    set_response(request, 200, content_type, response);
    return CL_OK;
}

void http_streams_wake(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->wakes++;
    struct stream *stream = server->waiting;
    server->waiting = NULL;
    while (stream != NULL) {
        struct stream *next = stream->next_waiting;
        stream->waiting = false;
        stream->next_waiting = NULL;
        MHD_resume_connection(stream->connection);
        stream = next;
    }
    pthread_mutex_unlock(&server->lock);
}

/* ---- the library's callbacks */
static struct http_request *request_new(struct http_server *server, struct MHD_Connection *connection, const char *url, const char *method)
{
    struct http_request *request = calloc(1, sizeof *request);
    if (request == NULL) return NULL;
    request->path = strdup(url);
    if (request->path == NULL) {
        free(request);
        return NULL;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    request->server = server;
    request->connection = connection;
    request->slot = info != NULL ? info->socket_context : NULL;
    request->method = method;
    size_t body_max = server->body_max_of != NULL ? server->body_max_of(method, url) : 0;
    request->body_max = body_max > server->body_max ? body_max : server->body_max;
    pthread_mutex_init(&request->lock, NULL);
    atomic_fetch_add(&server->requests, 1);
    return request;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_context, enum MHD_RequestTerminationCode code)
{
    struct http_request *request = *request_context;
    (void)context;
    (void)connection;
    (void)code;
    if (request == NULL) return;
    slot_reading(request->server, request->slot, true);
    if (request->response != NULL) MHD_destroy_response(request->response);
    atomic_fetch_sub(&request->server->large, request->reserved);
    cl_buffer_deinit(&request->body);
    pthread_mutex_destroy(&request->lock);
    free(request->path);
    free(request);
    *request_context = NULL;
}

static void take_body(struct http_request *request, const char *data, size_t length)
{
    if (request->too_large || request->no_room || request->out_of_memory) return;
    bool large = length > request->server->body_max - (request->body.length < request->server->body_max ? request->body.length : request->server->body_max);
    request->too_large = length > request->body_max - request->body.length;
    request->no_room = !request->too_large && large && request->reserved == 0 && !http_reserve(request, request->body_max);
    if (request->too_large || request->no_room) {
        cl_buffer_deinit(&request->body);
        request->body = (struct cl_buffer){ 0 };
        return;
    }
    if (cl_buffer_append(&request->body, data, length) != CL_OK) request->out_of_memory = true;
}

static void set_active(struct http_request *request, bool active)
{
    if (request->active == active) return;
    request->active = active;
    if (active) atomic_fetch_add(&request->server->active, 1);
    else atomic_fetch_sub(&request->server->active, 1);
}

/* Runs the handler, or what it waits with, until it answers or really has to wait. */
static enum MHD_Result advance(struct http_request *request)
{
    set_active(request, true);
    for (;;) {
        http_handler_fn run = request->waits ? request->then : request->server->handler;
        void *context = request->waits ? request->then_context : request->server->context;
        pthread_mutex_lock(&request->lock);
        request->stage = STAGE_HANDLING;
        request->waits = false;
        pthread_mutex_unlock(&request->lock);
        run(context, request);
        if (request->response != NULL) {
            request->stage = STAGE_DONE;
            set_active(request, false);
            return MHD_queue_response(request->connection, request->status, request->response);
        }
        pthread_mutex_lock(&request->lock);
        if (!request->waits) { /* it could not even make an answer: no memory */
            pthread_mutex_unlock(&request->lock);
            set_active(request, false);
            return MHD_NO;
        }
        bool again = request->woken;
        if (!again) {
            request->stage = STAGE_SUSPENDED;
            MHD_suspend_connection(request->connection);
        }
        pthread_mutex_unlock(&request->lock);
        if (!again) return MHD_YES;
    }
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                 const char *upload_data, size_t *upload_data_size, void **request_context)
{
    struct http_server *server = context;
    struct http_request *request = *request_context;
    (void)version;
    if (request == NULL) {
        *request_context = request = request_new(server, connection, url, method);
        if (request == NULL) return MHD_NO;
        const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
        if (length != NULL && strtoull(length, NULL, 10) > request->body_max) { /* refused before it is sent */
            request->too_large = true;
            slot_reading(server, request->slot, false);
            return advance(request);
        }
        return MHD_YES;
    }
    if (request->stage == STAGE_DONE) return MHD_YES;
    if (request->stage == STAGE_BODY && *upload_data_size > 0) {
        take_body(request, upload_data, *upload_data_size);
        *upload_data_size = 0;
        return request->out_of_memory ? MHD_NO : MHD_YES;
    }
    slot_reading(server, request->slot, false);
    return advance(request);
}

static size_t on_unescape(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return route_unescape(text);
}

static void on_library_log(void *context, const char *format, va_list arguments)
{
    char text[256];
    (void)context;
    #pragma GCC diagnostic push
    #pragma GCC diagnostic ignored "-Wformat-nonliteral"
    vsnprintf(text, sizeof text, format, arguments);
    #pragma GCC diagnostic pop
    for (char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == '"' || *at == '\x7f') *at = ' ';
    log_line(LOG_LEVEL_DEBUG, "http_library", "text=\"%s\"", text);
}

/* ---- start and stop */
static enum cl_status load_tls(struct http_server *server, const struct node_config *config, char *sentence, size_t sentence_size)
{
    const char *const paths[] = { config->tls_certificate, config->tls_key };
    char **const into[] = { &server->tls_certificate, &server->tls_key };
    for (size_t i = 0; i < 2 && paths[i][0] != '\0'; i++) {
        struct cl_buffer text = { 0 };
        enum cl_status status = file_read(&text, paths[i], 65536);
        if (status == CL_OK) status = cl_buffer_append(&text, "", 1);
        if (status != CL_OK) {
            snprintf(sentence, sentence_size, "%.150s cannot be read.", paths[i]);
            cl_buffer_wipe(&text);
            return status;
        }
        *into[i] = (char *)text.data;
    }
    return CL_OK;
}

static int open_socket(const char *address, uint16_t port, char *url, size_t url_size, bool tls, char *sentence, size_t sentence_size)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_PASSIVE | AI_NUMERICSERV }, *found = NULL;
    char service[8], host[64];
    int on = 1, handle = -1;
    snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(address, service, &hints, &found) != 0) {
        snprintf(sentence, sentence_size, "%s is not a numeric address to listen on.", address);
        return -1;
    }
    handle = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (handle >= 0) setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    if (handle < 0 || bind(handle, found->ai_addr, found->ai_addrlen) != 0 || listen(handle, 512) != 0 ||
        getsockname(handle, (struct sockaddr *)&bound, &length) != 0 ||
        getnameinfo((struct sockaddr *)&bound, length, host, sizeof host, service, sizeof service, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(sentence, sentence_size, "Cannot listen on %s:%u: %s.", address, port, strerror(errno));
        if (handle >= 0) close(handle);
        handle = -1;
    } else {
        bool six = strchr(host, ':') != NULL;
        snprintf(url, url_size, "%s://%s%s%s:%s", tls ? "https" : "http", six ? "[" : "", host, six ? "]" : "", service);
    }
    freeaddrinfo(found);
    return handle;
}

static struct MHD_Daemon *start_daemon(struct http_server *server, const struct node_config *config, int handle)
{
    bool tls = server->tls_key != NULL;
    struct MHD_OptionItem options[] = {
        { MHD_OPTION_LISTEN_SOCKET, handle, NULL },
        { MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)config->http_threads, NULL },
        { MHD_OPTION_CONNECTION_LIMIT, (intptr_t)config->http_connections_max, NULL },
        { MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)config->http_idle_s, NULL },
        { MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL },
        { MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)on_unescape, NULL },
        { MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, server },
        { MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server },
        { tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, server->tls_certificate },
        { MHD_OPTION_HTTPS_MEM_KEY, 0, server->tls_key },
        { MHD_OPTION_END, 0, NULL },
    };
    unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | (tls ? MHD_USE_TLS : 0u);
    return MHD_start_daemon(flags, 0, NULL, NULL, on_access, server, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
                            MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

static void server_free(struct http_server *server)
{
    free(server->tls_certificate);
    if (server->tls_key != NULL) explicit_bzero(server->tls_key, strlen(server->tls_key));
    free(server->tls_key);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

enum cl_status http_start(struct http_server **out, const struct node_config *config, http_handler_fn handler, http_body_max_fn body_max, void *context,
                          char *sentence, size_t sentence_size)
{
    char address[64];
    uint16_t port = 0;
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL) return CL_E_MEMORY;
    pthread_mutex_init(&server->lock, NULL);
    server->handler = handler;
    server->body_max_of = body_max;
    server->context = context;
    server->body_max = (size_t)config->http_body_bytes_max;
    server->streams_max = (size_t)config->feed_streams_max;
    server->request_s = (time_t)config->http_request_s;
    enum cl_status status = node_config_listen(address, sizeof address, &port, config->listen);
    if (status != CL_OK) snprintf(sentence, sentence_size, "'%s' is not ADDRESS:PORT.", config->listen);
    if (status == CL_OK) status = load_tls(server, config, sentence, sentence_size);
    if (status != CL_OK) goto failed;
    int handle = open_socket(address, port, server->url, sizeof server->url, server->tls_key != NULL, sentence, sentence_size);
    status = CL_E_IO;
    if (handle < 0) goto failed;
    *out = server; /* before its threads run: what they ask of the node includes its server */
    server->daemon = start_daemon(server, config, handle);
    if (server->daemon == NULL) {
        *out = NULL;
        snprintf(sentence, sentence_size, "The HTTP server did not start on %s.", server->url);
        close(handle);
        goto failed;
    }
    return CL_OK;
failed:
    server_free(server);
    return status;
}

void http_drain(struct http_server *server)
{
    atomic_store(&server->draining, true);
    http_streams_wake(server);
}

void http_stop(struct http_server *server)
{
    if (server == NULL) return;
    http_drain(server);
    MHD_stop_daemon(server->daemon);
    server_free(server);
}

size_t http_active(const struct http_server *server)
{
    return atomic_load(&((struct http_server *)(uintptr_t)server)->active);
}

const char *http_url(const struct http_server *server) { return server->url; }

void http_counters(const struct http_server *server, struct http_counters *out)
{
    struct http_server *counted = (struct http_server *)(uintptr_t)server; /* atomics are read through a plain pointer */
    pthread_mutex_lock(&counted->lock);
    out->streams = counted->stream_count;
    pthread_mutex_unlock(&counted->lock);
    out->requests = atomic_load(&counted->requests);
    out->answers_4xx = atomic_load(&counted->class_4xx);
    out->answers_5xx = atomic_load(&counted->class_5xx);
    out->connections = atomic_load(&counted->connection_count);
    out->cut = atomic_load(&counted->cut);
}
