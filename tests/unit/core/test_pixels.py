"""What a picture becomes on its way into a model, from what is known of the model."""

from __future__ import annotations

import pytest

from harness.core import labels
from harness.core.errors import UsageError
from harness.core.pixels import Pixels, of_quantization
from harness.data.pixels import parse


@pytest.mark.parametrize(
    ("text", "mean", "std", "name"),
    [
        ("0..255", (0,), (1,), "0..255"),
        ("0..1", (0,), (255,), "0..1"),
        ("-1..1", (127.5,), (127.5,), "-1..1"),
        ("127.5,60", (127.5,), (60,), "mean 127.5, std 60"),
        ("0,255", (0,), (255,), "0..1"),
        ("IMAGENET", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "imagenet"),
        ("1,2,3,4,5,6", (1, 2, 3), (4, 5, 6), "mean 1, 2, 3, std 4, 5, 6"),
    ],
)
def test_what_the_user_says(
    text: str, mean: tuple[float, ...], std: tuple[float, ...], name: str
) -> None:
    pixels = parse(text)
    assert pixels == Pixels(mean=mean, std=std, source="asked")
    assert pixels.name == name


@pytest.mark.parametrize("text", ["", "0..2", "1", "1,2,3", "1,0", "1,-2", "nan,1", "inf,1", "a,b"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(UsageError, match="--pixels"):
        parse(text)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "name", "source"),
    [
        ("int8", 1 / 255, -128, "0..1", "quantization"),
        ("uint8", 1 / 255, 0, "0..1", "quantization"),
        ("int8", 1 / 128, 0, "-1..1", "quantization"),
        ("int8", 2 / 255, -1, "-1..1", "quantization"),
        ("uint8", 1 / 128, 128, "-1..1", "quantization"),
        ("int8", 1.0, -128, "0..255", "quantization"),
        ("uint8", 1.0, 0, "0..255", "quantization"),
        ("uint8", None, None, "0..255", "quantization"),  # bytes hold nothing else
        ("int8", 0.98, -128, "0..255", "quantization"),
        ("int16", 255 / 32767, 0, "0..255", "quantization"),
        ("int16", 1 / 32767, 0, "0..1", "assumed"),  # or -1..1
        ("int8", 0.001, -128, "0..1", "assumed"),
    ],
)
def test_what_a_quantized_input_tells(
    dtype: str, scale: float | None, zero_point: int | None, name: str, source: str
) -> None:
    found = of_quantization(dtype, scale, zero_point)
    assert found is not None
    assert (found.name, found.source) == (name, source)


def test_a_range_without_a_name_is_spread_over_the_pixels() -> None:
    found = of_quantization("int8", 4.758 / 255, -14)  # -2.118 to 2.64, of standardized pixels
    assert found is not None
    assert found.source == "assumed"
    low, high = ((p - found.mean[0]) / found.std[0] for p in (0, 255))
    assert (low, high) == pytest.approx(((-128 + 14) * 4.758 / 255, (127 + 14) * 4.758 / 255))
    assert of_quantization("float32", None, None) is None
    assert of_quantization("int8", None, None) is None


def test_labels_find_their_classes() -> None:
    assert labels.places(["No crack", "CRACKED"], ["cracked", "no_crack"]) == (1, 0)
    assert labels.places(["a", "b", "c"], ["c", "a"]) == (2, 0)
    assert labels.places(["a", "b"], ["a", "c"]) is None
    assert labels.places(["a", "A", "b"], ["a", "b"]) is None
    assert labels.places([], ["a", "b"]) is None
