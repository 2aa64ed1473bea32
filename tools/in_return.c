/* Agreements in return: two persons who let each other use the same (or what each likes), in one step each. Who subscribes by a
   code grants terms of his own under fresh keys; the code of that grant travels sealed to the mailbox that the first code
   names. On the ledger the two agreements have no key, no salt and no id in common. */
#include "code.h"
#include "connect.h"
#include "discover.h"

static bool wanted(const struct context *context) { return option(context, "--in-return") != NULL && strcmp(option(context, "--in-return"), "none") != 0; }

/* The name of the agreement in return, on both sides. */
static void return_name(char out[CL_NAME_BYTES_MAX + 1], const char *name) { (void)snprintf(out, CL_NAME_BYTES_MAX + 1, "%.57s.return", name); }

/* "same": the text of those terms; else a file. */
static int return_text(struct context *context, struct cl_terms_text **out, const struct cl_wallet_item *item, const uint8_t commitment32[32])
{
    const char *what = option(context, "--in-return");
    if (strcmp(what, "same") != 0)
        return terms_read(context, out, what);
    *out = item == NULL ? NULL : body_text_of(item, commitment32);
    return *out != NULL ? 0 : output_fail(&context->output, CL_E_NOT_FOUND, "The text of these terms is not at hand, so the same cannot be given in return.");
}

int in_return_check(struct context *context, const struct subject *terms)
{
    struct cl_terms_text *text = NULL;
    if (option(context, "--in-return") == NULL)
        return !context->reception.in_return ? 0 : output_usage(&context->output, "Whoever made this asks for the same in return. Give it with --in-return same, or other terms with --in-return FILE; or say --in-return none.");
    if (!wanted(context))
        return 0;
    if (terms->object.kind != CL_STATE_TERMS)
        return output_usage(&context->output, "--in-return goes with terms: of this agreement the two sides are settled. 'consent grant NAME --terms FILE --code FILE' makes another.");
    if (option(context, "--as") != NULL || option(context, "--key") != NULL || option(context, "--signer") != NULL || option(context, "--save") != NULL || flag(context, "--no-mailbox"))
        return output_usage(&context->output, "What is given in return has keys of its own, and is sent: --in-return goes with none of --as, --key, --signer, --save, --no-mailbox.");
    if (!context->reception.present)
        return output_fail(&context->output, CL_E_NOT_FOUND, "The code names no mailbox of its maker, so nothing can be sent there in return. 'consent grant NAME --terms FILE --code FILE' makes a grant whose code you hand over.");
    int result = return_text(context, &text, subject_item(context, terms), terms->object.as.terms.commitment);
    cl_terms_text_free(text);
    return result;
}

/* ---- who gives in return */

/* GRANT under a fresh key, for whoever holds the code, which goes into `code`. The entry is in the wallet, and saved. */
static int grant_make(struct context *context, struct cl_buffer *record, struct cl_code *code, const char *name, const struct cl_terms_text *text, const struct cl_optional_time *until)
{
    struct act act;
    struct act_signer signer;
    struct cl_buffer body = {.secret = true};
    struct cl_wallet_item *item = NULL;
    struct cl_object_id id;
    char key_name[CL_NAME_BYTES_MAX + 1];
    act_init(&act, CL_GRANT);
    act_slots(&act, cl_terms_text_slots(text));
    if (until->present)
        act_not_after(&act, until->seconds);
    int result = key_fresh(context, key_name, name, "relationship");
    if (result == 0)
        result = signer_open(context, &signer, key_name);
    if (result != 0)
        return result;
    if (cl_random_bytes(act.nonce, 16) != CL_OK)
        return output_fail(&context->output, CL_E_IO, NULL);
    act_nonce(&act, &id, &signer);
    result = body_make(context, &body, &act, text, &id);
    enum cl_status status = result == 0 ? cl_wallet_item_add(context->wallet, &item, name, CL_ITEM_AGREEMENT, &id) : CL_OK;
    if (result == 0 && status == CL_OK)
        status = cl_wallet_item_body_add(item, body.data, body.length);
    cl_buffer_wipe(&body);
    if (status != CL_OK)
        return output_fail(&context->output, status, "'%s'", name);
    if (result != 0)
        return result;
    item->role = CL_SIDE_CUSTOMER;
    item->made_ms = time_now_ms();
    memcpy(item->key_name, key_name, sizeof key_name);
    result = token_audience(context, &act, item);
    if (result == 0)
        result = act_sign(context, record, &act, &signer);
    if (result == 0) {
        memcpy(code->secret32, context->token32, 32);
        reception_open(context, &code->reception, &id, false);
        result = code_fill(context, code, item, until);
    }
    return result == 0 ? wallet_save(context) : result; /* salts and keys, before anybody sees the record */
}

