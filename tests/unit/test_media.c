/* Which media type is chosen for an Accept header, however it is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "media.h"

static const char *const types[] = { "application/json", "text/plain", "application/cose", NULL };

static void the_first_is_chosen_where_nothing_is_asked_for(void **state)
{
    (void)state;
    assert_int_equal(media_choose(NULL, types), 0);
    assert_int_equal(media_choose("", types), 0);
    assert_int_equal(media_choose("*/*", types), 0);
}

static void the_highest_weight_wins_and_the_first_of_equals(void **state)
{
    (void)state;
    assert_int_equal(media_choose("text/plain", types), 1);
    assert_int_equal(media_choose("TEXT/Plain; charset=utf-8", types), 1);
    assert_int_equal(media_choose("application/json;q=0.5, text/plain;q=0.6", types), 1);
    assert_int_equal(media_choose("application/cose, application/json", types), 0);
    assert_int_equal(media_choose("application/json;q=0.001,application/cose;q=0.002", types), 2);
    assert_int_equal(media_choose("text/*", types), 1);
    assert_int_equal(media_choose("image/png, */*;q=0.1", types), 0);
}

static void the_most_exact_range_decides_in_any_order(void **state)
{
    (void)state;
    assert_int_equal(media_choose("application/json;q=0, */*", types), 1);
    assert_int_equal(media_choose("*/*, application/json;q=0", types), 1);
    assert_int_equal(media_choose("application/*;q=0.2, */*;q=0.1, application/cose;q=0.9", types), 2);
}

static void what_none_wants_is_refused(void **state)
{
    (void)state;
    const char *const none[] = { "image/png", "text/html", "*/*;q=0", "application/json;q=0.0", "application/jsonx", "json", "*", "text/", "/", ",,,", ";", ";q=1",
                                 "application/cose+x", "text/plainer;q=1", "x\"application/json\"" };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) assert_int_equal(media_choose(none[i], types), -1);
}

static void a_weight_that_is_none_counts_as_absent(void **state)
{
    (void)state;
    const char *const odd[] = { "nan", "inf", "1e400", "-1", "2", "1.001", "0x1", "", ".5", "0.1234", "1.0000", "+1", " 0", "0 .5", "99999999999999999999" };
    char header[128];
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        strcpy(header, "application/json;q=0.9, text/plain;q=");
        strcat(header, odd[i]);
        assert_int_equal(media_choose(header, types), 1);
    }
}

static void what_stands_in_quotes_separates_nothing(void **state)
{
    (void)state;
    assert_int_equal(media_choose("image/png;a=\"x,text/plain\"", types), -1);
    assert_int_equal(media_choose("image/png;a=\"x\\\",text/plain\"", types), -1);
    assert_int_equal(media_choose("text/plain;a=\";q=0\";q=0.7, application/json;q=0.6", types), 1);
    assert_int_equal(media_choose("image/png;a=\"never closed, text/plain", types), -1);
    assert_int_equal(media_choose("image/png;a=\"\\", types), -1);
}

static void a_monstrous_header_is_read_to_its_end(void **state)
{
    (void)state;
    enum { LENGTH = 30000 };
    char *header = malloc(LENGTH + 32);
    assert_non_null(header);
    for (size_t kind = 0; kind < 4; kind++) {
        memset(header, ",;\" "[kind], LENGTH);
        strcpy(header + LENGTH, ",text/plain"); /* an even number of quotes: all are closed */
        assert_int_equal(media_choose(header, types), 1);
    }
    free(header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_chosen_where_nothing_is_asked_for),
        cmocka_unit_test(the_highest_weight_wins_and_the_first_of_equals),
        cmocka_unit_test(the_most_exact_range_decides_in_any_order),
        cmocka_unit_test(what_none_wants_is_refused),
        cmocka_unit_test(a_weight_that_is_none_counts_as_absent),
        cmocka_unit_test(what_stands_in_quotes_separates_nothing),
        cmocka_unit_test(a_monstrous_header_is_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
