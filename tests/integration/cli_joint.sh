#!/bin/sh
# Joint things: an account of two. The bank asks each holder by a code of his own; a check says yes only where both do, online
# and from proofs; one withdrawal is enough for no, at once; nothing on the ledger ties the two together. A child with two
# parents, and a child who grows up.
. "$(dirname "$0")/../lib/cli.sh"
start_node
cd "$scratch" || exit 1
bank() { CONSENT_WALLET=$scratch/bank "$consent" "$@"; }
lea() { CONSENT_WALLET=$scratch/lea "$consent" "$@"; }
ben() { CONSENT_WALLET=$scratch/ben "$consent" "$@"; }
is() { value=$(json "$1" 2>/dev/null); [ "$value" = "$2" ] || fail "$1 is '$value' instead of '$2' in $out"; }
expect 0 alice key new --name alice --no-ask
expect 0 ben key new --name ben --no-ask
expect 0 bank key new --name bank --no-ask && expect 0 bank profile bank --display "The Bank"
bank terms new >t.txt

# ---- asked by one command, granted by one each
expect 2 bank request account --holders anna --terms t.txt --as bank --code a.code && has_err "two holders or more"
expect 2 bank request account --holders anna,anna --terms t.txt --as bank --code a.code && has_err "twice"
expect 2 bank request account --holders anna,ben --terms t.txt --as bank --to did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme && has_err "code"
expect 3 bank joint account && has_err "no joint thing 'account'"
expect 0 bank request account --holders anna,ben --terms t.txt --as bank --code account.code && has_err "yes once all 2 have granted"
[ -s account.anna.code ] && [ -s account.ben.code ] && [ ! -e account.code ] || fail "codes: $(ls)"
expect 17 bank check account --slot email && has "no  account.anna"
expect 0 alice grant account --code account.anna.code
expect 17 bank check account --slot email && has "no  account.ben" && has "account.anna       yes"
expect 0 ben grant account --code account.ben.code
expect 0 bank check account --slot email && has "yes  all of them"
expect 1 bank check account --slot email --purpose dpv:FraudPreventionAndDetection && has "do not name that purpose"
expect 0 bank check account --slot email --json && is allowed True && is joint account && is agreements.1.name account.ben
expect 0 bank check account --slot email --purpose dpv:Marketing --log
month=$(date -u +%Y-%m)
expect 0 bank uses list bank account.anna --period "$month" --json && expect 0 bank uses list bank account.ben --period "$month" --json
expect 0 bank list --refresh && has "account            joint" && has "all agree" && has "account.ben active"
expect 0 bank list --json && is joint.0.all_active True && is joint.0.agreements.0.name account.anna
expect 0 bank check account.anna account.ben --slot 1 --json && is agreements.0.allowed True
expect 2 bank check account.anna account.anna --slot 1 && has_err "twice"
expect 2 bank check account account.ben && has_err "by itself"

# ---- offline
expect 3 bank check account --offline --slot 1 && has_err "no proof of 'account.anna'"
expect 0 bank proof account.anna -o anna.proof && expect 0 bank proof account.ben -o ben.proof && expect 0 bank node policy -o net.policy
expect 0 bank check account --offline --slot 1 && has "yes  all of them: from the proof at hand"
expect 0 "$consent" verify anna.proof ben.proof --policy net.policy && has "ALL VALID  2 proofs"
expect 0 "$consent" verify anna.proof ben.proof --policy net.policy --json && is all_valid True && is proofs.1.verdict VALID
expect 13 "$consent" verify anna.proof anna.proof --policy net.policy && has_err "same agreement"
expect 2 "$consent" verify anna.proof ben.proof --policy net.policy --body t.txt && has_err "goes with one proof"
expect 1 bank check account --offline --slot 63
flip ben.proof -5
expect 13 "$consent" verify anna.proof ben.proof --policy net.policy --json && is error.code CL_E_PROOF

# ---- nothing ties the two together: what the node says of both is no more than it says of either and somebody else's
expect 0 bank request other --terms t.txt --as bank --code other.code && expect 0 alice grant other --code other.code
for name in account.anna account.ben other; do
    expect 0 bank show $name --json && curl -s "$CONSENT_NODE/v1/agreements/$(json object)" >$name.json
done
/usr/bin/python3 - <<'PY' || fail "the ledger ties them together"
import re
anna, ben, other = (set(re.findall(r"[0-9a-f]{64,66}", open(f"{name}.json").read())) for name in ("account.anna", "account.ben", "other"))
assert len(anna) > 6 and anna & other and anna & ben == anna & other == ben & other, (anna & ben, anna & other)
PY

# ---- one of them withdraws
expect 0 ben revoke account
expect 11 bank check account --slot email && has "no  account.ben" && has "account.anna       yes"
expect 11 bank check account --slot email --json && is allowed False && is code CL_E_WITHDRAWN
expect 0 bank list --refresh && has "not allowed" && has "account.ben withdrawn"
expect 0 bank proof account.ben -o ben.proof
expect 11 "$consent" verify anna.proof ben.proof --policy net.policy --json && is all_valid False && is proofs.1.verdict REVOKED
expect 11 bank check account --offline && has "no  account.ben"
# ---- a child with two parents, each of whom keeps her agreement; she has a key for each, for later
expect 0 lea key new --name school.mother --no-ask --json && for_mother=$(json did)
expect 0 lea key new --name school.father --json && for_father=$(json did)
expect 0 bank request school --holders mother,father --terms t.txt --as bank --code school.code
expect 2 alice grant school --code school.mother.code --recovery --recovery-key "$for_mother" && has_err "give one of them"
expect 3 alice grant school --code school.nobody.code --recovery-key "$for_mother"
expect 0 alice grant school --code school.mother.code --recovery-key "$for_mother" && expect 0 ben grant school --code school.father.code --recovery-key "$for_father"
expect 0 bank check school --slot 1
expect 0 alice show school --json && mother=$(json object) && expect 0 ben show school --json && father=$(json object)
[ "$(json state)" = active ] || fail "$out"
# she is of age: her keys win over theirs; nobody else's does
expect 1 lea rotate "$mother" --recover --key school.father && has_err CL_E_
expect 1 lea rotate "$mother" --recover && has_err "name that with --key"
expect 0 alice export school -o school.consent-offer && expect 0 lea import school.consent-offer --name school
expect 0 lea rotate school --recover --key school.mother && has active
expect 0 lea rotate "$father" --recover --key school.father && has_err "It is in this wallet now, as"
expect 0 bank check school --slot 1
expect 4 alice suspend school && expect 4 ben revoke school
expect 0 lea rotate school --recover && expect 0 lea rotate "$father" --recover # with keys of her own from here on
expect 0 lea list --refresh --active --json && [ "$(/usr/bin/python3 -c 'import json,sys; print(len(json.load(sys.stdin)["entries"]))' <"$scratch/out")" -eq 2 ] || fail "her list: $out"
expect 0 lea revoke school && expect 11 bank check school --slot 1
finish
