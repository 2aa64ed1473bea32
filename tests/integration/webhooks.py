#!/usr/bin/python3
"""consent webhooks: a real endpoint that works, fails, is slow, answers 410, goes away and comes back, while the sender is
killed with kill -9: every event arrives at least once, in order for each agreement, under signatures that verify; nobody
else's event does. Secrets, certificates, what is listed as failed, replay, and how soon a revocation is there."""
import base64
import hashlib
import hmac
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import DEADLINE_S, Maker, Node, main, now_ms, says, wait_for  # noqa: E402

ORGANISATION, STRANGER = 2, 3


class Endpoint:
    """The organisation's side: keeps what came, verifies signatures, and answers as it is told."""

    def __init__(self, port=0, tls=None):
        self.posts, self.taken, self.open, self.connections = [], [], [], set()
        self.answer = lambda post: 200  # of a post: status, or (status, headers)
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                endpoint.open.append(self.connection)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                post = {"headers": {name.lower(): value for name, value in self.headers.items()}, "body": body, "at": time.time(), "event": json.loads(body)}
                endpoint.connections.add(self.client_address)
                endpoint.posts.append(post)
                answer = endpoint.answer(post)
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                if 200 <= status < 300:
                    endpoint.taken.append(post)
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"ok")
                except OSError:
                    pass  # it did not wait

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was closed already

    def indexes(self):
        return [post["event"]["data"]["log_index"] for post in self.taken]


def signatures(secret_lines, post):
    content = f"{post['headers']['webhook-id']}.{post['headers']['webhook-timestamp']}.".encode() + post["body"]
    return ["v1," + base64.b64encode(hmac.new(base64.b64decode(line[6:]), content, hashlib.sha256).digest()).decode() for line in secret_lines]


class Organisation:
    """Writes the configuration and runs the command."""

    def __init__(self, build, node, follow):
        self.consent, self.node, self.follow = f"{build}/consent", node, follow
        self.root = tempfile.mkdtemp(prefix="consent-webhooks-")
        self.config, self.secret = f"{self.root}/webhooks.ini", f"{self.root}/crm.secret"
        self.process = None
        self.command("secret", self.secret)

    def secrets(self):
        with open(self.secret, encoding="ascii") as file:
            return file.read().split()

    def write(self, *endpoints):
        with open(self.config, "w", encoding="utf-8") as file:
            for name, url, *more in endpoints:
                file.write(f"[{name}]\nurl = {url}\nsecret-file = crm.secret\nfollow = {self.follow}\n" + "".join(line + "\n" for line in more) + "\n")

    def command(self, verb, *arguments, good=0):
        done = subprocess.run([self.consent, "webhooks", verb, *arguments, "--node", self.node.url], capture_output=True, text=True, timeout=DEADLINE_S)
        assert done.returncode == good, f"{verb} {arguments}: {done.returncode} {done.stdout} {done.stderr}"
        return done.stdout if good == 0 else done.stderr

    def start(self):
        with open(f"{self.root}/log", "ab") as log:
            self.process = subprocess.Popen([self.consent, "webhooks", "run", self.config, "--node", self.node.url], stdout=subprocess.DEVNULL, stderr=log)

    def log(self):
        with open(f"{self.root}/log", encoding="utf-8") as file:
            return file.read()

    def end(self, number=signal.SIGTERM, status=130):
        self.process.send_signal(number)
        got = self.process.wait(timeout=DEADLINE_S)
        self.process = None
        assert got == status, f"it ended with {got}: {self.log()[-2000:]}"

    def kill(self):
        self.end(signal.SIGKILL, -signal.SIGKILL)

    def listed(self):
        return json.loads(self.command("failed", self.config, "--json"))


