#!/usr/bin/python3
"""Scene 3, the bank that fits into the customer's world. It offers monthly statements as PDF; Anna answers with weekly ones as CSV,
by one command, and the bank reads what that changes and accepts. For some weeks it delivers, sealed; Anna's inbox acknowledges;
one week it forgets, and `consent due` says so at both sides until the statement is there. What is no CSV is not sent at all. The two
are at different nodes, and no node holds a line of it."""
import os
import sys

import cbor2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, says  # noqa: E402
from scene import Scene, read_all, secrets_of  # noqa: E402

OFFER = """proffered-by: organisation
title: Statements of your account at the Lighthouse Bank
language: en
jurisdiction: NL
contact: the counter of the branch in Harbour Street
withdraw: at any time, with one signed record, at any node

[slot 1 statement]
category: pd:FinancialAccount
purposes: dpv:ServiceProvision
recipients: the customer
retention: P7Y
delivery: P1M application/pdf
from: organisation
"""
WEEK_MS = 7 * 86_400_000


def agree(scene, anna, bank):
    """Returns the agreement's id."""
    bank.consent("profile", "bank", "--display", "Lighthouse Bank")
    bank.write("statements.txt", OFFER)
    did = anna.ask("key", "list")["keys"][0]["did"]
    scene.settled()
    agreement = bank.ask("request", "anna", "--to", did, "--terms", "statements.txt", "--as", "bank", "--until", "2099-12-31", "-o", "bank.consent-offer")["object"]
    bank.hand_over("bank.consent-offer", anna)
    scene.settled()
    anna.write("mine.txt", OFFER.replace("P1M application/pdf", "P1W text/csv"))
    says(anna.consent("terms", "diff", "bank.consent-offer", "mine.txt"), "slot 1 (statement) delivered: every 1 month (P1M) -> every 1 week (P1W)", "slot 1 (statement) delivered as: application/pdf -> text/csv")
    says(anna.consent("counter", "bank", "--offer", "bank.consent-offer", "--terms", "mine.txt", "--until", "2099-12-31"),
         "every 1 month (P1M) -> every 1 week (P1W)", "Their text is in the other side's mailbox")
    scene.settled()
    says(bank.consent("inbox"), "anna: the text of other terms is here; they change:", "delivered: every 1 month (P1M) -> every 1 week (P1W)", "delivered as: application/pdf -> text/csv", "'consent subscribe anna' accepts them")
    says(bank.consent("subscribe", "anna", "--as", "bank"), "every 1 week as text/csv")
    scene.settled()
    says(anna.consent("inbox"), "can be reached")
    return agreement


def debt(party, expected=0, *words):
    """The only one."""
    entries = party.ask("due", *words, expected=expected)["entries"]
    assert len(entries) == 1, entries
    return entries[0]


def statement(bank, anna, number):
    """One is delivered, arrives, is acknowledged. Returns its text."""
    text = f"date;amount;what\n2026-{number:02};-17.42;Herring stall at the quay {os.urandom(8).hex()}\n"
    bank.write("statement.csv", text)
    bank.consent("deliver", "anna", "statement.csv", "--slot", "statement")
    before = debt(bank, 0)
    assert before["acknowledged_ms"] is None and before["last_ms"] is not None
    anna.consent("inbox", "--to", f"week-{number}")
    got = [read_all(f"{anna.folder}/week-{number}/{name}") for name in os.listdir(f"{anna.folder}/week-{number}")]
    assert got == [text.encode()], got
    says(bank.consent("inbox"), "The other side of 'anna' has delivery")
    after, hers = debt(bank), debt(anna)
    assert after["acknowledged_ms"] is not None and hers["acknowledged_ms"] is not None
    assert (after["owed_by"], hers["owed_by"], after["delivered"], hers["delivered"]) == ("us", "them", number, number), (after, hers)
    assert after["due_ms"] == hers["due_ms"] and after["overdue"] == hers["overdue"] == 0
    return text


