"""Take the pictures of the documentation again: python docs/images/make.py

Needs Chromium. The reports are those of the tests: their numbers are drawn around medians that
were measured on a host, and stand for no machine.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from msgspec.structs import replace
from PIL import Image
from rich.console import Console

from harness.core import trend
from harness.core.trend import Point, RunLine, Trend
from harness.renderers import _history, html, terminal
from tests import reports
from tests.browser import Page, browser

HERE = Path(__file__).parent


def take(page: Page, name: str, file: Path, size: tuple[int, int], *, dark: bool = False) -> None:
    """One picture of the top of a page, in few colours so that it stays small."""
    page.open(file, *size, dark=dark)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(128).save(HERE / f"{name}.png", optimize=True)


def printed(folder: Path) -> Path:
    """The terminal report of 120 columns as a page of its own."""
    console = Console(width=120, record=True, force_terminal=True, file=io.StringIO())
    terminal.render_to(reports.with_verdict(), console)
    path = folder / "terminal.svg"
    path.write_text(console.export_svg(title="python -m harness bench"), "utf-8")
    return path


def past(folder: Path) -> Path:
    """A history page with one change."""
    latency = [5.19, 5.21, 5.13, 5.27, 5.19, 5.09, 5.16, 5.24, 5.11, 5.07, 5.85, 5.93, 5.83, 5.82,
               5.88, 5.96]  # fmt: skip
    points = [
        Point(
            run_id=f"202611{i + 1:02d}-101500-a1b2",
            started_at=f"2026-11-{i + 1:02d}T10:15:00Z",
            value=ms * 1e6,
            ci_low=ms * 0.98e6,
            ci_high=ms * 1.02e6,
        )
        for i, ms in enumerate(latency)
    ]
    found = Trend(
        variant="scratch",
        device="host",
        identity="",
        setting="litert, cpu, 1 thread",
        metric="latency",
        unit="ns",
        points=tuple(points),
        changes=trend.changes([p.value for p in points]),
    )
    runs = [
        RunLine(
            run_id=p.run_id,
            started_at=p.started_at,
            variants=("scratch", "vgg16"),
            devices=("host",),
            statuses={"ok": 2},
        )
        for p in points
    ]
    path = folder / "history.html"
    path.write_bytes(_history.page(runs, [found], [], "mobile-bench-harness"))
    return path


def main() -> None:
    """All of them."""
    with tempfile.TemporaryDirectory() as name, browser(Path(name) / "profile") as page:
        folder = Path(name)
        report = folder / "report.html"
        report.write_bytes(html.render(replace(reports.with_verdict(), findings=())))
        take(page, "html-light", report, (1280, 1000))
        take(page, "html-dark", report, (1280, 1000), dark=True)
        take(page, "html-phone", report, (400, 800))
        baseline = folder / "baseline.html"
        baseline.write_bytes(html.render(reports.compared()))
        take(page, "html-baseline", baseline, (1280, 900))
        page.open(report, 1280, 1000)
        page.run("document.getElementById('overview').scrollIntoView({behavior: 'instant'})")
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        picture.quantize(128).save(HERE / "html-charts.png", optimize=True)
        take(page, "history", past(folder), (1280, 800))
        take(page, "terminal", printed(folder), (1480, 1000))


if __name__ == "__main__":
    main()
