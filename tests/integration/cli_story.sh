#!/bin/sh
# The main job through the command line: terms, subscription, grant, proof, withdrawal; and every exit status on the way.
. "$(dirname "$0")/../lib/cli.sh"
start_node
cd "$scratch" || exit 1

expect 0 alice key new --name alice --no-ask && has did:key:zQ3sh
has_err "24 words"
expect 0 acme key new --name acme-office --no-ask
expect 0 acme profile acme --display "Acme Ltd" && has "final at height"
expect 0 acme show acme --json && profile=$(json object)

# standing terms: a subscription is active at once
alice terms new >t.txt
expect 0 alice terms publish t.txt --name shopping --limit 3 --standing --until 2099-12-31 -o shopping.consent-offer && has "open; slots 1 email, 2 purchases; 0 of 3"
expect 0 acme subscribe --offer shopping.consent-offer --name anna --as acme && has "active; slots 1 email, 2 purchases; until 2099-12-31"
expect 0 acme list --active --json
[ "$(json entries.0.state)" = active ] || fail "list --active"
under=$(json entries.0.name)
[ "$under" = anna ] || fail "the agreement is called $under"
expect 0 acme check "$under" --slot email --purpose dpv:Marketing && has yes
expect 1 acme check "$under" --slot email --purpose dpv:Advertising && has no
expect 1 acme check "$under" --slot 7 && has no
expect 1 acme subscribe --offer shopping.consent-offer --as acme --name again && has_err CL_E_ANSWERED
expect 0 acme proof "$under" -o a.consent-proof
expect 0 acme node policy -o net.policy
expect 0 "$consent" verify a.consent-proof --policy net.policy --max-age 1h && has "VALID  active as of checkpoint" && has "signed by 1 of 1; slots 1, 2; until 2099-12-31"
expect 0 "$consent" verify a.consent-proof --policy net.policy --body shopping.consent-offer && has "1 email, 2 purchases"
agreement=$(acme show "$under" --json | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["object"])')

# bound to an id, and to a time
expect 0 "$consent" verify a.consent-proof --policy net.policy --object "$agreement" && has VALID
expect 13 "$consent" verify a.consent-proof --policy net.policy --object "$profile" && has_err "It is about another object: $agreement"
expect 13 "$consent" verify a.consent-proof --policy net.policy --at 2026-01-01 && has "NOTHING SAID  this proof says nothing about a time before its state, which began 20"
expect 13 "$consent" verify a.consent-proof --policy net.policy --at 2026-01-01 --json && [ "$(json code)" = CL_E_BEFORE_PROOF ] || fail "--at before the state"
expect 0 "$consent" verify a.consent-proof --policy net.policy --at 2099-01-01 && has "VALID  active at 2099-01-01 00:00 UTC by what was so as of checkpoint"
expect 12 "$consent" verify a.consent-proof --policy net.policy --at 2100-01-01 && has "EXPIRED  its period is over at 2100-01-01 00:00 UTC by what was so as of checkpoint"

# the customer sees it through her terms, and withdraws one slot, then all
expect 0 alice revoke "$agreement" --slots 2 --name acme-shopping && has "active; slots 1"
expect 0 alice revoke "$agreement" && has withdrawn
expect 11 acme check "$under" && has no
expect 0 "$consent" verify a.consent-proof --policy net.policy && has VALID
expect 0 acme proof "$under" -o b.consent-proof
expect 11 "$consent" verify b.consent-proof --policy net.policy && has "REVOKED  withdrawn by the customer"
expect 11 "$consent" verify b.consent-proof --policy net.policy --json
[ "$(json verdict)" = REVOKED ] || fail "verify --json"
# whatever bit is flipped, nothing is said of the agreement any more: what it means depends on where it lies
for part in 1 2 3 4 5 6 7; do
    cp b.consent-proof c.consent-proof; flip c.consent-proof $(($(wc -c <c.consent-proof) * part / 8))
    "$consent" verify c.consent-proof --policy net.policy >out 2>err; got=$?
    case $got:$(cat err) in 1:*CL_E_* | 10:*CL_E_* | 13:*CL_E_* | 14:*CL_E_*) ;; *) fail "exit $got after bit flipped in part $part: $(cat out err)" ;; esac
