"""The life cycle of records as a plain model, written from ledger/rules.md and the design's record table, never from
rules.c. State values are Python lists with exactly the items of ledger/formats.cddl. The random-history test compares
whole values, so a difference in any field of any object is a failure."""

import hashlib

DAY_MS = 86400 * 1000
PROFILE, TERMS, REQUEST, GRANT, SUBSCRIBE, COUNTER, REFUSE, AMEND, SUSPEND, RESUME, REVOKE, RENEW = range(1, 13)
ACK, STATEMENT, DELEGATE, UNDELEGATE, ROTATE, ERASE, DISPUTE, VOUCH = range(14, 22)

# agreement
(STATUS, TURN, C, O, AUDIENCE, COMMITMENT, NB, NA, LIVE, DUE, SUSPENDED, FLAGS, PENDING, OF_TERMS, RECOVERY,
 DELEGATIONS, HEAD, LAST_INDEX, HEAD_MS) = range(2, 21)
# terms
(T_OWNER, T_COMMITMENT, T_NB, T_NA, T_SLOTS, T_MODE, T_LIMIT, T_ANSWERS, T_AUDIENCE, T_SUCCESSOR, T_OPEN, T_RECOVERY,
 T_DELEGATIONS, T_HEAD) = range(2, 16)
# profile
P_KEY, P_DELIVERY, P_COMMITMENT, P_RECOVERY, P_DELEGATIONS, P_VOUCHES, P_HEAD = range(2, 9)

OFFERED, REQUESTED, SUBSCRIBED, COUNTERED, ACTIVE, REFUSED, WITHDRAWN, TERMINATED = range(8)
BIT_REVOKE, BIT_GRANT, BIT_AMEND, BIT_STATE = 0, 1, 2, 3


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


NETWORK_KEY = sha(b"consent/v1 network\0")


def object_id(signer, nonce):
    return sha(b"consent/v1 id\0", signer, nonce)


def answer_key(terms, party):
    return sha(b"consent/v1 answer\0", terms, party)


class Refusal(Exception):
    pass


def need(condition, why):
    if not condition:
        raise Refusal(why)


# (type, form): (required, optional); key 1 is implied. The form is chosen by `form_of`.
FORMS = {
    (PROFILE, "open"): ({3, 12, 15}, set()), (PROFILE, "object"): ({2, 3, 12}, set()),
    (TERMS, "open"): ({3, 9, 11, 14}, {4, 5, 6, 8, 15}),
    (REQUEST, "open"): ({3, 6, 9}, {4, 5, 13}),
    (GRANT, "open"): ({3, 6, 9}, {4, 5, 13, 15}), (GRANT, "object"): ({2, 3, 9}, {4, 5, 7, 13, 15}),
    (SUBSCRIBE, "open"): ({3, 8, 9}, {4, 5, 7, 13}), (SUBSCRIBE, "object"): ({2, 3, 9}, {4, 5, 7, 13}),
    (COUNTER, "object"): ({2, 3, 9}, {4, 5, 7, 13, 15}),
    (REFUSE, "object"): ({2}, {7, 10, 13}),
    (AMEND, "accept"): ({2, 8}, set()), (AMEND, "propose"): ({2, 3, 9}, {4, 5}), (AMEND, "narrow"): (set(), {5, 9}),
    (SUSPEND, "object"): (set(), set()), (RESUME, "object"): ({2}, set()), (REVOKE, "object"): (set(), {9, 10}),
    (RENEW, "object"): ({2, 5}, set()), (ACK, "object"): ({8, 10}, set()), (STATEMENT, "object"): ({3, 4, 5}, set()),
    (DELEGATE, "object"): ({5, 12, 14}, set()), (UNDELEGATE, "object"): ({12}, set()),
    (ROTATE, "object"): ({12}, {7, 15}), (ERASE, "object"): (set(), {9}), (DISPUTE, "object"): ({8, 10}, set()),
    (VOUCH, "object"): ({5, 10}, set()),
}
KEY12_LENGTH = {PROFILE: 32, DELEGATE: 33, UNDELEGATE: 33, ROTATE: 33}
REASONS = {ACK: range(1, 4), DISPUTE: (4, 5), REFUSE: range(6, 9), REVOKE: range(6, 9), VOUCH: (1, 2)}


def form_of(kind, entry):
    if kind == AMEND and len(entry[1]) == 32:
        return "accept" if 8 in entry else "propose" if 3 in entry else "narrow"
    return "open" if len(entry[1]) == 16 else "object"


