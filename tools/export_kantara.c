/* A consent receipt after the Kantara Consent Receipt Specification 1.1.0 (sections 4.3 to 4.5), of consent that is in
   force. What the specification wants and the terms do not say is written as "not stated". */
#include "export.h"

#define NOT_STATED "not stated"

static const char *field(const struct cl_terms_text *text, enum cl_terms_field which)
{
    return text->fields[which] == NULL ? NOT_STATED : text->fields[which];
}

/* "Email Address (pd:EmailAddress)": words for the person, the identifier for programs, which terms import finds again. */
static json_t *named_json(enum cl_vocabulary_kind kind, const char *term)
{
    const struct cl_vocabulary_term *known = cl_vocabulary_find(kind, term);
    char out[256];
    if (known == NULL)
        return json_string(term);
    (void)snprintf(out, sizeof out, "%s (%s%s)", known->label, cl_vocabulary_prefix(kind), known->term);
    return json_string(out);
}

/* 4.5.7 and 4.5.8. The terms' template says "the organisation itself" for nobody else. */
static void set_third_parties(json_t *purpose, const struct cl_terms_slot *slot)
{
    const char *others[CL_SLOT_LIST_MAX];
    size_t count = 0;
    for (size_t i = 0; i < slot->recipient_count; i++)
        if (strcmp(slot->recipients[i], "the organisation itself") != 0)
            others[count++] = slot->recipients[i];
    (void)json_object_set_new(purpose, "thirdPartyDisclosure", json_boolean(count > 0));
    if (count > 0)
        (void)json_object_set_new(purpose, "thirdPartyName", json_string(joined(others, count)));
}

static json_t *purpose_json(const struct cl_terms_slot *slot, bool first)
{
    json_t *categories = json_array();
    for (size_t i = 0; i < slot->purpose_count; i++)
        (void)json_array_append_new(categories, named_json(CL_VOCABULARY_PURPOSE, slot->purposes[i]));
    json_t *json = json_pack("{s:s, s:o, s:s, s:[o], s:b, s:s}", "purpose", slot->name, "purposeCategory", categories, "consentType", "EXPLICIT",
                             "piiCategory", named_json(CL_VOCABULARY_PERSONAL_DATA, slot->category), "primaryPurpose", first ? 1 : 0, "termination", slot->retention == NULL ? NOT_STATED : slot->retention);
    set_third_parties(json, slot);
    return json;
}

static void set_services(json_t *receipt, const struct export_agreement *agreement)
{
    json_t *purposes = json_array(), *special = json_array();
    for (size_t i = 0; i < agreement->text->slot_count; i++) {
        const struct cl_terms_slot *slot = &agreement->text->slots[i];
        if ((agreement->state->live >> slot->number & 1u) == 0)
            continue;
        (void)json_array_append_new(purposes, purpose_json(slot, json_array_size(purposes) == 0));
        if (cl_vocabulary_special(slot->category))
            (void)json_array_append_new(special, named_json(CL_VOCABULARY_PERSONAL_DATA, slot->category));
    }
    (void)json_object_set_new(receipt, "services", json_pack("[{s:s, s:o}]", "service", field(agreement->text, CL_FIELD_TITLE), "purposes", purposes));
    (void)json_object_set_new(receipt, "sensitive", json_boolean(json_array_size(special) > 0));
    (void)json_object_set_new(receipt, "spiCat", special);
}

/* The newest record that gave (or renewed) the consent. */
static const struct export_event *consent_event(const struct export_agreement *agreement)
{
    const struct export_event *found = NULL;
    for (size_t i = 0; i < agreement->event_count; i++) {
        const struct export_event *event = &agreement->events[i];
        bool given = event->consent != NULL && (strcmp(event->consent, "dpv:ConsentGiven") == 0 || strcmp(event->consent, "dpv:RenewedConsentGiven") == 0);
        if (given && (found == NULL || strcmp(event->type, "RESUME") != 0))
            found = event;
    }
    return found;
}

int kantara_receipt(struct context *context, json_t **out, const struct export_agreement *agreement)
{
    const struct cl_terms_text *text = agreement->text;
    const struct export_event *event = consent_event(agreement);
    char uuid[37], method[320];
    enum cl_status status = cl_agreement_check(agreement->state, 0, agreement->now_ms);
    if (status != CL_OK)
        return output_fail(&context->output, status, "A Kantara receipt says that consent is in force, and cannot say otherwise; '--format dpv' writes one that tells the whole history.");
    if (text == NULL)
        return output_fail(&context->output, CL_E_NOT_FOUND, "A Kantara receipt names purposes and data, and the text of these terms is not in the wallet; 'consent import FILE' takes it in.");
    if (event == NULL)
        return output_fail(&context->output, CL_E_FORMAT, "The node's history does not show when consent was given.");
    uuid_random(uuid);
    if (uuid[0] == '\0')
        return output_fail(&context->output, CL_E_IO, "no randomness");
    (void)snprintf(method, sizeof method, "Records signed by both sides on the ledger %s: agreement %s, record %s (%s)", agreement->network->origin, id_text(agreement->id.bytes), id_text(event->record_id), event->type);
    bool theirs = text->fields[CL_FIELD_PROFFERED_BY] != NULL && strcmp(text->fields[CL_FIELD_PROFFERED_BY], "organisation") == 0;
    json_t *controller = json_pack("{s:s, s:s, s:{s:s}, s:s, s:s}", "piiController", party_iri(&agreement->state->organisation), "contact", theirs ? field(text, CL_FIELD_CONTACT) : NOT_STATED,
                                   "address", "streetAddress", NOT_STATED, "email", NOT_STATED, "phone", NOT_STATED);
    json_t *receipt = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:[o], s:s}", "version", "KI-CR-v1.1.0", "jurisdiction", field(text, CL_FIELD_JURISDICTION),
                                "consentTimestamp", (json_int_t)(event->block_ms / 1000u), "collectionMethod", method, "consentReceiptID", uuid,
                                "language", field(text, CL_FIELD_LANGUAGE), "piiPrincipalId", party_iri(&agreement->state->customer), "piiControllers", controller,
                                "policyUrl", text->has_text_hash ? id_iri(text->text_hash) : NOT_STATED);
    if (agreement->state->organisation.length == 33)
        (void)json_object_set_new(receipt, "publicKey", json_string(party_iri(&agreement->state->organisation)));
    set_services(receipt, agreement);
    *out = receipt;
    return 0;
}
