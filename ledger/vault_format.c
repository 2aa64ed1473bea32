/* Key files and value files as bytes (formats.cddl "key-file", "value-file"). Nothing here touches a file. */
#include "vault_format.h"

#include <assert.h>
#include <stdlib.h>

#include "cbor.h"
#include "crypto.h"

#define KEY_MAGIC "consent-key"
#define VALUE_MAGIC "consent-value"
#define KEY_LABEL "consent/v1 key file"
#define VALUE_LABEL "consent/v1 value file"
#define LABEL_BYTES_MAX 48u
#define SEAL_OVERHEAD 16u

static_assert(sizeof VALUE_LABEL + 16 <= LABEL_BYTES_MAX, "a label and an id fit");
static_assert(CL_NAME_BYTES_MAX + CL_VAULT_CATEGORY_BYTES_MAX + CL_MEDIA_TYPE_BYTES_MAX + 100 < CL_KEY_CONTENT_BYTES, "the longest description fits");

enum cl_status cl_store_secret(uint8_t secret32[32], const struct cl_wallet *wallet)
{
    uint8_t derived[32];
    enum cl_status status = cl_key_derive(derived, wallet->seed64, "consent:store", 0);
    if (status == CL_OK)
        cl_sha256_of_secret(secret32, "consent/v1 store key", derived, 32);
    cl_wipe(derived, sizeof derived);
    return status;
}

/* Additional data: the label, then the id that the file is named by, so that no file passes for another. */
static size_t label_of(uint8_t out[LABEL_BYTES_MAX], const char *label, const uint8_t id16[16])
{
    size_t length = strlen(label);
    memcpy(out, label, length);
    memcpy(out + length, id16, 16);
    return length + 16;
}

enum cl_status cl_key_content_encode(uint8_t out[CL_KEY_CONTENT_BYTES], const struct cl_store_key *key)
{
    struct cl_buffer clear = {.secret = true};
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, &clear);
    cl_cbor_put_array(&writer, key->kind == CL_STORE_VAULT ? 8 : 2);
    cl_cbor_put_uint(&writer, (uint64_t)key->kind);
    cl_cbor_put_bytes(&writer, key->key32, 32);
    if (key->kind == CL_STORE_VAULT) {
        cl_cbor_put_text(&writer, key->entry.name, strlen(key->entry.name));
        cl_cbor_put_text(&writer, key->entry.category, strlen(key->entry.category));
        cl_cbor_put_text(&writer, key->entry.media_type, strlen(key->entry.media_type));
        cl_cbor_put_uint(&writer, key->entry.changed_ms);
        cl_cbor_put_uint(&writer, key->entry.size);
        cl_cbor_put_bytes(&writer, key->value16, 16);
    }
    enum cl_status status = writer.status;
    if (status == CL_OK) {
        assert(clear.length < CL_KEY_CONTENT_BYTES);
        memset(out, 0, CL_KEY_CONTENT_BYTES);
        memcpy(out, clear.data, clear.length);
        out[clear.length] = 0x80; /* ISO/IEC 7816-4 */
    }
    cl_buffer_wipe(&clear);
    return status;
}

static void get_text(struct cl_cbor_reader *reader, char *out, size_t size)
{
    struct cl_view text = cl_cbor_text(reader);
    if (text.length == 0 || text.length >= size || memchr(text.data, 0, text.length) != NULL) {
        cl_cbor_fail(reader, CL_E_BOUND);
        return;
    }
    memcpy(out, text.data, text.length);
    out[text.length] = '\0';
}

enum cl_status cl_key_content_decode(struct cl_store_key *out, const uint8_t data[CL_KEY_CONTENT_BYTES])
{
    struct cl_cbor_reader reader;
    struct cl_store_key key = {0};
    size_t length = CL_KEY_CONTENT_BYTES;
    while (length > 0 && data[length - 1] == 0)
        length--;
    if (length == 0 || data[length - 1] != 0x80)
        return CL_E_FORMAT;
    cl_cbor_reader_init(&reader, data, length - 1);
    size_t count = cl_cbor_array(&reader);
    uint64_t kind = cl_cbor_uint(&reader);
    cl_cbor_bytes_copy(&reader, key.key32, 32);
    if (reader.status == CL_OK && !((kind == CL_STORE_ITEM && count == 2) || (kind == CL_STORE_VAULT && count == 8)))
        cl_cbor_fail(&reader, CL_E_FORMAT);
    if (reader.status == CL_OK && kind == CL_STORE_VAULT) {
        get_text(&reader, key.entry.name, sizeof key.entry.name);
        get_text(&reader, key.entry.category, sizeof key.entry.category);
        get_text(&reader, key.entry.media_type, sizeof key.entry.media_type);
        key.entry.changed_ms = cl_cbor_uint(&reader);
        key.entry.size = cl_cbor_uint_at_most(&reader, CL_VAULT_VALUE_BYTES_MAX);
        cl_cbor_bytes_copy(&reader, key.value16, 16);
    }
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK && kind == CL_STORE_VAULT && (!cl_wallet_name_usable(key.entry.name) || !cl_media_type_usable(key.entry.media_type)))
        status = CL_E_FORMAT;
    if (status == CL_OK) {
        key.kind = (enum cl_store_kind)kind;
        memcpy(key.id16, out->id16, 16);
        *out = key;
    }
    cl_wipe(&key, sizeof key);
    return status;
}

