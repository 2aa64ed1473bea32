/* Appends gather in memory and leave in one write before one fdatasync, so that a block of thousands of records costs
   two system calls. */
#include "votelog.h"

#include "block.h"
#include "cbor.h"
#include "consent/record.h"
#include "crypto.h"
#include "files.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "CLVOTE01"
enum { MAGIC_LENGTH = 8, HEADER_LENGTH = 9 };
#define FILE_BYTES_MAX CL_BUFFER_BYTES_MAX
/* What a round appends after the last look at the size: one block with its records, and the votes and certificates about it. */
static_assert(VOTELOG_TRUNCATE_MB_MAX * 1024ull * 1024ull + 2ull * (CL_BLOCK_BYTES_MAX + 9ull * CL_BLOCK_RECORDS_MAX + VOTELOG_PAYLOAD_BYTES_MAX) <= FILE_BYTES_MAX,
              "a vote log that was let grow can be read again");

struct votelog {
    char path[1200];
    struct votelog_start start;
    struct cl_buffer waiting;
    uint64_t size;
    int file;
    bool failed;
};

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static size_t payload_max(uint8_t type)
{
    switch (type) {
    case VOTELOG_PROPOSAL: return VOTELOG_PAYLOAD_BYTES_MAX;
    case VOTELOG_VOTE: return 256;
    case VOTELOG_RECORD: return 65535;
    case VOTELOG_CERTIFICATE: return 16384;
    case VOTELOG_START: return 64;
    case VOTELOG_BAR: return 16;
    default: return 0;
    }
}

/* Is there a whole entry with a good checksum at data? */
static bool entry_at(size_t *total, const uint8_t *data, size_t length)
{
    if (length < HEADER_LENGTH) return false;
    size_t payload = get32(data);
    if (payload == 0 || payload > payload_max(data[8]) || payload > length - HEADER_LENGTH) return false;
    if (cl_crc32c(data[8], data + HEADER_LENGTH, payload) != get32(data + 4)) return false;
    *total = HEADER_LENGTH + payload;
    return true;
}

static enum cl_status start_encode(struct cl_buffer *out, const struct votelog_start *start)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 4);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_bytes(&writer, start->network.bytes, 32);
    cl_cbor_put_uint(&writer, start->epoch);
    cl_cbor_put_uint(&writer, start->member);
    return writer.status;
}

static enum cl_status start_decode(struct votelog_start *out, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_array_fixed(&reader, 4);
    uint64_t version = cl_cbor_uint(&reader);
    if (reader.status == CL_OK && version != 1) return CL_E_STORE_NEWER;
    const uint8_t *network = cl_cbor_bytes_fixed(&reader, 32);
    out->vote_key32 = NULL;
    out->epoch = cl_cbor_uint(&reader);
    uint64_t member = cl_cbor_uint(&reader);
    if (cl_cbor_finish(&reader) != CL_OK || member > UINT32_MAX) return CL_E_STORE_CORRUPT;
    memcpy(out->network.bytes, network, 32);
    out->member = (uint32_t)member;
    return CL_OK;
}

