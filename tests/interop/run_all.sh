#!/bin/sh
# Lets every foreign tool judge the files in DIR: each has to accept them and to
# refuse altered twins. A tool that is absent fails; nothing is skipped.
#
#   run_all.sh DIR
#
# One line for each, `ok  NAME` or `FAIL NAME` with what the tool said below it,
# and at the end `N passed, M failed`. Exit status 0 only if M is 0.
set -u
if [ $# -ne 1 ] || [ ! -d "$1" ]; then
    echo 'usage: run_all.sh DIR' >&2
    exit 2
fi
directory=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
said=$(mktemp)
trap 'rm -f "$said"' EXIT
passed=0
failed=0

# judge NAME COMMAND...
judge()
{
    name=$1
    shift
    if "$@" >"$said" 2>&1; then
        echo "ok  $name"
        passed=$((passed + 1))
    else
        echo "FAIL $name"
        sed 's/^/    /' "$said"
        failed=$((failed + 1))
    fi
}

judge record_ruby /usr/bin/ruby "$here/record_ruby.rb" "$directory"
judge record_python /usr/bin/python3 "$here/record_python.py" "$directory"
judge record_openssl sh "$here/record_openssl.sh" "$directory"
judge softhsm sh "$here/softhsm.sh" "$directory"
judge tlog_go sh "$here/tlog_go.sh" "$directory"
judge ics23_node sh "$here/node_check.sh" ics23_node "$directory"
judge absence /usr/bin/python3 "$here/absence_check.py" "$directory"
judge receipt_node sh "$here/node_check.sh" receipt_node "$directory"
judge export_node sh "$here/node_check.sh" export_node "$directory"
judge export_python /usr/bin/python3 "$here/export_python.py" "$directory"
judge webhooks_node sh "$here/node_check.sh" webhooks_node "$directory"
judge disclosure /usr/bin/python3 "$here/disclosure_check.py" "$directory"
judge uses_python /usr/bin/python3 "$here/uses_python.py" --each "$directory"
judge words_python /usr/bin/python3 "$here/words_python.py" "$directory"
judge delivery_python /usr/bin/python3 "$here/delivery_python.py" "$directory"
judge source_python /usr/bin/python3 "$here/source_python.py" "$directory"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
