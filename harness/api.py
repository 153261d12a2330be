"""The harness from Python: what the commands do, returning values instead of printing.

    from harness.api import bench, load
    report = bench("scratch", "my_model.tflite", launches=7)
    report.frame()[["variant", "latency_ns", "size_bytes"]]

Errors are `harness.core.errors.HarnessError`, one line that says how to fix it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec

from harness.analysis import gate
from harness.analysis.compare import compare as _compare
from harness.core.choices import AccuracyOn, Prefer
from harness.core.errors import BuildError, UsageError
from harness.core.text import did_you_mean
from harness.core.types import Artifact, CaseReport, Comparison, Report, Verdict
from harness.measure import lab_engine, session
from harness.project import config
from harness.project.preflight import labelled, resolve
from harness.project.request import Request
from harness.results import load as saved
from harness.system.cache_use import cache_in_use
from harness.system.progress import Narrator

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from typing_extensions import Unpack

    from harness.core.search import SearchReport

__all__ = ["LoadedReport", "Report", "bench", "build", "compare", "load", "search"]


# How a notebook shows the parts of a report. The types in core do not know about rendering, so the
# parts of a LoadedReport get these types instead.


class _Case(CaseReport, frozen=True):
    def _repr_html_(self) -> str:
        from harness.renderers import notebook

        return notebook.case_html(self)


class _Verdict(Verdict, frozen=True):
    def _repr_html_(self) -> str:
        from harness.renderers import notebook

        return notebook.verdict_html(self)


class _Comparison(Comparison, frozen=True):
    def _repr_html_(self) -> str:
        from harness.renderers import notebook

        return notebook.comparison_html(self)


class LoadedReport(Report, frozen=True):
    """A Report with its pandas views and charts. Units are in the column names."""

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

    def long(self) -> pd.DataFrame:
        """Every observed value of any kind, one per row: `quantity`, `value`, `unit`, ..."""
        from harness.renderers import frames

        return frames.long(self)

    def plot(self, chart: str | None = None) -> Figure:
        """A chart as a matplotlib figure. `chart` is the name of its file under `--plots`, such as
        "memory"; None means the first chart. Raises UsageError if there is no such chart, or
        nothing to draw."""
        from harness.renderers import notebook
        from harness.renderers.view import View

        return notebook.figure(View(self), chart)

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, what was compared, one row per case."""
        from harness.renderers import notebook
        from harness.renderers.view import View

        return notebook.report_html(View(self))


def load(run: str | Path, out: Path = Path("reports")) -> LoadedReport:
    """A saved run: a folder, a report file, a run id in `out`, or "latest"."""
    return _framed(saved.read(str(run), out))


class BenchOptions(TypedDict, total=False):
    """The options of `bench`, for type checkers; their defaults are those of Request."""

    devices: Sequence[str]
    runtimes: Sequence[str] | None
    delegates: Sequence[str] | None
    threads: Sequence[int] | None
    affinity: Sequence[str] | None
    launches: int | None
    iterations: int | None
    target_ci: float
    time_budget_s: float | None
    quick: bool
    cadence_s: float | None
    sustained_s: float | None
    wait_s: float | None
    profile: bool
    parity: bool
    starts: Sequence[str]
    accuracy: AccuracyOn | None
    accuracy_images: int | None
    seed: int
    data: str | Path | None
    split: str | None
    pixels: str | None
    labels: str | Path | None
    untrained: bool
    recipes: Sequence[str]
    weights: str
    signature: str | None
    budget: str | None
    max_accuracy_loss: float | None
    protect: str | None
    prefer: Prefer | None
    lab: str | None
    lab_keys: str | Path | None
    project: str | Path | None
    out: str | Path


def bench(*what: str, **options: Unpack[BenchOptions]) -> LoadedReport:
    """Build what is missing, measure, and save a run folder in `out`. Progress goes to stderr.

    Defaults are those of the command line: variants are trained on the demo images, unless `data`
    names a folder or `untrained` is true. The report's `verdict` says whether a `budget` is kept.
    Raises HarnessError. After Ctrl-C it saves the report of what was measured, and then raises
    KeyboardInterrupt.
    """
    request = _request(what, options)
    with (
        Narrator() as narrator,
        lab_engine.opened(request.lab, request.lab_keys, request.project, narrator.say) as engine,
    ):
        hosts = None if engine is None else engine.where()
        job = resolve(request, narrator.looking, narrator.attendant, hosts)
        run = session.bench(job, narrator, engine=engine)
    if run.report.stopped is not None and run.report.stopped.reason == "interrupted":
        # Without this, Ctrl-C could not stop a loop over `bench`.
        raise KeyboardInterrupt(f"what was measured is saved in {run.folder}")
    return _framed(run.report)


def _request(what: tuple[str, ...], options: BenchOptions) -> Request:
    known = BenchOptions.__annotations__
    for name in options:
        if name not in known:
            raise TypeError(f"bench() has no option {name!r}; {did_you_mean(name, known)}")
    return Request(what=what, **{name: _field(name, value) for name, value in options.items()})


