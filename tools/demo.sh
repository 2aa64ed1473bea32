#!/bin/sh
# Tells the story of the ledger on this machine, with real processes, keys and bytes: a node, two customers, an
# organisation and an outsider who believes nobody. Installs what is missing with apt and builds first.
#   --keep   leaves the node running and prints its URL
# Everything it makes is left in build/demo to look at.
# example: sh tools/demo.sh
set -eu
cd "$(dirname "$0")/.."

keep=no
case ${1-} in
'') ;;
--keep) keep=yes ;;
-h|--help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
*) echo "demo.sh does not know '$1'; see sh tools/demo.sh --help" >&2; exit 2 ;;
esac

sh tools/install-packages.sh build demo
echo "Building …"
make -s -j"$(nproc 2>/dev/null || echo 2)" all

root=$(pwd)
consent=$root/build/consent
consentd=$root/build/consentd
# Another demo's node may still run from --keep: stop it before its files go. (Its number may be another program's by now.)
if [ -f build/demo/node.pid ] && grep -qs build/consentd "/proc/$(cat build/demo/node.pid)/cmdline"; then
    kill "$(cat build/demo/node.pid)" 2>/dev/null || true
fi
rm -rf build/demo
mkdir -p build/demo
cd build/demo

# A port that nobody uses just now.
port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
CONSENT_NODE=http://127.0.0.1:$port
export CONSENT_NODE
year=$(($(date -u +%Y) + 1))

if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then bold=$(printf '\033[1m'); dim=$(printf '\033[2m'); plain=$(printf '\033[0m')
else bold= dim= plain=; fi
chapter() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
tell() { printf '%s\n' "$1" | fold -s -w 100; }
fail() { echo "The demo went wrong: $1" >&2; [ ! -f node.log ] || tail -n 5 node.log >&2; exit 1; }

# as WHO COMMAND...: the command line with that person's wallet; shows what would be typed, then what it says.
# expect STATUS before it says how it has to end.
expected=0
expect() { expected=$1; }
show() {
    printf '%s  $ %s%s\n' "$dim" "$2" "$plain"; shift 2
    status=0
    "$@" >said 2>&1 </dev/null || status=$?
    sed 's/^/    /' said
    [ "$status" -eq "$expected" ] || fail "exit status $status, $expected was due"
    [ "$status" -eq 0 ] || printf '    (exit status %s)\n' "$status"
    expected=0
}
as() {
    who=$1; shift
    show "$who" "$who: consent $*" env CONSENT_WALLET="$who.wallet" CONSENT_PASSPHRASE_FILE="$who.passphrase" "$consent" "$@"
}
outsider() { show outsider "anybody: consent $*" env -u CONSENT_NODE CONSENT_WALLET=none "$consent" "$@"; }
field() { /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)'"$1"')'; }

start_node() {
    "$consentd" run --data node --listen "127.0.0.1:$port" >>node.log 2>&1 &
    node=$!
    echo "$node" >node.pid
    tries=0
    until curl -fs "$CONSENT_NODE/readyz" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || fail "the node does not get ready"
        kill -0 "$node" 2>/dev/null || fail "the node ended"
        sleep 0.05
    done
}
finish() {
    status=$?
    if [ "$keep" = no ] || [ "$status" -ne 0 ]; then
        [ -z "${node-}" ] || kill "$node" 2>/dev/null || true
        rm -f node.pid
    fi
    rm -f said
}
trap finish EXIT
trap 'exit 130' INT TERM

chapter "1. A node of the ledger"
tell "A hospital, a bank, a consumer union each run a node; here one member founds the network. Its document lists the members' keys; the hash of that document is the network's name in every signature."
"$consentd" init --data node --name union --role controller --jurisdiction NL >init.log
"$consentd" genesis --origin consent.example/demo --out node/genesis.json node/member.json | sed 's/^/    /'
start_node
"$consent" node policy >network.policy
tell "It runs. network.policy is the trust file: whose signatures count. Whoever verifies needs this file and nothing else from us."

chapter "2. Anna states her terms"
for who in anna ben bakery; do
    od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$who.passphrase"
    as "$who" key new --name "$who" --no-ask >"$who.words"
