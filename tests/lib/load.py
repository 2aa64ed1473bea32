"""Load for a consortium: records signed in advance, posted over several connections to all nodes, with notes of what was
acknowledged and how long it took. What breaks because a node is down is tried again elsewhere or forgotten; an answer that
no node should give is noted as strange."""
import http.client
import threading
import time

from consent_node import now_ms

AHEAD = 64                # records signed in one go
POST_DEADLINE_S = 15


class Supply:
    """Signed grants, each of another customer, and withdrawals of them. Any thread."""

    def __init__(self, consortium, first=1):
        self.maker, self.next, self.ready = consortium.maker, first, []
        self.lock = threading.Lock()

    def grant(self):
        """(number, record id, object id, record)"""
        with self.lock:
            if not self.ready:
                for number in range(self.next, self.next + AHEAD):
                    self.ready.append((number, *self.maker.record("grant", number, 1, 2, now_ms())))
                self.next += AHEAD
                self.ready.reverse()
            return self.ready.pop()

    def revoke(self, number, object_id):
        """(record id, record)"""
        with self.lock:
            record_id, _, record = self.maker.record("revoke", number, object_id, now_ms())
            return record_id, record


class Crew:
    """Threads that work until the block ends that they were started for. What goes wrong in one fails that block."""

    def __init__(self, jobs, deadline_s=60):
        """jobs: (function, argument, …) each; deadline_s: how long one may take to end when it is told to."""
        self.stopping, self.strange, self.deadline_s = threading.Event(), [], deadline_s
        self.threads = [threading.Thread(target=self.guard, args=job, daemon=True) for job in jobs]

    def guard(self, job, *arguments):
        try:
            job(*arguments)
        except Exception as error:  # said by whoever ends the crew
            self.strange.append(repr(error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=self.deadline_s)
        if kind is None:
            assert not any(thread.is_alive() for thread in self.threads), f"one of a {type(self).__name__} hangs"
            assert not self.strange, self.strange[:5]


class Load(Crew):
    """clients connections; per_second: of all together, None for as many as are answered; targets: nodes posted to."""

    def __init__(self, consortium, supply, clients=8, per_second=None, targets=None, withdraw_every=7):
        super().__init__([(self.client, number) for number in range(clients)], 4 * POST_DEADLINE_S)
        self.supply, self.targets = supply, targets if targets is not None else list(consortium)
        self.pause = clients / per_second if per_second else 0
        self.withdraw_every = withdraw_every
        self.lock = threading.Lock()
        self.acknowledged, self.accepted = {}, {}   # record id -> (record, log index); record id -> record
        self.samples, self.refused, self.broken, self.pending = [], 0, 0, 0

    def client(self, turn):
        while not self.stopping.is_set():
            member, turn = self.targets[turn % len(self.targets)], turn + 1
            if member.running():
                self.converse(member)
            else:
                self.stopping.wait(0.05)

    def converse(self, member):
        """Some records over one connection, so that all nodes get their share."""
        connection = member.connect(timeout=POST_DEADLINE_S)
        try:
            for _ in range(8):
                began = time.monotonic()
                self.submit(member, connection)
                self.stopping.wait(max(0.0, self.pause - (time.monotonic() - began)))
                if self.stopping.is_set():
                    break
        except (OSError, http.client.HTTPException):
            self.broken += 1
            self.stopping.wait(0.05)
        finally:
            connection.close()

    def submit(self, member, connection):
        number, record_id, object_id, record = self.supply.grant()
        began = time.monotonic()
        answer = self.post(member, connection, record, "?wait=final&timeout=10")
        if answer.status == 201:
            with self.lock:
                self.acknowledged[record_id] = (record, answer.json()["log_index"])
                self.samples.append((time.monotonic(), time.monotonic() - began, member.index))
        self.note(answer, (201, 202))
        if answer.status == 201 and self.withdraw_every and number % self.withdraw_every == 0:
            record_id, record = self.supply.revoke(number, object_id)
            answer = self.post(member, connection, record, "")
            if answer.status == 202 and "acceptance" in answer.json():
                with self.lock:
                    self.accepted[record_id] = record
            self.note(answer, (202,))

    @staticmethod
    def post(member, connection, record, query):
        return member.request("POST", f"/v1/records{query}", record, {"Content-Type": "application/cose"}, connection)

    def note(self, answer, good):
        if answer.status == 503:
            self.refused += 1
            self.stopping.wait(0.1)
        elif answer.status not in good:
            self.strange.append(repr(answer))
        elif answer.status == 202:
            self.pending += 1

    def latencies(self, since=0.0):
        with self.lock:
            return sorted(seconds for ended, seconds, _ in self.samples if ended - seconds >= since)

    def longest_pause(self, since):
        """Seconds from then on, or between two acknowledgements, in which nothing was acknowledged."""
        with self.lock:
            ends = [since] + sorted(ended for ended, _, _ in self.samples if ended >= since) + [time.monotonic()]
        return max(later - earlier for earlier, later in zip(ends, ends[1:]))


def percentile(values, share):
    """Of sorted values."""
    return values[min(len(values) - 1, int(share * len(values)))]
