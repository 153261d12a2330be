"""Data as other people have it: depths, colours, kinds of files, lists and arrays."""

from __future__ import annotations

import contextlib
import os
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image

from harness.core.errors import DataError, UsageError
from harness.data import copies, decode, demo
from harness.data.dataset import SPLITS, Dataset
from harness.data.listed import in_order
from harness.data.opening import open_dataset
from harness.data.split import parse
from harness.data.tree import split_named
from tests.unit.data.test_folder import fill, picture, same, told, where

pytestmark = pytest.mark.slow  # each reads hundreds of pictures

pillow_heif.register_heif_opener()


def smooth(number: int, size: tuple[int, int] = (300, 240)) -> Image.Image:
    """A picture with large shapes, as photographs have; each number another one."""
    rng = np.random.default_rng(number)
    small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def grey(number: int) -> NDArray[np.uint8]:
    return np.asarray(smooth(number, (256, 256)).convert("L"))


def opened(path: Path, cache: Path, **options: Any) -> Dataset:
    return open_dataset(str(path), cache / "cache", **options)


def shown(data: Dataset) -> dict[int, NDArray[np.uint8]]:
    """The pictures by their mean light, rounded."""
    return {
        round(float(image.mean())): np.asarray(image)
        for split in SPLITS
        for image in data.arrays(split)[0]
    }


# --- depth ----------------------------------------------------------------------------------


def deep_folder(root: Path, scale: float, dtype: str, end: str) -> None:
    """Ten pictures of each class, of 1 to 20 times `scale` but for one dark corner."""
    for place, name in enumerate(("dim", "light")):
        (root / name).mkdir(parents=True)
        for number in range(10):
            pixels = np.full((8, 8), (number + 1 + 10 * place) * scale).astype(dtype)
            pixels[0, 0] = 0
            Image.fromarray(pixels).save(root / name / f"{number}{end}")


@pytest.mark.parametrize(
    ("scale", "dtype", "end", "line"),
    [
        (200.0, "uint16", ".png", "16 bits, 12 bits in use, up to 4,000: 0 to 4,095 is shown as"),
        (51.0, "uint16", ".tif", "16 bits, 10 bits in use, up to 1,020: 0 to 1,023 is shown as"),
        (0.05, "float32", ".tiff", "floats or wide numbers, floats from 0 to 1: 0 to 1 is shown"),
    ],
)
def test_one_range_for_all_pictures_keeps_their_light(
    tmp_path: Path, scale: float, dtype: str, end: str, line: str
) -> None:
    deep_folder(tmp_path / "x", scale, dtype, end)
    data = opened(tmp_path / "x", tmp_path)
    assert f"depth: 20 of 20 images are of {line}" in told(data)
    assert data.summary.total == 20
    lights = sorted(float(image[128, 128]) for split in SPLITS for image in data.arrays(split)[0])
    top = {200.0: 4095, 51.0: 1023, 0.05: 1}[scale]
    assert lights == pytest.approx([255 * n * scale / top for n in range(1, 21)], abs=0.6)


def test_pictures_that_differ_in_low_bits_are_no_duplicates(tmp_path: Path) -> None:
    for name, start in (("a", 0), ("b", 50)):
        (tmp_path / "x" / name).mkdir(parents=True)
        for number in range(10):
            rng = np.random.default_rng(start + number)
            pixels = rng.integers(0, 200, (8, 8), dtype=np.uint16)  # black by the file's range
            pixels[0] += 3000
            Image.fromarray(pixels).save(tmp_path / "x" / name / f"{number}.png")
    data = opened(tmp_path / "x", tmp_path)
    assert data.summary.total == 20
    assert data.summary.copies == 0


# --- colour -----------------------------------------------------------------------------------


def test_colours_are_kept_beside_the_greys(tmp_path: Path) -> None:
    # ITU-R 601 makes the same grey of both, so only the colours tell them apart.
    for name, colour in (("red", (200, 0, 0)), ("green", (0, 102, 0))):
        (tmp_path / "x" / name).mkdir(parents=True)
        for number in range(10):
            image = Image.new("RGB", (20, 20), colour)
            image.paste(Image.fromarray(grey(number + 50 * len(name))).resize((20, 10)))
            image.save(tmp_path / "x" / name / f"{number}.png")
    data = opened(tmp_path / "x", tmp_path)
    assert data.summary.total == 20
    assert data.summary.conflicts == ()
    for split in SPLITS:
        images, labels = data.arrays(split)
        colours = data.colours(split)
        assert colours is not None
        assert colours.shape == (len(labels), 256, 256, 3)
        np.testing.assert_array_equal(decode.grey_of(np.asarray(colours)), images)
        corner = colours[:, 250, 250]
        assert [data.classes[i] for i in labels] == ["red" if c[0] else "green" for c in corner]


