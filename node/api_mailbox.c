/* Mailboxes over HTTP: opened, fetched from and emptied by whoever signs a fresh challenge with the mailbox's key; anybody who
   knows the address puts sealed deliveries in. Which address a request came from is not looked at. */
#include "api_private.h"

#include "crypto.h"
#include "files.h"

#include "consent/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mailbox_call { struct mailbox_job job; struct api *api; struct http_request *request; uint8_t key[33]; bool forwarded; };

size_t api_body_max(const char *method, const char *path)
{
    char arguments[ROUTE_ARGUMENTS_MAX][ROUTE_ARGUMENT_BYTES];
    if (strcmp(method, "PUT") == 0 && route_match("/v1/public/{id}", path, arguments)) return CL_PUBLIC_BODY_BYTES_MAX;
    return strcmp(method, "POST") == 0 && route_match("/v1/mailboxes/{id}/deliveries", path, arguments) ? MAILBOX_DELIVERY_BYTES_MAX : 0;
}

/* ---- refusals */
static void answer_outcome(const struct mailbox_call *call, enum mailbox_outcome outcome)
{
    struct http_request *request = call->request;
    switch (outcome) {
    case MAILBOX_DONE:
    case MAILBOX_KNOWN: return; /* the caller's */
    case MAILBOX_UNKNOWN:
        api_problem(request, 404, CL_E_NOT_FOUND, -1, "There is no such mailbox on that node; its owner may have closed it, or not fetched for long.");
        return;
    case MAILBOX_TOO_FAST:
        api_problem(request, 429, CL_E_BOUND, -1, "Too many within a few seconds; keep what was not taken and send it again a little later.");
        return;
    case MAILBOX_FULL:
        http_set_header(request, "Retry-After", "60");
        api_problem(request, 507, CL_E_BOUND, -1, "The mailbox is full until its owner fetches; keep the delivery and send it again later.");
        return;
    case MAILBOX_NODE_FULL:
        http_set_header(request, "Retry-After", "60");
        api_problem(request, 507, CL_E_BOUND, -1, "That node has no room for more; keep the delivery and send it again later, or open the mailbox on another node.");
        return;
    case MAILBOX_FAILED:
        api_problem(request, 500, CL_E_STORE_IO, -1, "The mailboxes' disk failed and nothing was kept; keep the delivery and send it again.");
        return;
    case MAILBOX_REPLAY:
        api_problem(request, 401, CL_E_LOCKED, -1, "A fresh challenge, signed by the mailbox's key, is needed; this one was used, or a newer one was.");
        return;
    case MAILBOX_MORE:
    case MAILBOX_NOT_NOW: break;
    }
    api_problem(request, 503, CL_E_CANCELLED, -1, call->forwarded ? "The mailbox's home node cannot be reached, or took too long; keep the delivery and send it again."
                                                                  : "The node has too much to do, or is stopping; try again.");
}

static void answer_locked(struct http_request *request)
{
    api_problem(request, 401, CL_E_LOCKED, -1, "Consent-Key, Consent-Challenge and Consent-Signature are needed: the mailbox's key, a fresh challenge, signed by that key.");
}

static void mailbox_call_free(struct mailbox_call *call)
{
    cl_buffer_deinit(&call->job.page.bytes);
    free(call);
}

/* ---- a call: handed to the mailboxes' thread, then answered */
static void wake(struct mailbox_job *job)
{
    http_wake(((struct mailbox_call *)job->context)->request);
}

static struct mailbox_call *begin(struct api_call *call, enum mailbox_job_kind kind)
{
    struct mailbox_call *made = calloc(1, sizeof *made);
    if (made == NULL) {
        api_fail(call->request, CL_E_MEMORY);
        return NULL;
    }
    made->api = call->api;
    made->request = call->request;
    made->job = (struct mailbox_job){ .kind = kind, .peer = MAILBOX_HERE, .done = wake, .context = made };
    if (api_hex_argument(made->job.id, 32, call->arguments[0])) return made;
    api_problem(call->request, 400, CL_E_ARGUMENT, -1, "A mailbox is named by 64 lower-case hex digits.");
    free(made);
    return NULL;
}

