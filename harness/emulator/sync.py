"""The `sync:` service: files to and from the phone.

Version 1 (STAT, LIST, SEND, RECV) is what every client speaks; the version 2 requests (STA2,
LST2, LIS2, SND2, RCV2) are answered to clients that ask for them, without compression.
Source: packages/modules/adb, SYNC.TXT and file_sync_protocol.h.
"""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from harness.emulator.phone import Phone

if TYPE_CHECKING:
    from harness.emulator.streams import Stream

HEAD = struct.Struct("<4sI")
STAT_V1 = struct.Struct("<4sIII")
DENT_V1 = struct.Struct("<4sIIII")
STAT_V2 = struct.Struct("<4sIQQIIIIQqqq")
DENT_V2 = struct.Struct("<4sIQQIIIIQqqqI")
SETUP_SEND = struct.Struct("<4sII")
SETUP_RECV = struct.Struct("<4sI")

MAX_PATH = 1024
PATH_TRICKS = ("../../../../tmp/owned", "/etc/owned", "owned\x1b[31m\nowned")
MAX_DATA = 64 * 1024


def serve(stream: Stream, phone: Phone) -> None:
    """Answer requests until QUIT or the stream's end."""
    from harness.emulator.streams import StreamClosed

    session = _Session(stream, phone)
    try:
        while session.request():
            pass
    except StreamClosed:
        return


