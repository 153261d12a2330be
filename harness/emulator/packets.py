"""ADB's packets: a header of six little-endian words, then the payload.

Source: the protocol description of the Android Open Source Project, packages/modules/adb,
protocol.txt.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

HEADER = struct.Struct("<6I")
MAX_PAYLOAD = 1 << 20

# From this version on neither side computes or checks the sum of the payload.
VERSION_SKIP_CHECKSUM = 0x01000001
VERSION_MIN = 0x01000000

CNXN, AUTH, OPEN, OKAY, WRTE, CLSE, SYNC = (
    int.from_bytes(name, "little")
    for name in (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE", b"SYNC")
)
COMMANDS = frozenset((CNXN, AUTH, OPEN, OKAY, WRTE, CLSE, SYNC))

AUTH_TOKEN, AUTH_SIGNATURE, AUTH_RSAPUBLICKEY = 1, 2, 3


class ProtocolError(Exception):
    """The peer sent something that is not ADB; the connection ends, as adbd would end it."""


class Packet(NamedTuple):
    """One message; `arg0` is the sender's stream id, `arg1` the receiver's, where it has them."""

    command: int
    arg0: int
    arg1: int
    data: bytes | bytearray = b""


def checksum(data: bytes | bytearray) -> int:
    """The sum of the bytes modulo 2**32, which ADB calls crc32."""
    if len(data) < 4096:
        return sum(data)
    import numpy as np

    return int(np.frombuffer(data, np.uint8).sum(dtype=np.uint64)) & 0xFFFFFFFF


def encode(packet: Packet, version: int) -> tuple[bytes, bytes | bytearray]:
    """Header and payload, to be sent one after the other."""
    total = 0 if version >= VERSION_SKIP_CHECKSUM else checksum(packet.data)
    header = HEADER.pack(
        packet.command,
        packet.arg0,
        packet.arg1,
        len(packet.data),
        total,
        packet.command ^ 0xFFFFFFFF,
    )
    return header, packet.data


def decode(read: Callable[[int], bytearray], version: int) -> Packet:
    """The next packet; `read(n)` gives exactly n bytes. Raises ProtocolError as adbd would."""
    command, arg0, arg1, length, total, magic = HEADER.unpack(read(HEADER.size))
    if command not in COMMANDS or magic != command ^ 0xFFFFFFFF:
        raise ProtocolError(f"not a command: {command:#x}")
    if length > MAX_PAYLOAD:
        raise ProtocolError(f"payload of {length} bytes")
    data = read(length) if length else b""
    if version < VERSION_SKIP_CHECKSUM and checksum(data) != total:
        raise ProtocolError("wrong checksum")
    return Packet(command, arg0, arg1, data)
