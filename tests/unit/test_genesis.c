/* Genesis documents and keys: composed from member files, read strictly, named by their bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consent/record.h"
#include "crypto.h"
#include "files.h"
#include "genesis.h"
#include "store.h"

#define FILES 130u /* as many members as there may be; the last two files are observers' */

static char directory[64], member_path[FILES][128];
static struct node_keys keys[FILES];
static struct cl_buffer document;
static struct genesis_error error;

static void name_of(char out[16], size_t index)
{
    static const char *const first[] = { "one", "two" };
    if (index < 2) snprintf(out, 16, "%s", first[index]);
    else snprintf(out, 16, "%s-%zu", index < FILES - 2 ? "member" : "observer", index);
}

/* 127.0.0.1:8781, :8783, …: each takes its port and the next one. */
static int make_file(size_t index)
{
    char key[NODE_PEM_BYTES_MAX], words[128], name[16];
    bool observer = index >= FILES - 2;
    struct cl_buffer text = { 0 };
    struct member_info *info = calloc(1, sizeof *info);
    const uint8_t seed[32] = { (uint8_t)(index + 1) };
    if (info == NULL) return 1;
    name_of(name, index);
    snprintf(info->role, sizeof info->role, "%s", observer ? "" : "controller");
    snprintf(info->jurisdiction, sizeof info->jurisdiction, "%s", observer ? "" : "NL");
    snprintf(info->address, sizeof info->address, "127.0.0.1:%zu", 8781 + 2 * index);
    if (node_keys_derive(&keys[index], seed) != CL_OK) return 1;
    if (node_certificate_make(info->certificate, key, name, words, sizeof words) != CL_OK) return 1;
    if (member_file_encode(&text, name, info, &keys[index]) != CL_OK) return 1;
    snprintf(member_path[index], sizeof member_path[index], "%s/%zu.json", directory, index);
    if (file_write(member_path[index], text.data, text.length, 0644, true) != CL_OK) return 1;
    cl_buffer_deinit(&text);
    free(info);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/test-genesis-XXXXXX");
    if (mkdtemp(directory) == NULL) return 1;
    for (size_t i = 0; i < FILES; i++)
        if (make_file(i) != 0) return 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cl_buffer_deinit(&document);
    for (size_t i = 0; i < FILES; i++) unlink(member_path[i]);
    return rmdir(directory);
}

/* That many members, then that many observers. */
static enum cl_status compose_with(size_t members, size_t observers, const struct cl_parameters *parameters)
{
    const char *paths[FILES];
    for (size_t i = 0; i < members; i++) paths[i] = member_path[i];
    for (size_t i = 0; i < observers; i++) paths[members + i] = member_path[FILES - 2 + i];
    cl_buffer_deinit(&document);
    document = (struct cl_buffer){ 0 };
    return node_genesis_compose(&document, &error, "test.example/log", 1800000000000ull, parameters, paths, members + observers);
}

static enum cl_status compose(size_t members, const struct cl_parameters *parameters)
{
    return compose_with(members, 0, parameters);
}

static void a_document_comes_back_as_it_was_composed(void **state)
{
    (void)state;
    struct cl_parameters parameters;
    struct node_genesis genesis;
    node_parameters_default(&parameters, 2);
    assert_int_equal(compose(2, &parameters), CL_OK);
    assert_int_equal(node_genesis_decode(&genesis, &error, document.data, document.length), CL_OK);
    assert_string_equal(genesis.core.origin, "test.example/log");
    assert_int_equal(genesis.core.time_ms, 1800000000000ull);
    assert_int_equal(genesis.core.value.member_count, 2);
    assert_string_equal(genesis.core.value.members[1].name, "two"); /* the document's order */
    assert_memory_equal(genesis.core.value.members[1].party, keys[1].party, 33);
    assert_memory_equal(&genesis.core.value.parameters, &parameters, sizeof parameters);
    assert_int_equal(node_genesis_own(&genesis, &keys[1]), 1);
    struct cl_network_id network;
    cl_sha256_once(network.bytes, document.data, document.length);
    assert_memory_equal(network.bytes, genesis.core.network.bytes, 32);
    node_genesis_deinit(&genesis);
}

