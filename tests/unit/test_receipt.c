/* Receipts in both forms, and signed acceptances. Others' tools check the same bytes in tests/interop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "cbor.h"
#include "crypto.h"
#include "proof_world.h"

/* A log of several sizes: states are ended without records. */
static void grow(struct proof_world *world, size_t leaves)
{
    while (world->leaf_count < leaves)
        proof_world_end_block(world);
}

static void a_tlog_proof_holds_for_its_leaf_and_no_other(void **unused)
{
    struct proof_world *world = proof_world_new(4);
    struct cl_policy *policy = proof_world_policy(world);
    static struct cl_receipt_report report;
    (void)unused;
    for (size_t size = 1; size <= 40; size += 3) {
        struct cl_buffer note = {0}, proof = {0};
        struct cl_hash path[CL_LOG_PATH_MAX];
        size_t count;
        grow(world, size);
        proof_world_checkpoint(&note, world, 3, 500);
        for (size_t index = 0; index < size; index++) {
            const struct cl_buffer *leaf = &world->leaves[index];
            proof.length = 0;
            proof_world_path(path, &count, world, index);
            assert_int_equal(cl_tlog_proof_encode(&proof, index, path, count, note.data, note.length), CL_OK);
            assert_int_equal(cl_tlog_proof_verify(&report, proof.data, proof.length, leaf->data, leaf->length, policy), CL_OK);
            assert_int_equal(report.index, index);
            assert_int_equal(report.size, size);
            assert_int_equal(report.quorum.as_of_s, 500);
            const struct cl_buffer *other = &world->leaves[(index + 1) % size];
            if (size > 1)
                assert_int_equal(cl_tlog_proof_verify(&report, proof.data, proof.length, other->data, other->length, policy), CL_E_PROOF);
        }
        cl_buffer_deinit(&note);
        cl_buffer_deinit(&proof);
    }
    cl_policy_free(policy);
    proof_world_free(world);
}

static void no_byte_of_a_tlog_proof_can_be_changed_unseen(void **unused)
{
    struct proof_world *world = proof_world_new(4);
    struct cl_policy *policy = proof_world_policy(world);
    static struct cl_receipt_report report;
    struct cl_buffer note = {0}, proof = {0};
    struct cl_hash path[CL_LOG_PATH_MAX];
    size_t count;
    (void)unused;
    grow(world, 21);
    proof_world_checkpoint(&note, world, 3, 500);
    proof_world_path(path, &count, world, 9);
    assert_int_equal(cl_tlog_proof_encode(&proof, 9, path, count, note.data, note.length), CL_OK);
    const struct cl_buffer *leaf = &world->leaves[9];
    for (size_t i = 0; i < proof.length; i++) {
        proof.data[i] ^= (uint8_t)(1u << i % 8);
        if (cl_tlog_proof_verify(&report, proof.data, proof.length, leaf->data, leaf->length, policy) == CL_OK)
            fail_msg("byte %zu of %zu can be changed", i, proof.length);
        proof.data[i] ^= (uint8_t)(1u << i % 8);
        assert_int_not_equal(cl_tlog_proof_verify(&report, proof.data, i, leaf->data, leaf->length, policy), CL_OK);
    }
    cl_buffer_deinit(&note);
    cl_buffer_deinit(&proof);
    cl_policy_free(policy);
    proof_world_free(world);
}

