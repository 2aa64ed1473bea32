/* State values in JSON, field by field as node/API.md lists them. */
#include "api_private.h"

#include "files.h"

#include <stdlib.h>
#include <string.h>

static void set_optional_hash(json_t *object, const char *key, const struct cl_optional_hash *hash)
{
    if (hash->present) json_set_hex(object, key, hash->bytes, 32);
    else json_object_set_new(object, key, json_null());
}

static void set_time(json_t *object, const char *key, const struct cl_optional_time *time)
{
    json_object_set_new(object, key, time->present ? json_integer((json_int_t)time->seconds) : json_null());
}

static void set_party(json_t *object, const char *key, const struct cl_party *party)
{
    if (party->length > 0) json_set_hex(object, key, party->bytes, party->length);
    else json_object_set_new(object, key, json_null());
}

static void set_audience(json_t *object, const struct cl_audience *audience)
{
    json_t *value = audience->kind == 0 ? json_null() : json_pack("{s:i}", "kind", (int)audience->kind);
    if (audience->kind != 0 && value != NULL) json_set_hex(value, "value", audience->bytes, audience->kind == 1 ? 32 : 33);
    json_object_set_new(object, "audience", value);
}

static void set_delegations(json_t *object, const struct cl_delegation *delegations, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *one = json_pack("{s:i,s:i,s:I}", "side", (int)delegations[i].side, "powers", (int)delegations[i].powers, "until", (json_int_t)delegations[i].until);
        if (one != NULL) json_set_hex(one, "key", delegations[i].key, 33);
        json_array_append_new(array, one);
    }
    json_object_set_new(object, "delegations", array);
}

static void set_pending(json_t *object, const struct cl_pending *pending)
{
    json_t *value = json_null();
    if (pending->present) {
        value = json_pack("{s:i,s:o}", "side", (int)pending->side, "slots", json_slots(pending->slots));
        if (value != NULL) {
            json_set_hex(value, "record_id", pending->record_id, 32);
            json_set_hex(value, "commitment", pending->commitment, 32);
            set_time(value, "not_before", &pending->not_before);
            set_time(value, "not_after", &pending->not_after);
        }
    }
    json_object_set_new(object, "pending", value);
}

static json_t *agreement_json(const struct cl_agreement *in, uint64_t now_ms)
{
    json_t *suspended = json_array();
    enum cl_status answer = cl_agreement_check(in, 0, now_ms);
    if ((in->suspended & 1) != 0) json_array_append_new(suspended, json_string("customer"));
    if ((in->suspended & 2) != 0) json_array_append_new(suspended, json_string("organisation"));
    json_t *out = json_pack("{s:s,s:i,s:i,s:o,s:o,s:o,s:b,s:b,s:b,s:b,s:I,s:I,s:b,s:s}", "status", cl_agreement_status_name((enum cl_agreement_status)in->status),
        "status_number", (int)in->status, "turn", (int)in->turn, "live", json_slots(in->live), "due", json_slots(in->due), "suspended_by", suspended,
        "disputed", (in->flags & CL_FLAG_DISPUTED) != 0, "erased_by_customer", (in->flags & CL_FLAG_ERASED_C) != 0,
        "erased_by_organisation", (in->flags & CL_FLAG_ERASED_O) != 0, "countered", (in->flags & CL_FLAG_COUNTERED) != 0,
        "last_index", (json_int_t)in->last_index, "head_ms", (json_int_t)in->head_ms, "in_force", answer == CL_OK, "code", cl_status_code(answer));
    if (out == NULL) return NULL;
    set_party(out, "customer", &in->customer);
    set_party(out, "organisation", &in->organisation);
    set_audience(out, &in->audience);
    json_set_hex(out, "commitment", in->commitment, 32);
    set_time(out, "not_before", &in->not_before);
    set_time(out, "not_after", &in->not_after);
    set_pending(out, &in->pending);
    set_optional_hash(out, "terms", &in->terms);
    set_optional_hash(out, "recovery", &in->recovery);
    set_delegations(out, in->delegations, in->delegation_count);
    json_set_hex(out, "head", in->head, 32);
    return out;
}

static json_t *terms_json(const struct cl_terms *in)
{
    json_t *out = json_pack("{s:o,s:i,s:I,s:I,s:b}", "slots", json_slots(in->slots), "mode", (int)in->mode, "limit", (json_int_t)(in->limit <= INT64_MAX ? in->limit : INT64_MAX), "answers",
                            (json_int_t)in->answers, "open", (int)in->open);
    if (out == NULL) return NULL;
    json_set_hex(out, "owner", in->owner, 33);
    json_set_hex(out, "commitment", in->commitment, 32);
    set_time(out, "not_before", &in->not_before);
    set_time(out, "not_after", &in->not_after);
    set_audience(out, &in->audience);
    set_optional_hash(out, "successor", &in->successor);
    set_optional_hash(out, "recovery", &in->recovery);
    set_delegations(out, in->delegations, in->delegation_count);
    json_set_hex(out, "head", in->head, 32);
    return out;
}

static json_t *profile_json(const struct cl_profile *in)
{
    json_t *out = json_object(), *vouches = json_array();
    if (out == NULL || vouches == NULL) {
        json_decref(out);
        json_decref(vouches);
        return NULL;
    }
    for (size_t i = 0; i < in->vouch_count; i++) {
        json_t *one = json_pack("{s:i,s:I}", "reason", (int)in->vouches[i].reason, "until", (json_int_t)in->vouches[i].until);
        if (one != NULL) json_set_hex(one, "key", in->vouches[i].key, 33);
        json_array_append_new(vouches, one);
    }
    json_object_set_new(out, "vouches", vouches);
    json_set_hex(out, "key", in->key, 33);
    json_set_hex(out, "delivery", in->delivery, 32);
    json_set_hex(out, "commitment", in->commitment, 32);
    json_set_hex(out, "recovery", in->recovery, 32);
    set_delegations(out, in->delegations, in->delegation_count);
    json_set_hex(out, "head", in->head, 32);
    return out;
}

json_t *state_json(enum cl_status *status, const char **kind, const uint8_t *value, size_t length, uint64_t now_ms)
{
    enum cl_state_kind found;
    json_t *out = NULL;
    *status = cl_state_kind_of(&found, value, length);
    if (*status != CL_OK) return NULL;
    switch (found) {
    case CL_STATE_AGREEMENT: {
        struct cl_agreement agreement;
        *kind = "agreement";
        *status = cl_agreement_decode(&agreement, value, length);
        if (*status == CL_OK) out = agreement_json(&agreement, now_ms);
        break;
    }
    case CL_STATE_TERMS: {
        struct cl_terms terms;
        *kind = "terms";
        *status = cl_terms_decode(&terms, value, length);
        if (*status == CL_OK) out = terms_json(&terms);
        break;
    }
    case CL_STATE_PROFILE: {
        struct cl_profile profile;
        *kind = "profile";
        *status = cl_profile_decode(&profile, value, length);
        if (*status == CL_OK) out = profile_json(&profile);
        break;
    }
    case CL_STATE_ANSWER: {
        struct cl_object_id agreement;
        *kind = "answer";
        *status = cl_answer_decode(&agreement, value, length);
        out = *status == CL_OK ? json_object() : NULL;
        if (out != NULL) json_set_hex(out, "agreement", agreement.bytes, 32);
        break;
    }
    case CL_STATE_NETWORK:
        *kind = "network";
        out = json_object(); /* /v1/network shows it */
        break;
    }
    if (*status == CL_OK && out == NULL) *status = CL_E_MEMORY;
    return out;
}
