/* Base64 without leniency: two texts never decode to the same bytes, so a signed note has one form. Not constant in
   time: nothing secret is ever encoded here. */
#include "base64.h"

#include "consent/record.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void cl_base64_encode(char *out, const void *data, size_t length)
{
    const uint8_t *in = data;
    while (length > 0) {
        size_t take = length < 3 ? length : 3;
        uint32_t word = (uint32_t)in[0] << 16 | (take > 1 ? (uint32_t)in[1] << 8 : 0) | (take > 2 ? in[2] : 0u);
        out[0] = alphabet[word >> 18];
        out[1] = alphabet[word >> 12 & 63];
        out[2] = take > 1 ? alphabet[word >> 6 & 63] : '=';
        out[3] = take > 2 ? alphabet[word & 63] : '=';
        out += 4;
        in += take;
        length -= take;
    }
}

enum cl_status cl_base64_append(struct cl_buffer *out, const void *data, size_t length)
{
    const uint8_t *in = data;
    enum cl_status status = CL_OK;
    /* in chunks of a multiple of three bytes, so that only the last one is padded */
    while (length > 0 && status == CL_OK) {
        char text[CL_BASE64_LENGTH(96)];
        size_t take = length < 96 ? length : 96;
        cl_base64_encode(text, in, take);
        status = cl_buffer_append(out, text, CL_BASE64_LENGTH(take));
        in += take;
        length -= take;
    }
    return status;
}

/* 0..63, or 64 for what is not in the alphabet. */
static uint32_t value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

bool cl_base64_decode(uint8_t *out, size_t capacity, size_t *length, const char *text, size_t text_length)
{
    size_t padding = 0, written = 0;
    if (length != NULL)
        *length = 0;
    if (text_length % 4 != 0)
        return false;
    if (text_length > 0 && text[text_length - 1] == '=')
        padding = text[text_length - 2] == '=' ? 2 : 1;
    if (out != NULL && text_length / 4 * 3 - padding > capacity)
        return false;
    for (size_t i = 0; i < text_length; i += 4) {
        size_t bytes = i + 4 == text_length ? 3 - padding : 3;
        uint32_t word = 0;
        for (size_t k = 0; k < 4; k++) {
            uint32_t value = k <= bytes ? value_of(text[i + k]) : 0;
            if (value == 64)
                return false;
            word = word << 6 | value;
        }
        /* the bits that padding leaves over must be zero, or two texts would decode alike */
        if ((word & (0xffffffu >> (8 * bytes))) != 0)
            return false;
        for (size_t k = 0; out != NULL && k < bytes; k++)
            out[written + k] = (uint8_t)(word >> (16 - 8 * k));
        written += bytes;
    }
    if (length != NULL)
        *length = written;
    return true;
}
