/* The ini reader: what it takes, and that each mistake is named with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "config.h"

static struct node_config config;
static struct config_error error;

static enum cl_status parse(const char *text)
{
    node_config_default(&config);
    return node_config_parse(&config, &error, text, strlen(text));
}

static void wrong(const char *text, size_t line, const char *word)
{
    assert_int_equal(parse(text), CL_E_FORMAT);
    assert_int_equal(error.line, line);
    if (strstr(error.sentence, word) == NULL) fail_msg("'%s' is not in: %s", word, error.sentence);
}

static void settings_are_read(void **state)
{
    (void)state;
    assert_int_equal(parse("# a comment\r\n; another\n\n[http]\n listen = [::1]:0 \nthreads=2\n[node]\nworkers = 7\n[log]\nlevel = debug"), CL_OK);
    assert_string_equal(config.listen, "[::1]:0");
    assert_int_equal(config.http_threads, 2);
    assert_int_equal(config.workers, 7);
    assert_int_equal(config.log_level, 3);
    assert_int_equal(parse(""), CL_OK);
    assert_string_equal(config.listen, "127.0.0.1:8780"); /* loopback unless told otherwise */
}

static void mistakes_are_named_with_their_line(void **state)
{
    (void)state;
    wrong("[http]\nlitsen = 127.0.0.1:1\n", 2, "litsen");
    wrong("[https]\n", 1, "https");
    wrong("\n\nlisten = 127.0.0.1:1\n", 3, "listen");
    wrong("[http]\nthreads = 0\n", 2, "1 to 64");
    wrong("[http]\nthreads = 65\n", 2, "1 to 64");
    wrong("[http]\nthreads = -1\n", 2, "-1");
    wrong("[http]\nthreads = 99999999999999999999\n", 2, "whole number");
    wrong("[http]\nthreads = 2 3\n", 2, "whole number");
    wrong("[http]\nlisten = localhost\n", 2, "ADDRESS:PORT");
    wrong("[http]\nlisten = ::1:80\n", 2, "ADDRESS:PORT");
    wrong("[http]\nlisten = 127.0.0.1:70000\n", 2, "ADDRESS:PORT");
    wrong("[log]\nlevel = 3\n", 2, "info");
    wrong("[log\n", 1, "section");
    wrong("[http]\ntls_key = /k\n", 0, "belong together");
}

static void odd_bytes_are_refused(void **state)
{
    (void)state;
    char large[NODE_CONFIG_BYTES_MAX + 2];
    memset(large, '\n', sizeof large);
    node_config_default(&config);
    assert_int_equal(node_config_parse(&config, &error, large, sizeof large), CL_E_FORMAT);
    assert_int_equal(node_config_parse(&config, &error, "[log]\0level", 11), CL_E_FORMAT);
    memset(large, 'x', 4000);
    assert_int_equal(node_config_parse(&config, &error, large, 4000), CL_E_FORMAT);
    assert_int_equal(error.line, 1);
}

static void a_missing_file_is_said(void **state)
{
    (void)state;
    assert_int_equal(node_config_load(&config, &error, "/nonexistent/consentd.ini"), CL_E_IO);
    assert_true(strlen(error.sentence) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_read),
        cmocka_unit_test(mistakes_are_named_with_their_line),
        cmocka_unit_test(odd_bytes_are_refused),
        cmocka_unit_test(a_missing_file_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
