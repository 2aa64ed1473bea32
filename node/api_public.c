/* Public bodies over HTTP: put and taken away by who signs a challenge with the object's present key, read by anybody. There is
   no way to ask for some of them: so no node learns what anybody looks for. */
#include "api_private.h"

#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct public_call { struct public_job job; struct http_request *request; uint64_t body_days; char node[CL_MEMBER_NAME_BYTES_MAX + 1]; };

/* ---- refusals */
static void answer_refused(struct http_request *request, enum cl_status why)
{
    const char *detail = NULL;
    unsigned status = 400;
    if (why == CL_E_NO_OBJECT) {
        status = 404;
        detail = "No terms and no profile of that id are final here yet.";
    } else if (why == CL_E_OBJECT_KIND) {
        status = 409;
        detail = "Only bodies of terms and of profiles are public; what an agreement is about is between its two sides.";
    } else if (why == CL_E_BODY) {
        status = 409;
        detail = "The body is not what the object commits to now, or one of its fields is not behind a digest.";
    } else if (why == CL_E_PARTY || why == CL_E_SIGNATURE || why == CL_E_NETWORK || why == CL_E_TIME_AHEAD || why == CL_E_TIME_OLD) {
        status = 409;
        detail = "The body has to be signed by the object's present key, for this network, and not long ago.";
    } else if (why == CL_E_CLOSED || why == CL_E_EXPIRED) {
        status = 409;
        detail = "Nobody can answer these terms any more: they are closed, expired, or others succeed them.";
    } else if (why == CL_E_BOUND) {
        status = 413;
        detail = API_PUBLIC_SIZE;
    } else if (why == CL_E_FORMAT) {
        detail = "It is a public body (formats.cddl) with at least one field in clear.";
    } else {
        status = api_status_of(why);
    }
    api_problem(request, status, why, -1, detail);
}

static void answer_outcome(struct public_call *call)
{
    struct http_request *request = call->request;
    switch (call->job.outcome) {
    case PUBLIC_DONE:
    case PUBLIC_KNOWN: return; /* the caller's */
    case PUBLIC_REFUSED: answer_refused(request, call->job.why); return;
    case PUBLIC_TOO_FAST: api_problem(request, 429, CL_E_BOUND, -1, "Too many bodies were put here within a few seconds; put it again a little later."); return;
    case PUBLIC_FULL:
        http_set_header(request, "Retry-After", "60");
        api_problem(request, 507, CL_E_BOUND, -1, "This node has no room for more public bodies; put it on another node.");
        return;
    case PUBLIC_FAILED: api_problem(request, 500, CL_E_STORE_IO, -1, "The node's disk failed; nothing is promised. Try again."); return;
    case PUBLIC_NOT_HERE: api_problem(request, 404, CL_E_NOT_FOUND, -1, "This node keeps no public bodies; put it on another node."); return;
    case PUBLIC_NOT_NOW: break;
    }
    api_problem(request, 503, CL_E_CANCELLED, -1, call->job.peer != PUBLIC_HERE ? "That node cannot be reached, or took too long; what it keeps is not in the list."
                                                                                 : "The node has too much to do, or is stopping; try again.");
}

/* ---- a call: handed to the public bodies' thread, then answered */
static void wake(struct public_job *job)
{
    http_wake(((struct public_call *)job->context)->request);
}

static struct public_call *begin(struct api_call *call, enum public_job_kind kind)
{
    struct public_call *made = calloc(1, sizeof *made);
    if (made == NULL) {
        api_fail(call->request, CL_E_MEMORY);
        return NULL;
    }
    made->request = call->request;
    made->job = (struct public_job){ .kind = kind, .peer = PUBLIC_HERE, .done = wake, .context = made };
    return made;
}

static void public_call_free(struct public_call *call)
{
    cl_buffer_deinit(&call->job.page.bytes);
    free(call);
}

static void hand_over(struct api_call *call, struct public_call *made, http_handler_fn then)
{
    http_wait(made->request, then, made);
    if (public_server_put(call->api->node->public_bodies, &made->job) == CL_OK) return;
    made->job.peer = PUBLIC_HERE;
    made->job.outcome = PUBLIC_NOT_NOW;
    answer_outcome(made);
    public_call_free(made);
}

