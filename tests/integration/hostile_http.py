#!/usr/bin/python3
"""Requests as no honest client writes them: odd paths, numbers, headers, tiles, pipelines, floods. Each is answered with a
refusal (or served, where it means something), always with valid UTF-8 and JSON, nothing is read that should not be, and the
node goes on."""
import json
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Maker, Node, main, now_ms, wait_for  # noqa: E402


def raw(node, data, timeout=20):
    """Everything that the node sends until it closes (the request should ask for that)."""
    with node.socket(timeout=timeout) as connection:
        got = b""
        try:
            connection.sendall(data)
            while True:
                part = connection.recv(65536)
                if not part:
                    break
                got += part
        except (ConnectionResetError, BrokenPipeError):
            pass
        return got


def get(node, target, *headers, method=b"GET"):
    """(status, body) for a target sent byte by byte as it stands."""
    if isinstance(target, str):
        target = target.encode()
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: x", b"Connection: close", *[header.encode() for header in headers]]
    got = raw(node, b"\r\n".join(lines) + b"\r\n\r\n")
    if not got:
        return 0, b""
    head, _, body = got.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    if status >= 400 and b"application/problem+json" in head and method != b"HEAD":
        problem = json.loads(body.decode("utf-8"))
        assert problem["status"] == status and problem["code"].startswith("CL_E_") and problem["title"], problem
        assert b"Cache-Control: no-store\r\n" in head, head
    return status, body


def expect(node, wanted, targets, *headers):
    for target in targets:
        status, body = get(node, target, *headers)
        assert status in wanted, f"{target!r}: {status} {body[:200]!r}, not {wanted}"


def paths(node):
    expect(node, (400, 404), ["//livez", "/livez/", "/./livez", "/x/../livez", "/%2e%2e/livez", "/livez%00", "/livez%00.png", "/v1%2Flivez", "/v1//records/x",
                              "/tile/0/%2e%2e/000", "/tile/0/../000", "/LIVEZ", "/livez;a=b", "/%", "/%zz", "/v1/records/%ff%fe", "/v1/records/\xff".encode("latin-1"),
                              "/v1/records/" + "a" * 300, "/v1/records/" + "%61" * 64 + "%00", "/tile/" + "0/" * 100 + "000", "", "*", "http://x/nothing"])
    expect(node, (200,), ["/livez", "/%6civez", "/livez?", "/livez?x=y", "/livez?" + "a=b&" * 200])
    # the library ends a target at a zero byte: what stood before it decides, and nothing after it is seen
    expect(node, (0, 200, 400), [b"/livez\0", b"/livez\0/x", b"/livez\0?x"])
    expect(node, (0, 400, 404), [b"/v1/records/\0", b"/\0livez", b"\0"])


def hex_numbers(node, known):
    identity, agreement = known
    expect(node, (200,), [f"/v1/records/{identity}", f"/v1/agreements/{agreement}", "/v1/consistency?from=1", "/v1/consistency?from=0001&to=3"])
    expect(node, (400,), [f"/v1/records/{identity.upper()}", f"/v1/records/{identity}00", f"/v1/records/{identity[:-1]}", f"/v1/records/0x{identity[2:]}",
                          f"/v1/records/{identity}%00", f"/v1/agreements/{agreement.upper()}", f"/v1/check?agreement={agreement.upper()}", f"/v1/check?agreement={agreement}%00",
                          f"/v1/check?agreement={agreement}&agreement={agreement}"])
    good = f"/v1/check?agreement={agreement}"
    expect(node, (200,), [good, good + "&slot=0&slot=63", good + "&slot=07", good + "&slot=1&slot=1"])
    expect(node, (400,), [f"{good}&slot={slot}" for slot in ("", "64", "-1", "+1", "%201", "1%20", "1.0", "1e1", "0x1", "000000001", "18446744073709551616", "18446744073709551617", "a", "%00")])
    numbers = ("-1", "+1", "%2b1", "%201", "1%20", "1x", "0x1", "1.0", "1e3", "18446744073709551615", "18446744073709551616", "99999999999999999999999999", "%00", "%EF%BC%91")
    expect(node, (400,), [f"/v1/feed?follow=0&after={number}" for number in numbers] + [f"/v1/consistency?from={number}" for number in numbers])
    expect(node, (400,), [f"/v1/terms?limit={number}" for number in (*numbers, "0", "1001", "")] + ["/v1/terms?limit=1&limit=2", "/v1/consistency?from=1&from=2"])
    expect(node, (400,), [f"/v1/terms?cursor={cursor}" for cursor in ("", "x", "a" * 63, "A" * 64, "a" * 65, "a" * 20000, "%00" * 32)])
    expect(node, (200,), ["/v1/terms?cursor=" + "f" * 64, "/v1/terms?cursor=" + "0" * 64, "/v1/feed?follow=0&after=999999999999999999"])
    expect(node, (400,), ["/v1/feed?follow=0"], "Last-Event-ID: -1")
    expect(node, (400,), ["/v1/feed?follow=0"], "Last-Event-ID: 18446744073709551615")
    expect(node, (400,), [f"/v1/challenge?key={key}" for key in ("", "02" * 32, "0" * 65, "zz" * 33, "AB" * 33)])
    expect(node, (400,), [f"/v1/parties/{party}/agreements" for party in ("x", "A" * 64, "0" * 65, "0" * 67)])


