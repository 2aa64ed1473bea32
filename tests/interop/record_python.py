#!/usr/bin/python3
"""Reads one of our records with cbor2 and python3-ecdsa, which know nothing of
our code, so that a mistake in our own reader cannot hide one in our writer.

    record_python.py DIR [NAME]     NAME is `record` unless given

Reads DIR/NAME.cose, DIR/network_id.hex and DIR/signer.hex (DIR/signer_NAME.hex
for another NAME). Exit status 0 only if the record is accepted and every
altered twin is refused.
"""
import hashlib
import pathlib
import sys

import cbor2
from ecdsa import SECP256k1, BadSignatureError, VerifyingKey
from ecdsa.util import sigdecode_string

ES256K = -47


def check(record, network_id, signer):
    """Returns the record id; raises an exception if the record is not good."""
    tagged = cbor2.loads(record)
    assert isinstance(tagged, cbor2.CBORTag) and tagged.tag == 18, "not a tagged COSE_Sign1"
    assert isinstance(tagged.value, list) and len(tagged.value) == 4, "not an array of four"
    # Every map key of ours is one byte or shorter than the next, so cbor2's
    # length-first order is the bytewise order of RFC 8949 section 4.2.1 here.
    assert cbor2.dumps(tagged, canonical=True) == record, "not the deterministic encoding"
    protected, unprotected, payload, signature = tagged.value
    assert cbor2.loads(protected) == {1: ES256K, 4: signer}, "protected header is not {alg, kid}"
    assert cbor2.dumps(cbor2.loads(protected), canonical=True) == protected, "protected not deterministic"
    assert unprotected == {}, "unprotected header is not empty"
    assert cbor2.dumps(cbor2.loads(payload), canonical=True) == payload, "payload not deterministic"
    assert len(signature) == 64, "signature is not 64 bytes"
    assert int.from_bytes(signature[32:], "big") <= SECP256k1.order // 2, "high s"
    signed = cbor2.dumps(["Signature1", protected, b"consent/v1" + network_id, payload])
    key = VerifyingKey.from_string(signer, curve=SECP256k1)
    key.verify(signature, signed, hashfunc=hashlib.sha256, sigdecode=sigdecode_string)
    return hashlib.sha256(signed).hexdigest()


def twins(record, network_id, signer):
    """Names and arguments of the altered twins: one change each."""
    protected, unprotected, payload, signature = cbor2.loads(record).value

    def encode(*parts):
        return cbor2.dumps(cbor2.CBORTag(18, list(parts)))

    def flip(data, at):
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]

    order = SECP256k1.order
    high = signature[:32] + (order - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    yield "payload", (encode(protected, unprotected, flip(payload, len(payload) - 1), signature), network_id, signer)
    yield "signature", (encode(protected, unprotected, payload, flip(signature, 40)), network_id, signer)
    yield "high s", (encode(protected, unprotected, payload, high), network_id, signer)
    yield "unprotected header", (encode(protected, {4: b"x"}, payload, signature), network_id, signer)
    yield "trailing byte", (record + b"\0", network_id, signer)
    yield "network", (record, flip(network_id, 0), signer)


def main():
    directory = pathlib.Path(sys.argv[1])
    name = sys.argv[2] if len(sys.argv) > 2 else "record"
    record = (directory / (name + ".cose")).read_bytes()
    network_id = bytes.fromhex((directory / "network_id.hex").read_text().strip())
    signer_name = "signer.hex" if name == "record" else "signer_%s.hex" % name
    signer = bytes.fromhex((directory / signer_name).read_text().strip())
    assert len(network_id) == 32 and len(signer) == 33
    print("accepted, record id", check(record, network_id, signer))
    for what, arguments in twins(record, network_id, signer):
        try:
            check(*arguments)
        except (AssertionError, BadSignatureError, ValueError):
            continue
        sys.exit("accepted a twin with an altered " + what)
    print("refused every altered twin")


if __name__ == "__main__":
    main()
