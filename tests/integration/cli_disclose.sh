#!/bin/sh
# Some fields of what was agreed, and of a person's profile, shown and checked offline; and every way in which that is not so.
. "$(dirname "$0")/../lib/cli.sh"
start_node
cd "$scratch" || exit 1
verify() { "$consent" verify "$@" --policy net.policy; }
# without wallet, node and passphrase: what somebody has who was handed two files
offline() { (unset CONSENT_NODE CONSENT_PASSPHRASE_FILE; CONSENT_WALLET=$scratch/none "$consent" verify "$@" --policy net.policy); }

expect 0 alice key new --name alice --no-ask
expect 0 acme key new --name office --no-ask --json && office=$(json did)
expect 0 "$consent" node policy && cp out net.policy
alice terms new >t.txt
expect 0 alice grant bank --to "$office" --terms t.txt -o bank.consent-offer
expect 0 acme subscribe --offer bank.consent-offer --name alice && has active
expect 0 alice show bank
expect 0 alice proof bank -o bank.consent-proof

# ---- an agreement: names are listed when asked and when wrong, slots go by either name
expect 0 alice disclose bank && has "contact" && has "slot-1" && has "slot-2" && has "text-hash"
expect 3 alice disclose bank --fields contact,colour -o x && has_err "There is no field 'colour'" && has_err "in-return" && has_err "slot-2"
[ ! -e x ] || fail "a file was written although a field was wrong"
expect 2 alice disclose bank -o x && has_err "--fields"
expect 0 alice disclose bank --fields contact,email && has "the form on my profile page" && [ "$(stat -c %a bank.consent-disclosure)" = 600 ] || fail "bank.consent-disclosure"
expect 0 offline bank.consent-proof --disclosure bank.consent-disclosure
has "VALID" && has "part of what the agreement commits to (2 fields)" && has "Contact: the form on my profile page" && has "1 email: "
case $out in *purchases*|*"In return"*) fail "more is shown than was disclosed: $out" ;; esac
expect 0 offline bank.consent-proof --disclosure bank.consent-disclosure --json
[ "$(json disclosure.category)" = terms ] && [ "$(json disclosure.fields | grep -o "'name': '\(contact\|slot-1\|email\)'" | wc -l)" = 3 ] || fail "$out"
grep -qa "form on my profile" bank.consent-disclosure || fail "what is shown is not in the file"
! grep -qa "monthly overview" bank.consent-disclosure || fail "what is not shown is in the file"
expect 0 "$consent" inspect bank.consent-disclosure && has "2 fields shown" && has "Contact: "
expect 0 acme disclose alice --fields contact -o theirs.consent-disclosure # the other side can show it too
expect 0 offline bank.consent-proof --disclosure theirs.consent-disclosure

# ---- what does not hold
cp bank.consent-disclosure bent; flip bent -30
expect 13 offline bank.consent-proof --disclosure bent && has_err "CL_E_"
cp bank.consent-disclosure longer; echo >>longer
expect 13 offline bank.consent-proof --disclosure longer && has_err "after the end"
expect 13 offline bank.consent-proof --disclosure t.txt
expect 0 alice grant other --to "$office" --terms t.txt # the same text, other salts
expect 0 alice proof other -o other.consent-proof
expect 13 offline other.consent-proof --disclosure bank.consent-disclosure && has_err CL_E_BODY
expect 0 alice proof bank --format tlog-proof -o bank.tlog
expect 2 verify bank.tlog --record bank.tlog.record --disclosure bank.consent-disclosure && has_err "proof of state"
expect 2 verify bank.consent-proof --nonce x && has_err "--disclosure"

