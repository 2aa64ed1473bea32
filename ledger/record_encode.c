/* Records of one's own: draft to payload and digest, signature to record, and the ids and hashes in them. What
   comes out is read back by the decoder, so that nothing is signed that a node would refuse for its form. */
#include "record_internal.h"

#include "cbor.h"
#include "crypto.h"

#include <stdlib.h>

size_t cl_record_length(size_t payload_length)
{
    /* tag, array head, protected with its head, empty map, payload with its head, signature with its head */
    uint8_t head[CL_CBOR_HEAD_MAX];
    return 1 + 1 + 2 + CL_RECORD_PROTECTED_LENGTH + 1 + cl_cbor_head(head, CL_CBOR_BYTES, payload_length) +
           payload_length + 2 + 64;
}

static bool one_of(size_t length, size_t a, size_t b, size_t c)
{
    return length == a || length == b || length == c;
}

/* What the decoder cannot find out, because the bytes would not even be read: pointers and lengths as they must be. */
static bool entry_usable(const struct cl_entry *entry)
{
    uint32_t present = entry->present;
    if ((present & 1u) || present >> 16 || !(present & CL_HAS(1))) return false;
    const uint8_t *const pointers[16] = {
        [1] = entry->object,   [2] = entry->prev, [3] = entry->commitment, [6] = entry->audience,
        [7] = entry->opening,  [8] = entry->ref,  [12] = entry->key,       [13] = entry->party,
        [15] = entry->recovery,
    };
    const uint32_t borrowed = CL_HAS(1) | CL_HAS(2) | CL_HAS(3) | CL_HAS(6) | CL_HAS(7) | CL_HAS(8) | CL_HAS(12) |
                              CL_HAS(13) | CL_HAS(15);
    for (unsigned key = 1; key < 16; key++)
        if ((present & borrowed & CL_HAS(key)) && pointers[key] == NULL) return false;
    if (!one_of(entry->object_length, 16, 32, 32)) return false;
    if ((present & CL_HAS(7)) && !one_of(entry->opening_length, 32, 33, 64)) return false;
    if ((present & CL_HAS(12)) && !one_of(entry->key_length, 32, 33, 33)) return false;
    if ((present & CL_HAS(6)) && !one_of(entry->audience_kind, CL_AUDIENCE_HASH, CL_AUDIENCE_TOKEN, CL_AUDIENCE_TOKEN))
        return false;
    return true;
}

static void put_value(struct cl_cbor_writer *writer, const struct cl_entry *entry, unsigned key)
{
    switch (key) {
    case 1: cl_cbor_put_bytes(writer, entry->object, entry->object_length); break;
    case 2: cl_cbor_put_bytes(writer, entry->prev, 32); break;
    case 3: cl_cbor_put_bytes(writer, entry->commitment, 32); break;
    case 4: cl_cbor_put_uint(writer, entry->not_before); break;
    case 5: cl_cbor_put_uint(writer, entry->not_after); break;
    case 6:
        cl_cbor_put_array(writer, 2);
        cl_cbor_put_uint(writer, entry->audience_kind);
        cl_cbor_put_bytes(writer, entry->audience, entry->audience_kind == CL_AUDIENCE_HASH ? 32 : 33);
        break;
    case 7: cl_cbor_put_bytes(writer, entry->opening, entry->opening_length); break;
    case 8: cl_cbor_put_bytes(writer, entry->ref, 32); break;
    case 9: cl_cbor_put_uint(writer, entry->slots); break;
    case 10: cl_cbor_put_uint(writer, entry->reason); break;
    case 11: cl_cbor_put_uint(writer, entry->limit); break;
    case 12: cl_cbor_put_bytes(writer, entry->key, entry->key_length); break;
    case 13: cl_cbor_put_bytes(writer, entry->party, 32); break;
    case 14: cl_cbor_put_uint(writer, entry->mode); break;
    case 15: cl_cbor_put_bytes(writer, entry->recovery, 32); break;
    default: assert(false);
    }
}

static void put_entry(struct cl_cbor_writer *writer, const struct cl_entry *entry)
{
    size_t count = 0;
    for (unsigned key = 1; key < 16; key++) count += (entry->present & CL_HAS(key)) != 0;
    cl_cbor_put_map(writer, count);
    for (unsigned key = 1; key < 16; key++) {
        if (!(entry->present & CL_HAS(key))) continue;
        cl_cbor_put_uint(writer, key);
        put_value(writer, entry, key);
    }
}

