"""A chain of two blocks that is right in every byte: Anna grants, the bank subscribes, four members make it final. The
vectors of blocks, agreement among nodes, proofs and frames are taken from it."""

import base64

import scene as s
from formats import Record, canonical, domain_hash, log_root, network_key, sha256, smt_leaf, smt_root

EPOCH = 0


def leaf_hash(data):
    return sha256(b"\0", data)


def state_root(values):
    return smt_root({sha256(key): smt_leaf(sha256(key), value) for key, value in values.items()})


def block_id(leaves_before, state_leaf):
    return domain_hash("consent/v1 block", len(leaves_before).to_bytes(8, "big"), log_root(leaves_before), state_leaf)


# Height 0: the network's own entry and one state leaf.
MEMBER_SET = sha256(canonical(s.member_array))
NETWORK_VALUE = canonical([1, 5, s.parameters, s.member_array])
values = {network_key(): NETWORK_VALUE}
genesis_leaf_fields = [1, s.NETWORK, EPOCH, 0, bytes(32), MEMBER_SET, state_root(values), s.GENESIS_MS, 0]
genesis_leaf = canonical(genesis_leaf_fields)
genesis_block = block_id([], genesis_leaf)

# Height 1, view 2 (view 1 was nullified): a GRANT and the SUBSCRIBE that answers it; and a PROFILE of somebody.
grant = Record(s.NETWORK, s.anna, 4, s.NOW_MS - 2000, [{
    1: s.grant_nonce, 3: s.agreement_commitment, 5: s.NOW + s.YEAR, 6: s.audience, 9: 7, 15: s.anna_recovery}])
subscribe = Record(s.NETWORK, s.bank, 5, s.NOW_MS - 1000, [{
    1: s.agreement_id, 2: grant.id, 3: s.agreement_commitment, 7: s.salt("audience"), 9: 7}])
profile = Record(s.NETWORK, s.bank, 1, s.NOW_MS - 500, [{
    1: s.profile_nonce, 3: s.profile_commitment, 12: s.delivery, 15: s.bank_recovery}])
block_records = [grant, subscribe, profile]
agreement_value = canonical([
    1, 1, 4, 0, s.anna.key, s.bank.key, None, s.agreement_commitment, None, s.NOW + s.YEAR, 7, 0, 0, 0, None, None,
    s.anna_recovery, [], subscribe.id, 2, s.NOW_MS])
profile_value = canonical([1, 3, s.bank.key, s.delivery, s.profile_commitment, s.bank_recovery, [], [], profile.id])
values = {**values, s.agreement_id: agreement_value, s.profile_id: profile_value}
smt_leaves = {sha256(key): smt_leaf(sha256(key), value) for key, value in values.items()}
state_leaf_fields = [1, s.NETWORK, EPOCH, 1, genesis_block, MEMBER_SET, state_root(values), s.NOW_MS, 3]
state_leaf = canonical(state_leaf_fields)
leaves_before = [leaf_hash(genesis_leaf)] + [record.leaf for record in block_records]
leaves = leaves_before + [leaf_hash(state_leaf)]
block = block_id(leaves_before, state_leaf)
root = log_root(leaves)
root_before = log_root(leaves_before)

# ---------------------------------------------------------------- votes
PROPOSE, NOTARIZE, NULLIFY, FINALIZE = 1, 2, 3, 4


def vote_signed(kind, view, block32, epoch=EPOCH):
    return b"consent/v1 vote\0" + canonical([s.NETWORK, epoch, kind, view, block32])


def vote_fields(kind, view, block32, member, epoch=EPOCH):
    signature = member.vote.sign(vote_signed(kind, view, block32, epoch))
    return [1, epoch, kind, view, block32, member.number, signature]


def certificate_fields(kind, view, block32, voters, epoch=EPOCH):
    bits = sum(1 << number for number in voters).to_bytes((len(s.members) + 7) // 8, "little")
    signatures = [s.members[number].vote.sign(vote_signed(kind, view, block32, epoch)) for number in voters]
    return [1, epoch, kind, view, block32, bits, signatures]


nullification = certificate_fields(NULLIFY, 1, None, [0, 1, 2])
notarization = certificate_fields(NOTARIZE, 2, block, [0, 1, 3])
finalization = certificate_fields(FINALIZE, 2, block, [1, 2, 3])
proposal_fields = [1, EPOCH, 2, genesis_block, 0, 1, s.NOW_MS, [record.leaf for record in block_records], len(leaves), root,
                   state_root(values), [nullification]]


def stored_genesis_fields():
    return [1, EPOCH, 0, 0, 0, 0, genesis_block, genesis_leaf, log_root(leaves[:1]), None]


def stored_block_fields():
    """The certificate stands in the array as an item of its own."""
    return [1, EPOCH, 2, 0, 1, 3, block, state_leaf, root, finalization]


# ---------------------------------------------------------------- checkpoint (C2SP signed-note, tlog-cosignature)
BODY = "%s\n%d\n%s\n" % (s.ORIGIN, len(leaves), base64.b64encode(root).decode())
COSIGNED_AT = [s.NOW + 1, s.NOW + 2, s.NOW + 3]


def key_id(name, key_type, public):
    return sha256(name.encode(), b"\n", bytes([key_type]), public)[:4]


def note_line(name, identity, signature):
    return "\u2014 %s %s\n" % (name, base64.b64encode(identity + signature).decode())


def vkey(name, key_type, public):
    return "%s+%s+%s" % (name, key_id(name, key_type, public).hex(), base64.b64encode(bytes([key_type]) + public).decode())


def log_line(member):
    return note_line(s.ORIGIN, key_id(s.ORIGIN, 1, member.log.public), member.log.sign(BODY.encode()))


def cosignature_line(member, time_s):
    name = s.ORIGIN + "/" + member.name
    message = "cosignature/v1\ntime %d\n%s" % (time_s, BODY)
    signature = time_s.to_bytes(8, "big") + member.witness.sign(message.encode())
    return note_line(name, key_id(name, 4, member.witness.public), signature)


checkpoint = BODY + "\n" + log_line(s.members[0])
checkpoint += "".join(cosignature_line(s.members[number], COSIGNED_AT[number]) for number in range(3))
