"""Reports for tests: the ordinary one and every kind that has ever broken a renderer.

Numbers are drawn from a seeded generator around medians that were really measured on a host, so
that pictures made from these reports look like the real thing. `REPORTS` names them all.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import NamedTuple

from msgspec import convert
from msgspec.structs import replace

from harness.analysis import gate
from harness.analysis.metric_specs import specs
from harness.analysis.verdict import judge
from harness.core.data import DataSummary, Left
from harness.core.types import (
    Agreement,
    Artifact,
    BudgetLine,
    Case,
    CaseReport,
    Conditions,
    DeviceFacts,
    DeviceVerdict,
    Evaluation,
    Failure,
    Finding,
    LatencySummary,
    Launch,
    LayerSize,
    Measurement,
    Minute,
    OpTime,
    Plan,
    Report,
    Stopped,
    TensorInfo,
    Tool,
    Verdict,
)
from harness.stats.summaries import measure, measure_iterations
from tests.answers import evaluation


class Shape(NamedTuple):
    """A variant as the factory knows it: medians in ns, sizes in bytes."""

    model: str
    recipe: str
    size: int
    gzip: int
    latency: int
    memory: int
    accuracy: float


VARIANTS = {
    "vgg16": Shape("vgg16", "float32", 197_100_000, 182_900_000, 257_300_000, 268_400_000, 0.968),
    "scratch": Shape("scratch", "float32", 11_490_000, 10_600_000, 5_214_000, 61_900_000, 0.941),
    "mobilenet-int8": Shape(
        "mobilenet", "int8", 2_654_000, 2_160_000, 5_711_000, 40_100_000, 0.961
    ),
    "pruned": Shape("scratch", "pruned", 11_490_000, 2_910_000, 5_190_000, 61_500_000, 0.937),
    "mobilenet-gray-int8": Shape(
        "mobilenet", "int8", 2_649_000, 2_151_000, 5_402_000, 39_800_000, 0.962
    ),
}

HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    'a"b',
    "a|b `code` *bold* [link](javascript:alert(1))",
    "[bold red]markup[/] [/bold]",
    "=cmd|' /C calc'!A0",
    "line\nbreak\ttab\rreturn",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202egnp.evil",
    "模型-é-🙂",
    "x" * 300,
    "]]><!-- & &amp; </style></script>",
    "-2+3",
    "+1",
    "@SUM(A1)",
    "\t=1+1",
    " ",
)


def host(name: str = "host", *, emulated: bool = False) -> DeviceFacts:
    """A device as it describes itself."""
    return DeviceFacts(
        name=name,
        kind="android" if emulated else "host",
        identity=f"{name}-identity",
        model="AMD EPYC 7B13",
        os="Linux 6.1.0 x86_64",
        abi="x86_64",
        cpu="AMD EPYC 7B13",
        cores=2,
        ram_bytes=24 * 2**30,
        emulated=emulated,
        runtimes={"litert": "2.3.0"},
        extra={"python": "3.11.7"},
    )


def artifact(variant: str, shape: Shape, *, trained: bool | None = True) -> Artifact:
    """An artifact with a plausible inside: layers and types of weights add up to less than it."""
    weights = int(shape.size * 0.98)
    shares = (0.02, 0.05, 0.13, 0.25, 0.40, 0.10, 0.05)
    layers = tuple(
        LayerSize(
            name=f"{shape.model}/conv{i}" if i < 5 else f"{shape.model}/dense{i}",
            op="CONV_2D" if i < 5 else "FULLY_CONNECTED",
            size_bytes=int(weights * share),
            parameters=int(weights * share) // 4,
            macs=10_000_000 * (7 - i),
        )
        for i, share in enumerate(shares)
    )
    int8 = "int8" in shape.recipe
    return Artifact(
        variant=variant,
        path=f"/cache/{shape.model}/{shape.recipe}.tflite",
        sha256=hashlib.sha256(repr((variant, shape)).encode()).hexdigest(),
        size_bytes=shape.size,
        gzip_bytes=shape.gzip,
        model=shape.model,
        recipe=shape.recipe,
        weights="imagenet",
        trained=trained,
        parameters=weights // (1 if int8 else 4),
        sparsity=0.8 if shape.recipe == "pruned" else 0.0,
        macs=300_000_000,
        inputs=(
            TensorInfo(
                name="image",
                shape=(1, 256, 256, 1),
                dtype="int8" if int8 else "float32",
                scale=1.0 if int8 else None,
                zero_point=-128 if int8 else None,
            ),
        ),
        outputs=(TensorInfo(name="crack", shape=(1, 1), dtype="int8" if int8 else "float32"),),
        ops={"CONV_2D": 5, "FULLY_CONNECTED": 2, "MAX_POOL_2D": 5},
        weight_bytes={"int8": weights - 4_000, "int32": 4_000} if int8 else {"float32": weights},
        layers=layers,
    )


def launches_of(
    case: Case, shape: Shape, *, count: int, iterations: int, rng: random.Random, stride: int
) -> tuple[Launch, ...]:
    """`count` launches, one per round; `stride` is the number of cases in a round."""
    made = []
    for index in range(count):
        centre = shape.latency * rng.lognormvariate(0, 0.02)
        latency = tuple(int(centre * rng.lognormvariate(0, 0.03)) for _ in range(iterations))
        order = index * stride + rng.randrange(stride)
        peak = int(shape.memory * rng.uniform(0.99, 1.01))
        conditions = Conditions(load_average=0.4, other_cpu_share=0.02, temperature_c=41.0 + index)
        made.append(
            Launch(
                case=case.id,
                index=index,
                order=order,
                started_at=f"2026-11-23T10:{index // 60:02d}:{index % 60:02d}Z",
                wall_ns=sum(latency) + 900_000_000,
                init_ns=int(shape.latency * 0.6 * rng.lognormvariate(0, 0.05)),
                first_inference_ns=int(centre * 1.8),
                warmup_ns=tuple(int(centre * f) for f in (1.3, 1.1, 1.0)),
                latency_ns=latency,
                rss_before_load_bytes=28_000_000,
                rss_after_load_bytes=int(peak * 0.8),
                peak_rss_bytes=peak,
                rss_anon_bytes=int(peak * 0.6),
                rss_file_bytes=peak - int(peak * 0.6),
                arena_bytes=2_100_000,
                before=conditions,
                after=conditions,
            )
        )
    return tuple(made)


def exact(unit: str, value: float) -> Measurement:
    """A measurement without sampling error."""
    return Measurement(unit=unit, point=value, n=1)


def case_report(
    case: Case, shape: Shape, *, count: int, iterations: int, rng: random.Random, stride: int
) -> CaseReport:
    """A case that went well."""
    launches = launches_of(case, shape, count=count, iterations=iterations, rng=rng, stride=stride)
    n = 400
    half = 1.96 * (shape.accuracy * (1 - shape.accuracy) / n) ** 0.5
    metrics = {
        "size": exact("bytes", shape.size),
        "gzip_size": exact("bytes", shape.gzip),
        "init": measure([x.init_ns or 0 for x in launches], "ns"),
        "first_inference": measure([x.first_inference_ns or 0 for x in launches], "ns"),
        "latency": measure_iterations([x.latency_ns for x in launches], "ns"),
        "peak_rss": measure([x.peak_rss_bytes or 0 for x in launches], "bytes"),
        "rss_anon": measure([x.rss_anon_bytes or 0 for x in launches], "bytes"),
        "rss_file": measure([x.rss_file_bytes or 0 for x in launches], "bytes"),
        "accuracy": Measurement(
            unit="1",
            point=shape.accuracy,
            ci_low=shape.accuracy - half,
            ci_high=min(1.0, shape.accuracy + half),
            confidence=0.95,
            n=n,
        ),
    }
    return CaseReport(
        variant=case.variant,
        device=case.device,
        runtime=case.runtime,
        delegate=case.delegate,
        threads=case.threads,
        status="ok",
        metrics=metrics,
        launches=launches,
    )


def failed(case: Case, message: str = "the worker was killed by SIGSEGV") -> CaseReport:
    """A case that ended before it was measured."""
    return CaseReport(
        variant=case.variant,
        device=case.device,
        runtime=case.runtime,
        delegate=case.delegate,
        threads=case.threads,
        status="failed",
        metrics={},
        failure=Failure(
            stage="launch",
            transient=False,
            message=message,
            mend="run it alone with --launches 1 and read reports/x/logs",
        ),
    )


def make(
    variants: dict[str, Shape] | None = None,
    *,
    devices: tuple[DeviceFacts, ...] = (),
    threads: tuple[int, ...] = (1,),
    launches: int = 7,
    iterations: int = 20,
    seed: int = 0,
    run_id: str = "20261123-101500-a1b2",
) -> Report:
    """The cross product of variants, devices and threads, everything measured."""
    variants = VARIANTS if variants is None else variants
    devices = devices or (host(),)
    rng = random.Random(seed)
    keys = [
        (Case(variant=name, device=device.name, runtime="litert", threads=t), shape)
        for device in devices
        for t in threads
        for name, shape in variants.items()
    ]
    cases = tuple(
        case_report(case, shape, count=launches, iterations=iterations, rng=rng, stride=len(keys))
        for case, shape in keys
    )
    return Report(
        schema_version=1,
        tool=Tool(name="mobile-bench-harness", version="0.1.0"),
        run_id=run_id,
        started_at="2026-11-23T10:15:00Z",
        finished_at="2026-11-23T10:17:08Z",
        host={"os": "Linux 6.1.0", "cpu": "AMD EPYC 7B13", "cores": 2, "python": "3.11.7"},
        plan=Plan(cases=tuple(case for case, _ in keys), seed=seed, launches=launches),
        command=("python", "-m", "harness", "bench", "--launches", str(launches)),
        stopped=Stopped(reason="launches", worst_half_width=0.031),
        devices=devices,
        artifacts=tuple(artifact(name, shape) for name, shape in variants.items()),
        cases=cases,
    )


# --- the kinds -------------------------------------------------------------------------------


def normal() -> Report:
    """Five variants on the host, all well but for two doubts."""
    report = make()
    doubts = (
        Finding(
            level="serious",
            code="drift",
            message="latency rose by 12 % from the first launch to the last",
            mend="let the machine cool down and measure again with --launches 15",
        ),
        Finding(
            level="warning",
            code="host-busy",
            message="other processes used 31 % of the CPU",
            mend="close them, or measure when the machine is idle",
        ),
    )
    cases = list(report.cases)
    cases[1] = replace(cases[1], status="suspect", findings=doubts)
    cases[3] = replace(cases[3], findings=doubts[1:])
    general = Finding(
        level="info",
        code="demo-data",
        message="accuracy was measured on the demo images",
        mend="give your own images with --data DIR",
    )
    return replace(report, cases=tuple(cases), findings=(general,))


def one_case() -> Report:
    """Just one row."""
    return make({"scratch": VARIANTS["scratch"]})


def hundred_cases() -> Report:
    """Ten variants, two devices, five thread counts."""
    variants = {
        f"{name}{suffix}": shape for name, shape in VARIANTS.items() for suffix in ("", "-b")
    }
    return make(variants, devices=(host(), host("pixel")), threads=(1, 2, 3, 4, 8), iterations=8)


def all_failed() -> Report:
    """Nothing was measured."""
    report = make()
    return replace(
        report,
        cases=tuple(failed(case.case) for case in report.cases),
        stopped=Stopped(reason="failed"),
    )


def some_failed() -> Report:
    """One crashed, one must not be used."""
    report = make()
    cases = list(report.cases)
    cases[1] = failed(cases[1].case)
    cases[2] = replace(
        cases[2],
        status="invalid",
        findings=(
            Finding(
                level="invalid",
                code="output-constant",
                message="the model gives the same answer to every input",
                mend="train it, or look at its last layer",
            ),
        ),
    )
    return replace(report, cases=tuple(cases))


def hostile() -> Report:
    """Names and messages that are code in some format, or not printable."""
    shapes = list(VARIANTS.values())
    report = make({name: shapes[i % 5] for i, name in enumerate(HOSTILE_NAMES)}, iterations=6)
    cases = tuple(
        replace(
            case,
            status="suspect",
            findings=(
                Finding(
                    level="serious",
                    code="<img src=x onerror=alert(1)>",
                    message=f"doubt about {case.variant}",
                    mend="[red]rm -rf[/] `x` | \x1b[2J </script>",
                ),
            ),
        )
        for case in report.cases
    )
    last = failed(cases[-1].case, message=HOSTILE_NAMES[0] + HOSTILE_NAMES[6])
    return replace(report, cases=(*cases[:-1], last), command=("python", *HOSTILE_NAMES))


def no_accuracy() -> Report:
    """Untrained artifacts: the accuracy is absent with the reason."""
    report = make()
    absent = Measurement(unit="1", point=None, absent_because="the artifact is untrained")
    return replace(
        report,
        artifacts=tuple(replace(a, trained=False) for a in report.artifacts),
        cases=tuple(
            replace(case, metrics={**case.metrics, "accuracy": absent}) for case in report.cases
        ),
    )


def no_intervals() -> Report:
    """Three launches: points without intervals."""
    return make(launches=3)


def one_launch() -> Report:
    """A single launch of a single iteration."""
    return make(launches=1, iterations=1)


def emulated() -> Report:
    """The host and an emulated phone side by side."""
    return make(devices=(host(), host("emulated", emulated=True)))


def counted() -> Report:
    """An ARM core in software: instructions, and no latency ever."""
    device = replace(host("arm64"), kind="arm64-emulated", abi="arm64-v8a", emulated=True)
    report = make(devices=(device,))
    absent = Measurement(unit="ns", point=None, absent_because="an emulated core tells no time")
    cases = []
    for number, case in enumerate(report.cases):
        kept = {k: m for k, m in case.metrics.items() if k in {"size", "gzip_size"}}
        cases.append(
            replace(
                case,
                metrics={
                    **kept,
                    "latency": absent,
                    "instructions": exact("count", 63_468_657 + 9_000_000 * number),
                    "instructions_per_mac": exact("1", 0.212 + 0.03 * number),
                },
                launches=tuple(
                    replace(x, latency_ns=(), counters={"instructions": 63_468_657})
                    for x in case.launches[:1]
                ),
            )
        )
    return replace(report, cases=tuple(cases))


def interrupted() -> Report:
    """Stopped before any launch: cases without launches or metrics."""
    report = make()
    return replace(
        report,
        finished_at=None,
        stopped=Stopped(reason="interrupted"),
        cases=tuple(
            replace(case, launches=(), metrics={}, status="invalid") for case in report.cases
        ),
    )


def with_verdict() -> Report:
    """Budgets and a recommendation."""
    report = normal()
    ids = {case.variant: case.case.id for case in report.cases}
    small = ("mobilenet-int8", "mobilenet-gray-int8")
    met = {i: "met" if v in small else "missed" for v, i in ids.items()}
    fast = {i: "missed" if v == "vgg16" else "met" for v, i in ids.items()}
    exact = {i: "met" if v in (*small, "vgg16") else "undecided" for v, i in ids.items()}
    front = [ids["mobilenet-gray-int8"], ids["vgg16"], ids["pruned"]]
    verdict = convert(
        {
            "recommended": "mobilenet-gray-int8",
            "reason": "mobilenet-gray-int8: 74x smaller and 47x faster than vgg16; accuracy 0.962 "
            "(0.943-0.981) is not distinguishable from vgg16's 0.968 (McNemar p = 0.4)",
            "runner_up": "mobilenet-int8",
            "runner_up_reason": "mobilenet-int8: 8 % slower; accuracy 0.961 against 0.962 "
            "(McNemar p = 1)",
            "pareto": front,
            "outcome": "met",
            "devices": [
                {
                    "device": "host",
                    "reason": "mobilenet-gray-int8: 74x smaller",
                    "recommended": "mobilenet-gray-int8",
                    "recommended_case": ids["mobilenet-gray-int8"],
                    "runner_up": "mobilenet-int8",
                    "pareto": front,
                    "pareto_on": ["size", "latency", "peak_rss", "accuracy"],
                    "feasible": [ids[v] for v in small],
                    "outcome": "met",
                }
            ],
            "budgets": [
                {"text": "size<=10MB", "metric": "size", "limit": 10_000_000, "outcomes": met},
                {
                    "text": "latency_p95<=50ms",
                    "metric": "latency_p95",
                    "limit": 50_000_000,
                    "outcomes": fast,
                },
                {
                    "text": "accuracy>=0.94",
                    "metric": "accuracy",
                    "limit": 0.94,
                    "outcomes": exact,
                },
            ],
        },
        Verdict,
    )
    return replace(report, verdict=verdict)


def compared() -> Report:
    """Against a baseline in which the pruned variant was faster and scratch larger."""
    before = dict(VARIANTS)
    before["pruned"] = before["pruned"]._replace(latency=3_900_000)
    before["scratch"] = before["scratch"]._replace(size=12_900_000)
    del before["mobilenet-int8"]
    baseline = make(before, seed=1, launches=11, run_id="20261120-090000-c3d4")
    return gate.compared(make(launches=11), baseline, 0.05)


def evaluated() -> Report:
    """Confusion matrices, and two phones that are recommended different variants."""
    report = make(devices=(replace(host("pixel"), kind="android"), host()))
    found = tuple(
        Evaluation(
            variant=a.variant,
            sha256=a.sha256,
            dataset="demo",
            split="test",
            fingerprint="f",
            runtime="litert 2.3.0",
            classes=("intact", "<b>crack</b>"),
            n=400,
            confusion=((190, 10), (6 + i, 194 - i)),
        )
        for i, a in enumerate(report.artifacts)
    )
    best = {d: next(c.case.id for c in report.cases if c.device == d) for d in ("pixel", "host")}
    devices = tuple(
        DeviceVerdict(device=d, reason=f"the only one on {d}", recommended=i, recommended_case=i)
        for d, i in best.items()
    )
    verdict = Verdict(
        recommended=best["pixel"],
        reason="the only one on pixel",
        devices=devices,
        notes=("on host it is another",),
    )
    return replace(report, evaluations=found, verdict=verdict)


def sustained() -> Report:
    """One long launch, told minute by minute, that throttles."""
    report = make({"scratch": VARIANTS["scratch"]}, launches=1)
    minutes = tuple(
        Minute(
            iterations=11_000 - 300 * i,
            median_ns=5_200_000 + 90_000 * i,
            mean_ns=5_250_000 + 90_000 * i,
            temperature_c=36.0 + i,
            thermal_status=0 if i < 6 else 1,
        )
        for i in range(10)
    )
    (case,) = report.cases
    launches = tuple(replace(x, minutes=minutes) for x in case.launches)
    return replace(report, cases=(replace(case, launches=launches),))


def summarized() -> Report:
    """A phone whose executable tells no single iterations, but which operators took how long."""
    report = make(devices=(replace(host("pixel"), kind="android", model="Pixel 8"),))
    ops = tuple(
        OpTime(name=f"model/conv{i}", op="CONV_2D", mean_ns=900_000 // (i + 1), share=0.3 / (i + 1))
        for i in range(14)
    )

    def summary(launch: Launch) -> Launch:
        values = sorted(launch.latency_ns)
        told = LatencySummary(
            count=len(values),
            median_ns=values[len(values) // 2],
            p5_ns=values[0],
            max_ns=values[-1],
        )
        return replace(launch, latency_ns=(), warmup_ns=(), latency_summary=told, op_times=ops)

    cases = tuple(
        replace(case, launches=tuple(map(summary, case.launches))) for case in report.cases
    )
    return replace(report, cases=cases)


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
        mend="pin the clock with --threads 1",
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


def no_budgets() -> Report:
    """A verdict, and no budget it was asked for."""
    report = with_verdict()
    assert report.verdict is not None
    own = tuple(replace(d, outcome=None) for d in report.verdict.devices)
    verdict = replace(report.verdict, budgets=(), outcome=None, devices=own)
    return replace(report, verdict=verdict)


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


def empty() -> Report:
    """No case at all."""
    return make({})


REPORTS: dict[str, Callable[[], Report]] = {
    f.__name__: f
    for f in (
        normal,
        with_verdict,
        compared,
        fixed,
        one_case,
        hundred_cases,
        all_failed,
        some_failed,
        hostile,
        no_accuracy,
        no_intervals,
        one_launch,
        emulated,
        counted,
        summarized,
        evaluated,
        sustained,
        loaded,
        interrupted,
        zero_budget,
        no_budgets,
        odd,
        empty,
    )
}
