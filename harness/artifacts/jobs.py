"""What a variant needs to be built: the request for the child, and the key it is cached by."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.artifacts import quantize, recipes
from harness.artifacts.child.protocol import BuildRequest
from harness.artifacts.network_plans import NetworkPlans, Training, versions
from harness.artifacts.representative import Representative
from harness.artifacts.sources import closure, sha256
from harness.core.errors import UsageError
from harness.core.specs import VariantsFile, VariantSpec
from harness.core.types import Finding
from harness.system import files, plugins

_HERE = Path(__file__).parent
_CHILD = ("main.py", "networks.py", "widen.py", "batches.py", "faithful.py")


@dataclass(frozen=True)
class BuildJob:
    """One artifact to make: the request that makes it, the key it is cached by, what must be
    trained before, `claims`, the fields of Artifact that cannot be read from the file, and
    `findings` about where its weights are from. `label` names its log. `afterwards` is the recipe
    that then makes the artifact smaller, without TensorFlow."""

    variant: str
    label: str
    key: str
    request: BuildRequest
    calibrates: bool
    claims: dict[str, object]
    trainings: tuple[Training, ...] = ()
    findings: tuple[Finding, ...] = ()
    afterwards: str | None = None

    @property
    def options(self) -> dict[str, object]:
        """The model's options, as far as they are known before it is trained."""
        return self.request.network.options if self.request.network else {}


@dataclass(frozen=True)
class Planner:
    """Makes the jobs of one call; holds what they have in common."""

    representative: Representative
    seed: int

    def variant(self, name: str, project: VariantsFile, plans: NetworkPlans) -> BuildJob:
        """The job of a variant; fetches weights if it must.

        Raises UsageError and ConfigError that name the variant.
        """
        try:
            return self._variant(name, project, plans)
        except UsageError as error:
            raise type(error)(f"variant {name}: {error.message}", error.fix) from None

    def _variant(self, name: str, project: VariantsFile, plans: NetworkPlans) -> BuildJob:
        spec = project.variants[name]
        chain = recipes.parse(spec.recipe, spec.recipe_options)
        if chain.afterwards:
            quantize.check_installed(chain.afterwards)
        plan = plans.of(name)
        if spec.float_parent is not None and spec.float_parent not in project.variants:
            raise plugins.unknown("float_parent", spec.float_parent, project.variants)
        request = BuildRequest(
            recipe=spec.recipe,
            recipe_options=spec.recipe_options,
            network=plan.network,
            seed=self.seed,
            trained=plans.trained(plan),
        )
        trainings = [training for need in plan.needs for training in need.all]
        return BuildJob(
            variant=name,
            label=name,
            key=self._key(request, chain, {"network": plan.made_of}),
            request=request,
            calibrates=chain.calibrates,
            claims={
                "variant": name,
                "model": spec.model,
                "recipe": spec.recipe,
                "options": plan.network.options,
                "weights": plan.weights,
                "trained": bool(plan.needs),
                "float_parent": float_parent(name, project.variants),
            },
            findings=plan.findings,
            trainings=tuple(dict.fromkeys(trainings)),
            afterwards=chain.afterwards,
        )

    def keras_file(
        self, path: Path, variant: str, recipe: str, recipe_options: Mapping[str, object]
    ) -> BuildJob:
        """The job of a .keras or .h5 file or of a SavedModel folder; UsageError if it cannot be
        one."""
        if not path.exists():
            raise UsageError(f"there is no file {path}", "give a file that Keras saved")
        if path.suffix.lower() == ".keras" and not zipfile.is_zipfile(path):
            raise UsageError(
                f"{path} is not a .keras file", "save it with model.save('NAME.keras')"
            )
        chain = recipes.parse(recipe, recipe_options)
        request = BuildRequest(
            recipe=recipe,
            recipe_options=dict(recipe_options),
            keras_file=str(path.absolute()),
            seed=self.seed,
        )
        return BuildJob(
            variant=variant,
            label=f"{path.stem}-{recipe}",
            key=self._key(request, chain, {"keras_file": _content(path)}),
            request=request,
            calibrates=True,  # and both sides' answers to the pictures are compared
            claims={"variant": variant, "recipe": recipe},
        )

    def _key(
        self, request: BuildRequest, chain: recipes.Chain, made_of: Mapping[str, object]
    ) -> str:
        """Digest of everything that the artifact's bytes and its description depend on."""
        looks = chain.calibrates or request.keras_file is not None
        ours = [Path(step.module.__file__ or "") for step in chain.steps]
        ours += [_HERE / "tflite/inspect.py", _HERE / "sizes/changes.py"]
        ours += [_HERE / "sizes/tflite_file.py"]
        everything = {
            **made_of,
            "seed": request.seed,
            "recipe": [step.name for step in chain.steps],
            "recipe_options": chain.options,
            "representative": self.representative.fingerprint if looks else None,
            "sources": [files.sha256(_HERE / "child" / name) for name in _CHILD],
            "steps": [closure(path) for path in ours],
            "libraries": versions(),
        }
        return sha256(msgspec.json.encode(everything, order="deterministic"))


def _content(path: Path) -> object:
    """The digest of a file, or of each file of a folder by its name."""
    if path.is_file():
        return files.sha256(path)
    below = sorted(file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): files.sha256(file) for file in below}


def float_parent(name: str, variants: Mapping[str, VariantSpec]) -> str | None:
    """The variant that `name` should agree with: the one it names, else the first that has the
    same model, options and weights and lacks the last recipe; None if there is none."""
    spec = variants[name]
    if spec.float_parent is not None or spec.recipe == recipes.BASE:
        return spec.float_parent
    recipe = spec.recipe.rpartition("+")[0] or recipes.BASE
    for other, candidate in variants.items():
        if candidate.recipe == recipe and _network(candidate) == _network(spec):
            options = recipes.parse(spec.recipe, spec.recipe_options).options
            theirs = recipes.parse(recipe, candidate.recipe_options).options
            if all(options.get(step, own) == own for step, own in theirs.items()):
                return other
    return None


def _network(spec: VariantSpec) -> tuple[object, ...]:
    return spec.model, spec.options, spec.weights, spec.training
