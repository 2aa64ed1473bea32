/* What votes prove against their members, among four: evidence, second signatures, and votes that come when their certificate
   is there already, which are checked only where their voter contradicts it. We are member 0; D is 200 ms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus_helpers.h"

/* ---- evidence */
static void evidence_nullifies_that_leaders_views_on_entry_and_is_bounded(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    uint64_t view = parent.view + 1;
    wake(consensus);
    for (uint8_t mark = 1; mark <= 12; mark++) { /* of a later view of its own and of others' */
        struct cl_block_id block = { { mark } };
        for (uint64_t each = view; each < view + 10; each++) cast(consensus, 1, CL_VOTE_NOTARIZE, each, &block);
    }
    size_t kept = 0;
    while (consensus_evidence(consensus, kept) != NULL) kept++;
    assert_int_equal(kept, 4);
    assert_int_equal(report_of(consensus).evidence, 4);
    for (uint64_t each = view; each < view + 4; each++) {
        certify(consensus, CL_VOTE_NULLIFY, each, NULL);
        assert_int_equal(cast_of(CL_VOTE_NULLIFY), (each + 1 - view) % 4 == 0 ? 1 : 0);
    }
    consensus_free(consensus);
}

static void finalize_and_nullify_by_one_member_is_evidence_and_notarize_and_nullify_is_not(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    struct cl_block_id block = { { 1 } };
    cast(consensus, 2, CL_VOTE_NOTARIZE, 1, &block);
    cast(consensus, 2, CL_VOTE_NULLIFY, 1, NULL);
    assert_int_equal(report_of(consensus).evidence, 0);
    cast(consensus, 2, CL_VOTE_FINALIZE, 1, &block);
    assert_int_equal(report_of(consensus).evidence, 1);
    cast(consensus, 2, CL_VOTE_FINALIZE, 1, &block);
    assert_int_equal(report_of(consensus).evidence, 1);
    consensus_free(consensus);
}

/* A signer can sign one message twice: what we count and pass on is the first. */
static void a_second_signature_of_one_vote_changes_nothing(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    struct cl_vote first = vote_of(1, CL_VOTE_NULLIFY, 1, NULL), twin = first;
    twin.signature[40] ^= 1;
    hear(consensus, &first);
    hear(consensus, &twin);
    cast(consensus, 2, CL_VOTE_NULLIFY, 1, NULL);
    cast(consensus, 3, CL_VOTE_NULLIFY, 1, NULL);
    const struct cl_certificate *certificate = effect_of(CONSENSUS_SEND_CERTIFICATE)->certificate;
    bool ours = false;
    for (size_t i = 0; i < certificate->vote_count; i++) ours = ours || memcmp(certificate->signatures[i], first.signature, 64) == 0;
    assert_true(ours || (certificate->voters[0] & 2) == 0);
    assert_int_equal(cl_certificate_check(certificate, &network.genesis.network, network.genesis.value.members, 4), CL_OK);
    assert_int_equal(report_of(consensus).evidence, 0);
    consensus_free(consensus);
}

/* View 1's notarization and finalization of this block, which is not at hand, came before member 2's votes. */
static struct consensus *start_certified(const struct cl_block_id *block)
{
    struct consensus *consensus = start(4, 3, 0);
    struct cl_certificate *made = calloc(1, sizeof *made);
    assert_non_null(made);
    *made = (struct cl_certificate){ .view = 1, .kind = CL_VOTE_FINALIZE, .has_block = true, .block = *block, .member_count = 4, .vote_count = 3, .voters = { 11 } };
    for (size_t i = 0; i < 3; i++) memcpy(made->signatures[i], vote_of(i == 2 ? 3 : i, CL_VOTE_FINALIZE, 1, block).signature, 64);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_CERTIFICATE, .certificate = made });
    made->kind = CL_VOTE_NOTARIZE;
    for (size_t i = 0; i < 3; i++) memcpy(made->signatures[i], vote_of(i == 2 ? 3 : i, CL_VOTE_NOTARIZE, 1, block).signature, 64);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_CERTIFICATE, .certificate = made });
    assert_int_equal(report_of(consensus).view, 2);
    free(made);
    return consensus;
}

static void hear_forged(struct consensus *consensus, size_t voter, enum cl_vote_kind kind, const struct cl_block_id *block)
{
    struct cl_vote vote = vote_of(voter, kind, 1, block);
    vote.signature[7] ^= 1;
    hear(consensus, &vote);
}

