"""Data that stays at the source: a release, a pointer, a request with a proof that holds, an answer as it is padded and sealed,
and what a wallet keeps of them. The reader is the organisation of the agreement of chain.py; the holder is somebody else."""

from nacl.bindings import crypto_scalarmult_base

import chain as c
import proofs
import scene as s
from delivery import sealed_box
from formats import Party, canonical, domain_hash, object_id, plain, seed, sha256
from vault import pad, seal

at_holder, holder_key = Party("Anna, for who has her income statement"), Party("who has Anna's income statement")
HOLDER, AT_HOLDER = object_id(holder_key.key, s.nonce("holder")), object_id(at_holder.key, s.nonce("agreement with the holder"))
REFERENCE, UNTIL = seed("reference of a release")[:16], s.NOW + 7 * 86400
CLASSES = tuple(1024 << 2 * step for step in range(8))
reader = s.bank
answer_secret = seed("key of one request")
CONTENT = b"income of 2025: 41,200\n"


def signed(domain, fields, signer):
    fields = [*fields, signer.key]
    return [*fields, signer.sign(domain_hash(domain, canonical(fields)))]


def release(uses, made):
    return signed("consent/v1 source release", [1, "consent-release", s.NETWORK, AT_HOLDER, 2, REFERENCE, s.agreement_id, 1, UNTIL, uses, made], at_holder)


def pointer(where):
    return signed("consent/v1 source pointer", [1, "consent-source", s.NETWORK, s.agreement_id, 1, REFERENCE, HOLDER, where, UNTIL, 3, s.NOW_MS], s.anna)


def request(name, party_proof=None):
    proof = canonical(proofs.proof_file(s.agreement_id, proofs.existence(s.agreement_id), [1, 2]))
    return signed("consent/v1 source request", [1, "consent-source-request", s.NETWORK, s.agreement_id, 1, REFERENCE, HOLDER, s.NOW_MS + 9,
                                                seed(name)[:16], crypto_scalarmult_base(answer_secret), proof, party_proof], reader)


def padded(fields):
    data = canonical(fields)
    size = next(size for size in CLASSES if len(data) + 48 <= size)
    return data.ljust(size - 48, b"\0")


def register_items(given, held, asked, served, request_hash):
    store, nonce = sha256(b"store key of the vectors"), sha256(b"nonce of the vectors")[:24]
    contents = {"given": [1, given], "held": [2, held, served], "asked": [3, asked, request_hash, answer_secret, s.NOW_MS + 9]}
    for way, (name, content) in enumerate(contents.items(), 1):
        named = REFERENCE if way < 3 else request_hash[:16]
        identity = sha256(b"consent/v1 source name\0" + store + bytes([way]) + named)[:16]
        data = canonical([1, "consent-source-file", nonce, seal(store, nonce, pad(canonical(content), 4096), b"consent/v1 source file" + identity)])
        yield {"name": "file_" + name, "hex": data.hex(), "content": canonical(content).hex(), "way": way, "key": named.hex(), "id": identity.hex(), "secret": store.hex(), "nonce": nonce.hex()}


def items():
    documents = {"release": release(3, s.NOW_MS), "release_taken_back": release(0, s.NOW_MS + 1), "pointer": pointer("the desk at Kerkstraat 1"), "pointer_nowhere": pointer(""),
                 "request": request("one request"), "request_with_party_proof": request("another request", b"a proof")}
    out = [{"name": name, "hex": canonical(fields).hex(), "value": plain(fields)} for name, fields in documents.items()]
    asked = canonical(documents["request"])
    out[4].update({"policy": proofs.POLICY, "as_of_s": min(c.COSIGNED_AT), "network_id": s.NETWORK.hex(), "holder": HOLDER.hex()})
    answer = signed("consent/v1 source answer", [1, "consent-source-answer", s.NETWORK, sha256(asked), HOLDER, s.NOW_MS + 20, "text/plain", CONTENT], holder_key)
    large = signed("consent/v1 source answer", [1, "consent-source-answer", s.NETWORK, sha256(asked), HOLDER, s.NOW_MS + 20, "application/pdf", CONTENT * 50], holder_key)
    for name, fields in (("answer", answer), ("answer_4_kib", large)):
        data = padded(fields)
        out.append({"name": name, "hex": data.hex(), "value": plain(fields), "secret": answer_secret.hex(), "holder_key": holder_key.key.hex(),
                    "sealed": sealed_box(data, crypto_scalarmult_base(answer_secret), seed("ephemeral " + name)).hex()})
    served = [[s.NOW_MS + 10, seed("one request")[:16]], [s.NOW_MS + 11, seed("another request")[:16]]]
    out += register_items(canonical(documents["release"]), canonical(documents["release"]), canonical(documents["pointer"]), served, sha256(asked))
    return out
