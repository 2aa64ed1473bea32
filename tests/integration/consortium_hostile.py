#!/usr/bin/python3
"""Three honest nodes beside a member gone bad (tests/programs/hostile_member.c), which floods, sends garbage, replays,
withholds, equivocates; then four honest nodes beside clients that flood, send slowly, and send huge bodies. Meanwhile
records become final, in times that are compared with those before; memory stays within bounds; what was wrong is counted;
at the end the invariants hold.
    consortium_hostile.py BUILD [CASE...]      all, or those named
SECONDS_EACH (15) says how long each kind of harm is done."""
import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import DEADLINE_S, wait_for  # noqa: E402
from consortium import Consortium  # noqa: E402
from invariants import Observer, check  # noqa: E402
from load import Crew, Load, Supply, percentile  # noqa: E402

SECONDS_EACH = int(os.environ.get("SECONDS_EACH", "15"))
PER_SECOND = 20         # load by which latency is measured
FACTOR = 4              # p99 of finality under attack: at most so many times that without, or that of one passed-over leader
FLOOR_S = 1.0           # below this no ratio is looked at: the attacker shares the processors with those whom it attacks
GROWTH_KB = 64 * 1024   # of an honest node's resident memory, at any time of an attack
TEST_MODES = ("equivocate", "garbage", "replay", "withhold", "flood")


class Hostile:
    """The program in the place of a member that does not run."""

    def __init__(self, member, mode):
        # at the lowest priority: its own work, which would be another machine's, is not what is measured
        self.process = subprocess.Popen(["nice", "-n", "19", f"{member.build}/programs/hostile_member", member.data, mode, os.environ.get("SEED", "1")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n", "hostile_member did not start"

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            said = self.process.communicate("", timeout=DEADLINE_S)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        print("   it " + said.strip(), flush=True)
        assert kind is not None or self.process.returncode == 0, f"hostile_member ended with {self.process.returncode}"


def measure(consortium, supply, members, loads, seconds=None):
    """Latencies of records given to these nodes for so long, and the largest growth of their memory in KiB."""
    before = {member.index: member.memory_kb() for member in members}
    growth, seconds = 0, seconds or SECONDS_EACH
    with Load(consortium, supply, clients=4, per_second=PER_SECOND, targets=members) as load:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            before_count = len(load.acknowledged)
            wait_for(lambda: len(load.acknowledged) > before_count, "records become final meanwhile", 30)
            growth = max(growth, max(member.memory_kb() - before[member.index] for member in members))
    loads.append(load)
    return load.latencies(), growth


def described(latencies, growth):
    return (f"{len(latencies)} final, p50 {percentile(latencies, 0.5):.3f} s, p99 {percentile(latencies, 0.99):.3f} s, "
            f"memory {growth:+} KiB")


def judge(what, latencies, growth, quiet_p99):
    print(f"{what}: {described(latencies, growth)}", flush=True)
    limit = max(FACTOR * quiet_p99, FLOOR_S)
    assert percentile(latencies, 0.99) <= limit, f"{what}: p99 of finality is above {limit:.2f} s"
    assert growth <= GROWTH_KB, f"{what}: an honest node's memory grew by {growth} KiB"


def finish(consortium, observer, loads):
    acknowledged, accepted = {}, {}
    for load in loads:
        acknowledged.update(load.acknowledged)
        accepted.update(load.accepted)
    print(check(consortium, observer, acknowledged, accepted), flush=True)
    consortium.stop()


def member(build):
    """A hostile member. What is compared with is the same member silent: then its views are passed over, too."""
    consortium, loads = Consortium(build), []
    try:
        consortium.start()
        supply, bad, honest = Supply(consortium), consortium[3], consortium.members[:3]
        with Observer(consortium) as observer:
            bad.stop()
            with Hostile(bad, "silent"):
                latencies, growth = measure(consortium, supply, honest, loads)
            quiet_p99 = percentile(latencies, 0.99)
            print(f"silent: {described(latencies, growth)}")
            for mode in TEST_MODES:
                before = [counted(one) for one in honest]
                with Hostile(bad, mode):
                    latencies, growth = measure(consortium, supply, honest, loads)
                judge(mode, latencies, growth, quiet_p99)
                was_counted(mode, before, [counted(one) for one in honest])
            bad.start()
            finish(consortium, observer, loads)
    finally:
        consortium.close()


def counted(one):
    """What a node counts of its peers' faults, by a word of its metrics' names."""
    numbers = one.metrics()
    return {word: sum(value for name, value in numbers.items() if word in name) for word in ("malformed_frames", "evidence", "dropped")}


def was_counted(mode, before, after):
    word = {"garbage": "malformed_frames", "equivocate": "evidence", "flood": "dropped"}.get(mode)
    if word is not None:
        for old, new in zip(before, after):
            assert new[word] > old[word], f"{mode}: no node counts it as {word}: {old} {new}"


class Rude(Crew):
    """Clients of one kind, until they are told to stop."""

    def __init__(self, nodes, count, act):
        super().__init__([(self.run, nodes[i % len(nodes)], act) for i in range(count)])
        self.acts = 0

    def run(self, node, act):
        while not self.stopping.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                act(node, self.stopping)
                self.acts += 1


def flood_requests(node, stopping):
    connection = node.connect(timeout=10)
    for _ in range(50):
        answer = node.request("POST", "/v1/records", os.urandom(2000), {"Content-Type": "application/cose"}, connection)
        assert answer.status in (400, 429, 503), answer
        if stopping.is_set():
            break
    connection.close()


def send_slowly(node, stopping):
    with node.socket(timeout=10) as connection:
        connection.sendall(b"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/cose\r\nContent-Length: 60000\r\n\r\n")
        while not stopping.wait(0.5):
            connection.sendall(b"x")


def send_huge(node, stopping):
    with node.socket(timeout=10) as connection:
        connection.sendall(b"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/cose\r\nContent-Length: 1000000000\r\n\r\n")
        while not stopping.is_set():
            connection.sendall(bytes(1 << 16))


def read_nothing(node, stopping):
    with node.socket(timeout=10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /v1/feed HTTP/1.1\r\nHost: x\r\n\r\n")
        stopping.wait(5)


def client(build):
    """Hostile clients of all four nodes."""
    consortium, loads = Consortium(build), []
    try:
        consortium.start()
        supply, nodes = Supply(consortium), list(consortium)
        with Observer(consortium) as observer:
            latencies, growth = measure(consortium, supply, nodes, loads)
            quiet_p99 = percentile(latencies, 0.99)
            print(f"quiet: {described(latencies, growth)}")
            for act, count in ((flood_requests, 8), (send_slowly, 300), (send_huge, 8), (read_nothing, 100)):
                with Rude(nodes, count, act) as rude:
                    latencies, growth = measure(consortium, supply, nodes, loads)
                judge(f"{act.__name__} ({count} clients, {rude.acts} times)", latencies, growth, quiet_p99)
            finish(consortium, observer, loads)
    finally:
        consortium.close()


def main():
    named = {case.__name__: case for case in (member, client)}
    if len(sys.argv) < 2 or any(name not in named for name in sys.argv[2:]):
        sys.exit(f"usage: {sys.argv[0]} BUILD [{'|'.join(named)}]...")
    for name in sys.argv[2:] or named:
        print(f"== {name}: {named[name].__doc__}", flush=True)
        named[name](os.path.abspath(sys.argv[1]))
    print("good")


main()
