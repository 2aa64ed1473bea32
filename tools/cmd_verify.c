/* consent verify, proof: is it so, as of when, and who says it? */
#include "disclosed.h"
#include "consent/inspect.h"
#include "export.h"
#include "uses.h"

#include <stdlib.h>

#define MAX_AGE_MS_DEFAULT (24ull * 3600ull * 1000ull)

static int options_read(struct context *context, struct cl_verify_options *options)
{
    const char *age = option(context, "--max-age"), *at = option(context, "--at");
    uint64_t seconds = 0;
    *options = (struct cl_verify_options){.now_ms = time_now_ms(), .max_age_ms = MAX_AGE_MS_DEFAULT};
    if (age != NULL && !duration_parse(&options->max_age_ms, age))
        return output_usage(&context->output, "'%.40s' is not an age, such as 90s, 30m, 24h, 7d.", age);
    if (at != NULL && !time_parse(&seconds, at, false))
        return output_usage(&context->output, "'%.40s' is neither a date nor a time.", at);
    options->at_present = at != NULL;
    options->at_ms = seconds * 1000u;
    return 0;
}

static const char *verdict_word(enum cl_status verdict)
{
    switch ((int)verdict) {
    case CL_OK: return "VALID";
    case CL_E_WITHDRAWN: return "REVOKED";
    case CL_E_TERMINATED: return "TERMINATED";
    case CL_E_SUSPENDED: return "SUSPENDED";
    case CL_E_EXPIRED: return "EXPIRED";
    case CL_E_NOT_YET: return "NOT YET VALID";
    case CL_E_NOT_ACTIVE: return "NEVER ACTIVE";
    case CL_E_NO_OBJECT: return "ABSENT";
    case CL_E_BEFORE_PROOF: return "NOTHING SAID";
    case CL_E_CLOSED: return "CLOSED";
    default: return "NOT VALID";
    }
}

static const char *verdict_sentence(const struct cl_verify_report *report)
{
    switch ((int)report->verdict) {
    case CL_OK: return report->kind == CL_STATE_TERMS ? "open" : report->kind == CL_STATE_PROFILE ? "published" : "active";
    case CL_E_CLOSED: return "closed by their owner";
    case CL_E_WITHDRAWN: return "withdrawn by the customer";
    case CL_E_TERMINATED: return "ended by the organisation";
    case CL_E_SUSPENDED: return "suspended";
    case CL_E_EXPIRED: return "its period is over";
    case CL_E_NOT_YET: return "its period has not begun";
    case CL_E_NOT_ACTIVE: return cl_agreement_status_name((enum cl_agreement_status)report->agreement.status);
    case CL_E_BEFORE_PROOF: return "this proof says nothing about a time before its state,";
    case CL_E_NO_OBJECT: return "no such agreement, terms or profile";
    case CL_E_OBJECT_KIND: return "no agreement, but another entry of the ledger,";
    default: return "not active";
    }
}

/* With --body: names of live slots, where the body is the one committed to. */
static int slot_names(struct context *context, char *out, size_t size, const struct cl_verify_report *report)
{
    struct cl_buffer data = {.secret = true};
    struct cl_body_file *file = malloc(sizeof *file);
    struct cl_terms_text *text = NULL;
    struct cl_commitment commitment;
    const char *path = option(context, "--body");
    int result = file == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : file_read(context, &data, path, CL_PROOF_BYTES_MAX);
    struct cl_offer offer;
    struct cl_view body = {data.data, data.length};
    if (result == 0 && cl_offer_decode(&offer, data.data, data.length) == CL_OK)
        body = offer.body_file;
    enum cl_status status = result == 0 ? cl_body_file_decode(file, body.data, body.length) : CL_OK;
    if (result == 0 && status == CL_OK) {
        cl_body_file_commitment(&commitment, file);
        status = memcmp(commitment.bytes, report->agreement.commitment, 32) == 0 ? cl_body_file_text(&text, file) : CL_E_BODY;
    }
    if (result == 0 && status != CL_OK)
        result = output_fail(&context->output, status, "%s", path);
    size_t used = 0;
    for (size_t i = 0; result == 0 && i < text->slot_count && used < size; i++)
        if ((report->agreement.live >> text->slots[i].number & 1u) != 0)
            used += (size_t)snprintf(out + used, size - used, "%s%u %s", used == 0 ? "" : ", ", text->slots[i].number, text->slots[i].name);
    cl_terms_text_free(text);
    free(file);
    cl_buffer_wipe(&data);
    return result;
}

