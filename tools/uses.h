/* An organisation's uses on disk, beside the wallet, for its owner only (directory 0700, files 0600):
     WALLET.uses/PROFILE.log                        the log (formats.cddl "uses log"), appended and synced
     WALLET.uses/PROFILE.FROM-UNTIL.statement       what the STATEMENT of a period is about, with the salts; FROM, UNTIL: Unix seconds
     WALLET.uses/PROFILE.FROM-UNTIL.record          that STATEMENT, signed
   Functions that return int report their own failure and return the exit status (0: good). */
#ifndef TOOLS_USES_H
#define TOOLS_USES_H

#include "act.h"
#include "consent/uses.h"

#define USES_PATH_SIZE 3400u

struct period { uint64_t from_s, until_s; }; /* from_s <= t < until_s */

/* ---- the log */
struct uses_log {
    int descriptor;                /* locked against other writers; -1: closed */
    char path[USES_PATH_SIZE];
    uint64_t size;
    size_t stated_count;
    struct period *stated;         /* periods of which a statement was made: nothing is added to them any more */
};
/* Makes the log where there is none, and takes away what a killed writer left of a last line. */
int uses_log_open(struct context *context, struct uses_log *out, const struct cl_object_id *profile);
/* Whole lines; on return they are on disk. Where that fails, the log is as it was. */
int uses_log_append(struct context *context, struct uses_log *log, const struct cl_buffer *lines);
/* The period with a statement that holds this time; NULL: none. */
const struct period *uses_log_stated(const struct uses_log *log, uint64_t time_ms);
void uses_log_close(struct uses_log *log);

/* The log for reading: what was whole when it was opened. */
struct uses_reader { const char *data; size_t length, at, line; struct cl_object_id profile; char path[USES_PATH_SIZE]; };
int uses_reader_open(struct context *context, struct uses_reader *out, const struct cl_object_id *profile);
/* The next line, after the first; *more: false at the end. Views borrow until _close. */
int uses_reader_next(struct context *context, struct uses_reader *reader, struct cl_use_line *line, bool *more);
void uses_reader_close(struct uses_reader *reader);

/* ---- statements */
/* suffix: "statement" or "record". */
int uses_path(struct context *context, char out[USES_PATH_SIZE], const struct cl_object_id *profile, const struct period *period, const char *suffix);
/* --period 2026, 2026-11 or 2026-11-03, or --from and --until. */
int period_option(struct context *context, struct period *out);
const char *period_words(const struct period *period); /* "in November 2026"; static storage */
/* A PROFILE by name, or by id without opening the wallet. */
int profile_named(struct context *context, struct cl_object_id *out, const char *text);
/* consent statement without a root: over the uses of the log. */
int statement_of_uses(struct context *context);

/* ---- consent check --log: a yes is in the log before it is said; a no is counted. */
int uses_log_answer(struct context *context, const struct cl_party *organisation, const struct cl_object_id *agreement, int slot, enum cl_status answer);
/* One use that is allowed now, in the log before it is done. reference: "" for none. */
int uses_log_use(struct context *context, const struct cl_object_id *profile, const struct cl_object_id *agreement, uint8_t slot, const char *purpose_text, const char *reference);
/* Appends the full IRI of --purpose or of a word of a file. False: it is none that a log takes. */
bool purpose_iri(struct cl_buffer *out, const char *text);

#endif
