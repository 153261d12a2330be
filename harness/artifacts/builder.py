"""Variants -> artifacts: from the cache, or built. TensorFlow is never imported in this process, so
a run that finds everything in the cache starts fast."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from harness.artifacts import recipes, side_by_side
from harness.artifacts.cache import Cache, Corrupted, TrainedCache
from harness.artifacts.child import forked, start
from harness.artifacts.child.protocol import BuildRequest, Step, TrainRequest
from harness.artifacts.jobs import BuildJob, Planner
from harness.artifacts.material import Material
from harness.artifacts.network_plans import MARGIN, NetworkPlans, Training
from harness.artifacts.quantize.parent import quantized
from harness.artifacts.representative import Representative, demo, of_dataset
from harness.artifacts.side_by_side import Children
from harness.core.build_progress import BuildProgress
from harness.core.errors import BuildError, UsageError
from harness.core.specs import VariantsFile
from harness.core.types import Artifact, Failure, Finding
from harness.system import causes, plugins

if TYPE_CHECKING:
    from harness.data.dataset import Dataset

TIMEOUT_S = 1800.0
TRAINING_TIMEOUT_S = 24 * 3600.0  # it shows how far it is, and can be interrupted and resumed


Listener = Callable[[BuildProgress], None]
Ready = Callable[[Artifact], None]


class Site(NamedTuple):
    """What the jobs of one call have in common."""

    cache: Path
    representative: Representative
    material: Material | None


class Elsewhere(Protocol):
    """Other machines that can build."""

    def bring(
        self, jobs: Sequence[BuildJob], site: Site, tell: Callable[[str, Step], None]
    ) -> Mapping[str, Failure]:
        """Build these jobs and put their artifacts into the cache. Returns, by variant, why it was
        not built. `tell` is called with how far each variant is. Raises UsageError for what the
        user has to correct."""


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
    representative: Representative | None = None,
    data: Dataset | None = None,
    seed: int = 0,
    margin: float = MARGIN,
    progress: Listener | None = None,
    ready: Ready | None = None,
    timeout_s: float = TIMEOUT_S,
    classes: int = 2,
    children: Children | None = None,
    elsewhere: Elsewhere | None = None,
) -> Built:
    """The artifacts of the variants `names` of `project`, from the cache or built. They are trained
    on `data`, which also calibrates int8 if there is no `representative`; without `data` they are
    not trained. `margin` is the share of accuracy that `cut: auto` may give up. `ready` is called
    with each artifact as soon as it is built. Without `data`, networks have outputs for `classes`
    classes. `children` are the processes that build, so that the caller can end them. What is not
    in the cache is built `elsewhere`, if that is given.

    Mistakes that can be found before the first child starts are raised as UsageError or
    ConfigError. A variant whose build fails later is in `failures`; the others are still built.
    """
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in project.variants:
            raise plugins.unknown("variant", name, project.variants)
    if representative is None:
        representative = of_dataset(data) if data else demo(seed=seed)
    material = Material(data, cache_dir) if data else None
    builder = _Builder(
        Cache(cache_dir), representative, progress, timeout_s, material, children or Children()
    )
    planner = Planner(representative, seed)
    plans = NetworkPlans(
        project,
        models_dir,
        cache=builder.trained,
        material=material,
        seed=seed,
        margin=margin,
        classes=classes,
    )
    jobs = []
    for index, name in enumerate(names):
        tell = builder.teller(name, index, len(names))

        def fetching(done: int, total: int | None, tell: _Tell = tell) -> None:
            tell(Step(stage="fetching weights", done=done, total=total))

        plans.fetching = fetching
        jobs.append(planner.variant(name, project, plans))
    failed = builder.brought(jobs, elsewhere) if elsewhere else {}
    return builder.run(jobs, ready, failed)


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

    Raises UsageError if it is not a Keras 3 file or the recipe does not fit, BuildError if
    conversion fails.
    """
    builder = _Builder(Cache(cache_dir), representative, progress, timeout_s)
    planner = Planner(representative, seed)
    job = planner.keras_file(path, variant or path.stem, recipe, recipe_options or {})
    built = builder.run([job])
    for failure in built.failures.values():
        raise BuildError(failure.message, failure.fix)
    return built.artifacts[job.variant]


