/* Who acts from now on, and what PROFILEs say of themselves and of each other: DELEGATE, UNDELEGATE, ROTATE, VOUCH,
   STATEMENT. rules.md "Others". */
#include <assert.h>
#include <stdlib.h>

#include "rules_internal.h"

/* ---- delegations */

/* The side of the agreement whose present key the signer is, C first; delegates cannot delegate. */
static enum cl_status own_side(struct rules_frame *frame, enum cl_side *side)
{
    for (*side = CL_SIDE_CUSTOMER; *side <= CL_SIDE_ORGANISATION; (*side)++) {
        const struct cl_party *party = rules_side(&frame->agreement, *side);
        const uint8_t *key;
        if (party->length == 0)
            continue;
        RULES_TRY(rules_present_key(frame, party, &key));
        if (rules_same33(key, frame->record->signer33))
            return CL_OK;
    }
    return CL_E_PARTY;
}

/* One list of delegations, wherever it is: in the loaded agreement (for one side), TERMS or PROFILE. */
struct delegation_list { enum cl_state_kind kind; uint8_t side; struct cl_delegation *items; uint8_t *count; };

/* Loads the object and finds the list that the signer, as its present key, may change. */
static enum cl_status own_list(struct rules_frame *frame, struct delegation_list *list)
{
    RULES_TRY(rules_kind_of(frame, frame->object, &list->kind));
    list->side = 0;
    if (list->kind == CL_STATE_AGREEMENT) {
        enum cl_side side;
        RULES_TRY(rules_load_agreement(frame));
        RULES_TRY(own_side(frame, &side));
        list->side = (uint8_t)side;
        list->items = frame->agreement.delegations;
        list->count = &frame->agreement.delegation_count;
        return CL_OK;
    }
    const uint8_t *key;
    if (list->kind == CL_STATE_TERMS) {
        RULES_TRY(rules_load_terms(frame, frame->object));
        key = frame->terms.owner;
        list->items = frame->terms.delegations;
        list->count = &frame->terms.delegation_count;
    } else {
        RULES_TRY(rules_load_profile(frame, frame->object)); /* CL_E_OBJECT_KIND where it is none */
        key = frame->profile.key;
        list->items = frame->profile.delegations;
        list->count = &frame->profile.delegation_count;
    }
    return rules_same33(key, frame->record->signer33) ? CL_OK : CL_E_PARTY;
}

/* "Neither moves the head." */
static enum cl_status finish_list(struct rules_frame *frame, const struct delegation_list *list)
{
    if (list->kind == CL_STATE_AGREEMENT)
        return rules_finish_agreement(frame, false);
    if (list->kind == CL_STATE_TERMS)
        return rules_finish_terms(frame, false);
    return rules_finish_profile(frame, false);
}

enum cl_status rules_delegate(struct rules_frame *frame)
{
    const struct cl_entry *entry = frame->entry;
    struct delegation_list list;
    RULES_TRY(own_list(frame, &list));
    if (!rules_future(frame, entry->not_after))
        return CL_E_EXPIRED;
    /* "A 33-byte key that is the present key itself is refused": the signer is that key. */
    if (rules_same33(entry->key, frame->record->signer33))
        return CL_E_SELF;
    struct cl_delegation item = {.side = list.side, .powers = (uint8_t)entry->mode, .until = entry->not_after};
    memcpy(item.key, entry->key, 33);
    RULES_TRY(rules_delegation_put(list.items, list.count, &item));
    return finish_list(frame, &list);
}

enum cl_status rules_undelegate(struct rules_frame *frame)
{
    struct delegation_list list;
    RULES_TRY(own_list(frame, &list));
    RULES_TRY(rules_delegation_remove(list.items, list.count, list.side, frame->entry->key));
    return finish_list(frame, &list);
}

/* ---- ROTATE */