static const char *kind_word(enum cl_state_kind kind)
{
    switch (kind) {
    case CL_STATE_AGREEMENT: return "agreement";
    case CL_STATE_TERMS: return "terms";
    case CL_STATE_PROFILE: return "profile";
    case CL_STATE_ANSWER: return "answer";
    case CL_STATE_NETWORK: return "network";
    }
    return "unknown";
}

/* What --at makes of the first line: until when the state reaches back, and as of when it is known. */
static const char *time_note(const struct cl_verify_report *report, const struct cl_verify_options *options)
{
    static char out[200];
    char at[TIME_TEXT_SIZE], since[TIME_TEXT_SIZE];
    out[0] = '\0';
    if (!options->at_present)
        return out;
    time_text(at, options->at_ms / 1000u);
    time_text(since, (report->since_ms + 999u) / 1000u);
    if (report->verdict == CL_E_BEFORE_PROOF)
        (void)snprintf(out, sizeof out, " which began %s,", since);
    else if (options->at_ms / 1000u > report->as_of_s)
        (void)snprintf(out, sizeof out, " at %s by what was so", at);
    else
        (void)snprintf(out, sizeof out, " at %s,", at);
    return out;
}

static int print_report(struct context *context, const struct cl_verify_report *report, const struct cl_verify_options *options, const char *names, const struct disclosed *disclosed)
{
    char age[TIME_TEXT_SIZE], as_of[TIME_TEXT_SIZE];
    uint64_t now_s = time_now_ms() / 1000u;
    const struct cl_agreement *agreement = &report->agreement;
    age_text(age, now_s > report->as_of_s ? now_s - report->as_of_s : 0);
    time_text(as_of, report->as_of_s);
    bool agreement_shown = report->exists && report->kind == CL_STATE_AGREEMENT;
    const char *word = verdict_word(report->verdict), *what = verdict_sentence(report);
    const char *kind = report->exists ? kind_word(report->kind) : "object";
    output_line(&context->output, "%s  %s%s as of checkpoint %llu (%s old), signed by %zu of %zu%s%s%s%s", output_coloured(&context->output, report->verdict == CL_OK ? "1;32" : "1;31", word), what, time_note(report, options),
                (unsigned long long)report->height, age, report->quorum.signed_count, report->quorum.witnesses, agreement_shown && agreement->live != 0 ? "; slots " : "",
                agreement_shown && agreement->live != 0 ? (names[0] != '\0' ? names : slots_text(agreement->live)) : "", agreement_shown && agreement->live != 0 ? "; " : "",
                agreement_shown && agreement->live != 0 ? period_text(&agreement->not_before, &agreement->not_after) : "");
    if (!context->output.quiet)
        output_line(&context->output, "%s, %s %s, as of %s; %zu record%s checked", report->origin, kind, id_text(report->object.bytes), as_of, report->record_count, report->record_count == 1 ? "" : "s");
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "verdict", word, "code", cl_status_code(report->verdict), "object", id_text(report->object.bytes), "network_id", id_text(report->network.bytes),
                             "origin", report->origin, "height", (json_int_t)report->height, "log_size", (json_int_t)report->log_size, "as_of", (json_int_t)report->as_of_s,
                             "signed", (json_int_t)report->quorum.signed_count, "members", (json_int_t)report->quorum.witnesses, "records", (json_int_t)report->record_count);
    (void)json_object_set_new(json, "since_ms", report->exists ? json_integer((json_int_t)report->since_ms) : json_null());
    (void)json_object_set_new(json, "at", options->at_present ? json_integer((json_int_t)(options->at_ms / 1000u)) : json_null());
    (void)json_object_set_new(json, "kind", report->exists ? json_string(kind_word(report->kind)) : json_null());
    if (agreement_shown) {
        json_t *slots = json_array();
        for (unsigned i = 0; i < 64; i++)
            if ((agreement->live >> i & 1u) != 0)
                (void)json_array_append_new(slots, json_integer((json_int_t)i));
        (void)json_object_set_new(json, "slots", slots);
        (void)json_object_set_new(json, "not_after", agreement->not_after.present ? json_integer((json_int_t)agreement->not_after.seconds) : json_null());
        (void)json_object_set_new(json, "commitment", json_string(id_text(agreement->commitment)));
        if (names[0] != '\0')
            (void)json_object_set_new(json, "slot_names", json_string(names));
    }
    if (disclosed->json != NULL)
        (void)json_object_set(json, "disclosure", disclosed->json);
    disclosed_say(context, disclosed, kind);
    output_json(&context->output, json);
    return output_exit_of(report->verdict);
}

