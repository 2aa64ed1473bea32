/* Checking and repairing a ledger that is not running: the blocks are replayed into a scratch ledger by the same code
   that made them, and every table is compared with what came out. */
#ifndef LEDGER_LEDGER_CHECK_H
#define LEDGER_LEDGER_CHECK_H

#include "ledger_internal.h"

struct cl_audit {
    struct cl_store *store, *scratch_store;
    const struct cl_genesis *genesis;
    struct cl_ledger *scratch;
    bool repair;                 /* reindex: put right what can be; else check, signatures too */
    cl_progress_fn progress;
    void *progress_context;
    char *detail;
    size_t detail_size;
    uint64_t expected_height;    /* by the tip, if it can be read; for progress only */
    uint64_t chunk_count;        /* chunks that the blocks use */
    uint64_t damage_count;
    struct cl_buffer block, chunk, scratch_value;
};

/* The first damage found is the one told. Returns CL_E_STORE_CORRUPT. */
CL_PRINTF(2, 3) enum cl_status cl_audit_damage(struct cl_audit *audit, const char *format, ...);
/* Replays all blocks into audit->scratch. */
CL_MUST_USE enum cl_status cl_audit_replay(struct cl_audit *audit);
/* Compares, and repairs, all tables that are rebuilt; looks at those that are not. */
CL_MUST_USE enum cl_status cl_audit_compare(struct cl_audit *audit);

/* Of a store that has nothing but what is authoritative (backup.h): its blocks and tip must be those that came out. Then what
   no block gives is carried over into the scratch ledger, which is the one to keep. */
CL_MUST_USE enum cl_status cl_audit_carry_over(struct cl_audit *audit);

#endif