static void the_extra_line_is_allowed_and_other_forms_are_not(void **unused)
{
    struct proof_world *world = proof_world_new(1);
    struct cl_policy *policy = proof_world_policy(world);
    static struct cl_receipt_report report;
    struct cl_buffer note = {0};
    char text[2048];
    static const struct { const char *head; enum cl_status status; } heads[] = {
        {"c2sp.org/tlog-proof@v1\nindex 0\n\n", CL_OK}, {"c2sp.org/tlog-proof@v1\nextra YWJj\nindex 0\n\n", CL_OK},
        {"c2sp.org/tlog-proof@v1\nextra YWJ\nindex 0\n\n", CL_E_FORMAT}, {"c2sp.org/tlog-proof@v2\nindex 0\n\n", CL_E_FORMAT},
        {"c2sp.org/tlog-proof@v1\nindex 00\n\n", CL_E_FORMAT}, {"c2sp.org/tlog-proof@v1\nindex \n\n", CL_E_FORMAT},
        {"c2sp.org/tlog-proof@v1\nindex 18446744073709551616\n\n", CL_E_FORMAT}, {"c2sp.org/tlog-proof@v1\nindex 1\n\n", CL_E_PROOF},
        {"c2sp.org/tlog-proof@v1\nindex 18446744073709551615\n\n", CL_E_PROOF}, {"c2sp.org/tlog-proof@v1\nindex 0\n", CL_E_FORMAT},
        {"c2sp.org/tlog-proof@v1\nindex 0\nindex 0\n\n", CL_E_FORMAT}, {"c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\n", CL_E_FORMAT},
    };
    (void)unused;
    proof_world_checkpoint(&note, world, 1, 500);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        size_t length = strlen(heads[i].head);
        memcpy(text, heads[i].head, length);
        memcpy(text + length, note.data, note.length);
        enum cl_status status = cl_tlog_proof_verify(&report, (uint8_t *)text, length + note.length, world->leaves[0].data, world->leaves[0].length, policy);
        if (status != heads[i].status)
            fail_msg("head %zu: %s", i, cl_status_code(status));
    }
    cl_buffer_deinit(&note);
    cl_policy_free(policy);
    proof_world_free(world);
}

/* ---- COSE */

static void make_cose(struct cl_buffer *out, const struct proof_world *world, uint64_t index)
{
    uint8_t seed[32];
    struct cl_hash path[CL_LOG_PATH_MAX];
    size_t count;
    proof_world_log_seed(seed, 0);
    proof_world_path(path, &count, world, index);
    assert_int_equal(cl_cose_receipt_encode(out, world->leaf_count, index, path, count, &world->root, seed, (const uint8_t *)"key", 3), CL_OK);
}

static void a_cose_receipt_holds_for_its_leaf_and_key(void **unused)
{
    struct proof_world *world = proof_world_new(1);
    uint64_t index, size;
    (void)unused;
    for (size_t leaves = 1; leaves <= 40; leaves += 3) {
        grow(world, leaves);
        for (size_t at = 0; at < leaves; at++) {
            struct cl_buffer receipt = {0};
            const uint8_t *key = world->value.members[0].log;
            make_cose(&receipt, world, at);
            assert_int_equal(cl_cose_receipt_verify(&index, &size, receipt.data, receipt.length, world->leaves[at].data, world->leaves[at].length, key), CL_OK);
            assert_int_equal(index, at);
            assert_int_equal(size, leaves);
            const struct cl_buffer *other = &world->leaves[(at + 1) % leaves];
            if (leaves > 1)
                assert_int_equal(cl_cose_receipt_verify(&index, &size, receipt.data, receipt.length, other->data, other->length, key), CL_E_SIGNATURE);
            assert_int_equal(cl_cose_receipt_verify(&index, &size, receipt.data, receipt.length, world->leaves[at].data, world->leaves[at].length, world->value.members[0].vote), CL_E_SIGNATURE);
            cl_buffer_deinit(&receipt);
        }
    }
    proof_world_free(world);
}

static void no_byte_of_a_cose_receipt_can_be_changed_unseen(void **unused)
{
    struct proof_world *world = proof_world_new(1);
    struct cl_buffer receipt = {0};
    uint64_t index, size;
    size_t claims = 0;
    (void)unused;
    grow(world, 21);
    make_cose(&receipt, world, 9);
    const struct cl_buffer *leaf = &world->leaves[9];
    for (size_t i = 0; i < receipt.length; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            receipt.data[i] ^= (uint8_t)(1u << bit);
            if (cl_cose_receipt_verify(&index, &size, receipt.data, receipt.length, leaf->data, leaf->length, world->value.members[0].log) == CL_OK) {
                assert_int_equal(index, 9);
                assert_true(size > 16 && size <= 32 && size != 21);
                claims++;
            }
            receipt.data[i] ^= (uint8_t)(1u << bit);
        }
        assert_int_not_equal(cl_cose_receipt_verify(&index, &size, receipt.data, i, leaf->data, leaf->length, world->value.members[0].log), CL_OK);
    }
    /* RFC 9942 signs the root alone, so the size in the receipt is only a claim: for leaf 9 the path has the same shape
       at every size from 17 to 32. One bit makes 20, 23 and 17 of 21; nothing else can be changed. */
    assert_int_equal(claims, 3);
    cl_buffer_deinit(&receipt);
    proof_world_free(world);
}

