/* Heap bytes that grow: the one place where the library's outputs of unknown length are kept, so that their bound is in
   one place too. */
#include "consent/record.h"

#include <stdlib.h>

#include "crypto.h"

void cl_buffer_wipe(struct cl_buffer *buffer)
{
    if (buffer->data != NULL) cl_wipe(buffer->data, buffer->capacity);
    free(buffer->data);
    *buffer = (struct cl_buffer){.secret = buffer->secret};
}

void cl_buffer_deinit(struct cl_buffer *buffer)
{
    if (buffer->secret) {
        cl_buffer_wipe(buffer);
        return;
    }
    free(buffer->data);
    *buffer = (struct cl_buffer){0};
}

static enum cl_status buffer_grow(struct cl_buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity < 128 ? 128 : buffer->capacity;
    while (capacity < needed) capacity *= 2; /* no overflow: needed is at most CL_BUFFER_BYTES_MAX */
    /* realloc may move the bytes and leave the old ones in the heap */
    uint8_t *data = buffer->secret ? malloc(capacity) : realloc(buffer->data, capacity);
    if (data == NULL) return CL_E_MEMORY;
    if (buffer->secret && buffer->data != NULL) {
        memcpy(data, buffer->data, buffer->length);
        cl_wipe(buffer->data, buffer->capacity);
        free(buffer->data);
    }
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

enum cl_status cl_buffer_replace(struct cl_buffer *buffer, const void *data, size_t length)
{
    struct cl_buffer fresh = {.secret = buffer->secret};
    enum cl_status status = cl_buffer_append(&fresh, data, length);
    if (status != CL_OK) return status;
    cl_buffer_wipe(buffer);
    *buffer = fresh;
    return CL_OK;
}
