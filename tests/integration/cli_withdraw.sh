#!/bin/sh
# A withdrawal: the node's signed acceptance is checked and kept; a withdrawal signed long ago still counts.
. "$(dirname "$0")/../lib/cli.sh"
start_node
cd "$scratch" || exit 1
expect 0 alice key new --name alice --no-ask
expect 0 acme key new --name office --no-ask && expect 0 acme profile acme --json && profile=$(json object)
alice terms new >t.txt
for name in bank shop; do
    expect 0 alice grant $name --to "$profile" --terms t.txt -o $name.consent-offer
    expect 0 acme subscribe $name --offer $name.consent-offer --as acme
done
expect 0 alice suspend bank && has "accepted by member 'solo' on 20" && expect 0 alice resume bank
expect 0 alice revoke bank --json && kept=$(json acceptance_file)
[ "$(json accepted_by)" = solo ] && [ "$(json state)" = withdrawn ] || fail "$out"
case $kept in "$scratch"/alice.accepted-*) ;; *) fail "kept in $kept" ;; esac
expect 0 alice inspect "$kept" && has "acceptance"
# signed in advance: issued_at lies years back, and it is taken
expect 0 alice revoke shop --prepare -o drawer && has "drawer.txt is the same to print"
expect 0 "$consent" inspect drawer && has REVOKE
network=$(curl -s "$CONSENT_NODE/v1/network" | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["network_id"])')
# the payload with another issued_at, signed again by the same key: {1: 11, 2: ms, 3: [...]}
/usr/bin/python3 - <<'P'
data = open("drawer", "rb").read()
at = data.index(b"\xa3\x01\x0b\x02\x1b")
payload = data[at:-66]
old = (1600000000000).to_bytes(8, "big")
open("old.payload", "wb").write(payload[:5] + old + payload[13:])
P
expect 0 alice sign old.payload --key shop -o old.cose
expect 0 alice inspect old.cose --network "$network" && has 2020
mv alice alice.away
expect 0 "$consent" submit old.cose --wait --json && [ "$(json record_status)" = final ] || fail "an old withdrawal: $err"
mv alice.away alice
expect 11 alice check shop
# an acceptance that does not hold is not believed
cat >liar.py <<'P'
import http.server, json, sys, urllib.request, urllib.error
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        headers = {k: v for k, v in self.headers.items() if k in ("Accept", "Content-Type")}
        try:
            got = urllib.request.urlopen(urllib.request.Request(sys.argv[1] + self.path, body, headers))
        except urllib.error.HTTPError as error:
            got = error
        data = got.read()
        if b'"acceptance"' in data:
            value = json.loads(data)
            value["acceptance"] = value["acceptance"][:-8] + "AAAAAAA="
            data = json.dumps(value).encode()
        self.send_response(got.status)
        self.send_header("Content-Type", got.headers["Content-Type"])
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    do_GET = do_POST = answer
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
P
/usr/bin/python3 liar.py "$CONSENT_NODE" >liar.url & liar=$!
for _ in $(seq 100); do [ -s liar.url ] && break; sleep 0.05; done
expect 0 alice grant club --to "$profile" --terms t.txt
expect 0 alice revoke club --node "$(cat liar.url)" --json && has_err "does not hold"
case $out in *accepted_by*) fail "a false acceptance was believed" ;; esac
kill "$liar"
finish
