/* consent disclose, and what verify makes of its files: some fields of what was agreed, checked against the commitment. */
#include "disclosed.h"
#include "export.h"

#include <stdlib.h>

int body_open(struct context *context, struct cl_body_file *out, const struct cl_wallet_item *item)
{
    struct object object = {0};
    struct cl_commitment commitment;
    int result = item->state.length == 0 ? 0 : object_decode(context, &object, item->state.data, item->state.length);
    if (result != 0)
        return result;
    for (size_t i = item->body_count; i > 0; i--) {
        if (cl_body_file_decode(out, item->bodies[i - 1].data, item->bodies[i - 1].length) != CL_OK)
            continue;
        cl_body_file_commitment(&commitment, out);
        if (item->state.length == 0 || memcmp(commitment.bytes, object_commitment(&object), 32) == 0)
            return 0;
    }
    return output_fail(&context->output, CL_E_NOT_FOUND, "The wallet has no body of '%.64s' that the ledger commits to; 'consent import FILE' takes one in.", item->name);
}

/* ---- fields as text and as JSON */

static const char *field_name(const struct cl_body_field *field) { return output_printable((const char *)field->name.data, field->name.length); }

/* The one field, as a file of its own, in words. */
static int field_words(struct context *context, struct cl_buffer *out, const struct cl_body_file *file, size_t position)
{
    struct cl_body_file *one = malloc(sizeof *one);
    enum cl_status status = one == NULL ? CL_E_MEMORY : CL_OK;
    if (status == CL_OK) {
        *one = *file;
        one->disclosure_count = 1;
        one->disclosures[0] = file->disclosures[position];
        status = cl_body_file_words(out, one);
    }
    free(one);
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

static json_t *text_json(struct cl_view text) { return json_stringn((const char *)text.data, text.length); }

static json_t *value_json(const struct cl_body_field *field, const struct cl_terms_text *text)
{
    char digits[3] = "";
    switch (field->kind) {
    case CL_FIELD_TEXT: return text_json(field->text);
    case CL_FIELD_YES_NO: return json_boolean(field->yes);
    case CL_FIELD_RANGE:
        return json_pack("{s:o, s:o}", "from", field->has_low ? json_integer((json_int_t)field->low) : json_null(), "to", field->has_high ? json_integer((json_int_t)field->high) : json_null());
    case CL_FIELD_OTHER: break;
    }
    for (size_t i = 0; text != NULL && i < text->slot_count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "slot-%u", text->slots[i].number);
        if (strlen(name) == field->name.length && memcmp(name, field->name.data, field->name.length) == 0)
            return slot_json(&text->slots[i]);
    }
    char *hex = malloc(2 * field->value.length + 1);
    if (hex == NULL)
        return json_null();
    hex[0] = '\0';
    for (size_t i = 0; i < field->value.length; i++) {
        cl_hex_encode(digits, field->value.data + i, 1);
        memcpy(hex + 2 * i, digits, sizeof digits);
    }
    json_t *json = json_pack("{s:s}", "cbor", hex);
    free(hex);
    return json;
}

json_t *fields_json(const struct cl_body_file *file)
{
    json_t *list = json_array();
    struct cl_terms_text *text = NULL;
    if (cl_body_file_text(&text, file) != CL_OK)
        text = NULL;
    for (size_t i = 0; i < file->disclosure_count; i++) {
        struct cl_body_field field;
        if (cl_body_field_read(&field, file->disclosures[i]) != CL_OK)
            continue;
        json_t *json = json_pack("{s:o, s:o}", "name", text_json(field.name), "value", value_json(&field, text));
        if (field.category.length > 0)
            (void)json_object_set_new(json, "category", text_json(field.category));
        (void)json_array_append_new(list, json);
    }
    cl_terms_text_free(text);
    return list;
}

/* ---- choosing */

/* Names are compared as they stand; of terms also by a slot's own name. CL_BODY_FIELDS_MAX: there is none. */
static size_t field_find(const struct cl_body_file *file, const struct cl_terms_text *text, const char *name, size_t length)
{
    char wanted[CL_FIELD_NAME_BYTES_MAX + 1];
    (void)snprintf(wanted, sizeof wanted, "%.*s", (int)(length < sizeof wanted ? length : sizeof wanted - 1), name);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < file->disclosure_count; i++) {
            struct cl_body_field field;
            if (cl_body_field_read(&field, file->disclosures[i]) == CL_OK && field.name.length == strlen(wanted) && memcmp(field.name.data, wanted, field.name.length) == 0)
                return i;
        }
        const struct cl_terms_slot *slot = text == NULL ? NULL : cl_terms_slot_find(text, wanted);
        if (slot == NULL)
            break;
        (void)snprintf(wanted, sizeof wanted, "slot-%u", slot->number);
    }
    return CL_BODY_FIELDS_MAX;
}

