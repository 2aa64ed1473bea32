/* Blocks that are not final, in a real node whose three fellow members are puppets: what it votes for, what it asks for, of
   whom, how often, and whom it does not believe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "logging.h"
#include "puppets.h"

static struct puppets puppets;

struct expected_vote { enum cl_vote_kind kind; uint64_t view; const struct cl_block_id *block; };

static bool has_voted(struct puppets *all, const void *argument)
{
    const struct expected_vote *vote = argument;
    return puppets_heard_vote(all, vote->kind, vote->view, vote->block);
}

static void wait_vote(enum cl_vote_kind kind, const struct puppet_block *block)
{
    const struct expected_vote vote = { kind, block->block.view, kind == CL_VOTE_NULLIFY ? NULL : &block->block.id };
    puppets_wait(&puppets, has_voted, &vote, "the node's vote");
}

static bool has_height(struct puppets *all, const void *argument) { return puppets_height(all) >= *(const uint64_t *)argument; }
static void wait_height(uint64_t height) { puppets_wait(&puppets, has_height, &height, "the block is final here"); }

/* A block of one record, on genesis, in the first view that a puppet leads; nullifications before it are in its proposal. */
static void one_block(struct puppet_block *block, struct cl_ledger_record **record)
{
    *record = puppets_grant(&puppets);
    puppets_make(&puppets, block, NULL, puppets_view(&puppets, 1), record, 1);
}

static void free_one(struct puppet_block *block, struct cl_ledger_record *record)
{
    puppet_block_free(block);
    cl_ledger_record_unref(record);
}

static void a_proposal_whose_records_are_missing_is_voted_for_once_they_come(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    puppets_open(&puppets, NULL);
    one_block(&block, &record);
    puppets_put_record(&puppets, 3, record);
    puppets_propose(&puppets, &block, NULL);
    wait_vote(CL_VOTE_NOTARIZE, &block);
    puppets_certify(&puppets, CL_VOTE_FINALIZE, block.block.view, &block.block.id);
    wait_height(1);
    free_one(&block, record);
    puppets_close(&puppets);
}

/* The hostile answer comes from the leader, who is asked first. */
static void lied_to_about(void (*change)(struct cl_proposal *proposal))
{
    struct puppet_block block;
    struct cl_ledger_record *record;
    struct cl_buffer lie = { 0 };
    puppets_open(&puppets, NULL);
    one_block(&block, &record);
    size_t leader = puppets_leader(&puppets, block.block.view);
    puppets_alter(&lie, &block.proposal, change);
    for (size_t i = 1; i < PUPPETS_MEMBERS; i++) {
        puppets_put_block(&puppets, i, &block, i == leader ? &lie : NULL);
        if (i != leader) puppets_put_record(&puppets, i, record);
    }
    puppets_certify(&puppets, CL_VOTE_FINALIZE, block.block.view, &block.block.id);
    wait_height(1);
    assert_true(puppets_heard(&puppets, NEWS_QUESTION, leader, block.block.id.bytes) > 0);
    cl_buffer_deinit(&lie);
    free_one(&block, record);
    puppets_close(&puppets);
}

static void change_view(struct cl_proposal *proposal) { proposal->view++; }
static void change_view_down(struct cl_proposal *proposal) { proposal->view = 0; }
static void change_view_far(struct cl_proposal *proposal) { proposal->view = UINT64_MAX; }
static void change_parent_view(struct cl_proposal *proposal) { proposal->parent_view = proposal->view - 1; }
static void change_parent(struct cl_proposal *proposal) { proposal->parent.bytes[0] ^= 1; }
static void change_time(struct cl_proposal *proposal) { proposal->time_ms++; }
static void change_leaf(struct cl_proposal *proposal)
{
    static struct cl_leaf_hash unknown = { { 1, 2, 3 } };
    proposal->leaves = &unknown;
}

static void whoever_answers_with_another_view_is_not_believed(void **state)
{
    (void)state;
    lied_to_about(change_view);
    lied_to_about(change_view_down);
    lied_to_about(change_view_far);
}

static void whoever_answers_with_another_parent_is_not_believed(void **state)
{
    (void)state;
    lied_to_about(change_parent);
    lied_to_about(change_parent_view);
}

static void whoever_answers_with_another_block_is_not_believed(void **state)
{
    (void)state;
    lied_to_about(change_time);
}

static void whoever_answers_with_records_that_nobody_has_is_not_waited_for(void **state)
{
    (void)state;
    lied_to_about(change_leaf);
}

/* The block is certified, and its leader goes on saying what it never was. */
static void a_leader_that_goes_on_lying_holds_up_nothing(void **state)
{
    (void)state;
    struct puppet_block block;
    struct cl_ledger_record *record;
    struct cl_buffer lie = { 0 };
    puppets_open(&puppets, NULL);
    one_block(&block, &record);
    size_t leader = puppets_leader(&puppets, block.block.view), other = leader == 3 ? 2 : 3;
    puppets_alter(&lie, &block.proposal, change_leaf);
    puppets_put_block(&puppets, other, &block, NULL);
    puppets_put_record(&puppets, other, record);
    puppets_propose(&puppets, &block, &lie);
    puppets_certify(&puppets, CL_VOTE_FINALIZE, block.block.view, &block.block.id);
    for (size_t i = 0; i < 1000 && puppets_height(&puppets) == 0; i++) {
        puppets_propose(&puppets, &block, &lie);
        puppets_pause(10);
    }
    wait_height(1);
    cl_buffer_deinit(&lie);
    free_one(&block, record);
    puppets_close(&puppets);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proposal_whose_records_are_missing_is_voted_for_once_they_come),
        cmocka_unit_test(whoever_answers_with_another_view_is_not_believed),
        cmocka_unit_test(whoever_answers_with_another_parent_is_not_believed),
        cmocka_unit_test(whoever_answers_with_another_block_is_not_believed),
        cmocka_unit_test(whoever_answers_with_records_that_nobody_has_is_not_waited_for),
        cmocka_unit_test(a_leader_that_goes_on_lying_holds_up_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
