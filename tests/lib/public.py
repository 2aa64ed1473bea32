"""Owners of TERMS and PROFILEs as they let everybody read them: records and bodies made here, by the vectors' encoder."""
import base64
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors"))
from consent_node import now_ms  # noqa: E402
from formats import Party, Record, canonical, commitment, domain_hash, object_id, recovery_hash, sha256, x25519_public  # noqa: E402

OCTETS = {"Content-Type": "application/octet-stream"}
PROFILE, TERMS, REVOKE = 1, 2, 11


class Owner:
    """One object under a key of its own, with fields of the test's choice: none of them means anything to a node."""

    def __init__(self, home, fields=None, kind=TERMS):
        self.network = bytes.fromhex(home.network_id())
        self.home, self.party, self.kind = home, Party(f"owner {os.urandom(16).hex()}"), kind
        self.nonce, self.salt, self.made_ms = os.urandom(16), os.urandom(32), now_ms()
        self.fields = [canonical([os.urandom(16), name, value]) for name, value in (fields or {"title": f"title {os.urandom(8).hex()}"}).items()]
        self.object = object_id(self.party.key, self.nonce)
        self.id = self.object.hex()
        self.path = f"/v1/public/{self.id}"
        self.record_id = None

    def body(self):
        return canonical([1, "profile" if self.kind == PROFILE else "terms", sorted(sha256(field) for field in self.fields)])

    def file(self, shown=None, signer=None, network=None, fields=None, **other):
        """The signed public body; shown: which of the fields, else all. other: what is otherwise than it should be."""
        fields = fields or (self.fields if shown is None else [self.fields[place] for place in shown])
        body_file = canonical([1, other.get("object", self.object), other.get("salt", self.salt), self.body(), sorted(fields, key=sha256)])
        signer = signer or self.party
        items = [1, "consent-public", network or self.network, other.get("made_ms", self.made_ms), body_file, other.get("reception"), signer.key]
        return canonical(items + [signer.sign(domain_hash("consent/v1 public", canonical(items)))])

    def commitment(self):
        return commitment(self.object, self.salt, self.body())

    def submit(self, kind, entry):
        record = Record(self.network, self.party, kind, now_ms(), [entry])
        answer = self.home.post(record.bytes, wait=True)
        assert answer.status == 201, answer
        self.record_id = record.id
        return record

    def publish(self, limit=10, until=None):
        entry = {1: self.nonce, 3: self.commitment()}
        if self.kind == TERMS:
            entry |= {9: 1, 11: limit, 14: 0}
            if until:
                entry[5] = until
        else:
            entry |= {12: x25519_public("delivery"), 15: recovery_hash(self.party.key)}
        self.submit(self.kind, entry)
        return self

    def succeed(self):
        """Other TERMS take the place of these."""
        after = Owner(self.home)
        after.party, after.object = self.party, object_id(self.party.key, after.nonce)
        self.submit(TERMS, {1: after.nonce, 3: after.commitment(), 8: self.object, 9: 1, 11: 5, 14: 0})

    def replace(self):
        """A PROFILE commits to something else."""
        self.salt = os.urandom(32)
        self.submit(PROFILE, {1: self.object, 2: self.record_id, 3: self.commitment(), 12: x25519_public("delivery")})

    def close(self):
        self.submit(REVOKE, {1: self.object})

    def headers(self, signer=None, nonce=None, home=None):
        signer, home = signer or self.party, home or self.home
        nonce = nonce or home.get(f"/v1/challenge?key={self.party.key.hex()}").json()["nonce"]
        digest = domain_hash("consent/v1 challenge", self.network, bytes.fromhex(nonce), self.party.key)
        return {"Consent-Challenge": nonce, "Consent-Signature": signer.sign(digest).hex()}

    def put(self, body=None, headers=None, home=None):
        home = home or self.home
        return home.request("PUT", self.path, self.file() if body is None else body, {**OCTETS, **(headers or self.headers(home=home))})

    def take_away(self, headers=None):
        return self.home.request("DELETE", self.path, headers=headers or self.headers())


def listed(node, of=None):
    """{id: body} of all pages that this node shows of another (None: of itself)."""
    found, cursor = {}, None
    while True:
        query = "&".join(f"{name}={value}" for name, value in (("node", of and of.name), ("cursor", cursor)) if value)
        answer = node.get(f"/v1/public?{query}")
        assert answer.status == 200, answer
        page = answer.json()
        for item in page["bodies"]:
            assert item["object"] not in found and item["object"] > (cursor or ""), "each once, ascending"
            found[item["object"]] = base64.b64decode(item["body"])
        cursor = page["cursor"]
        if cursor is None:
            return found
