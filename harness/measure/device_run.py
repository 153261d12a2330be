"""All launches on one device, round by round, each saved before the next begins.

Whatever ends the run, the saved launches are in the run folder, and --resume continues from there.
"""

from __future__ import annotations

import contextlib
import errno
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, cast

import msgspec

from harness.core.attendant import Attendant
from harness.core.errors import (
    CONFIGURATION,
    HarnessError,
    MeasurementError,
    OtherDeviceError,
    StorageError,
    TransientDeviceError,
)
from harness.core.specs import DeviceSpec
from harness.core.text import clean, plain_name
from harness.core.types import (
    Artifact,
    Case,
    DeviceFacts,
    Failure,
    Finding,
    Launch,
    Plan,
    StopReason,
)
from harness.devices import AnsweringTarget, Target
from harness.engine import Ending
from harness.measure import identity
from harness.measure import schedule as planning
from harness.measure.answering import Answers
from harness.results.store import SAVING, Entry, RunFolder, free_space
from harness.stats.summaries import launch_medians, median_interval
from harness.system import causes, processors

OpenTarget = Callable[[str, DeviceSpec, Path, Attendant], Target]
Enough = Callable[[Mapping[Case, list[Launch]]], bool]


class Listener(Protocol):
    """Receives progress, in the thread of the device that it is about."""

    def attendant(self, device: str) -> Attendant:
        """The attendant that receives what a device says between launches."""

    def opened(self, facts: DeviceFacts) -> None:
        """A device answered."""

    def launching(self, case: Case, index: int, left_s: float | None) -> None:
        """A launch begins; about `left_s` seconds remain on this device, as far as one can tell."""

    def saved(self, case: Case, launch: Launch) -> None:
        """A launch is on the disk."""

    def failed(self, what: str, failure: Failure) -> None:
        """A case or a whole device, by name, ended early; the others go on."""


