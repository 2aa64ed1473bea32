#!/bin/sh
# The man pages are clean, and every command, option, setting and example that the programs know stands in them.
set -u
build=${1:-build}
here=$(cd "$(dirname "$0")/../.." && pwd)
case $build in /*) ;; *) build=$here/$build ;; esac
cd "$here/tools/man" || exit 1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
fail() { echo "FAIL: $*" >&2; failures=$((failures + 1)); }

for page in consent.1 consentd.8 consent-terms.5; do
    mandoc -T lint -W warning "$page" >"$scratch/lint" 2>&1 || { fail "$page"; cat "$scratch/lint" >&2; }
    mandoc -T ascii -O width=400 "$page" | sed 's/.\x08//g' >"$scratch/$page.txt"
done
# says PAGE TEXT
says() { grep -qF -e "$2" "$scratch/$1.txt" || fail "$1 does not say: $2"; }

# found LEAST WHAT LIST: a list to go through is there
found() { [ "$(echo "$3" | wc -w)" -ge "$1" ] || fail "found fewer than $1 $2: $3"; }

# commands, their arguments' options and their examples, as the program's own help has them
"$build/consent" help >"$scratch/help"
sed -n 's/^  \([a-z]*\( [a-z]*\)\{0,1\}\)  .*/\1/p' "$scratch/help" | sed 's/ *$//' >"$scratch/commands"
[ "$(wc -l <"$scratch/commands")" -ge 45 ] || fail "consent help lists $(wc -l <"$scratch/commands") commands"
sed -n '/^COMMANDS/,/Signing options$/p' "$scratch/consent.1.txt" >"$scratch/commands.txt"
signing=$(sed -n '/Signing options$/,/^OPTIONS/p' "$scratch/consent.1.txt")
while read -r command; do
    grep -qE "^ +$command( |\$)" "$scratch/consent.1.txt" || fail "consent.1 lacks the command '$command'"
    # shellcheck disable=SC2086
    "$build/consent" help $command >"$scratch/one"
    says consent.1 "$(sed -n 's/^example: //p' "$scratch/one")"
    for option in $(sed -n 's/^  \(--[a-z-]*\).*/\1/p' "$scratch/one"); do
        grep -qE "^ +$option( |\$|,)" "$scratch/consent.1.txt" || fail "consent.1 does not explain $option"
    done
    # the options that the command's help has, each with its value or among the signing options, and no others
    synopsis=$(grep -E "^ {5}$command( [^a-z]|\$)" "$scratch/commands.txt")
    case $synopsis in *'[signing options]'*) synopsis="$synopsis $signing" ;; esac
    sed '/^for every command/,$d' "$scratch/one" | sed -n 's/^  \(--[a-z-]*\( [^ ]*\)\{0,1\}\)  *[^ ].*/\1/p' | sed 's/|/ | /g' >"$scratch/options"
    while read -r option; do
        case $(echo "$synopsis" | tr 'A-Z' 'a-z') in *"[$(echo "$option" | tr 'A-Z' 'a-z')]"*) ;; *) fail "consent.1, $command: no [$option]" ;; esac
    done <"$scratch/options"
    for option in $(echo "$synopsis" | grep -oE -e '\[--[a-z-]+' | tr -d '['); do
        grep -qE -e "^$option( |\$)" "$scratch/options" || fail "consent.1, $command: there is no $option"
    done
done <"$scratch/commands"
says consent.1 --version
variables=$(grep -ohE 'getenv\("[A-Z_]+"\)' ../*.c | sed 's/.*"\(.*\)".*/\1/' | sort -u)
found 5 "variables of the environment" "$variables"
for variable in $variables; do
    case $variable in TERM) ;; *) says consent.1 "$variable" ;; esac
done
# every exit status that the program can give
statuses=$(sed -n '/^int output_exit_of/,/^}/s/.*return \([0-9]*\);.*/\1/p' ../output.c)
found 10 "exit statuses" "$statuses"
for status in $statuses 2 130; do
    grep -qE "^ +$status +[a-z]" "$scratch/consent.1.txt" || fail "consent.1 lacks exit status $status"
done

"$build/consentd" help >"$scratch/help"
commands=$(sed -n 's/^  consentd \(--\)\{0,1\}\([a-z-]*\).*/\2/p' "$scratch/help")
found 7 "commands of consentd" "$commands"
for command in $commands; do
    says consentd.8 "$command"
    for option in $("$build/consentd" "$command" --help 2>/dev/null | grep -oE -- '--[a-z-]+' | sort -u); do
        says consentd.8 "$option"
    done
done
settings=$(sed -n 's/^ *\(TEXT(\|NUMBER(\|{ \)"\([a-z]*\)", "\([a-z_]*\)".*/\2 \3/p' ../../node/config.c)
found 40 "sections and settings of node/config.c" "$settings"
for word in $settings; do says consentd.8 "$word"; done
sed -n '/^A configuration:/,/^\.Ed/p' consentd.8 | sed -n '/^\.Bd/,/^\.Ed/{/^\./d;p;}' | sed 's|/etc/consentd.readers|/dev/null|' >"$scratch/example.ini"
grep -q '^\[http\]' "$scratch/example.ini" || fail "the configuration in consentd.8 was not found"
"$build/consentd" --check-config "$scratch/example.ini" >/dev/null || fail "the configuration in consentd.8 is not good"

sed -n '/^\.Sh EXAMPLES/,/^\.Ed/{/^\./d;p;}' consent-terms.5 >"$scratch/example.txt"
"$build/consent" terms check "$scratch/example.txt" >/dev/null || fail "the terms in consent-terms.5 are not good"
words=$("$build/consent" terms new | sed -n 's/^\([a-z-]*\):.*/\1/p' | sort -u)
found 5 "fields of terms" "$words"
for word in $words; do says consent-terms.5 "$word"; done

[ "$failures" -eq 0 ] && echo "man.sh: good" || echo "man.sh: $failures failed"
[ "$failures" -eq 0 ]
