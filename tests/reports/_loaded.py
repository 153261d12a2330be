"""A report that holds everything at once."""

from __future__ import annotations

from msgspec.structs import replace

from harness.analysis import gate
from harness.analysis.metric_specs import specs
from harness.analysis.verdict import judge
from harness.core.data import DataSummary, Left
from harness.core.types import (
    Agreement,
    Artifact,
    CaseReport,
    Conditions,
    Evaluation,
    OpTime,
    Report,
)
from tests.answers import evaluation
from tests.reports._factory import VARIANTS, exact, host, make
from tests.reports._kinds import normal, some_failed

BUDGET = "size<=20MB,gzip_size<=5MB,latency_p95<=6ms,peak_rss<=50MiB,accuracy>=0.9"
MANY_CLASSES = tuple(f"class {i:02d}" for i in range(15))


def loaded(variants: int = 5, *, launches: int = 7, iterations: int = 12) -> Report:
    """Everything at once: a host and a phone that throttles and tells less of its memory, budgets
    on all sorts of metrics with the verdict on them, a baseline, evaluations, operators, data, and
    a case that is invalid though its numbers are the best."""
    shapes = {
        f"{name}-{i}" if i else name: shape
        for i in range(-(-variants // len(VARIANTS)))
        for name, shape in VARIANTS.items()
    }
    shapes = dict(list(shapes.items())[:variants])
    devices = (host(), replace(host("pixel"), kind="android", model="Pixel 8", abi="arm64-v8a"))
    now, before = (
        make(shapes, devices=devices, launches=launches, iterations=iterations, seed=seed)
        for seed in (0, 1)
    )
    report = replace(
        now,
        cases=tuple(_told(case, launches * len(now.cases)) for case in now.cases),
        evaluations=tuple(_answers(a, i) for i, a in enumerate(now.artifacts)),
        plan=replace(now.plan, budget=BUDGET),
        command=("python", "-m", "harness", "bench", "--budget", BUDGET),
        findings=normal().findings,
        data=DataSummary(
            name="cracks",
            counts={
                "<b>crack</b>": {"train": 70, "validation": 15, "test": 15},
                "intact": {"train": 140, "validation": 30, "test": 30},
            },
            split_by="content",
            imbalance=2.0,
            copies=4,
            refused=(Left(path="a/<i>.png", reason="is cut off"),),
        ),
    )
    report = replace(report, verdict=judge(report, specs()))
    return gate.compared(report, replace(before, run_id="20261120-090000-c3d4"), 0.05)


def _told(case: CaseReport, orders: int) -> CaseReport:
    """The case as its device tells it."""
    whole = case.metrics["latency"]
    assert whole.p95 is not None
    tail = {"ci_low": whole.p95 * 0.97, "ci_high": whole.p95 * 1.03, "confidence": 0.95}
    metrics = {
        **case.metrics,
        "latency_p95": replace(exact("ns", whole.p95), n=whole.n, **tail),
        "arena": exact("bytes", 2_100_000),
    }
    if case.device == "host":
        if case.variant != "mobilenet-int8":
            return replace(case, metrics=metrics)
        best = {m: replace(exact(metrics[m].unit, 1_000_000.0)) for m in ("size", "latency")}
        wrong = some_failed().cases[2].findings
        return replace(case, metrics={**metrics, **best}, status="invalid", findings=wrong)
    for unseen in ("rss_anon", "rss_file", "arena"):
        del metrics[unseen]
    metrics["pss"] = exact("bytes", 0.7 * (case.metrics["peak_rss"].point or 0))
    ops = tuple(
        OpTime(name=f"model/conv{i}", op="CONV_2D", mean_ns=900_000 // (i + 1), share=0.3 / (i + 1))
        for i in range(14)
    )
    told = []
    for launch in case.launches:
        hot = 2 * launch.order > orders
        warm = Conditions(temperature_c=36.0 + 12 * launch.order / orders, thermal_status=int(hot))
        slow = tuple(int(ns * (1.2 if hot else 1)) for ns in launch.latency_ns)
        told.append(replace(launch, after=warm, latency_ns=slow, op_times=ops))
    return replace(case, metrics=metrics, launches=tuple(told))


def _answers(artifact: Artifact, number: int) -> Evaluation:
    """To 400 images of two classes, or to those of many classes for the second artifact."""
    labels = [i % 2 for i in range(400)]
    scores = [0.9 if label != (i % 50 <= number % 3) else 0.1 for i, label in enumerate(labels)]
    made = evaluation(
        scores,
        labels,
        variant=artifact.variant,
        sha256=artifact.sha256,
        classes=("intact", "<b>crack</b>"),
    )
    if number == 1:
        n = len(MANY_CLASSES)
        table = tuple(tuple(20 if i == j else (i * j) % 4 for j in range(n)) for i in range(n))
        made = replace(made, classes=MANY_CLASSES, confusion=table)
    if number:
        same = Agreement(parent="scratch", n=400, equal=398, largest=0.22, mean=0.0128)
        made = replace(made, agreement=same)
    return made