static int compare_for_sort(const void *a, const void *b)
{
    return cl_entry_compare(a, b);
}

static enum cl_status put_payload(struct cl_buffer *payload, uint32_t *refused_entry, struct cl_draft *draft)
{
    if (draft->entry_count == 0 || draft->entry_count > CL_RECORD_ENTRIES_MAX) return CL_E_RECORD_ENTRIES;
    for (size_t i = 0; i < draft->entry_count; i++) {
        if (entry_usable(&draft->entries[i])) continue;
        *refused_entry = (uint32_t)i;
        return CL_E_ARGUMENT;
    }
    qsort(draft->entries, draft->entry_count, sizeof *draft->entries, compare_for_sort);
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, payload);
    cl_cbor_put_map(&writer, draft->skip_refused ? 4 : 3);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_uint(&writer, (uint64_t)draft->type);
    cl_cbor_put_uint(&writer, 2);
    cl_cbor_put_uint(&writer, draft->issued_at_ms);
    cl_cbor_put_uint(&writer, 3);
    cl_cbor_put_array(&writer, draft->entry_count);
    for (size_t i = 0; i < draft->entry_count; i++) put_entry(&writer, &draft->entries[i]);
    if (draft->skip_refused) {
        cl_cbor_put_uint(&writer, 4);
        cl_cbor_put_uint(&writer, 1);
    }
    return writer.status;
}

enum cl_status cl_draft_encode(struct cl_buffer *payload, struct cl_record_id *id, uint32_t *refused_entry,
                               struct cl_draft *draft, const struct cl_network_id *network)
{
    size_t start = payload->length;
    uint32_t entry_index = 0;
    struct cl_record record;
    enum cl_status status = put_payload(payload, &entry_index, draft);
    if (status == CL_OK && !cl_public_key_valid(draft->signer.bytes)) status = CL_E_KEY;
    if (status == CL_OK)
        status = cl_record_decode_payload(&record, &entry_index, payload->data + start, payload->length - start,
                                          draft->signer.bytes, network);
    if (status == CL_OK) {
        *id = record.id;
        cl_record_deinit(&record);
    } else {
        payload->length = start;
    }
    if (refused_entry != NULL) *refused_entry = entry_index;
    return status;
}

static void put_record(struct cl_cbor_writer *writer, const uint8_t *payload, size_t payload_length,
                       const struct cl_public_key *signer, const uint8_t signature64[64])
{
    uint8_t protected[CL_RECORD_PROTECTED_LENGTH];
    static_assert(sizeof CL_RECORD_PROTECTED_START - 1 + 33 == CL_RECORD_PROTECTED_LENGTH, "header and key");
    memcpy(protected, CL_RECORD_PROTECTED_START, sizeof protected - 33);
    memcpy(protected + sizeof protected - 33, signer->bytes, 33);
    cl_cbor_put_tag(writer, 18);
    cl_cbor_put_array(writer, 4);
    cl_cbor_put_bytes(writer, protected, sizeof protected);
    cl_cbor_put_map(writer, 0);
    cl_cbor_put_bytes(writer, payload, payload_length);
    cl_cbor_put_bytes(writer, signature64, 64);
}

enum cl_status cl_record_finish(struct cl_buffer *record, const uint8_t *payload, size_t payload_length,
                                const struct cl_public_key *signer, const uint8_t *signature, size_t signature_length,
                                const struct cl_network_id *network)
{
    uint8_t signature64[64];
    struct cl_record decoded;
    enum cl_status status = cl_record_decode_payload(&decoded, NULL, payload, payload_length, signer->bytes, network);
    if (status != CL_OK) return status;
    status = cl_signature_normalise(signature64, signature, signature_length);
    if (status == CL_OK) status = cl_ecdsa_verify(signer->bytes, decoded.id.bytes, signature64);
    cl_record_deinit(&decoded);
    if (status != CL_OK) return status;
    size_t start = record->length;
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, record);
    put_record(&writer, payload, payload_length, signer, signature64);
    if (writer.status != CL_OK) record->length = start;
    return writer.status;
}

