/* Public bodies in bytes (include/consent/public.h). */
#include "consent/public.h"
#include "cbor.h"
#include "crypto.h"
#include "sealing.h"
#include "reception.h"

#define MAGIC "consent-public"
#define ITEMS 8u /* the signature is the last */

enum cl_status cl_public_body_sign(struct cl_buffer *out, const struct cl_public_body *in, const struct cl_signer *signer)
{
    struct cl_cbor_writer writer;
    uint8_t digest[32];
    size_t before = out->length;
    if (!cl_reception_usable(&in->reception))
        return CL_E_ARGUMENT;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_file_head(&writer, ITEMS, MAGIC);
    cl_cbor_put_bytes(&writer, in->network.bytes, 32);
    cl_cbor_put_uint(&writer, in->made_ms);
    cl_cbor_put_bytes(&writer, in->shown.data, in->shown.length);
    cl_reception_put(&writer, &in->reception);
    cl_cbor_put_bytes(&writer, signer->key.bytes, 33);
    enum cl_status status = writer.status;
    if (status == CL_OK) {
        cl_items_digest(digest, "consent/v1 public", ITEMS, out->data + before + 1, out->length - before - 1); /* the head of an array of eight is one byte */
        status = cl_sign_put(&writer, signer, digest);
    }
    if (status == CL_OK && out->length - before > CL_PUBLIC_BODY_BYTES_MAX)
        status = CL_E_BOUND;
    if (status != CL_OK)
        out->length = before;
    return status;
}

enum cl_status cl_public_body_decode(struct cl_public_body *out, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    *out = (struct cl_public_body){0};
    if (length > CL_PUBLIC_BODY_BYTES_MAX)
        return CL_E_BOUND;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_file_head(&reader, ITEMS, MAGIC);
    cl_cbor_bytes_copy(&reader, out->network.bytes, 32);
    out->made_ms = cl_cbor_uint_at_most(&reader, CL_SECONDS_MAX * 1000u);
    out->shown = cl_cbor_bytes(&reader);
    cl_reception_get(&reader, &out->reception);
    cl_cbor_bytes_copy(&reader, out->signer.bytes, 33);
    const uint8_t *signed_end = reader.at;
    cl_cbor_bytes_copy(&reader, out->signature64, 64);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK && !cl_public_key_valid(out->signer.bytes))
        status = CL_E_KEY;
    if (status == CL_OK && !cl_signature_low_s(out->signature64))
        status = CL_E_SIGNATURE_HIGH_S;
    if (status == CL_OK)
        status = cl_body_file_decode(&out->body, out->shown.data, out->shown.length);
    if (status == CL_OK && out->body.disclosure_count == 0)
        status = CL_E_FORMAT;
    if (status == CL_OK)
        cl_items_digest(out->digest.bytes, "consent/v1 public", ITEMS, data + 1, (size_t)(signed_end - data - 1));
    return status;
}

enum cl_status cl_public_body_check(const struct cl_public_body *body, const struct cl_network_id *network, const uint8_t key33[33])
{
    if (memcmp(body->network.bytes, network->bytes, 32) != 0)
        return CL_E_NETWORK;
    if (memcmp(body->signer.bytes, key33, 33) != 0)
        return CL_E_PARTY;
    return cl_ecdsa_verify(key33, body->digest.bytes, body->signature64);
}
