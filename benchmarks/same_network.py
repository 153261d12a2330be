"""One network as Keras, ONNX and PyTorch: do all three give the same result?

    python -m benchmarks.same_network

`bench` measures the three files of tests/data/same_network on pictures of faces (scikit-image's
lfw_subset). The converters must be set up: `python -m harness setup onnx` and `setup torch`. Prints
each row with the parity of its conversion, and exits 1 unless all answers equal those of the source
(within a hundred-thousandth of the largest) and all three are equally accurate.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.paths import DATA, ROOT

FILES = [DATA / "same_network" / f"conv.{end}" for end in ("keras", "onnx", "pt2")]
LARGEST = 1e-5


def main() -> int:
    from skimage.data import lfw_subset

    with tempfile.TemporaryDirectory() as folder:
        data, report = Path(folder, "faces.npz"), Path(folder, "report.json")
        pictures = (lfw_subset() * 255).round().astype(np.uint8)
        labels = np.where(np.arange(200) < 100, "face", "other")
        np.savez(data, x=pictures, y=labels)
        command = [sys.executable, "-m", "harness", "bench", *map(str, FILES), "--data", str(data)]
        command += ["--split", "1/1/98", "--pixels", "0..1", "--quick", "--launches", "7"]
        command += ["--out", folder, "--json", str(report)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if not report.exists():
            print(done.stderr)
            return 1
        read = json.loads(report.read_text())
    wrong = len(read["cases"]) != len(FILES)
    accuracies = set()
    print(f"{'source':12} {'bytes':>7} {'latency':>9} {'accuracy':>8}  answers beside the source's")
    for artifact in read["artifacts"]:
        (case,) = (c for c in read["cases"] if c["variant"] == artifact["variant"])
        accuracy, latency = (case["metrics"][key]["point"] for key in ("accuracy", "latency"))
        accuracies.add(accuracy)
        said = [f["message"] for f in artifact["findings"] if f["code"].startswith("conversion")]
        share = re.search(r"at most (\S+) of", said[0]) if said else None
        wrong = wrong or share is None or float(share[1]) > LARGEST
        row = Path(artifact["variant"]).name
        size = artifact["size_bytes"]
        print(f"{row:12} {size:7,} {latency / 1e3:6.1f} us {accuracy:8.3f}  {' '.join(said)}")
    print("all alike" if not wrong and len(accuracies) == 1 else "NOT alike")
    return 1 if wrong or len(accuracies) != 1 else 0


if __name__ == "__main__":
    sys.exit(main())
