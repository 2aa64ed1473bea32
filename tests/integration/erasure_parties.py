#!/usr/bin/python3
"""Erasure at both sides, with deliveries under way. Anna's mailbox is at node 2, the bakery's at node 1. When it begins, sealed
parts have arrived, wait at both nodes, wait to be sent, and have come in without the rest; both sides keep contacts, logs,
texts, and copies of their wallets. After revoke and erase on both sides nothing of it is in any file of either party's wallet,
in what the words open there, in the copies once they were brought up to date, or in any node's data folder; and the search
does find all of it before. A node that is away is said, and done by a later command. The ledger verifies."""
import os
import re
import subprocess
import sys

import cbor2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, says, wait_for  # noqa: E402
from mailboxes import OCTETS  # noqa: E402
from open_store import backup_content, everything, exchanges_of, item_content, items_of, keys_of, marks_of, values_of  # noqa: E402
from scene import Scene, read_all  # noqa: E402

FETCHED = b"the statement of October, fetched and read"


class Side:
    """A party, what the other calls it, and its words."""

    def __init__(self, party):
        self.party = party
        self.words = " ".join(re.findall(r"\d+ ([a-z]+)", party.told[0].split("shown this once")[1])[:24])

    def agreement(self):
        """The agreement's content and its key, by other means than the product."""
        self.party.consent("key", "backup", "-o", "stick.backup")
        keys = keys_of(self.words, f"{self.party.folder}/wallet.store")
        for item in items_of(backup_content(self.words, f"{self.party.folder}/stick.backup")).values():
            content = item_content(item, keys)
            if content is not None and content[1] and len(item[1]) == 32 and item[1].hex() == self.id:
                return content, keys[item[0]][1]
        raise AssertionError("no content of the agreement")

    def layers(self):
        """By name: all files of the wallet and of the copy with their names, and what the words open in them."""
        folder = self.party.folder
        found = {path: data + path.encode() for path, data in everything(folder).items() if os.path.relpath(path, folder).startswith(("wallet", "stick"))}
        for name in ("wallet", "stick"):
            keys, store = keys_of(self.words, f"{folder}/{name}.store"), f"{folder}/{name}.store"
            backup = backup_content(self.words, f"{folder}/{name}.backup")
            found[f"{self.party.name}, {name}: keys"] = b"".join(key[1] for key in keys.values())
            found[f"{self.party.name}, {name}: exchanges"] = b"".join(exchanges_of(self.words, store))
            found[f"{self.party.name}, {name}: vault"] = b"".join(values_of(keys, store))
            found[f"{self.party.name}, {name}: backup"] = backup
            for title, item in items_of(backup).items():
                salt, bodies, proof = item_content(item, keys) or (None, [], b"")
                found[f"{self.party.name}, {name}: {title}"] = b"".join([salt or b"", *bodies, proof])
        return found


def where(marks, layers):
    """The marks that are found, and where."""
    return {what: [name for name, data in layers.items() if any(form in data for form in forms)] for what, forms in marks.items()
            if any(form in data for data in layers.values() for form in forms)}


def nodes(scene):
    return {f"{member.name}: {path}": data for member in scene for path, data in everything(member.root).items()}


