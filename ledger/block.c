/* The bytes of blocks, votes and certificates (formats.cddl "blocks" and "agreement among nodes"). Pure: what they mean
   for the chain is ledger.c's business, what they mean for agreement is the node's. */
#include "block.h"

#include "cbor.h"
#include "consent/record.h"
#include "crypto.h"

#include <assert.h>
#include <stdlib.h>

#define STATE_LEAF_BYTES_MAX 256u /* nine items, none longer than a hash */

static_assert(CL_MEMBERS_MAX % 8 == 0, "a bitmap of voters has whole bytes");

static void read_version(struct cl_cbor_reader *reader)
{
    if (cl_cbor_uint(reader) != 1 && reader->status == CL_OK)
        cl_cbor_fail(reader, CL_E_VERSION);
}

enum cl_status cl_state_leaf_encode(struct cl_buffer *out, const struct cl_state_leaf *in)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 9);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_bytes(&writer, in->network.bytes, 32);
    cl_cbor_put_uint(&writer, in->epoch);
    cl_cbor_put_uint(&writer, in->height);
    cl_cbor_put_bytes(&writer, in->previous.bytes, 32);
    cl_cbor_put_bytes(&writer, in->member_set.bytes, 32);
    cl_cbor_put_bytes(&writer, in->state_root.bytes, 32);
    cl_cbor_put_uint(&writer, in->time_ms);
    cl_cbor_put_uint(&writer, in->record_count);
    return writer.status;
}

enum cl_status cl_state_leaf_decode(struct cl_state_leaf *out, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    memset(out, 0, sizeof *out);
    if (length > STATE_LEAF_BYTES_MAX)
        return CL_E_FORMAT;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_array_fixed(&reader, 9);
    read_version(&reader);
    cl_cbor_bytes_copy(&reader, out->network.bytes, 32);
    out->epoch = cl_cbor_uint(&reader);
    out->height = cl_cbor_uint(&reader);
    cl_cbor_bytes_copy(&reader, out->previous.bytes, 32);
    cl_cbor_bytes_copy(&reader, out->member_set.bytes, 32);
    cl_cbor_bytes_copy(&reader, out->state_root.bytes, 32);
    out->time_ms = cl_cbor_uint(&reader);
    out->record_count = cl_cbor_uint_at_most(&reader, CL_BLOCK_RECORDS_MAX);
    return cl_cbor_finish(&reader);
}

void cl_block_id_derive(struct cl_block_id *out, uint64_t leaves_before, const struct cl_hash *log_root,
                        const uint8_t *state_leaf, size_t length)
{
    struct cl_sha256 hash;
    uint8_t count[8];
    for (unsigned i = 0; i < 8; i++)
        count[i] = (uint8_t)(leaves_before >> (56 - 8 * i));
    cl_sha256_domain(&hash, "consent/v1 block");
    cl_sha256_update(&hash, count, sizeof count);
    cl_sha256_update(&hash, log_root->bytes, 32);
    cl_sha256_update(&hash, state_leaf, length);
    cl_sha256_final(&hash, out->bytes);
}

/* ---- votes and certificates */

static void put_block_or_null(struct cl_cbor_writer *writer, const struct cl_block_id *block)
{
    if (block != NULL)
        cl_cbor_put_bytes(writer, block->bytes, 32);
    else
        cl_cbor_put_null(writer);
}

/* The items that votes and certificates begin with. Only a nullify vote names no block. */
static void put_vote_head(struct cl_cbor_writer *writer, uint64_t epoch, enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block_or_null)
{
    cl_cbor_put_array(writer, 7);
    cl_cbor_put_uint(writer, 1);
    cl_cbor_put_uint(writer, epoch);
    cl_cbor_put_uint(writer, (uint64_t)kind);
    cl_cbor_put_uint(writer, view);
    put_block_or_null(writer, block_or_null);
}

