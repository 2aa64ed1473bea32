/* Receptions, and contacts that go both ways by themselves (connect.h). */
#include "connect.h"
#include "consent/exchange.h"
#include "delivery_log.h"
#include "discover.h"

/* ---- receptions */

static void reception_fill(struct context *context, struct cl_reception *out, const char *address, const struct cl_wallet_key *key)
{
    uint8_t secret[32];
    const char *slash = strchr(address, '/');
    struct cl_reception made = {.present = true, .in_return = mailbox_in_return(key)};
    enum cl_status status = cl_wallet_key_secret(secret, context->wallet, key);
    if (status == CL_OK)
        cl_delivery_key_of(made.delivery32, secret);
    cl_wipe_bytes(secret, sizeof secret);
    if (status != CL_OK || slash == NULL || (size_t)(slash - address) > CL_MEMBER_NAME_BYTES_MAX || !cl_hex_decode(made.mailbox32, 32, slash + 1))
        return;
    memcpy(made.node, address, (size_t)(slash - address));
    *out = made;
}

void reception_open(struct context *context, struct cl_reception *out, const struct cl_object_id *object, bool in_return)
{
    char address[MAILBOX_ADDRESS_SIZE] = "";
    struct cl_wallet_key key;
    bool soft = context->output.soft;
    *out = (struct cl_reception){.present = false};
    if (flag(context, "--no-mailbox"))
        return;
    context->output.soft = true;
    int result = mailbox_own(context, object, in_return, address, &key);
    context->output.soft = soft;
    if (result == 0 && address[0] != '\0')
        reception_fill(context, out, address, &key);
    if (result != 0)
        output_warn(&context->output, "So it names no mailbox of yours: whoever answers has to hand you a contact as a file ('consent contact').");
    else if (!out->present)
        output_say(&context->output, "%s keeps no mailboxes, so none of yours is named: whoever answers has to hand you a contact as a file ('consent contact').", context->node_url);
}

void reception_again(struct context *context, struct cl_reception *out, const struct cl_object_id *object)
{
    *out = (struct cl_reception){.present = false};
    if (mailbox_of(context, object) != NULL)
        reception_open(context, out, object, false);
}

/* ---- our contact on its way */

void reception_address(const struct cl_reception *reception, char address[MAILBOX_ADDRESS_SIZE])
{
    char hex[65];
    cl_hex_encode(hex, reception->mailbox32, 32);
    (void)snprintf(address, MAILBOX_ADDRESS_SIZE, "%s/%s", reception->node, hex);
}

/* Where the other side takes it: in the reception that came with the code, else as its own contact says. */
bool connect_recipient(const struct context *context, const struct cl_exchange *exchange, uint8_t recipient32[32], char address[MAILBOX_ADDRESS_SIZE])
{
    const struct cl_reception *reception = &context->reception;
    struct cl_contact contact;
    if (exchange->contact.length > 0) {
        if (cl_contact_decode(&contact, exchange->contact.data, exchange->contact.length) != CL_OK || !contact_address(&contact, address))
            return false;
        memcpy(recipient32, contact.delivery32, 32);
        return true;
    }
    if (!reception->present)
        return false;
    memcpy(recipient32, reception->delivery32, 32);
    reception_address(reception, address);
    return true;
}

int connect_notice(struct context *context, char folder[4096], const struct own_side *own, const char *media_type, struct cl_view content, const uint8_t recipient32[32], const char *address)
{
    struct cl_delivery delivery = {.network = context->wallet->network.id, .agreement = own->id, .from = own->side, .sent_ms = time_now_ms(), .kind = CL_DELIVERY_NOTICE};
    (void)snprintf(delivery.media_type, sizeof delivery.media_type, "%s", media_type);
    enum cl_status status = cl_random_bytes(delivery.id16, 16);
    if (status == CL_OK)
        status = cl_delivery_measure(&delivery, content.data, content.length);
    if (status != CL_OK)
        return output_fail(&context->output, status, NULL);
    int result = delivery_log_begin(context, &delivery);
    if (result == 0)
        result = outbox_folder(context, folder, delivery.id16);
    if (result == 0)
        result = delivery_parts_write(context, &delivery, content, own->signer, recipient32, folder, NULL);
    return result == 0 ? outbox_keep(context, folder, address, &delivery) : result;
}

