"""Which trials are judged on the test split, and the verdict on them.

They are chosen on validation images and saved before the test split is opened. It is opened once:
after that the search does not go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.analysis import metric_specs
from harness.analysis.budget import parse_budget
from harness.analysis.search_front import candidates, front
from harness.core.errors import UsageError
from harness.core.search import Final, SearchHeader, Trial
from harness.core.specs import DeviceSpec
from harness.core.types import Report
from harness.data.dataset import Dataset
from harness.devices import kind_of
from harness.engine import Engine
from harness.measure import session
from harness.project.config import Project
from harness.project.request import Job, Request
from harness.results import searches, store
from harness.search.objective import COUNTED, missed_by, variant_of
from harness.system.progress import Narrator

# How much the costs of two finalists differ at least, as a share, if one is behind the front.
APART = 0.1


class Judged(NamedTuple):
    """The finalists, and the run that measured them."""

    final: Final
    report: Report
    folder: Path


def choose(
    trials: Sequence[Trial],
    *,
    objectives: Sequence[str],
    margin: float,
    most: int,
    reference: Mapping[str, float],
) -> Final:
    """The smallest `most` trials of the front that lose no more than the margin on validation
    images against the best of all, and the most accurate one that keeps the budget. If none is
    within the margin, the most accurate ones.

    If many trials are about equally good, the one that looks best on some hundred validation images
    was partly lucky, and often loses more on test images. So if the front leaves places free, they
    go to the smallest trials behind it that are within the margin and differ in cost by more than a
    tenth from each that is chosen: the next ones to ship if the smallest fails."""
    reached = front(trials, objectives)
    if not reached:
        return Final(finalists={}, why=_why_none(trials))
    best = max(reached, key=_accuracy)
    aim = max([_accuracy(best), *reference.values()]) - margin
    cost = objectives[1] if len(objectives) > 1 else "size_bytes"
    all_within = [t for t in candidates(trials, objectives) if _accuracy(t) >= aim]
    within = [t for t in reached if t in all_within]
    if within:
        chosen = _smallest(within, all_within, cost, most)
        why = (
            f"the smallest within the margin on validation images ({len(all_within)} are, "
            f"{len(within)} of them on the front), and the most accurate"
        )
    else:
        chosen = sorted(reached, key=_accuracy, reverse=True)[:most]
        why = "the most accurate: none of the front is within the margin on validation images"
    if best not in chosen:
        chosen.append(best)
    return Final(finalists={t.name: t.number for t in chosen}, why=why)


def _why_none(trials: Sequence[Trial]) -> str:
    over = [t for t in trials if t.state in ("done", "refused") and not t.keeps_budget]
    if over:
        nearest = min(over, key=lambda t: max(t.over.values()))
        missed = " and ".join(missed_by(nearest))
        return f"no trial keeps the budget; the nearest, {nearest.name}, misses {missed}"
    if any(t.state == "unfinished" for t in trials):
        return "no trial had ended; go on with --resume and a longer --time-budget"
    return "no trial was judged; each has its reason in --csv"


def _smallest(
    on_front: Sequence[Trial], all_within: Sequence[Trial], cost: str, most: int
) -> list[Trial]:
    """The `most` smallest of the front by `cost`; places left free go to the smallest behind it."""

    def cost_of(trial: Trial) -> float:
        return float(getattr(trial, cost))

    chosen = sorted(on_front, key=cost_of)[:most]
    for trial in sorted(all_within, key=cost_of):
        apart = all(abs(cost_of(trial) / cost_of(other) - 1) > APART for other in chosen)
        if apart and len(chosen) < most:
            chosen.append(trial)
    return sorted(chosen, key=cost_of)


def _accuracy(trial: Trial) -> float:
    return trial.accuracy or 0.0


def judged_budget(budget: str | None, devices: Mapping[str, DeviceSpec]) -> str | None:
    """The part of the budget that the run of the finalists can judge. Instructions were already
    counted for every trial, and a device that measures time does not count them."""
    if budget is None or all(kind_of(s).traits(s).counts_exactly for s in devices.values()):
        return budget
    kept = [
        b.text for b in parse_budget(budget, metric_specs.specs()) if b.spec.name not in COUNTED
    ]
    return ",".join(kept) or None


def judge(
    final: Final,
    trials: Sequence[Trial],
    folder: Path,
    header: SearchHeader,
    *,
    project: Project,
    devices: Mapping[str, DeviceSpec],
    dataset: Dataset,
    narrator: Narrator,
    engine: Engine | None = None,
) -> Judged:
    """The run of `bench` with the finalists and the variants that they are compared with. Goes on
    with one that was interrupted."""
    asked = header.asked
    out = folder.parent
    if final.run_id is not None and (out / final.run_id).is_dir():
        path = out / final.run_id
        if (path / store.REPORT).exists():
            report = store.read_report(path)
            if report.stopped is None or report.stopped.reason != "interrupted":
                return Judged(final, report, path)
        run = session.resume(path, Path(asked.project), narrator, engine)
        return Judged(final, run.report, run.folder)
    by_number = {t.number: t for t in trials}
    found = {name: variant_of(by_number[n].candidate) for name, n in final.finalists.items()}
    variants = {**project.variants.variants, **found}
    request = Request(
        what=(*found, *asked.against),
        devices=asked.devices,
        seed=asked.seed,
        data=asked.data,
        split=asked.split,
        budget=judged_budget(asked.budget, devices),
        max_accuracy_loss=asked.max_accuracy_loss,
        prefer=asked.prefer,
        weights=asked.weights,
        quick=True,
        project=Path(asked.project),
        out=out,
        command=header.command,
    )
    clash = project.variants.variants.keys() & found.keys()
    if clash:
        raise UsageError(
            f"models/variants.yaml has a variant {min(clash)!r}, which is the name of a finalist",
            "rename the variant",
        )
    job = Job(
        request=request,
        project=project._replace(
            variants=msgspec.structs.replace(project.variants, variants=variants)
        ),
        devices=dict(devices),
        variants={name: variants[name] for name in (*found, *asked.against)},
        tflite={},
        to_convert={},
        settings={n: kind_of(spec).settings(n, spec, request) for n, spec in devices.items()},
        dataset=dataset,
    )

    def opened(run_id: str) -> None:
        searches.save(folder, msgspec.structs.replace(final, run_id=run_id))

    run = session.bench(job, narrator, engine=engine, opened=opened)
    return Judged(msgspec.structs.replace(final, run_id=run.folder.name), run.report, run.folder)
