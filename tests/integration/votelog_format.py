#!/usr/bin/python3
"""What a real node's vote log holds, read by other people's CBOR library against formats.cddl: the framing, every entry's
shape, and the order that durability rests on: records and proposal before the votes on it, a certificate before the
finalize vote, each block's parent justified by a finalization. The next version opens these bytes."""
import os
import sys

import cbor2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Maker, Node, main, now_ms  # noqa: E402
from votelog_file import CERTIFICATE, PROPOSAL, RECORD, START, VOTE, entries_of  # noqa: E402

PROPOSE, NOTARIZE, NULLIFY, FINALIZE = 1, 2, 3, 4


def strict(payload):
    value = cbor2.loads(payload)
    assert cbor2.dumps(value, canonical=True) == payload, "deterministic"
    return value


def is_hash(value):
    return isinstance(value, bytes) and len(value) == 32


def check_certificate(certificate):
    version, epoch, kind, view, block, voters, signatures = certificate
    assert version == 1 and epoch == 0 and kind in (NOTARIZE, FINALIZE) and view > 0 and is_hash(block) and voters == b"\x01"
    assert len(signatures) == 1 and len(signatures[0]) == 64
    return kind, view, block


def check_proposal(payload, records):
    version, epoch, view, parent, parent_view, height, time, leaves, log_size, log_root, state_root, justification = strict(payload)
    assert version == 1 and epoch == 0 and is_hash(parent) and is_hash(log_root) and is_hash(state_root) and time > 0 and log_size > height
    assert len(leaves) == records and all(is_hash(leaf) for leaf in leaves)
    if height == 1:
        assert justification == [] and parent_view == 0
    else:
        assert len(justification) == 1
        assert check_certificate(justification[0]) == (FINALIZE, parent_view, parent)
    return view


def check_entries(entries, network):
    kind, payload = entries[0]
    assert kind == START and strict(payload) == [1, bytes.fromhex(network), 0, 0]
    blocks, records, step, view, block = 0, 0, "start", 0, None
    for kind, payload in entries[1:]:
        if kind == RECORD:
            assert step in ("start", "finalized", "record") and payload[0] == 0xD2
            records, step = records + 1, "record"
        elif kind == PROPOSAL:
            assert step == "record"
            view, records, step, block = check_proposal(payload, records), 0, "proposal", None
        elif kind == CERTIFICATE:
            assert step == "notarized" and check_certificate(strict(payload)) == (NOTARIZE, view, block)
            step = "certificate"
        else:
            assert kind == VOTE
            version, epoch, vote, of_view, of_block, voter, signature = strict(payload)
            assert version == 1 and epoch == 0 and of_view == view and voter == 0 and len(signature) == 64 and is_hash(of_block)
            assert block is None or of_block == block
            before, after = {PROPOSE: ("proposal", "proposed"), NOTARIZE: ("proposed", "notarized"), FINALIZE: ("certificate", "finalized")}[vote]
            assert step == before, (step, vote)
            step, block = after, of_block
            blocks += vote == FINALIZE
    assert step == "finalized"
    return blocks


def test(build):
    node, maker = Node(build).start(), Maker(build)
    try:
        network = node.network_id()
        maker.network(network)
        for number in range(1, 6):
            assert node.post(maker.record("grant", number, 1, 2, now_ms())[2], wait=True).status == 201
        node.kill()
        with open(f"{node.data}/vote.log", "rb") as file:
            data = file.read()
        assert check_entries(entries_of(data), network) == 5
        node.start()  # and it goes on where it was
        assert node.post(maker.record("grant", 6, 1, 2, now_ms())[2], wait=True).status == 201
        node.stop()
        with open(f"{node.data}/vote.log", "rb") as file:
            again = file.read()
        assert again.startswith(data) and check_entries(entries_of(again), network) == 6
    finally:
        maker.close()
        node.close()


main(test)
