/* consent history, and the exports around it: what happened to an agreement, as a table, as CSV, and as documents that
   programs of others read (proof --format dpv, kantara). */
#include "export.h"

#include <stdlib.h>

/* What the wallet and the node know about the subject; text is cl_terms_text_free's, the rest export_free's. */
static int gather(struct context *context, struct export_agreement *out, struct cl_terms_text **text, const struct subject *subject)
{
    *text = NULL;
    *out = (struct export_agreement){.id = subject->object.id, .state = &subject->object.as.agreement, .item = subject_item(context, subject), .network = &context->wallet->network, .now_ms = time_now_ms()};
    if (out->item != NULL)
        out->text = *text = body_text_of(out->item, out->state->commitment);
    return export_history(context, out);
}

static int write_json(struct context *context, json_t *json, const char *path)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(3));
    int result = text == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : file_write(context, path, text, strlen(text), true);
    if (result == 0 && strcmp(path, "-") == 0)
        (void)putchar('\n');
    free(text);
    json_decref(json);
    return result;
}

/* One agreement as a DPV record, for oneself, or as CSV. */
static int history_export(struct context *context, const struct subject *subject, bool csv)
{
    struct export_agreement agreement;
    struct cl_terms_text *text;
    struct cl_buffer rows = {0};
    if (subject->object.kind != CL_STATE_AGREEMENT)
        return subject_unfit(context, subject, "an agreement");
    int result = gather(context, &agreement, &text, subject);
    if (result == 0 && csv) {
        enum cl_status status = csv_history(&rows, context, &agreement);
        result = status != CL_OK ? output_fail(&context->output, status, NULL) : export_write(context, (const char *)rows.data, rows.length);
    } else if (result == 0) {
        json_t *record = dpv_record(&agreement, true);
        (void)json_object_set_new(record, "@context", dpv_context());
        const char *path = option(context, "--output");
        result = write_json(context, record, path == NULL ? "-" : path);
    }
    cl_buffer_deinit(&rows);
    cl_terms_text_free(text);
    export_free(&agreement);
    return result;
}

static int history_print(struct context *context, const struct subject *subject)
{
    char path[128];
    json_t *json = NULL, *event;
    size_t position;
    (void)snprintf(path, sizeof path, "/v1/agreements/%s", id_text(subject->object.id.bytes));
    int result = node_get_json(context, &json, path);
    json_t *list = json_array();
    if (result == 0) {
        json_array_foreach(json_object_get(json, "history"), position, event) {
            const char *type = json_string_value(json_object_get(event, "type")), *signer = json_string_value(json_object_get(event, "signer"));
            char when[TIME_TEXT_SIZE];
            struct cl_party party = {.length = 33};
            time_text(when, (uint64_t)json_integer_value(json_object_get(event, "block_time_ms")) / 1000u);
            bool known = signer != NULL && cl_hex_decode(party.bytes, 33, signer);
            output_line(&context->output, "%s  height %-6lld %-10s by %s", when, (long long)json_integer_value(json_object_get(event, "height")), type == NULL ? "?" : output_printable(type, strlen(type)), known ? party_text(context, &party) : "?");
            json_t *copy = json_copy(event);
            (void)json_object_del(copy, "record");
            (void)json_array_append_new(list, copy);
        }
        if (json_is_true(json_object_get(json, "history_more")))
            output_say(&context->output, "There is more: the node tells the newest %zu records only.", json_array_size(list));
        output_json(&context->output, json_pack("{s:s, s:O}", "object", id_text(subject->object.id.bytes), "history", list));
    }
    json_decref(list);
    json_decref(json);
    return result;
}

int run_history(struct context *context)
{
    struct subject subject;
    const char *format = option(context, "--format");
    bool csv = format != NULL && strcmp(format, "csv") == 0, dpv = format != NULL && strcmp(format, "dpv") == 0;
    if (format != NULL && !csv && !dpv && strcmp(format, "json") != 0)
        return output_usage(&context->output, "--format is csv, json or dpv; 'consent proof --format kantara' writes a Kantara receipt.");
    if (format == NULL && option(context, "--output") != NULL)
        return output_usage(&context->output, "--output goes with --format csv or dpv.");
    int result = subject_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    if (format != NULL && !csv && !dpv)
        context->output.json = true;
    result = csv || dpv ? history_export(context, &subject, csv) : history_print(context, &subject);
    subject_close(&subject);
    return result;
}

int document_write(struct context *context, const struct subject *subject, bool kantara)
{
    struct export_agreement agreement;
    struct cl_terms_text *text;
    json_t *json = NULL;
    char uuid[37], made[128];
    const char *path = option(context, "--output");
    if (subject->object.kind != CL_STATE_AGREEMENT)
        return subject_unfit(context, subject, "an agreement");
    int result = gather(context, &agreement, &text, subject);
    if (result == 0 && kantara) {
        result = kantara_receipt(context, &json, &agreement);
    } else if (result == 0) {
        uuid_random(uuid);
        json = uuid[0] == '\0' ? NULL : dpv_receipt(&agreement, uuid);
    }
    (void)snprintf(made, sizeof made, "%.64s.%s", subject->item_name[0] != '\0' ? subject->item_name : "agreement", kantara ? "receipt.json" : "jsonld");
    if (result == 0)
        result = write_json(context, json, path == NULL ? made : path);
    if (result == 0 && (path == NULL || strcmp(path, "-") != 0)) {
        output_line(&context->output, "%s", path == NULL ? made : path);
        output_json(&context->output, json_pack("{s:s, s:s}", "file", path == NULL ? made : path, "object", id_text(subject->object.id.bytes)));
    }
    cl_terms_text_free(text);
    export_free(&agreement);
    return result;
}
