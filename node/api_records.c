/* Records over HTTP: submitting them, their status, bytes and receipts. */
#include "api_private.h"

#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COVER_WAIT_MS 30000u /* how long a GET waits for the checkpoint over what is final, as a POST does unless told otherwise */

enum { AS_JSON, AS_TEXT, AS_COSE_RECEIPT, AS_BYTES };
static const char *const receipt_types[] = { "application/json", "text/plain", "application/scitt-receipt+cose", NULL };
static const char *const record_types[] = { "application/json", "text/plain", "application/scitt-receipt+cose", "application/cose", NULL };

struct post { struct api_call call; struct submission submission; int type; };

/* ---- receipts */
struct receipt { struct cl_buffer note, text, cose; };

static void receipt_deinit(struct receipt *receipt)
{
    cl_buffer_deinit(&receipt->note);
    cl_buffer_deinit(&receipt->text);
    cl_buffer_deinit(&receipt->cose);
}

/* CL_E_PENDING: the newest checkpoint does not reach the record yet. */
static enum cl_status make_receipt(struct receipt *out, struct api *api, struct cl_ledger_view *view, uint64_t log_index)
{
    const struct node *node = api->node;
    struct cl_hash path[CL_LOG_PATH_MAX];
    size_t count = 0;
    struct cl_note_key key;
    struct cl_checkpoint *checkpoint = malloc(sizeof *checkpoint);
    memset(out, 0, sizeof *out);
    if (checkpoint == NULL) return CL_E_MEMORY;
    enum cl_status status = cl_view_checkpoint(view, &out->note);
    if (status == CL_E_NOT_FOUND) status = CL_E_PENDING;
    if (status == CL_OK) status = cl_checkpoint_decode(checkpoint, out->note.data, out->note.length);
    if (status == CL_OK && log_index >= checkpoint->size) status = CL_E_PENDING;
    if (status == CL_OK) status = cl_view_inclusion(view, path, &count, log_index, checkpoint->size);
    if (status == CL_OK) status = cl_tlog_proof_encode(&out->text, log_index, path, count, out->note.data, out->note.length);
    cl_note_key_make(&key, node->genesis.core.origin, CL_NOTE_ED25519, node->keys.log);
    if (status == CL_OK)
        status = cl_cose_receipt_encode(&out->cose, checkpoint->size, log_index, path, count, &checkpoint->root, node->keys.log_seed, key.id, sizeof key.id);
    free(checkpoint);
    return status;
}

static json_t *final_json(const struct final_record *record)
{
    json_t *object = record_json(&record->record, record->log_index, record->height, record->block_time_ms);
    if (object == NULL) return NULL;
    json_object_set_new(object, "version", json_integer(1));
    json_object_set_new(object, "status", json_string("final"));
    json_set_hex(object, "id", record->record.id.bytes, 32);
    return object;
}

/* As answer_if_final. */
static enum cl_status answer_receipt(struct api_call *call, struct cl_ledger_view *view, const struct final_record *record, int type, unsigned http_status)
{
    struct receipt receipt;
    enum cl_status status = make_receipt(&receipt, call->api, view, record->log_index);
    if (status == CL_E_PENDING) {
        receipt_deinit(&receipt);
        return status;
    }
    if (status != CL_OK) {
        api_fail(call->request, status);
    } else if (type == AS_TEXT) {
        http_answer(call->request, http_status, "text/plain; charset=utf-8", receipt.text.data, receipt.text.length);
    } else if (type == AS_COSE_RECEIPT) {
        http_answer(call->request, http_status, receipt_types[AS_COSE_RECEIPT], receipt.cose.data, receipt.cose.length);
    } else {
        json_t *object = final_json(record);
        if (object != NULL) {
            json_object_set_new(object, "receipt", json_stringn((const char *)receipt.text.data, receipt.text.length));
            json_object_set_new(object, "checkpoint", json_stringn((const char *)receipt.note.data, receipt.note.length));
            json_set_base64(object, "cose_receipt", receipt.cose.data, receipt.cose.length);
        }
        api_answer_json(call->request, http_status, object);
    }
    receipt_deinit(&receipt);
    return CL_OK;
}

