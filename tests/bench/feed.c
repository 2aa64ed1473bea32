/* Data folders for benchmarks, and feeding a node. */
#include "feed.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "logging.h"

enum { SETTLE_MS = 600000, FILE_BYTES_MAX = 1 << 28 };
static const char *const home_files[] = { "node.seed", "genesis.json" };

static void join(char out[4096], const char *directory, const char *name)
{
    int length = snprintf(out, 4096, "%s/%s", directory, name);
    if (length < 0 || length >= 4096) bench_fail("a path is too long");
}

static void copy_file(const char *to, const char *from, unsigned mode)
{
    struct cl_buffer bytes = { 0 };
    bench_need(file_read(&bytes, from, FILE_BYTES_MAX), from);
    bench_need(file_write(to, bytes.data, bytes.length, mode, true), to);
    cl_buffer_deinit(&bytes);
}

static void home_make(const char *home)
{
    struct node_keys keys;
    struct genesis_error error;
    struct cl_parameters parameters;
    struct cl_buffer member = { 0 }, document = { 0 };
    char member_path[4096], path[4096], private_key[NODE_PEM_BYTES_MAX], words[256];
    struct member_info *info = calloc(1, sizeof *info);
    if (!info) bench_fail("out of memory");
    bench_need(node_keys_create(&keys, home), "keys");
    snprintf(info->role, sizeof info->role, "controller");
    snprintf(info->jurisdiction, sizeof info->jurisdiction, "EU");
    snprintf(info->address, sizeof info->address, "127.0.0.1:8781");
    bench_need(node_certificate_make(info->certificate, private_key, "bench", words, sizeof words), "certificate");
    bench_need(member_file_encode(&member, "bench", info, &keys), "member file");
    join(member_path, home, "bench.member.json");
    bench_need(file_write(member_path, member.data, member.length, 0644, true), member_path);
    const char *const paths[] = { member_path };
    node_parameters_default(&parameters, 1);
    enum cl_status status = node_genesis_compose(&document, &error, "bench.consent.example/log", (uint64_t)time(NULL) * 1000u, &parameters, paths, 1);
    if (status != CL_OK) bench_fail("genesis: %s", error.sentence);
    join(path, home, "genesis.json");
    bench_need(file_write(path, document.data, document.length, 0644, true), path);
    node_keys_wipe(&keys);
    cl_buffer_deinit(&member);
    cl_buffer_deinit(&document);
    free(info);
}

void bench_home(struct cl_network_id *network, const struct bench_context *context)
{
    char home[4096], path[4096];
    struct genesis_error error;
    struct node_genesis genesis;
    join(home, context->data, "home");
    join(path, home, "genesis.json");
    if (access(path, R_OK) != 0) {
        bench_remove_tree(home);
        if (mkdir(home, 0700) != 0) bench_fail("%s: %s", home, strerror(errno));
        home_make(home);
    }
    if (node_genesis_load(&genesis, &error, path) != CL_OK) bench_fail("%s: %s", path, error.sentence);
    *network = genesis.core.network;
    node_genesis_deinit(&genesis);
}

void bench_home_copy(const struct bench_context *context, const char *directory)
{
    char home[4096], from[4096], to[4096];
    join(home, context->data, "home");
    for (size_t i = 0; i < sizeof home_files / sizeof home_files[0]; i++) {
        join(from, home, home_files[i]);
        join(to, directory, home_files[i]);
        copy_file(to, from, i == 0 ? 0600 : 0644);
    }
}

void bench_store_path(char out[4096], const char *directory) { join(out, directory, "store"); }

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

void bench_clone(const char *directory, const char *from)
{
    DIR *entries = opendir(from);
    if (!entries) bench_fail("%s: %s", from, strerror(errno));
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) bench_fail("%s: %s", directory, strerror(errno));
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char source[4096], target[4096];
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        join(source, from, entry->d_name);
        join(target, directory, entry->d_name);
        if (lstat(source, &info) != 0) bench_fail("%s: %s", source, strerror(errno));
        if (S_ISDIR(info.st_mode)) bench_clone(target, source);
        else if (ends_with(entry->d_name, ".ldb") || ends_with(entry->d_name, ".sst")) {
            if (link(source, target) != 0) bench_fail("%s: %s", target, strerror(errno));
        } else if (S_ISREG(info.st_mode)) copy_file(target, source, info.st_mode & 0777);
    }
    closedir(entries);
}

void bench_node_open(struct bench_node *out, const char *directory)
{
    struct node_options options = { .new_vote_log = true };
    char sentence[512];
    node_config_default(&options.config);
    snprintf(options.config.data, sizeof options.config.data, "%s", directory);
    snprintf(options.config.listen, sizeof options.config.listen, "none");
    log_set_level(LOG_LEVEL_ERROR);
    *out = (struct bench_node){ 0 };
    enum cl_status status = node_start(&out->node, &options, sentence, sizeof sentence);
    if (status != CL_OK) bench_fail("the node does not start: %s: %s", cl_status_code(status), sentence);
}

void bench_node_close(struct bench_node *node)
{
    bench_need(node_stop(node->node), "the node stopped by itself");
    node->node = NULL;
}

uint64_t bench_node_submit(struct bench_node *node, struct bench_reader *reader, uint64_t count)
{
    struct cl_view records[BENCH_FRAME_RECORDS];
    uint64_t fed = 0, total = 0;
    while (fed < count) {
        uint64_t left = count - fed;
        size_t got = bench_reader_next(reader, records, left < BENCH_FRAME_RECORDS ? (size_t)left : BENCH_FRAME_RECORDS);
        if (got == 0) break;
        for (size_t i = 0; i < got; i++) total += records[i].length;
        bench_need(node_submit_batch(node->node, records, got, 0), "submitting records");
        fed += got;
    }
    if (count != UINT64_MAX && fed < count) bench_fail("too few records in the stream");
    node->fed += fed;
    return total;
}

double bench_node_feed(struct bench_node *node, struct bench_reader *reader, uint64_t count, uint64_t *bytes)
{
    struct node_counters counters;
    uint64_t begin = bench_now_ns(), total = bench_node_submit(node, reader, count);
    bench_need(node_wait_settled(node->node, node->fed, SETTLE_MS), "waiting until the last record is final");
    double seconds = (double)(bench_now_ns() - begin) / 1e9;
    node_counters(node->node, &counters);
    if (counters.final_records != node->fed)
        bench_fail("%llu of %llu records are final (refused %llu, malformed %llu, bad %llu, duplicates %llu)",
                   (unsigned long long)counters.final_records, (unsigned long long)node->fed, (unsigned long long)counters.refused,
                   (unsigned long long)counters.malformed, (unsigned long long)counters.bad_signature, (unsigned long long)counters.duplicates);
    if (bytes) *bytes = total;
    return seconds;
}
