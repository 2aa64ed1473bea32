/* Frames against vectors of another implementation, and what a strict decoder refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "consent/record.h"
#include "crypto.h"
#include "fixture.h"
#include "frame.h"
#include "vectors.h"

static json_t *frames;
static struct cl_network_id network; /* of the vectors: only the prefix counts, and the hello has all of it */

static int load(void **state)
{
    (void)state;
    frames = vectors_load("tests/vectors/frames.json");
    vectors_fixed_of(network.bytes, 32, json_array_get(json_object_get(vectors_item(frames, "hello"), "value"), 0));
    return 0;
}

static int unload(void **state)
{
    (void)state;
    json_decref(frames);
    return 0;
}

/* The vector's bytes and what is in them; both borrow from bytes. */
static const json_t *decoded(struct frame *frame, struct cl_buffer *bytes, const char *name)
{
    const json_t *item = vectors_item(frames, name);
    *bytes = vectors_bytes(item, "hex");
    FIXTURE_OK(frame_decode(frame, &network, bytes->data, bytes->length));
    return json_object_get(item, "value");
}

static void is_payload(struct cl_buffer *made, const struct frame *frame)
{
    assert_int_equal(made->length, frame->payload.length);
    assert_memory_equal(made->data, frame->payload.data, made->length);
    cl_buffer_deinit(made);
}

static void every_kind_of_the_vectors_comes_back_byte_for_byte(void **state)
{
    (void)state;
    bool seen[FRAME_PUBLIC_ANSWER + 1] = { false };
    for (size_t i = 0; i < json_array_size(frames); i++) {
        const json_t *item = json_array_get(frames, i);
        struct cl_buffer bytes = vectors_bytes(item, "hex"), payload = vectors_bytes(item, "payload"), again = { 0 };
        struct frame frame;
        FIXTURE_OK(frame_decode(&frame, &network, bytes.data, bytes.length));
        assert_int_equal(frame.kind, vectors_number(json_object_get(item, "kind")));
        assert_int_equal(frame.payload.length, payload.length);
        assert_memory_equal(frame.payload.data, payload.data, payload.length);
        FIXTURE_OK(frame_encode(&again, &network, frame.kind, payload.data, payload.length));
        assert_int_equal(again.length, bytes.length);
        assert_memory_equal(again.data, bytes.data, bytes.length);
        seen[frame.kind] = true;
        cl_buffer_deinit(&bytes);
        cl_buffer_deinit(&payload);
        cl_buffer_deinit(&again);
    }
    for (size_t kind = FRAME_HELLO; kind <= FRAME_PUBLIC_ANSWER; kind++) assert_true(seen[kind]);
}

static void a_hello_is_as_the_vector_says_and_its_signature_covers_every_field(void **state)
{
    (void)state;
    struct frame frame;
    struct cl_buffer bytes, again = { 0 };
    struct frame_hello hello, bent;
    uint8_t seed[32], vote[32];
    const json_t *value = decoded(&frame, &bytes, "hello");
    FIXTURE_OK(frame_hello_decode(&hello, frame.payload));
    assert_string_equal(hello.sender, json_string_value(json_array_get(value, 1)));
    assert_string_equal(hello.receiver, json_string_value(json_array_get(value, 2)));
    assert_int_equal(hello.time_ms, vectors_number(json_array_get(value, 3)));
    FIXTURE_OK(frame_hello_encode(&again, &hello));
    is_payload(&again, &frame);
    json_t *agreement = vectors_load("tests/vectors/agreement.json");
    vectors_fixed(seed, 32, vectors_item(agreement, "vote_notarize"), "seed"); /* member-0's */
    vectors_fixed(vote, 32, vectors_item(agreement, "vote_notarize"), "public");
    json_decref(agreement);
    FIXTURE_OK(frame_hello_check(&hello, vote));
    bent = hello, memset(bent.signature, 0, 64);
    FIXTURE_OK(frame_hello_sign(&bent, seed));
    assert_memory_equal(bent.signature, hello.signature, 64);
    bent = hello, bent.time_ms++;
    assert_int_equal(frame_hello_check(&bent, vote), CL_E_SIGNATURE);
    bent = hello, bent.sender[0] = 'n';
    assert_int_equal(frame_hello_check(&bent, vote), CL_E_SIGNATURE);
    bent = hello, bent.receiver[0] = 'n';
    assert_int_equal(frame_hello_check(&bent, vote), CL_E_SIGNATURE);
    bent = hello, bent.network.bytes[31] ^= 1;
    assert_int_equal(frame_hello_check(&bent, vote), CL_E_SIGNATURE);
    cl_buffer_deinit(&bytes);
}

