"""How long reports take, and where the time goes: python -m benchmarks.report [CASES]

A report of 500 cases x 20 launches x 50 iterations is encoded, loaded, rendered in every format
and made into data frames; then one of twice the cases, to see that all of it is linear. Times are
CPU seconds, the best of three, so that other work on the machine does not count. Fails if the
page takes more than 5 s, or twice the cases more than 2.2 times as long in any step of at least
0.2 s.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path

from harness import frames, plugins, store
from harness.core.types import Report
from harness.renderers._plots import plots
from tests import reports

HTML_LIMIT_S = 5.0
GROWTH_LIMIT = 2.2
NOTABLE_S = 0.2


def sample(cases: int) -> Report:
    """A report of so many cases: five variants' shapes under many names."""
    shapes = list(reports.VARIANTS.values())
    variants = {f"variant-{i:04d}": shapes[i % len(shapes)] for i in range(cases)}
    return reports.make(variants, launches=20, iterations=50)


def steps(report: Report) -> dict[str, Callable[[], object]]:
    """Everything a report goes through."""
    data = store.encode(report)
    every: dict[str, Callable[[], object]] = {"load": lambda: store.decode(data, Path("report"))}
    for name in plugins.names("renderers"):
        render = plugins.load("renderers", name).render
        every[name] = lambda render=render: render(report)  # type: ignore[misc]
    every["plots"] = lambda: plots(report)
    every["frame"] = lambda: frames.frame(report)
    every["launches"] = lambda: frames.launches(report)
    every["observations"] = lambda: frames.observations(report)
    return every


def measure(report: Report, times: int = 3) -> dict[str, tuple[float, int]]:
    """Step -> best time in seconds and size of its result in bytes (0 if it has none)."""
    gc.freeze()  # the report itself is not the step's garbage to look through
    found = {}
    for name, step in steps(report).items():
        best, size = float("inf"), 0
        for _ in range(times):
            start = time.process_time()
            result = step()
            best = min(best, time.process_time() - start)
            size = len(result) if isinstance(result, bytes) else 0
        found[name] = (best, size)
    gc.unfreeze()
    return found


def main(cases: int) -> int:
    """Print the table; 1 if a limit is broken."""
    once, twice = measure(sample(cases)), measure(sample(2 * cases))
    print(f"{'step':14}{f'{cases} cases':>14}{f'{2 * cases} cases':>14}{'growth':>8}{'size':>12}")
    broken = []
    for name, (seconds, size) in once.items():
        growth = twice[name][0] / seconds
        shown = f"{size / 1e6:.2f} MB" if size else ""
        print(f"{name:14}{seconds:>12.2f} s{twice[name][0]:>12.2f} s{growth:>7.1f}x{shown:>12}")
        if growth > GROWTH_LIMIT and twice[name][0] > NOTABLE_S:
            broken.append(f"{name} grows {growth:.1f} times with twice the cases")
    if once["html"][0] > HTML_LIMIT_S:
        broken.append(f"html takes {once['html'][0]:.1f} s")
    for line in broken:
        print(f"broken: {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
