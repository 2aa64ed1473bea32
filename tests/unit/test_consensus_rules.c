/* The rules of agreement among four, one by one (node/README.md, "Agreement"): each of these fails when its rule is taken
   out. We are member 0 unless a test says otherwise; D is 200 ms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus_helpers.h"

static void hear_all(struct consensus *consensus, enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block)
{
    for (size_t voter = 1; voter <= 3; voter++) cast(consensus, voter, kind, view, block);
}

static void resume(struct consensus *consensus)
{
    effects.count = 0;
    assert_int_equal(consensus_resume(consensus, &effects, now_ms), CL_OK);
    for (size_t i = 0; i < effects.count; i++)
        if (effects.items[i].kind == CONSENSUS_ARM) {
            timers.armed[effects.items[i].timer] = true;
            timers.at_ms[effects.items[i].timer] = effects.items[i].at_ms;
        }
}

/* ---- rule 1 */
static void entering_a_view_arms_its_timers_and_leaving_it_kills_them(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    uint64_t view = parent.view + 1;
    wake(consensus);
    assert_int_equal(timers.at_ms[CONSENSUS_TIMER_LEADER], 1400);
    assert_int_equal(timers.at_ms[CONSENSUS_TIMER_ADVANCE], 1600);
    now_ms = 1100;
    certify(consensus, CL_VOTE_NULLIFY, view, NULL);
    assert_int_equal(report_of(consensus).view, view + 1);
    assert_int_equal(timers.at_ms[CONSENSUS_TIMER_LEADER], 1500);
    now_ms = 1400; /* the timer of the view that was left, on its way while we left it */
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_TIMER, .timer = CONSENSUS_TIMER_LEADER });
    assert_int_equal(effects.count, 0);
    consensus_free(consensus);
}

static void a_stale_certificate_does_not_arm_timers_again(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    struct cl_block_id block = { { 1 } };
    wake(consensus);
    for (uint64_t view = 1; view <= 3; view++) certify(consensus, CL_VOTE_NULLIFY, view, NULL);
    uint64_t advance = timers.at_ms[CONSENSUS_TIMER_ADVANCE];
    now_ms += 50;
    certify(consensus, CL_VOTE_NOTARIZE, 2, &block);
    certify(consensus, CL_VOTE_NULLIFY, 2, NULL);
    assert_int_equal(report_of(consensus).view, 4);
    assert_int_equal(timers.at_ms[CONSENSUS_TIMER_ADVANCE], advance);
    consensus_free(consensus);
}

static void a_proposal_stops_the_leader_timer(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    wake(consensus);
    assert_true(timers.armed[CONSENSUS_TIMER_LEADER]);
    struct order_block block = block_of(1, parent.view + 1, &parent);
    propose(consensus, 1, &block);
    assert_false(timers.armed[CONSENSUS_TIMER_LEADER]);
    assert_true(timers.armed[CONSENSUS_TIMER_ADVANCE]);
    consensus_free(consensus);
}

/* ---- rule 3 */
static void a_proposal_is_validated_logged_and_then_notarized(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    struct order_block block = block_of(1, parent.view + 1, &parent);
    propose(consensus, 1, &block);
    assert_memory_equal(effect_of(CONSENSUS_VALIDATE)->block.id.bytes, block.id.bytes, 32);
    assert_int_equal(effects.count, 1);
    verdict(consensus, &block, CONSENSUS_VALID);
    assert_int_equal(effects.items[0].kind, CONSENSUS_APPEND_PROPOSAL);
    assert_int_equal(effects.items[1].kind, CONSENSUS_APPEND_VOTE);
    assert_int_equal(effects.items[1].vote.kind, CL_VOTE_NOTARIZE);
    assert_int_equal(effects.items[2].kind, CONSENSUS_SYNC);
    assert_int_equal(effects.items[3].kind, CONSENSUS_SEND_VOTE);
    consensus_free(consensus);
}

