"""A device's answers beside the host's: how far apart they are, and when deciding alike says
something."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.analysis import metric_specs
from harness.core import parity
from harness.core.types import Evidence, Measurement, Outputs, TensorInfo
from harness.renderers.formats import terminal
from harness.renderers.view import View
from tests.fakes import artifact
from tests.strategies import case_report, evidence, launch, report


def metric(name: str, about: Evidence) -> Measurement:
    return metric_specs.metrics()[name].extract(about)


def beside(
    ours: list[list[float | None]], theirs: list[list[float | None]], **known: Any
) -> Evidence:
    def answers(values: list[list[float | None]]) -> Outputs:
        rows = tuple(tuple(row) for row in values)
        constant = len(set(rows)) == 1 if len(rows) > 1 else None
        return Outputs(values=rows, finite=True, constant=constant, input_source="seeded")

    observed = launch(0, [], outputs=answers(ours), reference=answers(theirs))
    shape = (1, known.pop("outputs_of_model", len(ours[0])))
    output = TensorInfo(name="y", shape=shape, dtype="float32")
    return evidence([observed], artifact=artifact("m", outputs=(output,) * known.pop("heads", 1)))


def test_parity_of_a_single_output_is_the_side_of_one_half() -> None:
    about = beside([[0.1], [0.6], [0.51]], [[0.1], [0.7], [0.49]])
    assert metric("parity_difference", about).point == pytest.approx(0.1)
    assert metric("parity_decisions", about).point == pytest.approx(2 / 3)


def test_parity_of_several_outputs_is_the_largest() -> None:
    about = beside([[0.1, 0.7, 0.2], [0.4, 0.3, 0.3]], [[0.1, 0.6, 0.3], [0.3, 0.4, 0.3]])
    assert metric("parity_decisions", about).point == 0.5


def test_parity_of_an_output_that_is_finite_on_one_side_only() -> None:
    measured = metric("parity_difference", beside([[None]], [[0.5]]))
    assert measured.point is None
    assert "finite only on the device or only on the host" in (measured.absent_because or "")
    assert metric("parity_difference", beside([[None]], [[None]])).point == 0


def test_decisions_are_absent_where_they_cannot_be_known() -> None:
    cut = metric("parity_decisions", beside([[0.1] * 16], [[0.1] * 16], outputs_of_model=1000))
    assert cut.absent_because == "16 of 1000 outputs were kept"
    several = metric("parity_decisions", beside([[0.1]], [[0.1]], heads=2))
    assert "several outputs" in (several.absent_because or "")


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        ([[0.5]] * 8, [[0.5]] * 8, "all answers are the same, so agreement proves nothing"),
        ([[0.1, 0.9]] * 8, [[0.11, 0.89]] * 8, "all answers are the same, so agreement"),
        ([[0.7]], [[0.6]], "only one example, so agreement proves nothing"),
    ],
)
def test_agreement_that_was_to_be_expected_is_no_number(
    ours: list[list[float | None]], theirs: list[list[float | None]], why: str
) -> None:
    about = beside(ours, theirs)
    decisions = metric("parity_decisions", about)
    assert decisions.point is None and why in (decisions.absent_because or "")
    assert metric("parity_difference", about).point == pytest.approx(abs(ours[0][0] - theirs[0][0]))  # type: ignore[operator]
    row = terminal_of(about)
    assert "1.000" not in row


@pytest.mark.parametrize("n", [1, 8])
def test_disagreement_is_told_also_of_answers_that_are_all_alike(n: int) -> None:
    assert metric("parity_decisions", beside([[0.1]] * n, [[0.9]] * n)).point == 0


def test_answers_of_one_side_that_differ_are_compared() -> None:
    about = beside([[0.9], [0.8]], [[0.9], [0.9]])
    assert metric("parity_decisions", about).point == 1


@pytest.mark.parametrize(
    ("theirs", "shown"), [(0.5, "0"), (0.5000012, "1.2e-06"), (0.5039, "0.0039"), (0.52, "0.020")]
)
def test_a_small_difference_from_the_host_is_not_shown_as_none(theirs: float, shown: str) -> None:
    assert terminal_of(beside([[0.5], [0.1]], [[theirs], [0.1]])).split()[-1] == shown


def terminal_of(about: Evidence) -> str:
    """The row of a report on this case, decisions and differences in it."""
    told = {name: metric(name, about) for name in ("parity_decisions", "parity_difference")}
    made = report("r", case_report(about.launches, variant="m", device="arm64", metrics=told))
    console = terminal.plain_console(out := io.StringIO())
    terminal.render_to(View(made), console, columns=list(told))
    return next(line for line in out.getvalue().splitlines() if line.startswith("m "))


def test_parity_without_the_host_says_why() -> None:
    silent = metric("parity_difference", evidence([launch(0, [], absent={"reference": "it hung"})]))
    assert silent.absent_because == "it hung"
    never = metric("parity_difference", evidence([launch(0, [])]))
    assert "not compared" in (never.absent_because or "")


def test_whole_answers_are_compared_and_not_only_what_is_kept_of_them() -> None:
    """The seventeenth value of a thousand decides."""
    ours, theirs = np.zeros((2, 1000)), np.zeros((2, 1000))
    ours[:, 3] = theirs[:, 3] = 0.4
    ours[0, 17] = 0.5
    compared = parity.compared(ours, theirs)
    assert compared is not None
    assert (compared.examples, compared.values, compared.equal_decisions) == (2, 1000, 1)
    assert (compared.largest_difference, compared.largest_answer) == (0.5, 0.4)
    about = beside([[0.0] * 16] * 2, [[0.0] * 16] * 2, outputs_of_model=1000)
    whole = msgspec.structs.replace(about.launches[0], parity=compared)
    about = msgspec.structs.replace(about, launches=(whole,))
    assert metric("parity_difference", about).point == 0.5
    assert metric("parity_decisions", about).point == 0.5


def test_whole_answers_of_which_one_side_is_not_finite() -> None:
    ours, theirs = np.array([[np.nan, 1.0]]), np.array([[2.0, 1.0]])
    compared = parity.compared(ours, theirs)
    assert compared is not None
    assert (compared.largest_difference, compared.equal_decisions) == (None, 0)
    both = parity.compared(ours, ours)
    assert both is not None and both.largest_difference == 0
    assert parity.compared(ours, theirs[:, :1]) is None


def test_answers_of_changing_length_are_compared_one_by_one() -> None:
    about = beside([[0.1, 0.9], [0.6, 0.2, 0.2]], [[0.1, 0.9], [0.3, 0.5, 0.2]], outputs_of_model=2)
    assert metric("parity_difference", about).point == pytest.approx(0.3)
    assert metric("parity_decisions", about).point == 0.5
    shorter = beside([[0.1, 0.9], [0.6, 0.4]], [[0.1, 0.9], [0.6]])
    assert "same shape" in (metric("parity_difference", shorter).absent_because or "")
