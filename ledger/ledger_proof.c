/* Proofs of state, made at the tip or at the newest checkpoint, and checked by the verifier's own code before they leave. */
#include "ledger_internal.h"

#include "crypto.h"
#include "proof_build.h"

#include <assert.h>
#include <stdlib.h>

/* ---- the state's part */

/* When the state is shown: snapshot and past NULL: now. */
struct when { struct cl_ledger *ledger; const struct cl_store_snapshot *snapshot; const struct cl_smt_past *past; };

static enum cl_status read_state(const struct when *when, const uint8_t key_hash[32])
{
    struct cl_table_key row;
    cl_key_hash(&row, CL_TABLE_STATE, key_hash);
    return cl_must_exist(cl_store_get_key(when->ledger->store, &when->ledger->value, when->snapshot, &row));
}

/* The value as stored must be the one in the tree. */
static bool value_fits(const struct cl_ledger *ledger, const struct cl_smt_leaf *leaf)
{
    struct cl_smt_leaf made;
    cl_smt_leaf_make(&made, leaf->key_hash, ledger->value.data, ledger->value.length);
    return memcmp(made.leaf_hash, leaf->leaf_hash, 32) == 0;
}

static enum cl_status prove(struct cl_smt_path *path, struct cl_smt_leaf *leaf, const struct when *when, const uint8_t key_hash[32])
{
    return when->past != NULL ? cl_smt_past_prove(path, leaf, when->past, key_hash) : cl_smt_prove(path, leaf, when->ledger->tree, key_hash);
}

/* CL_E_NOT_FOUND: there is no such leaf. */
static enum cl_status prove_existence(const struct when *when, struct cl_buffer *out, const uint8_t key_hash[32])
{
    struct cl_ledger *ledger = when->ledger;
    struct cl_smt_path path;
    struct cl_smt_leaf leaf;
    enum cl_status status = prove(&path, &leaf, when, key_hash);
    if (status == CL_OK)
        status = read_state(when, key_hash);
    if (status == CL_OK && !value_fits(ledger, &leaf))
        status = CL_E_STORE_CORRUPT;
    if (status == CL_OK)
        status = cl_state_proof_encode_existence(out, ledger->value.data, ledger->value.length, path.siblings, path.count);
    return status;
}

struct neighbour { struct cl_smt_path path; struct cl_smt_leaf leaf; uint8_t value_hash[32]; struct cl_proof_neighbour shown; };

static enum cl_status show_neighbour(const struct when *when, struct neighbour *neighbour, const struct cl_smt_leaf *leaf)
{
    const struct cl_ledger *ledger = when->ledger;
    enum cl_status status = cl_must_exist(prove(&neighbour->path, &neighbour->leaf, when, leaf->key_hash));
    if (status == CL_OK)
        status = read_state(when, leaf->key_hash);
    if (status == CL_OK && !value_fits(ledger, &neighbour->leaf))
        status = CL_E_STORE_CORRUPT;
    if (status != CL_OK)
        return status;
    cl_sha256_once(neighbour->value_hash, ledger->value.data, ledger->value.length);
    neighbour->shown = (struct cl_proof_neighbour){neighbour->leaf.key_hash, neighbour->value_hash, neighbour->path.siblings, neighbour->path.count};
    return CL_OK;
}

static enum cl_status prove_absence(const struct when *when, struct cl_buffer *out, const uint8_t key_hash[32])
{
    struct cl_smt_leaf left, right;
    struct neighbour shown[2];
    bool has_left, has_right;
    enum cl_status status = when->past != NULL ? cl_smt_past_neighbours(&has_left, &left, &has_right, &right, when->past, key_hash)
                                               : cl_smt_neighbours(&has_left, &left, &has_right, &right, when->ledger->tree, key_hash);
    if (status == CL_OK && has_left)
        status = show_neighbour(when, &shown[0], &left);
    if (status == CL_OK && has_right)
        status = show_neighbour(when, &shown[1], &right);
    if (status == CL_OK)
        status = cl_state_proof_encode_absence(out, has_left ? &shown[0].shown : NULL, has_right ? &shown[1].shown : NULL);
    return status;
}

static enum cl_status state_proof(const struct when *when, struct cl_buffer *out, const uint8_t object32[32])
{
    uint8_t key_hash[32];
    cl_sha256_once(key_hash, object32, 32);
    enum cl_status status = prove_existence(when, out, key_hash);
    return status == CL_E_NOT_FOUND ? prove_absence(when, out, key_hash) : status;
}

enum cl_status cl_ledger_state_proof(struct cl_ledger *ledger, struct cl_buffer *state_proof_cbor, const uint8_t object32[32])
{
    const struct when now = {.ledger = ledger};
    return ledger->failed != CL_OK ? ledger->failed : state_proof(&now, state_proof_cbor, object32);
}