/* Equivocation does not crash us, gets one notarize at most, and shows as evidence. */
static void of_two_proposals_only_the_first_is_ever_notarized(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    struct order_block first = block_of(1, parent.view + 1, &parent), second = block_of(2, parent.view + 1, &parent);
    propose(consensus, 1, &first);
    verdict(consensus, &first, CONSENSUS_VALID);
    assert_int_equal(cast_of(CL_VOTE_NOTARIZE), 1);
    propose(consensus, 1, &second);
    assert_int_equal(count_of(CONSENSUS_VALIDATE), 0);
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 1); /* the leader is proven to lie */
    verdict(consensus, &second, CONSENSUS_VALID);
    assert_int_equal(cast_of(CL_VOTE_NOTARIZE), 0);
    assert_int_equal(report_of(consensus).evidence, 1);
    const struct consensus_evidence *evidence = consensus_evidence(consensus, 0);
    assert_memory_equal(evidence->first.block.bytes, first.id.bytes, 32);
    assert_memory_equal(evidence->second.block.bytes, second.id.bytes, 32);
    consensus_free(consensus);
}

static void what_is_missing_is_pending_and_never_invalid(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    struct order_block block = block_of(1, parent.view + 1, &parent);
    propose(consensus, 1, &block);
    verdict(consensus, &block, CONSENSUS_PENDING);
    assert_int_equal(effects.count, 0);
    fire(consensus, CONSENSUS_TIMER_RESEND);
    assert_int_equal(count_of(CONSENSUS_VALIDATE), 1);
    verdict(consensus, &block, CONSENSUS_VALID);
    assert_int_equal(cast_of(CL_VOTE_NOTARIZE), 1);
    consensus_free(consensus);
}

static void an_invalid_proposal_is_nullified_at_once(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    struct order_block block = block_of(1, parent.view + 1, &parent);
    propose(consensus, 1, &block);
    verdict(consensus, &block, CONSENSUS_INVALID);
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 1);
    consensus_free(consensus);
}

/* A leader may not skip a view that nobody proved to be nullified; nor build on what is not notarized. */
static void a_proposal_without_proof_of_its_ancestry_is_not_voted_for(void **state)
{
    (void)state;
    fixture_network_make(&network, 4);
    struct order_block parent = final_at(view_led_by(1, 4, 3) - 2);
    uint64_t view = parent.view + 2;
    struct consensus *consensus = start(4, 0, parent.view);
    struct cl_block_id skipped = { { 3 } };
    certify(consensus, CL_VOTE_NOTARIZE, view - 1, &skipped); /* enters the view; that one is not nullified */
    struct order_block block = block_of(1, view, &parent);
    propose(consensus, 1, &block);
    assert_int_equal(count_of(CONSENSUS_VALIDATE), 0);
    certify(consensus, CL_VOTE_NULLIFY, view - 1, NULL);
    assert_int_equal(count_of(CONSENSUS_VALIDATE), 1);
    consensus_free(consensus);

    consensus = start(4, 0, parent.view);
    certify(consensus, CL_VOTE_NOTARIZE, view - 1, &skipped);
    struct order_block liar = block_of(2, view - 1, &parent); /* another block than the one that was notarized */
    block = block_of(1, view, &liar);
    propose(consensus, 1, &block);
    assert_int_equal(count_of(CONSENSUS_VALIDATE), 0);
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 1);
    consensus_free(consensus);
}

/* ---- rule 4 */
static void a_silent_leader_is_nullified_when_the_timer_fires(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    wake(consensus);
    fire(consensus, CONSENSUS_TIMER_LEADER);
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 1);
    fire(consensus, CONSENSUS_TIMER_ADVANCE);
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 0);
    consensus_free(consensus);
}

static void who_notarized_can_still_nullify(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    struct order_block block = block_of(1, parent.view + 1, &parent);
    propose(consensus, 1, &block);
    verdict(consensus, &block, CONSENSUS_VALID);
    fire(consensus, CONSENSUS_TIMER_ADVANCE);
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 1);
    consensus_free(consensus);
}

static void a_leaders_own_nullify_is_followed(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    wake(consensus);
    cast(consensus, 2, CL_VOTE_NULLIFY, parent.view + 1, NULL);
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 0);
    cast(consensus, 1, CL_VOTE_NULLIFY, parent.view + 1, NULL);
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 1);
    consensus_free(consensus);
}

