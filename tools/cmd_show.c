/* consent list, show: whom did I give what? */
#include "discover.h"
#include "export.h"
#include "joint.h"
#include "sharing.h"

#include <stdlib.h>

static json_t *time_json(const struct cl_optional_time *when) { return when->present ? json_integer((json_int_t)when->seconds) : json_null(); }

static json_t *slots_json(uint64_t slots)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < 64; i++)
        if ((slots >> i & 1u) != 0)
            (void)json_array_append_new(list, json_integer((json_int_t)i));
    return list;
}

static const char *kind_word(const struct object *object)
{
    return object->kind == CL_STATE_TERMS ? "terms" : object->kind == CL_STATE_PROFILE ? "profile" : "agreement";
}

static json_t *object_json(struct context *context, const struct object *object)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:s}", "object", id_text(object->id.bytes), "kind", kind_word(object), "state", state_word(object), "summary", state_line(context, object));
    (void)json_object_set_new(json, "commitment", json_string(id_text(object_commitment(object))));
    (void)json_object_set_new(json, "head", json_string(id_text(object_head(object))));
    if (object->kind == CL_STATE_AGREEMENT) {
        const struct cl_agreement *agreement = &object->as.agreement;
        (void)json_object_set_new(json, "slots", slots_json(agreement->live));
        (void)json_object_set_new(json, "due", slots_json(cl_agreement_due(agreement, time_now_ms())));
        (void)json_object_set_new(json, "not_before", time_json(&agreement->not_before));
        (void)json_object_set_new(json, "not_after", time_json(&agreement->not_after));
        (void)json_object_set_new(json, "customer", json_string(party_text(context, &agreement->customer)));
        (void)json_object_set_new(json, "organisation", json_string(party_text(context, &agreement->organisation)));
    } else if (object->kind == CL_STATE_TERMS) {
        const struct cl_terms *terms = &object->as.terms;
        (void)json_object_set_new(json, "slots", slots_json(terms->slots));
        (void)json_object_set_new(json, "limit", json_integer((json_int_t)terms->limit));
        (void)json_object_set_new(json, "answers", json_integer((json_int_t)terms->answers));
        (void)json_object_set_new(json, "not_before", time_json(&terms->not_before));
        (void)json_object_set_new(json, "not_after", time_json(&terms->not_after));
    }
    return json;
}

static const char *item_kind(const struct cl_wallet_item *item) { return item->kind == CL_ITEM_TERMS ? "terms" : item->kind == CL_ITEM_PROFILE ? "profile" : "agreement"; }

/* "offer": nobody has given anything yet, or it was refused. */
static const char *item_word(const struct cl_wallet_item *item, const struct object *object)
{
    if (item->kind != CL_ITEM_AGREEMENT)
        return item_kind(item);
    uint8_t status = object == NULL || object->kind != CL_STATE_AGREEMENT ? CL_OFFERED : object->as.agreement.status;
    if (status == CL_OFFERED || status == CL_REQUESTED || status == CL_SUBSCRIBED || status == CL_COUNTERED || status == CL_REFUSED)
        return "offer";
    return item->role == CL_SIDE_CUSTOMER ? "given" : item->role == CL_SIDE_ORGANISATION ? "received" : "others'";
}

/* The other side of an agreement in which one side is ours; NULL where there is none to name. */
static const struct cl_party *other_side(const struct cl_wallet_item *item, const struct object *object)
{
    if (object->kind != CL_STATE_AGREEMENT || item->role == CL_SIDE_NONE)
        return NULL;
    return item->role == CL_SIDE_CUSTOMER ? &object->as.agreement.organisation : &object->as.agreement.customer;
}

static int refresh_some(struct context *context, struct states *states, size_t first, size_t count)
{
    struct cl_object_id *ids = calloc(count, sizeof *ids);
    if (ids == NULL)
        return output_fail(&context->output, CL_E_MEMORY, NULL);
    for (size_t i = 0; i < count; i++)
        ids[i] = context->wallet->items[first + i].object;
    int result = states_fetch_objects(context, states, ids, count);
    for (size_t i = 0; i < count && result == 0; i++) {
        struct cl_wallet_item *item = &context->wallet->items[first + i];
        const struct object *object = states_object(states, i);
        const struct cl_party *other = object == NULL ? NULL : other_side(item, object);
        if (other != NULL)
            item->party = *other;
        if (object != NULL && cl_buffer_replace(&item->state, object->value.data, object->value.length) != CL_OK)
            result = output_fail(&context->output, CL_E_MEMORY, NULL);
    }
    free(ids);
    return result;
}

