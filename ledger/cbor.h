/* Strict deterministic CBOR (RFC 8949 section 4.2.1): the reader refuses every byte string that the writer would not
   have made. Both fail stickily: read or write every field, then ask once. No heap but the writer's buffer. */
#ifndef LEDGER_CBOR_H
#define LEDGER_CBOR_H

#include "consent/status.h"
#include "consent/types.h"

enum cl_cbor_major { CL_CBOR_UINT = 0, CL_CBOR_NINT = 1, CL_CBOR_BYTES = 2, CL_CBOR_TEXT = 3, CL_CBOR_ARRAY = 4, CL_CBOR_MAP = 5, CL_CBOR_TAG = 6, CL_CBOR_SIMPLE = 7 };

struct cl_cbor_reader { const uint8_t *at, *end; enum cl_status status; };

void cl_cbor_reader_init(struct cl_cbor_reader *reader, const uint8_t *data, size_t length);
/* Each returns the value read, or 0 / an empty view once the reader has failed. Counts of arrays and maps are refused
   where they exceed the bytes left, so they bound loops. Text must be UTF-8 (RFC 3629). */
uint64_t cl_cbor_uint(struct cl_cbor_reader *reader);
uint64_t cl_cbor_uint_at_most(struct cl_cbor_reader *reader, uint64_t max); /* CL_E_VALUE beyond */
int64_t cl_cbor_int(struct cl_cbor_reader *reader);
struct cl_view cl_cbor_bytes(struct cl_cbor_reader *reader);
const uint8_t *cl_cbor_bytes_fixed(struct cl_cbor_reader *reader, size_t length); /* NULL once failed */
void cl_cbor_bytes_copy(struct cl_cbor_reader *reader, uint8_t *out, size_t length); /* zeros once failed */
struct cl_view cl_cbor_text(struct cl_cbor_reader *reader);
size_t cl_cbor_array(struct cl_cbor_reader *reader);
size_t cl_cbor_array_at_most(struct cl_cbor_reader *reader, size_t max); /* CL_E_BOUND beyond */
void cl_cbor_array_fixed(struct cl_cbor_reader *reader, size_t count);
/* The start of a file of ours: an array of `count` items, the first two [ 1, "magic", … ]. CL_E_FORMAT: no such file;
   CL_E_VERSION: one of another version. */
void cl_cbor_file_head(struct cl_cbor_reader *reader, size_t count, const char *magic);
size_t cl_cbor_map(struct cl_cbor_reader *reader);
uint64_t cl_cbor_tag(struct cl_cbor_reader *reader);
bool cl_cbor_null(struct cl_cbor_reader *reader); /* true and consumed if null is next; false and untouched if not */
bool cl_cbor_bool(struct cl_cbor_reader *reader);
/* Map keys that are unsigned integers, in ascending order: fails unless the key is above *last. Start with first. */
uint64_t cl_cbor_map_key(struct cl_cbor_reader *reader, uint64_t *last, bool *first);
/* Major type of what is next; CL_CBOR_SIMPLE with status set once failed or at the end. */
enum cl_cbor_major cl_cbor_peek(struct cl_cbor_reader *reader);
/* Skips one whole item, strictly checked (maps sorted bytewise without duplicates, depth <= CL_CBOR_DEPTH_MAX; floats,
   undefined and tags are refused); returns its bytes. */
struct cl_view cl_cbor_skip(struct cl_cbor_reader *reader);
void cl_cbor_fail(struct cl_cbor_reader *reader, enum cl_status status);
/* Once: CL_OK if all reads were good and nothing is left. */
CL_MUST_USE enum cl_status cl_cbor_finish(const struct cl_cbor_reader *reader);

/* Writes the head of an item alone; returns its length. For hashing without a copy. */
#define CL_CBOR_HEAD_MAX 9u
size_t cl_cbor_head(uint8_t out[CL_CBOR_HEAD_MAX], enum cl_cbor_major major, uint64_t argument);

/* Appends to a cl_buffer. Sticky: status turns CL_E_MEMORY or CL_E_BOUND. The caller writes map keys in order. */
struct cl_cbor_writer { struct cl_buffer *buffer; enum cl_status status; };
void cl_cbor_writer_init(struct cl_cbor_writer *writer, struct cl_buffer *buffer);
void cl_cbor_put_uint(struct cl_cbor_writer *writer, uint64_t value);
void cl_cbor_put_int(struct cl_cbor_writer *writer, int64_t value);
void cl_cbor_put_bytes(struct cl_cbor_writer *writer, const void *data, size_t length);
void cl_cbor_put_text(struct cl_cbor_writer *writer, const char *text, size_t length);
void cl_cbor_put_array(struct cl_cbor_writer *writer, size_t count);
void cl_cbor_put_file_head(struct cl_cbor_writer *writer, size_t count, const char *magic);
void cl_cbor_put_map(struct cl_cbor_writer *writer, size_t count);
void cl_cbor_put_tag(struct cl_cbor_writer *writer, uint64_t tag);
void cl_cbor_put_null(struct cl_cbor_writer *writer);
void cl_cbor_put_raw(struct cl_cbor_writer *writer, const void *data, size_t length); /* one encoded item */

#endif
