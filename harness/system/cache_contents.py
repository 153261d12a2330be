"""What is in the cache, how large and how old it is, and how it is emptied.

A kind is a folder of the cache; an entry is one thing in it that can be removed by itself. The
digests of downloads (`weights.json`, `runners.lock`) are not entries: they are kept, because
without them a file that changed at its source would not be noticed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from harness.core.errors import UsageError
from harness.system import cache_use, files, locks


class Kind(NamedTuple):
    """A folder of the cache: what is in it, whether its entries are worth a line each, whether
    their use is noted, and the lock files that are held while they are used or made."""

    folder: str
    holds: str
    listed: bool = False
    noted: bool = False
    lock_files: tuple[str, ...] = ()


KINDS = (
    Kind("artifacts", "built .tflite files", listed=True, noted=True),
    Kind("trained", "trained networks", listed=True, noted=True),
    Kind("checkpoints", "unfinished training", listed=True),
    Kind("features", "features of frozen layers"),
    Kind("weights", "pretrained weights", listed=True),
    Kind("data", "images to train on"),
    Kind("representative", "images to calibrate with"),
    Kind("demo", "demo images"),
    Kind("images", "decoded images"),
    Kind("folders", "what was seen in folders of images"),
    Kind("inputs", "inputs of timed launches"),
    Kind("inspected", "what was read from .tflite files"),
    Kind("evaluations", "answers to test images"),
    Kind("runners", "benchmark executables", listed=True),
    Kind("arm64", "the emulated ARM core", listed=True, lock_files=("arm64.lock", "arm64.users")),
    Kind(
        "converters",
        "converters of ONNX and PyTorch models",
        listed=True,
        lock_files=("converters-onnx.lock", "converters-torch.lock"),
    ),
    Kind("lab", "files and unfinished work of a lab"),
    Kind("logs", "logs of builds"),
)
_REMOVED = ".removed-"
_BY_KEY = ("artifacts", "trained", "checkpoints")
_KEPT = ("runners.lock", "weights.json")


class Entry(NamedTuple):
    """One thing in the cache. `paths` are removed together; `made_at` and `used_at` are seconds
    since 1970: when it was last written to, and last used, if that is noted; `variants` are those
    it served, the latest first."""

    kind: Kind
    name: str
    paths: tuple[Path, ...]
    size_bytes: int
    made_at: float
    used_at: float
    variants: tuple[str, ...]


class Removed(NamedTuple):
    """What was removed, and what was kept because programs use the cache."""

    gone: list[Entry]
    kept: list[Entry]


def entries(cache: Path) -> list[Entry]:
    """Everything in the cache, by kind, the largest first."""
    kinds = [*KINDS, *_other_kinds(cache)]
    found = [entry for kind in kinds for entry in _of_kind(cache, kind)]
    order = {kind: place for place, kind in enumerate(kinds)}
    return sorted(found, key=lambda e: (order[e.kind], -e.size_bytes, e.name))


def to_prune(
    found: Iterable[Entry], *, keep_bytes: int | None, unused_for_s: float | None, now: float
) -> list[Entry]:
    """The entries that have been unused for that long, and then those unused the longest, until no
    more than `keep_bytes` remain."""
    oldest_first = sorted(found, key=lambda e: (e.used_at, e.name))
    chosen = [
        e for e in oldest_first if unused_for_s is not None and now - e.used_at >= unused_for_s
    ]
    rest = [e for e in oldest_first if e not in chosen]
    left = sum(e.size_bytes for e in rest)
    for entry in rest:
        if keep_bytes is None or left <= keep_bytes:
            break
        chosen.append(entry)
        left -= entry.size_bytes
    return chosen


def remove(
    cache: Path,
    *,
    keep_bytes: int | None = None,
    unused_for_s: float | None = None,
    everything: bool = False,
    dry_run: bool = False,
) -> Removed:
    """Remove `everything`, or what `to_prune` chooses. While programs use the cache, only what is
    noted as unused since before the first of them began is removed.

    Raises UsageError if the cache cannot be written to.
    """
    if not cache.is_dir():
        return Removed([], [])
    with (
        files.writing(cache),
        tempfile.TemporaryDirectory(
            dir=cache, prefix=_REMOVED, ignore_cleanup_errors=True
        ) as folder,
    ):
        # What is chosen is moved out of the way at once, under the lock, and deleted afterwards.
        with cache_use.removing(cache):
            since = min((u.since for u in cache_use.users(cache)), default=None)
            chosen = found = entries(cache)
            if not everything:
                now = time.time()
                chosen = to_prune(found, keep_bytes=keep_bytes, unused_for_s=unused_for_s, now=now)
            removed = Removed([], [])
            for number, entry in enumerate(chosen):
                if not _free(cache, entry, since):
                    removed.kept.append(entry)
                    continue
                if not dry_run:
                    _move(entry, Path(folder, str(number)))
                removed.gone.append(entry)
        for left in cache.glob(f"{_REMOVED}*"):  # left behind by a program that was killed
            shutil.rmtree(left, ignore_errors=True)
        Path(folder).mkdir(exist_ok=True)  # the context that made it removes it
    return removed


def _free(cache: Path, entry: Entry, since: float | None) -> bool:
    """Whether no program needs the entry; `since` is when the first of those running began."""
    if since is not None and not (entry.kind.noted and entry.used_at < since):
        return False
    held = [cache / name for name in entry.kind.lock_files]
    if entry.kind.folder in _BY_KEY:  # held while the entry is made
        held.append(cache / "locks" / entry.name)
    return all(_unlocked(path) for path in held)


def _unlocked(path: Path) -> bool:
    if not path.exists():
        return True
    try:
        with locks.try_lock(path) as free:
            return free
    except (OSError, UsageError):
        return False


def _move(entry: Entry, target: Path) -> None:
    target.mkdir()
    for path in entry.paths:
        with contextlib.suppress(FileNotFoundError):
            path.rename(target / path.name)


def _other_kinds(cache: Path) -> list[Kind]:
    """Kinds of entries that another version of the harness made."""
    known = {kind.folder for kind in KINDS} | {"locks", "users"}
    try:
        found = sorted(path.name for path in cache.iterdir() if path.is_dir())
    except OSError:
        return []
    return [Kind(name, f"other: {name}") for name in found if name not in known and name[0] != "."]


def _of_kind(cache: Path, kind: Kind) -> Iterator[Entry]:
    folder = cache / kind.folder
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return
    for name in names:
        if name in _KEPT or (name.endswith(".sha256") and name.removesuffix(".sha256") in names):
            continue
        paths = [folder / name]
        if f"{name}.sha256" in names:  # the seal of a file goes with it
            paths.append(folder / f"{name}.sha256")
        yield _entry(kind, name, paths)


def _entry(kind: Kind, name: str, paths: list[Path]) -> Entry:
    size, made, used = 0, 0.0, 0.0
    for path in paths:
        for file in _files(path):
            with contextlib.suppress(OSError):  # another program may be removing it
                facts = file.lstat()
                size += facts.st_size
                used = max(used, facts.st_mtime)
                if file.name != cache_use.USED_BY:
                    made = max(made, facts.st_mtime)
    variants = tuple(cache_use.used_by(paths[0])) if kind.noted else ()
    return Entry(kind, name, tuple(paths), size, made or used, used, variants)


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir() or path.is_symlink():
        yield path
        return
    for parent, _, names in os.walk(path):
        for name in names:
            yield Path(parent, name)
