#!/bin/sh
# Every test of `make check`, one line each, and a last line that counts them. Logs: $BUILD/log/NAME.log.
set -u
build=${1:-build}
passed=0 failed=0
mkdir -p "$build/log"

# step NAME COMMAND...: runs it, prints ok or FAIL with the end of its log
step() {
    name=$1; shift
    started=$(date +%s)
    if "$@" >"$build/log/$name.log" 2>&1 </dev/null; then
        passed=$((passed + 1)); printf 'ok    %-34s %4s s\n' "$name" "$(($(date +%s) - started))"
    else
        failed=$((failed + 1)); printf 'FAIL  %-34s see %s\n' "$name" "$build/log/$name.log"
        tail -n 25 "$build/log/$name.log" | sed 's/^/      /'
    fi
}

for test in "$build"/unit/test_*; do
    [ -x "$test" ] && step "$(basename "$test")" "$test"
done
for replay in "$build"/replay/fuzz_*; do
    [ -x "$replay" ] || continue
    name=$(basename "$replay")
    step "corpus_${name#fuzz_}" "$replay" "tests/fuzz/corpus/${name#fuzz_}"
done
step sim "$build/sim" 1000
step sim_enumerate "$build/enumerate" 2
step vectors /usr/bin/python3 tests/vectors/make_vectors.py --check
step rules_against_model /usr/bin/python3 tests/model/history.py "$build/programs/rules_driver" --records 10000 --seed 1
step rules_seeded_faults /usr/bin/python3 tests/model/faults.py "$build"
for script in tests/integration/*.sh tests/integration/*.py; do
    [ -e "$script" ] || continue
    name=$(basename "$script"); name=${name%.*}
    case $script in
    */consortium_faults.py|*/consortium_hostile.py|*/consortium_soak.py) ;; # minutes each: run-deep.sh
    *.sh) step "$name" sh "$script" "$build" ;;
    *.py) step "$name" /usr/bin/python3 "$script" "$build" ;;
    esac
done
step linkage /usr/bin/python3 tests/linkage/linkage.py "$build" 300
for scene in tests/scenes/*.py; do
    [ -e "$scene" ] || continue
    name=$(basename "$scene"); name=scene_${name%.*}
    step "$name" /usr/bin/python3 "$scene" "$build"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
