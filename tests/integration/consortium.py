#!/usr/bin/python3
"""Four nodes on loopback: what each takes becomes final on all; one is killed and comes back; two are stopped, nothing
becomes final, they come back and it does. At the end the invariants (tests/lib/invariants.py) hold and every store holds
together."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, wait_for  # noqa: E402
from consortium import Consortium, final_on, grant, wait_final  # noqa: E402
from invariants import Observer, check  # noqa: E402
from load import Load, Supply  # noqa: E402

FINAL_S = 5    # where nobody is missing, or only one is
HEALED_S = 30  # after more were missing


def post_final(members, consortium, number, acknowledged):
    """One record to each of these nodes, each acknowledged as final."""
    for member in members:
        number += 1
        record_id, _, record = grant(consortium, number)
        answer = member.post(record, wait=True)
        assert answer.status == 201, f"{member.name}: {answer}"
        acknowledged[record_id] = (record, answer.json()["log_index"])
    return number


def all_there(consortium, members, acknowledged, deadline_s):
    began = time.monotonic()
    for record_id in acknowledged:
        wait_final(members, record_id, deadline_s)
    return time.monotonic() - began


def each_takes_records(consortium, acknowledged):
    number = post_final(consortium, consortium, 0, acknowledged)
    print(f"a record from each, final on all: {all_there(consortium, consortium, acknowledged, FINAL_S):.2f} s")
    status = [member.status() for member in consortium]
    assert all(one["members"] == 4 and one["quorum"] == 3 for one in status), status
    return number


def one_is_killed(consortium, number, acknowledged):
    victim, rest = consortium[1], [member for member in consortium if member.index != 1]
    with Load(consortium, Supply(consortium, 1000), clients=4) as load:
        wait_for(lambda: len(load.acknowledged) > 20, "some load")
        victim.kill()
        before = len(load.acknowledged)
        wait_for(lambda: len(load.acknowledged) > before + 20, "load goes on with three of four", HEALED_S)
    number = post_final(rest, consortium, number, acknowledged)
    victim.start()
    acknowledged.update(load.acknowledged)
    print(f"killed, started, caught up: {all_there(consortium, [victim], acknowledged, FINAL_S):.2f} s for {len(acknowledged)} records")
    number = post_final([victim], consortium, number, acknowledged)
    return number, load.accepted


def two_are_stopped(consortium, number, acknowledged):
    stopped, rest = [consortium[2], consortium[3]], [consortium[0], consortium[1]]
    for member in stopped:
        member.stop()
    record_id, _, record = grant(consortium, number + 1)
    answer = rest[0].request("POST", "/v1/records?wait=final&timeout=3", record, {"Content-Type": "application/cose"})
    assert answer.status == 202, f"nothing can be final without a quorum: {answer}"
    assert not any(final_on(member, record_id) for member in rest)
    for member in stopped:
        member.start()
    began = time.monotonic()
    wait_final(consortium, record_id, HEALED_S)
    print(f"two were stopped and started: final on all after {time.monotonic() - began:.2f} s")
    acknowledged[record_id] = (record, consortium[0].get(f"/v1/records/{record_id}").json()["log_index"])
    return number + 1


def test(build):
    consortium = Consortium(build)
    try:
        began = time.monotonic()
        consortium.start()
        acknowledged = {}
        with Observer(consortium) as observer:
            number = each_takes_records(consortium, acknowledged)
            number, accepted = one_is_killed(consortium, number, acknowledged)
            number = two_are_stopped(consortium, number, acknowledged)
            print(check(consortium, observer, acknowledged, accepted))
        consortium.stop()
        for member in consortium:
            member.run("check", "--data", member.data)
        print(f"{time.monotonic() - began:.1f} s in all")
    except BaseException:
        consortium.tell()
        raise
    finally:
        consortium.close()


main(test)
