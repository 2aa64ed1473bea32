/* Consent records and receipts after ISO/IEC TS 27560 in the words of W3C DPV 2.3 (https://w3id.org/dpv/guides/consent-27560),
   as JSON-LD 1.1 with the context inside, so that nobody has to fetch anything to read them. Purposes, categories and
   states are written as IRIs only where the project's vocabulary has them (terms files admit no others of dpv: and pd:);
   kinds of processing, recipients and the jurisdiction are written as the text that the two sides agreed on. What happened
   beside the ledger goes into one's own record as a record of processing: each delivery (dpv:Transmit) and use (dpv:Use). */
#include "past.h"

#define RECORD_PROFILE "https://w3id.org/dpv/schema/dpv-27560#record"
#define RECEIPT_PROFILE "https://w3id.org/dpv/schema/dpv-27560#receipt"

json_t *dpv_context(void)
{
    static const char *const references[] = {"dct:conformsTo", "dct:source", "dpv:hasPurpose", "dpv:hasPersonalData", "dpv:isIndicatedBy", "dpv:hasContractStatus"};
    json_t *context = json_pack("{s:f, s:s, s:s, s:s, s:s, s:s, s:s}", "@version", 1.1, "dpv", "https://w3id.org/dpv#", "pd", "https://w3id.org/dpv/pd#", "ieee7012", "https://w3id.org/dpv/standards/ieee/7012#",
                                "dct", "http://purl.org/dc/terms/", "rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "xsd", "http://www.w3.org/2001/XMLSchema#");
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++)
        (void)json_object_set_new(context, references[i], json_pack("{s:s}", "@type", "@id"));
    (void)json_object_set_new(context, "dct:created", json_pack("{s:s}", "@type", "xsd:dateTime"));
    (void)json_object_set_new(context, "dct:date", json_pack("{s:s}", "@type", "xsd:dateTime"));
    (void)json_object_set_new(context, "dct:dateAccepted", json_pack("{s:s}", "@type", "xsd:dateTime"));
    (void)json_object_set_new(context, "dpv:isIndicatedAtTime", json_pack("{s:s}", "@type", "xsd:dateTime"));
    return context;
}

void uuid_random(char out[37])
{
    uint8_t bytes[16];
    char hex[33];
    out[0] = '\0';
    if (cl_random_bytes(bytes, sizeof bytes) != CL_OK)
        return;
    bytes[6] = (uint8_t)((bytes[6] & 0x0fu) | 0x40u);
    bytes[8] = (uint8_t)((bytes[8] & 0x3fu) | 0x80u);
    cl_hex_encode(hex, bytes, sizeof bytes);
    (void)snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static json_t *strings(const char *const *list, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(array, json_string(list[i]));
    return array;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0')
        (void)json_object_set_new(object, key, json_string(text));
}

static json_t *process_json(const struct cl_terms_slot *slot)
{
    char number[16];
    (void)snprintf(number, sizeof number, "slot %u", slot->number);
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:o}", "@type", "dpv:Process", "dct:identifier", number, "dct:title", slot->name, "dpv:hasPersonalData", slot->category,
                             "dpv:hasPurpose", strings(slot->purposes, slot->purpose_count));
    if (slot->processing_count > 0)
        (void)json_object_set_new(json, "dpv:hasProcessing", strings(slot->processing, slot->processing_count));
    if (slot->recipient_count > 0)
        (void)json_object_set_new(json, "dpv:hasRecipient", strings(slot->recipients, slot->recipient_count));
    if (slot->retention != NULL)
        (void)json_object_set_new(json, "dpv:hasStorageCondition", json_pack("{s:s, s:s}", "@type", "dpv:StorageDuration", "dpv:hasDuration", slot->retention));
    set_text(json, "dpv:hasFrequency", slot->delivery_period);
    set_text(json, "dct:format", slot->delivery_format);
    return json;
}

static json_t *party_json(const struct cl_party *party, const char *type, const char *name)
{
    json_t *json = json_pack("{s:s, s:s, s:s}", "@id", party_iri(party), "@type", type, "dpv:hasIdentifier", party_iri(party));
    set_text(json, "dct:title", name);
    return json;
}

