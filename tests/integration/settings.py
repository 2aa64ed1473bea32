#!/usr/bin/python3
"""Each setting of the configuration file does what consentd(8) says of it, and each metric counts what its help says."""
import hashlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import DEADLINE_S, Maker, Node, main, now_ms, wait_for  # noqa: E402


class Running:
    """A node with that configuration, and who signs records for it."""

    def __init__(self, build, config, prepare=None, **options):
        self.node = Node(build, **options)
        self.maker = Maker(build)
        if prepare:
            prepare(self.node)
        self.node.write_config(config.replace("ROOT", self.node.root))

    def __enter__(self):
        self.node.start()
        self.maker.network(self.node.network_id())
        return self.node, self.maker

    def __exit__(self, kind, value, trace):
        self.maker.close()
        try:
            if kind is None:
                self.node.stop()
        finally:
            self.node.close()


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def described(build):
    """Every setting is in 'run --help' and, with its bounds, in the man page."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    with open(os.path.join(here, "node", "config.c"), encoding="utf-8") as file:
        rows = re.findall(r'^    (?:TEXT|NUMBER|\{) ?\(?"([a-z]+)", "([a-z_]+)"(.*)$', file.read(), re.M)
    with open(os.path.join(here, "tools", "man", "consentd.8"), encoding="utf-8") as file:
        manual = dict(re.findall(r"^\.Ss \[([a-z]+)\]\n(.*?)^\.El", file.read(), re.M | re.S))
    usage = subprocess.run([f"{build}/consentd", "run", "--help"], check=True, capture_output=True, text=True, timeout=DEADLINE_S).stdout
    helped = {(section, key) for section, keys in re.findall(r"\[([a-z]+)\]([^\[]*?)(?=\[|\n--)", usage) for key in keys.split()}
    assert len(rows) >= 20 and {row[:2] for row in rows} == helped, {row[:2] for row in rows} ^ helped
    for section, key, rest in rows:
        item = [text for text in manual[section].split(".It Ic ") if key in text.split("\n")[0].split()]
        assert len(item) == 1, f"[{section}] {key} is not in consentd(8)"
        for bound in re.findall(r"\b\d+\b", "" if "SETTING_" in rest else rest):
            assert bound in item[0].split("\n", 1)[1] or bound == "0", f"[{section}] {key}: {bound} is not in {item[0]}"


def submitters(build):
    """Only listed keys submit; a withdrawal is nobody's to refuse. What cannot be read stops the start."""
    maker = Maker(build)
    key = maker.ask("challenge", 1, "00" * 32)[0]
    other = maker.ask("challenge", 2, "00" * 32)[0]
    maker.close()
    listed = Running(build, "[access]\nsubmitters = ROOT/keys\n", lambda node: write(f"{node.root}/keys", f"# who may\n\nhospital {key} # since May\n"))
    with listed as (node, maker):
        t = now_ms()
        _, agreement, grant = maker.record("grant", 1, 1, 2, t)
        assert node.post(grant, wait=True).status == 201
        answer = node.post(maker.record("grant", 2, 1, 1, t)[2])
        assert answer.status == 403 and answer.json()["code"] == "CL_E_PARTY", answer
        answer = node.post(maker.record("revoke", 2, agreement, now_ms())[2])
        assert answer.status != 403, answer
        node.stop()
        write(f"{node.root}/keys", f"{key}\n{other}\n")
        node.start()
        assert node.post(maker.record("grant", 2, 1, 1, t)[2], wait=True).status == 201
        node.stop()
        write(f"{node.root}/keys", f"{key}\n{other[:-1]}\n")
        said = node.start_refused()
        assert "keys line 2" in said and "66" in said, said
        os.unlink(f"{node.root}/keys")
        assert "keys cannot be read" in node.start_refused()
        write(f"{node.root}/keys", "")
        node.start()
        assert node.post(maker.record("grant", 1, 2, 2, t)[2]).status == 403, "a list without keys lists nobody"


