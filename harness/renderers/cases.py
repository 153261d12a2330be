"""The rows that every renderer shows: their order, names, and the variant that ratios refer to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from harness.analysis.candidates import largest
from harness.core import units
from harness.core.text import count
from harness.core.types import Artifact, CaseReport, DeviceFacts, Report
from harness.renderers import verdict as verdicts
from harness.renderers.metrics import direction, point, sortable, unknown_column
from harness.renderers.words import some

_STATUS_ORDER = {"ok": 0, "suspect": 1, "invalid": 2, "failed": 3}


class Row(NamedTuple):
    """A case with all that is known of its artifact and device. `place` is where it ran, as far as
    cases differ in it. `smaller` and `faster` are ratios to the reference on the same device; None
    for the reference itself or if unknown. `misses` means that it surely exceeds some budget."""

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
        """Whether it was not trained, so that its accuracy would be meaningless."""
        return self.artifact is not None and self.artifact.trained is False

    @property
    def counted(self) -> bool:
        """Its device counts a phone's instructions and measures no time."""
        return self.device is not None and self.device.counts

    @property
    def emulated(self) -> bool:
        """Its device is not a phone, and its numbers are this machine's."""
        return self.device is not None and self.device.emulated and not self.counted

    @property
    def notes(self) -> list[str]:
        """Remarks on the row, in words."""
        words = ("untrained", "emulated", "counted")
        return [word for word in words if getattr(self, word)]


def reference_of(report: Report) -> str | None:
    """The variant that ratios such as "4x smaller" refer to; None if there is nothing to
    compare."""
    sizes = {c.variant: size for c in report.cases if (size := point(c, "size")) is not None}
    if len({c.variant for c in report.cases}) < 2 or not sizes:
        return None
    return largest(sizes)


def rows_of(report: Report, sort: str | None = None) -> list[Row]:
    """One row per case, the most important first: the recommended one, those that keep every
    budget, those on the front, then by status and latency. With `sort`, by that metric or field:
    the best first, not measured last. Raises UsageError for an unknown name."""
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


def _setting(case: CaseReport) -> tuple[str, str, str, int, str]:
    return (case.device, case.runtime, case.delegate, case.threads, case.affinity)


def _varying(cases: Sequence[CaseReport]) -> set[str]:
    fields = ("device", "runtime", "delegate", "threads", "affinity")
    return {f for f in fields if len({getattr(c, f) for c in cases}) > 1}


def _place(case: CaseReport, varying: set[str]) -> str:
    """Where the case ran, as far as cases differ in it; empty if they do not."""
    parts = [
        case.device if "device" in varying else "",
        case.runtime if "runtime" in varying else "",
        case.delegate if "delegate" in varying else "",
        f"t{case.threads}" if "threads" in varying else "",
        case.affinity if "affinity" in varying else "",
    ]
    return " ".join(p for p in parts if p)


_MARKS = {"recommended": 0, "candidate": 0, "runner-up": 1}


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
    """The multiply-accumulates of one inference, to compare instructions with."""
    macs = row.artifact.macs if row.artifact else None
    return units.ABSENT if macs is None else units.significant(macs / 1e6)


def best_point(metric: str, rows: Sequence[Row]) -> float | None:
    """The best point among the cases that may be used; None if there is no choice."""
    usable = [r.case for r in rows if r.case.status in ("ok", "suspect")]
    points = {p for case in usable if (p := point(case, metric)) is not None}
    if len(points) < 2:
        return None
    return max(points) if direction(metric) == "higher" else min(points)


def label(case: CaseReport, varying: set[str]) -> str:
    """The variant, and where it ran if rows differ in that: `scratch (pixel t2)`."""
    place = _place(case, varying)
    name = units.name(case.variant)
    return f"{name} ({place})" if place else name


def labels_of(report: Report) -> dict[str, str]:
    """Case id -> label."""
    varying = _varying(report.cases)
    return {case.case.id: label(case, varying) for case in report.cases}


def names_on(report: Report, device: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Labels of the device's cases without the name of the device, for text about this device."""
    own = [c for c in report.cases if c.device == device]
    if len({(c.runtime, c.delegate, c.threads, c.affinity) for c in own}) == 1:
        return {c.case.id: units.name(c.variant) for c in own}
    return {c.case.id: labels[c.case.id] for c in own}


def emulated_among(report: Report, devices: Iterable[str]) -> str:
    """What to add to a title: ` (emulated)`, or ` (toy: emulated)` if only some of the devices are;
    empty if none is."""
    devices = list(dict.fromkeys(devices))
    emulated = {d.name for d in report.devices if d.emulated}
    found = [units.name(d) for d in devices if d in emulated]
    if len(found) == len(devices):
        return " (emulated)" if found else ""
    return f" ({some(found)}: emulated)" if found else ""


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
        "affinity": case.affinity and f"{case.affinity} cores",
    }
    return ", ".join(text for field, text in parts.items() if text and field not in varying)
