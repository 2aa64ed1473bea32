/* Receipts: a record is in the log, shown offline, in two forms that others' tools read: the text form of C2SP
   tlog-proof with a whole checkpoint in it, and the COSE form of RFC 9942, signed over the root alone. */
#include <inttypes.h>
#include <stdio.h>

#include "base64.h"
#include "cbor.h"
#include "consent/proof.h"
#include "consent/record.h"
#include "crypto.h"
#include "log.h"
#include "note.h"

#define FIRST_LINE "c2sp.org/tlog-proof@v1\n"
#define INDEX_WORD "index "
#define HASH_TEXT CL_BASE64_LENGTH(32)

/* ---- .tlog-proof */

enum cl_status cl_tlog_proof_encode(struct cl_buffer *out, uint64_t index, const struct cl_hash *path, size_t count, const uint8_t *checkpoint, size_t checkpoint_length)
{
    char text[64];
    size_t start = out->length;
    if (count > CL_LOG_PATH_MAX || checkpoint_length > CL_CHECKPOINT_BYTES_MAX)
        return CL_E_ARGUMENT;
    int written = snprintf(text, sizeof text, FIRST_LINE INDEX_WORD "%" PRIu64 "\n", index);
    assert(written > 0 && (size_t)written < sizeof text);
    enum cl_status status = cl_buffer_append(out, text, (size_t)written);
    for (size_t i = 0; i < count && status == CL_OK; i++) {
        cl_base64_encode(text, path[i].bytes, 32);
        text[HASH_TEXT] = '\n';
        status = cl_buffer_append(out, text, HASH_TEXT + 1);
    }
    if (status == CL_OK)
        status = cl_buffer_append(out, "\n", 1);
    if (status == CL_OK)
        status = cl_buffer_append(out, checkpoint, checkpoint_length);
    if (status != CL_OK)
        out->length = start;
    return status;
}

/* Takes a prefix off the front; false and untouched where it is another. */
static bool take(struct cl_view *rest, const char *prefix)
{
    size_t length = strlen(prefix);
    if (rest->length < length || memcmp(rest->data, prefix, length) != 0)
        return false;
    rest->data += length;
    rest->length -= length;
    return true;
}

/* "index N\n" */
static bool take_index(uint64_t *index, struct cl_view *rest)
{
    struct cl_view digits;
    return take(rest, INDEX_WORD) && cl_note_next_line(&digits, rest) && cl_note_decimal(index, digits);
}

/* "extra <base64>\n": opaque and not authenticated, so only its form is looked at. */
static bool skip_extra(struct cl_view *rest)
{
    struct cl_view extra;
    if (!take(rest, "extra "))
        return true;
    return cl_note_next_line(&extra, rest) && cl_base64_decode(NULL, 0, NULL, (const char *)extra.data, extra.length);
}

/* The lines before the checkpoint; rest is left at the checkpoint. */
static bool take_head(uint64_t *index, struct cl_hash path[CL_LOG_PATH_MAX], size_t *count, struct cl_view *rest)
{
    *count = 0;
    if (!take(rest, FIRST_LINE) || !skip_extra(rest) || !take_index(index, rest))
        return false;
    while (!take(rest, "\n")) {
        struct cl_view hash;
        size_t decoded;
        if (*count == CL_LOG_PATH_MAX || !cl_note_next_line(&hash, rest) ||
            !cl_base64_decode(path[*count].bytes, 32, &decoded, (const char *)hash.data, hash.length) || decoded != 32)
            return false;
        ++*count;
    }
    return true;
}

enum cl_status cl_tlog_proof_verify(struct cl_receipt_report *report, const uint8_t *proof, size_t length, const uint8_t *leaf_bytes, size_t leaf_length, const struct cl_policy *policy)
{
    struct cl_checkpoint checkpoint;
    struct cl_hash path[CL_LOG_PATH_MAX];
    struct cl_view rest = {proof, length};
    size_t count;
    memset(report, 0, sizeof *report);
    if (length > CL_PROOF_BYTES_MAX)
        return CL_E_BOUND;
    if (!take_head(&report->index, path, &count, &rest))
        return CL_E_FORMAT;
    enum cl_status status = cl_checkpoint_decode(&checkpoint, rest.data, rest.length);
    if (status != CL_OK)
        return status;
    report->size = checkpoint.size;
    status = cl_policy_check(&report->quorum, policy, &checkpoint);
    if (status != CL_OK)
        return status;
    cl_log_leaf_hash(&report->leaf, leaf_bytes, leaf_length);
    return cl_log_check_inclusion(&checkpoint.root, checkpoint.size, report->index, &report->leaf, path, count);
}

