"""Check the main job's report: every variant the README promises has real numbers, and the answer
is the one that the demo images must give."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from _claims import shortcomings
from jsonschema import Draft202012Validator

from harness.results import store

ROOT = Path(__file__).parents[1]

DEFAULTS = {
    *("scratch", "vgg16", "mobilenet-int8", "pruned"),
    *("lite0-gray-int8", "lite0-cut-gray-int8"),
}
METRICS = ("latency", "init", "first_inference", "peak_rss", "size", "gzip_size")


def main(path: str) -> int:
    """Exit status 1 with a line for each thing that is wrong."""
    report = store.read_report(Path(path))
    schema = json.loads((ROOT / "docs/reference/report.schema.json").read_text("utf-8"))
    breaks = Draft202012Validator(schema).iter_errors(json.loads(Path(path).read_bytes()))
    wrong = [f"{error.json_path} breaks the published schema: {error.message}" for error in breaks]
    names = {case.variant for case in report.cases}
    # Where int8 costs accuracy, int8-mixed is added.
    if {name for name in names if not name.endswith("-int8-mixed")} != DEFAULTS:
        wrong.append(f"variants are {sorted(names)}")
    for case in report.cases:
        if case.status not in ("ok", "suspect"):
            wrong.append(f"{case.variant} is {case.status}: {case.failure or case.findings}")
        if len(case.launches) < 5:
            wrong.append(f"{case.variant} has {len(case.launches)} launches")
        for name in METRICS:
            point = case.metrics[name].point
            if point is None or point <= 0:
                wrong.append(f"{case.variant}: {name} is {point}")
        latency = case.metrics["latency"].estimate
        if latency is None or not latency.ci_low <= latency.point <= latency.ci_high:
            wrong.append(f"{case.variant}: the latency interval is {latency}")
    wrong += shortcomings(report)
    for line in wrong:
        print(f"check_report: {line}", file=sys.stderr)
    print(f"check_report: {len(report.cases)} cases, {len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
