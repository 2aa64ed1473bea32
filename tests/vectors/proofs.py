"""Files that people keep: proofs of state, bodies, withdrawals signed in advance, COSE receipts, checkpoints; all of the
chain in chain.py, so that they hold in full."""

import chain as c
import scene as s
from formats import (Record, Tag, canonical, commitment, domain_hash, encode, log_consistency, log_path, log_root, plain, seed,
                     sha256, smt_path)

POLICY = "".join("log %s\n" % c.vkey(s.ORIGIN, 1, member.log.public) for member in s.members)
POLICY += "".join("witness %s %s\n" % (member.name, c.vkey(s.ORIGIN + "/" + member.name, 4, member.witness.public))
                  for member in s.members)
POLICY += "group consortium 3 %s\nquorum consortium\n" % " ".join(member.name for member in s.members)


def existence(key):
    return [1, c.values[key], smt_path(c.smt_leaves, sha256(key))]


def neighbour(path):
    if path is None:
        return None
    value = next(value for key, value in c.values.items() if sha256(key) == path)
    return [path, sha256(value), smt_path(c.smt_leaves, path)]


def absence(key):
    path = sha256(key)
    assert path not in c.smt_leaves
    left = max((one for one in c.smt_leaves if one < path), default=None)
    right = min((one for one in c.smt_leaves if one > path), default=None)
    return [2, neighbour(left), neighbour(right)]


def absent_keys():
    """One object between two leaves, one before the first, one after the last."""
    ordered = sorted(c.smt_leaves)
    wanted = {"left_edge": lambda p: p < ordered[0], "right_edge": lambda p: p > ordered[-1],
              "between": lambda p: ordered[0] < p < ordered[-1]}
    for name, fits in wanted.items():
        yield name, next(key for key in (seed("absent %d" % n) for n in range(10000)) if fits(sha256(key)))


def record_proof(index):
    return [c.block_records[index - 1].bytes, index, log_path(index, c.leaves)]


def proof_file(key, state_proof, indexes):
    last = len(c.leaves) - 1
    return [1, c.checkpoint.encode(), c.state_leaf, log_path(last, c.leaves), key, state_proof,
            [record_proof(index) for index in indexes], []]


def cose_receipt(member, index):
    identity = c.key_id(s.ORIGIN, 1, member.log.public)
    protected = canonical({1: -8, 4: identity, 395: 1})
    signed = canonical(["Signature1", protected, b"", c.root])
    inclusion = canonical([len(c.leaves), index, log_path(index, c.leaves)])
    data = encode(Tag(18, [protected, {396: {-1: [inclusion]}}, None, member.log.sign(signed)]))
    return {"name": "cose_receipt", "hex": data.hex(), "leaf_bytes": c.block_records[index - 1].bytes.hex(), "index": index,
            "size": len(c.leaves), "root": c.root.hex(), "key_id": identity.hex(), "seed": member.log.seed.hex(),
            "public": member.log.public.hex(), "sig_structure": signed.hex()}


def checkpoint_items():
    note = c.checkpoint.encode()
    yield {"name": "checkpoint", "hex": note.hex(), "text": c.checkpoint, "origin": s.ORIGIN, "size": len(c.leaves),
           "root": c.root.hex(), "body": c.BODY, "log_line": c.log_line(s.members[0]),
           "cosignature_lines": [c.cosignature_line(s.members[n], c.COSIGNED_AT[n]) for n in range(3)],
           "cosigned_at": c.COSIGNED_AT, "as_of_s": min(c.COSIGNED_AT),
           "log_seed": s.members[0].log.seed.hex(), "witness_seeds": [s.members[n].witness.seed.hex() for n in range(3)]}
    yield {"name": "policy", "hex": POLICY.encode().hex(), "text": POLICY, "origin": s.ORIGIN}


def piece_items():
    pieces = [("state_proof_exists", existence(s.agreement_id)), ("record_proof", record_proof(1)),
              ("boundary", [c.checkpoint.encode(), c.state_leaf, log_path(len(c.leaves) - 1, c.leaves), s.member_array])]
    pieces += [("state_proof_absent_" + name, absence(key)) for name, key in absent_keys()]
    for name, fields in pieces:
        yield {"name": name, "hex": canonical(fields).hex(), "value": plain(fields), "state_root": c.state_root(c.values).hex()}
    for name, key in absent_keys():
        yield {"name": "absent_key_" + name, "hex": key.hex(), "path": sha256(key).hex()}


