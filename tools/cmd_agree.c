/* consent grant, request, subscribe, counter, refuse: how two sides come to sign the same commitment. */
#include "act.h"
#include "bulk.h"
#include "code.h"
#include "connect.h"
#include "discover.h"
#include "joint.h"
#include "proposals.h"
#include "public.h"

#include <stdlib.h>

/* --as PROFILE: key 13 and the profile's key. *profile stays NULL without it. */
static int as_profile(struct context *context, struct act *act, const struct cl_wallet_item **profile)
{
    const char *as = option(context, "--as");
    struct cl_wallet_item *item = NULL;
    struct cl_object_id id;
    *profile = NULL;
    if (as == NULL)
        return 0;
    if (cl_wallet_item_find(&item, context->wallet, as) == CL_OK && item->kind == CL_ITEM_PROFILE) {
        *profile = item;
        act_party(act, item->object.bytes);
        return 0;
    }
    if (!id_parse(&id, as)) /* a delegate acts for a profile that is not in this wallet */
        return output_fail(&context->output, CL_E_NOT_FOUND, "'%.70s' is not a profile of this wallet.", as);
    act_party(act, id.bytes);
    return 0;
}

static int signer_for_new(struct context *context, struct act_signer *signer, const struct cl_wallet_item *profile, const char *name)
{
    return profile != NULL ? signer_open(context, signer, profile->key_name) : signer_fresh(context, signer, name);
}

static void remember_profile(struct cl_wallet_item *item, const struct act *act)
{
    if ((act->entry.present & CL_HAS(13)) != 0) {
        item->profile.present = true;
        memcpy(item->profile.bytes, act->party, 32);
    }
}

static const char *act_period_text(const struct act *act)
{
    struct cl_optional_time from = {(act->entry.present & CL_HAS(4)) != 0, act->entry.not_before}, until = {(act->entry.present & CL_HAS(5)) != 0, act->entry.not_after};
    return period_text(&from, &until);
}

/* GRANT or REQUEST that opens an agreement. */
static int open_agreement(struct context *context, enum cl_record_type type, const char *name)
{
    struct cl_terms_text *text = NULL;
    struct act act;
    struct act_signer signer;
    struct cl_buffer body = {.secret = true};
    const struct cl_wallet_item *profile = NULL;
    struct cl_wallet_item *item = NULL;
    struct cl_object_id id;
    char recovery_key[CL_NAME_BYTES_MAX + 1] = "";
    const char *to = option(context, "--to");
    if (to == NULL && !code_wanted(context))
        return output_usage(&context->output, "Whom is it meant for? --to did:key:..., or a profile's id; or --code FILE (or --qr), for whoever is handed that code. For many, use 'consent terms publish'.");
    act_init(&act, type);
    int result = terms_read(context, &text, option(context, "--terms"));
    uint64_t slots = text == NULL ? 0 : cl_terms_text_slots(text);
    if (result == 0)
        result = slots_option(context, &slots, slots);
    if (result == 0)
        result = act_period(context, &act, "--from");
    if (result == 0)
        result = as_profile(context, &act, &profile);
    if (result == 0)
        result = signer_for_new(context, &signer, profile, name);
    if (result == 0)
        result = recovery_option(context, &act, recovery_key, name);
    if (result == 0 && cl_random_bytes(act.nonce, 16) != CL_OK)
        result = output_fail(&context->output, CL_E_IO, NULL);
    if (result != 0)
        goto out;
    act_slots(&act, slots);
    act_nonce(&act, &id, &signer);
    result = body_make(context, &body, &act, text, &id);
    enum cl_status status = result == 0 ? cl_wallet_item_add(context->wallet, &item, name, CL_ITEM_AGREEMENT, &id) : CL_OK;
    if (status == CL_OK && result == 0)
        status = cl_wallet_item_body_add(item, body.data, body.length);
    if (status != CL_OK)
        result = output_fail(&context->output, status, "'%s'", name);
    if (result != 0)
        goto out;
    item->role = type == CL_GRANT ? CL_SIDE_CUSTOMER : CL_SIDE_ORGANISATION;
    item->made_ms = time_now_ms();
    memcpy(item->key_name, signer.key_name, sizeof item->key_name);
    memcpy(item->recovery_key, recovery_key, sizeof item->recovery_key);
    remember_profile(item, &act);
    result = audience_option(context, &act, item);
    if (result == 0)
        output_say(&context->output, "You %s slots %s, %s, as '%s'; it is meant for %s.", type == CL_GRANT ? "offer access to" : "ask for access to", slots_text(slots), act_period_text(&act), name, to == NULL ? "whoever holds the code" : to);
    if (result == 0)
        result = offer_open(context, &act, &signer, item, &id, name);
out:
    cl_terms_text_free(text);
    cl_buffer_wipe(&body);
    return result;
}

