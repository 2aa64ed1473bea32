#!/usr/bin/python3
"""Connecting: from one code or offer both sides learn keys, delivery keys and mailboxes, in a consortium of four, everybody at
another node; two persons let each other use the same, in one command each. Contacts that are forged, of another agreement or old
change nothing, and neither a flood nor deliveries that never become complete keep anybody else's from arriving."""
import hashlib
import json
import os
import sys
import time

import cbor2
from ecdsa import SECP256k1, SigningKey
from ecdsa.util import sigencode_string_canonize
from nacl.public import PublicKey, SealedBox

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import codes  # noqa: E402
from consent_node import main, says, wait_for  # noqa: E402
from mailboxes import OCTETS, domain_hash  # noqa: E402
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
    os.rename(f"{anna.folder}/offers/{code[0]}", f"{anna.folder}/wallet.received/{code[0]}")
    anna.consent("forget", "more.1.return")
    assert not os.path.exists(f"{anna.folder}/wallet.received/{code[0]}"), "a code with text and salts outlives them"


def offers_of_a_friend(scene, anna, ben):
    """Under an agreement whose card asked for the same in return: the same again, the same for less time, and no code at all. Nothing
    is accepted for her a second time, nor what differs."""
    ben.consent("grant", "again", "--terms", "terms.txt", "--until", "2099-12-31", "--code", "again.code")
    anna.consent("terms", "publish", "terms.txt", "--limit", "1", "--standing", "--in-return", "--until", "2099-12-31", "--name", "fresh", "--code", "fresh.code")
    anna.hand_over("fresh.code", ben)
    scene.settled()
    ben.consent("subscribe", "fresh", "--code", "fresh.code", "--in-return", "none")
    ben.consent("grant", "shorter", "--terms", "terms.txt", "--until", "2098-12-31", "--code", "shorter.code")
    scene.settled()
    anna.consent("inbox", "--to", "first")
    ben.consent("inbox")
    for name, known_as in (("again.code", "anna2"), ("shorter.code", "fresh")):
        code = ben.read(name).rstrip(b"\n")
        ben.write("exact.code", code)
        ben.consent("deliver", known_as, "exact.code", "--kind", "notice", "--media-type", "application/vnd.consent-code")
        says(anna.consent("inbox", "--to", "offered"), "the other side offers you this", f"until {'2099' if name == 'again.code' else '2098'}-12-31", "accepts")
    ben.write("exact.code", code[:-3])
    ben.consent("deliver", "fresh", "exact.code", "--kind", "notice", "--media-type", "application/vnd.consent-code")
    says(anna.consent("inbox", "--to", "offered"), "refused and deleted")
    assert "fresh.1.return" not in names(anna)
    for name in ("again", "shorter"):
        assert ben.ask("show", name)["state"] == "offered", name


# ---- what must not work

def deposit(node, mailbox, sealed):
    """As anybody can who has the address. Returns the HTTP status, once the node does not find it too fast."""
    while True:
        answer = node.request("POST", f"/v1/mailboxes/{mailbox}/deliveries", sealed, OCTETS)
        if answer.status != 429:
            return answer.status
        time.sleep(0.05)


def forged_contact(code, agreement):
    """What somebody makes who photographed the code and saw the answer on the ledger: a contact of that agreement, and the notice
    that it comes in, both signed by a key of his own."""
    mallory = SigningKey.generate(curve=SECP256k1)
    key = mallory.get_verifying_key().to_string("compressed")
    now_ms = int(time.time() * 1000) - 70_000  # so old that no node can still have to hear of a new key

    def sign(domain, fields):
        digest = domain_hash(domain, cbor2.dumps(fields, canonical=True))
        return mallory.sign_digest_deterministic(digest, hashfunc=hashlib.sha256, sigencode=sigencode_string_canonize)

    contact = [1, "consent-contact", code[1], bytes.fromhex(agreement), 2, now_ms, os.urandom(32), [], key]
    contact = cbor2.dumps(contact + [sign("consent/v1 contact", contact)], canonical=True)
    fields = [1, code[1], bytes.fromhex(agreement), 2, None, os.urandom(16), now_ms, 3, "application/vnd.consent-contact", None, 0, 1, len(contact),
              hashlib.sha256(contact).digest(), contact, key]
    part = cbor2.dumps(fields + [sign("consent/v1 delivery", fields)], canonical=True)
    return SealedBox(PublicKey(code[8][0])).encrypt(part + bytes((1024 if len(part) + 48 <= 1024 else 4096) - 48 - len(part)))


