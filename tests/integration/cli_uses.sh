#!/bin/sh
# "How was my data used?": checks are logged before they are answered, a period is stated, two customers verify what was stated of
# them, and a proof that says something else is refused. A check that is killed loses no yes.
. "$(dirname "$0")/../lib/cli.sh"
start_node
cd "$scratch" || exit 1
bea() { CONSENT_WALLET=$scratch/bea "$consent" "$@"; }
now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
id_of() { "$@" --json 2>/dev/null | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["object"])'; }

expect 0 acme key new --name acme --no-ask
expect 0 acme profile acme
expect 0 alice key new --name alice --no-ask
expect 0 bea key new --name bea --no-ask
alice terms new >t.txt
for customer in alice bea; do
    expect 0 $customer terms publish t.txt --name shop --limit 9 --standing --until 2099-12-31 -o $customer.consent-offer
    expect 0 acme subscribe --offer $customer.consent-offer --name $customer --as acme
done
expect 0 acme terms publish t.txt --name own --limit 9 --standing --until 2099-12-31 -o own.consent-offer
profile=$(id_of acme show acme); of_alice=$(id_of acme show alice); of_bea=$(id_of acme show bea)
log=$scratch/acme.uses/$profile.log

# ---- what is logged, and what not
begin=$(now)
expect 2 acme check alice --log --purpose dpv:Marketing && has_err "--slot"
expect 0 acme check alice --slot email --purpose dpv:Marketing
[ ! -e "$log" ] || fail "a check without --log was logged"
expect 0 acme check alice --slot email --purpose dpv:Marketing --log --reference letter-7 && has yes
expect 0 acme check alice --slot email --purpose dpv:Marketing --log --json && [ "$(json allowed)" = True ] || fail "check --log --json"
expect 1 acme check alice --slot email --purpose dpv:Advertising --log && has no
expect 1 acme check alice --slot 7 --log --purpose dpv:Marketing
[ "$(stat -c %a "$log")" = 600 ] || fail "the log is for others to read"
[ "$(stat -c %a "$scratch/acme.uses")" = 700 ] || fail "so is its directory"
expect 0 acme uses list acme && has "slot 1   dpv:Marketing  letter-7" && has_err "2 uses; 2 times the answer was no"
expect 0 acme uses list acme bea && has_err "0 uses"
# where nothing can be written there is no yes
mv "$log" kept.log
mkdir "$log"
expect 1 acme check alice --slot email --purpose dpv:Marketing --log && has_err CL_E_IO
case $out in *yes*) fail "a yes that is not in the log: $out" ;; esac
rmdir "$log"; mv kept.log "$log"

# ---- killed in the middle: no yes is lost, and what was half written goes
killed=0
for round in $(seq 12); do
    CONSENT_WALLET=$scratch/acme "$consent" check alice --slot email --purpose dpv:Marketing --log --reference "kill-$round" >"answer-$round" 2>/dev/null </dev/null &
    job=$!
    sleep "$(/usr/bin/python3 -c "print(0.02 * $round)")"
    kill -9 "$job" 2>/dev/null
    wait "$job" 2>/dev/null
    [ $? -ne 137 ] || killed=$((killed + 1))
done
[ "$killed" -gt 0 ] || fail "no check was killed"
for round in $(seq 12); do
    grep -q yes "answer-$round" || continue
    grep -q "kill-$round\$" "$log" || fail "the yes of round $round is not in the log"
done
printf 'use\t17000000' >>"$log"
expect 0 acme check alice --slot email --purpose dpv:Marketing --log --reference after
grep -q 'use.17000000$' "$log" && fail "half a line stayed"
expect 0 acme uses list acme && has after

