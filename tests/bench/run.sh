#!/bin/sh
# Runs the benchmarks (all, or the one named), prints one table and writes BUILD/bench.json.
# A missed target is told, not punished: the exit status says only whether every benchmark could run.
#   [BENCH_FRESH=1] sh tests/bench/run.sh BUILD [NAME]     BENCH_FRESH: growth builds its tree of ten million anew
set -u
build=${1:-build}
wanted=${2:-}
order='verify_proof ingest_single ingest_bulk growth sync disk check_local cluster finality mailbox tell idle away'
objects=$build/bench.objects
rows=$build/bench.rows
failed=0 ran=0
: >"$objects"; : >"$rows"
clean() { rm -rf "$build"/bench-data/tmp-*; rm -f "$objects" "$rows"; }
trap clean EXIT
trap 'exit 130' INT TERM
for name in $order; do
    [ -z "$wanted" ] || [ "$wanted" = "$name" ] || continue
    ran=$((ran + 1))
    echo "== $name" >&2
    if ! "$build/bench/bench_$name" "$build" "$objects" ${BENCH_FRESH:+--fresh} >>"$rows"; then
        echo "bench: $name could not run" >&2
        failed=1
    fi
done
[ "$ran" -gt 0 ] || { echo "bench: no benchmark is called '$wanted'; there are: $order" >&2; exit 2; }
# Rows come tab-separated; the table's columns are as wide as their widest cell.
{ printf 'name\tvalue\tlimit, same run\tratio: median (min to max)\ttarget\tmet\n'; cat "$rows"; } |
awk -F '\t' '{ for (i = 1; i <= 6; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
    END { for (row = 1; row <= NR; row++) { line = ""
              for (i = 1; i <= 6; i++) line = line sprintf("%-" width[i] "s  ", cell[row, i])
              sub(/ +$/, "", line); print line
              if (row == 1) { rule = line; gsub(/./, "-", rule); print rule } } }'
sed -n 's/.*"machine":"\([^"]*\)".*/machine: \1/p' "$objects" | sort -u
echo 'One secp256k1 check: a 33-byte key and a 64-byte signature parsed from bytes, high s refused, verified over a 32-byte'
echo 'digest; every key and digest another one. "cores x checks/s" is measured with one thread on each core at once.'
if [ -s "$objects" ]; then sed -e '1s/^/[/' -e '$!s/$/,/' -e '$s/$/]/' "$objects"; else echo "[]"; fi >"$build/bench.json"
exit "$failed"
