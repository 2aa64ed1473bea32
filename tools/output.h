/* What a person or a program gets to see: results on standard output, everything else on standard error. */
#ifndef TOOLS_OUTPUT_H
#define TOOLS_OUTPUT_H

#include "consent/status.h"
#include "consent/types.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>

struct output {
    bool json, quiet, colour;      /* colour: of standard output */
    bool progress_shown;
    bool lines;                    /* results with --json are a line each, not one object */
    bool soft;                     /* what fails now does not make the command fail: told on standard error, with --json too */
    bool hushed;                   /* something is tried whose failure the caller tells of */
    json_t *collected;             /* an array: results go into it, and whoever set it tells them together; NULL: each is told */
    const char *command;           /* for messages: "consent grant" */
};
void output_init(struct output *output, bool json, bool quiet);
/* On standard error unless quiet: what is being done. */
void output_say(const struct output *output, const char *format, ...) CL_PRINTF(2, 3);
/* On standard error always. */
void output_warn(const struct output *output, const char *format, ...) CL_PRINTF(2, 3);
/* A line of the result in text mode; nothing with --json. */
void output_line(const struct output *output, const char *format, ...) CL_PRINTF(2, 3);
/* The result with --json: adds "version": 1 and takes the reference; nothing in text mode. */
void output_json(const struct output *output, json_t *object);
/* One line of JSON (feeds). */
void output_json_line(const struct output *output, json_t *object);
/* Says what went wrong (sentence of the status, then the detail if format is not NULL); returns the exit status. */
int output_fail(const struct output *output, enum cl_status status, const char *format, ...) CL_PRINTF(3, 4);
/* As output_fail for a wrong command line: exit status 2. */
int output_usage(const struct output *output, const char *format, ...) CL_PRINTF(2, 3);
/* Both never return 0, and whoever reads the caller (a person, or the analyser) sees it here. */
static inline int output_failed(int exit_status)
{
    assert(exit_status != 0);
    return exit_status;
}
#define output_fail(...) output_failed((output_fail)(__VA_ARGS__))
#define output_usage(...) output_failed((output_usage)(__VA_ARGS__))
/* A bar on standard error if that is a terminal. total 0: unknown. */
void output_progress(struct output *output, const char *what, uint64_t done, uint64_t total);
/* The same with more words behind it. */
void output_progress_note(struct output *output, const char *what, uint64_t done, uint64_t total, const char *note);
void output_progress_end(struct output *output);
/* Words in colour where standard output shows colour: "32" green, "31" red, "1" bold. Static storage, four at a time. */
const char *output_coloured(const struct output *output, const char *code, const char *text);

/* Exit status: 0 done · 1 error · 2 usage · 3 not found · 4 locked · 10 to 17 what verify and check find · 130. */
int output_exit_of(enum cl_status status);

/* Text that comes from outside: whether it is one line of UTF-8 that plays no tricks on a terminal (controls, C1 too, marks that
   turn the direction of writing); and with ? in place of what is not so. Static storage, four at a time, 511 bytes each. */
bool output_harmless(const char *text, size_t length);
const char *output_printable(const char *text, size_t length);

/* Times as people write them, UTC. */
#define TIME_TEXT_SIZE 32
void time_text(char out[TIME_TEXT_SIZE], uint64_t seconds);     /* 2027-06-30 14:00 UTC */
void time_until_text(char out[TIME_TEXT_SIZE], uint64_t seconds); /* the day before where it is a midnight */
/* A date ("2027-06-30": end of that day where until, else its beginning) or RFC 3339 with Z. */
bool time_parse(uint64_t *seconds, const char *text, bool until);
/* 90s, 30m, 24h, 7d. */
bool duration_parse(uint64_t *milliseconds, const char *text);
void age_text(char out[TIME_TEXT_SIZE], uint64_t seconds);      /* 2 minutes */
uint64_t time_now_ms(void);

/* Digits and nothing else, at most maximum. */
bool number_parse(uint64_t *number, const char *text, uint64_t maximum);
/* "1,3" <-> bits; false where it is not a list of numbers 0..63. */
bool slots_parse(uint64_t *slots, const char *text);
const char *slots_text(uint64_t slots); /* static storage, four at a time */

#endif
