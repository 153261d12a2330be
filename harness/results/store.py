"""The only reader and writer of run folders and report files.

    reports/<run id>/
      run.json         the plan, the artifacts, the command: all that is known before measuring
      journal.jsonl    one line per device opened, launch finished, case failed or some test images
                     answered, as it happens
      report.json      the report, once measuring has ended
      logs/            what the workers said on standard error
    reports/.order     run ids in the order in which measuring began, whatever the clock showed

A journal line is on the disk (fsync) before the launch counts as saved. A line that a crash cut
short is dropped when the folder is read, and its launch is simply measured again on `--resume`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from harness.core.errors import StorageError, UsageError
from harness.core.serial import encode
from harness.core.text import command
from harness.core.types import (
    SCHEMA_VERSION,
    DeviceAnswers,
    DeviceFacts,
    Failure,
    Launch,
    Report,
    Value,
)
from harness.system import locks
from harness.system.files import write_atomic

__all__ = ["encode"]  # next to `decode`, although it only encodes

HEADER = "run.json"
JOURNAL = "journal.jsonl"
SAVING = "saving"  # the stage of what could not be saved
REPORT = "report.json"
LOGS = "logs"
ORDER = ".order"

_ATTEMPTS = 20


class CaseFailure(Value, frozen=True):
    """A journal line's failure: which case ended, and why."""

    case: str
    failure: Failure


class Entry(Value, frozen=True, omit_defaults=True):
    """One line of the journal; exactly one field is set."""

    device: DeviceFacts | None = None
    launch: Launch | None = None
    failed: CaseFailure | None = None
    answers: DeviceAnswers | None = None


class Journal(Value, frozen=True):
    """What a journal says, by kind; the last entry for a device, a launch or a failure counts. A
    case that was launched again after it had failed has not failed. `answers` are by case, in the
    order in which they came."""

    devices: dict[str, DeviceFacts] = {}
    launches: tuple[Launch, ...] = ()
    failures: dict[str, Failure] = {}
    answers: dict[str, tuple[DeviceAnswers, ...]] = {}


class RunFolder:
    """One run on the disk. Made by `create` or `reopen`; appending is safe from any thread."""

    def __init__(self, path: Path, header: Report) -> None:
        self.path = path
        self.header = header
        # Failures of cases that could not be saved: the report has them anyway.
        self._unsaved: dict[str, Failure] = {}
        self._writing = threading.Lock()
        self._file = (path / JOURNAL).open("ab", buffering=0)
        try:
            if not locks.take(self._file):  # two processes must not append to one run
                raise UsageError(f"another process is measuring {path}", "wait until it has ended")
            _cut_torn_line(path / JOURNAL)
            self.saved = read_journal(path / JOURNAL)
        except BaseException:
            self._file.close()
            raise

    @property
    def logs(self) -> Path:
        """Where workers write their standard error."""
        return self.path / LOGS

    def append(self, entry: Entry) -> None:
        """Save one observation; when this returns it survives a power cut. Raises StorageError,
        and then the journal ends with the observation before."""
        line = msgspec.json.encode(entry) + b"\n"
        try:
            with self._writing:
                self._append(line)
        except OSError as error:
            raise StorageError(
                f"cannot save in {self.path}: {error.strerror}", free_space(self.path)
            ) from None

    def _append(self, line: bytes) -> None:
        whole = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError:
            # Else a later, shorter line that does fit would be appended to half of this one.
            with contextlib.suppress(OSError):
                os.truncate(self.path / JOURNAL, whole)
            raise

    def append_failure(self, case: str, failure: Failure) -> None:
        """Save that a case failed. On a full disk it is kept in memory for the report instead. That
        the disk is full is never saved, even if it would fit where a launch did not: saved, it
        would keep --resume from making the missing launches."""
        if failure.stage == SAVING:
            self._unsaved[case] = failure
            return
        try:
            self.append(Entry(failed=CaseFailure(case=case, failure=failure)))
        except StorageError:
            self._unsaved[case] = failure

    def read(self) -> Journal:
        """All that was observed, including what could not be saved."""
        journal = read_journal(self.path / JOURNAL)
        return msgspec.structs.replace(journal, failures={**journal.failures, **self._unsaved})

    def close(self) -> None:
        """End writing; the folder stays."""
        self._file.close()


def new_run_id(now: datetime | None = None) -> str:
    """Sorts by time, and two in one second differ: 20261123-171502-9f3a."""
    now = now or datetime.now(timezone.utc)
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def check_writable(out: Path, option: str = "--out") -> None:
    """Raise a UsageError unless files can be made in `out`; leaves nothing behind."""
    made = [p for p in (out, *out.parents) if not p.exists()]
    try:
        _try_to_write(out)
    except OSError as error:
        raise UsageError(
            f"cannot write to {out}: {error.strerror}", f"choose another folder with {option}"
        ) from None
    finally:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _try_to_write(out: Path) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            out.mkdir(parents=True, exist_ok=True)
            # A name of its own: several runs may begin at once.
            with tempfile.NamedTemporaryFile(prefix=".probe-", dir=out) as probe:
                probe.write(b"\0" * 65536)
                probe.flush()
                os.fsync(probe.fileno())
            return
        except FileNotFoundError:
            if attempt == _ATTEMPTS - 1:
                raise  # no other run removes its probing folder that often


def create(out: Path, header: Report) -> RunFolder:
    """Make `out/<run id>` and save what is known before the first launch."""
    path = out / header.run_id
    try:
        (path / LOGS).mkdir(parents=True)
        write_atomic(path / HEADER, encode(header))
        _note_order(path)
    except OSError as error:
        raise UsageError(
            f"cannot write to {out}: {error.strerror}", "choose another folder with --out"
        ) from None
    return RunFolder(path, header)


