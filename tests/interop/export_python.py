#!/usr/bin/python3
"""Checks our CSV with Python's csv reader, and our Kantara receipts with python3-jsonschema.

    export_python.py DIR

Reads DIR/list.csv, DIR/history.csv, DIR/everything.csv, .json and .jsonld (the history of all agreements, which has to be the same
in the three), DIR/receipt.json, DIR/acme-receipt.json; DIR/t.txt, the terms of the agreement,
whose slot 2 was withdrawn; and DIR/draft.txt, the terms that `consent terms import` made of receipt.json.
The schema, kantara_v1_1.schema.json, is written from the tables of the specification. Where the example that the Kantara
Initiative published lies beside the source (../shared/data), the schema has to take that too; else this is said.
Exit status 0 only if all is good and every altered twin is refused.
"""
import copy
import csv
import datetime
import io
import json
import pathlib
import re
import sys

import jsonschema

here = pathlib.Path(__file__).resolve().parent
folder = pathlib.Path(sys.argv[1])
vocabulary = re.findall(r'^X\((\w+), "([^"]+)", "([^"]+)"\)', (here / "../../ledger/vocabulary.inc").read_text(), re.M)


def known(kind, text):
    prefix, _, name = text.partition(":")
    return prefix == ("pd" if kind == "PERSONAL_DATA" else "dpv") and any(k == kind and t == name for k, t, _ in vocabulary)


def read_csv(name):
    data = (folder / name).read_bytes()
    assert data.endswith(b"\r\n") and not data.startswith(b"\xef\xbb\xbf"), name
    rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
    head, rest = rows[0], rows[1:]
    assert rest and len(set(head)) == len(head), name
    for row in rest:
        assert len(row) == len(head), f"{name}: {row}"
        assert not any(field[:1] in ("=", "+", "-", "@", "\t", "\r") for field in row), f"{name}: a formula in {row}"
    # What a strict reader took, a writer of RFC 4180 gives back as it was, but for the quotes that guard an apostrophe.
    again = io.StringIO(newline="")
    csv.writer(again, lineterminator="\r\n").writerows(rows)
    assert list(csv.reader(io.StringIO(again.getvalue(), newline=""))) == rows
    return [dict(zip(head, row)) for row in rest]


def check_lists():
    listed, history = read_csv("list.csv"), read_csv("history.csv")
    time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
    for row in listed:
        if row["kind"] != "agreement":
            continue
        assert known("CONSENT_STATUS", row["consent_status"]) and known("CONTRACT_STATUS", row["contract_status"]), row
        assert time.fullmatch(row["last_change"]) and re.fullmatch("[0-9a-f]{64}", row["last_record"]), row
        assert known("PERSONAL_DATA", row["category"]) and all(known("PURPOSE", p) for p in row["purposes"].split(", ")), row
    assert any(row["slot_name"].startswith("'@") for row in listed), "the guarded name is not there"
    assert [row["time"] for row in history] == sorted(row["time"] for row in history)
    for row in history:
        check_line(row)
    return len(listed) + len(history)


def check_line(row):
    time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
    assert time.fullmatch(row["time"]) and re.fullmatch("[0-9a-f]{64}", row["agreement"]), row
    if row["what"] == "record":
        assert re.fullmatch("[0-9a-f]{64}", row["record"]) and row["signer"].startswith("did:key:z"), row
        assert known("CONSENT_STATUS", row["consent_status"]) and not row["delivery"] and not row["purpose"], row
    elif row["what"] in ("sent", "received"):
        assert re.fullmatch("[0-9a-f]{32}", row["delivery"]) and row["kind"] in ("data", "change", "notice"), row
        assert re.fullmatch(r"[\w.+-]+/[\w.+-]+", row["media_type"]) and row["bytes"].isdigit() and not row["record"], row
        assert all(not row[name] or time.fullmatch(row[name]) for name in ("sent_at", "handed_over", "acknowledged")) and row["sent_at"], row
    else:
        assert row["what"] == "use" and known("PURPOSE", row["purpose"]) and row["slots"].isdigit() and row["source"] in ("statement", "own log"), row


