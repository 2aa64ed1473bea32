/* Proofs that the ledger makes: of every kind of object, at every stage of an agreement's life, and of absence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define AS_OF_S (FIXTURE_START_MS / 1000 + 100)

static struct cl_policy *policy_of(const struct fixture *fixture)
{
    const struct cl_genesis *genesis = &fixture->network.genesis;
    struct cl_buffer text = {0};
    struct cl_policy *policy;
    size_t bad_line;
    FIXTURE_OK(cl_policy_of_members(&text, genesis->origin, genesis->value.members, genesis->value.member_count));
    FIXTURE_OK(cl_policy_new(&policy, &bad_line, text.data, text.length));
    cl_buffer_deinit(&text);
    return policy;
}

/* Signs the tip, makes the proof, and checks it as a stranger would. */
static void prove(struct fixture *fixture, const struct cl_object_id *object, struct cl_verify_report *report)
{
    struct cl_buffer note = {0}, proof = {0};
    struct cl_verify_options options = {.now_ms = AS_OF_S * 1000, .max_age_ms = 1000};
    struct cl_policy *policy = policy_of(fixture);
    fixture_checkpoint(fixture, &note, AS_OF_S);
    FIXTURE_OK(cl_ledger_proof(fixture->ledger, &proof, object->bytes));
    FIXTURE_OK(cl_proof_verify(report, proof.data, proof.length, policy, &options));
    /* And a tampered twin is refused. Beyond the checkpoint: a quorum may do without one of its lines. */
    for (size_t i = note.length + 8; i < proof.length; i += proof.length / 97 + 1) {
        struct cl_verify_report other;
        proof.data[i] ^= 1;
        enum cl_status status = cl_proof_verify(&other, proof.data, proof.length, policy, &options);
        if (!report->exists && status == CL_OK) /* another id near by is absent too, and the report says which */
            assert_memory_not_equal(&other.object, object, sizeof *object);
        else
            assert_int_not_equal(status, CL_OK);
        proof.data[i] ^= 1;
    }
    cl_policy_free(policy);
    cl_buffer_deinit(&note);
    cl_buffer_deinit(&proof);
}

static void an_agreements_life_is_proven_at_every_stage(void **state)
{
    struct fixture fixture;
    struct cl_object_id object;
    struct cl_verify_report report;
    (void)state;
    fixture_open(&fixture, 4);
    uint64_t issued = fixture.now_ms;
    fixture_object(&object, 1, 1);
    prove(&fixture, &object, &report);
    assert_false(report.exists);
    assert_int_equal(report.verdict, CL_E_NO_OBJECT);
    for (uint64_t i = 10; i < 300; i += 29) /* others, so that trees have some depth */
        fixture_block_of(&fixture, fixture_grant(&fixture.network, i, 1, 2, issued));
    prove(&fixture, &object, &report);
    assert_false(report.exists);
    fixture_block_of(&fixture, fixture_grant(&fixture.network, 1, 1, 2, issued));
    prove(&fixture, &object, &report);
    assert_int_equal(report.verdict, CL_E_NOT_ACTIVE);
    fixture_block_of(&fixture, fixture_subscribe(&fixture.network, 2, 1, 1, issued));
    prove(&fixture, &object, &report);
    assert_int_equal(report.verdict, CL_OK);
    assert_int_equal(report.record_count, 2);
    assert_int_equal(report.quorum.signed_count, 3); /* of four: a quorum is enough to carry */
    struct cl_ledger_record *suspend = fixture_act(&fixture.network, CL_SUSPEND, 1, &object, NULL, fixture.now_ms);
    struct cl_record_id suspended = suspend->record.id;
    fixture_block_of(&fixture, suspend);
    prove(&fixture, &object, &report);
    assert_int_equal(report.verdict, CL_E_SUSPENDED);
    fixture_block_of(&fixture, fixture_act(&fixture.network, CL_RESUME, 1, &object, &suspended, fixture.now_ms));
    prove(&fixture, &object, &report);
    assert_int_equal(report.verdict, CL_OK);
    fixture_block_of(&fixture, fixture_act(&fixture.network, CL_REVOKE, 1, &object, NULL, fixture.now_ms));
    prove(&fixture, &object, &report);
    assert_int_equal(report.verdict, CL_E_WITHDRAWN);
    fixture_close(&fixture);
}

static void an_amended_agreement_shows_proposal_and_acceptance(void **state)
{
    struct fixture fixture;
    struct cl_object_id object;
    struct cl_verify_report report;
    uint8_t commitment[32];
    (void)state;
    fixture_open(&fixture, 1);
    uint64_t issued = fixture.now_ms;
    fixture_object(&object, 1, 1);
    fixture_block_of(&fixture, fixture_grant(&fixture.network, 1, 1, 2, issued));
    struct cl_ledger_record *answer = fixture_subscribe(&fixture.network, 2, 1, 1, issued);
    struct cl_record_id head = answer->record.id;
    fixture_block_of(&fixture, answer);
    fixture_hash(commitment, "another commitment", 1);
    struct cl_entry propose = {.present = CL_HAS(1) | CL_HAS(2) | CL_HAS(3) | CL_HAS(9), .object = object.bytes, .object_length = 32, .prev = head.bytes, .commitment = commitment, .slots = 1};
    struct cl_ledger_record *record = fixture_record(&fixture.network, CL_AMEND, 2, &propose, 1, fixture.now_ms);
    struct cl_record_id proposal = record->record.id;
    fixture_block_of(&fixture, record);
    prove(&fixture, &object, &report);
    struct cl_entry accept = {.present = CL_HAS(1) | CL_HAS(2) | CL_HAS(8), .object = object.bytes, .object_length = 32, .prev = head.bytes, .ref = proposal.bytes};
    fixture_block_of(&fixture, fixture_record(&fixture.network, CL_AMEND, 1, &accept, 1, fixture.now_ms));
    prove(&fixture, &object, &report);
    assert_int_equal(report.verdict, CL_OK);
    assert_int_equal(report.record_count, 4);
    assert_memory_equal(report.agreement.commitment, commitment, 32);
    fixture_close(&fixture);
}

