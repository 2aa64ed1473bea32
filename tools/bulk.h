/* Thousands of subscriptions from one list. */
#ifndef TOOLS_BULK_H
#define TOOLS_BULK_H

#include "command.h"

/* consent subscribe --from LIST; the journal stands beside the list. */
int bulk_subscribe(struct context *context);

#endif
