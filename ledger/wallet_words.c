/* Twenty-four words and what follows from them: BIP39 entropy and seed, BIP32 hardened children, SLIP-0013 paths, so
   that a wallet can be rebuilt by any tool that knows these three and the list of relationships. */
#include "consent/wallet.h"
#include "crypto.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>

static const char *const word_list[2048] = {
#include "wordlist.inc"
};

/* BIP39: 256 bits and the first 8 of their SHA-256, in groups of 11. */
static unsigned word_number(const uint8_t bits[33], unsigned position)
{
    unsigned number = 0;
    for (unsigned bit = position * 11; bit < position * 11 + 11; bit++)
        number = number << 1 | ((unsigned)bits[bit / 8] >> (7 - bit % 8) & 1u);
    return number;
}

void cl_words_encode(char out[CL_WORDS_SIZE], const uint8_t entropy32[32])
{
    uint8_t bits[33], hash[32];
    cl_sha256_of_secret(hash, NULL, entropy32, 32);
    memcpy(bits, entropy32, 32);
    bits[32] = hash[0];
    size_t used = 0;
    for (unsigned i = 0; i < CL_WORDS_COUNT; i++) {
        int added = snprintf(out + used, CL_WORDS_SIZE - used, "%s%s", i == 0 ? "" : " ", word_list[word_number(bits, i)]);
        assert(added > 0 && (size_t)added < CL_WORDS_SIZE - used);
        used += (size_t)added;
    }
    cl_wipe(bits, sizeof bits);
    cl_wipe(hash, sizeof hash);
}

static int find_word(const char *word)
{
    int low = 0, high = 2047;
    while (low <= high) {
        int middle = (low + high) / 2, order = strcmp(word, word_list[middle]);
        if (order == 0)
            return middle;
        if (order < 0)
            high = middle - 1;
        else
            low = middle + 1;
    }
    return -1;
}

/* Returns: the length of the next word (lower case into word), 0 at the end, 9 where it is longer than any word. */
static size_t next_word(const char **at, char word[9])
{
    while (isspace((unsigned char)**at))
        (*at)++;
    size_t length = 0;
    for (; **at != '\0' && !isspace((unsigned char)**at); (*at)++) {
        if (length == 8)
            return 9;
        word[length++] = (char)tolower((unsigned char)**at);
    }
    word[length] = '\0';
    return length;
}

enum cl_status cl_words_decode(uint8_t entropy32[32], unsigned *bad_word, const char *text)
{
    uint8_t bits[33] = {0}, hash[32];
    char word[9];
    const char *at = text;
    enum cl_status status = CL_E_SECRET;
    if (bad_word != NULL)
        *bad_word = 0;
    for (unsigned i = 0; i < CL_WORDS_COUNT; i++) {
        size_t length = next_word(&at, word);
        int number = length == 0 || length > 8 ? -1 : find_word(word);
        if (number < 0) {
            if (bad_word != NULL)
                *bad_word = i + 1;
            goto out;
        }
        for (unsigned bit = 0; bit < 11; bit++)
            if (((unsigned)number >> (10 - bit) & 1u) != 0)
                bits[(i * 11 + bit) / 8] |= (uint8_t)(0x80u >> ((i * 11 + bit) % 8));
    }
    if (next_word(&at, word) != 0)
        goto out;
    cl_sha256_of_secret(hash, NULL, bits, 32);
    if (hash[0] != bits[32])
        goto out;
    memcpy(entropy32, bits, 32);
    status = CL_OK;
out:
    cl_wipe(bits, sizeof bits);
    cl_wipe(hash, sizeof hash);
    cl_wipe(word, sizeof word);
    return status;
}

/* BIP39: PBKDF2-HMAC-SHA512 over the words, salt "mnemonic", 2048 rounds; no extra passphrase. */
void cl_words_seed(uint8_t seed64[64], const uint8_t entropy32[32])
{
    char words[CL_WORDS_SIZE];
    cl_words_encode(words, entropy32);
    cl_pbkdf2_sha512(seed64, 64, words, strlen(words), "mnemonic", 8, 2048);
    cl_wipe(words, sizeof words);
}

/* BIP32 "private parent key to private child key", hardened. */
static enum cl_status derive_child(uint8_t secret32[32], uint8_t chain32[32], uint32_t number)
{
    uint8_t data[37], out64[64];
    number |= 0x80000000u;
    data[0] = 0;
    memcpy(data + 1, secret32, 32);
    for (unsigned i = 0; i < 4; i++)
        data[33 + i] = (uint8_t)(number >> (24 - 8 * i));
    cl_hmac_sha512(out64, chain32, 32, data, sizeof data);
    enum cl_status status = cl_secret_tweak_add(secret32, out64);
    memcpy(chain32, out64 + 32, 32);
    cl_wipe(data, sizeof data);
    cl_wipe(out64, sizeof out64);
    return status;
}

enum cl_status cl_key_derive(uint8_t secret32[32], const uint8_t seed64[64], const char *uri, uint32_t index)
{
    uint8_t master[64], hash[32], index_bytes[4];
    for (unsigned i = 0; i < 4; i++)
        index_bytes[i] = (uint8_t)(index >> (8 * i));
    struct cl_sha256 sha;
    cl_sha256_init(&sha);
    cl_sha256_update(&sha, index_bytes, 4);
    cl_sha256_update(&sha, uri, strlen(uri));
    cl_sha256_final(&sha, hash);
    cl_hmac_sha512(master, "Bitcoin seed", 12, seed64, 64);
    uint32_t path[5] = {13};
    for (unsigned i = 0; i < 4; i++)
        path[1 + i] = (uint32_t)hash[4 * i] | (uint32_t)hash[4 * i + 1] << 8 | (uint32_t)hash[4 * i + 2] << 16 |
                      (uint32_t)hash[4 * i + 3] << 24;
    enum cl_status status = CL_OK;
    for (unsigned i = 0; i < 5 && status == CL_OK; i++)
        status = derive_child(master, master + 32, path[i]);
    if (status == CL_OK)
        memcpy(secret32, master, 32);
    cl_wipe(master, sizeof master);
    return status;
}

enum cl_status cl_secret_public(struct cl_public_key *out, const uint8_t secret32[32])
{
    return cl_public_key_of(out->bytes, secret32);
}
