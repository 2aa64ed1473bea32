/* The one door to libsecp256k1, libsodium and nettle: no other file includes their headers. Thread-safe; no global
   state. SHA-256 is nettle's, because Debian's libsodium has no SHA instructions in it and takes four times as long. */
#ifndef LEDGER_CRYPTO_H
#define LEDGER_CRYPTO_H

#include "consent/status.h"
#include "consent/types.h"

/* Opaque storage for a running hash, large enough for nettle's context (checked by an assertion in crypto.c). */
struct cl_sha256 { _Alignas(16) uint8_t opaque[128]; };
void cl_sha256_init(struct cl_sha256 *hash);
void cl_sha256_update(struct cl_sha256 *hash, const void *data, size_t length);
void cl_sha256_final(struct cl_sha256 *hash, uint8_t out32[32]);
void cl_sha256_once(uint8_t out32[32], const void *data, size_t length);
/* Starts H(domain || 00 || data…): domain is a C string, its zero byte is hashed. */
void cl_sha256_domain(struct cl_sha256 *hash, const char *domain);
/* H(domain || 00 || secret), or H(secret) where domain is NULL; leaves nothing of the secret behind. */
void cl_sha256_of_secret(uint8_t out32[32], const char *domain, const void *secret, size_t length);
/* H(prefix byte || a32 || b32): nodes of the log and of the state tree. */
void cl_sha256_node(uint8_t out32[32], uint8_t prefix, const uint8_t a32[32], const uint8_t b32[32]);

/* secp256k1 */
bool cl_public_key_valid(const uint8_t key33[33]);
bool cl_signature_low_s(const uint8_t signature64[64]);
CL_MUST_USE enum cl_status cl_ecdsa_verify(const uint8_t key33[33], const uint8_t digest32[32], const uint8_t signature64[64]); /* CL_E_KEY, CL_E_SIGNATURE, CL_E_SIGNATURE_HIGH_S */
CL_MUST_USE enum cl_status cl_ecdsa_sign(uint8_t signature64[64], const uint8_t secret32[32], const uint8_t digest32[32]);
CL_MUST_USE enum cl_status cl_public_key_of(uint8_t key33[33], const uint8_t secret32[32]); /* CL_E_SECRET */
CL_MUST_USE enum cl_status cl_secret_tweak_add(uint8_t secret32[32], const uint8_t tweak32[32]); /* BIP32; CL_E_SECRET */
/* From an external signer: 64 bytes r || s, or DER; low s out. CL_E_SIGNATURE. */
CL_MUST_USE enum cl_status cl_signature_normalise(uint8_t signature64[64], const uint8_t *signature, size_t length);

/* Ed25519 (RFC 8032), keys from a 32-byte seed. Whoever signs often makes the key once, which is half of what a signature
   from the seed costs, and wipes it. */
struct cl_ed25519_key { uint8_t seed[32], public[32]; };
void cl_ed25519_key_make(struct cl_ed25519_key *out, const uint8_t seed32[32]);
void cl_ed25519_key_sign(uint8_t signature64[64], const struct cl_ed25519_key *key, const void *data, size_t length);
void cl_ed25519_public(uint8_t public32[32], const uint8_t seed32[32]);
void cl_ed25519_sign(uint8_t signature64[64], const uint8_t seed32[32], const void *data, size_t length);
bool cl_ed25519_verify(const uint8_t public32[32], const uint8_t signature64[64], const void *data, size_t length);

/* others, all libsodium's but PBKDF2 (nettle) */
CL_MUST_USE enum cl_status cl_random(void *out, size_t length);
void cl_wipe(void *secret, size_t length);
bool cl_equal_constant_time(const void *a, const void *b, size_t length);
void cl_hmac_sha256(uint8_t out32[32], const void *key, size_t key_length, const void *data, size_t length);
void cl_hmac_sha512(uint8_t out64[64], const void *key, size_t key_length, const void *data, size_t length);
void cl_pbkdf2_sha512(uint8_t *out, size_t out_length, const void *password, size_t password_length, const void *salt, size_t salt_length, unsigned iterations);
/* Argon2id, memory in bytes. */
CL_MUST_USE enum cl_status cl_argon2id(uint8_t out32[32], const char *passphrase, size_t passphrase_length, const uint8_t salt16[16], uint64_t operations, size_t memory_bytes);
/* XChaCha20-Poly1305; out has length + 16 bytes. */
void cl_seal(uint8_t *out, const void *data, size_t length, const void *additional, size_t additional_length, const uint8_t nonce24[24], const uint8_t key32[32]);
CL_MUST_USE enum cl_status cl_open(uint8_t *out, const uint8_t *sealed, size_t sealed_length, const void *additional, size_t additional_length, const uint8_t nonce24[24], const uint8_t key32[32]); /* CL_E_LOCKED */
void cl_x25519_public(uint8_t public32[32], const uint8_t secret32[32]);
/* libsodium's sealed box (X25519, XSalsa20-Poly1305): out has length + CL_BOX_EXTRA bytes. CL_E_KEY: no usable public key; CL_E_IO. */
#define CL_BOX_EXTRA 48u
CL_MUST_USE enum cl_status cl_box_seal(uint8_t *out, const void *data, size_t length, const uint8_t public32[32]);
/* out has sealed_length - CL_BOX_EXTRA bytes. CL_E_DELIVERY_KEY. */
CL_MUST_USE enum cl_status cl_box_open(uint8_t *out, const uint8_t *sealed, size_t sealed_length, const uint8_t secret32[32]);
uint32_t cl_crc32c(uint8_t type, const void *data, size_t length); /* of type byte, then data */
uint32_t cl_crc32c_extend(uint32_t crc, const void *data, size_t length); /* crc: of what comes before; 0: nothing does */

#endif
