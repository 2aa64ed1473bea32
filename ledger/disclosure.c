/* Disclosure files: some fields of a body, bound to its commitment, and perhaps to a recipient and a moment.

   What whoever holds one learns: the object's id, the commitment's salt, the body's category, the number of its digests,
   and the fields shown. What that gives away of the other fields:
   - the salt of the commitment binds the list of digests and nothing else: each field has 16 bytes of salt of its own, so
     a guess at one that is not shown cannot be tested with it. It does let the holder show that list to others, as the
     file itself does.
   - salts of fields follow from a seed that nobody keeps, by a hash: those shown say nothing of the others.
   - the number of digests is the number of fields. Of terms that is how many lines and slots they have (whoever agrees to
     them must be able to see that nothing is kept back, so there is no padding); a person's profile has a multiple of 16.
   - digests stand in their own order, which is by chance.
   - two disclosures of one body can be told to be of one body: by the id, the salt and the digests. Whoever must not be
     recognised takes another profile for each audience.
   - what is shown can be shown on. An address does not prevent that; it lets a recipient see that a disclosure was not made
     for it, or not now. */
#include "consent/disclosure.h"
#include "cbor.h"
#include "consent/record.h"
#include "crypto.h"
#include "terms_text.h"

#define MAGIC "consent-disclosure"

enum cl_status cl_disclosure_select(struct cl_buffer *out, const struct cl_body_file *file, const bool marked[CL_BODY_FIELDS_MAX])
{
    struct cl_cbor_writer writer;
    size_t count = 0;
    for (size_t i = 0; i < file->disclosure_count; i++)
        count += marked[i] ? 1 : 0;
    if (count == 0)
        return CL_E_ARGUMENT;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 5);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_bytes(&writer, file->object.bytes, 32);
    cl_cbor_put_bytes(&writer, file->salt32, 32);
    cl_cbor_put_bytes(&writer, file->body.data, file->body.length);
    cl_cbor_put_array(&writer, count);
    for (size_t i = 0; i < file->disclosure_count; i++)
        if (marked[i])
            cl_cbor_put_bytes(&writer, file->disclosures[i].data, file->disclosures[i].length);
    return writer.status;
}

/* recipient, nonce, ms, signer: what is signed, and the first four of the address's five items. */
static void put_address(struct cl_cbor_writer *writer, const struct cl_disclosure_address *address)
{
    if (address->has_recipient)
        cl_cbor_put_bytes(writer, address->recipient.bytes, 33);
    else
        cl_cbor_put_null(writer);
    if (address->nonce[0] != '\0')
        cl_cbor_put_text(writer, address->nonce, strlen(address->nonce));
    else
        cl_cbor_put_null(writer);
    cl_cbor_put_uint(writer, address->time_ms);
    cl_cbor_put_bytes(writer, address->signer.bytes, 33);
}

enum cl_status cl_disclosure_digest(struct cl_hash *out, const struct cl_network_id *network, struct cl_view shown, const struct cl_disclosure_address *address)
{
    struct cl_buffer bytes = {.secret = true};
    struct cl_cbor_writer writer;
    struct cl_sha256 sha;
    if (!address->has_recipient && address->nonce[0] == '\0')
        return CL_E_ARGUMENT;
    cl_cbor_writer_init(&writer, &bytes);
    cl_cbor_put_array(&writer, 5);
    cl_cbor_put_bytes(&writer, shown.data, shown.length);
    put_address(&writer, address);
    if (writer.status == CL_OK) {
        cl_sha256_domain(&sha, "consent/v1 disclosure");
        cl_sha256_update(&sha, network->bytes, 32);
        cl_sha256_update(&sha, bytes.data, bytes.length);
        cl_sha256_final(&sha, out->bytes);
        cl_wipe(&sha, sizeof sha);
    }
    cl_buffer_wipe(&bytes);
    return writer.status;
}

enum cl_status cl_disclosure_encode(struct cl_buffer *out, struct cl_view shown, const struct cl_disclosure_address *address)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_file_head(&writer, 4, MAGIC);
    cl_cbor_put_bytes(&writer, shown.data, shown.length);
    if (address == NULL) {
        cl_cbor_put_null(&writer);
    } else {
        cl_cbor_put_array(&writer, 5);
        put_address(&writer, address);
        cl_cbor_put_bytes(&writer, address->signature64, 64);
    }
    return writer.status;
}

