/* Keys and single values of the ledger's tables (tables.h). */
#include "ledger_internal.h"

#include "cbor.h"
#include "crypto.h"

#include <assert.h>

#define CRC_BYTES 4u

void cl_put_u64(uint8_t out8[8], uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        out8[i] = (uint8_t)(value >> (56 - 8 * i));
}

uint64_t cl_get_u64(const uint8_t in8[8])
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value = value << 8 | in8[i];
    return value;
}

void cl_key_number(struct cl_table_key *key, enum cl_table table, uint64_t number)
{
    key->bytes[0] = (uint8_t)table;
    cl_put_u64(key->bytes + 1, number);
    key->length = 9;
}

void cl_key_hash(struct cl_table_key *key, enum cl_table table, const uint8_t hash32[32])
{
    key->bytes[0] = (uint8_t)table;
    memcpy(key->bytes + 1, hash32, 32);
    key->length = 33;
}

void cl_key_tile(struct cl_table_key *key, unsigned level, uint64_t number)
{
    assert(level < CL_TILE_LEVELS);
    key->bytes[0] = CL_TABLE_TILE;
    key->bytes[1] = (uint8_t)level;
    cl_put_u64(key->bytes + 2, number);
    key->length = 10;
}

void cl_key_party(struct cl_table_key *key, const uint8_t *party, size_t party_length, const uint8_t object32[32])
{
    assert(party_length == 32 || party_length == 33);
    key->bytes[0] = CL_TABLE_PARTY;
    key->bytes[1] = (uint8_t)party_length;
    memcpy(key->bytes + 2, party, party_length);
    memcpy(key->bytes + 2 + party_length, object32, 32);
    key->length = 2 + party_length + 32;
}

void cl_key_history(struct cl_table_key *key, const uint8_t object32[32], uint64_t log_index)
{
    key->bytes[0] = CL_TABLE_HISTORY;
    memcpy(key->bytes + 1, object32, 32);
    cl_put_u64(key->bytes + 33, ~log_index); /* newest first */
    key->length = 41;
}

void cl_key_meta(struct cl_table_key *key, const char *name)
{
    size_t length = strlen(name);
    assert(length < sizeof key->bytes - 1);
    key->bytes[0] = CL_TABLE_META;
    memcpy(key->bytes + 1, name, length);
    key->length = 1 + length;
}

enum cl_status cl_store_get_key(const struct cl_store *store, struct cl_buffer *out,
                                const struct cl_store_snapshot *snapshot, const struct cl_table_key *key)
{
    return store->get(store->context, out, snapshot, key->bytes, key->length);
}

static void crc_bytes(uint8_t out[CRC_BYTES], uint8_t table, const uint8_t *value, size_t length)
{
    uint32_t crc = cl_crc32c(table, value, length);
    for (unsigned i = 0; i < CRC_BYTES; i++)
        out[i] = (uint8_t)(crc >> (24 - 8 * i));
}

enum cl_status cl_store_get_checked(const struct cl_store *store, struct cl_buffer *out,
                                    const struct cl_store_snapshot *snapshot, const struct cl_table_key *key)
{
    uint8_t crc[CRC_BYTES];
    enum cl_status status = cl_store_get_key(store, out, snapshot, key);
    if (status != CL_OK)
        return status;
    if (out->length < CRC_BYTES)
        return CL_E_STORE_CORRUPT;
    out->length -= CRC_BYTES;
    crc_bytes(crc, key->bytes[0], out->data, out->length);
    return memcmp(crc, out->data + out->length, CRC_BYTES) == 0 ? CL_OK : CL_E_STORE_CORRUPT;
}

enum cl_status cl_batch_put_checked(const struct cl_store *store, struct cl_store_batch *batch,
                                    struct cl_buffer *scratch, const struct cl_table_key *key, const uint8_t *value,
                                    size_t length)
{
    uint8_t crc[CRC_BYTES];
    scratch->length = 0;
    enum cl_status status = cl_buffer_append(scratch, value, length);
    if (status != CL_OK)
        return status;
    crc_bytes(crc, key->bytes[0], value, length);
    status = cl_buffer_append(scratch, crc, CRC_BYTES);
    if (status == CL_OK)
        store->batch_put(batch, key->bytes, key->length, scratch->data, scratch->length);
    return status;
}

void cl_batch_put_key(const struct cl_store *store, struct cl_store_batch *batch, const struct cl_table_key *key,
                      const void *value, size_t length)
{
    static const uint8_t nothing;
    store->batch_put(batch, key->bytes, key->length, length > 0 ? value : &nothing, length);
}

static void read_hash(struct cl_cbor_reader *reader, uint8_t out32[32])
{
    const uint8_t *bytes = cl_cbor_bytes_fixed(reader, 32);
    if (bytes != NULL)
        memcpy(out32, bytes, 32);
}

