/* Block bytes against vectors of another implementation, and what a strict decoder refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "block.h"
#include "crypto.h"
#include "fixture.h"
#include "log.h"
#include "vectors.h"

static json_t *blocks, *agreement;

static int load(void **state)
{
    (void)state;
    blocks = vectors_load("tests/vectors/blocks.json");
    agreement = vectors_load("tests/vectors/agreement.json");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    json_decref(blocks);
    json_decref(agreement);
    return 0;
}

/* Each decodes, and encodes what it decoded. CL_OK: out holds the same bytes again. */
typedef enum cl_status (*round_trip_fn)(struct cl_buffer *out, const uint8_t *data, size_t length);

static enum cl_status state_leaf_round_trip(struct cl_buffer *out, const uint8_t *data, size_t length)
{
    struct cl_state_leaf value;
    enum cl_status status = cl_state_leaf_decode(&value, data, length);
    return status == CL_OK ? cl_state_leaf_encode(out, &value) : status;
}

static enum cl_status vote_round_trip(struct cl_buffer *out, const uint8_t *data, size_t length)
{
    struct cl_vote value;
    enum cl_status status = cl_vote_decode(&value, data, length);
    return status == CL_OK ? cl_vote_encode(out, &value) : status;
}

static enum cl_status certificate_round_trip(struct cl_buffer *out, const uint8_t *data, size_t length)
{
    struct cl_certificate value;
    enum cl_status status = cl_certificate_decode(&value, data, length);
    return status == CL_OK ? cl_certificate_encode(out, &value) : status;
}

static enum cl_status stored_block_round_trip(struct cl_buffer *out, const uint8_t *data, size_t length)
{
    struct cl_stored_block value;
    enum cl_status status = cl_stored_block_decode(&value, data, length);
    return status == CL_OK ? cl_stored_block_encode(out, &value) : status;
}

static enum cl_status proposal_round_trip(struct cl_buffer *out, const uint8_t *data, size_t length)
{
    struct cl_proposal value;
    struct cl_leaf_hash *leaves;
    enum cl_status status = cl_proposal_decode(&value, &leaves, data, length);
    if (status == CL_OK)
        status = cl_proposal_encode(out, &value);
    free(leaves);
    return status;
}

static round_trip_fn round_trip_of(const json_t *item)
{
    if (vectors_is(item, "state_leaf")) return state_leaf_round_trip;
    if (vectors_is(item, "proposal")) return proposal_round_trip;
    if (vectors_is(item, "stored_block")) return stored_block_round_trip;
    if (vectors_is(item, "vote_log")) return NULL; /* the node's */
    if (vectors_is(item, "vote_")) return vote_round_trip;
    if (vectors_is(item, "certificate_")) return certificate_round_trip;
    return NULL;
}

typedef void (*item_fn)(round_trip_fn round_trip, struct cl_buffer *bytes);

static void each_item(item_fn check)
{
    const json_t *files[] = {blocks, agreement};
    size_t checked = 0;
    for (size_t file = 0; file < 2; file++) {
        for (size_t i = 0; i < json_array_size(files[file]); i++) {
            const json_t *item = json_array_get(files[file], i);
            round_trip_fn round_trip = round_trip_of(item);
            if (round_trip == NULL)
                continue;
            struct cl_buffer bytes = vectors_bytes(item, "hex");
            check(round_trip, &bytes);
            cl_buffer_deinit(&bytes);
            checked++;
        }
    }
    assert_true(checked >= 15);
}

static void comes_back(round_trip_fn round_trip, struct cl_buffer *bytes)
{
    struct cl_buffer again = {0};
    FIXTURE_OK(round_trip(&again, bytes->data, bytes->length));
    assert_int_equal(again.length, bytes->length);
    assert_memory_equal(again.data, bytes->data, bytes->length);
    cl_buffer_deinit(&again);
}

static void the_vectors_come_back_byte_for_byte(void **state)
{
    (void)state;
    each_item(comes_back);
}

