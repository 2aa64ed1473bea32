"""The folder beside a wallet: key files, value files; and the sealed content of a wallet's item. XChaCha20-Poly1305 is
put together here from HChaCha20 (draft-irtf-cfrg-xchacha-03 section 2.2) and RFC 8439's AEAD of python3-cryptography."""

import struct

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from formats import canonical, sha256


def quarter(x, a, b, c, d):
    for left, right, target, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        x[left] = x[left] + x[right] & 0xffffffff
        mixed = x[target] ^ x[left]
        x[target] = (mixed << by | mixed >> 32 - by) & 0xffffffff


def hchacha20(key, nonce16):
    x = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce16))
    for _ in range(10):
        for column in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
            quarter(x, *column)
        for diagonal in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(x, *diagonal)
    return struct.pack("<8I", *x[:4], *x[12:])


# the draft's own example, section 2.2.1
assert hchacha20(bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927")).hex() == \
    "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"


def seal(key, nonce24, data, label):
    return ChaCha20Poly1305(hchacha20(key, nonce24[:16])).encrypt(bytes(4) + nonce24[16:], data, label)


def pad(content, step=512):
    padded = content + b"\x80"
    return padded.ljust(-(-len(padded) // step) * step, b"\0")


def key_file(secret, nonce, identity, content):
    return canonical([1, "consent-key", nonce, seal(secret, nonce, pad(content), b"consent/v1 key file" + identity)])


def value_file(key, nonce, identity, value):
    return canonical([1, "consent-value", nonce, seal(key, nonce, value, b"consent/v1 value file" + identity)])


def exchange_name(secret, agreement):
    return sha256(b"consent/v1 exchange name\0" + secret + agreement)[:16]


def exchange_file(secret, nonce, identity, content):
    return canonical([1, "consent-exchange", nonce, seal(secret, nonce, pad(content, 4096), b"consent/v1 exchange file" + identity)])


def items():
    secret, nonce = sha256(b"store key of the vectors"), sha256(b"nonce of the vectors")[:24]
    key, identity, value_id = sha256(b"item key"), sha256(b"id")[:16], sha256(b"value id")[:16]
    changed = 1795404085863
    item_content = canonical([1, key])
    texts = ("email", "pd:EmailAddress", "text/plain")
    vault_content = canonical([2, key, *texts, changed, 8, value_id])
    sealed_item = canonical([bytes(32), [b"a body"], b""])
    agreement = sha256(b"an agreement")
    opened = canonical([1, "consent-opened", 5, [[changed, value_id]]])
    exchange = canonical([b"a contact", changed, [[1, "email", changed], [63, "phone", 0]], opened, 2,
                          [[1, identity, 2, 1, changed, 0, 0, 8, "text/plain"], [2, value_id, 3, None, changed, changed + 1, changed + 2, 0, "text/x"]]])
    exchange_id = exchange_name(secret, agreement)
    described = {"id": identity.hex(), "secret": secret.hex(), "nonce": nonce.hex(), "key": key.hex()}
    return [
        {"name": "key_file_of_an_item", "hex": key_file(secret, nonce, identity, item_content).hex(),
         "content": item_content.hex(), **described},
        {"name": "key_file_of_the_vault", "hex": key_file(secret, nonce, identity, vault_content).hex(),
         "content": vault_content.hex(), **described, "entry": list(texts), "changed_ms": changed, "size": 8,
         "value_id": value_id.hex()},
        {"name": "value_file", "hex": value_file(key, nonce, value_id, b"a@b.org\n").hex(), "id": value_id.hex(),
         "nonce": nonce.hex(), "key": key.hex(), "value": b"a@b.org\n".hex()},
        {"name": "exchange_file", "hex": exchange_file(secret, nonce, exchange_id, exchange).hex(), "content": exchange.hex(),
         "agreement": agreement.hex(), "id": exchange_id.hex(), "secret": secret.hex(), "nonce": nonce.hex()},
        {"name": "content_of_an_item", "hex": (nonce + seal(key, nonce, sealed_item, b"consent/v1 item" + bytes(32))).hex(),
         "content": sealed_item.hex(), "object": bytes(32).hex(), "key": key.hex(), "nonce": nonce.hex()},
    ]
