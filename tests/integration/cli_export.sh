#!/bin/sh
# Exports and imports: the wallet's list and an agreement's history as CSV, JSON and DPV records, receipts to show to others
# (DPV, Kantara), and a Kantara receipt made into terms. What is said is true at every state, and nothing private is in
# what is meant for others. With KEEP=DIR the documents are left in DIR, for tests/interop.
. "$(dirname "$0")/../lib/cli.sh"
start_node
cd "$scratch" || exit 1
python() { /usr/bin/python3 "$@"; }
bob() { CONSENT_WALLET=$scratch/bob "$consent" "$@"; }
# claim FILE EXPRESSION: of the JSON document d
claim() { python -c 'import json,sys; d=json.load(open(sys.argv[1])); sys.exit(0 if eval(sys.argv[2]) else 1)' "$1" "$2" || fail "$1: not so: $2"; }
# rows FILE EXPRESSION: of the CSV rows r, each by column name
rows() { python -c 'import csv,sys; r=list(csv.DictReader(open(sys.argv[1],newline=""))); sys.exit(0 if eval(sys.argv[2]) else 1)' "$1" "$2" || fail "$1: not so: $2"; }

expect 0 alice key new --name alice --no-ask
expect 0 acme key new --name office --no-ask
expect 0 acme profile secretname -o acme.consent-offer --json; profile=$(json object)
alice terms new | sed -e 's/^title:.*/title: =HYPERLINK("http:\/\/x","y"), my mail/' -e 's/^recipients: the organisation itself$/recipients: the organisation itself, =1+1/' >t.txt
printf '[slot 5 @health]\ncategory: pd:HealthRecord\npurposes: dpv:ServiceProvision\nrecipients: -Lab, the organisation itself\nretention: P1Y\n' >>t.txt
expect 0 alice terms publish t.txt --name privatename --limit 5 --standing -o standing.consent-offer
expect 0 acme subscribe anna --as secretname --offer standing.consent-offer
expect 0 alice grant bank --to "$profile" --terms t.txt --until 2099-06-30 -o bank.consent-offer
expect 0 alice list --format csv -o offered.csv
rows offered.csv '[x["consent_status"] for x in r if x["name"]=="bank"]==["dpv:ConsentRequested"]*3'
expect 17 alice proof bank --format kantara -o never.json && has_err "consent is in force"
[ ! -e never.json ] || fail "a receipt of an offer was written"
expect 0 acme subscribe bank --as secretname --offer bank.consent-offer
expect 0 alice list --refresh
expect 0 alice revoke bank --slots 2

# ---- the list is complete, in every form
expect 0 alice list --refresh --format csv -o list.csv
rows list.csv '{x["name"] for x in r}=={"privatename","privatename.1","bank"} and len(r)==7'
rows list.csv '[(x["slot"],x["slot_state"],x["category"]) for x in r if x["name"]=="bank"]==[("1","live","pd:EmailAddress"),("2","to be erased","pd:Purchase"),("5","live","pd:HealthRecord")]'
rows list.csv 'all(x["consent_status"]=="dpv:ConsentGiven" and x["not_after"]=="2099-07-01T00:00:00Z" and x["contract_status"]=="dpv:ContractFullyExecuted" for x in r if x["name"]=="bank")'
rows list.csv 'all(len(x["last_record"])==64 and x["proof"].endswith("/v1/agreements/"+x["id"]) for x in r if x["kind"]=="agreement")'
rows list.csv 'all(x["slot_name"]=="'"'"'@health" and x["recipients"]=="'"'"'-Lab, the organisation itself" for x in r if x["slot"]=="5")'
rows list.csv 'not any((v or "").startswith(("=","+","-","@","\t")) for x in r for v in x.values())'
grep -c "$(printf '\r')$" list.csv | grep -qx 8 || fail "rows do not end with CR LF"
expect 0 alice list --format json
claim out '{e["name"] for e in d["entries"]}=={"privatename","privatename.1","bank"}'
claim out 'all(e["about"][0]["category"]=="pd:EmailAddress" and e["last_change"].endswith("Z") and e["consent_status"]=="dpv:ConsentGiven" for e in d["entries"] if e["kind"]=="agreement")'
expect 0 alice list --format dpv -o list.jsonld && has_err "1 entry of the wallet is not in there"
claim list.jsonld '{x["dct:title"] for x in d["@graph"]}=={"privatename.1","bank"} and isinstance(d["@context"],dict)'
expect 0 alice list --active --format dpv && claim out 'len(d["@graph"])==2'
expect 2 alice list --format xml && has_err "csv, json or dpv"