struct named { char name[CL_FIELD_NAME_BYTES_MAX + 1]; size_t position; };

static int by_name(const void *a, const void *b) { return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name); }

/* The fields that have a name that can be shown, by name: their own order is by chance. */
static size_t fields_sorted(struct named out[CL_BODY_FIELDS_MAX], const struct cl_body_file *file)
{
    size_t count = 0;
    for (size_t i = 0; i < file->disclosure_count; i++) {
        struct cl_body_field field;
        if (cl_body_field_read(&field, file->disclosures[i]) != CL_OK)
            continue;
        (void)snprintf(out[count].name, sizeof out[count].name, "%s", field_name(&field));
        out[count++].position = i;
    }
    qsort(out, count, sizeof *out, by_name);
    return count;
}

/* "a, b, c". Static storage. */
static const char *names_text(const struct cl_body_file *file)
{
    static char out[4096];
    struct named fields[CL_BODY_FIELDS_MAX];
    size_t used = 0, count = fields_sorted(fields, file);
    out[0] = '\0';
    for (size_t i = 0; i < count && used < sizeof out; i++)
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%s", used == 0 ? "" : ", ", fields[i].name);
    return out;
}

int fields_mark(struct context *context, bool marked[CL_BODY_FIELDS_MAX], const struct cl_body_file *file, const char *list)
{
    struct cl_terms_text *text = NULL;
    int result = 0;
    if (cl_body_file_text(&text, file) != CL_OK)
        text = NULL;
    for (const char *at = list; result == 0; at++) {
        size_t length = strcspn(at, ","), found = field_find(file, text, at, length);
        if (found == CL_BODY_FIELDS_MAX)
            result = output_fail(&context->output, CL_E_NOT_FOUND, "There is no field '%.*s'. There are: %s.", (int)(length < 64 ? length : 64), at, names_text(file));
        else
            marked[found] = true;
        at += length;
        if (*at == '\0')
            break;
    }
    cl_terms_text_free(text);
    return result;
}

/* What the field says, on one line, without its name. */
static int field_list_one(struct context *context, const struct cl_body_file *file, const struct named *named)
{
    struct cl_buffer words = {.secret = true};
    int result = field_words(context, &words, file, named->position);
    if (result == 0) {
        const char *text = words.length == 0 ? "" : (const char *)words.data, *end = words.length == 0 ? text : memchr(text, '\n', words.length);
        size_t length = end == NULL ? words.length : (size_t)(end - text), name = strlen(named->name);
        if (length > name + 1 && memcmp(text, named->name, name) == 0 && text[name] == ':') {
            text += name + 2;
            length -= name + 2;
        }
        for (; length > 0 && *text == ' '; text++)
            length--;
        output_line(&context->output, "  %-24s %.*s", named->name, (int)length, text);
    }
    cl_buffer_wipe(&words);
    return result;
}

static int fields_list(struct context *context, const struct cl_body_file *file, const char *name)
{
    struct named fields[CL_BODY_FIELDS_MAX];
    size_t count = fields_sorted(fields, file);
    int result = 0;
    output_line(&context->output, "Fields of '%s', to be shown with --fields NAME,NAME:", name);
    for (size_t i = 0; i < count && result == 0 && !context->output.json; i++)
        result = field_list_one(context, file, &fields[i]);
    if (result == 0)
        output_json(&context->output, json_pack("{s:s, s:o}", "object", id_text(file->object.bytes), "fields", fields_json(file)));
    return result;
}

/* ---- making */

