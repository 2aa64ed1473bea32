/* Who is told, and what became of it, in words. Nothing is remembered but in the links: a telling that is killed is begun again by
   the next, and whoever had it already refuses the copy, since a delivery's id follows from agreement, slot, item and the time of
   the change. */
#include "sharing.h"

#include <stdlib.h>
#include <time.h>

#define PATIENCE_S 10u       /* unless --timeout says otherwise */
#define PATIENCE_ASIDE_S 2u
#define OVER_ROUNDS 20u      /* of a telling that is spread over a time */

#define ID_LABEL "consent/v1 change"

struct telling { size_t count; struct tale *tales; };

/* ---- one at a time: whether, and where to */

/* What the present terms say that the slot is for, against what the item is. Agreements under one TERMS have one text. */
static enum tale_end slot_judge(struct tale_source *source, const struct tale *tale, const struct cl_agreement *agreement)
{
    char number[8];
    const struct cl_wallet_item *item = &source->context->wallet->items[tale->share.position];
    if (source->text == NULL || memcmp(source->commitment32, agreement->commitment, 32) != 0) {
        cl_terms_text_free(source->text);
        source->text = body_text_of(item, agreement->commitment);
        memcpy(source->commitment32, agreement->commitment, 32);
    }
    if (source->text == NULL)
        return TALE_NO_TEXT;
    (void)snprintf(number, sizeof number, "%u", tale->share.slot);
    const struct cl_terms_slot *slot = cl_terms_slot_find(source->text, number);
    return slot != NULL && slot->category != NULL && strcmp(slot->category, source->item->category) == 0 ? TALE_OPEN : TALE_OTHER_SLOT;
}

static enum tale_end rule_judge(const struct tale *tale, const struct cl_agreement *agreement)
{
    enum cl_status status = cl_delivery_check(agreement, tale->side, true, tale->share.slot, time_now_ms());
    return status == CL_OK ? TALE_OPEN : status == CL_E_SUSPENDED || status == CL_E_NOT_YET ? TALE_SUSPENDED : TALE_NOT_LIVE;
}

static const struct cl_wallet_key *own_key(struct tale_source *source, const struct tale *tale, const struct cl_agreement *agreement)
{
    const struct cl_wallet *wallet = source->context->wallet;
    struct cl_delivery_signers own;
    if (!states_party(source->states, tale->side == CL_SIDE_CUSTOMER ? &agreement->customer : &agreement->organisation, &own))
        return NULL;
    for (size_t i = 0; i < wallet->key_count; i++, source->key_at = (source->key_at + 1) % wallet->key_count)
        if (memcmp(wallet->keys[source->key_at].key.bytes, own.key.bytes, 33) == 0)
            return &wallet->keys[source->key_at]; /* most agreements have the key of the one before */
    return NULL;
}

static enum tale_end contact_judge(struct tale_source *source, struct tale *tale, const struct cl_agreement *agreement)
{
    struct context *context = source->context;
    const struct cl_object_id *id = &context->wallet->items[tale->share.position].object;
    struct cl_buffer file = {.secret = true};
    struct cl_contact contact;
    struct cl_delivery_signers other;
    enum tale_end end = TALE_OPEN;
    if (!states_party(source->states, tale->side == CL_SIDE_CUSTOMER ? &agreement->organisation : &agreement->customer, &other))
        return TALE_NO_CONTACT;
    if (contact_kept(context, &file, id) != 0)
        end = TALE_DAMAGED;
    else if (file.length == 0 || cl_contact_decode(&contact, file.data, file.length) != CL_OK || cl_contact_check(&contact, &context->wallet->network.id, id, tale->side, &other.key) != CL_OK || !contact_address(&contact, tale->address))
        end = TALE_NO_CONTACT; /* also where their key is another now: only a contact that it signed counts */
    else
        memcpy(tale->recipient32, contact.delivery32, 32);
    cl_buffer_wipe(&file);
    return end;
}

/* The same for the same change, whoever tells it and how often. */
static void id_derive(struct tale_source *source, struct tale *tale)
{
    uint8_t message[sizeof ID_LABEL + 32 + 1 + 8 + CL_NAME_BYTES_MAX], all[32];
    size_t at = sizeof ID_LABEL, name_length = strlen(source->item->name);
    memcpy(message, ID_LABEL, sizeof ID_LABEL);
    memcpy(message + at, source->context->wallet->items[tale->share.position].object.bytes, 32);
    at += 32;
    message[at++] = tale->share.slot;
    for (unsigned i = 0; i < 8; i++)
        message[at++] = (uint8_t)(source->item->changed_ms >> (8 * i));
    memcpy(message + at, source->item->name, name_length);
    cl_hmac_bytes(all, source->context->wallet->seed64, 64, message, at + name_length);
    memcpy(tale->id16, all, 16);
}