def reopen(path: Path) -> RunFolder:
    """A run that ended early, ready to go on: an incomplete last line of the journal is removed."""
    again = RunFolder(path, read_header(path))
    with contextlib.suppress(OSError):  # only `latest` needs it
        _note_order(path)
    return again


def _note_order(path: Path) -> None:
    with (path.parent / ORDER).open("a", encoding="utf-8") as file:
        file.write(f"{path.name}\n")


def _latest(out: Path, ids: list[str]) -> Path:
    """The run that was begun or resumed last. Run ids follow the clock, which may have been wrong;
    so `.order` comes first. A run that is not in there, because it was copied here or is of an
    older release, is the latest if its id is and it was written after the last of `.order`.
    """
    try:
        noted = (out / ORDER).read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        noted = []
    known = [run for run in noted if run in set(ids)]
    others = [run for run in ids if run not in set(known)]
    if not known:
        return out / ids[-1]
    if others and _written_ns(out / others[-1]) > _written_ns(out / known[-1]):
        return out / others[-1]
    return out / known[-1]


def _written_ns(folder: Path) -> int:
    times = [p.stat().st_mtime_ns for p in (folder / HEADER, folder / REPORT) if p.exists()]
    return max(times, default=0)


def read_header(path: Path) -> Report:
    """All that was known of a run before its first launch."""
    try:
        data = (path / HEADER).read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} is not a run folder: {error.strerror}", "python -m harness history lists runs"
        ) from None
    return decode(data, path / HEADER)


def _cut_torn_line(journal: Path) -> None:
    data = journal.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(journal, whole)


def read_journal(path: Path) -> Journal:
    """All complete lines; a damaged line in the middle is an error, an incomplete last one is
    not."""
    devices: dict[str, DeviceFacts] = {}
    launches: dict[tuple[str, int], Launch] = {}
    failures: dict[str, Failure] = {}
    answers: dict[str, tuple[DeviceAnswers, ...]] = {}
    for entry in _entries(path):
        if entry.device is not None:
            devices[entry.device.name] = entry.device
        if entry.launch is not None:
            launches[entry.launch.case, entry.launch.index] = entry.launch
            failures.pop(entry.launch.case, None)
        if entry.failed is not None:
            failures[entry.failed.case] = entry.failed.failure
        if entry.answers is not None:
            answers[entry.answers.case] = (*answers.get(entry.answers.case, ()), entry.answers)
    return Journal(
        devices=devices, launches=tuple(launches.values()), failures=failures, answers=answers
    )


def _entries(path: Path) -> Iterator[Entry]:
    if not path.exists():
        return
    decoder = msgspec.json.Decoder(Entry)
    *lines, _torn = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            yield decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UsageError(
                f"{path}, line {number}, is damaged", "delete that line to go on without it"
            ) from None


def write_report(folder: Path, report: Report) -> Path:
    """Save the final report beside the observations it is made from."""
    path = folder / REPORT
    try:
        write_atomic(path, encode(report))
    except OSError as error:
        raise StorageError(f"cannot save {path}: {error.strerror}", free_space(folder)) from None
    return path


def free_space(folder: Path) -> str:
    """The advice where the disk is full."""
    resume = command("bench", "--resume", folder)
    return f"what was measured before is kept; free some space, then {resume}"


def find(run: str, out: Path) -> Path:
    """The folder or report file that `run` means: a path, a run id in `out` or a unique start of
    one, or `latest`."""
    if not run:  # which would be the current folder
        raise UsageError("no run is named", "give a run id, a folder, a file or latest")
    if Path(run).exists():
        return Path(run)
    found = (p for name in (HEADER, REPORT) for p in out.glob(f"*/{name}"))
    ids = sorted({p.parent.name for p in found}) if out.is_dir() else []
    if run == "latest" and ids:
        return _latest(out, ids)
    matching = [i for i in ids if i.startswith(run)]
    if len(matching) == 1:
        return out / matching[0]
    if matching:
        raise UsageError(
            f"{run!r} is the start of {len(matching)} run ids", "give more characters of the id"
        )
    raise UsageError(
        f"there is no run or file {run!r}",
        f"{command('history', '--out', out)} lists what is there"
        if ids
        else f"{out} holds no run yet",
    )


def read_report(path: Path) -> Report:
    """A saved report: a report file, or a run folder that has one."""
    if path.is_dir():
        path = path / REPORT
    try:
        return decode(path.read_bytes(), path)
    except FileNotFoundError:
        if not (path.parent / HEADER).exists():
            raise UsageError(
                f"{path.parent} is not a run folder", f"{command('history')} lists runs"
            ) from None
        raise UsageError(
            f"{path} does not exist",
            f"finish the run first: {command('bench', '--resume', path.parent)}",
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "give a report file") from None


class _Version(msgspec.Struct):
    """Only the version of a report; the rest is skipped unread."""

    schema_version: int


def decode(data: bytes, path: Path) -> Report:
    """JSON of this or an older schema version -> Report; names `path` when it is neither."""
    try:
        if msgspec.json.decode(data, type=_Version).schema_version == SCHEMA_VERSION:
            return msgspec.json.decode(data, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # the slow way says what is wrong
    try:
        raw: Any = msgspec.json.decode(data)
        version = raw["schema_version"]
        while version in UPGRADES:
            raw = UPGRADES[version](raw)
            version = raw["schema_version"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        raise UsageError(f"{path} is not a report", "give a report.json or a run folder") from None
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"{path} has schema version {version}, this harness reads {SCHEMA_VERSION}",
            "upgrade the harness",
        )
    try:
        return msgspec.convert(raw, Report)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UsageError(f"{path} is not a valid report: {error}", "upgrade the harness") from None


# Old schema version -> function that makes the next version's JSON of it.
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
