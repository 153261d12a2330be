"""The range of pixel values that a model expects: how pixels become the numbers of its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

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

    def steps(self, scale: float | None) -> float | None:
        """How many steps of a quantized input black and white are apart; None if it is not."""
        return 255 / max(self.std) / scale if scale else None


def step_of(dtype: str, scale: float | None) -> float | None:
    """How much of a pixel value one step of an input stands for; None for floats. Bytes without a
    scale are pixels."""
    return 1.0 if dtype == "uint8" and not scale else scale


# Black and white are 255 steps apart if an 8-bit input was quantized for its pixels. If they are
# closer than this, the model hardly sees the picture.
LEAST_STEPS = 32

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


MOST_CHANNELS = 4  # of a picture
# What arithmetic on pixels usually makes of them, besides standardizing.
_TARGETS = ((0.0, 1.0), (-1.0, 1.0), (-0.5, 0.5), (0.0, 255.0), (-127.5, 127.5))
_NEAR = 0.02  # of a range's width
_RANGES = {"0..255": (0.0, 255.0), "0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0)}


def of_scaling(scale: Sequence[float], offset: Sequence[float]) -> Pixels | None:
    """The range of numbers that a network is given if it first multiplies them by `scale` and adds
    `offset`, one value for each channel or for all. None if that changes nothing.

    It is the range that this turns into a usual one: 1/255 turns 0..255 into 0..1, 2 and -1 turn
    0..1 into -1..1. If no single range fits, the numbers are read as a mean that is subtracted and
    a deviation that is divided by.
    """
    pairs = list(zip(scale, offset, strict=True))
    if not pairs or any(s == 0 for s, _ in pairs):
        return None
    if all(abs(s - 1) < _NEAR and abs(o) < _NEAR for s, o in pairs):
        return None
    fitting = [
        name
        for name, span in _RANGES.items()
        if any(all(_becomes(span, s, o, target) for s, o in pairs) for target in _TARGETS)
        and not all(s > 0 and _becomes(span, s, o, span) for s, o in pairs)
    ]
    if len(fitting) == 1:
        return named(fitting[0], "layers")
    means, deviations = [-o / s for s, o in pairs], [1 / abs(s) for s, _ in pairs]
    found = of_moments(means, [deviation**2 for deviation in deviations])
    # A trained batch normalization takes out more than mean and deviation. It can tell 0..1 from
    # -1..1 only where it is far from either end.
    usual = min(means) >= 0.2 and max(means) <= 0.8 and max(deviations) <= 0.4
    if found is None or found.name == "0..255" or usual:
        return found
    return named(found.name, "assumed")


class Scaled(NamedTuple):
    """What is done to pixels: times `scale` plus `offset`, one of each for all channels or one for
    each channel."""

    scale: list[float] = [1.0]
    offset: list[float] = [0.0]

    @property
    def changed(self) -> bool:
        """Whether anything is done."""
        return {*self.scale} != {1.0} or {*self.offset} != {0.0}

    @property
    def pixels(self) -> Pixels | None:
        """The range that it is meant for."""
        return of_scaling(self.scale, self.offset)

    def then(self, scale: list[float], offset: list[float]) -> Scaled:
        """This step followed by another. Raises ValueError if their channels do not fit."""
        channels = max(map(len, (*self, scale, offset)))
        if channels > MOST_CHANNELS or not {*map(len, (*self, scale, offset))} <= {1, channels}:
            raise ValueError("the channels do not fit")
        factors, summands, scales, offsets = (
            numbers * channels if len(numbers) == 1 else numbers
            for numbers in (scale, offset, *self)
        )
        return Scaled(
            [s * f for s, f in zip(scales, factors, strict=True)],
            [o * f + more for o, f, more in zip(offsets, factors, summands, strict=True)],
        )


def _becomes(
    span: tuple[float, float], scale: float, offset: float, target: tuple[float, float]
) -> bool:
    low, high = sorted(scale * end + offset for end in span)
    near = _NEAR * (target[1] - target[0])
    return abs(low - target[0]) <= near and abs(high - target[1]) <= near


def of_moments(mean: Sequence[float], variance: Sequence[float]) -> Pixels | None:
    """The range whose values can have such a mean and variance: between 0 and 1, a variance is at
    most mean times (1 - mean). None if no range has them."""
    largest = max(map(abs, mean))
    if largest > 255 or (min(mean) < 0 and largest > 1) or max(variance, default=0) > 255**2:
        return None
    if largest > 1 or max(variance, default=0) > 1:
        return named("0..255", "layers")
    pairs = list(zip(mean, variance, strict=True)) if len(mean) == len(variance) else []
    beyond = any(v > 1.02 * m * (1 - m) for m, v in pairs)
    return named("-1..1" if min(mean) < 0 or beyond else "0..1", "layers")


_LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


def of_quantization(dtype: str, scale: float | None, zero_point: int | None) -> Pixels | None:
    """The range that the scale of a quantized input implies: with this scale, the type holds the
    values that calibration saw. None if the input is not quantized. Bytes without a scale are
    pixels.

    Within a tenth, values from 0 to 1 mean 0..1, from -1 to 1 mean -1..1, and from 0 to some tens
    or hundreds mean pixels. Any other range is assumed to be spread over the pixels evenly; so is
    the symmetric one of int16, which 0 to 1 and -1 to 1 share.
    """
    scale = step_of(dtype, scale)
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
