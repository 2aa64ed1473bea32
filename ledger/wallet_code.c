/* Connect codes (include/consent/code.h). The body travels without its digests, which follow from the disclosures: two
   fifths of it, and a QR code has little room. */
#include "base45.h"
#include "cbor.h"
#include "consent/code.h"
#include "consent/terms.h"
#include "crypto.h"
#include "reception.h"

#include <assert.h>
#include <stdlib.h>

#define PREFIX_LENGTH (sizeof CL_CODE_PREFIX - 1)
static_assert(CL_CODE_TEXT_BYTES_MAX >= PREFIX_LENGTH + CL_BASE45_LENGTH(CL_CODE_BYTES_MAX), "the longest code has a text");

void cl_code_deinit(struct cl_code *code)
{
    cl_buffer_wipe(&code->body_file);
    cl_wipe_bytes(code, sizeof *code);
}

bool cl_code_url_usable(const char *url, size_t length)
{
    bool web = (length > 7 && memcmp(url, "http://", 7) == 0) || (length > 8 && memcmp(url, "https://", 8) == 0);
    for (size_t i = 0; i < length; i++)
        web = web && url[i] > ' ' && url[i] < 0x7f;
    return web && length <= CL_CODE_URL_BYTES_MAX;
}

static void put_body(struct cl_cbor_writer *writer, const struct cl_code *code)
{
    struct cl_body_file *file = malloc(sizeof *file);
    enum cl_status status = file == NULL ? CL_E_MEMORY : cl_body_file_decode(file, code->body_file.data, code->body_file.length);
    if (status == CL_OK && memcmp(file->object.bytes, code->object.bytes, 32) != 0)
        status = CL_E_ARGUMENT;
    if (status == CL_OK && file->disclosure_count != file->digest_count)
        status = CL_E_BODY;
    if (status == CL_OK) {
        cl_cbor_put_array(writer, 3);
        cl_cbor_put_bytes(writer, file->salt32, 32);
        cl_cbor_put_text(writer, (const char *)file->category.data, file->category.length);
        cl_cbor_put_array(writer, file->disclosure_count);
        for (size_t i = 0; i < file->disclosure_count; i++)
            cl_cbor_put_bytes(writer, file->disclosures[i].data, file->disclosures[i].length);
    } else {
        writer->status = status;
    }
    if (file != NULL)
        cl_wipe_bytes(file, sizeof *file);
    free(file);
}

static enum cl_status put_code(struct cl_buffer *out, const struct cl_code *code)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 9);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_bytes(&writer, code->network.bytes, 32);
    cl_cbor_put_array(&writer, code->url_count);
    for (size_t i = 0; i < code->url_count; i++)
        cl_cbor_put_text(&writer, code->urls[i], strlen(code->urls[i]));
    cl_cbor_put_bytes(&writer, code->secret32, 32);
    cl_cbor_put_bytes(&writer, code->object.bytes, 32);
    cl_cbor_put_uint(&writer, (uint64_t)code->kind);
    if (code->expiry.present)
        cl_cbor_put_uint(&writer, code->expiry.seconds);
    else
        cl_cbor_put_null(&writer);
    if (code->body_file.length > 0)
        put_body(&writer, code);
    else
        cl_cbor_put_null(&writer);
    cl_reception_put(&writer, &code->reception);
    return writer.status;
}

enum cl_status cl_code_encode(struct cl_buffer *out, const struct cl_code *code)
{
    struct cl_buffer bytes = {.secret = true};
    struct cl_public_key key;
    if (code->url_count > CL_CODE_URLS_MAX || (code->kind != CL_ITEM_AGREEMENT && code->kind != CL_ITEM_TERMS) || (code->expiry.present && code->expiry.seconds > CL_SECONDS_MAX) || !cl_reception_usable(&code->reception))
        return CL_E_ARGUMENT;
    for (size_t i = 0; i < code->url_count; i++)
        if (!cl_code_url_usable(code->urls[i], strnlen(code->urls[i], sizeof code->urls[i])))
            return CL_E_ARGUMENT;
    enum cl_status status = cl_secret_public(&key, code->secret32);
    if (status == CL_OK)
        status = put_code(&bytes, code);
    if (status == CL_OK && bytes.length > CL_CODE_BYTES_MAX)
        status = CL_E_BOUND;
    if (status == CL_OK)
        status = cl_buffer_append(out, CL_CODE_PREFIX, PREFIX_LENGTH);
    if (status == CL_OK)
        status = cl_base45_append(out, bytes.data, bytes.length);
    cl_buffer_wipe(&bytes);
    return status;
}

/* The digests in the disclosures' order, which is the body's: ascending (the body file's own reader asks for that). */
static void put_digests(struct cl_cbor_writer *writer, const struct cl_view *disclosures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t digest[32];
        cl_sha256_once(digest, disclosures[i].data, disclosures[i].length);
        cl_cbor_put_bytes(writer, digest, 32);
    }
}