static void get_address(struct cl_cbor_reader *reader, struct cl_disclosure_address *out)
{
    cl_cbor_array_fixed(reader, 5);
    if (!cl_cbor_null(reader)) {
        out->has_recipient = true;
        cl_cbor_bytes_copy(reader, out->recipient.bytes, 33);
    }
    if (!cl_cbor_null(reader)) {
        struct cl_view nonce = cl_cbor_text(reader);
        if (nonce.length == 0 || nonce.length > CL_DISCLOSURE_NONCE_BYTES_MAX || !cl_terms_value_plain((const char *)nonce.data, nonce.length))
            cl_cbor_fail(reader, CL_E_FORMAT);
        else
            memcpy(out->nonce, nonce.data, nonce.length);
    }
    out->time_ms = cl_cbor_uint_at_most(reader, CL_SECONDS_MAX * 1000u);
    cl_cbor_bytes_copy(reader, out->signer.bytes, 33);
    cl_cbor_bytes_copy(reader, out->signature64, 64);
    if (reader->status == CL_OK && !out->has_recipient && out->nonce[0] == '\0')
        cl_cbor_fail(reader, CL_E_FORMAT);
    if (reader->status == CL_OK && ((out->has_recipient && !cl_public_key_valid(out->recipient.bytes)) || !cl_public_key_valid(out->signer.bytes)))
        cl_cbor_fail(reader, CL_E_KEY);
    if (reader->status == CL_OK && !cl_signature_low_s(out->signature64))
        cl_cbor_fail(reader, CL_E_SIGNATURE_HIGH_S);
}

/* Every name can be shown, and none is there twice: who reads "age: 40" must not read "age: 50" below it. */
static enum cl_status check_names(const struct cl_body_file *body)
{
    struct cl_view names[CL_BODY_FIELDS_MAX];
    for (size_t i = 0; i < body->disclosure_count; i++) {
        struct cl_body_field field;
        enum cl_status status = cl_body_field_read(&field, body->disclosures[i]);
        if (status != CL_OK)
            return status;
        for (size_t k = 0; k < i; k++)
            if (names[k].length == field.name.length && memcmp(names[k].data, field.name.data, field.name.length) == 0)
                return CL_E_FORMAT;
        names[i] = field.name;
    }
    return CL_OK;
}

enum cl_status cl_disclosure_decode(struct cl_disclosure_file *out, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    *out = (struct cl_disclosure_file){0};
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_file_head(&reader, 4, MAGIC);
    out->shown = cl_cbor_bytes(&reader);
    if (!cl_cbor_null(&reader)) {
        out->addressed = true;
        get_address(&reader, &out->address);
    }
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK)
        status = cl_body_file_decode(&out->body, out->shown.data, out->shown.length);
    if (status == CL_OK && out->body.disclosure_count == 0)
        status = CL_E_FORMAT;
    return status == CL_OK ? check_names(&out->body) : status;
}

static bool party_is(const struct cl_party *party, const struct cl_public_key *key)
{
    return party->length == 33 && memcmp(party->bytes, key->bytes, 33) == 0;
}

/* One with an object for a side (TERMS, a PROFILE) does not say which key acts for that. */
static bool names_signer(const struct cl_verify_report *report, const struct cl_public_key *key)
{
    if (report->kind == CL_STATE_AGREEMENT)
        return party_is(&report->agreement.customer, key) || party_is(&report->agreement.organisation, key);
    return memcmp(report->owner.bytes, key->bytes, 33) == 0;
}

enum cl_status cl_disclosure_check(const struct cl_disclosure_file *file, const struct cl_verify_report *report)
{
    struct cl_commitment commitment;
    struct cl_hash digest;
    if (!report->exists || (report->kind != CL_STATE_AGREEMENT && report->kind != CL_STATE_TERMS && report->kind != CL_STATE_PROFILE))
        return CL_E_OBJECT_KIND;
    cl_body_file_commitment(&commitment, &file->body);
    if (memcmp(commitment.bytes, report->commitment.bytes, 32) != 0)
        return CL_E_BODY;
    if (!file->addressed)
        return CL_OK;
    enum cl_status status = cl_disclosure_digest(&digest, &report->network, file->shown, &file->address);
    if (status == CL_OK)
        status = cl_ecdsa_verify(file->address.signer.bytes, digest.bytes, file->address.signature64);
    if (status != CL_OK)
        return status;
    return names_signer(report, &file->address.signer) ? CL_OK : CL_E_PARTY;
}
