"""State values of every kind, with their tree keys, paths and leaf hashes; and small trees over them."""

import scene as s
from formats import Party, answer_key, canonical, network_key, plain, recovery_hash, seed, sha256, smt_leaf, smt_path, smt_root

ALL = (1 << 64) - 1
PENDING = [s.other_record, 2, seed("proposed commitment"), 3, s.NOW, None]


def delegations(count, sides):
    made = [[sides[number % len(sides)], Party("delegate %d" % number).key, 1 + number % 31, s.NOW + number]
            for number in range(count)]
    return sorted(made, key=lambda one: (one[1], one[0]))


def vouches(count):
    return sorted([Party("member %d" % number).key, 1 + number % 2, s.NOW + s.YEAR] for number in range(count))


offered = [1, 1, 0, 2, s.anna.key, None, s.audience, s.agreement_commitment, None, None, 7, 0, 0, 0, None, None, None, [],
           s.head, 1, s.NOW_MS]
active = [1, 1, 4, 0, s.terms_id, s.profile_id, None, s.terms_commitment, s.NOW, s.NOW + s.YEAR, 7, 8, 3, 15, PENDING,
          s.terms_id, None, delegations(3, (1, 2)), s.head, 123456, s.NOW_MS]
STATE = [
    ("agreement_offered", s.agreement_id, offered),
    ("agreement_requested", s.request_id, [1, 1, 1, 1, None, s.bank.key, s.token_audience, s.agreement_commitment, s.NOW, None,
                                           1, 0, 0, 0, None, None, None, [], s.head, 2, s.NOW_MS]),
    ("agreement_active_full", s.subscription_id, active),
    ("agreement_largest", seed("largest agreement"),
     [1, 1, 4, 0, s.anna.key, s.bank.key, None, s.agreement_commitment, 0, 9007199254740, ALL, ALL, 3, 15,
      [s.other_record, 1, s.agreement_commitment, ALL, 0, 9007199254740], None, s.anna_recovery, delegations(16, (1, 2)),
      s.head, ALL, ALL]),
    ("agreement_withdrawn", seed("withdrawn agreement"),
     [1, 1, 6, 0, s.anna.key, s.bank.key, None, s.agreement_commitment, None, s.NOW, 0, 7, 0, 4, None, None, s.anna_recovery,
      [], s.head, 9, s.NOW_MS]),
    ("terms_least", s.terms_id, [1, 2, s.anna.key, s.terms_commitment, None, None, 3, 1, 1000, 0, None, None, 1, None, [],
                                 s.terms_id]),
    ("terms_full", s.older_terms_id, [1, 2, s.anna.key, s.terms_commitment, s.NOW, s.NOW + s.YEAR, ALL, 3, 5, 5, s.audience,
                                      s.terms_id, 0, s.anna_recovery, delegations(16, (0,)), s.head]),
    ("profile_least", s.profile_id, [1, 3, s.bank.key, s.delivery, s.profile_commitment, s.bank_recovery, [], [], s.head]),
    ("profile_full", seed("full profile"), [1, 3, s.bank.key, s.delivery, s.profile_commitment, s.bank_recovery,
                                            delegations(16, (0,)), vouches(16), s.head]),
    ("answer", answer_key(s.terms_id, s.profile_id), [1, 4, s.subscription_id]),
    ("network_of_four", network_key(), [1, 5, s.parameters, s.member_array]),
    ("network_of_one", network_key(), [1, 5, [1, 1, 65535, 1, 0, 0], s.member_array[:1]]),
]


def value_items():
    for name, key, value in STATE:
        data = canonical(value)
        path = sha256(key)
        yield {"name": name, "hex": data.hex(), "key": key.hex(), "path": path.hex(), "value_hash": sha256(data).hex(),
               "leaf": smt_leaf(path, data).hex(), "value": plain(value)}


def tree_items():
    """Trees over the keys seed("tree key i") with the answer values [1, 4, seed("tree value i")]."""
    for count in (1, 2, 3, 10, 100):
        leaves = {}
        for number in range(count):
            path = sha256(seed("tree key %d" % number))
            leaves[path] = smt_leaf(path, canonical([1, 4, seed("tree value %d" % number)]))
        first = sha256(seed("tree key 0"))
        yield {"name": "tree_of_%d" % count, "hex": smt_root(leaves).hex(),
               "keys": [seed("tree key %d" % number).hex() for number in range(count)],
               "values": [canonical([1, 4, seed("tree value %d" % number)]).hex() for number in range(count)],
               "siblings_of_first": plain(smt_path(leaves, first))}


def items():
    return list(value_items()) + list(tree_items())


assert recovery_hash(s.recovery.key) == s.anna_recovery
