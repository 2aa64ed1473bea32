"""What must hold of a consortium at any time, checked from outside by proofs: all nodes sign one chain of checkpoints, each
a prefix of the next; whatever was acknowledged is in it on every node, at its place, with a receipt that the command line
tool accepts under the network's policy. RFC 6962 once more, from its text: no code is shared with the product."""
import base64
import hashlib
import http.client
import random
import threading
import time

from consent_node import wait_for

SIZES_PROVEN_MAX = 8      # consistency proofs asked of each node
RECEIPTS_MAX = 25         # receipts of each node given to consent verify; of more acknowledged records, so many by chance


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def leaf_hash(data):
    return hashlib.sha256(b"\x00" + data).digest()


class Frontier:
    """The tree over what was appended: roots of full subtrees, the largest first."""

    def __init__(self):
        self.size, self.peaks = 0, []

    def append(self, leaf):
        self.peaks.append(leaf)
        self.size += 1
        size = self.size
        while size % 2 == 0:
            right = self.peaks.pop()
            self.peaks.append(node_hash(self.peaks.pop(), right))
            size //= 2

    def root(self):
        result = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            result = node_hash(peak, result)
        return result


def consistent(old_size, new_size, old_root, new_root, path):
    """RFC 9162, 2.1.4.2."""
    if old_size == new_size:
        return not path and old_root == new_root
    if old_size & (old_size - 1) == 0:
        path = [old_root, *path]
    if not path:
        return False
    first, second = old_size - 1, new_size - 1
    while first & 1:
        first, second = first >> 1, second >> 1
    old = new = path[0]
    for step in path[1:]:
        if second == 0:
            return False
        if first & 1 or first == second:
            old, new = node_hash(step, old), node_hash(step, new)
            while first and not first & 1:
                first, second = first >> 1, second >> 1
        else:
            new = node_hash(new, step)
        first, second = first >> 1, second >> 1
    return second == 0 and old == old_root and new == new_root


def tile_name(number):
    parts = [f"{number % 1000:03}"]
    while number >= 1000:
        number //= 1000
        parts.insert(0, f"x{number % 1000:03}")
    return "/".join(parts)


def leaves_of(member, size):
    leaves, connection = [], member.connect()
    while len(leaves) < size:
        tile, width = len(leaves) // 256, min(256, size - len(leaves))
        path = f"/tile/entries/{tile_name(tile)}" + (f".p/{width}" if width < 256 else "")
        answer = member.request("GET", path, connection=connection)
        assert answer.status == 200, f"{member.name}: {path}: {answer}"
        at = 0
        while at < len(answer.body):
            length = int.from_bytes(answer.body[at:at + 2], "big")
            leaves.append(answer.body[at + 2:at + 2 + length])
            at += 2 + length
    connection.close()
    return leaves


class Observer:
    """Asks all nodes that run for their checkpoints all the time, and notes what must never be: two roots of one size, or a
    node that goes back."""

    def __init__(self, consortium):
        self.consortium = consortium
        self.roots, self.newest, self.wrong = {}, {}, []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(timeout=60)

    def run(self):
        while not self.stopping.wait(0.3):
            for member in self.consortium:
                if member.running():
                    self.look(member)

    def look(self, member):
        try:
            answer = member.request("GET", "/checkpoint", connection=member.connect(timeout=2))
        except (OSError, http.client.HTTPException):
            return  # it is stopped, killed or paused
        if answer.status != 200:
            return  # none yet, or stopping
        _, size, root = answer.body.decode().split("\n")[:3]
        size = int(size)
        if self.roots.setdefault(size, root) != root:
            self.wrong.append(f"{member.name} has another root of size {size}: {root}, not {self.roots[size]}")
        if size < self.newest.get(member.index, 0):
            self.wrong.append(f"{member.name} went back from {self.newest[member.index]} to {size}")
        self.newest[member.index] = size


class Tips:
    """The newest checkpoints of all nodes, as they were seen last; None: this one has none yet."""

    def __init__(self, members):
        self.members, self.seen = members, []

    def same(self):
        answers = [member.get("/checkpoint") for member in self.members]
        self.seen = [tuple(answer.body.decode().split("\n")[1:3]) if answer.status == 200 else None for answer in answers]
        return self.seen[0] if None not in self.seen and len(set(self.seen)) == 1 else None

    def __str__(self):
        return str(self.seen)


