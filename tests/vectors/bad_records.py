"""Records that a decoder must refuse, each with one fault and otherwise signed correctly."""

import scene as s
from formats import ORDER, Raw, canonical, encode, envelope, head, plain, seed, sha256, sig_structure

ID = s.agreement_id
EARLIER, LATER = sorted([seed("one agreement"), seed("another agreement")])


def signed(payload, signer=s.anna, protected=None, unprotected=None, signature=None, tag=18, after=b""):
    protected = canonical({1: -47, 4: signer.key}) if protected is None else protected
    if signature is None:
        signature = signer.sign(sha256(sig_structure(s.NETWORK, protected, payload)))
    return envelope(protected, {} if unprotected is None else unprotected, payload, signature, tag) + after


def payload(record_type, entries, **more):
    content = {1: record_type, 2: s.NOW_MS, 3: entries}
    content.update({int(key[1:]): value for key, value in more.items()})
    return encode(content)


GOOD = payload(11, [{1: ID}])


def flip_s(signature):
    return signature[:32] + (ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")


def envelopes():
    good = signed(GOOD)
    key_id = bytes(s.anna.key)
    protected = canonical({1: -47, 4: key_id})
    signature = s.anna.sign(sha256(sig_structure(s.NETWORK, protected, GOOD)))
    yield "empty", b"", "CBOR_TRUNCATED"
    yield "tag_alone", good[:1], "CBOR_TRUNCATED"
    yield "truncated_in_protected", good[:20], "CBOR_TRUNCATED"
    yield "truncated_by_one", good[:-1], "CBOR_TRUNCATED"
    yield "trailing_byte", good + b"\0", "CBOR_TRAILING"
    yield "twice", good + good, "CBOR_TRAILING"
    yield "tag_missing", good[1:], "CBOR_TYPE"
    yield "tag_sign", signed(GOOD, tag=98), "FORMAT"
    yield "tag_not_shortest", b"\xd8\x12" + good[1:], "CBOR_NOT_CANONICAL"
    yield "tag_twice", b"\xd2" + good, "CBOR_TYPE"
    yield "self_described", b"\xd9\xd9\xf7" + good, "FORMAT"
    yield "array_of_three", encode_tagged([protected, {}, GOOD]), "FORMAT"
    yield "array_of_five", encode_tagged([protected, {}, GOOD, signature, None]), "FORMAT"
    yield "array_indefinite", b"\xd2\x9f" + good[2:] + b"\xff", "CBOR_NOT_CANONICAL"
    yield "array_not_shortest", b"\xd2\x98\x04" + good[2:], "CBOR_NOT_CANONICAL"
    yield "protected_not_shortest", b"\xd2\x84\x59\x00\x28" + good[4:], "CBOR_NOT_CANONICAL"
    yield "protected_map", encode_tagged([{1: -47, 4: key_id}, {}, GOOD, signature]), "CBOR_TYPE"
    yield "protected_empty", signed(GOOD, protected=b""), "CBOR_TRUNCATED"
    yield "protected_trailing", signed(GOOD, protected=protected + b"\0"), "CBOR_TRAILING"
    yield "algorithm_es256", signed(GOOD, protected=canonical({1: -7, 4: key_id})), "FORMAT"
    yield "algorithm_eddsa", signed(GOOD, protected=canonical({1: -8, 4: key_id})), "FORMAT"
    yield "algorithm_positive", signed(GOOD, protected=canonical({1: 46, 4: key_id})), "FORMAT"
    yield "algorithm_missing", signed(GOOD, protected=canonical({4: key_id})), "FORMAT"
    yield "algorithm_text", signed(GOOD, protected=canonical({1: "ES256K", 4: key_id})), "CBOR_TYPE"
    yield "algorithm_not_shortest", signed(GOOD, protected=b"\xa2\x01\x39\x00\x2e\x04" + encode(key_id)), "CBOR_NOT_CANONICAL"
    yield "algorithm_huge", signed(GOOD, protected=b"\xa2\x01\x3b" + b"\xff" * 8 + b"\x04" + encode(key_id)), "VALUE"
    yield "kid_missing", signed(GOOD, protected=canonical({1: -47})), "FORMAT"
    yield "kid_of_32", signed(GOOD, protected=canonical({1: -47, 4: key_id[1:]})), "FORMAT"
    yield "kid_of_65", signed(GOOD, protected=canonical({1: -47, 4: b"\4" + bytes(64)})), "FORMAT"
    yield "kid_text", signed(GOOD, protected=canonical({1: -47, 4: "k" * 33})), "CBOR_TYPE"
    yield "protected_unsorted", signed(GOOD, protected=b"\xa2\x04" + encode(key_id) + b"\x01\x38\x2e"), "FORMAT"
    yield "protected_duplicate", signed(GOOD, protected=b"\xa2\x01\x38\x2e\x01\x38\x2e"), "CBOR_NOT_CANONICAL"
    yield "protected_third_key", signed(GOOD, protected=canonical({1: -47, 4: key_id, 5: 1})), "FORMAT"
    yield "protected_critical", signed(GOOD, protected=canonical({1: -47, 2: [1], 4: key_id})), "FORMAT"
    yield "unprotected_kid", signed(GOOD, unprotected={4: key_id}), "FORMAT"
    yield "unprotected_receipt", signed(GOOD, unprotected={394: [b"receipt"]}), "FORMAT"
    yield "unprotected_array", signed(GOOD, unprotected=[]), "CBOR_TYPE"
    yield "unprotected_null", signed(GOOD, unprotected=Raw(b"\xf6")), "CBOR_TYPE"
    yield "unprotected_indefinite", signed(GOOD, unprotected=Raw(b"\xbf\xff")), "CBOR_NOT_CANONICAL"
    yield "payload_detached", envelope(protected, {}, None, signature), "CBOR_TYPE"
    yield "payload_text", envelope(protected, {}, "text", signature), "CBOR_TYPE"
    yield "payload_indefinite", envelope(protected, {}, Raw(b"\x5f" + encode(GOOD) + b"\xff"), signature), "CBOR_NOT_CANONICAL"
    yield "payload_too_long", envelope(protected, {}, Raw(head(2, 1 << 40)), signature), "CBOR_TRUNCATED"
    yield "signature_of_63", signed(GOOD, signature=signature[:63]), "FORMAT"
    yield "signature_of_65", signed(GOOD, signature=signature + b"\0"), "FORMAT"
    yield "signature_empty", signed(GOOD, signature=b""), "FORMAT"
    yield "signature_null", signed(GOOD, signature=Raw(b"\xf6")), "CBOR_TYPE"
    yield "signature_high_s", signed(GOOD, signature=flip_s(signature)), "SIGNATURE_HIGH_S"
    yield "signature_just_high", signed(GOOD, signature=signature[:32] + (ORDER // 2 + 1).to_bytes(32, "big")), "SIGNATURE_HIGH_S"


def encode_tagged(items):
    return b"\xd2" + encode(items)


def payloads():
    entry = encode({1: ID})
    yield "payload_empty", b"", "CBOR_TRUNCATED"
    yield "payload_array", encode([11, s.NOW_MS, [{1: ID}]]), "CBOR_TYPE"
    yield "payload_trailing", GOOD + b"\0", "CBOR_TRAILING"
    yield "payload_truncated", GOOD[:-1], "CBOR_TRUNCATED"
    yield "payload_tagged", b"\xd8\x18" + GOOD, "CBOR_TYPE"
    yield "payload_map_indefinite", b"\xbf" + GOOD[1:] + b"\xff", "CBOR_NOT_CANONICAL"
    yield "payload_unsorted", b"\xa3\x02" + encode(s.NOW_MS) + b"\x01\x0b\x03\x81" + entry, "FORMAT"
    yield "payload_duplicate", b"\xa3\x01\x0b\x01\x0b\x03\x81" + entry, "FORMAT"
    yield "type_missing", encode({2: s.NOW_MS, 3: [{1: ID}]}), "FORMAT"
    yield "issued_at_missing", encode({1: 11, 3: [{1: ID}]}), "FORMAT"
    yield "entries_missing", encode({1: 11, 2: s.NOW_MS}), "FORMAT"
    yield "payload_key_five", payload(11, [{1: ID}], _5=1), "FORMAT"
    yield "payload_key_text", encode({1: 11, 2: s.NOW_MS, 3: [{1: ID}], "4": 1}), "CBOR_TYPE"
    yield "skip_zero", payload(11, [{1: ID}], _4=0), "VALUE"
    yield "skip_two", payload(11, [{1: ID}], _4=2), "VALUE"
    yield "skip_true", payload(11, [{1: ID}], _4=True), "CBOR_TYPE"
    for number in (0, 13, 22, 32, 256 + 11, (1 << 64) - 1):
        yield "type_%d" % number, payload(number, [{1: ID}]), "RECORD_TYPE"
    yield "type_negative", payload(-12, [{1: ID}]), "CBOR_TYPE"
    yield "type_text", payload("REVOKE", [{1: ID}]), "CBOR_TYPE"
    yield "type_float", payload(Raw(b"\xf9\x49\x80"), [{1: ID}]), "CBOR_TYPE"
    yield "type_not_shortest", b"\xa3\x01\x18\x0b" + GOOD[3:], "CBOR_NOT_CANONICAL"
    yield "issued_at_negative", encode({1: 11, 2: -1, 3: [{1: ID}]}), "CBOR_TYPE"
    yield "issued_at_float", encode({1: 11, 2: Raw(b"\xfb" + bytes(8)), 3: [{1: ID}]}), "CBOR_TYPE"
    yield "issued_at_bignum", encode({1: 11, 2: Raw(b"\xc2\x41\x01"), 3: [{1: ID}]}), "CBOR_TYPE"
    yield "issued_at_not_shortest", encode({1: 11, 2: Raw(b"\x1b\x00\x00\x00\x00" + bytes(3) + b"\x01"), 3: [{1: ID}]}), "CBOR_NOT_CANONICAL"
    yield "issued_at_reserved_length", encode({1: 11, 2: Raw(b"\x1c"), 3: [{1: ID}]}), "CBOR_NOT_CANONICAL"
    yield "entries_none", payload(11, []), "RECORD_ENTRIES"
    yield "entries_map", payload(11, {1: ID}), "CBOR_TYPE"
    yield "entries_indefinite", encode({1: 11, 2: s.NOW_MS, 3: Raw(b"\x9f" + entry + b"\xff")}), "CBOR_NOT_CANONICAL"
    yield "entries_count_beyond_bytes", encode({1: 11, 2: s.NOW_MS, 3: Raw(b"\x9a\xff\xff\xff\xff" + entry)}), "CBOR_TRUNCATED"
    narrow = sorted(seed("agreement %d" % number) for number in range(65))
    yield "entries_65_of_amend", payload(8, [{1: one, 9: 1} for one in narrow]), "RECORD_ENTRIES"
    yield "entries_descending", payload(11, [{1: LATER}, {1: EARLIER}]), "RECORD_ORDER"
    yield "entries_duplicate_object", payload(11, [{1: ID}, {1: ID}]), "RECORD_ORDER"
    grant = {3: s.agreement_commitment, 6: s.audience, 9: 7}
    answer = {1: ID, 2: s.head, 3: s.agreement_commitment, 9: 7}
    yield "id_before_nonce", payload(4, [answer, {1: s.grant_nonce, **grant}]), "RECORD_ORDER"
    yield "nonces_descending", payload(4, [{1: b"\x02" * 16, **grant}, {1: b"\x01" * 16, **grant}]), "RECORD_ORDER"


def entry_faults():
    """Of one entry: (name, type, entry, what)"""
    answer = {1: ID, 2: s.head, 3: s.agreement_commitment, 9: 7}
    opening = {1: s.grant_nonce, 3: s.agreement_commitment, 6: s.audience, 9: 7}
    terms = {1: s.terms_nonce, 3: s.terms_commitment, 9: 3, 11: 1000, 14: 1}
    delegate = {1: ID, 5: s.NOW, 12: s.bank_delegate.key, 14: 31}
    off_curve = b"\x02" + (5).to_bytes(32, "big")
    yield "entry_empty", 11, {}, "RECORD_KEYS"
    yield "entry_array", 11, [1, ID], "CBOR_TYPE"
    yield "entry_indefinite", 11, Raw(b"\xbf\x01" + encode(ID) + b"\xff"), "CBOR_NOT_CANONICAL"
    yield "entry_unsorted", 11, Raw(b"\xa2\x09\x01\x01" + encode(ID)), "CBOR_NOT_CANONICAL"
    yield "entry_duplicate_key", 11, Raw(b"\xa2\x01" + encode(ID) + b"\x01" + encode(ID)), "CBOR_NOT_CANONICAL"
    yield "entry_key_zero", 11, {0: 1, 1: ID}, "RECORD_KEYS"
    yield "entry_key_16", 11, {1: ID, 16: 1}, "RECORD_KEYS"
    yield "entry_key_not_shortest", 11, Raw(b"\xa1\x18\x01" + encode(ID)), "CBOR_NOT_CANONICAL"
    yield "entry_key_negative", 11, {1: ID, -1: 1}, "CBOR_TYPE"
    yield "entry_key_text", 11, {1: ID, "9": 1}, "CBOR_TYPE"
    yield "object_missing", 11, {9: 1}, "RECORD_KEYS"
    yield "object_of_31", 11, {1: ID[1:]}, "FORMAT"
    yield "object_of_33", 11, {1: ID + b"\0"}, "FORMAT"
    yield "object_empty", 11, {1: b""}, "FORMAT"
    yield "object_nonce_where_id", 11, {1: s.grant_nonce}, "RECORD_KEYS"
    yield "object_id_where_nonce", 2, {**terms, 1: s.terms_id}, "RECORD_KEYS"
    yield "object_text", 11, {1: "x" * 32}, "CBOR_TYPE"
    yield "object_nested", 11, {1: [[[[[[[[[[ID]]]]]]]]]]}, "CBOR_TYPE"
    yield "extra_prev", 11, {1: ID, 2: s.head}, "RECORD_KEYS"
    yield "extra_audience", 4, {**answer, 6: s.audience}, "RECORD_KEYS"
    yield "extra_recovery_of_subscribe", 5, {**answer, 15: s.anna_recovery}, "RECORD_KEYS"
    yield "missing_prev", 10, {1: ID}, "RECORD_KEYS"
    yield "missing_commitment", 4, {1: ID, 2: s.head, 9: 7}, "RECORD_KEYS"
    yield "missing_slots", 4, {1: ID, 2: s.head, 3: s.agreement_commitment}, "RECORD_KEYS"
    yield "missing_audience", 3, {1: s.request_nonce, 3: s.agreement_commitment, 9: 7}, "RECORD_KEYS"
    yield "profile_without_recovery", 1, {1: s.profile_nonce, 3: s.profile_commitment, 12: s.delivery}, "RECORD_KEYS"
    yield "amend_of_nothing", 8, {1: ID}, "RECORD_KEYS"
    yield "amend_accept_with_slots", 8, {1: ID, 2: s.head, 8: s.other_record, 9: 1}, "RECORD_KEYS"
    yield "amend_narrow_with_prev", 8, {1: ID, 2: s.head, 9: 1}, "RECORD_KEYS"
    yield "rotate_recovery_without_opening", 18, {1: ID, 12: s.new_key.key, 15: s.anna_recovery}, "RECORD_KEYS"
    yield "prev_of_31", 10, {1: ID, 2: s.head[1:]}, "FORMAT"
    yield "prev_null", 10, {1: ID, 2: None}, "CBOR_TYPE"
    yield "commitment_of_33", 4, {**answer, 3: s.agreement_commitment + b"\0"}, "FORMAT"
    yield "slots_zero", 4, {**answer, 9: 0}, "VALUE"
    yield "slots_negative", 4, {**answer, 9: -1}, "CBOR_TYPE"
    yield "slots_not_shortest", 11, Raw(b"\xa2\x01" + encode(ID) + b"\x09\x18\x17"), "CBOR_NOT_CANONICAL"
    yield "slots_false", 11, {1: ID, 9: False}, "CBOR_TYPE"
    yield "slots_undefined", 11, {1: ID, 9: Raw(b"\xf7")}, "CBOR_TYPE"
    yield "slots_simple", 11, {1: ID, 9: Raw(b"\xf8\x20")}, "CBOR_TYPE"
    yield "slots_break", 11, Raw(b"\xa2\x01" + encode(ID) + b"\x09\xff"), "CBOR_TYPE"
    yield "not_before_beyond", 4, {**answer, 4: 9007199254741}, "VALUE"
    yield "not_after_beyond", 4, {**answer, 5: 9007199254741}, "VALUE"
    yield "period_empty", 4, {**answer, 4: s.NOW, 5: s.NOW}, "VALUE"
    yield "period_reversed", 15, {1: s.profile_id, 3: s.head, 4: s.NOW + 1, 5: s.NOW}, "VALUE"
    yield "period_float", 4, {**answer, 5: Raw(b"\xfa\x4e\x6e\x6b\x28")}, "CBOR_TYPE"
    yield "audience_kind_zero", 4, {**opening, 6: [0, s.head]}, "FORMAT"
    yield "audience_kind_three", 4, {**opening, 6: [3, s.head]}, "FORMAT"
    yield "audience_of_one", 4, {**opening, 6: [1]}, "FORMAT"
    yield "audience_hash_of_33", 4, {**opening, 6: [1, s.token.key]}, "FORMAT"
    yield "audience_token_of_32", 4, {**opening, 6: [2, s.head]}, "FORMAT"
    yield "audience_token_off_curve", 4, {**opening, 6: [2, off_curve]}, "KEY"
    yield "audience_token_bad_prefix", 4, {**opening, 6: [2, b"\x05" + s.token.key[1:]]}, "KEY"
    yield "opening_of_16", 4, {**answer, 7: bytes(16)}, "FORMAT"
    yield "opening_of_65", 4, {**answer, 7: bytes(65)}, "FORMAT"
    yield "ref_of_16", 14, {1: ID, 8: bytes(16), 10: 1}, "FORMAT"
    for record_type, extra, reasons in ((7, {2: s.head}, (0, 5, 9)), (11, {}, (0, 1, 5, 9)), (14, {8: s.head}, (0, 4)),
                                        (20, {8: s.head}, (3, 6)), (21, {5: s.NOW}, (0, 3, 256 + 1))):
        for reason in reasons:
            yield "reason_%d_of_type_%d" % (reason, record_type), record_type, {1: ID, **extra, 10: reason}, "VALUE"
    yield "limit_zero", 2, {**terms, 11: 0}, "VALUE"
    yield "mode_four", 2, {**terms, 14: 4}, "VALUE"
    yield "powers_zero", 16, {**delegate, 14: 0}, "VALUE"
    yield "powers_32", 16, {**delegate, 14: 32}, "VALUE"
    yield "delegate_to_32", 16, {**delegate, 12: s.delivery}, "FORMAT"
    yield "delegate_off_curve", 16, {**delegate, 12: off_curve}, "KEY"
    yield "undelegate_off_curve", 17, {1: ID, 12: off_curve}, "KEY"
    yield "rotate_to_zero", 18, {1: ID, 12: b"\x02" + bytes(32)}, "KEY"
    yield "rotate_opening_of_32", 18, {1: ID, 7: s.head, 12: s.new_key.key}, "FORMAT"
    yield "profile_key_of_33", 1, {1: s.profile_nonce, 3: s.profile_commitment, 12: s.bank.key, 15: s.bank_recovery}, "FORMAT"
    yield "party_of_33", 4, {**answer, 13: s.bank.key}, "FORMAT"
    yield "recovery_of_33", 4, {**answer, 15: s.recovery.key}, "FORMAT"


def items():
    out = [(name, data, expect, 0) for name, data, expect in envelopes()]
    out += [(name, signed(data), expect, 1 if expect == "RECORD_ORDER" else 0) for name, data, expect in payloads()]
    out += [(name, signed(payload(number, [entry])), expect, 0) for name, number, entry, expect in entry_faults()]
    fault = [{1: EARLIER}, {1: LATER, 9: 0}]
    out.append(("slots_zero_in_second_entry", signed(payload(11, fault)), "VALUE", 1))
    assert len({name for name, _, _, _ in out}) == len(out)
    return [{"name": name, "hex": plain(data), "network_id": s.NETWORK.hex(), "expect": "CL_E_" + expect, "entry": entry}
            for name, data, expect, entry in out]
