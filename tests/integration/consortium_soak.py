#!/usr/bin/python3
"""Four nodes under load for SOAK_SECONDS (900): samples of each node's open descriptors and resident memory, their slope once
the node has warmed up, and no growth. At the end the invariants hold; they are checked whatever memory and descriptors did,
and all that failed is told.

What grows by design, and to a bound, is counted apart and printed beside the rest:
- buckets of the state tree: the node says in /metrics what they take, at most what it also says (ledger/buckets.h);
- the database's open tables, 256 at most: their descriptors, and the index and filter that LevelDB keeps of each;
- connections of clients;
- memory that was freed and that the allocator keeps between what is in use, as the node says in /metrics: at most FREE_MAX_KB.
Memory that is allocated at the start and fills later (the ring of recent values, the state tree's first chunks) is made
resident at the start. The slope is of all the rest."""
import contextlib
import os
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, wait_for  # noqa: E402
from consortium import HTTP_PORT, Consortium  # noqa: E402
from invariants import Observer, check  # noqa: E402
from load import Load, Supply, percentile  # noqa: E402

SECONDS = int(os.environ.get("SOAK_SECONDS", "900"))
PER_SECOND = 240                # so that what remembers 65,536 records (gossip.h) is full when it is warm
WARM_SHARE = 0.5              # of the time: caches fill, what is allocated settles
MEMORY_KB_PER_HOUR = 8 * 1024  # more is growth; LevelDB's table in memory goes up and down by a MiB
FREE_MAX_KB = 16 * 1024       # some hundred KiB for each of the allocator's arenas, and as much again as the indexes of tables
DESCRIPTORS = 2               # between the least of the first samples and the least of the last: links come and go
TABLE_MAGIC = bytes.fromhex("57fb808b247547db")
RESIDENT = {"MALLOC_PERTURB_": "165"}  # glibc then writes to all that is allocated
# Caches that are full within the first minutes.
CONFIG = "[store]\ncache_mb = 2\nwrite_buffer_mb = 1\n[votelog]\ntruncate_mb = 1\n"


def slope(samples):
    """Least squares, per second."""
    count = len(samples)
    mean_x, mean_y = sum(x for x, _ in samples) / count, sum(y for _, y in samples) / count
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / sum((x - mean_x) ** 2 for x, _ in samples)


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def resident_bytes(path):
    """Of an open table: LevelDB keeps its index and its filter in memory. They lie at the end: the filter, the metaindex,
    which names it, the index, the footer (LevelDB's doc/table_format.md)."""
    with open(path, "rb") as file:
        data_size = file.seek(0, os.SEEK_END)
        footer_at = file.seek(max(0, data_size - 48))
        footer = file.read()
        if not footer.endswith(TABLE_MAGIC):
            return 0  # it is being written
        metaindex_at, at = varint(footer, 0)
        metaindex_size, _ = varint(footer, at)
        file.seek(metaindex_at)
        entry = file.read(metaindex_size)[3:]  # shared, unshared and value's length, then key and value
        _, at = varint(entry, entry.index(b"BuiltinBloomFilter2") + len(b"BuiltinBloomFilter2"))
        return varint(entry, at)[0] + footer_at - metaindex_at - metaindex_size


