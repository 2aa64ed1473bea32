// Checks our receipts (RFC 9942) with npm's @transmute/cose. It rebuilds the root
// from leaf and path; it knows only ECDSA, so the Ed25519 check is plugged in
// from node's own crypto.
//
//   node check.js DIR      (through node_check.sh, which installs the package)
//
// Reads DIR/receipt.cose, DIR/receipt_leaf.bin (the full bytes of the record) and
// DIR/log_ed25519.hex (the 32-byte public key). What the package takes, and what
// RFC 9942 says too:
//
//   18([ << { 1: -8, ? 4: kid, 395: 1 } >>,                  alg EdDSA, vds RFC9162_SHA256
//        { 396: { -1: [ << [tree_size, leaf_index, [path: bstr ...]] >> ] } },
//        null,                                               detached: the root
//        signature ])                                        64 bytes
//
// -1 is an array, also of one; each proof in it is a byte string that holds CBOR.
// Signed: ["Signature1", protected, h'', root], no external data. Every integer,
// label 395 and 396 among them, in its shortest form; tag 18 must be there. The
// signed bytes cannot name the size: the root alone commits to it.
//
// Exit status 0 only if the receipt is accepted and every altered twin is refused.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");
const cose = require("@transmute/cose");

const read = (name) => fs.readFileSync(path.join(process.argv[2], name));

// What @transmute/cose calls a detached verifier: gets the root that it computed.
function verifierFor(publicKey) {
  const key = crypto.createPublicKey({
    key: { kty: "OKP", crv: "Ed25519", x: publicKey.toString("base64url") },
    format: "jwk",
  });
  return {
    verify: ({ coseSign1, payload }) => {
      const [protectedHeader, , , signature] = cose.cbor.decode(coseSign1).value;
      if (cose.cbor.decode(protectedHeader).get(1) !== -8) throw new Error("alg is not EdDSA");
      const signed = cose.cbor.encode(["Signature1", protectedHeader, Buffer.alloc(0), Buffer.from(payload)]);
      if (!crypto.verify(null, signed, key, signature)) throw new Error("bad signature");
      return payload;
    },
  };
}

async function accepted({ receipt, leaf, publicKey }) {
  try {
    const entry = await cose.receipt.leaf(new Uint8Array(leaf));
    const verifier = verifierFor(publicKey);
    await cose.receipt.inclusion.verify({ entry, receipt, verifier });
    return true;
  } catch (refusal) {
    if (refusal instanceof TypeError || refusal instanceof ReferenceError) throw refusal;
    return false;
  }
}

function flip(bytes, at) {
  const copy = Buffer.from(bytes);
  copy[at < 0 ? copy.length + at : at] ^= 1;
  return copy;
}

// The same receipt with one change to its decoded parts.
function changed(receipt, change) {
  const { value } = cose.cbor.decode(receipt);
  const proofs = value[1].get(396);
  const parts = { proof: cose.cbor.decode(proofs.get(-1)[0]), signature: value[3], protectedHeader: value[0] };
  change(parts);
  proofs.set(-1, [cose.cbor.encode(parts.proof)]);
  return Buffer.from(cose.cbor.encode(new cose.cbor.Tagged(18, [parts.protectedHeader, value[1], null, parts.signature])));
}

async function main() {
  const good = {
    receipt: read("receipt.cose"),
    leaf: read("receipt_leaf.bin"),
    publicKey: Buffer.from(read("log_ed25519.hex").toString().trim(), "hex"),
  };
  if (good.publicKey.length !== 32) throw new Error("log_ed25519.hex is not 32 bytes");
  if (!(await accepted(good))) throw new Error("refused the good receipt");
  if (!changed(good.receipt, () => {}).equals(good.receipt)) throw new Error("not the deterministic encoding");

  changed(good.receipt, (parts) => {
    if (parts.proof[2].length === 0) throw new Error("a receipt of a one-leaf log has no path to alter; give a larger one");
  });

  const twins = {
    leaf: { ...good, leaf: flip(good.leaf, -1) },
    key: { ...good, publicKey: crypto.generateKeyPairSync("ed25519").publicKey.export({ format: "der", type: "spki" }).subarray(-32) },
    signature: { ...good, receipt: changed(good.receipt, (parts) => { parts.signature = flip(parts.signature, 0); }) },
    index: { ...good, receipt: changed(good.receipt, (parts) => { parts.proof[1] ^= 1; }) },
    size: { ...good, receipt: changed(good.receipt, (parts) => { parts.proof[0] *= 2; }) },
    "path, cut short": { ...good, receipt: changed(good.receipt, (parts) => { parts.proof[2].pop(); }) },
    path: { ...good, receipt: changed(good.receipt, (parts) => { parts.proof[2][0] = flip(parts.proof[2][0], 0); }) },
  };
  for (const [what, twin] of Object.entries(twins)) {
    if (await accepted(twin)) throw new Error(`accepted a twin with an altered ${what}`);
  }
  console.log(`accepted, refused ${Object.keys(twins).length} altered twins`);
}

main().catch((failure) => {
  console.error(failure.message);
  process.exit(1);
});
