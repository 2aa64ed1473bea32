#!/usr/bin/python3
"""Shows that the random histories can fail: seeds one fault after the other into a copy of the rules and expects a
history to notice each. A fault that is not noticed, or that no longer fits the source, is a failure.

usage: faults.py BUILD [--records N]"""

import argparse
import concurrent.futures
import os
import subprocess
import sys
import tempfile

import history

# (name, file, what stands there, what the fault makes of it)
FAULTS = [
    ("records from the future", "rules.c", "issued - now_ms > CL_RECORD_AHEAD_MS_MAX", "issued - now_ms > 9 * CL_RECORD_AGE_MS_MAX"),
    ("a withdrawal signed in advance is too old", "rules.c", "cl_rules_is_withdrawal(record->type) || ", ""),
    ("the age limit is exclusive", "rules.c", "now_ms - issued > CL_RECORD_AGE_MS_MAX", "now_ms - issued >= CL_RECORD_AGE_MS_MAX"),
    ("a GRANT may add slots", "rules_answer.c", "frame->entry->slots == 0 || (frame->entry->slots & ~offer->live) != 0", "frame->entry->slots == 0"),
    ("a counter-offer is not remembered", "rules_answer.c", "agreement->flags |= CL_FLAG_COUNTERED;", ""),
    ("an answer replaces the recovery", "rules_answer.c", " || agreement->recovery.present", ""),
    ("answers are not counted", "rules_open.c", "frame->terms.answers++;", ""),
    ("a party answers twice", "rules_open.c", "return CL_E_ANSWERED;", "return CL_OK;"),
    ("an old vouch counts", "rules_open.c", "if (rules_future(frame, frame->profile.vouches[i].until))", "if (i < 16)"),
    ("narrowed slots are not due", "rules_active.c", "agreement->due |= agreement->live & ~slots;", ""),
    ("a proposal moves the head", "rules_active.c", "pending->not_after = after;\n    return rules_finish_agreement(frame, false);", "pending->not_after = after;\n    return rules_finish_agreement(frame, true);"),
    ("slots live again stay due", "rules_active.c", "(agreement->due | agreement->live) & ~pending->slots", "agreement->due | (agreement->live & ~pending->slots)"),
    ("who may suspend may resume", "rules_active.c", "set_suspension(frame, CL_POWER_GRANT, false)", "set_suspension(frame, CL_POWER_REVOKE, false)"),
    ("a renewal after erasure", "rules_active.c", "return CL_E_ERASED;", "{}"),
    ("a renewal beyond the TERMS", "rules_active.c", "RULES_TRY(rules_within_terms(frame, &agreement->not_before, &after));", ""),
    ("delegations never end", "rules_party.c", "&& rules_future(frame, list[i].until)", ""),
    ("a token for another bearer", "rules_party.c", "frame->input->network, bearer32,", "frame->input->network, frame->object,"),
    ("an answered offer keeps its audience", "rules_party.c", "agreement->audience.kind = 0;", "{}"),
    ("a full revocation leaves the amendment", "rules_end.c", "end_agreement(agreement, CL_WITHDRAWN);\n        return rules_finish_agreement(frame, true);", "end_agreement(agreement, CL_WITHDRAWN);\n        return rules_finish_agreement(frame, false);"),
    ("offered slots become due", "rules_end.c", "if (agreement->status == CL_ACTIVE)\n        agreement->due", "agreement->due"),
    ("expiry makes nothing due", "rules_end.c", "due | (over ? live : 0)", "due"),
    ("recovery keeps the thief's delegates", "rules_key.c", "remove_side(agreement, side);", ""),
    ("a key is rotated to the other side's", "rules_key.c", "if (rules_same33(other_key, new_key))\n            return CL_E_SELF;", ""),
    ("anybody vouches", "rules_key.c", "return frame->membership == RULES_MEMBER_YES ? CL_OK : CL_E_MEMBER;", "return CL_OK;"),
]


def try_fault(build, folder, records, fault):
    """Returns None if a history noticed the fault, else a sentence."""
    name, file, right, wrong = fault
    source = open(os.path.join("ledger", file)).read()
    if source.count(right) != 1:
        return "%s: the text stands %d times in %s, once is needed" % (name, source.count(right), file)
    stem = os.path.join(folder, name.replace(" ", "_").replace("'", ""))
    with open(stem + ".c", "w") as out:
        out.write(source.replace(right, wrong))
    driver = stem + ".driver"
    made = subprocess.run(
        [os.environ.get("CC", "gcc"), "-std=c11", "-D_GNU_SOURCE", "-O1", "-w", "-Iinclude", "-Iledger", stem + ".c",
         os.path.join(build, "tests/programs/rules_driver.o"), os.path.join(build, "libconsent.a"), "-o", driver,
         "-lsecp256k1", "-lsodium", "-lnettle", "-lpthread"], capture_output=True, text=True)
    if made.returncode:
        return "%s: does not compile: %s" % (name, made.stderr)
    for seed in (1, 2, 3):
        if history.run(driver, records, seed, quiet=True) is not None:
            return None
    return "%s: not noticed in 3 histories of %d records" % (name, records)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--records", type=int, default=10_000)
    options = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
            futures = [pool.submit(try_fault, options.build, folder, options.records, fault) for fault in FAULTS]
            for fault, future in zip(FAULTS, futures):
                problem = future.result()
                missed += problem is not None
                print("MISSED " + problem if problem else "noticed: " + fault[0], flush=True)
    print("%d of %d seeded faults noticed" % (len(FAULTS) - missed, len(FAULTS)))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
