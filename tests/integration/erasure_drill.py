#!/usr/bin/python3
"""Erasure at the wallet's side. After `consent erase` no salt, no body and no key of that agreement is in any file
beside the wallet, nor in what the words open: the present backup, and a copy of wallet and backup that somebody kept. The
ledger verifies. A new machine has everything of what was not erased, from the words, the backup and its folder."""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Node, main  # noqa: E402
from open_store import backup_content, everything, item_content, items_of, keys_of, marks_of  # noqa: E402


class World:
    def __init__(self, build):
        self.program, self.node = f"{build}/consent", Node(build).start()
        self.root = self.node.root
        os.mkdir(self.path("home"))
        self.environment = {**os.environ, "CONSENT_NODE": self.node.url, "CONSENT_PASSPHRASE_FILE": self.path("pass", b"correct horse\n")}

    def path(self, name, data=None):
        path = f"{self.root}/{name}"
        if data is not None:
            with open(path, "wb") as file:
                file.write(data)
        return path

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def run(self, who, *words, status=0, data=b""):
        done = subprocess.run([self.program, *words], cwd=self.root, env={**self.environment, "CONSENT_WALLET": self.path(who)}, input=data,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
        assert done.returncode == status, f"{words}: exit {done.returncode}, {done.stdout[-500:]}{done.stderr[-500:]}"
        return done.stdout, done.stderr.decode()


def found(marks, data):
    return [what for what, mark in marks.items() if mark in data]


def prepare(world):
    """Alice shares with a bank and a shop, and keeps two data items."""
    words = json.loads(world.run("home/alice", "key", "new", "--name", "alice", "--no-ask", "--json")[0])["words"]
    world.run("acme", "key", "new", "--name", "office", "--no-ask")
    profile = json.loads(world.run("acme", "profile", "acme", "--display", "Acme Ltd", "--json")[0])["object"]
    world.path("t.txt", world.run("home/alice", "terms", "new")[0])
    for name in ("bank", "shop"):
        world.run("home/alice", "grant", name, "--to", profile, "--terms", "t.txt", "-o", f"{name}.consent-offer")
        world.run("acme", "subscribe", name, "--offer", f"{name}.consent-offer", "--as", "acme")
        world.run("home/alice", "proof", name, "-o", f"{name}.consent-proof")
    world.run("home/alice", "vault", "put", "email", "--category", "pd:EmailAddress", "-", data=b"alice@example.org\n")
    world.run("home/alice", "vault", "put", "address", "--category", "pd:PhysicalAddress", "-", data=b"7 Mill Lane\n")
    return words


def erase(world, words):
    """Returns what must be found nowhere afterwards, and what the shop's content was."""
    world.run("home/alice", "key", "backup", "-o", "stick/alice.backup")
    for name in ("alice", "alice.backup"):
        shutil.copy(world.path(f"home/{name}"), world.path(f"kept/{name}"))
    keys, items = keys_of(words, world.path("home/alice.store")), items_of(backup_content(words, world.path("home/alice.backup")))
    bank, shop = items["bank"], items["shop"]
    marks = marks_of(item_content(bank, keys), keys[bank[0]][1])
    assert len(marks) > 12 and marks["the audience salt"] is not None, marks.keys()
    assert not found(marks, b"".join(everything(world.path("home")).values())), "a secret lies open before anything is erased"
    assert item_content(bank, {0: keys[shop[0]]}) is None, "one key opens two agreements"
    world.run("home/alice", "revoke", "bank")
    out, error = world.run("home/alice", "erase", "bank")
    assert "Destroyed here: text, salt and proofs, 1 signed acceptance." in error and "no copy of this wallet shows it" in error, error
    return marks, item_content(shop, keys)


def look(world, words, marks, shop):
    """Nothing of it is left, and all of the rest is."""
    for path, data in everything(world.path("home")).items():
        assert not found(marks, data), f"{path} has {found(marks, data)}"
        assert path.endswith((".key", ".value")) or "alice.store" not in path, f"left over: {path}"
    keys = keys_of(words, world.path("home/alice.store"))
    assert marks["the key"] not in [key[1] for key in keys.values()], "the key is there"
    assert len(keys) == 4, f"{len(keys)} keys of two agreements and two data items"
    for path in ("home/alice.backup", "kept/alice.backup"):
        dump = backup_content(words, world.path(path))
        assert not found(marks, dump), f"{path} has {found(marks, dump)}"
        assert item_content(items_of(dump)["shop"], keys)[:2] == shop[:2], path
    kept = items_of(backup_content(words, world.path("kept/alice.backup")))
    assert item_content(kept["bank"], keys) is None, "the kept backup shows the content"
    assert item_content(items_of(backup_content(words, world.path("home/alice.backup")))["bank"], keys)[:2] in ([None, []],)
    # the kept wallet with its passphrase, in the place of the present one, among the keys of today
    shutil.copytree(world.path("home/alice.store"), world.path("kept/alice.store"))
    _, error = world.run("kept/alice", "export", "bank", "--body", "-o", "x.consent-body", status=3)
    assert "do not open" in error and not os.path.exists(world.path("x.consent-body")), error
    world.run("kept/alice", "export", "shop", "--body", "-o", "x.consent-body")


def the_rest(world, words, marks):
    """The ledger verifies; the stick follows; a new machine has what was not erased."""
    world.run("home/alice", "audit", world.node.url, "--once", "--state", "audit.state")
    world.run("home/alice", "proof", "bank", "-o", "after.consent-proof")
    world.run("home/alice", "verify", "after.consent-proof", status=11)
    assert "withdrawn" in world.run("home/alice", "show", "bank")[0].decode()
    world.run("home/alice", "key", "backup", "-o", "stick/alice.backup")
    stick = keys_of(words, world.path("stick/alice.store"))
    assert marks["the key"] not in [key[1] for key in stick.values()], "the stick keeps the key"
    for path, data in everything(world.path("stick")).items():
        assert not found(marks, data), path
    world.path("words", words.encode())
    recovered = json.loads(world.run("new/alice", "key", "recover", "--words-file", "words", "--backup", "stick/alice.backup", "--json")[0])
    assert (recovered["entries"], recovered["vault_items"], recovered["without_content"]) == (2, 2, 0), recovered
    for what in (("export", "shop", "--body", "-o", "-"), ("vault", "show", "email"), ("vault", "show", "address"), ("vault", "list", "--json")):
        assert world.run("new/alice", *what)[0] == world.run("home/alice", *what)[0], what
    world.run("new/alice", "rotate", "shop")  # and it goes on there
    # the backup file alone: relationships, no texts; the folder brought later opens them
    recovered, error = world.run("poor/alice", "key", "recover", "--words-file", "words", "--backup", "lone.backup", "--json")
    assert json.loads(recovered)["without_content"] == 2 and "copy that folder" in error, error
    world.run("poor/alice", "export", "shop", "--body", "-o", "x2.consent-body", status=3)
    shutil.rmtree(world.path("poor/alice.store"))
    shutil.copytree(world.path("stick/alice.store"), world.path("poor/alice.store"))
    world.run("poor/alice", "export", "shop", "--body", "-o", "x2.consent-body")
    # forgetting destroys too
    before = len(keys_of(words, world.path("home/alice.store")))
    world.run("home/alice", "forget", "shop")
    assert len(keys_of(words, world.path("home/alice.store"))) == before - 1
    world.run("home/alice", "vault", "remove", "email")
    world.run("home/alice", "vault", "show", "email", status=3)
    assert b"7 Mill Lane" in world.run("home/alice", "vault", "show", "address")[0]


def test(build):
    world = World(build)
    try:
        for folder in ("kept", "stick"):
            os.mkdir(world.path(folder))
        words = prepare(world)
        marks, shop = erase(world, words)
        look(world, words, marks, shop)
        shutil.copy(world.path("home/alice.backup"), world.path("lone.backup"))
        the_rest(world, words, marks)
        print(f"{len(marks)} secrets of one agreement are in no file")
        world.node.stop()
    finally:
        world.node.close()


main(test)
