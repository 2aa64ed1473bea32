/* Periods of a schedule, and deliveries against them (consent/schedule.h). Nothing here goes through periods one by one: a minute
   has been agreed on before, and centuries are many minutes. */
#include "consent/schedule.h"
#include "consent/terms.h"

#include <assert.h>
#include <strings.h>
#include <time.h>

#define TIME_MS_MAX 253402300799999u /* the last millisecond of the year 9999 */
#define YEAR_SECONDS 31622400u       /* a long one */

enum cl_status cl_schedule_parse(struct cl_schedule *out, const char *duration)
{
    struct cl_schedule schedule = {0, 0};
    uint64_t months = 0;
    bool in_time = false;
    if (!cl_duration_usable(duration))
        return CL_E_FORMAT;
    for (const char *at = duration + 1; *at != '\0'; at++) {
        uint64_t number = 0; /* at most nine digits */
        if (*at == 'T') {
            in_time = true;
            continue;
        }
        for (; *at >= '0' && *at <= '9'; at++)
            number = 10 * number + (uint64_t)(*at - '0');
        switch (*at) {
        case 'Y': months += 12 * number; break;
        case 'W': schedule.seconds += 7 * 86400 * number; break;
        case 'D': schedule.seconds += 86400 * number; break;
        case 'H': schedule.seconds += 3600 * number; break;
        case 'M':
            if (in_time)
                schedule.seconds += 60 * number;
            else
                months += number;
            break;
        default: schedule.seconds += number; break; /* S */
        }
    }
    if (months > 12 * CL_SCHEDULE_YEARS_MAX || schedule.seconds > (uint64_t)CL_SCHEDULE_YEARS_MAX * YEAR_SECONDS || (months == 0 && schedule.seconds < CL_SCHEDULE_SECONDS_MIN))
        return CL_E_VALUE;
    schedule.months = (uint32_t)months;
    *out = schedule;
    return CL_OK;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month] + (month == 1 && leap ? 1 : 0);
}

/* CL_SCHEDULE_NEVER: after the year 9999. */
static uint64_t months_later(uint64_t seconds, uint64_t months)
{
    struct tm date;
    time_t from = (time_t)seconds;
    if (gmtime_r(&from, &date) == NULL || months > 12u * 9999u)
        return CL_SCHEDULE_NEVER;
    uint64_t all = 12 * (uint64_t)(date.tm_year + 1900) + (uint64_t)date.tm_mon + months;
    if (all / 12 > 9999)
        return CL_SCHEDULE_NEVER;
    date.tm_year = (int)(all / 12) - 1900;
    date.tm_mon = (int)(all % 12);
    int last = days_of_month((int)(all / 12), date.tm_mon);
    date.tm_mday = date.tm_mday > last ? last : date.tm_mday;
    return (uint64_t)timegm(&date);
}

uint64_t cl_schedule_begin_ms(const struct cl_schedule *schedule, uint64_t since_ms, uint64_t period)
{
    if (since_ms > TIME_MS_MAX || period > TIME_MS_MAX / 1000u)
        return CL_SCHEDULE_NEVER;
    uint64_t seconds = schedule->months == 0 ? since_ms / 1000u : months_later(since_ms / 1000u, period * schedule->months);
    if (seconds == CL_SCHEDULE_NEVER || (schedule->seconds > 0 && period > TIME_MS_MAX / 1000u / schedule->seconds))
        return CL_SCHEDULE_NEVER;
    seconds += period * schedule->seconds;
    return seconds > TIME_MS_MAX / 1000u ? CL_SCHEDULE_NEVER : 1000 * seconds + since_ms % 1000u;
}

