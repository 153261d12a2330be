"""How much is measured: the plan of a job, from its request."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from harness.core import units
from harness.core.types import Artifact, Plan, Timing
from harness.data.dataset import DEMO
from harness.devices import kind_of
from harness.measure import schedule
from harness.project.request import (
    DEFAULT_LAUNCHES,
    DEFAULT_TIME_BUDGET_S,
    LEAST_LAUNCHES,
    Job,
)

QUICK_TIMING = Timing(min_time_ns=100_000_000, warmup_time_ns=30_000_000)


def make_plan(job: Job, artifacts: Mapping[str, Artifact]) -> Plan:
    """The plan; how much is measured follows --quick, --launches and --time-budget."""
    request = job.request
    timing = QUICK_TIMING if request.quick else Timing()
    if request.iterations is not None:
        timing = msgspec.structs.replace(
            timing,
            min_time_ns=0,
            min_iterations=request.iterations,
            max_iterations=request.iterations,
        )
    timing = msgspec.structs.replace(
        timing,
        cadence_ns=_ns(request.cadence_s),
        sustained_ns=_ns(request.sustained_s),
        profile=request.profile,
        parity=request.parity,
        cached_start="cached" in request.starts,
    )
    launches, defaults = request.launches, job.project.defaults
    if request.sustained_s is not None:
        launches = 1  # each long enough to heat the phone, which cools before the next
    if launches is None and request.quick and request.time_budget_s is None:
        launches = LEAST_LAUNCHES
    least, time_budget_s = DEFAULT_LAUNCHES, DEFAULT_TIME_BUDGET_S
    if request.time_budget_s is not None:  # such a user may want fewer launches
        least, time_budget_s = LEAST_LAUNCHES, request.time_budget_s
    return Plan(
        cases=schedule.cases(artifacts, job.settings),
        exact_devices=tuple(
            n for n, spec in job.devices.items() if kind_of(spec).traits(spec).counts_exactly
        ),
        exact_launches=request.launches or 1,
        seed=request.seed,
        launches=launches,
        min_launches=least,
        target_ci=request.target_ci,
        time_budget_s=time_budget_s,
        timing=timing,
        budget=request.budget,
        max_accuracy_loss=job.max_accuracy_loss,
        protect=request.protect or defaults.protect,
        prefer=request.prefer or defaults.prefer,
        quick=request.quick,
        data=None if job.dataset is None else units.printable(request.data or DEMO),
        untrained=request.untrained,
        accuracy_devices=tuple(n for n, of_device in job.settings.items() if of_device.accuracy),
    )


def expected_launches(planned: Plan) -> dict[str, int]:
    """Per device, the launches that are surely made."""
    totals: dict[str, int] = {}
    for case in planned.cases:
        totals[case.device] = totals.get(case.device, 0) + schedule.least(planned, case.device)
    return totals


# The accuracy that is assumed when the plan says, before training, what the test images can decide.
EXPECTED_ACCURACY = 0.95


def what_the_test_decides(job: Job) -> list[str]:
    """A line that says how small a loss the test images can exclude, so that more can be kept for
    the test before anything is trained; none where there is nothing to compare."""
    from harness.stats import enough_images, with_the_best

    others = len(job.names) - 1
    if job.dataset is None or others < 1:
        return []
    images = job.dataset.summary.count("test")
    level = with_the_best.dunnett(others, 0.5)
    excluded = enough_images.excludable(
        images, enough_images.discordance_at(EXPECTED_ACCURACY), level, others
    )
    points = units.significant(100 * excluded, 2)
    line = (
        f"{images:,} test images can exclude a loss of about {points} points among {others + 1} "
        f"variants of {units.percent(EXPECTED_ACCURACY)} accuracy"
    )
    margin = job.max_accuracy_loss
    if excluded <= margin:
        return [line]
    allowed = units.significant(100 * margin, 2)
    needed = "may be lost: keep more test images with --split, or add some"
    return [f"{line}, but only {allowed} {needed}"]


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e9)