static void who_finalized_never_nullifies(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    struct cl_block_id block = { { 1 } };
    struct cl_vote own = vote_of(0, CL_VOTE_FINALIZE, parent.view + 1, &block);
    assert_int_equal(consensus_restore_vote(consensus, &own), CL_OK);
    resume(consensus);
    fire(consensus, CONSENSUS_TIMER_LEADER);
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 0);
    fire(consensus, CONSENSUS_TIMER_ADVANCE);
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 0);
    consensus_free(consensus);
}

/* ---- rule 5: also where the nullify is not on disk yet, and where certificates are heard again */
static void who_nullified_never_finalizes(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    struct cl_block_id block = { { 1 } };
    wake(consensus);
    fire(consensus, CONSENSUS_TIMER_LEADER);
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 1);
    certify(consensus, CL_VOTE_NOTARIZE, parent.view + 1, &block);
    assert_int_equal(cast_of(CL_VOTE_FINALIZE), 0);
    hear_all(consensus, CL_VOTE_NOTARIZE, parent.view + 1, &block);
    fire(consensus, CONSENSUS_TIMER_RESEND);
    assert_int_equal(cast_of(CL_VOTE_FINALIZE), 0);
    for (size_t i = 0; i < effects.count; i++)
        assert_true(effects.items[i].kind != CONSENSUS_SEND_VOTE || effects.items[i].vote.kind != CL_VOTE_FINALIZE);
    consensus_free(consensus);
}

/* Also of a view that we left without having nullified it, where the second proposal comes late. */
static void who_saw_two_proposals_does_not_finalize(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    struct cl_block_id first = { { 1 } }, second = { { 2 } };
    certify(consensus, CL_VOTE_NULLIFY, parent.view + 1, NULL);
    cast(consensus, 1, CL_VOTE_PROPOSE, parent.view + 1, &first);
    cast(consensus, 1, CL_VOTE_PROPOSE, parent.view + 1, &second);
    certify(consensus, CL_VOTE_NOTARIZE, parent.view + 1, &first);
    assert_int_equal(cast_of(CL_VOTE_FINALIZE), 0);
    consensus_free(consensus);
}

static void a_notarization_from_others_enters_and_finalizes(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    struct cl_block_id block = { { 1 } };
    certify(consensus, CL_VOTE_NOTARIZE, parent.view + 1, &block);
    assert_int_equal(report_of(consensus).view, parent.view + 2);
    assert_int_equal(cast_of(CL_VOTE_FINALIZE), 1);
    assert_int_equal(effects.items[0].kind, CONSENSUS_APPEND_CERTIFICATE); /* what entered the view is durable before a vote in it */
    consensus_free(consensus);
}

/* ---- rule 7 */
static void a_body_is_asked_for_once_and_commits_all_its_ancestors(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 5);
    struct order_block parent = final_at(5);
    struct order_block a = block_of(1, 6, &parent), b = block_of(2, 7, &a);
    certify(consensus, CL_VOTE_NOTARIZE, 7, &b.id);
    assert_int_equal(fetched_count, 1);
    certify(consensus, CL_VOTE_FINALIZE, 7, &b.id);
    cast(consensus, 1, CL_VOTE_FINALIZE, 7, &b.id);
    assert_int_equal(fetched_count, 0);
    assert_int_equal(count_of(CONSENSUS_COMMIT), 0);
    fire(consensus, CONSENSUS_TIMER_RESEND); /* the request may have been lost */
    assert_int_equal(fetched_count, 1);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_BLOCK, .block = b });
    assert_int_equal(fetched_count, 1);
    assert_memory_equal(fetched[0].id.bytes, a.id.bytes, 32);
    struct order_block unasked = block_of(9, 6, &parent);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_BLOCK, .block = unasked });
    assert_int_equal(effects.count, 0);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_BLOCK, .block = a });
    assert_int_equal(count_of(CONSENSUS_COMMIT), 2);
    assert_memory_equal(effects.items[0].block.id.bytes, a.id.bytes, 32);
    assert_null(effects.items[0].certificate);
    assert_int_equal(effects.items[1].certificate->view, 7);
    assert_int_equal(report_of(consensus).final_view, 7);
    consensus_free(consensus);
}

