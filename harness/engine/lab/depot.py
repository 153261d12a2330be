"""Files by SHA-256 at a host: sent once, in pieces, directly from the machine that has them, so
that no file passes through the scheduler.

CACHE/lab/files/SHA256     whole or not there
CACHE/lab/parts/...        being sent
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from harness.core.errors import UsageError
from harness.core.text import is_sha256
from harness.system import files
from harness.system.files import writing

PIECE_BYTES = 1 << 22
_SENDER = re.compile(r"[0-9a-zA-Z-]{1,64}")


class Depot:
    """See the module; below the folder `root` of a cache."""

    def __init__(self, cache: Path) -> None:
        self._files = cache / "lab" / "files"
        self._parts = cache / "lab" / "parts"

    def path(self, sha256: str) -> Path:
        """Where the file is, or will be."""
        if not is_sha256(sha256):
            raise UsageError(f"{sha256[:80]!r} is not a SHA-256", "it has 64 hexadecimal digits")
        return self._files / sha256

    def missing(self, wanted: Iterable[str]) -> list[str]:
        """Those of `wanted` that are not here."""
        return [sha256 for sha256 in wanted if not self.path(sha256).is_file()]

    def receive(self, sha256: str, sender: str, offset: int, data: bytes, *, last: bool) -> None:
        """The bytes from `offset` of a file that `sender` sends from its beginning to its end.
        Raises UsageError if what arrived is another file."""
        if not _SENDER.fullmatch(sender):
            raise UsageError(f"{sender[:80]!r} is not a sender", "it has letters and digits")
        target, part = self.path(sha256), self._parts / f"{sha256}-{sender}"
        with writing(self._files.parent):
            self._parts.mkdir(parents=True, exist_ok=True)
            self._files.mkdir(parents=True, exist_ok=True)
            with part.open("r+b" if offset else "wb") as file:
                file.seek(offset)
                file.write(data)
                if last:
                    file.truncate()
                    file.flush()
                    os.fsync(file.fileno())
            if not last:
                return
            if files.sha256(part) != sha256:
                part.unlink()
                raise UsageError(f"a file arrived damaged: {sha256}", "send it again")
            part.replace(target)

    def add(self, path: Path, sha256: str) -> None:
        """A file of this host under its digest, without another copy where that is possible."""
        with writing(self._files.parent):
            self._files.mkdir(parents=True, exist_ok=True)
            files.linked(path, self.path(sha256))

    def read(self, sha256: str, offset: int) -> bytes:
        """At most PIECE_BYTES from `offset`; empty at the end. Raises UsageError if it is not
        here."""
        try:
            with self.path(sha256).open("rb") as file:
                file.seek(offset)
                return file.read(PIECE_BYTES)
        except FileNotFoundError:
            raise UsageError(f"this host has no file {sha256}", "build it again") from None
