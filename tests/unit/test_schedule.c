/* Claims about schedules: where periods begin (month ends, leap years, no clock that is changed in summer), which durations count,
   and that counting agrees with going through all periods one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "consent/schedule.h"

static uint64_t at(const char *text)
{
    struct tm date = {0};
    assert_int_equal(sscanf(text, "%d-%d-%dT%d:%d", &date.tm_year, &date.tm_mon, &date.tm_mday, &date.tm_hour, &date.tm_min), 5);
    date.tm_year -= 1900;
    date.tm_mon -= 1;
    return 1000 * (uint64_t)timegm(&date);
}

static struct cl_schedule every(const char *duration)
{
    struct cl_schedule schedule;
    assert_int_equal(cl_schedule_parse(&schedule, duration), CL_OK);
    return schedule;
}

static void durations_that_count_are_a_minute_to_a_century(void **state)
{
    (void)state;
    static const struct { const char *text; uint32_t months; uint64_t seconds; } good[] = {
        {"P1D", 0, 86400}, {"P1W", 0, 604800}, {"P1M", 1, 0}, {"P1Y", 12, 0}, {"PT1H", 0, 3600}, {"PT1M", 0, 60}, {"PT60S", 0, 60},
        {"P1Y6M", 18, 0}, {"P1M15DT12H", 1, 1339200}, {"P100Y", 1200, 0}, {"P1200M", 1200, 0}, {"P1Y2M3W4DT5H6M7S", 14, 2178367}};
    static const char *const wrong[] = {"", "P", "1D", "P1", "P1H", "PT", "P-1D", "P1.5D", "p1d", "P1D ", "PT1H1D", "P1234567890D", "P18446744073709551616Y"},
                      *const useless[] = {"P0D", "P0Y0M0DT0S", "PT1S", "PT59S", "PT0H", "P101Y", "P100Y1M", "P1201M", "P99999999Y", "P999999999Y", "P999999999W", "PT999999999H", "P999999999M999999999W999999999D", "P36601D"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cl_schedule schedule = every(good[i].text);
        assert_int_equal(schedule.months, good[i].months);
        assert_int_equal(schedule.seconds, good[i].seconds);
    }
    struct cl_schedule untouched = {7, 7};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(cl_schedule_parse(&untouched, wrong[i]), CL_E_FORMAT);
    for (size_t i = 0; i < sizeof useless / sizeof useless[0]; i++)
        assert_int_equal(cl_schedule_parse(&untouched, useless[i]), CL_E_VALUE);
    assert_int_equal(untouched.months, 7);
}

static void begins(const char *since, const char *duration, uint64_t period, const char *begin)
{
    struct cl_schedule schedule = every(duration);
    assert_int_equal(cl_schedule_begin_ms(&schedule, at(since), period), at(begin));
    assert_int_equal(cl_schedule_period(&schedule, at(since), at(begin)), period);
    if (period > 0)
        assert_int_equal(cl_schedule_period(&schedule, at(since), at(begin) - 1), period - 1);
}

static void months_end_where_they_end(void **state)
{
    (void)state;
    begins("2026-01-31T10:00", "P1M", 1, "2026-02-28T10:00");
    begins("2026-01-31T10:00", "P1M", 2, "2026-03-31T10:00"); /* counted from the first, so the day comes back */
    begins("2026-01-31T10:00", "P1M", 3, "2026-04-30T10:00");
    begins("2028-01-31T10:00", "P1M", 1, "2028-02-29T10:00");
    begins("2026-01-30T00:00", "P1M", 25, "2028-02-29T00:00");
    begins("2028-02-29T23:59", "P1Y", 1, "2029-02-28T23:59");
    begins("2028-02-29T23:59", "P1Y", 4, "2032-02-29T23:59");
    begins("2096-02-29T00:00", "P1Y", 4, "2100-02-28T00:00"); /* no leap year */
    begins("1996-02-29T00:00", "P1Y", 4, "2000-02-29T00:00"); /* one */
    begins("2026-12-31T23:00", "P1M", 2, "2027-02-28T23:00");
    begins("2026-11-30T12:00", "P1Y6M", 1, "2028-05-30T12:00");
    begins("2026-01-31T00:00", "P1M1D", 1, "2026-03-01T00:00"); /* February 28, and a day */
    begins("2026-01-31T00:00", "P1M1D", 2, "2026-04-02T00:00");
    begins("2026-06-15T08:30", "P100Y", 79, "9926-06-15T08:30");
}