static void lists_are_walked_and_made_again(void **state)
{
    (void)state;
    static const char *const names[] = { "votes", "certificates", "announce", "fetch", "records", "cosignatures" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct frame frame;
        struct frame_items items;
        struct cl_view views[8];
        struct cl_buffer bytes, again = { 0 };
        const json_t *value = decoded(&frame, &bytes, names[i]);
        size_t count = 0;
        frame_items_init(&items, &frame);
        while (count < 8 && frame_items_next(&items, &views[count])) {
            if (json_is_string(json_array_get(value, count))) {
                struct cl_buffer expected = vectors_bytes_of(json_array_get(value, count));
                assert_int_equal(views[count].length, expected.length);
                assert_memory_equal(views[count].data, expected.data, expected.length);
                cl_buffer_deinit(&expected);
            }
            count++;
        }
        assert_int_equal(count, json_array_size(value));
        FIXTURE_OK(frame_list_encode(&again, frame.kind, views, count));
        is_payload(&again, &frame);
        cl_buffer_deinit(&bytes);
    }
}

static enum cl_status met(unsigned kind, const void *payload, size_t length);

static void a_range_is_walked_and_made_again(void **state)
{
    (void)state;
    struct frame frame;
    struct frame_range_reader range;
    struct cl_hash root;
    struct cl_view block, views[8];
    struct cl_buffer bytes, again = { 0 };
    size_t count = 0;
    decoded(&frame, &bytes, "range");
    frame_range_init(&range, &frame);
    assert_true(frame_range_next(&range, &block, &root));
    while (count < 8 && frame_items_next(&range.records, &views[count])) count++;
    assert_int_equal(count, 3);
    assert_false(frame_range_next(&range, &block, &root));
    FIXTURE_OK(frame_range_begin(&again, 1));
    FIXTURE_OK(frame_range_add(&again, block, &root, views, count));
    is_payload(&again, &frame);
    cl_buffer_deinit(&bytes);
    decoded(&frame, &bytes, "range_empty");
    frame_range_init(&range, &frame);
    assert_false(frame_range_next(&range, &block, &root));
    cl_buffer_deinit(&bytes);
}

/* What one answer had no room for comes with the next, which leaves out what the asker has. */
static void a_block_comes_in_parts_but_never_with_more_records_than_it_has(void **state)
{
    (void)state;
    static const char *const names[] = { "range_first_records", "range_rest" };
    struct frame frame;
    struct frame_range_reader range;
    struct cl_hash root;
    struct cl_view block, views[8];
    struct cl_buffer whole, bytes, again = { 0 };
    size_t count = 0, expected = 0;
    decoded(&frame, &whole, "range");
    frame_range_init(&range, &frame);
    assert_true(frame_range_next(&range, &block, &root));
    while (expected < 7 && frame_items_next(&range.records, &views[expected])) expected++;
    for (size_t i = 0; i < 2; i++) {
        struct cl_view part_block, record;
        decoded(&frame, &bytes, names[i]);
        frame_range_init(&range, &frame);
        assert_true(frame_range_next(&range, &part_block, &root));
        assert_true(part_block.length == block.length && memcmp(part_block.data, block.data, block.length) == 0);
        for (; frame_items_next(&range.records, &record); count++)
            assert_true(count < expected && record.length == views[count].length && memcmp(record.data, views[count].data, record.length) == 0);
        cl_buffer_deinit(&bytes);
    }
    assert_int_equal(count, expected);
    views[expected] = views[0];
    FIXTURE_OK(frame_range_begin(&again, 1));
    FIXTURE_OK(frame_range_add(&again, block, &root, views, expected + 1));
    assert_int_equal(met(FRAME_RANGE, again.data, again.length), CL_E_FORMAT);
    cl_buffer_deinit(&again);
    cl_buffer_deinit(&whole);
}

