"""The people, keys and objects that all vectors share, so that they fit together."""

from formats import (Ed25519, Party, audience_hash, canonical, commitment, object_id, recovery_hash, seed, sha256,
                     x25519_public)

GENESIS = b"consent test vector: a genesis document\n"
NETWORK = sha256(GENESIS)
OTHER_NETWORK = sha256(b"consent test vector: another network\n")
ORIGIN = "ledger.example/consent"
GENESIS_MS = 1_760_000_000_000
NOW_MS = 1_760_000_100_000
NOW = NOW_MS // 1000
YEAR = 365 * 86400

anna = Party("Anna, for the bank")
bank = Party("the bank")
bank_delegate = Party("a branch of the bank")
recovery = Party("Anna's recovery key")
token = Party("the token in a connect code")
new_key = Party("a key to rotate to")
member_party = Party("member 0")


def nonce(name):
    return seed("nonce " + name)[:16]


def salt(name):
    return seed("salt " + name)


# A terms body whose fields can be shown one by one: digests in ascending order, disclosures in the order of theirs.
FIELDS = [["proffered-by", "the customer"], ["slot-0", {1: "https://w3id.org/dpv/pd#EmailAddress", 2: [1, 2]}],
          ["retention", "P1Y"], ["language", "en"]]
disclosures = sorted((canonical([seed("field salt " + name)[:16], name, value]) for name, value in FIELDS), key=sha256)
BODY = canonical([1, "terms", [sha256(disclosure) for disclosure in disclosures]])

profile_nonce = nonce("profile")
profile_id = object_id(bank.key, profile_nonce)
profile_commitment = commitment(profile_id, salt("profile"), BODY)
delivery = x25519_public("delivery key of the bank")
bank_recovery = recovery_hash(Party("the bank's recovery key").key)

terms_nonce = nonce("terms")
terms_id = object_id(anna.key, terms_nonce)
terms_commitment = commitment(terms_id, salt("terms"), BODY)
older_terms_id = object_id(anna.key, nonce("older terms"))

grant_nonce = nonce("grant")
agreement_id = object_id(anna.key, grant_nonce)
agreement_commitment = commitment(agreement_id, salt("grant"), BODY)
audience = [1, audience_hash(salt("audience"), bank.key)]
token_audience = [2, token.key]
anna_recovery = recovery_hash(recovery.key)

request_nonce = nonce("request")
request_id = object_id(bank.key, request_nonce)
subscribe_nonce = nonce("subscribe")
subscription_id = object_id(bank.key, subscribe_nonce)
head = seed("id of the record that is the head")
other_record = seed("id of some other record")


class Member:
    def __init__(self, number):
        self.number = number
        self.name = "member-%d" % number
        self.vote = Ed25519("vote key of member %d" % number)
        self.log = Ed25519("log key of member %d" % number)
        self.witness = Ed25519("witness key of member %d" % number)
        self.party = Party("member %d" % number)

    def array(self):
        return [self.name, self.vote.public, self.log.public, self.witness.public, self.party.key]


members = [Member(number) for number in range(4)]
member_array = [member.array() for member in members]
parameters = [100_000, 8192, 8 * 1024 * 1024, 500, 1, 1]
