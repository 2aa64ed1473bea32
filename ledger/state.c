/* State values as they are read, byte by byte as in formats.cddl "state values": strict decoders, tree keys, and the
   question that everything else is for: may this slot be used now? */
#include "consent/state.h"

#include <assert.h>

#include "cbor.h"
#include "crypto.h"
#include "state_form.h"

/* ---- reading: one helper for each shape; all fail stickily */

static struct cl_optional_time read_time(struct cl_cbor_reader *reader)
{
    struct cl_optional_time time = {false, 0};
    if (!cl_cbor_null(reader)) {
        time.present = true;
        time.seconds = cl_cbor_uint_at_most(reader, CL_SECONDS_MAX);
    }
    return time;
}

static struct cl_optional_hash read_optional_hash(struct cl_cbor_reader *reader)
{
    struct cl_optional_hash hash = {false, {0}};
    if (!cl_cbor_null(reader)) {
        hash.present = true;
        cl_cbor_bytes_copy(reader, hash.bytes, 32);
    }
    return hash;
}

static struct cl_party read_party(struct cl_cbor_reader *reader)
{
    struct cl_party party = {0, {0}};
    if (cl_cbor_null(reader))
        return party;
    struct cl_view bytes = cl_cbor_bytes(reader);
    if (bytes.length != 32 && bytes.length != 33) {
        cl_cbor_fail(reader, CL_E_FORMAT);
        return party;
    }
    party.length = (uint8_t)bytes.length;
    memcpy(party.bytes, bytes.data, bytes.length);
    return party;
}

static struct cl_audience read_audience(struct cl_cbor_reader *reader)
{
    struct cl_audience audience = {0, {0}};
    if (cl_cbor_null(reader))
        return audience;
    cl_cbor_array_fixed(reader, 2);
    uint64_t kind = cl_cbor_uint(reader);
    if (kind != 1 && kind != 2) {
        cl_cbor_fail(reader, CL_E_VALUE);
        return audience;
    }
    audience.kind = (uint8_t)kind;
    cl_cbor_bytes_copy(reader, audience.bytes, kind == 1 ? 32 : 33);
    return audience;
}

int cl_delegation_order(const struct cl_delegation *a, const struct cl_delegation *b)
{
    int by_key = memcmp(a->key, b->key, 33);
    return by_key != 0 ? by_key : (int)a->side - (int)b->side;
}

static uint8_t read_delegations(struct cl_cbor_reader *reader, struct cl_delegation *list, bool sides)
{
    uint8_t count = (uint8_t)cl_cbor_array_at_most(reader, CL_DELEGATIONS_MAX);
    for (uint8_t i = 0; i < count; i++) {
        struct cl_delegation *item = &list[i];
        cl_cbor_array_fixed(reader, 4);
        item->side = (uint8_t)cl_cbor_uint_at_most(reader, sides ? 2 : 0);
        cl_cbor_bytes_copy(reader, item->key, 33);
        item->powers = (uint8_t)cl_cbor_uint_at_most(reader, 31);
        item->until = cl_cbor_uint_at_most(reader, CL_SECONDS_MAX);
        if (item->powers == 0 || (sides && item->side == 0))
            cl_cbor_fail(reader, CL_E_VALUE);
        if (i > 0 && cl_delegation_order(&list[i - 1], item) >= 0)
            cl_cbor_fail(reader, CL_E_FORMAT);
    }
    return count;
}

static uint8_t read_vouches(struct cl_cbor_reader *reader, struct cl_vouch *list)
{
    uint8_t count = (uint8_t)cl_cbor_array_at_most(reader, CL_VOUCHES_MAX);
    for (uint8_t i = 0; i < count; i++) {
        struct cl_vouch *item = &list[i];
        cl_cbor_array_fixed(reader, 3);
        cl_cbor_bytes_copy(reader, item->key, 33);
        item->reason = (uint8_t)cl_cbor_uint_at_most(reader, 2);
        item->until = cl_cbor_uint_at_most(reader, CL_SECONDS_MAX);
        if (item->reason == 0)
            cl_cbor_fail(reader, CL_E_VALUE);
        if (i > 0 && memcmp(list[i - 1].key, item->key, 33) >= 0)
            cl_cbor_fail(reader, CL_E_FORMAT);
    }
    return count;
}