def test_a_grey_folder_has_no_colours(tmp_path: Path) -> None:
    for name, start in (("a", 0), ("b", 50)):
        (tmp_path / "x" / name).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(grey(start + number)).save(tmp_path / "x" / name / f"{number}.png")
    data = opened(tmp_path / "x", tmp_path)
    assert data.colours("test") is None
    assert open_dataset("demo", tmp_path).colours("test") is None


# --- kinds of files ---------------------------------------------------------------------------


def test_every_kind_that_people_have(tmp_path: Path) -> None:
    ends = {".tif": "TIFF", ".gif": "GIF", ".jfif": "JPEG", ".pgm": "PPM", ".heic": "HEIF"}
    ends |= {".avif": "AVIF", ".ppm": "PPM", ".jpe": "JPEG"}
    for place, (end, kind) in enumerate(ends.items()):
        for name, start in (("a", 0), ("b", 500)):
            (tmp_path / "x" / name).mkdir(parents=True, exist_ok=True)
            for number in range(3):
                image = smooth(start + place * 10 + number)
                image = image.convert("L") if end == ".pgm" else image
                image.save(tmp_path / "x" / name / f"{number}{end}", kind)
    data = opened(tmp_path / "x", tmp_path)
    assert data.summary.total == 2 * 3 * len(ends)
    assert data.summary.refused == data.summary.skipped == ()


def test_kinds_that_cannot_be_read_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "x" / "a", range(10))
    fill(tmp_path / "x" / "b", range(50, 60))
    for number in range(40):
        (tmp_path / "x" / "a" / f"{number}.heic").write_bytes(b"x")
    for number in range(3):
        (tmp_path / "x" / "a" / f"{number}.dng").write_bytes(b"x")
    monkeypatch.setattr("harness.data.tree.missing", {"HEIF": "heic"}.get)
    lines = told(opened(tmp_path / "x", tmp_path))
    wanted = "40 files cannot be read (40 .heic): pip install 'mobile-bench-harness[heic]'"
    assert f"note: {wanted}" in lines
    assert "note: 3 files cannot be read (3 .dng): save them as png" in lines
    shutil.rmtree(tmp_path / "x" / "b")
    (tmp_path / "x" / "b").mkdir()
    (tmp_path / "x" / "b" / "0.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"class b of x has no image .* \(41 .heic\): pip install"):
        opened(tmp_path / "x", tmp_path)


# --- folders as other programs leave them -------------------------------------------------------


@pytest.mark.parametrize(
    "junk",
    ["@eaDir", "#recycle", "lost+found", ".thumbnails", "__MACOSX", "$RECYCLE.BIN", "LOST.DIR"],
)
def test_folders_of_other_programs_are_no_classes(tmp_path: Path, junk: str) -> None:
    fill(tmp_path / "x" / "a", range(10))
    fill(tmp_path / "x" / "b", range(50, 60))
    before = opened(tmp_path / "x", tmp_path)
    fill(tmp_path / "x" / junk, range(100, 110))
    fill(tmp_path / "x" / "a" / junk, range(200, 210))
    after = opened(tmp_path / "x", tmp_path)
    assert after.classes == ("a", "b")
    assert same(before, after)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(("training_set", "train"), ("Test_Set", "test"), ("val2017", "validation")),
        *(("train_images", "train"), ("dev", "validation"), ("validation data", "validation")),
        *(("VALID", "validation"), ("trainer", None), ("test1", None), ("set", None), ("", None)),
    ],
)
def test_what_people_call_a_split(name: str, split: str | None) -> None:
    assert split_named(name) == split


def test_splits_by_other_names_are_no_classes(tmp_path: Path) -> None:
    for place, split in enumerate(("training_set", "test_set")):
        for number, label in enumerate(("cats", "dogs")):
            start = 100 * place + 50 * number
            fill(tmp_path / "x" / split / label, range(start, start + 10))
    data = opened(tmp_path / "x", tmp_path)
    assert data.classes == ("cats", "dogs")
    assert data.summary.count("test") == 20