def open_files(member, known):
    """How many descriptors there are, but for tables and connections of clients; how many tables, and the KiB of memory that
    they take. known: path -> bytes, kept between calls."""
    tables = other = size = 0
    clients = client_sockets(member)
    for name in os.listdir(f"/proc/{member.process.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            path = f"/proc/{member.process.pid}/fd/{name}"
            target = os.readlink(path)
            if ".ldb" in target:
                number = target.split(" ")[0]
                if not known.get(number):
                    known[number] = resident_bytes(path)
                tables, size = tables + 1, size + known[number]
            else:
                other += target not in clients
    return other, tables, size // 1024


def client_sockets(member):
    """As /proc names them: connected, at the HTTP port."""
    found = set()
    with open(f"/proc/{member.process.pid}/net/tcp", encoding="ascii") as file:
        for line in list(file)[1:]:
            fields = line.split()
            if int(fields[1].split(":")[1], 16) == HTTP_PORT and int(fields[2].split(":")[1], 16) != 0:
                found.add(f"socket:[{fields[9]}]")
    return found


class Sample:
    """Of one node at one time; memory in KiB."""

    def __init__(self, member, known, began):
        self.descriptors, self.tables, self.tables_kb = open_files(member, known)
        metrics = member.metrics()
        self.buckets_kb = metrics["consent_state_buckets_memory_bytes"] / 1024
        self.buckets_max_kb = metrics["consent_state_buckets_memory_max_bytes"] / 1024
        self.free_kb = metrics["consent_memory_free_bytes"] / 1024
        self.allocated_kb = metrics["consent_memory_allocated_bytes"] / 1024
        self.resident_kb = member.memory_kb()
        self.at = time.monotonic() - began
        self.rest_kb = self.resident_kb - self.buckets_kb - self.tables_kb - self.free_kb


def watch(consortium, load):
    """Lists of samples, one for each node."""
    samples, known = [[] for _ in consortium], [{} for _ in consortium]
    began = time.monotonic()
    while time.monotonic() < began + SECONDS:
        before = len(load.acknowledged)
        wait_for(lambda: len(load.acknowledged) >= before + PER_SECOND, "records become final", 60)
        for member in consortium:
            samples[member.index].append(Sample(member, known[member.index], began))
    return samples


def judge(member, samples):
    """Says how it went; what grew, in sentences."""
    warm = [sample for sample in samples if sample.at >= WARM_SHARE * SECONDS]
    first, last, third = warm[0], warm[-1], len(warm) // 3
    memory = slope([(sample.at, sample.rest_kb) for sample in warm]) * 3600
    descriptors = slope([(sample.at, sample.descriptors) for sample in warm]) * 3600
    files = [min(sample.descriptors for sample in part) for part in (warm[:third], warm[-third:])]
    print(f"{member.name}, {len(warm)} samples from {first.at:.0f} s to {last.at:.0f} s:\n"
          f"  memory {first.resident_kb:.0f} to {last.resident_kb:.0f} KiB, {first.allocated_kb:.0f} to {last.allocated_kb:.0f} from the allocator; buckets {first.buckets_kb:.0f} to {last.buckets_kb:.0f} of at most "
          f"{last.buckets_max_kb:.0f}; {first.tables} to {last.tables} tables' indexes {first.tables_kb:.0f} to {last.tables_kb:.0f}; "
          f"free {first.free_kb:.0f} to {last.free_kb:.0f} of at most {FREE_MAX_KB}; the rest {first.rest_kb:.0f} to {last.rest_kb:.0f}, slope {memory:+.0f} KiB an hour, at most {MEMORY_KB_PER_HOUR}\n"
          f"  descriptors {files[0]} to {files[1]}, at most {DESCRIPTORS} more, slope {descriptors:+.2f} an hour", flush=True)
    grown = []
    if memory > MEMORY_KB_PER_HOUR:
        grown.append(f"{member.name}: memory grows by {memory:.0f} KiB an hour")
    if max(sample.free_kb for sample in warm) > FREE_MAX_KB:
        grown.append(f"{member.name}: what the allocator keeps, to {max(sample.free_kb for sample in warm):.0f} KiB")
    if files[1] > files[0] + DESCRIPTORS:
        grown.append(f"{member.name}: descriptors, from {files[0]} to {files[1]}")
    return grown


def test(build):
    consortium = Consortium(build, config=CONFIG)
    for member in consortium:
        member.environment = {**os.environ, **RESIDENT}
    try:
        consortium.start()
        with Observer(consortium) as observer, Load(consortium, Supply(consortium), clients=24, per_second=PER_SECOND) as load:
            samples = watch(consortium, load)
        latencies = load.latencies()
        print(f"{len(latencies)} final in {SECONDS} s, p50 {percentile(latencies, 0.5):.3f} s, p99 {percentile(latencies, 0.99):.3f} s")
        wrong = [sentence for member in consortium for sentence in judge(member, samples[member.index])]
        try:
            print(check(consortium, observer, load.acknowledged, load.accepted), flush=True)
            consortium.stop()
        except Exception as error:  # whatever it was, what grew is told too
            traceback.print_exc()
            consortium.tell()
            wrong.append(f"at the end: {error!r}")
    except BaseException:
        consortium.tell()
        raise
    finally:
        consortium.close()
    assert not wrong, wrong


main(test)
