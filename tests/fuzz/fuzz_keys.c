/* What people type or tools hand over: did:key and hexadecimal keys, 24 words, signatures of external signers. What reads
   is written back as one form; a signature that is taken is valid, low-s and for the digest that was asked. */
#include "consent/wallet.h"

#include "crypto.h"
#include "require.h"

static const char *const word_list[2048] = {
#include "wordlist.inc"
};

static void key_has_one_did(const char *text)
{
    struct cl_public_key key, again;
    char did[CL_DID_KEY_SIZE];
    if (cl_public_key_decode(&key, text) != CL_OK)
        return;
    require(cl_public_key_valid(key.bytes));
    cl_did_key_encode(did, &key);
    require(strlen(did) < sizeof did && cl_public_key_decode(&again, did) == CL_OK && memcmp(&key, &again, 33) == 0);
    require(text[0] != 'd' || strcmp(did, text) == 0);
}

static void words_come_back(const char *text)
{
    uint8_t entropy[32], again[32];
    char words[CL_WORDS_SIZE];
    unsigned bad = 0;
    enum cl_status status = cl_words_decode(entropy, &bad, text);
    require(status == CL_OK || status == CL_E_SECRET);
    if (status == CL_OK) {
        cl_words_encode(words, entropy);
        require(cl_words_decode(again, NULL, words) == CL_OK && memcmp(entropy, again, 32) == 0);
    }
}

/* The input chooses the words by number, so that check bits are reached. */
static void words_of_numbers(const uint8_t *data, size_t size)
{
    char text[24 * 10 + 1] = "";
    uint8_t entropy[32];
    char words[CL_WORDS_SIZE];
    if (size < 32)
        return;
    cl_words_encode(words, data);
    require(cl_words_decode(entropy, NULL, words) == CL_OK && memcmp(entropy, data, 32) == 0);
    for (size_t i = 0; i < 24 && 2 * i + 1 < size; i++) {
        const char *word = word_list[((unsigned)data[2 * i] << 8 | data[2 * i + 1]) % 2048];
        strcat(text, word);
        strcat(text, (data[2 * i] & 0x80) != 0 ? "  " : " ");
    }
    words_come_back(text);
}

static void signatures(const uint8_t *data, size_t size)
{
    static const uint8_t secret[32] = {1}, digest[32] = {2};
    struct cl_public_key key;
    uint8_t signature[64], own[64], normal[64];
    require(cl_secret_public(&key, secret) == CL_OK && cl_ecdsa_sign(own, secret, digest) == CL_OK);
    if (cl_signature_import(signature, data, size, &key, digest) == CL_OK)
        require(cl_signature_low_s(signature) && cl_ecdsa_verify(key.bytes, digest, signature) == CL_OK);
    if (cl_signature_normalise(normal, data, size) == CL_OK) {
        require(cl_signature_low_s(normal));
        require(cl_signature_normalise(signature, normal, 64) == CL_OK && memcmp(signature, normal, 64) == 0);
    }
    if (size >= 2) { /* a valid one, changed where the input says */
        memcpy(signature, own, 64);
        signature[data[0] % 64] ^= data[1];
        bool same = data[1] == 0;
        require((cl_ecdsa_verify(key.bytes, digest, signature) == CL_OK) == same);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    key_has_one_did(text);
    words_come_back(text);
    words_of_numbers(data, size);
    signatures(data, size);
    free(text);
    return 0;
}
