/* The Simplex step function: one member and four go the same way; what is counted, what is not, and what a restart does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "cbor.h"
#include "consensus_helpers.h"

static void a_consortium_of_one_finalizes_with_a_real_certificate(void **state)
{
    (void)state;
    struct consensus *consensus = start(1, 0, 0);
    for (uint64_t view = 1; view <= 3; view++) {
        wake(consensus);
        const struct consensus_effect *build = effect_of(CONSENSUS_BUILD);
        assert_int_equal(build->block.view, view);
        assert_int_equal(build->block.parent_view, view - 1);
        struct order_block block = built(build, (uint8_t)view);
        give_block(consensus, &block);
        assert_int_equal(effects.items[0].kind, CONSENSUS_APPEND_PROPOSAL);
        assert_int_equal(count_of(CONSENSUS_APPEND_VOTE), 2);
        assert_int_equal(count_of(CONSENSUS_COMMIT), 0);
        synced(consensus, last_sync());
        assert_int_equal(effect_of(CONSENSUS_APPEND_CERTIFICATE)->certificate->kind, CL_VOTE_NOTARIZE);
        assert_int_equal(effect_of(CONSENSUS_APPEND_VOTE)->vote.kind, CL_VOTE_FINALIZE);
        assert_int_equal(count_of(CONSENSUS_COMMIT), 0);
        synced(consensus, last_sync());
        const struct consensus_effect *commit = effect_of(CONSENSUS_COMMIT);
        assert_memory_equal(commit->block.id.bytes, block.id.bytes, 32);
        assert_int_equal(commit->certificate->kind, CL_VOTE_FINALIZE);
        assert_int_equal(cl_certificate_check(commit->certificate, &network.genesis.network, network.genesis.value.members, 1), CL_OK);
    }
    consensus_free(consensus);
}

static void an_own_vote_counts_only_once_it_is_durable(void **state)
{
    (void)state;
    struct consensus *consensus = start(1, 0, 0);
    wake(consensus);
    struct order_block block = built(effect_of(CONSENSUS_BUILD), 1);
    give_block(consensus, &block);
    uint64_t sequence = last_sync();
    synced(consensus, sequence - 1);
    assert_int_equal(effects.count, 0);
    synced(consensus, sequence);
    assert_int_equal(count_of(CONSENSUS_APPEND_CERTIFICATE), 1);
    consensus_free(consensus);
}

static void a_leader_builds_once_in_a_view_and_again_after_nothing(void **state)
{
    (void)state;
    struct consensus *consensus = start(1, 0, 0);
    wake(consensus);
    assert_int_equal(count_of(CONSENSUS_BUILD), 1);
    wake(consensus);
    assert_int_equal(effects.count, 0);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_NOTHING, .view = 1 });
    wake(consensus);
    struct order_block block = built(effect_of(CONSENSUS_BUILD), 1);
    give_block(consensus, &block);
    wake(consensus);
    assert_int_equal(effects.count, 0);
    give_block(consensus, &block); /* a second answer is no second proposal */
    assert_int_equal(effects.count, 0);
    consensus_free(consensus);
}

static void a_quorum_of_four_is_three_and_a_member_counts_once(void **state)
{
    (void)state;
    fixture_network_make(&network, 4);
    uint64_t view = view_led_by(0, 4, 1);
    struct consensus *consensus = start(4, 0, view - 1);
    wake(consensus);
    struct order_block block = built(effect_of(CONSENSUS_BUILD), 9);
    give_block(consensus, &block);
    synced(consensus, last_sync());
    assert_int_equal(effects.count, 0);
    cast(consensus, 1, CL_VOTE_NOTARIZE, view, &block.id);
    cast(consensus, 1, CL_VOTE_NOTARIZE, view, &block.id);
    assert_int_equal(effects.count, 0);
    cast(consensus, 2, CL_VOTE_NOTARIZE, view, &block.id);
    const struct cl_certificate *certificate = effect_of(CONSENSUS_SEND_CERTIFICATE)->certificate;
    assert_int_equal(certificate->vote_count, 3);
    assert_int_equal(cl_certificate_check(certificate, &network.genesis.network, network.genesis.value.members, 4), CL_OK);
    synced(consensus, last_sync());
    cast(consensus, 3, CL_VOTE_FINALIZE, view, &block.id);
    assert_int_equal(count_of(CONSENSUS_COMMIT), 0);
    cast(consensus, 2, CL_VOTE_FINALIZE, view, &block.id);
    assert_int_equal(count_of(CONSENSUS_COMMIT), 1);
    cast(consensus, 1, CL_VOTE_FINALIZE, view, &block.id);
    assert_int_equal(effects.count, 0);
    consensus_free(consensus);
}

