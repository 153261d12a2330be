"""Variants -> artifacts: look into the cache, build what is not there. TensorFlow is never imported
on this side, so that a run which finds everything in the cache costs next to nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness import plugins, recipes
from harness.build import process
from harness.build.cache import Cache, Corrupted
from harness.build.jobs import Job, Planner
from harness.build.representative import Representative
from harness.build.request import Step
from harness.core.errors import BuildError, UsageError
from harness.core.specs import VariantsFile
from harness.core.types import Artifact, Failure, Finding

TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class Progress:
    """`variant` is in `stage` ("cached", "converting", ...); it is number `index` of `count`,
    counted from 0. `done` of `total` tells how far the stage is, where that is known."""

    variant: str
    stage: str
    index: int
    count: int
    done: int | None = None
    total: int | None = None


Listener = Callable[[Progress], None]


@dataclass(frozen=True)
class Built:
    """Artifacts by variant, in the order asked for; a variant that failed is in `failures`."""

    artifacts: dict[str, Artifact] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)


def build(
    names: Iterable[str],
    project: VariantsFile,
    *,
    models_dir: Path,
    cache_dir: Path,
    representative: Representative,
    seed: int = 0,
    progress: Listener | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Built:
    """The artifacts of the variants `names` of `project`, from the cache or built.

    Everything that can be known to be wrong is found before the first child starts and raised:
    UsageError and ConfigError. A variant whose build fails later is in `failures`, and the others
    go on.
    """
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in project.variants:
            raise plugins.unknown("variant", name, project.variants)
    builder = _Builder(Cache(cache_dir), representative, progress, timeout_s)
    planner = Planner(builder.cache.root, representative, seed)
    jobs = []
    for index, name in enumerate(names):
        tell = builder.teller(name, index, len(names))

        def fetching(done: int, total: int | None, tell: _Tell = tell) -> None:
            tell(Step(stage="fetching weights", done=done, total=total))

        jobs.append(planner.variant(name, project, models_dir, fetching))
    return builder.run(jobs)


def build_keras_file(
    path: Path,
    *,
    variant: str | None = None,
    recipe: str = recipes.BASE,
    recipe_options: Mapping[str, object] | None = None,
    cache_dir: Path,
    representative: Representative,
    seed: int = 0,
    progress: Listener | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Artifact:
    """A .keras file that the user brought, converted; `variant` is its stem unless given.

    Raises UsageError if it is no Keras 3 file or the recipe does not fit, BuildError if
    conversion fails.
    """
    builder = _Builder(Cache(cache_dir), representative, progress, timeout_s)
    planner = Planner(builder.cache.root, representative, seed)
    job = planner.keras_file(path, variant or path.stem, recipe, recipe_options or {})
    built = builder.run([job])
    for failure in built.failures.values():
        raise BuildError(failure.message, failure.mend)
    return built.artifacts[job.variant]


_Tell = Callable[[Step], None]


@dataclass(frozen=True)
class _Builder:
    cache: Cache
    representative: Representative
    progress: Listener | None
    timeout_s: float

    def run(self, jobs: list[Job]) -> Built:
        built = Built()
        for index, job in enumerate(jobs):
            tell = self.teller(job.variant, index, len(jobs))
            try:
                artifact = self._have(job, tell)
            except BuildError as error:
                tell(Step(stage="failed"))
                built.failures[job.variant] = Failure(
                    stage="build", transient=False, message=error.message, mend=error.mend
                )
            else:
                built.artifacts[job.variant] = artifact
        return built

    def _have(self, job: Job, tell: _Tell) -> Artifact:
        """From the cache, or else built; said so if what the cache held was broken."""
        try:
            artifact = self.cache.get(job.key)
        except Corrupted as error:
            broken = Finding(
                level="info", code="cache-corrupted", message=f"{error}, so it was built again"
            )
            return _described(self._build(job, tell), job, broken)
        if artifact is None:
            return _described(self._build(job, tell), job)
        tell(Step(stage="cached"))
        return _described(artifact, job)

    def _build(self, job: Job, tell: _Tell) -> Artifact:
        if importlib.util.find_spec("tensorflow") is None:
            raise UsageError(
                f"{job.variant} must be built, and TensorFlow is not installed",
                "pip install 'mobile-bench-harness[build]'",
            )
        waiting = Step(stage="waiting for another process that builds the same")
        with self.cache.lock(job.key, lambda: tell(waiting)):
            try:
                artifact = self.cache.get(job.key)
            except Corrupted:
                self.cache.discard(job.key)
                artifact = None
            if artifact is None:
                request = job.request
                if job.calibrates:
                    images = self.representative.save(self.cache.root)
                    request = msgspec.structs.replace(request, representative=str(images))
                log = self.cache.log(job.key, job.label)
                with self.cache.building(job.key) as folder:
                    process.run(request, folder, log, tell, self.timeout_s)
                artifact = self.cache.get(job.key)
                assert artifact is not None
        tell(Step(stage="built"))
        return artifact

    def teller(self, variant: str, index: int, count: int) -> _Tell:
        def tell(step: Step) -> None:
            if self.progress:
                self.progress(Progress(variant, step.stage, index, count, step.done, step.total))

        return tell


def _described(artifact: Artifact, job: Job, *findings: Finding) -> Artifact:
    described = msgspec.structs.replace(artifact, **job.claims)
    return msgspec.structs.replace(described, findings=(*described.findings, *findings))
