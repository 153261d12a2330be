"""One training or conversion as it is sent to another machine: its request, and its files by
SHA-256.

Paths in the request are relative. Those below `cache/` mean the same place in the other machine's
cache; the others are files that come along, in a folder that is made for the job:

models/...           the model's file and its neighbours
weights/SHA256/...   initial weights
trained/KEY/...      networks that were trained before
images.npy           what int8 is calibrated on
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from harness.artifacts.cache import CURVE, NETWORK, TRAINED, TRAINING
from harness.artifacts.child.protocol import BuildRequest, Leads, TrainRequest, moved
from harness.artifacts.jobs import BuildJob
from harness.artifacts.network_plans import Training, versions
from harness.artifacts.representative import Representative
from harness.artifacts.sources import closure
from harness.core.base import Value
from harness.core.errors import UsageError
from harness.data.demo_set import Drawn
from harness.system import files
from harness.system.digests import Digests
from harness.system.files import writing

IMAGES = "images.npy"
# A larger neighbour of a model's file is sent only if it holds the weights that are asked for.
LARGEST_NEIGHBOUR_BYTES = 1 << 20
_CACHE = "cache"
_HERE = Path(__file__).parent


class Parcel(Value, frozen=True):
    """See the module. `files` are the SHA-256 by path. For an artifact, `claims` is as in BuildJob,
    `images` the fingerprint of what calibrates, and `afterwards` are the recipes that make it
    smaller. Demo images are `drawn` there. `builds_with` is what the bytes depend on besides
    these."""

    key: str
    label: str
    variant: str
    request: BuildRequest | TrainRequest
    files: dict[str, str]
    builds_with: dict[str, str]
    claims: dict[str, object] = {}
    images: str | None = None
    afterwards: tuple[str, ...] = ()
    drawn: Drawn | None = None


class Packed(NamedTuple):
    """A parcel, and where its files are on this machine, by SHA-256."""

    parcel: Parcel
    files: Mapping[str, Path]


class Packer:
    """Packs the jobs of one call. `cache` is this machine's; trained networks that a job needs must
    be in it, and unless the images are `drawn` so must they."""

    def __init__(
        self, cache: Path, representative: Representative, drawn: Drawn | None = None
    ) -> None:
        self._cache = cache.absolute()
        self._representative = representative
        self._drawn = drawn
        self._digests = Digests()

    def training(self, training: Training, variant: str) -> Packed:
        """One network to train."""
        return self._packed(
            Parcel(
                key=training.key,
                label=training.label,
                variant=variant,
                request=training.request,
                files={},
                builds_with=builds_with(),
                drawn=self._drawn,
            )
        )

    def artifact(self, job: BuildJob, afterwards: tuple[str, ...]) -> Packed:
        """One artifact, and what is made from it afterwards."""
        more: dict[str, Path] = {}
        if job.calibrates or afterwards:
            more[IMAGES] = self._representative.save(self._cache)
        return self._packed(
            Parcel(
                key=job.key,
                label=job.label,
                variant=job.variant,
                request=job.request,
                files={},
                builds_with=builds_with(),
                claims=job.claims,
                images=self._representative.fingerprint if more else None,
                afterwards=afterwards,
            ),
            more,
        )

    def _packed(self, parcel: Parcel, more: Mapping[str, Path] | None = None) -> Packed:
        found: dict[str, Path] = dict(more or {})

        def relative(leads: Leads, path: str) -> str:
            name, there = self._place(leads, Path(path))
            found.update(there)
            return name

        request = moved(parcel.request, relative)
        digests = {name: self._digests.of(path) for name, path in found.items()}
        return Packed(
            msgspec.structs.replace(parcel, request=request, files=digests),
            {digests[name]: path for name, path in found.items()},
        )

    def _place(self, leads: Leads, path: Path) -> tuple[str, dict[str, Path]]:
        """(what the path is called in the parcel, the files that it needs)."""
        if leads == "model":
            folder = path.parent
            return f"models/{path.name}", {f"models/{n}": folder / n for n in _neighbours(path)}
        if leads == "weights":
            name = f"weights/{self._digests.of(path)}/{path.name}"
            return name, {name: path}
        if leads == "trained":
            key, *rest = path.relative_to(self._cache / TRAINED).parts
            there = {f"trained/{key}/{n}": path.parent / n for n in (NETWORK, TRAINING, CURVE)}
            if not rest:
                there = {name: path / file.name for name, file in there.items()}
            return "/".join(["trained", key, *rest]), there
        name = f"{_CACHE}/{path.relative_to(self._cache).as_posix()}"
        return name, {name: path} if leads == "images" and self._drawn is None else {}


def unpacked(
    parcel: Parcel, folder: Path, cache: Path, file: Callable[[str], Path]
) -> BuildRequest | TrainRequest:
    """Put the files of a parcel into `folder` and, where they belong there, into `cache`; its
    request with the paths of this machine. `file` is where a file with a SHA-256 is."""
    for name, digest in parcel.files.items():
        target = _here(name, folder, cache)
        with writing(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            if name.startswith("models/"):  # a model's code may write to them
                shutil.copyfile(file(digest), target)
                continue
            files.linked(file(digest), target)
            if name.startswith(f"{_CACHE}/"):
                files.seal(target, digest)
    return moved(parcel.request, lambda leads, path: str(_here(path, folder, cache)))


def representative(parcel: Parcel, folder: Path) -> Representative:
    """The images that calibrate, once they are unpacked."""

    def images() -> object:
        import numpy as np

        return np.load(folder / IMAGES)

    return Representative(parcel.images or "", images)  # type: ignore[arg-type]


def _here(name: str, folder: Path, cache: Path) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(f"{name!r} is not a path inside a folder", "send another")
    if path.parts[0] == _CACHE:
        return cache.absolute().joinpath(*path.parts[1:])
    return folder / path


def _neighbours(model: Path) -> Iterator[str]:
    """The files that a model's code can be expected to read, relative to its folder."""
    imported = closure(model)
    yield from imported
    for file in sorted(model.parent.rglob("*")):
        name = file.relative_to(model.parent)
        if name.as_posix() in imported or not file.is_file():
            continue
        if any(part.startswith((".", "__pycache__")) for part in name.parts):
            continue
        if file.stat().st_size <= LARGEST_NEIGHBOUR_BYTES:
            yield name.as_posix()


@cache
def builds_with() -> dict[str, str]:
    """What the bytes of an artifact depend on besides its key's own: versions of libraries, and a
    digest of the code that converts and trains; empty where TensorFlow is not installed."""
    if importlib.util.find_spec("tensorflow") is None:
        return {}
    digest = hashlib.sha256()
    for path in sorted(_HERE.rglob("*.py")):
        digest.update(files.sha256(path).encode())
    return {**versions(), "harness.artifacts": digest.hexdigest()[:12]}


def differing(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str | None:
    """How another machine's `builds_with` differs from ours, in words; None if it does not."""
    if not theirs:
        return "has no TensorFlow"
    for name in sorted(theirs.keys() | ours.keys()):
        has, own = theirs.get(name), ours.get(name)
        if has != own:
            return f"has {name} {has or 'not installed'}, and here is {own or 'none'}"
    return None
