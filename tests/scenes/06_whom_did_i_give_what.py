#!/usr/bin/python3
"""Scene 6, whom did I give what? Anna has four agreements: her bank may use her address, and does, and each delivers to the other;
what the shop has is narrowed; the insurer's is withdrawn; what the bank asked for besides she refused. Her list has all four, also on
a new machine; her history shows every record, delivery and use, these by the bank's own statement; CSV, JSON and DPV say the same.
The bank's history is its side of it. No node holds names, values, salts, or what the data were used for."""
import csv
import datetime
import io
import json
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, says  # noqa: E402
from scene import Scene, secrets_of  # noqa: E402

ADDRESS, STATEMENT = "anna.de.vries@example.org", "month,total of all accounts\n2026-11,1234.56\n"
REFERENCES = ["letter-of-monday", "letter-of-friday"]
TYPES = {"moneybank": ["GRANT", "SUBSCRIBE"], "cornershop": ["GRANT", "SUBSCRIBE", "AMEND"], "insurance-co": ["GRANT", "SUBSCRIBE", "REVOKE"], "more-of-it": ["REQUEST", "REFUSE"]}


def next_second():
    """A whole second later, so that a period has an end."""
    time.sleep(1.1)
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def the_bank_asks_for_more(scene, anna, bank):
    anna.hand_over("terms.txt", bank)
    key = anna.ask("key", "list")["keys"][0]["did"]
    bank.consent("request", "anna-more", "--to", key, "--terms", "terms.txt", "--as", "bank", "-o", "more.consent-offer")
    bank.hand_over("more.consent-offer", anna)
    scene.settled()
    anna.consent("import", "more.consent-offer", "--name", "more-of-it")
    waiting = entries(anna, "--refresh")["more-of-it"]
    assert waiting["state"] == "requested", waiting
    says(anna.consent("list"), "more-of-it         offer", "you are to answer")
    anna.consent("refuse", "more-of-it", "--key", "anna")
    scene.settled()


def both_deliver(anna, bank):
    anna.consent("inbox")
    bank.consent("inbox")
    anna.write("address.txt", ADDRESS)
    bank.write("statement.csv", STATEMENT)
    anna.consent("deliver", "moneybank", "address.txt", "--slot", "email", "--media-type", "text/plain")
    bank.consent("inbox")
    bank.consent("deliver", "anna", "statement.csv", "--kind", "notice", "--media-type", "text/csv")
    says(anna.consent("inbox"), "The other side of 'moneybank' has delivery", "notice under 'moneybank'")
    bank.consent("inbox")


def the_bank_uses(scene, anna, bank):
    """And states it; the proof goes to Anna."""
    begin = next_second()
    for reference in REFERENCES:
        bank.consent("check", "anna", "--slot", "email", "--purpose", "dpv:Marketing", "--log", "--reference", reference)
    end = next_second()
    next_second()
    bank.consent("statement", "bank", "--from", begin, "--until", end)
    scene.settled()
    bank.consent("uses", "prove", "bank", "anna", "--from", begin, "--until", end, "-o", "anna.consent-uses")
    bank.hand_over("anna.consent-uses", anna)


def entries(party, *more):
    return {entry["name"]: entry for entry in party.ask("list", *more)["entries"]}


def the_list_is_complete(anna, *more):
    listed = {name: (entry["state"], entry["slots"]) for name, entry in entries(anna, *more).items() if entry["kind"] == "agreement"}
    assert listed == {"moneybank": ("active", [1, 2]), "cornershop": ("active", [1]), "insurance-co": ("withdrawn", []), "more-of-it": ("refused", [])}, listed
    says(anna.consent("list", *more), "active; slots 1 email, 2 purchases", "active; slots 1 email;", "withdrawn", "refused")


def on_a_new_machine(anna):
    """From the words and the backup; the entries are the same."""
    anna.write("words.txt", " ".join(re.findall(r"\d+ ([a-z]+)", anna.told[0])[1:]))  # behind "These 24 words"
    anna.consent("key", "recover", "--words-file", "words.txt", "--backup", "wallet.backup", "--wallet", "second")
    the_list_is_complete(anna, "--refresh", "--wallet", "second")
    assert told_by_json(anna.ask("history", "--uses", "anna.consent-uses", "--wallet", "second")) == told_by_json(anna.ask("history", "--uses", "anna.consent-uses"))


def told_by_json(document):
    return {a["name"]: ([e["type"] for e in a["history"]], {(d["direction"], d["delivery"], d["bytes"], d["acknowledged_ms"] is not None) for d in a["deliveries"]},
                        [(u["purpose"], u["reference"]) for u in a["uses"]]) for a in document["agreements"]}