static void read_vote_head(struct cl_cbor_reader *reader, uint64_t *epoch, enum cl_vote_kind *kind_out, uint64_t *view, bool *has_block, struct cl_block_id *block)
{
    cl_cbor_array_fixed(reader, 7);
    read_version(reader);
    *epoch = cl_cbor_uint(reader);
    uint64_t kind = cl_cbor_uint(reader);
    *view = cl_cbor_uint(reader);
    *has_block = !cl_cbor_null(reader);
    if (*has_block)
        cl_cbor_bytes_copy(reader, block->bytes, 32);
    else
        memset(block, 0, sizeof *block);
    switch (kind) {
    case CL_VOTE_PROPOSE: *kind_out = CL_VOTE_PROPOSE; break;
    case CL_VOTE_NOTARIZE: *kind_out = CL_VOTE_NOTARIZE; break;
    case CL_VOTE_NULLIFY: *kind_out = CL_VOTE_NULLIFY; break;
    case CL_VOTE_FINALIZE: *kind_out = CL_VOTE_FINALIZE; break;
    default: *kind_out = CL_VOTE_NULLIFY; cl_cbor_fail(reader, CL_E_VALUE); return;
    }
    if (*has_block != (*kind_out != CL_VOTE_NULLIFY))
        cl_cbor_fail(reader, CL_E_FORMAT);
}

enum cl_status cl_vote_signed_bytes(struct cl_buffer *out, const struct cl_network_id *network, uint64_t epoch,
                                    enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block_or_null)
{
    static const char domain[] = "consent/v1 vote"; /* its zero byte is signed too */
    struct cl_cbor_writer writer;
    assert((block_or_null == NULL) == (kind == CL_VOTE_NULLIFY));
    enum cl_status status = cl_buffer_append(out, domain, sizeof domain);
    if (status != CL_OK)
        return status;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 5);
    cl_cbor_put_bytes(&writer, network->bytes, 32);
    cl_cbor_put_uint(&writer, epoch);
    cl_cbor_put_uint(&writer, (uint64_t)kind);
    cl_cbor_put_uint(&writer, view);
    put_block_or_null(&writer, block_or_null);
    return writer.status;
}

enum cl_status cl_vote_encode(struct cl_buffer *out, const struct cl_vote *in)
{
    struct cl_cbor_writer writer;
    assert(in->has_block == (in->kind != CL_VOTE_NULLIFY) && in->voter < CL_MEMBERS_MAX);
    cl_cbor_writer_init(&writer, out);
    put_vote_head(&writer, in->epoch, in->kind, in->view, in->has_block ? &in->block : NULL);
    cl_cbor_put_uint(&writer, in->voter);
    cl_cbor_put_bytes(&writer, in->signature, 64);
    return writer.status;
}

enum cl_status cl_vote_decode(struct cl_vote *out, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    memset(out, 0, sizeof *out);
    cl_cbor_reader_init(&reader, data, length);
    read_vote_head(&reader, &out->epoch, &out->kind, &out->view, &out->has_block, &out->block);
    out->voter = (uint32_t)cl_cbor_uint_at_most(&reader, CL_MEMBERS_MAX - 1);
    cl_cbor_bytes_copy(&reader, out->signature, 64);
    return cl_cbor_finish(&reader);
}

static bool voter_set(const uint8_t *voters, size_t member)
{
    return (voters[member / 8] >> (member % 8) & 1) != 0;
}

static size_t voters_counted(const uint8_t *voters, size_t member_count)
{
    size_t count = 0;
    for (size_t member = 0; member < member_count; member++)
        count += voter_set(voters, member);
    return count;
}

enum cl_status cl_certificate_encode(struct cl_buffer *out, const struct cl_certificate *in)
{
    struct cl_cbor_writer writer;
    assert(in->has_block == (in->kind != CL_VOTE_NULLIFY));
    assert(in->member_count > 0 && in->member_count <= CL_MEMBERS_MAX);
    assert(in->vote_count > 0 && in->vote_count == voters_counted(in->voters, in->member_count));
    cl_cbor_writer_init(&writer, out);
    put_vote_head(&writer, in->epoch, in->kind, in->view, in->has_block ? &in->block : NULL);
    cl_cbor_put_bytes(&writer, in->voters, (in->member_count + 7) / 8);
    cl_cbor_put_array(&writer, in->vote_count);
    for (size_t i = 0; i < in->vote_count; i++)
        cl_cbor_put_bytes(&writer, in->signatures[i], 64);
    return writer.status;
}

