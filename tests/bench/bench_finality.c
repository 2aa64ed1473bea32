/* How long one record takes to be final at low load, in a consortium of four on loopback: from handing it to a node until
   that node has it final and durable. Beside it, in turns, what no such agreement can do without: one round trip between
   two of nng's sockets over TLS, and two synced appends to a file on the same disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cluster.h"
#include "roundtrip.h"

enum { ROUNDS = 5, PER_ROUND = 100, APPENDS = 40, PAUSE_NS = 5000000 };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double append_seconds(const char *directory)
{
    char path[4200], bytes[512] = { 0 };
    snprintf(path, sizeof path, "%s/appends", directory);
    int file = open(path, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0) bench_fail("%s: %s", path, strerror(errno));
    uint64_t begin = bench_now_ns();
    for (int i = 0; i < APPENDS; i++)
        if (write(file, bytes, sizeof bytes) != (ssize_t)sizeof bytes || fdatasync(file) != 0) bench_fail("%s: %s", path, strerror(errno));
    double seconds = (double)(bench_now_ns() - begin) / 1e9 / APPENDS;
    close(file);
    return seconds;
}

/* Seconds until the record is final where it was handed in. */
static double one(struct bench_cluster *cluster, struct bench_reader *reader, size_t number)
{
    struct cl_view record;
    struct node_counters counters;
    struct node *node = cluster->nodes[number % BENCH_CLUSTER_NODES];
    if (bench_reader_next(reader, &record, 1) != 1) bench_fail("too few records in the stream");
    node_counters(node, &counters);
    uint64_t settled = counters.final_records + counters.refused + counters.malformed + counters.bad_signature + counters.duplicates;
    uint64_t begin = bench_now_ns();
    bench_need(node_submit_batch(node, &record, 1, (uint32_t)(number % BENCH_CLUSTER_NODES)), "submitting a record");
    for (; counters.final_records <= cluster->final_records; node_counters(node, &counters)) /* what is settled may be a duplicate */
        bench_need(node_wait_settled(node, ++settled, 30000), "waiting for a record to be final");
    double seconds = (double)(bench_now_ns() - begin) / 1e9;
    bench_cluster_wait(cluster, 1);
    return seconds;
}

int main(int argc, char **argv)
{
    struct bench_context context;
    struct bench_plan plan = { .kind = BENCH_GRANT, .entries = 1, .series = 42, .count = ROUNDS * PER_ROUND + 20 };
    struct bench_figure p50 = { .name = "finality_p50", .unit = "ms", .limit_name = "one TLS round trip + two synced appends", .kind = BENCH_AT_MOST, .target = 5 };
    struct bench_figure p99 = { .name = "finality_p99", .unit = "ms", .limit_name = "finality_p50", .kind = BENCH_AT_MOST, .target = 4 };
    struct bench_cluster cluster;
    struct bench_reader reader;
    const struct timespec pause = { 0, PAUSE_NS };
    bench_begin(&context, argc, argv, "finality");
    bench_cluster_home(&plan.network, &context);
    int fd = bench_records_cached(&plan, &context, "finality");
    bench_reader_init(&reader, fd);
    bench_cluster_open(&cluster, &context);
    for (size_t i = 0; i < 20; i++) (void)one(&cluster, &reader, i);
    struct bench_roundtrip *roundtrip = bench_roundtrip_new();
    for (unsigned round = 0; round < ROUNDS; round++) {
        double taken[PER_ROUND], trip = bench_roundtrip_seconds(roundtrip), append = append_seconds(cluster.directory);
        for (size_t i = 0; i < PER_ROUND; i++) {
            nanosleep(&pause, NULL);
            taken[i] = one(&cluster, &reader, i);
        }
        qsort(taken, PER_ROUND, sizeof taken[0], ascending);
        trip = (trip + bench_roundtrip_seconds(roundtrip)) / 2;
        append = (append + append_seconds(cluster.directory)) / 2;
        double middle = taken[PER_ROUND / 2], slow = taken[PER_ROUND - 1 - PER_ROUND / 100];
        bench_round(&p50, middle * 1e3, (trip + 2 * append) * 1e3);
        bench_round(&p99, slow * 1e3, middle * 1e3);
        bench_say("round %u: p50 %.2f ms, p99 %.2f ms; a round trip %.2f ms, an append %.2f ms", round + 1, middle * 1e3, slow * 1e3, trip * 1e3, append * 1e3);
    }
    bench_roundtrip_free(roundtrip);
    bench_cluster_close(&cluster);
    bench_report(&context, &p50);
    bench_report(&context, &p99);
    bench_reader_deinit(&reader);
    close(fd);
    return 0;
}
