/* Entries that open an object: PROFILE, TERMS, REQUEST, GRANT, SUBSCRIBE to TERMS; and what it means for TERMS that an
   agreement under them becomes active. rules.md "Openings". That the new id is free was checked before. */
#include <assert.h>

#include "rules_internal.h"

static void set_hash(struct cl_optional_hash *out, bool present, const uint8_t *bytes32)
{
    out->present = present;
    if (present)
        memcpy(out->bytes, bytes32, 32);
}

static void set_audience(struct cl_audience *out, const struct rules_frame *frame)
{
    out->kind = 0;
    if (!rules_has(frame, 6))
        return;
    out->kind = frame->entry->audience_kind;
    memcpy(out->bytes, frame->entry->audience, out->kind == CL_AUDIENCE_HASH ? 32 : 33);
}

enum cl_status rules_profile(struct rules_frame *frame)
{
    const struct cl_entry *entry = frame->entry;
    struct cl_profile *profile = &frame->profile;
    if (rules_opens(frame)) {
        memset(profile, 0, sizeof *profile);
        memcpy(profile->key, frame->record->signer33, 33);
        memcpy(profile->recovery, entry->recovery, 32);
        frame->note.organisation.length = 33;
        memcpy(frame->note.organisation.bytes, profile->key, 33);
    } else {
        RULES_TRY(rules_load_profile(frame, frame->object));
        /* "PROFILE …: the present key itself only" */
        if (!rules_same33(profile->key, frame->record->signer33))
            return CL_E_PARTY;
        RULES_TRY(rules_expect_head(frame, profile->head));
        if (rules_same32(profile->commitment, entry->commitment) && rules_same32(profile->delivery, entry->key))
            return CL_E_NO_CHANGE; /* records.md rule 3 */
    }
    memcpy(profile->commitment, entry->commitment, 32);
    memcpy(profile->delivery, entry->key, 32);
    return rules_finish_profile(frame, true);
}

/* Key 8: the predecessor must be TERMS whose owner is the signer and whose successor is null; its successor becomes the
   new id (its head stays). */
static enum cl_status succeed(struct rules_frame *frame)
{
    const uint8_t *predecessor = frame->entry->ref;
    RULES_TRY(rules_load_terms(frame, predecessor));
    if (!rules_same33(frame->terms.owner, frame->record->signer33))
        return CL_E_PARTY;
    if (frame->terms.successor.present)
        return CL_E_SUCCEEDED;
    set_hash(&frame->terms.successor, true, frame->object);
    return rules_write_terms(frame, predecessor);
}

enum cl_status rules_terms(struct rules_frame *frame)
{
    const struct cl_entry *entry = frame->entry;
    struct cl_terms *terms = &frame->terms;
    struct cl_optional_time before = rules_time(frame, 4), after = rules_time(frame, 5);
    if (rules_empty(&before, &after))
        return CL_E_PERIOD;
    if (rules_has(frame, 8))
        RULES_TRY(succeed(frame));
    memset(terms, 0, sizeof *terms);
    memcpy(terms->owner, frame->record->signer33, 33);
    memcpy(terms->commitment, entry->commitment, 32);
    terms->not_before = before;
    terms->not_after = after;
    terms->slots = entry->slots;
    terms->mode = (uint8_t)entry->mode;
    terms->limit = entry->limit;
    set_audience(&terms->audience, frame);
    terms->open = 1;
    set_hash(&terms->recovery, rules_has(frame, 15), entry->recovery);
    frame->note.customer.length = 33;
    memcpy(frame->note.customer.bytes, terms->owner, 33);
    return rules_finish_terms(frame, true);
}

/* What all new agreements have in common: commitment and slots of the entry, the given period, nothing else yet. */
static void new_agreement(struct rules_frame *frame, struct cl_optional_time before, struct cl_optional_time after)
{
    struct cl_agreement *agreement = &frame->agreement;
    memset(agreement, 0, sizeof *agreement);
    memcpy(agreement->commitment, frame->entry->commitment, 32);
    agreement->not_before = before;
    agreement->not_after = after;
    agreement->live = frame->entry->slots;
}

static enum cl_status open_offer(struct rules_frame *frame, enum cl_side side)
{
    struct cl_agreement *agreement = &frame->agreement;
    struct cl_optional_time before = rules_time(frame, 4), after = rules_time(frame, 5);
    struct cl_party party = {0, {0}};
    if (rules_empty(&before, &after))
        return CL_E_PERIOD;
    RULES_TRY(rules_new_party(frame, &party));
    if (rules_has(frame, 15) && (side != CL_SIDE_CUSTOMER || party.length == 32))
        return CL_E_RECOVERY; /* "refused where party is an object" */
    new_agreement(frame, before, after);
    set_audience(&agreement->audience, frame);
    *rules_side(agreement, side) = party;
    if (side == CL_SIDE_CUSTOMER) {
        agreement->status = CL_OFFERED;
        agreement->turn = CL_SIDE_ORGANISATION;
        set_hash(&agreement->recovery, rules_has(frame, 15), frame->entry->recovery);
        frame->note.customer = party;
    } else {
        agreement->status = CL_REQUESTED;
        agreement->turn = CL_SIDE_CUSTOMER;
        frame->note.organisation = party;
    }
    return rules_finish_agreement(frame, true);
}

