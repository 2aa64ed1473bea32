/* Base45 (RFC 9285), the alphabet of which a QR code holds two letters in 11 bits. Only the one text of each byte string
   is read. Not constant in time: whoever can measure this runs as the wallet's owner. */
#ifndef LEDGER_BASE45_H
#define LEDGER_BASE45_H

#include "consent/status.h"
#include "consent/types.h"

#define CL_BASE45_LENGTH(bytes) ((size_t)(bytes) / 2 * 3 + (size_t)(bytes) % 2 * 2)

/* Appends CL_BASE45_LENGTH(length) characters. CL_E_MEMORY, CL_E_BOUND. */
CL_MUST_USE enum cl_status cl_base45_append(struct cl_buffer *out, const void *data, size_t length);
/* Appends the bytes. CL_E_FORMAT: a character outside the alphabet, a group that stands for no bytes, a lone character. */
CL_MUST_USE enum cl_status cl_base45_decode(struct cl_buffer *out, const char *text, size_t length);

#endif
