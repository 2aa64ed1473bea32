/* The seam between ordering and everything else: records in, final blocks out. Whoever orders (the Simplex engine here,
   another engine one day) gets candidates built, is told what is durable, and says which block is final with the
   certificate that proves it. Nothing in ledger/ knows who ordered. */
#ifndef NODE_ORDER_H
#define NODE_ORDER_H

#include "block.h"

/* A proposed block, as ordering sees it. The executor holds its candidate, records and proposal bytes by id. */
struct order_block {
    struct cl_block_id id, parent;
    uint64_t view, parent_view;
};

#endif
