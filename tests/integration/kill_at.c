/* Stands between a process and its files (LD_PRELOAD): kills it, as kill -9 does, just before its KILL_AT-th call that
   changes what is on the disk, so that a test can walk through every state that an interruption may leave. A test builds
   it with the system's compiler. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void count(void)
{
    static long calls;
    const char *at = getenv("KILL_AT");
    if (at != NULL && ++calls == atol(at)) (void)raise(SIGKILL);
}

#define NEXT(name) __typeof__(&name) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name); count()

ssize_t write(int file, const void *data, size_t length) { NEXT(write); return next(file, data, length); }
int fsync(int file) { NEXT(fsync); return next(file); }
int rename(const char *from, const char *to) { NEXT(rename); return next(from, to); }
int unlink(const char *path) { NEXT(unlink); return next(path); }
int mkdir(const char *path, mode_t mode) { NEXT(mkdir); return next(path, mode); }
