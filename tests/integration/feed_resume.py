#!/usr/bin/python3
"""The feed: what a reader gets in pieces, across cut connections and a killed node, is what the ledger holds, each event
once and in order; both forms agree; a waiting reader hears of a record at once."""
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Maker, Node, main, now_ms, wait_for  # noqa: E402


def parse_stream(text):
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":") and ": " in line)
        if "data" in fields and "id" in fields:
            event = json.loads(fields["data"])
            assert event["id"] == fields["id"] and event["type"] == fields["event"] and event["specversion"] == "1.0", fields
            events.append(event)
    return events


def whole(node, accept="application/x-ndjson"):
    body = node.get("/v1/feed?follow=0", accept=accept).body.decode()
    if accept == "application/x-ndjson":
        return [json.loads(line) for line in body.split("\n") if line]
    return parse_stream(body)


class Follower:
    """Reads the feed and reconnects with Last-Event-ID whenever it was cut; cuts itself after some bytes."""

    def __init__(self, node, cut_after):
        self.node, self.cut_after = node, cut_after
        self.events, self.connects = [], 0
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            try:
                self.follow()
            except OSError:
                time.sleep(0.02)

    def follow(self):
        with self.node.socket(timeout=1) as connection:
            last = f"Last-Event-ID: {self.events[-1]['id']}\r\n" if self.events else ""
            connection.sendall(f"GET /v1/feed HTTP/1.0\r\nHost: x\r\n{last}\r\n".encode())
            self.connects += 1
            text, got = "", 0
            while got < self.cut_after and not self.stopping:
                part = connection.recv(1024)
                if not part:
                    break
                got += len(part)
                text += part.decode()
                if "\r\n\r\n" in text and not text.startswith("\r\n\r\n"):
                    text = text.split("\r\n\r\n", 1)[1]
                while "\n\n" in text:  # whole events only: what was cut comes again
                    block, text = text.split("\n\n", 1)
                    self.events += parse_stream(block + "\n\n")


def test(build):
    node = Node(build).start()
    maker = Maker(build)
    try:
        maker.network(node.network_id())
        follower = Follower(node, cut_after=1500)
        for number in range(1, 31):
            assert node.post(maker.record("grant", number, 1, 2, now_ms())[2], wait=True).status == 201
            if number in (10, 20):
                node.kill()
                node.start()
        size = node.get("/v1/status").json()["log_size"]
        wait_for(lambda: len(follower.events) >= size, f"{size} events, there are {len(follower.events)}")
        follower.stopping = True
        follower.thread.join(timeout=30)
        assert follower.connects > 5
        assert [int(event["id"]) for event in follower.events] == list(range(size)), "an event is missing, double or out of order"
        assert follower.events == whole(node) == whole(node, "text/event-stream")
        records = [event for event in follower.events if event["type"] == "consent.record.v1"]
        assert len(records) == 30 and all(event["data"]["type"] == "GRANT" and event["subject"] == event["data"]["objects"][0] for event in records)
        tail = node.get(f"/v1/feed?follow=0&after={size - 3}", accept="application/x-ndjson").body.decode().strip().split("\n")
        assert [int(json.loads(line)["id"]) for line in tail] == [size - 2, size - 1]

        with node.socket() as connection:  # a waiting reader hears at once
            connection.sendall(b"GET /v1/feed?after=now HTTP/1.0\r\nHost: x\r\n\r\n")
            assert b" 200 " in connection.recv(4096)
            began = time.monotonic()
            record_id = node.post(maker.record("grant", 99, 1, 2, now_ms())[2], wait=True).json()["id"]
            text = ""
            while record_id not in text:
                part = connection.recv(4096).decode()
                assert part, "the feed ended"
                text += part
            assert time.monotonic() - began < 10
            assert parse_stream(text.split("\r\n\r\n", 1)[-1] + "\n\n")[0]["data"]["record_id"] == record_id
            node.stop()  # with a reader that waits
            connection.settimeout(30)
            while connection.recv(4096):
                pass
    finally:
        maker.close()
        node.close()


main(test)