/* The verdict may come after everyone else's finalization. */
/* For whoever has no room: no block that may still be final without a certificate that leads back to it. */
static void only_a_nullified_block_that_no_certificate_names_is_forgotten(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    struct order_block block = block_of(1, parent.view + 1, &parent);
    propose(consensus, 1, &block);
    verdict(consensus, &block, CONSENSUS_VALID);
    assert_false(consensus_forget(consensus, &block)); /* it may become notarized */
    certify(consensus, CL_VOTE_NULLIFY, block.view, NULL);
    assert_true(consensus_forget(consensus, &block));
    uint64_t from = 0;
    effects.count = 0;
    assert_int_equal(consensus_retained(consensus, &effects, &from), CL_OK);
    assert_int_equal(count_of(CONSENSUS_APPEND_PROPOSAL), 0);
    assert_int_equal(count_of(CONSENSUS_APPEND_VOTE), 1); /* what was signed stays */
    certify(consensus, CL_VOTE_NOTARIZE, block.view, &block.id);
    assert_int_equal(fetched_count, 1); /* it was notarized all the same, and others have it */
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_BLOCK, .block = block });
    assert_false(consensus_forget(consensus, &block)); /* a leader may build on it */
    consensus_free(consensus);
}

static void a_late_verdict_commits_what_is_final_by_then(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    struct order_block block = block_of(1, parent.view + 1, &parent);
    propose(consensus, 1, &block);
    certify(consensus, CL_VOTE_FINALIZE, block.view, &block.id);
    assert_int_equal(count_of(CONSENSUS_APPEND_CERTIFICATE), 1); /* it entered the view, and no ledger justifies that yet */
    verdict(consensus, &block, CONSENSUS_VALID);
    assert_int_equal(count_of(CONSENSUS_COMMIT), 1);
    consensus_free(consensus);
}

static void catching_up_by_height_needs_the_finalization(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 5);
    struct order_block block = { .id = { { 1 } }, .view = 90 };
    struct cl_certificate made = { .view = 90, .kind = CL_VOTE_FINALIZE, .has_block = true, .block = block.id, .member_count = 4, .vote_count = 2, .voters = { 6 } };
    for (size_t voter = 1; voter <= 3; voter++) memcpy(made.signatures[voter - 1], vote_of(voter, CL_VOTE_FINALIZE, 90, &block.id).signature, 64);
    struct consensus_event event = { .kind = CONSENSUS_FINAL, .block = block, .certificate = &made };
    wake(consensus);
    step(consensus, &event);
    assert_int_equal(report_of(consensus).final_view, 5);
    made.vote_count = 3;
    made.voters[0] = 14;
    step(consensus, &event);
    assert_int_equal(report_of(consensus).final_view, 90);
    assert_int_equal(report_of(consensus).view, 91);
    assert_true(report_of(consensus).idle); /* the record was in what is final now, or the executor wakes us again */
    consensus_free(consensus);
}

/* ---- rule 8 */
static void every_resend_repeats_votes_certificate_and_finalization(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    struct order_block parent = final_at(0), block = block_of(1, 1, &parent);
    certify(consensus, CL_VOTE_NOTARIZE, 1, &block.id);
    fire(consensus, CONSENSUS_TIMER_LEADER); /* view 2 */
    struct cl_vote nullify = effect_of(CONSENSUS_APPEND_VOTE)->vote;
    for (int tick = 0; tick < 3; tick++) {
        uint64_t before = now_ms;
        size_t finalizes = 0, nullifies = 0, notarizations = 0;
        fire(consensus, CONSENSUS_TIMER_RESEND);
        assert_true(now_ms - before <= 400);
        for (size_t i = 0; i < effects.count; i++) {
            const struct consensus_effect *effect = &effects.items[i];
            if (effect->kind == CONSENSUS_SEND_CERTIFICATE) notarizations += effect->certificate->view == 1;
            if (effect->kind != CONSENSUS_SEND_VOTE) continue;
            finalizes += effect->vote.kind == CL_VOTE_FINALIZE;
            nullifies += effect->vote.kind == CL_VOTE_NULLIFY && memcmp(effect->vote.signature, nullify.signature, 64) == 0;
        }
        assert_int_equal(finalizes, 1);
        assert_int_equal(nullifies, 1);
        assert_true(notarizations >= 1);
    }
    certify(consensus, CL_VOTE_FINALIZE, 1, &block.id);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_BLOCK, .block = block });
    assert_int_equal(report_of(consensus).final_view, 1);
    fire(consensus, CONSENSUS_TIMER_RESEND);
    assert_int_equal(effect_of(CONSENSUS_SEND_CERTIFICATE)->certificate->kind, CL_VOTE_FINALIZE);
    consensus_free(consensus);
}

