#!/usr/bin/python3
"""Anna's laptop is gone, with everything on it. From her 24 words and the stick that she brought up to date a while ago, a new
machine has agreements, texts, vault, contacts and mailboxes: what was left for her meanwhile arrives, nothing arrives twice, and
the keys that a thief may have are replaced. From the words alone there is less, and each step says what."""
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from consent_node import main, says  # noqa: E402
from scene import Party, Scene, read_all  # noqa: E402


class Machine(Party):
    """Another machine of the same person: nothing but what she carried there."""

    def __init__(self, scene, name, home, *carried):
        self.scene, self.name, self.home, self.told = scene, name, home, []
        self.folder = f"{scene.root}/{name}"
        os.mkdir(self.folder)
        self.write("passphrase", "another passphrase\n")
        for path in carried:
            (shutil.copytree if os.path.isdir(path) else shutil.copy)(path, f"{self.folder}/{os.path.basename(path)}")


def everyday(scene, anna, shops):
    """Agreements with two shops, each with contacts; a stick; and what happened after the stick was written."""
    anna.write("words", " ".join(re.findall(r"\d+ ([a-z]+)", anna.told[0].split("shown this once")[1])[:24]))
    anna.write_terms()
    for shop in shops:
        shop.consent("profile", shop.name, "--display", shop.name)
        scene.agreement(anna, shop, shop.name, "anna")
    for shop in shops:
        anna.consent("contact", shop.name, "-o", f"{shop.name}.contact")
        anna.hand_over(f"{shop.name}.contact", shop)
        shop.consent("import", f"{shop.name}.contact")
        shop.consent("contact", "anna", "-o", "own.contact")
        anna.write(f"{shop.name}.own", shop.read("own.contact"))
        anna.consent("import", f"{shop.name}.own")
    anna.write("mail", "anna@example.org\n")
    anna.consent("vault", "put", "email", "--category", "pd:EmailAddress", "mail")
    deliver(shops[0], "before the stick")
    anna.consent("inbox")
    anna.consent("key", "backup", "-o", "stick.backup")


def deliver(shop, text):
    shop.write("letter", text)
    shop.consent("deliver", "anna", "letter", "--slot", "1")


def letters(party):
    folder = f"{party.folder}/wallet.received"
    return sorted(read_all(f"{folder}/{name}").decode() for name in os.listdir(folder)) if os.path.isdir(folder) else []


def from_stick(scene, anna, shops):
    """Agreements, texts, contacts, vault, mailboxes."""
    new = Machine(scene, "new", anna.home, *(f"{anna.folder}/{name}" for name in ("words", "stick.backup", "stick.store")))
    said = new.consent("key", "recover", "--words-file", "words", "--backup", "stick.backup")
    says(said, "2 entries and 1 vault item are back", "consent list --refresh", "consent inbox")
    new.consent("list", "--refresh")
    assert new.consent("vault", "show", "email").endswith("anna@example.org\n")
    new.consent("check", "--offline", "bakery", expected=3)  # no proof was kept; but the trust file is there
    assert read_all(f"{new.folder}/wallet.policy") == read_all(f"{anna.folder}/wallet.policy")
    new.consent("inbox")
    assert letters(new) == ["from the mill", "while she had no laptop"], letters(new)
    new.write("answer", "I am back")
    new.consent("deliver", "bakery", "answer", "--slot", "1")
    shops[0].consent("inbox")
    assert letters(shops[0])[-1:] == ["I am back"]
    return new


def a_thief(scene, anna, new, shops):
    """Whoever has the laptop, and its passphrase, can do nothing under agreements whose keys were replaced; and what is sealed
    from then on is not for him. anna: the laptop."""
    deliver(shops[0], "to her old key")
    says(new.consent("rotate", "bakery"), "The other side is told your new key, and a new mailbox")
    scene.settled()
    anna.consent("revoke", "bakery", expected=4)
    says(shops[0].consent("inbox"), "the other side can be reached")
    deliver(shops[0], "to her new key")
    anna.consent("inbox")
    assert "to her new key" not in letters(anna), letters(anna)
    assert "CL_E_DELIVERY_KEY" not in anna.told[-1], "the thief looks into the new mailbox"
    new.consent("inbox")
    assert "to her new key" in letters(new), letters(new)


def made_after_the_stick(new):
    """Its key follows from the words and the name."""
    assert "pharmacy" not in new.consent("list", "--refresh")
    new.consent("key", "new", "--name", "pharmacy", "--uri", "consent:relationship/pharmacy")
    says(new.consent("list", "--refresh"), "1 entry was found", "pharmacy           given")


def from_the_words(scene, anna, shops):
    """No stick at all: agreements by their names, and mailboxes by theirs; texts, contacts and vault do not come back."""
    poor = Machine(scene, "poor", anna.home, f"{anna.folder}/words")
    says(poor.consent("key", "recover", "--words-file", "words"), "0 keys, 0 entries", "the names", "--list FILE")
    for name in os.listdir(poor.folder):
        if name.startswith("wallet"):
            (shutil.rmtree if os.path.isdir(f"{poor.folder}/{name}") else os.unlink)(f"{poor.folder}/{name}")
    poor.write("names", "mill\nbakery\n")
    says(poor.consent("key", "recover", "--words-file", "words", "--list", "names"), "4 keys, 0 entries and 0 vault items", "consent contact NAME", "consent import")
    said = poor.consent("list", "--refresh")
    says(said, "2 entries were found", "mill               given", "bakery             given")  # though the bakery's key was replaced
    says(poor.consent("inbox", expected=3), "consent contact")
    deliver(shops[1], "for the poor machine")
    poor.consent("contact", "mill", "-o", "mill.contact")
    says(poor.consent("inbox"), "20 bytes")
    assert "for the poor machine" in letters(poor)
    poor.consent("vault", "show", "email", expected=3)
    poor.consent("terms", "show", "mill", expected=3)  # the text was on the stick only
    poor.consent("revoke", "mill")
    scene.settled()
    shops[1].consent("check", "anna", "--slot", "1", expected=11)


def test(build):
    with Scene(build) as scene:
        anna = scene.party("anna", 2)
        shops = [scene.party("bakery", 1), scene.party("mill", 3), scene.party("pharmacy", 0)]
        everyday(scene, anna, shops[:2])
        deliver(shops[0], "after the stick")
        anna.consent("inbox")
        shops[2].consent("profile", "pharmacy", "--display", "Pharmacy")
        scene.agreement(anna, shops[2], "pharmacy", "anna")
        deliver(shops[0], "while she had no laptop")
        deliver(shops[1], "from the mill")
        new = from_stick(scene, anna, shops)
        made_after_the_stick(new)
        a_thief(scene, anna, new, shops)
        from_the_words(scene, anna, shops)


main(test)