def _field(name: str, value: Any) -> Any:
    """The value of an option in the type that Request has."""
    if value is None:
        return None
    kind = Request.__annotations__[name].__forward_arg__
    if kind.startswith("tuple"):
        if isinstance(value, str | int):
            raise TypeError(f"{name} is a list, such as [{value!r}]")
        return tuple(value)
    if kind.startswith("Path"):
        return _path(name, value)
    return str(value) if isinstance(value, Path) else value


def _path(name: str, value: str | Path) -> Path:
    if value == "":  # as a path it would mean the current folder
        raise UsageError(f"{name} is empty", "leave it out, or name a file or folder")
    return Path(value)


def _signature() -> inspect.Signature:
    """The signature that help() shows for `bench`: the options with the defaults of Request."""
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=Request._field_defaults[name],
            annotation=getattr(kind, "__forward_arg__", kind),
        )
        for name, kind in BenchOptions.__annotations__.items()
    ]
    what = inspect.Parameter("what", inspect.Parameter.VAR_POSITIONAL, annotation="str")
    return inspect.Signature([what, *options], return_annotation="LoadedReport")


bench.__signature__ = _signature()  # type: ignore[attr-defined]


def build(
    *names: str,
    data: str | Path | None = None,
    untrained: bool = False,
    weights: str = "auto",
    seed: int = 0,
    project: Path | None = None,
    lab: str | None = None,
    lab_keys: Path | None = None,
) -> dict[str, Artifact]:
    """The artifacts of variants, given by name or glob: from the cache, or built. They are trained
    on the demo images, unless `data` names a folder or `untrained` is true. With `lab`, an
    address or "" for that of devices.yaml, its hosts build. Raises BuildError for the first that
    cannot be built."""
    from harness.artifacts import builder
    from harness.measure.lab_build import LabBuild

    opened = config.load_project(project, weights)
    with (
        Narrator() as narrator,
        lab_engine.opened(lab, lab_keys, project, narrator.say) as engine,
    ):
        chosen = None if data is None else str(data)
        built = builder.build(
            opened.select(names or ["*"]),
            opened.variants,
            models_dir=opened.models_dir,
            cache_dir=cache_in_use(),
            data=labelled(chosen, untrained=untrained, seed=seed, looking=narrator.looking),
            seed=seed,
            progress=narrator.building,
            elsewhere=LabBuild(engine, narrator.say, or_here=False) if engine else None,
        )
    for name, failure in built.failures.items():
        raise BuildError(f"{name}: {failure.message}", failure.fix)
    return built.artifacts


def search(
    *models: str,
    budget: str | None = None,
    against: Sequence[str] = (),
    devices: Sequence[str] = ("host",),
    data: str | Path | None = None,
    split: str | None = None,
    max_accuracy_loss: float | None = None,
    prefer: Prefer = "size",
    trials: int | None = None,
    time_budget_s: float | None = None,
    finalists: int = 3,
    workers: int = 1,
    seed: int = 0,
    weights: str = "auto",
    project: str | Path | None = None,
    out: str | Path = "reports",
) -> SearchReport:
    """Search entries of `search:` in models/variants.yaml for the smallest model that keeps the
    budget; see the command of that name. The report has all trials, the front, and the verdict on
    the finalists. Raises HarnessError, and KeyboardInterrupt after Ctrl-C, when what was tried is
    saved."""
    from harness.core.search import SearchRequest
    from harness.search import session as searching

    for name, given in (("against", against), ("devices", devices)):
        if isinstance(given, str):
            raise TypeError(f"{name} is a list, such as [{given!r}]")
    asked = SearchRequest(
        spaces=models,
        against=tuple(against),
        devices=tuple(devices),
        budget=budget,
        data=None if data is None else str(data),
        split=split,
        max_accuracy_loss=max_accuracy_loss,
        prefer=prefer,
        trials=trials,
        time_budget_s=time_budget_s,
        finalists=finalists,
        workers=workers,
        seed=seed,
        weights=weights,
        project="" if project is None else str(_path("project", project).absolute()),
    )
    with Narrator() as narrator:
        saved = searching.begin(asked, narrator, out=_path("out", out))
    if saved.report.stopped == "interrupted":
        raise KeyboardInterrupt(f"what was tried is saved in {saved.folder}")
    return saved.report


def compare(
    baseline: Report, candidate: Report, *, max_regression: float | None = None
) -> Comparison:
    """Compare every gated metric that both reports have: ratio, interval, outcome. `max_regression`
    is the allowed regression as a share; None allows 5 %, or an exact metric's own threshold."""
    found = _compare(baseline, candidate, specs=gate.specs(), max_regression=max_regression)
    return _Comparison(**_fields(found))


def _framed(report: Report) -> LoadedReport:
    fields = _fields(report)
    fields["cases"] = tuple(_Case(**_fields(case)) for case in report.cases)
    if report.verdict is not None:
        fields["verdict"] = _Verdict(**_fields(report.verdict))
    if report.comparison is not None:
        fields["comparison"] = _Comparison(**_fields(report.comparison))
    return LoadedReport(**fields)


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}
