/* Filling an entry, finding what it is about, and whose key signs it. */
#include "act.h"
#include "discover.h"

#include <stdlib.h>
#include <unistd.h>

void act_init(struct act *act, enum cl_record_type type) { *act = (struct act){.type = type}; }

static void put(struct act *act, unsigned key, uint8_t *room, const uint8_t **pointer, const uint8_t *data, size_t length)
{
    memcpy(room, data, length);
    *pointer = room;
    act->entry.present |= CL_HAS(key);
}

void act_object(struct act *act, const struct cl_object_id *object)
{
    put(act, 1, act->object, &act->entry.object, object->bytes, 32);
    act->entry.object_length = 32;
}
void act_prev(struct act *act, const uint8_t head32[32]) { put(act, 2, act->prev, &act->entry.prev, head32, 32); }
void act_commitment(struct act *act, const uint8_t commitment32[32]) { put(act, 3, act->commitment, &act->entry.commitment, commitment32, 32); }
void act_ref(struct act *act, const uint8_t ref32[32]) { put(act, 8, act->ref, &act->entry.ref, ref32, 32); }
void act_party(struct act *act, const uint8_t profile32[32]) { put(act, 13, act->party, &act->entry.party, profile32, 32); }
void act_nonce(struct act *act, struct cl_object_id *id, const struct act_signer *signer)
{
    act->entry.object = act->nonce;
    act->entry.object_length = 16;
    act->entry.present |= CL_HAS(1);
    cl_object_id_derive(id, signer->signer.key.bytes, act->nonce);
}
void act_key(struct act *act, const uint8_t *key, size_t length)
{
    put(act, 12, act->key, &act->entry.key, key, length);
    act->entry.key_length = (uint8_t)length;
}
void act_slots(struct act *act, uint64_t slots)
{
    act->entry.slots = slots;
    act->entry.present |= CL_HAS(9);
}
void act_reason(struct act *act, uint8_t reason)
{
    act->entry.reason = reason;
    act->entry.present |= CL_HAS(10);
}
void act_not_before(struct act *act, uint64_t seconds)
{
    act->entry.not_before = seconds;
    act->entry.present |= CL_HAS(4);
}
void act_not_after(struct act *act, uint64_t seconds)
{
    act->entry.not_after = seconds;
    act->entry.present |= CL_HAS(5);
}

int act_period(struct context *context, struct act *act, const char *from_option)
{
    const char *from = option(context, from_option), *until = option(context, "--until");
    uint64_t seconds = 0;
    if (from != NULL) {
        if (!time_parse(&seconds, from, false))
            return output_usage(&context->output, "'%.40s' is neither a date (2027-06-30) nor a time (2027-06-30T12:00:00Z).", from);
        act_not_before(act, seconds);
    }
    if (until != NULL) {
        if (!time_parse(&seconds, until, true))
            return output_usage(&context->output, "'%.40s' is neither a date (2027-06-30) nor a time (2027-06-30T12:00:00Z).", until);
        act_not_after(act, seconds);
    }
    return 0;
}

int slots_option(struct context *context, uint64_t *slots, uint64_t allowed)
{
    const char *text = option(context, "--slots");
    uint64_t wanted = 0;
    if (text == NULL)
        return 0;
    if (!slots_parse(&wanted, text))
        return output_usage(&context->output, "'%.60s' is not a list of slot numbers, as 1,3.", text);
    if ((wanted & ~allowed) != 0)
        return output_fail(&context->output, CL_E_SLOTS, "Possible are: %s.", slots_text(allowed));
    *slots = wanted;
    return 0;
}

const uint8_t *object_head(const struct object *object)
{
    return object->kind == CL_STATE_AGREEMENT ? object->as.agreement.head : object->kind == CL_STATE_TERMS ? object->as.terms.head : object->as.profile.head;
}

const uint8_t *object_commitment(const struct object *object)
{
    return object->kind == CL_STATE_AGREEMENT ? object->as.agreement.commitment : object->kind == CL_STATE_TERMS ? object->as.terms.commitment : object->as.profile.commitment;
}

/* ---- the subject */

const char *party_key_name(struct context *context, const struct cl_party *party)
{
    if (party->length == 33) {
        struct cl_public_key key;
        char did[CL_DID_KEY_SIZE];
        memcpy(key.bytes, party->bytes, 33);
        cl_did_key_encode(did, &key);
        const struct cl_wallet_key *own = cl_wallet_key_find(context->wallet, did);
        return own == NULL ? NULL : own->name;
    }
    if (party->length == 32) {
        struct cl_object_id id;
        memcpy(id.bytes, party->bytes, 32);
        const struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, &id);
        return item == NULL || item->key_name[0] == '\0' ? NULL : item->key_name;
    }
    return NULL;
}

