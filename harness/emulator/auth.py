"""Checks whether a client has the private key of a public key that the phone trusts.

ADB signs a 20-byte random token as if it were a SHA-1 digest (PKCS#1 v1.5). Public keys come in
Android's own format: base64 of {words, -1/n mod 2^32, n, R^2 mod n, e}, then a comment.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import NamedTuple

TOKEN_SIZE = 20
MODULUS_SIZE = 256
_KEY = struct.Struct(f"<II{MODULUS_SIZE}s{MODULUS_SIZE}sI")
_SHA1_PREFIX = bytes.fromhex("3021300906052b0e03021a05000414")
_EXPONENTS = (3, 65537)


class PublicKey(NamedTuple):
    """Modulus and exponent."""

    n: int
    e: int


def parse_key(line: bytes) -> PublicKey:
    """A line of adb_keys, or what a client offers. ValueError if it is not a 2048-bit key."""
    text = line.rstrip(b"\0").split(maxsplit=1)[:1]
    try:
        blob = base64.b64decode(text[0], validate=True)
        words, n0inv, n_bytes, _, e = _KEY.unpack(blob)
    except (IndexError, binascii.Error, struct.error) as error:
        raise ValueError("not an ADB public key") from error
    n = int.from_bytes(n_bytes, "little")
    if words * 4 != MODULUS_SIZE or e not in _EXPONENTS or n.bit_length() != MODULUS_SIZE * 8:
        raise ValueError("not a 2048-bit RSA key")
    if (n * n0inv + 1) % 2**32:
        raise ValueError("the key's Montgomery constant does not fit its modulus")
    return PublicKey(n, e)


def verify(key: PublicKey, token: bytes, signature: bytes) -> bool:
    """Whether `signature` is `token`, signed with the private half of `key`."""
    if len(signature) != MODULUS_SIZE:
        return False
    number = int.from_bytes(signature, "big")
    if number >= key.n:
        return False
    message = _SHA1_PREFIX + token
    padding = b"\xff" * (MODULUS_SIZE - 3 - len(message))
    expected = b"\x00\x01" + padding + b"\x00" + message
    return pow(number, key.e, key.n).to_bytes(MODULUS_SIZE, "big") == expected