/* --object ID: a good proof of something else is no proof of this. */
static int object_bound(struct context *context, const struct cl_verify_report *report)
{
    struct cl_object_id id;
    const char *text = option(context, "--object");
    if (text == NULL)
        return 0;
    if (!id_parse(&id, text))
        return output_usage(&context->output, "'%.70s' is not an id (64 hex digits).", text);
    return memcmp(id.bytes, report->object.bytes, 32) == 0 ? 0 : output_fail(&context->output, CL_E_PROOF, "It is about another object: %s.", id_text(report->object.bytes));
}

/* *object: what the proof is of, where it held. */
static int verify_state(struct context *context, const struct cl_buffer *proof, const struct cl_policy *policy, struct cl_object_id *object)
{
    struct cl_verify_options options = {0};
    struct disclosed disclosed = {.words = {.secret = true}};
    char names[1024] = "";
    struct cl_verify_report *report = calloc(1, sizeof *report);
    int result = report == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : options_read(context, &options);
    if (result == 0) {
        enum cl_status status = cl_proof_verify(report, proof->data, proof->length, policy, &options);
        char age[TIME_TEXT_SIZE];
        age_text(age, options.now_ms / 1000u > report->as_of_s ? options.now_ms / 1000u - report->as_of_s : 0);
        if (status == CL_E_QUORUM)
            result = output_fail(&context->output, status, "Signed by %zu of %zu; %zu are needed.", report->quorum.signed_count, report->quorum.witnesses, report->quorum.needed);
        else if (status == CL_E_PROOF_OLD)
            result = output_fail(&context->output, status, "It is %s old.", age);
        else if (status != CL_OK)
            result = output_fail(&context->output, status == CL_E_SIGNATURE ? CL_E_SIGNATURE : status == CL_E_PROOF || status == CL_E_CHECKPOINT ? status : CL_E_PROOF, "%s", status == CL_E_PROOF ? "" : cl_status_sentence(status));
    }
    if (result == 0)
        result = object_bound(context, report);
    if (result == 0 && option(context, "--body") != NULL && report->exists && report->kind != CL_STATE_AGREEMENT)
        result = output_fail(&context->output, CL_E_OBJECT_KIND, "--body names the slots of an agreement; this proof is of %s: leave --body out.", kind_word(report->kind));
    if (result == 0 && option(context, "--body") != NULL && report->exists)
        result = slot_names(context, names, sizeof names, report);
    if (result == 0)
        result = disclosed_judge(context, &disclosed, report, &options);
    if (result == 0) {
        *object = report->object;
        result = print_report(context, report, &options, names, &disclosed);
    }
    disclosed_deinit(&disclosed);
    free(report);
    return result;
}

/* A tlog-proof needs the record that it is about. */
static int verify_receipt(struct context *context, const struct cl_buffer *proof, const struct cl_policy *policy)
{
    struct cl_buffer record = {0};
    const char *path = option(context, "--record");
    struct cl_receipt_report *report = calloc(1, sizeof *report);
    int result = path == NULL ? output_usage(&context->output, "A receipt is about a record: give its file with --record FILE.") : file_read(context, &record, path, CL_RECORD_BYTES_MAX);
    if (result == 0 && report == NULL)
        result = output_fail(&context->output, CL_E_MEMORY, NULL);
    if (result == 0) {
        enum cl_status status = cl_tlog_proof_verify(report, proof->data, proof->length, record.data, record.length, policy);
        if (status != CL_OK)
            result = output_fail(&context->output, status, NULL);
    }
    if (result == 0) {
        output_line(&context->output, "%s  the record is in the log at index %llu of %llu, signed by %zu of %zu", output_coloured(&context->output, "1;32", "VALID"), (unsigned long long)report->index, (unsigned long long)report->size, report->quorum.signed_count, report->quorum.witnesses);
        output_json(&context->output, json_pack("{s:s, s:I, s:I, s:I, s:I}", "verdict", "VALID", "log_index", (json_int_t)report->index, "log_size", (json_int_t)report->size, "signed", (json_int_t)report->quorum.signed_count, "members", (json_int_t)report->quorum.witnesses));
    }
    free(report);
    cl_buffer_deinit(&record);
    return result;
}