static void a_proposal_is_repeated_too(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(0, &parent);
    wake(consensus);
    struct order_block block = built(effect_of(CONSENSUS_BUILD), 1);
    give_block(consensus, &block);
    synced(consensus, last_sync());
    for (int tick = 0; tick < 2; tick++) {
        fire(consensus, CONSENSUS_TIMER_RESEND);
        assert_int_equal(count_of(CONSENSUS_SEND_PROPOSAL), 1);
        assert_int_equal(effect_of(CONSENSUS_SEND_VOTE)->vote.kind, CL_VOTE_NOTARIZE);
    }
    consensus_free(consensus);
}

static void who_is_behind_is_told_where_we_are_but_not_in_a_storm(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    for (uint64_t view = 1; view <= 3; view++) certify(consensus, CL_VOTE_NULLIFY, view, NULL);
    now_ms += 1000;
    cast(consensus, 1, CL_VOTE_NULLIFY, 1, NULL);
    assert_int_equal(effect_of(CONSENSUS_SEND_CERTIFICATE)->certificate->view, 3);
    cast(consensus, 1, CL_VOTE_NULLIFY, 1, NULL);
    assert_int_equal(effects.count, 0);
    consensus_free(consensus);
}

/* ---- rule 9 */
static void an_idle_node_has_no_view_timers_and_speaks_every_ten_seconds(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 5);
    resume(consensus);
    assert_true(report_of(consensus).idle);
    assert_false(timers.armed[CONSENSUS_TIMER_LEADER] || timers.armed[CONSENSUS_TIMER_ADVANCE]);
    assert_int_equal(timers.at_ms[CONSENSUS_TIMER_RESEND], now_ms + CONSENSUS_RESEND_IDLE_MS);
    wake(consensus);
    assert_false(report_of(consensus).idle);
    assert_true(timers.at_ms[CONSENSUS_TIMER_RESEND] <= now_ms + 400);
    assert_true(timers.armed[CONSENSUS_TIMER_ADVANCE]);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_NOTHING });
    assert_true(report_of(consensus).idle);
    assert_false(timers.armed[CONSENSUS_TIMER_ADVANCE]);
    consensus_free(consensus);
}

static void a_proposal_or_f_and_one_nullify_votes_wake(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    resume(consensus);
    cast(consensus, 2, CL_VOTE_NULLIFY, parent.view + 1, NULL);
    assert_true(report_of(consensus).idle);
    cast(consensus, 3, CL_VOTE_NULLIFY, parent.view + 1, NULL);
    assert_false(report_of(consensus).idle);
    assert_true(timers.armed[CONSENSUS_TIMER_ADVANCE]);
    consensus_free(consensus);
    consensus = start_before(1, &parent);
    resume(consensus);
    struct order_block block = block_of(1, parent.view + 1, &parent);
    propose(consensus, 1, &block);
    assert_false(report_of(consensus).idle);
    consensus_free(consensus);
}

/* The last record: its block is notarized, nobody has another record, and it still has to become final. */
static void a_leader_on_a_parent_that_is_not_final_proposes_an_empty_block_after_d(void **state)
{
    (void)state;
    struct order_block parent;
    fixture_network_make(&network, 4);
    parent = final_at(view_led_by(0, 4, 3) - 2);
    struct consensus *consensus = start(4, 0, parent.view);
    struct order_block block = block_of(1, parent.view + 1, &parent);
    certify(consensus, CL_VOTE_NOTARIZE, block.view, &block.id);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_BLOCK, .block = block });
    assert_int_equal(count_of(CONSENSUS_BUILD), 0);
    assert_false(report_of(consensus).idle);
    assert_int_equal(timers.at_ms[CONSENSUS_TIMER_PROPOSE], now_ms + 200);
    fire(consensus, CONSENSUS_TIMER_PROPOSE);
    assert_true(effect_of(CONSENSUS_BUILD)->empty);
    assert_memory_equal(effect_of(CONSENSUS_BUILD)->block.parent.bytes, block.id.bytes, 32);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_NOTHING, .view = block.view + 1 });
    assert_int_equal(effects.count, 0); /* it could not: not asked again before the next resend */
    consensus_free(consensus);
}

