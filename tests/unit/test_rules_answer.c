/* rules_answer.c: GRANT, SUBSCRIBE, COUNTER, REFUSE as answers. rules.md "Answers", "Audience", "Periods". */
#include "rules_world.h"

static const uint8_t *request(unsigned organisation, uint8_t nonce, uint64_t slots)
{
    allow(organisation, CL_REQUEST, with_audience_token(with_slots(with_commitment(on_new(nonce), 1), slots), 80));
    return story_id(organisation, nonce);
}

static struct cl_entry answer(const uint8_t *id, unsigned commitment, uint64_t slots)
{
    return with_slots(with_commitment(with_prev(on(id)), commitment), slots);
}

static void both_sides_sign_the_same_commitment_in_either_order(void **state)
{
    (void)state;
    const uint8_t *a = story_active(1, 2, 1, 7);
    assert_int_equal(story_agreement(a)->status, CL_ACTIVE);
    assert_int_equal(story_agreement(a)->audience.kind, 0);
    const uint8_t *b = request(2, 2, 7);
    allow(3, CL_GRANT, with_token(answer(b, 1, 7), 80, b, b, 3));
    assert_int_equal(story_agreement(b)->status, CL_ACTIVE);
    assert_memory_equal(story_agreement(b)->customer.bytes, story_key(3), 33);
    assert_int_equal(story_agreement(b)->audience.kind, 0);
    assert_int_equal(cl_agreement_check(story_agreement(b), 7, story_now_ms), CL_OK);
}

static void another_commitment_or_other_slots_are_no_acceptance(void **state)
{
    (void)state;
    const uint8_t *id = story_offer(1, 1, 7);
    refuse(CL_E_COMMITMENT, 2, CL_SUBSCRIBE, with_token(answer(id, 2, 7), 80, id, id, 2));
    refuse(CL_E_SLOTS, 2, CL_SUBSCRIBE, with_token(answer(id, 1, 3), 80, id, id, 2));
    refuse(CL_E_SLOTS, 2, CL_SUBSCRIBE, with_token(answer(id, 1, 15), 80, id, id, 2));
    struct cl_entry stale = with_prev_of(with_slots(with_commitment(on(id), 1), 7), story_hash(4));
    refuse(CL_E_HEAD, 2, CL_SUBSCRIBE, with_token(stale, 80, id, id, 2));
    refuse(CL_E_NO_OBJECT, 2, CL_SUBSCRIBE, with_token(answer(story_hash(5), 1, 7), 80, id, id, 2));
}

static void a_grant_may_give_less_than_was_asked_and_never_more(void **state)
{
    (void)state;
    const uint8_t *a = request(2, 1, 7);
    refuse(CL_E_SLOTS, 1, CL_GRANT, with_token(answer(a, 1, 8), 80, a, a, 1));
    refuse(CL_E_COMMITMENT, 1, CL_GRANT, with_token(answer(a, 2, 7), 80, a, a, 1));
    struct cl_entry entry = with_after(with_token(answer(a, 1, 2), 80, a, a, 1), STORY_START_S + 50);
    allow(1, CL_GRANT, with_recovery(entry, 60));
    assert_int_equal(story_agreement(a)->live, 2);
    assert_int_equal(story_agreement(a)->not_after.seconds, STORY_START_S + 50);
    assert_true(story_agreement(a)->recovery.present);
}

static void a_granted_period_lies_within_the_requested(void **state)
{
    (void)state;
    struct cl_entry entry = with_audience_token(with_slots(with_commitment(on_new(1), 1), 7), 80);
    allow(2, CL_REQUEST, with_after(with_before(entry, 100), STORY_START_S + 100));
    const uint8_t *a = story_id(2, 1);
    entry = with_token(answer(a, 1, 7), 80, a, a, 1);
    refuse(CL_E_PERIOD, 1, CL_GRANT, with_after(entry, STORY_START_S + 101));
    refuse(CL_E_PERIOD, 1, CL_GRANT, with_before(entry, 99));
    allow(1, CL_GRANT, with_before(entry, 101));
    assert_int_equal(story_agreement(a)->not_before.seconds, 101);
    assert_int_equal(story_agreement(a)->not_after.seconds, STORY_START_S + 100);
}

