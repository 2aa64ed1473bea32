/* consent terms, import, export: what is shared and why, in words that a person can read. */
#include "code.h"
#include "connect.h"
#include "erasure.h"
#include "export.h"
#include "public.h"

#include <stdlib.h>

int run_terms_new(struct context *context)
{
    (void)fputs(cl_terms_text_template(), stdout);
    (void)context;
    return 0;
}

int run_terms_check(struct context *context)
{
    struct cl_terms_text *text = NULL;
    const char *advice[16], *path = positional(context, 0);
    if (path == NULL)
        return output_usage(&context->output, "Which file?");
    int result = terms_read(context, &text, path);
    if (result != 0)
        return result;
    size_t count = cl_terms_text_advice(advice, 16, text);
    json_t *list = json_array();
    output_line(&context->output, "%s: good; %zu slot%s", path, text->slot_count, text->slot_count == 1 ? "" : "s");
    for (size_t i = 0; i < count && i < 16; i++) {
        output_line(&context->output, "  better: %s", advice[i]);
        (void)json_array_append_new(list, json_string(advice[i]));
    }
    output_json(&context->output, json_pack("{s:b, s:i, s:o}", "good", 1, "slots", (int)text->slot_count, "advice", list));
    cl_terms_text_free(text);
    return 0;
}

/* A text file, a body file, an offer, or the name or id of an entry of the wallet. */
static int terms_from(struct context *context, struct cl_terms_text **out, const char *what)
{
    struct cl_buffer data = {.secret = true};
    struct cl_wallet_item *item = NULL;
    struct cl_body_file *file = NULL;
    struct cl_terms_fault fault = {0};
    struct cl_offer offer;
    int result = 0;
    enum cl_status status = cl_file_read(&data, what, CL_PROOF_BYTES_MAX);
    if (status == CL_OK) {
        file = malloc(sizeof *file);
        struct cl_view body = {data.data, data.length};
        if (cl_offer_decode(&offer, data.data, data.length) == CL_OK)
            body = offer.body_file;
        if (file == NULL)
            status = CL_E_MEMORY;
        else if (cl_body_file_decode(file, body.data, body.length) == CL_OK)
            status = cl_body_file_text(out, file);
        else
            status = cl_terms_text_parse(out, &fault, (const char *)data.data, data.length);
        if (status != CL_OK)
            result = output_fail(&context->output, status, "%s, line %zu: %s", what, fault.line, output_printable(fault.sentence, strlen(fault.sentence)));
    } else {
        result = wallet_open(context);
        if (result == 0 && cl_wallet_item_find(&item, context->wallet, what) != CL_OK)
            result = output_fail(&context->output, CL_E_NOT_FOUND, "'%.80s' is neither a file nor an entry of the wallet.", what);
        struct object object = {0};
        if (result == 0 && item->state.length > 0)
            result = object_decode(context, &object, item->state.data, item->state.length);
        if (result == 0)
            *out = item->state.length > 0 ? body_text_of(item, object_commitment(&object)) : NULL;
        if (result == 0 && *out == NULL)
            result = output_fail(&context->output, CL_E_NOT_FOUND, "The text of '%.80s' is not in the wallet; 'consent import FILE' takes it in.", what);
    }
    free(file);
    cl_buffer_wipe(&data);
    return result;
}

json_t *slot_json(const struct cl_terms_slot *slot)
{
    json_t *purposes = json_array();
    for (size_t i = 0; i < slot->purpose_count; i++)
        (void)json_array_append_new(purposes, json_string(slot->purposes[i]));
    json_t *json = json_pack("{s:i, s:s, s:s, s:o}", "slot", slot->number, "name", slot->name, "category", slot->category, "purposes", purposes);
    if (slot->retention != NULL)
        (void)json_object_set_new(json, "retention", json_string(slot->retention));
    if (slot->delivery_period != NULL)
        (void)json_object_set_new(json, "delivery", json_pack("{s:s, s:s?}", "every", slot->delivery_period, "format", slot->delivery_format));
    (void)json_object_set_new(json, "from", json_string(slot->from_organisation ? "organisation" : "customer"));
    return json;
}

