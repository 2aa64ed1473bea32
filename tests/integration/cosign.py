#!/usr/bin/python3
"""Checkpoints of four members: signed by a quorum, as of a time that is no later than it may be, refreshed when idle, and
without a quorum neither made nor promised. An observer has them as well, and everything else that members serve."""
import base64
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, wait_for  # noqa: E402
from consortium import Consortium, grant, wait_final  # noqa: E402
import api_walk  # noqa: E402

INTERVAL_S = 2
CONFIG = f"[node]\ncosign_interval_s = {INTERVAL_S}\n"


class Number:
    """Of the record that comes next: each grant is of another customer."""
    last = 0


def cosignatures(text):
    """Member's name -> time in its line, of a checkpoint."""
    found = {}
    for line in text.split("\n\n", 1)[1].splitlines():
        _, name, signature = line.split(" ")
        if name.startswith("test.example/log/"):
            found[name.rsplit("/", 1)[1]] = int.from_bytes(base64.b64decode(signature)[4:12], "big")
    return found


def submit(consortium, member, query="?wait=final", to=None):
    """To all that are to have it, so that nobody's view has to pass first; the last answer is the member's."""
    Number.last += 1
    _, _, record = grant(consortium, Number.last)
    for other in to if to is not None else consortium:
        if other is not member:
            other.request("POST", "/v1/records", record, {"Content-Type": "application/cose"})
    return record, member.request("POST", f"/v1/records{query}", record, {"Content-Type": "application/cose"})


def holds(consortium, record, receipt, as_of_after_s):
    """consent verify, with nothing but the network's policy."""
    paths = [f"{consortium.root}/{name}" for name in ("policy", "a.tlog-proof", "record")]
    for path, data in zip(paths, (consortium[0].get("/v1/policy").body, receipt.encode(), record)):
        with open(path, "wb") as file:
            file.write(data)
    consortium[0].consent("verify", paths[1], "--record", paths[2], "--policy", paths[0])
    signed = cosignatures(receipt.split("\n\n", 1)[1])
    assert len(signed) == 3 and min(signed.values()) >= as_of_after_s, signed


def everybody_has_a_quorum_and_a_receipt_shows_it(consortium):
    for member in consortium:
        wait_for(lambda m=member: m.get("/checkpoint").status == 200, f"a checkpoint of the first tree on {member.name}")
    for member in list(consortium) * 3:
        began = int(time.time())
        record, answer = submit(consortium, member)
        assert answer.status in (200, 201), answer
        result = answer.json()
        size = int(result["checkpoint"].split("\n")[1])
        assert size > result["log_index"] and len(cosignatures(result["checkpoint"])) == 3, result["checkpoint"]
        holds(consortium, record, result["receipt"], began)
        again = member.get(f"/v1/records/{result['id']}", accept="text/plain")
        assert again.status == 200, again


def same_tip(members):
    """(size, root) of all newest checkpoints; None where they differ."""
    found = {member.checkpoint()[:2] for member in members}
    return found.pop() if len(found) == 1 else None


def settle(members):
    """Until they are idle: one tree on all, final, and half a second later the same."""
    def settled():
        tip = same_tip(members)
        time.sleep(0.5)
        return tip is not None and tip == same_tip(members) and all(member.status()["log_size"] == tip[0] for member in members)
    wait_for(settled, "one tree on all")


def an_idle_tree_is_signed_again(members):
    settle(members)
    before = [member.checkpoint() for member in members]
    oldest = [min(cosignatures(text).values()) for _, _, text in before]
    for member, (size, root, _), time_s in zip(members, before, oldest):
        wait_for(lambda m=member, t=time_s: min(cosignatures(m.checkpoint()[2]).values()) > t + INTERVAL_S, f"a later time on {member.name}")
        now = member.checkpoint()
        assert now[:2] == (size, root) and len(cosignatures(now[2])) == 3, now
        assert max(cosignatures(now[2]).values()) <= time.time() + 1, "nobody's clock is ahead"


