"""The table with all its statistics, one case per row."""

from __future__ import annotations

from harness.renderers import rows
from harness.renderers.csv_text import encode
from harness.renderers.view import View


def render(view: View) -> bytes:
    """CSV: a column per metric and statistic, units in the names; see `harness.renderers.rows`."""
    return encode([rows.cases(view.report)])
