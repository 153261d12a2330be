"""Plans which network each variant needs and what must be trained for it, before anything runs."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import msgspec

from harness.artifacts import recipes
from harness.artifacts import weights as weight_files
from harness.artifacts.cache import TrainedCache
from harness.artifacts.child.protocol import AUTO_CUT, Network, Teacher, TrainRequest
from harness.artifacts.material import Material
from harness.artifacts.sources import Model, closure, read_model, sha256
from harness.artifacts.weights import Weights
from harness.core.errors import ConfigError
from harness.core.specs import TrainingSpec, VariantsFile, VariantSpec
from harness.core.types import Finding
from harness.system import files, plugins

Fetching = Callable[[int, int | None], None]

# How much accuracy `cut: auto` may give up by default: 2 points.
MARGIN = 0.02

# Libraries that decide the bytes of a network. TensorFlow is published under several names.
_LIBRARIES = ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tf-nightly", "keras", "numpy")
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Training:
    """One network to train after those that it `needs`."""

    key: str
    label: str
    request: TrainRequest
    needs: tuple[Training, ...] = ()

    @property
    def all(self) -> tuple[Training, ...]:
        """This one and all that it needs, in the order in which they can be done."""
        before = [training for need in self.needs for training in need.all]
        return tuple(dict.fromkeys([*before, self]))

    @property
    def claims(self) -> tuple[str, ...]:
        """The keys of the network and the features, which no other training may make at the same
        time."""
        return (self.key, self.request.features) if self.request.features else (self.key,)

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True)
class NetworkPlan:
    """A network, everything that its weights depend on (`made_of`), and the trainings it needs.
    `weights` is where its initial weights came from."""

    network: Network
    made_of: dict[str, object]
    weights: str
    needs: tuple[Training, ...] = ()
    findings: tuple[Finding, ...] = ()


class NetworkPlans:
    """The networks of one project. Without `material` nothing is trained."""

    def __init__(
        self,
        project: VariantsFile,
        models_dir: Path,
        *,
        cache: TrainedCache,
        material: Material | None,
        seed: int,
        margin: float = MARGIN,
        classes: int = 2,
        fetching: Fetching | None = None,
    ) -> None:
        self._project = project
        self._models_dir = models_dir
        self._cache = cache
        self._material = material
        self._seed = seed
        self._classes = len(material.dataset.classes) if material else classes
        # Half of it: rounding to int8 and the chance of other images take their part of the rest,
        # and a cut exactly at the margin could never be shown to be within it.
        self._for_a_cut = margin / 2
        self.fetching = fetching
        self._under_way: list[str] = []

    def of(self, name: str) -> NetworkPlan:
        """The network that variant `name` converts. Raises UsageError and ConfigError."""
        if name in self._under_way:
            circle = " -> ".join([*self._under_way, name])
            raise ConfigError(f"variants are made from each other: {circle}", "break the circle")
        self._under_way.append(name)
        try:
            spec = self._project.variants[name]
            settings = spec.training or self._project.training.get(spec.model) or TrainingSpec()
            plan = self._of(spec, settings)
            if self._material is None:
                return plan
            chain = recipes.parse(spec.recipe, spec.recipe_options)
            return self._changed(plan, spec.model, settings, chain)
        finally:
            self._under_way.pop()

    def trained(self, plan: NetworkPlan) -> str | None:
        """The folder with the results of the network's training, if it was trained."""
        return str(self._cache.folder(plan.needs[-1].key)) if plan.needs else None

    def _of(self, spec: VariantSpec, settings: TrainingSpec) -> NetworkPlan:
        """The network before the recipe."""
        model = read_model(self._models_dir.absolute(), spec.model)
        options = self._options(model, spec.options)
        weights = weight_files.resolve(
            spec.weights,
            self._project.imagenet.get(spec.model),
            options,
            folder=self._models_dir,
            cache=self._cache.root,
            progress=self.fetching,
        )
        if weights.path and not model.takes("weights"):
            raise ConfigError(
                f"build in {model.path} takes no weights", "add the parameter, or say random"
            )
        findings = weights.findings
        if options.get("cut") == AUTO_CUT and not self._can_choose(settings, weights):
            options["cut"] = None
            findings += (_CUT_NOT_CHOSEN,)
        made_of: dict[str, object] = {
            "model": closure(model.path),
            "options": options,
            "weights": weights.sha256,
            "seed": self._seed,
        }
        network = Network(
            model_file=str(model.path),
            options=options,
            weights=str(weights.path.absolute()) if weights.path else None,
            seed=self._seed,
        )
        plan = NetworkPlan(network, made_of, weights.kind, findings=findings)
        if self._material is None:
            return plan
        if settings.inherit:
            return self._inheriting(plan, spec, settings)
        if settings.grow_from and not weights.path:
            return self._grown(plan, spec, settings, weights)
        trained = _from_scratch(weights, "the whole network was trained from random weights")
        plan = replace(plan, findings=(*trained, *findings[len(weights.findings) :]))
        trunk = self._trunk(plan, model) if weights.path and model.takes("cut") else None
        return self._trained(plan, spec.model, settings, trunk)

    def _can_choose(self, settings: TrainingSpec, weights: Weights) -> bool:
        """Whether a cut can be chosen: that takes images and a pretrained trunk."""
        return bool(self._material and weights.path and not settings.inherit)

    def _trunk(self, plan: NetworkPlan, model: Model) -> NetworkPlan:
        """The whole trunk; its features do not depend on the cut or on the head. If it can, it
        reads one channel, which gives the same features in less time."""
        options = {k: v for k, v in plan.network.options.items() if k != "classes"}
        options["cut"] = None
        if model.takes("gray"):
            options["gray"] = True
        return replace(
            plan,
            network=msgspec.structs.replace(plan.network, options=options),
            made_of={**plan.made_of, "options": options},
        )

    def _options(self, model: Model, given: Mapping[str, object]) -> dict[str, object]:
        options = model.options({k: v for k, v in given.items() if k != "classes"})
        classes = self._classes
        options.pop("classes", None)
        if classes > 2:
            if not model.takes("classes"):
                raise ConfigError(
                    f"build in {model.path} can tell two classes apart, the data have {classes}",
                    "give it a parameter `classes` and end it in a softmax over that many",
                )
            options["classes"] = classes
        return options

    def _inheriting(
        self, plan: NetworkPlan, spec: VariantSpec, settings: TrainingSpec
    ) -> NetworkPlan:
        parent = self._other("inherit", settings.inherit or "")
        network = msgspec.structs.replace(plan.network, weights=None, parent=parent.network)
        made_of = {**plan.made_of, "weights": None, "parent": parent.made_of}
        inherits = NetworkPlan(network, made_of, parent.weights, parent.needs, parent.findings)
        return self._trained(inherits, spec.model, settings)

    def _grown(
        self, plan: NetworkPlan, spec: VariantSpec, settings: TrainingSpec, weights: Weights
    ) -> NetworkPlan:
        options = settings.grow_from or {}
        narrow = self._of(
            msgspec.structs.replace(
                spec, options={**spec.options, **options}, weights=weight_files.RANDOM
            ),
            msgspec.structs.replace(settings, grow_from=None),
        )
        how = ", ".join(f"{name} {value}" for name, value in options.items())
        return NetworkPlan(
            msgspec.structs.replace(plan.network, parent=narrow.network, grown=True),
            {**plan.made_of, "grown_from": narrow.made_of},
            plan.weights,
            narrow.needs,
            _from_scratch(
                weights,
                f"a network with {how} was trained from random weights and widened "
                "to this one; its channels are copies, so gzip makes it smaller than a real one",
            ),
        )

    def _other(self, what: str, name: str) -> NetworkPlan:
        if name not in self._project.variants:
            raise plugins.unknown(what, name, self._project.variants)
        return self.of(name)

    def _trained(
        self,
        plan: NetworkPlan,
        model: str,
        settings: TrainingSpec,
        trunk: NetworkPlan | None = None,
    ) -> NetworkPlan:
        """`plan`, trained as `settings` say; unchanged if they ask for no epochs. With a `trunk`,
        a head is solved on its features."""
        if not settings.epochs:
            return plan
        teachers = {name: self._other("teacher", name) for name in settings.teachers}
        features = None
        if plan.network.weights is not None:
            assert self._material is not None
            made_of = [(trunk or plan).made_of, self._material.fingerprint, *_common()]
            if trunk:
                made_of += [files.sha256(_HERE / "child/transfer.py")]
            features = str(self._cache.root / "features" / f"{_digest(made_of)}.npz")
        return self._after(
            plan,
            model,
            settings,
            teachers=teachers,
            features=features,
            trunk=trunk.network if trunk else None,
        )

    def _changed(
        self, plan: NetworkPlan, model: str, settings: TrainingSpec, chain: recipes.Chain
    ) -> NetworkPlan:
        """`plan`, trained further while a recipe changes it, if a recipe of `chain` does that."""
        step = chain.trainer
        if step is None:
            return plan
        settings = msgspec.structs.replace(settings, teacher=())
        return self._after(plan, model, settings, step=step)

    def _after(
        self,
        plan: NetworkPlan,
        model: str,
        settings: TrainingSpec,
        *,
        teachers: Mapping[str, NetworkPlan] = MappingProxyType({}),
        features: str | None = None,
        trunk: Network | None = None,
        step: recipes.Step | None = None,
    ) -> NetworkPlan:
        """The plan of the network that one training makes from the network of `plan`."""
        assert self._material is not None
        # Start and teachers are identified by content, not by name.
        settings = msgspec.structs.replace(settings, inherit=None, grow_from=None, teacher=())
        recipe_options = msgspec.to_builtins(step.options) if step else {}
        chooses = plan.network.options.get("cut") == AUTO_CUT
        key = _digest(
            [
                plan.made_of,
                settings,
                self._material.fingerprint,
                {name: teacher.made_of for name, teacher in teachers.items()},
                [step.name, recipe_options, closure(Path(step.module.__file__ or ""))]
                if step
                else None,
                self._for_a_cut if chooses else None,
                closure(_HERE / "child/training.py"),
                *_common(),
            ]
        )
        request = TrainRequest(
            network=plan.network,
            settings=settings,
            classes=len(self._material.dataset.classes),
            train=self._material.files("train"),
            validation=self._material.files("validation"),
            seed=self._seed,
            checkpoint=str(self._cache.checkpoint(key)),
            features=features,
            trunk=trunk,
            margin=self._for_a_cut,
            teachers=tuple(Teacher(n, _cheapest(t.network)) for n, t in teachers.items()),
            recipe=step.name if step else None,
            recipe_options=recipe_options,
        )
        needs = (*plan.needs, *(need for t in teachers.values() for need in t.needs))
        training = Training(key, f"train-{model}", request, needs)
        network = msgspec.structs.replace(
            plan.network, weights=None, parent=None, trained=str(self._cache.weights(key))
        )
        return replace(plan, network=network, made_of={"trained": key}, needs=(training,))


_CUT_NOT_CHOSEN = Finding(
    level="info",
    code="cut-not-chosen",
    message="the trunk is whole: cut: auto needs pretrained weights and images to choose by",
    fix="name a block, as in cut: block_9, or install the weights and leave out --untrained",
)


def _cheapest(network: Network) -> Network:
    """The narrow network from which a grown one was made, which computes the same."""
    return network.parent if network.grown and network.parent else network


def _from_scratch(weights: Weights, how: str) -> tuple[Finding, ...]:
    """A finding that a network was trained without ImageNet's weights, and how."""
    return tuple(
        Finding(
            level="info",
            code="trained-from-scratch",
            message=f"{how}, since ImageNet's weights {weights.missing}",
            fix=finding.fix,
        )
        for finding in weights.findings
    )


def _common() -> list[object]:
    return [
        *(files.sha256(_HERE / "child" / name) for name in ("networks.py", "widen.py")),
        versions(),
    ]


def _digest(everything: object) -> str:
    return sha256(msgspec.json.encode(everything, order="deterministic"))


def versions() -> dict[str, str]:
    """The installed libraries that decide what a network becomes."""
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
