"""Can the programs that our files are written for read them? python -m benchmarks.consumers

Writes one report in every format that another program reads, has each read by its own schema or
library, and prints what that found. Exit status 1 if one of them refuses its file. Perfetto is
tested in tests/e2e/test_trace.py, which needs a browser.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

from harness.renderers.view import View
from harness.system import plugins
from tests import reports
from tests.paths import DATA, ROOT


def _schema(path: str) -> Callable[[bytes], str]:
    def read(data: bytes) -> str:
        import jsonschema

        schema = json.loads((ROOT / path).read_text("utf-8"))
        entries = json.loads(data)
        jsonschema.validators.validator_for(schema)(schema).validate(entries)
        return f"keeps the schema, {len(entries)} entries"

    return read


def _card(data: bytes) -> str:
    from huggingface_hub import ModelCard

    card: Any = ModelCard(data.decode(), ignore_metadata_errors=False)
    (model,) = card.data.to_dict()["model-index"]
    return f"{len(model['results'])} result(s) in its model-index"


def _parquet(data: bytes) -> str:
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(data))
    return f"{table.num_rows:,} rows, {table.num_columns} columns"


def _csv(data: bytes) -> str:
    rows = list(csv.reader(io.StringIO(data.decode())))
    assert {len(row) for row in rows} == {len(rows[0])}
    return f"{len(rows) - 1:,} rows, {len(rows[0])} columns"


def _junit(data: bytes) -> str:
    suites = ET.fromstring(data)  # noqa: S314  (our own file)
    tests, failures = (len(list(suites.iter(tag))) for tag in ("testcase", "failure"))
    assert tests == sum(int(suite.get("tests", 0)) for suite in suites.iter("testsuite"))
    return f"{tests} tests, {failures} failures, as many as it says"


def _markdown(data: bytes) -> str:
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(data.decode())
    return f"{sum(t.type == 'table_open' for t in tokens)} table(s)"


READERS: dict[str, tuple[str, Callable[[bytes], str]]] = {
    "bencher": ("Bencher's schema", _schema(str(DATA / "schemas/bencher.json"))),
    "gha_benchmark": (
        "github-action-benchmark's interface",
        _schema(str(DATA / "schemas/gha_benchmark.json")),
    ),
    "card": ("huggingface_hub", _card),
    "json": ("report.schema.json", _schema("docs/reference/report.schema.json")),
    "parquet": ("pyarrow", _parquet),
    "csv": ("csv", _csv),
    "csv_wide": ("csv", _csv),
    "junit": ("xml.etree", _junit),
    "markdown": ("markdown-it", _markdown),
}


def main() -> int:
    """One line a format."""
    view = View(reports.REPORTS["with_verdict"]())
    refused = 0
    for name, (reader, read) in READERS.items():
        data = plugins.load("harness.renderers.formats", name).render(view)
        try:
            said = read(data)
        except Exception as error:
            refused += 1
            said = f"REFUSED: {type(error).__name__}: {str(error).splitlines()[0]}"
        print(f"{name:14} {len(data):>9,} bytes  {reader:36} {said}", flush=True)
    return int(refused > 0)


if __name__ == "__main__":
    sys.exit(main())