static bool is_own_vote(const struct votelog_start *start, const uint8_t *vote_key32, const uint8_t *payload, size_t length)
{
    struct cl_vote vote;
    struct cl_buffer bytes = { 0 };
    if (cl_vote_decode(&vote, payload, length) != CL_OK || vote.epoch != start->epoch || vote.voter != start->member) return false;
    if (vote_key32 == NULL || cl_vote_signed_bytes(&bytes, &start->network, vote.epoch, vote.kind, vote.view, vote.has_block ? &vote.block : NULL) != CL_OK)
        return true;
    bool own = cl_ed25519_verify(vote_key32, vote.signature, bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
    return own;
}

/* File systems extend a file's size only after its data, so a torn tail is a short one: nothing good follows it. A vote of
   ours behind bad bytes is damage to what was synced once, and no longer a journal to vote by. Only votes say so: bytes of
   a torn record are its sender's, who could have put there what looks like any other entry, to keep us from starting. */
static bool own_vote_after(const struct votelog_start *start, const uint8_t *vote_key32, const uint8_t *bytes, size_t length)
{
    size_t total;
    for (size_t at = 1; at + HEADER_LENGTH <= length; at++)
        if (bytes[at + 8] == VOTELOG_VOTE && entry_at(&total, bytes + at, length - at) &&
            is_own_vote(start, vote_key32, bytes + at + HEADER_LENGTH, total - HEADER_LENGTH)) return true;
    return false;
}

enum cl_status votelog_scan(size_t *good, struct votelog_start *start, const uint8_t *bytes, size_t length, const uint8_t *vote_key32, votelog_entry_fn each, void *context)
{
    size_t at = MAGIC_LENGTH, total;
    *good = 0;
    if (length < MAGIC_LENGTH || memcmp(bytes, MAGIC, 6) != 0) return CL_E_STORE_CORRUPT;
    if (memcmp(bytes, MAGIC, MAGIC_LENGTH) != 0) return CL_E_STORE_NEWER;
    if (!entry_at(&total, bytes + at, length - at) || bytes[at + 8] != VOTELOG_START) return CL_E_STORE_CORRUPT;
    enum cl_status status = start_decode(start, bytes + at + HEADER_LENGTH, total - HEADER_LENGTH);
    at += total;
    while (status == CL_OK && entry_at(&total, bytes + at, length - at)) {
        if (bytes[at + 8] == VOTELOG_START) return CL_E_STORE_CORRUPT;
        if (each != NULL) status = each(context, (enum votelog_type)bytes[at + 8], bytes + at + HEADER_LENGTH, total - HEADER_LENGTH);
        at += total;
    }
    if (status != CL_OK) return status;
    *good = at;
    return own_vote_after(start, vote_key32, bytes + at, length - at) ? CL_E_STORE_CORRUPT : CL_OK;
}

static enum cl_status append_entry(struct cl_buffer *out, enum votelog_type type, const void *payload, size_t length)
{
    uint8_t header[HEADER_LENGTH];
    assert(length > 0 && length <= payload_max((uint8_t)type));
    put32(header, (uint32_t)length);
    put32(header + 4, cl_crc32c((uint8_t)type, payload, length));
    header[8] = (uint8_t)type;
    enum cl_status status = cl_buffer_append(out, header, sizeof header);
    return status != CL_OK ? status : cl_buffer_append(out, payload, length);
}

/* The bytes that every file begins with. */
static enum cl_status file_head(struct cl_buffer *out, const struct votelog_start *start)
{
    struct cl_buffer payload = { 0 };
    enum cl_status status = start_encode(&payload, start);
    if (status == CL_OK) status = cl_buffer_append(out, MAGIC, MAGIC_LENGTH);
    if (status == CL_OK) status = append_entry(out, VOTELOG_START, payload.data, payload.length);
    cl_buffer_deinit(&payload);
    return status;
}

enum cl_status votelog_create(const char *path, const struct votelog_start *start, char *sentence, size_t sentence_size)
{
    struct cl_buffer head = { 0 };
    enum cl_status status = file_head(&head, start);
    if (status == CL_OK) status = file_write(path, head.data, head.length, 0600, true);
    if (status == CL_E_IO) {
        snprintf(sentence, sentence_size, "The vote log cannot be made: %s.", strerror(errno));
        status = CL_E_STORE_IO;
    } else if (status != CL_OK) {
        snprintf(sentence, sentence_size, "The vote log cannot be made: %s", cl_status_sentence(status));
    }
    cl_buffer_deinit(&head);
    return status;
}

enum cl_status votelog_replace(const char *path, const struct votelog_start *start, char *sentence, size_t sentence_size)
{
    char old[1200];
    struct cl_buffer content = { 0 }, bar = { 0 };
    int length = snprintf(old, sizeof old, "%s.old", path);
    enum cl_status status = length > 0 && (size_t)length < sizeof old ? file_head(&content, start) : CL_E_BOUND;
    if (status == CL_OK) status = votelog_bar_encode(&bar, VOTELOG_BAR_UNKNOWN);
    if (status == CL_OK) status = append_entry(&content, VOTELOG_BAR, bar.data, bar.length);
    if (status == CL_OK && ((unlink(old) != 0 && errno != ENOENT) || (link(path, old) != 0 && errno != ENOENT))) status = CL_E_IO;
    if (status == CL_OK) status = file_write(path, content.data, content.length, 0600, false);
    if (status == CL_E_IO) {
        snprintf(sentence, sentence_size, "A new vote log cannot be made: %s.", strerror(errno));
        status = CL_E_STORE_IO;
    } else if (status != CL_OK) {
        snprintf(sentence, sentence_size, "A new vote log cannot be made: %s", cl_status_sentence(status));
    }
    cl_buffer_deinit(&bar);
    cl_buffer_deinit(&content);
    return status;
}

static const char *open_problem(enum cl_status status)
{
    if (status == CL_E_STORE_CORRUPT)
        return "The vote log is damaged, so this node no longer knows what it has signed. Keep a copy of it; restore the disk's content, "
               "or start once with --new-vote-log if nothing newer than this directory was ever signed with its keys.";
    if (status == CL_E_STORE_NEWER) return "The vote log was written by a newer version; use that version.";
    return "The vote log belongs to another network or member.";
}

static enum cl_status cut_tail(struct votelog *log, size_t good)
{
    if (ftruncate(log->file, (off_t)good) != 0 || fdatasync(log->file) != 0) return CL_E_STORE_IO;
    return CL_OK;
}

enum cl_status votelog_open(struct votelog **out, const char *path, const struct votelog_start *start, votelog_entry_fn each, void *context,
                            char *sentence, size_t sentence_size)
{
    struct cl_buffer bytes = { 0 };
    struct votelog_start found;
    size_t good = 0;
    sentence[0] = '\0';
    struct votelog *log = calloc(1, sizeof *log);
    if (log == NULL) return CL_E_MEMORY;
    log->file = -1;
    enum cl_status status = file_read(&bytes, path, FILE_BYTES_MAX);
    if (status == CL_E_NOT_FOUND || status == CL_E_MEMORY) goto out;
    if (status == CL_E_BOUND) {
        snprintf(sentence, sentence_size, "The vote log is larger than any node writes it (%u MiB). Restore the disk's content.", FILE_BYTES_MAX >> 20);
        status = CL_E_STORE_CORRUPT;
        goto out;
    }
    if (status == CL_OK) log->file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (log->file < 0) {
        snprintf(sentence, sentence_size, "The vote log cannot be opened: %s.", strerror(errno));
        status = CL_E_STORE_IO;
        goto out;
    }
    status = votelog_scan(&good, &found, bytes.data, bytes.length, start->vote_key32, each, context);
    if (status == CL_OK && (memcmp(found.network.bytes, start->network.bytes, 32) != 0 || found.epoch != start->epoch || found.member != start->member))
        status = CL_E_STORE_OTHER;
    if (status == CL_E_STORE_CORRUPT || status == CL_E_STORE_NEWER || status == CL_E_STORE_OTHER)
        snprintf(sentence, sentence_size, "%s", open_problem(status));
    if (status == CL_OK) { /* what a crash left may be read and not yet be on the disk: durable before it counts */
        status = good < bytes.length ? cut_tail(log, good) : fdatasync(log->file) == 0 ? CL_OK : CL_E_STORE_IO;
        if (status != CL_OK) snprintf(sentence, sentence_size, "The vote log cannot be written: %s.", strerror(errno));
    }
    if (status != CL_OK) goto out;
    log->size = good;
    log->start = *start;
    log->start.vote_key32 = NULL;
    snprintf(log->path, sizeof log->path, "%s", path);
    *out = log;
    log = NULL;
out:
    cl_buffer_deinit(&bytes);
    votelog_close(log);
    return status;
}

void votelog_close(struct votelog *log)
{
    if (log == NULL) return;
    if (log->file >= 0) close(log->file);
    cl_buffer_deinit(&log->waiting);
    free(log);
}

enum cl_status votelog_bar_encode(struct cl_buffer *out, uint64_t view)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    if (view == VOTELOG_BAR_UNKNOWN) cl_cbor_put_null(&writer);
    else cl_cbor_put_uint(&writer, view);
    return writer.status;
}

