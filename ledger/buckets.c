/* The two places where the state tree's buckets of leaves live: an array in memory (tests, small ledgers) and a scratch
   file of fixed slots. The file has no name from the moment it is open, so that no other run can take it for its own.

   Scratch file: slot s stands at offset s * 1152; it holds four hashes of 32 bytes and up to 16 leaves of 64 bytes (key
   hash, leaf hash). The count is kept by the tree. Bytes that were never written are never read. While the tree is small the slots lie in memory
   instead, in the same places: two calls of the system for each bucket that changes are more than all its hashes cost. */
#include "buckets.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOT_BYTES sizeof(struct cl_smt_slot)

static_assert(sizeof(struct cl_smt_leaf) == 64 && SLOT_BYTES == 1152, "a slot is stored as it lies in memory");

struct memory_slot { unsigned count; struct cl_smt_slot *content; /* as long as count asks for */ };
struct memory_buckets { struct memory_slot *slots; size_t slot_count; };
struct file_buckets {
    int descriptor;
    uint32_t slots_in_memory;
    uint8_t *memory;             /* NULL: all is in the file */
    atomic_uint slots_used;      /* the highest that was written, plus 1 */
    atomic_bool in_memory;       /* what memory says, for other threads */
};

static enum cl_status memory_load(void *context, struct cl_smt_slot *out, uint32_t slot, unsigned count)
{
    const struct memory_buckets *buckets = context;
    assert(slot < buckets->slot_count && count > 0 && count <= buckets->slots[slot].count);
    memcpy(out, buckets->slots[slot].content, cl_smt_slot_bytes(count));
    return CL_OK;
}

static enum cl_status memory_grow(struct memory_buckets *buckets, uint32_t slot)
{
    size_t wanted = buckets->slot_count == 0 ? 64 : buckets->slot_count * 2;
    struct memory_slot *grown;
    while (wanted <= slot) wanted *= 2;
    grown = realloc(buckets->slots, wanted * sizeof *grown);
    if (grown == NULL) return CL_E_MEMORY;
    memset(grown + buckets->slot_count, 0, (wanted - buckets->slot_count) * sizeof *grown);
    buckets->slots = grown;
    buckets->slot_count = wanted;
    return CL_OK;
}

static enum cl_status memory_save(void *context, uint32_t slot, const struct cl_smt_slot *in, unsigned count)
{
    struct memory_buckets *buckets = context;
    struct cl_smt_slot *copy;
    assert(count > 0 && count <= CL_SMT_BUCKET_MAX);
    if (slot >= buckets->slot_count) {
        enum cl_status status = memory_grow(buckets, slot);
        if (status != CL_OK) return status;
    }
    copy = realloc(buckets->slots[slot].content, cl_smt_slot_bytes(count));
    if (copy == NULL) return CL_E_MEMORY;
    memcpy(copy, in, cl_smt_slot_bytes(count));
    buckets->slots[slot].content = copy;
    buckets->slots[slot].count = count;
    return CL_OK;
}

enum cl_status cl_buckets_memory_new(struct cl_smt_buckets *out)
{
    struct memory_buckets *buckets = calloc(1, sizeof *buckets);
    if (buckets == NULL) return CL_E_MEMORY;
    *out = (struct cl_smt_buckets){ .context = buckets, .load = memory_load, .save = memory_save };
    return CL_OK;
}

