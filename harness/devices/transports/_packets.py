"""ADB's packets as Debian's adb sends them, below adb-shell's handshake.

adb-shell 0.4.4 announces the oldest version of the protocol, for which both sides add up every
byte that passes. We announce the next one, whose peers leave that out; phones that are older
still get their sums. Source: packages/modules/adb, protocol.txt and transport.cpp
(`A_VERSION_SKIP_CHECKSUM`) of the Android Open Source Project.
"""

from __future__ import annotations

import struct
from typing import Any, TypeAlias

from adb_shell import constants
from adb_shell.adb_device import _AdbIOManager
from adb_shell.adb_message import AdbMessage, unpack
from adb_shell.exceptions import InvalidChecksumError, InvalidCommandError

from harness.devices.transports._streams import nonsense

SUMS_END_WITH = 0x01000001
MAX_PAYLOAD = 1 << 20
TOKEN_BYTES = 20

_HEADER = struct.Struct("<6I")
_CONNECT = constants.ID_TO_WIRE[constants.CNXN]

Buffer: TypeAlias = "bytes | bytearray | memoryview"
Received: TypeAlias = "tuple[bytes, int, int, bytes]"


class PacketLayer(_AdbIOManager):  # type: ignore[misc]
    """adb-shell's, with the version rule. Until the phone has told its version in CNXN, sums are
    sent, as an old phone wants, and not checked, as a new one leaves them out."""

    _version: int | None = None

    def _send(self, msg: AdbMessage, adb_info: Any) -> None:
        ours = SUMS_END_WITH if msg.command == _CONNECT else msg.arg0
        sums = self._version is None or self._version < SUMS_END_WITH
        total = checksum(msg.data) if sums else 0
        header = _HEADER.pack(msg.command, ours, msg.arg1, len(msg.data), total, msg.magic)
        self._transport.bulk_write(header, adb_info.transport_timeout_s)
        if len(msg.data):
            self._transport.bulk_write(msg.data, adb_info.transport_timeout_s)

    def _read_packet_from_device(self, adb_info: Any) -> Received:
        header = self._read_bytes_from_device(_HEADER.size, adb_info)
        number, arg0, arg1, length, total = unpack(header)
        command = constants.WIRE_TO_ID.get(number)
        if not command:
            raise InvalidCommandError(f"{number:#x}")
        if length > MAX_PAYLOAD:
            raise nonsense(f"a packet of {length} bytes")
        if command == constants.AUTH and arg0 == constants.AUTH_TOKEN and length != TOKEN_BYTES:
            raise nonsense(f"a token of {length} bytes")  # which is signed: nothing else is
        data = self._read_bytes_from_device(length, adb_info) if length else b""
        if command == constants.CNXN:
            self._version = arg0
        sums = self._version is not None and self._version < SUMS_END_WITH
        if sums and checksum(data) != total:
            raise InvalidChecksumError(f"{total:#x}")
        return command, arg0, arg1, data


def checksum(data: Buffer) -> int:
    """The sum of the bytes modulo 2**32, which ADB calls crc32."""
    if len(data) < 4096:
        return sum(data)
    import numpy as np

    return int(np.frombuffer(data, np.uint8).sum(dtype=np.uint32))