def test_classes_that_hold_the_same_folders_are_doubted(tmp_path: Path) -> None:
    for place, part in enumerate(("part-a", "part-b")):
        for number, label in enumerate(("cats", "dogs")):
            start = 100 * place + 50 * number
            fill(tmp_path / "x" / part / label, range(start, start + 10))
    lines = told(opened(tmp_path / "x", tmp_path))
    assert "note: each of part-a; part-b holds the folders cats; dogs: if those are the" in lines


def test_one_name_in_two_unicode_forms_is_one_class(tmp_path: Path) -> None:
    name = "Fußgänger"
    forms = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    assert forms[0] != forms[1]
    fill(tmp_path / "x" / "train" / forms[0], range(10))
    fill(tmp_path / "x" / "train" / "leer", range(50, 60))
    fill(tmp_path / "x" / "test" / forms[1], range(20, 30))
    fill(tmp_path / "x" / "test" / "leer", range(80, 90))
    data = opened(tmp_path / "x", tmp_path)
    assert data.classes == (forms[0], "leer")
    assert data.summary.counts[forms[0]]["test"] == 10


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    latin = os.fsdecode("café".encode("latin-1"))
    fill(tmp_path / "x" / latin, range(10))
    fill(tmp_path / "x" / "thé", range(50, 60))
    odd = tmp_path / "x" / "thé" / os.fsdecode(b"\xff\xfe.png")
    picture(70).save(odd)
    data = opened(tmp_path / "x", tmp_path)
    assert data.classes == ("café", "thé")
    assert data.summary.total == 21
    assert all(line.isprintable() for line in data.summary.lines())
    "\n".join(data.summary.lines()).encode()
    odd.write_bytes(b"broken")
    (left,) = opened(tmp_path / "x", tmp_path).summary.refused
    left.path.encode()


def test_a_flat_test_folder_judges_nothing_and_is_told_of(tmp_path: Path) -> None:
    fill(tmp_path / "x" / "train" / "a", range(40))
    fill(tmp_path / "x" / "train" / "b", range(100, 140))
    fill(tmp_path / "x" / "test", range(200, 230))
    data = opened(tmp_path / "x", tmp_path)
    assert data.classes == ("a", "b")
    assert data.summary.total == 80
    assert all(data.summary.count(split) for split in SPLITS)
    assert (
        "note: test/ has 30 images without classes, so they are not used: the test "
        "split is taken from the images for training"
    ) in told(data)


def test_a_data_set_nested_once_more_is_named(tmp_path: Path) -> None:
    inner = tmp_path / "chest" / "chest"
    for split in ("train", "test"):
        fill(inner / split / "a", range(5))
        fill(inner / split / "b", range(50, 55))
    (tmp_path / "chest" / "__MACOSX").mkdir()
    with pytest.raises(DataError, match=r"did you mean .*/chest/chest\?"):
        opened(tmp_path / "chest", tmp_path)
    (tmp_path / "more").mkdir()
    (tmp_path / "chest").rename(tmp_path / "more" / "chest")
    with pytest.raises(DataError, match=r"did you mean .*/more/chest/chest\?"):
        opened(tmp_path / "more", tmp_path)


# --- copies that were saved again ---------------------------------------------------------------


def photographs(root: Path) -> None:
    for name, start in (("a", 0), ("b", 500)):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(start, start + 24):
            smooth(number).save(root / name / f"{number}.png", compress_level=1)


def test_copies_that_were_saved_again_are_on_one_side(tmp_path: Path) -> None:
    photographs(tmp_path / "x")
    for number in range(20):
        again = tmp_path / "x" / "a" / f"again{number}"
        smooth(number).save(again.with_suffix(".jpg"), quality=60)
        small = smooth(number).resize((100, 80), Image.Resampling.LANCZOS)
        small.save(again.with_suffix(".webp"), quality=80)
    data = opened(tmp_path / "x", tmp_path)
    assert data.summary.total == 88
    assert len(data.summary.resaved) == 20
    assert "a/0.png = a/again0.jpg = a/again0.webp" in data.summary.resaved
    assert "saved again, kept on one side of the split (20): a/0.png = " in told(data)
    # Each triple is on one side: the pictures of a side agree with none of another one.
    seen = [(split, image) for split in SPLITS for image in data.arrays(split)[0]]
    looks = [copies.likeness(decode.Picture(image.tobytes())) for _, image in seen]
    pairs = list(copies.pairs(looks, lambda i: copies.comparable(seen[i][1])))
    assert len(pairs) == 60
    assert all(seen[i][0] == seen[j][0] for i, j in pairs)
    assert len({seen[i][0] for i, _ in pairs}) > 1


