/* consent history, and the exports around it: what happened to an agreement, as a table, as CSV, and as documents that
   programs of others read (proof --format dpv, kantara). */
#include "past.h"

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

/* ---- as lines */

enum { LINES_DEFAULT = 200 };

static void say_record(struct context *context, const struct export_event *event, const char *when, const char *name)
{
    char did[CL_DID_KEY_SIZE];
    struct cl_public_key key;
    memcpy(key.bytes, event->signer33, 33);
    cl_did_key_encode(did, &key);
    bool ours = cl_wallet_key_find(context->wallet, did) != NULL; /* by its name it could be taken for the other side */
    output_line(&context->output, "%s  %s%-10s %s%s%sby %.16s%s, height %llu", when, name, event->type, event->has_slots ? "slots " : "", event->has_slots ? slots_text(event->slots) : "", event->has_slots ? " " : "", ours ? "you" : did, ours ? "" : "...", (unsigned long long)event->height);
}

/* What passes between the two wallets by itself, in words; NULL: it is something else. Nobody acknowledges these. */
static const char *own_word(const struct cl_exchange_delivery *delivery)
{
    if (delivery->kind == CL_DELIVERY_NOTICE && strcmp(delivery->media_type, CL_MEDIA_TYPE_CONTACT) == 0)
        return delivery->received ? "how to reach the other side" : "how to reach you";
    if (delivery->kind == CL_DELIVERY_NOTICE && strcmp(delivery->media_type, CL_MEDIA_TYPE_BODY) == 0)
        return "the text of proposed terms";
    return NULL;
}

static void say_delivery(struct context *context, const struct export_agreement *agreement, const struct cl_exchange_delivery *delivery, const char *when, const char *name)
{
    char answered[TIME_TEXT_SIZE + 32] = "";
    const char *word = own_word(delivery), *way = delivery->received ? "received" : "sent";
    if (delivery->acknowledged_ms != 0) {
        char text[TIME_TEXT_SIZE];
        time_text(text, delivery->acknowledged_ms / 1000u);
        (void)snprintf(answered, sizeof answered, ", acknowledged %s", text);
    } else if (!delivery->received) {
        (void)snprintf(answered, sizeof answered, delivery->seen_ms == 0 ? ", waits to be sent" : word != NULL ? "" : ", not acknowledged");
    }
    if (word != NULL) {
        output_line(&context->output, "%s  %s%-10s %s%s", when, name, way, word, answered);
        return;
    }
    output_line(&context->output, "%s  %s%-10s %s, %s: %llu bytes of %s%s", when, name, way, past_slot(agreement, delivery->has_slot, delivery->slot), cl_delivery_kind_name(delivery->kind),
                (unsigned long long)delivery->length, output_printable(delivery->media_type, strlen(delivery->media_type)), answered);
}

static void say_line(struct context *context, const struct export_agreement *agreement, const struct line *line, bool named)
{
    char when[TIME_TEXT_SIZE], name[CL_NAME_BYTES_MAX + 24] = "";
    time_text(when, line->time_ms / 1000u);
    if (named)
        (void)snprintf(name, sizeof name, "%-18s ", agreement->item != NULL ? agreement->item->name : id_short(agreement->id.bytes));
    if (line->kind == LINE_RECORD) {
        say_record(context, &agreement->events[line->position], when, name);
    } else if (line->kind == LINE_DELIVERY) {
        say_delivery(context, agreement, &agreement->past->exchange->deliveries[line->position], when, name);
    } else {
        const struct past_use *use = &agreement->past->uses[line->position];
        output_line(&context->output, "%s  %s%-10s %s for %s%s%s%s", when, name, "used", past_slot(agreement, true, use->slot), use->purpose, use->reference[0] != '\0' ? ", reference " : "", use->reference, use->stated ? " (stated by the organisation)" : "");
    }
}

