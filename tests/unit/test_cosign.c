/* Cosignatures of final trees: what is counted, what is not, under which time a tree is signed, and what is served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consent/record.h"
#include "cosign.h"
#include "crypto.h"
#include "policy.h"
#include "signing.h"

#define ORIGIN "ledger.example/cosign"
#define NOW_MS 1700000000000ull
#define NOW_S (NOW_MS / 1000)
#define MEMBERS 4u

/* Four members with keys of their own; each has a struct cosign as its node would, over the same trees. */
struct consortium {
    struct cl_member members[MEMBERS];
    uint8_t log_seeds[MEMBERS][32], witness_seeds[MEMBERS][32];
    struct cosign *nodes[MEMBERS];
};

static struct cosign_tree tree_of(uint64_t size, uint64_t view)
{
    struct cosign_tree tree = { .size = size, .view = view };
    memset(tree.root.bytes, (int)size, 32);
    return tree;
}

static struct cosign *node_new(const struct consortium *all, size_t own)
{
    struct cosign *cosign = NULL;
    struct cosign_config config = { .origin = ORIGIN, .members = all->members, .member_count = MEMBERS, .own = own, .peer_count = MEMBERS + 1 };
    if (own != COSIGN_OBSERVER) {
        config.log_seed32 = all->log_seeds[own];
        config.witness_seed32 = all->witness_seeds[own];
    }
    assert_int_equal(cosign_new(&cosign, &config), CL_OK);
    return cosign;
}

static int begin(void **state)
{
    struct consortium *all = calloc(1, sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < MEMBERS; i++) {
        snprintf(all->members[i].name, sizeof all->members[i].name, "member-%zu", i);
        memset(all->log_seeds[i], (int)(10 + i), 32);
        memset(all->witness_seeds[i], (int)(20 + i), 32);
        cl_ed25519_public(all->members[i].log, all->log_seeds[i]);
        cl_ed25519_public(all->members[i].witness, all->witness_seeds[i]);
    }
    for (size_t i = 0; i < MEMBERS; i++) all->nodes[i] = node_new(all, i);
    *state = all;
    return 0;
}

static int end(void **state)
{
    struct consortium *all = *state;
    for (size_t i = 0; i < MEMBERS; i++) cosign_free(all->nodes[i]);
    free(all);
    return 0;
}

static void final(struct cosign *cosign, uint64_t size, uint64_t view)
{
    struct cosign_tree tree = tree_of(size, view);
    cosign_final(cosign, &tree);
}

static void final_at_all(struct consortium *all, uint64_t size, uint64_t view)
{
    for (size_t i = 0; i < MEMBERS; i++) final(all->nodes[i], size, view);
}

/* A note as a member sends it, by hand: what the code under test makes is compared with it elsewhere. */
static void sign(struct cl_buffer *note, const struct consortium *all, size_t member, const struct cosign_tree *tree, uint64_t time_s)
{
    struct cl_buffer body = { 0 };
    note->length = 0;
    assert_int_equal(cl_checkpoint_body(&body, ORIGIN, tree->size, &tree->root), CL_OK);
    struct cl_view view = { body.data, body.length };
    assert_int_equal(cl_buffer_append(note, body.data, body.length), CL_OK);
    assert_int_equal(cl_buffer_append(note, "\n", 1), CL_OK);
    assert_int_equal(cl_checkpoint_sign_log(note, &view, ORIGIN, signing_key(all->log_seeds[member])), CL_OK);
    assert_int_equal(cl_checkpoint_cosign(note, &view, ORIGIN, all->members[member].name, time_s, signing_key(all->witness_seeds[member])), CL_OK);
    cl_buffer_deinit(&body);
}

static enum cosign_verdict receive(struct cosign *cosign, size_t sender, const struct cl_buffer *note)
{
    struct cosign_received received;
    cosign_receive(cosign, &received, sender, note->data, note->length, NOW_MS);
    return received.verdict;
}

static enum cosign_verdict give(const struct consortium *all, size_t to, size_t member, uint64_t size, uint64_t time_s)
{
    struct cl_buffer note = { 0 };
    struct cosign_tree tree = tree_of(size, 0);
    sign(&note, all, member, &tree, time_s);
    enum cosign_verdict verdict = receive(all->nodes[to], member, &note);
    cl_buffer_deinit(&note);
    return verdict;
}

