#!/usr/bin/python3
"""Scene 7, leaving. Anna shares with a bakery and a mill, and leaves both: one command each. The bakery's feed says so within
a second; it destroys what it holds and states that; Anna's list shows who has not. A withdrawal that she had signed and
printed for a drawer works three years later, at any node, without her wallet."""
import base64
import json
import os
import queue
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main  # noqa: E402
from scene import Scene, secrets_of  # noqa: E402

TOLD_S = 1.0  # from the end of the command that withdraws, at her node, to the bakery's feed at its own
THREE_YEARS = 3 * 365 + 1


class Feed:
    """What a party's feed says, line by line, each with the moment at which it came."""

    def __init__(self, party):
        self.lines = queue.Queue()
        process = party.start("feed", "--json")
        threading.Thread(target=self.read, args=(process,), daemon=True).start()

    def read(self, process):
        for line in process.stdout:
            self.lines.put((time.monotonic(), line))

    def told_of(self, object_id, word):
        """When it said that this became of the object."""
        deadline = time.monotonic() + 30
        while True:
            moment, line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            if object_id in line and word in line:
                json.loads(line)
                return moment


def both_subscribe(scene, anna, organisations):
    anna.write_terms()
    anna.consent("terms", "publish", "terms.txt", "--limit", "10", "--standing", "--name", "shopping", "-o", "shopping.consent-offer")
    scene.settled()
    agreements = {}
    for organisation in organisations:
        anna.hand_over("shopping.consent-offer", organisation)
        organisation.consent("profile", organisation.name, "--display", f"{organisation.name} Ltd")
        agreements[organisation] = organisation.ask("subscribe", "--offer", "shopping.consent-offer", "--as", organisation.name, "--name", "anna")["object"]
        organisation.consent("check", "anna", "--slot", "1")
    scene.settled()
    return agreements


def anna_leaves(scene, anna, bakery, agreements):
    feed = Feed(bakery)
    feed.told_of(agreements[bakery], "SUBSCRIBE")
    anna.consent("list", "--refresh")
    names = {entry["object"]: entry["name"] for entry in anna.ask("list")["entries"]}
    for agreement in agreements.values():
        anna.consent("revoke", names[agreement])
        done = time.monotonic()
        took = feed.told_of(agreement, "REVOKE") - done
        print(f"the feed says so {took:+.3f} s after the end of the command")
        assert took < TOLD_S
    scene.settled()
    bakery.consent("check", "anna", "--slot", "1", expected=11)
    due = anna.ask("list", "--refresh", "--due-erasure")["entries"]
    assert {entry["object"] for entry in due} == set(agreements.values()) and all(entry["due"] for entry in due), due


def the_bakery_erases_and_the_mill_does_not(scene, anna, bakery, mill, agreements):
    bakery.consent("erase", "anna")
    scene.settled()
    assert [entry["object"] for entry in anna.ask("list", "--refresh", "--due-erasure")["entries"]] == [agreements[mill]]
    assert "stated by the other side" in anna.consent("show", agreements[bakery])
    assert [entry["object"] for entry in mill.ask("list", "--refresh", "--due-erasure")["entries"]] == [agreements[mill]]
    bakery.consent("export", "anna", "-o", "again.consent-offer")
    assert not secrets_of(f"{bakery.folder}/again.consent-offer")  # the wallet has the id, and nothing else to give away


def on_paper(scene, anna, bakery):
    """Returns the page."""
    scene.agreement(anna, bakery, "drawer", "drawer")
    anna.consent("revoke", "drawer", "--prepare", "-o", "paper")
    return anna.read("paper.txt").decode()


def three_years_later(scene, page, bakery):
    """Somebody types the page in; Anna's wallet is long lost."""
    scene.later(THREE_YEARS)
    bakery.consent("check", "drawer", "--slot", "1")
    finder = scene.party("finder", 3)
    lines = page.split("\n\n")[-1]
    finder.write("withdrawal", base64.b64decode(lines))
    finder.consent("submit", "withdrawal", "--wait")
    scene.settled()
    bakery.consent("check", "drawer", "--slot", "1", expected=11)


def test(build):
    with Scene(build) as scene:
        anna, bakery, mill = scene.party("anna", 2), scene.party("bakery", 1), scene.party("mill", 3)
        agreements = both_subscribe(scene, anna, (bakery, mill))
        page = on_paper(scene, anna, bakery)
        secrets = secrets_of(f"{anna.folder}/shopping.consent-offer") | secrets_of(f"{anna.folder}/drawer.consent-offer")
        assert len(secrets) > 30
        anna_leaves(scene, anna, bakery, agreements)
        the_bakery_erases_and_the_mill_does_not(scene, anna, bakery, mill, agreements)
        scene.nodes_lack(*secrets, "bakery Ltd", "mill Ltd", but_have=agreements[mill])
        three_years_later(scene, page, bakery)


main(test)
