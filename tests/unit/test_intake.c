/* Records from links, into a node of four whose other members are away: what each may make it keep, and what is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "fixture.h"
#include "homes.h"
#include "logging.h"
#include "node.h"

/* 320 records: 20 are kept for withdrawals, and each of four is guaranteed 56 of the others; 76 are common. */
enum { MEMBERS = 4, ROOM = 320, COMMON = 76, GUARANTEED = 56, OFFERED_MAX = 400 };
static char home[] = "/tmp/consent-intake-XXXXXX";
static struct fixture_network network; /* of which records are signed: the node's */
static uint64_t customers;             /* used up */
static uint64_t now_ms;                /* at the start: when everything is issued */

static void make_member(size_t index, unsigned port, char path[64])
{
    struct node_keys keys;
    struct member_info info = { .role = "controller", .jurisdiction = "EU" };
    struct cl_buffer file = { 0 };
    char directory[64], name[16], key[NODE_PEM_BYTES_MAX], key_path[80], words[256];
    snprintf(directory, sizeof directory, "%s/%zu", home, index);
    snprintf(name, sizeof name, "member-%zu", index);
    snprintf(path, 64, "%s/%zu.json", home, index);
    snprintf(key_path, sizeof key_path, "%s/tls.key", directory);
    snprintf(info.address, sizeof info.address, "127.0.0.1:%u", port);
    assert_int_equal(mkdir(directory, 0700), 0);
    FIXTURE_OK(node_keys_create(&keys, directory));
    FIXTURE_OK(node_certificate_make(info.certificate, key, name, words, sizeof words));
    FIXTURE_OK(file_write(key_path, key, strlen(key), 0600, true));
    FIXTURE_OK(member_file_encode(&file, name, &info, &keys));
    FIXTURE_OK(file_write(path, file.data, file.length, 0644, true));
    cl_buffer_deinit(&file);
}

static int make_home(void **state)
{
    (void)state;
    static char paths[MEMBERS][64];
    const char *names[MEMBERS];
    struct cl_parameters parameters;
    struct genesis_error error;
    struct node_genesis genesis;
    struct cl_buffer document = { 0 };
    char path[64];
    if (mkdtemp(home) == NULL) return 1;
    unsigned port = homes_free_ports(MEMBERS);
    for (size_t i = 0; i < MEMBERS; i++) {
        make_member(i, port + 2 * (unsigned)i, paths[i]);
        names[i] = paths[i];
    }
    now_ms = (uint64_t)time(NULL) * 1000;
    node_parameters_default(&parameters, MEMBERS);
    FIXTURE_OK(node_genesis_compose(&document, &error, "intake.example/log", now_ms - 1000, &parameters, names, MEMBERS));
    snprintf(path, sizeof path, "%s/0/genesis.json", home);
    FIXTURE_OK(file_write(path, document.data, document.length, 0644, true));
    FIXTURE_OK(node_genesis_decode(&genesis, &error, document.data, document.length));
    fixture_network_make(&network, MEMBERS);
    network.genesis.network = genesis.core.network;
    node_genesis_deinit(&genesis);
    cl_buffer_deinit(&document);
    return 0;
}

static int remove_home(void **state)
{
    (void)state;
    char command[80];
    snprintf(command, sizeof command, "rm -rf %s", home);
    return system(command);
}

static struct node *start(void)
{
    struct node *node = NULL;
    struct node_options options = { .new_vote_log = true };
    char sentence[512];
    node_config_default(&options.config);
    snprintf(options.config.data, sizeof options.config.data, "%s/0", home);
    snprintf(options.config.listen, sizeof options.config.listen, "none");
    options.config.pool_records_max = ROOM;
    log_set_level(LOG_LEVEL_ERROR);
    if (node_start(&node, &options, sentence, sizeof sentence) != CL_OK) fail_msg("the node does not start: %s", sentence);
    return node;
}