static void small_kinds_are_as_the_vectors_say(void **state)
{
    (void)state;
    struct frame frame;
    struct cl_buffer bytes, again = { 0 };
    struct frame_range_request request;
    struct frame_status report;
    struct frame_recovery_question question;
    decoded(&frame, &bytes, "range_request");
    FIXTURE_OK(frame_range_request_decode(&request, frame.payload));
    assert_true(request.first_height == 1 && request.count == 16 && request.skip == 0);
    FIXTURE_OK(frame_range_request_encode(&again, &request));
    is_payload(&again, &frame);
    cl_buffer_deinit(&bytes);
    decoded(&frame, &bytes, "range_request_rest");
    FIXTURE_OK(frame_range_request_decode(&request, frame.payload));
    assert_true(request.first_height == 1 && request.count == 1 && request.skip == 2);
    FIXTURE_OK(frame_range_request_encode(&again, &request));
    is_payload(&again, &frame);
    cl_buffer_deinit(&bytes);
    decoded(&frame, &bytes, "status");
    FIXTURE_OK(frame_status_decode(&report, frame.payload));
    assert_true(report.height == 1 && report.view == 3 && report.final_view == 2);
    FIXTURE_OK(frame_status_encode(&again, &report));
    is_payload(&again, &frame);
    cl_buffer_deinit(&bytes);
    decoded(&frame, &bytes, "recovery_question");
    FIXTURE_OK(frame_recovery_question_decode(&question, frame.payload));
    assert_int_equal(question.member, 3);
    FIXTURE_OK(frame_recovery_question_encode(&again, &question));
    is_payload(&again, &frame);
    cl_buffer_deinit(&bytes);
}

static void a_page_of_public_bodies_ascends_and_is_bounded(void **state)
{
    (void)state;
    struct frame frame;
    struct frame_public_question question;
    struct frame_public_answer answer, bent;
    struct cl_buffer bytes, again = { 0 };
    decoded(&frame, &bytes, "public_question_after");
    FIXTURE_OK(frame_public_question_decode(&question, frame.payload));
    assert_true(question.has_after);
    FIXTURE_OK(frame_public_question_encode(&again, &question));
    is_payload(&again, &frame);
    cl_buffer_deinit(&bytes);
    decoded(&frame, &bytes, "public_answer");
    FIXTURE_OK(frame_public_answer_decode(&answer, frame.payload));
    assert_true(answer.count == 2 && answer.more);
    again = (struct cl_buffer){ 0 };
    FIXTURE_OK(frame_public_answer_encode(&again, &answer));
    is_payload(&again, &frame);
    /* one twice, in the wrong order, cut, none but more to come, too many bytes */
    static uint8_t long_one[CL_PUBLIC_BODY_BYTES_MAX + 1];
    const struct { size_t count; struct cl_view first, second; bool more; } bad[] = {
        { 2, answer.bodies[0], answer.bodies[0], false }, { 2, answer.bodies[1], answer.bodies[0], false },
        { 1, { answer.bodies[0].data, answer.bodies[0].length - 1 }, { 0 }, false }, { 0, { 0 }, { 0 }, true }, { 1, { long_one, sizeof long_one }, { 0 }, false } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bent = (struct frame_public_answer){ .count = bad[i].count, .bodies = { bad[i].first, bad[i].second }, .more = bad[i].more };
        again = (struct cl_buffer){ 0 };
        FIXTURE_OK(frame_public_answer_encode(&again, &bent));
        assert_true(frame_public_answer_decode(&bent, (struct cl_view){ again.data, again.length }) != CL_OK);
        cl_buffer_deinit(&again);
    }
    cl_buffer_deinit(&bytes);
}

