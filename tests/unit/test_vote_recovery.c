/* A member without its vote log: it follows and votes for nothing, asks the others, believes only what is proven, and votes
   again above what they name. We are member 0 of four. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus_helpers.h"
#include "vote_recovery.h"

static const uint8_t nonce[32] = { 1, 2, 3 };
static struct cl_certificate *certificate;
static bool has;

static int setup(void **state)
{
    (void)state;
    certificate = calloc(1, sizeof *certificate);
    return certificate == NULL;
}

static int teardown(void **state)
{
    (void)state;
    free(certificate);
    return 0;
}

static struct consensus *start_without_votes(uint64_t final_view)
{
    struct consensus *consensus = start(4, 0, final_view);
    consensus_restore_bar(consensus, CONSENSUS_BAR_UNKNOWN);
    return consensus;
}

static void recovered(struct consensus *consensus, uint64_t view)
{
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_RECOVERED, .view = view });
}

/* Another member, in this view by the nullification of the one before. */
static struct consensus *other_in(size_t own, uint64_t view)
{
    struct consensus *other = start(4, own, 0);
    if (view > 1) certify(other, CL_VOTE_NULLIFY, view - 1, NULL);
    return other;
}

static struct cl_buffer answer_of(size_t own, uint64_t view, const uint8_t nonce32[32])
{
    struct cl_buffer payload = { 0 };
    struct consensus *other = other_in(own, view);
    assert_int_equal(vote_recovery_answer(&payload, other, nonce32), CL_OK);
    consensus_free(other);
    return payload;
}

/* Takes the payload's answer, and lets go of it. */
static enum cl_status take(struct vote_recovery *recovery, const struct consensus *consensus, size_t from, struct cl_buffer payload)
{
    struct frame_recovery_answer answer;
    assert_int_equal(frame_recovery_answer_decode(&answer, (struct cl_view){ payload.data, payload.length }), CL_OK);
    enum cl_status status = vote_recovery_take(recovery, consensus, from, &answer, certificate, &has);
    cl_buffer_deinit(&payload);
    return status;
}

