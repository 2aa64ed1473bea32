"""Ids, commitments, audiences, tokens, recovery and the tree's fixed keys; and the keys of the scene."""

import scene as s
from formats import (answer_key, audience_hash, canonical, commitment, domain_hash, mailbox_name, network_key, object_id, recovery_hash,
                     sha256, token_digest)


def items():
    def item(name, value, **fields):
        return {"name": name, "hex": value.hex(),
                **{key: field.hex() if isinstance(field, bytes) else field for key, field in fields.items()}}

    digest = token_digest(s.NETWORK, s.terms_id, s.subscription_id, s.bank.key)
    out = [
        item("network_id", s.NETWORK, genesis=s.GENESIS),
        item("object_id", s.agreement_id, signer=s.anna.key, nonce=s.grant_nonce),
        item("commitment", s.agreement_commitment, object=s.agreement_id, salt=s.salt("grant"), body=s.BODY),
        item("commitment_empty_body", commitment(s.agreement_id, s.salt("grant"), b""), object=s.agreement_id,
             salt=s.salt("grant"), body=b""),
        item("audience_key", audience_hash(s.salt("audience"), s.bank.key), salt=s.salt("audience"), answerer=s.bank.key),
        item("audience_profile", audience_hash(s.salt("audience"), s.profile_id), salt=s.salt("audience"),
             answerer=s.profile_id),
        item("token_digest", digest, network_id=s.NETWORK, bearer=s.terms_id, agreement=s.subscription_id,
             answering_key=s.bank.key),
        item("token_opening", s.token.sign(digest), digest=digest, secret=s.token.secret, key=s.token.key),
        item("recovery", s.anna_recovery, key=s.recovery.key),
        item("mailbox", mailbox_name(s.anna.key), key=s.anna.key),
        item("network_key", network_key(), path=sha256(network_key())),
        item("answer_key_of_key", answer_key(s.terms_id, s.bank.key), terms=s.terms_id, party=s.bank.key),
        item("answer_key_of_profile", answer_key(s.terms_id, s.profile_id), terms=s.terms_id, party=s.profile_id),
        item("member_set_hash", sha256(canonical(s.member_array)), members=canonical(s.member_array)),
        item("log_leaf_hash_of_nothing", sha256(b"\0"), data=b""),
        item("log_root_of_nothing", sha256()),
        item("domain_only", domain_hash("consent/v1 network"), domain="consent/v1 network"),
    ]
    for name in ("anna", "bank", "recovery", "token", "new_key", "member_party"):
        party = getattr(s, name)
        out.append(item("key_of_" + name, party.key, secret=party.secret))
    for member in s.members:
        for role in ("vote", "log", "witness"):
            key = getattr(member, role)
            out.append(item("ed25519_%s_of_%s" % (role, member.name), key.public, seed=key.seed))
    return out


assert object_id(s.anna.key, s.grant_nonce) == s.agreement_id and recovery_hash(s.recovery.key) == s.anna_recovery
