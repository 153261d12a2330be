"""Reads every format back as its readers would: by the head of a column, not by the place where the
harness happens to put a number. `READERS` has one per format and per data frame."""

from __future__ import annotations

import csv
import functools
import io
import re
import statistics
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping
from html.parser import HTMLParser
from typing import Any, NamedTuple

import msgspec
from rich.console import Console

from harness.core.types import Report
from harness.renderers import frames
from harness.renderers.formats import terminal
from harness.renderers.view import View
from harness.system import plugins
from tests import pages


class Number(NamedTuple):
    """A number as far as the format tells it: the truth lies within `value` +- `slack`."""

    value: float
    slack: float = 0.0


class Told(NamedTuple):
    """What a format says of one metric of one case, in the unit of the report; None where it does
    not say. `half` is half the interval, of a share absolute, else relative to the point."""

    point: Number
    low: float | None = None
    high: float | None = None
    half: Number | None = None
    n: int | None = None


class Row(NamedTuple):
    """One case."""

    status: str | None
    told: dict[str, Told]


Rows = dict[str, Row]  # by variant

# What a person reads at the head of a column, and in which unit.
HEADS = {
    "size": "size",
    "gzip": "gzip_size",
    "init": "init",
    "first inference": "first_inference",
    "latency": "latency",
    "p90": "latency_p90",
    "peak RSS": "peak_rss",
    "anonymous": "rss_anon",
    "accuracy": "accuracy",
}
UNITS = {"": 1.0, "B": 1.0, "kB": 1e3, "MB": 1e6, "KiB": 2.0**10, "MiB": 2.0**20, "ns": 1.0,
         "µs": 1e3, "ms": 1e6, "s": 1e9}  # fmt: skip
_NUMBER = re.compile(r"-?[\d,]+(?:\.\d+)?")
_STATUS = re.compile(r"ok|suspect|invalid|failed")


def rounded(text: str, unit: str) -> Number:
    """`5.35` under `ms`: within half a unit of its last digit."""
    digits = text.replace(",", "")
    decimals = len(digits.partition(".")[2])
    return Number(float(digits) * UNITS[unit], 0.5 * 10.0**-decimals * UNITS[unit] * (1 + 1e-9))


def _cell(text: str, unit: str) -> Told | None:
    """`5.35 ±2.4 %`; None for a dash."""
    found = _NUMBER.search(text)
    if found is None:
        return None
    spread = re.search(r"±(\d+(?:\.\d+)?)( %)?", text[found.end() :])
    half = None
    if spread is not None:
        shown = rounded(spread[1], "")
        percent = 100 if spread[2] else 1
        half = Number(shown.value / percent, shown.slack / percent)
    return Told(rounded(found[0], unit), half=half)


def _head(text: str) -> tuple[str, str] | None:
    """`peak RSS MiB` -> the metric and the unit."""
    words = " ".join(text.split())
    for title in sorted(HEADS, key=len, reverse=True):
        unit = words.removeprefix(title).strip(" ▲▼↕")
        if words.startswith(title) and unit in UNITS:
            return HEADS[title], unit
    return None


def _terminal(report: Report) -> Rows:
    out = io.StringIO()
    console = Console(file=out, width=400, force_terminal=False, color_system=None, _environ={})
    terminal.render_to(View(report), console, wide=True)
    lines = out.getvalue().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("variant"))
    titles = [(m[0], m.start(), m.end()) for m in re.finditer(r"\S+(?: \S+)*", lines[at])]
    rows: Rows = {}
    for line in lines[at + 3 : lines.index("", at)]:
        told: dict[str, Told] = {}
        start = 0
        for title, _, end in titles:
            head = _head(f"{title} {lines[at + 1][start:end].strip()}")
            cell = (
                _cell(re.sub("[▏▎▍▌▋▊▉█▁▂▃▄▅▆▇]", " ", line[start:end]), head[1]) if head else None
            )
            if head is not None and cell is not None:
                told[head[0]] = cell
            start = end
        status = _STATUS.search(line[titles[0][2] :])
        name = line.lstrip("★☆◇ ").split()[0]
        rows[name] = Row(status[0] if status else None, told)
    return rows


