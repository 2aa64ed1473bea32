#!/usr/bin/python3
"""A byte flipped in every table, and in every file, of a stopped node's data directory: `check` names what is wrong and
what to do, `run` refuses with a sentence or serves nothing but what was stored, `reindex` heals indexes and says so where
it cannot; nothing damaged is ever served as good."""
import http.client
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Maker, Node, main, now_ms  # noqa: E402

ADVICE = ("consentd ", "reindex", "backup", "peer", "again", "use that version", "disk", "--new-vote-log", "genesis")


def says_what_to_do(text, code=None):
    assert any(word in text for word in ADVICE), f"no advice: {text!r}"
    assert "CL_E_" in text and (code is None or code in text), f"not {code}: {text!r}"
    assert len(text.strip().splitlines()) == 1, f"more than one sentence's line: {text!r}"


class World:
    """A node with something in every table, stopped; a copy of its directory to go back to."""

    def __init__(self, build):
        self.node = Node(build)
        self.maker = Maker(build)
        self.tool = f"{build}/programs/store_tool"
        node, maker = self.node, self.maker
        node.start()
        maker.network(node.network_id())
        self.records, self.objects = {}, set()
        t = now_ms()
        for record_id, object_id, record in [maker.record("profile", 8, 1, t), maker.record("terms", 7, 1, 1, 10, t)] + \
                [maker.record("grant", 100 + i, 1, 2, t) for i in range(40)]:
            self.submit(record_id, object_id, record)
        agreement = maker.record("grant", 100, 1, 2, t)[1]
        for record in (maker.record("subscribe", 2, 101, 1, t), maker.record("suspend", 101, maker.record("grant", 101, 1, 2, t)[1], now_ms()),
                       maker.record("revoke", 102, maker.record("grant", 102, 1, 2, t)[1], now_ms())):
            self.submit(*record)
        for i in range(300):  # more than a tile of the log
            record_id, object_id, record = maker.record("grant", 1000 + i, 1, 2, t)
            answer = node.post(record)
            assert answer.status == 202, answer
            self.records[record_id] = record
        self.submit(*maker.record("grant", 5000, 1, 2, t))
        node.stop()
        self.promised = maker.record("revoke", 100, agreement, now_ms())
        self.ask("promise", self.promised[2].hex())
        tables = {line.split()[0] for line in self.ask("list").splitlines()}
        assert tables == set("brhsipTywm"), f"a table is not in this test: {tables}"
        self.good = f"{node.root}/good"
        shutil.copytree(node.data, self.good)

    def submit(self, record_id, object_id, record):
        answer = self.node.post(record, wait=True)
        assert answer.status == 201, answer
        self.records[record_id] = record
        self.objects.add(object_id)

    def ask(self, *words):
        done = subprocess.run([self.tool, f"{self.node.data}/store", *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def restore(self):
        shutil.rmtree(self.node.data)
        shutil.copytree(self.good, self.node.data)

    def offline(self, verb):
        return self.node.run(verb, "--data", self.node.data, good=False)

    def serves_only_truth(self):
        """Everything that it answers with 200 is what was stored; everything else is a 5xx or 404 with a code."""
        node = self.node
        served = self.failed_reads = 0
        connection = node.connect()
        for record_id, record in list(self.records.items())[:60] + list(self.records.items())[-5:]:
            answer = node.request("GET", f"/v1/records/{record_id}", headers={"Accept": "application/cose"}, connection=connection)
            if answer.status == 200:
                assert answer.body == record, f"damaged bytes were served: {record_id}"
                served += 1
            else:
                assert answer.status in (404, 500, 503) and answer.json()["code"].startswith("CL_E_"), answer
                self.failed_reads += answer.status == 500
        for object_id in sorted(self.objects):
            answer = node.request("GET", f"/v1/agreements/{object_id}", headers={"Accept": "application/consent-proof"}, connection=connection)
            assert answer.status in (200, 404, 500, 503), answer
            answer = node.request("GET", f"/v1/agreements/{object_id}", connection=connection)
            assert answer.status in (200, 404, 500, 503), answer
        connection.close()
        self.feed_is_whole_or_broken()
        return served

    def feed_is_whole_or_broken(self):
        """What cannot be read is not left out of the feed as if nothing followed."""
        size = self.node.get("/v1/status").json()["log_size"]
        try:
            events = self.node.get("/v1/feed?follow=0", accept="application/x-ndjson").body.count(b"\n")
            assert events >= size, f"the feed ends after {events} of {size} events as if it were whole"
        except http.client.IncompleteRead:
            self.failed_reads += 1

    def run_on_damage(self):
        """It refuses with a sentence, or runs and serves only what is true, and stops by itself or when told."""
        node = self.node
        with open(f"{node.root}/log", "wb") as log:
            process = subprocess.Popen(node.command(), stdout=subprocess.PIPE, stderr=log, text=True)
        line = process.stdout.readline()
        if not line:
            assert process.wait(timeout=60) == 1, f"it died: {process.returncode} {node.log()}"
            process.stdout.close()
            says_what_to_do([text for text in node.log().splitlines() if text.startswith("consentd:")][-1])
            return "refused"
        node.process, node.url = process, line.split()[-1]
        node.port = int(node.url.rsplit(":", 1)[1])
        try:
            self.serves_only_truth()
        except OSError:
            pass  # it stopped by itself; the status and its log must say so
        assert self.failed_reads == 0 or "event=read_failed code=CL_E_STORE_CORRUPT" in node.log(), "the operator is not told"
        if process.poll() is None:
            process.terminate()
        status = process.wait(timeout=60)
        process.stdout.close()
        node.process = None
        assert status in (0, 1), f"it died: {status} {node.log()[-2000:]}"
        if status == 1:
            assert "node_stopped" in node.log() and "sentence=" in node.log(), node.log()[-2000:]
            return "stopped"
        return "ran"


# table, entry, bytes of its value, what `check` names, what `reindex` does, what `run` may do
CASES = [
    ("s", 3, (0, 40), "(s)", "heals", {"refused"}),
    ("i", 5, (1, 7), "(i)", "heals", {"ran", "stopped"}),
    ("p", 4, (2, 50), "(p)", "heals", {"ran", "stopped"}),
    ("T", 0, (3,), "(T)", "heals", {"ran", "stopped"}),
    ("y", 0, (0, 31), "(y)", "heals", {"ran", "stopped"}),
    ("h", 0, (0, 5000), "(h)", "heals", {"refused", "ran", "stopped"}),
    ("b", 3, (0, 9, 60), "table b", "tells", {"refused", "ran", "stopped"}),
    ("r", 5, (0, 1, 2, 150), "table r", "tells", {"refused", "ran", "stopped"}),
    ("w", 0, (0, 100), "table w", "drops", {"refused", "ran"}),
    ("m", 0, (3, 60), "checkpoint", "drops", {"refused"}),
    ("m", 1, (3, 5), "(table m)", "heals", {"refused"}),
    ("m", 2, (0, 33), "(table m)", "heals", {"refused"}),
    ("m", 3, (2, 30), "(m)", "heals", {"refused"}),
]


def flip_in_tables(world):
    for table, entry, places, named, cure, allowed in CASES:
        for place in places:
            case = f"table {table}, entry {entry}, byte {place}"
            world.ask("flip", table, str(entry), str(place))
            found = world.offline("check")
            assert found.returncode == 1 and named in found.stderr, f"{case}: {found.returncode} {found.stderr}"
            says_what_to_do(found.stderr.splitlines()[-1], "CL_E_STORE_CORRUPT")
            healed = world.offline("reindex")
            if cure == "tells":
                assert healed.returncode == 1, f"{case}: {healed.stdout}"
                says_what_to_do(healed.stderr.splitlines()[-1], "CL_E_STORE_CORRUPT")
            else:
                assert healed.returncode == 0, f"{case}: {healed.stderr}"
                again = world.offline("check")
                assert again.returncode == 0, f"{case}, after reindex: {again.stderr}"
                world.node.start()
                assert world.serves_only_truth() == 65 and world.failed_reads == 0, f"{case}: something is gone after reindex"
                world.node.stop()
            world.restore()
            world.ask("flip", table, str(entry), str(place))
            did = world.run_on_damage()
            assert did in allowed, f"{case}: it {did}"
            assert table != "r" or did != "ran" or world.failed_reads > 0, f"{case}: nobody met it"
            print(f"{case}: named; reindex {cure}; run: {did}")
            world.restore()


def flip_byte(path, place):
    with open(path, "r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0x10]))


def flip_in_files(world):
    """Bytes of LevelDB's own files. A byte that nothing reads (the bloom filter, unused space) may pass `check`; then the
    node must run as if nothing were."""
    world.ask("compact")
    shutil.rmtree(world.good)
    shutil.copytree(world.node.data, world.good)
    noticed = {}
    for name in sorted(os.listdir(f"{world.good}/store")):
        kind = name.split("-")[0].split(".")[-1]
        size = os.path.getsize(f"{world.good}/store/{name}")
        if kind in ("LOCK", "LOG", "old") or size == 0:
            continue
        places = sorted({0, size // 7, size // 3, size // 2, size * 5 // 6, size - 1} if size > 64 else {0, size // 2})
        for place in places:
            flip_byte(f"{world.node.data}/store/{name}", place)
            found = world.offline("check")
            if found.returncode == 0:
                did = world.run_on_damage()
                assert did in ("ran", "refused"), (name, place, did)
            else:
                assert found.returncode == 1, f"{name} {place}: {found.returncode} {found.stderr}"
                says_what_to_do(found.stderr.splitlines()[-1])
                noticed[kind] = noticed.get(kind, 0) + 1
                world.restore()
                flip_byte(f"{world.node.data}/store/{name}", place)
                did = world.run_on_damage()
            print(f"{name} byte {place} of {size}: check {found.returncode}; run: {did}")
            world.restore()
    assert noticed.get("ldb", 0) >= 3, f"a damaged table file goes unnoticed: {noticed}"
    for name in ("CURRENT", next(name for name in os.listdir(f"{world.good}/store") if name.startswith("MANIFEST"))):
        os.unlink(f"{world.node.data}/store/{name}")
        found = world.offline("check")
        assert found.returncode == 1
        says_what_to_do(found.stderr.splitlines()[-1])
        assert world.run_on_damage() == "refused", f"{name} is gone and it starts anew"
        world.restore()


def other_files(world):
    node = world.node
    for name, places in (("vote.log", (0, 7, 20, 60)), ("genesis.json", (10, 300)), ("node.seed", (0, 20))):
        path = f"{node.data}/{name}"
        if not os.path.exists(path):
            raise AssertionError(f"{name} is not there: {os.listdir(node.data)}")
        for place in places:
            flip_byte(path, place)
            refusal = node.start_refused()
            says_what_to_do(refusal.splitlines()[-1])
            print(f"{name} byte {place}: {refusal.splitlines()[-1]}")
            world.restore()
        with open(path, "wb"):
            pass
        says_what_to_do(node.start_refused().splitlines()[-1])
        world.restore()
    shutil.rmtree(f"{node.data}/store")
    refusal = node.start_refused()
    assert "vote.log" in refusal and not os.path.exists(f"{node.data}/store/000005.ldb"), refusal
    says_what_to_do(refusal.splitlines()[-1], "CL_E_STORE_CORRUPT")
    world.restore()
    os.unlink(f"{node.data}/vote.log")
    says_what_to_do(node.start_refused().splitlines()[-1])
    world.restore()
    os.chmod(f"{node.data}/node.seed", 0o644)
    assert "0600" in node.start_refused()
    world.restore()


def test(build):
    world = World(build)
    try:
        flip_in_tables(world)
        flip_in_files(world)
        other_files(world)
        # and untouched, everything is as it was, the promised withdrawal final
        world.node.start()
        assert world.serves_only_truth() == 65
        assert world.node.get(f"/v1/check?agreement={world.promised[1]}").json()["code"] == "CL_E_WITHDRAWN"
        world.node.stop()
    finally:
        world.maker.close()
        world.node.close()


main(test)
