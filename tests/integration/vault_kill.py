#!/usr/bin/python3
"""kill -9 before any call that changes the disk (kill_at.c), in turn, while a data item is put, changed or removed, an
agreement erased or forgotten (with all that was exchanged under it), a backup brought up to date: afterwards there is the old state or the new one, whole, and the
next command leaves no file behind that belongs to nothing."""
import json
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Node, main  # noqa: E402
from open_store import backup_content, item_content, items_of, keys_of, secret_of  # noqa: E402
from vault import canonical, exchange_file, exchange_name  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
CALLS_MAX = 200


class World:
    def __init__(self, build):
        self.program, self.node = f"{build}/consent", Node(build).start()
        self.root = self.node.root
        with open(self.path("pass"), "w", encoding="utf-8") as file:
            file.write("correct horse\n")
        self.environment = {**os.environ, "CONSENT_NODE": self.node.url, "CONSENT_PASSPHRASE_FILE": self.path("pass"), "CONSENT_WALLET": self.path("now/alice")}
        self.library = self.path("kill_at.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.library, f"{HERE}/kill_at.c", "-ldl"], check=True, timeout=60)

    def path(self, name):
        return f"{self.root}/{name}"

    def run(self, *words, data=b"", **environment):
        return subprocess.run([self.program, *words], cwd=self.root, env={**self.environment, **environment}, input=data,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)

    def good(self, *words, data=b""):
        done = self.run(*words, data=data)
        assert done.returncode == 0, f"{words}: {done.stdout[-500:]}{done.stderr[-500:]}"
        return done.stdout

    def killed_at(self, call, words, data):
        """Begins again from the same state; whether it was killed."""
        shutil.rmtree(self.path("now"))
        shutil.copytree(self.path("before"), self.path("now"))
        asan = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        done = self.run(*words, data=data, LD_PRELOAD=self.library, KILL_AT=str(call), ASAN_OPTIONS=asan)
        assert done.returncode in (0, -signal.SIGKILL), f"{words} at {call}: exit {done.returncode}, {done.stderr[-500:]}"
        return done.returncode != 0


RECEIVED, UNSENT = "aa" * 16, "bb" * 16


def exchanged(world, words, agreement):
    """What the bank's side would have left here: its exchange file, a file that it sent, and a delivery to it."""
    secret = secret_of(words, "consent:store", "consent/v1 store key")
    identity = exchange_name(secret, agreement)
    content = canonical([b"", 0, [], canonical([1, "consent-opened", 0, [[1, bytes.fromhex(RECEIVED)]]]), 0, []])
    with open(world.path(f"now/alice.store/{identity.hex()}.exchange"), "wb") as file:
        file.write(exchange_file(secret, bytes(24), identity, content))
    os.makedirs(world.path(f"now/alice.outbox/{UNSENT}"))
    os.mkdir(world.path("now/alice.received"))
    for path, data in ((f"received/{RECEIVED}", b"bread"), ("received/of-others", b"flour"), (f"outbox/{UNSENT}/x-01-of-01.consent-delivery", b"sealed"),
                       (f"outbox/{UNSENT}/to", f"solo/{'0' * 64} {agreement.hex()} 1 1\n".encode())):
        with open(world.path(f"now/alice.{path}"), "wb") as file:
            file.write(data)


def exchanged_is_left(world):
    """Which of these things are there."""
    names = os.listdir(world.path("now"))
    assert not {"alice.erasing", "alice.erased"} & set(names), f"left over: {names}"  # a half-written one says nothing
    assert "of-others" in os.listdir(world.path("now/alice.received"))
    return (any(name.endswith(".exchange") for name in os.listdir(world.path("now/alice.store"))), any(".accepted-" in name for name in names),
            UNSENT in os.listdir(world.path("now/alice.outbox")), RECEIVED in os.listdir(world.path("now/alice.received")))


def prepare(world):
    os.mkdir(world.path("now"))
    words = json.loads(world.good("key", "new", "--name", "alice", "--no-ask", "--json"))["words"]
    with open(world.path("t.txt"), "wb") as file:
        file.write(world.good("terms", "new"))
    for name in ("bank", "shop"):
        world.good("grant", name, "--to", "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme", "--terms", "t.txt")
    bank = json.loads(world.good("show", "bank", "--json"))["object"]
    world.good("contact", "bank", "-o", "x.consent-contact")  # which opens a mailbox
    world.good("revoke", "bank")  # whose acceptance is kept
    exchanged(world, words, bytes.fromhex(bank))
    world.good("vault", "put", "email", "--category", "pd:EmailAddress", "-", data=b"a@example.org\n")
    world.good("vault", "put", "address", "--category", "pd:PhysicalAddress", "-", data=b"7 Mill Lane\n")
    world.good("key", "backup", "-o", "now/stick.backup")
    shutil.copytree(world.path("now"), world.path("before"))
    return words


def seen(world, words, folder):
    """What a folder holds, without the product: names and values of the vault by its list, contents by the words' keys."""
    keys = keys_of(words, world.path(folder))
    for name in os.listdir(world.path(folder)):
        assert name.endswith((".key", ".value", ".exchange")), f"left over: {name}"
    named = {key[7].hex() for key in keys.values() if key[0] == 2}
    there = {name[:32] for name in os.listdir(world.path(folder)) if name.endswith(".value")}
    assert named == there, f"values {there} of which {named} are somebody's"
    return keys


def state(world, words):
    """The vault, and which agreements show their content, as the next commands have them."""
    vault = {item["name"]: world.good("vault", "show", item["name"]) for item in json.loads(world.good("vault", "list", "--json"))["items"]}
    keys = seen(world, words, "now/alice.store")
    world.good("key", "backup", "-o", "now/check.backup")
    contents = {name: item_content(item, keys)[1] != [] for name, item in items_of(backup_content(words, world.path("now/check.backup"))).items()}
    assert len(keys) == len(vault) + len(contents), f"{len(keys)} keys of {len(vault)} data items and {len(contents)} agreements"
    return vault, contents, exchanged_is_left(world)


def walk(world, words, command, data=b""):
    """Kills it at every call in turn; the old state until some call, the new one from there on."""
    old, new, kills = None, None, []
    assert not world.killed_at(0, command, data)
    new = state(world, words)
    shutil.rmtree(world.path("now"))
    shutil.copytree(world.path("before"), world.path("now"))
    old = state(world, words)
    for call in range(1, CALLS_MAX):
        if not world.killed_at(call, command, data):
            break
        now = state(world, words)
        assert now in (old, new), f"{command} killed at {call}: {now} is neither {old} nor {new}"
        kills.append(now == new)
    assert 4 < len(kills) < CALLS_MAX - 1, f"{command}: {len(kills)} kills"
    assert old == new or (kills[0] is False and kills == sorted(kills)), f"{command}: from the new state back to the old: {kills}"
    print(f"{' '.join(command[:2])}: {len(kills)} kills, new from {kills.index(True) + 1 if True in kills else 'the end'} on", flush=True)


def test(build):
    world = World(build)
    try:
        words = prepare(world)
        walk(world, words, ("vault", "put", "phone", "--category", "pd:TelephoneNumber", "-"), b"0123\n")
        walk(world, words, ("vault", "change", "email", "-"), b"b@example.org\n")
        walk(world, words, ("vault", "remove", "email"))
        walk(world, words, ("erase", "bank", "--save", "erase.cose"))
        assert exchanged_is_left(world) == (False, False, False, False)
        walk(world, words, ("forget", "shop"))
        # a copy elsewhere that is interrupted is finished by the next one
        shutil.rmtree(world.path("before"))
        shutil.copytree(world.path("now"), world.path("before"))  # the shop is forgotten, the stick still has it
        for call in range(1, CALLS_MAX):
            if not world.killed_at(call, ("key", "backup", "-o", "now/stick.backup"), b""):
                break
            world.good("key", "backup", "-o", "now/stick.backup")
            assert seen(world, words, "now/stick.store").keys() == seen(world, words, "now/alice.store").keys(), call
        assert 4 < call < CALLS_MAX - 1
        print(f"key backup: {call - 1} kills")
        world.node.stop()
    finally:
        world.node.close()


main(test)
