// Checks our proofs of existence in the state tree with npm's @confio/ics23, the
// published verifier of inter-blockchain proofs. It cannot check absence in a
// tree with empty subtrees; absence_check.py does that.
//
//   node check.js DIR      (through node_check.sh, which installs the package)
//
// Reads DIR/state_existence_N.json for N = 1, 2, 3, 10, 1000 agreements (a tree of
// N + 1 leaves, because the network's own entry is always there), all in hex:
//   {"root": 32 bytes, "key": 32 bytes, H(id), "value": bytes, not hashed,
//    "path": [{"prefix": .., "suffix": ..}, ..]}        from the leaf up
// A path step is an ICS23 InnerOp. Where the node we come from is
//   the left child:   prefix = 01            suffix = right sibling
//   the right child:  prefix = 01 || left    suffix = empty
// and an empty sibling is 32 zero bytes, written out like any other.
//
// The specification below is ICS23's SmtSpec but for one value: the SmtSpec of
// today says prehash_key SHA256 and prehash_key_before_comparison, which version
// 0.6.8 does not know. So it gets NO_HASH and the key already hashed; the bytes
// that are hashed are the same. min_depth is not set: a single leaf has no path.
//
// Exit status 0 only if all are accepted and every altered twin is refused.
"use strict";
const fs = require("fs");
const path = require("path");
const { ics23, verifyExistence } = require("@confio/ics23");

const { HashOp, LengthOp } = ics23;
const leaf = {
  hash: HashOp.SHA256,
  prehashKey: HashOp.NO_HASH,
  prehashValue: HashOp.SHA256,
  length: LengthOp.NO_PREFIX,
  prefix: Uint8Array.of(0),
};
const spec = {
  leafSpec: leaf,
  innerSpec: {
    childOrder: [0, 1],
    childSize: 32,
    minPrefixLength: 1,
    maxPrefixLength: 1,
    emptyChild: new Uint8Array(32),
    hash: HashOp.SHA256,
  },
  maxDepth: 256,
};

function bytes(text) {
  if (typeof text !== "string" || !/^([0-9a-f]{2})*$/.test(text)) throw new Error("not lower-case hex");
  return Uint8Array.from(Buffer.from(text, "hex"));
}

function accepted(proof) {
  const key = bytes(proof.key);
  const value = bytes(proof.value);
  const steps = proof.path.map((step) => ({
    hash: HashOp.SHA256,
    prefix: bytes(step.prefix),
    suffix: bytes(step.suffix),
  }));
  // What ICS23 leaves to whoever writes the proof, and our format does not.
  if (key.length !== 32) return false;
  for (const step of steps) {
    if (step.prefix[0] !== 1 || step.prefix.length - 1 + step.suffix.length !== 32) return false;
  }
  try {
    verifyExistence({ key, value, leaf, path: steps }, spec, bytes(proof.root), key, value);
    return true;
  } catch (refusal) {
    // Its refusals are Errors, or `true` for an inner step that looks like a leaf.
    if (refusal !== true && !(refusal instanceof Error)) throw refusal;
    if (refusal instanceof TypeError || refusal instanceof ReferenceError) throw refusal;
    return false;
  }
}

function flip(text, at) {
  const other = text[at] === "0" ? "1" : "0";
  return text.slice(0, at) + other + text.slice(at + 1);
}

function* twins(proof) {
  for (const field of ["root", "key", "value"]) {
    yield [field, { ...proof, [field]: flip(proof[field], proof[field].length - 1) }];
  }
  for (let i = 0; i < proof.path.length; i++) {
    const altered = proof.path.map((step, j) => {
      if (i !== j) return step;
      return step.suffix ? { ...step, suffix: flip(step.suffix, 5) } : { ...step, prefix: flip(step.prefix, 5) };
    });
    yield [`path step ${i}`, { ...proof, path: altered }];
  }
  yield ["path, cut short", { ...proof, path: proof.path.slice(0, -1) }];
}

try {
  let refused = 0;
  for (const count of [1, 2, 3, 10, 1000]) {
    const name = `state_existence_${count}.json`;
    const proof = JSON.parse(fs.readFileSync(path.join(process.argv[2], name), "utf8"));
    if (proof.path.length === 0) throw new Error(`${name}: no path, but the tree has ${count + 1} leaves`);
    if (!accepted(proof)) throw new Error(`refused the good ${name}`);
    for (const [what, twin] of twins(proof)) {
      if (accepted(twin)) throw new Error(`accepted a twin of ${name} with an altered ${what}`);
      refused++;
    }
  }
  console.log(`accepted 5 proofs, refused ${refused} altered twins`);
} catch (failure) {
  console.error(failure.message);
  process.exit(1);
}
