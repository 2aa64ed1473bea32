#!/usr/bin/python3
"""A counterparty that does not keep to the product's own ways, with deliveries sealed by PyNaCl: the same id under two agreements;
parts of deliveries that are never whole, without end; a delivery of one agreement sealed to the key of another, which would tell
that both are of one wallet. And a machine that is short of memory loses nothing."""
import hashlib
import os
import re
import resource
import sys
import time

import cbor2
from ecdsa import SECP256k1, SigningKey
from nacl.public import PublicKey, SealedBox

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", part) for part in ("lib", "interop")]
from consent_node import main, says  # noqa: E402
from delivery_python import CLASSES, PART, secret_of, sign  # noqa: E402
from mailboxes import OCTETS  # noqa: E402
from scene import Scene, read_all  # noqa: E402

SHARE_PARTS_MAX = 138  # tools/inbox_parts.c


class Side:
    """What the other side of an agreement with Anna needs to deliver: her contact, its own key."""

    def __init__(self, anna, name, signer):
        anna.consent("contact", name, "-o", f"{name}.consent-contact")
        fields = cbor2.loads(anna.read(f"{name}.consent-contact"))
        self.network, self.agreement, self.delivery, self.mailbox = fields[2], fields[3], fields[6], fields[7][0].split("/")[1]
        self.anna, self.signer = anna, signer

    def seal(self, content, identity, parts=1, key=None, later_s=0, signer=None):
        """One part, the last of so many; key: another one to seal to; later_s: by how much the sender's clock is ahead; signer: another one."""
        signer = signer or self.signer
        length = (parts - 1) * PART + len(content)
        fields = [1, self.network, self.agreement, 2, 1, identity, int((time.time() + later_s) * 1000), 1, "text/plain", None, parts - 1, parts, length,
                  hashlib.sha256(content).digest(), content, signer.get_verifying_key().to_string("compressed")]
        fields.append(sign(fields, signer))
        part = cbor2.dumps(fields, canonical=True)
        room = next(size for size in CLASSES if len(part) + 48 <= size) - 48
        return SealedBox(PublicKey(key or self.delivery)).encrypt(part + bytes(room - len(part)))

    def deposit(self, sealed):
        """Slowly enough for the mailbox."""
        for _ in range(100):
            answer = self.anna.home.request("POST", f"/v1/mailboxes/{self.mailbox}/deliveries", sealed, OCTETS)
            if answer.status != 429:
                break
            time.sleep(0.2)
        assert answer.status == 201, answer


def agree(scene, anna, bakery, name):
    key = bakery.ask("key", "list")["keys"][0]["did"]
    anna.consent("grant", name, "--to", key, "--terms", "terms.txt", "-o", f"{name}.consent-offer")
    anna.hand_over(f"{name}.consent-offer", bakery)
    scene.settled()
    bakery.consent("subscribe", "--offer", f"{name}.consent-offer", "--key", bakery.name, "--name", f"anna-{name}")
    scene.settled()
    listed = sorted((int(number), word) for number, word in re.findall(r"(\d+) ([a-z]+) *(?=\d|\n)", bakery.told[0]))
    wallet = {"words": " ".join(word for _, word in listed), "keys": bakery.ask("key", "list")["keys"]}
    own = next(entry for entry in wallet["keys"] if entry["did"] == key)
    return Side(anna, name, SigningKey.from_string(secret_of(wallet, bytes.fromhex(own["public_key"])), curve=SECP256k1))


def received(anna):
    folder = f"{anna.folder}/wallet.received"
    return sorted(read_all(f"{folder}/{name}") for name in os.listdir(folder)) if os.path.isdir(folder) else []


def one_id_twice(anna, first, second):
    identity = os.urandom(16)
    first.deposit(first.seal(b"what was agreed", identity))
    says(anna.consent("inbox"), "under 'first'")
    second.deposit(second.seal(b"something else", identity))
    says(anna.consent("inbox"), "under 'second'")
    assert received(anna) == [b"something else", b"what was agreed"], received(anna)