static void read_pending(struct cl_cbor_reader *reader, struct cl_pending *out)
{
    memset(out, 0, sizeof *out);
    if (cl_cbor_null(reader))
        return;
    out->present = true;
    cl_cbor_array_fixed(reader, 6);
    cl_cbor_bytes_copy(reader, out->record_id, 32);
    out->side = (uint8_t)cl_cbor_uint_at_most(reader, 2);
    cl_cbor_bytes_copy(reader, out->commitment, 32);
    out->slots = cl_cbor_uint(reader);
    out->not_before = read_time(reader);
    out->not_after = read_time(reader);
    if (out->side == 0 || out->slots == 0)
        cl_cbor_fail(reader, CL_E_VALUE);
}

/* Opens the array and checks [version, kind, …] for the kind that the caller expects. */
static void read_head(struct cl_cbor_reader *reader, const uint8_t *value, size_t length, enum cl_state_kind kind,
                      size_t items)
{
    enum cl_state_kind found;
    enum cl_status status = cl_state_kind_of(&found, value, length);
    cl_cbor_reader_init(reader, value, length);
    if (status == CL_OK && found != kind)
        status = CL_E_OBJECT_KIND;
    if (status != CL_OK) {
        cl_cbor_fail(reader, status);
        return;
    }
    cl_cbor_array_fixed(reader, items);
    (void)cl_cbor_uint(reader);
    (void)cl_cbor_uint(reader);
}

enum cl_status cl_state_kind_of(enum cl_state_kind *kind, const uint8_t *value, size_t length)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, value, length);
    size_t items = cl_cbor_array(&reader);
    uint64_t version = cl_cbor_uint(&reader);
    if (reader.status != CL_OK || items < 2)
        return CL_E_FORMAT;
    if (version != STATE_VERSION)
        return CL_E_VERSION;
    uint64_t number = cl_cbor_uint(&reader);
    if (reader.status != CL_OK || number < CL_STATE_AGREEMENT || number > CL_STATE_NETWORK)
        return CL_E_FORMAT;
    *kind = (enum cl_state_kind)number;
    return CL_OK;
}

bool cl_state_is_awaited(const uint8_t *value, size_t length)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, value, length);
    (void)cl_cbor_array(&reader);
    (void)cl_cbor_uint(&reader);
    uint64_t kind = cl_cbor_uint(&reader), status = cl_cbor_uint(&reader);
    return kind == CL_STATE_AGREEMENT ? reader.status == CL_OK && status <= CL_COUNTERED : kind == CL_STATE_TERMS || kind == CL_STATE_PROFILE;
}

enum cl_status cl_agreement_decode(struct cl_agreement *out, const uint8_t *value, size_t length)
{
    struct cl_cbor_reader reader;
    read_head(&reader, value, length, CL_STATE_AGREEMENT, AGREEMENT_ITEMS);
    out->status = (uint8_t)cl_cbor_uint_at_most(&reader, CL_TERMINATED);
    out->turn = (uint8_t)cl_cbor_uint_at_most(&reader, 2);
    out->customer = read_party(&reader);
    out->organisation = read_party(&reader);
    out->audience = read_audience(&reader);
    cl_cbor_bytes_copy(&reader, out->commitment, 32);
    out->not_before = read_time(&reader);
    out->not_after = read_time(&reader);
    out->live = cl_cbor_uint(&reader);
    out->due = cl_cbor_uint(&reader);
    out->suspended = (uint8_t)cl_cbor_uint_at_most(&reader, 3);
    out->flags = (uint8_t)cl_cbor_uint_at_most(&reader, 15);
    read_pending(&reader, &out->pending);
    out->terms = read_optional_hash(&reader);
    out->recovery = read_optional_hash(&reader);
    out->delegation_count = read_delegations(&reader, out->delegations, true);
    cl_cbor_bytes_copy(&reader, out->head, 32);
    out->last_index = cl_cbor_uint(&reader);
    out->head_ms = cl_cbor_uint(&reader);
    return cl_cbor_finish(&reader);
}