static void hand_over(struct mailbox_call *call, http_handler_fn then)
{
    http_wait(call->request, then, call);
    if (mailbox_server_put(call->api->node->mailboxes, &call->job) == CL_OK) return;
    call->forwarded = false;
    answer_outcome(call, MAILBOX_NOT_NOW);
    mailbox_call_free(call);
}

/* The key is the mailbox's, and signed a challenge of ours that is not too old. Whether it was used before: once, that is
   the challenges' to know (for a mailbox that is not there yet), else the mailbox's own thread finds out. */
static bool holds_key(struct mailbox_call *call, bool once)
{
    const struct http_request *request = call->request;
    uint8_t nonce[32], signature[64];
    struct cl_hash id;
    enum cl_status status = CL_E_LOCKED;
    if (api_hex_argument(call->key, 33, http_header(request, "Consent-Key")) && api_hex_argument(nonce, 32, http_header(request, "Consent-Challenge")) &&
        api_hex_argument(signature, 64, http_header(request, "Consent-Signature"))) {
        cl_mailbox_derive(&id, call->key);
        const struct cl_network_id *network = &call->api->node->genesis.core.network;
        if (memcmp(id.bytes, call->job.id, 32) == 0)
            status = once ? challenge_check(call->api->challenges, network, nonce, signature, call->key, node_now_ms())
                          : challenge_verify(call->api->challenges, network, nonce, signature, call->key, node_now_ms());
        memcpy(call->job.nonce, nonce, 16);
    }
    if (status == CL_E_BOUND) answer_outcome(call, MAILBOX_TOO_FAST);
    else if (status != CL_OK) answer_locked(call->request);
    if (status != CL_OK) mailbox_call_free(call);
    return status == CL_OK;
}

/* The next one needs no question of its own. */
static void give_challenge(struct mailbox_call *call)
{
    uint8_t nonce[32];
    char text[65];
    uint64_t expires_ms = 0;
    if (challenge_make(call->api->challenges, nonce, &expires_ms, call->key, node_now_ms()) != CL_OK) return;
    hex_encode(text, nonce, 32);
    http_set_header(call->request, "Consent-Challenge", text);
}

/* ---- open and close */
static void on_opened(void *context, struct http_request *request)
{
    struct mailbox_call *call = context;
    const struct node *node = call->api->node;
    const struct node_config *set = &node->options.config;
    struct genesis_peer own;
    char address[CL_MEMBER_NAME_BYTES_MAX + 66], id[65];
    if (call->job.outcome == MAILBOX_DONE || call->job.outcome == MAILBOX_KNOWN) {
        node_genesis_peer(&own, &node->genesis, node->own);
        hex_encode(id, call->job.id, 32);
        snprintf(address, sizeof address, "%s/%s", own.name, id);
        give_challenge(call);
        api_answer_json(request, call->job.outcome == MAILBOX_DONE ? 201 : 200,
                        json_pack("{s:i,s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "version", 1, "mailbox", id, "address", address, "delivery_bytes_max",
                                  (json_int_t)MAILBOX_DELIVERY_BYTES_MAX, "deliveries_max", (json_int_t)set->mailbox_deliveries_max, "bytes_max",
                                  (json_int_t)set->mailbox_bytes_max, "delivery_days", (json_int_t)set->mailbox_delivery_days, "unfetched_days",
                                  (json_int_t)set->mailbox_unfetched_days));
    } else if (call->job.outcome == MAILBOX_UNKNOWN) {
        api_problem(request, 404, CL_E_NOT_FOUND, -1, "This node keeps no mailboxes; open it on another member's node.");
    } else {
        answer_outcome(call, call->job.outcome);
    }
    mailbox_call_free(call);
}

void api_mailbox_put(struct api_call *call)
{
    struct mailbox_call *made = begin(call, MAILBOX_JOB_OPEN);
    if (made != NULL && holds_key(made, true)) hand_over(made, on_opened);
}

