/* The auditor's own copy of the ledger: the records of each block go through the rules again, and the block has to come
   out with the state leaf that the log holds. A ledger in a directory of the auditor's: memory stays bounded, and after an
   interruption it goes on at the last whole block. Signatures are checked by audit.c, for every leaf once. */
#include "buckets.h"
#include "consent/audit.h"
#include "ledger_internal.h"

#include <stdio.h>
#include <stdlib.h>

struct cl_audit_rules {
    struct cl_genesis genesis;
    struct cl_store store;
    struct cl_smt_buckets buckets;
    bool store_open, buckets_open;
    struct cl_ledger *ledger;
    struct cl_ledger_record **records; /* of the block that is being read */
    size_t count, bytes;
    char sentence[320];
};

static void drop_records(struct cl_audit_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        cl_ledger_record_unref(rules->records[i]);
    rules->count = rules->bytes = 0;
}

void cl_audit_rules_close(struct cl_audit_rules *rules)
{
    if (rules == NULL)
        return;
    drop_records(rules);
    free(rules->records);
    if (rules->ledger != NULL)
        cl_ledger_close(rules->ledger);
    if (rules->buckets_open)
        cl_buckets_free(&rules->buckets);
    if (rules->store_open)
        rules->store.close(rules->store.context);
    free(rules);
}

static void take_genesis(struct cl_genesis *out, const struct cl_audit_genesis *in)
{
    out->network = in->network;
    memcpy(out->origin, in->origin, sizeof out->origin);
    out->time_ms = in->time_ms;
    out->value = in->value;
}

static enum cl_status open_in(struct cl_audit_rules *rules, const char *directory, char *sentence, size_t sentence_size)
{
    struct cl_store_options options;
    cl_store_options_default(&options);
    options.create = true;
    enum cl_status status = cl_store_leveldb_open(&rules->store, directory, &options, sentence, sentence_size);
    if (status != CL_OK)
        return status;
    rules->store_open = true;
    status = cl_buckets_file_new(&rules->buckets, directory, CL_BUCKETS_IN_MEMORY);
    if (status != CL_OK)
        return status;
    rules->buckets_open = true;
    status = cl_ledger_open(&rules->ledger, &rules->store, &rules->buckets, &rules->genesis, NULL, NULL);
    if (status == CL_E_NOT_FOUND) {
        status = cl_ledger_create(&rules->store, &rules->genesis);
        if (status == CL_OK)
            status = cl_ledger_open(&rules->ledger, &rules->store, &rules->buckets, &rules->genesis, NULL, NULL);
    }
    return status;
}

enum cl_status cl_audit_rules_open(struct cl_audit_rules **out, const char *directory, const struct cl_audit_genesis *genesis, char *sentence, size_t sentence_size)
{
    struct cl_audit_rules *rules = calloc(1, sizeof *rules);
    sentence[0] = '\0';
    if (rules == NULL)
        return CL_E_MEMORY;
    take_genesis(&rules->genesis, genesis);
    rules->records = calloc(CL_BLOCK_RECORDS_MAX, sizeof *rules->records);
    enum cl_status status = rules->records == NULL ? CL_E_MEMORY : open_in(rules, directory, sentence, sentence_size);
    if (status != CL_OK) {
        cl_audit_rules_close(rules);
        return status;
    }
    *out = rules;
    return CL_OK;
}

void cl_audit_rules_tip(uint64_t *size, struct cl_hash *root, const struct cl_audit_rules *rules)
{
    struct cl_tip tip;
    cl_ledger_tip(rules->ledger, &tip);
    *size = tip.log_size;
    *root = tip.log_root;
}

static enum cl_status take_record(struct cl_audit_rules *rules, const uint8_t *leaf, size_t length)
{
    if (rules->count == CL_BLOCK_RECORDS_MAX || length > CL_BLOCK_BYTES_MAX - rules->bytes) {
        (void)snprintf(rules->sentence, sizeof rules->sentence, "A block holds more than a network may allow.");
        return CL_E_BLOCK_SIZE;
    }
    enum cl_status status = cl_ledger_record_new(&rules->records[rules->count], NULL, leaf, length, &rules->genesis.network);
    if (status != CL_OK) {
        (void)snprintf(rules->sentence, sizeof rules->sentence, "A record does not have the form of a record.");
        return status;
    }
    rules->count++;
    rules->bytes += length;
    return CL_OK;
}

static enum cl_status apply_records(struct cl_audit_rules *rules, struct cl_candidate *candidate, uint64_t height)
{
    uint32_t entry = 0;
    for (size_t i = 0; i < rules->count; i++) {
        enum cl_status status = cl_candidate_add(candidate, rules->records[i], &entry);
        if (status == CL_E_MEMORY || status == CL_E_STORE_IO || status == CL_E_STORE_CORRUPT)
            return status;
        if (status != CL_OK) {
            (void)snprintf(rules->sentence, sizeof rules->sentence, "Block %llu: its record %zu does not apply by the rules: %.150s (%s)", (unsigned long long)height, i, cl_status_sentence(status), cl_status_code(status));
            return CL_E_BLOCK_INVALID;
        }
    }
    return CL_OK;
}

static enum cl_status compare_leaf(struct cl_audit_rules *rules, const struct cl_candidate *candidate, const struct cl_state_leaf *state, const uint8_t *leaf, size_t length)
{
    if (candidate->state_leaf.length == length && memcmp(candidate->state_leaf.data, leaf, length) == 0)
        return CL_OK;
    bool root = memcmp(candidate->summary.state_root.bytes, state->state_root.bytes, 32) != 0;
    (void)snprintf(rules->sentence, sizeof rules->sentence, "Block %llu: %s", (unsigned long long)state->height,
                   root ? "its state root is not the one that the rules make of its records." : "its state leaf is not the one that its records and the block before it make.");
    return CL_E_BLOCK_INVALID;
}

static enum cl_status take_state_leaf(struct cl_audit_rules *rules, const uint8_t *leaf, size_t length)
{
    struct cl_state_leaf state;
    struct cl_candidate_summary summary;
    struct cl_candidate *candidate = NULL;
    enum cl_status status = cl_state_leaf_decode(&state, leaf, length);
    (void)snprintf(rules->sentence, sizeof rules->sentence, "A leaf is neither a record nor a state leaf.");
    if (status != CL_OK)
        return status;
    (void)snprintf(rules->sentence, sizeof rules->sentence, "Block %llu: its time is not after that of the block before.", (unsigned long long)state.height);
    status = cl_candidate_new(&candidate, rules->ledger, NULL, state.time_ms);
    if (status == CL_OK)
        status = apply_records(rules, candidate, state.height);
    if (status == CL_OK)
        status = cl_candidate_seal(candidate, &summary);
    if (status == CL_OK)
        status = compare_leaf(rules, candidate, &state, leaf, length);
    if (status == CL_OK) /* views are not in the log; here they only have to ascend */
        status = cl_ledger_commit(rules->ledger, candidate, state.height, state.height - 1, NULL, 0);
    cl_candidate_free(candidate);
    drop_records(rules);
    return status;
}

enum cl_status cl_audit_rules_leaf(struct cl_audit_rules *rules, const char **sentence, const uint8_t *leaf, size_t length)
{
    bool record = length > 0 && leaf[0] == 0xd2;
    enum cl_status status = record ? take_record(rules, leaf, length) : take_state_leaf(rules, leaf, length);
    *sentence = rules->sentence;
    if (status == CL_E_STORE_IO || status == CL_E_STORE_CORRUPT || status == CL_E_MEMORY)
        *sentence = cl_status_sentence(status);
    return status;
}
