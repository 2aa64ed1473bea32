/* An auditor's memory: the frontier of the log, the last block, and the last checkpoint that was seen.

   audit-file = [ 1, "consent-audit", network_id: hash, size: uint, [ *64 peak: hash ], block id: hash, height: uint,
                  records: uint, time: ms, checkpoint: bstr ]        peaks: one for each set bit of size, lowest first */
#include "consent/audit.h"
#include "block.h"
#include "cbor.h"
#include "log.h"

#include <stdlib.h>

#define MAGIC "consent-audit"

struct cl_audit {
    struct cl_network_id network;
    struct cl_log_frontier frontier;
    bool block_known;
    struct cl_block_id block;
    uint64_t height, records, time_ms, records_since;
    struct cl_buffer note;
};

enum cl_status cl_audit_new(struct cl_audit **out, const struct cl_network_id *network)
{
    struct cl_audit *audit = calloc(1, sizeof *audit);
    if (audit == NULL)
        return CL_E_MEMORY;
    audit->network = *network;
    cl_log_frontier_init(&audit->frontier);
    *out = audit;
    return CL_OK;
}

void cl_audit_free(struct cl_audit *audit)
{
    if (audit == NULL)
        return;
    cl_buffer_deinit(&audit->note);
    free(audit);
}

static enum cl_status audit_record(struct cl_audit *audit, const char **sentence, const uint8_t *leaf, size_t length)
{
    struct cl_record *record = calloc(1, sizeof *record);
    if (record == NULL)
        return CL_E_MEMORY;
    enum cl_status status = cl_record_decode(record, NULL, leaf, length, &audit->network);
    *sentence = "A record does not have the form of a record.";
    if (status == CL_OK) {
        *sentence = "A record's signature does not hold.";
        status = cl_record_check_signature(record);
        cl_record_deinit(record);
    }
    free(record);
    audit->records_since++;
    return status;
}

/* ledger.md: a block's state leaf names the block before it, and how many records there were. */
static enum cl_status audit_state_leaf(struct cl_audit *audit, const char **sentence, const uint8_t *leaf, size_t length)
{
    struct cl_state_leaf state;
    struct cl_hash root;
    static const struct cl_block_id none;
    enum cl_status status = cl_state_leaf_decode(&state, leaf, length);
    *sentence = "A leaf is neither a record nor a state leaf.";
    if (status != CL_OK)
        return status;
    *sentence = "A state leaf is of another network.";
    if (memcmp(state.network.bytes, audit->network.bytes, 32) != 0)
        return CL_E_NETWORK;
    *sentence = "A block does not follow the one before it.";
    if (state.height != (audit->block_known ? audit->height + 1 : 0) || memcmp(state.previous.bytes, audit->block_known ? audit->block.bytes : none.bytes, 32) != 0)
        return CL_E_BLOCK_INVALID;
    *sentence = "A block counts its records wrongly.";
    if (state.record_count != audit->records_since)
        return CL_E_BLOCK_INVALID;
    *sentence = "A block's time is before that of the one before it.";
    if (audit->block_known && state.time_ms < audit->time_ms)
        return CL_E_BLOCK_INVALID;
    cl_log_frontier_root(&root, &audit->frontier);
    cl_block_id_derive(&audit->block, audit->frontier.size, &root, leaf, length);
    audit->block_known = true;
    audit->height = state.height;
    audit->time_ms = state.time_ms;
    audit->records += audit->records_since;
    audit->records_since = 0;
    return CL_OK;
}

enum cl_status cl_audit_leaf(struct cl_audit *audit, const char **sentence, const uint8_t *leaf, size_t length)
{
    *sentence = "The log is longer than any log can be.";
    if (audit->frontier.size == CL_LOG_SIZE_MAX)
        return CL_E_BOUND;
    /* A record begins with tag 18, a state leaf with the head of an array. */
    bool record = length > 0 && leaf[0] == 0xd2;
    enum cl_status status = record ? audit_record(audit, sentence, leaf, length) : audit_state_leaf(audit, sentence, leaf, length);
    if (status == CL_OK) {
        struct cl_leaf_hash hash;
        cl_log_leaf_hash(&hash, leaf, length);
        cl_log_frontier_append(&audit->frontier, &hash);
    }
    return status;
}

