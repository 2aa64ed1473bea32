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
    if (result == 0)
        result = past_gather(context, &agreement, 1, option(context, "--uses"));
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

/* ---- the time line */

enum { LINES_DEFAULT = 200, LINES_MAX = 1000000 };

/* One line of it: a record, a delivery or a use of one agreement. */
struct line { uint64_t time_ms; size_t agreement, position; enum { LINE_RECORD, LINE_DELIVERY, LINE_USE } kind; };

/* What came is told by when it came, by our clock; what went, by when it went. */
static uint64_t delivery_ms(const struct cl_exchange_delivery *delivery) { return delivery->seen_ms != 0 ? delivery->seen_ms : delivery->sent_ms; }

static int compare_lines(const void *a, const void *b)
{
    const struct line *left = a, *right = b;
    if (left->time_ms != right->time_ms)
        return left->time_ms < right->time_ms ? -1 : 1;
    if (left->agreement != right->agreement)
        return left->agreement < right->agreement ? -1 : 1;
    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    return left->position < right->position ? -1 : left->position > right->position;
}

static size_t lines_of(struct line *lines, const struct export_agreement *agreement, size_t number, uint64_t since_ms)
{
    const struct past *past = agreement->past;
    size_t count = 0;
    for (size_t i = 0; i < agreement->event_count; i++)
        lines[count++] = (struct line){agreement->events[i].block_ms, number, i, LINE_RECORD};
    for (size_t i = 0; past != NULL && i < past->exchange->delivery_count; i++)
        lines[count++] = (struct line){delivery_ms(&past->exchange->deliveries[i]), number, i, LINE_DELIVERY};
    for (size_t i = 0; past != NULL && i < past->use_count; i++)
        lines[count++] = (struct line){past->uses[i].time_ms, number, i, LINE_USE};
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (lines[i].time_ms >= since_ms)
            lines[kept++] = lines[i];
    return kept;
}

static size_t lines_most(const struct export_agreement *agreement)
{
    return agreement->event_count + (agreement->past == NULL ? 0 : agreement->past->exchange->delivery_count + agreement->past->use_count);
}

static void say_record(struct context *context, const struct export_agreement *agreement, const struct export_event *event, const char *when, const char *name)
{
    struct cl_party signer = {.length = 33};
    memcpy(signer.bytes, event->signer33, 33);
    output_line(&context->output, "%s  %s%-10s %s%s by %s, height %llu", when, name, event->type, event->has_slots ? "slots " : "", event->has_slots ? slots_text(event->slots) : agreement->state == NULL ? "" : "all", party_text(context, &signer), (unsigned long long)event->height);
}

static void say_delivery(struct context *context, const struct export_agreement *agreement, const struct cl_exchange_delivery *delivery, const char *when, const char *name)
{
    char answered[TIME_TEXT_SIZE + 32] = "";
    if (delivery->acknowledged_ms != 0) {
        char text[TIME_TEXT_SIZE];
        time_text(text, delivery->acknowledged_ms / 1000u);
        (void)snprintf(answered, sizeof answered, ", acknowledged %s", text);
    } else if (!delivery->received) {
        (void)snprintf(answered, sizeof answered, delivery->seen_ms == 0 ? ", waits to be sent" : ", not acknowledged");
    }
    output_line(&context->output, "%s  %s%-10s %s, %s: %llu bytes of %s%s", when, name, delivery->received ? "received" : "sent", past_slot(agreement, delivery->has_slot, delivery->slot), cl_delivery_kind_name(delivery->kind),
                (unsigned long long)delivery->length, output_printable(delivery->media_type, strlen(delivery->media_type)), answered);
}

