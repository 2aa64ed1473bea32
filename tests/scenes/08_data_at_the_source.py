#!/usr/bin/python3
"""Scene 8, data stays where it is. Anna's bank holds her income statement. She tells the bank that her landlord may fetch it,
once, and the landlord where to ask; each learns it sealed, under its own agreement with her. The landlord makes a request with a
fresh proof, signed by its key; the bank checks it without asking anybody, serves that one slot, and logs the use, which Anna finds
in its statement. What is old, copied, asked for twice, taken back, or of an agreement that has ended, is not served. Nobody else
took part: the ledger has no record of it, no node a byte, and nothing on the ledger ties Anna's two agreements together."""
import datetime
import glob
import os
import sys
import time
import types

import cbor2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, says  # noqa: E402
from invariants import leaves_of  # noqa: E402
from scene import Scene, read_all, secrets_of  # noqa: E402

INCOME = b"Income of 2025, by the bank's own books: 41,200.00\n"
WHERE = "at the counter in Kerkstraat"
NOWHERE = types.SimpleNamespace(url="http://127.0.0.1:1")
TERMS = """proffered-by: customer
title: {title}
language: en
withdraw: at any time, with one signed record, at any node

[slot 1 name]
category: pd:Name
purposes: dpv:ServiceProvision

[slot {number} income]
category: pd:Income
purposes: {purpose}
"""


def agrees(scene, anna, organisation, title, number, purpose):
    """Anna grants both slots to an organisation with a profile. Returns the agreement's id."""
    organisation.consent("profile", organisation.name, "--display", f"{organisation.name.title()} of Utrecht")
    anna.write("terms.txt", TERMS.format(title=title, number=number, purpose=purpose))
    return scene.agreement(anna, organisation, organisation.name, "anna")


def records(scene):
    scene.settled()
    return [member.checkpoint()[0] for member in scene]


def newest(party, folder):
    """The file that the inbox wrote last."""
    return max(glob.glob(f"{party.folder}/{folder}/*"), key=os.path.getmtime)


def releases(anna, bank, landlord):
    """One command of Anna's; each of the two finds its part in its mailbox. Returns the reference."""
    anna.consent("inbox")  # takes in where the two can be reached
    told = anna.consent("source", "release", "bank", "landlord", "--slot", "income", "--for", "income", "--where", WHERE)
    says(told, "You let 'landlord' fetch slot 5 (income) from 'bank', once, until ", "as long as slot 3 (income) of 'landlord' is in force", "Nobody else learns anything")
    says(bank.consent("inbox"), "slot 5 (income) of 'anna' may be served to the organisation of agreement", ", once, until ")
    landlord.consent("inbox", "--to", "post")
    return told.split("release ")[1].split()[0]


def asks(landlord, name, expected=0):
    return landlord.consent("source", "ask", newest(landlord, "post"), "-o", name, expected=expected)


def fetched_once(anna, bank, landlord):
    reference = releases(anna, bank, landlord)
    says(asks(landlord, "first"), WHERE, "slot 3 (income) of 'anna'")
    landlord.hand_over("first", bank)
    bank.write("income", INCOME)
    bank.consent("proof", "anna", "-o", "anna.consent-proof")
    # without a node: what is in the bank's hands is enough
    says(bank.consent("source", "serve", "first", "--offline", home=NOWHERE), "yes", "slot 5 (income) of 'anna' may be served (0 of 1 times so far)")
    says(bank.consent("source", "serve", "first", "income", "--offline", "--media-type", "text/plain", "-o", "answer", home=NOWHERE), "1 of 1 times", "the use is logged")
    bank.hand_over("answer", landlord)
    says(landlord.consent("source", "open", "answer", "-o", "income"), "text/plain", "the customer of 'anna' released for slot 3 (income)")
    assert landlord.read("income") == INCOME
    # the answer a second time; the request a second time; a second request
    landlord.consent("source", "open", "answer", "-o", "again", expected=4)
    says(bank.consent("source", "serve", "first", "income", "-o", "again", expected=1), "CL_E_SOURCE_REPLAY")
    asks(landlord, "second")
    landlord.hand_over("second", bank)
    says(bank.consent("source", "serve", "second", "income", "-o", "again", expected=12), "CL_E_SOURCE_SPENT")
    return reference


def others_get_nothing(anna, bank, landlord, thief):
    """A second release; the landlord's own papers in other hands, old ones, and what it asks after Anna thought better of it."""
    releases(anna, bank, landlord)
    asks(landlord, "third")
    landlord.hand_over("third", bank)
    landlord.hand_over("third", thief)
    thief.write("pointer", read_all(newest(landlord, "post")))
    thief.consent("source", "ask", "pointer", "-o", "mine", expected=4)  # it is not the organisation of that agreement
    thief.consent("source", "open", "third", "-o", "mine", expected=4)
    thief.consent("source", "serve", "third", "pointer", "-o", "mine", expected=3)  # nor the holder
    time.sleep(2)
    says(bank.consent("source", "serve", "third", "income", "--max-age", "1s", "-o", "again", expected=16), "ask with a new one")
    says(anna.consent("source", "withdraw", "bank"), "is taken back", "what was fetched before stays fetched")
    says(bank.consent("inbox"), "nothing is served under it any more")
    says(bank.consent("source", "serve", "third", "income", "-o", "again", expected=11), "CL_E_SOURCE_BACK")