enum cl_status cl_audit_checkpoint(struct cl_audit *audit, const struct cl_checkpoint *checkpoint, const uint8_t *note, size_t length)
{
    struct cl_hash root;
    struct cl_buffer copy = {0};
    if (checkpoint->size != audit->frontier.size || audit->records_since != 0)
        return CL_E_PENDING;
    cl_log_frontier_root(&root, &audit->frontier);
    if (memcmp(root.bytes, checkpoint->root.bytes, 32) != 0)
        return CL_E_FORK;
    enum cl_status status = cl_buffer_append(&copy, note, length);
    if (status != CL_OK)
        return status;
    cl_buffer_deinit(&audit->note);
    audit->note = copy;
    return CL_OK;
}

void cl_audit_report(struct cl_audit_report *out, const struct cl_audit *audit)
{
    *out = (struct cl_audit_report){.size = audit->frontier.size, .height = audit->height, .records = audit->records + audit->records_since, .time_ms = audit->time_ms, .note = {audit->note.data, audit->note.length}};
    cl_log_frontier_root(&out->root, &audit->frontier);
}

static size_t bits_set(uint64_t value)
{
    size_t count = 0;
    for (; value != 0; value &= value - 1)
        count++;
    return count;
}

enum cl_status cl_audit_encode(struct cl_buffer *out, const struct cl_audit *audit)
{
    struct cl_cbor_writer writer;
    if (audit->records_since != 0 || !audit->block_known)
        return CL_E_PENDING;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_file_head(&writer, 10, MAGIC);
    cl_cbor_put_bytes(&writer, audit->network.bytes, 32);
    cl_cbor_put_uint(&writer, audit->frontier.size);
    cl_cbor_put_array(&writer, bits_set(audit->frontier.size));
    for (unsigned i = 0; i < CL_LOG_PATH_MAX; i++)
        if ((audit->frontier.size >> i & 1u) != 0)
            cl_cbor_put_bytes(&writer, audit->frontier.peaks[i].bytes, 32);
    cl_cbor_put_bytes(&writer, audit->block.bytes, 32);
    cl_cbor_put_uint(&writer, audit->height);
    cl_cbor_put_uint(&writer, audit->records);
    cl_cbor_put_uint(&writer, audit->time_ms);
    cl_cbor_put_bytes(&writer, audit->note.data, audit->note.length);
    return writer.status;
}

static enum cl_status read_audit(struct cl_audit *audit, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, data, length);
    struct cl_network_id network;
    cl_cbor_file_head(&reader, 10, MAGIC);
    cl_cbor_bytes_copy(&reader, network.bytes, 32);
    audit->frontier.size = cl_cbor_uint_at_most(&reader, CL_LOG_SIZE_MAX);
    size_t peaks = cl_cbor_array(&reader);
    if (reader.status == CL_OK && peaks != bits_set(audit->frontier.size))
        return CL_E_FORMAT;
    for (unsigned i = 0; i < CL_LOG_PATH_MAX && reader.status == CL_OK; i++)
        if ((audit->frontier.size >> i & 1u) != 0)
            cl_cbor_bytes_copy(&reader, audit->frontier.peaks[i].bytes, 32);
    cl_cbor_bytes_copy(&reader, audit->block.bytes, 32);
    audit->height = cl_cbor_uint(&reader);
    audit->records = cl_cbor_uint(&reader);
    audit->time_ms = cl_cbor_uint(&reader);
    struct cl_view note = cl_cbor_bytes(&reader);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status != CL_OK)
        return status;
    if (memcmp(network.bytes, audit->network.bytes, 32) != 0)
        return CL_E_NETWORK;
    audit->block_known = true;
    return note.length == 0 ? CL_OK : cl_buffer_append(&audit->note, note.data, note.length);
}

enum cl_status cl_audit_decode(struct cl_audit **out, const uint8_t *data, size_t length, const struct cl_network_id *network)
{
    struct cl_audit *audit = NULL;
    enum cl_status status = cl_audit_new(&audit, network);
    if (status == CL_OK)
        status = read_audit(audit, data, length);
    if (status != CL_OK) {
        cl_audit_free(audit);
        return status;
    }
    *out = audit;
    return CL_OK;
}
