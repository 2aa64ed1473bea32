#!/usr/bin/python3
"""The disk below the mailboxes: every write and sync of their database fails once, one after the other, with all that follow.
The node does not start, with a sentence, or it says of each delivery that it was not kept; the ledger goes on; and what was
acknowledged is there when the node runs again."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Maker, Node, main, now_ms, says, wait_for  # noqa: E402
from mailboxes import Mailbox  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


def one(node, maker, number, acknowledged, mailbox):
    """A few deliveries while the disk fails. Returns: the answers' statuses."""
    statuses = []
    for i in range(4):
        sealed = f"delivery {number}-{i} ".encode() * 50
        answer = node.request("POST", f"{mailbox.path}/deliveries", sealed, {"Content-Type": "application/octet-stream"})
        statuses.append(answer.status)
        if answer.status == 201:
            acknowledged.append((answer.json()["number"], sealed))
        else:
            assert answer.status == 500, answer
            says(answer.json()["detail"], "nothing was kept", "send it again")
    if 500 in statuses:
        assert statuses[statuses.index(500):].count(500) == 4 - statuses.index(500), f"none is taken over a disk that failed: {statuses}"
        wait_for(lambda: node.metrics()["consent_mailbox_failed"] == 1, "the metric says so", 10)
        says(node.log(), "mailboxes_failed")
    record = maker.record("grant", 10 + number, 1, 2, now_ms())[2]
    answer = node.post(record, wait=True)
    assert answer.status == 201, f"the ledger goes on: {answer}"
    return statuses


def test(build):
    node, maker = Node(build).start(), Maker(build)
    try:
        maker.network(node.network_id())
        node.name = "one"
        mailbox = Mailbox(node)
        assert mailbox.open().status == 201
        node.stop()
        library = f"{node.root}/disk_faults.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, f"{HERE}/disk_faults.c", "-ldl"], check=True, timeout=60)
        sanitizer = ":".join([part for part in (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0") if part])
        acknowledged, refused, failed, number = [], 0, 0, 0
        while True:
            number += 1
            node.environment = {**os.environ, "LD_PRELOAD": library, "ASAN_OPTIONS": sanitizer, "DISK_FAIL_AT": str(number), "DISK_PATH": "/mailboxes/"}
            try:
                node.start()
                started = True
            except AssertionError:
                started = False
                says(node.log(), "mailboxes")
                node.process.wait(timeout=60)
                node.process.stdout.close()
                node.process = None
                refused += 1
            statuses = one(node, maker, number, acknowledged, mailbox) if started else [500]
            if started:
                node.stop()
            failed += 500 in statuses
            node.environment = None
            node.start()
            mailbox.next = None
            held, after = [], 0
            while True:
                page, more = mailbox.fetch(after=after)
                held += page
                after = held[-1][0] if held else 0
                if not more:
                    break
            assert set(acknowledged) <= set(held), f"fault {number}: {len(acknowledged)} acknowledged, {len(held)} held"
            node.stop()
            if 500 not in statuses:
                break
        assert failed > refused > 0 and acknowledged, (failed, refused)
        print(f"{failed} faults, {refused} of them before it ran; {len(acknowledged)} acknowledged deliveries kept")
    finally:
        maker.close()
        node.close()


if __name__ == "__main__":
    main(test)
