/* Mailboxes: what is kept, refused, told, expired and deleted, on a store in memory that can fail, and on LevelDB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consent/record.h"
#include "crypto.h"
#include "fixture.h"
#include "mailbox.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HOUR_MS 3600000ull
#define DAY_MS (24 * HOUR_MS)
#define START_MS (20000 * DAY_MS)

static const struct mailbox_limits small = { .mailboxes_max = 3, .bytes_max = 4000, .deliveries_max = 100, .mailbox_bytes_max = 3000, .mailbox_deliveries_max = 8,
    .deposits_per_s = 100, .bytes_per_s = 1000000, .opens_per_s = 100, .delivery_days = 30, .unfetched_days = 180 };

struct world { struct cl_store store; struct mailboxes *mailboxes; struct mailbox_time now; uint8_t nonce[16]; };

static void begin(struct world *world, const struct mailbox_limits *limits)
{
    *world = (struct world){ .now = { START_MS, 1000 } };
    FIXTURE_OK(cl_store_mem_open(&world->store));
    FIXTURE_OK(mailboxes_new(&world->mailboxes, &world->store, limits));
}

/* As after a crash: what was not committed is gone, and so is memory. */
static void again(struct world *world, const struct mailbox_limits *limits)
{
    mailboxes_free(world->mailboxes);
    FIXTURE_OK(mailboxes_new(&world->mailboxes, &world->store, limits));
}

static void end(struct world *world)
{
    mailboxes_free(world->mailboxes);
    world->store.close(world->store.context);
}

static const uint8_t *named(uint8_t number)
{
    static uint8_t ids[8][32];
    cl_sha256_once(ids[number], &number, 1);
    return ids[number];
}

static const uint8_t *fresh(struct world *world)
{
    for (size_t i = 16; i > 0 && ++world->nonce[i - 1] == 0; i--) continue;
    return world->nonce;
}

static void opened(struct world *world, uint8_t number)
{
    assert_int_equal(mailbox_open(world->mailboxes, named(number), &world->now), MAILBOX_DONE);
    FIXTURE_OK(mailboxes_commit(world->mailboxes));
}

/* length bytes that differ by tag; not committed. */
static enum mailbox_outcome put(struct world *world, uint64_t *number, uint8_t mailbox, uint32_t tag, size_t length)
{
    static uint8_t bytes[MAILBOX_DELIVERY_BYTES_MAX];
    uint8_t digest[32];
    memset(bytes, (int)(tag & 255), length);
    memcpy(bytes, &tag, length < sizeof tag ? length : sizeof tag);
    cl_sha256_once(digest, bytes, length);
    return mailbox_deposit(world->mailboxes, number, named(mailbox), (struct cl_view){ bytes, length }, digest, &world->now);
}

static void kept(struct world *world, uint8_t mailbox, uint32_t tag, size_t length, uint64_t expected)
{
    uint64_t number = 0;
    assert_int_equal(put(world, &number, mailbox, tag, length), MAILBOX_DONE);
    assert_int_equal(number, expected);
    FIXTURE_OK(mailboxes_commit(world->mailboxes));
}

/* The numbers that wait there are first, first + 1, … */
static void holds(struct world *world, uint8_t mailbox, uint64_t first, size_t count)
{
    struct mailbox_page page;
    assert_int_equal(mailbox_page(world->mailboxes, &page, named(mailbox), 0, MAILBOX_PAGE_DELIVERIES_MAX), MAILBOX_DONE);
    assert_int_equal(page.count, count);
    for (size_t i = 0; i < count; i++) assert_int_equal(page.items[i].number, first + i);
    cl_buffer_deinit(&page.bytes);
}