def three_are_enough(consortium):
    consortium[3].stop()
    left = list(consortium)[:3]
    for member in left:
        answer = submit(consortium, member, to=left)[1]
        assert answer.status in (200, 201) and "member-3" not in cosignatures(answer.json()["checkpoint"]), answer
    an_idle_tree_is_signed_again(left)


def two_are_not(consortium):
    """Nothing is final, nothing is promised, and what is served says of when it is."""
    consortium[2].stop()
    left = list(consortium)[:2]
    settle(left)
    before = left[0].checkpoint()
    answer = submit(consortium, left[0], "?wait=final&timeout=1", to=left)[1]
    assert answer.status == 202 and answer.json()["status"] == "pending", answer
    time.sleep(INTERVAL_S + 1)
    after = left[0].checkpoint()
    assert after[:2] == before[:2]
    assert min(cosignatures(after[2]).values()) <= max(cosignatures(before[2]).values()), "a quorum needs three"
    return answer.json()["id"]


def who_comes_back_gets_and_gives_the_quorum(consortium, waiting):
    consortium[2].start()
    for member in list(consortium)[:3]:
        wait_for(lambda m=member: m.get(f"/v1/records/{waiting}", accept="text/plain").status == 200, f"a receipt on {member.name}")
    wait_for(lambda: len({member.checkpoint()[:2] for member in list(consortium)[:3]}) == 1, "one checkpoint on the three")
    answer = submit(consortium, consortium[2], to=list(consortium)[:3])[1]
    assert answer.status in (200, 201), answer
    consortium[3].start()
    settle(list(consortium))
    consortium[0].stop() # now whoever caught up has to sign
    left = list(consortium)[1:]
    answer = submit(consortium, left[0], to=left)[1]
    assert answer.status in (200, 201) and "member-3" in cosignatures(answer.json()["checkpoint"]), answer
    consortium[0].start()
    settle(list(consortium))


def an_observer_follows_and_serves(build):
    consortium = Consortium(build, 4, config=CONFIG, observers=1).start()
    try:
        observer, members = consortium[4], list(consortium)[:4]
        known = api_walk.prepare(observer, consortium.maker)  # it hands on what it is given
        settle(list(consortium))
        for node in (members[0], observer):
            assert node.status()["observer"] == (node is observer)
            api_walk.walk(node, consortium.maker, known)
        signed = cosignatures(observer.checkpoint()[2])
        assert len(signed) == 3 and set(signed) < {member.name for member in members}, signed
        for member in members[2:]:
            member.stop()
        waiting, _, record = grant(consortium, 100)
        assert observer.post(record).status == 202  # nothing is final without a quorum: what follows is gossip
        for member in members[:2]:
            wait_for(lambda m=member: m.get(f"/v1/records/{waiting}").json().get("status") == "pending", f"{member.name} has heard of the record")
        assert observer.status()["checkpoint_size"] == observer.status()["log_size"]
        for member in members[2:]:
            member.start()
        wait_final(consortium, waiting)
        settle(list(consortium))
        size = observer.checkpoint()[0]
        for tile in (f"/tile/0/000.p/{size}", f"/tile/entries/000.p/{size}"):
            assert observer.get(tile).body == members[3].get(tile).body, tile
        consortium.stop()
    except BaseException:
        consortium.tell()
        raise
    finally:
        consortium.close()


def test(build):
    consortium = Consortium(build, 4, config=CONFIG).start()
    try:
        everybody_has_a_quorum_and_a_receipt_shows_it(consortium)
        an_idle_tree_is_signed_again(list(consortium))
        three_are_enough(consortium)
        waiting = two_are_not(consortium)
        who_comes_back_gets_and_gives_the_quorum(consortium, waiting)
        for member in consortium:
            metrics = member.metrics()
            assert metrics["consent_cosignatures_dropped_total"] == 0 and metrics["consent_forks_total"] == 0, metrics
        consortium.stop()
    finally:
        consortium.close()
    an_observer_follows_and_serves(build)


if __name__ == "__main__":
    main(test)