static json_t *duration_json(const struct cl_agreement *state)
{
    return state->not_after.present ? json_pack("{s:s, s:s}", "@type", "dpv:UntilTimeDuration", "rdf:value", time_iso(state->not_after.seconds * 1000u))
                                    : json_pack("{s:s}", "@type", "dpv:EndlessDuration");
}

/* Consent is the customer's to give and to withdraw, whichever signature completed it; an organisation ends (revokes). */
static const char *indicated_by(const struct export_agreement *agreement, const char *consent, const uint8_t *signer33)
{
    struct cl_party signer = {.length = 33};
    if (strcmp(consent, "dpv:ConsentGiven") == 0 || strcmp(consent, "dpv:RenewedConsentGiven") == 0 || strcmp(consent, "dpv:ConsentWithdrawn") == 0)
        return party_iri(&agreement->state->customer);
    if (strcmp(consent, "dpv:ConsentRevoked") == 0)
        return party_iri(&agreement->state->organisation);
    if (signer33 == NULL)
        return NULL;
    memcpy(signer.bytes, signer33, 33);
    return party_iri(&signer);
}

static json_t *status_json(const struct export_agreement *agreement, const char *consent, uint64_t at_ms, const uint8_t *record_id, const char *type, const uint8_t *signer33)
{
    bool given = strcmp(consent, "dpv:ConsentGiven") == 0 || strcmp(consent, "dpv:RenewedConsentGiven") == 0;
    json_t *json = given ? json_pack("{s:[s, s]}", "@type", consent, "dpv:ExpressedConsent") : json_pack("{s:s}", "@type", consent);
    set_text(json, "dpv:isIndicatedAtTime", time_iso(at_ms));
    set_text(json, "dpv:isIndicatedBy", indicated_by(agreement, consent, signer33));
    if (type != NULL) {
        char method[64];
        (void)snprintf(method, sizeof method, "signed record: %s", type);
        set_text(json, "dpv:hasIndicationMethod", method);
    }
    if (record_id != NULL)
        set_text(json, "dct:identifier", id_text(record_id));
    if (given)
        (void)json_object_set_new(json, "dpv:hasDuration", duration_json(agreement->state));
    return json;
}

/* What the history shows, and then the present state where that is another: it expired, or no history was asked for. */
static json_t *statuses_json(const struct export_agreement *agreement)
{
    json_t *list = json_array();
    const char *last = "", *now = export_consent(agreement);
    for (size_t i = 0; i < agreement->event_count; i++) {
        const struct export_event *event = &agreement->events[i];
        if (event->consent == NULL)
            continue;
        (void)json_array_append_new(list, status_json(agreement, event->consent, event->block_ms, event->record_id, event->type, event->signer33));
        last = event->consent;
    }
    if (strcmp(last, now) != 0) {
        bool expired = strcmp(now, "dpv:ConsentExpired") == 0;
        (void)json_array_append_new(list, status_json(agreement, now, expired ? agreement->state->not_after.seconds * 1000u : agreement->state->head_ms,
                                                      expired ? NULL : agreement->state->head, NULL, NULL));
    }
    return list;
}

/* The terms are the notice that both sides saw; their text goes by its hash. */
static json_t *notice_json(const struct cl_terms_text *text)
{
    json_t *json = json_pack("{s:s}", "@type", "dpv:ConsentNotice");
    if (text->has_text_hash)
        set_text(json, "@id", id_iri(text->text_hash));
    set_text(json, "dct:title", text->fields[CL_FIELD_TITLE]);
    set_text(json, "dct:language", text->fields[CL_FIELD_LANGUAGE]);
    set_text(json, "dct:conformsTo", text->fields[CL_FIELD_TEMPLATE]);
    return json;
}