static void set_location(struct http_request *request, const struct cl_record_id *id)
{
    char location[96] = "/v1/records/";
    hex_encode(location + strlen(location), id->bytes, 32);
    http_set_header(request, "Location", location);
}

/* CL_OK: it was answered, be it with a problem. Else it was not: CL_E_NOT_FOUND, the record is not final; CL_E_PENDING, it
   is, but its receipt is asked for and no checkpoint that is kept covers it yet: wait_for_receipt. */
static enum cl_status answer_if_final(struct api_call *call, const struct cl_record_id *id, int type, bool with_receipt, unsigned http_status)
{
    struct cl_ledger_view *view = NULL;
    struct final_record record = { 0 };
    uint64_t log_index = 0;
    enum cl_status status = cl_ledger_view_new(&view, call->api->node->ledger);
    if (status == CL_OK) status = cl_view_record_place(view, &log_index, id);
    if (status == CL_E_NOT_FOUND) {
        cl_ledger_view_free(view);
        return status;
    }
    enum cl_status answered = CL_OK;
    if (status == CL_OK) status = final_record_load(&record, view, &call->api->node->genesis.core.network, log_index);
    if (status == CL_E_NOT_FOUND || (status == CL_OK && memcmp(record.record.id.bytes, id->bytes, 32) != 0))
        status = CL_E_STORE_CORRUPT; /* the index of places points elsewhere */
    if (status != CL_OK) {
        api_fail(call->request, status);
    } else if (type == AS_BYTES) {
        http_answer(call->request, http_status, "application/cose", record.bytes.data, record.bytes.length);
    } else if (with_receipt || type == AS_TEXT || type == AS_COSE_RECEIPT) {
        answered = answer_receipt(call, view, &record, type, http_status);
    } else {
        json_t *object = final_json(&record);
        if (object != NULL) json_set_base64(object, "record", record.bytes.data, record.bytes.length);
        api_answer_json(call->request, http_status, object);
    }
    final_record_deinit(&record);
    cl_ledger_view_free(view);
    return answered;
}

/* ---- POST */
static void answer_pending(struct post *post, unsigned http_status)
{
    const struct submission *submission = &post->submission;
    json_t *object = json_pack("{s:i,s:s}", "version", 1, "status", submission->outcome == OUTCOME_FINAL ? "final" : "pending");
    if (object != NULL) {
        json_set_hex(object, "id", submission->record->record.id.bytes, 32);
        json_set_hex(object, "leaf_hash", submission->record->record.leaf_hash.bytes, 32);
        if (submission->acceptance.length > 0) {
            json_set_base64(object, "acceptance", submission->acceptance.data, submission->acceptance.length);
            json_object_set_new(object, "accepted_ms", json_integer((json_int_t)submission->accepted_ms));
        }
    }
    api_answer_json(post->call.request, http_status, object);
}

static void post_free(struct post *post)
{
    cl_buffer_deinit(&post->submission.acceptance);
    if (post->submission.record != NULL) cl_ledger_record_unref(post->submission.record);
    free(post);
}

static void on_outcome(void *context, struct http_request *request)
{
    struct post *post = context;
    const struct submission *submission = &post->submission;
    const struct cl_record_id *id = &submission->record->record.id;
    switch (submission->outcome) {
    case OUTCOME_REFUSED: api_problem(request, api_status_of(submission->status), submission->status, submission->entry, NULL); break;
    case OUTCOME_NONE:
    case OUTCOME_STOPPED: api_fail(request, CL_E_CANCELLED); break;
    case OUTCOME_ACCEPTED:
    case OUTCOME_KNOWN_PENDING: answer_pending(post, submission->outcome == OUTCOME_ACCEPTED ? 202 : 200); break;
    case OUTCOME_FINAL:
        if (!submission->wait_final && !submission->known) answer_pending(post, 202);
        else if (answer_if_final(&post->call, id, post->type, submission->wait_final, submission->known ? 200 : 201) != CL_OK) api_fail(request, CL_E_STORE_CORRUPT);
        break;
    }
    post_free(post);
}

static void on_done(struct submission *submission)
{
    struct post *post = submission->context;
    http_wake(post->call.request);
}

