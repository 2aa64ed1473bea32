/* No path names a file: it is only ever compared. */
#include "route.h"

#include <assert.h>
#include <string.h>

bool route_match(const char *pattern, const char *path, char arguments[ROUTE_ARGUMENTS_MAX][ROUTE_ARGUMENT_BYTES])
{
    size_t argument = 0;
    while (*pattern != '\0') {
        if (*pattern != '{') {
            if (*pattern++ != *path++) return false;
            continue;
        }
        const char *close = strchr(pattern, '}');
        assert(close != NULL && argument < ROUTE_ARGUMENTS_MAX);
        bool rest = close[-1] == '+';
        size_t length = rest ? strlen(path) : strcspn(path, "/");
        if (length == 0 || length >= ROUTE_ARGUMENT_BYTES) return false;
        memcpy(arguments[argument], path, length);
        arguments[argument++][length] = '\0';
        path += length;
        pattern = close + 1;
    }
    return *path == '\0';
}

static int nibble(char digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

size_t route_unescape(char *text)
{
    char *to = text;
    for (const char *at = text; *at != '\0';) {
        int high = at[0] == '%' ? nibble(at[1]) : -1, low = high >= 0 ? nibble(at[2]) : -1;
        int byte = low >= 0 ? high * 16 + low : 0;
        if (byte == 0 || byte == '/') {
            *to++ = *at++;
        } else {
            *to++ = (char)byte;
            at += 3;
        }
    }
    *to = '\0';
    return (size_t)(to - text);
}
