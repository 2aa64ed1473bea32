/* Compares a store's tables with those of a scratch ledger that was made from the same blocks, both ways, and puts right
   what is an index. What is not rebuilt from blocks is looked at by itself: chunks, promised withdrawals, the signed
   checkpoint. */
#include "ledger_check.h"

#include <inttypes.h>
#include <stdio.h>

#define WRITES_A_BATCH 1024u

struct table { enum cl_table letter; const char *name; };

static const struct table rebuilt[] = {
    {CL_TABLE_STATE, "state values"}, {CL_TABLE_PLACE, "places of records"}, {CL_TABLE_PARTY, "objects by party"},
    {CL_TABLE_TERMS, "all terms"}, {CL_TABLE_HISTORY, "histories"}, {CL_TABLE_TILE, "tiles of the log"},
    {CL_TABLE_BLOCK, "blocks"}, {CL_TABLE_META, "format, network and tip"},
};

static const char *hex_of(char *out, size_t size, struct cl_view key)
{
    size_t length = 0;
    for (size_t i = 1; i < key.length && length + 3 <= size; i++)
        length += (size_t)snprintf(out + length, size - length, "%02x", key.data[i]);
    out[length] = '\0';
    return out;
}

/* Repairs are gathered; each batch brings the store nearer to what it should be, so stopping in between does no harm. */
struct repair { struct cl_store *store; struct cl_store_batch *batch; size_t writes; };

static enum cl_status repair_flush(struct repair *repair, bool last)
{
    enum cl_status status = CL_OK;
    if (repair->batch != NULL && (last || repair->writes >= WRITES_A_BATCH)) {
        status = repair->store->batch_write(repair->store->context, repair->batch, last);
        repair->store->batch_free(repair->batch);
        repair->batch = NULL;
        repair->writes = 0;
    }
    if (status == CL_OK && !last && repair->batch == NULL) {
        repair->batch = repair->store->batch_new(repair->store->context);
        status = repair->batch != NULL ? CL_OK : CL_E_MEMORY;
    }
    return status;
}

struct comparison {
    struct cl_audit *audit;
    const struct table *table;
    struct repair repair;
    uint64_t differences;
};

/* right is empty (data NULL) where the entry should not exist, value.data NULL where it does not. */
static enum cl_status differs(struct comparison *comparison, struct cl_view key, const char *how, const struct cl_view *right)
{
    struct cl_audit *audit = comparison->audit;
    char hex[160];
    comparison->differences++;
    if (!audit->repair) {
        cl_audit_damage(audit, "The table of %s (%c) %s, key %s. It can be rebuilt: run 'consentd reindex'.",
                        comparison->table->name, comparison->table->letter, how, hex_of(hex, sizeof hex, key));
        return CL_OK;
    }
    enum cl_status status = repair_flush(&comparison->repair, false);
    if (status != CL_OK)
        return status;
    if (right != NULL)
        audit->store->batch_put(comparison->repair.batch, key.data, key.length, right->data, right->length);
    else
        audit->store->batch_delete(comparison->repair.batch, key.data, key.length);
    comparison->repair.writes++;
    return CL_OK;
}

/* The checkpoint has no twin in the scratch ledger. */
static bool in_table(struct cl_view key, const struct table *table)
{
    static const char checkpoint[] = "mcheckpoint";
    return key.length > 0 && key.data[0] == table->letter &&
           !(key.length == sizeof checkpoint - 1 && memcmp(key.data, checkpoint, key.length) == 0);
}

static struct cl_view key_at(const struct cl_store *store, struct cl_store_iterator *iterator, const struct table *table)
{
    struct cl_view none = {0};
    while (store->iterator_valid(iterator)) {
        struct cl_view key = store->iterator_key(iterator);
        if (in_table(key, table))
            return key;
        if (key.length == 0 || key.data[0] != table->letter)
            break;
        store->iterator_next(iterator);
    }
    return none;
}

