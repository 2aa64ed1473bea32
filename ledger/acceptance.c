/* A member's signed word that it has a withdrawal and has made it durable: what a person holds from the moment of
   withdrawing until the withdrawal is final (formats.cddl "acceptance"). */
#include "cbor.h"
#include "consent/proof.h"
#include "consent/record.h"
#include "crypto.h"

#define ACCEPTANCE_BYTES_MAX 512u

/* The first six items, as an array of `items`: signed as 6, sent as 7 with the signature after them. */
static void put_items(struct cl_cbor_writer *writer, size_t items, const struct cl_acceptance *in)
{
    cl_cbor_put_array(writer, items);
    cl_cbor_put_uint(writer, 1);
    cl_cbor_put_bytes(writer, in->network.bytes, 32);
    cl_cbor_put_bytes(writer, in->record.bytes, 32);
    cl_cbor_put_bytes(writer, in->leaf.bytes, 32);
    cl_cbor_put_uint(writer, in->time_ms);
    cl_cbor_put_text(writer, in->member, strlen(in->member));
}

static enum cl_status signed_bytes(struct cl_buffer *out, const struct cl_acceptance *in)
{
    static const char domain[] = "consent/v1 acceptance"; /* its zero byte is signed too */
    struct cl_cbor_writer writer;
    enum cl_status status = cl_buffer_append(out, domain, sizeof domain);
    if (status != CL_OK)
        return status;
    cl_cbor_writer_init(&writer, out);
    put_items(&writer, 6, in);
    return writer.status;
}

enum cl_status cl_acceptance_sign(struct cl_buffer *out, const struct cl_acceptance *in, const uint8_t log_seed32[32])
{
    struct cl_buffer message = {0};
    struct cl_cbor_writer writer;
    uint8_t signature[64];
    size_t start = out->length;
    if (memchr(in->member, '\0', sizeof in->member) == NULL || in->member[0] == '\0')
        return CL_E_ARGUMENT;
    enum cl_status status = signed_bytes(&message, in);
    if (status == CL_OK) {
        cl_ed25519_sign(signature, log_seed32, message.data, message.length);
        cl_cbor_writer_init(&writer, out);
        put_items(&writer, 7, in);
        cl_cbor_put_bytes(&writer, signature, sizeof signature);
        status = writer.status;
    }
    if (status != CL_OK)
        out->length = start;
    cl_buffer_deinit(&message);
    return status;
}

static enum cl_status decode(struct cl_acceptance *out, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_array_fixed(&reader, 7);
    if (cl_cbor_uint(&reader) != 1)
        cl_cbor_fail(&reader, CL_E_VERSION);
    const uint8_t *network = cl_cbor_bytes_fixed(&reader, 32);
    const uint8_t *record = cl_cbor_bytes_fixed(&reader, 32);
    const uint8_t *leaf = cl_cbor_bytes_fixed(&reader, 32);
    out->time_ms = cl_cbor_uint(&reader);
    struct cl_view member = cl_cbor_text(&reader);
    if (member.length == 0 || member.length > CL_MEMBER_NAME_BYTES_MAX ||
        memchr(member.data, '\0', member.length) != NULL)
        cl_cbor_fail(&reader, CL_E_FORMAT);
    const uint8_t *signature = cl_cbor_bytes_fixed(&reader, 64);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status != CL_OK)
        return status;
    memcpy(out->network.bytes, network, 32);
    memcpy(out->record.bytes, record, 32);
    memcpy(out->leaf.bytes, leaf, 32);
    memset(out->member, 0, sizeof out->member);
    memcpy(out->member, member.data, member.length);
    memcpy(out->signature, signature, 64);
    return CL_OK;
}

enum cl_status cl_acceptance_verify(struct cl_acceptance *out, const uint8_t *data, size_t length, const uint8_t log_public32[32])
{
    struct cl_buffer message = {0};
    if (length > ACCEPTANCE_BYTES_MAX)
        return CL_E_BOUND;
    enum cl_status status = decode(out, data, length);
    if (status == CL_OK)
        status = signed_bytes(&message, out);
    if (status == CL_OK && !cl_ed25519_verify(log_public32, out->signature, message.data, message.length))
        status = CL_E_SIGNATURE;
    cl_buffer_deinit(&message);
    return status;
}
