/* The envelope of frames and the form of each kind's payload. A payload is decoded whole before anybody sees the frame. */
#include "frame.h"

#include <stdlib.h>

static bool kind_from(enum frame_kind *out, uint64_t number)
{
    if (number < FRAME_HELLO || number > FRAME_PUBLIC_ANSWER) return false;
    *out = (enum frame_kind)number;
    return true;
}

enum cl_status frame_encode(struct cl_buffer *out, const struct cl_network_id *network, enum frame_kind kind, const uint8_t *payload, size_t length)
{
    struct cl_cbor_writer writer;
    uint8_t head[CL_CBOR_HEAD_MAX];
    size_t fixed = 1 + 1 + 1 + FRAME_NETWORK_BYTES + 1 + cl_cbor_head(head, CL_CBOR_BYTES, length);
    if (length > CL_FRAME_BYTES_MAX - fixed) return CL_E_BOUND;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 4);
    cl_cbor_put_uint(&writer, FRAME_VERSION);
    cl_cbor_put_bytes(&writer, network->bytes, FRAME_NETWORK_BYTES);
    cl_cbor_put_uint(&writer, (uint64_t)kind);
    cl_cbor_put_bytes(&writer, payload, length);
    return writer.status;
}

/* ---- the form of payloads */

static enum cl_status check_certificate(struct cl_view bytes)
{
    struct cl_certificate certificate;
    return cl_certificate_decode(&certificate, bytes.data, bytes.length);
}

static enum cl_status check_item(enum frame_kind kind, struct cl_view item)
{
    struct cl_vote vote;
    switch (kind) {
    case FRAME_VOTES: return cl_vote_decode(&vote, item.data, item.length);
    case FRAME_CERTIFICATES: return check_certificate(item);
    case FRAME_ANNOUNCE:
    case FRAME_FETCH: return item.length == 32 ? CL_OK : CL_E_FORMAT;
    case FRAME_RECORDS: return item.length > 0 && item.length <= CL_RECORD_BYTES_MAX ? CL_OK : CL_E_RECORD_SIZE;
    case FRAME_COSIGNATURES: return item.length > 0 && item.length <= CL_CHECKPOINT_BYTES_MAX ? CL_OK : CL_E_BOUND;
    case FRAME_HELLO:
    case FRAME_PROPOSAL:
    case FRAME_RANGE_REQUEST:
    case FRAME_RANGE:
    case FRAME_STATUS:
    case FRAME_RECOVERY_QUESTION:
    case FRAME_RECOVERY_ANSWER:
    case FRAME_DEPOSIT:
    case FRAME_DEPOSITED:
    case FRAME_PUBLIC_QUESTION:
    case FRAME_PUBLIC_ANSWER: break;
    }
    assert(false); /* the caller knows the lists */
    return CL_E_FORMAT;
}

static bool of_byte_strings(enum frame_kind kind)
{
    return kind != FRAME_VOTES && kind != FRAME_CERTIFICATES;
}

static struct cl_view read_item(struct cl_cbor_reader *reader, enum frame_kind kind)
{
    if (of_byte_strings(kind)) return cl_cbor_bytes(reader);
    if (cl_cbor_peek(reader) != CL_CBOR_ARRAY) cl_cbor_fail(reader, CL_E_CBOR_TYPE);
    return cl_cbor_skip(reader);
}

/* count items of which the reader has seen the head. */
static void check_items(struct cl_cbor_reader *reader, enum frame_kind kind, size_t count)
{
    for (size_t i = 0; i < count && reader->status == CL_OK; i++) {
        struct cl_view item = read_item(reader, kind);
        if (reader->status != CL_OK) return;
        enum cl_status status = check_item(kind, item);
        if (status != CL_OK) cl_cbor_fail(reader, status);
    }
}

