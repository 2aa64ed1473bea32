/* Who acts: present keys, delegates, parties that become known, and the audience that an offer is meant for.
   rules.md "Parties and who acts", "Audience". */
#include <assert.h>

#include "rules_internal.h"
#include "state_form.h"

/* ---- objects that stand for a side */

static void fill_holder(struct rules_holder *holder, enum cl_state_kind kind, const uint8_t key33[33],
                        const struct cl_delegation *list, uint8_t count)
{
    holder->kind = kind;
    memcpy(holder->key, key33, 33);
    holder->delegation_count = count;
    memcpy(holder->delegations, list, count * sizeof list[0]);
}

static enum cl_status load_holder(struct rules_frame *frame, const uint8_t id32[32], struct rules_holder *holder)
{
    struct cl_view value;
    enum cl_status status = rules_get(&frame->transaction, id32, &value);
    if (status != CL_OK)
        return status == CL_E_NOT_FOUND ? CL_E_NO_OBJECT : status;
    status = cl_state_kind_of(&holder->kind, value.data, value.length);
    if (status == CL_OK && holder->kind == CL_STATE_PROFILE) {
        struct cl_profile profile;
        status = cl_profile_decode(&profile, value.data, value.length);
        if (status == CL_OK)
            fill_holder(holder, CL_STATE_PROFILE, profile.key, profile.delegations, profile.delegation_count);
    } else if (status == CL_OK && holder->kind == CL_STATE_TERMS) {
        struct cl_terms terms;
        status = cl_terms_decode(&terms, value.data, value.length);
        if (status == CL_OK)
            fill_holder(holder, CL_STATE_TERMS, terms.owner, terms.delegations, terms.delegation_count);
    } else if (status == CL_OK) {
        return CL_E_OBJECT_KIND;
    }
    if (status != CL_OK)
        status = frame->transaction.failure = CL_E_STORE_CORRUPT;
    return status;
}

/* An organisation's 1,000 entries all go through one PROFILE: it is decoded once. */
static struct rules_holder *known_holder(struct rules_frame *frame, const uint8_t id32[32])
{
    for (unsigned i = 0; i < RULES_HOLDERS; i++) {
        if (frame->holders[i].valid && rules_same32(frame->holders[i].id, id32)) {
            frame->next_holder = (i + 1) % RULES_HOLDERS; /* the one just found stays while the other side is asked */
            return &frame->holders[i];
        }
    }
    return NULL;
}

/* The one that has filled the next place. */
static void keep_holder(struct rules_frame *frame, const uint8_t id32[32])
{
    struct rules_holder *holder = &frame->holders[frame->next_holder];
    memcpy(holder->id, id32, 32);
    holder->valid = true;
    frame->next_holder = (frame->next_holder + 1) % RULES_HOLDERS;
}

static enum cl_status holder_of(struct rules_frame *frame, const uint8_t id32[32], const struct rules_holder **out)
{
    struct rules_holder *holder = known_holder(frame, id32);
    if (holder == NULL) {
        holder = &frame->holders[frame->next_holder];
        holder->valid = false;
        RULES_TRY(load_holder(frame, id32, holder));
        keep_holder(frame, id32);
    }
    *out = holder;
    return CL_OK;
}

void rules_hold_terms(struct rules_frame *frame, const uint8_t id32[32])
{
    const struct cl_terms *terms = &frame->terms;
    if (known_holder(frame, id32) != NULL)
        return;
    fill_holder(&frame->holders[frame->next_holder], CL_STATE_TERMS, terms->owner, terms->delegations, terms->delegation_count);
    keep_holder(frame, id32);
}

void rules_forget_holder(struct rules_frame *frame, const uint8_t id32[32])
{
    for (unsigned i = 0; i < RULES_HOLDERS; i++)
        if (frame->holders[i].valid && rules_same32(frame->holders[i].id, id32))
            frame->holders[i].valid = false;
}

