/* Files are written whole: new name, fsync, rename, fsync of the directory. */
#include "files.h"

#include "consent/record.h"
#include "crypto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum cl_status file_path(char *out, size_t size, const char *directory, const char *name)
{
    int used = snprintf(out, size, "%s/%s", directory, name);
    return used > 0 && (size_t)used < size ? CL_OK : CL_E_BOUND;
}

enum cl_status file_read(struct cl_buffer *out, const char *path, size_t bytes_max)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return errno == ENOENT ? CL_E_NOT_FOUND : CL_E_IO;
    enum cl_status status = CL_OK;
    size_t total = 0;
    uint8_t part[16384];
    for (;;) {
        ssize_t got = read(file, part, sizeof part);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) status = CL_E_IO;
        if (got <= 0) break;
        total += (size_t)got;
        if (total > bytes_max) {
            status = CL_E_BOUND;
            break;
        }
        status = cl_buffer_append(out, part, (size_t)got);
        if (status != CL_OK) break;
    }
    int saved = errno;
    cl_wipe(part, sizeof part); /* it may have been a secret */
    close(file);
    errno = saved;
    return status;
}

enum cl_status file_sync_directory_of(const char *path)
{
    char directory[4096];
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 1 : (slash == path ? 1 : (size_t)(slash - path));
    if (length >= sizeof directory) return CL_E_BOUND;
    memcpy(directory, slash == NULL ? "." : path, length);
    directory[length] = '\0';
    int handle = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (handle < 0) return CL_E_IO;
    int result = fsync(handle);
    int saved = errno;
    close(handle);
    errno = saved;
    return result == 0 ? CL_OK : CL_E_IO;
}

bool file_sync_all_in(const char *directory)
{
    DIR *entries = opendir(directory);
    if (entries == NULL) return false;
    bool good = true;
    for (struct dirent *entry; good && (entry = readdir(entries)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        int file = openat(dirfd(entries), entry->d_name, O_RDONLY | O_CLOEXEC);
        good = file >= 0 && fsync(file) == 0;
        if (file >= 0) close(file);
    }
    if (good) good = fsync(dirfd(entries)) == 0;
    int saved = errno;
    closedir(entries);
    errno = saved;
    return good;
}

bool file_write_all(int file, const uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t wrote = write(file, data, length);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        data += wrote;
        length -= (size_t)wrote;
    }
    return true;
}

enum cl_status file_write(const char *path, const void *data, size_t length, unsigned mode, bool exclusive)
{
    char temporary[4096];
    int used = snprintf(temporary, sizeof temporary, "%s.new", path);
    if (used <= 0 || (size_t)used >= sizeof temporary) return CL_E_BOUND;
    if (exclusive && access(path, F_OK) == 0) return CL_E_EXISTS;
    unlink(temporary); /* what a crash may have left */
    int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
    if (file < 0) return CL_E_IO;
    bool good = file_write_all(file, data, length) && fsync(file) == 0;
    int saved = errno;
    if (close(file) != 0 && good) {
        good = false;
        saved = errno;
    }
    if (good && rename(temporary, path) != 0) {
        good = false;
        saved = errno;
    }
    if (!good) {
        unlink(temporary);
        errno = saved;
        return CL_E_IO;
    }
    return file_sync_directory_of(path);
}

static int nibble(char digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    return -1;
}

bool hex_decode(uint8_t *out, size_t length, const char *text, size_t text_length)
{
    if (text_length != 2 * length) return false;
    for (size_t i = 0; i < length; i++) {
        int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

void hex_encode(char *out, const uint8_t *data, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * length] = '\0';
}
