#!/usr/bin/python3
"""The drill: a backup is taken under load, the node's ledger is destroyed and restored, and the node goes on: nothing that was
acknowledged before the backup is missing, and everything has its place. And what a backup or a restore refuses."""
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import DEADLINE_S, main, says, wait_for  # noqa: E402
from consortium import Consortium, grant, wait_final  # noqa: E402
from load import Load, Supply  # noqa: E402

ACKNOWLEDGED = 150
KEYS = ("node.seed", "tls.key", "reader.token")


def fails(member, *arguments):
    done = member.run(*arguments, good=False)
    assert done.returncode == 1, f"{arguments}: {done.returncode} {done.stdout}{done.stderr}"
    return done.stderr


def backup(member, name, *options):
    directory = f"{member.root}/{name}"
    return directory, member.run("backup", "--data", member.data, "--to", directory, *options).stdout


def places(member, records):
    """Where each is, as the node says."""
    found = {}
    for record_id in records:
        answer = member.get(f"/v1/records/{record_id}").json()
        assert answer["status"] == "final", f"{record_id}: {answer}"
        found[record_id] = answer["log_index"]
    return found


def under_load(consortium, member):
    """Returns: the backup's directory, what was acknowledged and which withdrawals were accepted before it was begun."""
    with Load(consortium, Supply(consortium), clients=4) as load:
        wait_for(lambda: len(load.acknowledged) >= ACKNOWLEDGED, "records acknowledged")
        with load.lock:
            acknowledged, accepted = dict(load.acknowledged), set(load.accepted)
        directory, said = backup(member, "backup")
        count = len(load.acknowledged)
        wait_for(lambda: len(load.acknowledged) > count + 20, "records after the backup")
    says(said, "Height", "leaves", "not in it")
    assert accepted
    return directory, {record_id: place for record_id, (_, place) in acknowledged.items()}, accepted


def contents(member, directory):
    assert sorted(os.listdir(directory)) == ["genesis.json", "ledger.backup", "member.json", "tls.crt"], os.listdir(directory)
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(f"{member.data}/backup.sock").st_mode) == 0o600
    metrics = member.metrics()
    assert metrics["consent_backups_total"] == 1 and metrics["consent_backup_newest_timestamp_seconds"] > 1.6e9, metrics


def alone(consortium):
    member = consortium[0]
    directory, acknowledged, accepted = under_load(consortium, member)
    contents(member, directory)
    member.kill()
    shutil.rmtree(f"{member.data}/store")
    os.unlink(f"{member.data}/vote.log")
    said = member.run("restore", "--from", directory, "--data", member.data).stdout
    says(said, "Height", "checked again", "no vote log")
    says(member.start_refused(), "--new-vote-log")
    member.run("check", "--data", member.data)
    member.start("--new-vote-log")
    assert places(member, acknowledged) == acknowledged
    for record_id in accepted:
        wait_final([member], record_id)
    record_id, _, record = grant(consortium, 900001)
    assert member.post(record, wait=True).status == 201, "it does not go on"
    member.stop()


def of_four(consortium):
    """One of four loses ledger and vote log: it is restored, fetches from the others what came since, asks them how far it
    may have voted, and votes again: without it nothing would become final once another one is gone."""
    member, others = consortium[0], consortium.members[1:]
    directory, acknowledged, accepted = under_load(consortium, member)
    member.kill()
    shutil.rmtree(f"{member.data}/store")
    os.unlink(f"{member.data}/vote.log")
    later, _, record = grant(consortium, 900001)
    assert others[0].post(record, wait=True).status == 201, "three go on"
    says(member.run("restore", "--from", directory, "--data", member.data).stdout, "checked again", "fetches from the others")
    others[1].kill()
    others[2].kill()
    member.start()
    wait_for(lambda: any("lost its vote log" in sentence and "3 others" in sentence and "member-1" in sentence for sentence in member.status()["why"]),
             "it says for whom it waits")
    others[1].start()
    others[2].start()
    wait_final([member], later)
    assert places(member, acknowledged) == acknowledged == places(others[0], acknowledged)
    wait_final([member], next(iter(accepted)))
    wait_for(lambda: member.metrics()["consent_votes_awaited"] == 0, "the others have told it how far it may have voted")
    number = 910000
    while member.status()["view"] <= member.metrics()["consent_votes_barred_views"]:
        number += 1
        assert others[0].post(grant(consortium, number)[2], wait=True).status == 201
        assert number < 910050, f"it stays barred: {member.status()}"
    wait_for(lambda: not any("lost its vote log" in sentence for sentence in member.status()["why"]), "it votes")
    others[2].kill()
    record_id, _, record = grant(consortium, 900002)
    assert others[0].request("POST", "/v1/records", record, {"Content-Type": "application/cose"}).status == 202
    wait_final([member, others[0], others[1]], record_id)
    for node in (member, others[0], others[1]):
        node.stop()
    member.run("check", "--data", member.data)


