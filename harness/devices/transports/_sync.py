"""Files through the `sync:` service, version 1, which every adbd speaks.

Source: packages/modules/adb, SYNC.TXT of the Android Open Source Project.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from harness.core.errors import StableDeviceError, TransientDeviceError
from harness.core.text import clean
from harness.devices.transports import Progress
from harness.devices.transports._streams import REPLUG, Stream, not_adb, read_exactly

_HEAD = struct.Struct("<4sI")
_CHUNK = 64 * 1024
_CHUNKS_PER_SEND = 15  # as many as fit into the largest packet, 1 MiB
_MAX_PATH = 1024
SLOWEST_BYTES_PER_S = 20_000

FREE_SPACE = "free some space on the phone, then run again"
OTHER_FOLDER = "set work_dir in devices.yaml to a folder that adb may write to"


class Patience:
    """Limits a transfer: the stream may stall for `stall_s` seconds at a time, and the whole
    transfer must reach the speed of the slowest phone."""

    def __init__(self, stream: Stream, stall_s: float, size_bytes: int) -> None:
        self._stream, self._stall_s = stream, stall_s
        self._end = time.monotonic() + stall_s + size_bytes / SLOWEST_BYTES_PER_S

    def renew(self) -> None:
        """Counts progress; raises TransientDeviceError if the whole transfer is too slow."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TransientDeviceError(
                "link", f"the phone is slower than {SLOWEST_BYTES_PER_S / 1000:g} kB/s", REPLUG
            )
        self._stream.extend(min(self._stall_s, left))


def send_file(
    stream: Stream,
    local: Path,
    remote: str,
    stall_s: float,
    *,
    progress: Progress | None = None,
) -> None:
    """Copy `local` to `remote`, mode 755, on a fresh `sync:` stream. The stream may stall for
    `stall_s` seconds at a time. An early refusal by the phone, which adbd sends long before it has
    thrown away the rest, is read at once.
    """
    name = remote.encode()
    if len(name) > _MAX_PATH - 8:
        raise StableDeviceError("push", "the path on the phone is too long", OTHER_FOLDER)
    total, done = local.stat().st_size, 0
    patience = Patience(stream, stall_s, total)
    patience.renew()
    request = name + b",33261"  # a regular file, 0755, because the runner is to be executed
    stream.send(_HEAD.pack(b"SEND", len(request)) + request)
    try:
        with local.open("rb", buffering=0) as file:
            for block, count in _blocks(file):
                patience.renew()
                stream.send(block)
                if stream.pending():
                    break
                done += count
                if progress:
                    progress(done, total)
            else:
                stream.send(_HEAD.pack(b"DONE", int(local.stat().st_mtime) & 0xFFFFFFFF))
    except TransientDeviceError:
        # Perhaps the phone has refused the file and ended the connection while the rest was sent.
        if not stream.pending():
            raise
    buffer = bytearray()
    kind, length = _HEAD.unpack(read_exactly(stream, buffer, _HEAD.size))
    if kind == b"FAIL":
        raise refusal("push", _message(stream, buffer, length))
    if kind != b"OKAY":
        raise not_adb(f"answer {kind!r} to SEND")


def _blocks(file: BinaryIO) -> Iterator[tuple[memoryview, int]]:
    """(what goes over the line, how many bytes of the file are in it), read straight into one
    buffer that the next block overwrites."""
    stride = _HEAD.size + _CHUNK
    buffer = memoryview(bytearray(_CHUNKS_PER_SEND * stride))
    count = _CHUNK
    while count:
        end = inside = 0
        for start in range(0, len(buffer), stride):
            body = start + _HEAD.size
            count = file.readinto(buffer[body : start + stride])  # type: ignore[attr-defined]
            if not count:
                break
            end, inside = body + count, inside + count
            _HEAD.pack_into(buffer, start, b"DATA", count)
            if count < _CHUNK:
                break
        if inside:
            yield buffer[:end], inside


def receive_file(
    stream: Stream, remote: str, sink: BinaryIO, stall_s: float, max_bytes: int
) -> None:
    """Copy `remote` into `sink`, at most `max_bytes` of it. See `send_file`."""
    name = remote.encode()
    patience = Patience(stream, stall_s, max_bytes)
    patience.renew()
    stream.send(_HEAD.pack(b"RECV", len(name)) + name)
    buffer, done = bytearray(), 0
    while True:
        patience.renew()
        kind, length = _HEAD.unpack(read_exactly(stream, buffer, _HEAD.size))
        if kind == b"DONE":
            return
        if kind == b"FAIL":
            raise refusal("pull", _message(stream, buffer, length))
        if kind != b"DATA" or not 0 < length <= _CHUNK:
            raise not_adb(f"answer {kind!r} to RECV")
        done += length
        if done > max_bytes:
            raise not_adb("a file without end")
        sink.write(read_exactly(stream, buffer, length))


def _message(stream: Stream, buffer: bytearray, length: int) -> str:
    return clean(read_exactly(stream, buffer, min(length, 4096)))


def refusal(stage: str, message: str) -> StableDeviceError:
    """What the phone said, with what to do about it."""
    fix = ""
    if "No space left" in message:
        fix = FREE_SPACE
    elif any(text in message for text in ("Permission denied", "Read-only", "Not a directory")):
        fix = OTHER_FOLDER
    return StableDeviceError(stage, f"the phone refused a file: {message}", fix)
