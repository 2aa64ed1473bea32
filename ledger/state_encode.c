/* State values as they are written: the one canonical form of each (formats.cddl "state values"), and the hash of the
   member set. */
#include <assert.h>

#include "cbor.h"
#include "consent/record.h"
#include "consent/state.h"
#include "crypto.h"
#include "state_form.h"

static void put_time(struct cl_cbor_writer *writer, const struct cl_optional_time *time)
{
    if (time->present)
        cl_cbor_put_uint(writer, time->seconds);
    else
        cl_cbor_put_null(writer);
}

static void put_optional_hash(struct cl_cbor_writer *writer, const struct cl_optional_hash *hash)
{
    if (hash->present)
        cl_cbor_put_bytes(writer, hash->bytes, 32);
    else
        cl_cbor_put_null(writer);
}

static void put_party(struct cl_cbor_writer *writer, const struct cl_party *party)
{
    assert(party->length == 0 || party->length == 32 || party->length == 33);
    if (party->length != 0)
        cl_cbor_put_bytes(writer, party->bytes, party->length);
    else
        cl_cbor_put_null(writer);
}

static void put_audience(struct cl_cbor_writer *writer, const struct cl_audience *audience)
{
    if (audience->kind == 0) {
        cl_cbor_put_null(writer);
        return;
    }
    cl_cbor_put_array(writer, 2);
    cl_cbor_put_uint(writer, audience->kind);
    cl_cbor_put_bytes(writer, audience->bytes, audience->kind == 1 ? 32 : 33);
}

static void put_delegations(struct cl_cbor_writer *writer, const struct cl_delegation *list, size_t count)
{
    assert(count <= CL_DELEGATIONS_MAX);
    cl_cbor_put_array(writer, count);
    for (size_t i = 0; i < count; i++) {
        cl_cbor_put_array(writer, 4);
        cl_cbor_put_uint(writer, list[i].side);
        cl_cbor_put_bytes(writer, list[i].key, 33);
        cl_cbor_put_uint(writer, list[i].powers);
        cl_cbor_put_uint(writer, list[i].until);
    }
}

static void put_pending(struct cl_cbor_writer *writer, const struct cl_pending *pending)
{
    if (!pending->present) {
        cl_cbor_put_null(writer);
        return;
    }
    cl_cbor_put_array(writer, 6);
    cl_cbor_put_bytes(writer, pending->record_id, 32);
    cl_cbor_put_uint(writer, pending->side);
    cl_cbor_put_bytes(writer, pending->commitment, 32);
    cl_cbor_put_uint(writer, pending->slots);
    put_time(writer, &pending->not_before);
    put_time(writer, &pending->not_after);
}

static void put_head(struct cl_cbor_writer *writer, struct cl_buffer *out, size_t items, enum cl_state_kind kind)
{
    cl_cbor_writer_init(writer, out);
    cl_cbor_put_array(writer, items);
    cl_cbor_put_uint(writer, STATE_VERSION);
    cl_cbor_put_uint(writer, (uint64_t)kind);
}

enum cl_status cl_agreement_encode(struct cl_buffer *out, const struct cl_agreement *in)
{
    struct cl_cbor_writer writer;
    put_head(&writer, out, AGREEMENT_ITEMS, CL_STATE_AGREEMENT);
    cl_cbor_put_uint(&writer, in->status);
    cl_cbor_put_uint(&writer, in->turn);
    put_party(&writer, &in->customer);
    put_party(&writer, &in->organisation);
    put_audience(&writer, &in->audience);
    cl_cbor_put_bytes(&writer, in->commitment, 32);
    put_time(&writer, &in->not_before);
    put_time(&writer, &in->not_after);
    cl_cbor_put_uint(&writer, in->live);
    cl_cbor_put_uint(&writer, in->due);
    cl_cbor_put_uint(&writer, in->suspended);
    cl_cbor_put_uint(&writer, in->flags);
    put_pending(&writer, &in->pending);
    put_optional_hash(&writer, &in->terms);
    put_optional_hash(&writer, &in->recovery);
    put_delegations(&writer, in->delegations, in->delegation_count);
    cl_cbor_put_bytes(&writer, in->head, 32);
    cl_cbor_put_uint(&writer, in->last_index);
    cl_cbor_put_uint(&writer, in->head_ms);
    return writer.status;
}

