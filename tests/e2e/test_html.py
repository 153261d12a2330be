"""The page in a real browser: what a reader sees, presses and hears."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.renderers import history
from harness.stats import trend
from harness.stats.trend import Point, RunLine, Skipped, Trend
from tests.browser import Page, browser
from tests.pages import page as page_of_report
from tests.paths import ROOT

pytestmark = pytest.mark.needs("chromium")

AXE = ROOT / "node_modules/axe-core/axe.min.js"
PAGES = (
    "with_verdict", "compared", "loaded", "hostile", "hundred_cases", "one_case", "some_failed",
    "all_failed", "no_accuracy", "no_intervals", "evaluated", "sustained", "summarized", "counted",
    "empty",
)  # fmt: skip


class Files(dict[str, Path]):
    """Pages as files in a folder, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, name: str) -> Path:
        self[name] = self._folder / f"{name}.html"
        made = history_page() if name == "history" else page_of_report(name)
        self[name].write_bytes(made)
        return self[name]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The reports as files."""
    return Files(tmp_path_factory.mktemp("pages"))


def history_page() -> bytes:
    """Twelve runs, slower from the ninth on."""
    points = tuple(
        Point(
            run_id=f"run-{i:02d}",
            started_at=f"2026-11-{i + 1:02d}T10:15:00Z",
            value=5_000_000.0 + 1_000 * i + (900_000 if i >= 8 else 0),
            ci_low=4_900_000.0,
            ci_high=6_100_000.0,
        )
        for i in range(12)
    )
    found = Trend(
        variant="<script>alert(1)</script>",
        device="host",
        identity="",
        setting="litert, cpu, 1 thread",
        metric="latency",
        unit="ns",
        points=points,
        changes=trend.changes([p.value for p in points]),
    )
    skipped = Skipped(path="reports/<b>x</b>", reason="truncated")
    runs = [
        RunLine(
            run_id=p.run_id,
            started_at=p.started_at,
            variants=("a" * 60, "<script>alert(1)</script>", "vgg16"),
            devices=("host",),
            statuses={"ok": 1, "failed": 1},
        )
        for p in points
    ]
    other = Trend(
        variant="student",
        device="pixel",
        identity="",
        setting="litert, cpu, 1 thread",
        metric="latency",
        unit="ns",
        points=points[:3],
    )
    return history.page(runs, [found, other], [skipped], "mobile-bench-harness")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(chromium: Page) -> Page:
    chromium.requests.clear()
    chromium.complaints.clear()
    return chromium


def names(page: Page) -> list[str]:
    """The visible variants of the table, from the top."""
    found: list[str] = page.run(
        "[...document.querySelectorAll('table.cases tbody tr')].filter(r => !r.hidden)"
        ".map(r => r.cells[0].dataset.value)"
    )
    return found


def press_head(page: Page, title: str) -> None:
    page.run(
        "[...document.querySelectorAll('table.cases thead button')]"
        f".find(b => b.querySelector('span').textContent === {json.dumps(title)}).click()"
    )


@pytest.mark.parametrize("name", [*PAGES, "history"])
def test_it_fits_asks_for_nothing_and_complains_of_nothing(
    page: Page, pages: dict[str, Path], name: str
) -> None:
    page.open(pages[name], 400)
    for width in (400, 800, 1400):
        page.resize(width)
        for dark in (False, True):
            page.prefer(dark=dark)
            assert page.run("document.documentElement.scrollWidth") <= width
            assert page.run(SMALLEST) >= 10.5  # CSS pixels, as shown
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith("data:")] == [pages[name].as_uri()]


# The smallest text of the charts in sight, scaled as they are.
SMALLEST = """
(() => {
  const size = (text) => parseFloat(getComputedStyle(text).fontSize);
  const shown = [...document.querySelectorAll('.plot svg')].filter(s => s.getClientRects().length);
  return Math.min(99, ...shown.map(s => s.getBoundingClientRect().width / s.viewBox.baseVal.width
    * Math.min(...[...s.querySelectorAll('text')].map(size))));
})()
"""


@pytest.mark.parametrize("width", [400, 1400])
def test_the_verdict_is_in_sight_at_once(page: Page, pages: dict[str, Path], width: int) -> None:
    page.open(pages["with_verdict"], width, 900)
    box = page.run(
        "(() => { const b = document.querySelector('#verdict h2').getBoundingClientRect();"
        " return [b.top, b.bottom, innerHeight]; })()"
    )
    assert 0 <= box[0] < box[1] < box[2]
    assert page.run("document.querySelector('#verdict h2').textContent") == "mobilenet-gray-int8"


def test_sorting_by_size_and_back(page: Page, pages: dict[str, Path]) -> None:
    page.open(pages["with_verdict"])
    assert names(page)[0] == "mobilenet-gray-int8"
    press_head(page, "size")
    assert names(page)[0] == "mobilenet-gray-int8"
    assert names(page)[-1] == "vgg16"
    press_head(page, "size")
    assert names(page)[0] == "vgg16"
    sorted_by = page.run("document.querySelector('th[aria-sort]').getAttribute('aria-sort')")
    assert sorted_by == "descending"


def test_what_is_best_comes_first_also_where_more_is_better(
    page: Page, pages: dict[str, Path]
) -> None:
    page.open(pages["with_verdict"])
    press_head(page, "accuracy")
    assert names(page)[0] == "vgg16"


def test_what_was_not_measured_is_sorted_last(page: Page, pages: dict[str, Path]) -> None:
    page.open(pages["hostile"])
    for _ in range(2):
        press_head(page, "latency")
        assert names(page)[-1] == "' '"


def test_filtering(page: Page, pages: dict[str, Path]) -> None:
    page.open(pages["with_verdict"])
    page.run(
        "(() => { const f = document.getElementById('filter'); f.value = 'mobilenet ok';"
        " f.dispatchEvent(new Event('input')); })()"
    )
    assert names(page) == ["mobilenet-gray-int8", "mobilenet-int8"]
    assert page.run("document.getElementById('shown').textContent") == "2 of 5 cases"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_theme_follows_the_system_until_the_button_is_pressed(
    page: Page, pages: dict[str, Path], dark: bool
) -> None:
    def lightness() -> int:
        colour: str = page.run("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(",")))

    page.open(pages["with_verdict"], dark=dark)
    page.run("localStorage.clear(); delete document.documentElement.dataset.theme")
    before = lightness()
    assert (before < 200) == dark
    page.run("document.getElementById('theme').click()")
    assert (lightness() < 200) != dark
    page.run("localStorage.clear()")


def test_everything_is_reached_with_the_keyboard(page: Page, pages: dict[str, Path]) -> None:
    page.open(pages["with_verdict"])
    reached = []
    for _ in range(20):
        page.press("Tab", 9)
        reached.append(
            page.run("document.activeElement.id || document.activeElement.textContent.trim()")
        )
    assert reached[0] == "Skip to the content"
    assert "theme" in reached
    assert "filter" in reached
    assert any(text.startswith("variant") for text in reached)


def test_what_a_sort_says(page: Page, pages: dict[str, Path]) -> None:
    page.open(pages["with_verdict"])
    press_head(page, "latency")
    said = "document.getElementById('said').textContent"
    assert page.run(said) == "sorted by latency in ms, ascending"


def test_outcomes_are_sorted_by_how_bad_they_are(page: Page, pages: dict[str, Path]) -> None:
    page.open(pages["compared"])
    order = "[...document.querySelectorAll('#baseline tbody tr')].map(r => r.cells[2].textContent)"
    before = page.run(order)
    assert len(before) > 10
    press = (
        "[...document.querySelectorAll('#baseline thead button')]"
        ".find(b => b.textContent === 'outcome').click()"
    )
    page.run(press)
    assert page.run(order) == before
    page.run(press)
    assert page.run(order) == before[::-1]


TIP = "document.querySelector('#tip.on')?.textContent ?? ''"

# Of each chart in sight the first mark that nothing covers: its place, and what it has to say.
MARKS = """
[...document.querySelectorAll('.plot')].filter(p => p.getClientRects().length).map(p => {
  const title = p.closest('figure').querySelector('h3').textContent;
  for (const m of p.querySelectorAll('[data-tip]')) {
    m.scrollIntoView({block: 'center', behavior: 'instant'});
    const b = m.getBoundingClientRect();
    const [x, y] = [b.x + b.width / 2, b.y + b.height / 2];
    if (document.elementFromPoint(x, y)?.closest('[data-tip]') === m)
      return [title, m.dataset.tip, scrollX + x, scrollY + y];
  }
  return [title, '', 0, 0];
})
"""


@pytest.mark.parametrize("width", [400, 1400])
def test_the_marks_of_every_chart_tell_their_numbers(
    page: Page, pages: dict[str, Path], width: int
) -> None:
    page.open(pages["loaded"], width)
    found = page.run(MARKS)
    assert len(found) > 30
    for title, tip, x, y in found:
        assert tip, f"no mark of {title!r} can be pointed at"
        page.run(f"scrollTo({{top: {y - 400}, behavior: 'instant'}})")
        left, top = page.run("[scrollX, scrollY]")
        (page.move if width > 400 else page.touch)(x - left, y - top)
        assert page.run(TIP) == tip
    hovered = [tip for _, tip, _, _ in found]
    assert any(re.search(r"size [\d.]+ MB, latency [\d.]+ ms ±\d", tip) for tip in hovered)


def test_the_keys_read_the_marks_of_a_chart(page: Page, pages: dict[str, Path]) -> None:
    page.open(pages["with_verdict"])
    page.run("document.querySelector('.plot.wide').focus()")
    said = []
    for key, code in [("ArrowRight", 39), ("ArrowRight", 39), ("ArrowLeft", 37)]:
        page.press(key, code)
        said.append(page.run(TIP))
        assert page.run("document.getElementById('said').textContent") == said[-1]
    assert said[0] == said[2] != said[1]
    assert all("latency" in text for text in said)
    page.press("Escape", 27)
    assert page.run(TIP) == ""
    for name in ("pareto", "memory", "accuracy", "size"):
        assert page.run(
            f"[...document.querySelectorAll('figure')].some(f => f.innerHTML.includes('{name}')"
            " && f.querySelector('details li'))"
        )


def test_intervals_and_reasons_can_be_shown(page: Page, pages: dict[str, Path]) -> None:
    """With the pointer on a cell, and of all cells with a button."""
    page.open(pages["no_intervals"])
    first = "document.querySelector('table.cases td.absent .more')"
    assert page.run(f"{first}.getBoundingClientRect().width") <= 1
    x, y = page.run(
        f"(() => {{ {first}.closest('td').scrollIntoView({{block: 'center', inline: 'center',"
        f" behavior: 'instant'}}); const b = {first}.closest('td').getBoundingClientRect();"
        " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
    )
    page.move(x, y)
    assert page.run(TIP) == page.run(f"{first}.textContent") != ""
    page.run("document.getElementById('more').click()")
    assert page.run(f"{first}.getBoundingClientRect().width") > 40
    page.resize(400)
    assert page.run("document.documentElement.scrollWidth") <= 400


def test_nothing_hostile_ran(page: Page, pages: dict[str, Path]) -> None:
    page.open(pages["hostile"])
    assert page.run("document.scripts.length") == 1
    assert page.run("document.images.length") == 0
    assert "<script>alert(1)</script>" in names(page)


PAPER = 980  # CSS pixels of a landscape letter page within its margins


@pytest.mark.parametrize("name", ["with_verdict", "loaded"])
def test_it_prints(page: Page, pages: dict[str, Path], name: str) -> None:
    page.open(pages[name], PAPER, dark=True)
    assert page.pdf().startswith(b"%PDF-")
    page.call("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert page.run("getComputedStyle(document.querySelector('.bar nav')).display") == "none"
        ink = page.run("getComputedStyle(document.body).color")
        assert ink == "rgb(28, 36, 48)"  # dark on white, whatever the theme on the screen
        assert page.run("dispatchEvent(new Event('beforeprint'))")
        assert page.run("[...document.querySelectorAll('details')].every(d => d.open)")
        wide = page.run(
            "[...document.querySelectorAll('main *')].filter(e => e.closest('.more') === null"
            f" && !e.closest('svg') && e.getBoundingClientRect().right > {PAPER} + 1)"
            ".map(e => e.outerHTML.slice(0, 80))"
        )
        assert wide == []
    finally:
        page.call("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["with_verdict", "compared", "loaded", "hostile", "all_failed", "history"]
)
def test_no_accessibility_fault(page: Page, pages: dict[str, Path], name: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm install --no-save axe-core@4.14.1")
    page.open(pages[name])
    page.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.run(AXE.read_text("utf-8") + "; 0")
    # Wide and dark has the elements of the one and the colours of the other.
    colours = "runOnly: ['color-contrast', 'link-in-text-block'],"
    for width, dark, only in ((1400, False, ""), (1400, True, colours), (400, True, "")):
        page.resize(width)
        page.prefer(dark=dark)
        # What passed is counted, and not described element by element.
        passed, found = page.run(
            f"axe.run({{{only} resultTypes: ['violations']}}).then(r => [r.passes.length, "
            "r.violations.map(v => ({id: v.id, impact: v.impact, "
            "nodes: v.nodes.slice(0, 3).map(n => n.html)}))])"
        )
        assert passed > (0 if only else 20), "it looked"
        assert found == [], (width, dark)


def test_the_board_is_filtered_by_variant_and_device(page: Page, pages: dict[str, Path]) -> None:
    page.open(pages["history"])

    def shown(words: str, of: str) -> list[str]:
        page.run(
            f"(() => {{ const i = document.getElementById('board-{of}'); i.value = '{words}';"
            " i.dispatchEvent(new Event('input')); })()"
        )
        found: list[str] = page.run(
            "[...document.querySelectorAll('table.board th')]"
            ".filter(h => h.getClientRects().length).map(h => h.firstChild.textContent)"
        )
        return found

    assert shown("stud", "variant") == ["variant", "host", "pixel", "student"]
    assert shown("pix", "device") == ["variant", "pixel", "student"]
    said = page.run("document.getElementById('board-shown').textContent")
    assert said == "1 of 2 variants, 1 of 2 devices"


def test_a_screenshot_has_the_size_asked_for(page: Page, pages: dict[str, Path]) -> None:
    page.open(pages["with_verdict"], 400, 700)
    width, height = struct.unpack(">II", page.screenshot()[16:24])
    assert (width, height) == (400, 700)
