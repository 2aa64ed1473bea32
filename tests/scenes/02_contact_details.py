#!/usr/bin/python3
"""Scene 2, contact details that stay right. Anna and Ben get each other's phone number and e-mail address by one command each, Carl has
Anna's e-mail address only. Anna changes her number: one command. Ben, who waits for it, has it within seconds; when he was away
he has it on return; Carl learns nothing, and neither does any node: there is no record of it, and no byte of the number, of the
names of her data, or of salts."""
import glob
import json
import os
import queue
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, says  # noqa: E402
from scene import CONTACT_TERMS, Scene, read_all, secrets_of  # noqa: E402

SECONDS = 3.0  # from the end of Anna's command until Ben's program has the number
OLD, NEW, LATER, BENS = "+31 6 1111 1111", "+31 6 2222 2222", "+31 6 3333 3333", "+44 20 7946 0000"


def keeps(party, phone):
    party.write("phone.txt", phone)
    party.write("email.txt", f"{party.name}@example.org")
    party.consent("vault", "put", "mobile", "--category", "pd:TelephoneNumber", "phone.txt")
    party.consent("vault", "put", "mail", "--category", "pd:EmailAddress", "email.txt")


def publishes(party):
    """Terms under which both data items are shared with whoever comes; the same is asked for in return."""
    party.write("me.txt", CONTACT_TERMS)
    party.consent("terms", "publish", "me.txt", "--limit", "10", "--standing", "--in-return", "--until", "2099-12-31", "--name", "friends", "-o", f"{party.name}.consent-offer")
    party.scene.settled()
    says(party.consent("vault", "share", "mobile", "friends"), "everybody under 'friends', also with those to come, slot 2 (phone)")
    says(party.consent("vault", "share", "mail", "--all"), "everybody under 'friends'")


def connect(scene, anna, ben):
    """Ben's one command takes up Anna's terms and gives her the same; her inbox accepts that, and tells him what he may know; his
    gives her his. Returns the id of the agreement under her terms."""
    anna.hand_over("anna.consent-offer", ben)
    agreement = ben.ask("subscribe", "anna", "--offer", "anna.consent-offer", "--in-return", "same")["object"]
    scene.settled()
    says(anna.consent("inbox"), "friends.1: the other side can be reached", "accepted as 'friends.1.return'", "'mobile': told 1 of 1: friends.1", "'mail': told 1 of 1")
    scene.settled()
    says(ben.consent("inbox"), "anna: the other side can be reached", "anna.return: the other side can be reached")
    for item in ("mobile", "mail"):
        says(ben.consent("vault", "share", item, "--all"), f"'{item}': told 1 of 1: anna.return")
    anna.consent("inbox")
    return agreement


def grants_email_only(scene, anna, carl):
    key = carl.ask("key", "list")["keys"][0]["did"]
    anna.consent("grant", "carl", "--to", key, "--terms", "me.txt", "--slots", "1", "-o", "carl.consent-offer")
    anna.hand_over("carl.consent-offer", carl)
    scene.settled()
    carl.consent("subscribe", "--offer", "carl.consent-offer", "--key", "carl", "--name", "anna")
    scene.settled()
    anna.consent("inbox")
    says(anna.consent("vault", "share", "mail", "--all"), "'mail' is shared with 'carl'", "'mail': told 1 of 1: carl")
    says(anna.consent("vault", "share", "mobile", "--all"), "no slot for pd:TelephoneNumber: carl", "as it was")
    anna.consent("vault", "share", "mobile", "carl", "--slot", "1", expected=1)  # a number is no e-mail address


def got(party, folder="wallet.received"):
    path = f"{party.folder}/{folder}"
    return sorted(read_all(f"{path}/{name}").decode() for name in os.listdir(path)) if os.path.isdir(path) else []


class Follower:
    """consent inbox --follow: what arrives, with the moment."""

    def __init__(self, party):
        self.arrived = queue.Queue()
        self.process = party.start("inbox", "--follow", "--json", "--to", "live")
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.arrived.put((time.monotonic(), json.loads(line)))

    def stop(self):
        self.process.kill()
        self.process.wait()


def changes(anna, number):
    """One command. Returns the moment at which it has ended."""
    anna.write("new.txt", number)
    says(anna.consent("vault", "change", "mobile", "new.txt"), "'mobile': told 1 of 1")
    return time.monotonic()


def records(scene):
    scene.settled()
    return [member.checkpoint()[0] for member in scene]


def test(build):
    with Scene(build) as scene:
        anna, ben, carl = scene.party("anna", 2), scene.party("ben", 1), scene.party("carl", 3)
        keeps(anna, OLD)
        keeps(ben, BENS)
        publishes(anna)
        agreement = connect(scene, anna, ben)
        grants_email_only(scene, anna, carl)
        ben.consent("inbox")
        carl.consent("inbox")
        assert got(ben) == [OLD, "anna@example.org"] and got(carl) == ["anna@example.org"], (got(ben), got(carl))
        assert got(anna) == [BENS, "ben@example.org"], got(anna)
        before = records(scene)
        follower = Follower(ben)
        ended = changes(anna, NEW)
        moment, told = follower.arrived.get(timeout=30)
        print(f"Ben's program has the number {moment - ended:+.2f} s after the end of Anna's command")
        assert moment - ended < SECONDS and told["kind"] == "change" and told["slot"] == 2, told
        assert got(ben, "live") == [NEW]
        follower.stop()
        changes(anna, LATER)  # he is away
        told = ben.consent("inbox", "--show")
        says(told, f"anna: phone is now {LATER}")
        assert got(ben) == sorted([OLD, "anna@example.org", LATER])
        says(carl.consent("inbox"), "Nothing has arrived")
        assert got(carl) == ["anna@example.org"]
        says(anna.consent("vault", "list"), "friends.1 has it", "friends.1 and carl have it")
        assert records(scene) == before, "there is a record of it"
        secrets = secrets_of(f"{anna.folder}/anna.consent-offer") | secrets_of(f"{anna.folder}/carl.consent-offer")
        scene.nodes_lack(*secrets, OLD, NEW, LATER, "anna@example.org", "mobile", but_have=agreement)
        for party in (anna, ben, carl):
            kept = b"".join(read_all(path) for path in glob.glob(f"{party.folder}/wallet.*/**", recursive=True) if os.path.isfile(path) and "received" not in path)
            assert NEW.encode() not in kept and LATER.encode() not in kept, f"{party.name}'s wallet has it in clear"


main(test)
