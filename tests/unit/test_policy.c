/* Policies: what the text may say, and what of a checkpoint satisfies them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint.h"
#include "consent/record.h"
#include "crypto.h"
#include "note.h"
#include "proof_world.h"
#include "signing.h"

enum { WITNESSES = 6 };

/* Keys of one log and six witnesses, W0 to W5, as vkeys. */
struct keys { char log[256], other_log[256], witness[WITNESSES][256]; };
static struct keys keys;

static void vkey(char out[256], const char *name, enum cl_note_key_type type, const uint8_t seed[32])
{
    struct cl_note_key key;
    struct cl_buffer text = {0};
    uint8_t public32[32];
    cl_ed25519_public(public32, seed);
    cl_note_key_make(&key, name, type, public32);
    assert_int_equal(cl_note_key_encode(&text, &key), CL_OK);
    memcpy(out, text.data, text.length);
    out[text.length] = '\0';
    cl_buffer_deinit(&text);
}

static int make_keys(void **unused)
{
    uint8_t seed[32];
    (void)unused;
    proof_world_log_seed(seed, 0);
    vkey(keys.log, WORLD_ORIGIN, CL_NOTE_ED25519, seed);
    proof_world_log_seed(seed, 1);
    vkey(keys.other_log, "other.example", CL_NOTE_ED25519, seed);
    for (size_t i = 0; i < WITNESSES; i++) {
        char name[64];
        snprintf(name, sizeof name, WORLD_ORIGIN "/w%zu", i);
        proof_world_witness_seed(seed, i);
        vkey(keys.witness[i], name, CL_NOTE_COSIGNATURE, seed);
    }
    return 0;
}

/* $L, $O: the logs' vkeys; $0 to $5: the witnesses'. */
static size_t expand(char *out, size_t capacity, const char *text)
{
    size_t at = 0;
    for (; *text != '\0'; text++) {
        const char *key = NULL;
        if (*text == '$') {
            text++;
            key = *text == 'L' ? keys.log : *text == 'O' ? keys.other_log : keys.witness[*text - '0'];
        }
        size_t length = key == NULL ? 1 : strlen(key);
        assert_true(at + length < capacity);
        memcpy(out + at, key == NULL ? text : key, length);
        at += length;
    }
    return at;
}

static enum cl_status read_policy(struct cl_policy **policy, size_t *bad_line, const char *text)
{
    char expanded[8192];
    size_t length = expand(expanded, sizeof expanded, text);
    return cl_policy_new(policy, bad_line, (const uint8_t *)expanded, length);
}

#define WITNESS_LINES "witness W0 $0\nwitness W1 $1\nwitness W2 $2\nwitness W3 $3\nwitness W4 $4\nwitness W5 $5\n"

static void what_the_specification_allows_is_read(void **unused)
{
    static const char *const good[] = {
        "quorum none\n", "quorum none", "\n\n# comment\n  \t # another +$L\nlog $L\nquorum none\n", "log $L https://ledger.example/\nquorum none\n",
        "witness W0 $0 https://w\nquorum W0\n", " \twitness\tW0  $0 \t\n\tquorum  W0 \n", "witness caf\xc3\xa9\xff $0\nquorum caf\xc3\xa9\xff\n",
        WITNESS_LINES "group g 2 W0 W1 W2\ngroup h any W3 W4\ngroup i all g h\nquorum i\n",
        WITNESS_LINES "group g 1 W0\nquorum g\n", "witness W0 $0\nquorum W0\nwitness W1 $1\n", "log $L\nlog $O\nquorum none\n",
    };
    (void)unused;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cl_policy *policy = NULL;
        size_t line = 99;
        enum cl_status status = read_policy(&policy, &line, good[i]);
        if (status != CL_OK || line != 0 || policy == NULL)
            fail_msg("policy %zu: %s, line %zu", i, cl_status_code(status), line);
        cl_policy_free(policy);
    }
}

