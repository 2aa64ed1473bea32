/* consent vault share, unshare, tell: a data item is tied to a slot of an agreement, and the other side is told what it is. What
   the other vault commands say about that is here too. */
#include "sharing.h"
#include "discover.h"

#include <stdlib.h>

#define OVER_MS_MAX 86400000u
#define FOUND_MAX 4u /* slots that fit, of which a sentence is made */

/* ---- which slot */

static const char *name_of(const struct cl_terms_slot *slot)
{
    static char out[2][120];
    static unsigned next;
    char *text = out[next++ % 2];
    (void)snprintf(text, sizeof out[0], "%u%s%s%s", slot->number, slot->name == NULL ? "" : " (", slot->name == NULL ? "" : output_printable(slot->name, strnlen(slot->name, 80)), slot->name == NULL ? "" : ")");
    return text;
}

/* Slots in force that the terms give this kind of data. Returns: how many, of which at most FOUND_MAX are in found. */
static size_t slots_fitting(const struct cl_terms_slot *found[FOUND_MAX], const struct cl_terms_text *text, uint64_t live, const struct cl_vault_entry *item)
{
    size_t count = 0;
    for (size_t i = 0; i < text->slot_count; i++)
        if (text->slots[i].category != NULL && strcmp(text->slots[i].category, item->category) == 0 && (live >> text->slots[i].number & 1u) != 0) {
            if (count < FOUND_MAX)
                found[count] = &text->slots[i];
            count++;
        }
    return count;
}

/* Without --slot: the only one that fits, where our side is the one whose data it is. */
static int slot_by_category(struct context *context, const struct subject *subject, const struct cl_terms_text *text, uint64_t live, const struct cl_vault_entry *item, const struct cl_terms_slot **out)
{
    const struct cl_terms_slot *found[FOUND_MAX];
    size_t count = slots_fitting(found, text, live, item);
    if (subject->object.kind == CL_STATE_AGREEMENT && subject->side != CL_SIDE_CUSTOMER)
        return output_usage(&context->output, "Under '%s' the other side is the customer, whose data it is about. If you give this, say under which slot, with --slot.", subject->item_name);
    if (count == 0)
        return output_fail(&context->output, CL_E_SLOT_NOT_LIVE, "'%s' has no slot for %s; 'consent terms show %s' shows what it is about.", subject->item_name, item->category, subject->item_name);
    if (count > 1)
        return output_usage(&context->output, "'%s' has several slots for %s, as %s and %s; say which with --slot.", subject->item_name, item->category, name_of(found[0]), name_of(found[1]));
    *out = found[0];
    return 0;
}

/* --slot, which has to be for this kind of data: what the terms do not name is not given by mistake. */
static int slot_by_option(struct context *context, const struct subject *subject, const struct cl_terms_text *text, uint64_t live, const struct cl_vault_entry *item, const struct cl_terms_slot **out)
{
    char number[8];
    bool unused;
    int slot = -1, result = slot_asked(context, subject_item(context, subject), object_commitment(&subject->object), &slot, &unused);
    if (result != 0)
        return result;
    (void)snprintf(number, sizeof number, "%d", slot);
    *out = cl_terms_slot_find(text, number);
    if (*out == NULL || (live >> slot & 1u) == 0)
        return output_fail(&context->output, CL_E_SLOT_NOT_LIVE, "'%s' has no slot %d in force.", subject->item_name, slot);
    if ((*out)->category == NULL || strcmp((*out)->category, item->category) != 0)
        return output_fail(&context->output, CL_E_SLOTS, "Slot %s of '%s' is for %s, and '%s' is %s.", name_of(*out), subject->item_name, (*out)->category == NULL ? "no kind of data" : output_printable((*out)->category, strlen((*out)->category)), item->name, item->category);
    return 0;
}

/* ---- sharing with one, or with all under one's TERMS */

static int link_set(struct context *context, const struct cl_object_id *id, uint8_t slot, const char *item, bool *was, char replaced[CL_NAME_BYTES_MAX + 1])
{
    struct cl_exchange *exchange = malloc(sizeof *exchange);
    enum cl_status status = exchange == NULL ? CL_E_MEMORY : cl_exchange_load(exchange, context->store, id);
    if (status == CL_OK) {
        const struct cl_exchange_link *link = cl_exchange_link_find(exchange, slot);
        *was = link != NULL && strcmp(link->item, item) == 0;
        (void)snprintf(replaced, CL_NAME_BYTES_MAX + 1, "%s", link != NULL && !*was ? link->item : "");
        if (!*was && (status = cl_exchange_link_set(exchange, slot, item)) == CL_OK)
            status = cl_exchange_save(exchange, context->store, id);
        cl_exchange_deinit(exchange);
    }
    free(exchange);
    return status == CL_OK ? 0 : store_fail(context, status, "The wallet's folder");
}

