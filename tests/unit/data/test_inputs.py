from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import UsageError
from harness.core.pixels import Pixels, named
from harness.core.types import Artifact, TensorInfo
from harness.data import demo, inputs
from harness.data.inputs import inputs_for

IMAGE = (1, 256, 256, 1)


def taking(*tensors: TensorInfo) -> Artifact:
    return Artifact(
        variant="x", path="x.tflite", sha256="", size_bytes=1, gzip_bytes=1, inputs=tensors
    )


def tensor(
    shape: tuple[int, ...], dtype: str, scale: float | None = None, zero_point: int | None = None
) -> TensorInfo:
    return TensorInfo(name="x", shape=shape, dtype=dtype, scale=scale, zero_point=zero_point)


def read(path: Path) -> tuple[str, list[np.ndarray[Any, Any]]]:
    """(source, arrays), read as the worker does."""
    with np.load(path, allow_pickle=False) as archive:
        assert archive["source"].shape == ()
        return str(archive["source"]), [
            archive[f"input_{i}"] for i in range(len(archive.files) - 1)
        ]


def test_pictures_arrive_as_grey_values_of_the_inputs_type(tmp_path: Path) -> None:
    pictures, _ = demo.generate(4, seed=3, difficulty=demo.PLAIN_DIFFICULTY)
    expected = pictures[:, None, :, :, None]
    for dtype, scale, zero_point in (
        ("float32", None, None),
        ("uint8", None, None),
        ("int8", 1.0, -128),
    ):
        path = inputs_for(taking(tensor(IMAGE, dtype, scale, zero_point)), tmp_path, seed=3)
        source, (array,) = read(path)
        assert source == "demo images"
        assert array.dtype == dtype
        np.testing.assert_array_equal(array.astype(int) - (zero_point or 0), expected)


def test_a_quantized_input_is_rounded_and_clipped(tmp_path: Path) -> None:
    grey = np.array([0, 1, 100, 255], np.uint8)
    images = np.broadcast_to(grey[:, None, None], (4, 256, 256))
    path = inputs_for(
        taking(tensor(IMAGE, "int8", 1.5, -40)), tmp_path, images=lambda: images, fingerprint="a"
    )
    _, (array,) = read(path)
    assert array[:, 0, 0, 0, 0].tolist() == [-40, -39, 27, 127]


def test_bytes_without_a_scale_are_given_as_the_user_says() -> None:
    images = np.full((1, 256, 256), 200, np.uint8)
    plain = tensor(IMAGE, "uint8")
    assert inputs.given(plain, images, named("0..255", "quantization")).values.max() == 200
    assert inputs.given(plain, images, named("0..1", "asked")).values.max() == 1
    below = inputs.given(plain, images, Pixels(mean=(220,), std=(1,), source="asked"))
    assert (below.values.max(), below.clipped) == (0, 256 * 256)


def test_colour_is_grey_three_times(tmp_path: Path) -> None:
    _, (array,) = read(inputs_for(taking(tensor((1, 256, 256, 3), "float32")), tmp_path))
    assert array.shape == (4, 1, 256, 256, 3)
    assert (array[..., 0] == array[..., 1]).all()
    assert (array[..., 0] == array[..., 2]).all()


@given(st.integers(1, 300), st.integers(1, 300))
def test_resizing_keeps_light_and_place(height: int, width: int) -> None:
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8), (1, 256, 256))
    resized = inputs._resized(inputs._resized(ramp, height, 1), width, 2)
    assert resized.shape == (1, height, width)
    assert resized.mean() == pytest.approx(ramp.mean())
    assert (np.diff(resized, axis=2) >= -1e-9).all()
    assert np.allclose(resized, resized[:, :1])


def test_halving_is_the_mean_of_four() -> None:
    images, _ = demo.generate(1)
    halved = inputs._resized(inputs._resized(images, 128, 1), 128, 2)
    np.testing.assert_allclose(halved[0], images[0].reshape(128, 2, 128, 2).mean((1, 3)))


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("float32", 0, 1), ("float16", 0, 1), ("int32", 0, 9), ("uint8", 0, 9), ("bool", 0, 1)],
)
def test_other_inputs_are_random_and_sane(tmp_path: Path, dtype: str, low: int, high: int) -> None:
    source, (array,) = read(inputs_for(taking(tensor((2, 500), dtype)), tmp_path, count=3))
    assert source == "seeded random"
    assert array.shape == (3, 2, 500)
    assert array.dtype == dtype
    assert low <= array.min() < array.max() <= high
    if dtype.startswith("float"):
        assert array.max() < 1
        assert array.mean() == pytest.approx(0.5, abs=0.05)
    assert not (array[0] == array[1]).all()


def test_a_scalar_and_several_inputs(tmp_path: Path) -> None:
    artifact = taking(tensor((), "int64"), tensor(IMAGE, "float32"), tensor((3,), "float32"))
    source, arrays = read(inputs_for(artifact, tmp_path))
    assert source == "demo images"
    assert [a.shape for a in arrays] == [(4,), (4, *IMAGE), (4, 3)]


def test_the_users_images_and_their_name(tmp_path: Path) -> None:
    images = np.full((3, 256, 256), 7, np.uint8)
    images[1] = 9
    artifact = taking(tensor(IMAGE, "uint8"))
    path = inputs_for(
        artifact, tmp_path, images=lambda: images, source="folder bricks", fingerprint="f"
    )
    source, (array,) = read(path)
    assert source == "folder bricks"
    assert array[:, 0, 0, 0, 0].tolist() == [7, 9, 7, 7]  # too few begin again
    with pytest.raises(ValueError, match="fingerprint"):
        inputs_for(artifact, tmp_path, images=lambda: images)


def test_bytes_follow_from_the_arguments(tmp_path: Path) -> None:
    artifact = taking(tensor(IMAGE, "float32"))
    first, second = (inputs_for(artifact, tmp_path / name) for name in ("a", "b"))
    one = np.ones((1, 256, 256), np.uint8)
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    others = [
        inputs_for(artifact, tmp_path, seed=1),
        inputs_for(artifact, tmp_path, count=2),
        inputs_for(taking(tensor(IMAGE, "uint8")), tmp_path),
        inputs_for(taking(tensor(IMAGE, "int8", 1.0, -128)), tmp_path),
        inputs_for(taking(tensor(IMAGE, "int8", 1.0, -127)), tmp_path),
        inputs_for(artifact, tmp_path, images=lambda: one, fingerprint="1"),
        inputs_for(artifact, tmp_path, images=lambda: one, fingerprint="2"),
    ]
    assert len({first.name, *(path.name for path in others)}) == len(others) + 1


def test_what_is_in_the_cache_is_not_made_again_nor_numpy_imported(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from harness.core.types import Artifact, TensorInfo
from harness.data.inputs import inputs_for
image = TensorInfo(name="x", shape=(1, 256, 256, 1), dtype="float32")
artifact = Artifact(variant="", path="", sha256="", size_bytes=1, gzip_bytes=1, inputs=(image,))
inputs_for(artifact, Path({str(tmp_path)!r}))
print("numpy" in sys.modules)
"""

    def run() -> str:
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert [run(), run()] == ["True", "False"]
    assert len(list((tmp_path / "inputs").iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_the_users_to_fix(tmp_path: Path) -> None:
    (tmp_path / "inputs").write_text("in the way")
    with pytest.raises(UsageError, match="cannot write to"):
        inputs_for(taking(tensor((3,), "float32")), tmp_path)
