/* What the records in a proof of an agreement must show.

   What the state value says is vouched for by the quorum that signed the state root. The records are there for what a
   quorum can never do: sign for a party. So even if every member lied, an agreement shown as active carries a signature
   by each side over the very commitment and slots that are in force. For that the records shown, in the order of the
   log, must be a life of the agreement with nothing left out up to its activation. (An agreement that was refused,
   withdrawn or terminated shows the record that opened it and its head, no more: neither party can make that proof grow
   beyond its bounds. That of an active one grows with each ROTATE of a side that is a key; beyond 64 records it cannot be
   written, and such a party had better be a PROFILE.)

   - The first on the object opens it: its id is derived from signer and nonce, so nobody else can have opened it.
   - Then what is allowed at that point only: COUNTER once, the answer of the side whose turn it is, REFUSE, each naming
     as prev the last shown record that moved the head; ROTATE and DELEGATE anywhere.
   - An agreement under TERMS shows the record that opened the TERMS, before its own opening. It counts as C's signature
     only where these terms are standing consent (mode bit 0); else C's GRANT must follow.
   - After activation records may be left out. Commitments change by AMEND accepted: the newest acceptance and the
     proposal that it names, by opposite sides; older ones need not be shown.
   - The record that is the value's head is shown and no later one that moves the head; none is later than last_index;
     no full REVOKE and no REFUSE. What a shown prev names is never older than the last head
     shown.
   - Each signer that counts is the party's key in the value, or a key that a shown ROTATE turned into it, or a delegate
     (with the power to grant or amend) by a DELEGATE that is shown; the value's list of delegates is the quorum's word, and
     would let it put anybody's signature in the place of a party's. A recovery ROTATE does not name the key that it replaces: where one is shown,
     C's earlier keys are not tied to the present one by this proof. Where the party is an object (PROFILE, TERMS), the
     record that made the party known names it; that the signer may act for that object rests on the quorum.

   Periods, suspensions, partial withdrawals and flags rest on the quorum alone. */
#include "proof_records.h"

#include "proof_build.h"

#define KEYS_MAX (CL_PROOF_RECORDS_MAX * 2 + 1)

/* ---- which entry it is about */

static void act_of(struct cl_act *out, const struct cl_record *record, const struct cl_entry *entry, uint64_t index, bool opens, bool on_terms)
{
    *out = (struct cl_act){
        .type = record->type, .id = record->id, .index = index, .signer33 = record->signer33,
        .opens = opens, .on_terms = on_terms, .present = entry->present,
        .prev = (entry->present & CL_HAS(2)) != 0 ? entry->prev : NULL,
        .commitment = (entry->present & CL_HAS(3)) != 0 ? entry->commitment : NULL,
        .ref = (entry->present & CL_HAS(8)) != 0 ? entry->ref : NULL,
        .key = (entry->present & CL_HAS(12)) != 0 ? entry->key : NULL,
        .party = (entry->present & CL_HAS(13)) != 0 ? entry->party : NULL,
        .slots = (entry->present & CL_HAS(9)) != 0 ? entry->slots : 0,
        .mode = (entry->present & CL_HAS(14)) != 0 ? entry->mode : 0,
    };
}

enum cl_status cl_act_find(struct cl_act *out, const struct cl_record *record, uint64_t index, const struct cl_object_id *object, const uint8_t *terms32)
{
    enum cl_status status = CL_E_PROOF;
    for (size_t i = 0; i < record->entry_count; i++) {
        const struct cl_entry *entry = &record->entries[i];
        struct cl_object_id derived;
        const uint8_t *id = entry->object;
        bool opens = entry->object_length == 16;
        if (opens) {
            cl_object_id_derive(&derived, record->signer33, entry->object);
            id = derived.bytes;
        }
        if (memcmp(id, object->bytes, 32) == 0) {
            act_of(out, record, entry, index, opens, false);
            return CL_OK;
        }
        if (terms32 != NULL && memcmp(id, terms32, 32) == 0) { /* the object itself may still follow */
            act_of(out, record, entry, index, opens, true);
            status = CL_OK;
        }
    }
    return status;
}

/* ---- which keys a side has had */

struct keys { size_t count; bool any; const uint8_t *list[KEYS_MAX]; };

