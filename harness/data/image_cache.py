"""Decoded images, kept so that a second run over the same folder is quick.

CACHE/images/VERSION/AB/ABCD.png    the picture in the file with that digest, behind its own
                                    digest (that of `Known.pixels`) and a letter for its form
CACHE/folders/KEY.json              what was known of each file of a folder when last seen

A file counts as unchanged if its inode, size, and times of writing and of change are the same (the
last cannot be set back by `touch` or `cp -p`), and if it had been left alone for two seconds when
it was read, since clocks of file systems are coarse. Everything else is read and hashed again.
"""

from __future__ import annotations

import hashlib
import os
import queue
import stat
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, get_args

import msgspec

from harness.data import copies
from harness.data.decode import MAX_BYTES, Form, Picture, Refused, bytes_of
from harness.data.isolated import Decoder
from harness.data.stored import unwritable
from harness.system import files, processors

SETTLED_NS = 2_000_000_000
MOST_DECODERS = 4
ARRAY = "ARRAY"  # the kind of a picture that is a row of an array, not a file
_FORMS = get_args(Form)


class Known(msgspec.Struct, frozen=True, array_like=True):
    """What a file held when it was last read: `content` is its digest and kind, `pixels` the digest
    of the picture (both SHA-256, hexadecimal), `form` the picture's, `low` and `high` its extremes
    unless it has eight bits, `look` its small likeness (see `copies`)."""

    inode: int
    size_bytes: int
    written_ns: int
    changed_ns: int
    content: str
    pixels: str
    form: Form
    low: float
    high: float
    look: bytes

    def fits(self, facts: os.stat_result) -> bool:
        """Whether the file is unchanged."""
        return _state(facts) == (self.inode, self.size_bytes, self.written_ns, self.changed_ns)


class Stored(NamedTuple):
    """A picture in the cache and its digest, which is computed once for each."""

    picture: Picture
    digest: bytes


class ImageCache:
    """The decoded images of one data set; several processes may use the cache at once. Use it as a
    context for a series of calls, so that the decoders' processes end."""

    def __init__(
        self, cache: Path, root: Path, version: str, decoder: Decoder | None = None
    ) -> None:
        key = hashlib.sha256(os.fsencode(root) + version.encode()).hexdigest()[:32]
        self.root = cache
        self._index_path = cache / "folders" / f"{key}.json"
        self._images = cache / "images" / version
        count = min(MOST_DECODERS, processors.usable())
        self._decoders = [decoder] if decoder else [Decoder() for _ in range(count)]
        self._idle: queue.SimpleQueue[Decoder] = queue.SimpleQueue()
        for one in self._decoders:
            self._idle.put(one)
        self._known = self._read_index()
        self._seen: dict[str, Known] = {}

    def __enter__(self) -> ImageCache:
        return self

    def __exit__(self, *error: object) -> None:
        for decoder in self._decoders:
            decoder.close()

    def looks(self, files: Sequence[tuple[Path, str]]) -> Iterator[Known | Refused]:
        """What each (path, kind) holds, in this order, or why it cannot be used. Several are
        decoded at once, and only a few are in memory."""
        waiting: deque[Future[Known | Refused]] = deque()
        with ThreadPoolExecutor(len(self._decoders)) as pool:
            try:
                for path, kind in files:
                    waiting.append(pool.submit(self._look_or_refuse, path, kind))
                    if len(waiting) > 4 * len(self._decoders):
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _look_or_refuse(self, path: Path, kind: str) -> Known | Refused:
        try:
            return self.look(path, kind)
        except Refused as refused:
            return refused

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
        stored = self._get(content)
        if stored is None:
            stored = self._put(content, self._decoded(data, kind))
        known = _known(_state(facts), content, stored)
        if now - max(facts.st_mtime_ns, facts.st_ctime_ns) > SETTLED_NS:
            self._seen[key] = known
        return known

    def keep(self, picture: Picture) -> Known:
        """A picture that came from no file of its own, kept by its pixels."""
        content = f"{_digest(picture).hex()}.{ARRAY.lower()}"
        stored = self._get(content) or self._put(content, picture)
        return _known((0, len(picture.pixels), 0, 0), content, stored)

    def picture(self, path: Path, kind: str, known: Known) -> Picture:
        """What `look` saw. Raises Refused if it is gone and `path` changed."""
        stored = self._get(known.content)
        if stored is None:
            if kind == ARRAY:
                raise Refused("is no longer in the cache")
            data, _ = _read(path)
            stored = self._put(_content(data, kind), self._decoded(data, kind))
        if stored.digest.hex() != known.pixels:
            raise Refused("has changed since it was read")
        return stored.picture

    def _decoded(self, data: bytes, kind: str) -> Picture:
        decoder = self._idle.get()
        try:
            return decoder.decode(data, kind)
        finally:
            self._idle.put(decoder)

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
            return {}  # the index only saves time

    def _path(self, content: str) -> Path:
        return self._images / content[:2] / content

    def _get(self, content: str) -> Stored | None:
        """The picture from the cache; None unless it is there whole."""
        try:
            stored = self._path(content).read_bytes()
        except OSError:
            return None
        form = next((f for f in _FORMS if stored[32:33] == f[0].encode()), None)
        if not form or len(stored) != 33 + bytes_of(form):
            return None
        picture, digest = Picture(stored[33:], form), stored[:32]
        return Stored(picture, digest) if _digest(picture) == digest else None

    def _put(self, content: str, picture: Picture) -> Stored:
        """Not flushed to the disk, which takes long for thousands of files: `_get` notices a torn
        file."""
        path, digest = self._path(content), _digest(picture)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with files.replacing(path, flush=False) as file:
                file.write(digest + picture.form[0].encode())
                file.write(picture.pixels)
        except OSError as error:
            raise unwritable(path.parent, error) from None
        return Stored(picture, digest)


def _known(state: tuple[int, int, int, int], content: str, stored: Stored) -> Known:
    picture = stored.picture
    pixels = picture.array()
    low, high = (float(pixels.min()), float(pixels.max())) if picture.deep else (0.0, 255.0)
    look = copies.likeness(picture)
    return Known(*state, content, stored.digest.hex(), picture.form, low, high, look)


def _digest(picture: Picture) -> bytes:
    """A digest of pixels and form: pictures of different forms have different digests even with the
    same bytes."""
    digest = hashlib.sha256(b"" if picture.form == "grey" else picture.form.encode())
    digest.update(picture.pixels)
    return digest.digest()


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