/* A COSE receipt (RFC 9942) is signed by one log, and over the root alone: so the place that it names is its own claim. */
static int verify_cose_receipt(struct context *context, const struct cl_buffer *receipt, const struct cl_policy *policy)
{
    struct cl_buffer record = {0};
    const struct cl_note_key *key;
    uint64_t index = 0, size = 0;
    const char *path = option(context, "--record"), *signer = NULL;
    int result = path == NULL ? output_usage(&context->output, "A receipt is about a record: give its file with --record FILE.") : file_read(context, &record, path, CL_RECORD_BYTES_MAX);
    if (result == 0) {
        enum cl_status status = CL_E_POLICY;
        for (size_t i = 0; status != CL_OK && (key = cl_policy_log(policy, i)) != NULL; i++) {
            status = cl_cose_receipt_verify(&index, &size, receipt->data, receipt->length, record.data, record.length, key->public32);
            signer = key->name;
        }
        if (status != CL_OK)
            result = output_fail(&context->output, status, NULL);
    }
    if (result == 0) {
        output_line(&context->output, "%s  the record is in the log, says %s; at index %llu of %llu, says the receipt", output_coloured(&context->output, "1;32", "VALID"), signer, (unsigned long long)index, (unsigned long long)size);
        output_json(&context->output, json_pack("{s:s, s:s, s:I, s:I}", "verdict", "VALID", "log", signer, "claimed_index", (json_int_t)index, "claimed_size", (json_int_t)size));
    }
    cl_buffer_deinit(&record);
    return result;
}

static int verify_one(struct context *context, const char *path, const struct cl_policy *policy, struct cl_object_id *object)
{
    struct cl_buffer proof = {0};
    int result = file_read(context, &proof, path, CL_PROOF_BYTES_MAX);
    if (result == 0) {
        enum cl_file_kind kind = cl_file_kind_of(proof.data, proof.length);
        bool receipt = kind == CL_FILE_TLOG_PROOF || kind == CL_FILE_COSE_RECEIPT;
        if (option(context, "--disclosure") != NULL && receipt)
            result = output_usage(&context->output, "A disclosure is checked with a proof of state ('consent proof'), not with a receipt.");
        else if (kind == CL_FILE_USES_PROOF)
            result = output_usage(&context->output, "This is a proof of uses: consent uses verify %s", path);
        else if (receipt && positional(context, 1) != NULL)
            result = output_usage(&context->output, "%s is a receipt of one record; several proofs together are those of the agreements of a joint thing.", path);
        else
            result = kind == CL_FILE_TLOG_PROOF ? verify_receipt(context, &proof, policy) : kind == CL_FILE_COSE_RECEIPT ? verify_cose_receipt(context, &proof, policy) : verify_state(context, &proof, policy, object);
    }
    cl_buffer_deinit(&proof);
    return result;
}

/* Proofs of the agreements of a joint thing, one for each holder: all have to say yes, and to be of different agreements. The
   first that does not gives the reason. */
static int verify_all(struct context *context, const struct cl_policy *policy)
{
    struct cl_object_id objects[POSITIONALS_MAX];
    int result = 0;
    size_t count = 0;
    bool twice = false;
    json_t *each = context->output.collected = json_array();
    for (; positional(context, count) != NULL && result == 0; count++) {
        result = verify_one(context, positional(context, count), policy, &objects[count]);
        for (size_t k = 0; k < count && result == 0 && !twice; k++) {
            twice = memcmp(objects[k].bytes, objects[count].bytes, 32) == 0;
            if (twice)
                result = output_fail(&context->output, CL_E_PROOF, "%s and %s are of the same agreement: each holder has one of his own.", positional(context, k), positional(context, count));
        }
    }
    context->output.collected = NULL;
    output_line(&context->output, "%s  %zu proof%s read", output_coloured(&context->output, result == 0 ? "1;32" : "1;31", result == 0 ? "ALL VALID" : "NOT ALL VALID"), count, count == 1 ? "" : "s");
    if (!twice && json_array_size(each) == count) /* else the failure was told, and is the result */
        output_json(&context->output, json_pack("{s:b, s:O}", "all_valid", result == 0, "proofs", each));
    json_decref(each);
    return result;
}

int run_verify(struct context *context)
{
    static const char *const of_one[] = {"--object", "--body", "--record", "--disclosure"};
    struct cl_policy *policy = NULL;
    struct cl_object_id object;
    if (positional(context, 0) == NULL)
        return output_usage(&context->output, "Which proof?");
    for (size_t i = 0; i < sizeof of_one / sizeof of_one[0]; i++)
        if (positional(context, 1) != NULL && option(context, of_one[i]) != NULL)
            return output_usage(&context->output, "%s goes with one proof.", of_one[i]);
    int result = policy_open(context, &policy);
    if (result == 0)
        result = positional(context, 1) != NULL ? verify_all(context, policy) : verify_one(context, positional(context, 0), policy, &object);
    cl_policy_free(policy);
    return result;
}

