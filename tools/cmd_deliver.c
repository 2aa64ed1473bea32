/* consent deliver: what an agreement is about, sealed into files for the other side. */
#include "consent/schedule.h"
#include "delivery_log.h"
#include "mailbox.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

int delivery_party_open(struct context *context, struct delivery_party *out, const struct cl_party *party)
{
    struct cl_object_id id;
    *out = (struct delivery_party){.has_delivery = false};
    if (party->length == 33) {
        memcpy(out->signers.key.bytes, party->bytes, 33);
        return 0;
    }
    if (party->length != 32)
        return output_fail(&context->output, CL_E_STATUS, "Nobody is the other side yet.");
    memcpy(id.bytes, party->bytes, 32);
    int result = object_fetch(context, &out->object, &id, true);
    if (result != 0)
        return result;
    const struct object *object = &out->object;
    if (object->kind == CL_STATE_PROFILE) {
        memcpy(out->signers.key.bytes, object->as.profile.key, 33);
        memcpy(out->delivery32, object->as.profile.delivery, 32);
        out->has_delivery = true;
        out->signers.delegations = object->as.profile.delegations;
        out->signers.delegation_count = object->as.profile.delegation_count;
    } else if (object->kind == CL_STATE_TERMS) {
        memcpy(out->signers.key.bytes, object->as.terms.owner, 33);
        out->signers.delegations = object->as.terms.delegations;
        out->signers.delegation_count = object->as.terms.delegation_count;
    } else {
        delivery_party_close(out);
        return output_fail(&context->output, CL_E_OBJECT_KIND, "A party of this agreement is neither a key, nor terms, nor a profile.");
    }
    return 0;
}

void delivery_party_close(struct delivery_party *party) { object_deinit(&party->object); }

const char *delivery_slot_text(const struct cl_wallet_item *item, const struct cl_agreement *agreement, bool has_slot, uint8_t slot)
{
    static char out[160];
    char number[8];
    if (!has_slot)
        return "no slot";
    (void)snprintf(number, sizeof number, "%u", slot);
    struct cl_terms_text *text = item == NULL ? NULL : body_text_of(item, agreement->commitment);
    const struct cl_terms_slot *found = text == NULL ? NULL : cl_terms_slot_find(text, number);
    if (found != NULL && found->name != NULL)
        (void)snprintf(out, sizeof out, "slot %u (%s)", slot, output_printable(found->name, strnlen(found->name, 100)));
    else
        (void)snprintf(out, sizeof out, "slot %u", slot);
    cl_terms_text_free(text);
    return out;
}

static const char *subject_name(const struct subject *subject)
{
    return subject->item_name[0] != '\0' ? subject->item_name : id_short(subject->object.id.bytes);
}

/* Whose side this key may deliver for: ours, or, where neither is, that of which it is a delegate. */
static int side_to_act_for(struct context *context, const struct subject *subject, const struct cl_public_key *key, enum cl_side *side)
{
    const struct cl_agreement *agreement = &subject->object.as.agreement;
    *side = CL_SIDE_NONE;
    for (enum cl_side tried = CL_SIDE_CUSTOMER; tried <= CL_SIDE_ORGANISATION && *side == CL_SIDE_NONE; tried++) {
        struct delivery_party party;
        if (subject->side != CL_SIDE_NONE && subject->side != tried)
            continue;
        int result = delivery_party_open(context, &party, subject_party(subject, tried));
        if (result != 0)
            return result;
        if (cl_delivery_signer_check(agreement, tried, &party.signers, key, time_now_ms()) == CL_OK)
            *side = tried;
        delivery_party_close(&party);
    }
    return *side != CL_SIDE_NONE ? 0 : output_fail(&context->output, CL_E_PARTY, "This key is neither a side of the agreement nor, now, a delegate that may deliver.");
}

static int nothing_delivered(struct context *context, const struct subject *subject, enum cl_status status)
{
    return output_fail(&context->output, status, "Nothing is delivered under '%s': no active slot, no delivery.", subject_name(subject));
}

/* An acknowledgement names the slot of what it is about. */
static int acknowledged_slot(struct context *context, const struct cl_delivery *delivery, int *slot)
{
    struct cl_exchange exchange;
    enum cl_status status = cl_exchange_load(&exchange, context->store, &delivery->agreement);
    if (status != CL_OK)
        return output_fail(&context->output, status, "What is kept of the exchange under this agreement.");
    const struct cl_exchange_delivery *received = cl_exchange_find(&exchange, delivery->acknowledges16, true);
    int result = received == NULL ? output_fail(&context->output, CL_E_NOT_FOUND, "No such delivery arrived in this wallet under this agreement.") : 0;
    if (received != NULL)
        *slot = received->has_slot ? received->slot : -1;
    cl_exchange_deinit(&exchange);
    return result;
}

