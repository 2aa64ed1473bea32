#!/usr/bin/python3
"""Fetches /openapi.json and uses every path and method that it lists against a running node with real records: each must
answer as described. And the reverse: every path that the router's table holds is described (checked by asking for each
path of node/API.md)."""
import base64
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Maker, Node, main, now_ms  # noqa: E402
from mailboxes import Mailbox  # noqa: E402
from public import Owner  # noqa: E402


def prepare(node, maker):
    """One active agreement, open terms, a profile. What path parameters may name."""
    t = now_ms()
    grant_id, agreement, grant = maker.record("grant", 1, 1, 2, t)
    _, terms, terms_record = maker.record("terms", 3, 1, 1, 10, t)
    _, profile, profile_record = maker.record("profile", 4, 1, t)
    _, _, subscribe = maker.record("subscribe", 2, 1, 1, t)
    answer = node.post(grant, wait=True)
    assert answer.status == 201, answer
    receipt = answer.json()
    assert receipt["status"] == "final" and receipt["id"] == grant_id and receipt["receipt"].startswith("c2sp.org/tlog-proof@v1"), receipt
    assert answer.headers["Location"] == f"/v1/records/{grant_id}"
    for record in (terms_record, profile_record, subscribe):
        answer = node.post(record, wait=True, accept="text/plain")
        assert answer.status == 201 and answer.body.startswith(b"c2sp.org/tlog-proof@v1"), answer
    return {"record": grant_id, "agreement": agreement, "terms": terms, "profile": profile, "grant": grant}


def signed_headers(node, maker, key, party_key):
    nonce = node.get(f"/v1/challenge?key={party_key}").json()["nonce"]
    public, signature = maker.ask("challenge", key, nonce)
    assert public == party_key
    return {"Consent-Challenge": nonce, "Consent-Signature": signature}


def walk(node, maker, known):
    public = maker.ask("challenge", 1, "00" * 32)[0]
    examples = {
        "/v1/records/{id}": [f"/v1/records/{known['record']}"],
        "/v1/agreements/{id}": [f"/v1/agreements/{known[what]}" for what in ("agreement", "terms", "profile")],
        "/v1/check": [f"/v1/check?agreement={known['agreement']}&slot=1&slot=2"],
        "/v1/terms": ["/v1/terms", "/v1/terms?limit=1"],
        "/v1/challenge": [f"/v1/challenge?key={public}"],
        "/v1/parties/{party}/agreements": [f"/v1/parties/{public}/agreements"],
        "/v1/feed": ["/v1/feed?follow=0"],
        "/v1/consistency": ["/v1/consistency?from=1", "/v1/consistency?from=2&to=3"],
        "/tile/{level}/{number}": ["/tile/0/000.p/3"],
        "/tile/entries/{number}": ["/tile/entries/000.p/3"],
    }
    description = node.get("/openapi.json").json()
    box = Mailbox(node)
    assert box.ask("PUT").status == 201, "so that each order of asking finds one"
    sealed = {"Content-Type": "application/octet-stream"}
    mailboxes = {("put", "{id}"): lambda: (box.close(), box.open())[1], ("delete", "{id}"): lambda: (box.close(), box.open())[0],
                 ("post", "deliveries"): lambda: node.request("POST", f"{box.path}/deliveries", os.urandom(8), sealed),
                 ("get", "deliveries"): lambda: box.ask("GET", "/deliveries", limit=1), ("delete", "deliveries"): lambda: box.ask("DELETE", "/deliveries", through=1)}
    owner = Owner(node).publish()
    bodies = {"put": lambda: (owner.take_away(), owner.put())[1], "delete": lambda: (owner.put(), owner.take_away())[1]}
    assert description["openapi"].startswith("3.1")
    seen = 0
    for path, item in description["paths"].items():
        for method, operation in item.items():
            described = set(operation["responses"])
            types = {kind for code, answer in operation["responses"].items() for kind in answer["content"]}
            if path.startswith("/v1/mailboxes"):
                answer = mailboxes[method, path.rsplit("/", 1)[1]]()
                check(path, method, answer, described, types, "201" if method in ("put", "post") else "200")
                seen += 1
                continue
            if path == "/v1/public/{id}":
                check(path, method, bodies[method](), described, types, "201" if method == "put" else "200")
                seen += 1
                continue
            if method == "post":
                answer = node.post(known["grant"]) if path == "/v1/records" else objects(node, known)
                check(path, method, answer, described, types, "200")
                seen += 1
                continue
            for concrete in examples.get(path, [path]):
                for accept in sorted(operation["responses"]["200"]["content"]):
                    headers = {"Accept": accept}
                    if path.startswith("/v1/parties"):
                        headers.update(signed_headers(node, maker, 1, public))
                    answer = node.request("GET", concrete, headers=headers)
                    check(concrete, method, answer, described, types, "200")
                    got = answer.headers["Content-Type"].split(";")[0]
                    assert got == accept or accept in ("application/json", "text/plain"), f"{concrete}: asked {accept}, got {got}"
                    seen += 1
            # what is described as refused is refused: another method, another type
            answer = node.request("DELETE", examples.get(path, [path])[0])
            assert answer.status == 405 and "Allow" in answer.headers, f"{path}: {answer}"
            if "406" in described:
                answer = node.request("GET", examples.get(path, [path])[0], headers={"Accept": "image/png"})
                assert answer.status == 406, f"{path}: {answer}"
    assert seen >= 25, f"only {seen} answers were seen"
    return description


