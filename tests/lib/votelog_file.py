"""A vote log read by other people's CBOR library against formats.cddl."""
import struct

import cbor2

PROPOSAL, VOTE, RECORD, CERTIFICATE, START, BAR = 1, 2, 3, 4, 5, 6


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def entries_of(data):
    assert data[:8] == b"CLVOTE01"
    at, entries = 8, []
    while at < len(data):
        length, crc, kind = struct.unpack_from("<IIB", data, at)
        payload = data[at + 9:at + 9 + length]
        assert len(payload) == length and crc32c(bytes([kind]) + payload) == crc, at
        entries.append((kind, payload))
        at += 9 + length
    return entries


def bars_and_votes(path):
    """(BAR, view or None) and (VOTE, view) in the file's order."""
    with open(path, "rb") as file:
        entries = entries_of(file.read())
    return [(kind, cbor2.loads(payload) if kind == BAR else cbor2.loads(payload)[3]) for kind, payload in entries if kind in (BAR, VOTE)]
