/* Files of the register of releases as bytes (formats.cddl "source-file"). Nothing here touches a file. */
#include "source_format.h"

#include <assert.h>
#include <stdlib.h>

#include "cbor.h"
#include "crypto.h"

#define MAGIC "consent-source-file"
#define LABEL "consent/v1 source file"
#define LABEL_BYTES (sizeof LABEL - 1 + 16)
#define STEP 4096u
#define SEAL_OVERHEAD 16u
#define SEALED_MAX (4u * STEP + SEAL_OVERHEAD)

static_assert(CL_SOURCE_POINTER_BYTES_MAX + CL_SOURCE_USES_MAX * 32u + 128u < SEALED_MAX - SEAL_OVERHEAD, "the fullest one fits");

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

/* Additional data: the label, then the id that the file is named by. */
static void label_of(uint8_t out[LABEL_BYTES], const uint8_t id16[16])
{
    memcpy(out, LABEL, sizeof LABEL - 1);
    memcpy(out + sizeof LABEL - 1, id16, 16);
}

enum cl_status cl_source_file_encode(struct cl_buffer *out, const struct cl_source_entry *entry, const uint8_t id16[16], const uint8_t secret32[32], const uint8_t nonce24[24])
{
    static const uint8_t zeros[STEP] = {0};
    struct cl_buffer clear = {.secret = true};
    struct cl_cbor_writer writer;
    uint8_t label[LABEL_BYTES], sealed[SEALED_MAX];
    enum cl_status status = cl_source_content_encode(&clear, entry);
    if (status == CL_OK)
        status = cl_buffer_append(&clear, "\x80", 1); /* ISO/IEC 7816-4 */
    if (status == CL_OK && clear.length % STEP != 0)
        status = cl_buffer_append(&clear, zeros, STEP - clear.length % STEP);
    if (status == CL_OK) {
        assert(clear.length + SEAL_OVERHEAD <= sizeof sealed);
        label_of(label, id16);
        cl_seal(sealed, clear.data, clear.length, label, sizeof label, nonce24, secret32);
        cl_cbor_writer_init(&writer, out);
        cl_cbor_put_file_head(&writer, 4, MAGIC);
        cl_cbor_put_bytes(&writer, nonce24, 24);
        cl_cbor_put_bytes(&writer, sealed, clear.length + SEAL_OVERHEAD);
        status = writer.status;
    }
    cl_buffer_wipe(&clear);
    return status;
}

enum cl_status cl_source_file_decode(struct cl_source_entry *out, const uint8_t *data, size_t length, const uint8_t id16[16], const uint8_t secret32[32])
{
    struct cl_cbor_reader reader;
    uint8_t label[LABEL_BYTES], clear[SEALED_MAX];
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_file_head(&reader, 4, MAGIC);
    const uint8_t *nonce = cl_cbor_bytes_fixed(&reader, 24);
    struct cl_view sealed = cl_cbor_bytes(&reader);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status != CL_OK)
        return status;
    if (sealed.length < STEP + SEAL_OVERHEAD || sealed.length > SEALED_MAX || sealed.length % STEP != SEAL_OVERHEAD)
        return CL_E_BOUND;
    size_t size = sealed.length - SEAL_OVERHEAD, used = size;
    label_of(label, id16);
    status = cl_open(clear, sealed.data, sealed.length, label, sizeof label, nonce, secret32);
    while (status == CL_OK && used > 0 && clear[used - 1] == 0)
        used--;
    if (status == CL_OK && (used == 0 || clear[used - 1] != 0x80 || size - used >= STEP))
        status = CL_E_FORMAT;
    if (status == CL_OK)
        status = cl_source_content_decode(out, clear, used - 1);
    cl_wipe(clear, sizeof clear);
    return status;
}