/* Made, sealed, in the outbox: then it counts as sent, and whatever happens to it afterwards the outbox sees to. */
static int contact_put(struct context *context, char folder[4096], struct cl_exchange *exchange, const struct own_side *own, const uint8_t recipient32[32], const char *address)
{
    struct cl_buffer file = {0};
    uint64_t made_ms;
    int result = contact_make(context, &file, &made_ms, own, true, NULL);
    if (result == 0)
        result = connect_notice(context, folder, own, CL_MEDIA_TYPE_CONTACT, (struct cl_view){file.data, file.length}, recipient32, address);
    cl_buffer_deinit(&file);
    if (result != 0)
        return result;
    struct cl_exchange now; /* with what the log got meanwhile */
    enum cl_status status = cl_exchange_load(&now, context->store, &own->id);
    if (status == CL_OK) {
        now.contact_sent_ms = made_ms;
        status = cl_exchange_save(&now, context->store, &own->id);
        cl_exchange_deinit(&now);
    }
    exchange->contact_sent_ms = made_ms;
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

/* The PROFILE in whose name we act, if any: its delivery key is on the ledger, and only its own key speaks for it. */
static int profile_open(struct context *context, struct delivery_party *party, const uint8_t profile32[32], const struct act_signer *signer)
{
    struct cl_party profile = {.length = 32};
    memcpy(profile.bytes, profile32, 32);
    int result = delivery_party_open(context, party, &profile);
    if (result != 0 || memcmp(party->signers.key.bytes, signer->signer.key.bytes, 33) == 0)
        return result;
    delivery_party_close(party);
    return output_fail(&context->output, CL_E_PARTY, "A delegate does not sign its principal's contact.");
}

static int contact_send(struct context *context, const struct act *act, const struct cl_object_id *id, struct cl_exchange *exchange, bool final, const uint8_t recipient32[32], const char *address)
{
    const struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, id);
    char name[CL_NAME_BYTES_MAX + 1], folder[4096];
    struct act_signer signer;
    struct delivery_party party = {.has_delivery = false};
    struct own_side own = {.id = *id, .side = item->role, .signer = &signer, .name = name};
    memcpy(name, item->name, sizeof name);
    int result = signer_open(context, &signer, item->key_name);
    if (result == 0 && (act->entry.present & CL_HAS(13)) != 0)
        result = profile_open(context, &party, act->party, &signer);
    if (party.has_delivery)
        own.profile_delivery32 = party.delivery32;
    if (result == 0)
        result = contact_put(context, folder, exchange, &own, recipient32, address);
    if (result == 0 && final)
        result = outbox_send(context, folder);
    delivery_party_close(&party);
    return result;
}

void connect_answered(struct context *context, const struct act *act, const struct cl_object_id *object, bool final, json_t *json)
{
    const struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, object);
    struct cl_exchange exchange;
    uint8_t recipient32[32];
    char address[MAILBOX_ADDRESS_SIZE];
    bool answers = act->type == CL_GRANT || act->type == CL_SUBSCRIBE || act->type == CL_COUNTER, soft = context->output.soft;
    bool rotated = act->type == CL_ROTATE && option(context, "--to") == NULL && option(context, "--key") == NULL && option(context, "--signer") == NULL;
    if ((!answers && !rotated) || item == NULL || item->kind != CL_ITEM_AGREEMENT || item->role == CL_SIDE_NONE || flag(context, "--no-mailbox") || cl_exchange_load(&exchange, context->store, object) != CL_OK)
        return;
    if ((rotated ? exchange.contact.length > 0 : exchange.contact_sent_ms == 0) && connect_recipient(context, &exchange, recipient32, address)) {
        exchange.contact_sent_ms = 0;
        context->output.soft = true;
        if (rotated)
            mailbox_put_aside(context, object);
        int result = contact_send(context, act, object, &exchange, final, recipient32, address);
        context->output.soft = soft;
        bool kept = exchange.contact_sent_ms != 0;
        if (result == 0 && rotated)
            output_say(&context->output, "The other side is told your new key, and a new mailbox; it delivers there from its next 'consent inbox' on.");
        else if (rotated)
            output_warn(&context->output, kept ? "The key is replaced. That did not reach the other side yet, which cannot deliver to you until then; the next 'consent inbox' tries again." : "The key is replaced, but the other side cannot deliver to you before you hand over what 'consent contact' writes.");
        else if (result == 0)
            output_say(&context->output, final ? "Your contact is in the other side's mailbox; theirs comes to 'consent inbox'." : "Your contact waits here; the next 'consent inbox' sends it, once your answer is on the ledger.");
        else
            output_warn(&context->output, kept ? "Your answer stands. Your contact did not reach the other side yet; the next 'consent inbox' tries again." : "Your answer stands, but the other side does not learn how to reach you: hand over what 'consent contact' writes.");
        (void)json_object_set_new(json, "contact", json_string(result == 0 && final ? "sent" : kept ? "waits" : "failed"));
    }
    cl_exchange_deinit(&exchange);
    if (final)
        in_return_give(context, act, object, json);
}

