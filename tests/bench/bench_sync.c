/* Catching up by height: an observer without a block, and a member that has them all, both in this process, with links
   over TLS on loopback and databases on the real disk. Single-entry records, a signature each. Audited: the observer
   checks all of them; certified: it believes the quorum. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "homes.h"
#include "limits.h"
#include "logging.h"
#include "measure.h"
#include "records.h"

enum { ROUNDS = 3, RECORDS = 200000, DEADLINE_S = 600 };

static struct node *start(const struct homes *homes, size_t number, bool certified)
{
    struct node *node = NULL;
    char sentence[512];
    struct node_config config;
    node_config_default(&config);
    config.sync_certified = certified;
    if (homes_start(&node, homes, number, &config, sentence, sizeof sentence) != CL_OK) bench_fail("node %zu does not start: %s", number, sentence);
    return node;
}

static void feed(struct node *node, int fd)
{
    struct bench_reader reader;
    struct cl_view records[BENCH_FRAME_RECORDS];
    uint64_t fed = 0;
    bench_reader_init(&reader, fd);
    for (size_t count; (count = bench_reader_next(&reader, records, BENCH_FRAME_RECORDS)) > 0; fed += count) bench_need(node_submit_batch(node, records, count, 0), "submitting records");
    bench_need(node_wait_settled(node, fed, DEADLINE_S * 1000u), "waiting for the records");
    bench_reader_deinit(&reader);
    if (fed != RECORDS) bench_fail("there are %llu records", (unsigned long long)fed);
}

static void forget_ledger(const struct homes *homes, size_t number)
{
    char folder[NODE_PATH_MAX], path[NODE_PATH_MAX + 16];
    homes_path(folder, homes, number);
    snprintf(path, sizeof path, "%s/store", folder);
    bench_remove_tree(path);
}

/* Records a second from its first block on, so that reaching the other one does not count. */
static double catch_up(const struct homes *homes, struct node *from, bool certified, double *processor_us)
{
    const struct timespec pause = { 0, 5000000 };
    struct node_counters there, here, first = { 0 };
    uint64_t began = bench_now_ns(), begin = 0;
    double used = 0;
    forget_ledger(homes, 1);
    struct node *node = start(homes, 1, certified);
    node_counters(from, &there);
    for (node_counters(node, &here); here.log_size < there.log_size; node_counters(node, &here)) {
        if (begin == 0 && here.height > 0) {
            first = here;
            begin = bench_now_ns();
            used = bench_cpu_seconds();
        }
        if (bench_now_ns() - began > DEADLINE_S * 1000000000ull) bench_fail("the observer is at %llu of %llu", (unsigned long long)here.log_size, (unsigned long long)there.log_size);
        nanosleep(&pause, NULL);
    }
    double records = (double)(here.final_records - first.final_records), seconds = (double)(bench_now_ns() - begin) / 1e9;
    *processor_us = (bench_cpu_seconds() - used) * 1e6 / records;
    bench_need(node_stop(node), "the observer stopped by itself");
    return records / seconds;
}

int main(int argc, char **argv)
{
    struct bench_context context;
    struct homes homes;
    char directory[4096];
    bench_begin(&context, argc, argv, "sync");
    log_set_level(LOG_LEVEL_ERROR);
    bench_temporary(directory, context.data);
    homes_make(&homes, directory, 1, 1, 0);
    struct bench_plan plan = { .kind = BENCH_GRANT, .entries = 1, .network = homes.network, .series = 40, .count = RECORDS };
    int fd = bench_records_cached(&plan, &context, "sync");
    struct bench_signatures *signatures = bench_signatures_new();
    struct node *member = start(&homes, 0, false);
    bench_say("making %d records final", RECORDS);
    feed(member, fd);
    struct node_counters counters;
    node_counters(member, &counters);
    bench_say("in %llu blocks", (unsigned long long)counters.blocks);
    struct bench_figure audited = { .name = "sync_audited", .unit = "records/s", .limit_name = BENCH_SIGNATURES_NAME, .kind = BENCH_AT_LEAST, .target = 0.60 };
    struct bench_figure certified = { .name = "sync_certified", .unit = "records/s", .limit_name = "sync_audited", .kind = BENCH_AT_LEAST, .target = 5 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        double audited_us, certified_us, limit = bench_signatures_rate(signatures, bench_cores(), 1000, NULL);
        double slow = catch_up(&homes, member, false, &audited_us), fast = catch_up(&homes, member, true, &certified_us);
        bench_round(&audited, slow, limit);
        bench_round(&certified, fast, slow);
        bench_say("round %u: %.0f audited (%.1f us of processor time each), %.0f certified (%.1f us)", round + 1, slow, audited_us, fast, certified_us);
    }
    bench_need(node_stop(member), "the member stopped by itself");
    bench_report(&context, &audited);
    bench_report(&context, &certified);
    bench_signatures_free(signatures);
    close(fd);
    bench_remove_tree(directory);
    return 0;
}
