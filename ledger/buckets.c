/* The two places where the state tree's buckets of leaves live: an array in memory (tests, small ledgers) and a scratch
   file of fixed slots. The file has no name from the moment it is open, so that no other run can take it for its own.

   Scratch file: slot s stands at offset s * 1024; it holds up to 16 leaves of 64 bytes (key hash, leaf hash). The count
   is kept by the tree. Bytes that were never written are never read. */
#include "buckets.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SLOT_BYTES (CL_SMT_BUCKET_MAX * sizeof(struct cl_smt_leaf))

static_assert(sizeof(struct cl_smt_leaf) == 64, "a leaf is stored as it lies in memory");

struct memory_slot { unsigned count; struct cl_smt_leaf *leaves; };
struct memory_buckets { struct memory_slot *slots; size_t slot_count; };
struct file_buckets { int descriptor; };

static enum cl_status memory_load(void *context, struct cl_smt_leaf *leaves, uint32_t slot, unsigned count)
{
    const struct memory_buckets *buckets = context;
    assert(slot < buckets->slot_count && count <= buckets->slots[slot].count);
    if (count > 0) memcpy(leaves, buckets->slots[slot].leaves, count * sizeof *leaves);
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

static enum cl_status memory_save(void *context, uint32_t slot, const struct cl_smt_leaf *leaves, unsigned count)
{
    struct memory_buckets *buckets = context;
    struct cl_smt_leaf *copy;
    assert(count > 0 && count <= CL_SMT_BUCKET_MAX);
    if (slot >= buckets->slot_count) {
        enum cl_status status = memory_grow(buckets, slot);
        if (status != CL_OK) return status;
    }
    copy = realloc(buckets->slots[slot].leaves, count * sizeof *copy);
    if (copy == NULL) return CL_E_MEMORY;
    memcpy(copy, leaves, count * sizeof *copy);
    buckets->slots[slot].leaves = copy;
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

static enum cl_status file_load(void *context, struct cl_smt_leaf *leaves, uint32_t slot, unsigned count)
{
    const struct file_buckets *buckets = context;
    size_t length = count * sizeof *leaves, done = 0;
    assert(count <= CL_SMT_BUCKET_MAX);
    while (done < length) {
        ssize_t got = pread(buckets->descriptor, (uint8_t *)leaves + done, length - done, (off_t)((uint64_t)slot * SLOT_BYTES + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            if (got == 0) errno = EIO; /* the file is shorter than what was written to it */
            return CL_E_IO;
        }
        done += (size_t)got;
    }
    return CL_OK;
}

static enum cl_status file_save(void *context, uint32_t slot, const struct cl_smt_leaf *leaves, unsigned count)
{
    const struct file_buckets *buckets = context;
    size_t length = count * sizeof *leaves, done = 0;
    assert(count > 0 && count <= CL_SMT_BUCKET_MAX);
    while (done < length) {
        ssize_t put = pwrite(buckets->descriptor, (const uint8_t *)leaves + done, length - done, (off_t)((uint64_t)slot * SLOT_BYTES + done));
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) {
            if (put == 0) errno = EIO;
            return CL_E_IO;
        }
        done += (size_t)put;
    }
    return CL_OK;
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

enum cl_status cl_buckets_file_new(struct cl_smt_buckets *out, const char *directory)
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
    *out = (struct cl_smt_buckets){ .context = buckets, .load = file_load, .save = file_save };
    return CL_OK;
}

void cl_buckets_free(struct cl_smt_buckets *buckets)
{
    if (buckets->context == NULL) return;
    if (buckets->load == file_load) {
        struct file_buckets *file = buckets->context;
        close(file->descriptor);
    } else {
        struct memory_buckets *memory = buckets->context;
        for (size_t i = 0; i < memory->slot_count; i++) free(memory->slots[i].leaves);
        free(memory->slots);
    }
    free(buckets->context);
    memset(buckets, 0, sizeof *buckets);
}