/* What the ledger says now goes into the wallet's entries; those from first_new on were just fetched. */
static int refresh(struct context *context, size_t first_new)
{
    struct states *states = states_new();
    int result = states == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : 0;
    for (size_t i = 0; i < first_new && result == 0; i += STATES_MAX) {
        size_t count = first_new - i < STATES_MAX ? first_new - i : STATES_MAX;
        result = refresh_some(context, states, i, count);
        output_progress(&context->output, "refreshed", i + count, first_new);
    }
    output_progress_end(&context->output);
    states_free(states);
    return result;
}

static int discover_and_refresh(struct context *context)
{
    size_t found = 0;
    int result = network_open(context);
    if (result != 0)
        return result;
    size_t known = context->wallet->item_count;
    result = discover_all(context, &found);
    if (result == 0)
        result = refresh(context, known);
    int saved = wallet_save(context); /* what was found before an interruption is kept too */
    if (saved == 0 && found > 0)
        saved = wallet_backup(context, NULL);
    return result != 0 ? result : saved;
}

static void list_item(struct context *context, json_t *list, const struct cl_wallet_item *item, const struct object *object, bool known)
{
    const struct cl_party *other = known ? other_side(item, object) : NULL;
    output_line(&context->output, "%-18s %-9s %-24s %s", item->name, item_word(item, known ? object : NULL), other == NULL ? "" : party_short(context, other), known ? state_line(context, object) : "not on the ledger yet");
    json_t *json = known ? object_json(context, object) : json_pack("{s:s, s:s, s:s}", "object", id_text(item->object.bytes), "kind", item_kind(item), "state", "not on the ledger");
    (void)json_object_set_new(json, "name", json_string(item->name));
    (void)json_object_set_new(json, "role", json_string(item->role == CL_SIDE_CUSTOMER ? "customer" : item->role == CL_SIDE_ORGANISATION ? "organisation" : "none"));
    if (other != NULL)
        (void)json_object_set_new(json, "with", json_string(party_text(context, other)));
    if (known && object->kind == CL_STATE_AGREEMENT && context->output.json) {
        struct cl_terms_text *text = body_text_of(item, object->as.agreement.commitment);
        struct export_agreement agreement = {.id = item->object, .state = &object->as.agreement, .text = text, .item = item, .network = &context->wallet->network, .now_ms = time_now_ms()};
        export_json(json, &agreement);
        cl_terms_text_free(text);
    }
    if (known && object->kind == CL_STATE_AGREEMENT && object->as.agreement.terms.present)
        (void)json_object_set_new(json, "terms", json_string(id_text(object->as.agreement.terms.bytes)));
    (void)json_array_append_new(list, json);
}

/* terms: only agreements made under these; NULL: everything. Returns: how many. */
static size_t list_items(struct context *context, json_t *list, const struct cl_object_id *terms)
{
    size_t shown = 0;
    for (size_t i = 0; i < context->wallet->item_count; i++) {
        const struct cl_wallet_item *item = &context->wallet->items[i];
        struct object object = {.id = item->object};
        bool known = item->state.length > 0 && object_decode(context, &object, item->state.data, item->state.length) == 0;
        bool active = known && object.kind == CL_STATE_AGREEMENT && cl_agreement_check(&object.as.agreement, 0, time_now_ms()) == CL_OK;
        bool under = known && terms != NULL && object.kind == CL_STATE_AGREEMENT && object.as.agreement.terms.present && memcmp(object.as.agreement.terms.bytes, terms->bytes, 32) == 0;
        bool due = known && object.kind == CL_STATE_AGREEMENT && cl_agreement_due(&object.as.agreement, time_now_ms()) != 0;
        if ((flag(context, "--active") && !active) || (flag(context, "--due-erasure") && !due) || (terms != NULL && !under))
            continue;
        if (shown++ == 0)
            output_line(&context->output, "%-18s %-9s %-24s %s", "NAME", "KIND", "WITH", "STATE");
        list_item(context, list, item, &object, known);
    }
    return shown;
}

