"""Columns of values as CSV: RFC 4180, UTF-8, one head line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from harness.core import units
from harness.renderers.rows import Columns

# A spreadsheet runs a text that starts with one of these as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def encode(blocks: Iterable[Columns]) -> bytes:
    """The bytes of the file, from blocks of rows that share their columns. Whole numbers stay
    whole; what is absent is an empty cell; a text that a spreadsheet would run gets a quote mark in
    front."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    for number, columns in enumerate(blocks):
        if number == 0:
            writer.writerow(columns)
        writer.writerows(zip(*map(_safe, columns.values()), strict=True))
    return out.getvalue().encode("utf-8", "backslashreplace")


def _safe(values: list[Any]) -> list[Any]:
    """Whole columns at once where no cell needs a check: there may be half a million."""
    kinds = {*map(type, values)}
    if not kinds & {str, float}:
        return values
    if str not in kinds:
        return [units.exact(value) if type(value) is float else value for value in values]
    if kinds <= {str}:
        cells = {value: _cell(value) for value in {*values}}
        return [cells[value] for value in values]
    return [_cell(value) for value in values]


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    # A count that was read back from JSON is a float; it is written as the count it is.
    return units.exact(value) if isinstance(value, float) else value