static void votes_split_over_two_blocks_make_no_certificate(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    struct cl_block_id a = { { 1 } }, b = { { 2 } };
    struct consensus_report report;
    cast(consensus, 1, CL_VOTE_NOTARIZE, 1, &a);
    cast(consensus, 2, CL_VOTE_NOTARIZE, 1, &b);
    cast(consensus, 3, CL_VOTE_NOTARIZE, 1, &a);
    cast(consensus, 2, CL_VOTE_NOTARIZE, 1, &a); /* the first vote stays; the second is evidence */
    assert_int_equal(effects.count, 0);
    consensus_report(consensus, &report);
    assert_int_equal(report.evidence, 1);
    assert_int_equal(report.view, 1);
    consensus_free(consensus);
}

static void forged_foreign_and_far_votes_are_dropped(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 5);
    struct cl_block_id block = { { 1 } };
    struct consensus_report report;
    struct cl_vote vote = vote_of(1, CL_VOTE_NOTARIZE, 6, &block);
    vote.signature[3] ^= 1;
    hear(consensus, &vote);
    vote = vote_of(1, CL_VOTE_NOTARIZE, 6, &block);
    vote.voter = 2; /* another's signature */
    hear(consensus, &vote);
    vote.voter = 9;
    hear(consensus, &vote);
    vote = vote_of(1, CL_VOTE_NOTARIZE, 6, &block);
    vote.epoch = 1;
    hear(consensus, &vote);
    cast(consensus, 1, CL_VOTE_NOTARIZE, 5, &block);                                  /* settled */
    cast(consensus, 1, CL_VOTE_NOTARIZE, 6 + CONSENSUS_VIEWS_AHEAD_MAX + 1, &block); /* rule 11 */
    cast(consensus, 0, CL_VOTE_NOTARIZE, 6, &block);                                  /* our own comes from the vote log alone */
    consensus_report(consensus, &report);
    assert_int_equal(report.votes_dropped, 7);
    consensus_free(consensus);
}

static void a_nullified_view_is_skipped_with_proof(void **state)
{
    (void)state;
    fixture_network_make(&network, 4);
    uint64_t view = view_led_by(0, 4, 2);
    struct consensus *consensus = start(4, 0, view - 2);
    wake(consensus); /* view - 1 is not ours to lead, or builds; either way it is left by a nullification */
    for (size_t voter = 1; voter <= 3; voter++) cast(consensus, voter, CL_VOTE_NULLIFY, view - 1, NULL);
    assert_int_equal(effect_of(CONSENSUS_SEND_CERTIFICATE)->certificate->kind, CL_VOTE_NULLIFY);
    const struct consensus_effect *build = effect_of(CONSENSUS_BUILD);
    assert_int_equal(build->block.view, view);
    assert_int_equal(build->block.parent_view, view - 2);
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, build->justification.data, build->justification.length);
    assert_int_equal(cl_cbor_array(&reader), 1); /* the nullification; the parent is genesis-like, without certificate bytes */
    consensus_free(consensus);
}

/* rule 2: what became of the view before is not known, so there is nothing to build on. */
static void a_view_that_was_not_nullified_is_not_skipped(void **state)
{
    (void)state;
    fixture_network_make(&network, 4);
    uint64_t view = view_led_by(0, 4, 3);
    struct consensus *consensus = start(4, 0, view - 3);
    struct consensus_report report;
    for (size_t voter = 1; voter <= 3; voter++) cast(consensus, voter, CL_VOTE_NULLIFY, view - 1, NULL);
    consensus_report(consensus, &report);
    assert_int_equal(report.view, view);
    wake(consensus);
    assert_int_equal(effects.count, 0);
    for (size_t voter = 1; voter <= 3; voter++) cast(consensus, voter, CL_VOTE_NULLIFY, view - 2, NULL);
    assert_int_equal(effect_of(CONSENSUS_BUILD)->block.parent_view, view - 3);
    consensus_free(consensus);
}