enum cl_status cl_key_file_encode(struct cl_buffer *out, const struct cl_store_key *key, const uint8_t secret32[32], const uint8_t nonce24[24])
{
    uint8_t clear[CL_KEY_CONTENT_BYTES], sealed[CL_KEY_CONTENT_BYTES + SEAL_OVERHEAD], label[LABEL_BYTES_MAX];
    struct cl_cbor_writer writer;
    enum cl_status status = cl_key_content_encode(clear, key);
    if (status == CL_OK) {
        cl_seal(sealed, clear, sizeof clear, label, label_of(label, KEY_LABEL, key->id16), nonce24, secret32);
        cl_cbor_writer_init(&writer, out);
        cl_cbor_put_file_head(&writer, 4, KEY_MAGIC);
        cl_cbor_put_bytes(&writer, nonce24, 24);
        cl_cbor_put_bytes(&writer, sealed, sizeof sealed);
        status = writer.status;
    }
    cl_wipe(clear, sizeof clear);
    return status;
}

enum cl_status cl_key_file_decode(struct cl_store_key *out, const uint8_t *data, size_t length, const uint8_t id16[16], const uint8_t secret32[32])
{
    uint8_t clear[CL_KEY_CONTENT_BYTES], label[LABEL_BYTES_MAX];
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_file_head(&reader, 4, KEY_MAGIC);
    const uint8_t *nonce = cl_cbor_bytes_fixed(&reader, 24);
    const uint8_t *sealed = cl_cbor_bytes_fixed(&reader, sizeof clear + SEAL_OVERHEAD);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK)
        status = cl_open(clear, sealed, sizeof clear + SEAL_OVERHEAD, label, label_of(label, KEY_LABEL, id16), nonce, secret32);
    if (status == CL_OK) {
        memcpy(out->id16, id16, 16);
        status = cl_key_content_decode(out, clear);
    }
    cl_wipe(clear, sizeof clear);
    return status;
}

enum cl_status cl_value_file_encode(struct cl_buffer *out, const uint8_t value16[16], const uint8_t key32[32], const uint8_t nonce24[24], const uint8_t *value, size_t length)
{
    uint8_t label[LABEL_BYTES_MAX];
    if (length > CL_VAULT_VALUE_BYTES_MAX)
        return CL_E_BOUND;
    uint8_t *sealed = malloc(length + SEAL_OVERHEAD);
    if (sealed == NULL)
        return CL_E_MEMORY;
    cl_seal(sealed, value, length, label, label_of(label, VALUE_LABEL, value16), nonce24, key32);
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_file_head(&writer, 4, VALUE_MAGIC);
    cl_cbor_put_bytes(&writer, nonce24, 24);
    cl_cbor_put_bytes(&writer, sealed, length + SEAL_OVERHEAD);
    free(sealed);
    return writer.status;
}

enum cl_status cl_value_file_decode(struct cl_buffer *out, const uint8_t *data, size_t length, const uint8_t value16[16], const uint8_t key32[32])
{
    uint8_t label[LABEL_BYTES_MAX];
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_file_head(&reader, 4, VALUE_MAGIC);
    const uint8_t *nonce = cl_cbor_bytes_fixed(&reader, 24);
    struct cl_view sealed = cl_cbor_bytes(&reader);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status != CL_OK)
        return status;
    if (sealed.length < SEAL_OVERHEAD || sealed.length > CL_VAULT_VALUE_BYTES_MAX + SEAL_OVERHEAD)
        return CL_E_BOUND;
    uint8_t *clear = malloc(sealed.length);
    if (clear == NULL)
        return CL_E_MEMORY;
    status = cl_open(clear, sealed.data, sealed.length, label, label_of(label, VALUE_LABEL, value16), nonce, key32);
    if (status == CL_OK)
        status = cl_buffer_append(out, clear, sealed.length - SEAL_OVERHEAD);
    cl_wipe(clear, sealed.length);
    free(clear);
    return status;
}
