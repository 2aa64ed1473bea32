/* What the commands of data that stays at the source share (consent/source.h): cmd_source.c is the customer's part,
   cmd_source_serve.c the holder's, cmd_source_ask.c the reader's. */
#ifndef TOOLS_SOURCE_H
#define TOOLS_SOURCE_H

#include "consent/source.h"
#include "mailbox.h"
#include "opening.h"

#define RELEASE_MEDIA_TYPE "application/vnd.consent-release"
#define POINTER_MEDIA_TYPE "application/vnd.consent-source"

/* What is over for long leaves the register. Reports. */
int source_tidy(struct context *context);
/* What the register has of an agreement is destroyed with it; adds to *count. Reports. */
int source_forget(struct context *context, const struct cl_object_id *agreement, size_t *count);
/* "slot 2 (income)" of an agreement in the wallet, by the text that is at hand. Static storage, two at a time. */
const char *source_slot_text(struct context *context, const struct cl_object_id *agreement, uint8_t slot);
/* The name that the wallet has for it, else the beginning of the id. */
const char *source_name(struct context *context, const struct cl_object_id *id);
const char *source_reference(const uint8_t reference16[16]); /* 32 digits; static storage */
const char *source_times(unsigned uses);                     /* "once", "3 times"; static storage */
/* The agreement by its id as the node has it, our side has to be this one; customer: its present key. */
int source_agreement(struct context *context, struct subject *out, struct cl_public_key *customer, const struct cl_object_id *id, enum cl_side own);
/* consent inbox: a release, or the word that it is taken back, which came under the agreement of `opening`: judged, held, told.
   *status: why it is not. */
bool source_release_is(const struct cl_delivery *delivery);
int source_release_arrived(struct opening *opening, struct cl_view content, enum cl_status *status);

#endif