static void on_deleted(void *context, struct http_request *request)
{
    struct mailbox_call *call = context;
    if (call->job.outcome == MAILBOX_DONE) {
        give_challenge(call);
        api_answer_json(request, 200, json_pack("{s:i,s:I}", "version", 1, "deleted", (json_int_t)call->job.result));
    } else {
        answer_outcome(call, call->job.outcome);
    }
    mailbox_call_free(call);
}

void api_mailbox_delete(struct api_call *call)
{
    struct mailbox_call *made = begin(call, MAILBOX_JOB_CLOSE);
    if (made != NULL && holds_key(made, false)) hand_over(made, on_deleted);
}

/* ---- deposit */
static void on_deposited(void *context, struct http_request *request)
{
    struct mailbox_call *call = context;
    bool made = call->job.outcome == MAILBOX_DONE;
    if (made || call->job.outcome == MAILBOX_KNOWN)
        api_answer_json(request, made ? 201 : 200, json_pack("{s:i,s:I}", "version", 1, "number", (json_int_t)call->job.result));
    else answer_outcome(call, call->job.outcome);
    mailbox_call_free(call);
}

bool api_find_node(size_t *peer, const struct node *node, const char *name, size_t own)
{
    struct genesis_peer found;
    *peer = own;
    if (name == NULL) return true;
    for (size_t i = 0; i < node->peer_count; i++) {
        node_genesis_peer(&found, &node->genesis, i);
        if (strcmp(found.name, name) != 0) continue;
        if (i != node->own) *peer = i;
        return true;
    }
    return false;
}

void api_mailbox_deposit(struct api_call *call)
{
    struct http_request *request = call->request;
    struct cl_view body = http_body(request);
    const char *type = http_header(request, "Content-Type");
    size_t home;
    if (type == NULL || strcmp(type, "application/octet-stream") != 0) {
        api_problem(request, 415, CL_E_UNSUPPORTED, -1, "Content-Type has to be application/octet-stream.");
        return;
    }
    if (body.length == 0 || body.length > MAILBOX_DELIVERY_BYTES_MAX) {
        api_problem(request, body.length == 0 ? 400 : 413, CL_E_BOUND, -1, API_DELIVERY_SIZE);
        return;
    }
    if (!api_find_node(&home, call->api->node, http_query(request, "node"), MAILBOX_HERE)) {
        api_problem(request, 404, CL_E_NOT_FOUND, -1, "No node of this network has that name; an address is NODE-NAME/MAILBOX, see /v1/network.");
        return;
    }
    struct mailbox_call *made = begin(call, MAILBOX_JOB_DEPOSIT);
    if (made == NULL) return;
    made->job.bytes = body;
    made->job.peer = home;
    made->forwarded = home != MAILBOX_HERE;
    cl_sha256_once(made->job.digest, body.data, body.length);
    hand_over(made, on_deposited);
}

/* ---- fetch and acknowledge */
static json_t *json_page(const struct mailbox_page *page)
{
    json_t *array = json_array();
    size_t at = 0;
    for (size_t i = 0; array != NULL && i < page->count; i++) {
        json_t *item = json_pack("{s:I,s:o}", "number", (json_int_t)page->items[i].number, "bytes", json_base64(page->bytes.data + at, page->items[i].length));
        if (json_array_append_new(array, item) != 0) {
            json_decref(array);
            return NULL;
        }
        at += page->items[i].length;
    }
    return array;
}

static void on_fetched(void *context, struct http_request *request)
{
    struct mailbox_call *call = context;
    const struct mailbox_page *page = &call->job.page;
    if (call->job.outcome != MAILBOX_DONE) {
        answer_outcome(call, call->job.outcome);
    } else if (!http_reserve(request, 2 * page->bytes.length)) {
        answer_outcome(call, MAILBOX_NOT_NOW);
    } else {
        json_t *array = json_page(page);
        give_challenge(call);
        api_answer_json(request, 200, array != NULL ? json_pack("{s:i,s:o,s:b}", "version", 1, "deliveries", array, "more", (int)page->more) : NULL);
    }
    mailbox_call_free(call);
}

