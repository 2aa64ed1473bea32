/* Evidence is kept over restarts: what comes back is checked again, counts against its member, and has a bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus_helpers.h"
#include "evidence.h"

static struct consensus_evidence piece_of(size_t voter, uint64_t view, enum cl_vote_kind first, uint8_t first_mark, enum cl_vote_kind second, uint8_t second_mark)
{
    struct cl_block_id one = { { first_mark } }, other = { { second_mark } };
    return (struct consensus_evidence){ .first = vote_of(voter, first, view, first == CL_VOTE_NULLIFY ? NULL : &one),
                                        .second = vote_of(voter, second, view, second == CL_VOTE_NULLIFY ? NULL : &other) };
}

static void what_was_found_comes_back_and_counts(void **state)
{
    (void)state;
    struct cl_buffer bytes = { 0 };
    struct consensus_evidence *pieces = NULL;
    size_t count = 0;
    struct consensus *consensus = start(4, 0, 0);
    struct cl_block_id one = { { 1 } }, other = { { 2 } };
    uint64_t view = view_led_by(1, 4, 2);
    cast(consensus, 1, CL_VOTE_NOTARIZE, 1, &one);
    cast(consensus, 1, CL_VOTE_NOTARIZE, 1, &other);
    cast(consensus, 2, CL_VOTE_NULLIFY, 1, NULL);
    cast(consensus, 2, CL_VOTE_FINALIZE, 1, &one);
    assert_int_equal(report_of(consensus).evidence, 2);
    assert_int_equal(evidence_encode(&bytes, &network.genesis.network, consensus_evidence(consensus, 0), 2), CL_OK);
    consensus_free(consensus);
    consensus = start(4, 0, view - 1);
    assert_int_equal(evidence_decode(&pieces, &count, &network.genesis.network, bytes.data, bytes.length), CL_OK);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) assert_true(consensus_restore_evidence(consensus, &pieces[i]));
    assert_true(consensus_restore_evidence(consensus, &pieces[0])); /* known: counted once */
    assert_int_equal(report_of(consensus).evidence, 2);
    assert_memory_equal(consensus_evidence(consensus, 1)->second.signature, pieces[1].second.signature, 64);
    wake(consensus); /* its view is nullified on entry */
    assert_int_equal(cast_of(CL_VOTE_NULLIFY), 1);
    consensus_free(consensus);
    free(pieces);
    cl_buffer_deinit(&bytes);
}

static void what_proves_nothing_is_left_out(void **state)
{
    (void)state;
    struct consensus *consensus = start(4, 0, 0);
    uint64_t led = view_led_by(1, 4, 1), other = view_led_by(2, 4, 1);
    struct consensus_evidence good[] = {
        piece_of(1, 5, CL_VOTE_NOTARIZE, 1, CL_VOTE_NOTARIZE, 2),
        piece_of(1, 5, CL_VOTE_FINALIZE, 1, CL_VOTE_FINALIZE, 2),
        piece_of(1, 5, CL_VOTE_FINALIZE, 1, CL_VOTE_NULLIFY, 0),
        piece_of(2, 5, CL_VOTE_NULLIFY, 0, CL_VOTE_FINALIZE, 1),
        piece_of(2, other, CL_VOTE_PROPOSE, 1, CL_VOTE_PROPOSE, 2),
        piece_of(1, led, CL_VOTE_PROPOSE, 1, CL_VOTE_NOTARIZE, 2),
        piece_of(2, other, CL_VOTE_NOTARIZE, 2, CL_VOTE_PROPOSE, 1),
    };
    struct consensus_evidence bad[] = {
        piece_of(1, 5, CL_VOTE_NOTARIZE, 1, CL_VOTE_NOTARIZE, 1),  /* the same vote twice */
        piece_of(1, 5, CL_VOTE_NOTARIZE, 1, CL_VOTE_NULLIFY, 0),   /* legal */
        piece_of(1, 5, CL_VOTE_NULLIFY, 0, CL_VOTE_NULLIFY, 0),
        piece_of(1, 5, CL_VOTE_NOTARIZE, 1, CL_VOTE_FINALIZE, 2),  /* it saw another block certified than it voted for */
        piece_of(1, led, CL_VOTE_PROPOSE, 1, CL_VOTE_NOTARIZE, 1),
        piece_of(1, other, CL_VOTE_PROPOSE, 1, CL_VOTE_PROPOSE, 2), /* not its view: nobody counts such votes */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(consensus_restore_evidence(consensus, &bad[i]));
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct consensus_evidence forged = good[i];
        forged.second.signature[9] ^= 1;
        assert_false(consensus_restore_evidence(consensus, &forged));
        forged = good[i];
        forged.first.signature[9] ^= 1;
        assert_false(consensus_restore_evidence(consensus, &forged));
        forged = good[i];
        forged.second = piece_of(3, good[i].first.view, good[i].second.kind, 8, good[i].second.kind, 9).second; /* another member's */
        assert_false(consensus_restore_evidence(consensus, &forged));
        forged.second = piece_of(good[i].first.voter, good[i].first.view + 4, good[i].second.kind, 8, good[i].second.kind, 9).second; /* another view's */
        assert_false(consensus_restore_evidence(consensus, &forged));
    }
    assert_int_equal(report_of(consensus).evidence, 0);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) assert_true(consensus_restore_evidence(consensus, &good[i]));
    assert_int_equal(report_of(consensus).evidence, 7);
    for (uint8_t mark = 10; mark < 20; mark++) { /* four pieces for each member, the oldest stay */
        struct consensus_evidence more = piece_of(1, mark, CL_VOTE_NOTARIZE, 1, CL_VOTE_NOTARIZE, mark);
        assert_true(consensus_restore_evidence(consensus, &more));
    }
    assert_int_equal(report_of(consensus).evidence, 7);
    consensus_free(consensus);
}

static void another_networks_or_a_damaged_file_is_refused(void **state)
{
    (void)state;
    struct cl_buffer bytes = { 0 };
    struct consensus_evidence *pieces = NULL, made;
    struct cl_network_id other = { { 9 } };
    size_t count = 0;
    fixture_network_make(&network, 4);
    made = piece_of(1, 5, CL_VOTE_NOTARIZE, 1, CL_VOTE_NOTARIZE, 2);
    assert_int_equal(evidence_encode(&bytes, &network.genesis.network, &made, 1), CL_OK);
    assert_int_equal(evidence_decode(&pieces, &count, &other, bytes.data, bytes.length), CL_E_STORE_OTHER);
    for (size_t cut = 0; cut < bytes.length; cut++)
        assert_int_equal(evidence_decode(&pieces, &count, &network.genesis.network, bytes.data, cut), CL_E_STORE_CORRUPT);
    bytes.data[1] = 2;
    assert_int_equal(evidence_decode(&pieces, &count, &network.genesis.network, bytes.data, bytes.length), CL_E_STORE_NEWER);
    assert_null(pieces);
    bytes.length = 0;
    assert_int_equal(evidence_encode(&bytes, &network.genesis.network, NULL, 0), CL_OK);
    assert_int_equal(evidence_decode(&pieces, &count, &network.genesis.network, bytes.data, bytes.length), CL_OK);
    assert_int_equal(count, 0);
    free(pieces);
    cl_buffer_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_found_comes_back_and_counts),
        cmocka_unit_test(what_proves_nothing_is_left_out),
        cmocka_unit_test(another_networks_or_a_damaged_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