static void a_leader_without_records_on_a_final_parent_builds_nothing(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(0, &parent);
    resume(consensus);
    fire(consensus, CONSENSUS_TIMER_RESEND);
    assert_int_equal(count_of(CONSENSUS_BUILD), 0);
    assert_false(timers.armed[CONSENSUS_TIMER_PROPOSE]);
    cast(consensus, 2, CL_VOTE_NULLIFY, parent.view + 1, NULL);
    cast(consensus, 3, CL_VOTE_NULLIFY, parent.view + 1, NULL);
    assert_false(report_of(consensus).idle); /* awake, and still without a reason for a block */
    assert_false(timers.armed[CONSENSUS_TIMER_PROPOSE]);
    fire(consensus, CONSENSUS_TIMER_RESEND);
    assert_int_equal(count_of(CONSENSUS_BUILD), 0);
    consensus_free(consensus);
}

/* ---- rule 10 */
static void patience_grows_with_views_that_bring_nothing_and_has_a_cap(void **state)
{
    (void)state;
    static const uint64_t expected[] = { 200, 200, 300, 450, 675 };
    struct consensus *consensus = start(4, 0, 0);
    wake(consensus);
    for (uint64_t view = 1; view <= 40; view++) {
        if (view <= 5) assert_int_equal(timers.at_ms[CONSENSUS_TIMER_ADVANCE], now_ms + 3 * expected[view - 1]);
        certify(consensus, CL_VOTE_NULLIFY, view, NULL);
    }
    assert_int_equal(timers.at_ms[CONSENSUS_TIMER_ADVANCE], now_ms + 3 * CONSENSUS_D_MS_MAX);
    consensus_free(consensus);
}

/* ---- rule 11 */
static void certificates_are_accepted_from_far_ahead(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    certify(consensus, CL_VOTE_NULLIFY, 5000, NULL);
    assert_int_equal(report_of(consensus).view, 5001);
    consensus_free(consensus);
}

static void all_certificates_above_the_last_final_view_are_served_in_turn(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    bool served[13] = { false };
    wake(consensus);
    for (uint64_t view = 1; view <= 12; view++) certify(consensus, CL_VOTE_NULLIFY, view, NULL);
    for (int tick = 0; tick < 4; tick++) {
        fire(consensus, CONSENSUS_TIMER_RESEND);
        assert_true(count_of(CONSENSUS_SEND_CERTIFICATE) <= 6);
        for (size_t i = 0; i < effects.count; i++)
            if (effects.items[i].kind == CONSENSUS_SEND_CERTIFICATE) served[effects.items[i].certificate->view] = true;
    }
    for (uint64_t view = 1; view <= 12; view++) assert_true(served[view]);
    consensus_free(consensus);
}

static void at_64_blocks_not_final_only_empty_ones_are_proposed(void **state)
{
    (void)state;
    fixture_network_make(&network, 4);
    for (uint64_t depth = 63; depth <= 64; depth++) {
        uint64_t view = view_led_by(0, 4, depth + 1);
        struct order_block parent = final_at(view - depth - 1);
        struct consensus *consensus = start(4, 0, parent.view);
        for (uint64_t i = 0; i < depth; i++) {
            struct order_block block = block_of((uint8_t)(100 + i), parent.view + 1, &parent);
            certify(consensus, CL_VOTE_NOTARIZE, block.view, &block.id);
            for (size_t j = 0; j < effects.count; j++) /* the disk keeps up */
                if (effects.items[j].kind == CONSENSUS_SYNC) {
                    uint64_t sequence = effects.items[j].sequence;
                    synced(consensus, sequence);
                    break;
                }
            step(consensus, &(struct consensus_event){ .kind = CONSENSUS_BLOCK, .block = block });
            parent = block;
        }
        wake(consensus);
        assert_int_equal(count_of(CONSENSUS_BUILD), depth == 63 ? 1 : 0);
        if (depth == 64) {
            fire(consensus, CONSENSUS_TIMER_PROPOSE);
            assert_true(effect_of(CONSENSUS_BUILD)->empty);
        }
        consensus_free(consensus);
    }
}

