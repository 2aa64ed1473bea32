/* Webhooks: signatures against the published example, times, secrets, events, whom they concern, and what the journal keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../tools/webhooks.h"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define RECORD "{\"id\":\"17\",\"type\":\"consent.record.v1\",\"data\":{\"log_index\":17,\"record_id\":\"" A64 "\",\"signer\":\"02" A64 "\",\"objects\":[\"" A64 "\",\"" B64 "\"]}}"
#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct webhook_secrets secrets_of(const char *text)
{
    struct webhook_secrets secrets;
    size_t line;
    assert_int_equal(webhook_secrets_parse(&secrets, &line, text, strlen(text)), CL_OK);
    return secrets;
}

/* libraries/javascript/src/webhook.test.ts of the Standard Webhooks repository, "sign function works"; every library there
   has the same. */
static void the_published_example_is_signed_as_published(void **state)
{
    (void)state;
    struct webhook_secrets one = secrets_of(SECRET "\n"), two = secrets_of(SECRET "\n\nwhsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n");
    struct cl_buffer out = {0};
    static const char body[] = "{\"test\": 2432232314}", expected[] = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_int_equal(webhook_sign(&out, &one, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, strlen(body)), CL_OK);
    assert_int_equal(out.length, strlen(expected));
    assert_memory_equal(out.data, expected, out.length);
    out.length = 0;
    assert_int_equal(webhook_sign(&out, &two, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, strlen(body)), CL_OK);
    assert_int_equal(out.length, 2 * strlen(expected) + 1);
    assert_memory_equal(out.data, expected, strlen(expected));
    assert_memory_equal(out.data + strlen(expected), " v1,", 4);
    assert_memory_not_equal(out.data + strlen(expected) + 1, expected, strlen(expected));
    cl_buffer_deinit(&out);
}

static void secrets_that_are_none_are_refused_with_their_line(void **state)
{
    (void)state;
    static const struct { const char *text; size_t line; } bad[] = {
        {"", 0}, {"\n\n", 2}, {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", 1}, {SECRET "\nwhsec_AAAA\n", 2}, {"whsec_" "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!\n", 1},
        {SECRET "\n" SECRET "\n" SECRET "\n" SECRET "\n" SECRET "\n", 5},
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 1}, /* 65 bytes */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct webhook_secrets secrets;
        size_t line;
        assert_int_equal(webhook_secrets_parse(&secrets, &line, bad[i].text, strlen(bad[i].text)), CL_E_SECRET);
        assert_int_equal(line, bad[i].line);
        assert_int_equal(secrets.count, 0);
    }
}

static void an_attempt_waits_its_time_and_up_to_a_fifth_more(void **state)
{
    (void)state;
    static const uint64_t schedule[] = {5000, 300000, 86400000};
    assert_int_equal(webhook_delay_ms(schedule, 3, 0, 0, 0), 5000);
    assert_int_equal(webhook_delay_ms(schedule, 3, 0, 0, UINT32_MAX), 5999);
    assert_int_equal(webhook_delay_ms(schedule, 3, 1, 0, 1u << 31), 330000);
    assert_int_equal(webhook_delay_ms(schedule, 3, 2, 0, 0), 86400000);
    assert_int_equal(webhook_delay_ms(schedule, 3, 200, 0, UINT32_MAX), 86400000 + 17279999);
    /* Retry-After is heard where it asks for more, within a day. */
    assert_int_equal(webhook_delay_ms(schedule, 3, 0, 3, 0), 5000);
    assert_int_equal(webhook_delay_ms(schedule, 3, 0, 60, 0), 60000);
    assert_int_equal(webhook_delay_ms(schedule, 3, 0, 1000000000, 0), 86400000);
    assert_int_equal(webhook_delay_ms(schedule, 3, 0, -5, 0), 5000);
}