/* Signs and gives the time of the cosignature; 0: not signed. */
static uint64_t signed_at(struct cosign *cosign, uint64_t wall_ms)
{
    struct cl_buffer note = { 0 };
    static struct cl_checkpoint checkpoint;
    uint64_t time_s = 0;
    if (cosign_sign(cosign, &note, wall_ms) == CL_OK) {
        assert_int_equal(cl_checkpoint_decode(&checkpoint, note.data, note.length), CL_OK);
        assert_int_equal(checkpoint.signature_count, 2);
        for (size_t i = 56; i < 64; i++) time_s = time_s << 8 | checkpoint.signatures[1].bytes[i - 56];
    }
    cl_buffer_deinit(&note);
    return time_s;
}

/* What a stranger with the network's policy says of the merged note. */
static void check_by_policy(const struct consortium *all, const struct cl_buffer *note, size_t cosignatures, uint64_t as_of_s)
{
    static struct cl_checkpoint checkpoint;
    struct cl_policy *policy = NULL;
    struct cl_quorum_report report;
    assert_int_equal(cl_policy_new_of_members(&policy, ORIGIN, all->members, MEMBERS), CL_OK);
    assert_int_equal(cl_checkpoint_decode(&checkpoint, note->data, note->length), CL_OK);
    assert_int_equal(cl_policy_check(&report, policy, &checkpoint), CL_OK);
    assert_true(report.log_signed);
    assert_int_equal(report.signed_count, cosignatures);
    assert_int_equal(report.as_of_s, as_of_s);
    cl_policy_free(policy);
}

static void keep(struct consortium *all, struct cosign *cosign, enum cosign_readiness expected, uint64_t size, uint64_t as_of_s)
{
    struct cl_buffer note = { 0 };
    struct cosign_tree tree;
    assert_int_equal(cosign_ready(cosign, &tree), expected);
    assert_int_equal(tree.size, size);
    assert_int_equal(cosign_merge(cosign, &note, &tree), CL_OK);
    check_by_policy(all, &note, 3, as_of_s);
    assert_int_equal(cosign_kept(cosign, note.data, note.length, true), CL_OK);
    assert_int_equal(cosign_kept_size(cosign), size);
    assert_int_equal(cosign_ready(cosign, &tree), COSIGN_NOTHING);
    cl_buffer_deinit(&note);
}

static void a_quorum_is_exactly_q(void **state)
{
    struct consortium *all = *state;
    struct cosign_tree tree;
    struct cl_buffer note = { 0 };
    final_at_all(all, 5, 1);
    assert_int_equal(cosign_sign(all->nodes[0], &note, NOW_MS), CL_OK);
    assert_int_equal(cosign_ready(all->nodes[0], &tree), COSIGN_NOTHING);
    assert_int_equal(give(all, 0, 1, 5, NOW_S), COSIGN_COUNTED);
    assert_true(cosign_has(all->nodes[0], 0) && cosign_has(all->nodes[0], 1) && !cosign_has(all->nodes[0], 2));
    assert_int_equal(cosign_ready(all->nodes[0], &tree), COSIGN_NOTHING);
    tree = tree_of(5, 1);
    assert_int_equal(cosign_merge(all->nodes[0], &note, &tree), CL_E_QUORUM);
    assert_int_equal(give(all, 0, 2, 5, NOW_S - 3), COSIGN_COUNTED);
    keep(all, all->nodes[0], COSIGN_LARGER, 5, NOW_S - 3);
    cl_buffer_deinit(&note);
}

static void what_one_node_signs_counts_at_the_others(void **state)
{
    struct consortium *all = *state;
    struct cosign_received received;
    final_at_all(all, 5, 1);
    for (size_t from = 0; from < MEMBERS; from++) {
        struct cl_buffer note = { 0 };
        assert_int_equal(cosign_sign(all->nodes[from], &note, NOW_MS + 1000 * from), CL_OK);
        for (size_t to = 0; to < MEMBERS; to++) {
            if (to == from) continue;
            cosign_receive(all->nodes[to], &received, from, note.data, note.length, NOW_MS);
            assert_int_equal(received.verdict, COSIGN_COUNTED);
            assert_int_equal(received.size, 5);
            assert_int_equal(received.cosignatures, 1);
        }
        cl_buffer_deinit(&note);
    }
    /* of four times the three newest */
    for (size_t i = 0; i < MEMBERS; i++) keep(all, all->nodes[i], COSIGN_LARGER, 5, NOW_S + 1);
}

