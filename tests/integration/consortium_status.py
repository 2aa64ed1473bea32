#!/usr/bin/python3
"""What an operator is told of a consortium: all is well; a member is gone; too few are left; a node that is stopped; and when
they are back. By `consent node status`, `peers`, `doctor`, and the metrics."""
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, wait_for  # noqa: E402
from consortium import Consortium, grant, wait_final  # noqa: E402


def told(member, *words):
    """One of the sentences has all of these."""
    return any(all(word in sentence for word in words) for sentence in member.status()["why"])


def findings(member):
    """(exit status is 0, findings) of consent node doctor"""
    for status in (0, 1):
        try:
            return status == 0, json.loads(member.consent("node", "doctor", "--node", member.url, "--json", expected=status))["findings"]
        except AssertionError:
            if status == 1:
                raise


def bad(member):
    return [finding["finding"] for finding in findings(member)[1] if not finding["good"]]


def submit(consortium, number, member):
    """Posted, and not waited for."""
    record_id, _, record = grant(consortium, number)
    assert member.request("POST", "/v1/records", record, {"Content-Type": "application/cose"}).status == 202
    return record_id


def all_is_well(consortium):
    for member in consortium:
        wait_for(lambda: member.status()["members_heard"] == 4, f"{member.name} hears all")
        wait_for(lambda: told(member, "No record waits"), f"{member.name} is idle")
    member = consortium[0]
    said = member.consent("node", "status", "--node", member.url)
    for words in ("member-0", "quorum 3; 4 can be heard", "idle", "No record waits"):
        assert words in said, said
    said = member.consent("node", "peers", "--node", member.url)
    assert said.count(" yes ") == 3 and "member-3" in said and "member-0" not in said, said
    for peer in member.status()["peers"]:
        assert abs(peer["clock_ahead_ms"]) < 2000 and peer["ask_connected"], peer
    metrics = member.metrics()
    assert metrics["consent_members_heard"] == 4 and metrics["consent_members_needed"] == 3
    assert metrics['consent_peer_connected{peer="member-2"}'] == 1 and metrics['consent_peer_received_bytes_total{peer="member-2"}'] > 0
    assert metrics['consent_peer_certificate_end_timestamp_seconds{peer="member-2"}'] > 1.8e9
    wait_for(lambda: not bad(member), "nothing to complain of")


def one_is_gone(consortium):
    member = consortium[0]
    consortium[3].kill()
    wait_for(lambda: member.status()["members_heard"] == 3, "a member that is gone")
    wait_for(lambda: told(member, "member-3 has not been heard for", "does not answer at its address"), "it is said")
    assert any("member-3 is not reached at either port" in finding for finding in bad(member)), bad(member)
    assert " no " in member.consent("node", "peers", "--node", member.url)
    wait_final([member], submit(consortium, 1, member))


def too_few_are_left(consortium):
    """One that is stopped keeps its connections: it is there, and does not vote. Then it is killed."""
    member = consortium[0]
    os.kill(consortium[2].process.pid, signal.SIGSTOP)
    record_id = submit(consortium, 2, member)
    wait_for(lambda: told(member, "This node waits for 1 more", "vote in view", "it has them from this node, member-1"), "what is awaited, and from whom")
    wait_for(lambda: told(member, "member-2 was heard", "but has not voted in view") or told(member, "member-2 has not been heard for"), "who does not vote")
    status = member.status()
    votes = {peer["name"]: peer["notarized"] or peer["nullified"] for peer in status["peers"]}
    assert votes == {"member-1": True, "member-2": False, "member-3": False}, votes
    consortium[2].kill()
    wait_for(lambda: told(member, "2 of 4 members can be heard", "1 more is back"), "too few members")
    assert any("2 of 4 members can be heard" in finding for finding in bad(member))
    return record_id


def they_are_back(consortium, record_id):
    member = consortium[0]
    consortium[2].start()
    wait_final([member, consortium[1]], record_id)
    consortium[3].start()
    wait_for(lambda: member.status()["members_heard"] == 4, "all members")
    wait_for(lambda: not told(member, "can be heard"), "nothing of that is said any more")


def test(build):
    consortium = Consortium(build)
    try:
        consortium.start()
        all_is_well(consortium)
        one_is_gone(consortium)
        record_id = too_few_are_left(consortium)
        they_are_back(consortium, record_id)
    finally:
        consortium.close()


if __name__ == "__main__":
    main(test)
