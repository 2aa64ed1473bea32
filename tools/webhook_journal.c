/* What an endpoint's deliveries leave on disk, so that the next run goes on where this one was killed:

   DIRECTORY/NAME.webhook   consent-webhook 1 NETWORK                              the first line
                            at NEXT                                                see struct webhook_journal, next
                            wait INDEX ATTEMPTS SINCE NEXT LAST STATUS SUBJECT     times in Unix milliseconds
                            fail INDEX ATTEMPTS SINCE NEXT LAST STATUS SUBJECT
                            done INDEX                                             neither waits nor has failed any more
                            off STATUS                                             0: on again

   Lines are appended in the order of what happened: "at" never stands before the "wait" of an event that it passes. They
   are written before the next event is posted and synced twice a second, so after kill -9 only the event that was on its
   way is sent again, and after a power cut those of the last moment. Once it is long it is written anew. The bodies are not in it: the
   ledger has them. NAME.webhook.lock keeps two runs apart, NAME.webhook.replay holds what 'consent webhooks replay' asks. */
#include "webhooks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_BYTES_MAX (16u * 1024u * 1024u)
#define JOURNAL_REWRITE_BYTES (4u * 1024u * 1024u)
static_assert(WEBHOOK_FAILED_MAX + WEBHOOK_QUEUE_MAX < JOURNAL_REWRITE_BYTES / 220u, "what is live is less than what makes it be written anew");

static enum cl_status put(struct cl_buffer *text, const char *format, ...) CL_PRINTF(2, 3);
static enum cl_status put(struct cl_buffer *text, const char *format, ...)
{
    char line[300];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    return length < 0 || (size_t)length >= sizeof line ? CL_E_BOUND : cl_buffer_append(text, line, (size_t)length);
}

static enum cl_status put_delivery(struct cl_buffer *text, const char *word, const struct webhook_delivery *delivery)
{
    return put(text, "%s %llu %u %llu %llu %llu %ld %s\n", word, (unsigned long long)delivery->index, delivery->attempts, (unsigned long long)delivery->since_ms,
               (unsigned long long)delivery->next_ms, (unsigned long long)delivery->last_ms, delivery->status, delivery->subject);
}

void webhook_journal_path(char *out, size_t size, const struct webhook_config *config, const char *name, const char *suffix)
{
    (void)snprintf(out, size, "%s/%s.webhook%s", config->state_directory, name, suffix);
}

/* ---- noting */

enum cl_status webhook_journal_waits(struct webhook_journal *journal, struct webhook_delivery *delivery)
{
    enum cl_status status = put_delivery(&journal->text, "wait", delivery);
    if (status == CL_OK && webhook_list_find(&journal->waiting, delivery->index) != delivery)
        status = webhook_list_add(&journal->waiting, delivery);
    return status;
}

enum cl_status webhook_journal_failed(struct webhook_journal *journal, struct webhook_delivery *delivery)
{
    enum cl_status status = put_delivery(&journal->text, "fail", delivery);
    if (webhook_list_find(&journal->waiting, delivery->index) == delivery)
        (void)webhook_list_remove(&journal->waiting, delivery->index);
    cl_buffer_deinit(&delivery->body);
    delivery->body = (struct cl_buffer){0};
    webhook_delivery_free(webhook_list_remove(&journal->failed, delivery->index));
    return status == CL_OK ? webhook_list_add(&journal->failed, delivery) : status;
}

enum cl_status webhook_journal_delivered(struct webhook_journal *journal, uint64_t index)
{
    struct webhook_delivery *waited = webhook_list_remove(&journal->waiting, index), *had_failed = webhook_list_remove(&journal->failed, index);
    bool noted = waited != NULL || had_failed != NULL;
    webhook_delivery_free(waited);
    webhook_delivery_free(had_failed);
    return noted ? put(&journal->text, "done %llu\n", (unsigned long long)index) : CL_OK;
}

enum cl_status webhook_journal_at(struct webhook_journal *journal, uint64_t next)
{
    journal->next = next;
    return put(&journal->text, "at %llu\n", (unsigned long long)next);
}

