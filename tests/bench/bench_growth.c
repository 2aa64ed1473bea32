/* Growth: a tree of ten million agreements, built once through the node with records of 64 entries and kept in
   BUILD/bench-data/growth-10m; then single-entry ingest on top of it, in turns with the same at ten thousand; the peak
   memory of the node's process, which holds nothing of the benchmark's; and the start with a cold page cache.
   `bench_growth BUILD JSON --fresh` builds the tree anew. The node runs in a child: `bench_growth BUILD JSON --node DIR`
   takes lines "feed PATH COUNT", "peak", "processor", "quit" on standard input and answers each with a number. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "feed.h"

enum { MILLIONS = 10, RECORDS_PER_MILLION = 1000000 / BENCH_ENTRIES, SMALL_RECORDS = 157, ROUNDS = 5, PER_ROUND = 20000 };
#define MEMORY_MAX (256.0 * 1024 * 1024)

/* ---- the child */
static void answer(double value)
{
    printf("%.6f\n", value);
    fflush(stdout);
}

static void feed_file(struct bench_node *node, const char *path, uint64_t count)
{
    struct bench_reader reader;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) bench_fail("%s: %s", path, strerror(errno));
    if (lseek(fd, BENCH_FILE_HEADER, SEEK_SET) < 0) bench_fail("%s: %s", path, strerror(errno));
    bench_reader_init(&reader, fd);
    answer(bench_node_feed(node, &reader, count, NULL));
    bench_reader_deinit(&reader);
    close(fd);
}

static int run_node(const char *directory)
{
    struct bench_node node;
    char line[5000], path[4096];
    uint64_t begin = bench_now_ns(), count;
    bench_node_open(&node, directory);
    answer((double)(bench_now_ns() - begin) / 1e9);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "feed %4095s %" SCNu64, path, &count) == 2) feed_file(&node, path, count);
        else if (strcmp(line, "peak\n") == 0) answer((double)bench_peak_memory());
        else if (strcmp(line, "processor\n") == 0) answer(bench_cpu_seconds());
        else break;
    }
    bench_node_close(&node);
    answer((double)bench_peak_memory());
    return 0;
}

/* ---- the parent's end of it */
struct child { pid_t process; FILE *in, *out; double start_seconds; };

static double ask(struct child *child, const char *question)
{
    char line[64];
    if (fputs(question, child->in) < 0 || fflush(child->in) != 0 || !fgets(line, sizeof line, child->out)) bench_fail("the node's process is gone");
    return strtod(line, NULL);
}

static void child_start(struct child *child, const char *program, const struct bench_context *context, const char *directory)
{
    int down[2], up[2];
    if (pipe2(down, O_CLOEXEC) != 0 || pipe2(up, O_CLOEXEC) != 0) bench_fail("no pipe");
    child->process = fork();
    if (child->process < 0) bench_fail("no process");
    if (child->process == 0) {
        if (dup2(down[0], 0) < 0 || dup2(up[1], 1) < 0) _exit(127);
        execl(program, program, context->build, context->json, "--node", directory, (char *)NULL);
        _exit(127);
    }
    close(down[0]);
    close(up[1]);
    child->in = fdopen(down[1], "w");
    child->out = fdopen(up[0], "r");
    if (!child->in || !child->out) bench_fail("no stream");
    child->start_seconds = ask(child, "");
}

static double child_feed(struct child *child, const char *path, uint64_t count)
{
    char question[5000];
    snprintf(question, sizeof question, "feed %s %" PRIu64 "\n", path, count);
    return ask(child, question);
}

/* Records a second; *processor_us: processor time of the node's process for one. */
static double child_rate(struct child *child, const char *path, double *processor_us)
{
    double before = ask(child, "processor\n"), seconds = child_feed(child, path, PER_ROUND);
    *processor_us = (ask(child, "processor\n") - before) * 1e6 / PER_ROUND;
    return PER_ROUND / seconds;
}

/* Returns the peak memory of all its life. */
static double child_stop(struct child *child)
{
    double peak = ask(child, "quit\n");
    int status = 0;
    fclose(child->in);
    fclose(child->out);
    if (waitpid(child->process, &status, 0) < 0 || status != 0) bench_fail("the node's process ended badly");
    return peak;
}

/* ---- trees */
static void record_path(char out[4200], const struct bench_context *context, const char *name)
{
    snprintf(out, 4200, "%s/%s.records", context->data, name);
}

/* Records of 64 offers, `count` of them from number `first` on, into the node in pieces of a million agreements. */
static double grow(struct child *child, const struct bench_context *context, const struct cl_network_id *network, uint64_t first, uint64_t count)
{
    char path[4200];
    struct bench_plan plan = { .kind = BENCH_GRANT, .entries = BENCH_ENTRIES, .network = *network, .series = 30, .first = first, .count = count };
    record_path(path, context, "growth-piece");
    (void)unlink(path);
    close(bench_records_cached(&plan, context, "growth-piece"));
    double seconds = child_feed(child, path, count);
    (void)unlink(path);
    return seconds;
}

