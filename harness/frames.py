"""A report as pandas data frames; units stand in the column names, what is absent is NA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.core import rows
from harness.core.errors import UsageError
from harness.core.types import Report

if TYPE_CHECKING:
    import pandas as pd


def frame(report: Report) -> pd.DataFrame:
    """One row per case: `latency_ns`, `latency_ci_low_ns`, `size_bytes`, `accuracy`, ..."""
    return _frame(rows.cases(report))


def launches(report: Report) -> pd.DataFrame:
    """One row per launch: `launch`, `order`, `latency_median_ns`, `peak_rss_bytes`, ..."""
    return _frame(rows.launches(report))


def observations(report: Report) -> pd.DataFrame:
    """One row per observed value: `quantity`, `iteration`, `value` in `unit`; one row per
    iteration where `quantity` is "latency"."""
    return _frame(rows.observations(report))


def _frame(columns: rows.Columns) -> pd.DataFrame:
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        raise UsageError(
            "data frames need the package pandas", "pip install 'mobile-bench-harness[report]'"
        ) from None
    return pd.DataFrame({name: pd.Series(v, dtype=_dtype(v)) for name, v in columns.items()})


def _dtype(values: list[Any]) -> str | None:
    """Whole numbers stay whole although some are absent; everything else as pandas sees it."""
    kinds = {type(v) for v in values}
    if int in kinds and kinds <= {int, type(None)}:
        return "Int64" if type(None) in kinds else "int64"
    if kinds <= {float, int, type(None)} and kinds - {type(None)}:
        return "float64"
    return None