static void cose_receipts_of_another_form_are_refused(void **unused)
{
    struct proof_world *world = proof_world_new(1);
    struct cl_buffer receipt = {0};
    uint64_t index, size;
    uint8_t seed[32];
    struct cl_hash path[1] = {{{0}}};
    (void)unused;
    proof_world_log_seed(seed, 0);
    assert_int_equal(cl_cose_receipt_encode(&receipt, 1, 1, path, 0, &world->root, seed, NULL, 0), CL_E_ARGUMENT);
    assert_int_equal(cl_cose_receipt_encode(&receipt, 1, 0, path, 65, &world->root, seed, NULL, 0), CL_E_ARGUMENT);
    assert_int_equal(receipt.length, 0);
    make_cose(&receipt, world, 0);
    assert_int_equal(receipt.data[0], 0xd2);
    assert_int_equal(cl_cose_receipt_verify(&index, &size, receipt.data + 1, receipt.length - 1, world->leaves[0].data, world->leaves[0].length, world->value.members[0].log), CL_E_CBOR_TYPE);
    assert_int_equal(cl_buffer_append(&receipt, "", 1), CL_OK);
    assert_int_equal(cl_cose_receipt_verify(&index, &size, receipt.data, receipt.length, world->leaves[0].data, world->leaves[0].length, world->value.members[0].log), CL_E_CBOR_TRAILING);
    cl_buffer_deinit(&receipt);
    proof_world_free(world);
}

/* ---- acceptance */

static void an_acceptance_binds_member_time_and_record(void **unused)
{
    struct cl_acceptance in = {.time_ms = 1700000000123, .member = "hospital"}, out;
    struct cl_buffer bytes = {0};
    uint8_t seed[32] = {3}, public32[32];
    (void)unused;
    memset(in.network.bytes, 1, 32);
    memset(in.record.bytes, 2, 32);
    memset(in.leaf.bytes, 3, 32);
    cl_ed25519_public(public32, seed);
    assert_int_equal(cl_acceptance_sign(&bytes, &in, seed), CL_OK);
    assert_int_equal(cl_acceptance_verify(&out, bytes.data, bytes.length, public32), CL_OK);
    assert_memory_equal(out.network.bytes, in.network.bytes, 32);
    assert_memory_equal(out.record.bytes, in.record.bytes, 32);
    assert_memory_equal(out.leaf.bytes, in.leaf.bytes, 32);
    assert_int_equal(out.time_ms, in.time_ms);
    assert_string_equal(out.member, "hospital");
    for (size_t i = 0; i < bytes.length; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes.data[i] ^= (uint8_t)(1u << bit);
            assert_int_not_equal(cl_acceptance_verify(&out, bytes.data, bytes.length, public32), CL_OK);
            bytes.data[i] ^= (uint8_t)(1u << bit);
        }
        assert_int_not_equal(cl_acceptance_verify(&out, bytes.data, i, public32), CL_OK);
    }
    public32[0] ^= 1;
    assert_int_not_equal(cl_acceptance_verify(&out, bytes.data, bytes.length, public32), CL_OK);
    in.member[0] = '\0';
    size_t before = bytes.length;
    assert_int_equal(cl_acceptance_sign(&bytes, &in, seed), CL_E_ARGUMENT);
    assert_int_equal(bytes.length, before);
    cl_buffer_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tlog_proof_holds_for_its_leaf_and_no_other), cmocka_unit_test(no_byte_of_a_tlog_proof_can_be_changed_unseen),
        cmocka_unit_test(the_extra_line_is_allowed_and_other_forms_are_not), cmocka_unit_test(a_cose_receipt_holds_for_its_leaf_and_key),
        cmocka_unit_test(no_byte_of_a_cose_receipt_can_be_changed_unseen), cmocka_unit_test(cose_receipts_of_another_form_are_refused),
        cmocka_unit_test(an_acceptance_binds_member_time_and_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
