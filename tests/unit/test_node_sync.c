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

#include "crypto.h"
#include "files.h"
#include "fixture.h"
#include "homes.h"
#include "ledger_check.h"
#include "logging.h"
#include "node_private.h"
#include "sync.h"

enum { DEADLINE_S = 120 };

struct scene { char directory[64]; struct homes homes; struct fixture_network network; struct node *nodes[HOMES_MAX]; uint64_t customer, fed; };

static void open_scene(struct scene *scene, size_t members, size_t observers)
{
    memset(scene, 0, sizeof *scene);
    memcpy(scene->directory, "/tmp/consent-sync-XXXXXX", sizeof "/tmp/consent-sync-XXXXXX");
    assert_non_null(mkdtemp(scene->directory));
    homes_make(&scene->homes, scene->directory, members, observers, 0);
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
    uint64_t refused = counters_of(&scene, 1).refused;
    struct cl_ledger_record *clash = fixture_grant(&scene.network, scene.customer - 1, 1, 3, node_now_ms()); /* opens what is open */
    FIXTURE_OK(node_submit_batch(scene.nodes[1], &clash->record.bytes, 1, 1));
    cl_ledger_record_unref(clash);
    for (size_t i = 0; i < 2000 && (counters_of(&scene, 1).refused == refused || counters_of(&scene, 1).pool_records > 0); i++) pause_ms(10);
    assert_true(counters_of(&scene, 1).refused > refused && counters_of(&scene, 1).pool_records == 0); /* although it makes no blocks */
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

/* ---- a member that lies: its keys and its place in the links, but a ledger of the test's making */
struct liar {
    struct scene *scene;
    struct node_genesis genesis;
    struct node_keys keys;
    struct cl_store store;
    struct cl_smt_buckets buckets;
    struct cl_ledger *ledger;
    struct transport *transport;
    char tls_key[NODE_PEM_BYTES_MAX], ask[HOMES_MAX][NODE_ADDRESS_SIZE];
    bool bends;                   /* each body that it serves has one bent record */
    atomic_size_t served;
};

static void liar_block(struct liar *liar, struct cl_ledger_record **records, size_t count)
{
    struct cl_candidate *candidate;
    struct cl_candidate_summary sealed;
    struct cl_tip tip;
    struct cl_buffer bytes = { 0 }, encoded = { 0 };
    struct cl_certificate *certificate = calloc(1, sizeof *certificate);
    cl_ledger_tip(liar->ledger, &tip);
    FIXTURE_OK(cl_candidate_new(&candidate, liar->ledger, NULL, node_now_ms() > tip.time_ms ? node_now_ms() : tip.time_ms + 1));
    for (size_t i = 0; i < count; i++) {
        FIXTURE_OK(cl_candidate_add(candidate, records[i], NULL)); /* the ledger does not look at signatures */
        cl_ledger_record_unref(records[i]);
    }
    FIXTURE_OK(cl_candidate_seal(candidate, &sealed));
    *certificate = (struct cl_certificate){ .view = tip.view + 1, .kind = CL_VOTE_FINALIZE, .has_block = true, .block = sealed.id, .member_count = 1, .vote_count = 1, .voters = { 1 } };
    FIXTURE_OK(cl_vote_signed_bytes(&bytes, &liar->genesis.core.network, 0, CL_VOTE_FINALIZE, tip.view + 1, &sealed.id));
    cl_ed25519_sign(certificate->signatures[0], liar->keys.vote_seed, bytes.data, bytes.length);
    FIXTURE_OK(cl_certificate_encode(&encoded, certificate));
    FIXTURE_OK(cl_ledger_commit(liar->ledger, candidate, tip.view + 1, tip.view, encoded.data, encoded.length));
    cl_candidate_free(candidate);
    cl_buffer_deinit(&bytes);
    cl_buffer_deinit(&encoded);
    free(certificate);
}

/* The last byte of the last record in the answer, which is the payload's last byte. */
static void on_liar_asked(void *context, size_t sender, const struct frame *frame, struct transport_question *question)
{
    struct liar *liar = context;
    struct frame_range_request request;
    struct cl_ledger_view *view = NULL;
    struct cl_buffer payload = { 0 };
    (void)sender;
    enum cl_status status = frame->kind == FRAME_RANGE_REQUEST ? frame_range_request_decode(&request, frame->payload) : CL_E_UNSUPPORTED;
    if (status == CL_OK) status = cl_ledger_view_new(&view, liar->ledger);
    if (status == CL_OK) status = sync_serve(&payload, view, &request);
    if (status == CL_OK && liar->bends && request.skip < CL_BLOCK_RECORDS_MAX) payload.data[payload.length - 1] ^= 1;
    if (status == CL_OK) status = transport_answer(question, FRAME_RANGE, payload.data, payload.length);
    if (status != CL_OK) transport_decline(question);
    atomic_fetch_add(&liar->served, 1);
    cl_ledger_view_free(view);
    cl_buffer_deinit(&payload);
}

static void on_liar_hears(void *context, size_t sender, const struct frame *frame) { (void)context, (void)sender, (void)frame; }

static void liar_open(struct liar *liar, struct scene *scene)
{
    struct transport_member members[HOMES_MAX];
    struct transport_error error;
    struct genesis_error genesis_error;
    struct cl_buffer key = { 0 };
    char folder[NODE_PATH_MAX], path[NODE_PATH_MAX + 16];
    memset(liar, 0, sizeof *liar);
    liar->scene = scene;
    homes_path(folder, &scene->homes, 0);
    FIXTURE_OK(node_keys_load(&liar->keys, folder));
    snprintf(path, sizeof path, "%s/genesis.json", folder);
    FIXTURE_OK(node_genesis_load(&liar->genesis, &genesis_error, path));
    FIXTURE_OK(cl_store_mem_open(&liar->store));
    FIXTURE_OK(cl_buckets_memory_new(&liar->buckets));
    FIXTURE_OK(cl_ledger_create(&liar->store, &liar->genesis.core));
    FIXTURE_OK(cl_ledger_open(&liar->ledger, &liar->store, &liar->buckets, &liar->genesis.core, NULL, NULL));
    snprintf(path, sizeof path, "%s/tls.key", folder);
    FIXTURE_OK(file_read(&key, path, NODE_PEM_BYTES_MAX - 1));
    memcpy(liar->tls_key, key.data, key.length);
    cl_buffer_deinit(&key);
    for (size_t i = 0; i < scene->homes.count; i++) {
        struct genesis_peer peer;
        node_genesis_peer(&peer, &liar->genesis, i);
        node_address_ask(liar->ask[i], peer.info->address);
        members[i] = (struct transport_member){ .name = peer.name, .certificate = peer.info->certificate, .vote32 = peer.vote32,
                                                .address = peer.info->address, .ask_address = liar->ask[i] };
    }
    struct transport_config config = { .network = liar->genesis.core.network, .members = members, .member_count = scene->homes.count, .own = 0,
        .vote_seed32 = liar->keys.vote_seed, .key = liar->tls_key, .listen = members[0].address, .listen_ask = liar->ask[0], .wall_ms = node_now_ms,
        .context = liar, .receive = on_liar_hears, .question = on_liar_asked };
    if (transport_new(&liar->transport, &error, &config) != CL_OK) fail_msg("%s", error.sentence);
}

static void liar_says(struct liar *liar)
{
    struct cl_buffer payload = { 0 };
    struct cl_tip tip;
    cl_ledger_tip(liar->ledger, &tip);
    FIXTURE_OK(frame_status_encode(&payload, &(struct frame_status){ tip.height, tip.view + 1, tip.view }));
    FIXTURE_OK(transport_send(liar->transport, TRANSPORT_ALL, LANE_ANNOUNCEMENTS, FRAME_STATUS, payload.data, payload.length));
    transport_flush(liar->transport);
    cl_buffer_deinit(&payload);
}

static void liar_close(struct liar *liar)
{
    transport_free(liar->transport);
    cl_ledger_close(liar->ledger);
    cl_buckets_free(&liar->buckets);
    liar->store.close(liar->store.context);
    node_genesis_deinit(&liar->genesis);
}

static void liar_grants(struct liar *liar, size_t count)
{
    struct cl_ledger_record *records[64];
    for (size_t i = 0; i < count; i++) records[i] = fixture_grant(&liar->scene->network, liar->scene->customer++, 1, 2, node_now_ms() - 1000);
    liar_block(liar, records, count);
}

static void got_from_somebody_else(bool certified)
{
    struct scene scene;
    struct liar liar;
    open_scene(&scene, 1, 2);
    liar_open(&liar, &scene);
    for (size_t i = 0; i < 20; i++) liar_grants(&liar, 30);
    start(&scene, 2, false);
    struct cl_tip tip;
    cl_ledger_tip(liar.ledger, &tip);
    for (size_t i = 0; i < 2000 && counters_of(&scene, 2).log_size < tip.log_size; i++) { /* one observer hears the truth */
        if (i % 50 == 0) liar_says(&liar);
        pause_ms(10);
    }
    assert_int_equal(counters_of(&scene, 2).log_size, tip.log_size);
    stop(&scene, 2);
    liar.bends = true;
    start(&scene, 1, certified); /* and the other at first nothing but lies */
    for (size_t i = 0; i < 3000 && atomic_load(&scene.nodes[1]->counters.sync_wrong) == 0; i++) {
        if (i % 20 == 0) liar_says(&liar);
        pause_ms(10);
    }
    assert_true(atomic_load(&scene.nodes[1]->counters.sync_wrong) > 0);
    assert_true(counters_of(&scene, 1).log_size < tip.log_size);
    start(&scene, 2, false);
    wait_for(&scene, 1, tip.log_size);
    stop(&scene, 1);
    stop(&scene, 2);
    liar_close(&liar);
    same_blocks(&scene, 2, 1);
    close_scene(&scene);
}

static void records_that_do_not_give_the_id_are_got_from_somebody_else(void **state)
{
    (void)state;
    got_from_somebody_else(false);
}

/* There they are found among several blocks that were taken together. */
static void also_by_who_believes_a_quorum(void **state)
{
    (void)state;
    got_from_somebody_else(true);
}

/* A quorum can make anything final. Whoever audits does not follow it, and says so; whoever trusts it does. */
static void a_final_block_with_a_bad_signature_stops_who_audits(void **state)
{
    (void)state;
    struct scene scene;
    struct liar liar;
    open_scene(&scene, 1, 1);
    liar_open(&liar, &scene);
    liar_grants(&liar, 5);
    struct cl_ledger_record *good = fixture_grant(&scene.network, scene.customer++, 1, 2, node_now_ms() - 1000), *bad;
    struct cl_buffer bytes = { 0 };
    FIXTURE_OK(cl_buffer_append(&bytes, good->record.bytes.data, good->record.bytes.length));
    bytes.data[bytes.length - 1] ^= 1; /* within its signature */
    FIXTURE_OK(cl_ledger_record_new(&bad, NULL, bytes.data, bytes.length, &scene.network.genesis.network));
    assert_int_equal(cl_record_check_signature(&bad->record), CL_E_SIGNATURE);
    cl_ledger_record_unref(good);
    liar_block(&liar, &bad, 1);
    cl_buffer_deinit(&bytes);
    for (size_t certified = 0; certified < 2; certified++) {
        start(&scene, 1, certified == 1);
        struct cl_tip tip;
        cl_ledger_tip(liar.ledger, &tip);
        for (size_t i = 0; i < 3000 && counters_of(&scene, 1).height < 2 && !atomic_load(&scene.nodes[1]->failed); i++) {
            if (i % 20 == 0) liar_says(&liar);
            pause_ms(10);
        }
        assert_int_equal(counters_of(&scene, 1).height, certified == 1 ? 2 : 1);
        assert_int_equal(node_stop(scene.nodes[1]), certified == 1 ? CL_OK : CL_E_BLOCK_INVALID);
        scene.nodes[1] = NULL;
    }
    liar_close(&liar);
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
        cmocka_unit_test(records_that_do_not_give_the_id_are_got_from_somebody_else),
        cmocka_unit_test(also_by_who_believes_a_quorum),
        cmocka_unit_test(a_final_block_with_a_bad_signature_stops_who_audits),
        cmocka_unit_test(a_member_that_was_away_returns_while_the_others_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
