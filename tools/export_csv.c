/* Lists and histories as CSV: one header row, times in ISO 8601 UTC, one row for each slot; for each record, delivery and use. */
#include "past.h"

enum { NAME, KIND, OBJECT, ROLE, CUSTOMER, ORGANISATION, STATE, CONSENT, CONTRACT, NOT_BEFORE, NOT_AFTER, LAST_CHANGE, HEAD, TERMS, SLOT, SLOT_STATE,
       SLOT_NAME, CATEGORY, PURPOSES, PROCESSING, RECIPIENTS, RETENTION, DELIVERY, PROOF, PROOF_KEPT, LIST_COLUMNS };
static const char *const list_columns[LIST_COLUMNS] = {
    "name", "kind", "id", "our_side", "customer", "other_side", "state", "consent_status", "contract_status", "not_before", "not_after", "last_change",
    "last_record", "terms", "slot", "slot_state", "slot_name", "category", "purposes", "processing", "recipients", "retention", "delivery", "proof", "proof_kept"};

enum cl_status csv_list_head(struct cl_buffer *out) { return cl_csv_row(out, list_columns, LIST_COLUMNS); }

static void fill_agreement(const char **fields, const struct export_agreement *agreement)
{
    const struct cl_agreement *state = agreement->state;
    fields[CUSTOMER] = party_iri(&state->customer);
    fields[ORGANISATION] = party_iri(&state->organisation);
    fields[CONSENT] = cl_dpv_consent_status(state, agreement->now_ms);
    fields[CONTRACT] = cl_dpv_contract_status(state, agreement->now_ms);
    fields[NOT_BEFORE] = state->not_before.present ? time_iso(state->not_before.seconds * 1000u) : NULL;
    fields[NOT_AFTER] = state->not_after.present ? time_iso(state->not_after.seconds * 1000u) : NULL;
    fields[LAST_CHANGE] = time_iso(state->head_ms);
    fields[HEAD] = id_text(state->head);
    fields[TERMS] = state->terms.present ? id_text(state->terms.bytes) : NULL;
    fields[PROOF] = proof_url(agreement);
    fields[PROOF_KEPT] = agreement->item != NULL && agreement->item->proof.length > 0 ? "yes" : "no";
}

static enum cl_status slot_row(struct cl_buffer *out, const char **fields, const struct export_agreement *agreement, const struct cl_terms_slot *slot)
{
    char number[8], delivery[2 * CL_TERMS_VALUE_BYTES_MAX + 4] = "";
    (void)snprintf(number, sizeof number, "%u", slot->number);
    if (slot->delivery_period != NULL)
        (void)snprintf(delivery, sizeof delivery, "%s%s%s", slot->delivery_period, slot->delivery_format == NULL ? "" : " ", slot->delivery_format == NULL ? "" : slot->delivery_format);
    bool live = (agreement->state->live >> slot->number & 1u) != 0, due = (cl_agreement_due(agreement->state, agreement->now_ms) >> slot->number & 1u) != 0;
    fields[SLOT] = number;
    fields[SLOT_STATE] = due ? "to be erased" : live ? "live" : "not live";
    fields[SLOT_NAME] = slot->name;
    fields[CATEGORY] = slot->category;
    fields[PURPOSES] = joined(slot->purposes, slot->purpose_count);
    fields[PROCESSING] = joined(slot->processing, slot->processing_count);
    fields[RECIPIENTS] = joined(slot->recipients, slot->recipient_count);
    fields[RETENTION] = slot->retention;
    fields[DELIVERY] = delivery;
    return cl_csv_row(out, fields, LIST_COLUMNS);
}

enum cl_status csv_list_rows(struct cl_buffer *out, const struct cl_wallet_item *item, const struct object *object, const struct export_agreement *agreement)
{
    const char *fields[LIST_COLUMNS] = {NULL};
    fields[NAME] = item->name;
    fields[KIND] = item->kind == CL_ITEM_TERMS ? "terms" : item->kind == CL_ITEM_PROFILE ? "profile" : "agreement";
    fields[OBJECT] = id_text(item->object.bytes);
    fields[ROLE] = item->role == CL_SIDE_CUSTOMER ? "customer" : item->role == CL_SIDE_ORGANISATION ? "organisation" : "none";
    fields[STATE] = object == NULL ? "not on the ledger yet" : state_word(object);
    if (object != NULL)
        fields[HEAD] = id_text(object_head(object));
    if (agreement != NULL)
        fill_agreement(fields, agreement);
    if (agreement == NULL || agreement->text == NULL)
        return cl_csv_row(out, fields, LIST_COLUMNS);
    enum cl_status status = CL_OK;
    for (size_t i = 0; status == CL_OK && i < agreement->text->slot_count; i++)
        status = slot_row(out, fields, agreement, &agreement->text->slots[i]);
    return status;
}

/* ---- history: a row for each line of it */

