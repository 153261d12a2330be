"""A search from its request to its report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from harness.analysis import metric_specs
from harness.analysis.search_front import front
from harness.artifacts.child import forked
from harness.core.errors import UsageError
from harness.core.search import SearchHeader, SearchReport, SearchRequest, Trial
from harness.core.types import Artifact, Measurement, Report
from harness.devices import kind_of
from harness.results import searches
from harness.search import finalists, loop, measuring
from harness.search.loop import Complete, Loop, Stop
from harness.search.objective import COUNTED, Built, Setting, WithoutTest
from harness.search.prepare import (
    Prepared,
    check_installed,
    dataset_of,
    prepared,
    reference,
    to_count,
)
from harness.search.study import Study
from harness.system import interrupts
from harness.system.cache_use import cache_in_use

if TYPE_CHECKING:
    from harness.engine.dask import DaskEngine
    from harness.system.progress import Narrator

DEFAULT_TRIALS = 40
# Known from the file or the validation images; the rest is measured on a device.
NOT_ON_DEVICE = metric_specs.of_family("size") | COUNTED | {"accuracy"}

Told = Callable[[Trial, "SearchReport"], None]


class Saved(NamedTuple):
    """A report, the folder that it was saved in, and the run that judged the finalists."""

    report: SearchReport
    folder: Path
    run: Report | None = None
    run_folder: Path | None = None


def begin(
    asked: SearchRequest,
    narrator: Narrator,
    *,
    out: Path,
    command: tuple[str, ...] = (),
    told: Told = lambda trial, report: None,
    engine: DaskEngine | None = None,
) -> Saved:
    """Check the request, make the search's folder and search. With an `engine` trials are done at
    the hosts of its lab. Raises HarnessError."""
    check_installed()
    checked = prepared(asked, narrator, out, command)
    known = reference(checked, narrator)
    header = msgspec.structs.replace(checked.header, reference=known)
    folder = searches.create(out, header)
    return _search(checked._replace(header=header), folder, narrator, told, engine)


def resume(
    folder: Path,
    narrator: Narrator,
    *,
    trials: int | None = None,
    time_budget_s: float | None = None,
    workers: int | None = None,
    told: Told = lambda trial, report: None,
    engine: DaskEngine | None = None,
) -> Saved:
    """Go on with a search; trials that were done are not done again. `trials` (in all) or
    `time_budget_s` (from now on) make it go on for longer, unless its test split has been opened.
    Raises UsageError if the images have changed."""
    check_installed()
    header = searches.read_header(folder)
    more = trials is not None or time_budget_s is not None
    if more and searches.read_final(folder) is not None:
        raise UsageError(
            "the finalists of this search have been chosen and the test split may have been "
            "opened, so it must not go on searching",
            "begin a new search; what is in the cache is not trained again",
        )
    if more:
        asked = msgspec.structs.replace(header.asked, trials=trials, time_budget_s=time_budget_s)
        header = msgspec.structs.replace(header, asked=asked)
    if workers is not None:
        asked = msgspec.structs.replace(header.asked, workers=workers)
        header = msgspec.structs.replace(header, asked=asked)
    now = prepared(header.asked, narrator, folder.parent, header.command, space=header)
    if now.header.fingerprints != header.fingerprints:
        raise UsageError(
            "the images are not those that the search began with", "begin a new search"
        )
    return _search(now._replace(header=header), folder, narrator, told, engine)


def _search(
    prepared: Prepared,
    folder: Path,
    narrator: Narrator,
    told: Told,
    engine: DaskEngine | None,
) -> Saved:
    header, asked = prepared.header, prepared.header.asked
    study = Study(folder, prepared.space, header.objectives, seed=asked.seed, sampler=asked.sampler)
    with contextlib.closing(study):
        final = searches.read_final(folder)
        if final is not None:
            stopped = _ended_before(folder)
        else:
            stopped = _tried(prepared, folder, study, narrator, told=told, engine=engine)
        report = _reported(header, study, stopped)
        if stopped == "interrupted":
            return Saved(_saved(folder, report), folder)
        if final is None:
            final = finalists.choose(
                report.trials,
                objectives=header.objectives,
                margin=report.margin,
                most=asked.finalists,
                reference=header.reference,
            )
        if not final.finalists:
            report = msgspec.structs.replace(report, final=final)
            return Saved(_saved(folder, report), folder)
        _saved(folder, msgspec.structs.replace(report, final=final))
        searches.save(folder, final)
        judged = finalists.judge(
            final,
            report.trials,
            folder,
            header,
            project=prepared.project,
            devices=prepared.job.devices,
            dataset=dataset_of(prepared.job),
            narrator=narrator,
            engine=engine,  # what is built for them, hosts have in their caches
        )
        ended = judged.report.stopped
        if ended is not None and ended.reason == "interrupted":
            report = msgspec.structs.replace(report, stopped="interrupted")
        report = msgspec.structs.replace(report, final=judged.final, verdict=judged.report.verdict)
        return Saved(_saved(folder, report), folder, judged.report, judged.folder)


def _tried(
    prepared: Prepared,
    folder: Path,
    study: Study,
    narrator: Narrator,
    *,
    told: Told,
    engine: DaskEngine | None,
) -> str:
    """Do the trials; why they ended."""
    header, asked = prepared.header, prepared.header.asked
    limit = asked.trials
    if limit is None and asked.time_budget_s is None:
        limit = DEFAULT_TRIALS
    deadline = None
    if asked.time_budget_s is not None:
        deadline = time.monotonic() + asked.time_budget_s
    setting = _setting(prepared, folder, narrator)
    built = Built(setting)
    trials = Loop(
        study,
        built,
        trials=limit,
        stop=Stop(deadline),
        told=lambda trial: told(trial, _reported(header, study, "")),
    )
    if engine is not None:
        return _try_at_lab(
            prepared, setting, trials, complete=built.complete, narrator=narrator, engine=engine
        )
    with forked.server:  # one import of TensorFlow for all trials
        try:
            return loop.run(trials, asked.workers)
        except KeyboardInterrupt:
            return "interrupted"


def _try_at_lab(
    prepared: Prepared,
    setting: Setting,
    trials: Loop,
    *,
    complete: Complete,
    narrator: Narrator,
    engine: DaskEngine,
) -> str:
    from harness.search import at_lab

    asked = prepared.header.asked
    sender = at_lab.Sender(
        setting.project,
        setting.models_dir,
        setting.dataset,
        setting.cache,
        seed=asked.seed,
        budget=asked.budget,
        objectives=prepared.header.objectives,
    )
    hosts = engine.where()
    several = asked.workers if asked.workers > 1 else max(1, at_lab.slots(hosts))
    narrator.say(f"trials at {', '.join(h.name for h in hosts)}, {several} at a time")
    works = [
        at_lab.Slot(
            trials,
            prepared.header.search_id,
            arguments=sender.arguments,
            paths=sender.files,
            bring=lambda address, made: sender.bring(engine, address, made),
            complete=complete,
        )
        for _ in range(several)
    ]
    return at_lab.run(trials, engine, works)


def _setting(prepared: Prepared, folder: Path, narrator: Narrator) -> Setting:
    header, project, job = prepared.header, prepared.project, prepared.job
    seed, out = header.asked.seed, folder / searches.MEASURED
    devices = to_count(job, project)
    timing = {
        name: spec for name, spec in job.devices.items()
        if not kind_of(spec).traits(spec).counts_exactly
    }  # fmt: skip
    on_device = [b for b in prepared.budgets if b.spec.name not in NOT_ON_DEVICE]
    about_work = "instructions" in header.objectives or any(
        b.spec.name in COUNTED for b in prepared.budgets
    )

    def count(artifact: Artifact) -> Mapping[str, Measurement]:
        name = header.counted_on
        assert name is not None
        return measuring.on_device(artifact, name, devices[name], project, out=out, seed=seed)

    def measure(artifact: Artifact) -> Mapping[str, Measurement]:
        found: dict[str, Measurement] = {}
        for name, spec in timing.items():
            found |= measuring.on_device(artifact, name, spec, project, out=out, seed=seed)
        return found

    return Setting(
        project=project.variants,
        models_dir=project.models_dir,
        cache=cache_in_use(),
        dataset=WithoutTest(dataset_of(job)),
        seed=seed,
        budgets=prepared.budgets,
        objectives=header.objectives,
        count=count if header.counted_on is not None and about_work else None,
        measure=measure if on_device and timing else None,
        progress=narrator.searching,
    )


def _reported(header: SearchHeader, study: Study, stopped: str) -> SearchReport:
    trials = study.trials()
    importance, why = study.importance() if stopped else ({}, "")
    return SearchReport(
        header=header,
        trials=trials,
        front=tuple(t.number for t in front(trials, header.objectives)),
        importance=importance,
        importance_why=why,
        repeats=study.repeats,
        stopped=stopped,
    )


def _ended_before(folder: Path) -> str:
    """Why the trials of a search ended whose finalists have been chosen."""
    known = searches.read_report(folder)
    return known.stopped if known and known.stopped != "interrupted" else "trials"


def _saved(folder: Path, report: SearchReport) -> SearchReport:
    with interrupts.held():
        searches.save(folder, report)
    return report
