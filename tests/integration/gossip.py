#!/usr/bin/python3
"""Gossip between real nodes: with four every record goes once to each, with nine every record is fetched once by each; and
whoever lost what was sent to it fetches it when it is announced again."""
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, now_ms, wait_for  # noqa: E402
from consortium import LINKS_PORT, Consortium  # noqa: E402

RECORDS = 300
FEW = RECORDS // 10


def counted(member, name):
    return int(member.metrics()[f"consent_{name}"])


def linked(consortium):
    """Has each node dialled each other one, for frames and for questions? Then nobody falls behind and catches up by blocks."""
    count = {}
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in list(file)[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == "01":
                count[local] = count.get(local, 0) + 1
    for member in consortium:
        address = f"{int.from_bytes(socket.inet_aton(consortium.network.host(member.index)), sys.byteorder):08X}"
        for port in (LINKS_PORT, LINKS_PORT + 1):
            if count.get(f"{address}:{port:04X}", 0) < len(list(consortium)) - 1:
                return False
    return True


def post(consortium, targets, first, count):
    """count records, in turn to each of the targets; how many each got."""
    posted = {member.index: 0 for member in consortium}
    connections = {member.index: member.connect() for member in targets}
    for number in range(first, first + count):
        member = targets[number % len(targets)]
        record = consortium.record("grant", number, 1, 2, now_ms())[2]
        answer = member.post(record, connection=connections[member.index])
        assert answer.status == 202, answer
        posted[member.index] += 1
    for connection in connections.values():
        connection.close()
    return posted


def wait_all_final(consortium, count):
    for member in consortium:
        wait_for(lambda: counted(member, "records_final_total") >= count, f"{count} records final on {member.name}", 60)


def each_record_travels_once(build, nodes, by_request):
    consortium = Consortium(build, count=nodes)
    try:
        consortium.start()
        wait_for(lambda: linked(consortium), "all nodes are linked", 60)
        posted = post(consortium, list(consortium), 1, RECORDS)
        wait_all_final(consortium, RECORDS)
        for member in consortium:
            own, others = posted[member.index], RECORDS - posted[member.index]
            seen = {name: counted(member, f"gossip_{name}_records_total")
                    for name in ("sent", "announced", "fetched", "received", "duplicate", "overdue", "dropped", "unserved")}
            told = {"sent": 0, "announced": own} if by_request else {"sent": own, "announced": 0}
            said = f"{nodes} nodes, {member.name}, {own} own: {seen}"
            assert {name: seen[name] for name in told} == told, said
            # A proposal that overtakes some records asks for them: those are known when gossip brings them, or need not be asked for.
            assert seen["duplicate"] <= FEW and seen["overdue"] <= FEW and seen["dropped"] == 0 and seen["unserved"] == 0, said
            if by_request:
                assert others - FEW <= seen["fetched"] <= others and seen["received"] <= seen["fetched"], said
            else:
                assert seen["fetched"] == 0 and seen["received"] == others, said
            wait_for(lambda: counted(member, "gossip_missing_records") == 0, f"nothing is missing on {member.name}")
        consortium.stop()
    finally:
        consortium.close()


def what_a_node_lost_is_fetched(build):
    """Two of four: nothing becomes final, so records wait. One of the two is killed and forgets them."""
    consortium = Consortium(build)
    try:
        first, second = consortium[0], consortium[1]
        first.start()
        second.start()
        consortium.maker.network(first.network_id())
        post(consortium, [first], 1, 50)
        wait_for(lambda: counted(second, "pool_records") == 50, "records reach the second node", 30)
        second.kill()
        second.start()
        wait_for(lambda: counted(second, "pool_records") == 50, "records reach it again", 30)
        assert counted(second, "gossip_fetched_records_total") == 50, second.metrics()
        assert counted(first, "gossip_repeated_records_total") >= 50, first.metrics()
        for member in (consortium[2], consortium[3]):
            member.start()
        wait_all_final(consortium, 50)
        consortium.stop()
    finally:
        consortium.close()


def test(build):
    each_record_travels_once(build, 4, False)
    each_record_travels_once(build, 9, True)
    what_a_node_lost_is_fetched(build)


main(test)
