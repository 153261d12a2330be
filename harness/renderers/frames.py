"""A report as pandas data frames; units stand in the column names, what is absent is NA. The type
of a column does not depend on what happens to be absent: whole numbers are `Int64`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from harness.core.errors import UsageError
from harness.core.types import Report
from harness.renderers import rows

if TYPE_CHECKING:
    import pandas as pd

STATISTICS = ("median", "mean", "min", "max", "std", "p5", "p95")
_DTYPES = {"text": "object", "truth": "boolean", "whole": "Int64", "real": "float64"}


_LONG: dict[str, rows.Kind] = {
    "quantity": "text",
    "value": "real",
    "unit": "text",
    "detail": "text",
}


def frame(report: Report) -> pd.DataFrame:
    """One row per case: `latency_ns`, `latency_ci_low_ns`, `size_bytes`, `accuracy`, ..."""
    return _frame(rows.cases(report), rows.case_kind)


def launches(report: Report) -> pd.DataFrame:
    """One row per launch: `launch`, `order`, `latency_median_ns`, `peak_rss_bytes`, ..."""
    return _frame(rows.launches(report), rows.launch_kind)


def observations(report: Report) -> pd.DataFrame:
    """One row per iteration: which case, `launch`, `order`, `iteration` (from 0), and what it took:
    `latency_ns` of a timed one, `warmup_ns` of one that only warms up, the other being NA, so that
    no warm-up gets into a mean; `instructions` where they were counted. A launch whose runner
    reports no single iterations has a row per statistic of its summary instead, with both NA:
    `statistic`, `latency_summary_ns`, `warmup_summary_ns`. What a launch has once is in `launches`,
    and everything, operators and minutes too, in `long`."""
    pandas = _pandas()
    import numpy as np

    # Half a million rows: arrays throughout, the keys of a case repeated and not made again.
    flat = [(i, x) for i, case in enumerate(report.cases) for x in case.launches]
    warm = [len(x.warmup_ns) for _, x in flat]
    timed = [max(len(x.latency_ns), len(x.instructions)) for _, x in flat]
    counts = np.array([a + b for a, b in zip(warm, timed, strict=True)], dtype=np.int64)
    of_case = np.repeat(np.array([i for i, _ in flat], dtype=np.int64), counts)
    columns: dict[str, Any] = {}
    for name, values in rows.keys(report, report.cases).items():
        column = pandas.Series(values, dtype=_DTYPES[rows.launch_kind(name)])
        columns[name] = column.take(of_case).reset_index(drop=True)
    for name in ("launch", "order"):
        field = "index" if name == "launch" else name
        of_launch = np.array([getattr(x, field) for _, x in flat], dtype=np.int64)
        columns[name] = pandas.array(np.repeat(of_launch, counts), dtype="Int64")
    parts = [np.arange(n) for pair in zip(warm, timed, strict=True) for n in pair]
    columns["iteration"] = pandas.array(_joined(parts), dtype="Int64")
    columns["latency_ns"] = _placed([x.latency_ns for _, x in flat], warm, counts)
    columns["warmup_ns"] = _placed([x.warmup_ns for _, x in flat], [0] * len(flat), counts)
    if any(x.instructions for _, x in flat):
        columns["instructions"] = _placed([x.instructions for _, x in flat], warm, counts)
    made: pd.DataFrame = pandas.DataFrame(columns)
    if any(x.latency_summary or x.warmup_summary for _, x in flat):
        made = pandas.concat([made, _summaries(report)], ignore_index=True)
    return made


def _summaries(report: Report) -> pd.DataFrame:
    """The rows of launches that report summaries, one per statistic (not `count`)."""
    pandas = _pandas()
    lines: list[dict[str, Any]] = []
    for case in report.cases:
        own = {name: values[0] for name, values in rows.keys(report, [case]).items()}
        for x in case.launches:
            of_launch = {**own, "launch": x.index, "order": x.order}
            for statistic in STATISTICS:
                told = {
                    f"{name}_summary_ns": getattr(summary, f"{statistic}_ns")
                    for name, summary in (
                        ("latency", x.latency_summary),
                        ("warmup", x.warmup_summary),
                    )
                    if summary is not None and getattr(summary, f"{statistic}_ns") is not None
                }
                lines += [{**of_launch, "statistic": statistic, **told}] if told else []
    names = dict.fromkeys(name for line in lines for name in line)
    typed = {
        name: pandas.Series(
            [line.get(name) for line in lines],
            dtype="object" if name == "statistic" else _DTYPES[rows.launch_kind(name)],
        )
        for name in names
    }
    made: pd.DataFrame = pandas.DataFrame(typed)
    return made


def long(report: Report) -> pd.DataFrame:
    """Every observed value of any kind, one per row, as in `--csv`: `quantity`, `iteration`,
    `value`, `unit`, `detail`."""
    pandas = _pandas()
    columns: dict[str, list[Any]] = {}
    for block in rows.observations(report):
        for name, values in block.items():
            columns.setdefault(name, []).extend(values)
    typed = {
        name: pandas.Series(values, dtype=_DTYPES[_LONG.get(name) or rows.launch_kind(name)])
        for name, values in columns.items()
    }
    made: pd.DataFrame = pandas.DataFrame(typed)
    return made


def _placed(values: Sequence[Sequence[int]], starts: Sequence[int], counts: Any) -> Any:
    """Each launch's values from a row of its own on, NA before and after."""
    import numpy as np
    import pandas as pd

    whole = np.zeros(int(counts.sum()), dtype=np.int64)
    absent = np.ones(len(whole), dtype=bool)
    first = np.cumsum(counts) - counts
    for own, start, base in zip(values, starts, first, strict=True):
        where = slice(int(base) + start, int(base) + start + len(own))
        whole[where], absent[where] = own, False
    return pd.arrays.IntegerArray(whole, absent)


def _joined(parts: list[Any]) -> Any:
    import numpy as np

    return np.concatenate(parts) if parts else np.array([], dtype=np.int64)


def _frame(columns: rows.Columns, kind: Callable[[str], rows.Kind]) -> pd.DataFrame:
    pandas = _pandas()
    typed = {name: pandas.Series(v, dtype=_DTYPES[kind(name)]) for name, v in columns.items()}
    made: pd.DataFrame = pandas.DataFrame(typed)
    return made


def _pandas() -> Any:
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        raise UsageError(
            "data frames need the package pandas", "pip install 'mobile-bench-harness[report]'"
        ) from None
    return pd