enum cl_status cl_terms_decode(struct cl_terms *out, const uint8_t *value, size_t length)
{
    struct cl_cbor_reader reader;
    read_head(&reader, value, length, CL_STATE_TERMS, TERMS_ITEMS);
    cl_cbor_bytes_copy(&reader, out->owner, 33);
    cl_cbor_bytes_copy(&reader, out->commitment, 32);
    out->not_before = read_time(&reader);
    out->not_after = read_time(&reader);
    out->slots = cl_cbor_uint(&reader);
    out->mode = (uint8_t)cl_cbor_uint_at_most(&reader, 3);
    out->limit = cl_cbor_uint(&reader);
    out->answers = cl_cbor_uint(&reader);
    out->audience = read_audience(&reader);
    out->successor = read_optional_hash(&reader);
    out->open = (uint8_t)cl_cbor_uint_at_most(&reader, 1);
    out->recovery = read_optional_hash(&reader);
    out->delegation_count = read_delegations(&reader, out->delegations, false);
    cl_cbor_bytes_copy(&reader, out->head, 32);
    if (out->slots == 0 || out->limit == 0 || out->answers > out->limit)
        cl_cbor_fail(&reader, CL_E_VALUE);
    return cl_cbor_finish(&reader);
}

enum cl_status cl_profile_decode(struct cl_profile *out, const uint8_t *value, size_t length)
{
    struct cl_cbor_reader reader;
    read_head(&reader, value, length, CL_STATE_PROFILE, PROFILE_ITEMS);
    cl_cbor_bytes_copy(&reader, out->key, 33);
    cl_cbor_bytes_copy(&reader, out->delivery, 32);
    cl_cbor_bytes_copy(&reader, out->commitment, 32);
    cl_cbor_bytes_copy(&reader, out->recovery, 32);
    out->delegation_count = read_delegations(&reader, out->delegations, false);
    out->vouch_count = read_vouches(&reader, out->vouches);
    cl_cbor_bytes_copy(&reader, out->head, 32);
    return cl_cbor_finish(&reader);
}

enum cl_status cl_answer_decode(struct cl_object_id *agreement, const uint8_t *value, size_t length)
{
    struct cl_cbor_reader reader;
    read_head(&reader, value, length, CL_STATE_ANSWER, ANSWER_ITEMS);
    cl_cbor_bytes_copy(&reader, agreement->bytes, 32);
    return cl_cbor_finish(&reader);
}

/* Names travel in checkpoints and in host-like places: a-z, 0-9 and '-', and nothing else. */
static void read_member_name(struct cl_cbor_reader *reader, char name[CL_MEMBER_NAME_BYTES_MAX + 1])
{
    struct cl_view text = cl_cbor_text(reader);
    memset(name, 0, CL_MEMBER_NAME_BYTES_MAX + 1);
    if (text.length == 0 || text.length > CL_MEMBER_NAME_BYTES_MAX) {
        cl_cbor_fail(reader, CL_E_VALUE);
        return;
    }
    for (size_t i = 0; i < text.length; i++) {
        uint8_t c = text.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) {
            cl_cbor_fail(reader, CL_E_VALUE);
            return;
        }
    }
    memcpy(name, text.data, text.length);
}

size_t cl_members_read(struct cl_cbor_reader *reader, struct cl_member *members)
{
    struct cl_member unused = {.name = ""};
    size_t count = cl_cbor_array_at_most(reader, CL_MEMBERS_MAX);
    if (count == 0)
        cl_cbor_fail(reader, CL_E_VALUE);
    for (size_t i = 0; i < count && reader->status == CL_OK; i++) {
        struct cl_member *member = members != NULL ? &members[i] : &unused;
        cl_cbor_array_fixed(reader, 5);
        read_member_name(reader, member->name);
        cl_cbor_bytes_copy(reader, member->vote, 32);
        cl_cbor_bytes_copy(reader, member->log, 32);
        cl_cbor_bytes_copy(reader, member->witness, 32);
        cl_cbor_bytes_copy(reader, member->party, 33);
    }
    return reader->status == CL_OK ? count : 0;
}

