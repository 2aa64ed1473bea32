#!/usr/bin/python3
"""The disk between a node and what it promised. First every write and sync fails once, one after the other, from the first
of the start to the last of a short story: the node stops with a sentence, and whatever it acknowledged, receipt or accepted
withdrawal, is there when it runs again. Then a slow disk, so that records wait together: a withdrawal of what is still
pending is accepted with a signature, hundreds wait for finality and are answered, also when the node is stopped."""
import base64
import http.client
import os
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Maker, Node, main, now_ms, wait_for  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


def shim(node):
    library = f"{node.root}/disk_faults.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, f"{HERE}/disk_faults.c", "-ldl"], check=True, timeout=60)
    return library


def with_faults(node, library, **settings):
    sanitizer = ":".join([part for part in (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0") if part])
    node.environment = {**os.environ, "LD_PRELOAD": library, "ASAN_OPTIONS": sanitizer, **{key: str(value) for key, value in settings.items()}}


class Story:
    """Grants made final, one withdrawn: what was acknowledged, until an answer fails."""

    def __init__(self, node, maker, number):
        self.node, self.maker = node, maker
        self.final, self.withdrawn, self.refused = {}, [], []
        try:
            self.tell(number)
            self.whole = True
        except (OSError, http.client.HTTPException):
            self.whole = False  # the node is gone

    def tell(self, number):
        connection = self.node.connect(timeout=20)
        for i in range(3):
            record_id, agreement, record = self.maker.record("grant", number + i, 1, 2, now_ms())
            answer = self.node.post(record, wait=True, connection=connection)
            self.note(answer)
            if answer.status == 201:
                self.final[record_id] = answer.json()["log_index"]
            if i == 1 and answer.status == 201:
                record_id, _, record = self.maker.record("revoke", number + i, agreement, now_ms())
                answer = self.node.post(record, connection=connection)
                self.note(answer)
                if answer.status == 202 and "acceptance" in answer.json():
                    self.withdrawn.append((record_id, agreement))

    def note(self, answer):
        if answer.status not in (201, 202):
            self.refused.append(answer)
        elif self.refused:
            raise AssertionError(f"{self.refused[0]!r}, and then {answer!r}")


def start_with_faults(node):
    """True: it runs; False: it said why not."""
    try:
        node.start()
        return True
    except AssertionError:
        assert node.process.wait(timeout=60) == 1, f"it died: {node.process.returncode} {node.log()[-1500:]}"
        node.process.stdout.close()
        node.process = None
        return False


def fail_everywhere(build):
    node, maker = Node(build), Maker(build)
    library = shim(node)
    number, places, stopped = 1, 0, 0
    final, withdrawn = {}, []
    try:
        node.start()
        maker.network(node.network_id())
        node.stop()
        for at in range(1, 400):
            mark = len(node.log())
            with_faults(node, library, DISK_FAIL_AT=at)
            told = Story(node, maker, number) if start_with_faults(node) else None
            number += 10
            if told is not None:
                final.update(told.final)
                withdrawn += told.withdrawn
                if told.whole and not told.refused:
                    node.kill()
                    places = at - 1
                    break
                assert node.process.wait(timeout=60) == 1, f"call {at}: status {node.process.returncode}"
                node.process.stdout.close()
                node.process = None
                stopped += 1
            said = node.log()[mark:]
            assert "consentd: " in said or "event=node_stopped" in said, f"call {at}: no sentence: {said[-500:]}"
            node.environment = None
            node.start()
            for record_id, index in (told.final if told is not None else {}).items():
                answer = node.get(f"/v1/records/{record_id}")
                assert answer.status == 200 and answer.json()["log_index"] == index, f"call {at}: lost {record_id}"
            for record_id, agreement in told.withdrawn if told is not None else []:
                assert node.get(f"/v1/check?agreement={agreement}").json()["allowed"] is False
                wait_for(lambda: node.get(f"/v1/records/{record_id}").json().get("status") == "final", f"call {at}: the accepted withdrawal")
            node.stop()
        assert places >= 25 and stopped >= 15, (places, stopped)
        node.environment = None
        node.start()
        for record_id, index in final.items():
            assert node.get(f"/v1/records/{record_id}").json()["log_index"] == index
        for _, agreement in withdrawn:
            assert node.get(f"/v1/check?agreement={agreement}").json()["code"] == "CL_E_WITHDRAWN"
        node.stop()
        node.run("check", "--data", node.data)
        print(f"{places} calls failed once each, {stopped} of them while it ran; {len(final)} receipts and {len(withdrawn)} withdrawals kept")
    finally:
        maker.close()
        node.close()


class Poster(threading.Thread):
    """One POST on its own connection."""

    def __init__(self, node, record, wait):
        super().__init__(daemon=True)
        self.node, self.record, self.wait, self.answer = node, record, wait, None
        self.start()

    def run(self):
        try:
            self.answer = self.node.post(self.record, wait=self.wait)
        except (OSError, http.client.HTTPException):
            pass  # closed


def withdrawals_of_what_is_pending(node, maker):
    _, old, grant = maker.record("grant", 1, 1, 2, now_ms())
    assert node.post(grant, wait=True).status == 201
    busy = Poster(node, maker.record("grant", 2, 1, 2, now_ms())[2], True)
    time.sleep(0.2)  # the owner is at the disk now, for more than a second: what follows is admitted together
    _, young, grant = maker.record("grant", 3, 1, 2, now_ms())
    posts = [Poster(node, grant, False)]
    time.sleep(0.1)
    revoke_young, revoke_old = maker.record("revoke", 3, young, now_ms())[2], maker.record("revoke", 1, old, now_ms())[2]
    for record in (revoke_young, revoke_old, revoke_old):
        posts.append(Poster(node, record, False))
        time.sleep(0.1)
    for post in [busy, *posts]:
        post.join(timeout=60)
    young_answer, old_answer, again = (post.answer for post in posts[1:])
    assert young_answer is not None and young_answer.status == 202, f"a withdrawal of what was still pending: {young_answer!r}"
    assert len(base64.b64decode(young_answer.json()["acceptance"])) > 100, young_answer
    assert node.get(f"/v1/check?agreement={young}").json()["allowed"] is False
    assert old_answer.status == 202 and old_answer.json()["acceptance"], old_answer
    assert again.status == 200 and (again.json()["status"] == "final" or again.json()["acceptance"]), f"asked again: {again!r}"
    print(f"the second time it was {again.json()['status']}")
    stranger = Poster(node, maker.record("grant", 4, 1, 2, now_ms())[2], True)
    time.sleep(0.2)
    refused = node.post(maker.record("revoke", 5, "ab" * 32, now_ms())[2])
    assert refused.status == 409 and "acceptance" not in refused.json(), refused
    stranger.join(timeout=60)


def all_slots_one_by_one(node, maker):
    """Withdrawals of single slots leave nothing: then the agreement as a whole is no more, final or not."""
    at = now_ms()  # the offer's time is part of what the answer names
    _, agreement, grant = maker.record("grant", 50, 1, 2, at)
    assert node.post(grant, wait=True).status == 201
    assert node.post(maker.record("subscribe", 2, 50, 1, at)[2], wait=True).status == 201
    live = node.get(f"/v1/agreements/{agreement}").json()["state"]["live"]
    assert len(live) >= 2 and node.get(f"/v1/check?agreement={agreement}").json()["allowed"] is True
    busy = Poster(node, maker.record("grant", 51, 1, 2, now_ms())[2], True)
    time.sleep(0.2)
    posts = [Poster(node, maker.record("revoke_slots", 50, agreement, now_ms(), slots)[2], False) for slots in (1 << live[0], sum(1 << slot for slot in live[1:]))]
    for post in posts:
        post.join(timeout=60)
        assert post.answer is not None and post.answer.status == 202 and post.answer.json()["acceptance"], post.answer
    check = node.get(f"/v1/check?agreement={agreement}").json()
    assert check["allowed"] is False and check["code"] == "CL_E_WITHDRAWN" and check["accepted_withdrawal"] is True, check
    busy.join(timeout=60)
    wait_for(lambda: node.get(f"/v1/agreements/{agreement}").json()["state"]["status"] == "withdrawn", "both final")


def hundreds_wait(node, maker, first):
    bounded = node.metrics()["consent_submissions_bounded_total"]
    grants = [maker.record("grant", first + i, 1, 2, now_ms())[2] for i in range(300)]
    posts = [Poster(node, grant, True) for grant in grants]
    for post in posts:
        post.join(timeout=90)
        assert not post.is_alive() and post.answer is not None, "somebody still waits"
    counts = {status: sum(post.answer.status == status for post in posts) for status in (201, 503)}
    assert counts[201] + counts[503] == 300 and counts[201] >= 60 and counts[503] > 0, counts
    assert all(post.answer.headers.get("Retry-After") for post in posts if post.answer.status == 503)
    assert node.metrics()["consent_submissions_bounded_total"] - bounded == counts[503], counts
    return counts


class FeedReader(threading.Thread):
    """Asks for all that is final, slowly, again and again until the node is gone: what ends as if it were whole has to be."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.whole, self.short = node, 0, []
        self.start()

    def read(self):
        with socket.socket() as connection:
            connection.settimeout(30)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", self.node.port))
            connection.sendall(b"GET /v1/feed?follow=0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            got = [connection.recv(4096)]
            while got[-1]:
                time.sleep(0.002)
                got.append(connection.recv(4096))
            return b"".join(got)

    def run(self):
        try:
            while True:
                size = self.node.get("/v1/status").json()["log_size"]
                got = self.read()
                if not got.startswith(b"HTTP/1.1 200 ") or not got.endswith(b"\r\n0\r\n\r\n"):
                    continue
                self.whole += 1
                if got.count(b'"specversion"') < size:
                    self.short.append(f"{got.count(b'specversion')} of {size} events")
        except (OSError, KeyError, http.client.HTTPException):
            pass  # the node is gone, or says so


def stop_while_they_wait(node, maker, first):
    grants = [maker.record("grant", first + i, 1, 2, now_ms()) for i in range(200)]
    posts = [Poster(node, grant[2], True) for grant in grants]
    readers = [FeedReader(node) for _ in range(3)]
    wait_for(lambda: all(reader.whole > 0 for reader in readers), "whole feeds")
    requests = lambda: node.metrics()["consent_http_requests_total"]
    seen = requests()
    wait_for(lambda: requests() > 100 + (seen if seen > 500 else 0) or any(post.answer for post in posts), "requests")
    began = time.monotonic()
    node.stop()
    took = time.monotonic() - began
    assert took < 15, f"it took {took:.1f} s to stop"
    for reader in readers:
        reader.join(timeout=30)
        assert not reader.is_alive() and not reader.short, reader.short
    for post in posts:
        post.join(timeout=30)
        assert not post.is_alive(), "somebody still waits"
        assert post.answer is None or post.answer.status in (201, 503), post.answer
    node.environment = None
    node.start()
    for post, grant in zip(posts, grants):
        if post.answer is not None and post.answer.status == 201:
            assert node.get(f"/v1/records/{grant[0]}").json()["status"] == "final"
    node.stop()
    print(f"stopped in {took:.2f} s; {sum(post.answer is not None and post.answer.status == 201 for post in posts)} of 200 were final")


def slow_disk(build):
    node, maker = Node(build, config="[pool]\nrecords_max = 64\n"), Maker(build)
    try:
        with_faults(node, shim(node), DISK_SYNC_MS=400)
        node.start()
        maker.network(node.network_id())
        withdrawals_of_what_is_pending(node, maker)
        all_slots_one_by_one(node, maker)
        print(hundreds_wait(node, maker, 1000))
        stop_while_they_wait(node, maker, 2000)
        node.run("check", "--data", node.data)
    finally:
        maker.close()
        node.close()


def test(build):
    slow_disk(build)
    fail_everywhere(build)


main(test)
