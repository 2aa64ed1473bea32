/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef LEDGER_UTF8_H
#define LEDGER_UTF8_H

#include "consent/types.h"

/* The code point at the start of text (length > 0). Returns: the number of its bytes, 0 where they are none. */
size_t cl_utf8_next(uint32_t *point, const uint8_t *text, size_t length);
bool cl_utf8_valid(const uint8_t *text, size_t length);

#endif