/* The holder of a party that the state names; it cannot be missing. */
static enum cl_status holder_of_party(struct rules_frame *frame, const struct cl_party *party,
                                      const struct rules_holder **out)
{
    assert(party->length == 32);
    enum cl_status status = holder_of(frame, party->bytes, out);
    if (status == CL_E_NO_OBJECT || status == CL_E_OBJECT_KIND)
        status = frame->transaction.failure = CL_E_STORE_CORRUPT;
    return status;
}

enum cl_status rules_present_key(struct rules_frame *frame, const struct cl_party *party, const uint8_t **key33)
{
    if (party->length == 33) {
        *key33 = party->bytes;
        return CL_OK;
    }
    const struct rules_holder *holder;
    RULES_TRY(holder_of_party(frame, party, &holder));
    *key33 = holder->key;
    return CL_OK;
}

/* ---- acting */

/* CL_OK; CL_E_POWER where the signer is in the list, but not for this or not any more; CL_E_PARTY. */
static enum cl_status delegated(const struct rules_frame *frame, const struct cl_delegation *list, size_t count,
                                uint8_t side, uint8_t power)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].side != side || !rules_same33(list[i].key, frame->record->signer33))
            continue;
        bool may = (list[i].powers & power) != 0 && rules_future(frame, list[i].until);
        return may ? CL_OK : CL_E_POWER;
    }
    return CL_E_PARTY;
}

enum cl_status rules_acts_for_key(const struct rules_frame *frame, const uint8_t key33[33],
                                  const struct cl_delegation *list, size_t count, uint8_t side, uint8_t power)
{
    if (rules_same33(key33, frame->record->signer33))
        return CL_OK;
    return delegated(frame, list, count, side, power);
}

enum cl_status rules_acts_for(struct rules_frame *frame, enum cl_side side, uint8_t power)
{
    struct cl_agreement *agreement = &frame->agreement;
    const struct cl_party *party = rules_side(agreement, side);
    if (party->length == 0)
        return CL_E_PARTY;
    enum cl_status own = delegated(frame, agreement->delegations, agreement->delegation_count, (uint8_t)side, power);
    if (own == CL_OK)
        return CL_OK;
    enum cl_status status;
    if (party->length == 33) {
        status = rules_same33(party->bytes, frame->record->signer33) ? CL_OK : CL_E_PARTY;
    } else {
        const struct rules_holder *holder;
        RULES_TRY(holder_of_party(frame, party, &holder));
        status = rules_acts_for_key(frame, holder->key, holder->delegations, holder->delegation_count, 0, power);
    }
    return status == CL_E_PARTY ? own : status;
}

/* rules.md: key 13 names a PROFILE: the signer must be its key or delegated there with bit 1; the party is the PROFILE
   id. Without key 13 an unknown party becomes the signer's key. */
enum cl_status rules_new_party(struct rules_frame *frame, struct cl_party *party)
{
    if (!rules_has(frame, 13)) {
        party->length = 33;
        memcpy(party->bytes, frame->record->signer33, 33);
        return CL_OK;
    }
    const struct rules_holder *holder;
    RULES_TRY(holder_of(frame, frame->entry->party, &holder));
    if (holder->kind != CL_STATE_PROFILE)
        return CL_E_OBJECT_KIND;
    RULES_TRY(rules_acts_for_key(frame, holder->key, holder->delegations, holder->delegation_count, 0, CL_POWER_GRANT));
    party->length = 32;
    memcpy(party->bytes, frame->entry->party, 32);
    return CL_OK;
}

/* rules.md: refused where the answering party equals the other side's party, or the answering party's present key or
   the signer equals the other party's present key. */
enum cl_status rules_sides_differ(struct rules_frame *frame, const struct cl_party *answerer,
                                  const struct cl_party *other)
{
    const uint8_t *key;
    uint8_t other_key[33];
    if (other->length == 0)
        return CL_OK;
    if (cl_party_equal(answerer, other))
        return CL_E_SELF;
    RULES_TRY(rules_present_key(frame, other, &key));
    memcpy(other_key, key, 33);
    RULES_TRY(rules_present_key(frame, answerer, &key));
    if (rules_same33(key, other_key) || rules_same33(frame->record->signer33, other_key))
        return CL_E_SELF;
    return CL_OK;
}

