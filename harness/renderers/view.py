"""What every renderer shows in the same way: which columns there are, in which order the rows
stand, what they are compared with, how doubts are grouped. Values stay whole here; only
`harness.core.units` rounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from harness.analysis.candidates import largest
from harness.analysis.metric_specs import specs
from harness.core import units
from harness.core.errors import UsageError
from harness.core.text import count
from harness.core.types import (
    Artifact,
    CaseReport,
    DeviceFacts,
    Direction,
    Failure,
    Finding,
    Level,
    Measurement,
    Report,
)
from harness.renderers import verdict as verdicts
from harness.system import plugins

# --- metrics ---------------------------------------------------------------------------------

# Statistics of a latency that may be columns of their own.
TAILS = {
    "latency_mean": "mean",
    "latency_p90": "p90",
    "latency_p95": "p95",
    "latency_p99": "p99",
}


def title(metric: str) -> str:
    """The head of the metric's column."""
    spec = specs().get(metric)
    return metric.replace("_", " ") if spec is None else spec.head or spec.title


def direction(metric: str) -> Direction:
    """Which way is better; of a metric that is none of ours, lower."""
    spec = specs().get(metric)
    return "lower" if spec is None else spec.direction


UNIMPORTANT = 100


def importance(metric: str) -> int:
    """The higher, the sooner its column gives way where not all fit."""
    spec = specs().get(metric)
    return UNIMPORTANT if spec is None else spec.importance


def metrics_of(report: Report) -> list[str]:
    """All metrics that any case names, measured or absent, in reading order."""
    named = {name for case in report.cases for name in case.metrics}
    if "latency" in named:
        named |= TAILS.keys()
    known = specs()
    return [m for m in known if m in named] + sorted(named - known.keys())


def measured(case: CaseReport, metric: str) -> Measurement | None:
    """The metric if it has a point. A tail that is no metric of its own is read off `latency`,
    without an interval."""
    m = case.metrics.get(metric)
    if m is None and metric in TAILS and (whole := case.metrics.get("latency")) is not None:
        field = TAILS[metric]
        m = Measurement(unit=whole.unit, point=getattr(whole, field))
    return None if m is None or m.point is None else m


def point(case: CaseReport, metric: str) -> float | None:
    """The metric's point; None if absent."""
    m = measured(case, metric)
    return None if m is None else m.point


def why_absent(case: CaseReport, metric: str) -> str:
    """The reason for a metric without a point."""
    m, whole = case.metrics.get(metric), case.metrics.get("latency")
    if m is None and metric in TAILS and whole is not None:
        return whole.absent_because or whole.absent.get(TAILS[metric], "not measured")
    if m is not None and m.absent_because:
        return m.absent_because
    return case.failure.message if case.failure else "not measured"


# --- rows ------------------------------------------------------------------------------------

_STATUS_ORDER = {"ok": 0, "suspect": 1, "invalid": 2, "failed": 3}


class Row(NamedTuple):
    """A case beside all that is known of its artifact and device. `smaller` and `faster` are
    ratios to the reference on the same device; None for the reference itself or if unknown.
    `misses` tells that it does not keep some budget."""

    case: CaseReport
    artifact: Artifact | None
    device: DeviceFacts | None
    place: str
    mark: str
    smaller: float | None
    faster: float | None
    misses: bool = False

    @property
    def untrained(self) -> bool:
        """Its accuracy would say nothing."""
        return self.artifact is not None and self.artifact.trained is False

    @property
    def counted(self) -> bool:
        """Its device counts what a phone's kernels do, and tells no time."""
        return self.device is not None and self.device.kind == "arm64-emulated"

    @property
    def emulated(self) -> bool:
        """Its device is no phone, and its numbers are this machine's."""
        return self.device is not None and self.device.emulated and not self.counted

    @property
    def notes(self) -> list[str]:
        """What a name does not say, where every row may say it for itself."""
        words = ("untrained", "emulated", "counted")
        return [word for word in words if getattr(self, word)]


