/* Routes and what every answer shares. The table of routes is also what /openapi.json is made from. */
#include "api_private.h"

#include "files.h"
#include "logging.h"
#include "media.h"
#include "route.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define JSON "application/json"
const struct api_route api_routes[] = {
    { "POST", "/v1/records", api_records_post, 0, "submitRecord", "Submit a signed record", "wait:'final' answers once the record is final|timeout:seconds to wait, 1 to 60, default 30",
      JSON "|text/plain|application/scitt-receipt+cose", "200|201|202|403|406|409|413|415" },
    { "GET", "/v1/records/{id}", api_record_get, 0, "getRecord", "Status, bytes or receipt of a record", "", JSON "|application/cose|text/plain|application/scitt-receipt+cose", "200|404|406|409" },
    { "GET", "/v1/agreements/{id}", api_object_get, 0, "getObject", "State and history of an agreement, terms or profile, or a proof of it", "history:0 leaves the history out|before:only records of the history with a lower log index",
      JSON "|application/consent-proof", "200|404|406" },
    { "POST", "/v1/objects", api_objects_post, 0, "getObjects", "State values of up to 1,000 ids (32 bytes each, one after the other) at one moment", "", JSON, "200|413|415" },
    { "GET", "/v1/check", api_check, 0, "check", "May this agreement, or slots of it, be used now?", "agreement:object id, 64 hex digits (required)|slot:0 to 63, may be repeated", JSON, "200" },
    { "GET", "/v1/terms", api_terms, API_READER, "listTerms", "All standing terms", "cursor:from the page before|limit:1 to 1000", JSON, "200|401" },
    { "GET", "/v1/challenge", api_challenge, 0, "getChallenge", "A nonce to sign for reads by key", "key:compressed public key, 66 hex digits (required)", JSON, "200" },
    { "GET", "/v1/parties/{party}/agreements", api_party_agreements, 0, "listPartyAgreements", "Objects in which a key, profile or terms is a party; needs Consent-Challenge and Consent-Signature",
      "cursor:from the page before|limit:1 to 1000", JSON, "200|401|404|429" },
    { "PUT", "/v1/mailboxes/{id}", api_mailbox_put, API_KEY, "openMailbox", "Open a mailbox, or keep it open", "", JSON, "200|201|401|404|429|507" },
    { "DELETE", "/v1/mailboxes/{id}", api_mailbox_delete, API_KEY, "closeMailbox", "Close a mailbox and delete what is in it", "", JSON, "200|401|404" },
    { "POST", "/v1/mailboxes/{id}/deliveries", api_mailbox_deposit, 0, "deposit", "Put a sealed delivery of 1 to 307,200 bytes into a mailbox", "node:name of the mailbox's home node, default this one", JSON,
      "200|201|404|413|415|429|507" },
    { "GET", "/v1/mailboxes/{id}/deliveries", api_mailbox_fetch, API_KEY | API_NO_HEAD, "fetchDeliveries", "Deliveries that wait, oldest first",
      "after:only those with a higher number|limit:1 to 64|wait:seconds to wait for the first one, 0 to 60", JSON, "200|401|404|429" },
    { "DELETE", "/v1/mailboxes/{id}/deliveries", api_mailbox_acknowledge, API_KEY, "acknowledgeDeliveries", "Delete deliveries that have arrived", "through:number of the newest of them (required)", JSON, "200|401|404" },
    { "GET", "/v1/public", api_public_list, 0, "listPublicBodies", "Public bodies of TERMS and PROFILEs that a node keeps, all of them: whoever searches does so at home",
      "node:name of the node that keeps them, default this one|cursor:from the page before", JSON, "200|404|429" },
    { "PUT", "/v1/public/{id}", api_public_put, API_SIGNED, "putPublicBody", "Let everybody read the body of these TERMS or this PROFILE, as much of it as is there", "", JSON,
      "200|201|401|404|409|413|415|429|507" },
    { "DELETE", "/v1/public/{id}", api_public_delete, API_SIGNED, "deletePublicBody", "Take it away again", "", JSON, "200|401|404|429" },
    { "GET", "/v1/feed", api_feed, API_READER | API_NO_HEAD, "feed", "Events as they become final", "after:log index, or 'now'|follow:0 ends at the present tip", "text/event-stream|application/x-ndjson", "200|401|406|429" },
    { "GET", "/v1/consistency", api_consistency, 0, "consistency", "Consistency proof between two sizes of the log (RFC 6962)", "from:size (required)|to:size, default the newest checkpoint's", JSON, "200" },
    { "GET", "/v1/network", api_network, 0, "network", "The network: genesis, policy, members", "", JSON, "200" },
    { "GET", "/v1/genesis", api_genesis, 0, "genesis", "The genesis document's exact bytes", "", JSON, "200" },
    { "GET", "/v1/policy", api_policy, 0, "policy", "The network's trust file (C2SP tlog-policy)", "", "text/plain", "200" },
    { "GET", "/v1/status", api_status, 0, "status", "Height, pool, quorum, disk", "", JSON, "200" },
    { "GET", "/v1/evidence", api_evidence, 0, "evidence", "Votes of members that contradict each other, as they were signed", "", JSON, "200" },
    { "GET", "/checkpoint", api_checkpoint, 0, "checkpoint", "The newest checkpoint (C2SP tlog-checkpoint)", "", "text/plain", "200|404" },
    { "GET", "/tile/entries/{number+}", api_tile_entries, API_READER, "tileEntries", "Entries of the log (C2SP tlog-tiles)", "", "application/octet-stream", "200|401|404" },
    { "GET", "/tile/{level}/{number+}", api_tile, API_READER, "tile", "Hashes of the log (C2SP tlog-tiles)", "", "application/octet-stream", "200|401|404" },
    { "GET", "/livez", api_livez, 0, "livez", "The process answers", "", "text/plain", "200" },
    { "GET", "/readyz", api_readyz, 0, "readyz", "The node takes and orders records", "", "text/plain", "200" },
    { "GET", "/metrics", api_metrics, 0, "metrics", "Counters as Prometheus text", "", "text/plain", "200" },
    { "GET", "/openapi.json", api_openapi, 0, "openapi", "This description", "", JSON, "200" },
};
const size_t api_route_count = sizeof api_routes / sizeof api_routes[0];