static void build(const char *program, const struct bench_context *context, const struct cl_network_id *network, const char *directory)
{
    struct child child;
    char partial[4096];
    snprintf(partial, sizeof partial, "%.4000s/tmp-growth", context->data);
    bench_remove_tree(partial);
    if (mkdir(partial, 0700) != 0) bench_fail("%s: %s", partial, strerror(errno));
    bench_home_copy(context, partial);
    child_start(&child, program, context, partial);
    for (uint64_t i = 0; i < MILLIONS; i++) {
        double seconds = grow(&child, context, network, i * RECORDS_PER_MILLION, RECORDS_PER_MILLION);
        bench_say("%2" PRIu64 " million agreements: %.0f agreements/s, node's peak memory %.0f MiB", i + 1,
                  RECORDS_PER_MILLION * BENCH_ENTRIES / seconds, ask(&child, "peak\n") / 1048576.0);
    }
    bench_say("built; peak memory of the node that built it: %.0f MiB", child_stop(&child) / 1048576.0);
    if (rename(partial, directory) != 0) bench_fail("%s: %s", directory, strerror(errno));
}

/* Returns how it was done, for people. */
static const char *cool(const char *directory)
{
    sync();
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
    bool dropped = fd >= 0 && write(fd, "3\n", 2) == 2;
    if (fd >= 0) close(fd);
    if (dropped) return "page cache dropped";
    bench_drop_tree(directory);
    return "files' pages dropped by posix_fadvise";
}

static void measure(const char *program, const struct bench_context *context, const struct cl_network_id *network, const char *large_base, const char *small_base)
{
    static const char *const names[ROUNDS] = { "growth-0", "growth-1", "growth-2", "growth-3", "growth-4" };
    struct bench_figure rate = { .name = "growth", .unit = "records/s", .limit_name = "ingest at 10,000 agreements", .kind = BENCH_AT_LEAST, .target = 0.8 };
    struct bench_figure cost = { .name = "growth/processor time", .unit = "us/record", .limit_name = "at 10,000 agreements" };
    struct bench_figure memory = { .name = "growth/peak memory (VmHWM)", .unit = "MiB", .limit_name = "MiB allowed", .kind = BENCH_AT_MOST, .target = 1 };
    struct bench_figure start = { .name = "growth/start, page cache cold", .unit = "s" };
    struct child large, small;
    char directory[4096], large_directory[4200], small_directory[4200], path[4200];
    for (unsigned i = 0; i < ROUNDS; i++) { /* signed before anything is measured */
        struct bench_plan plan = { .kind = BENCH_GRANT, .entries = 1, .network = *network, .series = 31 + i, .count = PER_ROUND };
        close(bench_records_cached(&plan, context, names[i]));
    }
    bench_temporary(directory, context->data);
    snprintf(large_directory, sizeof large_directory, "%s/large", directory);
    snprintf(small_directory, sizeof small_directory, "%s/small", directory);
    bench_clone(large_directory, large_base);
    const char *how = cool(large_directory);
    child_start(&large, program, context, large_directory);
    bench_add(&start.value, large.start_seconds);
    bench_say("start at ten million agreements, %s: %.1f s; memory so far %.0f MiB", how, large.start_seconds, ask(&large, "peak\n") / 1048576.0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        record_path(path, context, names[round]);
        bench_clone(small_directory, small_base);
        child_start(&small, program, context, small_directory);
        double small_us, large_us, at_small = child_rate(&small, path, &small_us);
        (void)child_stop(&small);
        bench_remove_tree(small_directory);
        double at_large = child_rate(&large, path, &large_us);
        bench_round(&rate, at_large, at_small);
        bench_round(&cost, large_us, small_us);
        bench_say("round %u: %.0f records/s (%.1f us of processor time) at ten million, %.0f (%.1f us) at ten thousand", round + 1, at_large, large_us, at_small, small_us);
    }
    bench_round(&memory, child_stop(&large) / 1048576.0, MEMORY_MAX / 1048576.0);
    bench_report(context, &rate);
    bench_report(context, &cost);
    bench_report(context, &memory);
    bench_report(context, &start);
    bench_remove_tree(directory);
}

int main(int argc, char **argv)
{
    struct bench_context context;
    struct cl_network_id network;
    struct child child;
    char large[4200], small[4096];
    if (argc == 5 && strcmp(argv[3], "--node") == 0) return run_node(argv[4]);
    bench_begin(&context, argc, argv, "growth");
    bench_home(&network, &context);
    snprintf(large, sizeof large, "%s/growth-10m", context.data);
    if (argc > 3 && strcmp(argv[3], "--fresh") == 0) bench_remove_tree(large);
    if (access(large, R_OK) != 0) build(argv[0], &context, &network, large);
    bench_temporary(small, context.data);
    bench_home_copy(&context, small);
    child_start(&child, argv[0], &context, small);
    (void)grow(&child, &context, &network, 0, SMALL_RECORDS);
    (void)child_stop(&child);
    measure(argv[0], &context, &network, large, small);
    bench_remove_tree(small);
    return 0;
}
