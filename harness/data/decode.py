"""The bytes of an image file -> the grey picture that models are shown.

Colour becomes grey by the weights of ITU-R 601, transparent parts become white, 16 bits are scaled
to 8, the orientation that a camera noted is applied, and the whole is stretched to 256 by 256
(antialiased, bicubic). Of an animation the first picture is used.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, NamedTuple

from harness.core.errors import UsageError
from harness.core.units import printable

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = 256
SHAPE = (SIZE, SIZE)

# By the end of the name; what is inside must agree.
KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".webp": "WEBP"}

# Pillow's own limit: a quarter of a gigabyte in colour. A phone's panorama fits, a bomb does not.
MAX_PIXELS = 89_478_485
MAX_BYTES = 400_000_000

# A pixel whose channels are no further apart is grey.
_TINT = 8

# Raise it whenever the same file gives another Picture.
VERSION = 2


class Picture(NamedTuple):
    """256 * 256 grey values, row by row, and whether they were colours before."""

    pixels: bytes
    colour: bool


class Refused(Exception):
    """This image cannot be used; the text is the reason."""


def decoder() -> str:
    """What decodes, in one word that changes when its pixels may.

    Raises UsageError if there is no Pillow.
    """
    try:
        import PIL
    except ImportError:
        raise UsageError(
            "reading images needs Pillow, which is not installed",
            "pip install 'mobile-bench-harness[build]'",
        ) from None
    return f"{VERSION}-pillow-{PIL.__version__}"


def grey(data: bytes, kind: str) -> Picture:
    """The file's bytes -> what a model is shown. `kind` is what the file's name promises.

    Raises Refused, whatever is wrong with the bytes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is refused below
            return _grey(data, kind)
    except Refused:
        raise
    except Exception as error:  # decoders raise anything on hostile bytes; it is the image's fault
        text = printable(str(error).partition("\n")[0])[:120] or type(error).__name__
        raise Refused(f"cannot be decoded: {text}") from None


def _grey(data: bytes, kind: str) -> Picture:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        opened = Image.open(io.BytesIO(data), formats=tuple(set(KINDS.values())))
    except UnidentifiedImageError:
        raise Refused("is not a png, jpeg, bmp or webp image") from None
    except Image.DecompressionBombError:
        raise Refused(f"has more than {MAX_PIXELS:,} pixels") from None
    with opened as image:
        # Several pictures in one JPEG file, as phones write them, go by a name of their own.
        found = "JPEG" if image.format == "MPO" else image.format
        if found != kind:
            raise Refused(f"is a {str(found).lower()} image, in spite of its name")
        if image.width * image.height > MAX_PIXELS:
            raise Refused(f"has more than {MAX_PIXELS:,} pixels")
        upright = ImageOps.exif_transpose(image)
        plain = _one_channel(upright).resize(SHAPE, Image.Resampling.BICUBIC)
        return Picture(plain.tobytes(), _has_colour(upright))


def _has_colour(image: Image) -> bool:
    """Whether any pixel is visibly not grey; a grey picture may be stored as a colour one, and
    lossy formats give its three channels back a little apart."""
    from PIL import ImageChops

    if image.mode.startswith("I") or image.mode in ("1", "L", "LA"):
        return False
    red, green, blue = image.convert("RGB").split()
    apart = (ImageChops.difference(red, other) for other in (green, blue))
    return any(any(difference.histogram()[_TINT + 1 :]) for difference in apart)


def _one_channel(image: Image) -> Image:
    """Any mode -> "L", at the size it has."""
    from PIL import Image

    if image.mode.startswith("I"):
        # Pillow would cut 16 bits off at 255.
        import numpy as np

        deep = np.asarray(image).astype(np.uint32)
        deep *= 255
        deep += 32767
        deep //= 65535
        return Image.fromarray(deep.astype(np.uint8))
    if image.has_transparency_data:
        layers = image if image.mode == "LA" else image.convert("RGBA")
        white = Image.new("L", image.size, 255)
        white.paste(layers.convert("L"), mask=layers.getchannel("A"))
        return white
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB").convert("L")
