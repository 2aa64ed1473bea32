/* Files of the register of releases as bytes (formats.cddl "source-file"). Nothing here touches a file. */
#include "source_format.h"

#include <assert.h>
#include <stdlib.h>

#include "cbor.h"
#include "crypto.h"
#include "sealing.h"

#define SEALED_MAX (4u * CL_SEALED_STEP + 16u)
static const struct cl_sealed_form form = {"consent-source-file", "consent/v1 source file", SEALED_MAX};

static_assert(CL_SOURCE_POINTER_BYTES_MAX + CL_SOURCE_USES_MAX * 32u + 128u < SEALED_MAX - 16u, "the fullest one fits");

void cl_source_entry_deinit(struct cl_source_entry *entry)
{
    cl_buffer_wipe(&entry->document);
    cl_wipe(entry, sizeof *entry);
}

void cl_source_file_name(uint8_t id16[16], const uint8_t secret32[32], enum cl_source_way way, const uint8_t name16[16])
{
    uint8_t all[49], hash[32];
    memcpy(all, secret32, 32);
    all[32] = (uint8_t)way;
    memcpy(all + 33, name16, 16);
    cl_sha256_of_secret(hash, "consent/v1 source name", all, sizeof all);
    memcpy(id16, hash, 16);
    cl_wipe(all, sizeof all);
}

enum cl_status cl_source_content_encode(struct cl_buffer *out, const struct cl_source_entry *entry)
{
    struct cl_cbor_writer writer;
    if (entry->document.length > CL_SOURCE_POINTER_BYTES_MAX || entry->served_count > CL_SOURCE_USES_MAX)
        return CL_E_BOUND;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, entry->way == CL_SOURCE_GIVEN ? 2 : entry->way == CL_SOURCE_HELD ? 3 : 5);
    cl_cbor_put_uint(&writer, (uint64_t)entry->way);
    cl_cbor_put_bytes(&writer, entry->document.data, entry->document.length);
    if (entry->way == CL_SOURCE_HELD) {
        cl_cbor_put_array(&writer, entry->served_count);
        for (size_t i = 0; i < entry->served_count; i++) {
            cl_cbor_put_array(&writer, 2);
            cl_cbor_put_uint(&writer, entry->served[i].ms);
            cl_cbor_put_bytes(&writer, entry->served[i].nonce16, 16);
        }
    } else if (entry->way == CL_SOURCE_ASKED) {
        cl_cbor_put_bytes(&writer, entry->request.bytes, 32);
        cl_cbor_put_bytes(&writer, entry->secret32, 32);
        cl_cbor_put_uint(&writer, entry->asked_ms);
    }
    return writer.status;
}

static void get_served(struct cl_cbor_reader *reader, struct cl_source_entry *out)
{
    out->served_count = cl_cbor_array_at_most(reader, CL_SOURCE_USES_MAX);
    for (size_t i = 0; i < out->served_count && reader->status == CL_OK; i++) {
        cl_cbor_array_fixed(reader, 2);
        out->served[i].ms = cl_cbor_uint(reader);
        cl_cbor_bytes_copy(reader, out->served[i].nonce16, 16);
    }
}

static enum cl_status document_check(const struct cl_source_entry *entry)
{
    struct cl_source_release release;
    struct cl_source_pointer pointer;
    return entry->way == CL_SOURCE_ASKED ? cl_source_pointer_decode(&pointer, entry->document.data, entry->document.length) : cl_source_release_decode(&release, entry->document.data, entry->document.length);
}

enum cl_status cl_source_content_decode(struct cl_source_entry *out, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    *out = (struct cl_source_entry){.document = {.secret = true}};
    cl_cbor_reader_init(&reader, data, length);
    size_t items = cl_cbor_array(&reader);
    uint64_t way = cl_cbor_uint(&reader);
    struct cl_view document = cl_cbor_bytes(&reader);
    if (reader.status == CL_OK && !((way == CL_SOURCE_GIVEN && items == 2) || (way == CL_SOURCE_HELD && items == 3) || (way == CL_SOURCE_ASKED && items == 5)))
        cl_cbor_fail(&reader, CL_E_VALUE);
    if (way == CL_SOURCE_HELD)
        get_served(&reader, out);
    if (way == CL_SOURCE_ASKED) {
        cl_cbor_bytes_copy(&reader, out->request.bytes, 32);
        cl_cbor_bytes_copy(&reader, out->secret32, 32);
        out->asked_ms = cl_cbor_uint(&reader);
    }
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK)
        status = document.length > CL_SOURCE_POINTER_BYTES_MAX ? CL_E_BOUND : cl_buffer_append(&out->document, document.data, document.length);
    if (status == CL_OK) {
        out->way = (enum cl_source_way)way;
        status = document_check(out);
    }
    if (status != CL_OK)
        cl_source_entry_deinit(out);
    return status;
}

enum cl_status cl_source_file_encode(struct cl_buffer *out, const struct cl_source_entry *entry, const uint8_t id16[16], const uint8_t secret32[32], const uint8_t nonce24[24])
{
    struct cl_buffer content = {.secret = true};
    enum cl_status status = cl_source_content_encode(&content, entry);
    if (status == CL_OK)
        status = cl_sealed_file_encode(out, &form, &content, id16, secret32, nonce24);
    cl_buffer_wipe(&content);
    return status;
}

enum cl_status cl_source_file_decode(struct cl_source_entry *out, const uint8_t *data, size_t length, const uint8_t id16[16], const uint8_t secret32[32])
{
    struct cl_buffer content = {.secret = true};
    enum cl_status status = cl_sealed_file_decode(&content, &form, data, length, id16, secret32);
    if (status == CL_OK)
        status = cl_source_content_decode(out, content.data, content.length);
    cl_buffer_wipe(&content);
    return status;
}
