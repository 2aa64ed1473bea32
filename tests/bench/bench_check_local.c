/* The answer to "may slot s of agreement X be used now?" inside the node (the function behind GET /v1/check), beside one
   LevelDB get of the same value: same keys, same database, same caches, among 100,000 active agreements. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "crypto.h"
#include "feed.h"
#include "node_private.h"
#include "tables.h"

enum { TERMS = 6400, ORGANISATIONS = 16, RECORDS = TERMS / BENCH_ENTRIES, AGREEMENTS = TERMS * ORGANISATIONS, ROUNDS = 9, PER_ROUND = 20000 };

static void fill(struct bench_node *node, const struct bench_context *context, const struct cl_network_id *network, uint8_t (*ids)[32])
{
    struct bench_plan plan = { .kind = BENCH_TERMS, .entries = 1, .network = *network, .series = 40, .count = TERMS };
    for (unsigned organisation = 0; organisation <= ORGANISATIONS; organisation++) { /* 0: the TERMS themselves */
        struct bench_reader reader;
        char name[32];
        snprintf(name, sizeof name, "check-%u", organisation);
        if (organisation > 0) plan = (struct bench_plan){ .kind = BENCH_SUBSCRIBE_TERMS, .entries = BENCH_ENTRIES, .network = *network,
                                                          .series = 40, .organisation = organisation, .count = RECORDS };
        int fd = bench_records_cached(&plan, context, name);
        bench_reader_init(&reader, fd);
        (void)bench_node_feed(node, &reader, plan.count, NULL);
        for (uint32_t i = 0; organisation > 0 && i < TERMS; i++) {
            struct cl_object_id object;
            bench_object_of(&object, &plan, i / BENCH_ENTRIES, i % BENCH_ENTRIES);
            memcpy(ids[(organisation - 1) * TERMS + i], object.bytes, 32);
        }
        bench_reader_deinit(&reader);
        close(fd);
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static double check_seconds(struct bench_node *node, uint8_t (*ids)[32], uint64_t *random)
{
    uint64_t begin = bench_now_ns(), now_ms = (uint64_t)time(NULL) * 1000u;
    for (unsigned i = 0; i < PER_ROUND; i++)
        bench_need(node_check(node->node, ids[next_random(random) % AGREEMENTS], 1u << (i % 3), now_ms, NULL, NULL), "an active agreement");
    return (double)(bench_now_ns() - begin) / 1e9 / PER_ROUND;
}

static double get_seconds(struct bench_node *node, uint8_t (*ids)[32], uint64_t *random)
{
    const struct cl_store *store = &node->node->store;
    struct cl_buffer value = { 0 };
    uint64_t begin = bench_now_ns();
    for (unsigned i = 0; i < PER_ROUND; i++) {
        struct cl_table_key key;
        cl_key_hash(&key, CL_TABLE_STATE, ids[next_random(random) % AGREEMENTS]);
        bench_need(store->get(store->context, &value, NULL, key.bytes, key.length), "a state value");
    }
    cl_buffer_deinit(&value);
    return (double)(bench_now_ns() - begin) / 1e9 / PER_ROUND;
}

int main(int argc, char **argv)
{
    struct bench_context context;
    struct cl_network_id network;
    struct bench_node node;
    char directory[4096];
    uint8_t (*ids)[32] = malloc(AGREEMENTS * sizeof *ids), (*hashes)[32] = malloc(AGREEMENTS * sizeof *hashes);
    if (!ids || !hashes) bench_fail("out of memory");
    bench_begin(&context, argc, argv, "check_local");
    bench_home(&network, &context);
    bench_temporary(directory, context.data);
    bench_home_copy(&context, directory);
    bench_node_open(&node, directory);
    bench_say("making %d active agreements", AGREEMENTS);
    fill(&node, &context, &network, ids);
    bench_node_close(&node); /* a start puts what is in memory into tables, as in a node that has run for a while */
    bench_node_open(&node, directory);
    for (uint32_t i = 0; i < AGREEMENTS; i++) cl_sha256_once(hashes[i], ids[i], 32); /* the get is not charged for it */
    struct bench_figure figure = { .name = "check_local", .unit = "us", .limit_name = "one LevelDB get of the value, us", .kind = BENCH_AT_MOST, .target = 3 };
    uint64_t random = 88172645463325252u;
    (void)check_seconds(&node, ids, &random);
    (void)get_seconds(&node, hashes, &random);
    for (unsigned round = 0; round < ROUNDS; round++) {
        double limit = round % 2 ? get_seconds(&node, hashes, &random) : 0;
        double value = check_seconds(&node, ids, &random);
        if (round % 2 == 0) limit = get_seconds(&node, hashes, &random);
        bench_round(&figure, value * 1e6, limit * 1e6);
    }
    bench_report(&context, &figure);
    bench_node_close(&node);
    bench_remove_tree(directory);
    free(ids);
    free(hashes);
    return 0;
}
