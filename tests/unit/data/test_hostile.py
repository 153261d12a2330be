"""Folders as they come: broken, hostile, too small, or not what was meant."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.core.errors import DataError, UsageError
from harness.data import decode
from harness.data.dataset import SPLITS, Dataset
from harness.data.folder import open_folder
from harness.data.isolated import Decoder
from harness.data.opening import open_dataset
from tests.unit.data.test_decode import png_of
from tests.unit.data.test_folder import fill, picture, same, told


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes, 10 images each: two may be refused."""
    folder = tmp_path / "bricks"
    fill(folder / "a", range(10))
    fill(folder / "b", range(100, 110))
    return folder


@pytest.fixture
def opened(root: Path, tmp_path: Path) -> Callable[[], Dataset]:
    return lambda: open_dataset(str(root), tmp_path / "cache")


Opened = Callable[[], Dataset]


def _link(path: Path, target: str) -> None:
    path.symlink_to(target)


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "bomb": (lambda p: p.write_bytes(png_of(50_000, 50_000)), "has more than 89,478,485 pixels"),
    "truncated": (lambda p: p.write_bytes((p.parent / "1.png").read_bytes()[:500]), "cannot be"),
    "empty": (lambda p: p.write_bytes(b""), "is empty"),
    "text": (
        lambda p: p.write_text("hello"),
        "is not a png, jpeg, bmp, webp, tiff, gif, pgm, heic or avif image",
    ),
    "another": (lambda p: picture(3).save(p, "JPEG"), "is a jpeg image, in spite of its name"),
    "pipe": (os.mkfifo, "is not a regular file"),
    "device": (lambda p: _link(p, "/dev/zero"), "is a link out of the folder"),
    "outside": (lambda p: _link(p, "/etc/hostname"), "is a link out of the folder"),
    "above": (lambda p: _link(p, "../../bricks/../x.png"), "is a link to nothing"),
    "loop": (lambda p: _link(p, p.name), "is a link in a loop"),
    "dangling": (lambda p: _link(p, "nowhere.png"), "is a link to nothing"),
    "upwards": (lambda p: _link(p, ".."), "is a link to a folder"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_by_name_and_the_rest_is_used(
    kind: str, root: Path, opened: Opened
) -> None:
    before = opened()
    make, reason = HOSTILE[kind]
    make(root / "a" / f"{kind}.png")
    after = opened()
    assert same(before, after)
    assert f"refused (1): a/{kind}.png {reason}" in told(after)
    assert same(after, opened())  # with a warm cache too


def test_a_wrong_name_is_refused_even_where_its_content_is_known(
    root: Path, opened: Opened
) -> None:
    opened()
    shutil.copy(root / "a" / "3.png", root / "a" / "3.jpg")
    assert "a/3.jpg is a png image, in spite of its name" in told(opened())


def test_a_linked_folder_is_not_followed(root: Path, opened: Opened, tmp_path: Path) -> None:
    fill(tmp_path / "outside", range(200, 210))
    (root / "a" / "more").symlink_to(tmp_path / "outside")
    data = opened()
    assert data.classes == ("a", "b")
    assert "refused (1): a/more is a link to a folder" in told(data)
    # Passing over a class would train a model that does not know it.
    (root / "c").symlink_to(tmp_path / "outside")
    said = refusal(root, tmp_path / "cache")
    assert f"c in {root} is a link to a folder; put the folder itself there" in said


def test_links_that_lead_nowhere_are_refused_whatever_they_are_called(
    root: Path, opened: Opened
) -> None:
    _link(root / "a" / "round", "round")
    _link(root / "b" / "notes.txt", "gone.txt")
    lines = told(opened())
    assert "refused (2): a/round is a link in a loop; b/notes.txt is a link to nothing" in lines
    assert "skipped" not in lines
    (root / "a" / "round").rename(root / "round")
    assert "; round is a link in a loop" in told(opened())


@contextmanager
def an_ordinary_user() -> Iterator[None]:
    """Root may read everything; so do as somebody else for a while."""
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(own)


class Here(Decoder):
    """Decodes in this process: somebody else may not start this Python."""

    def decode(self, data: bytes, kind: str) -> decode.Picture:
        return decode.decode(data, kind)


def test_what_may_not_be_read() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        cache, root = Path(scratch) / "cache", Path(scratch) / "x"
        fill(root / "a", range(20))
        fill(root / "b", range(100, 120))
        fill(root / "b" / "deep", range(200, 205))
        cache.mkdir()
        cache.chmod(0o777)
        Path(scratch).chmod(0o755)
        (root / "a" / "0.png").chmod(0)
        (root / "b" / "deep").chmod(0)
        with an_ordinary_user():
            data = open_folder(root, cache, decoder=Here())
            lines = told(data)
            (cache / "images").rename(cache / "gone")
        assert "refused (2): a/0.png cannot be read: Permission denied; " in lines
        assert "b/deep cannot be opened: Permission denied" in lines
        assert data.summary.total == 39
        root.chmod(0)
        with an_ordinary_user(), pytest.raises(DataError, match="cannot open"):
            open_folder(root, cache, decoder=Here())
        root.chmod(0o755)
        cache.chmod(0o555)
        with an_ordinary_user(), pytest.raises(UsageError, match=r"cannot write to .*images"):
            open_folder(root, cache, decoder=Here())
        cache.chmod(0o755)
        (root / "b" / "deep").chmod(0o755)


def test_other_files_are_named_and_no_reason_to_stop(root: Path, opened: Opened) -> None:
    before = opened()
    for number in range(8):
        (root / "b" / f"notes{number}.txt").write_text("x")
    (root / "a" / "anim.mkv").write_bytes(b"GIF89a")
    (root / "a" / ".DS_Store").write_bytes(b"x")
    (root / "__MACOSX").mkdir()
    picture(55).save(root / "stray.png")
    after = opened()
    assert same(before, after)
    line = next(line for line in told(after).splitlines() if line.startswith("skipped"))
    assert line.startswith("skipped (10): a/anim.mkv (of another kind); b/notes0.txt (of another")
    assert line.endswith("; and 5 more")
    assert any(left.path == "stray.png" for left in after.summary.skipped)


def test_a_name_cannot_steer_the_terminal(root: Path, opened: Opened) -> None:
    (root / "a" / "\x1b[2J\nowned\u202e.png").write_bytes(b"no")
    (root / "a" / os.fsdecode(b"\xff.txt")).write_bytes(b"no")
    lines = opened().summary.lines()
    assert all(line.isprintable() for line in lines)
    assert r"a/\x1b[2J\nowned\u202e.png is not" in "\n".join(lines)


# --- as far as it goes --------------------------------------------------------------------------


def refusal(path: Path | str, cache: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_dataset(str(path), cache)
    assert caught.value.fix
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_more_than_a_tenth_refused(root: Path, opened: Opened, tmp_path: Path) -> None:
    for number in range(2):
        (root / "a" / f"{number}.png").write_text("broken")
    assert len(opened().summary.refused) == 2  # 2 of 20 is a tenth
    (root / "b" / "105.png").write_text("broken")
    text = refusal(root, tmp_path / "cache")
    assert text.startswith("3 of 20 images cannot be used, more than 10 %: a/0.png is not a png")
    assert text.endswith("; repair or remove them")
    for number in range(100, 108):
        (root / "b" / f"{number}.png").write_text("broken")
    assert "; and 5 more; repair" in refusal(root, tmp_path / "cache")


@pytest.mark.slow
def test_thirty_images_in_all(tmp_path: Path) -> None:
    for seed in range(20):
        root = tmp_path / f"x{seed}"
        fill(root / "a", range(seed * 1000, seed * 1000 + 15))
        fill(root / "b", range(seed * 1000 + 500, seed * 1000 + 515))
        data = open_dataset(str(root), tmp_path / "cache", seed=seed)
        assert data.summary.total == 30
        assert all(data.summary.counts[c][split] for c in data.classes for split in SPLITS)


def test_a_class_of_one_or_two_images(tmp_path: Path) -> None:
    root = tmp_path / "x"
    fill(root / "a", range(9))
    fill(root / "b", range(100, 109))
    fill(root / "c", range(200, 201))
    fill(root / "d", range(300, 302))
    data = open_dataset(str(root), tmp_path / "cache")
    assert data.summary.counts["c"] == {"train": 1, "validation": 0, "test": 0}
    assert data.summary.counts["d"] == {"train": 1, "validation": 0, "test": 1}
    assert "note: class c has too few images to be in validation and test" in told(data)
    assert "note: class d has too few images to be in validation" in told(data)


NOT_FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda path: None, "there is no folder"),
    "a file": (lambda path: path.write_text("x"), "is not a folder, a .csv file or an .npz"),
    "a loop": (lambda path: _link(path, path.name), "is a link in a loop"),
    "a pipe": (os.mkfifo, "is a file"),
    "an endless name": (lambda path: None, "cannot open"),
}


