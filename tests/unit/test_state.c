/* state.c: what is written comes back, nothing else is read, and the answer to "may it be used?" is no by default. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "consent/record.h"
#include "consent/state.h"
#include "crypto.h"

static void fill(uint8_t *bytes, size_t length, uint8_t value) { memset(bytes, value, length); }

static struct cl_party key_party(uint8_t value)
{
    struct cl_party party = {33, {0}};
    fill(party.bytes, 33, value);
    return party;
}

/* Every optional thing there, every list full. */
static struct cl_agreement full_agreement(void)
{
    struct cl_agreement a;
    memset(&a, 0, sizeof a);
    a.status = CL_ACTIVE;
    a.suspended = 2;
    a.flags = 15;
    a.customer = key_party(2);
    a.organisation = (struct cl_party){32, {9}};
    a.audience = (struct cl_audience){2, {3}};
    fill(a.commitment, 32, 4);
    a.not_before = (struct cl_optional_time){true, 1};
    a.not_after = (struct cl_optional_time){true, CL_SECONDS_MAX};
    a.live = UINT64_MAX;
    a.due = 1;
    a.pending = (struct cl_pending){.present = true, .side = 1, .slots = 3, .not_after = {true, 77}};
    a.terms = (struct cl_optional_hash){true, {5}};
    a.recovery = (struct cl_optional_hash){true, {6}};
    a.delegation_count = CL_DELEGATIONS_MAX;
    for (uint8_t i = 0; i < CL_DELEGATIONS_MAX; i++) {
        a.delegations[i] = (struct cl_delegation){.side = (uint8_t)(1 + i % 2), .powers = 31, .until = CL_SECONDS_MAX};
        fill(a.delegations[i].key, 33, (uint8_t)(2 + i / 2));
    }
    fill(a.head, 32, 8);
    a.last_index = UINT64_MAX;
    a.head_ms = UINT64_MAX;
    return a;
}

static struct cl_buffer encoded(const struct cl_agreement *agreement)
{
    struct cl_buffer bytes = {0};
    assert_int_equal(cl_agreement_encode(&bytes, agreement), CL_OK);
    return bytes;
}

static void same_agreement(const struct cl_agreement *in)
{
    struct cl_agreement out;
    struct cl_buffer bytes = encoded(in);
    assert_true(bytes.length < 4096); /* what the rules' arena counts on */
    assert_int_equal(cl_agreement_decode(&out, bytes.data, bytes.length), CL_OK);
    struct cl_buffer again = encoded(&out);
    assert_int_equal(again.length, bytes.length);
    assert_memory_equal(again.data, bytes.data, bytes.length);
    assert_int_equal(out.live, in->live);
    assert_int_equal(out.head_ms, in->head_ms);
    assert_int_equal(out.customer.length, in->customer.length);
    assert_int_equal(out.pending.present, in->pending.present);
    assert_int_equal(out.delegation_count, in->delegation_count);
    cl_buffer_deinit(&bytes);
    cl_buffer_deinit(&again);
}

static void an_agreement_comes_back_full_or_bare(void **state)
{
    (void)state;
    struct cl_agreement agreement = full_agreement();
    same_agreement(&agreement);
    memset(&agreement, 0, sizeof agreement);
    agreement.customer = key_party(2);
    same_agreement(&agreement);
}

static void every_shorter_agreement_is_refused(void **state)
{
    (void)state;
    struct cl_agreement agreement = full_agreement(), out;
    struct cl_buffer bytes = encoded(&agreement);
    for (size_t length = 0; length < bytes.length; length++) {
        uint8_t *exact = malloc(length + 1); /* so that reading too far is seen by the sanitizers */
        assert_non_null(exact);
        memcpy(exact, bytes.data, length);
        assert_int_not_equal(cl_agreement_decode(&out, exact, length), CL_OK);
        free(exact);
    }
    assert_int_equal(cl_buffer_append(&bytes, "", 1), CL_OK);
    assert_int_equal(cl_agreement_decode(&out, bytes.data, bytes.length), CL_E_CBOR_TRAILING);
    cl_buffer_deinit(&bytes);
}

