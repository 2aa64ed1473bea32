/* Shows what a file holds, so that nobody has to trust a program about it. */
#include "consent/inspect.h"
#include "consent/disclosure.h"
#include "consent/delivery.h"
#include "consent/state.h"
#include "consent/terms.h"
#include "consent/wallet.h"
#include "cbor.h"
#include "inspect_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 16u
#define LINE_WIDTH 96u

static void put_hex(struct cl_page *page, const uint8_t *data, size_t length)
{
    char digits[3];
    for (size_t i = 0; i < length; i++) {
        cl_hex_encode(digits, data + i, 1);
        cl_page_put(page, digits, 2);
    }
}

static void put_indent(struct cl_page *page, unsigned depth)
{
    cl_page_put(page, "\n", 1);
    for (unsigned i = 0; i < depth; i++)
        cl_page_put(page, "  ", 2);
}

static void put_item(struct cl_page *page, struct cl_cbor_reader *reader, unsigned depth);

/* RFC 8949 section 8: text as in JSON. Control characters, those of Latin-1 too, could drive the reader's terminal. */
static void put_text(struct cl_page *page, struct cl_view text)
{
    cl_page_put(page, "\"", 1);
    for (size_t i = 0; i < text.length; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\')
            cl_page_say(page, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            cl_page_say(page, "\\u%04x", c);
        else if (c == 0xc2 && i + 1 < text.length && text.data[i + 1] < 0xa0)
            cl_page_say(page, "\\u%04x", text.data[++i]);
        else
            cl_page_put(page, (const char *)&text.data[i], 1);
    }
    cl_page_put(page, "\"", 1);
}

/* The first line of a text of anybody, as far as it is printable ASCII. */
static void put_first_line(struct cl_page *page, struct cl_view text)
{
    for (size_t i = 0; i < text.length && i < 200 && text.data[i] != '\n'; i++)
        cl_page_put(page, text.data[i] >= 0x20 && text.data[i] < 0x7f ? (const char *)&text.data[i] : "?", 1);
}

/* Whether a byte string is one array, map or tag in itself. Lengths of hashes, keys and signatures are left alone. */
static bool holds_cbor(struct cl_view bytes)
{
    if (bytes.length < 2 || bytes.length == 16 || bytes.length == 24 || bytes.length == 32 || bytes.length == 33 || bytes.length == 64)
        return false;
    if (bytes.data[0] < 0x80 || bytes.data[0] > 0xdb)
        return false;
    struct cl_buffer scratch = {0};
    struct cl_page page = {&scratch, CL_OK};
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, bytes.data, bytes.length);
    put_item(&page, &reader, DEPTH_MAX - 4); /* shallow: deeper ones are shown as bytes */
    cl_buffer_deinit(&scratch);
    return page.status == CL_OK && cl_cbor_finish(&reader) == CL_OK;
}

static void put_bytes(struct cl_page *page, struct cl_view bytes, unsigned depth)
{
    if (depth + 4 < DEPTH_MAX && holds_cbor(bytes)) {
        struct cl_cbor_reader inner;
        cl_cbor_reader_init(&inner, bytes.data, bytes.length);
        cl_page_put(page, "<< ", 3);
        put_item(page, &inner, depth);
        cl_page_put(page, " >>", 3);
        return;
    }
    cl_page_put(page, "h'", 2);
    put_hex(page, bytes.data, bytes.length);
    cl_page_put(page, "'", 1);
}

/* RFC 8949 section 4.2.1: keys in bytewise order of their encodings, each once. No item begins another, so the shorter
   length decides. */
static bool ascends(struct cl_view last, struct cl_view key)
{
    return memcmp(last.data, key.data, last.length < key.length ? last.length : key.length) < 0;
}

