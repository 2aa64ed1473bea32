#!/usr/bin/python3
"""SIGTERM while clients submit, readers follow the feed and others fetch proofs, tiles and states: the node stops by
itself within a bounded time and with status 0, everybody who waited got an answer or a closed connection, and whatever was
acknowledged is there. Several times over (ROUNDS, 3 unless told). This is what the thread sanitizer looks at."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Maker, Node, main, now_ms, wait_for  # noqa: E402


class Crowd:
    def __init__(self, node, maker, first):
        self.node, self.maker, self.number = node, maker, first
        self.lock = threading.Lock()
        self.acknowledged, self.agreements, self.events, self.proofs, self.strange = {}, [], 0, 0, []
        jobs = [self.submit] * 4 + [self.withdraw] + [self.follow] * 2 + [self.prove, self.read]
        self.threads = [threading.Thread(target=self.guard, args=(job,), daemon=True) for job in jobs]
        for thread in self.threads:
            thread.start()

    def guard(self, job):
        try:
            job(self.node.connect(timeout=30))
        except (OSError, ValueError):
            pass  # the node stopped
        except Exception as error:  # http.client's own words for a connection that was closed
            if type(error).__module__ != "http.client":
                self.strange.append(repr(error))

    def make(self, *words):
        with self.lock:
            return self.maker.record(*words)

    def submit(self, connection):
        while True:
            with self.lock:
                self.number += 1
                number = self.number
            record_id, agreement, record = self.make("grant", number, 1, 2, now_ms())
            answer = self.node.post(record, wait=True, connection=connection)
            if answer.status == 201:
                self.acknowledged[record_id] = answer.json()["log_index"]
                self.agreements.append((number, agreement))
            elif answer.status not in (202, 503):
                self.strange.append(repr(answer))

    def withdraw(self, connection):
        done = 0
        while True:
            if len(self.agreements) <= done:
                time.sleep(0.01)
                self.node.request("GET", "/livez", connection=connection)
                continue
            number, agreement = self.agreements[done]
            done += 5
            answer = self.node.post(self.make("revoke", number, agreement, now_ms())[2], connection=connection)
            if answer.status not in (202, 503):
                self.strange.append(repr(answer))

    def follow(self, connection):
        connection.request("GET", "/v1/feed?after=0", headers={"Accept": "application/x-ndjson"})
        lines = connection.getresponse()
        while lines.readline():
            self.events += 1

    def prove(self, connection):
        while True:
            if not self.agreements:
                self.node.request("GET", "/readyz", connection=connection)
                continue
            agreement = self.agreements[-1][1]
            answer = self.node.request("GET", f"/v1/agreements/{agreement}", headers={"Accept": "application/consent-proof"}, connection=connection)
            self.proofs += answer.status == 200
            if answer.status not in (200, 409, 503):
                self.strange.append(repr(answer))

    def read(self, connection):
        while True:
            for path in ("/checkpoint", "/metrics", "/v1/status", "/tile/0/000.p/1", "/v1/network", "/v1/terms", "/v1/feed?follow=0"):
                answer = self.node.request("GET", path, connection=connection)
                if answer.status not in (200, 503):
                    self.strange.append(f"{path} {answer!r}")


def test(build):
    node, maker = Node(build), Maker(build)
    everything, first = {}, 0
    try:
        for _ in range(int(os.environ.get("ROUNDS", "3"))):
            node.start()
            maker.network(node.network_id())
            crowd = Crowd(node, maker, first)
            wait_for(lambda: len(crowd.acknowledged) >= 40 and crowd.events >= 40 and crowd.proofs >= 5, "a busy node", 120)
            began = time.monotonic()
            node.stop()  # status 0, or it says why not
            took = time.monotonic() - began
            for thread in crowd.threads:
                thread.join(timeout=40)
                assert not thread.is_alive(), "somebody still waits for an answer"
            assert not crowd.strange, crowd.strange[:5]
            assert took < 20, f"it took {took:.1f} s to stop"
            everything.update(crowd.acknowledged)
            first = crowd.number
            print(f"{len(crowd.acknowledged)} acknowledged, {crowd.events} events, {crowd.proofs} proofs; stopped in {took:.2f} s")
        node.start()
        for record_id, log_index in everything.items():
            answer = node.get(f"/v1/records/{record_id}")
            assert answer.status == 200 and answer.json()["log_index"] == log_index, f"lost: {record_id}"
        node.stop()
        node.run("check", "--data", node.data)
    finally:
        maker.close()
        node.close()


main(test)
