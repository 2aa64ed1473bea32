/* cbor.c: what the writer makes the reader takes, and nothing else. Debian's libcbor is the second opinion on what is
   well-formed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cbor/common.h>
#include <cbor/data.h>
#include <cbor/serialization.h>
#include <cmocka.h>

#include "cbor.h"
#include "consent/limits.h"
#include "consent/record.h"

#include <stdlib.h>

/* From libcbor's own <cbor.h>, which our header of that name hides. */
extern cbor_item_t *cbor_load(cbor_data source, size_t source_size, struct cbor_load_result *result);

struct bytes { uint8_t data[64]; size_t length; };

static struct bytes from_hex(const char *hex)
{
    struct bytes out = {.length = strlen(hex) / 2};
    assert_true(out.length <= sizeof out.data);
    for (size_t i = 0; i < out.length; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out.data[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return out;
}

static enum cl_status skip_status(const char *hex)
{
    struct bytes bytes = from_hex(hex);
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, bytes.data, bytes.length);
    (void)cl_cbor_skip(&reader);
    return cl_cbor_finish(&reader);
}

/* ---------------------------------------------------------------- numbers */

/* The edges of every width, RFC 8949 appendix A among them. */
static const struct { uint64_t value; const char *hex; } numbers[] = {
    {0, "00"}, {1, "01"}, {10, "0a"}, {23, "17"}, {24, "1818"}, {25, "1819"}, {100, "1864"}, {255, "18ff"},
    {256, "190100"}, {1000, "1903e8"}, {65535, "19ffff"}, {65536, "1a00010000"}, {1000000, "1a000f4240"},
    {4294967295u, "1affffffff"}, {4294967296u, "1b0000000100000000"}, {1000000000000u, "1b000000e8d4a51000"},
    {UINT64_MAX, "1bffffffffffffffff"},
};

static void numbers_have_one_form_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct bytes expected = from_hex(numbers[i].hex);
        struct cl_buffer buffer = {0};
        struct cl_cbor_writer writer;
        cl_cbor_writer_init(&writer, &buffer);
        cl_cbor_put_uint(&writer, numbers[i].value);
        assert_int_equal(writer.status, CL_OK);
        assert_int_equal(buffer.length, expected.length);
        assert_memory_equal(buffer.data, expected.data, expected.length);
        struct cl_cbor_reader reader;
        cl_cbor_reader_init(&reader, expected.data, expected.length);
        assert_true(cl_cbor_uint(&reader) == numbers[i].value);
        assert_int_equal(cl_cbor_finish(&reader), CL_OK);
        cl_buffer_deinit(&buffer);
    }
}

