/* What a consortium of four costs while nothing happens: processor time and bytes sent, of one node in an hour. */
#include <time.h>
#include <unistd.h>

#include "cluster.h"

enum { SETTLE_S = 12, SECONDS = 40, RECORDS = 100 };

static uint64_t sent(const struct bench_cluster *cluster, uint64_t *frames)
{
    uint64_t bytes = 0;
    *frames = 0;
    for (size_t i = 0; i < BENCH_CLUSTER_NODES; i++) {
        struct node_traffic traffic;
        node_links_traffic(cluster->nodes[i], &traffic);
        bytes += traffic.sent_bytes;
        *frames += traffic.sent_frames;
    }
    return bytes;
}

int main(int argc, char **argv)
{
    struct bench_context context;
    struct bench_plan plan = { .kind = BENCH_GRANT, .entries = 1, .series = 43, .count = RECORDS };
    struct bench_cluster cluster;
    struct bench_reader reader;
    uint64_t frames_before, frames_after;
    bench_begin(&context, argc, argv, "idle");
    bench_cluster_home(&plan.network, &context);
    int fd = bench_records_cached(&plan, &context, "idle");
    bench_reader_init(&reader, fd);
    bench_cluster_open(&cluster, &context);
    (void)bench_cluster_feed(&cluster, &reader, RECORDS); /* idle after work, not before the first */
    sleep(SETTLE_S);
    uint64_t bytes_before = sent(&cluster, &frames_before), begin = bench_now_ns();
    double cpu_before = bench_cpu_seconds();
    sleep(SECONDS);
    double cpu = bench_cpu_seconds() - cpu_before, seconds = (double)(bench_now_ns() - begin) / 1e9, node_hours = seconds * BENCH_CLUSTER_NODES / 3600;
    uint64_t bytes = sent(&cluster, &frames_after) - bytes_before;
    struct bench_figure time = { .name = "idle", .unit = "CPU s/node-hour", .limit_name = "one core", .kind = BENCH_AT_MOST, .target = 0.001 };
    struct bench_figure traffic = { .name = "idle/bytes sent", .unit = "bytes/node-hour" };
    struct bench_figure frames = { .name = "idle/frames", .unit = "frames/peer in 10 s", .limit_name = "one", .kind = BENCH_AT_MOST, .target = 1 };
    bench_round(&time, cpu / node_hours, 3600);
    bench_round(&traffic, (double)bytes / node_hours, 1);
    bench_round(&frames, (double)(frames_after - frames_before) / (BENCH_CLUSTER_NODES * (BENCH_CLUSTER_NODES - 1)) / seconds * 10, 1);
    bench_cluster_close(&cluster);
    bench_report(&context, &time);
    bench_report(&context, &traffic);
    bench_report(&context, &frames);
    bench_reader_deinit(&reader);
    close(fd);
    return 0;
}