static int grant_submit(struct context *context, const struct cl_buffer *record, const struct cl_object_id *id)
{
    struct submission submission = {0};
    struct object now = {0};
    int result = record_submit(context, &submission, record->data, record->length, true);
    struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, id);
    if (result != 0 && submission.refused && item != NULL) {
        cl_wallet_item_remove(context->wallet, item);
        (void)wallet_save(context);
    }
    if (result == 0)
        result = object_fetch(context, &now, id, true);
    if (result == 0 && item != NULL && cl_buffer_replace(&item->state, now.value.data, now.value.length) == CL_OK)
        result = wallet_save(context);
    object_deinit(&now);
    return result == 0 ? wallet_backup(context, NULL) : result;
}

/* The code goes under the agreement that was just made. */
static int code_send(struct context *context, const struct cl_code *code, const struct cl_wallet_item *under, const struct cl_reception *reception)
{
    struct cl_buffer text = {.secret = true};
    struct act_signer signer;
    char folder[4096], address[MAILBOX_ADDRESS_SIZE];
    struct own_side own = {.id = under->object, .side = under->role, .signer = &signer, .name = under->name};
    reception_address(reception, address);
    int result = signer_open(context, &signer, under->key_name);
    enum cl_status status = result == 0 ? cl_code_encode(&text, code) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, NULL);
    if (result == 0)
        result = connect_notice(context, folder, &own, CL_MEDIA_TYPE_CODE, (struct cl_view){text.data, text.length}, reception->delivery32, address);
    if (result == 0)
        result = outbox_send(context, folder);
    cl_buffer_wipe(&text);
    return result;
}

void in_return_give(struct context *context, const struct act *act, const struct cl_object_id *id, json_t *json)
{
    struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, id);
    const struct cl_wallet_item *terms = item == NULL || !item->terms.present ? NULL : wallet_item_of_hash(context, item->terms.bytes);
    const struct cl_reception reception = context->reception;
    struct object object = {0};
    struct cl_terms_text *text = NULL;
    struct cl_code code = {.body_file = {.secret = true}};
    struct cl_buffer record = {0};
    char name[CL_NAME_BYTES_MAX + 1];
    if (act->type != CL_SUBSCRIBE || !wanted(context) || item == NULL || terms == NULL || !reception.present)
        return;
    return_name(name, item->name);
    context->output.soft = true;
    int result = object_fetch(context, &object, &terms->object, true);
    if (result == 0)
        result = return_text(context, &text, item, act->commitment);
    if (result == 0) {
        output_say(&context->output, "You grant in return, as '%s': slots %s, %s.", name, slots_text(cl_terms_text_slots(text)), period_text(&(struct cl_optional_time){.present = false}, &object.as.terms.not_after));
        result = grant_make(context, &record, &code, name, text, &object.as.terms.not_after);
    }
    if (result == 0)
        result = grant_submit(context, &record, &code.object);
    if (result == 0)
        result = code_send(context, &code, cl_wallet_item_of(context->wallet, id), &reception);
    context->output.soft = false;
    if (result == 0)
        output_line(&context->output, "%s  %s  offered in return", name, id_text(code.object.bytes));
    else
        output_warn(&context->output, "Your answer stands. What you wanted to give in return did not reach the other side: where 'consent list' shows '%s', 'consent inbox' tries again, and 'consent code show %s' shows its code.", name, name);
    (void)json_object_set_new(json, "in_return", json_pack("{s:s, s:s, s:b}", "name", name, "object", id_text(code.object.bytes), "sent", result == 0));
    object_deinit(&object);
    cl_terms_text_free(text);
    cl_code_deinit(&code);
    cl_buffer_deinit(&record);
}

