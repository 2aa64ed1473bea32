/* Shares: what is guaranteed is there whatever others do, and withdrawals find room when nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shares.h"

static struct shares shares;

static enum shares_account take(size_t source, size_t records, size_t bytes, bool withdrawal)
{
    return shares_take(&shares, source, (struct shares_amount){ records, bytes }, withdrawal);
}

static size_t take_all(size_t source, bool withdrawal)
{
    size_t taken = 0;
    while (take(source, 1, 10, withdrawal) != SHARES_NONE) taken++;
    return taken;
}

static void start(size_t records, size_t bytes, size_t sources)
{
    const struct shares_amount limits = { records, bytes };
    shares_init(&shares, &limits, sources, 0);
}

static void one_source_has_all_but_a_sixteenth_and_withdrawals_have_that_too(void **state)
{
    (void)state;
    start(320, 1 << 20, 1);
    assert_int_equal(take_all(0, false), 300);
    assert_int_equal(take_all(0, true), 20);
    shares_give(&shares, 0, SHARES_ALL, (struct shares_amount){ 20, 200 });
    assert_int_equal(take_all(0, false), 0); /* withdrawals stand in what was kept */
    assert_int_equal(take_all(0, true), 20);
    start(320, 1600, 1);
    assert_int_equal(take_all(0, false), 150);
    assert_int_equal(take_all(0, true), 10);
}

static void a_flood_leaves_the_others_what_is_guaranteed(void **state)
{
    (void)state;
    for (size_t sources = 2; sources <= CL_MEMBERS_MAX; sources *= 2) {
        size_t guaranteed = 225 * 16 / sources;
        start(320 * 16, 1 << 20, sources);
        assert_int_equal(take_all(sources - 1, false), 300 * 16 - guaranteed * (sources - 1));
        for (size_t i = 0; i < sources - 1; i++) assert_int_equal(take_all(i, false), guaranteed);
    }
}

static void a_flood_of_bytes_does_too(void **state)
{
    (void)state;
    start(1000000, 3200, 4);
    while (take(3, 1, 2, false) != SHARES_NONE) continue;
    for (size_t i = 0; i < 3; i++) assert_int_equal(take_all(i, false), 56); /* 3000 bytes, three quarters of them, by four */
}

static void a_flood_of_withdrawals_leaves_the_others_room_for_theirs(void **state)
{
    (void)state;
    start(320 * 16, 1 << 20, 4);
    take_all(2, true);
    assert_int_equal(take_all(0, false), 900);
    assert_int_equal(take_all(0, true), 60); /* three quarters of 320, by four */
    assert_int_equal(take_all(1, true), 960);
}

static void own_clients_get_no_more_than_every_other_node_guarantees_them(void **state)
{
    (void)state;
    start(320 * 16, 1 << 20, 4);
    assert_int_equal(take_all(0, false), 900 + 1);
    assert_int_equal(take_all(0, true), 320 - 3 * 60);
    start(320 * 16, 1 << 20, 4);
    while (take(0, 1, 1000, false) != SHARES_NONE) continue;
    assert_true(shares_used(&shares, 0).bytes <= 15 * 65536 / 16 * 3 + CL_RECORD_BYTES_MAX);
    start(320 * 16, 1 << 20, CL_MEMBERS_MAX); /* each has 5,760 bytes */
    assert_int_equal(take(0, 1, CL_RECORD_BYTES_MAX, false), SHARES_ALL);
    assert_int_equal(take(0, 1, CL_RECORD_BYTES_MAX, false), SHARES_NONE);
    start(16, 1 << 20, 31); /* and here no record at all */
    assert_int_equal(take_all(0, false), 1);
}

static void what_is_taken_at_once_fits_or_nothing_is_taken(void **state)
{
    (void)state;
    start(320, 1 << 20, 3);
    assert_int_equal(take(1, 150, 1, false), SHARES_ALL);
    assert_int_equal(take(2, 76, 1, false), SHARES_NONE);
    assert_int_equal(take(2, SIZE_MAX / 2, 1, false), SHARES_NONE);
    assert_int_equal(take(2, 1, SIZE_MAX / 2, true), SHARES_NONE);
    assert_int_equal(shares_used(&shares, 2).records, 0);
    assert_int_equal(take(2, 75, 1, false), SHARES_ALL);
    assert_int_equal(shares_used(&shares, 2).records, 75);
}

/* Anything goes, for long; at every step: never more than the limits, and who uses less than its guarantee is let in. */
static void whatever_happens_guarantees_stand(void **state)
{
    (void)state;
    enum { SOURCES = 5, HELD = 400 };
    static struct { size_t source, bytes; enum shares_account account; } held[HELD];
    size_t count = 0, refused = 0;
    srand(7);
    start(256, 20000, SOURCES);
    for (int step = 0; step < 200000; step++) {
        size_t source = (size_t)rand() % (rand() % 8 == 0 ? SOURCES : 2), bytes = 50 + (size_t)rand() % 100;
        bool withdrawal = rand() % 4 == 0;
        if (rand() % 100 < (step / 1000 % 2 == 0 ? 70 : 30)) {
            bool due = shares.all.records.used[source] < 180 / SOURCES && shares.all.bytes.used[source] + bytes <= 14063 / SOURCES;
            enum shares_account account = take(source, 1, bytes, withdrawal);
            if (due) assert_int_equal(account, SHARES_ALL);
            if (account == SHARES_NONE) refused++;
            if (account == SHARES_KEPT) assert_true(withdrawal);
            if (account == SHARES_NONE) continue;
            assert_true(count < HELD);
            held[count].source = source;
            held[count].bytes = bytes;
            held[count++].account = account;
        } else if (count > 0) {
            size_t at = (size_t)rand() % count;
            shares_give(&shares, held[at].source, held[at].account, (struct shares_amount){ 1, held[at].bytes });
            held[at] = held[--count];
        }
        size_t total = 0, total_bytes = 0;
        for (size_t i = 0; i < count; i++) total_bytes += held[i].bytes;
        for (size_t i = 0; i < SOURCES; i++) total += shares_used(&shares, i).records;
        assert_int_equal(total, count);
        assert_true(count <= 256 && total_bytes <= 20000);
    }
    assert_true(refused > 1000);
    while (count-- > 0) shares_give(&shares, held[count].source, held[count].account, (struct shares_amount){ 1, held[count].bytes });
    assert_int_equal(shares.all.records.beyond + shares.all.bytes.beyond + shares.kept.records.beyond + shares.kept.bytes.total, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_source_has_all_but_a_sixteenth_and_withdrawals_have_that_too),
        cmocka_unit_test(a_flood_leaves_the_others_what_is_guaranteed),
        cmocka_unit_test(a_flood_of_bytes_does_too),
        cmocka_unit_test(a_flood_of_withdrawals_leaves_the_others_room_for_theirs),
        cmocka_unit_test(own_clients_get_no_more_than_every_other_node_guarantees_them),
        cmocka_unit_test(what_is_taken_at_once_fits_or_nothing_is_taken),
        cmocka_unit_test(whatever_happens_guarantees_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
