/* Histories of records under the rules, and what rules.md promises of every one of them: a refused record changes nothing,
   values have one form, ends are final, slots are live or due but never both, nobody is bound by what he has not
   signed, nobody but the parties changes anything, and a withdrawal is never refused. */
#include "consent/record.h"
#include "crypto.h"
#include "require.h"
#include "script.h"

#define RECORDS_MAX 96u

static struct script script;
static struct script_state state;
static struct script_record drafted;

/* What the record at hand is. */
struct turn { const struct cl_record *record; uint64_t index, now_ms; uint32_t touched; };

/* ---- probes: what would be answered, with nothing written */

static struct { const uint8_t *object32; uint8_t status; } probed;

static enum cl_status put_nothing(void *context, const uint8_t key32[32], const uint8_t *value, size_t length)
{
    struct cl_agreement agreement;
    (void)context;
    if (memcmp(key32, probed.object32, 32) == 0 && cl_agreement_decode(&agreement, value, length) == CL_OK)
        probed.status = agreement.status;
    return CL_OK;
}

static enum cl_status probe(uint8_t *status_after, enum cl_record_type type, const uint8_t signer33[33], const uint8_t object32[32], uint8_t reason)
{
    struct cl_entry entry = {.present = CL_HAS(1), .object_length = 32, .object = object32};
    struct cl_draft draft = {.type = type, .issued_at_ms = 1, .entries = &entry, .entry_count = 1};
    struct cl_record_id id;
    struct cl_buffer payload = {0};
    struct cl_record record;
    struct cl_state_access access = script_state_access(&state);
    if (reason != 0)
        entry.present |= CL_HAS(10);
    entry.reason = reason;
    memcpy(draft.signer.bytes, signer33, 33);
    require(cl_draft_encode(&payload, &id, NULL, &draft, &script_network) == CL_OK);
    require(cl_record_decode_payload(&record, NULL, payload.data, payload.length, signer33, &script_network) == CL_OK);
    struct cl_rules_input input = {&script_network, &record, script.record_count + 1, script.now_ms, NULL};
    access.put = put_nothing;
    probed.object32 = object32;
    enum cl_status status = cl_rules_apply(&access, &input, NULL, NULL, NULL, NULL);
    if (status == CL_OK)
        *status_after = probed.status;
    cl_record_deinit(&record);
    cl_buffer_deinit(&payload);
    return status;
}

/* The key that acts for a party now; false where nobody does. */
static bool present_key(uint8_t key33[33], const struct cl_party *party)
{
    struct cl_terms terms;
    struct cl_profile profile;
    if (party->length == 33)
        memcpy(key33, party->bytes, 33);
    if (party->length != 32)
        return party->length == 33;
    const struct script_value *value = script_state_find(&state, party->bytes);
    require(value != NULL);
    if (cl_terms_decode(&terms, value->bytes, value->length) == CL_OK)
        memcpy(key33, terms.owner, 33);
    else if (cl_profile_decode(&profile, value->bytes, value->length) == CL_OK)
        memcpy(key33, profile.key, 33);
    else
        require(false);
    return true;
}

/* rules 4 and 5: who has given, or is asked, can always take back, in one step, also one that was signed years ago. */
static void withdrawal_is_never_refused(const uint8_t object32[32], const struct cl_agreement *agreement)
{
    uint8_t key[33], status = 0xff;
    if (agreement->status > CL_ACTIVE)
        return;
    if (present_key(key, &agreement->customer)) {
        require(probe(&status, CL_REVOKE, key, object32, 0) == CL_OK && status == CL_WITHDRAWN);
        if (agreement->status == CL_ACTIVE && (agreement->suspended & 1) == 0)
            require(probe(&status, CL_SUSPEND, key, object32, 0) == CL_OK && status == CL_ACTIVE);
    }
    if (present_key(key, &agreement->organisation)) {
        require(probe(&status, CL_REVOKE, key, object32, 8) == CL_OK && status == CL_TERMINATED);
        if (agreement->status == CL_ACTIVE && (agreement->suspended & 2) == 0)
            require(probe(&status, CL_SUSPEND, key, object32, 0) == CL_OK);
    }
}

/* ---- what any two values of an agreement must keep to */

