#!/usr/bin/python3
"""A data item that changes is told to those with whom it is shared, in a consortium of four: values of 0 bytes and of 16 MiB; an
agreement that was withdrawn, suspended or whose terms changed between change and telling; a mailbox that is full, one that is gone
and one whose node is away, none of which keeps the others waiting; removed and unshared items; and kill -9 at every call that
changes the disk, after which everybody is told once, and nobody twice."""
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, says, wait_for  # noqa: E402
from mailboxes import OCTETS  # noqa: E402
from scene import CONTACT_TERMS, Scene, read_all  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PENDING = 15
TERMS = CONTACT_TERMS + """
[slot 3 work-phone]
category: pd:TelephoneNumber
purposes: dpv:ServiceProvision
"""


def received(party):
    folder = f"{party.folder}/wallet.received"
    return [read_all(f"{folder}/{name}") for name in os.listdir(folder)] if os.path.isdir(folder) else []


def fetched(party):
    party.consent("inbox")
    return received(party)


def join(scene, anna, reader, name, slots="1,2"):
    """An agreement of its own with each, called after them."""
    key = reader.ask("key", "list")["keys"][0]["did"]
    anna.consent("grant", name, "--to", key, "--terms", "me.txt", "--slots", slots, "-o", f"{name}.consent-offer")
    anna.hand_over(f"{name}.consent-offer", reader)
    scene.settled()
    reader.consent("subscribe", "--offer", f"{name}.consent-offer", "--key", reader.name, "--name", "anna")
    scene.settled()
    says(anna.consent("inbox"), f"{name}: the other side can be reached")


def change(anna, value, *more, expected=0):
    anna.write("value", value)
    return anna.consent("vault", "change", "mobile", "value", *more, expected=expected)


def shared(anna):
    return next(item["shared"] for item in anna.ask("vault", "list")["items"] if item["name"] == "mobile")


def words_and_refusals(anna):
    """What is said where something does not fit."""
    anna.write("value", b"one")
    anna.consent("vault", "put", "mobile", "--category", "pd:TelephoneNumber", "value")
    says(anna.consent("vault", "share", "mobile", expected=2), "--all")
    says(anna.consent("vault", "share", "nothing", "ben", expected=3), "vault list")
    says(anna.consent("vault", "share", "mobile", "nobody", expected=3), "consent list")
    says(anna.consent("vault", "share", "mobile", "gil", expected=2), "several slots", "2 (phone) and 3 (work-phone)")
    says(anna.consent("vault", "share", "mobile", "gil", "--slot", "email", expected=1), "is for pd:EmailAddress")
    says(anna.consent("vault", "share", "mobile", "ben", "--slot", "work-phone", expected=1), "no slot 3 in force")
    says(anna.consent("vault", "tell"), "everybody has what is shared with them")
    says(anna.consent("vault", "unshare", "mobile", "ben", expected=3), "not shared with ben")
    said = anna.consent("vault", "share", "mobile", "--all")
    says(said, "'mobile': told 3 of 3: ben, dora and eve", "'gil' has several slots")
    says(anna.consent("vault", "share", "mobile", "gil", "--slot", "work-phone"), "told 1 of 1: gil")
    says(anna.consent("vault", "share", "mobile", "ben"), "as it was")
    for line in shared(anna):
        assert line["has_it"] and line["slot"] == (3 if line["agreement"] == "gil" else 2), line


def sizes(anna, ben):
    large = os.urandom(16 * 1024 * 1024)
    for value in (b"", large, b"short again"):
        says(change(anna, value, "--timeout", "30"), "told 4 of 4")
    got = fetched(ben)
    assert b"" in got and large in got and b"short again" in got, [len(value) for value in got]
    shutil.rmtree(f"{ben.folder}/wallet.received")


def without_telling(anna, ben):
    """Two changes that nobody was told of are one."""
    change(anna, b"never told", "--no-tell")
    change(anna, b"told at last", "--no-tell")
    says(anna.consent("vault", "list"), "shared with ben, dora, eve and gil, not told yet")
    assert all(one["told"] for one in anna.ask("vault", "tell", "mobile")["tellings"])
    assert fetched(ben) == [b"told at last"]
    says(anna.consent("vault", "tell"), "everybody has")
    says(ben.consent("inbox"), "Nothing has arrived")


