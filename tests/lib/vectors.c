/* Reading test vectors (vectors.h). */
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>

#include "consent/record.h"

static void stop(const char *what, const char *detail)
{
    fprintf(stderr, "vectors: %s: %s\n", what, detail);
    abort();
}

json_t *vectors_load(const char *path)
{
    json_error_t error;
    json_t *items = json_load_file(path, 0, &error);
    if (items == NULL)
        stop(path, error.text);
    if (!json_is_array(items) || json_array_size(items) == 0)
        stop(path, "holds no items");
    return items;
}

const json_t *vectors_item(const json_t *items, const char *name)
{
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        const char *found = json_string_value(json_object_get(item, "name"));
        if (found != NULL && strcmp(found, name) == 0)
            return item;
    }
    stop("no such item", name);
    return NULL;
}

bool vectors_is(const json_t *item, const char *prefix)
{
    const char *name = json_string_value(json_object_get(item, "name"));
    return name != NULL && strncmp(name, prefix, strlen(prefix)) == 0;
}

struct cl_buffer vectors_bytes_of(const json_t *text)
{
    struct cl_buffer out = {0};
    const char *hex = json_string_value(text);
    if (hex == NULL || strlen(hex) % 2 != 0)
        stop("not hexadecimal", hex != NULL ? hex : "not a text");
    for (; hex != NULL && *hex != '\0'; hex += 2) {
        char pair[3] = {hex[0], hex[1], '\0'}, *end;
        uint8_t byte = (uint8_t)strtoul(pair, &end, 16);
        if (end != pair + 2 || cl_buffer_append(&out, &byte, 1) != CL_OK)
            stop("not hexadecimal", pair);
    }
    return out;
}

struct cl_buffer vectors_bytes(const json_t *item, const char *name)
{
    return vectors_bytes_of(json_object_get(item, name));
}

void vectors_fixed_of(uint8_t *out, size_t length, const json_t *text)
{
    struct cl_buffer bytes = vectors_bytes_of(text);
    if (bytes.length != length)
        stop("another length than expected", json_string_value(text));
    memcpy(out, bytes.data, length);
    cl_buffer_deinit(&bytes);
}

void vectors_fixed(uint8_t *out, size_t length, const json_t *item, const char *name)
{
    vectors_fixed_of(out, length, json_object_get(item, name));
}

uint64_t vectors_number(const json_t *value)
{
    if (json_is_string(value))
        return strtoull(json_string_value(value), NULL, 10);
    if (!json_is_integer(value))
        stop("not a number", "");
    return (uint64_t)json_integer_value(value);
}