enum cl_status cl_terms_encode(struct cl_buffer *out, const struct cl_terms *in)
{
    struct cl_cbor_writer writer;
    put_head(&writer, out, TERMS_ITEMS, CL_STATE_TERMS);
    cl_cbor_put_bytes(&writer, in->owner, 33);
    cl_cbor_put_bytes(&writer, in->commitment, 32);
    put_time(&writer, &in->not_before);
    put_time(&writer, &in->not_after);
    cl_cbor_put_uint(&writer, in->slots);
    cl_cbor_put_uint(&writer, in->mode);
    cl_cbor_put_uint(&writer, in->limit);
    cl_cbor_put_uint(&writer, in->answers);
    put_audience(&writer, &in->audience);
    put_optional_hash(&writer, &in->successor);
    cl_cbor_put_uint(&writer, in->open);
    put_optional_hash(&writer, &in->recovery);
    put_delegations(&writer, in->delegations, in->delegation_count);
    cl_cbor_put_bytes(&writer, in->head, 32);
    return writer.status;
}

enum cl_status cl_profile_encode(struct cl_buffer *out, const struct cl_profile *in)
{
    struct cl_cbor_writer writer;
    put_head(&writer, out, PROFILE_ITEMS, CL_STATE_PROFILE);
    cl_cbor_put_bytes(&writer, in->key, 33);
    cl_cbor_put_bytes(&writer, in->delivery, 32);
    cl_cbor_put_bytes(&writer, in->commitment, 32);
    cl_cbor_put_bytes(&writer, in->recovery, 32);
    put_delegations(&writer, in->delegations, in->delegation_count);
    assert(in->vouch_count <= CL_VOUCHES_MAX);
    cl_cbor_put_array(&writer, in->vouch_count);
    for (size_t i = 0; i < in->vouch_count; i++) {
        cl_cbor_put_array(&writer, 3);
        cl_cbor_put_bytes(&writer, in->vouches[i].key, 33);
        cl_cbor_put_uint(&writer, in->vouches[i].reason);
        cl_cbor_put_uint(&writer, in->vouches[i].until);
    }
    cl_cbor_put_bytes(&writer, in->head, 32);
    return writer.status;
}

enum cl_status cl_answer_encode(struct cl_buffer *out, const struct cl_object_id *agreement)
{
    struct cl_cbor_writer writer;
    put_head(&writer, out, ANSWER_ITEMS, CL_STATE_ANSWER);
    cl_cbor_put_bytes(&writer, agreement->bytes, 32);
    return writer.status;
}

static void put_members(struct cl_cbor_writer *writer, const struct cl_member *members, size_t count)
{
    assert(count >= 1 && count <= CL_MEMBERS_MAX);
    cl_cbor_put_array(writer, count);
    for (size_t i = 0; i < count; i++) {
        cl_cbor_put_array(writer, 5);
        cl_cbor_put_text(writer, members[i].name, strlen(members[i].name));
        cl_cbor_put_bytes(writer, members[i].vote, 32);
        cl_cbor_put_bytes(writer, members[i].log, 32);
        cl_cbor_put_bytes(writer, members[i].witness, 32);
        cl_cbor_put_bytes(writer, members[i].party, 33);
    }
}

enum cl_status cl_network_encode(struct cl_buffer *out, const struct cl_network *in)
{
    struct cl_cbor_writer writer;
    put_head(&writer, out, NETWORK_ITEMS, CL_STATE_NETWORK);
    cl_cbor_put_array(&writer, 6);
    cl_cbor_put_uint(&writer, in->parameters.epoch_length);
    cl_cbor_put_uint(&writer, in->parameters.block_records_max);
    cl_cbor_put_uint(&writer, in->parameters.block_bytes_max);
    cl_cbor_put_uint(&writer, in->parameters.d0_ms);
    cl_cbor_put_uint(&writer, in->parameters.fairness);
    cl_cbor_put_uint(&writer, in->parameters.open_reads);
    put_members(&writer, in->members, in->member_count);
    return writer.status;
}

enum cl_status cl_member_set_hash(struct cl_hash *out, const struct cl_member *members, size_t count)
{
    struct cl_buffer bytes = {0};
    struct cl_cbor_writer writer;
    if (count == 0 || count > CL_MEMBERS_MAX)
        return CL_E_ARGUMENT;
    cl_cbor_writer_init(&writer, &bytes);
    put_members(&writer, members, count);
    if (writer.status == CL_OK)
        cl_sha256_once(out->bytes, bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
    return writer.status;
}