static void every_key_of_it_is_needed_and_no_other_is_taken(void **state)
{
    (void)state;
    static const char *const names[] = { "consent_network", "origin", "time_ms", "parameters", "members", "epoch_length", "block_records_max",
        "block_bytes_max", "d0_ms", "fairness", "open_reads", "name", "role", "jurisdiction", "address", "vote_key", "log_key", "witness_key",
        "party_key", "tls_certificate" };
    struct cl_parameters parameters;
    struct node_genesis genesis;
    node_parameters_default(&parameters, 2);
    assert_int_equal(compose(1, &parameters), CL_OK);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char quoted[64];
        int width = snprintf(quoted, sizeof quoted, "\"%s\":", names[i]);
        char *at = memmem(document.data, document.length, quoted, (size_t)width);
        assert_non_null(at);
        at[1] ^= 0x20; /* another case: an unknown key, and the right one missing */
        assert_int_equal(node_genesis_decode(&genesis, &error, document.data, document.length), CL_E_FORMAT);
        assert_true(strlen(error.sentence) > 10);
        at[1] ^= 0x20;
    }
}

static void members_that_share_a_name_or_key_are_refused(void **state)
{
    (void)state;
    struct cl_parameters parameters;
    const char *const paths[] = { member_path[0], member_path[0] };
    node_parameters_default(&parameters, 2);
    cl_buffer_deinit(&document);
    document = (struct cl_buffer){ 0 };
    assert_int_equal(node_genesis_compose(&document, &error, "test.example/log", 1, &parameters, paths, 2), CL_E_FORMAT);
    assert_non_null(strstr(error.sentence, "share"));
    /* two members of a good document, of which one takes a name or key of the other */
    static const char *const names[] = { "name", "vote_key", "log_key", "witness_key", "party_key" };
    struct node_genesis genesis;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *root;
        assert_int_equal(compose(2, &parameters), CL_OK);
        assert_non_null(root = json_loadb((const char *)document.data, document.length, 0, NULL));
        json_t *members = json_object_get(root, "members");
        assert_int_equal(json_object_set(json_array_get(members, 1), names[i], json_object_get(json_array_get(members, 0), names[i])), 0);
        char *text = json_dumps(root, 0);
        assert_int_equal(node_genesis_decode(&genesis, &error, (const uint8_t *)text, strlen(text)), CL_E_FORMAT);
        assert_non_null(strstr(error.sentence, "share"));
        free(text);
        json_decref(root);
    }
}

static void parameters_stay_within_the_limits(void **state)
{
    (void)state;
    struct cl_parameters parameters;
    static const struct { size_t field; uint64_t smallest, largest; } bounds[] = {
        { offsetof(struct cl_parameters, epoch_length), 1, 1ull << 40 },
        { offsetof(struct cl_parameters, block_records_max), 1, CL_BLOCK_RECORDS_MAX },
        { offsetof(struct cl_parameters, block_bytes_max), CL_RECORD_BYTES_MAX, CL_BLOCK_BYTES_MAX },
        { offsetof(struct cl_parameters, d0_ms), 10, 5000 },
        { offsetof(struct cl_parameters, fairness), 0, 1 },
        { offsetof(struct cl_parameters, open_reads), 0, 1 },
    };
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        const uint64_t values[] = { bounds[i].smallest, bounds[i].largest, bounds[i].largest + 1, bounds[i].smallest - 1 };
        for (size_t k = 0; k < (bounds[i].smallest > 0 ? 4 : 3); k++) {
            node_parameters_default(&parameters, 1);
            memcpy((uint8_t *)&parameters + bounds[i].field, &values[k], sizeof values[k]);
            assert_int_equal(compose(1, &parameters), k < 2 ? CL_OK : CL_E_FORMAT);
        }
    }
}

/* Every size that a consortium may have: document, trust file, and a ledger that begins with it. */
static void all_sizes_work(void **state)
{
    static const size_t sizes[] = { 1, 4, 7, 31, CL_MEMBERS_MAX };
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct cl_parameters parameters;
        struct node_genesis genesis;
        struct cl_buffer text = { 0 };
        struct cl_policy *policy = NULL;
        struct cl_store store;
        size_t line = 0;
        node_parameters_default(&parameters, sizes[i]);
        if (compose(sizes[i], &parameters) != CL_OK) fail_msg("%zu members: %s", sizes[i], error.sentence);
        assert_int_equal(node_genesis_decode(&genesis, &error, document.data, document.length), CL_OK);
        assert_int_equal(node_genesis_peer_count(&genesis), sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(node_genesis_own(&genesis, &keys[k]), k);
        assert_int_equal(node_genesis_own(&genesis, &keys[FILES - 1]), SIZE_MAX);
        assert_int_equal(cl_policy_of_members(&text, genesis.core.origin, genesis.core.value.members, sizes[i]), CL_OK);
        assert_int_equal(cl_policy_new(&policy, &line, text.data, text.length), CL_OK);
        assert_int_equal(cl_store_mem_open(&store), CL_OK);
        assert_int_equal(cl_ledger_create(&store, &genesis.core), CL_OK);
        store.close(store.context);
        cl_policy_free(policy);
        cl_buffer_deinit(&text);
        node_genesis_deinit(&genesis);
    }
}

