/* The header is a stranger's text of any length up to the connection's memory: it is read once for each of a few types. */
#include "media.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool is_space(char letter) { return letter == ' ' || letter == '\t'; }

/* Length up to the separator or the end; what stands in quotes separates nothing. */
static size_t part_length(const char *text, size_t length, char separator)
{
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        if (quoted && text[i] == '\\') i++;
        else if (text[i] == '"') quoted = !quoted;
        else if (text[i] == separator && !quoted) return i;
    }
    return length;
}

static void trim(const char **text, size_t *length)
{
    while (*length > 0 && is_space(**text)) (*text)++, (*length)--;
    while (*length > 0 && is_space((*text)[*length - 1])) (*length)--;
}

/* A weight in thousandths: "0", "0.123", "1", "1.000" (RFC 9110, section 12.4.2); -1: it is none. */
static int weight_of(const char *text, size_t length)
{
    int weight, unit = 100;
    if (length == 0 || length > 5 || (text[0] != '0' && text[0] != '1') || (length > 1 && text[1] != '.')) return -1;
    weight = text[0] == '1' ? 1000 : 0;
    for (size_t i = 2; i < length; i++, unit /= 10) {
        if (text[i] < '0' || text[i] > '9') return -1;
        weight += (text[i] - '0') * unit;
    }
    return weight <= 1000 ? weight : -1;
}

/* The weight among the parameters of a media range. One that is not well formed counts as absent. */
static int weight_in(const char *parameters, size_t length)
{
    while (length > 0) {
        size_t width = part_length(parameters, length, ';');
        const char *one = parameters;
        size_t one_length = width;
        trim(&one, &one_length);
        if (one_length >= 2 && strncasecmp(one, "q=", 2) == 0) {
            int weight = weight_of(one + 2, one_length - 2);
            return weight >= 0 ? weight : 1000;
        }
        if (width == length) break;
        parameters += width + 1;
        length -= width + 1;
    }
    return 1000;
}

/* How exactly a range names the type: 2 itself, 1 "text/" and a star, 0 the star for all, -1 not at all. */
static int exactness_of(const char *range, size_t length, const char *type)
{
    size_t slash = strcspn(type, "/");
    if (length == strlen(type) && strncasecmp(range, type, length) == 0) return 2;
    if (length == slash + 2 && strncasecmp(range, type, slash + 1) == 0 && range[slash + 1] == '*') return 1;
    return length == 3 && memcmp(range, "*/*", 3) == 0 ? 0 : -1;
}

/* The most exact range decides, whatever the order. */
static int quality_of(const char *accept, const char *type)
{
    int best = -1, best_exactness = -1;
    for (size_t left = strlen(accept); left > 0;) {
        size_t width = part_length(accept, left, ',');
        const char *range = accept;
        size_t length = part_length(range, width, ';'), name = length;
        trim(&range, &name);
        int exactness = exactness_of(range, name, type);
        if (exactness > best_exactness) {
            best_exactness = exactness;
            best = length < width ? weight_in(accept + length + 1, width - length - 1) : 1000;
        }
        if (width == left) break;
        accept += width + 1;
        left -= width + 1;
    }
    return best;
}

int media_choose(const char *accept, const char *const *types)
{
    int chosen = -1, best = 0;
    if (accept == NULL || accept[0] == '\0') return 0;
    for (int i = 0; types[i] != NULL; i++) {
        int quality = quality_of(accept, types[i]);
        if (quality > best) {
            best = quality;
            chosen = i;
        }
    }
    return chosen;
}
