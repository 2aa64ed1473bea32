#!/usr/bin/python3
"""Data that stays at the source, with PyNaCl's SealedBox, cbor2 and python3-ecdsa. The reader is this script: the agreement's
organisation is its key, it makes a request that the product has to serve, and opens what the product served.

    source_python.py DIR key        makes source.key (33 bytes, hex on standard output too); its secret is in source.secret
    source_python.py DIR sign       32-byte digest in, signature out (--signer exec:)
    source_python.py DIR ask        writes foreign.consent-source-request, from source.consent-source and source.consent-proof
    source_python.py DIR            judges: source.consent-source, source.consent-source-request (the product's, signed by our
                                    key), source.consent-source-answer (to ours), source.content, source.holder (hex)

Exit status 0 only if all is as it must be and altered twins are not: a changed byte, field, signer, padding, key or request.
"""
import hashlib
import pathlib
import sys
import time

import cbor2
from ecdsa import SECP256k1, SigningKey, VerifyingKey
from ecdsa.util import sigencode_string_canonize
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

CLASSES = tuple(1024 << 2 * step for step in range(8))


class Refused(Exception):
    pass


def need(condition, why):
    if not condition:
        raise Refused(why)


def digest_of(name, fields):
    return hashlib.sha256(b"consent/v1 source " + name.encode() + b"\0" + cbor2.dumps(fields, canonical=True)).digest()


def verified(name, data, magic, count):
    """The last item is a low-s signature over the others, by the last but one."""
    fields = cbor2.loads(data)
    need(cbor2.dumps(fields, canonical=True) == data, "not canonical")
    need(len(fields) == count and fields[:2] == [1, magic], "another form")
    need(int.from_bytes(fields[-1][32:], "big") <= SECP256k1.order // 2, "a high s")
    try:
        VerifyingKey.from_string(fields[-2], curve=SECP256k1).verify_digest(fields[-1], digest_of(name, fields[:-1]))
    except Exception as why:  # also what is no key
        raise Refused("the signature does not hold") from why
    return fields


def pointer(data):
    return verified("pointer", data, "consent-source", 13)


def request(data, folder):
    fields = verified("request", data, "consent-source-request", 14)
    asked = pointer((folder / "source.consent-source").read_bytes())
    need(fields[2:7] == asked[2:7], "another network, agreement, slot, reference or holder than the pointer's")
    need(len(fields[8]) == 16 and len(fields[9]) == 32 and fields[11] is None, "nonce, key or proof of a party")
    need(abs(fields[7] / 1000 - time.time()) < 86400, "another time")
    need(cbor2.loads(fields[10])[4] == fields[3], "a proof of another agreement")
    need(fields[12].hex() == (folder / "source.key").read_text().strip(), "another signer")
    return fields


def answer(sealed, key, folder, content, asked):
    need(len(sealed) in CLASSES, "no size class")
    try:
        data = SealedBox(key).decrypt(sealed)
    except CryptoError as why:
        raise Refused("the box does not open") from why
    return data, read_answer(data, folder, content, asked)


def read_answer(data, folder, content, asked):
    fields = cbor2.loads(data)
    size = len(cbor2.dumps(fields, canonical=True))
    need(len(data) + 48 == next(length for length in CLASSES if size + 48 <= length), "not the least size class")
    need(not any(data[size:]), "padding that is not zero")
    fields = verified("answer", data[:size], "consent-source-answer", 10)
    need(fields[8].hex() == (folder / "source.holder").read_text().strip(), "a signer who is not the holder")
    need(fields[3] == hashlib.sha256(asked).digest(), "to another request")
    need(fields[6] == "text/plain" and fields[7] == content, "another content")
    return fields


def refuses(what, call, *arguments):
    try:
        call(*arguments)
    except (Refused, cbor2.CBORDecodeError, MemoryError, TypeError, IndexError) as why:  # a changed length may ask for all there is
        print("refused %s: %s" % (what, why))
        return
    sys.exit("accepted " + what)


def own_keys(folder):
    secret = (folder / "source.secret").read_bytes()
    return SigningKey.from_string(secret[:32], curve=SECP256k1), PrivateKey(secret[32:])


def sign(key, digest):
    return key.sign_digest_deterministic(digest, hashfunc=hashlib.sha256, sigencode=sigencode_string_canonize)


def judge(folder):
    data = (folder / "source.consent-source-request").read_bytes()
    fields = request(data, folder)
    print("the request of %d bytes is signed and in form" % len(data))
    for at in (30, 200, len(data) // 2, len(data) - 1):
        refuses("a request with byte %d changed" % at, request, data[:at] + bytes([data[at] ^ 1]) + data[at + 1:], folder)
    refuses("a request of a changed slot", request, cbor2.dumps([*fields[:4], fields[4] + 1, *fields[5:]], canonical=True), folder)
    refuses("a request that is cut", request, data[:-1], folder)
    asked, content = (folder / "foreign.consent-source-request").read_bytes(), (folder / "source.content").read_bytes()
    sealed, (_, key) = (folder / "source.consent-source-answer").read_bytes(), own_keys(folder)
    opened, fields = answer(sealed, key, folder, content, asked)
    print("opened and verified an answer of %d bytes" % len(content))
    for at in (0, 40, len(sealed) - 1):
        refuses("an answer with byte %d changed" % at, answer, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1:], key, folder, content, asked)
    refuses("an answer to another key", answer, sealed, PrivateKey.generate(), folder, content, asked)
    refuses("an answer to another request", answer, sealed, key, folder, content, data)
    refuses("padding that is not zero", read_answer, opened[:-1] + b"\1", folder, content, asked)
    stranger = SigningKey.generate(curve=SECP256k1)
    forged = [*fields[:8], stranger.get_verifying_key().to_string("compressed")]
    twin = cbor2.dumps([*forged, sign(stranger, digest_of("answer", forged))], canonical=True)
    refuses("a stranger's answer", read_answer, twin.ljust(len(opened), b"\0"), folder, content, asked)
    twin = cbor2.dumps([*fields[:7], b"income: 1", *fields[8:]], canonical=True)
    refuses("another content", read_answer, twin.ljust(len(opened), b"\0"), folder, b"income: 1", asked)


def ask(folder):
    signer, key = own_keys(folder)
    asked = pointer((folder / "source.consent-source").read_bytes())
    fields = [1, "consent-source-request", *asked[2:7], int(time.time() * 1000), hashlib.sha256(str(time.time_ns()).encode()).digest()[:16],
              bytes(key.public_key), (folder / "source.consent-proof").read_bytes(), None, signer.get_verifying_key().to_string("compressed")]
    fields.append(sign(signer, digest_of("request", fields)))
    (folder / "foreign.consent-source-request").write_bytes(cbor2.dumps(fields, canonical=True))


def main():
    folder, what = pathlib.Path(sys.argv[1]), sys.argv[2:]
    if what == ["key"]:
        signer = SigningKey.generate(curve=SECP256k1)
        (folder / "source.secret").write_bytes(signer.to_string() + bytes(PrivateKey.generate()))
        (folder / "source.key").write_text(signer.get_verifying_key().to_string("compressed").hex() + "\n")
        print((folder / "source.key").read_text().strip())
    elif what == ["sign"]:
        sys.stdout.buffer.write(sign(own_keys(folder)[0], sys.stdin.buffer.read()))
    else:
        ask(folder) if what == ["ask"] else judge(folder)


if __name__ == "__main__":
    main()
