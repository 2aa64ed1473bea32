/* A consortium of four on this machine's cores, links over TLS: single-entry records that enter at each node in turn and
   count when they are final and durable on all four, beside the signature checks that the cores can do at best, each record
   being checked four times; and subscriptions of 64 entries to standing terms, beside the single ones. */
#include <stdio.h>
#include <unistd.h>

#include "cluster.h"
#include "limits.h"

enum { ROUNDS = 5, SINGLES = 12000, LIMIT_MS = 400, BULKS = 480 };

static void singles(const struct bench_context *context, struct bench_cluster *cluster, struct bench_plan *plan, struct bench_figure *rate)
{
    struct bench_figure cpu = { .name = "cluster_single/processor time", .unit = "us/record", .limit_name = "four checks, processor us" };
    struct bench_signatures *signatures = bench_signatures_new();
    struct bench_reader reader;
    int fd = bench_records_cached(plan, context, "cluster-single");
    double check_us = 0, before = bench_signatures_rate(signatures, bench_cores(), LIMIT_MS, &check_us);
    bench_reader_init(&reader, fd);
    for (unsigned round = 0; round < ROUNDS; round++) {
        double cpu_before = bench_cpu_seconds(), seconds = bench_cluster_feed(cluster, &reader, SINGLES);
        double used = (bench_cpu_seconds() - cpu_before) / SINGLES;
        double after = bench_signatures_rate(signatures, bench_cores(), LIMIT_MS, &check_us), limit = (before + after) / 2 / BENCH_CLUSTER_NODES;
        before = after;
        bench_round(rate, SINGLES / seconds, limit);
        bench_round(&cpu, used * 1e6, BENCH_CLUSTER_NODES * check_us);
        bench_say("round %u: %.0f records/s, limit %.0f, %.1f us of processor time a record", round + 1, SINGLES / seconds, limit, used * 1e6);
    }
    bench_report(context, rate);
    bench_report(context, &cpu);
    bench_reader_deinit(&reader);
    bench_signatures_free(signatures);
    close(fd);
}

/* By another organisation each time, which may not answer the same TERMS twice. Lasts as long as a round of singles. */
static double feed_bulks(const struct bench_context *context, struct bench_cluster *cluster, const struct bench_plan *terms, unsigned round)
{
    struct bench_plan plan = { .kind = BENCH_SUBSCRIBE_TERMS, .entries = BENCH_ENTRIES, .series = terms->series, .network = terms->network,
                               .organisation = round + 1, .count = BULKS };
    struct bench_reader reader;
    char name[32];
    snprintf(name, sizeof name, "cluster-bulk-%u", round);
    int fd = bench_records_cached(&plan, context, name);
    bench_reader_init(&reader, fd);
    double seconds = bench_cluster_feed(cluster, &reader, BULKS);
    bench_reader_deinit(&reader);
    close(fd);
    return seconds;
}

static void bulks(const struct bench_context *context, struct bench_cluster *cluster, const struct bench_plan *terms, double single)
{
    struct bench_figure rate = { .name = "cluster_bulk", .unit = "agreements/s", .limit_name = "cluster_single", .kind = BENCH_AT_LEAST, .target = 3 };
    struct bench_plan plan = *terms;
    struct bench_reader reader;
    int fd = bench_records_cached(&plan, context, "cluster-terms");
    bench_reader_init(&reader, fd);
    (void)bench_cluster_feed(cluster, &reader, plan.count);
    bench_reader_deinit(&reader);
    close(fd);
    for (unsigned round = 0; round < ROUNDS; round++) {
        double agreements = (double)BULKS * BENCH_ENTRIES, cpu_before = bench_cpu_seconds();
        double seconds = feed_bulks(context, cluster, terms, round), used = (bench_cpu_seconds() - cpu_before) / agreements;
        bench_round(&rate, agreements / seconds, single);
        bench_say("round %u: %.0f agreements/s, %.1f us of processor time each", round + 1, agreements / seconds, used * 1e6);
    }
    bench_report(context, &rate);
}

int main(int argc, char **argv)
{
    struct bench_context context;
    struct bench_plan plan = { .kind = BENCH_GRANT, .entries = 1, .series = 40, .count = ROUNDS * SINGLES };
    struct bench_plan terms = { .kind = BENCH_TERMS, .entries = 1, .series = 41, .count = BULKS * BENCH_ENTRIES };
    struct bench_figure rate = { .name = "cluster_single", .unit = "records/s", .limit_name = BENCH_SIGNATURES_NAME " / 4", .kind = BENCH_AT_LEAST, .target = 0.50 };
    struct bench_cluster cluster;
    bench_begin(&context, argc, argv, "cluster");
    bench_cluster_home(&plan.network, &context);
    terms.network = plan.network;
    bench_cluster_open(&cluster, &context);
    singles(&context, &cluster, &plan, &rate);
    bulks(&context, &cluster, &terms, bench_median(&rate.value));
    bench_cluster_close(&cluster);
    return 0;
}