/* The key in this wallet for which an offer with an audience is meant, or of the profile for which it is (fills 13 then).
   NULL: nobody's, or --as, --key or --signer say who it shall be. */
static const char *addressee(struct context *context, struct act *act, const struct cl_wallet_item *item, const struct cl_audience *audience)
{
    const struct cl_wallet *wallet = context->wallet;
    struct cl_hash found;
    if (option(context, "--as") != NULL || option(context, "--key") != NULL || option(context, "--signer") != NULL)
        return NULL;
    if (item == NULL || !item->audience_salt.present || audience->kind != CL_AUDIENCE_HASH)
        return NULL;
    for (size_t i = 0; i < wallet->key_count; i++) {
        cl_audience_derive(&found, item->audience_salt.bytes, wallet->keys[i].key.bytes, 33);
        if (memcmp(found.bytes, audience->bytes, 32) == 0)
            return wallet->keys[i].name;
    }
    for (size_t i = 0; i < wallet->item_count; i++) {
        if (wallet->items[i].kind != CL_ITEM_PROFILE)
            continue;
        cl_audience_derive(&found, item->audience_salt.bytes, wallet->items[i].object.bytes, 32);
        if (memcmp(found.bytes, audience->bytes, 32) == 0) {
            act_party(act, wallet->items[i].object.bytes);
            return wallet->items[i].key_name;
        }
    }
    return NULL;
}

/* Who answers: the signer of a side that is known, else --as, else whom it is meant for, else a fresh key. Fills 13 and,
   for an offer with an audience, the opening. */
static int answer_signer(struct context *context, struct act *act, struct act_signer *signer, struct subject *subject, enum cl_side side)
{
    const struct cl_wallet_item *profile = NULL;
    struct cl_wallet_item *item = subject_item(context, subject);
    const struct cl_agreement *agreement = &subject->object.as.agreement;
    subject->side = side;
    if (subject_party(subject, side)->length != 0)
        return subject_signer(context, signer, subject);
    int result = as_profile(context, act, &profile);
    if (result != 0)
        return result;
    const char *meant_for = addressee(context, act, item, &agreement->audience);
    if (meant_for != NULL)
        result = signer_open(context, signer, meant_for);
    else if (profile != NULL || option(context, "--key") != NULL || option(context, "--signer") != NULL || item == NULL)
        result = signer_for_new(context, signer, profile, subject->item_name[0] == '\0' ? "answer" : subject->item_name);
    else if (item->key_name[0] != '\0')
        result = signer_open(context, signer, item->key_name);
    else
        result = signer_fresh(context, signer, item->name);
    if (result != 0)
        return result;
    return opening_fill(context, act, signer, subject_item(context, subject), &agreement->audience, &subject->object.id, &subject->object.id);
}

/* What --offer and --code name comes into data (the offer, where both are given) and context->code. */
static int load_offered(struct context *context, struct cl_buffer *data, const char **path)
{
    const char *offer = option(context, "--offer"), *code = option(context, "--code");
    int result = code == NULL ? 0 : offer_load(context, data, code);
    *path = offer != NULL ? offer : code;
    if (result == 0 && code != NULL && context->code == NULL)
        result = output_usage(&context->output, "%s holds no code: that begins with %s. A .consent-offer file goes with --offer.", code, CL_CODE_PREFIX);
    if (result != 0 || offer == NULL)
        return result;
    cl_buffer_wipe(data);
    return offer_load(context, data, offer);
}