static void observers_are_peers_and_no_members(void **state)
{
    (void)state;
    struct cl_parameters parameters;
    struct node_genesis genesis;
    struct genesis_peer peer;
    node_parameters_default(&parameters, 6);
    assert_int_equal(compose_with(4, 2, &parameters), CL_OK);
    assert_int_equal(node_genesis_decode(&genesis, &error, document.data, document.length), CL_OK);
    assert_int_equal(genesis.core.value.member_count, 4);
    assert_int_equal(node_genesis_peer_count(&genesis), 6);
    assert_int_equal(node_genesis_own(&genesis, &keys[FILES - 1]), 5);
    node_genesis_peer(&peer, &genesis, 4);
    assert_string_equal(peer.name, "observer-128");
    assert_memory_equal(peer.vote32, keys[FILES - 2].vote, 32);
    assert_string_equal(peer.info->address, "127.0.0.1:9037");
    node_genesis_peer(&peer, &genesis, 1);
    assert_string_equal(peer.name, "two");
    node_genesis_deinit(&genesis);
    /* one member and an observer have links too; without a member there is no network; 128 peers are the most */
    assert_int_equal(compose_with(1, 1, &parameters), CL_OK);
    assert_int_equal(compose_with(0, 1, &parameters), CL_E_FORMAT);
    assert_int_equal(compose_with(CL_MEMBERS_MAX - 2, 2, &parameters), CL_OK);
    assert_int_equal(compose_with(CL_MEMBERS_MAX - 1, 2, &parameters), CL_E_FORMAT);
    assert_non_null(strstr(error.sentence, "at most 128"));
}

/* A document of two members and two observers with one value of one of them changed: it must not be taken. */
static void refused(const char *list, size_t index, const char *key, const char *value, const char *word)
{
    struct cl_parameters parameters;
    struct node_genesis genesis;
    node_parameters_default(&parameters, 4);
    assert_int_equal(compose_with(2, 2, &parameters), CL_OK);
    json_t *root = json_loadb((const char *)document.data, document.length, 0, NULL);
    json_t *object = json_array_get(json_object_get(root, list), index);
    assert_non_null(json_object_get(object, key));
    if (value == NULL) json_object_del(object, key);
    else json_object_set_new(object, key, json_string(value));
    char *text = json_dumps(root, 0);
    assert_int_equal(node_genesis_decode(&genesis, &error, (const uint8_t *)text, strlen(text)), CL_E_FORMAT);
    if (strstr(error.sentence, word) == NULL) fail_msg("'%s' is not in: %s", word, error.sentence);
    free(text);
    json_decref(root);
}

static void peers_need_what_links_need(void **state)
{
    (void)state;
    static const char *const observer_keys[] = { "name", "address", "vote_key", "tls_certificate" };
    struct cl_parameters parameters;
    struct node_genesis genesis;
    struct genesis_peer peer;
    char vote[65];
    for (size_t i = 0; i < sizeof observer_keys / sizeof observer_keys[0]; i++) refused("observers", 0, observer_keys[i], NULL, observer_keys[i]);
    refused("members", 0, "address", "", "one has no address");
    refused("members", 1, "address", "https://two.example", "two has no address");
    refused("members", 1, "address", "127.0.0.1:8781", "one and two have addresses that collide");
    refused("members", 1, "address", "127.0.0.1:8782", "collide"); /* where the first one answers questions */
    refused("members", 1, "address", "127.0.0.1:8780", "collide"); /* its own questions would go to the first one's port */
    refused("observers", 1, "address", "127.0.0.1:8784", "two and observer-129 have addresses that collide");
    refused("observers", 1, "name", "observer-128", "observer observer-128 and observer observer-128 share");
    refused("observers", 1, "name", "two", "member two and observer two share");
    hex_encode(vote, keys[1].vote, 32);
    refused("observers", 0, "vote_key", vote, "share");
    refused("observers", 0, "name", "other", "other: tls_certificate");
    node_parameters_default(&parameters, 4);
    assert_int_equal(compose_with(2, 2, &parameters), CL_OK);
    assert_int_equal(node_genesis_decode(&genesis, &error, document.data, document.length), CL_OK);
    node_genesis_peer(&peer, &genesis, 0);
    refused("members", 1, "tls_certificate", peer.info->certificate, "two: tls_certificate");
    node_genesis_deinit(&genesis);
    parameters.block_records_max = GENESIS_PROPOSED_RECORDS_MAX + 1; /* its proposal is too long for a frame */
    assert_int_equal(compose(1, &parameters), CL_OK);
    assert_int_equal(compose(2, &parameters), CL_E_FORMAT);
    assert_non_null(strstr(error.sentence, "block_records_max"));
}

