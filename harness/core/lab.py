"""What the hosts of a lab report about themselves. Plain values: they travel as JSON."""

from __future__ import annotations

import hashlib
import re

from harness.core.base import Value
from harness.core.specs import AndroidSpec

PROCESSOR = "processor"  # a resource of each host, one for each processor
ARM64 = "arm64"  # likewise, where the emulated core is set up
BUILD = "build"  # likewise: as many trainings and conversions as its memory allows at once


class PhoneOffer(Value, frozen=True):
    """A phone at one of the hosts. `resource` is the name under which the lab assigns it, `name`
    what its host calls it, and `spec` how the host reaches it. `held` says who is measuring on it,
    if that is known."""

    resource: str
    name: str
    state: str
    spec: AndroidSpec
    serial: str | None = None
    model: str | None = None
    os: str | None = None
    abi: str | None = None
    emulated: bool = False
    battery_percent: int | None = None
    error: str = ""
    fix: str = ""
    held: str | None = None


class Doing(Value, frozen=True):
    """A piece of work under way at a host. `who` asked for it, on `uses` of its resources. It is
    expected to end at `until`, if that is known."""

    key: str
    name: str
    run: str
    who: str
    since: str
    uses: dict[str, float]
    until: str | None = None


class HostOffer(Value, frozen=True):
    """A host of a lab. `address` is the worker's, `seen_s` how long ago it was heard of. It can do
    `builds` trainings and conversions at once (0 without TensorFlow), with the versions
    `builds_with`. `answers_with` is what the answers of artifacts depend on there; empty if no
    artifact can answer there."""

    name: str
    address: str
    processors: int
    harness: str
    system: str
    arm64: bool = False
    phones: tuple[PhoneOffer, ...] = ()
    doing: tuple[Doing, ...] = ()
    builds: int = 0
    builds_with: dict[str, str] = {}
    answers_with: str = ""
    seen_s: float = 0.0

    @property
    def busy(self) -> dict[str, Doing]:
        """How much of each resource is in use."""
        return {resource: doing for doing in self.doing for resource in doing.uses}


def phone_resource(serial: str) -> str:
    """The name of a phone as a resource. Dask splits names at spaces, commas and `=`, and a serial
    may hold anything, so it is a hash."""
    return f"phone-{hashlib.sha256(serial.encode()).hexdigest()[:16]}"


def model_key(model: str) -> str:
    """A model as it is asked for: 'Google Pixel 7' -> 'google-pixel-7'."""
    return re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")


def is_model(model: str, asked: str) -> bool:
    """Whether a phone's model is the one asked for, with its maker in front or without. An emulated
    phone counts as the model that it emulates; reports say that it is emulated."""
    known, wanted = model_key(model).removesuffix("-emulated"), model_key(asked)
    return bool(wanted) and (known == wanted or known.endswith(f"-{wanted}"))


class LabDevice(Value, frozen=True):
    """A device of a run that is at a lab: `asked` is how it was named on the command line. A phone
    has a `resource`; `host` is where it was when the run began, None for work that any host may do,
    and then `spread` says that the cases may go to several hosts at once. `spec` is the entry of
    its host, where the client's devices.yaml has none."""

    name: str
    asked: str
    resource: str | None = None
    host: str | None = None
    serial: str | None = None
    model: str | None = None
    spread: bool = False
    spec: AndroidSpec | None = None
