#!/usr/bin/python3
"""A member equivocates: the others find it, keep the votes over a kill, and show them to anybody, who can check them with the
genesis document alone. What a file holds that proves nothing is left out; a file that cannot be read is put aside."""
import base64
import os
import subprocess
import time
import sys

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import DEADLINE_S, main, wait_for  # noqa: E402
from consortium import Consortium, grant, wait_final  # noqa: E402

KINDS = {"propose": 1, "notarize": 2, "nullify": 3, "finalize": 4}


def against(member, name):
    return [peer["evidence"] for peer in member.status()["peers"] if peer["name"] == name][0]


def shown(member):
    return member.get("/v1/evidence").json()["evidence"]


def check_piece(piece, member):
    network = member.get("/v1/network").json()
    names = [each["name"] for each in network["members"]]
    voter = names.index(piece["member"])
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(network["members"][voter]["vote_key"]))
    said = []
    for vote in piece["votes"]:
        version, epoch, kind, view, block, of, signature = cbor2.loads(base64.b64decode(vote["vote"]))
        assert (version, kind, view, of) == (1, KINDS[vote["kind"]], piece["view"], voter), (piece, kind, view, of)
        key.verify(signature, b"consent/v1 vote\0" + cbor2.dumps([bytes.fromhex(network["network_id"]), epoch, kind, view, block], canonical=True))
        said.append((kind, block))
    (first, one), (second, other) = said
    assert (first == second and one != other) or {first, second} == {KINDS["nullify"], KINDS["finalize"]} or \
        ({first, second} == {KINDS["propose"], KINDS["notarize"]} and one != other), said


def equivocate(consortium, liar, honest):
    liar.stop()
    process = subprocess.Popen([f"{liar.build}/programs/hostile_member", liar.data, "equivocate", "1"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        number, end = 0, time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            number += 1
            record_id, _, record = grant(consortium, number)
            assert honest[0].post(record).status in (201, 202)
            wait_final(honest, record_id)
            if all(against(member, liar.name) > 0 for member in honest):
                return
    finally:
        process.communicate("", timeout=DEADLINE_S)
    raise AssertionError("nobody has evidence")


def restart(member):
    member.kill()
    member.start()
    return shown(member)


def test(build):
    consortium = Consortium(build, 4)
    try:
        consortium.start()
        honest, liar = consortium.members[:3], consortium[3]
        assert shown(honest[0]) == []
        equivocate(consortium, liar, honest)
        for member in honest:
            pieces = shown(member)
            assert 0 < len(pieces) <= 4 and {piece["member"] for piece in pieces} == {liar.name}, pieces
            for piece in pieces:
                check_piece(piece, member)
            assert restart(member) == pieces
            wait_for(lambda: against(member, liar.name) == len(pieces), "it counts again")
            assert "contradict each other" in member.consent("node", "status", "--node", member.url), "the operator is told"
        member, path = honest[0], f"{honest[0].data}/evidence"
        pieces = shown(member)
        member.kill()
        with open(path, "rb") as file:
            version, network, kept = cbor2.loads(file.read())
        kept[0][1][6] = bytes(64)  # a signature that is none
        with open(path, "wb") as file:
            file.write(cbor2.dumps([version, network, kept], canonical=True))
        member.start()
        wait_for(lambda: against(member, liar.name) == len(pieces) - 1, "what proves nothing does not count")
        assert "evidence_left_out pieces=1" in member.log()
        member.kill()
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) - 3)
        assert restart_unreadable(member) == []
        liar.start()
        record_id, _, record = grant(consortium, 1000)
        assert liar.post(record).status in (201, 202)
        wait_final(consortium.members, record_id, 30)
    finally:
        consortium.close()


def restart_unreadable(member):
    member.start()
    assert "evidence_unreadable" in member.log() and os.path.exists(f"{member.data}/evidence.unreadable")
    return shown(member)


main(test)
