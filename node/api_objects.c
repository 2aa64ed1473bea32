/* Agreements, terms and profiles over HTTP: state, history, proofs, lists, and the answer to "may it be used now?" */
#include "api_private.h"

#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HISTORY_MAX = 256, PAGE_MAX = 1000, PAGE_DEFAULT = 100, VALUES_BYTES_MAX = 4 * 1024 * 1024 };
static const char *const object_types[] = { "application/json", "application/consent-proof", NULL };

/* ---- one object */
static enum cl_status add_history(json_t *object, struct api *api, struct cl_ledger_view *view, const uint8_t id32[32], uint64_t before)
{
    uint64_t indexes[HISTORY_MAX];
    size_t count = 0;
    bool more = false;
    json_t *array = json_array();
    enum cl_status status = cl_view_history(view, indexes, HISTORY_MAX, &count, &more, id32, before);
    for (size_t i = 0; i < count && status == CL_OK; i++) {
        struct final_record record;
        status = final_record_load(&record, view, &api->node->genesis.core.network, indexes[i]);
        if (status != CL_OK) break;
        json_t *one = record_json(&record.record, record.log_index, record.height, record.block_time_ms);
        if (one != NULL) {
            json_object_del(one, "objects");
            json_set_base64(one, "record", record.bytes.data, record.bytes.length);
        }
        json_array_append_new(array, one);
        final_record_deinit(&record);
    }
    json_object_set_new(object, "history", array);
    json_object_set_new(object, "history_more", json_boolean(more));
    return status;
}

static void answer_object(struct api_call *call, const uint8_t id32[32])
{
    struct cl_ledger_view *view = NULL;
    struct cl_buffer value = { 0 };
    const char *kind = "", *history = http_query(call->request, "history");
    uint64_t before = UINT64_MAX;
    bool present;
    json_t *object = NULL, *state = NULL;
    if (!api_query_number(call->request, "before", &before, &present)) {
        api_problem(call->request, 400, CL_E_ARGUMENT, -1, "before is a log index.");
        return;
    }
    enum cl_status status = cl_ledger_view_new(&view, call->api->node->ledger);
    if (status == CL_OK) status = cl_view_state(view, &value, id32);
    if (status == CL_OK) state = state_json(&status, &kind, value.data, value.length, node_now_ms());
    if (status == CL_OK) {
        object = json_pack("{s:i,s:s,s:o,s:o}", "version", 1, "kind", kind, "state", state, "as_of", json_as_of(view));
        if (object == NULL) status = CL_E_MEMORY;
    }
    if (status == CL_OK) {
        json_set_hex(object, "id", id32, 32);
        json_set_base64(object, "value", value.data, value.length);
        if (history == NULL || strcmp(history, "0") != 0) status = add_history(object, call->api, view, id32, before);
    }
    cl_ledger_view_free(view);
    cl_buffer_deinit(&value);
    if (status == CL_OK) {
        api_answer_json(call->request, 200, object);
        return;
    }
    json_decref(object);
    if (status == CL_E_BOUND && present) api_problem(call->request, 400, CL_E_BOUND, -1, "More than 16,384 newer records would have to be passed; the log itself has them all.");
    else api_fail(call->request, status);
}

struct proof_job { struct api_call call; uint8_t id[32]; struct cl_buffer proof; enum cl_status status; };

static void make_proof(void *owner, void *context)
{
    struct node *node = owner;
    struct proof_job *job = context;
    job->status = cl_ledger_proof(node->ledger, &job->proof, job->id);
    http_wake(job->call.request);
}

static void on_proof(void *context, struct http_request *request)
{
    struct proof_job *job = context;
    if (job->status == CL_OK) http_answer(request, 200, "application/consent-proof", job->proof.data, job->proof.length);
    else api_fail(request, job->status);
    cl_buffer_deinit(&job->proof);
    free(job);
}

