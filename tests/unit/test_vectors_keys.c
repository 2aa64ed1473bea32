/* Keys, tree keys and the vote log against bytes that another implementation made from formats.cddl: what is left after
   test_record.c (ids, records), test_block.c (blocks, votes), test_vectors.c and test_vectors_proof.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "consent/record.h"
#include "consent/state.h"
#include "consent/wallet.h"
#include "crypto.h"
#include "fixture.h"
#include "vectors.h"
#include "votelog.h"

static void is_hex(const uint8_t *made, size_t length, const json_t *item)
{
    uint8_t expected[64];
    assert_true(length <= sizeof expected);
    vectors_fixed(expected, length, item, "hex");
    assert_memory_equal(made, expected, length);
}

static void public_keys_follow_from_their_secrets(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/ids.json");
    size_t parties = 0, members = 0;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        uint8_t secret[32], key[33];
        if (vectors_is(item, "key_of_")) {
            vectors_fixed(secret, 32, item, "secret");
            FIXTURE_OK(cl_public_key_of(key, secret));
            is_hex(key, 33, item);
            parties++;
        } else if (vectors_is(item, "ed25519_")) {
            vectors_fixed(secret, 32, item, "seed");
            cl_ed25519_public(key, secret);
            is_hex(key, 32, item);
            members++;
        }
    }
    assert_true(parties >= 6 && members >= 12);
    json_decref(items);
}

static void tree_keys_are_those_of_the_vectors(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/ids.json");
    const char *const names[] = {"answer_key_of_key", "answer_key_of_profile"};
    const uint8_t lengths[] = {33, 32};
    struct cl_hash hash;
    struct cl_party party;
    uint8_t terms[32], path[32], expected[32];
    cl_network_key(&hash);
    is_hex(hash.bytes, 32, vectors_item(items, "network_key"));
    cl_sha256_once(path, hash.bytes, 32);
    vectors_fixed(expected, 32, vectors_item(items, "network_key"), "path");
    assert_memory_equal(path, expected, 32);
    for (size_t i = 0; i < 2; i++) {
        const json_t *item = vectors_item(items, names[i]);
        memset(&party, 0, sizeof party);
        party.length = lengths[i];
        vectors_fixed(terms, 32, item, "terms");
        vectors_fixed(party.bytes, lengths[i], item, "party");
        cl_answer_key(&hash, terms, &party);
        is_hex(hash.bytes, 32, item);
    }
    json_decref(items);
}

static void a_commitment_to_an_empty_body_is_that_of_the_vectors(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/ids.json");
    const json_t *item = vectors_item(items, "commitment_empty_body");
    struct cl_object_id object;
    struct cl_commitment commitment;
    uint8_t salt[32];
    vectors_fixed(object.bytes, 32, item, "object");
    vectors_fixed(salt, 32, item, "salt");
    cl_commitment_derive(&commitment, &object, salt, NULL, 0);
    is_hex(commitment.bytes, 32, item);
    json_decref(items);
}

static void a_member_set_has_the_hash_of_the_vectors(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/ids.json"), *states = vectors_load("tests/vectors/state.json");
    struct cl_buffer value = vectors_bytes(vectors_item(states, "network_of_four"), "hex");
    struct cl_network *network = malloc(sizeof *network);
    struct cl_hash hash;
    assert_non_null(network);
    FIXTURE_OK(cl_network_decode(network, value.data, value.length));
    FIXTURE_OK(cl_member_set_hash(&hash, network->members, network->member_count));
    is_hex(hash.bytes, 32, vectors_item(items, "member_set_hash"));
    free(network);
    cl_buffer_deinit(&value);
    json_decref(items);
    json_decref(states);
}

static void a_token_opens_for_its_digest_alone(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/ids.json");
    const json_t *item = vectors_item(items, "token_opening");
    uint8_t digest[32], key[33], signature[64];
    vectors_fixed(digest, 32, item, "digest");
    vectors_fixed(key, 33, item, "key");
    vectors_fixed(signature, 64, item, "hex");
    FIXTURE_OK(cl_ecdsa_verify(key, digest, signature));
    digest[31] ^= 1;
    assert_int_equal(cl_ecdsa_verify(key, digest, signature), CL_E_SIGNATURE);
    json_decref(items);
}

/* ---- the vote log */
struct copy { struct votelog *log; size_t count; };
static enum cl_status append_again(void *context, enum votelog_type type, const uint8_t *payload, size_t length)
{
    struct copy *copy = context;
    json_t *items = vectors_load("tests/vectors/agreement.json");
    bool found = false; /* each entry of the file is one of the single ones, with its type and payload */
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        if (!vectors_is(item, "vote_log_") || json_object_get(item, "payload") == NULL || vectors_number(json_object_get(item, "type")) != (uint64_t)type)
            continue;
        struct cl_buffer expected = vectors_bytes(item, "payload");
        found = found || (expected.length == length && memcmp(expected.data, payload, length) == 0);
        cl_buffer_deinit(&expected);
    }
    json_decref(items);
    assert_true(found);
    copy->count++;
    return type == VOTELOG_START ? CL_OK : votelog_append(copy->log, type, payload, length);
}

static enum cl_status count_only(void *context, enum votelog_type type, const uint8_t *payload, size_t length)
{
    (void)type, (void)payload, (void)length;
    ++*(size_t *)context;
    return CL_OK;
}

static void our_vote_log_of_the_same_entries_is_the_same_file(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/agreement.json");
    struct cl_buffer file = vectors_bytes(vectors_item(items, "vote_log_file"), "hex");
    char directory[] = "/tmp/votelog-XXXXXX", path[64], sentence[256];
    struct votelog_start start;
    struct copy copy = {0};
    size_t good = 0, before = 0;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/votes", directory);
    FIXTURE_OK(votelog_scan(&good, &start, file.data, file.length, NULL, count_only, &before));
    assert_int_equal(good, file.length);
    FIXTURE_OK(votelog_create(path, &start, sentence, sizeof sentence));
    FIXTURE_OK(votelog_open(&copy.log, path, &start, count_only, &before, sentence, sizeof sentence));
    FIXTURE_OK(votelog_scan(&good, &start, file.data, file.length, NULL, append_again, &copy));
    assert_true(copy.count >= 4);
    FIXTURE_OK(votelog_sync(copy.log));
    votelog_close(copy.log);
    struct cl_buffer made = {0};
    FIXTURE_OK(cl_file_read(&made, path, 1u << 20));
    assert_int_equal(made.length, file.length);
    assert_memory_equal(made.data, file.data, file.length);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
    cl_buffer_deinit(&made);
    cl_buffer_deinit(&file);
    json_decref(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_keys_follow_from_their_secrets),
        cmocka_unit_test(tree_keys_are_those_of_the_vectors),
        cmocka_unit_test(a_commitment_to_an_empty_body_is_that_of_the_vectors),
        cmocka_unit_test(a_member_set_has_the_hash_of_the_vectors),
        cmocka_unit_test(a_token_opens_for_its_digest_alone),
        cmocka_unit_test(our_vote_log_of_the_same_entries_is_the_same_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
