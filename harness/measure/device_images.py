"""The test images that devices answer: which ones, and as the inputs that each model takes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from harness.core.errors import UsageError
from harness.core.evaluation import packed_labels
from harness.core.types import Artifact, DeviceImages, Evaluation, Report
from harness.data.dataset import Dataset
from harness.data.inputs import VERSION, given
from harness.project.request import Job
from harness.system.cache_use import cache_in_use
from harness.system.files import replacing

CHUNK = 64


def of_job(
    job: Job, artifacts: Mapping[str, Artifact], evaluations: Iterable[Evaluation]
) -> DeviceImages | None:
    """The images, drawn by the seed, as files in the cache; None if no device is asked. Only
    artifacts that answered images here are asked about them there."""
    if job.dataset is None or not any(of_device.accuracy for of_device in job.settings.values()):
        return None
    answered = {e.variant for e in evaluations if e.failure is None}
    labels = job.dataset.arrays("test")[1]
    rows = drawn(len(labels), job.request.accuracy_images, job.request.seed)
    files, sizes = {}, {}
    for name, artifact in artifacts.items():
        if name in answered:
            path = _made(artifact, job.dataset, rows)
            files[name], sizes[name] = str(path), path.stat().st_size // len(rows)
    return DeviceImages(
        dataset=job.dataset.name,
        fingerprint=job.dataset.fingerprint("test"),
        classes=job.dataset.classes,
        rows=rows,
        labels=packed_labels([int(labels[row]) for row in rows]),
        of=len(labels),
        files=files,
        sizes=sizes,
    )


def drawn(n: int, wanted: int | None, seed: int) -> tuple[int, ...]:
    """Which of `n` images devices answer, in ascending order: all, or as many as are wanted."""
    if wanted is None or wanted >= n:
        return tuple(range(n))
    return tuple(sorted(random.Random(f"{seed}/device images").sample(range(n), wanted)))


def refuse_if_gone(header: Report) -> None:
    """Raise UsageError if a file that a saved run asks devices about is no longer in the cache."""
    images = header.device_images
    for path in () if images is None else images.files.values():
        if not Path(path).is_file():
            raise UsageError(
                "the test images that the run gives to devices are no longer in the cache",
                "start a new run",
            )


def _made(artifact: Artifact, dataset: Dataset, rows: tuple[int, ...]) -> Path:
    """The inputs of all images, one after the other; made only if the cache does not have them."""
    (tensor,) = artifact.inputs
    coloured = artifact.model is None and tensor.shape[3] == 3
    key = msgspec.json.encode(
        [
            VERSION,
            dataset.fingerprint("test"),
            rows,
            [tensor.shape, tensor.dtype, tensor.scale, tensor.zero_point],
            [artifact.shown.mean, artifact.shown.std],
            coloured,
        ]
    )
    path = cache_in_use() / "inputs" / f"{hashlib.sha256(key).hexdigest()[:32]}.examples"
    if path.is_file():
        return path
    pictures = dataset.colours("test") if coloured else None
    if pictures is None:
        pictures = dataset.arrays("test")[0]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, flush=False) as file:
            for at in range(0, len(rows), CHUNK):
                shown = given(tensor, pictures[list(rows[at : at + CHUNK])], artifact.shown)
                file.write(shown.values.tobytes())
    except OSError as error:
        raise UsageError(
            f"cannot write to {path.parent}: {error.strerror or error}",
            "make room there or make it writable, or set MOBILE_BENCH_CACHE",
        ) from None
    return path
