/* The log of uses on disk. What stands in it was synced before the answer was given; what a killed writer left of a line was
   never answered, and goes. */
#include "uses.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATED_MAX 4096u

static int failed(struct context *context, const char *path) { return output_fail(&context->output, CL_E_IO, "%s: %s", path, strerror(errno)); }

static int directory_of(struct context *context, char out[USES_PATH_SIZE])
{
    int length = snprintf(out, USES_PATH_SIZE, "%s.uses", wallet_path_of(context));
    return length > 0 && length < (int)USES_PATH_SIZE - 160 ? 0 : output_fail(&context->output, CL_E_BOUND, "%s", wallet_path_of(context));
}

int uses_path(struct context *context, char out[USES_PATH_SIZE], const struct cl_object_id *profile, const struct period *period, const char *suffix)
{
    char directory[USES_PATH_SIZE];
    int result = directory_of(context, directory);
    if (result == 0 && period == NULL)
        (void)snprintf(out, USES_PATH_SIZE, "%.*s/%s.%s", (int)USES_PATH_SIZE - 160, directory, id_text(profile->bytes), suffix);
    else if (result == 0)
        (void)snprintf(out, USES_PATH_SIZE, "%.*s/%s.%" PRIu64 "-%" PRIu64 ".%s", (int)USES_PATH_SIZE - 160, directory, id_text(profile->bytes), period->from_s, period->until_s, suffix);
    return result;
}

/* Makes the directory and has its own entry, or that of a file in it, synced. */
static int directory_ready(struct context *context, bool sync)
{
    char directory[USES_PATH_SIZE];
    int result = directory_of(context, directory);
    if (result == 0 && mkdir(directory, 0700) != 0 && errno != EEXIST)
        return failed(context, directory);
    if (result != 0 || !sync)
        return result;
    return cl_directory_sync(directory) ? 0 : failed(context, directory);
}

/* "PROFILE.FROM-UNTIL.statement" */
static bool stated_name(struct period *out, const char *name, const char *profile_text)
{
    char suffix[16] = "";
    if (strncmp(name, profile_text, 64) != 0)
        return false;
    return sscanf(name + 64, ".%16" SCNu64 "-%16" SCNu64 ".%15s", &out->from_s, &out->until_s, suffix) == 3 && strcmp(suffix, "statement") == 0;
}

static int read_stated(struct context *context, struct uses_log *log, const struct cl_object_id *profile)
{
    char directory[USES_PATH_SIZE], profile_text[65];
    int result = directory_of(context, directory);
    (void)snprintf(profile_text, sizeof profile_text, "%s", id_text(profile->bytes));
    DIR *entries = result == 0 ? opendir(directory) : NULL;
    if (result == 0 && entries == NULL)
        return failed(context, directory);
    log->stated = calloc(STATED_MAX, sizeof *log->stated);
    if (log->stated == NULL)
        result = output_fail(&context->output, CL_E_MEMORY, NULL);
    for (const struct dirent *entry; result == 0 && (entry = readdir(entries)) != NULL;) {
        struct period period;
        if (!stated_name(&period, entry->d_name, profile_text))
            continue;
        if (log->stated_count == STATED_MAX)
            result = output_fail(&context->output, CL_E_BOUND, "%s holds more than %u statements; put old ones elsewhere.", directory, STATED_MAX);
        else
            log->stated[log->stated_count++] = period;
    }
    if (entries != NULL)
        (void)closedir(entries);
    return result;
}

const struct period *uses_log_stated(const struct uses_log *log, uint64_t time_ms)
{
    for (size_t i = 0; i < log->stated_count; i++)
        if (time_ms / 1000u >= log->stated[i].from_s && time_ms / 1000u < log->stated[i].until_s)
            return &log->stated[i];
    return NULL;
}

int uses_log_append(struct context *context, struct uses_log *log, const struct cl_buffer *lines)
{
    if (cl_file_write_all(log->descriptor, lines->data, lines->length) && fdatasync(log->descriptor) == 0) {
        log->size += lines->length;
        return 0;
    }
    int problem = errno;
    /* whether the lines are on disk is not known, so they are taken back, as far as the disk still does anything */
    if (ftruncate(log->descriptor, (off_t)log->size) != 0 || fdatasync(log->descriptor) != 0)
        output_warn(&context->output, "What was half written could not be taken back: %s", strerror(errno));
    errno = problem;
    return failed(context, log->path);
}