/* The format that was agreed on for what this side gives under the slot; "" where none was. */
static void format_agreed(char out[CL_MEDIA_TYPE_BYTES_MAX + 1], struct context *context, const struct subject *subject, enum cl_side side, int slot)
{
    char number[8];
    const struct cl_wallet_item *item = subject_item(context, subject);
    struct cl_terms_text *text = item == NULL || slot < 0 ? NULL : body_text_of(item, subject->object.as.agreement.commitment);
    (void)snprintf(number, sizeof number, "%d", slot);
    const struct cl_terms_slot *found = text == NULL ? NULL : cl_terms_slot_find(text, number);
    bool gives = found != NULL && found->from_organisation == (side == CL_SIDE_ORGANISATION);
    (void)snprintf(out, CL_MEDIA_TYPE_BYTES_MAX + 1, "%s", gives && found->delivery_format != NULL && strlen(found->delivery_format) <= CL_MEDIA_TYPE_BYTES_MAX ? found->delivery_format : "");
    cl_terms_text_free(text);
}

/* What is not in that format would not count, and break the systems of whoever waits for it; so it is refused, and not sent with a
   warning that a nightly job's log swallows. Without --media-type it is taken to be in it, unless text was agreed and it is none. */
static int media_type_settle(struct context *context, struct cl_delivery *delivery, const struct subject *subject, const struct cl_buffer *content)
{
    const char *type = option(context, "--media-type");
    char agreed[CL_MEDIA_TYPE_BYTES_MAX + 1];
    if (delivery->kind == CL_DELIVERY_ACKNOWLEDGEMENT)
        return 0;
    format_agreed(agreed, context, subject, delivery->from, delivery->has_slot ? delivery->slot : -1);
    (void)snprintf(delivery->media_type, sizeof delivery->media_type, "%s", type != NULL ? type : agreed[0] != '\0' ? agreed : "application/octet-stream");
    if (agreed[0] == '\0')
        return 0;
    json_t *text = type == NULL && strncasecmp(agreed, "text/", 5) == 0 ? json_stringn((const char *)content->data, content->length) : json_null();
    bool fits = cl_schedule_format_fits(agreed, delivery->media_type) && (text != NULL || content->length == 0);
    json_decref(text);
    return fits ? 0 : output_fail(&context->output, CL_E_DELIVERY_FORMAT, "Slot %u is delivered as %s, and this is %s. Deliver that, or propose other terms with 'consent amend'; what belongs to no slot goes with --kind notice.", delivery->slot, agreed, type != NULL ? type : "no text in UTF-8 (--media-type says what it is)");
}

/* --slot, --kind, --media-type, --acknowledges. */
static int delivery_asked(struct context *context, struct cl_delivery *delivery, const struct subject *subject)
{
    const char *kind = option(context, "--kind"), *type = option(context, "--media-type"), *acknowledges = option(context, "--acknowledges");
    bool unused;
    int slot = -1;
    int result = slot_asked(context, subject_item(context, subject), subject->object.as.agreement.commitment, &slot, &unused);
    if (result != 0)
        return result;
    delivery->kind = CL_DELIVERY_DATA;
    if (acknowledges != NULL) {
        if (kind != NULL || type != NULL || positional(context, 1) != NULL || !cl_hex_decode(delivery->acknowledges16, 16, acknowledges))
            return output_usage(&context->output, "--acknowledges takes the 32 digits that 'consent open' showed, and neither a file nor a kind.");
        delivery->kind = CL_DELIVERY_ACKNOWLEDGEMENT;
        result = acknowledged_slot(context, delivery, &slot);
        if (result != 0)
            return result;
    } else if (kind != NULL && strcmp(kind, "change") == 0) {
        delivery->kind = CL_DELIVERY_CHANGE;
    } else if (kind != NULL && strcmp(kind, "notice") == 0) {
        delivery->kind = CL_DELIVERY_NOTICE;
    } else if (kind != NULL && strcmp(kind, "data") != 0) {
        return output_usage(&context->output, "A kind is data, change or notice.");
    }
    if (delivery->kind == CL_DELIVERY_NOTICE ? slot >= 0 : slot < 0 && acknowledges == NULL)
        return output_usage(&context->output, slot < 0 ? "Which slot is it for? Give --slot, or --kind notice for what belongs to none." : "A notice belongs to no slot.");
    if (acknowledges == NULL && (positional(context, 1) == NULL || (type != NULL && (strlen(type) > CL_MEDIA_TYPE_BYTES_MAX || strchr(type, '/') == NULL))))
        return output_usage(&context->output, positional(context, 1) == NULL ? "Which file? 'consent deliver AGREEMENT FILE …', - for standard input." : "A media type looks as text/csv, and has at most 127 characters.");
    delivery->has_slot = slot >= 0;
    delivery->slot = slot < 0 ? 0 : (uint8_t)slot;
    enum cl_status status = cl_delivery_check(&subject->object.as.agreement, delivery->from, delivery->has_slot, delivery->slot, delivery->sent_ms);
    return status == CL_OK ? 0 : nothing_delivered(context, subject, status);
}

