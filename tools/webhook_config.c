/* The file that says which endpoints there are (consent(1) "Webhooks"), and the files with their secrets. An unknown word
   is an error with its line. Paths are as seen from the file's own folder. */
#include "webhooks.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define CONFIG_BYTES_MAX (1024u * 1024u)
#define RETRY_UNLESS_TOLD "5s 5m 30m 2h 5h 10h 14h 20h 24h"
#define TIMEOUT_MS_UNLESS_TOLD 20000u
#define RETRY_MS_MAX (7ull * 24u * 3600u * 1000u)

struct reader { struct context *context; const char *path; struct webhook_config *config; size_t line; };

static int wrong(const struct reader *reader, const char *what)
{
    return output_fail(&reader->context->output, CL_E_FORMAT, "%s, line %zu: %s", reader->path, reader->line, what);
}

/* Where value says, seen from the configuration's folder. */
static bool put_path(const struct reader *reader, char *out, size_t size, const char *value)
{
    const char *slash = strrchr(reader->path, '/');
    int used = value[0] == '/' || slash == NULL ? snprintf(out, size, "%s", value) : snprintf(out, size, "%.*s/%s", (int)(slash - reader->path), reader->path, value);
    return used > 0 && (size_t)used < size;
}

static bool put_text(char *out, size_t size, const char *value)
{
    int used = snprintf(out, size, "%s", value);
    return used > 0 && (size_t)used < size;
}

static bool put_retry(struct webhook_settings *settings, const char *value)
{
    char words[512], *rest = words;
    settings->retry_count = 0;
    if (!put_text(words, sizeof words, value))
        return false;
    for (char *word = strtok_r(words, " ,\t", &rest); word != NULL; word = strtok_r(NULL, " ,\t", &rest)) {
        uint64_t *delay = &settings->retry_ms[settings->retry_count];
        if (settings->retry_count == WEBHOOK_RETRIES_MAX || !duration_parse(delay, word) || *delay < 100 || *delay > RETRY_MS_MAX)
            return false;
        settings->retry_count++;
    }
    return settings->retry_count > 0;
}

static bool add_follow(struct webhook_settings *settings, const char *value)
{
    struct cl_public_key key;
    struct cl_object_id id;
    struct cl_party party = {.length = 32};
    if (id_parse(&id, value)) {
        memcpy(party.bytes, id.bytes, 32);
    } else if (cl_public_key_decode(&key, value) == CL_OK) {
        party.length = 33;
        memcpy(party.bytes, key.bytes, 33);
    } else {
        return false;
    }
    struct cl_party *all = settings->follow_count < WEBHOOK_FOLLOW_MAX ? realloc(settings->follow, (settings->follow_count + 1) * sizeof *all) : NULL;
    if (all == NULL)
        return false;
    settings->follow = all;
    all[settings->follow_count++] = party;
    return true;
}

static bool put_after(struct webhook_settings *settings, const char *value)
{
    uint64_t index;
    return (strcmp(value, "now") == 0 || number_parse(&index, value, INT64_MAX - 1)) && put_text(settings->after, sizeof settings->after, value);
}

static bool put_timeout(struct webhook_settings *settings, const char *value)
{
    uint64_t timeout_ms;
    if (!duration_parse(&timeout_ms, value) || timeout_ms < 1000 || timeout_ms > 120000)
        return false;
    settings->timeout_s = timeout_ms / 1000;
    return true;
}

static bool url_usable(const char *url)
{
    return (strncmp(url, "https://", 8) == 0 && url[8] != '\0') || (strncmp(url, "http://", 7) == 0 && url[7] != '\0');
}

static int take_setting(struct reader *reader, const char *name, const char *value)
{
    struct webhook_settings *settings = reader->config->count == 0 ? NULL : &reader->config->endpoints[reader->config->count - 1];
    if (settings == NULL)
        return strcmp(name, "state") != 0 ? wrong(reader, "only 'state = FOLDER' may stand before the first [NAME] of an endpoint.") :
               put_path(reader, reader->config->state_directory, sizeof reader->config->state_directory, value) ? 0 : wrong(reader, "state takes a folder.");
    if (strcmp(name, "url") == 0)
        return url_usable(value) && put_text(settings->url, sizeof settings->url, value) ? 0 : wrong(reader, "url takes an https:// or http:// URL of at most 512 characters.");
    if (strcmp(name, "secret-file") == 0)
        return put_path(reader, settings->secret_file, sizeof settings->secret_file, value) ? 0 : wrong(reader, "secret-file takes a file.");
    if (strcmp(name, "ca-file") == 0)
        return put_path(reader, settings->ca_file, sizeof settings->ca_file, value) ? 0 : wrong(reader, "ca-file takes a file.");
    if (strcmp(name, "follow") == 0)
        return add_follow(settings, value) ? 0 : wrong(reader, "follow takes the id of a profile, agreement or terms, or a key (did:key or hex); at most 1024 times.");
    if (strcmp(name, "after") == 0)
        return put_after(settings, value) ? 0 : wrong(reader, "after takes a log index, or now.");
    if (strcmp(name, "retry") == 0)
        return put_retry(settings, value) ? 0 : wrong(reader, "retry takes at most 32 times to wait, from 1s to 7d, as: " RETRY_UNLESS_TOLD);
    if (strcmp(name, "timeout") == 0)
        return put_timeout(settings, value) ? 0 : wrong(reader, "timeout takes 1s to 120s.");
    return wrong(reader, "there is no such setting; there are url, secret-file, follow, after, retry, timeout, ca-file.");
}