static void agreement_is_sound(const struct cl_agreement *now)
{
    bool open = now->status <= CL_COUNTERED, ended = now->status > CL_ACTIVE;
    require((now->live & now->due) == 0);
    require(open == (now->turn != 0) && (now->live != 0 || now->status >= CL_ACTIVE));
    require(!open || (now->due == 0 && now->suspended == 0 && !now->pending.present));
    require(!ended || (now->live == 0 && !now->pending.present));
    if (now->customer.length != 0 && now->organisation.length != 0)
        require(!cl_party_equal(&now->customer, &now->organisation) && now->audience.kind == 0);
    if (now->status == CL_ACTIVE)
        require(now->customer.length != 0 && now->organisation.length != 0);
    require(!now->pending.present || (now->pending.side == CL_SIDE_CUSTOMER || now->pending.side == CL_SIDE_ORGANISATION));
    for (size_t i = 1; i < now->delegation_count; i++) {
        int order = memcmp(now->delegations[i - 1].key, now->delegations[i].key, 33);
        require(order < 0 || (order == 0 && now->delegations[i - 1].side < now->delegations[i].side));
    }
}

/* rules.md "Parties and who acts": the power that a delegate needs; 0: no delegate may. */
static uint8_t power_for(enum cl_record_type type)
{
    switch (type) {
    case CL_REVOKE: case CL_SUSPEND: return CL_POWER_REVOKE;
    case CL_REQUEST: case CL_GRANT: case CL_SUBSCRIBE: case CL_COUNTER: case CL_REFUSE: case CL_RESUME: return CL_POWER_GRANT;
    case CL_AMEND: case CL_RENEW: return CL_POWER_AMEND;
    case CL_ACK: case CL_STATEMENT: case CL_ERASE: case CL_DISPUTE: return CL_POWER_STATE;
    case CL_PROFILE: case CL_TERMS: case CL_DELEGATE: case CL_UNDELEGATE: case CL_ROTATE: case CL_VOUCH: return 0;
    }
    return 0;
}

static bool delegated(const struct turn *turn, const struct cl_delegation *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(list[i].key, turn->record->signer33, 33) == 0 && turn->now_ms < 1000 * list[i].until &&
            (list[i].powers & power_for(turn->record->type)) != 0)
            return true;
    return false;
}

/* Values as they were before the record. */
static bool acts_for(const struct turn *turn, const struct cl_party *party)
{
    struct cl_terms terms;
    struct cl_profile profile;
    const uint8_t *signer = turn->record->signer33;
    if (party->length == 33)
        return memcmp(party->bytes, signer, 33) == 0;
    const struct script_value *value = party->length == 32 ? script_state_find(&state, party->bytes) : NULL;
    if (value == NULL)
        return false;
    const uint8_t *bytes = value->written && value->existed ? value->old : value->bytes;
    size_t length = value->written && value->existed ? value->old_length : value->length;
    if (cl_terms_decode(&terms, bytes, length) == CL_OK)
        return memcmp(terms.owner, signer, 33) == 0 || delegated(turn, terms.delegations, terms.delegation_count);
    return cl_profile_decode(&profile, bytes, length) == CL_OK &&
           (memcmp(profile.key, signer, 33) == 0 || delegated(turn, profile.delegations, profile.delegation_count));
}

static void only_who_is_meant(const struct turn *turn, const struct cl_entry *entry, const struct cl_audience *audience, const uint8_t bearer32[32])
{
    struct cl_hash hash;
    bool party = (entry->present & CL_HAS(13)) != 0;
    require((audience->kind != 0) == ((entry->present & CL_HAS(7)) != 0));
    if (audience->kind == CL_AUDIENCE_HASH) {
        require(entry->opening_length == 32);
        cl_audience_derive(&hash, entry->opening, party ? entry->party : turn->record->signer33, party ? 32 : 33);
        require(memcmp(hash.bytes, audience->bytes, 32) == 0);
    } else if (audience->kind == CL_AUDIENCE_TOKEN) {
        uint8_t agreement[32];
        require(entry->opening_length == 64);
        script_entry_object(agreement, turn->record->signer33, entry);
        cl_token_digest(&hash, &script_network, bearer32, agreement, turn->record->signer33);
        require(cl_ecdsa_verify(audience->bytes, hash.bytes, entry->opening) == CL_OK);
    }
}

