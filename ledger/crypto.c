/* The one door to libsecp256k1, libsodium and nettle. What they offer is narrowed here to the few uses that the formats
   ask for, each with its checks, so that no other file can call them wrongly. */
#include "crypto.h"

#include <assert.h>
#include <nettle/pbkdf2.h>
#include <nettle/sha2.h>
#include <nettle/version.h>
#include <secp256k1.h>
#include <sodium.h>

/* ---------------------------------------------------------------- SHA-256 */

static_assert(sizeof(struct sha256_ctx) <= sizeof(struct cl_sha256), "nettle's context fits");
static_assert(_Alignof(struct sha256_ctx) <= 16, "and is aligned");

static struct sha256_ctx *sha256_context(struct cl_sha256 *hash)
{
    return (struct sha256_ctx *)(void *)hash->opaque;
}

/* nettle 4 no longer takes the digest's length. */
static inline void digest(struct sha256_ctx *context, uint8_t out32[32])
{
#if NETTLE_VERSION_MAJOR >= 4
    sha256_digest(context, out32);
#else
    sha256_digest(context, 32, out32);
#endif
}

void cl_sha256_init(struct cl_sha256 *hash)
{
    sha256_init(sha256_context(hash));
}

void cl_sha256_update(struct cl_sha256 *hash, const void *data, size_t length)
{
    if (length > 0) sha256_update(sha256_context(hash), length, data);
}

void cl_sha256_final(struct cl_sha256 *hash, uint8_t out32[32])
{
    digest(sha256_context(hash), out32);
}

void cl_sha256_once(uint8_t out32[32], const void *data, size_t length)
{
    struct sha256_ctx context;
    sha256_init(&context);
    if (length > 0) sha256_update(&context, length, data);
    digest(&context, out32);
}

void cl_sha256_domain(struct cl_sha256 *hash, const char *domain)
{
    cl_sha256_init(hash);
    cl_sha256_update(hash, domain, strlen(domain) + 1);
}

void cl_sha256_of_secret(uint8_t out32[32], const char *domain, const void *secret, size_t length)
{
    struct cl_sha256 hash;
    if (domain != NULL) cl_sha256_domain(&hash, domain);
    else cl_sha256_init(&hash);
    cl_sha256_update(&hash, secret, length);
    cl_sha256_final(&hash, out32);
    sodium_memzero(&hash, sizeof hash);
}

void cl_sha256_node(uint8_t out32[32], uint8_t prefix, const uint8_t a32[32], const uint8_t b32[32])
{
    uint8_t node[65];
    node[0] = prefix;
    memcpy(node + 1, a32, 32);
    memcpy(node + 33, b32, 32);
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, sizeof node, node);
    digest(&context, out32);
}

/* ---------------------------------------------------------------- secp256k1 */

/* Half the group's order: the largest s that counts as low (SEC 2 section 2.4.1 gives the order). */
static const uint8_t half_order[32] = {
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
};

bool cl_public_key_valid(const uint8_t key33[33])
{
    secp256k1_pubkey key;
    return secp256k1_ec_pubkey_parse(secp256k1_context_static, &key, key33, 33) == 1;
}

bool cl_signature_low_s(const uint8_t signature64[64])
{
    return memcmp(signature64 + 32, half_order, 32) <= 0;
}

enum cl_status cl_ecdsa_verify(const uint8_t key33[33], const uint8_t digest32[32], const uint8_t signature64[64])
{
    if (!cl_signature_low_s(signature64)) return CL_E_SIGNATURE_HIGH_S;
    secp256k1_pubkey key;
    if (!secp256k1_ec_pubkey_parse(secp256k1_context_static, &key, key33, 33)) return CL_E_KEY;
    secp256k1_ecdsa_signature signature;
    if (!secp256k1_ecdsa_signature_parse_compact(secp256k1_context_static, &signature, signature64))
        return CL_E_SIGNATURE;
    if (!secp256k1_ecdsa_verify(secp256k1_context_static, &signature, digest32, &key)) return CL_E_SIGNATURE;
    return CL_OK;
}

