/* Key files, value files and the content of an item: as bytes of anybody, and once more sealed here with fixed keys, so
   that what is behind the seal is reached too. */
#include "vault_format.h"

#include "crypto.h"
#include "require.h"

static const uint8_t secret[32] = {3}, id[16] = {4}, nonce[24] = {5};

static void outer_forms(const uint8_t *data, size_t size)
{
    struct cl_store_key key = {0};
    struct cl_buffer value = {0};
    require(cl_key_file_decode(&key, data, size, id, secret) != CL_OK); /* nobody forges a tag */
    require(cl_value_file_decode(&value, data, size, id, secret) != CL_OK && value.length == 0);
    cl_buffer_deinit(&value);
}

static void key_content(const uint8_t *data, size_t size)
{
    struct cl_store_key key = {0}, read = {0};
    uint8_t content[CL_KEY_CONTENT_BYTES] = {0}, again[CL_KEY_CONTENT_BYTES];
    struct cl_buffer file = {0};
    memcpy(content, data, size < sizeof content ? size : sizeof content);
    if (size < sizeof content)
        content[size] = 0x80;
    if (cl_key_content_decode(&key, content) != CL_OK)
        return;
    require(cl_key_content_encode(again, &key) == CL_OK && memcmp(again, content, sizeof again) == 0);
    memcpy(key.id16, id, 16);
    require(cl_key_file_encode(&file, &key, secret, nonce) == CL_OK && file.length == CL_KEY_FILE_BYTES);
    require(cl_key_file_decode(&read, file.data, file.length, id, secret) == CL_OK && memcmp(read.key32, key.key32, 32) == 0);
    file.data[file.length - 1] ^= 1;
    require(cl_key_file_decode(&read, file.data, file.length, id, secret) == CL_E_LOCKED);
    cl_buffer_deinit(&file);
}

static void values(const uint8_t *data, size_t size)
{
    struct cl_buffer file = {0}, value = {0};
    require(cl_value_file_encode(&file, id, secret, nonce, data, size) == CL_OK);
    require(cl_value_file_decode(&value, file.data, file.length, id, secret) == CL_OK && value.length == size);
    require(size == 0 || memcmp(value.data, data, size) == 0);
    cl_buffer_deinit(&value);
    cl_buffer_deinit(&file);
}

static void item_content(const uint8_t *data, size_t size)
{
    struct cl_wallet_item item = {.kind = CL_ITEM_AGREEMENT};
    uint8_t *sealed = malloc(size + 16), label[47] = "consent/v1 item";
    require(sealed != NULL);
    cl_seal(sealed, data, size, label, sizeof label, nonce, secret);
    require(cl_buffer_append(&item.content, nonce, 24) == CL_OK && cl_buffer_append(&item.content, sealed, size + 16) == CL_OK);
    enum cl_status status = cl_wallet_item_content_open(&item, secret);
    require(status != CL_E_LOCKED && item.content_open == (status == CL_OK) && (status == CL_OK || item.body_count == 0));
    for (size_t i = 0; i < item.body_count; i++)
        cl_buffer_wipe(&item.bodies[i]);
    cl_buffer_wipe(&item.proof);
    cl_buffer_wipe(&item.content);
    free(sealed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    outer_forms(data, size);
    key_content(data, size);
    values(data, size);
    item_content(data, size);
    return 0;
}