static void a_deposit_is_bounded_and_its_answer_names_a_number_only_where_it_waits(void **state)
{
    (void)state;
    static const uint8_t bytes_of_a_part[FRAME_DEPOSIT_PART_MAX + 1];
    struct frame frame;
    struct frame_deposit deposit;
    struct frame_deposited deposited;
    struct cl_buffer bytes, again = { 0 };
    decoded(&frame, &bytes, "deposit_part");
    FIXTURE_OK(frame_deposit_decode(&deposit, frame.payload));
    assert_true(deposit.size == 6 && deposit.offset == 4 && deposit.part.length == 2 && memcmp(deposit.part.data, "ed", 2) == 0);
    FIXTURE_OK(frame_deposit_encode(&again, &deposit));
    is_payload(&again, &frame);
    const struct { uint64_t size, offset, length; bool good; } cases[] = {
        { 1, 0, 1, true }, { MAILBOX_DELIVERY_BYTES_MAX, 0, FRAME_DEPOSIT_PART_MAX, true }, { MAILBOX_DELIVERY_BYTES_MAX + 1, 0, 1, false }, { 1, 0, 0, false },
        { 1, 1, 1, false }, { 2, 0, 3, false }, { MAILBOX_DELIVERY_BYTES_MAX, 0, FRAME_DEPOSIT_PART_MAX + 1, false }, { MAILBOX_DELIVERY_BYTES_MAX, UINT64_MAX, 1, false } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct frame_deposit made = deposit;
        made.size = cases[i].size;
        made.offset = cases[i].offset;
        made.part = (struct cl_view){ bytes_of_a_part, cases[i].length };
        again = (struct cl_buffer){ 0 };
        FIXTURE_OK(frame_deposit_encode(&again, &made));
        assert_int_equal(frame_deposit_decode(&made, (struct cl_view){ again.data, again.length }) == CL_OK, cases[i].good);
        cl_buffer_deinit(&again);
    }
    for (unsigned outcome = 0; outcome <= MAILBOX_REPLAY; outcome++)
        for (uint64_t number = 0; number < 2; number++) {
            deposited = (struct frame_deposited){ (enum mailbox_outcome)outcome, number };
            again = (struct cl_buffer){ 0 };
            FIXTURE_OK(frame_deposited_encode(&again, &deposited));
            assert_int_equal(frame_deposited_decode(&deposited, (struct cl_view){ again.data, again.length }) == CL_OK,
                             outcome <= MAILBOX_FAILED && (outcome <= MAILBOX_KNOWN) == (number > 0));
            cl_buffer_deinit(&again);
        }
    cl_buffer_deinit(&bytes);
}

static void a_recovery_answer_is_signed_over_its_fields(void **state)
{
    (void)state;
    static const char *const names[] = { "recovery_answer", "recovery_answer_at_start" };
    uint8_t vote[32];
    json_t *agreement = vectors_load("tests/vectors/agreement.json");
    vectors_fixed(vote, 32, vectors_item(agreement, "vote_nullify"), "public"); /* member-1's */
    json_decref(agreement);
    for (size_t i = 0; i < 2; i++) {
        struct frame frame;
        struct frame_recovery_answer answer;
        struct cl_buffer bytes, again = { 0 };
        decoded(&frame, &bytes, names[i]);
        FIXTURE_OK(frame_recovery_answer_decode(&answer, frame.payload));
        assert_true(answer.member == 1 && answer.view == (i == 0 ? 2 : 0) && (answer.certificate.length > 0) == (i == 0));
        FIXTURE_OK(frame_recovery_answer_signed_bytes(&again, &answer));
        assert_true(cl_ed25519_verify(vote, answer.signature, again.data, again.length));
        again.length = 0;
        FIXTURE_OK(frame_recovery_answer_encode(&again, &answer));
        is_payload(&again, &frame);
        cl_buffer_deinit(&bytes);
    }
}