def carry_out(
    job: BuildJob | Training,
    afterwards: Sequence[str],
    site: Site,
    *,
    variant: str,
    tell: Callable[[Step], None],
    children: Children,
) -> list[Path]:
    """Do one job for another machine, as it would be done here; returns the folders of the cache
    that then hold it, also those of what is made from it `afterwards`. Raises what `build` raises,
    and BuildError. The images of a training without `material` must be in the cache."""
    builder = _Builder(
        Cache(site.cache), site.representative, None, TIMEOUT_S, site.material, children
    )
    with forked.server:
        if isinstance(job, Training):
            builder.train(job, variant, tell)
            return [builder.trained.folder(job.key)]
        artifact = builder.converted(job, tell)
    folders = [Path(artifact.path).parent]
    for recipe in afterwards:
        tell(Step(stage=f"making {recipe}"))
        # The machine that asked makes it again, and then raises the error.
        with contextlib.suppress(BuildError, UsageError):
            smaller = quantized(
                artifact, recipe, cache_dir=site.cache, representative=site.representative
            )
            folders.append(Path(smaller.path).parent)
    return folders


_Tell = Callable[[Step], None]
_WAITING = Step(stage="waiting for another process that builds the same")


@dataclass(frozen=True)
class _Builder:
    cache: Cache
    representative: Representative
    progress: Listener | None
    timeout_s: float
    material: Material | None = None
    children: Children = field(default_factory=Children)
    _writing: threading.Lock = field(default_factory=threading.Lock)  # images are written once

    @property
    def trained(self) -> TrainedCache:
        """Where trained networks are."""
        return TrainedCache(self.cache.root)

    def brought(self, jobs: list[BuildJob], elsewhere: Elsewhere) -> Mapping[str, Failure]:
        """Have the other machines build what is not in the cache. Returns the failures by
        variant."""
        tellers = self._tellers(jobs)
        wanted = []
        for job in jobs:
            self.cache.note_use(job.key, job.variant)
            with contextlib.suppress(Corrupted):  # building it again raises the error
                if self.cache.get(job.key) is None:
                    wanted.append(job)
        if not wanted:
            return {}
        site = Site(self.cache.root, self.representative, self.material)
        return elsewhere.bring(wanted, site, lambda variant, step: tellers[variant](step))

    def run(
        self,
        jobs: list[BuildJob],
        ready: Ready | None = None,
        failed: Mapping[str, Failure] = MappingProxyType({}),
    ) -> Built:
        """Get all of them but those that have `failed`; stops at the first error that the user has
        to fix."""
        with forked.server:
            return self._run_all(jobs, ready, failed)

    def _tellers(self, jobs: list[BuildJob]) -> dict[str, _Tell]:
        return {j.variant: self.teller(j.variant, i, len(jobs)) for i, j in enumerate(jobs)}

    def _run_all(
        self, jobs: list[BuildJob], ready: Ready | None, failed: Mapping[str, Failure]
    ) -> Built:
        tellers = self._tellers(jobs)
        done: dict[str, Artifact] = {}
        failures = dict(failed)
        for job, future in side_by_side.each(
            [job for job in jobs if job.variant not in failed],
            lambda job: self._have(job, tellers[job.variant]),
            claims=lambda job: {
                job.key,
                *(c for training in job.trainings for c in training.claims),
            },
            children=self.children,
        ):
            try:
                artifact = done[job.variant] = future.result()
            except BuildError as error:
                causes.tell(error)
                tellers[job.variant](Step(stage="failed"))
                failures[job.variant] = Failure(
                    stage="build", transient=False, message=error.message, fix=error.fix
                )
            else:
                if ready:
                    ready(artifact)
        return Built(
            artifacts={j.variant: done[j.variant] for j in jobs if j.variant in done},
            failures={j.variant: failures[j.variant] for j in jobs if j.variant in failures},
        )

    def _have(self, job: BuildJob, tell: _Tell) -> Artifact:
        """The artifact of a job, from the cache or built."""
        artifact = self.converted(job, tell)
        if job.afterwards is None:
            return artifact
        tell(Step(stage=f"making {job.afterwards}"))
        smaller = quantized(
            artifact,
            job.afterwards,
            cache_dir=self.cache.root,
            representative=self.representative,
        )
        tell(Step(stage="built"))
        found = (*artifact.findings, *smaller.findings)
        claims = {**job.claims, "options": artifact.options, "findings": found}
        return msgspec.structs.replace(smaller, **claims)

    def converted(self, job: BuildJob, tell: _Tell) -> Artifact:
        """What TensorFlow makes, from the cache or else built, with a finding if the cached one was
        broken."""
        self.cache.note_use(job.key, job.variant)
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

    def _build(self, job: BuildJob, tell: _Tell) -> Artifact:
        if importlib.util.find_spec("tensorflow") is None:
            raise UsageError(
                f"{job.variant} must be built, and TensorFlow is not installed",
                "pip install 'mobile-bench-harness[build]'",
            )
        with self.cache.lock(job.key, lambda: tell(_WAITING), self.children.stopping):
            self.cache.note_use(job.key, job.variant)
            artifact = self.cache.intact(job.key)
            if artifact is None:
                for training in job.trainings:
                    own = training is job.trainings[-1]
                    self.train(training, job.variant, tell if own else _without_epochs(tell))
                request = job.request
                if job.calibrates:
                    with self._writing:
                        images = self.representative.save(self.cache.root)
                    request = msgspec.structs.replace(request, representative=str(images))
                log = self.cache.log(job.key, job.label)
                with self.cache.building(job.key) as folder:
                    self._run(request, folder, log, tell, self.timeout_s)
                self.cache.note_use(job.key, job.variant)
                artifact = self.cache.get(job.key)
                assert artifact is not None
        tell(Step(stage="built"))
        return artifact

    def train(self, training: Training, variant: str, tell: _Tell) -> None:
        """Put the network into the cache; a training that was killed continues where it was."""
        cache, key = self.trained, training.key
        with cache.lock(key, lambda: tell(_WAITING), self.children.stopping):
            cache.note_use(key, variant)
            if cache.has(key):
                return
            if self.material is not None:
                tell(Step(stage="reading the images"))
                start.get_ready()
                with self._writing:
                    self.material.save()
            log = cache.log(key, training.label)
            with cache.building(key) as folder:
                self._run(training.request, folder, log, tell, TRAINING_TIMEOUT_S)
            cache.note_use(key, variant)
            shutil.rmtree(cache.checkpoint(key), ignore_errors=True)

    def _run(
        self,
        request: BuildRequest | TrainRequest,
        folder: Path,
        log: Path,
        tell: _Tell,
        within_s: float,
    ) -> None:
        start.run(request, folder, log, tell=tell, timeout_s=within_s, children=self.children)

    def teller(self, variant: str, index: int, count: int) -> _Tell:
        def tell(step: Step) -> None:
            if self.progress:
                accuracy = step.epoch.validation_accuracy if step.epoch else None
                self.progress(
                    BuildProgress(
                        variant, step.stage, index, count, step.done, step.total, accuracy
                    )
                )

        return tell


def _without_epochs(tell: _Tell) -> _Tell:
    """`tell` without the epochs: they belong to a network that another one needs, such as its
    teacher."""
    return lambda step: tell(msgspec.structs.replace(step, epoch=None))


def _described(artifact: Artifact, job: BuildJob, *findings: Finding) -> Artifact:
    """The artifact with the fields that its file does not say and the findings of building."""
    # An option that training chose, such as where the trunk is cut, comes with the artifact.
    claims = dict(job.claims)
    if artifact.options:
        claims["options"] = {**job.options, **artifact.options}
    described = msgspec.structs.replace(artifact, **claims)
    found = (*artifact.findings, *job.findings, *findings)
    return msgspec.structs.replace(described, findings=found)