enum cl_status rules_check_audience(const struct rules_frame *frame, const struct cl_audience *audience,
                                    const uint8_t bearer32[32], const struct cl_party *answerer)
{
    const struct cl_entry *entry = frame->entry;
    const uint8_t *signer = frame->record->signer33;
    struct cl_hash hash;
    if (audience->kind == 0)
        return rules_has(frame, 7) ? CL_E_AUDIENCE : CL_OK;
    if (!rules_has(frame, 7))
        return CL_E_AUDIENCE;
    if (audience->kind == CL_AUDIENCE_HASH) {
        if (entry->opening_length != 32)
            return CL_E_AUDIENCE;
        cl_audience_derive(&hash, entry->opening, answerer->bytes, answerer->length);
        return rules_same32(hash.bytes, audience->bytes) ? CL_OK : CL_E_AUDIENCE;
    }
    /* A code seen in flight cannot be stolen: the token signs the answering key, and that is the signer's. */
    if (entry->opening_length != 64)
        return CL_E_AUDIENCE;
    cl_token_digest(&hash, frame->input->network, bearer32, frame->object, signer);
    return cl_ecdsa_verify(audience->bytes, hash.bytes, entry->opening) == CL_OK ? CL_OK : CL_E_AUDIENCE;
}

enum cl_status rules_answer_side(struct rules_frame *frame, enum cl_side side)
{
    struct cl_agreement *agreement = &frame->agreement;
    struct cl_party *party = rules_side(agreement, side);
    const struct cl_party *other =
        rules_side(agreement, side == CL_SIDE_CUSTOMER ? CL_SIDE_ORGANISATION : CL_SIDE_CUSTOMER);
    if (party->length != 0) {
        /* "Where the side that answers is known already, the signer acts for it; key 13, if present, must then equal
           that side's party", and key 7 must be absent. */
        RULES_TRY(rules_acts_for(frame, side, CL_POWER_GRANT));
        if (rules_has(frame, 13) && !(party->length == 32 && rules_same32(party->bytes, frame->entry->party)))
            return CL_E_PARTY;
        if (rules_has(frame, 7))
            return CL_E_AUDIENCE;
        return rules_sides_differ(frame, party, other);
    }
    struct cl_party answerer = {0, {0}};
    RULES_TRY(rules_new_party(frame, &answerer));
    RULES_TRY(rules_sides_differ(frame, &answerer, other));
    RULES_TRY(rules_check_audience(frame, &agreement->audience, frame->object, &answerer));
    *party = answerer;
    *(side == CL_SIDE_CUSTOMER ? &frame->note.customer : &frame->note.organisation) = answerer;
    if (other->length != 0)
        agreement->audience.kind = 0;
    return CL_OK;
}

/* ---- lists of delegates, sorted by key bytes, then side */

enum cl_status rules_delegation_put(struct cl_delegation *list, uint8_t *count, const struct cl_delegation *item)
{
    uint8_t at = 0;
    while (at < *count && cl_delegation_order(&list[at], item) < 0)
        at++;
    if (at < *count && cl_delegation_order(&list[at], item) == 0) {
        if (list[at].powers == item->powers && list[at].until == item->until)
            return CL_E_NO_CHANGE;
        list[at] = *item;
        return CL_OK;
    }
    if (*count == CL_DELEGATIONS_MAX)
        return CL_E_DELEGATIONS;
    memmove(&list[at + 1], &list[at], (size_t)(*count - at) * sizeof list[0]);
    list[at] = *item;
    *count = (uint8_t)(*count + 1);
    return CL_OK;
}

enum cl_status rules_delegation_remove(struct cl_delegation *list, uint8_t *count, uint8_t side, const uint8_t key33[33])
{
    for (uint8_t i = 0; i < *count; i++) {
        if (list[i].side != side || !rules_same33(list[i].key, key33))
            continue;
        memmove(&list[i], &list[i + 1], (size_t)(*count - i - 1) * sizeof list[0]);
        *count = (uint8_t)(*count - 1);
        return CL_OK;
    }
    return CL_E_NO_CHANGE;
}
