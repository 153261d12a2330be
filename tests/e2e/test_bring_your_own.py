"""Files and pictures of other people, as a user gives them; the right accuracy at the first try."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.e2e.test_bench_cli import harness
from tests.paths import DATA

MODELS = DATA / "models"
QUICK = ("--quick", "--launches", "1", "--iterations", "5")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 faces and 100 other patches of 25 by 25, and the same with 12 bits in files of 16."""
    found = pytest.importorskip("skimage.data").lfw_subset()
    root = tmp_path_factory.mktemp("faces")
    for number, pixels in enumerate(found):
        grey = (pixels * 255).round().astype(np.uint8)
        for name, shown in (("plain", grey), ("deep", grey.astype(np.uint16) * 16)):
            folder = root / name / ("face" if number < 100 else "other")
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(shown).save(folder / f"{number:03}.png")
    return root


def evaluated(tmp_path: Path, data: Path, *files: str, options: tuple[str, ...] = ()) -> Any:
    """variant -> (share decided rightly, codes of the findings)."""
    report = tmp_path / "report.json"
    paths = [str(MODELS / f"{name}.tflite") for name in files]
    done = harness(
        "bench", *QUICK, "--data", str(data), *options, "--json", str(report), *paths, cwd=tmp_path
    )
    assert done.returncode in (0, 3), done.stderr
    read = json.loads(report.read_text())
    found = {}
    for case in read["cases"]:
        codes = {finding["code"] for finding in case["findings"]}
        found[case["variant"]] = (case["metrics"]["accuracy"]["point"], codes)
    return found


def test_one_network_is_as_right_in_int8_and_remembers_no_image(
    tmp_path: Path, faces: Path
) -> None:
    found = evaluated(tmp_path, faces / "plain", "s01_f32", "s01_i8", "lstm_fused")
    assert found["s01_i8"][0] == 1
    assert "input-saturated" not in found["s01_i8"][1]
    assert "assumed-pixels" not in found["s01_i8"][1]
    assert found["s01_f32"][0] > 0.96
    assert "assumed-pixels" in found["s01_f32"][1]
    assert found["lstm_fused"][0] > 0.96
    assert "keeps-state" in found["lstm_fused"][1]


def test_what_is_said_outright_is_given(tmp_path: Path, faces: Path) -> None:
    right = evaluated(tmp_path, faces / "plain", "s01_f32", options=("--pixels", "0..1"))
    assert right["s01_f32"][0] == 1
    assert "assumed-pixels" not in right["s01_f32"][1]
    wrong = evaluated(tmp_path, faces / "plain", "s01_i8", options=("--pixels", "0..255"))
    assert wrong["s01_i8"][0] < 0.5
    assert "input-saturated" in wrong["s01_i8"][1]
    labels = tmp_path / "labels.txt"
    labels.write_text("other\nface\n")
    turned = evaluated(tmp_path, faces / "plain", "s01_i8", options=("--labels", str(labels)))
    assert turned["s01_i8"][0] == 0
    labels.write_text("others\nface\n")
    options = ("--data", str(faces / "plain"), "--labels", str(labels))
    done = harness("bench", str(MODELS / "s01_i8.tflite"), *options, cwd=tmp_path)
    assert done.returncode == 2
    assert "does not name each class of plain once: face; other; write the folder" in done.stderr


def test_two_files_are_compared_as_the_user_says_that_they_want_pixels(
    tmp_path: Path, faces: Path
) -> None:
    """0.394 of the images as assumed; both are one network, trained on pixels 0 to 1."""
    files = [str(MODELS / f"{name}.tflite") for name in ("s01_i8", "s01_f32")]
    how = ("--data", str(faces / "plain"), "--pixels", "0..1", "--quick", "--time-budget", "2s")
    done = harness("ab", *files, *how, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "s01_f32 loses at most" in done.stdout or "s01_f32 may lose up to" in done.stdout
    (report,) = tmp_path.glob("reports/*/report.json")
    cases = json.loads(report.read_text())["cases"]
    assert [case["metrics"]["accuracy"]["point"] for case in cases] == [1, 1]


def test_twelve_bits_are_as_right_as_eight(tmp_path: Path, faces: Path) -> None:
    for name in ("plain", "deep"):
        assert evaluated(tmp_path, faces / name, "s255_f32")["s255_f32"][0] == 1


def test_a_path_that_is_not_utf_8(tmp_path: Path, faces: Path) -> None:
    data = tmp_path / os.fsdecode(b"caf\xe9")
    data.symlink_to(faces / "plain")
    assert evaluated(tmp_path, data, "s255_f32")["s255_f32"][0] == 1
    model = tmp_path / os.fsdecode(b"\xff.tflite")
    model.write_bytes((MODELS / "s255_f32.tflite").read_bytes())
    done = harness("bench", str(model), cwd=tmp_path)
    assert done.returncode == 2
    assert "is not UTF-8; rename the file or its folder" in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--pixels", "-1..1"), "--pixels is about model files, and none is given"),
        (("--pixels", "bright", "x.tflite"), "--pixels bright is not a range of pixels"),
        (("--split", "60/40"), "--split 60/40 is not three whole numbers"),
        (
            (str(MODELS / "s255_f32.tflite"), "--split", "60/10/30"),
            "--split is about labelled images, and model files need none; give images with --data",
        ),
    ],
)
def test_what_is_typed_wrong(tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    done = harness("bench", "--quick", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