class Ledger:
    """Agreements of the organisation's and of others, and which events should arrive."""

    def __init__(self, build, node):
        self.node, self.maker, self.number = node, Maker(build), 0
        self.maker.network(node.network_id())
        self.ours = []  # agreements

    def key(self, number):
        return self.maker.ask("challenge", number, "00" * 32)[0]

    def submit(self, *words):
        record = self.maker.record(*words)
        answer = self.node.post(record[2], wait=True)
        assert answer.status == 201, answer
        return record[1], answer.json()["id"]

    def agree(self, organisation=ORGANISATION):
        """A customer of its own grants, the organisation subscribes."""
        self.number += 1
        customer, now = 1000 + self.number, now_ms()
        agreement, _ = self.submit("grant", customer, self.number, organisation, now)
        self.submit("subscribe", organisation, customer, self.number, now)
        if organisation == ORGANISATION:
            self.ours.append((agreement, customer))
        return agreement, customer

    def revoke(self, agreement, customer):
        return self.submit("revoke", customer, agreement, now_ms())[1]

    def wanted(self):
        """Indexes of all events of our agreements but the offers: whom those are for is not on the ledger yet."""
        ids = {agreement for agreement, _ in self.ours}
        lines = self.node.get("/v1/feed?follow=0", accept="application/x-ndjson").body.decode().split("\n")
        events = [json.loads(line)["data"] for line in lines if line]
        return {event["log_index"] for event in events if set(event.get("objects", ())) & ids and event["type"] != "GRANT"}, \
               {event["log_index"] for event in events if set(event.get("objects", ())) & ids}


def judge(endpoint, organisation, ledger, exactly_once=False):
    """Whatever arrived is ours, signed and in order; everything arrived."""
    wanted, allowed = ledger.wanted()
    wait_for(lambda: wanted <= set(endpoint.indexes()), f"all of {len(wanted)} events; {organisation.log()[-1500:]}")
    assert set(endpoint.indexes()) <= allowed, "an event of somebody else's was posted"
    ids, newest = {}, {}
    for post in endpoint.posts:
        headers, index = post["headers"], post["event"]["data"]["log_index"]
        assert headers["content-type"] == "application/cloudevents+json" and post["event"]["specversion"] == "1.0", headers
        assert headers["webhook-signature"].split() == signatures(organisation.secrets(), post), headers
        assert abs(int(headers["webhook-timestamp"]) - post["at"]) < 30, headers
        assert ids.setdefault(index, headers["webhook-id"]) == headers["webhook-id"] and "." not in headers["webhook-id"]
        assert str(index) == post["event"]["id"] and set(headers) <= {"host", "user-agent", "accept", "content-type", "content-length", "webhook-id", "webhook-timestamp", "webhook-signature"}, headers
    assert len(set(ids.values())) == len(ids)
    seen = set()
    for post in endpoint.taken:  # of each agreement, what is new comes in order; what came before may come again
        index = post["event"]["data"]["log_index"]
        for agreement in post["event"]["data"]["objects"]:
            assert index in seen or index > newest.get(agreement, -1), f"event {index} came after {newest[agreement]} of the same agreement"
            newest[agreement] = max(index, newest.get(agreement, -1))
        seen.add(index)
    if exactly_once:
        assert len(endpoint.taken) == len(seen), "an event came twice, and nothing had been killed"
    return len(seen)


RETRY = "retry = 1s 1s 2s 2s 2s 2s 2s 2s 2s 2s 2s 2s"


def well(organisation, ledger, endpoint):
    """All is well: everything arrives once; a revocation within a second of being final."""
    organisation.start()
    for _ in range(10):
        ledger.agree()
    ledger.agree(STRANGER)
    judge(endpoint, organisation, ledger, exactly_once=True)
    late = []
    for agreement, customer in ledger.ours[:5]:
        record = ledger.revoke(agreement, customer)
        final = time.time()
        post = wait_for(lambda: next((post for post in endpoint.taken if post["event"]["data"]["record_id"] == record), None), "the revocation")
        late.append(max(0, post["at"] - final))
    print(f"a revocation is at the endpoint {max(late) * 1000:.1f} ms after its receipt at most, of {len(late)}")
    assert max(late) < 1
    assert len(endpoint.connections) == 1, f"{len(endpoint.connections)} connections"


