"""Every type of record in every form that ledger/rules.md "Keys by type" gives it."""

import scene as s
from formats import Record, plain, seed, token_digest

ALL_SLOTS = (1 << 64) - 1


def cases():
    """(name, signer, type, entries, skip)"""
    opening = {1: s.grant_nonce, 3: s.agreement_commitment, 6: s.audience, 9: 7}
    answer = {1: s.agreement_id, 2: s.head, 3: s.agreement_commitment, 9: 7}
    to_terms = {1: s.subscribe_nonce, 3: s.terms_commitment, 8: s.terms_id, 9: 3}
    period = {4: s.NOW, 5: s.NOW + s.YEAR}
    terms = {1: s.terms_nonce, 3: s.terms_commitment, 9: 3, 11: 1000, 14: 1}
    agreement = {1: s.agreement_id}
    with_head = {1: s.agreement_id, 2: s.head}
    salt_opening = {7: s.salt("audience")}
    bearer_terms = s.token.sign(token_digest(s.NETWORK, s.terms_id, s.subscription_id, s.bank.key))
    bearer_grant = s.token.sign(token_digest(s.NETWORK, s.agreement_id, s.agreement_id, s.bank.key))
    profile = {13: s.profile_id}
    yield "profile_open", s.bank, 1, [{1: s.profile_nonce, 3: s.profile_commitment, 12: s.delivery, 15: s.bank_recovery}]
    yield "profile_replace", s.bank, 1, [{1: s.profile_id, 2: s.head, 3: s.profile_commitment, 12: s.delivery}]
    yield "terms_least", s.anna, 2, [terms]
    yield "terms_full", s.anna, 2, [{**terms, **period, 6: s.token_audience, 8: s.older_terms_id, 9: ALL_SLOTS,
                                     11: ALL_SLOTS, 14: 3, 15: s.anna_recovery}]
    yield "request_least", s.bank, 3, [{**opening, 1: s.request_nonce, 6: [1, seed("audience of the request")]}]
    yield "request_full", s.bank, 3, [{**opening, **period, **profile, 1: s.request_nonce, 6: s.token_audience}]
    yield "grant_open_least", s.anna, 4, [opening]
    yield "grant_open_full", s.anna, 4, [{**opening, **period, **profile, 6: s.token_audience, 15: s.anna_recovery}]
    yield "grant_answer_least", s.anna, 4, [answer]
    yield "grant_answer_full", s.anna, 4, [{**answer, **period, **salt_opening, **profile, 15: s.anna_recovery}]
    yield "subscribe_terms_least", s.bank, 5, [to_terms]
    yield "subscribe_terms_full", s.bank, 5, [{**to_terms, **period, **profile, 7: bearer_terms}]
    yield "subscribe_answer_least", s.bank, 5, [answer]
    yield "subscribe_answer_full", s.bank, 5, [{**answer, **period, **salt_opening, **profile}]
    yield "subscribe_answer_token", s.bank, 5, [{**answer, 7: bearer_grant}]
    yield "counter_least", s.bank, 6, [answer]
    yield "counter_full", s.anna, 6, [{**answer, **period, **salt_opening, **profile, 15: s.anna_recovery}]
    yield "refuse_least", s.bank, 7, [with_head]
    yield "refuse_full", s.bank, 7, [{**with_head, **salt_opening, **profile, 10: 8}]
    yield "amend_accept", s.bank, 8, [{**with_head, 8: s.other_record}]
    yield "amend_propose_least", s.anna, 8, [{**answer, 9: 15}]
    yield "amend_propose_full", s.anna, 8, [{**answer, **period, 9: 15}]
    yield "amend_narrow_slots", s.anna, 8, [{**agreement, 9: 1}]
    yield "amend_narrow_period", s.anna, 8, [{**agreement, 5: s.NOW + 86400}]
    yield "amend_narrow_both", s.anna, 8, [{**agreement, 5: s.NOW + 86400, 9: 1}]
    yield "suspend", s.anna, 9, [agreement]
    yield "resume", s.anna, 10, [with_head]
    yield "revoke_all", s.anna, 11, [agreement]
    yield "revoke_slots", s.anna, 11, [{**agreement, 9: 1 << 63}]
    yield "revoke_reason", s.bank, 11, [{**agreement, 10: 6}]
    yield "renew", s.anna, 12, [{**with_head, 5: s.NOW + 2 * s.YEAR}]
    yield "ack", s.bank, 14, [{**agreement, 8: s.other_record, 10: 2}]
    yield "statement", s.bank, 15, [{1: s.profile_id, 3: seed("root of all uses"), **period}]
    yield "delegate", s.bank, 16, [{1: s.profile_id, 5: s.NOW + s.YEAR, 12: s.bank_delegate.key, 14: 31}]
    yield "undelegate", s.bank, 17, [{1: s.profile_id, 12: s.bank_delegate.key}]
    yield "rotate", s.anna, 18, [{**agreement, 12: s.new_key.key}]
    yield "rotate_recovery", s.recovery, 18, [{**agreement, 7: s.recovery.key, 12: s.new_key.key}]
    yield "rotate_recovery_renewed", s.recovery, 18, [{**agreement, 7: s.recovery.key, 12: s.new_key.key,
                                                       15: seed("next recovery commitment")}]
    yield "erase_all", s.bank, 19, [agreement]
    yield "erase_slots", s.bank, 19, [{**agreement, 9: 5}]
    yield "dispute_raise", s.anna, 20, [{**agreement, 8: s.other_record, 10: 4}]
    yield "dispute_clear", s.anna, 20, [{**agreement, 8: s.other_record, 10: 5}]
    yield "vouch", s.member_party, 21, [{1: s.profile_id, 5: s.NOW + s.YEAR, 10: 1}]
    yield "largest_seconds", s.anna, 12, [{**with_head, 5: 9007199254740}]
    yield "nonces_before_ids", s.anna, 4, [opening, {**opening, 1: s.nonce("second grant")}, answer,
                                           {**answer, 1: seed("another agreement")}]
    yield "many_entries", s.bank, 5, [{**to_terms, 1: s.nonce("subscription %d" % number)} for number in range(64)]


def records():
    for name, signer, record_type, entries in cases():
        yield name, Record(s.NETWORK, signer, record_type, s.NOW_MS, entries)
    revokes = [{1: seed("agreement %d" % number)} for number in range(3)]
    yield "skip_refused", Record(s.NETWORK, s.anna, 11, s.NOW_MS, revokes, skip=True)
    yield "issued_at_largest", Record(s.NETWORK, s.anna, 9, (1 << 64) - 1, [{1: s.agreement_id}])
    yield "issued_at_zero", Record(s.NETWORK, s.anna, 9, 0, [{1: s.agreement_id}])


def items():
    return [{
        "name": name, "hex": record.bytes.hex(), "network_id": s.NETWORK.hex(), "secret": record.signer.secret.hex(),
        "signer": record.signer.key.hex(), "type": record.type, "issued_at": plain(record.issued_at),
        "skip_refused": record.skip, "entries": plain(record.entries), "payload": record.payload.hex(),
        "sig_structure": record.structure.hex(), "id": record.id.hex(), "signature": record.signature.hex(),
        "leaf_hash": record.leaf.hex(),
    } for name, record in records()]
