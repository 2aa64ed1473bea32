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

static char directory[64], member_path[2][128];
static struct node_keys keys[2];
static struct cl_buffer document;
static struct genesis_error error;

static int setup(void **state)
{
    (void)state;
    char key[NODE_PEM_BYTES_MAX], words[128];
    struct member_info *info = calloc(1, sizeof *info);
    snprintf(directory, sizeof directory, "/tmp/test-genesis-XXXXXX");
    if (info == NULL || mkdtemp(directory) == NULL) return 1;
    snprintf(info->role, sizeof info->role, "controller");
    snprintf(info->jurisdiction, sizeof info->jurisdiction, "NL");
    for (uint8_t i = 0; i < 2; i++) {
        struct cl_buffer text = { 0 };
        const uint8_t seed[32] = { (uint8_t)(i + 1) };
        if (node_keys_derive(&keys[i], seed) != CL_OK) return 1;
        if (node_certificate_make(info->certificate, key, i == 0 ? "one" : "two", words, sizeof words) != CL_OK) return 1;
        if (member_file_encode(&text, i == 0 ? "one" : "two", info, &keys[i]) != CL_OK) return 1;
        snprintf(member_path[i], sizeof member_path[i], "%s/%u.json", directory, i);
        if (file_write(member_path[i], text.data, text.length, 0644, true) != CL_OK) return 1;
        cl_buffer_deinit(&text);
    }
    free(info);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cl_buffer_deinit(&document);
    unlink(member_path[0]);
    unlink(member_path[1]);
    return rmdir(directory);
}

static enum cl_status compose(size_t members, const struct cl_parameters *parameters)
{
    const char *const paths[] = { member_path[0], member_path[1] };
    cl_buffer_deinit(&document);
    document = (struct cl_buffer){ 0 };
    return node_genesis_compose(&document, &error, "test.example/log", 1800000000000ull, parameters, paths, members);
}

static void a_document_comes_back_as_it_was_composed(void **state)
{
    (void)state;
    struct cl_parameters parameters;
    struct node_genesis genesis;
    node_parameters_default(&parameters);
    assert_int_equal(compose(2, &parameters), CL_OK);
    assert_int_equal(node_genesis_decode(&genesis, &error, document.data, document.length), CL_OK);
    assert_string_equal(genesis.core.origin, "test.example/log");
    assert_int_equal(genesis.core.time_ms, 1800000000000ull);
    assert_int_equal(genesis.core.value.member_count, 2);
    assert_string_equal(genesis.core.value.members[1].name, "two"); /* the document's order */
    assert_memory_equal(genesis.core.value.members[1].party, keys[1].party, 33);
    assert_memory_equal(&genesis.core.value.parameters, &parameters, sizeof parameters);
    assert_int_equal(node_genesis_member(&genesis, &keys[1]), 1);
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
    node_parameters_default(&parameters);
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
    node_parameters_default(&parameters);
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
            node_parameters_default(&parameters);
            memcpy((uint8_t *)&parameters + bounds[i].field, &values[k], sizeof values[k]);
            assert_int_equal(compose(1, &parameters), k < 2 ? CL_OK : CL_E_FORMAT);
        }
    }
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
        cmocka_unit_test(names_and_origins_are_plain),
        cmocka_unit_test(a_seed_file_is_private_and_made_once),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
