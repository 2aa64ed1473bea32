/* Writes .consent-proof files and the state proofs in them; proof.c reads them. */
#include "proof_build.h"

#include "cbor.h"

static void put_hashes(struct cl_cbor_writer *writer, const struct cl_hash *hashes, size_t count)
{
    cl_cbor_put_array(writer, count);
    for (size_t i = 0; i < count; i++)
        cl_cbor_put_bytes(writer, hashes[i].bytes, 32);
}

enum cl_status cl_proof_encode(struct cl_buffer *out, const struct cl_proof_parts *parts)
{
    struct cl_cbor_writer writer;
    size_t start = out->length;
    if (parts->record_count > CL_PROOF_RECORDS_MAX || parts->state_leaf_path.count > CL_LOG_PATH_MAX)
        return CL_E_BOUND;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 8);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_bytes(&writer, parts->checkpoint.data, parts->checkpoint.length);
    cl_cbor_put_bytes(&writer, parts->state_leaf.data, parts->state_leaf.length);
    put_hashes(&writer, parts->state_leaf_path.hashes, parts->state_leaf_path.count);
    cl_cbor_put_bytes(&writer, parts->object.bytes, 32);
    cl_cbor_put_raw(&writer, parts->state_proof.data, parts->state_proof.length);
    cl_cbor_put_array(&writer, parts->record_count);
    for (size_t i = 0; i < parts->record_count; i++) {
        const struct cl_proof_record *record = &parts->records[i];
        assert(record->path.count <= CL_LOG_PATH_MAX);
        cl_cbor_put_array(&writer, 3);
        cl_cbor_put_bytes(&writer, record->record.data, record->record.length);
        cl_cbor_put_uint(&writer, record->index);
        put_hashes(&writer, record->path.hashes, record->path.count);
    }
    cl_cbor_put_array(&writer, 0); /* boundaries: one epoch so far */
    if (writer.status == CL_OK && out->length - start > CL_PROOF_BYTES_MAX)
        writer.status = CL_E_BOUND;
    if (writer.status != CL_OK)
        out->length = start;
    return writer.status;
}

enum cl_status cl_state_proof_encode_existence(struct cl_buffer *out, const uint8_t *value, size_t length, const struct cl_hash *siblings, size_t count)
{
    struct cl_cbor_writer writer;
    assert(count <= CL_SMT_DEPTH);
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 3);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_bytes(&writer, value, length);
    put_hashes(&writer, siblings, count);
    return writer.status;
}

static void put_neighbour(struct cl_cbor_writer *writer, const struct cl_proof_neighbour *neighbour)
{
    if (neighbour == NULL) {
        cl_cbor_put_null(writer);
        return;
    }
    assert(neighbour->count <= CL_SMT_DEPTH);
    cl_cbor_put_array(writer, 3);
    cl_cbor_put_bytes(writer, neighbour->key_hash32, 32);
    cl_cbor_put_bytes(writer, neighbour->value_hash32, 32);
    put_hashes(writer, neighbour->siblings, neighbour->count);
}

enum cl_status cl_state_proof_encode_absence(struct cl_buffer *out, const struct cl_proof_neighbour *left, const struct cl_proof_neighbour *right)
{
    struct cl_cbor_writer writer;
    assert(left != NULL || right != NULL);
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 3);
    cl_cbor_put_uint(&writer, 2);
    put_neighbour(&writer, left);
    put_neighbour(&writer, right);
    return writer.status;
}