enum cl_status api_new(struct api **out, struct node *node)
{
    char sentence[256] = "";
    struct api *api = calloc(1, sizeof *api);
    if (api == NULL) return CL_E_MEMORY;
    api->node = node;
    enum cl_status status = access_new(&api->access, &node->options.config, sentence, sizeof sentence);
    if (status == CL_OK) status = challenges_new(&api->challenges);
    if (status != CL_OK) {
        if (sentence[0] != '\0') node_fail(node, status, "%s", sentence);
        api_free(api);
        return status;
    }
    *out = api;
    return CL_OK;
}

void api_free(struct api *api)
{
    if (api == NULL) return;
    access_free(api->access);
    challenges_free(api->challenges);
    free(api);
}

/* ---- answers */
void api_answer_json(struct http_request *request, unsigned status, json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    if (text == NULL) {
        api_fail(request, CL_E_MEMORY);
        return;
    }
    http_answer(request, status, status >= 400 ? "application/problem+json" : "application/json", text, strlen(text));
    free(text);
}

void api_tell_operator(enum cl_status status)
{
    static atomic_uint_fast64_t told_ms;
    if (!status_is_fatal(status)) return;
    uint64_t now_ms = node_now_ms(), before_ms = atomic_load(&told_ms);
    if (now_ms - before_ms < 1000 || !atomic_compare_exchange_strong(&told_ms, &before_ms, now_ms)) return;
    log_line(LOG_LEVEL_ERROR, "read_failed", "code=%s sentence=\"%s\"", cl_status_code(status), cl_status_sentence(status));
}