# ---- addressed: not to be passed on as fresh
expect 0 acme key list --json
expect 0 alice disclose bank --fields contact --to "$office" --nonce 4711 -o to.consent-disclosure
expect 0 offline bank.consent-proof --disclosure to.consent-disclosure --to "$office" --nonce 4711 && has "Signed for $office, nonce '4711', at " && has "by a key of the agreement"
expect 0 offline bank.consent-proof --disclosure to.consent-disclosure && has_err "Is that yours?"
expect 13 offline bank.consent-proof --disclosure to.consent-disclosure --nonce 4712 && has_err "another nonce"
expect 0 alice key new --name elsewhere --json && elsewhere=$(json did)
expect 13 offline bank.consent-proof --disclosure to.consent-disclosure --to "$elsewhere" && has_err "somebody else"
expect 13 offline bank.consent-proof --disclosure bank.consent-disclosure --nonce 4711 && has_err "not addressed"
expect 4 alice disclose bank --fields contact --nonce 1 --key elsewhere -o bad.consent-disclosure
[ ! -e bad.consent-disclosure ] || fail "a file was written that no proof names the signer of"
cp to.consent-disclosure bent; flip bent -1
expect 10 offline bank.consent-proof --disclosure bent
sleep 2
expect 0 alice proof bank -o bank.consent-proof
expect 16 offline bank.consent-proof --disclosure to.consent-disclosure --max-age 1s

# ---- standing terms, and the agreement under them: the same body
expect 0 alice terms publish t.txt --limit 5 --standing --name open -o open.consent-offer
expect 0 acme subscribe --offer open.consent-offer --name under --json && under=$(json object)
expect 0 alice disclose open --fields slot-2 --nonce n -o open.consent-disclosure
expect 0 alice proof open -o open.consent-proof
expect 0 offline open.consent-proof --disclosure open.consent-disclosure && has "part of what the terms commits" && has "purchases"
expect 0 acme proof "$under" -o under.consent-proof
expect 13 offline under.consent-proof --disclosure open.consent-disclosure && has_err "neither as a side"
expect 0 alice disclose open --fields slot-2 -o open.consent-disclosure
expect 0 offline under.consent-proof --disclosure open.consent-disclosure && has "purchases"

# ---- a person's profile, under a key of its own
expect 0 alice profile new && cp out me.txt
expect 0 alice profile publish me.txt --name car --json && car=$(json object)
expect 0 alice profile publish me.txt --name car2
expect 0 alice key list && has "car " && has "car2 "
expect 0 alice disclose car && has " 40 to 50 (Age Range, pd:AgeRange)" && has "years-without-claims     at least 8" && has "no-claims                yes"
expect 0 alice disclose car --fields age,no-claims -o car.consent-disclosure && has "shows 2 fields" && has_err "at most 16 fields"
expect 0 alice proof car -o car.consent-proof
expect 0 offline car.consent-proof --disclosure car.consent-disclosure --object "$car" && has "VALID" && has "published" && has "age: 40 to 50" && has "no-claims: yes"
case $out in *looking-for*|*"at least 8"*) fail "more is shown than was disclosed: $out" ;; esac
expect 0 offline car.consent-proof --disclosure car.consent-disclosure --json
[ "$(json disclosure.fields | grep -c "{'from': 40, 'to': 50}")" = 1 ] || fail "$out"
expect 0 alice disclose car --fields age --nonce hello -o car.consent-disclosure
expect 0 offline car.consent-proof --disclosure car.consent-disclosure --nonce hello && has "by a key of the profile"
expect 0 alice proof car2 -o car2.consent-proof
expect 13 offline car2.consent-proof --disclosure car.consent-disclosure # the same attributes, another profile
expect 1 alice profile car --replace && has_err "publish a new one"
sed 's/pd:AgeRange/pd:AgeRang/' me.txt >bad.txt
expect 1 alice profile publish bad.txt --name bad && has_err "line 17" && has_err "pd:AgeRange"
expect 2 alice profile publish me.txt && has_err "--name"
# nothing of it on the node's disk
cp -r node copy; for word in "car insurance" "no-claims" "AgeRange" "looking-for"; do
    ! grep -rqa "$word" copy || fail "the node's files have '$word'"
done
finish
