from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, features

from harness.data import depth
from harness.data.decode import KINDS, SIZE, Refused, bytes_of, decode, from_array, grey_of

pillow_heif.register_heif_opener()
FORMATS = sorted(set(KINDS.values()))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(data: bytes, kind: str) -> NDArray[np.uint8]:
    """The grey values that a model of one channel is shown."""
    pixels = decode(data, kind).array()
    return grey_of(pixels) if pixels.ndim == 3 else pixels


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_grey_of_the_right_size_arrives_as_it_is() -> None:
    pixels = noise(256, 256)
    for kind in ("PNG", "BMP"):
        np.testing.assert_array_equal(decoded(encoded(Image.fromarray(pixels), kind), kind), pixels)


def test_the_same_pixels_are_the_same_however_they_are_encoded() -> None:
    colour = Image.fromarray(noise(90, 60, 3))
    opaque = colour.convert("RGBA")
    expected = decode(encoded(colour, "PNG"), "PNG")
    assert decode(encoded(colour, "PNG", compress_level=0), "PNG") == expected
    assert decode(encoded(colour, "BMP"), "BMP") == expected
    assert decode(encoded(opaque, "PNG"), "PNG") == expected
    assert decode(encoded(colour, "WEBP", lossless=True), "WEBP") == expected
    # A photograph and a lossless copy of what it shows.
    photograph = encoded(colour, "JPEG")
    copy = encoded(Image.open(io.BytesIO(photograph)), "PNG")
    assert decode(photograph, "JPEG") == decode(copy, "PNG")


def test_a_large_photo_is_decoded_smaller_and_looks_the_same() -> None:
    """JPEG's decoder shrinks by a power of 2; what is left to do is what it would have been."""
    smooth = Image.fromarray(noise(24, 32, 3)).resize((1600, 1200), Image.Resampling.BICUBIC)
    photo = encoded(smooth, "JPEG", quality=95)
    whole = encoded(Image.open(io.BytesIO(photo)), "PNG")
    apart = np.abs(decoded(photo, "JPEG").astype(int) - decoded(whole, "PNG"))
    assert apart.mean() < 1
    assert apart.max() <= 8
    assert apart.any(), "nothing was decoded smaller"


def test_a_grey_picture_stored_in_colour_counts_as_grey() -> None:
    gray = Image.fromarray(noise(40, 40))
    tinted = Image.new("RGB", (40, 40), (90, 90, 90))
    tinted.putpixel((3, 30), (90, 90, 120))
    for kind in FORMATS:
        assert not decode(encoded(gray.convert("RGB"), kind), kind).colour
    for kind in ("PNG", "BMP"):
        assert decode(encoded(tinted, kind), kind).colour
    assert not decode(encoded(gray, "PNG"), "PNG").colour
    assert decode(encoded(Image.new("CMYK", (9, 9), (200, 0, 0, 0)), "JPEG"), "JPEG").colour


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (31, 7), (256, 256), (1000, 400)])
def test_any_size_and_format_keeps_its_light(kind: str, size: tuple[int, int]) -> None:
    picture = decoded(encoded(Image.new("RGB", size, (120, 120, 120)), kind), kind)
    assert picture == pytest.approx(120, abs=1)


def test_sides_are_stretched_not_cropped() -> None:
    pixels = np.zeros((40, 1000), np.uint8)
    pixels[:, :500] = 200
    picture = decoded(encoded(Image.fromarray(pixels), "PNG"), "PNG")
    assert picture[:, :120].min() == 200
    assert picture[:, 136:].max() == 0


@settings(deadline=None)
@given(st.integers(0, 65535))
def test_sixteen_bits_are_scaled_not_cut(value: int) -> None:
    deep = Image.fromarray(np.full((3, 3), value, np.uint16))
    for kind in ("PNG", "TIFF", "PPM"):
        picture = decode(encoded(deep, kind), kind)
        assert picture.form == "deep"
        assert (picture.array() == value).all()
    whole = depth.range_of([(0, 65535)], whole=True)
    assert depth.eight_bits(picture.array(), whole)[0, 0] == round(value * 255 / 65535)