static void one_member_is_a_quorum_of_one(void **state)
{
    struct consortium *all = *state;
    struct cosign *alone = NULL;
    struct cl_buffer note = { 0 };
    struct cosign_tree tree;
    struct cosign_config config = { .origin = ORIGIN, .members = all->members, .member_count = 1, .own = 0, .peer_count = 1, .log_seed32 = all->log_seeds[0],
        .witness_seed32 = all->witness_seeds[0] };
    assert_int_equal(cosign_new(&alone, &config), CL_OK);
    final(alone, 1, 0);
    assert_false(cosign_signed(alone));
    assert_int_equal(cosign_sign(alone, &note, NOW_MS), CL_OK);
    assert_true(cosign_signed(alone));
    assert_int_equal(cosign_ready(alone, &tree), COSIGN_LARGER);
    struct cl_buffer merged = { 0 };
    assert_int_equal(cosign_merge(alone, &merged, &tree), CL_OK);
    assert_int_equal(merged.length, note.length); /* it is the very note that was signed */
    assert_memory_equal(merged.data, note.data, note.length);
    cl_buffer_deinit(&merged);
    cl_buffer_deinit(&note);
    cosign_free(alone);
}

/* Only the cosignature line, so that every byte matters. */
static void sign_bare(struct cl_buffer *note, const char *origin, const char *member, const struct cosign_tree *tree, uint64_t time_s, const uint8_t seed32[32])
{
    struct cl_buffer body = { 0 };
    assert_int_equal(cl_checkpoint_body(&body, origin, tree->size, &tree->root), CL_OK);
    struct cl_view view = { body.data, body.length };
    assert_int_equal(cl_buffer_append(note, body.data, body.length), CL_OK);
    assert_int_equal(cl_buffer_append(note, "\n", 1), CL_OK);
    assert_int_equal(cl_checkpoint_cosign(note, &view, origin, member, time_s, signing_key(seed32)), CL_OK);
    cl_buffer_deinit(&body);
}

static void a_forged_note_does_not_count(void **state)
{
    struct consortium *all = *state;
    struct cl_buffer note = { 0 };
    struct cosign_tree tree = tree_of(5, 1), ready;
    struct cosign_received received;
    final_at_all(all, 5, 1);
    assert_true(signed_at(all->nodes[0], NOW_MS) > 0);
    assert_int_equal(give(all, 0, 1, 5, NOW_S), COSIGN_COUNTED);
    sign_bare(&note, ORIGIN, "member-2", &tree, NOW_S, all->witness_seeds[2]);
    for (size_t bit = 0; bit < 8 * note.length; bit++) {
        note.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cosign_receive(all->nodes[0], &received, 2, note.data, note.length, NOW_MS + 1000 * bit);
        note.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool passed_over = received.verdict == COSIGN_AHEAD || (received.verdict == COSIGN_OLD && received.size < 5); /* unchecked, and uncounted */
        if (received.verdict != COSIGN_BAD && !passed_over) fail_msg("bit %zu gave %d", bit, (int)received.verdict);
    }
    for (size_t length = 0; length < note.length; length++) {
        cosign_receive(all->nodes[0], &received, 2, note.data, length, NOW_MS);
        assert_int_equal(received.verdict, COSIGN_BAD);
    }
    assert_int_equal(cosign_ready(all->nodes[0], &ready), COSIGN_NOTHING);
    assert_int_equal(cosign_fork_count(all->nodes[0]), 0);
    assert_int_equal(receive(all->nodes[0], 2, &note), COSIGN_COUNTED);
    assert_int_equal(cosign_ready(all->nodes[0], &ready), COSIGN_LARGER);
    cl_buffer_deinit(&note);
}

static void a_foreign_note_does_not_count(void **state)
{
    struct consortium *all = *state;
    struct cosign_tree tree = tree_of(5, 1), ready;
    const struct { const char *origin, *member; const uint8_t *seed; } foreign[] = {
        { "ledger.example/other", "member-2", all->witness_seeds[2] }, /* another log */
        { ORIGIN, "member-2", all->witness_seeds[1] },                 /* another member's key */
        { ORIGIN, "member-9", all->witness_seeds[2] },                 /* no member */
        { ORIGIN, "member-2", all->log_seeds[2] },                     /* a key for something else */
    };
    final_at_all(all, 5, 1);
    assert_true(signed_at(all->nodes[0], NOW_MS) > 0);
    assert_int_equal(give(all, 0, 1, 5, NOW_S), COSIGN_COUNTED);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        struct cl_buffer note = { 0 };
        sign_bare(&note, foreign[i].origin, foreign[i].member, &tree, NOW_S, foreign[i].seed);
        assert_int_equal(receive(all->nodes[0], 2, &note), COSIGN_BAD);
        cl_buffer_deinit(&note);
    }
    assert_int_equal(cosign_ready(all->nodes[0], &ready), COSIGN_NOTHING);
}

