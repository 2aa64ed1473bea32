/* rules_end.c: REVOKE, ERASE, ACK, DISPUTE. rules.md "REVOKE", "Others". */
#include "rules_world.h"

static void a_withdrawal_absorbs(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    allow(1, CL_REVOKE, on(id));
    const struct cl_agreement *a = story_agreement(id);
    assert_int_equal(a->status, CL_WITHDRAWN);
    assert_int_equal(a->live, 0);
    assert_int_equal(a->due, 7);
    assert_int_equal(cl_agreement_check(a, 1, story_now_ms), CL_E_WITHDRAWN);
    refuse(CL_E_FINAL, 1, CL_REVOKE, on(id));
    refuse(CL_E_FINAL, 2, CL_REVOKE, on(id));
    refuse(CL_E_FINAL, 1, CL_SUSPEND, on(id));
    refuse(CL_E_FINAL, 1, CL_RESUME, with_prev(on(id)));
    refuse(CL_E_FINAL, 1, CL_RENEW, with_after(with_prev(on(id)), STORY_START_S + 10));
}

static void an_organisation_ends_it_all_or_not_at_all(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    refuse(CL_E_SLOTS, 2, CL_REVOKE, with_slots(on(id), 1));
    allow(2, CL_REVOKE, with_reason(on(id), 6));
    assert_int_equal(story_agreement(id)->status, CL_TERMINATED);
    assert_int_equal(story_agreement(id)->due, 7);
}

static void what_is_not_yours_you_cannot_revoke(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7), *terms = story_make_terms(1, 2, 0, 1);
    refuse(CL_E_PARTY, 3, CL_REVOKE, on(id));
    refuse(CL_E_PARTY, 90, CL_REVOKE, on(id)); /* nor can a member: a node orders, it never signs a transition */
    refuse(CL_E_PARTY, 3, CL_REVOKE, on(terms));
    refuse(CL_E_NO_OBJECT, 1, CL_REVOKE, on(story_hash(2)));
    refuse(CL_E_OBJECT_KIND, 1, CL_REVOKE, on(story_make_profile(1, 3)));
    refuse(CL_E_PARTY, 2, CL_REVOKE, on(story_offer(4, 4, 7))); /* O of an offer is nobody yet */
}

static void part_of_it_can_be_withdrawn_and_then_the_rest(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    refuse(CL_E_SLOTS, 1, CL_REVOKE, with_slots(on(id), 9));
    allow(1, CL_REVOKE, with_slots(on(id), 1));
    assert_int_equal(story_agreement(id)->status, CL_ACTIVE);
    assert_int_equal(story_agreement(id)->live, 6);
    assert_int_equal(story_agreement(id)->due, 1);
    assert_int_equal(cl_agreement_check(story_agreement(id), 1, story_now_ms), CL_E_SLOT_NOT_LIVE);
    refuse(CL_E_SLOTS, 1, CL_REVOKE, with_slots(on(id), 1));
    allow(1, CL_REVOKE, with_slots(on(id), 6)); /* a partial one that leaves no slot is a full one */
    assert_int_equal(story_agreement(id)->status, CL_WITHDRAWN);
    assert_int_equal(story_agreement(id)->due, 7);
}

static void an_offer_is_withdrawn_without_anything_being_due(void **state)
{
    (void)state;
    const uint8_t *id = story_offer(1, 1, 7);
    refuse(CL_E_STATUS, 1, CL_REVOKE, with_slots(on(id), 1));
    allow(1, CL_REVOKE, on(id));
    assert_int_equal(story_agreement(id)->status, CL_WITHDRAWN);
    assert_int_equal(story_agreement(id)->due, 0);
    struct cl_entry late = with_slots(with_commitment(with_prev(on(id)), 1), 7);
    refuse(CL_E_FINAL, 2, CL_SUBSCRIBE, with_token(late, 80, id, id, 2));
}

static void a_customers_revocation_has_no_reason(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    refuse(CL_E_REASON, 1, CL_REVOKE, with_reason(on(id), 7));
    refuse(CL_E_REASON, 1, CL_REVOKE, with_slots(with_reason(on(id), 7), 1));
}

static void suspended_and_expired_agreements_can_be_revoked(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7), *other = story_active(3, 2, 2, 7);
    allow(2, CL_SUSPEND, on(id));
    allow(1, CL_REVOKE, on(id));
    allow(3, CL_AMEND, with_after(on(other), STORY_START_S + 1));
    story_now_ms = STORY_START_MS + 1000000;
    allow(3, CL_REVOKE, on(other));
    assert_int_equal(story_agreement(other)->due, 7);
}

