"""Where a model's first weights come from: ImageNet's, a file of the user's, or random ones."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import msgspec

from harness.artifacts.cache import writing
from harness.core.errors import ConfigError, UsageError
from harness.core.specs import WeightsSource
from harness.core.types import Finding
from harness.system import files
from harness.system.locks import lock

RANDOM = "random"
IMAGENET = "imagenet"
AUTO = "auto"

CONNECT_TIMEOUT_S = 3.0
STALL_TIMEOUT_S = 10.0
TRANSFER_TIMEOUT_S = 300.0
REMEMBER_FAILURE_S = 3600.0

_HDF5 = b"\x89HDF\r\n\x1a\n"
_CHUNK = 1 << 18

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Weights:
    """What `auto`, `imagenet`, `random` or a path came to. `kind` is `imagenet`, `random` or the
    path as the user wrote it; `path` and `sha256` are None for random weights. `missing` is why
    ImageNet's could not be had."""

    kind: str
    path: Path | None = None
    sha256: str | None = None
    findings: tuple[Finding, ...] = ()
    missing: str | None = None


class FetchError(Exception):
    """A file could not be fetched. `host_is_down` tells whether asking the same host for another
    file is pointless too."""

    def __init__(self, message: str, *, host_is_down: bool = False) -> None:
        super().__init__(message)
        self.host_is_down = host_is_down


def keras_models_dir() -> Path:
    """Where Keras keeps the weights it fetched."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models"


def resolve(
    wanted: str,
    source: WeightsSource | None,
    options: Mapping[str, object],
    *,
    folder: Path,
    cache: Path,
    progress: Progress | None = None,
) -> Weights:
    """`wanted` is `auto`, `imagenet`, `random` or a path seen from `folder`; `source` is where the
    model's ImageNet weights are, None if it has none; `options` fill its URL.

    Raises ConfigError for a path that is no file and for `imagenet` where there is nothing to
    fetch or fetching fails; UsageError for a file that is not the one it was or should be.
    """
    if wanted == RANDOM or (wanted == AUTO and source is None):
        return Weights(RANDOM)
    if wanted not in (AUTO, IMAGENET):
        path = folder / Path(wanted).expanduser()
        if not path.is_file():
            raise ConfigError(f"weights: there is no file {path}", "auto, imagenet and random work")
        return Weights(wanted, path, files.sha256(path))
    if source is None:
        raise ConfigError(
            "weights: imagenet, but this model has none",
            "add its url under imagenet: in variants.yaml, or say weights: random",
        )

    url = fill(source.url, options)
    target = keras_models_dir() / Path(urlsplit(url).path).name
    ledger = _Ledger(cache)
    expected = source.sha256 or ledger.digest(url)
    with lock(cache / "locks" / f"weights-{target.name}"):
        if not target.is_file():
            failure = ledger.failed_lately(url)
            if failure is None:
                try:
                    _fetch(url, target, expected, progress)
                except FetchError as error:
                    ledger.failed(url, error)
                    failure = str(error)
            if failure is not None:
                return _without(wanted, failure, url, target)
        digest = files.sha256(target)
        if expected:
            _compare(target, digest, expected)
        else:
            ledger.record(url, digest)
    return Weights(IMAGENET, target, digest)


def fill(url: str, options: Mapping[str, object]) -> str:
    """The URL with the model's options in place of the braces that name them."""
    try:
        return url.format_map(options)
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"imagenet: {url} cannot be filled in from the model's options: {error}",
            f"the braces can name {', '.join(options) or 'no option, since there is none'}",
        ) from None


def _without(wanted: str, failure: str, url: str, target: Path) -> Weights:
    if wanted == IMAGENET:
        raise ConfigError(
            f"ImageNet weights cannot be fetched: {failure}", f"put {url} at {target}"
        )
    finding = Finding(
        level="warning",
        code="random-weights",
        message=f"built from random weights, since ImageNet's cannot be fetched: {failure}",
        mend=f"put {url} at {target}, or say weights: random",
    )
    return Weights(RANDOM, findings=(finding,), missing=failure)