static enum cl_status file_load(void *context, struct cl_smt_slot *out, uint32_t slot, unsigned count)
{
    const struct file_buckets *buckets = context;
    size_t length = cl_smt_slot_bytes(count), done = 0;
    assert(count <= CL_SMT_BUCKET_MAX);
    if (buckets->memory != NULL) {
        assert(slot < buckets->slots_in_memory);
        memcpy(out, buckets->memory + slot * SLOT_BYTES, length);
        return CL_OK;
    }
    while (done < length) {
        ssize_t got = pread(buckets->descriptor, (uint8_t *)out + done, length - done, (off_t)((uint64_t)slot * SLOT_BYTES + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            if (got == 0) errno = EIO; /* the file is shorter than what was written to it */
            return CL_E_IO;
        }
        done += (size_t)got;
    }
    return CL_OK;
}

/* The first half of a slot, in lines of 64 bytes: the processor sees where that leads and goes on by itself. */
static void file_fetch_ahead(void *context, uint32_t slot)
{
    const struct file_buckets *buckets = context;
    if (buckets->memory == NULL || slot >= buckets->slots_in_memory) return;
    const uint8_t *bytes = buckets->memory + slot * SLOT_BYTES;
    for (size_t at = 0; at < SLOT_BYTES / 2; at += 64) __builtin_prefetch(bytes + at);
}

static enum cl_status write_at(int descriptor, const void *bytes, size_t length, uint64_t offset)
{
    size_t done = 0;
    while (done < length) {
        ssize_t put = pwrite(descriptor, (const uint8_t *)bytes + done, length - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) {
            if (put == 0) errno = EIO;
            return CL_E_IO;
        }
        done += (size_t)put;
    }
    return CL_OK;
}

static void release_memory(struct file_buckets *buckets)
{
    if (buckets->memory != NULL) (void)munmap(buckets->memory, buckets->slots_in_memory * SLOT_BYTES);
    buckets->memory = NULL;
    atomic_store(&buckets->in_memory, false);
}

static void note_used(struct file_buckets *buckets, uint32_t slot)
{
    if (slot >= atomic_load(&buckets->slots_used)) atomic_store(&buckets->slots_used, slot + 1);
}

static enum cl_status file_save(void *context, uint32_t slot, const struct cl_smt_slot *in, unsigned count)
{
    struct file_buckets *buckets = context;
    enum cl_status status = CL_OK;
    assert(count > 0 && count <= CL_SMT_BUCKET_MAX);
    if (buckets->memory != NULL && slot < buckets->slots_in_memory) {
        memcpy(buckets->memory + slot * SLOT_BYTES, in, cl_smt_slot_bytes(count));
        note_used(buckets, slot);
        return CL_OK;
    }
    if (buckets->memory != NULL) {
        status = write_at(buckets->descriptor, buckets->memory, buckets->slots_in_memory * SLOT_BYTES, 0);
        if (status != CL_OK) return status;
        release_memory(buckets);
    }
    status = write_at(buckets->descriptor, in, cl_smt_slot_bytes(count), (uint64_t)slot * SLOT_BYTES);
    if (status == CL_OK) note_used(buckets, slot);
    return status;
}

/* File systems without O_TMPFILE (some network and overlay ones) get a name that is removed at once. */
static int open_without_name(const char *directory)
{
    char *path = NULL;
    int descriptor = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL)) return descriptor;
    if (asprintf(&path, "%s/buckets-XXXXXX", directory) < 0) {
        errno = ENOMEM;
        return -1;
    }
    descriptor = mkostemp(path, O_CLOEXEC);
    if (descriptor >= 0 && unlink(path) != 0) {
        int saved = errno;
        close(descriptor);
        descriptor = -1;
        errno = saved;
    }
    free(path);
    return descriptor;
}

/* Pages come as they are touched. Without them everything goes to the file, which is only slower. */
static void take_memory(struct file_buckets *buckets, uint32_t slots)
{
    if (slots == 0) return;
    void *memory = mmap(NULL, slots * SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    buckets->memory = memory;
    buckets->slots_in_memory = slots;
    atomic_store(&buckets->in_memory, true);
}

enum cl_status cl_buckets_file_new(struct cl_smt_buckets *out, const char *directory, uint32_t slots_in_memory)
{
    struct file_buckets *buckets = calloc(1, sizeof *buckets);
    if (buckets == NULL) return CL_E_MEMORY;
    buckets->descriptor = open_without_name(directory);
    if (buckets->descriptor < 0) {
        int saved = errno;
        free(buckets);
        errno = saved;
        return CL_E_IO;
    }
    take_memory(buckets, slots_in_memory);
    *out = (struct cl_smt_buckets){ .context = buckets, .load = file_load, .save = file_save, .fetch_ahead = file_fetch_ahead };
    return CL_OK;
}

void cl_buckets_report(struct cl_buckets_report *out, const struct cl_smt_buckets *buckets)
{
    struct file_buckets *file = buckets->context;
    assert(buckets->load == file_load);
    out->slots = atomic_load(&file->slots_used);
    out->memory_bytes_max = file->slots_in_memory * SLOT_BYTES;
    out->memory_bytes = atomic_load(&file->in_memory) ? out->slots * SLOT_BYTES : 0;
    if (out->memory_bytes > out->memory_bytes_max) out->memory_bytes = out->memory_bytes_max; /* as they move */
}

void cl_buckets_free(struct cl_smt_buckets *buckets)
{
    if (buckets->context == NULL) return;
    if (buckets->load == file_load) {
        struct file_buckets *file = buckets->context;
        release_memory(file);
        close(file->descriptor);
    } else {
        struct memory_buckets *memory = buckets->context;
        for (size_t i = 0; i < memory->slot_count; i++) free(memory->slots[i].content);
        free(memory->slots);
    }
    free(buckets->context);
    memset(buckets, 0, sizeof *buckets);
}
