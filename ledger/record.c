/* Records as others send them: the strict decoder, and the digest that is signed. Whatever passes here has the one form
   that formats.cddl gives it and the keys that rules.md lists for its type; making records is record_encode.c. */
#include "record_internal.h"

#include "cbor.h"
#include "crypto.h"
#include "log.h"

#include <stdlib.h>

enum { COSE_ALGORITHM = 1, COSE_KEY_ID = 4, ES256K = -47, COSE_SIGN1_TAG = 18 };

/* ---------------------------------------------------------------- types and the keys that they take */

static const char *const type_names[] = {
    [CL_PROFILE] = "PROFILE",   [CL_TERMS] = "TERMS",         [CL_REQUEST] = "REQUEST", [CL_GRANT] = "GRANT",
    [CL_SUBSCRIBE] = "SUBSCRIBE", [CL_COUNTER] = "COUNTER",   [CL_REFUSE] = "REFUSE",   [CL_AMEND] = "AMEND",
    [CL_SUSPEND] = "SUSPEND",   [CL_RESUME] = "RESUME",       [CL_REVOKE] = "REVOKE",   [CL_RENEW] = "RENEW",
    [CL_ACK] = "ACK",           [CL_STATEMENT] = "STATEMENT", [CL_DELEGATE] = "DELEGATE",
    [CL_UNDELEGATE] = "UNDELEGATE", [CL_ROTATE] = "ROTATE",   [CL_ERASE] = "ERASE",     [CL_DISPUTE] = "DISPUTE",
    [CL_VOUCH] = "VOUCH",
};

const char *cl_record_type_name(uint64_t type)
{
    return type < sizeof type_names / sizeof type_names[0] ? type_names[type] : NULL;
}

size_t cl_record_entries_max(enum cl_record_type type)
{
    bool shown_whole = (type >= CL_REQUEST && type <= CL_COUNTER) || type == CL_AMEND || type == CL_RENEW;
    return shown_whole ? CL_RECORD_ENTRIES_SHORT_MAX : CL_RECORD_ENTRIES_MAX;
}

#define K(k) CL_HAS(k)
enum { NONCE = 16, ID = 32 };

/* rules.md "Keys by type": one row for each form. required holds key 1; nonce says which of its two lengths. */
struct form { uint8_t type, object_length; uint32_t required, optional; };
static const struct form forms[] = {
    {CL_PROFILE, NONCE, K(3) | K(12) | K(15), 0},
    {CL_PROFILE, ID, K(2) | K(3) | K(12), 0},
    {CL_TERMS, NONCE, K(3) | K(9) | K(11) | K(14), K(4) | K(5) | K(6) | K(8) | K(15)},
    {CL_REQUEST, NONCE, K(3) | K(6) | K(9), K(4) | K(5) | K(13)},
    {CL_GRANT, NONCE, K(3) | K(6) | K(9), K(4) | K(5) | K(13) | K(15)},
    {CL_GRANT, ID, K(2) | K(3) | K(9), K(4) | K(5) | K(7) | K(13) | K(15)},
    {CL_SUBSCRIBE, NONCE, K(3) | K(8) | K(9), K(4) | K(5) | K(7) | K(13)},
    {CL_SUBSCRIBE, ID, K(2) | K(3) | K(9), K(4) | K(5) | K(7) | K(13)},
    {CL_COUNTER, ID, K(2) | K(3) | K(9), K(4) | K(5) | K(7) | K(13) | K(15)},
    {CL_REFUSE, ID, K(2), K(7) | K(10) | K(13)},
    {CL_AMEND, ID, K(2) | K(8), 0},                  /* accept */
    {CL_AMEND, ID, K(2) | K(3) | K(9), K(4) | K(5)}, /* propose */
    {CL_AMEND, ID, K(5), K(9)},                      /* narrow: at least one of 5, 9 */
    {CL_AMEND, ID, K(9), 0},
    {CL_SUSPEND, ID, 0, 0},
    {CL_RESUME, ID, K(2), 0},
    {CL_REVOKE, ID, 0, K(9) | K(10)},
    {CL_RENEW, ID, K(2) | K(5), 0},
    {CL_ACK, ID, K(8) | K(10), 0},
    {CL_STATEMENT, ID, K(3) | K(4) | K(5), 0},
    {CL_DELEGATE, ID, K(5) | K(12) | K(14), 0},
    {CL_UNDELEGATE, ID, K(12), 0},
    {CL_ROTATE, ID, K(12), 0},
    {CL_ROTATE, ID, K(12) | K(7), K(15)}, /* 15 only with 7 */
    {CL_ERASE, ID, 0, K(9)},
    {CL_DISPUTE, ID, K(8) | K(10), 0},
    {CL_VOUCH, ID, K(5) | K(10), 0},
};