void api_mailbox_fetch(struct api_call *call)
{
    uint64_t after = 0, limit = MAILBOX_PAGE_DELIVERIES_MAX, wait_s = 0;
    bool present;
    if (!api_query_number(call->request, "after", &after, &present) || !api_query_number(call->request, "limit", &limit, &present) ||
        !api_query_number(call->request, "wait", &wait_s, &present) || limit == 0 || limit > MAILBOX_PAGE_DELIVERIES_MAX || wait_s > MAILBOX_WAIT_S_MAX) {
        api_problem(call->request, 400, CL_E_ARGUMENT, -1, "after is a delivery's number, limit 1 to 64, wait 0 to 60 seconds.");
        return;
    }
    struct mailbox_call *made = begin(call, MAILBOX_JOB_FETCH);
    if (made == NULL || !holds_key(made, false)) return;
    made->job.number = after;
    made->job.limit = (size_t)limit;
    made->job.wait_ms = wait_s * 1000;
    hand_over(made, on_fetched);
}

void api_mailbox_acknowledge(struct api_call *call)
{
    uint64_t through = 0;
    bool present;
    if (!api_query_number(call->request, "through", &through, &present) || !present) {
        api_problem(call->request, 400, CL_E_ARGUMENT, -1, "through is the number of the newest delivery that has arrived; it and all before it are deleted.");
        return;
    }
    struct mailbox_call *made = begin(call, MAILBOX_JOB_ACKNOWLEDGE);
    if (made == NULL || !holds_key(made, false)) return;
    made->job.number = through;
    hand_over(made, on_deleted);
}

enum cl_status mailbox_metrics(struct cl_buffer *text, struct node *node)
{
    struct mailbox_server_report now;
    enum cl_status status = CL_OK;
    mailbox_server_report(node->mailboxes, &now);
    const struct { const char *name, *type, *help; uint64_t value; } metrics[] = {
        { "consent_mailboxes", "gauge", "Mailboxes that are kept here.", now.kept.mailboxes },
        { "consent_mailbox_deliveries", "gauge", "Deliveries that wait to be fetched.", now.kept.deliveries },
        { "consent_mailbox_bytes", "gauge", "Their bytes.", now.kept.bytes },
        { "consent_mailbox_disk_bytes", "gauge", "What the mailboxes' database takes.", now.disk_bytes },
        { "consent_mailbox_deposited_deliveries_total", "counter", "Deliveries taken since the start.", now.kept.deposited },
        { "consent_mailbox_fetched_deliveries_total", "counter", "Deliveries handed out, each time.", now.kept.fetched },
        { "consent_mailbox_deleted_deliveries_total", "counter", "Deliveries deleted because they had arrived or their mailbox was closed.", now.kept.deleted },
        { "consent_mailbox_expired_deliveries_total", "counter", "Deliveries deleted because nobody fetched them in time.", now.kept.expired },
        { "consent_mailbox_refused_total", "counter", "Requests refused: no such mailbox, full, too fast, a used challenge.", now.kept.refused },
        { "consent_mailbox_forwarded_deliveries_total", "counter", "Deliveries that another node has taken for its mailboxes.", now.forwarded },
        { "consent_mailbox_waiting_jobs", "gauge", "Requests that wait for the mailboxes' thread.", now.waiting_jobs },
        { "consent_mailbox_waiting_fetches", "gauge", "Fetches that wait for a delivery.", now.waiting_fetches },
        { "consent_mailbox_failed", "gauge", "1: the mailboxes' disk failed; they take nothing until the next start.", now.kept.failed },
    };
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0] && status == CL_OK; i++) {
        char line[512];
        int length = snprintf(line, sizeof line, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", metrics[i].name, metrics[i].help, metrics[i].name, metrics[i].type,
                              metrics[i].name, (unsigned long long)metrics[i].value);
        status = cl_buffer_append(text, line, (size_t)length);
    }
    return status;
}
