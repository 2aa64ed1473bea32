#!/bin/sh
# Runs the unit tests and the saved fuzz inputs, and closes with one line that counts them.
set -u
build=${1:-build}
passed=0 failed=0
mkdir -p "$build/log"
for test in "$build"/unit/test_*; do
    case $test in *.d|*'*') continue ;; esac
    name=$(basename "$test")
    if "$test" >"$build/log/$name.log" 2>&1; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAIL $name (see $build/log/$name.log)"; tail -n 15 "$build/log/$name.log"; fi
done
for replay in "$build"/replay/fuzz_*; do
    case $replay in *.d|*'*') continue ;; esac
    name=$(basename "$replay")
    corpus=tests/fuzz/corpus/${name#fuzz_}
    if "$replay" "$corpus" >"$build/log/$name.log" 2>&1; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAIL replay of $corpus (see $build/log/$name.log)"; tail -n 15 "$build/log/$name.log"; fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