void api_object_get(struct api_call *call)
{
    uint8_t id[32];
    int type = api_choose(call->request, object_types);
    if (!api_hex_argument(id, 32, call->arguments[0])) {
        api_problem(call->request, 400, CL_E_ARGUMENT, -1, "An object id is 64 lower-case hex digits.");
        return;
    }
    if (type < 0) {
        api_problem(call->request, 406, CL_E_UNSUPPORTED, -1, NULL);
        return;
    }
    if (type == 0) {
        answer_object(call, id);
        return;
    }
    struct proof_job *job = calloc(1, sizeof *job); /* the tree is the owner's */
    enum cl_status status = CL_E_MEMORY;
    if (job != NULL) {
        job->call = *call;
        memcpy(job->id, id, 32);
        status = api_ask_owner(&job->call, make_proof, on_proof, job);
        if (status == CL_OK) return;
    }
    free(job);
    api_fail(call->request, status);
}

/* ---- many at once */
static bool ids_type_good(const struct http_request *request)
{
    const char *type = http_header(request, "Content-Type");
    size_t length = type == NULL ? 0 : strcspn(type, "; ");
    return type == NULL || (length == 24 && strncasecmp(type, "application/octet-stream", length) == 0);
}

static enum cl_status add_values(json_t *array, struct cl_ledger_view *view, struct cl_view ids)
{
    struct cl_buffer value = { 0 };
    enum cl_status status = CL_OK;
    size_t total = 0;
    for (size_t at = 0; at < ids.length && status == CL_OK; at += 32) {
        status = cl_view_state(view, &value, ids.data + at);
        if (status == CL_OK) total += value.length;
        if (total > VALUES_BYTES_MAX) status = CL_E_BOUND; /* one large value, asked for a thousand times */
        json_t *text = status == CL_OK ? json_base64(value.data, value.length) : status == CL_E_NOT_FOUND ? json_null() : NULL;
        if (status == CL_E_NOT_FOUND) status = CL_OK;
        if (status == CL_OK && json_array_append_new(array, text) != 0) status = CL_E_MEMORY;
    }
    cl_buffer_deinit(&value);
    return status;
}

/* One snapshot answers for all: whoever has thousands of terms to look at does not ask thousands of times. */
void api_objects_post(struct api_call *call)
{
    struct cl_view ids = http_body(call->request);
    struct cl_ledger_view *view = NULL;
    if (!ids_type_good(call->request)) {
        api_problem(call->request, 415, CL_E_UNSUPPORTED, -1, "Ids are sent as application/octet-stream.");
        return;
    }
    if (ids.length == 0 || ids.length % 32 != 0 || ids.length > 32 * PAGE_MAX) {
        api_problem(call->request, ids.length > 32 * PAGE_MAX ? 413 : 400, CL_E_ARGUMENT, -1, "The body is 1 to 1,000 ids of 32 bytes each.");
        return;
    }
    json_t *array = json_array(), *tip = NULL;
    enum cl_status status = array == NULL ? CL_E_MEMORY : cl_ledger_view_new(&view, call->api->node->ledger);
    if (status == CL_OK) status = add_values(array, view, ids);
    if (status == CL_OK) tip = json_as_of(view);
    cl_ledger_view_free(view);
    if (status != CL_OK) {
        json_decref(array);
        api_problem(call->request, status == CL_E_BOUND ? 413 : api_status_of(status), status, -1, NULL);
        return;
    }
    api_answer_json(call->request, 200, json_pack("{s:i,s:o,s:o}", "version", 1, "as_of", tip, "values", array));
}

/* ---- check */
struct slot_reader { uint64_t slots; bool bad; };

static void read_slot(void *context, const char *value)
{
    struct slot_reader *reader = context;
    size_t digits = strspn(value, "0123456789");
    unsigned long slot = digits == 1 || digits == 2 ? strtoul(value, NULL, 10) : 64;
    if (value[digits] != '\0' || slot > 63) reader->bad = true;
    else reader->slots |= 1ull << slot;
}