static void a_replayed_or_earlier_one_is_known(void **state)
{
    struct consortium *all = *state;
    struct cosign_tree ready;
    final_at_all(all, 5, 1);
    assert_int_equal(give(all, 0, 1, 5, NOW_S), COSIGN_COUNTED);
    for (size_t i = 0; i < 1000; i++) assert_int_equal(give(all, 0, 1, 5, NOW_S), COSIGN_KNOWN); /* not checked again, so not bounded */
    assert_int_equal(give(all, 0, 1, 5, NOW_S - 1), COSIGN_KNOWN);
    assert_int_equal(give(all, 0, 1, 5, NOW_S + 1), COSIGN_COUNTED);
    assert_int_equal(cosign_ready(all->nodes[0], &ready), COSIGN_NOTHING); /* one member is one, however often */
}

static void a_time_far_ahead_is_passed_over(void **state)
{
    struct consortium *all = *state;
    final_at_all(all, 5, 1);
    assert_int_equal(give(all, 0, 1, 5, NOW_S + COSIGN_AHEAD_S_MAX + 1), COSIGN_AHEAD);
    assert_int_equal(give(all, 0, 1, 5, (uint64_t)INT64_MAX), COSIGN_AHEAD);
    assert_int_equal(give(all, 0, 1, 5, NOW_S + COSIGN_AHEAD_S_MAX), COSIGN_COUNTED);
}

static void smaller_than_what_is_kept_is_old(void **state)
{
    struct consortium *all = *state;
    final_at_all(all, 5, 1);
    final_at_all(all, 9, 2);
    for (size_t i = 1; i < MEMBERS; i++) assert_int_equal(give(all, 0, i, 9, NOW_S), COSIGN_COUNTED);
    assert_int_equal(give(all, 0, 1, 5, NOW_S), COSIGN_COUNTED); /* until then it might still be what a quorum signs */
    keep(all, all->nodes[0], COSIGN_LARGER, 9, NOW_S);
    assert_int_equal(give(all, 0, 2, 5, NOW_S), COSIGN_OLD);
    assert_int_equal(give(all, 0, 1, 7, NOW_S), COSIGN_OLD);
    /* before the oldest tree that is remembered */
    for (uint64_t i = 0; i < COSIGN_TREES_MAX; i++) final(all->nodes[1], 20 + i, 3 + i);
    assert_int_equal(give(all, 1, 2, 9, NOW_S), COSIGN_OLD);
}

static void signatures_of_a_size_that_is_no_block_make_no_quorum(void **state)
{
    struct consortium *all = *state;
    struct cosign_tree ready;
    final_at_all(all, 5, 1);
    for (size_t i = 1; i < MEMBERS; i++) assert_int_equal(give(all, 0, i, 7, NOW_S), COSIGN_COUNTED);
    assert_int_equal(cosign_ready(all->nodes[0], &ready), COSIGN_NOTHING);
    final(all->nodes[0], 9, 2);
    assert_int_equal(cosign_ready(all->nodes[0], &ready), COSIGN_NOTHING);
}

static void what_others_signed_first_waits_until_the_tree_is_final_here(void **state)
{
    struct consortium *all = *state;
    struct cosign_tree ready;
    final_at_all(all, 5, 1);
    for (size_t i = 1; i < MEMBERS; i++)
        for (uint64_t size = 6; size < 12; size++) assert_int_equal(give(all, 0, i, size, NOW_S), COSIGN_COUNTED);
    assert_int_equal(cosign_ready(all->nodes[0], &ready), COSIGN_NOTHING);
    final(all->nodes[0], 8, 2);
    keep(all, all->nodes[0], COSIGN_LARGER, 8, NOW_S);
    final(all->nodes[0], 11, 3);
    keep(all, all->nodes[0], COSIGN_LARGER, 11, NOW_S);
}

