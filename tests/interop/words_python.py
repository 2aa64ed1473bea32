#!/usr/bin/python3
"""Makes a wallet's keys again from its 24 words, with python3-mnemonic (BIP39) and python3-bip32utils (BIP32): words
that only our own code understands would be no backup.

    words_python.py DIR      reads DIR/wallet_words.json:
    {"words": "24 words", "keys": [{"uri": .., "index": .., "public_key": 66 hex digits, "did": "did:key:z.."}, ..]}

The path is m/13'/A'/B'/C'/D' as in SLIP-0013: A to D are the first four 32-bit little-endian numbers of
SHA-256(index, 4 bytes little-endian || uri). The DID is base58btc of e7 01 (secp256k1-pub) and the key.

Exit status 0 only if all keys come out and altered twins do not: another word, index or URI.
"""
import copy
import hashlib
import json
import pathlib
import struct
import sys

from bip32utils import BIP32Key, Base58
from mnemonic import Mnemonic

HARDENED = 0x80000000


class Refused(Exception):
    pass


def need(condition, why):
    if not condition:
        raise Refused(why)


def public_key(root, uri, index):
    digest = hashlib.sha256(struct.pack("<I", index) + uri.encode()).digest()
    key = root
    for number in (13, *struct.unpack("<4I", digest[:16])):
        key = key.ChildKey(number | HARDENED)
    return key.PublicKey()


def check(wallet):
    words = Mnemonic("english")
    need(len(wallet["words"].split()) == 24, "not 24 words")
    need(words.check(wallet["words"]), "words whose check bits do not fit")
    root = BIP32Key.fromEntropy(words.to_seed(wallet["words"], passphrase=""))
    need(len(wallet["keys"]) > 1, "fewer than two keys")
    for key in wallet["keys"]:
        made = public_key(root, key["uri"], key["index"])
        need(made.hex() == key["public_key"], "another key for " + key["uri"])
        need("did:key:z" + Base58.encode(b"\xe7\x01" + made) == key["did"], "another DID for " + key["uri"])


def twins(wallet):
    def altered(change):
        twin = copy.deepcopy(wallet)
        change(twin)
        return twin

    listed = wallet["words"].split()
    # Swapping two different words may, once in 256, leave the check bits right; then the keys differ.
    first, second = next((i, i + 1) for i in range(23) if listed[i] != listed[i + 1])
    swapped = list(listed)
    swapped[first], swapped[second] = listed[second], listed[first]
    yield "words", altered(lambda twin: twin.update(words=" ".join(swapped)))
    yield "index", altered(lambda twin: twin["keys"][0].update(index=twin["keys"][0]["index"] + 1))
    yield "uri", altered(lambda twin: twin["keys"][-1].update(uri=twin["keys"][-1]["uri"] + "x"))
    yield "did", altered(lambda twin: twin["keys"][0].update(did=twin["keys"][-1]["did"]))


def main():
    wallet = json.loads((pathlib.Path(sys.argv[1]) / "wallet_words.json").read_text())
    try:
        check(wallet)
    except Refused as why:
        sys.exit("refused the good wallet: %s" % why)
    print("accepted %d keys" % len(wallet["keys"]))
    for what, twin in twins(wallet):
        try:
            check(twin)
        except Refused:
            continue
        sys.exit("accepted a twin with an altered " + what)
    print("refused every altered twin")


if __name__ == "__main__":
    main()
