/* What is printed of others' text: nothing that a terminal obeys, nothing that turns the direction of writing, whole characters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../tools/output.h"

static void nothing_of_others_drives_a_terminal(void **state)
{
    (void)state;
    static const struct { const char *text, *shown; } cases[] = {
        {"plain ~", "plain ~"}, {"gr\xc3\xbc\xc3\x9f Gott \xe2\x82\xac \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f Gott \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\x1b[2Jgone", "?[2Jgone"}, {"a\tb\r\nc\x7f", "a?b??c?"},
        {"\xc2\x9b" "2Jgone", "?" "?2Jgone"}, /* CSI in UTF-8 */
        {"\x9b" "2Jgone", "?2Jgone"},        /* CSI as a byte of its own */
        {"\xe2\x80\xaetxt.exe", "???txt.exe"}, {"\xe2\x81\xa6" "a\xe2\x81\xa9", "???a???"}, {"\xd8\x9c" "a", "??a"},
        {"cut \xe2\x82", "cut ??"}, {"\xc0\xaf", "??"}, {"\xff", "?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(output_printable(cases[i].text, strlen(cases[i].text)), cases[i].shown);
        assert_int_equal(output_harmless(cases[i].text, strlen(cases[i].text)), strcmp(cases[i].text, cases[i].shown) == 0);
    }
    assert_string_equal(output_printable("a\0b", 3), "a?b");
    char *many = malloc(3000); /* whole characters, within the storage */
    for (size_t i = 0; i < 1000; i++)
        memcpy(many + 3 * i, "\xe2\x82\xac", 3);
    const char *shown = output_printable(many, 3000);
    assert_in_range(strlen(shown), 500, 511);
    assert_true(output_harmless(shown, strlen(shown)));
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_of_others_drives_a_terminal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
