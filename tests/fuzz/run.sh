#!/bin/sh
# Runs every libFuzzer target for a while: run.sh BUILD SECONDS_EACH. New inputs that reach something new are merged,
# minimised, into tests/fuzz/corpus; what crashes is kept under BUILD/fuzz-findings, and the exit code says so.
set -u
build=${1:-build}
seconds=${2:-60}
corpora=tests/fuzz/corpus
findings=$build/fuzz-findings
mkdir -p "$findings" "$build/fuzz-work"
bad=0 count=0
for target in "$build"/fuzz/fuzz_*; do
    [ -x "$target" ] && [ -f "$target" ] || continue
    count=$((count + 1))
    name=$(basename "$target")
    name=${name#fuzz_}
    corpus=$corpora/$name
    work=$build/fuzz-work/$name
    log=$build/fuzz-work/$name.log
    mkdir -p "$corpus" "$work"
    # The work folder keeps everything; the corpus in the repository gets only what adds coverage, and stays small.
    timeout $((seconds + 60)) "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
        -print_final_stats=1 -artifact_prefix="$findings/$name-" "$work" "$corpus" >"$log" 2>&1
    result=$?
    executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    if [ "$result" -ne 0 ]; then
        bad=1
        echo "$name: FINDING (exit $result) after ${executed:-?} executions; see $log and $findings"
        tail -n 20 "$log"
        continue
    fi
    before=$(find "$corpus" -type f | wc -l)
    merged=$build/fuzz-work/$name.merged
    rm -rf "$merged" && mkdir "$merged"
    if ! timeout 300 "$target" -merge=1 -max_len=4096 -artifact_prefix="$findings/$name-" "$merged" "$corpus" "$work" \
            >>"$log" 2>&1; then
        bad=1
        echo "$name: FINDING while merging; see $log and $findings"
        continue
    fi
    # Inputs that libFuzzer named (40 hexadecimal digits) are replaced by the smallest of the new ones, within 190 files
    # and 250 KB; those with other names were put there by hand and stay.
    find "$corpus" -type f -name '????????????????????????????????????????' -exec rm -f {} +
    total=0 kept=0
    for file in $(ls -Sr "$merged"); do
        total=$((total + $(wc -c <"$merged/$file")))
        [ "$total" -le 250000 ] && [ "$kept" -lt 190 ] || break
        kept=$((kept + 1))
        cp "$merged/$file" "$corpus/$file"
    done
    echo "$name: ${executed:-0} executions in $seconds s, corpus $before -> $(find "$corpus" -type f | wc -l)"
done
[ "$count" -gt 0 ] || { echo "no fuzz target was built under $build/fuzz"; exit 1; }
exit "$bad"
