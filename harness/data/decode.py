"""The bytes of an image file -> the picture that models are shown, 256 by 256.

Transparent parts become white, the orientation that a camera noted is applied, and the whole is
stretched to the square (antialiased, bicubic). Of an animation or of several pages the first is
used. A picture without colour becomes grey values. Depth is kept: a picture of 16 bits keeps them,
because only the whole data set shows which of them are in use (`harness/data/depth.py`).
"""

from __future__ import annotations

import io
import math
import warnings
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from harness.core.errors import UsageError
from harness.core.units import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

SIZE = 256
SHAPE = (SIZE, SIZE)

# By the end of the name; what is inside must agree.
KINDS = {
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    ".webp": "WEBP",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".gif": "GIF",
    **dict.fromkeys((".pgm", ".ppm", ".pbm", ".pnm"), "PPM"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIF"),
    ".avif": "AVIF",
}
READABLE = "png, jpeg, bmp, webp, tiff, gif, pgm, heic or avif"

# Kinds of pictures that the harness cannot read. Files with these endings are counted and reported
# by their kind.
UNREADABLE_KINDS = frozenset(
    {
        *(".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf"),
        *(".svg", ".psd", ".xcf", ".eps", ".ai", ".jp2", ".j2k", ".jxl", ".exr", ".hdr", ".tga"),
        *(".dcm", ".nii", ".fits", ".fit", ".ico", ".mp4", ".mov", ".avi"),
    }
)

# Pillow's own limit: a quarter of a gigabyte in colour. A phone's panorama fits, a decompression
# bomb does not.
MAX_PIXELS = 89_478_485
MAX_BYTES = 400_000_000

# A pixel whose channels are no further apart is grey.
_TINT = 8
# The upper 8 of 16 bits stay below this where a picture uses the lower 14 at most. A picture that
# is merely dark is refused as well, and the message says so; if it were accepted, a picture of 14
# bits would be shown too dark.
_DIM = 64

# Raise it whenever the same file gives another Picture.
VERSION = 5

# Eight bits grey, eight bits of red, green and blue, sixteen bits grey, and grey as floats.
Form = Literal["grey", "colour", "deep", "real"]
_DTYPES: dict[Form, str] = {"grey": "u1", "colour": "u1", "deep": "<u2", "real": "<f4"}


class Picture(NamedTuple):
    """256 by 256 pixels, row by row, as `form` has them."""

    pixels: bytes
    form: Form = "grey"

    @property
    def colour(self) -> bool:
        """Whether the pixels are red, green and blue."""
        return self.form == "colour"

    @property
    def deep(self) -> bool:
        """Whether it has more than eight bits per pixel, or floats."""
        return self.form in ("deep", "real")

    def array(self) -> NDArray[Any]:
        """(256, 256), in colour (256, 256, 3); uint8, uint16 or float32."""
        import numpy as np

        flat = np.frombuffer(self.pixels, _DTYPES[self.form])
        return flat.reshape((*SHAPE, 3) if self.colour else SHAPE)


def bytes_of(form: Form) -> int:
    """The length of `pixels`."""
    each = {"grey": 1, "colour": 3, "deep": 2, "real": 4}
    return SIZE * SIZE * each[form]


class Refused(Exception):
    """This image cannot be used; the text is the reason."""


def decoder() -> str:
    """The decoder's name and version, a word that changes whenever its pixels may change.

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


def missing(kind: str) -> str | None:
    """The extra to install before files of this kind can be read; None if they can be."""
    from importlib.util import find_spec

    if kind == "HEIF" and find_spec("pillow_heif") is None:
        return "heic"
    if kind == "AVIF" and find_spec("PIL.AvifImagePlugin") is None:
        return "build"
    return None


def decode(data: bytes, kind: str) -> Picture:
    """The file's bytes -> what a model is shown. `kind` is what the file's name promises.

    Raises Refused, whatever is wrong with the bytes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is refused below
            return _decode(data, kind)
    except Refused:
        raise
    except Exception as error:  # decoders can raise anything on hostile bytes
        text = printable(str(error).partition("\n")[0])[:120] or type(error).__name__
        raise Refused(f"cannot be decoded: {text}") from None


def from_array(pixels: NDArray[Any]) -> Picture:
    """One picture of an array, (height, width) or (height, width, 1, 3 or 4): bytes as they are,
    wider numbers with their depth. Raises Refused."""
    import numpy as np
    from PIL import Image

    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim == 3:
        if pixels.dtype != np.uint8:
            raise Refused(f"is a colour picture of {pixels.dtype} and not of uint8")
        return _shown(Image.fromarray(np.ascontiguousarray(pixels)))
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype == np.uint8:
        return _shown(Image.fromarray(np.ascontiguousarray(pixels)))
    return _shown_deep(pixels, whole=pixels.dtype.kind in "iu")


def grey_of(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(..., 3) red, green and blue -> (...) grey values by the weights of ITU-R 601."""
    import numpy as np

    wide = colours.astype(np.uint32)
    weighed = wide[..., 0] * 19595 + wide[..., 1] * 38470 + wide[..., 2] * 7471
    return np.asarray((weighed + 0x8000) >> 16, np.uint8)


def _decode(data: bytes, kind: str) -> Picture:
    from PIL import Image, ImageOps, UnidentifiedImageError

    if kind == "HEIF" and missing(kind) is None:
        import pillow_heif

        pillow_heif.register_heif_opener()
    try:
        Image.init()
        known = sorted(set(KINDS.values()) & Image.OPEN.keys())
        opened = Image.open(io.BytesIO(data), formats=known)
    except UnidentifiedImageError:
        raise Refused(f"is not a {READABLE} image") from None
    except Image.DecompressionBombError:
        raise Refused(f"has more than {MAX_PIXELS:,} pixels") from None
    with opened as image:
        deep_colour = _was_deep(image)
        # Pillow has a name of its own for a JPEG file with several pictures, as phones write them.
        found = "JPEG" if image.format == "MPO" else image.format
        if found != kind:
            raise Refused(f"is a {str(found).lower()} image, in spite of its name")
        if image.width * image.height > MAX_PIXELS:
            raise Refused(f"has more than {MAX_PIXELS:,} pixels")
        # A JPEG decoder can decode a large photo at a fraction of its size, which is faster. At
        # twice the size that is wanted, the result is nearly the same.
        if image.format in ("JPEG", "MPO"):
            image.draft(None, (2 * SIZE, 2 * SIZE))
        upright = ImageOps.exif_transpose(image)
        if upright.mode == "F" or upright.mode.startswith("I"):
            import numpy as np

            return _shown_deep(np.asarray(upright), whole=upright.mode != "F")
        if deep_colour and _brightest(upright) < _DIM:
            raise Refused(
                "is a colour picture of 16 bits per channel that does not use the upper two; "
                "save it with 8 bits per channel"
            )
        return _shown(upright)


def _was_deep(image: Image) -> bool:
    """Whether the file has 16 bits per channel of colour, of which Pillow keeps the upper 8."""
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _brightest(image: Image) -> int:
    return max(band.getextrema()[1] for band in image.convert("RGB").split())  # type: ignore


def _shown(image: Image) -> Picture:
    """A picture of eight bits per channel, stretched."""
    from PIL import Image as images

    flat = _opaque(image)
    if flat.mode != "L" and _is_grey(flat):
        flat = flat.convert("L")
    stretched = flat.resize(SHAPE, images.Resampling.BICUBIC)
    if _has_colour(stretched):
        return Picture(stretched.tobytes(), "colour")
    if flat.mode != "L":
        stretched = flat.convert("L").resize(SHAPE, images.Resampling.BICUBIC)
    return Picture(stretched.tobytes(), "grey")


def _shown_deep(pixels: NDArray[Any], *, whole: bool) -> Picture:
    """Numbers of more than eight bits, stretched. Whole ones of at most sixteen bits stay whole."""
    import numpy as np
    from PIL import Image

    if pixels.ndim != 2 or not pixels.size:
        raise Refused(f"has the shape {'x'.join(map(str, pixels.shape))}, and is not a picture")
    values = pixels.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise Refused("has values that are not finite numbers")
    if values.shape != SHAPE:
        stretched = Image.fromarray(values).resize(SHAPE, Image.Resampling.BICUBIC)
        # Bicubic overshoots at edges, which must not look like a wider range.
        values = np.clip(np.asarray(stretched), low, high)
    if whole and low >= 0 and high <= 65535:
        return Picture(np.rint(values).astype("<u2").tobytes(), "deep")
    return Picture(values.astype("<f4").tobytes(), "real")


def _has_colour(image: Image) -> bool:
    """Whether any pixel is visibly not grey; a grey picture may be stored as a colour one, and
    lossy formats make its three channels differ a little."""
    from PIL import ImageChops

    if image.mode == "L":
        return False
    red, green, blue = image.split()
    apart = (ImageChops.difference(red, other) for other in (green, blue))
    return any(difference.getextrema()[1] > _TINT for difference in apart)  # type: ignore[operator]


def _is_grey(image: Image) -> bool:
    """Whether the three channels of every pixel are the same. Looks at a few rows first."""
    few = image.crop((0, 0, image.width, min(image.height, 4)))
    for part in (few, image):
        red, green, blue = (band.tobytes() for band in part.split())
        if not red == green == blue:
            return False
    return True


def _opaque(image: Image) -> Image:
    """Any mode -> "L" or "RGB", in the same size; transparent parts become white."""
    from PIL import Image as images

    if image.has_transparency_data:
        grey = image.mode in ("LA", "L", "1")
        layers = image.convert("LA" if grey else "RGBA")
        white = images.new("L" if grey else "RGB", image.size, 255 if grey else (255, 255, 255))
        white.paste(layers.convert(white.mode), mask=layers.getchannel("A"))
        return white
    return image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
