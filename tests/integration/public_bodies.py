#!/usr/bin/python3
"""Public bodies on a consortium of four: put by who has the object's key, when the body is what the ledger commits to; shown at
every node; bounded; gone from files and copies after they were taken away, closed, changed or forgotten; what was acknowledged
outlives kill -9; a node that shows what does not fit is not believed."""
import glob
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, now_ms, says, wait_for  # noqa: E402
from consortium import Consortium, wait_final  # noqa: E402
from public import OCTETS, PROFILE, Owner, Party, listed  # noqa: E402

COPY_S = 3
CONFIG = f"[public]\ncopy_s = {COPY_S}\nbodies_max = 90\nbytes_max = 1000000\nputs_per_s = 40\nbody_days = 30\n"


def files_with(node, needle):
    return [path for path in glob.glob(f"{node.root}/**", recursive=True) if os.path.isfile(path) and needle in open(path, "rb").read()]


def everywhere(consortium, owner, there=True):
    """Every node shows it as its home's, or none does."""
    for node in consortium:
        wait_for(lambda: (owner.id in listed(node, owner.home)) == there, f"{owner.id[:8]} {'' if there else 'not '}on {node.name}", COPY_S + 2)


class Impostor:
    """Names one key and signs with another."""

    def __init__(self, key, signer):
        self.key, self.sign = key, signer.sign


def put_and_shown(consortium):
    """Each node is the home of some; all show all, byte for byte, and the fields that were left out are nowhere."""
    terms, profile = Owner(consortium[0]).publish(), Owner(consortium[1], {"age": "forty to fifty", "town": "Nowhere-on-Sea"}, PROFILE).publish()
    assert terms.put().status == 201 and terms.put().status == 200, "the same bytes once more"
    shown = profile.file(shown=[0])
    assert profile.put(shown).status == 201
    for node in consortium:
        wait_final([node], profile.record_id.hex())
        wait_for(lambda: listed(node, consortium[0]) == {terms.id: terms.file()}, f"as {node.name} shows it", COPY_S + 8)
        wait_for(lambda: listed(node, consortium[1]) == {profile.id: shown}, f"as {node.name} shows it", COPY_S + 8)
        assert listed(node, consortium[2]) == {}
        assert files_with(node, b"forty to fifty") == ([f"{node.data}/public/{profile.id}.consent-public"] if node is consortium[1] else [])
        assert not files_with(node, b"Nowhere-on-Sea")
    for wanted in ("node=nobody", "cursor=12"):
        assert consortium[0].get(f"/v1/public?{wanted}").status in (400, 404)
    return terms, profile


def refusals(consortium, terms, profile):
    home = terms.home
    agreement = consortium.record("grant", 7, 1, 8, now_ms())
    assert home.post(agreement[2], wait=True).status == 201

    def refused(status, code, *arguments, owner=terms, **named):
        answer = owner.put(*arguments, **named)
        assert (answer.status, answer.json()["code"]) == (status, code), answer
        return answer

    refused(409, "CL_E_BODY", terms.file(salt=os.urandom(32)))
    refused(409, "CL_E_BODY", terms.file(object=profile.object))
    other, stranger = Owner(home), Party("somebody else")
    refused(409, "CL_E_BODY", terms.file(fields=other.fields))
    refused(400, "CL_E_FORMAT", terms.file(shown=[]))
    refused(400, "CL_E_FORMAT", terms.file(reception=[bytes(32), "a/b", bytes(32), 0]))
    # what the owner gave somebody is not what the owner published
    refused(409, "CL_E_PARTY", terms.file(signer=stranger))
    refused(409, "CL_E_SIGNATURE", terms.file(signer=Impostor(terms.party.key, stranger)))
    refused(409, "CL_E_NETWORK", terms.file(network=bytes(32)))
    refused(409, "CL_E_TIME_AHEAD", terms.file(made_ms=now_ms() + 300_000))
    refused(409, "CL_E_TIME_OLD", terms.file(made_ms=now_ms() - 31 * 86_400_000))
    for cut in (0, 1, 40, len(terms.file()) - 1):
        assert terms.put(terms.file()[:cut]).status == 400
    assert terms.put(terms.file() + b"\0").status == 400
    refused(413, "CL_E_BOUND", bytes(65537))
    refused(404, "CL_E_NO_OBJECT", owner=other)
    assert home.request("PUT", f"/v1/public/{agreement[1]}", b"x", {**OCTETS, **terms.headers()}).status == 404, "an agreement has no key to sign with"
    assert home.request("PUT", terms.path, terms.file(), terms.headers()).status == 415
    # who may
    used = terms.headers()
    assert terms.put(headers=used).status == 200
    says(refused(401, "CL_E_LOCKED", headers=used).json()["detail"], "fresh challenge")
    assert terms.take_away(used).status == 401
    for headers in (terms.headers(signer=stranger), terms.headers(nonce="00" * 32), profile.headers(), {"x": "y"}, terms.headers(home=consortium[3])):
        refused(401, "CL_E_LOCKED", headers=headers)
        assert terms.take_away(headers).status == 401
    assert home.request("DELETE", "/v1/public/12", headers=terms.headers()).status == 400
    assert listed(home) == {terms.id: terms.file()}, "nothing of that changed anything"