static void a_member_that_floods_displaces_its_own_only(void **state)
{
    struct consortium *all = *state;
    struct cosign_received received;
    struct cosign_tree tree, ready;
    struct cl_buffer note = { 0 };
    final_at_all(all, 5, 1);
    for (size_t i = 1; i < 3; i++) assert_int_equal(give(all, 0, i, 6, NOW_S), COSIGN_COUNTED);
    size_t counted = 0, bounded = 0;
    for (uint64_t i = 0; i < 4 * COSIGN_CHECKS_MAX; i++) {
        tree = tree_of(1000 + i, 1);
        sign(&note, all, 3, &tree, NOW_S);
        cosign_receive(all->nodes[0], &received, 3, note.data, note.length, NOW_MS);
        counted += received.verdict == COSIGN_COUNTED;
        bounded += received.verdict == COSIGN_BOUNDED;
    }
    assert_int_equal(counted, COSIGN_CHECKS_MAX);
    assert_int_equal(bounded, 3 * COSIGN_CHECKS_MAX);
    final(all->nodes[0], 6, 2);
    assert_true(signed_at(all->nodes[0], NOW_MS) > 0); /* the flooder's entries do not keep this node from signing */
    assert_int_equal(cosign_ready(all->nodes[0], &ready), COSIGN_LARGER);
    cosign_receive(all->nodes[0], &received, 3, note.data, note.length, NOW_MS + 1000); /* a second later it is heard again */
    assert_int_equal(received.verdict, COSIGN_COUNTED);
    cl_buffer_deinit(&note);
}

static void a_contradicting_root_is_evidence_and_does_not_count(void **state)
{
    struct consortium *all = *state;
    struct cl_buffer note = { 0 };
    struct cosign_tree lie = tree_of(5, 1), ready, truth = tree_of(5, 1);
    lie.root.bytes[7] ^= 1;
    final_at_all(all, 5, 1);
    assert_true(signed_at(all->nodes[0], NOW_MS) > 0);
    assert_int_equal(give(all, 0, 1, 5, NOW_S), COSIGN_COUNTED);
    sign(&note, all, 2, &lie, NOW_S);
    assert_null(cosign_fork(all->nodes[0], 2));
    assert_int_equal(receive(all->nodes[0], 2, &note), COSIGN_FORK);
    assert_int_equal(cosign_ready(all->nodes[0], &ready), COSIGN_NOTHING);
    const struct cosign_fork *fork = cosign_fork(all->nodes[0], 2);
    assert_non_null(fork);
    assert_int_equal(fork->size, 5);
    assert_memory_equal(fork->known_root.bytes, truth.root.bytes, 32);
    assert_memory_equal(fork->signed_root.bytes, lie.root.bytes, 32);
    assert_int_equal(cosign_fork_count(all->nodes[0]), 1);
    assert_null(cosign_fork(all->nodes[0], 1));
    /* also once a larger tree is kept; and the first piece stays */
    final(all->nodes[0], 9, 2);
    for (size_t i = 1; i < MEMBERS; i++) assert_int_equal(give(all, 0, i, 9, NOW_S), COSIGN_COUNTED);
    keep(all, all->nodes[0], COSIGN_LARGER, 9, NOW_S);
    sign(&note, all, 2, &lie, NOW_S + 1);
    assert_int_equal(receive(all->nodes[0], 2, &note), COSIGN_FORK);
    assert_int_equal(cosign_fork(all->nodes[0], 2)->time_s, NOW_S);
    assert_int_equal(cosign_fork_count(all->nodes[0]), 2);
    cl_buffer_deinit(&note);
}

static void two_roots_for_a_size_not_final_yet_are_evidence_too(void **state)
{
    struct consortium *all = *state;
    struct cl_buffer note = { 0 };
    struct cosign_tree lie = tree_of(9, 2), ready;
    lie.root.bytes[0] ^= 1;
    final_at_all(all, 5, 1);
    sign(&note, all, 2, &lie, NOW_S);
    assert_int_equal(receive(all->nodes[0], 2, &note), COSIGN_COUNTED);
    assert_int_equal(receive(all->nodes[1], 2, &note), COSIGN_COUNTED);
    assert_int_equal(give(all, 0, 2, 9, NOW_S), COSIGN_FORK); /* against itself */
    assert_non_null(cosign_fork(all->nodes[0], 2));
    assert_null(cosign_fork(all->nodes[1], 2));
    final_at_all(all, 9, 2);
    assert_non_null(cosign_fork(all->nodes[1], 2)); /* against the block that became final here */
    for (size_t to = 0; to < 2; to++) {
        assert_int_equal(give(all, to, 3, 9, NOW_S), COSIGN_COUNTED);
        assert_true(signed_at(all->nodes[to], NOW_MS) > 0);
        assert_int_equal(cosign_ready(all->nodes[to], &ready), COSIGN_NOTHING);
        assert_int_equal(give(all, to, 2, 9, NOW_S), COSIGN_COUNTED); /* what agrees counts, whoever it is from */
        assert_int_equal(cosign_ready(all->nodes[to], &ready), COSIGN_LARGER);
    }
    cl_buffer_deinit(&note);
}

