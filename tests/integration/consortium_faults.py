#!/usr/bin/python3
"""Four nodes, each in a network namespace of its own, under load, and one fault after the other: slow and lossy lines,
partitions, a node that hangs, kills, a full disk, a clock that is set. Each begins with a new consortium, says whether
finality has to go on meanwhile, and ends with the time until every node finalises what is submitted to it, and with the
invariants (tests/lib/invariants.py). Needs root; without the right to make namespaces or mounts it fails and says so.
    consortium_faults.py BUILD [FAULT...]      all, or those named
SEED, KILLS, CUT_S and LONG_CUT_S may be set in the environment."""
import http.client
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import wait_for  # noqa: E402
from consortium import Consortium, Namespaces  # noqa: E402
from invariants import Observer, check  # noqa: E402
from load import Load, Supply, percentile  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
GOING_ON_S = 5     # healing where a quorum went on, so that patience did not grow
HEALED_S = 30      # healing after anything
PER_SECOND = 40    # load meanwhile
CUT_S = int(os.environ.get("CUT_S", "20"))
LONG_CUT_S = int(os.environ.get("LONG_CUT_S", "75"))


class Scene:
    """A running consortium under load."""

    def __init__(self, build):
        self.build = build
        self.chance = random.Random(int(os.environ.get("SEED", "1")))
        self.consortium = Consortium(build, 4, Namespaces)
        self.network = self.consortium.network
        self.supply = Supply(self.consortium)
        self.loads, self.clean_ups = [], []

    def members(self, *but):
        return [member for member in self.consortium if member.index not in but]

    def load(self, targets=None):
        self.loads.append(Load(self.consortium, self.supply, clients=4, per_second=PER_SECOND, targets=targets))
        return self.loads[-1]

    def some_final(self, load, count=20, deadline_s=GOING_ON_S):
        before = len(load.acknowledged)
        wait_for(lambda: len(load.acknowledged) >= before + count, f"{count} records become final meanwhile", deadline_s)

    def goes_on(self, load, seconds, pause_s=GOING_ON_S):
        """For so long records become final, never with a longer pause."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.some_final(load, 1, pause_s)

    def probe(self, member, until, times):
        """Posts one new record to this node until it is acknowledged as final; the last attempt ends at the deadline."""
        began = time.monotonic()
        _, _, _, record = self.supply.grant()
        while time.monotonic() < until:
            try:
                connection = member.connect(timeout=max(1.0, until - time.monotonic()))
                answer = member.request("POST", "/v1/records?wait=final&timeout=60", record, {"Content-Type": "application/cose"}, connection)
                connection.close()
                if answer.status in (200, 201) and answer.json()["status"] == "final":
                    times[member.index] = time.monotonic() - began
                    return
                assert answer.status in (200, 202, 503), answer
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)

    def healed(self, limits):
        """limits: seconds for each node. All are asked at once, from now on."""
        times, began = {}, time.monotonic()
        threads = [threading.Thread(target=self.probe, args=(member, began + 2 * HEALED_S, times)) for member in self.consortium]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=3 * HEALED_S)
        print("final again after " + ", ".join(f"{member.name} {times[member.index]:.2f} s" if member.index in times else f"{member.name} never"
                                               for member in self.consortium), flush=True)
        for member in self.consortium:
            assert times.get(member.index, 1e9) <= limits[member.index], \
                f"{member.name}: limit {limits[member.index]} s; views: {[one.status()['view'] for one in self.members() if one.running()]}"

    def nothing_final(self, member, seconds):
        """A new record, given to this node, is not final after so long."""
        record_id, record = self.supply.grant()[1::2]
        answer = member.request("POST", f"/v1/records?wait=final&timeout={seconds}", record, {"Content-Type": "application/cose"})
        assert answer.status == 202, f"{member.name} made {record_id} final without a quorum: {answer}"

    def end(self, observer):
        acknowledged, accepted = {}, {}
        for load in self.loads:
            acknowledged.update(load.acknowledged)
            accepted.update(load.accepted)
        assert acknowledged, "nothing was acknowledged"
        print(check(self.consortium, observer, acknowledged, accepted), flush=True)
        self.consortium.stop()
        for member in self.consortium:
            member.run("check", "--data", member.data)


def everybody(seconds):
    return [seconds] * 4


def latency(load, since):
    values = load.latencies(since)
    if not values:
        return "none final"
    return (f"{len(values)} final, p50 {percentile(values, 0.5):.2f} s, p99 {percentile(values, 0.99):.2f} s, "
            f"longest pause {load.longest_pause(since):.2f} s")


def on_all_lines(scene, **what):
    with scene.load() as load:
        began = time.monotonic()
        scene.some_final(load)
        print("before: " + latency(load, began))
        scene.network.all_lines(**what)
        since = time.monotonic()
        scene.goes_on(load, 20)
        print("meanwhile: " + latency(load, since))
        scene.network.all_lines()
        scene.healed(everybody(GOING_ON_S))


def delay(scene):
    """50 ms on every line, each way."""
    on_all_lines(scene, delay_ms=50)


def loss(scene):
    """5 % of all frames are lost."""
    on_all_lines(scene, loss=0.05)


def two_and_two(scene, seconds):
    with scene.load() as load:
        scene.some_final(load)
        scene.network.partition((0, 1), (2, 3))
        scene.nothing_final(scene.consortium[0], seconds // 2)
        scene.nothing_final(scene.consortium[2], seconds - seconds // 2)
        scene.network.all_lines()
        scene.healed(everybody(HEALED_S))


def split(scene):
    """Two and two, for CUT_S: nothing is final on either side."""
    two_and_two(scene, CUT_S)


def long_split(scene):
    """Two and two, for LONG_CUT_S: patience is at its cap and links have given up."""
    two_and_two(scene, LONG_CUT_S)


def three_and_one(scene):
    """The three go on, the one does not."""
    lonely = scene.chance.randrange(4)
    with scene.load(scene.members(lonely)) as load:
        scene.some_final(load)
        scene.network.partition([index for index in range(4) if index != lonely], [lonely])
        before = len(load.acknowledged)
        scene.nothing_final(scene.consortium[lonely], CUT_S)
        print(f"meanwhile {len(load.acknowledged) - before} final without {scene.consortium[lonely].name}")
        scene.goes_on(load, 5)
        scene.network.all_lines()
        scene.healed([HEALED_S if index == lonely else GOING_ON_S for index in range(4)])


def asymmetric(scene):
    """One node loses a fifth of what it sends, another hears nothing of a third, and answers do arrive."""
    with scene.load() as load:
        scene.some_final(load)
        for receiver in (1, 2, 3):
            scene.network.line(0, receiver, 0, 0.2)
        scene.network.line(2, 1, 0, 1.0)
        since = time.monotonic()
        scene.goes_on(load, 40, HEALED_S)
        print("meanwhile: " + latency(load, since))
        scene.network.all_lines()
        scene.healed(everybody(GOING_ON_S))


def pause(scene):
    """SIGSTOP for 30 s; the others go on."""
    sleeper = scene.chance.randrange(4)
    with scene.load(scene.members(sleeper)) as load:
        scene.some_final(load)
        scene.consortium[sleeper].signal(signal.SIGSTOP)
        since = time.monotonic()
        scene.goes_on(load, 30)
        print("meanwhile: " + latency(load, since))
        scene.consortium[sleeper].signal(signal.SIGCONT)
        scene.healed([HEALED_S if index == sleeper else GOING_ON_S for index in range(4)])


def kills(scene):
    """kill -9 of one node, or of two at once, again and again under load."""
    count = int(os.environ.get("KILLS", "12"))
    with scene.load() as load:
        for kill in range(count):
            scene.some_final(load, scene.chance.randrange(1, 40), HEALED_S)
            victims = scene.chance.sample(list(scene.consortium), 2 if kill % 4 == 3 else 1)
            for victim in victims:
                victim.kill()
            if len(victims) == 1:
                scene.some_final(load, 5, HEALED_S)
            for victim in victims:
                victim.start()
        print(f"{count} kills, {len(load.acknowledged)} final, {load.broken} connections broken")
        scene.healed(everybody(HEALED_S))


def on_small_disk(scene, member, size):
    """The stopped node's data directory becomes a file system of its own."""
    disk, before = member.data, member.data + ".before"
    os.rename(disk, before)
    os.mkdir(disk, 0o700)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", disk], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"this test needs the right to mount (as root, CAP_SYS_ADMIN in a container): {done.stderr}"
    scene.clean_ups.append(lambda: subprocess.run(["umount", "-l", disk], check=True, timeout=30))
    shutil.copytree(before, disk, dirs_exist_ok=True)