def test_palette_bilevel_and_cmyk() -> None:
    red = Image.new("RGB", (9, 9), (255, 0, 0))
    expected = decoded(encoded(red, "PNG"), "PNG")
    assert (expected == 76).all()  # 0.299 * 255, ITU-R 601
    np.testing.assert_array_equal(decoded(encoded(red.convert("P"), "PNG"), "PNG"), expected)
    assert decoded(encoded(red.convert("CMYK"), "JPEG"), "JPEG") == pytest.approx(76, abs=2)
    assert (decoded(encoded(Image.new("1", (9, 9), 1), "PNG"), "PNG") == 255).all()


def png_of_16_bits(colours: NDArray[Any]) -> bytes:
    """Red, green and blue (height, width, 3), which Pillow does not write."""

    def part(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width, _ = colours.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colours)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_colours_of_few_bits_in_16_are_refused_and_not_shown_dark(bits: int) -> None:
    colours = noise(20, 30, 3).astype(np.uint16)
    whole = decode(png_of_16_bits(colours * 257), "PNG")
    assert whole == decode(encoded(Image.fromarray(colours.astype(np.uint8)), "PNG"), "PNG")
    with pytest.raises(Refused, match="does not use the upper two"):
        decode(png_of_16_bits(colours << (bits - 8)), "PNG")


def test_what_is_transparent_is_white() -> None:
    for mode, clear, half in (("RGBA", (9, 9, 9, 0), (0, 0, 0, 128)), ("LA", (9, 0), (0, 128))):
        assert (decoded(encoded(Image.new(mode, (5, 5), clear), "PNG"), "PNG") == 255).all()
        assert (decoded(encoded(Image.new(mode, (5, 5), half), "PNG"), "PNG") == 127).all()
    palette = Image.new("L", (5, 5), 3).convert("P")
    assert (decoded(encoded(palette, "PNG", transparency=3), "PNG") == 255).all()
    assert (decoded(encoded(Image.new("L", (5, 5), 7), "PNG", transparency=7), "PNG") == 255).all()


