/* QR codes (ISO/IEC 18004) of texts in their alphanumeric alphabet: on a terminal, as PNG, as SVG. */
#ifndef TOOLS_QR_H
#define TOOLS_QR_H

#include "consent/status.h"
#include "consent/types.h"

#define QR_TEXT_MAX 4296u /* characters that the largest QR code holds */

struct qr { size_t width; uint8_t *dark; }; /* modules, row by row, 0 or 1 */

/* text: digits, capital letters, space and $%*+-./: only. CL_E_BOUND: longer than QR_TEXT_MAX. CL_E_ARGUMENT, CL_E_MEMORY. */
CL_MUST_USE enum cl_status qr_new(struct qr *out, const char *text, size_t length);
void qr_deinit(struct qr *qr); /* wipes */
/* Each appends; the quiet zone of four modules is part of the picture. */
CL_MUST_USE enum cl_status qr_png(struct cl_buffer *out, const struct qr *qr);
CL_MUST_USE enum cl_status qr_svg(struct cl_buffer *out, const struct qr *qr);
/* Two modules in a character, light ones as blocks, for light letters on a dark ground; coloured: says so to the terminal,
   whatever its colours are. */
CL_MUST_USE enum cl_status qr_terminal(struct cl_buffer *out, const struct qr *qr, bool coloured);
size_t qr_terminal_columns(const struct qr *qr);

#endif
