"""What holds for every renderer and every report, however odd; and that they agree."""

from __future__ import annotations

import csv
import functools
import html
import importlib
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from harness.core import units
from harness.core.errors import UsageError
from harness.core.types import Launch, Report
from harness.renderers import absent
from harness.renderers.formats import terminal
from harness.renderers.view import View
from harness.results import store
from harness.system import plugins
from tests import pages, reports, schema
from tests.pages import made
from tests.paths import ROOT

FORMATS = plugins.names("harness.renderers.formats")
# Formats whose bytes are ours alone; HTML and Parquet change with matplotlib and pyarrow.
GOLDEN = ["terminal", "markdown", "junit", "csv_wide"]
STABLE = ["fixed", "odd", "all_failed", "empty"]  # without a number that is drawn or estimated
# The page takes half a minute for every report, so it is drawn a second time for these alone: they
# hold every kind of chart and every odd name.
DRAWN_TWICE = ("hostile", "evaluated", "sustained", "counted")
TEXTS = [name for name in FORMATS if name != "parquet"]


def golden(name: str, report: str) -> Path:
    return ROOT / f"tests/data/reports/{name}-{report}.txt"


def render(name: str, report: Report) -> bytes:
    """Rendered once per report and format, whoever asks."""
    key = (name, id(report))
    if key not in _RENDERED:
        rendered = plugins.load("harness.renderers.formats", name).render
        data: bytes = pages.page_of(report) if name == "html" else rendered(View(report))
        _RENDERED[key] = (report, data)
    return _RENDERED[key][1]


# The report is kept beside its bytes so that its id stays its own.
_RENDERED: dict[tuple[str, int], tuple[Report, bytes]] = {}


def formats(*names: str, page: pytest.MarkDecorator = pytest.mark.slow) -> pytest.MarkDecorator:
    """One test per format. The one of the HTML page gets the mark `page`: to draw the pages of all
    reports takes half a minute."""
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=page if name == "html" else ()) for name in names]
    )


def every_report() -> Iterator[tuple[str, Report]]:
    return ((which, made(which)) for which in sorted(reports.REPORTS))


@formats(*FORMATS, page=pytest.mark.long)
def test_a_report_read_back_from_its_file_renders_the_same(
    name: str, subtests: pytest.Subtests
) -> None:
    for which, report in every_report():
        with subtests.test(report=which):
            again = msgspec.json.decode(msgspec.json.encode(report), type=Report)
            assert again == report
            if name == "html" and which not in DRAWN_TWICE:
                continue
            fresh = plugins.load("harness.renderers.formats", name).render(View(again))
            assert fresh
            if name == "parquet":
                assert _parquet_summary(fresh) == _parquet_summary(render(name, report))
            elif name == "json":
                assert msgspec.json.decode(fresh, type=Report) == report
            elif name == "as_baseline":
                kept = msgspec.json.decode(render(name, report), type=Report)
                assert msgspec.json.decode(fresh, type=Report) == kept
            else:
                assert fresh == render(name, report)


@formats(*TEXTS)
def test_text_is_utf8_without_anything_that_steers_a_terminal(
    name: str, subtests: pytest.Subtests
) -> None:
    for which, report in every_report():
        with subtests.test(report=which):
            text = render(name, report).decode("utf-8")
            if name in ("csv", "csv_wide"):  # data: names are kept as they are, quoted
                continue
            assert "\x1b" not in text
            assert "\u202e" not in text or name in ("json", "as_baseline")


# --- what every format tells ----------------------------------------------------------------


def read(name: str, report: Report) -> str:
    """The text of a format as its reader sees it: unescaped, on one line. Read once."""
    key = (name, id(report))
    if key not in _READ:
        _READ[key] = " ".join(units.printable(READABLE[name](report)).split())
    return _READ[key]


_READ: dict[tuple[str, int], str] = {}


def _terminal(report: Report) -> str:
    out = io.StringIO()
    console = Console(file=out, width=1000, force_terminal=False, color_system=None, _environ={})
    terminal.render_to(View(report), console, wide=True)
    return out.getvalue().replace("\n", " ")


def _markdown(report: Report) -> str:
    return _unmarked(render("markdown", report).decode())