static void who_acts_for_both_withdraws_unless_a_reason_is_given(void **state)
{
    (void)state;
    const uint8_t *a = story_active(1, 2, 1, 7), *b = story_active(1, 2, 2, 7);
    const uint8_t *both[2] = {a, b};
    for (unsigned i = 0; i < 2; i++) {
        struct cl_entry grant = with_key(with_after(on(both[i]), STORY_START_S + 100), story_key(3), 33);
        allow(1, CL_DELEGATE, with_mode(grant, CL_POWER_REVOKE));
        allow(2, CL_DELEGATE, with_mode(grant, CL_POWER_REVOKE));
    }
    allow(3, CL_REVOKE, on(a));
    assert_int_equal(story_agreement(a)->status, CL_WITHDRAWN);
    refuse(CL_E_REASON, 3, CL_REVOKE, with_slots(with_reason(on(b), 7), 1));
    allow(3, CL_REVOKE, with_reason(on(b), 7));
    assert_int_equal(story_agreement(b)->status, CL_TERMINATED);
}

static void a_delegates_power_ends_with_its_time(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    struct cl_entry grant = with_key(with_after(on(id), STORY_START_S + 100), story_key(3), 33);
    allow(1, CL_DELEGATE, with_mode(grant, 2 | 4 | 8 | 16));
    refuse(CL_E_POWER, 3, CL_REVOKE, on(id));
    allow(1, CL_DELEGATE, with_mode(grant, CL_POWER_REVOKE));
    story_now_ms = STORY_START_MS + 100000;
    refuse(CL_E_POWER, 3, CL_REVOKE, on(id));
    story_now_ms = STORY_START_MS + 99999;
    allow(3, CL_REVOKE, on(id));
}

static void closed_terms_leave_agreements_standing(void **state)
{
    (void)state;
    const uint8_t *terms = story_make_terms(1, 1, 1, 5);
    allow(2, CL_SUBSCRIBE, subscribe_to(terms, 1));
    refuse(CL_E_SLOTS, 1, CL_REVOKE, with_slots(on(terms), 1));
    refuse(CL_E_REASON, 1, CL_REVOKE, with_reason(on(terms), 7));
    allow(1, CL_REVOKE, on(terms));
    assert_int_equal(story_terms(terms)->open, 0);
    assert_memory_equal(story_terms(terms)->head, story_record_id.bytes, 32);
    refuse(CL_E_CLOSED, 1, CL_REVOKE, on(terms));
    assert_int_equal(story_agreement(story_id(2, 1))->status, CL_ACTIVE);
    allow(1, CL_REVOKE, on(story_id(2, 1))); /* C is the TERMS: its present key acts */
}

static void a_dispute_is_raised_once_and_cleared_once(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    struct cl_agreement before = *story_agreement(id);
    struct cl_entry raise = with_reason(with_ref(on(id), story_hash(3)), 4);
    struct cl_entry clear = with_reason(with_ref(on(id), story_hash(3)), 5);
    refuse(CL_E_NO_CHANGE, 1, CL_DISPUTE, clear);
    refuse(CL_E_PARTY, 3, CL_DISPUTE, raise);
    allow(1, CL_DISPUTE, raise);
    assert_int_equal(story_agreement(id)->flags, CL_FLAG_DISPUTED);
    assert_memory_equal(story_agreement(id)->head, before.head, 32);
    refuse(CL_E_NO_CHANGE, 2, CL_DISPUTE, raise);
    allow(2, CL_DISPUTE, clear);
    assert_int_equal(story_agreement(id)->flags, 0);
}

static void an_acknowledgement_changes_the_last_index_only(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    allow(1, CL_REVOKE, on(id));
    struct cl_agreement before = *story_agreement(id);
    allow(2, CL_ACK, with_reason(with_ref(on(id), story_record_id.bytes), 2));
    struct cl_agreement after = *story_agreement(id);
    assert_int_equal(after.last_index, before.last_index + 1);
    assert_memory_equal(after.head, before.head, 32);
    assert_int_equal(after.head_ms, before.head_ms);
    allow(2, CL_ACK, with_reason(with_ref(on(id), story_record_id.bytes), 2)); /* again: exempt from "no change" */
    refuse(CL_E_PARTY, 3, CL_ACK, with_reason(with_ref(on(id), story_record_id.bytes), 2));
}

