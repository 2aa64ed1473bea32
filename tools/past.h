/* What happened under an agreement beside the ledger: deliveries, from the log that the wallet keeps, and uses, from the
   organisation's own log or from proofs of uses that a customer was given. For history and exports. */
#ifndef TOOLS_PAST_H
#define TOOLS_PAST_H

#include "export.h"
#include "consent/exchange.h"

#define PAST_USES_MAX 262144u

struct past_use {
    uint64_t time_ms;
    uint8_t slot;
    bool stated;                    /* read from a proof of uses; else from our own log */
    char purpose[164], reference[68]; /* shortened: dpv:Marketing */
};
struct past {
    struct cl_exchange *exchange;   /* NULL: there is nothing */
    size_t use_count, uses_left_out;
    struct past_use *uses;          /* ascending by time */
};

/* Adds to agreement->past. uses_path: a .consent-uses file or a folder of them; NULL: none. What does not hold is refused. */
int past_gather(struct context *context, struct export_agreement *agreements, size_t count, const char *uses_path);
void past_free(struct past *past);

/* "email", where the text is at hand; else "slot 1". Static storage, four at a time. */
const char *past_slot(const struct export_agreement *agreement, bool has_slot, uint8_t slot);

/* The slot in the terms; NULL: of no slot, or the text is not at hand. */
const struct cl_terms_slot *past_terms_slot(const struct export_agreement *agreement, bool has_slot, uint8_t slot);

/* ---- timeline.c: records, deliveries and uses of some agreements, oldest first */
#define LINES_MAX 1000000u
struct line {
    uint64_t time_ms;
    size_t agreement, position;     /* of the agreements given; of its events, deliveries or uses */
    enum { LINE_RECORD, LINE_DELIVERY, LINE_USE } kind;
};
struct timeline { size_t count, left_out; struct line *lines; };
/* The newest --limit lines (else most), --since. Where it failed there is nothing to free. */
int timeline_make(struct context *context, struct timeline *out, const struct export_agreement *agreements, size_t count, uint64_t most);
void timeline_free(struct timeline *timeline);

#endif