def shown(anna, ben):
    """What Ben's terminal gets to see, and what it does not."""
    says((change(anna, "+31 6 5\u00e9\n".encode()), ben.consent("inbox", "--show"))[1], "anna: phone is now +31 6 5\u00e9\n")
    says((change(anna, b"one\ntwo"), ben.consent("inbox", "--show"))[1], "anna: phone is now:\n    one\n    two\n")
    for value in (b"\x1b[2Jcleared", "8-bit \u009b2J".encode(), "turned \u202e123".encode(), "isolated \u2067123".encode(), b"not UTF-8 \xff", b"x" * 2000, b"1\n" * 20):
        change(anna, value, "--media-type", "text/plain")
        told = ben.consent("inbox", "--show")
        says(told, "change under 'anna'")
        assert "phone is now" not in told and value in received(ben), told
    change(anna, b"+31 6", "--media-type", "text/plain")
    assert "phone is now" not in ben.consent("inbox"), "unasked, and no terminal"
    shutil.rmtree(f"{ben.folder}/wallet.received")


def spread(anna, ben):
    """Over some seconds: not all at once, everybody once, and the wallet is free meanwhile."""
    anna.write("value", b"spread")
    process = anna.start("vault", "change", "mobile", "value", "--over", "6s")
    lines = [process.stdout.readline() for _ in range(2)]
    assert "'mobile': told 1 of 1" in lines[1], lines
    began = time.monotonic()
    anna.consent("vault", "list")
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == 0 and time.monotonic() - began > 1 and all(one["has_it"] for one in shared(anna)), rest
    assert fetched(ben).count(b"spread") == 1
    says(anna.consent("vault", "tell", "--over", "3w", expected=2), "at most 24h")
    shutil.rmtree(f"{ben.folder}/wallet.received")


def meanwhile(scene, anna, ben, dora, eve):
    """Between the change and the telling one withdraws, one suspends."""
    change(anna, b"after dora had left", "--no-tell")
    dora.consent("revoke", "anna", "--reason", "no-longer-needed")
    eve.consent("suspend", "anna")
    scene.settled()
    said = anna.consent("vault", "tell")
    says(said, "told 2 of 4: ben and gil", "not told: dora: the agreement is over", "not told: eve: not in force now")
    assert [one["agreement"] for one in shared(anna)] == ["ben", "eve", "gil"]
    assert b"after dora had left" in fetched(ben)
    eve.consent("resume", "anna")
    scene.settled()
    says(anna.consent("vault", "tell"), "told 1 of 1: eve")
    dora.consent("inbox")
    assert b"after dora had left" in fetched(eve) and b"after dora had left" not in received(dora)


def other_terms_and_keys(scene, anna, eve, gil):
    """Slot 3 of Gil's agreement is for something else now; and Eve has another key, so her old contact counts no more."""
    anna.write("less.txt", TERMS[:TERMS.rindex("pd:TelephoneNumber")] + "pd:EmailAddress\npurposes: dpv:ServiceProvision\n")
    anna.consent("amend", "gil", "--terms", "less.txt", "-o", "amended.consent-offer")
    anna.hand_over("amended.consent-offer", gil)
    scene.settled()
    gil.consent("amend", "anna", "--accept", "--offer", "amended.consent-offer")
    eve.consent("rotate", "anna")
    scene.settled()
    said = change(anna, b"by the terms and keys of now")
    says(said, "told 1 of 3: ben", "not told: gil: the terms have no such slot", "not told: eve: no mailbox of theirs is known")
    says(anna.consent("inbox"), "'mobile': told 1 of 2: eve")
    assert b"by the terms and keys of now" in fetched(eve) and b"by the terms and keys of now" not in fetched(gil)
    anna.consent("vault", "unshare", "mobile", "gil")
    says(anna.consent("vault", "share", "mobile", "gil"), "slot 2 (phone)", "told 1 of 1: gil")
    assert b"by the terms and keys of now" in fetched(gil)


def mailbox_of(party):
    party.consent("contact", "anna", "-o", f"{party.name}.consent-contact")
    return read_all(f"{party.folder}/{party.name}.consent-contact").split(f"{party.home.name}/".encode())[1][:64].decode()


def flood(party):
    """Until the mailbox is full, also for small ones."""
    mailbox = mailbox_of(party)
    for size in (300_000, 30_000, 3_000, 300):
        status = 0
        while status != 507:
            status = party.home.request("POST", f"/v1/mailboxes/{mailbox}/deliveries", os.urandom(size), OCTETS).status
            assert status in (201, 429, 507), status
            time.sleep(0.2 if status == 429 else 0)


