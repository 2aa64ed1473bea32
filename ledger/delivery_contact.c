/* Contacts: a side's own signed word on where and under which key it takes deliveries of one agreement, handed over as a
   file. The ledger has such a key for PROFILEs only, since a person's would tie relationships together. */
#include "cbor.h"
#include "consent/delivery.h"
#include "crypto.h"
#include "sealing.h"

#define CONTACT_MAGIC "consent-contact"
#define ITEMS 10u /* the signature is the last */

static bool usable(const struct cl_contact *contact)
{
    if ((contact->side != CL_SIDE_CUSTOMER && contact->side != CL_SIDE_ORGANISATION) || contact->mailbox_count > CL_CONTACT_MAILBOXES_MAX)
        return false;
    for (size_t i = 0; i < contact->mailbox_count; i++) {
        const struct cl_view *mailbox = &contact->mailboxes[i];
        if (mailbox->length == 0 || mailbox->length > CL_MAILBOX_BYTES_MAX || memchr(mailbox->data, '\0', mailbox->length) != NULL)
            return false;
    }
    return true;
}

enum cl_status cl_contact_sign(struct cl_buffer *out, const struct cl_contact *contact, const struct cl_signer *signer)
{
    struct cl_cbor_writer writer;
    uint8_t digest[32];
    size_t before = out->length;
    if (!usable(contact))
        return CL_E_VALUE;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_file_head(&writer, ITEMS, CONTACT_MAGIC);
    cl_cbor_put_bytes(&writer, contact->network.bytes, 32);
    cl_cbor_put_bytes(&writer, contact->agreement.bytes, 32);
    cl_cbor_put_uint(&writer, (uint64_t)contact->side);
    cl_cbor_put_uint(&writer, contact->made_ms);
    cl_cbor_put_bytes(&writer, contact->delivery32, 32);
    cl_cbor_put_array(&writer, contact->mailbox_count);
    for (size_t i = 0; i < contact->mailbox_count; i++)
        cl_cbor_put_text(&writer, (const char *)contact->mailboxes[i].data, contact->mailboxes[i].length);
    cl_cbor_put_bytes(&writer, signer->key.bytes, 33);
    enum cl_status status = writer.status;
    if (status == CL_OK) {
        cl_items_digest(digest, "consent/v1 contact", ITEMS, out->data + before + 1, out->length - before - 1); /* the head of an array of ten is one byte */
        status = cl_sign_put(&writer, signer, digest);
    }
    if (status != CL_OK)
        out->length = before;
    return status;
}

enum cl_status cl_contact_decode(struct cl_contact *out, const uint8_t *data, size_t length)
{
    struct cl_contact contact = {0};
    struct cl_cbor_reader reader;
    uint8_t digest[32];
    if (length > CL_CONTACT_BYTES_MAX)
        return CL_E_BOUND;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_file_head(&reader, ITEMS, CONTACT_MAGIC);
    cl_cbor_bytes_copy(&reader, contact.network.bytes, 32);
    cl_cbor_bytes_copy(&reader, contact.agreement.bytes, 32);
    contact.side = (enum cl_side)cl_cbor_uint_at_most(&reader, 2);
    contact.made_ms = cl_cbor_uint_at_most(&reader, CL_SECONDS_MAX * 1000u);
    cl_cbor_bytes_copy(&reader, contact.delivery32, 32);
    contact.mailbox_count = cl_cbor_array_at_most(&reader, CL_CONTACT_MAILBOXES_MAX);
    for (size_t i = 0; i < contact.mailbox_count && reader.status == CL_OK; i++)
        contact.mailboxes[i] = cl_cbor_text(&reader);
    cl_cbor_bytes_copy(&reader, contact.signer.bytes, 33);
    const uint8_t *signed_end = reader.at;
    const uint8_t *signature = cl_cbor_bytes_fixed(&reader, 64);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK && !usable(&contact))
        status = CL_E_VALUE;
    if (status == CL_OK) {
        cl_items_digest(digest, "consent/v1 contact", ITEMS, data + 1, (size_t)(signed_end - data - 1));
        status = cl_ecdsa_verify(contact.signer.bytes, digest, signature);
    }
    if (status == CL_OK)
        *out = contact;
    return status;
}

enum cl_status cl_contact_check(const struct cl_contact *contact, const struct cl_network_id *network, const struct cl_object_id *id, enum cl_side own, const struct cl_public_key *other)
{
    if (memcmp(contact->network.bytes, network->bytes, 32) != 0)
        return CL_E_NETWORK;
    if (memcmp(contact->agreement.bytes, id->bytes, 32) != 0)
        return CL_E_DELIVERY_AGREEMENT;
    if (own == CL_SIDE_NONE || contact->side == own)
        return CL_E_PARTY;
    return memcmp(contact->signer.bytes, other->bytes, 33) == 0 ? CL_OK : CL_E_DELIVERY_SENDER;
}