static int address_make(struct context *context, struct cl_disclosure_address *out, const struct cl_wallet_item *item, struct cl_view shown)
{
    const char *to = option(context, "--to"), *nonce = option(context, "--nonce");
    struct act_signer signer;
    struct cl_hash digest;
    *out = (struct cl_disclosure_address){.has_recipient = to != NULL, .time_ms = time_now_ms()};
    if (to != NULL && cl_public_key_decode(&out->recipient, to) != CL_OK)
        return output_fail(&context->output, CL_E_KEY, "'%.80s'", to);
    if (nonce != NULL && (nonce[0] == '\0' || strlen(nonce) >= sizeof out->nonce))
        return output_usage(&context->output, "--nonce takes 1 to %u bytes.", CL_DISCLOSURE_NONCE_BYTES_MAX);
    (void)snprintf(out->nonce, sizeof out->nonce, "%s", nonce == NULL ? "" : nonce);
    if (!context->wallet->network.known || item->state.length == 0)
        return output_fail(&context->output, CL_E_NOT_FOUND, "What the ledger says of '%.64s' is not known here yet, so no key of it can sign; 'consent show %.64s' asks for it.", item->name, item->name);
    int result = signer_open(context, &signer, item->key_name);
    if (result != 0)
        return result;
    out->signer = signer.signer.key;
    enum cl_status status = cl_disclosure_digest(&digest, &context->wallet->network.id, shown, out);
    if (status == CL_OK)
        status = signer.signer.sign(signer.signer.context, out->signature64, digest.bytes);
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

/* What was made is read as its recipient will read it, against the state at hand. */
static int own_check(struct context *context, const struct cl_disclosure_file *file, const struct cl_wallet_item *item)
{
    struct object object = {0};
    if (item->state.length == 0)
        return 0;
    struct cl_verify_report *report = calloc(1, sizeof *report);
    int result = report == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : object_decode(context, &object, item->state.data, item->state.length);
    if (result == 0) {
        report->exists = true;
        report->kind = object.kind;
        report->network = context->wallet->network.id;
        memcpy(report->commitment.bytes, object_commitment(&object), 32);
        if (object.kind == CL_STATE_AGREEMENT)
            report->agreement = object.as.agreement;
        else
            memcpy(report->owner.bytes, object.kind == CL_STATE_TERMS ? object.as.terms.owner : object.as.profile.key, 33);
        enum cl_status status = cl_disclosure_check(file, report);
        if (status == CL_E_PARTY)
            result = output_fail(&context->output, status, "'%.64s' names no key of yours that could sign for it: its side is terms or a profile. Disclose those terms instead, or leave out --to and --nonce.", item->name);
        else if (status != CL_OK)
            result = output_fail(&context->output, status, "'%.64s'", item->name);
    }
    free(report);
    return result;
}

static void made_say(struct context *context, const struct cl_disclosure_file *file, const struct cl_wallet_item *item, const char *path)
{
    struct cl_buffer words = {.secret = true};
    size_t count = file->body.disclosure_count;
    bool text_hash = false;
    json_t *names = json_array();
    for (size_t i = 0; i < count; i++) {
        struct cl_body_field field;
        if (cl_body_field_read(&field, file->body.disclosures[i]) != CL_OK)
            continue;
        (void)json_array_append_new(names, text_json(field.name));
        text_hash = text_hash || (field.name.length == 9 && memcmp(field.name.data, "text-hash", 9) == 0);
    }
    output_line(&context->output, "%s shows %zu field%s of '%s':", path, count, count == 1 ? "" : "s", item->name);
    if (!context->output.json && cl_body_file_words(&words, &file->body) == CL_OK && words.length > 0)
        (void)fwrite(words.data, 1, words.length, stdout);
    output_say(&context->output, "Hand it over with a fresh proof ('consent proof %s'). Whoever has it also learns the id, and that there are %s%zu fields; of the others nothing.", item->name,
               item->kind == CL_ITEM_PROFILE ? "at most " : "", file->body.digest_count);
    if (text_hash)
        output_warn(&context->output, "With text-hash, whoever guesses the whole text can see that the guess is right: it is for those who have the text.");
    output_json(&context->output, json_pack("{s:s, s:s, s:o, s:b}", "file", path, "object", id_text(file->body.object.bytes), "fields", names, "addressed", file->addressed ? 1 : 0));
    cl_buffer_wipe(&words);
}

static int disclose(struct context *context, const struct cl_wallet_item *item, const struct cl_body_file *body, const char *path)
{
    bool marked[CL_BODY_FIELDS_MAX] = {false};
    struct cl_buffer shown = {.secret = true}, bytes = {.secret = true};
    struct cl_disclosure_address address;
    bool addressed = option(context, "--to") != NULL || option(context, "--nonce") != NULL;
    struct cl_disclosure_file *file = malloc(sizeof *file);
    int result = file == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : fields_mark(context, marked, body, option(context, "--fields"));
    enum cl_status status = result == 0 ? cl_disclosure_select(&shown, body, marked) : CL_OK;
    struct cl_view view = {shown.data, shown.length};
    if (result == 0 && status == CL_OK && addressed)
        result = address_make(context, &address, item, view);
    if (result == 0 && status == CL_OK)
        status = cl_disclosure_encode(&bytes, view, addressed ? &address : NULL);
    if (result == 0 && status == CL_OK)
        status = cl_disclosure_decode(file, bytes.data, bytes.length);
    if (result == 0 && status != CL_OK)
        result = output_fail(&context->output, status, NULL);
    if (result == 0)
        result = own_check(context, file, item);
    if (result == 0)
        result = file_write(context, path, bytes.data, bytes.length, true);
    if (result == 0 && strcmp(path, "-") != 0)
        made_say(context, file, item, path);
    cl_buffer_wipe(&shown);
    cl_buffer_wipe(&bytes);
    free(file);
    return result;
}

int run_disclose(struct context *context)
{
    struct cl_wallet_item *item = NULL;
    const char *name = positional(context, 0), *path = option(context, "--output");
    char made[CL_NAME_BYTES_MAX + 32];
    if (name == NULL)
        return output_usage(&context->output, "Of which agreement, terms or profile?");
    if (option(context, "--fields") == NULL && (path != NULL || option(context, "--to") != NULL || option(context, "--nonce") != NULL))
        return output_usage(&context->output, "Which fields? --fields NAME,NAME; 'consent disclose %.64s' lists them.", name);
    struct cl_body_file *body = malloc(sizeof *body);
    int result = body == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : wallet_open(context);
    if (result == 0 && cl_wallet_item_find(&item, context->wallet, name) != CL_OK)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "'%.80s'; 'consent list' shows what this wallet has.", name);
    if (result == 0)
        result = body_open(context, body, item);
    if (result == 0 && option(context, "--fields") == NULL) {
        result = fields_list(context, body, item->name);
    } else if (result == 0) {
        (void)snprintf(made, sizeof made, "%s.consent-disclosure", item->name);
        result = disclose(context, item, body, path == NULL ? made : path);
    }
    free(body);
    return result;
}