static json_t *record_line_json(const struct export_event *event)
{
    char signer[67];
    cl_hex_encode(signer, event->signer33, 33);
    return json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:s, s:s, s:o}", "type", event->type, "type_number", (int)event->number, "issued_at_ms", (json_int_t)event->issued_ms, "block_time_ms", (json_int_t)event->block_ms, "height",
                     (json_int_t)event->height, "log_index", (json_int_t)event->log_index, "record_id", id_text(event->record_id), "signer", signer, "slots", event->has_slots ? json_string(slots_text(event->slots)) : json_null());
}

static json_t *ms_json(uint64_t ms) { return ms == 0 ? json_null() : json_integer((json_int_t)ms); }

static json_t *delivery_line_json(const struct cl_exchange_delivery *delivery)
{
    char id[33];
    cl_hex_encode(id, delivery->id16, 16);
    return json_pack("{s:s, s:s, s:s, s:o, s:I, s:o, s:o, s:I, s:s}", "delivery", id, "direction", delivery->received ? "received" : "sent", "kind", cl_delivery_kind_name(delivery->kind), "slot", delivery->has_slot ? json_integer(delivery->slot) : json_null(),
                     "sent_ms", (json_int_t)delivery->sent_ms, "handed_over_ms", ms_json(delivery->seen_ms), "acknowledged_ms", ms_json(delivery->acknowledged_ms), "bytes", (json_int_t)delivery->length, "media_type", delivery->media_type);
}

static json_t *use_line_json(const struct past_use *use)
{
    return json_pack("{s:I, s:i, s:s, s:s, s:s}", "time_ms", (json_int_t)use->time_ms, "slot", (int)use->slot, "purpose", use->purpose, "reference", use->reference, "source", use->stated ? "statement" : "own log");
}

/* As the lines that are told. */
static json_t *agreement_json(const struct export_agreement *agreement, const struct line *lines, size_t count, size_t number)
{
    json_t *history = json_array(), *deliveries = json_array(), *uses = json_array();
    for (size_t i = 0; i < count; i++) {
        if (lines[i].agreement != number)
            continue;
        if (lines[i].kind == LINE_RECORD)
            (void)json_array_append_new(history, record_line_json(&agreement->events[lines[i].position]));
        else if (lines[i].kind == LINE_DELIVERY)
            (void)json_array_append_new(deliveries, delivery_line_json(&agreement->past->exchange->deliveries[lines[i].position]));
        else
            (void)json_array_append_new(uses, use_line_json(&agreement->past->uses[lines[i].position]));
    }
    json_t *json = json_pack("{s:s, s:o, s:o, s:o}", "object", id_text(agreement->id.bytes), "history", history, "deliveries", deliveries, "uses", uses);
    if (agreement->item != NULL)
        (void)json_object_set_new(json, "name", json_string(agreement->item->name));
    if (agreement->past != NULL && agreement->past->exchange->dropped > 0)
        (void)json_object_set_new(json, "deliveries_dropped", json_integer((json_int_t)agreement->past->exchange->dropped));
    return json;
}

/* What a log no longer holds is said, or "complete" would not be true. */
static void say_bounds(struct context *context, const struct export_agreement *agreement)
{
    const struct past *past = agreement->past;
    const char *name = agreement->item != NULL ? agreement->item->name : id_short(agreement->id.bytes);
    if (past != NULL && past->exchange->dropped > 0)
        output_say(&context->output, "%s: %llu older deliveries are not in here: of each agreement the last %u are kept.", name, (unsigned long long)past->exchange->dropped, CL_EXCHANGE_LOG_MAX);
    if (past != NULL && past->uses_left_out > 0)
        output_say(&context->output, "%s: %zu more uses are in the log; 'consent uses' shows them.", name, past->uses_left_out);
}

