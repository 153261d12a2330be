"""Stopping early, and what is known of those that stopped. That wrong stars stay rare is simulated
in benchmarks/looks.py."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from harness.analysis import looks
from harness.analysis.checks import quantization_broke
from harness.analysis.losses import losses_of
from harness.core.types import Evaluation
from harness.stats import accuracy, with_the_best
from harness.stats.looks import HARDLY, hardly_shown, parts
from harness.stats.with_the_best import ALPHA
from tests import strategies
from tests.answers import evaluation

N = 2000
PLAN = looks.at(N)


def answers(wrong: int, n: int = N, shift: int = 0) -> list[bool]:
    """Right but for `wrong` of each hundred, other ones for each `shift`."""
    return [not (i + shift) % 100 < wrong for i in range(n)]


def test_one_looks_after_an_eighth_and_each_quarter() -> None:
    assert PLAN == (250, 500, 1000, 1500, 2000)
    assert looks.at(799) == (199, 399, 599, 799)  # an eighth of them would settle nothing
    assert looks.at(400) == (100, 200, 300, 400)
    assert looks.at(399) == (399,)  # too few to settle anything


def test_one_that_is_shown_to_be_worse_stops() -> None:
    right = {"a": answers(3), "b": answers(4, shift=50), "slow": answers(12, 500, shift=20)}
    assert looks.settled(right, {"slow"}, PLAN, 0.02) == {"slow"}


def test_one_that_is_worse_but_may_keep_the_accuracy_goes_on() -> None:
    """It is shown to be less accurate than `a`, so that no loss is measured against it, but by
    about one point: it may be the cheapest that keeps the accuracy."""
    right = {"a": answers(0), "slow": answers(1, 1500)}
    found = looks.losses(right, {"slow"}, PLAN)["slow"]
    assert 0 < found.at_least < 0.02
    assert looks.settled(right, {"slow"}, PLAN, 0.012) == set()
    assert looks.settled(right, {"slow"}, PLAN, 0.02) == {"slow"}  # which it is shown to do
    assert looks.settled(right, {"slow"}, PLAN, 0.001) == {"slow"}  # which it hardly can


def test_one_that_may_be_the_best_goes_on() -> None:
    right = {"a": answers(3), "b": answers(4, shift=50), "slow": answers(3, 500, shift=20)}
    assert looks.settled(right, {"slow"}, PLAN, 0.02) == set()
    alone = {"slow": answers(3, 500)}
    assert looks.settled(alone, {"slow"}, PLAN, 0.02) == set()


def test_one_stops_whose_comparisons_are_all_settled_though_it_may_be_the_best() -> None:
    """`same` errs where `slow` does, so it keeps within the margin; `bad` is out."""
    right = {"same": answers(3), "bad": answers(25, shift=50), "slow": answers(3, 500)}
    assert looks.settled(right, {"slow"}, PLAN, 0.02) == {"slow"}
    found = looks.losses(right, {"slow"}, PLAN)
    # The bound against the one that stopped is of the images that it answered.
    every = [answers[:500] for answers in right.values()]
    first = with_the_best.pairwise(with_the_best.counts(every), parts(PLAN, ALPHA)[1])
    assert found["same"].bound == pytest.approx(float(first.above[0, 2, 0]))
    assert 0 < found["same"].bound <= 0.02 < found["bad"].at_least


def test_one_that_is_clearly_the_best_stops_before_the_others_are_shown_to_be_out() -> None:
    """The others lose 4 points on these 500 images: too few to show that it is more than 2, enough
    to tell that all 2,000 will hardly show that it is less."""
    right = {"a": answers(6), "b": answers(6, shift=50), "slow": answers(2, 500, shift=20)}
    assert looks.settled(right, {"slow"}, PLAN, 0.02) == {"slow"}
    found = looks.losses(right, {"slow"}, PLAN)
    assert found["a"].at_least < 0.02 < found["a"].bound  # so it gets no star
    assert looks.given_up(right, PLAN, 0.02) == {"a": 500, "b": 500}
    # With a larger margin they may be within it.
    assert looks.given_up(right, PLAN, 0.04) == {}


@pytest.mark.parametrize("true", [0.0, 0.02, 0.04])
def test_what_is_given_up_would_hardly_have_been_shown(true: float) -> None:
    """Simulated: of those that are given up, few would have been shown to be within the margin."""
    rng, runs, seen, of, margin = np.random.default_rng(3), 20_000, 250, 2000, 0.02
    lost, gained = 0.03 + true / 2, 0.03 - true / 2
    first = rng.multinomial(seen, [lost, gained, 1 - lost - gained], runs)
    later = rng.multinomial(of - seen, [lost, gained, 1 - lost - gained], runs)
    point, differ = (first[:, 0] - first[:, 1]) / seen, (first[:, 0] + first[:, 1]) / seen
    given_up = hardly_shown(point, differ, seen, of, margin)
    whole = first + later
    loss = (whole[:, 0] - whole[:, 1]) / of
    spread = np.sqrt(((whole[:, 0] + whole[:, 1]) / of - loss**2) / of)
    shown = loss + 1.645 * spread <= margin
    missed = float((given_up & shown).mean())
    assert missed <= HARDLY
    assert float(given_up.mean()) > (0.5 if true == 0.04 else 0)


def test_one_that_is_left_alone_stops() -> None:
    right = {"a": answers(20), "b": answers(25, shift=50), "slow": answers(2, 500, shift=20)}
    assert looks.settled(right, {"slow"}, PLAN, 0.02) == {"slow"}
    found = looks.losses(right, {"slow"}, PLAN)
    assert found["slow"].bound <= 0.02
    assert found["a"].at_least > 0.02


def test_the_error_is_spent_over_the_looks() -> None:
    right = {"a": answers(3), "b": answers(4, shift=50), "slow": answers(12, 500, shift=20)}
    found = looks.losses(right, {"slow"}, PLAN)
    spent = parts(PLAN, ALPHA)
    assert sum(spent) == pytest.approx(ALPHA)
    # Those that answered at once are compared at the whole rate, as if the slow one were not there,
    assert (found["a"], found["b"]) == tuple(with_the_best.losses([right["a"], right["b"]]))
    # the slow one at the part of its look,
    every = [answers[:500] for answers in right.values()]
    assert found["slow"] == with_the_best.losses(every, alpha=spent[1])[2]
    # and one that answered everything in looks at what is left for the last.
    right["slow"] = answers(12, shift=20)
    found = looks.losses(right, {"slow"}, PLAN)
    assert found["slow"] == with_the_best.losses(list(right.values()), alpha=spent[-1])[2]
    plain = with_the_best.losses(list(right.values()))
    assert found["b"] == plain[1]
    assert plain[2].bound < found["slow"].bound < plain[2].bound + 0.005


def test_a_report_takes_those_that_stopped_as_they_are() -> None:
    def of(name: str, right: list[bool]) -> object:
        n = len(right)
        scores = [0.9 if i % 2 == ok else 0.1 for i, ok in enumerate(right)]
        return evaluation(
            scores,
            [i % 2 for i in range(n)],
            variant=name,
            of=N,
            looks=PLAN if name == "slow" else (),
        )

    right = {"slow": answers(12, 500, shift=20), "a": answers(3), "b": answers(4, shift=50)}
    evaluations = [of(name, it) for name, it in right.items()]
    assert [list(e.right) for e in evaluations] == list(right.values())  # type: ignore[attr-defined]
    found = losses_of(evaluations, ())  # type: ignore[arg-type]
    assert found.by_variant == looks.losses(right, {"slow"}, PLAN)
    assert found.needed("slow", 0.02) is None
    assert found.needed("b", 0.001) is not None
    # Of the recall of a class all are judged by what all have answered.
    recall = losses_of(evaluations, (), "recall:cracked")  # type: ignore[arg-type]
    assert recall.images == 250


@pytest.mark.parametrize(("parent_n", "own_n"), [(100, 200), (200, 100), (100, 100)])
def test_one_that_stopped_is_held_against_its_parent_on_what_both_answered(
    parent_n: int, own_n: int
) -> None:
    def of(n: int, right: int, variant: str) -> Evaluation:
        scores = [0.9 if (i % 2 == 1) == (i < right) else 0.1 for i in range(n)]
        return evaluation(scores, [i % 2 for i in range(n)], variant=variant, of=200)

    parent, own = of(parent_n, parent_n, "parent"), of(own_n, 70, "own")
    own = msgspec.structs.replace(own, agreement=accuracy.agreement(own, parent))
    artifact = strategies.artifact(recipe="int8", float_parent="parent")
    evidence = strategies.evidence((), artifact=artifact, evaluation=own, parent_evaluation=parent)
    (found,) = quantization_broke.findings(evidence)
    assert "0.700 against 1.000" in found.message
