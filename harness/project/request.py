"""What the user asked for, and the checked job that it becomes on this machine with this
project."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

# Nothing heavy: the command line takes its defaults from here, and --help must be instant.
if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.core.choices import AccuracyOn, Prefer
    from harness.core.errors import UsageError
    from harness.core.lab import LabDevice
    from harness.core.specs import DeviceSpec, VariantSpec
    from harness.core.types import Artifact
    from harness.data.dataset import Dataset
    from harness.devices import Settings
    from harness.project.config import Project


# How much is measured where the request does not say: launches of each case at least, and for how
# long. With a time budget of their own, users may want fewer launches.
DEFAULT_LAUNCHES, LEAST_LAUNCHES = 7, 5
DEFAULT_TIME_BUDGET_S = 60.0

MOST_SEED = 2**32 - 1  # the largest that all random generators take


class Request(NamedTuple):
    """What the user asked for; None means that it is left to the defaults or to devices.yaml.

    The one place where the options of `bench` get their names and defaults: the command line and
    `harness.bench` take them from here.
    """

    what: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("host",)
    runtimes: tuple[str, ...] | None = None
    delegates: tuple[str, ...] | None = None
    threads: tuple[int, ...] | None = None
    affinity: tuple[str, ...] | None = None
    launches: int | None = None
    iterations: int | None = None
    target_ci: float = 0.03
    time_budget_s: float | None = None
    quick: bool = False
    cadence_s: float | None = None
    sustained_s: float | None = None
    wait_s: float | None = None
    profile: bool = False
    parity: bool = False
    starts: tuple[str, ...] = ("cold",)
    accuracy: AccuracyOn | None = None
    accuracy_images: int | None = None
    seed: int = 0
    data: str | None = None
    split: str | None = None
    pixels: str | None = None
    labels: Path | None = None
    untrained: bool = False
    recipes: tuple[str, ...] = ()
    weights: str = "auto"
    signature: str | None = None
    budget: str | None = None
    max_accuracy_loss: float | None = None
    protect: str | None = None
    prefer: Prefer | None = None
    lab: str | None = None
    lab_keys: Path | None = None
    project: Path | None = None
    out: Path = Path("reports")
    command: tuple[str, ...] = ()


class Job(NamedTuple):
    """A request that has been checked against the project, this machine and, of the devices that
    are `at_lab`, a lab. `unusable` are the files that cannot be measured, by the names that their
    rows would have had."""

    request: Request
    project: Project
    devices: dict[str, DeviceSpec]
    variants: dict[str, VariantSpec]
    tflite: dict[str, Artifact]
    to_convert: dict[str, Path]
    settings: dict[str, Settings]
    dataset: Dataset | None = None
    at_lab: Mapping[str, LabDevice] = MappingProxyType({})
    unusable: Mapping[str, UsageError] = MappingProxyType({})

    @property
    def max_accuracy_loss(self) -> float:
        """How much accuracy may be given up, a share: what was asked for, or the project's."""
        asked = self.request.max_accuracy_loss
        return float(self.project.defaults.max_accuracy_loss) if asked is None else asked

    @property
    def names(self) -> tuple[str, ...]:
        """What its rows are called, in their order."""
        return (*self.variants, *self.tflite, *self.to_convert)