static void a_day_is_24_hours_in_march_and_october(void **state)
{
    (void)state;
    assert_int_equal(setenv("TZ", "Europe/Amsterdam", 1), 0);
    tzset();
    begins("2026-03-28T12:00", "P1D", 1, "2026-03-29T12:00"); /* summer time begins */
    begins("2026-10-24T12:00", "P1D", 1, "2026-10-25T12:00");
    begins("2026-10-24T12:00", "P1W", 1, "2026-10-31T12:00");
    begins("2026-10-01T02:30", "P1M", 1, "2026-11-01T02:30");
    begins("2026-10-25T00:30", "PT1H", 2, "2026-10-25T02:30");
    assert_int_equal(unsetenv("TZ"), 0);
    tzset();
}

static void beyond_the_year_9999_nothing_begins(void **state)
{
    (void)state;
    struct cl_schedule year = every("P1Y"), minute = every("PT1M"), century = every("P100Y");
    assert_int_equal(cl_schedule_begin_ms(&year, at("2026-01-01T00:00"), 7973), at("9999-01-01T00:00"));
    assert_int_equal(cl_schedule_begin_ms(&year, at("2026-01-01T00:00"), 7974), CL_SCHEDULE_NEVER);
    assert_int_equal(cl_schedule_begin_ms(&minute, 0, UINT64_MAX), CL_SCHEDULE_NEVER);
    assert_int_equal(cl_schedule_begin_ms(&century, 0, UINT64_MAX / 2), CL_SCHEDULE_NEVER);
    assert_int_equal(cl_schedule_begin_ms(&century, UINT64_MAX, 0), CL_SCHEDULE_NEVER);
    assert_int_equal(cl_schedule_period(&year, at("2026-01-01T00:00"), UINT64_MAX), 7973);
    assert_int_equal(cl_schedule_period(&minute, 0, UINT64_MAX), 253402300799u / 60u);
    assert_int_equal(cl_schedule_period(&minute, UINT64_MAX, UINT64_MAX), 0);
    assert_int_equal(cl_schedule_period(&minute, 60000, 59999), 0);
    struct cl_schedule_count count;
    const uint64_t sent[] = {0, 1, UINT64_MAX};
    struct cl_schedule_frame frame = {.schedule = century, .since_ms = at("9950-01-01T00:00"), .until_ms = CL_SCHEDULE_NEVER};
    cl_schedule_count(&count, &frame, sent, 3, UINT64_MAX);
    assert_int_equal(count.due_ms, CL_SCHEDULE_NEVER);
    assert_int_equal(count.overdue, 0);
}

#define HOUR 3600000u

static struct cl_schedule_count counted(const struct cl_schedule_frame *frame, const uint64_t *sent, size_t count, uint64_t now)
{
    struct cl_schedule_count out;
    cl_schedule_count(&out, frame, sent, count, now);
    return out;
}

static void what_was_missed_is_overdue_until_it_is_made_up_for(void **state)
{
    (void)state;
    const uint64_t since = at("2026-11-02T09:00"), week = 7 * 24ull * HOUR;
    struct cl_schedule_frame frame = {.schedule = every("P1W"), .since_ms = since, .until_ms = CL_SCHEDULE_NEVER};
    const uint64_t sent[] = {since + HOUR, since + week + HOUR, since + 3 * week + HOUR, since + 3 * week + 2 * HOUR, since + 3 * week + 3 * HOUR};
    struct cl_schedule_count none = counted(&frame, sent, 0, since);
    assert_int_equal(none.periods, 1);
    assert_int_equal(none.overdue, 0);
    assert_int_equal(none.due_ms, since + week);
    assert_int_equal(counted(&frame, sent, 0, since + week - 1).overdue, 0);
    assert_int_equal(counted(&frame, sent, 0, since + week).overdue, 1); /* at its end it is over */
    struct cl_schedule_count two = counted(&frame, sent, 2, since + 2 * week - 1);
    assert_int_equal(two.delivered, 2);
    assert_int_equal(two.due_ms, since + 3 * week);
    struct cl_schedule_count missed = counted(&frame, sent, 2, since + 3 * week);
    assert_int_equal(missed.overdue, 1);
    assert_int_equal(missed.due_ms, since + 3 * week); /* since then */
    struct cl_schedule_count late = counted(&frame, sent, 3, since + 3 * week + HOUR);
    assert_int_equal(late.overdue, 0);
    assert_int_equal(late.due_ms, since + 4 * week); /* it was for the third week; the fourth still asks for one */
    struct cl_schedule_count all = counted(&frame, sent, 5, since + 3 * week + 4 * HOUR);
    assert_int_equal(all.delivered, 4);
    assert_int_equal(all.extra, 1); /* none counts in advance */
    assert_int_equal(all.due_ms, since + 5 * week);
    frame.settled_ms = since + 2 * week + 1; /* the log begins in the third week */
    assert_int_equal(counted(&frame, sent, 0, since + 3 * week).overdue, 1);
    assert_int_equal(counted(&frame, sent, 0, since + 3 * week - 1).overdue, 0);
}

