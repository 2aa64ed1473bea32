/* The ini reader: one table says which keys exist, what they hold and between which bounds. */
#include "config.h"

#include "votelog.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum setting_kind { SETTING_TEXT, SETTING_NUMBER, SETTING_LEVEL, SETTING_SYNC_MODE };
struct setting {
    const char *section, *key;
    enum setting_kind kind;
    size_t offset, size;
    uint64_t minimum, maximum;
};

#define TEXT(section, key, field) \
    { section, key, SETTING_TEXT, offsetof(struct node_config, field), sizeof((struct node_config *)0)->field, 0, 0 }
#define NUMBER(section, key, field, minimum, maximum) \
    { section, key, SETTING_NUMBER, offsetof(struct node_config, field), 8, minimum, maximum }

static const struct setting settings[] = {
    TEXT("node", "genesis", genesis),
    NUMBER("node", "workers", workers, 0, 64),
    NUMBER("node", "cosign_interval_s", cosign_interval_s, 1, 86400),
    TEXT("http", "listen", listen),
    NUMBER("http", "connections_max", http_connections_max, 4, 100000),
    NUMBER("http", "threads", http_threads, 1, 64),
    NUMBER("http", "idle_s", http_idle_s, 1, 3600),
    NUMBER("http", "request_s", http_request_s, 1, 3600),
    NUMBER("http", "body_bytes_max", http_body_bytes_max, 1024, 16777216),
    NUMBER("http", "feed_streams_max", feed_streams_max, 1, 10000),
    TEXT("http", "origins", http_origins),
    TEXT("http", "tls_certificate", tls_certificate),
    TEXT("http", "tls_key", tls_key),
    TEXT("links", "listen", links_listen),
    TEXT("links", "ask_listen", links_ask_listen),
    NUMBER("pool", "records_max", pool_records_max, 16, 1000000),
    NUMBER("pool", "bytes_max", pool_bytes_max, 1048576, 1073741824),
    NUMBER("store", "cache_mb", store_cache_mb, 0, 65536),
    NUMBER("store", "write_buffer_mb", store_write_buffer_mb, 0, 1024),
    NUMBER("votelog", "truncate_mb", votelog_truncate_mb, 1, VOTELOG_TRUNCATE_MB_MAX),
    TEXT("access", "readers", readers),
    TEXT("access", "submitters", submitters),
    NUMBER("mailbox", "mailboxes_max", mailboxes_max, 0, 10000000),
    NUMBER("mailbox", "deliveries_max", mailboxes_deliveries_max, 1, 100000000),
    NUMBER("mailbox", "bytes_max", mailboxes_bytes_max, 1048576, 1099511627776),
    NUMBER("mailbox", "bytes_per_s", mailboxes_bytes_per_s, 307200, 1073741824),
    NUMBER("mailbox", "opens_per_s", mailboxes_opens_per_s, 1, 100000),
    NUMBER("mailbox", "mailbox_deliveries_max", mailbox_deliveries_max, 1, 65536),
    NUMBER("mailbox", "mailbox_bytes_max", mailbox_bytes_max, 307200, 1073741824),
    NUMBER("mailbox", "mailbox_deposits_per_s", mailbox_deposits_per_s, 1, 1000000),
    NUMBER("mailbox", "delivery_days", mailbox_delivery_days, 1, 3650),
    NUMBER("mailbox", "unfetched_days", mailbox_unfetched_days, 1, 3650),
    NUMBER("mailbox", "waits_max", mailbox_waits_max, 1, 100000),
    NUMBER("mailbox", "compact_s", mailbox_compact_s, 1, 86400),
    NUMBER("public", "bodies_max", public_bodies_max, 0, 1000000),
    NUMBER("public", "bytes_max", public_bytes_max, 65536, 1099511627776),
    NUMBER("public", "puts_per_s", public_puts_per_s, 1, 10000),
    NUMBER("public", "body_days", public_body_days, 1, 3650),
    NUMBER("public", "copy_s", public_copy_s, 1, 3600),
    { "sync", "mode", SETTING_SYNC_MODE, offsetof(struct node_config, sync_certified), 8, 0, 1 },
    { "log", "level", SETTING_LEVEL, offsetof(struct node_config, log_level), 8, 0, 3 },
};