static enum cl_status check_keys(const struct cl_entry *entry, enum cl_record_type type)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const struct form *form = &forms[i];
        uint32_t required = form->required | K(1);
        if (form->type == (uint8_t)type && form->object_length == entry->object_length &&
            (entry->present & required) == required && (entry->present & ~(required | form->optional)) == 0)
            return CL_OK;
    }
    return CL_E_RECORD_KEYS;
}

static bool within(uint64_t value, uint64_t smallest, uint64_t largest)
{
    return value >= smallest && value <= largest;
}

static bool reason_fits(enum cl_record_type type, uint64_t reason)
{
    if (type == CL_ACK) return within(reason, 1, 3);
    if (type == CL_DISPUTE) return within(reason, 4, 5);
    if (type == CL_VOUCH) return within(reason, 1, 2);
    return within(reason, 6, 8); /* REFUSE, REVOKE */
}

/* rules.md "Also form", and the ranges that the table gives in words. The keys are known to be those of the type. */
static enum cl_status check_values(const struct cl_entry *entry, enum cl_record_type type)
{
    uint32_t present = entry->present;
    if (present & K(9) && entry->slots == 0) return CL_E_VALUE;
    if (present & K(11) && entry->limit == 0) return CL_E_VALUE;
    if (present & K(10) && !reason_fits(type, entry->reason)) return CL_E_VALUE;
    if (present & K(4) && entry->not_before > CL_SECONDS_MAX) return CL_E_VALUE;
    if (present & K(5) && entry->not_after > CL_SECONDS_MAX) return CL_E_VALUE;
    if ((present & K(4)) && (present & K(5)) && entry->not_before >= entry->not_after) return CL_E_VALUE;
    if (present & K(14)) {
        bool fits = type == CL_TERMS ? entry->mode <= 3 : within(entry->mode, 1, 31);
        if (!fits) return CL_E_VALUE;
    }
    if (present & K(12) && entry->key_length != (type == CL_PROFILE ? 32 : 33)) return CL_E_FORMAT;
    if (type == CL_ROTATE && present & K(7) && entry->opening_length != 33) return CL_E_FORMAT;
    if (present & K(6) && entry->audience_kind == CL_AUDIENCE_TOKEN && !cl_public_key_valid(entry->audience))
        return CL_E_KEY;
    if (present & K(12) && entry->key_length == 33 && !cl_public_key_valid(entry->key)) return CL_E_KEY;
    return CL_OK;
}

/* ---------------------------------------------------------------- one entry */

/* A byte string of one of a few lengths (0: none). */
static const uint8_t *bytes_of(struct cl_cbor_reader *reader, uint8_t *length, size_t a, size_t b, size_t c)
{
    struct cl_view view = cl_cbor_bytes(reader);
    if (reader->status != CL_OK) return NULL;
    if (view.length == 0 || (view.length != a && view.length != b && view.length != c)) {
        cl_cbor_fail(reader, CL_E_FORMAT);
        return NULL;
    }
    *length = (uint8_t)view.length;
    return view.data;
}