def objects(node, known):
    """Many ids in one question: values in the order asked for, nothing for what is not there."""
    ids = [known["agreement"], "ab" * 32, known["terms"], known["profile"]]
    answer = node.request("POST", "/v1/objects", b"".join(map(bytes.fromhex, ids)), {"Content-Type": "application/octet-stream"})
    values = answer.json()["values"]
    assert len(values) == 4 and values[1] is None, values
    for asked, value in zip(ids, values):
        if value is not None:
            assert value == node.get(f"/v1/agreements/{asked}").json()["value"], asked
    for body, status in ((b"", 400), (b"x" * 31, 400), (b"x" * 32 * 1001, 413)):
        refused = node.request("POST", "/v1/objects", body, {"Content-Type": "application/octet-stream"})
        assert refused.status == status, f"{len(body)} bytes: {refused}"
    assert node.request("POST", "/v1/objects", b"x" * 32 * 1000, {"Content-Type": "application/octet-stream"}).json()["values"] == [None] * 1000
    assert node.request("POST", "/v1/objects", b"x" * 32, {"Content-Type": "text/plain"}).status == 415
    return answer


def check(path, method, answer, described, types, expected):
    assert str(answer.status) == expected, f"{method} {path}: {answer}"
    assert str(answer.status) in described, f"{method} {path} answers {answer.status}, which is not described"
    kind = answer.headers["Content-Type"].split(";")[0]
    assert kind in types, f"{method} {path} answers {kind}, which is not described"


