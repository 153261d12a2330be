"""The front, and the finalists that are chosen from it."""

from __future__ import annotations

from harness.analysis.search_front import front, grown, may_reach
from harness.core.search import Trial
from harness.core.specs import ArmSpec, HostSpec
from harness.search.finalists import choose, judged_budget
from tests.searches import OBJECTIVES, report, trial

SMALL, MIDDLE, LARGE = trial(1, 100, 0.80), trial(2, 200, 0.95), trial(3, 400, 0.96)
WORSE, TWIN = trial(4, 300, 0.90), trial(5, 200, 0.95)
OVER = trial(6, 50, 0.99, over={"size<=1B": 0.5})
REFUSED = trial(7, 10, None, state="refused")
ALL = (SMALL, MIDDLE, LARGE, WORSE, TWIN, OVER, REFUSED)


def test_the_front_is_what_nothing_beats_within_the_budget() -> None:
    assert [t.number for t in front(ALL, OBJECTIVES)] == [1, 2, 3]
    assert grown(ALL, OBJECTIVES)[:4] == [[1], [1, 2], [1, 2, 3], [1, 2, 3]]


def test_only_what_may_reach_it_is_measured() -> None:
    assert may_reach(trial(8, 150, 0.9), ALL, OBJECTIVES)
    assert not may_reach(trial(8, 300, 0.9), ALL, OBJECTIVES)
    assert not may_reach(TWIN, (SMALL, MIDDLE), OBJECTIVES)
    assert not may_reach(OVER, (), OBJECTIVES)


def chosen(*trials: object, margin: float = 0.02, most: int = 3, **reference: float) -> list[int]:
    found = choose(
        trials,  # type: ignore[arg-type]
        objectives=OBJECTIVES,
        margin=margin,
        most=most,
        reference=reference,
    )
    assert found.why
    return list(found.finalists.values())


def test_finalists_are_the_smallest_within_the_margin_and_the_most_accurate() -> None:
    assert chosen(*ALL) == [2, 3]
    assert chosen(*ALL, margin=0.2, most=1) == [1, 3]
    assert chosen(*ALL, margin=0.2) == [1, 2, 3]


def test_places_that_the_front_leaves_free_go_to_the_smallest_behind_it() -> None:
    lucky, next_one, beside, last = (
        trial(11, 100, 0.960),
        trial(12, 150, 0.959),
        trial(13, 105, 0.958),  # as large as the lucky one: fails where that fails
        trial(14, 200, 0.970),
    )
    far = trial(15, 300, 0.940)  # not within the margin
    assert chosen(lucky, next_one, beside, last, far) == [11, 12, 14]
    assert chosen(lucky, next_one, beside, last, far, most=2) == [11, 14]
    assert chosen(next_one, last, far, trial(16, 260, 0.951), most=5) == [12, 14, 16]


def test_the_margin_is_against_the_reference_too() -> None:
    assert chosen(*ALL, reference=0.975) == [3]
    assert chosen(*ALL, reference=1.0, most=2) == [3, 2]  # none is: the most accurate


def test_without_a_front_there_are_none_and_it_says_why() -> None:
    assert chosen(OVER, REFUSED) == []
    assert chosen() == []

    def why(*trials: Trial) -> str:
        return choose(trials, objectives=OBJECTIVES, margin=0, most=3, reference={}).why

    far = trial(8, 90, None, state="refused", over={"size<=1B": 4.5})
    assert why(far, OVER) == (
        "no trial keeps the budget; the nearest, trial-6, misses size<=1B by a factor of 1.65"
    )
    assert "a longer --time-budget" in why(trial(1, 5, None, state="unfinished"))
    assert "--csv" in why(trial(1, 5, None, state="failed"))


def test_the_finalists_are_judged_by_what_their_device_can_tell() -> None:
    both, phone, core = "size<=1MB, instructions<=9M", HostSpec(), ArmSpec()
    assert judged_budget(both, {"host": phone}) == "size<=1MB"
    assert judged_budget("instructions<=9M", {"host": phone}) is None
    assert judged_budget("instructions_per_mac<=3", {"host": phone}) is None
    assert judged_budget(both, {"arm64": core}) == both
    assert judged_budget(None, {"host": phone}) is None


def test_a_report_tells_how_many_were_looked_at() -> None:
    from harness.renderers.search import as_csv, counts

    of = report(*ALL)
    assert counts(of) == (
        "7 trials looked at: 6 judged on validation images, 1 over the budget before training"
    )
    rows = as_csv(of).decode().splitlines()
    assert rows[0].startswith("trial,state,reason,on_front,keeps_budget,space,model,recipe")
    assert len(rows) == 8 and rows[1].startswith("1,done,,True,True,wide,wide,int8,1,100,")
