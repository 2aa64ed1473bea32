"""State leaves, block ids, proposals, closing blocks and stored blocks of the chain in chain.py."""

import chain as c
import scene as s
from formats import canonical, domain_hash, plain


def items():
    closing = [2, 0, 9, c.block, 2, s.NOW_MS + 7]
    empty = [1, 0, 3, c.block, 2, 2, s.NOW_MS + 1, [], len(c.leaves) + 1, s.head, c.state_root(c.values), []]
    out = []
    for name, fields, data, before in (("state_leaf_genesis", c.genesis_leaf_fields, c.genesis_leaf, []),
                                       ("state_leaf", c.state_leaf_fields, c.state_leaf, c.leaves_before)):
        out.append({"name": name, "hex": data.hex(), "value": plain(fields), "leaf_hash": c.leaf_hash(data).hex(),
                    "leaves_before": len(before), "log_root_before": c.log_root(before).hex(),
                    "block_id": c.block_id(before, data).hex()})
    for name, fields in (("proposal", c.proposal_fields), ("proposal_empty", empty),
                         ("stored_block_genesis", c.stored_genesis_fields()), ("stored_block", c.stored_block_fields())):
        out.append({"name": name, "hex": canonical(fields).hex(), "value": plain(fields)})
    out.append({"name": "closing_block", "hex": canonical(closing + [[c.notarization]]).hex(),
                "value": plain(closing + [[c.notarization]]),
                "block_id": domain_hash("consent/v1 closing", canonical(closing)).hex()})
    out.append({"name": "chain", "hex": c.root.hex(), "network_id": s.NETWORK.hex(), "genesis_ms": s.GENESIS_MS,
                "records": [record.bytes.hex() for record in c.block_records],
                "leaves": plain(c.leaves), "log_root": c.root.hex(), "member_set": c.MEMBER_SET.hex(),
                "state": [{"key": key.hex(), "value": value.hex()} for key, value in c.values.items()],
                "state_root": c.state_root(c.values).hex(), "block_id": c.block.hex(),
                "genesis_block_id": c.genesis_block.hex()})
    return out