/* It never comes back: the wallet remembers its last state, and nobody asks for it again. */
static enum tale_end over_note(struct tale_source *source, const struct tale *tale, size_t position)
{
    struct cl_view value = states_value(source->states, position);
    source->over = true;
    return cl_buffer_replace(&source->context->wallet->items[tale->share.position].state, value.data, value.length) == CL_OK ? TALE_OVER : TALE_NOT_LIVE;
}

void tale_judge(struct tale_source *source, struct tale *tale, size_t position)
{
    const struct cl_agreement *agreement = states_agreement(source->states, position);
    tale->side = source->context->wallet->items[tale->share.position].role;
    if (agreement == NULL)
        tale->end = TALE_UNKNOWN;
    else if (agreement_over(agreement))
        tale->end = over_note(source, tale, position);
    else
        tale->end = rule_judge(tale, agreement);
    if (tale->end == TALE_OPEN)
        tale->end = slot_judge(source, tale, agreement);
    if (tale->end == TALE_OPEN && (tale->key = own_key(source, tale, agreement)) == NULL)
        tale->end = TALE_NO_KEY;
    if (tale->end == TALE_OPEN)
        tale->end = contact_judge(source, tale, agreement);
    if (tale->end == TALE_OPEN)
        id_derive(source, tale);
    tale->ready = tale->end == TALE_OPEN;
}

/* ---- all of them */

static int item_tell(struct context *context, struct tale *tales, size_t count, uint64_t patience_s)
{
    struct tale_source source = {.context = context, .patience_ms = 1000u * patience_s, .item = tales[0].share.item, .value = {.secret = true}, .states = states_new()};
    int result = source.states == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : 0;
    enum cl_status status = result == 0 ? cl_vault_value(&source.value, context->store, source.item->name) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, "The file of '%s'; bring the wallet's folder back from a backup.", source.item->name);
    if (result == 0)
        result = tales_send(&source, tales, count);
    if (result == 0 && source.over)
        result = wallet_save(context);
    cl_terms_text_free(source.text);
    states_free(source.states);
    cl_buffer_wipe(&source.value);
    return result;
}

static uint32_t chance(void)
{
    uint32_t out = 0;
    return cl_random_bytes(&out, sizeof out) == CL_OK ? out : 0;
}

/* By chance so many that in this and the other rounds all get their turn. */
static void pick(struct telling *telling, uint64_t rounds)
{
    size_t wanted = (size_t)((telling->count + rounds - 1) / rounds), kept = 0;
    for (size_t i = 0; i < telling->count; i++) {
        if (chance() % (telling->count - i) < wanted - kept)
            telling->tales[kept++] = telling->tales[i];
    }
    telling->count = kept;
}

/* *rounds: how many there can be, this one among them; then, how many there have to be. */
static int tell_within(struct context *context, struct telling *out, const char *item, uint64_t patience_s, uint64_t *rounds)
{
    struct shares shares;
    *out = (struct telling){.count = 0};
    int result = shares_find(context, &shares, item);
    if (result != 0)
        return result;
    out->tales = calloc(shares.count + 1, sizeof *out->tales);
    if (out->tales == NULL)
        result = output_fail(&context->output, CL_E_MEMORY, NULL);
    for (size_t i = 0; i < shares.count && result == 0; i++)
        if (!share_told(&shares.list[i]))
            out->tales[out->count++].share = shares.list[i];
    if (shares.dangling > 0)
        output_warn(&context->output, "%zu links are to data items that the vault does not have; 'consent vault unshare' takes them away.", shares.dangling);
    shares_free(&shares);
    *rounds = out->count < *rounds ? out->count : *rounds;
    if (result == 0 && *rounds > 1)
        pick(out, *rounds);
    if (result == 0 && out->count > 0)
        result = network_open(context);
    if (option(context, "--timeout") != NULL)
        patience_s = context->timeout_s;
    for (size_t at = 0, end; at < out->count && result == 0; at = end) {
        for (end = at; end < out->count && out->tales[end].share.item == out->tales[at].share.item;)
            end++;
        result = item_tell(context, &out->tales[at], end - at, patience_s);
    }
    return result;
}

static void telling_free(struct telling *telling)
{
    if (telling->tales != NULL)
        cl_wipe_bytes(telling->tales, telling->count * sizeof *telling->tales);
    free(telling->tales);
    *telling = (struct telling){.count = 0};
}

/* ---- in words */

static const char *const end_texts[] = {
#define X(name, text, later) text,
    TALE_END_TABLE(X)
#undef X
};
static const bool ends_later[] = {
#define X(name, text, later) later,
    TALE_END_TABLE(X)
#undef X
};
static const char *const end_names[] = {
#define X(name, text, later) #name,
    TALE_END_TABLE(X)
#undef X
};

