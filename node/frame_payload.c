/* Payloads of frames that are not lists: hello, range request, status, recovery, deposits, public bodies. */
#include "crypto.h"
#include "frame.h"

#include "consent/record.h"

/* ---- hello */

static void put_hello_fields(struct cl_cbor_writer *writer, const struct frame_hello *hello)
{
    cl_cbor_put_bytes(writer, hello->network.bytes, 32);
    cl_cbor_put_text(writer, hello->sender, strlen(hello->sender));
    cl_cbor_put_text(writer, hello->receiver, strlen(hello->receiver));
    cl_cbor_put_uint(writer, hello->time_ms);
}

static enum cl_status hello_signed_bytes(struct cl_buffer *out, const struct frame_hello *hello)
{
    static const char domain[] = "consent/v1 hello"; /* its zero byte is signed too */
    struct cl_cbor_writer writer;
    enum cl_status status = cl_buffer_append(out, domain, sizeof domain);
    if (status != CL_OK) return status;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 4);
    put_hello_fields(&writer, hello);
    return writer.status;
}

enum cl_status frame_hello_sign(struct frame_hello *hello, const uint8_t vote_seed32[32])
{
    struct cl_buffer bytes = { 0 };
    enum cl_status status = hello_signed_bytes(&bytes, hello);
    if (status == CL_OK) cl_ed25519_sign(hello->signature, vote_seed32, bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
    return status;
}

enum cl_status frame_hello_check(const struct frame_hello *hello, const uint8_t vote32[32])
{
    struct cl_buffer bytes = { 0 };
    enum cl_status status = hello_signed_bytes(&bytes, hello);
    if (status == CL_OK && !cl_ed25519_verify(vote32, hello->signature, bytes.data, bytes.length)) status = CL_E_SIGNATURE;
    cl_buffer_deinit(&bytes);
    return status;
}

enum cl_status frame_hello_encode(struct cl_buffer *out, const struct frame_hello *in)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 5);
    put_hello_fields(&writer, in);
    cl_cbor_put_bytes(&writer, in->signature, 64);
    return writer.status;
}

static void read_name(struct cl_cbor_reader *reader, char out[CL_MEMBER_NAME_BYTES_MAX + 1])
{
    struct cl_view name = cl_cbor_text(reader);
    out[0] = '\0';
    if (reader->status != CL_OK) return;
    if (name.length == 0 || name.length > CL_MEMBER_NAME_BYTES_MAX || memchr(name.data, 0, name.length) != NULL) {
        cl_cbor_fail(reader, CL_E_FORMAT);
        return;
    }
    memcpy(out, name.data, name.length);
    out[name.length] = '\0';
}

enum cl_status frame_hello_decode(struct frame_hello *out, struct cl_view payload)
{
    struct cl_cbor_reader reader;
    memset(out, 0, sizeof *out);
    cl_cbor_reader_init(&reader, payload.data, payload.length);
    cl_cbor_array_fixed(&reader, 5);
    cl_cbor_bytes_copy(&reader, out->network.bytes, 32);
    read_name(&reader, out->sender);
    read_name(&reader, out->receiver);
    out->time_ms = cl_cbor_uint(&reader);
    cl_cbor_bytes_copy(&reader, out->signature, 64);
    return cl_cbor_finish(&reader);
}

/* ---- ranges and status */

enum cl_status frame_range_request_encode(struct cl_buffer *out, const struct frame_range_request *in)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 3);
    cl_cbor_put_uint(&writer, in->first_height);
    cl_cbor_put_uint(&writer, in->count);
    cl_cbor_put_uint(&writer, in->skip);
    return writer.status;
}

enum cl_status frame_range_request_decode(struct frame_range_request *out, struct cl_view payload)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, payload.data, payload.length);
    cl_cbor_array_fixed(&reader, 3);
    out->first_height = cl_cbor_uint(&reader);
    out->count = cl_cbor_uint(&reader);
    out->skip = cl_cbor_uint(&reader);
    return cl_cbor_finish(&reader);
}

enum cl_status frame_status_encode(struct cl_buffer *out, const struct frame_status *in)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 3);
    cl_cbor_put_uint(&writer, in->height);
    cl_cbor_put_uint(&writer, in->view);
    cl_cbor_put_uint(&writer, in->final_view);
    return writer.status;
}

