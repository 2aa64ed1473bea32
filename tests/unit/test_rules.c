/* rules.c, rules_transaction.c: the record as a whole: its time, its entries, all of it or nothing, who is told. */
#include "rules_world.h"

#define DAYS_30_MS (30ull * 86400ull * 1000ull)

static void issued_at_is_bounded_inclusively_on_both_sides(void **state)
{
    (void)state;
    story_now_ms += DAYS_30_MS;
    struct cl_entry entry = with_audience_token(with_slots(with_commitment(on_new(1), 1), 1), 80);
    story_issued_at = story_now_ms - DAYS_30_MS - 1;
    refuse(CL_E_TIME_OLD, 1, CL_GRANT, entry);
    story_issued_at = story_now_ms - DAYS_30_MS;
    allow(1, CL_GRANT, entry);
    entry = with_audience_token(with_slots(with_commitment(on_new(2), 1), 1), 80);
    story_issued_at = story_now_ms + 120001;
    refuse(CL_E_TIME_AHEAD, 1, CL_GRANT, entry);
    story_issued_at = story_now_ms + 120000;
    allow(1, CL_GRANT, entry);
    story_issued_at = UINT64_MAX;
    refuse(CL_E_TIME_AHEAD, 1, CL_GRANT, with_audience_token(with_slots(with_commitment(on_new(3), 1), 1), 80));
}

static void a_withdrawal_signed_years_ago_still_works(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    allow(1, CL_DELEGATE, with_mode(with_key(with_after(on(id), STORY_START_S + 9999999), story_key(3), 33), 1));
    story_issued_at = 1000;
    refuse(CL_E_TIME_OLD, 1, CL_AMEND, with_slots(on(id), 1));
    allow(1, CL_SUSPEND, on(id));
    allow(1, CL_UNDELEGATE, with_key(on(id), story_key(3), 33));
    allow(1, CL_REVOKE, on(id));
    story_issued_at = story_now_ms + 200000;
    refuse(CL_E_TIME_AHEAD, 1, CL_REVOKE, on(id));
}

static void without_lenience_one_bad_entry_refuses_all(void **state)
{
    (void)state;
    const uint8_t *a = story_active(1, 2, 1, 7), *b = story_active(3, 2, 2, 7);
    allow(3, CL_REVOKE, on(b));
    struct cl_entry both[2] = {on(a), on(b)};
    assert_int_equal(story_acts(2, CL_REVOKE, both, 2), CL_E_FINAL);
    bool a_first = memcmp(a, b, 32) < 0;
    assert_int_equal(story_refused_entry, a_first ? 1 : 0);
    assert_int_equal(story_agreement(a)->status, CL_ACTIVE);
}

static void one_withdrawal_does_not_hold_up_a_lenient_batch(void **state)
{
    (void)state;
    const uint8_t *a = story_active(1, 2, 1, 7), *b = story_active(3, 2, 2, 7);
    allow(3, CL_REVOKE, on(b));
    struct cl_entry both[2] = {on(a), on(b)};
    story_skip_refused = true;
    assert_int_equal(story_acts(2, CL_REVOKE, both, 2), CL_OK);
    assert_int_equal(story_applied_count, 1);
    assert_int_equal(story_touched_count, 1);
    assert_memory_equal(story_touched[0].object, a, 32);
    assert_int_equal(story_touched[0].entry, memcmp(a, b, 32) < 0 ? 0 : 1);
    assert_int_equal(story_agreement(a)->status, CL_TERMINATED);
    assert_int_equal(story_agreement(b)->status, CL_WITHDRAWN);
}

static void a_lenient_record_of_which_nothing_applies_is_refused(void **state)
{
    (void)state;
    struct cl_entry both[2] = {on(story_hash(1)), on(story_hash(2))};
    story_skip_refused = true;
    assert_int_equal(story_acts(2, CL_REVOKE, both, 2), CL_E_NOTHING_APPLIES);
}