static void deliveries_wait_in_order_until_they_are_acknowledged(void **state)
{
    (void)state;
    struct world world;
    struct mailbox_page page;
    uint64_t deleted = 99;
    begin(&world, &small);
    opened(&world, 1);
    for (uint32_t i = 1; i <= 5; i++) kept(&world, 1, i, 10 + i, i);
    again(&world, &small);
    holds(&world, 1, 1, 5);
    assert_int_equal(mailbox_page(world.mailboxes, &page, named(1), 2, 2), MAILBOX_DONE);
    assert_true(page.count == 2 && page.more && page.items[0].number == 3 && page.items[0].length == 13 && page.bytes.length == 13 + 14 && page.bytes.data[4] == 3);
    cl_buffer_deinit(&page.bytes);
    assert_int_equal(mailbox_acknowledge(world.mailboxes, &deleted, named(1), 3, fresh(&world), &world.now), MAILBOX_DONE);
    assert_int_equal(deleted, 3);
    again(&world, &small); /* a crash before that was written */
    holds(&world, 1, 1, 5);
    assert_int_equal(mailbox_acknowledge(world.mailboxes, &deleted, named(1), 3, fresh(&world), &world.now), MAILBOX_DONE);
    FIXTURE_OK(mailboxes_commit(world.mailboxes));
    again(&world, &small);
    holds(&world, 1, 4, 2);
    assert_int_equal(mailbox_acknowledge(world.mailboxes, &deleted, named(1), 3, fresh(&world), &world.now), MAILBOX_DONE);
    assert_int_equal(deleted, 0); /* the same number once more, after a lost answer */
    assert_int_equal(mailbox_acknowledge(world.mailboxes, &deleted, named(1), UINT64_MAX, fresh(&world), &world.now), MAILBOX_DONE);
    FIXTURE_OK(mailboxes_commit(world.mailboxes));
    again(&world, &small);
    holds(&world, 1, 0, 0);
    kept(&world, 1, 6, 20, 6); /* numbers are never used again */
    end(&world);
}

static void the_same_bytes_are_kept_once_while_they_wait(void **state)
{
    (void)state;
    struct world world;
    uint64_t number = 0, deleted;
    begin(&world, &small);
    opened(&world, 1);
    opened(&world, 2);
    kept(&world, 1, 7, 100, 1);
    kept(&world, 1, 8, 100, 2);
    again(&world, &small);
    assert_int_equal(put(&world, &number, 1, 7, 100), MAILBOX_KNOWN);
    assert_int_equal(number, 1);
    kept(&world, 2, 7, 100, 1); /* another mailbox's */
    assert_int_equal(mailbox_acknowledge(world.mailboxes, &deleted, named(1), 1, fresh(&world), &world.now), MAILBOX_DONE);
    kept(&world, 1, 7, 100, 3);
    end(&world);
}

static void everything_is_bounded_and_emptying_gives_room_back(void **state)
{
    (void)state;
    struct world world;
    struct mailbox_report report;
    uint64_t number, deleted;
    begin(&world, &small);
    assert_int_equal(put(&world, &number, 1, 1, 10), MAILBOX_UNKNOWN);
    for (uint8_t i = 1; i <= 3; i++) opened(&world, i);
    assert_int_equal(mailbox_open(world.mailboxes, named(4), &world.now), MAILBOX_NODE_FULL);
    assert_int_equal(mailbox_open(world.mailboxes, named(3), &world.now), MAILBOX_KNOWN);
    for (uint32_t i = 1; i <= 8; i++) kept(&world, 1, i, 10, i);
    assert_int_equal(put(&world, &number, 1, 9, 10), MAILBOX_FULL); /* by count */
    kept(&world, 2, 1, 2990, 1);
    assert_int_equal(put(&world, &number, 2, 2, 11), MAILBOX_FULL); /* by bytes */
    kept(&world, 2, 3, 10, 2);
    assert_int_equal(put(&world, &number, 3, 1, 1000), MAILBOX_NODE_FULL);
    assert_int_equal(mailbox_acknowledge(world.mailboxes, &deleted, named(2), 1, fresh(&world), &world.now), MAILBOX_DONE);
    kept(&world, 3, 1, 1000, 1);
    assert_int_equal(mailbox_close(world.mailboxes, &deleted, named(1), fresh(&world), &world.now), MAILBOX_DONE);
    assert_int_equal(deleted, 8);
    FIXTURE_OK(mailboxes_commit(world.mailboxes));
    again(&world, &small);
    mailboxes_report(world.mailboxes, &report);
    assert_true(report.mailboxes == 2 && report.deliveries == 2 && report.bytes == 1010);
    assert_int_equal(put(&world, &number, 1, 1, 10), MAILBOX_UNKNOWN);
    opened(&world, 4);
    end(&world);
}

