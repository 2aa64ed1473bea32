/* What arrived under a slot, said to a person: "ben: phone is now +31 6 2222 2222". Only short text, and only what cannot play
   tricks on a terminal; all else is in its file. */
#include "opening.h"

#include <unistd.h>

#define SHOWN_BYTES_MAX 1024u
#define SHOWN_LINES_MAX 8u

/* The next line, without what ends it. False: there is none. */
static bool line_take(struct cl_view *line, struct cl_view *rest)
{
    const uint8_t *end = rest->length == 0 ? NULL : memchr(rest->data, '\n', rest->length);
    size_t length = end == NULL ? rest->length : (size_t)(end - rest->data), taken = end == NULL ? length : length + 1;
    if (rest->length == 0)
        return false;
    *line = (struct cl_view){rest->data, length > 0 && rest->data[length - 1] == '\r' ? length - 1 : length};
    *rest = (struct cl_view){rest->data + taken, rest->length - taken};
    return true;
}

/* Lines of harmless text, with tabs. */
static bool is_harmless(const struct cl_view *text)
{
    struct cl_view rest = *text, line;
    size_t lines = 0;
    while (line_take(&line, &rest)) {
        for (size_t at = 0, part; at <= line.length; at += part + 1) {
            const uint8_t *tab = at == line.length ? NULL : memchr(line.data + at, '\t', line.length - at);
            part = tab == NULL ? line.length - at : (size_t)(tab - line.data) - at;
            if (!output_harmless((const char *)line.data + at, part))
                return false;
        }
        if (++lines > SHOWN_LINES_MAX)
            return false;
    }
    return lines > 0;
}

void delivery_show(struct opening *opening, const struct cl_delivery *delivery, const struct cl_view *content)
{
    struct context *context = opening->context;
    const struct subject *subject = &opening->subject;
    const struct cl_wallet_item *item = subject_item(context, subject);
    struct cl_terms_text *text = item == NULL ? NULL : body_text_of(item, subject->object.as.agreement.commitment);
    char number[16];
    if (delivery->has_slot && (delivery->kind == CL_DELIVERY_DATA || delivery->kind == CL_DELIVERY_CHANGE) && strncmp(delivery->media_type, "text/", 5) == 0 && !context->output.json &&
        content->length <= SHOWN_BYTES_MAX && (flag(context, "--show") || isatty(STDOUT_FILENO) == 1) && is_harmless(content)) {
        (void)snprintf(number, sizeof number, "slot %u", delivery->slot);
        const struct cl_terms_slot *slot = text == NULL ? NULL : cl_terms_slot_find(text, number + 5);
        struct cl_view rest = *content, line = {NULL, 0}, first;
        const char *name = subject->item_name[0] != '\0' ? subject->item_name : id_short(subject->object.id.bytes), *what = slot != NULL && slot->name != NULL ? output_printable(slot->name, strnlen(slot->name, 80)) : number;
        const char *now = delivery->kind == CL_DELIVERY_CHANGE ? " now" : "";
        if (line_take(&first, &rest) && !line_take(&line, &rest)) {
            output_line(&context->output, "%s: %s is%s %.*s", name, what, now, (int)first.length, (const char *)first.data);
        } else { /* set in, so that none of them looks like another word of ours */
            output_line(&context->output, "%s: %s is%s:", name, what, now);
            for (rest = *content; line_take(&line, &rest);)
                output_line(&context->output, "    %.*s", (int)line.length, (const char *)line.data);
        }
    }
    cl_terms_text_free(text);
}