enum cl_status cl_record_sign(struct cl_buffer *record, struct cl_record_id *id, uint32_t *refused_entry,
                              struct cl_draft *draft, const struct cl_signer *signer,
                              const struct cl_network_id *network)
{
    static const struct cl_public_key unset;
    struct cl_buffer payload = {0};
    struct cl_record_id digest;
    uint8_t signature64[64];
    if (refused_entry != NULL) *refused_entry = 0;
    struct cl_draft signed_draft = *draft;
    if (memcmp(&draft->signer, &unset, sizeof unset) == 0) signed_draft.signer = signer->key;
    if (memcmp(&signed_draft.signer, &signer->key, sizeof unset) != 0) return CL_E_ARGUMENT;
    enum cl_status status = cl_draft_encode(&payload, &digest, refused_entry, &signed_draft, network);
    if (status != CL_OK) goto out;
    status = signer->sign(signer->context, signature64, digest.bytes);
    if (status != CL_OK) goto out;
    status = cl_record_finish(record, payload.data, payload.length, &signer->key, signature64, 64, network);
    if (status == CL_OK && id != NULL) *id = digest;
out:
    cl_buffer_deinit(&payload);
    return status;
}

/* ---------------------------------------------------------------- derived ids and hashes (formats.cddl) */

void cl_object_id_derive(struct cl_object_id *out, const uint8_t signer33[33], const uint8_t nonce16[16])
{
    struct cl_sha256 hash;
    cl_sha256_domain(&hash, "consent/v1 id");
    cl_sha256_update(&hash, signer33, 33);
    cl_sha256_update(&hash, nonce16, 16);
    cl_sha256_final(&hash, out->bytes);
}

void cl_commitment_derive(struct cl_commitment *out, const struct cl_object_id *object, const uint8_t salt32[32],
                          const uint8_t *body, size_t body_length)
{
    uint8_t body_hash[32];
    cl_sha256_once(body_hash, body, body_length);
    struct cl_sha256 hash;
    cl_sha256_domain(&hash, "consent/v1 terms");
    cl_sha256_update(&hash, object->bytes, 32);
    cl_sha256_update(&hash, salt32, 32);
    cl_sha256_update(&hash, body_hash, 32);
    cl_sha256_final(&hash, out->bytes);
    cl_wipe(&hash, sizeof hash); /* the salt was in it */
}

void cl_audience_derive(struct cl_hash *out, const uint8_t salt32[32], const uint8_t *answerer, size_t answerer_length)
{
    assert(answerer_length == 32 || answerer_length == 33);
    struct cl_sha256 hash;
    cl_sha256_domain(&hash, "consent/v1 audience");
    cl_sha256_update(&hash, salt32, 32);
    cl_sha256_update(&hash, answerer, answerer_length);
    cl_sha256_final(&hash, out->bytes);
    cl_wipe(&hash, sizeof hash);
}

void cl_token_digest(struct cl_hash *out, const struct cl_network_id *network, const uint8_t bearer32[32],
                     const uint8_t agreement32[32], const uint8_t answering_key33[33])
{
    struct cl_sha256 hash;
    cl_sha256_domain(&hash, "consent/v1 token");
    cl_sha256_update(&hash, network->bytes, 32);
    cl_sha256_update(&hash, bearer32, 32);
    cl_sha256_update(&hash, agreement32, 32);
    cl_sha256_update(&hash, answering_key33, 33);
    cl_sha256_final(&hash, out->bytes);
    cl_wipe(&hash, sizeof hash); /* the token was in it */
}

void cl_recovery_derive(struct cl_hash *out, const uint8_t recovery_key33[33])
{
    struct cl_sha256 hash;
    cl_sha256_domain(&hash, "consent/v1 recovery");
    cl_sha256_update(&hash, recovery_key33, 33);
    cl_sha256_final(&hash, out->bytes);
}

void cl_mailbox_derive(struct cl_hash *out, const uint8_t mailbox_key33[33])
{
    struct cl_sha256 hash;
    cl_sha256_domain(&hash, "consent/v1 mailbox");
    cl_sha256_update(&hash, mailbox_key33, 33);
    cl_sha256_final(&hash, out->bytes);
}

void cl_network_id_derive(struct cl_network_id *out, const uint8_t *genesis, size_t length)
{
    cl_sha256_once(out->bytes, genesis, length);
}
