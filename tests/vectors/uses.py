"""Uses of data: lines of the log, the statement that an organisation keeps, its tree, and the proofs that customers get of it.
The STATEMENT is the only leaf of a log of its own, signed by the members of scene.py."""

import base64

import chain as c
import proofs
import scene as s
from formats import Record, canonical, domain_hash, plain, seed, sha256, smt_leaf, smt_path, smt_root

FROM, UNTIL = 1_759_276_800, 1_759_276_800 + 31 * 86400   # October 2025
MARKETING, SERVICE = "https://w3id.org/dpv#Marketing", "https://w3id.org/dpv#ServiceProvision"
agreements = sorted(seed("agreement with uses %d" % number) for number in range(12))
LISTS = {0: [[FROM * 1000, 0, MARKETING, ""]], 3: [[FROM * 1000 + 5, 63, SERVICE, "order-17"], [FROM * 1000 + 5, 1, MARKETING, ""],
                                                    [UNTIL * 1000 - 1, 1, "urn:x", "r" * 64]]}
lists = [canonical(LISTS.get(number, [])) for number in range(len(agreements))]
salts = [seed("salt of uses %d" % number) for number in range(len(agreements))]


def tree_key(agreement):
    return domain_hash("consent/v1 uses key", agreement)


values = {tree_key(one): domain_hash("consent/v1 uses", salt, uses) for one, salt, uses in zip(agreements, salts, lists)}
values[domain_hash("consent/v1 uses profile", s.profile_id)] = domain_hash("consent/v1 uses period", canonical([s.profile_id, FROM, UNTIL]))
leaves = {sha256(key): smt_leaf(sha256(key), value) for key, value in values.items()}
value_hashes = {sha256(key): sha256(value) for key, value in values.items()}
root = smt_root(leaves)
record = Record(s.NETWORK, s.bank, 15, (UNTIL + 60) * 1000, [{1: s.profile_id, 3: root, 4: FROM, 5: UNTIL}])
BODY = "%s\n%d\n%s\n" % (s.ORIGIN, 1, base64.b64encode(record.leaf).decode())
CHECKPOINT = BODY + "\n" + c.note_line(s.ORIGIN, c.key_id(s.ORIGIN, 1, s.members[0].log.public), s.members[0].log.sign(BODY.encode()))
for member in s.members[:3]:
    name, message = s.ORIGIN + "/" + member.name, "cosignature/v1\ntime %d\n%s" % (UNTIL + 90, BODY)
    CHECKPOINT += c.note_line(name, c.key_id(name, 4, member.witness.public), (UNTIL + 90).to_bytes(8, "big") + member.witness.sign(message.encode()))
TLOG_PROOF = "c2sp.org/tlog-proof@v1\nindex 0\n\n" + CHECKPOINT


def neighbour(path):
    return None if path is None else [path, value_hashes[path], smt_path(leaves, path)]


def proof(agreement):
    key = sha256(tree_key(agreement))
    if agreement in agreements:
        number = agreements.index(agreement)
        found = [1, salts[number], lists[number], smt_path(leaves, key)]
    else:
        found = [2, neighbour(max((one for one in leaves if one < key), default=None)), neighbour(min((one for one in leaves if one > key), default=None))]
    return [1, "consent-uses", s.NETWORK, record.bytes, TLOG_PROOF.encode(), agreement, found]


def absent():
    ordered = sorted(leaves)
    wanted = {"left_edge": lambda p: p < ordered[0], "right_edge": lambda p: p > ordered[-1], "between": lambda p: ordered[4] < p < ordered[5]}
    for name, fits in wanted.items():
        yield name, next(one for one in (seed("unnamed %d" % n) for n in range(10000)) if fits(sha256(tree_key(one))))


def line_items():
    text = agreements[0].hex()
    lines = [("start", "consent-uses\t1\t%s" % s.profile_id.hex(), 1), ("use", "use\t1759276800000\t%s\t0\t%s" % (text, MARKETING), 2),
             ("use_with_reference", "use\t9007199254740000\t%s\t63\turn:x\torder-17" % text, 2),
             ("refused", "no\t1759276800001\tCL_E_WITHDRAWN", 3), ("file", "file\t%s\t4096" % sha256(b"a file of uses").hex(), 4)]
    for name, line, kind in lines:
        yield {"name": "line_" + name, "hex": line.encode().hex(), "text": line, "kind": kind}
    use = lines[1][1]
    bad = [("leading_zero", use.replace("\t0\t", "\t00\t")), ("slot_64", use.replace("\t0\t", "\t64\t")), ("upper_case", use.replace(text, text.upper())),
           ("two_tabs", use.replace("\t0\t", "\t\t0\t")), ("empty_reference", use + "\t"), ("seven_words", use + "\ta\tb"), ("space", use + " "),
           ("no_purpose", use.rsplit("\t", 1)[0]), ("long_purpose", use + "x" * 140), ("long_reference", use + "\t" + "r" * 65),
           ("control", use + "\x1b"), ("latin", use + "\u00e9"), ("time", use.replace("1759276800000", "9007199254740001")), ("word", "used" + use[3:]),
           ("version", lines[0][1].replace("\t1\t", "\t2\t")), ("empty", ""), ("minus", use.replace("\t1759", "\t-1759"))]
    for name, line in bad:
        yield {"name": "bad_line_" + name, "hex": line.encode().hex(), "text": line}


def items():
    out = list(line_items())
    statement = [1, "consent-uses-statement", s.profile_id, FROM, UNTIL, [[*parts] for parts in zip(agreements, salts, lists)]]
    out.append({"name": "statement", "hex": canonical(statement).hex(), "profile": s.profile_id.hex(), "from": FROM, "until": UNTIL,
                "agreements": plain(agreements), "salts": plain(salts), "lists": plain(lists), "root": root.hex(), "policy": proofs.POLICY,
                "network_id": s.NETWORK.hex(), "record": record.bytes.hex(), "record_id": record.id.hex(), "tlog_proof": TLOG_PROOF.encode().hex()})
    for number in (0, 1, 3):
        out.append({"name": "proof_of_%d_uses" % len(LISTS.get(number, [])), "hex": canonical(proof(agreements[number])).hex(),
                    "agreement": agreements[number].hex(), "uses": plain(LISTS.get(number, [])), "named": True})
    for name, agreement in absent():
        out.append({"name": "proof_absent_" + name, "hex": canonical(proof(agreement)).hex(), "agreement": agreement.hex(), "uses": [], "named": False})
    return out