static void only_parties_change_it(const struct turn *turn, const struct cl_entry *entry, const struct cl_agreement *old)
{
    if (acts_for(turn, &old->customer) || acts_for(turn, &old->organisation) ||
        delegated(turn, old->delegations, old->delegation_count))
        return;
    enum cl_record_type type = turn->record->type;
    if (type == CL_ROTATE && (entry->present & CL_HAS(7)) != 0) {
        struct cl_hash hash;
        cl_recovery_derive(&hash, turn->record->signer33);
        require(old->recovery.present && memcmp(old->recovery.bytes, hash.bytes, 32) == 0);
        return;
    }
    /* a stranger: only as the answer of the side that is not known yet, and only who is meant */
    const struct cl_party *asked = old->turn == CL_SIDE_CUSTOMER ? &old->customer : &old->organisation;
    require(type == CL_GRANT || type == CL_SUBSCRIBE || type == CL_COUNTER || type == CL_REFUSE);
    require(old->status <= CL_COUNTERED && asked->length == 0);
    only_who_is_meant(turn, entry, &old->audience, entry->object);
}

static void both_have_signed(const struct turn *turn, const struct cl_entry *entry, const struct cl_agreement *old, const struct cl_agreement *now)
{
    enum cl_record_type type = turn->record->type;
    if (old->status != CL_ACTIVE && now->status == CL_ACTIVE) { /* the answer names what was offered, and no more of it */
        require(type == CL_GRANT || type == CL_SUBSCRIBE);
        require(memcmp(entry->commitment, old->commitment, 32) == 0 && memcmp(now->commitment, old->commitment, 32) == 0);
        require((now->live & ~old->live) == 0 && now->live == entry->slots && old->status <= CL_COUNTERED);
        require(type == (old->turn == CL_SIDE_CUSTOMER ? CL_GRANT : CL_SUBSCRIBE));
    }
    if (old->status == CL_ACTIVE && (memcmp(now->commitment, old->commitment, 32) != 0 || (now->live & ~old->live) != 0)) {
        require(type == CL_AMEND && (entry->present & CL_HAS(8)) != 0 && old->pending.present);
        require(memcmp(entry->ref, old->pending.record_id, 32) == 0 && memcmp(now->commitment, old->pending.commitment, 32) == 0);
        require(now->live == old->pending.slots && !now->pending.present);
    }
    if (now->pending.present && (!old->pending.present || memcmp(now->pending.record_id, old->pending.record_id, 32) != 0))
        require(type == CL_AMEND && memcmp(now->pending.record_id, turn->record->id.bytes, 32) == 0);
}