static void what_it_forbids_is_refused_with_its_line(void **unused)
{
    static const struct { size_t line; const char *text; } bad[] = {
        {0, ""}, {0, "log $L\n"}, {2, "quorum none\nquorum none\n"}, {1, "quorum W0\nwitness W0 $0\n"}, {1, "quorum\n"}, {1, "quorum none none\n"},
        {1, "witness W0 $L\nquorum W0\n"}, {1, "log $0\nquorum none\n"}, {2, "log $L\nlog $L https://x\nquorum none\n"},
        {2, "witness W0 $0\nwitness W1 $0\nquorum W0\n"}, {2, "witness W0 $0\nwitness W0 $1\nquorum W0\n"}, {1, "witness none $0\nquorum none\n"},
        {1, "witness W0\nquorum none\n"}, {1, "witness W0 $0 url more\nquorum none\n"}, {1, "log\nquorum none\n"}, {1, "log $L url more\nquorum none\n"},
        {2, "witness W0 $0\ngroup g any\nquorum g\n"}, {2, "witness W0 $0\ngroup g 2 W0\nquorum g\n"}, {2, "witness W0 $0\ngroup g 0 W0\nquorum g\n"},
        {2, "witness W0 $0\ngroup g 01 W0\nquorum g\n"}, {2, "witness W0 $0\ngroup g -1 W0\nquorum g\n"}, {2, "witness W0 $0\ngroup g most W0\nquorum g\n"},
        {2, "witness W0 $0\ngroup g 1 W0 W0\nquorum g\n"}, {3, "witness W0 $0\ngroup g 1 W0\ngroup h 1 W0\nquorum g\n"}, {2, "witness W0 $0\ngroup W0 1 W0\nquorum W0\n"},
        {2, "witness W0 $0\ngroup g 1 g\nquorum g\n"}, {2, "witness W0 $0\ngroup g 1 none\nquorum g\n"}, {1, "group none any x\nquorum none\n"},
        {1, "Log $L\nquorum none\n"}, {1, "unknown line\nquorum none\n"}, {1, "log $L\r\nquorum none\n"}, {2, "quorum none\n#\x01\n"}, {1, "#\x7f\nquorum none\n"},
        {2, "witness W0 $0\ngroup g 4294967297 W0\nquorum g\n"},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cl_policy *policy = NULL;
        size_t line = 99;
        enum cl_status status = read_policy(&policy, &line, bad[i].text);
        if (status != CL_E_POLICY || line != bad[i].line || policy != NULL)
            fail_msg("policy %zu: %s, line %zu", i, cl_status_code(status), line);
    }
}

static void policies_are_bounded(void **unused)
{
    struct cl_policy *policy = NULL;
    struct cl_buffer text = {0};
    size_t line;
    uint8_t seed[32] = {0};
    (void)unused;
    for (size_t i = 0; i <= CL_POLICY_ENTRIES_MAX; i++) {
        char key[256], word[300];
        memcpy(seed, &i, sizeof i);
        vkey(key, "l", CL_NOTE_ED25519, seed);
        assert_int_equal(cl_buffer_append(&text, word, (size_t)snprintf(word, sizeof word, "log %s\n", key)), CL_OK);
    }
    assert_int_equal(cl_policy_new(&policy, &line, text.data, text.length), CL_E_BOUND);
    assert_int_equal(line, CL_POLICY_ENTRIES_MAX + 1);
    assert_int_equal(cl_policy_new(&policy, &line, text.data, CL_POLICY_BYTES_MAX + 1), CL_E_BOUND);
    assert_int_equal(line, 0);
    cl_buffer_deinit(&text);
}

/* ---- checking */