def gone(consortium, owner, needle, how):
    """Within copy_s and a little: shown nowhere, and in no file."""
    everywhere(consortium, owner)
    how()
    wait_for(lambda: owner.id not in listed(owner.home), "not shown at home", 5)
    wait_for(lambda: not any(files_with(node, needle) for node in consortium), "in no file", 10)
    everywhere(consortium, owner, there=False)


def taken_away(consortium):
    home = consortium[2]

    def fresh(kind=2, **named):
        needle = os.urandom(24)
        owner = Owner(home, {"title": needle}, kind).publish(**named)
        assert owner.put().status == 201
        return owner, needle

    owner, needle = fresh()
    gone(consortium, owner, needle, lambda: owner.take_away().json()["deleted"] == 1 or 1 / 0)
    assert owner.take_away().json()["deleted"] == 0, "once more is no error"
    owner, needle = fresh()
    gone(consortium, owner, needle, owner.close)
    assert owner.put().json()["code"] == "CL_E_CLOSED"
    owner, needle = fresh()
    gone(consortium, owner, needle, owner.succeed)
    owner, needle = fresh(kind=PROFILE)
    gone(consortium, owner, needle, owner.replace)
    assert owner.put().status == 201, "what it commits to now may be shown again"
    wait_for(lambda: owner.id in listed(home), "shown")
    owner, needle = fresh(until=now_ms() // 1000 + 8)
    gone(consortium, owner, needle, lambda: time.sleep(8))
    # fields that are shown no more are in no file either
    needle = os.urandom(24)
    owner = Owner(home, {"title": needle, "town": "somewhere"}, PROFILE).publish()
    assert owner.put().status == 201 and files_with(home, needle)
    assert owner.put(owner.file(shown=[1])).status == 201
    assert not files_with(home, needle)
    assert listed(home)[owner.id] == owner.file(shown=[1])


def restart_keeps(consortium):
    """What was acknowledged is there after kill -9 at any moment; what a crash leaves half written is not; what was not put again in time goes."""
    home, acknowledged = consortium[3], []
    owners = [Owner(home).publish() for _ in range(12)]

    def put_all():
        for owner in owners:
            try:
                if owner.put().status == 201:
                    acknowledged.append(owner)
            except OSError:
                return

    thread = threading.Thread(target=put_all)
    thread.start()
    wait_for(lambda: len(acknowledged) >= 5, "some are acknowledged")
    home.kill()
    thread.join()
    left = owners[-1]
    with open(f"{home.data}/public/{left.id}.consent-public.new", "wb") as file:
        file.write(left.file()[:50])
    half = Owner(consortium[0])
    with open(f"{home.data}/public/{half.id}.consent-public", "wb") as file:
        file.write(bytes(100))
    home.start()
    found = listed(home)
    assert all(found[owner.id] == owner.file() for owner in acknowledged) and half.id not in found
    assert not os.path.exists(f"{home.data}/public/{half.id}.consent-public") and not glob.glob(f"{home.data}/public/*.new")
    says(home.log(), "public_bodies_removed", "count=1")
    old = Owner(home).publish()
    assert old.put(old.file(made_ms=now_ms() - 30 * 86_400_000 + 6000)).status == 201
    assert old.id in listed(home)
    wait_for(lambda: old.id not in listed(home), "not signed again within body_days", 15)
    wait_for(lambda: not files_with(home, old.salt), "nor in a file", 5)


def bounds(consortium):
    """A flood of one's own objects fills this node's room and no other's; the ledger goes on."""
    home = consortium[1]
    have = len(listed(home))
    owners = [Owner(home, {"title": "x" * 7900}).publish(limit=3) for _ in range(90 - have + 3)]
    assert sum(len(owner.file()) for owner in owners) < 1000000
    answers = []
    for owner in owners:
        answer = owner.put()
        while answer.status == 429:
            assert int(answer.headers["Retry-After"]) >= 1
            time.sleep(0.2)
            answer = owner.put()
        answers.append(answer.status)
    assert answers == [201] * (90 - have) + [507] * 3, answers
    assert owners[0].put(owners[0].file()).status == 200, "what is there may be put again"
    shown = listed(home)
    assert len(shown) == 90
    for node in consortium:
        wait_for(lambda: listed(node, home) == shown, f"all pages of a full node at {node.name}", COPY_S + 8)
    large = [Owner(home, {f"f{number}": "y" * 8000 for number in range(8)}).publish() for _ in range(2)]
    assert owners[0].take_away().status == owners[1].take_away().status == 200
    for owner in large:
        assert owner.put().status == 201
    assert len(large[0].file()) > 64000
    assert consortium[0].get("/v1/status").json()["members"] == 4
    metrics = home.metrics()
    assert metrics["consent_public_bodies"] == 90 and metrics["consent_public_refused_total"] >= 3, metrics
    assert all(node.metrics()["consent_public_copied_bytes"] <= 64 * 200 * 1024 for node in consortium)


def too_fast(consortium):
    home = consortium[0]
    owner = Owner(home).publish()
    headers = [owner.headers() for _ in range(400)]
    seen = []

    def put(some):
        connection = home.connect()
        for each in some:
            seen.append(home.request("PUT", owner.path, owner.file(), {**OCTETS, **each}, connection).status)
        connection.close()

    threads = [threading.Thread(target=put, args=(headers[place::8],)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {200, 201, 429} and seen.count(201) == 1, f"{[(status, seen.count(status)) for status in set(seen)]}"
    # whoever asks for pages that there are not, to have other nodes asked each time, is slowed down, and no other
    flood = [threading.Thread(target=lambda: [home.get(f"/v1/public?node={consortium[2].name}&cursor={os.urandom(32).hex()}") for _ in range(60)]) for _ in range(8)]
    for thread in flood:
        thread.start()
    record = consortium.record("grant", 9, 9, 8, now_ms())
    assert home.post(record[2], wait=True).status == 201
    for thread in flood:
        thread.join()
    assert home.metrics()["consent_public_waiting_jobs"] == 0 or wait_for(lambda: home.metrics()["consent_public_waiting_jobs"] == 0, "nobody waits")
    assert len(listed(home, consortium[2])) == len(listed(consortium[2]))


def liar(consortium):
    """A node whose file was changed behind it: a body of another commitment, then no body at all."""
    bad, good = consortium[0], consortium[2]
    owner = Owner(bad).publish()
    assert owner.put().status == 201
    everywhere(consortium, owner)
    path, whole = f"{bad.data}/public/{owner.id}.consent-public", owner.file()

    def change(at, data):
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(data)

    change(whole.index(owner.salt), os.urandom(32))
    wait_for(lambda: owner.id not in listed(good, bad), "left out: the ledger does not commit to that", COPY_S + 8)
    wait_for(lambda: good.metrics()["consent_public_unfit_bodies_total"] >= 1, "it is counted", COPY_S + 8)
    assert len(listed(good, bad)) >= 1, "the others are shown"
    change(0, whole)
    everywhere(consortium, owner)
    change(len(whole) - 1, bytes([whole[-1] ^ 1]))  # as a reception of its own would be under no signature of the owner's
    wait_for(lambda: owner.id not in listed(good, bad), "left out: its owner did not sign that", COPY_S + 8)
    change(0, os.urandom(32))
    wait_for(lambda: good.get(f"/v1/public?node={bad.name}").status == 503, "an answer that is no answer", COPY_S + 8)
    assert good.get(f"/v1/public?node={consortium[1].name}").status == 200
    bad.stop()
    answer = wait_for(lambda: (lambda got: got if got.status == 503 else None)(good.get(f"/v1/public?node={bad.name}")), "it is away", COPY_S + 30)
    says(answer.json()["detail"], "cannot be reached", "not in the list")
    bad.start()
    wait_for(lambda: good.get(f"/v1/public?node={bad.name}").status == 200, "it is back", 30)


def none_here(consortium):
    node = consortium[3]
    node.stop()
    node.write_config("[public]\nbodies_max = 0\n")
    node.start()
    owner = Owner(node).publish()
    assert owner.put().status == 404
    assert listed(node) == {} and len(listed(node, consortium[1])) == len(listed(consortium[1]))


def test(build):
    consortium = Consortium(build, config=CONFIG)
    try:
        consortium.start()
        terms, profile = put_and_shown(consortium)
        refusals(consortium, terms, profile)
        taken_away(consortium)
        restart_keeps(consortium)
        liar(consortium)
        bounds(consortium)
        too_fast(consortium)
        none_here(consortium)
        consortium.stop()
    except BaseException:
        consortium.tell()
        raise
    finally:
        consortium.close()


main(test)