def with_keys(consortium):
    """Of a stopped node, with keys: everything that it needs to run elsewhere."""
    member = consortium[0]
    directory, said = backup(member, "whole", "--with-keys")
    says(said, "keys are in it")
    assert set(KEYS) < set(os.listdir(directory))
    for name in KEYS:
        assert stat.S_IMODE(os.stat(f"{directory}/{name}").st_mode) == 0o600, name
    elsewhere = f"{member.root}/elsewhere"
    member.run("restore", "--from", directory, "--data", elsewhere)
    for name in (*KEYS, "genesis.json", "member.json", "tls.crt"):
        with open(f"{elsewhere}/{name}", "rb") as copy, open(f"{member.data}/{name}", "rb") as file:
            assert copy.read() == file.read(), name
        assert stat.S_IMODE(os.stat(f"{elsewhere}/{name}").st_mode) == stat.S_IMODE(os.stat(f"{member.data}/{name}").st_mode), name
    assert not os.path.exists(f"{elsewhere}/restoring")
    member.run("check", "--data", elsewhere)
    return directory


def refused(member, directory):
    """Each time a sentence, and nothing is left or changed."""
    target, stream = f"{member.root}/target", f"{member.root}/bad/ledger.backup"
    says(fails(member, "backup", "--data", member.data, "--to", directory), "new directory")
    says(fails(member, "restore", "--from", directory, "--data", member.data), "nothing was changed")
    says(fails(member, "restore", "--from", f"{member.root}/none", "--data", target), "no such file")
    with open(f"{directory}/ledger.backup", "rb") as file:
        whole = file.read()
    shutil.copytree(directory, f"{member.root}/bad")

    def bad(content, *words):
        with open(stream, "wb") as file:
            file.write(content)
        says(fails(member, "restore", "--from", f"{member.root}/bad", "--data", target), *words)
        assert os.listdir(target) == [], os.listdir(target)

    bad(whole[:-1], "cut or damaged")
    bad(whole + b"\0", "cut or damaged")
    bad(b"", "cut or damaged")
    for at in (20, len(whole) // 2, len(whole) - 5):
        bad(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:], "cut or damaged")
    bad(whole.replace(b"consent-backup-1", b"consent-backup-2", 1), "newer version")
    os.unlink(f"{member.root}/bad/genesis.json")
    bad(whole, "no such file")
    another = f"{member.root}/another"
    member.run("init", "--data", another, "--name", "another")
    member.run("genesis", "--origin", "other.example/log", "--out", f"{another}/genesis.json", f"{another}/member.json")
    says(fails(member, "restore", "--from", directory, "--data", another), "another network")
    shutil.copy(f"{another}/genesis.json", f"{member.root}/bad/genesis.json")
    bad(whole, "another network")
    says(fails(member, "backup", "--data", member.data, "--genesis", f"{another}/genesis.json", "--to", f"{member.root}/x"), "not of the network")
    says(fails(member, "backup", "--data", another, "--to", f"{member.root}/x"), "LevelDB")
    assert not os.path.exists(f"{member.root}/x") and not os.path.exists(f"{member.root}/x.part")


def no_room(member):
    """The disk that the backup goes to is full: a sentence, and the node does not mind."""
    done = subprocess.run([member.program, "backup", "--data", member.data, "--to", f"{member.root}/x"], capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000)))
    assert done.returncode == 1, done
    says(done.stderr, "Writing", "too large")
    assert not os.path.exists(f"{member.root}/x") and not os.path.exists(f"{member.root}/x.part")


def cut_off(member):
    """Whoever takes a backup is killed, or the node is stopped meanwhile; then each is done again."""
    for _ in range(3):
        taker = subprocess.Popen([member.program, "backup", "--data", member.data, "--to", f"{member.root}/cut"])
        wait_for(lambda: os.path.exists(f"{member.root}/cut.part") or os.path.exists(f"{member.root}/cut"), "a backup begun")
        taker.send_signal(signal.SIGKILL)
        taker.wait(timeout=DEADLINE_S)
        if os.path.exists(f"{member.root}/cut"):
            shutil.rmtree(f"{member.root}/cut")
    backup(member, "cut")
    # a reader that connects and reads nothing does not hold up a stop, nor anybody for ever
    idle = subprocess.Popen([sys.executable, "-c", "import os, socket, sys, time\nos.chdir(sys.argv[1])\ns = socket.socket(socket.AF_UNIX)\n"
                             "s.connect('backup.sock')\nprint('in', flush=True)\ntime.sleep(60)", member.data], stdout=subprocess.PIPE, text=True)
    try:
        assert idle.stdout.readline() == "in\n"
        member.stop()
    finally:
        idle.kill()
        idle.communicate(timeout=DEADLINE_S)
    assert not os.path.exists(f"{member.data}/backup.sock")


def killed_while_restoring(member, directory):
    for _ in range(3):
        restore = subprocess.Popen([member.program, "restore", "--from", directory, "--data", f"{member.root}/again"], stdout=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(f"{member.root}/again/restoring") or os.path.exists(f"{member.root}/again/store"), "a restore begun")
        restore.send_signal(signal.SIGKILL)
        restore.wait(timeout=DEADLINE_S)
        if os.path.exists(f"{member.root}/again/store"):
            shutil.rmtree(f"{member.root}/again")
    member.run("restore", "--from", directory, "--data", f"{member.root}/again")
    member.run("check", "--data", f"{member.root}/again")


def test(build):
    consortium = Consortium(build, count=1)
    try:
        member = consortium.start()[0]
        alone(consortium)
        directory = with_keys(consortium)
        refused(member, directory)
        killed_while_restoring(member, directory)
        member.start()
        no_room(member)
        cut_off(member)
    finally:
        consortium.close()
    consortium = Consortium(build, count=4)
    try:
        consortium.start()
        of_four(consortium)
    finally:
        consortium.close()


if __name__ == "__main__":
    main(test)
