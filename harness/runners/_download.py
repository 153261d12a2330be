"""Where an executable comes from: a path, the cache, or a download whose SHA-256 is locked.

Google publishes no checksums, so the first download is taken on trust, its SHA-256 is written to
`runners.lock`, and every later use must match it. Commit that file.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import msgspec

from harness.core.errors import ConfigError, HarnessError, StableDeviceError, UsageError
from harness.core.specs import RunnerSpec
from harness.core.text import clean
from harness.files import cache_dir, write_atomic

DEFAULT_VERSION = "2.2.0"
URL = "https://storage.googleapis.com/litert/binaries/{version}/{platform}/benchmark_model"
LOCK = "runners.lock"

PLATFORMS = {"arm64-v8a": "android_arm64"}
MAX_BYTES = 500_000_000
TIMEOUT_S = 30.0

Progress = Callable[[int, int], None]


def cache_folder() -> Path:
    """Beside the other things that can be got again."""
    return cache_dir() / "runners"


def lock_file() -> Path:
    """In the project, to be committed, where the current folder is one; else in the cache."""
    here = Path.cwd()
    own = (here / LOCK).exists() or (here / "devices.yaml").exists()
    return (here if own else cache_folder()) / LOCK


def locate(
    spec: RunnerSpec,
    abi: str,
    progress: Progress | None = None,
    *,
    cache: Path | None = None,
    lock: Path | None = None,
) -> Path:
    """The executable for a phone with this ABI, as a file of this machine whose SHA-256 is the
    one in the spec or the lock file. Raises HarnessErrors that say which file to put where."""
    if spec.path:
        path = Path(spec.path).expanduser()
        if not path.is_file():
            raise ConfigError(f"runner.path: there is no file {path}", "correct devices.yaml")
        _check(path, spec.sha256, "devices.yaml")
        return path
    platform = PLATFORMS.get(abi)
    if platform is None:
        raise StableDeviceError(
            "prepare",
            f"there is no benchmark_model to download for ABI {clean(abi)}",
            "build one (LiteRT, tflite/tools/benchmark) and set runner.path in devices.yaml",
        )
    version = spec.version or DEFAULT_VERSION
    url = (spec.url or URL).format(version=version, platform=platform)
    lock = lock or lock_file()
    path = (cache or cache_folder()) / version / platform / "benchmark_model"
    locked = _read_lock(lock)
    expected = spec.sha256 or locked.get(url)
    if path.is_file():
        _check(path, expected, "devices.yaml" if spec.sha256 else str(lock))
    else:
        _download(url, path, expected, progress)
    if expected is None:
        _write_lock(lock, {**locked, url: _sha256(path)})
    return path


def _check(path: Path, expected: str | None, source: str) -> None:
    if expected and _sha256(path) != expected.lower():
        raise UsageError(
            f"{path} is not the file it should be: its SHA-256 is {_sha256(path)}, "
            f"{source} says {expected}",
            "remove the file to get it again, or correct the sum if you trust the file",
        )


def _download(url: str, path: Path, expected: str | None, progress: Progress | None) -> None:
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise ConfigError(f"runner.url {url!r} is not https", "an executable is taken from https")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".download-")
    digest, done = hashlib.sha256(), 0
    try:
        with (
            os.fdopen(handle, "wb") as sink,
            urllib.request.urlopen(url, timeout=TIMEOUT_S) as source,  # noqa: S310  checked above
        ):
            total = int(source.headers.get("Content-Length") or 0)
            while data := source.read(1 << 16):
                done += len(data)
                if done > MAX_BYTES:
                    raise _unavailable(url, path, "it is too large")
                digest.update(data)
                sink.write(data)
                if progress:
                    progress(done, max(total, done))
        if total and done != total:
            raise _unavailable(url, path, f"it ended after {done} of {total} bytes")
        if expected and digest.hexdigest() != expected.lower():
            raise UsageError(
                f"{url} has changed: its SHA-256 is {digest.hexdigest()}, not {expected}",
                "find out why; if it is right, remove the line from runners.lock",
            )
        Path(name).chmod(0o755)
        Path(name).replace(path)
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise _unavailable(url, path, clean(str(error))) from None
    finally:
        Path(name).unlink(missing_ok=True)


def _unavailable(url: str, path: Path, why: str) -> HarnessError:
    return UsageError(
        f"the runner could not be downloaded ({why})",
        f"put the file from {url} at {path}, or set runner.path in devices.yaml",
    )


def _read_lock(lock: Path) -> dict[str, str]:
    if not lock.is_file():
        return {}
    try:
        return msgspec.json.decode(lock.read_bytes(), type=dict[str, str])
    except msgspec.DecodeError as error:
        raise ConfigError(f"{lock}: {error}", "it is JSON: address -> SHA-256") from None


def _write_lock(lock: Path, entries: dict[str, str]) -> None:
    text = msgspec.json.format(msgspec.json.encode(dict(sorted(entries.items()))), indent=2)
    lock.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(lock, text + b"\n")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()
