#!/usr/bin/python3
"""Fetches from a running node what its users get, and repacks it into the files that the foreign tools of this folder
read (README.md lists them). It decides nothing but how bytes are laid out: reading is cbor2's, base64's and json's,
hashing is hashlib's, and none of our own code takes part, so that what is handed to the judges is what was served.

    collect.py URL DIR network              network_id.hex, log.vkey, witness.vkeys, log_ed25519.hex
    collect.py URL DIR record ID [NAME]     NAME.cose (`record` unless given) and its signer
    collect.py URL DIR checkpoint NAME      the newest checkpoint
    collect.py URL DIR inclusion ID         inclusion.json and `checkpoint`, both from the record's .tlog-proof
    collect.py URL DIR receipt ID           receipt.cose, receipt_leaf.bin
    collect.py URL DIR consistency          consistency.json, checkpoint to checkpoint2
    collect.py URL DIR tiles                tiles/ of checkpoint2's tree
    collect.py URL DIR state N PROOF        state_existence_N.json and anchor_state_N.json of a .consent-proof file
    collect.py URL DIR absence              absence*.json, anchor_absence*.json: between two leaves, before all, after all
    collect.py URL DIR fill COUNT EACH      COUNT agreements, EACH in one record, which foreign tools made and signed;
                                            prints the id of one of them once all are final
"""
import base64
import hashlib
import json
import os
import pathlib
import sys
import time
import urllib.request

import cbor2

TILE = 256
DEPTH_MAX = 256
url, directory = sys.argv[1].rstrip("/"), pathlib.Path(sys.argv[2])


def get(path, accept="*/*", body=None):
    request = urllib.request.Request(url + path, data=body, headers={"Accept": accept})
    if body is not None:
        request.add_header("Content-Type", "application/cose")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def get_json(path):
    return json.loads(get(path, "application/json"))


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def base64_text(data):
    return base64.b64encode(data).decode()


def write_json(name, value):
    (directory / name).write_text(json.dumps(value, indent=1) + "\n")


def network():
    served = get_json("/v1/network")
    assert hashlib.sha256(base64.b64decode(served["genesis"])).hexdigest() == served["network_id"]
    (directory / "network_id.hex").write_text(served["network_id"] + "\n")
    policy = [line.split() for line in get("/v1/policy").decode().splitlines() if line and line[0] != "#"]
    logs = [words[1] for words in policy if words[0] == "log"]
    (directory / "log.vkey").write_text(logs[0] + "\n")
    (directory / "witness.vkeys").write_text("".join(words[2] + "\n" for words in policy if words[0] == "witness"))
    key = base64.b64decode(logs[0].split("+", 2)[2])
    assert len(logs) == 1 and len(key) == 33 and key[0] == 1
    (directory / "log_ed25519.hex").write_text(key[1:].hex() + "\n")


def record(record_id, name="record"):
    data = get("/v1/records/" + record_id, "application/cose")
    (directory / (name + ".cose")).write_bytes(data)
    signer = cbor2.loads(cbor2.loads(data).value[0])[4]
    (directory / ("signer.hex" if name == "record" else "signer_%s.hex" % name)).write_text(signer.hex() + "\n")


def size_and_root(note):
    _, size, root = note.decode().split("\n")[:3]
    return int(size), base64.b64decode(root)


def included(checkpoint, index, leaf, path):
    """The file that tlog_go reads, for these leaf bytes."""
    size, root = size_and_root(checkpoint)
    return {"index": index, "size": size, "leaf_hash": base64_text(sha256(b"\0", leaf)),
            "path": [base64_text(one) for one in path], "root": base64_text(root)}


def inclusion(record_id):
    # C2SP tlog-proof: a first line, `index N`, the path, an empty line, the signed note.
    head, note = get("/v1/records/" + record_id, "text/plain").split(b"\n\n", 1)
    lines = head.decode().split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1" and lines[1].startswith("index ")
    (directory / "checkpoint").write_bytes(note)
    leaf = get("/v1/records/" + record_id, "application/cose")
    write_json("inclusion.json", included(note, int(lines[1][6:]), leaf, [base64.b64decode(one) for one in lines[2:]]))


def receipt(record_id):
    (directory / "receipt.cose").write_bytes(get("/v1/records/" + record_id, "application/scitt-receipt+cose"))
    (directory / "receipt_leaf.bin").write_bytes(get("/v1/records/" + record_id, "application/cose"))


def consistency():
    (size1, root1), (size2, root2) = (size_and_root((directory / name).read_bytes()) for name in ("checkpoint", "checkpoint2"))
    path = get_json("/v1/consistency?from=%d&to=%d" % (size1, size2))["path"]
    write_json("consistency.json", {"size1": size1, "root1": base64_text(root1), "size2": size2, "root2": base64_text(root2),
                                    "path": [base64_text(bytes.fromhex(one)) for one in path]})


