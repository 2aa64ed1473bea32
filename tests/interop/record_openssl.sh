#!/bin/sh
# Checks the signature of one of our records with the openssl command, the tool
# that an auditor has at hand. Only the repacking is ours: the signed bytes, the
# signature as DER and the key as PEM; openssl alone decides.
#
#   record_openssl.sh DIR     reads record.cose, network_id.hex, signer.hex
#
# Exit status 0 only if the record is accepted and every altered twin refused.
set -eu
directory=${1:?usage: record_openssl.sh DIR}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

/usr/bin/python3 - "$directory" "$work" <<'PYTHON'
import base64, pathlib, sys
import cbor2

directory, work = map(pathlib.Path, sys.argv[1:])
protected, _, payload, signature = cbor2.loads((directory / "record.cose").read_bytes()).value
network_id = bytes.fromhex((directory / "network_id.hex").read_text().strip())
signer = bytes.fromhex((directory / "signer.hex").read_text().strip())


def integer(number):  # DER INTEGER: shortest, with a zero in front where the top bit is set
    number = number.lstrip(b"\0") or b"\0"
    number = b"\0" + number if number[0] & 0x80 else number
    return bytes([2, len(number)]) + number


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def signed(network, body):
    return cbor2.dumps(["Signature1", protected, b"consent/v1" + network, body])


def der(raw):
    body = integer(raw[:32]) + integer(raw[32:])
    return bytes([0x30, len(body)]) + body


# SubjectPublicKeyInfo, id-ecPublicKey with secp256k1, compressed point
spki = bytes.fromhex("3036301006072a8648ce3d020106052b8104000a032200") + signer
(work / "key.pem").write_text("-----BEGIN PUBLIC KEY-----\n%s-----END PUBLIC KEY-----\n"
                              % base64.encodebytes(spki).decode())
for name, message, raw in (
        ("good", signed(network_id, payload), signature),
        ("bad-payload", signed(network_id, flip(payload, len(payload) - 1)), signature),
        ("bad-network", signed(flip(network_id, 0), payload), signature),
        ("bad-signature", signed(network_id, payload), flip(signature, 40))):
    (work / (name + ".msg")).write_bytes(message)
    (work / (name + ".der")).write_bytes(der(raw))
PYTHON

verify()
{
    openssl dgst -sha256 -verify "$work/key.pem" -signature "$work/$1.der" "$work/$1.msg" 2>&1
}

# A missing openssl or a broken key must not pass for a refusal: ask for its own words.
answer=$(verify good) || true
[ "$answer" = 'Verified OK' ] || { echo "refused the good record: $answer" >&2; exit 1; }
echo accepted
for twin in bad-payload bad-network bad-signature; do
    answer=$(verify "$twin") && { echo "accepted the twin $twin" >&2; exit 1; }
    case $answer in
    *'Verification failure'*) ;;
    *) echo "no verdict on the twin $twin: $answer" >&2; exit 1 ;;
    esac
done
echo 'refused every altered twin'
