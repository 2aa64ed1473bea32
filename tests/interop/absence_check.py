#!/usr/bin/python3
"""Checks that a key is NOT in the state tree, with python's standard library
only: npm's ics23 cannot, and a proof of absence nobody else can check is a claim.

    absence_check.py DIR     reads DIR/absence*.json, at least absence.json; each:
    {"root": hex, "key": hex, "left": null or side, "right": null or side}
    side = {"key": hex, "value_hash": hex, "path": [hex, ...]}

`key` is H(id), `value_hash` is H(value), `path` the siblings from the leaf up to
the root, 64 zeros in hex for an empty subtree.

Why this is a proof. Let leaf = H(0 || key || value_hash), inner = H(1 || left ||
right), an empty subtree be 32 zero bytes, and a subtree with one leaf be that
leaf. A leaf lies at depth len(path) on the way that its key's bits name, most
significant first, so which side a sibling is on follows from the key and is
never taken from the proof. Then:

 1. Each neighbour exists under the root (path of at most 256, and the lowest
    sibling not empty, or the leaf would stand higher up). Its subtree holds
    nothing else, so no other key shares the first len(path) bits with it.
 2. left < key < right, strictly, as 32-byte strings.
 3. Nothing lies between the two. Let c be the number of first bits they share;
    both paths are longer than c. At depth c left turns to 0 and right to 1. A
    key strictly between them is either in left's half and right of left, or in
    right's half and left of right. Right of left, below depth c: exactly the
    right siblings on left's path from depth c+1 down, so each of these has to be
    empty. Mirrored for right. Above depth c both pass through one node, so what
    hangs off there is outside the interval and the siblings have to be equal.
 4. Without a left neighbour, right has to be the first leaf of all: every left
    sibling on its whole path is empty. Mirrored without a right one. With
    neither there is no proof: the tree always holds the network's entry.

Exit status 0 only if absence is accepted and every altered twin is refused.
"""
import copy
import json
import pathlib
import sys

from refusal import Refused, need, sha256

EMPTY = bytes(32)
DEPTH_MAX = 256


def bytes32(text):
    need(isinstance(text, str) and len(text) == 64 and text == text.lower(), "not 64 lower-case hex digits")
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Refused("not hex")


def bit(key, depth):
    return key[depth // 8] >> (7 - depth % 8) & 1


class Neighbour:
    """A leaf that exists under the root; siblings[d] hangs off the node at depth d."""

    def __init__(self, side, root):
        self.key = bytes32(side["key"])
        path = [bytes32(sibling) for sibling in side["path"]]
        need(len(path) <= DEPTH_MAX, "path too long")
        need(not path or path[0] != EMPTY, "a leaf beside an empty subtree stands too deep")
        self.siblings = path[::-1]
        node = sha256(b"\0", self.key, bytes32(side["value_hash"]))
        for depth in reversed(range(len(path))):
            pair = (self.siblings[depth], node) if bit(self.key, depth) else (node, self.siblings[depth])
            node = sha256(b"\1", *pair)
        need(node == root, "path does not lead to the root")

    def nothing_beyond(self, side_bit, from_depth):
        """Is every sibling on that side, from that depth down, empty?"""
        return all(self.siblings[depth] == EMPTY
                   for depth in range(from_depth, len(self.siblings))
                   if bit(self.key, depth) != side_bit)


def check(proof):
    """Raises Refused unless the proof shows that the key is absent."""
    root, key = bytes32(proof["root"]), bytes32(proof["key"])
    left = proof["left"] and Neighbour(proof["left"], root)
    right = proof["right"] and Neighbour(proof["right"], root)
    need(left or right, "no neighbour at all")
    if left:
        need(left.key < key, "left neighbour is not before the key")
    if right:
        need(key < right.key, "right neighbour is not after the key")
    if left and right:
        shared = 0
        while bit(left.key, shared) == bit(right.key, shared):
            shared += 1
        need(len(left.siblings) > shared and len(right.siblings) > shared, "one leaf inside the other's subtree")
        need(left.siblings[:shared] == right.siblings[:shared], "two ways down to one node")
        # A left key's own bits: where it turns 0, the sibling is on its right (bit 1).
        need(left.nothing_beyond(1, shared + 1), "something between left and the key")
        need(right.nothing_beyond(0, shared + 1), "something between the key and right")
    elif left:
        need(left.nothing_beyond(1, 0), "left is not the last leaf")
    else:
        need(right.nothing_beyond(0, 0), "right is not the first leaf")


def flip(text, at=0):
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1:]


def twins(proof):
    """Names and altered copies, one change each."""
    def altered(change):
        twin = copy.deepcopy(proof)
        change(twin)
        return twin

    yield "root", altered(lambda twin: twin.update(root=flip(twin["root"])))
    for name in ("left", "right"):
        if not proof[name]:
            continue
        own = int(proof[name]["key"], 16)
        beyond = own - 1 if name == "left" else own + 1
        yield name + " key itself", altered(lambda twin: twin.update(key=twin[name]["key"]))
        if 0 <= beyond < 1 << 256:
            yield "key beyond " + name, altered(lambda twin: twin.update(key="%064x" % beyond))
        yield name + " dropped", altered(lambda twin: twin.update({name: None}))
        yield name + " value", altered(lambda twin: twin[name].update(value_hash=flip(twin[name]["value_hash"], 9)))
        yield name + " key", altered(lambda twin: twin[name].update(key=flip(twin[name]["key"], 63)))
        for index in range(len(proof[name]["path"])):
            yield "%s path %d" % (name, index), altered(
                lambda twin: twin[name]["path"].__setitem__(index, flip(twin[name]["path"][index], 7)))
        if proof[name]["path"]:
            yield name + " path cut", altered(lambda twin: twin[name]["path"].pop())
    yield "sides swapped", altered(lambda twin: twin.update(left=proof["right"], right=proof["left"]))


def judge(file):
    proof = json.loads(file.read_text())
    try:
        check(proof)
    except Refused as why:
        sys.exit("%s: refused the good proof: %s" % (file.name, why))
    count = 0
    for what, twin in twins(proof):
        try:
            check(twin)
        except Refused:
            count += 1
            continue
        sys.exit("%s: accepted a twin with an altered %s" % (file.name, what))
    print("%s: accepted, refused %d altered twins" % (file.name, count))


def main():
    directory = pathlib.Path(sys.argv[1])
    for file in [directory / "absence.json", *sorted(directory.glob("absence_*.json"))]:
        judge(file)


if __name__ == "__main__":
    main()
