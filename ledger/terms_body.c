/* The body: what is committed to. Each field stands behind its own salted digest, so that any of them can be shown
   alone (in the manner of SD-JWT), and the digests say nothing without the salts.

   Names and values of disclosures, category "terms":
     the keys of CL_TERMS_FIELD_TABLE: tstr (template as a full IRI)
     "slot-N", N = 0..63: [ name: tstr, category: IRI, [ 1*16 purpose IRI ], [ *16 processing ], [ *16 recipient: tstr ],
                            retention: tstr / null, delivery period: tstr / null, delivery format: tstr / null,
                            ? from: 2 ]     ; 2: the organisation gives the data; left out where the customer does
     "text-hash": bstr .size 32, SHA-256 of the text file that was signed */
#include "consent/disclosure.h"
#include "consent/record.h"
#include "cbor.h"
#include "crypto.h"
#include "terms_text.h"

#include <stdio.h>
#include <stdlib.h>

#define BODY_CATEGORY "terms"
#define FROM_ORGANISATION 2u

static void put_iri(struct cl_cbor_writer *writer, const char *value)
{
    struct cl_buffer iri = {0};
    if (cl_vocabulary_expand(&iri, value) == CL_OK)
        cl_cbor_put_text(writer, (const char *)iri.data, iri.length);
    else
        cl_cbor_put_text(writer, value, strlen(value));
    cl_buffer_deinit(&iri);
}

static void put_optional_text(struct cl_cbor_writer *writer, const char *value)
{
    if (value == NULL)
        cl_cbor_put_null(writer);
    else
        cl_cbor_put_text(writer, value, strlen(value));
}

static void put_slot(struct cl_cbor_writer *writer, const struct cl_terms_slot *slot)
{
    cl_cbor_put_array(writer, slot->from_organisation ? 9 : 8);
    cl_cbor_put_text(writer, slot->name, strlen(slot->name));
    put_iri(writer, slot->category);
    cl_cbor_put_array(writer, slot->purpose_count);
    for (size_t i = 0; i < slot->purpose_count; i++)
        put_iri(writer, slot->purposes[i]);
    cl_cbor_put_array(writer, slot->processing_count);
    for (size_t i = 0; i < slot->processing_count; i++)
        put_iri(writer, slot->processing[i]);
    cl_cbor_put_array(writer, slot->recipient_count);
    for (size_t i = 0; i < slot->recipient_count; i++)
        cl_cbor_put_text(writer, slot->recipients[i], strlen(slot->recipients[i]));
    put_optional_text(writer, slot->retention);
    put_optional_text(writer, slot->delivery_period);
    put_optional_text(writer, slot->delivery_format);
    if (slot->from_organisation)
        cl_cbor_put_uint(writer, FROM_ORGANISATION);
}

/* Opens the disclosure: [ salt, name, … ; the caller writes the value. */
static struct cl_buffer *begin_disclosure(struct cl_body *body, struct cl_cbor_writer *writer, const uint8_t seed32[32], const char *name)
{
    struct cl_buffer *disclosure = &body->disclosures[body->disclosure_count++];
    disclosure->secret = true;
    uint8_t salt[32];
    struct cl_sha256 sha;
    cl_sha256_domain(&sha, "consent/v1 disclosure salt");
    cl_sha256_update(&sha, seed32, 32);
    cl_sha256_update(&sha, name, strlen(name));
    cl_sha256_final(&sha, salt);
    cl_wipe(&sha, sizeof sha); /* the seed was in it */
    cl_cbor_writer_init(writer, disclosure);
    cl_cbor_put_array(writer, 3);
    cl_cbor_put_bytes(writer, salt, 16);
    cl_cbor_put_text(writer, name, strlen(name));
    cl_wipe(salt, sizeof salt);
    return disclosure;
}

