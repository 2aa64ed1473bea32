#!/usr/bin/python3
"""Scene 1, connect by code. Anna shows a QR code; a bank scans it and subscribes, and knows her terms from the code alone. Ben
photographed the same code: it is used up. From then on both sides deliver to each other, and nothing but the code changed hands.
A code that nobody used in time, and one that Anna cancelled, open nothing; and an
answer that somebody saw on its way cannot be given by another. Everybody is at another node."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, says  # noqa: E402
from scene import Scene, secrets_of  # noqa: E402


def shows(anna, name, *more):
    """The picture that the others scan, the offer beside it for the search afterwards."""
    anna.consent("terms", "publish", "terms.txt", "--limit", "1", "--standing", "--until", "2099-12-31", "--name", name, "--png", f"{name}.png",
                 "-o", f"{name}.consent-offer", *more)
    assert os.stat(f"{anna.folder}/{name}.png").st_mode & 0o77 == 0, "others may read the picture"


def the_bank_scans(scene, anna, bank, ben):
    for party in (bank, ben):
        anna.hand_over("card.png", party)
    bank.consent("profile", "bank", "--display", "A bank for everybody")
    bank.consent("subscribe", "anna", "--code", "card.png", "--as", "bank", "--save", "answer.cose")
    bank.hand_over("answer.cose", ben)  # seen on its way
    ben.consent("sign", "answer.cose", "--key", "ben", "--network", scene[0].network_id(), "-o", "stolen.cose")
    ben.consent("submit", "stolen.cose", "--wait", expected=4)
    bank.consent("submit", "answer.cose", "--wait")
    scene.settled()
    bank.consent("check", "anna", "--slot", "email", "--purpose", "dpv:Marketing")
    ben.consent("subscribe", "anna", "--code", "card.png", expected=1)
    assert "used up" in ben.told[-1], ben.told[-1]
    return bank.ask("show", "anna")["object"]


def both_deliver(anna, bank):
    """Each looks into the inbox once; the answer went by a detour, so the bank's contact waited for it."""
    says(bank.consent("inbox"), "Sent what had waited here")
    says(anna.consent("inbox"), "card.1: the other side can be reached")
    says(bank.consent("inbox"), "anna: the other side can be reached")
    for sender, known_as, receiver, content in ((anna, "card.1", bank, b"anna@example.org"), (bank, "anna", anna, b"Welcome, customer 4711")):
        sender.write("content", content)
        sender.consent("deliver", known_as, "content", "--slot", "1")
        receiver.consent("inbox", "--to", "mail")
        assert [receiver.read(f"mail/{name}") for name in os.listdir(f"{receiver.folder}/mail")] == [content]
    assert not [name for party in (anna, bank) for name in os.listdir(party.folder) if name.endswith(".consent-contact")], "a contact went from hand to hand"


def codes_that_open_nothing(scene, anna, ben):
    shows(anna, "hurry", "--expires", "2s")
    shows(anna, "doubt")
    anna.consent("revoke", "doubt")
    scene.settled()
    time.sleep(2.1)
    for name, why in (("hurry", "CL_E_EXPIRED"), ("doubt", "it was cancelled")):
        anna.hand_over(f"{name}.png", ben)
        done = ben.consent("subscribe", name, "--code", f"{name}.png", expected=12 if name == "hurry" else 11)
        assert why in done, done


def test(build):
    with Scene(build) as scene:
        anna, bank, ben = scene.party("anna", 2), scene.party("bank", 1), scene.party("ben", 3)
        anna.write_terms()
        shows(anna, "card")
        scene.settled()
        agreement = the_bank_scans(scene, anna, bank, ben)
        both_deliver(anna, bank)
        codes_that_open_nothing(scene, anna, ben)
        secrets = set().union(*(secrets_of(f"{anna.folder}/{name}.consent-offer") for name in ("card", "hurry", "doubt")))
        assert len(secrets) > 60
        scene.nodes_lack(*secrets, "A bank for everybody", "anna@example.org", "customer 4711", but_have=agreement)


main(test)