def _markdown(report: Report) -> Rows:
    text = _rendered("markdown", report).decode()
    (block,) = [b for b in text.split("\n\n") if b.startswith("| variant | ") and "status" in b]
    lines = block.splitlines()
    heads, _, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    rows: Rows = {}
    for cells in body:
        named = dict(zip(heads, cells, strict=True))
        variant = re.search(r"`(.*?)`", named["variant"])
        assert variant is not None
        status = _STATUS.search(named["status"])
        rows[variant[1]] = Row(status[0] if status else None, _cells(named.items()))
    return rows


def _cells(named: Iterable[tuple[str, str]]) -> dict[str, Told]:
    told = {}
    for title, text in named:
        head = _head(title)
        cell = _cell(text, head[1]) if head else None
        if head is not None and cell is not None:
            told[head[0]] = cell
    return told


class _Table(HTMLParser):
    """The rows of the table of cases: per cell its attributes and its text; what it tells a
    screen reader, and who points at it, is under `more`."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[tuple[dict[str, str], list[str]]]] = []
        self._inside = self._cell = self._more = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {k: v or "" for k, v in attrs}
        if tag == "table":
            self._inside = "cases" in named.get("class", "").split()
        elif self._inside and tag == "tr":
            self.rows.append([])
        elif self._inside and tag in ("th", "td"):
            self.rows[-1].append((named, []))
            self._cell = True
        elif self._inside and tag == "span":
            self._more = named.get("class") == "more"

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._inside = False
        elif tag in ("th", "td"):
            self._cell = False
        elif tag == "span":
            self._more = False

    def handle_data(self, data: str) -> None:
        if self._inside and self._cell and self._more:
            self.rows[-1][-1][0]["more"] = data
        elif self._inside and self._cell:
            self.rows[-1][-1][1].append(data)


def _html(report: Report) -> Rows:
    parser = _Table()
    parser.feed(_rendered("html", report).decode())
    heads, *body = parser.rows
    rows: Rows = {}
    for cells in body:
        named = [("".join(h[1]), c) for h, c in zip(heads, cells, strict=True)]
        told = {}
        for metric, shown in _cells((t, "".join(c[1])) for t, c in named).items():
            attributes = next(c[0] for t, c in named if (h := _head(t)) and h[0] == metric)
            exact = float(attributes["data-value"])
            assert abs(shown.point.value - exact) <= shown.point.slack, "text and sorting value"
            n = re.search(r"n = (\d+)", attributes.get("more", ""))
            told[metric] = shown._replace(point=Number(exact), n=int(n[1]) if n else None)
        status = next(_STATUS.search("".join(c[1])) for t, c in named if t.strip() == "status")
        rows[cells[0][0]["data-value"]] = Row(status[0] if status else None, told)
    return rows


def _saved(report: Report, name: str = "json") -> Rows:
    raw: Any = msgspec.json.decode(_rendered(name, report))
    return {
        case["variant"]: Row(case["status"], _measured(case["metrics"])) for case in raw["cases"]
    }


def _measured(metrics: Mapping[str, Any]) -> dict[str, Told]:
    return {
        name: Told(Number(m["point"]), m.get("ci_low"), m.get("ci_high"), n=m.get("n"))
        for name, m in metrics.items()
        if m.get("point") is not None
    }


def _parquet(report: Report) -> Rows:
    """Read from the observations, or from the report in the metadata if no observation holds it."""
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(_rendered("parquet", report)))
    raw = msgspec.json.decode(table.schema.metadata[b"mobile-bench-harness"])
    observed = _observed(table.to_pylist())
    rows = {c["variant"]: Row(c["status"], _measured(c["metrics"])) for c in raw["cases"]}
    for variant, row in observed.items():
        for metric, told in row.told.items():
            assert rows[variant].told[metric].point == told.point, "observations and metadata"
    return rows


def _csv(report: Report) -> Rows:
    return _observed(list(csv.DictReader(io.StringIO(_text("csv", report), newline=""))))


def _observed(lines: list[dict[str, Any]]) -> Rows:
    """The medians over launches that the long form gives."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for line in lines:
        launches = found.setdefault(line["variant"], {}).setdefault(line["quantity"], {})
        launches.setdefault(str(line["launch"]), []).append(float(line["value"]))
    return {
        variant: Row(
            None,
            {
                metric: Told(Number(statistics.median(map(statistics.median, launches.values()))))
                for metric, launches in quantities.items()
                if metric in ("init", "first_inference", "latency", "peak_rss", "rss_anon")
            },
        )
        for variant, quantities in found.items()
    }


