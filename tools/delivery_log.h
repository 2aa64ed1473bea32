/* The log of deliveries in an agreement's exchange file (consent/exchange.h): one entry for each that was sent or opened, and
   when the other side said that it has it. Functions that return int report their own failure and return the exit status. */
#ifndef TOOLS_DELIVERY_LOG_H
#define TOOLS_DELIVERY_LOG_H

#include "deliveries.h"
#include "consent/exchange.h"

/* Ours, about to be sealed: it counts as sent once delivery_log_handed_over says so. Entries of earlier ones that never left,
   because a command was killed, go. */
int delivery_log_begin(struct context *context, const struct cl_delivery *delivery);
/* It is in the other side's mailbox, or in the files that were asked for. Nothing where the log does not have it, as
   acknowledgements. */
int delivery_log_handed_over(struct context *context, const struct cl_object_id *agreement, const uint8_t id16[16]);
/* We have told the other side that this delivery of theirs arrived; its slot is that of the acknowledgement. */
int delivery_log_acknowledged(struct context *context, const struct cl_object_id *agreement, const uint8_t id16[16]);

/* Into an exchange file at hand. Received: remembers it (cl_opened_add), with its entry, and whether
   the other side is told; an acknowledgement marks what it is about. */
CL_MUST_USE enum cl_status delivery_log_received(struct cl_exchange *exchange, const struct cl_delivery *delivery, uint64_t now_ms, bool acknowledged);
/* Whether this acknowledgement is of something that we sent. CL_E_DELIVERY_UNKNOWN. */
CL_MUST_USE enum cl_status delivery_log_acknowledges(struct cl_exchange *exchange, const struct cl_delivery *delivery);

#endif
