/* A final record with its place in the ledger, and its fields in JSON. */
#include "api_private.h"

#include "files.h"

#include <stdlib.h>
#include <string.h>

enum cl_status block_time_of(struct cl_ledger_view *view, uint64_t height, uint64_t *time_ms)
{
    struct cl_buffer block = { 0 };
    struct cl_stored_block stored;
    struct cl_state_leaf leaf;
    enum cl_status status = cl_view_block(view, &block, height);
    if (status == CL_OK) status = cl_stored_block_decode(&stored, block.data, block.length);
    if (status == CL_OK) status = cl_state_leaf_decode(&leaf, stored.state_leaf.data, stored.state_leaf.length);
    if (status == CL_OK) *time_ms = leaf.time_ms;
    cl_buffer_deinit(&block);
    return status;
}

/* What was final once and is no good record now is damage, whatever is wrong with it. */
static enum cl_status sound(enum cl_status status)
{
    return status == CL_OK || status == CL_E_MEMORY ? status : CL_E_STORE_CORRUPT;
}

static enum cl_status decode_stored(struct final_record *out, const struct cl_network_id *network)
{
    enum cl_status status = sound(cl_record_decode(&out->record, NULL, out->bytes.data, out->bytes.length, network));
    out->decoded = status == CL_OK;
    return status;
}

/* There no hash of the leaf is stored for cl_view_leaf to compare with, so its signature has to speak for it. */
static bool past_last_tile(struct cl_ledger_view *view, uint64_t log_index)
{
    struct cl_tip tip;
    return cl_view_tip(view, &tip) != CL_OK || log_index / CL_TILE_WIDTH >= tip.log_size / CL_TILE_WIDTH;
}

enum cl_status final_record_load(struct final_record *out, struct cl_ledger_view *view, const struct cl_network_id *network, uint64_t log_index)
{
    memset(out, 0, sizeof *out);
    out->log_index = log_index;
    enum cl_status status = cl_view_leaf(view, &out->bytes, log_index);
    if (status == CL_OK && (out->bytes.length == 0 || out->bytes.data[0] != 0xd2)) status = CL_E_NOT_FOUND; /* a state leaf */
    if (status == CL_OK) status = decode_stored(out, network);
    if (status == CL_OK && past_last_tile(view, log_index)) status = sound(cl_record_check_signature(&out->record));
    if (status == CL_OK) status = cl_view_block_of(view, &out->height, log_index);
    if (status == CL_OK) status = block_time_of(view, out->height, &out->block_time_ms);
    if (status != CL_OK) final_record_deinit(out);
    return status;
}

void final_record_deinit(struct final_record *record)
{
    if (record->decoded) cl_record_deinit(&record->record);
    record->decoded = false;
    cl_buffer_deinit(&record->bytes);
}

static json_t *objects_of(const struct cl_record *record)
{
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < record->entry_count; i++) {
        const struct cl_entry *entry = &record->entries[i];
        struct cl_object_id id;
        char text[65];
        if (entry->object_length == 16) cl_object_id_derive(&id, record->signer33, entry->object);
        else memcpy(id.bytes, entry->object, 32);
        hex_encode(text, id.bytes, 32);
        json_array_append_new(array, json_string(text));
    }
    return array;
}

json_t *record_json(const struct cl_record *record, uint64_t log_index, uint64_t height, uint64_t block_time_ms)
{
    json_t *object = json_pack("{s:I,s:I,s:I,s:s,s:i,s:I,s:o}", "log_index", (json_int_t)log_index, "height", (json_int_t)height, "block_time_ms",
                               (json_int_t)block_time_ms, "type", cl_record_type_name(record->type), "type_number", (int)record->type, "issued_at_ms",
                               (json_int_t)record->issued_at_ms, "objects", objects_of(record));
    if (object == NULL) return NULL;
    json_set_hex(object, "record_id", record->id.bytes, 32);
    json_set_hex(object, "leaf_hash", record->leaf_hash.bytes, 32);
    json_set_hex(object, "signer", record->signer33, 33);
    return object;
}
