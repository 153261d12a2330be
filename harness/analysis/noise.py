"""How latency scattered, case by case and over a whole run. Outliers are labelled, not removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.core.types import CaseReport, Launch, Noise, Outlier, RunDrift
from harness.stats.series import drift_of_run
from harness.stats.summaries import (
    launch_median,
    outliers,
    spread,
    spread_of_summaries,
)


def noise_of(launches: Sequence[Launch]) -> Noise | None:
    """The spread within and between launches, and which launches are outliers; None if nothing was
    timed. For sustained launches, the spread is over all minutes."""
    timed = [(x, median) for x in launches if (median := launch_median(x)) is not None]
    if not timed:
        return None
    if all(x.latency_ns for x, _ in timed):
        parts, why = spread([x.latency_ns for x, _ in timed]), "it takes two launches"
    else:
        summaries = [x.latency_summary for x, _ in timed if x.latency_summary is not None]
        alike = len(summaries) == len(timed)
        parts = spread_of_summaries(summaries) if alike else None
        why = "it takes two launches" if len(timed) < 2 else "the runner reports no spread"
    labels = outliers([median for _, median in timed])
    return Noise(
        launches=len(timed),
        within_ns=parts.within if parts else None,
        between_ns=parts.between if parts else None,
        between_share=parts.between_share if parts else None,
        absent_because=None if parts else why,
        outliers=tuple(
            Outlier(launch=x.index, label=label)
            for (x, _), label in zip(timed, labels, strict=True)
            if label
        ),
    )


def drifts_of(cases: Iterable[CaseReport]) -> tuple[RunDrift, ...]:
    """Drift on each device over all its cases, where enough was timed to tell."""
    devices: dict[str, list[list[tuple[int, float]]]] = {}
    for case in cases:
        own = [(x.order, m) for x in case.launches if (m := launch_median(x)) is not None]
        if len(own) > 1:
            devices.setdefault(case.device, []).append(own)
    return tuple(
        RunDrift(
            device=device,
            cases=len(own),
            launches=sum(map(len, own)),
            change=found.change,
            ci_low=found.ci_low,
            ci_high=found.ci_high,
            confidence=found.confidence,
            p=found.p,
        )
        for device, own in devices.items()
        if (found := drift_of_run(own)) is not None
    )