static void put_list(struct cl_page *page, struct cl_cbor_reader *reader, unsigned depth, bool map)
{
    size_t start = page->out->length, count = map ? cl_cbor_map(reader) : cl_cbor_array(reader);
    const uint8_t *from = reader->at;
    struct cl_view key = {NULL, 0};
    cl_page_put(page, map ? "{" : "[", 1);
    for (size_t i = 0; i < count && reader->status == CL_OK && page->status == CL_OK; i++) {
        put_indent(page, depth + 1);
        struct cl_view last = key;
        key.data = reader->at;
        put_item(page, reader, depth + 1);
        key.length = (size_t)(reader->at - key.data);
        if (map) {
            if (reader->status == CL_OK && i > 0 && !ascends(last, key))
                cl_cbor_fail(reader, CL_E_CBOR_NOT_CANONICAL);
            cl_page_put(page, ": ", 2);
            put_item(page, reader, depth + 1);
        }
        if (i + 1 < count)
            cl_page_put(page, ",", 1);
    }
    if (count > 0)
        put_indent(page, depth);
    cl_page_put(page, map ? "}" : "]", 1);
    /* A short list goes on one line. */
    if (reader->status == CL_OK && page->status == CL_OK && (size_t)(reader->at - from) <= LINE_WIDTH / 3) {
        char *text = (char *)page->out->data + start;
        size_t length = page->out->length - start, used = 0;
        for (size_t i = 0; i < length; i++) {
            if (text[i] != '\n') {
                text[used++] = text[i];
                continue;
            }
            while (i + 1 < length && text[i + 1] == ' ')
                i++;
            if (used > 0 && (text[used - 1] == ','))
                text[used++] = ' ';
        }
        page->out->length = start + used;
    }
}

static void put_item(struct cl_page *page, struct cl_cbor_reader *reader, unsigned depth)
{
    if (depth >= DEPTH_MAX) {
        cl_cbor_fail(reader, CL_E_CBOR_DEPTH);
        return;
    }
    enum cl_cbor_major major = cl_cbor_peek(reader);
    if (reader->status != CL_OK)
        return;
    switch (major) {
    case CL_CBOR_UINT:
        cl_page_say(page, "%llu", (unsigned long long)cl_cbor_uint(reader));
        return;
    case CL_CBOR_NINT:
        cl_page_say(page, "%lld", (long long)cl_cbor_int(reader));
        return;
    case CL_CBOR_BYTES:
        put_bytes(page, cl_cbor_bytes(reader), depth);
        return;
    case CL_CBOR_TEXT:
        put_text(page, cl_cbor_text(reader));
        return;
    case CL_CBOR_ARRAY:
    case CL_CBOR_MAP:
        put_list(page, reader, depth, major == CL_CBOR_MAP);
        return;
    case CL_CBOR_TAG:
        cl_page_say(page, "%llu(", (unsigned long long)cl_cbor_tag(reader));
        put_item(page, reader, depth + 1);
        cl_page_put(page, ")", 1);
        return;
    case CL_CBOR_SIMPLE:
        if (cl_cbor_null(reader))
            cl_page_put(page, "null", 4);
        else
            cl_page_say(page, "%s", cl_cbor_bool(reader) ? "true" : "false");
        return;
    }
}

enum cl_status cl_inspect_diagnostic(struct cl_buffer *out, const uint8_t *data, size_t length)
{
    struct cl_page page = {out, CL_OK};
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, data, length);
    put_item(&page, &reader, 0);
    cl_page_put(&page, "\n", 1);
    enum cl_status status = cl_cbor_finish(&reader);
    return status != CL_OK ? status : page.status;
}

/* ---- what it is */

static bool starts_with(const uint8_t *data, size_t length, const char *text) { return length >= strlen(text) && memcmp(data, text, strlen(text)) == 0; }

/* Texts: a policy has "log " or "witness " lines; a checkpoint has an em dash line after an empty one. */
static enum cl_file_kind text_kind(const uint8_t *data, size_t length)
{
    if (starts_with(data, length, "c2sp.org/tlog-proof"))
        return CL_FILE_TLOG_PROOF;
    bool line_begins = true, checkpoint = false, policy = false;
    for (size_t i = 0; i < length; i++) {
        if (data[i] == 0)
            return CL_FILE_UNKNOWN;
        policy = policy || (line_begins && (starts_with(data + i, length - i, "log ") || starts_with(data + i, length - i, "witness ")));
        checkpoint = checkpoint || (line_begins && starts_with(data + i, length - i, "\xe2\x80\x94 "));
        line_begins = data[i] == '\n';
    }
    return checkpoint ? CL_FILE_CHECKPOINT : policy ? CL_FILE_POLICY : CL_FILE_UNKNOWN;
}