def accept(node, known):
    path = f"/v1/records/{known[0]}"
    expect(node, (200,), [path], "Accept: " + "x/y;q=0.1," * 1500 + "text/plain")
    expect(node, (406,), [path], "Accept: " + "x/y;q=0.1," * 1500)
    expect(node, (406,), [path], "Accept: application/json;q=0")
    expect(node, (200,), [path], "Accept: application/json;q=nan")
    expect(node, (200,), [path], "Accept: application/json;q=1e99999")
    expect(node, (200, 406), [path], "Accept: " + "\xff\x01".encode("latin-1").decode("latin-1").replace("\x01", "") + ",*/*")
    expect(node, (413, 431), [path], "Accept: " + "a/b," * 20000)


def tiles(node):
    size = node.get("/v1/status").json()["log_size"]
    assert 256 < size < 512, size
    rest = size - 256
    for kind in ("0", "entries"):
        expect(node, (200,), [f"/tile/{kind}/000", f"/tile/{kind}/000.p/255", f"/tile/{kind}/000.p/1", f"/tile/{kind}/001.p/{rest}", f"/tile/{kind}/001.p/1"])
        expect(node, (404,), [f"/tile/{kind}/{name}" for name in (
            "001", f"001.p/{rest + 1}", "001.p/255", "002", "002.p/1", "000.p/0", "000.p/256", "000.p/257", "000.p/01", "000.p/", "000.p", "000.p/1/", "000.p/-1", "000.p/+1",
            "000.p/1x", "0", "00", "0000", "-01", "+00", "00x", "x000", "x000/000", "000/000", "x001/234", "x001/234.p/5", "X001/234", "x001", "x001/", "x01/000", "x999/x999/x999/x999/x999/999",
            "x999/x999/x999/x999/x999/x999/999", "000%00", "000.p%2F1", "18446744073709551615")])
    expect(node, (200,), ["/tile/1/000.p/1"])
    expect(node, (404,), ["/tile/1/000", "/tile/1/000.p/2", "/tile/2/000.p/1", "/tile/7/000.p/1", "/tile/8/000.p/1", "/tile/9/000.p/1", "/tile/9/x999/x999/x999/x999/x999/999",
                          "/tile/10/000", "/tile/00/000", "/tile/-1/000", "/tile/0%30/000", "/tile/entriesx/000", "/tile/63/000", "/tile/64/000"])
    status, body = get(node, "/tile/0/000")
    assert status == 200 and len(body) == 256 * 32
    far = node.get("/tile/0/001.p/255")
    assert far.headers["Cache-Control"] == "no-store" and "public" in node.get("/tile/0/000").headers["Cache-Control"]


