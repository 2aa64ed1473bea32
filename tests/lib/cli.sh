# Shared by tests/integration/cli_*.sh: a node of one member in a scratch folder, two wallets, and assertions. Sourced.
set -u
build=${1:-build}
here=$(cd "$(dirname "$0")/../.." && pwd)
case $build in /*) ;; *) build=$here/$build ;; esac
consent=$build/consent
consentd=$build/consentd
scratch=$(mktemp -d)
node_pid=
failures=0
stop() {
    ended=0
    [ "$failures" -eq 0 ] || [ -z "$node_pid" ] || tail -n 5 "$scratch/node.err" >&2
    if [ -n "$node_pid" ]; then
        kill "$node_pid" 2>/dev/null
        for _ in $(seq 100); do kill -0 "$node_pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$node_pid" 2>/dev/null && echo "FAIL: the node did not stop within 10 s" >&2
        wait "$node_pid" 2>/dev/null
        ended=$?
        [ "$ended" -eq 0 ] || { echo "FAIL: the node ended with status $ended" >&2; tail -n 5 "$scratch/node.err" >&2; }
    fi
    rm -rf "$scratch"
    [ "$ended" -eq 0 ] || exit 1 # from the trap: what the test found good does not count
}
trap stop EXIT
trap 'exit 130' INT TERM
fail() { echo "FAIL: $*" >&2; failures=$((failures + 1)); }
finish() { [ "$failures" -eq 0 ] && echo "$(basename "$0"): good" || echo "$(basename "$0"): $failures failed"; [ "$failures" -eq 0 ]; exit; }
# expect STATUS command…: runs it, its output in $out and $err
expect() {
    wanted=$1; shift
    "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
    got=$?
    out=$(cat "$scratch/out"); err=$(cat "$scratch/err")
    [ "$got" -eq "$wanted" ] || { fail "exit $got instead of $wanted: $*"; sed 's/^/  | /' "$scratch/err" "$scratch/out" >&2; }
    [ "$got" -eq "$wanted" ]
}
has() { case $out in *"$1"*) ;; *) fail "no '$1' in: $out" ;; esac; }
has_err() { case $err in *"$1"*) ;; *) fail "no '$1' in: $err" ;; esac; }
# flip FILE AT: one bit of that byte, from the end where AT is negative
flip() { /usr/bin/python3 -c 'import sys
data=bytearray(open(sys.argv[1],"rb").read())
data[int(sys.argv[2])]^=1
open(sys.argv[1],"wb").write(data)' "$1" "$2"; }
json() { /usr/bin/python3 -c 'import json,sys
value=json.load(open(sys.argv[1]))
for part in sys.argv[2].split("."): value=value[int(part)] if part.isdigit() else value[part]
print(value)' "$scratch/out" "$1"; }
start_node() {
    "$consentd" init --data "$scratch/node" --name solo --jurisdiction NL --address 127.0.0.1:8781 >/dev/null 2>&1 || { fail "consentd init"; finish; }
    "$consentd" genesis --origin consent.example/test --out "$scratch/node/genesis.json" --open-reads "$scratch/node/member.json" >/dev/null 2>&1 || { fail "consentd genesis"; finish; }
    run_node
}
run_node() {
    : >"$scratch/node.out" # now, and not when the node comes to it: what an earlier one said is not read again
    "$consentd" run --data "$scratch/node" --listen "127.0.0.1:${port:=0}" >"$scratch/node.out" 2>"$scratch/node.err" &
    node_pid=$!
    for _ in $(seq 200); do
        url=$(sed -n 's/.*\(http:\/\/[0-9.]*:[0-9]*\).*/\1/p' "$scratch/node.out" | head -n 1)
        [ -n "$url" ] && break
        kill -0 "$node_pid" 2>/dev/null || break
        sleep 0.05
    done
    [ -n "$url" ] || { fail "the node did not start"; cat "$scratch/node.err" >&2; finish; }
    CONSENT_NODE=$url; export CONSENT_NODE
}
echo 'correct horse' >"$scratch/pass"
CONSENT_PASSPHRASE_FILE=$scratch/pass; export CONSENT_PASSPHRASE_FILE
unset CONSENT_WALLET NO_COLOR
XDG_DATA_HOME=$scratch/data; XDG_CONFIG_HOME=$scratch/config; export XDG_DATA_HOME XDG_CONFIG_HOME
alice() { CONSENT_WALLET=$scratch/alice "$consent" "$@"; }
acme() { CONSENT_WALLET=$scratch/acme "$consent" "$@"; }
