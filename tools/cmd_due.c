/* consent due: what was agreed to be delivered, by either side, against the log of deliveries. The state and the history come from
   the node, so that suspensions and amendments count; what was delivered is known to the wallet alone. */
#include "export.h"
#include "consent/exchange.h"
#include "consent/schedule.h"

#include <stdlib.h>

struct debt {
    char name[CL_NAME_BYTES_MAX + 1], slot_name[65], every[CL_DURATION_PLAIN_SIZE], period[CL_DURATION_PLAIN_SIZE], format[CL_MEDIA_TYPE_BYTES_MAX + 1];
    struct cl_object_id object;
    uint8_t slot;
    bool ours, suspended;
    struct cl_schedule_count count;
    uint64_t last_ms, acknowledged_ms;   /* 0: never */
    size_t misfits;                      /* in another format */
};
struct debts { struct context *context; struct debt *list; size_t count, room, overdue, uncounted; };

/* ---- one agreement */

/* Since when the present terms are in force, and when use was suspended. pauses: free. */
static enum cl_status frame_make(struct cl_schedule_frame *frame, struct cl_schedule_pause **pauses, const struct export_agreement *agreement, const struct cl_exchange *exchange)
{
    const struct cl_agreement *state = agreement->state;
    bool suspended = false;
    *frame = (struct cl_schedule_frame){.since_ms = agreement->event_count > 0 ? agreement->events[0].block_ms : state->head_ms,
                                        .until_ms = state->not_after.present ? state->not_after.seconds * 1000u : CL_SCHEDULE_NEVER,
                                        .settled_ms = exchange->dropped > 0 && exchange->delivery_count > 0 ? exchange->deliveries[0].sent_ms : 0};
    *pauses = calloc(agreement->event_count + 1, sizeof **pauses);
    if (*pauses == NULL)
        return CL_E_MEMORY;
    for (size_t i = 0; i < agreement->event_count; i++) {
        const struct export_event *event = &agreement->events[i];
        if (event->agreed)
            frame->since_ms = event->block_ms;
        if (event->suspended && !suspended)
            (*pauses)[frame->pause_count++] = (struct cl_schedule_pause){event->block_ms, CL_SCHEDULE_NEVER};
        if (!event->suspended && suspended)
            (*pauses)[frame->pause_count - 1].until_ms = event->block_ms;
        suspended = event->suspended;
    }
    if (state->not_before.present && state->not_before.seconds * 1000u > frame->since_ms)
        frame->since_ms = state->not_before.seconds * 1000u;
    frame->pauses = *pauses;
    return CL_OK;
}

static void debt_fill(struct debt *debt, const struct export_agreement *agreement, const struct cl_terms_slot *slot, const struct cl_schedule_frame *frame, const struct cl_exchange *exchange)
{
    uint64_t sent_ms[CL_EXCHANGE_LOG_MAX];
    const struct cl_exchange_delivery *last;
    *debt = (struct debt){.object = agreement->id, .slot = slot->number, .ours = slot->from_organisation == (agreement->item->role == CL_SIDE_ORGANISATION),
                          .suspended = cl_agreement_check(agreement->state, 0, agreement->now_ms) == CL_E_SUSPENDED};
    (void)snprintf(debt->name, sizeof debt->name, "%s", agreement->item->name);
    (void)snprintf(debt->slot_name, sizeof debt->slot_name, "%s", output_printable(slot->name, strlen(slot->name)));
    (void)snprintf(debt->period, sizeof debt->period, "%s", slot->delivery_period);
    (void)snprintf(debt->format, sizeof debt->format, "%.*s", CL_MEDIA_TYPE_BYTES_MAX, slot->delivery_format == NULL ? "" : slot->delivery_format);
    cl_duration_plain(debt->every, slot->delivery_period);
    size_t count = cl_schedule_deliveries(sent_ms, &last, &debt->misfits, exchange, !debt->ours, slot->number, slot->delivery_format);
    if (last != NULL) {
        debt->last_ms = last->sent_ms;
        debt->acknowledged_ms = last->acknowledged_ms;
    }
    cl_schedule_count(&debt->count, frame, sent_ms, count, agreement->now_ms);
}

static struct debt *debt_room(struct debts *debts)
{
    if (debts->count == debts->room) {
        size_t room = debts->room == 0 ? 16 : 2 * debts->room;
        struct debt *more = realloc(debts->list, room * sizeof *more);
        if (more == NULL)
            return NULL;
        debts->list = more;
        debts->room = room;
    }
    return &debts->list[debts->count++];
}

