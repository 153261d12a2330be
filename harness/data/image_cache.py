"""Decoded images, kept so that a second run over the same folder is quick.

CACHE/images/VERSION/AB/ABCD.png    the picture in the file with that digest, behind its own
CACHE/folders/KEY.json              what was known of each file of a folder when last seen

A file counts as unchanged if its inode, size, and times of writing and of change are the same (the
last cannot be set back by `touch` or `cp -p`), and if it had been left alone for two seconds when
it was read, since clocks of file systems are coarse. Everything else is read and hashed again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from pathlib import Path

import msgspec

from harness.core.errors import UsageError
from harness.data.decode import MAX_BYTES, SIZE, Picture, Refused
from harness.data.isolated import Decoder
from harness.system import files

SETTLED_NS = 2_000_000_000


class Known(msgspec.Struct, frozen=True, array_like=True):
    """What a file held when it was last read: `content` is its digest and kind, `pixels` the digest
    of its grey values, `colour` whether they were colours. Digests are SHA-256, hexadecimal."""

    inode: int
    size_bytes: int
    written_ns: int
    changed_ns: int
    content: str
    pixels: str
    colour: bool

    def fits(self, facts: os.stat_result) -> bool:
        """Whether the file is what it was."""
        return _state(facts) == (self.inode, self.size_bytes, self.written_ns, self.changed_ns)


class ImageCache:
    """The decoded images of one folder; several processes may use the cache at once. Leave it as
    a context after a series of calls, so that the decoder's process ends."""

    def __init__(
        self, cache: Path, root: Path, version: str, decoder: Decoder | None = None
    ) -> None:
        key = hashlib.sha256(os.fsencode(root) + version.encode()).hexdigest()[:32]
        self._index_path = cache / "folders" / f"{key}.json"
        self._images = cache / "images" / version
        self._decoder = decoder or Decoder()
        self._known = self._read_index()
        self._seen: dict[str, Known] = {}

    def __enter__(self) -> ImageCache:
        return self

    def __exit__(self, *error: object) -> None:
        self._decoder.close()

    def look(self, path: Path, kind: str) -> Known:
        """What `path` holds; decoded if it is not known. Raises Refused."""
        key = f"{kind} {os.fsencode(path).hex()}"
        known = self._known.get(key)
        if known is not None and known.fits(_lstat(path)):
            self._seen[key] = known
            return known
        now = time.time_ns()
        data, facts = _read(path)
        content = _content(data, kind)
        picture = self._get(content)
        if picture is None:
            picture = self._decoder.grey(data, kind)
            self._put(content, picture)
        pixels = hashlib.sha256(picture.pixels).hexdigest()
        known = Known(*_state(facts), content, pixels, picture.colour)
        if now - max(facts.st_mtime_ns, facts.st_ctime_ns) > SETTLED_NS:
            self._seen[key] = known
        return known

    def pixels(self, path: Path, kind: str, known: Known) -> bytes:
        """The grey values that `look` saw. Raises Refused if they are gone and `path` changed."""
        picture = self._get(known.content)
        if picture is None:
            data, _ = _read(path)
            picture = self._decoder.grey(data, kind)
            self._put(_content(data, kind), picture)
        if hashlib.sha256(picture.pixels).hexdigest() != known.pixels:
            raise Refused("has changed since it was looked at")
        return picture.pixels

    def save(self) -> None:
        """Remember what was seen, for the next run."""
        if self._seen != self._known:
            try:
                self._index_path.parent.mkdir(parents=True, exist_ok=True)
                files.write_atomic(self._index_path, msgspec.json.encode(self._seen))
            except OSError as error:
                raise unwritable(self._index_path.parent, error) from None

    def _read_index(self) -> dict[str, Known]:
        try:
            return msgspec.json.decode(self._index_path.read_bytes(), type=dict[str, Known])
        except (OSError, msgspec.DecodeError):
            return {}  # it only saves time

    def _path(self, content: str) -> Path:
        return self._images / content[:2] / content

    def _get(self, content: str) -> Picture | None:
        """From the cache, None unless it is there whole."""
        try:
            stored = self._path(content).read_bytes()
        except OSError:
            return None
        digest, packed = stored[:32], stored[32:]
        whole = len(packed) == SIZE * SIZE + 1 and hashlib.sha256(packed).digest() == digest
        return Picture(packed[:-1], bool(packed[-1])) if whole else None

    def _put(self, content: str, picture: Picture) -> None:
        """No flush to the disk, which takes long for thousands: `_get` notices a torn file."""
        path = self._path(content)
        packed = picture.pixels + bytes([picture.colour])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_atomic(path, hashlib.sha256(packed).digest() + packed, flush=False)
        except OSError as error:
            raise unwritable(path.parent, error) from None


def _content(data: bytes, kind: str) -> str:
    """A file's digest, and what its name promises: a png under a jpeg's name stays refused."""
    return f"{hashlib.sha256(data).hexdigest()}.{kind.lower()}"


def _state(facts: os.stat_result) -> tuple[int, int, int, int]:
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _lstat(path: Path) -> os.stat_result:
    try:
        return path.lstat()
    except OSError as error:
        raise _unreadable(error) from None


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    """A regular file, whole, and its facts while it was read. Waits for no pipe and follows no
    link, whatever has taken the file's place since it was listed. Raises Refused."""
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as stream:
            before = os.fstat(stream.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise Refused("is not a regular file")
            if before.st_size > MAX_BYTES:
                raise Refused(f"has more than {MAX_BYTES:,} bytes")
            data = stream.read(MAX_BYTES + 1)
            after = os.fstat(stream.fileno())
    except OSError as error:
        raise _unreadable(error) from None
    if not data:
        raise Refused("is empty")
    if _state(before) != _state(after):
        raise Refused("changed while it was read")
    return data, after


def _unreadable(error: OSError) -> Refused:
    return Refused(f"cannot be read: {error.strerror or error}")


def unwritable(folder: Path, error: OSError) -> UsageError:
    """The cache is the user's to mend."""
    return UsageError(
        f"cannot write to {folder}: {error.strerror or error}",
        "make room there or make it writable, or set MOBILE_BENCH_CACHE",
    )
