/* An HTTP server with limits on everything, behind which libmicrohttpd stands. Handlers run on its threads; one that has
   to wait for the owner thread gives its thread back meanwhile. */
#ifndef NODE_HTTP_H
#define NODE_HTTP_H

#include "config.h"
#include "consent/types.h"

struct http_server;
struct http_request;
typedef void (*http_handler_fn)(void *context, struct http_request *request);
/* How long a body may be on this path; 0, or below it: [http] body_bytes_max. */
typedef size_t (*http_body_max_fn)(const char *method, const char *path);

/* handler is called once for each complete request, and answers, streams, or waits. sentence: why it did not start. */
CL_MUST_USE enum cl_status http_start(struct http_server **out, const struct node_config *config, http_handler_fn handler, http_body_max_fn body_max, void *context,
                                      char *sentence, size_t sentence_size);
/* Ends streams and stops taking requests; those that wait must be woken for it to return. */
void http_stop(struct http_server *server);
/* Requests from now on get 503; call it before the node answers those that wait. */
void http_drain(struct http_server *server);
/* Requests that handlers have and that are not answered yet. After http_drain it only falls, once no wake is missing. */
size_t http_active(const struct http_server *server);
/* "http://127.0.0.1:8780" */
const char *http_url(const struct http_server *server);
/* Once a second: cuts connections that take too long over one request. */
void http_tick(struct http_server *server);

const char *http_method(const struct http_request *request);
const char *http_path(const struct http_request *request);
const char *http_query(const struct http_request *request, const char *name);  /* NULL: absent */
size_t http_query_count(const struct http_request *request, const char *name);
/* Calls each for every value of a repeated parameter. */
void http_query_each(const struct http_request *request, const char *name, void (*each)(void *context, const char *value), void *context);
const char *http_header(const struct http_request *request, const char *name); /* NULL: absent */
struct cl_view http_body(const struct http_request *request);
bool http_body_too_large(const struct http_request *request);
bool http_body_no_room(const struct http_request *request); /* of a body above body_bytes_max: too many of them at a time */
/* Sets so much aside of what large bodies and answers may take all together, until the request is over. */
CL_MUST_USE bool http_reserve(struct http_request *request, size_t bytes);

/* Answers. body is copied. Call http_set_header before. */
void http_set_header(struct http_request *request, const char *name, const char *value); /* in place of an earlier one; at most 8, names static */
void http_answer(struct http_request *request, unsigned status, const char *content_type, const void *body, size_t length);

/* Gives the thread back; when http_wake is called (any thread, once; also before the handler has returned) then runs on
   an HTTP thread and must answer or wait again. */
void http_wait(struct http_request *request, http_handler_fn then, void *context);
void http_wake(struct http_request *request);

/* A body without end. read: bytes written to out (at most max), 0: nothing now, HTTP_STREAM_END, HTTP_STREAM_BROKEN. It is called again after
   http_streams_wake. release is called once at the end. CL_E_BOUND: too many streams; answer otherwise. */
#define HTTP_STREAM_END (-1)
#define HTTP_STREAM_BROKEN (-2) /* the connection is cut, so that what was sent does not look whole */
typedef long (*http_stream_fn)(void *context, char *out, size_t max);
CL_MUST_USE enum cl_status http_stream(struct http_request *request, const char *content_type, http_stream_fn read, void (*release)(void *context), void *context);
void http_streams_wake(struct http_server *server);

struct http_counters { uint64_t requests, answers_4xx, answers_5xx, connections, cut, streams; };
void http_counters(const struct http_server *server, struct http_counters *out);

#endif