@pytest.mark.parametrize("kind", NOT_FOLDERS)
def test_what_is_not_a_folder_is_one_line_that_says_what_to_give(kind: str, tmp_path: Path) -> None:
    make, line = NOT_FOLDERS[kind]
    path = tmp_path / ("x" * 300 if "endless" in kind else "x")
    make(path)
    assert line in refusal(path, tmp_path / "cache")


# Folders with the numbers of the pictures in them -> what is said of it.
WRONG: dict[str, tuple[dict[str, range], str]] = {
    "empty": ({".": range(0)}, "holds no folders of classes"),
    "images without classes": ({".": range(9)}, "holds images, but no folders of classes"),
    "one class": ({"a": range(9)}, "holds one class only, a; add the folder of another one"),
    "one folder too high": (
        {"set/a": range(5), "set/b": range(9, 14)},
        "holds one class only, set; did you mean",
    ),
    "an empty class": (
        {"a": range(9), "b": range(20, 29), "c": range(0)},
        "class c of x has no image that can be used; add images, or remove its folder",
    ),
    "two classes, one of them of one image": (
        {"a": range(29), "b": range(50, 51)},
        "the validation split of x holds only class a: class b has 1 distinct image in all; add",
    ),
    "one image each": (
        {"a": range(1), "b": range(50, 51)},
        "the validation split of x holds no image: class a has 1 distinct image in all",
    ),
    "the same images twice": (
        {"a": range(9), "b": range(9)},
        "class a of x has no image that can be used, since 9 are in another class too: "
        "a/0.png = b/0.png; a/1.png",
    ),
    "a split and classes": (
        {"train/x": range(5), "test/x": range(10, 15), "cats/x": range(20, 25)},
        "has folders of a split, train, test, and others: cats",
    ),
    "a split twice": (
        {"train/x": range(5), "val/x": range(10, 15), "validation/x": range(20, 25)},
        "has two folders for validation, val and validation",
    ),
    "a split without training": (
        {"val/x": range(5), "test/x": range(10, 15)},
        "has validation and test folders, but none for training",
    ),
    "a class that is only tested": (
        {
            "train/a": range(5),
            "train/b": range(10, 15),
            "test/a": range(20, 25),
            "test/b": range(30, 35),
            "test/c": range(40, 45),
        },
        "class c of x has no image for training",
    ),
    "a test of one class": (
        {
            "train/a": range(9),
            "train/b": range(10, 19),
            "test/a": range(20, 25),
            "test/b": range(0),
        },
        "the test split of x holds only class a; add images: each split needs at least two",
    ),
    "a split without classes": (
        {"train": range(5), "test": range(10, 15)},
        "holds images, but no folders of classes",
    ),
    "a class that cannot be printed": (
        {"a": range(9), "b\x1b[31m": range(50, 59)},
        r"'b\x1b[31m' has unprintable characters; rename it",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_work_is_one_line_that_says_how_to_fix_it(kind: str, tmp_path: Path) -> None:
    folders, line = WRONG[kind]
    for folder, numbers in folders.items():
        fill(tmp_path / "x" / folder, numbers)
    assert line in refusal(tmp_path / "x", tmp_path / "cache")


def test_an_empty_name_is_not_this_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data is empty"):
        open_dataset("", tmp_path)


def test_without_pillow(root: Path, tmp_path: Path) -> None:
    program = """
import sys
sys.modules["PIL"] = None
from pathlib import Path
from harness.core.errors import UsageError
from harness.data.opening import open_dataset
try:
    open_dataset(sys.argv[1], Path(sys.argv[2]))
except UsageError as error:
    print(error)
"""
    command = [sys.executable, "-c", program, str(root), str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "pip install 'mobile-bench-harness[build]'" in done.stdout


# --- what no `except` can catch ----------------------------------------------------------------

# The real worker, with a decoder that fails on three images as native code does.
FRAGILE = """
import os, signal, time
from harness.data import decode_worker
whole = decode_worker.decode
def decode(data, kind):
    if data.endswith(b"crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if data.endswith(b"exit"):
        os._exit(3)
    if data.endswith(b"hang"):
        time.sleep(600)
    return whole(data, kind)
decode_worker.decode = decode
decode_worker.main()
"""


def test_an_image_that_crashes_the_decoder_is_refused_by_name(tmp_path: Path) -> None:
    root = tmp_path / "x"
    fill(root / "a", range(30))
    fill(root / "b", range(50, 80))
    expected = open_folder(root, tmp_path / "cache")
    whole = (root / "a" / "1.png").read_bytes()
    for how in ("crash", "exit", "hang"):
        (root / "a" / f"{how}.png").write_bytes(whole + how.encode())
    fragile = Decoder((sys.executable, "-c", FRAGILE), timeout_s=2)
    data = open_folder(root, tmp_path / "other", decoder=fragile)
    assert same(data, expected)
    assert {(left.path, left.reason) for left in data.summary.refused} == {
        ("a/crash.png", "crashes the decoder (SIGSEGV)"),
        ("a/exit.png", "crashes the decoder (exit status 3)"),
        ("a/hang.png", "takes longer than 2 s to decode"),
    }


def test_a_decoder_that_does_not_start_is_one_line(tmp_path: Path) -> None:
    root = tmp_path / "x"
    fill(root / "a", range(5))
    fill(root / "b", range(50, 55))
    with pytest.raises(UsageError, match="cannot be started: it ended with exit status 0"):
        open_folder(root, tmp_path / "cache", decoder=Decoder((sys.executable, "-c", "")))
