/* Ingest on a node of one member: single-entry records with random ids, signed beforehand, each by a key of its own; they
   enter by the inbox as a peer's frames would, are checked in full, and count when they are final and durable. Beside it,
   in turns, the signature checks that both cores can do at best. */
#include <unistd.h>

#include "feed.h"
#include "limits.h"

enum { ROUNDS = 5, PER_ROUND = 40000, LIMIT_MS = 400 };

int main(int argc, char **argv)
{
    struct bench_context context;
    struct bench_plan plan = { .kind = BENCH_GRANT, .entries = 1, .series = 10, .count = ROUNDS * PER_ROUND };
    char directory[4096], filesystem[128];
    bench_begin(&context, argc, argv, "ingest_single");
    bench_home(&plan.network, &context);
    int fd = bench_records_cached(&plan, &context, "single");
    struct bench_signatures *signatures = bench_signatures_new();
    struct bench_reader reader;
    struct bench_node node;
    bench_reader_init(&reader, fd);
    bench_temporary(directory, context.data);
    bench_home_copy(&context, directory);
    bench_filesystem(filesystem, directory);
    bench_say("%u records a round, data folder on %s, sync on", PER_ROUND, filesystem);
    bench_node_open(&node, directory);
    struct bench_figure rate = { .name = "ingest_single", .unit = "records/s", .limit_name = BENCH_SIGNATURES_NAME, .kind = BENCH_AT_LEAST, .target = 0.60 };
    struct bench_figure cpu = { .name = "ingest_single/processor time", .unit = "us/record", .limit_name = "one check, processor us" };
    double check_us = 0;
    double before = bench_signatures_rate(signatures, bench_cores(), LIMIT_MS, &check_us);
    for (unsigned round = 0; round < ROUNDS; round++) {
        double cpu_before = bench_cpu_seconds();
        double seconds = bench_node_feed(&node, &reader, PER_ROUND, NULL);
        double used = (bench_cpu_seconds() - cpu_before) / PER_ROUND;
        double after = bench_signatures_rate(signatures, bench_cores(), LIMIT_MS, &check_us), limit = (before + after) / 2;
        before = after;
        bench_round(&rate, PER_ROUND / seconds, limit);
        bench_round(&cpu, used * 1e6, check_us);
        bench_say("round %u: %.0f records/s, limit %.0f checks/s, %.1f us of processor time a record", round + 1, PER_ROUND / seconds, limit, used * 1e6);
    }
    bench_node_close(&node);
    bench_report(&context, &rate);
    bench_report(&context, &cpu);
    bench_remove_tree(directory);
    bench_reader_deinit(&reader);
    bench_signatures_free(signatures);
    close(fd);
    return 0;
}
