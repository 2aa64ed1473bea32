#!/usr/bin/python3
"""Bad input at the HTTP port: each gets a clear refusal or is cut, and the node goes on taking records."""
import os
import re
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Maker, Node, main, now_ms, wait_for  # noqa: E402

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def refused(node, record, status, code, wait=False):
    answer = node.post(record, wait)
    assert answer.status == status and answer.json()["code"] == code, (answer, status, code)


def bad_records(node, maker):
    t = now_ms()
    record_id, agreement, good = maker.record("grant", 1, 1, 2, t)
    for cut in (0, 1, 10, len(good) // 2, len(good) - 1):
        assert node.post(good[:cut]).status == 400
    refused(node, good + b"\0", 400, "CL_E_CBOR_TRAILING")
    refused(node, b"\xd2\x9f" + good[2:], 400, "CL_E_CBOR_NOT_CANONICAL")
    assert node.post(b"\x81" * 5000).status == 400
    flipped = bytearray(good)
    flipped[-1] ^= 1
    refused(node, bytes(flipped), 400, "CL_E_SIGNATURE")
    s = int.from_bytes(good[-32:], "big")
    refused(node, good[:-32] + (ORDER - s).to_bytes(32, "big"), 400, "CL_E_SIGNATURE_HIGH_S")
    refused(node, maker.record("grant", 1, 2, 2, t - 31 * 86400 * 1000)[2], 409, "CL_E_TIME_OLD")
    refused(node, maker.record("grant", 1, 2, 2, t + 600 * 1000)[2], 409, "CL_E_TIME_AHEAD")
    assert node.post(good, wait=True).status == 201
    assert node.post(good, wait=True).status == 200, "the same bytes again are known"
    refused(node, maker.record("grant", 1, 1, 2, now_ms() + 1)[2], 409, "CL_E_OBJECT_EXISTS")
    refused(node, maker.record("revoke", 5, agreement, now_ms())[2], 409, "CL_E_PARTY")
    refused(node, maker.record("revoke", 5, "ab" * 32, now_ms())[2], 409, "CL_E_NO_OBJECT")
    network = node.network_id()
    maker.network("cd" * 32)
    refused(node, maker.record("grant", 9, 1, 2, now_ms())[2], 400, "CL_E_SIGNATURE")
    maker.network(network)


def bad_http(node):
    assert node.request("POST", "/v1/records", b"x" * 70000, {"Content-Type": "application/cose"}).status == 413
    assert node.request("POST", "/v1/records", b"x", {"Content-Type": "application/json"}).status == 415
    assert node.request("PUT", "/v1/records", b"x").status == 405
    assert node.request("POST", "/checkpoint", b"x").status == 405
    assert node.request("GET", "/v1/records/../../etc/passwd").status == 404
    assert node.request("GET", "/tile/0/%2e%2e/%2e%2e").status == 404
    assert node.request("POST", "/v1/records?wait=never", b"x", {"Content-Type": "application/cose"}).status == 400
    assert node.request("GET", "/" + "a" * 60000).status in (414, 431), "a long path"
    assert node.request("GET", "/livez", headers={"X-Long": "a" * 60000}).status in (413, 431), "a long header"


def refused_or_cut(node, data):
    with node.socket(timeout=20) as connection:
        try:
            connection.sendall(data)
            got = connection.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            got = b""
        assert not got or re.match(rb"HTTP/1\.[01] (4\d\d|505) ", got), got[:300]


def garbage(node):
    refused_or_cut(node, bytes(range(256)) * 400)
    refused_or_cut(node, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500)
    refused_or_cut(node, b"GET / HTTP/9.9\r\n\r\n")
    refused_or_cut(node, b"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n")
    refused_or_cut(node, b"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n")
    refused_or_cut(node, b"POST /v1/records HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n")
    # a body larger than allowed in chunks is refused, not kept
    with node.socket(timeout=20) as connection:
        try:
            connection.sendall(b"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/cose\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(40):
                connection.sendall(b"1000\r\n" + b"y" * 4096 + b"\r\n")
            connection.sendall(b"0\r\n\r\n")
            assert b" 413 " in connection.recv(200)
        except (ConnectionResetError, BrokenPipeError):
            pass


def is_cut(connection):
    """True once the other side has closed."""
    connection.settimeout(30)
    try:
        while connection.recv(4096):
            pass
    except socket.timeout:
        return False
    except OSError:
        pass
    return True


def slow_clients(node):
    """request_s = 2: whoever takes longer over one request is cut, even if it sends a byte now and then."""
    header, body = node.socket(), node.socket()
    header.sendall(b"GET /livez HTTP/1.1\r\n")
    body.sendall(b"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nContent-Type: application/cose\r\n\r\n")
    end = time.monotonic() + 30
    alive = [header, body]
    while alive and time.monotonic() < end:
        for connection in list(alive):
            try:
                connection.sendall(b"X")
            except OSError:
                alive.remove(connection)
        time.sleep(0.2)
    assert not alive, "a slow client was not cut"
    cut = node.metrics()["consent_http_connections_cut_total"]
    assert cut >= 2, cut


def many_connections(node):
    """connections_max = 40: more are not taken, and the node answers again once they are gone."""
    opened, held = f"/proc/{node.process.pid}/fd", []
    before = len(os.listdir(opened))
    for _ in range(60):
        try:
            held.append(node.socket(timeout=2))
        except OSError:
            break
    wait_for(lambda: len(os.listdir(opened)) >= before + 35, "as many connections as it may have")
    time.sleep(0.2)
    assert len(os.listdir(opened)) <= before + 40, "it takes more connections than it may"
    for connection in held:
        connection.close()
    wait_for(node.alive, "an answer after too many connections")


def streams(node):
    return node.metrics()["consent_feed_streams"]


def slow_reader(node, maker):
    """A reader of the feed that does not read is cut once idle_s (3) is over, holds nothing up until then, and little of the
    feed waits for it in the kernel: half a megabyte of events is more than enough."""
    connection = node.connect()
    for number in range(1000, 1600):
        assert node.post(maker.record("grant", number, 1, 2, now_ms())[2], wait=True, connection=connection).status == 201
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        reader.connect(("127.0.0.1", node.port))
        reader.sendall(b"GET /v1/feed HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: streams(node) == 1, "the feed")
        for number in range(1600, 1610):
            began = time.monotonic()
            assert node.post(maker.record("grant", number, 1, 2, now_ms())[2], wait=True, connection=connection).status == 201
            assert time.monotonic() - began < 5, "a reader that does not read held up a record"
        wait_for(lambda: streams(node) == 0, "the end of a feed that nobody reads", 30)
        assert is_cut(reader), "the connection stands"


def test(build):
    node = Node(build, config="[http]\nrequest_s = 2\nidle_s = 3\nconnections_max = 40\n").start()
    maker = Maker(build)
    try:
        maker.network(node.network_id())
        for step in (lambda: bad_records(node, maker), lambda: bad_http(node), lambda: garbage(node), lambda: slow_clients(node),
                     lambda: many_connections(node), lambda: slow_reader(node, maker)):
            step()
            assert node.process.poll() is None, node.log()[-2000:]
        answer = node.post(maker.record("grant", 77, 1, 2, now_ms())[2], wait=True)
        assert answer.status == 201, answer
        log = node.log()
        assert "127.0.0.1:" not in log.replace(node.url, ""), "an address in the log"
        node.stop()
        node.run("check", "--data", node.data)
    finally:
        maker.close()
        node.close()


main(test)
