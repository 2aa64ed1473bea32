#!/usr/bin/python3
"""Mailboxes on two home nodes of a consortium of four: deposits at any node, fetched by who signs a challenge with the
mailbox's key and by nobody else; waiting; bounds; what was acknowledged to whoever deposits outlives kill -9; what was
deleted leaves the files; and records go on becoming final through a flood."""
import glob
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, says, wait_for  # noqa: E402
from consortium import Consortium, grant  # noqa: E402
from mailboxes import OCTETS, Mailbox  # noqa: E402

LARGEST = 300 * 1024
CONFIG = "[mailbox]\ncompact_s = 2\nmailbox_deposits_per_s = 32\nmailbox_deliveries_max = 400\n"


def opened(home):
    mailbox = Mailbox(home)
    answer = mailbox.open()
    assert answer.status == 201 and answer.json()["address"] == f"{home.name}/{mailbox.id}", answer
    assert mailbox.open().status == 200, "opening again keeps it open"
    return mailbox


def deposited(mailbox, node, sealed):
    answer = mailbox.deposit(node, sealed)
    assert answer.status == 201, answer
    return answer.json()["number"]


def in_order_from_everywhere(consortium, mailboxes):
    """Small ones, and the largest, which goes between nodes in two parts; each node takes them for each home."""
    for mailbox in mailboxes:
        sent = []
        for number, node in enumerate(consortium, 1):
            sealed = os.urandom(LARGEST if number == 2 else 1000 + number)
            assert deposited(mailbox, node, sealed) == number
            sent.append((number, sealed))
        again = mailbox.deposit(consortium[2], sent[2][1])
        assert again.status == 200 and again.json()["number"] == 3, f"the same bytes once more are the same delivery: {again}"
        got, more = mailbox.fetch()
        assert got == sent and not more
        assert mailbox.fetch()[0] == sent, "a fetch deletes nothing"
        first, more = mailbox.fetch(limit=1)
        assert first == sent[:1] and more
        assert mailbox.fetch(after=2)[0] == sent[2:]
        assert mailbox.acknowledge(2) == 2
        assert mailbox.fetch()[0] == sent[2:]
        assert mailbox.acknowledge(2) == 0, "acknowledged once more after a lost answer"
        assert mailbox.acknowledge(4) == 2
        assert mailbox.fetch() == ([], False)
        assert deposited(mailbox, consortium[0], b"next") == 5, "numbers are not used again"
        assert mailbox.acknowledge(5) == 1


def refusals(consortium, mailbox):
    home, other = mailbox.home, Mailbox(mailbox.home)
    nonces = [mailbox.challenge() for _ in range(500)]
    assert nonces == sorted(set(nonces)), "a later challenge is the greater one, within a millisecond too"
    headers = mailbox.headers()
    assert mailbox.ask("GET", "/deliveries", headers=headers).status == 200
    replayed = mailbox.ask("GET", "/deliveries", headers=headers)
    assert replayed.status == 401, f"a challenge is good once: {replayed}"
    says(replayed.json()["detail"], "fresh challenge")
    older = mailbox.headers(mailbox.challenge())
    assert mailbox.ask("GET", "/deliveries").status == 200
    for nonce in ("00" * 32, "ff" * 32):
        assert mailbox.ask("GET", "/deliveries", headers=mailbox.headers(nonce)).status == 401
    wrong = mailbox.ask("GET", "/deliveries", headers=other.headers())
    assert wrong.status == 401 and wrong.json()["code"] == "CL_E_LOCKED", f"another key's signature: {wrong}"
    mixed = {**other.headers(), "Consent-Key": mailbox.key.hex()}
    assert mailbox.ask("GET", "/deliveries", headers=mixed).status == 401, "the mailbox's key, signed by another"
    assert mailbox.ask("DELETE", "/deliveries", headers=mixed, through=9).status == 401
    assert mailbox.ask("DELETE", headers=mixed).status == 401
    assert home.request("GET", f"{mailbox.path}/deliveries").status == 401
    assert older["Consent-Key"] == mailbox.key.hex()
    for node in consortium:
        nowhere = other.deposit(node, b"x")
        assert nowhere.status == 404 and nowhere.headers["Content-Type"] == "application/problem+json", f"{node.name}: {nowhere}"
    for status, body, headers, path in ((413, b"x" * (LARGEST + 1), OCTETS, mailbox.path), (400, b"", OCTETS, mailbox.path),
                                        (415, b"x", {"Content-Type": "text/plain"}, mailbox.path), (400, b"x", OCTETS, "/v1/mailboxes/AB")):
        answer = home.request("POST", f"{path}/deliveries", body, headers)
        assert answer.status == status, f"{status}: {answer}"
    answer = home.request("POST", f"{mailbox.path}/deliveries?node=nobody", b"x", OCTETS)
    assert answer.status == 404, answer
    says(answer.json()["detail"], "No node of this network")
    answer = home.request("POST", "/v1/records", b"x" * LARGEST, {"Content-Type": "application/cose"})
    assert answer.status == 413, f"large bodies are for deliveries only: {answer}"


def waiting(consortium, mailbox):
    """Somebody who waits has it at once; a newer wait ends the one before."""
    got = {}

    def wait(name):
        holder = Mailbox(mailbox.home, mailbox.signer.to_string())
        began = time.monotonic()
        got[name] = holder.fetch(wait=30)[0], time.monotonic() - began

    first = threading.Thread(target=wait, args=("first",))
    first.start()
    waits = "consent_mailbox_waiting_fetches 1"
    wait_for(lambda: waits in mailbox.home.get("/metrics").body.decode(), "one waits")
    second = threading.Thread(target=wait, args=("second",))
    second.start()
    first.join()
    assert got["first"][0] == [] and got["first"][1] < 10, got
    number = deposited(mailbox, consortium[3], b"somebody is waiting")
    began = time.monotonic()
    second.join()
    assert got["second"][0] == [(number, b"somebody is waiting")], got
    assert time.monotonic() - began < 1, "it is there at once"
    assert mailbox.acknowledge(number) == 1
    began = time.monotonic()
    assert mailbox.fetch(wait=1) == ([], False) and 0.9 < time.monotonic() - began < 5


