#!/bin/sh
# Following a node (audit, feed, doctor), many subscriptions at once with an interruption, signing elsewhere, and
# rebuilding a wallet from its words.
. "$(dirname "$0")/../lib/cli.sh"
start_node
cd "$scratch" || exit 1
expect 0 alice key new --name alice --no-ask --json && words=$(json words) && first=$(json did)
expect 0 acme key new --name office --no-ask
expect 0 acme profile acme
expect 0 "$consent" audit "$CONSENT_NODE" --once --state audit.state && has "records verified"
expect 0 "$consent" audit "$CONSENT_NODE" --once --state audit.state --json && [ "$(json new_records)" = 0 ] || fail "audit again"
expect 0 "$consent" node status && has solo
expect 0 "$consent" node doctor && has "signed by 1 of 1"
expect 0 "$consent" feed --once && has PROFILE
expect 0 "$consent" feed --once --after 0 --json && has '"log_index":1'

# who follows the feed goes on after the node was killed and is back a while later
"$consent" feed --json >followed 2>feed.err &
follower=$!
for _ in $(seq 100); do grep -qs PROFILE followed && break; sleep 0.05; done
port=${CONSENT_NODE##*:}
kill -9 "$node_pid"; wait "$node_pid" 2>/dev/null
sleep 1.5
run_node
expect 0 acme profile later --json && later=$(json object)
for _ in $(seq 200); do grep -q "$later" followed && break; sleep 0.05; done
grep -q "$later" followed || fail "the feed did not go on: $(cat feed.err)"
[ "$(grep -c PROFILE followed)" -eq 2 ] || fail "events were lost or told twice"
kill -INT "$follower"; wait "$follower"
[ $? -eq 130 ] || fail "an interrupted feed"

# many subscriptions: 130 lines, more than two records; interrupted after the first were sent
alice terms new >t.txt
: >list.csv
echo "terms,note" >>list.csv
for i in 1 2 3; do
    expect 0 alice terms publish t.txt --name "many$i" --limit 100 --standing --json && id=$(json object)
    echo "$id,customer $i" >>list.csv
done
echo "0000000000000000000000000000000000000000000000000000000000000000,nobody" >>list.csv
expect 0 acme subscribe --from list.csv --as acme && has "3 subscriptions, 1 lines refused"
grep -c ,active list.csv.agreements | grep -qx 3 || fail "agreements: $(cat list.csv.agreements)"
expect 0 acme subscribe --from list.csv --as acme && has "3 subscriptions, 1 lines refused"
[ "$(wc -l <list.csv.agreements)" -eq 3 ] && [ "$(wc -l <list.csv.refused)" -eq 1 ] || fail "a second run did something again"
# cut off: the last record was signed and written down, nothing more
head -n 1 list.csv.journal >journal.head; grep ^sent list.csv.journal >journal.sent
{ cat journal.head journal.sent; printf 'sent 9 9 AAA'; } >list.csv.journal
rm list.csv.agreements
expect 0 acme subscribe --from list.csv --as acme && has "3 subscriptions"
agreement=$(sed -n 's/^[^,]*,\([0-9a-f]*\),active$/\1/p' list.csv.agreements | head -n 1)
expect 0 acme check "$agreement" && has yes
expect 0 "$consent" audit "$CONSENT_NODE" --once --state audit.state && has good

# what was remembered does not lead to what the node signs now (a fork: tests/integration/audit.py)
cp audit.state forked.state; cp audit.state.policy forked.state.policy
alice terms publish t.txt --name more --limit 1 >/dev/null 2>&1
/usr/bin/python3 - <<'P'
data = bytearray(open("forked.state", "rb").read())
at = data.index(b"consent-audit") + 13 + 34 + 4
data[at + 8] ^= 1
open("forked.state", "wb").write(data)
P
expect 13 "$consent" audit "$CONSENT_NODE" --once --state forked.state
has_err "not those that its checkpoint"

# signing elsewhere: exec: with openssl, and the digest alone
openssl ecparam -name secp256k1 -genkey -noout -out key.pem 2>/dev/null
public=$(openssl ec -in key.pem -pubout -conv_form compressed -outform DER 2>/dev/null | tail -c 33 | od -An -tx1 | tr -d ' \n')
cat >signer.sh <<'S'
cat >digest.bin
openssl pkeyutl -sign -inkey key.pem -in digest.bin
S
expect 0 acme request outside --to "$first" --terms t.txt --signer 'exec:sh signer.sh' --signer-key "$public" && has "requested"
expect 4 acme request outside2 --to "$first" --terms t.txt --signer 'exec:false' --signer-key "$public" && has_err CL_E_SIGNER
expect 0 acme request outside3 --to "$first" --terms t.txt --key office --save r.cose && has "not submitted"
expect 0 acme sign r.cose --digest-only --signer-key "$public" && digest=$out
printf '%s' "$digest" | /usr/bin/python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' >digest.bin
openssl pkeyutl -sign -inkey key.pem -in digest.bin -out signature.der
expect 0 acme sign r.cose --signature signature.der --signer-key "$public" -o r2.cose
network=$(/usr/bin/python3 -c 'import hashlib; print(hashlib.sha256(open("node/genesis.json","rb").read()).hexdigest())')
expect 0 "$consent" inspect r2.cose --network "$network" && has "holds for this network" && has REQUEST
expect 0 "$consent" submit r2.cose --wait
expect 1 "$consent" submit alice && has_err "a wallet"

# the wallet from its words and its backup; and from words and names alone
echo "$words" >words.txt
expect 0 env CONSENT_WALLET="$scratch/again" "$consent" key recover --words-file words.txt --backup alice.backup
expect 0 env CONSENT_WALLET="$scratch/again" "$consent" list && has many1
echo alice >names.txt
expect 0 env CONSENT_WALLET="$scratch/bare" "$consent" key recover --words-file words.txt --list names.txt
expect 0 env CONSENT_WALLET="$scratch/bare" "$consent" key list && has "$first"
echo "abandon $words" | cut -d' ' -f1-24 >wrong.txt
expect 1 env CONSENT_WALLET="$scratch/none" "$consent" key recover --words-file wrong.txt
for file in alice alice.backup audit.state audit.state.policy r2.cose; do
    expect 0 "$consent" inspect "$file"
done

# completions come from the table; where these shells are, they complete with it
expect 0 "$consent" completions bash && printf '%s\n' "$out" >completion.bash
expect 0 "$consent" completions zsh && printf '%s\n' "$out" >_consent
expect 0 "$consent" completions fish && printf '%s\n' "$out" >completion.fish
# SHELL_offers WORD...: what is offered for the last word
bash_offers() { bash -c '. ./completion.bash; COMP_CWORD=$#; COMP_WORDS=(consent "$@"); _consent; printf "%s\n" "${COMPREPLY[@]}"' bash "$@"; }
zsh_offers() { zsh -f -c 'compadd() { shift; print -l -- ${(M)@:#$words[CURRENT]*} }; _files() { }; compdef() { }; . ./_consent; CURRENT=$(($# + 1)); words=(consent "$@"); _consent' zsh "$@"; }
fish_offers() { fish --no-config -c "source completion.fish; complete -C 'consent $*'" | cut -f 1; }
# offers WORDS BEGINNING CHOICE...: exactly these begin so, whatever the shell (fish 4 also offers what has the letters elsewhere)
offers() {
    words=$1; beginning=$2; shift 2
    for shell in bash zsh fish; do
        command -v $shell >/dev/null || continue
        # shellcheck disable=SC2086
        offered=$(${shell}_offers $words "$beginning" | awk -v beginning="$beginning" '$0 != "" && index($0, beginning) == 1' | sort | paste -sd " ")
        [ "$offered" = "$*" ] || fail "$shell, consent $words $beginning: $offered"
    done
}
offers '' ver verify
offers '' --ver --version
offers key re recover
offers key new new
offers 'key new' --n --name --no-ask --node
offers 'terms show' --s --slots
offers show --of --offline
offers show --s
offers 'export bank' --bo --body
finish
