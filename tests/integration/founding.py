#!/usr/bin/python3
"""Founding a network from the command line: every member makes keys, member files go to one of them, all get one document.
At 1, 4, 7, 31 and 128 members, with observers, and what is refused on the way."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import DEADLINE_S, main, says  # noqa: E402

SIZES = (1, 4, 7, 31, 128)


class Founders:
    def __init__(self, build):
        self.program = f"{build}/consentd"
        self.root = tempfile.mkdtemp(prefix="consent-test-")

    def run(self, *arguments, status=0):
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, timeout=DEADLINE_S)
        assert done.returncode == status, f"{arguments}: {done.returncode} {done.stdout} {done.stderr}"
        return done.stdout + done.stderr

    def data(self, name):
        return f"{self.root}/{name}"

    def member_file(self, name):
        return f"{self.data(name)}/member.json"

    def init(self, name, number, *options):
        return self.run("init", "--data", self.data(name), "--name", name, "--address", f"127.0.0.1:{20000 + 2 * number}", *options)

    def genesis(self, out, names, *options, status=0):
        path = f"{self.root}/{out}"
        said = self.run("genesis", "--origin", "test.example/log", "--out", path, *options, *(self.member_file(name) for name in names), status=status)
        return path, said


def every_size(founders):
    names = [f"member-{number}" for number in range(max(SIZES))]
    for number, name in enumerate(names):
        says(founders.init(name, number), "member.json")
    for size in SIZES:
        path, said = founders.genesis(f"{size}.json", names[:size])
        failing = (size - 1) // 3
        says(said, f"of {size} member", "" if size == 1 else f"{size - failing} of {size} have to agree; {failing} may fail")
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        assert [member["name"] for member in document["members"]] == names[:size] and "observers" not in document
        assert document["parameters"]["block_records_max"] == (8192 if size == 1 else 4096), document["parameters"]


def observers(founders):
    for number, name in enumerate(("archive", "auditor")):
        founders.init(name, 200 + number, "--observer")
    path, said = founders.genesis("watched.json", ("archive", "member-1", "auditor", "member-0"), "--d0-ms", "700")
    says(said, "of 2 members and 2 observers")
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    assert [member["name"] for member in document["members"]] == ["member-1", "member-0"]
    assert [set(observer) for observer in document["observers"]] == [{"name", "address", "vote_key", "tls_certificate"}] * 2
    assert [observer["name"] for observer in document["observers"]] == ["archive", "auditor"]
    assert document["parameters"]["d0_ms"] == 700
    says(founders.genesis("none.json", ("archive",), status=1)[1], "members must be")
    shutil.copy(path, f"{founders.data('auditor')}/genesis.json")


def mistakes(founders):
    for address in ("https://x.example:8781", "x.example", "x.example:0", "x.example:65535", "0.0.0.0:8781"):
        says(founders.run("init", "--data", founders.data("x"), "--name", "x", "--address", address, status=2), address, "HOST:PORT")
    assert not os.path.exists(founders.data("x"))
    says(founders.run("init", "--data", founders.data("x"), "--name", "x", "--observer", status=2), "--address")
    says(founders.run("init", "--data", founders.data("x"), "--name", "x", "--observer", "--address", "x:1", "--role", "processor", status=2), "--role")
    founders.run("init", "--data", founders.data("alone"), "--name", "alone")
    founders.genesis("alone.json", ("alone",))
    says(founders.genesis("none.json", ("alone", "member-0"), status=1)[1], "alone has no address")
    says(founders.genesis("none.json", ("member-0", "member-0"), status=1)[1], "share a name")
    founders.init("near", 3)
    says(founders.genesis("none.json", ("near", "member-3"), status=1)[1], "near and member-3", "collide")
    says(founders.genesis("none.json", ("member-0", "member-1"), "--block-records", "4097", status=1)[1], "block_records_max")
    says(founders.genesis("none.json", ("member-0", "member-1"), "--d0-ms", "9", status=1)[1], "d0_ms")
    with open(founders.member_file("near"), encoding="utf-8") as file:
        changed = json.load(file)
    with open(founders.member_file("near"), "w", encoding="utf-8") as file:
        json.dump(dict(changed, observer=1), file)
    says(founders.genesis("none.json", ("near", "member-0"), status=1)[1], "not a member file")
    assert not os.path.exists(f"{founders.root}/none.json")


def test(build):
    founders = Founders(build)
    try:
        every_size(founders)
        observers(founders)
        mistakes(founders)
    finally:
        shutil.rmtree(founders.root, ignore_errors=True)


if __name__ == "__main__":
    main(test)
