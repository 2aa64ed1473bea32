/* Gathers what an export says of one agreement: the history, read from the signed records themselves, and names that say
   nothing private. */
#include "past.h"

#include <stdlib.h>

#define ROTATING 4u
#define EVENTS_MAX 100000u

const char *id_iri(const uint8_t id32[32])
{
    static char storage[ROTATING][80];
    static unsigned next;
    char *out = storage[next++ % ROTATING];
    (void)snprintf(out, sizeof storage[0], "nih:sha-256;%s", id_text(id32));
    return out;
}

const char *party_iri(const struct cl_party *party)
{
    static char storage[ROTATING][CL_DID_KEY_SIZE];
    static unsigned next;
    if (party->length == 0)
        return "";
    if (party->length == 32)
        return id_iri(party->bytes);
    char *out = storage[next++ % ROTATING];
    struct cl_public_key key;
    memcpy(key.bytes, party->bytes, 33);
    cl_did_key_encode(out, &key);
    return out;
}

const char *time_iso(uint64_t milliseconds)
{
    static char storage[ROTATING][CL_ISO8601_SIZE];
    static unsigned next;
    char *out = storage[next++ % ROTATING];
    (void)cl_iso8601_utc(out, milliseconds / 1000u);
    return out;
}

const char *joined(const char *const *list, size_t count)
{
    static char storage[ROTATING][CL_SLOT_LIST_MAX * (CL_TERMS_VALUE_BYTES_MAX + 2)];
    static unsigned next;
    char *out = storage[next++ % ROTATING];
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count && used < sizeof storage[0]; i++)
        used += (size_t)snprintf(out + used, sizeof storage[0] - used, "%s%s", i == 0 ? "" : ", ", list[i]);
    return out;
}

const char *proof_url(const struct export_agreement *agreement)
{
    static char out[CL_URL_BYTES_MAX + 90];
    (void)snprintf(out, sizeof out, "%s/v1/agreements/%s", agreement->network->url, id_text(agreement->id.bytes));
    return out;
}

int export_write(struct context *context, const char *data, size_t length)
{
    const char *path = option(context, "--output");
    return file_write(context, path == NULL ? "-" : path, data, length, true);
}

int export_json_write(struct context *context, json_t *json, const char *path)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(3));
    bool printed = path == NULL || strcmp(path, "-") == 0;
    int result = text == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : file_write(context, printed ? "-" : path, text, strlen(text), true);
    if (result == 0 && printed)
        (void)putchar('\n');
    free(text);
    json_decref(json);
    return result;
}

/* What the replay of a history keeps in mind. cut: the node left out the oldest records, so the first one told is not the
   one that opened the agreement. */
struct replay { enum cl_agreement_status status; unsigned suspensions; bool cut, standing, renewed, amended; size_t last_revoke; };

static void replay_words(struct export_event *event, const struct replay *replay)
{
    struct cl_agreement now = {.status = (uint8_t)replay->status, .suspended = replay->suspensions > 0 ? 1 : 0, .live = 1};
    event->consent = cl_dpv_consent_status(&now, event->block_ms);
    event->contract = cl_dpv_contract_status(&now, event->block_ms);
    if (replay->status == CL_ACTIVE && replay->suspensions == 0 && replay->renewed)
        event->consent = "dpv:RenewedConsentGiven";
    if (replay->status == CL_ACTIVE && replay->suspensions == 0 && replay->amended)
        event->contract = "dpv:ContractAmended";
}

/* What one record did (records.md, types 3 to 12 and 20). entry: the one on this agreement. */
static void replay_event(struct replay *replay, struct export_event *event, size_t position, const struct cl_entry *entry, enum cl_record_type type, const struct cl_agreement *end)
{
    bool moved = true, opening = position == 0 && !replay->cut;
    if (replay->cut && (type == CL_SUSPEND || type == CL_RESUME || type == CL_RENEW || type == CL_AMEND || type == CL_REVOKE))
        replay->status = CL_ACTIVE; /* what had been agreed on before is out of sight */
    switch ((int)type) {
    case CL_REQUEST: replay->status = CL_REQUESTED; break;
    case CL_GRANT: replay->status = opening ? CL_OFFERED : CL_ACTIVE; break;
    case CL_SUBSCRIBE: replay->status = !opening || replay->standing ? CL_ACTIVE : CL_SUBSCRIBED; break;
    case CL_COUNTER: replay->status = CL_COUNTERED; break;
    case CL_REFUSE: replay->status = CL_REFUSED; break;
    case CL_SUSPEND: replay->suspensions++; break;
    case CL_RESUME: replay->suspensions -= replay->suspensions > 0 ? 1 : 0; break;
    case CL_RENEW: replay->renewed = true; break;
    case CL_AMEND:
        moved = (entry->present & CL_HAS(3)) == 0; /* a proposal leaves the old terms in force */
        replay->amended = replay->amended || moved;
        break;
    case CL_REVOKE:
        if (position == replay->last_revoke && (end->status == CL_WITHDRAWN || end->status == CL_TERMINATED))
            replay->status = (enum cl_agreement_status)end->status;
        else
            replay->amended = true; /* some slots only */
        break;
    case CL_DISPUTE:
        event->contract = entry->reason == 4 ? "dpv:ContractDisputed" : NULL;
        moved = false;
        break;
    default: moved = false; break; /* said, or of keys: the agreement stands as it stood */
    }
    if (moved)
        replay_words(event, replay);
}