static void set_terms(json_t *json, const struct export_agreement *agreement)
{
    const struct cl_terms_text *text = agreement->text;
    json_t *processes = json_array();
    for (size_t i = 0; i < text->slot_count; i++)
        if (agreement->state->live == 0 || (agreement->state->live >> text->slots[i].number & 1u) != 0)
            (void)json_array_append_new(processes, process_json(&text->slots[i]));
    (void)json_object_set_new(json, "dpv:hasProcess", processes);
    (void)json_object_set_new(json, "dpv:hasNotice", notice_json(text));
    set_text(json, "dpv:hasJurisdiction", text->fields[CL_FIELD_JURISDICTION]);
    set_text(json, "dpv:hasContact", text->fields[CL_FIELD_CONTACT]);
    if (text->fields[CL_FIELD_WITHDRAW] != NULL) {
        json_t *control = json_pack("{s:s, s:s}", "@type", "dpv:WithdrawConsent", "dct:description", text->fields[CL_FIELD_WITHDRAW]);
        set_text(control, "dpv:hasConsequence", text->fields[CL_FIELD_AFTER_WITHDRAWAL]);
        (void)json_object_set_new(json, "dpv:hasConsentControl", control);
    }
}

/* The name of our side is that of its key; of the other side, the entry's. */
static const char *name_of(const struct export_agreement *agreement, enum cl_side side, bool own)
{
    const struct cl_wallet_item *item = agreement->item;
    if (!own || item == NULL || item->role == CL_SIDE_NONE)
        return NULL;
    return item->role == side ? item->key_name : item->name;
}

/* ---- what was delivered and used */

static json_t *activity_json(const struct export_agreement *agreement, const char *processing, bool has_slot, uint8_t number, uint64_t when_ms)
{
    const struct cl_terms_slot *slot = past_terms_slot(agreement, has_slot, number);
    json_t *json = json_pack("{s:s, s:{s:s}, s:s, s:s}", "@type", "dpv:Process", "dpv:hasProcessing", "@id", processing, "dct:title", past_slot(agreement, has_slot, number), "dct:date", time_iso(when_ms));
    if (slot != NULL)
        set_text(json, "dpv:hasPersonalData", slot->category);
    return json;
}

static json_t *delivery_json(const struct export_agreement *agreement, const struct cl_exchange_delivery *delivery)
{
    enum cl_side own = agreement->item == NULL ? CL_SIDE_NONE : agreement->item->role;
    const struct cl_terms_slot *slot = past_terms_slot(agreement, delivery->has_slot, delivery->slot);
    char id[33], extent[32], about[64];
    cl_hex_encode(id, delivery->id16, 16);
    (void)snprintf(extent, sizeof extent, "%llu bytes", (unsigned long long)delivery->length);
    (void)snprintf(about, sizeof about, "%s, %s%s", cl_delivery_kind_name(delivery->kind), delivery->received ? "received" : "sent", delivery->seen_ms == 0 ? ", waits to be handed over" : "");
    json_t *json = activity_json(agreement, "dpv:Transmit", delivery->has_slot, delivery->slot, delivery->seen_ms != 0 ? delivery->seen_ms : delivery->sent_ms);
    set_text(json, "dct:identifier", id);
    set_text(json, "dct:description", about);
    set_text(json, "dct:format", delivery->media_type);
    set_text(json, "dct:extent", extent);
    if (own != CL_SIDE_NONE) {
        const struct cl_party *to = (own == CL_SIDE_CUSTOMER) == delivery->received ? &agreement->state->customer : &agreement->state->organisation;
        (void)json_object_set_new(json, "dpv:hasRecipient", json_pack("{s:s}", "@id", party_iri(to)));
    }
    if (slot != NULL)
        (void)json_object_set_new(json, "dpv:hasPurpose", strings(slot->purposes, slot->purpose_count));
    if (delivery->acknowledged_ms != 0)
        set_text(json, "dct:dateAccepted", time_iso(delivery->acknowledged_ms));
    return json;
}

static json_t *use_json(const struct export_agreement *agreement, const struct past_use *use)
{
    bool known = cl_vocabulary_find(CL_VOCABULARY_PURPOSE, use->purpose) != NULL;
    char about[256];
    json_t *json = activity_json(agreement, "dpv:Use", true, use->slot, use->time_ms);
    (void)snprintf(about, sizeof about, "%s%s%s", use->stated ? "stated by the organisation" : "of our own log", known ? "" : ", for ", known ? "" : use->purpose);
    set_text(json, "dct:identifier", use->reference);
    set_text(json, "dct:description", about);
    if (known)
        set_text(json, "dpv:hasPurpose", use->purpose);
    return json;
}