def readers(build):
    """Whoever has a token that hashes to one of the list reads, beside the operator."""
    digest = hashlib.sha256(b"a token of forty characters, or thereabouts").hexdigest()
    with Running(build, "[access]\nreaders = ROOT/readers\n", lambda node: write(f"{node.root}/readers", f"auditor {digest}\n"), open_reads=False) as (node, _):
        with open(f"{node.data}/reader.token", encoding="ascii") as file:
            own = file.read().strip()
        for token, status in (("a token of forty characters, or thereabouts", 200), (own, 200), (digest, 401), ("", 401)):
            assert node.get("/v1/terms", Authorization=f"Bearer {token}").status == status, token
        node.stop()
        write(f"{node.root}/readers", f"auditor {digest[:-2]}\n")
        said = node.start_refused()
        assert "readers line 1" in said and "64" in said, said
        write(f"{node.root}/readers", "")
        node.start()
        assert node.get("/v1/terms", Authorization="Bearer a token of forty characters, or thereabouts").status == 401
        node.stop()
        write(f"{node.data}/reader.token", "short\n")
        node.start()
        assert node.get("/v1/terms", Authorization="Bearer short").status == 401 and "event=reader_token_ignored" in node.log(), node.log()
        node.stop()
        os.unlink(f"{node.data}/reader.token")
        os.mkdir(f"{node.data}/reader.token")
        assert "reader.token cannot be read" in node.start_refused()
        os.rmdir(f"{node.data}/reader.token")
        node.start()
        assert node.get("/v1/terms", Authorization=f"Bearer {own}").status == 401, "without a file nobody has that token"


