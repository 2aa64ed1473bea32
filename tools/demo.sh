#!/bin/sh
# Tells the story of the ledger on this machine, with real processes, keys and bytes: a consortium of four, two customers,
# an organisation and an outsider who believes nobody. Installs what is missing with apt and builds first.
#   --keep   leaves the consortium running and prints its URLs
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
# Another demo's nodes may still run from --keep: stop them before their files go. (Their numbers may be others' by now.)
for file in build/demo/*/node.pid; do
    if [ -f "$file" ] && grep -qs build/consentd "/proc/$(cat "$file")/cmdline"; then kill "$(cat "$file")" 2>/dev/null || true; fi
done
rm -rf build/demo
mkdir -p build/demo
cd build/demo

members='hospital bank union town'
# Ports that nobody uses just now: for each member one for HTTP, and two in a row for links.
ports=$(/usr/bin/python3 - <<'END'
import random, socket
def free(port):
    with socket.socket() as s:
        try: s.bind(("127.0.0.1", port))
        except OSError: return False
    return True
while not all(map(free, range(base := random.randrange(20000, 32000), base + 12))): pass
print(base)
END
)
place() { case $1 in hospital) echo 0 ;; bank) echo 1 ;; union) echo 2 ;; *) echo 3 ;; esac; }
url_of() { echo "http://127.0.0.1:$((ports + $(place "$1")))"; }
link_of() { echo "127.0.0.1:$((ports + 4 + 2 * $(place "$1")))"; }
# Everybody has a member whose node they use.
home_of() { case $1 in anna) echo union ;; ben) echo hospital ;; lender) echo town ;; *) echo bank ;; esac; }
CONSENT_NODE=$(url_of bank)
export CONSENT_NODE
year=$(($(date -u +%Y) + 1))

if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then bold=$(printf '\033[1m'); dim=$(printf '\033[2m'); plain=$(printf '\033[0m')
else bold= dim= plain=; fi
chapter() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
tell() { printf '%s\n' "$1" | fold -s -w 100; }
fail() { echo "The demo went wrong: $1" >&2; tail -n 3 ./*/log >&2 2>/dev/null || true; exit 1; }

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
    show "$who" "$who: consent $*" env CONSENT_NODE="$(url_of "$(home_of "$who")")" CONSENT_WALLET="$who.wallet" CONSENT_PASSPHRASE_FILE="$who.passphrase" "$consent" "$@"
}
outsider() { show outsider "anybody: consent $*" env -u CONSENT_NODE CONSENT_WALLET=none "$consent" "$@"; }
field() { /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)'"$1"')'; }

wait_for() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || fail "not within half a minute: $*"
        sleep 0.05
    done
}
start_node() {
    "$consentd" run --data "$1" --config "$1/consentd.ini" >>"$1/log" 2>&1 &
    echo $! >"$1/node.pid"
    wait_for curl -fs "$(url_of "$1")/readyz"
}
stop_node() { # SIGNAL MEMBER
    number=$(cat "$2/node.pid")
    kill "-$1" "$number" 2>/dev/null || true
    wait "$number" 2>/dev/null || true
    rm -f "$2/node.pid"
}
checkpoint_size() { curl -fs "$(url_of "$1")/checkpoint" | sed -n 2p; }
# All of these members show the same checkpoint. What is final at one is final at all a moment later.
agree() {
    first=$(checkpoint_size "$1"); [ -n "$first" ] || return 1
    for member in "$@"; do [ "$(checkpoint_size "$member")" = "$first" ] || return 1; done
}
together() { wait_for agree $members; }
finish() {
    status=$?
    if [ "$keep" = no ] || [ "$status" -ne 0 ]; then
        for member in $members; do [ ! -f "$member/node.pid" ] || stop_node TERM "$member"; done
    fi
    rm -f said
}
trap finish EXIT
trap 'exit 130' INT TERM

chapter "1. Four nodes, one ledger"
tell "A hospital, a bank, a consumer union and a town each run a node. Each makes its own keys and sends the others a member file; put together, the four files are the document whose hash is the network's name in every signature."
for member in $members; do
    "$consentd" init --data "$member" --name "$member" --role controller --jurisdiction NL --address "$(link_of "$member")" >/dev/null
    printf '[http]\nlisten = 127.0.0.1:%s\n' "$((ports + $(place "$member")))" >"$member/consentd.ini"
