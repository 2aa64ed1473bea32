#!/usr/bin/python3
"""Scene 4, a code instead of a password. A service needs one fact once. It shows a code; Anna scans it and grants one of the
two things that it asks for, for ten minutes; the fact goes to it sealed. It says that it no longer needs it, and Anna's list
shows that the copy is to be erased, until it is. A second visitor's ten minutes go by unused: then nothing is given or taken."""
import datetime
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main  # noqa: E402
from scene import Scene  # noqa: E402

FACT = b"born before 2008\n"


def in_ten_minutes():
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")


def visits(scene, service, visitor, name):
    """The service shows its code, the visitor grants slot 1 alone. Returns the agreement."""
    service.consent("request", name, "--terms", "terms.txt", "--as", "service", "--code", f"{name}.code", "--svg", f"{name}.svg", "--png", f"{name}.png", "--expires", "10m")
    scene.settled()
    service.hand_over(f"{name}.png", visitor)
    agreement = visitor.ask("grant", "service", "--code", f"{name}.png", "--slots", "1", "--until", in_ten_minutes())["object"]
    scene.settled()
    service.consent("check", name, "--slot", "1", "--purpose", "dpv:ServiceProvision")
    service.consent("check", name, "--slot", "2", expected=1)
    return agreement


def sealed(visitor, folder, expected=0):
    visitor.write("fact", FACT)
    visitor.consent("deliver", "service", "fact", "--slot", "1", "--out", folder, expected=expected)


def one_fact_once(scene, service, anna):
    agreement = visits(scene, service, anna, "anna")
    anna.consent("deliver", "service", "terms.txt", "--slot", "2", "--out", "more", expected=1)  # was not granted
    sealed(anna, "fact-for-service")
    anna.hand_over("fact-for-service", service)
    service.consent("open", "fact-for-service", "-o", "fact")
    assert service.read("fact") == FACT
    service.consent("revoke", "anna", "--reason", "no-longer-needed")
    scene.settled()
    assert [entry["object"] for entry in anna.ask("list", "--refresh", "--due-erasure")["entries"]] == [agreement]
    service.consent("erase", "anna")
    scene.settled()
    assert anna.ask("list", "--refresh", "--due-erasure")["entries"] == []
    sealed(anna, "again", expected=11)
    return agreement


def ten_minutes_go_by(scene, service, ben):
    visits(scene, service, ben, "ben")
    sealed(ben, "in-time")
    scene.later(1)
    service.consent("check", "ben", "--slot", "1", expected=12)
    sealed(ben, "too-late", expected=12)
    ben.hand_over("in-time", service)
    service.consent("open", "in-time", "-o", "late", expected=12)
    assert not os.path.exists(f"{service.folder}/late")


def test(build):
    with Scene(build) as scene:
        service, anna, ben = scene.party("service", 3), scene.party("anna", 0), scene.party("ben", 2)
        for party in (service, anna):
            party.write_terms()
        service.consent("profile", "service", "--display", "A service for grown-ups")
        scene.settled()
        agreement = one_fact_once(scene, service, anna)
        ten_minutes_go_by(scene, service, ben)
        scene.nodes_lack(FACT, "A service for grown-ups", "how often I shop", but_have=agreement)


main(test)
