#!/usr/bin/python3
"""Reads a proof of uses (.consent-uses) with hashlib, cbor2 and python3-ecdsa, which know nothing of our code, and computes the
root that its STATEMENT commits to from the layout in ledger/formats.cddl.

    uses_python.py FILE             exit status 0 only if the proof holds and every altered twin is refused
    uses_python.py --each DIR       the same of every *.consent-uses in DIR, at least two

Not read: the receipt, which tlog_go and the record's own checks judge elsewhere.
"""
import copy
import hashlib
import pathlib
import sys

import cbor2
from ecdsa import SECP256k1, VerifyingKey
from ecdsa.util import sigdecode_string

from refusal import Refused, need, sha256

EMPTY = bytes(32)


def bit(key, depth):
    return key[depth // 8] >> (7 - depth % 8) & 1


def climb(key, value_hash, path, top=0):
    """The node at depth `top` on the way to the leaf."""
    node = sha256(b"\0", key, value_hash)
    for depth in range(len(path) - 1, top - 1, -1):
        sibling = path[len(path) - 1 - depth]
        node = sha256(b"\1", sibling, node) if bit(key, depth) else sha256(b"\1", node, sibling)
    return node


def beside(key, path, depths, right):
    """Siblings on one side of the way to the leaf, at these depths."""
    return [path[len(path) - 1 - depth] for depth in depths if (bit(key, depth) == 0) == right]


def absent(key, left, right, root):
    need(left is not None or right is not None, "no neighbour")
    for side in (left, right):
        if side is not None:
            need(len(side[2]) <= 256 and climb(*side) == root, "a neighbour is not in the tree")
    if left is None:
        need(key < right[0] and all(one == EMPTY for one in beside(right[0], right[2], range(len(right[2])), False)), "not before the first")
        return
    if right is None:
        need(left[0] < key and all(one == EMPTY for one in beside(left[0], left[2], range(len(left[2])), True)), "not behind the last")
        return
    need(left[0] < key < right[0], "not between its neighbours")
    parting = next(depth for depth in range(256) if bit(left[0], depth) != bit(right[0], depth))
    need(parting < min(len(left[2]), len(right[2])), "paths too short")
    need(left[2][len(left[2]) - 1 - parting] == climb(*right, top=parting + 1), "they do not meet")
    need(all(one == EMPTY for one in beside(left[0], left[2], range(parting + 1, len(left[2])), True)), "something is right of left")
    need(all(one == EMPTY for one in beside(right[0], right[2], range(parting + 1, len(right[2])), False)), "something is left of right")


def statement(record, network_id):
    """The entry of the record: PROFILE, root, period."""
    tagged = cbor2.loads(record)
    need(tagged.tag == 18, "no COSE_Sign1")
    protected, _, payload, signature = tagged.value
    signer = cbor2.loads(protected)[4]
    signed = cbor2.dumps(["Signature1", protected, b"consent/v1" + network_id, payload])
    VerifyingKey.from_string(signer, curve=SECP256k1).verify(signature, signed, hashfunc=hashlib.sha256, sigdecode=sigdecode_string)
    fields = cbor2.loads(payload)
    need(fields[1] == 15 and 4 not in fields and len(fields[3]) == 1, "no STATEMENT of one profile")
    return fields[3][0]


def check(data):
    """How many uses; None: the agreement is not named."""
    proof = cbor2.loads(data)
    need(cbor2.dumps(proof, canonical=True) == data, "not the deterministic encoding")
    need(len(proof) == 7 and proof[:2] == [1, "consent-uses"], "no proof of uses")
    entry = statement(proof[3], proof[2])
    root, key = entry[3], sha256(sha256(b"consent/v1 uses key\0", proof[5]))
    found = proof[6]
    if found[0] == 2 and len(found) == 3:
        absent(key, found[1], found[2], root)
        return None
    need(found[0] == 1 and len(found) == 4 and len(found[1]) == 32 and len(found[3]) <= 256, "form")
    need(climb(key, sha256(sha256(b"consent/v1 uses\0", found[1], found[2])), found[3]) == root, "the root is another")
    uses = cbor2.loads(found[2])
    need(cbor2.dumps(uses, canonical=True) == found[2], "the list is not deterministic")
    times = [use[0] for use in uses]
    need(times == sorted(times) and all(entry[4] * 1000 <= time < entry[5] * 1000 for time in times), "times")
    need(all(len(use) == 4 and 0 <= use[1] <= 63 and 1 <= len(use[2]) <= 160 and len(use[3]) <= 64 for use in uses), "a use")
    return len(uses)


def flip(data, at=0):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def twins(data):
    proof = cbor2.loads(data)

    def made(name, change):
        twin = copy.deepcopy(proof)
        change(twin)
        return name, cbor2.dumps(twin, canonical=True)

    def at(place, value):
        def change(twin):
            part = twin
            for step in place[:-1]:
                part = part[step]
            part[place[-1]] = value(part[place[-1]])
        return change

    yield made("network", at([2], flip))
    yield made("record", at([3], lambda record: flip(record, len(record) - 80)))
    if proof[6][0] == 1:
        yield made("agreement", at([5], flip))
        yield made("salt", at([6, 1], flip))
        yield made("list", at([6, 2], lambda old: b"\x80" if old != b"\x80" else cbor2.dumps([[0, 1, "x", ""]])))
        yield made("path", at([6, 3, 0], flip))
        yield made("shorter path", at([6, 3], lambda path: path[:-1]))
    else:
        side = 1 if proof[6][1] is not None else 2
        yield made("neighbour", at([6, side, 0], flip))
        yield made("its value", at([6, side, 1], flip))
        yield made("no neighbours", at([6, side], lambda _: None))
    yield "trailing byte", data + b"\0"


def judge(path):
    data = path.read_bytes()
    count = check(data)
    for name, twin in twins(data):
        try:
            check(twin)
        except Exception:
            continue
        raise Refused("it holds with another " + name)
    print("good:", "not named" if count is None else "%d uses" % count)


if sys.argv[1] == "--each":
    paths = sorted(pathlib.Path(sys.argv[2]).glob("*.consent-uses"))
    assert len(paths) >= 2, "no proofs of uses"
else:
    paths = [pathlib.Path(sys.argv[1])]
for one in paths:
    try:
        judge(one)
    except Exception as problem:
        sys.exit("refused: %s: %s" % (one.name, problem or type(problem).__name__))
