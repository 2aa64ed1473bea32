/* Strict deterministic CBOR, read and written: what is hashed or signed has exactly one form, so the reader refuses
   whatever the writer would not have made. Debian's libcbor accepts longer forms and cannot define hashed bytes. */
#include "cbor.h"

#include "consent/limits.h"
#include "consent/record.h"
#include "utf8.h"

enum { SIMPLE_FALSE = 20, SIMPLE_TRUE = 21, SIMPLE_NULL = 22 };

/* ---------------------------------------------------------------- reader */

void cl_cbor_reader_init(struct cl_cbor_reader *reader, const uint8_t *data, size_t length)
{
    static const uint8_t nothing;
    assert(data != NULL || length == 0);
    if (data == NULL) data = &nothing; /* so that no arithmetic is ever done on NULL */
    reader->at = data;
    reader->end = data + length;
    reader->status = CL_OK;
}

void cl_cbor_fail(struct cl_cbor_reader *reader, enum cl_status status)
{
    assert(status != CL_OK);
    if (reader->status == CL_OK) reader->status = status;
}

static size_t bytes_left(const struct cl_cbor_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

/* The argument of the head at reader->at, of 1, 2, 4 or 8 bytes after the first; RFC 8949 section 4.2.1: the shortest
   form only, and no indefinite lengths. */
static uint64_t long_argument(struct cl_cbor_reader *reader, unsigned info)
{
    if (info > 27) { /* 28..30 are reserved, 31 is an indefinite length */
        cl_cbor_fail(reader, CL_E_CBOR_NOT_CANONICAL);
        return 0;
    }
    size_t width = (size_t)1 << (info - 24);
    if (bytes_left(reader) < 1 + width) {
        cl_cbor_fail(reader, CL_E_CBOR_TRUNCATED);
        return 0;
    }
    uint64_t argument = 0;
    for (size_t i = 1; i <= width; i++) argument = argument << 8 | reader->at[i];
    uint64_t smallest = width == 1 ? 24 : (uint64_t)1 << (4 * width);
    if (argument < smallest) {
        cl_cbor_fail(reader, CL_E_CBOR_NOT_CANONICAL);
        return 0;
    }
    reader->at += 1 + width;
    return argument;
}

/* Reads a head of this major type; 0 once failed. */
static inline uint64_t expect_head(struct cl_cbor_reader *reader, enum cl_cbor_major major)
{
    if (reader->status != CL_OK) return 0;
    if (reader->at == reader->end) {
        reader->status = CL_E_CBOR_TRUNCATED;
        return 0;
    }
    unsigned first = *reader->at;
    if (first >> 5 != (unsigned)major) {
        reader->status = CL_E_CBOR_TYPE;
        return 0;
    }
    unsigned info = first & 31u;
    if (info >= 24) return long_argument(reader, info);
    reader->at++;
    return info;
}

uint64_t cl_cbor_uint(struct cl_cbor_reader *reader)
{
    return expect_head(reader, CL_CBOR_UINT);
}

uint64_t cl_cbor_uint_at_most(struct cl_cbor_reader *reader, uint64_t max)
{
    uint64_t value = expect_head(reader, CL_CBOR_UINT);
    if (value <= max) return value;
    cl_cbor_fail(reader, CL_E_VALUE);
    return 0;
}

int64_t cl_cbor_int(struct cl_cbor_reader *reader)
{
    bool negative = cl_cbor_peek(reader) == CL_CBOR_NINT;
    uint64_t argument = expect_head(reader, negative ? CL_CBOR_NINT : CL_CBOR_UINT);
    if (argument > INT64_MAX) {
        cl_cbor_fail(reader, CL_E_VALUE);
        return 0;
    }
    if (reader->status != CL_OK) return 0;
    return negative ? -1 - (int64_t)argument : (int64_t)argument;
}

static struct cl_view take_string(struct cl_cbor_reader *reader, enum cl_cbor_major major)
{
    uint64_t length = expect_head(reader, major);
    if (reader->status == CL_OK && length > bytes_left(reader)) reader->status = CL_E_CBOR_TRUNCATED;
    if (reader->status != CL_OK) return (struct cl_view){NULL, 0};
    struct cl_view view = {reader->at, (size_t)length};
    reader->at += length;
    return view;
}

struct cl_view cl_cbor_bytes(struct cl_cbor_reader *reader)
{
    return take_string(reader, CL_CBOR_BYTES);
}

const uint8_t *cl_cbor_bytes_fixed(struct cl_cbor_reader *reader, size_t length)
{
    struct cl_view view = take_string(reader, CL_CBOR_BYTES);
    if (reader->status == CL_OK && view.length != length) reader->status = CL_E_FORMAT;
    return reader->status == CL_OK ? view.data : NULL;
}

void cl_cbor_bytes_copy(struct cl_cbor_reader *reader, uint8_t *out, size_t length)
{
    const uint8_t *bytes = cl_cbor_bytes_fixed(reader, length);
    if (bytes != NULL)
        memcpy(out, bytes, length);
    else
        memset(out, 0, length);
}

struct cl_view cl_cbor_text(struct cl_cbor_reader *reader)
{
    struct cl_view view = take_string(reader, CL_CBOR_TEXT);
    if (cl_utf8_valid(view.data, view.length)) return view;
    cl_cbor_fail(reader, CL_E_FORMAT);
    return (struct cl_view){NULL, 0};
}

size_t cl_cbor_array(struct cl_cbor_reader *reader)
{
    uint64_t count = expect_head(reader, CL_CBOR_ARRAY);
    if (reader->status == CL_OK && count > bytes_left(reader)) reader->status = CL_E_CBOR_TRUNCATED;
    return reader->status == CL_OK ? (size_t)count : 0;
}

size_t cl_cbor_array_at_most(struct cl_cbor_reader *reader, size_t max)
{
    size_t count = cl_cbor_array(reader);
    if (count <= max) return count;
    cl_cbor_fail(reader, CL_E_BOUND);
    return 0;
}

void cl_cbor_array_fixed(struct cl_cbor_reader *reader, size_t count)
{
    uint64_t found = expect_head(reader, CL_CBOR_ARRAY);
    if (reader->status == CL_OK && found != count) reader->status = CL_E_FORMAT;
}

void cl_cbor_file_head(struct cl_cbor_reader *reader, size_t count, const char *magic)
{
    size_t found = cl_cbor_array(reader);
    uint64_t version = cl_cbor_uint(reader);
    struct cl_view text = cl_cbor_text(reader);
    if (reader->status != CL_OK) return;
    if (text.length != strlen(magic) || memcmp(text.data, magic, text.length) != 0)
        reader->status = CL_E_FORMAT;
    else if (version != 1)
        reader->status = CL_E_VERSION;
    else if (found != count)
        reader->status = CL_E_FORMAT;
}

size_t cl_cbor_map(struct cl_cbor_reader *reader)
{
    uint64_t count = expect_head(reader, CL_CBOR_MAP);
    if (reader->status == CL_OK && count > bytes_left(reader) / 2) reader->status = CL_E_CBOR_TRUNCATED;
    return reader->status == CL_OK ? (size_t)count : 0;
}

uint64_t cl_cbor_tag(struct cl_cbor_reader *reader)
{
    return expect_head(reader, CL_CBOR_TAG);
}

bool cl_cbor_null(struct cl_cbor_reader *reader)
{
    if (reader->status != CL_OK || reader->at == reader->end) return false;
    if (*reader->at != (CL_CBOR_SIMPLE << 5 | SIMPLE_NULL)) return false;
    reader->at++;
    return true;
}

bool cl_cbor_bool(struct cl_cbor_reader *reader)
{
    if (cl_cbor_peek(reader) == CL_CBOR_SIMPLE && reader->status == CL_OK) {
        unsigned info = *reader->at & 31u;
        if (info == SIMPLE_FALSE || info == SIMPLE_TRUE) {
            reader->at++;
            return info == SIMPLE_TRUE;
        }
    }
    cl_cbor_fail(reader, CL_E_CBOR_TYPE);
    return false;
}

uint64_t cl_cbor_map_key(struct cl_cbor_reader *reader, uint64_t *last, bool *first)
{
    uint64_t key = expect_head(reader, CL_CBOR_UINT);
    if (reader->status != CL_OK) return 0;
    /* For unsigned integers in their shortest form, numeric order is the bytewise order of the encodings. */
    if (!*first && key <= *last) {
        reader->status = CL_E_CBOR_NOT_CANONICAL;
        return 0;
    }
    *first = false;
    *last = key;
    return key;
}

enum cl_cbor_major cl_cbor_peek(struct cl_cbor_reader *reader)
{
    if (reader->status == CL_OK && reader->at == reader->end) reader->status = CL_E_CBOR_TRUNCATED;
    if (reader->status != CL_OK) return CL_CBOR_SIMPLE;
    return (enum cl_cbor_major)(*reader->at >> 5);
}

static void skip_item(struct cl_cbor_reader *reader, unsigned depth);

static void skip_map(struct cl_cbor_reader *reader, unsigned depth)
{
    size_t count = cl_cbor_map(reader);
    const uint8_t *last = NULL;
    size_t last_length = 0;
    for (size_t i = 0; i < count && reader->status == CL_OK; i++) {
        const uint8_t *key = reader->at;
        skip_item(reader, depth);
        if (reader->status != CL_OK) return;
        size_t length = (size_t)(reader->at - key);
        /* No encoding is the start of another one, so the shorter length decides nothing. */
        if (last != NULL && memcmp(last, key, last_length < length ? last_length : length) >= 0) {
            cl_cbor_fail(reader, CL_E_CBOR_NOT_CANONICAL);
            return;
        }
        last = key;
        last_length = length;
        skip_item(reader, depth);
    }
}

static void skip_simple(struct cl_cbor_reader *reader)
{
    unsigned info = *reader->at & 31u;
    if (info == SIMPLE_FALSE || info == SIMPLE_TRUE || info == SIMPLE_NULL)
        reader->at++;
    else
        cl_cbor_fail(reader, info == 31 ? CL_E_CBOR_NOT_CANONICAL : CL_E_CBOR_TYPE);
}

/* depth: containers around this item. The recursion ends at CL_CBOR_DEPTH_MAX. */
static void skip_item(struct cl_cbor_reader *reader, unsigned depth)
{
    enum cl_cbor_major major = cl_cbor_peek(reader);
    if (reader->status != CL_OK) return;
    if ((major == CL_CBOR_ARRAY || major == CL_CBOR_MAP) && depth == CL_CBOR_DEPTH_MAX) {
        cl_cbor_fail(reader, CL_E_CBOR_DEPTH);
        return;
    }
    switch (major) {
    case CL_CBOR_UINT:
    case CL_CBOR_NINT:
        (void)expect_head(reader, major);
        break;
    case CL_CBOR_BYTES:
        (void)cl_cbor_bytes(reader);
        break;
    case CL_CBOR_TEXT:
        (void)cl_cbor_text(reader);
        break;
    case CL_CBOR_ARRAY: {
        size_t count = cl_cbor_array(reader);
        for (size_t i = 0; i < count && reader->status == CL_OK; i++) skip_item(reader, depth + 1);
        break;
    }
    case CL_CBOR_MAP:
        skip_map(reader, depth + 1);
        break;
    case CL_CBOR_TAG:
        cl_cbor_fail(reader, CL_E_CBOR_TYPE);
        break;
    case CL_CBOR_SIMPLE:
        skip_simple(reader);
        break;
    }
}

struct cl_view cl_cbor_skip(struct cl_cbor_reader *reader)
{
    const uint8_t *start = reader->at;
    skip_item(reader, 0);
    if (reader->status != CL_OK) return (struct cl_view){NULL, 0};
    return (struct cl_view){start, (size_t)(reader->at - start)};
}

enum cl_status cl_cbor_finish(const struct cl_cbor_reader *reader)
{
    if (reader->status != CL_OK) return reader->status;
    return reader->at == reader->end ? CL_OK : CL_E_CBOR_TRAILING;
}

/* ---------------------------------------------------------------- writer */

void cl_cbor_writer_init(struct cl_cbor_writer *writer, struct cl_buffer *buffer)
{
    writer->buffer = buffer;
    writer->status = CL_OK;
}

void cl_cbor_put_raw(struct cl_cbor_writer *writer, const void *data, size_t length)
{
    if (writer->status == CL_OK) writer->status = cl_buffer_append(writer->buffer, data, length);
}

static size_t long_head(uint8_t out[CL_CBOR_HEAD_MAX], enum cl_cbor_major major, uint64_t argument)
{
    uint8_t top = (uint8_t)((unsigned)major << 5);
    unsigned info = argument <= 0xff ? 24 : argument <= 0xffff ? 25 : argument <= 0xffffffff ? 26 : 27;
    size_t width = (size_t)1 << (info - 24);
    out[0] = (uint8_t)(top | info);
    for (size_t i = width; i > 0; i--, argument >>= 8) out[i] = (uint8_t)argument;
    return 1 + width;
}

static inline size_t head(uint8_t out[CL_CBOR_HEAD_MAX], enum cl_cbor_major major, uint64_t argument)
{
    if (argument >= 24) return long_head(out, major, argument);
    out[0] = (uint8_t)((unsigned)major << 5 | (unsigned)argument);
    return 1;
}

size_t cl_cbor_head(uint8_t out[CL_CBOR_HEAD_MAX], enum cl_cbor_major major, uint64_t argument)
{
    return head(out, major, argument);
}

/* Is there room for so much as the buffer is? State values are dozens of items of a byte or two. */
static inline bool has_room(const struct cl_cbor_writer *writer, size_t length)
{
    const struct cl_buffer *buffer = writer->buffer;
    size_t end = buffer->capacity < CL_BUFFER_BYTES_MAX ? buffer->capacity : CL_BUFFER_BYTES_MAX;
    return writer->status == CL_OK && end - buffer->length >= length;
}

static inline void put_head(struct cl_cbor_writer *writer, enum cl_cbor_major major, uint64_t argument)
{
    uint8_t bytes[CL_CBOR_HEAD_MAX];
    if (has_room(writer, CL_CBOR_HEAD_MAX))
        writer->buffer->length += head(writer->buffer->data + writer->buffer->length, major, argument);
    else
        cl_cbor_put_raw(writer, bytes, head(bytes, major, argument));
}

void cl_cbor_put_uint(struct cl_cbor_writer *writer, uint64_t value)
{
    put_head(writer, CL_CBOR_UINT, value);
}

void cl_cbor_put_int(struct cl_cbor_writer *writer, int64_t value)
{
    if (value >= 0)
        put_head(writer, CL_CBOR_UINT, (uint64_t)value);
    else
        put_head(writer, CL_CBOR_NINT, (uint64_t)(-1 - value));
}

void cl_cbor_put_bytes(struct cl_cbor_writer *writer, const void *data, size_t length)
{
    put_head(writer, CL_CBOR_BYTES, length);
    if (length != 32 || !has_room(writer, 32)) {
        cl_cbor_put_raw(writer, data, length);
        return;
    }
    memcpy(writer->buffer->data + writer->buffer->length, data, 32); /* a hash, as most are: no call */
    writer->buffer->length += 32;
}

void cl_cbor_put_text(struct cl_cbor_writer *writer, const char *text, size_t length)
{
    put_head(writer, CL_CBOR_TEXT, length);
    cl_cbor_put_raw(writer, text, length);
}

void cl_cbor_put_array(struct cl_cbor_writer *writer, size_t count)
{
    put_head(writer, CL_CBOR_ARRAY, count);
}

void cl_cbor_put_file_head(struct cl_cbor_writer *writer, size_t count, const char *magic)
{
    cl_cbor_put_array(writer, count);
    cl_cbor_put_uint(writer, 1);
    cl_cbor_put_text(writer, magic, strlen(magic));
}

void cl_cbor_put_map(struct cl_cbor_writer *writer, size_t count)
{
    put_head(writer, CL_CBOR_MAP, count);
}

void cl_cbor_put_tag(struct cl_cbor_writer *writer, uint64_t tag)
{
    put_head(writer, CL_CBOR_TAG, tag);
}

void cl_cbor_put_null(struct cl_cbor_writer *writer)
{
    put_head(writer, CL_CBOR_SIMPLE, SIMPLE_NULL);
}
