#!/bin/sh
# What `make check-deep` adds to `make check`: sanitizers, valgrind, static analysis, 10^6 random records, 200 kills under
# load, 100,000 subscriptions from a list, the linkage of 10,000 people, faults, hostile members and clients and fifteen minutes
# of load for a consortium of four, a minute of fuzzing for each target. Each step prints one line; logs are in BUILD/log/deep-NAME.log.
# STEPS="asan tsan" runs only those. The step faults needs root (network namespaces, mounts).
set -u
build=${1:-build}
passed=0 failed=0
mkdir -p "$build/log" "$build/asan" "$build/tsan"
absolute=$(cd "$build" && pwd)
jobs=$(nproc 2>/dev/null || echo 2)
steps=${STEPS:-asan tsan valgrind tidy cppcheck histories kills bulk linkage faults hostile soak mutations fuzz}

step() {
    name=$1; shift
    case " $steps " in *" $name "*) ;; *) return ;; esac
    started=$(date +%s)
    if "$@" >"$build/log/deep-$name.log" 2>&1 </dev/null; then
        passed=$((passed + 1)); printf 'ok    %-12s %5s s\n' "$name" "$(($(date +%s) - started))"
    else
        failed=$((failed + 1)); printf 'FAIL  %-12s see %s\n' "$name" "$build/log/deep-$name.log"
        tail -n 25 "$build/log/deep-$name.log" | sed 's/^/      /'
    fi
}

