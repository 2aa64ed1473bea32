/* The tree over all uses of a period, and the proof of one agreement in it: made by the organisation, checked by the customer.
   Pure. */
#include "consent/uses.h"

#include <stdlib.h>

#include "buckets.h"
#include "cbor.h"
#include "consent/record.h"
#include "crypto.h"
#include "smt.h"

#define MAGIC "consent-uses"
enum { FOUND = 1, ABSENT = 2 };

/* H(tree key) and H(value), as the sparse tree takes them. */
struct leaf { uint8_t key_hash[32], value_hash[32]; };
struct cl_uses_tree {
    const struct cl_uses_statement *statement;
    struct cl_smt_buckets buckets;
    struct cl_smt *smt;
    size_t leaf_count;
    struct leaf *leaves;            /* ascending by key_hash */
};

static void key_hash_of(uint8_t out32[32], const char *domain, const struct cl_object_id *id)
{
    struct cl_sha256 hash;
    cl_sha256_domain(&hash, domain);
    cl_sha256_update(&hash, id->bytes, 32);
    cl_sha256_final(&hash, out32);
    cl_sha256_once(out32, out32, 32);
}

static void list_value_hash(uint8_t out32[32], const uint8_t salt32[32], struct cl_view list)
{
    struct cl_sha256 hash;
    cl_sha256_domain(&hash, "consent/v1 uses");
    cl_sha256_update(&hash, salt32, 32);
    cl_sha256_update(&hash, list.data, list.length);
    cl_sha256_final(&hash, out32);
    cl_sha256_once(out32, out32, 32);
}

/* The leaf that says whose tree this is, and of when: with it no tree is empty. */
static enum cl_status own_leaf(struct leaf *out, const struct cl_uses_statement *statement)
{
    struct cl_cbor_writer writer;
    struct cl_buffer value = {0};
    struct cl_sha256 hash;
    cl_cbor_writer_init(&writer, &value);
    cl_cbor_put_array(&writer, 3);
    cl_cbor_put_bytes(&writer, statement->profile.bytes, 32);
    cl_cbor_put_uint(&writer, statement->from_s);
    cl_cbor_put_uint(&writer, statement->until_s);
    if (writer.status == CL_OK) {
        key_hash_of(out->key_hash, "consent/v1 uses profile", &statement->profile);
        cl_sha256_domain(&hash, "consent/v1 uses period");
        cl_sha256_update(&hash, value.data, value.length);
        cl_sha256_final(&hash, out->value_hash);
        cl_sha256_once(out->value_hash, out->value_hash, 32);
    }
    cl_buffer_deinit(&value);
    return writer.status;
}

static int by_key(const void *a, const void *b) { return memcmp(((const struct leaf *)a)->key_hash, ((const struct leaf *)b)->key_hash, 32); }

static enum cl_status build(struct cl_uses_tree *tree)
{
    enum cl_status status = cl_buckets_memory_new(&tree->buckets);
    if (status == CL_OK)
        status = cl_smt_new(&tree->smt, &tree->buckets);
    for (size_t i = 0; i < tree->leaf_count && status == CL_OK; i++) {
        struct cl_smt_leaf leaf;
        memcpy(leaf.key_hash, tree->leaves[i].key_hash, 32);
        cl_sha256_node(leaf.leaf_hash, 0x00, tree->leaves[i].key_hash, tree->leaves[i].value_hash);
        status = cl_smt_build_add(tree->smt, &leaf);
    }
    return status == CL_OK ? cl_smt_build_finish(tree->smt) : status;
}

enum cl_status cl_uses_tree_new(struct cl_uses_tree **out, const struct cl_uses_statement *statement)
{
    struct cl_uses_tree *tree = calloc(1, sizeof *tree);
    if (tree == NULL)
        return CL_E_MEMORY;
    tree->statement = statement;
    tree->leaf_count = statement->account_count + 1;
    tree->leaves = calloc(tree->leaf_count, sizeof *tree->leaves);
    enum cl_status status = tree->leaves == NULL ? CL_E_MEMORY : own_leaf(&tree->leaves[statement->account_count], statement);
    for (size_t i = 0; i < statement->account_count && status == CL_OK; i++) {
        const struct cl_uses_account *account = &statement->accounts[i];
        key_hash_of(tree->leaves[i].key_hash, "consent/v1 uses key", &account->agreement);
        list_value_hash(tree->leaves[i].value_hash, account->salt32, account->list);
    }
    if (status == CL_OK) {
        qsort(tree->leaves, tree->leaf_count, sizeof *tree->leaves, by_key);
        status = build(tree);
    }
    if (status != CL_OK)
        cl_uses_tree_free(tree);
    else
        *out = tree;
    return status;
}