/* Appends to list what was shared. */
static int share_under(struct context *context, const struct subject *subject, const struct cl_terms_slot *slot, const struct cl_vault_entry *item, json_t *list)
{
    char replaced[CL_NAME_BYTES_MAX + 1];
    bool was = false, terms = subject->object.kind == CL_STATE_TERMS;
    int result = link_set(context, &subject->object.id, slot->number, item->name, &was, replaced);
    if (result != 0)
        return result;
    output_line(&context->output, "'%s' is shared with %s'%s'%s, slot %s%s", item->name, terms ? "everybody under " : "", subject->item_name, terms ? ", also with those to come" : "", name_of(slot), was ? ", as it was" : "");
    if (replaced[0] != '\0')
        output_say(&context->output, "It takes the place of '%s' there.", replaced);
    (void)json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:b}", "name", subject->item_name, "object", id_text(subject->object.id.bytes), "slot", (int)slot->number, "new", !was));
    return 0;
}

static int share_with(struct context *context, const struct cl_vault_entry *item, json_t *list)
{
    struct subject subject;
    const struct cl_terms_slot *slot = NULL;
    size_t known = context->wallet->item_count;
    int result = subject_open(context, &subject, positional(context, 1));
    if (result != 0)
        return result;
    bool terms = subject.object.kind == CL_STATE_TERMS;
    struct cl_wallet_item *own = subject_item(context, &subject);
    if (!terms && subject.object.kind != CL_STATE_AGREEMENT)
        result = subject_unfit(context, &subject, "an agreement, or terms of yours");
    else if (own == NULL || (terms ? side_by_keys(context, &subject.object) : subject.side) == CL_SIDE_NONE)
        result = output_fail(&context->output, CL_E_PARTY, "%s", terms ? "These terms are not yours." : "Neither side of this agreement is yours.");
    if (result == 0 && context->wallet->item_count > known)
        result = wallet_save(context); /* it was found under our TERMS or keys */
    struct cl_terms_text *text = result == 0 ? body_text_of(own, object_commitment(&subject.object)) : NULL;
    uint64_t live = terms ? subject.object.as.terms.slots : subject.object.as.agreement.live;
    if (result == 0 && text == NULL)
        result = output_fail(&context->output, CL_E_BODY, "The text of these terms is not at hand, so it is not known what their slots are for; 'consent import' takes it in.");
    if (result == 0 && !terms && subject.object.as.agreement.status != CL_ACTIVE)
        result = output_fail(&context->output, cl_agreement_check(&subject.object.as.agreement, 0, time_now_ms()), "'%s' is not in force, so nothing can be shared under it.", subject.item_name);
    if (result == 0)
        result = (option(context, "--slot") != NULL ? slot_by_option : slot_by_category)(context, &subject, text, live, item, &slot);
    if (result == 0)
        result = share_under(context, &subject, slot, item, list);
    cl_terms_text_free(text);
    subject_close(&subject);
    return result;
}

/* ---- with all that have a slot for it */

struct all { size_t none, several, positions_none[STATES_MAX]; };

/* Ours to give from, and not under TERMS of ours, which say it for their agreements. */
static bool of_all(struct context *context, const struct cl_wallet_item *item)
{
    struct cl_object_id terms;
    if (item->role != CL_SIDE_CUSTOMER || (item->kind != CL_ITEM_AGREEMENT && item->kind != CL_ITEM_TERMS) || item->key_name[0] == '\0')
        return false;
    memcpy(terms.bytes, item->terms.bytes, 32);
    const struct cl_wallet_item *parent = item->terms.present ? cl_wallet_item_of(context->wallet, &terms) : NULL;
    return item->kind == CL_ITEM_TERMS || parent == NULL || parent->role != CL_SIDE_CUSTOMER || parent->key_name[0] == '\0';
}

