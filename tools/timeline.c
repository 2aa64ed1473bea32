/* Records, deliveries and uses of some agreements in one order of time: what history shows and what its CSV writes. */
#include "past.h"

#include <stdlib.h>

/* What came is told by when it came, by our clock; what went, by when it went. */
static uint64_t delivery_ms(const struct cl_exchange_delivery *delivery) { return delivery->seen_ms != 0 ? delivery->seen_ms : delivery->sent_ms; }

static int compare_lines(const void *a, const void *b)
{
    const struct line *left = a, *right = b;
    if (left->time_ms != right->time_ms)
        return left->time_ms < right->time_ms ? -1 : 1;
    if (left->agreement != right->agreement)
        return left->agreement < right->agreement ? -1 : 1;
    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    return left->position < right->position ? -1 : left->position > right->position;
}

static size_t lines_of(struct line *lines, const struct export_agreement *agreement, size_t number, uint64_t since_ms)
{
    const struct past *past = agreement->past;
    size_t count = 0;
    for (size_t i = 0; i < agreement->event_count; i++)
        lines[count++] = (struct line){agreement->events[i].block_ms, number, i, LINE_RECORD};
    for (size_t i = 0; past != NULL && i < past->exchange->delivery_count; i++)
        lines[count++] = (struct line){delivery_ms(&past->exchange->deliveries[i]), number, i, LINE_DELIVERY};
    for (size_t i = 0; past != NULL && i < past->use_count; i++)
        lines[count++] = (struct line){past->uses[i].time_ms, number, i, LINE_USE};
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (lines[i].time_ms >= since_ms)
            lines[kept++] = lines[i];
    return kept;
}

static size_t lines_most(const struct export_agreement *agreement)
{
    return agreement->event_count + (agreement->past == NULL ? 0 : agreement->past->exchange->delivery_count + agreement->past->use_count);
}

static int lines_asked(struct context *context, uint64_t *since_ms, uint64_t *limit)
{
    const char *since = option(context, "--since"), *most = option(context, "--limit");
    uint64_t seconds = 0;
    if (since != NULL && !time_parse(&seconds, since, false))
        return output_usage(&context->output, "--since is a day, as 2026-11-01, or a moment, as 2026-11-01T12:00:00Z.");
    if (most != NULL && (!number_parse(limit, most, LINES_MAX) || *limit == 0))
        return output_usage(&context->output, "--limit is 1 to %u.", LINES_MAX);
    *since_ms = seconds * 1000u;
    return 0;
}

int timeline_make(struct context *context, struct timeline *out, const struct export_agreement *agreements, size_t count, uint64_t most)
{
    uint64_t since_ms = 0, limit = most;
    size_t room = 0, found = 0;
    *out = (struct timeline){.lines = NULL};
    int result = lines_asked(context, &since_ms, &limit);
    if (result != 0)
        return result;
    for (size_t i = 0; i < count; i++)
        room += lines_most(&agreements[i]);
    struct line *lines = calloc(room + 1, sizeof *lines);
    if (lines == NULL)
        return output_fail(&context->output, CL_E_MEMORY, NULL);
    for (size_t i = 0; i < count; i++)
        found += lines_of(lines + found, &agreements[i], i, since_ms);
    qsort(lines, found, sizeof *lines, compare_lines);
    out->left_out = found > limit ? found - (size_t)limit : 0;
    out->count = found - out->left_out;
    memmove(lines, lines + out->left_out, out->count * sizeof *lines);
    out->lines = lines;
    return 0;
}

void timeline_free(struct timeline *timeline)
{
    free(timeline->lines);
    *timeline = (struct timeline){.lines = NULL};
}