void cl_uses_tree_free(struct cl_uses_tree *tree)
{
    if (tree == NULL)
        return;
    cl_smt_free(tree->smt);
    if (tree->buckets.load != NULL)
        cl_buckets_free(&tree->buckets);
    free(tree->leaves);
    free(tree);
}

void cl_uses_tree_root(struct cl_hash *out, const struct cl_uses_tree *tree) { cl_smt_root(out, tree->smt); }

/* ---- making a proof */

static void put_path(struct cl_cbor_writer *writer, const struct cl_smt_path *path)
{
    cl_cbor_put_array(writer, path->count);
    for (size_t i = 0; i < path->count; i++)
        cl_cbor_put_bytes(writer, path->siblings[i].bytes, 32);
}

static enum cl_status put_neighbour(struct cl_cbor_writer *writer, const struct cl_uses_tree *tree, bool there, const struct cl_smt_leaf *neighbour)
{
    struct cl_smt_path path;
    struct cl_smt_leaf found;
    struct leaf wanted;
    if (!there) {
        cl_cbor_put_null(writer);
        return CL_OK;
    }
    memcpy(wanted.key_hash, neighbour->key_hash, 32);
    const struct leaf *leaf = bsearch(&wanted, tree->leaves, tree->leaf_count, sizeof *tree->leaves, by_key);
    enum cl_status status = leaf == NULL ? CL_E_NOT_FOUND : cl_smt_prove(&path, &found, tree->smt, neighbour->key_hash);
    if (status != CL_OK)
        return status;
    cl_cbor_put_array(writer, 3);
    cl_cbor_put_bytes(writer, leaf->key_hash, 32);
    cl_cbor_put_bytes(writer, leaf->value_hash, 32);
    put_path(writer, &path);
    return CL_OK;
}

static enum cl_status put_tree_proof(struct cl_cbor_writer *writer, const struct cl_uses_tree *tree, const struct cl_object_id *agreement)
{
    const struct cl_uses_account *account = cl_uses_account_find(tree->statement, agreement);
    struct cl_smt_leaf left, right;
    bool has_left, has_right;
    uint8_t key_hash[32];
    key_hash_of(key_hash, "consent/v1 uses key", agreement);
    if (account != NULL) {
        struct cl_smt_path path;
        enum cl_status status = cl_smt_prove(&path, &left, tree->smt, key_hash);
        if (status != CL_OK)
            return status;
        cl_cbor_put_array(writer, 4);
        cl_cbor_put_uint(writer, FOUND);
        cl_cbor_put_bytes(writer, account->salt32, 32);
        cl_cbor_put_bytes(writer, account->list.data, account->list.length);
        put_path(writer, &path);
        return CL_OK;
    }
    enum cl_status status = cl_smt_neighbours(&has_left, &left, &has_right, &right, tree->smt, key_hash);
    if (status != CL_OK)
        return status;
    cl_cbor_put_array(writer, 3);
    cl_cbor_put_uint(writer, ABSENT);
    status = put_neighbour(writer, tree, has_left, &left);
    return status == CL_OK ? put_neighbour(writer, tree, has_right, &right) : status;
}

enum cl_status cl_uses_prove(struct cl_buffer *out, const struct cl_uses_tree *tree, const struct cl_network_id *network,
                             struct cl_view record, struct cl_view tlog_proof, const struct cl_object_id *agreement)
{
    struct cl_cbor_writer writer;
    size_t start = out->length;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_file_head(&writer, 7, MAGIC);
    cl_cbor_put_bytes(&writer, network->bytes, 32);
    cl_cbor_put_bytes(&writer, record.data, record.length);
    cl_cbor_put_bytes(&writer, tlog_proof.data, tlog_proof.length);
    cl_cbor_put_bytes(&writer, agreement->bytes, 32);
    enum cl_status status = writer.status == CL_OK ? put_tree_proof(&writer, tree, agreement) : writer.status;
    if (status == CL_OK)
        status = writer.status;
    if (status == CL_OK && out->length - start > CL_PROOF_BYTES_MAX)
        status = CL_E_BOUND;
    if (status != CL_OK)
        out->length = start;
    return status;
}

/* ---- checking one */

struct neighbour { uint8_t key_hash[32], value_hash[32]; struct cl_smt_path path; };
struct file {
    struct cl_view record, tlog_proof, list;
    uint64_t form;
    uint8_t salt32[32];
    bool has_left, has_right;
    struct cl_smt_path path;
    struct neighbour left, right;
};

static void get_path(struct cl_cbor_reader *reader, struct cl_smt_path *path)
{
    path->count = cl_cbor_array_at_most(reader, CL_SMT_DEPTH);
    for (size_t i = 0; i < path->count; i++)
        cl_cbor_bytes_copy(reader, path->siblings[i].bytes, 32);
}