static enum cl_status end_disclosure(const struct cl_cbor_writer *writer, const struct cl_buffer *disclosure)
{
    if (writer->status != CL_OK)
        return writer->status;
    return disclosure->length > CL_DISCLOSURE_BYTES_MAX ? CL_E_BOUND : CL_OK;
}

static enum cl_status make_disclosures(struct cl_body *body, const struct cl_terms_text *text, const uint8_t seed32[32])
{
    struct cl_cbor_writer writer;
    enum cl_status status = CL_OK;
    for (unsigned i = 0; i < CL_FIELD_COUNT && status == CL_OK; i++) {
        if (text->fields[i] == NULL)
            continue;
        struct cl_buffer *disclosure = begin_disclosure(body, &writer, seed32, cl_terms_field_key((enum cl_terms_field)i));
        if (i == CL_FIELD_TEMPLATE)
            put_iri(&writer, text->fields[i]);
        else
            cl_cbor_put_text(&writer, text->fields[i], strlen(text->fields[i]));
        status = end_disclosure(&writer, disclosure);
    }
    for (size_t i = 0; i < text->slot_count && status == CL_OK; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "slot-%u", text->slots[i].number);
        struct cl_buffer *disclosure = begin_disclosure(body, &writer, seed32, name);
        put_slot(&writer, &text->slots[i]);
        status = end_disclosure(&writer, disclosure);
    }
    if (status == CL_OK && text->has_text_hash) {
        struct cl_buffer *disclosure = begin_disclosure(body, &writer, seed32, "text-hash");
        cl_cbor_put_bytes(&writer, text->text_hash, 32);
        status = end_disclosure(&writer, disclosure);
    }
    return status;
}

struct digest { uint8_t bytes[32]; };

/* Sorts disclosures by digest (insertion: at most 256); so their order tells nothing either. */
static void sort_disclosures(struct cl_body *body, struct digest *digests)
{
    for (size_t i = 0; i < body->disclosure_count; i++) {
        struct cl_buffer disclosure = body->disclosures[i];
        struct digest digest = {{0}};
        cl_sha256_once(digest.bytes, disclosure.data, disclosure.length);
        size_t k = i;
        for (; k > 0 && memcmp(digests[k - 1].bytes, digest.bytes, 32) > 0; k--) {
            digests[k] = digests[k - 1];
            body->disclosures[k] = body->disclosures[k - 1];
        }
        digests[k] = digest;
        body->disclosures[k] = disclosure;
    }
}

#define DECOYS_UP_TO 16u

/* Hashes that nothing lies behind, among the digests of a profile. Returns: the number of digests then. */
static size_t add_decoys(struct digest *digests, size_t count, const uint8_t seed32[32])
{
    size_t wanted = (count + DECOYS_UP_TO - 1) / DECOYS_UP_TO * DECOYS_UP_TO;
    for (; count < wanted; count++) {
        struct digest decoy;
        struct cl_sha256 sha;
        uint8_t number = (uint8_t)count;
        size_t k = count;
        cl_sha256_domain(&sha, "consent/v1 decoy");
        cl_sha256_update(&sha, seed32, 32);
        cl_sha256_update(&sha, &number, 1);
        cl_sha256_final(&sha, decoy.bytes);
        cl_wipe(&sha, sizeof sha); /* the seed was in it */
        for (; k > 0 && memcmp(digests[k - 1].bytes, decoy.bytes, 32) > 0; k--)
            digests[k] = digests[k - 1];
        digests[k] = decoy;
    }
    return count;
}
static_assert(CL_BODY_FIELDS_MAX % DECOYS_UP_TO == 0, "a full body needs no more room for decoys");

/* The disclosures are there (status says whether): sort them and put their digests into the body. decoy_seed32: NULL
   for none. */