/* --offer FILE comes into the wallet first. The argument is then the name to give it, or the entry that it is about. */
static int open_offered(struct context *context, struct subject *subject, const char *what)
{
    char name[CL_NAME_BYTES_MAX + 1] = "";
    const char *offer = NULL, *called = option(context, "--name");
    struct cl_buffer data = {.secret = true};
    struct cl_wallet_item *item = NULL;
    int result = load_offered(context, &data, &offer);
    if (result == 0)
        result = network_open(context);
    if (result != 0 || offer == NULL) {
        cl_buffer_wipe(&data);
        return result != 0 ? result : subject_open(context, subject, what);
    }
    bool known = what != NULL && cl_wallet_item_find(&item, context->wallet, what) == CL_OK;
    struct cl_object_id id = known ? item->object : (struct cl_object_id){{0}};
    result = offer_take(context, &data, offer, called != NULL ? called : known ? NULL : what, name);
    cl_buffer_wipe(&data);
    if (result != 0)
        return result;
    result = subject_open(context, subject, name);
    if (result == 0 && known && memcmp(id.bytes, subject->object.id.bytes, 32) != 0) {
        result = output_usage(&context->output, "'%.64s' is another entry of the wallet than the one of this offer ('%s').", what, name);
        subject_close(subject);
    }
    return result;
}

/* Nobody signs what they cannot read, unless they say so. */
static int show_text(struct context *context, const struct cl_wallet_item *item, const uint8_t commitment32[32], uint64_t slots)
{
    struct cl_terms_text *text = item == NULL ? NULL : body_text_of(item, commitment32);
    struct cl_buffer page = {0};
    if (text == NULL)
        return flag(context, "--unseen") ? 0 : output_fail(&context->output, CL_E_NOT_FOUND, "The text of these terms is not at hand: give the offer with --offer FILE, or --unseen to accept without it.");
    if (!context->output.json && !context->output.quiet && cl_terms_text_plain(&page, text, slots) == CL_OK)
        (void)fwrite(page.data, 1, page.length, stderr);
    cl_buffer_deinit(&page);
    cl_terms_text_free(text);
    return 0;
}

/* GRANT or SUBSCRIBE on an agreement that is open already. */
static int answer(struct context *context, enum cl_record_type type, struct subject *subject, const char *from_option)
{
    struct act act;
    struct act_signer signer;
    struct cl_buffer record = {0};
    const struct cl_agreement *agreement = &subject->object.as.agreement;
    enum cl_side side = type == CL_GRANT ? CL_SIDE_CUSTOMER : CL_SIDE_ORGANISATION;
    char recovery_key[CL_NAME_BYTES_MAX + 1] = "";
    act_init(&act, type);
    if (agreement->status > CL_COUNTERED)
        return output_fail(&context->output, agreement->status >= CL_REFUSED ? CL_E_FINAL : CL_E_STATUS, "It is %s.", state_word(&subject->object));
    if (agreement->turn != (uint8_t)side)
        return output_fail(&context->output, CL_E_TURN, NULL);
    uint64_t slots = agreement->live;
    int result = type == CL_GRANT ? slots_option(context, &slots, agreement->live) : 0;
    if (result == 0 && (type == CL_SUBSCRIBE || agreement->status != CL_SUBSCRIBED))
        result = show_text(context, subject_item(context, subject), agreement->commitment, slots);
    if (result == 0)
        result = act_period(context, &act, from_option);
    if (result == 0)
        result = answer_signer(context, &act, &signer, subject, side);
    if (result == 0 && type == CL_GRANT)
        result = recovery_option(context, &act, recovery_key, subject->item_name[0] == '\0' ? "answer" : subject->item_name);
    if (result != 0)
        return result;
    act_object(&act, &subject->object.id);
    act_prev(&act, agreement->head);
    act_commitment(&act, agreement->commitment);
    act_slots(&act, slots);
    struct cl_wallet_item *item = subject_item(context, subject);
    if (item != NULL) {
        item->role = side;
        memcpy(item->key_name, signer.key_name, sizeof item->key_name);
        if (recovery_key[0] != '\0')
            memcpy(item->recovery_key, recovery_key, sizeof item->recovery_key);
        remember_profile(item, &act);
    }
    output_say(&context->output, "You %s: slots %s, %s.", type == CL_GRANT ? "give access" : "accept", slots_text(slots), (act.entry.present & (CL_HAS(4) | CL_HAS(5))) != 0 ? act_period_text(&act) : period_text(&agreement->not_before, &agreement->not_after));
    result = act_sign(context, &record, &act, &signer);
    if (result == 0)
        result = act_finish(context, &act, &record, &subject->object.id, subject->item_name, false, NULL);
    cl_buffer_deinit(&record);
    return result;
}

