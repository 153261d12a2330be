"""What was not measured, and why: one sentence per reason, only for the devices concerned."""

from __future__ import annotations

from collections.abc import Sequence

from harness.core import units
from harness.core.text import listed
from harness.core.types import CaseReport, Report
from harness.renderers import metrics


def never_measured(report: Report) -> dict[str, str]:
    """Metric -> reason, for the metrics that no case has. If latency itself is absent, its tails
    are not listed."""
    return _lacking(report, report.cases)


def sentences(report: Report) -> list[str]:
    """`latency, init: absent on arm64, emulated core: ...`: the metrics that a device has for no
    case, grouped by reason. Not yet made printable."""
    devices: dict[str, list[CaseReport]] = {}
    for case in report.cases:
        devices.setdefault(case.device, []).append(case)
    where: dict[tuple[str, str], list[str]] = {}
    for device, cases in devices.items():
        for lacking in _lacking(report, cases).items():
            where.setdefault(lacking, []).append(device)
    together: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (metric, reason), on in where.items():
        together.setdefault((reason, tuple(on)), []).append(metrics.title(metric))
    return [
        f"{', '.join(titles)}: absent"
        + (f" on {listed([units.name(d) for d in on])}" if len(on) < len(devices) else "")
        + f", {reason}"
        for (reason, on), titles in together.items()
    ]


def _lacking(report: Report, cases: Sequence[CaseReport]) -> dict[str, str]:
    named = [m for m in metrics.metrics_of(report) if any(_names(c, m) for c in cases)]
    absent = [m for m in named if all(metrics.point(c, m) is None for c in cases)]
    told = {name for case in cases if (m := case.metrics.get("latency")) for name in m.absent}
    if "latency" in absent:
        told = set()
    return {
        metric: metrics.why_absent(next(c for c in cases if _names(c, metric)), metric)
        for metric in absent
        if metric not in metrics.tails() or metrics.tails()[metric] in told
    }


def _names(case: CaseReport, metric: str) -> bool:
    return metric in case.metrics or (metric in metrics.tails() and "latency" in case.metrics)
