#!/bin/sh
# Lets foreign tools judge the product itself: a node of one member and wallets are used as people use them, everything
# that they get in hand is collected (tests/interop/collect.py), and tests/interop/run_all.sh passes judgement.
# KEEP=DIR leaves the collected files in DIR.
set -eu
build=$(cd "${1:-build}" && pwd)
interop=$(cd "$(dirname "$0")/../interop" && pwd)
scratch=$(mktemp -d)
files=$scratch/files
node=
stop() {
    [ -z "$node" ] || { kill "$node" && wait "$node"; } 2>/dev/null || true
    [ -z "${KEEP-}" ] || { mkdir -p "$KEEP" && cp -a "$files/." "$KEEP/"; }
    rm -rf "$scratch"
}
trap stop EXIT
trap 'exit 130' INT TERM
mkdir "$files"
fail() { echo "FAIL: $*" >&2; exit 1; }

# ---- a node, three wallets
echo 'correct horse battery staple' >"$scratch/passphrase"
export CONSENT_PASSPHRASE_FILE="$scratch/passphrase" CONSENT_BUILD="$build" XDG_CONFIG_HOME="$scratch" XDG_DATA_HOME="$scratch"
unset CONSENT_NODE CONSENT_WALLET
"$build/consentd" init --data "$scratch/node" --name hospital --jurisdiction DE >"$scratch/log" 2>&1
"$build/consentd" genesis --origin interop.example/ledger --out "$scratch/node/genesis.json" --open-reads \
    "$scratch/node/member.json" >>"$scratch/log" 2>&1
: >"$scratch/ready"
"$build/consentd" run --data "$scratch/node" --listen 127.0.0.1:0 >"$scratch/ready" 2>"$scratch/node.log" &
node=$!
url=
for _ in $(seq 300); do
    url=$(sed -n 's/.* at \(http:[^ ]*\)$/\1/p' "$scratch/ready")
    [ -z "$url" ] || break
    kill -0 "$node" 2>/dev/null || { cat "$scratch/log" "$scratch/node.log" >&2; fail 'the node does not start'; }
    sleep 0.1
done
[ -n "$url" ] || fail 'the node is not ready after 30 seconds'
export CONSENT_NODE="$url"

