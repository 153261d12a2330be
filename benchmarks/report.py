"""How long reports take, and where the time goes: python -m benchmarks.report [CASES [RUNS]]

A report of 500 cases x 20 launches x 50 iterations, with all that a report can hold (findings,
evaluations, a verdict with budgets, a comparison with a baseline of as many cases), is loaded,
rendered in every format and made into data frames; then one of twice the cases, to see that all of
it is linear. Likewise the history of 2000 runs, and of half as many. Times are CPU seconds, the
best of three, so that other work on the machine does not count; for the steps that take longest a
profile tells whose code it was. Fails if the page takes more than twice as long as matplotlib needs
for as many bare charts (which holds on any machine, unlike seconds), or twice the size more than
2.2 times as long in any step of at least 0.2 s.
"""

from __future__ import annotations

import cProfile
import functools
import gc
import io
import json
import pstats
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from harness.analysis import gate, metric_specs
from harness.analysis.verdict import judge
from harness.core.evaluation import packed_labels, packed_scores
from harness.core.types import Agreement, Evaluation, Finding, Report
from harness.renderers import charts, frames, svg
from harness.renderers import history as history_renderer
from harness.renderers.formats import terminal
from harness.renderers.plots import plots
from harness.renderers.view import View
from harness.results import history, store
from harness.system import plugins
from tests import reports

FORMATS = "harness.renderers.formats"

PAGE_LIMIT = 2.0  # times as many bare charts as the page has
GROWTH_LIMIT = 2.2
HISTORY_GROWTH_LIMIT = 2.5  # the search for changes takes n log n
NOTABLE_S = 0.2
IMAGES = 400

Steps = Mapping[str, Callable[[], object]]


def sample(cases: int) -> Report:
    """A report of so many cases: five variants' shapes under many names, and everything else."""
    report = loaded(cases, seed=0)
    slower = loaded(cases, seed=1)
    report = replace(report, plan=replace(report.plan, budget="size<=10MB,latency_p95<=50ms"))
    report = gate.compared(report, replace(slower, run_id="baseline"), 0.05)
    return replace(report, verdict=judge(report, metric_specs.specs()))


def loaded(cases: int, seed: int) -> Report:
    """The same before anything is concluded."""
    shapes = list(reports.VARIANTS.values())
    variants = {f"variant-{i:04d}": shapes[i % len(shapes)] for i in range(cases)}
    report = reports.make(variants, launches=20, iterations=50, seed=seed)
    rng = random.Random(seed)
    labels = [i % 2 for i in range(IMAGES)]
    shared = reports.normal().cases[1].findings
    told = []
    for i, case in enumerate(report.cases):
        own = Finding(
            level="info",
            code="steady-state",
            message=f"{case.variant}: warm-up was over after {i % 7} iterations",
            fix="nothing to do",
        )
        told.append(replace(case, findings=(*shared, own) if i % 3 else (own,)))
    evaluations = tuple(
        evaluation(artifact.variant, labels, rng, shapes[i % len(shapes)].accuracy)
        for i, artifact in enumerate(report.artifacts)
    )
    return replace(report, cases=tuple(told), evaluations=evaluations)


def evaluation(variant: str, labels: list[int], rng: random.Random, accuracy: float) -> Evaluation:
    """What a variant of this accuracy might have answered."""
    right = [rng.random() < accuracy for _ in labels]
    scores = [0.9 if (label == 1) == ok else 0.1 for label, ok in zip(labels, right, strict=True)]
    found = Counter((label, int(s > 0.5)) for label, s in zip(labels, scores, strict=True))
    return Evaluation(
        variant=variant,
        sha256="",
        dataset="demo",
        split="test",
        fingerprint="f",
        runtime="litert 2.3.0",
        classes=("intact", "crack"),
        n=len(labels),
        scores=packed_scores(scores),
        labels=packed_labels(labels),
        confusion=tuple(tuple(found[a, b] for b in (0, 1)) for a in (0, 1)),
        agreement=Agreement(parent="vgg16", n=IMAGES, equal=IMAGES - 9, largest=0.3, mean=0.01),
    )


def steps(report: Report) -> Steps:
    """Everything a report goes through."""
    data = store.encode(report)
    every: dict[str, Callable[[], object]] = {"load": lambda: store.decode(data, Path("report"))}
    for name in plugins.names(FORMATS):
        every[name] = functools.partial(
            lambda module: module.render(View(report)), plugins.load(FORMATS, name)
        )
    every["plots"] = lambda: plots(View(report))
    every["frame"] = lambda: frames.frame(report)
    every["launches"] = lambda: frames.launches(report)
    every["observations"] = lambda: frames.observations(report)
    return every


# --- history ---------------------------------------------------------------------------------


