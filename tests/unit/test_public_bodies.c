/* Public bodies in their folder: what is kept, shown, refused, and gone, also after a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consent/record.h"
#include "fixture.h"
#include "public_bodies.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_S 1800000000ull

static const struct public_limits small = { .bodies_max = 3, .bytes_max = 4600, .puts_per_s = 100, .body_days = 30 };
struct world { char folder[64]; struct public_bodies *bodies; struct public_time now; size_t unreadable; };

static void begin(struct world *world, const struct public_limits *limits)
{
    *world = (struct world){ .folder = "/tmp/consent-test-XXXXXX", .now = { START_S, 1000 } };
    assert_non_null(mkdtemp(world->folder));
    FIXTURE_OK(public_bodies_new(&world->bodies, world->folder, limits, &world->unreadable));
}

static void again(struct world *world, const struct public_limits *limits)
{
    public_bodies_free(world->bodies);
    FIXTURE_OK(public_bodies_new(&world->bodies, world->folder, limits, &world->unreadable));
}

static void end(struct world *world)
{
    char command[128];
    public_bodies_free(world->bodies);
    snprintf(command, sizeof command, "rm -r %s", world->folder);
    assert_int_equal(system(command), 0);
}

/* The public body of an object with that number, with a text of this length. */
static struct cl_buffer body_of(uint8_t number, size_t length, uint64_t made_s)
{
    static char text[2048];
    const char *const names[] = { "name" }, *const values[] = { text };
    struct cl_object_id object = { { number } };
    uint8_t seed[32] = { number, (uint8_t)length };
    struct cl_body body = { 0 };
    struct cl_buffer file = { 0 }, made = { 0 };
    struct cl_public_body body_public = { .made_ms = made_s * 1000 };
    struct cl_signer signer;
    memset(text, 'x', length);
    text[length] = '\0';
    FIXTURE_OK(cl_body_make_fields(&body, "profile", names, values, 1, seed));
    FIXTURE_OK(cl_body_file_encode(&file, &object, seed, &body));
    cl_body_deinit(&body);
    fixture_signer(&signer, 1);
    body_public.shown = (struct cl_view){ file.data, file.length };
    FIXTURE_OK(cl_public_body_sign(&made, &body_public, &signer));
    cl_buffer_deinit(&file);
    return made;
}

static enum public_outcome put(struct world *world, uint8_t number, size_t length)
{
    struct cl_buffer bytes = body_of(number, length, world->now.wall_s);
    struct cl_public_body body;
    FIXTURE_OK(cl_public_body_decode(&body, bytes.data, bytes.length));
    enum public_outcome outcome = public_bodies_put(world->bodies, &body, (struct cl_view){ bytes.data, bytes.length }, &world->now);
    cl_buffer_deinit(&bytes);
    return outcome;
}

static enum public_outcome take_away(struct world *world, uint8_t number, bool *removed)
{
    struct cl_object_id object = { { number } };
    return public_bodies_remove(world->bodies, removed, &object);
}

