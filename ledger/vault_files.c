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

/* Writes random bytes over all that an open file holds, and waits until they are on the disk. */
static bool overwrite(int file)
{
    struct stat about;
    uint8_t noise[1024];
    if (fstat(file, &about) != 0 || lseek(file, 0, SEEK_SET) != 0 || cl_random(noise, sizeof noise) != CL_OK)
        return false;
    for (off_t left = about.st_size; left > 0;) {
        ssize_t wrote = write(file, noise, left < (off_t)sizeof noise ? (size_t)left : sizeof noise);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        left -= wrote;
    }
    return fsync(file) == 0;
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
