/* The bytes of the store's files (formats.cddl "key-file", "value-file"), for vault_store.c, the tests and the fuzzer. */
#ifndef LEDGER_VAULT_FORMAT_H
#define LEDGER_VAULT_FORMAT_H

#include "consent/vault.h"

#define CL_KEY_CONTENT_BYTES 512u /* every key file has one size */
#define CL_KEY_FILE_BYTES 571u    /* 1 + 1 + 12 + 26 + 3 + 512 + 16 */
#define CL_VALUE_FILE_BYTES_MAX (CL_VAULT_VALUE_BYTES_MAX + 128u)

enum cl_store_kind { CL_STORE_ITEM = 1, CL_STORE_VAULT = 2 };
/* What a key file says; entry and value16 where the key is of a vault's item. */
struct cl_store_key { uint8_t id16[16], key32[32]; enum cl_store_kind kind; uint8_t value16[16]; struct cl_vault_entry entry; };

/* The key that all key files of a wallet are sealed under: SHA-256("consent/v1 store key" 00 || secret of "consent:store"). */
CL_MUST_USE enum cl_status cl_store_secret(uint8_t secret32[32], const struct cl_wallet *wallet);
CL_MUST_USE enum cl_status cl_key_file_encode(struct cl_buffer *out, const struct cl_store_key *key, const uint8_t secret32[32], const uint8_t nonce24[24]);
/* CL_E_FORMAT, CL_E_VERSION, CL_E_CBOR_*, CL_E_BOUND; CL_E_LOCKED: another wallet's, under another name, or damaged. */
CL_MUST_USE enum cl_status cl_key_file_decode(struct cl_store_key *out, const uint8_t *data, size_t length, const uint8_t id16[16], const uint8_t secret32[32]);
/* What is sealed in a key file, padded. */
CL_MUST_USE enum cl_status cl_key_content_encode(uint8_t out[CL_KEY_CONTENT_BYTES], const struct cl_store_key *key);
CL_MUST_USE enum cl_status cl_key_content_decode(struct cl_store_key *out, const uint8_t data[CL_KEY_CONTENT_BYTES]);
CL_MUST_USE enum cl_status cl_value_file_encode(struct cl_buffer *out, const uint8_t value16[16], const uint8_t key32[32], const uint8_t nonce24[24], const uint8_t *value, size_t length);
/* Appends the value. Errors as cl_key_file_decode. */
CL_MUST_USE enum cl_status cl_value_file_decode(struct cl_buffer *out, const uint8_t *data, size_t length, const uint8_t value16[16], const uint8_t key32[32]);

#endif
