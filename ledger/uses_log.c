/* The lines of an organisation's log of uses. Text, so that a system that logs by itself can write it and anybody can read it;
   strict, so that each line has one form. */
#include <inttypes.h>
#include <stdio.h>

#include "consent/record.h"
#include "consent/uses.h"
#include "consent/wallet.h"

#define WORDS_MAX 6u
#define TIME_MS_MAX (CL_SECONDS_MAX * 1000u)

static void text_of(char *out, size_t size, struct cl_view view)
{
    size_t length = view.length < size ? view.length : size - 1;
    if (length > 0)
        memcpy(out, view.data, length);
    out[length] = '\0';
}

enum cl_status cl_use_line_encode(struct cl_buffer *out, const struct cl_use_line *line)
{
    char text[CL_USE_LINE_BYTES_MAX + 2], id[65], hash[65], purpose[CL_USE_PURPOSE_BYTES_MAX + 1], reference[CL_USE_REFERENCE_BYTES_MAX + 1];
    const struct cl_use *use = &line->use;
    int length = 0;
    cl_hex_encode(id, line->object.bytes, 32);
    cl_hex_encode(hash, line->file.bytes, 32);
    switch (line->kind) {
    case CL_USE_LINE_START:
        length = snprintf(text, sizeof text, "consent-uses\t1\t%s\n", id);
        break;
    case CL_USE_LINE_USE:
        if (use->slot > 63 || use->time_ms > TIME_MS_MAX || !cl_use_text_usable((const char *)use->purpose.data, use->purpose.length, 1, CL_USE_PURPOSE_BYTES_MAX) ||
            !cl_use_text_usable((const char *)use->reference.data, use->reference.length, 0, CL_USE_REFERENCE_BYTES_MAX))
            return CL_E_VALUE;
        text_of(purpose, sizeof purpose, use->purpose);
        text_of(reference, sizeof reference, use->reference);
        length = snprintf(text, sizeof text, "use\t%" PRIu64 "\t%s\t%u\t%s%s%s\n", use->time_ms, id, use->slot, purpose, reference[0] == '\0' ? "" : "\t", reference);
        break;
    case CL_USE_LINE_REFUSED:
        if (line->time_ms > TIME_MS_MAX || !cl_use_text_usable((const char *)line->code.data, line->code.length, 1, CL_USE_REFERENCE_BYTES_MAX))
            return CL_E_VALUE;
        text_of(reference, sizeof reference, line->code);
        length = snprintf(text, sizeof text, "no\t%" PRIu64 "\t%s\n", line->time_ms, reference);
        break;
    case CL_USE_LINE_FILE:
        if (line->line_count > TIME_MS_MAX)
            return CL_E_VALUE;
        length = snprintf(text, sizeof text, "file\t%s\t%" PRIu64 "\n", hash, line->line_count);
        break;
    }
    assert(length > 0 && (size_t)length < sizeof text);
    return cl_buffer_append(out, text, (size_t)length);
}

static bool word_is(struct cl_view word, const char *text) { return word.length == strlen(text) && memcmp(word.data, text, word.length) == 0; }

/* Digits without a leading zero. */
static bool number_of(uint64_t *out, struct cl_view word, uint64_t maximum)
{
    uint64_t sum = 0;
    if (word.length == 0 || word.length > 16 || (word.data[0] == '0' && word.length > 1))
        return false;
    for (size_t i = 0; i < word.length; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
        sum = 10 * sum + (uint64_t)(word.data[i] - '0');
    }
    *out = sum;
    return sum <= maximum;
}

/* 64 lower-case digits. */
static bool hash_of(uint8_t out32[32], struct cl_view word)
{
    char text[65];
    if (word.length != 64)
        return false;
    for (size_t i = 0; i < 64; i++)
        if (word.data[i] >= 'A' && word.data[i] <= 'F')
            return false;
    text_of(text, sizeof text, word);
    return cl_hex_decode(out32, 32, text);
}

static size_t split(struct cl_view words[WORDS_MAX + 1], const char *text, size_t length)
{
    size_t count = 0;
    for (size_t start = 0; count <= WORDS_MAX; count++) {
        const char *tab = memchr(text + start, '\t', length - start);
        size_t end = tab == NULL ? length : (size_t)(tab - text);
        words[count] = (struct cl_view){(const uint8_t *)text + start, end - start};
        if (tab == NULL)
            return count + 1;
        start = end + 1;
    }
    return count;
}

static bool read_use(struct cl_use_line *line, const struct cl_view *words, size_t count)
{
    uint64_t slot = 0;
    line->kind = CL_USE_LINE_USE;
    if ((count != 5 && count != 6) || !number_of(&line->use.time_ms, words[1], TIME_MS_MAX) || !hash_of(line->object.bytes, words[2]) || !number_of(&slot, words[3], 63))
        return false;
    line->use.slot = (uint8_t)slot;
    line->use.purpose = words[4];
    line->use.reference = count == 6 ? words[5] : (struct cl_view){words[4].data + words[4].length, 0};
    return cl_use_text_usable((const char *)words[4].data, words[4].length, 1, CL_USE_PURPOSE_BYTES_MAX) &&
           (count == 5 || cl_use_text_usable((const char *)words[5].data, words[5].length, 1, CL_USE_REFERENCE_BYTES_MAX));
}

enum cl_status cl_use_line_decode(struct cl_use_line *out, const char *text, size_t length)
{
    struct cl_view words[WORDS_MAX + 1];
    struct cl_use_line line = {.kind = CL_USE_LINE_START};
    if (length > CL_USE_LINE_BYTES_MAX)
        return CL_E_FORMAT;
    size_t count = split(words, text, length);
    bool good = false;
    if (word_is(words[0], "use")) {
        good = read_use(&line, words, count);
    } else if (word_is(words[0], "no")) {
        line.kind = CL_USE_LINE_REFUSED;
        good = count == 3 && number_of(&line.time_ms, words[1], TIME_MS_MAX) && cl_use_text_usable((const char *)words[2].data, words[2].length, 1, CL_USE_REFERENCE_BYTES_MAX);
        line.code = good ? words[2] : line.code;
    } else if (word_is(words[0], "file")) {
        line.kind = CL_USE_LINE_FILE;
        good = count == 3 && hash_of(line.file.bytes, words[1]) && number_of(&line.line_count, words[2], TIME_MS_MAX);
    } else if (word_is(words[0], "consent-uses")) {
        good = count == 3 && word_is(words[1], "1") && hash_of(line.object.bytes, words[2]);
    }
    if (!good)
        return CL_E_FORMAT;
    *out = line;
    return CL_OK;
}
