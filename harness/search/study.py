"""Which candidate comes next: Optuna's ask-and-tell interface, with its journal in the search's
folder.

The optimizer is Optuna's. This module adds: each finished trial is in the journal once, a trial
that was under way when the process died is asked for again with the same parameters, and a
candidate that was tried before is not tried again.
"""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from harness.analysis.search_front import HIGHER
from harness.core.errors import StorageError, UsageError
from harness.core.search import Candidate, Sampler, Trial
from harness.search.space import Space, Suggests
from harness.system import locks

if TYPE_CHECKING:
    import optuna

JOURNAL = "study.log"
NAME = "search"
# Attributes of Optuna's trials.
_NUMBER, _TRIAL, _REPEAT = "number", "trial", "repeats"
# After this many candidates in a row that were tried before, the search ends: there are hardly any
# others.
_RANDOM_AFTER, _EXHAUSTED_AFTER = 10, 200
# A training is ended early if it is in the worst quarter of the trainings of its model after as
# many epochs. The first ones are all finished, for comparison.
_KEPT_PERCENT, _FINISHED_FIRST, _EPOCHS_FIRST = 75.0, 4, 3


class Asked(NamedTuple):
    """A trial to do: `handle` is Optuna's."""

    number: int
    candidate: Candidate
    params: dict[str, object]
    handle: Any


class Watches(Protocol):
    """Follows a training."""

    def __call__(self, accuracy: float) -> bool:
        """The validation accuracy after one more epoch; whether the training is to be ended."""

    def ended(self, *, early: bool) -> None:
        """The training is over."""


class Watched(Protocol):
    """What a trial needs from its study."""

    def curve(self, asked: Asked) -> Watches:
        """The object that a training reports its progress to."""

    def trials(self) -> tuple[Trial, ...]:
        """All that were tried."""


class Study:
    """The trials of one search; calls may come from several threads. `objectives` are names of
    fields of Trial; accuracy should be high, the others low."""

    def __init__(
        self,
        folder: Path,
        space: Space,
        objectives: tuple[str, ...],
        *,
        seed: int,
        sampler: Sampler,
    ) -> None:
        import optuna

        self._optuna = optuna
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = space
        self.objectives = objectives
        self._seed = seed
        self._sampler = sampler
        self._lock = threading.RLock()
        self._path = folder / JOURNAL
        self._file = self._path.open("ab")
        try:
            if not locks.take(self._file):
                raise UsageError(f"another process is searching in {folder}", "wait until it ends")
            _cut_torn_line(self._path)
            self._storage = _storage(self._path)
            with self._saving():
                self._study = optuna.create_study(
                    study_name=NAME,
                    storage=self._storage,
                    directions=["maximize" if n in HIGHER else "minimize" for n in objectives],
                    load_if_exists=True,
                )
        except BaseException:
            self._file.close()
            raise
        self._left_over = [t for t in self._all() if t.state == optuna.trial.TrialState.RUNNING]
        self._curves: dict[str, optuna.Study] = {}

    def close(self) -> None:
        """Let others use the folder."""
        self._file.close()

    # --- asking and telling ---

    def ask(self) -> Asked | None:
        """The next trial: one that was under way when the search was interrupted, else a new one.
        None if nothing is left to try. Raises StorageError if it cannot be saved."""
        with self._lock, self._saving():
            for again in range(_EXHAUSTED_AFTER):
                asked = self._suggested(self._next(again))
                if asked is not None:
                    return asked
            return None

    def _next(self, again: int) -> Any:
        """Optuna's trial: one that was under way when the search was interrupted, perhaps before it
        was seen that its candidate had been tried; else a new one."""
        left = self._left_over.pop(0) if self._left_over else None
        number = len(self._all()) if left is None else left.number
        self._study.sampler = self._sampler_for(number, again)
        if left is None:
            return self._study.ask()
        return self._optuna.trial.Trial(self._study, left._trial_id)

    def _suggested(self, handle: Any) -> Asked | None:
        """The candidate; None if it was tried before or is being tried."""
        others = [t for t in self._all() if _NUMBER in t.user_attrs and t.number != handle.number]
        number = handle.user_attrs.get(_NUMBER)
        candidate = self.space.suggested(handle)
        params = dict(handle.params)
        if number is None:
            if any(t.params == params for t in others):
                handle.set_user_attr(_REPEAT, True)
                self._study.tell(handle, state=self._optuna.trial.TrialState.FAIL)
                return None
            number = 1 + max((t.user_attrs[_NUMBER] for t in others), default=0)
            handle.set_user_attr(_NUMBER, number)
        shown = {name: self.space.shown(name, value) for name, value in params.items()}
        return Asked(number, candidate, shown, handle)

    def _sampler_for(self, number: int, again: int) -> optuna.samplers.BaseSampler:
        """The sampler, seeded for each of Optuna's trials by its number, so that an interrupted
        search goes on as it would have without the interruption; a random one when it keeps finding
        tried candidates."""
        import numpy as np

        drawn = np.random.SeedSequence([self._seed, number]).generate_state(1)
        from optuna.samplers import BruteForceSampler, RandomSampler, TPESampler

        seed = int(drawn[0])
        if self._sampler == "grid":
            return BruteForceSampler(seed=seed)
        if self._sampler == "random" or again >= _RANDOM_AFTER:
            return RandomSampler(seed=seed)
        return TPESampler(seed=seed)

    def tell(self, asked: Asked, trial: Trial) -> None:
        """Save a finished trial. One that was not judged has no values, but the optimizer learns
        how far it is over the budget. Raises StorageError."""
        states = self._optuna.trial.TrialState
        with self._lock, self._saving():
            asked.handle.set_user_attr(_TRIAL, msgspec.json.encode(trial).decode())
            for budget, excess in trial.over.items():
                if budget not in asked.handle.constraints:
                    asked.handle.set_constraint(budget, excess)
            values = [getattr(trial, name) for name in self.objectives]
            if trial.state == "done" and None not in values:
                self._study.tell(asked.handle, values)
            elif trial.state == "failed":
                self._study.tell(asked.handle, state=states.FAIL)
            else:
                self._study.tell(asked.handle, state=states.PRUNED)

    # --- ending trainings early ---

    def curve(self, asked: Asked) -> Curve:
        """Follows one training. Optuna prunes only studies with a single objective, so each entry
        of the space has a separate study of accuracy by epoch."""
        with self._lock, self._saving():
            study = self._curve_study(asked.candidate.space)
            states = self._optuna.trial.TrialState
            for left in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
                if left.user_attrs.get(_NUMBER) == asked.number:
                    study.tell(left.number, state=states.FAIL)
            handle = study.ask()
            handle.set_user_attr(_NUMBER, asked.number)
        return Curve(self, study, handle)

    def _curve_study(self, space: str) -> optuna.Study:
        if space not in self._curves:
            self._curves[space] = self._optuna.create_study(
                study_name=f"epochs of {space}",
                storage=self._storage,
                direction="maximize",
                load_if_exists=True,
                sampler=self._optuna.samplers.RandomSampler(seed=self._seed),
                pruner=self._optuna.pruners.PercentilePruner(
                    _KEPT_PERCENT, n_startup_trials=_FINISHED_FIRST, n_warmup_steps=_EPOCHS_FIRST
                ),
            )
        return self._curves[space]

    # --- reading

    def trials(self) -> tuple[Trial, ...]:
        """All that were tried, by number; repeats are not among them."""
        found = [self._trial(t) for t in self._all() if _NUMBER in t.user_attrs]
        return tuple(sorted(found, key=lambda trial: trial.number))

    def _trial(self, trial: Any) -> Trial:
        told = trial.user_attrs.get(_TRIAL)
        if told is not None and trial.state.is_finished():
            return msgspec.json.decode(told, type=Trial)
        return Trial(
            number=trial.user_attrs[_NUMBER],
            candidate=self.space.suggested(_Fixed(trial.params)),
            params={name: self.space.shown(name, v) for name, v in trial.params.items()},
            state="unfinished",
        )

    @property
    def repeats(self) -> int:
        """How often the optimizer suggested a candidate that was tried before."""
        return sum(_REPEAT in t.user_attrs for t in self._all())

    def importance(self) -> tuple[dict[str, float], str]:
        """(by option its share in reaching the front, why there is none): Optuna's PED-ANOVA, for
        each entry of the space by itself, so that the shares of an entry's options sum up to 1."""
        done = [t for t in self._all() if t.state == self._optuna.trial.TrialState.COMPLETE]
        if len(done) < 2:
            return {}, "fewer than two trials were judged"
        found: dict[str, float] = {}
        why = "the judged trials differ in no option"
        for entry in self.space.entries:
            own = {name for t in done for name in t.params if name.split(".")[0] == entry}
            own = {n for n in own if len({t.params[n] for t in done if n in t.params}) > 1}
            try:
                found |= self._importance_of(sorted(own))
            except (ValueError, RuntimeError, ZeroDivisionError) as error:
                why = str(error)
        return found, "" if found else why

    def _importance_of(self, params: list[str]) -> dict[str, float]:
        if not params:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dict(self._optuna.importance.get_param_importances(self._study, params=params))

    def _all(self) -> list[Any]:
        return self._study.get_trials(deepcopy=False)

    @contextlib.contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"cannot save in {self._path.parent}: {error.strerror or error}",
                "free some space, then go on with --resume",
            ) from None