static void signed_numbers_reach_both_ends(void **state)
{
    (void)state;
    const struct { int64_t value; const char *hex; } cases[] = {
        {-1, "20"}, {-10, "29"}, {-24, "37"}, {-25, "3818"}, {-47, "382e"}, {-1000, "3903e7"}, {7, "07"},
        {INT64_MIN, "3b7fffffffffffffff"}, {INT64_MAX, "1b7fffffffffffffff"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes expected = from_hex(cases[i].hex);
        struct cl_buffer buffer = {0};
        struct cl_cbor_writer writer;
        cl_cbor_writer_init(&writer, &buffer);
        cl_cbor_put_int(&writer, cases[i].value);
        assert_int_equal(buffer.length, expected.length);
        assert_memory_equal(buffer.data, expected.data, expected.length);
        struct cl_cbor_reader reader;
        cl_cbor_reader_init(&reader, buffer.data, buffer.length);
        assert_true(cl_cbor_int(&reader) == cases[i].value);
        assert_int_equal(cl_cbor_finish(&reader), CL_OK);
        cl_buffer_deinit(&buffer);
    }
    const char *const beyond[] = {"3b8000000000000000", "1b8000000000000000"};
    for (size_t i = 0; i < 2; i++) {
        struct bytes bytes = from_hex(beyond[i]);
        struct cl_cbor_reader reader;
        cl_cbor_reader_init(&reader, bytes.data, bytes.length);
        assert_true(cl_cbor_int(&reader) == 0);
        assert_int_equal(cl_cbor_finish(&reader), CL_E_VALUE);
    }
}

/* ---------------------------------------------------------------- what is refused */

struct refusal { const char *hex; enum cl_status expected; };

static void skip_refuses_every_other_form(void **state)
{
    (void)state;
    const struct refusal cases[] = {
        {"", CL_E_CBOR_TRUNCATED},
        {"18", CL_E_CBOR_TRUNCATED}, {"1901", CL_E_CBOR_TRUNCATED}, {"1b00000001000000", CL_E_CBOR_TRUNCATED},
        {"1817", CL_E_CBOR_NOT_CANONICAL}, {"1900ff", CL_E_CBOR_NOT_CANONICAL}, {"1a0000ffff", CL_E_CBOR_NOT_CANONICAL},
        {"1b00000000ffffffff", CL_E_CBOR_NOT_CANONICAL}, {"3800", CL_E_CBOR_NOT_CANONICAL},
        {"1c", CL_E_CBOR_NOT_CANONICAL}, {"1d", CL_E_CBOR_NOT_CANONICAL}, {"1e", CL_E_CBOR_NOT_CANONICAL},
        {"1f", CL_E_CBOR_NOT_CANONICAL},
        {"5800", CL_E_CBOR_NOT_CANONICAL}, {"41", CL_E_CBOR_TRUNCATED}, {"42ff", CL_E_CBOR_TRUNCATED},
        {"5bffffffffffffffff", CL_E_CBOR_TRUNCATED}, {"5f4100ff", CL_E_CBOR_NOT_CANONICAL},
        {"7f6161ff", CL_E_CBOR_NOT_CANONICAL}, {"61", CL_E_CBOR_TRUNCATED},
        {"81", CL_E_CBOR_TRUNCATED}, {"8201", CL_E_CBOR_TRUNCATED}, {"9f01ff", CL_E_CBOR_NOT_CANONICAL},
        {"9bffffffffffffffff", CL_E_CBOR_TRUNCATED}, {"980101", CL_E_CBOR_NOT_CANONICAL},
        {"a1", CL_E_CBOR_TRUNCATED}, {"a101", CL_E_CBOR_TRUNCATED}, {"bf0101ff", CL_E_CBOR_NOT_CANONICAL},
        {"bbffffffffffffffff", CL_E_CBOR_TRUNCATED},
        {"a202010101", CL_E_CBOR_NOT_CANONICAL},     /* keys 2, 1 */
        {"a201010101", CL_E_CBOR_NOT_CANONICAL},     /* key 1 twice */
        {"a2616201616101", CL_E_CBOR_NOT_CANONICAL}, /* "b", "a" */
        {"a22001181801", CL_E_CBOR_NOT_CANONICAL},   /* -1 before 24: bytewise, not by length, so 24 is first */
        {"c001", CL_E_CBOR_TYPE}, {"d2820101", CL_E_CBOR_TYPE}, {"c24101", CL_E_CBOR_TYPE},
        {"f7", CL_E_CBOR_TYPE}, {"e0", CL_E_CBOR_TYPE}, {"f820", CL_E_CBOR_TYPE}, {"f90000", CL_E_CBOR_TYPE},
        {"fa00000000", CL_E_CBOR_TYPE}, {"fb0000000000000000", CL_E_CBOR_TYPE}, {"ff", CL_E_CBOR_NOT_CANONICAL},
        {"0000", CL_E_CBOR_TRAILING}, {"8000", CL_E_CBOR_TRAILING},
        {"61ff", CL_E_FORMAT}, {"62c080", CL_E_FORMAT}, {"63eda080", CL_E_FORMAT}, {"62c328", CL_E_FORMAT},
        {"64f4908080", CL_E_FORMAT}, {"63e08080", CL_E_FORMAT}, {"61c3", CL_E_FORMAT}, {"64f0808080", CL_E_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (skip_status(cases[i].hex) != cases[i].expected)
            fail_msg("%s: %s", cases[i].hex, cl_status_code(skip_status(cases[i].hex)));
    }
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    char hex[40];
    for (unsigned depth = 1; depth <= CL_CBOR_DEPTH_MAX + 2; depth++) {
        for (unsigned i = 0; i < depth; i++) memcpy(hex + 2 * i, "81", 2);
        memcpy(hex + 2 * depth, "00", 3);
        assert_int_equal(skip_status(hex), depth <= CL_CBOR_DEPTH_MAX ? CL_OK : CL_E_CBOR_DEPTH);
    }
    /* a million heads do not reach the stack's end */
    size_t length = 1000000;
    uint8_t *deep = malloc(length);
    assert_non_null(deep);
    memset(deep, 0x81, length);
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, deep, length);
    (void)cl_cbor_skip(&reader);
    assert_int_equal(cl_cbor_finish(&reader), CL_E_CBOR_DEPTH);
    free(deep);
}

static void typed_readers_refuse_other_types(void **state)
{
    (void)state;
    struct cl_cbor_reader reader;
    struct bytes one = from_hex("01"), text = from_hex("6161");
    cl_cbor_reader_init(&reader, one.data, one.length);
    assert_null(cl_cbor_bytes(&reader).data);
    assert_int_equal(reader.status, CL_E_CBOR_TYPE);
    assert_true(cl_cbor_uint(&reader) == 0); /* sticky: the good number is no longer read */
    assert_int_equal(cl_cbor_finish(&reader), CL_E_CBOR_TYPE);
    cl_cbor_reader_init(&reader, text.data, text.length);
    assert_int_equal(cl_cbor_array(&reader), 0);
    assert_int_equal(reader.status, CL_E_CBOR_TYPE);
    cl_cbor_reader_init(&reader, text.data, text.length);
    assert_false(cl_cbor_bool(&reader));
    assert_int_equal(reader.status, CL_E_CBOR_TYPE);
    cl_cbor_reader_init(&reader, text.data, text.length);
    assert_false(cl_cbor_null(&reader)); /* untouched */
    assert_int_equal(cl_cbor_text(&reader).length, 1);
    assert_int_equal(cl_cbor_finish(&reader), CL_OK);
    assert_int_equal(cl_cbor_peek(&reader), CL_CBOR_SIMPLE);
    assert_int_equal(reader.status, CL_E_CBOR_TRUNCATED);
}

static void lengths_that_are_fixed_are_checked(void **state)
{
    (void)state;
    struct cl_cbor_reader reader;
    struct bytes two = from_hex("420102"), array = from_hex("820102");
    cl_cbor_reader_init(&reader, two.data, two.length);
    assert_ptr_equal(cl_cbor_bytes_fixed(&reader, 2), two.data + 1);
    cl_cbor_reader_init(&reader, two.data, two.length);
    assert_null(cl_cbor_bytes_fixed(&reader, 3));
    assert_int_equal(cl_cbor_finish(&reader), CL_E_FORMAT);
    cl_cbor_reader_init(&reader, two.data, two.length);
    assert_null(cl_cbor_bytes_fixed(&reader, 1));
    assert_int_equal(cl_cbor_finish(&reader), CL_E_FORMAT);
    for (size_t count = 1; count <= 3; count += 2) {
        cl_cbor_reader_init(&reader, array.data, array.length);
        cl_cbor_array_fixed(&reader, count);
        assert_int_equal(cl_cbor_finish(&reader), CL_E_FORMAT);
    }
}

static void map_keys_ascend(void **state)
{
    (void)state;
    const struct { const char *hex; enum cl_status expected; } cases[] = {
        {"a3000001000200", CL_OK},
        {"a2010001000200", CL_E_CBOR_NOT_CANONICAL},
        {"a202000100", CL_E_CBOR_NOT_CANONICAL},
        {"a2000000", CL_E_CBOR_TRUNCATED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes bytes = from_hex(cases[i].hex);
        struct cl_cbor_reader reader;
        uint64_t last = 0;
        bool first = true;
        cl_cbor_reader_init(&reader, bytes.data, bytes.length);
        size_t count = cl_cbor_map(&reader);
        for (size_t k = 0; k < count; k++) {
            (void)cl_cbor_map_key(&reader, &last, &first);
            (void)cl_cbor_uint(&reader);
        }
        assert_int_equal(reader.status, cases[i].expected);
    }
}

static void an_empty_input_may_be_null(void **state)
{
    (void)state;
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, NULL, 0);
    assert_int_equal(cl_cbor_finish(&reader), CL_OK);
    assert_true(cl_cbor_uint(&reader) == 0);
    assert_int_equal(cl_cbor_finish(&reader), CL_E_CBOR_TRUNCATED);
}

/* ---------------------------------------------------------------- a second opinion */

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % bound;
}

