"""What a run needs before it can launch anything: artifacts, their answers to the labelled images,
and input sets. All of it is cached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.analysis.losses import ACCURACY
from harness.core import units
from harness.core.errors import BuildError, HarnessError, UnusableFileError, UsageError
from harness.core.types import Artifact, Evaluation, Finding, Plan, Report
from harness.data.dataset import DEMO
from harness.measure import evaluate
from harness.measure.lab_answers import LabAnswers
from harness.project.request import Job
from harness.stats import accuracy
from harness.system import causes
from harness.system.cache_use import cache_in_use
from harness.system.progress import Narrator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.artifacts.representative import Representative
    from harness.data.dataset import Dataset
    from harness.engine import Engine


class Prepared(NamedTuple):
    """The artifacts in the order asked for, a finding for each variant that could not be built, and
    the float parents: artifacts that are not measured but whose answers others should reproduce."""

    artifacts: dict[str, Artifact]
    unbuilt: tuple[Finding, ...]
    parents: dict[str, Artifact]


def build_artifacts(
    job: Job,
    narrator: Narrator,
    ready: Callable[[Artifact], None] | None = None,
    engine: Engine | None = None,
) -> Prepared:
    """Build what is to be measured, and its float parents where there are labelled images. `ready`
    is called with each artifact to be measured as soon as it is built. Variants are built at the
    hosts of `engine` if there is one; the user's own files are converted here. A float parent that
    cannot be built only leaves the agreement absent, which says so."""
    from harness.artifacts import brought, builder, representative
    from harness.artifacts.converters import ENDINGS, convert
    from harness.measure.lab_build import LabBuild

    cache = cache_in_use()
    data = job.dataset
    parents = _float_parents(job)

    def finished(artifact: Artifact) -> None:
        if ready is None:
            return
        if artifact.variant in parents:  # it answers while others are still being trained
            evaluated(job, {}, {artifact.variant: artifact}, narrator, decide=False)
        else:
            ready(artifact)

    built = builder.build(
        [*job.variants, *parents],
        job.project.variants,
        models_dir=job.project.models_dir,
        cache_dir=cache,
        data=data,
        seed=job.request.seed,
        margin=job.max_accuracy_loss,
        progress=narrator.building,
        ready=finished,
        elsewhere=LabBuild(engine, narrator.say, or_here=True) if engine else None,
    )
    images = representative.of_dataset(data) if data else representative.demo(seed=job.request.seed)
    # A converted file and its source both answer some of these.
    shown = representative.of_dataset(data, split="validation") if data else images
    asked = {v: artifact for v, artifact in built.artifacts.items() if v not in parents}
    artifacts = {**asked, **job.tflite}
    errors: dict[str, HarnessError] = {
        **job.unusable,
        **{
            v: BuildError(failure.message, failure.fix)
            for v, failure in built.failures.items()
            if v not in parents
        },
    }
    by_user = brought.file_options(job.request.pixels, job.request.labels)
    for name, path in job.to_convert.items():
        try:
            if path.suffix.lower() in ENDINGS:
                narrator.say(f"converting {units.printable(str(path))}")
                artifact = convert.converted(path, name, cache, shown)
            else:
                artifact = builder.build_keras_file(
                    path,
                    variant=name,
                    cache_dir=cache,
                    representative=shown,
                    seed=job.request.seed,
                    progress=narrator.building,
                )
            artifacts[name] = brought.described(artifact, by_user, path)
        except HarnessError as error:  # the others are measured all the same
            causes.tell(error)
            errors[name] = error
    ours = [name for name in (*job.tflite, *job.to_convert) if name in artifacts]
    # A file of the user's may see colours, as when it answers.
    coloured = representative.of_dataset(data, colours=True) if data else None
    for name in ours:
        made, refused = _smaller(artifacts[name], job.request.recipes, coloured)
        artifacts |= made
        errors |= refused
    if not artifacts:
        raise next(iter(errors.values()))
    if ready:
        for name, artifact in artifacts.items():
            if name not in asked:
                ready(artifact)
    unbuilt = tuple(
        Finding(
            level="invalid",
            code="build-failed",
            message=f"{name} {_cannot(error)}: {error.message}",
            fix=error.fix,
        )
        for name, error in errors.items()
    )
    return Prepared(
        artifacts, unbuilt, {v: built.artifacts[v] for v in parents if v in built.artifacts}
    )


def _float_parents(job: Job) -> list[str]:
    """The variants that those of the job should agree with and that are not measured themselves;
    none without labelled images."""
    from harness.artifacts.jobs import float_parent

    if job.dataset is None:
        return []
    variants = job.project.variants.variants
    names = {float_parent(name, variants) for name in job.variants}
    return sorted(filter(None, names - set(job.names)))


def _cannot(error: HarnessError) -> str:
    return "cannot be measured" if isinstance(error, UnusableFileError) else "could not be built"


def _smaller(
    source: Artifact, names: Sequence[str], images: Representative | None
) -> tuple[dict[str, Artifact], dict[str, HarnessError]]:
    """A file of the user's made smaller by each recipe: artifacts and errors by row."""
    from harness.artifacts.quantize.parent import quantized

    made: dict[str, Artifact] = {}
    errors: dict[str, HarnessError] = {}
    for recipe in names:
        row = f"{source.variant}-{recipe}"
        try:
            made[row] = quantized(source, recipe, cache_dir=cache_in_use(), representative=images)
        except HarnessError as error:  # the others are measured all the same
            errors[row] = error
    return made, errors