enum cl_status frame_status_decode(struct frame_status *out, struct cl_view payload)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, payload.data, payload.length);
    cl_cbor_array_fixed(&reader, 3);
    out->height = cl_cbor_uint(&reader);
    out->view = cl_cbor_uint(&reader);
    out->final_view = cl_cbor_uint(&reader);
    return cl_cbor_finish(&reader);
}

/* ---- recovery of a member without its vote log */

enum cl_status frame_recovery_question_encode(struct cl_buffer *out, const struct frame_recovery_question *in)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 2);
    cl_cbor_put_bytes(&writer, in->nonce, 32);
    cl_cbor_put_uint(&writer, in->member);
    return writer.status;
}

enum cl_status frame_recovery_question_decode(struct frame_recovery_question *out, struct cl_view payload)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, payload.data, payload.length);
    cl_cbor_array_fixed(&reader, 2);
    cl_cbor_bytes_copy(&reader, out->nonce, 32);
    out->member = (uint32_t)cl_cbor_uint_at_most(&reader, CL_MEMBERS_MAX - 1);
    return cl_cbor_finish(&reader);
}

static void put_answer_fields(struct cl_cbor_writer *writer, const struct frame_recovery_answer *in)
{
    cl_cbor_put_bytes(writer, in->nonce, 32);
    cl_cbor_put_uint(writer, in->member);
    cl_cbor_put_uint(writer, in->view);
    if (in->certificate.length > 0) cl_cbor_put_raw(writer, in->certificate.data, in->certificate.length);
    else cl_cbor_put_null(writer);
}

enum cl_status frame_recovery_answer_signed_bytes(struct cl_buffer *out, const struct frame_recovery_answer *in)
{
    static const char domain[] = "consent/v1 recovery answer"; /* its zero byte is signed too */
    struct cl_cbor_writer writer;
    enum cl_status status = cl_buffer_append(out, domain, sizeof domain);
    if (status != CL_OK) return status;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 4);
    put_answer_fields(&writer, in);
    return writer.status;
}

enum cl_status frame_recovery_answer_encode(struct cl_buffer *out, const struct frame_recovery_answer *in)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 5);
    put_answer_fields(&writer, in);
    cl_cbor_put_bytes(&writer, in->signature, 64);
    return writer.status;
}

enum cl_status frame_recovery_answer_decode(struct frame_recovery_answer *out, struct cl_view payload)
{
    struct cl_cbor_reader reader;
    struct cl_certificate certificate;
    memset(out, 0, sizeof *out);
    cl_cbor_reader_init(&reader, payload.data, payload.length);
    cl_cbor_array_fixed(&reader, 5);
    cl_cbor_bytes_copy(&reader, out->nonce, 32);
    out->member = (uint32_t)cl_cbor_uint_at_most(&reader, CL_MEMBERS_MAX - 1);
    out->view = cl_cbor_uint(&reader);
    if (!cl_cbor_null(&reader)) out->certificate = cl_cbor_skip(&reader);
    cl_cbor_bytes_copy(&reader, out->signature, 64);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK && out->certificate.length > 0)
        status = cl_certificate_decode(&certificate, out->certificate.data, out->certificate.length);
    return status;
}

/* ---- deliveries for a mailbox of another node */

enum cl_status frame_deposit_encode(struct cl_buffer *out, const struct frame_deposit *in)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 5);
    cl_cbor_put_bytes(&writer, in->mailbox, 32);
    cl_cbor_put_bytes(&writer, in->delivery, 32);
    cl_cbor_put_uint(&writer, in->size);
    cl_cbor_put_uint(&writer, in->offset);
    cl_cbor_put_bytes(&writer, in->part.data, in->part.length);
    return writer.status;
}

enum cl_status frame_deposit_decode(struct frame_deposit *out, struct cl_view payload)
{
    struct cl_cbor_reader reader;
    memset(out, 0, sizeof *out);
    cl_cbor_reader_init(&reader, payload.data, payload.length);
    cl_cbor_array_fixed(&reader, 5);
    cl_cbor_bytes_copy(&reader, out->mailbox, 32);
    cl_cbor_bytes_copy(&reader, out->delivery, 32);
    out->size = cl_cbor_uint_at_most(&reader, MAILBOX_DELIVERY_BYTES_MAX);
    out->offset = cl_cbor_uint_at_most(&reader, MAILBOX_DELIVERY_BYTES_MAX);
    out->part = cl_cbor_bytes(&reader);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK && (out->part.length == 0 || out->part.length > FRAME_DEPOSIT_PART_MAX || out->offset + out->part.length > out->size)) status = CL_E_FORMAT;
    return status;
}

