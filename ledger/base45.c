/* Connect codes travel in QR codes and by hand: base45 without leniency. */
#include "base45.h"

#include "consent/record.h"

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

enum cl_status cl_base45_append(struct cl_buffer *out, const void *data, size_t length)
{
    const uint8_t *in = data;
    enum cl_status status = CL_OK;
    while (length > 0 && status == CL_OK) {
        size_t take = length < 2 ? 1 : 2;
        uint32_t value = take == 2 ? (uint32_t)in[0] << 8 | in[1] : in[0];
        char group[3] = {alphabet[value % 45], alphabet[value / 45 % 45], alphabet[value / 2025]};
        status = cl_buffer_append(out, group, take + 1);
        in += take;
        length -= take;
    }
    return status;
}

/* 0..44, or 45 for what is not in the alphabet. */
static uint32_t value_of(char c)
{
    const char *found = c == '\0' ? NULL : strchr(alphabet, c);
    return found == NULL ? 45 : (uint32_t)(found - alphabet);
}

enum cl_status cl_base45_decode(struct cl_buffer *out, const char *text, size_t length)
{
    enum cl_status status = length % 3 == 1 ? CL_E_FORMAT : CL_OK;
    while (length > 0 && status == CL_OK) {
        size_t take = length < 3 ? 2 : 3;
        uint32_t first = value_of(text[0]), second = value_of(text[1]), third = take == 3 ? value_of(text[2]) : 0;
        uint32_t value = first + second * 45 + third * 2025;
        if (first == 45 || second == 45 || third == 45 || value > (take == 3 ? 0xffffu : 0xffu))
            return CL_E_FORMAT;
        uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
        status = take == 3 ? cl_buffer_append(out, bytes, 2) : cl_buffer_append(out, bytes + 1, 1);
        text += take;
        length -= take;
    }
    return status;
}