static void cut_or_lengthened(round_trip_fn round_trip, struct cl_buffer *bytes)
{
    struct cl_buffer again = {0};
    for (size_t length = 0; length < bytes->length; length++) {
        uint8_t *exact = malloc(length + 1); /* so that sanitizers see one byte too far */
        memcpy(exact, bytes->data, length);
        assert_int_not_equal(round_trip(&again, exact, length), CL_OK);
        free(exact);
    }
    uint8_t zero = 0;
    FIXTURE_OK(cl_buffer_append(bytes, &zero, 1));
    assert_int_not_equal(round_trip(&again, bytes->data, bytes->length), CL_OK);
    cl_buffer_deinit(&again);
}

static void what_is_cut_or_followed_by_something_is_refused(void **state)
{
    (void)state;
    each_item(cut_or_lengthened);
}

/* Whatever a flipped bit makes of it, what still decodes is the one form of what it says. */
static void bits_flipped(round_trip_fn round_trip, struct cl_buffer *bytes)
{
    struct cl_buffer again = {0};
    for (size_t bit = 0; bit < bytes->length * 8; bit += bytes->length > 300 ? 3 : 1) {
        bytes->data[bit / 8] = (uint8_t)(bytes->data[bit / 8] ^ 1u << (bit % 8));
        again.length = 0;
        if (round_trip(&again, bytes->data, bytes->length) == CL_OK) {
            assert_int_equal(again.length, bytes->length);
            assert_memory_equal(again.data, bytes->data, bytes->length);
        }
        bytes->data[bit / 8] = (uint8_t)(bytes->data[bit / 8] ^ 1u << (bit % 8));
    }
    cl_buffer_deinit(&again);
}

static void there_is_one_form_of_everything(void **state)
{
    (void)state;
    each_item(bits_flipped);
}

static void a_block_id_commits_to_leaves_and_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < json_array_size(blocks); i++) {
        const json_t *item = json_array_get(blocks, i);
        struct cl_leaf_hash leaf, expected_leaf;
        struct cl_block_id id, expected;
        struct cl_hash root;
        if (!vectors_is(item, "state_leaf"))
            continue;
        struct cl_buffer bytes = vectors_bytes(item, "hex");
        vectors_fixed(expected_leaf.bytes, 32, item, "leaf_hash");
        vectors_fixed(expected.bytes, 32, item, "block_id");
        vectors_fixed(root.bytes, 32, item, "log_root_before");
        cl_log_leaf_hash(&leaf, bytes.data, bytes.length);
        assert_memory_equal(leaf.bytes, expected_leaf.bytes, 32);
        cl_block_id_derive(&id, vectors_number(json_object_get(item, "leaves_before")), &root, bytes.data, bytes.length);
        assert_memory_equal(id.bytes, expected.bytes, 32);
        cl_buffer_deinit(&bytes);
    }
}

static void fields_are_what_the_vectors_say(void **state)
{
    const json_t *item = vectors_item(blocks, "state_leaf");
    struct cl_state_leaf leaf;
    struct cl_stored_block stored;
    struct cl_proposal proposal;
    struct cl_leaf_hash *leaves;
    uint8_t expected[32];
    (void)state;
    struct cl_buffer bytes = vectors_bytes(item, "hex");
    const json_t *value = json_object_get(item, "value");
    FIXTURE_OK(cl_state_leaf_decode(&leaf, bytes.data, bytes.length));
    assert_int_equal(leaf.height, vectors_number(json_array_get(value, 3)));
    vectors_fixed_of(expected, 32, json_array_get(value, 6));
    assert_memory_equal(leaf.state_root.bytes, expected, 32);
    assert_int_equal(leaf.time_ms, vectors_number(json_array_get(value, 7)));
    assert_int_equal(leaf.record_count, vectors_number(json_array_get(value, 8)));
    cl_buffer_deinit(&bytes);

    item = vectors_item(blocks, "stored_block");
    value = json_object_get(item, "value");
    bytes = vectors_bytes(item, "hex");
    FIXTURE_OK(cl_stored_block_decode(&stored, bytes.data, bytes.length));
    assert_int_equal(stored.view, vectors_number(json_array_get(value, 2)));
    assert_int_equal(stored.parent_view, vectors_number(json_array_get(value, 3)));
    assert_int_equal(stored.first_index, vectors_number(json_array_get(value, 4)));
    assert_int_equal(stored.record_count, vectors_number(json_array_get(value, 5)));
    assert_true(stored.certificate.length > 0);
    cl_buffer_deinit(&bytes);

    item = vectors_item(blocks, "proposal");
    value = json_object_get(item, "value");
    bytes = vectors_bytes(item, "hex");
    FIXTURE_OK(cl_proposal_decode(&proposal, &leaves, bytes.data, bytes.length));
    assert_int_equal(proposal.leaf_count, json_array_size(json_array_get(value, 7)));
    vectors_fixed_of(expected, 32, json_array_get(json_array_get(value, 7), 1));
    assert_memory_equal(leaves[1].bytes, expected, 32);
    assert_int_equal(proposal.log_size, vectors_number(json_array_get(value, 8)));
    free(leaves);
    cl_buffer_deinit(&bytes);
}

