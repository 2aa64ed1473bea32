/* How keys and bytes are written for people: hexadecimal, base64, did:key; signatures as signers outside give them;
   and the few primitives that tools need without seeing crypto.h. */
#include "consent/wallet.h"
#include "base64.h"
#include "crypto.h"

#include <assert.h>
#include <stdlib.h>

enum cl_status cl_random_bytes(void *out, size_t length) { return cl_random(out, length); }
void cl_hash_bytes(struct cl_hash *out, const void *data, size_t length) { cl_sha256_once(out->bytes, data, length); }
void cl_hmac_bytes(uint8_t out32[32], const void *key, size_t key_length, const void *data, size_t length) { cl_hmac_sha256(out32, key, key_length, data, length); }
void cl_wipe_bytes(void *secret, size_t length) { cl_wipe(secret, length); }

void cl_hex_encode(char *out, const void *data, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * length] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool cl_hex_decode(uint8_t *out, size_t out_length, const char *text)
{
    if (strnlen(text, 2 * out_length + 1) != 2 * out_length)
        return false;
    for (size_t i = 0; i < out_length; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

enum cl_status cl_base64_put(struct cl_buffer *out, const void *data, size_t length) { return cl_base64_append(out, data, length); }

enum cl_status cl_base64_get(struct cl_buffer *out, const char *text, size_t length)
{
    size_t decoded = 0;
    if (length % 4 != 0 || length / 4 > CL_PROOF_BYTES_MAX)
        return CL_E_FORMAT;
    uint8_t *bytes = malloc(length / 4 * 3 + 1);
    if (bytes == NULL)
        return CL_E_MEMORY;
    enum cl_status status = CL_E_FORMAT;
    if (cl_base64_decode(bytes, length / 4 * 3, &decoded, text, length))
        status = cl_buffer_append(out, bytes, decoded);
    free(bytes);
    return status;
}

void cl_challenge_digest(struct cl_hash *out, const struct cl_network_id *network, const uint8_t nonce32[32], const struct cl_public_key *key)
{
    struct cl_sha256 sha;
    cl_sha256_domain(&sha, "consent/v1 challenge");
    cl_sha256_update(&sha, network->bytes, 32);
    cl_sha256_update(&sha, nonce32, 32);
    cl_sha256_update(&sha, key->bytes, 33);
    cl_sha256_final(&sha, out->bytes);
}

/* did:key of a secp256k1 key: multicodec 0xe7 as a varint (e7 01), then the 33 bytes, base58btc behind "z". */
#define MULTIKEY_LENGTH 35u
#define BASE58_DIGITS_MAX 49u /* ceil(35 * log 256 / log 58) + 1 */
static const char base58_alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

void cl_did_key_encode(char out[CL_DID_KEY_SIZE], const struct cl_public_key *key)
{
    uint8_t bytes[MULTIKEY_LENGTH] = {0xe7, 0x01}, digits[BASE58_DIGITS_MAX] = {0};
    memcpy(bytes + 2, key->bytes, 33);
    size_t used = 0;
    for (size_t i = 0; i < MULTIKEY_LENGTH; i++) {
        unsigned carry = bytes[i];
        for (size_t k = 0; k < used || carry != 0; k++) {
            assert(k < BASE58_DIGITS_MAX);
            carry += 256u * digits[k];
            digits[k] = (uint8_t)(carry % 58);
            carry /= 58;
            if (k >= used)
                used = k + 1;
        }
    }
    memcpy(out, "did:key:z", 9);
    for (size_t i = 0; i < used; i++)
        out[9 + i] = base58_alphabet[digits[used - 1 - i]];
    out[9 + used] = '\0';
}

static bool base58_decode(uint8_t out[MULTIKEY_LENGTH], const char *text)
{
    memset(out, 0, MULTIKEY_LENGTH);
    size_t length = strnlen(text, BASE58_DIGITS_MAX + 1);
    if (length == 0 || length > BASE58_DIGITS_MAX || text[0] == base58_alphabet[0])
        return false; /* a leading zero would be a second form of the same key */
    for (size_t i = 0; i < length; i++) {
        const char *digit = strchr(base58_alphabet, text[i]);
        if (digit == NULL)
            return false;
        unsigned carry = (unsigned)(digit - base58_alphabet);
        for (size_t k = MULTIKEY_LENGTH; k-- > 0;) {
            carry += 58u * out[k];
            out[k] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry != 0)
            return false;
    }
    return true;
}

enum cl_status cl_public_key_decode(struct cl_public_key *out, const char *text)
{
    struct cl_public_key key;
    if (strncmp(text, "did:key:z", 9) == 0) {
        uint8_t bytes[MULTIKEY_LENGTH];
        if (!base58_decode(bytes, text + 9) || bytes[0] != 0xe7 || bytes[1] != 0x01)
            return CL_E_KEY;
        memcpy(key.bytes, bytes + 2, 33);
    } else if (!cl_hex_decode(key.bytes, 33, text)) {
        return CL_E_KEY;
    }
    if (!cl_public_key_valid(key.bytes))
        return CL_E_KEY;
    *out = key;
    return CL_OK;
}

void cl_delivery_secret_of(uint8_t delivery32[32], const uint8_t secret32[32])
{
    cl_sha256_of_secret(delivery32, "consent/v1 delivery key", secret32, 32);
}

void cl_delivery_key_of(uint8_t public32[32], const uint8_t secret32[32])
{
    uint8_t delivery[32];
    cl_delivery_secret_of(delivery, secret32);
    cl_x25519_public(public32, delivery);
    cl_wipe(delivery, sizeof delivery);
}

enum cl_status cl_signature_import(uint8_t signature64[64], const uint8_t *data, size_t length,
                                   const struct cl_public_key *key, const uint8_t digest32[32])
{
    uint8_t bytes[80];
    if (length > 2 * sizeof bytes + 2)
        return CL_E_SIGNER;
    bool raw = length == 64 || (length > 8 && length <= 72 && data[0] == 0x30 && data[1] == length - 2);
    if (!raw) {
        char text[2 * sizeof bytes + 3];
        size_t digits = length;
        while (digits > 0 && (data[digits - 1] == '\n' || data[digits - 1] == '\r' || data[digits - 1] == ' '))
            digits--;
        memcpy(text, data, digits);
        text[digits] = '\0';
        if (digits % 2 != 0 || digits / 2 > sizeof bytes || !cl_hex_decode(bytes, digits / 2, text))
            return CL_E_SIGNER;
        data = bytes;
        length = digits / 2;
    }
    if (cl_signature_normalise(signature64, data, length) != CL_OK)
        return CL_E_SIGNER;
    return cl_ecdsa_verify(key->bytes, digest32, signature64) == CL_OK ? CL_OK : CL_E_SIGNER;
}
