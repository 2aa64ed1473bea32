#!/usr/bin/python3
"""Keeps what `consent webhooks run --once` posts about a party's agreements, signed with two secrets, for webhooks_node.

    webhook_capture.py CONSENT PARTY FILE     $CONSENT_NODE is the node
"""
import http.server
import json
import subprocess
import sys
import tempfile
import threading

posts = []


class Endpoint(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        posts.append({"headers": {name.lower(): value for name, value in self.headers.items()}, "body": body})
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    consent, party, file = sys.argv[1:]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            subprocess.run([consent, "webhooks", "secret", f"{folder}/secret"], check=True)
        with open(f"{folder}/webhooks.ini", "w", encoding="utf-8") as config:
            config.write(f"[interop]\nurl = http://127.0.0.1:{server.server_address[1]}/\nsecret-file = secret\nfollow = {party}\n")
        subprocess.run([consent, "webhooks", "run", f"{folder}/webhooks.ini", "--once"], check=True)
        with open(f"{folder}/secret", encoding="ascii") as secrets, open(file, "w", encoding="utf-8") as out:
            json.dump({"secrets": secrets.read().split(), "posts": posts}, out)


main()