/* ---- verify --disclosure */

/* Meant for whom, and now? What --to and --nonce ask for has to be there. */
static int address_judge(struct context *context, const struct cl_disclosure_file *file, const struct cl_verify_options *options)
{
    const char *to = option(context, "--to"), *nonce = option(context, "--nonce");
    const struct cl_disclosure_address *address = &file->address;
    struct cl_public_key wanted;
    if (to != NULL && cl_public_key_decode(&wanted, to) != CL_OK)
        return output_fail(&context->output, CL_E_KEY, "'%.80s'", to);
    if ((to != NULL || nonce != NULL) && !file->addressed)
        return output_fail(&context->output, CL_E_PROOF, "The disclosure is not addressed to anybody: it may have been passed on. Ask for one that is ('consent disclose' with --to and --nonce).");
    if (to != NULL && (!address->has_recipient || memcmp(wanted.bytes, address->recipient.bytes, 33) != 0))
        return output_fail(&context->output, CL_E_PROOF, "The disclosure is meant for somebody else.");
    if (nonce != NULL && strcmp(nonce, address->nonce) != 0)
        return output_fail(&context->output, CL_E_PROOF, "The disclosure answers another nonce.");
    if (!file->addressed)
        return 0;
    if (address->time_ms > options->now_ms + CL_RECORD_AHEAD_MS_MAX)
        return output_fail(&context->output, CL_E_PROOF, "The disclosure's time lies in the future.");
    if (options->max_age_ms > 0 && address->time_ms < options->now_ms && options->now_ms - address->time_ms > options->max_age_ms) {
        char age[TIME_TEXT_SIZE];
        age_text(age, (options->now_ms - address->time_ms) / 1000u);
        return output_fail(&context->output, CL_E_PROOF_OLD, "The disclosure was signed %s ago.", age);
    }
    return 0;
}