static enum cl_status complete_body(struct cl_body *body, const char *category, const uint8_t *decoy_seed32, enum cl_status status)
{
    struct digest digests[CL_BODY_FIELDS_MAX];
    if (status == CL_OK) {
        sort_disclosures(body, digests);
        size_t count = decoy_seed32 == NULL ? body->disclosure_count : add_decoys(digests, body->disclosure_count, decoy_seed32);
        struct cl_cbor_writer writer;
        cl_cbor_writer_init(&writer, &body->bytes);
        cl_cbor_put_array(&writer, 3);
        cl_cbor_put_uint(&writer, 1);
        cl_cbor_put_text(&writer, category, strlen(category));
        cl_cbor_put_array(&writer, count);
        for (size_t i = 0; i < count; i++)
            cl_cbor_put_bytes(&writer, digests[i].bytes, 32);
        status = writer.status;
    }
    if (status != CL_OK)
        cl_body_deinit(body);
    return status;
}

enum cl_status cl_body_make(struct cl_body *out, const struct cl_terms_text *text, const uint8_t seed32[32])
{
    *out = (struct cl_body){0};
    return complete_body(out, BODY_CATEGORY, NULL, make_disclosures(out, text, seed32));
}

enum cl_status cl_body_make_fields(struct cl_body *out, const char *category, const char *const *names, const char *const *values, size_t count, const uint8_t seed32[32])
{
    struct cl_cbor_writer writer;
    enum cl_status status = count == 0 || count > CL_BODY_FIELDS_MAX ? CL_E_BOUND : CL_OK;
    *out = (struct cl_body){0};
    for (size_t i = 0; i < count && status == CL_OK; i++) {
        struct cl_buffer *disclosure = begin_disclosure(out, &writer, seed32, names[i]);
        cl_cbor_put_text(&writer, values[i], strlen(values[i]));
        status = end_disclosure(&writer, disclosure);
    }
    return complete_body(out, category, NULL, status);
}

static void put_bound(struct cl_cbor_writer *writer, bool present, int64_t bound)
{
    if (present)
        cl_cbor_put_int(writer, bound);
    else
        cl_cbor_put_null(writer);
}

/* The value of an attribute (formats.cddl). */
static void put_attribute(struct cl_cbor_writer *writer, const struct cl_body_field *field)
{
    struct cl_buffer category = {0}, iri = {0};
    enum cl_status status = cl_buffer_append(&category, field->category.data, field->category.length);
    if (status == CL_OK)
        status = cl_buffer_append(&category, "", 1);
    if (status == CL_OK)
        status = cl_vocabulary_expand(&iri, (const char *)category.data);
    cl_cbor_put_array(writer, 2);
    cl_cbor_put_text(writer, (const char *)iri.data, iri.length);
    switch (field->kind) {
    case CL_FIELD_TEXT: cl_cbor_put_text(writer, (const char *)field->text.data, field->text.length); break;
    case CL_FIELD_YES_NO: cl_cbor_put_raw(writer, field->yes ? "\xf5" : "\xf4", 1); break;
    case CL_FIELD_RANGE:
        cl_cbor_put_array(writer, 2);
        put_bound(writer, field->has_low, field->low);
        put_bound(writer, field->has_high, field->high);
        break;
    case CL_FIELD_OTHER: status = CL_E_ARGUMENT; break;
    }
    if (writer->status == CL_OK)
        writer->status = status;
    cl_buffer_deinit(&category);
    cl_buffer_deinit(&iri);
}

enum cl_status cl_body_make_profile(struct cl_body *out, const struct cl_profile_text *profile, const uint8_t seed32[32])
{
    struct cl_cbor_writer writer;
    enum cl_status status = profile->count == 0 ? CL_E_BOUND : CL_OK;
    *out = (struct cl_body){0};
    for (size_t i = 0; i < profile->count && status == CL_OK; i++) {
        char name[CL_FIELD_NAME_BYTES_MAX + 1];
        (void)snprintf(name, sizeof name, "%.*s", (int)profile->fields[i].name.length, (const char *)profile->fields[i].name.data);
        struct cl_buffer *disclosure = begin_disclosure(out, &writer, seed32, name);
        put_attribute(&writer, &profile->fields[i]);
        status = end_disclosure(&writer, disclosure);
    }
    return complete_body(out, "profile", seed32, status);
}