def file_items():
    files = [("proof_file", proof_file(s.agreement_id, existence(s.agreement_id), [1, 2])),
             ("proof_file_profile", proof_file(s.profile_id, existence(s.profile_id), [3]))]
    files += [("proof_file_absent_" + name, proof_file(key, absence(key), [])) for name, key in absent_keys()]
    for name, fields in files:
        yield {"name": name, "hex": canonical(fields).hex(), "object": fields[4].hex(), "policy": POLICY,
               "as_of_s": min(c.COSIGNED_AT), "network_id": s.NETWORK.hex()}
    body_file = [1, s.agreement_id, s.salt("grant"), s.BODY, s.disclosures]
    yield {"name": "body", "hex": s.BODY.hex(), "hash": sha256(s.BODY).hex()}
    for number, disclosure in enumerate(s.disclosures):
        yield {"name": "disclosure_%d" % number, "hex": disclosure.hex(), "digest": sha256(disclosure).hex()}
    yield {"name": "body_file", "hex": canonical(body_file).hex(), "object": s.agreement_id.hex(),
           "commitment": s.agreement_commitment.hex()}
    one = [1, s.agreement_id, s.salt("grant"), s.BODY, s.disclosures[1:2]]
    yield {"name": "body_file_of_one_field", "hex": canonical(one).hex(), "object": s.agreement_id.hex(),
           "commitment": s.agreement_commitment.hex()}
    withdrawal = Record(s.NETWORK, s.anna, 11, s.NOW_MS, [{1: s.agreement_id}])
    yield {"name": "withdrawal_file", "hex": withdrawal.bytes.hex(), "id": withdrawal.id.hex()}


def disclosure_items():
    """One field of the agreement's body: for anybody, and for the bank, signed by Anna. Then a person's profile."""
    shown = canonical([1, s.agreement_id, s.salt("grant"), s.BODY, s.disclosures[1:2]])
    forms = [("for_anybody", None), ("for_the_bank", [s.bank.key, None]), ("for_a_nonce", [None, "4711"]), ("for_both", [s.bank.key, "4711"])]
    for name, asked in forms:
        address, digest = None, None
        if asked is not None:
            signed = asked + [s.NOW_MS, s.anna.key]
            digest = domain_hash("consent/v1 disclosure", s.NETWORK, canonical([shown] + signed))
            address = signed + [s.anna.sign(digest)]
        yield {"name": "disclosure_file_" + name, "hex": canonical([1, "consent-disclosure", shown, address]).hex(),
               "object": s.agreement_id.hex(), "commitment": s.agreement_commitment.hex(), "network_id": s.NETWORK.hex(),
               "shown": shown.hex(), "recipient": plain(asked and asked[0]), "nonce": asked and asked[1],
               "time_ms": s.NOW_MS, "signer": s.anna.key.hex(), "digest": plain(digest)}
    pd = "https://w3id.org/dpv/pd#"
    attributes = [["age", [pd + "AgeRange", [40, 50]]], ["looking-for", [pd + "Intention", "car insurance"]],
                  ["no-claims", [pd + "Insurance", True]], ["debts", [pd + "Debt", False]],
                  ["years", [pd + "Insurance", [8, None]]], ["balance", [pd + "AccountBalance", [None, -100]]]]
    disclosures = sorted((canonical([seed("attribute salt " + name)[:16], name, value]) for name, value in attributes), key=sha256)
    decoys = [seed("decoy %d" % number) for number in range(16 - len(disclosures))]
    body = canonical([1, "profile", sorted([sha256(disclosure) for disclosure in disclosures] + decoys)])
    file = [1, s.profile_id, s.salt("a person's profile"), body, disclosures]
    yield {"name": "profile_body_file", "hex": canonical(file).hex(), "object": s.profile_id.hex(),
           "commitment": commitment(s.profile_id, s.salt("a person's profile"), body).hex(), "attributes": attributes}


def log_items():
    """RFC 6962 trees over the leaves H(00 || bytes([0])), H(00 || bytes([1])), …"""
    leaves = [c.leaf_hash(bytes([number])) for number in range(23)]
    for size in (1, 2, 3, 7, 8, 23):
        some = leaves[:size]
        yield {"name": "log_of_%d" % size, "hex": log_root(some).hex(), "size": size,
               "inclusion": [plain(log_path(index, some)) for index in range(size)],
               "consistency": [plain(log_consistency(size1, some)) for size1 in range(1, size + 1)]}


def items():
    return (list(checkpoint_items()) + list(piece_items()) + list(file_items()) + list(disclosure_items()) + [cose_receipt(s.members[0], 2)] +
            list(log_items()))