def check_form(kind, entry):
    form = form_of(kind, entry)
    need((kind, form) in FORMS, "form")
    required, optional = FORMS[(kind, form)]
    keys = set(entry) - {1}
    need(required <= keys <= required | optional, "keys")
    if form == "narrow":
        need(keys, "a narrowing that names nothing")
    for number in (2, 3, 8, 13, 15):
        need(number not in entry or len(entry[number]) == 32, "length")
    need(entry.get(9, 1) != 0 and entry.get(11, 1) != 0, "zero")
    if 12 in entry:
        need(len(entry[12]) == KEY12_LENGTH[kind], "key 12")
    if 10 in entry:
        need(entry[10] in REASONS[kind], "reason")
    if 14 in entry:
        need(entry[14] <= 3 if kind == TERMS else 1 <= entry[14] <= 31, "mode or powers")
    if 4 in entry and 5 in entry:
        need(entry[4] < entry[5], "empty period")
    if kind == ROTATE:
        need(7 not in entry or len(entry[7]) == 33, "opening of ROTATE")
        need(15 not in entry or 7 in entry, "recovery without recovery key")
    elif 7 in entry:
        need(len(entry[7]) in (32, 64), "opening")
    return form


def within(nb, na, outer_nb, outer_na):
    return ((outer_nb is None or (nb is not None and nb >= outer_nb))
            and (outer_na is None or (na is not None and na <= outer_na)))


def lapsed(na, t):
    return na is not None and t >= 1000 * na


def not_empty(nb, na):
    need(nb is None or na is None or nb < na, "empty period")