def told_by_csv(text):
    told = {}
    for row in csv.DictReader(io.StringIO(text, newline=""), strict=True):
        records, deliveries, uses = told.setdefault(row["name"], ([], set(), []))
        if row["what"] == "record":
            records.append(row["record_type"])
        elif row["what"] == "use":
            uses.append((row["purpose"], row["reference"]))
        else:
            deliveries.add((row["what"], row["delivery"], int(row["bytes"]), row["acknowledged"] != ""))
    return told


def told_by_dpv(document):
    told = {}
    for record in document["@graph"]:
        processes = record.get("dpv:hasRecordOfActivity", {}).get("dpv:hasProcess", [])
        statuses = [status["dpv:hasIndicationMethod"].removeprefix("signed record: ") for status in record["dpv:hasConsentStatus"] if "dpv:hasIndicationMethod" in status]
        sent = {("received" if "received" in p["dct:description"] else "sent", p["dct:identifier"], int(p["dct:extent"].split()[0]), "dct:dateAccepted" in p)
                for p in processes if p["dpv:hasProcessing"]["@id"] == "dpv:Transmit"}
        used = [(p["dpv:hasPurpose"], p["dct:identifier"]) for p in processes if p["dpv:hasProcessing"]["@id"] == "dpv:Use"]
        assert len(sent) + len(used) == len(processes)
        told[record["dct:title"]] = (statuses, sent, used)
    return told


def the_history_is_complete(anna):
    proofs = ("--uses", "anna.consent-uses")
    for form in ("csv", "json", "dpv"):
        anna.consent("history", *proofs, "--format", form, "-o", f"all.{form}")
    told = told_by_json(json.loads(anna.read("all.json")))
    assert {name: records for name, (records, _, _) in told.items()} == TYPES, told
    assert told["moneybank"][2] == [("dpv:Marketing", reference) for reference in REFERENCES], told["moneybank"]
    exchanged = {(way, size, acknowledged) for way, _, size, acknowledged in told["moneybank"][1]}
    assert {("sent", len(ADDRESS), True), ("received", len(STATEMENT), True)} <= exchanged, exchanged
    assert told_by_csv(anna.read("all.csv").decode()) == told
    assert told_by_dpv(json.loads(anna.read("all.dpv"))) == told
    says(anna.consent("history", *proofs), "used       email for dpv:Marketing, reference letter-of-friday (stated by the organisation)", "sent       email, data: 25 bytes of text/plain, acknowledged",
         "REFUSE", "AMEND      slots 1 by", "received   no slot, notice", "moneybank          sent       how to reach you")
    # without the proof the uses are the bank's to know
    assert not any(uses for _, _, uses in told_by_json(anna.ask("history")).values())
    proof = anna.read("anna.consent-uses")
    anna.write("bent.consent-uses", proof.replace(b"letter-of-monday", b"letter-of-sunday"))
    anna.consent("history", "--uses", "bent.consent-uses", "--format", "csv", "-o", "never.csv", expected=13)
    assert not os.path.exists(f"{anna.folder}/never.csv")
    return told


def the_bank_says_the_same(bank, told):
    records, deliveries, uses = told_by_json(bank.ask("history"))["anna"]
    assert records == TYPES["moneybank"] and uses == told["moneybank"][2], (records, uses)
    mirrored = {({"sent": "received", "received": "sent"}[way], name, size, acknowledged) for way, name, size, acknowledged in told["moneybank"][1] if acknowledged}
    assert mirrored <= deliveries and len(mirrored) == 2, (mirrored, deliveries)


def test(build):
    with Scene(build) as scene:
        anna, bank, shop, insurer = scene.party("anna", 2), scene.party("bank", 1), scene.party("shop", 3), scene.party("insurer", 0)
        for organisation in (bank, shop, insurer):
            organisation.consent("profile", organisation.name, "--display", f"The {organisation.name} at the corner")
        anna.write_terms()
        agreement = scene.agreement(anna, bank, "moneybank", "anna")
        scene.agreement(anna, shop, "cornershop", "anna")
        scene.agreement(anna, insurer, "insurance-co", "anna")
        the_bank_asks_for_more(scene, anna, bank)
        both_deliver(anna, bank)
        the_bank_uses(scene, anna, bank)
        anna.consent("amend", "cornershop", "--slots", "1")
        anna.consent("revoke", "insurance-co")
        scene.settled()
        the_list_is_complete(anna, "--refresh")
        told = the_history_is_complete(anna)
        the_bank_says_the_same(bank, told)
        on_a_new_machine(anna)
        secrets = set().union(*(secrets_of(f"{anna.folder}/{name}.consent-offer") for name in ("moneybank", "cornershop", "insurance-co", "more")))
        scene.nodes_lack(*secrets, *TYPES, *REFERENCES, ADDRESS, "total of all accounts", "dpv:Marketing", "dpv#Marketing", "at the corner", but_have=agreement)


main(test)