def some_cannot_be_told(anna, ben, eve, gil):
    """Eve's mailbox is full, Gil's contact names one that does not exist, then Ben's node is away."""
    flood(eve)
    gil.consent("contact", "anna", "--no-mailbox", "--mailbox", f"{gil.home.name}/{'0' * 64}", "-o", "wrong.consent-contact")
    gil.hand_over("wrong.consent-contact", anna)
    anna.consent("import", "wrong.consent-contact")
    says(change(anna, b"not for all", expected=PENDING), "told 1 of 3: ben", "not told: eve: their mailbox is full", "not told: gil: their mailbox is gone", "consent vault tell")
    eve.consent("inbox")
    gil.consent("contact", "anna", "-o", "gil.consent-contact")
    gil.hand_over("gil.consent-contact", anna)
    anna.consent("import", "gil.consent-contact")
    ben.home.stop()
    change(anna, b"while ben's node was away", "--no-tell")
    began = time.monotonic()
    says(anna.consent("vault", "tell", "--timeout", "3", expected=PENDING), "told 2 of 3: eve and gil", "not told: ben: the node that keeps their mailbox is away")
    assert time.monotonic() - began < 20
    assert b"while ben's node was away" in fetched(eve) and b"while ben's node was away" in fetched(gil)
    ben.home.start()
    wait_for(lambda: "told 1 of 1: ben" in anna.consent("vault", "tell", "--timeout", "5", expected=None), "his node is back", 60)
    assert b"while ben's node was away" in fetched(ben) and b"not for all" in received(ben)


def node_in_use_away(anna):
    anna.home.stop()
    says(change(anna, b"without a node", expected=1), "does not answer", "What was changed here stays so")
    assert anna.ask("vault", "show", "mobile")["value"] == "without a node"
    anna.home.start()
    says(anna.consent("vault", "tell"), "told 3 of 3")


def removed(anna, ben):
    anna.consent("vault", "unshare", "mobile", "gil")
    says(anna.consent("vault", "remove", "mobile"), "ben and eve have it", "shared with nobody any more")
    anna.write("value", b"another one's")
    anna.consent("vault", "put", "mobile", "--category", "pd:TelephoneNumber", "value")
    says(anna.consent("vault", "tell"), "everybody has")
    change(anna, b"and not for ben")
    assert b"and not for ben" not in fetched(ben) and b"another one's" not in received(ben)


def killed(anna, ben, eve):
    """Each time from the same state, with a value of its own; whoever was told by a killed command is told again by the next,
    and takes it once."""
    library = f"{anna.folder}/kill_at.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, f"{HERE}/kill_at.c", "-ldl"], check=True, timeout=60)
    for name in ("ben", "eve"):
        anna.consent("vault", "share", "mobile", name)
    files = [name for name in os.listdir(anna.folder) if name.startswith("wallet")]
    before = f"{anna.folder}/before"
    os.mkdir(before)
    for name in files:
        (shutil.copytree if os.path.isdir(f"{anna.folder}/{name}") else shutil.copy)(f"{anna.folder}/{name}", f"{before}/{name}")
    told, asan = {}, os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    for call in range(1, 200):
        for name in files:
            shutil.rmtree(f"{anna.folder}/{name}", ignore_errors=True)
            (shutil.copytree if os.path.isdir(f"{before}/{name}") else shutil.copy)(f"{before}/{name}", f"{anna.folder}/{name}")
        value = f"killed at {call}"
        anna.write("value", value)
        done = subprocess.run([f"{anna.scene.build}/consent", "vault", "change", "mobile", "value"], capture_output=True, cwd=anna.folder, timeout=60, check=False,
                              env={**anna.environment(), "LD_PRELOAD": library, "KILL_AT": str(call), "ASAN_OPTIONS": asan}, stdin=subprocess.DEVNULL)
        assert done.returncode in (0, -signal.SIGKILL), done
        anna.consent("vault", "tell")
        told[value.encode()] = anna.ask("vault", "show", "mobile")["value"] == value
        assert all(share["has_it"] for share in shared(anna))
        assert not [name for name in os.listdir(f"{anna.folder}/wallet.store") if ".new-" in name or ".gone" in name], "left over"
        if done.returncode == 0:
            break
    assert 10 < call < 199
    changed = list(told.values())
    assert changed == sorted(changed), "from the new value back to the old"
    for party in (ben, eve):
        got = fetched(party)
        for value, was_changed in told.items():
            assert got.count(value) == (1 if was_changed else 0), f"{party.name} has {value} {got.count(value)} times"
    print(f"vault change: {call - 1} kills, new from {changed.index(True) + 1} on")


def test(build):
    with Scene(build) as scene:
        anna = scene.party("anna", 2)
        ben, dora, eve, gil = (scene.party(name, home) for name, home in (("ben", 1), ("dora", 3), ("eve", 3), ("gil", 0)))
        anna.write("me.txt", TERMS)
        for party in (ben, dora, eve, gil):
            join(scene, anna, party, party.name, slots="1,2,3" if party is gil else "1,2")
        words_and_refusals(anna)
        sizes(anna, ben)
        shown(anna, ben)
        spread(anna, ben)
        without_telling(anna, ben)
        meanwhile(scene, anna, ben, dora, eve)
        other_terms_and_keys(scene, anna, eve, gil)
        some_cannot_be_told(anna, ben, eve, gil)
        node_in_use_away(anna)
        removed(anna, ben)
        killed(anna, ben, eve)


main(test)