/* ---- the records that made an agreement */

struct shown_record { uint64_t index; struct cl_buffer bytes; struct cl_hash path[CL_LOG_PATH_MAX]; size_t path_count; };
struct shown { size_t count; struct shown_record records[CL_PROOF_RECORDS_MAX]; struct cl_proof_selection selection; };

static enum cl_status add_shown(struct shown *shown, uint64_t index, struct cl_view bytes)
{
    if (shown->count == CL_PROOF_RECORDS_MAX)
        return CL_E_BOUND;
    struct shown_record *record = &shown->records[shown->count++];
    record->index = index;
    return cl_buffer_append(&record->bytes, bytes.data, bytes.length);
}

static enum cl_status add_if_needed(struct shown *shown, struct cl_ledger_view *view, uint64_t index, const struct cl_object_id *object, const struct cl_agreement *agreement)
{
    struct cl_record record;
    struct cl_view bytes;
    enum cl_status status = cl_view_leaf_borrow(view, &bytes, index);
    if (status != CL_OK)
        return cl_must_exist(status);
    status = cl_record_decode(&record, NULL, bytes.data, bytes.length, &view->network);
    if (status != CL_OK)
        return status == CL_E_MEMORY ? status : CL_E_STORE_CORRUPT;
    if (cl_proof_select(&shown->selection, &record, object, agreement))
        status = add_shown(shown, index, bytes);
    cl_record_deinit(&record);
    return status;
}

/* Newest first, as history gives them. */
static enum cl_status add_history(struct shown *shown, struct cl_ledger_view *view, const struct cl_object_id *object, const struct cl_agreement *agreement)
{
    struct cl_history history;
    enum cl_status status = cl_history_begin(&history, view, object->bytes);
    while (status == CL_OK && !cl_history_ended(&history)) {
        uint64_t index;
        status = cl_history_next(&history, &index);
        if (status == CL_OK)
            status = add_if_needed(shown, view, index, object, agreement);
    }
    cl_history_end(&history);
    return cl_must_exist(status);
}

/* C's signature under TERMS is on the record that opened them: the oldest of theirs. */
static enum cl_status add_terms_opening(struct shown *shown, struct cl_ledger_view *view, const struct cl_object_id *object, const struct cl_agreement *agreement)
{
    struct cl_chain chain;
    enum cl_status status = cl_must_exist(cl_chain_begin(&chain, view, agreement->terms.bytes));
    while (status == CL_OK && !chain.ended)
        status = cl_chain_back(&chain);
    return status == CL_OK ? add_if_needed(shown, view, chain.index, object, agreement) : status;
}

static int by_index(const void *a, const void *b)
{
    const struct shown_record *left = a, *right = b;
    return left->index < right->index ? -1 : left->index > right->index;
}

/* Paths last; each record is what the log says, or the store is damaged. */
static enum cl_status add_paths(struct shown *shown, struct cl_ledger_view *view, const struct cl_kept_checkpoint *checkpoint)
{
    for (size_t i = 0; i < shown->count; i++) {
        struct shown_record *record = &shown->records[i];
        struct cl_leaf_hash leaf;
        enum cl_status status = cl_view_inclusion(view, record->path, &record->path_count, record->index, checkpoint->size);
        if (status != CL_OK)
            return cl_must_exist(status);
        cl_log_leaf_hash(&leaf, record->bytes.data, record->bytes.length);
        if (cl_log_check_inclusion(&checkpoint->root, checkpoint->size, record->index, &leaf, record->path, record->path_count) != CL_OK)
            return CL_E_STORE_CORRUPT;
    }
    return CL_OK;
}

static enum cl_status collect(struct shown *shown, struct cl_ledger_view *view, const struct cl_object_id *object, const struct cl_kept_checkpoint *checkpoint)
{
    struct cl_buffer value = {0};
    struct cl_agreement agreement;
    enum cl_state_kind kind;
    enum cl_status status = cl_view_state(view, &value, object->bytes);
    bool has_records = status == CL_OK && cl_state_kind_of(&kind, value.data, value.length) == CL_OK && kind == CL_STATE_AGREEMENT;
    if (status == CL_E_NOT_FOUND)
        status = CL_OK;
    if (status == CL_OK && has_records) {
        status = cl_agreement_decode(&agreement, value.data, value.length);
        if (status == CL_OK)
            status = add_history(shown, view, object, &agreement);
        if (status == CL_OK && agreement.terms.present)
            status = add_terms_opening(shown, view, object, &agreement);
        if (status == CL_OK) {
            qsort(shown->records, shown->count, sizeof shown->records[0], by_index);
            status = add_paths(shown, view, checkpoint);
        }
    }
    cl_buffer_deinit(&value);
    return status;
}