static void it_takes_the_right_side_in_its_turn(void **state)
{
    (void)state;
    const uint8_t *offer = story_offer(1, 1, 7), *asked = request(2, 2, 7);
    refuse(CL_E_TURN, 3, CL_GRANT, with_token(answer(offer, 1, 7), 80, offer, offer, 3));
    refuse(CL_E_TURN, 3, CL_SUBSCRIBE, with_token(answer(asked, 1, 7), 80, asked, asked, 3));
    const uint8_t *active = story_active(4, 5, 3, 7);
    refuse(CL_E_STATUS, 5, CL_SUBSCRIBE, answer(active, 1, 7));
    refuse(CL_E_STATUS, 4, CL_GRANT, answer(active, 1, 7));
    allow(4, CL_REVOKE, on(active));
    refuse(CL_E_FINAL, 4, CL_GRANT, answer(active, 1, 7));
}

static void nobody_agrees_with_themselves(void **state)
{
    (void)state;
    const uint8_t *id = story_offer(1, 1, 7), *profile = story_make_profile(1, 2);
    refuse(CL_E_SELF, 1, CL_SUBSCRIBE, with_token(answer(id, 1, 7), 80, id, id, 1));
    refuse(CL_E_SELF, 1, CL_SUBSCRIBE, with_party(with_token(answer(id, 1, 7), 80, id, id, 1), profile));
    /* neither through a delegate of a PROFILE whose key is the other side's */
    allow(1, CL_DELEGATE, with_mode(with_key(with_after(on(profile), STORY_START_S + 100), story_key(3), 33), 2));
    refuse(CL_E_SELF, 3, CL_SUBSCRIBE, with_party(with_token(answer(id, 1, 7), 80, id, id, 3), profile));
    refuse(CL_E_SELF, 1, CL_COUNTER, with_token(answer(id, 1, 7), 80, id, id, 1));
}

static void an_offer_hidden_by_a_hash_opens_to_the_named_key_only(void **state)
{
    (void)state;
    struct cl_entry offer = with_slots(with_commitment(on_new(1), 1), 7);
    allow(1, CL_GRANT, with_audience_key(offer, 55, story_key(2), 33));
    const uint8_t *id = story_id(1, 1);
    refuse(CL_E_AUDIENCE, 2, CL_SUBSCRIBE, answer(id, 1, 7));
    refuse(CL_E_AUDIENCE, 2, CL_SUBSCRIBE, with_opening(answer(id, 1, 7), story_hash(56), 32));
    refuse(CL_E_AUDIENCE, 3, CL_SUBSCRIBE, with_opening(answer(id, 1, 7), story_hash(55), 32));
    allow(2, CL_SUBSCRIBE, with_opening(answer(id, 1, 7), story_hash(55), 32));
}

static void an_offer_to_a_profile_is_answered_in_its_name(void **state)
{
    (void)state;
    const uint8_t *profile = story_make_profile(2, 9);
    struct cl_entry offer = with_slots(with_commitment(on_new(1), 1), 7);
    allow(1, CL_GRANT, with_audience_key(offer, 55, profile, 32));
    const uint8_t *id = story_id(1, 1);
    refuse(CL_E_AUDIENCE, 2, CL_SUBSCRIBE, with_opening(answer(id, 1, 7), story_hash(55), 32));
    allow(2, CL_SUBSCRIBE, with_party(with_opening(answer(id, 1, 7), story_hash(55), 32), profile));
    assert_int_equal(story_agreement(id)->organisation.length, 32);
}

static void a_stolen_opening_is_useless(void **state)
{
    (void)state;
    const uint8_t *id = story_offer(1, 1, 7), *other = story_offer(4, 2, 7);
    refuse(CL_E_AUDIENCE, 3, CL_SUBSCRIBE, with_token(answer(id, 1, 7), 80, id, id, 2));
    refuse(CL_E_AUDIENCE, 3, CL_SUBSCRIBE, with_token(answer(id, 1, 7), 80, other, other, 3));
    refuse(CL_E_AUDIENCE, 3, CL_SUBSCRIBE, with_token(answer(id, 1, 7), 81, id, id, 3));
    refuse(CL_E_AUDIENCE, 3, CL_REFUSE, with_token(with_prev(on(id)), 80, id, id, 2));
    refuse(CL_E_AUDIENCE, 3, CL_COUNTER, with_token(answer(id, 1, 7), 80, id, id, 2));
}