/* The newest lines of these, in the order of time; as JSON the same lines. */
static int history_print(struct context *context, const struct export_agreement *agreements, size_t count, bool one, const char *format)
{
    struct timeline timeline;
    int result = timeline_make(context, &timeline, agreements, count, format == NULL ? LINES_DEFAULT : LINES_MAX);
    if (result != 0)
        return result;
    if (timeline.left_out > 0)
        output_say(&context->output, "%zu older lines are left out; --limit %zu shows all, --since DAY a part.", timeline.left_out, timeline.left_out + timeline.count);
    for (size_t i = 0; i < timeline.count; i++)
        say_line(context, &agreements[timeline.lines[i].agreement], &timeline.lines[i], !one);
    json_t *list = json_array();
    for (size_t i = 0; context->output.json && i < count; i++)
        (void)json_array_append_new(list, agreement_json(&agreements[i], timeline.lines, timeline.count, i));
    json_t *json = one ? json_incref(json_array_get(list, 0)) : json_pack("{s:O}", "agreements", list);
    if (option(context, "--output") != NULL) {
        (void)json_object_set_new(json, "version", json_integer(1));
        result = export_json_write(context, json, option(context, "--output"));
    } else {
        output_json(&context->output, json);
    }
    json_decref(list);
    timeline_free(&timeline);
    return result;
}

/* ---- as documents */

static int csv_print(struct context *context, const struct export_agreement *agreements, size_t count)
{
    struct timeline timeline;
    struct cl_buffer rows = {0};
    int result = timeline_make(context, &timeline, agreements, count, LINES_MAX);
    if (result != 0)
        return result;
    if (timeline.left_out > 0)
        output_say(&context->output, "%zu older lines are left out.", timeline.left_out);
    enum cl_status status = csv_history(&rows, context, agreements, &timeline);
    result = status != CL_OK ? output_fail(&context->output, status, NULL) : export_write(context, (const char *)rows.data, rows.length);
    cl_buffer_deinit(&rows);
    timeline_free(&timeline);
    return result;
}

static int dpv_print(struct context *context, const struct export_agreement *agreements, size_t count, bool one)
{
    json_t *json, *records = json_array();
    if (option(context, "--since") != NULL || option(context, "--limit") != NULL) {
        json_decref(records);
        return output_usage(&context->output, "--since and --limit are for lines; a DPV record is whole, or it says what is not so.");
    }
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(records, dpv_record(&agreements[i], true));
    if (one) {
        json = json_incref(json_array_get(records, 0));
        (void)json_object_set_new(json, "@context", dpv_context());
    } else {
        json = json_pack("{s:o, s:O}", "@context", dpv_context(), "@graph", records);
    }
    json_decref(records);
    return export_json_write(context, json, option(context, "--output"));
}

static int history_write(struct context *context, const struct export_agreement *agreements, size_t count, bool one, const char *format)
{
    for (size_t i = 0; i < count; i++)
        say_bounds(context, &agreements[i]);
    if (format != NULL && strcmp(format, "csv") == 0)
        return csv_print(context, agreements, count);
    if (format != NULL && strcmp(format, "dpv") == 0)
        return dpv_print(context, agreements, count, one);
    return history_print(context, agreements, count, one, format);
}

static int history_of_one(struct context *context, const struct subject *subject, const char *format)
{
    struct export_agreement agreement = {.id = subject->object.id, .item = subject_item(context, subject), .network = &context->wallet->network, .now_ms = time_now_ms()};
    struct cl_terms_text *text = NULL;
    int result;
    if (subject->object.kind == CL_STATE_AGREEMENT) {
        result = gather(context, &agreement, &text, subject);
        if (result == 0)
            result = past_gather(context, &agreement, 1, option(context, "--uses"));
    } else if (format != NULL && strcmp(format, "json") != 0) {
        result = subject_unfit(context, subject, "an agreement");
    } else {
        result = option(context, "--uses") != NULL ? output_usage(&context->output, "--uses goes with an agreement.") : export_history(context, &agreement);
    }
    if (result == 0)
        result = history_write(context, &agreement, 1, true, format);
    cl_terms_text_free(text);
    export_free(&agreement);
    return result;
}