done
"$consentd" genesis --origin consent.example/demo --out genesis.json hospital/member.json bank/member.json union/member.json town/member.json | sed 's/^/    /'
for member in $members; do cp genesis.json "$member/genesis.json"; done
for member in $members; do start_node "$member"; done
together
"$consent" node policy >network.policy
tell "They run, linked by TLS that lets nobody else in, and agree. network.policy is the trust file: whose signatures count. Whoever verifies needs this file and nothing else from us."

chapter "2. Anna states her terms, and shows a code"
for who in anna ben bakery lender; do
    od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$who.passphrase"
    as "$who" key new --name "$who" --no-ask >"$who.words"
done
tell "Anna, Ben, the bakery and a bank each have a wallet with their own keys; 24 words rebuild it. Anna writes down what she shares, for what and how long, in words of the W3C Data Privacy Vocabulary and IEEE 7012:"
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
as anna terms publish terms.txt --limit 1 --standing --until "$year-06-30" --name shopping -o anna.consent-offer --code anna.code --png anna.png
together
tell "She uses the union's node; a moment later all four have it. On the ledger stand a fresh key, a salted commitment and slot numbers. No name, no text, nothing to guess. The code is a line of text and a picture (build/demo/anna.png); whoever scans it may answer, here one of them:"
cut -c1-96 anna.code | sed 's/^/    /; s/$/ …/'

chapter "3. The bakery scans it"
as bakery profile bakery --display "Corner Bakery"
as bakery subscribe anna-shopping --code anna.code --as bakery
as bakery check anna-shopping --slot email --purpose dpv:Marketing
together
tell "It knew her terms from the code alone. Ben had photographed the same code:"
expect 1
as ben subscribe anna --code anna.code

chapter "4. Ben makes an offer to the bakery alone"
profile=$(CONSENT_WALLET=bakery.wallet CONSENT_PASSPHRASE_FILE=bakery.passphrase "$consent" show bakery --json | field '["object"]')
together
as ben grant bakery --to "$profile" --terms terms.txt --until "$year-12-31" -o ben.consent-offer
tell "Until the bakery answers, the ledger does not show for whom the offer is."
together
as bakery import ben.consent-offer --name ben --quiet
as bakery subscribe ben --as bakery --quiet
together
tell "Ben thinks again: only his e-mail address. One command, no questions."
as ben amend bakery --slots 1
as ben history bakery

chapter "5. Contact details that stay right"
tell "Anna and Ben each keep their number and address in the vault of their wallet, every item encrypted under a key of its own:"
printf '+31 6 1111 1111' >anna.phone; printf 'anna@example.org' >anna.mail
printf '+44 20 7946 0000' >ben.phone; printf 'ben@example.org' >ben.mail
for who in anna ben; do
    as "$who" vault put mobile --category pd:TelephoneNumber "$who.phone"
    as "$who" vault put mail --category pd:EmailAddress "$who.mail"
done
cat >friends.txt <<'END'
proffered-by: customer
title: How to reach me
language: en
withdraw: at any time, with one signed record, at any node

[slot 1 email]
category: pd:EmailAddress
purposes: dpv:ServiceProvision

[slot 2 phone]
category: pd:TelephoneNumber
purposes: dpv:ServiceProvision
END
tell "Her card for friends says what they may have, and asks for the same in return. Ben scans it: one command each, two agreements, and each knows where to deliver."
as anna terms publish friends.txt --limit 20 --standing --in-return --until "$year-12-31" --name friends --code friends.code
as anna vault share mobile friends
as anna vault share mail friends
together
as ben subscribe anna --code friends.code --in-return same
together
as anna inbox
together
as ben inbox --show
as ben vault share mobile anna.return
as ben vault share mail anna.return
as anna inbox --show
before=$(checkpoint_size bank)
tell "Then she gets a new number. One command:"
printf '+31 6 2222 2222' >anna.phone
as anna vault change mobile anna.phone
as ben inbox --show
together
[ "$(checkpoint_size bank)" = "$before" ] || fail "the ledger has a record of it"
tell "The ledger has still $before entries: the change went sealed from one to the other, and nobody can read an address book off it. The bakery, whom she gave no number, learned nothing."

