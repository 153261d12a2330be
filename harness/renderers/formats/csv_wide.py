"""The table with all its statistics, one case per row."""

from __future__ import annotations

from harness.core.types import Report
from harness.renderers import rows
from harness.renderers.csv_text import encode


def render(report: Report) -> bytes:
    """CSV: a column per metric and statistic, units in the names; see `harness.renderers.rows`."""
    return encode([rows.cases(report)])