int agreement_accept(struct context *context, struct subject *subject) { return answer(context, CL_SUBSCRIBE, subject, "--from-date"); }

int run_grant(struct context *context)
{
    const char *name = positional(context, 0);
    struct cl_wallet_item *item = NULL;
    struct subject subject;
    int result = 0;
    if (option(context, "--terms") != NULL) {
        result = network_open(context);
        if (result != 0)
            return result;
        if (name == NULL || !cl_wallet_name_usable(name))
            return output_usage(&context->output, "Give what you offer a name of letters, digits, - _ .");
        if (cl_wallet_item_find(&item, context->wallet, name) == CL_OK)
            return output_fail(&context->output, CL_E_EXISTS, "'%s' is in the wallet; 'consent counter %s' answers it with other terms.", name, name);
        return open_agreement(context, CL_GRANT, name);
    }
    if (code_drawn(context))
        return output_usage(&context->output, "A code is drawn of an offer that you make: give its terms with --terms FILE. 'consent code show FILE' draws one that you have.");
    result = open_offered(context, &subject, name);
    if (result != 0)
        return result;
    result = subject.object.kind == CL_STATE_AGREEMENT ? answer(context, CL_GRANT, &subject, "--from") : subject_unfit(context, &subject, "an agreement");
    subject_close(&subject);
    return result;
}

static int request_one(struct context *context, const char *name) { return open_agreement(context, CL_REQUEST, name); }

int run_request(struct context *context)
{
    const char *name = positional(context, 0);
    if (name == NULL || !cl_wallet_name_usable(name) || option(context, "--terms") == NULL)
        return output_usage(&context->output, "Give the request a name, and the terms with --terms FILE.");
    int result = network_open(context);
    if (result == 0 && option(context, "--holders") != NULL)
        return joint_request(context, name, option(context, "--holders"), request_one);
    return result != 0 ? result : request_one(context, name);
}

/* What the new agreement is called: --name; with --offer the argument; else the terms' name and a number. */
static int agreement_name(struct context *context, char out[CL_NAME_BYTES_MAX + 1], const struct subject *subject)
{
    const char *called = option(context, "--name"), *what = positional(context, 0);
    char base[CL_NAME_BYTES_MAX + 1];
    struct cl_wallet_item *item = NULL;
    if (called == NULL && (option(context, "--offer") != NULL || option(context, "--code") != NULL) && what != NULL && cl_wallet_item_find(&item, context->wallet, what) == CL_E_NOT_FOUND)
        called = what;
    (void)snprintf(base, sizeof base, "%.64s", subject->item_name);
    if (base[0] == '\0')
        (void)snprintf(base, sizeof base, "terms-%.8s", id_text(subject->object.id.bytes));
    if (called == NULL)
        name_numbered(context, out, base);
    else if (!cl_wallet_name_usable(called))
        return output_usage(&context->output, "'%.80s' is not a name of letters, digits, - _ .", called);
    else
        (void)snprintf(out, CL_NAME_BYTES_MAX + 1, "%.64s", called);
    return 0;
}

/* Terms of which the text is not at hand may be public: then it comes from there, with where their owner takes our contact. */
static int text_from_nodes(struct context *context, struct subject *subject)
{
    const struct cl_wallet_item *item = subject_item(context, subject);
    struct cl_terms_text *text = item == NULL ? NULL : body_text_of(item, subject->object.as.terms.commitment);
    bool found = false, at_hand = text != NULL || flag(context, "--unseen");
    cl_terms_text_free(text);
    int result = at_hand ? 0 : public_take(context, &subject->object.id, &found);
    if (found)
        (void)snprintf(subject->item_name, sizeof subject->item_name, "%s", subject_item(context, subject)->name);
    return result;
}