collect() { /usr/bin/python3 "$interop/collect.py" "$url" "$files" "$@"; }
# of FIELD: from the JSON that the last command of ours printed
of() { /usr/bin/python3 -c 'import functools, json, sys
print(functools.reduce(lambda value, name: value[name], sys.argv[2].split("."), json.load(open(sys.argv[1]))))' "$scratch/json" "$1"; }
by() {
    wallet=$1
    shift
    CONSENT_WALLET="$scratch/$wallet.wallet" "$build/consent" "$@" --json >"$scratch/json" 2>"$scratch/said" ||
        { cat "$scratch/said" "$scratch/json" >&2; fail "consent $*"; }
}
by acme key new --name acme --no-ask
acme=$(of did)
by anna key new --name anna --no-ask
cp "$scratch/json" "$scratch/words"
by anna key new --name far --uri https://bank.example/relationship
"$build/consent" terms new >"$scratch/terms.txt"
collect network

# ---- proofs of state at 1, 2, 3, 10 and 1,000 agreements; the tree holds nothing else but the network's entry
count=0
for wanted in 1 2 3 10; do
    while [ "$count" -lt "$wanted" ]; do
        count=$((count + 1))
        by anna grant "grant-$count" --to "$acme" --terms "$scratch/terms.txt" --until 2099-12-31 -o "$scratch/offer-$count"
        record=$(of record_id)
    done
    by anna proof "grant-$count" -o "$scratch/state.consent-proof"
    collect state "$wanted" "$scratch/state.consent-proof"
done
collect record "$record"
collect receipt "$record"
made=$(collect fill 990 64)
by anna proof "$made" -o "$scratch/state.consent-proof"
collect state 1000 "$scratch/state.consent-proof"
collect absence

# ---- a first checkpoint, then more of the life of an agreement, then a later one with tiles that are full
by acme subscribe first --offer "$scratch/offer-1" --name first
collect inclusion "$(of record_id)"
by anna suspend grant-1
by anna revoke grant-1
collect record "$(of record_id)" record_revoke

# ---- records signed in a token: raw and DER through exec:, and through pkcs11:
token_key=$(sh "$interop/softhsm_setup.sh" "$scratch/token")
cat >"$scratch/signer" <<SIGNER
#!/bin/sh
'$scratch/token/sign-digest' >'$scratch/raw' && cat '$scratch/raw'
SIGNER
chmod 755 "$scratch/signer"
high=no
for try in $(seq 40); do
    by anna grant "token-$try" --to "$acme" --terms "$scratch/terms.txt" \
        --signer "exec:$scratch/signer" --signer-key "$token_key" --save "$scratch/record_hsm.cose"
    # s is the second half, and high where its first bit is set
    [ "$(od -An -tu1 -j32 -N1 "$scratch/raw")" -lt 128 ] || { high=yes; break; }
done
[ "$high" = yes ] || fail "the token gave no high s in $try signatures"
/usr/bin/python3 - "$scratch" <<'PYTHON'
import pathlib, sys
from ecdsa import SECP256k1
scratch = pathlib.Path(sys.argv[1])
record, raw = (scratch / "record_hsm.cose").read_bytes(), (scratch / "raw").read_bytes()
low = raw[:32] + (SECP256k1.order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
assert record.endswith(low), "the record does not hold the low twin of what the token gave"
(scratch / "high.cose").write_bytes(record[:-64] + raw)
PYTHON
if CONSENT_WALLET="$scratch/anna.wallet" "$build/consent" submit "$scratch/high.cose" --wait --json >"$scratch/json" 2>&1 ||
    ! grep -q '"CL_E_SIGNATURE_HIGH_S"' "$scratch/json"; then
    cat "$scratch/json" >&2
    fail 'consent submit does not refuse the high-s twin'
fi
status=$(curl -s -o "$scratch/json" -w '%{http_code}' -H 'Content-Type: application/cose' \
    --data-binary "@$scratch/high.cose" "$url/v1/records?wait=final")
[ "$status" = 400 ] && [ "$(of code)" = CL_E_SIGNATURE_HIGH_S ] || fail "the node does not refuse the high-s twin: $status"
by anna submit "$scratch/record_hsm.cose" --wait
collect record "$(of record_id)" record_hsm
cmp "$scratch/record_hsm.cose" "$files/record_hsm.cose"
by anna grant token-der --to "$acme" --terms "$scratch/terms.txt" \
    --signer "exec:SIGN_DIGEST_FORMAT=der $scratch/token/sign-digest" --signer-key "$token_key"
collect record "$(of record_id)" record_der
SOFTHSM2_CONF="$scratch/token/softhsm2.conf" PKCS11_MODULE=$(sed -n "s/.*--module '\([^']*\)'.*/\1/p" "$scratch/token/sign-digest")
export SOFTHSM2_CONF
echo 12345678 >"$scratch/pin"
by anna grant token-uri --to "$acme" --terms "$scratch/terms.txt" --signer-key "$token_key" \
    --signer "pkcs11:token=consent;object=party?module-path=$PKCS11_MODULE&pin-source=file:$scratch/pin"
collect record "$(of record_id)" record_pkcs11

# ---- what an endpoint of the organisation's gets
/usr/bin/python3 "$interop/webhook_capture.py" "$build/consent" "$acme" "$files/webhooks.json" >"$scratch/said" 2>&1 ||
    { cat "$scratch/said" >&2; fail 'consent webhooks run'; }

# ---- uses of data: logged, stated, and proven for an agreement that was used, one that was not, and one that is not named
by acme profile acme-uses
{ echo "2025-11-03T10:00:00Z $made 1 dpv:Marketing order-17"; echo "2025-11-04T10:00:00Z $made 2 dpv:ServiceProvision"; } >"$scratch/uses.txt"
for number in $(seq 40); do printf '%064d\n' "$number"; done >"$scratch/named.txt"
by acme uses add acme-uses "$scratch/uses.txt"
by acme statement acme-uses --period 2025-11 --agreements "$scratch/named.txt"
by acme uses prove acme-uses "$made" --period 2025-11 -o "$files/used.consent-uses"
by acme uses prove acme-uses "$(printf '%064d' 7)" --period 2025-11 -o "$files/unused.consent-uses"
by acme uses prove acme-uses "$(printf '%064d' 77)" --period 2025-11 -o "$files/unnamed.consent-uses"

collect fill 700 1 >"$scratch/said"

# ---- the later tree, and the wallet's words
collect checkpoint checkpoint2
collect consistency
collect tiles
by anna key list
/usr/bin/python3 - "$scratch/words" "$scratch/json" "$files/wallet_words.json" <<'PYTHON'
import json, sys
words, keys = (json.load(open(name)) for name in sys.argv[1:3])
json.dump({"words": words["words"], "keys": keys["keys"]}, open(sys.argv[3], "w"))
PYTHON

# ---- sealed deliveries: ours for PyNaCl, and PyNaCl's for us
by acme subscribe second --offer "$scratch/offer-2" --name second
by anna contact grant-2 -o "$files/anna.consent-contact"
by acme contact second -o "$files/acme.consent-contact"
printf 'date,amount\n2027-01-31,12.50\n' >"$files/delivery.content"
by acme deliver second "$files/delivery.content" --slot 1 --media-type text/csv --contact "$files/anna.consent-contact" --out "$scratch/sealed"
cp "$scratch"/sealed/*.consent-delivery "$files/delivery.part"
/usr/bin/python3 "$interop/delivery_python.py" "$files" make
by acme open "$files/foreign.consent-delivery" -o "$scratch/opened"
cmp "$files/delivery.content" "$scratch/opened" || fail 'what PyNaCl sealed comes out otherwise'

# ---- data stays at the source: acme holds it, and a reader whose key and bytes are Python's asks for it
reader="/usr/bin/python3 '$interop/source_python.py' '$files'"
reader_key=$(/usr/bin/python3 "$interop/source_python.py" "$files" key)
by acme show acme-uses
holder=$(of object)
by acme key list
/usr/bin/python3 -c 'import json, sys
print(next(key["public_key"] for key in json.load(open(sys.argv[1]))["keys"] if key["name"] == "acme-uses"))' "$scratch/json" >"$files/source.holder"
by anna grant holder --to "$holder" --terms "$scratch/terms.txt" --until 2099-12-31 -o "$scratch/holder.offer"
by acme subscribe held --offer "$scratch/holder.offer" --as acme-uses --name held
by anna grant reader --to "$reader_key" --terms "$scratch/terms.txt" --until 2099-12-31 -o "$scratch/reader.offer"
by acme subscribe reads --offer "$scratch/reader.offer" --name reads --signer "exec:$reader sign" --signer-key "$reader_key"
by acme contact reads --no-mailbox -o "$scratch/reader.contact" --signer "exec:$reader sign" --signer-key "$reader_key"
by anna import "$scratch/reader.contact"
by anna source release holder reader --slot 2 --for 1 --uses 2 --out "$scratch/released"
by acme open "$scratch/released/holder" -o "$scratch/release"
by acme source take "$scratch/release"
by acme open "$scratch/released/reader" -o "$files/source.consent-source"
by acme source ask "$files/source.consent-source" -o "$files/source.consent-source-request" --signer "exec:$reader sign" --signer-key "$reader_key"
by acme proof reads -o "$files/source.consent-proof"
/usr/bin/python3 "$interop/source_python.py" "$files" ask
printf 'income of 2025: 41,200\n' >"$files/source.content"
by acme source serve "$files/foreign.consent-source-request" "$files/source.content" --media-type text/plain -o "$files/source.consent-source-answer"

for record in record_revoke record_der record_pkcs11; do
    /usr/bin/python3 "$interop/record_python.py" "$files" "$record" >"$scratch/said" 2>&1 ||
        { cat "$scratch/said" >&2; fail "python3-ecdsa refuses $record"; }
done
# ---- exports: from a node and wallets of their own, in every state that they have words for
KEEP="$files" sh "$interop/../integration/cli_export.sh" "$build" >"$scratch/said" 2>&1 || { cat "$scratch/said" >&2; fail 'the exports'; }
# ---- some fields of an agreement and of a person's profile
by anna proof grant-2 -o "$files/disclosure.consent-proof"
by anna disclose grant-2 --fields contact,email -o "$files/disclosure.consent-disclosure"
by anna disclose grant-2 --fields contact,slot-2 --to "$acme" --nonce 4711 -o "$files/disclosure_addressed.consent-disclosure"
"$build/consent" profile new >"$scratch/profile.txt"
by anna profile publish "$scratch/profile.txt" --name car
by anna proof car -o "$files/disclosure_profile.consent-proof"
by anna disclose car --fields age,no-claims -o "$files/disclosure_profile.consent-disclosure"

kill "$node"
wait "$node" || { tail -n 20 "$scratch/node.log" >&2; fail 'the node does not stop cleanly'; }
node=
sh "$interop/run_all.sh" "$files"
