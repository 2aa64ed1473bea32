/* consent profile, delegate, undelegate, rotate, vouch, statement: who acts, and with which key. */
#include "public.h"
#include "uses.h"
#include "consent/disclosure.h"

#include <stdlib.h>

static int finish(struct context *context, struct act *act, struct subject *subject, const struct act_signer *signer)
{
    struct cl_buffer record = {0};
    act_object(act, &subject->object.id);
    int result = act_sign(context, &record, act, signer);
    if (result == 0)
        result = act_finish(context, act, &record, &subject->object.id, subject->item_name, false, NULL);
    cl_buffer_deinit(&record);
    return result;
}

/* The body of a profile: an organisation's name, and text about it; or what a person says of herself. */
static int profile_body(struct context *context, struct cl_buffer *body_file, struct act *act, const struct cl_object_id *object, const char *name, const struct cl_profile_text *person)
{
    const char *display = option(context, "--display"), *about = option(context, "--about");
    const char *names[2] = {"name", "about"}, *values[2] = {display == NULL ? name : display, NULL};
    struct cl_buffer text = {0};
    struct cl_body body = {0};
    struct cl_body_file *decoded = malloc(sizeof *decoded);
    uint8_t seed[32], salt[32];
    int result = about == NULL ? 0 : file_read(context, &text, about, 8000);
    enum cl_status status = decoded == NULL ? CL_E_MEMORY : cl_random_bytes(seed, sizeof seed);
    if (status == CL_OK)
        status = cl_random_bytes(salt, sizeof salt);
    if (status == CL_OK)
        status = cl_buffer_append(&text, "", 1);
    if (status == CL_OK && result == 0) {
        values[1] = (const char *)text.data;
        status = person != NULL ? cl_body_make_profile(&body, person, seed) : cl_body_make_fields(&body, "profile", names, values, about == NULL ? 1 : 2, seed);
    }
    if (status == CL_OK && result == 0)
        status = cl_body_file_encode(body_file, object, salt, &body);
    if (status == CL_OK && result == 0)
        status = cl_body_file_decode(decoded, body_file->data, body_file->length);
    if (status == CL_OK && result == 0) {
        struct cl_commitment commitment;
        cl_body_file_commitment(&commitment, decoded);
        act_commitment(act, commitment.bytes);
    }
    if (result == 0 && status != CL_OK)
        result = output_fail(&context->output, status, "(the profile's public text)");
    cl_body_deinit(&body);
    cl_buffer_deinit(&text);
    cl_wipe_bytes(seed, sizeof seed);
    cl_wipe_bytes(salt, sizeof salt);
    free(decoded);
    return result;
}

/* The key under which deliveries are sealed, of its own so that it can be replaced. */
static int delivery_key(struct context *context, struct act *act, const char *name)
{
    char base[CL_NAME_BYTES_MAX + 1], key_name[CL_NAME_BYTES_MAX + 1];
    uint8_t secret[32], public32[32];
    (void)snprintf(base, sizeof base, "%.46s.delivery", name);
    int result = key_fresh(context, key_name, base, "delivery");
    if (result != 0)
        return result;
    enum cl_status status = cl_wallet_key_secret(secret, context->wallet, cl_wallet_key_find(context->wallet, key_name));
    if (status == CL_OK)
        cl_delivery_key_of(public32, secret);
    cl_wipe_bytes(secret, sizeof secret);
    if (status != CL_OK)
        return output_fail(&context->output, status, NULL);
    act_key(act, public32, 32);
    return 0;
}

