/* Paths and patterns, and what percent signs may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "route.h"

static char arguments[ROUTE_ARGUMENTS_MAX][ROUTE_ARGUMENT_BYTES];

static void a_path_fits_its_pattern_only(void **state)
{
    (void)state;
    assert_true(route_match("/livez", "/livez", arguments));
    const char *const others[] = { "", "/", "/live", "/livezz", "/livez/", "//livez", "livez", "/LIVEZ", "/livez?", "/./livez" };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) assert_false(route_match("/livez", others[i], arguments));
}

static void a_segment_is_taken_whole(void **state)
{
    (void)state;
    assert_true(route_match("/v1/parties/{party}/agreements", "/v1/parties/ab/agreements", arguments));
    assert_string_equal(arguments[0], "ab");
    assert_false(route_match("/v1/parties/{party}/agreements", "/v1/parties//agreements", arguments));
    assert_false(route_match("/v1/parties/{party}/agreements", "/v1/parties/a/b/agreements", arguments));
    assert_false(route_match("/v1/records/{id}", "/v1/records/", arguments));
    assert_false(route_match("/v1/records/{id}", "/v1/records/a/", arguments));
    assert_true(route_match("/v1/records/{id}", "/v1/records/..", arguments)); /* it is no id, which the handler says */
}

static void the_rest_is_taken_with_its_separators(void **state)
{
    (void)state;
    assert_true(route_match("/tile/{level}/{number+}", "/tile/0/x001/234.p/5", arguments));
    assert_string_equal(arguments[0], "0");
    assert_string_equal(arguments[1], "x001/234.p/5");
    assert_false(route_match("/tile/{level}/{number+}", "/tile/0/", arguments));
    assert_false(route_match("/tile/{level}/{number+}", "/tile//000", arguments));
}

static void a_segment_that_is_too_long_fits_nothing(void **state)
{
    (void)state;
    char path[400] = "/v1/records/";
    size_t start = strlen(path);
    memset(path + start, 'a', ROUTE_ARGUMENT_BYTES - 1);
    assert_true(route_match("/v1/records/{id}", path, arguments));
    path[start + ROUTE_ARGUMENT_BYTES - 1] = 'a';
    assert_false(route_match("/v1/records/{id}", path, arguments));
}

static void percent_signs_make_letters_but_never_an_end_or_a_separator(void **state)
{
    (void)state;
    static const struct { const char *in, *out; } cases[] = {
        { "/a%62c", "/abc" }, { "%41%7a", "Az" }, { "/livez%00/x", "/livez%00/x" }, { "a%2Fb%2fc", "a%2Fb%2fc" }, { "%2e%2E", ".." }, { "%", "%" }, { "%4", "%4" },
        { "%zz", "%zz" }, { "%%41", "%A" }, { "%2500", "%00" }, { "", "" }, { "%ff", "\xff" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s", cases[i].in);
        assert_int_equal(route_unescape(text), strlen(cases[i].out));
        assert_string_equal(text, cases[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_fits_its_pattern_only),
        cmocka_unit_test(a_segment_is_taken_whole),
        cmocka_unit_test(the_rest_is_taken_with_its_separators),
        cmocka_unit_test(a_segment_that_is_too_long_fits_nothing),
        cmocka_unit_test(percent_signs_make_letters_but_never_an_end_or_a_separator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
