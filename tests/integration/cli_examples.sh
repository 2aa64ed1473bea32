#!/bin/sh
# The example that each command's help prints works as printed; only ids, a URL, folders and years are put in.
. "$(dirname "$0")/../lib/cli.sh"
start_node
cd "$scratch" || exit 1
PATH=$build:$PATH
CONSENT_WALLET=$scratch/me
export PATH CONSENT_WALLET
you() { CONSENT_WALLET=$scratch/you "$consent" "$@"; }
me() { "$consent" "$@"; }
# example STATUS COMMAND: runs what 'consent help COMMAND' ends with
example() {
    wanted=$1; shift
    echo "$*" >>shown
    line=$("$consent" help "$@" | sed -n 's/^example: //p' | sed -e 's/202\([78]\)-/209\1-/g' -e "s|http://127.0.0.1:8780|$CONSENT_NODE|" \
        -e "s|/var/lib/consentd|$scratch/node|" -e "s|/etc/bash_completion.d/|$scratch/|" -e "s|9f3c1b\.\.\.|${profile-}|" -e "s|02c6\.\.\.|${member_key-}|")
    [ -n "$line" ] || fail "'consent help $*' has no example"
    eval "$line" >out 2>err </dev/null
    got=$?
    [ "$got" -eq "$wanted" ] || { fail "exit $got instead of $wanted: $line"; sed 's/^/  | /' err out >&2; }
}
id_of() { "$@" --json | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["object"])'; }

example 0 key new
example 0 key list
you key new --name you --no-ask >/dev/null 2>&1
for command in "terms new" "terms check" "terms publish" "terms show"; do example 0 $command; done
cp t.txt old.txt; sed 's/P30D/P1Y/' t.txt >new.txt; cp new.txt mine.txt
example 0 terms diff
for command in "profile new" "profile publish" disclose "public put" "public list" "terms find" "public remove"; do example 0 $command; done
for command in profile delegate undelegate rotate; do example 0 $command; done
profile=$(id_of me show acme)
member_key=$(/usr/bin/python3 -c 'import json; print(json.load(open("node/member.json"))["party_key"])')
example 0 vouch

# anna shares with acme
you terms publish t.txt --name anna --limit 5 --standing -o anna.consent-offer >/dev/null 2>&1
example 0 subscribe
me forget anna >/dev/null
you terms publish t.txt --name other --limit 5 --standing -o other.consent-offer >/dev/null 2>&1
me subscribe anna --as acme --offer other.consent-offer >/dev/null 2>&1 || fail "subscribe"
you terms publish t.txt --name third --limit 5 --standing -o third.consent-offer >/dev/null 2>&1
me subscribe ben --as acme --offer third.consent-offer >/dev/null 2>&1 || fail "subscribe"
for command in check joint ack; do example 0 $command; done
echo "2025-11-03T10:00:00Z anna 1 dpv:Marketing letter-7" >uses.txt
for command in "uses add" "uses list" statement "uses prove" "node policy" "uses verify" erase; do example 0 $command; done
me forget anna >/dev/null
example 0 request