/* Slots in force whose deliveries can be counted. Returns: how many. */
static size_t slots_owing(const struct cl_terms_text *text, uint64_t live, struct debts *debts)
{
    struct cl_schedule schedule;
    size_t count = 0;
    for (size_t i = 0; i < text->slot_count; i++) {
        if (text->slots[i].delivery_period == NULL || (live >> text->slots[i].number & 1u) == 0)
            continue;
        bool counts = cl_schedule_parse(&schedule, text->slots[i].delivery_period) == CL_OK;
        count += counts ? 1 : 0;
        debts->uncounted += counts ? 0 : 1;
    }
    return count;
}

static int agreement_count(struct debts *debts, struct export_agreement *agreement)
{
    struct context *context = debts->context;
    struct cl_exchange *exchange = malloc(sizeof *exchange);
    struct cl_schedule_pause *pauses = NULL;
    struct cl_schedule_frame frame;
    int result = exchange == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : export_history(context, agreement);
    enum cl_status status = result == 0 ? cl_exchange_load(exchange, context->store, &agreement->id) : CL_OK;
    if (status != CL_OK)
        result = store_fail(context, status, "The wallet's folder");
    if (result == 0) {
        status = frame_make(&frame, &pauses, agreement, exchange);
        for (size_t i = 0; i < agreement->text->slot_count && status == CL_OK; i++) {
            const struct cl_terms_slot *slot = &agreement->text->slots[i];
            if (slot->delivery_period == NULL || (agreement->state->live >> slot->number & 1u) == 0 || cl_schedule_parse(&frame.schedule, slot->delivery_period) != CL_OK)
                continue;
            struct debt *debt = debt_room(debts);
            status = debt == NULL ? CL_E_MEMORY : CL_OK;
            if (debt != NULL)
                debt_fill(debt, agreement, slot, &frame, exchange);
        }
        cl_exchange_deinit(exchange);
        if (status != CL_OK)
            result = output_fail(&context->output, status, NULL);
    }
    free(pauses);
    free(exchange);
    export_free(agreement);
    return result;
}

/* In force, though perhaps suspended or about to begin, and its text is at hand. */
static int item_count(struct debts *debts, const struct cl_wallet_item *item)
{
    struct context *context = debts->context;
    struct object object;
    int result = object_fetch(context, &object, &item->object, false);
    if (result != 0)
        return result == 3 ? 0 : result;
    struct export_agreement agreement = {.id = item->object, .state = &object.as.agreement, .item = item, .network = &context->wallet->network, .now_ms = time_now_ms()};
    enum cl_status status = object.kind == CL_STATE_AGREEMENT ? cl_agreement_check(&object.as.agreement, 0, agreement.now_ms) : CL_E_OBJECT_KIND;
    struct cl_terms_text *text = status == CL_OK || status == CL_E_SUSPENDED || status == CL_E_NOT_YET ? body_text_of(item, object.as.agreement.commitment) : NULL;
    agreement.text = text;
    if (text != NULL && slots_owing(text, object.as.agreement.live, debts) > 0)
        result = agreement_count(debts, &agreement);
    cl_terms_text_free(text);
    object_deinit(&object);
    return result;
}

/* Whether any text of it, present, proposed or past, has a schedule: else the node need not be asked. */
static bool may_owe(const struct cl_wallet_item *item)
{
    struct cl_body_file *file = malloc(sizeof *file);
    bool found = false;
    for (size_t i = 0; file != NULL && i < item->body_count && !found; i++) {
        struct cl_terms_text *text = NULL;
        if (cl_body_file_decode(file, item->bodies[i].data, item->bodies[i].length) != CL_OK || cl_body_file_text(&text, file) != CL_OK)
            continue;
        for (size_t k = 0; k < text->slot_count; k++)
            found = found || text->slots[k].delivery_period != NULL;
        cl_terms_text_free(text);
    }
    free(file);
    return found;
}

/* ---- all of them, in words */

/* What has been due longest comes first; what is not due any more, last. */
static int by_urgency(const void *a, const void *b)
{
    const struct debt *left = a, *right = b;
    if (left->count.due_ms != right->count.due_ms)
        return left->count.due_ms < right->count.due_ms ? -1 : 1;
    int names = strcmp(left->name, right->name);
    return names != 0 ? names : (int)left->slot - (int)right->slot;
}

static const char *last_text(const struct debt *debt)
{
    static char out[TIME_TEXT_SIZE + 32];
    char when[TIME_TEXT_SIZE];
    if (debt->last_ms == 0)
        return "never";
    time_text(when, debt->last_ms / 1000u);
    (void)snprintf(out, sizeof out, "%s%s", when, debt->acknowledged_ms != 0 ? ", acknowledged" : "");
    return out;
}

