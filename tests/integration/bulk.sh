#!/bin/sh
# consent subscribe --from: thousands of TERMS, interrupted by SIGINT and by kill -9, and in the end exactly one agreement
# for every line, as the ledger tells. BULK=100000 for the large run; times and memory are printed.
. "$(dirname "$0")/../lib/cli.sh"
lines=${BULK:-5000}
start_node
cd "$scratch" || exit 1
network=$(curl -s "$CONSENT_NODE/v1/network" | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["network_id"])')
"$build/programs/many_terms" "$network" "$lines" . || fail many_terms
for record in terms-*.cose; do
    curl -s -o answer -w '%{http_code}\n' --data-binary "@$record" -H 'Content-Type: application/cose' "$CONSENT_NODE/v1/records?wait=final" | grep -q '^20' ||
        fail "$record: $(cat answer)"
done
expect 0 acme key new --name acme --no-ask
expect 0 acme profile acme --json && profile=$(json object)

# lines that nothing can come of, and one that stands there twice
{ echo "0000000000000000000000000000000000000000000000000000000000000001,nobody"; echo "not an id"; echo "$profile,a profile"; echo '# a comment'; sed -n 2p list.csv; } >>list.csv
total=$(wc -l <list.csv)

# settled LINES: waits until that many are in list.csv.agreements
settled() {
    for _ in $(seq 3000); do
        [ "$(wc -l 2>/dev/null <list.csv.agreements || echo 0)" -ge "$1" ] && return
        kill -0 "$run" 2>/dev/null || return
        sleep 0.01
    done
}
# The command itself, without the shell's function around it, so that signals reach it.
begin() { CONSENT_WALLET=$scratch/acme "$consent" subscribe --from list.csv --as acme >run.out 2>run.err & run=$!; }

begin; settled $((lines / 5)); kill -INT "$run"; wait "$run"; got=$?
[ "$got" -eq 130 ] || fail "exit $got instead of 130 after SIGINT: $(cat run.err)"
grep -q "Interrupted after line [0-9]* of $total. The same command goes on there" run.err || fail "no sentence on how to resume: $(cat run.err)"
for part in 2 3; do
    begin; settled $((lines * part / 5)); kill -9 "$run"; wait "$run" 2>/dev/null
    [ $? -eq 137 ] || fail "it had ended before it was killed: $(cat run.err)"
    rm -f "$scratch/acme.lock"
done
# a line that was being written when the power went; if the kill cut one off already, it goes first
/usr/bin/python3 -c 'data = open("list.csv.journal", "rb").read(); open("list.csv.journal", "wb").write(data[:data.rindex(b"\n") + 1])'
printf 'left CL_E_CLOSED %064d %064d\nsent 1 2 AAAA' 0 0 >>list.csv.journal; echo half >>list.csv.agreements
started=$(date +%s%N)
/usr/bin/python3 - "$consent" "$scratch/acme" <<'P' >run.json
import os, resource, subprocess, sys
os.environ["CONSENT_WALLET"] = sys.argv[2]
done = subprocess.run([sys.argv[1], "subscribe", "--from", "list.csv", "--as", "acme", "--json"], stderr=open("run.err", "w"))
print(f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024} MiB at most", file=sys.stderr)
sys.exit(done.returncode)
P
[ $? -eq 0 ] || fail "the last run: $(cat run.err)"
milliseconds=$((($(date +%s%N) - started) / 1000000))
echo "$(sed -n 's/^Going on after line \([0-9]*\) .*/\1/p' run.err) lines were settled before the last run, which took $milliseconds ms"
cp run.json out
is_json() { [ "$(/usr/bin/python3 -c 'import json,sys; print(json.load(open("run.json"))[sys.argv[1]])' "$1")" = "$2" ] || fail "$1 is not $2: $(cat run.json)"; }
is_json subscriptions "$lines"; is_json refused 4; is_json already 0
[ "$(cut -d, -f2 list.csv.refused | sort | tr '\n' ' ')" = "CL_E_EXISTS CL_E_FORMAT CL_E_NO_OBJECT CL_E_OBJECT_KIND " ] || fail "refused: $(cat list.csv.refused)"

# what the ledger says: each TERMS has one answer, each agreement is active and of its line, and the profile has no others
cat >judge.py <<'P'
import base64, hashlib, json, sys, urllib.request
url, profile = sys.argv[1], bytes.fromhex(sys.argv[2])
def values(ids):
    for at in range(0, len(ids), 1000):
        request = urllib.request.Request(f"{url}/v1/objects", b"".join(ids[at:at + 1000]), {"Content-Type": "application/octet-stream"})
        yield from json.load(urllib.request.urlopen(request))["values"]
terms = [bytes.fromhex(line[:64]) for line in open("list.csv").read().splitlines()[1:-5]]
listed = dict(line.split(",")[:2] for line in open("list.csv.agreements"))
rows = open("list.csv.agreements").read().splitlines()
assert len(rows) == len(terms) == len(listed) == len(set(listed.values())), (len(rows), len(terms), len(listed))
answers = list(values([hashlib.sha256(b"consent/v1 answer\0" + one + profile).digest() for one in terms]))
assert None not in answers, answers.index(None)
for one, answer in zip(terms, answers):
    assert base64.b64decode(answer)[-32:].hex() == listed[one.hex()], one.hex()
for one, value in zip(terms, values(terms)):
    state = base64.b64decode(value)
    assert state[:3] == b"\x90\x01\x02", state[:3].hex()
agreements = 0
for line in urllib.request.urlopen(urllib.request.Request(f"{url}/v1/feed?follow=0", headers={"Accept": "application/x-ndjson"})):
    if line.strip():
        data = json.loads(line)["data"]
        agreements += len(data["objects"]) if data.get("type") == "SUBSCRIBE" else 0
print(f"{len(terms)} lines, {len(listed)} agreements, {agreements} entries in SUBSCRIBE records")
assert agreements == len(terms), "something was agreed to twice, or tried to be"
P
expect 0 /usr/bin/python3 judge.py "$CONSENT_NODE" "$profile"
cat "$scratch/out"
# the same again does nothing; with another list, or a journal that is not one, it says so
expect 0 acme subscribe --from list.csv --as acme && has "$lines subscriptions, 4 lines refused"
# a journal whose first write was cut short, so that what a run sends at once is not what the next one reads at once
cp list.csv cut.csv
/usr/bin/python3 - <<'P'
journal = open("list.csv.journal").read().splitlines(True)
agreements = "".join(open("list.csv.agreements").read().splitlines(True)[:3 * 64])
sent = [line for line in journal if line.startswith("sent ")]
done = f"done {sent[2].split()[2]} {len(agreements)} 0 {3 * 64} 0 0\n"
open("cut.csv.journal", "w").write("".join([journal[0], *sent[:24], done, *sent[24:31]]))
open("cut.csv.agreements", "w").write(agreements)
P
expect 0 acme subscribe --from cut.csv --as acme && has "$((31 * 64)) subscriptions, 4 lines refused, $((lines - 31 * 64)) agreed to before"
[ "$(sort cut.csv.agreements | cut -d, -f1,2)" = "$(sort list.csv.agreements | cut -d, -f1,2)" ] || fail "the agreements are not those of before"
head -n 3 list.csv >other.csv
expect 0 acme subscribe --from other.csv --as acme && has "0 subscriptions, 0 lines refused, 2 agreed to before"
echo >>other.csv
expect 1 acme subscribe --from other.csv --as acme && has_err "another list"
rm other.csv.journal
expect 1 acme subscribe --from other.csv --as acme && has_err "without its journal"
finish
