/* A member that was away returns while the others go on: four nodes in this process, links over TLS on loopback. One is
   stopped, AWAY_RECORDS records (200,000 unless set) become final without it, it is started again, and single records keep
   coming to the others until it has all that they have. Records a second that it catches up with, beside what the cores
   could check of signatures if they did nothing else. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "homes.h"
#include "limits.h"
#include "logging.h"
#include "measure.h"
#include "records.h"

enum { MEMBERS = 4, GONE = 3, BEFORE = 2000, LIVE_PER_S = 1000, LIVE_MAX = 100000, DEADLINE_S = 1200, LIMIT_MS = 400 };

struct world { struct homes homes; struct node *nodes[MEMBERS]; struct bench_reader reader; uint64_t submitted; size_t turn; };

static struct node *start(const struct world *world, size_t number)
{
    struct node *node = NULL;
    char sentence[512];
    struct node_config config;
    node_config_default(&config);
    if (homes_start(&node, &world->homes, number, &config, sentence, sizeof sentence) != CL_OK) bench_fail("node %zu does not start: %s", number, sentence);
    return node;
}

static uint64_t log_size(struct node *node)
{
    struct node_counters counters;
    node_counters(node, &counters);
    return counters.log_size;
}

static void submit(struct world *world, size_t nodes, size_t count)
{
    struct cl_view records[BENCH_FRAME_RECORDS];
    size_t to = world->turn++ % nodes, got = bench_reader_next(&world->reader, records, count < BENCH_FRAME_RECORDS ? count : BENCH_FRAME_RECORDS);
    if (got == 0) bench_fail("too few records in the stream");
    bench_need(node_submit_batch(world->nodes[to], records, got, (uint32_t)to), "submitting records");
    world->submitted += got;
}

/* Until the first `nodes` nodes have every record that was submitted. */
static void settle(struct world *world, size_t nodes)
{
    const struct timespec pause = { 0, 2000000 };
    uint64_t until = bench_now_ns() + DEADLINE_S * 1000000000ull;
    for (size_t i = 0; i < nodes; i++) {
        struct node_counters counters;
        for (node_counters(world->nodes[i], &counters); counters.final_records < world->submitted; node_counters(world->nodes[i], &counters)) {
            if (bench_now_ns() > until) bench_fail("node %zu has %llu of %llu records", i, (unsigned long long)counters.final_records, (unsigned long long)world->submitted);
            nanosleep(&pause, NULL);
        }
    }
}

static void feed(struct world *world, size_t nodes, uint64_t count)
{
    for (uint64_t until = world->submitted + count; world->submitted < until;) submit(world, nodes, (size_t)(until - world->submitted));
    settle(world, nodes);
}

/* Single records at a steady rate to the others, until the one that was away is where they are. Returns seconds. */
static double come_back(struct world *world)
{
    const struct timespec pause = { 0, 1000000 };
    uint64_t began = bench_now_ns(), live = world->submitted;
    world->nodes[GONE] = start(world, GONE);
    for (;;) {
        uint64_t there = log_size(world->nodes[0]), here = log_size(world->nodes[GONE]), now = bench_now_ns();
        if (here >= there) return (double)(now - began) / 1e9;
        if (now - began > DEADLINE_S * 1000000000ull) bench_fail("it is at %llu of %llu", (unsigned long long)here, (unsigned long long)there);
        uint64_t due = live + (now - began) / (1000000000u / LIVE_PER_S);
        if (due > world->submitted && world->submitted < live + LIVE_MAX) submit(world, GONE, (size_t)(due - world->submitted));
        nanosleep(&pause, NULL);
    }
}

int main(int argc, char **argv)
{
    struct bench_context context;
    struct world world = { 0 };
    char directory[4096];
    const char *wanted = getenv("AWAY_RECORDS");
    uint64_t away = wanted != NULL ? strtoull(wanted, NULL, 10) : 200000;
    struct bench_plan plan = { .kind = BENCH_GRANT, .entries = 1, .series = 44, .count = BEFORE + away + LIVE_MAX };
    struct bench_figure rate = { .name = "away", .unit = "records/s", .limit_name = BENCH_SIGNATURES_NAME, .kind = BENCH_NO_TARGET };
    bench_begin(&context, argc, argv, "away");
    if (away < 1000 || away > 10000000) bench_fail("AWAY_RECORDS is 1000 to 10000000");
    log_set_level(LOG_LEVEL_ERROR);
    bench_temporary(directory, context.data);
    homes_make(&world.homes, directory, MEMBERS, 0, 0);
    plan.network = world.homes.network;
    int fd = bench_records_cached(&plan, &context, "away");
    bench_reader_init(&world.reader, fd);
    for (size_t i = 0; i < MEMBERS; i++) world.nodes[i] = start(&world, i);
    feed(&world, MEMBERS, BEFORE);
    bench_need(node_stop(world.nodes[GONE]), "a node stopped by itself");
    feed(&world, GONE, away);
    uint64_t before = world.submitted;
    struct bench_signatures *signatures = bench_signatures_new();
    double limit = bench_signatures_rate(signatures, bench_cores(), LIMIT_MS, NULL);
    double seconds = come_back(&world);
    bench_round(&rate, (double)(world.submitted - BEFORE) / seconds, limit);
    bench_say("away for %llu records, back after %.1f s, in which %llu more were handed to the others", (unsigned long long)away, seconds, (unsigned long long)(world.submitted - before));
    settle(&world, GONE);
    feed(&world, GONE, 100); /* with all four again */
    for (uint64_t until = bench_now_ns() + 30000000000ull; log_size(world.nodes[GONE]) < log_size(world.nodes[0]);)
        if (bench_now_ns() > until) bench_fail("the node that was away does not follow");
    for (size_t i = 0; i < MEMBERS; i++) bench_need(node_stop(world.nodes[i]), "a node stopped by itself");
    bench_report(&context, &rate);
    bench_signatures_free(signatures);
    bench_reader_deinit(&world.reader);
    close(fd);
    bench_remove_tree(directory);
    return 0;
}
