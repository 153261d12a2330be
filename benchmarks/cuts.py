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
from typing import NamedTuple

import yaml

from harness.api import bench
from harness.core.types import CaseReport, Report
from harness.project import config

BLOCKS = "3,5,6,7,8,9,10,11,13,15"
WHOLE = "whole"
# Columns of the table with their formats, and the metrics that some of them are.
COLUMNS = {
    "size": "{:.3f} MB",
    "multiply-accumulates": "{:.0f} M",
    "ARM instructions": "{:.1f} M",
    "latency": "{:.2f} ms",
    "accuracy": "{:.3f}",
    "may lose": "{:.1f} points",
}
METRICS = {
    "size": "size",
    "ARM instructions": "instructions",
    "latency": "latency",
    "accuracy": "accuracy",
}
SCALES = {
    "size": 1e6,
    "multiply-accumulates": 1e6,
    "ARM instructions": 1e6,
    "latency": 1e6,
    "may lose": 0.01,
}
UNITS = {
    "size": ", MB",
    "multiply-accumulates": ", million",
    "ARM instructions": ", million for an inference",
    "latency": ", ms on the host",
    "may lose": ": points, upper bound",
}


class Point(NamedTuple):
    """A value with its interval, if it has one."""

    value: float
    low: float | None = None
    high: float | None = None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("reports"))
    parser.add_argument("--blocks", default=BLOCKS, metavar="N,N,...")
    parser.add_argument("--arm64", action="store_true")
    parser.add_argument("--picture", type=Path, metavar="DIR")
    args = parser.parse_args()
    devices = ["host", "arm64"] if args.arm64 else ["host"]
    with tempfile.TemporaryDirectory() as folder:
        names = project(Path(folder), list(args.blocks.split(",")))
        report = bench(
            *names, project=folder, devices=devices, seed=args.seed, quick=True, out=args.out
        )
    rows = [row(report, name) for name in names]
    columns = points(rows, report)
    print("\n".join(table(rows, columns)))
    if args.picture:
        for dark in (False, True):
            draw(rows, columns, args.picture / f"cuts-{'dark' if dark else 'light'}.png", dark=dark)
    return 0


def project(folder: Path, blocks: list[str]) -> list[str]:
    """The shipped project with a variant for each cut; their names."""
    shipped = config.load_project(None)
    shutil.copytree(shipped.models_dir, folder / "models")
    shutil.copy(shipped.models_dir.parent / config.DEVICES, folder / config.DEVICES)
    file = folder / config.VARIANTS
    described = yaml.safe_load(file.read_text("utf-8"))
    cuts = {f"after-{block}": f"block_{block}" for block in blocks}
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


def points(rows: list[Row], report: Report) -> dict[str, list[Point | None]]:
    """The value of each column for each cut, with its interval if it has one."""
    macs = {artifact.variant: artifact.macs for artifact in report.artifacts}
    losses = report.verdict.losses if report.verdict else {}
    columns: dict[str, list[Point | None]] = {column: [] for column in COLUMNS}
    for name, cases in rows:
        count = macs[name]
        columns["multiply-accumulates"].append(None if count is None else Point(count))
        loss = losses.get(name)
        columns["may lose"].append(None if loss is None else Point(loss.bound))
        for column, metric in METRICS.items():
            case = cases.get("arm64" if metric == "instructions" else "host")
            found = case.metrics[metric] if case else None
            estimate = found.estimate if found else None
            if estimate is not None:
                columns[column].append(Point(estimate.point, estimate.ci_low, estimate.ci_high))
            else:
                columns[column].append(Point(found.point) if found and found.point else None)
    return columns


def table(rows: list[Row], columns: Mapping[str, list[Point | None]]) -> list[str]:
    """Markdown."""
    lines = [f"| trunk up to | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for place, (name, _) in enumerate(rows):
        cells = [shown(column, columns[column][place]) for column in COLUMNS]
        lines.append(f"| {name.replace('after-', 'block ')} | {' | '.join(cells)} |")
    return lines


def shown(column: str, point: Point | None) -> str:
    """A cell of the table; a dash where nothing is known."""
    if point is None:
        return "-"
    text = COLUMNS[column].format(point.value / SCALES.get(column, 1))
    if point.low is None or point.high is None or point.low == point.high:
        return text
    low, high = (
        COLUMNS[column].format(end / SCALES.get(column, 1)) for end in (point.low, point.high)
    )
    return f"{text} ({low.split()[0]}-{high.split()[0]})"


def draw(
    rows: list[Row], columns: Mapping[str, list[Point | None]], path: Path, *, dark: bool
) -> None:
    """A small chart for each column that has values, from the smallest cut on."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    names = [name.removeprefix("after-") for name, _ in rows]
    known = [column for column in COLUMNS if any(columns[column])]
    with plt.style.context("dark_background" if dark else "default"):
        figure, grid = plt.subplots(
            (len(known) + 1) // 2, 2, figsize=(9, 2.4 * ((len(known) + 1) // 2)), dpi=120
        )
        for axes in grid.ravel()[len(known) :]:
            axes.set_visible(False)
        for column, axes in zip(known, grid.ravel(), strict=False):
            for place, point in enumerate(columns[column]):
                if point is None:
                    continue
                scale = SCALES.get(column, 1)
                low, high = (point.value if end is None else end for end in point[1:])
                reach = [[(point.value - low) / scale], [(high - point.value) / scale]]
                axes.errorbar(place, point.value / scale, reach, fmt="o", color="C0", capsize=3)
            axes.set_xticks(range(len(names)), names)
            axes.set_title(f"{column}{UNITS.get(column, '')}", fontsize=10)
            if column not in ("accuracy", "may lose"):
                axes.set_ylim(bottom=0)
            axes.grid(axis="y", alpha=0.3)
        figure.suptitle("EfficientNet-Lite0, grey, int8, cut after a block")
        figure.tight_layout()
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
