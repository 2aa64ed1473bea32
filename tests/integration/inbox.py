#!/usr/bin/python3
"""Deliveries through mailboxes, in a consortium of four: Anna's mailbox is at node 2, the bakery uses node 1. What it delivers
arrives byte for byte, and within two seconds where she waits; no node can read it; a receiving command that is killed, and a
home node that is away, lose nothing; after the end neither side does it."""
import contextlib
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, says, wait_for  # noqa: E402
from scene import Scene, read_all  # noqa: E402


def received(party, folder):
    return {name: read_all(f"{party.folder}/{folder}/{name}") for name in os.listdir(f"{party.folder}/{folder}")} if os.path.isdir(f"{party.folder}/{folder}") else {}


def agree(scene, anna, bakery):
    """Returns the agreement's id. Contacts go both ways, once."""
    bakery.consent("profile", "bakery", "--display", "Bakery Ltd")
    anna.write_terms()
    agreement = scene.agreement(anna, bakery, "bakery", "anna", "--no-mailbox")
    anna.consent("inbox", expected=3)
    anna.consent("contact", "bakery", "-o", "anna.consent-contact")
    bakery.consent("contact", "anna", "-o", "bakery.consent-contact")
    anna.hand_over("anna.consent-contact", bakery)
    bakery.hand_over("bakery.consent-contact", anna)
    assert f"{anna.home.name}/".encode() in read_all(f"{anna.folder}/anna.consent-contact"), "the contact has the address"
    anna.consent("contact", "bakery", "--no-mailbox", "-o", "without.consent-contact")
    assert f"{anna.home.name}/".encode() not in read_all(f"{anna.folder}/without.consent-contact")
    return agreement


def arrives(scene, anna, bakery, agreement):
    loaf = os.urandom(1024 * 1024)
    bakery.write("statement-of-anna.pdf", loaf)
    says(bakery.consent("deliver", "anna", "statement-of-anna.pdf", "--slot", "1", expected=3), "consent contact")
    bakery.consent("deliver", "anna", "statement-of-anna.pdf", "--slot", "1", "--contact", "anna.consent-contact")
    scene.nodes_lack(loaf[:64], loaf[-64:], "statement-of-anna", but_have=agreement)
    says(anna.consent("inbox", "--to", "mail"), "slot 1", "1048576 bytes")
    assert list(received(anna, "mail").values()) == [loaf]
    says(anna.consent("inbox", "--to", "mail"), "Nothing has arrived")
    assert len(received(anna, "mail")) == 1 and os.listdir(f"{anna.folder}/wallet.incoming") == []
    # the other way, and the contact is known from then on
    anna.write("thanks.txt", b"thank you")
    says(anna.consent("import", "bakery.consent-contact"), "contact for 'bakery', with a mailbox")
    anna.consent("import", "anna.consent-contact", expected=4)
    anna.consent("deliver", "bakery", "thanks.txt", "--slot", "1")
    anna.consent("deliver", "bakery", "thanks.txt", "--slot", "1")
    got = bakery.consent("inbox", "--json")
    assert got.count('"delivery"') == 2, got
    assert list(received(bakery, "wallet.received").values()) == [b"thank you"] * 2


def at_once(anna, bakery):
    anna.consent("inbox")  # the bakery's inbox has acknowledged what it got
    process = anna.start("inbox", "--follow", "--to", "quick", "--json")
    wait_for(lambda: "consent_mailbox_waiting_fetches 1" in anna.home.get("/metrics").body.decode(), "it waits")
    anna.consent("list")  # the wallet is free meanwhile
    bakery.write("small.txt", b"fresh bread at noon")
    bakery.consent("deliver", "anna", "small.txt", "--slot", "1")
    began = time.monotonic()
    wait_for(lambda: b"fresh bread at noon" in received(anna, "quick").values(), "it has arrived", 10)
    took = time.monotonic() - began
    print(f"with --follow it is there {took:.2f} s after the end of deliver")
    assert took < 2
    assert "agreement" in process.stdout.readline()
    process.kill()
    process.wait()


def killed(anna, bakery):
    """SIGKILL at some twenty moments of the receiving; what was delivered is there at the end, once."""
    content = os.urandom(700_000)
    bakery.write("many.bin", content)
    bakery.consent("deliver", "anna", "many.bin", "--slot", "1")
    for moment in range(20):
        process = anna.start("inbox", "--to", "killed")
        time.sleep(0.05 + 0.03 * moment)
        process.kill()
        process.wait()
    anna.consent("inbox", "--to", "killed")
    got = received(anna, "killed")
    assert list(got.values()) == [content], ({name: len(value) for name, value in got.items()}, anna.told[-1])
    assert os.listdir(f"{anna.folder}/wallet.incoming") == []


def home_away(anna, bakery):
    content = os.urandom(400_000)
    bakery.write("late.bin", content)
    anna.home.stop()
    said = bakery.consent("deliver", "anna", "late.bin", "--slot", "1", "--timeout", "2", expected=1)
    says(said, "Nothing is lost", "consent deliver --resume")
    assert len(os.listdir(f"{bakery.folder}/wallet.outbox")) == 1
    anna.home.start()

    def resumed():
        with contextlib.suppress(AssertionError):
            bakery.consent("deliver", "--resume", "--timeout", "5")
            return True
        return False
    wait_for(resumed, "it is sent", 30)
    assert os.listdir(f"{bakery.folder}/wallet.outbox") == []
    anna.consent("inbox", "--to", "late")
    assert list(received(anna, "late").values()) == [content]