static void read_audience(struct cl_cbor_reader *reader, struct cl_entry *entry)
{
    cl_cbor_array_fixed(reader, 2);
    uint64_t kind = cl_cbor_uint(reader);
    if (reader->status != CL_OK) return;
    if (kind != CL_AUDIENCE_HASH && kind != CL_AUDIENCE_TOKEN) {
        cl_cbor_fail(reader, CL_E_FORMAT);
        return;
    }
    entry->audience_kind = (uint8_t)kind;
    entry->audience = cl_cbor_bytes_fixed(reader, kind == CL_AUDIENCE_HASH ? 32 : 33);
}

static void read_reason(struct cl_cbor_reader *reader, struct cl_entry *entry)
{
    uint64_t reason = cl_cbor_uint(reader);
    if (reader->status == CL_OK && !within(reason, 1, 8)) cl_cbor_fail(reader, CL_E_VALUE);
    entry->reason = (uint8_t)reason;
}

static void read_key(struct cl_cbor_reader *reader, struct cl_entry *entry, uint64_t key)
{
    switch (key) {
    case 1: entry->object = bytes_of(reader, &entry->object_length, NONCE, ID, 0); break;
    case 2: entry->prev = cl_cbor_bytes_fixed(reader, 32); break;
    case 3: entry->commitment = cl_cbor_bytes_fixed(reader, 32); break;
    case 4: entry->not_before = cl_cbor_uint(reader); break;
    case 5: entry->not_after = cl_cbor_uint(reader); break;
    case 6: read_audience(reader, entry); break;
    case 7: entry->opening = bytes_of(reader, &entry->opening_length, 32, 33, 64); break;
    case 8: entry->ref = cl_cbor_bytes_fixed(reader, 32); break;
    case 9: entry->slots = cl_cbor_uint(reader); break;
    case 10: read_reason(reader, entry); break;
    case 11: entry->limit = cl_cbor_uint(reader); break;
    case 12: entry->key = bytes_of(reader, &entry->key_length, 32, 33, 0); break;
    case 13: entry->party = cl_cbor_bytes_fixed(reader, 32); break;
    case 14: entry->mode = cl_cbor_uint(reader); break;
    case 15: entry->recovery = cl_cbor_bytes_fixed(reader, 32); break;
    default: cl_cbor_fail(reader, CL_E_RECORD_KEYS); break;
    }
}

static void read_entry(struct cl_cbor_reader *reader, struct cl_entry *entry, enum cl_record_type type)
{
    *entry = (struct cl_entry){0};
    size_t count = cl_cbor_map(reader);
    uint64_t last = 0;
    bool first = true;
    for (size_t i = 0; i < count && reader->status == CL_OK; i++) {
        uint64_t key = cl_cbor_map_key(reader, &last, &first);
        if (reader->status != CL_OK) return;
        read_key(reader, entry, key);
        if (reader->status == CL_OK) entry->present |= CL_HAS(key);
    }
    if (reader->status != CL_OK) return;
    enum cl_status status = check_keys(entry, type);
    if (status == CL_OK) status = check_values(entry, type);
    if (status != CL_OK) cl_cbor_fail(reader, status);
}

int cl_entry_compare(const struct cl_entry *a, const struct cl_entry *b)
{
    /* The head of a 16-byte string sorts before that of a 32-byte string. */
    assert(a->object != NULL && b->object != NULL); /* every entry has key 1 */
    if (a->object_length != b->object_length) return a->object_length < b->object_length ? -1 : 1;
    return memcmp(a->object, b->object, a->object_length);
}

/* ---------------------------------------------------------------- payload */