/* "With key 7 (recovery): key 7 = signer, H("consent/v1 recovery" 00 || key 7) = the object's recovery." */
static enum cl_status check_recovery(const struct rules_frame *frame, const uint8_t recovery32[32])
{
    struct cl_hash hash;
    if (frame->entry->opening_length != 33 || !rules_same33(frame->entry->opening, frame->record->signer33))
        return CL_E_RECOVERY;
    cl_recovery_derive(&hash, frame->entry->opening);
    return rules_same32(hash.bytes, recovery32) ? CL_OK : CL_E_RECOVERY;
}

/* The side whose party is a key equal to the signer; by recovery it is C, which must be a key. */
static enum cl_status rotated_side(const struct rules_frame *frame, bool by_recovery, enum cl_side *side)
{
    const struct cl_agreement *agreement = &frame->agreement;
    const uint8_t *signer = frame->record->signer33;
    *side = CL_SIDE_CUSTOMER;
    if (by_recovery) {
        if (agreement->customer.length != 33 || !agreement->recovery.present)
            return CL_E_RECOVERY;
        return check_recovery(frame, agreement->recovery.bytes);
    }
    if (agreement->customer.length == 33 && rules_same33(agreement->customer.bytes, signer))
        return CL_OK;
    *side = CL_SIDE_ORGANISATION;
    if (agreement->organisation.length == 33 && rules_same33(agreement->organisation.bytes, signer))
        return CL_OK;
    return CL_E_PARTY;
}

/* Whoever stole the key may have named delegates: recovery removes those of that side. */
static void remove_side(struct cl_agreement *agreement, enum cl_side side)
{
    uint8_t kept = 0;
    for (uint8_t i = 0; i < agreement->delegation_count; i++)
        if (agreement->delegations[i].side != side)
            agreement->delegations[kept++] = agreement->delegations[i];
    agreement->delegation_count = kept;
}

static enum cl_status rotate_agreement(struct rules_frame *frame, bool by_recovery)
{
    struct cl_agreement *agreement = &frame->agreement;
    const uint8_t *new_key = frame->entry->key, *other_key;
    enum cl_side side;
    RULES_TRY(rules_load_agreement(frame));
    RULES_TRY(rotated_side(frame, by_recovery, &side));
    struct cl_party *party = rules_side(agreement, side);
    struct cl_party *other = rules_side(agreement, side == CL_SIDE_CUSTOMER ? CL_SIDE_ORGANISATION : CL_SIDE_CUSTOMER);
    if (rules_same33(party->bytes, new_key))
        return CL_E_NO_CHANGE;
    if (other->length != 0) {
        RULES_TRY(rules_present_key(frame, other, &other_key));
        if (rules_same33(other_key, new_key))
            return CL_E_SELF;
    }
    memcpy(party->bytes, new_key, 33);
    *(side == CL_SIDE_CUSTOMER ? &frame->note.customer : &frame->note.organisation) = *party;
    if (by_recovery) {
        remove_side(agreement, side);
        if (rules_has(frame, 15))
            memcpy(agreement->recovery.bytes, frame->entry->recovery, 32);
    }
    return rules_finish_agreement(frame, true);
}

/* TERMS and PROFILE: the key itself, or the committed recovery key. */
static enum cl_status rotate_key(const struct rules_frame *frame, bool by_recovery, uint8_t key33[33],
                                 uint8_t *recovery32, uint8_t *delegation_count)
{
    if (by_recovery) {
        if (recovery32 == NULL)
            return CL_E_RECOVERY;
        RULES_TRY(check_recovery(frame, recovery32));
    } else if (!rules_same33(key33, frame->record->signer33)) {
        return CL_E_PARTY;
    }
    if (rules_same33(key33, frame->entry->key))
        return CL_E_NO_CHANGE;
    memcpy(key33, frame->entry->key, 33);
    if (by_recovery) {
        *delegation_count = 0;
        if (rules_has(frame, 15))
            memcpy(recovery32, frame->entry->recovery, 32);
    }
    return CL_OK;
}