def failing(organisation, ledger, endpoint):
    """One agreement's event is refused again and again, the others' go on; then kill -9, and it is still known."""
    bad, customer = ledger.agree()
    endpoint.answer = lambda post: (503, {"Retry-After": "1"}) if post["event"]["subject"] == bad and post["event"]["data"]["type"] == "REVOKE" else 200
    refused = ledger.revoke(bad, customer)
    wait_for(lambda: any(post["event"]["data"]["record_id"] == refused for post in endpoint.posts), "an attempt")
    good, customer = ledger.agree()
    other = ledger.revoke(good, customer)
    wait_for(lambda: any(post["event"]["data"]["record_id"] == other for post in endpoint.taken), "what is behind it but of another agreement")
    wait_for(lambda: any(not row["failed"] and row["object"] == bad and row["status"] == 503 for row in organisation.listed()["events"]), "it is listed as waiting")
    organisation.kill()
    organisation.start()
    endpoint.answer = lambda post: 200
    judge(endpoint, organisation, ledger)


def gone(organisation, ledger, endpoint):
    """It disappears, the sender is killed, events come meanwhile, it comes back."""
    endpoint.close()
    for _ in range(5):
        ledger.agree()
    wait_for(lambda: "does not take events" in organisation.log(), "the outage is told")
    organisation.kill()
    organisation.start()
    for agreement, customer in ledger.ours[5:9]:
        ledger.revoke(agreement, customer)
    organisation.kill()
    organisation.start()
    back = Endpoint(endpoint.port)
    back.posts, back.taken = endpoint.posts, endpoint.taken
    judge(back, organisation, ledger)
    return back


def slow(organisation, ledger, endpoint):
    """One endpoint does not answer in time, another one beside it is served at once; kills all the while."""
    stuck = Endpoint()
    stuck.answer = lambda post: time.sleep(3) or 200
    organisation.kill()
    organisation.write(("crm", f"http://127.0.0.1:{endpoint.port}/hook", RETRY), ("slow", f"http://127.0.0.1:{stuck.port}/", RETRY, "timeout = 1s", "after = now"))
    organisation.start()
    wait_for(lambda: "[slow] from log index" in organisation.log(), "it begins")
    agreement, customer = ledger.agree()
    wait_for(lambda: stuck.posts, "an attempt at the slow one")
    began = time.time()
    record = ledger.revoke(agreement, customer)
    wait_for(lambda: any(post["event"]["data"]["record_id"] == record for post in endpoint.taken), "the other one has it", 5)
    assert time.time() - began < 5
    for _ in range(6):
        ledger.agree()
        organisation.kill()
        organisation.start()
    judge(endpoint, organisation, ledger)
    stuck.answer = lambda post: 200
    wait_for(lambda: any(post["event"]["data"]["record_id"] == record for post in stuck.taken), "the slow one has it once it is quick")
    stuck.close()
    organisation.end()


def given_up(organisation, ledger, endpoint):
    """After the last retry an event is listed as failed, over a restart too, and replay sends it; 410 ends it all."""
    organisation.write(("crm", f"http://127.0.0.1:{endpoint.port}/hook", "retry = 1s"))
    agreement, customer = ledger.agree()
    endpoint.answer = lambda post: 500 if post["event"]["subject"] == agreement and post["event"]["data"]["type"] == "REVOKE" else 200
    organisation.start()
    record = ledger.revoke(agreement, customer)
    row = wait_for(lambda: next((row for row in organisation.listed()["events"] if row["failed"]), None), "it is given up")
    assert row["object"] == agreement and row["status"] == 500 and row["attempts"] == 2 and row["name"] == "crm", row
    organisation.kill()
    says(organisation.command("failed", organisation.config), agreement, "HTTP 500", "failed")
    organisation.start()
    endpoint.answer = lambda post: 200
    organisation.command("replay", organisation.config, "crm")
    wait_for(lambda: any(post["event"]["data"]["record_id"] == record for post in endpoint.taken), "the replay")
    wait_for(lambda: not organisation.listed()["events"], "nothing is failed any more")

    endpoint.answer = lambda post: 410
    agreement, customer = ledger.agree()
    wait_for(lambda: "answered 410 Gone" in organisation.log(), "410 is told")
    wait_for(lambda: organisation.listed()["endpoints"][0]["off"], "410 is kept")
    organisation.kill()
    organisation.start()
    posts = len(endpoint.posts)
    record = ledger.revoke(agreement, customer)
    time.sleep(1.5)
    assert len(endpoint.posts) == posts, "an endpoint that is off was sent to"
    endpoint.answer = lambda post: 200
    organisation.command("replay", organisation.config, "crm")
    judge(endpoint, organisation, ledger)

    count = len(endpoint.taken)  # everything again
    organisation.command("replay", organisation.config, "crm", "--after", "0")
    wanted, _ = ledger.wanted()
    wait_for(lambda: wanted <= set(endpoint.indexes()[count:]), "everything since a position")
    organisation.end()


