"""Every raw observation, one per row."""

from __future__ import annotations

from harness.core import rows
from harness.core.types import Report
from harness.renderers._csv import encode


def render(report: Report) -> bytes:
    """CSV: case, launch, quantity, iteration, value, unit; see `harness.core.rows`."""
    return encode(rows.observations(report))
