"""A search for a small model: its trials and their results. The optimizer's own notes are in the
journal beside them."""

from __future__ import annotations

from typing import Literal

from harness.core.base import Value
from harness.core.choices import Prefer
from harness.core.conclusions import Verdict
from harness.core.data import DataSummary
from harness.core.estimates import Measurement
from harness.core.specs import SearchSpec, TrainingSpec

SEARCH_VERSION = 1

# done: trained and judged. refused: over a budget, known before training. stopped: its training
# was ended early, since others had learned more by then. failed: see its reason. unfinished: under
# way, or interrupted.
TrialState = Literal["done", "refused", "stopped", "failed", "unfinished"]


# Who chooses the candidates; the other two are there to be compared with.
Sampler = Literal["tpe", "random", "grid"]


class Candidate(Value, frozen=True):
    """One point of the space, as a variant has it. `space` is the entry of `search:`."""

    space: str
    model: str
    recipe: str
    options: dict[str, object] = {}
    recipe_options: dict[str, object] = {}
    weights: str = "auto"
    training: TrainingSpec | None = None


class Trial(Value, frozen=True):
    """A candidate that was tried. `number` counts from 1, and `params` are what the optimizer
    chose, by name.

    What is not known is None: `size_bytes`, `parameters` and `macs` are those of the converted
    file, `instructions` those of one inference on the emulated core, `accuracy` that of the `right`
    answers to `images` validation images. `measured` maps the name of a metric to its value
    measured on a device. `over` maps each budget to the logarithm of the factor by which it was
    missed, 0 if it is kept. `reason` says why a trial is not done."""

    number: int
    candidate: Candidate
    params: dict[str, object]
    state: TrialState
    reason: str = ""
    size_bytes: int | None = None
    parameters: int | None = None
    macs: int | None = None
    instructions: int | None = None
    accuracy: float | None = None
    right: int | None = None
    images: int | None = None
    measured: dict[str, Measurement] = {}
    over: dict[str, float] = {}
    took_s: float = 0.0

    @property
    def name(self) -> str:
        """What it is called as a variant."""
        return f"trial-{self.number}"

    @property
    def keeps_budget(self) -> bool:
        """False if any budget is known to be missed."""
        return all(excess <= 0 for excess in self.over.values())


class SearchRequest(Value, frozen=True):
    """What a search was asked for, which is needed to continue it: see the options of `search`. A
    header has the margin as a number, the project's unless another was asked for."""

    spaces: tuple[str, ...]
    against: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("host",)
    budget: str | None = None
    data: str | None = None
    split: str | None = None
    max_accuracy_loss: float | None = None
    prefer: Prefer = "size"
    time_budget_s: float | None = None
    trials: int | None = None
    finalists: int = 3
    workers: int = 1
    seed: int = 0
    weights: str = "auto"
    project: str = ""
    sampler: Sampler = "tpe"


class SearchHeader(Value, frozen=True):
    """What is known of a search before its first trial. `objectives` are the fields of Trial that
    are optimized; `fingerprints` those of the training and validation images; `combinations` how
    many candidates the space has, None for infinitely many. `counted_on` is the emulated core that
    counts instructions, None if there is none. `reference` maps each variant of `against` to the
    share of validation images that it answers correctly."""

    search_version: int
    search_id: str
    started_at: str
    asked: SearchRequest
    objectives: tuple[str, ...]
    classes: tuple[str, ...]
    fingerprints: dict[str, str]
    space: dict[str, SearchSpec] = {}
    combinations: int | None = None
    data: DataSummary | None = None
    counted_on: str | None = None
    reference: dict[str, float] = {}
    command: tuple[str, ...] = ()


class Final(Value, frozen=True):
    """The finalists, chosen before the test split was opened: trial numbers by variant. `run_id`
    is the run that measured them, None until it has begun."""

    finalists: dict[str, int]
    run_id: str | None = None
    why: str = ""


class SearchReport(Value, frozen=True):
    """A whole search. `front` are the numbers of the trials that nothing beats among those that
    keep the budget; `importance` is by option, in shares that sum up to 1 for each entry of the
    space, and `importance_why` says why there is none. `repeats` counts candidates that were asked
    for again and not tried again. `stopped` says why the trials ended, and is empty while they go
    on. `verdict` is on the finalists, on test images."""

    header: SearchHeader
    trials: tuple[Trial, ...]
    front: tuple[int, ...] = ()
    importance: dict[str, float] = {}
    importance_why: str = ""
    repeats: int = 0
    stopped: str = ""
    final: Final | None = None
    verdict: Verdict | None = None

    @property
    def margin(self) -> float:
        """How much accuracy may be lost."""
        return self.header.asked.max_accuracy_loss or 0.0

    def trial(self, number: int) -> Trial:
        """The trial with this number."""
        return next(t for t in self.trials if t.number == number)

    def count(self, state: TrialState) -> int:
        """How many trials have this status."""
        return sum(t.state == state for t in self.trials)


class SearchLine(Value, frozen=True):
    """A search as a list shows it. `front` is how many trials nothing beats, `recommended` what it
    found, and `stopped` is the same as in a SearchReport."""

    search_id: str
    started_at: str
    budget: str
    trials: int
    front: int
    recommended: str
    stopped: str