/* ---- to whom it is given */

/* Did the owner say yes to exactly this when she made the card: the same text, slots and end as her own terms, given once by
   each who is in an active agreement under them? */
static bool said_yes(struct context *context, const struct opening *opening, const struct cl_code *code, const struct object *offered, const char *name)
{
    const struct cl_agreement *under = &opening->subject.object.as.agreement, *agreement = &offered->as.agreement;
    const struct cl_wallet_item *terms = under->terms.present ? wallet_item_of_hash(context, under->terms.bytes) : NULL;
    const struct cl_wallet_key *key = terms == NULL ? NULL : mailbox_of(context, &terms->object);
    struct cl_wallet_item *known = NULL, probe = {.body_count = 0};
    struct cl_terms_text *ours = NULL, *theirs = NULL;
    struct cl_buffer page = {0};
    struct object own = {0};
    size_t differences = 1;
    if (key == NULL || !mailbox_in_return(key) || opening->subject.side != CL_SIDE_CUSTOMER || under->status != CL_ACTIVE || cl_wallet_item_find(&known, context->wallet, name) != CL_E_NOT_FOUND)
        return false;
    if (offered->kind != CL_STATE_AGREEMENT || agreement->status != CL_OFFERED || agreement->turn != (uint8_t)CL_SIDE_ORGANISATION || terms->state.length == 0 || object_decode(context, &own, terms->state.data, terms->state.length) != 0)
        return false;
    const struct cl_terms *said = &own.as.terms;
    bool same = own.kind == CL_STATE_TERMS && agreement->live == said->slots && !agreement->not_before.present && agreement->not_after.present == said->not_after.present && agreement->not_after.seconds == said->not_after.seconds;
    if (same && cl_wallet_item_body_add(&probe, code->body_file.data, code->body_file.length) == CL_OK) {
        ours = body_text_of(terms, said->commitment);
        theirs = body_text_of(&probe, agreement->commitment);
    }
    same = ours != NULL && theirs != NULL && cl_terms_text_diff(&page, &differences, ours, theirs) == CL_OK && differences == 0;
    for (size_t i = 0; i < probe.body_count; i++)
        cl_buffer_wipe(&probe.bodies[i]);
    cl_buffer_deinit(&page);
    cl_terms_text_free(ours);
    cl_terms_text_free(theirs);
    object_deinit(&own);
    return same;
}

/* Into the wallet, and answered by its token. */
static int accept(struct context *context, const struct cl_code *code, const char *name)
{
    struct cl_wallet_item *item = NULL;
    struct subject subject;
    enum cl_status status = cl_wallet_item_add(context->wallet, &item, name, CL_ITEM_AGREEMENT, &code->object);
    if (status == CL_OK)
        status = cl_wallet_item_body_add(item, code->body_file.data, code->body_file.length);
    if (status != CL_OK)
        return output_fail(&context->output, status, "'%s'", name);
    item->role = CL_SIDE_ORGANISATION;
    item->made_ms = time_now_ms();
    context->has_token = true;
    memcpy(context->token32, code->secret32, 32);
    context->reception = code->reception;
    int result = agreement_open(context, &subject, name);
    if (result == 0) {
        result = agreement_accept(context, &subject);
        subject_close(&subject);
    }
    item = cl_wallet_item_of(context->wallet, &code->object);
    if (result != 0 && item != NULL && item->state.length == 0) { /* the file is there, and answers it by hand */
        cl_wallet_item_remove(context->wallet, item);
        (void)wallet_save(context);
    }
    context->has_token = false;
    cl_wipe_bytes(context->token32, sizeof context->token32);
    context->reception = (struct cl_reception){.present = false};
    return result;
}

/* For the owner to read and answer: the words, and the code in a file, which goes when either agreement is erased: it is called
   by the delivery, the agreement that it came under, and the one that it offers. */