def described_paths(description):
    """Every path that the manual names is described, and nothing else is."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    with open(os.path.join(here, "node", "api.c"), encoding="utf-8") as file:
        served = set(re.findall(r'\{ "(?:GET|POST|PUT|DELETE)", "([^"]+)"', file.read()))
    served = {path.replace("+}", "}") for path in served}
    assert served == set(description["paths"]), served ^ set(description["paths"])
    with open(os.path.join(here, "node", "API.md"), encoding="utf-8") as file:
        manual = file.read()
    for path in served:
        stem = path.split("{")[0]
        assert stem.rstrip("/") in manual, f"{path} is not in node/API.md"


def details(node, maker, known):
    """What the answers say, beyond their form."""
    record = node.get(f"/v1/records/{known['record']}", accept="application/cose")
    assert record.body == known["grant"]
    state = node.get(f"/v1/agreements/{known['agreement']}").json()
    assert state["state"]["status"] == "active" and state["state"]["in_force"] is True, state
    assert [entry["type"] for entry in state["history"]] == ["GRANT", "SUBSCRIBE"], state
    proof = node.get(f"/v1/agreements/{known['agreement']}", accept="application/consent-proof")
    assert proof.status == 200 and len(proof.body) > 500
    absent = node.get("/v1/agreements/" + "ab" * 32, accept="application/consent-proof")
    assert absent.status == 200, absent
    assert node.get("/v1/agreements/" + "ab" * 32).status == 404
    for unknown in ("/v1/records/" + "ab" * 32, "/nothing", "/v1/records/", "/tile/0/999.p/3"):
        answer = node.get(unknown)
        assert answer.status == 404 and answer.json()["code"] == "CL_E_NOT_FOUND", answer
    for wrong in ("/v1/records/AB", "/v1/agreements/zz", "/v1/check", "/v1/check?agreement=" + "ab" * 32 + "&slot=64",
                  "/v1/consistency?from=9&to=3", "/v1/terms?limit=0", "/v1/feed?after=x", "/v1/challenge?key=00"):
        answer = node.get(wrong)
        assert answer.status == 400 and answer.headers["Content-Type"] == "application/problem+json", (wrong, answer)
    allowed = node.get(f"/v1/check?agreement={known['agreement']}&slot=1").json()
    assert allowed["allowed"] is True and allowed["code"] == "CL_OK", allowed
    refused = node.get(f"/v1/check?agreement={known['agreement']}&slot=9").json()
    assert refused["allowed"] is False and refused["code"] == "CL_E_SLOT_NOT_LIVE", refused
    network = node.get("/v1/network").json()
    assert base64.b64decode(network["genesis"]) == node.get("/v1/genesis").body
    assert network["policy"].encode() == node.get("/v1/policy").body
    head = node.request("HEAD", "/checkpoint")
    assert head.status == 200 and head.body == b""


def withdrawal(node, maker, known):
    """An accepted withdrawal is signed for, and counts at once."""
    _, _, revoke = maker.record("revoke", 1, known["agreement"], now_ms())
    answer = node.post(revoke)
    assert answer.status == 202 and base64.b64decode(answer.json()["acceptance"]), answer
    refused = node.get(f"/v1/check?agreement={known['agreement']}").json()
    assert refused["allowed"] is False and refused["code"] == "CL_E_WITHDRAWN", refused
    again = node.post(revoke, wait=True)
    assert again.status == 200 and again.json()["status"] == "final", again
    _, _, second = maker.record("revoke", 1, known["agreement"], now_ms())
    answer = node.post(second)
    assert answer.status == 409 and answer.json()["entry"] == 0, answer


def access(build):
    """Without open_reads, everything at once needs a reader's token; reads by key need the key."""
    node = Node(build, open_reads=False).start()
    maker = Maker(build)
    try:
        maker.network(node.network_id())
        for path in ("/v1/feed?follow=0", "/v1/terms", "/tile/0/000.p/1", "/tile/entries/000.p/1"):
            assert node.get(path).status == 401, path
            assert node.get(path, Authorization="Bearer " + "0" * 64).status == 401, path
            with open(f"{node.data}/reader.token", encoding="ascii") as file:
                token = file.read().strip()
            assert node.get(path, Authorization=f"Bearer {token}").status == 200, path
        public = maker.ask("challenge", 1, "00" * 32)[0]
        other = maker.ask("challenge", 2, "00" * 32)[0]
        path = f"/v1/parties/{public}/agreements"
        assert node.get(path).status == 401
        headers = signed_headers(node, maker, 1, public)
        assert node.request("GET", path, headers=headers).status == 200
        assert node.request("GET", path, headers=headers).status == 401, "a challenge is good once"
        assert node.request("GET", path, headers=signed_headers(node, maker, 2, other)).status == 401, "another key's signature"
    finally:
        maker.close()
        node.close()


def test(build):
    node = Node(build).start()
    maker = Maker(build)
    try:
        maker.network(node.network_id())
        known = prepare(node, maker)
        described_paths(walk(node, maker, known))
        details(node, maker, known)
        withdrawal(node, maker, known)
        node.stop()
        node.run("check", "--data", node.data)
        node.run("reindex", "--data", node.data)
        node.start()
        assert node.get(f"/v1/agreements/{known['agreement']}").json()["state"]["status"] == "withdrawn"
        node.stop()
    finally:
        maker.close()
        node.close()
    access(build)


if __name__ == "__main__":
    main(test)