void node_config_default(struct node_config *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->listen, "127.0.0.1:8780", sizeof "127.0.0.1:8780");
    out->cosign_interval_s = 60;
    out->http_connections_max = 1000;
    out->http_threads = 4;
    out->http_idle_s = 60;
    out->http_request_s = 30;
    out->http_body_bytes_max = 65536 + 1024;
    out->feed_streams_max = 64;
    out->pool_records_max = 32768;
    out->pool_bytes_max = 8u * 1024 * 1024;
    out->votelog_truncate_mb = 16;
    out->mailboxes_max = 100000;
    out->mailboxes_deliveries_max = 250000;
    out->mailboxes_bytes_max = 1024u * 1024 * 1024;
    out->mailboxes_bytes_per_s = 16u * 1024 * 1024;
    out->mailboxes_opens_per_s = 50;
    out->mailbox_deliveries_max = 1024;
    out->mailbox_bytes_max = 32u * 1024 * 1024;
    out->mailbox_deposits_per_s = 32;
    out->mailbox_delivery_days = 30;
    out->mailbox_unfetched_days = 180;
    out->mailbox_waits_max = 256;
    out->mailbox_compact_s = 600;
    out->public_bodies_max = 10000;
    out->public_bytes_max = 128u * 1024 * 1024;
    out->public_puts_per_s = 10;
    out->public_body_days = 400;
    out->public_copy_s = 60;
    out->log_level = 2;
}

static CL_PRINTF(3, 4) enum cl_status fail(struct config_error *error, size_t line, const char *format, ...)
{
    va_list arguments;
    error->line = line;
    va_start(arguments, format);
    vsnprintf(error->sentence, sizeof error->sentence, format, arguments);
    va_end(arguments);
    return CL_E_FORMAT;
}

/* Cuts white space off both ends, in place. */
static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t') text++;
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL) text[--length] = '\0';
    return text;
}

static enum cl_status set_number(void *field, const struct setting *setting, const char *value, size_t line, struct config_error *error)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0) return fail(error, line, "'%.80s' is not a whole number.", value);
    if (number < setting->minimum || number > setting->maximum) {
        return fail(error, line, "%s takes %llu to %llu.", setting->key, (unsigned long long)setting->minimum,
                    (unsigned long long)setting->maximum);
    }
    uint64_t stored = number;
    memcpy(field, &stored, sizeof stored);
    return CL_OK;
}

static enum cl_status set_level(void *field, const char *value, size_t line, struct config_error *error)
{
    static const char *const names[] = { "error", "warning", "info", "debug" };
    for (uint64_t i = 0; i < 4; i++)
        if (strcmp(value, names[i]) == 0) {
            memcpy(field, &i, sizeof i);
            return CL_OK;
        }
    return fail(error, line, "'%.80s' is not a level; it is one of error, warning, info, debug.", value);
}

/* An origin as a browser sends it: scheme, host, port where it is not the scheme's; no path, lower case. */
static bool is_origin(const char *text, size_t length)
{
    size_t scheme = length > 8 && memcmp(text, "https://", 8) == 0 ? 8 : length > 7 && memcmp(text, "http://", 7) == 0 ? 7 : 0;
    bool good = scheme > 0;
    for (size_t i = scheme; good && i < length; i++) good = strchr("abcdefghijklmnopqrstuvwxyz0123456789-.:[]", text[i]) != NULL;
    return good;
}

static enum cl_status check_origins(const char *value, size_t line, struct config_error *error)
{
    if (strcmp(value, "*") == 0) return CL_OK;
    for (const char *at = value; *at != '\0';) {
        size_t length = strcspn(at, " ");
        if (!is_origin(at, length)) return fail(error, line, "'%.*s' is not an origin as https://wallet.example, without a path; several have spaces between.", (int)(length < 80 ? length : 80), at);
        at += length + strspn(at + length, " ");
    }
    return CL_OK;
}

static enum cl_status check_text(const struct setting *setting, const char *value, size_t line, struct config_error *error)
{
    char address[64];
    uint16_t port;
    if (setting->offset == offsetof(struct node_config, listen) && strcmp(value, "none") != 0 &&
        node_config_listen(address, sizeof address, &port, value) != CL_OK)
        return fail(error, line, "'%.80s' is not ADDRESS:PORT.", value);
    if (setting->offset == offsetof(struct node_config, http_origins)) return check_origins(value, line, error);
    if (strcmp(setting->section, "links") == 0 && !node_address_listens(value))
        return fail(error, line, "'%.80s' is not HOST:PORT with a port of 1 to 65534.", value);
    return CL_OK;
}

static enum cl_status set_sync_mode(void *field, const char *value, size_t line, struct config_error *error)
{
    uint64_t certified = strcmp(value, "certified") == 0;
    if (!certified && strcmp(value, "audited") != 0) return fail(error, line, "'%.80s' is not a way of catching up; it is audited or certified.", value);
    memcpy(field, &certified, sizeof certified);
    return CL_OK;
}