def anna_leaves_the_landlord(scene, anna, bank, landlord):
    releases(anna, bank, landlord)
    asks(landlord, "fourth")
    anna.consent("revoke", "landlord")
    scene.settled()
    says(asks(landlord, "fifth", expected=11), "CL_E_WITHDRAWN")
    landlord.consent("proof", "anna", "-o", "ended.consent-proof")
    request = cbor2.loads(landlord.read("fourth"))
    assert len(request) == 14 and request[1] == "consent-source-request"
    bank.write("bent", cbor2.dumps([*request[:10], landlord.read("ended.consent-proof"), *request[11:]], canonical=True))
    says(bank.consent("source", "serve", "bent", "income", "-o", "again", expected=10), "CL_E_SIGNATURE")


def it_stands_in_the_statement(scene, anna, bank, agreement, reference, period):
    bank.consent("statement", "bank", "--from", period[0], "--until", period[1])
    scene.settled()
    bank.consent("uses", "prove", "bank", "anna", "--from", period[0], "--until", period[1], "-o", "anna.consent-uses")
    bank.hand_over("anna.consent-uses", anna)
    anna.write("network.policy", anna.consent("node", "policy"))
    says(anna.consent("uses", "verify", "anna.consent-uses", "--policy", "network.policy", "--profile", bank.ask("show", "bank")["object"], "--object", agreement),
         "used 1 time", reference, "dpv:RequestedServiceProvision")


def moment():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def nothing_ties_them(scene, anna, at_bank, at_landlord):
    """In no record stand both agreements, or keys of both; and the two have no key in common."""
    keys = {entry["name"]: bytes.fromhex(entry["public_key"]) for entry in anna.ask("key", "list")["keys"]}
    of = {}
    for name, agreement in (("bank", at_bank), ("landlord", at_landlord)):
        customer = anna.ask("show", name)["customer"]
        of[name] = {bytes.fromhex(agreement), next(key for known, key in keys.items() if known in customer.split())}
    assert len(of["bank"] | of["landlord"]) == 4, of
    leaves = leaves_of(scene[0], records(scene)[0])
    assert all(any(thing in leaf for leaf in leaves) for things in of.values() for thing in things)
    for leaf in leaves:
        assert not (any(thing in leaf for thing in of["bank"]) and any(thing in leaf for thing in of["landlord"])), leaf.hex()


def everybody_has_his_own(anna, bank, landlord, at_bank):
    secrets = {party: secrets_of(f"{anna.folder}/{party.name}.consent-offer") for party in (bank, landlord)}
    for party, others in ((bank, secrets[landlord]), (landlord, secrets[bank])):
        held = b"".join(read_all(path) for path in glob.glob(f"{party.folder}/**", recursive=True) if os.path.isfile(path))
        for secret in others - secrets[party]:
            assert (secret if isinstance(secret, bytes) else secret.encode()) not in held, f"{party.name} has what is the other's: {secret!r}"
        if party is landlord:
            assert bytes.fromhex(at_bank) not in held and at_bank.encode() not in held, "the landlord knows which agreement the bank has"
    for party in (anna, bank, landlord):
        kept = b"".join(read_all(path) for path in glob.glob(f"{party.folder}/wallet*/**", recursive=True) + glob.glob(f"{party.folder}/wallet*") if os.path.isfile(path))
        assert INCOME not in kept, f"{party.name}'s wallet has it in clear"
    assert not any(os.path.exists(f"{party.folder}/again") for party in (bank, landlord))


def test(build):
    with Scene(build) as scene:
        anna, bank, landlord, thief = scene.party("anna", 0), scene.party("bank", 1), scene.party("landlord", 2), scene.party("thief", 3)
        at_bank = agrees(scene, anna, bank, "My account", 5, "dpv:ServiceProvision")
        at_landlord = agrees(scene, anna, landlord, "The flat at Kerkstraat 1", 3, "dpv:ServiceProvision")
        period = [moment()]
        before = records(scene)
        reference = fetched_once(anna, bank, landlord)
        others_get_nothing(anna, bank, landlord, thief)
        assert records(scene) == before, "there is a record of it"
        time.sleep(1)
        period.append(moment())
        anna_leaves_the_landlord(scene, anna, bank, landlord)
        it_stands_in_the_statement(scene, anna, bank, at_bank, reference, period)
        nothing_ties_them(scene, anna, at_bank, at_landlord)
        everybody_has_his_own(anna, bank, landlord, at_bank)
        secrets = secrets_of(f"{anna.folder}/bank.consent-offer") | secrets_of(f"{anna.folder}/landlord.consent-offer")
        scene.nodes_lack(*secrets, INCOME, bytes.fromhex(reference), WHERE, "of Utrecht", "consent-release", "consent-source", but_have=at_bank)


main(test)