enum cl_status votelog_bar_decode(uint64_t *view, const uint8_t *payload, size_t length)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, payload, length);
    *view = VOTELOG_BAR_UNKNOWN;
    bool known = !cl_cbor_null(&reader);
    if (known) *view = cl_cbor_uint(&reader);
    return cl_cbor_finish(&reader) == CL_OK && known == (*view != VOTELOG_BAR_UNKNOWN) ? CL_OK : CL_E_STORE_CORRUPT;
}

enum cl_status votelog_append(struct votelog *log, enum votelog_type type, const void *payload, size_t length)
{
    return append_entry(&log->waiting, type, payload, length);
}

enum cl_status votelog_sync(struct votelog *log)
{
    if (log->failed) return CL_E_STORE_IO;
    if (log->waiting.length == 0) return CL_OK;
    if (!file_write_all(log->file, log->waiting.data, log->waiting.length) || fdatasync(log->file) != 0) {
        log->failed = true; /* what the disk holds now is not known */
        return CL_E_STORE_IO;
    }
    log->size += log->waiting.length;
    log->waiting.length = 0;
    return CL_OK;
}

uint64_t votelog_size(const struct votelog *log)
{
    return log->size;
}

enum cl_status votelog_restart(struct votelog *log)
{
    struct cl_buffer content = { 0 };
    if (log->failed) return CL_E_STORE_IO;
    enum cl_status status = file_head(&content, &log->start);
    if (status == CL_OK && log->waiting.length > 0) status = cl_buffer_append(&content, log->waiting.data, log->waiting.length);
    if (status == CL_OK && file_write(log->path, content.data, content.length, 0600, false) != CL_OK) {
        log->failed = true;
        status = CL_E_STORE_IO;
    }
    if (status == CL_OK) {
        close(log->file); /* the old file, which has no name any more */
        log->file = open(log->path, O_WRONLY | O_APPEND | O_CLOEXEC);
        log->failed = log->file < 0;
        log->size = content.length;
        log->waiting.length = 0;
        if (log->failed) status = CL_E_STORE_IO;
    }
    cl_buffer_deinit(&content);
    return status;
}
