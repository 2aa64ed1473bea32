/* The other side's contact for each agreement, once given: among the data items of the vault, so encrypted, in backups, and
   gone for good when it is removed. */
#include "mailbox.h"

/* Of an agreement's id only a part, which is enough to tell one's own agreements apart. */
static void item_name(char out[48], const struct cl_object_id *id)
{
    char hex[33];
    cl_hex_encode(hex, id->bytes, 16);
    (void)snprintf(out, 48, "contact.%s", hex);
}

int contact_kept(struct context *context, struct cl_buffer *out, const struct cl_object_id *id)
{
    char name[48];
    item_name(name, id);
    if (cl_vault_find(context->store, name) == NULL)
        return 0;
    enum cl_status status = cl_vault_value(out, context->store, name);
    return status == CL_OK ? 0 : output_fail(&context->output, status, "The contact '%s' in the vault.", name);
}

int contact_take(struct context *context, const struct cl_buffer *file, const char *path, const struct cl_object_id *id, enum cl_side own, const struct cl_public_key *other, struct cl_contact *out)
{
    struct cl_vault_entry entry = {.category = "pd:Contact", .media_type = "application/vnd.consent-contact", .changed_ms = time_now_ms()};
    struct cl_buffer before = {.secret = true};
    enum cl_status status = cl_contact_decode(out, file->data, file->length);
    if (status == CL_OK)
        status = cl_contact_check(out, &context->wallet->network.id, id, own, other);
    if (status != CL_OK)
        return output_fail(&context->output, status, "%s is not a contact of the other side of this agreement; ask for a fresh one.", path);
    item_name(entry.name, id);
    int result = contact_kept(context, &before, id);
    bool same = before.length == file->length && memcmp(before.data, file->data, file->length) == 0;
    cl_buffer_wipe(&before);
    if (result != 0 || same)
        return result;
    status = cl_vault_find(context->store, entry.name) == NULL ? cl_vault_put(context->store, &entry, file->data, file->length) : cl_vault_change(context->store, &entry, file->data, file->length);
    return status == CL_OK ? 0 : output_fail(&context->output, status, "The contact could not be kept.");
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
            result = contact_take(context, &file, path, &subject.object.id, subject.side, &other.signers.key, &contact);
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
