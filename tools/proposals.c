/* Terms proposed in the place of others, on their way between the sides (proposals.h). */
#include "proposals.h"
#include "connect.h"

#include <stdlib.h>

/* ---- what they change */

/* A line each, with two spaces in front. Returns: how many differences; 0 also where there is no text before. */
static size_t differences_say(struct context *context, const struct cl_terms_text *before, const struct cl_terms_text *after, void (*line)(const struct output *, const char *, ...))
{
    struct cl_buffer page = {0};
    size_t differences = 0;
    if (before == NULL || after == NULL || cl_terms_text_diff(&page, &differences, before, after) != CL_OK)
        differences = 0;
    for (size_t at = 0; differences > 0 && at < page.length;) {
        const uint8_t *end = memchr(page.data + at, '\n', page.length - at);
        size_t length = end == NULL ? page.length - at : (size_t)(end - page.data) - at;
        line(&context->output, "  %s", output_printable((const char *)page.data + at, length));
        at += length + 1;
    }
    cl_buffer_deinit(&page);
    return differences;
}

void proposal_say(struct context *context, const struct cl_wallet_item *item, const uint8_t before32[32], const struct cl_terms_text *text)
{
    struct cl_terms_text *before = item == NULL ? NULL : body_text_of(item, before32);
    if (before != NULL) {
        output_say(&context->output, "What that changes:");
        if (differences_say(context, before, text, output_say) == 0)
            output_say(&context->output, "  nothing in the terms");
    }
    cl_terms_text_free(before);
}

/* ---- sending */

static int body_put(struct context *context, char folder[4096], const struct cl_wallet_item *item, const uint8_t recipient32[32], const char *address)
{
    struct act_signer signer;
    struct own_side own = {.id = item->object, .side = item->role, .signer = &signer, .name = item->name};
    const struct cl_buffer *body = &item->bodies[item->body_count - 1];
    int result = signer_open(context, &signer, item->key_name);
    return result == 0 ? connect_notice(context, folder, &own, CL_MEDIA_TYPE_BODY, (struct cl_view){body->data, body->length}, recipient32, address) : result;
}

void proposal_send(struct context *context, const struct act *act, const struct cl_object_id *object, bool final, json_t *json)
{
    const struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, object);
    struct cl_exchange exchange;
    uint8_t recipient32[32];
    char address[MAILBOX_ADDRESS_SIZE], folder[4096];
    bool proposes = act->type == CL_COUNTER || (act->type == CL_AMEND && (act->entry.present & CL_HAS(3)) != 0), soft = context->output.soft;
    if (!proposes || item == NULL || item->role == CL_SIDE_NONE || item->body_count == 0 || cl_exchange_load(&exchange, context->store, object) != CL_OK)
        return;
    bool known = !flag(context, "--no-mailbox") && connect_recipient(context, &exchange, recipient32, address), kept = false;
    cl_exchange_deinit(&exchange);
    context->output.soft = true;
    int result = known ? body_put(context, folder, item, recipient32, address) : 1;
    kept = result == 0;
    if (kept && final)
        result = outbox_send(context, folder);
    context->output.soft = soft;
    if (result == 0)
        output_say(&context->output, final ? "Their text is in the other side's mailbox, sealed." : "Their text waits here; the next 'consent inbox' sends it, once they are on the ledger.");
    else if (kept)
        output_warn(&context->output, "Their text did not reach the other side yet; the next 'consent inbox' tries again.");
    else if (option(context, "--output") == NULL)
        output_warn(&context->output, "The other side cannot read them yet: hand over what 'consent export %s -o FILE' writes.", item->name);
    (void)json_object_set_new(json, "terms", json_string(result == 0 && final ? "sent" : kept ? "waits" : "by hand"));
}

/* ---- receiving */

static bool commits(const struct cl_buffer *body, const uint8_t commitment32[32], struct cl_body_file *file)
{
    struct cl_commitment commitment;
    if (cl_body_file_decode(file, body->data, body->length) != CL_OK)
        return false;
    cl_body_file_commitment(&commitment, file);
    return memcmp(commitment.bytes, commitment32, 32) == 0;
}

