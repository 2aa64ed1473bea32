/* rules_key.c, rules_party.c, PROFILE: who acts from now on. rules.md "Parties and who acts", "Others". */
#include "rules_world.h"

static struct cl_entry delegation(const uint8_t *id, unsigned key, uint64_t powers)
{
    return with_mode(with_key(with_after(on(id), STORY_START_S + 100), story_key(key), 33), powers);
}

static struct cl_entry rotation(const uint8_t *id, unsigned key) { return with_key(on(id), story_key(key), 33); }

static struct cl_entry recovery(const uint8_t *id, unsigned key, unsigned recovery_key)
{
    return with_opening(rotation(id, key), story_key(recovery_key), 33);
}

static void delegates_cannot_delegate(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7), *terms = story_make_terms(1, 2, 0, 1), *profile = story_make_profile(1, 3);
    const uint8_t *objects[3] = {id, terms, profile};
    for (unsigned i = 0; i < 3; i++) {
        allow(1, CL_DELEGATE, delegation(objects[i], 3, 31));
        refuse(CL_E_PARTY, 3, CL_DELEGATE, delegation(objects[i], 4, 1));
        refuse(CL_E_PARTY, 3, CL_UNDELEGATE, rotation(objects[i], 3));
        refuse(CL_E_PARTY, 3, CL_ROTATE, rotation(objects[i], 4));
        refuse(CL_E_SELF, 1, CL_DELEGATE, delegation(objects[i], 1, 1));
        refuse(CL_E_NO_CHANGE, 1, CL_DELEGATE, delegation(objects[i], 3, 31));
        allow(1, CL_DELEGATE, delegation(objects[i], 3, 30));
        refuse(CL_E_NO_CHANGE, 1, CL_UNDELEGATE, rotation(objects[i], 4));
        allow(1, CL_UNDELEGATE, rotation(objects[i], 3));
        refuse(CL_E_NO_CHANGE, 1, CL_UNDELEGATE, rotation(objects[i], 3));
    }
    refuse(CL_E_NO_OBJECT, 1, CL_DELEGATE, delegation(story_hash(2), 3, 1));
}

static void a_delegation_moves_no_head_and_is_for_ones_own_side(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    struct cl_agreement before = *story_agreement(id);
    allow(1, CL_DELEGATE, delegation(id, 3, 1));
    allow(2, CL_DELEGATE, delegation(id, 3, 2));
    const struct cl_agreement *a = story_agreement(id);
    assert_memory_equal(a->head, before.head, 32);
    assert_int_equal(a->delegation_count, 2);
    assert_int_equal(a->delegations[0].side, CL_SIDE_CUSTOMER);
    assert_int_equal(a->delegations[1].side, CL_SIDE_ORGANISATION);
    assert_int_equal(a->last_index, before.last_index + 2);
    allow(2, CL_UNDELEGATE, rotation(id, 3));
    assert_int_equal(story_agreement(id)->delegation_count, 1);
    assert_int_equal(story_agreement(id)->delegations[0].side, CL_SIDE_CUSTOMER);
}

static void sixteen_delegations_are_all_and_they_are_sorted(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    for (unsigned i = 0; i < 16; i++)
        allow(1, CL_DELEGATE, delegation(id, 100 + i, 1));
    refuse(CL_E_DELEGATIONS, 1, CL_DELEGATE, delegation(id, 120, 1));
    refuse(CL_E_DELEGATIONS, 2, CL_DELEGATE, delegation(id, 120, 1));
    allow(1, CL_DELEGATE, delegation(id, 105, 2)); /* replacing needs no room */
    const struct cl_agreement *a = story_agreement(id);
    for (unsigned i = 1; i < 16; i++)
        assert_true(memcmp(a->delegations[i - 1].key, a->delegations[i].key, 33) < 0);
}

static void a_delegation_ends_in_the_future(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    story_now_ms = STORY_START_MS + 100000;
    refuse(CL_E_EXPIRED, 1, CL_DELEGATE, delegation(id, 3, 1));
}

static void rotating_hands_the_side_over(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    allow(1, CL_DELEGATE, delegation(id, 3, 1));
    allow(2, CL_AMEND, with_slots(with_commitment(with_prev(on(id)), 2), 15));
    refuse(CL_E_PARTY, 3, CL_ROTATE, rotation(id, 4));
    refuse(CL_E_NO_CHANGE, 1, CL_ROTATE, rotation(id, 1));
    refuse(CL_E_SELF, 1, CL_ROTATE, rotation(id, 2));
    allow(1, CL_ROTATE, rotation(id, 4));
    const struct cl_agreement *a = story_agreement(id);
    assert_memory_equal(a->customer.bytes, story_key(4), 33);
    assert_memory_equal(a->head, story_record_id.bytes, 32);
    assert_false(a->pending.present);
    assert_int_equal(a->delegation_count, 1);
    assert_memory_equal(story_touched[0].customer.bytes, story_key(4), 33);
    refuse(CL_E_PARTY, 1, CL_REVOKE, on(id));
    allow(2, CL_ROTATE, rotation(id, 5));
    assert_memory_equal(story_agreement(id)->organisation.bytes, story_key(5), 33);
    allow(4, CL_REVOKE, on(id));
}

