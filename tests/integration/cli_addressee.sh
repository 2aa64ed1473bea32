#!/bin/sh
# An offer that is meant for a key or a profile is answered by it without being told, and by nobody else.
. "$(dirname "$0")/../lib/cli.sh"
start_node
cd "$scratch" || exit 1

expect 0 alice key new --name alice --no-ask
expect 0 acme key new --name office --no-ask --json && office=$(json did)
expect 0 acme profile firm --display "Acme Ltd" --json && firm=$(json object)
alice terms new >t.txt
to_each() {
    expect 0 alice grant "$1" --terms t.txt --to "$2" -o offer
    expect 0 acme subscribe --offer offer --name "$1" && has active
    expect 0 alice terms publish t.txt --limit 1 --standing --to "$2" --name "terms-$1" -o terms
    expect 0 acme subscribe --offer terms --name "under-$1" && has active
}
to_each key "$office"
to_each profile "$firm"

# what is said aloud goes before what is found, and nobody's offer stays unanswered
expect 0 alice grant said --terms t.txt --to "$office" -o offer
expect 4 acme subscribe --offer offer --as firm && has_err CL_E_AUDIENCE
expect 0 alice key new --name elsewhere --json && elsewhere=$(json did)
expect 0 alice grant away --terms t.txt --to "$elsewhere" -o offer
expect 4 acme subscribe --offer offer && has_err CL_E_AUDIENCE
finish
