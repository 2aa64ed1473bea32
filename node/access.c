/* Who may read everything (tokens, kept as hashes) and who may submit (keys). Read once at start. */
#include "api_private.h"

#include "consent/wallet.h"
#include "crypto.h"
#include "files.h"
#include "logging.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ACCESS_FILE_BYTES_MAX (16u * 1024 * 1024)
struct access { uint8_t (*tokens)[32]; size_t token_count; uint8_t (*keys)[33]; size_t key_count; bool restricted; };

static enum cl_status add(void **list, size_t *count, size_t size, const uint8_t *value)
{
    if ((*count & (*count - 1)) == 0) { /* grow at powers of two */
        void *grown = realloc(*list, (*count == 0 ? 1 : *count * 2) * size);
        if (grown == NULL) return CL_E_MEMORY;
        *list = grown;
    }
    memcpy((uint8_t *)*list + *count * size, value, size);
    (*count)++;
    return CL_OK;
}

/* Each line's last word is the value in hex; '#' begins a comment. */
static enum cl_status load(const char *path, size_t size, void **list, size_t *count, char *sentence, size_t sentence_size)
{
    struct cl_buffer text = { 0 };
    enum cl_status status = file_read(&text, path, ACCESS_FILE_BYTES_MAX);
    if (status == CL_OK) status = cl_buffer_append(&text, "", 1);
    if (status != CL_OK) snprintf(sentence, sentence_size, "%.150s cannot be read.", path);
    char *rest = (char *)text.data, *line;
    for (size_t number = 1; status == CL_OK && (line = strsep(&rest, "\n")) != NULL; number++) {
        char *word, *last = NULL;
        uint8_t value[33];
        line[strcspn(line, "#")] = '\0';
        while ((word = strsep(&line, " \t\r")) != NULL)
            if (word[0] != '\0') last = word;
        if (last == NULL) continue;
        if (hex_decode(value, size, last, strlen(last))) {
            status = add(list, count, size, value);
        } else {
            snprintf(sentence, sentence_size, "%.150s line %zu: %zu lower-case hex digits are expected.", path, number, 2 * size);
            status = CL_E_FORMAT;
        }
    }
    cl_buffer_deinit(&text);
    return status;
}

/* The operator's own token, made by `consentd init`. */
static enum cl_status load_own_token(struct access *access, const char *data, char *sentence, size_t sentence_size)
{
    char path[1200];
    struct cl_buffer text = { 0 };
    uint8_t digest[32];
    enum cl_status status = file_path(path, sizeof path, data, "reader.token");
    if (status == CL_OK) status = file_read(&text, path, 256);
    if (status == CL_OK) {
        while (text.length > 0 && text.data[text.length - 1] <= ' ') text.length--;
        cl_sha256_once(digest, text.data, text.length);
        if (text.length >= 16) status = add((void **)&access->tokens, &access->token_count, 32, digest);
        else log_line(LOG_LEVEL_WARNING, "reader_token_ignored", "reason=\"reader.token has less than 16 characters\"");
    } else if (status != CL_E_NOT_FOUND) {
        snprintf(sentence, sentence_size, "%.150s cannot be read.", path);
    }
    cl_buffer_wipe(&text);
    return status == CL_E_NOT_FOUND ? CL_OK : status;
}

enum cl_status access_new(struct access **out, const struct node_config *config, char *sentence, size_t sentence_size)
{
    struct access *access = calloc(1, sizeof *access);
    if (access == NULL) return CL_E_MEMORY;
    enum cl_status status = load_own_token(access, config->data, sentence, sentence_size);
    if (status == CL_OK && config->readers[0] != '\0') status = load(config->readers, 32, (void **)&access->tokens, &access->token_count, sentence, sentence_size);
    if (status == CL_OK && config->submitters[0] != '\0') {
        access->restricted = true;
        status = load(config->submitters, 33, (void **)&access->keys, &access->key_count, sentence, sentence_size);
    }
    if (status != CL_OK) {
        access_free(access);
        return status;
    }
    *out = access;
    return CL_OK;
}

void access_free(struct access *access)
{
    if (access == NULL) return;
    free(access->tokens);
    free(access->keys);
    free(access);
}

bool access_reader(const struct access *access, const struct http_request *request)
{
    const char *header = http_header(request, "Authorization");
    uint8_t digest[32];
    bool found = false;
    if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0) return false;
    cl_sha256_once(digest, header + 7, strlen(header + 7));
    for (size_t i = 0; i < access->token_count; i++) found |= cl_equal_constant_time(access->tokens[i], digest, 32);
    return found;
}

bool access_submitter(const struct access *access, const uint8_t key33[33])
{
    if (!access->restricted) return true;
    for (size_t i = 0; i < access->key_count; i++)
        if (memcmp(access->keys[i], key33, 33) == 0) return true;
    return false;
}