static void no_time_is_later_than_a_notarization_above(void **state)
{
    struct consortium *all = *state;
    struct cosign *node = all->nodes[0];
    final(node, 5, 10);
    cosign_notarized(node, 10, NOW_MS - 90000); /* of the tree itself: says nothing */
    cosign_notarized(node, 9, NOW_MS - 90000);
    cosign_notarized(node, 13, NOW_MS - 20000);
    cosign_notarized(node, 12, NOW_MS - 30000);
    cosign_notarized(node, 15, NOW_MS - 10000);
    cosign_notarized(node, 15, NOW_MS - 5000); /* only the first counts */
    assert_int_equal(signed_at(node, NOW_MS), NOW_S - 30);
    assert_int_equal(signed_at(node, NOW_MS + 5000), 0); /* and it is not signed again */
    final(node, 6, 12);
    assert_int_equal(signed_at(node, NOW_MS), NOW_S - 20);
    final(node, 7, 14);
    assert_int_equal(signed_at(node, NOW_MS), NOW_S - 10);
    final(node, 8, 15);
    assert_int_equal(signed_at(node, NOW_MS), NOW_S);
}

static void what_was_notarized_before_the_start_keeps_the_tree_unsigned(void **state)
{
    struct consortium *all = *state;
    struct cosign *node = all->nodes[0];
    struct cl_buffer note = { 0 };
    cosign_notarized(node, 11, 0); /* from the vote log, before the tip is known */
    final(node, 5, 10);
    assert_int_equal(cosign_sign(node, &note, NOW_MS), CL_E_PENDING);
    assert_int_equal(note.length, 0);
    assert_false(cosign_signed(node));
    final(node, 6, 11);
    assert_int_equal(signed_at(node, NOW_MS), NOW_S);
    cl_buffer_deinit(&note);
}

static void many_notarizations_above_are_bounded_on_the_safe_side(void **state)
{
    struct consortium *all = *state;
    struct cosign *node = all->nodes[0];
    final(node, 5, 0);
    for (uint64_t view = 1; view <= 4 * COSIGN_NOTARIZED_MAX; view++) cosign_notarized(node, view, NOW_MS + 1000 * view);
    final(node, 6, 10);
    assert_int_equal(signed_at(node, NOW_MS + 1000000), NOW_S + 11);
    uint64_t size = 7;
    for (uint64_t view = 50; view < 4 * COSIGN_NOTARIZED_MAX; view += 50) {
        final(node, size++, view);
        uint64_t time_s = signed_at(node, NOW_MS + 1000000);
        assert_true(time_s > 0 && time_s <= NOW_S + view + 1);
    }
}

static void times_never_go_backwards_for_one_tree(void **state)
{
    struct consortium *all = *state;
    struct cosign *node = all->nodes[0];
    struct cl_buffer note = { 0 };
    final(node, 5, 1);
    assert_int_equal(signed_at(node, NOW_MS), NOW_S);
    assert_int_equal(cosign_sign(node, &note, NOW_MS), CL_E_EXISTS);
    assert_int_equal(cosign_sign(node, &note, NOW_MS - 60000), CL_E_EXISTS);
    assert_int_equal(signed_at(node, NOW_MS + 1000), NOW_S + 1);
    assert_int_equal(note.length, 0);
    /* nor over a restart, where somebody still has the earlier one */
    struct cosign *again = node_new(all, 0);
    final(again, 5, 1);
    struct cosign_tree tree = tree_of(5, 1);
    sign(&note, all, 0, &tree, NOW_S + 20);
    assert_int_equal(receive(again, 1, &note), COSIGN_COUNTED);
    assert_int_equal(signed_at(again, NOW_MS + 10000), 0);
    assert_int_equal(signed_at(again, NOW_MS + 30000), NOW_S + 30);
    cosign_free(again);
    cl_buffer_deinit(&note);
}