static int share_one_of_all(struct context *context, struct all *all, const struct cl_vault_entry *item, const struct states *states, size_t at, size_t position, json_t *list)
{
    struct cl_wallet_item *own = &context->wallet->items[position];
    const struct cl_agreement *agreement = states_agreement(states, at);
    const struct cl_terms *terms = states_terms(states, at);
    const struct cl_terms_slot *found[FOUND_MAX];
    struct subject subject = {.object = {.id = own->object, .kind = terms != NULL ? CL_STATE_TERMS : CL_STATE_AGREEMENT}};
    if (agreement == NULL ? terms == NULL || !terms->open : agreement->status != CL_ACTIVE)
        return 0; /* it is over, or not yet */
    struct cl_terms_text *text = body_text_of(own, agreement != NULL ? agreement->commitment : terms->commitment);
    size_t count = text == NULL ? 0 : slots_fitting(found, text, agreement != NULL ? agreement->live : terms->slots, item);
    (void)snprintf(subject.item_name, sizeof subject.item_name, "%s", own->name);
    int result = count == 1 ? share_under(context, &subject, found[0], item, list) : 0;
    if (count > 1)
        output_line(&context->output, "not shared: '%s' has several slots for %s; share it there with --slot", own->name, item->category);
    if (count == 0 && all->none < STATES_MAX)
        all->positions_none[all->none++] = position;
    cl_terms_text_free(text);
    return result;
}

static int share_with_all(struct context *context, const struct cl_vault_entry *item, json_t *list)
{
    struct all *all = calloc(1, sizeof *all);
    struct states *states = states_new();
    struct cl_object_id *ids = calloc(STATES_MAX, sizeof *ids);
    size_t *positions = calloc(STATES_MAX, sizeof *positions);
    int result = all == NULL || states == NULL || ids == NULL || positions == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : network_open(context);
    for (size_t at = 0; result == 0 && at < context->wallet->item_count;) {
        size_t count = 0;
        for (; at < context->wallet->item_count && count < STATES_MAX; at++)
            if (of_all(context, &context->wallet->items[at])) {
                ids[count] = context->wallet->items[at].object;
                positions[count++] = at;
            }
        result = states_fetch(context, states, ids, count);
        for (size_t i = 0; i < count && result == 0; i++)
            result = share_one_of_all(context, all, item, states, i, positions[i], list);
    }
    if (result == 0 && all->none > 0)
        output_line(&context->output, "no slot for %s: %s", item->category, names_text(context, all->positions_none, all->none));
    free(positions);
    free(ids);
    states_free(states);
    free(all);
    return result;
}

/* ---- the verbs */

static int item_missing(struct context *context, const char *name)
{
    return output_fail(&context->output, CL_E_NOT_FOUND, "'%.80s' is not in the vault; 'consent vault list' shows what is.", name);
}

/* --over. */
static int over_asked(struct context *context, uint64_t *over_ms)
{
    const char *text = option(context, "--over");
    *over_ms = 0;
    if (text == NULL || (duration_parse(over_ms, text) && *over_ms <= OVER_MS_MAX))
        return 0;
    return output_usage(&context->output, "--over takes a time of at most 24h, as 30s, 10m or 2h.");
}

/* What was done stands; the telling may be gone on with. */
static int tell_after(struct context *context, json_t *object, const char *item)
{
    uint64_t over_ms = 0;
    json_t *tellings = json_array();
    int result = flag(context, "--no-tell") ? 0 : over_asked(context, &over_ms);
    if (result == 0 && !flag(context, "--no-tell"))
        result = tell_over(context, item, over_ms, tellings);
    if (result == 0 || result == output_exit_of(CL_E_PENDING)) {
        (void)json_object_set(object, "tellings", tellings);
        output_json(&context->output, object);
    } else {
        output_warn(&context->output, "What was changed here stays so; 'consent vault tell' goes on with telling it.");
        json_decref(object);
    }
    json_decref(tellings);
    return result;
}

int run_vault_share(struct context *context)
{
    const char *name = positional(context, 0);
    bool all = flag(context, "--all");
    if (name == NULL || (positional(context, 1) == NULL) != all || (all && option(context, "--slot") != NULL))
        return output_usage(&context->output, "What, and with whom? consent vault share NAME AGREEMENT; or --all, with every agreement that has a slot for it.");
    int result = wallet_open(context);
    if (result != 0)
        return result;
    const struct cl_vault_entry *item = cl_vault_find(context->store, name);
    if (item == NULL)
        return item_missing(context, name);
    json_t *list = json_array();
    result = all ? share_with_all(context, item, list) : share_with(context, item, list);
    if (result == 0 && all && json_array_size(list) == 0)
        result = output_fail(&context->output, CL_E_SLOT_NOT_LIVE, "No agreement in force has a slot for %s.", item->category);
    if (result != 0) {
        json_decref(list);
        return result;
    }
    return tell_after(context, json_pack("{s:s, s:o}", "item", name, "shared", list), name);
}

