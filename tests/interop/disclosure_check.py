#!/usr/bin/python3
"""Checks a disclosure file against a proof's state value with python3-cbor2 and hashlib, and its address with
python3-ecdsa, from formats.cddl alone: what is shown has to be something that anybody can check.

    disclosure_check.py DIR      reads DIR/disclosure.consent-proof (of an agreement), network_id.hex, and of it
    disclosure.consent-disclosure and disclosure_addressed.consent-disclosure; and one pair of a person's profile,
    disclosure_profile.consent-proof and .consent-disclosure

That the state value is in the ledger is for the proof's other judges; here it is taken as read.
Exit status 0 only if all are accepted and every altered twin is refused.
"""
import copy
import pathlib
import sys

import cbor2
import ecdsa
from ecdsa.util import sigdecode_string

from refusal import Refused, need, sha256


def decode(data):
    """One item, in its deterministic form, and nothing behind it."""
    try:
        value = cbor2.loads(data)
        again = cbor2.dumps(value, canonical=True)
    except (cbor2.CBORError, ValueError, TypeError, EOFError, MemoryError, OverflowError) as why:
        raise Refused("not CBOR: %s" % why)
    need(again == data, "not deterministic CBOR, or bytes behind it")
    return value


def items(value, *types):
    """The items of an array of just these types."""
    need(isinstance(value, list) and len(value) == len(types) and all(map(isinstance, value, types)), "another shape")
    return value


NULL = type(None)


def state_of(proof_file):
    """The commitment of an agreement, TERMS or a PROFILE, and the keys that it names."""
    kind, value = decode(proof_file)[5][:2]
    need(kind == 1, "the proof is of absence")
    state = decode(value)
    need(state[0] == 1 and state[1] in (1, 2, 3), "the proof is of something else")
    if state[1] == 1:
        return state[7], [party for party in state[4:6] if party is not None and len(party) == 33]
    return state[3 if state[1] == 2 else 4], [state[2]]


def check(disclosure_file, commitment, keys, network):
    """Returns {name: value} of what is shown, and whether it is addressed."""
    file = items(decode(disclosure_file), int, str, bytes, (list, NULL))
    need(file[:2] == [1, "consent-disclosure"], "not a disclosure file")
    version, object_id, salt, body, disclosures = items(decode(file[2]), int, bytes, bytes, bytes, list)
    items(disclosures, *[bytes] * len(disclosures))
    need(version == 1 and len(object_id) == 32 and len(salt) == 32 and disclosures, "not a body file with something shown")
    need(sha256(b"consent/v1 terms\0", object_id, salt, sha256(body)) == commitment, "another commitment")
    body_version, _category, digests = items(decode(body), int, str, list)
    items(digests, *[bytes] * len(digests))
    need(body_version == 1 and digests == sorted(set(digests)), "digests are not ascending")
    shown_digests = [sha256(one) for one in disclosures]
    need(shown_digests == sorted(set(shown_digests)) and set(shown_digests) <= set(digests), "a field of something else")
    shown = {}
    for one in disclosures:
        field_salt, name, value = items(decode(one), bytes, str, object)
        need(len(field_salt) == 16 and name not in shown, "not a field")
        shown[name] = value
    if file[3] is not None:
        recipient, nonce, time_ms, signer, signature = items(file[3], (bytes, NULL), (str, NULL), int, bytes, bytes)
        need(len(signature) == 64, "not a signature")
        need(recipient is not None or nonce is not None, "addressed to nobody")
        need(signer in keys, "signed by a stranger")
        signed = cbor2.dumps([file[2], recipient, nonce, time_ms, signer], canonical=True)
        key = ecdsa.VerifyingKey.from_string(signer, curve=ecdsa.SECP256k1)
        need(int.from_bytes(signature[32:], "big") <= ecdsa.SECP256k1.order // 2, "high s")
        try:
            key.verify_digest(signature, sha256(b"consent/v1 disclosure\0", network, signed), sigdecode=sigdecode_string)
        except ecdsa.BadSignatureError:
            raise Refused("the signature does not hold")
    return shown, file[3] is not None


def refused(what, *arguments):
    try:
        check(*arguments)
    except Refused:
        return 1
    sys.exit("accepted a twin with " + what)


def twins(data):
    """Altered copies of a file: each byte of it, and each of its parts."""
    for at in range(len(data)):
        yield "byte %d changed" % at, data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
    yield "a byte behind it", data + b"\0"
    file = cbor2.loads(data)
    inner = cbor2.loads(file[2])

    def rebuilt(change):
        twin = copy.deepcopy(inner)
        change(twin)
        return cbor2.dumps(file[:2] + [cbor2.dumps(twin, canonical=True)] + file[3:], canonical=True)

    yield "nothing shown", rebuilt(lambda twin: twin.__setitem__(4, []))
    yield "a field twice", rebuilt(lambda twin: twin[4].insert(0, twin[4][0]))
    salt, name, value = cbor2.loads(inner[4][0])
    yield "another value", rebuilt(lambda twin: twin[4].__setitem__(0, cbor2.dumps([salt, name, [value]], canonical=True)))
    if file[3] is not None:
        for place, other in ((0, None), (1, "another nonce"), (2, file[3][2] + 1)):
            twin = copy.deepcopy(file)
            twin[3][place] = other
            yield "address item %d changed" % place, cbor2.dumps(twin, canonical=True)


def judge(directory, name, proof_name, network, addressed):
    data = (directory / (name + ".consent-disclosure")).read_bytes()
    commitment, keys = state_of((directory / (proof_name + ".consent-proof")).read_bytes())
    try:
        shown, is_addressed = check(data, commitment, keys, network)
    except Refused as why:
        sys.exit("%s: refused the good file: %s" % (name, why))
    if is_addressed != addressed:
        sys.exit("%s: addressed: %s" % (name, is_addressed))
    count = sum(refused(what, twin, commitment, keys, network) for what, twin in twins(data))
    count += refused("another commitment", data, sha256(commitment), keys, network)
    if addressed:
        count += refused("another network", data, commitment, keys, sha256(network))
        count += refused("no key named", data, commitment, [], network)
    print("%s: shows %s; refused %d altered twins" % (name, ", ".join(sorted(shown)), count))
    return shown


def main():
    directory = pathlib.Path(sys.argv[1])
    network = bytes.fromhex((directory / "network_id.hex").read_text())
    shown = judge(directory, "disclosure", "disclosure", network, False)
    if set(shown) != {"contact", "slot-1"} or shown["slot-1"][:2] != ["email", "https://w3id.org/dpv/pd#EmailAddress"]:
        sys.exit("other fields than were chosen: %s" % sorted(shown))
    judge(directory, "disclosure_addressed", "disclosure", network, True)
    shown = judge(directory, "disclosure_profile", "disclosure_profile", network, False)
    if shown != {"age": ["https://w3id.org/dpv/pd#AgeRange", [40, 50]], "no-claims": ["https://w3id.org/dpv/pd#Insurance", True]}:
        sys.exit("other attributes than were chosen: %s" % shown)


if __name__ == "__main__":
    main()