static const char *due_text(const struct debt *debt)
{
    static char out[TIME_TEXT_SIZE + 64];
    char when[TIME_TEXT_SIZE];
    if (debt->count.due_ms == CL_SCHEDULE_NEVER)
        return debt->suspended ? "suspended" : "nothing more";
    time_text(when, debt->count.due_ms / 1000u);
    if (debt->count.overdue == 0)
        (void)snprintf(out, sizeof out, "by %s", when);
    else
        (void)snprintf(out, sizeof out, "%llu overdue since %s", (unsigned long long)debt->count.overdue, when);
    return out;
}

static json_t *time_json(uint64_t ms) { return ms == 0 || ms == CL_SCHEDULE_NEVER ? json_null() : json_integer((json_int_t)ms); }

static json_t *debt_json(const struct debt *debt)
{
    return json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:b}", "agreement", debt->name, "object", id_text(debt->object.bytes), "slot", (int)debt->slot, "slot_name", debt->slot_name,
                     "owed_by", debt->ours ? "us" : "them", "every", debt->period, "format", debt->format[0] != '\0' ? json_string(debt->format) : json_null(),
                     "periods", (json_int_t)debt->count.periods, "delivered", (json_int_t)debt->count.delivered, "overdue", (json_int_t)debt->count.overdue, "overdue_since_ms", time_json(debt->count.overdue > 0 ? debt->count.due_ms : 0),
                     "due_ms", time_json(debt->count.due_ms), "last_ms", time_json(debt->last_ms), "acknowledged_ms", time_json(debt->acknowledged_ms), "other_format", (json_int_t)debt->misfits, "suspended", debt->suspended);
}

static void debts_say(struct debts *debts)
{
    struct context *context = debts->context;
    json_t *list = json_array();
    bool only_overdue = flag(context, "--overdue"), headed = false;
    char slot[72];
    if (debts->count > 1)
        qsort(debts->list, debts->count, sizeof *debts->list, by_urgency);
    for (size_t i = 0; i < debts->count; i++) {
        const struct debt *debt = &debts->list[i];
        debts->overdue += debt->count.overdue > 0 ? 1 : 0;
        if (only_overdue && debt->count.overdue == 0)
            continue;
        if (!headed)
            output_line(&context->output, "%-18s %-16s %-6s %-10s %-16s %-35s %s", "NAME", "SLOT", "FROM", "EVERY", "AS", "LAST", "DUE");
        headed = true;
        (void)snprintf(slot, sizeof slot, "%u %s", debt->slot, debt->slot_name);
        output_line(&context->output, "%-18s %-16s %-6s %-10s %-16s %-35s %s", debt->name, slot, debt->ours ? "you" : "them", debt->every, debt->format, last_text(debt), output_coloured(&context->output, debt->count.overdue > 0 ? "31" : "0", due_text(debt)));
        if (debt->misfits > 0)
            output_say(&context->output, "Of '%s', slot %s: %zu in another format, which %s not count.", debt->name, slot, debt->misfits, debt->misfits == 1 ? "does" : "do");
        (void)json_array_append_new(list, debt_json(debt));
    }
    if (debts->uncounted > 0)
        output_say(&context->output, "%zu slots have a period that cannot be counted: it is shorter than a minute, or longer than a hundred years.", debts->uncounted);
    if (!headed)
        output_say(&context->output, debts->count > 0 ? "Nothing is overdue." : "Nothing is to be delivered regularly under what is in force.");
    output_json(&context->output, json_pack("{s:o, s:I}", "entries", list, "overdue", (json_int_t)debts->overdue));
}

int run_due(struct context *context)
{
    struct debts debts = {.context = context};
    struct cl_wallet_item *named[POSITIONALS_MAX];
    size_t named_count = context->positional_count;
    int result = network_open(context);
    for (size_t i = 0; i < named_count && result == 0; i++)
        if (cl_wallet_item_find(&named[i], context->wallet, positional(context, i)) != CL_OK || named[i]->kind != CL_ITEM_AGREEMENT)
            result = output_fail(&context->output, CL_E_NOT_FOUND, "The wallet has no agreement '%.80s'.", positional(context, i));
    size_t count = result != 0 ? 0 : named_count > 0 ? named_count : context->wallet->item_count;
    for (size_t i = 0; i < count && result == 0; i++) {
        const struct cl_wallet_item *item = named_count > 0 ? named[i] : &context->wallet->items[i];
        if (item->kind == CL_ITEM_AGREEMENT && item->role != CL_SIDE_NONE && may_owe(item))
            result = item_count(&debts, item);
        if (count > 20)
            output_progress(&context->output, "looked at", i + 1, count);
    }
    output_progress_end(&context->output);
    if (result == 0)
        debts_say(&debts);
    free(debts.list);
    return result != 0 ? result : debts.overdue > 0 ? output_exit_of(CL_E_PENDING) : 0;
}
