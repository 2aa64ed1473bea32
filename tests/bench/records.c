/* Makes, keeps and reads streams of signed records. */
#include "records.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "crypto.h"

/* ---- who signs, and which numbers they draw */
static void derive(uint8_t out32[32], const char *what, uint32_t series, uint64_t number)
{
    uint8_t tail[12];
    for (unsigned i = 0; i < 4; i++) tail[i] = (uint8_t)(series >> (8 * i));
    for (unsigned i = 0; i < 8; i++) tail[4 + i] = (uint8_t)(number >> (8 * i));
    struct cl_sha256 hash;
    cl_sha256_domain(&hash, what);
    cl_sha256_update(&hash, tail, sizeof tail);
    cl_sha256_final(&hash, out32);
}

struct identity { uint8_t secret32[32]; struct cl_public_key key; };
static void identity_of(struct identity *out, const char *what, uint32_t series, uint64_t number)
{
    derive(out->secret32, what, series, number);
    bench_need(cl_public_key_of(out->key.bytes, out->secret32), "key");
}

static enum cl_status sign_with(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    const struct identity *identity = context;
    return cl_ecdsa_sign(signature64, identity->secret32, digest32);
}

static bool subscribes(enum bench_kind kind) { return kind == BENCH_SUBSCRIBE_TERMS || kind == BENCH_ANSWER_GRANTS; }

static const char *signer_name(const struct bench_plan *plan)
{
    switch (plan->kind) {
    case BENCH_GRANT: return plan->entries == 1 ? "bench customer" : "bench bulk customer";
    case BENCH_TERMS: return "bench terms owner";
    case BENCH_SUBSCRIBE_TERMS:
    case BENCH_ANSWER_GRANTS: break;
    }
    return "bench organisation";
}

static void signer_of(struct identity *out, const struct bench_plan *plan, uint64_t number)
{
    if (subscribes(plan->kind)) identity_of(out, signer_name(plan), 0, plan->organisation);
    else identity_of(out, signer_name(plan), plan->series, number);
}

/* ---- one record */
struct entry_bytes { uint8_t object[32], prev[32], commitment[32], audience[32], opening[32], ref[32]; };

static void nonce_of(uint8_t out32[32], const struct bench_plan *plan, uint64_t number, uint32_t entry)
{
    derive(out32, plan->kind == BENCH_SUBSCRIBE_TERMS ? "bench subscription" : "bench nonce",
           plan->series + 1000u * plan->organisation, number * BENCH_ENTRIES + entry);
}

void bench_object_of(struct cl_object_id *out, const struct bench_plan *plan, uint64_t number, uint32_t entry)
{
    struct identity signer;
    uint8_t nonce[32];
    signer_of(&signer, plan, number);
    nonce_of(nonce, plan, number, entry);
    cl_object_id_derive(out, signer.key.bytes, nonce);
}

/* The commitment of the offer or terms `number`; an answer repeats it. */
static void commitment_of(uint8_t out32[32], uint32_t series, uint64_t number) { derive(out32, "bench commitment", series, number); }

static void fill_opening(struct cl_entry *entry, struct entry_bytes *bytes, const struct bench_plan *plan, uint64_t number,
                         uint32_t index, const struct identity *organisation)
{
    nonce_of(bytes->object, plan, number, index);
    commitment_of(bytes->commitment, plan->series, number * BENCH_ENTRIES + index);
    entry->present = CL_HAS(1) | CL_HAS(3) | CL_HAS(9);
    entry->object_length = 16;
    entry->slots = 7;
    if (plan->kind == BENCH_TERMS) {
        entry->present |= CL_HAS(11) | CL_HAS(14);
        entry->limit = 1000000;
        entry->mode = 1;
        return;
    }
    struct cl_hash audience;
    derive(bytes->opening, "bench salt", plan->series, number * BENCH_ENTRIES + index);
    cl_audience_derive(&audience, bytes->opening, organisation->key.bytes, sizeof organisation->key.bytes);
    memcpy(bytes->audience, audience.bytes, sizeof bytes->audience);
    entry->present |= CL_HAS(6);
    entry->audience_kind = CL_AUDIENCE_HASH;
}