/* Arrays that start with version 1: told apart by their number of items and the type of the second. */
static enum cl_file_kind array_kind(struct cl_cbor_reader *reader)
{
    size_t count = cl_cbor_array(reader);
    if (count < 2 || cl_cbor_peek(reader) != CL_CBOR_UINT || cl_cbor_uint(reader) != 1)
        return CL_FILE_CBOR;
    enum cl_cbor_major second = cl_cbor_peek(reader);
    if (second == CL_CBOR_TEXT) {
        struct cl_view magic = cl_cbor_text(reader);
        if (magic.length == 14 && memcmp(magic.data, "consent-wallet", 14) == 0)
            return CL_FILE_WALLET;
        if (magic.length == 14 && memcmp(magic.data, "consent-backup", 14) == 0)
            return CL_FILE_BACKUP;
        if (magic.length == 13 && memcmp(magic.data, "consent-offer", 13) == 0)
            return CL_FILE_OFFER;
        if (magic.length == 15 && memcmp(magic.data, "consent-contact", 15) == 0)
            return CL_FILE_CONTACT;
        if (magic.length == 11 && memcmp(magic.data, "consent-key", 11) == 0)
            return CL_FILE_STORE_KEY;
        if (magic.length == 13 && memcmp(magic.data, "consent-value", 13) == 0)
            return CL_FILE_STORE_VALUE;
        if (magic.length == 18 && memcmp(magic.data, "consent-disclosure", 18) == 0)
            return CL_FILE_DISCLOSURE;
        if (magic.length == 12 && memcmp(magic.data, "consent-uses", 12) == 0)
            return CL_FILE_USES_PROOF;
        if (magic.length == 22 && memcmp(magic.data, "consent-uses-statement", 22) == 0)
            return CL_FILE_USES_STATEMENT;
        if (magic.length == 15 && memcmp(magic.data, "consent-release", 15) == 0)
            return CL_FILE_SOURCE_RELEASE;
        if (magic.length == 14 && memcmp(magic.data, "consent-source", 14) == 0)
            return CL_FILE_SOURCE_POINTER;
        if (magic.length == 22 && memcmp(magic.data, "consent-source-request", 22) == 0)
            return CL_FILE_SOURCE_REQUEST;
        return CL_FILE_CBOR;
    }
    if (second == CL_CBOR_UINT)
        return CL_FILE_STATE_VALUE;
    if (second == CL_CBOR_BYTES && count == 5)
        return CL_FILE_BODY;
    if (second == CL_CBOR_BYTES && count == 8)
        return CL_FILE_STATE_PROOF;
    if (second == CL_CBOR_BYTES && count == 9)
        return CL_FILE_STATE_LEAF;
    return second == CL_CBOR_BYTES && count == 7 ? CL_FILE_ACCEPTANCE : CL_FILE_CBOR;
}

enum cl_file_kind cl_file_kind_of(const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    if (length == 0)
        return CL_FILE_UNKNOWN;
    if (data[0] == 0xd2) { /* tag 18, COSE_Sign1: a receipt has a null payload and a filled unprotected map */
        cl_cbor_reader_init(&reader, data, length);
        (void)cl_cbor_tag(&reader);
        cl_cbor_array_fixed(&reader, 4);
        (void)cl_cbor_bytes(&reader);
        size_t unprotected = cl_cbor_map(&reader);
        return unprotected > 0 ? CL_FILE_COSE_RECEIPT : CL_FILE_RECORD;
    }
    if (data[0] >= 0x80 && data[0] < 0xa0) {
        cl_cbor_reader_init(&reader, data, length);
        return array_kind(&reader);
    }
    if (data[0] == 0xa3 || data[0] == 0xa4)
        return CL_FILE_PAYLOAD;
    enum cl_file_kind kind = text_kind(data, length);
    if (kind != CL_FILE_UNKNOWN)
        return kind;
    cl_cbor_reader_init(&reader, data, length);
    (void)cl_cbor_skip(&reader);
    return cl_cbor_finish(&reader) == CL_OK ? CL_FILE_CBOR : CL_FILE_UNKNOWN;
}