/* The key to seal to, and the mailbox, "" where none is known: of the contact that the other side wrote, given now or kept;
   the key also of its PROFILE. */
static int recipient_find(struct context *context, uint8_t recipient32[32], char address[MAILBOX_ADDRESS_SIZE], const struct subject *subject, enum cl_side own)
{
    const char *path = option(context, "--contact");
    struct cl_buffer file = {0};
    struct cl_contact contact;
    struct delivery_party other;
    int result = delivery_party_open(context, &other, subject_party(subject, other_of(own)));
    if (result != 0)
        return result;
    delivery_party_close(&other); /* its keys stay */
    memcpy(recipient32, other.delivery32, 32);
    address[0] = '\0';
    result = path != NULL ? file_read(context, &file, path, CL_CONTACT_BYTES_MAX) : 0;
    if (result == 0 && path != NULL)
        result = contact_take(context, &file, path, &subject->object.id, own, &other.signers.key);
    file.length = 0;
    if (result == 0)
        result = contact_kept(context, &file, &subject->object.id); /* the newest */
    if (result == 0 && file.length == 0 && !other.has_delivery)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "The other side is a key, and only its owner can tell where deliveries are sealed to. Its contact comes to 'consent inbox' by itself where you connected by a code or an offer; else ask for what 'consent contact' writes there, and give it with --contact FILE.");
    if (result == 0 && file.length > 0) {
        enum cl_status status = cl_contact_decode(&contact, file.data, file.length);
        if (status == CL_OK)
            status = cl_contact_check(&contact, &context->wallet->network.id, &subject->object.id, own, &other.signers.key);
        if (status != CL_OK)
            result = output_fail(&context->output, status, "The contact that was kept is not of the other side's present key; ask for a fresh one, and give it with --contact FILE.");
    }
    if (result == 0 && file.length > 0) {
        memcpy(recipient32, contact.delivery32, 32);
        if (!contact_address(&contact, address))
            address[0] = '\0';
    }
    cl_buffer_deinit(&file);
    if (result == 0 && address[0] == '\0' && option(context, "--out") == NULL)
        result = output_usage(&context->output, "Where to? No mailbox of the other side is known yet: 'consent inbox' takes its contact in where you connected by a code or an offer; else ask for what 'consent contact' writes there, and give it with --contact FILE; or give a folder for the sealed parts with --out DIR.");
    return result;
}

int delivery_parts_write(struct context *context, const struct cl_delivery *delivery, struct cl_view content, const struct act_signer *signer, const uint8_t recipient32[32], const char *folder, json_t *files)
{
    struct cl_buffer sealed = {0};
    uint8_t random[4];
    char tag[9], path[4096];
    int result = folder_make(context, folder);
    if (result != 0)
        return result;
    if (cl_random_bytes(random, sizeof random) != CL_OK)
        return output_fail(&context->output, CL_E_IO, NULL);
    cl_hex_encode(tag, random, sizeof random);
    for (uint32_t i = 0; i < delivery->part_count && result == 0; i++) {
        sealed.length = 0;
        enum cl_status status = cl_delivery_seal(&sealed, delivery, i, content.data, content.length, &signer->signer, recipient32);
        if (status != CL_OK)
            result = output_fail(&context->output, status, NULL);
        else if ((size_t)snprintf(path, sizeof path, "%s/%s-%02u-of-%02u" DELIVERY_FILE_END, folder, tag, i + 1, delivery->part_count) >= sizeof path)
            result = output_usage(&context->output, "The folder's name is too long.");
        else
            result = file_write(context, path, sealed.data, sealed.length, true);
        if (result == 0 && files != NULL)
            (void)json_array_append_new(files, json_string(path));
        if (delivery->part_count > 1)
            output_progress(&context->output, "sealed", i + 1, delivery->part_count);
    }
    output_progress_end(&context->output);
    cl_buffer_deinit(&sealed);
    return result;
}

