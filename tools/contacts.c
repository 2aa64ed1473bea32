/* Contacts: how each side of an agreement can be reached. The other side's is in the agreement's exchange file, the newest that
   it made; our own is written to a file (consent contact), or sent by itself (connect.c). */
#include "mailbox.h"
#include "consent/exchange.h"

int contact_kept(struct context *context, struct cl_buffer *out, const struct cl_object_id *id)
{
    struct cl_exchange exchange;
    enum cl_status status = cl_exchange_load(&exchange, context->store, id);
    if (status == CL_OK) {
        status = cl_buffer_append(out, exchange.contact.data, exchange.contact.length);
        cl_exchange_deinit(&exchange);
    }
    return status == CL_OK ? 0 : output_fail(&context->output, status, "What is kept of the exchange under this agreement.");
}

/* An older one never takes the place of a newer one, whoever sends it again. */
static enum cl_status keep(struct context *context, struct cl_view file, const struct cl_contact *contact, bool *newer)
{
    struct cl_exchange exchange;
    struct cl_contact before;
    enum cl_status status = cl_exchange_load(&exchange, context->store, &contact->agreement);
    if (status != CL_OK)
        return status;
    *newer = exchange.contact.length == 0 || cl_contact_decode(&before, exchange.contact.data, exchange.contact.length) != CL_OK || before.made_ms < contact->made_ms;
    if (*newer) {
        status = cl_buffer_replace(&exchange.contact, file.data, file.length);
        if (status == CL_OK)
            status = cl_exchange_save(&exchange, context->store, &contact->agreement);
    }
    cl_exchange_deinit(&exchange);
    return status;
}

enum cl_status contact_learn(struct context *context, struct cl_view file, const struct cl_object_id *id, enum cl_side own, const struct cl_public_key *other, bool *newer)
{
    struct cl_contact contact;
    enum cl_status status = cl_contact_decode(&contact, file.data, file.length);
    *newer = false;
    if (status == CL_OK)
        status = cl_contact_check(&contact, &context->wallet->network.id, id, own, other);
    if (status == CL_OK && contact.made_ms > time_now_ms() + CL_RECORD_AHEAD_MS_MAX)
        status = CL_E_TIME_AHEAD; /* it would be the newest for ever */
    return status == CL_OK ? keep(context, file, &contact, newer) : status;
}

int contact_take(struct context *context, const struct cl_buffer *file, const char *path, const struct cl_object_id *id, enum cl_side own, const struct cl_public_key *other)
{
    bool newer;
    enum cl_status status = contact_learn(context, (struct cl_view){file->data, file->length}, id, own, other, &newer);
    return status == CL_OK ? 0 : output_fail(&context->output, status, "%s is not a contact of the other side of this agreement; ask for a fresh one.", path);
}

bool contact_address(const struct cl_contact *contact, char address[MAILBOX_ADDRESS_SIZE])
{
    for (size_t i = 0; i < contact->mailbox_count; i++) {
        const struct cl_view *text = &contact->mailboxes[i];
        const uint8_t *slash = memchr(text->data, '/', text->length);
        size_t name = slash == NULL ? 0 : (size_t)(slash - text->data);
        uint8_t mailbox[32];
        if (name == 0 || name > CL_MEMBER_NAME_BYTES_MAX || text->length != name + 65)
            continue;
        memcpy(address, text->data, text->length);
        address[text->length] = '\0';
        bool plain = true;
        for (size_t at = 0; at < name; at++) /* it becomes part of a URL */
            plain = plain && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", address[at]) != NULL;
        if (plain && cl_hex_decode(mailbox, 32, address + name + 1))
            return true;
    }
    return false;
}

bool contact_reach(struct context *context, uint8_t recipient32[32], char address[MAILBOX_ADDRESS_SIZE], const struct cl_object_id *id, enum cl_side own, const struct cl_public_key *other)
{
    struct cl_buffer file = {0};
    struct cl_contact contact;
    bool found = contact_kept(context, &file, id) == 0 && file.length > 0 && cl_contact_decode(&contact, file.data, file.length) == CL_OK &&
                 cl_contact_check(&contact, &context->wallet->network.id, id, own, other) == CL_OK && contact_address(&contact, address);
    if (found)
        memcpy(recipient32, contact.delivery32, 32);
    cl_buffer_deinit(&file);
    return found;
}

int contact_import(struct context *context, const char *path, bool *is_contact)
{
    struct cl_buffer file = {0};
    struct cl_contact contact;
    struct subject subject;
    struct delivery_party other;
    char address[MAILBOX_ADDRESS_SIZE];
    *is_contact = strcmp(path, "-") != 0 && cl_file_read(&file, path, CL_CONTACT_BYTES_MAX) == CL_OK && cl_contact_decode(&contact, file.data, file.length) == CL_OK;
    int result = *is_contact ? agreement_open(context, &subject, id_text(contact.agreement.bytes)) : 0;
    if (*is_contact && result == 0) {
        result = subject.side == CL_SIDE_NONE ? output_fail(&context->output, CL_E_PARTY, "Neither side of its agreement is yours.") : delivery_party_open(context, &other, subject_party(&subject, other_of(subject.side)));
        if (result == 0) {
            result = contact_take(context, &file, path, &subject.object.id, subject.side, &other.signers.key);
            delivery_party_close(&other);
        }
        const char *name = subject.item_name[0] != '\0' ? subject.item_name : id_short(subject.object.id.bytes);
        if (result == 0) {
            bool mailbox = contact_address(&contact, address);
            output_line(&context->output, "contact for '%s', with %s mailbox; 'consent deliver %s FILE --slot …' uses it", name, mailbox ? "a" : "no", name);
            output_json(&context->output, json_pack("{s:s, s:s, s:b}", "name", name, "object", id_text(subject.object.id.bytes), "mailbox", mailbox));
        }
        subject_close(&subject);
    }
    cl_buffer_deinit(&file);
    return result;
}