const char *cl_file_kind_words(enum cl_file_kind kind)
{
    switch (kind) {
    case CL_FILE_UNKNOWN: return "nothing that this program knows";
    case CL_FILE_RECORD: return "a signed record (COSE_Sign1)";
    case CL_FILE_PAYLOAD: return "the payload of a record, not signed";
    case CL_FILE_STATE_PROOF: return "a proof of state (.consent-proof)";
    case CL_FILE_BODY: return "a terms body with its salts (.consent-body): for the two parties only";
    case CL_FILE_OFFER: return "an offer for the other side: for the two parties only";
    case CL_FILE_DISCLOSURE: return "some fields of a body, to be checked with a proof (.consent-disclosure)";
    case CL_FILE_CONTACT: return "a contact, under which somebody takes deliveries of one agreement: for the two parties only";
    case CL_FILE_SOURCE_RELEASE: return "a release of data at its source: for the holder and its customer only";
    case CL_FILE_SOURCE_POINTER: return "where data of a customer may be fetched: for the two parties of its agreement only";
    case CL_FILE_SOURCE_REQUEST: return "a request to a holder of a customer's data: for that holder only";
    case CL_FILE_WALLET: return "a wallet, sealed under a passphrase";
    case CL_FILE_BACKUP: return "a wallet's backup, sealed under its words";
    case CL_FILE_STORE_KEY: return "a key from the folder beside a wallet, sealed under its words";
    case CL_FILE_STORE_VALUE: return "a value of a vault, sealed under the key that another file has";
    case CL_FILE_STATE_VALUE: return "a state value";
    case CL_FILE_STATE_LEAF: return "a state leaf (the last leaf of a block)";
    case CL_FILE_ACCEPTANCE: return "a node's signed acceptance of a withdrawal";
    case CL_FILE_COSE_RECEIPT: return "a COSE receipt (RFC 9942)";
    case CL_FILE_CHECKPOINT: return "a checkpoint (C2SP signed note)";
    case CL_FILE_TLOG_PROOF: return "a receipt (C2SP tlog-proof)";
    case CL_FILE_POLICY: return "a trust file (C2SP tlog-policy)";
    case CL_FILE_CBOR: return "deterministic CBOR";
    case CL_FILE_USES_PROOF: return "a proof of an agreement's uses (.consent-uses): 'consent uses verify' checks it";
    case CL_FILE_USES_STATEMENT: return "what a statement of uses was made of, with its salts: for the organisation only";
    }
    assert(false);
    return "";
}

/* ---- in words */

static void say_time(struct cl_page *page, const char *label, uint64_t seconds)
{
    uint64_t days = seconds / 86400, rest = seconds % 86400;
    /* civil date from days (proleptic Gregorian); no time zone, no clock */
    uint64_t z = days + 719468, era = z / 146097, day_of_era = z - era * 146097;
    uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100), shifted = (5 * day_of_year + 2) / 153;
    uint64_t day = day_of_year - (153 * shifted + 2) / 5 + 1, month = shifted < 10 ? shifted + 3 : shifted - 9, year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    cl_page_say(page, "%s %04llu-%02llu-%02llu %02llu:%02llu:%02llu UTC\n", label, (unsigned long long)year, (unsigned long long)month, (unsigned long long)day,
        (unsigned long long)(rest / 3600), (unsigned long long)(rest / 60 % 60), (unsigned long long)(rest % 60));
}

static void say_bytes(struct cl_page *page, const char *label, const uint8_t *data, size_t length)
{
    cl_page_say(page, "%s ", label);
    put_hex(page, data, length);
    cl_page_put(page, "\n", 1);
}

static void say_slots(struct cl_page *page, const char *label, uint64_t slots)
{
    bool first = true;
    cl_page_say(page, "%s ", label);
    for (unsigned i = 0; i < 64; i++)
        if ((slots >> i & 1u) != 0) {
            cl_page_say(page, "%s%u", first ? "" : ", ", i);
            first = false;
        }
    cl_page_say(page, "%s\n", first ? "none" : "");
}