int run_terms_show(struct context *context)
{
    struct cl_terms_text *text = NULL;
    struct cl_buffer page = {0};
    uint64_t slots = ~0ull;
    const char *what = positional(context, 0);
    if (what == NULL)
        return output_usage(&context->output, "Which terms? A file, a name, or an id.");
    int result = terms_from(context, &text, what);
    if (result == 0)
        result = slots_option(context, &slots, cl_terms_text_slots(text));
    if (result == 0 && cl_terms_text_plain(&page, text, slots) != CL_OK)
        result = output_fail(&context->output, CL_E_MEMORY, NULL);
    if (result == 0 && !context->output.json)
        (void)fwrite(page.data, 1, page.length, stdout);
    if (result == 0 && context->output.json) {
        json_t *list = json_array();
        for (size_t i = 0; i < text->slot_count; i++)
            (void)json_array_append_new(list, slot_json(&text->slots[i]));
        output_json(&context->output, json_pack("{s:o, s:s%}", "slots", list, "text", (const char *)page.data, page.length));
    }
    cl_buffer_deinit(&page);
    cl_terms_text_free(text);
    return result;
}

int run_terms_diff(struct context *context)
{
    struct cl_terms_text *a = NULL, *b = NULL;
    struct cl_buffer page = {0};
    size_t differences = 0;
    if (context->positional_count != 2)
        return output_usage(&context->output, "Which two? consent terms diff OLD NEW");
    int result = terms_from(context, &a, positional(context, 0));
    if (result == 0)
        result = terms_from(context, &b, positional(context, 1));
    if (result == 0 && cl_terms_text_diff(&page, &differences, a, b) != CL_OK)
        result = output_fail(&context->output, CL_E_MEMORY, NULL);
    if (result == 0) {
        if (!context->output.json && page.length > 0)
            (void)fwrite(page.data, 1, page.length, stdout);
        if (differences == 0)
            output_line(&context->output, "They say the same.");
        output_json(&context->output, json_pack("{s:i, s:s%}", "differences", (int)differences, "text", page.data == NULL ? "" : (const char *)page.data, page.length));
    }
    cl_buffer_deinit(&page);
    cl_terms_text_free(a);
    cl_terms_text_free(b);
    return result;
}

static int terms_act(struct context *context, struct act *act, const struct cl_terms_text *text)
{
    const char *limit = option(context, "--limit"), *succeeds = option(context, "--succeeds");
    uint64_t number = 0;
    struct cl_wallet_item *before = NULL;
    struct cl_object_id id;
    if (limit == NULL || !number_parse(&number, limit, INT64_MAX) || number == 0)
        return output_usage(&context->output, "--limit says how many agreements the terms admit: a number, 1 or more.");
    act->entry.limit = number;
    act->entry.present |= CL_HAS(11);
    act->entry.mode = (flag(context, "--standing") ? 1u : 0u) | (flag(context, "--vouched-only") ? 2u : 0u);
    act->entry.present |= CL_HAS(14);
    act_slots(act, cl_terms_text_slots(text));
    if (succeeds != NULL) {
        if (cl_wallet_item_find(&before, context->wallet, succeeds) == CL_OK)
            id = before->object;
        else if (!id_parse(&id, succeeds))
            return output_fail(&context->output, CL_E_NOT_FOUND, "'%.70s'", succeeds);
        act_ref(act, id.bytes);
    }
    return act_period(context, act, "--from");
}

/* Terms that succeed others are signed by the same owner, those of a profile by its key; else the key is fresh. */
static int terms_signer(struct context *context, struct act_signer *signer, const struct act *act, const char *name)
{
    struct cl_object_id before = {{0}};
    struct cl_wallet_item *profile = NULL;
    const char *as = option(context, "--as");
    if (as != NULL && (cl_wallet_item_find(&profile, context->wallet, as) != CL_OK || profile->kind != CL_ITEM_PROFILE))
        return output_fail(&context->output, CL_E_NOT_FOUND, "'%.70s' is not a profile of this wallet.", as);
    if (as != NULL)
        return signer_open(context, signer, profile->key_name);
    memcpy(before.bytes, act->ref, 32);
    const struct cl_wallet_item *item = (act->entry.present & CL_HAS(8)) != 0 ? cl_wallet_item_of(context->wallet, &before) : NULL;
    return item != NULL ? signer_open(context, signer, item->key_name) : signer_fresh(context, signer, name);
}

static int make_public(struct context *context, const struct cl_object_id *terms, json_t *into)
{
    return public_put(context, cl_wallet_item_of(context->wallet, terms), NULL, into);
}

