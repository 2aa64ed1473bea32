#!/bin/sh
# Sealed deliveries as files: to a profile, and between keys by a contact; no active slot, no delivery, at both ends.
. "$(dirname "$0")/../lib/cli.sh"
ben() { CONSENT_WALLET=$scratch/ben "$consent" "$@"; }
start_node
cd "$scratch" || exit 1
expect 0 alice key new --name alice --no-ask
expect 0 ben key new --name ben --no-ask && ben_key=$(ben key list --json | sed -n 's/.*"did": "\([^"]*\)".*/\1/p' | head -n 1)
expect 0 acme key new --name office --no-ask && expect 0 acme profile acme --json && acme_id=$(json object)
alice terms new >t.txt
expect 0 alice grant bank --to "$acme_id" --terms t.txt --until 2099-12-31 -o bank.consent-offer
printf 'alice@home.example\n' >mail.txt
# not before it is in force
expect 17 alice deliver bank mail.txt --slot 1 --out early && has_err "no active slot, no delivery"
[ ! -e early ] || fail "something was written"
expect 0 acme subscribe anna --offer bank.consent-offer --as acme

# ---- to a profile, whose key is on the ledger
expect 2 alice deliver bank mail.txt --slot 1
expect 2 alice deliver bank mail.txt --out to && has_err "--slot"
expect 2 alice deliver bank --slot 1 --out to && has_err "Which file"
expect 1 alice deliver bank mail.txt --slot 60 --out to && has_err CL_E_SLOT_NOT_LIVE
expect 0 alice deliver bank mail.txt --slot email --media-type text/plain --out to && has "1 sealed part"
[ "$(stat -c %s to/*)" = 1024 ] || fail "a short content is not in the smallest class"
grep -q "home.example" to/* && fail "the content is in clear"
expect 4 ben open to && has_err CL_E_DELIVERY_KEY
expect 4 alice open to/*.consent-delivery && has_err CL_E_DELIVERY_KEY
expect 0 acme open to -o got.txt --json && [ "$(json kind) $(json media_type) $(json slot)" = "data text/plain 1" ] || fail "open: $out"
cmp -s mail.txt got.txt || fail "another content"
[ "$(stat -c %a got.txt)" = 600 ] || fail "others may read what was opened"
delivery=$(json delivery)
expect 1 acme open to -o again.txt && has_err CL_E_DELIVERY_REPLAY
[ ! -e again.txt ] || fail "a replay was written"
expect 0 acme open to --again && [ "$out" = "$(cat mail.txt)" ] || fail "not on standard output: $out"
expect 2 acme open to --again --json
# its acknowledgement goes to a key: by the contact that its owner writes
expect 3 acme deliver anna --acknowledges "$delivery" --out ack && has_err "consent contact"
expect 0 alice contact bank -o alice.consent-contact && expect 0 alice inspect alice.consent-contact && has "deliveries are sealed to"
expect 0 acme deliver anna --acknowledges "$delivery" --contact alice.consent-contact --out ack
expect 0 alice open ack && has "$delivery"
# of what never arrived here nothing is acknowledged, and whoever says that it has what was not sent is not believed
unsent=00112233445566778899aabbccddeeff
expect 3 acme deliver anna --acknowledges "$unsent" --contact alice.consent-contact --out ack0 && has_err "No such delivery arrived"
expect 0 alice deliver bank mail.txt --slot 1 --out unknown --json && unknown=$(json delivery)
cp -a "$scratch/alice.store" before.store && expect 0 acme open unknown -o unknown.txt && expect 0 acme deliver anna --acknowledges "$unknown" --contact alice.consent-contact --out ack2
for file in "$scratch"/alice.store/*.exchange; do rm "$file"; done # a wallet that did not send it
expect 1 alice open ack2 && has_err CL_E_DELIVERY_UNKNOWN
rm -r "$scratch/alice.store" && mv before.store "$scratch/alice.store" && expect 0 alice open ack2 && has "$unknown"
expect 1 alice open ack2 && has_err CL_E_DELIVERY_REPLAY

# ---- parts: in any order, one missing, one twice, one changed, those of another delivery
head -c 600000 /dev/urandom >statement.pdf
expect 0 acme deliver anna statement.pdf --slot 1 --kind change --contact alice.consent-contact --out parts && has "3 sealed parts"
for file in parts/*; do [ "$(stat -c %s "$file")" -le 307200 ] || fail "$file is too long for a mailbox"; done
mkdir some; cp parts/*-03-of-03* some/c.consent-delivery; cp parts/*-01-of-03* some/x.consent-delivery; cp some/x.consent-delivery some/twin.consent-delivery
expect 15 alice open some -o s.pdf && has_err "1 of 3 parts are missing (part 2 first)"
[ ! -e s.pdf ] || fail "half a content was written"
cp parts/*-02-of-03* some/z.consent-delivery; flip some/z.consent-delivery 5000
expect 15 alice open some -o s.pdf && has_err "z.consent-delivery is left out"
cp parts/*-02-of-03* some/z.consent-delivery
expect 0 acme deliver anna mail.txt --slot 1 --contact alice.consent-contact --out parts --json && second=$(json delivery)
cp parts/*-01-of-01* some/
expect 2 alice open some -o s.pdf && has_err "parts of several deliveries" && has_err "$second"
expect 0 alice open some --delivery "$second" && [ "$out" = "$(cat mail.txt)" ] || fail "the second: $out"
rm some/*-01-of-01*
expect 0 alice open some -o s.pdf --json && [ "$(json parts) $(json kind)" = "3 change" ] || fail "three parts: $out"
cmp -s statement.pdf s.pdf || fail "another content in parts"
truncate -s 16777217 long; expect 1 acme deliver anna long --slot 1 --contact alice.consent-contact --out long.d && has_err CL_E_BOUND
for size in 0 1 1024 245760; do
    head -c "$size" /dev/urandom >any; expect 0 acme deliver anna any --slot 1 --contact alice.consent-contact --out "size$size" && expect 0 alice open "size$size" -o back
    cmp -s any back || fail "$size bytes came back otherwise"
done

# ---- between two persons; contacts of others, of another agreement, changed
expect 0 alice grant friend --to "$ben_key" --terms t.txt --until 2099-12-31 -o friend.consent-offer && expect 0 ben subscribe alice --offer friend.consent-offer
expect 3 alice deliver friend mail.txt --slot 1 --out f && has_err "--contact FILE"
expect 1 alice deliver friend mail.txt --slot 1 --contact alice.consent-contact --out f && has_err "not a contact of the other side"
expect 0 alice contact friend -o own.consent-contact
expect 4 alice deliver friend mail.txt --slot 1 --contact own.consent-contact --out f
expect 0 ben contact alice -o ben.consent-contact && cp ben.consent-contact bent && flip bent 90
expect 10 alice deliver friend mail.txt --slot 1 --contact bent --out f
expect 0 alice deliver friend mail.txt --slot 1 --contact ben.consent-contact --out f && expect 0 ben open f -o from-alice && cmp -s mail.txt from-alice || fail "ben got something else"
expect 0 alice deliver friend mail.txt --kind notice --contact ben.consent-contact --out notice && expect 0 ben open notice && has_err "no slot"
# a delegate whom Alice gave that power, and took it from, delivers in her name; one without it does not
expect 0 alice key new --name sensor && sensor=$(alice key list --json | /usr/bin/python3 -c 'import json,sys; print([k["did"] for k in json.load(sys.stdin)["keys"] if k["name"]=="sensor"][0])')
expect 4 alice deliver friend mail.txt --slot 1 --key sensor --contact ben.consent-contact --out sensed && has_err "delegate"
expect 0 alice delegate friend "$sensor" --powers revoke,state --until 2099-01-31
expect 4 alice deliver friend mail.txt --slot 1 --key sensor --contact ben.consent-contact --out sensed
expect 0 alice undelegate friend "$sensor" && expect 0 alice delegate friend "$sensor" --powers deliver --until 2099-01-31
expect 0 alice deliver friend mail.txt --slot 1 --key sensor --contact ben.consent-contact --out sensed && expect 0 ben open sensed -o by-sensor
expect 0 alice deliver friend mail.txt --slot 1 --key sensor --contact ben.consent-contact --out late-sensed && expect 0 alice undelegate friend "$sensor"
expect 10 ben open late-sensed && has_err CL_E_DELIVERY_SENDER
# the same of acknowledgements
expect 0 ben deliver alice mail.txt --slot 1 --out to-alice --contact own.consent-contact --json && third=$(json delivery)
expect 0 alice open to-alice -o from-ben && expect 0 alice delegate friend "$sensor" --powers deliver --until 2099-01-31
expect 0 alice deliver friend --acknowledges "$third" --key sensor --out ack3 && expect 0 alice undelegate friend "$sensor"
expect 10 ben open ack3 && has_err CL_E_DELIVERY_SENDER
# under terms, with its owner on one side; a wallet that is no side at all
expect 0 alice terms publish t.txt --name shop --limit 9 --standing -o shop.consent-offer && expect 0 acme subscribe shopper --offer shop.consent-offer --as acme
expect 0 alice list --refresh && expect 0 alice deliver shop.1 mail.txt --slot email --out shop && expect 0 acme open shop -o shop.txt
expect 0 alice contact shop.1 -o shop.consent-contact && expect 0 acme deliver shopper mail.txt --slot 1 --contact shop.consent-contact --out shop-back && expect 0 alice open shop-back -o back.txt && cmp -s mail.txt back.txt || fail "under terms"
expect 0 alice show shop.1 --json && expect 4 ben deliver "$(json object)" mail.txt --slot 1 --key ben --out none

# ---- after the end neither end does it, whatever was sealed before
expect 0 alice deliver bank mail.txt --slot 1 --out late
expect 0 alice suspend bank && expect 12 acme open late && expect 12 alice deliver bank mail.txt --slot 1 --out late2
expect 0 alice resume bank && expect 0 alice revoke bank --slots 1
expect 1 acme open late && has_err CL_E_SLOT_NOT_LIVE
expect 0 alice revoke bank
expect 11 alice deliver bank mail.txt --slot 1 --out late2 && has_err "no active slot"
expect 11 acme open late -o late.txt && has_err CL_E_WITHDRAWN
[ ! -e late.txt ] && [ ! -e late2 ] || fail "something was handed over after the end"
finish
