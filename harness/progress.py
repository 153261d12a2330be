"""What is being done, how far, and how long still: on standard error, one line per device.

On a terminal a bar that repaints; elsewhere a plain line now and then, so that a log stays
readable and a waiting person still sees that something moves.
"""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from harness.core import units
from harness.core.types import Case, DeviceFacts, Failure, Launch

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from harness.build.builder import Progress as Built

_PLAIN_EVERY_S = 10.0


class Narrator:
    """Tells a person on standard error what is going on; a Listener of `bench` and of `build`."""

    def __init__(self, total_launches: dict[str, int] | None = None) -> None:
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._done: dict[str, int] = {}
        self._expected = total_launches or {}
        self._last_plain = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> Narrator:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]}", markup=False),
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

    def expect(self, launches: dict[str, int]) -> None:
        """How many launches each device will make at least."""
        self._expected = launches

    # --- what harness.build tells ---

    def building(self, progress: Built) -> None:
        """A variant has come to another stage of being built."""
        text = f"{progress.variant}: {progress.stage}"
        if progress.done is not None and progress.total:
            text += f" {units.percent(progress.done / progress.total)}"
        if progress.stage != "cached":
            self._advance("build", f"build {progress.index + 1}/{progress.count}: {text}", None, 0)

    # --- a Listener of harness.bench ---

    def opened(self, facts: DeviceFacts) -> None:
        """A device answered: give it its line."""
        label = " (emulated)" if facts.emulated else ""
        self.say(f"{facts.name}{label}: {facts.cpu or facts.model or facts.identity}")
        self._advance(facts.name, f"{facts.name}: starting", None, 0)

    def launching(self, case: Case, index: int, left_s: float | None) -> None:
        """Show the launch under way."""
        self._advance(case.device, f"{case.device}: {case.variant}, launch {index + 1}", left_s, 0)

    def saved(self, case: Case, launch: Launch) -> None:
        """One more launch done."""
        self._advance(case.device, f"{case.device}: {case.variant}", None, 1)

    def failed(self, case: Case, failure: Failure) -> None:
        """A failure is said at once, not only in the report."""
        self.say(f"{case.id} failed ({failure.stage}): {failure.message}")

    def _advance(self, device: str, text: str, left_s: float | None, step: int) -> None:
        with self._lock:
            done = self._done[device] = self._done.get(device, 0) + step
            total = max(done, self._expected.get(device, done))
            left = "" if left_s is None else f"about {units.duration(left_s * 1e9)} left"
            if self._bar is None:
                self._plain(f"{text} ({done} of {total} launches) {left}".rstrip())
                return
            if device not in self._tasks:
                self._tasks[device] = self._bar.add_task(text, total=total, left=left)
            fields: dict[str, Any] = {"left": left} if left else {}
            self._bar.update(
                self._tasks[device], description=text, total=total, completed=done, **fields
            )

    def _plain(self, text: str) -> None:
        now = time.monotonic()
        if now - self._last_plain >= _PLAIN_EVERY_S:
            self._last_plain = now
            print(text, file=sys.stderr, flush=True)