def reference_of(report: Report) -> str | None:
    """The variant that "times smaller, times faster" refer to; None if there is nothing to
    compare."""
    sizes = {c.variant: size for c in report.cases if (size := point(c, "size")) is not None}
    if len({c.variant for c in report.cases}) < 2 or not sizes:
        return None
    return largest(sizes)


def rows_of(report: Report, sort: str | None = None) -> list[Row]:
    """The table's rows, by what matters: what the verdict recommends, what keeps every budget,
    what is on the front, then by status and latency; or by the metric or field `sort`, best first,
    with what was not measured last. Unknown names are a UsageError."""
    artifacts = {a.variant: a for a in report.artifacts}
    devices = {d.name: d for d in report.devices}
    varying = _varying(report.cases)
    reference = reference_of(report)
    bases = {_setting(c): c for c in report.cases if c.variant == reference}

    def row(case: CaseReport) -> Row:
        base = bases.get(_setting(case))
        device = devices.get(case.device)
        return Row(
            case=case,
            artifact=artifacts.get(case.variant),
            device=device,
            place=_place(case, varying),
            mark=verdicts.mark(report, case),
            smaller=_ratio(base, case, "size"),
            faster=_ratio(base, case, "latency"),
            misses=verdicts.misses(report, case),
        )

    rows = [row(case) for case in report.cases]
    if sort is None:
        return sorted(rows, key=_by_merit)
    return sorted(rows, key=_sort_key(report, sort))


def _setting(case: CaseReport) -> tuple[str, str, str, int]:
    return (case.device, case.runtime, case.delegate, case.threads)


def _varying(cases: Sequence[CaseReport]) -> set[str]:
    fields = ("device", "runtime", "delegate", "threads")
    return {f for f in fields if len({getattr(c, f) for c in cases}) > 1}


def _place(case: CaseReport, varying: set[str]) -> str:
    """Where the case ran, as far as cases differ in it; empty if they do not."""
    parts = [
        case.device if "device" in varying else "",
        case.runtime if "runtime" in varying else "",
        case.delegate if "delegate" in varying else "",
        f"t{case.threads}" if "threads" in varying else "",
    ]
    return " ".join(p for p in parts if p)


def setting_in_common(report: Report) -> str:
    """What all cases share and the rows therefore need not say: `host, litert, cpu, 1 thread`."""
    if not report.cases:
        return ""
    varying, case = _varying(report.cases), report.cases[0]
    parts = {
        "device": case.device,
        "runtime": case.runtime,
        "delegate": case.delegate,
        "threads": count(case.threads, "thread"),
    }
    return ", ".join(text for field, text in parts.items() if field not in varying)


_MARKS = {"recommended": 0, "runner-up": 1}


def _ratio(base: CaseReport | None, case: CaseReport, metric: str) -> float | None:
    if base is None or base is case:
        return None
    mine, theirs = point(case, metric), point(base, metric)
    return theirs / mine if mine and theirs else None


def _by_merit(row: Row) -> tuple[object, ...]:
    inf = float("inf")
    latency, size = point(row.case, "latency"), point(row.case, "size")
    status = _STATUS_ORDER[row.case.status]
    return (
        _MARKS.get(row.mark, 2),
        row.case.status in ("invalid", "failed"),
        row.misses,
        row.mark != "pareto",
        status,
        inf if latency is None else latency,
        inf if size is None else size,
        row.case.variant,
        row.place,
    )


def _sort_key(report: Report, sort: str) -> Any:
    texts = {
        "variant": lambda r: r.case.variant,
        "device": lambda r: (r.case.device, r.case.threads, r.place),
        "status": lambda r: _STATUS_ORDER[r.case.status],
    }
    ratios = {"smaller": lambda r: r.smaller, "faster": lambda r: r.faster}
    if sort in texts:
        return texts[sort]
    if sort not in sortable(report):
        raise unknown_column(sort, sortable(report))
    sign = -1 if sort in ratios or direction(sort) == "higher" else 1

    def key(row: Row) -> tuple[bool, float]:
        value = ratios[sort](row) if sort in ratios else point(row.case, sort)
        return (value is None, 0.0 if value is None else sign * value)

    return key


