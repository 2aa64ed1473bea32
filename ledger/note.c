/* The parts of a signed note that checkpoints, policies and receipts share: names, keys, signature lines, and the two
   kinds of Ed25519 signature (plain, type 1; cosignature/v1, type 4). */
#include "note.h"

#include <inttypes.h>
#include <stdio.h>

#include "base64.h"
#include "consent/record.h"
#include "crypto.h"
#include "utf8.h"

static const uint8_t dash[4] = {0xe2, 0x80, 0x94, ' '}; /* em dash U+2014, space */

bool cl_note_text_valid(const uint8_t *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        uint32_t point = 0;
        if (text[i] >= 0x20 && text[i] < 0x80) {
            i++;
            continue;
        }
        size_t step = cl_utf8_next(&point, text + i, length - i);
        if (step == 0 || (point < 0x20 && point != '\n'))
            return false;
        i += step;
    }
    return true;
}

/* Unicode's White_Space property. */
static bool is_space(uint32_t point)
{
    return (point >= 0x09 && point <= 0x0d) || point == 0x20 || point == 0x85 || point == 0xa0 || point == 0x1680 ||
           (point >= 0x2000 && point <= 0x200a) || point == 0x2028 || point == 0x2029 || point == 0x202f ||
           point == 0x205f || point == 0x3000;
}

bool cl_note_name_valid(const char *name, size_t length)
{
    for (size_t i = 0; i < length;) {
        uint32_t point = 0;
        size_t step = cl_utf8_next(&point, (const uint8_t *)name + i, length - i);
        if (step == 0 || point < 0x20 || point == '+' || is_space(point))
            return false;
        i += step;
    }
    return length > 0;
}

bool cl_note_next_line(struct cl_view *line, struct cl_view *rest)
{
    const uint8_t *end = rest->length == 0 ? NULL : memchr(rest->data, '\n', rest->length);
    if (end == NULL)
        return false;
    *line = (struct cl_view){rest->data, (size_t)(end - rest->data)};
    rest->data = end + 1;
    rest->length -= line->length + 1;
    return true;
}

