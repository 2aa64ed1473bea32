/* consent uses prove, verify: one customer's part of a STATEMENT, made by the organisation, checked by anybody offline. */
#include "uses.h"

#include <stdlib.h>
#include <unistd.h>

/* The statement of a period as it was kept, and the record that committed to it with its receipt. */
struct stated { struct cl_buffer data, record; struct cl_uses_statement statement; struct cl_uses_tree *tree; struct http_answer receipt; bool has_receipt; };

static void stated_close(struct stated *stated)
{
    cl_uses_tree_free(stated->tree);
    cl_uses_statement_deinit(&stated->statement);
    cl_buffer_deinit(&stated->data);
    cl_buffer_deinit(&stated->record);
    if (stated->has_receipt)
        http_answer_deinit(&stated->receipt);
}

static int receipt_fetch(struct context *context, struct stated *stated)
{
    struct cl_record record;
    char path[96];
    enum cl_status status = cl_record_decode(&record, NULL, stated->record.data, stated->record.length, &context->wallet->network.id);
    if (status != CL_OK)
        return output_fail(&context->output, status, "(the record of the statement)");
    (void)snprintf(path, sizeof path, "/v1/records/%s", id_text(record.id.bytes));
    cl_record_deinit(&record);
    int result = node_get(context, &stated->receipt, path, "text/plain");
    stated->has_receipt = result == 0;
    if (result == 0 && stated->receipt.status != 200)
        result = output_fail(&context->output, CL_E_PENDING, "The statement is not final yet; try again in a moment.");
    return result;
}

static int stated_open(struct context *context, struct stated *out, const struct cl_object_id *profile, const struct period *period)
{
    char path[USES_PATH_SIZE], record_path[USES_PATH_SIZE];
    int result = uses_path(context, path, profile, period, "statement");
    if (result == 0)
        result = uses_path(context, record_path, profile, period, "record");
    if (result == 0)
        result = file_read(context, &out->data, path, CL_BUFFER_BYTES_MAX);
    if (result == 0)
        result = file_read(context, &out->record, record_path, CL_RECORD_BYTES_MAX);
    if (result != 0) {
        output_say(&context->output, "Proofs come of a statement: 'consent statement PROFILE' with the same period makes it.");
        return result;
    }
    enum cl_status status = cl_uses_statement_decode(&out->statement, out->data.data, out->data.length);
    if (status == CL_OK)
        status = cl_uses_tree_new(&out->tree, &out->statement);
    return status == CL_OK ? receipt_fetch(context, out) : output_fail(&context->output, status, "%s", path);
}

/* What is handed over holds: checked as its receiver will. */
static int prove(struct context *context, struct cl_buffer *proof, struct cl_uses_report *report, const struct stated *stated, const struct cl_object_id *agreement, const struct cl_policy *policy)
{
    enum cl_status status = cl_uses_prove(proof, stated->tree, &context->wallet->network.id, (struct cl_view){stated->record.data, stated->record.length},
                                          (struct cl_view){stated->receipt.body.data, stated->receipt.body.length}, agreement);
    if (status == CL_OK)
        status = cl_uses_verify(report, proof->data, proof->length, policy);
    return status == CL_OK ? 0 : output_fail(&context->output, status, "No proof that holds could be made of the statement that was kept.");
}

/* One file for each agreement that the statement names, called by ids and times. Those that are there were made before. */
static int prove_all(struct context *context, const struct stated *stated, const struct period *period, const struct cl_policy *policy, struct cl_uses_report *report)
{
    const char *folder = option(context, "--output");
    const size_t count = stated->statement.account_count;
    size_t made = 0;
    int result = folder_make(context, folder);
    for (size_t i = 0; result == 0 && i < count && !http_interrupted; i++) {
        const struct cl_object_id *agreement = &stated->statement.accounts[i].agreement;
        struct cl_buffer proof = {.secret = true};
        char path[4096];
        if (snprintf(path, sizeof path, "%s/%s.%llu-%llu.consent-uses", folder, id_text(agreement->bytes), (unsigned long long)period->from_s, (unsigned long long)period->until_s) >= (int)sizeof path)
            return output_usage(&context->output, "The folder's name is too long.");
        if (access(path, F_OK) != 0) {
            result = prove(context, &proof, report, stated, agreement, policy);
            if (result == 0)
                result = file_write(context, path, proof.data, proof.length, true);
            made += result == 0 ? 1 : 0;
        }
        cl_buffer_deinit(&proof);
        output_progress(&context->output, "proven", i + 1, count);
    }
    output_progress_end(&context->output);
    if (result == 0 && http_interrupted)
        result = output_fail(&context->output, CL_E_CANCELLED, "%zu proofs are in %s; the same command goes on.", made, folder);
    if (result == 0) {
        output_line(&context->output, "%zu proof%s in %s, %zu of them made now", count, count == 1 ? "" : "s", folder, made);
        output_json(&context->output, json_pack("{s:s, s:I, s:I}", "folder", folder, "proofs", (json_int_t)count, "made", (json_int_t)made));
    }
    return result;
}

