#!/usr/bin/python3
"""Makes the vectors of this folder: worked examples of every layout in ledger/formats.cddl, and records that must be
refused. Everything is deterministic. `--check` makes them again and compares; exit code 1 on a difference.

Written from formats.cddl and the standards, never from the C code. Needs Debian's python3-cbor2, python3-ecdsa,
python3-cryptography and python3-nacl."""

import importlib
import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
GROUPS = ("records", "bad_records", "state", "blocks", "agreement", "proofs", "frames", "ids", "delivery", "vault", "codes", "uses", "source", "public_bodies")
NAMES = {"bad_records": "records_bad"}


def text(group):
    items = importlib.import_module(group).items()
    names = [item["name"] for item in items]
    assert len(set(names)) == len(names), group
    return json.dumps(items, indent=1, ensure_ascii=True) + "\n"


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit("usage: make_vectors.py [--check]")
    different = 0
    for group in GROUPS:
        path = FOLDER / (NAMES.get(group, group) + ".json")
        made = text(group)
        if not check:
            path.write_text(made)
        elif not path.exists() or path.read_text() != made:
            print(path.name, "differs from what make_vectors.py makes", file=sys.stderr)
            different += 1
    if check and not different:
        print(len(GROUPS), "vector files are as made")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
