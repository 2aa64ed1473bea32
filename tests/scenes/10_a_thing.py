#!/usr/bin/python3
"""Scene 10, a thing. A sensor has a key. After each reset it shows a fresh code; its owner scans it and grants; an old code is
good for nothing. The owner lets it deliver to a hospital in her name, and takes that back: what it had sealed before and
hands over afterwards is refused too; and once more, by mailbox, for as long as she says. Nodes see neither a reading nor that the two codes were one thing's."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, says  # noqa: E402
from scene import Scene  # noqa: E402

READING = b"heart rate 61, oxygen 97, 07:42\n"


def is_reset(sensor, name):
    """It asks whoever holds the new code; returns the request's id."""
    return sensor.ask("request", name, "--terms", "terms.txt", "--code", f"{name}.code", "--png", f"{name}.png", "--expires", "10m")["object"]


def the_owner_scans(scene, sensor, owner):
    first = is_reset(sensor, "morning")
    sensor.consent("revoke", "morning")  # the reset: nobody had scanned it
    second = is_reset(sensor, "evening")
    scene.settled()
    for name in ("morning.png", "evening.png"):
        sensor.hand_over(name, owner)
    assert "it was cancelled" in owner.consent("grant", "sensor", "--code", "morning.png", expected=1)
    granted = owner.ask("grant", "sensor", "--code", "evening.png")
    assert granted["object"] == second and granted["state"] == "active", granted
    scene.settled()
    keys = {event["signer"] for request in (first, second) for event in scene[3].get(f"/v1/agreements/{request}").json()["history"] if event["type"] == "REQUEST"}
    assert len(keys) == 2, "one key for two codes would tell that they are one thing's"


def delivers(sensor, agreement, folder, expected=0):
    return sensor.consent("deliver", agreement, "reading", "--slot", "1", "--key", "sensor", "--out", folder, expected=expected)


def the_sensor_delivers(scene, sensor, owner, hospital, agreement):
    sensor.write("reading", READING)
    delivers(sensor, agreement, "too-early", expected=4)
    did = [key["did"] for key in sensor.ask("key", "list")["keys"] if key["name"] == "sensor"][0]
    owner.consent("delegate", "hospital", did, "--powers", "deliver", "--until", "2099-01-31")
    scene.settled()
    delivers(sensor, agreement, "first")
    delivers(sensor, agreement, "second")
    sensor.hand_over("first", hospital)
    hospital.consent("open", "first", "-o", "got")
    assert hospital.read("got") == READING
    # it may deliver, and nothing else
    sensor.consent("revoke", agreement, "--key", "sensor", expected=4)
    owner.consent("undelegate", "hospital", did)
    scene.settled()
    delivers(sensor, agreement, "late", expected=4)
    sensor.hand_over("second", hospital)
    hospital.consent("open", "second", "-o", "late", expected=10)
    assert not os.path.exists(f"{hospital.folder}/late")


def by_itself_for_a_while(scene, sensor, owner, hospital, agreement):
    """Into the hospital's mailbox, without anybody's hand; and only until the time that the owner said."""
    hospital.consent("contact", "patient", "-o", "hospital.contact")
    hospital.hand_over("hospital.contact", sensor)
    did = [key["did"] for key in sensor.ask("key", "list")["keys"] if key["name"] == "sensor"][0]
    until = time.time() + 12
    owner.consent("delegate", "hospital", did, "--powers", "deliver", "--until", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until)))
    scene.settled()
    sensor.write("reading", READING)
    sensor.consent("deliver", agreement, "reading", "--slot", "1", "--key", "sensor", "--contact", "hospital.contact")
    says(hospital.consent("inbox", "--to", "readings"), f"{len(READING)} bytes")
    assert [hospital.read(f"readings/{name}") for name in os.listdir(f"{hospital.folder}/readings")] == [READING]
    time.sleep(max(0, until + 1 - time.time()))
    sensor.consent("deliver", agreement, "reading", "--slot", "1", "--key", "sensor", expected=4)


def test(build):
    with Scene(build) as scene:
        sensor, owner, hospital = scene.party("sensor", 0), scene.party("owner", 1), scene.party("hospital", 2)
        for party in (sensor, owner):
            party.write_terms()
        the_owner_scans(scene, sensor, owner)
        hospital.consent("profile", "hospital", "--display", "Hospital of the town")
        agreement = scene.agreement(owner, hospital, "hospital", "patient")
        the_sensor_delivers(scene, sensor, owner, hospital, agreement)
        by_itself_for_a_while(scene, sensor, owner, hospital, agreement)
        scene.nodes_lack("heart rate 61", "oxygen 97", "Hospital of the town", but_have=agreement)


main(test)
