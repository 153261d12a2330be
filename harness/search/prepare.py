"""A search's request, checked before anything is built."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from harness.analysis import metric_specs
from harness.analysis.budget import Budget, parse_budget
from harness.artifacts import builder
from harness.core.errors import BuildError, UsageError
from harness.core.search import SEARCH_VERSION, SearchHeader, SearchRequest
from harness.core.specs import DeviceSpec
from harness.measure import evaluate
from harness.project import preflight
from harness.project.config import Project, load_project
from harness.project.request import Job, Request
from harness.results import searches
from harness.search import measuring
from harness.search.objective import COUNTED, WithoutTest
from harness.search.space import Space, read_space
from harness.system.cache_use import cache_in_use
from harness.system.clock import now_iso

if TYPE_CHECKING:
    from harness.data.dataset import Dataset
    from harness.system.progress import Narrator


class Prepared(NamedTuple):
    """A search that has been checked."""

    header: SearchHeader
    project: Project
    space: Space
    job: Job
    budgets: tuple[Budget, ...]


def check_installed() -> None:
    """Raise UsageError, which names the extra, if Optuna is missing."""
    if importlib.util.find_spec("optuna") is None:
        raise UsageError(
            "a search needs Optuna, which is not installed",
            "pip install 'mobile-bench-harness[build,search]'",
        )


def prepared(
    asked: SearchRequest,
    narrator: Narrator,
    out: Path,
    command: tuple[str, ...],
    space: SearchHeader | None = None,
) -> Prepared:
    """Everything that can be wrong is found here, before anything is built."""
    root = Path(asked.project) if asked.project else None
    project = load_project(root, asked.weights)
    if space is not None:  # the file may have changed since
        variants = msgspec.structs.replace(project.variants, search=space.space)
        project = project._replace(variants=variants)
    entries = read_space(project.variants, project.models_dir, asked.spaces)
    # The variants that it is compared with, or any: only the rest of the request is checked.
    some = asked.against or tuple(project.variants.variants)[:1]
    job = preflight.resolve(
        Request(
            what=some,
            devices=asked.devices,
            data=asked.data,
            split=asked.split,
            seed=asked.seed,
            budget=asked.budget,
            max_accuracy_loss=asked.max_accuracy_loss,
            prefer=asked.prefer,
            weights=asked.weights,
            project=root,
            out=out,
        ),
        narrator.looking,
        narrator.attendant,
    )
    if job.tflite or job.to_convert or job.unusable:
        raise UsageError("--against names variants, not files", "add the file as a variant")
    assert job.dataset is not None
    budgets = parse_budget(asked.budget, metric_specs.specs()) if asked.budget else ()
    _check_budgets(budgets)
    counted = measuring.counting_device(to_count(job, project), narrator)
    if counted is None and any(b.spec.name in COUNTED for b in budgets):
        raise UsageError(
            f"{asked.budget}: instructions need the emulated core", "python -m harness setup arm64"
        )
    dataset = job.dataset
    header = SearchHeader(
        search_version=SEARCH_VERSION,
        search_id=searches.new_id(),
        started_at=now_iso("seconds"),
        asked=msgspec.structs.replace(
            asked, project=str(project.folder), max_accuracy_loss=job.max_accuracy_loss
        ),
        objectives=_objectives(asked, budgets, counted is not None),
        classes=dataset.classes,
        fingerprints={
            "train": dataset.fingerprint("train"),
            "validation": dataset.fingerprint("validation"),
        },
        space={name: entry.spec for name, entry in entries.entries.items()},
        combinations=entries.combinations,
        data=dataset.summary,
        counted_on=None if counted is None else counted[0],
        command=command,
    )
    return Prepared(header, project, entries, job, budgets)


def to_count(job: Job, project: Project) -> Mapping[str, DeviceSpec]:
    """The devices asked for first, then the others of the project."""
    return {**job.devices, **project.devices}


def _check_budgets(budgets: tuple[Budget, ...]) -> None:
    for budget in budgets:
        if budget.spec.labelled and budget.spec.name != "accuracy":
            raise UsageError(
                f"--budget {budget.text}: a search cannot use {budget.spec.name}",
                "leave it out; the report of the finalists has it",
            )


def _objectives(asked: SearchRequest, budgets: tuple[Budget, ...], counts: bool) -> tuple[str, ...]:
    """Accuracy and size; where time is what matters, also a metric that stands for it and has no
    noise."""
    work = "instructions" if counts else "macs"
    if asked.prefer == "latency":
        return ("accuracy", work)
    if any(b.spec.quantity == "time" or b.spec.name in COUNTED for b in budgets):
        return ("accuracy", "size_bytes", work)
    return ("accuracy", "size_bytes")


def reference(prepared: Prepared, narrator: Narrator) -> dict[str, float]:
    """The share of validation images that each variant of --against answers correctly."""
    asked, job = prepared.header.asked, prepared.job
    if not asked.against:
        return {}
    dataset = WithoutTest(dataset_of(job))
    built = builder.build(
        job.variants,
        prepared.project.variants,
        models_dir=prepared.project.models_dir,
        cache_dir=cache_in_use(),
        data=dataset,
        seed=asked.seed,
        margin=job.max_accuracy_loss,
        progress=narrator.building,
    )
    for name, failure in built.failures.items():
        raise BuildError(f"{name}: {failure.message}", failure.fix)
    found = evaluate.evaluate(
        built.artifacts,
        dataset,
        cache=cache_in_use(),
        split=evaluate.VALIDATION,
        progress=narrator.trying,
    )
    return {e.variant: sum(e.right) / e.n for e in found if e.failure is None and e.n}


def dataset_of(job: Job) -> Dataset:
    """The labelled images, which a search always has."""
    assert job.dataset is not None
    return job.dataset