/* The entry of the record that is about the agreement; NULL where none is. */
static const struct cl_entry *entry_of(const struct cl_record *record, const struct cl_object_id *id)
{
    for (size_t i = 0; i < record->entry_count; i++) {
        const struct cl_entry *entry = &record->entries[i];
        struct cl_object_id opened;
        if (entry->object_length == 32 && memcmp(entry->object, id->bytes, 32) == 0)
            return entry;
        if (entry->object_length != 16)
            continue;
        cl_object_id_derive(&opened, record->signer33, entry->object);
        if (memcmp(opened.bytes, id->bytes, 32) == 0)
            return entry;
    }
    return NULL;
}

/* The record itself says what happened; the node says only where in the log it is. */
static int event_read(struct context *context, const struct export_agreement *agreement, struct replay *replay, size_t position, const json_t *json)
{
    struct export_event *event = &agreement->events[position];
    struct cl_record record;
    struct cl_buffer bytes = {0};
    const char *base64 = json_string_value(json_object_get(json, "record"));
    enum cl_status status = base64 == NULL ? CL_E_FORMAT : cl_base64_get(&bytes, base64, strlen(base64));
    if (status == CL_OK)
        status = cl_record_decode(&record, NULL, bytes.data, bytes.length, &agreement->network->id);
    if (status == CL_OK) {
        const struct cl_entry *entry = entry_of(&record, &agreement->id);
        status = entry == NULL ? CL_E_FORMAT : cl_record_check_signature(&record);
        if (status == CL_OK) {
            event->type = cl_record_type_name(record.type);
            event->number = (unsigned)record.type;
            event->issued_ms = record.issued_at_ms;
            event->block_ms = (uint64_t)json_integer_value(json_object_get(json, "block_time_ms"));
            event->height = (uint64_t)json_integer_value(json_object_get(json, "height"));
            event->log_index = (uint64_t)json_integer_value(json_object_get(json, "log_index"));
            memcpy(event->record_id, record.id.bytes, 32);
            memcpy(event->signer33, record.signer33, 33);
            event->has_slots = (entry->present & CL_HAS(9)) != 0;
            event->slots = entry->slots;
            bool active = replay->status == CL_ACTIVE;
            if (agreement->state != NULL)
                replay_event(replay, event, position, entry, record.type, agreement->state);
            event->agreed = replay->status == CL_ACTIVE && (!active || (record.type == CL_AMEND && (entry->present & CL_HAS(8)) != 0));
            event->suspended = replay->suspensions > 0;
        }
        cl_record_deinit(&record);
    }
    cl_buffer_deinit(&bytes);
    return status == CL_OK ? 0 : output_fail(&context->output, status, "The node's history of this does not hold, at record %zu of it; ask another member.", position + 1);
}

/* Whether a SUBSCRIBE to the TERMS of the agreement made it active at once. */
static int terms_standing(struct context *context, bool *standing, const struct cl_agreement *state)
{
    struct cl_object_id id;
    struct object terms;
    *standing = false;
    if (!state->terms.present)
        return 0;
    memcpy(id.bytes, state->terms.bytes, 32);
    int result = object_fetch(context, &terms, &id, true);
    if (result == 0) {
        *standing = terms.kind == CL_STATE_TERMS && (terms.as.terms.mode & 1u) != 0;
        object_deinit(&terms);
    }
    return result;
}

/* The node tells 256 records at a time, the newest first: all pages, oldest first. *cut: there are older ones that it does
   not tell. */