void cl_body_deinit(struct cl_body *body)
{
    for (size_t i = 0; i < body->disclosure_count; i++)
        cl_buffer_wipe(&body->disclosures[i]);
    cl_buffer_wipe(&body->bytes);
    *body = (struct cl_body){0};
}

enum cl_status cl_body_file_encode(struct cl_buffer *out, const struct cl_object_id *object, const uint8_t salt32[32], const struct cl_body *body)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 5);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_bytes(&writer, object->bytes, 32);
    cl_cbor_put_bytes(&writer, salt32, 32);
    cl_cbor_put_bytes(&writer, body->bytes.data, body->bytes.length);
    cl_cbor_put_array(&writer, body->disclosure_count);
    for (size_t i = 0; i < body->disclosure_count; i++)
        cl_cbor_put_bytes(&writer, body->disclosures[i].data, body->disclosures[i].length);
    return writer.status;
}

/* The body's own form; digests: count x 32 bytes, borrowed one by one. */
static enum cl_status read_body(struct cl_body_file *file, const uint8_t *digests[CL_BODY_FIELDS_MAX])
{
    struct cl_cbor_reader reader;
    if (file->body.length > CL_BODY_BYTES_MAX)
        return CL_E_BOUND;
    cl_cbor_reader_init(&reader, file->body.data, file->body.length);
    cl_cbor_array_fixed(&reader, 3);
    uint64_t version = cl_cbor_uint(&reader);
    file->category = cl_cbor_text(&reader);
    size_t count = cl_cbor_array(&reader);
    if (reader.status == CL_OK && (count == 0 || count > CL_BODY_FIELDS_MAX))
        return CL_E_BOUND;
    for (size_t i = 0; i < count && reader.status == CL_OK; i++) {
        digests[i] = cl_cbor_bytes_fixed(&reader, 32);
        if (i > 0 && reader.status == CL_OK && memcmp(digests[i - 1], digests[i], 32) >= 0)
            cl_cbor_fail(&reader, CL_E_FORMAT);
    }
    file->digest_count = count;
    enum cl_status status = cl_cbor_finish(&reader);
    return status != CL_OK ? status : version != 1 ? CL_E_VERSION : CL_OK;
}

static enum cl_status check_disclosures(const struct cl_body_file *file, const uint8_t *const digests[CL_BODY_FIELDS_MAX])
{
    size_t at = 0;
    for (size_t i = 0; i < file->disclosure_count; i++) {
        struct cl_view disclosure = file->disclosures[i];
        uint8_t digest[32];
        if (disclosure.length > CL_DISCLOSURE_BYTES_MAX)
            return CL_E_BOUND;
        cl_sha256_once(digest, disclosure.data, disclosure.length);
        while (at < file->digest_count && memcmp(digests[at], digest, 32) != 0)
            at++;
        if (at == file->digest_count)
            return CL_E_BODY;
        at++;
        struct cl_cbor_reader reader;
        cl_cbor_reader_init(&reader, disclosure.data, disclosure.length);
        cl_cbor_array_fixed(&reader, 3);
        (void)cl_cbor_bytes_fixed(&reader, 16);
        (void)cl_cbor_text(&reader);
        (void)cl_cbor_skip(&reader);
        enum cl_status status = cl_cbor_finish(&reader);
        if (status != CL_OK)
            return status;
    }
    return CL_OK;
}

