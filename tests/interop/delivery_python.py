#!/usr/bin/python3
"""Opens a sealed delivery with PyNaCl's SealedBox, cbor2 and python3-ecdsa, from the receiver's 24 words; and makes one that
the product has to open.

    delivery_python.py DIR          judges: reads wallet_words.json (words_python.py), anna.consent-contact,
                                    acme.consent-contact, delivery.part (acme to anna), delivery.content
    delivery_python.py DIR make     writes foreign.consent-delivery: delivery.content from anna to acme

Exit status 0 only if contacts and delivery are as they must be and altered twins are not: a changed byte of the box,
another key, another content, a changed field, a signer who is not acme, padding that is not zero.
"""
import hashlib
import json
import pathlib
import struct
import sys
import time

import cbor2
from bip32utils import BIP32Key
from ecdsa import SECP256k1, BadSignatureError, SigningKey, VerifyingKey
from ecdsa.util import sigencode_string_canonize
from mnemonic import Mnemonic
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

CLASSES = (1024, 4096, 16384, 65536, 262144)
PART = 245760


class Refused(Exception):
    pass


def need(condition, why):
    if not condition:
        raise Refused(why)


def domain_hash(domain, data):
    return hashlib.sha256(domain.encode() + b"\0" + data).digest()


def signed(fields, domain, signer):
    """The last item is a low-s signature over the others."""
    digest = domain_hash(domain, cbor2.dumps(fields[:-1], canonical=True))
    need(int.from_bytes(fields[-1][32:], "big") <= SECP256k1.order // 2, "a high s")
    try:
        VerifyingKey.from_string(signer, curve=SECP256k1).verify_digest(fields[-1], digest)
    except BadSignatureError as why:
        raise Refused("the signature does not hold") from why


def contact(data, side):
    fields = cbor2.loads(data)
    need(cbor2.dumps(fields, canonical=True) == data, "a contact that is not canonical")
    need(fields[:2] == [1, "consent-contact"] and len(fields) == 10 and fields[4] == side, "no contact of that side")
    signed(fields, "consent/v1 contact", fields[8])
    return {"network": fields[2], "agreement": fields[3], "delivery": fields[6], "key": fields[8]}


def secret_of(wallet, key33):
    key = BIP32Key.fromEntropy(Mnemonic("english").to_seed(wallet["words"], passphrase=""))
    entry = next(entry for entry in wallet["keys"] if entry["public_key"] == key33.hex())
    digest = hashlib.sha256(struct.pack("<I", entry["index"]) + entry["uri"].encode()).digest()
    for number in (13, *struct.unpack("<4I", digest[:16])):
        key = key.ChildKey(number | 0x80000000)
    need(key.PublicKey() == key33, "the words do not give the contact's key")
    return key.PrivateKey()


def delivery_key(secret):
    return PrivateKey(domain_hash("consent/v1 delivery key", secret))


def read_padded(data, contacts, content):
    size = len(cbor2.dumps(cbor2.loads(data), canonical=True))
    fields = cbor2.loads(data)
    need(cbor2.dumps(fields, canonical=True) == data[:size] and not any(data[size:]), "bytes beyond the part that are not zero")
    need(len(data) + 48 == next(length for length in CLASSES if size + 48 <= length), "not the least size class")
    need(len(fields) == 17 and fields[0] == 1, "no part of a delivery")
    need(fields[1] == contacts["anna"]["network"] and fields[2] == contacts["anna"]["agreement"], "of another agreement")
    need(fields[3] == 2 and fields[4] == 1 and fields[7] == 1 and fields[9] is None, "other sides, slot or kind")
    need(fields[10:13] == [0, 1, len(content)] and fields[13] == hashlib.sha256(content).digest(), "another content")
    need(fields[14] == content and fields[8] == "text/csv", "other bytes")
    need(fields[15] == contacts["acme"]["key"], "a signer who is not acme")
    signed(fields, "consent/v1 delivery", fields[15])
    return fields


def opened(sealed, key, contacts, content):
    need(len(sealed) in CLASSES, "no size class")
    try:
        data = SealedBox(key).decrypt(sealed)
    except CryptoError as why:
        raise Refused("the box does not open") from why
    return data, read_padded(data, contacts, content)


def refuses(what, call, *arguments):
    try:
        call(*arguments)
    except Refused as why:
        print("refused %s: %s" % (what, why))
        return
    sys.exit("accepted " + what)


def judge(folder, contacts, secret, content):
    sealed = (folder / "delivery.part").read_bytes()
    key = delivery_key(secret)
    need(bytes(key.public_key) == contacts["anna"]["delivery"], "the contact's delivery key does not follow from the words")
    data, fields = opened(sealed, key, contacts, content)
    print("opened and verified %d bytes" % len(content))
    for at in (0, 40, len(sealed) - 1):
        refuses("a changed byte %d" % at, opened, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1:], key, contacts, content)
    refuses("another receiver", opened, sealed, PrivateKey.generate(), contacts, content)
    refuses("another content", opened, sealed, key, contacts, content + b"x")
    refuses("padding that is not zero", read_padded, data[:-1] + b"\1", contacts, content)
    for number, value in ((4, 1), (6, fields[6] + 1), (5, bytes(16))):
        altered = list(fields)
        altered[number] = value if altered[number] != value else 2
        twin = cbor2.dumps(altered, canonical=True)
        refuses("a changed field %d" % number, read_padded, twin + bytes(len(data) - len(twin)), contacts, content)
    stranger = SigningKey.generate(curve=SECP256k1)
    forged = fields[:15] + [stranger.get_verifying_key().to_string("compressed")]
    forged.append(sign(forged, stranger))
    twin = cbor2.dumps(forged, canonical=True)
    refuses("a stranger's signature", read_padded, twin + bytes(len(data) - len(twin)), contacts, content)
    refuses("a contact of the other side", contact, (folder / "acme.consent-contact").read_bytes(), 1)


def sign(fields, key):
    return key.sign_digest_deterministic(domain_hash("consent/v1 delivery", cbor2.dumps(fields, canonical=True)), hashfunc=hashlib.sha256, sigencode=sigencode_string_canonize)


def make(folder, contacts, secret, content):
    anna, acme = contacts["anna"], contacts["acme"]
    fields = [1, anna["network"], anna["agreement"], 1, 1, hashlib.sha256(content + b"foreign").digest()[:16], int(time.time() * 1000), 1,
              "text/csv", None, 0, 1, len(content), hashlib.sha256(content).digest(), content, anna["key"]]
    fields.append(sign(fields, SigningKey.from_string(secret, curve=SECP256k1)))
    part = cbor2.dumps(fields, canonical=True)
    length = next(length for length in CLASSES if len(part) + 48 <= length) - 48
    (folder / "foreign.consent-delivery").write_bytes(SealedBox(PublicKey(acme["delivery"])).encrypt(part + bytes(length - len(part))))


def main():
    folder = pathlib.Path(sys.argv[1])
    contacts = {"anna": contact((folder / "anna.consent-contact").read_bytes(), 1), "acme": contact((folder / "acme.consent-contact").read_bytes(), 2)}
    secret = secret_of(json.loads((folder / "wallet_words.json").read_text()), contacts["anna"]["key"])
    content = (folder / "delivery.content").read_bytes()
    (make if sys.argv[2:] == ["make"] else judge)(folder, contacts, secret, content)


if __name__ == "__main__":
    main()