static void erasing_what_is_due(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    allow(1, CL_REVOKE, with_slots(on(id), 3));
    refuse(CL_E_SLOTS, 2, CL_ERASE, with_slots(on(id), 4)); /* live, not due */
    allow(2, CL_ERASE, with_slots(on(id), 1));
    assert_int_equal(story_agreement(id)->due, 2);
    assert_int_equal(story_agreement(id)->flags, 0);
    allow(2, CL_ERASE, with_slots(on(id), 2));
    assert_int_equal(story_agreement(id)->due, 0);
    assert_int_equal(story_agreement(id)->flags, 0); /* all that was due, but slot 2 is live still */
    refuse(CL_E_SLOTS, 2, CL_ERASE, with_slots(on(id), 2));
    allow(1, CL_REVOKE, on(id));
    allow(2, CL_ERASE, with_slots(on(id), 4));
    assert_int_equal(story_agreement(id)->flags, CL_FLAG_ERASED_O);
    refuse(CL_E_NO_CHANGE, 2, CL_ERASE, on(id));
}

static void expiry_makes_all_that_is_live_due(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    allow(1, CL_AMEND, with_after(on(id), STORY_START_S + 10));
    allow(1, CL_REVOKE, with_slots(on(id), 4));
    assert_int_equal(cl_agreement_due(story_agreement(id), STORY_START_MS + 9999), 4);
    assert_int_equal(cl_agreement_due(story_agreement(id), STORY_START_MS + 10000), 7);
    story_now_ms = STORY_START_MS + 10000;
    allow(2, CL_ERASE, with_slots(on(id), 5));
    assert_int_equal(story_agreement(id)->live, 2);
    assert_int_equal(cl_agreement_due(story_agreement(id), story_now_ms), 2);
    assert_int_equal(story_agreement(id)->flags, 0);
    allow(2, CL_ERASE, on(id));
    assert_int_equal(story_agreement(id)->live, 0);
    assert_int_equal(cl_agreement_due(story_agreement(id), story_now_ms), 0);
    assert_int_equal(story_agreement(id)->flags, CL_FLAG_ERASED_O);
    const uint8_t *offer = story_offer(1, 2, 7);
    assert_int_equal(cl_agreement_due(story_agreement(offer), UINT64_MAX), 0); /* nobody had anything */
}

static void a_customer_states_erasure_once(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    refuse(CL_E_SLOTS, 1, CL_ERASE, with_slots(on(id), 1));
    allow(1, CL_ERASE, on(id));
    assert_int_equal(story_agreement(id)->flags, CL_FLAG_ERASED_C);
    refuse(CL_E_NO_CHANGE, 1, CL_ERASE, on(id));
    refuse(CL_E_PARTY, 3, CL_ERASE, on(id));
}

static void who_acts_for_both_erases_for_c_first_and_then_for_o(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    struct cl_entry grant = with_key(with_after(on(id), STORY_START_S + 100), story_key(3), 33);
    allow(1, CL_DELEGATE, with_mode(grant, CL_POWER_STATE));
    allow(2, CL_DELEGATE, with_mode(grant, CL_POWER_STATE));
    allow(3, CL_ERASE, on(id));
    assert_int_equal(story_agreement(id)->flags, CL_FLAG_ERASED_C);
    allow(3, CL_ERASE, on(id));
    assert_int_equal(story_agreement(id)->flags, CL_FLAG_ERASED_C | CL_FLAG_ERASED_O);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_withdrawal_absorbs, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(an_organisation_ends_it_all_or_not_at_all, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(what_is_not_yours_you_cannot_revoke, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(part_of_it_can_be_withdrawn_and_then_the_rest, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(an_offer_is_withdrawn_without_anything_being_due, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_customers_revocation_has_no_reason, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(suspended_and_expired_agreements_can_be_revoked, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(who_acts_for_both_withdraws_unless_a_reason_is_given, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_delegates_power_ends_with_its_time, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(closed_terms_leave_agreements_standing, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_dispute_is_raised_once_and_cleared_once, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(an_acknowledgement_changes_the_last_index_only, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(erasing_what_is_due, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(expiry_makes_all_that_is_live_due, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_customer_states_erasure_once, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(who_acts_for_both_erases_for_c_first_and_then_for_o, story_setup, story_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