static void a_counter_voids_what_it_answers(void **state)
{
    (void)state;
    const uint8_t *id = story_offer(1, 1, 7);
    allow(2, CL_COUNTER, with_token(answer(id, 2, 3), 80, id, id, 2));
    const struct cl_agreement *a = story_agreement(id);
    assert_int_equal(a->status, CL_COUNTERED);
    assert_int_equal(a->turn, CL_SIDE_CUSTOMER);
    assert_int_equal(a->live, 3);
    assert_int_equal(a->flags, CL_FLAG_COUNTERED);
    assert_int_equal(a->audience.kind, 0);
    refuse(CL_E_TURN, 2, CL_SUBSCRIBE, answer(id, 1, 7));
    refuse(CL_E_COMMITMENT, 1, CL_GRANT, answer(id, 1, 3));
    refuse(CL_E_SLOTS, 1, CL_GRANT, answer(id, 2, 1)); /* O's COUNTER is granted as it is, or not at all */
    refuse(CL_E_PERIOD, 1, CL_GRANT, with_after(answer(id, 2, 3), STORY_START_S + 100));
    allow(1, CL_GRANT, answer(id, 2, 3));
    assert_int_equal(story_agreement(id)->status, CL_ACTIVE);
}

static void one_counter_is_all_an_agreement_takes(void **state)
{
    (void)state;
    const uint8_t *id = story_offer(1, 1, 7);
    allow(2, CL_COUNTER, with_token(answer(id, 2, 3), 80, id, id, 2));
    refuse(CL_E_COUNTERED, 1, CL_COUNTER, answer(id, 3, 1));
    refuse(CL_E_COUNTERED, 2, CL_COUNTER, answer(id, 3, 1));
}

static void a_customers_counter_is_activated_by_a_subscription(void **state)
{
    (void)state;
    const uint8_t *id = request(2, 1, 7);
    struct cl_entry counter = with_after(with_token(answer(id, 2, 3), 80, id, id, 1), STORY_START_S + 50);
    allow(1, CL_COUNTER, with_recovery(counter, 60));
    assert_true(story_agreement(id)->recovery.present);
    refuse(CL_E_PARTY, 3, CL_SUBSCRIBE, answer(id, 2, 3));
    refuse(CL_E_AUDIENCE, 2, CL_SUBSCRIBE, with_opening(answer(id, 2, 3), story_hash(1), 32));
    allow(2, CL_SUBSCRIBE, answer(id, 2, 3));
    assert_int_equal(story_agreement(id)->status, CL_ACTIVE);
    assert_int_equal(story_agreement(id)->not_after.seconds, STORY_START_S + 50);
}

static void only_the_customer_sets_recovery_and_only_once(void **state)
{
    (void)state;
    const uint8_t *id = story_offer(1, 1, 7);
    refuse(CL_E_RECOVERY, 2, CL_COUNTER, with_recovery(with_token(answer(id, 2, 3), 80, id, id, 2), 60));
    allow(3, CL_GRANT, with_recovery(with_audience_token(with_slots(with_commitment(on_new(1), 1), 7), 80), 61));
    const uint8_t *with = story_id(3, 1);
    allow(2, CL_COUNTER, with_token(answer(with, 2, 3), 80, with, with, 2));
    refuse(CL_E_RECOVERY, 3, CL_GRANT, with_recovery(answer(with, 2, 3), 62));
    allow(3, CL_GRANT, answer(with, 2, 3));
}

static void a_lapsed_offer_can_only_be_refused(void **state)
{
    (void)state;
    struct cl_entry offer = with_audience_token(with_slots(with_commitment(on_new(1), 1), 7), 80);
    allow(1, CL_GRANT, with_after(offer, STORY_START_S + 10));
    const uint8_t *id = story_id(1, 1);
    story_now_ms = STORY_START_MS + 10000; /* lapsed at 1000 x not_after itself */
    refuse(CL_E_EXPIRED, 2, CL_SUBSCRIBE, with_token(answer(id, 1, 7), 80, id, id, 2));
    refuse(CL_E_EXPIRED, 2, CL_COUNTER, with_token(answer(id, 2, 7), 80, id, id, 2));
    allow(2, CL_REFUSE, with_token(with_prev(on(id)), 80, id, id, 2));
}

