/* Catching up by height between real nodes in this process, over TLS on loopback, with databases on disk: an observer that
   comes late and keeps up, a member that was away, a node that is killed on the way, blocks of several frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "homes.h"
#include "ledger_check.h"
#include "logging.h"
#include "node_private.h"

enum { DEADLINE_S = 120 };

struct scene { char directory[64]; struct homes homes; struct fixture_network network; struct node *nodes[HOMES_MAX]; uint64_t customer, fed; };

static void open_scene(struct scene *scene, size_t members, size_t observers)
{
    memset(scene, 0, sizeof *scene);
    memcpy(scene->directory, "/tmp/consent-sync-XXXXXX", sizeof "/tmp/consent-sync-XXXXXX");
    assert_non_null(mkdtemp(scene->directory));
    homes_make(&scene->homes, scene->directory, members, observers);
    scene->network.genesis.network = scene->homes.network;
    scene->customer = 1000;
}

static void start(struct scene *scene, size_t number, bool certified)
{
    char sentence[512];
    struct node_config config;
    node_config_default(&config);
    config.sync_certified = certified;
    if (homes_start(&scene->nodes[number], &scene->homes, number, &config, sentence, sizeof sentence) != CL_OK) fail_msg("node %zu: %s", number, sentence);
}

static void stop(struct scene *scene, size_t number)
{
    struct node *node = scene->nodes[number];
    scene->nodes[number] = NULL;
    FIXTURE_OK(node_stop(node));
}

static void close_scene(struct scene *scene)
{
    char command[128];
    for (size_t i = 0; i < HOMES_MAX; i++)
        if (scene->nodes[i] != NULL) stop(scene, i);
    snprintf(command, sizeof command, "rm -rf %s", scene->directory);
    assert_int_equal(system(command), 0);
}

static struct node_counters counters_of(struct scene *scene, size_t number)
{
    struct node_counters counters;
    node_counters(scene->nodes[number], &counters);
    return counters;
}

/* Single offers, to one node. */
static void feed(struct scene *scene, size_t number, size_t count)
{
    for (size_t at = 0; at < count;) {
        struct cl_ledger_record *records[64];
        struct cl_view views[64];
        size_t part = count - at < 64 ? count - at : 64;
        for (size_t i = 0; i < part; i++) {
            records[i] = fixture_grant(&scene->network, scene->customer++, 1, 2, node_now_ms() - 1000);
            views[i] = records[i]->record.bytes;
        }
        FIXTURE_OK(node_submit_batch(scene->nodes[number], views, part, (uint32_t)number));
        for (size_t i = 0; i < part; i++) cl_ledger_record_unref(records[i]);
        at += part;
    }
    scene->fed += count;
}

/* Records of 400 profiles, 57 KB each. */
static void feed_large(struct scene *scene, size_t number, size_t count)
{
    static struct cl_entry entries[400];
    static uint8_t nonces[400][16], hashes[400][32];
    for (size_t r = 0; r < count; r++) {
        for (size_t i = 0; i < 400; i++) {
            fixture_hash(hashes[i], "test_node_sync", scene->customer * 1000 + i);
            memcpy(nonces[i], hashes[i], 16);
            entries[i] = (struct cl_entry){ .present = CL_HAS(1) | CL_HAS(3) | CL_HAS(12) | CL_HAS(15), .object = nonces[i], .object_length = 16,
                .commitment = hashes[i], .key = hashes[i], .key_length = 32, .recovery = hashes[i] };
        }
        struct cl_ledger_record *record = fixture_record(&scene->network, CL_PROFILE, scene->customer++, entries, 400, node_now_ms() - 1000);
        FIXTURE_OK(node_submit_batch(scene->nodes[number], &record->record.bytes, 1, (uint32_t)number));
        cl_ledger_record_unref(record);
    }
    scene->fed += count;
}

static void pause_ms(long ms)
{
    const struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&pause, NULL);
}

/* Until this node's log is as long as that one's at least. Returns ms. */
static uint64_t wait_for(struct scene *scene, size_t number, uint64_t log_size)
{
    uint64_t began = node_monotonic_ms();
    while (counters_of(scene, number).log_size < log_size) {
        if (node_monotonic_ms() - began > DEADLINE_S * 1000u)
            fail_msg("node %zu is at %llu of %llu", number, (unsigned long long)counters_of(scene, number).log_size, (unsigned long long)log_size);
        pause_ms(2);
    }
    return node_monotonic_ms() - began;
}

static void wait_fed(struct scene *scene, size_t number)
{
    uint64_t began = node_monotonic_ms();
    while (counters_of(scene, number).final_records < scene->fed) {
        if (node_monotonic_ms() - began > DEADLINE_S * 1000u) fail_msg("node %zu: %llu records final", number, (unsigned long long)counters_of(scene, number).final_records);
        pause_ms(2);
    }
}

