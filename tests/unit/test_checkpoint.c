/* Signed notes and checkpoints: form, keys, signature lines, merging; and base64, which they stand on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base64.h"
#include "checkpoint.h"
#include "consent/record.h"
#include "crypto.h"
#include "note.h"
#include "proof_world.h"
#include "signing.h"

static bool decodes(const char *text)
{
    uint8_t out[64];
    return cl_base64_decode(out, sizeof out, NULL, text, strlen(text));
}

static void base64_has_one_text_for_each_byte_string(void **unused)
{
    static const char *const bad[] = {"A", "AA", "AAA", "A===", "====", "AB==", "AAB=", "AA=A", "A A=", "AAAA\n", "AA-_", "=AAA", "AAAAA===", "AAA\xc3"};
    (void)unused;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(decodes(bad[i]));
    for (size_t length = 0; length < 48; length++) {
        uint8_t in[48], out[48];
        char text[CL_BASE64_LENGTH(48)];
        size_t decoded;
        for (size_t i = 0; i < length; i++)
            in[i] = (uint8_t)(i * 89 + length);
        cl_base64_encode(text, in, length);
        assert_true(cl_base64_decode(out, length, &decoded, text, CL_BASE64_LENGTH(length)));
        assert_int_equal(decoded, length);
        assert_memory_equal(in, out, length);
        if (length > 0)
            assert_false(cl_base64_decode(out, length - 1, &decoded, text, CL_BASE64_LENGTH(length)));
    }
    /* RFC 4648 section 10 */
    char foobar[8];
    cl_base64_encode(foobar, "foobar", 6);
    assert_memory_equal(foobar, "Zm9vYmFy", 8);
    cl_base64_encode(foobar, "fooba", 5);
    assert_memory_equal(foobar, "Zm9vYmE=", 8);
    cl_base64_encode(foobar, "foob", 4);
    assert_memory_equal(foobar, "Zm9vYg==", 8);
}

/* The example of C2SP tlog-cosignature, with its two lines. */
static const char example[] =
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\xe2\x80\x94 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\xe2\x80\x94 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

static void the_specifications_example_decodes(void **unused)
{
    struct cl_checkpoint checkpoint;
    (void)unused;
    assert_int_equal(cl_checkpoint_decode(&checkpoint, (const uint8_t *)example, sizeof example - 1), CL_OK);
    assert_string_equal(checkpoint.origin, "example.com/behind-the-sofa");
    assert_int_equal(checkpoint.size, 20852163);
    assert_int_equal(checkpoint.root.bytes[0], 0x0a);
    assert_int_equal(checkpoint.body.length, strlen("example.com/behind-the-sofa\n20852163\n") + 45);
    assert_int_equal(checkpoint.signature_count, 2);
    assert_string_equal(checkpoint.signatures[0].name, "example.com/behind-the-sofa");
    assert_int_equal(checkpoint.signatures[0].length, 64);
    assert_int_equal(checkpoint.signatures[1].length, 72);
    assert_int_equal(cl_cosignature_time(checkpoint.signatures[1].bytes), 1679315147);
}

static enum cl_status decode_text(const char *text)
{
    static struct cl_checkpoint checkpoint;
    return cl_checkpoint_decode(&checkpoint, (const uint8_t *)text, strlen(text));
}

#define ROOT "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
#define LINE "\xe2\x80\x94 name AAAAAAA=\n"

