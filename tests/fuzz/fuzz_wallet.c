/* Wallet files, backups, offers, and what stands inside the sealed ones: the decoder of the content is reached directly,
   and once more through a file that is sealed here with a fixed key. */
#include "consent/wallet.h"

#include "cbor.h"
#include "crypto.h"
#include "require.h"

static const uint8_t entropy[32] = {3};

static void content_comes_back(const uint8_t *data, size_t size)
{
    struct cl_wallet *wallet = NULL;
    struct cl_buffer again = {0};
    if (cl_wallet_decode(&wallet, data, size) != CL_OK)
        return;
    require(cl_wallet_encode(&again, wallet) == CL_OK && again.length == size && memcmp(again.data, data, size) == 0);
    for (size_t i = 0; i < wallet->key_count; i++)
        require(cl_wallet_name_usable(wallet->keys[i].name) && cl_wallet_key_find(wallet, wallet->keys[i].name) != NULL);
    for (size_t i = 0; i < wallet->item_count; i++)
        require(cl_wallet_item_of(wallet, &wallet->items[i].object) != NULL);
    cl_buffer_wipe(&again);
    cl_wallet_free(wallet);
}

/* The key of a backup follows from the words alone, and slowly; so it is derived once. */
static void backup_key(uint8_t key[32])
{
    uint8_t seed[64], secret[32];
    struct cl_sha256 sha;
    cl_words_seed(seed, entropy);
    require(cl_key_derive(secret, seed, "consent:backup", 0) == CL_OK);
    cl_sha256_domain(&sha, "consent/v1 backup key");
    cl_sha256_update(&sha, secret, 32);
    cl_sha256_final(&sha, key);
}

static void sealed_content_opens(const uint8_t *data, size_t size)
{
    static uint8_t key[32];
    static bool derived;
    static const uint8_t nonce[24] = {9};
    struct cl_wallet *wallet = NULL, *direct = NULL;
    struct cl_buffer file = {0};
    struct cl_cbor_writer writer;
    uint8_t *sealed = malloc(size + 16);
    require(sealed != NULL);
    if (!derived)
        backup_key(key);
    derived = true;
    cl_seal(sealed, data, size, "consent/v1 backup", 17, nonce, key);
    cl_cbor_writer_init(&writer, &file);
    cl_cbor_put_array(&writer, 4);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_text(&writer, "consent-backup", 14);
    cl_cbor_put_bytes(&writer, nonce, sizeof nonce);
    cl_cbor_put_bytes(&writer, sealed, size + 16);
    enum cl_status status = cl_wallet_backup_open(&wallet, file.data, file.length, entropy);
    require(status == cl_wallet_decode(&direct, data, size) && status != CL_E_LOCKED);
    file.data[file.length - 1 - size / 2] ^= 1;
    struct cl_wallet *none = NULL;
    require(cl_wallet_backup_open(&none, file.data, file.length, entropy) == CL_E_LOCKED && none == NULL);
    cl_wallet_free(wallet);
    cl_wallet_free(direct);
    cl_buffer_deinit(&file);
    free(sealed);
}

static void outer_forms(const uint8_t *data, size_t size)
{
    struct cl_wallet *wallet = NULL;
    struct cl_cbor_reader reader;
    struct cl_offer offer;
    struct cl_buffer again = {0};
    /* A file may ask for a GiB and minutes of Argon2id: that is the format's bound, not the fuzzer's business. */
    cl_cbor_reader_init(&reader, data, size);
    cl_cbor_array_fixed(&reader, 7);
    (void)cl_cbor_uint(&reader);
    (void)cl_cbor_text(&reader);
    (void)cl_cbor_bytes_fixed(&reader, 16);
    uint64_t operations = cl_cbor_uint(&reader), memory_bytes = cl_cbor_uint(&reader);
    if (reader.status != CL_OK || operations > 64 || memory_bytes > 1024ull * 1024 * 1024 || (operations <= 2 && memory_bytes <= 64 * 1024))
        if (cl_wallet_open(&wallet, data, size, "passphrase", 10) == CL_OK)
            cl_wallet_free(wallet);
    if (cl_offer_decode(&offer, data, size) == CL_OK) {
        require(cl_offer_encode(&again, &offer) == CL_OK && again.length == size && memcmp(again.data, data, size) == 0);
        cl_buffer_deinit(&again);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 's') /* sealing costs two derivations of the seed: only where it is asked for */
        sealed_content_opens(data + 1, size - 1);
    content_comes_back(data, size);
    outer_forms(data, size);
    return 0;
}