def test_a_copy_across_the_users_split_is_used_on_the_later_side(tmp_path: Path) -> None:
    photographs(tmp_path / "x" / "train")
    for name, start in (("a", 100), ("b", 600)):
        (tmp_path / "x" / "test" / name).mkdir(parents=True)
        for number in range(start, start + 10):
            smooth(number).save(tmp_path / "x" / "test" / name / f"{number}.png")
    smooth(100).save(tmp_path / "x" / "train" / "a" / "leak.jpg", quality=70)
    data = opened(tmp_path / "x", tmp_path)
    assert data.summary.count("test") == 20
    assert data.summary.total == 68
    assert data.summary.resaved_left_out == 1
    assert "one side of the split, 1 left out (1): test/a/100.png = train/a/leak.jpg" in told(data)


def test_different_pictures_are_not_taken_for_copies() -> None:
    pictures = [decode.from_array(demo.generate_one(index)) for index in range(40)]
    pictures += [decode.from_array(grey(number)) for number in range(40)]
    pictures += [decode.from_array(np.full((9, 9), value, np.uint8)) for value in range(5)]
    looks = [copies.likeness(one) for one in pictures]
    assert not list(copies.pairs(looks, lambda i: copies.comparable(pictures[i].array())))


# --- lists and arrays ---------------------------------------------------------------------------


def pool(root: Path) -> list[tuple[str, str]]:
    """Pictures in one folder; (path, label) of each."""
    fill(root / "images", range(40))
    return [(f"images/{n}.png", ("intact", "cracked")[n % 2]) for n in range(40)]


def by_folders(root: Path, rows: list[tuple[str, str]]) -> Path:
    for path, label in rows:
        (root / "sorted" / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(root / path, root / "sorted" / label)
    return root / "sorted"


@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ("path,label", "{0},{1}"),
        ("", "{0},{1}"),
        ("\ufefffile;other;class", "{0};x;{1}"),
        ("label\tfilename", "{1}\t{0}"),
        ("id,target", "{2},{1}"),
        ("sep=;\r\nfilepath;species", "{0};{1}\r"),
        ("", "{1},{0}"),
        ("what,img file", '"{1}","{0}"'),
        (",Image_Name,Diagnosis", "7,./{0},{1}"),
        ("path|label", "{0}|{1}"),
    ],
)
def test_a_list_is_the_folder_by_other_means(tmp_path: Path, heading: str, row: str) -> None:
    rows = pool(tmp_path)
    lines = [row.format(path, label, Path(path).stem) for path, label in rows]
    (tmp_path / "list.csv").write_text("\n".join([heading, *lines] if heading else lines))
    data = opened(tmp_path / "list.csv", tmp_path)
    assert data.classes == ("cracked", "intact")
    assert where(data) == where(opened(by_folders(tmp_path, rows), tmp_path))
    assert data.name == "list.csv"


def test_a_list_that_windows_wrote(tmp_path: Path) -> None:
    """UTF-16 and its line ends, backslashes, and a path that no system can have."""
    rows = pool(tmp_path)
    lines = ["path,label", *(",".join(row).replace("/", "\\") for row in rows)]
    lines += [f"{'x' * 5000}.png,intact"]
    (tmp_path / "list.csv").write_bytes("\r\n".join(lines).encode("utf-16"))
    data = opened(tmp_path / "list.csv", tmp_path)
    assert data.summary.total == 40
    assert [left.reason for left in data.summary.refused] == ["is listed but does not exist"]


@pytest.mark.parametrize(
    ("labels", "ordered"),
    [
        ({"10.0", "2.0"}, ("2.0", "10.0")),
        ({"--1", "2"}, ("--1", "2")),
        ({"-1", "+2", "0"}, ("-1", "0", "+2")),
        ({"nan", "1"}, ("1", "nan")),
        ({"²", "1"}, ("1", "²")),
    ],
)
def test_the_order_of_labels(labels: set[str], ordered: tuple[str, ...]) -> None:
    assert in_order(labels) == ordered


def test_a_folder_with_a_list(tmp_path: Path) -> None:
    rows = pool(tmp_path / "x")
    text = "\n".join(["path,label", *(",".join(row) for row in rows)])
    (tmp_path / "x" / "labels.csv").write_text(text)
    data = opened(tmp_path / "x", tmp_path)
    assert (data.name, data.classes, data.summary.total) == ("x", ("cracked", "intact"), 40)


