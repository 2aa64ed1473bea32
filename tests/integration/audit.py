#!/usr/bin/python3
"""consent audit against a real node, and against mirrors of it that lie: about a record, a block's state root, the newest
checkpoint, the order of things; and against a node that was forked. Each lie is told apart, none spoils what was verified
before, and an audit that was killed goes on where it was."""
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import DEADLINE_S, Maker, Node, main, now_ms  # noqa: E402


class Mirror:
    """Serves what the node serves, but for what alter(path, body) makes of it."""

    def __init__(self, node, alter):
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                request = urllib.request.Request(f"http://127.0.0.1:{node.port}{self.path}", headers={"Accept": self.headers.get("Accept", "*/*")})
                try:
                    with urllib.request.urlopen(request, timeout=DEADLINE_S) as got:
                        status, kind, body = got.status, got.headers["Content-Type"], got.read()
                except urllib.error.HTTPError as error:
                    status, kind, body = error.code, error.headers["Content-Type"], error.read()
                body = alter(self.path, body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self.url

    def __exit__(self, *_):
        self.server.shutdown()


def entries(tile):
    leaves, at = [], 0
    while at < len(tile):
        length = int.from_bytes(tile[at:at + 2], "big")
        leaves.append(tile[at + 2:at + 2 + length])
        at += 2 + length
    return leaves


def tile_of(leaves):
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def changed(which, change):
    """Alters the last leaf of a kind in every tile of entries."""
    def alter(path, body):
        if not path.startswith("/tile/entries/"):
            return body
        leaves = entries(body)
        places = [i for i, leaf in enumerate(leaves) if (leaf[0] == 0xd2) == (which == "record")]
        if places:
            leaves[places[-1]] = change(leaves[places[-1]])
        return tile_of(leaves)
    return alter


def flipped(place):
    return lambda leaf: leaf[:place] + bytes([leaf[place] ^ 1]) + leaf[place + 1:]


def swapped(path, body):
    """Two records of different blocks change places."""
    if not path.startswith("/tile/entries/"):
        return body
    leaves = entries(body)
    places = [i for i, leaf in enumerate(leaves) if leaf[0] == 0xd2]
    leaves[places[-1]], leaves[places[-2]] = leaves[places[-2]], leaves[places[-1]]
    return tile_of(leaves)


class Auditor:
    def __init__(self, build, root):
        self.program, self.root = f"{build}/consent", root
        self.environment = {**os.environ, "XDG_DATA_HOME": f"{root}/data", "XDG_CONFIG_HOME": f"{root}/config"}

    def run(self, url, state, expected, said=""):
        done = subprocess.run([self.program, "audit", url, "--once", "--state", f"{self.root}/{state}"], capture_output=True, text=True,
                              timeout=DEADLINE_S, env=self.environment)
        assert done.returncode == expected and said in done.stdout + done.stderr, f"exit {done.returncode}, not {expected} with '{said}': {done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def lies(node, auditor, older):
    """Each from the beginning, and each told apart; afterwards the same state file follows the honest node."""
    cases = [
        ("signature", changed("record", flipped(-3)), 10, "Leaf "),
        ("payload", changed("record", flipped(60)), 13, "Leaf "),
        ("state-root", changed("state leaf", lambda leaf: flip_state_root(leaf)), 13, "state root is not the one that the rules make"),
        ("order", swapped, 13, "by the rules"),
        ("cut", lambda path, body: body[:-1] if path.startswith("/tile/entries/") else body, 1, "tile of entries"),
    ]
    for name, alter, expected, said in cases:
        with Mirror(node, alter) as url:
            print(name, auditor.run(url, f"{name}.state", expected, said).strip())
        assert not os.path.exists(f"{auditor.root}/{name}.state.fork-1"), "a lie was taken for a fork"
        auditor.run(node.url, f"{name}.state", 0, "good")
    with Mirror(node, lambda path, body: older if path == "/checkpoint" else body) as url:
        auditor.run(url, "order.state", 16, "was seen before")
    auditor.run(node.url, "order.state", 0, "good")


def flip_state_root(leaf):
    # [1, network, epoch, height, previous, member set, state root, time, records]: the third hash after height
    at = leaf.index(b"\x58\x20", 3 + 32)          # previous
    at = leaf.index(b"\x58\x20", at + 34)         # member set
    at = leaf.index(b"\x58\x20", at + 34)         # state root
    return flipped(at + 10)(leaf)


def forked(build, node, maker, auditor):
    """The same keys, two histories: a copy of the data directory goes its own way."""
    auditor.run(node.url, "fork.state", 0, "good")
    node.stop()
    shutil.copytree(node.data, f"{node.root}/twin")
    node.start()
    node.post(maker.record("grant", 1, 900, 2, now_ms())[2], wait=True)
    auditor.run(node.url, "fork.state", 0, "good")
    node.stop()
    original, node.data = node.data, f"{node.root}/twin"
    node.start()
    try:
        for nonce in (901, 902):
            node.post(maker.record("grant", 1, nonce, 2, now_ms())[2], wait=True)
        auditor.run(node.url, "fork.state", 13, "forked")
        notes = [open(f"{auditor.root}/fork.state.fork-{i}", encoding="utf-8").read() for i in (1, 2)]
        assert notes[0] != notes[1] and all("test.example/log" in note for note in notes), notes
    finally:
        node.stop()
        node.data = original
    node.start()
    auditor.run(node.url, "fork.state", 0, "good")


def killed(node, auditor, count):
    """SIGKILL somewhere, several times: whatever was left behind, the last run says good over all records."""
    gone_on = 0
    for i in range(6):
        run = subprocess.Popen([auditor.program, "audit", node.url, "--once", "--state", f"{auditor.root}/killed.state"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, env=auditor.environment)
        time.sleep(0.05 * (i + 1))
        run.send_signal(signal.SIGKILL)
        gone_on += "Going on at leaf" in run.communicate()[1]
    said = auditor.run(node.url, "killed.state", 0, "good")
    assert f"{count} records verified" in said, said
    print(f"killed 6 times, {gone_on} went on in the middle; {said.strip()}")


def test(build):
    node, maker = Node(build), Maker(build)
    auditor = Auditor(build, node.root)
    try:
        node.start()
        maker.network(node.network_id())
        for nonce in range(1, 6):
            node.post(maker.record("grant", 1, nonce, 2, now_ms())[2], wait=True)
        older = node.get("/checkpoint").body
        for nonce in range(6, 9):
            _, agreement, grant = maker.record("grant", 1, nonce, 2, now_ms())
            node.post(grant, wait=True)
        node.post(maker.record("revoke", 1, agreement, now_ms())[2], wait=True)
        assert "9 records verified" in auditor.run(node.url, "honest.state", 0, "good")
        shutil.rmtree(f"{auditor.root}/honest.state.rules")  # the copy is lost: it is made again
        assert "9 records verified (0 new)" in auditor.run(node.url, "honest.state", 0, "good")
        lies(node, auditor, older)
        forked(build, node, maker, auditor)
        for nonce in range(2000, 2000 + int(os.environ.get("AUDIT_RECORDS", "150"))):
            node.post(maker.record("grant", 1, nonce, 2, now_ms())[2])
        node.post(maker.record("grant", 1, 1999, 2, now_ms())[2], wait=True)
        killed(node, auditor, int(os.environ.get("AUDIT_RECORDS", "150")) + 11)
        node.stop()
    finally:
        maker.close()
        node.close()


main(test)
