/* The bytes of an exchange file (formats.cddl "exchange-file"), for exchange.c, the tests and the fuzzer. */
#ifndef LEDGER_EXCHANGE_FORMAT_H
#define LEDGER_EXCHANGE_FORMAT_H

#include "consent/exchange.h"

/* What is sealed, without its padding. CL_E_BOUND, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_exchange_content_encode(struct cl_buffer *out, const struct cl_exchange *exchange);
/* *out is valid on CL_OK only. CL_E_CBOR_*, CL_E_FORMAT, CL_E_BOUND, CL_E_VALUE, CL_E_VERSION, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_exchange_content_decode(struct cl_exchange *out, const uint8_t *data, size_t length);
/* The file. secret32: cl_store_secret (vault_format.h); id16: its name. */
CL_MUST_USE enum cl_status cl_exchange_file_encode(struct cl_buffer *out, const struct cl_exchange *exchange, const uint8_t id16[16], const uint8_t secret32[32], const uint8_t nonce24[24]);
/* As cl_exchange_content_decode; CL_E_LOCKED: another wallet's, under another name, or damaged. */
CL_MUST_USE enum cl_status cl_exchange_file_decode(struct cl_exchange *out, const uint8_t *data, size_t length, const uint8_t id16[16], const uint8_t secret32[32]);
/* The name of an agreement's file, which tells nobody without the words whose it is. */
void cl_exchange_name(uint8_t id16[16], const uint8_t secret32[32], const struct cl_object_id *agreement);

#endif
