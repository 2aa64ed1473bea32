/* Where the state tree's buckets of leaves live: memory, or a scratch file that is never trusted across runs (it is
   unlinked as soon as it is open, and rebuilt from the store at every start). What a small tree would write to the file
   stays in memory: a large tree has no memory to spare, a small one needs no file. */
#ifndef LEDGER_BUCKETS_H
#define LEDGER_BUCKETS_H

#include "smt.h"

CL_MUST_USE enum cl_status cl_buckets_memory_new(struct cl_smt_buckets *out);
/* As many slots stay in memory (94.5 MiB, nearly a million leaves; the nodes of a tree of that size take a tenth of it). */
#define CL_BUCKETS_IN_MEMORY 86016u
/* directory: where the scratch file is made. slots_in_memory: with the first slot beyond them all move to the file. CL_E_IO
   with errno set. */
CL_MUST_USE enum cl_status cl_buckets_file_new(struct cl_smt_buckets *out, const char *directory, uint32_t slots_in_memory);
/* Of the second kind, from any thread while it is not freed. memory_bytes grows to memory_bytes_max at most, then to 0: all is
   in the file. */
struct cl_buckets_report { uint64_t slots, memory_bytes, memory_bytes_max; }; /* slots: that were ever in use; they are used again */
void cl_buckets_report(struct cl_buckets_report *out, const struct cl_smt_buckets *buckets);
void cl_buckets_free(struct cl_smt_buckets *buckets); /* either kind */

#endif
