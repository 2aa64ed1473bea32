/* A connect code as a file: an offer, and the secret of the token key that its audience asks for. Whoever holds the file
   may answer; whoever only saw the answer may not repeat it, since the token signs for one answerer and one agreement.

   code = [ 1, "consent-code", token secret: bstr .size 32, bstr .cbor offer ] */
#include "cbor.h"
#include "consent/wallet.h"
#include "crypto.h"

#define CODE_MAGIC "consent-code"

enum cl_status cl_code_encode(struct cl_buffer *out, const uint8_t secret32[32], struct cl_view offer)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_file_head(&writer, 4, CODE_MAGIC);
    cl_cbor_put_bytes(&writer, secret32, 32);
    cl_cbor_put_bytes(&writer, offer.data, offer.length);
    return writer.status;
}

enum cl_status cl_code_decode(uint8_t secret32[32], struct cl_view *offer, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    struct cl_public_key key;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_file_head(&reader, 4, CODE_MAGIC);
    const uint8_t *secret = cl_cbor_bytes_fixed(&reader, 32);
    struct cl_view inner = cl_cbor_bytes(&reader);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK)
        status = cl_secret_public(&key, secret);
    if (status != CL_OK)
        return status;
    memcpy(secret32, secret, 32);
    *offer = inner;
    return CL_OK;
}

enum cl_status cl_token_sign(uint8_t opening64[64], const uint8_t secret32[32], const struct cl_network_id *network, const uint8_t bearer32[32], const uint8_t agreement32[32], const struct cl_public_key *answering)
{
    struct cl_hash digest;
    cl_token_digest(&digest, network, bearer32, agreement32, answering->bytes);
    return cl_ecdsa_sign(opening64, secret32, digest.bytes);
}
