/* The ledger as a whole: making one, opening one, its tip, and what it keeps besides blocks. The tables in the store
   are described in tables.h; evaluating blocks is ledger_candidate.c, making them final ledger_commit.c, reading
   ledger_view.c and ledger_history.c, earlier trees ledger_past.c, proofs ledger_proof.c, checking and repairing ledger_check.c. */
#include "ledger_internal.h"

#include "crypto.h"

#include <assert.h>
#include <stdlib.h>

#define PROGRESS_EVERY 16384u

/* ---- records on their way */

enum cl_status cl_ledger_record_new(struct cl_ledger_record **out, uint32_t *refused_entry, const uint8_t *bytes,
                                    size_t length, const struct cl_network_id *network)
{
    *out = NULL;
    if (refused_entry != NULL)
        *refused_entry = 0;
    if (length > CL_RECORD_BYTES_MAX)
        return CL_E_RECORD_SIZE;
    struct cl_ledger_record *record = malloc(sizeof *record + length);
    if (record == NULL)
        return CL_E_MEMORY;
    record->bytes = (uint8_t *)(record + 1);
    record->references = 1;
    record->first_heard_from = 0;
    record->ahead = NULL;
    if (length > 0)
        memcpy(record->bytes, bytes, length);
    enum cl_status status = cl_record_decode(&record->record, refused_entry, record->bytes, length, network);
    if (status != CL_OK) {
        free(record);
        return status;
    }
    *out = record;
    return CL_OK;
}

void cl_ledger_record_ref(struct cl_ledger_record *record)
{
    __atomic_add_fetch(&record->references, 1, __ATOMIC_RELAXED);
}