def one_wallet_or_two(anna, first, second):
    """Whoever is the other side of both, or compares what he knows with the other one, learns nothing by what is taken."""
    waiting = len(os.listdir(f"{anna.folder}/wallet.outbox"))
    second.deposit(second.seal(b"sealed to the other's key", os.urandom(16), key=first.delivery))
    says(anna.consent("inbox"), "refused", "CL_E_DELIVERY_AGREEMENT")
    first.deposit(second.seal(b"in the other's mailbox", os.urandom(16)))
    says(anna.consent("inbox"), "refused", "CL_E_DELIVERY_AGREEMENT")
    first.deposit(second.seal(b"x", os.urandom(16), parts=2))
    says(anna.consent("inbox"), "refused", "CL_E_DELIVERY_AGREEMENT")
    assert len(received(anna)) == 2 and os.listdir(f"{anna.folder}/wallet.incoming") == []
    assert len(os.listdir(f"{anna.folder}/wallet.outbox")) == waiting, "nothing is acknowledged"


def never_whole(anna, first, second):
    """Last parts of deliveries whose others never come."""
    for _ in range(SHARE_PARTS_MAX + 20):
        second.deposit(second.seal(b"x", os.urandom(16), parts=2))
    says(anna.consent("inbox"), "to make room for another one of the same agreement")
    names = os.listdir(f"{anna.folder}/wallet.incoming")
    assert len(names) == SHARE_PARTS_MAX, len(names)
    told = (second.agreement.hex(), second.mailbox, hashlib.sha256(second.agreement).hexdigest())
    assert not any(text[:12] in name for text in told for name in names), "whoever reads names cannot try whose they are"
    first.deposit(first.seal(b"still here", os.urandom(16)))
    says(anna.consent("inbox"), "under 'first'")
    assert b"still here" in received(anna)
    for name in names:
        os.remove(f"{anna.folder}/wallet.incoming/{name}")


def a_little_early(anna, first):
    """A sender whose clock is more than two minutes ahead, and one whose new key the node may not know yet, are waited for."""
    incoming = f"{anna.folder}/wallet.incoming"
    first.deposit(first.seal(b"from a fast clock", os.urandom(16), later_s=128))
    assert "refused" not in anna.consent("inbox") and len(os.listdir(incoming)) == 1 and b"from a fast clock" not in received(anna)
    time.sleep(9)
    says(anna.consent("inbox"), "under 'first'")
    assert b"from a fast clock" in received(anna) and os.listdir(incoming) == []
    first.deposit(first.seal(b"by a key that nobody knows", os.urandom(16), later_s=-53, signer=SigningKey.generate(curve=SECP256k1)))
    assert "refused" not in anna.consent("inbox") and len(os.listdir(incoming)) == 1
    time.sleep(8)
    says(anna.consent("inbox"), "refused and deleted", "CL_E_DELIVERY_SENDER")
    assert b"by a key that nobody knows" not in received(anna) and os.listdir(incoming) == []
    first.deposit(first.seal(b"from far ahead", os.urandom(16), later_s=700))
    says(anna.consent("inbox"), "refused and deleted", "CL_E_TIME_AHEAD")


def short_of_memory(anna, bakery):
    """The command has no room for the whole when all of it is there."""
    content = os.urandom(16 * 1024 * 1024)
    process = anna.start("inbox", "--follow", "--json")
    time.sleep(3)  # it follows
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    most = pages * resource.getpagesize() + 12 * 1024 * 1024
    resource.prlimit(process.pid, resource.RLIMIT_AS, (most, most))
    bakery.write("long", content)
    bakery.consent("deliver", "anna-first", "long", "--slot", "1")
    code = process.wait(60)
    print("the command that had no room:", code, process.stderr.read().strip()[-200:])
    assert code == 1
    anna.consent("inbox")
    assert content in received(anna)


def erased(scene, anna):
    anna.consent("revoke", "second")
    scene.settled()
    anna.consent("erase", "second")
    assert b"something else" not in received(anna) and b"what was agreed" in received(anna)


def test(build):
    with Scene(build) as scene:
        anna, bakery = scene.party("anna", 2), scene.party("bakery", 1)
        anna.write_terms()
        first, second = agree(scene, anna, bakery, "first"), agree(scene, anna, bakery, "second")
        anna.consent("inbox")
        bakery.consent("inbox")
        one_id_twice(anna, first, second)
        one_wallet_or_two(anna, first, second)
        never_whole(anna, first, second)
        a_little_early(anna, first)
        if b"__sanitizer" not in read_all(f"{build}/consent"):  # those need room themselves, and report that there is none
            short_of_memory(anna, bakery)
        erased(scene, anna)


if __name__ == "__main__":
    main(test)