done
expect 0 acme erase "$under"
expect 1 alice revoke "$agreement" && has_err CL_E_FINAL

# a grant to one organisation, countered and accepted
expect 0 alice grant bank --to "$profile" --terms t.txt --until 2099-06-30 -o bank.consent-offer && has offered
expect 17 alice check bank
expect 0 acme import bank.consent-offer --name anna-bank && has "Email Address"
sed 's/P30D/P1Y/' t.txt >t2.txt
expect 0 acme terms diff bank.consent-offer t2.txt && has "retention: P30D -> P1Y"
expect 0 acme counter anna-bank --terms t2.txt --as acme --until 2099-06-30 -o anna-counter.consent-offer && has countered
expect 3 alice grant bank --offer anna-counter.consent-offer --key nobody
expect 0 alice grant bank --offer anna-counter.consent-offer && has "active; slots 1 "
expect 0 alice suspend bank && has suspended
expect 12 acme check anna-bank
expect 0 alice resume bank && has active
expect 0 alice amend bank --slots 1 && has "slots 1"
sed 's/dpv:ServicePersonalisation/dpv:Advertising/' t.txt >t3.txt
expect 0 acme amend anna-bank --terms t3.txt --until 2099-06-30 -o amended.consent-offer
expect 0 alice amend bank --accept --offer amended.consent-offer && has "slots 1 email, 2 purchases"
expect 0 alice renew bank --until 2099-12-31 && has "until 2099-12-31"
expect 0 acme ack anna-bank --state complied
expect 0 alice dispute bank
expect 0 alice dispute bank --clear
expect 0 acme statement acme --root 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff --from 2026-01-01 --until 2026-03-31
expect 0 acme history anna-bank && has GRANT
helper=$(alice key new --name helper)
expect 0 alice delegate bank "$helper" --powers revoke --until 2098-01-01
expect 0 alice undelegate bank "$helper"
expect 0 alice rotate bank && has active
expect 0 acme rotate acme
expect 0 acme rotate acme --recover
expect 0 acme revoke anna-bank --reason no-longer-needed && has terminated
expect 11 acme check anna-bank

# a request, refused; and one withdrawn for a drawer
alice_key=$(alice key new --name asked)
expect 2 acme request ask --terms t.txt --as acme && has_err "Whom is it meant for"
expect 0 acme request ask --to "$alice_key" --terms t.txt --as acme -o ask.consent-offer && has requested
expect 0 alice refuse --offer ask.consent-offer --name ask --key asked && has refused
expect 0 alice grant drawer --to "$profile" --terms t.txt -o drawer.consent-offer
expect 0 acme subscribe --offer drawer.consent-offer --name drawer --as acme && has active
expect 0 alice revoke drawer --prepare -o paper && has "signed withdrawal"
grep -E '^[A-Za-z0-9+/=]+$' paper.txt | base64 -d >from-page
cmp -s paper from-page || fail "the page does not hold the withdrawal"
expect 0 "$consent" inspect paper && has REVOKE
expect 0 "$consent" submit paper --wait && has "final at height"
expect 11 acme check drawer

# signing elsewhere: the same record through exec:
expect 0 acme key list --json
expect 2 alice frobnicate
expect 2 alice rvoke bank && has_err "Did you mean 'revoke'"
expect 3 alice show nothing-of-that-name
expect 0 alice key backup -o alice.backup
expect 2 alice grant
printf 'wrong\n' >wrong
expect 4 alice --wallet "$scratch/alice" list --passphrase-file wrong
finish
