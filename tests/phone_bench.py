"""`bench` against phones, as a user meets it; the phone is behind a real socket."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from harness.core.types import Report
from harness.emulator.daemon import Daemon
from harness.results import store
from tests import schema
from tests.paths import ROOT
from tests.phones import command, packed_runner, run_harness

DOCS = ROOT / "docs/how-to/phone.md"
MODELS = ROOT / "tests/data/models"
TINY, OTHER = MODELS / "tiny_float32.tflite", MODELS / "tiny_int8.tflite"
RUNNER = packed_runner()
SHORT = ("--launches", "2", "--iterations", "3")
CONNECT_S = 6


def entry(phone: Daemon | str, **changes: Any) -> dict[str, Any]:
    """What devices.yaml says of a phone; nothing waits long."""
    return {
        "kind": "android",
        "transport": "adb_tcp",
        "address": phone if isinstance(phone, str) else phone.address,
        "runner": {"device_path": "/system/bin/benchmark_model"},
        "connect_timeout_s": CONNECT_S,
        "reconnect_timeout_s": 3,
        "launch_timeout_s": 300,
    } | changes


HANGS_S = 600  # against a hang only: a loaded machine takes ten times as long


class Bench:
    """A bench that was made in `folder`."""

    def __init__(self, folder: Path, entries: dict[str, Any]) -> None:
        self.folder = folder
        (folder / "devices.yaml").write_text(yaml.safe_dump({"devices": entries}))
        self.status = 0
        self.stdout = self.stderr = ""

    def launches_saved(self) -> int:
        journals = list(self.folder.glob("reports/*/journal.jsonl"))
        return journals[0].read_bytes().count(b'"launch"') if journals else 0

    @property
    def report(self) -> Report:
        (run,) = (self.folder / "reports").glob("[0-9]*")
        schema.check((run / store.REPORT).read_bytes())
        return store.read_report(run)

    def said(self, words: str) -> str:
        """The one line with these words."""
        (line,) = [x for x in self.stderr.splitlines() if words in x]
        return line


class Run(Bench):
    """A bench under way in `folder`, a process of its own."""

    def __init__(self, folder: Path, entries: dict[str, Any], *arguments: str | Path) -> None:
        super().__init__(folder, entries)
        names = ",".join(entries)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness", "bench", "--device", names, *map(str, arguments)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "150"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, timeout: float = HANGS_S) -> int:
        """Wait; the exit status."""
        self.stdout, self.stderr = self.process.communicate(timeout=timeout)
        assert "Traceback" not in self.stderr, self.stderr
        self.status = self.process.returncode
        return self.status

    def until(self, holds: Callable[[], object], timeout: float = HANGS_S) -> None:
        """Wait for something that the run does."""
        end = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < end, "it never came to that"
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)


def bench(folder: Path, entries: dict[str, Any], *arguments: str | Path) -> Bench:
    """A bench from its beginning to its end."""
    made = Bench(folder, entries)
    words = ("bench", "--device", ",".join(entries), *(arguments or (TINY, *SHORT)))
    done = run_harness(folder, *words)
    made.status, made.stdout, made.stderr = done.returncode, done.stdout, done.stderr
    return made


def assert_clean(phone: Daemon) -> None:
    assert list(phone.phone.work.iterdir()) == []
    assert phone.phone.fixed_performance is False
    end = time.monotonic() + 60
    while phone.phone.processes():
        assert time.monotonic() < end, "a process was left running"
        time.sleep(0.05)


def documented(what: str) -> re.Pattern[str]:
    """The line that docs/how-to/phone.md promises, with `...` for what differs."""
    rows = re.findall(r"^\| (.+?) \| (`+) ?(.+?) ?\2 \|", DOCS.read_text(), flags=re.MULTILINE)
    (line,) = [line for name, _, line in rows if name == what]
    return re.compile(".+".join(map(re.escape, line.split("..."))))


def has_file(phone: Daemon, name: str) -> bool:
    """Whether a run's folder on the phone has such a file, as far as can be seen now: a folder may
    go away meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return any(phone.phone.work.glob(f"*/{name}"))
    return False


def hanging(phone: Daemon) -> Callable[[], bool]:
    """Whether a runner is under way on the phone."""
    return lambda: has_file(phone, "pid") and bool(phone.phone.processes())


def dumpsys_after(phone: Daemon, runs: int, change: str) -> None:
    """What `dumpsys` says goes through the shell's `change`, once the runner has run so often."""
    count = "$EMULATED_ROOT/state/count"
    counted = f'case "$*" in *--num_runs*) echo >> {count};; esac; "$REAL" "$@"'
    command(phone, "benchmark_model", counted)
    enough = f'[ "$(wc -l 2>/dev/null < {count})" -ge {runs} ]'
    command(phone, "dumpsys", f'"$REAL" "$@" | if {enough}; then {change}; else cat; fi')
