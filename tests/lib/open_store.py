"""Opens what a wallet left on disk with the words alone, by other means than the product: BIP39 and BIP32 from
python3-mnemonic and python3-bip32utils, XChaCha20-Poly1305 from tests/vectors/vault.py, CBOR from python3-cbor2. So a
test can look into every layer for what must not be there."""

import contextlib
import glob
import hashlib
import os
import stat
import sys

import cbor2
from bip32utils import BIP32_HARDEN, BIP32Key
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from mnemonic import Mnemonic

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../vectors"))
from vault import hchacha20  # noqa: E402


def opened(key, nonce, sealed, label):
    """The bytes, or None where the key is another."""
    try:
        return ChaCha20Poly1305(hchacha20(key, nonce[:16])).decrypt(bytes(4) + nonce[16:], sealed, label)
    except InvalidTag:
        return None


def secret_of(words, uri, domain):
    """SLIP-0013's path from SHA-256(index 0 || uri), then one hash with a domain."""
    numbers = hashlib.sha256(bytes(4) + uri.encode()).digest()[:16]
    key = BIP32Key.fromEntropy(Mnemonic.to_seed(words))
    for number in [13] + [int.from_bytes(numbers[at:at + 4], "little") & 0x7fffffff for at in range(0, 16, 4)]:
        key = key.ChildKey(number + BIP32_HARDEN)
    return hashlib.sha256(domain.encode() + b"\0" + key.PrivateKey()).digest()


def keys_of(words, directory):
    """The content of every key file, by its id: [kind, key, ...]."""
    secret = secret_of(words, "consent:store", "consent/v1 store key")
    keys = {}
    for path in glob.glob(os.path.join(directory, "*.key")):
        with open(path, "rb") as file:
            version, magic, nonce, sealed = cbor2.loads(file.read())
        identity = bytes.fromhex(os.path.basename(path)[:32])
        content = opened(secret, nonce, sealed, b"consent/v1 key file" + identity)
        assert (version, magic) == (1, "consent-key") and content is not None and len(content) == 512, path
        keys[identity] = cbor2.loads(content.rstrip(b"\0")[:-1])
    return keys


def backup_content(words, path):
    """What is inside a backup, in clear, as bytes: the wallet's content."""
    with open(path, "rb") as file:
        version, magic, nonce, sealed = cbor2.loads(file.read())
    content = opened(secret_of(words, "consent:backup", "consent/v1 backup key"), nonce, sealed, b"consent/v1 backup")
    assert (version, magic) == (1, "consent-backup") and content is not None, path
    return content


def items_of(content):
    """By name: (id of the key, object, nonce, sealed content)."""
    return {item[0]: (item[11], item[3], item[12], item[13]) for item in cbor2.loads(content)[4]}


def item_content(item, keys):
    """[salt, bodies, proof], or None where no key at hand opens it."""
    for key in keys.values():
        clear = opened(key[1], item[2], item[3], b"consent/v1 item" + item[1])
        if clear is not None:
            return cbor2.loads(clear)
    return None


def exchanges_of(words, directory):
    """The content of every exchange file, as bytes."""
    secret = secret_of(words, "consent:store", "consent/v1 store key")
    contents = []
    for path in glob.glob(os.path.join(directory, "*.exchange")):
        with open(path, "rb") as file:
            version, magic, nonce, sealed = cbor2.loads(file.read())
        content = opened(secret, nonce, sealed, b"consent/v1 exchange file" + bytes.fromhex(os.path.basename(path)[:32]))
        assert (version, magic) == (1, "consent-exchange") and content is not None, path
        contents.append(content)
    return contents


def values_of(keys, directory):
    """What the vault holds, decrypted, one after the other."""
    values = []
    for key in keys.values():
        if key[0] != 1:
            with open(os.path.join(directory, key[7].hex() + ".value"), "rb") as file:
                version, magic, nonce, sealed = cbor2.loads(file.read())
            assert (version, magic) == (1, "consent-value")
            values.append(opened(key[1], nonce, sealed, b"consent/v1 value file" + key[7]))
    return values


def everything(folder):
    """Every byte of every file in and below a folder, by path; hidden ones too. A database that runs removes files meanwhile."""
    files = {}
    for where, _, names in os.walk(folder):
        for path in (os.path.join(where, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISREG(os.stat(path).st_mode):
                    with open(path, "rb") as file:
                        files[path] = file.read()
    return files


def marks_of(content, key):
    """What of an agreement's content must be found nowhere once it is erased: the key, the salts, and the body, as a whole and
    field by field."""
    salt, bodies, _ = content
    marks = {"the key": key, "the audience salt": salt}
    for number, body in enumerate(bodies):
        marks[f"body file {number}"] = body
        _, _, body_salt, inner, fields = cbor2.loads(body)
        marks[f"salt of body {number}"], marks[f"body {number}"] = body_salt, inner
        for at, field in enumerate(fields):
            marks[f"field {at} of body {number}"] = field
            marks[f"salt of field {at} of body {number}"] = cbor2.loads(field)[0]
    return marks
