/* The vote log's reader, and the decoders behind its entries. Twice: the bytes as they are, and entries that the input describes, written with their
   checksums, then cut or damaged in one byte. A torn tail is forgiven, damage with good entries after it never, and what
   is given to the caller is what was written. */
#include "votelog.h"

#include "block.h"
#include "cbor.h"
#include "consent/record.h"
#include "crypto.h"
#include "require.h"

struct seen { size_t count, bytes; struct cl_sha256 hash; };

static void encode_bar_again(uint64_t barred, const uint8_t *payload, size_t length)
{
    struct cl_buffer bytes = {0};
    require(votelog_bar_encode(&bytes, barred) == CL_OK && bytes.length == length && memcmp(bytes.data, payload, length) == 0);
    cl_buffer_deinit(&bytes);
}

/* What the node does with an entry once it is read. */
static void decode(enum votelog_type type, const uint8_t *payload, size_t length)
{
    static struct cl_certificate certificate;
    uint64_t barred;
    struct cl_vote vote;
    struct cl_proposal proposal;
    struct cl_leaf_hash *leaves = NULL;
    if (type == VOTELOG_VOTE)
        (void)!cl_vote_decode(&vote, payload, length);
    else if (type == VOTELOG_BAR && votelog_bar_decode(&barred, payload, length) == CL_OK)
        encode_bar_again(barred, payload, length);
    else if (type == VOTELOG_CERTIFICATE)
        (void)!cl_certificate_decode(&certificate, payload, length);
    else if (type == VOTELOG_PROPOSAL && cl_proposal_decode(&proposal, &leaves, payload, length) == CL_OK)
        free(leaves);
}

static enum cl_status note(void *context, enum votelog_type type, const uint8_t *payload, size_t length)
{
    struct seen *seen = context;
    uint8_t byte = (uint8_t)type;
    require(length > 0 && type >= VOTELOG_PROPOSAL && type <= VOTELOG_BAR && type != VOTELOG_START);
    decode(type, payload, length);
    cl_sha256_update(&seen->hash, &byte, 1);
    cl_sha256_update(&seen->hash, payload, length);
    seen->count++;
    seen->bytes += 9 + length;
    return CL_OK;
}

static enum cl_status scan(struct seen *seen, size_t *good, uint8_t digest[32], const uint8_t *data, size_t size)
{
    struct votelog_start start;
    memset(seen, 0, sizeof *seen);
    cl_sha256_init(&seen->hash);
    enum cl_status status = votelog_scan(good, &start, data, size, NULL, note, seen);
    cl_sha256_final(&seen->hash, digest);
    require(*good <= size);
    return status;
}

static void append(struct cl_buffer *out, uint8_t type, const uint8_t *payload, size_t length)
{
    uint8_t header[9];
    uint32_t crc = cl_crc32c(type, payload, length);
    for (unsigned i = 0; i < 4; i++) {
        header[i] = (uint8_t)(length >> (8 * i));
        header[4 + i] = (uint8_t)(crc >> (8 * i));
    }
    header[8] = type;
    require(cl_buffer_append(out, header, sizeof header) == CL_OK && cl_buffer_append(out, payload, length) == CL_OK);
}

static void append_start(struct cl_buffer *out)
{
    static const uint8_t network[32];
    struct cl_buffer payload = {0};
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, &payload);
    cl_cbor_put_array(&writer, 4);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_bytes(&writer, network, 32);
    cl_cbor_put_uint(&writer, 3);
    cl_cbor_put_uint(&writer, 1);
    require(cl_buffer_append(out, "CLVOTE01", 8) == CL_OK);
    append(out, VOTELOG_START, payload.data, payload.length);
    cl_buffer_deinit(&payload);
}

static void append_own_vote(struct cl_buffer *out)
{
    struct cl_buffer payload = {0};
    const struct cl_vote vote = {.epoch = 3, .view = 7, .kind = CL_VOTE_NULLIFY, .voter = 1};
    require(cl_vote_encode(&payload, &vote) == CL_OK);
    append(out, VOTELOG_VOTE, payload.data, payload.length);
    cl_buffer_deinit(&payload);
}

/* Each entry: a byte for the type, one for the length, then that much; at last a vote of this member, as after all that a
   node does. Returns: where that begins. */
static size_t build(struct cl_buffer *out, size_t *count, const uint8_t *data, size_t size)
{
    static const uint8_t types[] = {VOTELOG_PROPOSAL, VOTELOG_VOTE, VOTELOG_RECORD, VOTELOG_CERTIFICATE, VOTELOG_BAR};
    append_start(out);
    for (*count = 0; size > 2; ++*count) {
        uint8_t type = types[data[0] % sizeof types];
        size_t length = 1 + data[1] % (size - 2);
        if (type == VOTELOG_BAR && length > 16) length = 16;
        append(out, type, data + 2, length);
        data += 2 + length;
        size -= 2 + length;
    }
    size_t last = out->length;
    append_own_vote(out);
    ++*count;
    return last;
}

static void tails_are_cut_and_damage_is_seen(const uint8_t *data, size_t size)
{
    struct cl_buffer log = {0};
    struct seen whole, part;
    uint8_t digest[32], other[32];
    size_t good, count, where = (size_t)data[0] << 8 | data[1];
    size_t last = build(&log, &count, data + 2, size - 2);
    require(scan(&whole, &good, digest, log.data, log.length) == CL_OK && good == log.length && whole.count == count);
    size_t cut = last + where % (log.length - last);
    require(scan(&part, &good, other, log.data, cut) == CL_OK && good == last && part.count == count - 1);
    where %= log.length;
    log.data[where] ^= (uint8_t)(data[2] | 1);
    enum cl_status status = scan(&part, &good, other, log.data, log.length);
    require(status != CL_OK || (part.count == count - 1 && good == last && where >= last)); /* the last one, torn */
    cl_buffer_deinit(&log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen;
    uint8_t digest[32];
    size_t good;
    if (scan(&seen, &good, digest, data, size) == CL_OK) {
        struct seen again;
        uint8_t other[32];
        size_t same;
        require(good > seen.bytes);
        require(scan(&again, &same, other, data, good) == CL_OK && same == good && memcmp(digest, other, 32) == 0);
    }
    if (size > 4)
        tails_are_cut_and_damage_is_seen(data, size);
    return 0;
}
