/* Connect codes made here: what goes into them, and how they are handed over: as a file, a picture, on the terminal. */
#include "code.h"
#include "qr.h"

#include <sys/ioctl.h>
#include <unistd.h>

bool code_drawn(const struct context *context) { return flag(context, "--qr") || option(context, "--png") != NULL || option(context, "--svg") != NULL; }

bool code_wanted(const struct context *context) { return option(context, "--code") != NULL || code_drawn(context); }

/* --expires: a date, a time, or an age from now. */
static int expires_option(struct context *context, struct cl_optional_time *out)
{
    const char *text = option(context, "--expires");
    uint64_t now_ms = time_now_ms(), milliseconds = 0;
    *out = (struct cl_optional_time){.present = text != NULL};
    if (text == NULL)
        return 0;
    if (duration_parse(&milliseconds, text) && milliseconds <= (CL_SECONDS_MAX - now_ms / 1000) * 1000)
        out->seconds = (now_ms + milliseconds) / 1000;
    else if (!time_parse(&out->seconds, text, true))
        return output_usage(&context->output, "'%.40s' is neither a time from now (10m, 24h, 7d) nor a date (2027-06-30) nor a time (2027-06-30T12:00:00Z).", text);
    return out->seconds > now_ms / 1000 ? 0 : output_usage(&context->output, "A code that ends at '%.40s' is over already.", text);
}

/* --code-node URL,URL, else the node in use. */
static int nodes_option(struct context *context, struct cl_code *code)
{
    const char *list = option(context, "--code-node");
    for (const char *at = list == NULL ? context->node_url : list; *at != '\0';) {
        size_t length = strcspn(at, ",");
        if (!cl_code_url_usable(at, length))
            return output_usage(&context->output, "'%.*s' cannot stand in a code as the URL of a node: http:// or https://, at most %u characters. --code-node URL names one.", (int)(length < 200 ? length : 200), at, CL_CODE_URL_BYTES_MAX);
        if (code->url_count == CL_CODE_URLS_MAX)
            return output_usage(&context->output, "A code names at most %u nodes.", CL_CODE_URLS_MAX);
        memcpy(code->urls[code->url_count], at, length);
        code->urls[code->url_count++][length] = '\0';
        at += length + (at[length] == ',' ? 1 : 0);
    }
    return 0;
}

int code_options_check(struct context *context)
{
    struct cl_optional_time expires;
    struct cl_code code = {0};
    if (flag(context, "--qr") && context->output.json)
        return output_usage(&context->output, "--qr draws for people; with --json, write a picture: --png FILE or --svg FILE.");
    int result = expires_option(context, &expires);
    return result == 0 ? nodes_option(context, &code) : result;
}

int code_fill(struct context *context, struct cl_code *code, const struct cl_wallet_item *item, const struct cl_optional_time *until)
{
    code->network = context->wallet->network.id;
    code->object = item->object;
    code->kind = item->kind;
    code->body_file.secret = true;
    int result = expires_option(context, &code->expiry);
    if (result == 0)
        result = nodes_option(context, code);
    if (until->present && (!code->expiry.present || until->seconds < code->expiry.seconds))
        code->expiry = *until;
    if (result != 0 || flag(context, "--without-text") || item->body_count == 0)
        return result;
    const struct cl_buffer *body = &item->bodies[item->body_count - 1];
    enum cl_status status = cl_buffer_append(&code->body_file, body->data, body->length);
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

/* For a terminal that is too narrow it is not drawn at all: half of it is of no use. */
static int fits_terminal(struct context *context, const struct qr *qr)
{
    struct winsize size;
    if (!flag(context, "--qr") || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_col >= qr_terminal_columns(qr))
        return 0;
    return output_fail(&context->output, CL_E_BOUND, "The QR code takes %zu columns, this terminal has %u: make it wider or its letters smaller, or write a picture with --png FILE. --without-text makes the code smaller.", qr_terminal_columns(qr), size.ws_col);
}

static int draw(struct context *context, struct qr *qr, const struct cl_buffer *text, const char *name)
{
    enum cl_status status = qr_new(qr, (const char *)text->data, text->length);
    if (status == CL_E_BOUND)
        return output_fail(&context->output, status, "The code has %zu characters, a QR code holds %u. Hand over its text instead (in a file), or leave the terms out of the code with --without-text: the other side then takes them in with 'consent import FILE' from what 'consent export %s' wrote.", text->length, QR_TEXT_MAX, name == NULL ? "NAME" : name);
    return status == CL_OK ? fits_terminal(context, qr) : output_fail(&context->output, status, NULL);
}

static int write_picture(struct context *context, const struct qr *qr, const char *path, enum cl_status (*make)(struct cl_buffer *, const struct qr *))
{
    struct cl_buffer picture = {.secret = true};
    if (path == NULL)
        return 0;
    enum cl_status status = make(&picture, qr);
    int result = status == CL_OK ? file_write(context, path, picture.data, picture.length, true) : output_fail(&context->output, status, NULL);
    if (result == 0 && strcmp(path, "-") != 0)
        output_say(&context->output, "The code is drawn in %s.", path);
    cl_buffer_wipe(&picture);
    return result;
}

static int show_on_terminal(struct context *context, const struct qr *qr)
{
    struct cl_buffer drawing = {.secret = true};
    if (!flag(context, "--qr"))
        return 0;
    enum cl_status status = qr_terminal(&drawing, qr, context->output.colour);
    int result = status == CL_OK ? file_write(context, "-", drawing.data, drawing.length, false) : output_fail(&context->output, status, NULL);
    cl_buffer_wipe(&drawing);
    return result;
}

/* "only this machine reaches": what a test is happy with and a customer is not. */
static void say_nodes(struct context *context, const struct cl_code *code)
{
    for (size_t i = 0; i < code->url_count; i++) {
        const char *host = strstr(code->urls[i], "//") + 2;
        if (strncmp(host, "127.", 4) == 0 || strncmp(host, "localhost", 9) == 0 || strncmp(host, "[::1]", 5) == 0)
            output_say(&context->output, "The code names the node %s, which only this machine reaches; --code-node URL names one that others reach.", code->urls[i]);
    }
}

int code_hand_over(struct context *context, const struct cl_code *code, const char *path, const char *name)
{
    struct cl_buffer text = {.secret = true};
    struct qr qr = {0};
    int result = 0;
    enum cl_status status = cl_code_encode(&text, code);
    if (status != CL_OK)
        return output_fail(&context->output, status, "The code cannot be made; --without-text leaves the terms out of it.");
    if (code_drawn(context))
        result = draw(context, &qr, &text, name);
    status = result == 0 ? cl_buffer_append(&text, "\n", 1) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, NULL);
    if (result == 0 && path != NULL)
        result = file_write(context, path, text.data, text.length, true);
    if (result == 0 && path != NULL && strcmp(path, "-") != 0)
        output_say(&context->output, "The code is in %s.", path);
    if (result == 0)
        result = write_picture(context, &qr, option(context, "--png"), qr_png);
    if (result == 0)
        result = write_picture(context, &qr, option(context, "--svg"), qr_svg);
    if (result == 0)
        result = show_on_terminal(context, &qr);
    if (result == 0 && name != NULL) {
        char until[TIME_TEXT_SIZE] = "";
        if (code->expiry.present)
            time_until_text(until, code->expiry.seconds);
        say_nodes(context, code);
        output_say(&context->output, "Whoever holds the code may answer%s%s; 'consent revoke %s' cancels it.", code->expiry.present ? " until " : "", until, name);
    }
    qr_deinit(&qr);
    cl_buffer_wipe(&text);
    return result;
}