static void steps_are_allowed(const struct turn *turn, const struct cl_entry *entry, const struct cl_agreement *old, const struct cl_agreement *now)
{
    enum cl_record_type type = turn->record->type;
    bool moved = memcmp(old->head, now->head, 32) != 0;
    if (old->status > CL_ACTIVE)
        require(now->status == old->status && (now->due & ~old->due) == 0 && now->suspended == old->suspended);
    if (old->status == CL_ACTIVE)
        require(now->status == CL_ACTIVE || (type == CL_REVOKE && (now->status == CL_WITHDRAWN || now->status == CL_TERMINATED)));
    if (old->status != CL_ACTIVE && now->status > CL_ACTIVE && now->status != old->status)
        require(type == CL_REVOKE || (type == CL_REFUSE && now->status == CL_REFUSED));
    require(now->suspended == old->suspended || type == CL_SUSPEND || type == CL_RESUME);
    /* what leaves live is due until O states that it is erased; what is due leaves only by ERASE or by being live again */
    if (type != CL_ERASE && old->status == CL_ACTIVE)
        require((old->live & ~now->live & ~now->due) == 0 && (old->due & ~now->due & ~now->live) == 0);
    require((old->flags & ~now->flags & (CL_FLAG_ERASED_C | CL_FLAG_ERASED_O | CL_FLAG_COUNTERED)) == 0);
    require(now->last_index == turn->index && (now->head_ms == old->head_ms || now->head_ms == turn->now_ms));
    require(!moved || (memcmp(now->head, turn->record->id.bytes, 32) == 0 && !now->pending.present));
    bool still = type == CL_DELEGATE || type == CL_UNDELEGATE || type == CL_ACK || type == CL_ERASE || type == CL_DISPUTE ||
                 (type == CL_AMEND && (entry->present & CL_HAS(3)) != 0);
    require(!still || !moved);
    require(type == CL_ROTATE || old->customer.length == 0 || cl_party_equal(&old->customer, &now->customer));
    require(type == CL_ROTATE || old->organisation.length == 0 || cl_party_equal(&old->organisation, &now->organisation));
    require(old->terms.present == now->terms.present && memcmp(old->terms.bytes, now->terms.bytes, 32) == 0);
    require(old->status >= CL_ACTIVE || now->status == CL_ACTIVE || now->due == 0); /* what was never active is nothing to erase */
    require(type != CL_COUNTER || (now->flags & ~old->flags & CL_FLAG_COUNTERED) != 0);
    require(type != CL_RENEW || ((old->flags & CL_FLAG_ERASED_O) == 0 && turn->now_ms < 1000 * now->not_after.seconds));
    bool recovers = type == CL_ROTATE && (entry->present & CL_HAS(7)) != 0;
    require(!old->recovery.present || recovers || memcmp(&old->recovery, &now->recovery, sizeof now->recovery) == 0);
    for (size_t i = 0; recovers && i < now->delegation_count; i++)
        require(now->delegations[i].side != CL_SIDE_CUSTOMER); /* the thief's delegates go with his key */
}

static bool within(const struct cl_optional_time *before, const struct cl_optional_time *after, const struct cl_terms *terms)
{
    return (!terms->not_before.present || (before->present && before->seconds >= terms->not_before.seconds)) &&
           (!terms->not_after.present || (after->present && after->seconds <= terms->not_after.seconds));
}

/* rule 7: the TERMS bound the period; each party that is active under them has its one answer. */
static void keeps_to_its_terms(const struct turn *turn, const struct cl_entry *entry, const struct script_value *value, const struct cl_agreement *now)
{
    struct cl_terms terms, before;
    struct cl_hash key;
    struct cl_object_id named;
    const struct script_value *found = script_state_find(&state, now->terms.bytes);
    require(found != NULL && cl_terms_decode(&terms, found->bytes, found->length) == CL_OK);
    require(within(&now->not_before, &now->not_after, &terms));
    if (now->status == CL_ACTIVE) {
        cl_answer_key(&key, now->terms.bytes, &now->organisation);
        const struct script_value *answer = script_state_find(&state, key.bytes);
        require(turn->record->type == CL_ROTATE || answer != NULL || value->existed); /* a party that rotated has another key */
        require(answer == NULL || !answer->written || (cl_answer_decode(&named, answer->bytes, answer->length) == CL_OK && memcmp(named.bytes, value->key, 32) == 0));
    }
    if (value->existed)
        return;
    before = terms;
    if (found->written && found->existed)
        require(cl_terms_decode(&before, found->old, found->old_length) == CL_OK);
    require(before.open == 1 && memcmp(now->commitment, before.commitment, 32) == 0 && now->live == before.slots);
    only_who_is_meant(turn, entry, &before.audience, now->terms.bytes);
    if ((before.mode & 2) != 0) {
        struct cl_profile profile;
        bool vouched = false;
        const struct script_value *party = now->organisation.length == 32 ? script_state_find(&state, now->organisation.bytes) : NULL;
        require(party != NULL && cl_profile_decode(&profile, party->bytes, party->length) == CL_OK);
        for (size_t i = 0; i < profile.vouch_count; i++)
            vouched = vouched || turn->now_ms < 1000 * profile.vouches[i].until;
        require(vouched);
    }
}

