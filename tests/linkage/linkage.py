#!/usr/bin/python3
"""The linkage audit: can agreements be grouped by person? Synthetic people (tests/programs/people.c) with ten relationships
each fill a ledger of four nodes. Then an attacker who has the whole ledger and all files of all nodes, but for what people
keep at home, guesses for each agreement which others are of the same person: the ones beside it in the order of keys, times,
sizes, slots, places in files, and so on; and looks for any value that a person used twice. Each guess is counted against
the truth. Chance is what a blind guess would hit; a way of guessing that is not better than chance stays within a few standard
deviations of that.

What an organisation's own key and a TERMS' own key say is allowed: agreements under one TERMS are not counted with each
other. Two controls show that the audit sees: people with one key for everything, and people who do all within ten minutes,
which no wallet can hide.

    linkage.py BUILD [PEOPLE]        exit status 0: careful people cannot be grouped, and the controls can be"""
import contextlib
import glob
import http.client
import itertools
import math
import os
import random
import subprocess
import sys
import threading
import time

import cbor2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import wait_for  # noqa: E402
from consortium import Consortium  # noqa: E402
from invariants import leaves_of  # noqa: E402

RELATIONSHIPS, ORGANISATIONS, CONTROL_PEOPLE = 10, 50, 150
FAR = 6.0       # standard deviations from chance: with seven hits expected, less than one of 100,000 ways of guessing comes so far by luck
WINDOW = 2000   # records on their way at a time
CLIENTS = 8
GRANT, SUBSCRIBE, TERMS = 4, 5, 2


# ---- filling the ledger
def records_of(path):
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at:at + 4], "big")
        yield data[at + 4:at + 4 + length]
        at += 4 + length


