"""Where an executable comes from: a path, the cache, or a download whose SHA-256 is locked.

Google publishes no checksums, so the first download is taken on trust, its SHA-256 is written to
`runners.lock`, and every later use must match it. Commit that file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from harness.core.errors import ConfigError, StableDeviceError, UsageError
from harness.core.specs import RunnerSpec
from harness.core.text import clean
from harness.system.download import Check, DownloadError, OtherFileError, download
from harness.system.files import cache_dir, current_folder, expanded, sha256, write_atomic, writing

DEFAULT_VERSION = "2.2.0"
NIGHTLY = "nightly"
LOCK = "runners.lock"


class Source(NamedTuple):
    """Where one dialect is published: ABI of a phone -> what the address calls it, and the version
    that is taken when none is named."""

    url: str
    platforms: dict[str, str]
    version: str


# The documented addresses. Neither has a build for the x86_64 of Android's emulator.
SOURCES = {
    "A": Source(
        "https://storage.googleapis.com/tensorflow-nightly-public/prod/tensorflow/release/lite/"
        "tools/nightly/latest/{platform}_benchmark_model",
        {"arm64-v8a": "android_aarch64", "armeabi-v7a": "android_arm"},
        NIGHTLY,
    ),
    "B": Source(
        "https://storage.googleapis.com/litert/binaries/{version}/{platform}/benchmark_model",
        {"arm64-v8a": "android_arm64"},
        DEFAULT_VERSION,
    ),
}
MAX_BYTES = 500_000_000

Progress = Callable[[int, int], None]


def dialect_for(spec: RunnerSpec) -> Literal["A", "B"] | None:
    """The dialect if devices.yaml decides it: the one named, or the download's; None where the
    executable must be asked."""
    if spec.dialect != "auto":
        return spec.dialect
    if spec.tool == "benchmark_app":
        return "A"  # the same as the app's, to compare like with like
    return None if spec.path or spec.device_path or spec.url else "B"


def version_of(spec: RunnerSpec) -> str:
    """Which build it is, in a word or two."""
    if spec.device_path:
        return "on the phone"
    return spec.version or ("local file" if spec.path else _source(spec).version)


def _source(spec: RunnerSpec) -> Source:
    return SOURCES[dialect_for(spec) or "B"]


def cache_folder() -> Path:
    """The folder of executables: in the cache, because they can be downloaded again."""
    return cache_dir() / "runners"


def lock_file(spec: RunnerSpec) -> Path:
    """The project's lock file, which should be committed. If the user has no devices.yaml: the one
    in the current folder if it exists, else one in the cache."""
    if spec.lock:
        return Path(spec.lock)
    here = current_folder()
    return here / LOCK if here and (here / LOCK).exists() else cache_folder() / LOCK


def locate(
    spec: RunnerSpec,
    abi: str,
    progress: Progress | None = None,
    *,
    check: Check = lambda: None,
    cache: Path | None = None,
    lock: Path | None = None,
    named: tuple[str, str] = ("benchmark_model", "runner.path"),
) -> Path:
    """The executable for a phone with this ABI, as a file of this machine whose SHA-256 is the one
    in the spec or the lock file. Raises HarnessErrors that say which file to put where. `check` is
    called again and again while waiting for the network; what it raises ends the download. `named`
    is what errors call the file, and the key of devices.yaml for one of the user's own."""
    what, key = named
    if spec.path:
        path = expanded(spec.path)
        if not path.is_file():
            raise ConfigError(f"{key}: there is no file {path}", "correct devices.yaml")
        _check(
            path,
            spec.sha256,
            "devices.yaml",
            f"name the right file in {key}, or correct runner.sha256 if you trust this one",
        )
        return path
    source = _source(spec)
    platform = source.platforms.get(abi)
    if platform is None:
        others = [d for d, s in SOURCES.items() if abi in s.platforms and s is not source]
        raise StableDeviceError(
            "prepare",
            f"there is no {what} to download for ABI {clean(abi)}",
            f"set runner.dialect to {others[0]} in devices.yaml"
            if others
            else f"build one (LiteRT, tflite/tools/benchmark) and set {key} in devices.yaml",
        )
    version = spec.version or source.version
    url = (spec.url or source.url).format(version=version, platform=platform)
    lock = lock or lock_file(spec)
    path = (cache or cache_folder()) / version / platform / "benchmark_model"
    if spec.url:  # another address may have another file of this name
        path = path.with_name(f"benchmark_model-{hashlib.sha256(url.encode()).hexdigest()[:12]}")
    locked = _read_lock(lock)
    expected = spec.sha256 or locked.get(url)
    if path.is_file():
        _check(path, expected, "devices.yaml" if spec.sha256 else str(lock))
    else:
        _fetch(url, path, expected, progress, check, key=key)
    if expected is None:
        _write_lock(lock, {**locked, url: sha256(path)})
    return path


_GET_AGAIN = "remove the file to download it again, or correct the sum if you trust the file"


def _check(path: Path, expected: str | None, source: str, fix: str = _GET_AGAIN) -> None:
    if expected and sha256(path) != expected.lower():
        raise UsageError(
            f"{path} is not the expected file: its SHA-256 is {sha256(path)}, "
            f"{source} says {expected}",
            fix,
        )


def _fetch(
    url: str,
    path: Path,
    expected: str | None,
    progress: Progress | None,
    check: Check,
    *,
    key: str,
) -> None:
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise ConfigError(
            f"runner.url {url!r} is not https", "executables are downloaded over https only"
        )

    def tell(done: int, total: int | None) -> None:
        if progress:
            progress(done, max(total or 0, done))

    try:
        download(
            url,
            path,
            sha256=expected,
            most_bytes=MAX_BYTES,
            mode=0o755,
            progress=tell,
            check=check,
        )
    except OtherFileError as error:
        raise UsageError(
            f"{url} has changed: its SHA-256 is {error.sha256}, not {expected}",
            f"put the file with that SHA-256 at {path}; or, if the new one is right, remove "
            "the old line from runners.lock (a nightly build changes every night)",
        ) from None
    except DownloadError as error:
        raise UsageError(
            f"the runner could not be downloaded ({error})",
            f"put the file from {url} at {path}, or set {key} in devices.yaml",
        ) from error


def _read_lock(lock: Path) -> dict[str, str]:
    if not lock.is_file():
        return {}
    try:
        return msgspec.json.decode(lock.read_bytes(), type=dict[str, str])
    except msgspec.DecodeError as error:
        raise ConfigError(f"{lock}: {error}", "it is JSON: address -> SHA-256") from None


def _write_lock(lock: Path, entries: dict[str, str]) -> None:
    text = msgspec.json.format(msgspec.json.encode(dict(sorted(entries.items()))), indent=2)
    with writing(lock.parent):
        lock.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(lock, text + b"\n")
