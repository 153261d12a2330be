"""What renderers show of a report, computed once for all of them.

Values stay whole here; only `harness.core.units` rounds.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from harness.analysis.noise import drifts_of, noise_of
from harness.core.types import BudgetLine, BudgetOutcome, Failure, Noise, Report, RunDrift
from harness.renderers import absent, cases, comparison, doubts, how, metrics, verdict


class View:
    """A report with all that several renderers show of it. Each part is computed when it is first
    asked for and kept, so that five formats take little longer than one. Texts are not yet made
    printable unless the docstring says so."""

    def __init__(self, report: Report) -> None:
        self.report = report

    # --- cases ---

    @cached_property
    def rows(self) -> list[cases.Row]:
        """One row per case, what matters first."""
        return cases.rows_of(self.report)

    def sorted_by(self, column: str | None) -> list[cases.Row]:
        """The rows by a column, the best first; without one as in `rows`. An unknown name is a
        UsageError."""
        return self.rows if column is None else cases.rows_of(self.report, column)

    @cached_property
    def labels(self) -> dict[str, str]:
        """Case id -> how it is called: the variant, and where it ran if that needs saying."""
        return cases.labels_of(self.report)

    def names_on(self, device: str) -> dict[str, str]:
        """Case id -> how it is called where only this device is spoken of."""
        return cases.names_on(self.report, device, self.labels)

    @cached_property
    def metrics(self) -> list[str]:
        """All metrics that any case names, measured or absent, in reading order."""
        return metrics.metrics_of(self.report)

    @cached_property
    def reference(self) -> str | None:
        """The variant that `smaller` and `faster` refer to; None if there is none."""
        return cases.reference_of(self.report)

    @cached_property
    def setting(self) -> str:
        """What all cases share: `host, litert, cpu, 1 thread`."""
        return cases.setting_in_common(self.report)

    def emulated(self, devices: Iterable[str]) -> str:
        """What a title adds where some of the devices are emulated."""
        return cases.emulated_among(self.report, devices)

    # --- doubts ---

    @cached_property
    def findings(self) -> list[doubts.Doubts]:
        """The findings of the run, its artifacts and its cases, worst first."""
        return doubts.findings_of(self.report, self.labels)

    @cached_property
    def failures(self) -> list[tuple[Failure, list[str]]]:
        """Each way in which cases failed, and their labels."""
        return doubts.failures_of(self.report, self.labels)

    @cached_property
    def absent(self) -> list[str]:
        """What was not measured and why, a sentence per reason."""
        return absent.sentences(self.report)

    # --- noise ---

    @cached_property
    def noise(self) -> dict[str, Noise]:
        """Case id -> how its latency scattered; for an old report computed from its launches."""
        found = {c.case.id: c.noise or noise_of(c.launches) for c in self.report.cases}
        return {case: noise for case, noise in found.items() if noise is not None}

    @cached_property
    def drifts(self) -> tuple[RunDrift, ...]:
        """Drift over all cases of each device."""
        return self.report.drifts or drifts_of(self.report.cases)

    # --- conclusions ---

    @cached_property
    def verdict(self) -> verdict.VerdictView | None:
        """The verdict with labels instead of case ids; None if there is none."""
        return verdict.verdict_of(self.report, self.labels)

    @property
    def budgets(self) -> tuple[BudgetLine, ...]:
        """The budgets of the run; empty without any."""
        return self.report.verdict.budgets if self.report.verdict else ()

    @cached_property
    def outcomes(self) -> dict[str, BudgetOutcome]:
        """Case id -> the outcome of all its budgets together; empty without budgets."""
        return verdict.budgets_by_case(self.report)

    @cached_property
    def changes(self) -> list[comparison.Line]:
        """Every metric that was compared with the baseline, regressions first."""
        return comparison.lines_of(self.report, self.labels)

    @cached_property
    def comparison_doubts(self) -> list[doubts.Doubts]:
        """The findings about the comparison: objections to it, and what a reader should know."""
        return comparison.doubts_of(self.report, self.labels)

    # --- how it was measured ---

    @cached_property
    def how(self) -> list[str]:
        """On what, how often, why it ended: one sentence each."""
        return [*how.how_measured(self.report), *map(how.drifted, self.drifts)]

    @cached_property
    def command(self) -> str:
        """The exact command to repeat it, quoted for a shell and printable; empty if unknown."""
        return how.command_line(self.report)