static size_t files_in(const struct world *world)
{
    DIR *entries = opendir(world->folder);
    size_t count = 0;
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

/* Which are shown, as a number with a digit for each: 135 is objects 1, 3 and 5. */
static unsigned shown(struct world *world)
{
    struct public_page page;
    unsigned digits = 0;
    public_bodies_page(world->bodies, &page, NULL, NULL, NULL);
    for (size_t i = 0; i < page.count; i++) digits = digits * 10 + page.items[i].object.bytes[0];
    assert_false(page.more);
    cl_buffer_deinit(&page.bytes);
    return digits;
}

static void what_is_put_is_shown_in_order_and_kept_over_a_restart(void **state)
{
    (void)state;
    struct world world;
    bool removed;
    begin(&world, &small);
    assert_int_equal(put(&world, 5, 10), PUBLIC_DONE);
    assert_int_equal(put(&world, 1, 10), PUBLIC_DONE);
    assert_int_equal(put(&world, 3, 10), PUBLIC_DONE);
    assert_int_equal(put(&world, 3, 10), PUBLIC_KNOWN);
    assert_int_equal(shown(&world), 135);
    again(&world, &small);
    assert_int_equal(shown(&world), 135);
    assert_int_equal(take_away(&world, 3, &removed), PUBLIC_DONE);
    assert_true(removed);
    assert_int_equal(take_away(&world, 3, &removed), PUBLIC_DONE);
    assert_false(removed);
    assert_int_equal(shown(&world), 15);
    again(&world, &small);
    assert_int_equal(shown(&world), 15);
    assert_int_equal(files_in(&world), 2);
    end(&world);
}

static void room_is_bounded_and_what_is_there_can_be_replaced(void **state)
{
    (void)state;
    struct world world;
    struct public_report report;
    bool removed;
    begin(&world, &small);
    for (uint8_t number = 1; number <= 3; number++) assert_int_equal(put(&world, number, 900), PUBLIC_DONE);
    assert_int_equal(put(&world, 4, 1), PUBLIC_FULL);
    assert_int_equal(put(&world, 3, 1900), PUBLIC_FULL); /* too many bytes */
    assert_int_equal(put(&world, 3, 1000), PUBLIC_DONE);
    assert_int_equal(take_away(&world, 1, &removed), PUBLIC_DONE);
    assert_int_equal(put(&world, 4, 900), PUBLIC_DONE);
    public_bodies_report(world.bodies, &report);
    assert_true(report.bodies == 3 && report.bytes > 2700 && report.bytes <= 4600 && report.refused == 2);
    end(&world);
}

static void putting_is_limited_in_time(void **state)
{
    (void)state;
    struct public_limits slow = small;
    struct world world;
    slow.puts_per_s = 1;
    begin(&world, &slow);
    for (int i = 0; i < 4; i++) assert_int_equal(put(&world, 1, (size_t)i + 1), PUBLIC_DONE);
    assert_int_equal(put(&world, 1, 9), PUBLIC_TOO_FAST);
    world.now.monotonic_ms += 1000;
    assert_int_equal(put(&world, 1, 9), PUBLIC_DONE);
    assert_int_equal(put(&world, 1, 10), PUBLIC_TOO_FAST);
    end(&world);
}

/* The bytes of what was replaced or taken away are zeros also for who had the file open. */
static void what_goes_is_overwritten(void **state)
{
    (void)state;
    struct world world;
    bool removed;
    begin(&world, &small);
    for (int round = 0; round < 2; round++) {
        char path[256], first[2048] = "", all_zero = 1;
        assert_int_equal(put(&world, 1, 1000), PUBLIC_DONE);
        snprintf(path, sizeof path, "%s/01%062d.consent-public", world.folder, 0);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        if (round == 0) assert_int_equal(put(&world, 1, 30), PUBLIC_DONE);
        else assert_int_equal(take_away(&world, 1, &removed), PUBLIC_DONE);
        size_t length = fread(first, 1, sizeof first, file);
        assert_true(length > 1000);
        for (size_t i = 0; i < length; i++) all_zero = all_zero && first[i] == 0;
        assert_true(all_zero);
        fclose(file);
    }
    end(&world);
}

static void what_a_crash_left_or_the_disk_spoilt_is_removed_and_other_files_are_left_alone(void **state)
{
    (void)state;
    struct world world;
    char path[256];
    begin(&world, &small);
    assert_int_equal(put(&world, 1, 10), PUBLIC_DONE);
    for (size_t i = 0; i < 3; i++) {
        int used = snprintf(path, sizeof path, "%s/", world.folder);
        if (i == 0) snprintf(path + used, sizeof path - (size_t)used, "02%062d.consent-public.new", 0);
        if (i == 1) snprintf(path + used, sizeof path - (size_t)used, "03%062d.consent-public", 0);
        if (i == 2) snprintf(path + used, sizeof path - (size_t)used, "notes.txt");
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        fputs("not a body", file);
        fclose(file);
    }
    again(&world, &small);
    assert_int_equal(world.unreadable, 1); /* half a file that was never acknowledged is none */
    assert_int_equal(shown(&world), 1);
    assert_int_equal(files_in(&world), 2);
    end(&world);
}

static bool is_third(void *context, const struct public_facts *facts)
{
    (void)context;
    assert_true(facts->made_s >= START_S && facts->commitment.bytes[0] + facts->commitment.bytes[31] != 0);
    return facts->object.bytes[0] == 3;
}

static void what_the_ledger_or_the_calendar_ends_is_swept(void **state)
{
    (void)state;
    struct world world;
    begin(&world, &small);
    for (uint8_t number = 1; number <= 3; number++) assert_int_equal(put(&world, number, 10), PUBLIC_DONE);
    for (int i = 0; i < 3; i++) public_bodies_sweep(world.bodies, 1, &world.now, is_third, NULL);
    assert_int_equal(shown(&world), 12);
    world.now.wall_s += 20 * 86400;
    assert_int_equal(put(&world, 2, 10), PUBLIC_DONE); /* signed again: its time begins anew */
    world.now.wall_s += 11 * 86400;
    public_bodies_sweep(world.bodies, 10, &world.now, is_third, NULL);
    assert_int_equal(shown(&world), 2);
    assert_int_equal(files_in(&world), 1);
    end(&world);
}

static void a_folder_that_cannot_be_written_is_told_and_may_be_tried_again(void **state)
{
    (void)state;
    struct world world;
    struct public_report report;
    char aside[80];
    begin(&world, &small);
    snprintf(aside, sizeof aside, "%s.aside", world.folder);
    assert_int_equal(rename(world.folder, aside), 0);
    assert_int_equal(put(&world, 1, 10), PUBLIC_FAILED);
    assert_int_equal(shown(&world), 0);
    assert_int_equal(rename(aside, world.folder), 0);
    assert_int_equal(put(&world, 1, 10), PUBLIC_DONE);
    assert_int_equal(shown(&world), 1);
    public_bodies_report(world.bodies, &report);
    assert_int_equal(report.failures, 1);
    end(&world);
}

static void a_page_ends_with_its_bytes_and_the_next_one_goes_on(void **state)
{
    (void)state;
    const struct public_limits large = { .bodies_max = 1000, .bytes_max = 10000000, .puts_per_s = 1000, .body_days = 30 };
    struct world world;
    struct public_page page;
    struct cl_object_id after = { { 0 } };
    size_t pages = 0, seen = 0;
    begin(&world, &large);
    for (uint8_t number = 1; number <= 150; number++) assert_int_equal(put(&world, number, 2000), PUBLIC_DONE);
    do {
        public_bodies_page(world.bodies, &page, pages > 0 ? &after : NULL, NULL, NULL);
        assert_true(page.count > 0 && page.bytes.length <= PUBLIC_PAGE_BYTES_MAX);
        for (size_t i = 0; i < page.count; i++) assert_int_equal(page.items[i].object.bytes[0], ++seen);
        after = page.items[page.count - 1].object;
        pages++;
        cl_buffer_deinit(&page.bytes);
    } while (page.more);
    assert_true(seen == 150 && pages >= 3);
    end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_shown_in_order_and_kept_over_a_restart),
        cmocka_unit_test(room_is_bounded_and_what_is_there_can_be_replaced),
        cmocka_unit_test(putting_is_limited_in_time),
        cmocka_unit_test(what_goes_is_overwritten),
        cmocka_unit_test(what_a_crash_left_or_the_disk_spoilt_is_removed_and_other_files_are_left_alone),
        cmocka_unit_test(what_the_ledger_or_the_calendar_ends_is_swept),
        cmocka_unit_test(a_folder_that_cannot_be_written_is_told_and_may_be_tried_again),
        cmocka_unit_test(a_page_ends_with_its_bytes_and_the_next_one_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
