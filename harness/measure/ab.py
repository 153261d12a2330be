"""Two cases, launched round by round until it is decided which is slower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.analysis.sequential import Decision, decide, rounds_at
from harness.core.errors import UsageError
from harness.core.types import Case, Launch
from harness.measure import schedule, session
from harness.project.request import Job
from harness.stats.summaries import launch_median
from harness.system.progress import Narrator


class Answer(NamedTuple):
    """The result. `decision` is the last look; None if there were too few rounds for one."""

    a: Case
    b: Case
    run: session.SavedRun
    decision: Decision | None


def ab(job: Job, threshold: float, narrator: Narrator) -> Answer:
    """Measure rounds until the question is decided or the time is up. Raises UsageError unless the
    job has exactly two cases, of different variants, and BuildError if one cannot be built."""
    a, b = _two_cases(job)
    looks: list[Decision] = []

    def decided(launches: Mapping[Case, list[Launch]]) -> bool:
        rounds = paired(launches[a], launches[b])
        look = len(looks) + 1
        if len(rounds) >= rounds_at(look):
            looks.append(decide(rounds, look=look, threshold=threshold))
        return bool(looks) and looks[-1].decided

    # Do not stop because an interval is narrow: that answers another question.
    request = job.request._replace(launches=None, target_ci=0.0)
    run = session.bench(
        job._replace(request=request), narrator, enough=decided, all_must_build=True
    )
    return Answer(a, b, run, looks[-1] if looks else None)


def paired(a: Sequence[Launch], b: Sequence[Launch]) -> list[tuple[float, float]]:
    """The median latencies (ns) of both cases in each round in which both have one."""
    of_a, of_b = (
        {launch.index: m for launch in side if (m := launch_median(launch)) is not None}
        for side in (a, b)
    )
    return [(of_a[index], of_b[index]) for index in sorted(of_a.keys() & of_b.keys())]


def _two_cases(job: Job) -> tuple[Case, Case]:
    for error in job.unusable.values():
        raise error
    cases = schedule.cases(job.names, job.settings)
    if len(cases) != 2 or cases[0].variant == cases[1].variant:
        names = ", ".join(case.id for case in cases[:3]) + ", ..." * (len(cases) > 3)
        of_one = " of one variant" if len(cases) == 2 else ""
        raise UsageError(
            f"ab compares exactly two cases, but there {'is' if len(cases) == 1 else 'are'} "
            f"{len(cases)}{of_one}: {names}",
            "name two different variants or files, one device, one runtime, one number of threads",
        )
    return cases[0], cases[1]
