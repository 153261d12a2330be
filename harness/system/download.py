"""A file from the network: whole and with its SHA-256, or not at all.

A transfer that broke off is continued the next time, if the server's ETag or date shows that the
file is still the same. The bytes so far are in `.NAME.part` beside the target; `.NAME.part.note`
says which version they are from. Ctrl-C ends a download at once, whatever the network does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from harness.core.text import clean
from harness.system import files, locks

LOOK_UP_S = 0.1
_CHUNK_BYTES = 1 << 18

Progress = Callable[[int, int | None], None]
Check = Callable[[], None]


class Patience(NamedTuple):
    """How long to wait: until the server answers, for the next bytes, and for the whole file."""

    answer_s: float = 30.0
    stall_s: float = 30.0
    total_s: float = 3600.0


class Magic(NamedTuple):
    """The bytes that a kind of file begins with, and what it is called: "an HDF5 file"."""

    begins: bytes
    kind: str


class DownloadError(Exception):
    """The network or the server did not give the file. `host_is_down` tells whether asking the
    same host for another file is pointless too."""

    def __init__(self, message: str, *, host_is_down: bool = False) -> None:
        super().__init__(clean(message))
        self.host_is_down = host_is_down


class OtherFileError(Exception):
    """The server gave a file with another SHA-256 than expected; it was not kept."""

    def __init__(self, sha256: str) -> None:
        super().__init__(sha256)
        self.sha256 = sha256


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    magic: Magic | None = None,
    most_bytes: int | None = None,
    mode: int = 0o644,
    patience: Patience | None = None,
    progress: Progress | None = None,
    check: Check = lambda: None,
) -> str:
    """Fetch `url` into `target` and return its SHA-256, which is `sha256` if that is given.
    `progress` gets (bytes done, bytes in all or None). `check` is called again and again while
    waiting for the network; what it raises ends the download.

    Raises DownloadError; OtherFileError; UsageError if the file cannot be written here.
    """
    part = target.with_name(f".{target.name}.part")
    with files.writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(part, target, check) as file:
        if file is None:  # another process fetched it while we waited
            return files.sha256(target)
        transfer = _Transfer(url, file, part, magic, most_bytes, patience or Patience(), progress)
        _patiently(transfer, check)
        digest = files.sha256(part)
        if sha256 is not None and digest != sha256.lower():
            transfer.forget()
            raise OtherFileError(digest)
        with files.writing(target.parent):
            os.fsync(file.fileno())
            part.chmod(mode)
            part.replace(target)
        _note(part).unlink(missing_ok=True)
    return digest


# --- what came so far --------------------------------------------------------------------------


@contextlib.contextmanager
def _alone(part: Path, target: Path, check: Check) -> Iterator[IO[bytes] | None]:
    """The file `part`, which no other process writes to meanwhile; None if another process has
    made `target` of it. On leaving it goes away unless it can be continued."""
    while True:
        with files.writing(part.parent):
            file = part.open("a+b", buffering=0)
        with file:
            while not locks.take(file):
                check()
                time.sleep(LOOK_UP_S)
            if not _is(file, part):
                if target.is_file():
                    yield None
                    return
                continue  # whoever held it has stopped and removed it
            try:
                yield file
            finally:
                if _is(file, part) and not _note(part).exists():
                    part.unlink()
            return


def _is(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.note")


# --- the transfer, in a thread of its own ------------------------------------------------------


@dataclass
class _Transfer:
    url: str
    file: IO[bytes]
    part: Path
    magic: Magic | None
    most_bytes: int | None
    patience: Patience
    progress: Progress | None

    def __post_init__(self) -> None:
        self.stop, self.answered = threading.Event(), threading.Event()

    def run(self) -> None:
        """Bring the file to its full length."""
        start, version = self._kept()
        deadline = time.monotonic() + self.patience.total_s
        with self._open(start, version) as response:
            self.answered.set()
            if self.url.startswith("https:") and not response.url.startswith("https:"):
                raise DownloadError(f"{self.url} leads to an address without https")
            if response.status != 206 or not self._continues(response, start):
                start = 0
                self._begin_anew(response)
            self._copy(response, start, deadline)

    def forget(self) -> None:
        """Remove what came, so that nothing is continued from it."""
        _note(self.part).unlink(missing_ok=True)

    def _kept(self) -> tuple[int, str]:
        """How many bytes an earlier transfer left, and the version of the file that they are of."""
        try:
            url, version = _note(self.part).read_text("utf-8").split("\n")
        except (OSError, ValueError):
            return 0, ""
        size = os.fstat(self.file.fileno()).st_size
        return (size, version) if url == self.url else (0, "")

    def _open(self, start: int, version: str) -> Any:
        import http.client
        import urllib.error
        import urllib.request

        # The server continues the file if it still has this version, and else starts again.
        headers = {"Range": f"bytes={start}-", "If-Range": version} if start else {}
        request = urllib.request.Request(self.url, headers=headers)  # noqa: S310
        host = urlsplit(self.url).netloc
        try:
            return urllib.request.urlopen(request, timeout=self.patience.stall_s)  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            if start and error.code == 416:  # the file has become shorter
                return self._open(0, "")
            raise DownloadError(f"{self.url} answers {error.code} {error.reason}") from None
        except urllib.error.URLError as error:
            raise DownloadError(f"{host}: {error.reason}", host_is_down=True) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise DownloadError(f"{host}: {error}", host_is_down=True) from None

    def _continues(self, response: Any, start: int) -> bool:
        return bool(start) and str(response.headers.get("Content-Range")).startswith(
            f"bytes {start}-"
        )

    def _begin_anew(self, response: Any) -> None:
        etag = response.headers.get("ETag") or ""
        version = etag if etag.startswith('"') else response.headers.get("Last-Modified")
        self.forget()
        with files.writing(self.part.parent):
            self.file.truncate(0)
            if version:
                _note(self.part).write_text(f"{self.url}\n{version}", "utf-8")

    def _copy(self, response: Any, done: int, deadline: float) -> None:
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        head = b"" if not done else None
        while not self.stop.is_set() and (chunk := self._read(response)):
            done += len(chunk)
            if self.most_bytes is not None and done > self.most_bytes:
                self.forget()
                raise DownloadError(f"{self.url} is larger than {self.most_bytes} bytes")
            if head is not None and self.magic:
                head += chunk[: len(self.magic.begins)]
                self._check_kind(head)
            with files.writing(self.part.parent):
                if self.file.write(chunk) != len(chunk):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self.progress:
                self.progress(done, total)
            if time.monotonic() > deadline:
                raise DownloadError(f"{self.url} took over {self.patience.total_s:.0f} s")
        if total is not None and done != total:
            raise DownloadError(f"{self.url} broke off after {done} of {total} bytes")

    def _check_kind(self, head: bytes) -> None:
        assert self.magic is not None
        least = min(len(head), len(self.magic.begins))
        if head[:least] != self.magic.begins[:least]:
            self.forget()
            raise DownloadError(f"{self.url} does not answer with {self.magic.kind}")

    def _read(self, response: Any) -> bytes:
        import http.client

        try:
            data: bytes = response.read1(_CHUNK_BYTES)
        except TimeoutError:
            stalled = f"{self.url} stalled for {self.patience.stall_s:.0f} s"
            raise DownloadError(stalled) from None
        except (OSError, http.client.HTTPException) as error:
            raise DownloadError(f"{self.url} broke off: {error}") from None
        return data


def _patiently(transfer: _Transfer, check: Check) -> None:
    """Run the transfer in a thread of its own, so that `check` can end it at any moment: no
    time-out reaches the look-up of a name. It then ends by itself, and nothing waits for it."""
    from concurrent.futures import Future, wait

    result: Future[None] = Future()

    def run() -> None:
        try:
            transfer.run()
            result.set_result(None)
        except BaseException as error:  # raised below, in the thread that waits for it
            result.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    answer_s = transfer.patience.answer_s
    latest = time.monotonic() + answer_s
    try:
        while not wait([result], LOOK_UP_S).done:
            check()
            if not transfer.answered.is_set() and time.monotonic() > latest:
                host = urlsplit(transfer.url).netloc
                raise DownloadError(
                    f"{host} did not answer within {answer_s:.0f} s", host_is_down=True
                )
    except BaseException:
        transfer.stop.set()
        raise
    result.result()
