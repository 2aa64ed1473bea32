#!/usr/bin/python3
"""Four nodes under load for SOAK_SECONDS (900): samples of each node's open descriptors and resident memory, their slope once
the node has warmed up, and no growth. At the end the invariants hold. Memory that is allocated at the start and fills later
(the ring of recent values, the state tree's first chunks) is made resident at the start, so that the slope is of what is
allocated. The database's tables are as many as there is data, 256 of them open at most: their descriptors, and the indexes
and filters that they keep in memory, are counted apart, as are connections of clients."""
import contextlib
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, wait_for  # noqa: E402
from consortium import HTTP_PORT, Consortium  # noqa: E402
from invariants import Observer, check  # noqa: E402
from load import Load, Supply, percentile  # noqa: E402

SECONDS = int(os.environ.get("SOAK_SECONDS", "900"))
PER_SECOND = 240                # so that what remembers 65,536 records (gossip.h) is full when it is warm
WARM_SHARE = 0.5              # of the time: caches fill, what is allocated settles
MEMORY_KB_PER_HOUR = 16 * 1024  # more is growth, and
BYTES_PER_RECORD = 32         # the tree above the buckets takes some bytes for each agreement
DESCRIPTORS = 2               # between the least of the first samples and the least of the last: links come and go
# Caches that are full within the first minutes.
TABLE_MAGIC = bytes.fromhex("57fb808b247547db")
RESIDENT = {"MALLOC_PERTURB_": "165"}  # glibc then writes to all that is allocated
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


def test(build):
    consortium = Consortium(build, config=CONFIG)
    for member in consortium:
        member.environment = {**os.environ, **RESIDENT}
    try:
        consortium.start()
        samples, descriptors, tables = [[] for _ in consortium], [[] for _ in consortium], [[] for _ in consortium]
        known = [{} for _ in consortium]
        supply = Supply(consortium)
        with Observer(consortium) as observer, Load(consortium, supply, clients=24, per_second=PER_SECOND) as load:
            began = time.monotonic()
            while time.monotonic() < began + SECONDS:
                before = len(load.acknowledged)
                wait_for(lambda: len(load.acknowledged) >= before + PER_SECOND, "records become final", 60)
                for member in consortium:
                    files, of_tables, tables_kb = open_files(member, known[member.index])
                    at = time.monotonic() - began
                    samples[member.index].append((at, member.memory_kb() - tables_kb))
                    descriptors[member.index].append((at, files))
                    tables[member.index].append((of_tables, tables_kb))
        latencies = load.latencies()
        print(f"{len(latencies)} final in {SECONDS} s, p50 {percentile(latencies, 0.5):.3f} s, p99 {percentile(latencies, 0.99):.3f} s")
        grown = []
        for member in consortium:
            warm = [sample for sample in samples[member.index] if sample[0] >= WARM_SHARE * SECONDS]
            files = [sample for sample in descriptors[member.index] if sample[0] >= WARM_SHARE * SECONDS]
            memory_slope, files_slope = slope(warm) * 3600, slope(files) * 3600
            print(f"{member.name}: memory {samples[member.index][0][1]} KiB at first, {warm[0][1]} warm, {warm[-1][1]} at last, "
                  f"slope {memory_slope:+.0f} KiB an hour; descriptors {files[0][1]} to {files[-1][1]}, slope {files_slope:+.2f} an hour, "
                  f"and {max(tables[member.index])[0]} of tables with {tables[member.index][-1][1]} KiB; {len(warm)} samples", flush=True)
            third = len(files) // 3
            if memory_slope > MEMORY_KB_PER_HOUR + len(latencies) * 3600 / SECONDS * BYTES_PER_RECORD / 1024:
                grown.append(f"{member.name}: memory")
            if min(count for _, count in files[-third:]) > min(count for _, count in files[:third]) + DESCRIPTORS:
                grown.append(f"{member.name}: descriptors")
        assert not grown, grown
        print(check(consortium, observer, load.acknowledged, load.accepted))
        consortium.stop()
    except BaseException:
        for member in consortium:
            print(f"-- {member.name} {'runs' if member.running() else 'does not run'}\n{member.log()[-2000:]}", flush=True)
        raise
    finally:
        consortium.close()


main(test)