static int replace_profile(struct context *context, const char *name)
{
    struct subject subject;
    struct act act;
    struct act_signer signer;
    struct cl_buffer body = {.secret = true};
    act_init(&act, CL_PROFILE);
    int result = subject_open(context, &subject, name);
    if (result != 0)
        return result;
    if (subject.object.kind != CL_STATE_PROFILE)
        result = subject_unfit(context, &subject, "a profile");
    struct cl_wallet_item *item = subject_item(context, &subject);
    if (result == 0 && item != NULL && item->role == CL_SIDE_CUSTOMER)
        result = output_fail(&context->output, CL_E_OBJECT_KIND, "'%.64s' is a person's profile, and stays as it is: publish a new one ('consent profile publish'), under a key of its own.", name);
    if (result == 0)
        result = subject_signer(context, &signer, &subject);
    if (result == 0)
        result = delivery_key(context, &act, name);
    if (result == 0)
        result = profile_body(context, &body, &act, &subject.object.id, name, NULL);
    if (result == 0 && item != NULL && cl_wallet_item_body_add(item, body.data, body.length) != CL_OK)
        result = output_fail(&context->output, CL_E_MEMORY, NULL);
    if (result == 0) {
        act_prev(&act, subject.object.as.profile.head);
        output_say(&context->output, "You replace the public text and the delivery key of '%s'.", name);
        result = finish(context, &act, &subject, &signer);
    }
    subject_close(&subject);
    cl_buffer_wipe(&body);
    return result;
}

/* person: what a person's profile says; NULL for an organisation's. */
static int publish(struct context *context, const char *name, const struct cl_profile_text *person)
{
    struct act act;
    struct act_signer signer;
    struct cl_buffer body = {.secret = true}, record = {0};
    struct cl_wallet_item *item = NULL;
    struct cl_object_id id;
    char recovery_key[CL_NAME_BYTES_MAX + 1] = "";
    const char *offer = option(context, "--output");
    act_init(&act, CL_PROFILE);
    int result = network_open(context);
    if (result == 0)
        result = signer_fresh(context, &signer, name);
    if (result == 0)
        result = recovery_fresh(context, &act, recovery_key, name);
    if (result == 0)
        result = delivery_key(context, &act, name);
    if (result == 0 && cl_random_bytes(act.nonce, 16) != CL_OK)
        result = output_fail(&context->output, CL_E_IO, NULL);
    if (result != 0)
        return result;
    act.entry.object = act.nonce;
    act.entry.object_length = 16;
    act.entry.present |= CL_HAS(1);
    cl_object_id_derive(&id, signer.signer.key.bytes, act.nonce);
    result = profile_body(context, &body, &act, &id, name, person);
    enum cl_status status = result == 0 ? cl_wallet_item_add(context->wallet, &item, name, CL_ITEM_PROFILE, &id) : CL_OK;
    if (status == CL_OK && result == 0)
        status = cl_wallet_item_body_add(item, body.data, body.length);
    if (status != CL_OK)
        result = output_fail(&context->output, status, "'%s'", name);
    if (result == 0) {
        item->role = person != NULL ? CL_SIDE_CUSTOMER : CL_SIDE_ORGANISATION;
        item->made_ms = time_now_ms();
        memcpy(item->key_name, signer.key_name, sizeof item->key_name);
        memcpy(item->recovery_key, recovery_key, sizeof item->recovery_key);
        if (person != NULL)
            output_say(&context->output, "You publish the profile '%s' under a key of its own. Its %zu attribute%s stay%s here%s until you show some: consent disclose %s --fields NAME,NAME", name, person->count,
                       person->count == 1 ? "" : "s", person->count == 1 ? "s" : "", context->once_final != NULL ? ", but for the public ones," : "", name);
        else
            output_say(&context->output, "You publish the profile '%s'; its id says nothing about you, its text is for whom you give it to.", name);
        result = act_sign(context, &record, &act, &signer);
    }
    if (result == 0 && offer != NULL)
        result = offer_write(context, item, NULL, offer);
    if (result == 0)
        result = act_finish(context, &act, &record, &id, name, true, NULL);
    cl_buffer_wipe(&body);
    cl_buffer_deinit(&record);
    return result;
}

int run_profile(struct context *context)
{
    const char *name = positional(context, 0);
    if (name == NULL || !cl_wallet_name_usable(name))
        return output_usage(&context->output, "Give the profile a name of letters, digits, - _ .");
    return flag(context, "--replace") ? replace_profile(context, name) : publish(context, name, NULL);
}

int run_profile_new(struct context *context)
{
    (void)fputs(cl_profile_text_template(), stdout);
    (void)context;
    return 0;
}