/* What handles a secret works in a context of its own, freshly blinded against side channels: no global state. */
static enum cl_status blinded_context(secp256k1_context **out)
{
    uint8_t seed[32];
    secp256k1_context *context = NULL;
    enum cl_status status = cl_random(seed, sizeof seed);
    if (status != CL_OK) goto out;
    context = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
    if (context == NULL || !secp256k1_context_randomize(context, seed)) {
        if (context != NULL) secp256k1_context_destroy(context);
        status = CL_E_MEMORY;
        goto out;
    }
    *out = context;
out:
    sodium_memzero(seed, sizeof seed);
    return status;
}

enum cl_status cl_ecdsa_sign(uint8_t signature64[64], const uint8_t secret32[32], const uint8_t digest32[32])
{
    secp256k1_context *context = NULL;
    enum cl_status status = blinded_context(&context);
    if (status != CL_OK) return status;
    /* The default nonce is RFC 6979's and the result has low s. */
    secp256k1_ecdsa_signature signature;
    if (secp256k1_ecdsa_sign(context, &signature, digest32, secret32, NULL, NULL))
        secp256k1_ecdsa_signature_serialize_compact(context, signature64, &signature);
    else
        status = CL_E_SECRET;
    secp256k1_context_destroy(context);
    return status;
}

enum cl_status cl_public_key_of(uint8_t key33[33], const uint8_t secret32[32])
{
    secp256k1_context *context = NULL;
    enum cl_status status = blinded_context(&context);
    if (status != CL_OK) return status;
    secp256k1_pubkey key;
    size_t length = 33;
    if (secp256k1_ec_pubkey_create(context, &key, secret32))
        secp256k1_ec_pubkey_serialize(context, key33, &length, &key, SECP256K1_EC_COMPRESSED);
    else
        status = CL_E_SECRET;
    secp256k1_context_destroy(context);
    return status;
}

enum cl_status cl_secret_tweak_add(uint8_t secret32[32], const uint8_t tweak32[32])
{
    if (secp256k1_ec_seckey_tweak_add(secp256k1_context_static, secret32, tweak32)) return CL_OK;
    sodium_memzero(secret32, 32);
    return CL_E_SECRET;
}

enum cl_status cl_signature_normalise(uint8_t signature64[64], const uint8_t *signature, size_t length)
{
    secp256k1_ecdsa_signature parsed;
    int good = length == 64 ? secp256k1_ecdsa_signature_parse_compact(secp256k1_context_static, &parsed, signature)
                            : secp256k1_ecdsa_signature_parse_der(secp256k1_context_static, &parsed, signature, length);
    if (!good) return CL_E_SIGNATURE;
    secp256k1_ecdsa_signature_normalize(secp256k1_context_static, &parsed, &parsed);
    uint8_t compact[64];
    secp256k1_ecdsa_signature_serialize_compact(secp256k1_context_static, compact, &parsed);
    /* The DER parser turns numbers that are too large into zero; no signature has a zero in it. */
    if (sodium_is_zero(compact, 32) || sodium_is_zero(compact + 32, 32)) return CL_E_SIGNATURE;
    memcpy(signature64, compact, 64);
    return CL_OK;
}

/* ---------------------------------------------------------------- Ed25519 */

/* libsodium's secret key is the seed and then the public key. */
_Static_assert(sizeof(struct cl_ed25519_key) == crypto_sign_SECRETKEYBYTES, "a key has no padding");

void cl_ed25519_key_make(struct cl_ed25519_key *out, const uint8_t seed32[32])
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES], public[32];
    int result = crypto_sign_seed_keypair(public, secret, seed32);
    assert(result == 0);
    (void)result;
    memcpy(out, secret, sizeof secret);
    sodium_memzero(secret, sizeof secret);
}

void cl_ed25519_key_sign(uint8_t signature64[64], const struct cl_ed25519_key *key, const void *data, size_t length)
{
    int result = crypto_sign_detached(signature64, NULL, data, length, (const uint8_t *)key);
    assert(result == 0);
    (void)result;
}

void cl_ed25519_public(uint8_t public32[32], const uint8_t seed32[32])
{
    struct cl_ed25519_key key;
    cl_ed25519_key_make(&key, seed32);
    memcpy(public32, key.public, 32);
    sodium_memzero(&key, sizeof key);
}

void cl_ed25519_sign(uint8_t signature64[64], const uint8_t seed32[32], const void *data, size_t length)
{
    struct cl_ed25519_key key;
    cl_ed25519_key_make(&key, seed32);
    cl_ed25519_key_sign(signature64, &key, data, length);
    sodium_memzero(&key, sizeof key);
}

