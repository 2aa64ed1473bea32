/* Offers on their way in and out, and what happens after signing: submit, keep, tell. */
#include "act.h"
#include "code.h"
#include "connect.h"
#include "proposals.h"

#include <stdlib.h>
#include <unistd.h>

int terms_read(struct context *context, struct cl_terms_text **out, const char *path)
{
    struct cl_buffer source = {0};
    struct cl_terms_fault fault;
    int result = file_read(context, &source, path, CL_TERMS_TEXT_BYTES_MAX);
    if (result == 0) {
        enum cl_status status = cl_terms_text_parse(out, &fault, (const char *)source.data, source.length);
        if (status == CL_E_FORMAT && fault.line > 0)
            result = output_fail(&context->output, status, "%s, line %zu: %s", path, fault.line, output_printable(fault.sentence, strlen(fault.sentence)));
        else if (status != CL_OK)
            result = output_fail(&context->output, status, "%s: %s", path, output_printable(fault.sentence, strlen(fault.sentence)));
    }
    cl_buffer_deinit(&source);
    return result;
}

int body_make(struct context *context, struct cl_buffer *body_file, struct act *act, const struct cl_terms_text *text, const struct cl_object_id *object)
{
    uint8_t seed[32], salt[32];
    struct cl_body body = {0};
    struct cl_body_file *decoded = malloc(sizeof *decoded);
    struct cl_commitment commitment;
    enum cl_status status = decoded == NULL ? CL_E_MEMORY : cl_random_bytes(seed, sizeof seed);
    if (status == CL_OK)
        status = cl_random_bytes(salt, sizeof salt);
    if (status == CL_OK)
        status = cl_body_make(&body, text, seed);
    if (status == CL_OK)
        status = cl_body_file_encode(body_file, object, salt, &body);
    if (status == CL_OK)
        status = cl_body_file_decode(decoded, body_file->data, body_file->length);
    if (status == CL_OK) {
        cl_body_file_commitment(&commitment, decoded);
        act_commitment(act, commitment.bytes);
    }
    cl_body_deinit(&body);
    free(decoded);
    cl_wipe_bytes(seed, sizeof seed);
    cl_wipe_bytes(salt, sizeof salt);
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

struct cl_terms_text *body_text_of(const struct cl_wallet_item *item, const uint8_t commitment32[32])
{
    struct cl_terms_text *text = NULL;
    struct cl_body_file *file = malloc(sizeof *file);
    for (size_t i = 0; file != NULL && text == NULL && i < item->body_count; i++) {
        struct cl_commitment commitment;
        if (cl_body_file_decode(file, item->bodies[i].data, item->bodies[i].length) != CL_OK)
            continue;
        cl_body_file_commitment(&commitment, file);
        if (memcmp(commitment.bytes, commitment32, 32) == 0 && cl_body_file_text(&text, file) != CL_OK)
            text = NULL;
    }
    free(file);
    return text;
}

/* Whoever is handed the code may answer. The token key is one of the wallet's ("NAME.code"), so that the code can be shown
   again; it signs nothing else. */
int token_audience(struct context *context, struct act *act, const struct cl_wallet_item *item)
{
    char base[CL_NAME_BYTES_MAX + 1], key_name[CL_NAME_BYTES_MAX + 1];
    (void)snprintf(base, sizeof base, "%.50s.code", item->name);
    int result = code_options_check(context);
    if (result == 0)
        result = key_fresh(context, key_name, base, "code");
    const struct cl_wallet_key *key = result == 0 ? cl_wallet_key_find(context->wallet, key_name) : NULL;
    if (key == NULL)
        return result;
    enum cl_status status = cl_wallet_key_secret(context->token32, context->wallet, key);
    if (status != CL_OK)
        return output_fail(&context->output, status, NULL);
    context->has_token = true;
    memcpy(act->audience, key->key.bytes, 33);
    act->entry.audience = act->audience;
    act->entry.audience_kind = CL_AUDIENCE_TOKEN;
    act->entry.present |= CL_HAS(6);
    return 0;
}

int opening_fill(struct context *context, struct act *act, const struct act_signer *signer, const struct cl_wallet_item *item, const struct cl_audience *audience, const struct cl_object_id *bearer, const struct cl_object_id *agreement)
{
    enum cl_status status = CL_OK;
    if (audience->kind == 0)
        return 0;
    if (audience->kind == CL_AUDIENCE_TOKEN && !context->has_token)
        return output_fail(&context->output, CL_E_AUDIENCE, "It is meant for whoever holds its code: give that with --code FILE.");
    if (audience->kind == CL_AUDIENCE_HASH && (item == NULL || !item->audience_salt.present))
        return output_fail(&context->output, CL_E_AUDIENCE, "It is meant for somebody in particular; the offer file shows whether that is you: give it with --offer FILE.");
    if (audience->kind == CL_AUDIENCE_TOKEN)
        status = cl_token_sign(act->opening, context->token32, &context->wallet->network.id, bearer->bytes, agreement->bytes, &signer->signer.key);
    else
        memcpy(act->opening, item->audience_salt.bytes, 32);
    act->entry.opening = act->opening;
    act->entry.opening_length = audience->kind == CL_AUDIENCE_TOKEN ? 64 : 32;
    act->entry.present |= CL_HAS(7);
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

int audience_option(struct context *context, struct act *act, struct cl_wallet_item *item)
{
    const char *to = option(context, "--to");
    struct cl_public_key key;
    struct cl_object_id id;
    struct cl_hash audience;
    struct cl_wallet_item *profile = NULL;
    if (code_wanted(context))
        return to == NULL ? token_audience(context, act, item) : output_usage(&context->output, "--to names who may answer; with a code it is whoever holds that. Give one of them.");
    if (to == NULL)
        return 0;
    enum cl_status status = cl_random_bytes(item->audience_salt.bytes, 32);
    if (status != CL_OK)
        return output_fail(&context->output, status, NULL);
    item->audience_salt.present = true;
    bool is_key = cl_public_key_decode(&key, to) == CL_OK;
    if (!is_key && cl_wallet_item_find(&profile, context->wallet, to) == CL_OK && profile->kind == CL_ITEM_PROFILE)
        id = profile->object;
    else if (!is_key && !id_parse(&id, to))
        return output_fail(&context->output, CL_E_KEY, "'%.80s': --to takes did:key:..., 66 hex digits, or a profile's id.", to);
    cl_audience_derive(&audience, item->audience_salt.bytes, is_key ? key.bytes : id.bytes, is_key ? 33 : 32);
    memcpy(act->audience, audience.bytes, 32);
    act->entry.audience = act->audience;
    act->entry.audience_kind = CL_AUDIENCE_HASH;
    act->entry.present |= CL_HAS(6);
    return 0;
}

int offer_load(struct context *context, struct cl_buffer *data, const char *path)
{
    bool is_code = false;
    int result = code_file_read(context, data, &is_code, path);
    if (result != 0 || !is_code)
        return result;
    if (context->code != NULL)
        return output_usage(&context->output, "%s is a code as well; give one.", path);
    struct cl_code *code = calloc(1, sizeof *code);
    if (code == NULL)
        return output_fail(&context->output, CL_E_MEMORY, NULL);
    result = code_decode(context, code, data, path);
    if (result != 0) {
        free(code);
        return result;
    }
    context->code = code;
    context->has_token = true;
    memcpy(context->token32, code->secret32, 32);
    result = wallet_open(context);
    return result == 0 ? code_usable(context, code) : result;
}

/* An offer file, a connect code, or a body alone. */
static enum cl_status offer_read(struct cl_offer *offer, struct context *context, const struct cl_buffer *data)
{
    const struct cl_code *code = context->code;
    if (code != NULL && data->length >= sizeof CL_CODE_PREFIX - 1 && memcmp(data->data, CL_CODE_PREFIX, sizeof CL_CODE_PREFIX - 1) == 0) {
        *offer = (struct cl_offer){.network = code->network, .object = code->object, .kind = code->kind, .body_file = {code->body_file.data, code->body_file.length}, .reception = code->reception};
        return CL_OK;
    }
    struct cl_body_file *file = malloc(sizeof *file);
    if (file == NULL)
        return CL_E_MEMORY;
    enum cl_status status = cl_offer_decode(offer, data->data, data->length);
    if (status != CL_OK && cl_body_file_decode(file, data->data, data->length) == CL_OK) {
        *offer = (struct cl_offer){.network = context->wallet->network.id, .object = file->object, .kind = CL_ITEM_AGREEMENT, .body_file = {data->data, data->length}};
        status = CL_OK;
    } else if (status == CL_OK && offer->body_file.length > 0) {
        status = cl_body_file_decode(file, offer->body_file.data, offer->body_file.length);
    }
    free(file);
    return status;
}

/* What an offer is called: as it was asked for, else as the file, else by its id. What `subscribe` is told to call
   something is the agreement, so the terms that it is made under are called as the file, or something beside that. */
static void offer_name(struct context *context, char out[CL_NAME_BYTES_MAX + 1], const char *path, const char *name, bool terms, const struct cl_object_id *id)
{
    const char *slash = strrchr(path, '/'), *file = slash == NULL ? path : slash + 1;
    struct cl_wallet_item *item = NULL;
    bool beside = name != NULL && terms && strcmp(context->command->name, "import") != 0;
    if (name != NULL && !beside) {
        (void)snprintf(out, CL_NAME_BYTES_MAX + 1, "%.64s", name);
        return;
    }
    if (strcmp(path, "-") == 0)
        file = "";
    (void)snprintf(out, CL_NAME_BYTES_MAX + 1, "%.*s", (int)(strcspn(file, ".") < 48 ? strcspn(file, ".") : 48), file);
    if (beside && strcmp(out, name) == 0)
        (void)snprintf(out, CL_NAME_BYTES_MAX + 1, "%.58s.terms", name);
    if (!cl_wallet_name_usable(out) || cl_wallet_item_find(&item, context->wallet, out) != CL_E_NOT_FOUND)
        (void)snprintf(out, CL_NAME_BYTES_MAX + 1, "offer-%.8s", id_text(id->bytes));
}

int offer_take(struct context *context, const struct cl_buffer *data, const char *path, const char *name, char item_name[CL_NAME_BYTES_MAX + 1])
{
    struct cl_offer offer = {0};
    struct object object = {0};
    struct cl_wallet_item *item = NULL;
    enum cl_status status = offer_read(&offer, context, data);
    int result = status == CL_OK ? 0 : output_fail(&context->output, status, "%s is neither an offer nor a body nor a code.", path);
    if (result == 0 && context->code != NULL && memcmp(offer.object.bytes, context->code->object.bytes, 32) != 0)
        result = output_usage(&context->output, "The code is not the one of this offer (%s).", path);
    if (result == 0 && memcmp(offer.network.bytes, context->wallet->network.id.bytes, 32) != 0)
        result = output_fail(&context->output, CL_E_NETWORK, "%s", path);
    if (result == 0)
        result = object_fetch(context, &object, &offer.object, true);
    if (result == 0 && context->code != NULL)
        result = code_opens(context, context->code, &object);
    if (result != 0)
        goto out;
    context->reception = offer.reception.present || context->code == NULL ? offer.reception : context->code->reception;
    item = cl_wallet_item_of(context->wallet, &offer.object);
    if (item == NULL) {
        char made[CL_NAME_BYTES_MAX + 1];
        enum cl_wallet_kind kind = object.kind == CL_STATE_TERMS ? CL_ITEM_TERMS : object.kind == CL_STATE_PROFILE ? CL_ITEM_PROFILE : CL_ITEM_AGREEMENT;
        offer_name(context, made, path, name, kind == CL_ITEM_TERMS, &offer.object);
        status = cl_wallet_item_add(context->wallet, &item, made, kind, &offer.object);
        if (status == CL_OK)
            item->made_ms = time_now_ms();
        /* an offer to us: our side is the one that is to answer */
        if (status == CL_OK && kind == CL_ITEM_AGREEMENT)
            item->role = object.as.agreement.turn == 1 ? CL_SIDE_CUSTOMER : CL_SIDE_ORGANISATION;
    }
    if (status == CL_OK && offer.body_file.length > 0)
        status = cl_wallet_item_body_add(item, offer.body_file.data, offer.body_file.length);
    if (status == CL_OK)
        status = cl_buffer_replace(&item->state, object.value.data, object.value.length);
    if (status == CL_OK && offer.has_audience_salt) {
        item->audience_salt.present = true;
        memcpy(item->audience_salt.bytes, offer.audience_salt, 32);
    }
    if (status != CL_OK)
        result = output_fail(&context->output, status, "%s", path);
    else
        (void)snprintf(item_name, CL_NAME_BYTES_MAX + 1, "%s", item->name);
out:
    object_deinit(&object);
    return result;
}

static enum cl_status offer_encode(struct cl_buffer *out, struct context *context, const struct cl_wallet_item *item, const struct cl_reception *reception)
{
    struct cl_offer offer = {.network = context->wallet->network.id, .object = item->object, .kind = item->kind, .has_audience_salt = item->audience_salt.present};
    memcpy(offer.audience_salt, item->audience_salt.bytes, 32);
    if (reception != NULL)
        offer.reception = *reception;
    if (item->body_count > 0)
        offer.body_file = (struct cl_view){item->bodies[item->body_count - 1].data, item->bodies[item->body_count - 1].length};
    return cl_offer_encode(out, &offer);
}

int offer_write(struct context *context, const struct cl_wallet_item *item, const struct cl_reception *reception, const char *path)
{
    struct cl_buffer data = {.secret = true};
    enum cl_status status = offer_encode(&data, context, item, reception);
    int result = status == CL_OK ? file_write(context, path, data.data, data.length, true) : output_fail(&context->output, status, NULL);
    if (result == 0 && strcmp(path, "-") != 0)
        output_say(&context->output, "The offer is in %s; hand it to the other side.", path);
    cl_buffer_wipe(&data);
    return result;
}

static int offer_hand_over(struct context *context, const struct act *act, const struct cl_wallet_item *item)
{
    const char *path = option(context, "--output");
    const struct cl_optional_time until = {(act->entry.present & CL_HAS(5)) != 0, act->entry.not_after};
    struct cl_code code = {0};
    struct cl_reception reception = {.present = false};
    if (path != NULL || context->has_token)
        reception_open(context, &reception, &item->object, flag(context, "--in-return"));
    int result = path == NULL ? 0 : offer_write(context, item, &reception, path);
    if (result != 0 || !context->has_token)
        return result;
    memcpy(code.secret32, context->token32, 32);
    code.reception = reception;
    result = code_fill(context, &code, item, &until);
    if (result == 0)
        result = code_hand_over(context, &code, option(context, "--code"), item->name);
    cl_code_deinit(&code);
    return result;
}

int offer_open(struct context *context, const struct act *act, const struct act_signer *signer, const struct cl_wallet_item *item, const struct cl_object_id *id, const char *name)
{
    struct cl_buffer record = {0};
    int result = act_sign(context, &record, act, signer);
    if (result == 0)
        result = offer_hand_over(context, act, item);
    if (result == 0)
        result = act_finish(context, act, &record, id, name, true, NULL);
    cl_buffer_deinit(&record);
    return result;
}

/* What the ledger says now goes into the wallet's entry. */
static int keep_state(struct context *context, struct cl_wallet_item *item, struct object *object)
{
    enum cl_status status = cl_buffer_replace(&item->state, object->value.data, object->value.length);
    if (object->kind == CL_STATE_AGREEMENT && item->role != CL_SIDE_NONE)
        item->party = item->role == CL_SIDE_CUSTOMER ? object->as.agreement.organisation : object->as.agreement.customer;
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

static bool makes_agreement(enum cl_record_type type)
{
    return type == CL_GRANT || type == CL_SUBSCRIBE || type == CL_TERMS || type == CL_PROFILE || type == CL_REQUEST || type == CL_COUNTER || type == CL_AMEND || type == CL_ROTATE;
}

static int tell(struct context *context, const struct act *act, const struct submission *submission, const struct cl_object_id *object, const char *item_name, json_t *result_json)
{
    struct object now = {0};
    int result = submission->final ? object_fetch(context, &now, object, true) : 0;
    struct cl_wallet_item *item = item_name[0] == '\0' ? NULL : cl_wallet_item_of(context->wallet, object);
    if (result == 0 && submission->final && item != NULL)
        result = keep_state(context, item, &now);
    (void)json_object_set_new(result_json, "act", json_string(cl_record_type_name(act->type)));
    (void)json_object_set_new(result_json, "object", json_string(id_text(object->bytes)));
    if (item != NULL)
        (void)json_object_set_new(result_json, "name", json_string(item->name));
    submission_json(result_json, submission);
    if (result == 0 && submission->final) {
        (void)json_object_set_new(result_json, "state", json_string(state_word(&now)));
        (void)json_object_set_new(result_json, "summary", json_string(state_line(context, &now)));
        output_line(&context->output, "%s%s%s  %s", item == NULL ? "" : item->name, item == NULL ? "" : "  ", id_text(object->bytes), state_line(context, &now));
    } else {
        output_line(&context->output, "%s%s%s", item == NULL ? "" : item->name, item == NULL ? "" : "  ", id_text(object->bytes));
    }
    object_deinit(&now);
    return result;
}

int act_finish(struct context *context, const struct act *act, const struct cl_buffer *record, const struct cl_object_id *object, const char *item_name, bool opened, json_t *extra)
{
    struct submission submission = {0};
    const char *save = option(context, "--save");
    json_t *json = extra == NULL ? json_object() : extra;
    char name[CL_NAME_BYTES_MAX + 1];
    (void)snprintf(name, sizeof name, "%s", item_name);
    /* Salts and keys are on disk before anybody sees the record that depends on them. */
    int result = wallet_save(context);
    if (result == 0 && save != NULL) {
        result = file_write(context, save, record->data, record->length, false);
        if (result == 0) {
            output_line(&context->output, "signed, not submitted: %s", save);
            (void)json_object_set_new(json, "record_status", json_string("signed"));
            (void)json_object_set_new(json, "object", json_string(id_text(object->bytes)));
            connect_answered(context, act, object, false, json);
            proposal_send(context, act, object, false, json);
            output_json(&context->output, json);
            return 0;
        }
    }
    if (result == 0)
        result = act->type == CL_REVOKE || act->type == CL_SUSPEND ? record_withdraw(context, &submission, record->data, record->length, true) : record_submit(context, &submission, record->data, record->length, true);
    if (result != 0) {
        struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, object);
        if (submission.refused)
            code_say_refused(context, submission.why);
        /* Where the node could not be reached, the record may have arrived all the same: the entry stays. */
        if (opened && item != NULL && submission.refused) {
            cl_wallet_item_remove(context->wallet, item);
            (void)wallet_save(context);
        }
        json_decref(json);
        return result;
    }
    result = tell(context, act, &submission, object, name, json);
    if (result == 0)
        submission_say(context, &submission);
    int saved = wallet_save(context);
    if (result == 0 && saved == 0)
        connect_answered(context, act, object, submission.final, json);
    if (result == 0 && saved == 0)
        proposal_send(context, act, object, submission.final, json);
    if (result == 0 && saved == 0 && submission.final && context->once_final != NULL)
        result = context->once_final(context, object, json);
    if (saved == 0 && makes_agreement(act->type)) /* with the mailbox's key too */
        saved = wallet_backup(context, NULL);
    if (result == 0)
        output_json(&context->output, json);
    else
        json_decref(json);
    if (result == 0 && saved == 0)
        return submission.final ? 0 : 15;
    return result != 0 ? result : saved;
}