def _wide(lines: Iterable[Mapping[str, Any]]) -> Rows:
    """One case per line, `latency_ns`, `latency_ci_low_ns`, `latency_n`."""
    rows: Rows = {}
    for line in lines:
        told = {}
        for metric in HEADS.values():
            suffix = next((s for s in ("_ns", "_bytes", "") if f"{metric}{s}" in line), None)
            point = None if suffix is None else _number(line[f"{metric}{suffix}"])
            if point is None:
                continue
            low, high = (_number(line.get(f"{metric}_ci_{e}{suffix}")) for e in ("low", "high"))
            n = _number(line.get(f"{metric}_n"))
            told[metric] = Told(Number(point), low, high, n=None if n is None else int(n))
        rows[str(line["variant"])] = Row(str(line["status"]), told)
    return rows


def _number(value: Any) -> float | None:
    """None for an empty cell and for NA."""
    return None if value is None or str(value) in ("", "nan", "<NA>", "None") else float(value)


def _csv_wide(report: Report) -> Rows:
    return _wide(csv.DictReader(io.StringIO(_text("csv_wide", report), newline="")))


def _junit(report: Report) -> Rows:
    rows: Rows = {}
    for suite in ET.fromstring(_rendered("junit", report)).iter("testsuite"):
        if suite.get("name") in ("verdict", "baseline"):
            continue
        for test in suite.iter("testcase"):
            properties = {str(p.get("name")): str(p.get("value")) for p in test.iter("property")}
            status = "failed" if test.find("error") is not None else None
            status = "invalid" if test.find("failure") is not None else status
            rows[str(test.get("name"))] = Row(
                status, {m: Told(Number(float(v))) for m, v in properties.items()}
            )
    return rows


def _bencher(report: Report) -> Rows:
    raw: Any = msgspec.json.decode(_rendered("bencher", report))
    return {
        benchmark.partition("@")[0]: Row(
            None,
            {
                measure.replace("-", "_"): Told(
                    Number(m["value"]), m.get("lower_value"), m.get("upper_value")
                )
                for measure, m in measures.items()
            },
        )
        for benchmark, measures in raw.items()
    }


def _gha_benchmark(report: Report) -> Rows:
    rows = {case.variant: Row(None, {}) for case in report.cases}
    for entry in msgspec.json.decode(_rendered("gha_benchmark", report)):
        case, _, metric = entry["name"].rpartition(" ")
        n = re.search(r"n = (\d+)", entry["extra"])
        rows[case.partition("@")[0]].told[metric] = Told(
            Number(entry["value"]), n=int(n[1]) if n else None
        )
    return rows


def _card(report: Report) -> Rows:
    """The table of all that was measured: cells such as `5.2 ms ±3.1 %`."""
    lines = _text("card", report).replace("\\", "").splitlines()
    heads = next(line for line in lines if line.startswith("| variant")).split("|")[3:-1]
    rows: Rows = {}
    for line in lines[lines.index("## What was measured") + 4 :]:
        if not line.startswith("|"):
            break
        name, status, *cells = [part.strip() for part in line.split("|")[1:-1]]
        told: dict[str, Told] = {}
        for head, text in zip(heads, cells, strict=True):
            unit = re.search(r"\d ([kMµmn]?i?[Bs]|[KM]iB)", text)
            found = _cell(text, unit[1] if unit else "")
            if found is not None:
                told[HEADS[head.strip()]] = found
        rows[name.strip("`")] = Row(status, told)
    return rows


def _trace(report: Report) -> Rows:
    """The launches of a case are the slices of its thread, with what was timed in them."""
    raw: Any = msgspec.json.decode(_rendered("trace", report))
    cases = {case["case"].partition("@")[0]: case["status"] for case in raw["otherData"]["cases"]}
    named = {
        (e["pid"], e["tid"]): e["args"]["name"]
        for e in raw["traceEvents"]
        if e["name"] == "thread_name"
    }
    timed: dict[str, dict[str, list[list[float]]]] = {}
    for event in raw["traceEvents"]:
        if event["ph"] != "X" or named[event["pid"], event["tid"]] == "pauses":
            continue
        launches = timed.setdefault(named[event["pid"], event["tid"]], {})
        name = event["name"]
        if name.startswith("launch "):
            for stage in ("init", "first inference", "iteration"):
                launches.setdefault(stage, []).append([])
        elif name in launches:
            launches[name][-1].append(round(event["dur"] * 1000))
    metrics = {"init": "init", "first inference": "first_inference", "iteration": "latency"}
    return {
        variant: Row(
            status,
            {
                metrics[stage]: Told(Number(statistics.median(map(statistics.median, found))))
                for stage, launches in timed.get(variant, {}).items()
                if (found := [times for times in launches if times])
            },
        )
        for variant, status in cases.items()
    }


