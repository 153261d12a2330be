"""The op-level profile of benchmark_model (dialect A), from its table on standard output.

Not from its CSV, which is not CSV: operator types hold unquoted commas. The table is separated by
tabs, and names may hold anything but a tab.
"""

from __future__ import annotations

from harness.core.types import OpTime
from harness.devices.runners._output import Malformed, _number

_SECTION = "Operator-wise Profiling Info for Regular Benchmark Runs"
_BY_TIME = "Top by Computation Time"
_COLUMNS = 8


def read_profile(stdout: str, top: int = 10) -> tuple[OpTime, ...]:
    """The most expensive operators of the timed iterations, most expensive first. Raises
    Malformed if the table is not there, as when profiling was not switched on."""
    _, found, text = stdout.partition(_SECTION)
    _, table, text = text.partition(_BY_TIME)
    if not found or not table:
        raise Malformed("no op-level profile was printed")
    ops: list[OpTime] = []
    for line in text.splitlines()[1:]:
        cells = [cell.strip() for cell in line.split("\t")[1:]]
        if len(cells) < _COLUMNS or cells[0].startswith("["):
            if ops:
                break
            continue
        kind, _, mean_ms, share = cells[:4]
        ops.append(
            OpTime(
                name=cells[7],
                op=kind,
                mean_ns=int(_number(mean_ms) * 1_000_000),
                share=float(_number(share.rstrip("%"))) / 100,
            )
        )
    if not ops:
        raise Malformed("the op-level profile is empty")
    return tuple(sorted(ops, key=lambda op: -op.mean_ns)[:top])