static void votes_are_signed_over_these_bytes(void **state)
{
    size_t checked = 0;
    (void)state;
    for (size_t i = 0; i < json_array_size(agreement); i++) {
        const json_t *item = json_array_get(agreement, i);
        struct cl_network_id network;
        struct cl_vote vote;
        struct cl_buffer is_signed = {0};
        uint8_t seed[32], public[32], signature[64];
        if (round_trip_of(item) != vote_round_trip)
            continue;
        struct cl_buffer bytes = vectors_bytes(item, "hex"), expected = vectors_bytes(item, "signed");
        vectors_fixed(network.bytes, 32, item, "network_id");
        vectors_fixed(seed, 32, item, "seed");
        vectors_fixed(public, 32, item, "public");
        FIXTURE_OK(cl_vote_decode(&vote, bytes.data, bytes.length));
        FIXTURE_OK(cl_vote_signed_bytes(&is_signed, &network, vote.epoch, vote.kind, vote.view, vote.has_block ? &vote.block : NULL));
        assert_int_equal(is_signed.length, expected.length);
        assert_memory_equal(is_signed.data, expected.data, expected.length);
        cl_ed25519_sign(signature, seed, is_signed.data, is_signed.length);
        assert_memory_equal(signature, vote.signature, 64);
        assert_true(cl_ed25519_verify(public, vote.signature, is_signed.data, is_signed.length));
        cl_buffer_deinit(&bytes);
        cl_buffer_deinit(&expected);
        cl_buffer_deinit(&is_signed);
        checked++;
    }
    assert_int_equal(checked, 4);
}

static void certificates_need_a_quorum_of_good_votes(void **state)
{
    (void)state;
    for (size_t i = 0; i < json_array_size(agreement); i++) {
        const json_t *item = json_array_get(agreement, i);
        struct cl_member members[8];
        struct cl_network_id network;
        struct cl_certificate certificate;
        if (round_trip_of(item) != certificate_round_trip)
            continue;
        const json_t *keys = json_object_get(item, "members");
        size_t count = json_array_size(keys);
        assert_in_range(count, 1, 8);
        memset(members, 0, sizeof members);
        for (size_t member = 0; member < count; member++)
            vectors_fixed_of(members[member].vote, 32, json_array_get(json_array_get(keys, member), 1));
        vectors_fixed(network.bytes, 32, item, "network_id");
        struct cl_buffer bytes = vectors_bytes(item, "hex");
        FIXTURE_OK(cl_certificate_decode(&certificate, bytes.data, bytes.length));
        bool good = !vectors_is(item, "certificate_too_few");
        assert_int_equal(cl_certificate_check(&certificate, &network, members, count), good ? CL_OK : CL_E_CERTIFICATE);
        certificate.view++;
        assert_int_equal(cl_certificate_check(&certificate, &network, members, count), CL_E_CERTIFICATE);
        certificate.view--;
        network.bytes[0] ^= 1;
        assert_int_equal(cl_certificate_check(&certificate, &network, members, count), CL_E_CERTIFICATE);
        network.bytes[0] ^= 1;
        certificate.signatures[certificate.vote_count - 1][5] ^= 1;
        assert_int_equal(cl_certificate_check(&certificate, &network, members, count), CL_E_CERTIFICATE);
        certificate.signatures[certificate.vote_count - 1][5] ^= 1;
        assert_int_equal(cl_certificate_check(&certificate, &network, members, 1), CL_E_CERTIFICATE); /* voters that are not members */
        cl_buffer_deinit(&bytes);
    }
}

