"""Every raw observation as Parquet, one per row, with the rest of the report in its metadata."""

from __future__ import annotations

import io
from typing import Any

import msgspec

from harness.core.types import Report
from harness.renderers import rows
from harness.renderers.optional import require
from harness.renderers.view import View

NEEDS = ("pyarrow",)  # of the extra `report`
METADATA_KEY = b"mobile-bench-harness"
ROWS_AT_ONCE = 100_000  # what is kept in memory before it is written


def render(view: View) -> bytes:
    """The observations; under the metadata key `mobile-bench-harness` the report as JSON, its
    launches left out, so that metrics, findings and the verdict travel with the file."""
    report = view.report
    pyarrow: Any = require("pyarrow")
    parquet: Any = require("pyarrow.parquet")
    # Given, not inferred, so that a file without rows has the same columns.
    whole = ("threads", "launch", "order", "iteration")
    kinds = {"emulated": pyarrow.bool_(), **dict.fromkeys(whole, pyarrow.int64())}
    kinds["value"] = pyarrow.float64()  # whole numbers stay exact up to 2^53: 104 days in ns
    same = rows.keys(report, ()).keys()  # the same in every row of a case

    def column(name: str, values: list[Any]) -> Any:
        kind = kinds.get(name, pyarrow.string())
        if name in same and values:
            return pyarrow.repeat(pyarrow.scalar(values[0], kind), len(values))
        return pyarrow.array(values, kind)

    out = io.BytesIO()
    writer: Any = None
    waiting: list[Any] = []

    def write() -> None:
        writer.write_table(pyarrow.concat_tables(waiting).cast(writer.schema))
        waiting.clear()

    for block in rows.observations(report):
        waiting.append(pyarrow.table({name: column(name, own) for name, own in block.items()}))
        if writer is None:  # the first block is empty and names the columns
            schema = waiting[0].schema.with_metadata({METADATA_KEY: _summary(report)})
            writer = parquet.ParquetWriter(out, schema, compression="zstd")
        if sum(map(len, waiting)) >= ROWS_AT_ONCE:
            write()
    if waiting:
        write()
    writer.close()
    return out.getvalue()


def _summary(report: Report) -> bytes:
    cases = (msgspec.structs.replace(case, launches=()) for case in report.cases)
    return msgspec.json.encode(msgspec.structs.replace(report, cases=tuple(cases)))
