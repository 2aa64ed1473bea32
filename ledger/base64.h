/* Base64 as signed notes carry it: RFC 4648 section 4, padded, and only the one canonical text of each byte string. */
#ifndef LEDGER_BASE64_H
#define LEDGER_BASE64_H

#include "consent/status.h"
#include "consent/types.h"

#define CL_BASE64_LENGTH(bytes) (((size_t)(bytes) + 2) / 3 * 4)

/* Out: exactly CL_BASE64_LENGTH(length) characters, no terminating zero. */
void cl_base64_encode(char *out, const void *data, size_t length);
CL_MUST_USE enum cl_status cl_base64_append(struct cl_buffer *out, const void *data, size_t length);
/* False where the text is not canonical base64 or decodes to more than capacity bytes. out NULL: only checks the form
   (of any length). Out: *length (may be NULL) is the number of bytes decoded. */
bool cl_base64_decode(uint8_t *out, size_t capacity, size_t *length, const char *text, size_t text_length);

#endif