def disk_full(scene):
    """One node's disk is full: it stops with a sentence, the others go on; with space again it catches up."""
    victim = scene.consortium[1]
    victim.stop()
    on_small_disk(scene, victim, "64m")
    victim.start()
    with scene.load(scene.members(1)) as load:
        scene.some_final(load, 20, HEALED_S)
        free = os.statvfs(victim.data)
        with open(f"{victim.data}/filler", "wb") as file:
            file.write(bytes(free.f_bavail * free.f_bsize - 100_000))
        wait_for(lambda: not victim.running(), "the node stops over a full disk", 60)
        assert victim.process.returncode == 1 and "heck space" in victim.log(), victim.log()[-2000:]
        victim.process.stdout.close()
        victim.process = None
        scene.goes_on(load, 5)
        os.unlink(f"{victim.data}/filler")
        victim.start()
        scene.healed([GOING_ON_S, HEALED_S, GOING_ON_S, GOING_ON_S])


def set_clock(scene, ms):
    with open(f"{scene.consortium.root}/clock", "r+b", buffering=0) as file:
        file.write(int(ms).to_bytes(8, sys.byteorder, signed=True))


def clock(scene):
    """One node's clock is set while it runs: a little ahead, a little behind, an hour ahead, an hour behind, and right again.
    The others go on; the node follows as soon as its clock is right."""
    victim = scene.consortium[2]
    victim.stop()
    library, offset = f"{scene.consortium.root}/clock_shift.so", f"{scene.consortium.root}/clock"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, f"{HERE}/clock_shift.c"], check=True, timeout=60)
    with open(offset, "wb") as file:
        file.write(bytes(8))
    victim.environment = {**os.environ, "LD_PRELOAD": library, "CLOCK_SHIFT_FILE": offset}
    victim.start()
    with scene.load(scene.members(2)) as load:
        scene.some_final(load, 20, HEALED_S)
        for shift_s in (1.5, -1.5, 20, -20, 3600, -3600):
            set_clock(scene, shift_s * 1000)
            since = time.monotonic()
            wait_for(lambda: abs(victim.status()["clock_ms"] / 1000 - time.time() - shift_s) < 1, "the node's clock is set")
            scene.goes_on(load, 10)
            print(f"set by {shift_s} s: " + latency(load, since))
            set_clock(scene, 0)
            scene.healed([GOING_ON_S, GOING_ON_S, HEALED_S, GOING_ON_S])


