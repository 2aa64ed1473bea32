#!/usr/bin/python3
"""Scene 11, an organisation with many customers. One file of 20,000 TERMS in, many entries under one signature, progress on
screen. The command is killed in the middle and goes on where it was; so is the node that it used, and it goes on at another
one. In the end there is exactly one agreement for every line, on every node, and the feed into the organisation's own
systems has each of them once."""
import base64
import json
import os
import subprocess
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, wait_for  # noqa: E402
from scene import Scene  # noqa: E402

CUSTOMERS = 20000


def customers_publish(scene, company):
    """Each under a key of their own, on terms of their own; their list is public."""
    subprocess.run([f"{scene.build}/programs/many_terms", scene[0].network_id(), str(CUSTOMERS), company.folder], check=True, timeout=120)
    for name in sorted(os.listdir(company.folder)):
        if name.startswith("terms-"):
            with open(f"{company.folder}/{name}", "rb") as file:
                assert scene[0].post(file.read(), wait=True).status in (200, 201), name
    scene.settled()


def done_lines(company):
    try:
        with open(f"{company.folder}/list.csv.agreements", encoding="ascii") as file:
            return sum(1 for _ in file)
    except FileNotFoundError:
        return 0


def cut_off(company, lines, cut):
    """The list is worked through up to so many lines; then something happens."""
    process = company.start("subscribe", "--from", "list.csv", "--as", "company")
    wait_for(lambda: done_lines(company) >= lines or process.poll() is not None, f"{lines} lines")
    assert process.poll() is None, f"it had ended before: {process.communicate()}"
    cut(process)
    process.communicate(timeout=60)


def works_through_the_list(scene, company):
    cut_off(company, CUSTOMERS // 5, lambda process: process.kill())
    home = company.home

    def home_dies(process):
        home.kill()
        assert process.wait(timeout=120) != 0  # it says so, and does not guess

    cut_off(company, CUSTOMERS // 5 * 2, home_dies)
    said = company.consent("subscribe", "--from", "list.csv", "--as", "company", home=scene[3])
    print(said.strip().splitlines()[-1])
    assert "Going on after line" in said, said
    home.start()
    scene.settled()


def one_agreement_for_each(scene, company):
    with open(f"{company.folder}/list.csv.agreements", encoding="ascii") as file:
        agreements = dict(line.strip().split(",")[:2] for line in file)
    assert len(agreements) == len(set(agreements.values())) == CUSTOMERS
    ids = [bytes.fromhex(agreement) for agreement in agreements.values()]
    for member in scene:
        states = []
        for at in range(0, len(ids), 1000):
            request = urllib.request.Request(f"{member.url}/v1/objects", b"".join(ids[at:at + 1000]), {"Content-Type": "application/octet-stream"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                states += json.load(answer)["values"]
        assert len(states) == CUSTOMERS and all(base64.b64decode(state)[1:4] == b"\x01\x01\x04" for state in states), member.name  # version, agreement, active
    return agreements


def the_feed_has_each_once(company, agreements):
    told = company.consent("feed", "--once", "--json", home=company.scene[1])
    subscribed = [line for line in told.splitlines() if "SUBSCRIBE" in line]
    for agreement in list(agreements.values())[::997]:
        assert sum(agreement in line for line in subscribed) == 1, agreement


def test(build):
    with Scene(build) as scene:
        company = scene.party("company", 2)
        company.consent("profile", "company", "--display", "A company of 20,000 customers")
        customers_publish(scene, company)
        works_through_the_list(scene, company)
        agreements = one_agreement_for_each(scene, company)
        the_feed_has_each_once(company, agreements)
        scene.nodes_lack("A company of 20,000 customers", but_have=next(iter(agreements.values())))


main(test)
