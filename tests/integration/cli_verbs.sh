#!/bin/sh
# Every verb of the command line on a real node, and what it did to the state; every record type is on the ledger at the
# end, every command was used, and exit statuses are the documented ones. Two customers (alice, ben), one organisation.
. "$(dirname "$0")/../lib/cli.sh"
start_node
cd "$scratch" || exit 1
used=$scratch/used
wallet_of() { who=$1; shift; echo "$1 ${2-} " >>"$used"; CONSENT_WALLET=$scratch/$who "$consent" "$@"; }
alice() { wallet_of alice "$@"; }
ben() { wallet_of ben "$@"; }
acme() { wallet_of acme "$@"; }
anybody() { wallet_of nobody "$@"; }
# is WHAT WANTED: a member of the last JSON result
is() { value=$(json "$1" 2>/dev/null); [ "$value" = "$2" ] || fail "$1 is '$value' instead of '$2'"; }
# state WHO NAME WANTED [MEMBER VALUE]: as the ledger has it now
state() { expect 0 "$1" show "$2" --json && is state "$3" && { [ $# -lt 5 ] || is "$4" "$5"; }; }
count() { /usr/bin/python3 -c 'import json,sys; print(len(json.load(open(sys.argv[1]))[sys.argv[2]]))' "$scratch/out" "$1"; }

# ---- keys, profile, terms
expect 0 alice key new --name alice --no-ask
alice key new --name alice2 --json >out && words=$(/usr/bin/python3 -c 'import json; print(json.load(open("out")).get("words",""))')
[ -z "$words" ] || fail "the words were shown twice"
expect 0 ben key new --name ben --no-ask
expect 0 acme key new --name office --no-ask
expect 2 acme profile
expect 0 acme profile acme --display "Acme Ltd" -o acme.consent-offer --json && is state published && is act PROFILE
profile=$(json object)
expect 0 acme profile acme --replace --display "Acme Limited" --json && is act PROFILE
expect 0 acme key list --json && [ "$(count keys)" -ge 3 ] || fail "key list"
alice terms new >t.txt
expect 0 alice terms check t.txt --json && is good True
sed 's/dpv:Marketing/dpv:Marketting/' t.txt >wrong.txt
expect 1 alice terms check wrong.txt && has_err "Did you mean dpv:Marketing?"
expect 0 alice terms publish t.txt --name shopping --limit 500 --standing --recovery -o shopping.consent-offer --json && is act TERMS && is state open
expect 0 alice terms publish t.txt --name asking --limit 5 --vouched-only -o asking.consent-offer --json && is state open
expect 0 alice terms show shopping --slots 1 --json && is slots.0.name email

# ---- a subscription, found again by the customer, who withdraws one slot of it, and more
expect 0 acme subscribe anna --as acme --offer shopping.consent-offer --json && is act SUBSCRIBE && is name anna && is state active
expect 0 acme list --json && is entries.1.name shopping && is entries.2.name anna
expect 0 ben key new --name solo --uri consent:relationship/solo
expect 0 ben import shopping.consent-offer --json && is name shopping
expect 0 ben subscribe shopping --json && is name shopping.1 && is state active
expect 0 alice list --json && [ "$(count entries)" -eq 2 ] || fail "the customer knows agreements before asking"
expect 0 alice list --refresh --json && is entries.2.name shopping.1 && is entries.3.name shopping.2 && is entries.3.role customer
expect 0 alice list --refresh --json && [ "$(count entries)" -eq 4 ] || fail "a second refresh changes the list"

# ---- a delivery under it, and its contact
echo alice@example >mail.txt
expect 0 acme show anna --json && anna=$(json object)
expect 0 alice deliver "$anna" mail.txt --slot 1 --out sealed --json
expect 0 acme open sealed -o opened.txt --json && is slot 1 && { cmp -s mail.txt opened.txt || fail "open"; }
expect 0 alice contact "$anna" -o shopping.consent-contact --json && [ -s shopping.consent-contact ] || fail "contact"
expect 0 alice inbox --json && is contact kept
expect 0 acme deliver anna mail.txt --slot 1 --contact shopping.consent-contact --json && is kind data
expect 0 alice due "$anna" --json && is entries.0.owed_by us && is entries.0.slot 2 && is overdue 0 # purchases, each month
expect 0 alice inbox --to received --json && is slot 1 && { cmp -s mail.txt received/* || fail "inbox"; }
expect 0 alice show shopping --json && is agreements.1.name shopping.2
[ "$(json agreements.0.with)" != "$(json agreements.1.with)" ] || fail "with"
mine=shopping.1; [ "$(json agreements.0.with)" = "$profile" ] || mine=shopping.2
other=shopping.$((3 - ${mine#shopping.}))
expect 0 alice revoke "$mine" --slots 2 --json && is act REVOKE && is state active
state alice "$mine" active slots "[1]"
state acme anna active due "[2]"
expect 0 acme check anna --slot email --purpose dpv:Marketing --json && is allowed True
expect 1 acme check anna --slot purchases --json && is code CL_E_SLOT_NOT_LIVE
expect 0 alice suspend "$mine" --json && is act SUSPEND && is state suspended
expect 12 acme check anna && expect 12 alice check "$mine"
expect 0 alice resume "$mine" --json && is act RESUME && is state active
expect 0 alice proof "$mine" -o mine.consent-proof
expect 0 alice history "$mine" --json && is history.0.type SUBSCRIBE && is history.1.type REVOKE && is history.3.type RESUME
expect 0 acme erase anna --slots 2 --json && is act ERASE && state acme anna active due "[]"
expect 0 alice revoke "$mine" --json && is state withdrawn
expect 11 acme check anna
expect 0 acme ack anna --state complied --json && is act ACK
expect 0 acme erase anna --json && is act ERASE
expect 0 alice erase "$mine" --json && is act ERASE

# ---- terms on which the customer is asked, for vouched organisations only
expect 1 acme subscribe --as acme --offer asking.consent-offer --name early && has_err CL_E_NOT_VOUCHED
member_key=$(/usr/bin/python3 -c 'import json; print(json.load(open("node/member.json"))["party_key"])')
expect 4 acme vouch "$profile" --until 2099-06-30
expect 0 acme vouch "$profile" --until 2099-06-30 --reason document --signer "exec:$consentd sign --data $scratch/node" --signer-key "$member_key" --json && is act VOUCH
expect 0 acme show acme && has "1 vouched"
expect 0 acme subscribe --as acme --offer asking.consent-offer --json && is name asking.1 && is state subscribed
expect 17 acme check asking.1
expect 0 alice list --refresh --json
expect 0 alice grant asking.1 --slots 1 --json && is act GRANT && is state active
state acme asking.1 active slots "[1]"
expect 0 alice revoke asking --json && is state closed
expect 0 acme proof asking -o closed.consent-proof
expect 0 acme node policy -o net.policy
expect 11 anybody verify closed.consent-proof --policy net.policy && has "CLOSED  closed by their owner" && has ", terms "
expect 11 ben subscribe "$(alice show asking --json | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["object"])')" --unseen && has_err CL_E_CLOSED

# ---- a grant to somebody in particular, countered, accepted, amended three ways, renewed
expect 0 alice grant bank --to "$profile" --terms t.txt --until 2099-06-30 --recovery -o bank.consent-offer --json && is act GRANT && is state offered
expect 17 alice check bank
expect 4 ben subscribe --offer bank.consent-offer --name mine && has_err CL_E_AUDIENCE
expect 0 ben forget mine
sed 's/P30D/P1Y/' t.txt >t2.txt
expect 0 acme terms diff t.txt t2.txt --json && is differences 1
expect 0 acme counter alice --offer bank.consent-offer --terms t2.txt --until 2099-06-30 --as acme -o alice-counter.consent-offer --json && is act COUNTER && is state countered && is name alice
expect 0 alice list --refresh --json
expect 0 alice grant bank --offer alice-counter.consent-offer --json && is act GRANT && is state active
expect 0 alice amend bank --slots 1 --json && is act AMEND && state alice bank active slots "[1]"
expect 0 acme amend alice --terms t.txt --until 2099-06-30 -o amended.consent-offer --json && is act AMEND && is state active
expect 0 alice amend bank --accept --offer amended.consent-offer --json && is act AMEND && state alice bank active slots "[1, 2]"
expect 0 alice proof bank --format kantara -o receipt.json && expect 0 alice terms import receipt.json --json && is slots 2
expect 0 alice renew bank --until 2099-12-31 --json && is act RENEW && state acme alice active not_after 4102444800
expect 0 alice dispute bank --json && is act DISPUTE && expect 0 acme show alice && has "disputed      yes"
expect 0 alice dispute bank --clear
helper=$(ben key new --name helper)
expect 0 alice delegate bank "$helper" --powers revoke --until 2098-01-01 --json && is act DELEGATE
expect 0 ben suspend "$(alice show bank --json | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["object"])')" --key helper
state alice bank suspended
expect 0 alice resume bank --json && is state active
expect 0 alice undelegate bank "$helper" --json && is act UNDELEGATE
expect 0 alice rotate bank --json && is act ROTATE && is state active
expect 0 alice rotate bank --recover --json && is act ROTATE
expect 0 alice suspend bank --json && is state suspended && expect 0 alice resume bank
expect 0 acme rotate acme --json && is act ROTATE
printf '%064d' 7 >uses.root
expect 0 acme statement acme --root-file uses.root --from 2026-01-01 --until 2026-03-31 --json && is act STATEMENT
echo "2025-11-03T10:00:00Z alice 1 dpv:Marketing" >uses.txt
expect 0 acme uses add acme uses.txt --json && is added 1
expect 0 acme uses list acme --json && is uses.0.slot 1
expect 0 acme statement acme --period 2025-11 --json && is act STATEMENT && is uses 1
expect 0 acme uses prove acme alice --period 2025-11 -o uses.consent-uses --json && is use_count 1
expect 0 anybody uses verify uses.consent-uses --policy net.policy --json && is used True
expect 0 acme revoke alice --reason no-longer-needed --json && is act REVOKE && is state terminated
expect 11 alice check bank

# ---- a request, granted; another, refused
ben_key=$(ben key new --name asked)
expect 0 acme request survey --to "$ben_key" --terms t.txt --as acme -o survey.consent-offer --json && is act REQUEST && is state requested
expect 0 ben grant survey --offer survey.consent-offer --key asked --until 2099-01-01 --json && is act GRANT && is state active && is name survey
expect 0 acme list --refresh --active --json && [ "$(count entries)" -eq 2 ] || fail "list --active"
expect 0 acme joint both survey anna --json && is joint.0.all_active False && expect 0 acme joint both --remove
expect 0 acme request other --to "$ben_key" --terms t.txt --as acme -o other.consent-offer
expect 0 ben refuse --offer other.consent-offer --key asked --json && is act REFUSE && is state refused && is name other

# ---- files: export, inspect, sign elsewhere, submit; receipts
expect 0 acme export anna -o again.consent-offer
expect 0 acme inspect again.consent-offer --json
expect 0 ben revoke survey --save revoke.cose --json && is record_status signed
network=$(curl -s "$CONSENT_NODE/v1/network" | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["network_id"])')
expect 0 ben sign revoke.cose --digest-only --signer-key "$ben_key" --network "$network" --json && digest=$(json digest)
expect 0 ben sign revoke.cose --key asked -o signed.cose --json && is record_id "$digest"
cp signed.cose bad.cose; flip bad.cose -3
expect 10 anybody submit bad.cose --wait && has_err CL_E_SIGNATURE
expect 0 anybody submit signed.cose --wait --json && is record_status final
expect 11 acme check survey
expect 0 acme proof survey --format tlog-proof -o survey.tlog-proof
expect 0 acme proof survey --format cose -o survey.cose-receipt
expect 0 anybody verify survey.tlog-proof --record signed.cose --policy net.policy && has VALID
expect 13 anybody verify survey.tlog-proof --record bad.cose --policy net.policy
expect 0 anybody verify mine.consent-proof --policy net.policy --json && is verdict VALID && is kind agreement
expect 0 acme proof survey && expect 11 acme check survey --offline
# a policy that asks for a second witness, who has not signed
/usr/bin/python3 - net.policy >two.policy <<'END'
import base64, hashlib, sys
name, raw = "consent.example/other", b"\4" + bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
key = "%s+%s+%s" % (name, hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex(), base64.b64encode(raw).decode())
for line in open(sys.argv[1]):
    print("witness other %s\ngroup consortium 2 solo other" % key if line.startswith("group ") else line, end="\n" if line.startswith("group ") else "")
END
expect 14 anybody verify mine.consent-proof --policy two.policy && has_err CL_E_QUORUM
sleep 2
expect 16 anybody verify mine.consent-proof --policy net.policy --max-age 1s && has_err CL_E_PROOF_OLD

# ---- the words alone: what the ledger holds under the derived keys comes back
CONSENT_WALLET=$scratch/fresh "$consent" key new --name fresh --no-ask --json >fresh.json 2>/dev/null
/usr/bin/python3 -c 'import json; print(json.load(open("fresh.json"))["words"])' >fresh.words
fresh() { wallet_of fresh "$@"; }
expect 0 fresh terms publish t.txt --name mine --limit 9 --standing
expect 0 fresh rotate mine
expect 0 fresh grant bank --to "$profile" --terms t.txt -o fresh.consent-offer
expect 0 acme subscribe fresh --offer fresh.consent-offer --as acme
expect 0 fresh export mine -o mine.consent-offer
expect 0 acme subscribe mine --offer mine.consent-offer --as acme
printf 'mine\nbank\n' >fresh.list
again() { wallet_of again "$@"; }
expect 0 again key recover --words-file fresh.words --list fresh.list --json
expect 0 again list --refresh --json
[ "$(count entries)" -eq 3 ] || fail "recovered $(count entries) entries instead of 3"
expect 0 again revoke bank --json && is state withdrawn
expect 0 again revoke mine.1 --slots 1 --json && is state active
expect 0 fresh key backup -o fresh.backup
rm -rf "$scratch/again"*
expect 0 again key recover --words-file fresh.words --backup fresh.backup --json && is entries 2

# ---- the vault
echo alice@example.org >email.txt; printf 'b\000c' >new-email.bin
expect 2 alice vault put email email.txt && has_err "--category pd:EmailAddress"
expect 2 alice vault put email --category pd:EmailAddres email.txt && has_err "Did you mean pd:EmailAddress?"
expect 2 alice vault put email --category pd:EmailAddress --media-type text email.txt && has_err "not a media type"
expect 0 alice vault put email --category pd:EmailAddress email.txt --json && is media_type text/plain && is bytes 18
expect 1 alice vault put email --category pd:EmailAddress email.txt && has_err "vault change"
expect 0 alice vault list && has "pd:EmailAddress"
expect 0 alice vault show email && has alice@example.org
expect 0 alice vault change email new-email.bin --media-type application/octet-stream
expect 0 alice vault show email --json && is value_base64 YgBj
expect 0 alice vault show email -o shown.bin && { cmp -s shown.bin new-email.bin || fail "vault show -o"; }
head -c 16777217 /dev/zero >large
expect 1 alice vault change email large && has_err "longer than 16777216 bytes"
expect 2 alice vault share email && has_err "--all"
expect 3 alice vault share nothing bank && has_err "vault list"
expect 3 alice vault unshare email --all && has_err "not shared with anybody"
expect 0 alice vault tell && has "everybody has"
expect 0 alice vault remove email
expect 3 alice vault show email && has_err "vault list"
for word in alice@example email; do grep -rqa "$word" "$scratch"/alice.store "$scratch/alice" && fail "'$word' is readable beside the wallet"; done

# ---- data that stay at the source: acme holds them, ben rents out a flat
expect 0 ben profile flat --json; flat=$(json object)
expect 0 alice grant holder --to "$profile" --terms t.txt -o holder.consent-offer
expect 0 acme subscribe --offer holder.consent-offer --as acme --name held
expect 0 alice grant landlord --to "$flat" --terms t.txt -o landlord.consent-offer
expect 0 ben subscribe --offer landlord.consent-offer --as flat --name tenant
expect 0 alice source release holder landlord --slot 2 --for 1 --out to
expect 0 acme open to/holder -o release && expect 0 ben open to/reader -o pointer
expect 0 acme source take release
expect 0 ben source ask pointer -o source-request
expect 0 acme source serve source-request email.txt -o source-answer
expect 0 ben source open source-answer -o served && { cmp -s email.txt served || fail "another content than what was served"; }
expect 0 alice source list && has holder
expect 0 alice source withdraw holder landlord --out back

# ---- a connect code, shown again from the wallet and from its file
expect 0 ben grant coded --terms t.txt --code coded.code --json && is state offered
expect 0 ben code show coded --json && is kind agreement && is text_included True && is code "$(cat coded.code)"
expect 0 ben code show coded.code && [ "$out" = "$(cat coded.code)" ] || fail "code show"

# ---- an organisation's own systems are told
expect 0 acme webhooks secret crm.secret && [ "$(stat -c %a crm.secret)" = 600 ] || fail "others may read the secret"
/usr/bin/python3 -c 'import http.server
class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        print(self.headers["webhook-id"], file=open("told", "a"), flush=True)
        self.send_response(204)
        self.end_headers()
    def log_message(self, *arguments): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Endpoint)
print(server.server_port, file=open("endpoint.port", "w"), flush=True)
server.timeout = 30
while open("endpoint.port").read() != "stop": server.handle_request()' &
endpoint=$!
for _ in $(seq 200); do [ -s endpoint.port ] && break; sleep 0.05; done
printf '[crm]\nurl = http://127.0.0.1:%s/\nsecret-file = crm.secret\nfollow = %s\n' "$(cat endpoint.port)" "$profile" >webhooks.ini
expect 0 acme webhooks run webhooks.ini --once && [ -s told ] || fail "the endpoint was told nothing"
expect 0 acme webhooks failed webhooks.ini --json
expect 0 acme webhooks replay webhooks.ini crm --after 0
kill "$endpoint"

# ---- the node, from outside
expect 0 anybody node peers --json
expect 0 anybody node status --json
expect 0 anybody node doctor
expect 0 anybody help revoke && has "example: consent revoke bank"
for shell in bash zsh fish; do expect 0 anybody completions "$shell"; done
timeout --preserve-status -s INT 3 "$consent" feed --json >followed 2>err
[ $? -eq 130 ] || fail "an interrupted feed does not say 130"
grep -q "To go on: consent feed --after" err || fail "an interrupted feed does not say how to go on"
[ -s followed ] || fail "the feed gave nothing"
alice profile new >me.txt
expect 0 alice profile publish me.txt --name car --json && is state published && is act PROFILE
expect 0 alice public put car --fields age,looking-for --json && is public.node solo
expect 0 alice public list --json && is public.0.name car
expect 0 acme terms find --attribute age=45 --json && is bodies 1
expect 0 alice public remove car --json && is removed 1
expect 0 alice disclose car --fields age --nonce hello -o car.consent-disclosure --json && is addressed True
expect 0 alice proof car -o car.consent-proof
expect 0 alice verify car.consent-proof --disclosure car.consent-disclosure --nonce hello --json && is disclosure.fields.0.name age
expect 0 anybody feed --once --json
missing=$(/usr/bin/python3 -c 'import json,sys
seen = {json.loads(line)["data"].get("type_number") for line in open(sys.argv[1])}
print([n for n in [*range(1, 13), *range(14, 22)] if n not in seen])' "$scratch/out")
[ "$missing" = "[]" ] || fail "record types that no verb made: $missing"
"$consent" help | sed -n 's/^  \([a-z]*\( [a-z]*\)\{0,1\}\)  .*/\1/p' | sed 's/ *$//' >commands
[ "$(wc -l <commands)" -ge 45 ] || fail "consent help lists $(wc -l <commands) commands"
while read -r command; do
    case $command in audit) continue ;; esac # tests/integration/audit.py
    grep -q "^$command " "$used" || fail "no test used 'consent $command'"
done <commands
finish
