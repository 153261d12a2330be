"""Reports whose numbers are written down, for files that are compared byte by byte."""

from __future__ import annotations

import functools

from msgspec import convert
from msgspec.structs import replace

from harness.core.types import (
    BudgetLine,
    Case,
    CaseReport,
    Finding,
    Measurement,
    Report,
    Verdict,
)
from tests.reports._factory import HOSTILE_NAMES, VARIANTS, failed, make
from tests.reports._kinds import with_verdict


@functools.cache
def fixed() -> Report:
    """Two cases whose numbers are written here, for files that are compared byte by byte."""

    def case(variant: str, size: int, latency: int, accuracy: float) -> CaseReport:
        tight = {"confidence": 0.95, "n": 7, "absent": {"p99": "140 iterations are too few"}}
        return CaseReport(
            variant=variant,
            device="host",
            runtime="litert",
            delegate="cpu",
            threads=1,
            status="ok",
            metrics={
                "size": Measurement(unit="bytes", point=size, n=1),
                "gzip_size": Measurement(unit="bytes", point=size * 0.8, n=1),
                "init": Measurement(unit="ns", point=latency * 0.6, n=7),
                "latency": convert(
                    {
                        "unit": "ns",
                        "point": latency,
                        "ci_low": latency * 0.97,
                        "ci_high": latency * 1.03,
                        "p90": latency * 1.1,
                        **tight,
                    },
                    Measurement,
                ),
                "peak_rss": Measurement(unit="bytes", point=size * 2 + 2**25, n=7),
                "accuracy": Measurement(
                    unit="1", point=accuracy, ci_low=accuracy - 0.02, ci_high=accuracy + 0.02, n=400
                ),
            },
        )

    big = case("vgg16", 197_100_000, 257_300_000, 0.968)
    small = case("mobilenet-int8", 2_654_000, 5_711_000, 0.961)
    doubt = Finding(
        level="serious",
        code="two-modes",
        message="latency has two modes",
        fix="pin the clock with --threads 1",
    )
    lost = failed(Case(variant="pruned", device="host", runtime="litert"))
    budget = BudgetLine(
        text="size<=10MB",
        metric="size",
        limit=10_000_000,
        outcomes={big.case.id: "missed", small.case.id: "met", lost.case.id: "undecided"},
        unknown={lost.case.id: "it failed"},
    )
    verdict = Verdict(
        recommended="mobilenet-int8",
        reason="74x smaller and 45x faster than vgg16, at no accuracy that could be told apart",
        outcome="met",
        budgets=(budget,),
    )
    return replace(
        make({}),
        artifacts=(),
        findings=(),
        cases=(big, replace(small, status="suspect", findings=(doubt,)), lost),
        verdict=verdict,
    )


@functools.cache
def zero_budget() -> Report:
    """A budget that nothing can keep: its limit is nothing."""
    report = make({name: VARIANTS[name] for name in ("vgg16", "mobilenet-gray-int8")})
    ids = [case.case.id for case in report.cases]
    lines = tuple(
        BudgetLine(text=text, metric=metric, limit=0.0, outcomes=dict.fromkeys(ids, "missed"))
        for text, metric in (("size<=0MB", "size"), ("latency<=0ms", "latency"))
    )
    verdict = Verdict(
        reason="no variant keeps every budget; nearest is mobilenet-gray-int8",
        outcome="missed",
        budgets=lines,
        pareto=(ids[1],),
    )
    return replace(report, verdict=verdict)


@functools.cache
def no_budgets() -> Report:
    """A verdict, and no budget it was asked for."""
    report = with_verdict()
    assert report.verdict is not None
    own = tuple(replace(d, outcome=None) for d in report.verdict.devices)
    verdict = replace(report.verdict, budgets=(), outcome=None, devices=own)
    return replace(report, verdict=verdict)


@functools.cache
def odd() -> Report:
    """`fixed` under names that are code somewhere."""
    report = fixed()
    assert report.verdict is not None
    names = dict(zip(("vgg16", "mobilenet-int8", "pruned"), HOSTILE_NAMES, strict=False))
    cases = tuple(replace(case, variant=names[case.variant]) for case in report.cases)
    ids = {old.case.id: new.case.id for old, new in zip(report.cases, cases, strict=True)}
    (line,) = report.verdict.budgets
    line = replace(
        line,
        outcomes={ids[i]: outcome for i, outcome in line.outcomes.items()},
        unknown={ids[i]: why for i, why in line.unknown.items()},
    )
    verdict = replace(report.verdict, recommended=names["mobilenet-int8"], budgets=(line,))
    return replace(report, cases=cases, verdict=verdict)


@functools.cache
def empty() -> Report:
    """No case at all."""
    return make({})