static bool get_neighbour(struct cl_cbor_reader *reader, struct neighbour *out)
{
    if (cl_cbor_null(reader))
        return false;
    cl_cbor_array_fixed(reader, 3);
    cl_cbor_bytes_copy(reader, out->key_hash, 32);
    cl_cbor_bytes_copy(reader, out->value_hash, 32);
    get_path(reader, &out->path);
    return true;
}

static enum cl_status read_file(struct file *file, struct cl_uses_report *report, const uint8_t *proof, size_t length)
{
    struct cl_cbor_reader reader;
    if (length > CL_PROOF_BYTES_MAX)
        return CL_E_BOUND;
    cl_cbor_reader_init(&reader, proof, length);
    cl_cbor_file_head(&reader, 7, MAGIC);
    cl_cbor_bytes_copy(&reader, report->network.bytes, 32);
    file->record = cl_cbor_bytes(&reader);
    file->tlog_proof = cl_cbor_bytes(&reader);
    cl_cbor_bytes_copy(&reader, report->agreement.bytes, 32);
    size_t count = cl_cbor_array(&reader);
    file->form = cl_cbor_uint(&reader);
    if (reader.status == CL_OK && !(file->form == FOUND && count == 4) && !(file->form == ABSENT && count == 3))
        cl_cbor_fail(&reader, CL_E_FORMAT);
    if (file->form == FOUND) {
        cl_cbor_bytes_copy(&reader, file->salt32, 32);
        file->list = cl_cbor_bytes(&reader);
        get_path(&reader, &file->path);
    } else {
        file->has_left = get_neighbour(&reader, &file->left);
        file->has_right = get_neighbour(&reader, &file->right);
    }
    return cl_cbor_finish(&reader);
}

/* The record says what root: signed, a STATEMENT, on one PROFILE alone, and in the log only because it was applied. */
static enum cl_status check_record(struct cl_uses_report *report, struct cl_hash *root, const struct file *file, const struct cl_policy *policy)
{
    struct cl_record record;
    enum cl_status status = cl_record_decode(&record, NULL, file->record.data, file->record.length, &report->network);
    if (status != CL_OK)
        return status;
    const struct cl_entry *entry = &record.entries[0];
    /* payload key 4: entries that the rules refuse are passed over, and the record is in the log all the same */
    if (record.type != CL_STATEMENT || record.entry_count != 1 || record.skip_refused || entry->not_before >= entry->not_after)
        status = CL_E_PROOF;
    if (status == CL_OK)
        status = cl_record_check_signature(&record);
    if (status == CL_OK) {
        memcpy(report->profile.bytes, entry->object, 32);
        memcpy(root->bytes, entry->commitment, 32);
        memcpy(report->signer.bytes, record.signer33, 33);
        report->from_s = entry->not_before;
        report->until_s = entry->not_after;
        report->issued_at_ms = record.issued_at_ms;
        status = cl_tlog_proof_verify(&report->receipt, file->tlog_proof.data, file->tlog_proof.length, file->record.data, file->record.length, policy);
        report->receipt.record = record.id;
    }
    cl_record_deinit(&record);
    return status;
}

static enum cl_status check_tree(struct cl_uses_report *report, const struct cl_hash *root, const struct file *file)
{
    uint8_t key_hash[32], value_hash[32];
    key_hash_of(key_hash, "consent/v1 uses key", &report->agreement);
    report->named = file->form == FOUND;
    if (report->named) {
        enum cl_status status = cl_use_list_decode(&report->use_count, &report->items, file->list.data, file->list.length, report->from_s, report->until_s);
        if (status != CL_OK)
            return status;
        list_value_hash(value_hash, file->salt32, file->list);
        return cl_smt_check_existence(root, key_hash, value_hash, file->path.siblings, file->path.count);
    }
    struct cl_smt_neighbour left = {file->left.key_hash, file->left.value_hash, file->left.path.siblings, file->left.path.count};
    struct cl_smt_neighbour right = {file->right.key_hash, file->right.value_hash, file->right.path.siblings, file->right.path.count};
    return cl_smt_check_absence(root, key_hash, file->has_left ? &left : NULL, file->has_right ? &right : NULL);
}

enum cl_status cl_uses_verify(struct cl_uses_report *report, const uint8_t *proof, size_t length, const struct cl_policy *policy)
{
    struct cl_hash root;
    struct file *file = calloc(1, sizeof *file);
    memset(report, 0, sizeof *report);
    if (file == NULL)
        return CL_E_MEMORY;
    enum cl_status status = read_file(file, report, proof, length);
    if (status == CL_OK)
        status = check_record(report, &root, file, policy);
    if (status == CL_OK)
        status = check_tree(report, &root, file);
    free(file);
    return status;
}