static void a_refusal_ends_it(void **state)
{
    (void)state;
    const uint8_t *id = story_offer(1, 1, 7);
    allow(2, CL_REFUSE, with_reason(with_token(with_prev(on(id)), 80, id, id, 2), 7));
    const struct cl_agreement *a = story_agreement(id);
    assert_int_equal(a->status, CL_REFUSED);
    assert_int_equal(a->turn, CL_SIDE_NONE);
    assert_int_equal(a->live, 0);
    assert_int_equal(a->due, 0);
    assert_memory_equal(a->organisation.bytes, story_key(2), 33);
    refuse(CL_E_FINAL, 2, CL_SUBSCRIBE, answer(id, 1, 7));
    refuse(CL_E_FINAL, 2, CL_REFUSE, with_prev(on(id)));
    refuse(CL_E_FINAL, 1, CL_REVOKE, on(id));
}

static void a_customer_need_never_say_why(void **state)
{
    (void)state;
    const uint8_t *id = request(2, 1, 7);
    refuse(CL_E_REASON, 1, CL_REFUSE, with_reason(with_token(with_prev(on(id)), 80, id, id, 1), 7));
    allow(1, CL_REFUSE, with_token(with_prev(on(id)), 80, id, id, 1));
}

static void a_counter_under_terms_stays_within_them(void **state)
{
    (void)state;
    struct cl_entry entry = with_mode(with_limit(with_slots(with_commitment(on_new(1), 1), 7), 1), 0);
    allow(1, CL_TERMS, with_after(entry, STORY_START_S + 100));
    const uint8_t *terms = story_id(1, 1);
    allow(2, CL_SUBSCRIBE, subscribe_to(terms, 1));
    const uint8_t *id = story_id(2, 1);
    refuse(CL_E_PERIOD, 1, CL_COUNTER, answer(id, 2, 3)); /* absent is unbounded here */
    refuse(CL_E_RECOVERY, 1, CL_COUNTER, with_recovery(with_after(answer(id, 2, 3), STORY_START_S + 90), 60));
    allow(1, CL_COUNTER, with_after(answer(id, 2, 3), STORY_START_S + 90));
    allow(1, CL_REVOKE, on(terms));
    refuse(CL_E_CLOSED, 2, CL_SUBSCRIBE, answer(id, 2, 3)); /* TERMS closed meanwhile admit nobody */
}

static void key_13_must_name_the_side_that_is_known(void **state)
{
    (void)state;
    const uint8_t *profile = story_make_profile(2, 9), *other = story_make_profile(3, 9);
    allow(2, CL_REQUEST, with_party(with_audience_token(with_slots(with_commitment(on_new(1), 1), 5), 80), profile));
    const uint8_t *id = story_id(2, 1);
    allow(1, CL_COUNTER, with_token(answer(id, 2, 3), 80, id, id, 1));
    refuse(CL_E_PARTY, 2, CL_SUBSCRIBE, with_party(answer(id, 2, 3), other));
    refuse(CL_E_PARTY, 3, CL_SUBSCRIBE, with_party(answer(id, 2, 3), other));
    allow(2, CL_SUBSCRIBE, with_party(answer(id, 2, 3), profile));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_sides_sign_the_same_commitment_in_either_order, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(another_commitment_or_other_slots_are_no_acceptance, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_grant_may_give_less_than_was_asked_and_never_more, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_granted_period_lies_within_the_requested, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(it_takes_the_right_side_in_its_turn, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(nobody_agrees_with_themselves, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(an_offer_hidden_by_a_hash_opens_to_the_named_key_only, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(an_offer_to_a_profile_is_answered_in_its_name, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_stolen_opening_is_useless, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_counter_voids_what_it_answers, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(one_counter_is_all_an_agreement_takes, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_customers_counter_is_activated_by_a_subscription, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(only_the_customer_sets_recovery_and_only_once, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_lapsed_offer_can_only_be_refused, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_refusal_ends_it, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_customer_need_never_say_why, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_counter_under_terms_stays_within_them, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(key_13_must_name_the_side_that_is_known, story_setup, story_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