static int order_of(struct cl_view a, struct cl_view b)
{
    if (a.length == 0 || b.length == 0)
        return (a.length == 0) - (b.length == 0); /* the end of a table is after all its keys */
    int order = memcmp(a.data, b.data, a.length < b.length ? a.length : b.length);
    if (order != 0)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

static enum cl_status compare_entries(struct comparison *comparison, struct cl_store_iterator *ours, struct cl_store_iterator *right)
{
    const struct cl_store *store = comparison->audit->store, *scratch = comparison->audit->scratch_store;
    enum cl_status status = CL_OK;
    while (status == CL_OK) {
        struct cl_view our_key = key_at(store, ours, comparison->table);
        struct cl_view right_key = key_at(scratch, right, comparison->table);
        if (our_key.length == 0 && right_key.length == 0)
            break;
        int order = order_of(our_key, right_key);
        if (order < 0) {
            status = differs(comparison, our_key, "has an entry that nothing gives", NULL);
        } else {
            struct cl_view value = scratch->iterator_value(right);
            if (order > 0) {
                status = differs(comparison, right_key, "lacks an entry", &value);
            } else {
                struct cl_view our_value = store->iterator_value(ours);
                if (our_value.length != value.length || (value.length > 0 && memcmp(our_value.data, value.data, value.length) != 0))
                    status = differs(comparison, right_key, "has a wrong value", &value);
            }
        }
        if (order <= 0)
            store->iterator_next(ours);
        if (order >= 0)
            scratch->iterator_next(right);
    }
    if (status == CL_OK)
        status = store->iterator_status(ours);
    return status == CL_OK ? scratch->iterator_status(right) : status;
}

static enum cl_status compare_table(struct cl_audit *audit, const struct table *table, uint64_t *repaired)
{
    struct cl_store *store = audit->store, *scratch = audit->scratch_store;
    struct comparison comparison = {.audit = audit, .table = table, .repair = {.store = store}};
    struct cl_store_iterator *ours = store->iterator_new(store->context, NULL);
    struct cl_store_iterator *right = scratch->iterator_new(scratch->context, NULL);
    uint8_t letter = (uint8_t)table->letter;
    enum cl_status status = ours != NULL && right != NULL ? CL_OK : CL_E_MEMORY;
    if (status == CL_OK) {
        store->iterator_seek(ours, &letter, 1);
        scratch->iterator_seek(right, &letter, 1);
        status = compare_entries(&comparison, ours, right);
    }
    if (status == CL_OK)
        status = repair_flush(&comparison.repair, true);
    else if (comparison.repair.batch != NULL)
        store->batch_free(comparison.repair.batch);
    if (ours != NULL)
        store->iterator_free(ours);
    if (right != NULL)
        scratch->iterator_free(right);
    *repaired += comparison.differences;
    return status;
}

/* ---- tables that are not rebuilt */

static enum cl_status compare_chunks(struct cl_audit *audit)
{
    static const uint8_t table[1] = {CL_TABLE_LEAVES};
    const struct cl_store *store = audit->store;
    uint64_t count = 0;
    struct cl_store_iterator *iterator = store->iterator_new(store->context, NULL);
    if (iterator == NULL)
        return CL_E_MEMORY;
    for (store->iterator_seek(iterator, table, sizeof table); store->iterator_valid(iterator); store->iterator_next(iterator)) {
        struct cl_view key = store->iterator_key(iterator);
        if (key.length == 0 || key.data[0] != CL_TABLE_LEAVES)
            break;
        count++;
    }
    enum cl_status status = store->iterator_status(iterator);
    store->iterator_free(iterator);
    if (status == CL_OK && count != audit->chunk_count)
        status = cl_audit_damage(audit, "The table of records (r) has %" PRIu64 " chunks; the blocks use %" PRIu64 ". Restore a backup.", count, audit->chunk_count);
    return status;
}

static bool withdrawal_good(const struct cl_audit *audit, struct cl_view key, struct cl_view value)
{
    struct cl_leaf_hash leaf;
    struct cl_record record;
    cl_log_leaf_hash(&leaf, value.data, value.length);
    if (key.length != 33 || memcmp(key.data + 1, leaf.bytes, 32) != 0)
        return false;
    if (cl_record_decode(&record, NULL, value.data, value.length, &audit->genesis->network) != CL_OK)
        return false;
    bool good = cl_rules_is_withdrawal(record.type);
    cl_record_deinit(&record);
    return good;
}

static enum cl_status drop(struct cl_audit *audit, struct cl_view key)
{
    struct cl_store *store = audit->store;
    struct cl_store_batch *batch = store->batch_new(store->context);
    if (batch == NULL)
        return CL_E_MEMORY;
    store->batch_delete(batch, key.data, key.length);
    enum cl_status status = store->batch_write(store->context, batch, true);
    store->batch_free(batch);
    return status;
}

static enum cl_status check_withdrawals(struct cl_audit *audit)
{
    static const uint8_t table[1] = {CL_TABLE_WITHDRAWAL};
    const struct cl_store *store = audit->store;
    enum cl_status status = CL_OK;
    struct cl_store_iterator *iterator = store->iterator_new(store->context, NULL);
    if (iterator == NULL)
        return CL_E_MEMORY;
    for (store->iterator_seek(iterator, table, sizeof table); store->iterator_valid(iterator) && status == CL_OK; store->iterator_next(iterator)) {
        struct cl_view key = store->iterator_key(iterator);
        char hex[160];
        if (key.length == 0 || key.data[0] != CL_TABLE_WITHDRAWAL)
            break;
        if (withdrawal_good(audit, key, store->iterator_value(iterator)))
            continue;
        hex_of(hex, sizeof hex, key);
        if (audit->repair) {
            cl_audit_damage(audit, "A withdrawal that was accepted and not yet final (table w, key %s) was damaged and is dropped: whoever sent it must send it again.", hex);
            status = drop(audit, key);
        } else {
            cl_audit_damage(audit, "A withdrawal that was accepted and is not yet final (table w, key %s) is damaged: restore a backup, or run 'consentd reindex', which drops it.", hex);
        }
    }
    if (status == CL_OK)
        status = store->iterator_status(iterator);
    store->iterator_free(iterator);
    return status;
}

/* The kept checkpoint must be one of this very log. readable: its bytes are whole, whatever they say. */
static enum cl_status checkpoint_good(struct cl_audit *audit, bool *good, bool *readable)
{
    struct cl_kept_checkpoint kept;
    struct cl_ledger_view *view = NULL;
    struct cl_log_source source;
    struct cl_buffer bytes = {0}, body = {0};
    struct cl_hash root;
    struct cl_tip tip;
    *good = false;
    cl_ledger_tip(audit->scratch, &tip);
    enum cl_status status = cl_kept_checkpoint_load(audit->store, NULL, &bytes, &kept);
    *readable = status == CL_OK;
    if (status == CL_E_NOT_FOUND)
        *good = true;
    if (status != CL_OK || kept.size == 0 || kept.size > tip.log_size)
        goto out;
    status = cl_ledger_view_new(&view, audit->scratch);
    if (status == CL_OK) {
        cl_view_log_source(&source, view);
        status = cl_log_root(&root, &source, kept.size);
    }
    if (status == CL_OK)
        status = cl_checkpoint_body(&body, audit->genesis->origin, kept.size, &root);
    if (status == CL_OK)
        *good = memcmp(root.bytes, kept.root.bytes, 32) == 0 && kept.note.length > body.length && memcmp(kept.note.data, body.data, body.length) == 0;
out:
    cl_ledger_view_free(view);
    cl_buffer_deinit(&bytes);
    cl_buffer_deinit(&body);
    return status == CL_E_STORE_CORRUPT || status == CL_E_NOT_FOUND ? CL_OK : status;
}

static enum cl_status check_checkpoint(struct cl_audit *audit)
{
    static const uint8_t key[] = "mcheckpoint";
    struct cl_view view = {key, sizeof key - 1};
    bool good, readable;
    enum cl_status status = checkpoint_good(audit, &good, &readable);
    if (status != CL_OK || good)
        return status;
    /* Whole, and not of these blocks: then blocks are missing, or others. A node that forgot what it signed would sign
       a fork. */
    if (readable)
        return cl_audit_damage(audit, "The signed checkpoint (table m, \"checkpoint\") contradicts the blocks: this node has signed a log that is not in its store. Keep a copy of everything; restore a newer backup, or fetch the blocks from a peer.");
    if (!audit->repair) {
        cl_audit_damage(audit, "The signed checkpoint (table m, \"checkpoint\") is damaged. Keep a copy of everything; 'consentd reindex' drops it, and the node signs the present tree anew.");
        return CL_OK;
    }
    cl_audit_damage(audit, "The signed checkpoint (table m, \"checkpoint\") was damaged and is dropped: the node signs the present tree anew.");
    return drop(audit, view);
}

/* backup: it has no indexes and no state. */
static enum cl_status compare_all(struct cl_audit *audit, bool backup, uint64_t *differences)
{
    enum cl_status status = CL_OK;
    for (size_t i = 0; i < sizeof rebuilt / sizeof rebuilt[0] && status == CL_OK; i++) {
        if (backup && rebuilt[i].letter != CL_TABLE_BLOCK && rebuilt[i].letter != CL_TABLE_META)
            continue;
        if (audit->progress != NULL)
            audit->progress(audit->progress_context, rebuilt[i].name, i, sizeof rebuilt / sizeof rebuilt[0]);
        status = compare_table(audit, &rebuilt[i], differences);
    }
    if (status == CL_OK)
        status = compare_chunks(audit);
    if (status == CL_OK)
        status = check_withdrawals(audit);
    if (status == CL_OK)
        status = check_checkpoint(audit);
    return status;
}

enum cl_status cl_audit_compare(struct cl_audit *audit)
{
    uint64_t repaired = 0;
    enum cl_status status = compare_all(audit, false, &repaired);
    if (status != CL_OK)
        return status;
    if (!audit->repair)
        return audit->damage_count == 0 ? CL_OK : CL_E_STORE_CORRUPT;
    if (audit->damage_count == 0 && audit->detail_size > 0)
        snprintf(audit->detail, audit->detail_size, "%" PRIu64 " entries were put right.", repaired);
    return CL_OK;
}

/* Withdrawals that were promised, and the checkpoint that was signed. */
static enum cl_status carry_table(struct cl_audit *audit, struct cl_store_batch *batch, struct cl_view first)
{
    const struct cl_store *store = audit->store;
    struct cl_store_iterator *iterator = store->iterator_new(store->context, NULL);
    if (iterator == NULL)
        return CL_E_MEMORY;
    for (store->iterator_seek(iterator, first.data, first.length); store->iterator_valid(iterator); store->iterator_next(iterator)) {
        struct cl_view key = store->iterator_key(iterator), value = store->iterator_value(iterator);
        if (key.length < first.length || memcmp(key.data, first.data, first.length) != 0)
            break;
        audit->scratch_store->batch_put(batch, key.data, key.length, value.data, value.length);
    }
    enum cl_status status = store->iterator_status(iterator);
    store->iterator_free(iterator);
    return status;
}

/* Replaying checks the certificates that are there, and ids tie each block to the next; the last one must have its own. */
static enum cl_status check_last_certificate(struct cl_audit *audit)
{
    struct cl_table_key key;
    struct cl_stored_block block = {0};
    struct cl_tip tip;
    cl_ledger_tip(audit->scratch, &tip);
    if (tip.height == 0)
        return CL_OK;
    cl_key_number(&key, CL_TABLE_BLOCK, tip.height);
    enum cl_status status = cl_store_get_checked(audit->scratch_store, &audit->block, NULL, &key);
    if (status == CL_OK)
        status = cl_stored_block_decode(&block, audit->block.data, audit->block.length);
    if (status == CL_OK && block.certificate.length == 0)
        status = cl_audit_damage(audit, "Block %" PRIu64 ", the last one, has no certificate: nothing shows that it was final.", tip.height);
    return status;
}

enum cl_status cl_audit_carry_over(struct cl_audit *audit)
{
    static const uint8_t withdrawals[] = {CL_TABLE_WITHDRAWAL}, checkpoint[] = "mcheckpoint";
    uint64_t differences = 0;
    enum cl_status status = compare_all(audit, true, &differences);
    if (status == CL_OK)
        status = check_last_certificate(audit);
    if (status == CL_OK && audit->damage_count > 0)
        status = CL_E_STORE_CORRUPT;
    if (status != CL_OK)
        return status;
    struct cl_store_batch *batch = audit->scratch_store->batch_new(audit->scratch_store->context);
    if (batch == NULL)
        return CL_E_MEMORY;
    status = carry_table(audit, batch, (struct cl_view){withdrawals, sizeof withdrawals});
    if (status == CL_OK)
        status = carry_table(audit, batch, (struct cl_view){checkpoint, sizeof checkpoint - 1});
    if (status == CL_OK)
        status = audit->scratch_store->batch_write(audit->scratch_store->context, batch, true);
    audit->scratch_store->batch_free(batch);
    return status;
}