static int take_section(struct reader *reader, const char *name, size_t length)
{
    struct webhook_config *config = reader->config;
    char text[WEBHOOK_NAME_BYTES_MAX + 1];
    if (length == 0 || length > WEBHOOK_NAME_BYTES_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") < length)
        return wrong(reader, "an endpoint's name has 1 to 32 of a-z 0-9 - _ .");
    (void)snprintf(text, sizeof text, "%.*s", (int)length, name);
    if (webhook_config_find(config, text) != NULL)
        return wrong(reader, "that endpoint is there already.");
    if (config->count == WEBHOOK_ENDPOINTS_MAX)
        return wrong(reader, "there are at most 16 endpoints; run others with a file of their own.");
    struct webhook_settings *settings = &config->endpoints[config->count++];
    (void)snprintf(settings->name, sizeof settings->name, "%s", text);
    settings->timeout_s = TIMEOUT_MS_UNLESS_TOLD / 1000;
    return put_retry(settings, RETRY_UNLESS_TOLD) ? 0 : wrong(reader, "retry");
}

static int take_line(struct reader *reader, char *line)
{
    size_t length = strlen(line);
    while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t' || line[length - 1] == '\r'))
        line[--length] = '\0';
    line += strspn(line, " \t");
    if (line[0] == '\0' || line[0] == '#' || line[0] == ';')
        return 0;
    if (line[0] == '[')
        return line[strlen(line) - 1] == ']' ? take_section(reader, line + 1, strlen(line) - 2) : wrong(reader, "the ] is missing.");
    char *equals = strchr(line, '=');
    if (equals == NULL)
        return wrong(reader, "neither [NAME] nor 'setting = value'.");
    char *value = equals + 1 + strspn(equals + 1, " \t");
    *equals = '\0';
    line[strcspn(line, " \t")] = '\0';
    return take_setting(reader, line, value);
}

static int check_endpoints(const struct reader *reader)
{
    const struct webhook_config *config = reader->config;
    if (config->count == 0)
        return wrong(reader, "there is no endpoint: [NAME], url = ..., secret-file = ..., follow = ...");
    for (size_t i = 0; i < config->count; i++) {
        const struct webhook_settings *settings = &config->endpoints[i];
        const char *missing = settings->url[0] == '\0' ? "url" : settings->secret_file[0] == '\0' ? "secret-file" : settings->follow_count == 0 ? "follow" : NULL;
        if (missing != NULL)
            return output_fail(&reader->context->output, CL_E_FORMAT, "%s: the endpoint [%s] has no %s.", reader->path, settings->name, missing);
    }
    return 0;
}

int webhook_config_read(struct context *context, struct webhook_config **out, const char *path)
{
    struct cl_buffer text = {0};
    struct reader reader = {.context = context, .path = path, .config = calloc(1, sizeof *reader.config)};
    int result = reader.config == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : file_read(context, &text, path, CONFIG_BYTES_MAX);
    if (result == 0 && (!put_path(&reader, reader.config->state_directory, sizeof reader.config->state_directory, ".") || (text.length > 0 && memchr(text.data, '\0', text.length) != NULL) ||
                        cl_buffer_append(&text, "", 1) != CL_OK))
        result = output_fail(&context->output, CL_E_FORMAT, "%s is not a text file.", path);
    char *rest = (char *)text.data;
    while (result == 0 && rest != NULL) {
        char *line = strsep(&rest, "\n");
        reader.line++;
        result = take_line(&reader, line);
    }
    if (result == 0)
        result = check_endpoints(&reader);
    cl_buffer_deinit(&text);
    if (result != 0)
        webhook_config_free(reader.config);
    else
        *out = reader.config;
    return result;
}

void webhook_config_free(struct webhook_config *config)
{
    for (size_t i = 0; config != NULL && i < config->count; i++)
        free(config->endpoints[i].follow);
    free(config);
}

struct webhook_settings *webhook_config_find(struct webhook_config *config, const char *name)
{
    for (size_t i = 0; i < config->count; i++)
        if (strcmp(config->endpoints[i].name, name) == 0)
            return &config->endpoints[i];
    return NULL;
}

int webhook_secrets_read(struct context *context, struct webhook_secrets *out, const char *path)
{
    struct stat found;
    struct cl_buffer text = {.secret = true};
    size_t bad_line = 0;
    if (stat(path, &found) != 0)
        return output_fail(&context->output, errno == ENOENT ? CL_E_NOT_FOUND : CL_E_IO, "%s: %s; 'consent webhooks secret %s' makes it.", path, strerror(errno), path);
    if (!S_ISREG(found.st_mode) || (found.st_mode & 077) != 0)
        return output_fail(&context->output, CL_E_LOCKED, "Others may read %s; 'chmod 600 %s' makes it its owner's alone.", path, path);
    int result = file_read(context, &text, path, 65536);
    enum cl_status status = result == 0 ? webhook_secrets_parse(out, &bad_line, (const char *)text.data, text.length) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, "%s, line %zu: a secret is a line of whsec_ and the base64 of 24 to 64 bytes; at most four.", path, bad_line);
    cl_buffer_wipe(&text);
    return result;
}