# Reports go to files: what a node writes to standard error is deleted with its directory by the test that ran it.
# run_scripts DIR PROGRAMS SCRIPT...: each script against those programs; fails if one fails or a report was written.
run_scripts() {
    folder=$1; shift
    result=0
    for script in "$@"; do
        echo "== $script"
        case $script in
        *.py) timeout 900 /usr/bin/python3 "$script" "$folder" || { result=1; echo "FAILED: $script"; } ;;
        *) timeout 900 sh "$script" "$folder" || { result=1; echo "FAILED: $script"; } ;;
        esac
    done
    for report in "$folder"/report.*; do
        [ -e "$report" ] || continue
        result=1; echo "== $report"; head -n 60 "$report"
    done
    return "$result"
}
# gcc's own checks of conversions see less of a value's range once the sanitizers have touched it, and complain of none.
asan() {
    rm -f "$build"/asan/report.*
    make -s -j"$jobs" BUILD="$build/asan" OPTIMISE=-O1 CFLAGS='-Wno-conversion -Wno-sign-conversion' \
        SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer' all programs check-unit || return 1
    # the foreign tools judge bytes, not memory; install.sh and man.sh install, which builds again without the sanitizers
    ASAN_OPTIONS="detect_leaks=1:log_path=$absolute/asan/report" \
    UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1:log_path=$absolute/asan/report" \
        run_scripts "$build/asan" $(ls tests/integration/*.py tests/integration/*.sh tests/scenes/*.py | grep -vE '/(interop|install|man|consortium_faults|consortium_hostile|consortium_soak)\.')
}
# The threads are in the node: what drives it with many clients at once, and stops or kills it while busy; and the unit tests
# that start real nodes or threads.
tsan() {
    rm -f "$build"/tsan/report.*
    threaded="inbox intake node_sync node_blocks node_votes transport verify_pool ledger_helper ledger_view gossip"
    make -s -j"$jobs" BUILD="$build/tsan" CC=clang OPTIMISE=-O1 SANITIZE=-fsanitize=thread all programs \
        $(for name in $threaded; do echo "$build/tsan/unit/test_$name"; done) || return 1
    export TSAN_OPTIONS="second_deadlock_stack=1 log_path=$absolute/tsan/report suppressions=$PWD/tests/tsan.suppressions"
    failures=0
    for name in $threaded; do
        echo "== test_$name"; timeout 900 "$build/tsan/unit/test_$name" || { failures=1; echo "FAILED: test_$name"; }
    done
    ROUNDS=3 run_scripts "$build/tsan" tests/integration/busy_stop.py tests/integration/api_walk.py tests/integration/feed_resume.py \
        tests/integration/bad_input.py tests/integration/bad_http.py tests/integration/hostile_http.py tests/integration/disk_faults.py \
        tests/integration/kill_loop.py tests/integration/consortium.py tests/integration/consortium_busy.py tests/integration/mailboxes.py \
        tests/integration/mailbox_disk.py tests/integration/public_bodies.py || failures=1
    unset TSAN_OPTIONS
    return "$failures"
}
# test_ledger_failures brings an allocator of its own, as valgrind does; test_buffer looks at all bytes of a block, written
# or not. The address sanitizer looks at what they leave.
valgrind_units() {
    for test in "$build"/unit/test_*; do
        case $test in *.d|*/test_ledger_failures|*/test_buffer) continue ;; esac
        echo "$test"
    done | xargs -P "$jobs" -I{} sh -c 'started=$(date +%s) log=$1/log/valgrind-$(basename {}).log
        timeout 1200 valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite {} >"$log" 2>&1 || {
            echo "FAILED ($?): {}"; tail -n 30 "$log"; exit 1; }
        echo "{}: $(($(date +%s) - started)) s"' - "$build"
}
# Left out beside what is a matter of taste: widening of multiplications (ours are of constants from limits.h, and the
# compiler's -Wconversion watches the way down), sizeof of pointers (arrays of pointers), memcpy without the final zero
# (lengths are kept), and va_list, which this version reports wrongly from the second file on.
tidy() {
    clang-tidy --quiet --warnings-as-errors='*' \
        -checks='-*,clang-analyzer-*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions,-bugprone-reserved-identifier,-bugprone-assignment-in-if-condition,-bugprone-branch-clone,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,-bugprone-implicit-widening-of-multiplication-result,-bugprone-sizeof-expression,-bugprone-not-null-terminated-result,-clang-analyzer-valist.Uninitialized' \
        ledger/*.c node/*.c tools/*.c -- -std=c11 -D_GNU_SOURCE -DCL_VERSION='""' -Iinclude -Iledger
}
cppcheck_all() {
    cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability --inline-suppr \
        --suppress=missingIncludeSystem --suppress=ctuuninitvar \
        '-Djson_array_foreach(array,index,value)=for(index=0;(value=json_array_get(array,index))!=NULL;index++)' \
        '-Djson_object_foreach(object,key,value)=for(key="";(value=json_object_get(object,key))!=NULL;)' -Iinclude -Iledger ledger node tools
}
histories() {
    seq 1 20 | xargs -P "$jobs" -I{} /usr/bin/python3 tests/model/history.py "$build/programs/rules_driver" \
        --records 50000 --seed {} --quiet
}
kills() {
    KILLS=200 /usr/bin/python3 tests/integration/kill_loop.py "$build"
}
bulk() {
    BULK="${BULK:-100000}" sh tests/integration/bulk.sh "$build"
}
linkage() {
    /usr/bin/python3 tests/linkage/linkage.py "$build" "${PEOPLE:-10000}"
}
faults() {
    /usr/bin/python3 tests/integration/consortium_faults.py "$build"
}
hostile() {
    /usr/bin/python3 tests/integration/consortium_hostile.py "$build"
}
soak() {
    SOAK_SECONDS="${SOAK_SECONDS:-900}" /usr/bin/python3 tests/integration/consortium_soak.py "$build"
}
# Each rule of agreement taken out: its test has to fail.
mutations() {
    /usr/bin/python3 tests/sim/mutations.py
}
fuzz() {
    make -s -j"$jobs" BUILD="$build" fuzz SECONDS_EACH="${SECONDS_EACH:-60}"
}

make -s -j"$jobs" BUILD="$build" all programs check-unit >"$build/log/deep-build.log" 2>&1 || {
    tail -n 25 "$build/log/deep-build.log"; exit 1; }
step asan asan
step tsan tsan
step valgrind valgrind_units
step tidy tidy
step cppcheck cppcheck_all
step histories histories
step kills kills
step bulk bulk
step linkage linkage
step faults faults
step hostile hostile
step soak soak
step mutations mutations
step fuzz fuzz
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