enum cl_status webhook_journal_off(struct webhook_journal *journal, long status)
{
    journal->off = status;
    return put(&journal->text, "off %ld\n", status);
}

/* ---- writing */

static int disk_fail(struct context *context, const char *path)
{
    return output_fail(&context->output, CL_E_IO, "%s: %s", path, strerror(errno));
}

static enum cl_status put_all(struct cl_buffer *text, const struct webhook_journal *journal)
{
    enum cl_status status = put(text, "consent-webhook 1 %s\nat %llu\n", id_text(journal->network.bytes), (unsigned long long)journal->next);
    for (size_t i = 0; i < journal->failed.count && status == CL_OK; i++)
        status = put_delivery(text, "fail", journal->failed.items[i]);
    for (size_t i = 0; i < journal->waiting.count && status == CL_OK; i++)
        status = put_delivery(text, "wait", journal->waiting.items[i]);
    return status == CL_OK && journal->off != 0 ? put(text, "off %ld\n", journal->off) : status;
}

/* Everything that holds now, in a file of its own that takes the place of the old one. */
static int write_anew(struct context *context, struct webhook_journal *journal)
{
    struct cl_buffer text = {0};
    enum cl_status status = put_all(&text, journal);
    int result = status == CL_OK ? file_write(context, journal->path, text.data, text.length, true) : output_fail(&context->output, status, "%s", journal->path);
    journal->written = text.length;
    journal->text.length = 0;
    journal->synced = true;
    cl_buffer_deinit(&text);
    if (journal->file >= 0)
        (void)close(journal->file);
    journal->file = result == 0 ? open(journal->path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    return result == 0 && journal->file < 0 ? disk_fail(context, journal->path) : result;
}

int webhook_journal_create(struct context *context, struct webhook_journal *journal) { return write_anew(context, journal); }

int webhook_journal_write(struct context *context, struct webhook_journal *journal)
{
    const struct cl_buffer *text = &journal->text;
    if (journal->written + text->length > JOURNAL_REWRITE_BYTES)
        return write_anew(context, journal);
    for (size_t at = 0; at < text->length;) {
        ssize_t wrote = write(journal->file, text->data + at, text->length - at);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            int result = disk_fail(context, journal->path);
            if (ftruncate(journal->file, (off_t)journal->written) != 0) /* half a line, with others behind it, would make the whole unreadable */
                output_warn(&context->output, "What was half written could not be taken back: %s", strerror(errno));
            return result;
        }
        at += (size_t)wrote;
    }
    journal->synced = journal->synced && text->length == 0;
    journal->written += text->length;
    journal->text.length = 0;
    return 0;
}

int webhook_journal_flush(struct context *context, struct webhook_journal *journal)
{
    int result = webhook_journal_write(context, journal);
    if (result != 0 || journal->synced)
        return result;
    journal->synced = fdatasync(journal->file) == 0;
    return journal->synced ? 0 : disk_fail(context, journal->path);
}

/* ---- reading */

static enum cl_status apply_delivery(struct webhook_journal *journal, const char *line, bool failed)
{
    struct webhook_delivery *delivery = calloc(1, sizeof *delivery);
    unsigned long long index, since, next, last;
    int end = 0;
    if (delivery == NULL)
        return CL_E_MEMORY;
    enum cl_status status = CL_E_FORMAT;
    if (sscanf(line, "%*4s %llu %u %llu %llu %llu %ld %64[0-9a-f]%n", &index, &delivery->attempts, &since, &next, &last, &delivery->status, delivery->subject, &end) == 7 &&
        line[end] == '\0' && strlen(delivery->subject) == 64 && index < INT64_MAX) {
        delivery->index = index;
        delivery->since_ms = since;
        delivery->next_ms = next;
        delivery->last_ms = last;
        webhook_delivery_free(webhook_list_remove(&journal->waiting, index));
        webhook_delivery_free(webhook_list_remove(&journal->failed, index));
        struct webhook_list *list = failed ? &journal->failed : &journal->waiting;
        status = list->count < WEBHOOK_FAILED_MAX + WEBHOOK_QUEUE_MAX ? webhook_list_add(list, delivery) : CL_E_BOUND;
    }
    if (status != CL_OK)
        webhook_delivery_free(delivery);
    return status;
}