def _unmarked(text: str) -> str:
    text = html.unescape(text).replace("\u200b", "")
    return re.sub(r"\\([\\`*_\[\]|~>$.+)=-])", r"\1", text).replace("\n", " ")


def _card(report: Report) -> str:
    # Names stand in code spans only, where `&amp;` is just that.
    text = render("card", report).decode()
    return f"{_unmarked(text)} {text}"


def _html(report: Report) -> str:
    text = re.sub(r"</?[a-z][^>]*?>", " ", render("html", report).decode())
    return html.unescape(f"{text} {render('html', report).decode()}").replace("\n", " ")


def _junit(report: Report) -> str:
    elements = ET.fromstring(render("junit", report)).iter()
    return " ".join(" ".join([*e.attrib.values(), e.text or ""]) for e in elements)


def _csv(name: str) -> Callable[[Report], str]:
    def text(report: Report) -> str:
        table = csv.reader(io.StringIO(render(name, report).decode(), newline=""))
        return " ".join(units.printable(cell) for row in table for cell in row)

    return text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield units.printable(value)
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _parquet(report: Report) -> str:
    return " ".join(_strings(msgspec.to_builtins(_parquet_summary(render("parquet", report)))))


READABLE: dict[str, Callable[[Report], str]] = {
    "terminal": _terminal,
    "markdown": _markdown,
    "html": _html,
    "json": lambda report: " ".join(_strings(json.loads(render("json", report)))),
    "as_baseline": lambda report: " ".join(_strings(json.loads(render("as_baseline", report)))),
    "junit": _junit,
    "csv": _csv("csv"),
    "csv_wide": _csv("csv_wide"),
    "parquet": _parquet,
    "bencher": lambda report: " ".join(json.loads(render("bencher", report))),
    "gha_benchmark": lambda report: " ".join(_strings(json.loads(render("gha_benchmark", report)))),
    "card": _card,
    "trace": lambda report: " ".join(_strings(json.loads(render("trace", report)))),
}

# For services that keep a history: names and numbers, and no place for a word about them.
TRACKED = ("bencher", "gha_benchmark")
# The card is about the recommended variant; what is wrong with others has no place in it.
SELECTIVE = ("card", "csv", *TRACKED)


DATA = (
    *TRACKED,
    "json",
    "as_baseline",
    "csv",
    "csv_wide",
    "parquet",
    "trace",
)  # names as they are, not as a person needs them


def test_every_format_can_be_read() -> None:
    assert READABLE.keys() == set(FORMATS)


@formats(*FORMATS)
def test_every_case_is_named_in_every_format(name: str, subtests: pytest.Subtests) -> None:
    for which, report in every_report():
        with subtests.test(report=which):
            text = read(name, report)
            for case in report.cases:
                if name == "csv" and not any(_values(x) for x in case.launches):
                    continue  # one row per observation, and there is none
                if name == "gha_benchmark" and (case.failure or case.status == "invalid"):
                    continue  # one entry per number, and there is none
                # Of a very long name the ends are enough to tell it.
                told = units.printable if name in DATA else units.name
                shown = " ".join(told(case.variant).split())
                for part in (shown,) if len(shown) <= 50 else (shown[:20], shown[-20:]):
                    assert part in text


def _values(launch: Launch) -> bool:
    return bool(launch.latency_ns or launch.counters or launch.init_ns)


@formats(*(n for n in FORMATS if n not in SELECTIVE))
def test_every_failure_says_why_in_every_format(name: str, subtests: pytest.Subtests) -> None:
    for which, report in every_report():
        with subtests.test(report=which):
            text = read(name, report)
            for case in report.cases:
                if case.failure is not None:
                    assert " ".join(units.printable(case.failure.message).split()) in text
                    if name != "csv_wide":
                        assert case.failure.fix in text


@formats("terminal", "markdown", "html", "json", "parquet")
def test_what_was_never_measured_says_why_in_every_format(
    name: str, subtests: pytest.Subtests
) -> None:
    for which, report in every_report():
        with subtests.test(report=which):
            text = read(name, report)
            for reason in absent.never_measured(report).values():
                assert units.printable(reason) in text