static void entries_see_what_those_before_them_left(void **state)
{
    (void)state;
    const uint8_t *terms = story_make_terms(1, 1, 1, 2);
    struct cl_entry entries[3] = {subscribe_to(terms, 1), subscribe_to(terms, 2), subscribe_to(terms, 3)};
    assert_int_equal(story_acts(2, CL_SUBSCRIBE, entries, 2), CL_E_ANSWERED);
    assert_int_equal(story_refused_entry, 1);
    story_skip_refused = true;
    assert_int_equal(story_acts(2, CL_SUBSCRIBE, entries, 3), CL_OK);
    assert_int_equal(story_applied_count, 1);
    assert_int_equal(story_terms(terms)->answers, 1);
    assert_int_equal(story_put_count, 3); /* TERMS, answer entry, agreement: each once */
}

static void a_thousand_entries_apply_as_one(void **state)
{
    (void)state;
    static struct cl_entry entries[1000];
    static uint8_t nonces[1000][16];
    static struct cl_object_id ids[1000];
    struct cl_entry model = with_mode(with_limit(with_slots(with_commitment(on_new(1), 1), 7), 5), 0);
    for (unsigned i = 0; i < 1000; i++) {
        nonces[i][0] = (uint8_t)(i >> 8);
        nonces[i][1] = (uint8_t)i;
        entries[i] = model;
        entries[i].object = nonces[i];
        cl_object_id_derive(&ids[i], story_key(1), nonces[i]);
    }
    assert_int_equal(story_acts(1, CL_TERMS, entries, 500), CL_OK); /* more would be too many bytes */
    assert_int_equal(story_acts(1, CL_TERMS, entries + 500, 500), CL_OK);
    assert_int_equal(story_put_count, 500);
    for (unsigned i = 0; i < 1000; i++)
        entries[i] = (struct cl_entry){.present = CL_HAS(1), .object_length = 32, .object = ids[i].bytes};
    assert_int_equal(story_acts(1, CL_REVOKE, entries, 1000), CL_OK);
    assert_int_equal(story_applied_count, 1000);
    assert_int_equal(story_put_count, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(story_terms(ids[i].bytes)->open, 0);
        assert_int_equal(story_touched[i].entry, i);
        assert_memory_equal(story_touched[i].object, entries[i].object, 32);
    }
}

static void terms_may_succeed_terms_of_the_same_record(void **state)
{
    (void)state;
    struct cl_entry first = with_mode(with_limit(with_slots(with_commitment(on_new(1), 1), 7), 5), 0);
    struct cl_entry second = with_mode(with_limit(with_slots(with_commitment(on_new(2), 1), 7), 5), 0);
    struct cl_entry entries[2] = {first, with_ref(second, story_id(1, 1))};
    assert_int_equal(story_acts(1, CL_TERMS, entries, 2), CL_OK);
    assert_int_equal(story_put_count, 2);
    assert_memory_equal(story_terms(story_id(1, 1))->successor.bytes, story_id(1, 2), 32);
}

static void an_id_that_exists_as_any_kind_cannot_be_opened_again(void **state)
{
    (void)state;
    story_make_terms(1, 1, 0, 5);
    refuse(CL_E_OBJECT_EXISTS, 1, CL_GRANT, with_audience_token(with_slots(with_commitment(on_new(1), 1), 1), 80));
    refuse(CL_E_OBJECT_EXISTS, 1, CL_PROFILE,
           with_recovery(with_key(with_commitment(on_new(1), 7), story_hash(8), 32), 60));
    /* an id cannot be taken by somebody who saw it coming: another signer's same nonce is another id */
    allow(2, CL_GRANT, with_audience_token(with_slots(with_commitment(on_new(1), 1), 1), 80));
}

static void the_index_hears_what_it_needs(void **state)
{
    (void)state;
    const uint8_t *id = story_offer(1, 1, 7);
    assert_true(story_touched[0].opened && story_touched[0].moves_head && !story_touched[0].has_previous_head);
    assert_int_equal(story_touched[0].kind, CL_STATE_AGREEMENT);
    assert_memory_equal(story_touched[0].customer.bytes, story_key(1), 33);
    assert_int_equal(story_touched[0].organisation.length, 0);
    struct cl_record_id offer = story_record_id;
    struct cl_entry answer = with_slots(with_commitment(with_prev(on(id)), 1), 7);
    allow(2, CL_SUBSCRIBE, with_token(answer, 80, id, id, 2));
    assert_true(!story_touched[0].opened && story_touched[0].has_previous_head);
    assert_memory_equal(story_touched[0].previous_head, offer.bytes, 32);
    assert_int_equal(story_touched[0].customer.length, 0);
    assert_memory_equal(story_touched[0].organisation.bytes, story_key(2), 33);
    assert_int_equal(story_agreement(id)->status, CL_ACTIVE);
    assert_memory_equal(story_agreement(id)->head, story_record_id.bytes, 32);
    allow(2, CL_ACK, with_reason(with_ref(on(id), story_hash(3)), 1));
    assert_false(story_touched[0].moves_head);
}

