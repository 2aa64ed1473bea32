/* rules_active.c: AMEND, SUSPEND, RESUME, RENEW. rules.md "Active agreements (status 4)". */
#include "rules_world.h"

/* Active between 1 and 2, slots 7, with this not_after. */
static const uint8_t *until(uint64_t not_after)
{
    struct cl_entry offer = with_audience_token(with_slots(with_commitment(on_new(9), 1), 7), 80);
    allow(1, CL_GRANT, with_after(offer, not_after));
    const uint8_t *id = story_id(1, 9);
    allow(2, CL_SUBSCRIBE, with_token(with_slots(with_commitment(with_prev(on(id)), 1), 7), 80, id, id, 2));
    return id;
}

static struct cl_entry proposal(const uint8_t *id, unsigned commitment, uint64_t slots)
{
    return with_slots(with_commitment(with_prev(on(id)), commitment), slots);
}

static void a_customer_narrows_alone(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    refuse(CL_E_PARTY, 2, CL_AMEND, with_slots(on(id), 1));
    refuse(CL_E_SLOTS, 1, CL_AMEND, with_slots(on(id), 8));
    refuse(CL_E_NO_CHANGE, 1, CL_AMEND, with_slots(on(id), 7));
    allow(1, CL_AMEND, with_slots(on(id), 3));
    assert_int_equal(story_agreement(id)->live, 3);
    assert_int_equal(story_agreement(id)->due, 4);
    assert_memory_equal(story_agreement(id)->head, story_record_id.bytes, 32);
    allow(1, CL_AMEND, with_after(on(id), STORY_START_S + 100));
    refuse(CL_E_PERIOD, 1, CL_AMEND, with_after(on(id), STORY_START_S + 101));
    refuse(CL_E_NO_CHANGE, 1, CL_AMEND, with_after(on(id), STORY_START_S + 100));
    story_now_ms = STORY_START_MS + 100000;
    allow(1, CL_AMEND, with_slots(on(id), 1)); /* allowed after expiry */
}

static void narrowing_needs_an_active_agreement(void **state)
{
    (void)state;
    refuse(CL_E_STATUS, 1, CL_AMEND, with_slots(on(story_offer(1, 1, 7)), 1));
    const uint8_t *id = story_active(1, 2, 2, 7);
    allow(2, CL_REVOKE, on(id));
    refuse(CL_E_FINAL, 1, CL_AMEND, with_slots(on(id), 1));
    refuse(CL_E_NO_OBJECT, 1, CL_AMEND, with_slots(on(story_hash(3)), 1));
    refuse(CL_E_OBJECT_KIND, 1, CL_AMEND, with_slots(on(story_make_terms(1, 3, 0, 1)), 1));
}

static void a_narrowed_period_is_not_empty(void **state)
{
    (void)state;
    struct cl_entry offer = with_audience_token(with_slots(with_commitment(on_new(1), 1), 7), 80);
    allow(1, CL_GRANT, with_before(offer, STORY_START_S + 50));
    const uint8_t *id = story_id(1, 1);
    allow(2, CL_SUBSCRIBE, with_token(with_slots(with_commitment(with_prev(on(id)), 1), 7), 80, id, id, 2));
    refuse(CL_E_PERIOD, 1, CL_AMEND, with_after(on(id), STORY_START_S + 50));
    allow(1, CL_AMEND, with_after(on(id), STORY_START_S + 51));
}

static void a_proposal_leaves_the_old_terms_in_force(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    struct cl_agreement before = *story_agreement(id);
    allow(2, CL_AMEND, with_after(proposal(id, 2, 12), STORY_START_S + 500));
    const struct cl_agreement *a = story_agreement(id);
    assert_memory_equal(a->head, before.head, 32);
    assert_memory_equal(a->commitment, before.commitment, 32);
    assert_int_equal(a->live, 7);
    assert_true(a->pending.present);
    assert_int_equal(a->pending.side, CL_SIDE_ORGANISATION);
    assert_int_equal(a->pending.slots, 12);
    assert_memory_equal(a->pending.record_id, story_record_id.bytes, 32);
    struct cl_record_id first = story_record_id;
    /* another proposal replaces it, and the first can no longer be accepted */
    allow(2, CL_AMEND, proposal(id, 3, 6));
    refuse(CL_E_NO_AMENDMENT, 1, CL_AMEND, with_ref(with_prev(on(id)), first.bytes));
}

