/* Time, spreads, the machine's description and the output of figures. */
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

void bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void bench_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("  ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

void bench_need(enum cl_status status, const char *what)
{
    if (status != CL_OK) bench_fail("%s: %s %s", what, cl_status_code(status), cl_status_sentence(status));
}

void bench_begin(struct bench_context *context, int argc, char **argv, const char *name)
{
    if (argc < 3) bench_fail("usage: bench_%s BUILD JSON", name);
    context->name = name;
    context->build = argv[1];
    context->json = argv[2];
    int length = snprintf(context->data, sizeof context->data, "%s/bench-data", context->build);
    if (length < 0 || (size_t)length >= sizeof context->data) bench_fail("the path of the build folder is too long");
    if (mkdir(context->data, 0777) != 0 && errno != EEXIST) bench_fail("%s: %s", context->data, strerror(errno));
}

uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_thread_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

unsigned bench_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > 64 ? 64 : (unsigned)cores;
}

void bench_add(struct bench_series *series, double value)
{
    if (series->count >= BENCH_ROUNDS_MAX) bench_fail("too many rounds");
    series->values[series->count++] = value;
}

static int ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double bench_median(const struct bench_series *series)
{
    if (series->count == 0) return 0;
    double sorted[BENCH_ROUNDS_MAX];
    memcpy(sorted, series->values, series->count * sizeof sorted[0]);
    qsort(sorted, series->count, sizeof sorted[0], ascending);
    size_t middle = series->count / 2;
    return series->count % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

double bench_min(const struct bench_series *series)
{
    double least = series->count ? series->values[0] : 0;
    for (size_t i = 1; i < series->count; i++) if (series->values[i] < least) least = series->values[i];
    return least;
}

double bench_max(const struct bench_series *series)
{
    double most = series->count ? series->values[0] : 0;
    for (size_t i = 1; i < series->count; i++) if (series->values[i] > most) most = series->values[i];
    return most;
}

void bench_round(struct bench_figure *figure, double value, double limit)
{
    bench_add(&figure->value, value);
    bench_add(&figure->limit, limit);
    bench_add(&figure->ratio, value / limit);
}

/* Numbers as people read them: enough digits, no more. */
static void number(char out[32], double value)
{
    if (value >= 1000) snprintf(out, 32, "%.0f", value);
    else if (value >= 10) snprintf(out, 32, "%.1f", value);
    else snprintf(out, 32, "%.3f", value);
}

static void processor(char out[128])
{
    snprintf(out, 128, "unknown processor");
    FILE *info = fopen("/proc/cpuinfo", "r");
    if (!info) return;
    char line[256];
    while (fgets(line, sizeof line, info)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon || colon[1] == '\0') continue;
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(out, 128, "%.120s", colon + 2);
        break;
    }
    fclose(info);
}

void bench_filesystem(char out[128], const char *path)
{
    snprintf(out, 128, "unknown filesystem");
    char *real = realpath(path, NULL);
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    struct mntent *mount;
    size_t best = 0;
    while (real && mounts && (mount = getmntent(mounts))) {
        size_t length = strlen(mount->mnt_dir);
        bool under = strncmp(real, mount->mnt_dir, length) == 0 && (length == 1 || real[length] == '/' || real[length] == '\0');
        if (!under || length < best) continue;
        best = length;
        snprintf(out, 128, "%.30s on %.90s", mount->mnt_type, mount->mnt_fsname);
    }
    if (mounts) endmntent(mounts);
    free(real);
}

static void machine(char out[512], const char *path)
{
    char model[128], filesystem[128];
    struct utsname system;
    processor(model);
    bench_filesystem(filesystem, path);
    uname(&system);
    snprintf(out, 512, "%s, %u cores, %.20s %.60s, %s", model, bench_cores(), system.sysname, system.release, filesystem);
}

static void write_json(const struct bench_context *context, const struct bench_figure *figure, bool met)
{
    FILE *file = fopen(context->json, "a");
    if (!file) bench_fail("%s: %s", context->json, strerror(errno));
    char description[512];
    machine(description, context->build);
    fprintf(file, "{\"name\":\"%s\",\"unit\":\"%s\",\"value\":%.6g,", figure->name, figure->unit, bench_median(&figure->value));
    if (figure->limit_name)
        fprintf(file, "\"limit\":%.6g,\"limit_name\":\"%s\",\"ratio\":%.4f,\"min\":%.4f,\"median\":%.4f,\"max\":%.4f,",
                bench_median(&figure->limit), figure->limit_name, bench_median(&figure->ratio), bench_min(&figure->ratio),
                bench_median(&figure->ratio), bench_max(&figure->ratio));
    else
        fprintf(file, "\"limit\":null,\"limit_name\":null,\"ratio\":null,\"min\":%.6g,\"median\":%.6g,\"max\":%.6g,",
                bench_min(&figure->value), bench_median(&figure->value), bench_max(&figure->value));
    if (figure->kind != BENCH_NO_TARGET)
        fprintf(file, "\"target\":\"%s %g\",\"met\":%s,", figure->kind == BENCH_AT_LEAST ? ">=" : "<=", figure->target, met ? "true" : "false");
    fprintf(file, "\"machine\":\"%s\"}\n", description);
    if (fclose(file) != 0) bench_fail("%s: %s", context->json, strerror(errno));
}

void bench_report(const struct bench_context *context, const struct bench_figure *figure)
{
    char value[32], limit[32];
    double ratio = bench_median(&figure->ratio);
    bool met = figure->kind == BENCH_AT_LEAST ? ratio >= figure->target : ratio <= figure->target;
    number(value, bench_median(&figure->value));
    number(limit, bench_median(&figure->limit));
    printf("%s\t%s %s\t", figure->name, value, figure->unit);
    if (figure->limit_name)
        printf("%s: %s\t%.3f (%.3f to %.3f)\t", figure->limit_name, limit, ratio, bench_min(&figure->ratio), bench_max(&figure->ratio));
    else printf("-\t-\t");
    if (figure->kind == BENCH_NO_TARGET) printf("-\t-\n");
    else printf("%s %g\t%s\n", figure->kind == BENCH_AT_LEAST ? ">=" : "<=", figure->target, met ? "yes" : "NO");
    fflush(stdout);
    write_json(context, figure, met);
}

void bench_temporary(char out[4096], const char *parent)
{
    int length = snprintf(out, 4096, "%s/tmp-XXXXXX", parent);
    if (length < 0 || length >= 4096 || !mkdtemp(out)) bench_fail("no temporary folder under %s: %s", parent, strerror(errno));
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info, (void)kind, (void)place;
    return remove(path);
}

void bench_remove_tree(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) bench_say("%s stays: %s", path, strerror(errno));
}

static uint64_t tree_bytes; /* nftw has no context argument */
static int add_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)path, (void)place;
    if (kind == FTW_F) tree_bytes += (uint64_t)info->st_size;
    return 0;
}

uint64_t bench_tree_bytes(const char *path)
{
    tree_bytes = 0;
    if (nftw(path, add_one, 16, FTW_PHYS) != 0) bench_fail("%s: %s", path, strerror(errno));
    return tree_bytes;
}

static int drop_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info, (void)place;
    int fd = kind == FTW_F ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    return 0;
}

void bench_drop_tree(const char *path)
{
    if (nftw(path, drop_one, 16, FTW_PHYS) != 0) bench_fail("%s: %s", path, strerror(errno));
}

double bench_cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + 1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

uint64_t bench_peak_memory(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long long kilobytes = 0;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %llu", &kilobytes) == 1) break;
    if (file) fclose(file);
    return kilobytes * 1024u;
}
