/* Claims about inspect: notation as in RFC 8949 section 8, and no file that it cannot look at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "consent/inspect.h"
#include "consent/terms.h"

static void shows(const char *bytes, size_t length, const char *wanted)
{
    struct cl_buffer out = {0};
    assert_int_equal(cl_inspect_diagnostic(&out, (const uint8_t *)bytes, length), CL_OK);
    assert_int_equal(cl_buffer_append(&out, "", 1), CL_OK);
    assert_string_equal((const char *)out.data, wanted);
    cl_buffer_deinit(&out);
}

static void notation_is_that_of_rfc_8949(void **state)
{
    (void)state;
    shows("\x00", 1, "0\n");
    shows("\x20", 1, "-1\n");
    shows("\x18\x64", 2, "100\n");
    shows("\xf6", 1, "null\n");
    shows("\xf5", 1, "true\n");
    shows("\x62\x22\x5c", 3, "\"\\\"\\\\\"\n");
    shows("\x43\x01\x02\x03", 4, "h'010203'\n");
    shows("\x80", 1, "[]\n");
    shows("\x83\x01\x02\x03", 4, "[1, 2, 3]\n");
    shows("\xa1\x01\x02", 3, "{1: 2}\n");
    shows("\x42\x81\x01", 3, "<< [1] >>\n");
    shows("\xd2\x81\x01", 3, "18([1])\n");
}

static void what_is_not_deterministic_is_said_to_be_so(void **state)
{
    (void)state;
    struct cl_buffer out = {0};
    assert_int_equal(cl_inspect_diagnostic(&out, (const uint8_t *)"\x18\x01", 2), CL_E_CBOR_NOT_CANONICAL);
    assert_int_equal(cl_inspect_diagnostic(&out, (const uint8_t *)"\xa2\x02\x00\x01\x00", 5), CL_E_CBOR_NOT_CANONICAL); /* keys out of order */
    assert_int_equal(cl_inspect_diagnostic(&out, (const uint8_t *)"\xa2\x01\x00\x01\x00", 5), CL_E_CBOR_NOT_CANONICAL); /* one twice */
    assert_int_not_equal(cl_inspect_diagnostic(&out, (const uint8_t *)"\x82\x01", 2), CL_OK);
    assert_int_not_equal(cl_inspect_diagnostic(&out, (const uint8_t *)"\x01\x01", 2), CL_OK);
    assert_int_not_equal(cl_inspect_diagnostic(&out, (const uint8_t *)"", 0), CL_OK);
    cl_buffer_deinit(&out);
}

static void kinds_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(cl_file_kind_of((const uint8_t *)"", 0), CL_FILE_UNKNOWN);
    assert_int_equal(cl_file_kind_of((const uint8_t *)"\x82\x01\x01", 3), CL_FILE_STATE_VALUE);
    assert_int_equal(cl_file_kind_of((const uint8_t *)"log vkey\nquorum none\n", 21), CL_FILE_POLICY);
    assert_int_equal(cl_file_kind_of((const uint8_t *)"hello there", 11), CL_FILE_UNKNOWN);
}

static void nesting_does_not_exhaust_the_stack(void **state)
{
    (void)state;
    uint8_t deep[4096];
    struct cl_buffer out = {0};
    memset(deep, 0x81, sizeof deep);
    assert_int_equal(cl_inspect_diagnostic(&out, deep, sizeof deep), CL_E_CBOR_DEPTH);
    cl_buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notation_is_that_of_rfc_8949), cmocka_unit_test(what_is_not_deterministic_is_said_to_be_so),
        cmocka_unit_test(kinds_are_told_apart), cmocka_unit_test(nesting_does_not_exhaust_the_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
