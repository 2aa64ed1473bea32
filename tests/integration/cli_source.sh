#!/bin/sh
# Data stays at the source: a release to the holder, a pointer to the reader, a request with a fresh proof, an answer that
# only the one who asked opens; and all that is refused on the way.
. "$(dirname "$0")/../lib/cli.sh"
home() { CONSENT_WALLET=$scratch/home "$consent" "$@"; }  # the landlord, with a profile
carl() { CONSENT_WALLET=$scratch/carl "$consent" "$@"; }  # another customer of the bank
desk() { CONSENT_WALLET=$scratch/desk "$consent" "$@"; }  # a landlord who is a bare key
start_node
cd "$scratch" || exit 1
for who in alice acme home carl desk; do expect 0 $who key new --name $who --no-ask; done
expect 0 acme profile acme --json && bank_id=$(json object)
expect 0 home profile home --json && home_id=$(json object)
desk_key=$(desk key list --json | sed -n 's/.*"did": "\([^"]*\)".*/\1/p' | head -n 1)
alice terms new >t.txt
printf 'income of 2025: 41,200\n' >income.txt
# agree CUSTOMER NAME TO ORGANISATION AS-OPTIONS KNOWN-AS
agree() {
    expect 0 "$1" grant "$2" --to "$3" --terms t.txt --until 2099-12-31 -o "$1-$2.consent-offer" --json && agreed=$(json object)
    if [ -n "$5" ]; then expect 0 "$4" subscribe --offer "$1-$2.consent-offer" --as "$5" --name "$6"; else expect 0 "$4" subscribe --offer "$1-$2.consent-offer" --name "$6" --key desk; fi
}
agree alice bank "$bank_id" acme acme anna && bank_agreement=$agreed
agree alice landlord "$home_id" home home anna && agreement=$agreed
agree carl bank "$bank_id" acme acme carl
agree alice desk "$desk_key" desk "" anna
expect 0 desk contact anna --no-mailbox -o desk.consent-contact && expect 0 alice import desk.consent-contact

# ---- what is asked of a release before it is made
expect 2 alice source release bank && has_err "Who holds it, and who may fetch it"
expect 2 alice source release bank landlord --slot 2 --out to && has_err "--for SLOT"
expect 1 alice source release bank landlord --slot 9 --for 1 --out to && has_err CL_E_SLOT_NOT_LIVE
expect 2 alice source release bank bank --slot 2 --for 1 --out to && has_err "Two agreements"
expect 1 alice source release desk landlord --slot 2 --for 1 --out to && has_err "has no profile"
expect 2 alice source release bank landlord --slot 2 --for 1 --uses 256 --out to && has_err "1 to 255"
expect 2 alice source release bank landlord --slot 2 --for 1 --until 2020-01-01 --out to && has_err "still to come"
expect 2 alice source release bank landlord --slot 2 --for 1 && has_err "--out DIR"
rm -rf to; expect 0 alice source list && has_err "Nothing is released"

# ---- release, ask, serve, open
expect 0 alice source release bank landlord --slot 2 --for email --uses 2 --where "the desk at acme.example" --out to && has "release " && has_err "Nobody else learns anything"
reference=$(echo "$out" | cut -c9-)
expect 0 acme open to/holder -o release --json && [ "$(json media_type) $(json kind)" = "application/vnd.consent-release notice" ] || fail "release: $out"
expect 0 home open to/reader -o pointer --json && [ "$(json media_type) $(json kind)" = "application/vnd.consent-source notice" ] || fail "pointer: $out"
bytes_of() { /usr/bin/python3 -c 'import sys;print(bytes.fromhex(sys.argv[2]) in open(sys.argv[1],"rb").read())' "$1" "$2"; }
[ "$(bytes_of pointer "$bank_agreement")" = False ] || fail "the landlord learns which agreement the bank has"
expect 0 acme source take release && has "may be served"
expect 0 acme source take release && has "held already"
expect 0 home source ask pointer -o request && has_err "the desk at acme.example"
expect 0 acme source serve request && has "yes" && has "of 'anna' may be served (0 of 2 times so far)"
expect 2 acme source serve request income.txt && has_err "-o"
expect 0 acme source serve request income.txt --media-type text/plain -o answer && has "(1 of 2 times); the use is logged"
grep -q "41,200" answer request && fail "the income is in clear"
[ "$(stat -c %s answer)" = 1024 ] || fail "the answer is in no size class"
expect 0 home source list && has "asked"
expect 0 home source open answer -o got --json && [ "$(json holder) $(json media_type)" = "$bank_id text/plain" ] || fail "open: $out"
cmp -s income.txt got && [ "$(stat -c %a got)" = 600 ] || fail "another content, or for all to read"
expect 4 home source open answer -o again && has_err "answered already" && [ ! -e again ] || fail "opened twice"
expect 0 acme uses list acme && has "dpv:RequestedServiceProvision" && has "$reference"