size_t frame_items_max(enum frame_kind kind)
{
    switch (kind) {
    case FRAME_VOTES: return FRAME_VOTES_MAX;
    case FRAME_CERTIFICATES: return FRAME_CERTIFICATES_MAX;
    case FRAME_ANNOUNCE: return FRAME_ANNOUNCED_MAX;
    case FRAME_FETCH: return FRAME_FETCHED_MAX;
    case FRAME_RECORDS: return FRAME_RECORDS_MAX;
    case FRAME_COSIGNATURES: return FRAME_COSIGNATURES_MAX;
    case FRAME_HELLO:
    case FRAME_PROPOSAL:
    case FRAME_RANGE_REQUEST:
    case FRAME_RANGE:
    case FRAME_STATUS:
    case FRAME_RECOVERY_QUESTION:
    case FRAME_RECOVERY_ANSWER:
    case FRAME_DEPOSIT:
    case FRAME_DEPOSITED:
    case FRAME_PUBLIC_QUESTION:
    case FRAME_PUBLIC_ANSWER: break;
    }
    return 0;
}

static enum cl_status check_list(enum frame_kind kind, struct cl_view payload)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, payload.data, payload.length);
    size_t count = cl_cbor_array_at_most(&reader, frame_items_max(kind));
    if (count == 0) cl_cbor_fail(&reader, CL_E_FORMAT);
    check_items(&reader, kind, count);
    return cl_cbor_finish(&reader);
}

static enum cl_status check_proposal(struct cl_view payload)
{
    struct cl_proposal proposal;
    struct cl_leaf_hash *leaves;
    struct cl_cbor_reader reader;
    enum cl_status status = cl_proposal_decode(&proposal, &leaves, payload.data, payload.length);
    free(leaves);
    if (status != CL_OK) return status;
    cl_cbor_reader_init(&reader, proposal.justification.data, proposal.justification.length);
    check_items(&reader, FRAME_CERTIFICATES, cl_cbor_array(&reader));
    return cl_cbor_finish(&reader);
}

static void check_range_block(struct cl_cbor_reader *reader)
{
    struct cl_stored_block block;
    cl_cbor_array_fixed(reader, 3);
    struct cl_view bytes = read_item(reader, FRAME_CERTIFICATES); /* an array too */
    (void)cl_cbor_bytes_fixed(reader, 32);
    if (reader->status != CL_OK) return;
    enum cl_status status = cl_stored_block_decode(&block, bytes.data, bytes.length);
    if (status == CL_OK && block.certificate.length > 0) status = check_certificate(block.certificate);
    if (status != CL_OK) cl_cbor_fail(reader, status);
    size_t count = cl_cbor_array_at_most(reader, CL_BLOCK_RECORDS_MAX);
    if (reader->status == CL_OK && count > block.record_count) cl_cbor_fail(reader, CL_E_FORMAT); /* fewer: skipped, or no room */
    check_items(reader, FRAME_RECORDS, count);
}

static enum cl_status check_range(struct cl_view payload)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, payload.data, payload.length);
    size_t count = cl_cbor_array(&reader);
    for (size_t i = 0; i < count && reader.status == CL_OK; i++) check_range_block(&reader);
    return cl_cbor_finish(&reader);
}

static enum cl_status check_payload(enum frame_kind kind, struct cl_view payload)
{
    struct frame_hello hello;
    struct frame_range_request request;
    struct frame_status report;
    struct frame_recovery_question question;
    struct frame_recovery_answer answer;
    struct frame_deposit deposit;
    struct frame_deposited deposited;
    struct frame_public_question wanted;
    struct frame_public_answer bodies;
    switch (kind) {
    case FRAME_HELLO: return frame_hello_decode(&hello, payload);
    case FRAME_VOTES:
    case FRAME_CERTIFICATES:
    case FRAME_ANNOUNCE:
    case FRAME_FETCH:
    case FRAME_RECORDS:
    case FRAME_COSIGNATURES: return check_list(kind, payload);
    case FRAME_PROPOSAL: return check_proposal(payload);
    case FRAME_RANGE_REQUEST: return frame_range_request_decode(&request, payload);
    case FRAME_RANGE: return check_range(payload);
    case FRAME_STATUS: return frame_status_decode(&report, payload);
    case FRAME_RECOVERY_QUESTION: return frame_recovery_question_decode(&question, payload);
    case FRAME_RECOVERY_ANSWER: return frame_recovery_answer_decode(&answer, payload);
    case FRAME_DEPOSIT: return frame_deposit_decode(&deposit, payload);
    case FRAME_DEPOSITED: return frame_deposited_decode(&deposited, payload);
    case FRAME_PUBLIC_QUESTION: return frame_public_question_decode(&wanted, payload);
    case FRAME_PUBLIC_ANSWER: return frame_public_answer_decode(&bodies, payload);
    }
    return CL_E_UNSUPPORTED;
}

