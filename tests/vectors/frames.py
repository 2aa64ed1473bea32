"""One frame of each kind between nodes. `payload` is what the frame carries."""

import chain as c
import scene as s
from formats import canonical, domain_hash, mailbox_name, plain, seed, sha256


def hello():
    fields = [s.NETWORK, "member-0", "member-1", s.NOW_MS]
    return fields + [s.members[0].vote.sign(b"consent/v1 hello\0" + canonical(fields))]


def recovery_answer(certificate):
    fields = [seed("fresh nonce"), 1, 2 if certificate else 0, certificate]
    return fields + [s.members[1].vote.sign(b"consent/v1 recovery answer\0" + canonical(fields))]


def public_body(place, reception=None):
    items = [1, "consent-public", s.NETWORK, s.NOW_MS, canonical([1, place, s.salt("grant"), s.BODY, s.disclosures[:1]]), reception, s.anna.key]
    return canonical(items + [s.anna.sign(domain_hash("consent/v1 public", canonical(items)))])


def contents():
    hashes = [record.leaf for record in c.block_records]
    records = [record.bytes for record in c.block_records]
    yield "hello", 1, hello()
    yield "votes", 2, [c.vote_fields(c.NOTARIZE, 2, c.block, s.members[n]) for n in (0, 1)]
    yield "certificates", 3, [c.nullification, c.notarization]
    yield "proposal", 4, c.proposal_fields
    yield "announce", 5, hashes
    yield "fetch", 6, hashes[:1]
    yield "records", 7, records
    yield "range_request", 8, [1, 16, 0]
    yield "range_request_rest", 8, [1, 1, 2]
    yield "range", 9, [[c.stored_block_fields(), c.root_before, records]]
    yield "range_first_records", 9, [[c.stored_block_fields(), c.root_before, records[:2]]]
    yield "range_rest", 9, [[c.stored_block_fields(), c.root_before, records[2:]]]
    yield "range_empty", 9, []
    yield "cosignatures", 10, [(c.BODY + "\n" + c.cosignature_line(s.members[1], c.COSIGNED_AT[1])).encode()]
    yield "status", 11, [1, 3, 2]
    yield "recovery_question", 12, [seed("fresh nonce"), 3]
    yield "recovery_answer", 13, recovery_answer(c.notarization)
    yield "recovery_answer_at_start", 13, recovery_answer(None)
    yield "deposit", 14, [mailbox_name(s.anna.key), sha256(b"sealed"), 6, 0, b"sealed"]
    yield "deposit_part", 14, [mailbox_name(s.anna.key), sha256(b"sealed"), 6, 4, b"ed"]
    yield "deposited", 15, [0, 17]
    yield "deposited_nowhere", 15, [3, 0]
    yield "public_question", 16, [None]
    yield "public_question_after", 16, [s.agreement_id]
    yield "public_answer", 17, [[public_body(place) for place in sorted((s.agreement_id, s.terms_id))], True]
    yield "public_answer_none", 17, [[], False]


def items():
    return [{"name": name, "hex": canonical([1, s.NETWORK[:8], kind, canonical(fields)]).hex(), "kind": kind,
             "network": s.NETWORK[:8].hex(), "payload": canonical(fields).hex(), "value": plain(fields)}
            for name, kind, fields in contents()]