def methods(node):
    for method in (b"OPTIONS", b"TRACE", b"CONNECT", b"PATCH", b"DELETE", b"FOO", b"get", b"G" * 200):
        status, body = get(node, "/livez", method=method)
        assert status in (0, 400, 405, 501), (method, status, body)
    status, body = get(node, "/livez", method=b"HEAD")
    assert status == 200 and body == b""
    assert get(node, "/v1/feed", method=b"HEAD")[0] == 405
    assert get(node, "/nothing", method=b"HEAD")[0] == 404
    got = raw(node, b"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/cose\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nabc")
    assert b" 400 " in got, got
    got = raw(node, b"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/cose\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 413"), f"refused before it is sent: {got[:200]!r}"
    for both in (b"Content-Length: 3\r\nContent-Length: 5", b"Content-Length: 3\r\nTransfer-Encoding: chunked", b"Content-Length: +3", b"Content-Length: 3, 3", b"Content-Length: 0x3",
                 b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: gzip"):
        with node.socket(timeout=8) as connection:
            connection.sendall(b"POST /v1/records HTTP/1.1\r\nHost: x\r\n" + both + b"\r\nConnection: close\r\n\r\nabc")
            try:
                got = connection.recv(100)
            except (ConnectionResetError, socket.timeout):
                got = b""
            assert not got.startswith(b"HTTP/1.1 2"), (both, got)


def pipelines(node):
    """Many requests in one piece are answered one by one, in order; a body left unread is not taken for a request."""
    got = raw(node, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 50 + b"GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert got.count(b"HTTP/1.1 200 ") == 51 and got.rstrip().endswith(b"}"), got[-300:]
    smuggled = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    got = raw(node, b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(smuggled) + smuggled + b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"consent_" not in got, got
    got = raw(node, b"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n" + smuggled * 2600)
    assert b"consent_" not in got, "what a refused body held was taken for a request"


def floods(node, maker):
    """Feeds beyond their number, challenges without end."""
    held = []
    for _ in range(8):
        connection = node.socket(timeout=10)
        connection.sendall(b"GET /v1/feed?after=now HTTP/1.0\r\nHost: x\r\n\r\n")
        held.append((connection, connection.recv(4096)))
    served = [answer for _, answer in held if b" 200 " in answer[:20]]
    refused = [answer for _, answer in held if b" 429 " in answer[:20]]
    assert len(served) == 5 and len(refused) == 3 and all(b"Retry-After: " in answer for answer in refused), [answer[:60] for _, answer in held]
    assert node.metrics()["consent_feed_streams"] == 5
    for connection, _ in held:
        connection.close()
    # a feed whose reader is gone ends when there is something to say
    wait_for(lambda: node.post(maker.record("grant", now_ms() % 1000000000, 1, 2, now_ms())[2], wait=True).status == 201 and node.metrics()["consent_feed_streams"] == 0, "feeds that end")
    key = maker.ask("challenge", 1, "00" * 32)[0]
    connection, nonces = node.connect(), set()
    before = memory(node)
    for _ in range(3000):
        nonces.add(node.request("GET", f"/v1/challenge?key={key}", connection=connection).json()["nonce"])
    assert len(nonces) == 3000
    with open(node.program, "rb") as file:
        sanitized = b"__asan_init" in file.read()  # which keeps freed memory for a while
    assert sanitized or memory(node) - before < 2048, "a challenge that nobody used takes no room"
    connection.close()


def memory(node):
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as file:
        return [int(line.split()[1]) for line in file if line.startswith("VmRSS")][0]


def challenges(node, maker):
    """A read by key needs this network's nonce, unused, signed by that key."""
    key, other = maker.ask("challenge", 1, "00" * 32)[0], maker.ask("challenge", 2, "00" * 32)[0]
    path = f"/v1/parties/{key}/agreements"
    nonce = lambda who: node.get(f"/v1/challenge?key={who}").json()["nonce"]
    ask = lambda value, signature, where=path: get(node, where, f"Consent-Challenge: {value}", f"Consent-Signature: {signature}")[0]
    good = nonce(key)
    signature = maker.ask("challenge", 1, good)[1]
    assert ask(good, signature) == 200
    assert ask(good, signature) == 401, "used"
    for value, signed in ((nonce(other), 1), (nonce(key), 2), ("00" * 32, 1), ("ff" * 32, 1)):
        assert ask(value, maker.ask("challenge", signed, value)[1]) == 401, (value, signed)
    fresh = nonce(key)
    assert ask(fresh, signature) == 401, "a signature over another nonce"
    assert ask(fresh.upper(), maker.ask("challenge", 1, fresh)[1]) == 401
    changed = fresh[:20] + ("0" if fresh[20] != "0" else "1") + fresh[21:]
    assert ask(changed, maker.ask("challenge", 1, changed)[1]) == 401, "a nonce that was changed"
    maker.network("ab" * 32)
    assert ask(fresh, maker.ask("challenge", 1, fresh)[1]) == 401, "another network's signature"
    maker.network(node.network_id())
    assert ask(fresh, maker.ask("challenge", 1, fresh)[1], f"/v1/parties/{other}/agreements") == 401, "somebody else's list"
    assert ask(fresh, maker.ask("challenge", 1, fresh)[1]) == 200, "what was refused did not use it up"
    answer = node.request("GET", path)
    assert answer.status == 401 and answer.headers["Cache-Control"] == "no-store"


def closed_network(build):
    """Without open_reads nothing lists what others do, and caches get nothing that a token opened."""
    node = Node(build, open_reads=False).start()
    try:
        with open(f"{node.data}/reader.token", encoding="ascii") as file:
            token = file.read().strip()
        assert json.loads(node.get("/v1/genesis").body)["parameters"]["open_reads"] == 0
        for path in ("/v1/feed?follow=0", "/v1/terms", "/tile/0/000.p/1", "/tile/entries/000.p/1", "/tile/entries/000"):
            for header in ("X: y", "Authorization: Bearer", "Authorization: Bearer ", f"Authorization: Basic {token}", f"Authorization: Bearer {token.upper()}", f"Authorization: Bearer {token}0",
                           f"Authorization: Bearer {token[:-1]}", f"Authorization: {token}"):
                status, body = get(node, path, header)
                assert status == 401 and b"CL_E_LOCKED" in body, (path, header, status)
                assert get(node, path, header, method=b"HEAD")[0] in (401, 405)
        answer = node.get("/tile/0/000.p/1", Authorization=f"bearer {token}")
        assert answer.status == 200 and answer.headers["Cache-Control"].startswith("private"), answer.headers
        for path in ("/v1/terms", "/v1/status", "/checkpoint"):
            assert node.get(path, Authorization=f"Bearer {token}").headers["Cache-Control"] == "no-store", path
    finally:
        node.close()


def test(build):
    node = Node(build, config="[http]\nfeed_streams_max = 5\n[log]\nlevel = debug\n").start()
    maker = Maker(build)
    try:
        maker.network(node.network_id())
        connection = node.connect()
        identity, agreement, grant = maker.record("grant", 1, 1, 2, now_ms())
        assert node.post(grant, wait=True, connection=connection).status == 201
        number = 2
        while node.get("/v1/status").json()["log_size"] <= 300:
            for _ in range(20):
                node.post(maker.record("grant", number, 1, 2, now_ms())[2], wait=True, connection=connection)
                number += 1
        answer = node.post(maker.record("terms", 7, 99, 1, 2 ** 64 - 1, now_ms())[2], wait=True)
        assert answer.status == 201, answer
        shown = node.get("/v1/terms").json()["terms"][0]["state"]
        assert shown["limit"] == 2 ** 63 - 1, shown
        tiles(node)
        for step in (lambda: paths(node), lambda: hex_numbers(node, (identity, agreement)), lambda: accept(node, (identity, agreement)), lambda: methods(node),
                     lambda: pipelines(node), lambda: challenges(node, maker), lambda: floods(node, maker)):
            began = time.monotonic()
            step()
            assert node.process.poll() is None, node.log()[-2000:]
            assert time.monotonic() - began < 90
        log = node.log().replace(node.url, "")
        assert "127.0.0.1" not in log, "an address in the log"
        assert all(line.startswith("time=") and line.isprintable() for line in log.split("\n") if line), "a line of the log that a stranger wrote"
        node.stop()
        node.run("check", "--data", node.data)
    finally:
        maker.close()
        node.close()
    closed_network(build)


main(test)