/* The agreement that is asked about, by name or id. */
static int agreement_named(struct context *context, struct cl_object_id *out, struct cl_wallet_item **item, const char *text)
{
    if (cl_wallet_item_find(item, context->wallet, text) == CL_OK)
        *out = (*item)->object;
    else if (!id_parse(out, text))
        return output_fail(&context->output, CL_E_NOT_FOUND, "'%.80s'", text);
    return 0;
}

static int prove_one(struct context *context, const struct stated *stated, const struct period *period, const struct cl_policy *policy, struct cl_uses_report *report)
{
    struct cl_object_id agreement;
    struct cl_wallet_item *item = NULL;
    struct cl_buffer proof = {.secret = true};
    char made[CL_NAME_BYTES_MAX + 32];
    const char *out = option(context, "--output");
    int result = agreement_named(context, &agreement, &item, positional(context, 1));
    if (result == 0)
        result = prove(context, &proof, report, stated, &agreement, policy);
    (void)snprintf(made, sizeof made, "%.64s.consent-uses", item != NULL ? item->name : "agreement");
    if (result == 0 && !report->named)
        output_warn(&context->output, "The statement does not name this agreement; to show so, the proof carries the hashed ids of two that it does name. 'consent statement --agreements FILE' names all.");
    if (result == 0)
        result = file_write(context, out == NULL ? made : out, proof.data, proof.length, true);
    if (result == 0 && (out == NULL || strcmp(out, "-") != 0)) {
        output_line(&context->output, "%s, %zu bytes: %zu use%s %s", out == NULL ? made : out, proof.length, report->use_count, report->use_count == 1 ? "" : "s", period_words(period));
        output_json(&context->output, json_pack("{s:s, s:I, s:s, s:I, s:b}", "file", out == NULL ? made : out, "bytes", (json_int_t)proof.length, "agreement", id_text(agreement.bytes), "use_count", (json_int_t)report->use_count, "named", report->named));
    }
    cl_buffer_deinit(&proof);
    return result;
}

int run_uses_prove(struct context *context)
{
    struct cl_object_id profile;
    struct period period;
    struct stated stated = {.has_receipt = false};
    struct cl_policy *policy = NULL;
    struct cl_uses_report *report = calloc(1, sizeof *report);
    const bool all = flag(context, "--all"), named = positional(context, 1) != NULL;
    int result = 0;
    if (report == NULL)
        return output_fail(&context->output, CL_E_MEMORY, NULL);
    if (all == named)
        result = output_usage(&context->output, "Give the profile, then the agreement whose uses are to be proven, or --all.");
    else if (all && option(context, "--output") == NULL)
        result = output_usage(&context->output, "--all writes a file for each agreement: give a folder with -o DIR.");
    if (result == 0)
        result = period_option(context, &period);
    if (result == 0)
        result = network_open(context);
    if (result == 0)
        result = profile_named(context, &profile, positional(context, 0));
    if (result == 0)
        result = stated_open(context, &stated, &profile, &period);
    if (result == 0)
        result = policy_open(context, &policy);
    if (result == 0)
        result = (all ? prove_all : prove_one)(context, &stated, &period, policy, report);
    cl_policy_free(policy);
    stated_close(&stated);
    free(report);
    return result;
}

/* ---- verify */

/* --object and --profile: what the proof has to be about. --proof: the agreement's own proof of state, in which the organisation
   is the other side. *tied: something said whose statement it should be. */
static int expected(struct context *context, bool *tied, const struct cl_uses_report *report, const struct cl_policy *policy)
{
    const char *object = option(context, "--object"), *profile = option(context, "--profile"), *state = option(context, "--proof");
    struct cl_object_id id;
    struct cl_buffer data = {0};
    *tied = profile != NULL || state != NULL;
    if ((object != NULL && !id_parse(&id, object)) || (profile != NULL && !id_parse(&id, profile)))
        return output_usage(&context->output, "--object and --profile take ids of 64 hexadecimal digits.");
    if (object != NULL && (!id_parse(&id, object) || memcmp(id.bytes, report->agreement.bytes, 32) != 0))
        return output_fail(&context->output, CL_E_PROOF, "It is about another agreement: %s", id_text(report->agreement.bytes));
    if (profile != NULL && (!id_parse(&id, profile) || memcmp(id.bytes, report->profile.bytes, 32) != 0))
        return output_fail(&context->output, CL_E_PROOF, "It is another organisation's statement: %s", id_text(report->profile.bytes));
    if (state == NULL)
        return 0;
    struct cl_verify_report *shown = calloc(1, sizeof *shown);
    struct cl_verify_options options = {.now_ms = time_now_ms()};
    int result = shown == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : file_read(context, &data, state, CL_PROOF_BYTES_MAX);
    enum cl_status status = result == 0 ? cl_proof_verify(shown, data.data, data.length, policy, &options) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, "%s", state);
    else if (result == 0 && (!shown->exists || shown->kind != CL_STATE_AGREEMENT || memcmp(shown->object.bytes, report->agreement.bytes, 32) != 0))
        result = output_fail(&context->output, CL_E_PROOF, "%s is not about the agreement %s.", state, id_text(report->agreement.bytes));
    else if (result == 0 && (shown->agreement.organisation.length != 32 || memcmp(shown->agreement.organisation.bytes, report->profile.bytes, 32) != 0))
        result = output_fail(&context->output, CL_E_PROOF, "The statement is by a profile that is no side of this agreement: %s", id_text(report->profile.bytes));
    cl_buffer_deinit(&data);
    free(shown);
    return result;
}