enum saying { SAY_ALL, SAY_TOLD, SAY_ASIDE }; /* aside: those who were told, on standard error */

/* Of one item: a line for those who were told, and one for each reason why others were not. */
static void item_say(struct context *context, const struct tale *tales, size_t count, size_t *positions, enum saying saying)
{
    for (unsigned i = 0; i < TALE_END_COUNT; i++) {
        enum tale_end end = (enum tale_end)((TALE_TOLD + i) % TALE_END_COUNT); /* the good news first */
        size_t found = 0;
        for (size_t at = 0; at < count; at++)
            if (tales[at].end == end)
                positions[found++] = tales[at].share.position;
        if (end == TALE_TOLD && (saying == SAY_ALL || found > 0))
            (saying == SAY_ASIDE ? output_say : output_line)(&context->output, "'%s': told %zu of %zu%s%s", tales->share.item->name, found, count, found == 0 ? "" : ": ", names_text(context, positions, found));
        else if (end != TALE_TOLD && found > 0 && saying == SAY_ALL)
            output_line(&context->output, "not told: %s: %s", names_text(context, positions, found), end_texts[end]);
    }
}

static void all_say(struct context *context, const struct telling *telling, enum saying saying)
{
    size_t *positions = calloc(telling->count + 1, sizeof *positions);
    for (size_t at = 0, end; positions != NULL && at < telling->count; at = end) {
        for (end = at; end < telling->count && telling->tales[end].share.item == telling->tales[at].share.item;)
            end++;
        item_say(context, &telling->tales[at], end - at, positions, saying);
    }
    free(positions);
}

static int telling_exit(const struct telling *telling)
{
    for (size_t i = 0; i < telling->count; i++)
        if (ends_later[telling->tales[i].end])
            return output_exit_of(CL_E_PENDING);
    return 0;
}

static void telling_say(struct context *context, const struct telling *telling)
{
    all_say(context, telling, SAY_ALL);
    if (telling_exit(telling) != 0)
        output_say(&context->output, "'consent vault tell' goes on with those who wait; so does 'consent inbox'.");
}

void tell_aside(struct context *context)
{
    struct telling telling;
    bool soft = context->output.soft;
    context->output.soft = true;
    if (tell_within(context, &telling, NULL, PATIENCE_ASIDE_S, &(uint64_t){1}) == 0)
        all_say(context, &telling, SAY_ASIDE);
    telling_free(&telling);
    context->output.soft = soft;
}

static json_t *telling_json(struct context *context, const struct telling *telling)
{
    json_t *list = json_array();
    for (size_t i = 0; i < telling->count; i++) {
        const struct tale *tale = &telling->tales[i];
        const struct cl_wallet_item *item = &context->wallet->items[tale->share.position];
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:b, s:s, s:s}", "agreement", item->name, "object", id_text(item->object.bytes), "item", tale->share.item->name,
                                                    "slot", (int)tale->share.slot, "told", tale->end == TALE_TOLD, "code", end_names[tale->end], "sentence", end_texts[tale->end]));
    }
    return list;
}

/* Waits about so long; the wallet is free meanwhile, and what others changed in it is read again. */
static int rest(struct context *context, uint64_t about_ms)
{
    uint64_t until_ms = time_now_ms() + about_ms / 2 + chance() % (about_ms + 1);
    wallet_yield(context);
    while (time_now_ms() < until_ms && !http_interrupted)
        (void)nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    return http_interrupted ? output_fail(&context->output, CL_E_CANCELLED, NULL) : wallet_resume(context);
}

int tell_over(struct context *context, const char *item, uint64_t over_ms, json_t *tellings)
{
    uint64_t gap_ms = over_ms / OVER_ROUNDS, end_ms = time_now_ms() + over_ms;
    for (bool last = false;;) {
        struct telling telling;
        uint64_t now_ms = time_now_ms(), left_ms = now_ms >= end_ms ? 0 : end_ms - now_ms, rounds = gap_ms == 0 ? 1 : left_ms / gap_ms + 1;
        int result = tell_within(context, &telling, item, PATIENCE_S, &rounds);
        last = rounds <= 1;
        json_t *list = result == 0 ? telling_json(context, &telling) : NULL, *one;
        size_t at;
        json_array_foreach(list, at, one) {
            if (last || json_is_true(json_object_get(one, "told")))
                (void)json_array_append(tellings, one);
        }
        json_decref(list);
        if (result == 0 && last)
            telling_say(context, &telling);
        else if (result == 0)
            all_say(context, &telling, SAY_TOLD);
        if (result == 0 && last)
            result = telling_exit(&telling);
        telling_free(&telling);
        (void)fflush(stdout);
        if (result == 0 && !last)
            result = rest(context, left_ms / rounds);
        if (result != 0 || last)
            return result;
    }
}
