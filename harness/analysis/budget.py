"""Budgets: `size<=10MB,latency_p95<=50ms,peak_rss<=100MiB,accuracy>=0.95`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from harness.core import units
from harness.core.errors import UsageError
from harness.core.estimates import Quantity
from harness.core.text import did_you_mean
from harness.core.types import BudgetOutcome, Measurement, MetricSpec, Value

EXAMPLE = "size<=10MB,latency_p95<=50ms,peak_rss<=100MiB,accuracy>=0.95"

# Names that people use -> the report's.
ALIASES = {"gzip": "gzip_size"}

_TIME = {"ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}
_FILE_SIZE = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}
_MEMORY = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_ENERGY = {"uJ": 1e-6, "µJ": 1e-6, "mJ": 1e-3, "J": 1}
_SHARE = {"": 1, "%": 0.01}
_COUNT = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
_UNITS: Mapping[Quantity, tuple[str, Mapping[str, float]]] = {
    "time": ("a time", _TIME),
    "file size": ("the size of a file", _FILE_SIZE),
    "memory": ("memory", _MEMORY),
    "energy": ("an energy", _ENERGY),
    "ratio": ("a share", _SHARE),
    "count": ("a count", _COUNT),
}
_EXAMPLES: Mapping[Quantity, str] = {
    "time": "50ms",
    "file size": "10MB",
    "memory": "100MiB",
    "energy": "20mJ",
    "ratio": "0.95",
    "count": "100M",
}
_ALL_UNITS = {*_TIME, *_FILE_SIZE, *_MEMORY, *_ENERGY, *_SHARE, *_COUNT}

# The excess, as a logarithm, of a share whose interval begins at 0.
_BEYOND_ALL = 100.0

_ITEM = re.compile(r"([A-Za-z]\w*)\s*(<=|>=|=<|=>|==|<|>|=|≤|≥)\s*([^\s<>=≤≥].*)")
_NUMBER = re.compile(r"(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)\s*(\D*)")
_SIGN = {"lower": "<=", "higher": ">="}


class Budget(Value, frozen=True):
    """An upper limit, or a lower limit if higher is better. `limit` is in the metric's unit; `text`
    is what the user wrote."""

    text: str
    spec: MetricSpec
    limit: float

    def relaxed(self, value: float) -> str:
        """The budget that `value` would keep, as `--budget` reads it."""
        up = self.spec.direction == "lower"
        limit = units.limit(value, self.spec.quantity, up=up)
        return f"{self.spec.name}{_SIGN[self.spec.direction]}{limit}"


def parse_budget(text: str, specs: Mapping[str, MetricSpec]) -> tuple[Budget, ...]:
    """The budgets in `text`, which are separated by commas; raises UsageError for anything that
    is not one, with what was probably meant. `specs` are the metrics of the report, by name."""
    budgets: dict[str, Budget] = {}
    for item in text.split(","):
        budget = _one(item.strip(), specs)
        if budget.spec.name in budgets:
            raise UsageError(f"--budget names {budget.spec.name} twice", "keep one of them")
        budgets[budget.spec.name] = budget
    return tuple(budgets.values())


def _one(item: str, specs: Mapping[str, MetricSpec]) -> Budget:
    if not item:
        raise UsageError("--budget has an empty item", f"write it like {EXAMPLE}")
    found = _ITEM.fullmatch(item)
    if found is None:
        raise UsageError(f"{item!r} is not a budget", f"write it like {EXAMPLE}")
    name, sign, value = found.groups()
    spec = specs.get(ALIASES.get(name, name))
    if spec is None:
        raise UsageError(
            f"--budget: unknown metric {name!r}", did_you_mean(name, [*specs, *ALIASES])
        )
    wanted = _SIGN[spec.direction]
    if sign not in (wanted, {"<=": "≤", ">=": "≥"}[wanted]):
        side = sign.strip("=").translate({ord("≤"): "<", ord("≥"): ">"})
        raise UsageError(
            f"{item!r} limits {spec.name} from the wrong side"
            if side and side != wanted[0]
            else f"{item!r} has the sign {sign!r}",
            f"write {name}{wanted}{value}",
        )
    return Budget(text=item, spec=spec, limit=_limit(item, value, spec))


def _limit(item: str, value: str, spec: MetricSpec) -> float:
    kind, scales = _units_of(spec)
    found = _NUMBER.fullmatch(value)
    if found is None:
        raise UsageError(f"{value!r} in {item!r} is not a number with a unit", _example(spec))
    number, unit = float(found[1]), found[2].strip()
    if unit not in scales:
        known = ", ".join(u for u in scales if u and not u.startswith("µ"))
        what = f"the unit {unit!r}" if unit else "a number without a unit"
        raise UsageError(
            f"{item!r} has {what}, but {spec.name} is {kind}",
            _meant(number, unit, scales) or f"give {known}" + (" or a number" * ("" in scales)),
        )
    limit = number / 100 if unit == "%" else number * scales[unit]
    if not 0 < limit < math.inf:
        raise UsageError(f"{item!r}: the limit must be a finite number above 0", _example(spec))
    if spec.unit == "1" and spec.direction == "higher" and limit > 1:
        raise UsageError(
            f"{item!r}: {spec.name} is a share and at most 1",
            f"write {spec.name}>={number:g}%" if unit == "" and number <= 100 else _example(spec),
        )
    return limit


def _units_of(spec: MetricSpec) -> tuple[str, Mapping[str, float]]:
    return _UNITS[spec.quantity]


def _meant(number: float, unit: str, scales: Mapping[str, float]) -> str:
    """How to write the value with the unit that was probably meant: one that differs only in its
    spelling or in 1000 against 1024. '' if there is none."""
    if not unit:
        return ""
    plain = unit.lower().replace("i", "")
    for known in scales:
        if known and known.lower().replace("i", "") in (plain, plain + "b"):
            return f"write {number:g}{known}"
    return ""


def _example(spec: MetricSpec) -> str:
    return f"write it like {spec.name}{_SIGN[spec.direction]}{_EXAMPLES[spec.quantity]}"


# --- judging ---------------------------------------------------------------------------------


def outcome(budget: Budget, measurement: Measurement | None) -> BudgetOutcome:
    """Whether the budget is met or missed: undecided unless the whole interval is on one side of
    the limit. A metric without sampling error has only its point. A metric that was not measured
    counts as missed: nothing shows that the budget is kept, and more launches or images would not
    show it either (`unknown` says why)."""
    if measurement is None or measurement.point is None:
        return "missed"
    if budget.spec.exact:
        low = high = measurement.point
    elif measurement.ci_low is None or measurement.ci_high is None:
        return "undecided"
    else:
        low, high = measurement.ci_low, measurement.ci_high
    best, worst = (low, high) if budget.spec.direction == "lower" else (high, low)
    if _keeps(budget, worst):
        return "met"
    return "undecided" if _keeps(budget, best) else "missed"


def unknown(budget: Budget, measurement: Measurement | None) -> str:
    """Why the budgeted metric is not known; '' if it is."""
    if measurement is None:
        return "not measured"
    return (measurement.absent_because or "not measured") if measurement.point is None else ""


def worst_of(budget: Budget, measurement: Measurement) -> float:
    """The end of the interval that has to keep the budget; the point if there is no interval."""
    end = measurement.ci_high if budget.spec.direction == "lower" else measurement.ci_low
    if end is None or budget.spec.exact:
        end = measurement.point
    return end or 0.0


def excess(budget: Budget, measurement: Measurement | None) -> float:
    """The logarithm of the factor by which the budget is exceeded: 0 if it is kept, infinite if the
    metric is not known."""
    if measurement is None or measurement.point is None:
        return math.inf
    if outcome(budget, measurement) == "met":
        return 0.0
    worst = worst_of(budget, measurement)
    if worst <= 0:
        return _BEYOND_ALL
    ratio = math.log(worst / budget.limit)
    return max(0.0, ratio if budget.spec.direction == "lower" else -ratio)


def _keeps(budget: Budget, value: float) -> bool:
    if budget.spec.direction == "lower":
        return value <= budget.limit
    return value >= budget.limit