static json_t *show_uses(struct context *context, struct cl_view items)
{
    json_t *list = json_array();
    struct cl_use use;
    while (cl_use_take(&use, &items)) {
        char when[TIME_TEXT_SIZE];
        struct cl_buffer purpose = {0};
        time_text(when, use.time_ms / 1000u);
        if (cl_vocabulary_shorten(&purpose, (const char *)use.purpose.data, use.purpose.length) == CL_OK)
            output_line(&context->output, "  %s  slot %-2u  %.*s%s%.*s", when, use.slot, (int)purpose.length, (const char *)purpose.data, use.reference.length == 0 ? "" : "  ", (int)use.reference.length, (const char *)use.reference.data);
        cl_buffer_deinit(&purpose);
        if (context->output.json)
            (void)json_array_append_new(list, json_pack("{s:I, s:i, s:s%, s:s%}", "time_ms", (json_int_t)use.time_ms, "slot", (int)use.slot, "purpose", (const char *)use.purpose.data, use.purpose.length,
                                                        "reference", (const char *)use.reference.data, use.reference.length));
    }
    return list;
}

static void show_report(struct context *context, const struct cl_uses_report *report, bool tied)
{
    const struct output *output = &context->output;
    const struct period period = {report->from_s, report->until_s};
    char signed_at[TIME_TEXT_SIZE];
    const char *valid = output_coloured(output, "1;32", "VALID");
    time_text(signed_at, report->issued_at_ms / 1000u);
    if (report->use_count > 0)
        output_line(output, "%s  used %zu time%s %s, so the organisation states:", valid, report->use_count, report->use_count == 1 ? "" : "s", period_words(&period));
    else
        output_line(output, "%s  not used %s, so the organisation states%s.", valid, period_words(&period), report->named ? "" : ": the agreement is not among those that it used");
    json_t *list = show_uses(context, report->items);
    if (!output->quiet) {
        output_line(output, "agreement     %s", id_text(report->agreement.bytes));
        output_line(output, "stated by     %s, signed %s", id_text(report->profile.bytes), signed_at);
        output_line(output, "in the log    at index %llu of %llu, signed by %zu of %zu", (unsigned long long)report->receipt.index, (unsigned long long)report->receipt.size, report->receipt.quorum.signed_count, report->receipt.quorum.witnesses);
    }
    output_say(output, "This shows what the organisation stated under its key, for good: keep the file and hold it against them. It does not show that nothing else was done.");
    if (!tied)
        output_say(output, "Compare both ids with those of your agreement, or give --proof with a proof of it ('consent proof NAME').");
    json_t *json = json_pack("{s:s, s:b, s:b, s:o, s:s, s:s, s:I, s:I}", "verdict", "VALID", "used", report->use_count > 0, "named", report->named, "uses", list, "agreement", id_text(report->agreement.bytes),
                             "profile", id_text(report->profile.bytes), "from", (json_int_t)report->from_s, "until", (json_int_t)report->until_s);
    (void)json_object_set_new(json, "record_id", json_string(id_text(report->receipt.record.bytes)));
    (void)json_object_set_new(json, "network_id", json_string(id_text(report->network.bytes)));
    (void)json_object_set_new(json, "log_index", json_integer((json_int_t)report->receipt.index));
    (void)json_object_set_new(json, "signed", json_integer((json_int_t)report->receipt.quorum.signed_count));
    (void)json_object_set_new(json, "members", json_integer((json_int_t)report->receipt.quorum.witnesses));
    output_json(output, json);
}

int run_uses_verify(struct context *context)
{
    struct cl_buffer proof = {.secret = true};
    struct cl_policy *policy = NULL;
    bool tied = false;
    const char *path = positional(context, 0);
    struct cl_uses_report *report = calloc(1, sizeof *report);
    if (report == NULL)
        return output_fail(&context->output, CL_E_MEMORY, NULL);
    int result = path == NULL ? output_usage(&context->output, "Which proof?") : file_read(context, &proof, path, CL_PROOF_BYTES_MAX);
    if (result == 0)
        result = policy_open(context, &policy);
    if (result == 0) {
        enum cl_status status = cl_uses_verify(report, proof.data, proof.length, policy);
        if (status == CL_E_QUORUM)
            result = output_fail(&context->output, status, "%zu of %zu signed, %zu are needed.", report->receipt.quorum.signed_count, report->receipt.quorum.witnesses, report->receipt.quorum.needed);
        else if (status != CL_OK)
            result = output_fail(&context->output, status, "%s", path);
    }
    if (result == 0)
        result = expected(context, &tied, report, policy);
    if (result == 0)
        show_report(context, report, tied);
    cl_policy_free(policy);
    cl_buffer_deinit(&proof);
    free(report);
    return result;
}