static void a_vote_after_its_certificate_is_checked_when_its_voter_contradicts_it(void **state)
{
    (void)state;
    struct cl_block_id block = { { 1 } }, other = { { 2 } };
    struct consensus *consensus = start_certified(&block);
    cast(consensus, 2, CL_VOTE_NOTARIZE, 1, &block);
    cast(consensus, 2, CL_VOTE_FINALIZE, 1, &block);
    hear_forged(consensus, 2, CL_VOTE_NOTARIZE, &other); /* contradicts nothing: it is not the member's */
    assert_int_equal(report_of(consensus).forged, 1);
    assert_int_equal(report_of(consensus).evidence, 0);
    cast(consensus, 2, CL_VOTE_NOTARIZE, 1, &other);
    assert_int_equal(report_of(consensus).evidence, 1);
    cast(consensus, 2, CL_VOTE_NULLIFY, 1, NULL);
    assert_int_equal(report_of(consensus).evidence, 2);
    assert_int_equal(report_of(consensus).forged, 1);
    struct consensus *judge = start(4, 1, 0); /* what is kept proves it to others */
    for (size_t i = 0; i < 2; i++) assert_true(consensus_restore_evidence(judge, consensus_evidence(consensus, i)));
    consensus_free(judge);
    consensus_free(consensus);
}

static void a_forged_vote_after_its_certificate_proves_nothing_against_its_member(void **state)
{
    (void)state;
    struct cl_block_id block = { { 1 } }, other = { { 2 } };
    struct consensus *consensus = start_certified(&block);
    hear_forged(consensus, 2, CL_VOTE_NOTARIZE, &block);
    hear_forged(consensus, 2, CL_VOTE_FINALIZE, &block);
    assert_int_equal(report_of(consensus).forged, 0); /* nobody has looked */
    cast(consensus, 2, CL_VOTE_NOTARIZE, 1, &other); /* the member's own first one */
    assert_int_equal(report_of(consensus).forged, 1);
    cast(consensus, 2, CL_VOTE_NULLIFY, 1, NULL);
    assert_int_equal(report_of(consensus).forged, 2);
    assert_int_equal(report_of(consensus).evidence, 0);
    cast(consensus, 2, CL_VOTE_FINALIZE, 1, &other); /* and these are its first ones from now on */
    cast(consensus, 2, CL_VOTE_NOTARIZE, 1, &block);
    assert_int_equal(report_of(consensus).evidence, 2);
    consensus_free(consensus);
}

static void a_forged_vote_after_its_certificate_does_not_keep_out_the_true_one(void **state)
{
    (void)state;
    struct cl_block_id block = { { 1 } }, other = { { 2 } };
    struct consensus *consensus = start_certified(&block);
    hear_forged(consensus, 2, CL_VOTE_NOTARIZE, &block);
    hear_forged(consensus, 2, CL_VOTE_NOTARIZE, &block); /* the same bytes: as if said once */
    assert_int_equal(report_of(consensus).votes_dropped, 0);
    cast(consensus, 2, CL_VOTE_NOTARIZE, 1, &block);
    cast(consensus, 2, CL_VOTE_NOTARIZE, 1, &other);
    assert_int_equal(report_of(consensus).evidence, 1);
    assert_int_equal(report_of(consensus).forged, 0);
    consensus_free(consensus);
}

/* Here catching up brings a finalization of a view whose own one is known and whose block is not. */
static void a_vote_that_was_not_checked_makes_no_certificate_good(void **state)
{
    (void)state;
    struct order_block block = { .view = 1, .id = { { 1 } } };
    struct consensus *consensus = start_certified(&block.id);
    struct cl_certificate *made = calloc(1, sizeof *made);
    assert_non_null(made);
    hear_forged(consensus, 2, CL_VOTE_FINALIZE, &block.id);
    *made = (struct cl_certificate){ .view = 1, .kind = CL_VOTE_FINALIZE, .has_block = true, .block = block.id, .member_count = 4, .vote_count = 3, .voters = { 7 } };
    for (size_t i = 0; i < 3; i++) memcpy(made->signatures[i], vote_of(i, CL_VOTE_FINALIZE, 1, &block.id).signature, 64);
    made->signatures[2][7] ^= 1;
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_FINAL, .block = block, .certificate = made });
    assert_int_equal(report_of(consensus).certificates_dropped, 1);
    assert_int_equal(report_of(consensus).final_view, 0);
    made->signatures[2][7] ^= 1;
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_FINAL, .block = block, .certificate = made });
    assert_int_equal(report_of(consensus).final_view, 1);
    free(made);
    consensus_free(consensus);
}

