#!/usr/bin/python3
"""What /v1/check says, it says of one moment: while agreements become active and are looked at all the time, no answer
names a height at which the opposite was true. For SECONDS (6 unless told)."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Maker, Node, main, now_ms  # noqa: E402

LOOKERS = 3


class Looker(threading.Thread):
    def __init__(self, node, subject):
        super().__init__(daemon=True)
        self.node, self.subject, self.seen, self.done = node, subject, [], False
        self.start()

    def run(self):
        connection = self.node.connect()
        while not self.done:
            agreement = self.subject[-1]
            answer = self.node.request("GET", f"/v1/check?agreement={agreement}", connection=connection).json()
            self.seen.append((agreement, answer["as_of"]["height"], answer["allowed"]))


def test(build):
    node, maker = Node(build).start(), Maker(build)
    try:
        maker.network(node.network_id())
        subject, active_from, connection = ["ab" * 32], {}, node.connect()
        lookers = [Looker(node, subject) for _ in range(LOOKERS)]
        end, customer = time.monotonic() + float(os.environ.get("SECONDS", "6")), 2
        while time.monotonic() < end:
            customer += 1
            at = now_ms()
            _, agreement, grant = maker.record("grant", customer, 1, 2, at)
            assert node.post(grant, wait=True, connection=connection).status == 201
            subject.append(agreement)
            answer = node.post(maker.record("subscribe", 2, customer, 1, at)[2], wait=True, connection=connection)
            assert answer.status == 201, answer
            active_from[agreement] = answer.json()["height"]
        for looker in lookers:
            looker.done = True
            looker.join(timeout=30)
            assert not looker.is_alive()
        seen = [answer for looker in lookers for answer in looker.seen if answer[0] in active_from]
        wrong = [answer for answer in seen if answer[2] != (answer[1] >= active_from[answer[0]])]
        assert not wrong, f"{len(wrong)} of {len(seen)}, as {wrong[0]} of what was active from {active_from[wrong[0][0]]}"
        assert len({allowed for _, _, allowed in seen}) == 2 and len(active_from) > 10, len(active_from)
        print(f"{len(seen)} answers about {len(active_from)} agreements")
        node.stop()
    finally:
        maker.close()
        node.close()


main(test)
