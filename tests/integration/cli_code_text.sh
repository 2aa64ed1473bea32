#!/bin/sh
# Connecting by a code as text and as a QR code, between wallets of which one has never heard of the network or its node; and
# every code that must not work, refused with a sentence: copied, used, used up, expired, cancelled, damaged, of another network.
. "$(dirname "$0")/../lib/cli.sh"
ben() { CONSENT_WALLET=$scratch/ben "$consent" "$@"; }
carl() { CONSENT_WALLET=$scratch/carl "$consent" "$@"; }
# new NAME: a wallet that knows nothing, and no variable names the node to it
fresh() { name=$1; shift; env -u CONSENT_NODE CONSENT_WALLET="$scratch/$name" "$consent" "$@"; }
owner_only() { for file in "$@"; do [ "$(stat -c %a "$file")" = 600 ] || fail "others may read $file"; done; }
python() { PYTHONPATH=$here/tests/lib /usr/bin/python3 "$@"; }
# a foreign reader of pictures
zbar() { zbarimg --quiet --raw --nodbus -Sdisable -Sqrcode.enable "$1" 2>/dev/null; }
start_node
cd "$scratch" || exit 1
for who in alice ben carl; do expect 0 $who key new --name $who --no-ask; done
alice terms new >t.txt

# made: text, PNG, SVG, terminal; all hold the same code, and only their owner may read them
expect 0 alice terms publish t.txt --name shopping --limit 2 --standing --until 2090-12-31 --code shopping.code --png shopping.png --svg shopping.svg --qr
cp out terminal.txt
has_err "which only this machine reaches"; has_err "'consent revoke shopping' cancels it"; has_err "until 2090-12-31"
owner_only shopping.code shopping.png shopping.svg
[ "$(head -c 9 shopping.code)" = CONSENT1: ] && [ "$(wc -l <shopping.code)" -eq 1 ] || fail "the code is not a line of text"
zbar shopping.png >read.png.txt; cmp -s read.png.txt shopping.code || fail "zbarimg does not read our PNG"
python -c 'import codes; codes.write_pgm("svg.pgm", codes.svg_rows("shopping.svg")); codes.write_pgm("terminal.pgm", codes.terminal_rows("terminal.txt"))'
for picture in svg terminal; do zbar $picture.pgm >read.txt; cmp -s read.txt shopping.code || fail "zbarimg does not read the $picture drawing"; done
python - <<P || fail "the code does not say what formats.cddl asks for"
import codes
version, network, urls, token, thing, kind, expiry, body, reception = codes.read("shopping.code")
assert (version, urls, kind, len(network), len(token), expiry) == (1, ["$CONSENT_NODE"], 2, 32, 32, 3818448000), (version, urls, kind, expiry)
assert body[1] == "terms" and len(body[2]) > 5
assert len(reception[0]) == 32 and reception[1] == "solo" and len(reception[2]) == 32 and reception[3] == 0, reception
P

# shown again from the wallet and from the file; the same code each time
expect 0 alice code show shopping && [ "$out" = "$(cat shopping.code)" ] || fail "another code is shown"
has_err "0 of 2 agreements"
expect 0 alice code show shopping.png && [ "$out" = "$(cat shopping.code)" ] || fail "another code is in the picture"
expect 0 alice code show shopping.code --png again.png -o again.code && cmp -s again.code shopping.code || fail "code show -o"
owner_only again.png again.code
expect 0 alice code show shopping --json && [ "$(json code)" = "$(cat shopping.code)" ] || fail "code show --json"
[ "$(json nodes.0)" = "$CONSENT_NODE" ] && [ "$(json expires)" = 3818448000 ] || fail "code show --json: $out"
expect 0 alice code show shopping --expires 10m --without-text -o short.code && has_err "without the text"
[ "$(wc -c <short.code)" -lt 400 ] || fail "a code without text is long"