static bool body_type_good(const struct http_request *request)
{
    const char *type = http_header(request, "Content-Type");
    if (type == NULL) return true;
    size_t length = strcspn(type, "; ");
    return (length == 16 && strncasecmp(type, "application/cose", length) == 0) || (length == 24 && strncasecmp(type, "application/octet-stream", length) == 0);
}

/* Reads ?wait= and ?timeout=. False: a problem was answered. */
static bool read_options(struct post *post)
{
    struct http_request *request = post->call.request;
    const char *wait = http_query(request, "wait");
    uint64_t timeout_s = 30;
    bool present;
    if ((wait != NULL && strcmp(wait, "final") != 0) || !api_query_number(request, "timeout", &timeout_s, &present) || timeout_s < 1 || timeout_s > 60) {
        api_problem(request, 400, CL_E_ARGUMENT, -1, "wait is 'final', timeout is 1 to 60 seconds.");
        return false;
    }
    post->submission.wait_final = wait != NULL;
    post->submission.deadline_ms = node_now_ms() + timeout_s * 1000;
    post->type = post->submission.wait_final ? api_choose(request, receipt_types) : AS_JSON;
    if (post->type < 0) api_problem(request, 406, CL_E_UNSUPPORTED, -1, NULL);
    return post->type >= 0;
}

static void submit(struct post *post)
{
    struct api_call *call = &post->call;
    const struct cl_record *record = &post->submission.record->record;
    if (!cl_rules_is_withdrawal(record->type) && !access_submitter(call->api->access, record->signer33)) {
        api_problem(call->request, 403, CL_E_PARTY, -1, "This node takes records from listed keys only.");
        post_free(post);
        return;
    }
    post->submission.done = on_done;
    post->submission.context = post;
    http_wait(call->request, on_outcome, post);
    enum cl_status status = node_submit(call->api->node, &post->submission);
    if (status == CL_OK) return;
    api_fail(call->request, status);
    post_free(post);
}

static void wait_for_cover(void *owner, void *context)
{
    struct post *post = context;
    post->submission.known = true;
    node_finish_final(owner, &post->submission);
}

/* It is final, and its checkpoint is being signed. */
static void wait_for_receipt(struct post *post)
{
    post->submission.done = on_done;
    post->submission.context = post;
    enum cl_status status = api_ask_owner(&post->call, wait_for_cover, on_outcome, post);
    if (status == CL_OK) return;
    api_fail(post->call.request, status);
    post_free(post);
}

void api_records_post(struct api_call *call)
{
    struct cl_view body = http_body(call->request);
    uint32_t entry = 0;
    if (!body_type_good(call->request)) {
        api_problem(call->request, 415, CL_E_UNSUPPORTED, -1, "A record is sent as application/cose.");
        return;
    }
    if (body.length > CL_RECORD_BYTES_MAX) {
        api_problem(call->request, 413, CL_E_RECORD_SIZE, -1, NULL);
        return;
    }
    struct post *post = calloc(1, sizeof *post);
    if (post == NULL) {
        api_fail(call->request, CL_E_MEMORY);
        return;
    }
    post->call = *call;
    if (!read_options(post)) {
        post_free(post);
        return;
    }
    enum cl_status status = cl_ledger_record_new(&post->submission.record, &entry, body.data, body.length, &call->api->node->genesis.core.network);
    if (status != CL_OK) {
        post->submission.record = NULL;
        if (!status_is_fatal(status)) atomic_fetch_add(&call->api->node->counters.malformed, 1);
        api_problem(call->request, api_status_of(status), status, entry, NULL);
        post_free(post);
        return;
    }
    set_location(call->request, &post->submission.record->record.id);
    status = answer_if_final(call, &post->submission.record->record.id, post->type, post->submission.wait_final, 200);
    if (status == CL_E_NOT_FOUND) {
        submit(post);
        return;
    }
    atomic_fetch_add(&call->api->node->counters.duplicates, 1);
    if (status == CL_E_PENDING) wait_for_receipt(post);
    else post_free(post);
}

/* ---- GET: what is not final is asked of the owner */
struct lookup { struct api_call call; struct cl_record_id id; bool pending; struct refusal refusal; struct submission waiter; };

