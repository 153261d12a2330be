"""How it was measured: on what, how often, why it ended, and the command to repeat it."""

from __future__ import annotations

from harness.core import units
from harness.core.text import count, listed, quoted
from harness.core.types import Noise, Report, RunDrift
from harness.stats.series import DRIFT_ALPHA


def how_measured(report: Report) -> list[str]:
    """On what, how often, why it ended: one sentence each, not yet made printable."""
    counts = [len(c.launches) for c in report.cases]
    sentences: list[str] = [f"images {report.data.brief()}"] if report.data else []
    for device in report.devices:
        cores = "" if device.cores is None else count(device.cores, "core")
        versions = ", ".join(f"{k} {v}" for k, v in sorted(device.runtimes.items()))
        parts = (device.model or device.name, device.os, cores, versions)
        kernels = device.extra.get("kernels")
        groups = [
            f"{key.removeprefix('cores ')} is {text}"
            for key, text in device.extra.items()
            if key.startswith("cores ")
        ]
        sentences.append(
            f"{device.name}: {', '.join(filter(None, parts))}"
            + (f"; kernels for {kernels}" if kernels else "")
            + "".join(f"; {group}" for group in groups)
        )
    if any(counts):
        low, high = min(counts), max(counts)
        times = f"{low} to " * (low < high) + count(high, "launch", "launches")
        sentences.append(f"{times} per case, interleaved in seeded order (seed {report.plan.seed})")
    if cadence := report.plan.timing.cadence_ns:
        sentences.append(f"an inference begins every {units.duration(cadence)} (--cadence)")
    if stopped := stopped_text(report):
        worst = report.stopped.worst_half_width if report.stopped else None
        reached = f"; widest interval ±{units.percent(worst)}" if worst is not None else ""
        sentences.append(f"stopped because {stopped}{reached}")
    return sentences


def stopped_text(report: Report) -> str:
    """Why measuring ended, in words; empty if it is not known."""
    if report.stopped is None:
        return ""
    return {
        "target_ci": f"every interval is within the target of ±{report.plan.target_ci:.0%}",
        "time_budget": "the time budget was spent",
        "launches": "all launches that were asked for were made",
        "max_launches": "the largest allowed number of launches was made",
        "exact": "one launch is enough where there is no noise",
        "decided": "the question was decided",
        "interrupted": "it was interrupted",
        "failed": _failed(report),
    }[report.stopped.reason]


def _failed(report: Report) -> str:
    """What failed and ended the run: all cases, those of some devices, or one case, as in `ab`."""
    left = {case.device for case in report.cases if case.failure is None}
    failed = [name for name in dict.fromkeys(c.device for c in report.cases) if name not in left]
    if not failed:
        return "a case failed"
    where = f" on {listed(map(units.name, failed))}" if left else ""
    return f"every case{where} failed"


def command_line(report: Report) -> str:
    """The exact command to repeat it, quoted for a shell and printable."""
    return " ".join(map(quoted, report.command))


def drifted(drift: RunDrift) -> str:
    """`drift over all 5 cases on host: +3.1 % from the first launch to the last (...)`. Without
    evidence it says that no drift is proven; there may still be some."""
    of = f"{count(drift.launches, 'launch', 'launches')}, p {units.p_value(drift.p)}"
    low, high = (f"{share * 100:+.1f} %" for share in (drift.ci_low, drift.ci_high))
    where = f"over {count(drift.cases, 'case')} on {drift.device}"
    told = f"{drift.change * 100:+.1f} % ({low} to {high}) from the first launch to the last"
    if drift.p < DRIFT_ALPHA:
        return f"latency drifted {where}: {told}; {of}"
    return f"no drift is proven {where}: {told}; {of}"


def outliers(noise: Noise) -> str:
    """`2 high, 1 low`: how many launches lie far from the others, and on which side."""
    sides = [outlier.label.partition(" ")[0] for outlier in noise.outliers]
    return ", ".join(f"{sides.count(side)} {side}" for side in ("high", "low") if side in sides)