static void sign_again(struct frame_recovery_answer *answer)
{
    struct cl_buffer bytes = { 0 };
    assert_int_equal(frame_recovery_answer_signed_bytes(&bytes, answer), CL_OK);
    cl_ed25519_sign(answer->signature, network.vote_seed[answer->member], bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
}

/* ---- following without votes */
static void a_barred_member_votes_for_nothing_and_follows(void **state)
{
    (void)state;
    fixture_network_make(&network, 4);
    struct order_block parent = { .view = view_led_by(1, 4, 2) - 1 };
    memset(parent.id.bytes, 7, 32);
    struct consensus *consensus = start_without_votes(parent.view);
    struct order_block block = block_of(1, parent.view + 1, &parent);
    wake(consensus);
    propose(consensus, 1, &block);
    verdict(consensus, &block, CONSENSUS_VALID);
    assert_int_equal(count_of(CONSENSUS_APPEND_VOTE), 0);
    fire(consensus, CONSENSUS_TIMER_ADVANCE);
    assert_int_equal(count_of(CONSENSUS_APPEND_VOTE), 0);
    for (size_t voter = 1; voter <= 3; voter++) cast(consensus, voter, CL_VOTE_NOTARIZE, block.view, &block.id);
    assert_int_equal(count_of(CONSENSUS_APPEND_CERTIFICATE), 1);
    assert_int_equal(count_of(CONSENSUS_APPEND_VOTE), 0);
    fire(consensus, CONSENSUS_TIMER_RESEND);
    assert_int_equal(count_of(CONSENSUS_APPEND_VOTE) + count_of(CONSENSUS_SEND_VOTE), 0);
    for (size_t voter = 1; voter <= 3; voter++) cast(consensus, voter, CL_VOTE_FINALIZE, block.view, &block.id);
    assert_int_equal(count_of(CONSENSUS_COMMIT), 1);
    consensus_free(consensus);
}

static void a_barred_leader_proposes_nothing(void **state)
{
    (void)state;
    fixture_network_make(&network, 4);
    uint64_t view = view_led_by(0, 4, 2);
    struct consensus *consensus = start_without_votes(view - 1);
    wake(consensus);
    assert_int_equal(count_of(CONSENSUS_BUILD), 0);
    recovered(consensus, view - 1);
    assert_int_equal(count_of(CONSENSUS_BUILD), 1);
    consensus_free(consensus);
}

static void it_votes_again_above_the_bar_which_is_in_the_log_first(void **state)
{
    (void)state;
    struct consensus *consensus = start_without_votes(0);
    wake(consensus);
    recovered(consensus, 2);
    assert_int_equal(effects.items[0].kind, CONSENSUS_APPEND_BAR);
    assert_int_equal(effects.items[0].view, 2);
    assert_int_equal(effects.items[1].kind, CONSENSUS_SYNC);
    recovered(consensus, 1); /* another one changes nothing */
    assert_int_equal(report_of(consensus).barred, 2);
    for (uint64_t view = 1; view <= 3; view++) {
        fire(consensus, CONSENSUS_TIMER_ADVANCE);
        assert_int_equal(cast_of(CL_VOTE_NULLIFY), view == 3 ? 1 : 0);
        certify(consensus, CL_VOTE_NULLIFY, view, NULL);
    }
    consensus_free(consensus);
}

static void a_log_that_starts_anew_keeps_the_bar_until_that_view_is_final(void **state)
{
    (void)state;
    struct consensus *consensus = start_without_votes(0);
    struct order_block parent = { .view = 0 }, block;
    memset(parent.id.bytes, 7, 32);
    block = block_of(1, 2, &parent);
    for (int round = 0; round < 3; round++) {
        uint64_t from = 0;
        size_t bars = 0;
        effects.count = 0;
        assert_int_equal(consensus_retained(consensus, &effects, &from), CL_OK);
        for (size_t i = 0; i < effects.count; i++) bars += effects.items[i].kind == CONSENSUS_APPEND_BAR && effects.items[i].view == (round == 0 ? CONSENSUS_BAR_UNKNOWN : 2);
        assert_int_equal(bars, round < 2 ? 1 : 0);
        effects.count = 0;
        assert_int_equal(consensus_retained(consensus, &effects, &from), CL_OK);
        assert_int_equal(effects.count, 0);
        if (round == 0) recovered(consensus, 2);
        if (round != 1) continue;
        certify(consensus, CL_VOTE_FINALIZE, 2, &block.id);
        step(consensus, &(struct consensus_event){ .kind = CONSENSUS_BLOCK, .block = block });
        assert_int_equal(report_of(consensus).final_view, 2);
    }
    consensus_free(consensus);
}

static void a_restored_bar_holds(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    consensus_restore_bar(consensus, CONSENSUS_BAR_UNKNOWN);
    consensus_restore_bar(consensus, 1); /* in the log's order: the last one */
    wake(consensus);
    fire(consensus, CONSENSUS_TIMER_ADVANCE);
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 0);
    certify(consensus, CL_VOTE_NULLIFY, 1, NULL);
    fire(consensus, CONSENSUS_TIMER_ADVANCE);
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 1);
    consensus_free(consensus);
}

/* ---- asking */
static void a_quorum_of_others_names_the_bar(void **state)
{
    (void)state;
    static const uint64_t views[] = { 0, 5, 9, 1 };
    struct vote_recovery recovery;
    uint64_t barred = 0;
    vote_recovery_begin(&recovery, nonce);
    for (size_t from = 1; from <= 3; from++) {
        struct cl_buffer payload = answer_of(from, views[from], nonce);
        struct consensus *consensus = start_without_votes(0);
        assert_false(vote_recovery_bar(&recovery, consensus, &barred)); /* two are not enough: one of them may lie */
        assert_int_equal(take(&recovery, consensus, from, payload), CL_OK);
        assert_int_equal(has, from != 3); /* in view 1 nothing was certified yet */
        if (from == 3) assert_true(vote_recovery_bar(&recovery, consensus, &barred));
        consensus_free(consensus);
    }
    assert_int_equal(barred, 10);
    assert_int_equal(vote_recovery_needed(7), 5);
    assert_true(vote_recovery_needed(3) > 2); /* nobody can tell */
}