static void a_flood_is_slowed_down_for_its_mailbox_alone(void **state)
{
    (void)state;
    struct world world;
    struct mailbox_limits limits = small;
    uint64_t number;
    size_t taken = 0;
    limits.deposits_per_s = 10;
    limits.mailbox_deliveries_max = limits.deliveries_max = 10000;
    limits.bytes_max = limits.mailbox_bytes_max = 1000000;
    begin(&world, &limits);
    opened(&world, 1);
    opened(&world, 2);
    for (uint32_t i = 0; i < 10000; i++) { /* within ten seconds */
        world.now.monotonic_ms++;
        enum mailbox_outcome outcome = put(&world, &number, 1, i, 8);
        assert_true(outcome == MAILBOX_DONE || outcome == MAILBOX_TOO_FAST);
        taken += outcome == MAILBOX_DONE;
    }
    assert_in_range(taken, 139, 140); /* four seconds' worth at once, then ten a second */
    assert_int_equal(put(&world, &number, 2, 1, 8), MAILBOX_DONE);
    end(&world);
    limits.bytes_per_s = 1000; /* of all mailboxes together */
    limits.opens_per_s = 1;
    limits.mailboxes_max = 8;
    begin(&world, &limits);
    for (uint8_t i = 1; i <= 4; i++) opened(&world, i);
    assert_int_equal(mailbox_open(world.mailboxes, named(5), &world.now), MAILBOX_TOO_FAST);
    assert_int_equal(put(&world, &number, 1, 1, 3000), MAILBOX_DONE);
    assert_int_equal(put(&world, &number, 2, 2, 3000), MAILBOX_TOO_FAST);
    world.now.monotonic_ms += 2000;
    assert_int_equal(put(&world, &number, 2, 2, 3000), MAILBOX_DONE);
    end(&world);
}

static void a_used_challenge_and_an_older_one_are_refused(void **state)
{
    (void)state;
    struct world world;
    uint8_t older[16], newer[16], of_the_future[16] = { 0xff };
    uint64_t deleted;
    begin(&world, &small);
    opened(&world, 1);
    opened(&world, 2);
    memcpy(older, fresh(&world), 16);
    memcpy(newer, fresh(&world), 16);
    assert_int_equal(mailbox_enter(world.mailboxes, named(1), newer, &world.now), MAILBOX_DONE);
    assert_int_equal(mailbox_enter(world.mailboxes, named(1), newer, &world.now), MAILBOX_REPLAY);
    assert_int_equal(mailbox_acknowledge(world.mailboxes, &deleted, named(1), 1, older, &world.now), MAILBOX_REPLAY);
    assert_int_equal(mailbox_close(world.mailboxes, &deleted, named(1), older, &world.now), MAILBOX_REPLAY);
    assert_int_equal(mailbox_enter(world.mailboxes, named(2), newer, &world.now), MAILBOX_DONE);
    assert_int_equal(mailbox_enter(world.mailboxes, named(2), of_the_future, &world.now), MAILBOX_DONE);
    assert_int_equal(mailbox_enter(world.mailboxes, named(2), fresh(&world), &world.now), MAILBOX_DONE); /* the clock was put back */
    end(&world);
}

