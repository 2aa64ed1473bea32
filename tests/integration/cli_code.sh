#!/bin/sh
# Offers for whoever holds a code: terms, a grant and a request; the code opens them, a copied opening does not.
. "$(dirname "$0")/../lib/cli.sh"
ben() { CONSENT_WALLET=$scratch/ben "$consent" "$@"; }
start_node
cd "$scratch" || exit 1
expect 0 alice key new --name alice --no-ask
expect 0 ben key new --name ben --no-ask
expect 0 acme key new --name office --no-ask && expect 0 acme profile acme
alice terms new >t.txt
expect 0 alice terms publish t.txt --name shopping --limit 9 --standing --code shopping.code -o shopping.consent-offer
[ "$(stat -c %a shopping.code)" = 600 ] || fail "others may read the code"
expect 2 alice terms publish t.txt --name both --limit 9 --to did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme --code both.code
expect 4 ben subscribe --offer shopping.consent-offer && has_err "--code FILE"
expect 0 acme subscribe anna --code shopping.code --key office --save anna.cose && has "not submitted"
# ben saw acme's answer on its way: the same entry, opening and all, under his own signature
expect 0 ben sign anna.cose --key ben -o stolen.cose
expect 4 ben submit stolen.cose --wait && has_err CL_E_AUDIENCE
expect 0 acme submit anna.cose --wait
expect 0 acme check anna && has yes
expect 0 acme subscribe again --code shopping.code --as acme --json && [ "$(json state)" = active ] || fail "as a profile: $out"
# a grant, answered by a profile; the bearer is the agreement itself
expect 0 alice grant bank --terms t.txt --code bank.code --json && [ "$(json state)" = offered ] || fail "grant --code"
expect 4 ben subscribe "$(json object)" --unseen && has_err "--code FILE"
expect 0 acme subscribe bank --code bank.code --as acme --save bank.cose
expect 0 ben sign bank.cose --key ben -o stolen.cose
expect 4 "$consent" submit stolen.cose --wait && has_err CL_E_PARTY # it still names acme's profile
expect 0 acme submit bank.cose --wait && expect 0 alice check bank
# a request, granted; a code of another key
expect 0 acme request survey --terms t.txt --as acme --code survey.code
expect 0 ben grant --code survey.code --json && [ "$(json state)" = active ] || fail "grant of a request by code: $out"
expect 0 acme request other --terms t.txt --as acme --code other.code -o other.consent-offer
PYTHONPATH=$here/tests/lib /usr/bin/python3 - <<'P'
import codes
survey, other = codes.read("survey.code"), codes.read("other.code")
codes.write("mixed.code", other[:3] + survey[3:4] + other[4:])
P
expect 4 ben grant --code mixed.code && has_err CL_E_AUDIENCE
for file in shopping.code mixed.code; do head -c 60 $file >cut.code; expect 1 ben import cut.code; done
finish