/* rule 5: a leader that proposed two blocks gets no finalize vote for either. Others cannot bring that about. */
static void after_two_proposals_of_the_leader_we_do_not_finalize(void **state)
{
    (void)state;
    struct cl_block_id a = { { 1 } }, b = { { 2 } };
    struct consensus_report report;
    fixture_network_make(&network, 4);
    uint64_t view = view_led_by(1, 4, 1);
    for (size_t proposer = 1; proposer <= 2; proposer++) {
        struct consensus *consensus = start(4, 0, view - 1);
        cast(consensus, proposer, CL_VOTE_PROPOSE, view, &a);
        cast(consensus, proposer, CL_VOTE_PROPOSE, view, &b);
        consensus_report(consensus, &report);
        assert_int_equal(report.evidence, proposer == 1 ? 1 : 0);
        assert_int_equal(report.votes_dropped, proposer == 1 ? 0 : 2);
        for (size_t voter = 1; voter <= 3; voter++) cast(consensus, voter, CL_VOTE_NOTARIZE, view, &a);
        assert_int_equal(count_of(CONSENSUS_APPEND_CERTIFICATE), 1);
        assert_int_equal(count_of(CONSENSUS_APPEND_VOTE), proposer == 1 ? 0 : 1);
        consensus_free(consensus);
    }
}

static void a_view_with_a_nullify_of_ours_is_never_finalized_by_us(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    struct cl_block_id block = { { 1 } };
    struct cl_vote own = vote_of(0, CL_VOTE_NULLIFY, 1, NULL);
    assert_int_equal(consensus_restore_vote(consensus, &own), CL_OK);
    for (size_t voter = 1; voter <= 3; voter++) cast(consensus, voter, CL_VOTE_NOTARIZE, 1, &block);
    assert_int_equal(count_of(CONSENSUS_APPEND_CERTIFICATE), 1);
    assert_int_equal(count_of(CONSENSUS_APPEND_VOTE), 0);
    consensus_free(consensus);
}

static void a_stale_certificate_does_not_move_the_view_back(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    struct consensus_report report;
    for (uint64_t view = 1; view <= 3; view++)
        for (size_t voter = 1; voter <= 3; voter++) cast(consensus, voter, CL_VOTE_NULLIFY, view, NULL);
    consensus_report(consensus, &report);
    assert_int_equal(report.view, 4);
    struct cl_block_id block = { { 1 } };
    for (size_t voter = 1; voter <= 3; voter++) cast(consensus, voter, CL_VOTE_NOTARIZE, 2, &block);
    consensus_report(consensus, &report);
    assert_int_equal(report.view, 4);
    consensus_free(consensus);
}

/* View 1 is nullified, signed by members 1 to voters. */
static struct cl_certificate *nullification(unsigned voters)
{
    struct cl_certificate *made = calloc(1, sizeof *made);
    assert_non_null(made);
    *made = (struct cl_certificate){ .view = 1, .kind = CL_VOTE_NULLIFY, .member_count = 4, .vote_count = voters };
    for (unsigned voter = 1; voter <= voters; voter++) {
        made->voters[0] |= (uint8_t)(1u << voter);
        memcpy(made->signatures[voter - 1], vote_of(voter, CL_VOTE_NULLIFY, 1, NULL).signature, 64);
    }
    return made;
}

static void a_certificate_from_others_needs_a_quorum(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    struct consensus_report report;
    struct cl_certificate *few = nullification(2), *certificate = nullification(3);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_CERTIFICATE, .certificate = few });
    consensus_report(consensus, &report);
    assert_int_equal(report.certificates_dropped, 1);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_CERTIFICATE, .certificate = certificate });
    consensus_report(consensus, &report);
    assert_int_equal(report.view, 2);
    free(few);
    free(certificate);
    consensus_free(consensus);
}

/* A vote that was found good is not checked again in a certificate; one that only names its voter and block is. */
static void a_certificates_signatures_are_checked_although_the_votes_are_known(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    struct consensus_report report;
    struct cl_certificate *certificate = nullification(3);
    for (size_t voter = 1; voter <= 2; voter++) cast(consensus, voter, CL_VOTE_NULLIFY, 1, NULL);
    certificate->signatures[1][5] ^= 1;
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_CERTIFICATE, .certificate = certificate });
    consensus_report(consensus, &report);
    assert_true(report.certificates_dropped == 1 && report.view == 1);
    certificate->signatures[1][5] ^= 1;
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_CERTIFICATE, .certificate = certificate });
    consensus_report(consensus, &report);
    assert_int_equal(report.view, 2);
    free(certificate);
    consensus_free(consensus);
}

