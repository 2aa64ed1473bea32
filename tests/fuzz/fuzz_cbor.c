/* The reader must agree with the writer: an item that cl_cbor_skip accepts is exactly what the writer makes of its
   values, and the typed readers never read beyond the end. */
#include "cbor.h"
#include "consent/record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

/* Copies one item that is known to be good, value by value. */
static void copy_item(struct cl_cbor_reader *reader, struct cl_cbor_writer *writer)
{
    size_t count;
    struct cl_view view;
    switch (cl_cbor_peek(reader)) {
    case CL_CBOR_UINT: cl_cbor_put_uint(writer, cl_cbor_uint(reader)); break;
    case CL_CBOR_NINT: {
        struct cl_cbor_reader copy = *reader;
        int64_t value = cl_cbor_int(&copy);
        if (copy.status == CL_OK) {
            cl_cbor_put_int(writer, value);
            *reader = copy;
        } else { /* below int64_t's range */
            view = cl_cbor_skip(reader);
            cl_cbor_put_raw(writer, view.data, view.length);
        }
        break;
    }
    case CL_CBOR_BYTES:
        view = cl_cbor_bytes(reader);
        cl_cbor_put_bytes(writer, view.data, view.length);
        break;
    case CL_CBOR_TEXT:
        view = cl_cbor_text(reader);
        cl_cbor_put_text(writer, (const char *)view.data, view.length);
        break;
    case CL_CBOR_ARRAY:
        count = cl_cbor_array(reader);
        cl_cbor_put_array(writer, count);
        for (size_t i = 0; i < count; i++) copy_item(reader, writer);
        break;
    case CL_CBOR_MAP:
        count = cl_cbor_map(reader);
        cl_cbor_put_map(writer, count);
        for (size_t i = 0; i < 2 * count; i++) copy_item(reader, writer);
        break;
    case CL_CBOR_SIMPLE:
        if (cl_cbor_null(reader)) {
            cl_cbor_put_null(writer);
        } else {
            uint8_t simple = cl_cbor_bool(reader) ? 0xf5 : 0xf4;
            cl_cbor_put_raw(writer, &simple, 1);
        }
        break;
    case CL_CBOR_TAG: abort(); /* skip refuses tags */
    }
    require(reader->status == CL_OK);
}

static void skip_accepts_only_what_the_writer_makes(const uint8_t *data, size_t size)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, data, size);
    struct cl_view item = cl_cbor_skip(&reader);
    if (cl_cbor_finish(&reader) != CL_OK) return;
    require(item.data == data && item.length == size);
    struct cl_buffer buffer = {0};
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, &buffer);
    cl_cbor_reader_init(&reader, data, size);
    copy_item(&reader, &writer);
    require(cl_cbor_finish(&reader) == CL_OK && writer.status == CL_OK);
    require(buffer.length == size && memcmp(buffer.data, data, size) == 0);
    cl_buffer_deinit(&buffer);
}

/* The first byte of each step says which typed reader is tried next. */
static void typed_readers_stay_within(const uint8_t *data, size_t size)
{
    if (size < 16) return;
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, data + 16, size - 16);
    uint64_t last = 0;
    bool first = true;
    for (size_t i = 0; i < 16; i++) {
        struct cl_view view = {0};
        switch (data[i] % 12) {
        case 0: (void)cl_cbor_uint(&reader); break;
        case 1: (void)cl_cbor_int(&reader); break;
        case 2: view = cl_cbor_bytes(&reader); break;
        case 3: (void)cl_cbor_bytes_fixed(&reader, data[i] / 12u); break;
        case 4: view = cl_cbor_text(&reader); break;
        case 5: (void)cl_cbor_array(&reader); break;
        case 6: cl_cbor_array_fixed(&reader, data[i] / 12u); break;
        case 7: (void)cl_cbor_map(&reader); break;
        case 8: (void)cl_cbor_tag(&reader); break;
        case 9: (void)cl_cbor_null(&reader); break;
        case 10: (void)cl_cbor_bool(&reader); break;
        default: (void)cl_cbor_map_key(&reader, &last, &first); break;
        }
        require(reader.at >= data && reader.at <= data + size);
        require(view.length == 0 || view.data + view.length <= data + size);
    }
    (void)cl_cbor_skip(&reader);
    require(cl_cbor_finish(&reader) != CL_OK || reader.at == data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    skip_accepts_only_what_the_writer_makes(data, size);
    typed_readers_stay_within(data, size);
    return 0;
}