def chunks(sealed):
    """Some of a sealed part's bytes: a database may cut it anywhere."""
    return [sealed[at:at + 64] for at in range(100, len(sealed) - 64, max(len(sealed) // 5, 64))]


def address_of(path):
    return re.search(rb"([a-z0-9-]+)/([0-9a-f]{64})", read_all(path)).groups()


def sealed_parts(sender, folder, content, agreement_name):
    """A delivery whose parts are at hand: their bytes, and its id."""
    sender.write(f"{folder}.bin", content)
    told = sender.ask("deliver", agreement_name, f"{folder}.bin", "--slot", "1", "--out", folder)
    return told["delivery"], [read_all(path if path[0] == "/" else f"{sender.folder}/{path}") for path in sorted(told["files"])]


def post(home, address, sealed):
    answer = home.request("POST", f"/v1/mailboxes/{address[1].decode()}/deliveries", sealed, OCTETS)
    assert answer.status == 201, answer


def begin(scene, anna, bakery):
    """The agreement, contacts, one fetched delivery each way."""
    bakery.party.consent("profile", "bakery", "--display", "Bakery Ltd")
    anna.party.write_terms()
    anna.id = bakery.id = scene.agreement(anna.party, bakery.party, "bakery", "anna")
    anna.party.consent("contact", "bakery", "-o", "anna.consent-contact")
    bakery.party.consent("contact", "anna", "-o", "bakery.consent-contact")
    anna.party.hand_over("anna.consent-contact", bakery.party)
    bakery.party.hand_over("bakery.consent-contact", anna.party)
    for side, other, name in ((anna, "bakery", "bakery.consent-contact"), (bakery, "anna", "anna.consent-contact")):
        side.party.consent("import", name)
        side.party.write("fetched.txt", FETCHED)
        side.delivered = side.party.ask("deliver", other, "fetched.txt", "--slot", "1")["delivery"]
    for side in (anna, bakery):
        side.party.consent("inbox")
        assert FETCHED in everything(f"{side.party.folder}/wallet.received").values()


def under_way(scene, anna, bakery):
    """Returns marks of what waits at the nodes, of what waits to be sent, and of what came in incomplete."""
    marks = {}
    for side, other, name, contact in ((anna, bakery, "bakery", "bakery.consent-contact"), (bakery, anna, "anna", "anna.consent-contact")):
        address = address_of(f"{side.party.folder}/{contact}")
        assert address[0].decode() == other.party.home.name
        title = side.party.name
        marks[f"id of what {title} delivered"] = [bytes.fromhex(side.delivered), side.delivered.encode()]
        _, parts = sealed_parts(side.party, "incomplete", os.urandom(400_000), name)
        assert len(parts) > 1
        for part in parts[:-1]:
            post(other.party.home, address, part)
        other.party.consent("inbox")
        assert len(os.listdir(f"{other.party.folder}/wallet.incoming")) == len(parts) - 1
        marks[f"a part from {title} that came in"] = chunks(parts[0])
        _, parts = sealed_parts(side.party, "waiting", os.urandom(3000), name)
        post(other.party.home, address, parts[0])
        marks[f"a part from {title} that waits at the node"] = chunks(parts[0])
    for side, other, name in ((anna, bakery, "bakery"), (bakery, anna, "anna")):
        other.party.home.stop()
        side.party.write("late.bin", os.urandom(2000))
        side.party.consent("deliver", name, "late.bin", "--slot", "1", "--timeout", "1", expected=1)
        other.party.home.start()
        (waiting,) = os.listdir(f"{side.party.folder}/wallet.outbox")
        (part,) = [name for name in os.listdir(f"{side.party.folder}/wallet.outbox/{waiting}") if name != "to"]
        marks[f"a part from {side.party.name} in the outbox"] = chunks(read_all(f"{side.party.folder}/wallet.outbox/{waiting}/{part}"))
        marks[f"its id, from {side.party.name}"] = [waiting.encode()]
    return marks


def kept_marks(anna, bakery):
    """Texts, salts, keys, contacts, what was received."""
    marks = {"what was received": [FETCHED]}
    for side in (anna, bakery):
        content, key = side.agreement()
        marks |= {f"{what} ({side.party.name})": [mark] for what, mark in marks_of(content, key).items() if mark}
        (exchange,) = exchanges_of(side.words, f"{side.party.folder}/wallet.store")
        contact, _, _, opened, _, _ = cbor2.loads(exchange)
        marks[f"the contact that {side.party.name} has"] = [contact]
        marks |= {f"a delivery that {side.party.name} opened ({number})": [entry[1], entry[1].hex().encode()] for number, entry in enumerate(cbor2.loads(opened)[3])}
    return marks


def both_erase(scene, anna, bakery):
    scene.settled()
    anna.party.consent("suspend", "bakery")
    anna.party.consent("resume", "bakery")
    anna.party.consent("revoke", "bakery")
    scene.settled()
    assert len([name for name in os.listdir(anna.party.folder) if "accepted-" in name]) == 2
    # the node that keeps anna's mailbox is away: another takes her statement, and what is left to do is said, and done later
    anna.party.home.stop()
    said = anna.party.consent("erase", "bakery", home=scene[0])
    says(said, "Destroyed here: text, salt and proofs, the other side's contact,", "2 signed acceptances", "1 received file", "1 unsent sealed part", "1 incoming sealed part", "Not closed yet: the mailbox", anna.party.home.url)
    anna.party.home.start()
    assert "is closed" not in anna.party.consent("list", "--refresh", home=scene[0])
    says(anna.party.consent("list", "--refresh"), "The mailbox of what was erased or forgotten", "is closed, with 1 sealed part that waited there")
    assert "mailbox" not in anna.party.consent("list", "--refresh")
    anna.party.consent("inbox", expected=3)
    said = bakery.party.consent("erase", "anna")
    says(said, "is closed, with 1 sealed part that waited there", "1 received file")
    for side in (anna, bakery):
        side.party.consent("key", "backup", "-o", "stick.backup")
        assert [name for name in os.listdir(side.party.folder) if name.startswith("wallet.erasing")] == []


def nothing_is_left(scene, anna, bakery, marks):
    for side in (anna, bakery):
        left = where(marks, side.layers())
        assert not left, f"{side.party.name} has {left}"
    marks = {what: forms for what, forms in marks.items() if not what.startswith("the audience salt")}  # the answer's opening
    wait_for(lambda: not where(marks, nodes(scene)), "the nodes' files have nothing of it", 60)
    assert not where(marks, nodes(scene))


def the_ledger_verifies(scene, bakery):
    says(bakery.party.consent("audit", bakery.party.home.url, "--once", "--state", "audit.state"), "good")
    scene.stop()
    for member in scene:
        done = subprocess.run([member.program, "check", "--data", member.data], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr


def test(build):
    with Scene(build, "[mailbox]\ncompact_s = 2\n") as scene:
        anna, bakery = Side(scene.party("anna", 2)), Side(scene.party("bakery", 1))
        begin(scene, anna, bakery)
        marks = under_way(scene, anna, bakery) | kept_marks(anna, bakery)
        missed = marks.keys() - where(marks, anna.layers() | bakery.layers() | nodes(scene)).keys()
        assert not missed, f"the search does not find {missed} where they are"
        both_erase(scene, anna, bakery)
        nothing_is_left(scene, anna, bakery, marks)
        the_ledger_verifies(scene, bakery)
        print(f"{len(marks)} marks of one agreement, found before, are in no file of two parties and four nodes")


main(test)