/* Runs a consortium of one up to a point, keeps what it appended, and starts again from that. */
static void restart_after(size_t appended_max, size_t votes_expected)
{
    struct consensus *consensus = start(1, 0, 0);
    struct cl_vote votes[3];
    size_t vote_count = 0, appended = 0;
    wake(consensus);
    struct order_block block = built(effect_of(CONSENSUS_BUILD), 5);
    give_block(consensus, &block);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < effects.count; i++)
            if (effects.items[i].kind == CONSENSUS_APPEND_VOTE && appended++ < appended_max) votes[vote_count++] = effects.items[i].vote;
        if (round == 0) synced(consensus, last_sync());
    }
    consensus_free(consensus);
    assert_int_equal(vote_count, votes_expected);

    consensus = start(1, 0, 0);
    assert_int_equal(consensus_restore_proposal(consensus, &block), CL_OK);
    for (size_t i = 0; i < vote_count; i++) assert_int_equal(consensus_restore_vote(consensus, &votes[i]), CL_OK);
    effects.count = 0;
    assert_int_equal(consensus_resume(consensus, &effects, 0), CL_OK);
    size_t commits = count_of(CONSENSUS_COMMIT);
    if (vote_count == 0) { /* nothing was signed: another proposal may be made */
        assert_int_equal(effects.count, 0);
        wake(consensus);
        assert_int_equal(count_of(CONSENSUS_BUILD), 1);
        consensus_free(consensus);
        return;
    }
    while (commits == 0) {
        assert_int_equal(count_of(CONSENSUS_BUILD), 0);
        synced(consensus, last_sync());
        commits = count_of(CONSENSUS_COMMIT);
    }
    assert_memory_equal(effect_of(CONSENSUS_COMMIT)->block.id.bytes, block.id.bytes, 32);
    const struct cl_certificate *certificate = effect_of(CONSENSUS_COMMIT)->certificate;
    assert_int_equal(cl_certificate_check(certificate, &network.genesis.network, network.genesis.value.members, 1), CL_OK);
    consensus_free(consensus);
}

static void a_restart_finishes_what_was_signed(void **state)
{
    (void)state;
    restart_after(3, 3); /* propose, notarize, finalize */
    restart_after(2, 2);
    restart_after(1, 1); /* the crash fell between propose and notarize */
}

static void a_logged_proposal_that_was_never_signed_binds_nobody(void **state)
{
    (void)state;
    restart_after(0, 0);
}

static void a_vote_log_that_starts_anew_keeps_what_is_above_the_last_final_view(void **state)
{
    (void)state;
    struct consensus *consensus = start(1, 0, 0);
    wake(consensus);
    struct order_block block = built(effect_of(CONSENSUS_BUILD), 5);
    give_block(consensus, &block);
    synced(consensus, last_sync());
    uint64_t sequence = last_sync(), after = 0;
    effects.count = 0;
    assert_int_equal(consensus_retained(consensus, &effects, &after), CL_OK);
    assert_int_equal(count_of(CONSENSUS_APPEND_PROPOSAL), 1);
    assert_int_equal(count_of(CONSENSUS_APPEND_CERTIFICATE), 1);
    assert_true(count_of(CONSENSUS_APPEND_VOTE) >= 2);
    synced(consensus, sequence);
    effects.count = 0;
    after = 0;
    assert_int_equal(consensus_retained(consensus, &effects, &after), CL_OK);
    assert_int_equal(effects.count, 0);
    consensus_free(consensus);
}

static void sign_nothing(void *context, uint8_t signature64[64], const void *data, size_t length)
{
    (void)context, (void)data, (void)length;
    memset(signature64, 1, 64);
}

static bool believe(void *context, size_t member, const uint8_t signature64[64], const void *data, size_t length)
{
    (void)member, (void)signature64, (void)data, (void)length;
    if (context != NULL) ++*(size_t *)context;
    return true;
}