def tiles():
    size, _ = size_and_root((directory / "checkpoint2").read_bytes())
    levels = [("entries", size)]
    while size >> 8 * (len(levels) - 1) > 0:
        levels.append((str(len(levels) - 1), size >> 8 * (len(levels) - 1)))
    for level, count in levels:
        for first in range(0, count, TILE):
            width = min(TILE, count - first)
            number = first // TILE
            path = "%03d" % (number % 1000)
            while number >= 1000:
                number //= 1000
                path = "x%03d/%s" % (number % 1000, path)
            path = "tile/%s/%s%s" % (level, path, "" if width == TILE else ".p/%d" % width)
            target = directory / "tiles" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(get("/" + path))


def open_proof(data):
    """A .consent-proof: its fields, and what ties them to the checkpoint, for the log's judge."""
    version, checkpoint, leaf, leaf_path, object_id, state, records, boundaries = cbor2.loads(data)
    assert version == 1 and boundaries == []
    size, _ = size_and_root(checkpoint)
    anchor = {"checkpoint": checkpoint.decode(), "inclusions": [included(checkpoint, size - 1, leaf, leaf_path)]}
    anchor["inclusions"] += [included(checkpoint, index, bytes_, path) for bytes_, index, path in records]
    return cbor2.loads(leaf)[6], object_id, state, anchor


def bit(key, depth):
    return key[depth // 8] >> (7 - depth % 8) & 1


def state(count, file):
    root, object_id, (form, value, siblings), anchor = open_proof(pathlib.Path(file).read_bytes())
    assert form == 1 and len(anchor["inclusions"]) > 1, "no proof of existence with its record"
    key = sha256(object_id)
    path = [{"prefix": "01" + sibling.hex(), "suffix": ""} if bit(key, len(siblings) - 1 - height) else
            {"prefix": "01", "suffix": sibling.hex()} for height, sibling in enumerate(siblings)]
    write_json("state_existence_%s.json" % count, {"root": root.hex(), "key": key.hex(), "value": value.hex(), "path": path})
    write_json("anchor_state_%s.json" % count, anchor)


def absent(suffix, ids):
    """The proof that the first id of these has no object; then the next ones, until one lies where the suffix says."""
    for wanted in ids:
        data = get("/v1/agreements/" + wanted.hex(), "application/consent-proof")
        root, object_id, (form, left, right), anchor = open_proof(data)
        assert form == 2 and object_id == wanted
        if (left is None) == (suffix == "_first") and (right is None) == (suffix == "_last"):
            break
    left, right = ({"key": one[0].hex(), "value_hash": one[1].hex(), "path": [sibling.hex() for sibling in one[2]]}
                   if one else None for one in (left, right))
    write_json("absence%s.json" % suffix, {"root": root.hex(), "key": sha256(wanted).hex(), "left": left, "right": right})
    write_json("anchor_absence%s.json" % suffix, anchor)


def absence():
    def nobodys(start=0, count=20):
        return [sha256(b"nobody's object", str(number).encode()) for number in range(start, start + count)]

    def outermost(choose):  # of ever more ids, as the leaves are many
        for start in range(0, 100 * 50_000, 50_000):
            yield choose(nobodys(start, 50_000), key=sha256)

    absent("", nobodys())
    absent("_first", outermost(min))
    absent("_last", outermost(max))


def fill(count, each):
    """GRANTs, encoded and signed by cbor2 and python3-ecdsa (tests/vectors/formats.py)."""
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "vectors"))
    from formats import Party, Record, object_id
    network_id = bytes.fromhex((directory / "network_id.hex").read_text())
    signer = Party("fill %d" % each)
    sent = []
    for first in range(0, count, each):
        entries = [{1: os.urandom(16), 3: os.urandom(32), 6: [1, os.urandom(32)], 9: 5}
                   for _ in range(min(each, count - first))]
        sent.append(Record(network_id, signer, 4, int(time.time() * 1000), entries))
        answer = json.loads(get("/v1/records", "application/json", sent[-1].bytes))
        assert answer["id"] == sent[-1].id.hex() and answer["leaf_hash"] == sent[-1].leaf.hex()
    for record_sent in sent:  # known by now: answered when final
        assert json.loads(get("/v1/records?wait=final", "application/json", record_sent.bytes))["status"] == "final"
    print(object_id(signer.key, entries[0][1]).hex())


def main():
    acts = {"network": network, "record": record, "inclusion": inclusion, "receipt": receipt, "consistency": consistency,
            "tiles": tiles, "state": state, "absence": absence, "fill": lambda *numbers: fill(*map(int, numbers)),
            "checkpoint": lambda name: (directory / name).write_bytes(get("/checkpoint"))}
    acts[sys.argv[3]](*sys.argv[4:])


if __name__ == "__main__":
    main()
