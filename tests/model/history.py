#!/usr/bin/python3
"""Random histories of records, applied by the rules (build/programs/rules_driver) and by the model in step: after every
record both must have accepted or refused it, and changed the same state values to the same bytes.

usage: history.py DRIVER [--records N] [--seed S] [--quiet]
A failure prints the seed, the record and both answers; the same seed fails again."""

import argparse
import collections
import hashlib
import random
import subprocess
import sys

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import model as m

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
NETWORK_ID = hashlib.sha256(b"random histories").digest()


class Key:
    def __init__(self, number):
        self.private = ec.derive_private_key(number, ec.SECP256K1())
        self.public = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)

    def sign(self, digest):
        r, s = utils.decode_dss_signature(self.private.sign(digest, PREHASHED))
        return r.to_bytes(32, "big") + min(s, ORDER - s).to_bytes(32, "big")


def token_check(public, digest, signature):
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if s > ORDER // 2 or not 0 < r < ORDER or s == 0:
        return False
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), public)
    try:
        key.verify(utils.encode_dss_signature(r, s), digest, PREHASHED)
        return True
    except Exception:
        return False


class World:
    """Makes records that mostly make sense now, and now and then spoils one."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.model = m.Model(NETWORK_ID, token_check)
        self.t = 1_800_000_000_000
        self.index = 1
        self.actors = [Key(1000 + n) for n in range(9)]
        self.members = [Key(2000 + n) for n in range(2)]
        self.recoveries = [Key(3000 + n) for n in range(4)]
        self.tokens = [Key(4000 + n) for n in range(3)]
        self.by_public = {k.public: k for k in self.actors + self.members + self.recoveries + self.tokens}
        self.salts = {}        # audience hash -> (salt, answerer)
        self.commitments = [bytes([n]) * 32 for n in range(4)]
        self.agreements = collections.deque(maxlen=60)
        self.terms = collections.deque(maxlen=12)
        self.profiles = collections.deque(maxlen=8)
        members = [["m%d" % n, bytes([n + 1]) * 32, bytes([n + 2]) * 32, bytes([n + 3]) * 32, k.public]
                   for n, k in enumerate(self.members)]
        self.network = [1, 5, [1000, 8192, 8388608, 500, 1, 1], members]
        self.model.state[m.NETWORK_KEY] = self.network
        r = self.rng
        self.acts = [(self.act_profile, 3), (self.act_terms, 4), (self.act_request, 5), (self.act_grant, 6),
                     (self.act_subscribe_terms, 9), (self.act_answer, 30), (self.act_amend, 14), (self.act_suspend, 8),
                     (self.act_revoke, 7), (self.act_renew, 5), (self.act_ack, 3), (self.act_statement, 1),
                     (self.act_delegate, 7), (self.act_rotate, 5), (self.act_erase, 8), (self.act_dispute, 3),
                     (self.act_vouch, 4)]

    # ---- pieces
    def bytes(self, count):
        return self.rng.randbytes(count)

    def chance(self, probability):
        return self.rng.random() < probability

    def actor(self):
        return self.rng.choice(self.actors).public

    def slots(self):
        return self.rng.choice([1, 2, 3, 7, 6, 0xFF, 1 << 63, (1 << 64) - 1, self.rng.getrandbits(8) or 1])

    def subset(self, slots):
        bits = [b for b in range(64) if slots >> b & 1 and self.chance(0.6)]
        return sum(1 << b for b in bits) or slots or 1

    def commitment(self):
        return self.rng.choice(self.commitments)

    def soon(self):
        return self.t // 1000 + self.rng.choice([-400, -1, 0, 1, 30, 600, 7200, 86400, 86400 * 20, 86400 * 400])

    def period(self, entry, chance=0.5):
        if self.chance(chance):
            entry[5] = self.soon()
        if self.chance(chance / 3):
            entry[4] = self.t // 1000 + self.rng.choice([-86400, -10, 10, 86400])
            if 5 in entry and entry[4] >= entry[5] and self.chance(0.9):
                del entry[4]

    def own_profile(self, public):
        mine = [p for p in self.profiles if self.model.state[p][m.P_KEY] == public]
        return self.rng.choice(mine) if mine else None

    def answerer(self):
        if self.profiles and self.chance(0.35):
            return self.rng.choice(self.profiles)
        return self.actor()

    def audience(self):
        if self.chance(0.25):
            return [2, self.rng.choice(self.tokens).public]
        salt, who = self.bytes(32), self.answerer()
        digest = m.sha(b"consent/v1 audience\0", salt, who)
        self.salts[digest] = (salt, who)
        return [1, digest]

    def open_audience(self, entry, audience, bearer, agreement):
        """Returns the key that will sign so that the audience opens; fills 7 and maybe 13."""
        if audience is None:
            who = self.answerer()
            salt = None
        elif audience[0] == 1:
            salt, who = self.salts[audience[1]]
        else:
            who, salt = self.answerer(), None
        if len(who) == 32:
            entry[13] = who
            signer = self.signer_for(who, 1)
        else:
            signer = who
        if audience is not None:
            if audience[0] == 1:
                entry[7] = salt
            else:
                entry[7] = (bearer, agreement, audience[1])  # signed once the signer is settled
        return signer

    def finish_token(self, entry, signer):
        if isinstance(entry.get(7), tuple):
            bearer, agreement, token = entry[7]
            if agreement is None:
                agreement = m.object_id(signer, entry[1])
            digest = m.sha(b"consent/v1 token\0", NETWORK_ID, bearer, agreement, signer)
            entry[7] = self.by_public[token].sign(digest)

    def signer_for(self, party, bit):
        if party is None:
            return self.actor()
        if len(party) == 33:
            return party
        value = self.model.state[party]
        delegations = value[m.P_DELEGATIONS] if value[1] == 3 else value[m.T_DELEGATIONS]
        usable = [d[1] for d in delegations]
        if usable and self.chance(0.3):
            return self.rng.choice(usable)
        return value[2]

    def side_signer(self, a, side):
        usable = [d[1] for d in a[m.DELEGATIONS] if d[0] == side]
        if usable and self.chance(0.35):
            return self.rng.choice(usable)
        return self.signer_for(a[m.C] if side == 1 else a[m.O], 0)

    def pick(self, *statuses):
        found = [k for k in self.agreements if self.model.state[k][m.STATUS] in statuses]
        if found and self.chance(0.93):
            key = self.rng.choice(found)
        elif self.agreements:
            key = self.rng.choice(self.agreements)
        else:
            return None, None
        return key, self.model.state[key]

    def any_object(self):
        pool = [self.agreements] * 4 + [self.terms] * 2 + [self.profiles]
        pool = [p for p in pool if p]
        return self.rng.choice(self.rng.choice(pool)) if pool else None

    # ---- acts: each returns (kind, signer, entry) or None
    def act_profile(self):
        if self.profiles and self.chance(0.5):
            key = self.rng.choice(self.profiles)
            value = self.model.state[key]
            return m.PROFILE, value[m.P_KEY], {1: key, 2: value[m.P_HEAD], 3: self.commitment(),
                                               12: self.rng.choice([value[m.P_DELIVERY], self.bytes(32)])}
        recovery = m.sha(b"consent/v1 recovery\0", self.rng.choice(self.recoveries).public)
        return m.PROFILE, self.actor(), {1: self.bytes(16), 3: self.commitment(), 12: self.bytes(32), 15: recovery}

    def recovery(self, entry):
        if self.chance(0.3):
            entry[15] = m.sha(b"consent/v1 recovery\0", self.rng.choice(self.recoveries).public)

    def act_terms(self):
        signer = self.actor()
        e = {1: self.bytes(16), 3: self.commitment(), 9: self.slots(), 11: self.rng.choice([1, 2, 3, 50]),
             14: self.rng.choice([0, 0, 1, 1, 1, 2, 3])}
        self.period(e)
        self.recovery(e)
        if self.chance(0.4):
            e[6] = self.audience()
        if self.terms and self.chance(0.3):
            e[8] = self.rng.choice(self.terms)
            signer = self.model.state[e[8]][m.T_OWNER]
        return m.TERMS, signer, e

    def offer(self, kind):
        e = {1: self.bytes(16), 3: self.commitment(), 6: self.audience(), 9: self.slots()}
        self.period(e)
        signer = self.actor()
        if self.profiles and self.chance(0.4):
            e[13] = self.rng.choice(self.profiles)
            signer = self.signer_for(e[13], 1)
        if kind == m.GRANT:
            self.recovery(e)
        return kind, signer, e

    def act_request(self):
        return self.offer(m.REQUEST)

    def act_grant(self):
        return self.offer(m.GRANT)

    def act_subscribe_terms(self):
        if not self.terms:
            return None
        key = self.rng.choice(self.terms)
        terms = self.model.state[key]
        e = {1: self.bytes(16), 3: terms[m.T_COMMITMENT], 8: key, 9: terms[m.T_SLOTS]}
        if self.chance(0.2):
            self.period(e)
        signer = self.open_audience(e, terms[m.T_AUDIENCE], key, None)
        return m.SUBSCRIBE, signer, e

    def act_answer(self):
        key, a = self.pick(0, 1, 2, 3)
        if key is None:
            return None
        side = a[m.TURN]
        usual = m.GRANT if side == 1 else m.SUBSCRIBE
        kind = self.rng.choice([usual] * 6 + [m.COUNTER] * 3 + [m.REFUSE, m.GRANT, m.SUBSCRIBE])
        e = {1: key, 2: a[m.HEAD]}
        party = a[m.C] if side == 1 else a[m.O]
        if party is None:
            signer = self.open_audience(e, a[m.AUDIENCE], key, key)
        else:
            signer = self.side_signer(a, side)
            if len(party) == 32 and self.chance(0.2):
                e[13] = party
        if kind == m.REFUSE:
            if self.chance(0.3):
                e[10] = self.rng.choice([6, 7, 8])
            return kind, signer, e
        e[3], e[9] = a[m.COMMITMENT], a[m.LIVE]
        if kind == m.COUNTER:
            e[3], e[9] = self.commitment(), self.slots()
            self.period(e)
        elif kind == m.GRANT and self.chance(0.4):
            e[9] = self.subset(a[m.LIVE])
        if kind != m.COUNTER and self.chance(0.25):
            self.period(e, 0.9)
            if 5 in e and a[m.NA] is not None and self.chance(0.7):
                e[5] = a[m.NA] - self.rng.choice([0, 1, 60])
        if side == 1 and kind != m.SUBSCRIBE and self.chance(0.5):
            self.recovery(e)
        return kind, signer, e

    def act_amend(self):
        key, a = self.pick(4)
        if key is None:
            return None
        pending = a[m.PENDING]
        if pending is not None and self.chance(0.7):
            return m.AMEND, self.side_signer(a, 3 - pending[1]), {1: key, 2: a[m.HEAD], 8: pending[0]}
        if self.chance(0.5):
            e = {1: key, 2: a[m.HEAD], 3: self.commitment(), 9: self.slots()}
            self.period(e)
            return m.AMEND, self.side_signer(a, self.rng.choice([1, 2])), e
        e = {1: key}
        if self.chance(0.7):
            e[9] = self.subset(a[m.LIVE])
        if len(e) == 1 or self.chance(0.4):
            e[5] = self.soon() if a[m.NA] is None else a[m.NA] - self.rng.choice([-5, 0, 1, 3600])
        return m.AMEND, self.side_signer(a, 1), e

    def act_suspend(self):
        key, a = self.pick(4)
        if key is None:
            return None
        side = self.rng.choice([1, 2])
        if a[m.SUSPENDED] and self.chance(0.6):
            return m.RESUME, self.side_signer(a, side), {1: key, 2: a[m.HEAD]}
        return m.SUSPEND, self.side_signer(a, side), {1: key}

    def act_revoke(self):
        if self.terms and self.chance(0.08):
            key = self.rng.choice(self.terms)
            return m.REVOKE, self.signer_for(key, 0), {1: key}
        key, a = self.pick(0, 1, 2, 3, 4, 4, 4)
        if key is None:
            return None
        side = self.rng.choice([1, 1, 2])
        e = {1: key}
        if side == 1 and self.chance(0.6):
            e[9] = self.subset(a[m.LIVE])
        if side == 2 and self.chance(0.5):
            e[10] = self.rng.choice([6, 7, 8])
        return m.REVOKE, self.side_signer(a, side), e

    def act_renew(self):
        key, a = self.pick(4)
        return key and (m.RENEW, self.side_signer(a, 1), {1: key, 2: a[m.HEAD], 5: self.soon()})

    def act_ack(self):
        key, a = self.pick(4, 5, 6, 7)
        return key and (m.ACK, self.side_signer(a, self.rng.choice([1, 2])),
                        {1: key, 8: a[m.HEAD], 10: self.rng.choice([1, 2, 3])})

    def act_statement(self):
        if not self.profiles:
            return None
        key = self.rng.choice(self.profiles)
        return m.STATEMENT, self.signer_for(key, 3), {1: key, 3: self.commitment(), 4: 5, 5: 9}

    def act_delegate(self):
        key = self.any_object()
        if key is None:
            return None
        value = self.model.state[key]
        if value[1] == 1:
            side = self.rng.choice([1, 2])
            party = value[m.C] if side == 1 else value[m.O]
            signer = party if party is None or len(party) == 33 else self.model.state[party][2]
            signer = signer or self.actor()
        else:
            signer = value[2]
        at = {1: m.DELEGATIONS, 2: m.T_DELEGATIONS, 3: m.P_DELEGATIONS}[value[1]]
        if value[at] and self.chance(0.25):
            return m.UNDELEGATE, signer, {1: key, 12: self.rng.choice(value[at])[1]}
        return m.DELEGATE, signer, {1: key, 5: self.soon(), 12: self.actor(), 14: self.rng.choice([1, 2, 4, 8, 15, 31])}

    def act_rotate(self):
        key = self.any_object()
        if key is None:
            return None
        value = self.model.state[key]
        recovery = value[{1: m.RECOVERY, 2: m.T_RECOVERY, 3: m.P_RECOVERY}[value[1]]]
        e = {1: key, 12: self.actor()}
        if recovery is not None and self.chance(0.5):
            signer = next((k.public for k in self.recoveries
                           if m.sha(b"consent/v1 recovery\0", k.public) == recovery), self.recoveries[0].public)
            e[7] = signer
            self.recovery(e)
            return m.ROTATE, signer, e
        if value[1] == 1:
            party = value[self.rng.choice([m.C, m.O])]
            return m.ROTATE, self.signer_for(party, 0), e
        return m.ROTATE, value[2], e

    def act_erase(self):
        key, a = self.pick(4, 5, 6, 7)
        if key is None:
            return None
        e = {1: key}
        side = self.rng.choice([1, 2, 2])
        if side == 2 and self.chance(0.6):
            e[9] = self.subset(self.rng.choice([a[m.DUE], a[m.DUE] | a[m.LIVE]]))
        return m.ERASE, self.side_signer(a, side), e

    def act_dispute(self):
        key, a = self.pick(4, 6, 7)
        return key and (m.DISPUTE, self.side_signer(a, self.rng.choice([1, 2])),
                        {1: key, 8: a[m.HEAD], 10: self.rng.choice([4, 5])})

    def act_vouch(self):
        if not self.profiles:
            return None
        return m.VOUCH, self.rng.choice(self.members).public, {1: self.rng.choice(self.profiles), 5: self.soon(),
                                                               10: self.rng.choice([1, 2])}

    # ---- a whole record
    def spoil(self, kind, signer, entry, issued_at):
        what = self.rng.randrange(11)
        if what == 0:
            signer = self.rng.choice(self.actors + self.members).public
        elif what == 1 and 9 in entry:
            entry[9] = self.rng.getrandbits(self.rng.choice([3, 64])) or 5
        elif what == 2 and 2 in entry:
            entry[2] = self.bytes(32)
        elif what == 3:
            key = self.rng.choice([k for k in entry if k != 1] or [1])
            if key != 1:
                del entry[key]
        elif what == 4:
            entry[5] = self.soon()
        elif what == 5:
            issued_at += self.rng.choice([-31, -30, 1]) * m.DAY_MS + self.rng.choice([-1, 0, 1])
        elif what == 6:
            issued_at = self.t + self.rng.choice([119_999, 120_000, 120_001])
        elif what == 7:
            entry[10] = self.rng.randrange(1, 9)
        elif what == 8 and isinstance(entry.get(7), bytes):
            entry[7] = self.bytes(len(entry[7]))
        elif what == 9:
            kind = self.rng.choice(list(range(1, 13)) + list(range(14, 22)))
        elif what == 10:
            entry[3] = self.commitment()
        return kind, signer, issued_at

    def next_record(self):
        if self.chance(0.2):
            self.t += self.rng.choice([1000, 60_000, 3_600_000, m.DAY_MS, 15 * m.DAY_MS] if self.chance(0.3) else [1])
        else:
            self.t += self.rng.randrange(1, 3000)
        made = None
        while not made:
            act = self.rng.choices([a for a, _ in self.acts], [w for _, w in self.acts])[0]
            made = act()
        kind, signer, entry = made
        entries = [entry]
        issued_at = self.t - self.rng.randrange(0, 60_000)
        if self.chance(0.1 if kind in (m.REVOKE, m.SUSPEND, m.UNDELEGATE) else 0.01):
            issued_at = self.t - self.rng.choice([30 * m.DAY_MS, 30 * m.DAY_MS + 1, 900 * m.DAY_MS])  # signed in advance
        if self.chance(0.3):
            for _ in range(self.rng.randrange(1, 12)):
                more = act()
                if more and more[0] == kind and (more[1] == signer or self.chance(0.05)):
                    entries.append(more[2])
        if self.chance(0.15):
            kind, signer, issued_at = self.spoil(kind, signer, self.rng.choice(entries), issued_at)
        for e in entries:
            self.finish_token(e, signer)
        unique = {}
        for e in entries:
            unique.setdefault(e[1], e)
        entries = [unique[k] for k in sorted(unique, key=lambda k: (len(k), k))]
        lenient = self.chance(0.5 if len(entries) > 1 else 0.05)
        return kind, signer, issued_at, entries, lenient

    def note_new_objects(self, changes):
        for key, value in changes.items():
            if value[1] == 1 and key not in self.agreements:
                self.agreements.append(key)
            elif value[1] == 2 and key not in self.terms:
                self.terms.append(key)
            elif value[1] == 3 and key not in self.profiles:
                self.profiles.append(key)


class Driver:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, line):
        self.say(line)
        return self.process.stdout.readline().decode().split()


def run(driver_path, records, seed, quiet=False):
    """Returns None, or a sentence about the first difference."""
    world, driver = World(seed), Driver(driver_path)
    driver.ask("network " + NETWORK_ID.hex())
    driver.ask("put %s %s" % (m.NETWORK_KEY.hex(), cbor2.dumps(world.network).hex()))
    accepted, refused, acts = 0, collections.Counter(), collections.Counter()
    for number in range(records):
        kind, signer, issued_at, entries, lenient = world.next_record()
        payload = {1: kind, 2: issued_at, 3: entries}
        if lenient:
            payload[4] = 1
        payload_bytes = cbor2.dumps(payload, canonical=True)
        protected = cbor2.dumps({1: -47, 4: signer}, canonical=True)
        record_id = m.sha(cbor2.dumps(["Signature1", protected, b"consent/v1" + NETWORK_ID, payload_bytes]))
        before = world.model.state
        try:
            count, changes = world.model.apply(kind, signer, record_id, issued_at, entries, lenient, world.index, world.t)
            mine = {k: v for k, v in changes.items()}
            expected = "ok %d" % count
        except m.Refusal as refusal:
            mine, count, expected = None, 0, "refused (%s)" % refusal
            refused[str(refusal)] += 1
        answer = driver.ask("apply %s %d %d %s" % (signer.hex(), world.index, world.t, payload_bytes.hex()))
        problem = None
        if not answer:
            problem = "the driver died"
        elif mine is None:
            if answer[0] != "refused":
                problem = "accepted"
        elif answer[0] != "ok":
            problem = " ".join(answer)
        else:
            theirs = dict(pair.split("=") for pair in answer[3].split(",")) if len(answer) > 3 else {}
            wanted = {k.hex(): cbor2.dumps(v).hex() for k, v in mine.items()}
            if answer[1] != str(count) or answer[2] != record_id.hex() or theirs != wanted:
                lines = ["accepted by both, but", "rules: %s applied %s" % (answer[1], answer[2]),
                         "model: %d applied %s" % (count, record_id.hex())]
                for key in sorted(set(theirs) | set(wanted)):
                    if theirs.get(key) != wanted.get(key):
                        lines.append("object %s" % key)
                        for name, table in (("rules", theirs), ("model", wanted)):
                            lines.append("  %s: %s" % (name, cbor2.loads(bytes.fromhex(table[key]))
                                                       if key in table else "unchanged"))
                problem = "\n".join(lines)
        if problem:
            touched = "\n".join("  %s = %s" % (e[1].hex(), before.get(e[1])) for e in entries if len(e[1]) == 32)
            return ("seed %d, record %d: type %d by %s at t=%d issued=%d lenient=%s\nentries: %s\nmodel says: %s\n"
                    "rules say: %s\nobjects now (model):\n%s"
                    % (seed, number, kind, signer.hex(), world.t, issued_at, lenient, entries, expected, problem, touched))
        if mine is not None:
            accepted += 1
            acts[kind] += 1
            world.index += 1
            world.note_new_objects(mine)
    driver.process.stdin.close()
    if not quiet:
        print("seed %d: %d records, %d accepted, %d refused" % (seed, records, accepted, records - accepted))
        print("accepted by type:", dict(sorted(acts.items())))
        print("refused for:", dict(refused.most_common()))
    missing = set(range(1, 13)) | set(range(14, 22))
    if records >= 5000 and missing - set(acts):
        return "seed %d: no record of type %s was ever accepted, so the history proves too little" % (
            seed, sorted(missing - set(acts)))
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    problem = run(options.driver, options.records, options.seed, options.quiet)
    if problem:
        print(problem, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