expect 0 acme inspect release && has "a release of data at its source" && has "$reference" && has "may be served 2 times, while slot 1 is live"
expect 0 home inspect pointer && has "where data of a customer may be fetched" && has "$bank_id"
expect 0 acme inspect request && has "a request to a holder" && has "$agreement" && has "and one of who asks"

# ---- offline: only what is at hand
expect 0 home source ask pointer -o request2
cp -r acme.store acme.before
expect 3 env CONSENT_NODE=http://127.0.0.1:1 CONSENT_WALLET=acme "$consent" source serve request2 --offline && has_err "consent proof"
expect 0 acme proof anna -o anna.consent-proof
expect 0 env CONSENT_NODE=http://127.0.0.1:1 CONSENT_WALLET=acme "$consent" source serve request2 --offline && has "1 of 2"

# ---- refused: a replay, another holder's answer, another key, a proof of something else, an old one, too long, used up
expect 1 acme source serve request income.txt -o no && has_err CL_E_SOURCE_REPLAY
cat >alter.py <<'PY'
# alter.py REQUEST OUT WHAT [VALUE]: the request with one field changed, signed again by a stranger (or, resign KEYFILE, by that key)
import hashlib, sys
import cbor2
from ecdsa import SECP256k1, SigningKey
from ecdsa.util import sigencode_string_canonize
fields = cbor2.loads(open(sys.argv[1], "rb").read())
place = {"agreement": 3, "slot": 4, "reference": 5, "holder": 6, "ms": 7, "proof": 10, "party_proof": 11, "nothing": None}[sys.argv[3]]
if place is not None:
    value = sys.argv[4]
    fields[place] = int(value) if place in (4, 7) else open(value, "rb").read() if place in (10, 11) else bytes.fromhex(value)