/* ---- COSE receipts */

#define ALGORITHM_EDDSA (-8)
#define HEADER_ALGORITHM 1u
#define HEADER_KEY_ID 4u
#define HEADER_VDS 395u       /* verifiable data structure */
#define VDS_RFC9162_SHA256 1u
#define HEADER_VDP 396u       /* verifiable data structure proofs */
#define VDP_INCLUSION (-1)
#define KEY_ID_BYTES_MAX 256u

/* Sig_structure (RFC 9052 4.4) with the root as payload and no external data. */
static enum cl_status signed_bytes(struct cl_buffer *out, struct cl_view protected_header, const struct cl_hash *root)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 4);
    cl_cbor_put_text(&writer, "Signature1", 10);
    cl_cbor_put_bytes(&writer, protected_header.data, protected_header.length);
    cl_cbor_put_bytes(&writer, "", 0);
    cl_cbor_put_bytes(&writer, root->bytes, 32);
    return writer.status;
}

static enum cl_status encode_protected(struct cl_buffer *out, const uint8_t *key_id, size_t key_id_length)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_map(&writer, 3);
    cl_cbor_put_uint(&writer, HEADER_ALGORITHM);
    cl_cbor_put_int(&writer, ALGORITHM_EDDSA);
    cl_cbor_put_uint(&writer, HEADER_KEY_ID);
    cl_cbor_put_bytes(&writer, key_id, key_id_length);
    cl_cbor_put_uint(&writer, HEADER_VDS);
    cl_cbor_put_uint(&writer, VDS_RFC9162_SHA256);
    return writer.status;
}

/* [size, index, [path]] */
static enum cl_status encode_inclusion(struct cl_buffer *out, uint64_t size, uint64_t index, const struct cl_hash *path, size_t count)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 3);
    cl_cbor_put_uint(&writer, size);
    cl_cbor_put_uint(&writer, index);
    cl_cbor_put_array(&writer, count);
    for (size_t i = 0; i < count; i++)
        cl_cbor_put_bytes(&writer, path[i].bytes, 32);
    return writer.status;
}

enum cl_status cl_cose_receipt_encode(struct cl_buffer *out, uint64_t size, uint64_t index, const struct cl_hash *path, size_t count, const struct cl_hash *root, const uint8_t log_seed32[32], const uint8_t *key_id, size_t key_id_length)
{
    struct cl_buffer header = {0}, inclusion = {0}, message = {0};
    struct cl_cbor_writer writer;
    uint8_t signature[64];
    size_t start = out->length;
    if (count > CL_LOG_PATH_MAX || index >= size || key_id_length > KEY_ID_BYTES_MAX)
        return CL_E_ARGUMENT;
    enum cl_status status = encode_protected(&header, key_id, key_id_length);
    if (status == CL_OK)
        status = encode_inclusion(&inclusion, size, index, path, count);
    if (status == CL_OK)
        status = signed_bytes(&message, (struct cl_view){header.data, header.length}, root);
    if (status != CL_OK)
        goto out;
    cl_ed25519_sign(signature, log_seed32, message.data, message.length);
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_tag(&writer, 18);
    cl_cbor_put_array(&writer, 4);
    cl_cbor_put_bytes(&writer, header.data, header.length);
    cl_cbor_put_map(&writer, 1);
    cl_cbor_put_uint(&writer, HEADER_VDP);
    cl_cbor_put_map(&writer, 1);
    cl_cbor_put_int(&writer, VDP_INCLUSION);
    cl_cbor_put_array(&writer, 1);
    cl_cbor_put_bytes(&writer, inclusion.data, inclusion.length);
    cl_cbor_put_null(&writer);
    cl_cbor_put_bytes(&writer, signature, sizeof signature);
    status = writer.status;
    if (status != CL_OK)
        out->length = start;
out:
    cl_buffer_deinit(&header);
    cl_buffer_deinit(&inclusion);
    cl_buffer_deinit(&message);
    return status;
}