/* ---- our own */

/* The key that we take deliveries under: the PROFILE's; else what follows from the relationship's key; where that is not in
   the wallet, from one that is made for it. */
static int own_delivery_key(struct context *context, const struct own_side *own, uint8_t out32[32])
{
    char name[CL_NAME_BYTES_MAX + 1], made[CL_NAME_BYTES_MAX + 1];
    uint8_t secret[32];
    (void)snprintf(name, sizeof name, "%s", own->signer->key_name);
    if (own->profile_delivery32 != NULL) {
        memcpy(out32, own->profile_delivery32, 32);
        return 0;
    }
    if (name[0] == '\0') {
        (void)snprintf(name, sizeof name, "%.46s.delivery", own->name[0] != '\0' ? own->name : "contact");
        if (cl_wallet_key_find(context->wallet, name) == NULL) {
            int result = key_fresh(context, made, name, "delivery");
            if (result == 0)
                result = wallet_save(context);
            if (result != 0)
                return result;
        }
    }
    enum cl_status status = cl_wallet_key_secret(secret, context->wallet, cl_wallet_key_find(context->wallet, name));
    if (status == CL_OK)
        cl_delivery_key_of(out32, secret);
    cl_wipe_bytes(secret, sizeof secret);
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

int contact_make(struct context *context, struct cl_buffer *file, uint64_t *made_ms, const struct own_side *own, bool mailbox, const char *also)
{
    char address[MAILBOX_ADDRESS_SIZE] = "";
    struct cl_wallet_key key;
    struct cl_contact made = {.network = context->wallet->network.id, .agreement = own->id, .side = own->side, .made_ms = time_now_ms()};
    if (also != NULL)
        made.mailboxes[made.mailbox_count++] = (struct cl_view){(const uint8_t *)also, strlen(also)};
    bool known = mailbox_of(context, &own->id) != NULL;
    int result = own_delivery_key(context, own, made.delivery32);
    if (result == 0 && mailbox)
        result = mailbox_own(context, &own->id, false, address, &key);
    if (result == 0 && mailbox && !known)
        result = wallet_save(context);
    if (result == 0 && mailbox && address[0] == '\0')
        output_warn(&context->output, "%s keeps no mailboxes: the contact has none, and deliveries come to you as files.", context->node_url);
    if (address[0] != '\0')
        made.mailboxes[made.mailbox_count++] = (struct cl_view){(const uint8_t *)address, strlen(address)};
    enum cl_status status = result == 0 ? cl_contact_sign(file, &made, &own->signer->signer) : CL_OK;
    *made_ms = made.made_ms;
    return status == CL_OK ? result : output_fail(&context->output, status, NULL);
}

static int contact(struct context *context, const struct subject *subject, const struct delivery_party *party)
{
    const char *path = option(context, "--output"), *name = subject->item_name[0] != '\0' ? subject->item_name : id_short(subject->object.id.bytes);
    struct cl_buffer file = {0};
    struct act_signer signer;
    struct own_side own = {.id = subject->object.id, .side = subject->side, .signer = &signer, .name = subject->item_name, .profile_delivery32 = party->has_delivery ? party->delivery32 : NULL};
    uint64_t made_ms;
    int result = subject_signer(context, &signer, subject);
    if (result == 0 && memcmp(signer.signer.key.bytes, party->signers.key.bytes, 33) != 0)
        result = output_fail(&context->output, CL_E_PARTY, "Only the present key of your side can sign its contact.");
    if (result == 0)
        result = contact_make(context, &file, &made_ms, &own, !flag(context, "--no-mailbox"), option(context, "--mailbox"));
    if (result == 0)
        result = file_write(context, path, file.data, file.length, true);
    if (result == 0 && strcmp(path, "-") != 0) {
        output_line(&context->output, "contact for '%s' in %s", name, path);
        output_say(&context->output, "Give it to the other side of this agreement only: it says which agreement is yours. They deliver with 'consent deliver … --contact'.");
        output_json(&context->output, json_pack("{s:s, s:s}", "agreement", id_text(subject->object.id.bytes), "file", path));
    }
    cl_buffer_deinit(&file);
    return result;
}

int run_contact(struct context *context)
{
    struct subject subject;
    struct delivery_party own;
    if (option(context, "--output") == NULL)
        return output_usage(&context->output, "Where to? Give a file with -o, as me.consent-contact.");
    int result = agreement_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    if (subject.side == CL_SIDE_NONE)
        result = output_fail(&context->output, CL_E_PARTY, "Neither side of this agreement is yours.");
    if (result == 0)
        result = delivery_party_open(context, &own, subject_party(&subject, subject.side));
    if (result == 0) {
        result = contact(context, &subject, &own);
        delivery_party_close(&own);
    }
    subject_close(&subject);
    return result;
}
