#!/usr/bin/python3
"""Takes each rule of agreement out of a copy of the source, one at a time, builds, and runs the one test that has to fail
then: that test, by name, and not the build. A test that goes on passing without its rule is worth nothing.
    mutations.py [NAME...]     all, or those whose name has one of these words in it
The list follows "Where others got it wrong" of the design, then the rule for members that lost their vote log. Run it from
the top of the source; `make check-deep` does."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

VOTE, STATE, RESUME, PROPOSE, CORE = (f"node/consensus{part}.c" for part in ("_vote", "_state", "_resume", "_propose", ""))
RULES, VOTES, BASIC, REAL, FORGOT, PROOF = (f"test_{name}" for name in ("consensus_rules", "consensus_votes", "consensus", "node_votes", "vote_recovery", "evidence"))
# name, test program, test, then file, what is there, what takes its place
MUTATIONS = [
    ("finalizing after nullifying", RULES, "who_nullified_never_finalizes",
     (VOTE, "return !view->own[CL_VOTE_NULLIFY].voted && !view->two_proposals;", "return !view->two_proposals;"),
     (VOTE, "    assert(kind != CL_VOTE_FINALIZE || !view->own[CL_VOTE_NULLIFY].voted);\n", "")),
    ("nullifying after finalizing", RULES, "who_finalized_never_nullifies",
     (VOTE, "return !view->own[CL_VOTE_FINALIZE].voted;", "return true;"),
     (VOTE, "    assert(kind != CL_VOTE_NULLIFY || !view->own[CL_VOTE_FINALIZE].voted);\n", "")),
    ("building without proof of nullification", BASIC, "a_view_that_was_not_nullified_is_not_skipped",
     (PROPOSE, "|| view->tallies[CL_VOTE_NULLIFY].certificate == NULL) return false;", ") return true;")),
    ("voting without proof of nullification", RULES, "a_proposal_without_proof_of_its_ancestry_is_not_voted_for",
     (PROPOSE, "? ANCESTRY_JUSTIFIED : ANCESTRY_OPEN;", "? ANCESTRY_JUSTIFIED : ANCESTRY_JUSTIFIED;")),
    ("split votes stall", RULES, "votes_split_over_two_blocks_do_not_stall",
     (VOTE, "return !view->own[CL_VOTE_FINALIZE].voted;", "return !view->own[CL_VOTE_FINALIZE].voted && !view->own[CL_VOTE_NOTARIZE].voted;")),
    ("own vote not counted after a restart", RULES, "an_own_vote_counts_after_a_restart_and_is_sent_with_the_same_bytes",
     (RESUME, "            status = consensus_count(c, effects, &vote);", "            status = CL_OK;")),
    ("own vote not counted after a restart, in a node", REAL, "after_a_restart_own_votes_count_and_are_the_same_bytes",
     (RESUME, "            status = consensus_count(c, effects, &vote);", "            status = CL_OK;")),
    ("a signature taken for one that is known", BASIC, "a_certificates_signatures_are_checked_although_the_votes_are_known",
     (VOTE, "memcmp(ballot->signature, signature64, 64) == 0", "signature64 != NULL")),
    ("a late vote taken for one that is known", VOTES, "a_vote_that_was_not_checked_makes_no_certificate_good",
     (VOTE, "ballot->voted && !ballot->unchecked && ballot->has_block", "ballot->voted && ballot->has_block")),
    ("votes not checked before there is a certificate", VOTES, "only_votes_that_agree_with_their_certificate_wait_for_their_check",
     (STATE, "    if (tally->certificate == NULL || !consensus_same_block", "    if (tally->certificate != NULL && !consensus_same_block"),
     (VOTE, "        assert(!ballot->unchecked); /* only what comes after the certificate is */\n", "")),
    ("a vote against the certificate not checked", VOTES, "only_votes_that_agree_with_their_certificate_wait_for_their_check",
     (STATE, " || !consensus_same_block(&tally->certificate->block, &vote->block)) return false;", ") return false;")),
    ("a late vote that contradicts not checked", VOTES, "only_votes_that_agree_with_their_certificate_wait_for_their_check",
     (STATE, "voted || differs(&view->tallies[opposite[vote->kind]].ballots[vote->voter], vote)) return false;", "voted) return false;")),
    ("evidence with a forged late vote", VOTES, "a_forged_vote_after_its_certificate_proves_nothing_against_its_member",
     (STATE, "    ballot->voted = consensus_vote_good(c, &first);", "    ballot->voted = first.view > 0;")),
    ("evidence lost with a late vote", VOTES, "a_vote_after_its_certificate_is_checked_when_its_voter_contradicts_it",
     (STATE, "    if (!differs(ballot, vote) || !ballot->unchecked) return differs(ballot, vote);", "    if (!differs(ballot, vote) || !ballot->unchecked) return differs(ballot, vote) && !ballot->unchecked;"),
     (STATE, "    ballot->voted = consensus_vote_good(c, &first);", "    ballot->voted = first.view == 0;")),
    ("a forged late vote keeps out the true one", VOTES, "a_forged_vote_after_its_certificate_does_not_keep_out_the_true_one",
     (CORE, "        if (again && (!ballot->unchecked || memcmp(ballot->signature, vote->signature, 64) == 0)) return CL_OK;", "        if (again) return CL_OK;")),
    ("a forged late vote stays beside the true one", VOTES, "a_forged_vote_after_its_certificate_does_not_keep_out_the_true_one",
     (STATE, "    if (ballot->voted && !ballot->unchecked) return;", "    if (ballot->voted) return;")),
    ("a vote sent before it is synced", RULES, "a_proposal_is_validated_logged_and_then_notarized",
     (PROPOSE, "    consensus_sync(c, effects);\n    consensus_send_vote(c, effects, &vote);", "    consensus_send_vote(c, effects, &vote);\n    consensus_sync(c, effects);")),
    ("an own vote counted before it is synced", BASIC, "an_own_vote_counts_only_once_it_is_durable",
     (CORE, "c->awaited[0].sequence <= c->synced", "c->awaited[0].sequence <= c->synced + 1")),
    ("a sync that is none, in a node", REAL, "nobody_hears_a_vote_before_it_is_on_the_disk",
     ("node/votelog.c", " || fdatasync(log->file) != 0) {\n        log->failed", ") {\n        log->failed")),
    ("a sync that comes late, in a node", REAL, "nobody_hears_a_vote_before_it_is_on_the_disk",
     ("node/node_order.c", "    enum cl_status status = votelog_sync(node->votelog);", "    enum cl_status status = sequence % 2 == 0 ? votelog_sync(node->votelog) : CL_OK;")),
    ("a second proposal taken up", RULES, "of_two_proposals_only_the_first_is_ever_notarized",
     (PROPOSE, "    if (view->state == PROPOSAL_NONE && consensus_same_block(&view->tallies[CL_VOTE_PROPOSE].ballots[vote->voter].block, &block->id)) {", "    {")),
    ("a late vote takes the place of an earlier one", BASIC, "votes_split_over_two_blocks_make_no_certificate",
     (STATE, "        keep_evidence(c, view, vote->kind, vote);\n        return;\n", "        keep_evidence(c, view, vote->kind, vote);\n"),
     (STATE, "    if (ballot->voted && !ballot->unchecked) return;\n", "")),
    ("a stale certificate moves the view back", BASIC, "a_stale_certificate_does_not_move_the_view_back",
     (VOTE, "    if (enters) c->current = view->number + 1;", "    c->current = view->number + 1;")),
    ("a stale certificate arms timers again", RULES, "a_stale_certificate_does_not_arm_timers_again",
     (CORE, "    if (c->entered != c->current) {", "    {")),
    ("many fetches of one body", RULES, "a_body_is_asked_for_once_and_commits_all_its_ancestors",
     (STATE, "        if (consensus_same_block(&c->wanted[i].id, id)) return;\n    if (consensus_body", "        if (consensus_same_block(&c->wanted[i].id, id)) break;\n    if (consensus_body")),
    ("many fetches of one body, in a node", REAL, "one_certificate_heard_often_is_one_question",
     ("node/node_fetch.c", " || node->pending[i].asking != SIZE_MAX) continue;", ") continue;"),
     ("node/node_fetch.c", "entry->asking == SIZE_MAX && entry->ask_from_ms", "entry->ask_from_ms")),
    ("a body that is not logged", RULES, "a_proposal_is_validated_logged_and_then_notarized",
     (PROPOSE, "    consensus_effect_add(effects, CONSENSUS_APPEND_PROPOSAL)->block = view->proposal;", "    (void)effects;")),
    ("records that are not logged, in a node", REAL, "after_a_power_cut_the_body_of_a_notarized_block_is_there",
     ("node/node_order.c", "i < cl_candidate_count(pending->candidate) && status == CL_OK", "i < 0 * cl_candidate_count(pending->candidate) && status == CL_OK")),
    ("what was logged is not served, in a node", REAL, "after_a_power_cut_the_body_of_a_notarized_block_is_there",
     ("node/node_recover.c", "    if (above) status = pin_records(recovery);", "    if (recovery == NULL) status = pin_records(recovery);")),
    ("a ledger ahead of the vote log", RULES, "what_the_ledger_has_as_final_is_passed_over_in_the_log",
     (RESUME, "    if (vote->view <= c->config.final_view) return CL_OK;\n", "")),
    ("a ledger ahead of the vote log, in a node", REAL, "a_ledger_ahead_of_the_vote_log_goes_on",
     (RESUME, "    if (vote->view <= c->config.final_view) return CL_OK;\n", "")),
    ("a vote log ahead of the ledger, in a node", REAL, "a_vote_log_ahead_of_the_ledger_makes_the_same_block_final",
     ("node/node_recover.c", "    bool above = proposal.view > recovery->final_view && node", "    bool above = proposal.view < recovery->final_view && node")),
    ("the last record waits for ever", RULES, "a_leader_on_a_parent_that_is_not_final_proposes_an_empty_block_after_d",
     (PROPOSE, "    if (parent == NULL || c->alone || view->refused) return CL_OK;", "    if (parent != NULL || c->alone || view->refused) return CL_OK;")),
    ("idle over a block that is not final", RULES, "a_leader_on_a_parent_that_is_not_final_proposes_an_empty_block_after_d",
     (CORE, "        if (consensus_certified(view) != NULL) return false;\n", "        if (consensus_certified(view) == NULL) return false;\n")),
    ("silence after a partition: votes", RULES, "every_resend_repeats_votes_certificate_and_finalization",
     (CORE, "    resend_own(c, effects);\n    resend_position(c, effects);", "    if (c->alone) resend_own(c, effects);\n    resend_position(c, effects);")),
    ("silence after a partition: position", RULES, "every_resend_repeats_votes_certificate_and_finalization",
     (CORE, "    resend_own(c, effects);\n    resend_position(c, effects);", "    resend_own(c, effects);")),
    ("silence after a partition: certificates", RULES, "all_certificates_above_the_last_final_view_are_served_in_turn",
     (CORE, "    serve_certificates(c, effects);\n    c->wanted_count", "    if (c->alone) serve_certificates(c, effects);\n    c->wanted_count")),
    ("two signatures of one message", VOTES, "of_two_good_signatures_of_one_vote_the_first_stays",
     (STATE, "    if (ballot->voted && !ballot->unchecked) return;\n", ""),
     (CORE, "bool again = voted && ballot->has_block == vote->has_block && consensus_same_block(&ballot->block, &vote->block);", "bool again = voted && vote->epoch > c->config.epoch;")),
    ("own votes signed anew after a restart", RULES, "an_own_vote_counts_after_a_restart_and_is_sent_with_the_same_bytes",
     (RESUME, "    memcpy(view->own[vote->kind].signature, vote->signature, 64);\n", "")),
    ("timers without a cap", RULES, "patience_grows_with_views_that_bring_nothing_and_has_a_cap",
     (CORE, "k < since && d < CONSENSUS_D_MS_MAX; k++", "k < since && k < 60; k++"),
     (CORE, "    return d < CONSENSUS_D_MS_MAX ? d : CONSENSUS_D_MS_MAX;", "    return d;")),

    ("votes without a vote log", FORGOT, "a_barred_member_votes_for_nothing_and_follows",
     (VOTE, " || view->number <= c->barred", ""), (VOTE, "    assert(view->number > c->barred);\n", "")),
    ("proposals without a vote log", FORGOT, "a_barred_leader_proposes_nothing",
     (PROPOSE, " || c->current <= c->barred) return CL_OK;", ") return CL_OK;")),
    ("a bar that is not logged", FORGOT, "it_votes_again_above_the_bar_which_is_in_the_log_first",
     (RESUME, "    consensus_effect_add(effects, CONSENSUS_APPEND_BAR)->view = barred;\n", "")),
    ("a bar that a new log forgets", FORGOT, "a_log_that_starts_anew_keeps_the_bar_until_that_view_is_final",
     (RESUME, "    if (*from == 0 && c->barred > c->config.final_view) ", "    if (*from == 0 && c->barred < c->config.final_view) ")),
    ("a bar one view too low", FORGOT, "who_was_a_view_ahead_of_everybody_does_not_vote_in_it_again",
     ("node/vote_recovery.c", "*barred = recovery->highest + 1;", "*barred = recovery->highest;")),
    ("a bar from too few", FORGOT, "a_quorum_of_others_names_the_bar",
     ("node/vote_recovery.c", "    return cl_quorum(member_count);", "    return cl_quorum(member_count) - 1;")),
    ("answers to another question", FORGOT, "what_is_not_proven_does_not_count",
     ("node/vote_recovery.c", "    if (memcmp(answer->nonce, recovery->nonce, 32) != 0) return CL_E_REPLAY;\n", "")),
    ("answers without proof", FORGOT, "what_is_not_proven_does_not_count",
     ("node/vote_recovery.c", "certificate->view < answer->view - 1 || ", "")),
    ("answers of who forgot", FORGOT, "who_forgot_its_own_votes_does_not_answer_until_those_views_are_over",
     (CORE, "    return c->current > c->barred && (", "    return (")),
    ("a block forgotten that may become final", RULES, "only_a_nullified_block_that_no_certificate_names_is_forgotten",
     (STATE, "    if (home == NULL || !is_nullified(home)) return false;\n", "    if (home == NULL) return false;\n"), (STATE, "(proposed && !is_nullified(view))", "(proposed && view->two_proposals && !is_nullified(view))")),
    ("a block forgotten that a leader may build on", RULES, "only_a_nullified_block_that_no_certificate_names_is_forgotten",
     (STATE, "(certified != NULL && consensus_same_block(certified, &block->id)) || ", "(certified != NULL && view->two_proposals) || ")),
    ("evidence believed from the disk", PROOF, "what_proves_nothing_is_left_out",
     (STATE, " && consensus_vote_good(c, vote);\n}\n\nbool consensus_restore_evidence", ";\n}\n\nbool consensus_restore_evidence")),
]


def build(folder, program):
    return subprocess.run(["make", "-s", f"build/unit/{program}"], cwd=folder, capture_output=True, text=True, timeout=1200)


def run(folder, program, *only):
    done = subprocess.run([f"build/unit/{program}", *only], cwd=folder, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


def failed_in(output, test):
    """Its failure was told, or the program ended in it."""
    if re.search(rf"\[  FAILED  \] {test}$", output, re.M):
        return True
    began = re.findall(r"\[ RUN      \] (\w+)$", output, re.M)
    return bool(began) and began[-1] == test and f"[       OK ] {test}" not in output


def change(folder, changes):
    """Returns what takes it back."""
    before = {}
    for path, there, instead in changes:
        full = os.path.join(folder, path)
        with open(full, encoding="utf-8") as file:
            text = file.read()
        before.setdefault(full, text)
        assert text.count(there) == 1, f"{path} has this {text.count(there)} times: {there!r}"
        with open(full, "w", encoding="utf-8") as file:
            file.write(text.replace(there, instead))
    return before


def main():
    chosen = [each for each in MUTATIONS if len(sys.argv) < 2 or any(word in each[0] for word in sys.argv[1:])]
    wrong = []
    with tempfile.TemporaryDirectory(prefix="consent-mutations-") as root:
        folder = f"{root}/source"
        shutil.copytree(".", folder, ignore=shutil.ignore_patterns("build*", ".git"))
        for program in sorted({each[1] for each in chosen}):
            done = build(folder, program)
            assert done.returncode == 0, done.stderr
            code, output = run(folder, program)
            assert code == 0, f"{program} fails as it is:\n{output}"
        for name, program, test, *changes in chosen:
            began = time.monotonic()
            before = change(folder, changes)
            done = build(folder, program)
            seen = done.returncode == 0 and failed_in(run(folder, program, test)[1], test)
            for path, text in before.items():
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            if not seen:
                wrong.append(name)
            verdict = "seen" if seen else "DOES NOT BUILD" if done.returncode != 0 else "NOT SEEN"
            print(f"{verdict:5} by {program}, {test}: {name} ({time.monotonic() - began:.0f} s)", flush=True)
            if done.returncode != 0:
                print(done.stderr[:2000])
    print(f"{len(chosen) - len(wrong)} of {len(chosen)} rules were seen to be gone by their tests")
    sys.exit(1 if wrong else 0)


main()