/* What this program wrote, its CRC good, must be readable by it. */
static enum cl_status finish_stored(const struct cl_cbor_reader *reader)
{
    return cl_cbor_finish(reader) == CL_OK ? CL_OK : CL_E_STORE_CORRUPT;
}

enum cl_status cl_tip_encode(struct cl_buffer *out, const struct cl_tip *tip, uint64_t state_leaves)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 10);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_uint(&writer, tip->height);
    cl_cbor_put_uint(&writer, tip->time_ms);
    cl_cbor_put_uint(&writer, tip->log_size);
    cl_cbor_put_uint(&writer, tip->epoch);
    cl_cbor_put_uint(&writer, tip->view);
    cl_cbor_put_bytes(&writer, tip->block.bytes, 32);
    cl_cbor_put_bytes(&writer, tip->log_root.bytes, 32);
    cl_cbor_put_bytes(&writer, tip->state_root.bytes, 32);
    cl_cbor_put_uint(&writer, state_leaves);
    return writer.status;
}

enum cl_status cl_tip_decode(struct cl_tip *tip, uint64_t *state_leaves, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    memset(tip, 0, sizeof *tip);
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_array_fixed(&reader, 10);
    if (cl_cbor_uint(&reader) != 1)
        cl_cbor_fail(&reader, CL_E_VERSION);
    tip->height = cl_cbor_uint(&reader);
    tip->time_ms = cl_cbor_uint(&reader);
    tip->log_size = cl_cbor_uint(&reader);
    tip->epoch = cl_cbor_uint(&reader);
    tip->view = cl_cbor_uint(&reader);
    read_hash(&reader, tip->block.bytes);
    read_hash(&reader, tip->log_root.bytes);
    read_hash(&reader, tip->state_root.bytes);
    *state_leaves = cl_cbor_uint(&reader);
    enum cl_status status = finish_stored(&reader);
    return status == CL_OK && tip->log_size == 0 ? CL_E_STORE_CORRUPT : status; /* the genesis leaf is always there */
}

enum cl_status cl_tip_load(const struct cl_store *store, const struct cl_store_snapshot *snapshot, struct cl_tip *tip,
                           uint64_t *state_leaves)
{
    struct cl_buffer bytes = {0};
    struct cl_table_key key;
    cl_key_meta(&key, "tip");
    memset(tip, 0, sizeof *tip);
    enum cl_status status = cl_must_exist(cl_store_get_checked(store, &bytes, snapshot, &key));
    if (status == CL_OK)
        status = cl_tip_decode(tip, state_leaves, bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
    return status;
}

enum cl_status cl_kept_checkpoint_encode(struct cl_buffer *out, const struct cl_kept_checkpoint *in)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 4);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_uint(&writer, in->size);
    cl_cbor_put_bytes(&writer, in->root.bytes, 32);
    cl_cbor_put_bytes(&writer, in->note.data, in->note.length);
    return writer.status;
}

enum cl_status cl_kept_checkpoint_load(const struct cl_store *store, const struct cl_store_snapshot *snapshot,
                                       struct cl_buffer *bytes, struct cl_kept_checkpoint *out)
{
    struct cl_table_key key;
    struct cl_cbor_reader reader;
    memset(out, 0, sizeof *out);
    cl_key_meta(&key, "checkpoint");
    enum cl_status status = cl_store_get_checked(store, bytes, snapshot, &key);
    if (status != CL_OK)
        return status;
    cl_cbor_reader_init(&reader, bytes->data, bytes->length);
    cl_cbor_array_fixed(&reader, 4);
    if (cl_cbor_uint(&reader) != 1)
        cl_cbor_fail(&reader, CL_E_VERSION);
    out->size = cl_cbor_uint(&reader);
    read_hash(&reader, out->root.bytes);
    out->note = cl_cbor_bytes(&reader);
    return finish_stored(&reader);
}

enum cl_status cl_store_identify(const struct cl_store *store, const struct cl_network_id *network)
{
    struct cl_buffer bytes = {0};
    struct cl_table_key key;
    cl_key_meta(&key, "format");
    enum cl_status status = cl_store_get_checked(store, &bytes, NULL, &key);
    if (status != CL_OK)
        goto out;
    uint64_t version = 0;
    if (bytes.length != 4) {
        status = CL_E_STORE_CORRUPT;
        goto out;
    }
    for (unsigned i = 0; i < 4; i++)
        version = version << 8 | bytes.data[i];
    if (version != CL_STORE_FORMAT) {
        status = version > CL_STORE_FORMAT ? CL_E_STORE_NEWER : CL_E_STORE_CORRUPT;
        goto out;
    }
    cl_key_meta(&key, "network");
    status = cl_must_exist(cl_store_get_checked(store, &bytes, NULL, &key));
    if (status == CL_OK && bytes.length != 32)
        status = CL_E_STORE_CORRUPT;
    if (status == CL_OK && memcmp(bytes.data, network->bytes, 32) != 0)
        status = CL_E_STORE_OTHER;
out:
    cl_buffer_deinit(&bytes);
    return status;
}
