/* Sorting by 64-bit numbers, for what every block does with all its keys. Pure. */
#ifndef LEDGER_SORT_H
#define LEDGER_SORT_H

#include "consent/status.h"

#include <stddef.h>
#include <stdint.h>

struct cl_sort_item { uint64_t order; size_t at; }; /* at: the caller's */
/* Ascending by order; of equal ones, what came first stays first. Time does not depend on the values. CL_E_MEMORY, and
   nothing is moved. */
CL_MUST_USE enum cl_status cl_sort(struct cl_sort_item *items, size_t count);

#endif
