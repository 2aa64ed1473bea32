/* consent code show: a code once more, of an offer of one's own or out of a file. */
#include "act.h"
#include "code.h"
#include "connect.h"

#include <unistd.h>

/* The code of an offer of ours: its token key is one of the wallet's, and the offer still waits for answers. */
static int own_code(struct context *context, struct cl_code *code, struct subject *subject)
{
    const struct object *object = &subject->object;
    bool of_terms = object->kind == CL_STATE_TERMS;
    const struct cl_audience *audience = of_terms ? &object->as.terms.audience : &object->as.agreement.audience;
    const struct cl_optional_time *until = of_terms ? &object->as.terms.not_after : &object->as.agreement.not_after;
    const struct cl_wallet_item *item = subject_item(context, subject);
    char hex[67];
    if (object->kind == CL_STATE_PROFILE)
        return output_fail(&context->output, CL_E_OBJECT_KIND, "A profile has no code.");
    if (of_terms ? !object->as.terms.open : object->as.agreement.status >= CL_REFUSED)
        return output_fail(&context->output, CL_E_CLOSED, "'%s' takes no more answers, so its code opens nothing.", subject->item_name);
    if (audience->kind == 0)
        return output_fail(&context->output, CL_E_NOT_FOUND, of_terms ? "'%s' is open to anybody; nobody needs a code." : "'%s' has been answered: its code, if it had one, is used.", subject->item_name);
    if (audience->kind == CL_AUDIENCE_HASH)
        return output_fail(&context->output, CL_E_NOT_FOUND, "'%s' has no code: it is meant for somebody in particular.", subject->item_name);
    cl_hex_encode(hex, audience->bytes, 33);
    const struct cl_wallet_key *key = cl_wallet_key_find(context->wallet, hex);
    if (item == NULL || key == NULL)
        return output_fail(&context->output, CL_E_NOT_FOUND, "This wallet did not make the code; name the file that it is in.");
    enum cl_status status = cl_wallet_key_secret(code->secret32, context->wallet, key);
    reception_again(context, &code->reception, &item->object);
    return status == CL_OK ? code_fill(context, code, item, until) : output_fail(&context->output, status, NULL);
}

static int code_of_file(struct context *context, struct cl_code *code, const char *path)
{
    struct cl_buffer text = {.secret = true};
    bool is_code = false;
    if (option(context, "--expires") != NULL || option(context, "--code-node") != NULL)
        return output_usage(&context->output, "What a code says is settled when it is made; --expires and --code-node go with the name of an offer of yours.");
    int result = code_file_read(context, &text, &is_code, path);
    if (result == 0 && !is_code)
        result = output_fail(&context->output, CL_E_FORMAT, "%s holds no code: that begins with %s.", path, CL_CODE_PREFIX);
    if (result == 0)
        result = code_decode(context, code, &text, path);
    if (result == 0 && flag(context, "--without-text"))
        cl_buffer_wipe(&code->body_file);
    cl_buffer_wipe(&text);
    return result;
}

/* What it is, without the secret. */
static void describe(struct context *context, const struct cl_code *code)
{
    char until[TIME_TEXT_SIZE] = "";
    bool over = code->expiry.present && time_now_ms() / 1000 >= code->expiry.seconds;
    if (code->expiry.present)
        time_until_text(until, code->expiry.seconds);
    output_say(&context->output, "A code for %s %s, %s the text of its terms, on the network %s; %s%s%s.", code->kind == CL_ITEM_TERMS ? "the terms" : "the agreement", id_short(code->object.bytes),
               code->body_file.length > 0 ? "with" : "without", id_short(code->network.bytes), !code->expiry.present ? "good until it is cancelled" : over ? "it was good until " : "good until ", until, over ? ", which is over" : "");
    for (size_t i = 0; i < code->url_count; i++)
        output_say(&context->output, "Node: %s", code->urls[i]);
    if (code->reception.present)
        output_say(&context->output, "Who answers leaves a contact in its maker's mailbox at %s%s.", code->reception.node, code->reception.in_return ? "; the maker asks for the same in return" : "");
}

/* told: with the code itself, where it was written nowhere else. */
static json_t *code_json(const struct cl_code *code, bool told)
{
    struct cl_buffer text = {.secret = true};
    json_t *nodes = json_array(), *json = json_pack("{s:s, s:s, s:s, s:b}", "object", id_text(code->object.bytes), "kind", code->kind == CL_ITEM_TERMS ? "terms" : "agreement", "network_id", id_text(code->network.bytes), "text_included", code->body_file.length > 0);
    (void)json_object_set_new(json, "mailbox_at", code->reception.present ? json_string(code->reception.node) : json_null());
    (void)json_object_set_new(json, "in_return", json_boolean(code->reception.in_return));
    for (size_t i = 0; i < code->url_count; i++)
        (void)json_array_append_new(nodes, json_string(code->urls[i]));
    (void)json_object_set_new(json, "nodes", nodes);
    (void)json_object_set_new(json, "expires", code->expiry.present ? json_integer((json_int_t)code->expiry.seconds) : json_null());
    if (told && cl_code_encode(&text, code) == CL_OK)
        (void)json_object_set_new(json, "code", json_stringn((const char *)text.data, text.length));
    cl_buffer_wipe(&text);
    return json;
}

int run_code_show(struct context *context)
{
    const char *what = positional(context, 0), *path = option(context, "--output");
    struct cl_code code = {0};
    struct subject subject = {0};
    if (what == NULL)
        return output_usage(&context->output, "Which code? The name of an offer of yours, or the file that a code is in.");
    if (flag(context, "--qr") && context->output.json)
        return output_usage(&context->output, "--qr draws for people; with --json, write a picture: --png FILE or --svg FILE.");
    bool of_file = strcmp(what, "-") == 0 || access(what, F_OK) == 0;
    int result = of_file ? code_of_file(context, &code, what) : subject_open(context, &subject, what);
    if (result == 0 && !of_file)
        result = own_code(context, &code, &subject);
    if (result == 0) {
        describe(context, &code);
        if (!of_file)
            output_say(&context->output, "'%s': %s", subject.item_name, state_line(context, &subject.object));
        if (path == NULL && !code_drawn(context) && !context->output.json)
            path = "-";
        result = code_hand_over(context, &code, path, of_file ? NULL : subject.item_name);
    }
    if (result == 0)
        output_json(&context->output, code_json(&code, path == NULL && !code_drawn(context)));
    cl_code_deinit(&code);
    subject_close(&subject);
    return result;
}
