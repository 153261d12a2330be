"""Standard output and error that never end the program.

A reader that goes away (`| head`) or a full disk behind `>` is no reason to lose a measurement or
to change the exit status, which is the answer of a gate. What cannot be written is dropped, and the
error is kept for whoever wants to report it.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from harness.core.text import IN_ASCII


class Unbreakable(io.RawIOBase):
    """A file descriptor to write to, which it does not close. After the first failure everything is
    dropped, and `error` is that failure."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.error: OSError | None = None

    def write(self, data: object) -> int:
        """All of `data` written, or dropped after a failure."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        if self.error is None:
            try:
                return os.write(self.descriptor, view)
            except OSError as error:
                self.error = error
        return len(view)

    def fileno(self) -> int:
        """The descriptor."""
        return self.descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self.descriptor)

    def writable(self) -> bool:
        """Always true."""
        return True


@contextlib.contextmanager
def unbreakable(tell: Callable[[str], None]) -> Iterator[None]:
    """While inside, nothing that is printed raises. A failure of standard output is given to `tell`
    at the end, unless it was a reader that went away."""
    before = sys.stdout, sys.stderr
    raw, sys.stdout = _guarded(before[0], sys.__stdout__)
    _, sys.stderr = _guarded(before[1], sys.__stderr__)
    try:
        yield
    finally:
        sys.stdout.flush()
        if raw is not None and raw.error is not None and raw.error.errno != errno.EPIPE:
            tell(f"cannot write standard output: {raw.error.strerror}")
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """For characters that an encoding lacks: similar ASCII signs, else escapes such as \\xfc."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end].translate(IN_ASCII)
    return lacking.encode("ascii", "backslashreplace").decode("ascii"), error.end


_LACKING = "harness.in_ascii"
# What Python gives standard output and error; the second raises for all but a file's name.
_RAISING = ("strict", "surrogateescape", "backslashreplace")
codecs.register_error(_LACKING, _in_ascii)


def _guarded(stream: TextIO | None, real: TextIO | None) -> tuple[Unbreakable | None, TextIO]:
    """The stream with an unbreakable end. A stream that someone put in the place of the real one
    stays; one that is closed from the start (`>&-`) is replaced by nothing at all."""
    if stream is None:
        return None, Path(os.devnull).open("w", encoding="utf-8")
    if stream is not real or not isinstance(stream, io.TextIOWrapper):
        return None, stream
    stream.flush()
    raw = Unbreakable(stream.fileno())
    text = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=_LACKING if stream.errors in _RAISING else stream.errors,
        line_buffering=stream.line_buffering or stream is sys.__stderr__,
        write_through=stream.write_through,
    )
    return raw, text
