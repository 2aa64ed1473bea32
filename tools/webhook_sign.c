/* Signatures, secrets and times of Standard Webhooks 1.0.0 ("Signature scheme", "Deliverability and reliability"): the
   symmetric scheme v1, HMAC-SHA-256 over ID.TIMESTAMP.BODY. */
#include "webhooks.h"

#define PREFIX "whsec_"

/* One line, without what ends it. */
static bool take_secret(struct webhook_secrets *out, const char *line, size_t length)
{
    struct cl_buffer bytes = {.secret = true};
    bool good = out->count < WEBHOOK_SECRETS_MAX && length > strlen(PREFIX) && memcmp(line, PREFIX, strlen(PREFIX)) == 0 &&
                cl_base64_get(&bytes, line + strlen(PREFIX), length - strlen(PREFIX)) == CL_OK && bytes.length >= WEBHOOK_SECRET_BYTES_MIN &&
                bytes.length <= WEBHOOK_SECRET_BYTES_MAX;
    if (good) {
        memcpy(out->items[out->count].bytes, bytes.data, bytes.length);
        out->items[out->count++].length = bytes.length;
    }
    cl_buffer_wipe(&bytes);
    return good;
}

enum cl_status webhook_secrets_parse(struct webhook_secrets *out, size_t *bad_line, const char *text, size_t length)
{
    *out = (struct webhook_secrets){0};
    *bad_line = 0;
    for (size_t at = 0; at < length;) {
        const char *end = memchr(text + at, '\n', length - at);
        size_t part = end == NULL ? length - at : (size_t)(end - text) - at, used = part;
        while (used > 0 && (text[at + used - 1] == '\r' || text[at + used - 1] == ' '))
            used--;
        ++*bad_line;
        if (used > 0 && !take_secret(out, text + at, used)) {
            cl_wipe_bytes(out, sizeof *out);
            return CL_E_SECRET;
        }
        at += part + 1;
    }
    return out->count > 0 ? CL_OK : CL_E_SECRET;
}

enum cl_status webhook_sign(struct cl_buffer *out, const struct webhook_secrets *secrets, const char *id, uint64_t timestamp_s, const void *body, size_t length)
{
    struct cl_buffer content = {0};
    char head[128];
    int used = snprintf(head, sizeof head, "%s.%llu.", id, (unsigned long long)timestamp_s);
    enum cl_status status = used < 0 || (size_t)used >= sizeof head ? CL_E_ARGUMENT : cl_buffer_append(&content, head, (size_t)used);
    if (status == CL_OK)
        status = cl_buffer_append(&content, body, length);
    for (size_t i = 0; i < secrets->count && status == CL_OK; i++) {
        uint8_t code[32];
        cl_hmac_bytes(code, secrets->items[i].bytes, secrets->items[i].length, content.data, content.length);
        status = cl_buffer_append(out, i == 0 ? "v1," : " v1,", i == 0 ? 3 : 4);
        if (status == CL_OK)
            status = cl_base64_put(out, code, sizeof code);
    }
    cl_buffer_deinit(&content);
    return status;
}

uint64_t webhook_delay_ms(const uint64_t *schedule_ms, size_t count, unsigned attempt, long retry_after_s, uint32_t chance)
{
    uint64_t delay = schedule_ms[attempt < count ? attempt : count - 1];
    uint64_t asked = retry_after_s <= 0 ? 0 : (uint64_t)retry_after_s > WEBHOOK_DELAY_MS_MAX / 1000u ? WEBHOOK_DELAY_MS_MAX : (uint64_t)retry_after_s * 1000u;
    if (asked > delay)
        delay = asked;
    return delay + (delay / 5u * (uint64_t)chance >> 32);
}