class Model:
    """state: tree key -> list. token_check(token key, digest, signature) -> bool is injected: the model has no curve."""

    def __init__(self, network_id, token_check):
        self.network_id = network_id
        self.token_check = token_check
        self.state = {}

    # ---- a record
    def apply(self, kind, signer, record_id, issued_at, entries, lenient, index, t):
        """Returns the number of entries applied and the changed values; raises Refusal and changes nothing."""
        for entry in entries:
            check_form(kind, entry)
        need(kind in (REVOKE, SUSPEND, UNDELEGATE) or issued_at >= t - 30 * DAY_MS, "too old")
        need(issued_at <= t + 120_000, "ahead")
        self.changes = {}
        self.kind, self.signer, self.id, self.index, self.t = kind, signer, record_id, index, t
        applied = 0
        for entry in entries:
            self.entry_changes = {}
            try:
                self.apply_entry(entry)
            except Refusal:
                if not lenient:
                    raise
                continue
            self.changes.update(self.entry_changes)
            applied += 1
        need(applied > 0, "nothing applies")
        self.state.update(self.changes)
        return applied, self.changes

    def get(self, key):
        for layer in (self.entry_changes, self.changes, self.state):
            if key in layer:
                value = layer[key]
                return [list(item) if isinstance(item, list) else item for item in value]
        return None

    def put(self, key, value):
        self.entry_changes[key] = value

    def object(self, key, *kinds):
        value = self.get(key)
        need(value is not None, "no object")
        need(value[1] in kinds, "kind of object")
        return value

    # ---- parties
    def present_key(self, party):
        if party is None:
            return None
        if len(party) == 33:
            return party
        return self.get(party)[2]  # PROFILE key and TERMS owner stand at the same place

    def delegated(self, delegations, side, bit):
        return any(d[0] == side and d[1] == self.signer and d[2] >> bit & 1 and self.t < 1000 * d[3]
                   for d in delegations)

    def object_delegations(self, value):
        return value[P_DELEGATIONS] if value[1] == 3 else value[T_DELEGATIONS]

    def acts_for(self, agreement, side, bit):
        party = agreement[C] if side == 1 else agreement[O]
        if party is None:
            return False
        if self.present_key(party) == self.signer or self.delegated(agreement[DELEGATIONS], side, bit):
            return True
        return len(party) == 32 and self.delegated(self.object_delegations(self.get(party)), 0, bit)

    def new_party(self, entry):
        if 13 not in entry:
            return self.signer
        profile = self.object(entry[13], 3)
        need(profile[P_KEY] == self.signer or self.delegated(profile[P_DELEGATIONS], 0, BIT_GRANT), "not this PROFILE")
        return entry[13]

    def not_itself(self, party, other):
        if other is None:
            return
        need(party != other, "itself")
        other_key = self.present_key(other)
        need(self.present_key(party) != other_key and self.signer != other_key, "itself")

    def audience(self, audience, entry, bearer, agreement):
        if audience is None:
            need(7 not in entry, "opening without audience")
            return
        need(7 in entry, "no opening")
        if audience[0] == 1:
            need(len(entry[7]) == 32, "opening")
            need(sha(b"consent/v1 audience\0", entry[7], entry.get(13, self.signer)) == audience[1], "audience")
        else:
            need(len(entry[7]) == 64, "opening")
            digest = sha(b"consent/v1 token\0", self.network_id, bearer, agreement, self.signer)
            need(self.token_check(audience[1], digest, entry[7]), "token")

    # ---- entries
    def apply_entry(self, entry):
        form = form_of(self.kind, entry)
        if form == "open":
            key = object_id(self.signer, entry[1])
            need(self.get(key) is None, "taken")
            {PROFILE: self.open_profile, TERMS: self.open_terms, REQUEST: self.open_offer, GRANT: self.open_offer,
             SUBSCRIBE: self.subscribe_to_terms}[self.kind](key, entry)
        elif self.kind in (GRANT, SUBSCRIBE, COUNTER, REFUSE):
            self.answer(entry)
        else:
            {PROFILE: self.replace_profile, AMEND: self.amend, SUSPEND: self.suspend, RESUME: self.resume,
             REVOKE: self.revoke, RENEW: self.renew, ACK: self.acknowledge, STATEMENT: self.statement,
             DELEGATE: self.delegate, UNDELEGATE: self.undelegate, ROTATE: self.rotate, ERASE: self.erase,
             DISPUTE: self.dispute, VOUCH: self.vouch}[self.kind](entry)

    def store(self, key, agreement, moves_head=True):
        agreement[LAST_INDEX] = self.index
        if moves_head:
            agreement[HEAD], agreement[HEAD_MS], agreement[PENDING] = self.id, self.t, None
        if agreement[C] is not None and agreement[O] is not None:
            agreement[AUDIENCE] = None
        self.put(key, agreement)

    def open_profile(self, key, e):
        self.put(key, [1, 3, self.signer, e[12], e[3], e[15], [], [], self.id])

    def replace_profile(self, e):
        profile = self.object(e[1], 3)
        need(profile[P_KEY] == self.signer, "party")
        need(profile[P_HEAD] == e[2], "head")
        need((profile[P_DELIVERY], profile[P_COMMITMENT]) != (e[12], e[3]), "no change")
        profile[P_DELIVERY], profile[P_COMMITMENT], profile[P_HEAD] = e[12], e[3], self.id
        self.put(e[1], profile)

    def open_terms(self, key, e):
        if 8 in e:
            predecessor = self.object(e[8], 2)
            need(predecessor[T_OWNER] == self.signer, "party")
            need(predecessor[T_SUCCESSOR] is None, "succeeded")
            predecessor[T_SUCCESSOR] = key
            self.put(e[8], predecessor)
        self.put(key, [1, 2, self.signer, e[3], e.get(4), e.get(5), e[9], e[14], e[11], 0, e.get(6), None, 1, e.get(15),
                       [], self.id])

    def open_offer(self, key, e):
        party = self.new_party(e)
        grant = self.kind == GRANT
        need(not (grant and 15 in e and len(party) == 32), "recovery of an object")
        self.put(key, [1, 1, OFFERED if grant else REQUESTED, 2 if grant else 1, party if grant else None,
                       None if grant else party, e[6], e[3], e.get(4), e.get(5), e[9], 0, 0, 0, None, None,
                       e.get(15), [], self.id, self.index, self.t])

    def activate(self, key, agreement):
        agreement[STATUS], agreement[TURN] = ACTIVE, 0
        if agreement[OF_TERMS] is None:
            return
        terms = self.object(agreement[OF_TERMS], 2)
        place = answer_key(agreement[OF_TERMS], agreement[O])
        need(terms[T_OPEN] == 1, "closed")
        need(terms[T_ANSWERS] < terms[T_LIMIT], "limit")
        need(self.get(place) is None, "answered")
        terms[T_ANSWERS] += 1
        self.put(agreement[OF_TERMS], terms)
        self.put(place, [1, 4, key])

    def subscribe_to_terms(self, key, e):
        terms = self.object(e[8], 2)
        party = self.new_party(e)
        need(terms[T_OPEN] == 1 and not lapsed(terms[T_NA], self.t), "closed")
        need(e[3] == terms[T_COMMITMENT] and e[9] == terms[T_SLOTS], "not what is offered")
        nb, na = e.get(4, terms[T_NB]), e.get(5, terms[T_NA])
        need(within(nb, na, terms[T_NB], terms[T_NA]), "period")
        not_empty(nb, na)
        self.audience(terms[T_AUDIENCE], e, e[8], key)
        if terms[T_MODE] & 2:
            need(len(party) == 32 and any(self.t < 1000 * v[2] for v in self.get(party)[P_VOUCHES]), "not vouched")
        self.not_itself(party, e[8])
        need(terms[T_ANSWERS] < terms[T_LIMIT], "limit")
        need(self.get(answer_key(e[8], party)) is None, "answered")
        agreement = [1, 1, SUBSCRIBED, 1, e[8], party, None, e[3], nb, na, e[9], 0, 0, 0, None, e[8], None, [], self.id,
                     self.index, self.t]
        if terms[T_MODE] & 1:
            self.activate(key, agreement)
        self.put(key, agreement)

    def answer(self, e):
        a = self.object(e[1], 1)
        side = a[TURN]
        need(a[STATUS] <= COUNTERED, "status")
        need({GRANT: side == 1, SUBSCRIBE: side == 2}.get(self.kind, True), "turn")
        need(a[HEAD] == e[2], "head")
        mine, other = (C, O) if side == 1 else (O, C)
        if a[mine] is None:
            party = self.new_party(e)
            self.audience(a[AUDIENCE], e, e[1], e[1])
        else:
            party = a[mine]
            need(self.acts_for(a, side, BIT_GRANT), "party")
            need(e.get(13, party) == party, "party")
            need(7 not in e, "opening without audience")
        self.not_itself(party, a[other])
        a[mine] = party
        if self.kind == REFUSE:
            need(10 not in e or side == 2, "reason of a customer")
            a[STATUS], a[TURN], a[LIVE] = REFUSED, 0, 0
            self.store(e[1], a)
            return
        need(not lapsed(a[NA], self.t), "lapsed")
        if 15 in e:
            need(side == 1 and len(party) == 33 and a[RECOVERY] is None, "recovery")
            a[RECOVERY] = e[15]
        if self.kind == COUNTER:
            self.counter(e, a, side)
            return
        need(e[3] == a[COMMITMENT], "commitment")
        nb, na = e.get(4, a[NB]), e.get(5, a[NA])
        if self.kind == GRANT and a[STATUS] != COUNTERED:
            need(e[9] & ~a[LIVE] == 0, "slots")
        else:
            need(e[9] == a[LIVE], "slots")
        if self.kind == GRANT and a[STATUS] == COUNTERED:
            need((nb, na) == (a[NB], a[NA]), "period")
        need(within(nb, na, a[NB], a[NA]), "period")
        not_empty(nb, na)
        a[NB], a[NA], a[LIVE] = nb, na, e[9]
        self.activate(e[1], a)
        self.store(e[1], a)

    def counter(self, e, a, side):
        need(a[STATUS] != COUNTERED and not a[FLAGS] & 8, "countered")
        a[COMMITMENT], a[NB], a[NA], a[LIVE] = e[3], e.get(4), e.get(5), e[9]
        self.inside_terms(a, a[NB], a[NA])
        a[STATUS], a[TURN], a[FLAGS] = COUNTERED, 3 - side, a[FLAGS] | 8
        self.store(e[1], a)

    def inside_terms(self, a, nb, na):
        if a[OF_TERMS] is not None:
            terms = self.get(a[OF_TERMS])
            need(within(nb, na, terms[T_NB], terms[T_NA]), "beyond the TERMS")

    def active(self, e):
        a = self.object(e[1], 1)
        need(a[STATUS] == ACTIVE, "not active")
        if 2 in e:
            need(a[HEAD] == e[2], "head")
        return a

    def amend(self, e):
        a = self.active(e)
        form = form_of(AMEND, e)
        if form == "narrow":
            need(self.acts_for(a, 1, BIT_AMEND), "party")
            slots, na = e.get(9, a[LIVE]), e.get(5, a[NA])
            need(slots & ~a[LIVE] == 0, "slots")
            need(5 not in e or a[NA] is None or na <= a[NA], "period")
            need((slots, na) != (a[LIVE], a[NA]), "no change")
            not_empty(a[NB], na)
            a[DUE] |= a[LIVE] & ~slots
            a[LIVE], a[NA] = slots, na
            self.store(e[1], a)
        elif form == "propose":
            side = 1 if self.acts_for(a, 1, BIT_AMEND) else 2
            need(self.acts_for(a, side, BIT_AMEND), "party")
            need(not lapsed(a[NA], self.t), "lapsed")
            self.inside_terms(a, e.get(4), e.get(5))
            a[PENDING] = [self.id, side, e[3], e[9], e.get(4), e.get(5)]
            self.store(e[1], a, moves_head=False)
        else:
            need(a[PENDING] is not None and a[PENDING][0] == e[8], "no amendment")
            _, side, commitment, slots, nb, na = a[PENDING]
            need(self.acts_for(a, 3 - side, BIT_AMEND), "party")
            need(not lapsed(a[NA], self.t) and not lapsed(na, self.t), "lapsed")
            self.inside_terms(a, nb, na)
            a[DUE] = (a[DUE] | (a[LIVE] & ~slots)) & ~slots
            a[COMMITMENT], a[LIVE], a[NB], a[NA] = commitment, slots, nb, na
            self.store(e[1], a)

    def suspend(self, e):
        a = self.active(e)
        may = [side for side in (1, 2) if self.acts_for(a, side, BIT_REVOKE)]
        need(may, "party")
        may = [side for side in may if not a[SUSPENDED] & side]
        need(may, "no change")
        a[SUSPENDED] |= may[0]
        self.store(e[1], a)

    def resume(self, e):
        a = self.active(e)
        may = [side for side in (1, 2) if self.acts_for(a, side, BIT_GRANT)]
        need(may, "party")
        may = [side for side in may if a[SUSPENDED] & side]
        need(may, "no change")
        a[SUSPENDED] &= ~may[0]
        self.store(e[1], a)

    def revoke(self, e):
        value = self.object(e[1], 1, 2)
        if value[1] == 2:
            need(value[T_OWNER] == self.signer or self.delegated(value[T_DELEGATIONS], 0, BIT_REVOKE), "party")
            need(9 not in e and 10 not in e and value[T_OPEN] == 1, "terms")
            value[T_OPEN], value[T_HEAD] = 0, self.id
            self.put(e[1], value)
            return
        a = value
        need(a[STATUS] <= ACTIVE, "final")
        if self.acts_for(a, 1, BIT_REVOKE) and (9 in e or 10 not in e):
            side = 1
            need(10 not in e, "reason of a customer")
            need(9 not in e or (a[STATUS] == ACTIVE and e[9] & ~a[LIVE] == 0), "slots")
        else:
            side = 2
            need(self.acts_for(a, 2, BIT_REVOKE), "party")
            need(9 not in e, "slots")
        gone = e.get(9, a[LIVE])
        if a[STATUS] == ACTIVE:
            a[DUE] |= gone
        a[LIVE] &= ~gone
        if 9 not in e or a[LIVE] == 0:
            a[LIVE], a[TURN], a[STATUS] = 0, 0, WITHDRAWN if side == 1 else TERMINATED
        self.store(e[1], a)

    def renew(self, e):
        a = self.active(e)
        need(self.acts_for(a, 1, BIT_AMEND), "party")
        need(not a[FLAGS] & 4, "erased")
        need(1000 * e[5] > self.t and e[5] != a[NA], "period")
        need(a[NA] is None or self.t <= 1000 * a[NA] + 30 * DAY_MS, "too late")
        not_empty(a[NB], e[5])
        self.inside_terms(a, a[NB], e[5])
        a[NA] = e[5]
        self.store(e[1], a)

    def either(self, a, bit):
        need(self.acts_for(a, 1, bit) or self.acts_for(a, 2, bit), "party")

    def acknowledge(self, e):
        a = self.object(e[1], 1)
        self.either(a, BIT_STATE)
        self.store(e[1], a, moves_head=False)

    def dispute(self, e):
        a = self.object(e[1], 1)
        self.either(a, BIT_STATE)
        flags = a[FLAGS] | 1 if e[10] == 4 else a[FLAGS] & ~1
        need(flags != a[FLAGS], "no change")
        a[FLAGS] = flags
        self.store(e[1], a, moves_head=False)

    def statement(self, e):
        profile = self.object(e[1], 3)
        need(profile[P_KEY] == self.signer or self.delegated(profile[P_DELEGATIONS], 0, BIT_STATE), "party")

    def erase(self, e):
        a = self.object(e[1], 1)
        may_c, may_o = self.acts_for(a, 1, BIT_STATE), self.acts_for(a, 2, BIT_STATE)
        need(may_c or may_o, "party")
        as_o = may_o and (not may_c or 9 in e or bool(a[FLAGS] & 2))
        before = (a[DUE], a[LIVE], a[FLAGS])
        if not as_o:
            need(9 not in e, "slots")
            a[FLAGS] |= 2
        else:
            over = a[STATUS] == ACTIVE and lapsed(a[NA], self.t)
            everything = a[DUE] | (a[LIVE] if over else 0)
            if 9 in e:
                need(e[9] & ~everything == 0, "slots")
            gone = e.get(9, everything)
            a[DUE] &= ~gone
            if over:
                a[LIVE] &= ~gone
            if 9 not in e or (e[9] == everything and a[LIVE] == 0):
                a[FLAGS] |= 4
        need(before != (a[DUE], a[LIVE], a[FLAGS]), "no change")
        self.store(e[1], a, moves_head=False)

    # ---- objects of any kind
    def principal(self, value):
        """The side for which the signer is the present key: 0 in TERMS and PROFILE; and that key."""
        if value[1] in (2, 3):
            need(value[2] == self.signer, "party")
            return 0
        for side, party in ((1, value[C]), (2, value[O])):
            if self.present_key(party) == self.signer:
                return side
        raise Refusal("party")

    def delegations_at(self, value):
        return {1: DELEGATIONS, 2: T_DELEGATIONS, 3: P_DELEGATIONS}[value[1]]

    def put_object(self, key, value):
        if value[1] == 1:
            self.store(key, value, moves_head=False)
        else:
            self.put(key, value)

    def delegate(self, e):
        value = self.object(e[1], 1, 2, 3)
        side = self.principal(value)
        need(self.t < 1000 * e[5] and e[12] != self.signer, "until or key")
        at = self.delegations_at(value)
        new = [side, e[12], e[14], e[5]]
        need(new not in value[at], "no change")
        rest = [d for d in value[at] if (d[0], d[1]) != (side, e[12])]
        need(len(rest) < 16, "full")
        value[at] = sorted(rest + [new], key=lambda d: (d[1], d[0]))
        self.put_object(e[1], value)

    def undelegate(self, e):
        value = self.object(e[1], 1, 2, 3)
        side = self.principal(value)
        at = self.delegations_at(value)
        rest = [d for d in value[at] if (d[0], d[1]) != (side, e[12])]
        need(len(rest) < len(value[at]), "no change")
        value[at] = rest
        self.put_object(e[1], value)

    def rotate(self, e):
        value = self.object(e[1], 1, 2, 3)
        recovery_at = {1: RECOVERY, 2: T_RECOVERY, 3: P_RECOVERY}[value[1]]
        recovering = 7 in e
        if recovering:
            need(e[7] == self.signer and sha(b"consent/v1 recovery\0", e[7]) == value[recovery_at], "recovery")
        if value[1] == 1:
            side = self.side_to_rotate(value, recovering)
            at, other = (C, O) if side == 1 else (O, C)
            need(self.present_key(value[other]) != e[12], "itself")
        else:
            side, at = 0, 2
            need(recovering or value[2] == self.signer, "party")
        need(value[at] != e[12], "no change")
        value[at] = e[12]
        if recovering:
            value[recovery_at] = e.get(15, value[recovery_at])
            delegations = self.delegations_at(value)
            value[delegations] = [d for d in value[delegations] if d[0] != side]
        if value[1] == 1:
            self.store(e[1], value)
        else:
            value[T_HEAD if value[1] == 2 else P_HEAD] = self.id
            self.put(e[1], value)

    def side_to_rotate(self, agreement, recovering):
        if recovering:
            need(agreement[C] is not None and len(agreement[C]) == 33, "recovery of an object")
            return 1
        for side, party in ((1, agreement[C]), (2, agreement[O])):
            if party == self.signer:
                return side
        raise Refusal("party")

    def vouch(self, e):
        network = self.get(NETWORK_KEY)
        need(any(member[4] == self.signer for member in network[3]), "member")
        profile = self.object(e[1], 3)
        need(self.t < 1000 * e[5], "until")
        new = [self.signer, e[10], e[5]]
        need(new not in profile[P_VOUCHES], "no change")
        rest = [v for v in profile[P_VOUCHES] if v[0] != self.signer]
        need(len(rest) < 16, "full")
        profile[P_VOUCHES] = sorted(rest + [new])
        self.put(e[1], profile)
