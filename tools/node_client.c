/* What the tools ask of a node, and what they believe of its answers: ids are compared with what was signed here, states
   are decoded strictly, counts of signatures come from checking them. */
#include "workspace.h"
#include "consent/code.h"
#include "erasure.h"

#include <stdlib.h>
#include <unistd.h>

#define TIMEOUT_S_MAX 60u /* the longest that a node waits */

static bool url_usable(const char *url)
{
    size_t length = strnlen(url, CL_URL_BYTES_MAX + 1);
    return length <= CL_URL_BYTES_MAX && (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0);
}

/* "node = URL" in $XDG_CONFIG_HOME/consent/config. */
static bool configured_node(char *out, size_t size)
{
    char path[3072], line[1024], value[600];
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    (void)snprintf(path, sizeof path, "%s%s/consent/config", config != NULL && config[0] == '/' ? config : home == NULL ? "." : home, config != NULL && config[0] == '/' ? "" : "/.config");
    FILE *file = fopen(path, "r");
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, " node = %599s", value) == 1) {
            (void)snprintf(out, size, "%s", value);
            found = true;
        }
    if (file != NULL)
        (void)fclose(file);
    return found;
}

int node_open(struct context *context)
{
    char configured[600];
    const char *timeout = option(context, "--timeout");
    if (context->http != NULL)
        return 0;
    context->timeout_s = 30;
    if (timeout != NULL && (!number_parse(&context->timeout_s, timeout, TIMEOUT_S_MAX) || context->timeout_s == 0))
        return output_usage(&context->output, "--timeout takes a number of seconds, 1 to %u.", TIMEOUT_S_MAX);
    const char *url = option(context, "--node");
    if (url == NULL || url[0] == '\0')
        url = getenv("CONSENT_NODE");
    if ((url == NULL || url[0] == '\0') && configured_node(configured, sizeof configured))
        url = configured;
    if ((url == NULL || url[0] == '\0') && context->wallet != NULL && context->wallet->network.known)
        url = context->wallet->network.url;
    if ((url == NULL || url[0] == '\0') && context->code != NULL && context->code->url_count > 0) {
        url = context->code->urls[0];
        context->node_of_code = true;
    }
    if (url == NULL || url[0] == '\0')
        url = "http://127.0.0.1:8780";
    if (!url_usable(url))
        return output_usage(&context->output, "'%.200s' is not the URL of a node.", url);
    size_t length = strlen(url);
    while (length > 0 && url[length - 1] == '/')
        length--;
    memcpy(context->node_url, url, length);
    context->node_url[length] = '\0';
    enum cl_status status = http_client_new(&context->http);
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

int reader_header(struct context *context, char *out, size_t size)
{
    const char *path = option(context, "--reader-token-file");
    struct cl_buffer text = {.secret = true};
    out[0] = '\0';
    if (path == NULL)
        path = getenv("CONSENT_READER_TOKEN_FILE");
    if (path == NULL || path[0] == '\0')
        return 0;
    /* a node of which only a code has told does not get what another node's operator gave */
    if (context->node_of_code)
        return 0;
    int result = file_read(context, &text, path, 4096);
    if (result == 0) {
        size_t length = 0;
        while (length < text.length && text.data[length] > ' ' && text.data[length] < 0x7f)
            length++;
        (void)snprintf(out, size, "Authorization: Bearer %.*s", (int)length, (const char *)text.data);
    }
    cl_buffer_wipe(&text);
    return result;
}

static enum cl_status status_of_code(const char *code)
{
    for (int i = 0; code != NULL && i < CL_STATUS_COUNT; i++)
        if (strcmp(cl_status_code((enum cl_status)i), code) == 0)
            return (enum cl_status)i;
    return CL_E_IO;
}

int node_silent(const struct context *context, enum cl_status status, const struct http_answer *answer)
{
    if (http_interrupted)
        return output_fail(&context->output, CL_E_CANCELLED, NULL);
    if (status == CL_E_IO)
        return output_fail(&context->output, status, "The node at %s does not answer (%s); --node URL names another.", context->node_url, answer->problem);
    return output_fail(&context->output, status, "%s", context->node_url);
}

int node_problem(const struct context *context, const struct http_answer *answer)
{
    const char *token_hint = answer->status == 401 ? " Give it with --reader-token-file FILE." : "";
    json_error_t error;
    json_t *problem = answer->body.length == 0 ? NULL : json_loadb((const char *)answer->body.data, answer->body.length, 0, &error);
    const char *code = NULL, *detail = NULL;
    json_int_t entry = -1;
    if (problem != NULL) {
        code = json_string_value(json_object_get(problem, "code"));
        detail = json_string_value(json_object_get(problem, "detail"));
        if (json_is_integer(json_object_get(problem, "entry")))
            entry = json_integer_value(json_object_get(problem, "entry"));
    }
    int result;
    if (code == NULL)
        result = output_fail(&context->output, answer->status == 404 ? CL_E_NOT_FOUND : CL_E_IO, "The node answered with HTTP status %ld.", answer->status);
    else if (entry > 0)
        result = output_fail(&context->output, status_of_code(code), "(entry %lld)", (long long)entry);
    else if (detail != NULL)
        result = output_fail(&context->output, status_of_code(code), "%s%s", output_printable(detail, strlen(detail)), token_hint);
    else
        result = output_fail(&context->output, status_of_code(code), NULL);
    json_decref(problem);
    return result;
}

static int send_request(struct context *context, struct http_answer *answer, const char *method, const char *path, const char *const *headers, const void *body, size_t length, long timeout_s)
{
    char url[CL_URL_BYTES_MAX + 1024], reader[300];
    int result = node_open(context);
    if (result == 0)
        result = reader_header(context, reader, sizeof reader);
    if (result != 0)
        return result;
    (void)snprintf(url, sizeof url, "%s%s", context->node_url, path);
    struct http_request request = {.method = method, .url = url, .body = body, .body_length = length, .timeout_s = timeout_s};
    size_t count = 0;
    for (; headers[count] != NULL && count + 2 < HTTP_HEADERS_MAX; count++)
        request.headers[count] = headers[count];
    if (reader[0] != '\0')
        request.headers[count] = reader;
    enum cl_status status = http_send(context->http, answer, &request);
    cl_wipe_bytes(reader, sizeof reader);
    if (status == CL_OK)
        return 0;
    result = node_silent(context, status, answer);
    http_answer_deinit(answer);
    return result;
}

int node_ask(struct context *context, struct http_answer *answer, const char *path, const char *const *headers)
{
    return send_request(context, answer, "GET", path, headers, NULL, 0, 0);
}

int node_send(struct context *context, struct http_answer *answer, const char *method, const char *path, const char *const *headers, const void *body, size_t length)
{
    return send_request(context, answer, method, path, headers, body, length, 0);
}

int node_post(struct context *context, struct http_answer *answer, const char *path, const void *body, size_t length)
{
    const char *headers[] = {"Content-Type: application/octet-stream", "Accept: application/json", NULL};
    int result = send_request(context, answer, "POST", path, headers, body, length, 0);
    if (result == 0 && answer->status >= 400) {
        result = node_problem(context, answer);
        http_answer_deinit(answer);
    }
    return result;
}

int node_look(struct context *context, struct http_answer *answer, const char *path, const char *accept)
{
    char header[160];
    (void)snprintf(header, sizeof header, "Accept: %s", accept == NULL ? "application/json" : accept);
    const char *headers[] = {header, NULL};
    return send_request(context, answer, "GET", path, headers, NULL, 0, 0);
}

int node_get(struct context *context, struct http_answer *answer, const char *path, const char *accept)
{
    int result = node_look(context, answer, path, accept);
    if (result == 0 && answer->status >= 400) {
        result = node_problem(context, answer);
        http_answer_deinit(answer);
    }
    return result;
}

int node_get_json(struct context *context, json_t **out, const char *path)
{
    struct http_answer answer;
    json_error_t error;
    int result = node_get(context, &answer, path, NULL);
    if (result != 0)
        return result;
    *out = json_loadb((const char *)answer.body.data, answer.body.length, JSON_REJECT_DUPLICATES, &error);
    if (*out == NULL || !json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        result = output_fail(&context->output, CL_E_FORMAT, "The node's answer is not JSON: %s", context->node_url);
    }
    http_answer_deinit(&answer);
    return result;
}

/* First use: what this wallet will belong to is what the genesis document hashes to. */
static int pin_network(struct context *context)
{
    struct http_answer genesis, policy_text;
    struct cl_wallet_network *network = &context->wallet->network;
    struct cl_policy *policy = NULL;
    size_t bad_line = 0;
    int result = node_get(context, &genesis, "/v1/genesis", "application/json");
    if (result != 0)
        return result;
    cl_network_id_derive(&network->id, genesis.body.data, genesis.body.length);
    if (context->code != NULL && memcmp(network->id.bytes, context->code->network.bytes, 32) != 0) {
        http_answer_deinit(&genesis);
        return output_fail(&context->output, CL_E_NETWORK, "The code is for the network %s, %s serves another; --node URL names a node.", id_short(context->code->network.bytes), context->node_url);
    }
    json_error_t error;
    json_t *document = json_loadb((const char *)genesis.body.data, genesis.body.length, 0, &error);
    const char *origin = json_string_value(json_object_get(document, "origin"));
    (void)snprintf(network->origin, sizeof network->origin, "%s", origin == NULL ? "" : output_printable(origin, strlen(origin)));
    json_decref(document);
    http_answer_deinit(&genesis);
    result = node_get(context, &policy_text, "/v1/policy", "text/plain");
    if (result != 0)
        return result;
    enum cl_status status = cl_policy_new(&policy, &bad_line, policy_text.body.data, policy_text.body.length);
    if (status == CL_OK)
        status = cl_buffer_replace(&network->policy, policy_text.body.data, policy_text.body.length);
    cl_policy_free(policy);
    http_answer_deinit(&policy_text);
    if (status != CL_OK)
        return output_fail(&context->output, status, "from %s", context->node_url);
    (void)snprintf(network->url, sizeof network->url, "%s", context->node_url);
    network->known = true;
    output_say(&context->output, "This wallet now belongs to the network %s (%s), as %s gave it.", network->origin, id_short(network->id.bytes), context->node_url);
    char path[3200];
    (void)snprintf(path, sizeof path, "%s.policy", context->wallet_path);
    result = file_write(context, path, network->policy.data, network->policy.length, false);
    return result != 0 ? result : wallet_save(context);
}

/* A node that the wallet has not used before may serve another network, where its agreements are unknown: say that, and
   not that they do not exist. */
static int same_network(struct context *context)
{
    const struct cl_wallet_network *network = &context->wallet->network;
    json_t *json = NULL;
    int result = node_get_json(context, &json, "/v1/network");
    if (result != 0)
        return result;
    const char *id = json_string_value(json_object_get(json, "network_id"));
    if (id == NULL)
        result = output_fail(&context->output, CL_E_FORMAT, "%s does not answer as a node does; check --node.", context->node_url);
    else if (strcmp(id, id_text(network->id.bytes)) != 0)
        result = output_fail(&context->output, CL_E_NETWORK, "%s serves another network than this wallet's, %s; check --node.", context->node_url, network->origin);
    json_decref(json);
    return result;
}

/* A wallet that knows no node takes the first of the code's nodes that answers; none: it stays with the first. */
static void choose_node(struct context *context)
{
    const struct cl_code *code = context->code;
    for (size_t i = 0; context->node_of_code && code->url_count > 1 && i < code->url_count && !http_interrupted; i++) {
        char url[CL_URL_BYTES_MAX + 16];
        struct http_answer answer;
        struct http_request request = {.method = "GET", .url = url, .timeout_s = 10};
        (void)snprintf(url, sizeof url, "%s/livez", code->urls[i]);
        bool answers = http_send(context->http, &answer, &request) == CL_OK && answer.status == 200;
        http_answer_deinit(&answer);
        if (answers) {
            (void)snprintf(context->node_url, sizeof context->node_url, "%s", code->urls[i]);
            return;
        }
    }
}

int network_open(struct context *context)
{
    int result = wallet_open(context);
    if (result == 0)
        result = node_open(context);
    if (result == 0 && !context->wallet->network.known) {
        choose_node(context);
        result = pin_network(context);
    } else if (result == 0 && strcmp(context->node_url, context->wallet->network.url) != 0)
        result = same_network(context);
    if (result == 0)
        erasure_mailboxes(context);
    return result;
}

int object_decode(struct context *context, struct object *out, const uint8_t *value, size_t length)
{
    enum cl_status status = cl_state_kind_of(&out->kind, value, length);
    if (status == CL_OK && out->kind == CL_STATE_AGREEMENT)
        status = cl_agreement_decode(&out->as.agreement, value, length);
    else if (status == CL_OK && out->kind == CL_STATE_TERMS)
        status = cl_terms_decode(&out->as.terms, value, length);
    else if (status == CL_OK && out->kind == CL_STATE_PROFILE)
        status = cl_profile_decode(&out->as.profile, value, length);
    else if (status == CL_OK)
        status = CL_E_OBJECT_KIND;
    return status == CL_OK ? 0 : output_fail(&context->output, status, "(a state value)");
}

int object_fetch(struct context *context, struct object *out, const struct cl_object_id *id, bool reported)
{
    char path[160];
    struct http_answer answer;
    json_error_t error;
    *out = (struct object){.id = *id};
    (void)snprintf(path, sizeof path, "/v1/agreements/%s?history=0", id_text(id->bytes));
    const char *headers[] = {"Accept: application/json", NULL};
    int result = send_request(context, &answer, "GET", path, headers, NULL, 0, 0);
    if (result != 0)
        return result;
    if (answer.status != 200) {
        result = answer.status == 404 && !reported ? 3 : answer.status == 404 ? output_fail(&context->output, CL_E_NO_OBJECT, "(%s)", id_short(id->bytes)) : node_problem(context, &answer);
        http_answer_deinit(&answer);
        return result;
    }
    json_t *json = json_loadb((const char *)answer.body.data, answer.body.length, 0, &error);
    const char *value = json_string_value(json_object_get(json, "value"));
    json_t *as_of = json_object_get(json, "as_of");
    out->height = (uint64_t)json_integer_value(json_object_get(as_of, "height"));
    out->as_of_ms = (uint64_t)json_integer_value(json_object_get(as_of, "time_ms"));
    if (value == NULL || cl_base64_get(&out->value, value, strlen(value)) != CL_OK)
        result = output_fail(&context->output, CL_E_FORMAT, "The node's answer has no state value.");
    if (result == 0)
        result = object_decode(context, out, out->value.data, out->value.length);
    json_decref(json);
    http_answer_deinit(&answer);
    if (result != 0)
        object_deinit(out);
    return result;
}

void object_deinit(struct object *object)
{
    cl_buffer_deinit(&object->value);
    object->value = (struct cl_buffer){0};
}

bool id_parse(struct cl_object_id *out, const char *text) { return cl_hex_decode(out->bytes, 32, text); }

const char *id_text(const uint8_t id32[32])
{
    static char storage[8][65];
    static unsigned next;
    char *out = storage[next++ % 8];
    cl_hex_encode(out, id32, 32);
    return out;
}

const char *id_short(const uint8_t id32[32])
{
    static char storage[8][16];
    static unsigned next;
    char *out = storage[next++ % 8];
    cl_hex_encode(out, id32, 4);
    memcpy(out + 8, "...", 4);
    return out;
}

const char *party_text(struct context *context, const struct cl_party *party)
{
    static char storage[4][CL_DID_KEY_SIZE + 8];
    static unsigned next;
    char *out = storage[next++ % 4];
    if (party->length == 0)
        return "nobody yet";
    if (party->length == 33) {
        struct cl_public_key key;
        memcpy(key.bytes, party->bytes, 33);
        cl_did_key_encode(out, &key);
        const struct cl_wallet_key *own = context->wallet == NULL ? NULL : cl_wallet_key_find(context->wallet, out);
        return own == NULL ? out : own->name;
    }
    struct cl_object_id id;
    memcpy(id.bytes, party->bytes, 32);
    struct cl_wallet_item *item = context->wallet == NULL ? NULL : cl_wallet_item_of(context->wallet, &id);
    if (item != NULL)
        return item->name;
    (void)snprintf(out, sizeof storage[0], "%s", id_text(id.bytes));
    return out;
}

/* ---- submitting */

static void count_signers(struct context *context, struct submission *out, const char *checkpoint)
{
    struct cl_policy *policy = NULL;
    struct cl_quorum_report *report = calloc(1, sizeof *report);
    struct cl_checkpoint *decoded = calloc(1, sizeof *decoded);
    size_t bad_line = 0;
    const struct cl_wallet_network *network = context->wallet == NULL ? NULL : &context->wallet->network;
    if (report != NULL && decoded != NULL && network != NULL && network->known &&
        cl_policy_new(&policy, &bad_line, network->policy.data, network->policy.length) == CL_OK &&
        cl_checkpoint_decode(decoded, (const uint8_t *)checkpoint, strlen(checkpoint)) == CL_OK) {
        enum cl_status status = cl_policy_check(report, policy, decoded);
        if (status == CL_OK || status == CL_E_QUORUM) {
            out->signed_count = report->signed_count;
            out->member_count = report->witnesses;
        }
    }
    cl_policy_free(policy);
    free(report);
    free(decoded);
}

static void read_submission(struct context *context, struct submission *out, const json_t *json)
{
    const char *status = json_string_value(json_object_get(json, "status")), *checkpoint = json_string_value(json_object_get(json, "checkpoint"));
    const char *id = json_string_value(json_object_get(json, "id"));
    if (id != NULL)
        (void)cl_hex_decode(out->id.bytes, 32, id);
    out->final = status != NULL && strcmp(status, "final") == 0;
    out->height = (uint64_t)json_integer_value(json_object_get(json, "height"));
    out->log_index = (uint64_t)json_integer_value(json_object_get(json, "log_index"));
    if (checkpoint != NULL)
        count_signers(context, out, checkpoint);
}

static enum cl_status problem_code(const struct http_answer *answer)
{
    json_error_t error;
    json_t *problem = answer->body.length == 0 ? NULL : json_loadb((const char *)answer->body.data, answer->body.length, 0, &error);
    enum cl_status status = status_of_code(json_string_value(json_object_get(problem, "code")));
    json_decref(problem);
    return status;
}

/* One POST; *again_s > 0: the node is busy, try again after so many seconds. */
static int submit_once(struct context *context, struct submission *out, const uint8_t *record, size_t length, bool wait, unsigned timeout_s, long *again_s, bool told)
{
    char path[80];
    struct http_answer answer;
    json_error_t error;
    const char *headers[] = {"Content-Type: application/cose", "Accept: application/json", NULL};
    (void)snprintf(path, sizeof path, wait ? "/v1/records?wait=final&timeout=%u" : "/v1/records", timeout_s);
    int result = send_request(context, &answer, "POST", path, headers, record, length, (long)timeout_s + 30);
    if (result != 0)
        return result;
    *again_s = 0;
    if (answer.status == 429 || answer.status == 503) {
        *again_s = answer.retry_after_s > 0 ? answer.retry_after_s : 1;
    } else if (answer.status >= 200 && answer.status < 300) {
        json_t *json = json_loadb((const char *)answer.body.data, answer.body.length, 0, &error);
        if (json == NULL)
            result = output_fail(&context->output, CL_E_FORMAT, "The node's answer is not JSON.");
        else
            read_submission(context, out, json);
        const char *acceptance = json_string_value(json_object_get(json, "acceptance"));
        if (acceptance != NULL)
            acceptance_take(context, out, acceptance, record, length);
        const char *status = json_string_value(json_object_get(json, "status")), *code = json_string_value(json_object_get(json, "code"));
        out->refused = status != NULL && strcmp(status, "refused") == 0;
        if (out->refused) {
            out->why = status_of_code(code);
            result = told ? output_fail(&context->output, out->why, NULL) : 1;
        }
        json_decref(json);
    } else {
        out->refused = answer.status == 400 || answer.status == 409;
        out->why = problem_code(&answer);
        result = told || !out->refused ? node_problem(context, &answer) : 1;
    }
    http_answer_deinit(&answer);
    return result;
}

/* told: a refusal is reported; else out->why alone says so. */
static int submit(struct context *context, struct submission *out, const uint8_t *record, size_t length, bool wait, bool told)
{
    *out = (struct submission){0};
    for (int attempt = 0;; attempt++) {
        long again_s = 0;
        int result = submit_once(context, out, record, length, wait, (unsigned)context->timeout_s, &again_s, told);
        if (result != 0 || again_s == 0)
            return result;
        if (attempt == 5)
            return output_fail(&context->output, CL_E_BOUND, "The node is busy; submit the same record again later.");
        output_say(&context->output, "The node is busy; trying again in %ld s.", again_s);
        for (long waited = 0; waited < (again_s > 30 ? 30 : again_s) && !http_interrupted; waited++)
            (void)sleep(1);
        if (http_interrupted)
            return output_fail(&context->output, CL_E_CANCELLED, NULL);
    }
}

int record_submit(struct context *context, struct submission *out, const uint8_t *record, size_t length, bool wait)
{
    return submit(context, out, record, length, wait, true);
}

int record_withdraw(struct context *context, struct submission *out, const uint8_t *record, size_t length, bool wait)
{
    int result = record_submit(context, out, record, length, false);
    if (result != 0 || out->final || !wait)
        return result;
    struct submission accepted = *out;
    result = record_submit(context, out, record, length, true);
    out->accepted = accepted.accepted;
    out->accepted_ms = accepted.accepted_ms;
    memcpy(out->accepted_by, accepted.accepted_by, sizeof out->accepted_by);
    memcpy(out->acceptance_file, accepted.acceptance_file, sizeof out->acceptance_file);
    return result;
}

int record_offer(struct context *context, struct submission *out, const uint8_t *record, size_t length, bool wait)
{
    int result = submit(context, out, record, length, wait, false);
    return out->refused ? 0 : result;
}

void submission_json(json_t *object, const struct submission *submission)
{
    (void)json_object_set_new(object, "record_id", json_string(id_text(submission->id.bytes)));
    (void)json_object_set_new(object, "record_status", json_string(submission->final ? "final" : "pending"));
    if (submission->final) {
        (void)json_object_set_new(object, "height", json_integer((json_int_t)submission->height));
        (void)json_object_set_new(object, "log_index", json_integer((json_int_t)submission->log_index));
        if (submission->member_count > 0) {
            (void)json_object_set_new(object, "signed", json_integer((json_int_t)submission->signed_count));
            (void)json_object_set_new(object, "members", json_integer((json_int_t)submission->member_count));
        }
    }
    if (submission->accepted)
        (void)json_object_set_new(object, "accepted", json_true());
    if (submission->accepted_by[0] != '\0') {
        (void)json_object_set_new(object, "accepted_by", json_string(submission->accepted_by));
        (void)json_object_set_new(object, "accepted_ms", json_integer((json_int_t)submission->accepted_ms));
        (void)json_object_set_new(object, "acceptance_file", json_string(submission->acceptance_file));
    }
}

void submission_say(struct context *context, const struct submission *submission)
{
    if (submission->final && submission->member_count > 0)
        output_line(&context->output, "final at height %llu, %zu of %zu members", (unsigned long long)submission->height, submission->signed_count, submission->member_count);
    else if (submission->final)
        output_line(&context->output, "final at height %llu", (unsigned long long)submission->height);
    else
        output_line(&context->output, "seen by the node%s, not final yet; 'consent show' tells when it is", submission->accepted ? ", which accepted the withdrawal" : "");
    acceptance_say(context, submission);
    output_line(&context->output, "record %s", id_text(submission->id.bytes));
}