/* Where the log's last whole line ends, and that it begins as this PROFILE's does. */
static int heal(struct context *context, struct uses_log *log, const struct cl_object_id *profile)
{
    char tail[CL_USE_LINE_BYTES_MAX + 1], head[160];
    struct cl_buffer first = {0};
    struct cl_use_line line = {.kind = CL_USE_LINE_START, .object = *profile};
    size_t tail_length = log->size < sizeof tail ? (size_t)log->size : sizeof tail;
    if (pread(log->descriptor, tail, tail_length, (off_t)(log->size - tail_length)) != (ssize_t)tail_length)
        return failed(context, log->path);
    size_t end = tail_length;
    while (end > 0 && tail[end - 1] != '\n')
        end--;
    if (end == 0 && log->size > sizeof tail)
        return output_fail(&context->output, CL_E_FORMAT, "%s does not end in lines of a log of uses.", log->path);
    if (end != tail_length) {
        log->size -= tail_length - end;
        if (ftruncate(log->descriptor, (off_t)log->size) != 0)
            return failed(context, log->path);
    }
    if (cl_use_line_encode(&first, &line) != CL_OK)
        return output_fail(&context->output, CL_E_MEMORY, NULL);
    int result = 0;
    if (log->size == 0) {
        result = uses_log_append(context, log, &first);
        if (result == 0)
            result = directory_ready(context, true);
    } else if (pread(log->descriptor, head, first.length, 0) != (ssize_t)first.length || memcmp(head, first.data, first.length) != 0) {
        result = output_fail(&context->output, CL_E_FORMAT, "%s does not begin as the log of this profile.", log->path);
    }
    cl_buffer_deinit(&first);
    return result;
}

int uses_log_open(struct context *context, struct uses_log *out, const struct cl_object_id *profile)
{
    struct stat about;
    *out = (struct uses_log){.descriptor = -1};
    int result = uses_path(context, out->path, profile, NULL, "log");
    if (result == 0)
        result = directory_ready(context, false);
    if (result != 0)
        return result;
    out->descriptor = open(out->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out->descriptor < 0)
        return failed(context, out->path);
    while (flock(out->descriptor, LOCK_EX) != 0) /* writers are short but for files, which let go between their parts */
        if (errno != EINTR || http_interrupted) {
            result = errno == EINTR ? output_fail(&context->output, CL_E_CANCELLED, NULL) : failed(context, out->path);
            break;
        }
    if (result == 0 && fstat(out->descriptor, &about) != 0)
        result = failed(context, out->path);
    if (result == 0) {
        out->size = (uint64_t)about.st_size;
        result = heal(context, out, profile);
    }
    if (result == 0)
        result = read_stated(context, out, profile);
    if (result != 0)
        uses_log_close(out);
    return result;
}

void uses_log_close(struct uses_log *log)
{
    if (log->descriptor >= 0)
        (void)close(log->descriptor);
    log->descriptor = -1;
    free(log->stated);
    log->stated = NULL;
    log->stated_count = 0;
}

/* ---- reading */

int uses_reader_open(struct context *context, struct uses_reader *out, const struct cl_object_id *profile)
{
    struct stat about;
    *out = (struct uses_reader){.profile = *profile};
    int result = uses_path(context, out->path, profile, NULL, "log");
    if (result != 0)
        return result;
    int descriptor = open(out->path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 && errno == ENOENT)
        return output_fail(&context->output, CL_E_NOT_FOUND, "There is no log of uses of this profile at %s; 'consent check --log' and 'consent uses add' write it.", out->path);
    if (descriptor < 0)
        return failed(context, out->path);
    if (fstat(descriptor, &about) != 0)
        result = failed(context, out->path);
    if (result == 0 && about.st_size > 0) {
        void *data = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (data == MAP_FAILED)
            result = failed(context, out->path);
        else {
            out->data = data;
            out->length = (size_t)about.st_size;
        }
    }
    (void)close(descriptor);
    return result;
}

int uses_reader_next(struct context *context, struct uses_reader *reader, struct cl_use_line *line, bool *more)
{
    for (;;) {
        const char *start = reader->data == NULL ? NULL : reader->data + reader->at;
        const char *end = start == NULL ? NULL : memchr(start, '\n', reader->length - reader->at);
        *more = end != NULL; /* a line without its end is being written, or was never answered */
        if (end == NULL)
            return 0;
        reader->line++;
        if (cl_use_line_decode(line, start, (size_t)(end - start)) != CL_OK || (line->kind == CL_USE_LINE_START) != (reader->line == 1) ||
            (reader->line == 1 && memcmp(line->object.bytes, reader->profile.bytes, 32) != 0))
            return output_fail(&context->output, CL_E_FORMAT, "%s, line %zu", reader->path, reader->line);
        reader->at += (size_t)(end - start) + 1;
        if (reader->line > 1)
            return 0;
    }
}

void uses_reader_close(struct uses_reader *reader)
{
    if (reader->data != NULL)
        (void)munmap((void *)(uintptr_t)reader->data, reader->length);
    reader->data = NULL;
}
