#!/usr/bin/python3
"""Scene 9, how was my data used? A shop checks and logs before each use, and signs one root over all uses of a period. Anna,
whose data were used twice, and Ben, whose data were not used, hold their proofs against it, offline and each with nothing but
the trust file. A proof for somebody else, and one that was changed, are refused. The nodes learn nothing of the uses."""
import datetime
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main  # noqa: E402
from scene import Scene  # noqa: E402


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def next_second():
    began = now()
    while now() == began:
        time.sleep(0.05)
    return now()


def agree(scene, shop, person):
    person.write_terms()
    offer = f"{person.name}.consent-offer"
    person.consent("terms", "publish", "terms.txt", "--limit", "9", "--standing", "--until", "2099-12-31", "--name", "shop", "-o", offer)
    scene.settled()
    person.hand_over(offer, shop)
    return shop.ask("subscribe", "--offer", offer, "--name", person.name, "--as", "shop")["object"]


def the_shop_uses(shop):
    """Returns the period that it states."""
    begin = next_second()
    for letter in ("letter-of-monday", "letter-of-friday"):
        shop.consent("check", "anna", "--slot", "email", "--purpose", "dpv:Marketing", "--log", "--reference", letter)
    shop.consent("check", "anna", "--slot", "email", "--purpose", "dpv:Advertising", "--log", expected=1)
    next_second()
    return begin, next_second()


def the_shop_states(scene, shop, period):
    shop.consent("statement", "shop", "--from", period[0], "--until", period[1])
    scene.settled()
    for person in ("anna", "ben"):
        shop.consent("uses", "prove", "shop", person, "--from", period[0], "--until", period[1], "-o", f"{person}.consent-uses")


def everybody_verifies(shop, people, agreements):
    shop_id = shop.ask("show", "shop")["object"]
    for person in people:
        shop.hand_over(f"{person.name}.consent-uses", person)
        person.write("network.policy", person.consent("node", "policy"))
    anna, ben = people
    who = ("--policy", "network.policy", "--profile", shop_id, "--object")
    said = anna.consent("uses", "verify", "anna.consent-uses", *who, agreements["anna"])
    assert "used 2 times" in said and "letter-of-monday" in said and "dpv:Marketing" in said, said
    said = ben.consent("uses", "verify", "ben.consent-uses", *who, agreements["ben"])
    assert "not used" in said, said
    # ben is shown what is anna's, and anna what somebody changed
    anna.hand_over("anna.consent-uses", ben)
    ben.consent("uses", "verify", "anna.consent-uses", *who, agreements["ben"], expected=13)
    proof = anna.read("anna.consent-uses")
    assert proof.count(b"letter-of-monday") == 1
    anna.write("bent.consent-uses", proof.replace(b"letter-of-monday", b"letter-of-sunday"))
    anna.consent("uses", "verify", "bent.consent-uses", *who, agreements["anna"], expected=13)


def test(build):
    with Scene(build) as scene:
        shop, anna, ben = scene.party("shop", 0), scene.party("anna", 1), scene.party("ben", 3)
        shop.consent("profile", "shop", "--display", "The shop at the corner")
        scene.settled()
        agreements = {person.name: agree(scene, shop, person) for person in (anna, ben)}
        period = the_shop_uses(shop)
        the_shop_states(scene, shop, period)
        everybody_verifies(shop, (anna, ben), agreements)
        scene.nodes_lack("letter-of-", "dpv:Marketing", "dpv#Marketing", "The shop at the corner", but_have=agreements["anna"])


main(test)