def save_runs(out: Path, count: int) -> None:
    """Run folders of the five variants, whose latencies scatter and change once."""
    raw: Any = json.loads(store.encode(reports.make(iterations=30)))
    rng = random.Random(0)
    points = [case["metrics"]["latency"]["point"] for case in raw["cases"]]
    for i in range(count):
        raw["run_id"] = f"{i:06d}-101500-abcd"
        raw["started_at"] = f"{2020 + i // 360}-{1 + i // 30 % 12:02d}-{1 + i % 30:02d}T10:15:00Z"
        for case, point in zip(raw["cases"], points, strict=True):
            m = case["metrics"]["latency"]
            m["point"] = point * rng.lognormvariate(0, 0.02) * (1.1 if i > count // 2 else 1)
            m["ci_low"], m["ci_high"] = m["point"] * 0.98, m["point"] * 1.02
        folder = out / raw["run_id"]
        folder.mkdir()
        (folder / store.HEADER).touch()
        (folder / store.REPORT).write_text(json.dumps(raw))


def steps_of_history(out: Path) -> Steps:
    """`history`, `history VARIANT` and the page, from the folders on."""
    past = history.scan(out)
    lines = [run.line for run in past.runs]
    trends = history.trends(past)

    def shown(show: Callable[[Any, Any], None], what: object) -> None:
        show(what, terminal.plain_console(io.StringIO()))

    return {
        "scan": lambda: history.scan(out),
        "list": lambda: shown(history_renderer.show_runs, lines),
        "trends": lambda: history.trends(past),
        "show trends": lambda: shown(history_renderer.show_trends, trends),
        "page": lambda: history_renderer.page(lines, trends, past.skipped, "tool"),
    }


def bare_charts(count: int) -> None:
    """What a page of `count` charts costs in matplotlib alone: one line each, axes and ticks."""
    with svg.drawing():
        for number in range(count):
            figure, ax = svg.axes(svg.PAGE, (charts.HALF, 300), (64, 18, 16, 50))
            ax.plot([1, 2, 3], [1, 2, 3])
            ax.grid()
            svg.to_svg(svg.Drawing(figure), f"bare-{number}", label="")


# --- measuring -------------------------------------------------------------------------------


def measure(every: Steps, times: int = 3) -> dict[str, tuple[float, int]]:
    """Step -> best time in seconds and size of its result in bytes (0 if it has none)."""
    gc.collect()
    gc.freeze()  # the report itself is not the step's garbage to look through
    found = {}
    for name, step in every.items():
        best, size = float("inf"), 0
        for _ in range(times):
            start = time.process_time()
            result = step()
            best = min(best, time.process_time() - start)
            size = len(result) if isinstance(result, bytes) else 0
        found[name] = (best, size)
    gc.unfreeze()
    return found


def whose(step: Callable[[], object], most: int = 6) -> str:
    """In whose code the time of a step is spent, as shares of the profiled time."""
    profile = cProfile.Profile()
    profile.runcall(step)
    own: Counter[str] = Counter()
    stats: Any = pstats.Stats(profile)
    for (file, _, name), (_, _, seconds, _, callers) in stats.stats.items():
        if file != "~":
            own[_part(file)] += seconds
            continue
        # Time in C belongs to the Python that called it, unless it is a step of its own.
        for (caller, _, _), (_, _, part, _) in callers.items():
            own["msgspec" if "msgspec" in name else _part(caller)] += part
    total = sum(own.values())
    return ", ".join(f"{part} {t / total:.0%}" for part, t in own.most_common(most))


def _part(file: str) -> str:
    """`/.../harness/core/units.py` -> `core.units`, `/.../site-packages/rich/x.py` -> `rich`."""
    path = Path(file)
    if "site-packages" in path.parts:
        return path.parts[path.parts.index("site-packages") + 1]
    if "harness" in path.parts:
        below = path.with_suffix("").parts
        return ".".join(below[len(below) - below[::-1].index("harness") :])
    return "template" if "<template>" in file or path.suffix == ".html" else "python"


def table(
    title: str, half: Mapping[str, tuple[float, int]], whole: Mapping[str, tuple[float, int]],
    heads: tuple[str, str], *, profiled: Steps, limit: float = GROWTH_LIMIT,
) -> list[str]:  # fmt: skip
    """Print one table, the smaller size first; what is not linear."""
    print(f"{title:14}{heads[0]:>14}{heads[1]:>14}{'growth':>8}{'size':>12}")
    broken = []
    for name, (seconds, size) in half.items():
        growth = whole[name][0] / max(seconds, 1e-9)
        shown = f"{size / 1e6:.2f} MB" if size else ""
        print(f"{name:14}{seconds:>12.2f} s{whole[name][0]:>12.2f} s{growth:>7.1f}x{shown:>12}")
        if growth > limit and whole[name][0] > NOTABLE_S:
            broken.append(f"{name} grows {growth:.1f} times with twice the {title}")
    print("where the time goes:")
    for name, (seconds, _) in whole.items():
        if seconds > NOTABLE_S:
            print(f"  {name:14}{whose(profiled[name])}")
    print()
    return broken


def main(cases: int, runs: int) -> int:
    """Print the tables; 1 if a limit is broken."""
    small = steps(sample(cases))
    once, twice = measure(small), measure(steps(sample(2 * cases)))
    heads = (f"{cases} cases", f"{2 * cases} cases")
    broken = table("cases", once, twice, heads, profiled=small)
    with tempfile.TemporaryDirectory() as half, tempfile.TemporaryDirectory() as whole:
        save_runs(Path(half), runs // 2)
        save_runs(Path(whole), runs)
        few, many = steps_of_history(Path(half)), steps_of_history(Path(whole))
        heads = (f"{runs // 2} runs", f"{runs} runs")
        broken += table(
            "runs", measure(few), measure(many), heads, profiled=many, limit=HISTORY_GROWTH_LIMIT
        )
    drawn = small["html"]().count(b"<svg")  # type: ignore[attr-defined]
    bare = measure({"bare": lambda: bare_charts(drawn)})["bare"][0]
    ratio = once["html"][0] / bare
    print(f"the page takes {ratio:.2f} times as long as its {drawn} charts would if they were bare")
    if ratio > PAGE_LIMIT:
        broken.append(f"html takes {ratio:.1f} times as long as {drawn} bare charts")
    for line in broken:
        print(f"broken: {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(numbers + [500, 2000][len(numbers) :])))
