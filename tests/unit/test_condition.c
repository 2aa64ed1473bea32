/* What a node says of itself among the others: the sentences name who is awaited and who is away, and nothing that is not so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "condition.h"

static struct condition condition;
static char said[32768];
static size_t sentences;

static void say(void *context, const char *sentence)
{
    (void)context;
    size_t used = strlen(said);
    assert_true(strlen(sentence) > 10 && sentence[strlen(sentence) - 1] == '.');
    snprintf(said + used, sizeof said - used, "%s\n", sentence);
    sentences++;
}

static void ask(void)
{
    said[0] = '\0';
    sentences = 0;
    condition_why(&condition, say, NULL);
    assert_true(sentences >= 1);
}

static void says(const char *words)
{
    if (strstr(said, words) == NULL) fail_msg("'%s' is not in:\n%s", words, said);
}

static void says_not(const char *words)
{
    if (strstr(said, words) != NULL) fail_msg("'%s' is in:\n%s", words, said);
}

/* Four members that hear each other and have nothing to do; this node is the first. */
static int setup(void **state)
{
    (void)state;
    static const char *const names[] = { "hospital", "bank", "bank2", "union" };
    condition = (struct condition){ .member_count = 4, .peer_count = 4, .own = 0, .quorum = 3, .ordering = true, .idle = true, .height = 90, .taken_ms_ago = 300,
        .outlook = { .view = 812, .leader = 1, .patience_ms = 300 }, .view_ms = 3000 };
    for (size_t i = 0; i < 4; i++)
        condition.peers[i] = (struct condition_peer){ .name = names[i], .connected = true, .ask_connected = true, .heard_ms_ago = 400, .reported = true, .height = 90, .clock_known = true };
    return 0;
}

static void idle_members_wait_for_records_and_miss_nobody(void **state)
{
    (void)state;
    ask();
    says("No record waits");
    assert_int_equal(sentences, 1);
    assert_int_equal(condition_members_heard(&condition), 4);
    assert_int_equal(condition_behind(&condition), 0);
}

/* The example of the specification. */
static void a_stalled_view_says_what_is_awaited_and_from_whom(void **state)
{
    (void)state;
    condition.idle = false;
    condition.waiting_records = 7;
    condition.outlook.proposed = true;
    condition.outlook.notarize[0] = 0x3; /* this node and bank */
    condition.peers[2].heard_ms_ago = 45000;
    condition.peers[2].connected = false;
    ask();
    says("This node waits for 1 more notarize vote in view 812; it has them from this node, bank.");
    says("bank2 has not been heard for 45 s and does not answer at its address.");
    says("union was heard 0.4 s ago but has not voted in view 812.");
    says_not("can be heard");
    says_not("nullify");
    says_not("bank has");
}

static void too_few_members_come_first(void **state)
{
    (void)state;
    condition.idle = false;
    condition.peers[2].heard_ms_ago = UINT64_MAX;
    condition.peers[2].connected = false;
    condition.peers[3].heard_ms_ago = CONDITION_SILENT_MS;
    ask();
    assert_true(strncmp(said, "2 of 4 members can be heard, this node included, and 3 are needed: nothing becomes final before 1 more is back.\n", 60) == 0);
    says("View 812 waits for the proposal of bank, since 3.0 s; without it this node votes to pass over it after 0.6 s.");
    says("bank2 has not been heard since this node started, and does not answer at its address.");
    says("union has not been heard for 45 s.");
    condition.peers[3].heard_ms_ago = CONDITION_SILENT_MS - 1;
    assert_int_equal(condition_members_heard(&condition), 3);
    ask();
    says_not("can be heard");
}

static void a_leader_that_is_passed_over_and_a_block_that_is_not_final(void **state)
{
    (void)state;
    condition.idle = false;
    condition.outlook.nullify[0] = 0x1;
    condition.outlook.finalize_view = 811;
    condition.outlook.finalize[0] = 0x9;
    ask();
    says("This node waits for 2 more nullify votes in view 812, to pass over its leader; it has them from this node.");
    says("This node waits for 1 more finalize vote in view 811, to make its block final; it has them from this node, union.");
    condition.outlook.leader = 0;
    ask();
    says("It is this node's turn to propose a block, in view 812.");
    condition.outlook.leader = 3;
    condition.outlook.proposed = condition.outlook.incomplete = true;
    ask();
    says("This node lacks records of the proposal of union in view 812");
    says("3 more notarize votes in view 812; it has them from nobody.");
    condition.outlook.notarize[0] = 0xf; /* enough: nothing is awaited */
    ask();
    says_not("notarize vote");
}