@formats(*(n for n in FORMATS if n not in ("csv_wide", *SELECTIVE)))
def test_every_doubt_and_its_fix_is_in_every_format(name: str, subtests: pytest.Subtests) -> None:
    for which, report in every_report():
        with subtests.test(report=which):
            text = read(name, report)
            for case in report.cases:
                for finding in case.findings:
                    for said in (finding.message, finding.fix):
                        shown = " ".join(units.printable(said).split())
                        assert (shown if len(shown) <= 50 else shown[:40]) in text


@formats("terminal", "markdown", "html", "json", "junit", "parquet")
def test_every_budget_and_the_reason_are_in_every_format(
    name: str, subtests: pytest.Subtests
) -> None:
    for which, report in every_report():
        with subtests.test(report=which):
            if report.verdict is None:
                continue
            text = read(name, report)
            budgets = [budget.text for budget in report.verdict.budgets]
            for said in budgets:
                assert said in text
            if name != "junit" or report.verdict.outcome in ("missed", "undecided"):
                reason = report.verdict.reason.removeprefix(f"{report.verdict.recommended}: ")
                assert reason in text


@pytest.mark.parametrize("name", ["terminal", "markdown"])
def test_who_is_on_the_front_is_said(name: str) -> None:
    text = read(name, made("with_verdict")).replace("`", "")
    assert (
        "nothing beats mobilenet-gray-int8, vgg16 and pruned on size, latency, peak RSS and "
        in text
    )


# --- a file of an old version ---------------------------------------------------------------

OLD = ROOT / "tests/data/reports/v1.json"  # written by 0.1.0; never to be written again


@functools.cache
def old() -> Report:
    return store.decode(OLD.read_bytes(), OLD)


@formats(*FORMATS)
def test_a_file_of_the_first_version_is_told_in_every_format(name: str) -> None:
    text = read(name, old())
    wanted = ["mobilenet-int8", "pruned"]
    if name not in SELECTIVE:
        wanted += ["the worker was killed by SIGSEGV"]
    if name in ("terminal", "markdown", "html"):
        wanted += ["74x smaller than vgg16", "size<=10MB", "regression", "0.961 ±0.019"]
    for words in wanted:
        assert words in text


# --- hostile text ----------------------------------------------------------------------------


def test_hostile_names_stay_text_in_xml() -> None:
    root = ET.fromstring(render("junit", made("hostile")))
    names = [test.get("name") for test in root.iter("testcase")]
    assert sorted(filter(None, names)) == sorted(map(units.name, reports.HOSTILE_NAMES))


def test_a_spreadsheet_runs_nothing() -> None:
    for name in ("csv", "csv_wide"):
        table = list(csv.reader(io.StringIO(render(name, made("hostile")).decode(), newline="")))
        for row in table:
            for cell in row:
                assert not cell.startswith(("=", "+", "@", "\t", "\r"))
                if cell.startswith("-"):
                    float(cell)  # a number may; a text may not
            assert len(row) == len(table[0])


def test_markdown_tables_keep_their_columns() -> None:
    text = render("markdown", made("hostile")).decode()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert len(widths) == 1
    outside = re.sub(r"(`+).*?\1", "", text)  # what is not in a code span
    assert not re.search(r"<(?!/?(details|summary)\b)", outside)


@pytest.mark.slow
def test_html_holds_no_element_of_a_name() -> None:
    text = render("html", made("hostile")).decode()
    assert text.count("<script>") == 1
    assert "<img" not in text
    assert 'javascript:alert(1)"' not in text
    assert "onerror=alert" not in re.sub(r"&lt;img src=x onerror=alert\(1\)&gt;", "", text)


@pytest.mark.slow
def test_html_asks_for_nothing_from_elsewhere(subtests: pytest.Subtests) -> None:
    for which, report in every_report():
        with subtests.test(report=which):
            text = render("html", report).decode()
            assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", text)
            assert not re.search(r"url\((?!#)", text)
            assert "@import" not in text


@pytest.mark.slow
def test_twenty_cases_are_under_two_megabytes() -> None:
    """With everything a report can hold: ten variants on two devices, 20 launches of 50."""
    big = reports.loaded(10, launches=20, iterations=50)
    assert len(big.cases) == 20
    page = render("html", big).decode()
    for section in ("verdict", "baseline", "findings", "confusion", "ops", "layers", "how"):
        assert f'<section id="{section}"' in page
    assert len(page.encode()) < 2_000_000


# --- JSON ------------------------------------------------------------------------------------


