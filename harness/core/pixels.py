"""The range of pixel values that a model expects: how pixels become the numbers of its input."""

from __future__ import annotations

from typing import Literal

from harness.core.base import Value

# How the pixels are known: said by the user, by the file's metadata, by the layers of the network,
# by the quantization of the input; known because the network was trained here; or assumed.
PixelSource = Literal["asked", "metadata", "layers", "quantization", "trained", "assumed"]


class Pixels(Value, frozen=True):
    """An input's number is (pixel - mean) / std, for pixels from 0 to 255; one value for all
    channels, or one for each."""

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    source: PixelSource = "assumed"

    @property
    def name(self) -> str:
        """'0..1', or 'mean 127.5, std 60' where the range has no name."""
        for name, known in KNOWN.items():
            if (self.mean, self.std) == known:
                return name
        mean, std = (", ".join(f"{v:.4g}" for v in values) for values in (self.mean, self.std))
        return f"mean {mean}, std {std}"


# ImageNet's mean and deviation of red, green and blue, as PyTorch's models are trained with.
_IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
KNOWN: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "0..255": ((0.0,), (1.0,)),
    "0..1": ((0.0,), (255.0,)),
    "-1..1": ((127.5,), (127.5,)),
    "imagenet": _IMAGENET,
}


def named(name: str, source: PixelSource) -> Pixels:
    """The pixels of a range in KNOWN."""
    mean, std = KNOWN[name]
    return Pixels(mean=mean, std=std, source=source)


_LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


def of_quantization(dtype: str, scale: float | None, zero_point: int | None) -> Pixels | None:
    """What the scale of a quantized input tells: calibration saw the values that the type can hold
    with it. None if the input is not quantized.

    Within a tenth, values from 0 to 1 mean 0..1, from -1 to 1 mean -1..1, and from 0 to some tens
    or hundreds mean pixels. Any other range is assumed to be spread over the pixels evenly; so is
    the symmetric one of int16, which 0 to 1 and -1 to 1 share.
    """
    if dtype not in _LIMITS or not scale:
        return None
    lowest, highest = _LIMITS[dtype]
    low, high = (lowest - (zero_point or 0)) * scale, (highest - (zero_point or 0)) * scale
    if dtype == "int16":
        return named("0..255" if high > 2 else "0..1", "quantization" if high > 2 else "assumed")
    # An input that calibration never saw at its brightest has a smaller scale.
    if low >= -0.05 * high and high <= 1.1:
        return named("0..1", "quantization" if high >= 0.5 else "assumed")
    if low >= -0.05 * high and high >= 40:
        return named("0..255", "quantization" if 100 <= high <= 280 else "assumed")
    if abs(low + 1) <= 0.1 and abs(high - 1) <= 0.1:
        return named("-1..1", "quantization")
    span = (high - low) / 255
    return Pixels(mean=(-low / span,), std=(1 / span,), source="assumed")
