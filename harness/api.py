"""The harness from Python: what the commands do, returning values instead of printing.

    from harness.api import bench, load
    report = bench("scratch", "my_model.tflite", launches=7)
    report.frame()[["variant", "latency_ns", "size_bytes"]]

Errors are `harness.core.errors.HarnessError`, one line with the mend.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness import config, files, gate, session, store
from harness.core.compare import compare as _compare
from harness.core.errors import BuildError
from harness.core.types import Artifact, Comparison, Report
from harness.progress import Narrator
from harness.request import Request, resolve

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LoadedReport", "Report", "bench", "build", "compare", "load"]


class LoadedReport(Report, frozen=True):
    """A Report with its pandas views; units stand in the column names."""

    def frame(self) -> pd.DataFrame:
        """One row per case: `latency_ns`, `latency_ci_low_ns`, `size_bytes`, ..."""
        from harness import frames

        return frames.frame(self)

    def launches(self) -> pd.DataFrame:
        """One row per launch: `order`, `latency_median_ns`, `peak_rss_bytes`, ..."""
        from harness import frames

        return frames.launches(self)

    def observations(self) -> pd.DataFrame:
        """One row per iteration: `launch`, `iteration`, `latency_ns` or `warmup_ns`."""
        from harness import frames

        return frames.observations(self)


def load(run: str | Path, out: Path = Path("reports")) -> LoadedReport:
    """A saved run: a folder, a report file, a run id in `out`, or "latest"."""
    return _framed(store.read_report(store.find(str(run), out)))


def bench(
    *what: str,
    devices: Sequence[str] = ("host",),
    threads: Sequence[int] | None = None,
    launches: int | None = None,
    quick: bool = False,
    seed: int = 0,
    project: Path | None = None,
    out: Path = Path("reports"),
) -> LoadedReport:
    """Build what is missing, measure, save a run folder in `out`. Progress goes to stderr."""
    request = Request(
        what=what,
        devices=tuple(devices),
        threads=None if threads is None else tuple(threads),
        launches=launches,
        quick=quick,
        seed=seed,
        project=project,
        out=out,
    )
    job = resolve(request)
    with Narrator() as narrator:
        folder, inputs = session.start(job, narrator)
        return _framed(session.finish(folder, job.devices, inputs, narrator))


def build(*names: str, seed: int = 0, project: Path | None = None) -> dict[str, Artifact]:
    """The artifacts of variants by name or glob, from the cache or built; raises BuildError for
    the first that cannot be."""
    from harness.build import builder, representative

    opened = config.load_project(project)
    built = builder.build(
        opened.select(names or ["*"]),
        opened.variants,
        models_dir=opened.models_dir,
        cache_dir=files.cache_dir(),
        representative=representative.demo(seed=seed),
        seed=seed,
    )
    for name, failure in built.failures.items():
        raise BuildError(f"{name}: {failure.message}", failure.mend)
    return built.artifacts


def compare(baseline: Report, candidate: Report, *, max_regression: float = 0.05) -> Comparison:
    """Every gated metric that both have: ratio, interval, outcome."""
    return _compare(baseline, candidate, specs=gate.specs(), max_regression=max_regression)


def _framed(report: Report) -> LoadedReport:
    return LoadedReport(**{name: getattr(report, name) for name in msgspec.structs.asdict(report)})
