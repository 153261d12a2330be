"""What holds for every renderer and every report, however odd; and that they agree."""

from __future__ import annotations

import builtins
import csv
import functools
import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from harness import plugins, store
from harness.core import units
from harness.core.errors import UsageError
from harness.core.types import Report
from tests import reports

FORMATS = plugins.names("renderers")
# Formats whose bytes are ours alone; HTML and Parquet change with matplotlib and pyarrow.
GOLDEN = ["terminal", "markdown", "junit", "csv_wide"]
TEXTS = [name for name in FORMATS if name != "parquet"]


def golden(name: str) -> Path:
    return reports.ROOT / f"tests/data/reports/{name}.txt"


def render(name: str, report: Report) -> bytes:
    """Rendered once per report and format, whoever asks."""
    key = (name, id(report))
    if key not in _RENDERED:
        data: bytes = plugins.load("renderers", name).render(report)
        _RENDERED[key] = (report, data)
    return _RENDERED[key][1]


# The report is kept beside its bytes so that its id stays its own.
_RENDERED: dict[tuple[str, int], tuple[Report, bytes]] = {}


@pytest.fixture(scope="module", params=sorted(reports.REPORTS))
def report(request: pytest.FixtureRequest) -> Report:
    return made(request.param)


@functools.cache
def made(name: str) -> Report:
    return reports.REPORTS[name]()


@pytest.mark.parametrize("name", FORMATS)
def test_a_report_read_back_from_its_file_renders_the_same(name: str, report: Report) -> None:
    again = msgspec.json.decode(msgspec.json.encode(report), type=Report)
    fresh = plugins.load("renderers", name).render(again)
    assert fresh
    if name == "parquet":
        assert _parquet_summary(fresh) == _parquet_summary(render(name, report))
    elif name == "json":
        assert msgspec.json.decode(fresh, type=Report) == report
    else:
        assert fresh == render(name, report)


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_utf8_without_anything_that_steers_a_terminal(name: str, report: Report) -> None:
    text = render(name, report).decode("utf-8")
    if name in ("csv", "csv_wide"):  # data: names are kept as they are, quoted
        return
    assert "\x1b" not in text
    assert "\u202e" not in text or name == "json"


def test_every_case_is_in_every_format(report: Report) -> None:
    for name in TEXTS:
        text = render(name, report).decode("utf-8")
        if name == "csv":
            continue  # one row per observation: a case without launches has none
        for case in report.cases:
            mark = case.variant[:12] if case.variant.isalnum() else ""
            assert mark in text


# --- hostile text ----------------------------------------------------------------------------


def test_hostile_names_stay_text_in_xml() -> None:
    root = ET.fromstring(render("junit", made("hostile")))
    names = [test.get("name") for test in root.iter("testcase")]
    assert sorted(filter(None, names)) == sorted(map(units.name, reports.HOSTILE_NAMES))


def test_a_spreadsheet_runs_nothing() -> None:
    for name in ("csv", "csv_wide"):
        table = list(csv.reader(io.StringIO(render(name, made("hostile")).decode(), newline="")))
        for row in table:
            assert not any(cell.startswith(("=", "+", "@")) for cell in row)
            assert len(row) == len(table[0])


def test_markdown_tables_keep_their_columns() -> None:
    text = render("markdown", made("hostile")).decode()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert len(widths) == 1
    outside = re.sub(r"(`+).*?\1", "", text)  # what is not in a code span
    assert not re.search(r"<(?!/?(details|summary)\b)", outside)


def test_html_holds_no_element_of_a_name() -> None:
    text = render("html", made("hostile")).decode()
    assert text.count("<script>") == 1
    assert "<img" not in text
    assert 'javascript:alert(1)"' not in text
    assert "onerror=alert" not in re.sub(r"&lt;img src=x onerror=alert\(1\)&gt;", "", text)


def test_html_asks_for_nothing_from_elsewhere(report: Report) -> None:
    text = render("html", report).decode()
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", text)
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text


def test_twenty_cases_are_under_two_megabytes() -> None:
    shapes = list(reports.VARIANTS.values())
    big = reports.make({f"v{i}": shapes[i % 5] for i in range(20)}, launches=15, iterations=200)
    assert len(render("html", big)) < 2_000_000


# --- JSON ------------------------------------------------------------------------------------


def test_json_is_what_the_store_writes(report: Report) -> None:
    assert render("json", report) == store.encode(report)


def test_json_matches_the_published_schema(report: Report) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((reports.ROOT / "docs/reference/report.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(render("json", report)))


def test_the_published_schema_is_the_current_one() -> None:
    published = json.loads((reports.ROOT / "docs/reference/report.schema.json").read_text())
    current = plugins.load("renderers", "json").schema()
    assert published == json.loads(json.dumps(current)), "run docs/reference/schema.py"


def _parquet_summary(data: bytes) -> Report:
    parquet = pytest.importorskip("pyarrow.parquet")
    metadata = parquet.read_table(io.BytesIO(data)).schema.metadata
    return msgspec.json.decode(metadata[b"mobile-bench-harness"], type=Report)


# --- comparisons -----------------------------------------------------------------------------


def test_a_regression_is_seen_in_every_format() -> None:
    report = made("compared")
    for name in ("terminal", "markdown", "html", "json", "csv_wide"):
        assert "regression" in render(name, report).decode(), name
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


@pytest.mark.parametrize("name", GOLDEN)
def test_the_golden_file_is_what_is_written(name: str) -> None:
    """After a change that is meant: python -m tests.contract.test_renderers, then look at the
    difference."""
    assert render(name, made("fixed")).decode() == golden(name).read_bytes().decode()


# --- missing packages ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "package"), [("html", "jinja2"), ("html", "matplotlib"), ("parquet", "pyarrow")]
)
def test_a_missing_package_is_named_with_its_extra(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = plugins.load("renderers", name)
    real = builtins.__import__

    def without(wanted: str, *args: Any, **more: Any) -> Any:
        if wanted.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {wanted!r}", name=wanted)
        return real(wanted, *args, **more)

    import importlib

    def import_module(wanted: str, package: str | None = None) -> Any:
        return without(wanted, fromlist=["x"])

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(UsageError, match=rf"{package}.*mobile-bench-harness\[report\]"):
        module.render(made("one_case"))


if __name__ == "__main__":
    for changed in GOLDEN:
        golden(changed).parent.mkdir(parents=True, exist_ok=True)
        golden(changed).write_bytes(render(changed, made("fixed")))
