#!/usr/bin/python3
"""Scene 5, the anonymous profile. Somebody looks for car insurance: at one node she publishes, under a fresh key, a profile of which
three attributes are public and three are not, and terms that any insurer may answer. Two insurers at other nodes find it by
purpose and category, and no node learns what they looked for. One subscribes, she accepts, and shows it two more attributes, one
after the other, sealed; each is checked offline against a proof. The other one, whom she refuses, gets nothing. What she did not
show is at no node and with no insurer; nothing ties it to her bank account, which is on the same ledger. When she takes
it away, no node has it."""
import glob
import json
import os
import subprocess
import sys

import cbor2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, says, wait_for  # noqa: E402
from scene import Scene, read_all  # noqa: E402

PROFILE = """[looking-for]
category: pd:Intention
text: car insurance, third party and glass
[age]
category: pd:AgeRange
range: 40 to 50
[years-without-claims]
category: pd:Insurance
range: at least 8
[postcode-area]
category: pd:Location
text: somewhere near Zwolle-Zuid
[car]
category: pd:CarOwned
text: a blue Volvo Duett
[health]
category: pd:HealthHistory
text: sciatica since the winter
"""
PUBLIC, SHOWN, KEPT = b"third party and glass", (b"Zwolle-Zuid", b"blue Volvo Duett"), b"sciatica since the winter"
TERMS = """proffered-by: customer
title: Quotes for my car insurance
language: en
in-return: an offer within three days
withdraw: at any time, with one signed record, at any node
[slot 1 quote-data]
category: pd:Insurance
purposes: dpv:EstablishContractualAgreement
retention: P7D
"""
COPY_S = 2
LOOKING = ("terms", "find", "--purpose", "dpv:EstablishContractualAgreement", "--category", "pd:Insurance")


def published(scene, person):
    """The profile and the terms, under one fresh key. Returns their ids."""
    person.write("me.txt", PROFILE)
    person.write("quotes.txt", TERMS)
    person.consent("profile", "publish", "me.txt", "--name", "car", "--public", "looking-for,age,years-without-claims")
    scene.settled()
    person.consent("terms", "publish", "quotes.txt", "--name", "quotes", "--limit", "5", "--as", "car", "--public", "--until", "2099-12-31")
    scene.settled()
    return person.ask("show", "car")["object"], person.ask("show", "quotes")["object"]


def found(insurer, terms, profile):
    """By purpose and category, in a place where other things are public too."""
    got = insurer.ask(*LOOKING, "--attribute", "age=45", "--attribute", "looking-for=car insurance")["found"]
    assert [each["object"] for each in got] == [terms] and got[0]["profile"]["object"] == profile and got[0]["node"] == "member-0", got
    assert {field["name"] for field in got[0]["profile"]["fields"]} == {"looking-for", "age", "years-without-claims"}
    says(insurer.consent(*LOOKING), "Quotes for my car insurance", "age: 40 to 50", "years-without-claims: at least 8", "know nothing of what you look for")
    for other in (("--purpose", "dpv:Marketing"), ("--category", "pd:Income"), ("--attribute", "age=51"), ("--attribute", "health")):
        assert insurer.ask("terms", "find", *other)["found"] == [], other


def hidden_fields(person):
    """Salts and texts of the attributes that are not public, from the body that only her wallet has."""
    person.consent("export", "car", "--body", "-o", "car.consent-body")
    fields = [cbor2.loads(field) for field in cbor2.loads(person.read("car.consent-body"))[4]]
    hidden = [field for field in fields if field[1] in ("postcode-area", "car", "health")]
    assert len(hidden) == 3
    return [field[0] for field in hidden] + [field[2][1].encode() for field in hidden]


def did_of(insurer):
    """The key of its profile."""
    profile = insurer.ask("show", insurer.name)["object"]
    key = insurer.scene[0].get(f"/v1/agreements/{profile}").json()["state"]["key"]
    return next(each["did"] for each in insurer.ask("key", "list")["keys"] if each["public_key"] == key)


def offline(scene, insurer, *words):
    """consent verify as somebody does it who has these files, and neither node nor wallet. What it says, as JSON."""
    environment = {**insurer.environment(), "CONSENT_NODE": "http://127.0.0.1:9", "CONSENT_WALLET": f"{insurer.folder}/none"}
    done = subprocess.run([f"{scene.build}/consent", "verify", *words, "--policy", "net.policy", "--json"], capture_output=True, text=True, timeout=60,
                          cwd=insurer.folder, env=environment, stdin=subprocess.DEVNULL, check=False)
    return done.returncode, json.loads(done.stdout)


def received(insurer):
    return sorted(glob.glob(f"{insurer.folder}/received/*"))