key = SigningKey.from_string(hashlib.sha256(b"a stranger").digest(), curve=SECP256k1)
fields[-2] = key.get_verifying_key().to_string("compressed")
digest = hashlib.sha256(b"consent/v1 source request\0" + cbor2.dumps(fields[:-1], canonical=True)).digest()
fields[-1] = key.sign_digest_deterministic(digest, hashfunc=hashlib.sha256, sigencode=sigencode_string_canonize)
open(sys.argv[2], "wb").write(cbor2.dumps(fields, canonical=True))
PY
alter() { /usr/bin/python3 alter.py request2 altered "$@" || fail "alter $*"; }
alter nothing && expect 10 acme source serve altered income.txt -o no && has_err CL_E_SOURCE_READER
expect 0 alice proof bank -o bank.consent-proof
alter proof bank.consent-proof && expect 13 acme source serve altered income.txt -o no && has_err CL_E_SOURCE_PROOF
alter party_proof bank.consent-proof && expect 13 acme source serve altered income.txt -o no && has_err CL_E_SOURCE_PROOF
alter agreement "$bank_agreement" && expect 1 acme source serve altered income.txt -o no && has_err CL_E_SOURCE_OTHER
alter slot 2 && expect 1 acme source serve altered income.txt -o no && has_err CL_E_SOURCE_OTHER
alter reference 00112233445566778899aabbccddeeff && expect 3 acme source serve altered income.txt -o no && has_err "no release"
alter holder "$home_id" && expect 4 acme source serve altered income.txt -o no && has_err CL_E_SOURCE_HOLDER
alter ms 1700000000000 && expect 16 acme source serve altered income.txt -o no && has_err CL_E_SOURCE_OLD
cp request2 altered; flip altered 700; expect 10 acme source serve altered income.txt -o no && has_err CL_E_SIGNATURE
sleep 2; expect 16 acme source serve request2 income.txt --max-age 1s -o no && has_err "too long ago"
head -c 262145 /dev/zero >long && expect 1 acme source serve long income.txt -o no && has_err CL_E_BOUND
: >empty; for file in empty income.txt pointer request.missing; do acme source serve $file income.txt -o no >/dev/null 2>&1 && fail "$file was served"; done
[ ! -e no ] || fail "something left"
expect 0 acme source serve request2 income.txt -o answer2 && has "2 of 2"
expect 0 home source ask pointer -o request3
expect 12 acme source serve request3 income.txt -o no && has_err CL_E_SOURCE_SPENT
# an answer of somebody else, sealed to the request's key
cat >forge.py <<'PY'
import hashlib, sys
import cbor2
from ecdsa import SECP256k1, SigningKey
from ecdsa.util import sigencode_string_canonize
from nacl.public import PublicKey, SealedBox
request = open(sys.argv[1], "rb").read()
asked = cbor2.loads(request)
key = SigningKey.from_string(hashlib.sha256(b"a stranger").digest(), curve=SECP256k1)
fields = [1, "consent-source-answer", asked[2], hashlib.sha256(request).digest(), asked[6], asked[7] + 1, "text/plain", b"income: 1", key.get_verifying_key().to_string("compressed")]
digest = hashlib.sha256(b"consent/v1 source answer\0" + cbor2.dumps(fields, canonical=True)).digest()
fields.append(key.sign_digest_deterministic(digest, hashfunc=hashlib.sha256, sigencode=sigencode_string_canonize))
data = cbor2.dumps(fields, canonical=True)
open(sys.argv[2], "wb").write(SealedBox(PublicKey(asked[9])).encrypt(data.ljust(1024 - 48, b"\0")))
PY
/usr/bin/python3 forge.py request2 forged || fail forge.py
expect 4 home source open forged -o no && has_err CL_E_SOURCE_HOLDER
expect 0 home source open answer2 -o got2 && cmp -s income.txt got2 || fail "the holder's own did not come after the forged one"

# ---- logged and counted before anything leaves, also where it then cannot
expect 0 alice source release bank landlord --slot 2 --for 1 --out to4 && expect 0 acme open to4/holder -o release4 && expect 0 home open to4/reader -o pointer4 && expect 0 acme source take release4
expect 0 home source ask pointer4 -o request8
lines=$(wc -l <acme.uses/"$bank_id".log)
expect 1 acme source serve request8 income.txt -o no/such/folder/answer && has_err "stays counted and logged"
[ "$(wc -l <acme.uses/"$bank_id".log)" -eq $((lines + 1)) ] || fail "an answer was tried before the use was logged"
expect 1 acme source serve request8 income.txt -o no && has_err CL_E_SOURCE_REPLAY
# and not counted where there is nothing to serve, nothing to log it as, or no file for the answer
expect 0 alice source release bank landlord --slot 2 --for 1 --out to5 && expect 0 acme open to5/holder -o release5 && expect 0 home open to5/reader -o pointer5 && expect 0 acme source take release5
expect 0 home source ask pointer5 -o request9
expect 3 acme source serve request9 missing.txt -o no && expect 2 acme source serve request9 income.txt -o no --purpose "no iri" && expect 2 acme source serve request9 income.txt -o no --media-type nothing
expect 0 acme source serve request9 && has "0 of 1"