static void a_tree_smaller_than_one_signed_before_is_not_signed(void **state)
{
    struct consortium *all = *state;
    struct cl_buffer note = { 0 };
    final(all->nodes[0], 5, 1); /* an old copy of this node */
    struct cosign_tree tree = tree_of(9, 3);
    sign(&note, all, 0, &tree, NOW_S);
    assert_int_equal(receive(all->nodes[0], 1, &note), COSIGN_COUNTED); /* what it signed in its former life */
    note.length = 0;
    assert_int_equal(cosign_sign(all->nodes[0], &note, NOW_MS), CL_E_PENDING);
    final(all->nodes[0], 9, 3);
    assert_int_equal(cosign_sign(all->nodes[0], &note, NOW_MS), CL_E_EXISTS);
    assert_int_equal(signed_at(all->nodes[0], NOW_MS + 1000), NOW_S + 1);
    cl_buffer_deinit(&note);
}

static void an_idle_tree_is_refreshed_by_the_newest_cosignatures(void **state)
{
    struct consortium *all = *state;
    struct cosign_tree ready;
    final_at_all(all, 5, 1);
    for (size_t i = 1; i < MEMBERS; i++) assert_int_equal(give(all, 0, i, 5, NOW_S), COSIGN_COUNTED);
    keep(all, all->nodes[0], COSIGN_LARGER, 5, NOW_S);
    assert_int_equal(give(all, 0, 1, 5, NOW_S + 30), COSIGN_COUNTED);
    assert_int_equal(give(all, 0, 2, 5, NOW_S + 20), COSIGN_COUNTED);
    assert_int_equal(cosign_ready(all->nodes[0], &ready), COSIGN_NOTHING); /* two newer ones show nothing newer */
    assert_int_equal(signed_at(all->nodes[0], NOW_MS + 10000), NOW_S + 10);
    keep(all, all->nodes[0], COSIGN_FRESHER, 5, NOW_S + 10);
    assert_int_equal(give(all, 0, 3, 5, NOW_S + 40), COSIGN_COUNTED);
    keep(all, all->nodes[0], COSIGN_FRESHER, 5, NOW_S + 20);
}

static void a_kept_checkpoint_brings_whoever_lacks_the_quorum_there_at_once(void **state)
{
    struct consortium *all = *state;
    struct cl_buffer note = { 0 }, merged = { 0 };
    struct cosign_received received;
    struct cosign_tree tree;
    final_at_all(all, 5, 1);
    for (size_t i = 1; i < MEMBERS; i++) assert_int_equal(give(all, 0, i, 5, NOW_S), COSIGN_COUNTED);
    assert_int_equal(cosign_ready(all->nodes[0], &tree), COSIGN_LARGER);
    assert_int_equal(cosign_merge(all->nodes[0], &note, &tree), CL_OK);
    for (size_t sender = 0; sender <= MEMBERS; sender += MEMBERS) { /* from a member, from an observer */
        struct cosign *late = node_new(all, 3);
        final(late, 5, 1);
        cosign_receive(late, &received, sender, note.data, note.length, NOW_MS);
        assert_int_equal(received.verdict, COSIGN_COUNTED);
        assert_int_equal(received.cosignatures, 3);
        keep(all, late, COSIGN_LARGER, 5, NOW_S);
        assert_int_equal(give(all, 0, 2, 5, NOW_S), COSIGN_KNOWN);
        cosign_free(late);
    }
    /* and over a restart */
    struct cosign *again = node_new(all, 0);
    final(again, 5, 1);
    assert_int_equal(cosign_kept(again, note.data, note.length, false), CL_OK);
    assert_int_equal(cosign_kept_size(again), 5);
    assert_int_equal(cosign_ready(again, &tree), COSIGN_NOTHING);
    assert_int_equal(cosign_merge(again, &merged, &tree), CL_OK);
    cosign_free(again);
    /* what a disk spoilt of it does not count */
    again = node_new(all, 0);
    final(again, 5, 1);
    note.data[note.length - 20] = note.data[note.length - 20] == 'A' ? 'B' : 'A';
    assert_int_equal(cosign_kept(again, note.data, note.length, false), CL_OK);
    assert_int_equal(cosign_merge(again, &merged, &tree), CL_E_QUORUM);
    cosign_free(again);
    cl_buffer_deinit(&merged);
    cl_buffer_deinit(&note);
}

/* Still of the form, and no signature. */
static void spoil_log_line(struct cl_buffer *note)
{
    char *line = strstr((char *)note->data, "\xe2\x80\x94 " ORIGIN " ");
    char *letter = line + strlen("\xe2\x80\x94 " ORIGIN " ") + 40;
    *letter = *letter == 'A' ? 'B' : 'A';
}

