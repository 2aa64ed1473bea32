/* The form of the evidence file. */
#include "evidence.h"

#include "block.h"
#include "cbor.h"

#include <stdlib.h>
#include <string.h>

static_assert(CONSENSUS_EVIDENCE_MAX * CL_MEMBERS_MAX == 512, "formats.cddl says so");
static_assert(EVIDENCE_PIECES_MAX * 2ull * 144ull + 64ull <= EVIDENCE_FILE_BYTES_MAX, "a full file fits: a vote takes 143 bytes at most");

enum cl_status evidence_encode(struct cl_buffer *out, const struct cl_network_id *network, const struct consensus_evidence *pieces, size_t count)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 3);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_bytes(&writer, network->bytes, 32);
    cl_cbor_put_array(&writer, count);
    enum cl_status status = writer.status;
    for (size_t i = 0; i < count && status == CL_OK; i++) {
        cl_cbor_put_array(&writer, 2);
        status = writer.status;
        if (status == CL_OK) status = cl_vote_encode(out, &pieces[i].first);
        if (status == CL_OK) status = cl_vote_encode(out, &pieces[i].second);
    }
    return status;
}

static void read_vote(struct cl_cbor_reader *reader, struct cl_vote *vote)
{
    struct cl_view bytes = cl_cbor_skip(reader);
    if (reader->status == CL_OK && cl_vote_decode(vote, bytes.data, bytes.length) != CL_OK) cl_cbor_fail(reader, CL_E_FORMAT);
}

enum cl_status evidence_decode(struct consensus_evidence **pieces, size_t *count, const struct cl_network_id *network, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    *pieces = NULL;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_array_fixed(&reader, 3);
    uint64_t version = cl_cbor_uint(&reader);
    if (reader.status == CL_OK && version != 1) return CL_E_STORE_NEWER;
    const uint8_t *of = cl_cbor_bytes_fixed(&reader, 32);
    *count = cl_cbor_array_at_most(&reader, EVIDENCE_PIECES_MAX);
    if (reader.status != CL_OK) return CL_E_STORE_CORRUPT;
    struct consensus_evidence *made = calloc(*count > 0 ? *count : 1, sizeof *made);
    if (made == NULL) return CL_E_MEMORY;
    for (size_t i = 0; i < *count && reader.status == CL_OK; i++) {
        cl_cbor_array_fixed(&reader, 2);
        read_vote(&reader, &made[i].first);
        read_vote(&reader, &made[i].second);
    }
    enum cl_status status = cl_cbor_finish(&reader) != CL_OK ? CL_E_STORE_CORRUPT : memcmp(of, network->bytes, 32) != 0 ? CL_E_STORE_OTHER : CL_OK;
    if (status == CL_OK) *pieces = made;
    else free(made);
    return status;
}

const char *evidence_word(enum cl_vote_kind kind)
{
    switch (kind) {
    case CL_VOTE_PROPOSE: return "propose";
    case CL_VOTE_NOTARIZE: return "notarize";
    case CL_VOTE_NULLIFY: return "nullify";
    case CL_VOTE_FINALIZE: return "finalize";
    }
    return "";
}
