/* Connect codes that others made: where they come from, whether they read, and what they still open. */
#include "code.h"
#include "discover.h"

#include <termios.h>
#include <unistd.h>

bool code_in_argument(const char *argument) { return strncmp(argument, CL_CODE_PREFIX, sizeof CL_CODE_PREFIX - 1) == 0; }

/* A line from the terminal, without echo. Not in the terminal's own line editor, which holds 4,095 characters and cuts. */
static int ask_code(struct context *context, struct cl_buffer *out)
{
    struct termios before, raw;
    enum cl_status status = CL_OK;
    char c = 0;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return output_fail(&context->output, CL_E_IO, "The terminal cannot be asked.");
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    (void)fputs("Paste the code (it is not shown) and press Enter: ", stderr);
    while (status == CL_OK && read(STDIN_FILENO, &c, 1) == 1 && c != '\n' && c != '\r' && c != raw.c_cc[VEOF]) {
        if (c != '\b' && c != 0x7f)
            status = out->length < CL_CODE_TEXT_BYTES_MAX ? cl_buffer_append(out, &c, 1) : CL_E_BOUND;
        else if (out->length > 0)
            out->length--;
    }
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    (void)fputc('\n', stderr);
    if (http_interrupted)
        status = CL_E_CANCELLED;
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

static bool is_space(uint8_t byte) { return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n'; }

int code_file_read(struct context *context, struct cl_buffer *data, bool *is_code, const char *path)
{
    bool asked = strcmp(path, "-") == 0 && isatty(STDIN_FILENO) == 1;
    int result = asked ? ask_code(context, data) : file_read(context, data, path, CODE_PICTURE_BYTES_MAX);
    if (result == 0 && code_is_picture(data))
        result = code_from_picture(context, data, path);
    size_t from = 0, length = result == 0 ? data->length : 0;
    while (from < length && is_space(data->data[from]))
        from++;
    *is_code = length - from >= sizeof CL_CODE_PREFIX - 1 && memcmp(data->data + from, CL_CODE_PREFIX, sizeof CL_CODE_PREFIX - 1) == 0;
    if (!*is_code)
        return result;
    while (is_space(data->data[length - 1])) /* base45 never ends in a space */
        length--;
    memmove(data->data, data->data + from, length - from);
    data->length = length - from;
    return 0;
}

int code_decode(struct context *context, struct cl_code *out, const struct cl_buffer *text, const char *path)
{
    enum cl_status status = cl_code_decode(out, (const char *)text->data, text->length);
    if (status == CL_OK || status == CL_E_VERSION || status == CL_E_MEMORY)
        return status == CL_OK ? 0 : output_fail(&context->output, status, "%s", path);
    return output_fail(&context->output, status, "The code (%s) is damaged: characters are missing or changed, as when a text is cut or its lines are broken. Have it sent again, best as a file or a picture.", path);
}

int code_usable(struct context *context, const struct cl_code *code)
{
    const struct cl_wallet_network *network = &context->wallet->network;
    char until[TIME_TEXT_SIZE];
    if (network->known && memcmp(network->id.bytes, code->network.bytes, 32) != 0)
        return output_fail(&context->output, CL_E_NETWORK, "The code is for the network %s, this wallet keeps to %s (%s). Use a wallet of that network, or a new one: --wallet FILE.", id_short(code->network.bytes), network->origin, id_short(network->id.bytes));
    if (!code->expiry.present || time_now_ms() / 1000 < code->expiry.seconds)
        return 0;
    time_until_text(until, code->expiry.seconds);
    return output_fail(&context->output, CL_E_EXPIRED, "The code was good until %s. Ask whoever gave it to you for a new one.", until);
}

static const char *meaning(enum cl_status status)
{
    if (status == CL_E_LIMIT)
        return "The code is used up: as many as it was made for have answered. Ask whoever gave it to you for a new one.";
    if (status == CL_E_ANSWERED)
        return "You have answered with this code before: 'consent list' shows what came of it.";
    if (status == CL_E_CLOSED || status == CL_E_FINAL)
        return "The code no longer opens anything: it was cancelled. Ask whoever gave it to you for a new one.";
    if (status == CL_E_EXPIRED)
        return "The time in which the code could be used is over. Ask whoever gave it to you for a new one.";
    if (status == CL_E_STATUS || status == CL_E_HEAD || status == CL_E_TURN)
        return "The code has been used: it opens one agreement, and somebody has answered. If that was not you, tell whoever gave you the code: they can withdraw, and give you a new one.";
    if (status == CL_E_AUDIENCE)
        return "The code does not fit its offer: it is damaged, or made up. Have it sent again.";
    return NULL;
}

void code_say_refused(struct context *context, enum cl_status why)
{
    if (context->has_token && meaning(why) != NULL)
        output_warn(&context->output, "%s", meaning(why));
}

static enum cl_status terms_open(const struct cl_terms *terms, uint64_t now_s)
{
    if (!terms->open)
        return CL_E_CLOSED;
    if (terms->not_after.present && now_s >= terms->not_after.seconds)
        return CL_E_EXPIRED;
    return terms->answers >= terms->limit ? CL_E_LIMIT : CL_OK;
}

static enum cl_status offer_open_still(struct context *context, const struct object *object, uint64_t now_s)
{
    const struct cl_agreement *agreement = &object->as.agreement;
    if (agreement->status >= CL_REFUSED)
        return CL_E_FINAL;
    if (agreement->audience.kind == 0) /* both sides are known */
        return side_by_keys(context, object) == CL_SIDE_NONE ? CL_E_STATUS : CL_OK;
    return agreement->not_after.present && now_s >= agreement->not_after.seconds ? CL_E_EXPIRED : CL_OK;
}

int code_opens(struct context *context, const struct cl_code *code, const struct object *object)
{
    struct cl_public_key key;
    bool of_terms = object->kind == CL_STATE_TERMS;
    uint64_t now_s = time_now_ms() / 1000;
    if (object->kind != (code->kind == CL_ITEM_TERMS ? CL_STATE_TERMS : CL_STATE_AGREEMENT))
        return output_fail(&context->output, CL_E_AUDIENCE, "%s", meaning(CL_E_AUDIENCE));
    const struct cl_audience *audience = of_terms ? &object->as.terms.audience : &object->as.agreement.audience;
    bool fits = cl_secret_public(&key, code->secret32) == CL_OK && audience->kind == CL_AUDIENCE_TOKEN && memcmp(audience->bytes, key.bytes, 33) == 0;
    enum cl_status status = of_terms ? terms_open(&object->as.terms, now_s) : offer_open_still(context, object, now_s);
    if (status == CL_OK && !fits && (of_terms || audience->kind != 0))
        status = CL_E_AUDIENCE;
    return status == CL_OK ? 0 : output_fail(&context->output, status, "%s", meaning(status));
}
