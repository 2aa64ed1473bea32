#!/usr/bin/python3
"""A full disk, a read-only disk, a file size limit, two nodes on one directory, a newer format: the node refuses or stops
with a sentence that says what to do, what it acknowledged is there once it runs again, and nothing was touched that
should not be. Needs root for the mounts."""
import hashlib
import os
import resource
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import Maker, Node, main, now_ms  # noqa: E402

SMALL = "[store]\nwrite_buffer_mb = 1\n[votelog]\ntruncate_mb = 1\n"


def mount(*arguments):
    if os.geteuid() != 0:
        raise AssertionError("this test mounts small file systems: run it as root")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        raise AssertionError(f"this test needs the right to mount (as root, CAP_SYS_ADMIN in a container): {done.stderr}")


def unmount(path):
    subprocess.run(["umount", "-l", path], check=True, timeout=30)


class OnSmallDisk:
    """The node's data directory as a file system of its own."""

    def __init__(self, node, size):
        self.node, self.size = node, size

    def __enter__(self):
        data = self.node.data
        os.rename(data, data + ".before")
        os.mkdir(data, 0o700)
        mount("-t", "tmpfs", "-o", f"size={self.size},mode=0700", "tmpfs", data)
        shutil.copytree(data + ".before", data, dirs_exist_ok=True)
        os.chmod(data, 0o700)
        return self

    def __exit__(self, *_):
        if self.node.process is not None:
            self.node.kill()
        unmount(self.node.data)


def fill(path, leave):
    """A file that leaves so much space on its file system."""
    free = os.statvfs(os.path.dirname(path))
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    left = max(0, free.f_bavail * free.f_bsize - leave)
    try:
        while left > 0:
            left -= os.write(file, bytes(min(left, 1 << 16)))
    except OSError:
        pass  # full
    finally:
        os.close(file)


def load_until_it_stops(node, maker, first, count_max=30000):
    """Acknowledged: record id -> log index. Answers other than 201 must carry a code."""
    acknowledged = {}
    connection = node.connect()
    for number in range(first, first + count_max):
        record_id, _, record = maker.record("grant", number, 1, 2, now_ms())
        try:
            answer = node.post(record, wait=True, connection=connection)
        except (OSError, ValueError) as error:
            assert node.process is not None, error
            break
        except Exception as error:  # http.client: the connection was closed
            if type(error).__module__ != "http.client":
                raise
            break
        if answer.status == 201:
            acknowledged[record_id] = answer.json()["log_index"]
            continue
        assert answer.status in (500, 503) and answer.json()["code"].startswith("CL_E_"), answer
        break
    else:
        raise AssertionError("the disk was never full")
    return acknowledged


def stopped_with_a_sentence(node):
    status = node.process.wait(timeout=60)
    node.process.stdout.close()
    node.process = None
    log = node.log()
    assert status == 1, f"it ended with {status}: {log[-2000:]}"
    lines = [line for line in log.splitlines() if "node_stopped" in line]
    assert lines and "code=CL_E_" in lines[-1] and "sentence=" in lines[-1], lines
    assert "heck space" in lines[-1], lines[-1]
    return lines[-1]


def all_there(node, acknowledged):
    for record_id, log_index in acknowledged.items():
        answer = node.get(f"/v1/records/{record_id}")
        assert answer.status == 200 and answer.json()["log_index"] == log_index, f"lost: {record_id} {answer}"


def full_disk(build):
    node, maker = Node(build, config=SMALL), Maker(build)
    try:
        with OnSmallDisk(node, "24m"):
            node.start()
            maker.network(node.network_id())
            everything, first = {}, 1
            for leave in (900_000, 300_000):  # the vote log meets the end first, then the store may
                fill(f"{node.data}/filler", leave)
                everything.update(load_until_it_stops(node, maker, first))
                first += 40000
                print(stopped_with_a_sentence(node))
                # without space it does not start, or stops again, and always says why
                if os.statvfs(node.data).f_bavail > 0:
                    fill(f"{node.data}/filler2", 0)
                refusal = node.start_refused().strip().splitlines()[-1]
                assert "CL_E_" in refusal and "space" in refusal, refusal
                print(refusal)
                for name in ("filler2", "filler"):
                    if os.path.exists(f"{node.data}/{name}"):
                        os.unlink(f"{node.data}/{name}")
                node.start()
                all_there(node, everything)
                assert node.post(maker.record("grant", first, 1, 2, now_ms())[2], wait=True).status == 201
                first += 1
            node.stop()
            node.run("check", "--data", node.data)
            assert len(everything) > 20, len(everything)
            print(f"full disk: {len(everything)} acknowledged records, all there")
    finally:
        maker.close()
        node.close()