# ---- deliveries both ways, and uses that the organisation states
expect 0 alice inbox
printf 'alice@example.org' >mail.txt
expect 0 alice deliver bank mail.txt --slot 1 --media-type text/plain
expect 0 acme inbox
expect 0 alice inbox
printf 'month,total\n' >statement.csv
expect 0 acme deliver bank statement.csv --kind notice --media-type text/csv
expect 0 alice inbox --no-acknowledge
now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
begin=$(now); sleep 1.1
printf '%s %s 1 dpv:ServiceProvision =1+1\n' "$(now)" "$(acme show bank --json | sed -n 's/.*"object": "\([0-9a-f]*\)".*/\1/p')" >uses.txt
sleep 1.1; end=$(now); sleep 0.1
expect 0 acme uses add secretname uses.txt
expect 0 acme statement secretname --from "$begin" --until "$end"
expect 0 acme uses prove secretname bank --from "$begin" --until "$end" -o bank.consent-uses

# ---- what was signed and kept back is an offer that stands nowhere
expect 0 bob key new --name bob --no-ask && expect 0 bob grant kept --to "$profile" --terms t.txt -o kept.consent-offer --save kept.cose
expect 0 bob list && has "kept               offer" && has "not on the ledger yet"
expect 0 bob list --json && claim out '[(e["kind"],e["state"]) for e in d["entries"]]==[("agreement","not on the ledger")]'

# ---- history: every record, with what it led to, every delivery, every use
expect 0 alice suspend bank
expect 0 alice history bank --uses bank.consent-uses --format csv -o history.csv
rows history.csv '[(x["record_type"],x["consent_status"]) for x in r if x["what"]=="record"]==[("GRANT","dpv:ConsentRequested"),("SUBSCRIBE","dpv:ConsentGiven"),("REVOKE","dpv:ConsentGiven"),("SUSPEND","dpv:ConsentStatusInvalidForProcessing")]'
rows history.csv '[x["what"] for x in r]==["record","record","record","sent","sent","received","use","record"] and [x["time"] for x in r]==sorted(x["time"] for x in r)'
rows history.csv '(r[3]["kind"],r[3]["media_type"])==("notice","application/vnd.consent-contact")' # where she can be reached
rows history.csv 'all((x["name"],len(x["agreement"]))==("bank",64) for x in r)'
rows history.csv '[(x["delivery"]!="",x["slots"],x["slot_name"],x["kind"],x["media_type"],x["bytes"],x["acknowledged"]!="") for x in r[4:6]]==[(True,"1","email","data","text/plain","17",True),(True,"","","notice","text/csv","12",False)]'
rows history.csv '[(x["slots"],x["purpose"],x["reference"],x["source"],x["record_type"]) for x in r[6:7]]==[("1","dpv:ServiceProvision","'"'"'=1+1","statement","")]'
expect 0 alice history bank --format csv && rows out 'len(r)==7' # no proof was given: the uses are not hers to know
expect 0 acme history bank --format csv && rows out '[(x["what"],x["source"]) for x in r][-4:-1]==[("received",""),("sent",""),("use","own log")]'
expect 0 alice history bank --limit 2 --format csv -o - && rows out 'len(r)==2' && has_err "5 older lines"
expect 12 alice proof bank --format kantara -o never.json
expect 0 alice resume bank
expect 0 alice renew bank --until 2099-12-31
expect 0 alice history bank --uses bank.consent-uses --format dpv -o history.jsonld
claim history.jsonld 'd["dct:title"]=="bank" and d["dpv:hasConsentStatus"][-1]["@type"][0]=="dpv:RenewedConsentGiven" and d["dct:valid"]=="2100-01-01T00:00:00Z"'
claim history.jsonld '[p["dpv:hasPersonalData"] for p in d["dpv:hasProcess"]]==["pd:EmailAddress","pd:HealthRecord"]'
claim history.jsonld '[(p["dpv:hasProcessing"]["@id"],p["dct:title"],p.get("dpv:hasPersonalData"),p.get("dct:format")) for p in d["dpv:hasRecordOfActivity"]["dpv:hasProcess"][1:]]==[("dpv:Transmit","email","pd:EmailAddress","text/plain"),("dpv:Transmit","no slot",None,"text/csv"),("dpv:Use","email","pd:EmailAddress",None)]'
claim history.jsonld '[p["dpv:hasRecipient"]["@id"] for p in d["dpv:hasRecordOfActivity"]["dpv:hasProcess"][1:3]]==[d["dpv:hasDataController"]["@id"],d["dpv:hasDataSubject"]["@id"]]'
expect 2 alice history bank --format dpv --limit 2 && has_err "is whole"
expect 0 alice history bank --format json && claim out '[h["type"] for h in d["history"]]==["GRANT","SUBSCRIBE","REVOKE","SUSPEND","RESUME","RENEW"]'
expect 1 alice history privatename --format csv && has_err "name an agreement"