# ---- files of uses
moment=$(now)
printf '# made elsewhere\n%s %s 1 dpv:Marketing order-1\n%s bea 2 dpv:ServiceProvision\n' "$moment" "$of_alice" "$moment" >file.txt
sed '$d' file.txt >only_alice.txt
printf '%s alice 1 dpv:Marketing a b\n' "$moment" >bad.txt
expect 1 acme uses add acme bad.txt && has_err "bad.txt, line 1: wanted are TIME AGREEMENT SLOT PURPOSE"
printf '%s alice 1 dpv:Marketing\n2199-01-01T00:00:00Z alice 1 dpv:Marketing\n' "$moment" >bad.txt
expect 1 acme uses add acme bad.txt && has_err "line 2" && has_err "time of the past"
lines=$(wc -l <"$log")
expect 0 acme uses add acme only_alice.txt && has "1 use added"
expect 0 acme uses add acme only_alice.txt && has "0 uses added" && has_err "earlier run"
[ "$(wc -l <"$log")" -eq $((lines + 2)) ] || fail "a file was taken in twice"
/usr/bin/python3 -c "
for i in range(20000): print('$moment', '$of_alice', 1, 'dpv:Marketing', 'bulk-%d' % i)" >bulk.txt
# a run that is killed goes on where it stopped: nothing is missing, nothing is doubled
for pause in 0.01 0.02 0.03 0.05; do
    CONSENT_WALLET=$scratch/acme "$consent" uses add "$profile" bulk.txt >/dev/null 2>&1 </dev/null &
    job=$!
    sleep "$pause"
    kill -9 "$job" 2>/dev/null
    wait "$job" 2>/dev/null
done
expect 0 acme uses add "$profile" bulk.txt
[ "$(grep -c 'bulk-' "$log")" -eq 20000 ] && [ "$(grep -o 'bulk-[0-9]*$' "$log" | sort -u | wc -l)" -eq 20000 ] || fail "20,000 uses became $(grep -c 'bulk-' "$log")"

# ---- the statement
expect 2 acme statement acme --period 2026-13
expect 12 acme statement acme --from "$begin" --until 2099-01-01 && has_err "not over"
sleep 1.1; end=$(now); sleep 1.1
expect 0 acme statement acme --from "$begin" --until "$end" --json
used=$(json uses); [ "$used" -ge 20004 ] && [ "$(json used_agreements)" = 1 ] && [ "$(json unused_agreements)" = 1 ] || fail "the statement: $out"
expect 0 acme statement acme --from "$begin" --until "$end" && has "in the log already"
expect 1 acme uses add acme bad.txt
printf '%s alice 1 dpv:Marketing late\n' "$moment" >late.txt
expect 1 acme uses add acme late.txt && has_err "a statement was made already"

# ---- two customers
expect 0 acme node policy -o net.policy
expect 0 acme uses prove acme alice --from "$begin" --until "$end" -o alice.consent-uses && has "$used uses"
expect 2 acme uses prove acme --all --from "$begin" --until "$end" && has_err "-o DIR"
expect 0 acme uses prove acme --all --from "$begin" --until "$end" -o proofs && has "2 proofs in proofs, 2 of them made now"
expect 0 acme uses prove acme --all --from "$begin" --until "$end" -o proofs --json && [ "$(json made)" = 0 ] || fail "made again"
[ "$(ls proofs | wc -l)" = 2 ] || fail "proofs of all: $(ls proofs)"
expect 0 acme uses prove acme bea --from "$begin" --until "$end" -o bea.consent-uses && has "0 uses"
bea_id=$(id_of acme show bea)
cmp -s bea.consent-uses proofs/"$bea_id".*.consent-uses || fail "the proof of all is another than that of one"
unset CONSENT_NODE
verify() { wanted=$1; shift; expect "$wanted" env -u CONSENT_WALLET XDG_DATA_HOME=/nonexistent "$consent" uses verify "$@" --policy net.policy; }
verify 0 alice.consent-uses --profile "$profile" --object "$of_alice" && has "VALID  used $used times" && has "dpv:Marketing  letter-7" && has_err "It does not show that nothing else was done"
verify 0 bea.consent-uses --json && [ "$(json used)" = False ] && [ "$(json agreement)" = "$of_bea" ] && [ "$(json named)" = True ] || fail "not used: $out"
verify 0 bea.consent-uses && has "VALID  not used from" && has_err "Compare both ids"
grep -q letter-7 bea.consent-uses && fail "one customer's proof tells of another's uses"
CONSENT_NODE=$url; export CONSENT_NODE
expect 0 acme proof alice -o alice.consent-proof
expect 0 acme proof bea -o bea.consent-proof
verify 0 alice.consent-uses --proof alice.consent-proof && has VALID
verify 13 alice.consent-uses --proof bea.consent-proof && has_err "is not about the agreement"
verify 13 alice.consent-uses --object "$of_bea" && has_err "about another agreement"
verify 13 alice.consent-uses --profile "$of_bea" && has_err "another organisation's"
# an agreement that the statement does not name is proven absent
nobody=$(printf '%064d' 7)
expect 0 acme uses prove acme "$nobody" --from "$begin" --until "$end" -o nobody.consent-uses && has_err "does not name"
verify 0 nobody.consent-uses --object "$nobody" && has "not among those that it used"