struct cl_wallet_item *subject_item(struct context *context, const struct subject *subject)
{
    return cl_wallet_item_of(context->wallet, &subject->object.id);
}

const struct cl_party *subject_party(const struct subject *subject, enum cl_side side)
{
    const struct cl_agreement *agreement = &subject->object.as.agreement;
    return side == CL_SIDE_CUSTOMER ? &agreement->customer : &agreement->organisation;
}

/* Whose side is ours: what the wallet says, else whose key we hold. */
static enum cl_side side_of(struct context *context, const struct subject *subject)
{
    const struct cl_wallet_item *item = subject_item(context, subject);
    if (subject->object.kind != CL_STATE_AGREEMENT)
        return CL_SIDE_NONE;
    return item != NULL && item->role != CL_SIDE_NONE ? item->role : side_by_keys(context, &subject->object);
}

/* An agreement that reached us through our TERMS, PROFILE or key gets an entry of its own. */
static int adopt(struct context *context, struct subject *subject)
{
    const char *given = option(context, "--name");
    if (subject_item(context, subject) != NULL || subject->object.kind != CL_STATE_AGREEMENT || subject->side == CL_SIDE_NONE)
        return 0;
    return entry_adopt(context, &subject->object, subject->side, given != NULL && cl_wallet_name_usable(given) ? given : NULL);
}

int subject_open(struct context *context, struct subject *out, const char *text)
{
    struct cl_wallet_item *item = NULL;
    struct cl_object_id id;
    *out = (struct subject){.side = CL_SIDE_NONE};
    if (text == NULL)
        return output_usage(&context->output, "Which one? Give its name or id; see 'consent help %s'.", context->command->name);
    int result = network_open(context);
    if (result != 0)
        return result;
    enum cl_status status = cl_wallet_item_find(&item, context->wallet, text);
    if (status == CL_OK)
        id = item->object;
    else if (status == CL_E_ARGUMENT)
        return output_usage(&context->output, "'%.64s' fits several entries; give more digits.", text);
    else if (!id_parse(&id, text))
        return output_fail(&context->output, CL_E_NOT_FOUND, "'%.70s'; 'consent list' shows what this wallet has.", text);
    result = object_fetch(context, &out->object, &id, true);
    if (result != 0)
        return result;
    out->side = side_of(context, out);
    result = adopt(context, out);
    item = subject_item(context, out);
    if (item != NULL)
        (void)snprintf(out->item_name, sizeof out->item_name, "%s", item->name);
    return result;
}

int subject_unfit(struct context *context, const struct subject *subject, const char *wanted)
{
    const char *kind = subject->object.kind == CL_STATE_TERMS ? "terms" : subject->object.kind == CL_STATE_PROFILE ? "a profile" : "an agreement";
    return output_fail(&context->output, CL_E_OBJECT_KIND, "'%s' is %s; name %s: 'consent list' shows what there is.", subject->item_name[0] != '\0' ? subject->item_name : id_short(subject->object.id.bytes), kind, wanted);
}

int agreement_open(struct context *context, struct subject *out, const char *text)
{
    int result = subject_open(context, out, text);
    if (result == 0 && out->object.kind != CL_STATE_AGREEMENT) {
        result = subject_unfit(context, out, "an agreement");
        subject_close(out);
    }
    return result;
}

void subject_close(struct subject *subject) { object_deinit(&subject->object); }

int subject_signer(struct context *context, struct act_signer *out, const struct subject *subject)
{
    struct cl_party owner = {.length = 33};
    const struct object *object = &subject->object;
    const struct cl_wallet_item *item = subject_item(context, subject);
    const char *key = NULL;
    if (object->kind == CL_STATE_AGREEMENT) {
        key = subject->side == CL_SIDE_NONE ? NULL : party_key_name(context, subject_party(subject, subject->side));
    } else {
        memcpy(owner.bytes, object->kind == CL_STATE_TERMS ? object->as.terms.owner : object->as.profile.key, 33);
        key = party_key_name(context, &owner);
    }
    if (key == NULL && item != NULL && item->key_name[0] != '\0')
        key = item->key_name;
    return signer_open(context, out, key);
}

/* ---- words about states */

const char *period_text(const struct cl_optional_time *not_before, const struct cl_optional_time *not_after)
{
    static char storage[4][96];
    static unsigned next;
    char *out = storage[next++ % 4], from[TIME_TEXT_SIZE] = "", until[TIME_TEXT_SIZE] = "";
    if (not_before->present)
        time_text(from, not_before->seconds);
    if (not_after->present)
        time_until_text(until, not_after->seconds);
    (void)snprintf(out, sizeof storage[0], "%s%s%s%s", not_before->present ? "from " : "", from, not_before->present ? " " : "", not_after->present ? "until " : "until withdrawn");
    size_t used = strlen(out);
    (void)snprintf(out + used, sizeof storage[0] - used, "%s", until);
    return out;
}