# a bank asks, and gets other terms than it asked for
example 0 grant
me forget bank >/dev/null
me grant bank --terms t.txt --code bank.code >/dev/null 2>&1
example 0 code show
me forget bank >/dev/null
key=$(me key new --name asked)
you profile bank >/dev/null 2>&1
you request asked --to "$key" --terms t.txt --as bank -o bank.consent-offer >/dev/null 2>&1
for command in import export counter; do example 0 $command; done
you subscribe asked --unseen >/dev/null 2>&1 || fail "accepting the counter-offer"
me proof bank --format kantara -o receipt.json >/dev/null 2>&1 || fail "a receipt"
example 0 terms import
printf 'anna@home.example\n' >mail.txt; printf 'date,amount\n' >kept.csv
example 0 contact
you contact asked -o bank.consent-contact >/dev/null 2>&1 && you deliver asked kept.csv --slot 1 --contact me.consent-contact --out inbox >/dev/null 2>&1 || fail "a delivery to me"
for command in deliver open; do example 0 $command; done
you deliver asked kept.csv --slot 1 >/dev/null 2>&1 && example 0 inbox
cmp -s kept.csv received/* || fail "what was left in the mailbox comes out otherwise"
cmp -s kept.csv statement.csv || fail "what was delivered comes out otherwise"
# the number of one's own phone, for ben
me forget ben >/dev/null 2>&1 # the one of the joint thing
you key new --name ben >/dev/null 2>&1
printf '%s\n' 'proffered-by: customer' 'title: How to reach me' 'language: en' 'withdraw: at any node' '[slot 1 phone]' 'category: pd:TelephoneNumber' 'purposes: dpv:ServiceProvision' >phone-terms.txt
me grant ben --to "$(you key list --json | /usr/bin/python3 -c 'import json,sys; print([k["did"] for k in json.load(sys.stdin)["keys"] if k["name"] == "ben"][0])')" --terms phone-terms.txt -o ben.consent-offer >/dev/null 2>&1
you subscribe --offer ben.consent-offer --key ben --name me >/dev/null 2>&1 && me inbox >/dev/null 2>&1 || fail "ben's agreement"
echo 0123 >phone.txt; echo 4567 >new-number.txt
me vault put phone --category pd:TelephoneNumber phone.txt >/dev/null 2>&1
for command in "vault share" "vault change" "vault tell" "vault unshare"; do example 0 $command; done
you inbox --to told >/dev/null 2>&1
[ "$(cat told/* | grep -cx -e 0123 -e 4567)" -eq 2 ] || fail "ben was not told both numbers"
for command in "list" show history suspend resume amend renew dispute proof verify inspect revoke; do example 0 $command; done
me forget bank >/dev/null
you request again --to "$key" --terms t.txt --as bank -o again.consent-offer >/dev/null 2>&1
me import again.consent-offer --name bank >/dev/null 2>&1
example 0 refuse
me import anna.consent-offer --name old-offer >/dev/null 2>&1
example 0 forget

# data stays at the source: anna, her bank and her landlord
mkdir source && cd source || exit 1
as() { holder=$1; shift; CONSENT_WALLET=$scratch/source/$holder "$consent" "$@"; }
cp "$scratch/t.txt" .; echo "an income statement" >income.pdf; cp income.pdf sent.pdf
for who in anna bank landlord; do as $who key new --name $who --no-ask >/dev/null 2>&1; done
for who in bank landlord; do
    as $who profile $who >/dev/null 2>&1
    as anna grant $who --to "$(id_of as $who show $who)" --terms t.txt --until 2099-12-31 -o $who.consent-offer >/dev/null 2>&1
    as $who subscribe --offer $who.consent-offer --as $who --name anna >/dev/null 2>&1 || fail "subscribe $who"
done
CONSENT_WALLET=$scratch/source/anna && example 0 source release
as bank open to/holder -o anna.consent-release >/dev/null 2>&1; as landlord open to/reader -o anna.consent-source >/dev/null 2>&1
CONSENT_WALLET=$scratch/source/bank && example 0 source take
CONSENT_WALLET=$scratch/source/landlord && example 0 source ask
CONSENT_WALLET=$scratch/source/bank && example 0 source serve
CONSENT_WALLET=$scratch/source/landlord && example 0 source open
cmp -s sent.pdf income.pdf || fail "what the source served comes out otherwise"
CONSENT_WALLET=$scratch/source/anna
for command in list withdraw; do example 0 source $command; done
cat shown >>../shown
cd "$scratch" && CONSENT_WALLET=$scratch/me || exit 1

# files, the node, the rest
me revoke T --save r.cbor >/dev/null 2>&1
me ack T --save r.cose >/dev/null 2>&1
for command in sign submit audit "node status" "node peers" "node doctor" completions help due "key backup"; do example 0 $command; done
example 0 webhooks secret
printf '[crm]\nurl = http://127.0.0.1:9/\nsecret-file = crm.secret\nfollow = %s\n' "$profile" >webhooks.ini
for command in "webhooks failed" "webhooks replay"; do example 0 $command; done
# these two go on until they are stopped
echo "webhooks run" >>shown
line=$("$consent" help webhooks run | sed -n 's/^example: //p')
# shellcheck disable=SC2086
timeout --preserve-status -s INT 2 $line >out 2>err
[ $? -eq 130 ] || { fail "$line"; cat err >&2; }
echo feed >>shown
line=$("$consent" help feed | sed -n 's/^example: //p')
# shellcheck disable=SC2086
timeout --preserve-status -s INT 2 $line >out 2>err
[ $? -eq 130 ] || { fail "$line"; cat err >&2; }
CONSENT_WALLET=$scratch/first
me key new --name first --no-ask --json 2>/dev/null >first.json
/usr/bin/python3 -c 'import json; print(json.load(open("first.json"))["words"])' >words.txt
echo a@example.org >email.txt
for command in put list show remove; do example 0 vault $command; done
me key backup -o wallet.backup >/dev/null 2>&1
CONSENT_WALLET=$scratch/recovered
example 0 key recover

# what the top README says of sharing works as printed, in its order; the bank subscribes with a wallet of its own
mkdir readme && cd readme || exit 1
CONSENT_WALLET=$scratch/reader
me key new --name reader --no-ask >/dev/null 2>&1
sed -n '/^### Share and withdraw/,/^### [^S]/s/^    \(consent .*\)/\1/p' "$here/README.md" >commands
[ "$(wc -l <commands)" -ge 8 ] || fail "the README's commands were not found"
while read -r line; do
    case $line in
    'consent subscribe'*) you subscribe --offer shopping.consent-offer --as bank --name readme >out 2>err </dev/null ;; # the bank's line
    *) eval "$line" >out 2>err </dev/null ;;
    esac || { fail "the README's $line"; sed 's/^/  | /' err out >&2; }
done <commands
cd "$scratch" || exit 1

"$consent" help | sed -n 's/^  \([a-z]*\( [a-z]*\)\{0,1\}\)  .*/\1/p' | sed 's/ *$//' | while read -r command; do
    grep -qx "$command" shown || echo "$command"
done >not_shown
[ "$(wc -l <shown)" -ge 45 ] || fail "only $(wc -l <shown) examples were found"
[ -s not_shown ] && fail "examples that were not run: $(tr '\n' ' ' <not_shown)"
finish
