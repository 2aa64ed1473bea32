/* What every benchmark shares: time, spreads, the machine, and the one form in which a figure is said: beside its limit,
   measured in the same run. A benchmark is a program `bench_NAME BUILD JSON`: rows for the table go to standard output
   (tab-separated), objects to the file JSON (one a line), progress to standard error. Exit 1: it could not run. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "consent/status.h"
#include "consent/types.h"

#define BENCH_ROUNDS_MAX 64u

struct bench_context { const char *name, *build, *json; char data[4096]; /* build/bench-data, kept between runs */ };
/* Reads the arguments and makes the data folder; ends the program with a sentence where it cannot. */
void bench_begin(struct bench_context *context, int argc, char **argv, const char *name);

/* Ends the program: benchmarks have nothing to clean up that run.sh does not. */
_Noreturn void bench_fail(const char *format, ...) CL_PRINTF(1, 2);
void bench_say(const char *format, ...) CL_PRINTF(1, 2); /* progress, standard error */
void bench_need(enum cl_status status, const char *what); /* bench_fail unless CL_OK */

uint64_t bench_now_ns(void);
uint64_t bench_thread_ns(void); /* processor time of this thread: what pure computation costs, whoever else is busy */
unsigned bench_cores(void);
double bench_cpu_seconds(void);       /* of this process, all threads */
uint64_t bench_peak_memory(void);     /* VmHWM of this process, bytes */

struct bench_series { double values[BENCH_ROUNDS_MAX]; size_t count; };
void bench_add(struct bench_series *series, double value);
double bench_median(const struct bench_series *series);
double bench_min(const struct bench_series *series);
double bench_max(const struct bench_series *series);

enum bench_target { BENCH_NO_TARGET, BENCH_AT_LEAST, BENCH_AT_MOST };
struct bench_figure {
    const char *name, *unit, *limit_name; /* limit_name NULL: a figure that is only said */
    struct bench_series value, limit, ratio; /* a figure of one round has one of each */
    enum bench_target kind;
    double target;                        /* of the ratio */
};
void bench_round(struct bench_figure *figure, double value, double limit); /* ratio = value / limit */
void bench_report(const struct bench_context *context, const struct bench_figure *figure);

/* A new folder under `parent`; bench_remove_tree deletes it with all in it. */
void bench_temporary(char out[4096], const char *parent);
void bench_remove_tree(const char *path);
uint64_t bench_tree_bytes(const char *path);
void bench_drop_tree(const char *path); /* asks the kernel to forget the cached pages of all files in it */
void bench_filesystem(char out[128], const char *path); /* "ext4 on /dev/vda" */

#endif
