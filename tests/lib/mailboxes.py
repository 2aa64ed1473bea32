"""Mailboxes as their holders and those who deposit use them: over HTTP, with keys of this process."""
import base64
import hashlib
import os
import urllib.parse

from ecdsa import SECP256k1, SigningKey
from ecdsa.util import sigencode_string_canonize

OCTETS = {"Content-Type": "application/octet-stream"}


def domain_hash(domain, *parts):
    return hashlib.sha256(domain.encode() + b"\0" + b"".join(parts)).digest()


class Mailbox:
    """One relationship's: a key that is used for nothing else, at its home node."""

    def __init__(self, home, secret=None):
        self.home = home
        self.signer = SigningKey.from_string(secret or os.urandom(32), curve=SECP256k1)
        self.key = self.signer.get_verifying_key().to_string("compressed")
        self.id = domain_hash("consent/v1 mailbox", self.key).hex()
        self.path = f"/v1/mailboxes/{self.id}"
        self.next = None  # a challenge that came with an answer

    def challenge(self):
        return self.home.get(f"/v1/challenge?key={self.key.hex()}").json()["nonce"]

    def headers(self, nonce=None):
        nonce = nonce or self.next or self.challenge()
        self.next = None
        network = bytes.fromhex(self.home.network_id())
        digest = domain_hash("consent/v1 challenge", network, bytes.fromhex(nonce), self.key)
        signature = self.signer.sign_digest_deterministic(digest, hashfunc=hashlib.sha256, sigencode=sigencode_string_canonize)
        return {"Consent-Key": self.key.hex(), "Consent-Challenge": nonce, "Consent-Signature": signature.hex()}

    def ask(self, method, path="", headers=None, **query):
        text = "?" + urllib.parse.urlencode(query) if query else ""
        answer = self.home.request(method, self.path + path + text, headers=headers or self.headers())
        self.next = answer.headers.get("Consent-Challenge")
        return answer

    def open(self):
        return self.ask("PUT")

    def close(self):
        return self.ask("DELETE")

    def fetch(self, **query):
        """[(number, bytes)] and whether there are more."""
        answer = self.ask("GET", "/deliveries", **query)
        assert answer.status == 200, answer
        page = answer.json()
        return [(item["number"], base64.b64decode(item["bytes"])) for item in page["deliveries"]], page["more"]

    def acknowledge(self, through):
        answer = self.ask("DELETE", "/deliveries", through=through)
        assert answer.status == 200, answer
        return answer.json()["deleted"]

    def deposit(self, node, sealed, connection=None):
        """By anybody, at any node."""
        query = "" if node is self.home else f"?node={self.home.name}"
        return node.request("POST", f"{self.path}/deliveries{query}", sealed, OCTETS, connection)
