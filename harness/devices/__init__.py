"""What can run a launch. Each kind of device has a folder: host/, android/, arm64_core/. In it

    kind.py         says what the kind is, for planning and running (`Kind`)
    target.py       is one device of the kind, connected (`Target`)
    inspection.py   looks at a device for the commands `devices` and `doctor` (`Inspection`)

Nothing outside these folders asks which kind a device is: it asks `kind_of(spec)`.
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, cast

import msgspec

from harness.core.attendant import Attendant
from harness.core.specs import DeviceSpec, kind_name
from harness.core.types import Artifact, Case, DeviceFacts, Finding, Launch, Timing, Value


class Examples(NamedTuple):
    """Test images as one input of a model: `images` of them in the file `path`, each of
    `size_bytes`, one after the other. Those before number `start` were answered in an earlier
    session."""

    path: Path
    size_bytes: int
    images: int
    start: int = 0


class Target(Protocol):
    """One device. Calls come from one thread; `close` is always called, whatever happened."""

    def facts(self) -> DeviceFacts:
        """What the device reports about itself."""

    def prepare(self, artifact: Artifact, inputs: Path) -> None:
        """Bring the artifact and its input set (a .npz, see `harness.data.inputs`) to where
        launches can read them. Called once per artifact, before its first launch."""

    def launch(self, case: Case, artifact: Artifact, timing: Timing, index: int) -> Launch:
        """One fresh process. `index` is the round; the first one (0) may observe more than time.
        Raises MeasurementError; `order` of the Launch is filled in by the caller."""

    def close(self) -> None:
        """Leave the device as it was found."""


class AnsweringTarget(Target, Protocol):
    """A device whose Settings say that it answers test images itself."""

    def answer(self, case: Case, artifact: Artifact, examples: Examples, first: int) -> bytes:
        """The raw outputs for some of the examples, from number `first` on and at least one: all
        outputs of an example, then those of the next. Raises MeasurementError."""


class Asked(Protocol):
    """The part of a request that a device must be able to do. None means: as devices.yaml says."""

    @property
    def devices(self) -> tuple[str, ...]:
        """The names of all devices of the request."""

    @property
    def runtimes(self) -> tuple[str, ...] | None:
        """Names of interpreter packages."""

    @property
    def delegates(self) -> tuple[str, ...] | None:
        """Names such as `cpu` and `gpu`."""

    @property
    def threads(self) -> tuple[int, ...] | None:
        """Numbers of threads, each a case of its own."""

    @property
    def affinity(self) -> tuple[str, ...] | None:
        """Groups of cores, each a case of its own."""

    @property
    def iterations(self) -> int | None:
        """How many in each launch."""

    @property
    def cadence_s(self) -> float | None:
        """Seconds from the beginning of an iteration to that of the next."""

    @property
    def sustained_s(self) -> float | None:
        """Seconds that the only launch goes on."""

    @property
    def profile(self) -> bool:
        """Whether to time single operators."""

    @property
    def parity(self) -> bool:
        """Whether to compare answers with this machine's."""

    @property
    def starts(self) -> tuple[str, ...]:
        """Which starts are timed: `cold`, and also `cached`."""


class Settings(NamedTuple):
    """How each variant is run on one device: every combination of these is a case. With
    `accuracy`, the device itself answers test images. `affinities` are groups of cores, "" where
    they are not compared."""

    runtimes: tuple[str, ...]
    delegates: tuple[str, ...]
    threads: tuple[int, ...]
    accuracy: bool = False
    affinities: tuple[str, ...] = ("",)


class Traits(NamedTuple):
    """What sets a device apart from others.

    `counts_exactly`: one launch is enough, because it counts and does not time. `processors`: how
    it uses this machine's. Launches on a device that `measures` them must have the machine to
    themselves; a device that `borrows` them stands for a device that is elsewhere. `may_be_away`: a
    device that is not connected is normal, and others can be measured meanwhile. `at_lab`: what a
    host of a lab provides for it: the phone, all of its processors, or one processor with the
    emulated core, which any host may have. `proves`: it answers commands in its maker's formats,
    which `doctor --prove` records.
    """

    counts_exactly: bool = False
    processors: Literal["measures", "borrows", "none"] = "none"
    may_be_away: bool = False
    at_lab: Literal["phone", "host", "core"] = "host"
    proves: bool = False


class Kind(Protocol):
    """The properties of a kind of device; `spec` is always of the kind's own type."""

    def traits(self, spec: Any) -> Traits:
        """What sets this device apart."""

    def read_entry(self, spec: Any, folder: Path | None) -> DeviceSpec:
        """The entry of a devices.yaml in `folder`, with its relative paths taken from there; the
        shipped file has no folder of the user's. Raises ConfigError if it is wrong in a way its
        types cannot say. The message begins with the key; the caller adds the entry's name."""

    def settings(self, name: str, spec: Any, asked: Asked) -> Settings:
        """What the device runs with; raises UsageError if it cannot do what is asked for."""

    def check(self, spec: Any, attendant: Attendant) -> None:
        """Raises HarnessError if it shows within a few seconds that no launch can begin."""

    def held(self, spec: Any) -> AbstractContextManager[None]:
        """Protects what a run needs from being removed, from before building until the run ends."""

    def open_target(self, name: str, spec: Any, log_dir: Path, attendant: Attendant) -> Target:
        """Connect to the device. Raises MeasurementError or UsageError."""


State = Literal["ready", "unauthorized", "absent", "error"]


class Probe(Value, frozen=True):
    """One entry of devices.yaml, or a phone without an entry, which is named by its serial. `error`
    and `fix` are empty when it is ready; without an entry, `fix` is the entry to write."""

    name: str
    kind: str
    state: State
    where: str
    server: str | None = None
    configured: bool = True
    serial: str | None = None
    model: str | None = None
    os: str | None = None
    abi: str | None = None
    emulated: bool = False
    battery_percent: int | None = None
    thermal_status: int | None = None
    held: str | None = None  # who measures on it
    error: str = ""
    fix: str = msgspec.field(default="", name="mend")  # the key of `devices --json`


class Inspection(Protocol):
    """How a kind of device is examined without measuring; `spec` is of the kind's own type."""

    def probe(self, name: str, spec: Any, attendant: Attendant) -> Probe:
        """Connect, ask, disconnect. Never raises HarnessErrors."""

    def examine(self, name: str, spec: Any, log_dir: Path, attendant: Attendant) -> list[Finding]:
        """One finding for each thing that a run needs, `info` where it is well. Never raises
        HarnessErrors; nothing stays on the device."""

    def prove(self, spec: Any, attendant: Attendant) -> str:
        """What the device answers to every command that the harness relies on, as JSON. Called
        only for a kind whose traits say `proves`. Raises HarnessErrors."""


_FOLDERS = {"arm64-emulated": "arm64_core"}  # where it is not the name of the kind


def kind_of(spec: DeviceSpec) -> Kind:
    """The kind of a device."""
    return cast(Kind, _module(spec, "kind"))


def inspection_of(spec: DeviceSpec) -> Inspection:
    """How to look at a device."""
    return cast(Inspection, _module(spec, "inspection"))


def _module(spec: DeviceSpec, name: str) -> object:
    kind = kind_name(spec)
    return importlib.import_module(f"{__name__}.{_FOLDERS.get(kind, kind)}.{name}")