static enum cl_status set(struct node_config *out, const char *section, const char *key, const char *value, size_t line,
                          struct config_error *error)
{
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        const struct setting *setting = &settings[i];
        if (strcmp(section, setting->section) != 0 || strcmp(key, setting->key) != 0) continue;
        void *field = (char *)out + setting->offset;
        switch (setting->kind) {
        case SETTING_NUMBER: return set_number(field, setting, value, line, error);
        case SETTING_LEVEL: return set_level(field, value, line, error);
        case SETTING_SYNC_MODE: return set_sync_mode(field, value, line, error);
        case SETTING_TEXT: break;
        }
        size_t length = strlen(value);
        if (length >= setting->size) return fail(error, line, "the value of %.80s is too long.", key);
        memcpy(field, value, length + 1);
        return check_text(setting, value, line, error);
    }
    return fail(error, line, "there is no setting [%.60s] %.60s; see 'consentd run --help'.", section, key);
}

static enum cl_status parse_line(struct node_config *out, char *section, size_t section_size, char *text, size_t line,
                                 struct config_error *error)
{
    text = trim(text);
    if (text[0] == '\0' || text[0] == '#' || text[0] == ';') return CL_OK;
    if (text[0] == '[') {
        size_t length = strlen(text);
        if (length < 3 || text[length - 1] != ']' || length - 1 > section_size) return fail(error, line, "'%.80s' is not a section.", text);
        memcpy(section, text + 1, length - 2);
        section[length - 2] = '\0';
        for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
            if (strcmp(section, settings[i].section) == 0) return CL_OK;
        return fail(error, line, "there is no section [%.60s].", section);
    }
    char *equals = strchr(text, '=');
    if (equals == NULL) return fail(error, line, "'%.80s' is neither a section nor key = value.", text);
    *equals = '\0';
    return set(out, section, trim(text), trim(equals + 1), line, error);
}

enum cl_status node_config_parse(struct node_config *out, struct config_error *error, const char *text, size_t length)
{
    memset(error, 0, sizeof *error);
    if (length > NODE_CONFIG_BYTES_MAX) return fail(error, 0, "%s", "the file is larger than 64 KiB.");
    if (memchr(text, '\0', length) != NULL) return fail(error, 0, "%s", "the file holds a zero byte.");
    char section[64] = "";
    size_t line = 0;
    for (size_t at = 0; at < length;) {
        const char *end = memchr(text + at, '\n', length - at);
        size_t width = end != NULL ? (size_t)(end - text) - at : length - at;
        char copy[2048];
        line++;
        if (width >= sizeof copy) return fail(error, line, "%s", "the line is too long.");
        memcpy(copy, text + at, width);
        copy[width] = '\0';
        enum cl_status status = parse_line(out, section, sizeof section, copy, line, error);
        if (status != CL_OK) return status;
        at += width + 1;
    }
    if ((out->tls_certificate[0] != '\0') != (out->tls_key[0] != '\0'))
        return fail(error, 0, "%s", "tls_certificate and tls_key belong together.");
    return CL_OK;
}

enum cl_status node_config_load(struct node_config *out, struct config_error *error, const char *path)
{
    memset(error, 0, sizeof *error);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        snprintf(error->sentence, sizeof error->sentence, "cannot open it: %s.", strerror(errno));
        return CL_E_IO;
    }
    enum cl_status status = CL_E_MEMORY;
    char *text = malloc(NODE_CONFIG_BYTES_MAX + 1);
    if (text == NULL) goto out;
    size_t length = fread(text, 1, NODE_CONFIG_BYTES_MAX + 1, file);
    if (ferror(file)) {
        snprintf(error->sentence, sizeof error->sentence, "cannot read it: %s.", strerror(errno));
        status = CL_E_IO;
        goto out;
    }
    status = node_config_parse(out, error, text, length);
out:
    free(text);
    fclose(file);
    return status;
}

enum cl_status node_config_listen(char *address, size_t address_size, uint16_t *port, const char *listen)
{
    const char *colon = strrchr(listen, ':');
    if (colon == NULL) return CL_E_FORMAT;
    const char *first = listen;
    size_t length = (size_t)(colon - listen);
    if (length >= 2 && first[0] == '[' && first[length - 1] == ']') {
        first++;
        length -= 2;
    } else if (memchr(first, ':', length) != NULL) {
        return CL_E_FORMAT; /* an IPv6 address needs its brackets */
    }
    if (length == 0 || length >= address_size) return CL_E_FORMAT;
    char *end = NULL;
    errno = 0;
    unsigned long number = strtoul(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || errno != 0 || number > 65535) return CL_E_FORMAT;
    memcpy(address, first, length);
    address[length] = '\0';
    *port = (uint16_t)number;
    return CL_OK;
}
