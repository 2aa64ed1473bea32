/* What inspect.c leaves to files of their own. */
#ifndef LEDGER_INSPECT_INTERNAL_H
#define LEDGER_INSPECT_INTERNAL_H

#include "consent/inspect.h"
#include "page.h"

/* A line "label 0123…", and one of a time. */
void cl_inspect_bytes(struct cl_page *page, const char *label, const uint8_t *data, size_t length);
void cl_inspect_time(struct cl_page *page, const char *label, uint64_t seconds);
/* Words of a release, a pointer, a request of data at its source; kind says which. */
CL_MUST_USE enum cl_status cl_inspect_source(struct cl_page *page, enum cl_file_kind kind, const uint8_t *data, size_t length);

#endif
