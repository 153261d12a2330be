"""Our own connection to a phone's adbd: packets, the handshake, and numbered streams.

We announce the first version of the protocol that needs no checksum of every packet; older phones
still get checksums. Source: packages/modules/adb, protocol.txt and transport.cpp
(`A_VERSION_SKIP_CHECKSUM`) of the Android Open Source Project.
"""

from __future__ import annotations

import contextlib
import struct
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from harness.core.errors import StableDeviceError
from harness.devices.transports._streams import Deadline, Refused, cut_off, not_adb

VERSION = SUMS_END_WITH = 0x01000001
MAX_PAYLOAD = 1 << 20
LEAST_PAYLOAD = 4096  # of the oldest phones
TOKEN_BYTES = 20
HEADER = struct.Struct("<6I")

CNXN, AUTH, OPEN, OKAY, WRTE, CLSE, STLS = (
    int.from_bytes(name, "little")
    for name in (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE", b"STLS")
)
_COMMANDS = frozenset((CNXN, AUTH, OPEN, OKAY, WRTE, CLSE, STLS))
_TOKEN, _SIGNATURE, _PUBLIC_KEY = 1, 2, 3
_BANNER = b"host::mobile-bench\0"


class Packet(NamedTuple):
    """`arg0` is the sender's number of a stream, `arg1` the receiver's, where it has them."""

    command: int
    arg0: int
    arg1: int
    data: bytes


class Pipe(Protocol):
    """Bytes to and from a phone. Every call ends by the deadline, or raises
    TransientDeviceError."""

    deadline: Deadline

    def connect(self) -> None:
        """Open it."""

    def read(self, size: int) -> bytes:
        """At least one byte, at most `size`."""

    def write(self, data: bytes | memoryview) -> None:
        """All of it."""

    def close(self) -> None:
        """Never raises."""


class Signer(Protocol):
    """The key by which a phone knows this computer; adb-shell's signers have these calls."""

    def Sign(self, data: bytes) -> bytes:
        """The token, signed."""

    def GetPublicKey(self) -> str | bytes:
        """What the phone shows to its user, and keeps if that allows it."""


class Connection:
    """Packets over a pipe. Calls come from one thread."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.max_payload = LEAST_PAYLOAD
        # Until the phone has sent its version in CNXN, checksums are sent, because an old phone
        # wants them, and not checked, because a new one leaves them out.
        self._version: int | None = None
        self._last_id = 0
        self._waiting: dict[int, deque[Packet]] = {}

    def connect(self, signer: Signer, asking: Callable[[], None]) -> None:
        """Shake hands. If the phone does not know the key, it asks its user: then `asking` is
        called, which may extend the deadline."""
        self.pipe.connect()
        self.send(CNXN, VERSION, MAX_PAYLOAD, _BANNER)
        tokens = 0
        while (packet := self._receive()).command != CNXN:
            if packet.command == STLS:
                raise StableDeviceError(
                    "connect",
                    "the phone wants the encrypted connection of wireless debugging",
                    "pair it (adb pair ADDRESS) and use `transport: adb_server`",
                )
            if packet.command != AUTH or packet.arg0 != _TOKEN:
                continue  # a packet of an earlier connection, which the cable may still hold
            if len(packet.data) != TOKEN_BYTES:  # only the token is signed
                raise not_adb(f"a token of {len(packet.data)} bytes")
            tokens += 1
            if tokens == 1:
                self.send(AUTH, _SIGNATURE, 0, signer.Sign(packet.data))
            elif tokens == 2:
                key = signer.GetPublicKey()
                key = key.encode() if isinstance(key, str) else bytes(key)
                self.send(AUTH, _PUBLIC_KEY, 0, key + b"\0")
                asking()
        if packet.arg1 < LEAST_PAYLOAD:
            raise not_adb(f"packets of at most {packet.arg1} bytes")
        self._version = packet.arg0
        self.max_payload = min(packet.arg1, MAX_PAYLOAD)

    def open_stream(self) -> int:
        """The number of a new stream that we open."""
        self._last_id = self._last_id % 0xFFFFFFFF + 1
        self._waiting[self._last_id] = deque()
        return self._last_id

    def forget_stream(self, number: int) -> None:
        """Drop everything that still arrives for a stream."""
        self._waiting.pop(number, None)

    def send(self, command: int, arg0: int, arg1: int, data: bytes | memoryview = b"") -> None:
        """Send one packet."""
        sums = self._version is None or self._version < SUMS_END_WITH
        total = _sum(data) if sums else 0
        self.pipe.write(HEADER.pack(command, arg0, arg1, len(data), total, command ^ 0xFFFFFFFF))
        if len(data):
            self.pipe.write(data)

    def receive_for(self, number: int) -> Packet:
        """The next packet for one stream; those for others wait until they are asked for."""
        while not self._waiting[number]:
            packet = self._receive()
            if packet.command not in (OKAY, WRTE, CLSE):
                raise not_adb(f"a packet of kind {packet.command:#x} in the middle")
            if packet.arg1 in self._waiting:
                self._waiting[packet.arg1].append(packet)
        return self._waiting[number].popleft()

    def _receive(self) -> Packet:
        command, arg0, arg1, length, total, magic = HEADER.unpack(self._read(HEADER.size))
        if command not in _COMMANDS or magic != command ^ 0xFFFFFFFF:
            raise not_adb(f"a packet of kind {command:#x}")
        if length > MAX_PAYLOAD:
            raise not_adb(f"a packet of {length} bytes")
        data = self._read(length) if length else b""
        version = arg0 if command == CNXN else self._version
        if version is not None and version < SUMS_END_WITH and _sum(data) != total:
            raise not_adb(f"a packet with the wrong checksum {total:#x}")
        return Packet(command, arg0, arg1, data)

    def _read(self, size: int) -> bytes:
        first = self.pipe.read(size)
        if len(first) == size:
            return first
        data = bytearray(first)
        while len(data) < size:
            data += self.pipe.read(size - len(data))
        return bytes(data)


class PacketStream:
    """One stream of packets: each WRTE must be acknowledged before the next. We wait for that only
    when there is a next one, so that the phone and we work at the same time. Raises Refused."""

    def __init__(self, connection: Connection, service: str) -> None:
        self._connection = connection
        self._deadline = connection.pipe.deadline
        self._incoming: deque[bytes] = deque()
        self._ended = False
        self._unacknowledged = False
        self._id = connection.open_stream()
        connection.send(OPEN, self._id, 0, service.encode() + b"\0")
        answer = connection.receive_for(self._id)
        if answer.command == CLSE:
            connection.forget_stream(self._id)
            raise Refused
        if answer.command != OKAY:
            raise not_adb("data of a service that is not open")
        self._remote_id = answer.arg0

    def extend(self, seconds: float) -> None:
        """See Stream."""
        self._deadline.extend(seconds)

    def send(self, data: bytes | memoryview) -> None:
        """See Stream."""
        size = self._connection.max_payload
        for start in range(0, len(data), size):
            self._await_okay()
            self._send(WRTE, data[start : start + size])
            self._unacknowledged = True

    def receive(self) -> bytes:
        """See Stream."""
        while not self._incoming and not self._ended:
            self._take()
        return self._incoming.popleft() if self._incoming else b""

    def pending(self) -> bool:
        """See Stream."""
        return bool(self._incoming) or self._ended

    def close(self) -> None:
        """See Stream."""
        if not self._ended:
            self._ended = True
            with contextlib.suppress(Exception):
                self._deadline.extend(2)
                self._send(CLSE)
        self._connection.forget_stream(self._id)

    def _await_okay(self) -> None:
        while self._unacknowledged:
            if self._ended:
                raise cut_off()
            self._take()

    def _take(self) -> None:
        packet = self._connection.receive_for(self._id)
        if packet.command == OKAY:
            self._unacknowledged = False
        elif packet.command == WRTE:
            self._send(OKAY)
            if packet.data:
                self._incoming.append(packet.data)
        else:
            self._ended = True
            self._send(CLSE)

    def _send(self, command: int, data: bytes | memoryview = b"") -> None:
        self._connection.send(command, self._id, self._remote_id, data)


def _sum(data: bytes | memoryview) -> int:
    """The sum of the bytes modulo 2**32, which ADB calls crc32."""
    if len(data) < 4096:
        return sum(data)
    import numpy as np

    return int(np.frombuffer(data, np.uint8).sum(dtype=np.uint32))