def rotated(organisation, ledger, endpoint):
    """Two secrets sign at once; a file that others may read, a bad line, another network's state are refused."""
    organisation.command("secret", organisation.secret)
    assert len(organisation.secrets()) == 2
    ledger.agree()
    del endpoint.posts[:]
    says(organisation.command("run", organisation.config, "--once"), "[crm] ")
    post = endpoint.posts[-1]
    assert post["headers"]["webhook-signature"].split() == signatures(organisation.secrets(), post) and len(signatures(organisation.secrets(), post)) == 2
    os.chmod(organisation.secret, 0o644)
    says(organisation.command("run", organisation.config, "--once", good=4), "chmod 600")
    os.chmod(organisation.secret, 0o600)
    with open(organisation.config, "a", encoding="utf-8") as file:
        file.write("secret = whsec_x\n")
    says(organisation.command("run", organisation.config, "--once", good=1), "line 7", "no such setting")
    organisation.write(("crm", "ftp://127.0.0.1/"))
    says(organisation.command("run", organisation.config, "--once", good=1), "line 2", "https://")


def certificates(organisation, ledger):
    """A certificate that nobody vouches for is not talked to; ca-file says whose word counts. Redirects are not followed."""
    key, certificate = f"{organisation.root}/tls.key", f"{organisation.root}/tls.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    endpoint, elsewhere = Endpoint(tls=(certificate, key)), Endpoint()
    organisation.write(("tls", f"https://127.0.0.1:{endpoint.port}/"))
    organisation.command("run", organisation.config, "--once")
    assert not endpoint.posts, "it spoke to whom nobody vouches for"
    organisation.write(("trusted", f"https://127.0.0.1:{endpoint.port}/", "ca-file = tls.crt"))
    organisation.command("run", organisation.config, "--once")
    assert set(endpoint.indexes()) >= ledger.wanted()[0]
    endpoint.answer = lambda post: (302, {"Location": f"http://127.0.0.1:{elsewhere.port}/"})
    organisation.write(("moved", f"https://127.0.0.1:{endpoint.port}/", "ca-file = tls.crt"))
    organisation.command("run", organisation.config, "--once")
    assert not elsewhere.posts and organisation.listed()["events"][0]["status"] == 302
    endpoint.close()
    elsewhere.close()


def test(build):
    node = Node(build).start()
    ledger = Ledger(build, node)
    endpoint = Endpoint()
    organisation = Organisation(build, node, ledger.key(ORGANISATION))
    organisation.write(("crm", f"http://127.0.0.1:{endpoint.port}/hook", RETRY))
    try:
        well(organisation, ledger, endpoint)
        failing(organisation, ledger, endpoint)
        endpoint = gone(organisation, ledger, endpoint)
        slow(organisation, ledger, endpoint)
        given_up(organisation, ledger, endpoint)
        rotated(organisation, ledger, endpoint)
        certificates(organisation, ledger)
    finally:
        if organisation.process is not None:
            organisation.process.kill()
            organisation.process.wait()
        ledger.maker.close()
        node.close()
        subprocess.run(["rm", "-rf", organisation.root], check=True)


main(test)