def test_a_list_may_bring_its_split(tmp_path: Path) -> None:
    rows = [
        (path, label, ("train", "train", "val", "TEST")[place // 2 % 4])
        for place, (path, label) in enumerate(pool(tmp_path))
    ]
    lines = ["path,label,split", *(",".join(row) for row in rows)]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    data = opened(tmp_path / "list.csv", tmp_path)
    assert [data.summary.count(split) for split in SPLITS] == [20, 10, 10]
    assert "split: the folder's own (train from the column split, validation" in told(data)


def test_labels_that_are_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    fill(tmp_path, range(48))
    lines = ["path,label", *(f"{n}.png,{n % 12}" for n in range(48))]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    data = opened(tmp_path / "list.csv", tmp_path)
    assert data.classes == tuple(str(n) for n in range(12))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty; begin it with a line such as `path,label`"),
        ("a,b,c\n1,2,3", "has no column for paths: a, b, c; begin"),
        ("path,other,x\n1,2,3", "has no column for labels: path, other, x"),
        ("path,label\nimages/0.png", "has 1 columns in row 2 and 2 in the first"),
        ("path,label\nimages/0.png,", "has no printable label in row 2"),
        ("path,label,split\nimages/0.png,a,tset", "says split 'tset' in row 2; write train,"),
        ("path,label\nimages/0.png,a\nimages/1.png,a", "lists one class only, a"),
        ("path,label\nimages/0.png,a\nnone.png,b", "1 of 2 images cannot be used, more than 10 %"),
    ],
)
def test_a_list_that_cannot_be_used_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    fill(tmp_path / "images", range(2))
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        opened(tmp_path / "list.csv", tmp_path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_and_folders_of_classes(tmp_path: Path) -> None:
    fill(tmp_path / "x" / "a", range(10))
    fill(tmp_path / "x" / "b", range(50, 60))
    (tmp_path / "x" / "labels.csv").write_text("label,name\n0,crack\n1,none\n")
    data = opened(tmp_path / "x", tmp_path)
    assert data.classes == ("a", "b")
    assert "note: labels.csv is not used: the folders say which class is which" in told(data)


def arrays(count: int, start: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    pictures = np.stack([grey(start + number) for number in range(count)])
    return pictures, np.arange(count) % 2


def test_an_array_file(tmp_path: Path) -> None:
    x, y = arrays(40)
    np.savez(tmp_path / "plain.npz", x=x, y=y)
    data = opened(tmp_path / "plain.npz", tmp_path)
    assert (data.name, data.classes, data.summary.total) == ("plain.npz", ("0", "1"), 40)
    found = {
        image.tobytes(): label for s in SPLITS for image, label in zip(*data.arrays(s), strict=True)
    }
    assert found == {image.tobytes(): label for image, label in zip(x, y, strict=True)}
    hot = np.eye(2, dtype=np.float32)[y]
    np.savez_compressed(
        tmp_path / "more.npz", images=x[..., None], labels=hot, classes=np.array([b"yes", b"no"])
    )
    other = opened(tmp_path / "more.npz", tmp_path)
    assert other.classes == ("yes", "no")  # as a network that was trained on it answers
    assert where(other).keys() == where(data).keys()


def test_an_array_file_as_keras_has_them(tmp_path: Path) -> None:
    x, y = arrays(30)
    test, of = arrays(10, 100)
    np.savez(tmp_path / "k.npz", x_train=x, y_train=y[:, None], x_test=test, y_test=of)
    data = opened(tmp_path / "k.npz", tmp_path)
    assert data.summary.count("test") == 10
    assert data.summary.count("train") + data.summary.count("validation") == 30
    assert "test from x_test" in told(data)


def test_floats_in_an_array_file_are_pixels(tmp_path: Path) -> None:
    x, y = arrays(20)
    colours = np.stack([np.asarray(smooth(n, (64, 64))) for n in range(20)])
    np.savez(tmp_path / "f.npz", x=x / np.float32(255), y=y)
    np.savez(tmp_path / "c.npz", x=colours / np.float32(255), y=y)
    np.savez(tmp_path / "u.npz", x=colours, y=y)
    data = opened(tmp_path / "f.npz", tmp_path)
    assert sorted(shown(data)) == sorted({round(float(image.mean())) for image in x})
    floats, bytes_ = opened(tmp_path / "c.npz", tmp_path), opened(tmp_path / "u.npz", tmp_path)
    assert where(floats) == where(bytes_)
    assert floats.summary.colour == 20


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"a": np.zeros(3)}, "holds a, not x and y"),
        ({"x": np.zeros((4, 8)), "y": np.zeros(4)}, "x has the shape 4x8; pictures are"),
        ({"x": np.zeros((4, 8, 8)), "y": np.zeros(3)}, "4 pictures and 3 labels"),
        ({"x": np.zeros((4, 8, 8)), "y": np.array([0.5, 1, 2, 3])}, "that are not whole numbers"),
        ({"x": np.zeros((4, 8, 8)), "y": np.ones((4, 2))}, "y has rows that are not one-hot"),
        ({"x": np.zeros((4, 8, 8)), "y": np.zeros(4)}, "holds one class only"),
        ({"x": np.array([None] * 4), "y": np.arange(4)}, "x is of object, which cannot be read"),
        ({"x": np.zeros((4, 8, 8)), "y": np.array([None] * 4)}, "is not an .npz file: "),
        ({"x_test": np.zeros((4, 8, 8)), "y_test": np.arange(4)}, "has no pictures for training"),
    ],
)
def test_an_array_file_that_cannot_be_used_is_one_line(
    tmp_path: Path, members: dict[str, Any], says: str
) -> None:
    np.savez(tmp_path / "x.npz", **members)
    with pytest.raises(DataError) as caught:
        opened(tmp_path / "x.npz", tmp_path)
    assert says in str(caught.value)


