"""What members sign towards finality: votes, certificates; acceptances; and the vote log's entries."""

import chain as c
import scene as s
from formats import canonical, plain

CRC32C = 0x82F63B78


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (CRC32C if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def vote_log_entry(kind, payload):
    crc = crc32c(bytes([kind]) + payload)
    return len(payload).to_bytes(4, "little") + crc.to_bytes(4, "little") + bytes([kind]) + payload


def acceptance_fields(member, record, time_ms):
    fields = [1, s.NETWORK, record.id, record.leaf, time_ms, member.name]
    signed = b"consent/v1 acceptance\0" + canonical(fields)
    return fields + [member.log.sign(signed)], signed


def items():
    out = []
    for name, kind, view, block, number in (("vote_propose", c.PROPOSE, 2, c.block, 2), ("vote_notarize", c.NOTARIZE, 2, c.block, 0),
                                            ("vote_nullify", c.NULLIFY, 1, None, 1), ("vote_finalize", c.FINALIZE, 2, c.block, 3)):
        member = s.members[number]
        fields = c.vote_fields(kind, view, block, member)
        out.append({"name": name, "hex": canonical(fields).hex(), "value": plain(fields), "network_id": s.NETWORK.hex(),
                    "signed": c.vote_signed(kind, view, block).hex(), "seed": member.vote.seed.hex(),
                    "public": member.vote.public.hex()})
    for name, fields in (("certificate_nullify", c.nullification), ("certificate_notarize", c.notarization),
                         ("certificate_finalize", c.finalization),
                         ("certificate_of_all", c.certificate_fields(c.FINALIZE, 2, c.block, [0, 1, 2, 3])),
                         ("certificate_large_numbers", c.certificate_fields(c.FINALIZE, (1 << 64) - 1, c.block, [0, 1, 2], (1 << 64) - 1)),
                         ("certificate_too_few", c.certificate_fields(c.FINALIZE, 2, c.block, [0, 1]))):
        out.append({"name": name, "hex": canonical(fields).hex(), "value": plain(fields), "network_id": s.NETWORK.hex(),
                    "members": plain(s.member_array)})
    fields, signed = acceptance_fields(s.members[1], c.subscribe, s.NOW_MS + 5)
    out.append({"name": "acceptance", "hex": canonical(fields).hex(), "value": plain(fields), "signed": signed.hex(),
                "seed": s.members[1].log.seed.hex(), "public": s.members[1].log.public.hex()})
    start = canonical([1, s.NETWORK, 0, 2])
    vote = canonical(c.vote_fields(c.PROPOSE, 2, c.block, s.members[2]))
    log = b"CLVOTE01"
    for name, kind, payload in (("start", 5, start), ("certificate", 4, canonical(c.nullification)),
                                ("bar_unknown", 6, canonical(None)), ("bar", 6, canonical(1)),
                                ("record", 3, c.grant.bytes), ("proposal", 1, canonical(c.proposal_fields)), ("vote", 2, vote)):
        entry = vote_log_entry(kind, payload)
        log += entry
        out.append({"name": "vote_log_" + name, "hex": entry.hex(), "type": kind, "payload": payload.hex()})
    out.append({"name": "vote_log_file", "hex": log.hex()})
    return out


assert crc32c(b"123456789") == 0xE3069283
