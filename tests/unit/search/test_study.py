"""Optuna asked and told: repeatable, nothing twice, and goes on after whatever happened."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import StorageError, UsageError
from harness.core.search import Sampler, Trial
from harness.search import loop, study
from harness.search.loop import Loop, Stop
from tests.searches import Instant, judged, space
from tests.searches import study as opened


def tried(folder: Path, trials: int, **options: Any) -> tuple[Trial, ...]:
    with contextlib.closing(opened(folder, **options)) as of:
        loop.run(Loop(of, Instant(), trials=trials, stop=Stop()), 1)
        return of.trials()


def params(trials: tuple[Trial, ...]) -> list[dict[str, object]]:
    return [t.params for t in trials]


def test_the_same_seed_gives_the_same_search_also_when_it_is_interrupted(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("whole", "parts", "other")]
    for folder in folders:
        folder.mkdir()
    whole = tried(folders[0], 16)
    for n in (3, 11, 16):
        parts = tried(folders[1], n)
    assert params(parts) == params(whole)
    assert params(tried(folders[2], 16, seed=1)) != params(whole)


def test_a_trial_under_way_is_asked_for_again_with_its_parameters(tmp_path: Path) -> None:
    with contextlib.closing(opened(tmp_path)) as of:
        first, second = of.ask(), of.ask()
        assert first and second
        of.tell(second, judged(second))
        assert [t.state for t in of.trials()] == ["unfinished", "done"]
    with contextlib.closing(opened(tmp_path)) as of:
        again, third = of.ask(), of.ask()
        assert again and third
        assert (again.number, again.params) == (first.number, first.params)
        assert third.number == 3
        assert of.trials()[0].candidate == first.candidate


def test_a_search_that_is_killed_after_any_write_goes_on(tmp_path: Path) -> None:
    """Also where it had not yet been seen that a candidate was tried before."""
    of = space(tmp_path, {"width": [1, 2, 3, 4], "depth": [1, 2]})
    tried(tmp_path, 6, of=of)
    journal = tmp_path / study.JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    assert any(b"repeats" in line for line in lines)
    for written in range(len(lines)):
        journal.write_bytes(b"".join(lines[:written]))
        found = tried(tmp_path, 6, of=of)
        assert [(t.number, t.state) for t in found] == [(n, "done") for n in range(1, 7)], written
        assert len({tuple(t.params.values()) for t in found}) == 6, written


def test_no_candidate_is_tried_twice_and_a_small_space_is_exhausted(tmp_path: Path) -> None:
    few = space(tmp_path, {"width": [1, 2, 3], "depth": [1, 2]})
    objective = Instant()
    with contextlib.closing(opened(tmp_path, few)) as of:
        ended = Loop(of, objective, trials=50, stop=Stop())
        assert loop.run(ended, 1) == "exhausted"
        assert sorted(objective.tried) == [1, 2, 3, 4, 5, 6]
        assert len({str(t.params) for t in of.trials()}) == 6
        assert of.repeats > 0


def test_half_a_line_of_a_crash_is_cut_off(tmp_path: Path) -> None:
    before = tried(tmp_path, 4)
    with (tmp_path / study.JOURNAL).open("ab") as file:
        file.write(b'{"op_code": 6, "worker_')
    assert tried(tmp_path, 4) == before
    assert len(tried(tmp_path, 6)) == 6


def test_a_full_disk_ends_the_search_and_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tried(tmp_path, 3)
    real = os.fsync

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with contextlib.closing(opened(tmp_path)) as of:
        monkeypatch.setattr(os, "fsync", full)
        size = (tmp_path / study.JOURNAL).stat().st_size
        with pytest.raises(StorageError, match="No space left on device"):
            loop.run(Loop(of, Instant(), trials=5, stop=Stop()), 1)
        monkeypatch.setattr(os, "fsync", real)
        assert (tmp_path / study.JOURNAL).stat().st_size == size
    assert tried(tmp_path, 5)[:3] == whole


def test_two_processes_do_not_search_in_one_folder(tmp_path: Path) -> None:
    with contextlib.closing(opened(tmp_path)), pytest.raises(UsageError, match="another process"):
        opened(tmp_path)


def test_what_is_over_the_budget_teaches_the_optimizer(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    def refused(folder: Path, limit: int | None, sampler: Sampler) -> int:
        with contextlib.closing(opened(folder, sampler=sampler)) as of:
            for _ in range(40):
                asked = of.ask()
                assert asked
                of.tell(asked, judged(asked, limit=limit))
            return sum(t.state == "refused" for t in of.trials()[10:])

    assert refused(tmp_path / "a", 20_000, "tpe") < refused(tmp_path / "b", 20_000, "random")


def test_a_training_that_falls_behind_is_ended(tmp_path: Path) -> None:
    with contextlib.closing(opened(tmp_path)) as of:
        ended = []
        for number in range(8):
            asked = of.ask()
            assert asked
            curve = of.curve(asked)
            level = 0.5 if number == 6 else 0.8 + number / 100
            ended.append(any(curve(level + epoch / 100) for epoch in range(8)))
            curve.ended(early=ended[-1])
            of.tell(asked, judged(asked))
    assert ended.index(True) == 6 and sum(ended) == 1


def test_importance_tells_what_matters(tmp_path: Path) -> None:
    with contextlib.closing(opened(tmp_path)) as of:
        assert of.importance() == ({}, "fewer than two trials were judged")
    tried(tmp_path, 20)
    with contextlib.closing(opened(tmp_path)) as of:
        shares, why = of.importance()
    assert set(shares) == {"wide.width", "wide.depth"} and not why
    assert sum(shares.values()) == pytest.approx(1)


class Failing(Instant):
    def __init__(self, *numbers: int) -> None:
        super().__init__()
        self.numbers = numbers

    def __call__(self, asked: Any, study: Any, stop: Stop) -> Trial:
        trial = super().__call__(asked, study, stop)
        if asked.number in self.numbers:
            raise ValueError("out of\nluck")
        return trial


def test_a_failed_trial_has_its_reason_and_is_not_the_end(tmp_path: Path) -> None:
    with contextlib.closing(opened(tmp_path)) as of:
        assert loop.run(Loop(of, Failing(2), trials=4, stop=Stop()), 1) == "trials"
        assert [t.state for t in of.trials()] == ["done", "failed", "done", "done"]
        assert of.trials()[1].reason == "ValueError: out of luck"


def test_a_full_disk_in_a_trial_ends_the_search_and_leaves_it_unfinished(tmp_path: Path) -> None:
    class Full(Instant):
        def __call__(self, asked: Any, study: Any, stop: Stop) -> Trial:
            if asked.number == 2:
                raise UsageError(
                    f"cannot write to /cache: {os.strerror(errno.ENOSPC)}", "make room"
                )
            return super().__call__(asked, study, stop)

    with contextlib.closing(opened(tmp_path)) as of:
        with pytest.raises(StorageError, match="No space left on device"):
            loop.run(Loop(of, Full(), trials=4, stop=Stop()), 1)
        assert [t.state for t in of.trials()] == ["done", "unfinished"]
    assert [t.state for t in tried(tmp_path, 4)] == ["done"] * 4


def test_if_all_fail_it_ends(tmp_path: Path) -> None:
    with contextlib.closing(opened(tmp_path)) as of:
        with pytest.raises(Exception, match="all of the first 5 trials failed: ValueError"):
            loop.run(Loop(of, Failing(*range(99)), trials=40, stop=Stop()), 1)
        assert len(of.trials()) == 5


def test_workers_share_the_trials(tmp_path: Path) -> None:
    objective = Instant()
    with contextlib.closing(opened(tmp_path)) as of:
        assert loop.run(Loop(of, objective, trials=12, stop=Stop()), 3) == "trials"
        assert [t.number for t in of.trials()] == list(range(1, 13))
    assert sorted(objective.tried) == list(range(1, 13))


def test_the_time_ends_it(tmp_path: Path) -> None:
    with contextlib.closing(opened(tmp_path)) as of:
        assert loop.run(Loop(of, Instant(), trials=None, stop=Stop(0.0)), 1) == "time_budget"
        assert of.trials() == ()
