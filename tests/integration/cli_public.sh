#!/bin/sh
# What everybody may read: put, found by purpose, category and attribute, answered by its id alone, taken away; and every way in
# which that is not so.
. "$(dirname "$0")/../lib/cli.sh"
start_node
cd "$scratch" || exit 1
count() { /usr/bin/python3 -c 'import json,sys; print(len(json.load(open(sys.argv[1]))[sys.argv[2]]))' "$scratch/out" "$1"; }
# finds N WORDS…: so many of the open terms fit
finds() { wanted_count=$1; shift; expect 0 acme terms find "$@" --json && { [ "$(count found)" = "$wanted_count" ] || fail "not $wanted_count found: $* $out"; }; }

expect 0 alice key new --name alice --no-ask
expect 0 acme key new --name office --no-ask
expect 0 acme profile acme --display "Acme Ltd"
alice terms new >t.txt
sed -e 's/dpv:Marketing/dpv:ServiceProvision/; s/^title: .*/title: Only my purchases/' -e '/^\[slot 1/,/^retention/d' t.txt >other.txt
alice profile new >me.txt

# ---- put
expect 0 alice terms find && has "None of the 0 open terms that are public at 1 node fit"
expect 0 alice public list && has_err "Nothing of this wallet is public"
expect 2 alice profile publish me.txt --name car --public age,colour && has_err "no attribute 'colour'"
expect 3 alice show car # nothing was published
expect 2 alice profile publish me.txt --name car --public age --save x.cose && has_err "not with --save"
expect 0 alice profile publish me.txt --name car --public looking-for,age --json
[ "$(json public.node)" = solo ] && [ "$(json public.fields.1.name)" != years-without-claims ] || fail "$out"
profile=$(json object)
for wrong in "--to $profile" "--code x.code" "--save x.cose" "--signer exec:true"; do expect 2 alice terms publish t.txt --limit 5 --public $wrong && has_err "--public lets everybody"; done
expect 3 alice terms publish t.txt --limit 5 --as nobody && has_err "not a profile of this wallet"
expect 0 alice terms publish t.txt --name quotes --limit 5 --public --as car --until 2099-12-31 && has "quotes is public at solo" && has_err "consent public remove quotes"
expect 0 alice terms publish other.txt --name shop --limit 1 --standing --json && shop=$(json object)
expect 0 alice public put shop --json && [ "$(json public.node)" = solo ] || fail "$out"
expect 0 alice public put shop && has "shop is public at solo" # signed anew
expect 2 alice public put shop --fields title && has_err "public as a whole"
expect 2 alice public put car && has_err "--fields NAME,NAME"
expect 3 alice public put car --fields colour && has_err "There is no field 'colour'"
expect 2 alice public put && has_err "Which terms or profile"
expect 3 alice public put nobody && has_err "consent list"
expect 0 acme public put acme && has "name: Acme Ltd" # an organisation's profile: all of it
expect 0 alice terms publish t.txt --name some --limit 5 --to "$profile" && expect 2 alice public put some && has_err "meant for somebody in particular"
expect 0 alice public list && has "quotes" && has "shop" && has "looking-for" && has "at solo"
case $out in *acme*) fail "what is not hers: $out" ;; esac
expect 0 alice public list --json && [ "$(count public)" = 3 ] || fail "$out"

# ---- find
finds 2
expect 0 acme terms find && has "My e-mail address and how often I shop" && has "Only my purchases" && has "its owner answers each one" && has "in force as soon as you subscribe" && has "Its owner's profile $profile says:" && has "age: 40 to 50" && has_err "know nothing of what you look for"
case $out in *"How to withdraw"*) fail "not asked for: $out" ;; esac
case $out in *no-claims*) fail "what is not public is shown: $out" ;; esac
quotes=$(echo "$out" | sed -n '/^[0-9a-f]\{64\}$/p' | grep -v "$shop")
expect 0 acme terms find --full && has "How to withdraw: at any time" && has "kept        30 days"
finds 1 --purpose dpv:Marketing
finds 1 --purpose https://w3id.org/dpv#Marketing
finds 2 --purpose dpv:ServicePersonalisation
finds 0 --purpose dpv:Advertising
finds 1 --category pd:EmailAddress && [ "$(json found.0.object)" = "$quotes" ] || fail "$out"
finds 1 --category pd:AgeRange # of an attribute
finds 0 --category pd:Insurance # of one that is not public
finds 1 --attribute age
finds 1 --attribute age=40 --attribute "looking-for=CAR ins"
for wrong in age=39 age=51 age=x age= looking-for=boat no-claims no-claims=yes years-without-claims=9; do finds 0 --attribute "$wrong"; done
finds 0 --attribute age=45 --category pd:Purchase --purpose dpv:Advertising
expect 2 acme terms find --purpose dpv:Markting && has_err "Did you mean dpv:Marketing?"
expect 2 acme terms find --category pd:EmailAdress && has_err "Did you mean pd:EmailAddress?"
(CONSENT_WALLET=$scratch/nobody expect 0 "$consent" terms find --json) || fail "without a wallet"

# ---- answered by the id alone, text and contact included
expect 0 acme subscribe "$quotes" --as acme --name anna && has_err "My e-mail address and how often I shop" && has_err "Your contact is in the other side's mailbox" && has "subscribed"
expect 0 acme show anna && expect 0 acme terms show anna && has "a monthly overview"
expect 0 alice list --refresh && has "quotes.1"
expect 0 alice inbox && has "the other side can be reached"
expect 0 alice grant quotes.1 && has "active"
expect 0 acme subscribe "$shop" --as acme && has "active"
finds 1 # the other ones admit no more
expect 0 alice terms publish t.txt --name hidden --limit 5 --json && hidden=$(json object)
expect 3 acme subscribe "$hidden" --as acme && has_err "--offer FILE"
expect 0 acme subscribe "$hidden" --as acme --unseen

# ---- taken away
expect 0 alice public remove car && has "public no more" && has_err "within a minute"
! grep -rqa "car insurance" "$scratch/node" || fail "it is in a file of the node"
expect 0 alice public remove car && has "was not public"
expect 0 alice public put car --fields age
expect 0 alice forget car # its id and its key are enough
expect 0 alice public list && has "$profile"
expect 0 alice public remove "$profile" && has "public no more"
expect 4 acme public remove "$profile" && has_err "not in this wallet"
finds 0 --attribute age
finds 1
expect 0 alice revoke quotes
finds 0
expect 11 alice public put quotes && has_err "nobody can answer them any more"
expect 0 alice public list --json && [ "$(count public)" = 1 ] || fail "$out"
expect 4 acme public remove "$shop" && has_err "not in this wallet"
expect 2 acme public remove
expect 3 acme public remove nobody
expect 1 acme public remove anna && has_err "between its two sides"
expect 1 acme public put anna && has_err "between its two sides"
expect 0 alice revoke shop && expect 0 alice public list && has_err "Nothing of this wallet is public"
finish