enum cl_status frame_deposited_encode(struct cl_buffer *out, const struct frame_deposited *in)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 2);
    cl_cbor_put_uint(&writer, (uint64_t)in->outcome);
    cl_cbor_put_uint(&writer, in->number);
    return writer.status;
}

enum cl_status frame_deposited_decode(struct frame_deposited *out, struct cl_view payload)
{
    struct cl_cbor_reader reader;
    memset(out, 0, sizeof *out);
    cl_cbor_reader_init(&reader, payload.data, payload.length);
    cl_cbor_array_fixed(&reader, 2);
    out->outcome = (enum mailbox_outcome)cl_cbor_uint_at_most(&reader, MAILBOX_FAILED);
    out->number = cl_cbor_uint(&reader);
    enum cl_status status = cl_cbor_finish(&reader);
    bool waits = out->outcome == MAILBOX_DONE || out->outcome == MAILBOX_KNOWN;
    return status == CL_OK && waits != (out->number > 0) ? CL_E_FORMAT : status;
}

/* ---- public bodies of another node */

enum cl_status frame_public_question_encode(struct cl_buffer *out, const struct frame_public_question *in)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 1);
    if (in->has_after) cl_cbor_put_bytes(&writer, in->after, 32);
    else cl_cbor_put_null(&writer);
    return writer.status;
}

enum cl_status frame_public_question_decode(struct frame_public_question *out, struct cl_view payload)
{
    struct cl_cbor_reader reader;
    memset(out, 0, sizeof *out);
    cl_cbor_reader_init(&reader, payload.data, payload.length);
    cl_cbor_array_fixed(&reader, 1);
    out->has_after = !cl_cbor_null(&reader);
    if (out->has_after) cl_cbor_bytes_copy(&reader, out->after, 32);
    return cl_cbor_finish(&reader);
}

enum cl_status frame_public_answer_encode(struct cl_buffer *out, const struct frame_public_answer *in)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 2);
    cl_cbor_put_array(&writer, in->count);
    for (size_t i = 0; i < in->count; i++) cl_cbor_put_bytes(&writer, in->bodies[i].data, in->bodies[i].length);
    cl_cbor_put_raw(&writer, in->more ? "\xf5" : "\xf4", 1);
    return writer.status;
}

/* Each is a public body as a node takes it, and stands behind the one before. */
static void check_public_bodies(struct cl_cbor_reader *reader, const struct frame_public_answer *answer)
{
    struct cl_object_id before = { { 0 } };
    size_t total = 0;
    for (size_t i = 0; i < answer->count && reader->status == CL_OK; i++) {
        struct cl_public_body body;
        enum cl_status status = cl_public_body_decode(&body, answer->bodies[i].data, answer->bodies[i].length);
        total += answer->bodies[i].length;
        if (status == CL_OK && i > 0 && memcmp(body.body.object.bytes, before.bytes, 32) <= 0) status = CL_E_FORMAT;
        if (status == CL_OK && total > PUBLIC_PAGE_BYTES_MAX) status = CL_E_BOUND;
        if (status != CL_OK) cl_cbor_fail(reader, status);
        before = body.body.object;
    }
}

enum cl_status frame_public_answer_decode(struct frame_public_answer *out, struct cl_view payload)
{
    struct cl_cbor_reader reader;
    memset(out, 0, sizeof *out);
    cl_cbor_reader_init(&reader, payload.data, payload.length);
    cl_cbor_array_fixed(&reader, 2);
    out->count = cl_cbor_array_at_most(&reader, PUBLIC_PAGE_BODIES_MAX);
    for (size_t i = 0; i < out->count && reader.status == CL_OK; i++) out->bodies[i] = cl_cbor_bytes(&reader);
    out->more = cl_cbor_bool(&reader);
    if (out->more && out->count == 0) cl_cbor_fail(&reader, CL_E_FORMAT);
    if (reader.status == CL_OK) check_public_bodies(&reader, out);
    return cl_cbor_finish(&reader);
}