/* A random item within the subset. Map keys are 0, 1, 2, … so that they are in order. */
static void put_random(struct cl_cbor_writer *writer, unsigned depth)
{
    static const uint8_t noise[300];
    size_t count = random_below(5);
    switch (random_below(depth < CL_CBOR_DEPTH_MAX ? 7 : 5)) {
    case 0: cl_cbor_put_uint(writer, random_below(UINT64_MAX) >> random_below(31)); break;
    case 1: cl_cbor_put_int(writer, -1 - (int64_t)(random_below(UINT32_MAX) >> random_below(31))); break;
    case 2: cl_cbor_put_bytes(writer, noise, random_below(sizeof noise)); break;
    case 3: cl_cbor_put_text(writer, "gr\xc3\xbc\xc3\x9f" "e", 7); break;
    case 4: cl_cbor_put_null(writer); break;
    case 5:
        cl_cbor_put_array(writer, count);
        for (size_t i = 0; i < count; i++) put_random(writer, depth + 1);
        break;
    default:
        cl_cbor_put_map(writer, count);
        for (size_t i = 0; i < count; i++) {
            cl_cbor_put_uint(writer, i);
            put_random(writer, depth + 1);
        }
        break;
    }
}

static void libcbor_reads_what_we_write_and_writes_it_back(void **state)
{
    (void)state;
    random_state = 20261122;
    for (unsigned round = 0; round < 3000; round++) {
        struct cl_buffer buffer = {0};
        struct cl_cbor_writer writer;
        cl_cbor_writer_init(&writer, &buffer);
        put_random(&writer, 0);
        assert_int_equal(writer.status, CL_OK);
        struct cl_cbor_reader reader;
        cl_cbor_reader_init(&reader, buffer.data, buffer.length);
        assert_int_equal(cl_cbor_skip(&reader).length, buffer.length);
        assert_int_equal(cl_cbor_finish(&reader), CL_OK);
        struct cbor_load_result result;
        cbor_item_t *item = cbor_load(buffer.data, buffer.length, &result);
        assert_non_null(item);
        assert_int_equal(result.read, buffer.length);
        unsigned char *again = NULL;
        size_t size = 0;
        size_t length = cbor_serialize_alloc(item, &again, &size);
        assert_int_equal(length, buffer.length);
        assert_memory_equal(again, buffer.data, length);
        free(again);
        cbor_decref(&item);
        cl_buffer_deinit(&buffer);
    }
}

