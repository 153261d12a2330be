"""What the user asked for, and what it comes to on this machine with this project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.core.specs import DeviceSpec, VariantSpec
from harness.core.types import Artifact
from harness.project import config

if TYPE_CHECKING:
    from harness.data.dataset import Dataset

TFLITE, KERAS = ".tflite", ".keras"


class Request(NamedTuple):
    """What the user asked for; None means that it is left to the defaults or to devices.yaml."""

    what: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("host",)
    runtimes: tuple[str, ...] | None = None
    delegates: tuple[str, ...] | None = None
    threads: tuple[int, ...] | None = None
    launches: int | None = None
    iterations: int | None = None
    target_ci: float = 0.03
    time_budget_s: float | None = None
    quick: bool = False
    cadence_s: float | None = None
    sustained_s: float | None = None
    profile: bool = False
    parity: bool = False
    seed: int = 0
    data: str | None = None
    untrained: bool = False
    weights: str = "auto"
    signature: str | None = None
    budget: str | None = None
    project: Path | None = None
    out: Path = Path("reports")
    command: tuple[str, ...] = ()


class Job(NamedTuple):
    """A request that has been checked against the project and this machine."""

    request: Request
    project: config.Project
    devices: dict[str, DeviceSpec]
    variants: dict[str, VariantSpec]
    tflite: dict[str, Artifact]
    keras_files: dict[str, Path]
    settings: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]]
    dataset: Dataset | None = None