/* What a view further on than we know is proven by certificates alone, whatever number is named beside them. */
static void the_certificate_decides_where_it_says_more(void **state)
{
    (void)state;
    struct vote_recovery recovery;
    struct frame_recovery_answer answer;
    struct cl_buffer payload = answer_of(1, 9, nonce);
    struct consensus *consensus = start_without_votes(0);
    vote_recovery_begin(&recovery, nonce);
    assert_int_equal(frame_recovery_answer_decode(&answer, (struct cl_view){ payload.data, payload.length }), CL_OK);
    answer.view = 3;
    sign_again(&answer);
    assert_int_equal(vote_recovery_take(&recovery, consensus, 1, &answer, certificate, &has), CL_OK);
    assert_int_equal(recovery.highest, 9);
    cl_buffer_deinit(&payload);
    consensus_free(consensus);
}

static void what_is_not_proven_does_not_count(void **state)
{
    (void)state;
    static const uint8_t stale[32] = { 9 };
    struct vote_recovery recovery;
    struct frame_recovery_answer answer, good;
    struct cl_buffer payload = answer_of(1, 5, nonce), old = answer_of(1, 5, stale), twice = answer_of(2, 5, nonce), bad = { 0 };
    struct consensus *consensus = start_without_votes(0);
    vote_recovery_begin(&recovery, nonce);
    assert_int_equal(take(&recovery, consensus, 1, old), CL_E_REPLAY);
    assert_int_equal(frame_recovery_answer_decode(&good, (struct cl_view){ payload.data, payload.length }), CL_OK);
    assert_int_equal(vote_recovery_take(&recovery, consensus, 2, &good, certificate, &has), CL_E_MEMBER);
    answer = good;
    answer.signature[0] ^= 1;
    assert_int_equal(vote_recovery_take(&recovery, consensus, 1, &answer, certificate, &has), CL_E_SIGNATURE);
    answer = good;
    answer.view = 6; /* its certificate is for view 4 */
    sign_again(&answer);
    assert_int_equal(vote_recovery_take(&recovery, consensus, 1, &answer, certificate, &has), CL_E_CERTIFICATE);
    answer.certificate.length = 0;
    answer.view = 2;
    sign_again(&answer);
    assert_int_equal(vote_recovery_take(&recovery, consensus, 1, &answer, certificate, &has), CL_E_CERTIFICATE);
    assert_int_equal(cl_certificate_decode(certificate, good.certificate.data, good.certificate.length), CL_OK);
    certificate->signatures[1][5] ^= 1;
    assert_int_equal(cl_certificate_encode(&bad, certificate), CL_OK);
    answer = good;
    answer.certificate = (struct cl_view){ bad.data, bad.length };
    sign_again(&answer);
    assert_int_equal(vote_recovery_take(&recovery, consensus, 1, &answer, certificate, &has), CL_E_CERTIFICATE);
    answer = (struct frame_recovery_answer){ .member = 0, .view = 1 }; /* ourselves */
    memcpy(answer.nonce, nonce, 32);
    sign_again(&answer);
    assert_int_equal(vote_recovery_take(&recovery, consensus, 0, &answer, certificate, &has), CL_E_MEMBER);
    assert_int_equal(recovery.count, 0);
    assert_int_equal(vote_recovery_take(&recovery, consensus, 1, &good, certificate, &has), CL_OK);
    assert_int_equal(vote_recovery_take(&recovery, consensus, 1, &good, certificate, &has), CL_E_EXISTS);
    assert_int_equal(take(&recovery, consensus, 2, twice), CL_OK);
    assert_int_equal(recovery.count, 2);
    cl_buffer_deinit(&bad);
    cl_buffer_deinit(&payload);
    consensus_free(consensus);
}