/* ---- proof */

int proof_fetch(struct context *context, struct cl_buffer *out, const struct cl_object_id *id)
{
    char path[128];
    struct http_answer answer;
    (void)snprintf(path, sizeof path, "/v1/agreements/%s", id_text(id->bytes));
    int result = node_get(context, &answer, path, "application/consent-proof");
    if (result != 0)
        return result;
    *out = answer.body;
    return 0;
}

/* A receipt says nothing without the record that it is about, so that is written beside it: FILE.record. */
static int record_beside(struct context *context, const struct cl_object_id *record, const char *receipt_path)
{
    char path[128], beside[4096];
    struct http_answer answer;
    if (strcmp(receipt_path, "-") == 0)
        return 0;
    if (snprintf(beside, sizeof beside, "%s.record", receipt_path) >= (int)sizeof beside)
        return output_fail(&context->output, CL_E_BOUND, "%s", receipt_path);
    (void)snprintf(path, sizeof path, "/v1/records/%s", id_text(record->bytes));
    int result = node_get(context, &answer, path, "application/cose");
    if (result != 0)
        return result;
    result = file_write(context, beside, answer.body.data, answer.body.length, false);
    if (result == 0)
        output_say(&context->output, "The record that it is about is in %s.", beside);
    http_answer_deinit(&answer);
    return result;
}

int run_proof(struct context *context)
{
    struct subject subject;
    struct cl_buffer proof = {0};
    struct http_answer answer;
    struct cl_object_id record;
    char path[128];
    const char *format = option(context, "--format"), *out = option(context, "--output"), *record_text = option(context, "--record");
    bool state = format == NULL || strcmp(format, "consent-proof") == 0, tlog = format != NULL && strcmp(format, "tlog-proof") == 0;
    bool kantara = format != NULL && strcmp(format, "kantara") == 0, document = kantara || (format != NULL && strcmp(format, "dpv") == 0);
    if (!state && !tlog && !document && strcmp(format, "cose") != 0)
        return output_usage(&context->output, "--format is consent-proof, tlog-proof, cose, dpv or kantara.");
    if (document && record_text != NULL)
        return output_usage(&context->output, "--record is for tlog-proof and cose: a %s receipt is about the agreement.", format);
    if (record_text != NULL && !id_parse(&record, record_text))
        return output_usage(&context->output, "'%.70s' is not a record id.", record_text);
    int result = subject_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    if (document) {
        result = document_write(context, &subject, kantara);
        subject_close(&subject);
        return result;
    }
    if (record_text == NULL)
        memcpy(record.bytes, object_head(&subject.object), 32);
    if (state) {
        result = proof_fetch(context, &proof, &subject.object.id);
    } else {
        (void)snprintf(path, sizeof path, "/v1/records/%s", id_text(record.bytes));
        result = node_get(context, &answer, path, tlog ? "text/plain" : "application/scitt-receipt+cose");
        if (result == 0)
            proof = answer.body;
    }
    struct cl_wallet_item *item = subject_item(context, &subject);
    if (result == 0 && state && item != NULL && proof.length <= 262144) {
        if (cl_buffer_replace(&item->proof, proof.data, proof.length) != CL_OK)
            result = output_fail(&context->output, CL_E_MEMORY, NULL);
        else
            result = wallet_save(context);
    }
    char made[128];
    (void)snprintf(made, sizeof made, "%.64s.%s", subject.item_name[0] != '\0' ? subject.item_name : "agreement", state ? "consent-proof" : tlog ? "tlog-proof" : "cose-receipt");
    if (result == 0)
        result = file_write(context, out == NULL ? made : out, proof.data, proof.length, false);
    if (result == 0 && !state)
        result = record_beside(context, &record, out == NULL ? made : out);
    if (result == 0 && (out == NULL || strcmp(out, "-") != 0)) {
        output_line(&context->output, "%s, %zu bytes", out == NULL ? made : out, proof.length);
        output_json(&context->output, json_pack("{s:s, s:I, s:s}", "file", out == NULL ? made : out, "bytes", (json_int_t)proof.length, "object", id_text(subject.object.id.bytes)));
    }
    cl_buffer_deinit(&proof);
    subject_close(&subject);
    return result;
}
