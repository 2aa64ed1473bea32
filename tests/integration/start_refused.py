#!/usr/bin/python3
"""When a node must not start: each time with a sentence that says what to do, and nothing lost."""
import json
import os
import shutil
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Maker, Node, main, now_ms, says  # noqa: E402


def config_errors(node):
    for text, line, words in (
        ("[http]\nlisten = 127.0.0.1:1\nlitsen = 1\n", 3, ["litsen"]),
        ("[htpp]\n", 1, ["htpp"]),
        ("# fine\n\n[pool]\nrecords_max = many\n", 4, ["many", "number"]),
        ("[pool]\nrecords_max = 3\n", 2, ["16"]),
        ("listen\n", 1, ["listen"]),
        ("[log]\nlevel = loud\n", 2, ["loud", "info"]),
        ("[http]\nlisten = nowhere\n", 2, ["ADDRESS:PORT"]),
    ):
        node.write_config(text)
        for said in (node.start_refused(), node.run("--check-config", node.config, good=False).stderr):
            says(said, f"line {line}", *words)
    node.write_config("[http]\nthreads = 2\n[log]\nlevel = debug\n")
    says(node.run("--check-config", node.config).stdout, "good")
    node.write_config("")


def command_line(node):
    for command in ("init", "genesis", "run", "check", "reindex"):
        says(node.run(command, "--help").stdout, "Example:", command)
        assert node.run(command, "--nonsense", good=False).returncode == 2
    says(node.run("--help").stdout, "consentd run")
    says(node.run("--version").stdout, "consentd ")
    assert node.run("nonsense", good=False).returncode == 2
    says(node.run("run", "--data", node.data, "--listen", "nowhere", good=False).stderr, "'nowhere' is not ADDRESS:PORT")
    says(node.run("check", "--data", node.data, "--genesis", f"{node.root}/none", good=False).stderr, f"{node.root}/none", "no such file")
    says(node.run("init", "--data", node.data, "--name", "one", good=False).stderr, "already")
    assert node.run("init", "--data", f"{node.root}/x", "--name", "Not Good", good=False).returncode == 2
    says(node.run("genesis", "--origin", "a b", "--out", f"{node.root}/g", f"{node.data}/member.json", good=False).stderr, "origin")


def two_nodes(node):
    node.start()
    says(node.start_refused(), "Another process")
    says(node.run("check", "--data", node.data, good=False).stderr, "Another process")
    node.stop()


def seed_file(node):
    path = f"{node.data}/node.seed"
    os.chmod(path, 0o644)
    says(node.start_refused(), "node.seed", "0600")
    os.chmod(path, 0o600)
    os.rename(path, path + ".away")
    says(node.start_refused(), "consentd init")
    os.rename(path + ".away", path)


def genesis(node):
    path = f"{node.data}/genesis.json"
    with open(path, encoding="utf-8") as file:
        original = file.read()

    def with_document(change, *words):
        changed = json.loads(original)
        change(changed)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(changed, file)
        says(node.start_refused(), *words)

    with_document(lambda d: d.update(extra=1), "extra")
    with_document(lambda d: d["members"][0].update(vote_key="00"), "vote_key")
    with_document(lambda d: d.update(consent_network=2), "newer")
    with_document(lambda d: d["parameters"].update(block_records_max=10**9), "block_records_max")
    with_document(lambda d: d.update(origin="other.example/log"), "another network")  # other bytes: another network
    second = f"{node.root}/second"
    node.run("init", "--data", second, "--name", "two", "--address", "two.example:8781")
    two = f"{node.root}/two.json"
    node.run("genesis", "--origin", "two.example/log", "--out", two, f"{node.data}/member.json", f"{second}/member.json")
    shutil.copy(two, path)
    says(node.start_refused(), "another network")
    node.run("genesis", "--origin", "foreign.example/log", "--out", f"{node.root}/foreign.json", f"{second}/member.json")
    shutil.copy(f"{node.root}/foreign.json", path)
    says(node.start_refused(), "not among the members")
    with open(path, "w", encoding="utf-8") as file:
        file.write(original)


def vote_log(node, maker):
    path = f"{node.data}/vote.log"
    node.start()
    for number in range(1, 6):
        assert node.post(maker.record("grant", number, 1, 2, now_ms())[2], wait=True).status == 201
    node.kill()
    with open(path, "rb") as file:
        whole = file.read()

    def write(content):
        with open(path, "wb") as file:
            file.write(content)

    write(whole + b"\x10\x00\x00\x00torn")  # a tail that a crash tore is cut
    node.start()
    assert node.get("/v1/status").json()["height"] == 5
    node.stop()
    assert os.path.getsize(path) == len(whole)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    write(bytes(damaged))
    says(node.start_refused(), "damaged", "--new-vote-log")
    write(whole[:7] + b"2" + whole[8:])
    says(node.start_refused(), "newer")
    os.unlink(path)
    says(node.start_refused(), "missing", "--new-vote-log")
    node.start("--new-vote-log")
    assert node.get("/v1/status").json()["height"] == 5
    assert node.post(maker.record("grant", 6, 1, 2, now_ms())[2], wait=True).status == 201
    node.stop()
    node.start()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    node.stop()


def test(build):
    node = Node(build)
    maker = Maker(build)
    try:
        config_errors(node)
        command_line(node)
        node.start()
        maker.network(node.network_id())
        node.stop()
        two_nodes(node)
        seed_file(node)
        genesis(node)
        vote_log(node, maker)
    finally:
        maker.close()
        node.close()


main(test)