def file_size_limit(build):
    """As a full disk, for whom a limit on the size of files is set: no signal may end it without a sentence."""
    node, maker = Node(build, config=SMALL), Maker(build)
    try:
        node.start()
        maker.network(node.network_id())
        acknowledged = {}
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (200_000, 200_000))
        acknowledged.update(load_until_it_stops(node, maker, 1))
        print(stopped_with_a_sentence(node))
        node.start()
        all_there(node, acknowledged)
        node.stop()
        node.run("check", "--data", node.data)
        assert len(acknowledged) > 20
    finally:
        maker.close()
        node.close()


def contents(directory):
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if name == "LOG" or name == "LOG.old":  # LevelDB's own words
                continue
            with open(path, "rb") as file:
                found[os.path.relpath(path, directory)] = hashlib.sha256(file.read()).hexdigest()
    return found


def read_only_disk(build):
    node, maker = Node(build), Maker(build)
    try:
        with OnSmallDisk(node, "24m"):
            node.start()
            maker.network(node.network_id())
            assert node.post(maker.record("grant", 1, 1, 2, now_ms())[2], wait=True).status == 201
            node.stop()
            before = contents(node.data)
            mount("-o", "remount,ro", node.data)
            refusals = [node.start_refused().strip().splitlines()[-1]]
            for verb in ("check", "reindex"):
                done = node.run(verb, "--data", node.data, good=False)
                assert done.returncode == 1, (verb, done)
                refusals.append(done.stderr.strip().splitlines()[-1])
            done = node.run("init", "--data", node.data, "--name", "two", good=False)
            assert done.returncode == 1
            refusals.append(done.stderr.strip().splitlines()[-1])
            for refusal in refusals:
                print(refusal)
            for refusal in refusals[:3]:
                assert "Read-only file system" in refusal or "permissions" in refusal, refusal
            mount("-o", "remount,rw", node.data)
            assert contents(node.data) == before
            node.start()
            node.stop()
    finally:
        maker.close()
        node.close()


def two_nodes(build):
    node = Node(build)
    try:
        node.start()
        before = node.get("/checkpoint").body
        for what in (node.start_refused(), node.run("check", "--data", node.data, good=False).stderr,
                     node.run("reindex", "--data", node.data, good=False).stderr):
            assert "CL_E_STORE_LOCKED" in what and "stop it first" in what and len(what.strip().splitlines()) == 1, what
        done = node.run("init", "--data", node.data, "--name", "two", good=False)
        assert done.returncode == 1 and "nothing was changed" in done.stderr, done
        assert node.get("/checkpoint").body.split(b"\n")[:3] == before.split(b"\n")[:3]
        # a second node with another directory on the same port
        port = node.port
        other = Node(build)
        try:
            other.write_config(f"[http]\nlisten = 127.0.0.1:{port}\n")
            done = subprocess.run([other.program, "run", "--data", other.data, "--config", other.config], capture_output=True, text=True, timeout=60)
            refusal = done.stderr
            assert done.returncode == 1, done
            assert "CL_E_" in refusal and str(port) in refusal, refusal
        finally:
            other.close()
        node.stop()
        node.run("check", "--data", node.data)
    finally:
        node.close()


def newer_format(build):
    node, maker = Node(build), Maker(build)
    try:
        node.start()
        maker.network(node.network_id())
        assert node.post(maker.record("grant", 1, 1, 2, now_ms())[2], wait=True).status == 201
        node.stop()
        subprocess.run([f"{build}/programs/store_tool", f"{node.data}/store", "newer"], check=True, stdout=subprocess.DEVNULL, timeout=60)
        listed = subprocess.run([f"{build}/programs/store_tool", f"{node.data}/store", "list"], check=True, capture_output=True, timeout=60).stdout
        for what in (node.start_refused(), node.run("check", "--data", node.data, good=False).stderr,
                     node.run("reindex", "--data", node.data, good=False).stderr):
            assert "CL_E_STORE_NEWER" in what and "use that version" in what, what
        assert subprocess.run([f"{build}/programs/store_tool", f"{node.data}/store", "list"], check=True, capture_output=True, timeout=60).stdout == listed
    finally:
        maker.close()
        node.close()


def test(build):
    two_nodes(build)
    newer_format(build)
    read_only_disk(build)
    full_disk(build)
    file_size_limit(build)


main(test)