/* Its memory is what the other counts on: a vote of its own, forgotten, may have let the other into the view after next. */
static void who_forgot_its_own_votes_does_not_answer_until_those_views_are_over(void **state)
{
    (void)state;
    struct cl_buffer payload = { 0 };
    struct consensus *consensus = start_without_votes(0);
    assert_int_equal(vote_recovery_answer(&payload, consensus, nonce), CL_E_PENDING);
    recovered(consensus, 3);
    certify(consensus, CL_VOTE_NULLIFY, 2, NULL);
    assert_int_equal(vote_recovery_answer(&payload, consensus, nonce), CL_E_PENDING);
    certify(consensus, CL_VOTE_NULLIFY, 3, NULL);
    assert_int_equal(vote_recovery_answer(&payload, consensus, nonce), CL_OK);
    cl_buffer_deinit(&payload);
    consensus_free(consensus);
}

static void the_position_is_proven_by_what_entered_the_view(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    const struct cl_certificate *proof;
    struct order_block parent = { .view = 0 }, block;
    uint64_t view;
    memset(parent.id.bytes, 7, 32);
    block = block_of(1, 1, &parent);
    assert_true(consensus_position(consensus, &view, &proof));
    assert_true(view == 1 && proof == NULL);
    certify(consensus, CL_VOTE_NOTARIZE, 1, &block.id);
    assert_true(consensus_position(consensus, &view, &proof));
    assert_true(view == 2 && proof->kind == CL_VOTE_NOTARIZE && proof->view == 1);
    certify(consensus, CL_VOTE_FINALIZE, 1, &block.id);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_BLOCK, .block = block });
    assert_true(consensus_position(consensus, &view, &proof));
    assert_true(view == 2 && proof->kind == CL_VOTE_FINALIZE && proof->view == 1);
    consensus_free(consensus);
}

/* Why one more than the highest: we were first to have the certificate for view v - 1, proposed in v, and lost the log
   while all others were still in v - 1. */
static void who_was_a_view_ahead_of_everybody_does_not_vote_in_it_again(void **state)
{
    (void)state;
    fixture_network_make(&network, 4);
    uint64_t view = view_led_by(0, 4, 3), barred = 0;
    struct vote_recovery recovery;
    struct cl_buffer payloads[4];
    vote_recovery_begin(&recovery, nonce);
    for (size_t from = 1; from <= 3; from++) payloads[from] = answer_of(from, view - 1, nonce);
    struct consensus *consensus = start_without_votes(0);
    wake(consensus);
    for (size_t from = 1; from <= 3; from++) {
        assert_int_equal(take(&recovery, consensus, from, payloads[from]), CL_OK);
        step(consensus, &(struct consensus_event){ .kind = CONSENSUS_CERTIFICATE, .certificate = certificate });
    }
    assert_true(vote_recovery_bar(&recovery, consensus, &barred));
    recovered(consensus, barred);
    for (uint64_t each = 1; each < view; each++) certify(consensus, CL_VOTE_NULLIFY, each, NULL);
    assert_int_equal(report_of(consensus).view, view);
    wake(consensus);
    assert_int_equal(count_of(CONSENSUS_BUILD), 0);
    fire(consensus, CONSENSUS_TIMER_ADVANCE);
    assert_int_equal(count_of(CONSENSUS_APPEND_VOTE), 0);
    consensus_free(consensus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_barred_member_votes_for_nothing_and_follows),
        cmocka_unit_test(a_barred_leader_proposes_nothing),
        cmocka_unit_test(it_votes_again_above_the_bar_which_is_in_the_log_first),
        cmocka_unit_test(a_log_that_starts_anew_keeps_the_bar_until_that_view_is_final),
        cmocka_unit_test(a_restored_bar_holds),
        cmocka_unit_test(a_quorum_of_others_names_the_bar),
        cmocka_unit_test(the_certificate_decides_where_it_says_more),
        cmocka_unit_test(what_is_not_proven_does_not_count),
        cmocka_unit_test(who_forgot_its_own_votes_does_not_answer_until_those_views_are_over),
        cmocka_unit_test(the_position_is_proven_by_what_entered_the_view),
        cmocka_unit_test(who_was_a_view_ahead_of_everybody_does_not_vote_in_it_again),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
