"""Public bodies: what owners let everybody read, signed; and bytes that are none."""

import scene as s
from formats import canonical, domain_hash, x25519_public

RECEPTION = [x25519_public("reception"), "member-1", domain_hash("consent/v1 mailbox", s.anna.key), 0]


def body_file(thing=s.terms_id, shown=1):
    return canonical([1, thing, s.salt("grant"), s.BODY, s.disclosures[:shown]])


def items_of(thing=s.terms_id, network=s.NETWORK, ms=s.NOW_MS, body=None, reception=None, signer=s.anna):
    return [1, "consent-public", network, ms, body_file(thing) if body is None else body, reception, signer.key]


def signed(items, signer=s.anna):
    return canonical(items + [signer.sign(domain_hash("consent/v1 public", canonical(items)))])


def items():
    found = []
    for name, fields in (("terms", items_of()), ("terms_with_reception", items_of(reception=RECEPTION)),
                         ("profile_of_all_fields", items_of(thing=s.profile_id, body=body_file(s.profile_id, len(s.disclosures))))):
        found.append({"name": name, "hex": signed(fields).hex(), "network": fields[2].hex(), "ms": fields[3], "shown": fields[4].hex(), "signer": fields[6].hex(), "digest": domain_hash("consent/v1 public", canonical(fields)).hex(), "expect": "CL_OK"})
    good = items_of()
    bad = (("cut", signed(good)[:-1], "CL_E_CBOR_TRUNCATED"), ("longer", signed(good) + b"\0", "CL_E_CBOR_TRAILING"),
           ("another_version", signed([2] + good[1:]), "CL_E_VERSION"), ("another_file", signed([1, "consent-contact"] + good[2:]), "CL_E_FORMAT"),
           ("nothing_in_clear", signed(items_of(body=body_file(shown=0))), "CL_E_FORMAT"),
           ("a_field_of_another_body", signed(items_of(body=canonical([1, s.terms_id, s.salt("grant"), s.BODY, [canonical([bytes(16), "title", "x"])]]))), "CL_E_BODY"),
           ("reception_at_a_url", signed(items_of(reception=[RECEPTION[0], "a/b"] + RECEPTION[2:])), "CL_E_FORMAT"),
           ("no_key", signed(good[:6] + [b"\x05" + bytes(32)]), "CL_E_KEY"), ("too_late", signed(good[:3] + [9007199254740001] + good[4:]), "CL_E_VALUE"))
    return found + [{"name": name, "hex": data.hex(), "expect": expect} for name, data, expect in bad]