def preflight(node, path, origin, method):
    """What a browser asks first; the methods and headers that it then lets the page's script use."""
    answer = node.request("OPTIONS", path, headers={"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "consent-key"})
    allowed = answer.status == 204 and answer.headers.get("Access-Control-Allow-Origin") in (origin, "*")
    words = [set(answer.headers.get(f"Access-Control-Allow-{what}", "").lower().split(", ")) for what in ("Methods", "Headers")]
    return (allowed, *words)


def origins(build):
    """A page of a listed origin may use all of the interface; of another, nothing; where none is listed, nobody is told anything."""
    mine, other = "https://wallet.example", "https://wallet.example.evil"
    with Running(build, f"[http]\norigins = http://[::1]:8080 {mine}\n") as (node, _):
        described = node.get("/openapi.json").json()["paths"]
        for path, methods in described.items():
            for method, what in methods.items():
                allowed, can, headers = preflight(node, path.replace("{", "").replace("}", ""), mine, method.upper())
                needed = {"content-type", "accept", "authorization"} | {each["name"].lower() for each in what.get("parameters", []) if each["in"] == "header"}
                assert allowed and method in can and needed <= headers, (path, method, can, needed - headers)
        assert not preflight(node, "/v1/records", other, "POST")[0]
        for origin in (mine, other, None):
            for path in ("/livez", "/v1/feed?follow=0", "/nothing"):
                answer = node.get(path, **({"Origin": origin} if origin else {}))
                assert answer.headers.get("Access-Control-Allow-Origin") == (mine if origin == mine else None), (origin, path, answer.headers)
                assert answer.headers["Vary"] == "Origin", "a cache would hand one origin's answer to another"
        assert "location" in node.get("/livez", Origin=mine).headers["Access-Control-Expose-Headers"].lower()
        assert node.request("OPTIONS", "/v1/records", headers={"Origin": mine}).status == 405, "no preflight: it asks for nothing"
        node.stop()
        node.write_config("[http]\norigins = *\n")
        node.start()
        assert preflight(node, "/v1/mailboxes/x", other, "PUT")[0] and node.get("/livez", Origin=other).headers["Access-Control-Allow-Origin"] == "*"
        node.stop()
        node.write_config("")
        node.start()
        answer = node.request("OPTIONS", "/v1/records", headers={"Origin": mine, "Access-Control-Request-Method": "POST"})
        assert answer.status == 405 and not [name for name in answer.headers if name.startswith("Access-Control")], answer.headers


def tls(build):
    """HTTPS by the node itself, with a certificate of its own."""
    node = Node(build)
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=IP:127.0.0.1", "-keyout", f"{node.root}/web.key", "-out", f"{node.root}/web.crt"], check=True, capture_output=True, timeout=DEADLINE_S)
        node.write_config(f"[http]\ntls_certificate = {node.root}/web.crt\ntls_key = {node.root}/web.key\n")
        node.start()
        assert node.url.startswith("https://127.0.0.1:"), node.url
        trust = ssl.create_default_context(cafile=f"{node.root}/web.crt")
        with urllib.request.urlopen(f"{node.url}/livez", context=trust, timeout=DEADLINE_S) as answer:
            assert answer.read() == b"ok\n"
        with node.socket() as plain:
            plain.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b"ok" not in plain.recv(1000), "it speaks plain HTTP"
        node.stop()
        os.unlink(f"{node.root}/web.key")
        assert "web.key cannot be read" in node.start_refused()
        write(f"{node.root}/web.key", "no key\n")
        assert "did not start" in node.start_refused()
    finally:
        node.close()


def limits(build):
    """The body, the pool's bytes."""
    with Running(build, "[http]\nbody_bytes_max = 1024\n") as (node, maker):
        for length, status in ((1024, 400), (1025, 413)):
            assert node.post(b"x" * length).status == status, length
    with Running(build, "[http]\nbody_bytes_max = 70000\n") as (node, maker):
        answer = node.post(b"x" * 65537)
        assert answer.status == 413 and answer.json()["code"] == "CL_E_RECORD_SIZE", answer


def elsewhere(build):
    """[node] genesis and workers, [store]: another genesis file, one worker, a database that may use little."""
    def move(node):
        shutil.move(f"{node.data}/genesis.json", f"{node.root}/the-genesis.json")
    with Running(build, "[node]\ngenesis = ROOT/the-genesis.json\nworkers = 3\n[store]\ncache_mb = 1\nwrite_buffer_mb = 1\n[http]\nthreads = 3\n", move) as (node, maker):
        threads = len(os.listdir(f"/proc/{node.process.pid}/task"))
        assert node.post(maker.record("grant", 1, 1, 2, now_ms())[2], wait=True).status == 201
        node.stop()
        node.write_config(f"[node]\ngenesis = {node.root}/the-genesis.json\nworkers = 7\n[http]\nthreads = 13\n")
        node.start()
        assert abs(len(os.listdir(f"/proc/{node.process.pid}/task")) - threads - 4 - 10) <= 1, threads  # the database may have one of its own
        node.stop()
        node.write_config("")
        assert "genesis.json" in node.start_refused()
        node.run("check", "--data", node.data, "--genesis", f"{node.root}/the-genesis.json")
        node.run("reindex", "--data", node.data, "--genesis", f"{node.root}/the-genesis.json")
        node.write_config(f"[node]\ngenesis = {node.root}/the-genesis.json\n")
        node.start()


def without_http(build):
    node = Node(build)
    try:
        node.write_config("[http]\nlisten = none\n")
        process = subprocess.Popen([node.program, "run", "--data", node.data, "--config", node.config], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout.readline().startswith("consentd is ready")
        with open("/proc/net/tcp", encoding="ascii") as file:
            inodes = {line.split()[9] for line in file.readlines()[1:]}
        links = [os.readlink(f"/proc/{process.pid}/fd/{name}") for name in os.listdir(f"/proc/{process.pid}/fd")]
        assert not any(f"socket:[{inode}]" in links for inode in inodes), links
        process.terminate()
        _, said = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, said
    finally:
        node.close()


def cosign(build):
    """An idle node signs the same tree again, so that its newest proof is never older."""
    with Running(build, "[node]\ncosign_interval_s = 1\n") as (node, maker):
        assert node.post(maker.record("grant", 1, 1, 2, now_ms())[2], wait=True).status == 201
        first = node.get("/checkpoint").body
        again = wait_for(lambda: (lambda note: note != first and note)(node.get("/checkpoint").body), "a newer cosignature", 10)
        assert again.split(b"\n")[:4] == first.split(b"\n")[:4], "the same tree"
        assert node.metrics()["consent_checkpoints_signed_total"] >= 2


CLOCK = """
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *out)
{
    long result = syscall(SYS_clock_gettime, clock, out);
    if (clock == CLOCK_REALTIME && access(getenv("CLOCK_BACK"), F_OK) == 0) out->tv_sec -= 3600;
    return (int)result;
}
"""


def clock_set_back(build):
    """By an hour, under a running node: it goes on, what waits in time is answered, and it has not run for ages."""
    def preload(node):
        write(f"{node.root}/clock.c", CLOCK)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", f"{node.root}/clock.so", f"{node.root}/clock.c"], check=True, timeout=DEADLINE_S)
        node.environment = {**os.environ, "LD_PRELOAD": f"{node.root}/clock.so", "CLOCK_BACK": f"{node.root}/back",
                            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    with Running(build, "[node]\ncosign_interval_s = 1\n", preload) as (node, maker):
        assert node.post(maker.record("grant", 1, 1, 2, now_ms() - 3600_000)[2], wait=True).status == 201
        write(f"{node.root}/back", "")
        status = node.get("/v1/status").json()
        assert abs(now_ms() - 3600_000 - status["clock_ms"]) < 60_000, "the clock was not set back"
        assert status["uptime_s"] < 600 and node.metrics()["consent_uptime_seconds"] < 600, status
        later = maker.record("grant", 2, 1, 2, now_ms() - 3600_000)[2]
        answer = node.post(later, wait=True)
        assert answer.status == 201, answer
        signed = node.metrics()["consent_checkpoints_signed_total"]
        wait_for(lambda: node.metrics()["consent_checkpoints_signed_total"] >= signed + 2, "ticks that go on", 15)


def log_level(build):
    for level, there in (("debug", True), ("info", False)):
        with Running(build, f"[log]\nlevel = {level}\n") as (node, maker):
            record = maker.record("grant", 1, 1, 2, now_ms())
            assert node.post(record[2], wait=True).status == 201
            wait_for(lambda: "event=ready" in node.log() and (not there or "event=block_final" in node.log()), "lines of the log")
            assert ("event=block_final" in node.log()) == there, node.log()
            assert "127.0.0.1" not in node.log().replace(node.url, ""), "clients stay unnamed"
    with Running(build, "[log]\nlevel = error\n") as (node, maker):
        assert node.log() == "", node.log()


def counted(build):
    """What happens is counted, once, under its name; nothing is described that is not counted here."""
    with Running(build, "[pool]\nrecords_max = 16\n[log]\nlevel = error\n") as (node, maker):
        start = node.metrics()
        seen = {name for name in start}
        t = now_ms()
        _, agreement, grant = maker.record("grant", 1, 1, 2, t)
        assert node.post(grant, wait=True).status == 201
        assert node.post(maker.record("subscribe", 2, 1, 1, t)[2], wait=True).status == 201
        for _ in range(3):
            assert node.post(b"not a record").status == 400
        for wait in (False, True):
            assert node.post(grant, wait=wait).status == 200
        bad = maker.record("grant", 5, 1, 2, t)[2]
        answer = node.post(bad[:-1] + bytes([bad[-1] ^ 1]))
        assert answer.status == 400, answer
        assert node.post(maker.record("revoke", 3, agreement, now_ms())[2]).status == 409
        assert node.post(maker.record("revoke", 1, agreement, now_ms())[2]).status == 202
        wait_for(lambda: node.get(f"/v1/agreements/{agreement}?history=0").json()["state"]["status"] == "withdrawn", "a withdrawal that is final")
        wait_for(lambda: node.metrics()["consent_pool_records"] == 0, "an empty pool")
        end = node.metrics()
        status = node.get("/v1/status").json()
        more = {name: end[name] - start[name] for name in end}
        assert seen == set(end)
        assert end["consent_ledger_height_blocks"] == status["height"] == more["consent_blocks_final_total"] == 3, (more, status)
        assert end["consent_ledger_log_leaves"] == status["log_size"] and end["consent_ordering_views"] == status["view"] >= 3
        assert more["consent_records_final_total"] == 3 and more["consent_checkpoints_signed_total"] >= 3, more
        assert more["consent_records_submitted_total"] == 5 and more["consent_records_malformed_total"] == 3 and more["consent_records_duplicate_total"] == 2, more
        assert more["consent_records_bad_signature_total"] == 1 and more["consent_records_refused_total"] == 1, more
        assert more["consent_withdrawals_accepted_total"] == 1 and more["consent_commit_seconds_total"] > 0, more
        assert more["consent_http_answers_4xx_total"] >= 3 and more["consent_http_answers_5xx_total"] == 0, more
        assert more["consent_http_requests_total"] > more["consent_http_answers_4xx_total"] + 3, more
        assert end["consent_http_connections"] >= 1 and end["consent_pool_bytes"] == 0, end
        disk = os.statvfs(node.data)
        assert abs(end["consent_disk_free_bytes"] - disk.f_bavail * disk.f_frsize) < 1 << 30, end
        assert 0 <= end["consent_uptime_seconds"] < 600


def test(build):
    for part in (described, submitters, readers, origins, tls, limits, elsewhere, without_http, cosign, clock_set_back, log_level, counted):
        began = time.monotonic()
        part(build)
        print(f"{part.__name__}: {time.monotonic() - began:.1f} s")


main(test)