static void addresses_of_links(void **state)
{
    (void)state;
    static const char *const good[] = { "hospital.example:8781", "127.0.0.1:1", "[::1]:65534", "[2001:db8::7]:8781", "a:80", "a-b.c-1.example:9999",
        "LOCALHOST:8781" };
    static const char *const bad[] = { "", ":", ":8781", "hospital.example", "hospital.example:", "hospital.example:0", "hospital.example:65535",
        "hospital.example:99999", "hospital.example:08781", "hospital.example:+1", "hospital.example:8781 ", " a:80", "a b:80", "https://a:80",
        "a/b:80", "tls+tcp://a:80", "::1:8781", "[::1]", "[]:80", "[:]:80", "[::1:80", "[::1]x:80", "[fe80::1%eth0]:80", "a..b:80", ".a:80", "a.:80",
        "-a:80", "a-:80", "a_b:80", "a:80:90", "0.0.0.0:8781", "[::]:8781", "user@a:80",
        "a23456789012345678901234567890123456789012345678901234567890abcd.example:80" };
    char ask[NODE_ADDRESS_SIZE], longest[300];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!node_address_valid(good[i])) fail_msg("'%s' is an address", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (node_address_valid(bad[i])) fail_msg("'%s' is no address", bad[i]);
    assert_true(node_address_listens("0.0.0.0:8781") && node_address_listens("[::]:8781") && node_address_listens("a:80"));
    assert_false(node_address_listens("*:8781") || node_address_listens(":8781"));
    node_address_ask(ask, "hospital.example:8781");
    assert_string_equal(ask, "hospital.example:8782");
    node_address_ask(ask, "[::1]:9999");
    assert_string_equal(ask, "[::1]:10000");
    for (size_t i = 0; i < 249; i++) longest[i] = i % 50 == 49 ? '.' : 'a';
    snprintf(longest + 249, sizeof longest - 249, ":9999");
    assert_true(node_address_valid(longest));
    node_address_ask(ask, longest);
    assert_int_equal(strlen(ask), NODE_ADDRESS_SIZE - 1);
    snprintf(longest + 249, sizeof longest - 249, ":10000");
    assert_false(node_address_valid(longest));
    assert_true(node_addresses_collide("a:80", "A:81"));
    assert_true(node_addresses_collide("a:81", "a:80"));
    assert_false(node_addresses_collide("a:80", "a:82"));
    assert_false(node_addresses_collide("a:80", "ab:80"));
}

static void names_and_origins_are_plain(void **state)
{
    (void)state;
    assert_true(member_name_valid("hospital-2"));
    assert_false(member_name_valid(""));
    assert_false(member_name_valid("Hospital"));
    assert_false(member_name_valid("a.b"));
    assert_false(member_name_valid("0123456789012345678901234567890123"));
    assert_true(origin_valid("consent.example/2026"));
    assert_false(origin_valid(""));
    assert_false(origin_valid("a b"));
    assert_false(origin_valid("a+b"));
    assert_false(origin_valid("a\nb"));
}

static void a_seed_file_is_private_and_made_once(void **state)
{
    (void)state;
    struct node_keys made, loaded;
    struct stat information;
    char path[128];
    snprintf(path, sizeof path, "%s/node.seed", directory);
    assert_int_equal(node_keys_load(&loaded, directory), CL_E_NOT_FOUND);
    assert_int_equal(node_keys_create(&made, directory), CL_OK);
    assert_int_equal(node_keys_create(&loaded, directory), CL_E_EXISTS);
    assert_int_equal(stat(path, &information), 0);
    assert_int_equal(information.st_mode & 0777, 0600);
    assert_int_equal(node_keys_load(&loaded, directory), CL_OK);
    assert_memory_equal(&made, &loaded, sizeof made);
    assert_true(memcmp(made.vote, made.log, 32) != 0 && memcmp(made.log, made.witness, 32) != 0); /* three keys */
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(node_keys_load(&loaded, directory), CL_E_SECRET);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_comes_back_as_it_was_composed),
        cmocka_unit_test(every_key_of_it_is_needed_and_no_other_is_taken),
        cmocka_unit_test(members_that_share_a_name_or_key_are_refused),
        cmocka_unit_test(parameters_stay_within_the_limits),
        cmocka_unit_test(all_sizes_work),
        cmocka_unit_test(observers_are_peers_and_no_members),
        cmocka_unit_test(peers_need_what_links_need),
        cmocka_unit_test(addresses_of_links),
        cmocka_unit_test(names_and_origins_are_plain),
        cmocka_unit_test(a_seed_file_is_private_and_made_once),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