bool cl_note_decimal(uint64_t *out, struct cl_view text)
{
    uint64_t value = 0;
    if (text.length == 0 || text.length > 20 || (text.length > 1 && text.data[0] == '0'))
        return false;
    for (size_t i = 0; i < text.length; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

enum cl_status cl_note_line_decode(struct cl_note_line *out, const uint8_t *line, size_t length)
{
    if (length < sizeof dash || memcmp(line, dash, sizeof dash) != 0)
        return CL_E_CHECKPOINT;
    const uint8_t *name = line + sizeof dash;
    const uint8_t *space = memchr(name, ' ', length - sizeof dash);
    if (space == NULL || !cl_note_name_valid((const char *)name, (size_t)(space - name)))
        return CL_E_CHECKPOINT;
    const char *text = (const char *)space + 1;
    size_t text_length = length - (size_t)(space + 1 - line), decoded = 0;
    uint8_t blob[CL_BASE64_LENGTH(4 + 72)] = {0};
    bool fits = text_length <= CL_BASE64_LENGTH(4 + 72);
    if (!cl_base64_decode(fits ? blob : NULL, sizeof blob, &decoded, text, text_length) || decoded < 5)
        return CL_E_CHECKPOINT;
    if (decoded <= 4 + 72) {
        memcpy(out->key_id, blob, 4);
        out->length = (uint8_t)(decoded - 4);
        memcpy(out->bytes, blob + 4, out->length);
    } else {
        memset(out->key_id, 0, sizeof out->key_id);
        out->length = 0;
    }
    out->name = (struct cl_view){name, (size_t)(space - name)};
    return CL_OK;
}

enum cl_status cl_note_line_encode(struct cl_buffer *out, const char *name, const uint8_t key_id[4], const uint8_t *signature, size_t length)
{
    uint8_t blob[4 + 72];
    uint8_t line[CL_NOTE_LINE_BYTES_MAX];
    size_t name_length = strlen(name), at = 0;
    if (length > sizeof blob - 4 || name_length > CL_NOTE_NAME_BYTES_MAX || !cl_note_name_valid(name, name_length))
        return CL_E_ARGUMENT;
    memcpy(blob, key_id, 4);
    memcpy(blob + 4, signature, length);
    memcpy(line, dash, sizeof dash);
    at += sizeof dash;
    memcpy(line + at, name, name_length);
    at += name_length;
    line[at++] = ' ';
    cl_base64_encode((char *)line + at, blob, length + 4);
    at += CL_BASE64_LENGTH(length + 4);
    line[at++] = '\n';
    return cl_buffer_append(out, line, at);
}

/* ---- keys */

void cl_note_key_make(struct cl_note_key *out, const char *name, enum cl_note_key_type type, const uint8_t public32[32])
{
    uint8_t digest[32];
    uint8_t between[2] = {'\n', (uint8_t)type};
    struct cl_sha256 hash;
    size_t length = strlen(name);
    assert(length <= CL_NOTE_NAME_BYTES_MAX);
    memset(out, 0, sizeof *out);
    memcpy(out->name, name, length);
    out->type = type;
    memcpy(out->public32, public32, 32);
    cl_sha256_init(&hash);
    cl_sha256_update(&hash, name, length);
    cl_sha256_update(&hash, between, sizeof between);
    cl_sha256_update(&hash, public32, 32);
    cl_sha256_final(&hash, digest);
    memcpy(out->id, digest, 4);
}

static bool hex_id(uint8_t id[4], const char *text)
{
    for (size_t i = 0; i < 8; i++) {
        char c = text[i];
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
        if (digit == 16)
            return false;
        id[i / 2] = (uint8_t)((i % 2 == 0 ? 0u : (unsigned)id[i / 2] << 4) | digit);
    }
    return true;
}

enum cl_status cl_note_key_decode(struct cl_note_key *out, const char *vkey, size_t length)
{
    char name[CL_NOTE_NAME_BYTES_MAX + 1];
    uint8_t id[4], key[33];
    size_t decoded = 0;
    const char *plus = memchr(vkey, '+', length);
    if (plus == NULL)
        return CL_E_KEY;
    size_t name_length = (size_t)(plus - vkey), rest = length - name_length - 1;
    if (name_length > CL_NOTE_NAME_BYTES_MAX || !cl_note_name_valid(vkey, name_length))
        return CL_E_KEY;
    if (rest < 9 || plus[9] != '+' || !hex_id(id, plus + 1))
        return CL_E_KEY;
    if (!cl_base64_decode(key, sizeof key, &decoded, plus + 10, rest - 9) || decoded != sizeof key)
        return CL_E_KEY;
    if (key[0] != CL_NOTE_ED25519 && key[0] != CL_NOTE_COSIGNATURE)
        return CL_E_UNSUPPORTED;
    memcpy(name, vkey, name_length);
    name[name_length] = '\0';
    cl_note_key_make(out, name, key[0] == CL_NOTE_ED25519 ? CL_NOTE_ED25519 : CL_NOTE_COSIGNATURE, key + 1);
    return memcmp(out->id, id, 4) == 0 ? CL_OK : CL_E_KEY;
}

enum cl_status cl_note_key_encode(struct cl_buffer *out, const struct cl_note_key *key)
{
    char text[CL_NOTE_LINE_BYTES_MAX];
    uint8_t material[33];
    material[0] = (uint8_t)key->type;
    memcpy(material + 1, key->public32, 32);
    int length = snprintf(text, sizeof text, "%s+%02x%02x%02x%02x+", key->name, key->id[0], key->id[1], key->id[2], key->id[3]);
    assert(length > 0 && (size_t)length + CL_BASE64_LENGTH(33) <= sizeof text);
    cl_base64_encode(text + length, material, sizeof material);
    return cl_buffer_append(out, text, (size_t)length + CL_BASE64_LENGTH(33));
}

/* ---- signatures */

uint64_t cl_cosignature_time(const uint8_t signature[72])
{
    uint64_t time_s = 0;
    for (size_t i = 0; i < 8; i++)
        time_s = time_s << 8 | signature[i];
    return time_s;
}

bool cl_cosigned_message(uint8_t out[CL_COSIGNED_BYTES_MAX], size_t *length, uint64_t time_s, const struct cl_view *body)
{
    int head = snprintf((char *)out, CL_COSIGNED_BYTES_MAX, "cosignature/v1\ntime %" PRIu64 "\n", time_s);
    assert(head > 0 && (size_t)head < CL_COSIGNED_BYTES_MAX);
    if (body->length > CL_COSIGNED_BYTES_MAX - (size_t)head)
        return false;
    memcpy(out + head, body->data, body->length);
    *length = (size_t)head + body->length;
    return true;
}

bool cl_note_signature_holds(uint64_t *time_s, const struct cl_note_key *key, const uint8_t *signature, size_t length, const struct cl_view *body)
{
    uint8_t message[CL_COSIGNED_BYTES_MAX];
    size_t message_length;
    *time_s = 0;
    if (key->type == CL_NOTE_ED25519)
        return length == 64 && cl_ed25519_verify(key->public32, signature, body->data, body->length);
    if (length != 72)
        return false;
    uint64_t time_claimed = cl_cosignature_time(signature);
    if (time_claimed > INT64_MAX) /* tlog-cosignature: MUST NOT exceed 2^63 - 1 */
        return false;
    if (!cl_cosigned_message(message, &message_length, time_claimed, body) ||
        !cl_ed25519_verify(key->public32, signature + 8, message, message_length))
        return false;
    *time_s = time_claimed;
    return true;
}