def iso(milliseconds):
    return None if milliseconds is None else datetime.datetime.fromtimestamp(milliseconds // 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def told_by_csv(rows):
    """For each agreement its records, deliveries and uses, in a form that the three exports have in common."""
    told = {row["agreement"]: (set(), set(), set()) for row in rows}
    for row in rows:
        records, deliveries, uses = told[row["agreement"]]
        if row["what"] == "record":
            records.add(row["record"])
        elif row["what"] == "use":
            uses.add((row["time"], row["purpose"], row["reference"].removeprefix("'")))
        else:
            deliveries.add((row["delivery"], row["what"], row["media_type"], row["bytes"], row["acknowledged"] or None))
    return told


def told_by_json(document):
    return {agreement["object"]: ({event["record_id"] for event in agreement["history"]},
                                  {(d["delivery"], d["direction"], d["media_type"], str(d["bytes"]), iso(d["acknowledged_ms"])) for d in agreement["deliveries"]},
                                  {(iso(use["time_ms"]), use["purpose"], use["reference"]) for use in agreement["uses"]}) for agreement in document["agreements"]}


def told_by_dpv(document):
    told = {}
    for record in document["@graph"]:
        processes = record.get("dpv:hasRecordOfActivity", {}).get("dpv:hasProcess", [])
        sent = [p for p in processes if p["dpv:hasProcessing"]["@id"] == "dpv:Transmit"]
        used = [p for p in processes if p["dpv:hasProcessing"]["@id"] == "dpv:Use"]
        assert len(sent) + len(used) == len(processes)
        told[record["dct:identifier"]] = (
            {status["dct:identifier"] for status in record["dpv:hasConsentStatus"] if "dct:identifier" in status},
            {(p["dct:identifier"], re.search("sent|received", p["dct:description"])[0], p["dct:format"], p["dct:extent"].removesuffix(" bytes"), p.get("dct:dateAccepted")) for p in sent},
            {(p["dct:date"], p["dpv:hasPurpose"], p["dct:identifier"]) for p in used})
    return told


def check_everything():
    """CSV, JSON and DPV of all agreements say the same, and each alteration of one is seen."""
    rows = read_csv("everything.csv")
    for row in rows:
        check_line(row)
    json_document, dpv_document = (json.loads((folder / name).read_text()) for name in ("everything.json", "everything.jsonld"))
    assert {row["what"] for row in rows} == {"record", "sent", "received", "use"}
    assert told_by_csv(rows) == told_by_json(json_document) == told_by_dpv(dpv_document)
    twins = 0
    for at, row in enumerate(rows):
        assert told_by_csv(rows[:at] + rows[at + 1:]) != told_by_json(json_document), row
        twins += 1
    for key, value in (("bytes", "18"), ("delivery", "0" * 32), ("acknowledged", ""), ("what", "received"), ("media_type", "text/html")):
        altered = copy.deepcopy(rows)
        next(row for row in altered if row["what"] == "sent" and row["acknowledged"])[key] = value
        assert told_by_csv(altered) != told_by_dpv(dpv_document), key
        twins += 1
    return len(rows), twins


def accepted(schema, receipt):
    return next(jsonschema.Draft7Validator(schema).iter_errors(receipt), None) is None


def check_receipts():
    schema = json.loads((here / "kantara_v1_1.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    receipts = [json.loads((folder / name).read_text()) for name in ("receipt.json", "acme-receipt.json")]
    for receipt in receipts:
        jsonschema.Draft7Validator(schema).validate(receipt)
    assert receipts[0]["consentReceiptID"] != receipts[1]["consentReceiptID"]
    same = ("consentTimestamp", "piiPrincipalId", "piiControllers", "policyUrl", "services", "sensitive", "spiCat")
    assert all(receipts[0][key] == receipts[1][key] for key in same), "the two sides' receipts do not say the same"
    twins = 0
    for key in schema["required"]:
        twin = copy.deepcopy(receipts[0])
        del twin[key]
        assert not accepted(schema, twin), key
        twins += 1
    for key in schema["definitions"]["purpose"]["required"] + ["thirdPartyName"]:
        twin = copy.deepcopy(receipts[0])
        del twin["services"][0]["purposes"][0][key]
        assert not accepted(schema, twin), key
        twins += 1
    published = here / "../../../shared/data/receipts/kantara-consent-receipt-v1_1-example.json"
    if published.exists():
        jsonschema.Draft7Validator(schema).validate(json.loads(published.read_text()))
    else:
        print("the published example is not there: the schema is not held against it")
    return receipts[0], twins


def slots_of(path):
    """The slots of a terms file: {(category, purposes in order)}; comments are no slots."""
    slots, category = {}, None
    number = None
    for line in path.read_text().splitlines():
        if line.startswith("[slot "):
            number = int(line.split()[1])
        elif line.startswith("category: "):
            category = line[len("category: "):]
        elif line.startswith("purposes: "):
            slots[number] = (category, tuple(line[len("purposes: "):].split(", ")))
    return slots


def check_round_trip(receipt):
    ours = slots_of(folder / "t.txt")
    wanted = {slot for number, slot in ours.items() if number != 2}
    assert {2} < set(ours) and set(slots_of(folder / "draft.txt").values()) == wanted
    name = lambda text: re.fullmatch(r".+ \((\w+:\w+)\)", text).group(1)
    said = {(name(p["piiCategory"][0]), tuple(name(c) for c in p["purposeCategory"])) for p in receipt["services"][0]["purposes"]}
    assert said == wanted, said
    labels = {("pd:" if kind == "PERSONAL_DATA" else "dpv:") + term: label for kind, term, label in vocabulary}
    for purpose in receipt["services"][0]["purposes"]:
        for text in purpose["piiCategory"] + purpose["purposeCategory"]:
            assert text == f"{labels[name(text)]} ({name(text)})", text


rows = check_lists()
lines, altered = check_everything()
receipt, twins = check_receipts()
check_round_trip(receipt)
print(f"{rows + lines} rows of CSV, two receipts and what was made of one are good; {altered + twins} altered twins refused")
