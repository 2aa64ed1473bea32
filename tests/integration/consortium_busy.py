#!/usr/bin/python3
"""Four members and an observer that do everything at once: clients submit to each, others read status, metrics, proofs,
receipts, tiles and the feed, a backup is taken, one node is killed and comes back, one is told to stop and comes back, in the
end all are told to stop while they are busy. This is what the sanitizers look at; the invariants hold besides. ROUNDS (1)."""
import http.client
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, wait_for  # noqa: E402
from consortium import Consortium  # noqa: E402
from invariants import Observer, check  # noqa: E402
from load import Crew, Load, Supply  # noqa: E402

PATHS = ("/checkpoint", "/metrics", "/v1/status", "/v1/network", "/v1/policy", "/v1/consistency?from=1", "/tile/0/000.p/1",
         "/tile/entries/000.p/1", "/v1/feed?follow=0&after=now", "/readyz")
HEALED_S = 120  # under a sanitizer everything takes its time


class Readers(Crew):
    """Three of each node: one asks for everything there is, one follows the feed, one proves its own records."""

    def __init__(self, consortium, supply):
        super().__init__([(self.again, job, member) for member in consortium for job in (self.ask, self.follow, self.prove)])
        self.supply = supply
        self.read, self.events, self.proofs = ([0] * len(list(consortium)) for _ in range(3))

    def again(self, job, member):
        while not self.stopping.is_set():
            connection = member.connect(timeout=30)
            try:
                job(member, connection)
            except (OSError, ValueError, http.client.HTTPException):
                self.stopping.wait(0.1)  # the node is stopping, stopped, killed or not there yet
            finally:
                connection.close()

    def get(self, member, connection, path, good, accept="*/*"):
        answer = member.request("GET", path, headers={"Accept": accept}, connection=connection)
        if answer.status not in (200, 503, *good):
            self.strange.append(f"{member.name}: {path}: {answer!r}")
        return answer.status == 200

    def ask(self, member, connection):
        while not self.stopping.wait(0.02):
            for path in PATHS:
                self.read[member.index] += self.get(member, connection, path, (404, 409))

    def follow(self, member, connection):
        connection.request("GET", "/v1/feed?after=0", headers={"Accept": "application/x-ndjson"})
        lines = connection.getresponse()
        while lines.readline() and not self.stopping.is_set():
            self.events[member.index] += 1

    def prove(self, member, connection):
        while not self.stopping.wait(0.05):
            _, record_id, agreement, record = self.supply.grant()
            answer = member.post(record, wait=True, connection=connection)
            if answer.status not in (201, 202, 503):
                self.strange.append(repr(answer))
            for path, accept in ((f"/v1/agreements/{agreement}", "application/consent-proof"), (f"/v1/records/{record_id}", "text/plain"),
                                 (f"/v1/records/{record_id}", "application/scitt-receipt+cose"), (f"/v1/check?agreement={agreement}", "*/*"),
                                 (f"/v1/agreements/{agreement}", "application/json")):
                self.proofs[member.index] += self.get(member, connection, path, (404, 409), accept)


def grows(load, readers, count=20):
    """So many records become final, and every node that runs answers readers, each of its three."""
    final = len(load.acknowledged)
    wait_for(lambda: len(load.acknowledged) >= final + count, f"{count} records become final", HEALED_S)
    running = [member.index for member in load.targets if member.running()]
    for what in (readers.read, readers.events, readers.proofs):
        before = list(what)
        wait_for(lambda: all(what[index] > before[index] for index in running), "readers get their answers", HEALED_S)


def trouble(consortium, load, readers, turn):
    grows(load, readers)
    saved = consortium[turn % 4]
    done = saved.run("backup", "--data", saved.data, "--to", f"{saved.root}/backup-{turn}")
    assert "leaves" in done.stdout, done.stdout
    for victim in (consortium[(turn + 1) % 4], consortium[4]):
        victim.kill()
        grows(load, readers)
        victim.start()
    grows(load, readers)
    victim = consortium[(turn + 2) % 4]
    victim.stop()  # with status 0, or it says why not; a sanitizer's report is another status
    grows(load, readers)
    victim.start()
    grows(load, readers)


def test(build):
    consortium = Consortium(build, observers=1)
    acknowledged, accepted = {}, {}
    try:
        consortium.start()
        supply = Supply(consortium)
        with Observer(consortium) as observer:
            for turn in range(int(os.environ.get("ROUNDS", "1"))):
                with Readers(consortium, supply) as readers, Load(consortium, supply, clients=8, per_second=80) as load:
                    began = time.monotonic()
                    trouble(consortium, load, readers, turn)
                    consortium.stop()
                acknowledged.update(load.acknowledged)
                accepted.update(load.accepted)
                print(f"{len(load.acknowledged)} acknowledged, {load.broken} connections broken, {sum(readers.read)} answers, "
                      f"{sum(readers.events)} events, {sum(readers.proofs)} proofs in {time.monotonic() - began:.0f} s", flush=True)
                consortium.start()
            print(check(consortium, observer, acknowledged, accepted, HEALED_S))
        consortium.stop()
        for member in consortium:
            member.run("check", "--data", member.data)
    except BaseException:
        for member in consortium:
            print(f"-- {member.name} {'runs' if member.running() else 'does not run'}\n{member.log()[-3000:]}", flush=True)
        raise
    finally:
        consortium.close()


main(test)
