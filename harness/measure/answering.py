"""Test images answered by a device itself, case by case, each part saved as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

from harness.analysis.on_device import joined, output_bytes
from harness.core import units
from harness.core.attendant import Attendant
from harness.core.errors import MeasurementError
from harness.core.text import count
from harness.core.types import Artifact, Case, DeviceAnswers, DeviceImages, Failure, Launch
from harness.devices import AnsweringTarget, Examples
from harness.results.store import Entry, RunFolder
from harness.system import causes

EACH_NS = 300_000_000  # what an image costs beside the model's own init and inference, at first


class Answers:
    """Asks one device. `launches` say how long an inference takes, before the first answer is
    there."""

    def __init__(
        self,
        folder: RunFolder,
        images: DeviceImages,
        artifacts: Mapping[str, Artifact],
        launches: Mapping[Case, Sequence[Launch]],
        attendant: Attendant,
    ) -> None:
        self._folder, self._images, self._artifacts = folder, images, artifacts
        self._launches, self._attendant = launches, attendant

    def ask(self, target: AnsweringTarget, cases: Iterable[Case]) -> list[tuple[Case, Failure]]:
        """Let each case answer what it has not answered yet. Returns the cases that could not, with
        the reason. Raises KeyboardInterrupt, and the MeasurementError of a device that is gone."""
        due = {case: done for case in cases if (done := self._done(case)) < len(self._images.rows)}
        self._announce(due)
        failed = []
        for place, (case, done) in enumerate(due.items(), 1):
            try:
                self._answer(target, case, done, f"{place} of {len(due)}")
            except MeasurementError as error:
                causes.tell(error)
                failure = error.failure
                self._folder.append(Entry(answers=DeviceAnswers(case=case.id, failure=failure)))
                failed.append((case, failure))
                if error.transient:
                    raise
        return failed

    def _done(self, case: Case) -> int:
        """How many images the case has answered in this run or before; all of them if it has failed
        for good."""
        if case.variant not in self._images.files:
            return len(self._images.rows)
        raw, failure = joined(self._folder.saved.answers.get(case.id, ()))
        if failure is not None and not failure.transient:
            return len(self._images.rows)
        return len(raw) // output_bytes(self._artifacts[case.variant])

    def _answer(self, target: AnsweringTarget, case: Case, done: int, place: str) -> None:
        artifact, wanted = self._artifacts[case.variant], len(self._images.rows)
        examples = Examples(
            Path(self._images.files[case.variant]), self._images.sizes[case.variant], wanted, done
        )
        each, first, began = output_bytes(artifact), done, time.monotonic_ns()
        while done < wanted:
            self._attendant.check()
            spent = time.monotonic_ns() - began
            pace = spent / (done - first) if done > first else self._expected_ns(case)
            left = units.duration(pace * (wanted - done))
            self._attendant.show(
                f"accuracy of {case.variant} on {case.delegate} ({place}): {done} of {wanted} test "
                f"images, about {left} left"
            )
            raw = target.answer(case, artifact, examples, done)
            self._folder.append(Entry(answers=DeviceAnswers(case=case.id, first=done, raw=raw)))
            done += len(raw) // each

    def _announce(self, due: Mapping[Case, int]) -> None:
        if not due:
            return
        wanted = len(self._images.rows)
        sizes = {self._images.files[c.variant]: self._images.sizes[c.variant] for c in due}
        takes = sum(self._expected_ns(c) * (wanted - done) for c, done in due.items())
        self._attendant.say(
            f"accuracy on the device: {count(wanted, 'test image')}, {count(len(due), 'case')}, "
            f"{units.file_size(sum(sizes.values()) * wanted)} to push, about "
            f"{units.duration(takes)}"
        )

    def _expected_ns(self, case: Case) -> float:
        """The time for one image: a process that loads the model and runs it once."""
        known = [
            launch.init_ns + launch.first_inference_ns
            for launch in self._launches.get(case, ())
            if launch.init_ns is not None and launch.first_inference_ns is not None
        ]
        return EACH_NS + (median(known) if known else 0)