chapter "6. A bank that fits into Anna's world"
cat >statements.txt <<'END'
proffered-by: organisation
title: Statements of your account
language: en
jurisdiction: NL
withdraw: at any time, with one signed record, at any node

[slot 1 statement]
category: pd:FinancialAccount
purposes: dpv:ServiceProvision
recipients: the customer
retention: P7Y
delivery: P1M application/pdf
from: organisation
END
sed 's|P1M application/pdf|P1W text/csv|' statements.txt >weekly.txt
as lender profile lender --display "Lighthouse Bank"
did=$(CONSENT_WALLET=anna.wallet CONSENT_PASSPHRASE_FILE=anna.passphrase "$consent" key list --json | field '["keys"][0]["did"]')
together
as lender request anna --to "$did" --terms statements.txt --as lender --until "$year-12-31" -o lender.consent-offer
together
tell "It would send a PDF each month. She would rather have a table each week, and says so:"
as anna counter bank --offer lender.consent-offer --terms weekly.txt --until "$year-12-31"
together
as lender inbox
as lender subscribe anna --as lender
together
as anna inbox
printf 'date;amount;what\n%s-01-02;-17.42;Herring stall at the quay\n' "$year" >statement.csv
as lender deliver anna statement.csv --slot statement
as anna inbox
as lender inbox
tell "Sealed, delivered, acknowledged, and counted at both sides against what was agreed:"
as lender due
as anna due

chapter "7. Somebody pulls the plug"
tell "The hospital's node is killed in the middle (kill -9). Three of four go on: Ben uses the bank's node meanwhile, and tells the bakery to stop for now."
stop_node KILL hospital
show ben "ben: consent suspend bakery" env CONSENT_NODE="$(url_of bank)" CONSENT_WALLET=ben.wallet CONSENT_PASSPHRASE_FILE=ben.passphrase "$consent" suspend bakery
tell "It is started again, and catches up by itself:"
start_node hospital
together
as ben history bakery
tell "Now the town's node is cut off from the world (stopped, as if its cable were out), and then comes back:"
kill -STOP "$(cat town/node.pid)"
show ben "ben: consent resume bakery" env CONSENT_NODE="$(url_of bank)" CONSENT_WALLET=ben.wallet CONSENT_PASSPHRASE_FILE=ben.passphrase "$consent" resume bakery
show operator "the bank's operator: consent node status" "$consent" node status
kill -CONT "$(cat town/node.pid)"
together
tell "All four agree again: $(checkpoint_size town) leaves, the same root, signed by at least three."

chapter "8. A stranger verifies, offline"
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

chapter "9. Anna withdraws"
as anna list --refresh
as anna revoke shopping.1
together
expect 11
as bakery check anna-shopping --slot email --purpose dpv:Marketing
tell "The bakery's feed has it at once (last two events); its webhooks, if it had any, would be posted now:"
"$consent" feed --once --reader-token-file bank/reader.token 2>/dev/null | tail -n 2 | cut -c1-150 | sed 's/^/    /'
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

chapter "10. What remains"
as bakery list --refresh --due-erasure
as bakery erase anna-shopping
as anna list --refresh
tell "Everything that ever happened between Anna and the others, and nobody but her can tell it so:"
as anna history
size=$(wc -c <before.consent-proof | tr -d ' ')
tell "In build/demo: terms.txt, the two proofs ($size bytes the first), the trust file, the wallets and the nodes' data. Try:"
echo "    build/consent inspect build/demo/before.consent-proof"
if [ "$keep" = yes ]; then
    echo "The consortium goes on (stop it with: kill $(cat hospital/node.pid bank/node.pid union/node.pid town/node.pid | tr '\n' ' ')):"
    for member in $members; do echo "    $member $(url_of "$member")"; done
else
    for member in $members; do stop_node TERM "$member"; done
    echo "The nodes have stopped. 'sh tools/demo.sh --keep' leaves them running."
fi
