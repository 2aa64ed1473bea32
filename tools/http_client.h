/* HTTP to a node: small requests, bounded answers. The only file behind it that knows libcurl is http_client.c. */
#ifndef TOOLS_HTTP_CLIENT_H
#define TOOLS_HTTP_CLIENT_H

#include "consent/status.h"
#include "consent/types.h"

#define HTTP_BODY_BYTES_MAX (32u * 1024u * 1024u)
#define HTTP_HEADERS_MAX 8u

struct http_client;
struct http_request {
    const char *method;               /* "POST" has a body, "PUT" may have one; "GET", "DELETE" have none */
    const char *url;
    const char *headers[HTTP_HEADERS_MAX]; /* "Name: value", NULL ends */
    const void *body;
    size_t body_length;
    long timeout_s;                   /* 0: 100 s; of a streamed answer: no limit */
    long silence_s;                   /* given up after so long without a byte; 0: never */
    const char *ca_file;              /* whose certificates are believed; NULL: the system's */
    /* Called for each piece of a streamed answer; false ends it. NULL: the body is gathered. */
    bool (*piece)(void *context, const char *data, size_t length);
    void *context;
};
struct http_answer {
    long status;                      /* HTTP status; 0 where there was no answer */
    struct cl_buffer body;
    char content_type[128];
    long retry_after_s;               /* 0: not said */
    char problem[256];                /* in words, where there was no answer */
};
CL_MUST_USE enum cl_status http_client_new(struct http_client **out);
void http_client_free(struct http_client *client);
/* CL_OK: an answer of any status came. CL_E_IO: none (problem says why). CL_E_BOUND: too long. CL_E_CANCELLED: piece
   said so, or *interrupted became true. */
CL_MUST_USE enum cl_status http_send(struct http_client *client, struct http_answer *answer, const struct http_request *request);
void http_answer_deinit(struct http_answer *answer);

/* ---- many requests at once, in one thread. A transfer carries one request at a time; what it is given stays the
   caller's and must stay as it is until the request is done or stopped. Connections are kept for the next request. */
struct http_multi;
struct http_transfer;
CL_MUST_USE enum cl_status http_multi_new(struct http_multi **out);
void http_multi_free(struct http_multi *multi); /* after its transfers */
CL_MUST_USE enum cl_status http_transfer_new(struct http_transfer **out, struct http_multi *multi);
void http_transfer_free(struct http_transfer *transfer); /* NULL is fine */
CL_MUST_USE enum cl_status http_transfer_start(struct http_transfer *transfer, const struct http_request *request);
void http_transfer_stop(struct http_transfer *transfer);
bool http_transfer_busy(const struct http_transfer *transfer);
/* Returns: true, once, when the request is done. *status as http_send returns it; *answer is good until the next start. */
bool http_transfer_done(struct http_transfer *transfer, enum cl_status *status, const struct http_answer **answer);
/* Goes on with all of them until something happens, at most timeout_ms. */
CL_MUST_USE enum cl_status http_multi_wait(struct http_multi *multi, unsigned timeout_ms);

/* Set by the handler of SIGINT; ends a transfer within a second. */
extern volatile int http_interrupted;

#endif
