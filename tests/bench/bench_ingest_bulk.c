/* Subscriptions of 64 entries a record, of both kinds, beside single-entry records on the same node in the same run: an
   organisation accepts 64 customers' GRANT offers with each record, or subscribes to 64 customers' standing TERMS. All 64
   agreements are active at once. */
#include <stdio.h>
#include <unistd.h>

#include "feed.h"

enum { ROUNDS = 4, TERMS = 32768, SINGLES = 32768, ORGANISATIONS = 2 }; /* TERMS, SINGLES: multiples of 64 */

struct source { struct bench_plan plan; struct bench_reader reader; int fd; };

static void open_source(struct source *source, const struct bench_context *context, const char *name)
{
    source->fd = bench_records_cached(&source->plan, context, name);
    bench_reader_init(&source->reader, source->fd);
}

static void close_source(struct source *source)
{
    bench_reader_deinit(&source->reader);
    close(source->fd);
}

/* As many records of each source, one source behind the other. */
static double agreements_per_second(struct bench_node *node, struct source *sources, size_t source_count, uint64_t records, double *processor_us)
{
    double used = bench_cpu_seconds(), agreements = (double)(records * source_count * sources->plan.entries);
    uint64_t begin = bench_now_ns();
    for (size_t i = 0; i + 1 < source_count; i++) (void)bench_node_submit(node, &sources[i].reader, records);
    (void)bench_node_feed(node, &sources[source_count - 1].reader, records, NULL);
    double seconds = (double)(bench_now_ns() - begin) / 1e9;
    *processor_us = (bench_cpu_seconds() - used) * 1e6 / agreements;
    return agreements / seconds;
}

/* Each by another organisation, which may not answer the same TERMS twice. A round takes two, so that it lasts as long as
   a round of single records does: with one it would be over with its second block. */
static void open_subscriptions(struct source *source, const struct bench_context *context, unsigned number)
{
    char name[32];
    source->plan = (struct bench_plan){ .kind = BENCH_SUBSCRIBE_TERMS, .entries = BENCH_ENTRIES, .network = source->plan.network,
                                        .series = 20, .organisation = number + 1, .count = TERMS / BENCH_ENTRIES };
    snprintf(name, sizeof name, "subscribe-%u", number);
    open_source(source, context, name);
}

int main(int argc, char **argv)
{
    struct bench_context context;
    struct bench_node node;
    struct cl_network_id network;
    char directory[4096];
    bench_begin(&context, argc, argv, "ingest_bulk");
    bench_home(&network, &context);
    struct source terms = { .plan = { .kind = BENCH_TERMS, .entries = 1, .network = network, .series = 20, .count = TERMS } };
    struct source singles = { .plan = { .kind = BENCH_GRANT, .entries = 1, .network = network, .series = 21, .count = ROUNDS * SINGLES } };
    struct source answers = { .plan = { .kind = BENCH_ANSWER_GRANTS, .entries = BENCH_ENTRIES, .network = network, .series = 21,
                                        .count = ROUNDS * SINGLES / BENCH_ENTRIES } };
    struct source subscriptions[ROUNDS][ORGANISATIONS];
    open_source(&terms, &context, "terms");
    open_source(&singles, &context, "bulk-single");
    answers.plan.offered_at_ms = singles.plan.issued_at_ms;
    open_source(&answers, &context, "answers");
    for (unsigned i = 0; i < ROUNDS * ORGANISATIONS; i++) {
        struct source *source = &subscriptions[i / ORGANISATIONS][i % ORGANISATIONS];
        source->plan.network = network;
        open_subscriptions(source, &context, i);
    }
    bench_temporary(directory, context.data);
    bench_home_copy(&context, directory);
    bench_node_open(&node, directory);
    bench_say("publishing %d TERMS", TERMS);
    (void)bench_node_feed(&node, &terms.reader, TERMS, NULL);
    double single_us, bulk_us;
    struct bench_figure subscribed = { .name = "ingest_bulk/TERMS", .unit = "agreements/s", .limit_name = "ingest_single here", .kind = BENCH_AT_LEAST, .target = 3 };
    struct bench_figure answered = { .name = "ingest_bulk/offers", .unit = "agreements/s", .limit_name = "ingest_single here", .kind = BENCH_AT_LEAST, .target = 3 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        double single = agreements_per_second(&node, &singles, 1, SINGLES, &single_us);
        double bulk = agreements_per_second(&node, subscriptions[round], ORGANISATIONS, TERMS / BENCH_ENTRIES, &bulk_us);
        bench_round(&subscribed, bulk, single);
        bench_say("round %u: %.0f single (%.1f us of processor time each), %.0f in records of 64 (%.1f us)", round + 1, single, single_us, bulk, bulk_us);
    }
    /* A file of records is in no particular order, so all offers have to be there before the first answer. */
    for (unsigned round = 0; round < ROUNDS; round++) {
        double bulk = agreements_per_second(&node, &answers, 1, SINGLES / BENCH_ENTRIES, &bulk_us);
        bench_round(&answered, bulk, subscribed.limit.values[round]);
        bench_say("round %u: %.0f answers in records of 64 (%.1f us)", round + 1, bulk, bulk_us);
    }
    bench_node_close(&node);
    bench_report(&context, &answered);
    bench_report(&context, &subscribed);
    bench_remove_tree(directory);
    for (unsigned i = 0; i < ROUNDS * ORGANISATIONS; i++) close_source(&subscriptions[i / ORGANISATIONS][i % ORGANISATIONS]);
    close_source(&answers);
    close_source(&singles);
    close_source(&terms);
    return 0;
}