def post_all(consortium, records):
    """Returns those that are not settled, each with its HTTP status: refused because what they answer is not final yet, or waiting.
    One that came after its agreement was withdrawn is settled: withdrawals come first."""
    left, again, lock = iter(records), [], threading.Lock()

    def client(turn):
        member = consortium[turn % 4]
        connection = member.connect()
        while True:
            with lock:
                record = next(left, None)
            if record is None:
                break
            answer = member.request("POST", "/v1/records", record, {"Content-Type": "application/cose"}, connection)
            said = answer.json()
            if said.get("status") != "final" and said.get("code") != "CL_E_FINAL":
                with lock:
                    again.append((record, answer.status))
        connection.close()

    threads = [threading.Thread(target=client, args=(turn,)) for turn in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return again


def log_size(consortium):
    return consortium[0].status()["log_size"]


def fill(consortium, path):
    refused, records = [], records_of(path)
    for window in iter(lambda: list(itertools.islice(records, WINDOW)), []):
        refused = [record for record, status in post_all(consortium, refused + window) if status != 202]
    deadline, size = time.monotonic() + 120, 0
    while refused or log_size(consortium) != size:  # what waits in vain is an answer that came too late: its agreement is there without it
        assert time.monotonic() < deadline, f"{len(refused)} records are refused"
        size = log_size(consortium)
        refused = [record for record, status in post_all(consortium, refused) if status != 202]
        time.sleep(1)
    wait_for(lambda: consortium[0].checkpoint()[0] >= size, "a checkpoint over all", 60)


# ---- what the attacker has
class Agreement:
    def __init__(self, record, entry, index, size):
        self.id, self.index, self.size = None, index, size
        self.time, self.key, self.entry, self.type = record[2], record["key"], entry, record[1]
        self.answer_time, self.answer_index, self.values = 0, 0, []


def read_ledger(member, truth):
    """Agreements by id, as their records open them."""
    import hashlib  # noqa: PLC0415
    size = member.checkpoint()[0]
    agreements = {}
    for index, leaf in enumerate(leaves_of(member, size)):
        content = cbor2.loads(leaf)
        if not isinstance(content, cbor2.CBORTag):
            continue  # a state leaf
        protected, _, payload, signature = content.value
        record = cbor2.loads(payload)
        record["key"] = cbor2.loads(protected)[4]
        for entry in record[3]:
            opened = len(entry[1]) == 16
            object_id = hashlib.sha256(b"consent/v1 id\0" + record["key"] + entry[1]).digest() if opened else entry[1]
            if opened and object_id in truth:
                agreements[object_id] = Agreement(record, entry, index, len(leaf))
                agreements[object_id].id = object_id
            if object_id in truth and record[1] in (GRANT, SUBSCRIBE) and not opened:
                agreements[object_id].answer_time, agreements[object_id].answer_index = record[2], index
            if object_id in agreements and record["key"] == agreements[object_id].key and record[1] != SUBSCRIBE:
                agreement = agreements[object_id]
                agreement.values += [record["key"], signature[:32], *(value for value in flat(entry) if value != object_id)]
    return agreements


def flat(value):
    """Every byte string of some length in it."""
    if isinstance(value, bytes):
        return [value] if len(value) >= 16 else []
    if isinstance(value, dict):
        return [found for part in value.values() for found in flat(part)]
    return [found for part in value for found in flat(part)] if isinstance(value, list) else []


def read_truth(path):
    truth = {}
    with open(path, encoding="ascii") as file:
        for line in file:
            agreement, person, terms = line.rstrip("\n").split(",")
            truth[bytes.fromhex(agreement)] = (int(person), terms)
    return truth


# ---- guessing
WAYS = {
    "order on the ledger": lambda a: a.index,
    "time": lambda a: a.time,
    "time of the day": lambda a: a.time % 86_400_000,
    "second": lambda a: a.time % 60_000,
    "millisecond": lambda a: a.time % 1000,
    "key": lambda a: a.key,
    "key, from its end": lambda a: a.key[::-1],
    "nonce": lambda a: a.entry[1],
    "commitment": lambda a: a.entry[3],
    "audience": lambda a: (a.entry.get(6) or [0, b""])[1],
    "recovery": lambda a: a.entry.get(15, b""),
    "id": lambda a: a.id,
    "slots, then time": lambda a: (a.entry[9], a.time),
    "end, then time": lambda a: (a.entry.get(5, 0), a.time),
    "slots and end, then time": lambda a: (a.entry[9], a.entry.get(5, 0), a.time),
    "size, then time": lambda a: (a.size, a.time),
    "time of the answer": lambda a: a.answer_time,
    "how soon it was answered": lambda a: a.answer_time - a.time,
    "order of the answers": lambda a: a.answer_index,
}


class Score:
    """Guesses that two agreements are of one person, against the truth and against chance."""

    def __init__(self, truth):
        self.truth, self.guesses, self.hits = truth, 0, 0
        count = len(truth)
        people = {}
        for person, terms in truth.values():
            people.setdefault(person, {}).setdefault(terms, []).append(1)
        pairs = sum(sum(len(one) for one in by.values()) ** 2 - sum(len(one) ** 2 for terms, one in by.items() if terms) - len(by.get("", [])) for by in people.values()) / 2
        self.chance = pairs / (count * (count - 1) / 2)

    def guess(self, one, other):
        (person, terms), (other_person, other_terms) = self.truth[one], self.truth[other]
        if one == other or (terms and terms == other_terms):
            return
        self.guesses += 1
        self.hits += person == other_person

    def far(self):
        expected = self.guesses * self.chance
        return (self.hits - expected) / math.sqrt(max(expected, 1e-9))

    def __str__(self):
        return f"{self.hits:6d} of {self.guesses} guesses right, {self.guesses * self.chance:.1f} by chance: {self.far():+.1f} deviations"


def guess_neighbours(truth, agreements):
    scores = {}
    of_grants = [agreement for agreement in agreements.values() if agreement.type == GRANT]
    for way, key in WAYS.items():
        score = scores[way] = Score(truth)
        ordered = sorted(of_grants, key=key)
        for one, other in zip(ordered, ordered[1:]):
            score.guess(one.id, other.id)
    return scores


def guess_by_files(truth, agreements, consortium, folder):
    """Neighbours in any file of any node; each two counted once, however often they stand together."""
    score, ids, pairs = Score(truth), list(agreements), set()
    with open(f"{folder}/ids", "wb") as file:
        file.write(b"".join(ids))
    for member in consortium:
        paths = [path for path in glob.glob(f"{member.root}/**", recursive=True) if os.path.isfile(path)]
        found = subprocess.run([f"{consortium.build}/programs/find_ids", f"{folder}/ids", *paths], capture_output=True, text=True, check=True, timeout=900).stdout
        places = [line.rsplit(" ", 2) for line in found.splitlines()]
        assert len(places) >= len(ids), "the search finds what is there"
        for (path, _, one), (other_path, _, other) in zip(places, places[1:]):
            if path == other_path:
                pairs.add((min(int(one), int(other)), max(int(one), int(other))))
    for one, other in pairs:
        score.guess(ids[one], ids[other])
    return score


def values_used_twice(truth, agreements):
    """Pairs of agreements in which one value stands, that is no organisation's."""
    seen, twice = {}, 0
    for agreement in agreements.values():
        if agreement.type != GRANT:
            continue
        for value in set(agreement.values):
            other = seen.setdefault(value, agreement.id)
            twice += other != agreement.id and truth[other][0] == truth[agreement.id][0]
    return twice


# ---- one audit
def audit(build, people, manner, seed):
    consortium = Consortium(build, 4)
    try:
        consortium.start()
        folder = f"{consortium.root}/people"
        os.mkdir(folder)
        subprocess.run([f"{build}/programs/people", consortium[0].network_id(), str(people), str(RELATIONSHIPS), str(ORGANISATIONS), str(seed), manner, folder], check=True,
                       timeout=900)
        fill(consortium, f"{folder}/records")
        truth = read_truth(f"{folder}/truth.csv")
        agreements = read_ledger(consortium[0], truth)
        assert len(agreements) == len(truth) == people * RELATIONSHIPS, (len(agreements), len(truth))
        scores = guess_neighbours(truth, agreements)
        scores["place in a node's files"] = guess_by_files(truth, agreements, consortium, folder)
        return scores, values_used_twice(truth, agreements)
    finally:
        with contextlib.suppress(OSError, http.client.HTTPException):
            consortium.close()


def show(people, manner, scores, twice):
    print(f"\n{people} {manner} people with {RELATIONSHIPS} relationships each: {twice} pairs of agreements with a value in common; neighbours in the order of")
    for way, score in scores.items():
        print(f"  {way:26s} {score}")
    worst = max(scores, key=lambda way: scores[way].far())
    print(f"  score: {scores[worst].far():+.1f} deviations from chance at most ({worst})", flush=True)
    return scores[worst].far()


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    build, people = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 500
    seed = int(os.environ.get("SEED", random.randrange(1 << 31)))
    print(f"SEED={seed}")
    for manner, count in (("one-key", CONTROL_PEOPLE), ("sessions", CONTROL_PEOPLE), ("careful", people)):
        scores, twice = audit(build, count, manner, seed)
        far = show(count, manner, scores, twice)
        if manner == "careful":
            assert twice == 0 and far < FAR, "careful people can be grouped"
        elif manner == "one-key":
            assert twice > 0 and scores["key"].far() > FAR, "the audit does not see one key used for everything"
        else:
            assert twice == 0 and scores["time"].far() > FAR, "the audit does not see acts that follow each other"
    print("good")


main()