static void being_behind_stuck_or_stopped_is_said(void **state)
{
    (void)state;
    condition.peers[1].height = 1090;
    condition.taken_ms_ago = 12000;
    ask();
    says("1000 blocks behind");
    says("The thread that orders has been busy for 12 s");
    condition.failure = "A final block could not be stored.";
    ask();
    says("This node has stopped: A final block could not be stored.");
    assert_int_equal(sentences, 1);
}

static void a_member_that_lost_its_vote_log_says_so(void **state)
{
    (void)state;
    condition.barred = CONSENSUS_BAR_UNKNOWN;
    ask();
    condition.told_needed = 3;
    condition.told[0] = 0x6;
    ask();
    says("lost its vote log and votes for nothing before 3 others have told it how far it may have voted; told so far: bank, bank2.");
    condition.barred = 812;
    ask();
    says("votes in no view up to 812; this is view 812.");
    condition.barred = 811; /* that is over */
    ask();
    says_not("vote log");
}

static void clocks_and_evidence(void **state)
{
    (void)state;
    condition.peers[2].clock_ahead_ms = -5100;
    condition.peers[3].evidence = 2;
    ask();
    says("The clock of bank2 was 5.1 s behind this node's when it last connected.");
    says("union has signed votes that contradict each other (2 pieces of evidence are kept).");
    says_not("checkpoint");
    condition.peers[1].fork_size = 77;
    ask();
    says("bank has signed a checkpoint of 77 leaves that is not of this node's ledger");
    condition.peers[1].clock_ahead_ms = condition.peers[2].clock_ahead_ms = 12000;
    ask();
    says("This node's clock seems wrong: most others' are ahead of it by more than 2.0 s.");
    says_not("The clock of");
}

static void final_blocks_without_a_checkpoint_name_who_has_signed(void **state)
{
    (void)state;
    condition.unsigned_leaves = 12;
    condition.unsigned_ms = CONDITION_UNSIGNED_MS;
    condition.cosigned[0] = 5; /* this node and bank2 */
    ask();
    says("12 leaves of the log are final without a checkpoint: this node waits for 1 more cosignature; it has them from this node, bank2.");
    condition.unsigned_ms--; /* on its way */
    ask();
    says_not("cosignature");
}

static void one_member_and_observers(void **state)
{
    (void)state;
    condition.member_count = condition.peer_count = condition.quorum = 1;
    ask();
    says("No record waits");
    condition.waiting_records = 3;
    condition.idle = false;
    ask();
    says("3 records wait for the next block.");
    setup(NULL);
    condition.own = 4; /* an observer beside four members */
    condition.peer_count = 5;
    condition.ordering = condition.idle = false;
    condition.peers[4] = (struct condition_peer){ .name = "archive", .observer = true, .heard_ms_ago = UINT64_MAX };
    condition.peers[0].connected = condition.peers[1].connected = false;
    ask();
    says("2 of 4 members can be heard, and 3 are needed");
    says_not("this node included");
    says_not("archive");
}

/* 128 members of which nobody is there: sentences are bounded, and the rest is counted. */
static void many_members_are_counted(void **state)
{
    (void)state;
    static char names[CL_MEMBERS_MAX][33];
    condition.member_count = condition.peer_count = CL_MEMBERS_MAX;
    condition.quorum = 86;
    condition.idle = false;
    condition.outlook.proposed = true;
    memset(condition.outlook.notarize, 0xff, 10); /* 80 */
    for (size_t i = 0; i < CL_MEMBERS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "%s-%03zu", "a-member-with-a-long-name-xx", i);
        condition.peers[i] = (struct condition_peer){ .name = names[i], .heard_ms_ago = UINT64_MAX };
    }
    ask();
    says("6 more notarize votes in view 812; it has them from this node, a-member");
    says(" and 72 others.");
    says("So it is with 119 others.");
    assert_true(sentences < 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(idle_members_wait_for_records_and_miss_nobody, setup),
        cmocka_unit_test_setup(a_stalled_view_says_what_is_awaited_and_from_whom, setup),
        cmocka_unit_test_setup(too_few_members_come_first, setup),
        cmocka_unit_test_setup(a_leader_that_is_passed_over_and_a_block_that_is_not_final, setup),
        cmocka_unit_test_setup(being_behind_stuck_or_stopped_is_said, setup),
        cmocka_unit_test_setup(a_member_that_lost_its_vote_log_says_so, setup),
        cmocka_unit_test_setup(clocks_and_evidence, setup),
        cmocka_unit_test_setup(final_blocks_without_a_checkpoint_name_who_has_signed, setup),
        cmocka_unit_test_setup(one_member_and_observers, setup),
        cmocka_unit_test_setup(many_members_are_counted, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
