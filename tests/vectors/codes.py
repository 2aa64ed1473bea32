"""Connect codes: base45 from the words of RFC 9285, codes from formats.cddl, and texts that must be refused."""

import scene as s
from base45 import base45
from formats import canonical, encode

PREFIX = "CONSENT1:"
RECEPTION = [s.salt("delivery"), "alpha", s.salt("mailbox"), 0]
NODES = ["https://one.example", "http://127.0.0.1:8780"]


def code(network=s.NETWORK, urls=(), token=s.token.secret, thing=s.agreement_id, kind=1, expiry=None, body=None, reception=None):
    return [1, network, list(urls), token, thing, kind, expiry, body, reception]


def good():
    body = [s.salt("grant"), "terms", s.disclosures]
    yield "least", code(), None
    yield "with_body", code(urls=NODES, expiry=s.NOW + 600, body=body), \
        canonical([1, s.agreement_id, s.salt("grant"), s.BODY, s.disclosures])
    yield "of_terms", code(urls=NODES[:1], thing=s.terms_id, kind=2, body=[s.salt("terms"), "terms", s.disclosures]), \
        canonical([1, s.terms_id, s.salt("terms"), s.BODY, s.disclosures])
    yield "with_reception", code(urls=NODES[:1], thing=s.terms_id, kind=2, reception=RECEPTION), None
    yield "in_return", code(urls=NODES[:1], thing=s.terms_id, kind=2, body=[s.salt("terms"), "terms", s.disclosures],
                            reception=RECEPTION[:1] + ["a" * 32] + RECEPTION[2:3] + [1]), \
        canonical([1, s.terms_id, s.salt("terms"), s.BODY, s.disclosures])
    yield "longest_url_latest_expiry", code(urls=["https://" + "a" * 247], expiry=2 ** 53 // 1000), None


def bad():
    wrong_order = [s.salt("grant"), "terms", list(reversed(s.disclosures))]
    for name, fields, expect in (
            ("version", [2] + code()[1:], "CL_E_VERSION"), ("later_version", [3, None], "CL_E_VERSION"),
            ("five_urls", code(urls=NODES[:1] * 5), "CL_E_BOUND"), ("url_too_long", code(urls=["https://" + "a" * 248]), "CL_E_FORMAT"),
            ("url_of_a_file", code(urls=["file:///etc/passwd"]), "CL_E_FORMAT"), ("url_with_a_space", code(urls=["http://a b"]), "CL_E_FORMAT"),
            ("no_secret", code(token=bytes(32)), "CL_E_SECRET"), ("of_a_profile", code(kind=3), "CL_E_FORMAT"),
            ("late_expiry", code(expiry=2 ** 53 // 1000 + 1), "CL_E_VALUE"), ("body_out_of_order", code(body=wrong_order), "CL_E_FORMAT"),
            ("empty_body", code(body=[s.salt("grant"), "terms", []]), "CL_E_BOUND"),
            ("a_field_twice", code(body=[s.salt("grant"), "terms", s.disclosures[:1] * 2]), "CL_E_FORMAT"),
            ("ten_items", code() + [None], "CL_E_FORMAT"), ("eight_items", code()[:8], "CL_E_FORMAT"),
            ("reception_without_a_node", code(reception=RECEPTION[:1] + [""] + RECEPTION[2:]), "CL_E_FORMAT"),
            ("reception_at_a_long_name", code(reception=RECEPTION[:1] + ["a" * 33] + RECEPTION[2:]), "CL_E_FORMAT"),
            ("reception_at_a_url", code(reception=RECEPTION[:1] + ["a/b"] + RECEPTION[2:]), "CL_E_FORMAT"),
            ("reception_in_capitals", code(reception=RECEPTION[:1] + ["Alpha"] + RECEPTION[2:]), "CL_E_FORMAT"),
            ("reception_of_five", code(reception=RECEPTION + [0]), "CL_E_FORMAT"),
            ("reception_with_a_short_key", code(reception=[bytes(31)] + RECEPTION[1:]), "CL_E_FORMAT"),
            ("reception_asking_twice", code(reception=RECEPTION[:3] + [2]), "CL_E_VALUE")):
        yield name, PREFIX + base45(encode(fields)), expect
    whole = PREFIX + base45(canonical(code()))
    yield "cut_by_one", whole[:-1], "CL_E_FORMAT"  # a lone character
    yield "cut_by_a_group", whole[:-((len(whole) - len(PREFIX)) % 3 or 3)], "CL_E_CBOR_TRUNCATED"
    yield "lower_case", PREFIX + whole[len(PREFIX):].lower(), "CL_E_FORMAT"
    yield "line_end", whole + "\n", "CL_E_FORMAT"
    yield "another_prefix", "CONSENT2:" + whole[len(PREFIX):], "CL_E_FORMAT"
    yield "nothing", PREFIX, "CL_E_CBOR_TRUNCATED"
    yield "trailing", PREFIX + base45(canonical(code()) + b"\0"), "CL_E_CBOR_TRAILING"


def items():
    for name, data, text in (("ab", b"AB", "BB8"), ("hello", b"Hello!!", "%69 VD92EX0"), ("base_45", b"base-45", "UJCLQE7W581"),
                             ("ietf", b"ietf!", "QED8WEX0")):  # RFC 9285, sections 4.3 and 4.4
        assert base45(data) == text
    out = [{"name": "base45_" + name, "hex": data.hex(), "text": base45(data)}
           for name, data in (("ab", b"AB"), ("hello", b"Hello!!"), ("base_45", b"base-45"), ("ietf", b"ietf!"), ("empty", b""),
                              ("highest", b"\xff\xff\xff"))]
    for name, fields, body_file in good():
        out.append({"name": "code_" + name, "hex": canonical(fields).hex(), "text": PREFIX + base45(canonical(fields)),
                    "network_id": fields[1].hex(), "urls": fields[2], "secret": fields[3].hex(), "object": fields[4].hex(),
                    "kind": fields[5], "expiry": fields[6], "body_file": None if body_file is None else body_file.hex(),
                    "reception": None if fields[8] is None else [part.hex() if isinstance(part, bytes) else part for part in fields[8]]})
    return out + [{"name": "refused_" + name, "text": text, "expect": expect} for name, text, expect in bad()]