/* A link of the TERMS holds for all under them: it cannot be taken away for one. */
static int standing_check(struct context *context, const char *name, const struct cl_wallet_item *item)
{
    struct shares shares;
    int result = item->kind == CL_ITEM_AGREEMENT && item->terms.present ? shares_find(context, &shares, name) : 1;
    if (result != 0)
        return 0; /* 1: not under TERMS; a folder that cannot be read is told of by what follows */
    for (size_t i = 0; i < shares.standing_count && result == 0; i++) {
        const struct cl_wallet_item *terms = &context->wallet->items[shares.standing[i].position];
        if (memcmp(terms->object.bytes, item->terms.bytes, 32) == 0)
            result = output_fail(&context->output, CL_E_ARGUMENT, "'%s' is shared with everybody under '%s'; 'consent vault unshare %s %s' ends that for all of them.", name, terms->name, name, terms->name);
    }
    shares_free(&shares);
    return result;
}

int run_vault_unshare(struct context *context)
{
    const char *name = positional(context, 0), *with = positional(context, 1);
    struct cl_wallet_item *item = NULL;
    size_t count = 0;
    if (name == NULL || (with == NULL) != flag(context, "--all"))
        return output_usage(&context->output, "What, and with whom no more? consent vault unshare NAME AGREEMENT; or --all.");
    int result = wallet_open(context);
    if (result == 0 && with != NULL && cl_wallet_item_find(&item, context->wallet, with) != CL_OK)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "'%.70s'; 'consent list' shows what this wallet has.", with);
    if (result == 0 && item != NULL)
        result = standing_check(context, name, item);
    if (result == 0)
        result = shares_remove(context, name, item == NULL ? SIZE_MAX : (size_t)(item - context->wallet->items), &count);
    if (result == 0 && count == 0)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "'%.80s' is not shared %s%s.", name, item == NULL ? "with anybody" : "with ", item == NULL ? "" : item->name);
    if (result != 0)
        return result;
    output_line(&context->output, "'%s' is not told to %s any more", name, item == NULL ? "anybody" : item->name);
    output_say(&context->output, "What they were told they keep: 'consent revoke' withdraws it, and makes them erase it.");
    output_json(&context->output, json_pack("{s:s, s:I}", "item", name, "links", (json_int_t)count));
    return 0;
}

int run_vault_tell(struct context *context)
{
    const char *name = positional(context, 0);
    uint64_t over_ms;
    int result = over_asked(context, &over_ms);
    if (result == 0)
        result = wallet_open(context);
    if (result == 0 && name != NULL && cl_vault_find(context->store, name) == NULL)
        result = item_missing(context, name);
    if (result != 0)
        return result;
    json_t *tellings = json_array();
    result = tell_over(context, name, over_ms, tellings);
    if (result == 0 && json_array_size(tellings) == 0)
        output_line(&context->output, "everybody has what is shared with them");
    if (result == 0 || result == output_exit_of(CL_E_PENDING))
        output_json(&context->output, json_pack("{s:O}", "tellings", tellings));
    json_decref(tellings);
    return result;
}

/* ---- for the other vault commands */

int changed_tell(struct context *context, json_t *object, const char *item) { return tell_after(context, object, item); }

/* Of those that are about this item, the first and how many. */
static size_t shares_of(const struct shares *shares, const char *item, size_t *first)
{
    size_t count = 0;
    for (*first = 0; *first < shares->count && strcmp(shares->list[*first].item->name, item) != 0;)
        (*first)++;
    while (*first + count < shares->count && strcmp(shares->list[*first + count].item->name, item) == 0)
        count++;
    return count;
}

void shares_say(struct context *context, const struct shares *shares, const char *item, void (*line)(const struct output *, const char *, ...))
{
    size_t first, count = shares_of(shares, item, &first);
    size_t *positions = calloc(count + 1, sizeof *positions);
    for (unsigned told = 2; positions != NULL && told-- > 0;) {
        size_t found = 0;
        for (size_t i = 0; i < count; i++)
            if (share_told(&shares->list[first + i]) == (told == 1))
                positions[found++] = shares->list[first + i].position;
        if (found > 0 && told == 1)
            line(&context->output, "    %s %s it", names_text(context, positions, found), found == 1 ? "has" : "have");
        else if (found > 0)
            line(&context->output, "    shared with %s, not told yet", names_text(context, positions, found));
    }
    for (size_t i = 0; i < shares->standing_count; i++)
        if (strcmp(shares->standing[i].item->name, item) == 0)
            line(&context->output, "    shared with everybody under '%s'", context->wallet->items[shares->standing[i].position].name);
    free(positions);
}

json_t *shares_json(struct context *context, const struct shares *shares, const char *item)
{
    size_t first, count = shares_of(shares, item, &first);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct share *share = &shares->list[first + i];
        const struct cl_wallet_item *with = &context->wallet->items[share->position];
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:b}", "agreement", with->name, "object", id_text(with->object.bytes), "slot", (int)share->slot, "has_it", share_told(share)));
    }
    return list;
}
