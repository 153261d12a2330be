"""An ONNX or PyTorch model -> an artifact, from the cache or made by the child."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import msgspec

from harness.artifacts.cache import DESCRIPTION, MODEL, Cache
from harness.artifacts.conversion import Compared
from harness.artifacts.converters import ENDINGS, Kind
from harness.artifacts.converters import environment as environments
from harness.artifacts.representative import Representative
from harness.artifacts.tflite.inspect import inspect
from harness.core.base import Value
from harness.core.errors import BuildError
from harness.core.pixels import of_scaling
from harness.core.types import Artifact, Finding
from harness.system import files, process

TIMEOUT_S = 1800.0
_HERE = Path(__file__).parent
_CONVERTERS: dict[Kind, str] = {"onnx": "onnx2tf", "torch": "litert-torch"}


class Converted(Value, frozen=True):
    """What the child answers: why nothing was converted, why the answers could not be compared, or
    how far they differ; and what the network does with its input first: times `scale`, plus
    `offset`."""

    refusal: str | None = None
    unchecked: str | None = None
    largest: float = 0.0
    magnitude: float = 0.0
    same: int = 0
    examples: int = 0
    pictures: int = 0
    scale: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()


def converted(path: Path, variant: str, cache_dir: Path, pictures: Representative) -> Artifact:
    """The float32 artifact of the model at `path`. Its findings say how far its answers are from
    the source's, on random inputs and, where it takes them, on some of `pictures`.

    Raises UsageError if no converter is set up, BuildError if it refuses the model.
    """
    kind = ENDINGS[path.suffix.lower()]
    cache = Cache(cache_dir)
    environment = environments.required(kind, cache_dir, path)
    key = _key(path, environment, pictures)
    with environments.using(kind, cache_dir), cache.lock(key):
        cache.note_use(key, variant)
        found = cache.intact(key)
        if found is None:
            _make(path, environment, cache, key, pictures)
            cache.note_use(key, variant)
            found = cache.get(key)
    assert found is not None
    return msgspec.structs.replace(found, variant=variant, recipe="float32")


def _key(path: Path, environment: environments.Environment, pictures: Representative) -> str:
    """Digest of all that the bytes of the new file depend on, weights beside an ONNX file too."""
    beside = [p for p in path.parent.glob(f"{path.stem}*data") if p.is_file()]
    parts = [
        *(files.sha256(one) for one in (path, *sorted(beside))),
        *(files.sha256(_HERE / name) for name in ("child.py", "convert.py")),
        files.sha256(_HERE.parent / "tflite/inspect.py"),
    ]
    return hashlib.sha256(
        msgspec.json.encode([parts, environment.versions, pictures.fingerprint])
    ).hexdigest()


def _make(
    path: Path,
    environment: environments.Environment,
    cache: Cache,
    key: str,
    pictures: Representative,
) -> None:
    kind = ENDINGS[path.suffix.lower()]
    log = cache.log(key, f"{path.stem}-{kind}")
    with cache.building(key) as folder, tempfile.TemporaryDirectory() as scratch:
        target, result = folder / MODEL, Path(scratch) / "result.json"
        request = {
            "kind": kind,
            "source": str(path.absolute()),
            "target": str(target.absolute()),
            "result": str(result),
            "work": scratch,
            "pictures": str(pictures.save(cache.root)),
        }
        done = process.run(
            [environment.python, "-I", environments.CHILD],
            stdin=msgspec.json.encode(request),
            log=log,
            timeout_s=TIMEOUT_S,
            env=environment.variables,
        )
        found = _read(done, result, _CONVERTERS[kind], log)
        artifact = inspect(target, variant="")
        findings = (*artifact.findings, _about(found))
        pixels = artifact.pixels or of_scaling(found.scale, found.offset)
        artifact = msgspec.structs.replace(artifact, findings=findings, pixels=pixels)
        (folder / DESCRIPTION).write_bytes(msgspec.json.encode(artifact))


def _read(done: process.Finished, result: Path, converter: str, log: Path) -> Converted:
    see = f"the log is {log}"
    if done.timed_out:
        raise BuildError(f"{converter} took over {TIMEOUT_S:.0f} s", see)
    try:
        found = msgspec.json.decode(result.read_bytes(), type=Converted)
    except (OSError, msgspec.DecodeError):
        raise BuildError(f"{converter} ended: {done.ending}", see) from None
    if found.refusal:
        raise BuildError(f"{converter} does not convert it: {found.refusal}", see)
    return found


def _about(found: Converted) -> Finding:
    if found.unchecked:
        return Finding(
            level="warning",
            code="conversion-unchecked",
            message=f"the answers of the converted file and its source could not be compared: "
            f"{found.unchecked}",
            fix="compare them yourself before you trust it",
        )
    compared = (found.largest, found.magnitude, found.same, found.examples, found.pictures)
    return Compared(*compared).finding
