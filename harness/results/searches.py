"""The folders of searches, beside those of runs:

reports/search-<id>/
  search.json      what was asked for, before the first trial
  study.log        Optuna's journal
  final.json       the finalists, before the test split is opened
  search-report.json  all of it, once the search has ended (renewed by --resume)
  measured/        runs of trials on a device
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from harness.core.errors import StorageError, UsageError
from harness.core.search import SEARCH_VERSION, Final, SearchHeader, SearchLine, SearchReport
from harness.core.serial import encode
from harness.core.text import command
from harness.results.store import new_run_id
from harness.system.files import write_atomic

HEADER = "search.json"
FINAL = "final.json"
REPORT = "search-report.json"
PREFIX = "search-"
MEASURED = "measured"

T = TypeVar("T")


def new_id() -> str:
    """search-20261129-171502-9f3a."""
    return f"{PREFIX}{new_run_id()}"


def create(out: Path, header: SearchHeader) -> Path:
    """Make the folder of a search. Raises UsageError if it cannot."""
    path = out / header.search_id
    try:
        (path / "logs").mkdir(parents=True)
        write_atomic(path / HEADER, encode(header))
    except OSError as error:
        raise UsageError(
            f"cannot write to {out}: {error.strerror}", "choose another folder with --out"
        ) from None
    return path


def save(path: Path, value: Final | SearchReport) -> None:
    """Write it into the search's folder. Raises StorageError."""
    name = FINAL if isinstance(value, Final) else REPORT
    try:
        write_atomic(path / name, encode(value))
    except OSError as error:
        raise StorageError(
            f"cannot save in {path}: {error.strerror or error}",
            f"free some space, then {command('search', '--resume', path)}",
        ) from None


def read_header(path: Path) -> SearchHeader:
    """Raises UsageError if `path` is not the folder of a search."""
    try:
        data = (path / HEADER).read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} is not the folder of a search: {error.strerror}",
            f"{command('history')} lists searches",
        ) from None
    return _decoded(data, path / HEADER, SearchHeader)


def read_final(path: Path) -> Final | None:
    """The finalists; None if they are not chosen yet."""
    try:
        return _decoded((path / FINAL).read_bytes(), path / FINAL, Final)
    except FileNotFoundError:
        return None


def read_report(path: Path) -> SearchReport | None:
    """The report; None if the search has not ended."""
    try:
        return _decoded((path / REPORT).read_bytes(), path / REPORT, SearchReport)
    except FileNotFoundError:
        return None


class _Verdict(msgspec.Struct, frozen=True):
    recommended: str | None = None


class _Line(msgspec.Struct, frozen=True):
    """The part of a report that a list shows; the rest is skipped unread."""

    header: SearchHeader
    trials: tuple[msgspec.Raw, ...]
    front: tuple[int, ...] = ()
    stopped: str = ""
    verdict: _Verdict | None = None


def line(folder: Path) -> SearchLine | None:
    """What a list shows of the search in `folder`; None if it ended early. Raises OSError and
    UsageError."""
    if not (folder / REPORT).exists():
        return None
    found = _decoded((folder / REPORT).read_bytes(), folder / REPORT, _Line)
    recommended = found.verdict.recommended if found.verdict else None
    return SearchLine(
        search_id=found.header.search_id,
        started_at=found.header.started_at,
        budget=found.header.asked.budget or "",
        trials=len(found.trials),
        front=len(found.front),
        recommended=recommended or "",
        stopped=found.stopped,
    )


def find(search: str, out: Path) -> Path:
    """A folder, an id in `out` or a unique start of one, or `latest`."""
    if search and Path(search).is_dir():
        return Path(search)
    ids = sorted(p.parent.name for p in out.glob(f"{PREFIX}*/{HEADER}"))
    if search == "latest" and ids:
        return out / ids[-1]
    matching = [i for i in ids if search and i.startswith((search, PREFIX + search))]
    if len(matching) == 1:
        return out / matching[0]
    if matching:
        raise UsageError(f"{search!r} is the start of {len(matching)} ids", "give more of the id")
    raise UsageError(
        f"there is no search {search!r}",
        f"{command('history', '--out', out)} lists what is there"
        if ids
        else f"{out} holds no search yet",
    )


def _decoded(data: bytes, path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}",
            f"it must be one that this harness wrote (version {SEARCH_VERSION})",
        ) from None
