/* Deliveries counted against what was agreed (terms.h: a slot's delivery period and format): which periods have theirs, what is
   due when, what is overdue since when. Pure: times come in, milliseconds since 1970, UTC, so that no clock is ever changed in
   between. Durations are those of ISO 8601 without fractions.

   The rule. Periods follow each other from the moment at which the present terms came into force. Each asks for one delivery, by
   its end. A delivery counts for the oldest period that has none yet, if that has begun by then; so a late one makes up for what
   was missed, and none counts in advance. When it was sent counts, as its sender signed it. A period that ends while a side has
   suspended the agreement, or after the agreement's own end, asks for nothing. */
#ifndef CONSENT_SCHEDULE_H
#define CONSENT_SCHEDULE_H

#include "consent/exchange.h"

#define CL_SCHEDULE_SECONDS_MIN 60u
#define CL_SCHEDULE_YEARS_MAX 100u
#define CL_SCHEDULE_NEVER UINT64_MAX

/* The n-th period begins n times this after the first: months first, on the same day of the month or on its last where it has no
   such day (January 31, February 28, March 31), then seconds. */
struct cl_schedule { uint32_t months; uint64_t seconds; };
/* "P1M", "P1W", "PT1H", "P1Y6M". CL_E_FORMAT: no duration. CL_E_VALUE: shorter than a minute, or longer than a hundred years. */
CL_MUST_USE enum cl_status cl_schedule_parse(struct cl_schedule *out, const char *duration);
/* When the period begins, the first (0) at since_ms. CL_SCHEDULE_NEVER: after the year 9999. */
uint64_t cl_schedule_begin_ms(const struct cl_schedule *schedule, uint64_t since_ms, uint64_t period);
/* The period that at_ms lies in; 0 also before the first. */
uint64_t cl_schedule_period(const struct cl_schedule *schedule, uint64_t since_ms, uint64_t at_ms);

/* until_ms itself is not in it; CL_SCHEDULE_NEVER: it lasts. */
struct cl_schedule_pause { uint64_t from_ms, until_ms; };
struct cl_schedule_frame {
    struct cl_schedule schedule;
    uint64_t since_ms;             /* the present terms are in force from then */
    uint64_t until_ms;             /* the agreement's end; CL_SCHEDULE_NEVER: none */
    uint64_t settled_ms;           /* periods that ended before count as delivered: the log does not reach further back; 0: it does */
    const struct cl_schedule_pause *pauses; /* ascending, none within or beside another */
    size_t pause_count;
};
struct cl_schedule_count {
    uint64_t periods;              /* that have begun */
    uint64_t delivered;            /* for so many of them */
    uint64_t extra;                /* deliveries that no period asked for */
    uint64_t overdue;              /* periods that ended without theirs */
    uint64_t due_ms;               /* the end of the oldest period without: with overdue, since when. CL_SCHEDULE_NEVER: nothing is due any more */
};
/* In: times at which deliveries were sent, ascending; those before since_ms are left out. */
void cl_schedule_count(struct cl_schedule_count *out, const struct cl_schedule_frame *frame, const uint64_t *sent_ms, size_t count, uint64_t now_ms);

/* Whether a delivery of this media type is in the agreed format: the same type and subtype, whatever their letters' case and the
   parameters behind. agreed NULL: any is. */
bool cl_schedule_format_fits(const char *agreed, const char *media_type);
/* Purpose: of the log, what counts for a slot: data and changes, in the agreed format (NULL: any), received or (where they reached
   the mailbox or the files) sent.
   Returns: how many. Out: sent_ms, ascending; *last: the newest of them, NULL where there is none, borrowed; *misfits: in another format. */
size_t cl_schedule_deliveries(uint64_t sent_ms[CL_EXCHANGE_LOG_MAX], const struct cl_exchange_delivery **last, size_t *misfits, const struct cl_exchange *exchange, bool received, uint8_t slot, const char *format);

#endif