void api_check(struct api_call *call)
{
    uint8_t id[32];
    struct slot_reader slots = { 0 };
    bool accepted = false;
    http_query_each(call->request, "slot", read_slot, &slots);
    if (!api_hex_argument(id, 32, http_query(call->request, "agreement")) || slots.bad) {
        api_problem(call->request, 400, CL_E_ARGUMENT, -1, "agreement is 64 lower-case hex digits, slot is 0 to 63.");
        return;
    }
    struct cl_tip as_of;
    enum cl_status answer = node_check(call->api->node, id, slots.slots, node_now_ms(), &accepted, &as_of);
    bool known = answer == CL_OK || answer == CL_E_OBJECT_KIND || answer == CL_E_NO_OBJECT || answer == CL_E_EXPIRED ||
                 (answer >= CL_E_NOT_ACTIVE && answer <= CL_E_SLOT_NOT_LIVE);
    if (!known) {
        api_fail(call->request, answer);
        return;
    }
    json_t *object = json_pack("{s:i,s:b,s:s,s:s,s:b,s:o}", "version", 1, "allowed", answer == CL_OK, "code", cl_status_code(answer), "title",
                               answer == CL_OK ? "It may be used." : cl_status_sentence(answer), "accepted_withdrawal", (int)accepted, "as_of", json_tip(&as_of));
    api_answer_json(call->request, 200, object);
}

/* ---- lists. A cursor is the last id of the page before; clients treat it as opaque. */
static bool read_page(const struct api_call *call, struct cl_object_id *cursor, bool *has_cursor, size_t *limit)
{
    uint64_t number = PAGE_DEFAULT;
    bool present;
    const char *text = http_query(call->request, "cursor");
    *has_cursor = text != NULL;
    if (text != NULL && !api_hex_argument(cursor->bytes, 32, text)) return false;
    if (!api_query_number(call->request, "limit", &number, &present) || number < 1 || number > PAGE_MAX) return false;
    *limit = (size_t)number;
    return true;
}

static json_t *list_objects(struct cl_ledger_view *view, const struct cl_object_id *ids, size_t count, bool with_kind, enum cl_status *status)
{
    json_t *array = json_array();
    struct cl_buffer value = { 0 };
    uint64_t now = node_now_ms();
    for (size_t i = 0; i < count && *status == CL_OK; i++) {
        const char *kind = "";
        *status = cl_view_state(view, &value, ids[i].bytes);
        json_t *state = *status == CL_OK ? state_json(status, &kind, value.data, value.length, now) : NULL;
        json_t *one = state != NULL ? json_pack("{s:o}", "state", state) : NULL;
        if (one == NULL) break;
        json_set_hex(one, "id", ids[i].bytes, 32);
        if (with_kind) json_object_set_new(one, "kind", json_string(kind));
        json_array_append_new(array, one);
    }
    cl_buffer_deinit(&value);
    return array;
}

static void answer_list(struct api_call *call, const char *name, json_t *array, const struct cl_object_id *ids, size_t count, size_t limit)
{
    json_t *object = json_pack("{s:i,s:o}", "version", 1, name, array);
    if (object != NULL) {
        if (count == limit) json_set_hex(object, "cursor", ids[count - 1].bytes, 32);
        else json_object_set_new(object, "cursor", json_null());
    }
    api_answer_json(call->request, 200, object);
}

void api_terms(struct api_call *call)
{
    struct cl_object_id cursor, *ids = malloc(PAGE_MAX * sizeof *ids);
    struct cl_ledger_view *view = NULL;
    bool has_cursor = false;
    size_t limit = 0, count = 0;
    if (ids == NULL) {
        api_fail(call->request, CL_E_MEMORY);
        return;
    }
    if (!read_page(call, &cursor, &has_cursor, &limit)) {
        free(ids);
        api_problem(call->request, 400, CL_E_ARGUMENT, -1, "cursor comes from the page before, limit is 1 to 1000.");
        return;
    }
    json_t *array = NULL;
    enum cl_status status = cl_ledger_view_new(&view, call->api->node->ledger);
    if (status == CL_OK) status = cl_view_terms(view, ids, limit, &count, has_cursor ? &cursor : NULL);
    if (status == CL_OK) array = list_objects(view, ids, count, false, &status);
    cl_ledger_view_free(view);
    if (status == CL_OK) {
        answer_list(call, "terms", array, ids, count, limit);
    } else {
        json_decref(array);
        api_fail(call->request, status);
    }
    free(ids);
}

