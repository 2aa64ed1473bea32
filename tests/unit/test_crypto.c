/* crypto.c against published test vectors, and its refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto.h"

#include <stdlib.h>

static void from_hex(uint8_t *out, const char *hex)
{
    size_t length = strlen(hex) / 2;
    for (size_t i = 0; i < length; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
}

static void assert_hex(const uint8_t *data, const char *hex)
{
    uint8_t expected[128];
    assert_true(strlen(hex) / 2 <= sizeof expected);
    from_hex(expected, hex);
    assert_memory_equal(data, expected, strlen(hex) / 2);
}

/* FIPS 180-2 appendix B */
static void sha256_gives_the_standards_values(void **state)
{
    (void)state;
    uint8_t out[32], streamed[32];
    cl_sha256_once(out, "abc", 3);
    assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    cl_sha256_once(out, NULL, 0);
    assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const char *text = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    struct cl_sha256 hash;
    cl_sha256_init(&hash);
    for (size_t i = 0; i < strlen(text); i++) cl_sha256_update(&hash, text + i, 1);
    cl_sha256_final(&hash, streamed);
    assert_hex(streamed, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void domain_hashes_its_zero_byte_and_node_its_prefix(void **state)
{
    (void)state;
    uint8_t out[32], expected[32], a[32], b[32], joined[65] = {1};
    struct cl_sha256 hash;
    cl_sha256_domain(&hash, "consent/v1 id");
    cl_sha256_final(&hash, out);
    cl_sha256_once(expected, "consent/v1 id", 14);
    assert_memory_equal(out, expected, 32);
    memset(a, 0xaa, 32);
    memset(b, 0xbb, 32);
    memcpy(joined + 1, a, 32);
    memcpy(joined + 33, b, 32);
    cl_sha256_node(out, 1, a, b);
    cl_sha256_once(expected, joined, 65);
    assert_memory_equal(out, expected, 32);
}

static void public_key_of_one_is_the_generator(void **state)
{
    (void)state;
    uint8_t secret[32] = {0}, key[33];
    assert_int_equal(cl_public_key_of(key, secret), CL_E_SECRET);
    secret[31] = 1;
    assert_int_equal(cl_public_key_of(key, secret), CL_OK);
    assert_hex(key, "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    assert_true(cl_public_key_valid(key));
    key[0] = 4;
    assert_false(cl_public_key_valid(key));
    memset(key, 0, sizeof key);
    key[0] = 2;
    key[32] = 5; /* no point of the curve has x = 5 */
    assert_false(cl_public_key_valid(key));
}

/* The widely published RFC 6979 vector for secp256k1: secret 1, message "Satoshi Nakamoto". */
static void signing_is_deterministic_as_in_rfc_6979(void **state)
{
    (void)state;
    uint8_t secret[32] = {0}, digest[32], signature[64], key[33];
    secret[31] = 1;
    cl_sha256_once(digest, "Satoshi Nakamoto", 16);
    assert_int_equal(cl_ecdsa_sign(signature, secret, digest), CL_OK);
    assert_hex(signature, "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
                          "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5");
    assert_int_equal(cl_public_key_of(key, secret), CL_OK);
    assert_int_equal(cl_ecdsa_verify(key, digest, signature), CL_OK);
    memset(secret, 0xff, 32);
    assert_int_equal(cl_ecdsa_sign(signature, secret, digest), CL_E_SECRET);
}

static const uint8_t order[32] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
};

static void negate_s(uint8_t signature[64])
{
    int borrow = 0;
    for (int i = 31; i >= 0; i--) {
        int difference = order[i] - signature[32 + i] - borrow;
        borrow = difference < 0;
        signature[32 + i] = (uint8_t)(difference + (borrow ? 256 : 0));
    }
}

static void a_tampered_signature_digest_or_key_is_refused(void **state)
{
    (void)state;
    uint8_t secret[32], digest[32], signature[64], key[33];
    memset(secret, 7, 32);
    memset(digest, 9, 32);
    assert_int_equal(cl_public_key_of(key, secret), CL_OK);
    assert_int_equal(cl_ecdsa_sign(signature, secret, digest), CL_OK);
    for (size_t i = 0; i < 64; i += 9) {
        signature[i] ^= 1;
        assert_int_not_equal(cl_ecdsa_verify(key, digest, signature), CL_OK);
        signature[i] ^= 1;
    }
    digest[0] ^= 1;
    assert_int_equal(cl_ecdsa_verify(key, digest, signature), CL_E_SIGNATURE);
    digest[0] ^= 1;
    key[0] ^= 1;
    assert_int_equal(cl_ecdsa_verify(key, digest, signature), CL_E_SIGNATURE);
    key[0] = 9;
    assert_int_equal(cl_ecdsa_verify(key, digest, signature), CL_E_KEY);
    key[0] = 2;
    memset(signature, 0xff, 32); /* r beyond the order */
    assert_int_equal(cl_ecdsa_verify(key, digest, signature), CL_E_SIGNATURE);
}

static void high_s_is_refused_and_normalised(void **state)
{
    (void)state;
    uint8_t secret[32], digest[32], signature[64], twin[64], normal[64], key[33];
    memset(secret, 3, 32);
    memset(digest, 1, 32);
    assert_int_equal(cl_public_key_of(key, secret), CL_OK);
    assert_int_equal(cl_ecdsa_sign(signature, secret, digest), CL_OK);
    memcpy(twin, signature, 64);
    negate_s(twin);
    assert_true(cl_signature_low_s(signature));
    assert_false(cl_signature_low_s(twin));
    assert_int_equal(cl_ecdsa_verify(key, digest, twin), CL_E_SIGNATURE_HIGH_S);
    assert_int_equal(cl_signature_normalise(normal, twin, 64), CL_OK);
    assert_memory_equal(normal, signature, 64);
    assert_int_equal(cl_signature_normalise(normal, signature, 64), CL_OK);
    assert_memory_equal(normal, signature, 64);
}

static void the_bound_of_low_s_is_half_the_order(void **state)
{
    (void)state;
    uint8_t signature[64] = {0};
    from_hex(signature + 32, "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");
    assert_true(cl_signature_low_s(signature));
    signature[63]++;
    assert_false(cl_signature_low_s(signature));
}

/* r || s as DER: SEQUENCE of two INTEGERs (RFC 3279 section 2.2.3). */
static size_t to_der(uint8_t *out, const uint8_t signature[64])
{
    size_t at = 2;
    for (int half = 0; half < 2; half++) {
        const uint8_t *number = signature + 32 * half;
        size_t skip = 0;
        while (skip < 31 && number[skip] == 0) skip++;
        bool pad = number[skip] & 0x80;
        out[at++] = 2;
        out[at++] = (uint8_t)(32 - skip + (pad ? 1 : 0));
        if (pad) out[at++] = 0;
        memcpy(out + at, number + skip, 32 - skip);
        at += 32 - skip;
    }
    out[0] = 0x30;
    out[1] = (uint8_t)(at - 2);
    return at;
}

static void der_from_an_external_signer_is_taken(void **state)
{
    (void)state;
    uint8_t secret[32], digest[32], signature[64], twin[64], normal[64], der[80];
    memset(secret, 5, 32);
    for (uint8_t n = 0; n < 40; n++) {
        memset(digest, n, 32);
        assert_int_equal(cl_ecdsa_sign(signature, secret, digest), CL_OK);
        size_t length = to_der(der, signature);
        assert_int_equal(cl_signature_normalise(normal, der, length), CL_OK);
        assert_memory_equal(normal, signature, 64);
        assert_int_equal(cl_signature_normalise(normal, der, length - 1), CL_E_SIGNATURE);
        memcpy(twin, signature, 64);
        negate_s(twin);
        length = to_der(der, twin);
        assert_int_equal(cl_signature_normalise(normal, der, length), CL_OK);
        assert_memory_equal(normal, signature, 64);
    }
    assert_int_equal(cl_signature_normalise(normal, der, 0), CL_E_SIGNATURE);
    uint8_t zero[64] = {0};
    assert_int_equal(cl_signature_normalise(normal, zero, 64), CL_E_SIGNATURE);
}

/* BIP32 test vector 1: the chain m -> m/0'. */
static void tweaking_gives_bip32s_child(void **state)
{
    (void)state;
    uint8_t secret[32], chain[32], data[37] = {0}, out[64];
    from_hex(secret, "e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35");
    from_hex(chain, "873dff81c02f525623fd1fe5167eac3a55a049de3d314bb42ee227ffed37d508");
    memcpy(data + 1, secret, 32);
    data[33] = 0x80;
    cl_hmac_sha512(out, chain, 32, data, sizeof data);
    assert_int_equal(cl_secret_tweak_add(secret, out), CL_OK);
    assert_hex(secret, "edb2e14f9ee77d26dd93b4ecede8d16ed408ce149b6cd80b0715a2d911a0afea");
    memset(out, 0xff, 32);
    assert_int_equal(cl_secret_tweak_add(secret, out), CL_E_SECRET);
}

/* RFC 8032 section 7.1, test 2 */
static void ed25519_gives_the_standards_values(void **state)
{
    (void)state;
    uint8_t seed[32], public[32], signature[64], message = 0x72;
    from_hex(seed, "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    cl_ed25519_public(public, seed);
    assert_hex(public, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    cl_ed25519_sign(signature, seed, &message, 1);
    assert_hex(signature, "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                          "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
    assert_true(cl_ed25519_verify(public, signature, &message, 1));
    signature[40] ^= 1;
    assert_false(cl_ed25519_verify(public, signature, &message, 1));
}

/* The BIP39 test vector for "abandon … about" with the passphrase TREZOR. */
static void pbkdf2_gives_bip39s_seed(void **state)
{
    (void)state;
    const char *words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    const char *salt = "mnemonicTREZOR";
    uint8_t seed[64];
    cl_pbkdf2_sha512(seed, 64, words, strlen(words), salt, strlen(salt), 2048);
    assert_hex(seed, "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d182"
                     "64c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04");
}

static void sealed_bytes_open_only_whole_and_with_their_key(void **state)
{
    (void)state;
    uint8_t key[32], nonce[24], sealed[5 + 16], opened[5];
    memset(key, 1, sizeof key);
    memset(nonce, 2, sizeof nonce);
    cl_seal(sealed, "hello", 5, "label", 5, nonce, key);
    assert_int_equal(cl_open(opened, sealed, sizeof sealed, "label", 5, nonce, key), CL_OK);
    assert_memory_equal(opened, "hello", 5);
    assert_int_equal(cl_open(opened, sealed, sizeof sealed, "other", 5, nonce, key), CL_E_LOCKED);
    assert_int_equal(cl_open(opened, sealed, 15, "label", 5, nonce, key), CL_E_LOCKED);
    sealed[0] ^= 1;
    assert_int_equal(cl_open(opened, sealed, sizeof sealed, "label", 5, nonce, key), CL_E_LOCKED);
    sealed[0] ^= 1;
    key[0] ^= 1;
    assert_int_equal(cl_open(opened, sealed, sizeof sealed, "label", 5, nonce, key), CL_E_LOCKED);
}

static void argon2id_refuses_parameters_it_cannot_use(void **state)
{
    (void)state;
    uint8_t one[32], two[32], salt[16] = {0};
    assert_int_equal(cl_argon2id(one, "pass", 4, salt, 0, 65536), CL_E_ARGUMENT);
    assert_int_equal(cl_argon2id(one, "pass", 4, salt, 1, 16), CL_E_ARGUMENT);
    assert_int_equal(cl_argon2id(one, "pass", 4, salt, 1, 65536), CL_OK);
    assert_int_equal(cl_argon2id(two, "past", 4, salt, 1, 65536), CL_OK);
    assert_memory_not_equal(one, two, 32);
}

/* RFC 7748 section 5.2: one iteration, scalar and u-coordinate 9 (the base point) */
static void x25519_gives_the_standards_key(void **state)
{
    (void)state;
    uint8_t secret[32] = {9}, public[32];
    cl_x25519_public(public, secret);
    assert_hex(public, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
}

/* RFC 3720 section B.4: 32 zero bytes give 8a9136aa; here the first of them is the type. "123456789": e3069283. */
static void crc32c_gives_the_standards_values(void **state)
{
    (void)state;
    uint8_t zero[31] = {0};
    assert_int_equal(cl_crc32c(0, zero, 31), 0x8a9136aau);
    assert_int_equal(cl_crc32c('1', "23456789", 8), 0xe3069283u);
    assert_int_equal(cl_crc32c(0, NULL, 0), 0x527d5351u);
    /* bit by bit, at every length and alignment, so that words and bytes agree */
    uint8_t data[80];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 37 + 5);
    for (size_t start = 0; start < 9; start++) {
        for (size_t length = 0; start + length <= sizeof data; length++) {
            uint32_t crc = 0xffffffffu;
            for (size_t i = 0; i <= length; i++) {
                crc ^= i == 0 ? 7u : data[start + i - 1];
                for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
            }
            assert_int_equal(cl_crc32c(7, data + start, length), ~crc);
        }
    }
}

static void random_bytes_differ_and_wiping_leaves_zero(void **state)
{
    (void)state;
    uint8_t one[32], two[32], zero[32] = {0};
    assert_int_equal(cl_random(one, 32), CL_OK);
    assert_int_equal(cl_random(two, 32), CL_OK);
    assert_false(cl_equal_constant_time(one, two, 32));
    cl_wipe(one, 32);
    assert_true(cl_equal_constant_time(one, zero, 32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_standards_values),
        cmocka_unit_test(domain_hashes_its_zero_byte_and_node_its_prefix),
        cmocka_unit_test(public_key_of_one_is_the_generator),
        cmocka_unit_test(signing_is_deterministic_as_in_rfc_6979),
        cmocka_unit_test(a_tampered_signature_digest_or_key_is_refused),
        cmocka_unit_test(high_s_is_refused_and_normalised),
        cmocka_unit_test(the_bound_of_low_s_is_half_the_order),
        cmocka_unit_test(der_from_an_external_signer_is_taken),
        cmocka_unit_test(tweaking_gives_bip32s_child),
        cmocka_unit_test(ed25519_gives_the_standards_values),
        cmocka_unit_test(pbkdf2_gives_bip39s_seed),
        cmocka_unit_test(sealed_bytes_open_only_whole_and_with_their_key),
        cmocka_unit_test(argon2id_refuses_parameters_it_cannot_use),
        cmocka_unit_test(x25519_gives_the_standards_key),
        cmocka_unit_test(crc32c_gives_the_standards_values),
        cmocka_unit_test(random_bytes_differ_and_wiping_leaves_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