/* One member's signature twice is one vote. */
static void a_voter_counts_once(void **state)
{
    struct fixture_network network;
    struct cl_buffer bytes = {0};
    struct cl_certificate certificate;
    struct cl_block_id block = {{3}};
    (void)state;
    fixture_network_make(&network, 4);
    fixture_certificate(&bytes, &network, 0, 7, &block);
    FIXTURE_OK(cl_certificate_decode(&certificate, bytes.data, bytes.length));
    const struct cl_network *value = &network.genesis.value;
    assert_int_equal(cl_certificate_check(&certificate, &network.genesis.network, value->members, 4), CL_OK);
    memcpy(certificate.signatures[1], certificate.signatures[0], 64);
    assert_int_equal(cl_certificate_check(&certificate, &network.genesis.network, value->members, 4), CL_E_CERTIFICATE);
    certificate.voters[0] = 1; /* four signatures, one bit */
    assert_int_equal(cl_certificate_check(&certificate, &network.genesis.network, value->members, 4), CL_E_CERTIFICATE);
    cl_buffer_deinit(&bytes);
}

/* A finalization of nothing and a nullification of a block are no votes, so none can have signed them. */
static void a_certificates_kind_says_whether_it_names_a_block(void **state)
{
    struct fixture_network network;
    struct cl_block_id block = {{3}};
    (void)state;
    fixture_network_make(&network, 4);
    const struct cl_network *value = &network.genesis.value;
    for (size_t i = 0; i < 4; i++) {
        struct cl_certificate certificate = {.view = 7, .kind = i < 2 ? CL_VOTE_FINALIZE : CL_VOTE_NULLIFY, .has_block = i % 2 == 0,
                                             .block = block, .member_count = 4, .vote_count = 4, .voters = {15}};
        bool good = certificate.has_block == (certificate.kind == CL_VOTE_FINALIZE);
        struct cl_buffer bytes = {0};
        if (good)
            FIXTURE_OK(cl_vote_signed_bytes(&bytes, &network.genesis.network, 0, certificate.kind, 7, certificate.has_block ? &block : NULL));
        for (size_t member = 0; member < 4; member++)
            cl_ed25519_sign(certificate.signatures[member], network.vote_seed[member], bytes.data, bytes.length);
        assert_int_equal(cl_certificate_check(&certificate, &network.genesis.network, value->members, 4), good ? CL_OK : CL_E_CERTIFICATE);
        cl_buffer_deinit(&bytes);
    }
}

static void quorums_are_those_of_simplex(void **state)
{
    const size_t expected[] = {1, 2, 3, 3, 4, 5, 5, 6, 7, 7};
    (void)state;
    for (size_t n = 1; n <= 10; n++)
        assert_int_equal(cl_quorum(n), expected[n - 1]);
    for (size_t n = 1; n <= CL_MEMBERS_MAX; n++) /* two quorums share more members than may be faulty */
        assert_true(2 * cl_quorum(n) - n > (n - 1) / 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_come_back_byte_for_byte),
        cmocka_unit_test(what_is_cut_or_followed_by_something_is_refused),
        cmocka_unit_test(there_is_one_form_of_everything),
        cmocka_unit_test(a_block_id_commits_to_leaves_and_state),
        cmocka_unit_test(fields_are_what_the_vectors_say),
        cmocka_unit_test(votes_are_signed_over_these_bytes),
        cmocka_unit_test(certificates_need_a_quorum_of_good_votes),
        cmocka_unit_test(a_voter_counts_once),
        cmocka_unit_test(a_certificates_kind_says_whether_it_names_a_block),
        cmocka_unit_test(quorums_are_those_of_simplex),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
