/* rules_open.c: openings, TERMS and what they admit. rules.md "Openings", "Audience". */
#include "rules_world.h"

static void a_grant_offers_and_waits_for_the_organisation(void **state)
{
    (void)state;
    struct cl_entry entry = with_recovery(with_audience_token(with_slots(with_commitment(on_new(1), 1), 5), 80), 60);
    allow(1, CL_GRANT, with_after(with_before(entry, 100), 200));
    const struct cl_agreement *a = story_agreement(story_id(1, 1));
    assert_int_equal(a->status, CL_OFFERED);
    assert_int_equal(a->turn, CL_SIDE_ORGANISATION);
    assert_memory_equal(a->customer.bytes, story_key(1), 33);
    assert_int_equal(a->organisation.length, 0);
    assert_int_equal(a->live, 5);
    assert_int_equal(a->due, 0);
    assert_int_equal(a->not_before.seconds, 100);
    assert_int_equal(a->not_after.seconds, 200);
    assert_true(a->recovery.present && !a->terms.present && !a->pending.present);
    assert_int_equal(a->audience.kind, CL_AUDIENCE_TOKEN);
    assert_memory_equal(a->head, story_record_id.bytes, 32);
    assert_int_equal(a->head_ms, STORY_START_MS);
    assert_int_equal(a->last_index, 1);
}

static void a_request_asks_and_waits_for_the_customer(void **state)
{
    (void)state;
    const uint8_t *profile = story_make_profile(2, 9);
    allow(2, CL_REQUEST, with_party(with_audience_token(with_slots(with_commitment(on_new(1), 1), 5), 80), profile));
    const struct cl_agreement *a = story_agreement(story_id(2, 1));
    assert_int_equal(a->status, CL_REQUESTED);
    assert_int_equal(a->turn, CL_SIDE_CUSTOMER);
    assert_int_equal(a->organisation.length, 32);
    assert_memory_equal(a->organisation.bytes, profile, 32);
    assert_int_equal(a->customer.length, 0);
}

static void nobody_acts_in_the_name_of_anothers_profile(void **state)
{
    (void)state;
    const uint8_t *profile = story_make_profile(2, 9), *terms = story_make_terms(3, 9, 0, 1);
    struct cl_entry entry = with_audience_token(with_slots(with_commitment(on_new(1), 1), 5), 80);
    refuse(CL_E_PARTY, 3, CL_REQUEST, with_party(entry, profile));
    refuse(CL_E_NO_OBJECT, 3, CL_REQUEST, with_party(entry, story_hash(1)));
    refuse(CL_E_OBJECT_KIND, 3, CL_REQUEST, with_party(entry, terms));
    allow(2, CL_DELEGATE, with_mode(with_key(with_after(on(profile), STORY_START_S + 100), story_key(3), 33), 1 | 4 | 8 | 16));
    refuse(CL_E_POWER, 3, CL_REQUEST, with_party(entry, profile));
    allow(2, CL_DELEGATE, with_mode(with_key(with_after(on(profile), STORY_START_S + 100), story_key(3), 33), 2));
    allow(3, CL_REQUEST, with_party(entry, profile));
    story_now_ms = STORY_START_MS + 100000; /* t < 1000 x until fails at until itself */
    refuse(CL_E_POWER, 3, CL_REQUEST, with_party(with_audience_token(with_slots(with_commitment(on_new(2), 1), 5), 80), profile));
}

static void recovery_cannot_be_set_where_the_customer_is_an_object(void **state)
{
    (void)state;
    const uint8_t *profile = story_make_profile(1, 9);
    struct cl_entry entry = with_party(with_audience_token(with_slots(with_commitment(on_new(1), 1), 5), 80), profile);
    refuse(CL_E_RECOVERY, 1, CL_GRANT, with_recovery(entry, 60));
    allow(1, CL_GRANT, entry);
}

static void an_empty_period_is_refused(void **state)
{
    (void)state;
    struct cl_entry entry = with_audience_token(with_slots(with_commitment(on_new(1), 1), 5), 80);
    assert_int_not_equal(story_act(1, CL_GRANT, with_after(with_before(entry, 200), 200)), CL_OK);
}

static void standing_terms_make_agreements_active_and_count_them(void **state)
{
    (void)state;
    const uint8_t *terms = story_make_terms(1, 1, 1, 2);
    struct cl_hash answer;
    allow(2, CL_SUBSCRIBE, subscribe_to(terms, 1));
    const struct cl_agreement *a = story_agreement(story_id(2, 1));
    assert_int_equal(a->status, CL_ACTIVE);
    assert_int_equal(a->turn, CL_SIDE_NONE);
    assert_int_equal(a->customer.length, 32);
    assert_memory_equal(a->customer.bytes, terms, 32);
    assert_memory_equal(a->terms.bytes, terms, 32);
    assert_false(a->recovery.present);
    cl_answer_key(&answer, terms, &a->organisation);
    assert_true(story_has(answer.bytes));
    assert_int_equal(story_terms(terms)->answers, 1);
    assert_int_equal(story_touched[0].customer.length, 32);
    refuse(CL_E_ANSWERED, 2, CL_SUBSCRIBE, subscribe_to(terms, 2));
    allow(3, CL_SUBSCRIBE, subscribe_to(terms, 1));
    refuse(CL_E_LIMIT, 4, CL_SUBSCRIBE, subscribe_to(terms, 1));
    allow(3, CL_REVOKE, on(story_id(3, 1)));
    refuse(CL_E_LIMIT, 4, CL_SUBSCRIBE, subscribe_to(terms, 1)); /* never given back */
}