static void an_agreement_under_terms_shows_the_terms(void **state)
{
    struct fixture fixture;
    struct cl_object_id agreement, terms;
    struct cl_verify_report report;
    struct cl_signer next;
    (void)state;
    fixture_open(&fixture, 1);
    fixture_block_of(&fixture, fixture_terms(&fixture.network, 50, 1, 1, 10, fixture.now_ms));
    fixture_block_of(&fixture, fixture_subscribe_terms(&fixture.network, 2, 9, 50, 1, fixture.now_ms));
    fixture_object(&agreement, 2, 9);
    fixture_object(&terms, 50, 1);
    prove(&fixture, &agreement, &report);
    assert_int_equal(report.verdict, CL_OK);
    assert_int_equal(report.record_count, 2);
    prove(&fixture, &terms, &report);
    assert_int_equal(report.kind, CL_STATE_TERMS);
    /* later acts on the TERMS change nothing about what was signed */
    fixture_signer(&next, 51);
    struct cl_entry rotate = {.present = CL_HAS(1) | CL_HAS(12), .object = terms.bytes, .object_length = 32, .key = next.key.bytes, .key_length = 33};
    fixture_block_of(&fixture, fixture_record(&fixture.network, CL_ROTATE, 50, &rotate, 1, fixture.now_ms));
    fixture_block_of(&fixture, fixture_act(&fixture.network, CL_REVOKE, 51, &terms, NULL, fixture.now_ms));
    prove(&fixture, &agreement, &report);
    assert_int_equal(report.verdict, CL_OK);
    fixture_close(&fixture);
}

static void profiles_and_the_network_are_proven_too(void **state)
{
    struct fixture fixture;
    struct cl_object_id profile;
    struct cl_hash key;
    struct cl_verify_report report;
    (void)state;
    fixture_open(&fixture, 1);
    fixture_block_of(&fixture, fixture_profile(&fixture.network, 5, 1, fixture.now_ms));
    fixture_object(&profile, 5, 1);
    prove(&fixture, &profile, &report);
    assert_int_equal(report.kind, CL_STATE_PROFILE);
    cl_network_key(&key);
    memcpy(profile.bytes, key.bytes, 32);
    prove(&fixture, &profile, &report);
    assert_int_equal(report.kind, CL_STATE_NETWORK);
    fixture_close(&fixture);
}

static void no_proof_before_the_tip_is_signed(void **state)
{
    struct fixture fixture;
    struct cl_object_id object = {{9}};
    struct cl_buffer proof = {0}, note = {0};
    (void)state;
    fixture_open(&fixture, 1);
    assert_int_equal(cl_ledger_proof(fixture.ledger, &proof, object.bytes), CL_E_PENDING);
    fixture_checkpoint(&fixture, &note, AS_OF_S);
    FIXTURE_OK(cl_ledger_proof(fixture.ledger, &proof, object.bytes));
    fixture_block_of(&fixture, fixture_grant(&fixture.network, 1, 1, 2, fixture.now_ms));
    size_t length = proof.length;
    assert_int_equal(cl_ledger_proof(fixture.ledger, &proof, object.bytes), CL_E_PENDING);
    assert_int_equal(proof.length, length);
    cl_buffer_deinit(&proof);
    cl_buffer_deinit(&note);
    fixture_close(&fixture);
}

/* 70 suspensions leave 140 records on the agreement; those that a proof needs stay few. */
static void a_long_life_does_not_lengthen_the_proof(void **state)
{
    struct fixture fixture;
    struct cl_object_id object;
    struct cl_verify_report report;
    (void)state;
    fixture_open(&fixture, 1);
    uint64_t issued = fixture.now_ms;
    fixture_object(&object, 1, 1);
    fixture_block_of(&fixture, fixture_grant(&fixture.network, 1, 1, 2, issued));
    fixture_block_of(&fixture, fixture_subscribe(&fixture.network, 2, 1, 1, issued));
    for (unsigned i = 0; i < 70; i++) {
        struct cl_ledger_record *suspend = fixture_act(&fixture.network, CL_SUSPEND, 1, &object, NULL, fixture.now_ms);
        struct cl_record_id id = suspend->record.id;
        fixture_block_of(&fixture, suspend);
        fixture_block_of(&fixture, fixture_act(&fixture.network, CL_RESUME, 1, &object, &id, fixture.now_ms));
    }
    prove(&fixture, &object, &report);
    assert_int_equal(report.verdict, CL_OK);
    assert_int_equal(report.record_count, 3);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agreements_life_is_proven_at_every_stage),
        cmocka_unit_test(an_amended_agreement_shows_proposal_and_acceptance),
        cmocka_unit_test(an_agreement_under_terms_shows_the_terms),
        cmocka_unit_test(profiles_and_the_network_are_proven_too),
        cmocka_unit_test(no_proof_before_the_tip_is_signed),
        cmocka_unit_test(a_long_life_does_not_lengthen_the_proof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
