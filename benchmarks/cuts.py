"""How much of a pretrained trunk is needed? `python benchmarks/cuts.py [--seed 0] [--picture DIR]`.

Ends EfficientNet-Lite0 after each of its blocks, as grey int8, trains a head for each on the demo
images, and measures all of them in one run: a row for each cut, in Markdown. The features of all
cuts are computed in one pass. `--arm64` counts ARM instructions too (where `setup arm64` has been
run), `--picture` draws the table in light and dark (needs the extra `report`).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from harness.analysis import metric_specs
from harness.api import bench
from harness.core import units
from harness.core.types import CaseReport, Report
from harness.project import config

BLOCKS = (3, 5, 6, 7, 8, 9, 10, 11, 13, 15)
WHOLE = "whole"
METRICS = ("size", "instructions", "latency", "accuracy")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("reports"))
    parser.add_argument("--arm64", action="store_true")
    parser.add_argument("--picture", type=Path, metavar="DIR")
    args = parser.parse_args()
    devices = ["host", "arm64"] if args.arm64 else ["host"]
    with tempfile.TemporaryDirectory() as folder:
        names = project(Path(folder))
        report = bench(
            *names, project=folder, devices=devices, seed=args.seed, quick=True, out=args.out
        )
    rows = [row(report, name) for name in names]
    macs = {artifact.variant: artifact.macs for artifact in report.artifacts}
    print("\n".join(table(rows, macs)))
    if args.picture:
        for dark in (False, True):
            draw(rows, args.picture / f"cuts-{'dark' if dark else 'light'}.png", dark=dark)
    return 0


def project(folder: Path) -> list[str]:
    """The shipped project with a variant for each cut; their names."""
    shipped = config.load_project(None)
    shutil.copytree(shipped.models_dir, folder / "models")
    shutil.copy(shipped.models_dir.parent / config.DEVICES, folder / config.DEVICES)
    file = folder / config.VARIANTS
    described = yaml.safe_load(file.read_text("utf-8"))
    cuts = {f"after-{block}": f"block_{block}" for block in BLOCKS}
    for name, cut in {**cuts, WHOLE: None}.items():
        described["variants"][name] = {
            "model": "efficientnet_lite",
            "options": {"gray": True, "cut": cut},
            "recipe": "int8",
        }
    file.write_text(yaml.safe_dump(described), encoding="utf-8")
    return [*cuts, WHOLE]


Row = tuple[str, dict[str, CaseReport]]


def row(report: Report, name: str) -> Row:
    """The cut and its case on each kind of device."""
    return name, {case.case.device: case for case in report.cases if case.variant == name}


def table(rows: list[Row], macs: Mapping[str, int | None]) -> list[str]:
    """Markdown."""
    heads = ["trunk up to", "multiply-accumulates", *METRICS]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, cases in rows:
        cells = [units.shown(macs[name], "count")]
        for metric in METRICS:
            case = cases.get("arm64" if metric == "instructions" else "host")
            found = case.metrics.get(metric) if case else None
            if metric == "accuracy" and found is not None:
                cells.append(units.interval(found, "ratio"))
            else:
                cells.append(units.with_interval(found, metric_specs.specs()[metric].quantity))
        lines.append(f"| {name.replace('after-', 'block ')} | {' | '.join(cells)} |")
    return lines


def draw(rows: list[Row], path: Path, *, dark: bool) -> None:
    """Accuracy with its interval, and latency, against the size of the file."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    hosts = [(name, cases["host"]) for name, cases in rows if "host" in cases]
    with plt.style.context("dark_background" if dark else "default"):
        figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(7, 5.5), dpi=130)
        for name, case in hosts:
            size = (case.metrics["size"].point or 0) / 1e6
            accuracy = case.metrics["accuracy"].estimate
            latency = case.metrics["latency"].estimate
            if accuracy is None or latency is None:
                continue
            for axes, found, scale in ((top, accuracy, 1.0), (bottom, latency, 1e-6)):
                point = found.point * scale
                low, high = found.ci_low * scale, found.ci_high * scale
                axes.errorbar(size, point, [[point - low], [high - point]], fmt="o", color="C0")
                label = name.removeprefix("after-")
                axes.annotate(label, (size, point), xytext=(5, 4), textcoords="offset points")
        top.set_ylabel("accuracy, 95 % interval")
        bottom.set_ylabel("latency, ms")
        bottom.set_xlabel("size of the .tflite file, MB")
        bottom.set_xscale("log")
        top.set_title("EfficientNet-Lite0, grey, int8, cut after a block")
        figure.tight_layout()
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
