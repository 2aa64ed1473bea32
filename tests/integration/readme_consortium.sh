#!/bin/sh
# The README's section on founding a consortium, followed to the letter, but for the loopback address: nodes that run, agree,
# go on without one, say who is missing, and stop without a second.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-build}
case $build in /*) ;; *) build=$here/$build ;; esac
PATH=$build:$PATH
scratch=$(mktemp -d)
nodes=
failures=0
fail() { echo "FAIL: $*" >&2; failures=$((failures + 1)); }
finish() {
    # shellcheck disable=SC2086
    [ -z "$nodes" ] || kill -9 $nodes 2>/dev/null
    wait
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM
cd "$scratch" || exit 1

# an address of 127.0.0.0/8 for this run alone; the section's lines that are commands
net=127.$(($$ / 250 % 250 + 1)).$(($$ % 250 + 1)).1
sed -n '/^### Found a consortium/,/^##* What/p' "$here/README.md" | sed -n 's/^    //p' | sed "s/127\.0\.0\.1/$net/g" >commands
[ "$(grep -c '^consentd init' commands)" -eq 4 ] && [ "$(grep -c '^consentd run' commands)" -eq 4 ] || fail "the README's commands: $(cat commands)"
grep '^consentd init\|^consentd genesis\|^cp ' commands >found
sh -eu found >found.log 2>&1 || fail "founding: $(cat found.log)"

# run NUMBER: the README's NUMBER-th node
run() {
    sed -n '/^consentd run/p' commands | sed -n "$1s/^/exec /p" >"run$1"
    sh "run$1" >"ready$1" 2>>"log$1" &
    nodes="$nodes $!"
    eval "node$1=$!"
    for _ in $(seq 200); do grep -qs 'is ready' "ready$1" && return; sleep 0.1; done
    fail "node $1 did not start: $(tail -5 "log$1")"
}
# said COMMAND... : WORDS: within a minute the command's output has the words
said() {
    command=$1; words=$2
    for _ in $(seq 120); do
        $command >out 2>&1
        grep -qF -e "$words" out && return
        sleep 0.5
    done
    fail "$command does not say '$words': $(cat out)"
}
for number in 1 2 3 4; do run $number; done
status=$(grep '^consent node status' commands) peers=$(grep '^consent node peers' commands) doctor=$(grep '^consent node doctor' commands)
said "$status" "quorum 3; 4 can be heard"
said "$status" "No record waits"
said "$peers" "union"
said "$doctor" "union reaches this node"
export CONSENT_NODE="http://$net:8782" CONSENT_WALLET="$scratch/wallet"
echo secret >passphrase
export CONSENT_PASSPHRASE_FILE="$scratch/passphrase"
consent key new --name anna --no-ask >words 2>&1 || fail "a key: $(cat words)"
consent terms new >t.txt
publish() { consent terms publish t.txt --name "$1" --limit 5 >published 2>&1; }
publish one || fail "four nodes: $(cat published)"
kill -INT "$node4"; wait "$node4" || fail "Ctrl-C: status $?"
said "$status" "union has not been heard"
publish two || fail "three nodes: $(cat published)"
kill -INT "$node2"; wait "$node2" || fail "Ctrl-C: status $?"
said "$status" "2 of 4 members can be heard"
run 2; run 4
said "$status" "4 can be heard"
publish three || fail "all are back: $(cat published)"
[ "$failures" -eq 0 ] && echo "readme_consortium.sh: good" || echo "readme_consortium.sh: $failures failed"
[ "$failures" -eq 0 ]