static bool has_key(const struct keys *keys, const uint8_t key33[33])
{
    for (size_t i = 0; i < keys->count; i++)
        if (memcmp(keys->list[i], key33, 33) == 0)
            return true;
    return keys->any;
}

static void add_key(struct keys *keys, const uint8_t *key33)
{
    if (keys->count < KEYS_MAX) /* 1 party, at most one for each record and pass: it always fits */
        keys->list[keys->count++] = key33;
}

/* Only these delegates can give or take on anything in a side's name; others may end it or speak of it. */
static bool may_bind(uint64_t powers) { return (powers & (CL_POWER_GRANT | CL_POWER_AMEND)) != 0; }

static bool is_rotate(const struct cl_act *act) { return act->type == CL_ROTATE && !act->on_terms && act->key != NULL; }

static void collect_keys(struct keys *keys, const struct cl_party *party, uint8_t side, const struct cl_act *acts, size_t count)
{
    keys->count = 0;
    keys->any = party->length == 32; /* an object's present key acts: the quorum knows which that was */
    if (party->length != 33)
        return;
    add_key(keys, party->bytes);
    /* backwards: each ROTATE names the newer key and is signed by the older */
    for (size_t i = count; i-- > 0;) {
        if (!is_rotate(&acts[i]) || !has_key(keys, acts[i].key))
            continue;
        if ((acts[i].present & CL_HAS(7)) != 0)
            keys->any = side == CL_SIDE_CUSTOMER;
        else
            add_key(keys, acts[i].signer33);
    }
    size_t own = keys->count;
    for (size_t i = 0; i < count; i++) {
        if (acts[i].type != CL_DELEGATE || acts[i].on_terms || acts[i].key == NULL || !may_bind(acts[i].mode))
            continue;
        for (size_t k = 0; k < own; k++) /* delegates cannot delegate */
            if (memcmp(keys->list[k], acts[i].signer33, 33) == 0) {
                add_key(keys, acts[i].key);
                break;
            }
    }
}

/* ---- the life of an agreement, as far as it is shown */

enum phase { NOT_OPENED, OPEN, ACTIVE, REFUSED, ENDED };

struct signed_terms { const uint8_t *commitment; uint64_t slots; };

struct life {
    const struct cl_agreement *agreement;
    const struct cl_act *acts;
    size_t count;
    struct keys customer, organisation;
    enum phase phase;
    uint8_t turn;                     /* while open */
    bool countered, customer_known, organisation_known, head_shown;
    enum cl_record_type opened_by;
    const struct cl_act *terms;       /* the record that opened the TERMS */
    const struct cl_act *head;        /* last shown that moved the head */
    const uint8_t *in_force;          /* commitment; NULL after an acceptance whose proposal is not shown */
    struct signed_terms by_customer, by_organisation;
};

/* An act by that side: the signer is one of its keys, and the party is the one that the value names. */
static bool acts_for(struct life *life, const struct cl_act *act, uint8_t side)
{
    bool customer = side == CL_SIDE_CUSTOMER;
    const struct cl_party *party = customer ? &life->agreement->customer : &life->agreement->organisation;
    bool *known = customer ? &life->customer_known : &life->organisation_known;
    if (!has_key(customer ? &life->customer : &life->organisation, act->signer33))
        return false;
    if (act->party != NULL && (party->length != 32 || memcmp(act->party, party->bytes, 32) != 0))
        return false;
    /* the record that makes an object the party names it; TERMS are made the party by the SUBSCRIBE to them */
    if (!*known && party->length == 32 && act->party == NULL)
        return false;
    *known = true;
    return party->length != 0;
}

static void sign(struct life *life, const struct cl_act *act, uint8_t side)
{
    struct signed_terms terms = {act->commitment, act->slots};
    if (side == CL_SIDE_CUSTOMER)
        life->by_customer = terms;
    else
        life->by_organisation = terms;
    life->in_force = act->commitment;
}