enum cl_status rules_request(struct rules_frame *frame) { return open_offer(frame, CL_SIDE_ORGANISATION); }
enum cl_status rules_grant_open(struct rules_frame *frame) { return open_offer(frame, CL_SIDE_CUSTOMER); }

/* ---- TERMS and the agreements under them */

/* answers < limit and no answer entry, whose key is this one; the TERMS are loaded. */
static enum cl_status room_for(struct rules_frame *frame, const struct cl_hash *key)
{
    struct cl_view value;
    if (frame->terms.answers >= frame->terms.limit)
        return CL_E_LIMIT;
    enum cl_status status = rules_get(&frame->transaction, key->bytes, &value);
    if (status == CL_OK)
        return CL_E_ANSWERED;
    return status == CL_E_NOT_FOUND ? CL_OK : status;
}

/* rules.md "Activation": TERMS must be open, answers < limit, no answer entry for (TERMS, O). */
enum cl_status rules_activation_check(struct rules_frame *frame, const struct cl_party *organisation, struct cl_hash *key)
{
    RULES_TRY(rules_load_terms_of_agreement(frame));
    if (frame->terms.open == 0)
        return CL_E_CLOSED;
    cl_answer_key(key, frame->agreement.terms.bytes, organisation);
    return room_for(frame, key);
}

/* "then answers + 1 and the answer entry is made. The TERMS' head does not move." */
enum cl_status rules_activate(struct rules_frame *frame, const uint8_t terms32[32], const struct cl_hash *key)
{
    assert(frame->terms.answers < frame->terms.limit);
    frame->terms.answers++;
    RULES_TRY(rules_write_terms(frame, terms32));
    return rules_write_answer(frame, key);
}

/* Mode bit 1: the party is a PROFILE with a vouch whose until is after t. */
static enum cl_status check_vouched(struct rules_frame *frame, const struct cl_party *party)
{
    if ((frame->terms.mode & 2) == 0)
        return CL_OK;
    if (party->length != 32)
        return CL_E_NOT_VOUCHED;
    RULES_TRY(rules_load_profile(frame, party->bytes));
    for (size_t i = 0; i < frame->profile.vouch_count; i++)
        if (rules_future(frame, frame->profile.vouches[i].until))
            return CL_OK;
    return CL_E_NOT_VOUCHED;
}

/* What SUBSCRIBE repeats of the TERMS, and its period: absent takes the TERMS' value, and it lies within them. */
static enum cl_status check_terms_offer(const struct rules_frame *frame, struct cl_optional_time *before,
                                        struct cl_optional_time *after)
{
    const struct cl_terms *terms = &frame->terms;
    if (terms->open == 0)
        return CL_E_CLOSED;
    if (rules_lapsed(frame, &terms->not_after))
        return CL_E_EXPIRED;
    if (!rules_same32(terms->commitment, frame->entry->commitment))
        return CL_E_COMMITMENT;
    if (terms->slots != frame->entry->slots)
        return CL_E_SLOTS;
    *before = rules_has(frame, 4) ? rules_time(frame, 4) : terms->not_before;
    *after = rules_has(frame, 5) ? rules_time(frame, 5) : terms->not_after;
    if (rules_empty(before, after) || !rules_within(before, after, &terms->not_before, &terms->not_after))
        return CL_E_PERIOD;
    return CL_OK;
}

enum cl_status rules_subscribe_terms(struct rules_frame *frame)
{
    const uint8_t *terms32 = frame->entry->ref;
    struct cl_agreement *agreement = &frame->agreement;
    struct cl_optional_time before, after;
    struct cl_party party = {0, {0}}, owner = {32, {0}};
    struct cl_hash answer_key;
    RULES_TRY(rules_load_terms(frame, terms32));
    RULES_TRY(check_terms_offer(frame, &before, &after));
    RULES_TRY(rules_new_party(frame, &party));
    memcpy(owner.bytes, terms32, 32);
    rules_hold_terms(frame, terms32);
    RULES_TRY(rules_sides_differ(frame, &party, &owner)); /* "not the TERMS' own party" */
    RULES_TRY(check_vouched(frame, &party));
    if (frame->ids.answer != NULL)
        memcpy(answer_key.bytes, frame->ids.answer, 32);
    else
        cl_answer_key(&answer_key, terms32, &party);
    RULES_TRY(room_for(frame, &answer_key));
    RULES_TRY(rules_check_audience(frame, &frame->terms.audience, terms32, &party));
    new_agreement(frame, before, after);
    agreement->customer = owner;
    agreement->organisation = party;
    set_hash(&agreement->terms, true, terms32);
    frame->note.customer = owner;
    frame->note.organisation = party;
    if ((frame->terms.mode & 1) != 0) {
        agreement->status = CL_ACTIVE;
        agreement->turn = CL_SIDE_NONE;
        RULES_TRY(rules_activate(frame, terms32, &answer_key));
    } else {
        agreement->status = CL_SUBSCRIBED;
        agreement->turn = CL_SIDE_CUSTOMER;
    }
    return rules_finish_agreement(frame, true);
}