def test_json_is_what_the_store_writes(subtests: pytest.Subtests) -> None:
    for which, report in every_report():
        with subtests.test(report=which):
            assert render("json", report) == store.encode(report)


def test_json_matches_the_published_schema(subtests: pytest.Subtests) -> None:
    for which, report in every_report():
        with subtests.test(report=which):
            schema.check(render("json", report))


@pytest.mark.parametrize("file", [OLD, *ROOT.glob("reports/baselines/*.json")], ids=str)
def test_files_of_before_match_the_published_schema(file: Path) -> None:
    """Fields are only ever added, so what was written once stays valid."""
    schema.check(file.read_bytes())


def test_the_published_schema_is_the_current_one() -> None:
    published = schema.published()
    current = plugins.load("harness.renderers.formats", "json").schema()
    assert published == json.loads(json.dumps(current)), "run docs/reference/schema.py"


def _parquet_summary(data: bytes) -> Report:
    parquet = pytest.importorskip("pyarrow.parquet")
    metadata = parquet.read_table(io.BytesIO(data)).schema.metadata
    return msgspec.json.decode(metadata[b"mobile-bench-harness"], type=Report)


# --- comparisons -----------------------------------------------------------------------------


@formats("terminal", "markdown", "html", "json", "csv_wide")
def test_a_regression_is_seen_in_every_format(name: str) -> None:
    assert "regression" in render(name, made("compared")).decode()


def test_a_regression_fails_in_junit() -> None:
    report = made("compared")
    failures = {
        test.get("name")
        for test in ET.fromstring(render("junit", report)).iter("testcase")
        if test.find("failure") is not None
    }
    assert "pruned latency" in failures


def test_junit_counts_what_it_holds() -> None:
    root = ET.fromstring(render("junit", made("some_failed")))
    assert (root.get("tests"), root.get("errors"), root.get("failures")) == ("5", "1", "1")


def test_unmet_budgets_fail_in_junit() -> None:
    met = made("with_verdict")
    assert met.verdict is not None
    for outcome, expected in (("met", "00"), ("missed", "10"), ("undecided", "01")):
        verdict = replace(met.verdict, outcome=outcome)
        root = ET.fromstring(render("junit", replace(met, verdict=verdict)))
        (suite,) = root.findall("testsuite[@name='verdict']")
        assert f"{suite.get('failures')}{suite.get('skipped')}" == expected


def test_each_device_has_its_own_recommendation() -> None:
    lines = render("terminal", made("evaluated")).decode().splitlines()
    starred = [line for line in lines if line.startswith("★ ") and "ok" in line]
    assert sorted(line.split()[2] for line in starred) == ["host", "pixel"]


# --- golden files ----------------------------------------------------------------------------


@pytest.mark.parametrize("which", STABLE)
@pytest.mark.parametrize("name", GOLDEN)
def test_the_golden_file_is_what_is_written(name: str, which: str) -> None:
    """After a change that is meant: python -m tests.contract.renderers.test_renderers, then look
    at the difference."""
    assert render(name, made(which)).decode() == golden(name, which).read_bytes().decode()


# --- missing packages ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "package"), [("html", "jinja2"), ("html", "matplotlib"), ("parquet", "pyarrow")]
)
def test_a_missing_package_is_named_with_its_extra(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = plugins.load("harness.renderers.formats", name)
    real = importlib.import_module

    def without(wanted: str, package_: str | None = None) -> Any:
        if wanted.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {wanted!r}", name=wanted)
        return real(wanted, package_)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(UsageError, match=rf"{package}.*mobile-bench-harness\[report\]"):
        module.render(View(made("one_case")))


if __name__ == "__main__":
    for changed in GOLDEN:
        for which in STABLE:
            golden(changed, which).write_bytes(render(changed, made(which)))


@formats("terminal", "markdown", "html")
def test_instructions_stand_beside_the_macs_and_what_each_takes(name: str) -> None:
    text = read(name, made("counted"))
    assert all(head in text for head in ("instructions", "MACs", "/MAC"))
    case = made("counted").cases[0]
    macs = next(a.macs for a in made("counted").artifacts if a.variant == case.variant)
    assert macs is not None
    assert "63,468,657" in text or "63468657" in text
    assert units.significant(macs / 1e6) in text
    assert "0.212" in text
