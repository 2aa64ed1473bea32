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


def names(party):
    return {entry["name"]: entry for entry in party.ask("list")["entries"]}


def mutual(scene, anna, ben):
    """Anna's card asks for the same in return; Ben gives it in his one command, and her inbox accepts what she said yes to."""
    anna.consent("terms", "publish", "terms.txt", "--limit", "1", "--standing", "--in-return", "--until", "2099-12-31", "--name", "friends", "--png", "friends.png")
    anna.hand_over("friends.png", ben)
    scene.settled()
    says(ben.consent("subscribe", "anna2", "--code", "friends.png", expected=2), "--in-return same")
    says(ben.consent("subscribe", "anna2", "--code", "friends.png", "--in-return", "same"), "anna2.return", "offered in return")
    scene.settled()
    says(anna.consent("inbox"), "friends.1: the other side can be reached", "accepted as 'friends.1.return'", "active")
    scene.settled()
    says(ben.consent("inbox"), "anna2: the other side can be reached", "anna2.return: the other side can be reached")
    says(anna.consent("inbox"), "friends.1.return: the other side can be reached")
    assert names(anna)["friends.1.return"]["role"] == "organisation" and names(ben)["anna2.return"]["role"] == "customer"
    for customer, other, theirs, ours in ((anna, ben, "friends.1", "anna2"), (ben, anna, "anna2.return", "friends.1.return")):
        assert customer.ask("show", theirs)["object"] == other.ask("show", ours)["object"]
        reaches(customer, other, theirs, f"from {customer.name}".encode())
        reaches(other, customer, ours, f"to {customer.name}".encode())


def other_terms_in_return(scene, anna, ben):
    """What she did not say yes to is shown, and answered by her."""
    anna.consent("terms", "publish", "terms.txt", "--limit", "2", "--standing", "--in-return", "--name", "more", "--code", "more.code")
    anna.hand_over("more.code", ben)
    ben.write_terms()
    ben.write("other.txt", ben.read("terms.txt").replace(b"dpv:Marketing", b"dpv:ServiceProvision"))
    scene.settled()
    ben.consent("subscribe", "third", "--code", "more.code", "--in-return", "other.txt")
    scene.settled()
    said = anna.consent("inbox", "--to", "offers")
    says(said, "more.1: the other side offers you this", "accepts")
    assert "more.1.return" not in names(anna)
    code = [name for name in os.listdir(f"{anna.folder}/offers") if name.endswith(".consent-code")]
    assert len(code) == 1, said
    anna.consent("subscribe", "more.1.return", "--code", f"offers/{code[0]}")
    ben.consent("inbox")
    says(anna.consent("inbox"), "more.1.return: the other side can be reached")
    reaches(ben, anna, "third.return", b"by other terms")


def test(build):
    with Scene(build) as scene:
        anna, ben, bank = scene.party("anna", 2), scene.party("ben", 3), scene.party("bank", 1)
        bank.consent("profile", "bank", "--display", "A bank")
        anna.write_terms()
        by_code_for_many(scene, anna, ben, bank)
        mutual(scene, anna, ben)
        other_terms_in_return(scene, anna, ben)


if __name__ == "__main__":
    main(test)