class _Session:
    def __init__(self, stream: Stream, phone: Phone) -> None:
        self._stream = stream
        self._phone = phone

    def request(self) -> bool:
        """Answer one; False when it was the last."""
        name, length = HEAD.unpack(self._stream.read_exactly(HEAD.size))
        if name == b"QUIT":
            return False
        if length > MAX_PATH:
            self._fail("path too long")
            return False
        argument = bytes(self._stream.read_exactly(length))
        handlers = {
            b"STAT": self._stat_v1,
            b"LSTA": self._stat_v1,
            b"LST2": self._lstat_v2,
            b"STA2": self._stat_v2,
            b"LIST": self._list_v1,
            b"LIS2": self._list_v2,
            b"SEND": self._send_v1,
            b"SND2": self._send_v2,
            b"RECV": self._receive,
            b"RCV2": self._receive_v2,
        }
        if name not in handlers:
            self._fail(f"unknown command {name!r}")
            return False
        handlers[name](argument)
        return True

    # --- stat and list ---

    def _stat_v1(self, name: bytes) -> None:
        try:
            s = os.lstat(self._phone.path(name))
            fields = (s.st_mode, s.st_size & 0xFFFFFFFF, int(s.st_mtime) & 0xFFFFFFFF)
        except OSError:
            fields = (0, 0, 0)
        self._stream.write(STAT_V1.pack(b"STAT", *fields))

    def _lstat_v2(self, name: bytes) -> None:
        self._stream.write(self._pack_v2(b"LST2", self._phone.path(name), follow=False))

    def _stat_v2(self, name: bytes) -> None:
        self._stream.write(self._pack_v2(b"STA2", self._phone.path(name), follow=True))

    def _pack_v2(self, name: bytes, path: Path, follow: bool) -> bytes:
        try:
            s = path.stat() if follow else path.lstat()
        except OSError as error:
            return STAT_V2.pack(name, error.errno or errno.EIO, *(0,) * 10)
        times = (int(s.st_atime), int(s.st_mtime), int(s.st_ctime))
        numbers = (s.st_dev, s.st_ino, s.st_mode, s.st_nlink, s.st_uid, s.st_gid, s.st_size)
        return STAT_V2.pack(name, 0, *numbers, *times)

    def _entries(self, name: bytes) -> list[str]:
        try:
            return [".", "..", *sorted(p.name for p in self._phone.path(name).iterdir())]
        except OSError:
            return []

    def _list_v1(self, name: bytes) -> None:
        for entry in self._entries(name):
            raw = os.fsencode(entry)
            try:
                s = os.lstat(self._phone.path(name) / entry)
            except OSError:
                s = os.lstat(self._phone.root)
            head = (s.st_mode, s.st_size & 0xFFFFFFFF, int(s.st_mtime) & 0xFFFFFFFF, len(raw))
            self._stream.write(DENT_V1.pack(b"DENT", *head) + raw)
        self._stream.write(DENT_V1.pack(b"DONE", 0, 0, 0, 0))

    def _list_v2(self, name: bytes) -> None:
        for entry in self._entries(name):
            raw = os.fsencode(entry)
            stat = self._pack_v2(b"DNT2", self._phone.path(name) / entry, follow=False)
            self._stream.write(stat + struct.pack("<I", len(raw)) + raw)
        self._stream.write(DENT_V2.pack(b"DONE", *(0,) * 12))

    # --- send ---

    def _send_v1(self, argument: bytes) -> None:
        name, _, mode = argument.rpartition(b",")
        self._store(name or argument, int(mode) if mode.isdigit() else 0o644)

    def _send_v2(self, name: bytes) -> None:
        _, mode, flags = SETUP_SEND.unpack(self._stream.read_exactly(SETUP_SEND.size))
        self._store(name, mode, "compression is not supported" if flags else "")

    def _store(self, name: bytes, mode: int, refusal: str = "") -> None:
        """Write DATA chunks to a file. After a failure the rest is read and thrown away, and the
        partial file is removed, as adbd does."""
        path = self._phone.path(name)
        free = self._phone.free_bytes()
        file = None
        try:
            if refusal:
                raise OSError(errno.EINVAL, refusal)
            if self._phone.faults.read_only:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            file = path.open("wb", buffering=0)
            while chunk := self._data():
                free -= len(chunk)
                if free < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                file.write(chunk)
        except OSError as error:
            if file:
                path.unlink(missing_ok=True)
            self._fail(f"couldn't create file: {error.strerror}")
            while self._data():
                pass
            return
        finally:
            if file:
                file.close()
        # The owner's permissions also become those of the group and of others: 0644 becomes 0666,
        # as on a phone.
        permissions = mode & 0o777
        permissions |= permissions >> 3 & 0o070
        permissions |= permissions >> 3 & 0o007
        path.chmod(permissions)
        os.utime(path, (self._mtime, self._mtime))
        self._stream.write(HEAD.pack(b"OKAY", 0))

    _mtime = 0

    def _data(self) -> bytes | memoryview:
        """The next chunk; empty at DONE, whose argument is the time of modification."""
        name, length = HEAD.unpack(self._stream.read_exactly(HEAD.size))
        if name == b"DONE":
            self._mtime = length
            return b""
        if name != b"DATA" or length > MAX_DATA:
            from harness.emulator.streams import StreamClosed

            self._fail("invalid data message")
            raise StreamClosed
        return self._stream.read_exactly(length)

    # --- receive ---

    def _receive_v2(self, name: bytes) -> None:
        SETUP_RECV.unpack(self._stream.read_exactly(SETUP_RECV.size))
        self._receive(name)

    def _receive(self, name: bytes) -> None:
        if self._phone.faults.path_tricks:
            for (
                trick
            ) in PATH_TRICKS:  # files that were not asked for, under names that lead elsewhere
                raw = trick.encode()
                self._stream.write(DENT_V1.pack(b"DENT", 0o100644, 5, 0, len(raw)) + raw)
                self._stream.write(HEAD.pack(b"DATA", 5) + b"owned")
        try:
            file = self._phone.path(name).open("rb")
        except OSError as error:
            self._fail(f"open failed: {error.strerror}")
            return
        with file:
            while chunk := file.read(MAX_DATA):
                self._stream.write(HEAD.pack(b"DATA", len(chunk)) + chunk)
        self._stream.write(HEAD.pack(b"DONE", 0))

    def _fail(self, message: str) -> None:
        raw = message.encode()
        self._stream.write(HEAD.pack(b"FAIL", len(raw)) + raw)
