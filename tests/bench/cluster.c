/* Data folders of a consortium of four, its nodes, and feeding them. */
#include "cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "homes.h"
#include "logging.h"

enum { FILE_BYTES_MAX = 1 << 20, SETTLE_NS_MAX_S = 300 };
static const char *const home_files[] = { "node.seed", "tls.key", "genesis.json" };

static void join(char out[4096], const char *directory, const char *name, size_t number)
{
    int length = snprintf(out, 4096, "%s/%zu/%s", directory, number, name);
    if (length < 0 || length >= 4096) bench_fail("a path is too long");
}

static void make_directory(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) bench_fail("%s: %s", path, strerror(errno));
}

static void home_path(char out[4096], const struct bench_context *context)
{
    int length = snprintf(out, 4096, "%s/cluster-home", context->data);
    if (length < 0 || length >= 4096) bench_fail("a path is too long");
}

/* Made before, by this program as it is, and its ports are free now. */
static bool home_serves(struct cl_network_id *network, const char *home)
{
    char path[4096];
    struct genesis_error error;
    struct node_genesis genesis;
    join(path, home, "genesis.json", 0); /* written last: then all are there */
    if (access(path, R_OK) != 0 || node_genesis_load(&genesis, &error, path) != CL_OK) return false;
    unsigned port = 0;
    bool serves = genesis.core.value.member_count == BENCH_CLUSTER_NODES;
    if (serves) {
        struct genesis_peer first;
        node_genesis_peer(&first, &genesis, 0);
        port = (unsigned)strtoul(strrchr(first.info->address, ':') + 1, NULL, 10);
    }
    *network = genesis.core.network;
    node_genesis_deinit(&genesis);
    return serves && homes_ports_are_free(port, BENCH_CLUSTER_NODES);
}

void bench_cluster_home(struct cl_network_id *network, const struct bench_context *context)
{
    char home[4096];
    struct homes homes;
    home_path(home, context);
    if (home_serves(network, home)) return;
    bench_remove_tree(home);
    make_directory(home);
    homes_make(&homes, home, BENCH_CLUSTER_NODES, 0, 0);
    *network = homes.network;
}

static struct node *start(const struct bench_cluster *cluster, const char *home, size_t number)
{
    struct node_options options = { 0 };
    struct cl_buffer bytes = { 0 };
    struct node *node = NULL;
    char from[4096], to[4096], sentence[512];
    node_config_default(&options.config);
    int length = snprintf(options.config.data, sizeof options.config.data, "%s/%zu", cluster->directory, number);
    if (length < 0 || (size_t)length >= sizeof options.config.data) bench_fail("a path is too long");
    make_directory(options.config.data);
    for (size_t i = 0; i < sizeof home_files / sizeof home_files[0]; i++) {
        bytes.length = 0;
        join(from, home, home_files[i], number);
        join(to, cluster->directory, home_files[i], number);
        bench_need(file_read(&bytes, from, FILE_BYTES_MAX), from);
        bench_need(file_write(to, bytes.data, bytes.length, 0600, true), to);
    }
    cl_buffer_deinit(&bytes);
    snprintf(options.config.listen, sizeof options.config.listen, "none");
    if (node_start(&node, &options, sentence, sizeof sentence) != CL_OK) bench_fail("node %zu does not start: %s", number, sentence);
    return node;
}

void bench_cluster_open(struct bench_cluster *out, const struct bench_context *context)
{
    char home[4096];
    const struct timespec pause = { 0, 10000000 };
    *out = (struct bench_cluster){ 0 };
    home_path(home, context);
    bench_temporary(out->directory, context->data);
    log_set_level(LOG_LEVEL_ERROR);
    for (size_t i = 0; i < BENCH_CLUSTER_NODES; i++) out->nodes[i] = start(out, home, i);
    uint64_t until = bench_now_ns() + 30000000000u;
    for (size_t i = 0; i < BENCH_CLUSTER_NODES; i++)
        while (node_links_up(out->nodes[i]) < BENCH_CLUSTER_NODES - 1) {
            if (bench_now_ns() > until) bench_fail("node %zu does not reach the others", i);
            nanosleep(&pause, NULL);
        }
}

void bench_cluster_close(struct bench_cluster *cluster)
{
    for (size_t i = 0; i < BENCH_CLUSTER_NODES; i++) bench_need(node_stop(cluster->nodes[i]), "a node stopped by itself");
    bench_remove_tree(cluster->directory);
}

void bench_cluster_wait(struct bench_cluster *cluster, uint64_t more)
{
    const struct timespec pause = { 0, 500000 };
    struct node_counters counters = { 0 };
    uint64_t until = bench_now_ns() + SETTLE_NS_MAX_S * 1000000000ull;
    cluster->final_records += more;
    for (size_t i = 0; i < BENCH_CLUSTER_NODES; i++)
        for (node_counters(cluster->nodes[i], &counters); counters.final_records < cluster->final_records; node_counters(cluster->nodes[i], &counters)) {
            if (bench_now_ns() > until)
                bench_fail("node %zu: %llu of %llu records are final (refused %llu, malformed %llu, bad %llu)", i, (unsigned long long)counters.final_records,
                           (unsigned long long)cluster->final_records, (unsigned long long)counters.refused, (unsigned long long)counters.malformed,
                           (unsigned long long)counters.bad_signature);
            nanosleep(&pause, NULL);
        }
}

double bench_cluster_feed(struct bench_cluster *cluster, struct bench_reader *reader, uint64_t count)
{
    struct cl_view records[256];
    uint64_t begin = bench_now_ns(), fed = 0;
    for (size_t turn = 0; fed < count; turn++) {
        uint64_t left = count - fed;
        size_t got = bench_reader_next(reader, records, left < 256 ? (size_t)left : 256), own = turn % BENCH_CLUSTER_NODES;
        if (got == 0) bench_fail("too few records in the stream");
        bench_need(node_submit_batch(cluster->nodes[own], records, got, (uint32_t)own), "submitting records");
        fed += got;
    }
    bench_cluster_wait(cluster, count);
    return (double)(bench_now_ns() - begin) / 1e9;
}