static void look_up(void *owner, void *context)
{
    struct node *node = owner;
    struct lookup *lookup = context;
    const struct refusal *refusal = node_find_refusal(node, &lookup->id);
    lookup->pending = pool_find_id(node->pool, &lookup->id) != NULL;
    if (refusal != NULL) lookup->refusal = *refusal;
    http_wake(lookup->call.request);
}

static void answer_not_final(struct http_request *request, const struct lookup *lookup, int type)
{
    if (type != AS_JSON) {
        api_problem(request, 409, lookup->pending ? CL_E_PENDING : lookup->refusal.status, -1, NULL);
        return;
    }
    json_t *object = json_pack("{s:i,s:s}", "version", 1, "status", lookup->pending ? "pending" : "refused");
    if (object != NULL) {
        json_set_hex(object, "id", lookup->id.bytes, 32);
        if (!lookup->pending) {
            json_object_set_new(object, "code", json_string(cl_status_code(lookup->refusal.status)));
            json_object_set_new(object, "title", json_string(cl_status_sentence(lookup->refusal.status)));
            json_object_set_new(object, "entry", json_integer(lookup->refusal.entry));
        }
    }
    api_answer_json(request, 200, object);
}

static void on_covered(void *context, struct http_request *request)
{
    struct lookup *lookup = context;
    enum cl_status status = lookup->waiter.outcome == OUTCOME_FINAL ? CL_OK : lookup->waiter.outcome == OUTCOME_STOPPED ? CL_E_CANCELLED : CL_E_PENDING;
    if (status == CL_OK) status = answer_if_final(&lookup->call, &lookup->id, api_choose(request, record_types), false, 200);
    if (status == CL_E_PENDING) api_problem(request, 409, CL_E_PENDING, -1, NULL);
    else if (status != CL_OK) api_fail(request, status);
    free(lookup);
}

static void on_waiter_done(struct submission *submission)
{
    struct lookup *lookup = submission->context;
    http_wake(lookup->call.request);
}

static void cover(void *owner, void *context)
{
    struct lookup *lookup = context;
    node_finish_final(owner, &lookup->waiter);
}

/* It is final, and no checkpoint that is kept covers it. */
static void wait_until_covered(struct lookup *lookup)
{
    lookup->waiter = (struct submission){ .wait_final = true, .deadline_ms = node_now_ms() + COVER_WAIT_MS, .done = on_waiter_done, .context = lookup };
    enum cl_status status = api_ask_owner(&lookup->call, cover, on_covered, lookup);
    if (status == CL_OK) return;
    api_fail(lookup->call.request, status);
    free(lookup);
}

static void on_looked_up(void *context, struct http_request *request)
{
    struct lookup *lookup = context;
    int type = api_choose(request, record_types);
    /* It may have become final meanwhile, also where it was refused before. */
    enum cl_status status = lookup->pending ? CL_E_NOT_FOUND : answer_if_final(&lookup->call, &lookup->id, type, false, 200);
    if (status == CL_E_PENDING) {
        wait_until_covered(lookup);
        return;
    }
    if (status != CL_OK && (lookup->pending || lookup->refusal.status != CL_OK)) answer_not_final(request, lookup, type);
    else if (status != CL_OK) api_fail(request, status);
    free(lookup);
}

void api_record_get(struct api_call *call)
{
    struct cl_record_id id;
    int type = api_choose(call->request, record_types);
    if (!api_hex_argument(id.bytes, 32, call->arguments[0])) {
        api_problem(call->request, 400, CL_E_ARGUMENT, -1, "A record id is 64 lower-case hex digits.");
        return;
    }
    if (type < 0) {
        api_problem(call->request, 406, CL_E_UNSUPPORTED, -1, NULL);
        return;
    }
    enum cl_status status = answer_if_final(call, &id, type, false, 200);
    if (status == CL_OK) return;
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup != NULL) {
        lookup->call = *call;
        lookup->id = id;
        if (status == CL_E_PENDING) {
            wait_until_covered(lookup);
            return;
        }
        status = api_ask_owner(&lookup->call, look_up, on_looked_up, lookup);
        if (status == CL_OK) return;
    }
    api_fail(call->request, lookup != NULL ? status : CL_E_MEMORY);
    free(lookup);
}