class _Ledger:
    """What is remembered of fetched files: their digests for good, failures for an hour."""

    class _Entries(msgspec.Struct):
        sha256: dict[str, str] = {}
        failed_at: dict[str, float] = {}
        reason: dict[str, str] = {}

    def __init__(self, cache: Path) -> None:
        self._path = cache / "weights.json"
        self._lock = cache / "locks" / "weights.json"

    def digest(self, url: str) -> str | None:
        """SHA-256 of what the URL gave on first use."""
        return self._read().sha256.get(url)

    def record(self, url: str, digest: str) -> None:
        """Expect the same ever after."""
        self._change(lambda entries: entries.sha256.update({url: digest}))

    def failed_lately(self, url: str) -> str | None:
        """Why fetching from the URL or its host failed within the hour; None if it did not."""
        entries = self._read()
        for what in (url, urlsplit(url).netloc):
            age_s = time.time() - entries.failed_at.get(what, 0)
            if 0 <= age_s < REMEMBER_FAILURE_S:
                return entries.reason[what]
        return None

    def failed(self, url: str, error: FetchError) -> None:
        """Remember a failure."""
        what = urlsplit(url).netloc if error.host_is_down else url

        def note(entries: _Ledger._Entries) -> None:
            entries.failed_at[what] = time.time()
            entries.reason[what] = str(error)

        self._change(note)

    def _read(self) -> _Ledger._Entries:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=self._Entries)
        except FileNotFoundError:
            return self._Entries()
        except msgspec.DecodeError as error:
            raise UsageError(f"{self._path}: {error}", "delete the file") from None

    def _change(self, change: Callable[[_Ledger._Entries], None]) -> None:
        with lock(self._lock):
            entries = self._read()
            change(entries)
            with writing(self._path.parent):
                files.write_atomic(self._path, msgspec.json.format(msgspec.json.encode(entries)))


def _fetch(url: str, target: Path, expected: str | None, progress: Progress | None) -> None:
    """Download into `target`, whole and with the digest `expected`, or not at all."""
    import http.client

    response = _open(url)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with response, files.replacing(target) as file:
            digest = _copy(response, file, url, progress)
            if expected:
                _compare(url, digest, expected)
    except TimeoutError:
        raise FetchError(f"{url} stalled for {STALL_TIMEOUT_S:.0f} s") from None
    except (ConnectionError, http.client.HTTPException) as error:
        raise FetchError(f"{url} broke off: {error}") from None
    except OSError as error:
        raise FetchError(f"{target} cannot be written: {error.strerror or error}") from None


def _copy(response: Any, file: Any, url: str, progress: Progress | None) -> str:
    """The digest of what was written."""
    length = response.headers.get("Content-Length")
    total = int(length) if length else None
    deadline = time.monotonic() + TRANSFER_TIMEOUT_S
    done, digest = 0, hashlib.sha256()
    while chunk := response.read1(_CHUNK):
        if not done and url.endswith(".h5") and not chunk.startswith(_HDF5):
            raise FetchError(f"{url} answers with something else than an HDF5 file")
        done += file.write(chunk)
        digest.update(chunk)
        if progress:
            progress(done, total)
        if time.monotonic() > deadline:
            raise FetchError(f"{url} took over {TRANSFER_TIMEOUT_S:.0f} s")
    if total is not None and done != total:
        raise FetchError(f"{url} broke off after {done} of {total} bytes")
    return digest.hexdigest()


def _compare(what: object, digest: str, expected: str) -> None:
    if digest != expected.lower():
        raise UsageError(
            f"{what} has SHA-256 {digest}, expected {expected}",
            "if it is the right file, mend the digest in variants.yaml or in weights.json of the "
            "cache; else delete it to fetch it again",
        )


def _open(url: str) -> Any:
    """The response. In a thread of its own, because no time-out reaches the name look-up."""
    import http.client
    import urllib.error
    import urllib.request

    if urlsplit(url).scheme not in ("http", "https"):
        raise ConfigError(f"imagenet: {url} is neither http nor https", "mend the url")
    answer: queue.Queue[Any] = queue.Queue(1)

    def ask() -> None:
        try:
            answer.put(urllib.request.urlopen(url, timeout=STALL_TIMEOUT_S))  # noqa: S310
        except (OSError, http.client.HTTPException) as error:
            answer.put(error)

    threading.Thread(target=ask, daemon=True).start()
    host = urlsplit(url).netloc
    try:
        response = answer.get(timeout=CONNECT_TIMEOUT_S)
    except queue.Empty:
        raise FetchError(
            f"{host} did not answer within {CONNECT_TIMEOUT_S:.0f} s", host_is_down=True
        ) from None
    if isinstance(response, Exception):
        _refuse(response, url)
    return response


def _refuse(error: Exception, url: str) -> NoReturn:
    import urllib.error

    if isinstance(error, urllib.error.HTTPError):
        raise FetchError(f"{url} answers {error.code} {error.reason}") from None
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    raise FetchError(f"{urlsplit(url).netloc}: {reason}", host_is_down=True) from None
