"""What a variant needs to be built: the request for the child, and the key it is cached by."""

from __future__ import annotations

import importlib.metadata
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness import plugins, recipes
from harness.build import weights as weight_files
from harness.build.representative import Representative
from harness.build.request import Request
from harness.build.sources import closure, read_model, sha256, sha256_file
from harness.core.errors import ConfigError, UsageError
from harness.core.specs import VariantsFile, VariantSpec

# What decides the bytes of an artifact beside our own sources. TensorFlow goes by several names.
_LIBRARIES = ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tf-nightly", "keras", "numpy")
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Job:
    """One artifact to have: the request that makes it, the key it is cached by, and `claims`, the
    fields of Artifact that cannot be read off the file. `label` names its log."""

    variant: str
    label: str
    key: str
    request: Request
    calibrates: bool
    claims: dict[str, object]


@dataclass(frozen=True)
class Planner:
    """What all jobs of one call have in common. `cache` is where fetched weights are noted."""

    cache: Path
    representative: Representative
    seed: int

    def variant(
        self,
        name: str,
        project: VariantsFile,
        models_dir: Path,
        fetching: Callable[[int, int | None], None],
    ) -> Job:
        """The job of a variant; fetches weights if it must, telling `fetching` how far.

        Raises UsageError and ConfigError that name the variant.
        """
        try:
            return self._variant(name, project, models_dir, fetching)
        except UsageError as error:
            raise type(error)(f"variant {name}: {error.message}", error.mend) from None

    def _variant(
        self,
        name: str,
        project: VariantsFile,
        models_dir: Path,
        fetching: Callable[[int, int | None], None],
    ) -> Job:
        spec = project.variants[name]
        chain = recipes.parse(spec.recipe, spec.recipe_options)
        model = read_model(models_dir.absolute(), spec.model)
        options = model.options(spec.options)
        source = project.imagenet.get(spec.model)
        weights = weight_files.resolve(
            spec.weights, source, options, folder=models_dir, cache=self.cache, progress=fetching
        )
        if weights.path and not model.takes("weights"):
            raise ConfigError(
                f"build in {model.path} takes no weights", "add the parameter, or say random"
            )
        if spec.float_parent is not None and spec.float_parent not in project.variants:
            raise plugins.unknown("float_parent", spec.float_parent, project.variants)
        request = Request(
            recipe=spec.recipe,
            recipe_options=spec.recipe_options,
            model_file=str(model.path),
            options=options,
            weights=str(weights.path.absolute()) if weights.path else None,
            seed=self.seed,
        )
        made_of = {"model": closure(model.path), "options": options, "weights": weights.sha256}
        return Job(
            variant=name,
            label=name,
            key=self._key(request, chain, made_of),
            request=request,
            calibrates=chain.calibrates,
            claims={
                "variant": name,
                "model": spec.model,
                "recipe": spec.recipe,
                "options": options,
                "weights": weights.kind,
                "trained": False,
                "float_parent": float_parent(name, project.variants),
                "findings": weights.findings,
            },
        )

    def keras_file(
        self, path: Path, variant: str, recipe: str, recipe_options: Mapping[str, object]
    ) -> Job:
        """The job of a .keras file; UsageError if it cannot be one."""
        if not path.is_file():
            raise UsageError(f"there is no file {path}", "give a file that Keras saved as .keras")
        if not zipfile.is_zipfile(path):
            raise UsageError(f"{path} is no .keras file", "save it with model.save('NAME.keras')")
        chain = recipes.parse(recipe, recipe_options)
        request = Request(
            recipe=recipe,
            recipe_options=dict(recipe_options),
            keras_file=str(path.absolute()),
            seed=self.seed,
        )
        return Job(
            variant=variant,
            label=f"{path.stem}-{recipe}",
            key=self._key(request, chain, {"keras_file": sha256_file(path)}),
            request=request,
            calibrates=chain.calibrates,
            claims={"variant": variant, "recipe": recipe},
        )

    def _key(self, request: Request, chain: recipes.Chain, made_of: Mapping[str, object]) -> str:
        """Digest of all that the bytes of the artifact, and what we say of them, depend on."""
        ours = [Path(step.module.__file__ or "") for step in chain.steps]
        ours.append(_HERE / "inspect.py")
        everything = {
            **made_of,
            "seed": request.seed,
            "recipe": [step.name for step in chain.steps],
            "recipe_options": chain.options,
            "representative": self.representative.fingerprint if chain.calibrates else None,
            "sources": [sha256_file(_HERE / "child.py"), *(closure(path) for path in ours)],
            "libraries": _versions(),
        }
        return sha256(msgspec.json.encode(everything, order="deterministic"))


def _versions() -> dict[str, str]:
    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def float_parent(name: str, variants: Mapping[str, VariantSpec]) -> str | None:
    """The variant that `name` should agree with: the one it names, else the first that has the
    same model, options and weights and lacks the last recipe; None if there is none."""
    spec = variants[name]
    if spec.float_parent is not None or spec.recipe == recipes.BASE:
        return spec.float_parent
    recipe = spec.recipe.rpartition("+")[0] or recipes.BASE
    for other, candidate in variants.items():
        same = (candidate.model, candidate.options, candidate.weights, candidate.recipe)
        if same == (spec.model, spec.options, spec.weights, recipe):
            options = recipes.parse(spec.recipe, spec.recipe_options).options
            theirs = recipes.parse(recipe, candidate.recipe_options).options
            if all(options.get(step, own) == own for step, own in theirs.items()):
                return other
    return None
