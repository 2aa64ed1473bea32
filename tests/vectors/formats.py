"""The byte layouts of ledger/formats.cddl, a second time, in Python: written from the CDDL and the standards it names,
never from the C code, so that the two can disagree. Only what the vectors need."""

import hashlib

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from ecdsa import SECP256k1, SigningKey
from ecdsa.util import sigencode_string_canonize

ORDER = SECP256k1.order


class Raw(bytes):
    """Bytes that stand for an encoded item; this is how malformed items get into a vector."""


class Tag:
    def __init__(self, number, value):
        self.number, self.value = number, value


def head(major, argument):
    for info, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 24:
            return bytes([major << 5 | argument])
        if argument < 1 << 8 * width:
            return bytes([major << 5 | info]) + argument.to_bytes(width, "big")
    raise ValueError(argument)


def encode(value):
    """RFC 8949 section 4.2.1."""
    if isinstance(value, Raw):
        return bytes(value)
    if value is None:
        return b"\xf6"
    if value is True or value is False:
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return head(3, len(text)) + text
    if isinstance(value, (list, tuple)):
        return head(4, len(value)) + b"".join(encode(item) for item in value)
    if isinstance(value, dict):
        pairs = sorted((encode(key), encode(item)) for key, item in value.items())
        return head(5, len(pairs)) + b"".join(key + item for key, item in pairs)
    if isinstance(value, Tag):
        return head(6, value.number) + encode(value.value)
    raise TypeError(type(value))


def canonical(value):
    """As encode, and a foreign encoder has to agree; Tags and Raws are not for it."""
    data = encode(value)
    if not contains_special(value):
        assert cbor2.dumps(value, canonical=True) == data, value
    return data


def contains_special(value):
    if isinstance(value, (Raw, Tag)):
        return True
    if isinstance(value, (list, tuple)):
        return any(contains_special(item) for item in value)
    if isinstance(value, dict):
        return any(contains_special(item) for item in value.values())
    return False


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def domain_hash(domain, *parts):
    return sha256(domain.encode() + b"\0", *parts)


def seed(name):
    """Fixed secrets, salts and nonces: everything here is published and good for nothing but tests."""
    return sha256(b"consent test vector: ", name.encode())


class Party:
    """A secp256k1 key."""

    def __init__(self, name):
        self.secret = seed(name)
        self._signer = SigningKey.from_string(self.secret, curve=SECP256k1)
        self.key = self._signer.get_verifying_key().to_string("compressed")

    def sign(self, digest):
        """RFC 6979, low s."""
        return self._signer.sign_digest_deterministic(digest, hashfunc=hashlib.sha256, sigencode=sigencode_string_canonize)


class Ed25519:
    def __init__(self, name):
        self.seed = seed(name)
        self._private = Ed25519PrivateKey.from_private_bytes(self.seed)
        self.public = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, data):
        return self._private.sign(data)


def x25519_public(name):
    private = X25519PrivateKey.from_private_bytes(seed(name))
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


# ---------------------------------------------------------------- ids and hashes


def object_id(key, nonce):
    return domain_hash("consent/v1 id", key, nonce)


def commitment(object32, salt, body):
    return domain_hash("consent/v1 terms", object32, salt, sha256(body))


def audience_hash(salt, answerer):
    return domain_hash("consent/v1 audience", salt, answerer)


def token_digest(network, bearer, agreement, key):
    return domain_hash("consent/v1 token", network, bearer, agreement, key)


def recovery_hash(key):
    return domain_hash("consent/v1 recovery", key)


def mailbox_name(key):
    return domain_hash("consent/v1 mailbox", key)


def answer_key(terms, party):
    return domain_hash("consent/v1 answer", terms, party)


def network_key():
    return domain_hash("consent/v1 network")


# ---------------------------------------------------------------- records


def sig_structure(network, protected, payload):
    return canonical(["Signature1", protected, b"consent/v1" + network, payload])


class Record:
    """A signed record. payload may be bytes already, for malformed ones."""

    def __init__(self, network, signer, record_type, issued_at, entries, skip=False):
        self.network, self.signer = network, signer
        self.type, self.issued_at, self.skip = record_type, issued_at, skip
        self.entries = sorted(entries, key=lambda entry: encode(entry[1]))
        content = {1: record_type, 2: issued_at, 3: self.entries}
        if skip:
            content[4] = 1
        self.payload = canonical(content)
        self.protected = canonical({1: -47, 4: signer.key})
        self.structure = sig_structure(network, self.protected, self.payload)
        self.id = sha256(self.structure)
        self.signature = signer.sign(self.id)
        self.bytes = envelope(self.protected, {}, self.payload, self.signature)
        self.leaf = sha256(b"\0", self.bytes)


def envelope(protected, unprotected, payload, signature, tag=18):
    return encode(Tag(tag, [protected, unprotected, payload, signature]))


# ---------------------------------------------------------------- trees


def log_root(leaves):
    """RFC 6962 section 2.1, over leaf hashes."""
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1", log_root(leaves[:split]), log_root(leaves[split:]))


def log_path(index, leaves):
    """RFC 6962 section 2.1.1: the audit path of a leaf."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return log_path(index, leaves[:split]) + [log_root(leaves[split:])]
    return log_path(index - split, leaves[split:]) + [log_root(leaves[:split])]


def log_consistency(size1, leaves, whole=True):
    """RFC 6962 section 2.1.2."""
    if size1 == len(leaves):
        return [] if whole else [log_root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if size1 <= split:
        return log_consistency(size1, leaves[:split], whole) + [log_root(leaves[split:])]
    return log_consistency(size1 - split, leaves[split:], False) + [log_root(leaves[:split])]


def smt_leaf(key_hash, value):
    return sha256(b"\0", key_hash, sha256(value))


def bit(key_hash, depth):
    return key_hash[depth // 8] >> 7 - depth % 8 & 1


def smt_root(leaves, depth=0):
    """leaves: {H(key): leaf hash}. An empty subtree is 32 zero bytes, a subtree of one leaf that leaf."""
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        return next(iter(leaves.values()))
    halves = [{k: v for k, v in leaves.items() if bit(k, depth) == side} for side in (0, 1)]
    return sha256(b"\1", smt_root(halves[0], depth + 1), smt_root(halves[1], depth + 1))


def smt_path(leaves, key_hash, depth=0):
    """Siblings from the leaf up."""
    if len(leaves) == 1:
        return []
    halves = [{k: v for k, v in leaves.items() if bit(k, depth) == side} for side in (0, 1)]
    side = bit(key_hash, depth)
    return smt_path(halves[side], key_hash, depth + 1) + [smt_root(halves[1 - side], depth + 1)]


# ---------------------------------------------------------------- JSON


def plain(value):
    """What JSON can hold: bytes in hex, whole numbers from 2^53 on as decimal text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1 << 53:
        return str(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value