static int judge(struct context *context, const struct cl_disclosure_file *file, const struct cl_verify_report *report, const struct cl_verify_options *options)
{
    char did[CL_DID_KEY_SIZE];
    enum cl_status status = cl_disclosure_check(file, report);
    if (status == CL_E_PARTY) {
        cl_did_key_encode(did, &file->address.signer);
        return output_fail(&context->output, CL_E_PROOF, "The disclosure is signed by %s, which the proof names neither as a side nor as the owner.", did);
    }
    if (status == CL_E_OBJECT_KIND)
        return output_fail(&context->output, CL_E_PROOF, "The proof is of nothing that a disclosure could belong to.");
    if (status == CL_E_BODY)
        return output_fail(&context->output, status, "The disclosure is of something else than the proof.");
    if (status != CL_OK)
        return output_fail(&context->output, status, "(the disclosure's)");
    return address_judge(context, file, options);
}

static json_t *address_json(const struct cl_disclosure_address *address)
{
    char did[CL_DID_KEY_SIZE];
    cl_did_key_encode(did, &address->signer);
    json_t *json = json_pack("{s:s, s:I, s:o}", "signer", did, "time_ms", (json_int_t)address->time_ms, "nonce", address->nonce[0] == '\0' ? json_null() : json_string(address->nonce));
    if (address->has_recipient)
        cl_did_key_encode(did, &address->recipient);
    (void)json_object_set_new(json, "to", address->has_recipient ? json_string(did) : json_null());
    return json;
}

int disclosed_judge(struct context *context, struct disclosed *out, const struct cl_verify_report *report, const struct cl_verify_options *options)
{
    const char *path = option(context, "--disclosure");
    struct cl_buffer data = {.secret = true};
    if (path == NULL)
        return option(context, "--to") != NULL || option(context, "--nonce") != NULL ? output_usage(&context->output, "--to and --nonce are asked of a disclosure: give its file with --disclosure FILE.") : 0;
    struct cl_disclosure_file *file = malloc(sizeof *file);
    int result = file == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : file_read(context, &data, path, CL_PROOF_BYTES_MAX);
    enum cl_status status = result == 0 ? cl_disclosure_decode(file, data.data, data.length) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status == CL_E_BODY || status == CL_E_SIGNATURE_HIGH_S || status == CL_E_MEMORY ? status : CL_E_PROOF, "%s: %s", path, status == CL_E_BODY ? "a field is not behind any of its digests." : cl_status_sentence(status));
    if (result == 0)
        result = judge(context, file, report, options);
    if (result == 0 && (status = cl_body_file_words(&out->words, &file->body)) != CL_OK)
        result = output_fail(&context->output, status, "%s", path);
    if (result == 0) {
        out->count = file->body.disclosure_count;
        out->addressed = file->addressed;
        out->address = file->address;
        out->json = json_pack("{s:s%, s:o, s:o}", "category", (const char *)file->body.category.data, file->body.category.length, "fields", fields_json(&file->body), "address", file->addressed ? address_json(&file->address) : json_null());
    }
    cl_buffer_wipe(&data);
    free(file);
    return result;
}

void disclosed_say(struct context *context, const struct disclosed *disclosed, const char *kind)
{
    char did[CL_DID_KEY_SIZE], time[TIME_TEXT_SIZE];
    const struct cl_disclosure_address *address = &disclosed->address;
    if (disclosed->count == 0 || context->output.json)
        return;
    output_line(&context->output, "Shown, and part of what the %s commits to (%zu field%s):", kind, disclosed->count, disclosed->count == 1 ? "" : "s");
    (void)fwrite(disclosed->words.data, 1, disclosed->words.length, stdout);
    if (!disclosed->addressed)
        return;
    time_text(time, address->time_ms / 1000u);
    if (address->has_recipient)
        cl_did_key_encode(did, &address->recipient);
    output_line(&context->output, "Signed for %s%s%s%s%s, at %s, by a key of the %s.", address->has_recipient ? did : "", address->has_recipient && address->nonce[0] != '\0' ? ", " : "",
                address->nonce[0] != '\0' ? "nonce '" : "", address->nonce, address->nonce[0] != '\0' ? "'" : "", time, kind);
    if ((address->has_recipient && option(context, "--to") == NULL) || (address->nonce[0] != '\0' && option(context, "--nonce") == NULL))
        output_say(&context->output, "Is that yours? With --to KEY and --nonce TEXT it is compared.");
}

void disclosed_deinit(struct disclosed *disclosed)
{
    cl_buffer_wipe(&disclosed->words);
    json_decref(disclosed->json);
}