def _frame(report: Report) -> Rows:
    records: Any = frames.frame(report).to_dict("records")
    return _wide(records)


def _launches(report: Report) -> Rows:
    frame = frames.launches(report)
    columns = {"latency": "latency_median_ns", "init": "init_ns", "peak_rss": "peak_rss_bytes",
               "first_inference": "first_inference_ns", "rss_anon": "rss_anon_bytes"}  # fmt: skip
    return {
        str(variant): Row(
            None, {m: Told(Number(float(mine[c].median()))) for m, c in columns.items()}
        )
        for variant, mine in frame.groupby("variant")
    }


def _observations(report: Report) -> Rows:
    rows: Rows = {}
    for variant, mine in frames.observations(report).groupby("variant"):
        median = mine.groupby("launch")["latency_ns"].median().median()
        rows[str(variant)] = Row(None, {"latency": Told(Number(float(median)))})
    return rows


def _rendered(name: str, report: Report) -> bytes:
    if name == "html":
        return pages.page_of(report)
    data: bytes = plugins.load("harness.renderers.formats", name).render(View(report))
    return data


def _text(name: str, report: Report) -> str:
    return _rendered(name, report).decode()


class Reader(NamedTuple):
    """How a format is read, and what it must tell: of which metrics the point, of which the
    interval, whether n, and which statuses it can tell from the others. `omits` are the statuses
    of cases whose numbers must not be in it."""

    read: Callable[[Report], Rows]
    points: frozenset[str]
    intervals: frozenset[str] = frozenset()
    n: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()
    omits: frozenset[str] = frozenset()


EVERY = frozenset(HEADS.values())
SAMPLED = EVERY - {"size", "gzip_size", "latency_p90"}
OBSERVED = frozenset({"latency", "init", "first_inference", "peak_rss", "rss_anon"})
COSTS = EVERY - {"accuracy"}
STATUSES = frozenset({"ok", "suspect", "invalid", "failed"})

_AS_BASELINE = functools.partial(_saved, name="as_baseline")

READERS = {
    "terminal": Reader(_terminal, EVERY, SAMPLED, statuses=STATUSES),
    "markdown": Reader(
        _markdown,
        EVERY - {"first_inference", "rss_anon"},
        frozenset({"latency", "accuracy"}),
        statuses=STATUSES,
    ),
    "html": Reader(_html, EVERY, SAMPLED, SAMPLED, STATUSES),
    "json": Reader(_saved, EVERY - {"latency_p90"}, SAMPLED, SAMPLED, STATUSES),
    "as_baseline": Reader(_AS_BASELINE, EVERY - {"latency_p90"}, SAMPLED, SAMPLED, STATUSES),
    "parquet": Reader(_parquet, EVERY - {"latency_p90"}, SAMPLED, SAMPLED, STATUSES),
    "csv": Reader(_csv, OBSERVED),
    "csv_wide": Reader(_csv_wide, EVERY, SAMPLED, SAMPLED, STATUSES),
    "junit": Reader(_junit, EVERY - {"latency_p90"}, statuses=frozenset({"invalid", "failed"})),
    "bencher": Reader(_bencher, EVERY, SAMPLED, omits=frozenset({"invalid"})),
    "gha_benchmark": Reader(
        _gha_benchmark, COSTS, n=COSTS - {"latency_p90"}, omits=frozenset({"invalid"})
    ),
    "card": Reader(
        _card,
        frozenset({"size", "latency", "peak_rss", "accuracy"}),
        frozenset({"latency", "peak_rss", "accuracy"}),
        statuses=STATUSES,
        omits=frozenset({"invalid"}),
    ),
    "trace": Reader(_trace, OBSERVED - {"peak_rss", "rss_anon"}, statuses=STATUSES),
    "frame": Reader(_frame, EVERY, SAMPLED, SAMPLED, STATUSES),
    "launches": Reader(_launches, OBSERVED),
    "observations": Reader(_observations, frozenset({"latency"})),
}
