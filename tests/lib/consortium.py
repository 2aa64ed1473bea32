"""A consortium of real nodes: makes their directories, puts the genesis document together, starts, stops, kills and pauses
them, on loopback addresses or each in a network namespace of its own. Whatever was made is removed when it is closed."""
import atexit
import contextlib
import ctypes
import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from consent_node import DEADLINE_S, Maker, Node, now_ms, wait_for

LINKS_PORT, HTTP_PORT = 8790, 8780
CLONE_NEWNET = 0x40000000


class Loopback:
    """Each node has an address of 127.0.0.0/8 to itself, so ports need not be searched for."""

    def __init__(self, build, count):
        for _ in range(100):
            self.net = f"127.{random.randrange(1, 255)}.{random.randrange(256)}"
            with contextlib.suppress(OSError), socket.create_server((self.host(0), LINKS_PORT)):
                return
        raise AssertionError("no loopback address is free")

    def host(self, index):
        return f"{self.net}.{index + 1}"

    http_host = host

    def inside(self, index):
        return contextlib.nullcontext()

    def prefix(self, index):
        return []

    def close(self):
        pass


class Namespace:
    """A network namespace that a thread can step into, to open sockets there."""

    library = ctypes.CDLL(None, use_errno=True)

    def __init__(self, name):
        self.file = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def enter(self, file):
        if self.library.setns(file, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    @contextlib.contextmanager
    def __call__(self):
        self.enter(self.file)
        try:
            yield
        finally:
            self.enter(self.home)

    def close(self):
        os.close(self.file)
        os.close(self.home)


def ip(*arguments):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        raise AssertionError(f"ip {' '.join(arguments)}: {done.stderr.strip()}; tests in network namespaces need iproute2, root, "
                             "/dev/net/tun and, in a container, CAP_NET_ADMIN and CAP_SYS_ADMIN")


class Namespaces:
    """Each node in a namespace; between them tests/programs/net_switch.c, which delays and loses frames as it is told: with it
    any kernel does, also one without sch_netem. A frame that is cut off is lost without a word, as on a long line."""

    def __init__(self, build, count):
        self.count, self.names, self.spaces, self.switch = count, [], [], None
        self.sweep()
        try:
            for index in range(count):
                name = f"consent-{os.getpid()}-{index}"
                ip("netns", "add", name)
                self.names.append(name)
                self.spaces.append(Namespace(name))
            seed = int(os.environ.get("SEED", "1"))
            self.switch = subprocess.Popen([f"{build}/programs/net_switch", str(seed), *self.names], stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, text=True)
            assert self.switch.stdout.readline() == "ready\n", "net_switch did not start; is there /dev/net/tun?"
            for index in range(count):
                self.set_up(index)
        except BaseException:
            self.close()
            raise

    def sweep(self):
        """Namespaces of a run that was killed."""
        for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
            owner = name.split("-")[1] if name.startswith("consent-") else ""
            if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
                self.remove(name)

    @staticmethod
    def remove(name):
        for process in subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, timeout=30).stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", name], timeout=30, check=False)

    def set_up(self, index):
        within = ("-n", self.names[index])
        ip(*within, "link", "set", "lo", "up")
        ip(*within, "link", "set", "eth0", "address", f"02:00:00:00:00:{index:02x}")
        ip(*within, "addr", "add", f"{self.host(index)}/24", "dev", "eth0")
        ip(*within, "link", "set", "eth0", "up")
        for other in range(self.count):
            if other != index:
                ip(*within, "neigh", "replace", self.host(other), "lladdr", f"02:00:00:00:00:{other:02x}", "dev", "eth0", "nud", "permanent")

    def host(self, index):
        return f"10.77.0.{index + 1}"

    def http_host(self, index):
        return "127.0.0.1"

    def inside(self, index):
        return self.spaces[index]()

    def prefix(self, index):
        return ["ip", "netns", "exec", self.names[index]]

    def tell(self, *words):
        self.switch.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.switch.stdin.flush()
        answer = self.switch.stdout.readline().split()
        assert answer and answer[0] == "good", f"net_switch: {words}"
        return [int(word) for word in answer[1:]]

    def line(self, sender, receiver, delay_ms=0, loss=0.0):
        """One direction; loss is a share, 1 loses all."""
        self.tell("line", sender, receiver, delay_ms, round(loss * 1000))

    def all_lines(self, delay_ms=0, loss=0.0):
        for sender in range(self.count):
            for receiver in range(self.count):
                if sender != receiver:
                    self.line(sender, receiver, delay_ms, loss)

    def partition(self, *groups):
        """Frames go only within a group."""
        group_of = {index: number for number, group in enumerate(groups) for index in group}
        for sender in range(self.count):
            for receiver in range(self.count):
                if sender != receiver:
                    self.line(sender, receiver, 0, 0.0 if group_of[sender] == group_of[receiver] else 1.0)

    def bytes_sent(self, index):
        return self.tell("bytes", index)[0]

    def close(self):
        if self.switch is not None:
            self.switch.kill()
            self.switch.communicate(timeout=DEADLINE_S)
        for space in self.spaces:
            space.close()
        for name in self.names:
            self.remove(name)