/* The object's present key signed a challenge of ours, for this request alone. Answers where it did not. */
static bool owner_signed(struct api_call *call, struct cl_object_id *object)
{
    struct cl_party party = { .length = 32 };
    struct cl_ledger_view *view = NULL;
    if (!api_hex_argument(object->bytes, 32, call->arguments[0])) {
        api_problem(call->request, 400, CL_E_ARGUMENT, -1, "An object id is 64 lower-case hex digits.");
        return false;
    }
    memcpy(party.bytes, object->bytes, 32);
    enum cl_status status = cl_ledger_view_new(&view, call->api->node->ledger);
    if (status == CL_OK) status = api_signed_by(call, view, &party);
    cl_ledger_view_free(view);
    if (status == CL_E_NOT_FOUND) answer_refused(call->request, CL_E_NO_OBJECT);
    else if (status == CL_E_LOCKED)
        api_problem(call->request, 401, CL_E_LOCKED, -1, "Consent-Challenge and Consent-Signature are needed: a fresh challenge, signed by the object's present key.");
    else if (status != CL_OK) api_problem(call->request, status == CL_E_BOUND ? 429 : api_status_of(status), status, -1, NULL);
    return status == CL_OK;
}

/* ---- put and take away */
static void on_put(void *context, struct http_request *request)
{
    struct public_call *call = context;
    bool made = call->job.outcome == PUBLIC_DONE;
    if (made || call->job.outcome == PUBLIC_KNOWN) {
        json_t *object = json_pack("{s:i,s:s,s:I,s:I}", "version", 1, "node", call->node, "bytes", (json_int_t)call->job.bytes.length, "body_days", (json_int_t)call->body_days);
        if (object != NULL) json_set_hex(object, "object", call->job.object.bytes, 32);
        api_answer_json(request, made ? 201 : 200, object);
    } else {
        answer_outcome(call);
    }
    public_call_free(call);
}

static void own_name(struct public_call *call, const struct node *node, size_t peer)
{
    struct genesis_peer found;
    node_genesis_peer(&found, &node->genesis, peer == PUBLIC_HERE ? node->own : peer);
    snprintf(call->node, sizeof call->node, "%s", found.name);
}

void api_public_put(struct api_call *call)
{
    const char *type = http_header(call->request, "Content-Type");
    struct cl_object_id object;
    if (type == NULL || strcmp(type, "application/octet-stream") != 0) {
        api_problem(call->request, 415, CL_E_UNSUPPORTED, -1, "Content-Type has to be application/octet-stream.");
        return;
    }
    if (!owner_signed(call, &object)) return;
    struct public_call *made = begin(call, PUBLIC_JOB_PUT);
    if (made == NULL) return;
    made->job.object = object;
    made->job.bytes = http_body(call->request);
    made->body_days = call->api->node->options.config.public_body_days;
    own_name(made, call->api->node, PUBLIC_HERE);
    hand_over(call, made, on_put);
}

static void on_deleted(void *context, struct http_request *request)
{
    struct public_call *call = context;
    if (call->job.outcome == PUBLIC_DONE) api_answer_json(request, 200, json_pack("{s:i,s:i}", "version", 1, "deleted", call->job.removed ? 1 : 0));
    else answer_outcome(call);
    public_call_free(call);
}

void api_public_delete(struct api_call *call)
{
    struct cl_object_id object;
    if (!owner_signed(call, &object)) return;
    struct public_call *made = begin(call, PUBLIC_JOB_REMOVE);
    if (made == NULL) return;
    made->job.object = object;
    hand_over(call, made, on_deleted);
}

/* ---- the list */
static json_t *json_bodies(const struct public_page *page)
{
    json_t *array = json_array();
    size_t at = 0;
    for (size_t i = 0; array != NULL && i < page->count; i++) {
        json_t *item = json_pack("{s:o}", "body", json_base64(page->bytes.data + at, page->items[i].length));
        if (item != NULL) json_set_hex(item, "object", page->items[i].object.bytes, 32);
        if (json_array_append_new(array, item) != 0) {
            json_decref(array);
            return NULL;
        }
        at += page->items[i].length;
    }
    return array;
}