static void say_entry(struct cl_page *page, const struct cl_record *record, const struct cl_entry *entry)
{
    if (entry->object_length == 16) {
        struct cl_object_id id;
        cl_object_id_derive(&id, record->signer33, entry->object);
        say_bytes(page, "  opens", id.bytes, 32);
    } else {
        say_bytes(page, "  on", entry->object, 32);
    }
    if ((entry->present & CL_HAS(2)) != 0)
        say_bytes(page, "    after record", entry->prev, 32);
    if ((entry->present & CL_HAS(3)) != 0)
        say_bytes(page, "    commitment", entry->commitment, 32);
    if ((entry->present & CL_HAS(4)) != 0)
        say_time(page, "    from", entry->not_before);
    if ((entry->present & CL_HAS(5)) != 0)
        say_time(page, "    until", entry->not_after);
    if ((entry->present & CL_HAS(6)) != 0)
        cl_page_say(page, "    meant for somebody in particular (%s)\n", entry->audience_kind == CL_AUDIENCE_HASH ? "hidden until answered" : "who holds a token");
    if ((entry->present & CL_HAS(7)) != 0)
        say_bytes(page, "    opening", entry->opening, entry->opening_length);
    if ((entry->present & CL_HAS(8)) != 0)
        say_bytes(page, "    about", entry->ref, 32);
    if ((entry->present & CL_HAS(9)) != 0)
        say_slots(page, "    slots", entry->slots);
    if ((entry->present & CL_HAS(10)) != 0)
        cl_page_say(page, "    reason %u\n", entry->reason);
    if ((entry->present & CL_HAS(11)) != 0)
        cl_page_say(page, "    at most %llu agreements\n", (unsigned long long)entry->limit);
    if ((entry->present & CL_HAS(12)) != 0)
        say_bytes(page, "    key", entry->key, entry->key_length);
    if ((entry->present & CL_HAS(13)) != 0)
        say_bytes(page, "    in the name of profile", entry->party, 32);
    if ((entry->present & CL_HAS(14)) != 0)
        cl_page_say(page, "    %s %llu\n", record->type == CL_TERMS ? "mode" : "powers", (unsigned long long)entry->mode);
    if ((entry->present & CL_HAS(15)) != 0)
        say_bytes(page, "    recovery", entry->recovery, 32);
}

static enum cl_status words_of_record(struct cl_page *page, const uint8_t *data, size_t length, const struct cl_network_id *network)
{
    struct cl_network_id none = {{0}};
    struct cl_record *record = calloc(1, sizeof *record);
    uint32_t entry = 0;
    if (record == NULL)
        return CL_E_MEMORY;
    enum cl_status status = cl_record_decode(record, &entry, data, length, network == NULL ? &none : network);
    if (status == CL_OK) {
        struct cl_public_key signer;
        char did[CL_DID_KEY_SIZE];
        memcpy(signer.bytes, record->signer33, 33);
        cl_did_key_encode(did, &signer);
        cl_page_say(page, "%s, signed by %s\n", cl_record_type_name((uint64_t)record->type), did);
        say_time(page, "signed at", record->issued_at_ms / 1000);
        if (network != NULL) {
            say_bytes(page, "record id", record->id.bytes, 32);
            cl_page_say(page, "signature %s\n", cl_record_check_signature(record) == CL_OK ? "holds for this network" : "does NOT hold for this network");
        } else {
            cl_page_say(page, "record id and signature depend on the network, which was not given\n");
        }
        say_bytes(page, "leaf hash", record->leaf_hash.bytes, 32);
        for (size_t i = 0; i < record->entry_count; i++)
            say_entry(page, record, &record->entries[i]);
        cl_record_deinit(record);
    } else {
        cl_page_say(page, "not a usable record: %s (%s, entry %u)\n", cl_status_sentence(status), cl_status_code(status), entry);
    }
    free(record);
    return page->status;
}

static void words_of_agreement(struct cl_page *page, const struct cl_agreement *agreement)
{
    cl_page_say(page, "an agreement, %s\n", cl_agreement_status_name((enum cl_agreement_status)agreement->status));
    say_bytes(page, "customer", agreement->customer.bytes, agreement->customer.length);
    say_bytes(page, "other side", agreement->organisation.bytes, agreement->organisation.length);
    say_bytes(page, "commitment", agreement->commitment, 32);
    if (agreement->not_before.present)
        say_time(page, "from", agreement->not_before.seconds);
    if (agreement->not_after.present)
        say_time(page, "until", agreement->not_after.seconds);
    say_slots(page, "live slots", agreement->live);
    say_slots(page, "to be erased", agreement->due);
    if (agreement->suspended != 0)
        cl_page_say(page, "suspended by %s\n", agreement->suspended == 3 ? "both" : agreement->suspended == 1 ? "the customer" : "the other side");
}