static bool open_agreement(struct life *life, const struct cl_act *act)
{
    const struct cl_agreement *agreement = life->agreement;
    bool request = act->type == CL_REQUEST, grant = act->type == CL_GRANT, subscribe = act->type == CL_SUBSCRIBE;
    if (life->phase != NOT_OPENED || (!request && !grant && !subscribe) || agreement->terms.present != subscribe)
        return false;
    life->phase = OPEN;
    life->opened_by = act->type;
    life->turn = grant ? CL_SIDE_ORGANISATION : CL_SIDE_CUSTOMER;
    if (subscribe) {
        if (act->ref == NULL || memcmp(act->ref, agreement->terms.bytes, 32) != 0 || life->terms == NULL)
            return false;
        if (agreement->customer.length != 32 || memcmp(agreement->customer.bytes, agreement->terms.bytes, 32) != 0)
            return false;
        if (memcmp(act->commitment, life->terms->commitment, 32) != 0 || act->slots != life->terms->slots)
            return false;
        life->customer_known = true;
        if ((life->terms->mode & 1) != 0) { /* standing consent */
            sign(life, life->terms, CL_SIDE_CUSTOMER);
            life->phase = ACTIVE;
        }
    }
    uint8_t side = grant ? CL_SIDE_CUSTOMER : CL_SIDE_ORGANISATION;
    sign(life, act, side);
    return acts_for(life, act, side);
}

/* GRANT, SUBSCRIBE, COUNTER, REFUSE: by the side whose turn it is, on the head. */
static bool answer_agreement(struct life *life, const struct cl_act *act)
{
    uint8_t side = life->turn;
    if (life->phase != OPEN || act->prev == NULL || memcmp(act->prev, life->head->id.bytes, 32) != 0 || !acts_for(life, act, side))
        return false;
    if (act->type == CL_REFUSE) {
        life->phase = REFUSED;
        return true;
    }
    if (act->type == CL_COUNTER) {
        if (life->countered)
            return false;
        life->countered = true;
        life->by_customer = life->by_organisation = (struct signed_terms){NULL, 0}; /* it voids what it answers */
        life->turn = side == CL_SIDE_CUSTOMER ? CL_SIDE_ORGANISATION : CL_SIDE_CUSTOMER;
    } else {
        if (side != (act->type == CL_GRANT ? CL_SIDE_CUSTOMER : CL_SIDE_ORGANISATION) ||
            life->in_force == NULL || memcmp(act->commitment, life->in_force, 32) != 0)
            return false;
        life->phase = ACTIVE;
    }
    sign(life, act, side);
    return true;
}

/* Two signers of opposite sides; which is which shows only from their keys. */
static bool opposite_sides(struct life *life, const struct cl_act *one, const struct cl_act *other)
{
    return (has_key(&life->customer, one->signer33) && has_key(&life->organisation, other->signer33)) ||
           (has_key(&life->organisation, one->signer33) && has_key(&life->customer, other->signer33));
}

static bool accept_amendment(struct life *life, const struct cl_act *accept)
{
    life->in_force = NULL;
    for (const struct cl_act *act = life->acts; act < accept; act++) {
        if (act->type != CL_AMEND || act->on_terms || act->commitment == NULL || memcmp(act->id.bytes, accept->ref, 32) != 0)
            continue;
        /* a proposal lapses when the head moves, so both stand on one head */
        if (act->prev == NULL || accept->prev == NULL || memcmp(act->prev, accept->prev, 32) != 0 || !opposite_sides(life, act, accept))
            return false;
        sign(life, act, CL_SIDE_CUSTOMER);
        sign(life, act, CL_SIDE_ORGANISATION);
    }
    return true;
}

static bool moves_head(const struct cl_act *act)
{
    switch (act->type) {
    case CL_REQUEST: case CL_GRANT: case CL_SUBSCRIBE: case CL_COUNTER: case CL_REFUSE: case CL_SUSPEND: case CL_RESUME:
    case CL_REVOKE: case CL_RENEW: case CL_ROTATE:
        return true;
    case CL_AMEND:
        return act->ref != NULL || act->commitment == NULL; /* accepted or narrowed; a proposal does not */
    case CL_PROFILE: case CL_TERMS: case CL_ACK: case CL_STATEMENT: case CL_DELEGATE: case CL_UNDELEGATE: case CL_ERASE:
    case CL_DISPUTE: case CL_VOUCH:
        return false;
    }
    return false;
}

/* What prev names is the head, or a record that is not shown: never an older one that is. */
static bool prev_fits(const struct life *life, const struct cl_act *act)
{
    if (act->prev == NULL || (life->head != NULL && memcmp(act->prev, life->head->id.bytes, 32) == 0))
        return true;
    for (size_t i = 0; i < life->count; i++)
        if (memcmp(life->acts[i].id.bytes, act->prev, 32) == 0)
            return false;
    return true;
}

