#!/usr/bin/python3
"""kill -9 under load, again and again (KILLS times, 10 unless told): whatever was acknowledged with 201 is there after
the restart with the same place in the log, the log only ever grows on what was signed, and the store holds together."""
import os
import random
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Maker, Node, main, now_ms, wait_for  # noqa: E402

CLIENTS = 4


class Load:
    """Clients that submit grants and note what was acknowledged, until told to stop."""

    def __init__(self, node, maker, first):
        self.node, self.maker, self.next = node, maker, first
        self.lock = threading.Lock()
        self.acknowledged = {}  # record id -> log index
        self.accepted = {}      # withdrawal's record id -> agreement
        self.stopping, self.strange = False, []
        self.threads = [threading.Thread(target=self.client, daemon=True) for _ in range(CLIENTS)]

    def make(self):
        with self.lock:
            self.next += 1
            number = self.next
            return number, self.maker.record("grant", number, 1, 2, now_ms())

    def client(self):
        try:
            connection = self.node.connect(timeout=20)
            while not self.stopping:
                number, (record_id, agreement, record) = self.make()
                answer = self.node.post(record, wait=True, connection=connection)
                if answer.status == 201:
                    with self.lock:
                        self.acknowledged[record_id] = answer.json()["log_index"]
                elif answer.status not in (202, 503):
                    self.strange.append(repr(answer))
                if number % 7 == 0:
                    with self.lock:
                        withdrawal_id, _, withdrawal = self.maker.record("revoke", number, agreement, now_ms())
                    answer = self.node.post(withdrawal, connection=connection)
                    if answer.status == 202 and "acceptance" in answer.json():
                        with self.lock:
                            self.accepted[withdrawal_id] = agreement
                    elif answer.status not in (409, 503):  # 409: the grant was not taken
                        self.strange.append(repr(answer))
        except (OSError, ValueError):
            return  # the node was killed
        except Exception as error:  # http.client's own words for a connection that broke
            if type(error).__module__ != "http.client":
                self.strange.append(repr(error))

    def run(self):
        for thread in self.threads:
            thread.start()

    def join(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(timeout=30)
            assert not thread.is_alive(), "a client hangs"
        assert not self.strange, self.strange[:5]


def verify(node, everything, accepted, checkpoint):
    for record_id, log_index in everything.items():
        answer = node.get(f"/v1/records/{record_id}")
        assert answer.status == 200 and answer.json()["log_index"] == log_index, f"lost: {record_id} {answer}"
    for record_id, agreement in accepted.items():
        answer = node.get(f"/v1/check?agreement={agreement}").json()
        assert answer["code"] == "CL_E_WITHDRAWN", f"an accepted withdrawal was forgotten: {record_id} {answer}"
    origin, size, _ = checkpoint.split("\n")[:3]
    answer = node.get(f"/v1/consistency?from={size}")
    assert answer.status == 200, f"what was signed at size {size} is no longer a part of the log: {answer}"


def test(build):
    kills = int(os.environ.get("KILLS", "10"))
    seed = int(os.environ.get("SEED", str(random.randrange(1 << 30))))
    print(f"{kills} kills, seed {seed}")
    chance = random.Random(seed)
    node = Node(build, config="[votelog]\ntruncate_mb = 1\n").start()
    maker = Maker(build)
    everything, accepted, checkpoint, first = {}, {}, node.get("/checkpoint").body.decode(), 0
    try:
        maker.network(node.network_id())
        for kill in range(kills):
            load = Load(node, maker, first)
            load.run()
            target = chance.randrange(1, 60)
            wait_for(lambda: len(load.acknowledged) >= target, f"{target} acknowledgements before kill {kill}")
            checkpoint = node.get("/checkpoint").body.decode()
            node.kill()
            load.join()
            first = load.next
            node.start()
            # all of what this round acknowledged, and a sample of the rounds before
            sample = dict(chance.sample(sorted(everything.items()), min(len(everything), 50)))
            verify(node, {**sample, **load.acknowledged}, load.accepted, checkpoint)
            everything.update(load.acknowledged)
            accepted.update(load.accepted)
        verify(node, everything, accepted, checkpoint)
        node.stop()
        node.run("check", "--data", node.data)
        print(f"{len(everything)} acknowledged records and {len(accepted)} accepted withdrawals, all there")
        assert len(everything) >= kills and accepted
    finally:
        maker.close()
        node.close()


main(test)