def pdf_is_not_what_was_agreed(bank):
    bank.write("statement.pdf", b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n")
    says(bank.consent("deliver", "anna", "statement.pdf", "--slot", "statement", "--media-type", "application/pdf", expected=1), "CL_E_DELIVERY_FORMAT", "delivered as text/csv")
    says(bank.consent("deliver", "anna", "statement.pdf", "--slot", "statement", expected=1), "no text in UTF-8")


def not_its_terms(bank, anna):
    """What the bank sends as the text of terms has to be what the ledger has its commitment to."""
    bank.write("noise", os.urandom(400))
    old = cbor2.loads(read_all(f"{bank.folder}/bank.consent-offer"))
    bank.write("old", next(part for part in old if isinstance(part, bytes) and len(part) > 200))
    for name, expected in (("noise", "refused and deleted"), ("old", "Nothing has arrived")):
        bank.consent("deliver", "anna", name, "--kind", "notice", "--media-type", "application/vnd.consent-body")
        says(anna.consent("inbox"), expected)
    assert debt(anna)["every"] == "P1W"


def monthly_after_all(scene, bank, anna):
    """Proposals go the same way; however many there are, the text of the terms that stand stays."""
    for number in range(9):
        bank.write("other.txt", OFFER.replace("P1M", f"P{number + 3}M"))
        says(bank.consent("amend", "anna", "--terms", "other.txt"), f"every 1 week (P1W) -> every {number + 3} months", "Their text is in the other side's mailbox")
        scene.settled()
        says(anna.consent("inbox"), f"every 1 week (P1W) -> every {number + 3} months", "'consent amend bank --accept' accepts them")
    for party in (anna, bank):
        assert debt(party)["every"] == "P1W"
    anna.consent("amend", "bank", "--accept")
    scene.settled()
    for party in (anna, bank):
        now = debt(party)
        assert (now["every"], now["format"], now["delivered"], now["overdue"]) == ("P11M", "application/pdf", 0, 0), now
    bank.consent("deliver", "anna", "statement.pdf", "--slot", "statement")
    assert debt(bank)["delivered"] == 1


def test(build):
    with Scene(build) as scene:
        anna, bank = scene.party("anna", 2), scene.party("bank", 1)
        agreement = agree(scene, anna, bank)
        first = debt(bank)
        assert (first["every"], first["format"], first["periods"], first["delivered"], first["last_ms"]) == ("P1W", "text/csv", 1, 0, None), first
        pdf_is_not_what_was_agreed(bank)
        texts = [statement(bank, anna, 1)]
        assert debt(anna)["due_ms"] == first["due_ms"] + WEEK_MS
        scene.later(8)
        texts.append(statement(bank, anna, 2))
        scene.later(22)  # the third week went by
        for party, owes in ((bank, "you"), (anna, "them")):
            missed = debt(party, 15)
            assert (missed["overdue"], missed["overdue_since_ms"]) == (1, first["due_ms"] + 2 * WEEK_MS), missed
            says(party.consent("due", "--overdue", expected=15), "overdue since", owes)
        texts.append(statement(bank, anna, 3))
        assert debt(anna)["due_ms"] == first["due_ms"] + 3 * WEEK_MS
        texts.append(statement(bank, anna, 4))
        assert anna.ask("due", "--overdue")["entries"] == []
        says(anna.consent("due"), "bank", "1 statement", "them", "1 week", "text/csv", "acknowledged", "by 20")
        anna.consent("suspend", "bank")
        scene.settled()
        scene.later(45)
        assert debt(bank)["suspended"] and debt(bank)["due_ms"] is None
        anna.consent("resume", "bank")
        scene.settled()
        assert debt(bank)["overdue"] == 0
        not_its_terms(bank, anna)
        monthly_after_all(scene, bank, anna)
        lines = [line for text in texts for line in text.splitlines()[1:]]
        titles = {line for line in OFFER.splitlines() if line.startswith(("title", "contact"))}
        anna.consent("export", "bank", "-o", "agreed.consent-offer")
        secrets = secrets_of(f"{bank.folder}/bank.consent-offer") | secrets_of(f"{anna.folder}/agreed.consent-offer")
        assert len(secrets) > 20 and len(lines) == 4
        scene.nodes_lack(*secrets, *lines, *(title.split(": ")[1] for title in titles), "Lighthouse Bank", "text/csv", "statement", but_have=agreement)
        anna.consent("revoke", "bank")
        scene.settled()
        assert bank.ask("due")["entries"] == []
        says(bank.consent("deliver", "anna", "statement.csv", "--slot", "1", expected=11), "no active slot")


main(test)
