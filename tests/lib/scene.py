"""What the scenes of tests/scenes share: a consortium of four, people and organisations with a wallet each and a member whose
node they use, and the search for bytes that nodes must not have."""
import contextlib
import glob
import json
import os
import struct
import subprocess

import cbor2

from consent_node import DEADLINE_S, wait_for
from consortium import Consortium


# What two persons let each other have: e-mail address and phone number.
CONTACT_TERMS = """proffered-by: customer
title: How to reach me
language: en
withdraw: at any time, with one signed record, at any node

[slot 1 email]
category: pd:EmailAddress
purposes: dpv:ServiceProvision

[slot 2 phone]
category: pd:TelephoneNumber
purposes: dpv:ServiceProvision
"""


class Party:
    """Somebody with a wallet. A wrong exit status ends the scene with what was said."""

    def __init__(self, scene, name, home):
        self.scene, self.name, self.home = scene, name, home
        self.folder = f"{scene.root}/{name}"
        os.mkdir(self.folder)
        with open(f"{self.folder}/passphrase", "w", encoding="ascii") as file:
            file.write(os.urandom(16).hex())
        self.told = []  # what each command says to a person, for reading aloud
        self.consent("key", "new", "--name", name, "--no-ask")

    def environment(self, home=None):
        node = (home or self.home).url
        return {**os.environ, **self.scene.clock, "CONSENT_WALLET": f"{self.folder}/wallet", "CONSENT_PASSPHRASE_FILE": f"{self.folder}/passphrase",
                "CONSENT_NODE": node, "XDG_CONFIG_HOME": self.folder, "XDG_DATA_HOME": self.folder}

    def consent(self, *words, expected=0, home=None):
        """home: the node of another member for once. expected None: any exit status. Returns what was said."""
        done = subprocess.run([f"{self.scene.build}/consent", *words], capture_output=True, text=True, timeout=4 * DEADLINE_S, cwd=self.folder,
                              env=self.environment(home), stdin=subprocess.DEVNULL, check=False)
        self.told.append(f"$ consent {' '.join(words)}\n{done.stderr}{done.stdout}")
        assert expected is None or done.returncode == expected, f"{self.name}: exit status {done.returncode}, {expected} was due\n{self.told[-1]}"
        return done.stderr + done.stdout

    def ask(self, *words, expected=0):
        """The same, as a program would: the result as JSON."""
        done = subprocess.run([f"{self.scene.build}/consent", *words, "--json"], capture_output=True, text=True, timeout=4 * DEADLINE_S, cwd=self.folder,
                              env=self.environment(), stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == expected, f"{self.name}: consent {words}: {done.returncode} {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def start(self, *words):
        """A command that goes on: a process with a pipe to what it says."""
        process = subprocess.Popen([f"{self.scene.build}/consent", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder,
                                   env=self.environment(), stdin=subprocess.DEVNULL)
        self.scene.leaving.callback(end, process)
        return process

    def write(self, name, content):
        with open(f"{self.folder}/{name}", "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())

    def read(self, name):
        return read_all(f"{self.folder}/{name}")

    def write_terms(self):
        """terms.txt, as `consent terms new` begins them: slot 1 e-mail, slot 2 purchases."""
        self.write("terms.txt", self.consent("terms", "new"))

    def hand_over(self, name, other):
        """A file, or a folder of files, goes to somebody as it would by mail."""
        if not os.path.isdir(f"{self.folder}/{name}"):
            other.write(name, self.read(name))
            return
        os.mkdir(f"{other.folder}/{name}")
        for each in os.listdir(f"{self.folder}/{name}"):
            self.hand_over(f"{name}/{each}", other)


def read_all(path):
    with open(path, "rb") as file:
        return file.read()


def end(process):
    process.kill()
    process.communicate(timeout=DEADLINE_S)


class Scene(Consortium):
    def __init__(self, build, config=""):
        super().__init__(build, 4, config=config)
        self.clock, self.leaving = {}, contextlib.ExitStack()
        self.start()

    def party(self, name, home):
        return Party(self, name, self[home])

    def agreement(self, customer, organisation, called, known_as, *more):
        """The customer grants to the organisation's profile, which bears its name, on terms.txt, and it subscribes. called, known_as:
        what the two call it; more: options of both. Returns its id."""
        profile, offer = organisation.ask("show", organisation.name)["object"], f"{called}.consent-offer"
        self.settled()
        agreement = customer.ask("grant", called, "--to", profile, "--terms", "terms.txt", "--until", "2099-12-31", "-o", offer, *more)["object"]
        customer.hand_over(offer, organisation)
        self.settled()
        organisation.consent("subscribe", "--offer", offer, "--as", organisation.name, "--name", known_as, *more)
        self.settled()
        return agreement

    def settled(self):
        """Everything that is final somewhere is so everywhere."""
        wait_for(lambda: len({member.checkpoint()[:2] for member in self}) == 1, "the same checkpoint on all")

    def later(self, days):
        """The machine's clock goes forward, and all nodes are started again: years pass between two acts."""
        library, offset = f"{self.root}/clock_shift.so", f"{self.root}/clock"
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration", "clock_shift.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True, timeout=60)
        with open(offset, "wb") as file:
            file.write(struct.pack("=q", days * 86_400_000))
        self.stop()
        self.clock = {"LD_PRELOAD": library, "CLOCK_SHIFT_FILE": offset, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        for member in self:
            member.environment = {**os.environ, **self.clock}
        for member in self:
            member.start()

    def nodes_lack(self, *needles, but_have):
        """No file of any node holds any of these, in bytes or, for what is no text, in hexadecimal digits. but_have: the id of an
        object, which every node has: so the search does find what is there."""
        for member in self:
            everything = b"\n".join(read_all(path) for path in glob.glob(f"{member.root}/**", recursive=True) if os.path.isfile(path))
            assert bytes.fromhex(but_have) in everything, f"{member.name} lacks {but_have}"
            for needle in needles:
                forms = [needle.encode()] if isinstance(needle, str) else [needle, needle.hex().encode()]
                assert len(forms[0]) >= 5, f"{needle!r} may stand anywhere by chance"
                assert not any(form in everything for form in forms), f"{member.name} holds {needle!r}"

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.tell()
        self.close()

    def close(self):
        if hasattr(self, "leaving"):
            self.leaving.close()
        super().close()


def secrets_of(offer_file):
    """Everything in an offer that only the two sides may have: salts, digests, and every text of the terms. What the ledger
    shows as well, network and object, and the audience's salt once somebody has answered, is not among it."""
    with open(offer_file, "rb") as file:
        offer = cbor2.loads(file.read())
    public = {offer[2], offer[3], offer[5]}
    if offer[7] is not None:
        public.add(offer[7][2])  # the mailbox that the home node keeps
    found = set()

    def walk(value):
        if isinstance(value, bytes):
            if len(value) in (16, 32):
                found.add(value)
            else:
                with contextlib.suppress(Exception):
                    walk(cbor2.loads(value))
        elif isinstance(value, str):
            if len(value) >= 12 and not value.isalpha():  # names of fields are everybody's
                found.add(value)
        elif isinstance(value, list):
            for part in value:
                walk(part)

    walk(offer[6:])
    return found - public
