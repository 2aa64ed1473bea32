/* A thread that does jobs, one after the other, for one other thread, which need not wait for them (cl_helper in ledger.h). */
#ifndef NODE_HELPER_H
#define NODE_HELPER_H

#include "ledger.h"

struct helper;
CL_MUST_USE enum cl_status helper_new(struct helper **out);
void helper_free(struct helper *helper); /* finishes what was begun; NULL is fine */
/* Good until the helper is freed. Both functions are for one thread at a time. */
void helper_hands(struct cl_helper *out, struct helper *helper);

#endif