static int pages_fetch(struct context *context, json_t **out, bool *cut, const struct cl_object_id *id)
{
    char path[160];
    uint64_t before = UINT64_MAX;
    json_t *all = json_array();
    int result = 0;
    for (*cut = true; result == 0 && *cut && json_array_size(all) < EVENTS_MAX;) {
        json_t *json = NULL, *page, *event;
        size_t position;
        (void)snprintf(path, sizeof path, before == UINT64_MAX ? "/v1/agreements/%s" : "/v1/agreements/%s?before=%llu", id_text(id->bytes), (unsigned long long)before);
        result = node_get_json(context, &json, path);
        page = json_object_get(json, "history");
        const uint64_t first = (uint64_t)json_integer_value(json_object_get(json_array_get(page, 0), "log_index")), last = (uint64_t)json_integer_value(json_object_get(json_array_get(page, json_array_size(page) - 1), "log_index"));
        bool older = json_array_size(page) > 0 && last < before;
        *cut = json_is_true(json_object_get(json, "history_more"));
        if (older)
            json_array_foreach(page, position, event)
                (void)json_array_insert(all, position, event);
        json_decref(json);
        if (!older || first >= before)
            break;
        before = first;
    }
    if (result == 0) {
        *out = all;
    } else {
        json_decref(all);
    }
    return result;
}

int export_history(struct context *context, struct export_agreement *agreement)
{
    json_t *history = NULL, *event;
    size_t position;
    struct replay replay = {.status = CL_OFFERED, .last_revoke = SIZE_MAX};
    int result = pages_fetch(context, &history, &replay.cut, &agreement->id);
    if (result == 0 && agreement->state != NULL)
        result = terms_standing(context, &replay.standing, agreement->state);
    size_t count = json_array_size(history);
    if (result == 0 && (count == 0 || count > EVENTS_MAX))
        result = output_fail(&context->output, CL_E_FORMAT, "The node tells no history of this.");
    if (result == 0 && (agreement->events = calloc(count, sizeof *agreement->events)) == NULL)
        result = output_fail(&context->output, CL_E_MEMORY, NULL);
    json_array_foreach(history, position, event) {
        const char *type = json_string_value(json_object_get(event, "type"));
        if (type != NULL && strcmp(type, "REVOKE") == 0)
            replay.last_revoke = position;
    }
    for (position = 0; result == 0 && position < count; position++)
        result = event_read(context, agreement, &replay, position, json_array_get(history, position));
    agreement->event_count = result == 0 ? count : 0;
    if (result == 0 && replay.cut)
        output_warn(&context->output, "the node tells the newest %zu records of this only; what came before is not in here.", count);
    json_decref(history);
    return result;
}

void export_free(struct export_agreement *agreement)
{
    past_free(agreement->past);
    agreement->past = NULL;
    free(agreement->events);
    agreement->events = NULL;
    agreement->event_count = 0;
}

const char *export_consent(const struct export_agreement *agreement)
{
    const char *now = cl_dpv_consent_status(agreement->state, agreement->now_ms);
    for (size_t i = 0; strcmp(now, "dpv:ConsentGiven") == 0 && i < agreement->event_count; i++)
        if (agreement->events[i].consent != NULL && strcmp(agreement->events[i].consent, "dpv:RenewedConsentGiven") == 0)
            return agreement->events[i].consent;
    return now;
}

static void set_time(json_t *object, const char *key, bool present, uint64_t milliseconds)
{
    const char *text = present ? time_iso(milliseconds) : "";
    (void)json_object_set_new(object, key, text[0] == '\0' ? json_null() : json_string(text));
}

void export_json(json_t *object, const struct export_agreement *agreement)
{
    const struct cl_agreement *state = agreement->state;
    (void)json_object_set_new(object, "customer_id", json_string(party_iri(&state->customer)));
    (void)json_object_set_new(object, "organisation_id", json_string(party_iri(&state->organisation)));
    (void)json_object_set_new(object, "consent_status", json_string(cl_dpv_consent_status(state, agreement->now_ms)));
    (void)json_object_set_new(object, "contract_status", json_string(cl_dpv_contract_status(state, agreement->now_ms)));
    set_time(object, "valid_from", state->not_before.present, state->not_before.seconds * 1000u);
    set_time(object, "valid_until", state->not_after.present, state->not_after.seconds * 1000u);
    set_time(object, "last_change", true, state->head_ms);
    (void)json_object_set_new(object, "proof", json_string(proof_url(agreement)));
    (void)json_object_set_new(object, "proof_kept", json_boolean(agreement->item != NULL && agreement->item->proof.length > 0));
    json_t *about = agreement->text == NULL ? json_null() : json_array();
    for (size_t i = 0; agreement->text != NULL && i < agreement->text->slot_count; i++)
        (void)json_array_append_new(about, slot_json(&agreement->text->slots[i]));
    (void)json_object_set_new(object, "about", about);
}