/* Everything of the wallet that is an agreement and stands on the ledger. */
struct all { size_t count; struct export_agreement *agreements; struct object *objects; struct cl_terms_text **texts; };

static void all_free(struct all *all)
{
    for (size_t i = 0; i < all->count; i++) {
        cl_terms_text_free(all->texts[i]);
        export_free(&all->agreements[i]);
        object_deinit(&all->objects[i]);
    }
    free(all->agreements);
    free((void *)all->texts);
    free(all->objects);
}

static int all_gather(struct context *context, struct all *all)
{
    size_t items = context->wallet->item_count;
    int result = 0;
    *all = (struct all){.agreements = calloc(items + 1, sizeof *all->agreements), .objects = calloc(items + 1, sizeof *all->objects), .texts = calloc(items + 1, sizeof *all->texts)};
    if (all->agreements == NULL || all->objects == NULL || all->texts == NULL)
        return output_fail(&context->output, CL_E_MEMORY, NULL);
    for (size_t i = 0; result == 0 && i < items && !http_interrupted; i++) {
        const struct cl_wallet_item *item = &context->wallet->items[i];
        if (item->kind != CL_ITEM_AGREEMENT)
            continue;
        struct object *object = &all->objects[all->count];
        result = object_fetch(context, object, &item->object, false);
        if (result == 3) { /* it never came to the ledger */
            result = 0;
            continue;
        }
        if (result == 0 && object->kind != CL_STATE_AGREEMENT) {
            object_deinit(object);
            result = output_fail(&context->output, CL_E_OBJECT_KIND, "The node has something else than an agreement as '%s'; ask another member.", item->name);
        }
        if (result != 0)
            break;
        struct export_agreement *agreement = &all->agreements[all->count];
        *agreement = (struct export_agreement){.id = item->object, .state = &object->as.agreement, .item = item, .network = &context->wallet->network, .now_ms = time_now_ms()};
        agreement->text = all->texts[all->count++] = body_text_of(item, agreement->state->commitment);
        result = export_history(context, agreement);
        output_progress(&context->output, "read", i + 1, items);
    }
    output_progress_end(&context->output);
    if (result == 0 && http_interrupted)
        result = output_fail(&context->output, CL_E_CANCELLED, NULL);
    return result != 0 ? result : past_gather(context, all->agreements, all->count, option(context, "--uses"));
}

static int history_of_all(struct context *context, const char *format)
{
    struct all all;
    int result = network_open(context);
    if (result != 0)
        return result;
    result = all_gather(context, &all);
    if (result == 0)
        result = history_write(context, all.agreements, all.count, false, format);
    if (result == 0 && all.count == 0)
        output_say(&context->output, "This wallet has no agreement on the ledger yet; 'consent list --refresh' looks for them.");
    all_free(&all);
    return result;
}

int run_history(struct context *context)
{
    struct subject subject;
    const char *format = option(context, "--format");
    if (format != NULL && strcmp(format, "csv") != 0 && strcmp(format, "dpv") != 0 && strcmp(format, "json") != 0)
        return output_usage(&context->output, "--format is csv, json or dpv; 'consent proof --format kantara' writes a Kantara receipt.");
    if (format == NULL && option(context, "--output") != NULL)
        return output_usage(&context->output, "--output goes with --format csv, json or dpv.");
    if (format != NULL && strcmp(format, "json") == 0)
        context->output.json = true;
    if (positional(context, 0) == NULL)
        return history_of_all(context, format);
    int result = subject_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    result = history_of_one(context, &subject, format);
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
        result = export_json_write(context, json, path == NULL ? made : path);
    if (result == 0 && (path == NULL || strcmp(path, "-") != 0)) {
        output_line(&context->output, "%s", path == NULL ? made : path);
        output_json(&context->output, json_pack("{s:s, s:s}", "file", path == NULL ? made : path, "object", id_text(subject->object.id.bytes)));
    }
    cl_terms_text_free(text);
    export_free(&agreement);
    return result;
}