/* SUBSCRIBE to TERMS: a new agreement under them. */
static int subscribe_terms(struct context *context, struct subject *subject)
{
    struct act act;
    struct act_signer signer;
    struct cl_buffer record = {0};
    const struct cl_wallet_item *profile = NULL;
    const struct cl_terms *terms = &subject->object.as.terms;
    struct cl_wallet_item *item = NULL, *from;
    struct cl_object_id id;
    char name[CL_NAME_BYTES_MAX + 1];
    act_init(&act, CL_SUBSCRIBE);
    if (!terms->open)
        return output_fail(&context->output, CL_E_CLOSED, NULL);
    int result = text_from_nodes(context, subject);
    from = subject_item(context, subject);
    if (result == 0)
        result = show_text(context, from, terms->commitment, terms->slots);
    if (result == 0)
        result = agreement_name(context, name, subject);
    if (result == 0)
        result = act_period(context, &act, "--from-date");
    if (result == 0)
        result = as_profile(context, &act, &profile);
    const char *meant_for = result == 0 ? addressee(context, &act, from, &terms->audience) : NULL;
    if (result == 0)
        result = meant_for != NULL ? signer_open(context, &signer, meant_for) : signer_for_new(context, &signer, profile, name);
    if (result == 0 && cl_random_bytes(act.nonce, 16) != CL_OK)
        result = output_fail(&context->output, CL_E_IO, NULL);
    if (result != 0)
        return result;
    act_nonce(&act, &id, &signer);
    result = opening_fill(context, &act, &signer, subject_item(context, subject), &terms->audience, &subject->object.id, &id);
    if (result != 0)
        return result;
    act_commitment(&act, terms->commitment);
    act_ref(&act, subject->object.id.bytes);
    act_slots(&act, terms->slots);
    enum cl_status status = cl_wallet_item_add(context->wallet, &item, name, CL_ITEM_AGREEMENT, &id);
    from = subject_item(context, subject);
    for (size_t i = 0; status == CL_OK && from != NULL && i < from->body_count; i++)
        status = cl_wallet_item_body_add(item, from->bodies[i].data, from->bodies[i].length);
    if (status != CL_OK)
        return output_fail(&context->output, status, "'%s'; choose a name with --name", name);
    item->role = CL_SIDE_ORGANISATION;
    item->made_ms = time_now_ms();
    item->terms.present = true;
    memcpy(item->terms.bytes, subject->object.id.bytes, 32);
    memcpy(item->key_name, signer.key_name, sizeof item->key_name);
    remember_profile(item, &act);
    output_say(&context->output, "You accept these terms: slots %s, %s; %s.", slots_text(terms->slots), period_text(&terms->not_before, &terms->not_after), (terms->mode & 1) != 0 ? "in force at once" : "the customer is to answer");
    result = act_sign(context, &record, &act, &signer);
    if (result == 0)
        result = act_finish(context, &act, &record, &id, name, true, NULL);
    cl_buffer_deinit(&record);
    return result;
}