static void nothing_is_asked_for_at_a_pause_or_after_the_end(void **state)
{
    (void)state;
    const uint64_t since = at("2026-11-02T09:00"), day = 24ull * HOUR;
    const struct cl_schedule_pause pauses[] = {{since + day, since + day + 1}, {since + 3 * day - HOUR, since + 5 * day}, {since + 7 * day + HOUR, CL_SCHEDULE_NEVER}};
    struct cl_schedule_frame frame = {.schedule = every("P1D"), .since_ms = since, .until_ms = CL_SCHEDULE_NEVER, .pauses = pauses, .pause_count = 3};
    struct cl_schedule_count count = counted(&frame, NULL, 0, since + 30 * day);
    assert_int_equal(count.overdue, 4); /* the days that end at 2, 5, 6, 7; not those at 1, 3, 4, and none from then on */
    assert_int_equal(count.due_ms, since + 2 * day);
    const uint64_t sent[] = {since, since + day, since + 4 * day, since + 6 * day, since + 6 * day + 1};
    count = counted(&frame, sent, 5, since + 30 * day);
    assert_int_equal(count.overdue, 0);
    assert_int_equal(count.delivered, 4);
    assert_int_equal(count.extra, 1); /* the first day asked for none, so the second has the one of day 0 or 1 */
    assert_int_equal(count.due_ms, CL_SCHEDULE_NEVER);
    frame.pause_count = 0;
    frame.until_ms = since + 3 * day + HOUR;
    count = counted(&frame, NULL, 0, since + 30 * day);
    assert_int_equal(count.overdue, 3);
    assert_int_equal(count.periods, 4);
    const uint64_t three[] = {since, since + day, since + 2 * day};
    assert_int_equal(counted(&frame, three, 3, since + 3 * day).due_ms, CL_SCHEDULE_NEVER);
}

/* The rule once more, period by period. */
static struct cl_schedule_count one_by_one(const struct cl_schedule_frame *frame, const uint64_t *sent, size_t count, uint64_t now)
{
    static bool asks[4096], has[4096];
    struct cl_schedule_count out = {.due_ms = CL_SCHEDULE_NEVER};
    for (uint64_t i = 0; i < 4096; i++) {
        uint64_t end = cl_schedule_begin_ms(&frame->schedule, frame->since_ms, i + 1);
        asks[i] = end <= frame->until_ms && end >= frame->settled_ms;
        for (size_t k = 0; k < frame->pause_count; k++)
            asks[i] = asks[i] && (end < frame->pauses[k].from_ms || end >= frame->pauses[k].until_ms);
        has[i] = false;
    }
    for (size_t k = 0; k < count; k++) {
        uint64_t i = 0;
        if (sent[k] < frame->since_ms)
            continue;
        while (i < 4096 && (!asks[i] || has[i]))
            i++;
        bool counts = i < 4096 && cl_schedule_begin_ms(&frame->schedule, frame->since_ms, i) <= sent[k];
        out.delivered += counts ? 1 : 0;
        out.extra += counts ? 0 : 1;
        if (counts)
            has[i] = true;
    }
    for (uint64_t i = 4096; i-- > 0;)
        if (asks[i] && !has[i]) {
            out.due_ms = cl_schedule_begin_ms(&frame->schedule, frame->since_ms, i + 1);
            out.overdue += out.due_ms <= now ? 1 : 0;
        }
    return out;
}

static void counting_agrees_with_going_through_all_periods(void **state)
{
    (void)state;
    static const char *const durations[] = {"P1M", "P1W", "P1D", "P1M3D", "P10D", "P1Y"};
    srand(4);
    for (unsigned round = 0; round < 3000; round++) {
        struct cl_schedule_pause pauses[3];
        uint64_t sent[40], since = at("2026-01-31T06:00") + (uint64_t)(rand() % 400) * 24 * HOUR, day = 24 * HOUR, time = since - 3 * day;
        struct cl_schedule_frame frame = {.schedule = every(durations[round % 6]), .since_ms = since, .until_ms = CL_SCHEDULE_NEVER, .pauses = pauses};
        size_t count = (size_t)(rand() % 40);
        for (size_t i = 0; i < count; i++)
            sent[i] = time += (uint64_t)(rand() % 30) * day;
        uint64_t from = since;
        for (; frame.pause_count < (size_t)(rand() % 4); frame.pause_count++) {
            pauses[frame.pause_count].from_ms = from += (uint64_t)(1 + rand() % 60) * day;
            pauses[frame.pause_count].until_ms = from += (uint64_t)(1 + rand() % 40) * day;
        }
        if (frame.pause_count > 0 && rand() % 4 == 0)
            pauses[frame.pause_count - 1].until_ms = CL_SCHEDULE_NEVER;
        if (rand() % 4 == 0)
            frame.until_ms = since + (uint64_t)(rand() % 400) * day;
        if (rand() % 4 == 0)
            frame.settled_ms = since + (uint64_t)(rand() % 200) * day;
        uint64_t now = time + (uint64_t)(1 + rand() % 300) * day;
        struct cl_schedule_count got = counted(&frame, sent, count, now), wanted = one_by_one(&frame, sent, count, now);
        assert_int_equal(got.delivered, wanted.delivered);
        assert_int_equal(got.extra, wanted.extra);
        assert_int_equal(got.overdue, wanted.overdue);
        assert_int_equal(got.due_ms, wanted.due_ms);
    }
}

