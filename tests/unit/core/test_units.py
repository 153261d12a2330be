"""Numbers as people read them: rounded first, then given a unit and decimals."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.core import units
from harness.core.estimates import QUANTITIES, Measurement, Quantity

WITH_UNITS: tuple[Quantity, ...] = ("time", "file size", "memory", "energy")
EVERY: tuple[Quantity, ...] = ("time", "file size", "memory", "energy", "ratio", "count")

# Where the unit, or the number of digits, changes: these are the values that go wrong.
EDGES = [
    *(9.996, 99.96, 999.6, 999.7, 9_996, 99_960, 999_600, 999_700, 999_999),
    *(999_499, 999_500, 999_500_000, 999_999_999, 1e12),
    *(1023.7, 1024, 1_048_000, 1_048_575, 1_048_576, 2**30 - 1),
]
values = st.one_of(
    st.sampled_from(EDGES),
    st.floats(min_value=1, max_value=1e13),
    st.integers(min_value=1, max_value=10**13).map(float),
    st.tuples(st.integers(0, 12), st.floats(0.9, 1.1)).map(lambda x: 10.0 ** x[0] * x[1]),
)


def test_every_quantity_is_tried_here() -> None:
    assert {*EVERY} == {*QUANTITIES.values(), "file size"} == units.SCALES.keys()


def parsed(text: str, kind: Quantity) -> tuple[str, units.Scale]:
    number, _, label = text.partition(" ")
    return number, next(s for s in units.SCALES[kind] if s.label == label)


def digits_of(number: str) -> int:
    """Significant digits as written: those of 10.0 are three."""
    return len(number.replace(".", "").lstrip("0"))


@given(values, st.sampled_from(WITH_UNITS))
@example(999_700, "time")
@example(9_996_000, "time")
@example(999_999, "file size")
@example(1_048_570, "memory")
def test_a_value_is_rounded_before_it_gets_its_unit_and_decimals(
    value: float, kind: Quantity
) -> None:
    text = units.shown(value, kind)
    number, scale = parsed(text, kind)
    scales = units.SCALES[kind]
    whole = scale.label == "B"
    if scale is not scales[0]:
        larger = scales[scales.index(scale) - 1]
        assert float(number) < larger.divisor / scale.divisor, f"{text} has a larger unit"
    if scale is not scales[-1]:
        assert float(number) >= 1, f"{text} has a smaller unit"
    if "." in number:
        assert digits_of(number) == 3, f"{text} has three digits"
    assert float(number) * scale.divisor == pytest.approx(value, rel=0.5 if whole else 0.0051)


@given(values, st.sampled_from(WITH_UNITS))
@example(999_700, "time")
@example(999_999, "file size")
def test_a_column_chooses_its_unit_by_the_rounded_median(value: float, kind: Quantity) -> None:
    scale = units.column_scale(kind, [value])
    number = scale.show(value)
    larger = [s for s in units.SCALES[kind] if s.divisor > scale.divisor]
    if larger:
        assert float(number) < larger[-1].divisor / scale.divisor
    assert "." not in number or digits_of(number) == 3


@given(values, st.sampled_from(EVERY), st.booleans())
@example(999_700, "time", True)
@example(999_999, "file size", True)
def test_a_limit_is_kept_by_the_value_and_close_to_it(
    value: float, kind: Quantity, up: bool
) -> None:
    text = units.limit(value, kind, up=up)
    number, label = re.fullmatch(r"([\d.]+)(\D*)", text).groups()  # type: ignore[union-attr]
    scales = units.SCALES[kind] if kind in WITH_UNITS else (units.Scale(1, ""),)
    at = next(i for i, s in enumerate(scales) if s.label.replace("µ", "u") == label)
    limit = float(number) * scales[at].divisor
    assert limit >= value * (1 - 1e-12) if up else limit <= value * (1 + 1e-12)
    assert limit == pytest.approx(value, rel=0.0101)
    if at > 0:
        assert float(number) < scales[at - 1].divisor / scales[at].divisor, f"{text} is longer"


@given(st.floats(min_value=1e-9, max_value=1e13), st.integers(1, 6))
@example(9.996, 3)
@example(0.09996, 3)
@example(99.96, 3)
def test_significant_digits_are_just_so_many(value: float, digits: int) -> None:
    text = units.significant(value, digits)
    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits))
    if "." in text:
        assert digits_of(text) == digits
    assert units.significant(-value, digits) == f"-{text}"


@given(values, st.integers(2, 6))
@example(999_999, 4)
@example(999.96, 4)
def test_a_tick_goes_to_the_next_unit_when_it_rounds_to_it(value: float, digits: int) -> None:
    text = units.count(value, digits)
    number, _, label = text.partition(" ")
    assert label == "G" or abs(float(number)) < 1000
    factor = {"G": 1e9, "M": 1e6, "k": 1e3, "": 1}[label]
    assert float(number) * factor == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits))


@given(st.floats(min_value=1e-6, max_value=10))
@example(0.0996)
@example(0.996)
def test_a_per_cent_has_two_digits_or_is_whole(share: float) -> None:
    number = units.percent(share).removesuffix(" %")
    assert "." not in number or digits_of(number) == 2
    assert float(number) == pytest.approx(share * 100, rel=0.051)


@given(st.floats(min_value=0.1, max_value=10_000))
@example(9.96)
def test_a_factor_loses_its_decimal_when_it_rounds_to_ten(factor: float) -> None:
    number = units.times(factor).removesuffix("x")
    assert ("." in number) == (float(number) < 10)
    assert float(number) == pytest.approx(factor, rel=0.051, abs=0.051)


@given(st.floats(min_value=1e-6, max_value=2))
@example(0.009_96)
@example(0.009_999)
def test_a_ratio_below_a_hundredth_has_two_digits_or_fewer(value: float) -> None:
    text = units.ratio(value)
    assert float(text) == pytest.approx(value, rel=0.051)
    if float(text) >= 0.01:
        assert re.fullmatch(r"\d\.\d{3}", text)
    else:
        assert digits_of(text.partition("e")[0]) <= 2


@given(st.floats(min_value=1e-4, max_value=3))
@example(0.0996)
@example(0.009_96)
def test_half_an_interval_has_two_digits_at_most(half: float) -> None:
    m = Measurement(unit="ns", point=1e6, ci_low=1e6 * (1 - half), ci_high=1e6 * (1 + half))
    number = units.spread(m, units.SCALES["time"][1]).removeprefix("±").removesuffix(" %")
    assert digits_of(number) <= 2 or "." not in number
    assert float(number) == pytest.approx(half * 100, rel=0.51 if half < 0.01 else 0.06)


def test_nothing_and_nought() -> None:
    for kind in EVERY:
        assert units.shown(None, kind) == units.ABSENT
    assert units.shown(0, "file size") == "0 B"
    assert units.shown(0, "ratio") == "0"
    assert units.significant(0) == "0"
    assert not math.isnan(float(units.significant(1e-300)))


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (999_700, "time", "1.00 ms"),
        (9_996_000, "time", "10.0 ms"),
        (999_999, "file size", "1.00 MB"),
        (999, "file size", "999 B"),
        (11_500_000, "file size", "11.5 MB"),
        (104_857_600, "memory", "100 MiB"),
        (12_000, "memory", "11.7 KiB"),
        (2**30, "memory", "1024 MiB"),
        (24_357_412, "count", "24,357,412"),
        (0.9617, "ratio", "0.962"),
    ],
)
def test_examples(value: float, kind: Quantity, text: str) -> None:
    assert units.shown(value, kind) == text


def test_two_shares_that_differ_are_told_apart() -> None:
    assert units.told_apart(0.0303, 0.03) == ("3.03 %", "3.00 %")
    assert units.told_apart(0.12, 0.03) == ("12 %", "3.0 %")
    assert units.told_apart(0.03, 0.03) == ("3.0 %", "3.0 %")