class DeviceRun:
    """See the module; a piece of Work. `run` is called once."""

    def __init__(
        self,
        folder: RunFolder,
        name: str,
        spec: DeviceSpec,
        *,
        inputs: Mapping[str, Path],
        listener: Listener,
        opener: OpenTarget,
        enough: Enough | None,
    ) -> None:
        self.folder, self.name, self.spec, self.inputs = folder, name, spec, inputs
        self.listener, self.opener, self.enough = listener, opener, enough
        self.attendant = listener.attendant(name)
        self.plan: Plan = folder.header.plan
        self.artifacts = {a.variant: a for a in folder.header.artifacts}
        self.reason: StopReason = "failed"
        self.stopped = False  # by `stop`, maybe only after `reason` was known
        self.refusal: OtherDeviceError | None = None
        self.cases = [c for c in self.plan.cases if c.device == name]
        self.launches: dict[Case, list[Launch]] = {case: [] for case in self.cases}
        by_id = {case.id: case for case in self.cases}
        # Saved by an earlier session but unusable: they are made again.
        self.unusable: dict[tuple[Case, int], Launch] = {}
        for launch in folder.saved.launches:
            if case := by_id.get(launch.case):
                if launch.invalid:
                    self.unusable[case, launch.index] = launch
                else:
                    self.launches[case].append(launch)
        kept = folder.saved.failures.items()
        self.failures = {by_id[c]: f for c, f in kept if c in by_id and not f.transient}
        self.half_widths = {case: self._half_width(case) for case in self.cases}
        # Counts, unlike times, are the same whatever runs at the same time.
        self.abreast = processors.usable() if name in self.plan.exact_devices else 1
        self.elapsed_before_ns = sum(x.wall_ns for done in self.launches.values() for x in done)

    def run(self) -> Ending:
        """Open the device, measure, and restore it. `reason` says why it ended, `refusal` why it
        did not begin. Raises nothing, so that an error on one device does not end the others or
        the report."""
        if self.attendant.stopping.is_set():
            self.reason = "interrupted"
            return "interrupted"
        try:
            self._run()
        except KeyboardInterrupt:
            self.reason = "interrupted"
        except OtherDeviceError as error:
            self.refusal = error
        except HarnessError as error:
            self._lose(_failure(error))
        except Exception as error:
            self._lose(self._disk_full(error) or self._our_bug(error))
        if self.refusal is not None:
            return "refused"
        return "interrupted" if self.reason == "interrupted" else "done"

    def stop(self) -> None:
        """See Work."""
        self.stopped = True
        self.attendant.stopping.set()

    def _run(self) -> None:
        target: Target | None = None
        try:
            target = self.opener(self.name, self.spec, self.folder.logs, self.attendant)
            facts = target.facts()
            self._refuse_another_device(facts)
            self.folder.append(Entry(device=facts))
            self.listener.opened(facts)
            self._prepare(target)
            self.reason = self._rounds(target)
            if self.reason != "interrupted":
                self._answer(target)
        finally:
            if target is not None:
                target.close()

    def _answer(self, target: Target) -> None:
        """Let the device answer test images, once everything has been timed: it warms up."""
        images = self.folder.header.device_images
        if images is None or self.name not in self.plan.accuracy_devices:
            return
        asked = Answers(self.folder, images, self.artifacts, self.launches, self.attendant)
        for case, failure in asked.ask(cast(AnsweringTarget, target), self._active()):
            self.listener.failed(f"accuracy of {case.id}", failure)

    def _refuse_another_device(self, facts: DeviceFacts) -> None:
        """Launches of two devices must not become one case with one interval."""
        before = self.folder.saved.devices.get(self.name)
        if before is None or not (self.unusable or any(self.launches.values())):
            return
        used = {case.runtime for case in self.cases}
        if changed := identity.difference(before, facts, used):
            raise OtherDeviceError(
                f"{self.name} is not what the run began on: {changed}",
                "connect the same device with the same software, or start a new run",
            )

    def _active(self) -> list[Case]:
        return [case for case in self.cases if case not in self.failures]

    def _lose(self, failure: Failure) -> None:
        """End all cases of this device, which is gone or cannot be used as devices.yaml says; other
        devices continue."""
        self.reason = "failed"
        for case in self._active():
            self._record(case, failure)
        self.listener.failed(self.name, failure)

    def _disk_full(self, error: Exception) -> Failure | None:
        """The Failure if the disk is full where something else than the journal is written."""
        if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return None
        message = f"cannot write: {clean(str(error), 200)}"
        return _failure(StorageError(message, free_space(self.folder.path)))

    def _our_bug(self, error: Exception) -> Failure:
        """The Failure for an unexpected exception; its traceback goes to a log of the run."""
        log = self.folder.logs / f"error-{plain_name(self.name)}.log"
        with contextlib.suppress(OSError):  # the disk may be full
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text("".join(traceback.format_exception(error)), "utf-8", errors="replace")
        return Failure(
            stage="harness",
            transient=True,
            message=f"{type(error).__name__}: {clean(str(error), 200)}",
            fix=f"this is a bug of the harness: please report it with {log}",
        )

    def _fail(self, case: Case, failure: Failure) -> None:
        self._record(case, failure)
        self.listener.failed(case.id, failure)

    def _record(self, case: Case, failure: Failure) -> None:
        self.failures[case] = failure
        self.folder.append_failure(case.id, failure)

    def _prepare(self, target: Target) -> None:
        """Copy each artifact to the device once. If that fails, only its own cases fail."""
        for variant in dict.fromkeys(case.variant for case in self._active()):
            try:
                target.prepare(self.artifacts[variant], self.inputs[variant])
            except MeasurementError as error:
                if error.transient:
                    raise
                for case in [c for c in self._active() if c.variant == variant]:
                    self._fail(case, _failure(error))

    def _rounds(self, target: Target) -> StopReason:
        began = time.monotonic_ns()
        saved = [*self.unusable.values(), *(x for done in self.launches.values() for x in done)]
        last_saved = max((x.index for x in saved), default=0)
        order = 1 + max((x.order for x in saved), default=-1)
        index = 0
        while True:
            if self.attendant.stopping.is_set():
                return "interrupted"
            active = self._active()
            # What `enough` asks is asked of all cases.
            if not active or (self.enough is not None and len(active) < len(self.cases)):
                return "failed"
            if not self._made_again(active) and (reason := self._finished(active)):
                return reason
            due = [
                case
                for case in planning.round_order(self.plan, self.name, index)
                if case not in self.failures and self._due(case, index, last_saved)
            ]
            if self.abreast > 1:
                self._launch_abreast(target, due, index, order)
                order += len(due)
                index += 1
                continue
            for case in due:
                if self.attendant.stopping.is_set():
                    return "interrupted"
                elapsed_ns = self.elapsed_before_ns + time.monotonic_ns() - began
                if self._out_of_time(elapsed_ns):
                    return "time_budget"
                self.listener.launching(case, index, self._left_s(elapsed_ns))
                order += self._launch(target, case, index, order)
            index += 1

    def _finished(self, active: list[Case]) -> StopReason | None:
        reason = planning.finished(
            self.plan,
            {case: len(self.launches[case]) for case in active},
            {case: self.half_widths[case] for case in active},
        )
        if reason is None and self.enough is not None and self.enough(self.launches):
            return "decided"
        return reason

    def _made_again(self, active: list[Case]) -> bool:
        """Whether unusable launches must still be repeated."""
        return any(case in active for case, _ in self.unusable)

    def _due(self, case: Case, index: int, last_saved: int) -> bool:
        """Whether this round launches the case. Rounds that an earlier session went through are
        only completed where every case has its launch in them."""
        if (case, index) in self.unusable:
            return True
        done = self.launches[case]
        if any(launch.index == index for launch in done):
            return False
        if index < last_saved and self.plan.launches is None and index >= self.plan.min_launches:
            return False
        return planning.wanted(self.plan, case, len(done), self.half_widths[case], index)

    def _launch(self, target: Target, case: Case, index: int, order: int) -> int:
        """Launch and save; returns the number of launches saved (0 when the case failed)."""
        artifact: Artifact = self.artifacts[case.variant]
        try:
            launch = target.launch(case, artifact, self.plan.timing, index)
        except TransientDeviceError:
            raise  # the device is gone; do not let each of its cases wait to find that out
        except MeasurementError as error:
            self._fail(case, _failure(error))
            return 0
        launch = msgspec.structs.replace(launch, order=order)
        if former := self.unusable.pop((case, index), None):
            launch = _in_place_of(former, launch)
        self.folder.append(Entry(launch=launch))
        self.launches[case].append(launch)
        self.half_widths[case] = self._half_width(case)
        self.listener.saved(case, launch)
        return 1

    def _launch_abreast(self, target: Target, due: list[Case], index: int, order: int) -> None:
        """All launches of a round, `abreast` at a time; Ctrl-C ends those that are running."""

        def launch(place: int, case: Case) -> None:
            self.attendant.check()
            self.listener.launching(case, index, self._left_s(0))
            self._launch(target, case, index, order + place)

        with ThreadPoolExecutor(self.abreast) as pool:
            futures = [pool.submit(launch, i, case) for i, case in enumerate(due)]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self.attendant.stopping.set()
                raise

    def _half_width(self, case: Case) -> float | None:
        estimate = median_interval(launch_medians(self.launches[case]))
        return None if estimate is None else estimate.half_width

    def _out_of_time(self, elapsed_ns: int) -> bool:
        """Whether the time budget is spent. The least number of launches is made in any case."""
        if self.plan.time_budget_s is None or self.plan.launches is not None:
            return False
        if self._made_again(self._active()):
            return False
        least = planning.least(self.plan, self.name)
        if any(len(self.launches[c]) < least for c in self._active()):
            return False
        return elapsed_ns > self.plan.time_budget_s * 1e9

    def _left_s(self, elapsed_ns: int) -> float | None:
        """Seconds that the launches still due will take; None before the first launch."""
        times = [x.wall_ns for done in self.launches.values() for x in done]
        if not times:
            return None
        least = planning.least(self.plan, self.name)
        mean = sum(times) / len(times)
        left_ns = 0.0
        for case in self._active():
            own = [x.wall_ns for x in self.launches[case]]
            left_ns += max(0, least - len(own)) * (sum(own) / len(own) if own else mean)
        if left_ns == 0 and self.plan.time_budget_s is not None:
            left_ns = max(0.0, self.plan.time_budget_s * 1e9 - elapsed_ns)
        return left_ns / 1e9 / self.abreast


def _in_place_of(former: Launch, launch: Launch) -> Launch:
    """`launch` with the former one set aside, below one that it has set aside itself."""
    own = launch.set_aside
    aside = former if own is None else msgspec.structs.replace(own, set_aside=former)
    return msgspec.structs.replace(launch, notes=(*launch.notes, _MADE_AGAIN), set_aside=aside)


_MADE_AGAIN = Finding(
    level="info",
    code="made-again",
    message="a launch that could not be used was made again when the run was resumed",
)


def _failure(error: HarnessError) -> Failure:
    causes.tell(error)
    if isinstance(error, MeasurementError):
        return error.failure
    if isinstance(error, StorageError):
        return Failure(stage=SAVING, transient=True, message=error.message, fix=error.fix)
    # This is not the phone's fault: it will fail again until devices.yaml or the command is
    # changed.
    return Failure(stage=CONFIGURATION, transient=False, message=error.message, fix=error.fix)
