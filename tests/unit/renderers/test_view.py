"""What renderers share is computed once, and nothing they do changes it."""

from __future__ import annotations

from functools import cached_property

import pytest

from harness.renderers.view import View
from harness.system import plugins
from tests import reports

PARTS = [name for name, part in vars(View).items() if isinstance(part, cached_property)]


@pytest.mark.slow
def test_every_format_is_given_the_same_view_and_leaves_it_as_it_was() -> None:
    view = View(reports.compared())
    before = {name: getattr(view, name) for name in PARTS}
    frozen = {name: repr(part) for name, part in before.items()}
    for name in plugins.names("harness.renderers.formats"):
        assert plugins.load("harness.renderers.formats", name).render(view)
    for name in PARTS:
        assert getattr(view, name) is before[name], "computed again"
        assert repr(getattr(view, name)) == frozen[name], "changed by a renderer"


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_not_computed_before_it_is_asked_for(part: str) -> None:
    view = View(reports.with_verdict())
    assert part not in vars(view)
    first = getattr(view, part)
    assert getattr(view, part) is first


def test_rows_are_only_sorted_anew_for_another_order() -> None:
    view = View(reports.with_verdict())
    assert view.sorted_by(None) is view.rows
    assert [r.case.variant for r in view.sorted_by("variant")] == sorted(view.labels.values())