def check_receipts(consortium, member, acknowledged):
    """consent verify on this node's receipts: all, or as many by chance."""
    chosen = sorted(acknowledged)
    if len(chosen) > RECEIPTS_MAX:
        chosen = random.sample(chosen, RECEIPTS_MAX)
    for record_id in chosen:
        answer = member.get(f"/v1/records/{record_id}", accept="text/plain")
        assert answer.status == 200, f"{member.name} has no receipt of {record_id}, which was acknowledged: {answer}"
        receipt, record = f"{consortium.root}/receipt", f"{consortium.root}/record"
        with open(receipt, "wb") as file:
            file.write(answer.body)
        with open(record, "wb") as file:
            file.write(acknowledged[record_id][0])
        member.consent("verify", receipt, "--policy", f"{consortium.root}/policy", "--record", record)
    return len(chosen)


def check_proofs(member, roots, size, root):
    """The node itself proves that what it and others signed before is a prefix of what it signs now."""
    sizes = sorted(known for known in roots if 0 < known <= size)
    if len(sizes) > SIZES_PROVEN_MAX:
        sizes = random.sample(sizes, SIZES_PROVEN_MAX)
    for known in sizes:
        answer = member.get(f"/v1/consistency?from={known}&to={size}")
        assert answer.status == 200, f"{member.name}: {answer}"
        path = [bytes.fromhex(step) for step in answer.json()["path"]]
        assert consistent(known, size, base64.b64decode(roots[known]), base64.b64decode(root), path), \
            f"{member.name}: no consistency from {known} to {size}"


def check_log(leaves, roots, size):
    """Every checkpoint that any node ever showed is a prefix of these leaves."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf_hash(leaf))
        if frontier.size in roots:
            assert base64.b64encode(frontier.root()).decode() == roots[frontier.size], f"the checkpoint of size {frontier.size} is not of this log"
    assert max(roots) <= size, f"a checkpoint of size {max(roots)} was shown, the log has {size}"


def check(consortium, observer, acknowledged, accepted=(), deadline_s=30):
    """acknowledged: record id -> (record, log index); accepted: record id -> record, of withdrawals with an acceptance. All
    nodes have to run, and nothing else may be submitted. Returns what it looked at, in a sentence."""
    members, accepted = list(consortium), dict(accepted)
    for record_id in accepted:
        wait_for(lambda: members[0].get(f"/v1/records/{record_id}", accept="text/plain").status == 200,
                 f"the accepted withdrawal {record_id} is final", deadline_s)
    tips = Tips(members)
    try:
        size, root = wait_for(tips.same, "all nodes have the same checkpoint", deadline_s)
    except AssertionError as error:
        raise AssertionError(f"{error}: {tips}") from None
    size = int(size)
    for member in members:
        observer.look(member)
    assert not observer.wrong, observer.wrong[:5]
    policy = members[0].get("/v1/policy").body
    assert f"group consortium {consortium.quorum()} ".encode() in policy, policy
    with open(f"{consortium.root}/policy", "wb") as file:
        file.write(policy)
    leaves = leaves_of(members[0], size)
    check_log(leaves, observer.roots, size)
    present = set(leaves)
    for record_id, (record, log_index) in acknowledged.items():
        assert leaves[log_index] == record, f"{record_id} was acknowledged at {log_index}, where something else is"
    for record_id, record in accepted.items():
        assert record in present, f"the withdrawal {record_id} was accepted and is not in the log"
    receipts = 0
    for member in members:
        assert member.get("/v1/policy").body == policy, f"{member.name} has another policy"
        assert leaves_of(member, size) == leaves, f"{member.name} has other leaves"
        check_proofs(member, observer.roots, size, root)
        receipts += check_receipts(consortium, member, acknowledged)
        state = f"{consortium.root}/audit-{member.index}-{time.monotonic_ns()}"
        said = member.consent("audit", member.url, "--once", "--policy", f"{consortium.root}/policy", "--state", state)
        assert "good" in said, said
    return (f"{len(observer.roots)} checkpoints of one chain of {size} leaves on {len(members)} nodes, "
            f"{len(acknowledged)} acknowledged records and {len(accepted)} accepted withdrawals in it, {receipts} receipts verified, all audited")