static void what_nobody_fetches_goes_in_time(void **state)
{
    (void)state;
    struct world world;
    struct mailbox_report report;
    begin(&world, &small);
    opened(&world, 1);
    opened(&world, 2);
    kept(&world, 1, 1, 10, 1);
    kept(&world, 2, 1, 10, 1);
    world.now.wall_ms += 5 * DAY_MS;
    kept(&world, 1, 2, 10, 2);
    world.now.wall_ms = START_MS + 30 * DAY_MS + HOUR_MS - 1;
    while (mailboxes_sweep(world.mailboxes, &world.now)) continue;
    holds(&world, 1, 1, 2); /* the whole time, to the hour */
    world.now.wall_ms++;
    while (mailboxes_sweep(world.mailboxes, &world.now)) continue;
    FIXTURE_OK(mailboxes_commit(world.mailboxes));
    again(&world, &small);
    holds(&world, 1, 2, 1);
    holds(&world, 2, 0, 0);
    assert_int_equal(mailbox_enter(world.mailboxes, named(1), fresh(&world), &world.now), MAILBOX_DONE);
    world.now.wall_ms = START_MS + 181 * DAY_MS; /* the second was never fetched from, the first thirty days after */
    while (mailboxes_sweep(world.mailboxes, &world.now)) continue;
    FIXTURE_OK(mailboxes_commit(world.mailboxes));
    again(&world, &small);
    holds(&world, 1, 0, 0);
    assert_int_equal(mailbox_enter(world.mailboxes, named(2), fresh(&world), &world.now), MAILBOX_UNKNOWN);
    mailboxes_report(world.mailboxes, &report);
    assert_true(report.mailboxes == 1 && report.deliveries == 0);
    end(&world);
}

/* Each step of the store fails once: nothing that was not committed is told as kept, and what was committed stays. */
static void a_disk_that_fails_acknowledges_nothing(void **state)
{
    (void)state;
    for (uint64_t step = 1; step < 40; step++) {
        struct world world;
        uint64_t number, committed = 0;
        begin(&world, &small);
        opened(&world, 1);
        cl_store_mem_fail_at(&world.store, step, CL_E_STORE_IO);
        bool failed = false;
        for (uint32_t i = 1; i <= 6; i++) {
            enum mailbox_outcome outcome = put(&world, &number, 1, i, 10);
            assert_int_equal(outcome, failed ? MAILBOX_FAILED : MAILBOX_DONE);
            if (mailboxes_commit(world.mailboxes) == CL_OK && !failed) committed = i;
            else failed = true;
        }
        struct mailbox_page page;
        if (failed) assert_int_equal(mailbox_page(world.mailboxes, &page, named(1), 0, 8), MAILBOX_FAILED);
        cl_store_mem_fail_at(&world.store, 0, CL_OK);
        again(&world, &small);
        holds(&world, 1, 1, committed);
        end(&world);
    }
}

static void rows_that_do_not_hold_together_are_damage(void **state)
{
    (void)state;
    static const struct { const char *key; size_t key_length; const char *value; size_t length; enum cl_status expected; } rows[] = {
        { "m", 33, "\x01", 13, CL_OK }, { "m", 33, "\x02", 13, CL_E_STORE_NEWER }, { "m", 33, "\x01", 12, CL_E_STORE_CORRUPT }, { "m", 33, "", 0, CL_E_STORE_CORRUPT },
        { "m", 32, "\x01", 13, CL_E_STORE_CORRUPT }, { "i", 41, "", 24, CL_E_STORE_CORRUPT }, { "i", 41, "", 23, CL_E_STORE_CORRUPT }, { "d", 41, "", 5, CL_OK } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cl_store store;
        struct mailboxes *mailboxes = NULL;
        uint8_t key[64] = { 0 }, value[64] = { 0 };
        FIXTURE_OK(cl_store_mem_open(&store));
        key[0] = (uint8_t)rows[i].key[0];
        value[0] = (uint8_t)rows[i].value[0];
        struct cl_store_batch *batch = store.batch_new(store.context);
        store.batch_put(batch, key, rows[i].key_length, value, rows[i].length);
        FIXTURE_OK(store.batch_write(store.context, batch, true));
        store.batch_free(batch);
        assert_int_equal(mailboxes_new(&mailboxes, &store, &small), rows[i].expected);
        mailboxes_free(mailboxes);
        store.close(store.context);
    }
}

