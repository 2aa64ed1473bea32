#!/usr/bin/python3
"""What bad_input.py leaves: one message under a second signature, refusals by the rules over HTTP, and floods: random bytes,
half requests, large bodies in bulk, slow clients in bulk, far more connections than are allowed. The node answers each as it
should, goes on serving, and its memory stays bounded."""
import hashlib
import os
import random
import resource
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Maker, Node, main, now_ms, wait_for  # noqa: E402

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798, 0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)
MEMORY_GROWTH_KIB_MAX = 96 * 1024
CONNECTIONS = 10000


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def multiply(k):
    result, power = None, G
    while k:
        if k & 1:
            result = add(result, power)
        power = add(power, power)
        k >>= 1
    return result


def sign_again(key, digest, k):
    """ECDSA with a nonce of our own: another valid signature over the same message, by the fixture's key of that number."""
    secret = int.from_bytes(hashlib.sha256(b"fixture key\0" + key.to_bytes(8, "little")).digest(), "big")
    r = multiply(k)[0] % N
    s = pow(k, -1, N) * (digest + r * secret) % N
    return r.to_bytes(32, "big") + min(s, N - s).to_bytes(32, "big")


def second_signature(node, maker):
    record_id, _, record = maker.record("grant", 6, 1, 2, now_ms())
    twin = record[:-64] + sign_again(6, int(record_id, 16), 12345)
    assert twin != record
    assert node.post(record, wait=True).status == 201
    answer = node.post(twin, wait=True)
    assert answer.status in (200, 409), answer
    if answer.status == 409:
        assert answer.json()["code"] == "CL_E_REPLAY", answer
    answer = node.get(f"/v1/records/{record_id}", accept="application/cose")
    assert answer.body == record, "the second signature took the first one's place"
    # the other way round, and both before either is final
    record_id, object_id, record = maker.record("grant", 6, 2, 2, now_ms())
    twins = [record[:-64] + sign_again(6, int(record_id, 16), 999 + i) for i in range(20)]
    for twin in twins:
        assert node.post(twin).status in (200, 202, 409), "a twin"
    wait_for(lambda: node.get(f"/v1/records/{record_id}").json().get("status") == "final", "one of the twins")
    assert node.get(f"/v1/records/{record_id}", accept="application/cose").body in twins
    assert node.get(f"/v1/agreements/{object_id}").status == 200
    size = int(node.get("/checkpoint").body.split(b"\n")[1])
    events = node.get("/v1/feed?follow=0", accept="application/x-ndjson").body.decode()
    assert events.count(record_id) == 1, "one message twice in the log"
    assert size > 0


def refusals(node, maker):
    t = now_ms()

    def refused(code, *words):
        answer = node.post(maker.record(*words)[2], wait=True)
        assert answer.status == 409 and answer.json()["code"] == code and answer.json()["title"].endswith("."), (words, answer)

    agreement = maker.record("grant", 11, 1, 12, t)
    assert node.post(agreement[2], wait=True).status == 201
    refused("CL_E_PARTY", "revoke", 13, agreement[1], now_ms())  # not yours
    refused("CL_E_STATUS", "suspend", 11, agreement[1], now_ms())
    assert node.post(maker.record("subscribe", 12, 11, 1, t)[2], wait=True).status == 201
    refused("CL_E_PARTY", "suspend", 13, agreement[1], now_ms())
    assert node.post(maker.record("revoke", 11, agreement[1], now_ms())[2], wait=True).status == 201
    refused("CL_E_FINAL", "revoke", 11, agreement[1], now_ms() + 1)
    refused("CL_E_FINAL", "suspend", 12, agreement[1], now_ms() + 1)


def memory_kib(node):
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def sent(node, data, chance):
    """Sends, perhaps reads, closes or resets."""
    try:
        with node.socket(timeout=5) as connection:
            connection.sendall(data)
            if chance.random() < 0.5:
                connection.settimeout(0.05)
                connection.recv(4096)
            elif chance.random() < 0.5:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    except OSError:
        pass


def random_bytes(node, maker):
    chance = random.Random(5)
    good = maker.record("grant", 21, 1, 2, now_ms())[2]
    whole = b"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/cose\r\nContent-Length: %d\r\n\r\n" % len(good) + good
    for _ in range(300):
        sent(node, chance.randbytes(chance.randrange(1, 3000)), chance)
        sent(node, whole[:chance.randrange(len(whole))], chance)
        place = chance.randrange(len(whole))
        sent(node, whole[:place] + chance.randbytes(chance.randrange(1, 40)) + whole[place:], chance)
    for _ in range(200):  # one bit flipped: a refusal each, or what is known of the record if its id is as before
        place = chance.randrange(len(good))
        answer = node.post(good[:place] + bytes([good[place] ^ 1 << chance.randrange(8)]) + good[place + 1:])
        assert answer.status in (200, 202, 400, 409, 413), answer
        assert answer.status < 400 or answer.json()["code"].startswith("CL_E_"), answer


def large_bodies(node):
    held = []
    for _ in range(150):
        try:
            connection = node.socket(timeout=5)
            connection.sendall(b"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/cose\r\nContent-Length: 65535\r\n\r\n" + bytes(60000))
            held.append(connection)
        except OSError:
            pass
    for connection in held:
        connection.close()


def many_connections(node):
    """Far more than connections_max at once, each with half a request."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(CONNECTIONS + 100, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    held, refused = [], 0
    for _ in range(CONNECTIONS):
        connection = socket.socket()
        connection.setblocking(False)
        try:
            connection.connect_ex(("127.0.0.1", node.port))
            held.append(connection)
        except OSError:
            refused += 1
        if len(held) >= wanted - 100:
            break
    for connection in held:
        try:
            connection.send(b"GET /livez HTTP/1.1\r\n")
        except OSError:
            refused += 1
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as file:
        assert "State:\tZ" not in file.read()
    assert len(os.listdir(f"/proc/{node.process.pid}/fd")) < 200, "it takes more connections than it may"
    for connection in held:
        connection.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    wait_for(node.alive, "an answer after ten thousand connections")
    return len(held)


def test(build):
    node = Node(build, config="[http]\nconnections_max = 100\nrequest_s = 3\nidle_s = 5\n").start()
    maker = Maker(build)
    try:
        maker.network(node.network_id())
        second_signature(node, maker)
        refusals(node, maker)
        before = memory_kib(node)
        random_bytes(node, maker)
        large_bodies(node)
        held = many_connections(node)
        after = memory_kib(node)
        print(f"{held} connections; memory {before} KiB before the floods, {after} KiB at most")
        assert after - before < MEMORY_GROWTH_KIB_MAX, (before, after)
        answer = node.post(maker.record("grant", 77, 1, 2, now_ms())[2], wait=True)
        assert answer.status == 201, answer
        node.stop()
        node.run("check", "--data", node.data)
    finally:
        maker.close()
        node.close()


main(test)
