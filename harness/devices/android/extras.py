"""What is observed of a case besides its timed launches: memory, a profile, answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.core.attendant import Attendant
from harness.core.errors import MeasurementError
from harness.core.types import Artifact, Case, Finding, OpTime, Outputs, Timing
from harness.devices.android.memory_poll import Memory
from harness.devices.android.starting import CachedStarts
from harness.devices.android.tool import PhoneTool
from harness.devices.host import target as host
from harness.stats.summaries import MIN_LAUNCHES

CACHED_FIELDS = ("init_cached_ns", "first_inference_cached_ns")
MEMORY_FIELDS = ("peak_rss_bytes", "pss_bytes")
MEMORY_ROUNDS = MIN_LAUNCHES  # of these rounds there is an interval, and budgets can be decided
NO_MEMORY = f"observed in the first {MEMORY_ROUNDS} rounds only"

T = TypeVar("T")


@dataclass
class Extras:
    """What a round observes besides. `absent` maps a field to the reason."""

    peak_rss_bytes: int | None = None
    pss_bytes: int | None = None
    op_times: tuple[OpTime, ...] = ()
    outputs: Outputs | None = None
    reference: Outputs | None = None
    init_cached_ns: int | None = None
    first_inference_cached_ns: int | None = None
    absent: dict[str, str] = field(default_factory=dict)
    notes: tuple[Finding, ...] = ()


class Observer:
    """Observes one thing after the other, each in launches of its own. If one cannot be observed,
    the others and the finished launch are kept; so Ctrl-C takes effect only at the next launch.

    `carry_out` does what it is given with the model in place, and once more if the phone goes away.
    """

    def __init__(
        self,
        tool: PhoneTool,
        attendant: Attendant,
        carry_out: Callable[[Callable[[], object]], object],
        *,
        log: Path,
        timeout_s: float,
    ) -> None:
        self._tool, self._attendant, self._carry_out = tool, attendant, carry_out
        self._log, self._timeout_s = log, timeout_s

    def memory(self, case: Case, artifact: Artifact) -> Extras:
        """Peak RSS and PSS, each with the reason if it could not be observed."""
        extras = Extras()
        memory = self._attempt(extras, lambda: self._tool.memory(case, artifact), *MEMORY_FIELDS)
        if isinstance(memory, Memory):
            extras.peak_rss_bytes, extras.pss_bytes, why, doubt = memory
            extras.notes = (*extras.notes, *([doubt] if doubt else []))
            missing = (name for name in MEMORY_FIELDS if getattr(extras, name) is None)
            extras.absent |= dict.fromkeys(missing, why)
        return extras

    def observe(
        self, extras: Extras, case: Case, artifact: Artifact, timing: Timing, inputs: Path
    ) -> None:
        """Add to `extras` a profile and the answers to an input set, if `timing` asks for them."""
        if timing.profile:
            said = Finding(
                level="warning", code="no-op-profile", message="there is no profile by operator"
            )
            ops = self._attempt(
                extras, lambda: self._tool.profile(case, artifact), "op_times", doubt=said
            )
            extras.op_times = ops or ()
        if timing.parity:
            said = Finding(
                level="warning",
                code="not-compared-with-host",
                message="the answers were not compared with the host's",
            )
            pair = self._attempt(
                extras, lambda: self._answers(case, artifact, inputs), "reference", doubt=said
            )
            extras.outputs, extras.reference = pair or (None, None)

    def start_cached(self, extras: Extras, starts: CachedStarts, case: Case, art: Artifact) -> None:
        """Add a start with caches to what was observed, or why there is none."""
        said = Finding(level="warning", code="cache-not-used", message="there is no cached start")
        found = self._attempt(extras, lambda: starts.measure(case, art), *CACHED_FIELDS, doubt=said)
        if found is not None:
            extras.init_cached_ns, extras.first_inference_cached_ns, notes = found
            extras.notes = (*extras.notes, *notes)

    def _attempt(
        self,
        extras: Extras,
        work: Callable[[], T],
        *fields: str,
        doubt: Finding | None = None,
    ) -> T | None:
        """The result of `work`; or None, with the reason in `extras` and appended to `doubt`."""
        found: list[T] = []
        fix = ""
        try:
            self._attendant.check()
            self._carry_out(lambda: found.append(work()))
            return found[0]
        except MeasurementError as error:
            why, fix = error.message, error.fix
        except KeyboardInterrupt:
            self._attendant.stopping.set()
            why = "interrupted"
        extras.absent |= dict.fromkeys(fields, why)
        if doubt is not None:
            told = msgspec.structs.replace(doubt, message=f"{doubt.message}: {why}", fix=fix)
            extras.notes = (*extras.notes, told)
        return None

    def _answers(self, case: Case, artifact: Artifact, inputs: Path) -> tuple[Outputs, Outputs]:
        """The phone's and the host's, to the same inputs."""
        outputs = self._tool.answers(case, artifact, inputs)
        answers = host.answers(
            artifact,
            inputs,
            log=self._log,
            timeout_s=self._timeout_s,
            attendant=self._attendant,
        )
        return outputs, msgspec.structs.replace(answers, input_source=outputs.input_source)