# a wallet that knows no node learns node and network from the code; text, terms and salt come with it
expect 0 fresh dora key new --name dora --no-ask
expect 0 fresh dora subscribe --code shopping.code --name club --json && [ "$(json state)" = active ] || fail "by text: $out"
has_err "belongs to the network"
[ -s dora.policy ] || fail "no trust file was taken"
expect 0 fresh dora terms show club && has "purchases"
# by picture, from a file, by standard input
expect 0 fresh emma key new --name emma --no-ask
expect 0 fresh emma subscribe --code shopping.png --json && [ "$(json state)" = active ] || fail "by picture: $out"
# used up: two were made
expect 1 carl subscribe --code shopping.code && has_err "used up" && has_err CL_E_LIMIT
expect 0 alice code show shopping && has_err "2 of 2 agreements"
# a code that the wallet finds good and the ledger refuses: used up between looking and answering
expect 0 alice terms publish t.txt --name one --limit 1 --standing --code one.code
expect 0 carl subscribe --code one.code --save carl.cose
expect 0 ben subscribe --code one.code --save ben.cose
expect 0 ben submit ben.cose --wait
expect 1 carl submit carl.cose --wait && has_err CL_E_LIMIT
# standard input; and a code without its text, which comes as an offer
expect 0 alice grant bank --terms t.txt --code bank.code --png bank.png --expires 24h
"$consent" --wallet ben subscribe --code - --name alicebank <bank.code >out 2>err || fail "standard input: $(cat err)"
expect 0 ben check alicebank
# used by another: a copy of it opens nothing
expect 1 carl subscribe --code bank.code && has_err "has been used" && has_err CL_E_STATUS
expect 1 carl subscribe --code bank.png && has_err "has been used"
expect 3 alice code show bank && has_err "is used"
expect 0 alice grant small --terms t.txt --code small.code --without-text -o small.consent-offer
expect 3 ben subscribe --code small.code && has_err "not at hand"
expect 0 ben subscribe --code small.code --offer small.consent-offer --json && [ "$(json state)" = active ] || fail "code and offer: $out"
expect 2 carl subscribe --code one.code --offer small.consent-offer && has_err "not the one of this offer"

# cancelled: an offer, and terms; one step, in words
expect 0 alice grant gone --terms t.txt --code gone.code
expect 0 alice revoke gone && has_err "You cancel 'gone'" && has_err "its code"
expect 1 ben subscribe --code gone.code && has_err "cancelled" && has_err CL_E_FINAL
expect 0 alice terms publish t.txt --name shut --limit 3 --code shut.code && expect 0 alice revoke shut && has_err "its code is cancelled"
expect 11 ben import shut.code && has_err "cancelled" && has_err CL_E_CLOSED
expect 11 alice code show shut && has_err "opens nothing"

# expired: the code's own time, which wallets keep; the offer's, which the ledger keeps
expect 0 alice terms publish t.txt --name brief --limit 3 --standing --code brief.code --expires 2s
expect 0 alice grant quick --terms t.txt --until "$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%SZ)" --code quick.code
sleep 3
expect 12 ben subscribe --code brief.code && has_err "was good until" && has_err CL_E_EXPIRED
expect 12 ben subscribe --code quick.code && has_err "was good until"
python - <<'P'
import codes
fields = codes.read("quick.code")
codes.write("lengthened.code", fields[:6] + [None] + fields[7:]) # whoever changes the code does not change the offer
P
expect 12 ben subscribe --code lengthened.code && has_err "is over" && has_err CL_E_EXPIRED
expect 2 alice grant late --terms t.txt --code late.code --expires 2020-01-01 && has_err "over already"

# damaged: cut, changed, of another key, another thing; of another network
expect 0 alice terms publish t.txt --name open --limit 9 --standing --code open.code
head -c 200 open.code >cut.code && expect 1 ben subscribe --code cut.code && has_err "damaged"
tr A-Z a-z <open.code | sed 's/^consent/CONSENT/' >lower.code && expect 1 ben subscribe --code lower.code && has_err "damaged"
sed 's/^\(.\{300\}\)/\1\n/' open.code >wrapped.code && expect 1 ben subscribe --code wrapped.code && has_err "damaged"
python - <<'P'
import codes
fields, bank = codes.read("open.code"), codes.read("bank.code")
codes.write("token.code", fields[:3] + [bytes(31) + b"\1"] + fields[4:])
codes.write("thing.code", fields[:4] + [bytes(32)] + fields[5:])
codes.write("network.code", fields[:1] + [bytes(32)] + fields[2:])
codes.write("kind.code", fields[:5] + [1] + fields[6:])
codes.write("newer.code", [2] + fields[1:])
P
expect 4 ben subscribe --code token.code && has_err "does not fit" && has_err CL_E_AUDIENCE
expect 4 ben subscribe --code kind.code && has_err "does not fit"
expect 3 ben subscribe --code thing.code && has_err CL_E_NO_OBJECT
expect 1 ben subscribe --code network.code && has_err "this wallet keeps to consent.example/test" && has_err CL_E_NETWORK
expect 1 ben subscribe --code newer.code && has_err CL_E_VERSION
# and a wallet that knows no network does not take the one that answers there instead
expect 0 fresh finn key new --name finn --no-ask
expect 1 fresh finn subscribe --code network.code && has_err "serves another"
[ ! -e finn.policy ] || fail "a network was taken that the code does not name"
# the first of two nodes is silent
python - <<'P'
import codes
fields = codes.read("open.code")
codes.write("two.code", fields[:2] + [["http://127.0.0.1:1"] + fields[2]] + fields[3:])
P
expect 0 fresh finn subscribe --code two.code --json && [ "$(json state)" = active ] || fail "the second node: $out"