/* ---- the whole file */

static enum cl_status encode(struct cl_buffer *out, const struct when *when, struct cl_ledger_view *view, const struct cl_kept_checkpoint *checkpoint, const struct cl_object_id *object, const struct shown *shown)
{
    struct cl_proof_record records[CL_PROOF_RECORDS_MAX];
    struct cl_hash path[CL_LOG_PATH_MAX];
    struct cl_buffer state_leaf = {0}, state_cbor = {0};
    struct cl_proof_parts parts = {.checkpoint = checkpoint->note, .object = *object, .records = records, .record_count = shown->count};
    for (size_t i = 0; i < shown->count; i++) {
        const struct shown_record *record = &shown->records[i];
        records[i] = (struct cl_proof_record){{record->bytes.data, record->bytes.length}, record->index, {record->path, record->path_count}};
    }
    parts.state_leaf_path.hashes = path;
    enum cl_status status = cl_must_exist(cl_view_leaf(view, &state_leaf, checkpoint->size - 1));
    if (status == CL_OK)
        status = cl_must_exist(cl_view_inclusion(view, path, &parts.state_leaf_path.count, checkpoint->size - 1, checkpoint->size));
    if (status == CL_OK)
        status = state_proof(when, &state_cbor, object->bytes);
    parts.state_leaf = (struct cl_view){state_leaf.data, state_leaf.length};
    parts.state_proof = (struct cl_view){state_cbor.data, state_cbor.length};
    if (status == CL_OK)
        status = cl_proof_encode(out, &parts);
    cl_buffer_deinit(&state_leaf);
    cl_buffer_deinit(&state_cbor);
    return status;
}

static enum cl_status need_policy(struct cl_ledger *ledger)
{
    struct cl_buffer text = {0};
    size_t bad_line;
    if (ledger->policy != NULL)
        return CL_OK;
    enum cl_status status = cl_policy_of_members(&text, ledger->genesis.origin, ledger->genesis.value.members, ledger->genesis.value.member_count);
    if (status == CL_OK)
        status = cl_policy_new(&ledger->policy, &bad_line, text.data, text.length);
    cl_buffer_deinit(&text);
    return status;
}

/* ledger.md: "check each before serving it", with what a stranger would check it with. */
static enum cl_status check_own(struct cl_ledger *ledger, const struct cl_buffer *proof, size_t start)
{
    struct cl_verify_options options = {.now_ms = ledger->tip.time_ms};
    enum cl_status status = need_policy(ledger);
    if (status != CL_OK)
        return status;
    struct cl_verify_report *report = malloc(sizeof *report); /* some kilobytes of names */
    if (report == NULL)
        return CL_E_MEMORY;
    status = cl_proof_verify(report, proof->data + start, proof->length - start, ledger->policy, &options);
    free(report);
    return status;
}

static void free_shown(struct shown *shown)
{
    for (size_t i = 0; shown != NULL && i < shown->count; i++)
        cl_buffer_deinit(&shown->records[i].bytes);
    free(shown);
}

enum cl_status cl_ledger_proof(struct cl_ledger *ledger, struct cl_buffer *proof_file, const uint8_t object32[32])
{
    struct when when = {.ledger = ledger};
    struct cl_kept_checkpoint checkpoint = {0};
    struct cl_ledger_view *view = NULL;
    struct cl_buffer kept = {0};
    struct cl_object_id object;
    size_t start = proof_file->length;
    struct shown *shown = calloc(1, sizeof *shown);
    enum cl_status status = shown == NULL ? CL_E_MEMORY : ledger->failed;
    memcpy(object.bytes, object32, 32);
    if (status == CL_OK)
        status = cl_kept_checkpoint_load(ledger->store, NULL, &kept, &checkpoint);
    if (status == CL_E_NOT_FOUND)
        status = CL_E_PENDING; /* no tree is signed by a quorum yet */
    if (status == CL_OK && checkpoint.size == ledger->tip.log_size)
        status = cl_ledger_view_new(&view, ledger);
    else if (status == CL_OK)
        status = cl_past_view(&view, &when.past, ledger, checkpoint.size);
    if (status == CL_OK) {
        when.snapshot = view->snapshot;
        status = collect(shown, view, &object, &checkpoint);
    }
    if (status == CL_OK)
        status = encode(proof_file, &when, view, &checkpoint, &object, shown);
    if (status == CL_OK)
        status = check_own(ledger, proof_file, start);
    if (status != CL_OK)
        proof_file->length = start;
    cl_ledger_view_free(view);
    cl_buffer_deinit(&kept);
    free_shown(shown);
    return status;
}