static void the_recovery_key_wins(void **state)
{
    (void)state;
    allow(1, CL_GRANT, with_recovery(with_audience_token(with_slots(with_commitment(on_new(1), 1), 7), 80), 60));
    const uint8_t *id = story_id(1, 1);
    allow(2, CL_SUBSCRIBE, with_token(with_slots(with_commitment(with_prev(on(id)), 1), 7), 80, id, id, 2));
    /* the key was stolen: the thief rotates and delegates */
    allow(1, CL_ROTATE, rotation(id, 66));
    allow(66, CL_DELEGATE, delegation(id, 67, 31));
    allow(2, CL_DELEGATE, delegation(id, 68, 31));
    refuse(CL_E_RECOVERY, 61, CL_ROTATE, recovery(id, 5, 61));
    refuse(CL_E_RECOVERY, 61, CL_ROTATE, recovery(id, 5, 60)); /* shown, but not by its holder */
    refuse(CL_E_SELF, 60, CL_ROTATE, recovery(id, 2, 60));
    allow(60, CL_ROTATE, with_recovery(recovery(id, 5, 60), 70));
    const struct cl_agreement *a = story_agreement(id);
    assert_memory_equal(a->customer.bytes, story_key(5), 33);
    assert_int_equal(a->delegation_count, 1); /* O's delegate stays */
    assert_int_equal(a->delegations[0].side, CL_SIDE_ORGANISATION);
    refuse(CL_E_RECOVERY, 60, CL_ROTATE, recovery(id, 6, 60));
    allow(70, CL_ROTATE, recovery(id, 6, 70));
    allow(70, CL_ROTATE, recovery(id, 7, 70)); /* without key 15 the recovery stays */
}

static void without_a_recovery_key_there_is_none(void **state)
{
    (void)state;
    const uint8_t *id = story_active(1, 2, 1, 7);
    refuse(CL_E_RECOVERY, 60, CL_ROTATE, recovery(id, 5, 60));
}

static void one_rotation_of_the_terms_serves_all_agreements(void **state)
{
    (void)state;
    const uint8_t *terms = story_make_terms(1, 1, 1, 5);
    allow(2, CL_SUBSCRIBE, subscribe_to(terms, 1));
    const uint8_t *id = story_id(2, 1);
    refuse(CL_E_PARTY, 1, CL_ROTATE, rotation(id, 4)); /* C is an object: it rotates there */
    allow(1, CL_ROTATE, rotation(terms, 4));
    assert_memory_equal(story_terms(terms)->head, story_record_id.bytes, 32);
    refuse(CL_E_PARTY, 1, CL_SUSPEND, on(id));
    allow(4, CL_SUSPEND, on(id));
    allow(4, CL_DELEGATE, delegation(terms, 9, CL_POWER_REVOKE));
    allow(9, CL_REVOKE, on(id));
    allow(51, CL_ROTATE, recovery(terms, 5, 51));
    assert_int_equal(story_terms(terms)->delegation_count, 0);
    refuse(CL_E_PARTY, 9, CL_REVOKE, on(terms));
    allow(5, CL_REVOKE, on(terms));
}

static void one_rotation_of_the_profile_serves_all_agreements(void **state)
{
    (void)state;
    const uint8_t *profile = story_make_profile(2, 9), *terms = story_make_terms(1, 1, 1, 5);
    allow(2, CL_SUBSCRIBE, with_party(subscribe_to(terms, 1), profile));
    const uint8_t *id = story_id(2, 1);
    refuse(CL_E_RECOVERY, 51, CL_ROTATE, recovery(profile, 4, 51));
    allow(52, CL_ROTATE, with_recovery(recovery(profile, 4, 52), 53));
    refuse(CL_E_PARTY, 2, CL_SUSPEND, on(id));
    allow(4, CL_SUSPEND, on(id));
    refuse(CL_E_ANSWERED, 4, CL_SUBSCRIBE, with_party(subscribe_to(terms, 1), profile)); /* the party is the PROFILE */
    allow(4, CL_ROTATE, rotation(profile, 5));
    refuse(CL_E_NO_CHANGE, 5, CL_ROTATE, rotation(profile, 5));
    allow(53, CL_ROTATE, recovery(profile, 6, 53));
}

static void a_rotation_is_seen_by_the_next_entry_of_the_same_record(void **state)
{
    (void)state;
    const uint8_t *a = story_make_terms(1, 1, 0, 5), *b = story_make_terms(1, 2, 0, 5);
    struct cl_entry both[2] = {rotation(a, 3), rotation(b, 4)};
    assert_int_equal(story_acts(1, CL_ROTATE, both, 2), CL_OK);
    assert_memory_equal(story_terms(a)->owner, story_key(3), 33);
    assert_memory_equal(story_terms(b)->owner, story_key(4), 33);
}