static void fill_answer(struct cl_entry *entry, struct entry_bytes *bytes, const struct bench_plan *plan, uint64_t number, uint32_t index)
{
    struct bench_plan offered = *plan;
    struct cl_object_id object;
    uint64_t answered = number * plan->entries + index;
    offered.kind = plan->kind == BENCH_ANSWER_GRANTS ? BENCH_GRANT : BENCH_TERMS;
    offered.organisation = 0;
    offered.entries = 1;
    offered.issued_at_ms = plan->offered_at_ms;
    bench_object_of(&object, &offered, answered, 0);
    commitment_of(bytes->commitment, plan->series, answered * BENCH_ENTRIES);
    entry->slots = 7;
    if (plan->kind == BENCH_SUBSCRIBE_TERMS) {
        nonce_of(bytes->object, plan, number, index);
        memcpy(bytes->ref, object.bytes, sizeof bytes->ref);
        entry->present = CL_HAS(1) | CL_HAS(3) | CL_HAS(8) | CL_HAS(9);
        entry->object_length = 16;
        return;
    }
    struct cl_buffer record = { 0 };
    struct cl_record_id head;
    bench_record_make(&record, &head, &offered, answered);
    cl_buffer_deinit(&record);
    memcpy(bytes->object, object.bytes, sizeof bytes->object);
    memcpy(bytes->prev, head.bytes, sizeof bytes->prev);
    derive(bytes->opening, "bench salt", plan->series, answered * BENCH_ENTRIES);
    entry->present = CL_HAS(1) | CL_HAS(2) | CL_HAS(3) | CL_HAS(7) | CL_HAS(9);
    entry->object_length = 32;
    entry->opening_length = 32;
}

void bench_record_make(struct cl_buffer *out, struct cl_record_id *id, const struct bench_plan *plan, uint64_t number)
{
    static const enum cl_record_type types[] = {
        [BENCH_GRANT] = CL_GRANT, [BENCH_TERMS] = CL_TERMS, [BENCH_SUBSCRIBE_TERMS] = CL_SUBSCRIBE, [BENCH_ANSWER_GRANTS] = CL_SUBSCRIBE
    };
    if (plan->entries == 0 || plan->entries > BENCH_ENTRIES) bench_fail("1 to 64 entries");
    struct cl_entry entries[BENCH_ENTRIES] = { 0 };
    struct entry_bytes bytes[BENCH_ENTRIES] = { 0 };
    struct identity signer, organisation;
    signer_of(&signer, plan, number);
    identity_of(&organisation, "bench organisation", 0, 0);
    for (uint32_t i = 0; i < plan->entries; i++) {
        entries[i] = (struct cl_entry){ .object = bytes[i].object, .prev = bytes[i].prev, .commitment = bytes[i].commitment,
                                        .audience = bytes[i].audience, .opening = bytes[i].opening, .ref = bytes[i].ref };
        if (subscribes(plan->kind)) fill_answer(&entries[i], &bytes[i], plan, number, i);
        else fill_opening(&entries[i], &bytes[i], plan, number, i, &organisation);
    }
    struct cl_draft draft = { .type = types[plan->kind], .issued_at_ms = plan->issued_at_ms, .signer = signer.key,
                              .entries = entries, .entry_count = plan->entries };
    struct cl_signer with = { .context = &signer, .sign = sign_with, .key = signer.key };
    uint32_t refused = 0;
    bench_need(cl_record_sign(out, id, &refused, &draft, &with, &plan->network), "a generated record");
}

/* ---- many records, by all cores */
struct crew { pthread_mutex_t lock; const struct bench_plan *plan; uint64_t next; int fd; };

static void write_all(int fd, const uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, data, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) bench_fail("writing records: %s", strerror(errno));
        data += written;
        length -= (size_t)written;
    }
}

static void *make_some(void *context)
{
    struct crew *crew = context;
    const uint64_t stride = crew->plan->entries == 1 ? 512 : 16;
    struct cl_buffer records = { 0 };
    for (;;) {
        pthread_mutex_lock(&crew->lock);
        uint64_t first = crew->next, end = crew->plan->count - first < stride ? crew->plan->count : first + stride;
        crew->next = end;
        pthread_mutex_unlock(&crew->lock);
        if (first == end) break;
        records.length = 0;
        for (uint64_t i = first; i < end; i++) {
            size_t start = records.length;
            struct cl_record_id id;
            bench_need(cl_buffer_append(&records, "\0\0\0\0", 4), "buffer");
            bench_record_make(&records, &id, crew->plan, crew->plan->first + i);
            size_t length = records.length - start - 4;
            for (unsigned k = 0; k < 4; k++) records.data[start + k] = (uint8_t)(length >> (8 * k));
        }
        pthread_mutex_lock(&crew->lock); /* also keeps the pieces whole in the file */
        write_all(crew->fd, records.data, records.length);
        pthread_mutex_unlock(&crew->lock);
    }
    cl_buffer_deinit(&records);
    return NULL;
}

