#!/usr/bin/python3
"""Four nodes, and what one of them signed is forgotten: its vote log is lost, damaged, discarded by the operator of a disk that
was put back, or its ledger was restored from a backup. It follows, votes for nothing while another member is down too, says
so, votes again above a bar once the three others have answered, and keeps the bar over a crash. Meanwhile the others go on."""
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, wait_for  # noqa: E402
from consortium import Consortium, final_on, grant, wait_final  # noqa: E402
from votelog_file import BAR, VOTE, bars_and_votes  # noqa: E402

HEALED_S = 30
numbers = iter(range(1, 10 ** 6))


def put(consortium, member):
    record_id, _, record = grant(consortium, next(numbers))
    answer = member.post(record)
    assert answer.status in (201, 202), answer
    return record_id


def several_final(consortium, members, count=3):
    for _ in range(count):
        wait_final(members, put(consortium, members[0]), HEALED_S)


def vote_log(member):
    return f"{member.data}/vote.log"


def awaited(member):
    return member.metrics()["consent_votes_awaited"]


def check_log(member):
    """The bar comes first and unknown, then known; no vote before it is known, and none up to it."""
    barred = None
    entries = bars_and_votes(vote_log(member))
    assert entries[0] == (BAR, None), entries[:3]
    for kind, view in entries:
        if kind == BAR:
            barred = view
        else:
            assert barred is not None and view > barred, (barred, entries)
    assert barred is not None and any(kind == VOTE for kind, _ in entries), entries
    return barred


def forgets(consortium, how, *options, reason):
    """One member forgets while another one is down: too few are left to tell it, and nothing is final; then all goes on."""
    member, absent, others = consortium[3], consortium[2], consortium.members[:2]
    several_final(consortium, consortium.members)
    member.kill()
    absent.kill()
    how(member)
    before = len(member.log())
    member.start(*options)
    assert awaited(member) == 1 and f"reason={reason}" in member.log()[before:], member.log()[-2000:]
    waiting = put(consortium, others[0])
    wait_for(lambda: f"heard=2 needed=3 not_heard={absent.name}" in member.log()[before:], "it says for whom it waits", HEALED_S)
    assert not any(final_on(each, waiting) for each in others), "final without a quorum that may vote"
    assert [kind for kind, _ in bars_and_votes(vote_log(member))] == [BAR]
    member.kill()  # and a crash while it waits changes nothing
    member.start()
    assert awaited(member) == 1
    absent.start()
    wait_for(lambda: awaited(member) == 0, "it was told", HEALED_S)
    wait_final(consortium.members, waiting, HEALED_S)
    several_final(consortium, consortium.members)
    absent.kill()  # now its vote is needed
    several_final(consortium, [*others, member])
    absent.start()
    barred = check_log(member)
    assert member.metrics()["consent_votes_barred_views"] == barred
    member.kill()
    member.start()
    assert awaited(member) == 0 and member.metrics()["consent_votes_barred_views"] == barred, "the bar was forgotten"
    several_final(consortium, consortium.members)
    wait_for(lambda: len({each.checkpoint()[:2] for each in consortium}) == 1, "one checkpoint everywhere", HEALED_S)


def lost(member):
    os.unlink(vote_log(member))


def damaged(member):
    with open(vote_log(member), "r+b") as file:
        file.seek(os.path.getsize(vote_log(member)) // 3)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def restored(member):
    shutil.rmtree(f"{member.data}/store")
    os.unlink(vote_log(member))
    said = member.run("restore", "--from", f"{member.root}/backup", "--data", member.data).stdout
    assert "asks the others" in said, said


def rolled_back(consortium):
    """The disk of some time ago, vote log and ledger: the operator says so, and the newer one is no loss."""
    member = consortium[3]
    member.stop()
    shutil.copytree(member.data, f"{member.root}/old")
    member.start()
    several_final(consortium, consortium.members)

    def put_back(of):
        shutil.rmtree(of.data)
        shutil.copytree(f"{of.root}/old", of.data)

    forgets(consortium, put_back, "--new-vote-log", reason="discarded")
    assert os.path.exists(vote_log(member) + ".old")


def too_few(build):
    """Of two or three members nobody can tell: it says what is left to do."""
    consortium = Consortium(build, 3)
    try:
        consortium.start()
        several_final(consortium, consortium.members, 1)
        member = consortium[1]
        member.stop()
        lost(member)
        for options in ((), ("--new-vote-log",)):
            said = member.start_refused(*options)
            assert "genesis" in said and "missing" in said, said
            assert not os.path.exists(vote_log(member))
    finally:
        consortium.close()


def test(build):
    consortium = Consortium(build, 4)
    try:
        consortium.start()
        began = time.monotonic()
        forgets(consortium, lost, reason="missing")
        forgets(consortium, damaged, reason="damaged")
        consortium[3].run("backup", "--data", consortium[3].data, "--to", f"{consortium[3].root}/backup")
        forgets(consortium, restored, reason="missing")
        rolled_back(consortium)
        print(f"{time.monotonic() - began:.0f} s")
    except BaseException:
        for member in consortium:
            print(f"-- {member.name} ({'runs' if member.running() else 'does not run'}):\n{member.log()[-1500:]}")
        raise
    finally:
        consortium.close()
    too_few(build)


main(test)