static enum cl_status decode_again(const struct cl_buffer *bytes)
{
    struct frame frame;
    return frame_decode(&frame, &network, bytes->data, bytes->length);
}

static void every_shorter_frame_and_every_longer_one_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < json_array_size(frames); i++) {
        struct cl_buffer bytes = vectors_bytes(json_array_get(frames, i), "hex");
        struct frame frame;
        for (size_t length = 0; length < bytes.length; length++)
            assert_int_not_equal(frame_decode(&frame, &network, bytes.data, length), CL_OK);
        FIXTURE_OK(cl_buffer_append(&bytes, "", 1));
        assert_int_equal(decode_again(&bytes), CL_E_CBOR_TRAILING);
        cl_buffer_deinit(&bytes);
    }
}

/* The status that a frame of this kind with this payload meets. */
static enum cl_status met(unsigned kind, const void *payload, size_t length)
{
    struct cl_buffer bytes = { 0 };
    FIXTURE_OK(frame_encode(&bytes, &network, (enum frame_kind)kind, payload, length));
    enum cl_status status = decode_again(&bytes);
    cl_buffer_deinit(&bytes);
    return status;
}

static void versions_networks_and_kinds_are_told_apart(void **state)
{
    (void)state;
    struct cl_buffer bytes = vectors_bytes(vectors_item(frames, "status"), "hex");
    bytes.data[1] = 2;
    assert_int_equal(decode_again(&bytes), CL_E_VERSION);
    bytes.data[1] = 1;
    bytes.data[3] ^= 1;
    assert_int_equal(decode_again(&bytes), CL_E_NETWORK);
    cl_buffer_deinit(&bytes);
    assert_int_equal(met(0, "\x80", 1), CL_E_UNSUPPORTED);
    assert_int_equal(met(FRAME_PUBLIC_ANSWER + 1, "\x80", 1), CL_E_UNSUPPORTED);
    assert_int_equal(met(200, "anything", 8), CL_E_UNSUPPORTED);
}

static void payloads_of_another_form_are_refused(void **state)
{
    (void)state;
    static const unsigned lists[] = { FRAME_VOTES, FRAME_CERTIFICATES, FRAME_ANNOUNCE, FRAME_FETCH, FRAME_RECORDS, FRAME_COSIGNATURES };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        assert_int_equal(met(lists[i], "\x80", 1), CL_E_FORMAT);         /* an empty list */
        assert_int_not_equal(met(lists[i], "\x81\x80", 2), CL_OK);
        assert_int_not_equal(met(lists[i], "\x9b\xff\xff\xff\xff\xff\xff\xff\xff", 9), CL_OK);
    }
    assert_int_equal(met(FRAME_RECORDS, "\x81\x41\x00", 3), CL_OK); /* what a record is made of is for others to check */
    assert_int_equal(met(FRAME_RECORDS, "\x81\x40", 2), CL_E_RECORD_SIZE);
    assert_int_equal(met(FRAME_FETCH, "\x81\x41\x00", 3), CL_E_FORMAT);
    assert_int_equal(met(FRAME_STATUS, "\x83\x01\x02\x18\x03", 5), CL_E_CBOR_NOT_CANONICAL);
    assert_int_equal(met(FRAME_RANGE_REQUEST, "\x83\x01\x01\x20", 4), CL_E_CBOR_TYPE);
    assert_int_not_equal(met(FRAME_RANGE_REQUEST, "\x82\x01\x01", 3), CL_OK); /* without skip */
    assert_int_equal(met(FRAME_RANGE, "\x81\x83\x80\x80\x80", 5), CL_E_CBOR_TYPE);
}