done
tell "Anna, Ben and the bakery each have a wallet with their own keys; 24 words rebuild it. Anna writes down what she shares, for what and how long, in words of the W3C Data Privacy Vocabulary and IEEE 7012:"
"$consent" terms new >terms.txt
grep -v '^#' terms.txt | grep -v '^$' | sed 's/^/    /'
if [ -f "$root/../shared/data/dpv-2.3/dpv-purposes.csv" ]; then
    for term in $(grep -o 'dpv:[A-Z][A-Za-z]*\|pd:[A-Z][A-Za-z]*' terms.txt | sed 's/^[a-z]*://' | sort -u); do
        cat "$root"/../shared/data/dpv-2.3/*.csv | grep -q "^\"$term\"," || case $term in
        Store|Use) ;; *) fail "$term is not a term of DPV 2.3" ;; esac
    done
    tell "Every category and purpose in it stands in the published vocabulary."
else
    tell "(The published vocabulary is not beside this checkout, so its identifiers are not looked up here.)"
fi
as anna terms publish terms.txt --limit 500 --standing --until "$year-06-30" --name shopping -o anna.consent-offer
tell "On the ledger stand a fresh key, a salted commitment and slot numbers. No name, no text, nothing to guess."

chapter "3. The bakery subscribes to her terms"
as bakery profile bakery --display "Corner Bakery"
as bakery import anna.consent-offer --name anna --quiet
as bakery subscribe anna --as bakery --name anna-shopping
as bakery check anna-shopping --slot email --purpose dpv:Marketing

chapter "4. Ben makes an offer to the bakery alone"
profile=$(CONSENT_WALLET=bakery.wallet CONSENT_PASSPHRASE_FILE=bakery.passphrase "$consent" show bakery --json | field '["object"]')
as ben grant bakery --to "$profile" --terms terms.txt --until "$year-12-31" -o ben.consent-offer
tell "Until the bakery answers, the ledger does not show for whom the offer is."
as bakery import ben.consent-offer --name ben --quiet
as bakery subscribe ben --as bakery --quiet
tell "Ben thinks again: only his e-mail address. One command, no questions."
as ben amend bakery --slots 1
as ben history bakery

chapter "5. Somebody pulls the plug"
tell "The node is killed in the middle (kill -9) and started again. What was acknowledged is there."
kill -9 "$node"
wait "$node" 2>/dev/null || true
start_node
as bakery check anna-shopping --slot email --purpose dpv:Marketing

chapter "6. A stranger verifies, offline"
as bakery proof anna-shopping -o before.consent-proof
tell "The file goes to somebody who has only network.policy. No node is asked:"
outsider verify before.consent-proof --policy network.policy
tell "The bakery may show the body too; then slots have names:"
outsider verify before.consent-proof --policy network.policy --body anna.consent-offer
tell "The same record, checked with openssl and a few lines of Python instead of our code:"
mkdir -p others
record=$(CONSENT_WALLET=bakery.wallet CONSENT_PASSPHRASE_FILE=bakery.passphrase "$consent" history anna-shopping --json | field '["history"][0]["record_id"]')
curl -fs -H 'Accept: application/cose' "$CONSENT_NODE/v1/records/$record" >others/record.cose
curl -fs "$CONSENT_NODE/v1/network" | field '["network_id"]' >others/network_id.hex
curl -fs "$CONSENT_NODE/v1/records/$record" | field '["signer"]' >others/signer.hex
sh "$root/tests/interop/record_openssl.sh" others | sed 's/^/    /'

chapter "7. Anna withdraws"
as anna list --refresh
as anna revoke shopping.1
expect 11
as bakery check anna-shopping --slot email --purpose dpv:Marketing
tell "The bakery's feed has it at once (last two events):"
"$consent" feed --once --reader-token-file node/reader.token 2>/dev/null | tail -n 2 | cut -c1-150 | sed 's/^/    /'
as bakery proof anna-shopping -o after.consent-proof
tell "A fresh proof says so:"
expect 11
outsider verify after.consent-proof --policy network.policy
tell "The old file still tells the truth about its own moment, and says which moment that is:"
outsider verify before.consent-proof --policy network.policy
tell "Whoever insists on freshness is not fooled by it:"
sleep 2
expect 16
outsider verify before.consent-proof --policy network.policy --max-age 1s
tell "And with one byte flipped:"
/usr/bin/python3 - before.consent-proof flipped.consent-proof <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) // 2] ^= 1
open(sys.argv[2], "wb").write(data)
END
status=0
"$consent" verify flipped.consent-proof --policy network.policy >said 2>&1 || status=$?
sed 's/^/    /' said
case $status in 10|13|14) ;; *) fail "a flipped byte was not refused" ;; esac

chapter "8. What remains"
as bakery erase anna-shopping
as anna list --refresh
size=$(wc -c <before.consent-proof | tr -d ' ')
tell "In build/demo: terms.txt, the two proofs ($size bytes the first), the trust file, the wallets and the node's data. Try:"
echo "    build/consent inspect build/demo/before.consent-proof"
if [ "$keep" = yes ]; then
    echo "The node goes on at $CONSENT_NODE (stop it with: kill $node)."
else
    kill "$node"; wait "$node" 2>/dev/null || true; node=
    echo "The node has stopped. 'sh tools/demo.sh --keep' leaves it running."
fi