def suspended(scene, anna, bakery):
    """What was sealed before a suspension, and not sent, waits for its end."""
    bakery.write("paused.txt", b"after the pause")
    anna.home.stop()
    bakery.consent("deliver", "anna", "paused.txt", "--slot", "1", "--timeout", "2", expected=1)
    anna.home.start()
    scene.settled()
    anna.consent("suspend", "bakery")
    scene.settled()
    says(bakery.consent("deliver", "--resume", expected=None), "may not be sent now", "It stays here")
    says(bakery.consent("inbox"), "It stays here")
    assert len(os.listdir(f"{bakery.folder}/wallet.outbox")) == 1
    anna.consent("resume", "bakery")
    scene.settled()
    bakery.consent("deliver", "--resume")
    assert os.listdir(f"{bakery.folder}/wallet.outbox") == []
    anna.consent("inbox", "--to", "paused")
    assert list(received(anna, "paused").values()) == [b"after the pause"]


def acknowledged(anna, bakery):
    """By themselves, once, and not of acknowledgements; a home node that is away only delays them."""
    bakery.write("crumb.txt", b"crumb")
    bakery.consent("inbox")  # what was acknowledged before
    delivery = bakery.ask("deliver", "anna", "crumb.txt", "--slot", "1")["delivery"]
    says(anna.consent("inbox", "--to", "crumbs"), f"delivery {delivery} is in", "the other side is told")
    says(bakery.consent("inbox"), f"The other side of 'anna' has delivery {delivery}, slot 1 (email)")
    says(anna.consent("inbox", "--to", "crumbs"), "Nothing has arrived")
    bakery.consent("deliver", "anna", "crumb.txt", "--slot", "1")
    anna.consent("inbox", "--to", "crumbs", "--no-acknowledge")
    says(bakery.consent("inbox"), "Nothing has arrived")
    delivery = bakery.ask("deliver", "anna", "crumb.txt", "--slot", "1")["delivery"]
    bakery.home.stop()
    says(anna.consent("inbox", "--to", "crumbs"), delivery, "Nothing is lost")
    bakery.home.start()

    def told():
        anna.consent("inbox", "--to", "crumbs")
        return delivery in bakery.consent("inbox")
    wait_for(told, "it is acknowledged", 30)
    assert len(received(anna, "crumbs")) == 3


def hostile(anna, bakery):
    """Noise in the mailbox, and the same sealed bytes again."""
    address = read_all(f"{anna.folder}/anna.consent-contact").split(f"{anna.home.name}/".encode())[1][:64].decode()
    bakery.consent("deliver", "anna", "small.txt", "--slot", "1", "--out", "sealed")
    part = read_all(f"{bakery.folder}/sealed/{os.listdir(f'{bakery.folder}/sealed')[0]}")
    for sealed in (os.urandom(1024), part):
        assert anna.home.request("POST", f"/v1/mailboxes/{address}/deliveries", sealed, {"Content-Type": "application/octet-stream"}).status == 201
    says(anna.consent("inbox", "--to", "noise"), "refused", "CL_E_DELIVERY_KEY")
    assert list(received(anna, "noise").values()) == [b"fresh bread at noon"]
    assert anna.home.request("POST", f"/v1/mailboxes/{address}/deliveries", part, {"Content-Type": "application/octet-stream"}).status == 201
    says(anna.consent("inbox", "--to", "noise"), "CL_E_DELIVERY_REPLAY")
    return address


def after_the_end(scene, anna, bakery, address):
    bakery.consent("deliver", "anna", "small.txt", "--slot", "1", "--out", "before")
    part = read_all(f"{bakery.folder}/before/{os.listdir(f'{bakery.folder}/before')[0]}")
    anna.consent("revoke", "bakery")
    scene.settled()
    says(bakery.consent("deliver", "anna", "small.txt", "--slot", "1", expected=11), "no active slot")
    assert anna.home.request("POST", f"/v1/mailboxes/{address}/deliveries", part, {"Content-Type": "application/octet-stream"}).status == 201
    says(anna.consent("inbox", "--to", "ended"), "refused and deleted", "CL_E_WITHDRAWN")
    assert received(anna, "ended") == {}
    says(anna.consent("inbox", "--to", "ended"), "Nothing has arrived")


def test(build):
    with Scene(build) as scene:
        anna, bakery = scene.party("anna", 2), scene.party("bakery", 1)
        agreement = agree(scene, anna, bakery)
        arrives(scene, anna, bakery, agreement)
        at_once(anna, bakery)
        killed(anna, bakery)
        home_away(anna, bakery)
        suspended(scene, anna, bakery)
        acknowledged(anna, bakery)
        after_the_end(scene, anna, bakery, hostile(anna, bakery))


if __name__ == "__main__":
    main(test)
