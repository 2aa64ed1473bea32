/* Where the state tree's buckets of leaves live: memory, or a scratch file that is never trusted across runs (it is
   unlinked as soon as it is open, and rebuilt from the store at every start). */
#ifndef LEDGER_BUCKETS_H
#define LEDGER_BUCKETS_H

#include "smt.h"

CL_MUST_USE enum cl_status cl_buckets_memory_new(struct cl_smt_buckets *out);
/* directory: where the scratch file is made. CL_E_IO with errno set. */
CL_MUST_USE enum cl_status cl_buckets_file_new(struct cl_smt_buckets *out, const char *directory);
void cl_buckets_free(struct cl_smt_buckets *buckets); /* either kind */

#endif