/* Offsets in the bare agreement: array head, version, kind, status, turn, C (2 + 33), O, audience, commitment (2 + 32),
   not_before, not_after, live, due, suspended, flags */
static void numbers_outside_their_range_are_refused(void **state)
{
    (void)state;
    struct cl_agreement agreement, out;
    memset(&agreement, 0, sizeof agreement);
    agreement.customer = key_party(2);
    static const struct { size_t offset; uint8_t value; enum cl_status status; } cases[] = {
        {0, 0x94, CL_E_FORMAT}, {1, 2, CL_E_VERSION}, {2, 2, CL_E_OBJECT_KIND}, {2, 6, CL_E_FORMAT},
        {2, 0, CL_E_FORMAT}, {3, 8, CL_E_VALUE}, {4, 3, CL_E_VALUE}, {3, 0xf5, CL_E_CBOR_TYPE}, {80, 4, CL_E_VALUE}, {81, 16, CL_E_VALUE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cl_buffer bytes = encoded(&agreement);
        bytes.data[cases[i].offset] = cases[i].value;
        assert_int_not_equal(cl_agreement_decode(&out, bytes.data, bytes.length), CL_OK);
        if (cases[i].offset == 1 || cases[i].offset == 2 || cases[i].status == CL_E_VALUE)
            assert_string_equal(cl_status_code(cl_agreement_decode(&out, bytes.data, bytes.length)), cl_status_code(cases[i].status));
        cl_buffer_deinit(&bytes);
    }
}

static void unsorted_or_doubled_delegations_are_refused(void **state)
{
    (void)state;
    struct cl_agreement agreement = full_agreement(), out;
    struct cl_delegation first = agreement.delegations[0];
    agreement.delegations[0] = agreement.delegations[1];
    agreement.delegations[1] = first;
    struct cl_buffer bytes = encoded(&agreement);
    assert_int_equal(cl_agreement_decode(&out, bytes.data, bytes.length), CL_E_FORMAT);
    cl_buffer_deinit(&bytes);
    agreement.delegations[0] = agreement.delegations[1];
    bytes = encoded(&agreement);
    assert_int_equal(cl_agreement_decode(&out, bytes.data, bytes.length), CL_E_FORMAT);
    cl_buffer_deinit(&bytes);
    agreement.delegations[0].side = 0;
    bytes = encoded(&agreement);
    assert_int_equal(cl_agreement_decode(&out, bytes.data, bytes.length), CL_E_VALUE);
    cl_buffer_deinit(&bytes);
}

static void terms_and_profile_come_back(void **state)
{
    (void)state;
    struct cl_terms terms, terms_out;
    struct cl_buffer bytes = {0}, again = {0};
    memset(&terms, 0, sizeof terms);
    terms.slots = 3;
    terms.limit = 10;
    terms.answers = 10;
    terms.mode = 3;
    terms.open = 1;
    terms.audience = (struct cl_audience){1, {3}};
    terms.successor = (struct cl_optional_hash){true, {4}};
    terms.delegation_count = 1;
    terms.delegations[0] = (struct cl_delegation){.powers = 1, .until = 2};
    assert_int_equal(cl_terms_encode(&bytes, &terms), CL_OK);
    assert_int_equal(cl_terms_decode(&terms_out, bytes.data, bytes.length), CL_OK);
    assert_int_equal(cl_terms_encode(&again, &terms_out), CL_OK);
    assert_int_equal(bytes.length, again.length);
    assert_memory_equal(bytes.data, again.data, bytes.length);
    cl_buffer_deinit(&bytes);
    terms.answers = 11; /* more than the limit */
    assert_int_equal(cl_terms_encode(&bytes, &terms), CL_OK);
    assert_int_equal(cl_terms_decode(&terms_out, bytes.data, bytes.length), CL_E_VALUE);
    cl_buffer_deinit(&bytes);
    cl_buffer_deinit(&again);

    struct cl_profile profile, profile_out;
    memset(&profile, 0, sizeof profile);
    profile.vouch_count = profile.delegation_count = 16;
    for (uint8_t i = 0; i < 16; i++) {
        profile.vouches[i] = (struct cl_vouch){.key = {i}, .reason = 2, .until = CL_SECONDS_MAX};
        profile.delegations[i] = (struct cl_delegation){.key = {i}, .powers = 31, .until = CL_SECONDS_MAX};
    }
    assert_int_equal(cl_profile_encode(&bytes, &profile), CL_OK);
    assert_true(bytes.length < 4096);
    assert_int_equal(cl_profile_decode(&profile_out, bytes.data, bytes.length), CL_OK);
    assert_int_equal(cl_profile_encode(&again, &profile_out), CL_OK);
    assert_memory_equal(bytes.data, again.data, bytes.length);
    assert_int_equal(cl_terms_decode(&terms_out, bytes.data, bytes.length), CL_E_OBJECT_KIND);
    cl_buffer_deinit(&bytes);
    cl_buffer_deinit(&again);
}

static struct cl_network *network_of(size_t members)
{
    struct cl_network *network = calloc(1, sizeof *network);
    assert_non_null(network);
    network->parameters = (struct cl_parameters){1000, 100, 100000, 1000, 1, 1};
    network->member_count = members;
    for (size_t i = 0; i < members; i++) {
        memset(network->members[i].name, 'a', CL_MEMBER_NAME_BYTES_MAX);
        network->members[i].name[0] = (char)('a' + i % 26);
        network->members[i].party[0] = 2;
    }
    return network;
}

static void a_network_of_128_members_comes_back(void **state)
{
    (void)state;
    struct cl_network *network = network_of(CL_MEMBERS_MAX), *out = calloc(1, sizeof *out);
    struct cl_buffer bytes = {0};
    struct cl_hash a, b;
    assert_int_equal(cl_network_encode(&bytes, network), CL_OK);
    assert_true(bytes.length <= CL_STATE_VALUE_BYTES_MAX);
    assert_int_equal(cl_network_decode(out, bytes.data, bytes.length), CL_OK);
    assert_int_equal(out->member_count, CL_MEMBERS_MAX);
    assert_string_equal(out->members[5].name, network->members[5].name);
    assert_int_equal(cl_member_set_hash(&a, network->members, CL_MEMBERS_MAX), CL_OK);
    assert_int_equal(cl_member_set_hash(&b, out->members, CL_MEMBERS_MAX), CL_OK);
    assert_memory_equal(a.bytes, b.bytes, 32);
    out->members[127].party[32] ^= 1;
    assert_int_equal(cl_member_set_hash(&b, out->members, CL_MEMBERS_MAX), CL_OK);
    assert_memory_not_equal(a.bytes, b.bytes, 32);
    assert_int_equal(cl_member_set_hash(&b, out->members, 0), CL_E_ARGUMENT);
    cl_buffer_deinit(&bytes);
    free(network);
    free(out);
}

static void a_members_name_is_plain(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "A", "Z", "a b", "a/b", "a\n", "a_b", "a.b", "a+b", "a`", "a{", "a:", "\xc3\xa9"};
    struct cl_network *network = network_of(1), *out = calloc(1, sizeof *out);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cl_buffer bytes = {0};
        memset(network->members[0].name, 0, sizeof network->members[0].name);
        memcpy(network->members[0].name, bad[i], strlen(bad[i]));
        assert_int_equal(cl_network_encode(&bytes, network), CL_OK);
        assert_int_equal(cl_network_decode(out, bytes.data, bytes.length), CL_E_VALUE);
        cl_buffer_deinit(&bytes);
    }
    free(network);
    free(out);
}

