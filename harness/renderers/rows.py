"""A report as plain tables: columns by name, units in the names, one value per row.

CSV, Parquet and the data frames are all made from these, so their numbers cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from harness.analysis.noise import noise_of
from harness.core.types import CaseReport, Launch, Measurement, Report
from harness.renderers import metrics

Columns = dict[str, list[Any]]
Kind = Literal["text", "truth", "whole", "real"]

_TEXTS = frozenset(
    {"run_id", "variant", "device", "runtime", "delegate", "affinity", "status", "model", "recipe",
     "sha256", "findings", "failure", "started_at"}
)  # fmt: skip
_TRUTHS = frozenset({"emulated", "trained"})
_WHOLE = frozenset({"threads", "launches", "parameters", "macs", "latency_outliers"})

# How a unit is written at the end of a column's name; pure numbers have no suffix.
_SUFFIX = {"ns": "_ns", "bytes": "_bytes", "1": "", "count": ""}

_STATISTICS = ("ci_low", "ci_high", "min", "p50", "p90", "p95", "p99", "mean", "std")

_LAUNCH_SCALARS = (
    "wall_ns",
    "init_ns",
    "first_inference_ns",
    "init_cached_ns",
    "first_inference_cached_ns",
    "rss_before_load_bytes",
    "rss_after_load_bytes",
    "rss_warm_bytes",
    "rss_end_bytes",
    "peak_rss_bytes",
    "rss_anon_bytes",
    "rss_file_bytes",
    "pss_bytes",
    "arena_bytes",
    "clock_resolution_ns",
)
_REAL_CONDITIONS = ("load_average", "other_cpu_share", "temperature_c")
_TRUE_CONDITIONS = ("on_battery", "screen_on")
_CONDITIONS = (
    *_REAL_CONDITIONS,
    "thermal_status",
    "battery_percent",
    *_TRUE_CONDITIONS,
    "governor",
)

# For the long form: a field of Conditions -> its quantity and unit. Where each core has a value,
# `iteration` is the core; true is 1. The governor is a word: it is in `launches`.
_OBSERVED_CONDITIONS = {
    "load_average": ("load_average", "1"),
    "other_cpu_share": ("other_cpu_share", "1"),
    "frequency_khz": ("frequency", "kHz"),
    "limit_khz": ("limit", "kHz"),
    "temperature_c": ("temperature", "C"),
    "thermal_status": ("thermal_status", "1"),
    "battery_percent": ("battery", "%"),
    "on_battery": ("on_battery", "1"),
    "screen_on": ("screen_on", "1"),
}
_SUMMARY = ("median_ns", "mean_ns", "min_ns", "max_ns", "std_ns", "p5_ns", "p95_ns", "count")


def case_kind(column: str) -> Kind:
    """What stands in a column of `cases`, whatever happens to be absent."""
    if column in _TEXTS or column.endswith("_outcome"):
        return "text"
    if column in _TRUTHS:
        return "truth"
    return "whole" if column in _WHOLE or column.endswith("_n") else "real"


def launch_kind(column: str) -> Kind:
    """What stands in a column of `launches`; what a process counts is whole."""
    if column in _TEXTS or column.startswith("governor") or column == "outlier":
        return "text"
    if column in _TRUTHS or column.startswith(_TRUE_CONDITIONS):
        return "truth"
    real = column == "latency_median_ns" or column.startswith(_REAL_CONDITIONS)
    return "real" if real else "whole"


def cases(report: Report) -> Columns:
    """One row per case: what it is, its status, and of each metric the point (`latency_ns`),
    every statistic that any case has (`latency_ci_low_ns`, `latency_p90_ns`), the level and the
    number of observations (`latency_confidence`, `latency_n`). Absent values are None."""
    artifacts = {a.variant: a for a in report.artifacts}
    columns = keys(report, report.cases)
    columns["status"] = [c.status for c in report.cases]
    for field in ("model", "recipe", "trained", "sha256", "parameters", "sparsity", "macs"):
        columns[field] = [getattr(artifacts.get(c.variant), field, None) for c in report.cases]
    names = dict.fromkeys(name for c in report.cases for name in c.metrics)
    for name in names:
        found = [c.metrics.get(name) for c in report.cases]
        _add_metric(columns, name, found)
    _add_noise(columns, report)
    _add_comparison(columns, report)
    columns["launches"] = [len(c.launches) for c in report.cases]
    columns["findings"] = [" ".join(f.code for f in c.findings) for c in report.cases]
    columns["failure"] = [c.failure.message if c.failure else None for c in report.cases]
    return columns


def _add_metric(columns: Columns, name: str, found: list[Measurement | None]) -> None:
    suffix = _SUFFIX.get(next(m.unit for m in found if m is not None), "")
    columns[f"{name}{suffix}"] = [m.point if m else None for m in found]
    for statistic in _STATISTICS:
        values = [getattr(m, statistic) if m else None for m in found]
        key = f"{name}_{statistic}{suffix}"
        # `latency_p90` may be a metric of its own; that one has an interval and wins.
        if any(v is not None for v in values) and key not in columns:
            columns[key] = values
    if metrics.is_bound(name):
        columns["may_lose"] = [m.ci_high if m else None for m in found]
    if any(m and m.confidence is not None for m in found):
        columns[f"{name}_confidence"] = [m.confidence if m else None for m in found]
        columns[f"{name}_n"] = [m.n if m else None for m in found]


def _add_noise(columns: Columns, report: Report) -> None:
    """How the latency of each case scattered, where anything was timed."""
    found = [c.noise or noise_of(c.launches) for c in report.cases]
    if any(found):
        for field in ("within_ns", "between_ns", "between_share"):
            columns[f"latency_{field}"] = [getattr(n, field) if n else None for n in found]
        columns["latency_outliers"] = [len(n.outliers) if n else None for n in found]


def _add_comparison(columns: Columns, report: Report) -> None:
    """Per metric compared: the outcome, and the ratio to the baseline with its interval."""
    comparison = report.comparison
    if comparison is None:
        return
    found = {(c.candidate, m.metric): m for c in comparison.cases for m in c.metrics}
    for metric in dict.fromkeys(metric for _, metric in found):
        mine = [found.get((case.case, metric)) for case in report.cases]
        columns[f"{metric}_outcome"] = [m.outcome if m else None for m in mine]
        for field in ("ratio", "ci_low", "ci_high"):
            name = "ratio" if field == "ratio" else f"ratio_{field}"
            columns[f"{metric}_{name}"] = [getattr(m, field) if m else None for m in mine]


def launches(report: Report) -> Columns:
    """One row per launch, in the order of measurement of each case; the latency is the launch's
    median."""
    from harness.stats.summaries import launch_median

    flat = [(c, launch) for c in report.cases for launch in c.launches]
    columns = keys(report, [c for c, _ in flat])
    columns["launch"] = [x.index for _, x in flat]
    columns["order"] = [x.order for _, x in flat]
    columns["started_at"] = [x.started_at for _, x in flat]
    columns["iterations"] = [
        x.latency_summary.count if x.latency_summary else len(x.latency_ns) for _, x in flat
    ]
    columns["latency_median_ns"] = [launch_median(x) for _, x in flat]
    for field in _LAUNCH_SCALARS:
        columns[field] = [getattr(x, field) for _, x in flat]
    for counter in dict.fromkeys(name for _, x in flat for name in x.counters):
        columns[counter] = [x.counters.get(counter) for _, x in flat]
    noise = {
        c.case.id: {x.launch: x.label for x in found.outliers}
        for c in report.cases
        if (found := c.noise or noise_of(c.launches)) is not None
    }
    columns["outlier"] = [noise.get(c.case.id, {}).get(x.index) for c, x in flat]
    for field in _CONDITIONS:
        columns[f"{field}_before"] = [getattr(x.before, field, None) for _, x in flat]
        columns[f"{field}_after"] = [getattr(x.after, field, None) for _, x in flat]
    return columns


def observations(report: Report) -> Iterator[Columns]:
    """The long form, one row per observed value: which case, which launch, what (`quantity`), which
    of several (`iteration`, from 0), its `value` in `unit`, and a `detail`. What was not observed
    has no row. The table comes in one block per case, because all together is long; the first block
    is empty, so that there is always a head line.

    A runner that reports no single iterations has rows of its summary instead, as the quantities
    `latency_summary` and `warmup_summary` with the statistic in `detail`. The quantity `op` is the
    mean time of the operator in `detail`, `minute_...` a minute of a sustained launch, and
    `..._before` and `..._after` the state of the device around the launch."""
    own = ("launch", "order", "quantity", "iteration", "value", "unit", "detail")
    yield keys(report, ()) | {name: [] for name in own}
    for case in report.cases:
        block: Columns = {name: [] for name in own}
        for launch in case.launches:
            found = _observed(launch)
            count = len(found["value"])
            block["launch"] += [launch.index] * count
            block["order"] += [launch.order] * count
            for name, values in found.items():
                block[name] += values
        count = len(block["value"])
        yield {name: [v] * count for name, v in _key(report, case).items()} | block


def _observed(launch: Launch) -> Columns:
    """All that one launch observed, column by column."""
    found: Columns = {n: [] for n in ("quantity", "iteration", "value", "unit", "detail")}

    def add(
        quantity: str, unit: str, values: Sequence[float], details: Sequence[str] | None = None
    ) -> None:
        count = len(values)
        found["quantity"].extend([quantity] * count)
        found["iteration"].extend(range(count))
        found["value"].extend(values)
        found["unit"].extend([unit] * count)
        found["detail"].extend([""] * count if details is None else details)

    def add_each(quantity: str, unit: str, values: Iterable[float | None]) -> None:
        """Values of which some may be unknown; each keeps its place."""
        for place, value in enumerate(values):
            if value is not None:
                add(quantity, unit, [value])
                found["iteration"][-1] = place

    for field in _LAUNCH_SCALARS:
        value = getattr(launch, field)
        if value is not None:
            name, _, unit = field.rpartition("_")
            add(name, unit, [value])
    for name, number in launch.counters.items():
        add(name, "count", [number])
    add("warmup", "ns", launch.warmup_ns)
    add("latency", "ns", launch.latency_ns)
    for name, summary in (("warmup", launch.warmup_summary), ("latency", launch.latency_summary)):
        for field in _SUMMARY if summary is not None else ():
            if (value := getattr(summary, field)) is not None:
                statistic = field.removesuffix("_ns")
                unit = "count" if field == "count" else "ns"
                add(f"{name}_summary", unit, [value], [statistic])
    minutes = launch.minutes
    add("minute_median", "ns", [m.median_ns for m in minutes])
    add("minute_mean", "ns", [m.mean_ns for m in minutes])
    add("minute_iterations", "count", [m.iterations for m in minutes])
    add_each("minute_temperature", "C", (m.temperature_c for m in minutes))
    add_each("minute_thermal_status", "1", (m.thermal_status for m in minutes))
    for drawn in launch.drawn:
        add("power_idle_before", "uW", drawn.idle_before, [drawn.source] * len(drawn.idle_before))
        add("power_idle_after", "uW", drawn.idle_after, [drawn.source] * len(drawn.idle_after))
        loaded = [reading for stretch in drawn.loaded for reading in stretch]
        add("power", "uW", loaded, [drawn.source] * len(loaded))
        paces = drawn.ns_per_inference
        add("power_pace", "ns", paces, [drawn.source] * len(paces))
        add("power_every", "ns", [drawn.every_ns], [drawn.source])
    ops = launch.op_times
    add("op", "ns", [op.mean_ns for op in ops], [f"{op.op} {op.name}".strip() for op in ops])
    add("instructions", "count", launch.instructions)
    for when, state in (("before", launch.before), ("after", launch.after)):
        for field, (name, unit) in _OBSERVED_CONDITIONS.items() if state is not None else ():
            value = getattr(state, field)
            many = value if isinstance(value, tuple) else (value,)
            add_each(f"{name}_{when}", unit, (int(v) if isinstance(v, bool) else v for v in many))
    return found


def _key(report: Report, case: CaseReport) -> dict[str, Any]:
    return {
        "run_id": report.run_id,
        "variant": case.variant,
        "device": case.device,
        "emulated": any(d.emulated for d in report.devices if d.name == case.device),
        "runtime": case.runtime,
        "delegate": case.delegate,
        "threads": case.threads,
        "affinity": case.affinity,
    }


def keys(report: Report, found: Sequence[CaseReport]) -> Columns:
    """Which case: the columns that every table begins with."""
    columns: Columns = {
        k: []
        for k in (
            "run_id",
            "variant",
            "device",
            "emulated",
            "runtime",
            "delegate",
            "threads",
            "affinity",
        )
    }
    for case in found:
        for key, value in _key(report, case).items():
            columns[key].append(value)
    return columns
