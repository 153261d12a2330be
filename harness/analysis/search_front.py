"""The trials of a search that no other beats, and how that front grew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.core.search import Trial

HIGHER = ("accuracy",)  # of the objectives, those that are better when higher


def front(trials: Iterable[Trial], objectives: Sequence[str]) -> list[Trial]:
    """The judged trials that keep the budget and that no other trial beats, sorted by size; of
    equal ones the first. A trial beats another if it is at least as good in all of `objectives` and
    better in one."""
    kept: list[Trial] = []
    for trial in candidates(trials, objectives):
        if any(beats(other, trial, objectives, or_equal=True) for other in kept):
            continue
        kept = [other for other in kept if not beats(trial, other, objectives)]
        kept.append(trial)
    return sorted(kept, key=lambda t: (t.size_bytes or 0, t.number))


def candidates(trials: Iterable[Trial], objectives: Sequence[str]) -> list[Trial]:
    """The judged trials that keep the budget, by number."""
    found = [t for t in trials if _judged(t, objectives) and t.keeps_budget]
    return sorted(found, key=lambda t: t.number)


def beats(one: Trial, other: Trial, objectives: Sequence[str], *, or_equal: bool = False) -> bool:
    """Whether `one` is at least as good in everything and better in something."""
    mine, theirs = _costs(one, objectives), _costs(other, objectives)
    if mine == theirs:
        return or_equal
    return all(a <= b for a, b in zip(mine, theirs, strict=True))


def may_reach(candidate: Trial, trials: Iterable[Trial], objectives: Sequence[str]) -> bool:
    """Whether a trial would be on the front if it kept what is not measured yet."""
    if not _judged(candidate, objectives) or not candidate.keeps_budget:
        return False
    others = front(trials, objectives)
    return not any(beats(other, candidate, objectives, or_equal=True) for other in others)


def grown(trials: Sequence[Trial], objectives: Sequence[str]) -> list[list[int]]:
    """After each trial, in the order of their numbers, the numbers on the front."""
    ordered = sorted(trials, key=lambda t: t.number)
    return [[t.number for t in front(ordered[: n + 1], objectives)] for n in range(len(ordered))]


def _judged(trial: Trial, objectives: Sequence[str]) -> bool:
    return trial.state == "done" and all(getattr(trial, name) is not None for name in objectives)


def _costs(trial: Trial, objectives: Sequence[str]) -> list[float]:
    return [(-1 if n in HIGHER else 1) * float(getattr(trial, n)) for n in objectives]