enum cl_status webhook_journal_apply(struct webhook_journal *journal, const char *line)
{
    unsigned long long number;
    long code;
    int end = 0;
    if (strncmp(line, "wait ", 5) == 0 || strncmp(line, "fail ", 5) == 0)
        return apply_delivery(journal, line, line[0] == 'f');
    if (sscanf(line, "at %llu%n", &number, &end) == 1 && line[end] == '\0' && number <= INT64_MAX) {
        journal->next = number;
    } else if (sscanf(line, "done %llu%n", &number, &end) == 1 && line[end] == '\0') {
        webhook_delivery_free(webhook_list_remove(&journal->waiting, number));
        webhook_delivery_free(webhook_list_remove(&journal->failed, number));
    } else if (sscanf(line, "off %ld%n", &code, &end) == 1 && line[end] == '\0') {
        journal->off = code;
    } else {
        return CL_E_FORMAT;
    }
    return CL_OK;
}

static enum cl_status apply_head(struct webhook_journal *journal, const char *line)
{
    static const char head[] = "consent-webhook 1 ";
    return strncmp(line, head, sizeof head - 1) == 0 && cl_hex_decode(journal->network.bytes, 32, line + sizeof head - 1) ? CL_OK : CL_E_FORMAT;
}

int webhook_journal_read(struct context *context, struct webhook_journal *out, const struct webhook_config *config, const char *name)
{
    struct cl_buffer text = {0};
    *out = (struct webhook_journal){.file = -1, .lock = -1};
    webhook_journal_path(out->path, sizeof out->path, config, name, "");
    if (access(out->path, F_OK) != 0 && errno == ENOENT)
        return 0;
    int result = file_read(context, &text, out->path, JOURNAL_BYTES_MAX);
    enum cl_status status = CL_OK;
    size_t number = 0;
    for (size_t at = 0; result == 0 && status == CL_OK && at < text.length;) {
        uint8_t *end = memchr(text.data + at, '\n', text.length - at);
        if (end == NULL)
            break; /* cut off while it was written: what it noted is done again */
        *end = '\0';
        const char *line = (const char *)text.data + at;
        status = number++ == 0 ? apply_head(out, line) : webhook_journal_apply(out, line);
        at = (size_t)(end - text.data) + 1;
    }
    if (result == 0 && (status != CL_OK || number == 0))
        result = output_fail(&context->output, CL_E_FORMAT, "%s, line %zu; move it away to begin anew, where the setting 'after' says.", out->path, number);
    out->known = result == 0;
    cl_buffer_deinit(&text);
    if (result != 0)
        webhook_journal_close(out);
    return result;
}

int webhook_journal_open(struct context *context, struct webhook_journal *out, const struct webhook_config *config, const char *name, const struct cl_network_id *network)
{
    char lock_path[2300];
    (void)mkdir(config->state_directory, 0700);
    webhook_journal_path(lock_path, sizeof lock_path, config, name, ".lock");
    int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        return disk_fail(context, lock_path);
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        (void)close(lock);
        return output_fail(&context->output, CL_E_STORE_LOCKED, "Another 'consent webhooks run' delivers to [%s].", name);
    }
    int result = webhook_journal_read(context, out, config, name);
    if (result != 0) {
        (void)close(lock);
        return result;
    }
    out->lock = lock;
    if (out->known && memcmp(out->network.bytes, network->bytes, 32) != 0)
        result = output_fail(&context->output, CL_E_NETWORK, "%s is of another network than %s; check --node.", out->path, context->node_url);
    out->network = *network;
    if (result == 0 && out->known)
        result = write_anew(context, out);
    return result;
}

void webhook_journal_close(struct webhook_journal *journal)
{
    webhook_list_clear(&journal->waiting);
    webhook_list_clear(&journal->failed);
    cl_buffer_deinit(&journal->text);
    if (journal->file >= 0)
        (void)close(journal->file);
    if (journal->lock >= 0)
        (void)close(journal->lock);
    journal->file = journal->lock = -1;
}