static enum cl_status words_of_state(struct cl_page *page, const uint8_t *data, size_t length)
{
    enum cl_state_kind kind;
    enum cl_status status = cl_state_kind_of(&kind, data, length);
    if (status != CL_OK)
        return status;
    if (kind == CL_STATE_AGREEMENT) {
        struct cl_agreement agreement;
        status = cl_agreement_decode(&agreement, data, length);
        if (status == CL_OK)
            words_of_agreement(page, &agreement);
    } else if (kind == CL_STATE_TERMS) {
        struct cl_terms terms;
        status = cl_terms_decode(&terms, data, length);
        if (status == CL_OK) {
            cl_page_say(page, "standing terms, %s; %llu of %llu agreements\n", terms.open ? "open" : "closed", (unsigned long long)terms.answers, (unsigned long long)terms.limit);
            say_bytes(page, "owner", terms.owner, 33);
            say_slots(page, "slots", terms.slots);
        }
    } else if (kind == CL_STATE_PROFILE) {
        struct cl_profile profile;
        status = cl_profile_decode(&profile, data, length);
        if (status == CL_OK)
            say_bytes(page, "a profile; its key is", profile.key, 33);
    } else {
        cl_page_say(page, kind == CL_STATE_NETWORK ? "the network: parameters and members\n" : "which agreement answers terms\n");
    }
    return status;
}

static enum cl_status words_of_body(struct cl_page *page, const uint8_t *data, size_t length)
{
    struct cl_body_file *file = malloc(sizeof *file);
    struct cl_commitment commitment;
    enum cl_status status = file == NULL ? CL_E_MEMORY : cl_body_file_decode(file, data, length);
    if (status == CL_OK) {
        cl_body_file_commitment(&commitment, file);
        say_bytes(page, "object", file->object.bytes, 32);
        say_bytes(page, "commitment", commitment.bytes, 32);
        cl_page_say(page, "%zu fields, %zu of them disclosed\n", file->digest_count, file->disclosure_count);
        if (page->status == CL_OK)
            status = cl_body_file_words(page->out, file);
    }
    free(file);
    return status;
}

static enum cl_status words_of_disclosure(struct cl_page *page, const uint8_t *data, size_t length)
{
    struct cl_disclosure_file *file = malloc(sizeof *file);
    struct cl_commitment commitment;
    char did[CL_DID_KEY_SIZE];
    enum cl_status status = file == NULL ? CL_E_MEMORY : cl_disclosure_decode(file, data, length);
    if (status == CL_OK) {
        cl_body_file_commitment(&commitment, &file->body);
        say_bytes(page, "object", file->body.object.bytes, 32);
        say_bytes(page, "commitment", commitment.bytes, 32);
        if (file->addressed && file->address.has_recipient) {
            cl_did_key_encode(did, &file->address.recipient);
            cl_page_say(page, "for %s\n", did);
        }
        if (file->addressed) {
            if (file->address.nonce[0] != '\0')
                cl_page_say(page, "nonce %s\n", file->address.nonce);
            cl_did_key_encode(did, &file->address.signer);
            cl_page_say(page, "signed by %s (whether the signature holds depends on the network)\n", did);
            say_time(page, "signed at", file->address.time_ms / 1000);
        }
        cl_page_say(page, "%zu field%s shown:\n", file->body.disclosure_count, file->body.disclosure_count == 1 ? "" : "s");
        if (page->status == CL_OK)
            page->status = cl_body_file_words(page->out, &file->body);
        cl_page_say(page, "whether they belong to an agreement: consent verify PROOF --policy POLICY --disclosure FILE\n");
    }
    free(file);
    return status;
}

static enum cl_status words_of_contact(struct cl_page *page, const uint8_t *data, size_t length)
{
    struct cl_contact contact;
    enum cl_status status = cl_contact_decode(&contact, data, length);
    if (status != CL_OK)
        return status;
    say_bytes(page, "agreement", contact.agreement.bytes, 32);
    cl_page_say(page, "of %s\n", contact.side == CL_SIDE_CUSTOMER ? "the customer" : "the organisation's side");
    say_bytes(page, "signed with", contact.signer.bytes, 33);
    say_bytes(page, "deliveries are sealed to", contact.delivery32, 32);
    say_time(page, "made at", contact.made_ms / 1000);
    return page->status;
}

