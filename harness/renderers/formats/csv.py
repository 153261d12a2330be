"""Every raw observation, one per row."""

from __future__ import annotations

from harness.renderers import rows
from harness.renderers.csv_text import encode
from harness.renderers.view import View


def render(view: View) -> bytes:
    """CSV: case, launch, quantity, iteration, value, unit, detail; see `harness.renderers.rows`."""
    return encode(rows.observations(view.report))