def macs_in_millions(row: Row) -> str:
    """The multiply-accumulates of one inference, which instructions are held against."""
    macs = row.artifact.macs if row.artifact else None
    return units.ABSENT if macs is None else units.significant(macs / 1e6)


def best(metric: str, rows: Sequence[Row]) -> float | None:
    """The best point among the cases that may be used; None if there is no choice."""
    usable = [r.case for r in rows if r.case.status in ("ok", "suspect")]
    points = {p for case in usable if (p := point(case, metric)) is not None}
    if len(points) < 2:
        return None
    return max(points) if direction(metric) == "higher" else min(points)


_RATIOS = ("smaller", "faster")
_FIELDS = ("variant", "device", "status")


def sortable(report: Report | None = None) -> list[str]:
    """What a table can be sorted by: fields, ratios, every metric there is, also those that only
    this report knows."""
    own = metrics_of(report) if report is not None else []
    return list(dict.fromkeys([*_FIELDS, *specs(), *own, *_RATIOS]))


def columns_known(report: Report | None = None) -> list[str]:
    """What a table can show: the same, and what nothing is sorted by."""
    return [*sortable(report), "launches", "latency_bar", "size_bar", "macs"]


def unknown_column(name: str, known: Iterable[str]) -> UsageError:
    """The one line for a mistyped `--sort` or `--columns`."""
    return plugins.unknown("column", name, known)


# --- doubts ----------------------------------------------------------------------------------

_LEVELS: dict[Level, int] = {"invalid": 0, "serious": 1, "warning": 2, "info": 3}


class Doubt(NamedTuple):
    """One message, who it is about (empty: the run as a whole), and what to do."""

    message: str
    mend: str
    about: tuple[str, ...]


class Doubts(NamedTuple):
    """All findings of one code and level."""

    level: Level
    code: str
    doubts: tuple[Doubt, ...]


def findings_of(report: Report) -> list[Doubts]:
    """The findings of the run, its artifacts and its cases, worst first; alike ones together."""
    varying = _varying(report.cases)
    told = {finding for case in report.cases for finding in case.findings}
    found: list[tuple[str, Finding]] = [("", f) for f in report.findings]
    found += [
        (units.name(artifact.variant), f)
        for artifact in report.artifacts
        for f in artifact.findings
        if f not in told
    ]
    found += [(label(case, varying), f) for case in report.cases for f in case.findings]
    return grouped(found)


def grouped(found: Iterable[tuple[str, Finding]]) -> list[Doubts]:
    """Findings with whom they are about (empty: everything), worst first, alike ones together."""
    # The innermost is an ordered set: hundreds of cases may share a doubt.
    groups: dict[tuple[Level, str], dict[tuple[str, str], dict[str, None]]] = {}
    for about, finding in found:
        group = groups.setdefault((finding.level, finding.code), {})
        names = group.setdefault((finding.message, finding.mend), {})
        if about:
            names[about] = None
    return [
        Doubts(level, code, tuple(Doubt(m, d, tuple(names)) for (m, d), names in group.items()))
        for (level, code), group in sorted(groups.items(), key=lambda item: _LEVELS[item[0][0]])
    ]


def failures_of(report: Report) -> list[tuple[Failure, list[str]]]:
    """Each way in which cases failed, with their labels, in the order of the cases."""
    labels = labels_of(report)
    alike: dict[Failure, list[str]] = {}
    for case in report.cases:
        if case.failure is not None:
            alike.setdefault(case.failure, []).append(labels[case.case.id])
    return list(alike.items())


