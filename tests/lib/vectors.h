/* Reads tests/vectors: JSON arrays of named items, bytes in hexadecimal. Ends the program where a vector is missing. */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include <jansson.h>

#include "consent/types.h"

json_t *vectors_load(const char *path);
const json_t *vectors_item(const json_t *items, const char *name);
bool vectors_is(const json_t *item, const char *prefix); /* its name begins so */
/* Bytes of the member `name`, or of a JSON text itself; the caller calls cl_buffer_deinit. */
struct cl_buffer vectors_bytes(const json_t *item, const char *name);
struct cl_buffer vectors_bytes_of(const json_t *text);
void vectors_fixed(uint8_t *out, size_t length, const json_t *item, const char *name);
void vectors_fixed_of(uint8_t *out, size_t length, const json_t *text);
uint64_t vectors_number(const json_t *value); /* an integer, or decimal text from 2^53 on */

#endif