static void check_agreement(const struct turn *turn, const struct cl_entry *entry, const struct script_value *value)
{
    struct cl_agreement now, old;
    require(cl_agreement_decode(&now, value->bytes, value->length) == CL_OK && entry != NULL);
    agreement_is_sound(&now);
    if (value->existed) {
        require(cl_agreement_decode(&old, value->old, value->old_length) == CL_OK && entry->object_length == 32);
        only_parties_change_it(turn, entry, &old);
        both_have_signed(turn, entry, &old, &now);
        steps_are_allowed(turn, entry, &old, &now);
    } else {
        require(entry->object_length == 16 && memcmp(now.head, turn->record->id.bytes, 32) == 0);
        require(now.status != CL_ACTIVE || now.terms.present); /* nobody agrees alone, but with standing terms */
    }
    if (now.terms.present)
        keeps_to_its_terms(turn, entry, value, &now);
    withdrawal_is_never_refused(value->key, &now);
}

/* ---- TERMS, PROFILEs */

static void check_terms(const struct turn *turn, const struct cl_entry *entry, const struct script_value *value)
{
    struct cl_terms now, old;
    require(cl_terms_decode(&now, value->bytes, value->length) == CL_OK);
    require(now.answers <= now.limit && now.open <= 1);
    if (!value->existed) {
        require(entry != NULL && entry->object_length == 16 && now.open == 1 && now.answers == 0);
        return;
    }
    require(cl_terms_decode(&old, value->old, value->old_length) == CL_OK);
    require(now.answers >= old.answers && now.open <= old.open && now.limit == old.limit && now.mode == old.mode && now.slots == old.slots);
    require(memcmp(now.commitment, old.commitment, 32) == 0);
    require(!old.successor.present || memcmp(&old.successor, &now.successor, sizeof now.successor) == 0);
    require(memcmp(now.owner, old.owner, 33) == 0 || turn->record->type == CL_ROTATE);
    require(now.answers == old.answers || (old.open == 1 && (turn->record->type == CL_SUBSCRIBE || turn->record->type == CL_GRANT)));
    if (now.open != old.open)
        require(turn->record->type == CL_REVOKE && entry != NULL);
    bool recovers = turn->record->type == CL_ROTATE && entry != NULL && (entry->present & CL_HAS(7)) != 0;
    require(!old.recovery.present || recovers || memcmp(&old.recovery, &now.recovery, sizeof now.recovery) == 0);
    require(!recovers || now.delegation_count == 0);
}

static void check_profile(const struct turn *turn, const struct cl_entry *entry, const struct script_value *value)
{
    struct cl_profile now, old;
    require(entry != NULL && cl_profile_decode(&now, value->bytes, value->length) == CL_OK);
    if (!value->existed)
        return;
    require(cl_profile_decode(&old, value->old, value->old_length) == CL_OK);
    if (memcmp(now.key, old.key, 33) != 0)
        require(turn->record->type == CL_ROTATE && memcmp(now.key, entry->key, 33) == 0);
    bool recovers = turn->record->type == CL_ROTATE && (entry->present & CL_HAS(7)) != 0;
    require((recovers && now.delegation_count == 0) || (!recovers && memcmp(now.recovery, old.recovery, 32) == 0));
    if (turn->record->type == CL_VOUCH)
        require(memcmp(turn->record->signer33, script_key(6), 33) == 0);
    else if (!recovers)
        require(memcmp(turn->record->signer33, old.key, 33) == 0);
}

/* ---- one record */

static const struct cl_entry *entry_on(const struct cl_record *record, const uint8_t object32[32])
{
    for (size_t i = 0; i < record->entry_count; i++) {
        uint8_t id[32];
        script_entry_object(id, record->signer33, &record->entries[i]);
        if (memcmp(id, object32, 32) == 0)
            return &record->entries[i];
    }
    return NULL;
}

static void has_one_form(const struct script_value *value, enum cl_state_kind kind)
{
    struct cl_agreement agreement;
    struct cl_terms terms;
    struct cl_profile profile;
    struct cl_object_id answer;
    struct cl_buffer again = {0};
    if (kind == CL_STATE_AGREEMENT)
        require(cl_agreement_decode(&agreement, value->bytes, value->length) == CL_OK && cl_agreement_encode(&again, &agreement) == CL_OK);
    else if (kind == CL_STATE_TERMS)
        require(cl_terms_decode(&terms, value->bytes, value->length) == CL_OK && cl_terms_encode(&again, &terms) == CL_OK);
    else if (kind == CL_STATE_PROFILE)
        require(cl_profile_decode(&profile, value->bytes, value->length) == CL_OK && cl_profile_encode(&again, &profile) == CL_OK);
    else
        require(kind == CL_STATE_ANSWER && cl_answer_decode(&answer, value->bytes, value->length) == CL_OK && cl_answer_encode(&again, &answer) == CL_OK);
    require(again.length == value->length && memcmp(again.data, value->bytes, again.length) == 0);
    cl_buffer_deinit(&again);
}