/* The protected header: EdDSA, a key id, the RFC 6962 tree; nothing else, since all in it would be critical to us. */
static enum cl_status check_protected(struct cl_view header)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, header.data, header.length);
    size_t entries = cl_cbor_map(&reader);
    if (entries != 2 && entries != 3)
        cl_cbor_fail(&reader, CL_E_FORMAT);
    if (cl_cbor_uint(&reader) != HEADER_ALGORITHM || cl_cbor_int(&reader) != ALGORITHM_EDDSA)
        cl_cbor_fail(&reader, CL_E_FORMAT);
    if (entries == 3) {
        if (cl_cbor_uint(&reader) != HEADER_KEY_ID || cl_cbor_bytes(&reader).length > KEY_ID_BYTES_MAX)
            cl_cbor_fail(&reader, CL_E_FORMAT);
    }
    if (cl_cbor_uint(&reader) != HEADER_VDS || cl_cbor_uint(&reader) != VDS_RFC9162_SHA256)
        cl_cbor_fail(&reader, CL_E_FORMAT);
    return cl_cbor_finish(&reader);
}

static enum cl_status read_inclusion(uint64_t *size, uint64_t *index, struct cl_hash path[CL_LOG_PATH_MAX], size_t *count, struct cl_view inclusion)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, inclusion.data, inclusion.length);
    cl_cbor_array_fixed(&reader, 3);
    *size = cl_cbor_uint(&reader);
    *index = cl_cbor_uint(&reader);
    *count = cl_cbor_array(&reader);
    if (*count > CL_LOG_PATH_MAX) {
        cl_cbor_fail(&reader, CL_E_BOUND);
        *count = 0;
    }
    for (size_t i = 0; i < *count; i++) {
        const uint8_t *hash = cl_cbor_bytes_fixed(&reader, 32);
        if (hash == NULL)
            break;
        memcpy(path[i].bytes, hash, 32);
    }
    return cl_cbor_finish(&reader);
}

enum cl_status cl_cose_receipt_verify(uint64_t *index, uint64_t *size, const uint8_t *receipt, size_t length, const uint8_t *leaf_bytes, size_t leaf_length, const uint8_t log_public32[32])
{
    struct cl_cbor_reader reader;
    struct cl_buffer message = {0};
    struct cl_hash path[CL_LOG_PATH_MAX], root;
    struct cl_leaf_hash leaf;
    size_t count = 0;
    *index = *size = 0;
    if (length > CL_PROOF_BYTES_MAX)
        return CL_E_BOUND;
    cl_cbor_reader_init(&reader, receipt, length);
    if (cl_cbor_tag(&reader) != 18)
        cl_cbor_fail(&reader, CL_E_FORMAT);
    cl_cbor_array_fixed(&reader, 4);
    struct cl_view header = cl_cbor_bytes(&reader);
    if (cl_cbor_map(&reader) != 1 || cl_cbor_uint(&reader) != HEADER_VDP || cl_cbor_map(&reader) != 1 ||
        cl_cbor_int(&reader) != VDP_INCLUSION)
        cl_cbor_fail(&reader, CL_E_FORMAT);
    cl_cbor_array_fixed(&reader, 1);
    struct cl_view inclusion = cl_cbor_bytes(&reader);
    if (!cl_cbor_null(&reader)) /* detached: the root is computed, never taken from the file */
        cl_cbor_fail(&reader, CL_E_FORMAT);
    const uint8_t *signature = cl_cbor_bytes_fixed(&reader, 64);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK)
        status = check_protected(header);
    if (status == CL_OK)
        status = read_inclusion(size, index, path, &count, inclusion);
    if (status != CL_OK)
        return status;
    cl_log_leaf_hash(&leaf, leaf_bytes, leaf_length);
    /* a receipt carries no root to compare with, only a signature over it */
    status = cl_log_root_of_path(&root, *size, *index, &leaf, path, count);
    if (status == CL_OK)
        status = signed_bytes(&message, header, &root);
    if (status == CL_OK && !cl_ed25519_verify(log_public32, signature, message.data, message.length))
        status = CL_E_SIGNATURE;
    cl_buffer_deinit(&message);
    return status;
}
