"""Progress on standard error: what is being done, how far it is and how long it will take, with one
line per device.

On a terminal it is a bar that is redrawn. Elsewhere it is a plain line now and then, so that a log
stays readable and still shows that the program works.
"""

from __future__ import annotations

import math
import re
import sys
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from harness.core import units
from harness.core.attendant import Attendant
from harness.core.types import Case, DeviceFacts, Failure, Launch

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from harness.core.build_progress import BuildProgress

_PLAIN_EVERY_S, _PLAIN_AFTER_S = 10.0, 2.0


class Narrator:
    """Shows progress to the user on standard error; the Listener of `bench` and of `build`."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._done: dict[str, int] = {}
        self._expected: dict[str, int] = {}
        self._last_plain: dict[str, float] = {}
        self._looking_since = 0.0
        self._last_shown: dict[str, str] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Narrator:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            self._bar = Progress(
                BarColumn(bar_width=20),
                TextColumn("{task.description}", markup=False),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            if self._bar is not None:
                self._bar.console.print(text, markup=False, highlight=False)
            else:
                print(text, file=sys.stderr, flush=True)

    def tell(self, lines: Iterable[str]) -> None:
        """Several lines that stay."""
        for line in lines:
            self.say(line)

    def expect(self, launches: dict[str, int]) -> None:
        """How many launches each device will make at least."""
        self._expected = launches

    # --- called by harness.data ---

    def looking(self, done: int, total: int) -> None:
        """An image of a folder has been read. In a log, this is shown only if it takes long."""
        if done == 1:
            self._looking_since = time.monotonic()
        if self._bar is None and time.monotonic() - self._looking_since < _PLAIN_AFTER_S:
            return
        self._show("look", f"read the images: {done:,} of {total:,}", done, total)

    # --- called by harness.artifacts

    def building(self, progress: BuildProgress) -> None:
        """A variant has come to another stage of being built."""
        if progress.stage == "cached":
            return
        line = f"build {progress.index + 1} of {progress.count}"
        if progress.stage in ("built", "failed"):
            self._hide(line)
            return
        text = f"{line}: {progress.variant}, {progress.stage}"
        self._show(line, text, progress.index, progress.count)

    def searching(self, number: int, progress: BuildProgress) -> None:
        """The candidate of a trial has come to another stage of being built."""
        line = f"trial {number}"
        if progress.stage in ("cached", "built", "failed"):
            self._hide(line)
            return
        self._show(line, f"{line}: {progress.stage}", progress.done or 0, progress.total or 1)

    # --- called by harness.measure.evaluate ---

    def evaluating(self, variant: str, done: int, total: int, far: str = "") -> None:
        """A variant is about to answer the test images."""
        self._evaluating(variant, "test", done, total, far)

    def trying(self, variant: str, done: int, total: int, far: str = "") -> None:
        """A variant is about to answer the validation images."""
        self._evaluating(variant, "validation", done, total, far)

    def _evaluating(self, variant: str, split: str, done: int, total: int, far: str) -> None:
        text = f"evaluate {done + 1} of {total}: {variant}, {split} images"
        if far:
            text += f" ({far})"
        self._show("evaluate", text, done, total)

    # --- a Listener of harness.measure.lanes ---

    def attendant(self, device: str) -> Attendant:
        """Prints what a device says, under its name."""
        return _Attendant(self, device)

    def opened(self, facts: DeviceFacts) -> None:
        """A device answered."""
        label = " (emulated)" if facts.emulated else ""
        self.say(f"{facts.name}{label}: {facts.cpu or facts.model or facts.identity}")

    def launching(self, case: Case, index: int, left_s: float | None) -> None:
        """Show the launch under way."""
        done = self._done.get(case.device, 0)
        total = max(done + 1, self._expected.get(case.device, 0))
        text = f"{case.device}: launch {done + 1} of {total}, {case.variant}"
        if left_s:
            text += f", about {units.duration(left_s * 1e9)} left"
        self._show(case.device, text, done, total)

    def saved(self, case: Case, launch: Launch) -> None:
        """One more launch done."""
        with self._lock:
            self._done[case.device] = self._done.get(case.device, 0) + 1

    def failed(self, what: str, failure: Failure) -> None:
        """A failure is printed at once, not only in the report."""
        fix = f"; {failure.fix}" if failure.fix else ""
        self.say(f"{what} {failure.status} ({failure.stage}): {failure.message}{fix}")

    def busy(self, device: str, text: str) -> None:
        """What a device does instead of launching. In a log, a countdown is printed now and
        then."""
        line = f"{device}: {text}"
        if self._bar is None and self._last_shown.get(device) != (kind := re.sub(r"\d+", "", text)):
            self._last_shown[device] = kind
            self._last_plain.pop(device, None)
        done = self._done.get(device, 0)
        self._show(device, line, done, max(done + 1, self._expected.get(device, 0)))

    def _show(self, line: str, text: str, done: int, total: int) -> None:
        with self._lock:
            if self._bar is None:
                # Each device has its own interval, so that one phone's lines do not hide another's.
                now = time.monotonic()
                if now - self._last_plain.get(line, -math.inf) >= _PLAIN_EVERY_S:
                    self._last_plain[line] = now
                    print(text, file=sys.stderr, flush=True)
                return
            if line not in self._tasks:
                self._tasks[line] = self._bar.add_task(text)
            self._bar.update(self._tasks[line], description=text, completed=done, total=total)

    def _hide(self, line: str) -> None:
        with self._lock:
            if self._bar is not None and line in self._tasks:
                self._bar.remove_task(self._tasks.pop(line))


class _Attendant(Attendant):
    """The attendant of one device; all of them share the narrator."""

    def __init__(self, narrator: Narrator, device: str) -> None:
        super().__init__()
        self._narrator, self._device = narrator, device

    def say(self, text: str) -> None:
        """See Attendant."""
        self._narrator.say(f"{self._device}: {text}")

    def show(self, text: str) -> None:
        """See Attendant."""
        self._narrator.busy(self._device, text)