static int make_public(struct context *context, const struct cl_object_id *profile, json_t *into)
{
    return public_put(context, cl_wallet_item_of(context->wallet, profile), option(context, "--public"), into);
}

/* The names are right, before anything is published. */
static int public_check(struct context *context, const struct cl_profile_text *person)
{
    const char *list = option(context, "--public");
    if (list != NULL && option(context, "--save") != NULL)
        return output_usage(&context->output, "--public lets everybody read them once the profile is final: not with --save.");
    for (const char *at = list; at != NULL; at = *at == ',' ? at + 1 : NULL) {
        size_t length = strcspn(at, ","), i = 0;
        while (i < person->count && !(person->fields[i].name.length == length && memcmp(person->fields[i].name.data, at, length) == 0))
            i++;
        if (i == person->count)
            return output_usage(&context->output, "The profile has no attribute '%.*s' that could be public.", (int)(length < 64 ? length : 64), at);
        at += length;
    }
    context->once_final = list != NULL ? make_public : NULL;
    return 0;
}

int run_profile_publish(struct context *context)
{
    struct cl_buffer text = {.secret = true};
    struct cl_terms_fault fault = {0};
    const char *path = positional(context, 0), *name = option(context, "--name");
    if (path == NULL)
        return output_usage(&context->output, "Which file? 'consent profile new' prints one to start from.");
    if (name == NULL || !cl_wallet_name_usable(name))
        return output_usage(&context->output, "Give the profile a name that only you see, of letters, digits, - _ . : --name car-insurance");
    struct cl_profile_text *person = malloc(sizeof *person);
    int result = person == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : file_read(context, &text, path, CL_TERMS_TEXT_BYTES_MAX);
    enum cl_status status = result == 0 ? cl_profile_text_parse(person, &fault, (const char *)text.data, text.length) : CL_OK;
    if (status != CL_OK)
        result = fault.line > 0 ? output_fail(&context->output, status, "%s, line %zu: %s", path, fault.line, fault.sentence) : output_fail(&context->output, status, "%s: %s", path, fault.sentence);
    if (result == 0)
        result = public_check(context, person);
    if (result == 0)
        result = publish(context, name, person);
    if (result == 15 && context->once_final != NULL)
        output_warn(&context->output, "So it is not public yet: 'consent public put %s --fields ...', once it is final.", name);
    free(person);
    cl_buffer_wipe(&text);
    return result;
}

static bool powers_parse(uint64_t *powers, const char *text)
{
    static const struct { const char *name; uint64_t bit; } table[] = {{"revoke", CL_POWER_REVOKE}, {"grant", CL_POWER_GRANT}, {"amend", CL_POWER_AMEND}, {"state", CL_POWER_STATE}, {"deliver", CL_POWER_DELIVER}};
    *powers = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, ","), i = 0;
        while (i < 5 && !(strlen(table[i].name) == length && memcmp(table[i].name, text, length) == 0))
            i++;
        if (i == 5)
            return false;
        *powers |= table[i].bit;
        text += length + (text[length] == ',' ? 1 : 0);
    }
    return *powers != 0;
}

static int delegate(struct context *context, enum cl_record_type type)
{
    struct subject subject;
    struct act act;
    struct act_signer signer;
    struct cl_public_key key;
    uint64_t powers = 0;
    const char *text = positional(context, 1), *list = option(context, "--powers");
    act_init(&act, type);
    if (text == NULL || cl_public_key_decode(&key, text) != CL_OK)
        return output_usage(&context->output, "Give the name or id, then the key (did:key:... or 66 hex digits).");
    if (type == CL_DELEGATE && (list == NULL || !powers_parse(&powers, list)))
        return output_usage(&context->output, "--powers takes some of revoke, grant, amend, state, deliver, with commas.");
    int result = act_period(context, &act, "--from");
    if (result == 0 && type == CL_DELEGATE && (act.entry.present & CL_HAS(5)) == 0)
        result = output_usage(&context->output, "Until when? --until DATE");
    if (result == 0)
        result = subject_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    act_key(&act, key.bytes, 33);
    if (type == CL_DELEGATE) {
        act.entry.mode = powers;
        act.entry.present |= CL_HAS(14);
    }
    result = subject_signer(context, &signer, &subject);
    if (result == 0) {
        output_say(&context->output, type == CL_DELEGATE ? "You let the key %s act for you (%s)." : "The key %s may no longer act for you.%s", text, list == NULL ? "" : list);
        result = finish(context, &act, &subject, &signer);
    }
    subject_close(&subject);
    return result;
}