static void the_other_side_accepts(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    allow(2, CL_AMEND, with_after(proposal(id, 2, 12), STORY_START_S + 500));
    struct cl_record_id proposed = story_record_id;
    struct cl_entry accept = with_ref(with_prev(on(id)), proposed.bytes);
    refuse(CL_E_PARTY, 2, CL_AMEND, accept);
    refuse(CL_E_PARTY, 3, CL_AMEND, accept);
    refuse(CL_E_HEAD, 1, CL_AMEND, with_ref(with_prev_of(on(id), story_hash(4)), proposed.bytes));
    allow(1, CL_AMEND, accept);
    const struct cl_agreement *a = story_agreement(id);
    assert_int_equal(a->live, 12);
    assert_int_equal(a->due, 3);
    assert_memory_equal(a->commitment, story_hash(2), 32);
    assert_int_equal(a->not_after.seconds, STORY_START_S + 500);
    assert_false(a->pending.present);
    refuse(CL_E_NO_AMENDMENT, 1, CL_AMEND, with_ref(with_prev(on(id)), proposed.bytes));
}

static void revoke_wins_over_pending_amend(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    allow(2, CL_AMEND, proposal(id, 2, 15));
    struct cl_record_id proposed = story_record_id;
    struct cl_entry accept = with_ref(with_prev(on(id)), proposed.bytes);
    allow(1, CL_REVOKE, with_slots(on(id), 1));
    assert_false(story_agreement(id)->pending.present);
    refuse(CL_E_HEAD, 1, CL_AMEND, accept);
    refuse(CL_E_NO_AMENDMENT, 1, CL_AMEND, with_ref(with_prev(on(id)), proposed.bytes));
    allow(1, CL_REVOKE, on(id));
    refuse(CL_E_FINAL, 1, CL_AMEND, with_ref(with_prev(on(id)), proposed.bytes));
}

static void an_amendment_lapses_when_the_head_moves(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    allow(2, CL_AMEND, proposal(id, 2, 15));
    allow(1, CL_SUSPEND, on(id));
    assert_false(story_agreement(id)->pending.present);
}

static void nothing_is_amended_after_expiry(void **state)
{
    (void)state;
    const uint8_t *id = until(STORY_START_S + 100);
    allow(2, CL_AMEND, proposal(id, 2, 15));
    struct cl_record_id proposed = story_record_id;
    story_now_ms = STORY_START_MS + 100000;
    refuse(CL_E_EXPIRED, 1, CL_AMEND, with_ref(with_prev(on(id)), proposed.bytes));
    refuse(CL_E_EXPIRED, 1, CL_AMEND, proposal(id, 2, 15));
}

static void a_lapsed_amendment_is_not_accepted(void **state)
{
    (void)state;
    const uint8_t *id = until(STORY_START_S + 100);
    allow(2, CL_AMEND, with_after(proposal(id, 2, 15), STORY_START_S + 50));
    struct cl_record_id proposed = story_record_id;
    story_now_ms = STORY_START_MS + 50000;
    refuse(CL_E_EXPIRED, 1, CL_AMEND, with_ref(with_prev(on(id)), proposed.bytes));
}

static void a_suspension_is_ones_own(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    refuse(CL_E_PARTY, 3, CL_SUSPEND, on(id));
    allow(1, CL_SUSPEND, on(id));
    assert_int_equal(story_agreement(id)->suspended, 1);
    assert_int_equal(cl_agreement_check(story_agreement(id), 1, story_now_ms), CL_E_SUSPENDED);
    refuse(CL_E_NO_CHANGE, 1, CL_SUSPEND, on(id));
    refuse(CL_E_NO_CHANGE, 2, CL_RESUME, with_prev(on(id)));
    allow(2, CL_SUSPEND, on(id));
    assert_int_equal(story_agreement(id)->suspended, 3);
    refuse(CL_E_HEAD, 1, CL_RESUME, with_prev_of(on(id), story_hash(3)));
    allow(1, CL_RESUME, with_prev(on(id)));
    assert_int_equal(story_agreement(id)->suspended, 2);
    assert_int_equal(cl_agreement_check(story_agreement(id), 1, story_now_ms), CL_E_SUSPENDED);
    allow(2, CL_RESUME, with_prev(on(id)));
    assert_int_equal(story_agreement(id)->suspended, 0);
    refuse(CL_E_STATUS, 1, CL_SUSPEND, on(story_offer(1, 2, 7)));
}