static int deliver(struct context *context, const struct subject *subject, struct act_signer *signer, enum cl_side side)
{
    uint8_t recipient32[32];
    char address[MAILBOX_ADDRESS_SIZE], folder[4096];
    const char *out = option(context, "--out");
    struct cl_delivery delivery = {.network = context->wallet->network.id, .agreement = subject->object.id, .from = side, .sent_ms = time_now_ms()};
    const struct cl_agreement *agreement = &subject->object.as.agreement;
    struct cl_buffer content = {.secret = true};
    char id[33];
    int result = delivery_asked(context, &delivery, subject);
    if (result == 0)
        result = recipient_find(context, recipient32, address, subject, side);
    if (result == 0 && delivery.kind != CL_DELIVERY_ACKNOWLEDGEMENT)
        result = file_read(context, &content, positional(context, 1), CL_DELIVERY_BYTES_MAX);
    if (result == 0)
        result = media_type_settle(context, &delivery, subject, &content);
    if (result == 0 && (cl_random_bytes(delivery.id16, 16) != CL_OK || cl_delivery_measure(&delivery, content.data, content.length) != CL_OK))
        result = output_fail(&context->output, CL_E_IO, NULL);
    if (result == 0 && out == NULL)
        result = outbox_folder(context, folder, delivery.id16);
    json_t *files = json_array();
    if (result == 0) {
        cl_hex_encode(id, delivery.id16, 16);
        output_say(&context->output, "You deliver %s under '%s', %s: %llu bytes, sealed so that only the other side can read them.", delivery.kind == CL_DELIVERY_DATA ? "data" : delivery.kind == CL_DELIVERY_CHANGE ? "a change" : delivery.kind == CL_DELIVERY_NOTICE ? "a notice" : "an acknowledgement", subject_name(subject), delivery_slot_text(subject_item(context, subject), agreement, delivery.has_slot, delivery.slot), (unsigned long long)delivery.length);
        if (delivery.kind != CL_DELIVERY_ACKNOWLEDGEMENT)
            result = delivery_log_begin(context, &delivery);
    }
    if (result == 0)
        result = delivery_parts_write(context, &delivery, (struct cl_view){content.data, content.length}, signer, recipient32, out != NULL ? out : folder, files);
    if (result == 0)
        result = out == NULL ? outbox_begin(context, folder, address, &delivery) : delivery_log_handed_over(context, &delivery.agreement, delivery.id16);
    if (result == 0 && delivery.kind == CL_DELIVERY_ACKNOWLEDGEMENT)
        result = delivery_log_acknowledged(context, &delivery.agreement, delivery.acknowledges16);
    if (result == 0 && out == NULL) {
        output_line(&context->output, "delivery %s is in the other side's mailbox", id);
        output_json(&context->output, json_pack("{s:s, s:s, s:I, s:s, s:i}", "delivery", id, "agreement", id_text(subject->object.id.bytes), "bytes", (json_int_t)delivery.length, "kind", cl_delivery_kind_name(delivery.kind), "parts", (int)delivery.part_count));
    } else if (result == 0) {
        output_line(&context->output, "delivery %s: %u sealed %s in %s", id, delivery.part_count, delivery.part_count == 1 ? "part" : "parts", out);
        output_say(&context->output, "Hand over the files of this delivery, all of them, in any order and by any way; the other side opens them with 'consent open'.");
        output_json(&context->output, json_pack("{s:s, s:s, s:I, s:s, s:O}", "delivery", id, "agreement", id_text(subject->object.id.bytes), "bytes", (json_int_t)delivery.length, "kind", cl_delivery_kind_name(delivery.kind), "files", files));
    }
    json_decref(files);
    cl_buffer_deinit(&content);
    return result;
}

int run_deliver(struct context *context)
{
    struct subject subject;
    struct act_signer signer;
    enum cl_side side;
    if (flag(context, "--resume")) {
        int resumed = positional(context, 0) != NULL ? output_usage(&context->output, "--resume goes on with everything that waits; it takes no agreement.") : network_open(context);
        return resumed == 0 ? outbox_resume(context) : resumed;
    }
    if (positional(context, 0) == NULL)
        return output_usage(&context->output, "Under which agreement? 'consent deliver AGREEMENT FILE --slot …'.");
    int result = agreement_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    enum cl_status status = cl_delivery_check(&subject.object.as.agreement, CL_SIDE_CUSTOMER, false, 0, time_now_ms()); /* either side: it is in force */
    if (status != CL_OK)
        result = nothing_delivered(context, &subject, status);
    if (result == 0)
        result = subject_signer(context, &signer, &subject);
    if (result == 0)
        result = side_to_act_for(context, &subject, &signer.signer.key, &side);
    if (result == 0)
        result = deliver(context, &subject, &signer, side);
    subject_close(&subject);
    return result;
}