# ---- taken back; a release of another customer; a request under what has ended
expect 0 alice source release bank landlord --slot 2 --for 1 --out to2 --json && second=$(json reference) && expect 0 acme open to2/holder -o release2 && expect 0 home open to2/reader -o pointer2
expect 4 home source take release2 # it is another's
expect 0 acme source take release2
expect 0 home source ask pointer2 -o request4
expect 0 alice source withdraw "$(echo "$second" | cut -c1-8)" --out back && expect 0 acme open back/holder -o back.release && expect 0 acme source take back.release && has "taken back"
expect 11 acme source serve request4 income.txt -o no && has_err CL_E_SOURCE_BACK
expect 0 acme source take release2 && has "held already" # the older word does not bring it back
expect 11 acme source serve request4 income.txt -o no && has_err CL_E_SOURCE_BACK
expect 3 alice source withdraw "$second"
expect 2 alice source withdraw bank && has_err "--out DIR"
expect 0 alice source withdraw bank --out back2 --json && [ "$(json references | tr -cd , | wc -c)" = 2 ] || fail "all that is in force at the bank, which are three: $out"
expect 3 alice source withdraw bank --out back2 && has_err "No release in force fits"
/usr/bin/python3 - release2 carls.release <<'PY'
import hashlib, sys
import cbor2
from ecdsa import SECP256k1, SigningKey
from ecdsa.util import sigencode_string_canonize
fields = cbor2.loads(open(sys.argv[1], "rb").read())
key = SigningKey.from_string(hashlib.sha256(b"a stranger").digest(), curve=SECP256k1)
fields[5], fields[-2] = bytes(16), key.get_verifying_key().to_string("compressed")
fields[-1] = key.sign_digest_deterministic(hashlib.sha256(b"consent/v1 source release\0" + cbor2.dumps(fields[:-1], canonical=True)).digest(), hashfunc=hashlib.sha256, sigencode=sigencode_string_canonize)
open(sys.argv[2], "wb").write(cbor2.dumps(fields, canonical=True))
PY
expect 10 acme source take carls.release && has_err "not signed by the customer"

# ---- where the customer's side is terms of hers: the key that owns them signs
expect 0 alice terms publish t.txt --limit 9 --standing --until 2099-12-31 --name open -o open.consent-offer
expect 0 acme subscribe --offer open.consent-offer --as acme --name open && expect 0 home subscribe --offer open.consent-offer --as home --name open && expect 0 alice list --refresh --json
at_bank=$(/usr/bin/python3 -c 'import json,sys
print(*(entry["name"] for entry in json.load(open(sys.argv[1]))["entries"] if entry["name"].startswith("open.") and sys.argv[2] in str(entry)))' "$scratch/out" "$bank_id")
[ "$at_bank" = open.1 ] && at_home=open.2 || at_home=open.1
expect 0 alice source release $at_bank $at_home --slot 2 --for 1 --out to6 && expect 0 acme open to6/holder -o release6 && expect 0 home open to6/reader -o pointer6 && expect 0 acme source take release6
expect 0 home source ask pointer6 -o request10 && expect 0 acme source serve request10 income.txt -o answer10 && expect 0 home source open answer10 -o got10 && cmp -s income.txt got10 || fail "under terms"

# ---- to a bare key; then that agreement ends
expect 0 alice source release bank desk --slot 2 --for 1 --uses 9 --out to3 && expect 0 acme open to3/holder -o release3 && expect 0 desk open to3/reader -o pointer3 && expect 0 acme source take release3
expect 0 desk source ask pointer3 -o request5 && expect 0 acme source serve request5 income.txt -o answer5 && expect 0 desk source open answer5 -o got5 && cmp -s income.txt got5 || fail "to a bare key"
expect 0 desk source ask pointer3 -o request6
expect 0 alice suspend desk && expect 12 desk source ask pointer3 -o no && has_err CL_E_SUSPENDED
expect 0 alice resume desk && expect 0 desk source ask pointer3 -o request7 && expect 0 acme source serve request7
expect 0 alice revoke desk && expect 11 desk source ask pointer3 -o no && has_err CL_E_WITHDRAWN
# a proof that was made before the end is good for as long as the holder allows
expect 0 acme source serve request7 && sleep 2 && expect 16 acme source serve request7 --max-age 1s
expect 0 desk proof anna -o ended.consent-proof
/usr/bin/python3 alter.py request7 altered proof ended.consent-proof && expect 11 acme source serve altered && has_err CL_E_WITHDRAWN
# the holder's own agreement with the customer ends
expect 0 alice revoke bank && expect 11 acme source serve request7 && has_err "your own agreement"
expect 0 acme erase anna && expect 0 acme source list --json && case $out in *"$bank_agreement"*) fail "what was released outlives the erasure: $out" ;; *'"way": "held"'*) ;; *) fail "the other agreement's went too" ;; esac
expect 0 alice forget bank && expect 0 alice source list --json && case $out in *"$bank_agreement"*) fail "what was released outlives forgetting: $out" ;; *'"way": "given"'*) ;; *) fail "the other agreement's went too" ;; esac
[ ! -e no ] || fail "something left"
finish
