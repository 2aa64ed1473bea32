/* A frame of anybody: what decodes is bounded, can be walked to its end, and encodes to the same bytes again. The network
   is that of tests/vectors/frames.json, from which most of the corpus comes. */
#include "consent/record.h"
#include "frame.h"
#include "require.h"

static const struct cl_network_id network = { { 0x62, 0x36, 0x49, 0x61, 0xe0, 0x56, 0xa8, 0x22 } };

static void same(struct cl_buffer *again, enum cl_status status, struct cl_view expected)
{
    require(status == CL_OK && again->length == expected.length && memcmp(again->data, expected.data, expected.length) == 0);
    again->length = 0;
}

static void list(struct cl_buffer *again, const struct frame *frame)
{
    static struct cl_view views[FRAME_ANNOUNCED_MAX];
    struct frame_items items;
    size_t count = 0;
    frame_items_init(&items, frame);
    for (struct cl_view item; frame_items_next(&items, &item); views[count++] = item) require(count < FRAME_ANNOUNCED_MAX);
    same(again, frame_list_encode(again, frame->kind, views, count), frame->payload);
}

static void range(struct cl_buffer *again, const struct frame *frame)
{
    static struct cl_view views[CL_BLOCK_RECORDS_MAX];
    struct frame_range_reader reader;
    struct cl_view block;
    struct cl_hash root;
    frame_range_init(&reader, frame);
    require(frame_range_begin(again, reader.left) == CL_OK);
    while (frame_range_next(&reader, &block, &root)) {
        size_t count = 0;
        for (struct cl_view item; frame_items_next(&reader.records, &item); views[count++] = item) require(count < CL_BLOCK_RECORDS_MAX);
        require(frame_range_add(again, block, &root, views, count) == CL_OK);
    }
    same(again, CL_OK, frame->payload);
}

static void small(struct cl_buffer *again, const struct frame *frame)
{
    static const uint8_t nobody[32];
    struct frame_hello hello;
    struct frame_range_request request;
    struct frame_status report;
    struct frame_recovery_question question;
    struct frame_recovery_answer answer;
    struct frame_deposit deposit;
    struct frame_deposited deposited;
    struct frame_public_question wanted;
    struct frame_public_answer bodies;
    if (frame->kind == FRAME_HELLO) {
        require(frame_hello_decode(&hello, frame->payload) == CL_OK && frame_hello_check(&hello, nobody) == CL_E_SIGNATURE);
        same(again, frame_hello_encode(again, &hello), frame->payload);
    } else if (frame->kind == FRAME_RANGE_REQUEST) {
        require(frame_range_request_decode(&request, frame->payload) == CL_OK);
        same(again, frame_range_request_encode(again, &request), frame->payload);
    } else if (frame->kind == FRAME_STATUS) {
        require(frame_status_decode(&report, frame->payload) == CL_OK);
        same(again, frame_status_encode(again, &report), frame->payload);
    } else if (frame->kind == FRAME_RECOVERY_QUESTION) {
        require(frame_recovery_question_decode(&question, frame->payload) == CL_OK);
        same(again, frame_recovery_question_encode(again, &question), frame->payload);
    } else if (frame->kind == FRAME_RECOVERY_ANSWER) {
        require(frame_recovery_answer_decode(&answer, frame->payload) == CL_OK);
        same(again, frame_recovery_answer_encode(again, &answer), frame->payload);
    } else if (frame->kind == FRAME_DEPOSIT) {
        require(frame_deposit_decode(&deposit, frame->payload) == CL_OK && deposit.part.length > 0 && deposit.offset + deposit.part.length <= deposit.size);
        same(again, frame_deposit_encode(again, &deposit), frame->payload);
    } else if (frame->kind == FRAME_DEPOSITED) {
        require(frame_deposited_decode(&deposited, frame->payload) == CL_OK);
        same(again, frame_deposited_encode(again, &deposited), frame->payload);
    } else if (frame->kind == FRAME_PUBLIC_QUESTION) {
        require(frame_public_question_decode(&wanted, frame->payload) == CL_OK);
        same(again, frame_public_question_encode(again, &wanted), frame->payload);
    } else if (frame->kind == FRAME_PUBLIC_ANSWER) {
        require(frame_public_answer_decode(&bodies, frame->payload) == CL_OK && bodies.count <= PUBLIC_PAGE_BODIES_MAX && (bodies.count > 0 || !bodies.more));
        same(again, frame_public_answer_encode(again, &bodies), frame->payload);
    } else {
        require(frame->kind == FRAME_PROPOSAL); /* fuzz_block has its fields */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cl_buffer again = { 0 };
    struct frame frame;
    if (frame_decode(&frame, &network, data, size) != CL_OK) return 0;
    same(&again, frame_encode(&again, &network, frame.kind, frame.payload.data, frame.payload.length), (struct cl_view){ data, size });
    switch (frame.kind) {
    case FRAME_VOTES:
    case FRAME_CERTIFICATES:
    case FRAME_ANNOUNCE:
    case FRAME_FETCH:
    case FRAME_RECORDS:
    case FRAME_COSIGNATURES: list(&again, &frame); break;
    case FRAME_RANGE: range(&again, &frame); break;
    case FRAME_HELLO:
    case FRAME_PROPOSAL:
    case FRAME_RANGE_REQUEST:
    case FRAME_STATUS:
    case FRAME_RECOVERY_QUESTION:
    case FRAME_RECOVERY_ANSWER:
    case FRAME_DEPOSIT:
    case FRAME_DEPOSITED:
    case FRAME_PUBLIC_QUESTION:
    case FRAME_PUBLIC_ANSWER: small(&again, &frame); break;
    }
    cl_buffer_deinit(&again);
    return 0;
}