const char *state_word(const struct object *object)
{
    if (object->kind == CL_STATE_TERMS)
        return object->as.terms.open ? "open" : "closed";
    if (object->kind == CL_STATE_PROFILE)
        return "published";
    const struct cl_agreement *agreement = &object->as.agreement;
    if (agreement->status != CL_ACTIVE)
        return cl_agreement_status_name((enum cl_agreement_status)agreement->status);
    enum cl_status status = cl_agreement_check(agreement, 0, time_now_ms());
    if (status == CL_E_SUSPENDED)
        return "suspended";
    return status == CL_E_EXPIRED ? "expired" : status == CL_E_NOT_YET ? "not yet" : "active";
}

enum { SLOTS_LINE_MAX = 96 };

/* "1 email, 2 phone". NULL: the text of one of them is not at hand, or they do not fit a line. Static storage. */
static const char *slots_named(struct context *context, const struct object *object, uint64_t slots)
{
    static char out[SLOTS_LINE_MAX];
    const struct cl_wallet_item *item = context->wallet == NULL ? NULL : cl_wallet_item_of(context->wallet, &object->id);
    struct cl_terms_text *text = item == NULL ? NULL : body_text_of(item, object_commitment(object));
    size_t used = 0, named = 0;
    out[0] = '\0';
    for (size_t i = 0; text != NULL && i < text->slot_count && used < sizeof out; i++) {
        const struct cl_terms_slot *slot = &text->slots[i];
        if ((slots >> slot->number & 1u) == 0)
            continue;
        bool has_name = slot->name != NULL && slot->name[0] != '\0';
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%u%s%s", named++ == 0 ? "" : ", ", slot->number, has_name ? " " : "", has_name ? output_printable(slot->name, strnlen(slot->name, SLOTS_LINE_MAX)) : "");
        slots &= ~(1ull << slot->number);
    }
    cl_terms_text_free(text);
    return named > 0 && used < sizeof out && slots == 0 ? out : NULL;
}

static const char *slots_told(struct context *context, const struct object *object, uint64_t slots)
{
    const char *named = slots_named(context, object, slots);
    return named != NULL ? named : slots_text(slots);
}

/* To its owner a wallet says "you", where it knows which side is ours. */
static const char *turn_text(struct context *context, const struct object *object)
{
    const struct cl_wallet_item *item = context->wallet == NULL ? NULL : cl_wallet_item_of(context->wallet, &object->id);
    const unsigned turn = object->as.agreement.turn;
    if (turn == 0)
        return "";
    if (item != NULL && item->role != CL_SIDE_NONE)
        return (unsigned)item->role == turn ? "; you are to answer" : "; the other side is to answer";
    return turn == 1 ? "; the customer is to answer" : "; the organisation is to answer";
}

const char *state_line(struct context *context, const struct object *object)
{
    static char out[512];
    if (object->kind == CL_STATE_AGREEMENT) {
        const struct cl_agreement *agreement = &object->as.agreement;
        const char *turn = turn_text(context, object);
        const char *pending = agreement->pending.present ? "; an amendment is proposed" : "";
        uint64_t due = cl_agreement_due(agreement, time_now_ms());
        int length = agreement->live == 0 ? snprintf(out, sizeof out, "%s", state_word(object))
                                          : snprintf(out, sizeof out, "%s; slots %s; %s%s%s", state_word(object), slots_told(context, object, agreement->live), period_text(&agreement->not_before, &agreement->not_after), turn, pending);
        if (due != 0)
            (void)snprintf(out + length, sizeof out - (size_t)length, "; to be erased: slots %s", slots_told(context, object, due));
    } else if (object->kind == CL_STATE_TERMS) {
        const struct cl_terms *terms = &object->as.terms;
        (void)snprintf(out, sizeof out, "%s; slots %s; %llu of %llu agreements; %s; %s", state_word(object), slots_told(context, object, terms->slots), (unsigned long long)terms->answers, (unsigned long long)terms->limit,
                       (terms->mode & 1) != 0 ? "standing consent" : "each answer waits for the customer", period_text(&terms->not_before, &terms->not_after));
    } else {
        struct cl_party key = {.length = 33};
        memcpy(key.bytes, object->as.profile.key, 33);
        (void)snprintf(out, sizeof out, "%s; key %s; %u vouched", state_word(object), party_text(context, &key), object->as.profile.vouch_count);
    }
    return out;
}