static void a_hello_without_a_usable_name_is_refused(void **state)
{
    (void)state;
    struct frame frame;
    struct cl_buffer bytes;
    decoded(&frame, &bytes, "hello");
    uint8_t *payload = malloc(frame.payload.length);
    assert_non_null(payload);
    memcpy(payload, frame.payload.data, frame.payload.length);
    payload[1 + 2 + 32 + 1 + 2] = 0; /* within the sender's name */
    assert_int_equal(met(FRAME_HELLO, payload, frame.payload.length), CL_E_FORMAT);
    free(payload);
    cl_buffer_deinit(&bytes);
}

static void lists_are_bounded_by_kind(void **state)
{
    (void)state;
    static uint8_t hash[32];
    static struct cl_view views[FRAME_ANNOUNCED_MAX + 1];
    struct cl_buffer payload = { 0 };
    struct cl_cbor_writer writer;
    for (size_t i = 0; i <= FRAME_ANNOUNCED_MAX; i++) views[i] = (struct cl_view){ hash, 32 };
    FIXTURE_OK(frame_list_encode(&payload, FRAME_ANNOUNCE, views, FRAME_ANNOUNCED_MAX));
    assert_int_equal(met(FRAME_ANNOUNCE, payload.data, payload.length), CL_OK);
    assert_int_equal(met(FRAME_FETCH, payload.data, payload.length), CL_E_BOUND);
    assert_int_equal(frame_list_encode(&payload, FRAME_ANNOUNCE, views, FRAME_ANNOUNCED_MAX + 1), CL_E_BOUND);
    payload.length = 0;
    cl_cbor_writer_init(&writer, &payload);
    cl_cbor_put_array(&writer, FRAME_ANNOUNCED_MAX + 1);
    for (size_t i = 0; i <= FRAME_ANNOUNCED_MAX; i++) cl_cbor_put_bytes(&writer, hash, 32);
    FIXTURE_OK(writer.status);
    assert_int_equal(met(FRAME_ANNOUNCE, payload.data, payload.length), CL_E_BOUND);
    cl_buffer_deinit(&payload);
}

static void a_frame_is_at_most_256_kibibytes(void **state)
{
    (void)state;
    static uint8_t bytes[CL_FRAME_BYTES_MAX + 1];
    struct cl_buffer out = { 0 };
    struct frame frame;
    size_t fixed = 1 + 1 + 9 + 1 + 5;
    FIXTURE_OK(frame_encode(&out, &network, FRAME_RECORDS, bytes, CL_FRAME_BYTES_MAX - fixed));
    assert_int_equal(out.length, CL_FRAME_BYTES_MAX);
    assert_int_equal(frame_encode(&out, &network, FRAME_RECORDS, bytes, CL_FRAME_BYTES_MAX - fixed + 1), CL_E_BOUND);
    assert_int_equal(frame_decode(&frame, &network, bytes, sizeof bytes), CL_E_BOUND);
    cl_buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_the_vectors_comes_back_byte_for_byte),
        cmocka_unit_test(a_hello_is_as_the_vector_says_and_its_signature_covers_every_field),
        cmocka_unit_test(lists_are_walked_and_made_again),
        cmocka_unit_test(a_range_is_walked_and_made_again),
        cmocka_unit_test(a_block_comes_in_parts_but_never_with_more_records_than_it_has),
        cmocka_unit_test(small_kinds_are_as_the_vectors_say),
        cmocka_unit_test(a_page_of_public_bodies_ascends_and_is_bounded),
        cmocka_unit_test(a_deposit_is_bounded_and_its_answer_names_a_number_only_where_it_waits),
        cmocka_unit_test(a_recovery_answer_is_signed_over_its_fields),
        cmocka_unit_test(every_shorter_frame_and_every_longer_one_is_refused),
        cmocka_unit_test(versions_networks_and_kinds_are_told_apart),
        cmocka_unit_test(payloads_of_another_form_are_refused),
        cmocka_unit_test(a_hello_without_a_usable_name_is_refused),
        cmocka_unit_test(lists_are_bounded_by_kind),
        cmocka_unit_test(a_frame_is_at_most_256_kibibytes),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