enum cl_status cl_body_file_decode(struct cl_body_file *out, const uint8_t *data, size_t length)
{
    const uint8_t *digests[CL_BODY_FIELDS_MAX];
    struct cl_cbor_reader reader;
    *out = (struct cl_body_file){0};
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_array_fixed(&reader, 5);
    uint64_t version = cl_cbor_uint(&reader);
    const uint8_t *object = cl_cbor_bytes_fixed(&reader, 32), *salt = cl_cbor_bytes_fixed(&reader, 32);
    out->body = cl_cbor_bytes(&reader);
    size_t count = cl_cbor_array(&reader);
    if (reader.status == CL_OK && count > CL_BODY_FIELDS_MAX)
        return CL_E_BOUND;
    for (size_t i = 0; i < count && reader.status == CL_OK; i++)
        out->disclosures[i] = cl_cbor_bytes(&reader);
    out->disclosure_count = count;
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK && version != 1)
        status = CL_E_VERSION;
    if (status == CL_OK)
        status = read_body(out, digests);
    if (status == CL_OK)
        status = check_disclosures(out, digests);
    if (status != CL_OK)
        return status;
    memcpy(out->object.bytes, object, 32);
    memcpy(out->salt32, salt, 32);
    return CL_OK;
}

void cl_body_file_commitment(struct cl_commitment *out, const struct cl_body_file *file)
{
    cl_commitment_derive(out, &file->object, file->salt32, file->body.data, file->body.length);
}

/* ---- from disclosures back to the text */

/* Text without control characters: it will be shown on terminals. */
static const char *get_text(struct cl_cbor_reader *reader, struct cl_terms_text *text, bool iri)
{
    struct cl_view value = cl_cbor_text(reader);
    if (reader->status == CL_OK && !cl_terms_value_plain((const char *)value.data, value.length))
        cl_cbor_fail(reader, CL_E_FORMAT);
    if (reader->status != CL_OK)
        return NULL;
    struct cl_buffer shorter = {0};
    const char *kept = NULL;
    if (!iri)
        kept = cl_terms_text_keep(text, (const char *)value.data, value.length);
    else if (cl_vocabulary_shorten(&shorter, (const char *)value.data, value.length) == CL_OK)
        kept = cl_terms_text_keep(text, (const char *)shorter.data, shorter.length);
    cl_buffer_deinit(&shorter);
    if (kept == NULL)
        cl_cbor_fail(reader, CL_E_BOUND);
    return kept;
}

static const char *get_optional_text(struct cl_cbor_reader *reader, struct cl_terms_text *text)
{
    return cl_cbor_null(reader) ? NULL : get_text(reader, text, false);
}