/* --format csv, dpv: everything, or what is active; what is no agreement has a row in CSV, and no record in DPV's words. */
static int list_export(struct context *context, bool csv)
{
    struct cl_buffer rows = {0};
    json_t *records = json_array();
    size_t left_out = 0;
    enum cl_status status = csv ? csv_list_head(&rows) : CL_OK;
    for (size_t i = 0; status == CL_OK && i < context->wallet->item_count; i++) {
        const struct cl_wallet_item *item = &context->wallet->items[i];
        struct object object = {.id = item->object};
        bool known = item->state.length > 0 && object_decode(context, &object, item->state.data, item->state.length) == 0, agreed = known && object.kind == CL_STATE_AGREEMENT;
        struct export_agreement agreement = {.id = item->object, .state = &object.as.agreement, .item = item, .network = &context->wallet->network, .now_ms = time_now_ms()};
        bool active = agreed && cl_agreement_check(&object.as.agreement, 0, agreement.now_ms) == CL_OK, due = agreed && cl_agreement_due(&object.as.agreement, agreement.now_ms) != 0;
        if ((flag(context, "--active") && !active) || (flag(context, "--due-erasure") && !due))
            continue;
        struct cl_terms_text *text = known && object.kind != CL_STATE_PROFILE ? body_text_of(item, object_commitment(&object)) : NULL;
        agreement.text = text;
        if (csv)
            status = csv_list_rows(&rows, item, known ? &object : NULL, agreed ? &agreement : NULL);
        else if (agreed)
            (void)json_array_append_new(records, dpv_record(&agreement, true));
        else
            left_out++;
        cl_terms_text_free(text);
    }
    int result = status != CL_OK ? output_fail(&context->output, status, NULL) : csv ? export_write(context, (const char *)rows.data, rows.length)
                 : export_json_write(context, json_pack("{s:o, s:O}", "@context", dpv_context(), "@graph", records), option(context, "--output"));
    if (result == 0 && left_out > 0)
        output_say(&context->output, "%zu entr%s of the wallet %s not in there, being terms, profiles, or not on the ledger yet.", left_out, left_out == 1 ? "y" : "ies", left_out == 1 ? "is" : "are");
    json_decref(records);
    cl_buffer_deinit(&rows);
    return result;
}

int run_list(struct context *context)
{
    const char *format = option(context, "--format");
    bool csv = format != NULL && strcmp(format, "csv") == 0, dpv = format != NULL && strcmp(format, "dpv") == 0;
    if (format != NULL && !csv && !dpv && strcmp(format, "json") != 0)
        return output_usage(&context->output, "--format is csv, json or dpv.");
    if (!csv && !dpv && option(context, "--output") != NULL)
        return output_usage(&context->output, "--output goes with --format csv or dpv.");
    if (format != NULL && !csv && !dpv)
        context->output.json = true;
    int result = flag(context, "--refresh") ? discover_and_refresh(context) : wallet_open(context);
    if (result != 0)
        return result;
    if (!flag(context, "--refresh"))
        output_say(&context->output, "As this wallet saw it last; 'consent list --refresh' asks the node.");
    if (csv || dpv)
        return list_export(context, csv);
    json_t *list = json_array(), *joint = json_array();
    size_t shown = list_items(context, list, NULL);
    if (!flag(context, "--active") && !flag(context, "--due-erasure"))
        shown += joints_list(context, joint);
    if (shown == 0)
        output_say(&context->output, "There is nothing to show.");
    output_json(&context->output, json_pack("{s:o, s:o}", "entries", list, "joint", joint));
    return 0;
}

static const char *powers_text(uint8_t powers)
{
    static const char *const names[] = {"revoke", "grant", "amend", "state", "deliver"};
    static char out[64];
    size_t used = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < 5; i++)
        if (((unsigned)powers >> i & 1u) != 0)
            used += (size_t)snprintf(out + used, sizeof out - used, "%s%s", used == 0 ? "" : ", ", names[i]);
    return out;
}

static void show_agreement(struct context *context, const struct cl_agreement *agreement)
{
    const struct output *output = &context->output;
    output_line(output, "customer      %s", party_text(context, &agreement->customer));
    output_line(output, "other side    %s", party_text(context, &agreement->organisation));
    output_line(output, "period        %s", period_text(&agreement->not_before, &agreement->not_after));
    output_line(output, "slots         %s", slots_text(agreement->live));
    uint64_t due = cl_agreement_due(agreement, time_now_ms());
    if (due != 0)
        output_line(output, "to be erased  %s, by the other side", slots_text(due));
    if (agreement->suspended != 0)
        output_line(output, "suspended by  %s", agreement->suspended == 3 ? "both sides" : agreement->suspended == 1 ? "the customer" : "the other side");
    if ((agreement->flags & CL_FLAG_DISPUTED) != 0)
        output_line(output, "disputed      yes");
    if ((agreement->flags & (CL_FLAG_ERASED_C | CL_FLAG_ERASED_O)) != 0)
        output_line(output, "erased        %s%s", (agreement->flags & CL_FLAG_ERASED_C) != 0 ? "stated by the customer " : "", (agreement->flags & CL_FLAG_ERASED_O) != 0 ? "stated by the other side" : "");
    if (agreement->pending.present)
        output_line(output, "proposed      slots %s, %s", slots_text(agreement->pending.slots), period_text(&agreement->pending.not_before, &agreement->pending.not_after));
    for (unsigned i = 0; i < agreement->delegation_count; i++) {
        struct cl_party key = {.length = 33};
        char until[TIME_TEXT_SIZE];
        memcpy(key.bytes, agreement->delegations[i].key, 33);
        time_until_text(until, agreement->delegations[i].until);
        output_line(output, "delegate      %s may %s until %s", party_text(context, &key), powers_text(agreement->delegations[i].powers), until);
    }
}

