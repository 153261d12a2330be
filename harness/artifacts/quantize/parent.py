"""A float .tflite file -> a smaller one, from the cache or made by the child."""

from __future__ import annotations

import hashlib
import importlib.metadata
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from harness.artifacts.cache import DESCRIPTION, MODEL, Cache
from harness.artifacts.quantize import CALIBRATED, check_installed
from harness.artifacts.quantize.protocol import Quantized, QuantizeRequest
from harness.artifacts.representative import Representative
from harness.artifacts.tflite.inspect import inspect
from harness.core.errors import BuildError, UsageError
from harness.core.types import Artifact, Finding
from harness.system import files, process

if TYPE_CHECKING:
    from numpy.typing import NDArray

TIMEOUT_S = 1800.0
_HERE = Path(__file__).parent


def quantized(
    source: Artifact, recipe: str, *, cache_dir: Path, representative: Representative | None
) -> Artifact:
    """The float file `source` made smaller by `recipe`, named SOURCE-RECIPE. `representative` are
    images of the training split, which int8 is calibrated on.

    Raises UsageError if the package is missing or the file is not a float one, BuildError if the
    quantizer refuses it.
    """
    name = f"{source.variant}-{recipe}"
    _refuse(source, recipe, representative)
    cache = Cache(cache_dir)
    key = _key(source, recipe, representative)
    with cache.lock(key):
        found = cache.intact(key)
        if found is None:
            _make(source, recipe, cache, key, representative)
            found = cache.get(key)
    assert found is not None
    return msgspec.structs.replace(
        found,
        variant=name,
        recipe=recipe,
        float_parent=source.variant,
        model=source.model,
        options=source.options,
        weights=source.weights,
        trained=source.trained,
        pixels=source.pixels,
        labels=source.labels,
    )


def _refuse(source: Artifact, recipe: str, representative: Representative | None) -> None:
    check_installed(recipe)
    floats = sum(n for kind, n in source.weight_bytes.items() if kind == "float32")
    if floats * 2 < sum(source.weight_bytes.values()):
        raise UsageError(
            f"{source.path} is quantized already", "give the float32 file that it was made from"
        )
    if recipe not in CALIBRATED:
        return
    from harness.data.inputs import takes_pictures

    if len(source.inputs) != 1 or not takes_pictures(source.inputs[0]):
        raise UsageError(
            f"{source.path} does not take a picture, and {recipe} is calibrated on pictures",
            "choose float16 or dynamic_range",
        )
    if representative is None:
        raise UsageError(
            f"the recipe {recipe} needs images to calibrate with", "give them with --data DIR"
        )


def _key(source: Artifact, recipe: str, representative: Representative | None) -> str:
    """Digest of all that the bytes of the new file depend on."""
    sources = [_HERE / name for name in ("child.py", "mixed.py")]
    sources.append(_HERE.parent / "tflite/inspect.py")
    calibrated = representative.fingerprint if representative and recipe in CALIBRATED else None
    parts = [
        *(source.sha256, source.signature, recipe, calibrated, source.shown),
        *(importlib.metadata.version(p) for p in ("litert-quantizer", "ai-edge-litert")),
        *(files.sha256(path) for path in sources),
    ]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _make(
    source: Artifact,
    recipe: str,
    cache: Cache,
    key: str,
    representative: Representative | None,
) -> None:
    log = cache.log(key, f"{source.variant.replace('/', '_')}-{recipe}")
    with cache.building(key) as folder, tempfile.TemporaryDirectory() as scratch:
        request = QuantizeRequest(
            source=source.path,
            target=str(folder / MODEL),
            recipe=recipe,
            signature=source.signature,
        )
        if recipe in CALIBRATED:
            assert representative is not None
            inputs = Path(scratch) / "inputs.npy"
            _write(inputs, _inputs(source, representative))
            request = msgspec.structs.replace(request, inputs=str(inputs))
        found = _asked(request, log)
        artifact = inspect(folder / MODEL, variant="", signature=source.signature)
        artifact = msgspec.structs.replace(
            artifact,
            layer_errors=found.layers,
            findings=(*artifact.findings, *_about(found)),
        )
        (folder / DESCRIPTION).write_bytes(msgspec.json.encode(artifact))


def _inputs(source: Artifact, representative: Representative) -> NDArray[Any]:
    """(n, 1, height, width, channels) as the model's input wants them; the last one is the first
    with a black and a white pixel, so that the input's range is whole."""
    import numpy as np

    from harness.data.inputs import given

    (tensor,) = source.inputs
    images = representative.images()
    limits = np.stack([np.zeros_like(images[0]), np.full_like(images[0], 255)])
    dark, bright = given(tensor, limits, source.shown).values
    shaped = given(tensor, images, source.shown).values
    spanning = shaped[:1].copy()
    spanning[0, 0, 0], spanning[0, -1, -1] = dark[0, 0], bright[0, 0]
    return np.asarray(np.concatenate([shaped, spanning])[:, np.newaxis])


def _write(path: Path, array: NDArray[Any]) -> None:
    import numpy as np

    np.save(path, array)


def _asked(request: QuantizeRequest, log: Path) -> Quantized:
    finished = process.run(
        process.module("harness.artifacts.quantize.child"),
        stdin=msgspec.json.encode(request),
        log=log,
        timeout_s=TIMEOUT_S,
        env=process.python_environment(),
    )
    see = f"the log is {log}"
    if finished.timed_out:
        raise BuildError(f"quantizing took over {TIMEOUT_S:.0f} s", see)
    try:
        found = msgspec.json.decode(finished.stdout, type=Quantized)
    except msgspec.DecodeError:
        raise BuildError(f"the quantizer ended: {finished.ending}", see) from None
    if found.refusal:
        raise BuildError(f"{request.recipe}: the quantizer refused it: {found.refusal}", see)
    return found


def _about(found: Quantized) -> tuple[Finding, ...]:
    """What int8-mixed kept in float, and why."""
    if found.error is None or found.error_int8 is None:
        return ()
    kept = [layer for layer in found.layers if layer.kept]
    if not kept:
        message = "no layer had to stay in float" if not found.layers else "no layer helped"
        message += f": the answers of int8 are off by {found.error_int8:.3f} of their spread"
    else:
        worst = ", ".join(f"{layer.name} ({layer.error:.3f})" for layer in kept[:3])
        more = f" and {len(kept) - 3} more" if len(kept) > 3 else ""
        message = (
            f"{len(kept)} of {len(found.layers)} layers stay in float: {worst}{more}; the answers "
            f"are off by {found.error:.3f} of their spread, and by {found.error_int8:.3f} with all "
            "layers in int8"
        )
    return (Finding(level="info", code="kept-in-float", message=message),)