int run_delegate(struct context *context) { return delegate(context, CL_DELEGATE); }
int run_undelegate(struct context *context) { return delegate(context, CL_UNDELEGATE); }

/* With the recovery key: it is the signer and the opening, and a fresh one takes its place. */
static int rotate_by_recovery(struct context *context, struct act *act, struct act_signer *signer, const struct cl_wallet_item *item, char fresh[CL_NAME_BYTES_MAX + 1])
{
    char base[CL_NAME_BYTES_MAX + 1];
    bool known = item != NULL && item->recovery_key[0] != '\0';
    if (!known && option(context, "--key") == NULL)
        return output_fail(&context->output, CL_E_RECOVERY, "The wallet has no recovery key for it; where somebody committed to one of your keys, name that with --key.");
    (void)snprintf(base, sizeof base, "%.46s", item != NULL ? item->name : "recovered");
    int result = signer_open(context, signer, known ? item->recovery_key : NULL);
    if (result == 0)
        result = recovery_fresh(context, act, fresh, base);
    if (result != 0)
        return result;
    memcpy(act->opening, signer->signer.key.bytes, 33);
    act->entry.opening = act->opening;
    act->entry.opening_length = 33;
    act->entry.present |= CL_HAS(7);
    return 0;
}

/* It was somebody else's until now, a guardian's: from here on it is this wallet's. */
static int recovered_adopt(struct context *context, const struct cl_object_id *id, const char *recovery_key)
{
    struct subject subject;
    int result = subject_open(context, &subject, id_text(id->bytes));
    if (result != 0)
        return result;
    struct cl_wallet_item *item = subject_item(context, &subject);
    if (item != NULL)
        memcpy(item->recovery_key, recovery_key, sizeof item->recovery_key);
    result = wallet_save(context);
    if (result == 0 && item != NULL)
        output_say(&context->output, "It is in this wallet now, as '%s'.", subject.item_name);
    subject_close(&subject);
    return result == 0 ? wallet_backup(context, NULL) : result;
}

int run_rotate(struct context *context)
{
    struct subject subject;
    struct act act;
    struct act_signer signer;
    struct cl_public_key key;
    char fresh_recovery[CL_NAME_BYTES_MAX + 1] = "", fresh_key[CL_NAME_BYTES_MAX + 1] = "";
    const char *to = option(context, "--to");
    act_init(&act, CL_ROTATE);
    int result = subject_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    struct cl_wallet_item *item = subject_item(context, &subject);
    if (to != NULL && cl_public_key_decode(&key, to) != CL_OK)
        result = output_fail(&context->output, CL_E_KEY, "'%.80s'", to);
    if (result == 0 && flag(context, "--recover"))
        result = rotate_by_recovery(context, &act, &signer, item, fresh_recovery);
    else if (result == 0)
        result = subject_signer(context, &signer, &subject);
    if (result == 0 && to == NULL) {
        result = key_fresh(context, fresh_key, subject.item_name[0] == '\0' ? "rotated" : subject.item_name, "relationship");
        if (result == 0)
            key = cl_wallet_key_find(context->wallet, fresh_key)->key;
    }
    if (result == 0) {
        char before_key[CL_NAME_BYTES_MAX + 1] = "", before_recovery[CL_NAME_BYTES_MAX + 1] = "";
        struct cl_object_id id = subject.object.id;
        act_key(&act, key.bytes, 33);
        if (item != NULL) {
            memcpy(before_key, item->key_name, sizeof before_key);
            memcpy(before_recovery, item->recovery_key, sizeof before_recovery);
            memcpy(item->key_name, fresh_key, sizeof item->key_name);
            if (fresh_recovery[0] != '\0')
                memcpy(item->recovery_key, fresh_recovery, sizeof item->recovery_key);
        }
        output_say(&context->output, "You replace the key of '%s'%s.", subject.item_name[0] != '\0' ? subject.item_name : id_short(id.bytes), flag(context, "--recover") ? " with the recovery key; what was delegated ends" : "");
        result = finish(context, &act, &subject, &signer);
        item = cl_wallet_item_of(context->wallet, &id);
        /* refused or not submitted: the old key is still the one. The fresh one stays in the wallet, unused. */
        if (result != 0 && result != 15 && item != NULL) {
            memcpy(item->key_name, before_key, sizeof before_key);
            memcpy(item->recovery_key, before_recovery, sizeof before_recovery);
            (void)wallet_save(context);
        }
        if (result == 0 && item == NULL && flag(context, "--recover"))
            result = recovered_adopt(context, &id, fresh_recovery);
    }
    subject_close(&subject);
    return result;
}