class Curve:
    """Whether one training is to be ended early."""

    def __init__(self, study: Study, of: optuna.Study, handle: Any) -> None:
        self._study, self._of, self._handle = study, of, handle
        self._steps = 0

    def __call__(self, accuracy: float) -> bool:
        """The validation accuracy after one more epoch; whether the training is to be ended."""
        with self._study._lock, self._study._saving():
            self._handle.report(accuracy, self._steps)
            self._steps += 1
            return bool(self._handle.should_prune())

    def ended(self, *, early: bool) -> None:
        """The training is over. One that was ended early, or has no epochs, is not compared with
        later ones."""
        with self._study._lock, self._study._saving():
            states = self._study._optuna.trial.TrialState
            values = self._handle.study.trials[self._handle.number].intermediate_values
            if early or not values:
                state = states.PRUNED if values else states.FAIL
                self._of.tell(self._handle, state=state)
            else:
                self._of.tell(self._handle, values[max(values)])


class _Fixed(Suggests):
    """What was suggested before."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        return int(self._params.get(name, low))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._params.get(name, low))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._params.get(name, choices[0])


def _storage(path: Path) -> optuna.storages.JournalStorage:
    """Optuna's journal. Only this process writes to it, so its lock is one of threads: a lock file
    would outlive a kill. A line that does not fit on the disk is removed again."""
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    held = threading.Lock()

    class Lock(JournalFileOpenLock):
        def acquire(self) -> bool:
            return held.acquire()

        def release(self) -> None:
            held.release()

    class Backend(JournalFileBackend):
        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            whole = path.stat().st_size
            try:
                super().append_logs(logs)
            except OSError:
                with contextlib.suppress(OSError):
                    os.truncate(path, whole)
                raise

    return optuna.storages.JournalStorage(Backend(str(path), lock_obj=Lock(str(path))))


def _cut_torn_line(path: Path) -> None:
    """A crash may have left half a line, to which the next must not be appended."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
