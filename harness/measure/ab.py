"""Two cases, launched round by round until it is decided which is slower."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from harness.analysis.sequential import Decision, decide, rounds_at
from harness.core.errors import UsageError
from harness.core.types import Case, Launch, Plan, Report
from harness.measure import session
from harness.project.preflight import resolve
from harness.project.request import Request
from harness.stats.summaries import launch_medians
from harness.system.progress import Narrator


def ab(
    request: Request, threshold: float, narrator: Narrator
) -> tuple[str, str, Report, Decision | None]:
    """(name of A, name of B, report, the last look): rounds until the question is decided or the
    time is up."""
    job = resolve(request, narrator.looking, narrator.attendant)
    folder, inputs = session.start(job, narrator)
    plan_of_two = msgspec.structs.replace(folder.header.plan, launches=None, target_ci=0.0)
    a, b = _two_cases(plan_of_two)
    folder.change_plan(plan_of_two)
    looks: list[Decision] = []

    def decided(launches: Mapping[Case, list[Launch]]) -> bool:
        rounds = list(zip(launch_medians(launches[a]), launch_medians(launches[b]), strict=False))
        look = len(looks) + 1
        if len(rounds) >= rounds_at(look):
            looks.append(decide(rounds, look=look, threshold=threshold))
        return bool(looks) and looks[-1].decided

    stopped = session.measured(folder, job.devices, inputs, narrator, enough=decided)
    return a.variant, b.variant, session.conclude(folder, stopped), looks[-1] if looks else None


def _two_cases(planned: Plan) -> tuple[Case, Case]:
    if len(planned.cases) != 2:
        names = ", ".join(case.id for case in planned.cases)
        raise UsageError(f"ab compares two cases, not {names}", "name two variants, one device")
    return planned.cases[0], planned.cases[1]