/* GRANTs, or REVOKEs of nothing, of customers that nobody has seen. */
static size_t offer(struct node *node, enum cl_record_type type, size_t count, uint32_t source)
{
    static struct cl_ledger_record *records[OFFERED_MAX];
    static struct cl_view views[OFFERED_MAX];
    struct cl_object_id object;
    for (size_t i = 0; i < count; i++) {
        fixture_object(&object, ++customers, 1);
        records[i] = type == CL_GRANT ? fixture_grant(&network, customers, 1, 2, now_ms) : fixture_act(&network, type, customers, &object, NULL, now_ms);
        views[i] = records[i]->record.bytes;
    }
    size_t taken = node_offer_records(node, views, count, source);
    for (size_t i = 0; i < count; i++) cl_ledger_record_unref(records[i]);
    return taken;
}

static struct node_source_counters counters_of(struct node *node, size_t source)
{
    struct node_source_counters counters;
    node_count_source(node, source, &counters);
    return counters;
}

static void a_member_that_floods_is_cut_and_nobody_else(void **state)
{
    (void)state;
    struct node *node = start();
    assert_int_equal(offer(node, CL_GRANT, OFFERED_MAX, 3), COMMON + GUARANTEED);
    assert_int_equal(counters_of(node, 3).taken, COMMON + GUARANTEED);
    assert_int_equal(counters_of(node, 3).dropped, OFFERED_MAX - COMMON - GUARANTEED);
    assert_int_equal(counters_of(node, 3).waiting_records, COMMON + GUARANTEED);
    for (uint32_t source = 0; source < 3; source++) {
        assert_int_equal(offer(node, CL_GRANT, GUARANTEED + 3, source), GUARANTEED);
        assert_int_equal(counters_of(node, source).dropped, 3);
    }
    FIXTURE_OK(node_stop(node));
}

static void withdrawals_of_members_find_the_room_that_is_kept(void **state)
{
    (void)state;
    struct node *node = start();
    assert_int_equal(offer(node, CL_GRANT, OFFERED_MAX, 3), COMMON + GUARANTEED);
    assert_int_equal(offer(node, CL_GRANT, OFFERED_MAX, 1), GUARANTEED);
    assert_int_equal(offer(node, CL_REVOKE, 40, 3), 20 - 3 * 3); /* of 20 each is guaranteed 3 */
    assert_int_equal(offer(node, CL_SUSPEND, 40, 1), 3);
    assert_int_equal(offer(node, CL_GRANT, 1, 1), 0);
    FIXTURE_OK(node_stop(node));
}

static void what_is_malformed_or_badly_signed_counts_against_its_sender_and_keeps_no_room(void **state)
{
    (void)state;
    struct node *node = start();
    struct cl_ledger_record *record = fixture_grant(&network, ++customers, 1, 2, now_ms);
    uint8_t bad[4096];
    const uint8_t garbage[3] = { 0xd2, 0x84, 0x58 };
    size_t length = record->record.bytes.length;
    assert_true(length <= sizeof bad);
    memcpy(bad, record->record.bytes.data, length);
    bad[length - 40] ^= 1; /* in r */
    const struct cl_view views[] = { { garbage, sizeof garbage }, { bad, length }, { garbage, 0 }, record->record.bytes };
    assert_int_equal(node_offer_records(node, views, 4, 2), 4);
    for (int i = 0; i < 60000 && counters_of(node, 2).waiting_records > 1; i++) nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    const struct node_source_counters sender = counters_of(node, 2), other = counters_of(node, 1);
    assert_int_equal(sender.malformed, 2);
    assert_int_equal(sender.bad_signature, 1);
    assert_int_equal(sender.waiting_records, 1);
    assert_int_equal(sender.waiting_bytes, length);
    assert_int_equal(other.taken + other.malformed + other.bad_signature + other.waiting_records, 0);
    cl_ledger_record_unref(record);
    FIXTURE_OK(node_stop(node));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_that_floods_is_cut_and_nobody_else),
        cmocka_unit_test(withdrawals_of_members_find_the_room_that_is_kept),
        cmocka_unit_test(what_is_malformed_or_badly_signed_counts_against_its_sender_and_keeps_no_room),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