def notice(sender, known_as, contact):
    sender.consent("deliver", known_as, contact, "--kind", "notice", "--media-type", "application/vnd.consent-contact")


def contacts_that_change_nothing(anna, ben, bank, of_ben):
    code = codes.read(f"{anna.folder}/card.code")
    agreement = ben.ask("show", "anna")["object"]
    assert deposit(anna.home, code[8][2].hex(), forged_contact(code, agreement)) == 201
    says(anna.consent("inbox"), "refused and deleted", "CL_E_DELIVERY_SENDER")
    ben.consent("contact", "anna", "--no-mailbox", "-o", "old.consent-contact")
    time.sleep(0.01)
    ben.consent("contact", "anna", "-o", "new.consent-contact")
    ben.hand_over("new.consent-contact", bank)
    notice(bank, "anna", "new.consent-contact")  # of an agreement that is not his
    says(anna.consent("inbox"), "refused and deleted", "CL_E_DELIVERY_AGREEMENT")
    notice(ben, "anna", "new.consent-contact")
    says(anna.consent("inbox"), f"{of_ben}: the other side can be reached")
    notice(ben, "anna", "old.consent-contact")
    says(anna.consent("inbox"), "not newer")
    ben.hand_over("old.consent-contact", anna)
    anna.write("hello.txt", b"still there")
    anna.consent("deliver", of_ben, "hello.txt", "--slot", "1", "--contact", "old.consent-contact")  # by hand neither
    anna.consent("import", "new.consent-contact", expected=3)
    ben.hand_over("new.consent-contact", anna)
    anna.write("damaged.consent-contact", anna.read("new.consent-contact")[:-1])
    anna.consent("deliver", of_ben, "hello.txt", "--slot", "1", "--contact", "damaged.consent-contact", expected=1)
    ben.consent("inbox", "--to", "mail")
    assert b"still there" in received(ben, "mail").values()


def flooded(scene, anna, carl):
    """Whoever has the code can fill its mailbox. Who answers then is heard when the maker has looked."""
    anna.consent("terms", "publish", "terms.txt", "--limit", "1", "--standing", "--name", "flood", "--code", "flood.code")
    anna.hand_over("flood.code", carl)
    mailbox, noise, stored = codes.read(f"{anna.folder}/flood.code")[8][2].hex(), os.urandom(1000), 0
    while deposit(anna.home, mailbox, noise + stored.to_bytes(24, "big")) == 201:
        stored += 1
    scene.settled()
    said = carl.consent("subscribe", "anna", "--code", "flood.code")
    says(said, "active", "Your answer stands", "the next 'consent inbox' tries again")
    said = anna.consent("inbox")
    says(said, "CL_E_DELIVERY_KEY", f"And {stored - 1} more for the same reason")
    assert len(said) < 1000, "the flood reaches the terminal"
    says(carl.consent("inbox"), "Sent what had waited here")
    says(anna.consent("inbox"), "flood.1: the other side can be reached")
    says(carl.consent("inbox"), "anna: the other side can be reached")


def home_away(scene, anna, carl):
    """The answer stands although the node with the maker's mailbox is away; the contact goes when it is back."""
    anna.consent("terms", "publish", "terms.txt", "--limit", "1", "--name", "away", "--code", "away.code")  # she will answer herself
    anna.hand_over("away.code", carl)
    scene.settled()
    anna.home.stop()
    said = carl.ask("subscribe", "late", "--code", "away.code", "--timeout", "5")
    assert said["contact"] == "waits" and said["state"] == "subscribed", said
    anna.home.start()
    scene.settled()

    def sent():
        return "Sent what had waited" in carl.consent("inbox")
    wait_for(sent, "the contact is sent", 30)
    says(anna.consent("inbox"), "away.1: the other side can be reached", "'consent grant away.1' answers")
    says(carl.consent("inbox"), "Nothing has arrived")  # she has not agreed
    says(anna.consent("grant", "away.1"), "Your contact is in the other side's mailbox")
    says(carl.consent("inbox"), "late: the other side can be reached")