/* A note signed by the log (if logged) and by witness i at times[i], where that is not 0. */
static void make_note(struct cl_buffer *note, const char *origin, bool logged, const uint64_t times[WITNESSES])
{
    struct cl_hash root = {{5}};
    uint8_t seed[32];
    size_t body_length;
    note->length = 0;
    assert_int_equal(cl_checkpoint_body(note, origin, 12, &root), CL_OK);
    body_length = note->length;
    assert_int_equal(cl_buffer_append(note, "\n", 1), CL_OK);
    struct cl_buffer body = {0};
    assert_int_equal(cl_buffer_append(&body, note->data, body_length), CL_OK);
    struct cl_view view = {body.data, body.length};
    proof_world_log_seed(seed, 0);
    if (logged)
        assert_int_equal(cl_checkpoint_sign_log(note, &view, origin, signing_key(seed)), CL_OK);
    for (size_t i = 0; i < WITNESSES; i++) {
        char name[8];
        snprintf(name, sizeof name, "w%zu", i);
        proof_world_witness_seed(seed, i);
        if (times[i] != 0)
            assert_int_equal(cl_checkpoint_cosign(note, &view, WORLD_ORIGIN, name, times[i], signing_key(seed)), CL_OK);
    }
    cl_buffer_deinit(&body);
}

static struct cl_quorum_report report;
static struct cl_checkpoint checkpoint;

static enum cl_status check(const char *text, const struct cl_buffer *note)
{
    struct cl_policy *policy = NULL;
    assert_int_equal(read_policy(&policy, NULL, text), CL_OK);
    assert_int_equal(cl_checkpoint_decode(&checkpoint, note->data, note->length), CL_OK);
    enum cl_status status = cl_policy_check(&report, policy, &checkpoint);
    cl_policy_free(policy);
    return status;
}

static void as_of_is_the_newest_time_that_a_quorum_reaches(void **unused)
{
    struct cl_buffer note = {0};
    (void)unused;
    make_note(&note, WORLD_ORIGIN, true, (const uint64_t[]){10, 50, 30, 40, 20, 60});
#define POLICY(lines) "log $L\n" WITNESS_LINES lines
    assert_int_equal(check(POLICY("group g 3 W0 W1 W2 W3\nquorum g\n"), &note), CL_OK);
    assert_int_equal(report.as_of_s, 30);
    assert_int_equal(report.witnesses, 4);
    assert_int_equal(report.needed, 3);
    assert_int_equal(report.signed_count, 4);
    assert_int_equal(report.signer_count, 6);
    assert_string_equal(report.signers[5], "W5");
    assert_int_equal(check(POLICY("group g all W0 W1 W2\nquorum g\n"), &note), CL_OK);
    assert_int_equal(report.as_of_s, 10);
    assert_int_equal(check(POLICY("group g any W0 W1 W2\nquorum g\n"), &note), CL_OK);
    assert_int_equal(report.as_of_s, 50);
    assert_int_equal(check(POLICY("quorum W4\n"), &note), CL_OK);
    assert_int_equal(report.as_of_s, 20);
    /* two of {W0 10, W1 50, W2 30} reach 30; one of {W3 40, W4 20} reaches 40; both, 30; that or W5: 60 */
    assert_int_equal(check(POLICY("group g 2 W0 W1 W2\ngroup h any W3 W4\ngroup i all g h\nquorum i\n"), &note), CL_OK);
    assert_int_equal(report.as_of_s, 30);
    assert_int_equal(check(POLICY("group g 2 W0 W1 W2\ngroup h any W3 W4\ngroup i all g h\ngroup j any i W5\nquorum j\n"), &note), CL_OK);
    assert_int_equal(report.as_of_s, 60);
    assert_int_equal(report.witnesses, 2);
    assert_int_equal(check(POLICY("quorum none\n"), &note), CL_OK);
    assert_int_equal(report.as_of_s, 0);
    cl_buffer_deinit(&note);
}