/* The bytes tell the number of members only up to the next multiple of 8: that is what member_count becomes, and
   cl_certificate_check compares it with the members it is given. */
enum cl_status cl_certificate_decode(struct cl_certificate *out, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    memset(out, 0, sizeof *out);
    cl_cbor_reader_init(&reader, data, length);
    read_vote_head(&reader, &out->epoch, &out->kind, &out->view, &out->has_block, &out->block);
    struct cl_view voters = cl_cbor_bytes(&reader);
    if (voters.length <= sizeof out->voters && voters.length > 0)
        memcpy(out->voters, voters.data, voters.length);
    else
        cl_cbor_fail(&reader, CL_E_FORMAT);
    out->member_count = reader.status == CL_OK ? voters.length * 8 : 0;
    size_t count = cl_cbor_array(&reader);
    if (count == 0 || count > CL_MEMBERS_MAX || count != voters_counted(out->voters, out->member_count))
        cl_cbor_fail(&reader, CL_E_FORMAT);
    for (size_t i = 0; i < count && reader.status == CL_OK; i++)
        cl_cbor_bytes_copy(&reader, out->signatures[i], 64);
    out->vote_count = count;
    return cl_cbor_finish(&reader);
}

enum cl_status cl_certificate_check(const struct cl_certificate *certificate, const struct cl_network_id *network,
                                    const struct cl_member *members, size_t member_count)
{
    struct cl_buffer bytes = {0};
    enum cl_status status;
    size_t next = 0;
    assert(member_count > 0 && member_count <= CL_MEMBERS_MAX);
    if ((certificate->member_count + 7) / 8 != (member_count + 7) / 8)
        return CL_E_CERTIFICATE;
    for (size_t member = member_count; member < (member_count + 7) / 8 * 8; member++)
        if (voter_set(certificate->voters, member))
            return CL_E_CERTIFICATE;
    if (certificate->vote_count < cl_quorum(member_count) ||
        certificate->vote_count != voters_counted(certificate->voters, member_count) ||
        certificate->has_block != (certificate->kind != CL_VOTE_NULLIFY))
        return CL_E_CERTIFICATE;
    status = cl_vote_signed_bytes(&bytes, network, certificate->epoch, certificate->kind, certificate->view,
                                  certificate->has_block ? &certificate->block : NULL);
    for (size_t member = 0; member < member_count && status == CL_OK; member++) {
        if (!voter_set(certificate->voters, member))
            continue;
        if (!cl_ed25519_verify(members[member].vote, certificate->signatures[next], bytes.data, bytes.length))
            status = CL_E_CERTIFICATE;
        next++;
    }
    cl_buffer_deinit(&bytes);
    return status;
}

size_t cl_quorum(size_t member_count)
{
    assert(member_count > 0);
    return member_count - (member_count - 1) / 3;
}

/* ---- stored blocks and proposals */

enum cl_status cl_stored_block_encode(struct cl_buffer *out, const struct cl_stored_block *in)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 10);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_uint(&writer, in->epoch);
    cl_cbor_put_uint(&writer, in->view);
    cl_cbor_put_uint(&writer, in->parent_view);
    cl_cbor_put_uint(&writer, in->first_index);
    cl_cbor_put_uint(&writer, in->record_count);
    cl_cbor_put_bytes(&writer, in->id.bytes, 32);
    cl_cbor_put_bytes(&writer, in->state_leaf.data, in->state_leaf.length);
    cl_cbor_put_bytes(&writer, in->log_root.bytes, 32);
    if (in->certificate.length == 0)
        cl_cbor_put_null(&writer);
    else
        cl_cbor_put_raw(&writer, in->certificate.data, in->certificate.length);
    return writer.status;
}

/* An array of certificates or a single one stays as bytes: whoever uses it calls cl_certificate_decode. */
static struct cl_view read_array_bytes(struct cl_cbor_reader *reader)
{
    if (cl_cbor_peek(reader) != CL_CBOR_ARRAY)
        cl_cbor_fail(reader, CL_E_CBOR_TYPE);
    return cl_cbor_skip(reader);
}