# ---- proofs that lie
/usr/bin/python3 - <<'PYTHON' || fail "the hostile proofs could not be made"
import cbor2
load = lambda name: cbor2.loads(open(name, "rb").read())
def save(name, value): open(name, "wb").write(cbor2.dumps(value, canonical=True))
alice, bea, nobody = load("alice.consent-uses"), load("bea.consent-uses"), load("nobody.consent-uses")
uses = cbor2.loads(alice[6][2])
fewer = [list(x) if isinstance(x, list) else x for x in alice]; fewer[6] = [1, alice[6][1], cbor2.dumps(uses[1:]), alice[6][3]]
save("fewer", fewer)                                       # a use left out
changed = [*alice]; changed[6] = [1, alice[6][1], cbor2.dumps([[*uses[0][:2], "https://w3id.org/dpv#ServiceProvision", uses[0][3]], *uses[1:]]), alice[6][3]]
save("changed", changed)                                   # another purpose
save("others", [*alice[:5], alice[5], bea[6]])             # bea's "not used" for alice
save("hidden", [*alice[:5], alice[5], nobody[6]])          # "absent" for one that is there
save("moved", [*bea[:5], alice[5], bea[6]])
PYTHON
for lie in fewer changed others hidden moved; do verify 13 "$lie" && has_err CL_E_PROOF; done
for at in 5 60 200 400; do cp bea.consent-uses bent; flip bent $at; "$consent" uses verify bent --policy net.policy >/dev/null 2>&1 && fail "byte $at can be changed"; done
# another period's statement: its record does not carry this root
sleep 1.1; later=$(now); sleep 1.1
expect 0 acme statement acme --from "$end" --until "$later"
expect 0 acme uses prove acme alice --from "$end" --until "$later" -o later.consent-uses && has "0 uses"
/usr/bin/python3 - <<'PYTHON' || fail "the last hostile proof could not be made"
import cbor2
then, later = (cbor2.loads(open(name, "rb").read()) for name in ("alice.consent-uses", "later.consent-uses"))
open("swapped", "wb").write(cbor2.dumps([*then[:6], later[6]], canonical=True))
PYTHON
verify 13 swapped && has_err CL_E_PROOF
verify 0 later.consent-uses --object "$of_alice" && has "not used"
expect 1 "$consent" uses verify t.txt --policy net.policy && has_err CL_E_

# ---- of others' words (hashlib, cbor2, ecdsa) the proofs hold too
for one in alice bea nobody later; do
    expect 0 /usr/bin/python3 "$here/tests/interop/uses_python.py" "$one.consent-uses" && has "good"
done
for lie in fewer changed others hidden moved swapped; do expect 1 /usr/bin/python3 "$here/tests/interop/uses_python.py" "$lie"; done
finish
