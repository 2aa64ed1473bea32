#!/bin/sh
# Receipts: both kinds come with their record, hold for it offline, and for nothing else.
. "$(dirname "$0")/../lib/cli.sh"
start_node
cd "$scratch" || exit 1
expect 0 alice key new --name alice --no-ask
alice terms new >t.txt
expect 0 alice terms publish t.txt --limit 5 --name one
expect 0 alice terms publish t.txt --limit 5 --name two
expect 0 alice proof one --format cose -o one.receipt && has_err "one.receipt.record"
expect 0 alice proof one --format tlog-proof -o one.tlog
expect 0 alice proof two --format tlog-proof -o two.tlog
cmp -s one.receipt.record one.tlog.record || fail "two receipts of one record come with different records"
expect 0 "$consent" node policy && cp out net.policy
# a COSE receipt signs the root that the record leads to, so another record makes its signature wrong (10, not 13)
for pair in one.receipt:10 one.tlog:13; do
    receipt=${pair%:*}
    expect 0 "$consent" verify $receipt --record one.tlog.record --policy net.policy && has "VALID  the record is in the log"
    expect "${pair#*:}" "$consent" verify $receipt --record two.tlog.record --policy net.policy
    expect 2 "$consent" verify $receipt --policy net.policy && has_err "--record"
done
# one bit of the signature, which ends the COSE receipt
cp one.receipt bent.receipt; flip bent.receipt -5
expect 10 "$consent" verify bent.receipt --record one.tlog.record --policy net.policy
# without the log's key nobody is believed
sed "s/^log .*/$(printf 'log consent.example\/test+00000000+x')/" net.policy >bad.policy
expect 1 "$consent" verify one.receipt --record one.tlog.record --policy bad.policy && has_err CL_E_POLICY
finish