void cl_inspect_bytes(struct cl_page *page, const char *label, const uint8_t *data, size_t length) { say_bytes(page, label, data, length); }
void cl_inspect_time(struct cl_page *page, const char *label, uint64_t seconds) { say_time(page, label, seconds); }

/* The parts of a proof that say what it is about; whether it holds is for `verify`. */
static enum cl_status words_of_proof(struct cl_page *page, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_array_fixed(&reader, 8);
    (void)cl_cbor_uint(&reader);
    struct cl_view checkpoint = cl_cbor_bytes(&reader), leaf = cl_cbor_bytes(&reader);
    (void)cl_cbor_skip(&reader);
    const uint8_t *object = cl_cbor_bytes_fixed(&reader, 32);
    size_t parts = cl_cbor_array(&reader);
    uint64_t kind = cl_cbor_uint(&reader);
    struct cl_view value = {NULL, 0};
    if (parts == 3 && kind == 1)
        value = cl_cbor_bytes(&reader);
    if (reader.status != CL_OK)
        return reader.status;
    say_bytes(page, "about", object, 32);
    cl_page_say(page, "checkpoint (%zu bytes) of ", checkpoint.length);
    put_first_line(page, checkpoint);
    cl_page_say(page, "; state leaf of %zu bytes\n", leaf.length);
    if (value.length == 0)
        cl_page_say(page, "it shows that there is no such object\n");
    else if (words_of_state(page, value.data, value.length) != CL_OK)
        cl_page_say(page, "its state value is not readable\n");
    cl_page_say(page, "whether it holds: consent verify FILE --policy POLICY\n");
    return page->status;
}

enum cl_status cl_inspect_words(struct cl_buffer *out, const uint8_t *data, size_t length, const struct cl_network_id *network)
{
    struct cl_page page = {out, CL_OK};
    struct cl_offer offer;
    enum cl_file_kind kind = cl_file_kind_of(data, length);
    enum cl_status status = CL_OK;
    cl_page_say(&page, "This is %s, %zu bytes.\n", cl_file_kind_words(kind), length);
    switch (kind) {
    case CL_FILE_RECORD: status = words_of_record(&page, data, length, network); break;
    case CL_FILE_STATE_VALUE: status = words_of_state(&page, data, length); break;
    case CL_FILE_BODY: status = words_of_body(&page, data, length); break;
    case CL_FILE_DISCLOSURE: status = words_of_disclosure(&page, data, length); break;
    case CL_FILE_CONTACT: status = words_of_contact(&page, data, length); break;
    case CL_FILE_STATE_PROOF: status = words_of_proof(&page, data, length); break;
    case CL_FILE_SOURCE_RELEASE:
    case CL_FILE_SOURCE_POINTER:
    case CL_FILE_SOURCE_REQUEST: status = cl_inspect_source(&page, kind, data, length); break;
    case CL_FILE_OFFER:
        status = cl_offer_decode(&offer, data, length);
        if (status == CL_OK) {
            say_bytes(&page, "network", offer.network.bytes, 32);
            cl_page_say(&page, "%s\n", offer.has_audience_salt ? "meant for somebody in particular; the salt that shows it is inside" : "anybody may answer");
            status = offer.body_file.length > 0 ? words_of_body(&page, offer.body_file.data, offer.body_file.length) : CL_OK;
        }
        break;
    case CL_FILE_CHECKPOINT:
    case CL_FILE_TLOG_PROOF:
    case CL_FILE_POLICY:
    case CL_FILE_UNKNOWN:
    case CL_FILE_PAYLOAD:
    case CL_FILE_WALLET:
    case CL_FILE_BACKUP:
    case CL_FILE_STORE_KEY:
    case CL_FILE_STORE_VALUE:
    case CL_FILE_STATE_LEAF:
    case CL_FILE_ACCEPTANCE:
    case CL_FILE_COSE_RECEIPT:
    case CL_FILE_USES_PROOF:
    case CL_FILE_USES_STATEMENT:
    case CL_FILE_CBOR: break;
    }
    if (status != CL_OK)
        cl_page_say(&page, "It is not in order: %s (%s)\n", cl_status_sentence(status), cl_status_code(status));
    return page.status;
}
