/* HTTP through libcurl: one request after the other on one connection, or many at once (webhooks). No redirects: an answer
   comes from whom it was asked of. */
#include "http_client.h"
#include "consent/record.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

volatile int http_interrupted;

struct http_client { CURL *curl; };
struct transfer { struct http_answer *answer; const struct http_request *request; bool too_long, ended; };

enum cl_status http_client_new(struct http_client **out)
{
    struct http_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return CL_E_MEMORY;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || (client->curl = curl_easy_init()) == NULL) {
        free(client);
        return CL_E_MEMORY;
    }
    *out = client;
    return CL_OK;
}

void http_client_free(struct http_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    curl_global_cleanup();
    free(client);
}

void http_answer_deinit(struct http_answer *answer)
{
    cl_buffer_deinit(&answer->body);
    answer->body = (struct cl_buffer){0};
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t length = size * count;
    if (transfer->request->piece != NULL) {
        if (!transfer->request->piece(transfer->request->context, data, length)) {
            transfer->ended = true;
            return 0;
        }
        return length;
    }
    if (transfer->answer->body.length + length > HTTP_BODY_BYTES_MAX) {
        transfer->too_long = true;
        return 0;
    }
    return cl_buffer_append(&transfer->answer->body, data, length) == CL_OK ? length : 0;
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    (void)context, (void)down_total, (void)down, (void)up_total, (void)up;
    return http_interrupted;
}

static void set_options(CURL *curl, const struct http_request *request, struct transfer *transfer, struct curl_slist *headers, char *error)
{
    curl_easy_reset(curl);
    (void)curl_easy_setopt(curl, CURLOPT_URL, request->url);
#if LIBCURL_VERSION_NUM >= 0x075500
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
    if (request->piece == NULL || request->timeout_s > 0)
        (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, request->timeout_s == 0 ? 100L : request->timeout_s);
    if (request->silence_s > 0) {
        (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, request->silence_s);
    }
    if (request->ca_file != NULL)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, request->ca_file);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "consent/" CL_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    if (strcmp(request->method, "POST") == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
    } else if (strcmp(request->method, "GET") != 0) {
        if (request->body != NULL) {
            (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
            (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        }
        (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static void read_facts(CURL *curl, struct http_answer *answer)
{
    const char *type = NULL;
    curl_off_t retry = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
    (void)curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    if (type != NULL)
        (void)snprintf(answer->content_type, sizeof answer->content_type, "%s", type);
    if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry) == CURLE_OK && retry > 0 && retry < 86400)
        answer->retry_after_s = (long)retry;
}

static struct curl_slist *headers_of(const struct http_request *request)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < HTTP_HEADERS_MAX && request->headers[i] != NULL; i++)
        headers = curl_slist_append(headers, request->headers[i]);
    return headers;
}

/* What came of it. */
static enum cl_status outcome(CURL *curl, CURLcode code, const struct transfer *transfer, const char *error)
{
    struct http_answer *answer = transfer->answer;
    if (code == CURLE_OK || transfer->ended)
        read_facts(curl, answer);
    if (code == CURLE_OK)
        return CL_OK;
    if (transfer->too_long)
        return CL_E_BOUND;
    if (transfer->ended || code == CURLE_ABORTED_BY_CALLBACK)
        return CL_E_CANCELLED;
    (void)snprintf(answer->problem, sizeof answer->problem, "%s", error[0] != '\0' ? error : curl_easy_strerror(code));
    return CL_E_IO;
}

enum cl_status http_send(struct http_client *client, struct http_answer *answer, const struct http_request *request)
{
    char error[CURL_ERROR_SIZE] = "";
    *answer = (struct http_answer){0};
    struct transfer transfer = {.answer = answer, .request = request};
    struct curl_slist *headers = headers_of(request);
    set_options(client->curl, request, &transfer, headers, error);
    CURLcode code = curl_easy_perform(client->curl);
    curl_slist_free_all(headers);
    return outcome(client->curl, code, &transfer, error);
}

/* ---- many at once */

struct http_multi { CURLM *curl; };
struct http_transfer {
    struct http_multi *multi;
    CURL *curl;
    struct transfer transfer;
    struct http_request request;
    struct http_answer answer;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    bool busy, done;
    enum cl_status status;
};

enum cl_status http_multi_new(struct http_multi **out)
{
    struct http_multi *multi = calloc(1, sizeof *multi);
    if (multi == NULL)
        return CL_E_MEMORY;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || (multi->curl = curl_multi_init()) == NULL) {
        free(multi);
        return CL_E_MEMORY;
    }
    *out = multi;
    return CL_OK;
}

void http_multi_free(struct http_multi *multi)
{
    if (multi == NULL)
        return;
    (void)curl_multi_cleanup(multi->curl);
    curl_global_cleanup();
    free(multi);
}

enum cl_status http_transfer_new(struct http_transfer **out, struct http_multi *multi)
{
    struct http_transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL || (transfer->curl = curl_easy_init()) == NULL) {
        free(transfer);
        return CL_E_MEMORY;
    }
    transfer->multi = multi;
    *out = transfer;
    return CL_OK;
}

void http_transfer_stop(struct http_transfer *transfer)
{
    if (transfer->busy)
        (void)curl_multi_remove_handle(transfer->multi->curl, transfer->curl);
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    transfer->busy = transfer->done = false;
}

void http_transfer_free(struct http_transfer *transfer)
{
    if (transfer == NULL)
        return;
    http_transfer_stop(transfer);
    http_answer_deinit(&transfer->answer);
    curl_easy_cleanup(transfer->curl);
    free(transfer);
}

enum cl_status http_transfer_start(struct http_transfer *transfer, const struct http_request *request)
{
    http_transfer_stop(transfer);
    http_answer_deinit(&transfer->answer);
    transfer->answer = (struct http_answer){0};
    transfer->request = *request;
    transfer->transfer = (struct transfer){.answer = &transfer->answer, .request = &transfer->request};
    transfer->error[0] = '\0';
    transfer->headers = headers_of(request);
    set_options(transfer->curl, request, &transfer->transfer, transfer->headers, transfer->error);
    (void)curl_easy_setopt(transfer->curl, CURLOPT_PRIVATE, transfer);
    transfer->busy = curl_multi_add_handle(transfer->multi->curl, transfer->curl) == CURLM_OK;
    return transfer->busy ? CL_OK : CL_E_MEMORY;
}

bool http_transfer_busy(const struct http_transfer *transfer) { return transfer->busy; }

bool http_transfer_done(struct http_transfer *transfer, enum cl_status *status, const struct http_answer **answer)
{
    if (!transfer->done)
        return false;
    transfer->done = false;
    *status = transfer->status;
    *answer = &transfer->answer;
    return true;
}

static void finish(CURLMsg *message)
{
    char *private = NULL;
    (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
    struct http_transfer *transfer = (struct http_transfer *)(void *)private;
    transfer->status = outcome(transfer->curl, message->data.result, &transfer->transfer, transfer->error);
    http_transfer_stop(transfer);
    transfer->done = true;
}

enum cl_status http_multi_wait(struct http_multi *multi, unsigned timeout_ms)
{
    int running = 0, left = 0;
    CURLMsg *message;
    if (curl_multi_poll(multi->curl, NULL, 0, (int)timeout_ms, NULL) != CURLM_OK || curl_multi_perform(multi->curl, &running) != CURLM_OK)
        return CL_E_IO;
    while ((message = curl_multi_info_read(multi->curl, &left)) != NULL)
        if (message->msg == CURLMSG_DONE)
            finish(message);
    return CL_OK;
}
