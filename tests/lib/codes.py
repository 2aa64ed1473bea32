"""Connect codes as text, taken apart and put together from the words of RFC 9285 and ledger/formats.cddl: shares no code with
the product. Also what an SVG or terminal drawing of a QR code looks like in pixels, for zbarimg."""

import os
import re
import sys

import cbor2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors"))
from base45 import ALPHABET, base45  # noqa: E402

PREFIX = "CONSENT1:"


def bytes_of(text):
    out = b""
    for at in range(0, len(text), 3):
        group = text[at:at + 3]
        out += sum(ALPHABET.index(c) * 45 ** i for i, c in enumerate(group)).to_bytes(len(group) - 1, "big")
    return out


def read(path):
    """A code file as the list of formats.cddl."""
    text = open(path).read().rstrip("\n")
    assert text.startswith(PREFIX), text[:12]
    return cbor2.loads(bytes_of(text[len(PREFIX):]))


def write(path, fields):
    with open(path, "w") as file:
        file.write(PREFIX + base45(cbor2.dumps(fields, canonical=True)) + "\n")


def write_pgm(path, rows, scale=6):
    """rows: lists of 1 (dark) and 0."""
    pixels = b"".join(bytes(0 if cell else 255 for cell in row for _ in range(scale)) * scale for row in rows)
    with open(path, "wb") as file:
        file.write(b"P5 %d %d 255\n" % (len(rows[0]) * scale, len(rows) * scale) + pixels)


def svg_rows(path):
    text = open(path).read()
    side = int(re.search(r'viewBox="0 0 (\d+) \1"', text).group(1))
    rows = [[0] * side for _ in range(side)]
    for x, y, run, back in re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", text):
        assert run == back
        rows[int(y)][int(x):int(x) + int(run)] = [1] * int(run)
    return rows


def terminal_rows(path):
    upper, lower = {"\u2588": 0, "\u2580": 0, "\u2584": 1, " ": 1}, {"\u2588": 0, "\u2580": 1, "\u2584": 0, " ": 1}
    rows = []
    for line in open(path, encoding="utf-8").read().split("\n"):
        if line and all(c in upper for c in line):
            rows += [[upper[c] for c in line], [lower[c] for c in line]]
    return rows
