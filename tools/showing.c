/* What arrived under a slot, said to a person: "ben: phone is now +31 6 2222 2222". Only short text, and only what cannot play
   tricks on a terminal; all else is in its file. */
#include "opening.h"

#include <unistd.h>

#define SHOWN_BYTES_MAX 1024u
#define SHOWN_LINES_MAX 8u

/* UTF-8 without controls (C0 but line ends and tabs, DEL, C1) and without marks that turn the direction of writing. */
static bool is_harmless(const struct cl_view *text)
{
    const uint8_t *at = text->data;
    size_t lines = 0;
    for (size_t i = 0; i < text->length; i++) {
        uint8_t next = i + 1 < text->length ? at[i + 1] : 0, third = i + 2 < text->length ? at[i + 2] : 0;
        lines += at[i] == '\n' ? 1 : 0;
        if ((at[i] < ' ' && at[i] != '\n' && at[i] != '\r' && at[i] != '\t') || at[i] == 0x7f || (at[i] == 0xc2 && next < 0xa0))
            return false;
        if (at[i] == 0xe2 && ((next == 0x80 && (third == 0x8e || third == 0x8f || (third >= 0xa8 && third <= 0xae))) || (next == 0x81 && third >= 0xa6 && third <= 0xa9)))
            return false;
    }
    json_t *valid = text->length == 0 ? NULL : json_stringn((const char *)text->data, text->length);
    json_decref(valid);
    return valid != NULL && lines <= SHOWN_LINES_MAX;
}

void delivery_show(struct opening *opening, const struct cl_delivery *delivery, const struct cl_view *content)
{
    struct context *context = opening->context;
    const struct subject *subject = &opening->subject;
    const struct cl_wallet_item *item = subject_item(context, subject);
    struct cl_terms_text *text = item == NULL ? NULL : body_text_of(item, subject->object.as.agreement.commitment);
    char number[16];
    size_t length = content->length;
    if (delivery->has_slot && (delivery->kind == CL_DELIVERY_DATA || delivery->kind == CL_DELIVERY_CHANGE) && strncmp(delivery->media_type, "text/", 5) == 0 && !context->output.json &&
        content->length <= SHOWN_BYTES_MAX && (flag(context, "--show") || isatty(STDOUT_FILENO) == 1) && is_harmless(content)) {
        (void)snprintf(number, sizeof number, "slot %u", delivery->slot);
        const struct cl_terms_slot *slot = text == NULL ? NULL : cl_terms_slot_find(text, number + 5);
        while (length > 0 && (content->data[length - 1] == '\n' || content->data[length - 1] == '\r'))
            length--;
        bool lines = memchr(content->data, '\n', length) != NULL;
        output_line(&context->output, "%s: %s is%s%s%.*s", subject->item_name[0] != '\0' ? subject->item_name : id_short(subject->object.id.bytes), slot != NULL && slot->name != NULL ? output_printable(slot->name, strnlen(slot->name, 80)) : number,
                    delivery->kind == CL_DELIVERY_CHANGE ? " now" : "", lines ? ":\n" : " ", (int)length, (const char *)content->data);
    }
    cl_terms_text_free(text);
}