def label(case: CaseReport, varying: set[str]) -> str:
    """The variant, and where it ran if that needs saying: `scratch (pixel t2)`."""
    place = _place(case, varying)
    name = units.name(case.variant)
    return f"{name} ({place})" if place else name


def labels_of(report: Report) -> dict[str, str]:
    """Case id -> label."""
    varying = _varying(report.cases)
    return {case.case.id: label(case, varying) for case in report.cases}


def emulated_among(report: Report, devices: Iterable[str]) -> str:
    """What to add to a title: ` (emulated)`, ` (toy: emulated)` where only some of the devices are,
    nothing where none is."""
    devices = list(dict.fromkeys(devices))
    emulated = {d.name for d in report.devices if d.emulated}
    found = [units.name(d) for d in devices if d in emulated]
    if len(found) == len(devices):
        return " (emulated)" if found else ""
    return f" ({some(found)}: emulated)" if found else ""


def names_on(report: Report, device: str) -> dict[str, str]:
    """Labels of the device's cases where only this device is spoken of: they need not name it."""
    own = [c for c in report.cases if c.device == device]
    if len({(c.runtime, c.delegate, c.threads) for c in own}) == 1:
        return {c.case.id: units.name(c.variant) for c in own}
    labels = labels_of(report)
    return {c.case.id: labels[c.case.id] for c in own}


def some(names: Sequence[str], most: int = 6) -> str:
    """`a, b, c and 4 more`."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def stopped_text(report: Report) -> str:
    """Why measuring ended, in words; empty if it is not known."""
    if report.stopped is None:
        return ""
    return {
        "target_ci": f"every interval is within the target of ±{report.plan.target_ci:.0%}",
        "time_budget": "the time budget was spent",
        "launches": "the asked number of launches was made",
        "max_launches": "the largest number of launches was made",
        "exact": "one launch decides where there is no noise",
        "decided": "the question was decided",
        "interrupted": "it was interrupted",
        "failed": "every case failed",
    }[report.stopped.reason]


def how_measured(report: Report) -> list[str]:
    """On what, how often, why it ended: one sentence each, not yet made printable."""
    counts = [len(c.launches) for c in report.cases]
    sentences: list[str] = [f"images {report.data.brief()}"] if report.data else []
    for device in report.devices:
        cores = "" if device.cores is None else f"{device.cores} core{'s' * (device.cores != 1)}"
        versions = " ".join(f"{k} {v}" for k, v in sorted(device.runtimes.items()))
        parts = (device.model or device.name, device.os, cores, versions)
        kernels = device.extra.get("kernels")
        sentences.append(
            f"{device.name}: {', '.join(filter(None, parts))}"
            + (f"; kernels for {kernels}" if kernels else "")
        )
    if any(counts):
        low, high = min(counts), max(counts)
        times = f"{low}" if low == high else f"{low} to {high}"
        sentences.append(
            f"{times} launch{'' if times == '1' else 'es'} per case, interleaved in seeded order"
            f" (seed {report.plan.seed})"
        )
    if stopped := stopped_text(report):
        worst = report.stopped.worst_half_width if report.stopped else None
        reached = f"; widest interval ±{units.percent(worst)}" if worst is not None else ""
        sentences.append(f"stopped because {stopped}{reached}")
    return sentences


def command_line(report: Report) -> str:
    """The exact command to repeat it, quoted for a shell and printable."""
    return " ".join(map(_quoted, report.command))


def _quoted(argument: str) -> str:
    import shlex

    if argument.isprintable():
        return shlex.quote(argument)
    # What cannot be printed needs the quotes that take escapes (bash, zsh, ksh).
    return f"$'{''.join(map(_escaped, argument))}'"


def _escaped(c: str) -> str:
    if c in "\\'":
        return f"\\{c}"
    if c.isprintable():
        return c
    return "".join(f"\\x{byte:02x}" for byte in c.encode("utf-8", "surrogateescape"))