static void formats_fit_by_type_and_subtype(void **state)
{
    (void)state;
    assert_true(cl_schedule_format_fits(NULL, "application/pdf"));
    assert_true(cl_schedule_format_fits("text/csv", "text/csv"));
    assert_true(cl_schedule_format_fits("text/csv", "Text/CSV; charset=utf-8"));
    assert_false(cl_schedule_format_fits("text/csv", "text/csv-schema"));
    assert_false(cl_schedule_format_fits("text/csv", "text/cs"));
    assert_false(cl_schedule_format_fits("text/csv", ""));
}

static void of_the_log_counts_what_was_agreed(void **state)
{
    (void)state;
    const struct cl_exchange_delivery log[] = {
        {.has_slot = true, .slot = 1, .kind = CL_DELIVERY_DATA, .sent_ms = 30, .seen_ms = 31, .media_type = "text/csv"},
        {.has_slot = true, .slot = 1, .kind = CL_DELIVERY_CHANGE, .sent_ms = 10, .seen_ms = 11, .media_type = "text/csv"},
        {.has_slot = true, .slot = 1, .kind = CL_DELIVERY_DATA, .sent_ms = 20, .seen_ms = 0, .media_type = "text/csv"},
        {.has_slot = true, .slot = 1, .kind = CL_DELIVERY_DATA, .sent_ms = 21, .seen_ms = 22, .media_type = "application/pdf"},
        {.has_slot = true, .slot = 2, .kind = CL_DELIVERY_DATA, .sent_ms = 22, .seen_ms = 23, .media_type = "text/csv"},
        {.kind = CL_DELIVERY_NOTICE, .sent_ms = 23, .seen_ms = 24, .media_type = "text/csv"},
        {.received = true, .has_slot = true, .slot = 1, .kind = CL_DELIVERY_DATA, .sent_ms = 24, .seen_ms = 25, .media_type = "text/csv"}};
    struct cl_exchange exchange = {.delivery_count = sizeof log / sizeof log[0], .deliveries = malloc(sizeof log)};
    assert_non_null(exchange.deliveries);
    memcpy(exchange.deliveries, log, sizeof log);
    uint64_t sent[CL_EXCHANGE_LOG_MAX];
    const struct cl_exchange_delivery *last;
    size_t misfits;
    assert_int_equal(cl_schedule_deliveries(sent, &last, &misfits, &exchange, false, 1, "text/csv"), 2);
    assert_int_equal(sent[0], 10);
    assert_int_equal(sent[1], 30);
    assert_ptr_equal(last, &exchange.deliveries[0]);
    assert_int_equal(misfits, 1);
    assert_int_equal(cl_schedule_deliveries(sent, &last, &misfits, &exchange, false, 1, NULL), 3);
    assert_int_equal(cl_schedule_deliveries(sent, &last, &misfits, &exchange, true, 1, "text/csv"), 1);
    assert_int_equal(sent[0], 24);
    assert_int_equal(cl_schedule_deliveries(sent, &last, &misfits, &exchange, true, 2, "text/csv"), 0);
    assert_null(last);
    cl_exchange_deinit(&exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_that_count_are_a_minute_to_a_century), cmocka_unit_test(months_end_where_they_end),
        cmocka_unit_test(a_day_is_24_hours_in_march_and_october), cmocka_unit_test(beyond_the_year_9999_nothing_begins),
        cmocka_unit_test(what_was_missed_is_overdue_until_it_is_made_up_for), cmocka_unit_test(nothing_is_asked_for_at_a_pause_or_after_the_end),
        cmocka_unit_test(counting_agrees_with_going_through_all_periods), cmocka_unit_test(formats_fit_by_type_and_subtype),
        cmocka_unit_test(of_the_log_counts_what_was_agreed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