enum cl_status cl_network_decode(struct cl_network *out, const uint8_t *value, size_t length)
{
    struct cl_cbor_reader reader;
    read_head(&reader, value, length, CL_STATE_NETWORK, NETWORK_ITEMS);
    cl_cbor_array_fixed(&reader, 6);
    out->parameters.epoch_length = cl_cbor_uint(&reader);
    out->parameters.block_records_max = cl_cbor_uint_at_most(&reader, CL_BLOCK_RECORDS_MAX);
    out->parameters.block_bytes_max = cl_cbor_uint_at_most(&reader, CL_BLOCK_BYTES_MAX);
    out->parameters.d0_ms = cl_cbor_uint(&reader);
    out->parameters.fairness = cl_cbor_uint_at_most(&reader, 1);
    out->parameters.open_reads = cl_cbor_uint_at_most(&reader, 1);
    out->member_count = cl_members_read(&reader, out->members);
    return cl_cbor_finish(&reader);
}

/* ---- tree keys */

void cl_network_key(struct cl_hash *out)
{
    struct cl_sha256 hash;
    cl_sha256_domain(&hash, "consent/v1 network");
    cl_sha256_final(&hash, out->bytes);
}

void cl_answer_key(struct cl_hash *out, const uint8_t terms32[32], const struct cl_party *party)
{
    struct cl_sha256 hash;
    assert(party->length == 32 || party->length == 33);
    cl_sha256_domain(&hash, "consent/v1 answer");
    cl_sha256_update(&hash, terms32, 32);
    cl_sha256_update(&hash, party->bytes, party->length);
    cl_sha256_final(&hash, out->bytes);
}

/* ---- may it be used? */

enum cl_status cl_agreement_check(const struct cl_agreement *agreement, uint64_t slot_mask, uint64_t now_ms)
{
    if (agreement->status == CL_WITHDRAWN)
        return CL_E_WITHDRAWN;
    if (agreement->status == CL_TERMINATED)
        return CL_E_TERMINATED;
    if (agreement->status != CL_ACTIVE)
        return CL_E_NOT_ACTIVE;
    if (agreement->suspended != 0)
        return CL_E_SUSPENDED;
    /* records.md rule 10: in force at t ms: 1000 x not_before <= t < 1000 x not_after. */
    if (agreement->not_before.present && now_ms / 1000 < agreement->not_before.seconds)
        return CL_E_NOT_YET;
    if (agreement->not_after.present && now_ms / 1000 >= agreement->not_after.seconds)
        return CL_E_EXPIRED;
    /* records.md rule 1: the default is no, so nothing live is nothing allowed, even asked as a whole. */
    if (agreement->live == 0 || (slot_mask & ~agreement->live) != 0)
        return CL_E_SLOT_NOT_LIVE;
    return CL_OK;
}

uint64_t cl_agreement_due(const struct cl_agreement *agreement, uint64_t now_ms)
{
    bool expired = agreement->status == CL_ACTIVE && agreement->not_after.present && now_ms / 1000 >= agreement->not_after.seconds;
    return agreement->due | (expired ? agreement->live : 0);
}

const char *cl_agreement_status_name(enum cl_agreement_status status)
{
    switch (status) {
    case CL_OFFERED: return "offered";
    case CL_REQUESTED: return "requested";
    case CL_SUBSCRIBED: return "subscribed";
    case CL_COUNTERED: return "countered";
    case CL_ACTIVE: return "active";
    case CL_REFUSED: return "refused";
    case CL_WITHDRAWN: return "withdrawn";
    case CL_TERMINATED: return "terminated";
    }
    return "unknown";
}
