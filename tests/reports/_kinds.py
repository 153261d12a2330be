"""The ordinary report and the kinds that have broken a renderer."""

from __future__ import annotations

import functools

from msgspec import convert
from msgspec.structs import replace

from harness.analysis import gate
from harness.core.types import (
    DeviceVerdict,
    Evaluation,
    Finding,
    LatencySummary,
    Launch,
    Measurement,
    Minute,
    OpTime,
    Report,
    Stopped,
    Verdict,
)
from tests.reports._factory import HOSTILE_NAMES, VARIANTS, exact, failed, host, make


@functools.cache
def normal() -> Report:
    """Five variants on the host, all well but for two doubts."""
    report = make()
    doubts = (
        Finding(
            level="serious",
            code="drift",
            message="latency rose by 12 % from the first launch to the last",
            fix="let the machine cool down and measure again with --launches 15",
        ),
        Finding(
            level="warning",
            code="host-busy",
            message="other processes used 31 % of the CPU",
            fix="close them, or measure when the machine is idle",
        ),
    )
    cases = list(report.cases)
    cases[1] = replace(cases[1], status="suspect", findings=doubts)
    cases[3] = replace(cases[3], findings=doubts[1:])
    general = Finding(
        level="info",
        code="demo-data",
        message="accuracy was measured on the demo images",
        fix="give your own images with --data DIR",
    )
    return replace(report, cases=tuple(cases), findings=(general,))


@functools.cache
def one_case() -> Report:
    """Just one row."""
    return make({"scratch": VARIANTS["scratch"]})


@functools.cache
def hundred_cases() -> Report:
    """Ten variants, two devices, five thread counts."""
    variants = {
        f"{name}{suffix}": shape for name, shape in VARIANTS.items() for suffix in ("", "-b")
    }
    return make(variants, devices=(host(), host("pixel")), threads=(1, 2, 3, 4, 8), iterations=8)


@functools.cache
def all_failed() -> Report:
    """Nothing was measured."""
    report = make()
    return replace(
        report,
        cases=tuple(failed(case.case) for case in report.cases),
        stopped=Stopped(reason="failed"),
    )


@functools.cache
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
                fix="train it, or look at its last layer",
            ),
        ),
    )
    return replace(report, cases=tuple(cases))


@functools.cache
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
                    fix="[red]rm -rf[/] `x` | \x1b[2J </script>",
                ),
            ),
        )
        for case in report.cases
    )
    last = failed(cases[-1].case, message=HOSTILE_NAMES[0] + HOSTILE_NAMES[6])
    return replace(report, cases=(*cases[:-1], last), command=("python", *HOSTILE_NAMES))


@functools.cache
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


@functools.cache
def no_intervals() -> Report:
    """Three launches: points without intervals."""
    return make(launches=3)


@functools.cache
def one_launch() -> Report:
    """A single launch of a single iteration."""
    return make(launches=1, iterations=1)


@functools.cache
def emulated() -> Report:
    """The host and an emulated phone side by side."""
    return make(devices=(host(), host("emulated", emulated=True)))


@functools.cache
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


@functools.cache
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


@functools.cache
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


@functools.cache
def compared() -> Report:
    """Against a baseline in which the pruned variant was faster and scratch larger."""
    before = dict(VARIANTS)
    before["pruned"] = before["pruned"]._replace(latency=3_900_000)
    before["scratch"] = before["scratch"]._replace(size=12_900_000)
    del before["mobilenet-int8"]
    baseline = make(before, seed=1, launches=11, run_id="20261120-090000-c3d4")
    return gate.compared(make(launches=11), baseline, 0.05)


@functools.cache
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


@functools.cache
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


@functools.cache
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
