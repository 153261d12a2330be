"""Every raw observation as Parquet, one per row, with the rest of the report in its metadata."""

from __future__ import annotations

import io
from typing import Any

import msgspec

from harness.core import rows
from harness.core.types import Report
from harness.renderers._optional import require

NEEDS = ("pyarrow",)  # of the extra `report`
METADATA_KEY = b"mobile-bench-harness"


def render(report: Report) -> bytes:
    """The observations; under the metadata key `mobile-bench-harness` the report as JSON, its
    launches left out, so that metrics, findings and the verdict travel with the file."""
    pyarrow: Any = require("pyarrow")
    parquet: Any = require("pyarrow.parquet")
    # Said and not guessed, so that a file without rows has the same columns.
    whole = ("threads", "launch", "order", "iteration", "value")
    kinds = {"emulated": pyarrow.bool_(), **dict.fromkeys(whole, pyarrow.int64())}
    same = rows.keys(report, ()).keys()  # of a case every row has the same

    def column(name: str, values: list[Any]) -> Any:
        kind = kinds.get(name, pyarrow.string())
        if name in same and values:
            return pyarrow.repeat(pyarrow.scalar(values[0], kind), len(values))
        return pyarrow.array(values, kind)

    blocks = [
        pyarrow.table({name: column(name, values) for name, values in block.items()})
        for block in rows.observations(report)
    ]
    table = pyarrow.concat_tables(blocks).replace_schema_metadata({METADATA_KEY: _summary(report)})
    out = io.BytesIO()
    parquet.write_table(table, out, compression="zstd")
    return out.getvalue()


def _summary(report: Report) -> bytes:
    cases = (msgspec.structs.replace(case, launches=()) for case in report.cases)
    return msgspec.json.encode(msgspec.structs.replace(report, cases=tuple(cases)))
