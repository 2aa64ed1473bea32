/* The ini reader: what it takes, and that each mistake is named with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
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
    assert_int_equal(parse("[links]\nlisten = 0.0.0.0:8781\nask_listen = [::1]:65534"), CL_OK);
    assert_string_equal(config.links_listen, "0.0.0.0:8781");
    assert_string_equal(config.links_ask_listen, "[::1]:65534");
    wrong("[links]\nlisten = 0.0.0.0", 2, "HOST:PORT");
    wrong("[links]\n\nask_listen = tls+tcp://127.0.0.1:8782", 3, "HOST:PORT");
    wrong("[links]\nlisten = a:0", 2, "HOST:PORT");
    assert_int_equal(parse("[http]\norigins = https://wallet.example  http://[::1]:8080"), CL_OK);
    assert_string_equal(config.http_origins, "https://wallet.example  http://[::1]:8080");
    assert_int_equal(parse("[http]\norigins = *"), CL_OK);
    wrong("[http]\norigins = https://wallet.example/page", 2, "without a path");
    wrong("[http]\norigins = https://good.example * ", 2, "'*' is not an origin");
    wrong("[http]\norigins = ftp://wallet.example", 2, "not an origin");
    wrong("[http]\norigins = https://", 2, "not an origin");
    assert_int_equal(parse(""), CL_OK);
    assert_string_equal(config.http_origins, ""); /* no page of others */
    assert_string_equal(config.links_listen, ""); /* the genesis document tells */
    assert_string_equal(config.listen, "127.0.0.1:8780"); /* loopback unless told otherwise */
}

static void catching_up_is_audited_unless_told_otherwise(void **state)
{
    (void)state;
    assert_int_equal(parse(""), CL_OK);
    assert_int_equal(config.sync_certified, 0);
    assert_int_equal(parse("[sync]\nmode = certified\n"), CL_OK);
    assert_int_equal(config.sync_certified, 1);
    assert_int_equal(parse("[sync]\nmode = audited\n"), CL_OK);
    assert_int_equal(config.sync_certified, 0);
    assert_int_equal(parse("[sync]\nmode = trusting\n"), CL_E_FORMAT);
    assert_int_equal(error.line, 2);
}

/* Each number: its bounds as consentd(8) tells them, and that it goes where it is read. */
static void every_number_has_its_bounds(void **state)
{
    static const struct { const char *section, *key; uint64_t least, most, usual; const uint64_t *field; } numbers[] = {
        { "node", "workers", 0, 64, 0, &config.workers },
        { "node", "cosign_interval_s", 1, 86400, 60, &config.cosign_interval_s },
        { "http", "connections_max", 4, 100000, 1000, &config.http_connections_max },
        { "http", "threads", 1, 64, 4, &config.http_threads },
        { "http", "idle_s", 1, 3600, 60, &config.http_idle_s },
        { "http", "request_s", 1, 3600, 30, &config.http_request_s },
        { "http", "body_bytes_max", 1024, 16777216, 66560, &config.http_body_bytes_max },
        { "http", "feed_streams_max", 1, 10000, 64, &config.feed_streams_max },
        { "pool", "records_max", 16, 1000000, 0, &config.pool_records_max },
        { "pool", "bytes_max", 1048576, 1073741824, 0, &config.pool_bytes_max },
        { "store", "cache_mb", 0, 65536, 0, &config.store_cache_mb },
        { "store", "write_buffer_mb", 0, 1024, 0, &config.store_write_buffer_mb },
        { "votelog", "truncate_mb", 1, 128, 16, &config.votelog_truncate_mb },
        { "mailbox", "mailboxes_max", 0, 10000000, 100000, &config.mailboxes_max },
        { "mailbox", "deliveries_max", 1, 100000000, 250000, &config.mailboxes_deliveries_max },
        { "mailbox", "bytes_max", 1048576, 1099511627776, 1073741824, &config.mailboxes_bytes_max },
        { "mailbox", "bytes_per_s", 307200, 1073741824, 16777216, &config.mailboxes_bytes_per_s },
        { "mailbox", "opens_per_s", 1, 100000, 50, &config.mailboxes_opens_per_s },
        { "mailbox", "mailbox_deliveries_max", 1, 65536, 1024, &config.mailbox_deliveries_max },
        { "mailbox", "mailbox_bytes_max", 307200, 1073741824, 33554432, &config.mailbox_bytes_max },
        { "mailbox", "mailbox_deposits_per_s", 1, 1000000, 32, &config.mailbox_deposits_per_s },
        { "mailbox", "delivery_days", 1, 3650, 30, &config.mailbox_delivery_days },
        { "mailbox", "unfetched_days", 1, 3650, 180, &config.mailbox_unfetched_days },
        { "mailbox", "waits_max", 1, 100000, 256, &config.mailbox_waits_max },
        { "mailbox", "compact_s", 1, 86400, 600, &config.mailbox_compact_s },
        { "public", "bodies_max", 0, 1000000, 10000, &config.public_bodies_max },
        { "public", "bytes_max", 65536, 1099511627776, 134217728, &config.public_bytes_max },
        { "public", "puts_per_s", 1, 10000, 10, &config.public_puts_per_s },
        { "public", "body_days", 1, 3650, 400, &config.public_body_days },
        { "public", "copy_s", 1, 3600, 60, &config.public_copy_s },
    };
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const uint64_t taken[] = { numbers[i].least, numbers[i].most }, refused[] = { numbers[i].least - 1, numbers[i].most + 1 };
        char text[128];
        assert_int_equal(parse(""), CL_OK);
        if (strcmp(numbers[i].section, "pool") == 0) assert_true(*numbers[i].field >= numbers[i].least && *numbers[i].field <= numbers[i].most);
        else assert_int_equal(*numbers[i].field, numbers[i].usual);
        for (size_t side = 0; side < 2; side++) {
            snprintf(text, sizeof text, "[%s]\n%s = %llu\n", numbers[i].section, numbers[i].key, (unsigned long long)taken[side]);
            assert_int_equal(parse(text), CL_OK);
            assert_int_equal(*numbers[i].field, taken[side]);
            if (refused[side] == UINT64_MAX) continue; /* below 0 */
            snprintf(text, sizeof text, "[%s]\n%s = %llu\n", numbers[i].section, numbers[i].key, (unsigned long long)refused[side]);
            wrong(text, 2, numbers[i].key);
        }
    }
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
        cmocka_unit_test(catching_up_is_audited_unless_told_otherwise),
        cmocka_unit_test(every_number_has_its_bounds),
        cmocka_unit_test(mistakes_are_named_with_their_line),
        cmocka_unit_test(odd_bytes_are_refused),
        cmocka_unit_test(a_missing_file_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