static void an_event_is_read_strictly(void **state)
{
    (void)state;
    struct webhook_delivery *event = NULL;
    assert_int_equal(webhook_event_parse(&event, RECORD, strlen(RECORD)), CL_OK);
    assert_int_equal(event->index, 17);
    assert_int_equal(event->object_count, 2);
    assert_string_equal(event->subject, A64);
    assert_string_equal(event->id, "evt_17_aaaaaaaaaaaaaaaa");
    assert_int_equal(event->body.length, strlen(RECORD));
    assert_memory_equal(event->body.data, RECORD, strlen(RECORD));
    webhook_delivery_free(event);
    static const char block[] = "{\"id\":\"18\",\"type\":\"consent.block.v1\",\"data\":{\"log_index\":18}}";
    assert_int_equal(webhook_event_parse(&event, block, strlen(block)), CL_OK);
    assert_int_equal(event->object_count, 0);
    webhook_delivery_free(event);
    static const char *const bad[] = {
        "", "[]", "null", "{}", "{\"code\":\"CL_E_BOUND\"}", "{\"id\":\"18\",\"type\":\"consent.block.v1\",\"data\":{\"log_index\":19}}",
        "{\"id\":\"-1\",\"type\":\"consent.block.v1\",\"data\":{\"log_index\":-1}}", "{\"id\":\"18.5\",\"type\":\"consent.block.v1\",\"data\":{\"log_index\":18}}",
        "{\"id\":\"18\",\"id\":\"18\",\"type\":\"consent.block.v1\",\"data\":{\"log_index\":18}}", "{\"id\":\"18\",\"type\":\"consent.other.v1\",\"data\":{\"log_index\":18}}",
        "{\"id\":\"18\",\"type\":\"consent.record.v1\",\"data\":{\"log_index\":18}}",
        "{\"id\":\"18\",\"type\":\"consent.record.v1\",\"data\":{\"log_index\":18,\"record_id\":\"" A64 "\",\"signer\":\"02" A64 "\",\"objects\":[]}}",
        "{\"id\":\"18\",\"type\":\"consent.record.v1\",\"data\":{\"log_index\":18,\"record_id\":\"" A64 "\",\"signer\":\"02" A64 "\",\"objects\":[\"" A64 "\",7]}}",
        "{\"id\":\"18\",\"type\":\"consent.record.v1\",\"data\":{\"log_index\":18,\"record_id\":\"a.b\",\"signer\":\"02" A64 "\",\"objects\":[\"" A64 "\"]}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_int_equal(webhook_event_parse(&event, bad[i], strlen(bad[i])), CL_E_FORMAT);
    for (size_t length = 0; length < strlen(RECORD); length++) assert_int_equal(webhook_event_parse(&event, RECORD, length), CL_E_FORMAT);
}

static void an_agreement_concerns_its_two_sides_and_its_terms(void **state)
{
    (void)state;
    struct cl_agreement agreement = {.status = CL_ACTIVE, .turn = 0, .live = 1, .terms = {.present = true}};
    struct cl_object_id object = {{1}};
    struct cl_buffer value = {0};
    agreement.customer.length = 33;
    agreement.customer.bytes[0] = 2, agreement.customer.bytes[1] = 7;
    agreement.organisation.length = 32;
    agreement.organisation.bytes[0] = 9;
    agreement.terms.bytes[0] = 5;
    assert_int_equal(cl_agreement_encode(&value, &agreement), CL_OK);
    struct cl_party nobody = {.length = 32, .bytes = {8}}, terms = {.length = 32, .bytes = {5}}, itself = {.length = 32, .bytes = {1}};
    assert_false(webhook_concerns(&nobody, 1, &object, value.data, value.length));
    assert_true(webhook_concerns(&agreement.customer, 1, &object, value.data, value.length));
    assert_true(webhook_concerns(&agreement.organisation, 1, &object, value.data, value.length));
    assert_true(webhook_concerns(&terms, 1, &object, value.data, value.length));
    assert_true(webhook_concerns(&itself, 1, &object, NULL, 0));
    assert_false(webhook_concerns(&terms, 1, &object, NULL, 0));
    assert_false(webhook_concerns(&terms, 1, &object, value.data, value.length - 1));
    cl_buffer_deinit(&value);
}

static struct webhook_delivery *delivery_at(uint64_t index)
{
    struct webhook_delivery *delivery = calloc(1, sizeof *delivery);
    delivery->index = index;
    delivery->attempts = 3, delivery->since_ms = 1000, delivery->next_ms = 3000, delivery->last_ms = 2000, delivery->status = 503;
    memset(delivery->subject, 'c', 64);
    return delivery;
}

struct place { struct context context; struct webhook_config config; struct cl_network_id network; };

static void open_journal(struct place *place, struct webhook_journal *journal)
{
    assert_int_equal(webhook_journal_open(&place->context, journal, &place->config, "crm", &place->network), 0);
    if (!journal->known) assert_int_equal(webhook_journal_create(&place->context, journal), 0);
}

static void make_place(struct place *place)
{
    memset(place, 0, sizeof *place);
    output_init(&place->context.output, false, true);
    strcpy(place->config.state_directory, "/tmp/test_webhooks-XXXXXX");
    assert_non_null(mkdtemp(place->config.state_directory));
    place->network.bytes[0] = 4;
}

static void remove_place(struct place *place)
{
    static const char *const suffixes[] = {"", ".lock"};
    char path[2300];
    for (size_t i = 0; i < 2; i++) {
        webhook_journal_path(path, sizeof path, &place->config, "crm", suffixes[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(place->config.state_directory), 0);
}

static void what_waits_and_what_failed_is_there_again_after_a_cut(void **state)
{
    (void)state;
    struct place place;
    struct webhook_journal journal;
    struct stat found;
    make_place(&place);
    open_journal(&place, &journal);
    assert_int_equal(webhook_journal_waits(&journal, delivery_at(5)), CL_OK);
    assert_int_equal(webhook_journal_waits(&journal, delivery_at(3)), CL_OK);
    assert_int_equal(webhook_journal_waits(&journal, delivery_at(4)), CL_OK);
    assert_int_equal(webhook_journal_failed(&journal, webhook_list_find(&journal.waiting, 4)), CL_OK);
    assert_int_equal(webhook_journal_delivered(&journal, 3), CL_OK);
    assert_int_equal(webhook_journal_delivered(&journal, 99), CL_OK); /* never waited: nothing to note */
    assert_int_equal(webhook_journal_at(&journal, 6), CL_OK);
    assert_int_equal(webhook_journal_off(&journal, 410), CL_OK);
    assert_int_equal(webhook_journal_flush(&place.context, &journal), 0);
    assert_int_equal(stat(journal.path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    char path[2200];
    strcpy(path, journal.path);
    webhook_journal_close(&journal);
    FILE *file = fopen(path, "a"); /* killed while it wrote */
    fputs("at 700", file);
    fclose(file);
    for (int again = 0; again < 2; again++) { /* as it was appended, and as it is written anew */
        open_journal(&place, &journal);
        assert_true(journal.known);
        assert_int_equal(journal.next, 6);
        assert_int_equal(journal.off, 410);
        assert_int_equal(journal.waiting.count, 1);
        assert_int_equal(journal.waiting.items[0]->index, 5);
        assert_int_equal(journal.failed.count, 1);
        const struct webhook_delivery *failed = journal.failed.items[0];
        assert_int_equal(failed->index, 4);
        assert_int_equal(failed->attempts, 3);
        assert_int_equal(failed->since_ms, 1000);
        assert_int_equal(failed->next_ms, 3000);
        assert_int_equal(failed->last_ms, 2000);
        assert_int_equal(failed->status, 503);
        assert_int_equal(failed->subject[63], 'c');
        if (again == 0) webhook_journal_close(&journal);
    }
    assert_int_equal(webhook_journal_delivered(&journal, 4), CL_OK);
    assert_int_equal(webhook_journal_delivered(&journal, 5), CL_OK);
    assert_int_equal(webhook_journal_flush(&place.context, &journal), 0);
    webhook_journal_close(&journal);
    open_journal(&place, &journal);
    assert_int_equal(journal.waiting.count + journal.failed.count, 0);
    webhook_journal_close(&journal);
    remove_place(&place);
}

static void the_file_stays_short_and_one_run_has_it(void **state)
{
    (void)state;
    struct place place, other;
    struct webhook_journal journal, second;
    struct stat found;
    make_place(&place);
    open_journal(&place, &journal);
    assert_int_equal(webhook_journal_waits(&journal, delivery_at(1)), CL_OK);
    for (uint64_t next = 2; next < 1000000; next++) {
        assert_int_equal(webhook_journal_at(&journal, next), CL_OK);
        if (next % 1000 == 0) assert_int_equal(webhook_journal_write(&place.context, &journal), 0);
    }
    assert_int_equal(webhook_journal_flush(&place.context, &journal), 0);
    assert_int_equal(stat(journal.path, &found), 0);
    assert_true(found.st_size <= 4 * 1024 * 1024);
    assert_int_equal(webhook_journal_open(&place.context, &second, &place.config, "crm", &place.network), output_exit_of(CL_E_STORE_LOCKED));
    webhook_journal_close(&journal);
    other = place;
    other.network.bytes[0] = 5;
    assert_int_equal(webhook_journal_open(&other.context, &journal, &other.config, "crm", &other.network), output_exit_of(CL_E_NETWORK));
    webhook_journal_close(&journal);
    open_journal(&place, &journal);
    assert_int_equal(journal.next, 999999);
    assert_int_equal(journal.waiting.count, 1);
    webhook_journal_close(&journal);
    remove_place(&place);
}

static void lines_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "at", "at x", "at 1 2", "at -1", "done", "off", "wait 1", "wait 1 2 3 4 5 6", ("wait 1 2 3 4 5 6 " A64 "a"), ("wait 1 2 3 4 5 6 " A64 " "), "fail 1 2 3 4 5 6 AAAA", ("wait -1 2 3 4 5 6 " A64), "and 1",
    };
    struct webhook_journal journal = {.file = -1, .lock = -1};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_int_not_equal(webhook_journal_apply(&journal, bad[i]), CL_OK);
    assert_int_equal(webhook_journal_apply(&journal, "wait 1 2 3 4 5 6 " A64), CL_OK);
    assert_int_equal(webhook_journal_apply(&journal, "fail 1 2 3 4 5 6 " A64), CL_OK);
    assert_int_equal(journal.waiting.count, 0);
    assert_int_equal(journal.failed.count, 1);
    webhook_journal_close(&journal);
}

/* More has failed than may wait: the replay takes it in as there is room, and what fails anew meanwhile keeps to its schedule. */
static void a_long_replay_is_no_storm(void **state)
{
    (void)state;
    struct place place;
    struct http_multi *multi = NULL;
    struct webhook_endpoint *endpoint = NULL;
    struct webhook_settings settings = {.name = "crm", .url = "http://127.0.0.1:9", .timeout_s = 1, .retry_ms = {5000}, .retry_count = 1};
    char replay[2300];
    make_place(&place);
    strcpy(place.context.node_url, "http://127.0.0.1:9");
    (void)snprintf(settings.secret_file, sizeof settings.secret_file, "/tmp/%s.secret", strrchr(place.config.state_directory, '/') + 1);
    assert_int_equal(file_write(&place.context, settings.secret_file, SECRET, strlen(SECRET), true), 0);
    assert_int_equal(http_multi_new(&multi), CL_OK);
    assert_int_equal(webhook_endpoint_new(&place.context, &endpoint, multi, &place.config, &settings, &place.network, false), 0);
    struct webhook_journal *journal = &endpoint->journal;
    for (uint64_t index = 0; index < WEBHOOK_QUEUE_MAX / 2 + 900; index++)
        assert_int_equal(webhook_journal_failed(journal, delivery_at(index)), CL_OK);
    webhook_journal_path(replay, sizeof replay, &place.config, "crm", ".replay");
    assert_int_equal(file_write(&place.context, replay, "failed\n", 7, true), 0);
    assert_int_equal(webhook_endpoint_step(endpoint), 0);
    assert_int_equal(journal->waiting.count, WEBHOOK_QUEUE_MAX / 2);
    assert_int_equal(journal->failed.count, 900);

    uint64_t later_ms = time_now_ms() + 3600000; /* all were tried, and did not succeed */
    usleep(5000);
    for (size_t i = 0; i < journal->waiting.count; i++)
        journal->waiting.items[i]->last_ms = time_now_ms(), journal->waiting.items[i]->next_ms = later_ms;
    assert_int_equal(webhook_journal_failed(journal, journal->waiting.items[0]), CL_OK);
    usleep(5000);
    endpoint->replay_ms = 0;
    endpoint->failures_in_row = 5;
    assert_int_equal(webhook_endpoint_step(endpoint), 0);
    assert_int_equal(journal->waiting.count, WEBHOOK_QUEUE_MAX / 2); /* one of those that had failed before */
    assert_non_null(webhook_list_find(&journal->failed, 0));
    for (size_t i = 0; i < journal->waiting.count - 1; i++)
        assert_int_equal(journal->waiting.items[i]->next_ms, later_ms);
    assert_int_equal(endpoint->failures_in_row, 5);

    while (journal->waiting.count > 0)
        assert_int_equal(webhook_journal_delivered(journal, journal->waiting.items[0]->index), CL_OK);
    endpoint->replay_ms = 0;
    assert_int_equal(webhook_endpoint_step(endpoint), 0);
    assert_int_equal(journal->waiting.count, 899);
    assert_int_equal(journal->failed.count, 1); /* what failed since */
    assert_int_equal(access(replay, F_OK), -1); /* and the replay is over */
    webhook_endpoint_free(endpoint);
    http_multi_free(multi);
    assert_int_equal(unlink(settings.secret_file), 0);
    remove_place(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_example_is_signed_as_published),
        cmocka_unit_test(secrets_that_are_none_are_refused_with_their_line),
        cmocka_unit_test(an_attempt_waits_its_time_and_up_to_a_fifth_more),
        cmocka_unit_test(an_event_is_read_strictly),
        cmocka_unit_test(an_agreement_concerns_its_two_sides_and_its_terms),
        cmocka_unit_test(what_waits_and_what_failed_is_there_again_after_a_cut),
        cmocka_unit_test(the_file_stays_short_and_one_run_has_it),
        cmocka_unit_test(lines_that_are_none_are_refused),
        cmocka_unit_test(a_long_replay_is_no_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
