"""Take the pictures of what other tools show of a run again:

    python docs/images/tools.py [RUNS] [--notebook HTML] [--site FOLDER]

RUNS is a folder of run folders of a few small files; the board shows them all, the summary the last
one, the trace the first. HTML is `examples/which_model.ipynb`, run and turned into a page
by nbconvert, FOLDER what `make docs` builds. The pictures of what is not given stay as they are.
Needs Chromium and the packages of `[dev]`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from make import past, save, take  # noqa: E402
from markdown_it import MarkdownIt  # noqa: E402

from harness.renderers.formats import markdown, trace  # noqa: E402
from harness.renderers.view import View  # noqa: E402
from harness.results import load  # noqa: E402
from tests.browser import Page, browser  # noqa: E402
from tests.perfetto import perfetto  # noqa: E402

# About what a step summary looks like on GitHub.
_STYLE = """<meta charset="utf-8"><style>
body { font: 16px/1.5 "DejaVu Sans", sans-serif; margin: 1.5rem }
table { border-collapse: collapse } th, td { border: 1px solid #d1d9e0; padding: .3rem .7rem }
code { background: #eff1f3; padding: .1rem .3rem } details { margin: 1rem 0 }</style>"""


def summary(page: Page, runs: Path, folder: Path) -> None:
    """The markdown that the GitHub Action writes."""
    text = markdown.render(View(load.read("latest", runs))).decode()
    file = folder / "summary.html"
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    file.write_text(_STYLE + html, "utf-8")
    page.open(file, 1100, 700)
    save("summary", page.screenshot(of=["body"]))


def in_perfetto(page: Page, runs: Path) -> None:
    """The trace with all of its rows open."""
    first = min(path.name for path in runs.iterdir() if path.is_dir())
    with perfetto(page) as opened:
        page.resize(1280, 640)
        opened.open(trace.render(View(load.read(first, runs))))
        tracks = "app.trace.workspaces.currentWorkspace.flatTracks"
        end = time.monotonic() + 120
        while page.run(f"{tracks}.length") < 4 and time.monotonic() < end:
            time.sleep(1)  # rows come one by one
        time.sleep(10)
        page.run(f"{tracks}.forEach(track => track.expand()); app.raf.scheduleFullRedraw?.()")
        page.move(600, 300)
        time.sleep(5)
        save("perfetto", page.screenshot())


def main() -> None:
    """All of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="?")
    parser.add_argument("--notebook", type=Path)
    parser.add_argument("--site", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, browser(Path(name) / "profile") as page:
        if args.runs:
            board = past(Path(name), args.runs)
            take(page, "board", board, (1100, 700), of=["header", "#board .card"])
            summary(page, args.runs, Path(name))
            in_perfetto(page, args.runs)
        if args.site:
            page.open(args.site / "how-to/search.html", 1280, 720)
            save("site", page.screenshot())
        if args.notebook:
            page.open(args.notebook, 1000, 1100)
            save("notebook", page.screenshot())


if __name__ == "__main__":
    main()