def shows(scene, person, insurer, called, field, value):
    """One attribute, sealed, under the slot; the insurer holds it against a proof that it fetched itself."""
    before = received(insurer)
    person.consent("disclose", "car", "--fields", field, "--to", did_of(insurer), "-o", f"{field}.consent-disclosure")
    person.consent("deliver", called, f"{field}.consent-disclosure", "--slot", "quote-data")
    wait_for(lambda: insurer.consent("inbox", "--to", "received") and received(insurer) != before, f"{field} has come")
    file = os.path.relpath(*(set(received(insurer)) - set(before)), insurer.folder)
    status, said = offline(scene, insurer, "car.consent-proof", "--disclosure", file, "--to", did_of(insurer))
    assert status == 0 and [(each["name"], each["value"]) for each in said["disclosure"]["fields"]] == [(field, value)], said
    return file


def the_one(scene, person, insurer, profile, terms):
    """It subscribes by the id alone, is accepted, and is shown two attributes. Returns the agreement's id."""
    agreement = insurer.ask("subscribe", terms, "--as", insurer.name, "--name", "customer")["object"]
    scene.settled()
    person.consent("list", "--refresh")
    says(person.consent("inbox"), "quotes.1", "consent grant quotes.1")
    person.consent("grant", "quotes.1")
    scene.settled()
    insurer.consent("inbox", "--to", "received")
    insurer.consent("check", "customer", "--slot", "quote-data", "--purpose", "dpv:EstablishContractualAgreement")
    insurer.consent("proof", profile, "-o", "car.consent-proof")
    insurer.consent("node", "policy", "-o", "net.policy")
    first = shows(scene, person, insurer, "quotes.1", "postcode-area", "somewhere near Zwolle-Zuid")
    shows(scene, person, insurer, "quotes.1", "car", "a blue Volvo Duett")
    person.consent("proof", "bank", "-o", "bank.consent-proof")  # of something else of hers
    person.hand_over("bank.consent-proof", insurer)
    assert offline(scene, insurer, "bank.consent-proof", "--disclosure", first)[0] == 13
    return agreement


def the_other(scene, person, insurer, terms):
    """It subscribes too, in the hope that everybody is shown everything, and is refused."""
    insurer.consent("subscribe", terms, "--as", insurer.name, "--name", "customer")
    scene.settled()
    person.consent("list", "--refresh")
    person.consent("refuse", "quotes.2")
    scene.settled()
    person.consent("deliver", "quotes.2", "car.consent-disclosure", "--slot", "quote-data", expected=17)
    insurer.consent("inbox", "--to", "received", expected=None)
    assert received(insurer) == [] and insurer.ask("show", "customer")["state"] == "refused"


def is_taken_away(scene, person, terms, profile):
    """The profile by hand, from the node that has it and no other; the terms by closing them."""
    person.consent("public", "remove", "car", home=scene[3], expected=3)
    says(person.told[-1], "public at member-0", "--node URL")
    assert {each["node"] for each in person.ask("public", "list")["public"]} == {"member-0"}
    person.consent("public", "remove", "car")
    scene.nodes_lack(PUBLIC, but_have=profile)  # from the moment on when it is said
    person.consent("revoke", "quotes")
    scene.settled()
    wait_for(lambda: not glob.glob(f"{scene[0].data}/public/*"), "the terms go by themselves", 10)
    for node in scene:
        wait_for(lambda: all(node.get(f"/v1/public?node={home.name}").json()["bodies"] == [] for home in scene), f"nothing is shown by {node.name}", COPY_S + 5)
    return terms


def nothing_ties_them(scene, person, bank_agreement, agreement, profile, terms):
    """Her bank account is under a key of its own: none of the persona's, at which the answers to her terms meet."""
    def state(thing):
        return scene[1].get(f"/v1/agreements/{thing}").json()["state"]

    own = state(profile)["key"]
    assert state(terms)["owner"] == own and state(agreement)["customer"] == terms
    assert state(bank_agreement)["customer"] not in (own, terms, profile)


def test(build):
    with Scene(build, f"[public]\ncopy_s = {COPY_S}\n") as scene:
        person, one, other, bank = scene.party("person", 0), scene.party("one", 1), scene.party("other", 2), scene.party("bank", 3)
        for organisation in (one, other, bank):
            organisation.consent("profile", organisation.name, "--display", f"{organisation.name} and sons")
        person.write_terms()
        bank_agreement = scene.agreement(person, bank, "bank", "person")
        profile, terms = published(scene, person)
        found(one, terms, profile)
        found(other, terms, profile)
        secrets = hidden_fields(person)
        agreement = the_one(scene, person, one, profile, terms)
        the_other(scene, person, other, terms)
        nothing_ties_them(scene, person, bank_agreement, agreement, profile, terms)
        scene.nodes_lack(*SHOWN, KEPT, "one and sons", "other and sons", *secrets, but_have=terms)
        for insurer, has in ((one, SHOWN), (other, ())):
            everything = b"".join(read_all(path) for path in glob.glob(f"{insurer.folder}/**", recursive=True) if os.path.isfile(path))
            assert KEPT not in everything and [value in everything for value in SHOWN] == [value in has for value in SHOWN]
        is_taken_away(scene, person, terms, profile)


main(test)
