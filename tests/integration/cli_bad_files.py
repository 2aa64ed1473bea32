#!/usr/bin/python3
"""Bad files, a bad wallet, a bad node and a bad clock at the command line: each ends soon, in bounded memory, with an exit
status of the table and one sentence that says what to do; no flipped byte makes a proof good; a wallet survives a kill."""
import fcntl
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Node, main  # noqa: E402

EXITS = {0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16, 17}
MEMORY_KIB_MAX = 500 * 1024  # a wallet takes 64 MiB to open
SANITIZED_FACTOR = 5  # they keep shadows, and freed memory for a while
CLOCK = """
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *out)
{
    long result = syscall(SYS_clock_gettime, clock, out);
    const char *shift = getenv("SHIFT_S");
    if (clock == CLOCK_REALTIME && shift != NULL) out->tv_sec += atol(shift);
    return (int)result;
}
time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) *out = now.tv_sec;
    return now.tv_sec;
}
"""


class World:
    def __init__(self, build):
        self.program = f"{build}/consent"
        with open(self.program, "rb") as file:
            self.memory_max = MEMORY_KIB_MAX * (SANITIZED_FACTOR if b"__asan_init" in file.read() else 1)
        self.node = Node(build).start()
        self.root = f"{self.node.root}/cli"
        os.mkdir(self.root)
        self.path("pass", b"correct horse\n")
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.root, "XDG_DATA_HOME": f"{self.root}/data", "XDG_CONFIG_HOME": f"{self.root}/config",
                            "CONSENT_PASSPHRASE_FILE": f"{self.root}/pass", "CONSENT_WALLET": f"{self.root}/alice", "CONSENT_NODE": self.node.url}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def path(self, name, content=None):
        path = f"{self.root}/{name}"
        if content is not None:
            with open(path, "wb") as file:
                file.write(content)
        return path

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def run(self, *arguments, **environment):
        """(exit status, what it said on standard error, standard output, KiB at most)"""
        process = subprocess.Popen([self.program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   cwd=self.root, env={**self.environment, **environment})
        timer = threading.Timer(60, process.kill)
        timer.start()
        error = []
        reader = threading.Thread(target=lambda: error.append(process.stderr.read()))
        reader.start()
        out = process.stdout.read()
        reader.join()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.stdout.close()
        process.stderr.close()
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, error[0].decode(errors="replace"), out.decode(errors="replace"), usage.ru_maxrss

    def good(self, *arguments, **environment):
        status, error, out, _ = self.run(*arguments, **environment)
        assert status == 0, f"{arguments}: {status} {error}"
        return out

    def refused(self, statuses, *arguments, says=None, **environment):
        began = time.monotonic()
        status, error, out, memory = self.run(*arguments, **environment)
        took = time.monotonic() - began
        case = f"consent {' '.join(arguments)}"
        assert status in statuses, f"{case}: exit {status}, not {statuses}: {error}{out}"
        assert took < 45, f"{case}: {took:.0f} s"
        assert memory < self.memory_max, f"{case}: {memory} KiB"
        # a verdict is a result, and so is what inspect finds: they stand on standard output
        if status != 0 and not (out and (status >= 10 or arguments[0] == "inspect")):
            lines = error.strip().splitlines()
            assert any(line.startswith("consent") and "CL_E_" in line for line in lines), f"{case}: {error!r}"
            assert len(lines) <= 2, f"{case}: more than a sentence: {error!r}"
            assert says is None or says in error, f"{case}: {error!r}"
        return status, error, out


def prepare(world):
    world.good("key", "new", "--name", "alice", "--no-ask")
    status, error, _, _ = world.run("key", "new", "--name", "words", "--no-ask", CONSENT_WALLET=world.path("other"))
    assert status == 0, error
    words = [line.strip() for line in error.splitlines()]
    world.path("t.txt", world.good("terms", "new").encode())
    world.good("terms", "publish", "t.txt", "--name", "shop", "--limit", "5", "--standing", "-o", "shop.consent-offer")
    world.good("proof", "shop", "-o", "good.consent-proof")
    world.good("node", "policy", "-o", "net.policy")
    world.good("key", "backup", "-o", "alice.backup")
    world.good("grant", "bank", "--to", world.good("key", "new", "--name", "bob").split()[0], "--terms", "t.txt", "-o", "bank.consent-offer")
    world.good("proof", "bank", "-o", "bank.consent-proof")
    world.good("revoke", "bank", "--prepare", "-o", "paper")
    return words


def bad_versions(world, name, seed):
    """(name, whether it is certainly no good)"""
    chance = random.Random(seed)
    content = world.read(name)
    made = {"empty": b"", "garbage": chance.randbytes(1000), "text": b"hello\n" * 50, "nested": b"\x81" * 60000, "zeros": bytes(5000),
            "twice": content + content}
    for cut in (1, len(content) // 3, len(content) - 1):
        made[f"cut-{cut}"] = content[:cut]
    for flip in range(6):
        place = chance.randrange(len(content))
        made[f"flip-{place}"] = content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1:]
    for kind, value in made.items():
        yield world.path(f"bad-{kind}", value), not kind.startswith("flip")
    huge = world.path("bad-huge")
    with open(huge, "wb") as file:
        file.truncate(3 << 30)
    yield huge, True
    yield "/dev/zero", True
    yield world.root, True
    yield world.path("not-there"), True


def bad_files(world):
    not_there = 3
    # command before and after the file, good file of that kind, may a flipped bit pass
    cases = [
        (["verify"], ["--policy", "net.policy"], "good.consent-proof", False),
        (["verify", "bank.consent-proof", "--policy", "net.policy", "--body"], [], "bank.consent-offer", True),
        (["verify", "good.consent-proof", "--policy"], [], "net.policy", True),
        (["inspect"], [], "good.consent-proof", True),
        (["inspect"], [], "shop.consent-offer", True),
        (["terms", "check"], [], "t.txt", True),
        (["terms", "show"], [], "shop.consent-offer", True),
        (["import"], ["--name", "anna"], "bank.consent-offer", True),
        (["submit"], [], "paper", True),
        (["sign", "--digest-only"], [], "paper", True),
        (["subscribe", "--key", "alice", "--from"], [], "t.txt", True),
    ]
    for seed, (before, after, good, flips_pass) in enumerate(cases):
        for path, certain in bad_versions(world, good, seed):
            strict = certain and not (before == ["inspect"] or (before[0] == "terms" and path.endswith("cut-1")))
            allowed = EXITS - {0} if not flips_pass or strict else EXITS
            if path.endswith(("twice", "text")) or "cut-" in path or path.endswith("nested"):  # text has comments; a policy may be cut between lines
                if good in ("t.txt", "net.policy") or before[0] == "inspect":
                    allowed = EXITS
            if "--from" in before and "bad-" in path and not path.endswith("huge"):
                allowed = EXITS  # a list of one line may be a heading over nothing
            if "--body" in before and certain:
                allowed = allowed - {17}  # the verdict of the untouched one
            status, error, _ = world.refused(allowed, *before, path, *after)
            if path.endswith("not-there"):
                assert status in (not_there, 1) and "not-there" in error, error
            if status == 0 and before == ["import"]:
                world.run("refuse", "anna")
        print(f"consent {' '.join(before)}: good")


def bad_wallets(world, words):
    content = world.read("alice")
    chance = random.Random(7)
    for place in [0, 1, 20, 45, len(content) - 1] + [chance.randrange(len(content)) for _ in range(6)]:
        world.path("flipped", content[:place] + bytes([content[place] ^ 4]) + content[place + 1:])
        world.refused({1, 4}, "list", CONSENT_WALLET=world.path("flipped"))
    for cut in (0, 1, 50, len(content) - 1):
        world.refused({1, 4}, "list", CONSENT_WALLET=world.path("flipped", content[:cut]))
    world.refused({4}, "list", CONSENT_PASSPHRASE_FILE=world.path("wrong", b"incorrect horse\n"), says="passphrase")
    world.refused({1}, "list", CONSENT_PASSPHRASE_FILE=world.path("wrong", b""), says="first line")
    world.refused({1}, "list", CONSENT_PASSPHRASE_FILE="/dev/zero")
    world.refused({3}, "list", CONSENT_WALLET=world.path("nowhere"), says="key new")
    for bad in (b"", b"abandon " * 24, b"word " * 24, bytes(5000), b"abandon " * 23):
        world.refused({1}, "key", "recover", "--words-file", world.path("words", bad), CONSENT_WALLET=world.path("fresh"))
        assert not os.path.exists(world.path("fresh")), "a wallet of bad words"
    numbered = {int(number): word for line in words for number, word in re.findall(r"(\d+) ([a-z]+)", line)}
    world.path("words", " ".join(numbered[i] for i in range(1, 25)).encode())
    world.refused({4}, "key", "recover", "--words-file", "words", "--backup", "alice.backup", CONSENT_WALLET=world.path("fresh"), says="these words")
    for path, _ in bad_versions(world, "alice.backup", 3):
        world.refused({1, 3, 4}, "key", "recover", "--words-file", "words", "--backup", path, CONSENT_WALLET=world.path("fresh"))
        assert not os.path.exists(world.path("fresh")), "a wallet of a bad backup"
    world.refused({1}, "key", "recover", "--words-file", "words", says="move it away")
    with open(world.path("alice.lock"), "a", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        began = time.monotonic()
        world.refused({4}, "list", says="Another consent command")
        assert time.monotonic() - began < 40
    assert world.read("alice") == content, "a wallet was changed by what failed"


def killed_while_saving(world):
    """kill -9 at any moment: the wallet is the one before or the one after, never less."""
    chance = random.Random(11)
    known = {"alice"}
    began = time.monotonic()
    world.good("key", "new", "--name", "first")
    usual = time.monotonic() - began
    known.add("first")
    for number in range(12):
        process = subprocess.Popen([world.program, "key", "new", "--name", f"k{number}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, cwd=world.root, env=world.environment)
        time.sleep(usual * chance.uniform(0.3, 1.1))
        process.send_signal(signal.SIGKILL)
        if process.communicate()[0]:
            known.add(f"k{number}")  # it was told, so it is there
        listed = world.good("key", "list", "--json")
        for name in known:
            assert f'"{name}"' in listed, f"{name} was lost"
    world.good("key", "new", "--name", "last")  # and what was killed left nothing locked
    shutil.copy(world.path("alice"), world.path("kept"))


def answering(reply, hold=False):
    """A server that answers everything with these bytes. Returns its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            connection, _ = listener.accept()
            try:
                connection.settimeout(30)
                connection.recv(65536)
                for part in reply:
                    connection.sendall(part)
                if hold:
                    time.sleep(60)
            except OSError:
                pass
            connection.close()
    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def endless():
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    while True:
        yield b"[" * 65536


def bad_nodes(world, build):
    acts = (("node", "status"), ("revoke", "bank"), ("submit", "paper", "--wait"), ("proof", "shop", "-o", "x.consent-proof"), ("node", "policy", "-o", "x"))
    json_head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    for what, url in (("nobody", "http://127.0.0.1:1"), ("no such name", "http://node.invalid"), ("no URL", "x:y:z"),
                      ("garbage", answering([bytes(range(256)) * 20])), ("closes", answering([])), ("empty", answering([json_head])),
                      ("not JSON", answering([json_head + b"<html>"])), ("wrong JSON", answering([json_head + b'{"network_id": 7, "members": {}, "height": "x"}'])),
                      ("deep JSON", answering([json_head + b"[" * 100000])), ("a list", answering([json_head + b"[]"])),
                      ("500", answering([b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno"])), ("302 elsewhere", answering([b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"]))):
        for act in acts:
            world.refused(EXITS - {0, 11}, *act, CONSENT_NODE=url)
        print(f"a node that is {what}: good")
    world.refused(EXITS - {0}, "proof", "shop", "-o", "x.consent-proof", CONSENT_NODE=answering(endless()))
    assert not os.path.exists(world.path("x.consent-proof")), "a proof from nowhere"
    other = Node(build).start()
    try:
        for act in acts[1:4]:
            world.refused({1, 10}, *act, CONSENT_NODE=other.url)
        _, error, _ = world.refused({1}, "revoke", "bank", CONSENT_NODE=other.url)
        assert "CL_E_NETWORK" in error, error
    finally:
        other.stop()
        other.close()
    assert "offered" in world.good("show", "bank"), "an act at a bad node changed the wallet"


def wrong_clock(world):
    source, library = world.path("clock.c", CLOCK.encode()), world.path("clock.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    shifted = {"LD_PRELOAD": library, "ASAN_OPTIONS": world.environment.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    world.refused({1}, "terms", "publish", "t.txt", "--name", "ahead", "--limit", "2", SHIFT_S="7200", says="CL_E_TIME_AHEAD", **shifted)
    world.refused({1}, "terms", "publish", "t.txt", "--name", "behind", "--limit", "2", SHIFT_S=str(-40 * 86400), says="CL_E_TIME_OLD", **shifted)
    world.refused({16}, "verify", "good.consent-proof", "--policy", "net.policy", SHIFT_S="200000", **shifted)
    world.good("verify", "good.consent-proof", "--policy", "net.policy", "--max-age", "100h", SHIFT_S="200000", **shifted)
    status, error, out, _ = world.run("verify", "good.consent-proof", "--policy", "net.policy", SHIFT_S="-200000", **shifted)
    assert status != 0 or "clock" in (error + out), f"a checkpoint of the day after tomorrow goes without a word: {out}{error}"


def test(build):
    world = World(build)
    try:
        words = prepare(world)
        only = os.environ.get("ONLY", "").split()
        for step, act in (("files", lambda: bad_files(world)), ("wallets", lambda: bad_wallets(world, words)), ("kills", lambda: killed_while_saving(world)),
                          ("nodes", lambda: bad_nodes(world, build)), ("clock", lambda: wrong_clock(world))):
            if not only or step in only:
                began = time.monotonic()
                act()
                print(f"{step}: {time.monotonic() - began:.1f} s", flush=True)
        assert world.node.process.poll() is None
        world.node.stop()
    finally:
        world.node.close()


main(test)
