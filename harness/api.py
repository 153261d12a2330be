"""The harness from Python: what the commands do, returning values instead of printing.

    from harness.api import bench, load
    report = bench("scratch", "my_model.tflite", launches=7)
    report.frame()[["variant", "latency_ns", "size_bytes"]]

Errors are `harness.core.errors.HarnessError`, one line with the mend.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from harness.analysis import gate
from harness.analysis.compare import compare as _compare
from harness.core.errors import BuildError
from harness.core.types import Artifact, Comparison, Report
from harness.measure import session
from harness.project import config
from harness.project.preflight import labelled, resolve
from harness.project.request import Request
from harness.results import load as saved
from harness.system import files
from harness.system.progress import Narrator

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

__all__ = ["LoadedReport", "Report", "bench", "build", "compare", "load"]


class LoadedReport(Report, frozen=True):
    """A Report with its pandas views; units stand in the column names."""

    def frame(self) -> pd.DataFrame:
        """One row per case: `latency_ns`, `latency_ci_low_ns`, `size_bytes`, ..."""
        from harness.renderers import frames

        return frames.frame(self)

    def launches(self) -> pd.DataFrame:
        """One row per launch: `order`, `latency_median_ns`, `peak_rss_bytes`, ..."""
        from harness.renderers import frames

        return frames.launches(self)

    def observations(self) -> pd.DataFrame:
        """One row per iteration: `launch`, `iteration`, `latency_ns` or `warmup_ns`."""
        from harness.renderers import frames

        return frames.observations(self)


def load(run: str | Path, out: Path = Path("reports")) -> LoadedReport:
    """A saved run: a folder, a report file, a run id in `out`, or "latest"."""
    return _framed(saved.read(str(run), out))


def bench(
    *what: str,
    devices: Sequence[str] = ("host",),
    runtimes: Sequence[str] | None = None,
    delegates: Sequence[str] | None = None,
    threads: Sequence[int] | None = None,
    launches: int | None = None,
    iterations: int | None = None,
    target_ci: float = 0.03,
    time_budget_s: float | None = None,
    quick: bool = False,
    cadence_s: float | None = None,
    sustained_s: float | None = None,
    profile: bool = False,
    parity: bool = False,
    seed: int = 0,
    data: str | Path | None = None,
    untrained: bool = False,
    weights: str = "auto",
    signature: str | None = None,
    budget: str | None = None,
    project: Path | None = None,
    out: Path = Path("reports"),
) -> LoadedReport:
    """Build what is missing, measure, save a run folder in `out`. Progress goes to stderr.

    What is left out is as on the command line: variants are trained on the demo images unless
    `data` names a folder or they stay `untrained`. Whether a `budget` is kept is in the report's
    `verdict`."""
    request = Request(
        what=what,
        devices=tuple(devices),
        runtimes=_tuple(runtimes),
        delegates=_tuple(delegates),
        threads=_tuple(threads),
        launches=launches,
        iterations=iterations,
        target_ci=target_ci,
        time_budget_s=time_budget_s,
        quick=quick,
        cadence_s=cadence_s,
        sustained_s=sustained_s,
        profile=profile,
        parity=parity,
        seed=seed,
        data=None if data is None else str(data),
        untrained=untrained,
        weights=weights,
        signature=signature,
        budget=budget,
        project=project,
        out=out,
    )
    with Narrator() as narrator:
        job = resolve(request, narrator.looking, narrator.attendant)
        folder, inputs = session.start(job, narrator)
        return _framed(session.finish(folder, job.devices, inputs, narrator))


def build(
    *names: str,
    data: str | Path | None = None,
    untrained: bool = False,
    weights: str = "auto",
    seed: int = 0,
    project: Path | None = None,
) -> dict[str, Artifact]:
    """The artifacts of variants by name or glob, from the cache or built, trained on the demo
    images unless `data` names a folder or they stay `untrained`. Raises BuildError for the first
    that cannot be built."""
    from harness.artifacts import builder

    opened = config.load_project(project, weights)
    with Narrator() as narrator:
        chosen = None if data is None else str(data)
        built = builder.build(
            opened.select(names or ["*"]),
            opened.variants,
            models_dir=opened.models_dir,
            cache_dir=files.cache_dir(),
            data=labelled(chosen, untrained=untrained, seed=seed, looking=narrator.looking),
            seed=seed,
            progress=narrator.building,
        )
    for name, failure in built.failures.items():
        raise BuildError(f"{name}: {failure.message}", failure.mend)
    return built.artifacts


def compare(
    baseline: Report, candidate: Report, *, max_regression: float | None = None
) -> Comparison:
    """Every gated metric that both have: ratio, interval, outcome. Without `max_regression` 5 % are
    allowed, or what an exact metric has of its own."""
    return _compare(baseline, candidate, specs=gate.specs(), max_regression=max_regression)


def _framed(report: Report) -> LoadedReport:
    return LoadedReport(**{name: getattr(report, name) for name in msgspec.structs.asdict(report)})


def _tuple(values: Sequence[T] | None) -> tuple[T, ...] | None:
    return None if values is None else tuple(values)