def evaluated(
    job: Job,
    artifacts: Mapping[str, Artifact],
    parents: Mapping[str, Artifact],
    narrator: Narrator,
    engine: Engine | None = None,
    *,
    decide: bool = True,
) -> tuple[Evaluation, ...]:
    """What each artifact answered to the test split, and each float parent to part of it; nothing
    without labelled images. The demo images say nothing about a file that the user brought. The
    hosts of `engine` answer if there is one. Slow artifacts answer only the first part, unless
    their answers are to `decide`."""
    if job.dataset is None:
        return ()
    # Before all have answered, only accuracy is judged, and only beside another variant.
    compared = (job.request.protect or job.project.defaults.protect) == ACCURACY
    alone = len(job.names) < 2
    return evaluate.evaluate(
        artifacts,
        job.dataset,
        parents=parents,
        cache=cache_in_use(),
        brought=job.request.data is not None,
        margin=job.max_accuracy_loss if compared and not alone else None,
        decide=decide,
        progress=narrator.evaluating,
        at_lab=LabAnswers(engine, narrator.say) if engine else None,
    )


def first_words(job: Job, narrator: Narrator) -> Callable[[Artifact], None]:
    """Show the size and accuracy of each artifact as soon as it is built, long before the table:
    training the others takes minutes. The answers are kept, so nothing is done twice."""
    width = max((len(units.name(name)) for name in job.names), default=0)

    def tell(artifact: Artifact) -> None:
        said = f"{units.name(artifact.variant):{width}}  {units.file_size(artifact.size_bytes):>8}"
        alone = {artifact.variant: artifact}
        found = evaluated(job, alone, {}, narrator, decide=False)
        for evaluation in found:
            if evaluation.failure:
                said += f"  no accuracy: {units.printable(evaluation.failure.message)}"
            else:
                share = accuracy.accuracy(evaluation.right)
                said += f"  accuracy {units.share(share)}"
                if evaluation.n < evaluation.of:
                    said += f" on the first {evaluation.n:,} of {evaluation.of:,} test images"
        narrator.say(said)

    return tell


class Shown(NamedTuple):
    """The images of the user's that models are timed on: the first of the test split. `images`
    reads them; the cache knows them by `fingerprint`."""

    source: str
    fingerprint: str
    images: Callable[[], NDArray[np.uint8]]


def input_sets(
    artifacts: Mapping[str, Artifact], seed: int, shown: Shown | None = None
) -> dict[str, Path]:
    """The input set of each artifact, made once and kept in the cache: of the images `shown`, else
    of demo images."""
    from harness.data.inputs import inputs_for

    known = {} if shown is None else shown._asdict()
    cache = cache_in_use()
    return {name: inputs_for(a, cache, seed=seed, **known) for name, a in artifacts.items()}


def shown_now(planned: Plan, dataset: Dataset | None) -> Shown | None:
    """The images that a new run is timed on; None means demo images."""
    if dataset is None or planned.data in (None, DEMO):
        return None

    def images() -> NDArray[np.uint8]:
        colours = dataset.colours("test")
        return dataset.arrays("test")[0] if colours is None else colours

    return Shown(dataset.name, dataset.fingerprint("test"), images)


def shown_before(header: Report) -> Shown | None:
    """The images that a resumed run was timed on; the folder may have changed since, so only the
    cache has them."""
    if header.data is None or header.plan.data in (None, DEMO):
        return None

    def gone() -> NDArray[np.uint8]:
        raise UsageError(
            "the images that the run was timed on are no longer in the cache", "start a new run"
        )

    return Shown(header.data.name, header.data.fingerprints["test"], gone)
