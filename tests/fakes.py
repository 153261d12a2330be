"""Fakes behind the real interfaces: a target whose launches take a given time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.core.attendant import Attendant
from harness.core.errors import MeasurementError
from harness.core.specs import DeviceSpec
from harness.core.types import (
    SCHEMA_VERSION,
    Artifact,
    Case,
    DeviceFacts,
    Failure,
    Launch,
    Plan,
    Report,
    Timing,
    Tool,
)

LaunchTimes = Callable[[Case, int], Sequence[int]]


class FakeTarget:
    """Launches that observe the latencies `times(case, index)` gives, or raise what it raises."""

    def __init__(self, name: str, times: LaunchTimes) -> None:
        self.name = name
        self.times = times
        self.prepared: list[str] = []
        self.launched: list[tuple[str, int]] = []
        self.closed = 0

    def facts(self) -> DeviceFacts:
        return DeviceFacts(name=self.name, kind="host", identity="fake", cores=2)

    def prepare(self, artifact: Artifact, inputs: Path) -> None:
        self.prepared.append(artifact.variant)

    def launch(self, case: Case, artifact: Artifact, timing: Timing, index: int) -> Launch:
        self.launched.append((case.id, index))
        return Launch(
            case=case.id,
            index=index,
            order=0,
            started_at="2026-01-01T00:00:00+00:00",
            wall_ns=1_000_000,
            init_ns=1_000,
            first_inference_ns=2_000,
            warmup_ns=(1_500,),
            latency_ns=tuple(self.times(case, index)),
            peak_rss_bytes=2**20,
        )

    def close(self) -> None:
        self.closed += 1

    def opener(
        self, name: str, spec: DeviceSpec, log_dir: Path, attendant: Attendant
    ) -> FakeTarget:
        return self


class Crash(MeasurementError):
    """A launch that fails the way a worker does."""

    def __init__(self, *, transient: bool = False) -> None:
        super().__init__("iterations", "the worker crashed", "look at the log")
        self.transient = transient


CRASH = Failure(
    stage="iterations", transient=False, message="the worker crashed", fix="look at the log"
)


def artifact(variant: str, **fields: object) -> Artifact:
    base: dict[str, object] = {
        "path": f"/nowhere/{variant}.tflite",
        "sha256": variant.ljust(64, "0"),
        "size_bytes": 1_000_000,
        "gzip_bytes": 500_000,
    }
    return Artifact(variant=variant, **{**base, **fields})  # type: ignore[arg-type]


def header(plan: Plan, run_id: str = "20260101-000000-abcd") -> Report:
    """The header of a run of `plan`, with an artifact for each of its variants."""
    variants = dict.fromkeys(case.variant for case in plan.cases)
    return Report(
        schema_version=SCHEMA_VERSION,
        tool=Tool(name="mobile-bench-harness", version="0.0"),
        run_id=run_id,
        started_at="2026-01-01T00:00:00+00:00",
        host={},
        plan=plan,
        artifacts=tuple(artifact(v) for v in variants),
    )


def case(variant: str, device: str = "host", threads: int = 1) -> Case:
    return Case(variant=variant, device=device, runtime="litert", threads=threads)