static void terms_that_ask_count_an_agreement_when_it_is_granted(void **state)
{
    (void)state;
    const uint8_t *terms = story_make_terms(1, 1, 0, 1);
    allow(2, CL_SUBSCRIBE, subscribe_to(terms, 1));
    allow(3, CL_SUBSCRIBE, subscribe_to(terms, 1));
    const uint8_t *first = story_id(2, 1), *second = story_id(3, 1);
    assert_int_equal(story_agreement(first)->status, CL_SUBSCRIBED);
    assert_int_equal(story_agreement(first)->turn, CL_SIDE_CUSTOMER);
    assert_int_equal(story_terms(terms)->answers, 0);
    struct cl_terms before = *story_terms(terms);
    allow(1, CL_GRANT, with_slots(with_commitment(with_prev(on(first)), 1), 3));
    assert_int_equal(story_agreement(first)->status, CL_ACTIVE);
    assert_int_equal(story_agreement(first)->live, 3);
    assert_int_equal(story_terms(terms)->answers, 1);
    assert_memory_equal(story_terms(terms)->head, before.head, 32); /* the TERMS' head does not move */
    refuse(CL_E_LIMIT, 1, CL_GRANT, with_slots(with_commitment(with_prev(on(second)), 1), 7));
    refuse(CL_E_LIMIT, 4, CL_SUBSCRIBE, subscribe_to(terms, 1));
}

static void one_party_is_counted_once_even_where_it_subscribed_twice(void **state)
{
    (void)state;
    const uint8_t *terms = story_make_terms(1, 1, 0, 5);
    allow(2, CL_SUBSCRIBE, subscribe_to(terms, 1));
    allow(2, CL_SUBSCRIBE, subscribe_to(terms, 2));
    allow(1, CL_GRANT, with_slots(with_commitment(with_prev(on(story_id(2, 1))), 1), 7));
    refuse(CL_E_ANSWERED, 1, CL_GRANT, with_slots(with_commitment(with_prev(on(story_id(2, 2))), 1), 7));
}

static void a_subscription_repeats_the_terms(void **state)
{
    (void)state;
    const uint8_t *terms = story_make_terms(1, 1, 1, 5);
    refuse(CL_E_COMMITMENT, 2, CL_SUBSCRIBE, with_commitment(subscribe_to(terms, 1), 2));
    refuse(CL_E_SLOTS, 2, CL_SUBSCRIBE, with_slots(subscribe_to(terms, 1), 3));
    refuse(CL_E_NO_OBJECT, 2, CL_SUBSCRIBE, subscribe_to(story_hash(5), 1));
    refuse(CL_E_OBJECT_KIND, 2, CL_SUBSCRIBE, subscribe_to(story_offer(4, 4, 7), 1));
    refuse(CL_E_SELF, 1, CL_SUBSCRIBE, subscribe_to(terms, 2));
    refuse(CL_E_AUDIENCE, 2, CL_SUBSCRIBE, with_opening(subscribe_to(terms, 1), story_hash(1), 32));
    allow(1, CL_REVOKE, on(terms));
    refuse(CL_E_CLOSED, 2, CL_SUBSCRIBE, subscribe_to(terms, 1));
}

static void the_owners_profile_cannot_subscribe_to_its_own_terms(void **state)
{
    (void)state;
    const uint8_t *terms = story_make_terms(1, 1, 1, 5), *profile = story_make_profile(1, 2);
    allow(1, CL_DELEGATE, with_mode(with_key(with_after(on(profile), STORY_START_S + 100), story_key(3), 33), 2));
    refuse(CL_E_SELF, 3, CL_SUBSCRIBE, with_party(subscribe_to(terms, 1), profile));
}

static void the_terms_period_bounds_each_agreements(void **state)
{
    (void)state;
    struct cl_entry entry = with_mode(with_limit(with_slots(with_commitment(on_new(1), 1), 7), 9), 1);
    allow(1, CL_TERMS, with_after(with_before(entry, STORY_START_S - 10), STORY_START_S + 100));
    const uint8_t *terms = story_id(1, 1);
    allow(2, CL_SUBSCRIBE, subscribe_to(terms, 1));
    assert_int_equal(story_agreement(story_id(2, 1))->not_after.seconds, STORY_START_S + 100);
    assert_int_equal(story_agreement(story_id(2, 1))->not_before.seconds, STORY_START_S - 10);
    refuse(CL_E_PERIOD, 3, CL_SUBSCRIBE, with_after(subscribe_to(terms, 1), STORY_START_S + 101));
    refuse(CL_E_PERIOD, 3, CL_SUBSCRIBE, with_before(subscribe_to(terms, 1), STORY_START_S - 11));
    refuse(CL_E_PERIOD, 3, CL_SUBSCRIBE, with_before(subscribe_to(terms, 1), STORY_START_S + 100));
    allow(3, CL_SUBSCRIBE, with_after(subscribe_to(terms, 1), STORY_START_S + 50));
    refuse(CL_E_PERIOD, 1, CL_RENEW, with_after(with_prev(on(story_id(3, 1))), STORY_START_S + 101));
    allow(1, CL_RENEW, with_after(with_prev(on(story_id(3, 1))), STORY_START_S + 100));
    story_now_ms = STORY_START_MS + 100000;
    refuse(CL_E_EXPIRED, 4, CL_SUBSCRIBE, subscribe_to(terms, 1));
}