/* ---- the other side's contact has come */

int connect_adopt(struct opening *opening)
{
    struct context *context = opening->context;
    struct subject *subject = &opening->subject;
    if (subject_item(context, subject) != NULL)
        return 0;
    int result = entry_adopt(context, &subject->object, subject->side, NULL);
    if (result == 0)
        result = wallet_save(context);
    if (result == 0)
        result = wallet_backup(context, NULL);
    const struct cl_wallet_item *item = subject_item(context, subject);
    if (item != NULL)
        (void)snprintf(subject->item_name, sizeof subject->item_name, "%s", item->name);
    return result;
}

/* With ours, once, and not before we agreed ourselves. */
static void reply(struct opening *opening)
{
    struct context *context = opening->context;
    const struct subject *subject = &opening->subject;
    struct cl_exchange exchange;
    struct act_signer signer;
    struct delivery_party party;
    uint8_t recipient32[32];
    char address[MAILBOX_ADDRESS_SIZE], folder[4096];
    bool soft = context->output.soft;
    if (cl_delivery_check(&subject->object.as.agreement, subject->side, false, 0, time_now_ms()) != CL_OK || cl_exchange_load(&exchange, context->store, &subject->object.id) != CL_OK)
        return;
    context->output.soft = true;
    bool wanted = exchange.contact_sent_ms == 0 && connect_recipient(context, &exchange, recipient32, address);
    int result = wanted ? delivery_party_open(context, &party, subject_party(subject, subject->side)) : 0;
    if (wanted && result == 0) {
        struct own_side own = {.id = subject->object.id, .side = subject->side, .signer = &signer, .name = subject->item_name, .profile_delivery32 = party.has_delivery ? party.delivery32 : NULL};
        result = subject_signer(context, &signer, subject);
        if (result == 0)
            result = contact_put(context, folder, &exchange, &own, recipient32, address);
        if (result == 0)
            result = outbox_send(context, folder);
        delivery_party_close(&party);
    }
    context->output.soft = soft;
    if (result != 0)
        output_warn(&context->output, exchange.contact_sent_ms != 0 ? "Your contact for '%s' did not reach the other side yet; the next 'consent inbox' tries again." : "The other side of '%s' does not learn how to reach you: hand over what 'consent contact' writes.", subject->item_name);
    cl_exchange_deinit(&exchange);
}

int connect_contact(struct opening *opening, struct cl_view content, enum cl_status *status)
{
    struct context *context = opening->context;
    struct subject *subject = &opening->subject;
    bool newer = false;
    *status = contact_learn(context, content, &subject->object.id, subject->side, &opening->other.signers.key, &newer);
    if (*status != CL_OK)
        return *status == CL_E_IO || *status == CL_E_MEMORY ? output_fail(&context->output, *status, NULL) : 0;
    int result = connect_adopt(opening);
    if (result != 0)
        return result;
    const char *name = subject->item_name;
    if (newer) {
        output_line(&context->output, "%s: the other side can be reached; 'consent deliver %s FILE --slot …'", name, name);
        (opening->many ? output_json_line : output_json)(&context->output, json_pack("{s:s, s:s, s:s}", "contact", "kept", "name", name, "agreement", id_text(subject->object.id.bytes)));
    } else {
        output_say(&context->output, "%s: a contact that is not newer than the kept one changes nothing.", name);
    }
    if (subject->object.as.agreement.turn == (uint8_t)subject->side)
        output_line(&context->output, "%s: %s; 'consent %s %s' answers", name, state_line(context, &subject->object), subject->side == CL_SIDE_CUSTOMER ? "grant" : "subscribe", name);
    reply(opening);
    return 0;
}