# ---- all of it at once
expect 0 alice history --uses bank.consent-uses --format csv -o everything.csv
rows everything.csv '{x["name"] for x in r}=={"bank","privatename.1"} and [x["time"] for x in r]==sorted(x["time"] for x in r)'
rows everything.csv '[x["what"] for x in r if x["name"]=="bank"]==["record","record","record","sent","sent","received","use","record","record","record"]'
expect 0 alice history --uses bank.consent-uses --format dpv -o everything.jsonld
claim everything.jsonld '{x["dct:title"]:len(x.get("dpv:hasRecordOfActivity",{}).get("dpv:hasProcess",[])) for x in d["@graph"]}=={"bank":4,"privatename.1":1}'
expect 0 alice history --uses bank.consent-uses --format json -o everything.json && [ -z "$out" ] || fail "it is in the file and on standard output"
claim everything.json 'd["version"]==1 and {a["name"]:(len(a["history"]),len(a["deliveries"]),len(a["uses"])) for a in d["agreements"]}=={"bank":(6,3,1),"privatename.1":(1,1,0)}'
expect 2 alice history -o never.csv && has_err "goes with --format"

# ---- a node that tells less than all, or what nobody signed
cat >proxy.py <<'PYTHON'
import base64, http.server, json, sys, urllib.error, urllib.request
class Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        headers = {name: self.headers[name] for name in ("Accept",) if name in self.headers}
        try:
            with urllib.request.urlopen(urllib.request.Request(sys.argv[1] + self.path, headers=headers)) as answer:
                status, kind, body = answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            status, kind, body = error.code, error.headers["Content-Type"], error.read()
        if self.path.startswith("/v1/agreements/") and "history=0" not in self.path:
            told = json.loads(body)
            if open("mode").read() == "cut": # and nothing older, although it is asked for
                told["history"], told["history_more"] = [] if "before=" in self.path else told["history"][-4:], True
            else:
                record = bytearray(base64.b64decode(told["history"][1]["record"]))
                record[-40] ^= 1
                told["history"][1]["record"] = base64.b64encode(record).decode()
            body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