int run_subscribe(struct context *context)
{
    struct subject subject;
    if (option(context, "--from") != NULL)
        return bulk_subscribe(context);
    int result = open_offered(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    result = in_return_check(context, &subject);
    if (result != 0)
        goto out;
    if (subject.object.kind == CL_STATE_TERMS)
        result = subscribe_terms(context, &subject);
    else if (subject.object.kind == CL_STATE_AGREEMENT)
        result = answer(context, CL_SUBSCRIBE, &subject, "--from-date");
    else
        result = subject_unfit(context, &subject, "terms or an agreement");
out:
    subject_close(&subject);
    return result;
}

int run_counter(struct context *context)
{
    struct subject subject;
    struct cl_terms_text *text = NULL;
    struct act act;
    struct act_signer signer;
    struct cl_buffer body = {.secret = true}, record = {0};
    const char *path = option(context, "--terms"), *offer = option(context, "--output");
    char recovery_key[CL_NAME_BYTES_MAX + 1] = "";
    if (path == NULL)
        return output_usage(&context->output, "Give the other terms with --terms FILE.");
    act_init(&act, CL_COUNTER);
    int result = terms_read(context, &text, path);
    if (result == 0)
        result = open_offered(context, &subject, positional(context, 0));
    if (result != 0) {
        cl_terms_text_free(text);
        return result;
    }
    const struct cl_agreement *agreement = &subject.object.as.agreement;
    uint64_t slots = cl_terms_text_slots(text);
    if (subject.object.kind != CL_STATE_AGREEMENT || agreement->status > CL_SUBSCRIBED)
        result = output_fail(&context->output, subject.object.kind == CL_STATE_AGREEMENT && agreement->status == CL_COUNTERED ? CL_E_COUNTERED : CL_E_STATUS, NULL);
    enum cl_side side = agreement->turn == 1 ? CL_SIDE_CUSTOMER : CL_SIDE_ORGANISATION;
    if (result == 0)
        result = slots_option(context, &slots, slots);
    if (result == 0)
        result = act_period(context, &act, "--from");
    if (result == 0)
        result = answer_signer(context, &act, &signer, &subject, side);
    if (result == 0)
        result = recovery_option(context, &act, recovery_key, subject.item_name);
    if (result == 0)
        result = body_make(context, &body, &act, text, &subject.object.id);
    struct cl_wallet_item *item = result == 0 ? subject_item(context, &subject) : NULL;
    if (item != NULL) {
        enum cl_status status = cl_wallet_item_body_add(item, body.data, body.length);
        item->role = side;
        memcpy(item->key_name, signer.key_name, sizeof item->key_name);
        memcpy(item->recovery_key, recovery_key, sizeof item->recovery_key);
        remember_profile(item, &act);
        if (status != CL_OK)
            result = output_fail(&context->output, status, NULL);
    } else if (result == 0) {
        result = output_fail(&context->output, CL_E_NOT_FOUND, "Take the offer in first, with --offer FILE.");
    }
    if (result == 0) {
        act_object(&act, &subject.object.id);
        act_prev(&act, agreement->head);
        act_slots(&act, slots);
        output_say(&context->output, "You offer other terms instead: slots %s, %s. It is the other side's turn then.", slots_text(slots), act_period_text(&act));
        proposal_say(context, item, agreement->commitment, text);
        result = act_sign(context, &record, &act, &signer);
    }
    if (result == 0 && offer != NULL) {
        struct cl_reception reception;
        reception_open(context, &reception, &subject.object.id, false);
        result = offer_write(context, item, &reception, offer);
    }
    if (result == 0)
        result = act_finish(context, &act, &record, &subject.object.id, subject.item_name, false, NULL);
    subject_close(&subject);
    cl_terms_text_free(text);
    cl_buffer_wipe(&body);
    cl_buffer_deinit(&record);
    return result;
}

int run_refuse(struct context *context)
{
    struct subject subject;
    struct act act;
    struct act_signer signer;
    struct cl_buffer record = {0};
    const char *reason = option(context, "--reason");
    act_init(&act, CL_REFUSE);
    int result = open_offered(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    const struct cl_agreement *agreement = &subject.object.as.agreement;
    if (subject.object.kind != CL_STATE_AGREEMENT || agreement->turn == 0)
        result = output_fail(&context->output, CL_E_STATUS, "Nothing waits for an answer there.");
    enum cl_side side = agreement->turn == 1 ? CL_SIDE_CUSTOMER : CL_SIDE_ORGANISATION;
    if (result == 0)
        result = answer_signer(context, &act, &signer, &subject, side);
    if (result == 0 && reason != NULL) {
        uint8_t number = strcmp(reason, "breach") == 0 ? 6 : strcmp(reason, "no-longer-needed") == 0 ? 7 : strcmp(reason, "other") == 0 ? 8 : 0;
        if (number == 0)
            result = output_usage(&context->output, "A reason is breach, no-longer-needed or other.");
        act_reason(&act, number);
    }
    if (result == 0) {
        act_object(&act, &subject.object.id);
        act_prev(&act, agreement->head);
        output_say(&context->output, "You decline; that is for good.");
        result = act_sign(context, &record, &act, &signer);
    }
    if (result == 0)
        result = act_finish(context, &act, &record, &subject.object.id, subject.item_name, false, NULL);
    subject_close(&subject);
    cl_buffer_deinit(&record);
    return result;
}