static void too_few_cosignatures_are_no_quorum(void **unused)
{
    struct cl_buffer note = {0};
    (void)unused;
    make_note(&note, WORLD_ORIGIN, true, (const uint64_t[]){10, 0, 30, 0, 0, 60});
    assert_int_equal(check(POLICY("group g 3 W0 W1 W2 W3\nquorum g\n"), &note), CL_E_QUORUM);
    assert_int_equal(report.signed_count, 2);
    assert_int_equal(report.needed, 3);
    assert_int_equal(report.as_of_s, 0);
    assert_true(report.log_signed);
    assert_int_equal(check(POLICY("group g any W1 W3\ngroup i all g W5\nquorum i\n"), &note), CL_E_QUORUM);
    assert_int_equal(check(POLICY("quorum W1\n"), &note), CL_E_QUORUM);
    make_note(&note, WORLD_ORIGIN, false, (const uint64_t[]){10, 10, 30, 0, 0, 60});
    assert_int_equal(check(POLICY("group g 3 W0 W1 W2 W3\nquorum g\n"), &note), CL_E_QUORUM); /* no log has signed */
    assert_false(report.log_signed);
    assert_int_equal(check("log $O\nlog $L\nquorum none\n", &note), CL_E_QUORUM);
    assert_int_equal(check(WITNESS_LINES "quorum W5\n", &note), CL_OK); /* the policy names no log */
    assert_int_equal(check("log $O\n" WITNESS_LINES "quorum W5\n", &note), CL_E_CHECKPOINT); /* another log's */
    cl_buffer_deinit(&note);
}

static void a_logs_key_signs_for_its_own_origin_only(void **unused)
{
    struct cl_buffer note = {0};
    (void)unused;
    make_note(&note, "other.example", true, (const uint64_t[]){10, 10, 10, 10, 10, 10}); /* with the key that $L names */
    assert_int_equal(check("log $L\nlog $O\nquorum none\n", &note), CL_E_QUORUM);
    /* under its own name, but over the other log's checkpoint */
    struct cl_hash root = {{5}};
    struct cl_buffer body = {0};
    uint8_t seed[32];
    assert_int_equal(cl_checkpoint_body(&body, "other.example", 12, &root), CL_OK);
    struct cl_view view = {body.data, body.length};
    proof_world_log_seed(seed, 0);
    assert_int_equal(cl_checkpoint_sign_log(&note, &view, WORLD_ORIGIN, signing_key(seed)), CL_OK);
    assert_int_equal(check("log $L\nlog $O\nquorum none\n", &note), CL_E_QUORUM);
    proof_world_log_seed(seed, 1);
    assert_int_equal(cl_checkpoint_sign_log(&note, &view, "other.example", signing_key(seed)), CL_OK);
    assert_int_equal(check("log $L\nlog $O\nquorum none\n", &note), CL_OK);
    cl_buffer_deinit(&body);
    cl_buffer_deinit(&note);
}

static void of_one_witness_the_newest_that_holds_counts(void **unused)
{
    struct cl_buffer note = {0};
    uint8_t seed[32];
    (void)unused;
    make_note(&note, WORLD_ORIGIN, true, (const uint64_t[]){50, 0, 0, 0, 0, 0});
    size_t body_length = (size_t)(strstr((char *)note.data, "\n\n") + 1 - (char *)note.data);
    struct cl_buffer body = {0}, more = {0};
    assert_int_equal(cl_buffer_append(&body, note.data, body_length), CL_OK);
    struct cl_view view = {body.data, body.length};
    proof_world_witness_seed(seed, 0);
    static const uint64_t times[3] = {30, 90, 70};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(cl_checkpoint_cosign(&more, &view, WORLD_ORIGIN, "w0", times[i], signing_key(seed)), CL_OK);
    assert_int_equal(cl_buffer_append(&note, more.data, more.length), CL_OK);
    assert_int_equal(check(POLICY("quorum W0\n"), &note), CL_OK);
    assert_int_equal(report.as_of_s, 90);
    assert_int_equal(report.signed_count, 1);
    /* the same witness does not make two */
    assert_int_equal(check(POLICY("group g 2 W0 W1\nquorum g\n"), &note), CL_E_QUORUM);
    checkpoint.signatures[3].bytes[20] ^= 1; /* the one of 90 does not hold */
    struct cl_policy *policy = NULL;
    assert_int_equal(read_policy(&policy, NULL, POLICY("quorum W0\n")), CL_OK);
    assert_int_equal(cl_policy_check(&report, policy, &checkpoint), CL_OK);
    assert_int_equal(report.as_of_s, 70);
    checkpoint.signatures[4].bytes[7] ^= 1; /* the time is signed: 71 is not what the witness said */
    assert_int_equal(cl_policy_check(&report, policy, &checkpoint), CL_OK);
    assert_int_equal(report.as_of_s, 50);
    cl_policy_free(policy);
    cl_buffer_deinit(&note);
    cl_buffer_deinit(&body);
    cl_buffer_deinit(&more);
}

