/* Stands between a process and its wall clock (LD_PRELOAD): the clock is as many milliseconds ahead as the 8 bytes of the file
   CLOCK_SHIFT_FILE say (a signed number in the machine's order; negative: behind), and follows when they change, as if somebody
   set it. Clocks that nobody can set are left alone. A test builds it with the system's compiler. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const _Atomic int64_t *shift_ms;

__attribute__((constructor)) static void map(void)
{
    const char *path = getenv("CLOCK_SHIFT_FILE");
    int file = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof *shift_ms, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED) abort();
    shift_ms = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    if (syscall(SYS_clock_gettime, clock, out) != 0) return -1;
    if (shift_ms == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return 0;
    int64_t ms = atomic_load(shift_ms), ns = out->tv_nsec + ms % 1000 * 1000000;
    out->tv_sec += ms / 1000;
    if (ns < 0) out->tv_sec--, ns += 1000000000;
    if (ns >= 1000000000) out->tv_sec++, ns -= 1000000000;
    out->tv_nsec = ns;
    return 0;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    *out = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    if (out != NULL) *out = now.tv_sec;
    return now.tv_sec;
}