static void whoever_contradicts_himself_without_end_is_not_checked_without_end(void **state)
{
    (void)state;
    size_t checked = 0;
    const struct consensus_signatures signatures = { &checked, sign_nothing, believe };
    struct consensus *consensus = NULL;
    fixture_network_make(&network, 4);
    struct consensus_config config = { .network = &network.genesis.network, .members = network.genesis.value.members, .member_count = 4, .d0_ms = 200, .signatures = &signatures };
    assert_int_equal(consensus_new(&consensus, &config), CL_OK);
    for (size_t i = 0; i < 5000; i++) {
        struct cl_vote vote = { .view = 1 + i % 10, .kind = i % 3 == 0 ? CL_VOTE_FINALIZE : CL_VOTE_NOTARIZE, .has_block = true, .voter = 1 };
        memcpy(vote.block.bytes, &i, sizeof i);
        hear(consensus, &vote);
    }
    assert_in_range(checked, 10, 100);
    consensus_free(consensus);
}

/* A certificate of 128 members has 86 signatures: as many as the most that a proposal names do not fit into a frame. */
static void with_128_members_and_many_nullified_views_a_proposal_still_fits_a_frame(void **state)
{
    (void)state;
    static struct cl_member members[CL_MEMBERS_MAX];
    static struct cl_certificate certificate;
    const struct consensus_signatures signatures = { NULL, sign_nothing, believe };
    struct consensus *consensus = NULL;
    fixture_network_make(&network, 4);
    struct consensus_config config = { .network = &network.genesis.network, .members = members, .member_count = CL_MEMBERS_MAX, .d0_ms = 200, .signatures = &signatures };
    assert_int_equal(consensus_new(&consensus, &config), CL_OK);
    uint64_t view = view_led_by(0, CL_MEMBERS_MAX, 100);
    for (uint64_t number = 1; number < view; number++) {
        certificate = (struct cl_certificate){ .view = number, .kind = CL_VOTE_NULLIFY, .member_count = CL_MEMBERS_MAX };
        for (size_t i = 0; i < cl_quorum(CL_MEMBERS_MAX); i++, certificate.vote_count++) certificate.voters[i / 8] |= (uint8_t)(1u << i % 8);
        step(consensus, &(struct consensus_event){ .kind = CONSENSUS_CERTIFICATE, .certificate = &certificate });
    }
    wake(consensus);
    const struct consensus_effect *build = effect_of(CONSENSUS_BUILD);
    assert_int_equal(build->block.view, view);
    assert_true(build->justification.length > 10 * 64 * cl_quorum(CL_MEMBERS_MAX));
    assert_true(build->justification.length <= CONSENSUS_JUSTIFICATION_BYTES_MAX);
    consensus_free(consensus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_contradicts_himself_without_end_is_not_checked_without_end),
        cmocka_unit_test(with_128_members_and_many_nullified_views_a_proposal_still_fits_a_frame),
        cmocka_unit_test(a_consortium_of_one_finalizes_with_a_real_certificate),
        cmocka_unit_test(an_own_vote_counts_only_once_it_is_durable),
        cmocka_unit_test(a_leader_builds_once_in_a_view_and_again_after_nothing),
        cmocka_unit_test(a_quorum_of_four_is_three_and_a_member_counts_once),
        cmocka_unit_test(votes_split_over_two_blocks_make_no_certificate),
        cmocka_unit_test(forged_foreign_and_far_votes_are_dropped),
        cmocka_unit_test(a_nullified_view_is_skipped_with_proof),
        cmocka_unit_test(a_view_that_was_not_nullified_is_not_skipped),
        cmocka_unit_test(after_two_proposals_of_the_leader_we_do_not_finalize),
        cmocka_unit_test(a_view_with_a_nullify_of_ours_is_never_finalized_by_us),
        cmocka_unit_test(a_stale_certificate_does_not_move_the_view_back),
        cmocka_unit_test(a_certificate_from_others_needs_a_quorum),
        cmocka_unit_test(a_certificates_signatures_are_checked_although_the_votes_are_known),
        cmocka_unit_test(a_restart_finishes_what_was_signed),
        cmocka_unit_test(a_logged_proposal_that_was_never_signed_binds_nobody),
        cmocka_unit_test(a_vote_log_that_starts_anew_keeps_what_is_above_the_last_final_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
