from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.core.types import Plan
from harness.devices import Settings
from harness.measure import schedule as planning
from tests.fakes import case

A, B, C = case("a"), case("b"), case("c")


def test_cases_are_the_product_in_the_order_given() -> None:
    made = planning.cases(["x", "y"], {"host": Settings(("litert",), ("cpu",), (1, 2))})
    assert [(c.variant, c.threads) for c in made] == [("x", 1), ("x", 2), ("y", 1), ("y", 2)]


@given(st.integers(), st.integers(0, 50))
def test_a_round_holds_every_case_of_its_device_once_and_is_repeatable(
    seed: int, index: int
) -> None:
    plan = Plan(cases=(A, B, C, case("a", "phone")), seed=seed)
    order = planning.round_order(plan, "host", index)
    assert sorted(order) == [A, B, C]
    assert order == planning.round_order(plan, "host", index)


def test_rounds_are_shuffled_differently() -> None:
    plan = Plan(cases=(A, B, C))
    assert len({tuple(planning.round_order(plan, "host", i)) for i in range(30)}) > 1


def test_a_fixed_number_of_launches_is_exact() -> None:
    plan = Plan(cases=(A,), launches=3)
    assert planning.wanted(plan, A, 2, 0.001, 2)
    assert not planning.wanted(plan, A, 3, None, 3)
    assert planning.finished(plan, {A: 3}, {A: None}) == "launches"
    assert planning.finished(plan, {A: 2}, {A: 0.001}) is None


def test_going_on_until_every_case_is_tight() -> None:
    plan = Plan(cases=(A, B), min_launches=5, target_ci=0.03)
    assert planning.finished(plan, {A: 4, B: 9}, {A: 0.01, B: 0.01}) is None
    assert planning.finished(plan, {A: 5, B: 9}, {A: 0.03, B: 0.02}) == "target_ci"
    assert planning.finished(plan, {A: 5, B: 9}, {A: 0.031, B: 0.02}) is None
    assert planning.finished(plan, {A: 5, B: 9}, {A: None, B: 0.02}) is None


def test_a_tight_case_gets_fewer_further_launches_than_a_wide_one() -> None:
    plan = Plan(cases=(A,), min_launches=5)
    rounds = range(5, 45)
    tight = sum(planning.wanted(plan, A, 6, 0.01, i) for i in rounds)
    wide = sum(planning.wanted(plan, A, 6, 0.20, i) for i in rounds)
    assert 0 < tight < wide == len(rounds)


def test_going_on_ends_somewhere() -> None:
    plan = Plan(cases=(A,), min_launches=5, max_launches=20)
    assert not planning.wanted(plan, A, 20, 0.5, 20)
    assert planning.finished(plan, {A: 20}, {A: 0.5}) == "max_launches"


def test_going_on_ends_when_all_that_are_not_tight_have_had_their_most() -> None:
    plan = Plan(cases=(A, B), min_launches=5, max_launches=20)
    assert planning.finished(plan, {A: 20, B: 9}, {A: 0.5, B: 0.01}) == "max_launches"
    assert planning.finished(plan, {A: 20, B: 9}, {A: None, B: 0.01}) == "max_launches"
    assert planning.finished(plan, {A: 19, B: 9}, {A: 0.5, B: 0.01}) is None
    assert planning.finished(plan, {A: 20, B: 9}, {A: 0.5, B: 0.5}) is None


def test_one_launch_tells_all_where_there_is_no_noise() -> None:
    exact = case("a", "arm64")
    plan = Plan(cases=(A, exact), exact_devices=("arm64",))
    assert planning.wanted(plan, exact, 0, None, 0)
    assert not planning.wanted(plan, exact, 1, None, 1)
    assert planning.finished(plan, {exact: 0}, {exact: None}) is None
    assert planning.finished(plan, {exact: 1}, {exact: None}) == "exact"
    assert planning.wanted(plan, A, 1, None, 1)
    assert planning.finished(plan, {A: 1}, {A: None}) is None
    assert (planning.least(plan, "arm64"), planning.least(plan, "host")) == (1, plan.min_launches)


def test_more_launches_are_made_where_there_is_no_noise_if_asked_for() -> None:
    exact = case("a", "arm64")
    plan = Plan(cases=(exact,), exact_devices=("arm64",), launches=3)
    assert planning.wanted(plan, exact, 2, None, 2)
    assert planning.finished(plan, {exact: 2}, {exact: None}) is None
    assert planning.finished(plan, {exact: 3}, {exact: None}) == "launches"