/* [ salt, category, [ disclosures ] ] back into body-file bytes, and these through their own reader. */
static enum cl_status get_body(struct cl_buffer *out, struct cl_cbor_reader *reader, const struct cl_object_id *object)
{
    struct cl_view disclosures[CL_BODY_FIELDS_MAX];
    struct cl_buffer body = {.secret = true};
    struct cl_cbor_writer writer;
    cl_cbor_array_fixed(reader, 3);
    const uint8_t *salt = cl_cbor_bytes_fixed(reader, 32);
    struct cl_view category = cl_cbor_text(reader);
    size_t count = cl_cbor_array_at_most(reader, CL_BODY_FIELDS_MAX);
    for (size_t i = 0; i < count; i++)
        disclosures[i] = cl_cbor_bytes(reader);
    if (reader->status != CL_OK)
        return reader->status;
    cl_cbor_writer_init(&writer, &body);
    cl_cbor_put_array(&writer, 3);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_text(&writer, (const char *)category.data, category.length);
    cl_cbor_put_array(&writer, count);
    put_digests(&writer, disclosures, count);
    enum cl_status status = writer.status;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 5);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_bytes(&writer, object->bytes, 32);
    cl_cbor_put_bytes(&writer, salt, 32);
    cl_cbor_put_bytes(&writer, body.data, body.length);
    cl_cbor_put_array(&writer, count);
    for (size_t i = 0; i < count; i++)
        cl_cbor_put_bytes(&writer, disclosures[i].data, disclosures[i].length);
    struct cl_body_file *file = malloc(sizeof *file);
    if (status == CL_OK)
        status = file == NULL ? CL_E_MEMORY : writer.status;
    if (status == CL_OK)
        status = cl_body_file_decode(file, out->data, out->length);
    if (file != NULL)
        cl_wipe_bytes(file, sizeof *file);
    free(file);
    cl_buffer_wipe(&body);
    return status;
}

static void get_urls(struct cl_cbor_reader *reader, struct cl_code *code)
{
    code->url_count = cl_cbor_array_at_most(reader, CL_CODE_URLS_MAX);
    for (size_t i = 0; i < code->url_count && reader->status == CL_OK; i++) {
        struct cl_view url = cl_cbor_text(reader);
        if (reader->status == CL_OK && !cl_code_url_usable((const char *)url.data, url.length))
            cl_cbor_fail(reader, CL_E_FORMAT);
        if (reader->status == CL_OK)
            memcpy(code->urls[i], url.data, url.length);
    }
}

static enum cl_status get_code(struct cl_code *out, const struct cl_buffer *bytes)
{
    struct cl_cbor_reader reader;
    struct cl_public_key key;
    cl_cbor_reader_init(&reader, bytes->data, bytes->length);
    size_t items = cl_cbor_array(&reader);
    uint64_t version = cl_cbor_uint(&reader);
    if (reader.status == CL_OK && version != 1)
        return CL_E_VERSION;
    if (reader.status == CL_OK && items != 9)
        return CL_E_FORMAT;
    cl_cbor_bytes_copy(&reader, out->network.bytes, 32);
    get_urls(&reader, out);
    cl_cbor_bytes_copy(&reader, out->secret32, 32);
    cl_cbor_bytes_copy(&reader, out->object.bytes, 32);
    uint64_t kind = cl_cbor_uint(&reader);
    out->expiry.present = !cl_cbor_null(&reader);
    if (out->expiry.present)
        out->expiry.seconds = cl_cbor_uint_at_most(&reader, CL_SECONDS_MAX);
    if (reader.status == CL_OK && kind != CL_ITEM_AGREEMENT && kind != CL_ITEM_TERMS)
        return CL_E_FORMAT;
    out->kind = (enum cl_wallet_kind)kind;
    enum cl_status status = CL_OK;
    if (!cl_cbor_null(&reader))
        status = get_body(&out->body_file, &reader, &out->object);
    cl_reception_get(&reader, &out->reception);
    if (status == CL_OK)
        status = cl_cbor_finish(&reader);
    return status == CL_OK ? cl_secret_public(&key, out->secret32) : status;
}

enum cl_status cl_code_decode(struct cl_code *out, const char *text, size_t length)
{
    struct cl_buffer bytes = {.secret = true};
    *out = (struct cl_code){.body_file = {.secret = true}};
    if (length < PREFIX_LENGTH || memcmp(text, CL_CODE_PREFIX, PREFIX_LENGTH) != 0)
        return CL_E_FORMAT;
    if (length > PREFIX_LENGTH + CL_BASE45_LENGTH(CL_CODE_BYTES_MAX))
        return CL_E_BOUND;
    enum cl_status status = cl_base45_decode(&bytes, text + PREFIX_LENGTH, length - PREFIX_LENGTH);
    if (status == CL_OK)
        status = get_code(out, &bytes);
    if (status != CL_OK)
        cl_code_deinit(out);
    cl_buffer_wipe(&bytes);
    return status;
}

enum cl_status cl_token_sign(uint8_t opening64[64], const uint8_t secret32[32], const struct cl_network_id *network, const uint8_t bearer32[32], const uint8_t agreement32[32], const struct cl_public_key *answering)
{
    struct cl_hash digest;
    cl_token_digest(&digest, network, bearer32, agreement32, answering->bytes);
    return cl_ecdsa_sign(opening64, secret32, digest.bytes);
}