static void an_answer_comes_back_and_its_key_is_its_own(void **state)
{
    (void)state;
    struct cl_object_id id = {{7}}, out;
    struct cl_buffer bytes = {0};
    struct cl_hash a, b, network;
    enum cl_state_kind kind;
    assert_int_equal(cl_answer_encode(&bytes, &id), CL_OK);
    assert_int_equal(cl_answer_decode(&out, bytes.data, bytes.length), CL_OK);
    assert_memory_equal(out.bytes, id.bytes, 32);
    assert_int_equal(cl_state_kind_of(&kind, bytes.data, bytes.length), CL_OK);
    assert_int_equal(kind, CL_STATE_ANSWER);
    cl_buffer_deinit(&bytes);
    struct cl_party key = key_party(2), profile = {32, {2}};
    cl_answer_key(&a, id.bytes, &key);
    cl_answer_key(&b, id.bytes, &profile);
    cl_network_key(&network);
    assert_memory_not_equal(a.bytes, b.bytes, 32);
    static const uint8_t text[] = "consent/v1 network"; /* its zero byte is hashed */
    cl_sha256_once(b.bytes, text, sizeof text);
    assert_memory_equal(network.bytes, b.bytes, 32);
}

static void the_default_is_no(void **state)
{
    (void)state;
    struct cl_agreement a = full_agreement();
    a.suspended = 0;
    a.live = 6;
    a.not_before = (struct cl_optional_time){true, 100};
    a.not_after = (struct cl_optional_time){true, 200};
    assert_int_equal(cl_agreement_check(&a, 2, 100000), CL_OK);
    assert_int_equal(cl_agreement_check(&a, 6, 199999), CL_OK);
    assert_int_equal(cl_agreement_check(&a, 0, 150000), CL_OK);
    assert_int_equal(cl_agreement_check(&a, 2, 99999), CL_E_NOT_YET);
    assert_int_equal(cl_agreement_check(&a, 2, 200000), CL_E_EXPIRED);
    assert_int_equal(cl_agreement_check(&a, 1, 150000), CL_E_SLOT_NOT_LIVE);
    assert_int_equal(cl_agreement_check(&a, 3, 150000), CL_E_SLOT_NOT_LIVE);
    a.suspended = 1;
    assert_int_equal(cl_agreement_check(&a, 2, 150000), CL_E_SUSPENDED);
    a.suspended = 0;
    a.live = 0;
    assert_int_equal(cl_agreement_check(&a, 0, 150000), CL_E_SLOT_NOT_LIVE);
    static const struct { uint8_t status; enum cl_status result; } cases[] = {
        {CL_OFFERED, CL_E_NOT_ACTIVE}, {CL_REQUESTED, CL_E_NOT_ACTIVE}, {CL_SUBSCRIBED, CL_E_NOT_ACTIVE},
        {CL_COUNTERED, CL_E_NOT_ACTIVE}, {CL_REFUSED, CL_E_NOT_ACTIVE}, {CL_WITHDRAWN, CL_E_WITHDRAWN},
        {CL_TERMINATED, CL_E_TERMINATED},
    };
    a.live = 6;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        a.status = cases[i].status;
        assert_int_equal(cl_agreement_check(&a, 2, 150000), cases[i].result);
    }
    assert_string_equal(cl_agreement_status_name(CL_WITHDRAWN), "withdrawn");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agreement_comes_back_full_or_bare),
        cmocka_unit_test(every_shorter_agreement_is_refused),
        cmocka_unit_test(numbers_outside_their_range_are_refused),
        cmocka_unit_test(unsorted_or_doubled_delegations_are_refused),
        cmocka_unit_test(terms_and_profile_come_back),
        cmocka_unit_test(a_network_of_128_members_comes_back),
        cmocka_unit_test(a_members_name_is_plain),
        cmocka_unit_test(an_answer_comes_back_and_its_key_is_its_own),
        cmocka_unit_test(the_default_is_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