def no_side_takes_the_room(anna, ben, bank, of_ben):
    """The bank leaves parts that never become complete; what Ben began to deliver before is completed after."""
    def mailbox_of(contact, sender, known_as, receiver):
        receiver.consent("contact", known_as, "-o", contact)
        return cbor2.loads(receiver.read(contact))[7][0].split("/")[1]

    def parts_of(sender, folder, size):
        sender.write("large.bin", os.urandom(size))
        sender.consent("deliver", "anna", "large.bin", "--slot", "1", "--out", folder)
        return [sender.read(f"{folder}/{name}") for name in sorted(os.listdir(f"{sender.folder}/{folder}"))]

    of_bank = next(name for name in ("card.1", "card.2") if name != of_ben)
    from_ben, from_bank = mailbox_of("b.consent-contact", ben, of_ben, anna), mailbox_of("k.consent-contact", bank, of_bank, anna)
    first, *rest = parts_of(ben, "begun", 600_000)
    assert deposit(anna.home, from_ben, first) == 201
    anna.consent("inbox")
    for attempt in range(3):
        for part in parts_of(bank, f"never-{attempt}", 16 * 1024 * 1024)[:-1]:
            assert deposit(anna.home, from_bank, part) == 201
        said = anna.consent("inbox", of_bank)
    says(said, "dropped, to make room for another one of the same agreement")
    waiting = len(os.listdir(f"{anna.folder}/wallet.incoming"))
    assert 138 - 68 < waiting <= 138 + 1, waiting
    for part in rest:
        assert deposit(anna.home, from_ben, part) == 201
    anna.consent("inbox", "--to", "rest")
    assert list(received(anna, "rest").values()) == [ben.read("large.bin")], anna.told[-1]


def at_once(anna, ben, bank, of_ben):
    """With many mailboxes, of which one gets something; and names keep the others out."""
    bank.write("hello.txt", b"wait")
    bank.consent("deliver", "anna", "hello.txt", "--slot", "1")
    said = anna.consent("inbox", of_ben, "--to", "named")
    says(said, "Nothing has arrived")
    anna.consent("inbox", "nobody", expected=3)
    anna.consent("inbox")
    keys = [key["name"] for key in anna.ask("key", "list")["keys"] if key["name"].endswith((".mailbox", ".in-return"))]
    assert len(keys) >= 10, keys
    process = anna.start("inbox", "--follow", "--to", "quick", "--json")
    wait_for(lambda: f"consent_mailbox_waiting_fetches {len(keys)}\n" in anna.home.get("/metrics").body.decode(), "it waits at all of them")
    ben.write("hello.txt", b"at once")
    ben.consent("deliver", "anna", "hello.txt", "--slot", "1")
    began = time.monotonic()
    wait_for(lambda: b"at once" in received(anna, "quick").values(), "it has arrived", 10)
    took = time.monotonic() - began
    print(f"with {len(keys)} mailboxes it is there {took:.2f} s after the end of deliver")
    assert took < 1 and json.loads(process.stdout.readline())["kind"] == "data"
    anna.consent("terms", "publish", "terms.txt", "--limit", "1", "--standing", "--name", "later", "--code", "later.code")  # the wallet is free
    anna.hand_over("later.code", bank)
    anna.scene.settled()
    bank.consent("subscribe", "again", "--code", "later.code")
    assert json.loads(process.stdout.readline())["contact"] == "kept"  # of a mailbox that was opened meanwhile, and saved in the same wallet
    assert {"later", "later.1"} <= set(names(anna)), "one of the two commands lost what the other saved"
    process.kill()
    process.wait()


def test(build):
    with Scene(build) as scene:
        anna, ben, bank, carl = scene.party("anna", 2), scene.party("ben", 3), scene.party("bank", 1), scene.party("carl", 0)
        bank.consent("profile", "bank", "--display", "A bank")
        anna.write_terms()
        by_code_for_many(scene, anna, ben, bank)
        of_ben = next(name for name in ("card.1", "card.2") if anna.ask("show", name)["object"] == ben.ask("show", "anna")["object"])
        mutual(scene, anna, ben)
        other_terms_in_return(scene, anna, ben)
        offers_of_a_friend(scene, anna, ben)
        contacts_that_change_nothing(anna, ben, bank, of_ben)
        flooded(scene, anna, carl)
        home_away(scene, anna, carl)
        no_side_takes_the_room(anna, ben, bank, of_ben)
        at_once(anna, ben, bank, of_ben)


if __name__ == "__main__":
    main(test)