void api_problem(struct http_request *request, unsigned http_status, enum cl_status code, int64_t entry, const char *detail)
{
    char body[1024];
    char *quoted = NULL;
    api_tell_operator(code);
    json_t *text = detail != NULL ? json_string(detail) : NULL;
    if (text != NULL) quoted = json_dumps(text, JSON_ENCODE_ANY);
    json_decref(text);
    /* Sentences of ours hold no character that JSON escapes. Made without the heap, so that it works when memory is short. */
    char entry_text[48] = "";
    if (entry >= 0) snprintf(entry_text, sizeof entry_text, ",\"entry\":%lld", (long long)entry);
    snprintf(body, sizeof body, "{\"type\":\"urn:consent:problem:%s\",\"title\":\"%s\",\"status\":%u,\"code\":\"%s\"%s%s%.400s}", cl_status_code(code),
             cl_status_sentence(code), http_status, cl_status_code(code), entry_text, quoted != NULL && strlen(quoted) <= 400 ? ",\"detail\":" : "",
             quoted != NULL && strlen(quoted) <= 400 ? quoted : "");
    free(quoted);
    if (http_status == 429 || http_status == 503) http_set_header(request, "Retry-After", "1");
    http_answer(request, http_status, "application/problem+json", body, strlen(body));
}

unsigned api_status_of(enum cl_status status)
{
    if (status >= CL_E_REPLAY && status <= CL_E_NOTHING_APPLIES) return 409;
    if (status == CL_E_NOT_FOUND) return 404;
    if (status == CL_E_PENDING) return 409;
    if (status == CL_E_RECORD_SIZE) return 413;
    if (status == CL_E_LOCKED) return 401;
    if (status == CL_E_BOUND || status == CL_E_CANCELLED) return 503;
    if (status_is_fatal(status) || status == CL_E_PROOF || status == CL_E_QUORUM || status == CL_E_FORK) return 500;
    return 400;
}

void api_fail(struct http_request *request, enum cl_status status)
{
    api_problem(request, api_status_of(status), status, -1, NULL);
}

/* ---- Accept */
int api_choose(const struct http_request *request, const char *const *types)
{
    return media_choose(http_header(request, "Accept"), types);
}

/* ---- parameters */
bool api_hex_argument(uint8_t *out, size_t length, const char *text)
{
    return text != NULL && hex_decode(out, length, text, strlen(text));
}

bool api_query_number(const struct http_request *request, const char *name, uint64_t *out, bool *present)
{
    const char *text = http_query(request, name);
    char *end = NULL;
    *present = text != NULL;
    if (text == NULL) return true;
    if (text[0] < '0' || text[0] > '9' || strlen(text) > 19) return false;
    *out = strtoull(text, &end, 10);
    return *end == '\0';
}

enum cl_status api_ask_owner(struct api_call *call, void (*run)(void *owner, void *context), http_handler_fn then, void *context)
{
    http_wait(call->request, then, context);
    return inbox_put(&call->api->node->inbox, INBOX_HTTP, run, context);
}

/* ---- the router */
static void answer_method(struct http_request *request, const char *allow)
{
    http_set_header(request, "Allow", allow);
    api_problem(request, 405, CL_E_UNSUPPORTED, -1, "This path does not take that method.");
}

bool api_open_reads(const struct api *api) { return api->node->genesis.core.value.parameters.open_reads == 1; }

static bool may_read(const struct api *api, const struct http_request *request)
{
    return api_open_reads(api) || access_reader(api->access, request);
}

/* Two values for one parameter: whoever looks at the request before or after us may take the other. */
static bool has_doubles(const struct http_request *request, const struct api_route *route)
{
    for (const char *at = route->query; *at != '\0';) {
        size_t length = strcspn(at, "|"), name_length = strcspn(at, ":");
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)name_length, at);
        if (strcmp(name, "slot") != 0 && http_query_count(request, name) > 1) return true;
        at += length + (at[length] == '|');
    }
    return false;
}

