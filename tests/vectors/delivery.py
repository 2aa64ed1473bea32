"""Sealed deliveries, contacts, and what was opened: what goes between the two sides of an agreement and past the ledger."""

import hashlib

from nacl.bindings import crypto_box, crypto_scalarmult_base

import scene as s
from formats import canonical, domain_hash, plain, seed, sha256

PART = 240 * 1024
CLASSES = (1024, 4096, 16384, 65536, 262144)
DATA, CHANGE, NOTICE, ACKNOWLEDGEMENT = 1, 2, 3, 4
CUSTOMER, ORGANISATION = 1, 2

# The delivery key that follows from the relationship's key.
recipient_secret = domain_hash("consent/v1 delivery key", s.anna.secret)
recipient = crypto_scalarmult_base(recipient_secret)


def sealed_box(message, public, ephemeral_secret):
    """libsodium's crypto_box_seal, but for the ephemeral key, which is given instead of random."""
    ephemeral = crypto_scalarmult_base(ephemeral_secret)
    return ephemeral + crypto_box(message, hashlib.blake2b(ephemeral + public, digest_size=24).digest(), public, ephemeral_secret)


def part_fields(content, number, slot, kind, media_type, acknowledges=None, signer=s.bank, sender=ORGANISATION, name="delivery"):
    parts = max(1, -(-len(content) // PART))
    fields = [1, s.NETWORK, s.agreement_id, sender, slot, seed("id of " + name)[:16], s.NOW_MS + 7, kind, media_type, acknowledges,
              number, parts, len(content), sha256(content), content[number * PART:(number + 1) * PART], signer.key]
    return fields + [signer.sign(domain_hash("consent/v1 delivery", canonical(fields)))]


def padded(fields):
    part = canonical(fields)
    size = next(size for size in CLASSES if len(part) + 48 <= size)
    return part + bytes(size - 48 - len(part))


def contact_fields(mailboxes):
    fields = [1, "consent-contact", s.NETWORK, s.agreement_id, CUSTOMER, s.NOW_MS + 3, recipient, mailboxes, s.anna.key]
    return fields + [s.anna.sign(domain_hash("consent/v1 contact", canonical(fields)))]


def items():
    statement = b"".join(sha256(b"%d" % i) for i in range(15361))[:2 * PART + 5]
    parts = {
        "part_data": part_fields(b"date,amount\n2027-01-31,12.50\n", 0, 1, DATA, "text/csv"),
        "part_change": part_fields(b"+31 20 555 0100", 0, 63, CHANGE, "text/plain", name="change"),
        "part_notice": part_fields(b"We move on Friday.", 0, None, NOTICE, "text/plain", name="notice"),
        "part_acknowledgement": part_fields(b"", 0, 1, ACKNOWLEDGEMENT, "", seed("id of delivery")[:16], name="acknowledgement"),
        "part_empty": part_fields(b"", 0, 0, DATA, "application/octet-stream", name="empty"),
        "part_3_of_3": part_fields(statement, 2, 2, DATA, "application/pdf", name="statement"),
    }
    out = []
    for name, fields in parts.items():
        data = padded(fields)
        out.append({"name": name, "hex": data.hex(), "value": plain(fields),
                    "sealed": sealed_box(data, recipient, seed("ephemeral " + name)).hex()})
    out[0]["recipient_secret"] = recipient_secret.hex()
    out[0]["recipient"] = recipient.hex()
    out[0]["key_secret"] = s.anna.secret.hex()
    out.append({"name": "contact", "hex": canonical(contact_fields(["https://node.example/mailbox/7"])).hex(),
                "value": plain(contact_fields(["https://node.example/mailbox/7"]))})
    out.append({"name": "contact_without_mailbox", "hex": canonical(contact_fields([])).hex(), "value": plain(contact_fields([]))})
    opened = [1, "consent-opened", s.NOW_MS, [[s.NOW_MS + 7, seed("id of delivery")[:16]], [s.NOW_MS + 8, seed("id of change")[:16]]]]
    out.append({"name": "opened", "hex": canonical(opened).hex(), "value": plain(opened)})
    return out