static void read_entries(struct cl_cbor_reader *reader, struct cl_record *out, uint32_t *entry_index)
{
    size_t count = cl_cbor_array(reader);
    if (reader->status != CL_OK) return;
    if (count == 0 || count > cl_record_entries_max(out->type)) {
        cl_cbor_fail(reader, CL_E_RECORD_ENTRIES);
        return;
    }
    if (count == 1) {
        out->entries = &out->single;
    } else {
        out->entries = malloc(count * sizeof *out->entries);
        if (out->entries == NULL) {
            cl_cbor_fail(reader, CL_E_MEMORY);
            return;
        }
    }
    out->entry_count = count;
    for (size_t i = 0; i < count; i++) {
        *entry_index = (uint32_t)i;
        read_entry(reader, &out->entries[i], out->type);
        if (reader->status != CL_OK) return;
        if (i > 0 && cl_entry_compare(&out->entries[i - 1], &out->entries[i]) >= 0) {
            cl_cbor_fail(reader, CL_E_RECORD_ORDER);
            return;
        }
    }
    *entry_index = 0;
}

/* Keys of the payload are 1, 2, 3 and perhaps 4, in this order, so no loop is needed. */
static void expect_key(struct cl_cbor_reader *reader, uint64_t key)
{
    if (cl_cbor_uint(reader) != key) cl_cbor_fail(reader, CL_E_FORMAT);
}

static enum cl_status read_payload(struct cl_record *out, uint32_t *entry_index)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, out->payload.data, out->payload.length);
    size_t count = cl_cbor_map(&reader);
    if (reader.status == CL_OK && count != 3 && count != 4) cl_cbor_fail(&reader, CL_E_FORMAT);
    expect_key(&reader, 1);
    uint64_t type = cl_cbor_uint(&reader);
    if (reader.status == CL_OK && cl_record_type_name(type) == NULL) cl_cbor_fail(&reader, CL_E_RECORD_TYPE);
    if (reader.status != CL_OK) return reader.status;
    out->type = (enum cl_record_type)type;
    expect_key(&reader, 2);
    out->issued_at_ms = cl_cbor_uint(&reader);
    expect_key(&reader, 3);
    read_entries(&reader, out, entry_index);
    if (reader.status == CL_OK && count == 4) {
        expect_key(&reader, 4);
        uint64_t skip = cl_cbor_uint(&reader);
        if (reader.status == CL_OK && skip != 1) cl_cbor_fail(&reader, CL_E_VALUE);
        out->skip_refused = true;
    }
    return cl_cbor_finish(&reader);
}

/* ---------------------------------------------------------------- envelope */

/* protected = << { 1: -47, 4: signer } >> */
static void read_protected(struct cl_cbor_reader *reader, struct cl_record *out)
{
    struct cl_view view = cl_cbor_bytes(reader);
    if (reader->status != CL_OK) return;
    struct cl_cbor_reader inner;
    cl_cbor_reader_init(&inner, view.data, view.length);
    uint64_t last = 0;
    bool first = true;
    if (cl_cbor_map(&inner) != 2) cl_cbor_fail(&inner, CL_E_FORMAT);
    if (cl_cbor_map_key(&inner, &last, &first) != COSE_ALGORITHM) cl_cbor_fail(&inner, CL_E_FORMAT);
    if (cl_cbor_int(&inner) != ES256K) cl_cbor_fail(&inner, CL_E_FORMAT);
    if (cl_cbor_map_key(&inner, &last, &first) != COSE_KEY_ID) cl_cbor_fail(&inner, CL_E_FORMAT);
    out->signer33 = cl_cbor_bytes_fixed(&inner, 33);
    enum cl_status status = cl_cbor_finish(&inner);
    if (status != CL_OK) cl_cbor_fail(reader, status);
}