void proposal_room(struct cl_wallet_item *item, const uint8_t present32[32])
{
    struct cl_body_file *file = item->body_count < CL_WALLET_BODIES_MAX ? NULL : malloc(sizeof *file);
    size_t kept = 0;
    if (file == NULL)
        return;
    for (size_t i = 0; i < item->body_count; i++)
        if (commits(&item->bodies[i], present32, file))
            item->bodies[kept++] = item->bodies[i];
        else
            cl_buffer_wipe(&item->bodies[i]);
    for (size_t i = kept; i < item->body_count; i++)
        item->bodies[i] = (struct cl_buffer){0};
    item->body_count = kept;
    free(file);
}

/* The text that they take the place of: of the terms in force, or what was offered last. */
static struct cl_terms_text *text_before(const struct cl_wallet_item *item, const struct cl_agreement *agreement, bool amends, const uint8_t new32[32], struct cl_body_file *file)
{
    struct cl_terms_text *text = amends ? body_text_of(item, agreement->commitment) : NULL;
    for (size_t i = item->body_count; i-- > 0 && !amends && text == NULL;)
        if (!commits(&item->bodies[i], new32, file) && cl_body_file_decode(file, item->bodies[i].data, item->bodies[i].length) == CL_OK && cl_body_file_text(&text, file) != CL_OK)
            text = NULL;
    return text;
}

static void proposal_tell(struct opening *opening, struct cl_terms_text *before, struct cl_terms_text *after, bool amends)
{
    struct context *context = opening->context;
    const struct subject *subject = &opening->subject;
    const char *name = subject->item_name;
    const struct cl_agreement *agreement = &subject->object.as.agreement;
    output_line(&context->output, "%s: the text of other terms is here%s", name, before == NULL ? "" : "; they change:");
    size_t differences = differences_say(context, before, after, output_line);
    if (amends)
        output_line(&context->output, "%s: 'consent amend %s --accept' accepts them", name, name);
    else if (agreement->turn == (uint8_t)subject->side)
        output_line(&context->output, "%s: %s; 'consent %s %s' accepts them, 'consent refuse %s' does not", name, state_line(context, &subject->object), subject->side == CL_SIDE_CUSTOMER ? "grant" : "subscribe", name, name);
    (opening->many ? output_json_line : output_json)(&context->output, json_pack("{s:s, s:s, s:s, s:i}", "terms", amends ? "amendment" : "counter-offer", "name", name, "agreement", id_text(subject->object.id.bytes), "differences", (int)differences));
}

int proposal_take(struct opening *opening, struct cl_view content, enum cl_status *status)
{
    struct context *context = opening->context;
    struct subject *subject = &opening->subject;
    const struct cl_agreement *agreement = &subject->object.as.agreement;
    struct cl_body_file *file = malloc(sizeof *file);
    struct cl_commitment commitment;
    int result = 0;
    *status = file == NULL ? CL_E_MEMORY : cl_body_file_decode(file, content.data, content.length);
    if (*status == CL_OK && memcmp(file->object.bytes, subject->object.id.bytes, 32) != 0)
        *status = CL_E_DELIVERY_AGREEMENT;
    if (*status == CL_OK) {
        cl_body_file_commitment(&commitment, file);
        bool amends = agreement->pending.present && memcmp(agreement->pending.commitment, commitment.bytes, 32) == 0;
        if (!amends && memcmp(agreement->commitment, commitment.bytes, 32) != 0)
            *status = CL_E_PENDING;
        if (*status == CL_OK)
            result = connect_adopt(opening);
        struct cl_wallet_item *item = *status == CL_OK && result == 0 ? subject_item(context, subject) : NULL;
        if (item != NULL) {
            struct cl_terms_text *before = text_before(item, agreement, amends, commitment.bytes, file);
            proposal_room(item, agreement->commitment);
            enum cl_status added = cl_wallet_item_body_add(item, content.data, content.length);
            result = added == CL_OK ? wallet_save(context) : output_fail(&context->output, added, NULL);
            struct cl_terms_text *after = body_text_of(item, commitment.bytes);
            if (result == 0)
                proposal_tell(opening, before, after, amends);
            cl_terms_text_free(before);
            cl_terms_text_free(after);
        }
    }
    free(file);
    return result;
}