void bench_records_write(int fd, const struct bench_plan *plan)
{
    struct crew crew = { .plan = plan, .fd = fd };
    pthread_t threads[64];
    pthread_mutex_init(&crew.lock, NULL);
    for (unsigned i = 0; i < bench_cores(); i++)
        if (pthread_create(&threads[i], NULL, make_some, &crew) != 0) bench_fail("no thread");
    for (unsigned i = 0; i < bench_cores(); i++) pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&crew.lock);
}

/* ---- files of records. Offset, size, meaning: 0, 8 "CLBENCH1"; 8, 72 the plan, struct file_plan; then the stream. */
struct file_plan { uint8_t network[32]; uint64_t issued_at_ms, offered_at_ms, count; uint32_t kind, entries, series, organisation; };
static_assert(8 + sizeof(struct file_plan) == BENCH_FILE_HEADER, "the header's size is written down");

static bool file_fits(int fd, struct bench_plan *plan, uint64_t now_ms)
{
    char magic[8];
    struct file_plan kept;
    if (read(fd, magic, sizeof magic) != sizeof magic || memcmp(magic, "CLBENCH1", 8) != 0) return false;
    if (read(fd, &kept, sizeof kept) != sizeof kept) return false;
    if (memcmp(kept.network, plan->network.bytes, 32) != 0 || kept.count != plan->count || kept.kind != plan->kind ||
        kept.entries != plan->entries || kept.series != plan->series || kept.organisation != plan->organisation ||
        kept.offered_at_ms != plan->offered_at_ms)
        return false;
    if (kept.issued_at_ms > now_ms || now_ms - kept.issued_at_ms > 20ull * 86400000ull) return false;
    plan->issued_at_ms = kept.issued_at_ms;
    return true;
}

int bench_records_cached(struct bench_plan *plan, const struct bench_context *context, const char *name)
{
    char path[4200], fresh[4210];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000u;
    snprintf(path, sizeof path, "%s/%s.records", context->data, name);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && file_fits(fd, plan, now_ms)) return fd;
    if (fd >= 0) close(fd);
    bench_say("signing %llu records once (kept as %s)", (unsigned long long)plan->count, path);
    plan->issued_at_ms = now_ms;
    struct file_plan kept = { .issued_at_ms = now_ms, .count = plan->count, .kind = plan->kind, .entries = plan->entries, .series = plan->series,
                              .offered_at_ms = plan->offered_at_ms, .organisation = plan->organisation };
    memcpy(kept.network, plan->network.bytes, 32);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) bench_fail("%s: %s", fresh, strerror(errno));
    write_all(fd, (const uint8_t *)"CLBENCH1", 8);
    write_all(fd, (const uint8_t *)&kept, sizeof kept);
    bench_records_write(fd, plan);
    if (fsync(fd) != 0 || close(fd) != 0 || rename(fresh, path) != 0) bench_fail("%s: %s", path, strerror(errno));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || !file_fits(fd, plan, now_ms)) bench_fail("%s cannot be read back", path);
    return fd;
}

/* ---- reading */
#define READER_BYTES (BENCH_FRAME_BYTES + CL_RECORD_BYTES_MAX + 4u)

void bench_reader_init(struct bench_reader *reader, int fd)
{
    *reader = (struct bench_reader){ .fd = fd, .buffer = malloc(READER_BYTES) };
    if (!reader->buffer) bench_fail("out of memory");
}

void bench_reader_deinit(struct bench_reader *reader) { free(reader->buffer); }

static void refill(struct bench_reader *reader)
{
    memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
    reader->end -= reader->begin;
    reader->begin = 0;
    while (!reader->ended && reader->end < BENCH_FRAME_BYTES) {
        ssize_t got = read(reader->fd, reader->buffer + reader->end, READER_BYTES - reader->end);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) bench_fail("reading records: %s", strerror(errno));
        if (got == 0) reader->ended = true;
        reader->end += (size_t)got;
    }
}

size_t bench_reader_next(struct bench_reader *reader, struct cl_view *records, size_t max)
{
    size_t count = 0, bytes = 0;
    if (max > BENCH_FRAME_RECORDS) max = BENCH_FRAME_RECORDS;
    if (reader->end - reader->begin < BENCH_FRAME_BYTES) refill(reader);
    while (count < max && reader->end - reader->begin >= 4) {
        const uint8_t *at = reader->buffer + reader->begin;
        size_t length = at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
        if (length == 0 || length > CL_RECORD_BYTES_MAX) bench_fail("a stream of records is damaged");
        if (reader->end - reader->begin < 4 + length || bytes + length + 8 > BENCH_FRAME_BYTES) break;
        records[count++] = (struct cl_view){ at + 4, length };
        bytes += length + 8;
        reader->begin += 4 + length;
    }
    if (count == 0 && max > 0 && reader->end != reader->begin) bench_fail("a stream of records ends within one");
    return count;
}