int run_vouch(struct context *context)
{
    struct subject subject;
    struct act act;
    struct act_signer signer;
    const char *reason = option(context, "--reason");
    uint8_t number = reason == NULL || strcmp(reason, "document") == 0 ? 1 : strcmp(reason, "person") == 0 ? 2 : 0;
    act_init(&act, CL_VOUCH);
    if (number == 0)
        return output_usage(&context->output, "--reason is document or person.");
    int result = act_period(context, &act, "--from");
    if (result == 0 && (act.entry.present & CL_HAS(5)) == 0)
        result = output_usage(&context->output, "Until when? --until DATE");
    if (result == 0)
        result = subject_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    act_reason(&act, number);
    result = signer_open(context, &signer, NULL);
    if (result == 0) {
        output_say(&context->output, "As a member you vouch for the profile %s.", id_short(subject.object.id.bytes));
        result = finish(context, &act, &subject, &signer);
    }
    subject_close(&subject);
    return result;
}

/* 32 bytes: 64 hex digits, or a file with the bytes or the digits. */
static int root_option(struct context *context, uint8_t root32[32])
{
    const char *hex = option(context, "--root"), *path = option(context, "--root-file");
    struct cl_buffer data = {0};
    struct cl_object_id root;
    if (hex != NULL && id_parse(&root, hex)) {
        memcpy(root32, root.bytes, 32);
        return 0;
    }
    if (path == NULL)
        return output_usage(&context->output, "Give the root of the uses with --root HEX or --root-file FILE.");
    int result = file_read(context, &data, path, 128);
    if (result == 0 && data.length == 32) {
        memcpy(root32, data.data, 32);
    } else if (result == 0) {
        char digits[65] = "";
        (void)snprintf(digits, sizeof digits, "%.*s", (int)(data.length < 64 ? data.length : 64), (const char *)data.data);
        result = id_parse(&root, digits) ? 0 : output_fail(&context->output, CL_E_FORMAT, "%s has neither 32 bytes nor 64 hex digits.", path);
        memcpy(root32, root.bytes, result == 0 ? 32 : 0);
    }
    cl_buffer_deinit(&data);
    return result;
}

int run_statement(struct context *context)
{
    struct subject subject;
    struct act act;
    struct act_signer signer;
    uint8_t root[32];
    if (option(context, "--root") == NULL && option(context, "--root-file") == NULL)
        return statement_of_uses(context);
    if (option(context, "--period") != NULL || option(context, "--agreements") != NULL)
        return output_usage(&context->output, "--period and --agreements are for the uses of the log; with a root, say --from and --until.");
    act_init(&act, CL_STATEMENT);
    int result = root_option(context, root);
    if (result == 0)
        result = act_period(context, &act, "--from");
    if (result == 0 && (act.entry.present & (CL_HAS(4) | CL_HAS(5))) != (CL_HAS(4) | CL_HAS(5)))
        result = output_usage(&context->output, "Which period? --from DATE --until DATE");
    if (result == 0)
        result = subject_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    act_commitment(&act, root);
    result = subject_signer(context, &signer, &subject);
    if (result == 0) {
        output_say(&context->output, "You commit to all uses in that period, as the root %s.", id_short(root));
        result = finish(context, &act, &subject, &signer);
    }
    subject_close(&subject);
    return result;
}
