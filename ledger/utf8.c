/* What counts as text: one reader for CBOR, signed notes and terms, so that none takes what another would refuse. */
#include "utf8.h"

size_t cl_utf8_next(uint32_t *point, const uint8_t *text, size_t length)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = text[0];
    size_t count = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (count == 1) {
        *point = first;
        return 1;
    }
    if (first < 0xc2 || first > 0xf4 || count > length)
        return 0;
    uint32_t value = first & (0x7fu >> count);
    for (size_t i = 1; i < count; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (text[i] & 0x3fu);
    }
    if (value < least[count] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *point = value;
    return count;
}

bool cl_utf8_valid(const uint8_t *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        uint32_t point;
        size_t step = cl_utf8_next(&point, text + i, length - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}