void cl_ledger_record_unref(struct cl_ledger_record *record)
{
    if (__atomic_sub_fetch(&record->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    cl_ahead_free(record->ahead);
    cl_record_deinit(&record->record);
    free(record);
}

/* ---- making one */

static enum cl_status genesis_block(struct cl_buffer *state_leaf, struct cl_tip *tip, const struct cl_genesis *genesis,
                                    const struct cl_smt_leaf *network_entry)
{
    struct cl_log_frontier frontier;
    struct cl_leaf_hash leaf_hash;
    struct cl_hash empty_root;
    struct cl_state_leaf leaf = {.network = genesis->network, .time_ms = genesis->time_ms};
    enum cl_status status = cl_member_set_hash(&leaf.member_set, genesis->value.members, genesis->value.member_count);
    if (status != CL_OK)
        return status;
    memcpy(leaf.state_root.bytes, network_entry->leaf_hash, 32); /* a tree of one leaf is that leaf's hash */
    status = cl_state_leaf_encode(state_leaf, &leaf);
    if (status != CL_OK)
        return status;
    memset(tip, 0, sizeof *tip);
    cl_log_frontier_init(&frontier);
    cl_log_frontier_root(&empty_root, &frontier);
    cl_block_id_derive(&tip->block, 0, &empty_root, state_leaf->data, state_leaf->length);
    cl_log_leaf_hash(&leaf_hash, state_leaf->data, state_leaf->length);
    cl_log_frontier_append(&frontier, &leaf_hash);
    cl_log_frontier_root(&tip->log_root, &frontier);
    tip->state_root = leaf.state_root;
    tip->time_ms = genesis->time_ms;
    tip->log_size = 1;
    return CL_OK;
}

static enum cl_status put_genesis_meta(struct cl_store *store, struct cl_store_batch *batch, const struct cl_genesis *genesis, const struct cl_tip *tip)
{
    static const uint8_t format[4] = {0, 0, 0, CL_STORE_FORMAT};
    struct cl_buffer scratch = {0}, encoded = {0};
    struct cl_table_key key;
    cl_key_meta(&key, "format");
    enum cl_status status = cl_batch_put_checked(store, batch, &scratch, &key, format, sizeof format);
    cl_key_meta(&key, "network");
    if (status == CL_OK)
        status = cl_batch_put_checked(store, batch, &scratch, &key, genesis->network.bytes, 32);
    if (status == CL_OK)
        status = cl_tip_encode(&encoded, tip, 1);
    cl_key_meta(&key, "tip");
    if (status == CL_OK)
        status = cl_batch_put_checked(store, batch, &scratch, &key, encoded.data, encoded.length);
    cl_buffer_deinit(&scratch);
    cl_buffer_deinit(&encoded);
    return status;
}

static enum cl_status put_genesis_block(struct cl_store *store, struct cl_store_batch *batch, const struct cl_tip *tip, const struct cl_buffer *state_leaf)
{
    struct cl_buffer scratch = {0}, encoded = {0};
    struct cl_table_key key;
    struct cl_stored_block block = {
        .id = tip->block, .state_leaf = {state_leaf->data, state_leaf->length}, .log_root = tip->log_root,
    };
    uint8_t length[2] = {(uint8_t)(state_leaf->length >> 8), (uint8_t)state_leaf->length};
    enum cl_status status = cl_stored_block_encode(&encoded, &block);
    cl_key_number(&key, CL_TABLE_BLOCK, 0);
    if (status == CL_OK)
        status = cl_batch_put_checked(store, batch, &scratch, &key, encoded.data, encoded.length);
    encoded.length = 0;
    if (status == CL_OK)
        status = cl_buffer_append(&encoded, length, sizeof length);
    if (status == CL_OK)
        status = cl_buffer_append(&encoded, state_leaf->data, state_leaf->length);
    cl_key_number(&key, CL_TABLE_LEAVES, 0);
    if (status == CL_OK)
        cl_batch_put_key(store, batch, &key, encoded.data, encoded.length);
    cl_buffer_deinit(&scratch);
    cl_buffer_deinit(&encoded);
    return status;
}

enum cl_status cl_ledger_create(struct cl_store *store, const struct cl_genesis *genesis)
{
    struct cl_buffer value = {0}, state_leaf = {0};
    struct cl_store_batch *batch = NULL;
    struct cl_hash network_key;
    struct cl_smt_leaf entry;
    struct cl_table_key row;
    struct cl_tip tip;
    uint8_t key_hash[32];
    enum cl_status status = cl_store_identify(store, &genesis->network);
    if (status != CL_E_NOT_FOUND)
        return status == CL_OK || status == CL_E_STORE_OTHER ? CL_E_EXISTS : status;
    cl_network_key(&network_key);
    cl_sha256_once(key_hash, network_key.bytes, 32);
    status = cl_network_encode(&value, &genesis->value);
    if (status == CL_OK) {
        cl_smt_leaf_make(&entry, key_hash, value.data, value.length);
        status = genesis_block(&state_leaf, &tip, genesis, &entry);
    }
    if (status != CL_OK)
        goto out;
    batch = store->batch_new(store->context);
    if (batch == NULL) {
        status = CL_E_MEMORY;
        goto out;
    }
    status = put_genesis_meta(store, batch, genesis, &tip);
    if (status == CL_OK)
        status = put_genesis_block(store, batch, &tip, &state_leaf);
    if (status != CL_OK)
        goto out;
    cl_key_hash(&row, CL_TABLE_STATE, key_hash);
    cl_batch_put_key(store, batch, &row, value.data, value.length);
    status = store->batch_write(store->context, batch, true);
out:
    if (batch != NULL)
        store->batch_free(batch);
    cl_buffer_deinit(&value);
    cl_buffer_deinit(&state_leaf);
    return status;
}

/* ---- opening one */

/* The tree is not stored: it is built from the state leaves, and must come out as the last block says. */
static enum cl_status load_tree(struct cl_ledger *ledger, uint64_t total, cl_progress_fn progress, void *progress_context)
{
    static const uint8_t table[1] = {CL_TABLE_STATE};
    const struct cl_store *store = ledger->store;
    struct cl_hash root;
    uint64_t done = 0;
    enum cl_status status = CL_OK;
    struct cl_store_iterator *iterator = store->iterator_new(store->context, NULL);
    if (iterator == NULL)
        return CL_E_MEMORY;
    for (store->iterator_seek(iterator, table, sizeof table); store->iterator_valid(iterator) && status == CL_OK; store->iterator_next(iterator)) {
        struct cl_view key = store->iterator_key(iterator), value = store->iterator_value(iterator);
        struct cl_smt_leaf leaf;
        if (key.length == 0 || key.data[0] != CL_TABLE_STATE)
            break;
        if (key.length != 33) {
            status = CL_E_STORE_CORRUPT;
            break;
        }
        cl_smt_leaf_make(&leaf, key.data + 1, value.data, value.length);
        status = cl_smt_build_add(ledger->tree, &leaf);
        if (progress != NULL && ++done % PROGRESS_EVERY == 0)
            progress(progress_context, "building the state tree", done, total);
    }
    if (status == CL_OK)
        status = store->iterator_status(iterator);
    store->iterator_free(iterator);
    if (status == CL_OK)
        status = cl_smt_build_finish(ledger->tree);
    if (status != CL_OK)
        return status == CL_E_FORMAT ? CL_E_STORE_CORRUPT : status;
    cl_smt_root(&root, ledger->tree);
    return memcmp(root.bytes, ledger->tip.state_root.bytes, 32) == 0 ? CL_OK : CL_E_STORE_CORRUPT;
}

static enum cl_status load_log(struct cl_ledger *ledger)
{
    struct cl_ledger_view *view;
    struct cl_log_source source;
    struct cl_hash root;
    enum cl_status status = cl_ledger_view_new(&view, ledger);
    if (status != CL_OK)
        return status;
    cl_view_log_source(&source, view);
    status = cl_must_exist(cl_log_frontier_load(&ledger->frontier, &source, ledger->tip.log_size));
    if (status == CL_OK)
        status = cl_must_exist(cl_view_load_edge(&ledger->edge, view));
    cl_ledger_view_free(view);
    if (status != CL_OK)
        return status;
    cl_log_frontier_root(&root, &ledger->frontier);
    return memcmp(root.bytes, ledger->tip.log_root.bytes, 32) == 0 ? CL_OK : CL_E_STORE_CORRUPT;
}

/* The tip is a summary of the last block; both must tell the same. */
static enum cl_status compare_tip(struct cl_ledger *ledger)
{
    const struct cl_tip *tip = &ledger->tip;
    struct cl_table_key key;
    struct cl_stored_block block;
    struct cl_state_leaf leaf;
    cl_key_number(&key, CL_TABLE_BLOCK, tip->height);
    enum cl_status status = cl_must_exist(cl_store_get_checked(ledger->store, &ledger->value, NULL, &key));
    if (status != CL_OK)
        return status;
    if (cl_stored_block_decode(&block, ledger->value.data, ledger->value.length) != CL_OK ||
        cl_state_leaf_decode(&leaf, block.state_leaf.data, block.state_leaf.length) != CL_OK)
        return CL_E_STORE_CORRUPT;
    bool same = memcmp(block.id.bytes, tip->block.bytes, 32) == 0 && memcmp(block.log_root.bytes, tip->log_root.bytes, 32) == 0 &&
                memcmp(leaf.state_root.bytes, tip->state_root.bytes, 32) == 0 && leaf.height == tip->height &&
                leaf.time_ms == tip->time_ms && block.first_index + block.record_count + 1 == tip->log_size &&
                memcmp(leaf.network.bytes, ledger->genesis.network.bytes, 32) == 0;
    return same ? CL_OK : CL_E_STORE_CORRUPT;
}

/* Where a checkpoint is kept there will be proofs at it after the next block. */
static enum cl_status start_past(struct cl_ledger *ledger)
{
    struct cl_kept_checkpoint kept;
    enum cl_status status = cl_kept_checkpoint_load(ledger->store, NULL, &ledger->value, &kept);
    if (status == CL_OK)
        cl_past_start(ledger);
    return status == CL_E_NOT_FOUND ? CL_OK : status;
}

enum cl_status cl_ledger_open(struct cl_ledger **out, struct cl_store *store, const struct cl_smt_buckets *buckets,
                              const struct cl_genesis *genesis, cl_progress_fn progress, void *progress_context)
{
    uint64_t state_leaves = 0;
    *out = NULL;
    enum cl_status status = cl_store_identify(store, &genesis->network);
    if (status != CL_OK)
        return status;
    struct cl_ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL)
        return CL_E_MEMORY;
    ledger->store = store;
    ledger->genesis = *genesis;
    ledger->trial = calloc(1, sizeof *ledger->trial);
    if (ledger->trial != NULL) {
        ledger->trial->ledger = ledger;
        ledger->trial->references = 1;
    }
    status = ledger->trial == NULL ? CL_E_MEMORY : cl_changes_init(&ledger->changes);
    if (status == CL_OK)
        status = cl_smt_new(&ledger->tree, buckets);
    if (status == CL_OK)
        status = cl_random(&ledger->seed, sizeof ledger->seed);
    if (status == CL_OK)
        status = cl_recent_new(&ledger->recent, ledger->seed, CL_RECENT_BYTES);
    if (status == CL_OK) {
        ledger->trial->map.seed = ledger->seed;
        status = cl_member_set_hash(&ledger->member_set, genesis->value.members, genesis->value.member_count);
    }
    if (status == CL_OK)
        status = cl_tip_load(store, NULL, &ledger->tip, &state_leaves);
    if (status == CL_OK)
        status = compare_tip(ledger);
    if (status == CL_OK)
        status = load_log(ledger);
    if (status == CL_OK)
        status = load_tree(ledger, state_leaves, progress, progress_context);
    if (status == CL_OK)
        status = start_past(ledger);
    if (status != CL_OK) {
        cl_ledger_close(ledger);
        return status;
    }
    *out = ledger;
    return CL_OK;
}

void cl_ledger_close(struct cl_ledger *ledger)
{
    if (ledger == NULL)
        return;
    cl_candidate_free(ledger->trial);
    cl_past_deinit(ledger);
    cl_changes_deinit(&ledger->changes);
    cl_recent_free(ledger->recent);
    if (ledger->policy != NULL)
        cl_policy_free(ledger->policy);
    if (ledger->tree != NULL)
        cl_smt_free(ledger->tree);
    cl_buffer_deinit(&ledger->value);
    cl_buffer_deinit(&ledger->scratch);
    free(ledger);
}

/* Parts of one work, taken by whoever is free next: the helper may have something else to do first. */
struct parts { void (*run)(void *argument, unsigned part); void *argument; unsigned count; atomic_uint next; };

static void take_parts(void *argument)
{
    struct parts *parts = argument;
    unsigned part;
    while ((part = atomic_fetch_add(&parts->next, 1)) < parts->count)
        parts->run(parts->argument, part);
}

void cl_ledger_spread(void *context, void (*run)(void *argument, unsigned part), void *argument, unsigned count)
{
    const struct cl_helper *helper = &((const struct cl_ledger *)context)->helper;
    struct parts parts = {.run = run, .argument = argument, .count = count};
    struct cl_job job = {.run = take_parts, .argument = &parts};
    bool shared = helper->begin != NULL && count > 1;
    if (shared)
        helper->begin(helper->context, &job);
    take_parts(&parts);
    if (shared)
        helper->finish(helper->context, &job);
}

void cl_ledger_set_helper(struct cl_ledger *ledger, const struct cl_helper *helper)
{
    struct cl_smt_spread spread = {.context = ledger, .all = cl_ledger_spread};
    ledger->helper = *helper;
    cl_smt_set_spread(ledger->tree, &spread);
}

void cl_ledger_set_meanwhile(struct cl_ledger *ledger, void (*meanwhile)(void *context), void *context)
{
    ledger->meanwhile = meanwhile;
    ledger->meanwhile_context = context;
}

void cl_ledger_tip(const struct cl_ledger *ledger, struct cl_tip *out)
{
    *out = ledger->tip;
}

void cl_ledger_frontier(const struct cl_ledger *ledger, struct cl_log_frontier *out)
{
    *out = ledger->frontier;
}

/* ---- withdrawals promised, and the checkpoint signed */

static enum cl_status write_one(struct cl_ledger *ledger, struct cl_store_batch *batch, bool sync)
{
    struct cl_store *store = ledger->store;
    enum cl_status status = store->batch_write(store->context, batch, sync);
    if (status != CL_OK)
        ledger->failed = status;
    return status;
}

enum cl_status cl_ledger_withdrawal_keep(struct cl_ledger *ledger, const struct cl_ledger_record *record)
{
    struct cl_table_key key;
    assert(cl_rules_is_withdrawal(record->record.type));
    if (ledger->failed != CL_OK)
        return ledger->failed;
    struct cl_store_batch *batch = ledger->store->batch_new(ledger->store->context);
    if (batch == NULL)
        return CL_E_MEMORY;
    cl_key_hash(&key, CL_TABLE_WITHDRAWAL, record->record.leaf_hash.bytes);
    cl_batch_put_key(ledger->store, batch, &key, record->record.bytes.data, record->record.bytes.length);
    enum cl_status status = write_one(ledger, batch, true);
    ledger->store->batch_free(batch);
    return status;
}

enum cl_status cl_ledger_withdrawal_drop(struct cl_ledger *ledger, const struct cl_leaf_hash *leaf)
{
    struct cl_table_key key;
    if (ledger->failed != CL_OK)
        return ledger->failed;
    struct cl_store_batch *batch = ledger->store->batch_new(ledger->store->context);
    if (batch == NULL)
        return CL_E_MEMORY;
    cl_key_hash(&key, CL_TABLE_WITHDRAWAL, leaf->bytes);
    ledger->store->batch_delete(batch, key.bytes, key.length);
    enum cl_status status = write_one(ledger, batch, true);
    ledger->store->batch_free(batch);
    return status;
}

enum cl_status cl_ledger_withdrawals(struct cl_ledger *ledger, cl_record_fn each, void *context)
{
    static const uint8_t table[1] = {CL_TABLE_WITHDRAWAL};
    const struct cl_store *store = ledger->store;
    enum cl_status status = CL_OK;
    struct cl_store_snapshot *snapshot = store->snapshot_new(store->context); /* each may drop what it is shown */
    struct cl_store_iterator *iterator = snapshot != NULL ? store->iterator_new(store->context, snapshot) : NULL;
    if (iterator == NULL) {
        status = CL_E_MEMORY;
        goto out;
    }
    for (store->iterator_seek(iterator, table, sizeof table); store->iterator_valid(iterator) && status == CL_OK; store->iterator_next(iterator)) {
        struct cl_view key = store->iterator_key(iterator), value = store->iterator_value(iterator);
        struct cl_leaf_hash leaf;
        if (key.length == 0 || key.data[0] != CL_TABLE_WITHDRAWAL)
            break;
        cl_log_leaf_hash(&leaf, value.data, value.length);
        if (key.length != 33 || memcmp(key.data + 1, leaf.bytes, 32) != 0)
            status = CL_E_STORE_CORRUPT;
        else
            status = each(context, value.data, value.length);
    }
    if (status == CL_OK)
        status = store->iterator_status(iterator);
    store->iterator_free(iterator);
out:
    if (snapshot != NULL)
        store->snapshot_free(store->context, snapshot);
    return status;
}

/* Was the log of this size final, ended by its block's state leaf, and with this root? CL_E_FORK if not. */
static enum cl_status check_final(struct cl_ledger *ledger, uint64_t size, const struct cl_hash *root)
{
    struct cl_ledger_view *view;
    struct cl_log_source source;
    struct cl_state_leaf state;
    struct cl_hash final_root = ledger->tip.log_root;
    enum cl_status status = CL_OK;
    if (size != ledger->tip.log_size) {
        status = cl_ledger_view_new(&view, ledger);
        if (status != CL_OK)
            return status;
        cl_view_log_source(&source, view);
        status = cl_must_exist(cl_log_root(&final_root, &source, size));
        if (status == CL_OK)
            status = cl_must_exist(cl_view_leaf(view, &ledger->value, size - 1));
        cl_ledger_view_free(view);
        if (status == CL_OK && cl_state_leaf_decode(&state, ledger->value.data, ledger->value.length) != CL_OK)
            status = CL_E_FORK; /* a record: no block ended here */
    }
    if (status == CL_OK && memcmp(final_root.bytes, root->bytes, 32) != 0)
        status = CL_E_FORK;
    return status;
}

/* Every root of the final log is consistent with every later one, so a checkpoint of the final log that is not smaller
   than the one kept cannot contradict it. */
enum cl_status cl_ledger_checkpoint_keep(struct cl_ledger *ledger, uint64_t size, const struct cl_hash *root, const uint8_t *note, size_t length)
{
    struct cl_buffer bytes = {0};
    struct cl_store_batch *batch = NULL;
    struct cl_kept_checkpoint kept, next = {size, *root, {note, length}};
    struct cl_table_key key;
    if (ledger->failed != CL_OK)
        return ledger->failed;
    if (length > CL_CHECKPOINT_BYTES_MAX)
        return CL_E_BOUND;
    if (size == 0 || size > ledger->tip.log_size)
        return CL_E_FORK;
    enum cl_status status = cl_kept_checkpoint_load(ledger->store, NULL, &bytes, &kept);
    if (status != CL_OK && status != CL_E_NOT_FOUND)
        goto out;
    status = status == CL_OK && kept.size > size ? CL_E_FORK : check_final(ledger, size, root);
    if (status != CL_OK)
        goto out;
    bytes.length = 0;
    status = cl_kept_checkpoint_encode(&bytes, &next);
    batch = status == CL_OK ? ledger->store->batch_new(ledger->store->context) : NULL;
    if (status == CL_OK && batch == NULL)
        status = CL_E_MEMORY;
    cl_key_meta(&key, "checkpoint");
    if (status == CL_OK)
        status = cl_batch_put_checked(ledger->store, batch, &ledger->scratch, &key, bytes.data, bytes.length);
    if (status == CL_OK)
        status = write_one(ledger, batch, false);
    if (status == CL_OK)
        cl_past_checkpoint(ledger, size);
out:
    if (batch != NULL)
        ledger->store->batch_free(batch);
    cl_buffer_deinit(&bytes);
    return status;
}