static void on_page(void *context, struct http_request *request)
{
    struct public_call *call = context;
    const struct public_page *page = &call->job.page;
    if (call->job.outcome == PUBLIC_DONE && !http_reserve(request, 2 * page->bytes.length)) call->job.outcome = PUBLIC_NOT_NOW;
    if (call->job.outcome == PUBLIC_DONE) {
        json_t *array = json_bodies(page), *object = array != NULL ? json_pack("{s:i,s:s,s:o,s:n}", "version", 1, "node", call->node, "bodies", array, "cursor") : NULL;
        if (object != NULL && page->more) json_set_hex(object, "cursor", call->job.last.bytes, 32);
        api_answer_json(request, 200, object);
    } else if (call->job.outcome == PUBLIC_NOT_HERE) {
        api_answer_json(request, 200, json_pack("{s:i,s:s,s:[],s:n}", "version", 1, "node", call->node, "bodies", "cursor"));
    } else {
        answer_outcome(call);
    }
    public_call_free(call);
}

void api_public_list(struct api_call *call)
{
    struct http_request *request = call->request;
    const char *cursor = http_query(request, "cursor");
    struct cl_object_id after = { { 0 } };
    size_t peer;
    if (cursor != NULL && !api_hex_argument(after.bytes, 32, cursor)) {
        api_problem(request, 400, CL_E_ARGUMENT, -1, "cursor comes from the page before.");
        return;
    }
    if (!api_find_node(&peer, call->api->node, http_query(request, "node"), PUBLIC_HERE)) {
        api_problem(request, 404, CL_E_NOT_FOUND, -1, "No node of this network has that name; see /v1/network.");
        return;
    }
    struct public_call *made = begin(call, PUBLIC_JOB_PAGE);
    if (made == NULL) return;
    made->job.peer = peer;
    made->job.has_after = cursor != NULL;
    made->job.object = after;
    own_name(made, call->api->node, peer);
    hand_over(call, made, on_page);
}

enum cl_status public_metrics(struct cl_buffer *text, struct node *node)
{
    struct public_server_report now;
    enum cl_status status = CL_OK;
    public_server_report(node->public_bodies, &now);
    const struct { const char *name, *type, *help; uint64_t value; } metrics[] = {
        { "consent_public_bodies", "gauge", "Public bodies that are kept here.", now.kept.bodies },
        { "consent_public_bytes", "gauge", "Their bytes.", now.kept.bytes },
        { "consent_public_put_bodies_total", "counter", "Public bodies taken since the start.", now.kept.put },
        { "consent_public_removed_bodies_total", "counter", "Public bodies that their owners took away.", now.kept.removed },
        { "consent_public_expired_bodies_total", "counter", "Public bodies that went by themselves: closed, changed or not put again in time.", now.kept.expired },
        { "consent_public_refused_total", "counter", "Public bodies refused because there was no room, or because they came too fast.", now.kept.refused },
        { "consent_public_failures_total", "counter", "Times that the disk of the public bodies failed.", now.kept.failures },
        { "consent_public_copied_pages", "gauge", "Pages of other nodes' public bodies in memory.", now.copies },
        { "consent_public_copied_bytes", "gauge", "Their bytes.", now.copied_bytes },
        { "consent_public_asked_pages_total", "counter", "Pages asked of other nodes.", now.asked },
        { "consent_public_unfit_bodies_total", "counter", "Bodies of other nodes that this node's ledger does not bear out; they were left out.", now.unfit },
        { "consent_public_waiting_jobs", "gauge", "Requests that wait for the public bodies' thread.", now.waiting_jobs },
    };
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0] && status == CL_OK; i++) {
        char line[512];
        int length = snprintf(line, sizeof line, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", metrics[i].name, metrics[i].help, metrics[i].name, metrics[i].type, metrics[i].name,
                              (unsigned long long)metrics[i].value);
        status = cl_buffer_append(text, line, (size_t)length);
    }
    return status;
}