/* Whatever random bytes our reader takes as one item, libcbor takes as well, and of the same length. */
static void libcbor_agrees_on_what_is_well_formed(void **state)
{
    (void)state;
    random_state = 7;
    unsigned accepted = 0;
    for (unsigned round = 0; round < 200000; round++) {
        uint8_t data[8];
        size_t length = 1 + random_below(sizeof data);
        for (size_t i = 0; i < length; i++) data[i] = (uint8_t)random_below(256);
        struct cl_cbor_reader reader;
        cl_cbor_reader_init(&reader, data, length);
        (void)cl_cbor_skip(&reader);
        if (cl_cbor_finish(&reader) != CL_OK) continue;
        accepted++;
        struct cbor_load_result result;
        cbor_item_t *item = cbor_load(data, length, &result);
        assert_non_null(item);
        assert_int_equal(result.read, length);
        cbor_decref(&item);
    }
    assert_true(accepted > 1000);
}

/* ---------------------------------------------------------------- buffers */

static void a_buffer_refuses_to_grow_beyond_its_bound(void **state)
{
    (void)state;
    struct cl_buffer buffer = {0};
    assert_int_equal(cl_buffer_append(&buffer, "abc", 3), CL_OK);
    assert_int_equal(cl_buffer_append(&buffer, NULL, 0), CL_OK);
    assert_int_equal(cl_buffer_append(&buffer, "", CL_BUFFER_BYTES_MAX), CL_E_BOUND); /* refused before it is read */
    assert_int_equal(cl_buffer_append(&buffer, "", SIZE_MAX), CL_E_BOUND);
    assert_int_equal(buffer.length, 3);
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, &buffer);
    cl_cbor_put_raw(&writer, "", SIZE_MAX);
    cl_cbor_put_uint(&writer, 1);
    assert_int_equal(writer.status, CL_E_BOUND);
    assert_int_equal(buffer.length, 3);
    cl_buffer_deinit(&buffer);
    assert_null(buffer.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_one_form_both_ways),
        cmocka_unit_test(signed_numbers_reach_both_ends),
        cmocka_unit_test(skip_refuses_every_other_form),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(typed_readers_refuse_other_types),
        cmocka_unit_test(lengths_that_are_fixed_are_checked),
        cmocka_unit_test(map_keys_ascend),
        cmocka_unit_test(an_empty_input_may_be_null),
        cmocka_unit_test(libcbor_reads_what_we_write_and_writes_it_back),
        cmocka_unit_test(libcbor_agrees_on_what_is_well_formed),
        cmocka_unit_test(a_buffer_refuses_to_grow_beyond_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