/* A vote for another block than the certificate's, and one of a kind without a certificate, are checked as they come. */
static void only_votes_that_agree_with_their_certificate_wait_for_their_check(void **state)
{
    (void)state;
    struct cl_block_id block = { { 1 } }, other = { { 2 } };
    struct consensus *consensus = start_certified(&block);
    struct consensus_outlook outlook;
    hear_forged(consensus, 2, CL_VOTE_NOTARIZE, &other);
    hear_forged(consensus, 2, CL_VOTE_NULLIFY, NULL);
    assert_int_equal(report_of(consensus).forged, 2);
    cast(consensus, 2, CL_VOTE_NULLIFY, 1, NULL);
    hear_forged(consensus, 2, CL_VOTE_FINALIZE, &block); /* it would contradict that */
    assert_int_equal(report_of(consensus).forged, 3);
    hear_forged(consensus, 1, CL_VOTE_FINALIZE, &block);
    hear_forged(consensus, 0, CL_VOTE_FINALIZE, &block);
    consensus_outlook(consensus, &outlook);
    assert_int_equal(outlook.finalize_view, 1);
    assert_int_equal(outlook.finalize[0], 11); /* who voted is who is in the certificate, not who is said to have voted */
    consensus_free(consensus);

    consensus = start(4, 3, 0);
    for (size_t voter = 0; voter < 3; voter++) hear_forged(consensus, voter, CL_VOTE_NULLIFY, NULL);
    assert_int_equal(count_of(CONSENSUS_SEND_CERTIFICATE), 0);
    assert_int_equal(report_of(consensus).forged, 3);
    assert_int_equal(report_of(consensus).view, 1);
    consensus_free(consensus);
}

static void sign_nothing(void *context, uint8_t signature64[64], const void *data, size_t length)
{
    (void)context, (void)data, (void)length;
    memset(signature64, 3, 64);
}

static bool accept_all(void *context, size_t member, const uint8_t signature64[64], const void *data, size_t length)
{
    (void)context, (void)member, (void)signature64, (void)data, (void)length;
    return true;
}

/* Also where both signatures hold, as its signer can make them: all nodes that heard the first pass on the same bytes. */
static void of_two_good_signatures_of_one_vote_the_first_stays(void **state)
{
    (void)state;
    const struct consensus_signatures signatures = { .sign = sign_nothing, .verify = accept_all };
    struct consensus *consensus = NULL;
    fixture_network_make(&network, 4);
    now_ms = 1000;
    durable = 0;
    struct consensus_config config = { .network = &network.genesis.network, .members = network.genesis.value.members, .member_count = 4,
                                       .d0_ms = 200, .signatures = &signatures };
    assert_int_equal(consensus_new(&consensus, &config), CL_OK);
    struct cl_vote first = vote_of(1, CL_VOTE_NULLIFY, 1, NULL), twin = first;
    twin.signature[40] ^= 1;
    hear(consensus, &first);
    hear(consensus, &twin);
    cast(consensus, 2, CL_VOTE_NULLIFY, 1, NULL);
    cast(consensus, 3, CL_VOTE_NULLIFY, 1, NULL);
    const struct cl_certificate *certificate = effect_of(CONSENSUS_SEND_CERTIFICATE)->certificate;
    assert_int_equal(certificate->voters[0], 14);
    assert_memory_equal(certificate->signatures[0], first.signature, 64);
    consensus_free(consensus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evidence_nullifies_that_leaders_views_on_entry_and_is_bounded),
        cmocka_unit_test(finalize_and_nullify_by_one_member_is_evidence_and_notarize_and_nullify_is_not),
        cmocka_unit_test(a_second_signature_of_one_vote_changes_nothing),
        cmocka_unit_test(a_vote_after_its_certificate_is_checked_when_its_voter_contradicts_it),
        cmocka_unit_test(a_forged_vote_after_its_certificate_proves_nothing_against_its_member),
        cmocka_unit_test(a_forged_vote_after_its_certificate_does_not_keep_out_the_true_one),
        cmocka_unit_test(a_vote_that_was_not_checked_makes_no_certificate_good),
        cmocka_unit_test(only_votes_that_agree_with_their_certificate_wait_for_their_check),
        cmocka_unit_test(of_two_good_signatures_of_one_vote_the_first_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