static void serve(struct api_call *call, const struct api_route *route)
{
    struct http_request *request = call->request;
    if (http_body_no_room(request)) {
        api_problem(request, 503, CL_E_BOUND, -1, "Too many large requests at a time; send it again.");
    } else if (http_body_too_large(request)) {
        bool delivery = route->handle == api_mailbox_deposit;
        bool body = route->handle == api_public_put;
        api_problem(request, 413, delivery || body ? CL_E_BOUND : CL_E_RECORD_SIZE, -1, delivery ? API_DELIVERY_SIZE : body ? API_PUBLIC_SIZE : NULL);
    } else if ((route->flags & API_READER) != 0 && !may_read(call->api, request)) {
        http_set_header(request, "WWW-Authenticate", "Bearer realm=\"consent\"");
        api_problem(request, 401, CL_E_LOCKED, -1, "Reading everything needs a reader's token.");
    } else if (has_doubles(request, route)) {
        api_problem(request, 400, CL_E_ARGUMENT, -1, "A parameter is there more than once.");
    } else {
        route->handle(call);
    }
}

void api_handle(void *context, struct http_request *request)
{
    struct api *api = context;
    struct api_call call = { .api = api, .request = request };
    const char *method = http_method(request), *path = http_path(request);
    char allow[64] = "";
    /* Most answers are one reader's, or true for a moment: a cache between us and others must not hand them on. */
    http_set_header(request, "Cache-Control", "no-store");
    if (api_origin(&call)) return;
    if (atomic_load(&api->node->stopping)) {
        api_fail(request, CL_E_CANCELLED);
        return;
    }
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        if (!route_match(route->path, path, call.arguments)) continue;
        bool head = strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0 && (route->flags & API_NO_HEAD) == 0;
        if (strcmp(method, route->method) != 0 && !head) {
            size_t used = strlen(allow);
            snprintf(allow + used, sizeof allow - used, "%s%s%s", used > 0 ? ", " : "", route->method, strcmp(route->method, "GET") == 0 && (route->flags & API_NO_HEAD) == 0 ? ", HEAD" : "");
            continue;
        }
        serve(&call, route);
        return;
    }
    if (allow[0] != '\0') answer_method(request, allow);
    else api_problem(request, 404, CL_E_NOT_FOUND, -1, "There is no such path; see /openapi.json.");
}

/* ---- JSON */
int json_set_hex(json_t *object, const char *key, const uint8_t *bytes, size_t length)
{
    char text[2 * 64 + 1];
    if (length > 64) return -1;
    hex_encode(text, bytes, length);
    return json_object_set_new(object, key, json_string(text));
}

json_t *json_base64(const uint8_t *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc((length + 2) / 3 * 4 + 1), *at = text;
    if (text == NULL) return NULL;
    for (size_t i = 0; i < length; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16 | (i + 1 < length ? (uint32_t)bytes[i + 1] << 8 : 0) | (i + 2 < length ? bytes[i + 2] : 0u);
        *at++ = digits[group >> 18];
        *at++ = digits[group >> 12 & 63];
        *at++ = i + 1 < length ? digits[group >> 6 & 63] : '=';
        *at++ = i + 2 < length ? digits[group & 63] : '=';
    }
    json_t *value = json_stringn(text, (size_t)(at - text));
    free(text);
    return value;
}

int json_set_base64(json_t *object, const char *key, const uint8_t *bytes, size_t length)
{
    return json_object_set_new(object, key, json_base64(bytes, length));
}

json_t *json_slots(uint64_t slots)
{
    json_t *array = json_array();
    for (unsigned i = 0; array != NULL && i < 64; i++)
        if ((slots >> i & 1) != 0) json_array_append_new(array, json_integer(i));
    return array;
}

json_t *json_tip(const struct cl_tip *tip)
{
    json_t *object = json_pack("{s:I,s:I,s:I}", "height", (json_int_t)tip->height, "log_size", (json_int_t)tip->log_size, "time_ms", (json_int_t)tip->time_ms);
    if (object != NULL) json_set_hex(object, "block_id", tip->block.bytes, 32);
    return object;
}

json_t *json_as_of(struct cl_ledger_view *view)
{
    struct cl_tip tip;
    return cl_view_tip(view, &tip) == CL_OK ? json_tip(&tip) : NULL;
}