bool cl_ed25519_verify(const uint8_t public32[32], const uint8_t signature64[64], const void *data, size_t length)
{
    return crypto_sign_verify_detached(signature64, data, length, public32) == 0;
}

/* ---------------------------------------------------------------- others */

enum cl_status cl_random(void *out, size_t length)
{
    if (sodium_init() < 0) return CL_E_IO;
    randombytes_buf(out, length);
    return CL_OK;
}

void cl_wipe(void *secret, size_t length)
{
    sodium_memzero(secret, length);
}

bool cl_equal_constant_time(const void *a, const void *b, size_t length)
{
    return sodium_memcmp(a, b, length) == 0;
}

void cl_hmac_sha256(uint8_t out32[32], const void *key, size_t key_length, const void *data, size_t length)
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key, key_length);
    crypto_auth_hmacsha256_update(&state, data, length);
    crypto_auth_hmacsha256_final(&state, out32);
    sodium_memzero(&state, sizeof state);
}

void cl_hmac_sha512(uint8_t out64[64], const void *key, size_t key_length, const void *data, size_t length)
{
    crypto_auth_hmacsha512_state state;
    crypto_auth_hmacsha512_init(&state, key, key_length);
    crypto_auth_hmacsha512_update(&state, data, length);
    crypto_auth_hmacsha512_final(&state, out64);
    sodium_memzero(&state, sizeof state);
}

void cl_pbkdf2_sha512(uint8_t *out, size_t out_length, const void *password, size_t password_length, const void *salt,
                      size_t salt_length, unsigned iterations)
{
    assert(iterations > 0 && out_length > 0);
    pbkdf2_hmac_sha512(password_length, password, iterations, salt_length, salt, out_length, out);
}

enum cl_status cl_argon2id(uint8_t out32[32], const char *passphrase, size_t passphrase_length,
                           const uint8_t salt16[16], uint64_t operations, size_t memory_bytes)
{
    static_assert(crypto_pwhash_SALTBYTES == 16, "the salt's length is in the interface");
    /* The parameters come from a file: what libsodium would refuse must not look like a lack of memory. */
    if (operations < crypto_pwhash_argon2id_OPSLIMIT_MIN || operations > crypto_pwhash_argon2id_OPSLIMIT_MAX ||
        memory_bytes < crypto_pwhash_argon2id_MEMLIMIT_MIN || memory_bytes > crypto_pwhash_argon2id_MEMLIMIT_MAX ||
        passphrase_length > crypto_pwhash_argon2id_PASSWD_MAX)
        return CL_E_ARGUMENT;
    if (sodium_init() < 0) return CL_E_IO;
    int result = crypto_pwhash(out32, 32, passphrase, passphrase_length, salt16, operations, memory_bytes,
                               crypto_pwhash_ALG_ARGON2ID13);
    return result == 0 ? CL_OK : CL_E_MEMORY;
}

void cl_seal(uint8_t *out, const void *data, size_t length, const void *additional, size_t additional_length,
             const uint8_t nonce24[24], const uint8_t key32[32])
{
    crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, data, length, additional, additional_length, NULL, nonce24,
                                               key32);
}

enum cl_status cl_open(uint8_t *out, const uint8_t *sealed, size_t sealed_length, const void *additional,
                       size_t additional_length, const uint8_t nonce24[24], const uint8_t key32[32])
{
    if (sealed_length < crypto_aead_xchacha20poly1305_ietf_ABYTES) return CL_E_LOCKED;
    int result = crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, sealed_length, additional,
                                                            additional_length, nonce24, key32);
    return result == 0 ? CL_OK : CL_E_LOCKED;
}

void cl_x25519_public(uint8_t public32[32], const uint8_t secret32[32])
{
    int result = crypto_scalarmult_base(public32, secret32);
    assert(result == 0);
    (void)result;
}

static_assert(CL_BOX_EXTRA == crypto_box_SEALBYTES, "an ephemeral key and an authenticator");

enum cl_status cl_box_seal(uint8_t *out, const void *data, size_t length, const uint8_t public32[32])
{
    if (sodium_init() < 0) return CL_E_IO;
    return crypto_box_seal(out, data, length, public32) == 0 ? CL_OK : CL_E_KEY;
}

