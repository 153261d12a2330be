"""Budgets as a user writes them, and how an interval stands to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis import budget, metric_specs
from harness.analysis.budget import parse_budget
from harness.core.errors import UsageError
from harness.core.types import Measurement

SPECS = metric_specs.specs()


@pytest.mark.parametrize(
    ("text", "metric", "limit"),
    [
        ("size<=10MB", "size", 10_000_000),
        ("size<=1.5kB", "size", 1_500),
        ("gzip<=2GB", "gzip_size", 2_000_000_000),
        ("gzip_size<=2B", "gzip_size", 2),
        ("peak_rss<=100MiB", "peak_rss", 104_857_600),
        ("rss_anon <= 3 KiB", "rss_anon", 3_072),
        ("latency<=50ms", "latency", 50_000_000),
        ("latency_p95<=1e3us", "latency_p95", 1_000_000),
        ("init<=.5s", "init", 500_000_000),
        ("first_inference≤2s", "first_inference", 2_000_000_000),
        ("accuracy>=0.95", "accuracy", 0.95),
        ("accuracy>=95%", "accuracy", 0.95),
        ("auc>=1", "auc", 1),
        ("log_loss<=1.2", "log_loss", 1.2),
    ],
)
def test_a_budget_is_read_in_its_units(text: str, metric: str, limit: float) -> None:
    (found,) = parse_budget(text, SPECS)
    assert (found.spec.name, found.limit, found.text) == (metric, limit, text)


def test_the_budget_of_the_help_is_read() -> None:
    names = [b.spec.name for b in parse_budget(budget.EXAMPLE, SPECS)]
    assert names == ["size", "latency_p95", "peak_rss", "accuracy"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty item; write it like size<=10MB"),
        ("size<=1MB,", "empty item"),
        ("size", "'size' is not a budget; write it like"),
        ("size<=", "'size<=' is not a budget; write it like"),
        ("size<=10", "number without a unit, but size is the size of a file; give B, kB, MB, GB"),
        ("size<=10mb", "write 10MB"),
        ("size<=10MiB", "has the unit 'MiB', but size is the size of a file; write 10MB"),
        ("peak_rss<=100MB", "has the unit 'MB', but peak_rss is memory; write 100MiB"),
        ("latency<=3min", "give ns, us, ms, s"),
        ("latency<=3 parsecs", "unit 'parsecs'"),
        ("latancy<=3ms", "unknown metric 'latancy'; did you mean 'latency'"),
        ("p95<=3ms", "did you mean 'latency_p95'?"),
        ("weight<=3ms", "choose from accuracy, "),
        ("size>=1MB", "limits size from the wrong side; write size<=1MB"),
        ("accuracy<=0.9", "limits accuracy from the wrong side; write accuracy>=0.9"),
        ("size<1MB", "has the sign '<'; write size<=1MB"),
        ("size=<10MB", "has the sign '=<'; write size<=10MB"),
        ("accuracy=>0.9", "has the sign '=>'; write accuracy>=0.9"),
        ("size=>10MB", "limits size from the wrong side; write size<=10MB"),
        ("latency==3ms", "has the sign '=='; write latency<=3ms"),
        ("accuracy>=95", "at most 1; write accuracy>=95%"),
        ("accuracy>=101%", "at most 1; write it like accuracy>=0.95"),
        ("latency<=-3ms", "not a number"),
        ("latency<=nanms", "not a number"),
        ("latency<=0ms", "must be a finite number above 0"),
        ("latency<=1e999s", "must be a finite number above 0"),
        ("size<=1MB,size<=2MB", "names size twice"),
    ],
)
def test_a_mistake_is_one_line_that_says_how_to_fix_it(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_budget(text, SPECS)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.fix


@given(st.text(max_size=30))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        assert parse_budget(text, SPECS)
    except UsageError as error:
        assert error.fix


def measured(unit: str, point: float, low: float | None, high: float | None) -> Measurement:
    return Measurement(unit=unit, point=point, ci_low=low, ci_high=high, n=7)


ABSENT = Measurement(unit="1", point=None, absent_because="untrained")


@pytest.mark.parametrize(
    ("text", "m", "outcome"),
    [
        ("latency<=5ms", measured("ns", 4e6, 3.9e6, 5e6), "met"),
        ("latency<=5ms", measured("ns", 4e6, 3.9e6, 5.1e6), "undecided"),
        ("latency<=5ms", measured("ns", 6e6, 4.9e6, 6.1e6), "undecided"),
        ("latency<=5ms", measured("ns", 6e6, 5.1e6, 6.1e6), "missed"),
        ("latency<=5ms", measured("ns", 1e6, None, None), "undecided"),
        ("size<=5MB", measured("bytes", 5e6, None, None), "met"),
        ("size<=5MB", measured("bytes", 5e6 + 1, None, None), "missed"),
        ("accuracy>=0.9", measured("1", 0.95, 0.9, 0.97), "met"),
        ("accuracy>=0.9", measured("1", 0.95, 0.89, 0.97), "undecided"),
        ("accuracy>=0.9", measured("1", 0.8, 0.7, 0.89), "missed"),
        ("accuracy>=0.9", ABSENT, "missed"),
        ("accuracy>=0.9", None, "missed"),
    ],
)
def test_the_whole_interval_decides(text: str, m: Measurement | None, outcome: str) -> None:
    (found,) = parse_budget(text, SPECS)
    assert budget.outcome(found, m) == outcome


NAMES = sorted(n for n, s in SPECS.items() if s.unit in ("ns", "bytes") or s.direction == "higher")


@given(st.sampled_from(NAMES), st.floats(1e-3, 1e12), st.floats(1, 3), st.floats(1e-3, 1e12))
def test_a_relaxed_budget_is_kept(name: str, value: float, spread: float, limit: float) -> None:
    """What the verdict tells to relax to can be typed, and is then met."""
    spec = SPECS[name]
    share = spec.unit == "1"
    value = value / 1e12 if share else max(1.0, value)
    low, high = value / spread, min(1.0, value * spread) if share else value * spread
    m = measured(spec.unit, value, low, high)
    strict = budget.Budget(text="", spec=spec, limit=min(1.0, limit) if share else limit)
    relaxed = strict.relaxed(budget.worst_of(strict, m))
    if share and low < 1e-3:
        return  # rounds down to a budget of nothing
    (again,) = parse_budget(relaxed, SPECS)
    assert budget.outcome(again, m) == "met"
    assert budget.excess(again, m) == 0
    worst = budget.worst_of(strict, m)
    assert again.limit == pytest.approx(worst, rel=0.011)
    assert (budget.excess(strict, m) > 0) == (budget.outcome(strict, m) != "met")