static enum cl_status read_envelope(struct cl_record *out, uint32_t *entry_index)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, out->bytes.data, out->bytes.length);
    if (cl_cbor_tag(&reader) != COSE_SIGN1_TAG) cl_cbor_fail(&reader, CL_E_FORMAT);
    cl_cbor_array_fixed(&reader, 4);
    read_protected(&reader, out);
    if (cl_cbor_map(&reader) != 0) cl_cbor_fail(&reader, CL_E_FORMAT);
    out->payload = cl_cbor_bytes(&reader);
    out->signature64 = cl_cbor_bytes_fixed(&reader, 64);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK) status = read_payload(out, entry_index);
    if (status == CL_OK && !cl_signature_low_s(out->signature64)) status = CL_E_SIGNATURE_HIGH_S;
    return status;
}

void cl_record_digest(struct cl_record_id *out, const uint8_t signer33[33], const uint8_t *payload, size_t length,
                      const struct cl_network_id *network)
{
    /* [ "Signature1", protected, external_aad, payload ] up to the payload's own bytes (RFC 9052 section 4.4): an array
       of 4, a text of 10, a string of 40 (map of 2, 1: -47, 4: string of 33), a string of 42. */
    static const uint8_t start[] = "\x84\x6aSignature1\x58\x28" CL_RECORD_PROTECTED_START;
    static const uint8_t middle[] = "\x58\x2a" "consent/v1";
    enum { START = sizeof start - 1, MIDDLE = sizeof middle - 1 };
    uint8_t head[START + 33 + MIDDLE + 32 + CL_CBOR_HEAD_MAX];
    size_t at = 0;
    memcpy(head + at, start, START), at += START;
    memcpy(head + at, signer33, 33), at += 33;
    memcpy(head + at, middle, MIDDLE), at += MIDDLE;
    memcpy(head + at, network->bytes, 32), at += 32;
    at += cl_cbor_head(head + at, CL_CBOR_BYTES, length);
    struct cl_sha256 hash;
    cl_sha256_init(&hash);
    cl_sha256_update(&hash, head, at);
    cl_sha256_update(&hash, payload, length);
    cl_sha256_final(&hash, out->bytes);
}

enum cl_status cl_record_decode(struct cl_record *out, uint32_t *refused_entry, const uint8_t *bytes, size_t length,
                                const struct cl_network_id *network)
{
    uint32_t entry_index = 0;
    *out = (struct cl_record){.bytes = {bytes, length}};
    enum cl_status status = length > CL_RECORD_BYTES_MAX ? CL_E_RECORD_SIZE : read_envelope(out, &entry_index);
    if (refused_entry != NULL) *refused_entry = entry_index;
    if (status != CL_OK) {
        cl_record_deinit(out);
        return status;
    }
    cl_record_digest(&out->id, out->signer33, out->payload.data, out->payload.length, network);
    cl_log_leaf_hash(&out->leaf_hash, bytes, length);
    return CL_OK;
}

enum cl_status cl_record_decode_payload(struct cl_record *out, uint32_t *refused_entry, const uint8_t *payload,
                                        size_t length, const uint8_t *signer33, const struct cl_network_id *network)
{
    uint32_t entry_index = 0;
    *out = (struct cl_record){.payload = {payload, length}, .signer33 = signer33};
    bool fits = length <= CL_RECORD_BYTES_MAX && cl_record_length(length) <= CL_RECORD_BYTES_MAX;
    enum cl_status status = fits ? read_payload(out, &entry_index) : CL_E_RECORD_SIZE;
    if (refused_entry != NULL) *refused_entry = entry_index;
    if (status != CL_OK) {
        cl_record_deinit(out);
        return status;
    }
    cl_record_digest(&out->id, signer33, payload, length, network);
    return CL_OK;
}

void cl_record_deinit(struct cl_record *record)
{
    if (record->entries != &record->single) free(record->entries);
    *record = (struct cl_record){0};
}

enum cl_status cl_record_check_signature(const struct cl_record *record)
{
    if (record->signature64 == NULL) return CL_E_SIGNATURE;
    return cl_ecdsa_verify(record->signer33, record->id.bytes, record->signature64);
}