enum cl_status cl_box_open(uint8_t *out, const uint8_t *sealed, size_t sealed_length, const uint8_t secret32[32])
{
    uint8_t public32[32];
    if (sealed_length < crypto_box_SEALBYTES) return CL_E_DELIVERY_KEY;
    cl_x25519_public(public32, secret32);
    return crypto_box_seal_open(out, sealed, sealed_length, public32, secret32) == 0 ? CL_OK : CL_E_DELIVERY_KEY;
}

/* ---------------------------------------------------------------- CRC-32C (Castagnoli; RFC 3720 section 12.1) */

/* Remainders of the 256 bytes by the reflected polynomial 0x82f63b78. */
static const uint32_t crc32c_table[256] = {
    0x00000000, 0xf26b8303, 0xe13b70f7, 0x1350f3f4, 0xc79a971f, 0x35f1141c, 0x26a1e7e8, 0xd4ca64eb,
    0x8ad958cf, 0x78b2dbcc, 0x6be22838, 0x9989ab3b, 0x4d43cfd0, 0xbf284cd3, 0xac78bf27, 0x5e133c24,
    0x105ec76f, 0xe235446c, 0xf165b798, 0x030e349b, 0xd7c45070, 0x25afd373, 0x36ff2087, 0xc494a384,
    0x9a879fa0, 0x68ec1ca3, 0x7bbcef57, 0x89d76c54, 0x5d1d08bf, 0xaf768bbc, 0xbc267848, 0x4e4dfb4b,
    0x20bd8ede, 0xd2d60ddd, 0xc186fe29, 0x33ed7d2a, 0xe72719c1, 0x154c9ac2, 0x061c6936, 0xf477ea35,
    0xaa64d611, 0x580f5512, 0x4b5fa6e6, 0xb93425e5, 0x6dfe410e, 0x9f95c20d, 0x8cc531f9, 0x7eaeb2fa,
    0x30e349b1, 0xc288cab2, 0xd1d83946, 0x23b3ba45, 0xf779deae, 0x05125dad, 0x1642ae59, 0xe4292d5a,
    0xba3a117e, 0x4851927d, 0x5b016189, 0xa96ae28a, 0x7da08661, 0x8fcb0562, 0x9c9bf696, 0x6ef07595,
    0x417b1dbc, 0xb3109ebf, 0xa0406d4b, 0x522bee48, 0x86e18aa3, 0x748a09a0, 0x67dafa54, 0x95b17957,
    0xcba24573, 0x39c9c670, 0x2a993584, 0xd8f2b687, 0x0c38d26c, 0xfe53516f, 0xed03a29b, 0x1f682198,
    0x5125dad3, 0xa34e59d0, 0xb01eaa24, 0x42752927, 0x96bf4dcc, 0x64d4cecf, 0x77843d3b, 0x85efbe38,
    0xdbfc821c, 0x2997011f, 0x3ac7f2eb, 0xc8ac71e8, 0x1c661503, 0xee0d9600, 0xfd5d65f4, 0x0f36e6f7,
    0x61c69362, 0x93ad1061, 0x80fde395, 0x72966096, 0xa65c047d, 0x5437877e, 0x4767748a, 0xb50cf789,
    0xeb1fcbad, 0x197448ae, 0x0a24bb5a, 0xf84f3859, 0x2c855cb2, 0xdeeedfb1, 0xcdbe2c45, 0x3fd5af46,
    0x7198540d, 0x83f3d70e, 0x90a324fa, 0x62c8a7f9, 0xb602c312, 0x44694011, 0x5739b3e5, 0xa55230e6,
    0xfb410cc2, 0x092a8fc1, 0x1a7a7c35, 0xe811ff36, 0x3cdb9bdd, 0xceb018de, 0xdde0eb2a, 0x2f8b6829,
    0x82f63b78, 0x709db87b, 0x63cd4b8f, 0x91a6c88c, 0x456cac67, 0xb7072f64, 0xa457dc90, 0x563c5f93,
    0x082f63b7, 0xfa44e0b4, 0xe9141340, 0x1b7f9043, 0xcfb5f4a8, 0x3dde77ab, 0x2e8e845f, 0xdce5075c,
    0x92a8fc17, 0x60c37f14, 0x73938ce0, 0x81f80fe3, 0x55326b08, 0xa759e80b, 0xb4091bff, 0x466298fc,
    0x1871a4d8, 0xea1a27db, 0xf94ad42f, 0x0b21572c, 0xdfeb33c7, 0x2d80b0c4, 0x3ed04330, 0xccbbc033,
    0xa24bb5a6, 0x502036a5, 0x4370c551, 0xb11b4652, 0x65d122b9, 0x97baa1ba, 0x84ea524e, 0x7681d14d,
    0x2892ed69, 0xdaf96e6a, 0xc9a99d9e, 0x3bc21e9d, 0xef087a76, 0x1d63f975, 0x0e330a81, 0xfc588982,
    0xb21572c9, 0x407ef1ca, 0x532e023e, 0xa145813d, 0x758fe5d6, 0x87e466d5, 0x94b49521, 0x66df1622,
    0x38cc2a06, 0xcaa7a905, 0xd9f75af1, 0x2b9cd9f2, 0xff56bd19, 0x0d3d3e1a, 0x1e6dcdee, 0xec064eed,
    0xc38d26c4, 0x31e6a5c7, 0x22b65633, 0xd0ddd530, 0x0417b1db, 0xf67c32d8, 0xe52cc12c, 0x1747422f,
    0x49547e0b, 0xbb3ffd08, 0xa86f0efc, 0x5a048dff, 0x8ecee914, 0x7ca56a17, 0x6ff599e3, 0x9d9e1ae0,
    0xd3d3e1ab, 0x21b862a8, 0x32e8915c, 0xc083125f, 0x144976b4, 0xe622f5b7, 0xf5720643, 0x07198540,
    0x590ab964, 0xab613a67, 0xb831c993, 0x4a5a4a90, 0x9e902e7b, 0x6cfbad78, 0x7fab5e8c, 0x8dc0dd8f,
    0xe330a81a, 0x115b2b19, 0x020bd8ed, 0xf0605bee, 0x24aa3f05, 0xd6c1bc06, 0xc5914ff2, 0x37faccf1,
    0x69e9f0d5, 0x9b8273d6, 0x88d28022, 0x7ab90321, 0xae7367ca, 0x5c18e4c9, 0x4f48173d, 0xbd23943e,
    0xf36e6f75, 0x0105ec76, 0x12551f82, 0xe03e9c81, 0x34f4f86a, 0xc69f7b69, 0xd5cf889d, 0x27a40b9e,
    0x79b737ba, 0x8bdcb4b9, 0x988c474d, 0x6ae7c44e, 0xbe2da0a5, 0x4c4623a6, 0x5f16d052, 0xad7d5351,
};

