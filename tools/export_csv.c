/* Lists and histories as CSV: one header row, times in ISO 8601 UTC, one row for each slot or record. */
#include "export.h"

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

enum cl_status csv_history(struct cl_buffer *out, struct context *context, const struct export_agreement *agreement)
{
    static const char *const columns[] = {"agreement", "time", "signed_at", "height", "log_index", "record_type", "record", "signer", "signer_name", "slots", "consent_status", "contract_status"};
    enum { COLUMNS = sizeof columns / sizeof columns[0] };
    enum cl_status status = cl_csv_row(out, columns, COLUMNS);
    for (size_t i = 0; status == CL_OK && i < agreement->event_count; i++) {
        const struct export_event *event = &agreement->events[i];
        struct cl_party signer = {.length = 33};
        char height[24], position[24];
        memcpy(signer.bytes, event->signer33, 33);
        (void)snprintf(height, sizeof height, "%llu", (unsigned long long)event->height);
        (void)snprintf(position, sizeof position, "%llu", (unsigned long long)event->log_index);
        const char *iri = party_iri(&signer), *name = party_text(context, &signer);
        const char *fields[COLUMNS] = {id_text(agreement->id.bytes), time_iso(event->block_ms), time_iso(event->issued_ms), height, position, event->type, id_text(event->record_id), iri,
                                       strcmp(name, iri) == 0 ? NULL : name, event->has_slots ? slots_text(event->slots) : NULL, event->consent, event->contract};
        status = cl_csv_row(out, fields, COLUMNS);
    }
    return status;
}