static void a_failing_store_stops_even_a_lenient_record(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    story_skip_refused = true;
    story_get_fails = CL_E_STORE_IO;
    assert_int_equal(story_act(1, CL_REVOKE, on(id)), CL_E_STORE_IO);
    story_get_fails = CL_OK;
    story_put_fails = CL_E_MEMORY;
    assert_int_equal(story_act(1, CL_REVOKE, on(id)), CL_E_MEMORY);
    story_put_fails = CL_OK;
    allow(1, CL_REVOKE, on(id));
}

static void a_damaged_value_stops_and_is_no_refusal(void **state)
{
    (void)state;
    const uint8_t *profile = story_make_profile(2, 9), *terms = story_make_terms(1, 9, 1, 5);
    allow(2, CL_SUBSCRIBE, with_party(subscribe_to(terms, 1), profile));
    const uint8_t *id = story_id(2, 1);
    story_skip_refused = true; /* not even leniently */
    const uint8_t *damaged[3] = {id, terms, profile};
    for (unsigned i = 0; i < 3; i++) {
        story_damage(damaged[i], 0);
        assert_int_equal(story_act(2, CL_REVOKE, on(id)), CL_E_STORE_CORRUPT);
        story_damage(damaged[i], 0);
    }
    allow(2, CL_REVOKE, on(id));
}

static void neither_the_network_nor_an_answer_is_an_object(void **state)
{
    (void)state;
    const uint8_t *terms = story_make_terms(1, 1, 1, 5);
    allow(2, CL_SUBSCRIBE, subscribe_to(terms, 1));
    struct cl_hash keys[2];
    cl_network_key(&keys[0]);
    cl_answer_key(&keys[1], terms, &story_agreement(story_id(2, 1))->organisation);
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t *id = keys[i].bytes;
        assert_true(story_has(id));
        refuse(CL_E_OBJECT_KIND, 1, CL_REVOKE, on(id));
        refuse(CL_E_OBJECT_KIND, 1, CL_SUSPEND, on(id));
        refuse(CL_E_OBJECT_KIND, 1, CL_ROTATE, with_key(on(id), story_key(3), 33));
        refuse(CL_E_OBJECT_KIND, 1, CL_UNDELEGATE, with_key(on(id), story_key(3), 33));
        refuse(CL_E_OBJECT_KIND, 90, CL_VOUCH, with_reason(with_after(on(id), STORY_START_S + 100), 1));
        refuse(CL_E_OBJECT_KIND, 3, CL_SUBSCRIBE, with_party(subscribe_to(terms, 2), id));
        refuse(CL_E_OBJECT_KIND, 3, CL_SUBSCRIBE, subscribe_to(id, 2));
    }
}

static void withdrawals_are_revoke_and_suspend(void **state)
{
    (void)state;
    for (unsigned type = 1; type <= 21; type++)
        assert_int_equal(cl_rules_is_withdrawal((enum cl_record_type)type), type == CL_REVOKE || type == CL_SUSPEND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(issued_at_is_bounded_inclusively_on_both_sides, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_withdrawal_signed_years_ago_still_works, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(without_lenience_one_bad_entry_refuses_all, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(one_withdrawal_does_not_hold_up_a_lenient_batch, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_lenient_record_of_which_nothing_applies_is_refused, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(entries_see_what_those_before_them_left, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_thousand_entries_apply_as_one, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(terms_may_succeed_terms_of_the_same_record, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(an_id_that_exists_as_any_kind_cannot_be_opened_again, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(the_index_hears_what_it_needs, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_failing_store_stops_even_a_lenient_record, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_damaged_value_stops_and_is_no_refusal, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(neither_the_network_nor_an_answer_is_an_object, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(withdrawals_are_revoke_and_suspend, story_setup, story_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
