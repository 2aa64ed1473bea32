/* How single files of the store come and go: written as a whole, overwritten before they are removed, and on the disk
   when it is said. */
#include "vault_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto.h"

void cl_store_path(char out[CL_STORE_FILE_PATH_MAX], const char *directory, const uint8_t id16[16], const char *ending)
{
    char hex[33];
    cl_hex_encode(hex, id16, 16);
    int used = snprintf(out, CL_STORE_FILE_PATH_MAX, "%s/%s%s", directory, hex, ending);
    assert(used > 0 && (size_t)used < CL_STORE_FILE_PATH_MAX);
}

enum { NOISE_BYTES = 4096 };

/* Writes noise over all that an open file holds. */
static bool overwrite_later(int file, const uint8_t noise[NOISE_BYTES])
{
    struct stat about;
    if (fstat(file, &about) != 0 || lseek(file, 0, SEEK_SET) != 0)
        return false;
    for (off_t left = about.st_size; left > 0;) {
        ssize_t wrote = write(file, noise, left < NOISE_BYTES ? (size_t)left : NOISE_BYTES);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        left -= wrote;
    }
    return true;
}

/* The same, and waits until it is on the disk. */
static bool overwrite(int file)
{
    uint8_t noise[NOISE_BYTES];
    return cl_random(noise, sizeof noise) == CL_OK && overwrite_later(file, noise) && fsync(file) == 0;
}

bool cl_file_destroy(const char *path)
{
    int file = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return errno == ENOENT;
    bool good = overwrite(file);
    (void)close(file);
    return unlink(path) == 0 && good;
}

bool cl_store_file_destroy(const char *directory, const uint8_t id16[16], const char *ending)
{
    char path[CL_STORE_FILE_PATH_MAX], gone[CL_STORE_FILE_PATH_MAX];
    cl_store_path(path, directory, id16, ending);
    cl_store_path(gone, directory, id16, GONE_ENDING);
    if (rename(path, gone) != 0)
        return errno == ENOENT;
    return cl_directory_sync(directory) && cl_file_destroy(gone) && cl_directory_sync(directory);
}

bool cl_value_file_remove(const char *directory, const uint8_t value16[16])
{
    char path[CL_STORE_FILE_PATH_MAX];
    cl_store_path(path, directory, value16, VALUE_ENDING);
    return (unlink(path) == 0 || errno == ENOENT) && cl_directory_sync(directory);
}

enum cl_status cl_store_file_replace(const char *directory, const uint8_t id16[16], const char *ending, const uint8_t *data, size_t length)
{
    char path[CL_STORE_FILE_PATH_MAX];
    cl_store_path(path, directory, id16, ending);
    int before = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    enum cl_status status = cl_file_replace(path, data, length, true);
    if (before >= 0) {
        if (status == CL_OK && !overwrite(before))
            status = CL_E_IO;
        (void)close(before);
    }
    return status;
}

/* ---- several at once: the disk is waited for once, not for each */

/* "PATH.new-PID", as cl_file_replace has it: whoever opens the folder next removes what was left. */
static void beside_of(char out[CL_STORE_FILE_PATH_MAX + 32], const char *path)
{
    (void)snprintf(out, CL_STORE_FILE_PATH_MAX + 32u, "%s.new-%ld", path, (long)getpid());
}

static bool write_beside(const char *directory, const char *ending, const struct cl_store_file *file)
{
    char path[CL_STORE_FILE_PATH_MAX], beside[CL_STORE_FILE_PATH_MAX + 32];
    cl_store_path(path, directory, file->id16, ending);
    beside_of(beside, path);
    int opened = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (opened < 0)
        return false;
    bool good = cl_file_write_all(opened, file->bytes.data, file->bytes.length);
    return close(opened) == 0 && good;
}

/* Into its place. *before: the open file that was there, -1: none. */
static bool move_in(const char *directory, const char *ending, const struct cl_store_file *file, int *before)
{
    char path[CL_STORE_FILE_PATH_MAX], beside[CL_STORE_FILE_PATH_MAX + 32];
    cl_store_path(path, directory, file->id16, ending);
    beside_of(beside, path);
    *before = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    return rename(beside, path) == 0;
}

static void remove_beside(const char *directory, const char *ending, const struct cl_store_file *file)
{
    char path[CL_STORE_FILE_PATH_MAX], beside[CL_STORE_FILE_PATH_MAX + 32];
    cl_store_path(path, directory, file->id16, ending);
    beside_of(beside, path);
    (void)unlink(beside);
}

/* Content first, then the names, then what was there before is overwritten: each step on the disk before the next. */
enum cl_status cl_store_files_replace(const char *directory, const char *ending, const struct cl_store_file *files, size_t count)
{
    uint8_t noise[NOISE_BYTES];
    int before[CL_STORE_GROUP_MAX], folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t moved = 0;
    assert(count <= CL_STORE_GROUP_MAX);
    if (folder < 0)
        return CL_E_IO;
    bool good = true;
    for (size_t i = 0; good && i < count; i++)
        good = write_beside(directory, ending, &files[i]);
    good = good && syncfs(folder) == 0;
    for (; good && moved < count; moved++)
        good = move_in(directory, ending, &files[moved], &before[moved]);
    good = good && fsync(folder) == 0;
    int saved = errno;
    for (size_t i = 0; i < count && !good; i++)
        remove_beside(directory, ending, &files[i]);
    good = good && cl_random(noise, sizeof noise) == CL_OK;
    for (size_t i = 0; i < moved; i++)
        good = (before[i] < 0 || !good || overwrite_later(before[i], noise)) && good;
    if (good && syncfs(folder) != 0) {
        saved = errno;
        good = false;
    }
    for (size_t i = 0; i < moved; i++)
        if (before[i] >= 0)
            (void)close(before[i]);
    (void)close(folder);
    errno = saved;
    return good ? CL_OK : CL_E_IO;
}