enum cl_status cl_stored_block_decode(struct cl_stored_block *out, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    memset(out, 0, sizeof *out);
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_array_fixed(&reader, 10);
    read_version(&reader);
    out->epoch = cl_cbor_uint(&reader);
    out->view = cl_cbor_uint(&reader);
    out->parent_view = cl_cbor_uint(&reader);
    out->first_index = cl_cbor_uint(&reader);
    out->record_count = cl_cbor_uint_at_most(&reader, CL_BLOCK_RECORDS_MAX);
    cl_cbor_bytes_copy(&reader, out->id.bytes, 32);
    out->state_leaf = cl_cbor_bytes(&reader);
    cl_cbor_bytes_copy(&reader, out->log_root.bytes, 32);
    if (!cl_cbor_null(&reader))
        out->certificate = read_array_bytes(&reader);
    if (out->state_leaf.length > STATE_LEAF_BYTES_MAX)
        cl_cbor_fail(&reader, CL_E_FORMAT);
    return cl_cbor_finish(&reader);
}

enum cl_status cl_proposal_encode(struct cl_buffer *out, const struct cl_proposal *in)
{
    struct cl_cbor_writer writer;
    assert(in->leaf_count <= CL_BLOCK_RECORDS_MAX && in->justification.length > 0);
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 12);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_uint(&writer, in->epoch);
    cl_cbor_put_uint(&writer, in->view);
    cl_cbor_put_bytes(&writer, in->parent.bytes, 32);
    cl_cbor_put_uint(&writer, in->parent_view);
    cl_cbor_put_uint(&writer, in->height);
    cl_cbor_put_uint(&writer, in->time_ms);
    cl_cbor_put_array(&writer, in->leaf_count);
    for (size_t i = 0; i < in->leaf_count; i++)
        cl_cbor_put_bytes(&writer, in->leaves[i].bytes, 32);
    cl_cbor_put_uint(&writer, in->log_size);
    cl_cbor_put_bytes(&writer, in->log_root.bytes, 32);
    cl_cbor_put_bytes(&writer, in->state_root.bytes, 32);
    cl_cbor_put_raw(&writer, in->justification.data, in->justification.length);
    return writer.status;
}

/* The array's items, of which the reader has seen the head. They cannot be borrowed: each has its own CBOR head. */
static struct cl_leaf_hash *read_leaves(struct cl_cbor_reader *reader, size_t count)
{
    if (count > CL_BLOCK_RECORDS_MAX) {
        cl_cbor_fail(reader, CL_E_BLOCK_SIZE);
        return NULL;
    }
    struct cl_leaf_hash *leaves = malloc((count > 0 ? count : 1) * sizeof *leaves);
    if (leaves == NULL) {
        cl_cbor_fail(reader, CL_E_MEMORY);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        cl_cbor_bytes_copy(reader, leaves[i].bytes, 32);
    return leaves;
}

enum cl_status cl_proposal_decode(struct cl_proposal *out, struct cl_leaf_hash **leaves, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    memset(out, 0, sizeof *out);
    *leaves = NULL;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_array_fixed(&reader, 12);
    read_version(&reader);
    out->epoch = cl_cbor_uint(&reader);
    out->view = cl_cbor_uint(&reader);
    cl_cbor_bytes_copy(&reader, out->parent.bytes, 32);
    out->parent_view = cl_cbor_uint(&reader);
    out->height = cl_cbor_uint(&reader);
    out->time_ms = cl_cbor_uint(&reader);
    size_t count = cl_cbor_array(&reader);
    struct cl_leaf_hash *hashes = read_leaves(&reader, count);
    out->log_size = cl_cbor_uint(&reader);
    cl_cbor_bytes_copy(&reader, out->log_root.bytes, 32);
    cl_cbor_bytes_copy(&reader, out->state_root.bytes, 32);
    out->justification = read_array_bytes(&reader);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status != CL_OK) {
        free(hashes);
        return status;
    }
    out->leaf_count = count;
    out->leaves = hashes;
    *leaves = hashes;
    return CL_OK;
}