static int public_check(struct context *context)
{
    static const char *const against[] = {"--to", "--save", "--signer"};
    if (!flag(context, "--public"))
        return 0;
    bool good = !code_wanted(context) && !flag(context, "--in-return");
    for (size_t i = 0; i < sizeof against / sizeof against[0]; i++)
        good = good && option(context, against[i]) == NULL;
    context->once_final = make_public;
    return good ? 0 : output_usage(&context->output, "--public lets everybody read and answer the terms as soon as they are final, and signs that with a key of the wallet: not with --to, --code and its like, --in-return, --save or --signer.");
}

int run_terms_publish(struct context *context)
{
    struct cl_terms_text *text = NULL;
    struct act act;
    struct act_signer signer;
    struct cl_buffer body = {.secret = true};
    struct cl_wallet_item *item = NULL;
    struct cl_object_id id;
    char recovery_key[CL_NAME_BYTES_MAX + 1] = "";
    const char *path = positional(context, 0), *name = option(context, "--name");
    if (path == NULL)
        return output_usage(&context->output, "Which terms file? 'consent terms new' prints one to start from.");
    if (name == NULL)
        name = "terms";
    if (flag(context, "--in-return") && (flag(context, "--no-mailbox") || (!code_wanted(context) && option(context, "--output") == NULL)))
        return output_usage(&context->output, "--in-return is said in a code or an offer, and what comes back needs a mailbox: give --code FILE, --qr, --png FILE, --svg FILE or -o FILE, and not --no-mailbox.");
    act_init(&act, CL_TERMS);
    int result = public_check(context);
    if (result == 0)
        result = terms_read(context, &text, path);
    if (result == 0)
        result = network_open(context);
    if (result == 0)
        result = terms_act(context, &act, text);
    if (result == 0)
        result = terms_signer(context, &signer, &act, name);
    if (result == 0)
        result = recovery_option(context, &act, recovery_key, name);
    if (result == 0 && cl_random_bytes(act.nonce, 16) != CL_OK)
        result = output_fail(&context->output, CL_E_IO, NULL);
    if (result != 0)
        goto out;
    act.entry.object = act.nonce;
    act.entry.object_length = 16;
    act.entry.present |= CL_HAS(1);
    cl_object_id_derive(&id, signer.signer.key.bytes, act.nonce);
    result = body_make(context, &body, &act, text, &id);
    enum cl_status status = result == 0 ? cl_wallet_item_add(context->wallet, &item, name, CL_ITEM_TERMS, &id) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, "'%s'; choose a name with --name", name);
    if (result != 0)
        goto out;
    item->role = CL_SIDE_CUSTOMER;
    item->made_ms = time_now_ms();
    memcpy(item->key_name, signer.key_name, sizeof item->key_name);
    memcpy(item->recovery_key, recovery_key, sizeof item->recovery_key);
    result = audience_option(context, &act, item);
    status = cl_wallet_item_body_add(item, body.data, body.length);
    if (result == 0 && status != CL_OK)
        result = output_fail(&context->output, status, NULL);
    if (result == 0)
        output_say(&context->output, "You open '%s' to at most %llu agreements: slots %s, %s; %s.", name, (unsigned long long)act.entry.limit, slots_text(act.entry.slots),
                   (act.entry.mode & 1) != 0 ? "active as soon as somebody subscribes" : "each one waits for your answer", (act.entry.mode & 2) != 0 ? "vouched organisations only" : "anybody");
    if (result == 0)
        result = offer_open(context, &act, &signer, item, &id, name);
    if (result == 15 && flag(context, "--public"))
        output_warn(&context->output, "So they are not public yet: 'consent public put %s', once they are final.", name);
out:
    cl_terms_text_free(text);
    cl_buffer_wipe(&body);
    return result;
}

/* Offers and bodies are CBOR; whoever has JSON in hand has something of others. */
static bool looks_like_json(const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? NULL : fopen(path, "rb");
    int first = file == NULL ? EOF : fgetc(file);
    while (first == ' ' || first == '\n' || first == '\r' || first == '\t')
        first = fgetc(file);
    if (file != NULL)
        (void)fclose(file);
    return first == '{' || first == '[';
}