/* ---- views that end without a block */
/* Two blocks of one leader, and nobody has a quorum for either: everybody gives up the view, those who voted in it too, and
   the next leader goes on without it. */
static void votes_split_over_two_blocks_do_not_stall(void **state)
{
    (void)state;
    fixture_network_make(&network, 4);
    struct order_block parent = final_at(view_led_by(3, 4, 2) - 1);
    struct consensus *consensus = start(4, 0, parent.view);
    struct order_block a = block_of(1, parent.view + 1, &parent), b = block_of(2, parent.view + 1, &parent);
    wake(consensus);
    propose(consensus, 3, &a);
    verdict(consensus, &a, CONSENSUS_VALID);
    assert_int_equal(cast_of(CL_VOTE_NOTARIZE), 1);
    synced(consensus, last_sync());
    cast(consensus, 1, CL_VOTE_NOTARIZE, a.view, &b.id);
    cast(consensus, 2, CL_VOTE_NOTARIZE, a.view, &b.id);
    assert_int_equal(report_of(consensus).view, a.view);
    fire(consensus, CONSENSUS_TIMER_ADVANCE);
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 1);
    synced(consensus, last_sync());
    cast(consensus, 1, CL_VOTE_NULLIFY, a.view, NULL);
    cast(consensus, 2, CL_VOTE_NULLIFY, a.view, NULL);
    assert_int_equal(report_of(consensus).view, a.view + 1);
    assert_int_equal(consensus_leader(&network.genesis.network, 0, a.view + 1, 4), 0); /* ours: it is skipped with proof */
    assert_memory_equal(effect_of(CONSENSUS_BUILD)->block.parent.bytes, parent.id.bytes, 32);
    consensus_free(consensus);
}

/* ---- restart */
/* A crash after a block went to the ledger and before the vote log heard of it, or began anew. */
static void what_the_ledger_has_as_final_is_passed_over_in_the_log(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    struct order_block settled = block_of(9, parent.view, &parent), block = block_of(1, parent.view + 1, &parent);
    struct cl_vote own = vote_of(0, CL_VOTE_NOTARIZE, settled.view, &settled.id);
    struct cl_certificate *certificate = calloc(1, sizeof *certificate);
    assert_non_null(certificate);
    *certificate = (struct cl_certificate){ .view = settled.view, .kind = CL_VOTE_NOTARIZE, .has_block = true, .block = settled.id, .member_count = 4, .vote_count = 3, .voters = { 14 } };
    settled.parent_view = settled.view - 1;
    assert_int_equal(consensus_restore_proposal(consensus, &settled), CL_OK);
    assert_int_equal(consensus_restore_vote(consensus, &own), CL_OK);
    assert_int_equal(consensus_restore_certificate(consensus, certificate), CL_OK);
    resume(consensus);
    assert_int_equal(report_of(consensus).view, block.view);
    assert_int_equal(count_of(CONSENSUS_COMMIT) + count_of(CONSENSUS_SEND_VOTE) + count_of(CONSENSUS_SEND_CERTIFICATE), 0);
    propose(consensus, 1, &block);
    verdict(consensus, &block, CONSENSUS_VALID);
    assert_int_equal(cast_of(CL_VOTE_NOTARIZE), 1);
    free(certificate);
    consensus_free(consensus);
}

static void an_own_vote_counts_after_a_restart_and_is_sent_with_the_same_bytes(void **state)
{
    (void)state;
    struct order_block parent;
    struct consensus *consensus = start_before(1, &parent);
    struct order_block block = block_of(1, parent.view + 1, &parent);
    propose(consensus, 1, &block);
    verdict(consensus, &block, CONSENSUS_VALID);
    struct cl_vote own = effect_of(CONSENSUS_APPEND_VOTE)->vote;
    consensus_free(consensus);
    consensus = start(4, 0, parent.view);
    assert_int_equal(consensus_restore_proposal(consensus, &block), CL_OK);
    assert_int_equal(consensus_restore_vote(consensus, &own), CL_OK);
    resume(consensus);
    fire(consensus, CONSENSUS_TIMER_RESEND);
    assert_memory_equal(effect_of(CONSENSUS_SEND_VOTE)->vote.signature, own.signature, 64);
    propose(consensus, 1, &block);
    assert_int_equal(cast_of(CL_VOTE_NOTARIZE), 0);
    cast(consensus, 2, CL_VOTE_NOTARIZE, block.view, &block.id);
    cast(consensus, 3, CL_VOTE_NOTARIZE, block.view, &block.id);
    assert_int_equal(count_of(CONSENSUS_SEND_CERTIFICATE), 1);
    consensus_free(consensus);
}