static size_t get_list(struct cl_cbor_reader *reader, struct cl_terms_text *text, const char **list, bool iri)
{
    size_t count = cl_cbor_array(reader);
    if (count > CL_SLOT_LIST_MAX) {
        cl_cbor_fail(reader, CL_E_BOUND);
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        list[i] = get_text(reader, text, iri);
    return count;
}

static void get_slot(struct cl_cbor_reader *reader, struct cl_terms_text *text, struct cl_terms_slot *slot)
{
    size_t items = cl_cbor_array(reader);
    if (reader->status == CL_OK && items != 8 && items != 9)
        cl_cbor_fail(reader, CL_E_FORMAT);
    slot->name = get_text(reader, text, false);
    slot->category = get_text(reader, text, true);
    slot->purpose_count = get_list(reader, text, slot->purposes, true);
    slot->processing_count = get_list(reader, text, slot->processing, true);
    slot->recipient_count = get_list(reader, text, slot->recipients, false);
    slot->retention = get_optional_text(reader, text);
    slot->delivery_period = get_optional_text(reader, text);
    slot->delivery_format = get_optional_text(reader, text);
    slot->from_organisation = items == 9;
    if (items == 9 && cl_cbor_uint(reader) != FROM_ORGANISATION)
        cl_cbor_fail(reader, CL_E_VALUE);
    struct cl_terms_fault fault;
    if (reader->status == CL_OK && !cl_terms_slot_usable(slot, &fault))
        cl_cbor_fail(reader, CL_E_VALUE);
}

static bool name_is(struct cl_view name, const char *text) { return name.length == strlen(text) && memcmp(name.data, text, name.length) == 0; }

/* "slot-0" to "slot-63", no leading zero. Returns: the number, or CL_SLOTS_MAX. */
unsigned cl_terms_slot_number(struct cl_view name)
{
    if (name.length < 6 || name.length > 7 || memcmp(name.data, "slot-", 5) != 0)
        return CL_SLOTS_MAX;
    unsigned number = 0;
    for (size_t i = 5; i < name.length; i++) {
        if (name.data[i] < '0' || name.data[i] > '9')
            return CL_SLOTS_MAX;
        number = 10 * number + (unsigned)(name.data[i] - '0');
    }
    return number < CL_SLOTS_MAX && (name.length == 6) == (number < 10) ? number : CL_SLOTS_MAX;
}

static struct cl_terms_slot *insert_slot(struct cl_terms_text *text, unsigned number)
{
    size_t at = text->slot_count;
    while (at > 0 && text->slots[at - 1].number > number)
        at--;
    if (at > 0 && text->slots[at - 1].number == number)
        return NULL;
    memmove(&text->slots[at + 1], &text->slots[at], (text->slot_count - at) * sizeof text->slots[0]);
    text->slots[at] = (struct cl_terms_slot){.number = (uint8_t)number};
    text->slot_count++;
    return &text->slots[at];
}

static enum cl_status read_disclosure(struct cl_terms_text *text, struct cl_view disclosure)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, disclosure.data, disclosure.length);
    cl_cbor_array_fixed(&reader, 3);
    (void)cl_cbor_bytes_fixed(&reader, 16);
    struct cl_view name = cl_cbor_text(&reader);
    unsigned number = cl_terms_slot_number(name);
    if (number < CL_SLOTS_MAX) {
        struct cl_terms_slot *slot = insert_slot(text, number);
        if (slot == NULL)
            return CL_E_FORMAT;
        get_slot(&reader, text, slot);
        return cl_cbor_finish(&reader);
    }
    if (name_is(name, "text-hash")) {
        const uint8_t *hash = cl_cbor_bytes_fixed(&reader, 32);
        if (text->has_text_hash)
            return CL_E_FORMAT;
        if (hash != NULL)
            memcpy(text->text_hash, hash, 32);
        text->has_text_hash = true;
        return cl_cbor_finish(&reader);
    }
    for (unsigned i = 0; i < CL_FIELD_COUNT; i++) {
        if (!name_is(name, cl_terms_field_key((enum cl_terms_field)i)))
            continue;
        struct cl_terms_fault fault;
        if (text->fields[i] != NULL)
            return CL_E_FORMAT;
        text->fields[i] = get_text(&reader, text, i == CL_FIELD_TEMPLATE);
        if (reader.status == CL_OK && !cl_terms_field_usable((enum cl_terms_field)i, text->fields[i], &fault))
            return CL_E_VALUE;
        return cl_cbor_finish(&reader);
    }
    return CL_OK; /* a field that this version does not know: committed to, not shown */
}

enum cl_status cl_body_file_text(struct cl_terms_text **out, const struct cl_body_file *file)
{
    struct cl_terms_text *text = NULL;
    size_t bytes = 64;
    if (!name_is(file->category, BODY_CATEGORY))
        return CL_E_UNSUPPORTED;
    for (size_t i = 0; i < file->disclosure_count; i++)
        bytes += 2 * file->disclosures[i].length;
    enum cl_status status = cl_terms_text_new(&text, bytes);
    for (size_t i = 0; i < file->disclosure_count && status == CL_OK; i++)
        status = read_disclosure(text, file->disclosures[i]);
    if (status != CL_OK) {
        cl_terms_text_free(text);
        return status;
    }
    *out = text;
    return CL_OK;
}