def test_the_camera_says_which_side_is_up() -> None:
    upright = np.zeros((64, 64), np.uint8)
    upright[:16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn by 90 degrees to see it upright
    lying = Image.fromarray(np.rot90(upright).copy())
    picture = decoded(encoded(lying, "PNG", exif=exif), "PNG")
    np.testing.assert_array_equal(picture, decoded(encoded(Image.fromarray(upright), "PNG"), "PNG"))


def test_several_pictures_in_one_jpeg_as_phones_write_them() -> None:
    first = Image.new("L", (9, 9), 50)
    data = encoded(first, "MPO", save_all=True, append_images=[Image.new("L", (9, 9), 200)])
    assert decoded(data, "JPEG") == pytest.approx(50, abs=1)


# --- what is refused --------------------------------------------------------------------------


def refusal(data: bytes, kind: str) -> str:
    with pytest.raises(Refused) as caught:
        decode(data, kind)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("inside", FORMATS)
@pytest.mark.parametrize("promised", FORMATS)
def test_a_name_that_promises_another_format(promised: str, inside: str) -> None:
    data = encoded(Image.new("RGB", (9, 9)), inside)
    if promised == inside:
        decode(data, promised)
    else:
        assert f"is a {inside.lower()} image, in spite of its name" in refusal(data, promised)


@pytest.mark.parametrize("kind", FORMATS)
def test_truncated(kind: str) -> None:
    data = encoded(Image.fromarray(noise(200, 200, 3)), kind)
    assert refusal(data[: len(data) // 2], kind)


def test_no_image_at_all() -> None:
    tga = encoded(Image.new("L", (9, 9)), "TGA")
    for data in (b"hello", b"\x00" * 5000, tga, b"%PDF-1.4", b"\x89PNG\r\n\x1a\n"):
        assert "is not a png, jpeg, bmp, webp, tiff, gif, pgm, heic or avif image" in refusal(
            data, "PNG"
        )


def png_of(width: int, height: int) -> bytes:
    """A small file that claims to be large; what is compressed in it is all zero."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_500, 30_000, 1_000_000])
def test_decompression_bombs(side: int) -> None:
    assert "more than 89,478,485 pixels" in refusal(png_of(side, side), "PNG")


@settings(deadline=None)
@given(st.sampled_from(FORMATS), st.integers(0, 2**32), st.integers(1, 12))
def test_damage_anywhere_is_refused_or_decoded_never_a_trace(
    kind: str, seed: int, count: int
) -> None:
    data = bytearray(encoded(Image.fromarray(noise(40, 40, 3)), kind))
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, len(data), count):
        data[place] = rng.integers(0, 256)
    try:
        picture = decode(bytes(data), kind)
        assert len(picture.pixels) == bytes_of(picture.form) >= SIZE * SIZE
    except Refused as refused:
        assert "\n" not in str(refused)


def test_this_pillow_reads_webp_and_avif() -> None:
    assert features.check("webp")
    assert features.check("avif")


# --- depth and arrays -------------------------------------------------------------------------


def test_colour_is_kept_and_its_grey_is_itu_r_601() -> None:
    red = decode(encoded(Image.new("RGB", (9, 9), (255, 0, 0)), "PNG"), "PNG")
    assert red.form == "colour"
    assert (red.array() == (255, 0, 0)).all()
    colours = noise(5, 7, 3)
    grey = np.asarray(Image.fromarray(colours).convert("L"))
    np.testing.assert_array_equal(grey_of(colours), grey)


def test_floats_keep_their_values() -> None:
    pixels = np.linspace(-3, 9, 16, dtype=np.float32).reshape(4, 4)
    picture = decode(encoded(Image.fromarray(pixels), "TIFF"), "TIFF")
    assert picture.form == "real"
    assert picture.array().min() == pytest.approx(-3, abs=1e-6)
    assert picture.array().max() == pytest.approx(9, abs=1e-6)
    pixels[1, 2] = np.nan
    assert "not finite" in refusal(encoded(Image.fromarray(pixels), "TIFF"), "TIFF")


@pytest.mark.parametrize(
    ("extremes", "whole", "low", "high"),
    [
        ([(3, 200), (0, 255)], True, 0, 255),
        ([(0, 1000)], True, 0, 1023),
        ([(16, 4080), (0, 12)], True, 0, 4095),
        ([(0, 16383)], True, 0, 16383),
        ([(0, 16384)], True, 0, 65535),
        ([(0.0, 0.7)], False, 0, 1),
        ([(0.0, 254.5)], False, 0, 255),
        ([(0.0, 3000.0)], False, 0, 4095),
        ([(-1000.0, 2000.0), (0.0, 3000.0)], False, -1000, 3000),
        ([(0.0, 70000.0)], False, 0, 70000),
    ],
)
def test_the_range_in_use_is_that_of_the_whole_set(
    extremes: list[tuple[float, float]], whole: bool, low: float, high: float
) -> None:
    used = depth.range_of(extremes, whole=whole)
    assert (used.low, used.high) == (low, high)
    ends = depth.eight_bits(np.array([[low, high, low - 1, high + 1]]), used)
    assert ends.tolist() == [[0, 255, 0, 255]]


def test_a_range_of_one_value_is_black_not_an_error() -> None:
    used = depth.range_of([(-2.0, -2.0)], whole=False)
    assert depth.eight_bits(np.full((2, 2), -2.0), used).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int32", "float32", "float64"])
def test_rows_of_an_array_are_pictures(dtype: str) -> None:
    pixels = noise(256, 256) > 127 if dtype == "bool" else noise(256, 256).astype(dtype)
    picture = from_array(pixels)
    scale = 255 if dtype == "bool" else 1
    np.testing.assert_array_equal(picture.array(), pixels.astype(float) * scale)
    assert picture.form == ("grey" if dtype in ("bool", "uint8") else picture.form)
    assert from_array(pixels[..., None]) == picture