print(server.server_address[1], flush=True)
server.serve_forever()
PYTHON
: >port
/usr/bin/python3 proxy.py "$CONSENT_NODE" >port 2>proxy.err & # not the function: its process has to be the one that is ended
proxy=$!
trap 'kill "$proxy" 2>/dev/null; stop' EXIT
for _ in $(seq 100); do [ -s port ] && break; sleep 0.1; done
printf cut >mode
expect 0 alice history bank --format csv --node "http://127.0.0.1:$(cat port)" && has_err "newest 4 records"
rows out '[(x["record_type"],x["consent_status"]) for x in r if x["what"]=="record"]==[("REVOKE","dpv:ConsentGiven"),("SUSPEND","dpv:ConsentStatusInvalidForProcessing"),("RESUME","dpv:ConsentGiven"),("RENEW","dpv:RenewedConsentGiven")]'
expect 0 alice proof bank --format kantara -o cut.json --node "http://127.0.0.1:$(cat port)" && claim cut.json 'd["collectionMethod"].endswith("(RENEW)")'
printf forge >mode
expect 10 alice history bank --format csv --node "http://127.0.0.1:$(cat port)" && has_err "does not hold, at record 2"
[ ! -s out ] || fail "a forged history was exported"
expect 10 alice proof bank --format dpv -o never.json --node "http://127.0.0.1:$(cat port)"
kill "$proxy"; wait "$proxy" 2>/dev/null; trap stop EXIT

# ---- receipts for others: no name that an owner gave, and no address of a node
expect 0 alice proof bank --format dpv -o receipt.jsonld && has receipt.jsonld
expect 0 alice proof bank --format kantara -o receipt.json
expect 0 acme proof bank --format kantara -o acme-receipt.json
for file in receipt.jsonld receipt.json acme-receipt.json; do
    ! grep -qE "secretname|privatename|\"bank\"|alice|$CONSENT_NODE" $file || fail "$file: a name of the wallet's owner, or its node"
done
claim receipt.jsonld 'd["@type"]=="dpv:ConsentReceipt" and d["dpv:hasRecordOfActivity"]["@type"]=="dpv:ConsentRecord"'
claim receipt.json 'd["version"]=="KI-CR-v1.1.0" and d["sensitive"] is True and d["spiCat"]==["Health Record (pd:HealthRecord)"]'
claim receipt.json 'd["jurisdiction"]=="NL" and d["piiPrincipalId"].startswith("did:key:") and d["piiControllers"][0]["piiController"]=="nih:sha-256;'"$profile"'"'
expect 2 alice proof bank --format kantara --record 00 && expect 1 alice proof privatename --format dpv && has_err "name an agreement"

# ---- and back: the same kinds of data, the same purposes
expect 0 alice terms import receipt.json -o draft.txt && has_err "2 of 2"
expect 0 alice terms check draft.txt
sed -n 's/^\(category\|purposes\|retention\): /\1 /p' t.txt | sed -n '1,3p;7,9p' >wanted
sed -n 's/^\(category\|purposes\|retention\): /\1 /p' draft.txt >got
cmp -s wanted got || fail "the draft says otherwise: $(diff wanted got)"
expect 0 alice terms publish draft.txt --limit 1 --name copied

expect 2 alice import receipt.json && has_err "consent terms import"

# ---- after the end
expect 0 alice revoke bank
expect 11 alice proof bank --format kantara -o never.json && has_err "--format dpv"
expect 0 alice proof bank --format dpv -o - && claim out 'd["dpv:hasRecordOfActivity"]["dpv:hasConsentStatus"][-1]["@type"]=="dpv:ConsentWithdrawn"'
expect 0 alice history bank --format csv && rows out '[x for x in r if x["what"]=="record"][-1]["consent_status"]=="dpv:ConsentWithdrawn" and r[0]["consent_status"]=="dpv:ConsentRequested"'
expect 0 acme revoke anna
expect 0 acme history anna --format csv && rows out '[x["consent_status"] for x in r if x["what"]=="record"]==["dpv:ConsentGiven","dpv:ConsentRevoked"]'
expect 0 alice list --refresh --format dpv && claim out '{x["dpv:hasContractStatus"] for x in d["@graph"]}=={"dpv:ContractTerminated"}'
expect 0 alice erase bank
expect 0 alice list --refresh --format csv && rows out '[x["slot"] for x in r if x["name"]=="bank"]==[""]'
expect 0 alice proof bank --format dpv -o - && has "not at hand"

