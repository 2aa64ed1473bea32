/* Text that grows: what inspects and explains writes lines here, and asks once at the end whether all of it went in. */
#ifndef LEDGER_PAGE_H
#define LEDGER_PAGE_H

#include "consent/status.h"
#include "consent/types.h"

struct cl_page { struct cl_buffer *out; enum cl_status status; }; /* begin with CL_OK; once it is something else nothing is added */

void cl_page_put(struct cl_page *page, const void *data, size_t length);
/* A line is cut after 1,023 bytes. */
void cl_page_say(struct cl_page *page, const char *format, ...) CL_PRINTF(2, 3);

#endif