class Member(Node):
    """One node of a consortium. Its HTTP address stays the same over restarts."""

    def __init__(self, build, root, index, network, config, votes=True):
        self.build, self.program = build, f"{build}/consentd"
        self.index, self.network, self.votes = index, network, votes
        self.name = f"member-{index}" if votes else f"observer-{index}"
        self.root, self.data = f"{root}/{self.name}", f"{root}/{self.name}/data"
        self.process = self.environment = None
        self.port = HTTP_PORT
        self.url = f"http://{network.http_host(index)}:{HTTP_PORT}"
        os.mkdir(self.root)
        self.run("init", "--data", self.data, "--name", self.name, "--address", f"{network.host(index)}:{LINKS_PORT}",
                 *(["--jurisdiction", "DE"] if votes else ["--observer"]))
        self.write_config(config)

    def command(self, *extra):
        return [*self.network.prefix(self.index), self.program, "run", "--data", self.data, "--config", self.config, "--listen",
                f"{self.network.http_host(self.index)}:{HTTP_PORT}", *extra]

    def connect(self, timeout=DEADLINE_S):
        return Connection(self, timeout)

    def socket(self, timeout=DEADLINE_S):
        with self.network.inside(self.index):
            return socket.create_connection((self.network.http_host(self.index), HTTP_PORT), timeout=timeout)

    def signal(self, number):
        self.process.send_signal(number)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def consent(self, *arguments, expected=0, environment=None):
        """The command line tool where this node can be reached."""
        done = subprocess.run([*self.network.prefix(self.index), f"{self.build}/consent", *arguments], capture_output=True, text=True,
                              timeout=4 * DEADLINE_S, env=environment)
        assert done.returncode == expected, f"{self.name}: consent {arguments}: {done.returncode} {done.stdout}{done.stderr}"
        return done.stdout

    def status(self):
        return self.get("/v1/status").json()

    def checkpoint(self):
        """(size, root, text) of the newest one."""
        answer = self.get("/checkpoint")
        assert answer.status == 200, f"{self.name}: {answer}"
        text = answer.body.decode()
        _, size, root = text.split("\n")[:3]
        return int(size), root, text

    def memory_kb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return [int(line.split()[1]) for line in file if line.startswith("VmRSS")][0]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Connection(http.client.HTTPConnection):
    def __init__(self, member, timeout):
        super().__init__(member.network.http_host(member.index), HTTP_PORT, timeout=timeout)
        self.member = member

    def connect(self):
        with self.member.network.inside(self.member.index):
            super().connect()


class Consortium:
    """count members, then observers, that know each other and do not run yet."""

    def __init__(self, build, count=4, network=Loopback, config="", d0_ms=300, observers=0):
        self.build, self.members = build, []
        self.root = tempfile.mkdtemp(prefix="consent-test-")
        self.network, self.maker = None, None
        atexit.register(self.close)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self.network = network(build, count + observers)
        for index in range(count + observers):
            self.members.append(Member(build, self.root, index, self.network, config, votes=index < count))
        self.genesis(d0_ms)
        self.maker = Maker(build)

    def genesis(self, d0_ms):
        path = f"{self.root}/genesis.json"
        self.members[0].run("genesis", "--origin", "test.example/log", "--open-reads", "--d0-ms", str(d0_ms), "--out", path,
                            *[f"{member.data}/member.json" for member in self.members])
        for member in self.members:
            shutil.copy(path, f"{member.data}/genesis.json")

    def __iter__(self):
        return iter(self.members)

    def __getitem__(self, index):
        return self.members[index]

    def start(self):
        for member in self.members:
            member.start()
        self.maker.network(self.members[0].network_id())
        return self

    def stop(self):
        for member in self.members:
            member.stop()

    def tell(self):
        """What the nodes have to say after a failure."""
        for member in self.members:
            status = {}
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                status = member.request("GET", "/v1/status", connection=member.connect(timeout=5)).json()
            log = member.log()[-2500:] if os.path.exists(f"{member.root}/log") else ""
            print(f"-- {member.name} {'runs' if member.running() else 'does not run'}: {status}\n{log}", flush=True)

    def quorum(self):
        count = sum(member.votes for member in self.members)
        return count - (count - 1) // 3

    def record(self, *words):
        return self.maker.record(*words)

    def close(self):
        for member in self.members:
            if member.process is not None:
                member.kill()
        if self.maker is not None:
            self.maker.close()
            self.maker = None
        if self.network is not None:
            self.network.close()
            self.network = None
        self.members = []
        shutil.rmtree(self.root, ignore_errors=True)
        atexit.unregister(self.close)


def final_on(member, record_id):
    """Does this node say with a receipt that the record is final?"""
    return member.get(f"/v1/records/{record_id}", accept="text/plain").status == 200


def wait_final(members, record_id, deadline_s=DEADLINE_S):
    for member in members:
        wait_for(lambda: final_on(member, record_id), f"record {record_id[:8]} final on {member.name}", deadline_s)


def grant(consortium, number):
    return consortium.record("grant", number, 1, 2, now_ms())
