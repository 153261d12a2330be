"""Conclusions from measurements: comparisons of two reports, and the verdict on one. They are part
of a Report; `analysis/compare.py` and `analysis/verdict.py` compute them."""

from __future__ import annotations

from typing import Literal

from harness.core.base import Case, Direction, Finding, Value
from harness.core.choices import Prefer
from harness.core.estimates import Loss

Outcome = Literal["regression", "improvement", "no change", "inconclusive"]
BudgetOutcome = Literal["met", "missed", "undecided"]
Decision = Literal["recommended", "undecided", "refused", "none"]


class MetricComparison(Value, frozen=True):
    """One metric of one case. `ratio` is candidate over baseline, `threshold` how much worse the
    metric may be (a share; None in reports that do not have it). `paired` is true for rounds of one
    run and false for launches of two runs. The `p` values are one-sided and Holm-corrected. For an
    inconclusive outcome `note` says why, and `more_launches` how many more launches of each side
    would probably decide (None: more launches would not help); for instructions that changed `note`
    says how the multiply-accumulates changed. Accuracy is judged by its `loss` against the
    baseline, and `threshold` is then how much may be lost."""

    metric: str
    unit: str
    direction: Direction
    baseline: float
    candidate: float
    outcome: Outcome
    ratio: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    confidence: float | None = None
    n: int = 0
    threshold: float | None = None
    exact: bool = False
    paired: bool = False
    p_regression: float | None = None
    p_improvement: float | None = None
    more_launches: int | None = None
    note: str = ""
    loss: Loss | None = None


class CaseComparison(Value, frozen=True):
    """The metrics of one matched pair of cases, with what differs between the two. With an
    `invalid` finding nothing that was measured on the device is compared, only the file's own
    metrics."""

    baseline: Case
    candidate: Case
    metrics: tuple[MetricComparison, ...] = ()
    findings: tuple[Finding, ...] = ()


class Comparison(Value, frozen=True):
    """A whole comparison. Holm's correction is for `tests` metrics. On `exact_devices` a single
    launch counts everything, so more launches would not help there."""

    baseline_run: str
    candidate_run: str
    max_regression: float
    confidence: float
    tests: int
    exact_devices: tuple[str, ...] = ()
    cases: tuple[CaseComparison, ...] = ()
    only_baseline: tuple[Case, ...] = ()
    only_candidate: tuple[Case, ...] = ()
    findings: tuple[Finding, ...] = ()

    def with_outcome(self, outcome: Outcome) -> list[tuple[CaseComparison, MetricComparison]]:
        """All metrics with this outcome."""
        return [(c, m) for c in self.cases for m in c.metrics if m.outcome == outcome]

    @property
    def outcome(self) -> Outcome:
        """The outcome for the gate: a regression if there is one, else inconclusive if anything is
        undecided or refused, else an improvement if there is one, else no change. If nothing was
        compared, it is inconclusive."""
        found = {m.outcome for c in self.cases for m in c.metrics}
        if "regression" in found:
            return "regression"
        if "inconclusive" in found or self.refusals or not found:
            return "inconclusive"
        return "improvement" if "improvement" in found else "no change"

    @property
    def uncounted(self) -> list[Finding]:
        """Why part of a case was not compared, for cases on exact devices that both sides have."""
        return [
            finding
            for case in self.cases
            if case.candidate.device in self.exact_devices
            for finding in case.findings
            if finding.level == "invalid" or finding.code == "metric-absent"
        ]

    @property
    def unpartnered(self) -> list[Case]:
        """Cases on exact devices that only one side has."""
        alone = (*self.only_baseline, *self.only_candidate)
        return [case for case in alone if case.device in self.exact_devices]

    @property
    def refusals(self) -> list[Finding]:
        """Why something was not compared."""
        own = [f for c in self.cases for f in c.findings]
        return [f for f in (*self.findings, *own) if f.level == "invalid"]


# --- the verdict -----------------------------------------------------------------------------


class BudgetLine(Value, frozen=True):
    """One budget as the user wrote it, its limit in the metric's unit, and the outcome of each case
    by its id. A metric that was not measured is missed, and `unknown` says why."""

    text: str
    metric: str
    limit: float
    outcomes: dict[str, BudgetOutcome] = {}
    unknown: dict[str, str] = {}


class ImagesNeeded(Value, frozen=True):
    """How many test images would show, with a chance of 80 %, that a candidate which truly loses
    nothing keeps the margin. The number depends on how often variants differ, of which 95 %
    confidence gives `low` to `high`. `images` is None if too few images were seen to name one
    number, or if it is more than a million."""

    images: int | None
    low: int | None
    high: int | None


class DeviceVerdict(Value, frozen=True):
    """The verdict on one device.

    `decision` is "recommended" if a variant has been shown to lose no more than the margin and to
    keep every budget; "undecided" if there are too few images to show it, and then `candidate` is
    the cheapest variant that may; "refused" if everything that keeps the budgets loses more; "none"
    if no accuracy is known or nothing keeps the budgets. `images` says how many would decide about
    the candidate; with the margin `recommended_at` it would be recommended now.

    `recommended`, `runner_up` and `candidate` are variants, or case ids where a variant ran in
    several settings; None if there is none, and `reason` says why. `pareto` and `feasible` are case
    ids; no case beats one of `pareto` on the metrics `pareto_on`. `outcome` is that of all budgets
    together, None without any."""

    device: str
    reason: str
    recommended: str | None = None
    recommended_case: str | None = None
    runner_up: str | None = None
    runner_up_reason: str = ""
    pareto: tuple[str, ...] = ()
    pareto_on: tuple[str, ...] = ()
    feasible: tuple[str, ...] = ()
    outcome: BudgetOutcome | None = None
    notes: tuple[str, ...] = ()
    decision: Decision = "none"
    candidate: str | None = None
    candidate_case: str | None = None
    images: ImagesNeeded | None = None
    recommended_at: float | None = None


class Verdict(Value, frozen=True):
    """The verdict on a run. With one device it is that device's verdict. With several it is that of
    the first device; `notes` has the verdicts of the others and every runner-up, and `recommended`
    is the variant that all agree on, else the first device's case id. `devices` has each device's
    own, `outcome` is the worst of them and `decision` the least sure. `losses` are those of all
    variants, of what is `protected`; `margin` is how much may be lost."""

    reason: str
    recommended: str | None = None
    runner_up: str | None = None
    runner_up_reason: str = ""
    pareto: tuple[str, ...] = ()
    outcome: BudgetOutcome | None = None
    budgets: tuple[BudgetLine, ...] = ()
    notes: tuple[str, ...] = ()
    devices: tuple[DeviceVerdict, ...] = ()
    decision: Decision = "none"
    candidate: str | None = None
    images: ImagesNeeded | None = None
    recommended_at: float | None = None
    margin: float | None = None
    protected: str = ""
    prefer: Prefer = "balanced"
    losses: dict[str, Loss] = {}