/* With --offline: what the wallet saw last. */
static int offline_subject(struct context *context, struct subject *subject, const char *what)
{
    struct cl_wallet_item *item = NULL;
    int result = wallet_open(context);
    *subject = (struct subject){.side = CL_SIDE_NONE};
    if (result == 0 && (what == NULL || cl_wallet_item_find(&item, context->wallet, what) != CL_OK))
        return output_fail(&context->output, CL_E_NOT_FOUND, "'%.80s'", what == NULL ? "" : what);
    if (result == 0) {
        subject->object.id = item->object;
        (void)snprintf(subject->item_name, sizeof subject->item_name, "%s", item->name);
        result = item->state.length == 0 ? output_fail(&context->output, CL_E_NOT_FOUND, "The wallet has not seen its state yet.") : object_decode(context, &subject->object, item->state.data, item->state.length);
    }
    return result;
}

/* Of one's own TERMS: the agreements made under them, asked of the node unless offline. */
static int show_under(struct context *context, const struct subject *subject, bool offline, json_t *json)
{
    size_t found = 0;
    if (subject->object.kind != CL_STATE_TERMS || subject_item(context, subject) == NULL)
        return 0;
    int result = offline ? 0 : discover_under(context, &subject->object.id, &found);
    output_progress_end(&context->output);
    if (result != 0)
        return result;
    json_t *list = json_array();
    output_line(&context->output, "%s", "");
    if (list_items(context, list, &subject->object.id) == 0)
        output_line(&context->output, "No agreement was made under these terms yet.");
    (void)json_object_set_new(json, "agreements", list);
    return found > 0 ? wallet_backup(context, NULL) : 0;
}

int run_show(struct context *context)
{
    struct subject subject;
    bool offline = flag(context, "--offline");
    int result = offline ? offline_subject(context, &subject, positional(context, 0)) : subject_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    struct cl_wallet_item *item = subject_item(context, &subject);
    const struct object *object = &subject.object;
    const char *colour = strcmp(state_word(object), "active") == 0 || strcmp(state_word(object), "open") == 0 ? "32" : "1";
    output_line(&context->output, "%s %s  %s", kind_word(object), output_coloured(&context->output, "1", subject.item_name), id_text(object->id.bytes));
    output_line(&context->output, "state         %s", output_coloured(&context->output, colour, state_line(context, object)));
    if (object->kind == CL_STATE_AGREEMENT)
        show_agreement(context, &object->as.agreement);
    output_line(&context->output, "commitment    %s", id_text(object_commitment(object)));
    output_line(&context->output, "head          %s", id_text(object_head(object)));
    struct cl_terms_text *text = item == NULL ? NULL : body_text_of(item, object_commitment(object));
    struct cl_buffer page = {0};
    if (text != NULL && !context->output.json && cl_terms_text_plain(&page, text, object->kind == CL_STATE_AGREEMENT && object->as.agreement.live != 0 ? object->as.agreement.live : ~0ull) == CL_OK)
        (void)printf("\n%.*s", (int)page.length, (const char *)page.data);
    json_t *json = object_json(context, object);
    (void)json_object_set_new(json, "name", json_string(subject.item_name));
    if (!offline)
        (void)json_object_set_new(json, "as_of_height", json_integer((json_int_t)object->height));
    result = show_under(context, &subject, offline, json);
    item = subject_item(context, &subject); /* it moves when entries are added */
    if (result == 0 && !offline && item != NULL) {
        if (cl_buffer_replace(&item->state, object->value.data, object->value.length) != CL_OK)
            result = output_fail(&context->output, CL_E_MEMORY, NULL);
        else
            result = wallet_save(context);
    }
    if (result == 0)
        output_json(&context->output, json);
    else
        json_decref(json);
    cl_terms_text_free(text);
    cl_buffer_deinit(&page);
    subject_close(&subject);
    return result;
}