static bool found_in(const char *folder, const uint8_t *needle, size_t length)
{
    bool found = false;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = fopen(path, "rb");
        static uint8_t bytes[1 << 22];
        size_t got = file != NULL && entry->d_name[0] != '.' ? fread(bytes, 1, sizeof bytes, file) : 0;
        assert_true(got < sizeof bytes);
        if (got > 0 && memmem(bytes, got, needle, length) != NULL) found = true;
        if (file != NULL) fclose(file);
    }
    closedir(directory);
    return found;
}

/* Both where row and deletion lie in one table and where they lie in two, among others that stay. */
static void what_was_deleted_leaves_the_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/consent-mailbox-XXXXXX", error[256];
    struct cl_store_options options;
    struct mailbox_limits limits = small;
    limits.bytes_max = limits.mailbox_bytes_max = 1000000;
    limits.mailbox_deliveries_max = 1000;
    limits.deliveries_max = 1000;
    assert_non_null(mkdtemp(folder));
    cl_store_options_default(&options);
    for (int round = 0; round < 3; round++) {
        struct world world = { .now = { START_MS, 1000 } };
        uint64_t deleted;
        uint8_t needle[64];
        memset(needle, 200 + round, sizeof needle);
        FIXTURE_OK(cl_store_leveldb_open(&world.store, folder, &options, error, sizeof error));
        FIXTURE_OK(mailboxes_new(&world.mailboxes, &world.store, &limits));
        for (uint8_t i = 1; i <= 3 && round == 0; i++) opened(&world, i);
        for (uint8_t i = 1; i <= 3; i += 2) kept(&world, i, 1 + (uint32_t)round, 5000, 1 + (uint64_t)round);
        kept(&world, 2, 200 + (uint32_t)round, 5000, 1 + (uint64_t)round);
        if (round == 1) mailboxes_compact(world.mailboxes); /* the row is in a table before its deletion comes */
        assert_true(found_in(folder, needle, sizeof needle));
        assert_int_equal(mailbox_acknowledge(world.mailboxes, &deleted, named(2), UINT64_MAX, fresh(&world), &world.now), MAILBOX_DONE);
        assert_int_equal(deleted, 1);
        if (round == 2) mailboxes_compact(world.mailboxes); /* too early by a moment: what is not written yet is not gone yet */
        FIXTURE_OK(mailboxes_commit(world.mailboxes));
        assert_int_equal(mailboxes_deleted_bytes(world.mailboxes), 5000);
        mailboxes_compact(world.mailboxes);
        assert_int_equal(mailboxes_deleted_bytes(world.mailboxes), 0);
        assert_false(found_in(folder, needle, sizeof needle));
        memset(needle, 1 + round, sizeof needle);
        assert_true(found_in(folder, needle, sizeof needle)); /* and the others are there */
        holds(&world, 1, 1, 1 + (size_t)round);
        end(&world);
    }
    FIXTURE_OK(cl_store_leveldb_remove(folder, error, sizeof error));
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deliveries_wait_in_order_until_they_are_acknowledged),
        cmocka_unit_test(the_same_bytes_are_kept_once_while_they_wait),
        cmocka_unit_test(everything_is_bounded_and_emptying_gives_room_back),
        cmocka_unit_test(a_flood_is_slowed_down_for_its_mailbox_alone),
        cmocka_unit_test(a_used_challenge_and_an_older_one_are_refused),
        cmocka_unit_test(what_nobody_fetches_goes_in_time),
        cmocka_unit_test(a_disk_that_fails_acknowledges_nothing),
        cmocka_unit_test(rows_that_do_not_hold_together_are_damage),
        cmocka_unit_test(what_was_deleted_leaves_the_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
