"""Take the pictures of the documentation again, from runs that were saved:

    python docs/images/make.py [REPORT [--budget BUDGET]] [--history FOLDER] [--search FILE]
        [--delegates REPORT]

REPORT is a report file of a real run; with `--budget` its verdict is made again under these
budgets, from the same observations. FOLDER holds runs of one file over time: they are the history,
and the last one is compared with the first. FILE is the JSON of a search. The REPORT after
`--delegates` is of a run in which one of them changes answers (docs/explanation/phone-session.md).
The pictures of what is not given stay as they are.
Findings of level info and the paths in the command are left out: they tell of the machine where
the run was made. Needs Chromium.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace
from PIL import Image
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, MONOKAI, TerminalTheme

from harness.analysis import gate, metric_specs
from harness.analysis.verdict import judge
from harness.core.search import SearchReport
from harness.core.types import Report
from harness.renderers import history as history_renderer
from harness.renderers import search as search_renderer
from harness.renderers import search_page
from harness.renderers.formats import html, terminal
from harness.renderers.view import View
from harness.results import history, store
from tests.browser import Page, browser

HERE = Path(__file__).parent
THEMES = {"light": False, "dark": True}
PRE = """<body style="margin:0;background:{background}"><pre style="margin:0;padding:14px 18px;
display:inline-block;font:15px/1.3 'DejaVu Sans Mono',monospace;color:{foreground}">{code}</pre>"""


def save(name: str, png: bytes) -> None:
    """A small file whose flat colours are exact: the most frequent ones are kept, the others
    (edges of letters, steps of a scale) become the nearest of 256."""
    import numpy as np

    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    colours, index, counts = np.unique(
        pixels.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True
    )
    order = np.argsort(-counts)
    exact, rest = colours[order[:160]], colours[order[160:]]
    palette = exact
    if len(rest):
        mixed = Image.fromarray(rest[None]).quantize(96).convert("RGB")
        palette = np.concatenate([exact, np.unique(np.asarray(mixed)[0], axis=0)])
    far = ((colours[:, None].astype(int) - palette[None].astype(int)) ** 2).sum(axis=2)
    small = Image.fromarray(
        far.argmin(axis=1)[index.ravel()].astype("uint8").reshape(pixels.shape[:2]), "P"
    )
    small.putpalette(palette.astype("uint8").tobytes())
    small.save(HERE / f"{name}.png", optimize=True)


def take(
    page: Page, name: str, file: Path, size: tuple[int, int], *, of: Sequence[str] = ()
) -> None:
    """The page in both themes: its top, or the elements `of`."""
    for theme, dark in THEMES.items():
        page.open(file, *size, dark=dark)
        save(f"{name}-{theme}", page.screenshot(of=of))


def loaded(path: Path) -> Report:
    """The report as it is shown."""
    report = store.decode(path.read_bytes(), path)
    words, shown = iter(report.command), []
    for word in words:
        if word in ("--json", "--html", "--out", "--baseline", "--csv", "--data"):
            next(words, None)
        else:
            shown.append(word)
    cases = [
        replace(c, findings=tuple(f for f in c.findings if f.level != "info")) for c in report.cases
    ]
    artifacts = [replace(a, findings=()) for a in report.artifacts]
    general = tuple(f for f in report.findings if f.level != "info")
    return replace(
        report,
        command=tuple(shown),
        cases=tuple(cases),
        artifacts=tuple(artifacts),
        findings=general,
    )


def printed(report: Report, folder: Path, width: int, theme: TerminalTheme) -> Path:
    """The terminal's report of this width as a page."""
    console = Console(width=width, record=True, force_terminal=True, color_system="standard",
                      file=io.StringIO(), legacy_windows=False, _environ={})  # fmt: skip
    terminal.render_to(View(report), console)
    path = folder / "terminal.html"
    path.write_text(console.export_html(theme=theme, inline_styles=True, code_format=PRE), "utf-8")
    return path


def past(folder: Path, runs: Path) -> Path:
    """The page of a history."""
    found = history.scan(runs)
    lines = [run.line for run in found.runs]
    path = folder / "history.html"
    page = history_renderer.page(
        lines, history.trends(found), found.skipped, "mobile-bench-harness"
    )
    path.write_bytes(page)
    return path


def of_report(page: Page, report: Report, folder: Path) -> None:
    """The pictures of one run."""
    file = folder / "report.html"
    file.write_bytes(html.render(View(report)))
    take(page, "html", file, (1280, 900), of=["header", "#cases .card"])
    take(page, "charts", file, (1280, 900), of=["#overview"])
    take(page, "launches", file, (1280, 900), of=["#distributions .panels"])
    take(page, "phone", file, (400, 860))
    take(page, "phone-charts", file, (400, 860), of=["#overview h2", "#overview figure + figure"])
    for width in (80, 120):
        for theme, colours in (("light", DEFAULT_TERMINAL_THEME), ("dark", MONOKAI)):
            page.open(printed(report, folder, width, colours), 9 * width + 60, 700)
            save(f"terminal-{width}-{theme}", page.screenshot(of=["pre"]))


def of_delegates(page: Page, report: Report, folder: Path) -> None:
    """The pictures of a run in which a delegate changes answers."""
    file = folder / "delegates.html"
    file.write_bytes(html.render(View(report)))
    take(page, "delegates", file, (1280, 900), of=["header", "#cases .card", "#findings"])


def of_history(page: Page, runs: Path, folder: Path) -> None:
    """The pictures of several runs."""
    reports = sorted(runs.glob("*/report.json"))
    baseline, candidate = map(loaded, (reports[0], reports[-1]))
    file = folder / "compared.html"
    file.write_bytes(html.render(View(gate.compared(candidate, baseline, 0.05))))
    take(page, "baseline", file, (1280, 900), of=["#baseline h2", "#baseline figure"])
    take(page, "history", past(folder, runs), (1280, 900), of=["header", "#trends figure"])


def of_search(page: Page, report: SearchReport, folder: Path) -> None:
    """The pictures of a search: its page, and what the terminal shows."""
    file = folder / "search.html"
    file.write_bytes(search_page.page(report))
    take(page, "search", file, (1280, 900), of=["#verdict", "#how"])
    for theme, colours in (("light", DEFAULT_TERMINAL_THEME), ("dark", MONOKAI)):
        console = Console(width=80, record=True, force_terminal=True, color_system="standard",
                          file=io.StringIO(), legacy_windows=False, _environ={})  # fmt: skip
        search_renderer.show(report, console)
        shown = folder / "terminal.html"
        code = console.export_html(theme=colours, inline_styles=True, code_format=PRE)
        shown.write_text(code, "utf-8")
        page.open(shown, 780, 600)
        save(f"search-terminal-{theme}", page.screenshot(of=["pre"]))


def main() -> None:
    """All of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, nargs="?")
    parser.add_argument("--budget")
    parser.add_argument("--history", type=Path)
    parser.add_argument("--search", type=Path)
    parser.add_argument("--delegates", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, browser(Path(name) / "profile") as page:
        if args.report:
            report = loaded(args.report)
            if args.budget:
                report = replace(report, plan=replace(report.plan, budget=args.budget))
                report = replace(report, verdict=judge(report, metric_specs.specs()))
            of_report(page, report, Path(name))
        if args.history:
            of_history(page, args.history, Path(name))
        if args.search:
            found = msgspec.json.decode(args.search.read_bytes(), type=SearchReport)
            of_search(page, found, Path(name))
        if args.delegates:
            of_delegates(page, loaded(args.delegates), Path(name))


if __name__ == "__main__":
    main()