int run_import(struct context *context)
{
    char name[CL_NAME_BYTES_MAX + 1] = "";
    const char *path = positional(context, 0);
    if (path == NULL)
        return output_usage(&context->output, "Which file?");
    if (looks_like_json(path))
        return output_usage(&context->output, "%s is JSON, and neither an offer nor a body. Of a Kantara consent receipt 'consent terms import %s' makes terms.", path, path);
    bool is_contact = false;
    int result = contact_import(context, path, &is_contact);
    if (is_contact)
        return result;
    struct cl_buffer data = {.secret = true};
    result = offer_load(context, &data, path);
    if (result == 0)
        result = network_open(context);
    if (result == 0)
        result = offer_take(context, &data, path, option(context, "--name"), name);
    cl_buffer_wipe(&data);
    if (result == 0)
        result = wallet_save(context);
    struct cl_wallet_item *item = NULL;
    if (result == 0 && cl_wallet_item_find(&item, context->wallet, name) == CL_OK) {
        struct object object = {.id = item->object};
        result = object_decode(context, &object, item->state.data, item->state.length);
        struct cl_terms_text *text = result == 0 ? body_text_of(item, object_commitment(&object)) : NULL;
        output_line(&context->output, "%s  %s  %s", name, id_text(item->object.bytes), result == 0 ? state_line(context, &object) : "");
        if (text != NULL && !context->output.json) {
            struct cl_buffer page = {0};
            if (cl_terms_text_plain(&page, text, ~0ull) == CL_OK)
                (void)fwrite(page.data, 1, page.length, stdout);
            cl_buffer_deinit(&page);
        }
        output_json(&context->output, json_pack("{s:s, s:s, s:b}", "name", name, "object", id_text(item->object.bytes), "text_known", text != NULL));
        cl_terms_text_free(text);
    }
    return result;
}

/* As far as the wallet knows, somebody may still answer it. */
static bool waits(struct context *context, const struct cl_wallet_item *item)
{
    struct object object = {.id = item->object};
    if (item->state.length == 0 || object_decode(context, &object, item->state.data, item->state.length) != 0)
        return false;
    bool open = object.kind == CL_STATE_TERMS ? object.as.terms.open : object.kind == CL_STATE_AGREEMENT && object.as.agreement.status < CL_ACTIVE;
    object_deinit(&object);
    return open;
}

int run_export(struct context *context)
{
    struct cl_wallet_item *item = NULL;
    const char *name = positional(context, 0), *path = option(context, "--output");
    if (name == NULL)
        return output_usage(&context->output, "Which one?");
    int result = wallet_open(context);
    if (result == 0 && cl_wallet_item_find(&item, context->wallet, name) != CL_OK)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "'%.80s'", name);
    if (result != 0)
        return result;
    if (!flag(context, "--body")) {
        struct cl_reception reception = {.present = false};
        bool named = mailbox_of(context, &item->object) != NULL && waits(context, item);
        context->output.soft = true; /* the node is asked for its name only */
        if (named && network_open(context) == 0)
            reception_again(context, &reception, &item->object);
        context->output.soft = false;
        return offer_write(context, item, &reception, path == NULL ? "-" : path);
    }
    if (item->body_count == 0)
        return output_fail(&context->output, CL_E_NOT_FOUND, "The wallet has no body of '%.80s'.", name);
    const struct cl_buffer *body = &item->bodies[item->body_count - 1];
    return file_write(context, path == NULL ? "-" : path, body->data, body->length, true);
}

int run_forget(struct context *context)
{
    struct cl_wallet_item *item = NULL;
    const char *name = positional(context, 0);
    if (name == NULL)
        return output_usage(&context->output, "Which one?");
    int result = wallet_open(context);
    if (result == 0 && cl_wallet_item_find(&item, context->wallet, name) != CL_OK)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "'%.80s'", name);
    if (result != 0)
        return result;
    struct erasure erasure = {.agreement = item->object, .forget = true};
    char called[CL_NAME_BYTES_MAX + 1];
    json_t *json = json_object();
    memcpy(called, item->name, sizeof called);
    result = erasure_run(context, &erasure, json);
    if (result == 0) {
        output_line(&context->output, "'%s' (%s) is no longer in the wallet; the ledger keeps its hashes.", called, id_short(erasure.agreement.bytes));
        output_json(&context->output, json);
    } else {
        json_decref(json);
    }
    return result;
}