def flood(consortium, mailbox):
    """More than a mailbox takes, at two nodes, while records get final."""
    counts, ends = {}, threading.Event()

    def deposit(node):
        connection = node.connect()
        while not ends.is_set():
            status = mailbox.deposit(node, os.urandom(2048), connection).status
            counts[status] = counts.get(status, 0) + 1

    threads = [threading.Thread(target=deposit, args=(node,)) for node in (consortium[0], consortium[1], consortium[1], consortium[2])]
    for thread in threads:
        thread.start()
    slowest = 0
    for number in range(100, 200):
        began = time.monotonic()
        answer = consortium[number % 4].post(grant(consortium, number)[2], wait=True)
        assert answer.status == 201, answer
        slowest = max(slowest, time.monotonic() - began)
    ends.set()
    for thread in threads:
        thread.join()
    assert counts[201] > 0 and counts[429] > 0 and set(counts) <= {201, 429, 503, 507}, counts
    assert slowest < 5, f"a record took {slowest:.2f} s to be final during a flood"
    print(f"flood: {counts}; slowest record {slowest:.2f} s")
    waiting_now = mailbox.fetch(limit=1)[0][0][0]
    while mailbox.acknowledge(2**40) > 0:
        pass
    assert waiting_now > 0 and mailbox.fetch() == ([], False)


def full(mailbox):
    """A mailbox that nobody empties says so with a sentence, and takes more once it is emptied."""
    number, stored = 0, []
    while True:
        answer = mailbox.deposit(mailbox.home, os.urandom(64) + number.to_bytes(8, "big"))
        if answer.status == 429:
            time.sleep(0.05)
        elif answer.status == 201:
            stored.append(answer.json()["number"])
        else:
            break
        number += 1
    assert answer.status == 507 and len(stored) == 400, f"{len(stored)} stored: {answer}"
    says(answer.json()["detail"], "full", "keep the delivery")
    seen = []
    more = True
    while more:
        page, more = mailbox.fetch(after=seen[-1] if seen else 0)
        seen += [number for number, _ in page]
    assert seen == stored
    assert mailbox.acknowledge(stored[-1]) == 400


def away_and_back(consortium, mailboxes):
    """The home node is killed right after it said 201; whoever deposits meanwhile keeps it; nothing acknowledged is lost."""
    mailbox, home = mailboxes[1], mailboxes[1].home
    kept = os.urandom(LARGEST)
    number = deposited(mailbox, consortium[0], kept)
    home.kill()
    answer = mailbox.deposit(consortium[0], b"for later")
    assert answer.status == 503 and answer.headers["Retry-After"], answer
    says(answer.json()["detail"], "home node", "send it again")
    home.start()
    mailbox.next = None
    assert mailbox.fetch()[0] == [(number, kept)]

    def comes_through():
        return mailbox.deposit(consortium[0], b"for later").status in (200, 201)
    wait_for(comes_through, "the delivery is sent again")
    assert [sealed for _, sealed in mailbox.fetch()[0]] == [kept, b"for later"]
    home.stop()
    home.start()
    mailbox.next = None
    assert [sealed for _, sealed in mailbox.fetch()[0]] == [kept, b"for later"], "a restart keeps all"


def found_in(folder, needle):
    for path in glob.glob(f"{folder}/**", recursive=True):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                if needle in file.read():
                    return path
    return None


def gone(mailbox):
    """What was deleted leaves every file of the home node; a closed mailbox is as if it had never been."""
    folder = f"{mailbox.home.data}/mailboxes"
    needle = b"sealed bytes that must go " * 4
    number = deposited(mailbox, mailbox.home, needle)
    assert found_in(folder, needle), "it is stored"
    mailbox.acknowledge(number)
    wait_for(lambda: found_in(folder, needle) is None, "its bytes are gone from the files", 30)
    deposited(mailbox, mailbox.home, needle)
    answer = mailbox.close()
    assert answer.status == 200 and answer.json()["deleted"] == 1, answer
    assert mailbox.deposit(mailbox.home, b"x").status == 404
    wait_for(lambda: found_in(folder, needle) is None and found_in(folder, bytes.fromhex(mailbox.id)) is None, "nothing of it is left", 30)


def tells_nothing(consortium, mailboxes):
    """No address and no key of a mailbox is in a log, nor its key in a file."""
    for node in consortium:
        text = node.log()
        for mailbox in mailboxes:
            assert mailbox.id not in text and mailbox.key.hex() not in text, node.name
            assert found_in(node.data, mailbox.key) is None, node.name


def test(build):
    consortium = Consortium(build, config=CONFIG)
    try:
        consortium.start()
        wait_for(lambda: all(peer["ask_connected"] for node in consortium for peer in node.status()["peers"]), "links")
        mailboxes = [opened(consortium[0]), opened(consortium[1])]
        in_order_from_everywhere(consortium, mailboxes)
        refusals(consortium, mailboxes[1])
        waiting(consortium, mailboxes[1])
        flood(consortium, mailboxes[1])
        full(opened(consortium[1]))
        away_and_back(consortium, mailboxes)
        gone(mailboxes[0])
        tells_nothing(consortium, mailboxes)
        consortium.stop()
    except BaseException:
        consortium.tell()
        raise
    finally:
        consortium.close()


if __name__ == "__main__":
    main(test)