enum cl_status frame_decode(struct frame *out, const struct cl_network_id *network, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    memset(out, 0, sizeof *out);
    if (length > CL_FRAME_BYTES_MAX) return CL_E_BOUND;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_array_fixed(&reader, 4);
    uint64_t version = cl_cbor_uint(&reader);
    if (reader.status == CL_OK && version != FRAME_VERSION) return CL_E_VERSION;
    const uint8_t *prefix = cl_cbor_bytes_fixed(&reader, FRAME_NETWORK_BYTES);
    uint64_t number = cl_cbor_uint(&reader);
    struct cl_view payload = cl_cbor_bytes(&reader);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status != CL_OK) return status;
    if (memcmp(prefix, network->bytes, FRAME_NETWORK_BYTES) != 0) return CL_E_NETWORK;
    enum frame_kind kind;
    if (!kind_from(&kind, number)) return CL_E_UNSUPPORTED;
    status = check_payload(kind, payload);
    if (status != CL_OK) return status;
    *out = (struct frame){ .kind = kind, .payload = payload };
    return CL_OK;
}

/* ---- lists and ranges */

enum cl_status frame_list_encode(struct cl_buffer *out, enum frame_kind kind, const struct cl_view *items, size_t count)
{
    struct cl_cbor_writer writer;
    if (count == 0 || count > frame_items_max(kind)) return CL_E_BOUND;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, count);
    for (size_t i = 0; i < count; i++) {
        if (of_byte_strings(kind)) cl_cbor_put_bytes(&writer, items[i].data, items[i].length);
        else cl_cbor_put_raw(&writer, items[i].data, items[i].length);
    }
    return writer.status;
}

void frame_items_init(struct frame_items *items, const struct frame *frame)
{
    assert(frame_items_max(frame->kind) > 0);
    items->kind = frame->kind;
    cl_cbor_reader_init(&items->reader, frame->payload.data, frame->payload.length);
    items->left = cl_cbor_array(&items->reader);
}

bool frame_items_next(struct frame_items *items, struct cl_view *item)
{
    if (items->left == 0) return false;
    items->left--;
    *item = read_item(&items->reader, items->kind);
    assert(items->reader.status == CL_OK); /* frame_decode has been here */
    return true;
}

enum cl_status frame_range_begin(struct cl_buffer *out, size_t block_count)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, block_count);
    return writer.status;
}

enum cl_status frame_range_add(struct cl_buffer *out, struct cl_view stored_block, const struct cl_hash *root_before, const struct cl_view *records, size_t count)
{
    struct cl_cbor_writer writer;
    if (count > CL_BLOCK_RECORDS_MAX) return CL_E_BOUND;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 3);
    cl_cbor_put_raw(&writer, stored_block.data, stored_block.length);
    cl_cbor_put_bytes(&writer, root_before->bytes, 32);
    cl_cbor_put_array(&writer, count);
    for (size_t i = 0; i < count; i++) cl_cbor_put_bytes(&writer, records[i].data, records[i].length);
    return writer.status;
}

void frame_range_init(struct frame_range_reader *range, const struct frame *frame)
{
    assert(frame->kind == FRAME_RANGE);
    *range = (struct frame_range_reader){ 0 };
    cl_cbor_reader_init(&range->records.reader, frame->payload.data, frame->payload.length);
    range->records.kind = FRAME_RECORDS;
    range->left = cl_cbor_array(&range->records.reader);
}

bool frame_range_next(struct frame_range_reader *range, struct cl_view *stored_block, struct cl_hash *root_before)
{
    struct cl_view record;
    struct cl_cbor_reader *reader = &range->records.reader;
    while (frame_items_next(&range->records, &record)) {
    }
    if (range->left == 0) return false;
    range->left--;
    cl_cbor_array_fixed(reader, 3);
    *stored_block = cl_cbor_skip(reader);
    cl_cbor_bytes_copy(reader, root_before->bytes, 32);
    range->records.left = cl_cbor_array(reader);
    assert(reader->status == CL_OK); /* frame_decode has been here */
    return true;
}
