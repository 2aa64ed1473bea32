/* Stands between a node and its disk (LD_PRELOAD): makes the n-th write or sync of a regular file fail, and every one
   after it, or makes each sync slow. A test builds it with the system's compiler. Settings come from the environment:
     DISK_FAIL_AT    number of the first call that fails with EIO (from 1); absent: none
     DISK_SYNC_MS    how long each sync takes longer
     DISK_ONLY       count and fail only "write" or "sync" calls
     DISK_PATH       count and fail only those on files whose path has this in it */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static atomic_long calls;

static bool is_meant(int file)
{
    const char *part = getenv("DISK_PATH");
    char name[64], path[4096];
    if (part == NULL) return true;
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length <= 0) return false;
    path[length] = '\0';
    return strstr(path, part) != NULL;
}

static bool fails(int file, const char *kind)
{
    struct stat information;
    const char *at = getenv("DISK_FAIL_AT"), *only = getenv("DISK_ONLY");
    if (file <= 2 || fstat(file, &information) != 0 || !S_ISREG(information.st_mode)) return false;
    if (at == NULL || (only != NULL && strcmp(only, kind) != 0) || !is_meant(file)) return false;
    if (atomic_fetch_add(&calls, 1) + 1 < atol(at)) return false;
    errno = EIO;
    return true;
}

static void linger(void)
{
    const char *text = getenv("DISK_SYNC_MS");
    long ms = text != NULL ? atol(text) : 0;
    struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
    if (ms > 0) nanosleep(&pause, NULL);
}

ssize_t write(int file, const void *data, size_t length)
{
    static ssize_t (*real)(int, const void *, size_t);
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "write");
    return fails(file, "write") ? -1 : real(file, data, length);
}

int fdatasync(int file)
{
    static int (*real)(int);
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    if (fails(file, "sync")) return -1;
    linger();
    return real(file);
}

int fsync(int file)
{
    static int (*real)(int);
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    if (fails(file, "sync")) return -1;
    linger();
    return real(file);
}