/* Both databases, of stopped nodes: the block at each height of the lower one is the same, and all of it holds. */
static void same_blocks(struct scene *scene, size_t a, size_t b)
{
    struct cl_store stores[2];
    struct cl_tip tips[2];
    uint64_t leaves;
    struct cl_store_options options;
    size_t numbers[2] = { a, b };
    struct node_genesis genesis;
    struct genesis_error error;
    char path[NODE_PATH_MAX + 16], detail[512] = "";
    cl_store_options_default(&options);
    for (size_t i = 0; i < 2; i++) {
        char folder[NODE_PATH_MAX];
        homes_path(folder, &scene->homes, numbers[i]);
        snprintf(path, sizeof path, "%s/genesis.json", folder);
        if (i == 0) FIXTURE_OK(node_genesis_load(&genesis, &error, path));
        snprintf(path, sizeof path, "%s/store", folder);
        FIXTURE_OK(cl_store_leveldb_open(&stores[i], path, &options, detail, sizeof detail));
        FIXTURE_OK(cl_tip_load(&stores[i], NULL, &tips[i], &leaves));
    }
    size_t lower = tips[1].height < tips[0].height;
    struct cl_buffer block = { 0 };
    struct cl_stored_block stored;
    struct cl_table_key key;
    cl_key_number(&key, CL_TABLE_BLOCK, tips[lower].height);
    FIXTURE_OK(cl_store_get_checked(&stores[!lower], &block, NULL, &key));
    FIXTURE_OK(cl_stored_block_decode(&stored, block.data, block.length));
    assert_memory_equal(stored.id.bytes, tips[lower].block.bytes, 32);
    if (fixture_audit(&stores[1], &genesis.core, false, detail, sizeof detail) != CL_OK) fail_msg("%s", detail);
    cl_buffer_deinit(&block);
    for (size_t i = 0; i < 2; i++) stores[i].close(stores[i].context);
    node_genesis_deinit(&genesis);
}

static void an_observer_that_comes_late_gets_there_and_keeps_up(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, 1, 1);
    start(&scene, 0, false);
    feed(&scene, 0, 3000);
    feed_large(&scene, 0, 60); /* 3.4 MB */
    wait_fed(&scene, 0);
    start(&scene, 1, false);
    wait_for(&scene, 1, counters_of(&scene, 0).log_size);
    for (size_t i = 0; i < 10; i++) { /* it hears of each block and asks for it at once */
        feed(&scene, 0, 5);
        wait_fed(&scene, 0);
        assert_true(wait_for(&scene, 1, counters_of(&scene, 0).log_size) < 5000);
    }
    assert_int_equal(counters_of(&scene, 1).final_records, scene.fed);
    stop(&scene, 1);
    feed(&scene, 0, 2000);
    wait_fed(&scene, 0);
    start(&scene, 1, true); /* certified, from here on */
    wait_for(&scene, 1, counters_of(&scene, 0).log_size);
    stop(&scene, 1);
    stop(&scene, 0);
    same_blocks(&scene, 0, 1);
    close_scene(&scene);
}

static void a_node_killed_on_the_way_goes_on_where_it_was(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, 1, 1);
    pid_t children[4];
    start(&scene, 0, false);
    feed(&scene, 0, 6000);
    wait_fed(&scene, 0);
    for (size_t i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            execl("/proc/self/exe", "test_node_sync", scene.directory, (char *)NULL);
            _exit(3);
        }
        pause_ms(250 + 150 * (long)i);
        kill(children[i], SIGKILL);
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFSIGNALED(status));
    }
    start(&scene, 1, false);
    wait_for(&scene, 1, counters_of(&scene, 0).log_size);
    stop(&scene, 1);
    stop(&scene, 0);
    same_blocks(&scene, 0, 1);
    close_scene(&scene);
}

static void a_member_that_was_away_returns_while_the_others_go_on(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, 4, 0);
    for (size_t i = 0; i < 4; i++) start(&scene, i, false);
    feed(&scene, 0, 64);
    wait_fed(&scene, 0);
    for (size_t i = 1; i < 4; i++) wait_for(&scene, i, counters_of(&scene, 0).log_size);
    stop(&scene, 3);
    feed(&scene, 0, 4000);
    feed_large(&scene, 1, 20);
    wait_fed(&scene, 0);
    start(&scene, 3, false);
    uint64_t went_on = 0;
    while (counters_of(&scene, 3).log_size + 200 < counters_of(&scene, 0).log_size || went_on < 10) {
        feed(&scene, 0, 20); /* the others do not wait for it */
        went_on++;
        assert_true(went_on < 400);
        pause_ms(100);
    }
    wait_fed(&scene, 0);
    wait_for(&scene, 3, counters_of(&scene, 0).log_size);
    stop(&scene, 2); /* now its vote is needed */
    feed(&scene, 0, 10);
    wait_fed(&scene, 0);
    wait_for(&scene, 3, counters_of(&scene, 0).log_size);
    for (size_t i = 0; i < 4; i++)
        if (scene.nodes[i] != NULL) stop(&scene, i);
    same_blocks(&scene, 0, 3);
    close_scene(&scene);
}

/* The process that is killed: node 1 of these folders. */
static int be_node(const char *directory)
{
    struct homes homes = { .count = 2 };
    struct node *node;
    char sentence[512];
    snprintf(homes.directory, sizeof homes.directory, "%s", directory);
    if (homes_start(&node, &homes, 1, NULL, sentence, sizeof sentence) != CL_OK) return 3;
    for (;;) pause();
}

int main(int argc, char **argv)
{
    log_set_level(LOG_LEVEL_ERROR);
    if (argc == 2) return be_node(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_observer_that_comes_late_gets_there_and_keeps_up),
        cmocka_unit_test(a_node_killed_on_the_way_goes_on_where_it_was),
        cmocka_unit_test(a_member_that_was_away_returns_while_the_others_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