static uint32_t crc32c_bytes(uint32_t crc, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) crc = crc >> 8 ^ crc32c_table[(crc ^ bytes[i]) & 0xffu];
    return crc;
}

#if defined(__x86_64__) && defined(__GNUC__)
/* The processor's own instruction: every record that a node votes for passes through here once. */
__attribute__((target("sse4.2"))) static uint32_t crc32c_words(uint32_t crc, const uint8_t *bytes, size_t word_count)
{
    uint64_t running = crc;
    for (size_t i = 0; i < word_count; i++) {
        uint64_t word;
        memcpy(&word, bytes + 8 * i, sizeof word);
        running = __builtin_ia32_crc32di(running, word);
    }
    return (uint32_t)running;
}

static bool crc32c_has_words(void)
{
    return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t crc32c_words(uint32_t crc, const uint8_t *bytes, size_t word_count)
{
    return crc32c_bytes(crc, bytes, 8 * word_count);
}

static bool crc32c_has_words(void)
{
    return false;
}
#endif

uint32_t cl_crc32c_extend(uint32_t crc, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    size_t word_count = crc32c_has_words() ? length / 8 : 0;
    if (length == 0) return crc; /* data may be NULL */
    crc = crc32c_words(~crc, bytes, word_count);
    return ~crc32c_bytes(crc, bytes + 8 * word_count, length - 8 * word_count);
}

uint32_t cl_crc32c(uint8_t type, const void *data, size_t length)
{
    return cl_crc32c_extend(cl_crc32c_extend(0, &type, 1), data, length);
}