enum { AGREEMENT, TIME, SIGNED_AT, HEIGHT, LOG_INDEX, RECORD_TYPE, RECORD, SIGNER, SIGNER_NAME, SLOTS, LED_TO_CONSENT, LED_TO_CONTRACT,
       AGREEMENT_NAME, WHAT, LINE_SLOT_NAME, DELIVERY_ID, DELIVERY_KIND, MEDIA_TYPE, BYTES, SENT_AT, HANDED_OVER, ACKNOWLEDGED, PURPOSE, REFERENCE, SOURCE, HISTORY_COLUMNS };
static const char *const history_columns[HISTORY_COLUMNS] = {
    "agreement", "time", "signed_at", "height", "log_index", "record_type", "record", "signer", "signer_name", "slots", "consent_status", "contract_status",
    "name", "what", "slot_name", "delivery", "kind", "media_type", "bytes", "sent_at", "handed_over", "acknowledged", "purpose", "reference", "source"};

static const char *time_or_none(uint64_t milliseconds) { return milliseconds == 0 ? NULL : time_iso(milliseconds); }

static void fill_slot(const char **fields, char number[8], const struct export_agreement *agreement, bool has_slot, uint8_t slot)
{
    const struct cl_terms_slot *found = past_terms_slot(agreement, has_slot, slot);
    (void)snprintf(number, 8, "%u", slot);
    fields[SLOTS] = has_slot ? number : NULL;
    fields[LINE_SLOT_NAME] = found == NULL ? NULL : found->name;
}

static enum cl_status record_row(struct cl_buffer *out, const char **fields, struct context *context, const struct export_event *event)
{
    struct cl_party signer = {.length = 33};
    char height[24], position[24];
    memcpy(signer.bytes, event->signer33, 33);
    (void)snprintf(height, sizeof height, "%llu", (unsigned long long)event->height);
    (void)snprintf(position, sizeof position, "%llu", (unsigned long long)event->log_index);
    const char *iri = party_iri(&signer), *name = party_text(context, &signer);
    fields[WHAT] = "record";
    fields[SIGNED_AT] = time_iso(event->issued_ms);
    fields[HEIGHT] = height;
    fields[LOG_INDEX] = position;
    fields[RECORD_TYPE] = event->type;
    fields[RECORD] = id_text(event->record_id);
    fields[SIGNER] = iri;
    fields[SIGNER_NAME] = strcmp(name, iri) == 0 ? NULL : name;
    fields[SLOTS] = event->has_slots ? slots_text(event->slots) : NULL;
    fields[LED_TO_CONSENT] = event->consent;
    fields[LED_TO_CONTRACT] = event->contract;
    return cl_csv_row(out, fields, HISTORY_COLUMNS);
}

static enum cl_status delivery_row(struct cl_buffer *out, const char **fields, const struct export_agreement *agreement, const struct cl_exchange_delivery *delivery)
{
    char id[33], bytes[24], slot[8];
    cl_hex_encode(id, delivery->id16, 16);
    (void)snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)delivery->length);
    fill_slot(fields, slot, agreement, delivery->has_slot, delivery->slot);
    fields[WHAT] = delivery->received ? "received" : "sent";
    fields[DELIVERY_ID] = id;
    fields[DELIVERY_KIND] = cl_delivery_kind_name(delivery->kind);
    fields[MEDIA_TYPE] = delivery->media_type;
    fields[BYTES] = bytes;
    fields[SENT_AT] = time_or_none(delivery->sent_ms);
    fields[HANDED_OVER] = time_or_none(delivery->seen_ms);
    fields[ACKNOWLEDGED] = time_or_none(delivery->acknowledged_ms);
    return cl_csv_row(out, fields, HISTORY_COLUMNS);
}

static enum cl_status use_row(struct cl_buffer *out, const char **fields, const struct export_agreement *agreement, const struct past_use *use)
{
    char slot[8];
    fill_slot(fields, slot, agreement, true, use->slot);
    fields[WHAT] = "use";
    fields[PURPOSE] = use->purpose;
    fields[REFERENCE] = use->reference;
    fields[SOURCE] = use->stated ? "statement" : "own log";
    return cl_csv_row(out, fields, HISTORY_COLUMNS);
}

enum cl_status csv_history(struct cl_buffer *out, struct context *context, const struct export_agreement *agreements, const struct timeline *timeline)
{
    enum cl_status status = cl_csv_row(out, history_columns, HISTORY_COLUMNS);
    for (size_t i = 0; status == CL_OK && i < timeline->count; i++) {
        const struct line *line = &timeline->lines[i];
        const struct export_agreement *agreement = &agreements[line->agreement];
        const char *fields[HISTORY_COLUMNS] = {[AGREEMENT] = id_text(agreement->id.bytes), [TIME] = time_iso(line->time_ms), [AGREEMENT_NAME] = agreement->item == NULL ? NULL : agreement->item->name};
        if (line->kind == LINE_RECORD)
            status = record_row(out, fields, context, &agreement->events[line->position]);
        else if (line->kind == LINE_DELIVERY)
            status = delivery_row(out, fields, agreement, &agreement->past->exchange->deliveries[line->position]);
        else
            status = use_row(out, fields, agreement, &agreement->past->uses[line->position]);
    }
    return status;
}
