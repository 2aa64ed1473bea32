/* Signing, sealed files and sealed boxes, as several formats have them (sealing.h). */
#include "sealing.h"

#include <assert.h>
#include <stdlib.h>

#include "crypto.h"

#define SEAL_OVERHEAD 16u
#define LABEL_BYTES_MAX 64u

void cl_items_digest(uint8_t out32[32], const char *domain, size_t count, const uint8_t *items, size_t length)
{
    uint8_t head[CL_CBOR_HEAD_MAX];
    struct cl_sha256 hash;
    size_t head_length = cl_cbor_head(head, CL_CBOR_ARRAY, count - 1);
    cl_sha256_domain(&hash, domain);
    cl_sha256_update(&hash, head, head_length);
    cl_sha256_update(&hash, items, length);
    cl_sha256_final(&hash, out32);
    cl_wipe(&hash, sizeof hash);
}

enum cl_status cl_sign_digest(uint8_t signature64[64], const struct cl_signer *signer, const uint8_t digest32[32])
{
    uint8_t raw[64];
    enum cl_status status = signer->sign(signer->context, raw, digest32);
    if (status == CL_OK)
        status = cl_signature_normalise(signature64, raw, sizeof raw);
    return status == CL_OK ? cl_ecdsa_verify(signer->key.bytes, digest32, signature64) : status;
}

enum cl_status cl_sign_put(struct cl_cbor_writer *writer, const struct cl_signer *signer, const uint8_t digest32[32])
{
    uint8_t signature[64];
    enum cl_status status = writer->status == CL_OK ? cl_sign_digest(signature, signer, digest32) : writer->status;
    if (status != CL_OK)
        return status;
    cl_cbor_put_bytes(writer, signature, 64);
    return writer->status;
}

static size_t label_of(uint8_t out[LABEL_BYTES_MAX], const char *label, const uint8_t id16[16])
{
    size_t length = strlen(label);
    assert(length + 16 <= LABEL_BYTES_MAX);
    memcpy(out, label, length);
    memcpy(out + length, id16, 16);
    return length + 16;
}

enum cl_status cl_sealed_file_encode(struct cl_buffer *out, const struct cl_sealed_form *form, struct cl_buffer *content, const uint8_t id16[16], const uint8_t secret32[32], const uint8_t nonce24[24])
{
    static const uint8_t zeros[CL_SEALED_STEP] = {0};
    uint8_t label[LABEL_BYTES_MAX];
    struct cl_cbor_writer writer;
    enum cl_status status = cl_buffer_append(content, "\x80", 1); /* ISO/IEC 7816-4 */
    if (status == CL_OK && content->length % CL_SEALED_STEP != 0)
        status = cl_buffer_append(content, zeros, CL_SEALED_STEP - content->length % CL_SEALED_STEP);
    if (status == CL_OK && content->length + SEAL_OVERHEAD > form->sealed_max)
        status = CL_E_BOUND;
    uint8_t *sealed = status == CL_OK ? malloc(content->length + SEAL_OVERHEAD) : NULL;
    if (status == CL_OK && sealed == NULL)
        status = CL_E_MEMORY;
    if (status == CL_OK) {
        cl_seal(sealed, content->data, content->length, label, label_of(label, form->label, id16), nonce24, secret32);
        cl_cbor_writer_init(&writer, out);
        cl_cbor_put_file_head(&writer, 4, form->magic);
        cl_cbor_put_bytes(&writer, nonce24, 24);
        cl_cbor_put_bytes(&writer, sealed, content->length + SEAL_OVERHEAD);
        status = writer.status;
    }
    free(sealed);
    return status;
}

enum cl_status cl_sealed_file_decode(struct cl_buffer *content, const struct cl_sealed_form *form, const uint8_t *data, size_t length, const uint8_t id16[16], const uint8_t secret32[32])
{
    struct cl_cbor_reader reader;
    uint8_t label[LABEL_BYTES_MAX];
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_file_head(&reader, 4, form->magic);
    const uint8_t *nonce = cl_cbor_bytes_fixed(&reader, 24);
    struct cl_view sealed = cl_cbor_bytes(&reader);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status != CL_OK)
        return status;
    if (sealed.length < CL_SEALED_STEP + SEAL_OVERHEAD || sealed.length > form->sealed_max || sealed.length % CL_SEALED_STEP != SEAL_OVERHEAD)
        return CL_E_BOUND;
    size_t size = sealed.length - SEAL_OVERHEAD, used = size;
    uint8_t *clear = malloc(size);
    if (clear == NULL)
        return CL_E_MEMORY;
    status = cl_open(clear, sealed.data, sealed.length, label, label_of(label, form->label, id16), nonce, secret32);
    while (status == CL_OK && used > 0 && clear[used - 1] == 0)
        used--;
    if (status == CL_OK && (used == 0 || clear[used - 1] != 0x80 || size - used >= CL_SEALED_STEP))
        status = CL_E_FORMAT;
    if (status == CL_OK)
        status = cl_buffer_append(content, clear, used - 1);
    cl_wipe(clear, size);
    free(clear);
    return status;
}

enum cl_status cl_box_open_class(struct cl_buffer *opened, const size_t *classes, size_t class_count, const uint8_t *sealed, size_t length, const uint8_t secret32[32])
{
    bool is_class = false;
    for (size_t i = 0; i < class_count; i++)
        is_class = is_class || classes[i] == length;
    if (!is_class)
        return CL_E_FORMAT;
    uint8_t *plain = malloc(length - CL_BOX_EXTRA);
    if (plain == NULL)
        return CL_E_MEMORY;
    enum cl_status status = cl_box_open(plain, sealed, length, secret32);
    if (status == CL_OK)
        status = cl_buffer_replace(opened, plain, length - CL_BOX_EXTRA);
    cl_wipe(plain, length - CL_BOX_EXTRA);
    free(plain);
    return status;
}