static int tell(struct context *context, const struct cl_delivery *delivery, const struct cl_code *code, struct cl_view content, const struct object *offered, const char *from, const char *name, const char *folder)
{
    char path[4096], hex[33];
    struct cl_terms_text *text = NULL;
    struct cl_wallet_item probe = {.body_count = 0};
    struct cl_buffer page = {0};
    const char *verb = offered->kind == CL_STATE_AGREEMENT && offered->as.agreement.turn == (uint8_t)CL_SIDE_CUSTOMER ? "grant" : "subscribe";
    cl_hex_encode(hex, delivery->id16, 16);
    if ((size_t)snprintf(path, sizeof path, "%s/%s-%.8s-%.16s.consent-code", folder, hex, id_text(delivery->agreement.bytes), id_text(code->object.bytes)) >= sizeof path)
        return output_usage(&context->output, "The folder's name is too long.");
    int result = file_write(context, path, content.data, content.length, true);
    if (result != 0)
        return result;
    if (code->body_file.length > 0 && cl_wallet_item_body_add(&probe, code->body_file.data, code->body_file.length) == CL_OK)
        text = body_text_of(&probe, object_commitment(offered));
    bool of_terms = offered->kind == CL_STATE_TERMS;
    output_line(&context->output, "%s: the other side %s: slots %s, %s", from, strcmp(verb, "grant") == 0 ? "asks you for this" : "offers you this", slots_text(of_terms ? offered->as.terms.slots : offered->as.agreement.live),
                of_terms ? period_text(&offered->as.terms.not_before, &offered->as.terms.not_after) : period_text(&offered->as.agreement.not_before, &offered->as.agreement.not_after));
    if (text != NULL && !context->output.json && cl_terms_text_plain(&page, text, offered->kind == CL_STATE_AGREEMENT ? offered->as.agreement.live : ~0ull) == CL_OK)
        (void)fwrite(page.data, 1, page.length, stdout);
    output_line(&context->output, "'consent %s %s --code %s' accepts", verb, name, path);
    output_json_line(&context->output, json_pack("{s:s, s:s, s:s, s:s}", "offer", "waits", "from", from, "object", id_text(code->object.bytes), "file", path));
    for (size_t i = 0; i < probe.body_count; i++)
        cl_buffer_wipe(&probe.bodies[i]);
    cl_buffer_deinit(&page);
    cl_terms_text_free(text);
    return 0;
}

int in_return_take(struct opening *opening, struct cl_view content, const char *folder, enum cl_status *status)
{
    struct context *context = opening->context;
    struct cl_code code;
    struct object offered = {0};
    char name[CL_NAME_BYTES_MAX + 1], from[CL_NAME_BYTES_MAX + 1];
    *status = cl_code_decode(&code, (const char *)content.data, content.length);
    if (*status != CL_OK)
        return *status == CL_E_MEMORY ? output_fail(&context->output, *status, NULL) : 0;
    if (memcmp(code.network.bytes, context->wallet->network.id.bytes, 32) != 0)
        *status = CL_E_NETWORK; /* it is not what its sender's wallet made */
    int result = *status == CL_OK ? connect_adopt(opening) : 0;
    (void)snprintf(from, sizeof from, "%s", opening->subject.item_name);
    return_name(name, from);
    if (result == 0 && *status == CL_OK) {
        result = object_fetch(context, &offered, &code.object, false);
        if (result == 3) { /* our node has not heard of it yet */
            *status = CL_E_NO_OBJECT;
            result = 0;
        }
    }
    if (result == 0 && *status == CL_OK) {
        context->output.soft = true;
        bool open = code_opens(context, &code, &offered) == 0, accepted = false;
        if (open && said_yes(context, opening, &code, &offered, name)) {
            output_line(&context->output, "%s gives you the same in return, as you asked; it is accepted as '%s'.", from, name);
            accepted = accept(context, &code, name) == 0;
        }
        context->output.soft = false;
        if (!open)
            output_warn(&context->output, "%s: the other side sent an offer that cannot be answered.", from);
        else if (!accepted)
            result = tell(context, &opening->part.delivery, &code, content, &offered, from, name, folder);
    }
    object_deinit(&offered);
    cl_code_deinit(&code);
    return result;
}