FAULTS = [delay, loss, split, long_split, three_and_one, asymmetric, pause, kills, disk_full, clock]


def run(build, fault):
    print(f"== {fault.__name__}: {fault.__doc__}", flush=True)
    began, scene = time.monotonic(), None
    try:
        scene = Scene(build)
        scene.consortium.start()
        scene.healed(everybody(HEALED_S))
        with Observer(scene.consortium) as observer:
            fault(scene)
            scene.end(observer)
        print(f"{time.monotonic() - began:.0f} s in all", flush=True)
    except BaseException:
        if scene is not None:
            scene.consortium.tell()
        raise
    finally:
        if scene is not None:
            for member in scene.consortium:
                if member.process is not None:
                    member.kill()
            for clean_up in scene.clean_ups:
                clean_up()
            scene.consortium.close()


def main():
    named = {fault.__name__: fault for fault in FAULTS}
    if len(sys.argv) < 2 or any(name not in named for name in sys.argv[2:]):
        sys.exit(f"usage: {sys.argv[0]} BUILD [{'|'.join(named)}]...")
    failed = []
    for name in sys.argv[2:] or named:
        try:
            run(os.path.abspath(sys.argv[1]), named[name])
        except AssertionError as error:
            failed.append(name)
            print(f"FAILED: {name}: {error}", flush=True)
    if failed:
        sys.exit(f"failed: {' '.join(failed)}")
    print("good")


main()
