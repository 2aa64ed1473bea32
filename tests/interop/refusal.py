"""How the verifiers in Python say no, and the one hash that they all use."""
import hashlib


class Refused(Exception):
    pass


def need(condition, why):
    if not condition:
        raise Refused(why)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()
