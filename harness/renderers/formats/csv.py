"""Every raw observation, one per row."""

from __future__ import annotations

from harness.core.types import Report
from harness.renderers import rows
from harness.renderers.csv_text import encode


def render(report: Report) -> bytes:
    """CSV: case, launch, quantity, iteration, value, unit; see `harness.renderers.rows`."""
    return encode(rows.observations(report))
