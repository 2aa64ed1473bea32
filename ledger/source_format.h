/* The bytes of a file of the register (formats.cddl "source-file"), for source_store.c, the tests and the fuzzer. */
#ifndef LEDGER_SOURCE_FORMAT_H
#define LEDGER_SOURCE_FORMAT_H

#include "consent/source.h"

/* What is sealed, without its padding. CL_E_BOUND, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_source_content_encode(struct cl_buffer *out, const struct cl_source_entry *entry);
/* *out is valid on CL_OK only. Its document decodes. CL_E_CBOR_*, CL_E_BOUND, CL_E_VALUE, and what decoding the document gives. */
CL_MUST_USE enum cl_status cl_source_content_decode(struct cl_source_entry *out, const uint8_t *data, size_t length);
/* The file. secret32: cl_store_secret (vault_format.h); id16: its name. */
CL_MUST_USE enum cl_status cl_source_file_encode(struct cl_buffer *out, const struct cl_source_entry *entry, const uint8_t id16[16], const uint8_t secret32[32], const uint8_t nonce24[24]);
/* As cl_source_content_decode; CL_E_FORMAT, CL_E_VERSION; CL_E_LOCKED: another wallet's, under another name, or damaged. */
CL_MUST_USE enum cl_status cl_source_file_decode(struct cl_source_entry *out, const uint8_t *data, size_t length, const uint8_t id16[16], const uint8_t secret32[32]);
/* The name of a file, which tells nobody without the words whose it is. */
void cl_source_file_name(uint8_t id16[16], const uint8_t secret32[32], enum cl_source_way way, const uint8_t name16[16]);

#endif
