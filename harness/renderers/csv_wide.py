"""The table with all its statistics, one case per row."""

from __future__ import annotations

from harness.core import rows
from harness.core.types import Report
from harness.renderers._csv import encode


def render(report: Report) -> bytes:
    """CSV: one column per metric and statistic, the unit in its name; see `harness.core.rows`."""
    return encode([rows.cases(report)])
