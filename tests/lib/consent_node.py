"""A real consentd in a temporary directory, for integration tests. Waits for conditions with deadlines, never for luck."""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

DEADLINE_S = 60


def wait_for(condition, what, deadline_s=DEADLINE_S):
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {deadline_s} s: {what}")


def says(text, *words):
    for word in words:
        assert word in text, f"{word!r} is missing in: {text}"


def now_ms():
    return int(time.time() * 1000)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Maker:
    """Signs records (tests/programs/record_maker.c)."""

    def __init__(self, build):
        self.process = subprocess.Popen([f"{build}/programs/record_maker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().split()
        assert line, f"record_maker did not answer {words}"
        return line

    def network(self, network_id):
        assert self.ask("network", network_id) == ["good"]

    def record(self, *words):
        """(record id, object id, bytes)"""
        record_id, object_id, data = self.ask(*words)
        return record_id, object_id, bytes.fromhex(data)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=DEADLINE_S)


class Node:
    def __init__(self, build, open_reads=True, config="", parameters=()):
        self.build = build
        self.program = f"{build}/consentd"
        self.root = tempfile.mkdtemp(prefix="consent-test-")
        self.data = f"{self.root}/node"
        self.process = None
        self.config = None
        self.environment = None  # of the process that start() makes; None: this one's
        self.run("init", "--data", self.data, "--name", "one", "--jurisdiction", "DE", "--address", "127.0.0.1:8781")
        self.run("genesis", "--origin", "test.example/log", "--out", f"{self.data}/genesis.json",
                 *(["--open-reads"] if open_reads else []), *parameters, f"{self.data}/member.json")
        self.write_config(config)

    def write_config(self, text):
        self.config = f"{self.root}/consentd.ini"
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)

    def run(self, *arguments, good=True):
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, timeout=DEADLINE_S)
        if good:
            assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done

    def command(self, *extra):
        return [self.program, "run", "--data", self.data, "--config", self.config, "--listen", "127.0.0.1:0", *extra]

    def start(self, *extra):
        with open(f"{self.root}/log", "ab") as log:
            self.process = subprocess.Popen(self.command(*extra), stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment)
        line = self.process.stdout.readline()
        assert line.startswith("consentd is ready at "), f"it did not start: {line!r} {self.log()[-2000:]}"
        self.url = line.split()[-1]
        self.port = urllib.parse.urlparse(self.url).port
        return self

    def start_refused(self, *extra):
        """What it says when it will not start."""
        done = subprocess.run(self.command(*extra), capture_output=True, text=True, timeout=DEADLINE_S)
        assert done.returncode == 1, f"it started, or died: {done.returncode} {done.stderr}"
        return done.stderr

    def log(self):
        with open(f"{self.root}/log", encoding="utf-8") as file:
            return file.read()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=DEADLINE_S)
        self.process.stdout.close()
        self.process = None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=DEADLINE_S)
        self.process.stdout.close()
        self.process = None
        assert status == 0, f"it stopped with {status}: {self.log()[-2000:]}"

    def connect(self, timeout=DEADLINE_S):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, connection=None):
        used = connection or self.connect()
        used.request(method, path, body=body, headers=headers or {})
        got = used.getresponse()
        names = [name.lower() for name, _ in got.getheaders()]
        assert len(names) == len(set(names)), f"{method} {path}: a header is there twice: {names}"
        answer = Answer(got.status, dict(got.getheaders()), got.read())
        if connection is None:
            used.close()
        return answer

    def get(self, path, accept=None, **headers):
        if accept:
            headers["Accept"] = accept
        return self.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def alive(self):
        try:
            return self.get("/livez").status == 200
        except OSError:
            return False

    def post(self, record, wait=False, accept=None, connection=None):
        headers = {"Content-Type": "application/cose"}
        if accept:
            headers["Accept"] = accept
        return self.request("POST", "/v1/records" + ("?wait=final" if wait else ""), record, headers, connection)

    def socket(self, timeout=DEADLINE_S):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def metrics(self):
        """All of them by name, labels and comments left out."""
        lines = [line.split() for line in self.get("/metrics").body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def network_id(self):
        return self.get("/v1/network").json()["network_id"]

    def close(self):
        if self.process is not None:
            self.kill()
        shutil.rmtree(self.root, ignore_errors=True)


def main(test):
    """Runs test(build) and says good; exit status 1 with the reason otherwise."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} BUILD")
    test(os.path.abspath(sys.argv[1]))
    print("good")
