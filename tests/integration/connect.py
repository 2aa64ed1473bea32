#!/usr/bin/python3
"""Connecting: from one code or offer both sides learn keys, delivery keys and mailboxes, in a consortium of four, everybody at
another node. Contacts that are forged, of another agreement or old change nothing."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, says  # noqa: E402
from inbox import received  # noqa: E402
from scene import Scene  # noqa: E402


def reaches(sender, receiver, known_as, content):
    sender.write("hello.txt", content)
    sender.consent("deliver", known_as, "hello.txt", "--slot", "1")
    receiver.consent("inbox", "--to", "mail")
    assert content in received(receiver, "mail").values(), receiver.told[-1]


def by_code_for_many(scene, anna, ben, bank):
    """Terms for two: who answers is found by her inbox, and can be reached; and she by them."""
    anna.consent("terms", "publish", "terms.txt", "--limit", "2", "--standing", "--name", "card", "--code", "card.code")
    for other in (ben, bank):
        anna.hand_over("card.code", other)
    scene.settled()
    says(ben.consent("subscribe", "anna", "--code", "card.code"), "Your contact is in the other side's mailbox")
    assert bank.ask("subscribe", "anna", "--code", "card.code", "--as", "bank")["contact"] == "sent"
    scene.settled()
    says(anna.consent("inbox"), "card.1: the other side can be reached", "card.2: the other side can be reached")
    assert not os.listdir(f"{anna.folder}/wallet.received"), "a contact is no file for the user"
    for other in (ben, bank):
        says(other.consent("inbox"), "anna: the other side can be reached")
    reaches(anna, ben, "card.1" if anna.ask("show", "card.1")["object"] == ben.ask("show", "anna")["object"] else "card.2", b"to ben")
    reaches(ben, anna, "anna", b"from ben")
    reaches(bank, anna, "anna", b"from the bank")
    says(anna.consent("inbox"), "Nothing has arrived")


def test(build):
    with Scene(build) as scene:
        anna, ben, bank = scene.party("anna", 2), scene.party("ben", 3), scene.party("bank", 1)
        bank.consent("profile", "bank", "--display", "A bank")
        anna.write_terms()
        by_code_for_many(scene, anna, ben, bank)


if __name__ == "__main__":
    main(test)
