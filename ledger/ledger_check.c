/* The offline tools check and reindex, and restore, which replays a backup in the same way (ledger_check.h). */
#include "ledger_check.h"

#include "backup.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum cl_status cl_audit_damage(struct cl_audit *audit, const char *format, ...)
{
    if (audit->damage_count++ == 0 && audit->detail_size > 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(audit->detail, audit->detail_size, format, arguments);
        va_end(arguments);
    }
    return CL_E_STORE_CORRUPT;
}

/* Is it worth beginning? What names another network or a newer program is not damage. */
static enum cl_status identify(struct cl_audit *audit)
{
    struct cl_table_key key;
    struct cl_tip tip;
    uint64_t state_leaves;
    enum cl_status status = cl_store_identify(audit->store, &audit->genesis->network);
    if (status == CL_E_NOT_FOUND) {
        cl_key_number(&key, CL_TABLE_BLOCK, 0);
        status = cl_store_get_key(audit->store, &audit->block, NULL, &key);
        if (status == CL_E_NOT_FOUND)
            return status; /* an empty store */
        if (status == CL_OK)
            status = CL_E_STORE_CORRUPT;
    }
    if (status == CL_E_STORE_CORRUPT && !audit->repair)
        return cl_audit_damage(audit, "The entries that name format and network (table m) are damaged; run 'consentd reindex'.");
    if (status != CL_OK && status != CL_E_STORE_CORRUPT)
        return status;
    if (cl_tip_load(audit->store, NULL, &tip, &state_leaves) == CL_OK)
        audit->expected_height = tip.height;
    return CL_OK;
}

static enum cl_status run(struct cl_audit *audit, const struct cl_smt_buckets *buckets, enum cl_status (*then)(struct cl_audit *))
{
    if (audit->detail_size > 0)
        audit->detail[0] = '\0';
    enum cl_status status = identify(audit);
    if (status == CL_OK)
        status = cl_ledger_create(audit->scratch_store, audit->genesis);
    if (status == CL_OK)
        status = cl_ledger_open(&audit->scratch, audit->scratch_store, buckets, audit->genesis, NULL, NULL);
    if (status == CL_OK)
        status = cl_audit_replay(audit);
    if (status == CL_OK)
        status = then(audit);
    cl_ledger_close(audit->scratch);
    cl_buffer_deinit(&audit->block);
    cl_buffer_deinit(&audit->chunk);
    cl_buffer_deinit(&audit->scratch_value);
    return status;
}

enum cl_status cl_ledger_check(struct cl_store *store, struct cl_store *scratch, const struct cl_smt_buckets *buckets, const struct cl_genesis *genesis, cl_progress_fn progress, void *progress_context, char *detail, size_t detail_size)
{
    struct cl_audit audit = {.store = store, .scratch_store = scratch, .genesis = genesis, .progress = progress, .progress_context = progress_context, .detail = detail, .detail_size = detail_size};
    return run(&audit, buckets, cl_audit_compare);
}

enum cl_status cl_ledger_reindex(struct cl_store *store, struct cl_store *scratch, const struct cl_smt_buckets *buckets, const struct cl_genesis *genesis, cl_progress_fn progress, void *progress_context, char *detail, size_t detail_size)
{
    struct cl_audit audit = {.store = store, .scratch_store = scratch, .genesis = genesis, .repair = true, .progress = progress, .progress_context = progress_context, .detail = detail, .detail_size = detail_size};
    return run(&audit, buckets, cl_audit_compare);
}

enum cl_status cl_ledger_restore(struct cl_store *out, struct cl_store *source, const struct cl_smt_buckets *buckets, const struct cl_genesis *genesis, cl_progress_fn progress, void *progress_context, char *detail, size_t detail_size)
{
    struct cl_audit audit = {.store = source, .scratch_store = out, .genesis = genesis, .progress = progress, .progress_context = progress_context, .detail = detail, .detail_size = detail_size};
    return run(&audit, buckets, cl_audit_carry_over);
}