static void what_is_handed_on_with_a_bad_log_line_does_not_spoil_ours(void **state)
{
    struct consortium *all = *state;
    struct cl_buffer note = { 0 };
    struct cosign_tree tree = tree_of(5, 1);
    final_at_all(all, 5, 1);
    sign(&note, all, 0, &tree, NOW_S); /* its own, from before a restart, by way of a member that lies */
    spoil_log_line(&note);
    assert_int_equal(receive(all->nodes[0], 1, &note), COSIGN_COUNTED);
    for (size_t i = 2; i < MEMBERS; i++) assert_int_equal(give(all, 0, i, 5, NOW_S), COSIGN_COUNTED);
    keep(all, all->nodes[0], COSIGN_LARGER, 5, NOW_S);
    cl_buffer_deinit(&note);
}

static void an_observer_serves_with_a_members_log_line(void **state)
{
    struct consortium *all = *state;
    struct cosign *observer = node_new(all, COSIGN_OBSERVER);
    struct cl_buffer note = { 0 };
    struct cosign_tree tree = tree_of(5, 1), ready;
    final(observer, 5, 1);
    assert_false(cosign_signed(observer));
    sign_bare(&note, ORIGIN, "member-0", &tree, NOW_S, all->witness_seeds[0]);
    assert_int_equal(receive(observer, 0, &note), COSIGN_COUNTED);
    for (size_t i = 1; i < 3; i++) {
        sign(&note, all, i, &tree, NOW_S);
        if (i == 1) spoil_log_line(&note);
        assert_int_equal(receive(observer, i, &note), COSIGN_COUNTED);
    }
    assert_int_equal(cosign_ready(observer, &ready), COSIGN_LARGER);
    note.length = 0; /* a later cosignature of the one whose log line holds, handed on by somebody without that */
    sign_bare(&note, ORIGIN, "member-2", &tree, NOW_S + 1, all->witness_seeds[2]);
    assert_int_equal(receive(observer, 3, &note), COSIGN_COUNTED);
    keep(all, observer, COSIGN_LARGER, 5, NOW_S);
    cosign_free(observer);
    cl_buffer_deinit(&note);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_quorum_is_exactly_q, begin, end),
        cmocka_unit_test_setup_teardown(what_one_node_signs_counts_at_the_others, begin, end),
        cmocka_unit_test_setup_teardown(one_member_is_a_quorum_of_one, begin, end),
        cmocka_unit_test_setup_teardown(a_forged_note_does_not_count, begin, end),
        cmocka_unit_test_setup_teardown(a_foreign_note_does_not_count, begin, end),
        cmocka_unit_test_setup_teardown(a_replayed_or_earlier_one_is_known, begin, end),
        cmocka_unit_test_setup_teardown(a_time_far_ahead_is_passed_over, begin, end),
        cmocka_unit_test_setup_teardown(smaller_than_what_is_kept_is_old, begin, end),
        cmocka_unit_test_setup_teardown(signatures_of_a_size_that_is_no_block_make_no_quorum, begin, end),
        cmocka_unit_test_setup_teardown(what_others_signed_first_waits_until_the_tree_is_final_here, begin, end),
        cmocka_unit_test_setup_teardown(a_member_that_floods_displaces_its_own_only, begin, end),
        cmocka_unit_test_setup_teardown(a_contradicting_root_is_evidence_and_does_not_count, begin, end),
        cmocka_unit_test_setup_teardown(two_roots_for_a_size_not_final_yet_are_evidence_too, begin, end),
        cmocka_unit_test_setup_teardown(no_time_is_later_than_a_notarization_above, begin, end),
        cmocka_unit_test_setup_teardown(what_was_notarized_before_the_start_keeps_the_tree_unsigned, begin, end),
        cmocka_unit_test_setup_teardown(many_notarizations_above_are_bounded_on_the_safe_side, begin, end),
        cmocka_unit_test_setup_teardown(times_never_go_backwards_for_one_tree, begin, end),
        cmocka_unit_test_setup_teardown(a_tree_smaller_than_one_signed_before_is_not_signed, begin, end),
        cmocka_unit_test_setup_teardown(an_idle_tree_is_refreshed_by_the_newest_cosignatures, begin, end),
        cmocka_unit_test_setup_teardown(a_kept_checkpoint_brings_whoever_lacks_the_quorum_there_at_once, begin, end),
        cmocka_unit_test_setup_teardown(what_is_handed_on_with_a_bad_log_line_does_not_spoil_ours, begin, end),
        cmocka_unit_test_setup_teardown(an_observer_serves_with_a_members_log_line, begin, end),
    };
    return cmocka_run_group_tests_name("cosign", tests, NULL, NULL);
}