/* A disk that is behind: votes stop at a bound, nothing is lost but time. */
static void a_node_whose_disk_is_behind_casts_no_more_votes(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    size_t cast_votes = 0;
    uint64_t sequence = 0;
    for (uint64_t view = 1; view <= 40; view++) {
        struct cl_block_id block = { { (uint8_t)view } };
        certify(consensus, CL_VOTE_NOTARIZE, view, &block);
        cast_votes += cast_of(CL_VOTE_FINALIZE);
        sequence = last_sync();
    }
    assert_int_equal(cast_votes, 16);
    synced(consensus, sequence);
    fire(consensus, CONSENSUS_TIMER_RESEND);
    assert_int_equal(cast_of(CL_VOTE_FINALIZE), 16);
    consensus_free(consensus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entering_a_view_arms_its_timers_and_leaving_it_kills_them),
        cmocka_unit_test(a_stale_certificate_does_not_arm_timers_again),
        cmocka_unit_test(a_proposal_stops_the_leader_timer),
        cmocka_unit_test(a_proposal_is_validated_logged_and_then_notarized),
        cmocka_unit_test(of_two_proposals_only_the_first_is_ever_notarized),
        cmocka_unit_test(what_is_missing_is_pending_and_never_invalid),
        cmocka_unit_test(an_invalid_proposal_is_nullified_at_once),
        cmocka_unit_test(a_proposal_without_proof_of_its_ancestry_is_not_voted_for),
        cmocka_unit_test(a_silent_leader_is_nullified_when_the_timer_fires),
        cmocka_unit_test(who_notarized_can_still_nullify),
        cmocka_unit_test(a_leaders_own_nullify_is_followed),
        cmocka_unit_test(who_finalized_never_nullifies),
        cmocka_unit_test(who_nullified_never_finalizes),
        cmocka_unit_test(who_saw_two_proposals_does_not_finalize),
        cmocka_unit_test(a_notarization_from_others_enters_and_finalizes),
        cmocka_unit_test(a_body_is_asked_for_once_and_commits_all_its_ancestors),
        cmocka_unit_test(only_a_nullified_block_that_no_certificate_names_is_forgotten),
        cmocka_unit_test(a_late_verdict_commits_what_is_final_by_then),
        cmocka_unit_test(catching_up_by_height_needs_the_finalization),
        cmocka_unit_test(every_resend_repeats_votes_certificate_and_finalization),
        cmocka_unit_test(a_proposal_is_repeated_too),
        cmocka_unit_test(who_is_behind_is_told_where_we_are_but_not_in_a_storm),
        cmocka_unit_test(an_idle_node_has_no_view_timers_and_speaks_every_ten_seconds),
        cmocka_unit_test(a_proposal_or_f_and_one_nullify_votes_wake),
        cmocka_unit_test(a_leader_on_a_parent_that_is_not_final_proposes_an_empty_block_after_d),
        cmocka_unit_test(a_leader_without_records_on_a_final_parent_builds_nothing),
        cmocka_unit_test(patience_grows_with_views_that_bring_nothing_and_has_a_cap),
        cmocka_unit_test(certificates_are_accepted_from_far_ahead),
        cmocka_unit_test(all_certificates_above_the_last_final_view_are_served_in_turn),
        cmocka_unit_test(at_64_blocks_not_final_only_empty_ones_are_proposed),
        cmocka_unit_test(votes_split_over_two_blocks_do_not_stall),
        cmocka_unit_test(what_the_ledger_has_as_final_is_passed_over_in_the_log),
        cmocka_unit_test(an_own_vote_counts_after_a_restart_and_is_sent_with_the_same_bytes),
        cmocka_unit_test(a_node_whose_disk_is_behind_casts_no_more_votes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