static void a_profile_is_replaced_by_its_present_key(void **state)
{
    (void)state;
    const uint8_t *id = story_make_profile(1, 1);
    struct cl_entry entry = with_key(with_commitment(with_prev(on(id)), 9), story_hash(10), 32);
    refuse(CL_E_PARTY, 2, CL_PROFILE, entry);
    allow(1, CL_DELEGATE, delegation(id, 2, 31));
    refuse(CL_E_PARTY, 2, CL_PROFILE, entry);
    allow(1, CL_PROFILE, entry);
    assert_memory_equal(story_profile(id)->delivery, story_hash(10), 32);
    assert_memory_equal(story_profile(id)->head, story_record_id.bytes, 32);
    refuse(CL_E_HEAD, 1, CL_PROFILE, entry);
    refuse(CL_E_NO_CHANGE, 1, CL_PROFILE, with_key(with_commitment(with_prev(on(id)), 9), story_hash(10), 32));
}

static void members_vouch_and_nobody_else(void **state)
{
    (void)state;
    const uint8_t *id = story_make_profile(1, 1);
    struct cl_profile before = *story_profile(id);
    struct cl_entry entry = with_reason(with_after(on(id), STORY_START_S + 100), 1);
    refuse(CL_E_MEMBER, 1, CL_VOUCH, entry);
    allow(90, CL_VOUCH, entry);
    assert_memory_equal(story_profile(id)->head, before.head, 32);
    refuse(CL_E_NO_CHANGE, 90, CL_VOUCH, entry);
    allow(90, CL_VOUCH, with_reason(with_after(on(id), STORY_START_S + 100), 2));
    assert_int_equal(story_profile(id)->vouch_count, 1);
    assert_int_equal(story_profile(id)->vouches[0].reason, 2);
    refuse(CL_E_OBJECT_KIND, 90, CL_VOUCH, with_reason(with_after(on(story_make_terms(1, 2, 0, 1)), STORY_START_S + 100), 1));
    story_now_ms = STORY_START_MS + 100000;
    refuse(CL_E_EXPIRED, 90, CL_VOUCH, entry);
}

static void sixteen_vouches_are_all(void **state)
{
    (void)state;
    unsigned members[17];
    for (unsigned i = 0; i < 17; i++)
        members[i] = 100 + i;
    story_members(members, 17);
    const uint8_t *id = story_make_profile(1, 1);
    for (unsigned i = 0; i < 16; i++)
        allow(100 + i, CL_VOUCH, with_reason(with_after(on(id), STORY_START_S + 100), 1));
    refuse(CL_E_DELEGATIONS, 116, CL_VOUCH, with_reason(with_after(on(id), STORY_START_S + 100), 1));
    allow(103, CL_VOUCH, with_reason(with_after(on(id), STORY_START_S + 200), 1));
    for (unsigned i = 1; i < 16; i++)
        assert_true(memcmp(story_profile(id)->vouches[i - 1].key, story_profile(id)->vouches[i].key, 33) < 0);
}

static void a_statement_changes_nothing_and_is_the_profiles(void **state)
{
    (void)state;
    const uint8_t *id = story_make_profile(1, 1);
    struct cl_entry entry = with_after(with_before(with_commitment(on(id), 3), 100), 200);
    allow(1, CL_STATEMENT, entry);
    assert_int_equal(story_put_count, 0);
    assert_int_equal(story_touched[0].kind, CL_STATE_PROFILE);
    allow(1, CL_STATEMENT, entry); /* exempt from "no change" */
    refuse(CL_E_PARTY, 2, CL_STATEMENT, entry);
    allow(1, CL_DELEGATE, delegation(id, 2, 1));
    refuse(CL_E_POWER, 2, CL_STATEMENT, entry);
    allow(1, CL_DELEGATE, delegation(id, 2, CL_POWER_STATE));
    allow(2, CL_STATEMENT, entry);
    refuse(CL_E_OBJECT_KIND, 1, CL_STATEMENT, with_after(with_before(with_commitment(on(story_offer(1, 5, 1)), 3), 100), 200));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(delegates_cannot_delegate, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_delegation_moves_no_head_and_is_for_ones_own_side, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(sixteen_delegations_are_all_and_they_are_sorted, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_delegation_ends_in_the_future, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(rotating_hands_the_side_over, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(the_recovery_key_wins, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(without_a_recovery_key_there_is_none, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(one_rotation_of_the_terms_serves_all_agreements, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(one_rotation_of_the_profile_serves_all_agreements, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_rotation_is_seen_by_the_next_entry_of_the_same_record, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_profile_is_replaced_by_its_present_key, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(members_vouch_and_nobody_else, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(sixteen_vouches_are_all, story_setup, story_teardown),
        cmocka_unit_test_setup_teardown(a_statement_changes_nothing_and_is_the_profiles, story_setup, story_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
