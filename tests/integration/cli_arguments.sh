#!/bin/sh
# What a command line says is done as a whole or refused as a whole: nothing of it is left out in silence. And what went
# wrong is called by its name.
. "$(dirname "$0")/../lib/cli.sh"
start_node
cd "$scratch" || exit 1
expect 0 alice key new --name alice --no-ask
alice terms new >t.txt
for name in bank shop; do expect 0 alice terms publish t.txt --limit 5 --name $name; done

# an argument too many: neither is closed
expect 2 alice revoke bank shop && has_err "no place for 'shop'"
expect 2 alice list bank && expect 2 alice terms diff a b c && expect 2 alice profile acme --display Acme Ltd && has_err Ltd
for name in bank shop; do expect 0 alice show $name --json && [ "$(json state)" = open ] || fail "$name is $(json state)"; done
expect 0 "$consent" help key new && has "usage: consent key new"
expect 2 "$consent" --quiet && has_err "Which command?"

# a number is read whole, or not at all
for limit in 1,000 -5 0 5x '' 99999999999999999999; do
    expect 2 alice terms publish t.txt --limit "$limit" --name x && has_err "--limit says"
done
for timeout in abc 0 61 5s; do expect 2 alice terms publish t.txt --limit 5 --timeout "$timeout" --name x && has_err "1 to 60"; done
expect 3 alice show x
expect 2 "$consent" audit --once --interval soon && expect 2 "$consent" feed --once --after 5x

# what would be left out is refused: terms are not closed in part, a proposal is not accepted in part
expect 2 alice revoke shop --slots 1 && has_err "as a whole"
expect 0 alice show shop --json && [ "$(json state)" = open ] || fail "shop is $(json state)"
expect 0 acme key new --name acme --no-ask && expect 0 alice terms publish t.txt --limit 5 --standing --name open -o open.consent-offer
expect 0 acme subscribe deal --offer open.consent-offer && expect 0 alice list --refresh
expect 0 acme amend deal --terms t.txt --until 2090-01-01 -o change.consent-offer
expect 2 alice amend open.1 --accept --slots 1 --offer change.consent-offer && has_err "as it is"
expect 0 alice amend open.1 --accept --offer change.consent-offer
expect 0 alice revoke open.1 --prepare -o drawer && has_err "You sign for later" && expect 0 alice check open.1

# a withdrawal for a drawer that no node would ever take is not written; and what is named is called by its kind
expect 1 alice check shop && has_err "'shop' is terms; name an agreement"
expect 1 alice grant shop && has_err "'shop' is terms; name an agreement"
expect 0 alice revoke open.1 && expect 1 alice revoke open.1 --prepare -o late && has_err "nothing left to withdraw"
[ ! -e late ] && [ ! -e late.txt ] || fail "a page for a drawer that is worth nothing"

# what was not written is not spoken of as if it were
expect 1 alice sign drawer --key alice -o no/such/folder && [ -z "$out" ] || fail "said of a file that is not there: $out"

# nobody spoke of a passphrase where a token is missing, and nobody is told of "reading" where a node does not answer
echo wrong >wrong
expect 4 alice list --passphrase-file wrong && has_err "The passphrase is wrong, or $scratch/alice is damaged."
expect 1 alice list --refresh --node http://127.0.0.1:1 && has_err "The node at http://127.0.0.1:1 does not answer" && has_err --node
"$consentd" init --data closed --name closed >init.log 2>&1 && "$consentd" genesis --origin consent.example/closed --out closed/genesis.json closed/member.json >>init.log || fail "a second network"
"$consentd" run --data closed --listen 127.0.0.1:0 >closed.out 2>closed.err &
closed=$!
for _ in $(seq 100); do grep -qs http closed.out && break; sleep 0.05; done
closed_url=$(sed -n 's/.*\(http:[0-9./:]*\).*/\1/p' closed.out)
for command in "feed --once" "audit --once --state closed.state"; do
    # shellcheck disable=SC2086
    expect 4 "$consent" $command --node "$closed_url" && has_err "Give it with --reader-token-file FILE" && case $err in *passphrase*) fail "$err" ;; esac
    expect 0 "$consent" $command --node "$closed_url" --reader-token-file closed/reader.token
done
kill "$closed"; wait "$closed" || fail "the closed node ended with $?: $(cat closed.err)"

finish
