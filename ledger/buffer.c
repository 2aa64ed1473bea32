/* Heap bytes that grow: the one place where the library's outputs of unknown length are kept, so that their bound is in
   one place too. */
#include "consent/record.h"

#include <stdlib.h>

void cl_buffer_deinit(struct cl_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct cl_buffer){0};
}

static enum cl_status buffer_grow(struct cl_buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity < 128 ? 128 : buffer->capacity;
    while (capacity < needed) capacity *= 2; /* no overflow: needed is at most CL_BUFFER_BYTES_MAX */
    uint8_t *data = realloc(buffer->data, capacity);
    if (data == NULL) return CL_E_MEMORY;
    buffer->data = data;
    buffer->capacity = capacity;
    return CL_OK;
}

enum cl_status cl_buffer_append(struct cl_buffer *buffer, const void *data, size_t length)
{
    if (length == 0) return CL_OK;
    assert(buffer->length <= buffer->capacity && buffer->length <= CL_BUFFER_BYTES_MAX);
    if (length > CL_BUFFER_BYTES_MAX - buffer->length) return CL_E_BOUND;
    if (length > buffer->capacity - buffer->length) {
        enum cl_status status = buffer_grow(buffer, buffer->length + length);
        if (status != CL_OK) return status;
    }
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    return CL_OK;
}