uint64_t cl_schedule_period(const struct cl_schedule *schedule, uint64_t since_ms, uint64_t at_ms)
{
    uint64_t low = 0, high = 1;
    if (at_ms < since_ms || since_ms > TIME_MS_MAX)
        return 0;
    if (at_ms > TIME_MS_MAX)
        at_ms = TIME_MS_MAX;
    while (cl_schedule_begin_ms(schedule, since_ms, high) <= at_ms) { /* ends at the year 9999 */
        low = high;
        high *= 2;
    }
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (cl_schedule_begin_ms(schedule, since_ms, middle) <= at_ms)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* How many periods ended before at_ms. */
static uint64_t ended_before(const struct cl_schedule_frame *frame, uint64_t at_ms)
{
    return at_ms <= frame->since_ms ? 0 : cl_schedule_period(&frame->schedule, frame->since_ms, at_ms - 1);
}

static uint64_t end_of(const struct cl_schedule_frame *frame, uint64_t period) { return cl_schedule_begin_ms(&frame->schedule, frame->since_ms, period + 1); }

/* This period, or the first one after it, that asks for a delivery. CL_SCHEDULE_NEVER: none does any more. */
static uint64_t asking(const struct cl_schedule_frame *frame, uint64_t period)
{
    for (size_t i = 0; i < frame->pause_count; i++) {
        uint64_t end_ms = end_of(frame, period);
        if (end_ms < frame->pauses[i].from_ms || end_ms >= frame->pauses[i].until_ms)
            continue;
        if (frame->pauses[i].until_ms == CL_SCHEDULE_NEVER)
            return CL_SCHEDULE_NEVER;
        period = ended_before(frame, frame->pauses[i].until_ms); /* the first that ends then or later */
    }
    uint64_t end_ms = end_of(frame, period);
    return end_ms == CL_SCHEDULE_NEVER || end_ms > frame->until_ms ? CL_SCHEDULE_NEVER : period;
}

/* Of the periods from `from` on that ended before `limit_ms`, those that asked for nothing since they ended in a pause. */
static uint64_t paused(const struct cl_schedule_frame *frame, uint64_t from, uint64_t limit_ms)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < frame->pause_count; i++) {
        const struct cl_schedule_pause *pause = &frame->pauses[i];
        uint64_t first = ended_before(frame, pause->from_ms), end = ended_before(frame, pause->until_ms < limit_ms ? pause->until_ms : limit_ms);
        first = first > from ? first : from;
        sum += end > first ? end - first : 0;
    }
    return sum;
}

void cl_schedule_count(struct cl_schedule_count *out, const struct cl_schedule_frame *frame, const uint64_t *sent_ms, size_t count, uint64_t now_ms)
{
    struct cl_schedule_count made = {.due_ms = CL_SCHEDULE_NEVER};
    assert(frame->schedule.months > 0 || frame->schedule.seconds >= CL_SCHEDULE_SECONDS_MIN);
    now_ms = now_ms > TIME_MS_MAX ? TIME_MS_MAX : now_ms;
    uint64_t next = asking(frame, ended_before(frame, frame->settled_ms)); /* the oldest period that lacks its delivery */
    for (size_t i = 0; i < count; i++) {
        uint64_t at_ms = sent_ms[i] < now_ms ? sent_ms[i] : now_ms; /* a clock may be a little ahead */
        if (sent_ms[i] < frame->since_ms)
            continue;
        if (next != CL_SCHEDULE_NEVER && next <= cl_schedule_period(&frame->schedule, frame->since_ms, at_ms)) {
            made.delivered++;
            next = asking(frame, next + 1);
        } else {
            made.extra++;
        }
    }
    uint64_t limit_ms = now_ms < frame->until_ms ? now_ms : frame->until_ms, ended = ended_before(frame, limit_ms + 1);
    made.periods = now_ms < frame->since_ms ? 0 : cl_schedule_period(&frame->schedule, frame->since_ms, limit_ms) + 1;
    if (next != CL_SCHEDULE_NEVER) {
        made.due_ms = end_of(frame, next);
        made.overdue = ended > next ? ended - next - paused(frame, next, limit_ms + 1) : 0;
    }
    *out = made;
}

bool cl_schedule_format_fits(const char *agreed, const char *media_type)
{
    if (agreed == NULL)
        return true;
    size_t length = strcspn(media_type, "; ");
    return length == strlen(agreed) && strncasecmp(agreed, media_type, length) == 0;
}

size_t cl_schedule_deliveries(uint64_t sent_ms[CL_EXCHANGE_LOG_MAX], const struct cl_exchange_delivery **last, size_t *misfits, const struct cl_exchange *exchange, bool received, uint8_t slot, const char *format)
{
    size_t count = 0;
    *last = NULL;
    *misfits = 0;
    for (size_t i = 0; i < exchange->delivery_count; i++) {
        const struct cl_exchange_delivery *delivery = &exchange->deliveries[i];
        if (delivery->received != received || !delivery->has_slot || delivery->slot != slot || delivery->seen_ms == 0 || (delivery->kind != CL_DELIVERY_DATA && delivery->kind != CL_DELIVERY_CHANGE))
            continue;
        if (!cl_schedule_format_fits(format, delivery->media_type)) {
            ++*misfits;
            continue;
        }
        size_t at = count++;
        for (; at > 0 && sent_ms[at - 1] > delivery->sent_ms; at--)
            sent_ms[at] = sent_ms[at - 1];
        sent_ms[at] = delivery->sent_ms;
        if (*last == NULL || delivery->sent_ms >= (*last)->sent_ms)
            *last = delivery;
    }
    return count;
}