static void to_suspend_is_one_power_and_to_resume_another(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    struct cl_entry grant = with_key(with_after(on(id), STORY_START_S + 100), story_key(3), 33);
    allow(1, CL_DELEGATE, with_mode(grant, CL_POWER_REVOKE));
    allow(3, CL_SUSPEND, on(id));
    refuse(CL_E_POWER, 3, CL_RESUME, with_prev(on(id)));
    allow(1, CL_DELEGATE, with_mode(grant, CL_POWER_GRANT));
    allow(3, CL_RESUME, with_prev(on(id)));
    refuse(CL_E_POWER, 3, CL_SUSPEND, on(id));
}

static void who_may_act_for_both_takes_the_first_that_changes_something(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    struct cl_entry grant = with_key(with_after(on(id), STORY_START_S + 100), story_key(3), 33);
    allow(1, CL_DELEGATE, with_mode(grant, 7));
    allow(2, CL_DELEGATE, with_mode(grant, 7));
    allow(3, CL_SUSPEND, on(id));
    assert_int_equal(story_agreement(id)->suspended, 1);
    allow(3, CL_SUSPEND, on(id));
    assert_int_equal(story_agreement(id)->suspended, 3);
    refuse(CL_E_NO_CHANGE, 3, CL_SUSPEND, on(id));
    allow(3, CL_RESUME, with_prev(on(id)));
    assert_int_equal(story_agreement(id)->suspended, 2);
    allow(3, CL_AMEND, proposal(id, 2, 15));
    assert_int_equal(story_agreement(id)->pending.side, CL_SIDE_CUSTOMER);
    struct cl_record_id proposed = story_record_id;
    refuse(CL_E_PARTY, 1, CL_AMEND, with_ref(with_prev(on(id)), proposed.bytes));
    allow(3, CL_AMEND, with_ref(with_prev(on(id)), proposed.bytes));
}

static void a_customer_renews_in_time(void **state)
{
    (void)state;
    const uint8_t *id = until(STORY_START_S + 100);
    refuse(CL_E_PARTY, 2, CL_RENEW, with_after(with_prev(on(id)), STORY_START_S + 500));
    refuse(CL_E_NO_CHANGE, 1, CL_RENEW, with_after(with_prev(on(id)), STORY_START_S + 100));
    refuse(CL_E_PERIOD, 1, CL_RENEW, with_after(with_prev(on(id)), STORY_START_S));
    refuse(CL_E_HEAD, 1, CL_RENEW, with_after(with_prev_of(on(id), story_hash(3)), STORY_START_S + 500));
    story_now_ms = STORY_START_MS + 100000 + 30 * STORY_DAY_S * 1000 + 1;
    refuse(CL_E_EXPIRED, 1, CL_RENEW, with_after(with_prev(on(id)), STORY_START_S + 60 * STORY_DAY_S));
    story_now_ms = STORY_START_MS + 100000 + 30 * STORY_DAY_S * 1000;
    allow(1, CL_RENEW, with_after(with_prev(on(id)), STORY_START_S + 60 * STORY_DAY_S));
    assert_int_equal(story_agreement(id)->live, 7);
}

static void nothing_is_renewed_once_it_is_erased(void **state)
{
    (void)state;
    const uint8_t *id = until(STORY_START_S + 100);
    story_now_ms = STORY_START_MS + 100000;
    allow(2, CL_ERASE, on(id));
    refuse(CL_E_ERASED, 1, CL_RENEW, with_after(with_prev(on(id)), STORY_START_S + 500));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_customer_narrows_alone, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(narrowing_needs_an_active_agreement, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_narrowed_period_is_not_empty, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_proposal_leaves_the_old_terms_in_force, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(the_other_side_accepts, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(revoke_wins_over_pending_amend, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(an_amendment_lapses_when_the_head_moves, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(nothing_is_amended_after_expiry, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_lapsed_amendment_is_not_accepted, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_suspension_is_ones_own, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(to_suspend_is_one_power_and_to_resume_another, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(who_may_act_for_both_takes_the_first_that_changes_something, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_customer_renews_in_time, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(nothing_is_renewed_once_it_is_erased, story_setup, story_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