# ---- hostile receipts: a sentence for each, and nothing written
refused() { expect 1 alice terms import "$1" -o never.txt && has_err "$2"; [ ! -e never.txt ] || fail "$1 made a file"; }
echo '{' >bad.json; refused bad.json "not JSON"
echo '{"version":"KI-CR-v1.1.0"}' >bad.json; refused bad.json "no services"
echo '{"version":"2"}' >bad.json; refused bad.json "KI-CR-v1.1.0"
echo '[]' >bad.json; refused bad.json "KI-CR-v1.1.0"
python -c 'print("["*100000)' >bad.json; refused bad.json "nested more deeply"
python -c 'print("{\"a\":\""+"x"*300000+"\"}")' >bad.json; refused bad.json CL_E_BOUND
hostile() { python - "$1" <<'PYTHON' >bad.json
import json, sys
purpose = {"purposeCategory": ["6 - Marketing"], "piiCategory": ["2 - Contact"], "termination": "P1Y"}
receipt = {"version": "KI-CR-v1.1.0", "language": "en", "services": [{"service": "s", "purposes": [purpose]}]}
exec(sys.argv[1])
print(json.dumps(receipt))
PYTHON
}
hostile 'purpose["piiCategory"]=["kind %d" % i for i in range(65)]'; refused bad.json "more than 64"
hostile 'receipt["services"][0]["purposes"]=[purpose]*257'; refused bad.json "more than 256"
hostile 'purpose["piiCategory"]=[7]'; refused bad.json "not text"
hostile 'purpose["piiCategory"]=[]'; refused bad.json "piiCategory"
hostile 'receipt["services"]=[None,5,{"purposes":[3]}]'; refused bad.json "piiCategory"
hostile 'receipt["services"][0]["service"]="x\n[slot 9 stolen]\ncategory: pd:Health\npurposes: dpv:Marketing"; receipt["language"]="en\nwithdraw: never"; purpose.update(thirdPartyDisclosure=True, thirdPartyName="a, b\nretention: P99Y"); purpose["termination"]="\u0085"+"é"*300'
expect 0 alice terms import bad.json -o hostile.txt && expect 0 alice terms check hostile.txt
has "1 slot" && [ "$(grep -c '^\[slot' hostile.txt)" -eq 1 ] && [ "$(grep -c '^withdraw:' hostile.txt)" -eq 1 ] && ! grep -q '^retention' hostile.txt || fail "a value of the receipt became a line of the terms"
hostile 'purpose["purposeCategory"]=["dpv:Nonsense","="]; purpose["piiCategory"]=["pd:Nonsense"]'
expect 0 alice terms import bad.json && has "# [slot 0" && expect 1 alice terms check out
# whatever becomes of a receipt on its way: a draft that can be read, or a sentence
python - "$consent" receipt.json <<'PYTHON' || fail "altered receipts"
import random, subprocess, sys
consent, data = sys.argv[1], open(sys.argv[2], "rb").read()
chance = random.Random(4)
good = 0
for _ in range(300):
    twin = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(twin))
        kind = chance.randrange(3)
        if kind == 0: twin[at] = chance.choice(b'"{}[],:\\\n\x00\x80\xff 0n')
        elif kind == 1: del twin[at:at + chance.randint(1, 40)]
        else: twin[at:at] = twin[at:at + chance.randint(1, 40)]
    made = subprocess.run([consent, "terms", "import", "-"], input=bytes(twin), capture_output=True)
    assert made.returncode in (0, 1) and made.stderr, (made.returncode, bytes(twin))
    assert made.returncode == 0 or not made.stdout, bytes(twin)
    if made.returncode == 0:
        good += 1
        checked = subprocess.run([consent, "terms", "check", "-"], input=made.stdout, capture_output=True)
        slots = sum(line.startswith(b"[slot ") for line in made.stdout.splitlines())
        assert checked.returncode == (0 if slots else 1), (checked.stderr, made.stdout)
assert 30 < good < 270, good
PYTHON

if [ -n "${KEEP-}" ]; then mkdir -p "$KEEP" && cp list.csv history.csv everything.csv list.jsonld history.jsonld everything.jsonld everything.json receipt.jsonld receipt.json acme-receipt.json t.txt draft.txt "$KEEP"; fi
finish