void api_challenge(struct api_call *call)
{
    uint8_t key[33], nonce[32];
    uint64_t expires_ms = 0;
    if (!api_hex_argument(key, 33, http_query(call->request, "key"))) {
        api_problem(call->request, 400, CL_E_ARGUMENT, -1, "key is 66 lower-case hex digits.");
        return;
    }
    enum cl_status status = challenge_make(call->api->challenges, nonce, &expires_ms, key, node_now_ms());
    if (status != CL_OK) {
        api_fail(call->request, status);
        return;
    }
    json_t *object = json_pack("{s:i,s:I}", "version", 1, "expires_ms", (json_int_t)expires_ms);
    if (object != NULL) json_set_hex(object, "nonce", nonce, 32);
    api_answer_json(call->request, 200, object);
}

/* A party's present key: the key itself, a profile's key, the owner of terms. */
static enum cl_status present_key(uint8_t key33[33], struct cl_ledger_view *view, const struct cl_party *party)
{
    struct cl_buffer value = { 0 };
    struct cl_profile profile;
    struct cl_terms terms;
    if (party->length == 33) {
        memcpy(key33, party->bytes, 33);
        return CL_OK;
    }
    enum cl_status status = cl_view_state(view, &value, party->bytes);
    if (status == CL_OK) {
        status = cl_profile_decode(&profile, value.data, value.length);
        if (status == CL_OK) {
            memcpy(key33, profile.key, 33);
        } else {
            status = cl_terms_decode(&terms, value.data, value.length);
            if (status == CL_OK) memcpy(key33, terms.owner, 33);
        }
        if (status != CL_OK) status = CL_E_NOT_FOUND;
    }
    cl_buffer_deinit(&value);
    return status;
}

enum cl_status api_signed_by(struct api_call *call, struct cl_ledger_view *view, const struct cl_party *party)
{
    uint8_t key[33], nonce[32], signature[64];
    enum cl_status status = present_key(key, view, party);
    if (status != CL_OK) return status;
    if (!api_hex_argument(nonce, 32, http_header(call->request, "Consent-Challenge")) ||
        !api_hex_argument(signature, 64, http_header(call->request, "Consent-Signature")))
        return CL_E_LOCKED;
    return challenge_check(call->api->challenges, &call->api->node->genesis.core.network, nonce, signature, key, node_now_ms());
}

void api_party_agreements(struct api_call *call)
{
    struct cl_party party = { 0 };
    struct cl_object_id cursor, *ids = NULL;
    struct cl_ledger_view *view = NULL;
    bool has_cursor = false;
    size_t limit = 0, count = 0;
    json_t *array = NULL;
    if (api_hex_argument(party.bytes, 33, call->arguments[0])) party.length = 33;
    else if (api_hex_argument(party.bytes, 32, call->arguments[0])) party.length = 32;
    if (party.length == 0 || !read_page(call, &cursor, &has_cursor, &limit)) {
        api_problem(call->request, 400, CL_E_ARGUMENT, -1, "A party is a key (66 lower-case hex digits) or an object id (64); limit is 1 to 1000.");
        return;
    }
    ids = malloc(PAGE_MAX * sizeof *ids);
    enum cl_status status = ids != NULL ? cl_ledger_view_new(&view, call->api->node->ledger) : CL_E_MEMORY;
    if (status == CL_OK) status = api_signed_by(call, view, &party);
    if (status == CL_OK) status = cl_view_party_objects(view, ids, limit, &count, &party, has_cursor ? &cursor : NULL);
    if (status == CL_OK) array = list_objects(view, ids, count, true, &status);
    cl_ledger_view_free(view);
    if (status == CL_OK) {
        answer_list(call, "agreements", array, ids, count, limit);
    } else if (status == CL_E_LOCKED) {
        api_problem(call->request, 401, CL_E_LOCKED, -1, "A fresh challenge, signed by the party's present key, is needed.");
        json_decref(array);
    } else {
        json_decref(array);
        api_problem(call->request, status == CL_E_BOUND ? 429 : api_status_of(status), status, -1, NULL);
    }
    free(ids);
}