static bool live_on(struct life *life, const struct cl_act *act)
{
    switch (act->type) {
    case CL_GRANT: case CL_SUBSCRIBE: case CL_COUNTER: case CL_REFUSE:
        return answer_agreement(life, act);
    case CL_AMEND:
        return life->phase == ACTIVE && (act->ref == NULL || accept_amendment(life, act));
    case CL_SUSPEND: case CL_RESUME: case CL_RENEW:
        return life->phase == ACTIVE;
    case CL_REVOKE:
        if (life->phase != OPEN && life->phase != ACTIVE)
            return false;
        if ((act->present & CL_HAS(9)) == 0)
            life->phase = ENDED;
        return true;
    case CL_ACK: case CL_DELEGATE: case CL_UNDELEGATE: case CL_ROTATE: case CL_ERASE: case CL_DISPUTE:
        return true;
    case CL_PROFILE: case CL_TERMS: case CL_REQUEST: case CL_STATEMENT: case CL_VOUCH:
        return false; /* these never name an agreement that is there already */
    }
    return false;
}

static bool live_through(struct life *life, const struct cl_act *act)
{
    if (act->on_terms) {
        if (act->opens) {
            if (act->type != CL_TERMS || life->terms != NULL)
                return false;
            life->terms = act;
        }
        return true;
    }
    if (act->index > life->agreement->last_index || !prev_fits(life, act))
        return false;
    if (life->phase == NOT_OPENED ? !act->opens || !open_agreement(life, act) : act->opens || !live_on(life, act))
        return false;
    if (moves_head(act)) {
        if (life->head_shown)
            return false;
        life->head = act;
        life->head_shown = memcmp(act->id.bytes, life->agreement->head, 32) == 0;
    }
    return true;
}

static bool has_ended(const struct cl_agreement *agreement)
{
    return agreement->status == CL_REFUSED || agreement->status == CL_WITHDRAWN || agreement->status == CL_TERMINATED;
}

/* A "no" needs no party's word: the record that opened the object, and its head. */
static enum cl_status check_ended(const struct cl_act *acts, size_t count, const struct cl_agreement *agreement)
{
    bool opened = false, head_shown = false;
    for (size_t i = 0; i < count; i++) {
        if ((i > 0 && acts[i].index <= acts[i - 1].index) || (!acts[i].on_terms && acts[i].index > agreement->last_index))
            return CL_E_PROOF;
        if (acts[i].on_terms)
            continue;
        bool opens = acts[i].opens && (acts[i].type == CL_REQUEST || acts[i].type == CL_GRANT || acts[i].type == CL_SUBSCRIBE);
        if (opens == opened || acts[i].opens != opens || (head_shown && moves_head(&acts[i])))
            return CL_E_PROOF; /* opened once, first of all; nothing after the head */
        opened = true;
        head_shown = head_shown || (moves_head(&acts[i]) && memcmp(acts[i].id.bytes, agreement->head, 32) == 0);
    }
    return opened && head_shown ? CL_OK : CL_E_PROOF;
}

/* Did that side sign what is in force, for every slot that is live? */
static bool covers(const struct signed_terms *terms, const struct cl_agreement *agreement)
{
    return terms->commitment != NULL && memcmp(terms->commitment, agreement->commitment, 32) == 0 &&
           (agreement->live & ~terms->slots) == 0;
}

static bool fits_status(const struct life *life)
{
    bool open = life->phase == OPEN && !life->countered;
    switch ((enum cl_agreement_status)life->agreement->status) {
    case CL_OFFERED:
        return open && life->opened_by == CL_GRANT;
    case CL_REQUESTED:
        return open && life->opened_by == CL_REQUEST;
    case CL_SUBSCRIBED:
        return open && life->opened_by == CL_SUBSCRIBE;
    case CL_COUNTERED:
        return life->phase == OPEN && life->countered;
    case CL_ACTIVE:
        return life->phase == ACTIVE && covers(&life->by_customer, life->agreement) && covers(&life->by_organisation, life->agreement);
    case CL_REFUSED: case CL_WITHDRAWN: case CL_TERMINATED:
        return false; /* check_ended */
    }
    return false;
}