static void say_line(struct context *context, const struct export_agreement *agreement, const struct line *line, bool named)
{
    char when[TIME_TEXT_SIZE], name[CL_NAME_BYTES_MAX + 24] = "";
    time_text(when, line->time_ms / 1000u);
    if (named)
        (void)snprintf(name, sizeof name, "%-18s ", agreement->item != NULL ? agreement->item->name : id_short(agreement->id.bytes));
    if (line->kind == LINE_RECORD) {
        say_record(context, agreement, &agreement->events[line->position], when, name);
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

static int lines_asked(struct context *context, uint64_t *since_ms, uint64_t *limit)
{
    const char *since = option(context, "--since"), *most = option(context, "--limit");
    uint64_t seconds = 0;
    *limit = LINES_DEFAULT;
    if (since != NULL && !time_parse(&seconds, since, false))
        return output_usage(&context->output, "--since is a day, as 2026-11-01, or a moment, as 2026-11-01T12:00:00Z.");
    if (most != NULL && (!number_parse(limit, most, LINES_MAX) || *limit == 0))
        return output_usage(&context->output, "--limit is 1 to %d.", LINES_MAX);
    *since_ms = seconds * 1000u;
    return 0;
}

/* The newest lines of these, in the order of time. */
static int history_print(struct context *context, const struct export_agreement *agreements, size_t count, bool one)
{
    uint64_t since_ms = 0, limit = 0;
    size_t most = 0, found = 0;
    int result = lines_asked(context, &since_ms, &limit);
    for (size_t i = 0; i < count; i++)
        most += lines_most(&agreements[i]);
    struct line *lines = calloc(most + 1, sizeof *lines);
    if (result == 0 && lines == NULL)
        result = output_fail(&context->output, CL_E_MEMORY, NULL);
    for (size_t i = 0; result == 0 && i < count; i++)
        found += lines_of(lines + found, &agreements[i], i, since_ms);
    if (result == 0) {
        qsort(lines, found, sizeof *lines, compare_lines);
        size_t first = found > limit ? found - (size_t)limit : 0;
        if (first > 0)
            output_say(&context->output, "%zu older lines are left out; --limit %zu shows all, --since DAY a part.", first, found);
        for (size_t i = first; i < found; i++)
            say_line(context, &agreements[lines[i].agreement], &lines[i], !one);
        json_t *list = json_array();
        for (size_t i = 0; i < count; i++) {
            say_bounds(context, &agreements[i]);
            if (context->output.json)
                (void)json_array_append_new(list, agreement_json(&agreements[i], lines + first, found - first, i));
        }
        if (context->output.json)
            output_json(&context->output, one ? json_deep_copy(json_array_get(list, 0)) : json_pack("{s:O}", "agreements", list));
        json_decref(list);
    }
    free(lines);
    return result;
}

static int history_of_one(struct context *context, const struct subject *subject)
{
    struct export_agreement agreement = {.id = subject->object.id, .item = subject_item(context, subject), .network = &context->wallet->network, .now_ms = time_now_ms()};
    struct cl_terms_text *text = NULL;
    int result;
    if (subject->object.kind == CL_STATE_AGREEMENT) {
        result = gather(context, &agreement, &text, subject);
        if (result == 0)
            result = past_gather(context, &agreement, 1, option(context, "--uses"));
    } else {
        result = option(context, "--uses") != NULL ? output_usage(&context->output, "--uses goes with an agreement.") : export_history(context, &agreement);
    }
    if (result == 0)
        result = history_print(context, &agreement, 1, true);
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

static int history_of_all(struct context *context)
{
    struct all all;
    int result = network_open(context);
    if (result != 0)
        return result;
    result = all_gather(context, &all);
    if (result == 0)
        result = history_print(context, all.agreements, all.count, false);
    if (result == 0 && all.count == 0)
        output_say(&context->output, "This wallet has no agreement on the ledger yet; 'consent list --refresh' looks for them.");
    all_free(&all);
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
    if (format != NULL && !csv && !dpv)
        context->output.json = true;
    if (positional(context, 0) == NULL)
        return csv || dpv ? output_usage(&context->output, "Of which agreement? 'consent list --format %s' writes all of them.", format) : history_of_all(context);
    int result = subject_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    result = csv || dpv ? history_export(context, &subject, csv) : history_of_one(context, &subject);
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