def test_labels_of_bytes_are_text(tmp_path: Path) -> None:
    x, _ = arrays(40)
    np.savez(tmp_path / "x.npz", x=x, y=np.array([b"cat", b"dog"] * 20))
    assert opened(tmp_path / "x.npz", tmp_path).classes == ("cat", "dog")


@pytest.mark.parametrize("place", range(30, 4000, 500))
def test_a_damaged_archive_is_one_line_or_the_pictures(tmp_path: Path, place: int) -> None:
    x, y = arrays(12)
    np.savez_compressed(tmp_path / "x.npz", x=x, y=y)
    data = bytearray((tmp_path / "x.npz").read_bytes())
    data[place % len(data)] ^= 0x41
    (tmp_path / "x.npz").write_bytes(data)
    with contextlib.suppress(DataError):
        opened(tmp_path / "x.npz", tmp_path)


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"is not an \.npz file"):
        opened(tmp_path / "x.npz", tmp_path)
    with pytest.raises(DataError, match="there is no file"):
        opened(tmp_path / "gone.npz", tmp_path)


# --- how much goes where ----------------------------------------------------------------------


def test_the_split_asked_for(tmp_path: Path) -> None:
    fill(tmp_path / "x" / "a", range(300))
    fill(tmp_path / "x" / "b", range(1000, 1300))
    data = opened(tmp_path / "x", tmp_path, shares=parse("60/10/30"))
    assert "split: 60/10/30 by a hash of each image's content, seed 0" in told(data)
    shares = [data.summary.count(split) / 600 for split in SPLITS]
    assert shares == pytest.approx([0.6, 0.1, 0.3], abs=0.06)
    demo_set = open_dataset("demo", tmp_path, shares=parse("60/10/30"))
    assert [demo_set.summary.count(split) for split in SPLITS] == [1140, 190, 570]


def test_a_split_of_ones_own_stays_and_no_other_is_asked_for(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for number, name in enumerate("ab"):
            start = 1000 * number + 100 * len(split) + ord(split[0])
            fill(tmp_path / "x" / split / name, range(start, start + 3))
    fill(tmp_path / "x" / "train" / "c", range(5000, 5009))
    data = opened(tmp_path / "x", tmp_path)
    assert data.summary.count("test") == 6
    assert "note: class c has no image in validation and test" in told(data)
    with pytest.raises(UsageError, match=r"--split is not used: the images have a split of their "):
        opened(tmp_path / "x", tmp_path, shares=parse("60/10/30"))
    shutil.rmtree(tmp_path / "x" / "val")
    assert "; validation (14 %)" in told(opened(tmp_path / "x", tmp_path, shares=parse("60/10/30")))


@pytest.mark.parametrize("text", ["60/40", "60/10/20", "a/b/c", "100/0/0", "-10/50/60", ""])
def test_a_split_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="--split"):
        parse(text)