enum cl_status cl_acts_check_agreement(const struct cl_act *acts, size_t count, const struct cl_agreement *agreement)
{
    struct life life;
    assert(count <= CL_PROOF_RECORDS_MAX);
    if (has_ended(agreement))
        return check_ended(acts, count, agreement);
    life.agreement = agreement;
    life.acts = acts;
    life.count = count;
    life.phase = NOT_OPENED;
    life.turn = CL_SIDE_NONE;
    life.countered = life.customer_known = life.organisation_known = life.head_shown = false;
    life.opened_by = CL_REQUEST;
    life.terms = life.head = NULL;
    life.in_force = NULL;
    life.by_customer = life.by_organisation = (struct signed_terms){NULL, 0};
    collect_keys(&life.customer, &agreement->customer, CL_SIDE_CUSTOMER, acts, count);
    collect_keys(&life.organisation, &agreement->organisation, CL_SIDE_ORGANISATION, acts, count);
    for (size_t i = 0; i < count; i++)
        if ((i > 0 && acts[i].index <= acts[i - 1].index) || !live_through(&life, &acts[i]))
            return CL_E_PROOF;
    if (!life.head_shown || life.in_force == NULL || memcmp(life.in_force, agreement->commitment, 32) != 0 || !fits_status(&life))
        return CL_E_PROOF;
    return CL_OK;
}

/* ---- which records to show */

static bool selected_before(const struct cl_proof_selection *selection, const struct cl_act *delegation)
{
    for (size_t i = 0; i < selection->delegation_count; i++)
        if (memcmp(selection->delegations[i].key, delegation->key, 33) == 0 &&
            memcmp(selection->delegations[i].signer, delegation->signer33, 33) == 0)
            return true;
    return false;
}

/* A delegation explains a signer that is shown already; once for each key that gave it. */
static bool select_delegation(struct cl_proof_selection *selection, const struct cl_act *act)
{
    bool wanted = false;
    assert(act->key != NULL); /* DELEGATE has key 12 */
    for (size_t i = 0; i < selection->signer_count && may_bind(act->mode); i++)
        wanted = wanted || memcmp(selection->signers[i], act->key, 33) == 0;
    if (!wanted || selection->delegation_count == CL_PROOF_RECORDS_MAX || selected_before(selection, act))
        return false;
    memcpy(selection->delegations[selection->delegation_count].key, act->key, 33);
    memcpy(selection->delegations[selection->delegation_count++].signer, act->signer33, 33);
    return true;
}

/* The newest acceptance made the commitment in force; it and its proposal stand for all before them. */
static bool select_amendment(struct cl_proof_selection *selection, const struct cl_act *act)
{
    if (act->ref != NULL) {
        if (selection->accepted)
            return false;
        selection->accepted = true;
        memcpy(selection->proposal, act->ref, 32);
        return true;
    }
    return act->commitment != NULL && selection->accepted && memcmp(act->id.bytes, selection->proposal, 32) == 0;
}

static bool select_act(struct cl_proof_selection *selection, const struct cl_act *act, const struct cl_agreement *agreement)
{
    if (act->on_terms)
        return act->opens && !has_ended(agreement);
    bool head = memcmp(act->id.bytes, agreement->head, 32) == 0;
    if (has_ended(agreement))
        return act->opens || head;
    switch (act->type) {
    case CL_REQUEST: case CL_GRANT: case CL_SUBSCRIBE: case CL_COUNTER: case CL_REFUSE: case CL_ROTATE:
        return true;
    case CL_AMEND:
        return select_amendment(selection, act) || head;
    case CL_DELEGATE:
        return select_delegation(selection, act);
    case CL_PROFILE: case CL_TERMS: case CL_SUSPEND: case CL_RESUME: case CL_REVOKE: case CL_RENEW: case CL_ACK:
    case CL_STATEMENT: case CL_UNDELEGATE: case CL_ERASE: case CL_DISPUTE: case CL_VOUCH:
        return head;
    }
    return false;
}

bool cl_proof_select(struct cl_proof_selection *selection, const struct cl_record *record, const struct cl_object_id *object, const struct cl_agreement *agreement)
{
    struct cl_act act;
    if (cl_act_find(&act, record, 0, object, agreement->terms.present ? agreement->terms.bytes : NULL) != CL_OK ||
        !select_act(selection, &act, agreement))
        return false;
    if (selection->signer_count < CL_PROOF_RECORDS_MAX)
        memcpy(selection->signers[selection->signer_count++], act.signer33, 33);
    return true;
}
