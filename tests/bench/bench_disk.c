/* What a single-entry record costs on disk with all indexes, after compaction, beside its own bytes. */
#include <stdio.h>
#include <unistd.h>

#include "feed.h"
#include "store.h"

enum { RECORDS = 100000 };

int main(int argc, char **argv)
{
    struct bench_context context;
    struct bench_plan plan = { .kind = BENCH_GRANT, .entries = 1, .series = 10, .count = 200000 }; /* the file of ingest_single */
    struct bench_reader reader;
    struct bench_node node;
    struct cl_store store;
    struct cl_store_options options;
    char directory[4096], path[4096], error[256];
    uint64_t record_bytes = 0;
    bench_begin(&context, argc, argv, "disk");
    bench_home(&plan.network, &context);
    int fd = bench_records_cached(&plan, &context, "single");
    bench_reader_init(&reader, fd);
    bench_temporary(directory, context.data);
    bench_home_copy(&context, directory);
    bench_node_open(&node, directory);
    (void)bench_node_feed(&node, &reader, RECORDS, &record_bytes);
    bench_node_close(&node);
    bench_store_path(path, directory);
    uint64_t before = bench_tree_bytes(path);
    cl_store_options_default(&options);
    options.create = false;
    if (cl_store_leveldb_open(&store, path, &options, error, sizeof error) != CL_OK) bench_fail("%s", error);
    store.compact(store.context);
    store.close(store.context);
    uint64_t after = bench_tree_bytes(path), whole = bench_tree_bytes(directory);
    struct bench_figure disk = { .name = "disk", .unit = "bytes/record", .limit_name = "the record's own bytes", .kind = BENCH_AT_MOST, .target = 3.5 };
    bench_round(&disk, (double)after / RECORDS, (double)record_bytes / RECORDS);
    bench_say("%d records of %.0f bytes; the database has %llu bytes before compaction, %llu after; the data folder with the vote log %llu",
              RECORDS, (double)record_bytes / RECORDS, (unsigned long long)before, (unsigned long long)after, (unsigned long long)whole);
    bench_report(&context, &disk);
    bench_remove_tree(directory);
    bench_reader_deinit(&reader);
    close(fd);
    return 0;
}