# pictures that hold none, or two; what is no picture; a reader that is not there
python -c 'import codes; rows = codes.svg_rows("shopping.svg"); codes.write_pgm("blank.pgm", [[0] * 40] * 40)'
/usr/bin/python3 - <<'P'
import struct, zlib
def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
row = b"\0" + b"\xff" * 64
open("blank.png", "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(row * 64)) + chunk(b"IEND", b""))
P
expect 1 ben subscribe --code blank.png && has_err "No connect code was found"
head -c 100 shopping.png >cut.png && expect 1 ben subscribe --code cut.png && has_err "No connect code was found"
qrencode -o other.png 'HTTPS://EXAMPLE.ORG' && expect 1 ben subscribe --code other.png && has_err "No connect code was found"
expect 2 ben subscribe --code blank.pgm && has_err "holds no code"
mkdir none && expect 1 env PATH="$scratch/none" CONSENT_WALLET="$scratch/ben" "$consent" subscribe --code shopping.png && has_err "zbar-tools"

# secrets are not arguments; drawing for people is not for programs; too much text for one QR code
expect 2 ben subscribe --code "$(cat open.code)" && has_err "A code is a secret"
expect 2 ben import "$(cat open.code)" && has_err "A code is a secret"
expect 2 alice code show shopping --qr --json && has "--png"
expect 2 ben grant x --code open.code --png x.png && has_err "--terms"
expect 2 alice grant x --terms t.txt --to did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme --qr && has_err "Give one of them"
expect 2 alice grant x --terms t.txt --code x.code --code-node ftp://a.example && has_err "cannot stand in a code"
{ cat t.txt; for n in $(seq 3 40); do sed -n '/^\[slot 1 /,/^$/p' t.txt | sed "s/slot 1 email/slot $n email$n/"; echo; done; } >long.txt
expect 1 alice grant long --terms long.txt --code long.code --png long.png && has_err "a QR code holds 4296" && has_err "--without-text"
[ ! -e long.code ] && [ ! -e long.png ] || fail "something was written"
expect 3 alice show long
expect 0 alice grant long --terms long.txt --code long.code
expect 0 ben subscribe --code long.code --json && [ "$(json state)" = active ] || fail "a long code as text: $out"
expect 0 alice grant long2 --terms long.txt --png long.png --without-text

# pasted at the terminal: more than the terminal's own line editor takes, and not shown
expect 0 alice grant typed --terms long.txt --code typed.code
[ "$(wc -c <typed.code)" -gt 4200 ] || fail "the code is too short for this"
CONSENT_WALLET=$scratch/ben /usr/bin/python3 - "$consent" <<'P' || fail "pasting"
import os, pty, sys, time
code = open("typed.code", "rb").read()
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "subscribe", "--code", "-", "--name", "typed"])
said = b""
while b"Paste the code" not in said:
    said += os.read(terminal, 4096)
time.sleep(0.3) # until the terminal is in its mode: what was typed before is thrown away
for at in range(0, len(code), 512):
    os.write(terminal, code[at:at + 512])
    time.sleep(0.02)
try:
    while True:
        part = os.read(terminal, 4096)
        if not part:
            break
        said += part
except OSError:
    pass
_, status = os.waitpid(pid, 0)
assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, said[-2000:]
assert b"CONSENT1:" not in said and b"active" in said, said[-2000:]
P
finish