static void the_members_policy_takes_their_quorum(void **unused)
{
    (void)unused;
    for (size_t members = 1; members <= 22; members++) {
        struct proof_world *world = proof_world_new(members);
        struct cl_policy *policy = proof_world_policy(world);
        struct cl_buffer note = {0};
        size_t quorum = members - (members - 1) / 3;
        proof_world_checkpoint(&note, world, quorum, 77);
        assert_int_equal(cl_checkpoint_decode(&checkpoint, note.data, note.length), CL_OK);
        assert_int_equal(cl_policy_check(&report, policy, &checkpoint), CL_OK);
        assert_int_equal(report.witnesses, members);
        assert_int_equal(report.needed, quorum);
        assert_int_equal(report.signed_count, quorum);
        assert_int_equal(report.as_of_s, 77);
        assert_string_equal(report.signers[0], "member-0");
        note.length = 0;
        proof_world_checkpoint(&note, world, quorum - 1, 77);
        assert_int_equal(cl_checkpoint_decode(&checkpoint, note.data, note.length), CL_OK);
        assert_int_equal(cl_policy_check(&report, policy, &checkpoint), CL_E_QUORUM);
        cl_buffer_deinit(&note);
        cl_policy_free(policy);
        proof_world_free(world);
    }
}

static void the_largest_consortium_has_a_policy(void **unused)
{
    static struct cl_member members[CL_MEMBERS_MAX];
    char origin[CL_ORIGIN_BYTES_MAX + 1] = {0};
    struct cl_buffer text = {0};
    struct cl_policy *policy = NULL;
    (void)unused;
    memset(origin, 'o', CL_ORIGIN_BYTES_MAX);
    for (size_t i = 0; i < CL_MEMBERS_MAX; i++) {
        memset(members[i].name, 'm', CL_MEMBER_NAME_BYTES_MAX);
        members[i].name[0] = (char)('a' + i % 26);
        members[i].name[1] = (char)('a' + i / 26);
        memcpy(members[i].log, &i, sizeof i);
        memcpy(members[i].witness, &i, sizeof i);
    }
    assert_int_equal(cl_policy_of_members(&text, origin, members, CL_MEMBERS_MAX), CL_OK);
    assert_int_equal(cl_policy_new(&policy, NULL, text.data, text.length), CL_OK);
    cl_policy_free(policy);
    cl_buffer_deinit(&text);
    static const char *const reserved[] = {"none", "consortium", "", "a b", "#a"};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        strcpy(members[0].name, reserved[i]);
        assert_int_equal(cl_policy_of_members(&text, origin, members, 4), CL_E_ARGUMENT);
        assert_int_equal(text.length, 0);
    }
    cl_buffer_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_specification_allows_is_read), cmocka_unit_test(what_it_forbids_is_refused_with_its_line),
        cmocka_unit_test(policies_are_bounded), cmocka_unit_test(as_of_is_the_newest_time_that_a_quorum_reaches),
        cmocka_unit_test(too_few_cosignatures_are_no_quorum), cmocka_unit_test(a_logs_key_signs_for_its_own_origin_only),
        cmocka_unit_test(of_one_witness_the_newest_that_holds_counts), cmocka_unit_test(the_members_policy_takes_their_quorum),
        cmocka_unit_test(the_largest_consortium_has_a_policy),
    };
    return cmocka_run_group_tests(tests, make_keys, NULL);
}