static void set_activity(json_t *json, const struct export_agreement *agreement)
{
    const struct past *past = agreement->past;
    json_t *list = json_array();
    for (size_t i = 0; i < past->exchange->delivery_count; i++)
        (void)json_array_append_new(list, delivery_json(agreement, &past->exchange->deliveries[i]));
    for (size_t i = 0; i < past->use_count; i++)
        (void)json_array_append_new(list, use_json(agreement, &past->uses[i]));
    if (json_array_size(list) > 0) {
        json_t *activity = json_pack("{s:s, s:O}", "@type", "dpv:DataProcessingRecord", "dpv:hasProcess", list);
        char missing[128];
        (void)snprintf(missing, sizeof missing, "%llu older deliveries and %zu more uses are not in here.", (unsigned long long)past->exchange->dropped, past->uses_left_out);
        if (past->exchange->dropped > 0 || past->uses_left_out > 0)
            set_text(activity, "dct:description", missing);
        (void)json_object_set_new(json, "dpv:hasRecordOfActivity", activity);
    }
    json_decref(list);
}

json_t *dpv_record(const struct export_agreement *agreement, bool own)
{
    const struct cl_agreement *state = agreement->state;
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s}", "@id", id_iri(agreement->id.bytes), "@type", "dpv:ConsentRecord", "dct:conformsTo", RECORD_PROFILE,
                             "dct:identifier", id_text(agreement->id.bytes), "dpv:hasIdentifier", id_text(agreement->id.bytes));
    if (own && agreement->item != NULL)
        set_text(json, "dct:title", agreement->item->name);
    if (state->customer.length != 0)
        (void)json_object_set_new(json, "dpv:hasDataSubject", party_json(&state->customer, "dpv:DataSubject", name_of(agreement, CL_SIDE_CUSTOMER, own)));
    if (state->organisation.length != 0)
        (void)json_object_set_new(json, "dpv:hasDataController", party_json(&state->organisation, "dpv:DataController", name_of(agreement, CL_SIDE_ORGANISATION, own)));
    if (agreement->text != NULL)
        set_terms(json, agreement);
    else
        set_text(json, "dct:description", "The text of the terms is not at hand, so what they are about is not said here.");
    if (state->not_before.present)
        set_text(json, "dct:available", time_iso(state->not_before.seconds * 1000u));
    if (state->not_after.present)
        set_text(json, "dct:valid", time_iso(state->not_after.seconds * 1000u));
    (void)json_object_set_new(json, "dpv:hasConsentStatus", statuses_json(agreement));
    set_text(json, "dpv:hasContractStatus", cl_dpv_contract_status(state, agreement->now_ms));
    json_t *ledger = json_pack("{s:s, s:s, s:s}", "@id", id_iri(agreement->network->id.bytes), "dct:title", agreement->network->origin, "dct:identifier", id_text(agreement->network->id.bytes));
    (void)json_object_set_new(json, "dct:isPartOf", ledger);
    if (own)
        set_text(json, "dct:source", proof_url(agreement));
    if (own && agreement->past != NULL)
        set_activity(json, agreement);
    return json;
}

json_t *dpv_receipt(const struct export_agreement *agreement, const char uuid[37])
{
    json_t *json = json_pack("{s:o, s:s+, s:s, s:s, s:s, s:s, s:s}", "@context", dpv_context(), "@id", "urn:uuid:", uuid, "@type", "dpv:ConsentReceipt", "dct:conformsTo", RECEIPT_PROFILE,
                             "dct:identifier", uuid, "dpv:hasIdentifier", uuid, "dct:created", time_iso(agreement->now_ms));
    (void)json_object_set_new(json, "dpv:hasRecordOfActivity", dpv_record(agreement, false));
    return json;
}