enum cl_status rules_rotate(struct rules_frame *frame)
{
    bool by_recovery = rules_has(frame, 7);
    enum cl_state_kind kind;
    RULES_TRY(rules_kind_of(frame, frame->object, &kind));
    if (kind == CL_STATE_AGREEMENT)
        return rotate_agreement(frame, by_recovery);
    if (kind == CL_STATE_TERMS) {
        struct cl_terms *terms = &frame->terms;
        RULES_TRY(rules_load_terms(frame, frame->object));
        RULES_TRY(rotate_key(frame, by_recovery, terms->owner, terms->recovery.present ? terms->recovery.bytes : NULL,
                             &terms->delegation_count));
        frame->note.customer.length = 33;
        memcpy(frame->note.customer.bytes, terms->owner, 33);
        return rules_finish_terms(frame, true);
    }
    struct cl_profile *profile = &frame->profile;
    RULES_TRY(rules_load_profile(frame, frame->object));
    RULES_TRY(rotate_key(frame, by_recovery, profile->key, profile->recovery, &profile->delegation_count));
    frame->note.organisation.length = 33;
    memcpy(frame->note.organisation.bytes, profile->key, 33);
    return rules_finish_profile(frame, true);
}

/* ---- VOUCH, STATEMENT */

/* Is the signer the party key of a member? Asked once a record: up to 128 members are decoded. */
static enum cl_status check_member(struct rules_frame *frame)
{
    if (frame->membership == RULES_MEMBER_UNASKED) {
        struct cl_hash key;
        struct cl_view value;
        cl_network_key(&key);
        enum cl_status status = rules_get(&frame->transaction, key.bytes, &value);
        if (status != CL_OK)
            return status == CL_E_NOT_FOUND ? CL_E_MEMBER : status;
        struct cl_network *network = malloc(sizeof *network);
        if (network == NULL)
            return frame->transaction.failure = CL_E_MEMORY;
        if (cl_network_decode(network, value.data, value.length) != CL_OK) {
            free(network);
            return frame->transaction.failure = CL_E_STORE_CORRUPT;
        }
        frame->membership = RULES_MEMBER_NO;
        for (size_t i = 0; i < network->member_count; i++)
            if (rules_same33(network->members[i].party, frame->record->signer33))
                frame->membership = RULES_MEMBER_YES;
        free(network);
    }
    return frame->membership == RULES_MEMBER_YES ? CL_OK : CL_E_MEMBER;
}

enum cl_status rules_vouch(struct rules_frame *frame)
{
    const struct cl_entry *entry = frame->entry;
    struct cl_profile *profile = &frame->profile;
    RULES_TRY(check_member(frame));
    RULES_TRY(rules_load_profile(frame, frame->object));
    if (!rules_future(frame, entry->not_after))
        return CL_E_EXPIRED;
    struct cl_vouch item = {.reason = entry->reason, .until = entry->not_after};
    memcpy(item.key, frame->record->signer33, 33);
    uint8_t at = 0;
    while (at < profile->vouch_count && memcmp(profile->vouches[at].key, item.key, 33) < 0)
        at++;
    struct cl_vouch *place = &profile->vouches[at];
    if (at < profile->vouch_count && rules_same33(place->key, item.key)) {
        if (place->reason == item.reason && place->until == item.until)
            return CL_E_NO_CHANGE;
    } else {
        if (profile->vouch_count == CL_VOUCHES_MAX)
            return CL_E_DELEGATIONS;
        memmove(place + 1, place, (size_t)(profile->vouch_count - at) * sizeof *place);
        profile->vouch_count++;
    }
    *place = item;
    return rules_finish_profile(frame, false);
}

/* "Object is a PROFILE; signer its key or delegate with bit 3. State unchanged." */
enum cl_status rules_statement(struct rules_frame *frame)
{
    const struct cl_profile *profile = &frame->profile;
    RULES_TRY(rules_load_profile(frame, frame->object));
    frame->note.kind = CL_STATE_PROFILE;
    memcpy(frame->note.previous_head, profile->head, 32);
    return rules_acts_for_key(frame, profile->key, profile->delegations, profile->delegation_count, 0, CL_POWER_STATE);
}
