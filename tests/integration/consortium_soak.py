#!/usr/bin/python3
"""Four nodes under load for SOAK_SECONDS (900): samples of each node's open descriptors and resident memory, their slope once
the node has warmed up, and no growth. At the end the invariants hold."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, wait_for  # noqa: E402
from consortium import Consortium  # noqa: E402
from invariants import Observer, check  # noqa: E402
from load import Load, Supply, percentile  # noqa: E402

SECONDS = int(os.environ.get("SOAK_SECONDS", "900"))
PER_SECOND = 240                # so that what remembers 65,536 records (gossip.h) is full when it is warm
WARM_SHARE = 0.5              # of the time: caches fill, what is allocated settles
MEMORY_KB_PER_HOUR = 16 * 1024  # more is growth; the tree above the buckets takes some bytes for each agreement
DESCRIPTORS = 2               # between the least of the first samples and the most of the last, connections apart
# Caches that are full within the first minutes.
CONFIG = "[store]\ncache_mb = 2\nwrite_buffer_mb = 1\n[votelog]\ntruncate_mb = 1\n"


def slope(samples):
    """Least squares, per second."""
    count = len(samples)
    mean_x, mean_y = sum(x for x, _ in samples) / count, sum(y for _, y in samples) / count
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / sum((x - mean_x) ** 2 for x, _ in samples)




def test(build):
    consortium = Consortium(build, config=CONFIG)
    try:
        consortium.start()
        samples, descriptors = [[] for _ in consortium], [[] for _ in consortium]
        supply = Supply(consortium)
        with Observer(consortium) as observer, Load(consortium, supply, clients=24, per_second=PER_SECOND) as load:
            began = time.monotonic()
            while time.monotonic() < began + SECONDS:
                before = len(load.acknowledged)
                wait_for(lambda: len(load.acknowledged) >= before + PER_SECOND, "records become final", 60)
                for member in consortium:
                    samples[member.index].append((time.monotonic() - began, member.memory_kb()))
                    descriptors[member.index].append((time.monotonic() - began, member.descriptors()))
        latencies = load.latencies()
        print(f"{len(latencies)} final in {SECONDS} s, p50 {percentile(latencies, 0.5):.3f} s, p99 {percentile(latencies, 0.99):.3f} s")
        grown = []
        for member in consortium:
            warm = [sample for sample in samples[member.index] if sample[0] >= WARM_SHARE * SECONDS]
            files = [sample for sample in descriptors[member.index] if sample[0] >= WARM_SHARE * SECONDS]
            memory_slope, files_slope = slope(warm) * 3600, slope(files) * 3600
            print(f"{member.name}: memory {samples[member.index][0][1]} KiB at first, {warm[0][1]} warm, {warm[-1][1]} at last, "
                  f"slope {memory_slope:+.0f} KiB an hour; descriptors {files[0][1]} to {files[-1][1]}, slope {files_slope:+.2f} an hour; "
                  f"{len(warm)} samples", flush=True)
            third = len(files) // 3
            if memory_slope > MEMORY_KB_PER_HOUR:
                grown.append(f"{member.name}: memory")
            if min(count for _, count in files[-third:]) > min(count for _, count in files[:third]) + DESCRIPTORS:
                grown.append(f"{member.name}: descriptors")
        assert not grown, grown
        print(check(consortium, observer, load.acknowledged, load.accepted))
        consortium.stop()
    finally:
        consortium.close()


main(test)