static void vouched_terms_take_only_profiles_that_a_member_knows(void **state)
{
    (void)state;
    const uint8_t *terms = story_make_terms(1, 1, 3, 5), *profile = story_make_profile(2, 2);
    refuse(CL_E_NOT_VOUCHED, 2, CL_SUBSCRIBE, subscribe_to(terms, 1));
    refuse(CL_E_NOT_VOUCHED, 2, CL_SUBSCRIBE, with_party(subscribe_to(terms, 1), profile));
    allow(90, CL_VOUCH, with_reason(with_after(on(profile), STORY_START_S + 10), 1));
    story_now_ms = STORY_START_MS + 10000;
    refuse(CL_E_NOT_VOUCHED, 2, CL_SUBSCRIBE, with_party(subscribe_to(terms, 1), profile));
    story_now_ms--;
    story_now_ms--;
    allow(2, CL_SUBSCRIBE, with_party(subscribe_to(terms, 1), profile));
}

static void a_connect_code_admits_whom_its_token_signed_and_nobody_else(void **state)
{
    (void)state;
    struct cl_entry entry = with_mode(with_limit(with_slots(with_commitment(on_new(1), 1), 7), 9), 1);
    allow(1, CL_TERMS, with_audience_token(entry, 80));
    const uint8_t *terms = story_id(1, 1);
    struct cl_entry two = subscribe_to(terms, 1), three = subscribe_to(terms, 1);
    refuse(CL_E_AUDIENCE, 2, CL_SUBSCRIBE, two);
    /* seen in flight: the opening made for key 2 does not serve key 3 */
    refuse(CL_E_AUDIENCE, 3, CL_SUBSCRIBE, with_token(three, 80, terms, story_id(2, 1), 2));
    refuse(CL_E_AUDIENCE, 3, CL_SUBSCRIBE, with_token(three, 80, terms, story_id(3, 1), 2));
    refuse(CL_E_AUDIENCE, 2, CL_SUBSCRIBE, with_token(two, 81, terms, story_id(2, 1), 2));
    refuse(CL_E_AUDIENCE, 2, CL_SUBSCRIBE, with_opening(two, story_hash(1), 32));
    allow(2, CL_SUBSCRIBE, with_token(two, 80, terms, story_id(2, 1), 2));
    assert_int_equal(story_agreement(story_id(2, 1))->audience.kind, 0);
}

static void new_terms_succeed_their_owners_and_only_once(void **state)
{
    (void)state;
    const uint8_t *old = story_make_terms(1, 1, 0, 5), *others = story_make_terms(2, 1, 0, 5);
    struct cl_terms before = *story_terms(old);
    struct cl_entry entry = with_mode(with_limit(with_slots(with_commitment(on_new(2), 1), 7), 9), 1);
    refuse(CL_E_PARTY, 1, CL_TERMS, with_ref(entry, others));
    refuse(CL_E_NO_OBJECT, 1, CL_TERMS, with_ref(entry, story_hash(1)));
    allow(1, CL_TERMS, with_ref(entry, old));
    assert_memory_equal(story_terms(old)->successor.bytes, story_id(1, 2), 32);
    assert_memory_equal(story_terms(old)->head, before.head, 32);
    entry = with_mode(with_limit(with_slots(with_commitment(on_new(3), 1), 7), 9), 1);
    refuse(CL_E_SUCCEEDED, 1, CL_TERMS, with_ref(entry, old));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_grant_offers_and_waits_for_the_organisation, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_request_asks_and_waits_for_the_customer, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(nobody_acts_in_the_name_of_anothers_profile, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(recovery_cannot_be_set_where_the_customer_is_an_object, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(an_empty_period_is_refused, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(standing_terms_make_agreements_active_and_count_them, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(terms_that_ask_count_an_agreement_when_it_is_granted, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(one_party_is_counted_once_even_where_it_subscribed_twice, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_subscription_repeats_the_terms, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(the_owners_profile_cannot_subscribe_to_its_own_terms, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(the_terms_period_bounds_each_agreements, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(vouched_terms_take_only_profiles_that_a_member_knows, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_connect_code_admits_whom_its_token_signed_and_nobody_else, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(new_terms_succeed_their_owners_and_only_once, story_setup, story_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