/* Each new answer is counted in its TERMS, and nothing else is. */
static void answers_are_counted(void)
{
    uint64_t made = 0, counted = 0;
    for (size_t i = 0; i < state.count; i++) {
        const struct script_value *value = &state.values[i];
        struct cl_object_id answer;
        struct cl_terms now, old;
        if (!value->written)
            continue;
        made += !value->existed && cl_answer_decode(&answer, value->bytes, value->length) == CL_OK;
        if (cl_terms_decode(&now, value->bytes, value->length) != CL_OK)
            continue;
        counted += now.answers;
        if (value->existed && cl_terms_decode(&old, value->old, value->old_length) == CL_OK)
            counted -= old.answers;
    }
    require(made == counted);
}

static void check_changes(const struct turn *turn)
{
    answers_are_counted();
    for (size_t i = 0; i < state.count; i++) {
        const struct script_value *value = &state.values[i];
        enum cl_state_kind kind, before;
        if (!value->written)
            continue;
        require(cl_state_kind_of(&kind, value->bytes, value->length) == CL_OK);
        require(!value->existed || (cl_state_kind_of(&before, value->old, value->old_length) == CL_OK && before == kind));
        has_one_form(value, kind);
        const struct cl_entry *entry = entry_on(turn->record, value->key);
        if (kind == CL_STATE_AGREEMENT)
            check_agreement(turn, entry, value);
        else if (kind == CL_STATE_TERMS)
            check_terms(turn, entry, value);
        else if (kind == CL_STATE_PROFILE)
            check_profile(turn, entry, value);
        else
            require(!value->existed); /* an answer is given once */
        if (!value->existed && kind != CL_STATE_ANSWER)
            script_opened(&script, value->key, kind);
    }
}

static void note_touched(void *context, const struct cl_touched *touched)
{
    struct turn *turn = context;
    const struct script_value *value = script_state_find(&state, touched->object);
    require(value != NULL && touched->entry < turn->record->entry_count);
    turn->touched++;
}

static void apply(const struct cl_record *record)
{
    struct turn turn = {record, script.record_count, script.now_ms, 0};
    struct cl_state_access access = script_state_access(&state);
    struct cl_rules_input input = {&script_network, record, turn.index, turn.now_ms, NULL};
    uint32_t applied = 99, refused = 99;
    script_state_mark(&state);
    enum cl_status status = cl_rules_apply(&access, &input, &refused, &applied, note_touched, &turn);
    if (status != CL_OK) {
        require(state.put_count == 0 && applied == 0 && turn.touched == 0 && refused < record->entry_count);
        require(status >= CL_E_REPLAY && status <= CL_E_NOTHING_APPLIES);
        return;
    }
    require(record->issued_at_ms <= turn.now_ms + CL_RECORD_AHEAD_MS_MAX);
    require(cl_rules_is_withdrawal(record->type) || record->type == CL_UNDELEGATE || turn.now_ms <= record->issued_at_ms + CL_RECORD_AGE_MS_MAX);
    require(applied >= 1 && applied <= record->entry_count && turn.touched == applied);
    require(record->skip_refused || applied == record->entry_count);
    require(state.put_count > 0 || record->type == CL_STATEMENT);
    check_changes(&turn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    script_init(&script, data, size);
    script_state_init(&state);
    while (script.record_count < RECORDS_MAX && state.count + 2 * SCRIPT_ENTRIES_MAX < SCRIPT_STATES_MAX && script_next(&script, &drafted, &state)) {
        struct cl_buffer payload = {0};
        struct cl_record record;
        if (script_payload(&payload, &drafted) == CL_OK) {
            require(cl_record_decode_payload(&record, NULL, payload.data, payload.length, script_key(drafted.signer), &script_network) == CL_OK);
            apply(&record);
            cl_record_deinit(&record);
        }
        cl_buffer_deinit(&payload);
    }
    return 0;
}
