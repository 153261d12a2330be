"""Take the pictures of a lab again: `lab status` while phones are measured, and the terminal of the
run that measures them.

    pip install pyte
    python docs/images/lab.py

Three emulated phones at two hosts, all on this machine. pyte is a terminal in software. Needs
Chromium.
"""

from __future__ import annotations

import contextlib
import io
import os
import pty
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyte
import yaml
from make import PRE, save
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, MONOKAI

from harness.emulator.daemon import Daemon
from harness.emulator.phone import Phone, load_profile
from tests.browser import Page, browser
from tests.phones import free_port

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "tests/data/models/tiny_float32.tflite"
COLUMNS, ROWS = 90, 24
HOSTS = {"bench1": ("flagship", "cheap"), "bench2": ("tablet",)}
READY_S, LAUNCHES = 120.0, 8


def main() -> None:
    """Both pictures, light and dark."""
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        folder = Path(place)
        address = f"tcp://127.0.0.1:{free_port()}"
        _started(folder, stack, "the lab is at", "lab", "start", address)
        for host, phones in HOSTS.items():
            entries = {name: _phone(name, stack) for name in phones}
            (folder / host).mkdir()
            (folder / host / "devices.yaml").write_text(yaml.safe_dump({"devices": entries}))
            words = ("lab", "join", address, "--name", host, "--project", str(folder / host))
            _started(folder, stack, "joined the lab", *words)
        command = ["bench", str(MODEL), "--lab", address, "--device", "all"]
        run = Terminal(folder, [*command, "--launches", str(LAUNCHES), "--out", str(folder / "r")])
        stack.callback(run.process.wait)
        stack.callback(run.process.kill)
        _until(lambda: run.shown().count("launch 4 of") >= 2)
        progress = run.lines()
        status = subprocess.run(
            [sys.executable, "-m", "harness", "lab", "status", address],
            env=_environment(folder),
            capture_output=True,
            text=True,
            check=True,
        )
    said = [[Segment(line)] for line in status.stdout.splitlines()]
    shown = [[Segment("$ python -m harness lab status tls://lab:8786")], *said]
    asked = "$ python -m harness bench model.tflite --lab tls://lab:8786 --device all"
    with tempfile.TemporaryDirectory() as profile, browser(Path(profile)) as page:
        picture(page, "lab-status", shown)
        picture(page, "lab-progress", [[Segment(asked)], *progress])


class Terminal:
    """A command on a terminal in software."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        self.screen: Any = pyte.Screen(COLUMNS, ROWS)
        self._stream: Any = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        own, theirs = pty.openpty()
        environment = {**_environment(folder), "TERM": "xterm-256color", "LINES": str(ROWS)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness", *words],
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        threading.Thread(target=self._read, args=(own,), daemon=True).start()

    def _read(self, own: int) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(own, 4096):
                with self._lock:
                    self._stream.feed(data)

    def shown(self) -> str:
        """The text that is to be seen now."""
        with self._lock:
            return "\n".join(self.screen.display)

    def lines(self) -> list[list[Segment]]:
        """The same with its colours, without empty lines at the end."""
        with self._lock:
            found = [
                [_segment(self.screen.buffer[row][column]) for column in range(COLUMNS)]
                for row in range(ROWS)
            ]
        while found and not "".join(segment.text for segment in found[-1]).strip():
            found.pop()
        return found


def _segment(cell: Any) -> Segment:
    colour = None if cell.fg == "default" else cell.fg
    if colour is not None and len(colour) == 6:
        colour = f"#{colour}"
    return Segment(cell.data, Style(color=colour, bold=cell.bold))


def picture(page: Page, name: str, lines: list[list[Segment]]) -> None:
    """The lines as a picture for each theme."""
    for theme, colours in (("light", DEFAULT_TERMINAL_THEME), ("dark", MONOKAI)):
        console = Console(
            width=COLUMNS, record=True, force_terminal=True, file=io.StringIO(),
            color_system="truecolor", legacy_windows=False, _environ={},
        )  # fmt: skip
        for line in lines:
            console.print(_Line(line), end="")
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / "terminal.html"
            code = console.export_html(theme=colours, inline_styles=True, code_format=PRE)
            file.write_text(code, "utf-8")
            page.open(file, 9 * COLUMNS + 60, 700)
            save(f"{name}-{theme}", page.screenshot(of=["pre"]))


class _Line:
    def __init__(self, segments: list[Segment]) -> None:
        self._segments = segments

    def __rich_console__(self, console: Console, options: Any) -> Any:
        yield from self._segments
        yield Segment.line()


def _phone(name: str, stack: contextlib.ExitStack) -> dict[str, object]:
    profile = load_profile("old" if name == "cheap" else "pixel")
    profile = msgspec.structs.replace(profile, fixed_latency_us=30_000)
    for key in ("ro.serialno", "ro.boot.serialno"):
        profile.props[key] = f"EMULATED-{name}"
    daemon = stack.enter_context(Daemon(Phone(profile, requires_auth=False)))
    return {
        "kind": "android",
        "transport": "adb_tcp",
        "address": daemon.address,
        "runner": {"device_path": "/system/bin/benchmark_model"},
    }


def _started(folder: Path, stack: contextlib.ExitStack, ready: str, *words: str) -> None:
    log = folder / f"{len(list(folder.iterdir()))}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", *words], env=_environment(folder), stderr=errors
        )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    _until(lambda: ready in log.read_text())


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + READY_S
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def _environment(folder: Path) -> dict[str, str]:
    cache = str(folder / "cache")
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "COLUMNS": str(COLUMNS),
        "MOBILE_BENCH_CACHE": cache,
    }


if __name__ == "__main__":
    main()