static void notes_of_another_form_are_refused(void **unused)
{
    static const char *const bad[] = {
        "", "\n", "a\n1\n" ROOT "\n", "a\n1\n" ROOT "\n\n", "a\n1\n" ROOT "\n" LINE, "\n1\n" ROOT "\n\n" LINE,
        "a\n01\n" ROOT "\n\n" LINE, "a\n\n" ROOT "\n\n" LINE, "a\n-1\n" ROOT "\n\n" LINE, "a\n1 \n" ROOT "\n\n" LINE,
        "a\n18446744073709551616\n" ROOT "\n\n" LINE, "a\n1\n" "AAAA" "\n\n" LINE, "a\n1\n" ROOT "\nextension\n\n" LINE,
        "a\n1\n" ROOT "\n\n\n" LINE, "a\n1\n" ROOT "\n\n" LINE "\n", "a\n1\n" ROOT "\n\n" LINE "x", "a\n1\n" ROOT "\r\n\n" LINE,
        "a\n1\n" ROOT "\n\n- name AAAAAAA=\n", "a\n1\n" ROOT "\n\n\xe2\x80\x94 name AAAAAA==\n", "a\n1\n" ROOT "\n\n\xe2\x80\x94  AAAAAAA=\n",
        "a\n1\n" ROOT "\n\n\xe2\x80\x94 na+me AAAAAAA=\n", "a\n1\n" ROOT "\n\n\xe2\x80\x94 na\xc2\xa0me AAAAAAA=\n",
        "a\n1\n" ROOT "\n\n\xe2\x80\x94 name AAAAAAA= \n", "a\n1\n" ROOT "\n\n\xe2\x80\x94 name\n", "a\xff\n1\n" ROOT "\n\n" LINE,
        "a\xc0\x80\n1\n" ROOT "\n\n" LINE, "a\xed\xa0\x80\n1\n" ROOT "\n\n" LINE, "a\tb\n1\n" ROOT "\n\n" LINE,
    };
    (void)unused;
    assert_int_equal(decode_text("a\n1\n" ROOT "\n\n" LINE), CL_OK);
    assert_int_equal(decode_text("a\n18446744073709551615\n" ROOT "\n\n" LINE), CL_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (decode_text(bad[i]) != CL_E_CHECKPOINT)
            fail_msg("note %zu gave %s", i, cl_status_code(decode_text(bad[i])));
}

static void notes_are_bounded(void **unused)
{
    struct cl_buffer note = {0};
    static struct cl_checkpoint checkpoint;
    (void)unused;
    assert_int_equal(cl_buffer_append(&note, "a\n1\n" ROOT "\n\n", strlen("a\n1\n" ROOT "\n\n")), CL_OK);
    for (size_t i = 0; i < CL_SIGNATURES_MAX; i++)
        assert_int_equal(cl_buffer_append(&note, LINE, strlen(LINE)), CL_OK);
    assert_int_equal(cl_checkpoint_decode(&checkpoint, note.data, note.length), CL_OK);
    assert_int_equal(checkpoint.signature_count, CL_SIGNATURES_MAX);
    assert_int_equal(cl_buffer_append(&note, LINE, strlen(LINE)), CL_OK);
    assert_int_equal(cl_checkpoint_decode(&checkpoint, note.data, note.length), CL_E_BOUND);
    assert_int_equal(cl_checkpoint_decode(&checkpoint, note.data, CL_CHECKPOINT_BYTES_MAX + 1), CL_E_BOUND);
    cl_buffer_deinit(&note);
    char origin[CL_ORIGIN_BYTES_MAX + 100];
    memset(origin, 'a', CL_ORIGIN_BYTES_MAX + 1);
    strcpy(origin + CL_ORIGIN_BYTES_MAX + 1, "\n1\n" ROOT "\n\n" LINE);
    assert_int_equal(decode_text(origin), CL_E_BOUND);
    assert_int_equal(decode_text(origin + 1), CL_OK);
}

static void signatures_longer_than_ours_are_passed_over(void **unused)
{
    static struct cl_checkpoint checkpoint;
    char text[8000] = "a\n1\n" ROOT "\n\n";
    (void)unused;
    for (size_t bytes = 76; bytes <= 79; bytes++) {
        uint8_t blob[80] = {1};
        size_t at = strlen("a\n1\n" ROOT "\n\n");
        at += (size_t)sprintf(text + at, "\xe2\x80\x94 name ");
        cl_base64_encode(text + at, blob, bytes);
        at += CL_BASE64_LENGTH(bytes);
        text[at++] = '\n';
        assert_int_equal(cl_checkpoint_decode(&checkpoint, (const uint8_t *)text, at), CL_OK);
        assert_int_equal(checkpoint.signature_count, bytes == 76 ? 1 : 0);
        text[at - 2] = '!';
        assert_int_equal(cl_checkpoint_decode(&checkpoint, (const uint8_t *)text, at), CL_E_CHECKPOINT);
    }
}

static void a_verifier_key_reads_as_it_was_written(void **unused)
{
    struct cl_note_key key, again;
    struct cl_buffer text = {0};
    uint8_t public32[32];
    (void)unused;
    memset(public32, 7, 32);
    for (int type = CL_NOTE_ED25519; type <= CL_NOTE_COSIGNATURE; type += 3) {
        text.length = 0;
        cl_note_key_make(&key, "ledger.example/a", type == 1 ? CL_NOTE_ED25519 : CL_NOTE_COSIGNATURE, public32);
        assert_int_equal(cl_note_key_encode(&text, &key), CL_OK);
        assert_int_equal(cl_note_key_decode(&again, (const char *)text.data, text.length), CL_OK);
        assert_memory_equal(&key, &again, sizeof key);
        for (size_t i = 0; i < text.length; i++) { /* the id commits to name, type and key */
            text.data[i] ^= 1;
            assert_int_not_equal(cl_note_key_decode(&again, (const char *)text.data, text.length), CL_OK);
            text.data[i] ^= 1;
            assert_int_not_equal(cl_note_key_decode(&again, (const char *)text.data, i), CL_OK);
        }
    }
    /* the vkey that Go's sumdb is known by */
    static const char sumdb[] = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    assert_int_equal(cl_note_key_decode(&again, sumdb, strlen(sumdb)), CL_OK);
    assert_string_equal(again.name, "sum.golang.org");
    cl_buffer_deinit(&text);
}

/* ---- merging */

struct merge { struct proof_world *world; struct cl_buffer body, lines[16]; struct cl_view views[16]; size_t count; };

static void add_cosignature(struct merge *merge, size_t member, uint64_t time_s)
{
    uint8_t seed[32];
    struct cl_view body = {merge->body.data, merge->body.length};
    proof_world_witness_seed(seed, member);
    struct cl_buffer *line = &merge->lines[merge->count];
    assert_int_equal(cl_checkpoint_cosign(line, &body, WORLD_ORIGIN, merge->world->value.members[member].name, time_s, signing_key(seed)), CL_OK);
    merge->views[merge->count++] = (struct cl_view){line->data, line->length};
}

static void add_log_line(struct merge *merge, size_t member)
{
    uint8_t seed[32];
    struct cl_view body = {merge->body.data, merge->body.length};
    proof_world_log_seed(seed, member);
    struct cl_buffer *line = &merge->lines[merge->count];
    assert_int_equal(cl_checkpoint_sign_log(line, &body, WORLD_ORIGIN, signing_key(seed)), CL_OK);
    merge->views[merge->count++] = (struct cl_view){line->data, line->length};
}

static enum cl_status run_merge(struct merge *merge, struct cl_buffer *out)
{
    struct cl_view body = {merge->body.data, merge->body.length};
    return cl_checkpoint_merge(out, &body, WORLD_ORIGIN, merge->views, merge->count, merge->world->value.members, merge->world->value.member_count, 1, false);
}

static void merge_init(struct merge *merge)
{
    memset(merge, 0, sizeof *merge);
    merge->world = proof_world_new(4);
    assert_int_equal(cl_checkpoint_body(&merge->body, WORLD_ORIGIN, merge->world->leaf_count, &merge->world->root), CL_OK);
}

static void merge_deinit(struct merge *merge)
{
    for (size_t i = 0; i < 16; i++)
        cl_buffer_deinit(&merge->lines[i]);
    cl_buffer_deinit(&merge->body);
    proof_world_free(merge->world);
}

static void merging_keeps_own_log_line_and_the_newest_quorum(void **unused)
{
    struct merge merge;
    struct cl_buffer out = {0};
    static struct cl_checkpoint checkpoint;
    struct cl_quorum_report report;
    (void)unused;
    merge_init(&merge);
    struct cl_policy *policy = proof_world_policy(merge.world);
    add_cosignature(&merge, 0, 100);
    add_cosignature(&merge, 0, 300);
    add_cosignature(&merge, 0, 200);
    add_cosignature(&merge, 1, 50);
    assert_int_equal(run_merge(&merge, &out), CL_E_SIGNATURE); /* no log line of its own */
    add_log_line(&merge, 0);
    assert_int_equal(run_merge(&merge, &out), CL_E_SIGNATURE); /* another member's is not its own */
    add_log_line(&merge, 1);
    assert_int_equal(run_merge(&merge, &out), CL_E_QUORUM);
    assert_int_equal(out.length, 0);
    add_cosignature(&merge, 2, 70);
    merge.lines[merge.count - 1].data[60] ^= 1; /* it does not hold, and is not counted */
    assert_int_equal(run_merge(&merge, &out), CL_E_QUORUM);
    merge.lines[merge.count - 1].data[60] ^= 1;
    add_cosignature(&merge, 3, 400);
    assert_int_equal(run_merge(&merge, &out), CL_OK);
    assert_int_equal(cl_checkpoint_decode(&checkpoint, out.data, out.length), CL_OK);
    assert_int_equal(checkpoint.signature_count, 4); /* log, then q = 3, newest first */
    assert_int_equal(cl_cosignature_time(checkpoint.signatures[1].bytes), 400);
    assert_int_equal(cl_cosignature_time(checkpoint.signatures[2].bytes), 300);
    assert_int_equal(cl_cosignature_time(checkpoint.signatures[3].bytes), 70);
    assert_int_equal(cl_policy_check(&report, policy, &checkpoint), CL_OK);
    assert_int_equal(report.as_of_s, 70);
    merge.views[0].length--; /* a line without its newline */
    assert_int_equal(run_merge(&merge, &out), CL_E_CHECKPOINT);
    cl_policy_free(policy);
    cl_buffer_deinit(&out);
    merge_deinit(&merge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_has_one_text_for_each_byte_string),
        cmocka_unit_test(the_specifications_example_decodes),
        cmocka_unit_test(notes_of_another_form_are_refused),
        cmocka_unit_test(notes_are_bounded),
        cmocka_unit_test(signatures_longer_than_ours_are_passed_over),
        cmocka_unit_test(a_verifier_key_reads_as_it_was_written),
        cmocka_unit_test(merging_keeps_own_log_line_and_the_newest_quorum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
