#!/bin/sh
# Delegates: a device, a colleague, a guardian's helper. Each power by itself allows its acts and none of the others', for as long
# as it was given, at the side that gave it; delegates hand nothing on, and what was taken back is gone.
. "$(dirname "$0")/../lib/cli.sh"
start_node
cd "$scratch" || exit 1
ben() { CONSENT_WALLET=$scratch/ben "$consent" "$@"; }
expect 0 alice key new --name alice --no-ask
expect 0 acme key new --name office --no-ask && expect 0 acme profile acme --json && profile=$(json object)
expect 0 ben key new --name helper --no-ask --json && helper=$(json did)
alice terms new >t.txt
echo "heart rate 61" >reading
expect 0 alice grant bank --to "$profile" --terms t.txt --until 2095-01-01 -o bank.consent-offer --json && bank=$(json object)
expect 0 acme subscribe --offer bank.consent-offer --as acme --name anna

# one act of each power; they can be done again and again. act POWER [WANTED]
year=2095
act() {
    case $1 in
    revoke) expect "$2" ben suspend "$bank" --key helper && { [ "$2" -ne 0 ] || expect 0 alice resume bank; } ;;
    grant) offer && expect "$2" ben subscribe --offer "offer$offers.consent-offer" --as "$profile" --key helper --name "offer$offers" ;;
    resume) expect 0 alice suspend bank; expect "$2" ben resume "$bank" --key helper || :; [ "$2" -eq 0 ] || expect 0 alice resume bank ;;
    amend) year=$((year + 1)); expect "$2" ben renew "$bank" --until "$year-01-01" --key helper ;;
    state) expect "$2" ben dispute "$bank" --key helper && { [ "$2" -ne 0 ] || expect 0 ben dispute "$bank" --clear --key helper; } ;;
    deliver) expect "$2" ben deliver "$bank" reading --slot 1 --key helper --out "out$year$offers" ;;
    esac
}
offers=0
offer() { offers=$((offers + 1)); expect 0 alice grant "offer$offers" --to "$profile" --terms t.txt -o "offer$offers.consent-offer"; }

for power in revoke resume amend state deliver; do
    given=$power; [ "$power" != resume ] || given=grant # to resume gives access back
    expect 0 alice delegate bank "$helper" --powers "$given" --until 2099-01-01
    expect 0 alice show bank && has "may $given until"
    for tried in revoke resume amend state deliver; do
        if [ "$tried" = "$power" ]; then act "$tried" 0; else act "$tried" 4; fi
    done
    expect 4 ben delegate "$bank" "$helper" --powers revoke --until 2099-01-01 --key helper # hands nothing on
    expect 4 ben rotate "$bank" --key helper
    expect 0 alice undelegate bank "$helper"
    act "$power" 4
done

# a colleague of the organisation: under its profile, so for all its agreements, and not for the customer's side
expect 0 acme delegate acme "$helper" --powers grant --until 2099-01-01
act grant 0
expect 0 acme list --refresh && has "acme.1             received"
act state 4
expect 0 acme undelegate acme "$helper"
act grant 4
expect 0 acme delegate acme "$helper" --powers state,deliver --until 2099-01-01
act state 0 && act amend 4 && act revoke 4
expect 0 acme undelegate acme "$helper"

# for a time
soon=$(date -u -d '+4 seconds' +%Y-%m-%dT%H:%M:%SZ)
expect 0 alice delegate bank "$helper" --powers revoke,state --until "$soon"
act state 0
sleep 5
act state 4 && act revoke 4
expect 2 alice delegate bank "$helper" --powers revoke && has_err "Until when"
expect 2 alice delegate bank "$helper" --powers everything --until 2099-01-01 && has_err "revoke, grant, amend, state, deliver"

# who may withdraw does so for good
expect 0 alice delegate bank "$helper" --powers revoke --until 2099-01-01
expect 0 ben revoke "$bank" --key helper && expect 11 acme check anna
finish
